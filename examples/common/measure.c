/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "measuring.h"

#include "clock.h"
#include "names.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum { BUFFER = 4096 }; /* OWAMP: a fetch in larger pieces */

/* ---- its end ---- */

void measure_fail(struct measure *m, const char *format, ...)
{
  va_list args;

  if (m->why[0]) return;
  va_start(args, format);
  vsnprintf(m->why, sizeof m->why, format, args);
  va_end(args);
}

void measure_done(struct measure *m)
{
  if (m->stage == DONE) return;
  m->stage = DONE;
  watch_stop(m->loop, &m->connecting);
  timer_set(m->loop, &m->timer, ITW_NEVER);
  if (m->config.protocol == ITW_OWAMP)
    oneway_close(m);
  else
    twoway_close(m);
  m->config.done(m->config.owner);
}

bool measure_check(struct measure *m, itw_status st)
{
  if (st >= 0) return true;
  measure_fail(m, "%s (%s)", itw_status_text(st), itw_status_name(st));
  if (m->pump.conn) pump_close(&m->pump);
  return false;
}

void measure_stop(struct measure *m)
{
  switch (m->stage) {
  case CONNECTING:
    measure_fail(m, "interrupted while connecting");
    measure_done(m);
    break;
  case SETTING_UP:
    measure_fail(m, "interrupted while setting up the session");
    pump_close(&m->pump);
    pump_run(&m->pump);
    break;
  case RUNNING:
  case WAITING:
    if (m->config.protocol == ITW_OWAMP)
      oneway_stop(m);
    else
      twoway_stop(m);
    break;
  case LINGERING: measure_done(m); break;
  default: break;
  }
}

void measure_refused(struct measure *m, const struct itw_event *event)
{
  measure_fail(m, "the Server refused the session: Accept %u (%s)", event->accept, names_of_accept(event->accept));
  pump_close(&m->pump);
}

void measure_broken(struct measure *m, itw_status why)
{
  for (int i = 0; i < REPORTS; i++) m->reports[i].broken = true;
  measure_fail(m, "the control connection broke during the test, results are invalid: %s", itw_status_text(why));
}

void measure_break(struct measure *m) { measure_broken(m, ITW_ERR_CLOSED); }

/* No connection within the time, no more replies, or what the protocol waits for. */
static void on_time(struct timer *t, itw_mono now)
{
  struct measure *const m = t->owner;

  switch (m->stage) {
  case CONNECTING:
    measure_fail(m, "no connection within %.3g s", (double)m->config.connect_ns / 1e9);
    measure_done(m);
    break;
  case LINGERING: measure_done(m); break;
  default:
    if (m->config.protocol == ITW_OWAMP)
      oneway_time(m);
    else
      twoway_time(m, now);
  }
}

/* ---- the control connection ---- */

bool measure_bind(struct measure *m, struct udp *u)
{
  struct itw_addr local = addr_of_socket(m->pump.watch.fd);

  local.port = 0;
  const int error = udp_open(u, &local);
  if (!error) return true;
  u->fd = -1;
  measure_fail(m, "no UDP socket: %s", strerror(error));
  pump_close(&m->pump);
  return false;
}

static void on_up(struct measure *m, const struct itw_event *event)
{
  m->head.mode = event->mode;
  m->head.scheme = event->scheme;
  m->head.sa = event->sa;
  m->head.features = event->features & m->config.features;
  if (m->config.agreed) m->config.agreed(m->config.owner, m->config.features & ~event->features);
}

/* Its keys stay (RFC 7717 §5.1), or it makes room for a connection with new ones (draft §4.3). Not by the library's
   ITW_REKEY_CLOSE: without Stop-Sessions results would be invalid (RFC 4656 §3.8). */
static void on_sa_gone(struct measure *m, const struct itw_event *event)
{
  if (m->config.on_rekey == ITW_REKEY_CLOSE) {
    m->end = MEASURE_REPLACED;
    twoway_sa_gone(m);
  } else if (m->config.kept) {
    m->config.kept(m->config.owner, &event->sa);
  }
}

/* The Server's SA may be gone, and we not have heard of it: then it closes, or refuses by Accept 1 or 6. */
static bool left(const struct measure *m, const struct itw_event *event)
{
  const bool refused =
      event->status == ITW_ERR_REFUSED && (event->accept == ITW_ACCEPT_FAILURE || event->accept == ITW_ACCEPT_NO_SA);
  return !m->had_session && m->head.sa.protocol && (event->status == ITW_ERR_CLOSED || refused);
}

/* Why there is no connection any more, or none came about. */
static void on_closed_event(struct measure *m, const struct itw_event *event)
{
  struct itw_detail detail;
  char sought[SOURCE_TEXT];

  ITW_INIT(detail);
  if (event->status == ITW_ERR_SA_GONE) m->end = MEASURE_REPLACED;
  if (event->status == ITW_ERR_SA_MISMATCH) m->end = MEASURE_AHEAD;
  if (m->had_session && (event->status == ITW_OK || m->end != MEASURE_WHOLE)) return;
  if (itw_conn_detail(m->pump.conn, &detail) < 0) ITW_INIT(detail);
  m->head.sa = detail.sa;
  if (left(m, event)) m->end = MEASURE_LEFT;
  source_sought(sought, m->config.source, &detail, &m->local, &m->config.peer);
  if (event->status == ITW_ERR_REFUSED) {
    measure_fail(m, "the Server refused: Accept %u (%s)%s", event->accept, names_of_accept(event->accept), sought);
  } else if (detail.message) {
    measure_fail(m, "%s: %s%s", itw_message_name(detail.message), itw_status_text(event->status), sought);
  } else {
    measure_fail(m, "%s", event->status == ITW_OK ? itw_status_text(ITW_ERR_CLOSED) : itw_status_text(event->status));
  }
}

static void on_event(struct pump *p, const struct itw_event *event)
{
  struct measure *const m = p->owner;

  switch (event->kind) {
  case ITW_EV_UP: on_up(m, event); break;
  case ITW_EV_REFUSED: measure_refused(m, event); return;
  case ITW_EV_SA_GONE: on_sa_gone(m, event); return;
  case ITW_EV_CLOSED: on_closed_event(m, event); return;
  default: break;
  }
  if (m->config.protocol == ITW_OWAMP)
    oneway_event(m, event);
  else
    twoway_event(m, event);
}

static void on_data(struct pump *p, const struct itw_poll *poll) { oneway_data(p->owner, poll); }

static void on_pump_closed(struct pump *p)
{
  struct measure *const m = p->owner;
  if (!twoway_linger(m)) measure_done(m);
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
  config.protocol = c->protocol;
  config.features = c->features;
  config.sessions = REPORTS;
  if (c->protocol == ITW_OWAMP) config.buffer = BUFFER;
  if (c->key_id) {
    const size_t len = strlen(c->key_id);
    config.key_id_len = (uint32_t)(len < sizeof config.key_id ? len : sizeof config.key_id);
    memcpy(config.key_id, c->key_id, config.key_id_len);
  }
  config.local = m->local = addr_of_socket(m->connecting.fd);
  config.remote = c->peer;
  config.tag = c->tag;
  config.keys = c->keys;
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
    measure_fail(m, "no connection: %s", strerror(error));
  } else if (new_client(m, &conn, why) < 0) {
    measure_fail(m, "%s", why);
  } else {
    const int fd = w->fd;
    w->fd = -1;
    m->stage = SETTING_UP;
    m->pump = (struct pump){.loop = m->loop, .event = on_event, .data = on_data, .closed = on_pump_closed, .owner = m};
    if (pump_start(&m->pump, fd, conn)) return;
    itw_conn_free(conn);
    close(fd);
    m->pump.conn = NULL;
    measure_check(m, ITW_ERR_MEMORY);
  }
  measure_done(m);
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
  struct measure *m = calloc(1, sizeof *m);

  snprintf(why, MEASURE_WHY, "no memory");
  if (!m) return NULL;
  m->loop = loop;
  m->config = *config;
  m->connecting.fd = m->twoway.udp.fd = m->oneway.to.udp.fd = m->oneway.from.udp.fd = -1;
  m->oneway.to_slot = m->oneway.from_slot = ITW_NO_SLOT;
  m->head.protocol = config->protocol;
  m->head.peer = addr_text(m->peer_text, &config->peer);
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
  timer_set(m->loop, &m->timer, ITW_NEVER);
  if (m->connecting.fd >= 0) close(m->connecting.fd);
  twoway_close(m);
  oneway_close(m);
  burst_close(&m->burst);
  for (int i = 0; i < REPORTS; i++) {
    report_free(&m->reports[i]);
    free(m->oneway.skips[i]);
  }
  free(m);
}

void measure_sa_gone(struct measure *m, const struct itw_sa *sa)
{
  if (m->pump.conn) pump_sa_gone(&m->pump, sa);
}

void measure_answer(struct measure *m, const struct itw_answer *answer)
{
  if (m->pump.conn) pump_answer(&m->pump, answer);
}

struct measure_progress measure_progress(const struct measure *m)
{
  const struct measure_progress none = {0};
  if (m->stage != RUNNING && m->stage != WAITING) return none;
  return m->config.protocol == ITW_OWAMP ? oneway_progress(m) : twoway_progress(m);
}

const char *measure_failure(const struct measure *m) { return m->why[0] ? m->why : NULL; }
bool measure_had_session(const struct measure *m) { return m->had_session; }
const struct report *measure_reports(const struct measure *m) { return m->reports; }
int measure_end(const struct measure *m) { return m->end; }
struct report_head measure_head(const struct measure *m) { return m->head; }

void measure_merge(struct measure *m, const struct measure *other)
{
  for (int i = 0; i < REPORTS; i++)
    if (other->reports[i].stats) report_merge(&m->reports[i], &other->reports[i]);
}
