/* SPDX-License-Identifier: BSD-3-Clause */
/* A Server's sessions: Request-TW-Session, Request-Session, and what its caller makes of them. */

#include "server.h"
#include "abi.h"
#include "conn.h"
#include "octets.h"
#include "secret.h"

enum { BOTH = ITW_CONF_SENDER | ITW_CONF_RECEIVER };

static void address(struct itw_addr *out, const struct itw_addr *own, uint32_t ipvn, const uint8_t ip[16], uint32_t port)
{
  *out = *own;
  out->port = (uint16_t)port;
  if (itwi_is_zero(ip, 16)) return;
  out->family = (uint16_t)ipvn;
  memset(out->ip, 0, sizeof out->ip);
  memcpy(out->ip, ip, ipvn == 4 ? 4 : 16);
}

/* Whether an address is the connection's own; one that the caller didn't tell us can't be compared. */
static bool is_own(const struct itw_addr *a, const struct itw_addr *own)
{
  return !own->family || (a->family == own->family && !memcmp(a->ip, own->ip, sizeof a->ip));
}

/* Numbers that must be in their bounds. */
static itw_status weigh_numbers(const struct itw_conn *c, const struct itw_request_tw *w, uint32_t *accept)
{
  const struct itw_server_config *g = &c->server->config;
  bool owamp = c->protocol == ITW_OWAMP, sends = !owamp || w->conf_sender; /* the Server */
  *accept = ITW_ACCEPT_UNSUPPORTED;
  if (w->ipvn != 4 && w->ipvn != 6) return ITW_ERR_REQUEST;
  if (owamp ? !w->conf_sender && !w->conf_receiver : w->conf_sender | w->conf_receiver | w->slots | w->packets) return ITW_ERR_REQUEST;
  if (sends && w->type_p >> 30) return ITW_ERR_REQUEST;
  if (!w->conf_sender && !w->sender_port) return ITW_ERR_REQUEST;
  if (owamp && !w->conf_receiver && !w->receiver_port) return ITW_ERR_REQUEST;
  if (w->padding > g->max_padding || w->padding < itwi_conn_least_padding(c, w->reflect)) return ITW_ERR_PADDING;
  if (!owamp) return ITW_OK;
  if (!w->packets) return ITW_ERR_PACKETS;
  *accept = ITW_ACCEPT_PERMANENT;
  return w->packets > g->max_packets ? ITW_ERR_PACKETS : ITW_OK;
}

/* Who sends and who receives is said by conf; the other end is the Client's, but where policy allows others (RFC 4656 §6.2). */
static itw_status weigh_addresses(const struct itw_conn *c, struct itw_request *q, const struct itw_request_tw *w)
{
  const struct itw_addr *local = &c->asking.ask.local, *remote = &c->asking.ask.remote;
  const struct itw_addr *sender = w->conf_sender ? local : remote;
  const struct itw_addr *receiver = c->protocol == ITW_TWAMP || w->conf_receiver ? local : remote;
  bool any = c->server->config.flags & ITW_SERVER_ANY_ADDRESS;
  address(&q->sender, sender, w->ipvn, w->sender, w->sender_port);
  address(&q->receiver, receiver, w->ipvn, w->receiver, w->receiver_port);
  if (q->sender.family != q->receiver.family || (q->sender.family && q->sender.family != w->ipvn)) return ITW_ERR_ADDRESS;
  return any || (is_own(&q->sender, sender) && is_own(&q->receiver, receiver)) ? ITW_OK : ITW_ERR_ADDRESS;
}

/* What the session would be, addresses resolved; ITW_OK or why not, and the Accept value for it. */
static itw_status weigh(const struct itw_conn *c, struct itw_request *q, const struct itw_request_tw *w, uint32_t *accept)
{
  itw_status st = weigh_numbers(c, w, accept);
  if (st != ITW_OK) return st;
  itwi_request_take(q, w);
  if (q->conf != ITW_CONF_SENDER) memset(q->sid, 0, sizeof q->sid); /* ours to make */
  if (!(c->choice.features & ITW_FEATURE_REFLECT)) q->reflect = q->reflect_octets[0] = q->reflect_octets[1] = 0;
  *accept = ITW_ACCEPT_FAILURE;
  st = weigh_addresses(c, q, w);
  if (st == ITW_OK && q->conf == ITW_CONF_SENDER && itwi_slot_of(c, q->sid) != ITW_NO_SLOT) st = ITW_ERR_SID;
  return st;
}

/* The request is whole, its HMACs were good. */
static void decide(struct itw_conn *c)
{
  struct itwi_conn_slot *slot = &c->slots[c->slot];
  const struct itw_slot *slots = itwi_conn_slots_of(c, c->slot);
  for (uint32_t i = 0; i < slot->request.slots; i++) {
    if (slots[i].type <= ITW_SLOT_FIXED) continue;
    itw_wipe(slot, sizeof *slot);
    itwi_server_refuse(c, ITW_NO_SLOT, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_SLOTS);
    return;
  }
  itwi_conn_state(c, ITWI_REQUESTED);
  itwi_conn_cancel(c, ITWI_T_SERVWAIT);
  itwi_conn_raise(c, ITW_EV_REQUEST);
  c->event.slot = c->slot;
  c->event.request = slot->request;
}

static void keep_slot(struct itw_conn *c, const uint8_t *octets)
{
  struct itw_slot *slot = &itwi_conn_slots_of(c, c->slot)[c->taking.index];
  if (itw_slot_read(slot, octets, ITW_SLOT_LEN) != ITW_OK) itwi_conn_fail(c, ITW_ERR_INTERNAL, 0);
}

/* OWAMP: the slots, and the HMAC behind them. */
static void read_slots(struct itw_conn *c, const struct itw_request_tw *w)
{
  c->taking.sink = keep_slot;
  itwi_part_take_sealed(c, ITW_DATA_SLOTS, w->slots, decide);
}

void itwi_server_on_request(struct itw_conn *c)
{
  struct itw_request_tw w;
  struct itw_request q;
  uint32_t accept = ITW_ACCEPT_UNSUPPORTED, at = itwi_conn_free_slot(c);
  bool owamp = c->protocol == ITW_OWAMP;
  itw_status st = itw_request_tw_read(&w, c->in, ITW_REQUEST_LEN);
  if (st == ITW_OK) st = weigh(c, &q, &w, &accept);
  if (st == ITW_OK && owamp && (!w.slots || w.slots > c->schedule_slots)) {
    st = ITW_ERR_SLOTS;
    accept = w.slots ? ITW_ACCEPT_PERMANENT : ITW_ACCEPT_UNSUPPORTED;
  }
  if (st == ITW_OK && at == c->sessions) {
    st = ITW_ERR_FULL;
    accept = ITW_ACCEPT_TEMPORARY;
  }
  if (st != ITW_OK && owamp) {
    itwi_server_drain(c, 16 * (uint64_t)w.slots, 0, 0, accept, st); /* whole, with its HMAC */
  } else if (st != ITW_OK) {
    itwi_server_refuse(c, ITW_NO_SLOT, accept, st);
  } else {
    c->slots[at].request = q;
    c->slots[at].state = ITWI_ASKED;
    c->slot = at;
    if (owamp)
      read_slots(c, &w);
    else
      decide(c);
  }
}

static void no_session(struct itw_conn *c, uint32_t accept, itw_status why)
{
  itw_wipe(&c->slots[c->slot], sizeof c->slots[c->slot]);
  itwi_server_refuse(c, c->slot, accept, why);
}

/* The keys are there, or are made now; n: the answer to ITW_ASK_SID_PAIR, or NULL. */
void itwi_server_ready(struct itw_conn *c, const uint8_t sid[16], const struct itw_answer *n)
{
  struct itwi_conn_slot *slot = &c->slots[c->slot];
  itw_status st = n && n->kind == ITW_ANS_NONE ? itwi_answer_why(&c->asking.ask, n) : itwi_conn_session(c, slot, sid, n);
  if (st != ITW_OK) {
    no_session(c, n && n->kind == ITW_ANS_NONE && st != ITW_ERR_KEY_PROVIDER ? ITW_ACCEPT_FAILURE : ITW_ACCEPT_INTERNAL, st);
    return;
  }
  slot->state = ITWI_READY;
  itwi_conn_raise(c, ITW_EV_READY);
  c->event.slot = c->slot;
  c->event.request = slot->request;
}

/* Ports and SID; ITW_ERR_ARGUMENT: an offer that doesn't fit what was asked for. */
static itw_status take_offer(struct itwi_conn_slot *slot, const struct itw_offer *o)
{
  struct itw_request *q = &slot->request;
  if (!o->port || o->port > 65535 || o->sender_port > 65535 || (q->conf == BOTH) != (o->sender_port != 0)) return ITW_ERR_ARGUMENT;
  slot->port = q->conf == BOTH ? 0 : o->port; /* then Port is unused (RFC 4656 §3.5) */
  if (q->conf == ITW_CONF_SENDER) {
    if (o->receiver.family) q->sender = o->receiver;
    q->sender.port = (uint16_t)o->port;
    return ITW_OK;
  }
  if (o->receiver.family) q->receiver = o->receiver;
  q->receiver.port = (uint16_t)o->port;
  if (q->conf == BOTH) q->sender.port = (uint16_t)o->sender_port;
  itw_sid_make(q->sid, &q->receiver, o->wall, o->random);
  return ITW_OK;
}

itw_status itw_server_prepare(itw_conn *c, struct itw_poll *p, uint32_t at, const struct itw_offer *in, itw_mono now)
{
  struct itw_offer o;
  struct itwi_conn_slot *slot;
  itw_status st;
  if (!c || !c->server || at >= c->sessions) return ITW_ERR_ARGUMENT;
  st = itwi_abi_in(&o, sizeof o, in, sizeof o);
  if (st != ITW_OK) return st;
  itwi_conn_enter(c, now);
  slot = &c->slots[at];
  if (c->row->state != ITWI_REQUESTED || at != c->slot || slot->state != ITWI_ASKED || !itwi_conn_quiet(c))
    return itwi_conn_leave(c, p, ITW_ERR_STATE);
  st = take_offer(slot, &o);
  if (st != ITW_OK) return itwi_conn_leave(c, p, st);
  memcpy(slot->request.server_octets, c->server->config.server_octets, sizeof slot->request.server_octets);
  if (!(c->choice.features & ITW_FEATURE_REFLECT)) memset(slot->request.server_octets, 0, sizeof slot->request.server_octets);
  slot->state = ITWI_PREPARING;
  if (!itwi_conn_ask_sid(c, slot->request.sid)) itwi_server_ready(c, slot->request.sid, NULL);
  return itwi_conn_leave(c, p, ITW_OK);
}

static void accept_slot(struct itw_conn *c, struct itwi_conn_slot *slot)
{
  struct itw_accept_session a = {.port = slot->port};
  memcpy(a.sid, slot->request.sid, sizeof a.sid);
  memcpy(a.reflected_octets, slot->request.reflect_octets, sizeof a.reflected_octets);
  memcpy(a.server_octets, slot->request.server_octets, sizeof a.server_octets);
  itwi_server_accept(c, 0, &a);
  slot->state = ITWI_ACCEPTED;
}

itw_status itw_server_answer(itw_conn *c, struct itw_poll *p, uint32_t at, uint32_t accept, itw_mono now)
{
  struct itwi_conn_slot *slot;
  if (!c || !c->server || at >= c->sessions || accept > 255) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  slot = &c->slots[at];
  if (c->row->state != ITWI_REQUESTED || at != c->slot || !itwi_conn_quiet(c) || slot->state == ITWI_PREPARING)
    return itwi_conn_leave(c, p, ITW_ERR_STATE);
  if (slot->state == ITWI_ASKED && !accept) return itwi_conn_leave(c, p, ITW_ERR_STATE);
  if (accept) {
    itwi_server_accept(c, accept, NULL);
    itw_wipe(slot, sizeof *slot);
  } else {
    accept_slot(c, slot);
  }
  if (c->row->state != ITWI_ENDED) c->role->on_idle(c);
  return itwi_conn_leave(c, p, ITW_OK);
}
