/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "measuring.h"

#include "clock.h"

enum { WINDOW_MAX = 65536, WINDOW_ENDLESS = 4096 }; /* packets among which duplicates are told apart */
static const uint64_t clock_every = 10 * NS_PER_S;  /* how often the kernel is asked for its clock's quality */

static uint32_t window(const struct measure *m)
{
  const uint32_t count = m->config.count;
  return !count ? WINDOW_ENDLESS : count < WINDOW_MAX ? count : WINDOW_MAX;
}

static void say_stop(struct measure *m)
{
  const struct twoway *const t = &m->twoway;
  const itw_mono now = now_mono();

  timer_set(m->loop, &m->timer, ITW_NEVER);
  m->stage = STOPPING;
  measure_check(m, m->head.features & ITW_FEATURE_SESSION_CONTROL
                       ? itw_client_stop_n(m->pump.conn, NULL, &t->slot, 1, now)
                       : itw_client_stop(m->pump.conn, NULL, now));
}

static void stop_sessions(struct measure *m)
{
  say_stop(m);
  pump_run(&m->pump);
}

/* No more packets; a reply that is under way isn't lost. */
void twoway_stop(struct measure *m)
{
  const struct twoway *const t = &m->twoway;

  if (m->stage == WAITING || t->answered == t->sent) {
    stop_sessions(m);
    return;
  }
  m->stage = WAITING;
  timer_set(m->loop, &m->timer, t->last + m->config.timeout_ns);
}

/* ---- its SA is gone ---- */

/* No more packets; those under way are answered for Timeout after Stop-Sessions (RFC 5357 §3.5). When all were sent, the
   session ends as it would have. */
void twoway_sa_gone(struct measure *m)
{
  if (m->stage == RUNNING)
    say_stop(m);
  else if (m->stage == SETTING_UP)
    measure_check(m, ITW_ERR_SA_GONE);
}

/* Another connection may go on where this one ended, so it has to be known what became of each packet. */
bool twoway_linger(struct measure *m)
{
  const struct twoway *const t = &m->twoway;

  if (m->end == MEASURE_WHOLE || m->why[0] || t->answered == t->sent) return false;
  m->stage = LINGERING;
  timer_set(m->loop, &m->timer, t->last + m->config.timeout_ns);
  return true;
}

/* ---- packets ---- */

static void look_at_clock(struct measure *m, itw_mono now)
{
  struct itw_clock clock;

  if (now < m->twoway.clock_next) return;
  m->twoway.clock_next = now + clock_every;
  ITW_INIT(clock);
  clock.error = now_error();
  measure_check(m, itw_sender_clock(m->twoway.sender, &clock));
}

/* All that takes time comes before the timestamp; in encrypted mode the cryptography can't. */
static void send_packet(struct measure *m)
{
  struct twoway *const t = &m->twoway;
  struct burst *const b = &m->burst;
  struct itw_packet *const p = burst_clear(b, 0);

  p->id = t->id;
  if (!measure_check(m, itw_sender_write(t->sender, b->octets, b->size, p, sizeof *p, 1)) ||
      !measure_check(m, p->status))
    return;
  p->sent = now_wall();
  if (!measure_check(m, itw_sender_stamp(t->sender, b->octets, b->size, p, sizeof *p, 1)) ||
      !measure_check(m, p->status))
    return;
  const int error = udp_send(&t->udp, b, p);
  if (error && !t->send_error) t->send_error = error; /* the packet counts as lost */
  t->sent++;
  t->last = now_mono();
  itw_stats_sent(m->reports[REPORT_ROUND].stats, t->sent);
}

static void take_reply(struct measure *m, const struct itw_packet *p, const struct itw_reply *reply)
{
  if (p->status != ITW_OK) return; /* the shard counts them */
  if (m->config.reply) m->config.reply(m->config.owner, reply);
  report_reply(&m->reports[REPORT_ROUND], reply);
  if (reply->kind == ITW_REPLY_NEW || reply->kind == ITW_REPLY_REORDERED) m->twoway.answered++;
}

static void on_udp(struct watch *w, uint32_t events)
{
  struct measure *const m = w->owner;
  struct twoway *const t = &m->twoway;
  struct burst *const b = &m->burst;
  struct itw_reply replies[BURST];
  (void)events;

  const size_t n = udp_receive(&t->udp, b);
  for (size_t i = 0; i < n; i++) ITW_INIT(replies[i]);
  if (measure_check(m, itw_sender_read(t->sender, b->octets, b->size, b->packet, sizeof b->packet[0], replies,
                                       sizeof replies[0], n)))
    for (size_t i = 0; i < n; i++) take_reply(m, &b->packet[i], &replies[i]);
  if (m->stage == LINGERING && t->answered == t->sent)
    measure_done(m);
  else if (m->why[0])
    pump_run(&m->pump);
  else if (m->stage == WAITING && t->answered == t->sent)
    stop_sessions(m);
}

/* The next packet, or the end of the wait for the last reply. */
void twoway_time(struct measure *m, itw_mono now)
{
  struct twoway *const t = &m->twoway;

  if (m->stage == WAITING) {
    stop_sessions(m);
    return;
  }
  look_at_clock(m, now);
  send_packet(m);
  t->next += m->config.interval_ns;
  if (t->next < now) t->next = now; /* we came late: don't make up for it with a burst */
  if (m->why[0]) {
    pump_run(&m->pump);
  } else if (t->sent != m->config.count) {
    timer_set(m->loop, &m->timer, t->next);
  } else {
    m->stage = WAITING;
    timer_set(m->loop, &m->timer, now + m->config.timeout_ns);
  }
}

/* ---- the session ---- */

static bool open_sender(struct measure *m)
{
  struct itw_shard_config config;

  ITW_INIT(config);
  ITW_INIT(config.clock);
  config.sessions = config.contexts = 1;
  config.window = window(m);
  config.clock.error = now_error();
  random_octets(config.seed, sizeof config.seed);
  const itw_status st = itw_sender_new(&m->twoway.sender, &config);
  itw_wipe(config.seed, sizeof config.seed);
  return measure_check(m, st) &&
         measure_check(m, report_open(&m->reports[REPORT_ROUND], false, window(m)) ? ITW_OK : ITW_ERR_MEMORY);
}

/* The least padding with which a packet is as long as its reply (RFC 5357 §4.2.1), or that the features need (RFC 6038 §5.1,
   RFC 7750 §2.2). */
static uint32_t least_padding(const struct measure *m)
{
  const bool symmetrical = m->head.features & ITW_FEATURE_SYMMETRICAL, dscp = m->head.features & ITW_FEATURE_DSCP_ECN;
  const uint32_t reflect = m->head.features & ITW_FEATURE_REFLECT ? m->config.reflect : 0;

  if (m->head.mode == ITW_MODE_OPEN || m->head.mode == ITW_MODE_MIXED)
    return reflect + (symmetrical ? (dscp ? 2 : reflect != 0) : (dscp ? 30 : 27));
  return reflect + (symmetrical ? 8 : 64);
}

static void ask(struct measure *m)
{
  struct twoway *const t = &m->twoway;
  struct itw_request request;

  if (!measure_bind(m, &t->udp)) return;
  ITW_INIT(request);
  request.padding = m->config.padded ? m->config.padding : least_padding(m);
  request.sender.port = t->udp.local.port;
  request.start = now_wall();
  request.timeout = itw_ntp_span(m->config.timeout_ns);
  request.dscp = m->config.dscp;
  request.flags = m->config.zero_padding ? ITW_SESSION_ZERO_PADDING : 0;
  if (m->head.features & ITW_FEATURE_PTP) request.flags |= ITW_SESSION_PTP;
  if (m->head.features & ITW_FEATURE_REFLECT) {
    request.reflect = (uint16_t)m->config.reflect;
    random_octets(request.reflect_octets, sizeof request.reflect_octets);
  }
  if (!burst_open(&m->burst, (size_t)request.padding + ITW_REFLECTOR_SECURE))
    measure_check(m, ITW_ERR_MEMORY);
  else
    measure_check(m, itw_client_request(m->pump.conn, NULL, &t->slot, &request, now_mono()));
}

static void on_accepted(struct measure *m, const struct itw_event *event)
{
  struct twoway *const t = &m->twoway;
  struct itw_session session;
  const itw_mono now = now_mono();

  if (measure_check(m, itw_conn_session(m->pump.conn, event->slot, &session)) && open_sender(m) &&
      measure_check(m, itw_sender_add(t->sender, &t->id, &session, 0)))
    measure_check(m, m->head.features & ITW_FEATURE_SESSION_CONTROL
                         ? itw_client_start_n(m->pump.conn, NULL, &t->slot, 1, now)
                         : itw_client_start(m->pump.conn, NULL, now));
  m->reports[REPORT_ROUND].tos_sent = (uint8_t)(m->config.dscp << 2);
  memcpy(m->reports[REPORT_ROUND].sid, event->request.sid, sizeof event->request.sid);
  itw_session_wipe(&session);
}

static void on_started(struct measure *m, const struct itw_event *event)
{
  struct twoway *const t = &m->twoway;

  if (event->status != ITW_OK) {
    measure_refused(m, event);
    return;
  }
  t->watch = (struct watch){.fd = t->udp.fd, .ready = on_udp, .owner = m};
  if (!watch_start(m->loop, &t->watch, EPOLLIN)) {
    measure_check(m, ITW_ERR_MEMORY);
    return;
  }
  m->had_session = true;
  m->stage = RUNNING;
  t->next = now_mono();
  timer_set(m->loop, &m->timer, t->next);
}

static void on_stopped(struct measure *m, const struct itw_event *event)
{
  timer_set(m->loop, &m->timer, ITW_NEVER);
  const bool left = event->status == ITW_ERR_CLOSED && m->config.on_rekey == ITW_REKEY_CLOSE && m->head.sa.protocol;
  if (left && m->end == MEASURE_WHOLE) m->end = MEASURE_LEFT;
  if (!left && event->status != ITW_OK) measure_broken(m, event->status);
  pump_close(&m->pump);
}

void twoway_event(struct measure *m, const struct itw_event *event)
{
  switch (event->kind) {
  case ITW_EV_UP: ask(m); break;
  case ITW_EV_ACCEPTED: on_accepted(m, event); break;
  case ITW_EV_STARTED: on_started(m, event); break;
  case ITW_EV_STOPPED: on_stopped(m, event); break;
  default: break;
  }
}

struct measure_progress twoway_progress(const struct measure *m)
{
  const struct report *const r = &m->reports[REPORT_ROUND];
  const struct itw_loss loss = report_loss(r);
  return (struct measure_progress){true, loss.sent, loss.received, loss.lost - loss.tail,
                                   report_delays(r, ITW_STATS_ROUND).median};
}

void twoway_close(struct measure *m)
{
  struct twoway *const t = &m->twoway;
  struct report *const r = &m->reports[REPORT_ROUND];
  struct itw_counts counts;

  ITW_INIT(counts);
  if (t->sender && itw_sender_counts(t->sender, 0, &counts) >= 0) {
    r->auth_failures = counts.auth_failures;
    r->malformed = counts.malformed;
  }
  if (t->send_error) measure_fail(m, "sending: %s", strerror(t->send_error));
  watch_stop(m->loop, &t->watch);
  udp_close(&t->udp);
  itw_sender_free(t->sender);
  t->sender = NULL;
}
