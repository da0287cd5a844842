/* SPDX-License-Identifier: BSD-3-Clause */
/* Control-Client: Request-TW-Session and Request-Session, and Accept-Session. */

#include "client.h"
#include "abi.h"
#include "octets.h"

enum { BOTH = ITW_CONF_SENDER | ITW_CONF_RECEIVER, FLAGS = ITW_SESSION_ZERO_PADDING | ITW_SESSION_PTP };

/* ---- asking ---- */

/* Addresses that weren't given are those of the connection: of the end that sends, or receives. */
static void resolve(const struct itw_conn *c, struct itw_request *q)
{
  const struct itw_addr *local = &c->asking.ask.local, *remote = &c->asking.ask.remote;
  bool receives = c->protocol == ITW_TWAMP || q->conf & ITW_CONF_RECEIVER; /* the Server */
  uint16_t sender_port = q->sender.port, receiver_port = q->receiver.port;
  if (!q->sender.family) q->sender = q->conf & ITW_CONF_SENDER ? *remote : *local;
  if (!q->receiver.family) q->receiver = receives ? *remote : *local;
  q->sender.port = sender_port;
  q->receiver.port = receiver_port;
}

/* What only one of the protocols has, or what wasn't agreed on, isn't asked for. */
static itw_status check(const struct itw_conn *c, struct itw_request *q)
{
  bool owamp = c->protocol == ITW_OWAMP;
  if (q->flags & ~(uint32_t)FLAGS || q->dscp > 63 || q->mbz || q->type_p) return ITW_ERR_ARGUMENT;
  if (owamp ? !q->conf || q->conf & ~(uint32_t)BOTH || !q->packets : q->conf | q->packets | q->slots) return ITW_ERR_ARGUMENT;
  if (!(q->conf & ITW_CONF_SENDER) && !q->sender.port) return ITW_ERR_ARGUMENT;
  if (owamp && !(q->conf & ITW_CONF_RECEIVER) && !q->receiver.port) return ITW_ERR_ARGUMENT;
  if (!(c->choice.features & ITW_FEATURE_PTP)) q->flags &= ~(uint32_t)ITW_SESSION_PTP;
  if (!(c->choice.features & ITW_FEATURE_REFLECT)) q->reflect = q->reflect_octets[0] = q->reflect_octets[1] = 0;
  if (q->padding < itwi_conn_least_padding(c, q->reflect)) return ITW_ERR_PADDING;
  memset(q->server_octets, 0, sizeof q->server_octets);
  if (q->conf != ITW_CONF_SENDER) memset(q->sid, 0, sizeof q->sid); /* the Server makes it */
  if (!q->timeout) q->timeout = UINT64_C(2) << 32;
  return ITW_OK;
}

/* The request with its addresses resolved, and as it is written: zero addresses where it has none. */
static itw_status prepare(const struct itw_conn *c, struct itw_request_tw *w, struct itw_request *q)
{
  itw_status st = check(c, q);
  if (st != ITW_OK) return st;
  itwi_request_wire(w, q, c->protocol);
  resolve(c, q);
  w->ipvn = q->sender.family == 6 ? 6 : 4;
  return q->sender.family == q->receiver.family ? ITW_OK : ITW_ERR_ARGUMENT;
}

/* The second part of Request-Session: slots and an HMAC of their own. */
static void put_slots(struct itw_conn *c)
{
  const struct itwi_conn_slot *slot = &c->slots[c->slot];
  const struct itw_slot *slots = itwi_conn_slots_of(c, c->slot);
  uint8_t octets[ITW_SLOT_LEN];
  for (uint32_t n = 0; n < ITWI_PART_ROOM / ITW_SLOT_LEN; n++, c->giving.index++) {
    if (c->giving.index == slot->request.slots) {
      itwi_part_seal(c);
      return;
    }
    if (itw_slot_write(octets, sizeof octets, &slots[c->giving.index]) == ITW_OK) itwi_part_put(c, octets, sizeof octets);
  }
  c->giving.next = put_slots;
}

static itw_status request(struct itw_conn *c, uint32_t *slot, struct itw_request *q, const struct itw_slot *slots)
{
  struct itw_request_tw w;
  uint32_t at = itwi_conn_free_slot(c);
  itw_status st;
  if (!itwi_client_idle(c) || c->testing) return ITW_ERR_STATE;
  if (at == c->sessions) return ITW_ERR_FULL;
  st = prepare(c, &w, q);
  if (st == ITW_OK) st = itw_request_tw_write(c->out, c->buffer, &w);
  if (st != ITW_OK) return st;
  c->slots[at].request = *q;
  c->slots[at].state = ITWI_ASKED;
  if (slots) memcpy(itwi_conn_slots_of(c, at), slots, q->slots * sizeof *slots);
  c->slot = *slot = at;
  itwi_conn_state(c, ITWI_ACCEPT_SESSION);
  itwi_conn_seal(c, ITW_REQUEST_LEN);
  c->giving.index = 0;
  if (slots) c->giving.next = put_slots;
  itwi_conn_timer(c, ITWI_T_ANSWER, ITWI_ANSWER_NS);
  return ITW_OK;
}

itw_status itw_client_request(itw_conn *c, struct itw_poll *p, uint32_t *slot, const struct itw_request *in, itw_mono now)
{
  struct itw_request q;
  itw_status st;
  if (!itwi_is_client(c) || !slot) return ITW_ERR_ARGUMENT;
  st = itwi_abi_in(&q, sizeof q, in, sizeof q);
  if (st != ITW_OK) return st;
  itwi_conn_enter(c, now);
  return itwi_conn_leave(c, p, c->protocol == ITW_TWAMP ? request(c, slot, &q, NULL) : ITW_ERR_STATE);
}

itw_status itw_client_request_session(itw_conn *c, struct itw_poll *p, uint32_t *slot, const struct itw_request *in,
                                      const struct itw_slot *slots, size_t n, itw_mono now)
{
  struct itw_request q;
  itw_status st;
  if (!itwi_is_client(c) || !slot || !slots) return ITW_ERR_ARGUMENT;
  st = itwi_abi_in(&q, sizeof q, in, sizeof q);
  if (st != ITW_OK) return st;
  if (!n || n > c->schedule_slots) return ITW_ERR_ARGUMENT;
  for (size_t i = 0; i < n; i++)
    if (slots[i].type > ITW_SLOT_FIXED || slots[i].mbz) return ITW_ERR_ARGUMENT;
  q.slots = (uint32_t)n;
  itwi_conn_enter(c, now);
  return itwi_conn_leave(c, p, c->protocol == ITW_OWAMP ? request(c, slot, &q, slots) : ITW_ERR_STATE);
}

/* ---- the answer ---- */

void itwi_client_accepted(struct itw_conn *c, const uint8_t sid[16], const struct itw_answer *n)
{
  struct itwi_conn_slot *slot = &c->slots[c->slot];
  itw_status st = itwi_conn_session(c, slot, sid, n);
  if (st != ITW_OK) {
    itwi_conn_fail(c, st, 0);
    return;
  }
  slot->state = ITWI_ACCEPTED;
  itwi_conn_state(c, ITWI_CLIENT_IDLE);
  itwi_conn_raise(c, ITW_EV_ACCEPTED);
  c->event.slot = c->slot;
  c->event.request = slot->request;
}

static void refused(struct itw_conn *c, uint32_t accept)
{
  itw_wipe(&c->slots[c->slot], sizeof c->slots[c->slot]);
  itwi_conn_next(c);
  itwi_conn_raise(c, ITW_EV_REFUSED);
  c->event.slot = c->slot;
  c->event.accept = accept;
  c->event.status = ITW_ERR_REFUSED;
}

/* What Port and SID mean depends on what was asked for (RFC 4656 §3.5). */
static itw_status take_answer(const struct itw_conn *c, struct itw_request *q, const struct itw_accept_session *a)
{
  if (!a->port && q->conf != BOTH) return ITW_ERR_PORT;
  if (q->conf == ITW_CONF_SENDER)
    q->sender.port = (uint16_t)a->port;
  else if (q->conf != BOTH)
    q->receiver.port = (uint16_t)a->port;
  if (q->conf != ITW_CONF_SENDER) memcpy(q->sid, a->sid, sizeof q->sid);
  if (!(c->choice.features & ITW_FEATURE_REFLECT)) return ITW_OK;
  memcpy(q->server_octets, a->server_octets, sizeof q->server_octets);
  return memcmp(a->reflected_octets, q->reflect_octets, sizeof q->reflect_octets) ? ITW_ERR_REFLECT : ITW_OK;
}

void itwi_client_on_accept_session(struct itw_conn *c)
{
  struct itw_accept_session a;
  struct itw_request *q = &c->slots[c->slot].request;
  itw_status st;
  if (!itwi_conn_open(c, ITW_ACCEPT_LEN)) return;
  if (itw_accept_session_read(&a, c->in, ITW_ACCEPT_LEN) != ITW_OK) return;
  if (a.accept) {
    refused(c, a.accept);
    return;
  }
  st = take_answer(c, q, &a);
  if (st != ITW_OK) {
    itwi_conn_fail(c, st, 0);
    return;
  }
  itwi_conn_state(c, ITWI_SID_KEYS);
  if (q->conf == BOTH || !itwi_conn_ask_sid(c, q->sid)) itwi_client_accepted(c, q->sid, NULL);
}
