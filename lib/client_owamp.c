/* SPDX-License-Identifier: BSD-3-Clause */
/* Control-Client of OWAMP: Fetch-Session and what answers it (RFC 4656 §3.9). */

#include "client.h"
#include "abi.h"

itw_status itw_client_fetch(itw_conn *c, struct itw_poll *p, const struct itw_fetch *in, itw_mono now)
{
  struct itw_fetch f;
  itw_status st;
  if (!itwi_is_client(c)) return ITW_ERR_ARGUMENT;
  st = itwi_abi_in(&f, sizeof f, in, sizeof f);
  if (st == ITW_OK && (f.mbz || f.begin > f.end)) st = ITW_ERR_ARGUMENT;
  if (st != ITW_OK) return st;
  itwi_conn_enter(c, now);
  if (c->protocol != ITW_OWAMP || !itwi_client_idle(c) || c->testing) return itwi_conn_leave(c, p, ITW_ERR_STATE);
  st = itw_fetch_write(c->out, c->buffer, &f);
  if (st != ITW_OK) return itwi_conn_leave(c, p, st);
  itwi_conn_state(c, ITWI_FETCH_ACK);
  itwi_conn_seal(c, ITW_FETCH_LEN);
  itwi_conn_timer(c, ITWI_T_ANSWER, ITWI_ANSWER_NS);
  return itwi_conn_leave(c, p, ITW_OK);
}

static void fetched(struct itw_conn *c, itw_status st, uint32_t accept)
{
  c->role->on_idle(c);
  itwi_conn_raise(c, ITW_EV_FETCHED);
  c->event.slot = ITW_NO_SLOT;
  c->event.status = st;
  c->event.accept = accept;
}

void itwi_client_on_fetch_ack(struct itw_conn *c)
{
  struct itw_fetch_ack a;
  if (!itwi_conn_open(c, ITW_FETCH_ACK_LEN) || itw_fetch_ack_read(&a, c->in, ITW_FETCH_ACK_LEN) != ITW_OK) return;
  if (a.accept) {
    fetched(c, ITW_ERR_REFUSED, a.accept);
    return;
  }
  c->fetch.finished = a.finished;
  c->fetch.next_seqno = a.next_seqno;
  c->fetch.skips = a.skips;
  c->fetch.records = a.records;
  itwi_conn_next(c);
  itwi_conn_timer(c, ITWI_T_MESSAGE, c->message_ns);
}

static void on_records(struct itw_conn *c) { fetched(c, ITW_OK, 0); }

static void on_skips(struct itw_conn *c) { itwi_part_take_sealed(c, ITW_DATA_RECORDS, c->fetch.records, on_records); }

static void on_slots(struct itw_conn *c)
{
  c->taking.slot = ITW_NO_SLOT;
  c->taking.bound = c->fetch.next_seqno;
  itwi_part_take_sealed(c, ITW_DATA_SKIPS, c->fetch.skips, on_skips);
}

static void address(struct itw_addr *out, uint32_t ipvn, const uint8_t ip[16], uint32_t port)
{
  memset(out, 0, sizeof *out);
  out->family = ipvn == 6 ? 6 : 4;
  out->port = (uint16_t)port;
  memcpy(out->ip, ip, ipvn == 6 ? 16 : 4);
}

/* The Request-Session as it ran; slots, skip ranges and records follow, each list with its HMAC. */
void itwi_client_on_fetch_request(struct itw_conn *c)
{
  struct itw_request_tw w;
  if (!itwi_conn_open(c, ITW_REQUEST_LEN) || itw_request_tw_read(&w, c->in, ITW_REQUEST_LEN) != ITW_OK) return;
  itwi_conn_raise(c, ITW_EV_FETCH);
  itwi_request_take(&c->event.request, &w);
  address(&c->event.request.sender, w.ipvn, w.sender, w.sender_port);
  address(&c->event.request.receiver, w.ipvn, w.receiver, w.receiver_port);
  c->event.slot = ITW_NO_SLOT;
  c->event.finished = c->fetch.finished;
  c->event.next_seqno = c->fetch.next_seqno;
  c->event.skips = c->fetch.skips;
  c->event.records = c->fetch.records;
  itwi_conn_label(c, ITW_MSG_FETCHED_DATA, ITW_STATE_FETCHING);
  c->taking.slot = ITW_NO_SLOT;
  itwi_part_take_sealed(c, ITW_DATA_SLOTS, w.slots, on_slots);
}
