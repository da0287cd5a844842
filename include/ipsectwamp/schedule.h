/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_SCHEDULE_H
#define ITW_SCHEDULE_H

/* Send schedules of OWAMP (RFC 4656 §3.6, 5): when each packet of a session leaves, bit for bit the same on every machine,
   so that a receiver knows when a lost packet should have been sent. itw_sender and itw_receiver walk theirs by themselves;
   this is for whoever needs one without them. */

#include <ipsectwamp/session.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  ITW_SLOT_EXPONENTIAL = 0, /* a pseudo-random wait with this mean */
  ITW_SLOT_FIXED = 1        /* this wait */
};
/* A schedule slot, 16 octets. */
struct itw_slot {
  uint32_t type;      /* ITW_SLOT_* */
  uint32_t mbz;
  uint64_t parameter; /* seconds 32, fraction 32 */
};

/* A schedule under way: a value of 128 octets without pointers; copy it, place it anywhere. Not a secret. */
struct itw_schedule {
  uint64_t offset;    /* the sum of all waits so far: what itw_schedule_next said last */
  uint64_t blocks;    /* of AES output that were taken */
  uint8_t sid[16];    /* the key */
  uint32_t slot;      /* the next one */
  uint32_t left;      /* words that were not used yet, the last ones */
  uint32_t words[20]; /* uniform random numbers, five blocks at a time */
  uint64_t mbz;
};

/* Begins the schedule of the session `sid`. */
ITW_API void itw_schedule_begin(struct itw_schedule *out, const uint8_t sid[16]);
/* When the next packet leaves, after the session's Start Time: the sum of all waits so far (seconds 32, fraction 32, modulo
   2^64). slots: the same n in each call. Each circle through the slots goes on with the numbers of the one before.
   ITW_ERR_ARGUMENT: n is 0 or another than before, an unknown type, mbz set. ITW_ERR_UNSUPPORTED: exponential, in a build
   without AES. ITW_ERR_MEMORY, _CRYPTO: of the crypto library, which is asked once in some twelve exponential
   waits, and never for fixed ones. crypto: kdf.h */
ITW_MUST itw_status itw_schedule_next(struct itw_schedule *, uint64_t *offset, const struct itw_slot *slots, size_t n,
                                      const void *crypto);

#ifdef __cplusplus
}
#endif
#endif
