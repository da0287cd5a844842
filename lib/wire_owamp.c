/* SPDX-License-Identifier: BSD-3-Clause */
#include "octets.h"
#include <ipsectwamp/wire.h>

/* OWAMP's lists and its Fetch-Session; TWAMP's lists of SIDs. */

/* A schedule slot (RFC 4656 §3.5):  Slot Type 1 | MBZ 7 | Slot Parameter 8 */
itw_status itw_slot_read(struct itw_slot *out, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_slot s = {0};
  s.type = itwi_get8(&r);
  itwi_skip(&r, 7);
  s.parameter = itwi_get64(&r);
  if (r.bad) return ITW_ERR_SHORT;
  *out = s;
  return ITW_OK;
}

itw_status itw_slot_write(uint8_t *out, size_t cap, const struct itw_slot *s)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put8(&w, (uint8_t)s->type);
  itwi_put_mbz(&w, 7);
  itwi_put64(&w, s->parameter);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}

/* A skip range (RFC 4656 §3.8):  First Seqno Skipped 4 | Last Seqno Skipped 4 */
itw_status itw_skip_read(struct itw_skip *out, const uint8_t *octets, size_t len)
{
  if (len < ITW_SKIP_LEN) return ITW_ERR_SHORT;
  out->first = itwi_load32(octets);
  out->last = itwi_load32(octets + 4);
  return ITW_OK;
}

itw_status itw_skip_write(uint8_t *out, size_t cap, const struct itw_skip *s)
{
  if (cap < ITW_SKIP_LEN) return ITW_ERR_TOO_SMALL;
  itwi_store32(out, s->first);
  itwi_store32(out + 4, s->last);
  return ITW_OK;
}

/* A packet record (RFC 4656 §3.9)

     0  | Seq Number 4 | Send Error Estimate 2 | Receive Error Estimate 2
     8  | Send Timestamp 8 | Receive Timestamp 8 | TTL 1                                      */
itw_status itw_record_read(struct itw_record *out, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_record p = {0};
  p.seq = itwi_get32(&r);
  p.send_error = itwi_get16(&r);
  p.receive_error = itwi_get16(&r);
  p.sent = itwi_get64(&r);
  p.received = itwi_get64(&r);
  p.ttl = itwi_get8(&r);
  if (r.bad) return ITW_ERR_SHORT;
  *out = p;
  return ITW_OK;
}

itw_status itw_record_write(uint8_t *out, size_t cap, const struct itw_record *p)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put32(&w, p->seq);
  itwi_put16(&w, p->send_error);
  itwi_put16(&w, p->receive_error);
  itwi_put64(&w, p->sent);
  itwi_put64(&w, p->received);
  itwi_put8(&w, p->ttl);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}

/* Session description record of OWAMP's Stop-Sessions (RFC 4656 §3.8):  SID 16 | Next Seqno 4 | Number of Skip Ranges 4 */
itw_status itw_stop_session_read(struct itw_stop_session *out, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_stop_session s = {0};
  itwi_get(&r, s.sid, sizeof s.sid);
  s.next_seqno = itwi_get32(&r);
  s.skips = itwi_get32(&r);
  if (r.bad) return ITW_ERR_SHORT;
  *out = s;
  return ITW_OK;
}

itw_status itw_stop_session_write(uint8_t *out, size_t cap, const struct itw_stop_session *s)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put(&w, s->sid, sizeof s->sid);
  itwi_put32(&w, s->next_seqno);
  itwi_put32(&w, s->skips);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}

/* Fetch-Session (RFC 4656 §3.9)

     0  | 4 | MBZ 7 | Begin Seq 4 | End Seq 4
    16  | SID 16
    32  | HMAC 16                                                                             */
itw_status itw_fetch_read(struct itw_fetch *out, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_fetch f = {.size = sizeof f};
  itwi_skip(&r, 8);
  f.begin = itwi_get32(&r);
  f.end = itwi_get32(&r);
  itwi_get(&r, f.sid, sizeof f.sid);
  if (r.bad) return ITW_ERR_SHORT;
  *out = f;
  return ITW_OK;
}

itw_status itw_fetch_write(uint8_t *out, size_t cap, const struct itw_fetch *f)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put8(&w, ITW_CMD_FETCH_SESSION);
  itwi_put_mbz(&w, 7);
  itwi_put32(&w, f->begin);
  itwi_put32(&w, f->end);
  itwi_put(&w, f->sid, sizeof f->sid);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}

/* Fetch-Ack (RFC 4656 §3.9)

     0  | Accept 1 | Finished 1 | MBZ 2 | Next Seqno 4 | Number of Skip Ranges 4 | Number of Records 4
    16  | HMAC 16                                                                             */
itw_status itw_fetch_ack_read(struct itw_fetch_ack *out, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_fetch_ack a = {0};
  a.accept = itwi_get8(&r);
  a.finished = itwi_get8(&r) != 0;
  itwi_skip(&r, 2);
  a.next_seqno = itwi_get32(&r);
  a.skips = itwi_get32(&r);
  a.records = itwi_get32(&r);
  if (r.bad) return ITW_ERR_SHORT;
  *out = a;
  return ITW_OK;
}

itw_status itw_fetch_ack_write(uint8_t *out, size_t cap, const struct itw_fetch_ack *a)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put8(&w, (uint8_t)a->accept);
  itwi_put8(&w, a->finished != 0);
  itwi_put_mbz(&w, 2);
  itwi_put32(&w, a->next_seqno);
  itwi_put32(&w, a->skips);
  itwi_put32(&w, a->records);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}

/* Start-N-Sessions, Start-N-Ack, Stop-N-Sessions, Stop-N-Ack (RFC 5938 §3.2 to 3.5)

     0  | Command 1 | Accept 1 | MBZ 10 | Number of Sessions 4                  Accept: MBZ in commands
    16  | SID 16, each
        | HMAC 16                                                                             */
itw_status itw_sessions_read(struct itw_sessions *out, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_sessions s = {0};
  s.command = itwi_get8(&r);
  s.accept = itwi_get8(&r);
  itwi_skip(&r, 10);
  s.sessions = itwi_get32(&r);
  if (r.bad) return ITW_ERR_SHORT;
  *out = s;
  return ITW_OK;
}

itw_status itw_sessions_write(uint8_t *out, size_t cap, const struct itw_sessions *s)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put8(&w, (uint8_t)s->command);
  itwi_put8(&w, (uint8_t)s->accept);
  itwi_put_mbz(&w, 10);
  itwi_put32(&w, s->sessions);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}
