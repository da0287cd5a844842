/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "inside.h"

#include "addr.h"
#include "clock.h"
#include "names.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- events ---- */

void visit_refuse(struct visit *v, uint32_t slot, uint32_t accept, const char *why)
{
  struct respond *const r = v->owner;

  r->total.sessions_refused++;
  respond_say(r, &v->remote, "session refused, Accept %u: %s", accept, why);
  if (itw_server_answer(v->pump.conn, NULL, slot, accept, now_mono()) < 0) pump_close(&v->pump);
}

static void on_up(struct visit *v, const struct itw_event *event)
{
  v->up = true;
  v->mode = event->mode;
  v->user.class = event->scheme ? CLASS_KNOWN : CLASS_OPEN;
  v->user.addr = v->remote;
  memcpy(v->user.key_id, event->key_id, sizeof event->key_id);
}

static void on_stopped(struct visit *v, const struct itw_event *event)
{
  if (v->owner->config.protocol == ITW_OWAMP)
    streams_stopped(v);
  else
    flows_stopped(v, event->slot);
  if (event->status == ITW_OK) return;
  v->owner->total.broken++;
  respond_say(v->owner, &v->remote, "test broken off: %s", itw_status_text(event->status));
}

/* The request's HMAC was good, but the library won't serve it; it has answered. */
static void on_refused(struct visit *v, const struct itw_event *event)
{
  v->owner->total.sessions_refused++;
  respond_say(v->owner, &v->remote, "request refused, Accept %u: %s", event->accept, itw_status_text(event->status));
}

/* Its keys stay (RFC 7717 §5.1). */
static void on_sa_gone(struct visit *v, const struct itw_event *event)
{
  char sa[NAMES_TEXT];
  respond_say(v->owner, &v->remote, "goes on with the keys of %s", names_of_sa(sa, &event->sa));
}

static void on_closed_event(struct visit *v, const struct itw_event *event)
{
  struct respond *const r = v->owner;
  struct itw_detail detail;
  char sought[SOURCE_TEXT], sa[NAMES_TEXT];

  ITW_INIT(detail);
  if (event->status == ITW_OK || itw_conn_detail(v->pump.conn, &detail) < 0) return;
  const char *const message = itw_message_name(detail.message);
  source_sought(sought, r->config.source, &detail, &v->local, &v->remote);
  if (event->accept) {
    r->total.refused++;
    respond_say(r, &v->remote, "refused, Accept %u: %s%s", event->accept, itw_status_text(event->status), sought);
  } else if (event->status == ITW_ERR_SA_GONE) {
    r->total.sa_gone++;
    respond_say(r, &v->remote, "closed, for its SA is gone: %s", names_of_sa(sa, &detail.sa));
  } else if (event->status == ITW_ERR_CLOSED || event->status == ITW_ERR_EOF) {
    r->total.left += !v->up;
    respond_say(r, &v->remote, "left%s: %s%s", v->up ? "" : " during set-up", itw_status_text(event->status), sought);
  } else {
    r->total.refused++;
    respond_say(r, &v->remote, "closed%s%s: %s%s", *message ? " at " : "", message, itw_status_text(event->status),
                sought);
  }
}

/* What the protocols have in common. */
static void on_event(struct visit *v, const struct itw_event *event)
{
  switch (event->kind) {
  case ITW_EV_UP: on_up(v, event); break;
  case ITW_EV_REFUSED: on_refused(v, event); break;
  case ITW_EV_STOPPED: on_stopped(v, event); break;
  case ITW_EV_SA_GONE: on_sa_gone(v, event); break;
  case ITW_EV_CLOSED: on_closed_event(v, event); break;
  default: break;
  }
}

static void on_twamp(struct pump *p, const struct itw_event *event)
{
  struct visit *const v = p->owner;

  switch (event->kind) {
  case ITW_EV_REQUEST: flows_request(v, event); break;
  case ITW_EV_READY: flows_ready(v, event->slot); break;
  case ITW_EV_STARTED: flows_started(v); break;
  case ITW_EV_START: flows_start(v, event->slot); break;
  default: on_event(v, event); break;
  }
}

static void on_owamp(struct pump *p, const struct itw_event *event)
{
  struct visit *const v = p->owner;

  switch (event->kind) {
  case ITW_EV_REQUEST: streams_request(v, event); break;
  case ITW_EV_READY: streams_ready(v, event); break;
  case ITW_EV_STARTED: streams_started(v); break;
  case ITW_EV_STOP_SESSION: streams_stop_session(v, event); break;
  case ITW_EV_STOP: streams_stop(v, event); break;
  case ITW_EV_FETCH: fetch_begin(v, event); break;
  case ITW_EV_FETCHED: fetch_end(v); break;
  default: on_event(v, event); break;
  }
}

static void on_data(struct pump *p, const struct itw_poll *poll)
{
  struct visit *const v = p->owner;

  if (poll->wants & ITW_WANT_TAKE)
    streams_take(v, poll);
  else if (v->fetch.result)
    fetch_give(v, poll);
  else
    streams_give(v, poll);
}

/* ---- beginning and end ---- */

static void on_pump_closed(struct pump *p)
{
  struct visit *const v = p->owner;
  struct respond *const r = v->owner;

  if (r->config.protocol == ITW_OWAMP) {
    fetch_end(v);
    streams_detach(v);
  } else {
    flows_detach(v);
  }
  if (v->newer) v->newer->older = v->older;
  if (v->older) v->older->newer = v->newer;
  if (r->newest == v) r->newest = v->older;
  if (r->oldest == v) r->oldest = v->newer;
  r->visits--;
  free(v);
}

/* RFC 5357 §3.1: the Server's packets get the DSCP of the client's SYN, which the kernel kept for us (TCP_SAVE_SYN). */
static void copy_dscp(int fd)
{
  uint8_t syn[256]; /* IP header and on */
  socklen_t len = sizeof syn;

  if (getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, syn, &len) || len < 20) return;
  const bool v4 = syn[0] >> 4 == 4;
  const int class = v4 ? syn[1] : (syn[0] & 15) << 4 | syn[1] >> 4;
  const int dscp = class & 0xfc;
  (void)setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, &dscp, sizeof dscp);
}

static itw_status new_connection(struct visit *v, itw_conn **out)
{
  struct itw_incoming in;

  ITW_INIT(in);
  in.local = v->local;
  in.remote = v->remote;
  in.tag = ++v->owner->tag;
  random_octets(in.random, sizeof in.random);
  const itw_status st = itw_server_conn_new(v->owner->server, out, &in, now_mono());
  itw_wipe(&in, sizeof in);
  return st;
}

static void link_visit(struct visit *v)
{
  struct respond *const r = v->owner;

  v->older = r->newest;
  if (v->older) v->older->newer = v;
  r->newest = v;
  if (!r->oldest) r->oldest = v;
  r->visits++;
  r->total.connections++;
}

void visit_open(struct respond *r, int fd)
{
  const int one = 1;
  itw_conn *conn = NULL;
  struct visit *const v = calloc(1, sizeof *v);

  if (v) {
    v->owner = r;
    v->since = now_mono();
    v->local = addr_of_socket(fd);
    v->remote = addr_of_peer(fd);
    v->stop = (struct timer){.due = streams_on_time, .owner = v};
    v->pump = (struct pump){.loop = r->loop,
                            .event = r->config.protocol == ITW_OWAMP ? on_owamp : on_twamp,
                            .data = on_data,
                            .closed = on_pump_closed,
                            .owner = v};
    copy_dscp(fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const itw_status st = new_connection(v, &conn);
    if (st >= 0) {
      link_visit(v);
      if (pump_start(&v->pump, fd, conn)) return;
      on_pump_closed(&v->pump);
      itw_conn_free(conn);
      close(fd);
      return;
    }
    respond_say(r, &v->remote, "refused: %s", itw_status_text(st));
    free(v);
  }
  r->total.refused++;
  close(fd);
}
