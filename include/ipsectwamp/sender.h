/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_SENDER_H
#define ITW_SENDER_H

/* Session-Sender of TWAMP (RFC 5357 §4.1): a shard of sessions. When to send is the caller's choice.

     to send:      fill items (id, off, cap)
                   itw_sender_write(...)     numbers and builds; in authenticated mode all the cryptography
                   sent = now
                   itw_sender_stamp(...)     timestamp; in encrypted mode the cryptography
                   send base[off .. off + len) to remote, with ttl and tos as in the item
     on readable:  fill items (off, len, received, ttl, remote, local), id 0
                   itw_sender_read(...)      verifies and takes apart
*/

#include <ipsectwamp/packet.h>

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
/* A reply, taken apart; 80 octets. Timestamps are as on the wire. */
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
  uint8_t mbz[1];
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
   only with ITW_OK. */
ITW_MUST itw_status itw_sender_write(itw_sender *, uint8_t *base, size_t base_len, struct itw_packet *, size_t stride, size_t n);
/* Finishes packets [0, n) whose status is ITW_OK with their `sent` and `error`. */
ITW_MUST itw_status itw_sender_stamp(itw_sender *, uint8_t *base, size_t base_len, struct itw_packet *, size_t stride, size_t n);
/* Takes packets [0, n) that arrived. replies[i] belongs to packet i and is written where status is ITW_OK; else status is
   ITW_ERR_NO_SESSION, _SHORT, _HMAC, _MULTIPLIER, _SEQUENCE. The packets' octets stay as they came. */
ITW_MUST itw_status itw_sender_read(itw_sender *, const uint8_t *base, size_t base_len, struct itw_packet *, size_t stride,
                                    struct itw_reply *replies, size_t reply_stride, size_t n);

/* id 0: the sums of all sessions that there are and were. */
ITW_MUST itw_status itw_sender_counts(const itw_sender *, itw_id, struct itw_counts *out);

#ifdef __cplusplus
}
#endif
#endif
