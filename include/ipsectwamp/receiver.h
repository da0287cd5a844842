/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_RECEIVER_H
#define ITW_RECEIVER_H

/* Session-Receiver of OWAMP (RFC 4656 §4.2): a shard of sessions. It makes records and keeps none: they go to a store of
   the caller's, in the order in which they come.

     when the session starts, at both ends:
                   itw_receiver_start(...)
     on readable:  fill items (off, len, received, ttl, remote, local), id 0
                   itw_receiver_take(...)      a record for each with status ITW_OK
     on deadline, after all that is readable was taken:
                   itw_receiver_lost(...)      a record each, until ITW_EMPTY
                   itw_receiver_ended(...)     until ITW_EMPTY
     Stop-Sessions came, or the connection broke:
                   itw_receiver_stop(...) or itw_receiver_broke(...); the deadline is now

   A packet's sequence number says when it should have been sent: Start Time and the sum of its schedule's waits. What hasn't
   come Timeout after that is lost (RFC 4656 §3.9), and refused if it comes later [ours: so that no packet has both a record
   that it came and one that it was lost; RFC 4656 §4.2 leaves it open]. Loop time decides: the wall clock is looked at when
   a session starts, and is read from the items, as timestamps. The Z bit of Error Estimates means nothing here. */

#include <ipsectwamp/packet.h>
#include <ipsectwamp/record.h>
#include <ipsectwamp/schedule.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct itw_receiver itw_receiver;

/* config.slots must not be 0. 0: the config is not valid. */
ITW_API size_t itw_receiver_size(const struct itw_shard_config *);
ITW_MUST itw_status itw_receiver_init(itw_receiver **out, void *memory, size_t len, const struct itw_shard_config *);
ITW_MUST itw_status itw_receiver_new(itw_receiver **out, const struct itw_shard_config *);
ITW_API void itw_receiver_free(itw_receiver *); /* NULL is fine */

/* config.window for such a session: how many packets may be between the oldest that isn't known to be lost and the newest
   that may be taken. That is 3 Timeout at the schedule's mean rate, six standard deviations more if a slot is exponential,
   and at most `packets`. 0: the slots aren't valid. Each costs 8 1/8 octets per session of the shard. */
ITW_API uint32_t itw_receiver_window(const struct itw_slot *, size_t n, uint64_t timeout, uint32_t packets);

/* Adds a session with its schedule, copied. `user` comes back with each of its packets. ITW_ERR_ARGUMENT: no session of
   ITW_DIALECT_OWAMP, no slot, an unknown type. ITW_ERR_TOO_SMALL: more slots than config.slots, or config.window is below
   itw_receiver_window. ITW_ERR_UNSUPPORTED: an exponential slot in a build without AES. ITW_ERR_FULL, _COLLISION. */
ITW_MUST itw_status itw_receiver_add(itw_receiver *, itw_id *out, const struct itw_session *, const struct itw_slot *, size_t n,
                                     uint64_t user);
/* Start-Ack came or went. ITW_ERR_STATE: was started or stopped before. */
ITW_MUST itw_status itw_receiver_start(itw_receiver *, itw_id, const struct itw_wall *, itw_mono now);
/* Stop-Sessions came, with Next Seqno. Nothing is taken any more; what is lost by now is still told, then the end. Once
   more: nothing. */
ITW_MUST itw_status itw_receiver_stop(itw_receiver *, itw_id, uint32_t next_seqno, itw_mono now);
/* The connection broke and no Stop-Sessions came: as stop, but the records end with the last packet that came (RFC 4656
   §3.8). The RFC lets results count as invalid altogether: the caller's choice. */
ITW_MUST itw_status itw_receiver_broke(itw_receiver *, itw_id, itw_mono now);
/* Forgets a session at once, wiped. ITW_ERR_STALE is harmless. */
ITW_MUST itw_status itw_receiver_remove(itw_receiver *, itw_id);
ITW_MUST itw_status itw_receiver_clock(itw_receiver *, const struct itw_clock *);

/* Takes packets [0, n) that arrived at `received`. records[i] belongs to packet i and is written where status is ITW_OK, a
   duplicate's as well; seq is set too. Else status is
     ITW_ERR_NO_SESSION, _SHORT, _HMAC, _MULTIPLIER
     ITW_ERR_NOT_STARTED  before itw_receiver_start
     ITW_ERR_SEQUENCE     not below the session's Number of Packets
     ITW_ERR_TIMESTAMP    sent more than Timeout before or after it was received, or off its schedule by more than that
     ITW_ERR_LATE         told to be lost before, or after the stop
     ITW_ERR_FULL         beyond the window: too many packets are under way, or itw_receiver_lost wasn't called in time. The
                          packet may be taken again after that; if it isn't, it will count as lost
     ITW_ERR_CRYPTO, _MEMORY  of the crypto library
   Refused packets change nothing but counts. The packets' octets stay as they came. */
ITW_MUST itw_status itw_receiver_take(itw_receiver *, const uint8_t *base, size_t base_len, struct itw_packet *, size_t stride,
                                      struct itw_record *records, size_t record_stride, size_t n, itw_mono now);

/* When to call itw_receiver_lost; at times it then has nothing to say, as packets came since. ITW_NEVER: not before another
   verb. */
ITW_API itw_mono itw_receiver_deadline(const itw_receiver *);
/* The record of a packet that hasn't come Timeout after it should have been sent; per session in order of sequence numbers.
   Those that the sender skipped are among them: what it skipped is known only at the end (itw_verdict_keeps). ITW_EMPTY:
   none now. Errors: ITW_ERR_CRYPTO, _MEMORY: of the crypto library, drawing the next wait. */
ITW_MUST itw_status itw_receiver_lost(itw_receiver *, itw_id *id, uint64_t *user, struct itw_record *out, itw_mono now);
/* A session that has ended, itw_receiver_lost notices: when all its packets have come or are lost (verdict ITW_AGAIN:
   Stop-Sessions may be sent), and when it was stopped and no more is lost. Told once each. ITW_EMPTY: none. */
ITW_MUST itw_status itw_receiver_ended(itw_receiver *, itw_id *id, uint64_t *user, struct itw_verdict *out);
/* id 0: the sums of all sessions that there are and were. */
ITW_MUST itw_status itw_receiver_counts(const itw_receiver *, itw_id, struct itw_counts *out);

#ifdef __cplusplus
}
#endif
#endif
