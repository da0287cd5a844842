/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "inside.h"

#include "addr.h"
#include "clock.h"

#include <stdlib.h>

/* ---- one session ---- */

/* After each verb of the reflector that may move it. */
static void watch_ends(struct respond *r) { timer_set(r->loop, &r->ends, itw_reflector_deadline(r->reflector)); }

static void unlink_flow(struct flow *f)
{
  struct respond *const r = f->owner;

  for (struct flow **at = f->visit ? &f->visit->flows : NULL; at && *at; at = &(*at)->next)
    if (*at == f) {
      *at = f->next;
      break;
    }
  if (f->newer) f->newer->older = f->older;
  if (f->older) f->older->newer = f->newer;
  if (r->newest_flow == f) r->newest_flow = f->older;
  r->flows--;
}

void flow_close(struct flow *f)
{
  struct respond *const r = f->owner;

  if (f->id && itw_reflector_remove(r->reflector, f->id) < 0) f->id = 0; /* stale: gone already */
  unlink_flow(f);
  watch_stop(r->loop, &f->watch);
  udp_close(&f->udp);
  free(f);
}

static void on_packets(struct watch *w, uint32_t events)
{
  struct flow *const f = w->owner;
  struct respond *const r = f->owner;
  struct burst *const b = &r->burst;
  const size_t size = sizeof b->packet[0], n = udp_receive(&f->udp, b);
  const itw_mono now = now_mono();
  (void)events;

  if (itw_reflector_take(r->reflector, b->octets, b->size, b->packet, size, n, now) < 0) return;
  for (size_t i = 0; i < n; i++) {
    struct itw_packet *const p = &b->packet[i];
    if (p->status != ITW_OK) {
      respond_say_packet(r, &f->told, &f->untold, p, f->udp.local.port);
      continue;
    }
    p->sent = now_wall(); /* one by one, so that a packet doesn't wait for its fellows with a timestamp on it */
    if (itw_reflector_reply(r->reflector, b->octets, b->size, p, size, 1) == ITW_OK && p->status == ITW_OK)
      (void)udp_send(&f->udp, b, p); /* a reply that the kernel can't send is lost, as on any link */
  }
  watch_ends(r);
}

/* Binds the port that was asked for or another one; NULL: none left. */
static struct flow *flow_open(struct visit *v, uint32_t slot, uint16_t port)
{
  struct respond *const r = v->owner;
  struct itw_addr local = v->local;
  struct flow *f = r->flows < r->config.sessions ? calloc(1, sizeof *f) : NULL;

  if (!f) return NULL;
  local.port = port;
  int error = udp_open(&f->udp, &local);
  local.port = 0;
  if (error && port) error = udp_open(&f->udp, &local);
  f->watch = (struct watch){.fd = f->udp.fd, .ready = on_packets, .owner = f};
  if (error || !watch_start(r->loop, &f->watch, EPOLLIN)) {
    if (!error) udp_close(&f->udp);
    free(f);
    return NULL;
  }
  f->owner = r;
  f->visit = v;
  f->slot = slot;
  f->next = v->flows;
  v->flows = f;
  f->older = r->newest_flow;
  if (f->older) f->older->newer = f;
  r->newest_flow = f;
  r->flows++;
  return f;
}

static struct flow *flow_of(const struct visit *v, uint32_t slot)
{
  struct flow *f = v->flows;
  while (f && f->slot != slot) f = f->next;
  return f;
}

/* Sessions whose Timeout after Stop or whose REFWAIT has passed. */
void flows_ended(struct timer *t, itw_mono now)
{
  struct respond *const r = t->owner;
  itw_status why;
  uint64_t user;
  itw_id id;

  while (itw_reflector_ended(r->reflector, &id, &user, &why, now) == ITW_OK) {
    struct flow *const f = (struct flow *)(uintptr_t)user;
    struct visit *const v = f->visit;
    const uint32_t slot = f->slot;
    if (why != ITW_OK && v)
      respond_say(r, &v->remote, "session on port %u ended: nothing came for REFWAIT", f->udp.local.port);
    flow_close(f);
    if (v && itw_server_ended(v->pump.conn, NULL, slot, now) == ITW_OK) pump_run(&v->pump);
  }
  watch_ends(r);
}

/* ---- those of a connection ---- */

void flows_request(struct visit *v, const struct itw_event *event)
{
  struct itw_offer offer;

  /* RFC 5357 §3.5: sessions MUST be answered for Timeout after Stop. That holds a port, so there is a limit. */
  if (event->request.timeout >> 32 >= RESPOND_TIMEOUT_MAX_S) {
    visit_refuse(v, event->slot, ITW_ACCEPT_UNSUPPORTED, "the Timeout is 900 s or more");
    return;
  }
  struct flow *const f = flow_open(v, event->slot, event->request.receiver.port);
  if (!f) {
    visit_refuse(v, event->slot, ITW_ACCEPT_TEMPORARY, "no UDP port or no session left");
    return;
  }
  ITW_INIT(offer);
  offer.port = f->udp.local.port;
  offer.wall = now_wall();
  random_octets(offer.random, sizeof offer.random);
  const itw_status st = itw_server_prepare(v->pump.conn, NULL, event->slot, &offer, now_mono());
  if (st >= 0) return;
  flow_close(f);
  visit_refuse(v, event->slot, ITW_ACCEPT_INTERNAL, itw_status_text(st));
}

/* First into the reflector, then the answer: so a full table is a refusal. */
void flows_ready(struct visit *v, uint32_t slot)
{
  struct flow *const f = flow_of(v, slot);
  struct itw_session session;
  itw_status st = f ? itw_conn_session(v->pump.conn, slot, &session) : ITW_ERR_STATE;

  if (st >= 0) st = itw_reflector_add(v->owner->reflector, &f->id, &session, (uintptr_t)f, now_mono());
  itw_session_wipe(&session);
  if (st >= 0) {
    v->owner->total.sessions++;
    if (itw_server_answer(v->pump.conn, NULL, slot, ITW_ACCEPT_OK, now_mono()) < 0) pump_close(&v->pump);
    return;
  }
  if (f) flow_close(f);
  visit_refuse(v, slot, itw_status_class(st) == ITW_CLASS_RESOURCE ? ITW_ACCEPT_TEMPORARY : ITW_ACCEPT_INTERNAL,
               itw_status_text(st));
}

void flows_started(struct visit *v)
{
  for (struct flow *f = v->flows; f; f = f->next)
    if (f->id && f->state == AGREED && itw_reflector_start(v->owner->reflector, f->id, now_mono()) >= 0)
      f->state = RUNNING;
  watch_ends(v->owner);
}

void flows_start(struct visit *v, uint32_t slot)
{
  struct flow *const f = flow_of(v, slot);
  const bool good =
      f && f->id && f->state == AGREED && itw_reflector_start(v->owner->reflector, f->id, now_mono()) >= 0;

  if (good) f->state = RUNNING;
  if (itw_server_started(v->pump.conn, NULL, slot, good ? ITW_ACCEPT_OK : ITW_ACCEPT_INTERNAL, now_mono()) < 0)
    pump_close(&v->pump);
  watch_ends(v->owner);
}

void flows_stopped(struct visit *v, uint32_t slot)
{
  for (struct flow *f = v->flows; f; f = f->next)
    if (f->state == RUNNING && (slot == ITW_NO_SLOT || slot == f->slot) &&
        itw_reflector_stop(v->owner->reflector, f->id, now_mono()) >= 0)
      f->state = STOPPED;
  watch_ends(v->owner);
}

/* Sessions that were stopped go on for their Timeout; those that were never started are gone. */
void flows_detach(struct visit *v)
{
  for (struct flow *f = v->flows, *next; f; f = next) {
    next = f->next;
    f->visit = NULL;
    if (f->state != STOPPED) flow_close(f);
  }
  v->flows = NULL;
  watch_ends(v->owner);
}
