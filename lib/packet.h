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
/* Error Estimate that a clock stands for. */
itw_status itwi_clock_in(uint16_t *error, const struct itw_clock *in);

/* Error Estimate of one packet's timestamp. Multiplier 0 must not leave (RFC 4656 §4.1.2). */
static inline uint16_t itwi_item_error(const struct itw_packet *item, uint16_t clock)
{
  return item->error & 0xff ? item->error : clock;
}

/* Cuts up one block of memory; without memory it only measures. Pieces start on cache lines. */
enum { ITWI_LINE = 64 };
struct itwi_arena {
  uint8_t *p; /* NULL: measure */
  uint64_t used;
};
void *itwi_arena_take(struct itwi_arena *, uint64_t n);

#endif
