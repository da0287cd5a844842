/* SPDX-License-Identifier: BSD-3-Clause */
/* A Server of OWAMP: Stop-Sessions, Fetch-Session and what answers it (RFC 4656 §3.8, 3.9). */

#include "server.h"
#include "abi.h"
#include "conn.h"
#include "octets.h"

/* Without a test no session is to be accounted for, and the command has no place. */
void itwi_server_on_stop_sessions(struct itw_conn *c)
{
  if (c->testing)
    itwi_stop_begin(c);
  else if (itwi_load32(c->in + 4))
    itwi_conn_fail(c, ITW_ERR_STOP_SESSION, 0);
  else
    itwi_server_drain(c, 0, 0, 0, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_UNEXPECTED);
}

void itwi_server_on_fetch(struct itw_conn *c)
{
  struct itw_fetch f;
  if (itw_fetch_read(&f, c->in, ITW_FETCH_LEN) != ITW_OK) return;
  itwi_conn_state(c, ITWI_FETCHING);
  itwi_conn_cancel(c, ITWI_T_SERVWAIT);
  itwi_conn_raise(c, ITW_EV_FETCH);
  c->event.slot = ITW_NO_SLOT;
  c->event.begin = f.begin;
  c->event.end = f.end;
  ITW_INIT(c->event.request);
  memcpy(c->event.request.sid, f.sid, sizeof f.sid);
}

/* Lists follow each other, each with its HMAC. */
static void end_records(struct itw_conn *c)
{
  itwi_part_seal(c);
  if (c->row->state == ITWI_ENDED) return;
  c->role->on_idle(c);
  itwi_conn_raise(c, ITW_EV_FETCHED);
  c->event.slot = ITW_NO_SLOT;
}

static void end_skips(struct itw_conn *c)
{
  itwi_part_seal(c);
  itwi_part_give(c, ITW_DATA_RECORDS, c->fetch.records, end_records);
}

static void end_slots(struct itw_conn *c)
{
  itwi_part_seal(c);
  c->giving.bound = c->fetch.next_seqno;
  itwi_part_give(c, ITW_DATA_SKIPS, c->fetch.skips, end_skips);
}

static void put_request(struct itw_conn *c)
{
  struct itw_request_tw w;
  uint8_t octets[ITW_REQUEST_LEN];
  itwi_request_wire(&w, &c->fetch.request, ITW_OWAMP);
  if (itw_request_tw_write(octets, sizeof octets, &w) == ITW_OK) itwi_part_put(c, octets, sizeof octets);
  itwi_part_seal(c);
  c->giving.slot = ITW_NO_SLOT;
  itwi_part_give(c, ITW_DATA_SLOTS, c->fetch.request.slots, end_slots);
}

static void put_ack(struct itw_conn *c)
{
  struct itw_fetch_ack a = {0, c->fetch.finished, c->fetch.next_seqno, c->fetch.skips, c->fetch.records};
  uint8_t octets[ITW_FETCH_ACK_LEN];
  if (itw_fetch_ack_write(octets, sizeof octets, &a) == ITW_OK) itwi_part_put(c, octets, sizeof octets);
  itwi_part_seal(c);
  c->giving.next = put_request;
}

static void deny(struct itw_conn *c, uint32_t accept)
{
  struct itw_fetch_ack a = {.accept = accept};
  if (itw_fetch_ack_write(c->out, c->buffer, &a) == ITW_OK) itwi_conn_seal(c, ITW_FETCH_ACK_LEN);
  if (c->row->state == ITWI_ENDED) return;
  c->role->on_idle(c);
  itwi_conn_raise(c, ITW_EV_FETCHED);
  c->event.slot = ITW_NO_SLOT;
  c->event.accept = accept;
  c->event.status = ITW_ERR_REFUSED;
}

itw_status itw_server_fetch(itw_conn *c, struct itw_poll *p, const struct itw_fetch_answer *in, itw_mono now)
{
  struct itw_fetch_answer a;
  itw_status st;
  if (!c || !c->server) return ITW_ERR_ARGUMENT;
  st = itwi_abi_in(&a, sizeof a, in, sizeof a);
  if (st == ITW_OK && (a.accept > 255 || a.skips > a.next_seqno)) st = ITW_ERR_ARGUMENT;
  if (st != ITW_OK) return st;
  itwi_conn_enter(c, now);
  if (c->row->state != ITWI_FETCHING || c->giving.next || !itwi_conn_quiet(c)) return itwi_conn_leave(c, p, ITW_ERR_STATE);
  if (a.accept) {
    deny(c, a.accept);
    return itwi_conn_leave(c, p, ITW_OK);
  }
  c->fetch.finished = a.finished;
  c->fetch.next_seqno = a.finished ? a.next_seqno : 0; /* RFC 4656 §3.9 */
  c->fetch.skips = a.finished ? a.skips : 0;
  c->fetch.records = a.records;
  c->fetch.request = a.request;
  c->giving.next = put_ack;
  return itwi_conn_leave(c, p, ITW_OK);
}
