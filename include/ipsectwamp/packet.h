/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_PACKET_H
#define ITW_PACKET_H

/* What senders, reflectors and receivers have in common. Each is a *shard*: one thread, many sessions, one block of memory, one
   deadline, and the demultiplexer inside. Packets travel in bursts: an array of items beside one buffer. */

#include <ipsectwamp/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Octets of UDP payload: the headers of test packets (RFC 5357 §4.1.2, 4.2.1). */
enum {
  ITW_SENDER_OPEN = 14,     /* sender's header, unauthenticated */
  ITW_SENDER_SECURE = 48,   /* sender's header, authenticated and encrypted */
  ITW_REFLECTOR_OPEN = 41,
  ITW_REFLECTOR_SECURE = 112,
  ITW_REFLECTOR_OPEN_DSCP = 44, /* with ITW_FEATURE_DSCP_ECN */
  ITW_PACKET_MAX = 65507
};

/* One test packet of a burst: 112 octets on every ABI, no pointers. Its octets are base[off .. off + len); cap octets from
   off on may be written. Besides what the calls name, `status` may be ITW_ERR_ARGUMENT (octets outside of base, flags or mbz
   set), ITW_ERR_STALE (id given, and its session gone), ITW_ERR_CRYPTO.

   Lookup compares remote and local address, port and scope. A caller that can't tell to which of its host's addresses a
   packet came leaves local.family 0, in its items and in the sessions that it makes: then only local port and scope count.
   Of several sessions that fit, the one that names most is taken. */
struct itw_packet {
  itw_id id;         /* 0: look up by addresses; out: what was found */
  uint64_t user;     /* out: the caller's number, given when the session was added */
  itw_ntp received;  /* in: when it arrived (take, read) */
  itw_ntp sent;      /* in: when it leaves (reply, stamp) */
  uint32_t off, len, cap;
  itw_status status; /* out: of this packet alone */
  uint32_t seq;      /* out: the sequence number that it bears */
  uint16_t error;    /* Error Estimate of its timestamp, its Z bit ignored; 0: the shard's clock */
  uint8_t ttl;       /* in: TTL or Hop Limit as received; 255 if not known (RFC 5357 §4.2.1). out: to send with */
  uint8_t tos;       /* in: DSCP and ECN as received. out: to send with */
  uint16_t stamp_off;/* out: where, from off, the timestamp stands, for hardware that writes it; 0 in encrypted mode */
  uint16_t flags;    /* 0 */
  uint32_t mbz;
  struct itw_addr remote, local;
};

struct itw_clock {
  uint32_t size;
  uint16_t error; /* Error Estimate of timestamps that carry none of their own: itw_error_estimate; 0 is taken as
                     "unsynchronised, an hour" */
  uint16_t tai_utc; /* seconds that TAI is ahead of UTC, for PTPv2 timestamps; 0: 37, as it has been since 2017 */
};

struct itw_counts {
  uint32_t size;
  uint32_t mbz;
  uint64_t sent;          /* packets finished by stamp or reply */
  uint64_t received;      /* packets taken: valid and for a session */
  uint64_t octets;        /* of the valid ones */
  uint64_t duplicates;    /* sender: replies to what was replied to before; receiver: packets that had come before */
  uint64_t reordered;     /* sender: first replies that come after that of a higher sequence number (RFC 4737 §3);
                             receiver: packets that do */
  uint64_t late;          /* sender: replies after Timeout; reflector: packets after Stop and Timeout; receiver: after they
                             were taken for lost or after the stop, or with a timestamp beyond Timeout */
  uint64_t early;         /* reflector, receiver: packets before Start-Ack */
  uint64_t auth_failures; /* a wrong HMAC */
  uint64_t malformed;     /* too short, Multiplier 0, a sequence number never sent */
  uint64_t unknown;       /* of no session: only in the shard's sums */
  uint64_t skipped;       /* OWAMP sender: packets that were not sent, being more than Timeout late */
  uint64_t lost;          /* receiver: packets that didn't come within Timeout */
  uint64_t overflow;      /* receiver: packets refused because `window` is too small */
};

/* What the wall clock shows at the loop time that the call is given. */
struct itw_wall {
  uint32_t size;
  uint32_t mbz;
  itw_ntp now;
};

struct itw_shard_config {
  uint32_t size;
  uint32_t sessions;  /* slots; 1 to 2^20 */
  uint32_t contexts;  /* cipher contexts kept for the sessions used last, made when the shard is made, at most `sessions`;
                         0: one, re-keyed when the session changes (firmware). Good: `sessions` up to a few thousand, 64
                         beyond, where fetching a context of its own from memory costs more than keying one that is near;
                         some 1.5 KB each in libcrypto (tests/bench) */
  uint32_t window;    /* sender: packets per session among which duplicates are told; receiver: packets that may be under
                         way, itw_receiver_window; rounded up to a multiple of 32; 0: 32 */
  uint32_t refwait_s; /* reflector: REFWAIT (RFC 5357 §4.2); 0: 900 */
  uint32_t flags;     /* 0 */
  uint32_t slots;     /* OWAMP: schedule slots per session, at most 2^20; 0: no sessions with a schedule */
  uint32_t mbz32;
  struct itw_clock clock; /* its size may be left 0 */
  uint8_t seed[32];   /* from a good source of randomness: padding stream, demultiplexer */
  const void *crypto; /* kdf.h; borrowed as long as the shard lives */
  const void *mbz;
};
/* Upper bounds of the memory of a shard, for static arrays; itw_reflector_size, itw_sender_size, itw_receiver_size say it
   exactly. A sender with schedules takes ITW_SENDER_BOUND + ITW_SCHEDULES_BOUND. */
#define ITW_REFLECTOR_BOUND(sessions, contexts) (1024u + 288u * (sessions) + 192u * ((contexts) + 1u))
#define ITW_SENDER_BOUND(sessions, contexts, window) \
  (1024u + (288u + ((window) + 31u + 32u) / 8u) * (sessions) + 192u * ((contexts) + 1u))
#define ITW_SCHEDULES_BOUND(sessions, slots) ((208u + 16u * (slots)) * (sessions))
#define ITW_RECEIVER_BOUND(sessions, contexts, window, slots) \
  (1024u + (344u + ((window) + 31u + 32u) / 8u * 65u) * (sessions) + 192u * ((contexts) + 1u) + \
   ITW_SCHEDULES_BOUND(sessions, slots))

#ifdef __cplusplus
}
#endif
#endif
