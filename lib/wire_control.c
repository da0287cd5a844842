/* SPDX-License-Identifier: BSD-3-Clause */
#include "octets.h"
#include <ipsectwamp/wire.h>

/* Request-TW-Session (RFC 5357 §3.5), and the first part of Request-Session (RFC 4656 §3.5)

     0  | 5 or 1 | MBZ 4 bits, IPVN 4 bits | Conf-Sender 1 | Conf-Receiver 1 | Number of Schedule Slots 4 | Number of Packets 4
    12  | Sender Port 2 | Receiver Port 2
    16  | Sender Address 16                  an IPv4 address stands in the first four octets
    32  | Receiver Address 16
    48  | SID 16                             zero: the Server chooses
    64  | Padding Length 4
    68  | Start Time 8 | Timeout 8
    84  | Type-P Descriptor 4 | Octets to be reflected 2 | Length of padding to reflect 2 | MBZ 4     88 to 91: RFC 6038 §4.2
    96  | HMAC 16                                                                             */
itw_status itw_request_tw_read(struct itw_request_tw *out, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_request_tw q = {0};
  q.command = itwi_get8(&r);
  q.ipvn = itwi_get8(&r) & 15u;
  q.conf_sender = itwi_get8(&r);
  q.conf_receiver = itwi_get8(&r);
  q.slots = itwi_get32(&r);
  q.packets = itwi_get32(&r);
  q.sender_port = itwi_get16(&r);
  q.receiver_port = itwi_get16(&r);
  itwi_get(&r, q.sender, sizeof q.sender);
  itwi_get(&r, q.receiver, sizeof q.receiver);
  itwi_get(&r, q.sid, sizeof q.sid);
  q.padding = itwi_get32(&r);
  q.start = itwi_get64(&r);
  q.timeout = itwi_get64(&r);
  q.type_p = itwi_get32(&r);
  itwi_get(&r, q.reflect_octets, sizeof q.reflect_octets);
  q.reflect = itwi_get16(&r);
  itwi_skip(&r, 4);
  if (r.bad) return ITW_ERR_SHORT;
  *out = q;
  return ITW_OK;
}

itw_status itw_request_tw_write(uint8_t *out, size_t cap, const struct itw_request_tw *q)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put8(&w, q->command ? (uint8_t)q->command : ITW_CMD_REQUEST_TW_SESSION);
  itwi_put8(&w, (uint8_t)(q->ipvn & 15u));
  itwi_put8(&w, (uint8_t)q->conf_sender);
  itwi_put8(&w, (uint8_t)q->conf_receiver);
  itwi_put32(&w, q->slots);
  itwi_put32(&w, q->packets);
  itwi_put16(&w, (uint16_t)q->sender_port);
  itwi_put16(&w, (uint16_t)q->receiver_port);
  itwi_put(&w, q->sender, sizeof q->sender);
  itwi_put(&w, q->receiver, sizeof q->receiver);
  itwi_put(&w, q->sid, sizeof q->sid);
  itwi_put32(&w, q->padding);
  itwi_put64(&w, q->start);
  itwi_put64(&w, q->timeout);
  itwi_put32(&w, q->type_p);
  itwi_put(&w, q->reflect_octets, sizeof q->reflect_octets);
  itwi_put16(&w, (uint16_t)q->reflect);
  itwi_put_mbz(&w, 4);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}

/* Accept-Session (RFC 4656 §3.5, RFC 5357 §3.5)

     0  | Accept 1 | MBZ 1 | Port 2 | SID 16
    20  | Reflected octets 2 | Server octets 2 | MBZ 8                                        20 to 23: RFC 6038 §4.3
    32  | HMAC 16                                                                             */
itw_status itw_accept_session_read(struct itw_accept_session *out, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_accept_session a = {0};
  a.accept = itwi_get8(&r);
  itwi_skip(&r, 1);
  a.port = itwi_get16(&r);
  itwi_get(&r, a.sid, sizeof a.sid);
  itwi_get(&r, a.reflected_octets, sizeof a.reflected_octets);
  itwi_get(&r, a.server_octets, sizeof a.server_octets);
  itwi_skip(&r, 8);
  if (r.bad) return ITW_ERR_SHORT;
  *out = a;
  return ITW_OK;
}

itw_status itw_accept_session_write(uint8_t *out, size_t cap, const struct itw_accept_session *a)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put8(&w, (uint8_t)a->accept);
  itwi_put_mbz(&w, 1);
  itwi_put16(&w, (uint16_t)a->port);
  itwi_put(&w, a->sid, sizeof a->sid);
  itwi_put(&w, a->reflected_octets, sizeof a->reflected_octets);
  itwi_put(&w, a->server_octets, sizeof a->server_octets);
  itwi_put_mbz(&w, 8);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}

/* Start-Sessions (RFC 4656 §3.7):  2 | MBZ 15 | HMAC 16 */
itw_status itw_start_sessions_write(uint8_t *out, size_t cap)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put8(&w, ITW_CMD_START_SESSIONS);
  itwi_put_mbz(&w, 15);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}

/* Start-Ack (RFC 4656 §3.7):  Accept 1 | MBZ 15 | HMAC 16 */
itw_status itw_start_ack_read(uint32_t *accept, const uint8_t *octets, size_t len)
{
  if (len < ITW_START_ACK_LEN) return ITW_ERR_SHORT;
  *accept = octets[0];
  return ITW_OK;
}

itw_status itw_start_ack_write(uint8_t *out, size_t cap, uint32_t accept)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put8(&w, (uint8_t)accept);
  itwi_put_mbz(&w, 15);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}

/* Stop-Sessions (RFC 5357 §3.8); OWAMP's goes on (wire_owamp.c):  3 | Accept 1 | MBZ 2 | Number of Sessions 4 | MBZ 8 | HMAC 16 */
itw_status itw_stop_sessions_read(struct itw_stop_sessions *out, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_stop_sessions s = {0};
  itwi_skip(&r, 1);
  s.accept = itwi_get8(&r);
  itwi_skip(&r, 2);
  s.sessions = itwi_get32(&r);
  itwi_skip(&r, 8);
  if (r.bad) return ITW_ERR_SHORT;
  *out = s;
  return ITW_OK;
}

itw_status itw_stop_sessions_write(uint8_t *out, size_t cap, const struct itw_stop_sessions *s)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put8(&w, ITW_CMD_STOP_SESSIONS);
  itwi_put8(&w, (uint8_t)s->accept);
  itwi_put_mbz(&w, 2);
  itwi_put32(&w, s->sessions);
  itwi_put_mbz(&w, 8);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}
