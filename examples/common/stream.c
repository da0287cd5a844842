/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "inside.h"

#include "addr.h"
#include "clock.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SLOTS = 16, WINDOW = 8192, TAKEN = 64 };
static const uint64_t late_ns = 500 * NS_PER_MS; /* our Stop-Sessions after the last Timeout */

static struct stream *stream_of(const struct visit *v, uint32_t slot)
{
  struct stream *s = v->streams;
  while (s && s->slot != slot) s = s->next;
  return s;
}

/* ---- one session ---- */

/* A result that isn't finished by now never will be. */
static void stream_close(struct stream *s)
{
  struct respond *const r = s->visit->owner;

  for (struct stream **at = &s->visit->streams; *at; at = &(*at)->next)
    if (*at == s) {
      *at = s->next;
      break;
    }
  outgoing_close(&r->outbound, &s->out);
  incoming_close(&s->in);
  if (s->result && !s->result->finished) result_drop(s->result);
  share_return(&r->shares[s->visit->user.class], &s->demand);
  r->flows--;
  free(s);
}

/* Binds the port that was asked for or another one. */
static bool bind_udp(struct udp *u, const struct itw_addr *at)
{
  struct itw_addr local = *at;

  if (!udp_open(u, &local)) return true;
  local.port = 0;
  if (at->port && !udp_open(u, &local)) return true;
  u->fd = -1;
  return false;
}

/* NULL: no memory, or no port. */
static struct stream *stream_open(struct visit *v, uint32_t slot, const struct itw_request *request,
                                  const struct demand *demand)
{
  struct respond *const r = v->owner;
  struct stream *const s = r->flows < r->config.sessions ? calloc(1, sizeof *s) : NULL;
  struct itw_addr from = request->sender;

  if (!s) return NULL;
  s->visit = v;
  s->slot = slot;
  s->demand = *demand;
  s->sends = (request->conf & ITW_CONF_SENDER) != 0;
  s->receives = (request->conf & ITW_CONF_RECEIVER) != 0;
  s->out.owner = s->in.owner = s;
  s->out.udp.fd = s->in.udp.fd = -1;
  s->next = v->streams;
  v->streams = s;
  r->flows++;
  share_take(&r->shares[v->user.class], demand);
  from.port = 0;
  if ((!s->sends || bind_udp(&s->out.udp, &from)) && (!s->receives || bind_udp(&s->in.udp, &request->receiver)))
    return s;
  stream_close(s);
  return NULL;
}

/* ---- a request ---- */

/* 0, or the Accept value to refuse it with, and why. */
static uint32_t judge(struct visit *v, const struct itw_request *request, const struct demand *demand, const char **why)
{
  struct respond *const r = v->owner;

  /* Both hold a port. */
  if (request->timeout >> 32 >= RESPOND_TIMEOUT_MAX_S)
    return *why = "the Timeout is 900 s or more", ITW_ACCEPT_UNSUPPORTED;
  if (itw_ntp_diff_ns(request->start, now_wall()) >= (int64_t)(RESPOND_TIMEOUT_MAX_S * NS_PER_S))
    return *why = "it would start in 900 s or later", ITW_ACCEPT_UNSUPPORTED;
  if (request->conf & ITW_CONF_RECEIVER) store_make_room(&r->store, v->user.class, demand->storage);
  return share_refuses(&r->shares[v->user.class], demand, why);
}

void streams_request(struct visit *v, const struct itw_event *event)
{
  struct itw_slot slots[SLOTS];
  struct itw_offer offer;
  const char *why = "";
  itw_status st = itw_conn_schedule(v->pump.conn, event->slot, slots, SLOTS);

  if (st < 0) {
    visit_refuse(v, event->slot, ITW_ACCEPT_INTERNAL, itw_status_text(st));
    return;
  }
  const struct demand demand = demand_of(&event->request, slots, v->mode);
  const uint32_t accept = judge(v, &event->request, &demand, &why);
  struct stream *const s = accept ? NULL : stream_open(v, event->slot, &event->request, &demand);
  if (!s) {
    visit_refuse(v, event->slot, accept ? accept : ITW_ACCEPT_TEMPORARY,
                 accept ? why : "no UDP port or no session left");
    return;
  }
  ITW_INIT(offer);
  offer.port = s->receives ? s->in.udp.local.port : s->out.udp.local.port;
  if (s->sends && s->receives) offer.sender_port = s->out.udp.local.port;
  offer.wall = now_wall();
  random_octets(offer.random, sizeof offer.random);
  st = itw_server_prepare(v->pump.conn, NULL, event->slot, &offer, now_mono());
  if (st >= 0) return;
  stream_close(s);
  visit_refuse(v, event->slot, ITW_ACCEPT_INTERNAL, itw_status_text(st));
}

/* First into the shards and the store, then the answer: so a full one is a refusal. */
static itw_status admit(struct stream *s, const struct itw_request *request)
{
  struct respond *const r = s->visit->owner;
  struct itw_slot slots[SLOTS];
  struct itw_session session;
  itw_status st = itw_conn_schedule(s->visit->pump.conn, s->slot, slots, SLOTS);

  if (st >= 0) st = itw_conn_session(s->visit->pump.conn, s->slot, &session);
  if (st >= 0 && s->sends) st = outgoing_add(&r->outbound, &s->out, &session, slots, request->slots);
  if (st >= 0 && s->receives) st = incoming_add(&r->inbound, &s->in, &session, slots, request->slots);
  itw_session_wipe(&session);
  if (st < 0 || !s->receives) return st;
  s->result = store_add(&r->store, s->visit, &s->visit->user, request, slots);
  return s->result ? ITW_OK : ITW_ERR_MEMORY;
}

void streams_ready(struct visit *v, const struct itw_event *event)
{
  struct stream *const s = stream_of(v, event->slot);
  const itw_status st = s ? admit(s, &event->request) : ITW_ERR_STATE;

  if (st >= 0) {
    s->state = ACCEPTED;
    v->owner->total.sessions++;
    if (itw_server_answer(v->pump.conn, NULL, event->slot, ITW_ACCEPT_OK, now_mono()) < 0) pump_close(&v->pump);
    return;
  }
  if (s) stream_close(s);
  if (st == ITW_ERR_TOO_SMALL)
    visit_refuse(v, event->slot, ITW_ACCEPT_PERMANENT, "too many packets would be under way at a time");
  else
    visit_refuse(v, event->slot,
                 itw_status_class(st) == ITW_CLASS_RESOURCE ? ITW_ACCEPT_TEMPORARY : ITW_ACCEPT_INTERNAL,
                 itw_status_text(st));
}

void streams_started(struct visit *v)
{
  v->stopping = false;
  for (struct stream *s = v->streams; s; s = s->next) {
    if (s->state != ACCEPTED) continue;
    s->state = STARTED;
    if (s->sends) outgoing_start(&v->owner->outbound, &s->out);
    if (s->receives && incoming_start(&s->in) < 0) s->in.complete = true;
  }
}

/* ---- the end of a test ---- */

/* Our Stop-Sessions, which accounts for what we sent (RFC 4656 §3.8). */
static void say_stop(struct visit *v)
{
  uint32_t accept = ITW_ACCEPT_OK;

  if (v->stopping) return;
  v->stopping = true;
  timer_set(v->owner->loop, &v->stop, ITW_NEVER);
  for (struct stream *s = v->streams; s; s = s->next) {
    if (s->state != STARTED || !s->sends) continue;
    outgoing_stop(&v->owner->outbound, &s->out);
    if (s->out.lost_track) accept = ITW_ACCEPT_INTERNAL;
    if (itw_conn_account(v->pump.conn, s->slot, s->out.next_seqno, s->out.n_skips) < 0) accept = ITW_ACCEPT_INTERNAL;
  }
  if (itw_conn_stop(v->pump.conn, NULL, accept, now_mono()) < 0) pump_close(&v->pump);
}

/* When all sessions are complete (RFC 4656 §3.8), and later: a Stop-Sessions that comes within Timeout of the last packet's
   time, by the receiver's own clock, costs that packet its record; and most clients say Stop themselves. */
static void stop_if_complete(struct visit *v)
{
  for (const struct stream *s = v->streams; s; s = s->next)
    if (s->state == STARTED && ((s->sends && !s->sent) || (s->receives && !s->in.complete))) return;
  if (v->stopping) return;
  timer_set(v->owner->loop, &v->stop, now_mono() + late_ns);
}

void streams_on_time(struct timer *t, itw_mono now)
{
  struct visit *const v = t->owner;
  (void)now;

  say_stop(v);
  pump_run(&v->pump);
}

static void on_sent(struct outgoing *o)
{
  struct stream *const s = o->owner;
  s->sent = true;
  stop_if_complete(s->visit);
}

static void on_record(struct incoming *in, const struct itw_record *record)
{
  const struct stream *const s = in->owner;
  result_add(s->result, record);
}

/* A refused test packet: one line a second for each session at most. */
static void on_refused(struct incoming *in, const struct itw_packet *p)
{
  struct stream *const s = in->owner;
  respond_say_packet(s->visit->owner, &s->told, &s->untold, p, in->udp.local.port);
}

static void on_received(struct incoming *in, const struct itw_verdict *verdict)
{
  struct stream *const s = in->owner;
  struct result *const r = s->result;

  if (verdict->status == ITW_AGAIN) {
    r->complete = true;
    stop_if_complete(s->visit);
    return;
  }
  if (verdict->status != ITW_OK) {
    respond_say(s->visit->owner, &s->visit->remote, "results of a session are invalid: %s",
                itw_status_text(verdict->status));
    return; /* they stay unfinished, and go with the session */
  }
  result_finish(r, verdict, now_mono());
}

void streams_stop_session(struct visit *v, const struct itw_event *event)
{
  struct stream *const s = stream_of(v, event->slot);
  if (s && s->result) s->result->next_seqno = event->next_seqno;
}

void streams_stop(struct visit *v, const struct itw_event *event)
{
  say_stop(v);
  for (struct stream *s = v->streams; s; s = s->next) {
    if (s->state != STARTED || !s->receives) continue;
    if (s->sends) {
      s->result->next_seqno = s->out.next_seqno;
      if (!result_skips(s->result, s->out.skips, s->out.n_skips)) continue;
    }
    if (event->accept == ITW_ACCEPT_OK) incoming_stop(&s->in, s->result->next_seqno);
  }
  if (event->accept != ITW_ACCEPT_OK)
    respond_say(v->owner, &v->remote, "the client calls the results invalid, Accept %u", event->accept);
}

/* Both have said Stop, or the connection broke. */
void streams_stopped(struct visit *v)
{
  for (struct stream *s = v->streams, *next; s; s = next) {
    next = s->next;
    if (s->state == STARTED) stream_close(s);
  }
}

void streams_detach(struct visit *v)
{
  timer_set(v->owner->loop, &v->stop, ITW_NEVER);
  while (v->streams) stream_close(v->streams);
  store_detach(&v->owner->store, v);
}

/* ---- skip ranges ---- */

void streams_take(struct visit *v, const struct itw_poll *p)
{
  struct stream *const s = stream_of(v, p->slot);
  struct itw_skip skips[TAKEN];
  size_t got = 0;

  if (!s || !s->result || p->data != ITW_DATA_SKIPS ||
      itw_conn_take_skips(v->pump.conn, NULL, skips, TAKEN, &got, now_mono()) < 0 ||
      !result_skips(s->result, skips, got))
    pump_close(&v->pump);
}

void streams_give(struct visit *v, const struct itw_poll *p)
{
  const struct stream *const s = stream_of(v, p->slot);
  size_t used = 0;

  if (!s ||
      itw_conn_give_skips(v->pump.conn, NULL, s->out.skips + s->out.n_skips - p->left, p->left, &used, now_mono()) < 0)
    pump_close(&v->pump);
}

/* ---- the shards ---- */

itw_status streams_open(struct respond *r)
{
  uint64_t sessions = r->shares[CLASS_OPEN].limits.sessions + r->shares[CLASS_KNOWN].limits.sessions;
  if (sessions > r->config.sessions) sessions = r->config.sessions;
  const itw_status st = outbound_open(&r->outbound, r->loop, &r->burst, (uint32_t)sessions, SLOTS);

  r->outbound.ended = on_sent;
  r->inbound.record = on_record;
  r->inbound.refused = on_refused;
  r->inbound.ended = on_received;
  return st < 0 ? st : inbound_open(&r->inbound, r->loop, &r->burst, (uint32_t)sessions, SLOTS, WINDOW);
}
