/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_REFLECTOR_H
#define ITW_REFLECTOR_H

/* Session-Reflector (RFC 5357 §4.2): a shard of sessions.

     on readable:  fill items (off, len, cap, received, ttl, remote, local), id 0
                   itw_reflector_take(...)                     looks up, verifies, builds the reply in place
                   for each with status ITW_OK: sent = now
                   itw_reflector_reply(...)                    stamps and seals
                   send base[off .. off + len) to remote       with ttl 255 and tos as in the item
     on deadline:  itw_reflector_ended(...) until ITW_EMPTY
*/

#include <ipsectwamp/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct itw_reflector itw_reflector;

/* 0: the config is not valid. */
ITW_API size_t itw_reflector_size(const struct itw_shard_config *);
ITW_MUST itw_status itw_reflector_init(itw_reflector **out, void *memory, size_t len, const struct itw_shard_config *);
ITW_MUST itw_status itw_reflector_new(itw_reflector **out, const struct itw_shard_config *);
ITW_API void itw_reflector_free(itw_reflector *); /* NULL is fine */

/* Adds a session; it answers nothing until it is started (Light ones: start them at once). `user` comes back with each
   of its packets. ITW_ERR_FULL, ITW_ERR_COLLISION. */
ITW_MUST itw_status itw_reflector_add(itw_reflector *, itw_id *out, const struct itw_session *, uint64_t user, itw_mono now);
/* Start-Sessions came: answers from now on; REFWAIT runs (not for Light). ITW_ERR_STATE: was started before. */
ITW_MUST itw_status itw_reflector_start(itw_reflector *, itw_id, itw_mono now);
/* Stop-Sessions came, or the connection broke: goes on for Timeout (RFC 5357 §4.2), then has ended; at once if it was never
   started. Once more: nothing. */
ITW_MUST itw_status itw_reflector_stop(itw_reflector *, itw_id, itw_mono now);
/* Forgets a session at once, wiped. ITW_ERR_STALE is harmless. */
ITW_MUST itw_status itw_reflector_remove(itw_reflector *, itw_id);
ITW_MUST itw_status itw_reflector_clock(itw_reflector *, const struct itw_clock *);

/* Takes packets [0, n): finds the session, checks length, key and state, and turns each into its reply but for what the
   timestamp changes. Per packet in `status`: ITW_OK; ITW_ERR_NO_SESSION, _SHORT, _HMAC, _MULTIPLIER, _NOT_STARTED, _LATE;
   ITW_ERR_TOO_SMALL: cap is below the reply's length. A packet that is longer than the session announced is answered up
   to its length and cap. The returned status is ITW_OK unless the call itself is wrong. Refused packets change nothing but
   counts, and their octets stay as they came. The reply's sequence number is given here: one that isn't sent is one lost. */
ITW_MUST itw_status itw_reflector_take(itw_reflector *, uint8_t *base, size_t base_len, struct itw_packet *, size_t stride,
                                       size_t n, itw_mono now);
/* Finishes packets [0, n) whose status is ITW_OK, all or some of those taken: timestamp, Error Estimate, and in encrypted
   mode the cryptography. Items as take left them, but for sent and error. ITW_ERR_STALE: the session was removed since. */
ITW_MUST itw_status itw_reflector_reply(itw_reflector *, uint8_t *base, size_t base_len, struct itw_packet *, size_t stride,
                                        size_t n);

/* When to call itw_reflector_ended; at times it then has nothing to say, as packets came since. ITW_NEVER: not before another
   verb. */
ITW_API itw_mono itw_reflector_deadline(const itw_reflector *);
/* One session whose REFWAIT or Timeout has passed: it answers no more; remove it when its counts have been read.
   why: ITW_ERR_TIMEOUT for REFWAIT, ITW_OK after stop. ITW_EMPTY: none. */
ITW_MUST itw_status itw_reflector_ended(itw_reflector *, itw_id *out, uint64_t *user, itw_status *why, itw_mono now);
/* id 0: the sums of all sessions that there are and were. */
ITW_MUST itw_status itw_reflector_counts(const itw_reflector *, itw_id, struct itw_counts *out);

#ifdef __cplusplus
}
#endif
#endif
