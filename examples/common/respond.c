/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "respond.h"

#include "addr.h"
#include "clock.h"
#include "names.h"
#include "pump.h"
#include "udp.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONTEXTS = 1024, PADDING = 9000, ACCEPTS = 16, BACKLOG = 1024 };
static const uint64_t clock_every = 10 * NS_PER_S; /* how often the kernel is asked for its clock's quality */
static const uint64_t grace_silent = NS_PER_S, grace_slow = 10 * NS_PER_S; /* when all places are taken */
static const uint64_t pause_ns = 100 * NS_PER_MS; /* without accepting, when no file descriptor was left */

/* A test session; `user` of the reflector's packets points to it. */
struct flow {
  struct respond *owner;
  struct visit *visit;        /* NULL: its connection is gone, it answers for Timeout */
  struct flow *next;          /* of the same visit */
  struct flow *newer, *older; /* of all */
  uint32_t slot;
  itw_id id; /* 0: not in the reflector */
  enum { AGREED, RUNNING, STOPPED } state;
  struct udp udp;
  struct watch watch;
  itw_mono told; /* when a refused packet was last told of */
  uint64_t untold;
};

/* A control connection. */
struct visit {
  struct respond *owner;
  struct visit *newer, *older;
  struct pump pump;
  itw_mono since;
  struct itw_addr local, remote;
  struct flow *flows;
  bool up;
};

struct respond {
  struct loop *loop;
  struct respond_config config;
  struct watch listen[RESPOND_LISTENERS];
  itw_server *server;
  itw_reflector *reflector;
  struct timer ends, clock, pause; /* of sessions; looking at the clock; not accepting */
  struct burst burst;
  struct visit *newest, *oldest;
  struct flow *newest_flow;
  uint32_t visits, flows;
  struct {
    uint64_t connections, refused, left, broken, sessions, sessions_refused, full;
  } total;
};

/* ---- lines on stderr ---- */

__attribute__((format(printf, 3, 4))) static void say(const struct respond *r, const struct itw_addr *who,
                                                      const char *format, ...)
{
  char line[512], text[ADDR_TEXT];
  va_list args;

  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  fprintf(stderr, "%s: %s: %s\n", r->config.program, addr_text(text, who), line);
}

/* A refused test packet: one line a second for each session at most. */
static void say_packet(struct flow *f, const struct itw_packet *p, itw_mono now)
{
  char more[48] = "";

  if (f->told && now - f->told < NS_PER_S) {
    f->untold++;
    return;
  }
  if (f->untold) snprintf(more, sizeof more, " (and %" PRIu64 " more before)", f->untold);
  f->told = now;
  f->untold = 0;
  say(f->owner, &p->remote, "test packet to port %u refused: %s%s", f->udp.local.port, itw_status_text(p->status),
      more);
}

/* ---- sessions ---- */

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

static void flow_close(struct flow *f)
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
      say_packet(f, p, now);
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
static void on_ends(struct timer *t, itw_mono now)
{
  struct respond *const r = t->owner;
  itw_status why;
  uint64_t user;
  itw_id id;

  while (itw_reflector_ended(r->reflector, &id, &user, &why, now) == ITW_OK) {
    struct flow *const f = (struct flow *)(uintptr_t)user;
    struct visit *const v = f->visit;
    const uint32_t slot = f->slot;
    if (why != ITW_OK && v) say(r, &v->remote, "session on port %u ended: nothing came for REFWAIT", f->udp.local.port);
    flow_close(f);
    if (v && itw_server_ended(v->pump.conn, NULL, slot, now) == ITW_OK) pump_run(&v->pump);
  }
  watch_ends(r);
}

/* ---- a connection's events ---- */

static void refuse(struct visit *v, uint32_t slot, uint32_t accept, const char *why)
{
  struct respond *const r = v->owner;

  r->total.sessions_refused++;
  say(r, &v->remote, "session refused, Accept %u: %s", accept, why);
  if (itw_server_answer(v->pump.conn, NULL, slot, accept, now_mono()) < 0) pump_close(&v->pump);
}

static void on_request(struct visit *v, const struct itw_event *event)
{
  struct itw_offer offer;

  /* RFC 5357 §3.5: sessions MUST be answered for Timeout after Stop. That holds a port, so there is a limit. */
  if (event->request.timeout >> 32 >= RESPOND_TIMEOUT_MAX_S) {
    refuse(v, event->slot, ITW_ACCEPT_UNSUPPORTED, "the Timeout is 900 s or more");
    return;
  }
  struct flow *const f = flow_open(v, event->slot, event->request.receiver.port);
  if (!f) {
    refuse(v, event->slot, ITW_ACCEPT_TEMPORARY, "no UDP port or no session left");
    return;
  }
  ITW_INIT(offer);
  offer.port = f->udp.local.port;
  offer.wall = now_wall();
  random_octets(offer.random, sizeof offer.random);
  const itw_status st = itw_server_prepare(v->pump.conn, NULL, event->slot, &offer, now_mono());
  if (st >= 0) return;
  flow_close(f);
  refuse(v, event->slot, ITW_ACCEPT_INTERNAL, itw_status_text(st));
}

/* First into the reflector, then the answer: so a full table is a refusal. */
static void on_ready(struct visit *v, uint32_t slot)
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
  refuse(v, slot, itw_status_class(st) == ITW_CLASS_RESOURCE ? ITW_ACCEPT_TEMPORARY : ITW_ACCEPT_INTERNAL,
         itw_status_text(st));
}

static void on_started(struct visit *v)
{
  for (struct flow *f = v->flows; f; f = f->next)
    if (f->id && f->state == AGREED && itw_reflector_start(v->owner->reflector, f->id, now_mono()) >= 0)
      f->state = RUNNING;
  watch_ends(v->owner);
}

static void on_stopped(struct visit *v, const struct itw_event *event)
{
  for (struct flow *f = v->flows; f; f = f->next)
    if (f->state == RUNNING && itw_reflector_stop(v->owner->reflector, f->id, now_mono()) >= 0) f->state = STOPPED;
  watch_ends(v->owner);
  if (event->status == ITW_OK) return;
  v->owner->total.broken++;
  say(v->owner, &v->remote, "test broken off: %s", itw_status_text(event->status));
}

/* The request's HMAC was good, but the library won't serve it; it has answered. */
static void on_refused(struct visit *v, const struct itw_event *event)
{
  v->owner->total.sessions_refused++;
  say(v->owner, &v->remote, "request refused, Accept %u: %s", event->accept, itw_status_text(event->status));
}

static void on_closed_event(struct visit *v, const struct itw_event *event)
{
  struct respond *const r = v->owner;
  struct itw_detail detail;

  ITW_INIT(detail);
  if (event->status == ITW_OK || itw_conn_detail(v->pump.conn, &detail) < 0) return;
  const char *const message = itw_message_name(detail.message);
  if (event->accept) {
    r->total.refused++;
    say(r, &v->remote, "refused, Accept %u: %s", event->accept, itw_status_text(event->status));
  } else if (event->status == ITW_ERR_CLOSED || event->status == ITW_ERR_EOF) {
    r->total.left += !v->up;
    say(r, &v->remote, "left%s: %s", v->up ? "" : " during set-up", itw_status_text(event->status));
  } else {
    r->total.refused++;
    say(r, &v->remote, "closed%s%s: %s", *message ? " at " : "", message, itw_status_text(event->status));
  }
}

static void on_event(struct pump *p, const struct itw_event *event)
{
  struct visit *const v = p->owner;

  switch (event->kind) {
  case ITW_EV_UP: v->up = true; break;
  case ITW_EV_REQUEST: on_request(v, event); break;
  case ITW_EV_READY: on_ready(v, event->slot); break;
  case ITW_EV_REFUSED: on_refused(v, event); break;
  case ITW_EV_STARTED: on_started(v); break;
  case ITW_EV_STOPPED: on_stopped(v, event); break;
  case ITW_EV_CLOSED: on_closed_event(v, event); break;
  default: break;
  }
}

/* ---- connections ---- */

/* Sessions that were stopped go on for their Timeout; those that were never started are gone. */
static void detach_flows(struct visit *v)
{
  for (struct flow *f = v->flows, *next; f; f = next) {
    next = f->next;
    f->visit = NULL;
    if (f->state != STOPPED) flow_close(f);
  }
  v->flows = NULL;
}

static void on_pump_closed(struct pump *p)
{
  struct visit *const v = p->owner;
  struct respond *const r = v->owner;

  detach_flows(v);
  watch_ends(r);
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

/* Takes over the socket. */
static void visit_open(struct respond *r, int fd)
{
  const int one = 1;
  itw_conn *conn = NULL;
  struct visit *const v = calloc(1, sizeof *v);

  if (v) {
    v->owner = r;
    v->since = now_mono();
    v->local = addr_of_socket(fd);
    v->remote = addr_of_peer(fd);
    v->pump = (struct pump){.loop = r->loop, .event = on_event, .closed = on_pump_closed, .owner = v};
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
    say(r, &v->remote, "refused: %s", itw_status_text(st));
    free(v);
  }
  r->total.refused++;
  close(fd);
}

/* The oldest connection that isn't set up and had its time; NULL: none. */
static struct visit *overdue(const struct respond *r, bool silent, uint64_t time)
{
  const itw_mono now = now_mono();
  struct visit *v = r->oldest;

  while (v && now - v->since >= time && (v->up || v->pump.heard == silent)) v = v->newer;
  return v && now - v->since >= time ? v : NULL;
}

/* All places are taken: one that has said nothing for a while makes room, or else one that takes long. A client that is
   on its way isn't put out, however fast others come. False: nobody is to go. */
static bool make_room(struct respond *r)
{
  struct visit *v = overdue(r, true, grace_silent);

  if (!v) v = overdue(r, false, grace_slow);
  if (!v) return false;
  r->total.full++;
  say(r, &v->remote, "closed during set-up: too many connections, and this is the oldest of those");
  pump_drop(&v->pump);
  return true;
}

static void on_listener(struct watch *w, uint32_t events)
{
  struct respond *const r = w->owner;
  (void)events;

  for (int i = 0; i < ACCEPTS; i++) {
    const int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      if (r->visits < r->config.connections || make_room(r)) {
        visit_open(r, fd);
        continue;
      }
      const struct itw_addr who = addr_of_peer(fd);
      r->total.full++;
      say(r, &who, "refused: too many connections");
      close(fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      for (unsigned k = 0; k < r->config.binds; k++) watch_change(r->loop, &r->listen[k], 0);
      timer_set(r->loop, &r->pause, now_mono() + pause_ns);
      return;
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

static void on_pause_over(struct timer *t, itw_mono now)
{
  struct respond *const r = t->owner;
  (void)now;
  for (unsigned k = 0; k < r->config.binds; k++) watch_change(r->loop, &r->listen[k], EPOLLIN);
}

static void on_clock(struct timer *t, itw_mono now)
{
  struct respond *const r = t->owner;
  struct itw_clock clock;

  ITW_INIT(clock);
  clock.error = now_error();
  if (itw_reflector_clock(r->reflector, &clock) < 0) return;
  timer_set(r->loop, &r->clock, now + clock_every);
}

/* ---- its beginning and end ---- */

/* A listening socket, or -1 and errno. */
static int listen_on(const struct itw_addr *addr)
{
  const int one = 1;
  struct sockaddr_storage sa;
  const socklen_t len = addr_to_sockaddr(&sa, addr);
  const int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  if (fd < 0) return -1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_SAVE_SYN, &one, sizeof one);
  if (addr->family == 6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (bind(fd, (const struct sockaddr *)&sa, len) == 0 && listen(fd, BACKLOG) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static bool open_listeners(struct respond *r, char why[RESPOND_WHY])
{
  char text[ADDR_TEXT];

  for (unsigned i = 0; i < r->config.binds; i++) {
    struct itw_addr addr = r->config.bind[i];
    if (i && !addr.port) addr.port = addr_of_socket(r->listen[0].fd).port;
    const int fd = listen_on(&addr);
    if (fd < 0 && i && errno == EAFNOSUPPORT) { /* a machine without IPv6 */
      r->config.binds = i;
      break;
    }
    r->listen[i] = (struct watch){.fd = fd, .ready = on_listener, .owner = r};
    if (fd < 0 || !watch_start(r->loop, &r->listen[i], EPOLLIN)) {
      snprintf(why, RESPOND_WHY, "can't listen on %s: %s", addr_text(text, &addr), strerror(errno));
      return false;
    }
  }
  return true;
}

static itw_status open_server(struct respond *r, struct itw_detail *detail)
{
  const struct respond_config *const c = &r->config;
  struct itw_server_config config;

  ITW_INIT(config);
  config.schemes = c->schemes;
  config.modes = c->modes;
  config.legacy_modes = c->legacy_modes;
  config.sessions = c->per_connection;
  config.count_psk = config.count_sa = c->count;
  config.max_padding = c->max_padding;
  config.servwait_s = c->servwait_s;
  config.setup_s = c->setup_s;
  config.start = now_wall();
  random_octets(config.salt, sizeof config.salt);
  if (c->ring) config.keys = itw_keyring_keys(c->ring);
  return itw_server_new(&r->server, &config, detail);
}

static itw_status open_reflector(struct respond *r)
{
  struct itw_shard_config config;

  ITW_INIT(config);
  ITW_INIT(config.clock);
  config.sessions = r->config.sessions;
  config.contexts = config.sessions < CONTEXTS ? config.sessions : CONTEXTS;
  config.refwait_s = r->config.refwait_s;
  config.clock.error = now_error();
  random_octets(config.seed, sizeof config.seed);
  const itw_status st = itw_reflector_new(&r->reflector, &config);
  itw_wipe(config.seed, sizeof config.seed);
  return st;
}

static bool open_all(struct respond *r, char why[RESPOND_WHY])
{
  struct itw_detail detail;

  ITW_INIT(detail);
  itw_status st = open_server(r, &detail);
  if (st >= 0) st = open_reflector(r);
  if (st >= 0 &&
      !burst_open(&r->burst, (size_t)(r->config.max_padding ? r->config.max_padding : PADDING) + ITW_REFLECTOR_SECURE))
    st = ITW_ERR_MEMORY;
  if (st < 0) {
    snprintf(why, RESPOND_WHY, "%s", st == detail.status && detail.text[0] ? detail.text : itw_status_text(st));
    return false;
  }
  return open_listeners(r, why);
}

struct respond *respond_start(struct loop *loop, const struct respond_config *config, char why[RESPOND_WHY])
{
  struct respond *const r = calloc(1, sizeof *r);

  snprintf(why, RESPOND_WHY, "no memory");
  if (!r) return NULL;
  r->loop = loop;
  r->config = *config;
  r->listen[0].fd = r->listen[1].fd = -1;
  r->ends = (struct timer){.due = on_ends, .owner = r};
  r->clock = (struct timer){.due = on_clock, .owner = r};
  r->pause = (struct timer){.due = on_pause_over, .owner = r};
  if (open_all(r, why)) {
    timer_set(loop, &r->clock, now_mono() + clock_every);
    return r;
  }
  respond_free(r);
  return NULL;
}

void respond_free(struct respond *r)
{
  if (!r) return;
  while (r->newest) pump_drop(&r->newest->pump);
  while (r->newest_flow) flow_close(r->newest_flow);
  for (unsigned i = 0; i < RESPOND_LISTENERS; i++) {
    watch_stop(r->loop, &r->listen[i]);
    if (r->listen[i].fd >= 0) close(r->listen[i].fd);
  }
  timer_set(r->loop, &r->ends, ITW_NEVER);
  timer_set(r->loop, &r->clock, ITW_NEVER);
  timer_set(r->loop, &r->pause, ITW_NEVER);
  burst_close(&r->burst);
  itw_reflector_free(r->reflector);
  itw_server_free(r->server);
  free(r);
}

struct itw_addr respond_address(const struct respond *r, unsigned i)
{
  const struct itw_addr none = {0};
  return i < r->config.binds ? addr_of_socket(r->listen[i].fd) : none;
}

bool respond_idle(const struct respond *r) { return r->visits == 0; }

void respond_summary(const struct respond *r, FILE *f)
{
  struct itw_counts c;

  ITW_INIT(c);
  if (itw_reflector_counts(r->reflector, 0, &c) < 0) return;
  fprintf(f, "connections: %" PRIu64 ", refused %" PRIu64 ", left during set-up %" PRIu64 ", too many %" PRIu64 "\n",
          r->total.connections, r->total.refused, r->total.left, r->total.full);
  fprintf(f, "sessions: %" PRIu64 ", refused %" PRIu64 ", broken off %" PRIu64 "\n", r->total.sessions,
          r->total.sessions_refused, r->total.broken);
  fprintf(f,
          "test packets: %" PRIu64 " received, %" PRIu64 " replied; refused: %" PRIu64 " forged, %" PRIu64
          " malformed, %" PRIu64 " of no session, %" PRIu64 " early, %" PRIu64 " late\n",
          c.received, c.sent, c.auth_failures, c.malformed, c.unknown, c.early, c.late);
}
