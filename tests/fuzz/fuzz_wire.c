/* SPDX-License-Identifier: BSD-3-Clause */
/* Readers of control messages and test packets: no octet beyond the end, and what was read and written again reads the same. */

#include <ipsectwamp/wire.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads, writes, reads: zeroed first, so that the structs may be compared as octets. */
#define THERE_AND_BACK(type, read, write)                                  \
  do {                                                                     \
    type a, b;                                                             \
    memset(&a, 0, sizeof a);                                               \
    memset(&b, 0, sizeof b);                                               \
    if ((read(&a, data, size)) != ITW_OK) break;                           \
    if ((write(out, sizeof out, &a)) != ITW_OK) abort();                   \
    if ((read(&b, out, sizeof out)) != ITW_OK) abort();                    \
    if (memcmp(&a, &b, sizeof a)) abort();                                 \
  } while (0)

#define GREETING(out, data, size) itw_greeting_read(out, form, data, size)
#define SETUP(out, data, size) itw_setup_read(out, form, data, size)
#define SENDER(out, data, size) itw_sender_packet_read(out, secure, data, size)
#define SENDER_OUT(out, cap, p) itw_sender_packet_write(out, cap, secure, p)
#define REFLECTOR(out, data, size) itw_reflector_packet_read(out, secure, data, size)
#define REFLECTOR_OUT(out, cap, p) itw_reflector_packet_write(out, cap, secure, p)
/* Writing takes command 0 as Request-TW-Session. */
#define REQUEST(out, data, size) (size && data[0] ? itw_request_tw_read(out, data, size) : ITW_ERR_SHORT)
#define START_ACK_OUT(out, cap, p) itw_start_ack_write(out, cap, *(p))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  uint8_t out[256];
  memset(out, 0, sizeof out);
  for (uint32_t form = ITW_FORM_FULL; form <= ITW_FORM_DIRECT; form++) {
    THERE_AND_BACK(struct itw_greeting, GREETING, itw_greeting_write);
    THERE_AND_BACK(struct itw_setup, SETUP, itw_setup_write);
  }
  for (uint32_t secure = 0; secure <= 1; secure++) {
    THERE_AND_BACK(struct itw_sender_packet, SENDER, SENDER_OUT);
    THERE_AND_BACK(struct itw_reflector_packet, REFLECTOR, REFLECTOR_OUT);
  }
  THERE_AND_BACK(uint32_t, itw_start_ack_read, START_ACK_OUT);
  THERE_AND_BACK(struct itw_server_start, itw_server_start_read, itw_server_start_write);
  THERE_AND_BACK(struct itw_request_tw, REQUEST, itw_request_tw_write);
  THERE_AND_BACK(struct itw_accept_session, itw_accept_session_read, itw_accept_session_write);
  THERE_AND_BACK(struct itw_stop_sessions, itw_stop_sessions_read, itw_stop_sessions_write);
  THERE_AND_BACK(struct itw_slot, itw_slot_read, itw_slot_write);
  THERE_AND_BACK(struct itw_skip, itw_skip_read, itw_skip_write);
  THERE_AND_BACK(struct itw_record, itw_record_read, itw_record_write);
  THERE_AND_BACK(struct itw_stop_session, itw_stop_session_read, itw_stop_session_write);
  THERE_AND_BACK(struct itw_fetch, itw_fetch_read, itw_fetch_write);
  THERE_AND_BACK(struct itw_fetch_ack, itw_fetch_ack_read, itw_fetch_ack_write);
  THERE_AND_BACK(struct itw_sessions, itw_sessions_read, itw_sessions_write);
  return 0;
}
