/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_RECORD_H
#define ITW_RECORD_H

/* What an OWAMP session leaves behind: records of its packets, and the ranges that its sender left out. Control carries them,
   measurement makes them. */

#include <ipsectwamp/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Packets that the sender left out (RFC 4656 §3.8). */
struct itw_skip {
  uint32_t first, last;
};
/* What became of a packet (RFC 4656 §3.9); 32 octets. A lost one: received 0, ttl 255, send_error 1. */
struct itw_record {
  uint32_t seq;
  uint16_t send_error, receive_error; /* Error Estimates */
  itw_ntp sent, received;
  uint8_t ttl;
  uint8_t mbz[7];
};

/* Which of a session's records are valid, known when it has ended (RFC 4656 §3.8); itw_receiver_ended gives it. A value:
   it may be kept beside the records, which needn't be touched. */
struct itw_verdict {
  uint32_t size;
  itw_status status; /* ITW_OK; ITW_AGAIN: all packets have come or are lost, but Stop-Sessions hasn't come;
                        ITW_ERR_SEQUENCE: the sender says that it never sent what was received: the whole session is
                        invalid */
  uint32_t below;    /* records of this sequence number and above are to be discarded */
  uint32_t mbz;
};
/* Whether a record is kept, 1 or 0: of a valid session, below `below`, and not said to be lost where the sender skipped.
   skips: the sender's, in order, as Stop-Sessions has them; n may be 0. Streams: looks at one record, at log2 n ranges. */
ITW_API uint32_t itw_verdict_keeps(const struct itw_verdict *, const struct itw_record *, const struct itw_skip *skips, size_t n);

#ifdef __cplusplus
}
#endif
#endif
