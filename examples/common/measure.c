/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "measure.h"

#include "addr.h"
#include "clock.h"
#include "names.h"
#include "pump.h"
#include "udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum { WINDOW_MAX = 65536, WINDOW_ENDLESS = 4096 }; /* packets among which duplicates are told apart */
static const uint64_t clock_every = 10 * NS_PER_S;  /* how often the kernel is asked for its clock's quality */

enum stage { CONNECTING, SETTING_UP, SENDING, WAITING, STOPPING, DONE };

struct measure {
  struct loop *loop;
  struct measure_config config;
  enum stage stage;
  struct watch connecting; /* until the TCP connection is there */
  struct timer timer;      /* the connection isn't there; the next packet; the last reply */
  struct pump pump;
  struct watch udp_watch;
  struct udp udp;
  struct burst burst;
  itw_sender *sender;
  itw_id id;
  uint32_t sent, answered;
  itw_mono next, clock_next;
  int send_error; /* the first errno */
  bool had_session;
  struct report report;
  struct report_head head;
  char peer_text[ADDR_TEXT], why[MEASURE_WHY];
};

/* ---- its end ---- */

/* The first reason stands. */
__attribute__((format(printf, 2, 3))) static void fail(struct measure *m, const char *format, ...)
{
  va_list args;

  if (m->why[0]) return;
  va_start(args, format);
  vsnprintf(m->why, sizeof m->why, format, args);
  va_end(args);
}

static void collect_counts(struct measure *m)
{
  struct itw_counts counts;

  ITW_INIT(counts);
  if (!m->sender || itw_sender_counts(m->sender, 0, &counts) < 0) return;
  m->report.sent = m->sent;
  m->report.duplicates = counts.duplicates;
  m->report.reordered = counts.reordered;
  m->report.late = counts.late;
  m->report.auth_failures = counts.auth_failures;
  m->report.malformed = counts.malformed;
}

static void done(struct measure *m)
{
  if (m->stage == DONE) return;
  m->stage = DONE;
  watch_stop(m->loop, &m->connecting);
  watch_stop(m->loop, &m->udp_watch);
  timer_set(m->loop, &m->timer, ITW_NEVER);
  udp_close(&m->udp);
  collect_counts(m);
  m->config.done(m->config.owner);
}

/* A call that can't fail unless this program is wrong, or memory is out. False: it did, and the connection ends. */
static bool check(struct measure *m, itw_status st)
{
  if (st >= 0) return true;
  fail(m, "%s (%s)", itw_status_text(st), itw_status_name(st));
  if (m->pump.conn) pump_close(&m->pump);
  return false;
}

static void stop_sessions(struct measure *m)
{
  timer_set(m->loop, &m->timer, ITW_NEVER);
  m->stage = STOPPING;
  check(m, itw_client_stop(m->pump.conn, NULL, now_mono()));
  pump_run(&m->pump);
}

void measure_stop(struct measure *m)
{
  if (m->stage == SENDING || m->stage == WAITING) {
    stop_sessions(m);
  } else if (m->stage == CONNECTING) {
    fail(m, "interrupted while connecting");
    done(m);
  } else if (m->stage == SETTING_UP) {
    fail(m, "interrupted while setting up the session");
    pump_close(&m->pump);
    pump_run(&m->pump);
  }
}

/* ---- packets ---- */

static void look_at_clock(struct measure *m, itw_mono now)
{
  struct itw_clock clock;

  if (now < m->clock_next) return;
  m->clock_next = now + clock_every;
  ITW_INIT(clock);
  clock.error = now_error();
  check(m, itw_sender_clock(m->sender, &clock));
}

/* All that takes time comes before the timestamp; in encrypted mode the cryptography can't. */
static void send_packet(struct measure *m)
{
  struct itw_packet *const p = burst_clear(&m->burst, 0);

  p->id = m->id;
  if (!check(m, itw_sender_write(m->sender, m->burst.octets, m->burst.size, p, sizeof *p, 1)) || !check(m, p->status))
    return;
  p->sent = now_wall();
  if (!check(m, itw_sender_stamp(m->sender, m->burst.octets, m->burst.size, p, sizeof *p, 1)) || !check(m, p->status))
    return;
  const int error = udp_send(&m->udp, &m->burst, p);
  if (error && !m->send_error) m->send_error = error; /* the packet counts as lost */
  m->sent++;
}

static void take_reply(struct measure *m, const struct itw_packet *p, const struct itw_reply *reply)
{
  if (p->status != ITW_OK) return; /* the shard counts them */
  if (m->config.reply) m->config.reply(m->config.owner, reply);
  if (reply->kind != ITW_REPLY_NEW && reply->kind != ITW_REPLY_REORDERED) return;
  m->answered++;
  if (!report_add(&m->report, reply)) check(m, ITW_ERR_MEMORY);
}

static void on_udp(struct watch *w, uint32_t events)
{
  struct measure *const m = w->owner;
  struct itw_reply replies[BURST];
  (void)events;

  const size_t n = udp_receive(&m->udp, &m->burst);
  for (size_t i = 0; i < n; i++) ITW_INIT(replies[i]);
  if (check(m, itw_sender_read(m->sender, m->burst.octets, m->burst.size, m->burst.packet, sizeof m->burst.packet[0],
                               replies, sizeof replies[0], n)))
    for (size_t i = 0; i < n; i++) take_reply(m, &m->burst.packet[i], &replies[i]);
  if (m->why[0])
    pump_run(&m->pump);
  else if (m->stage == WAITING && m->answered == m->sent)
    stop_sessions(m);
}

/* The next packet, or the end of the wait for the last reply. */
static void on_time(struct timer *t, itw_mono now)
{
  struct measure *const m = t->owner;

  if (m->stage == CONNECTING) {
    fail(m, "no connection within %.3g s", (double)m->config.connect_ns / 1e9);
    done(m);
    return;
  }
  if (m->stage == WAITING) {
    stop_sessions(m);
    return;
  }
  look_at_clock(m, now);
  send_packet(m);
  m->next += m->config.interval_ns;
  if (m->next < now) m->next = now; /* we came late: don't make up for it with a burst */
  if (m->why[0]) {
    pump_run(&m->pump);
  } else if (m->sent != m->config.count) {
    timer_set(m->loop, &m->timer, m->next);
  } else {
    m->stage = WAITING;
    timer_set(m->loop, &m->timer, now + m->config.timeout_ns);
  }
}

/* ---- the control connection ---- */

static bool open_sender(struct measure *m)
{
  const uint32_t count = m->config.count;
  struct itw_shard_config config;

  ITW_INIT(config);
  ITW_INIT(config.clock);
  config.sessions = config.contexts = 1;
  config.window = !count ? WINDOW_ENDLESS : count < WINDOW_MAX ? count : WINDOW_MAX;
  config.clock.error = now_error();
  random_octets(config.seed, sizeof config.seed);
  const itw_status st = itw_sender_new(&m->sender, &config);
  itw_wipe(config.seed, sizeof config.seed);
  return check(m, st);
}

static void on_up(struct measure *m, const struct itw_event *event)
{
  struct itw_addr local = addr_of_socket(m->pump.watch.fd);
  struct itw_request request;
  uint32_t slot;

  m->head.mode = event->mode;
  m->head.scheme = event->scheme;
  m->head.sa = event->sa;
  local.port = 0;
  const int error = udp_open(&m->udp, &local);
  if (error) {
    fail(m, "no UDP socket: %s", strerror(error));
    pump_close(&m->pump);
    return;
  }

  ITW_INIT(request);
  request.padding = m->config.padding;
  request.sender.port = m->udp.local.port;
  request.start = now_wall();
  request.timeout = itw_ntp_span(m->config.timeout_ns);
  request.dscp = m->config.dscp;
  request.flags = m->config.zero_padding ? ITW_SESSION_ZERO_PADDING : 0;
  check(m, itw_client_request(m->pump.conn, NULL, &slot, &request, now_mono()));
}

static void on_accepted(struct measure *m, const struct itw_event *event)
{
  struct itw_session session;
  struct itw_session_info info;

  ITW_INIT(info);
  if (check(m, itw_conn_session(m->pump.conn, event->slot, &session)) && check(m, itw_session_info(&session, &info)) &&
      open_sender(m) && check(m, itw_sender_add(m->sender, &m->id, &session, 0)))
    check(m, itw_client_start(m->pump.conn, NULL, now_mono()));
  memcpy(m->head.sid, info.sid, sizeof info.sid);
  itw_session_wipe(&session);
}

static void on_started(struct measure *m)
{
  m->udp_watch = (struct watch){.fd = m->udp.fd, .ready = on_udp, .owner = m};
  if (!watch_start(m->loop, &m->udp_watch, EPOLLIN)) {
    check(m, ITW_ERR_MEMORY);
    return;
  }
  m->had_session = true;
  m->stage = SENDING;
  m->next = now_mono();
  timer_set(m->loop, &m->timer, m->next);
}

static void on_stopped(struct measure *m, const struct itw_event *event)
{
  timer_set(m->loop, &m->timer, ITW_NEVER);
  if (event->status != ITW_OK) {
    m->report.broken = true;
    fail(m, "the control connection broke during the test, results are invalid: %s", itw_status_text(event->status));
  }
  pump_close(&m->pump);
}

/* Why there is no connection any more, or none came about. */
static void on_closed_event(struct measure *m, const struct itw_event *event)
{
  struct itw_detail detail;

  ITW_INIT(detail);
  if (event->status == ITW_OK && m->had_session) return;
  if (event->status == ITW_ERR_REFUSED) {
    fail(m, "the Server refused: Accept %u (%s)", event->accept, names_of_accept(event->accept));
  } else if (itw_conn_detail(m->pump.conn, &detail) >= 0 && detail.message) {
    fail(m, "%s: %s", itw_message_name(detail.message), itw_status_text(event->status));
  } else {
    fail(m, "%s", event->status == ITW_OK ? itw_status_text(ITW_ERR_CLOSED) : itw_status_text(event->status));
  }
}

static void on_event(struct pump *p, const struct itw_event *event)
{
  struct measure *const m = p->owner;

  switch (event->kind) {
  case ITW_EV_UP: on_up(m, event); break;
  case ITW_EV_ACCEPTED: on_accepted(m, event); break;
  case ITW_EV_STARTED: on_started(m); break;
  case ITW_EV_STOPPED: on_stopped(m, event); break;
  case ITW_EV_CLOSED: on_closed_event(m, event); break;
  case ITW_EV_REFUSED:
    fail(m, "the Server refused the session: Accept %u (%s)", event->accept, names_of_accept(event->accept));
    pump_close(p);
    break;
  default: break;
  }
}

static void on_pump_closed(struct pump *p)
{
  struct measure *const m = p->owner;

  if (m->send_error) fail(m, "sending: %s", strerror(m->send_error));
  done(m);
}

static itw_status new_client(struct measure *m, itw_conn **out, char why[sizeof(struct itw_detail)])
{
  const struct measure_config *const c = &m->config;
  struct itw_client_config config;
  struct itw_detail detail;

  ITW_INIT(config);
  ITW_INIT(detail);
  config.schemes = c->schemes;
  memcpy(config.modes, c->modes, sizeof config.modes);
  config.max_count = c->max_count;
  config.flags = c->flags;
  if (c->key_id) {
    const size_t len = strlen(c->key_id);
    config.key_id_len = (uint32_t)(len < sizeof config.key_id ? len : sizeof config.key_id);
    memcpy(config.key_id, c->key_id, config.key_id_len);
  }
  config.local = addr_of_socket(m->connecting.fd);
  config.remote = c->peer;
  if (c->ring) config.keys = itw_keyring_keys(c->ring);
  random_octets(config.random, sizeof config.random);
  const itw_status st = itw_client_new(out, &config, &detail, now_mono());
  itw_wipe(&config, sizeof config);
  snprintf(why, sizeof detail, "%s", detail.text[0] ? detail.text : itw_status_text(st));
  return st;
}

static void on_connected(struct watch *w, uint32_t events)
{
  struct measure *const m = w->owner;
  char why[sizeof(struct itw_detail)];
  socklen_t len = sizeof(int);
  itw_conn *conn = NULL;
  int error = 0;
  (void)events;

  getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len);
  timer_set(m->loop, &m->timer, ITW_NEVER);
  watch_stop(m->loop, w);
  if (error) {
    fail(m, "no connection: %s", strerror(error));
  } else if (new_client(m, &conn, why) < 0) {
    fail(m, "%s", why);
  } else {
    const int fd = w->fd;
    w->fd = -1;
    m->stage = SETTING_UP;
    m->pump = (struct pump){.loop = m->loop, .event = on_event, .closed = on_pump_closed, .owner = m};
    if (pump_start(&m->pump, fd, conn)) return;
    itw_conn_free(conn);
    close(fd);
    m->pump.conn = NULL;
    check(m, ITW_ERR_MEMORY);
  }
  done(m);
}

/* ---- its beginning ---- */

/* 0, or an errno. */
static int begin_connecting(struct measure *m)
{
  const int one = 1;
  struct sockaddr_storage sa;
  const socklen_t len = addr_to_sockaddr(&sa, &m->config.peer);
  const int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  m->connecting = (struct watch){.fd = fd, .ready = on_connected, .owner = m};
  if (fd < 0) return errno;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* a message is a write, and they alternate */
  if (connect(fd, (const struct sockaddr *)&sa, len) && errno != EINPROGRESS) return errno;
  m->timer = (struct timer){.due = on_time, .owner = m};
  timer_set(m->loop, &m->timer, now_mono() + m->config.connect_ns);
  return watch_start(m->loop, &m->connecting, EPOLLOUT) ? 0 : errno;
}

struct measure *measure_start(struct loop *loop, const struct measure_config *config, char why[MEASURE_WHY])
{
  const size_t sent = (size_t)config->padding + ITW_SENDER_SECURE;
  struct measure *m = calloc(1, sizeof *m);

  snprintf(why, MEASURE_WHY, "no memory");
  if (!m) return NULL;
  m->loop = loop;
  m->config = *config;
  m->udp.fd = m->connecting.fd = -1;
  m->head.peer = addr_text(m->peer_text, &config->peer);
  if (!burst_open(&m->burst, sent > ITW_REFLECTOR_SECURE ? sent : ITW_REFLECTOR_SECURE)) {
    measure_free(m);
    return NULL;
  }
  const int error = begin_connecting(m);
  if (error) {
    snprintf(why, MEASURE_WHY, "no connection: %s", strerror(error));
    measure_free(m);
    return NULL;
  }
  return m;
}

void measure_free(struct measure *m)
{
  if (!m) return;
  m->stage = DONE; /* tells nobody */
  watch_stop(m->loop, &m->connecting);
  watch_stop(m->loop, &m->udp_watch);
  timer_set(m->loop, &m->timer, ITW_NEVER);
  if (m->connecting.fd >= 0) close(m->connecting.fd);
  udp_close(&m->udp);
  burst_close(&m->burst);
  itw_sender_free(m->sender);
  report_free(&m->report);
  free(m);
}

const char *measure_failure(const struct measure *m) { return m->why[0] ? m->why : NULL; }
bool measure_had_session(const struct measure *m) { return m->had_session; }
struct report *measure_report(struct measure *m) { return &m->report; }
struct report_head measure_head(const struct measure *m) { return m->head; }
