/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_PACKET_H
#define ITWI_PACKET_H

/* Bursts and configs of the test plane: what needs no session and no key. Layer 3. */

#include "octets.h"
#include <ipsectwamp/packet.h>

/* Fetches a line that is about to be used; packets of a burst overlap their cache misses with it. */
#if defined(__GNUC__)
#define ITWI_PREFETCH(p) __builtin_prefetch(p)
#else
#define ITWI_PREFETCH(p) ((void)(p))
#endif

/* Packets whose sessions are looked up together. */
enum { ITWI_CHUNK = 32 };

static inline struct itw_packet *itwi_item(struct itw_packet *items, size_t stride, size_t i)
{
  return (struct itw_packet *)(void *)((uint8_t *)items + i * stride);
}

/* Octets [off, off + n) lie in a buffer of len. */
static inline bool itwi_fits(size_t len, uint32_t off, uint32_t n) { return off <= len && n <= len - off; }

/* Nothing set that a later version may give a meaning. */
static inline bool itwi_item_known(const struct itw_packet *item) { return (item->flags | item->mbz) == 0; }

/* A burst is something that can be walked: pointers, stride, alignment. */
bool itwi_burst_ok(const uint8_t *base, const struct itw_packet *items, size_t stride, size_t n);

/* The caller's config, checked, defaults filled in, window rounded. Holds a secret, the seed: to be wiped. */
itw_status itwi_config_in(struct itw_shard_config *out, const struct itw_shard_config *in);
/* What a clock stands for: Error Estimate, and TAI's lead. */
struct itwi_clock {
  uint16_t error, tai_utc;
};
itw_status itwi_clock_in(struct itwi_clock *, const struct itw_clock *in);

/* Error Estimate of one packet's timestamp. */
static inline uint16_t itwi_item_error(const struct itw_packet *item, uint16_t clock)
{
  return item->error & 0xff ? item->error : clock;
}

/* Writes a timestamp and its Error Estimate: NTP, or PTPv2 with the Z bit (RFC 8186 §2.3). Multiplier 0 must not leave (RFC
   4656 §4.1.2). */
enum { ITWI_Z = 0x4000 };
static inline void itwi_stamp(uint8_t *out, const struct itw_packet *item, const struct itwi_clock *clock, bool ptp)
{
  const uint16_t error = itwi_item_error(item, clock->error);
  itwi_store64(out, ptp ? itw_ptp_from_ntp(item->sent, clock->tai_utc) : item->sent);
  itwi_store16(out + 8, (uint16_t)((error & ~ITWI_Z) | (ptp ? ITWI_Z : 0)));
}

/* Seconds 32, fraction 32 as ns: below 2^62. */
static inline uint64_t itwi_span_ns(uint64_t span)
{
  return (span >> 32) * 1000000000u + ((span & UINT32_MAX) * 1000000000u >> 32);
}
static inline itw_mono itwi_later(itw_mono now, uint64_t ns) { return now < ITW_NEVER - ns ? now + ns : ITW_NEVER - 1; }

/* Cuts up one block of memory; without memory it only measures. Pieces start on cache lines. */
enum { ITWI_LINE = 64 };
struct itwi_arena {
  uint8_t *p; /* NULL: measure */
  uint64_t used;
};
void *itwi_arena_take(struct itwi_arena *, uint64_t n);

#endif
