/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_SENDER_H
#define ITW_SENDER_H

/* Session-Sender of TWAMP (RFC 5357 §4.1) and OWAMP (RFC 4656 §4.1): a shard of sessions.

   TWAMP: when to send is the caller's choice.

     to send:      fill items (id, off, cap)
                   itw_sender_write(...)     numbers and builds; in authenticated mode all the cryptography
                   sent = now
                   itw_sender_stamp(...)     timestamp; in encrypted mode the cryptography
                   send base[off .. off + len) to remote, with ttl and tos as in the item
     on readable:  fill items (off, len, received, ttl, remote, local), id 0
                   itw_sender_read(...)      verifies and takes apart

   OWAMP: the session's schedule says it.

     when the session starts, at both ends:
                   itw_sender_start(...)
     on deadline:  itw_sender_due(...)       into items (off, cap) of a burst; ITW_SKIPPED ones: keep for Stop-Sessions
                   itw_sender_write(...), sent = now, itw_sender_stamp(...), send: as above, skipped items are passed over
                   until nothing more is due
                   itw_sender_ended(...)     until ITW_EMPTY
     in the end, or before it:
                   itw_sender_stop(...)      Next Seqno for Stop-Sessions
*/

#include <ipsectwamp/packet.h>
#include <ipsectwamp/schedule.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct itw_sender itw_sender;

enum {
  ITW_REPLY_NEW = 1,
  ITW_REPLY_REORDERED, /* the first reply to seq, after that to a higher one */
  ITW_REPLY_DUPLICATE, /* seq was replied to before */
  ITW_REPLY_LATE       /* after Timeout (counts as lost, RFC 5357 §4.1), or older than the window can tell */
};
enum {
  ITW_REPLY_PTP_SENT = 1,  /* t1 was PTPv2 on the wire */
  ITW_REPLY_PTP_THERE = 2, /* t2 and t3 were */
  ITW_REPLY_TOS = 4,       /* tos_there is known (ITW_FEATURE_DSCP_ECN) */
  ITW_REPLY_REFLECTED = 8  /* ITW_FEATURE_REFLECT: the Server octets came back at the beginning of the padding */
};
/* A reply, taken apart; 88 octets. Timestamps are NTP, whatever they were on the wire. */
struct itw_reply {
  uint32_t size;
  uint32_t kind;           /* ITW_REPLY_* */
  uint32_t seq;            /* the sender's */
  uint32_t reflector_seq;
  itw_ntp t1, t2, t3, t4;  /* sent, received there, replied, received here */
  uint16_t e1, e2;         /* Error Estimates of t1, and of t2 and t3 */
  uint8_t ttl_there;       /* TTL with which the packet arrived there; 255 if not known there */
  uint8_t ttl_back;        /* with which the reply arrived here */
  uint8_t tos_back;
  uint8_t tos_there;       /* DSCP and ECN with which the packet arrived there (RFC 7750); flags say if it is known */
  uint32_t flags;          /* ITW_REPLY_PTP_SENT ... */
  uint32_t mbz;
  int64_t rtt_ns;          /* (t4 - t1) - (t3 - t2): round trip without the reflector's time */
  int64_t there_ns;        /* t2 - t1: one way; means something if both clocks are synchronised */
  int64_t back_ns;         /* t4 - t3 */
};

ITW_API size_t itw_sender_size(const struct itw_shard_config *);
ITW_MUST itw_status itw_sender_init(itw_sender **out, void *memory, size_t len, const struct itw_shard_config *);
ITW_MUST itw_status itw_sender_new(itw_sender **out, const struct itw_shard_config *);
ITW_API void itw_sender_free(itw_sender *);

ITW_MUST itw_status itw_sender_add(itw_sender *, itw_id *out, const struct itw_session *, uint64_t user);
ITW_MUST itw_status itw_sender_remove(itw_sender *, itw_id);
ITW_MUST itw_status itw_sender_clock(itw_sender *, const struct itw_clock *);

/* Builds packets [0, n) of the sessions `id`: header, sequence number, padding. Out per item: user, seq, len, stamp_off,
   ttl (255), tos, remote, local, status: ITW_OK, ITW_ERR_STALE, ITW_ERR_TOO_SMALL (cap). A sequence number is used up
   only with ITW_OK. Of a session with a schedule the items are those of itw_sender_due, in order: ITW_ERR_STATE: not due, or
   one with a higher number was written before; an item whose status isn't ITW_OK is left alone. */
ITW_MUST itw_status itw_sender_write(itw_sender *, uint8_t *base, size_t base_len, struct itw_packet *, size_t stride, size_t n);
/* Finishes packets [0, n) whose status is ITW_OK with their `sent` and `error`. */
ITW_MUST itw_status itw_sender_stamp(itw_sender *, uint8_t *base, size_t base_len, struct itw_packet *, size_t stride, size_t n);
/* Takes packets [0, n) that arrived. replies[i] belongs to packet i and is written where status is ITW_OK; else status is
   ITW_ERR_NO_SESSION, _SHORT, _HMAC, _MULTIPLIER, _SEQUENCE. The packets' octets stay as they came. */
ITW_MUST itw_status itw_sender_read(itw_sender *, const uint8_t *base, size_t base_len, struct itw_packet *, size_t stride,
                                    struct itw_reply *replies, size_t reply_stride, size_t n);

/* OWAMP: adds a session with its schedule, copied; n slots, at most config.slots. Nothing is due before its start.
   ITW_ERR_ARGUMENT: no session of ITW_DIALECT_OWAMP, no slot, an unknown type. ITW_ERR_TOO_SMALL: more slots than that.
   ITW_ERR_UNSUPPORTED: an exponential slot in a build without AES. ITW_ERR_FULL, _COLLISION. */
ITW_MUST itw_status itw_sender_add_schedule(itw_sender *, itw_id *out, const struct itw_session *, const struct itw_slot *,
                                            size_t n, uint64_t user);
/* Start-Ack came or went (RFC 4656 §3.7): the schedule runs, from the session's Start Time on, which may be past. How far
   away that is, is read off the wall clock here, once; then loop time counts, and a step of the wall clock moves no packet.
   ITW_ERR_STATE: was started before, or has no schedule. */
ITW_MUST itw_status itw_sender_start(itw_sender *, itw_id, const struct itw_wall *, itw_mono now);
/* When to call itw_sender_due; ITW_NEVER: not before another verb. */
ITW_API itw_mono itw_sender_deadline(const itw_sender *);
/* Fills items [0, *got), of any sessions, the earliest first: id, user, seq, status; off and cap are the caller's, the
   other members unchanged. *got < n: nothing more is due now.
     ITW_OK       to be written and sent as soon as can be
     ITW_SKIPPED  packets seq to seq + len - 1 are more than Timeout late and MUST NOT be sent (RFC 4656 §4.1.1); at most
                  1,024 in an item, so runs that touch may follow
   Each packet appears once. One that isn't sent after all, because write or the socket refused it, is the caller's to put
   among the skip ranges; items are in the order that they need per session. Errors: ITW_ERR_CRYPTO, _MEMORY: of the crypto
   library, drawing the next wait; [0, *got) count. */
ITW_MUST itw_status itw_sender_due(itw_sender *, struct itw_packet *, size_t stride, size_t n, size_t *got, itw_mono now);
/* A session that is complete: Timeout has passed after the scheduled time of its last packet (RFC 4656 §3.8), so that
   Stop-Sessions may be sent; itw_sender_due notices. Told once. ITW_EMPTY: none. */
ITW_MUST itw_status itw_sender_ended(itw_sender *, itw_id *out, uint64_t *user);
/* Nothing more is due of it. next_seqno: the number that would have come next, the session's Number of Packets if it was
   complete; 0 if it wasn't started. May be called again. ITW_ERR_STATE: has no schedule. */
ITW_MUST itw_status itw_sender_stop(itw_sender *, uint32_t *next_seqno, itw_id);

/* id 0: the sums of all sessions that there are and were. */
ITW_MUST itw_status itw_sender_counts(const itw_sender *, itw_id, struct itw_counts *out);

#ifdef __cplusplus
}
#endif
#endif
