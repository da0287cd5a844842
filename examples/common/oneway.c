/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "measuring.h"

#include "clock.h"
#include "names.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

enum { TAKEN = 64 };
static const uint64_t lead_ns = 100 * NS_PER_MS; /* from the request to Start Time, and some round trips */
enum { LEAD_ROUND_TRIPS = 6 };
static const uint64_t late_ns = 100 * NS_PER_MS; /* Stop-Sessions after the last Timeout */

/* ---- the end of the test ---- */

/* Our Stop-Sessions, which accounts for what we sent (RFC 4656 §3.8). */
static void say_stop(struct measure *m)
{
  struct oneway *const o = &m->oneway;
  uint32_t accept = ITW_ACCEPT_OK;

  if (o->stopping) return;
  o->stopping = true;
  timer_set(m->loop, &m->timer, ITW_NEVER);
  m->stage = STOPPING;
  if (o->to_slot != ITW_NO_SLOT) {
    outgoing_stop(&o->outbound, &o->to);
    if (o->to.lost_track) accept = ITW_ACCEPT_INTERNAL;
    measure_check(m, itw_conn_account(m->pump.conn, o->to_slot, o->to.next_seqno, o->to.n_skips));
  }
  measure_check(m, itw_conn_stop(m->pump.conn, NULL, accept, now_mono()));
}

void oneway_stop(struct measure *m)
{
  say_stop(m);
  pump_run(&m->pump);
}

/* When all sessions are complete, and a little later: a Stop-Sessions that comes within Timeout of the last packet's time, by
   the receiver's own clock, costs that packet its record (RFC 4656 §3.8). */
static void stop_if_complete(struct measure *m)
{
  const struct oneway *const o = &m->oneway;

  if (o->stopping || (o->to_slot != ITW_NO_SLOT && !o->sent) || (o->from_slot != ITW_NO_SLOT && !o->from.complete))
    return;
  timer_set(m->loop, &m->timer, now_mono() + late_ns);
}

void oneway_time(struct measure *m)
{
  say_stop(m);
  pump_run(&m->pump);
}

static void on_sent(struct outgoing *out)
{
  struct measure *const m = out->owner;
  m->oneway.sent = true;
  stop_if_complete(m);
}

/* ---- what comes from the Server ---- */

/* Which records count is known at the end only, so they are kept: 32 octets each. */
static void on_record(struct incoming *in, const struct itw_record *record)
{
  struct measure *const m = in->owner;
  struct oneway *const o = &m->oneway;

  if (o->n_records == o->room) {
    const size_t room = o->room ? 2 * o->room : 256;
    struct itw_record *const more = realloc(o->records, room * sizeof *more);
    if (!more) {
      measure_check(m, ITW_ERR_MEMORY);
      return;
    }
    o->records = more;
    o->room = room;
  }
  o->records[o->n_records++] = *record;
}

static void count_record(struct measure *m, int way, const struct itw_record *record)
{
  report_record(&m->reports[way], record);
  if (m->config.record) m->config.record(m->config.owner, way == REPORT_TO ? MEASURE_TO : MEASURE_FROM, record);
}

/* Before the records are counted. */
static void count_skips(struct measure *m, int way)
{
  const struct oneway *const o = &m->oneway;
  measure_check(m, itw_stats_skips(m->reports[way].stats, o->skips[way], o->n_skips[way]));
}

static void on_received(struct incoming *in, const struct itw_verdict *verdict)
{
  struct measure *const m = in->owner;
  struct oneway *const o = &m->oneway;
  struct report *const r = &m->reports[REPORT_FROM];

  if (verdict->status == ITW_AGAIN) {
    stop_if_complete(m);
    return;
  }
  if (verdict->status != ITW_OK) {
    r->broken = true;
    measure_fail(m, "results are invalid: %s", itw_status_text(verdict->status));
    return;
  }
  count_skips(m, REPORT_FROM);
  for (size_t i = 0; i < o->n_records; i++)
    if (itw_verdict_keeps(verdict, &o->records[i], o->skips[REPORT_FROM], o->n_skips[REPORT_FROM]))
      count_record(m, REPORT_FROM, &o->records[i]);
  itw_stats_sent(r->stats, verdict->below < o->next_seqno ? verdict->below : o->next_seqno);
}

/* ---- sessions ---- */

static bool open_shards(struct measure *m)
{
  struct oneway *const o = &m->oneway;
  const uint32_t window = itw_receiver_window(&o->schedule, 1, itw_ntp_span(m->config.timeout_ns), m->config.count);

  if (!burst_open(&m->burst, (size_t)m->config.padding + ITW_SENDER_SECURE)) return measure_check(m, ITW_ERR_MEMORY);
  if (m->config.ways & MEASURE_TO) {
    if (!measure_check(m, outbound_open(&o->outbound, m->loop, &m->burst, 1, 1))) return false;
    o->outbound.ended = on_sent;
  }
  if (m->config.ways & MEASURE_FROM) {
    if (!measure_check(m, inbound_open(&o->inbound, m->loop, &m->burst, 1, 1, window))) return false;
    o->inbound.record = on_record;
    o->inbound.ended = on_received;
  }
  return true;
}

/* Late enough for the messages that are still to be exchanged. */
static itw_ntp start_time(const struct measure *m)
{
  struct tcp_info info = {0};
  socklen_t len = sizeof info;
  (void)getsockopt(m->pump.watch.fd, IPPROTO_TCP, TCP_INFO, &info, &len);
  return now_wall() + itw_ntp_span(lead_ns + LEAD_ROUND_TRIPS * info.tcpi_rtt * NS_PER_US);
}

static void ask(struct measure *m, bool to)
{
  struct oneway *const o = &m->oneway;
  struct udp *const udp = to ? &o->to.udp : &o->from.udp;
  struct itw_request request;
  uint8_t random[4];

  if (!measure_bind(m, udp)) return;
  ITW_INIT(request);
  request.conf = to ? ITW_CONF_RECEIVER : ITW_CONF_SENDER; /* the Server's part */
  request.packets = m->config.count;
  request.padding = m->config.padding;
  request.start = start_time(m);
  request.timeout = itw_ntp_span(m->config.timeout_ns);
  request.dscp = m->config.dscp;
  request.flags = m->config.zero_padding ? ITW_SESSION_ZERO_PADDING : 0;
  /* Zero addresses would mean the same, but perfSONAR's owampd takes them for addresses. */
  request.sender = to ? udp->local : m->config.peer;
  request.receiver = to ? m->config.peer : udp->local;
  *(to ? &request.receiver.port : &request.sender.port) = 0;
  if (!to) { /* the receiver makes the SID */
    random_octets(random, sizeof random);
    itw_sid_make(request.sid, &udp->local, now_wall(), random);
  }
  measure_check(m, itw_client_request_session(m->pump.conn, NULL, to ? &o->to_slot : &o->from_slot, &request,
                                              &o->schedule, 1, now_mono()));
}

static void on_up(struct measure *m)
{
  m->oneway.schedule.type = m->config.schedule;
  m->oneway.schedule.parameter = itw_ntp_span(m->config.interval_ns);
  if (open_shards(m)) ask(m, (m->config.ways & MEASURE_TO) != 0);
}

static void on_accepted(struct measure *m, const struct itw_event *event)
{
  struct oneway *const o = &m->oneway;
  const bool to = event->slot == o->to_slot;
  struct report *const r = &m->reports[to ? REPORT_TO : REPORT_FROM];
  struct itw_session session;

  if (!measure_check(m, itw_conn_session(m->pump.conn, event->slot, &session))) return;
  o->to.owner = o->from.owner = m;
  const itw_status st = to ? outgoing_add(&o->outbound, &o->to, &session, &o->schedule, 1)
                           : incoming_add(&o->inbound, &o->from, &session, &o->schedule, 1);
  itw_session_wipe(&session);
  if (!measure_check(m, st) || !measure_check(m, report_open(r, true, m->config.count) ? ITW_OK : ITW_ERR_MEMORY))
    return;
  memcpy(r->sid, event->request.sid, sizeof r->sid);
  if (to && (m->config.ways & MEASURE_FROM))
    ask(m, false);
  else
    measure_check(m, itw_client_start(m->pump.conn, NULL, now_mono()));
}

static void on_started(struct measure *m)
{
  struct oneway *const o = &m->oneway;

  m->had_session = true;
  m->stage = RUNNING;
  if (o->to_slot != ITW_NO_SLOT) outgoing_start(&o->outbound, &o->to);
  if (o->from_slot != ITW_NO_SLOT) measure_check(m, incoming_start(&o->from));
}

/* The peer's Stop-Sessions is whole. */
static void on_stop(struct measure *m, const struct itw_event *event)
{
  struct oneway *const o = &m->oneway;

  if (event->accept != ITW_ACCEPT_OK) {
    m->reports[REPORT_TO].broken = m->reports[REPORT_FROM].broken = true;
    measure_fail(m, "the Server calls the results invalid: Accept %u (%s)", event->accept,
                 names_of_accept(event->accept));
  }
  say_stop(m);
  if (o->from_slot != ITW_NO_SLOT) incoming_stop(&o->from, o->next_seqno);
}

/* Both have said Stop, or the connection broke. */
static void on_stopped(struct measure *m, const struct itw_event *event)
{
  struct oneway *const o = &m->oneway;
  struct itw_fetch fetch;

  if (event->status != ITW_OK) {
    if (o->from_slot != ITW_NO_SLOT) incoming_broke(&o->from);
    if (o->to_slot != ITW_NO_SLOT) report_free(&m->reports[REPORT_TO]); /* nothing is known */
    measure_broken(m, event->status);
  }
  if (event->status != ITW_OK || o->to_slot == ITW_NO_SLOT) {
    pump_close(&m->pump);
    return;
  }
  ITW_INIT(fetch);
  fetch.end = UINT32_MAX; /* all of it */
  memcpy(fetch.sid, m->reports[REPORT_TO].sid, sizeof fetch.sid);
  measure_check(m, itw_client_fetch(m->pump.conn, NULL, &fetch, now_mono()));
}

static void on_fetched(struct measure *m, const struct itw_event *event)
{
  m->oneway.fetched = event->status == ITW_OK;
  if (event->status == ITW_ERR_REFUSED)
    measure_fail(m, "the Server refused to give the results: Accept %u (%s)", event->accept,
                 names_of_accept(event->accept));
  pump_close(&m->pump);
}

void oneway_event(struct measure *m, const struct itw_event *event)
{
  switch (event->kind) {
  case ITW_EV_UP: on_up(m); break;
  case ITW_EV_ACCEPTED: on_accepted(m, event); break;
  case ITW_EV_STARTED: on_started(m); break;
  case ITW_EV_STOP_SESSION: m->oneway.next_seqno = event->next_seqno; break;
  case ITW_EV_STOP: on_stop(m, event); break;
  case ITW_EV_STOPPED: on_stopped(m, event); break;
  case ITW_EV_FETCHED: on_fetched(m, event); break;
  default: break;
  }
}

/* ---- lists: skip ranges of either side, and what is fetched ---- */

static itw_status take_skips(struct measure *m, const struct itw_poll *p)
{
  struct oneway *const o = &m->oneway;
  const int way = p->slot == ITW_NO_SLOT ? REPORT_TO : REPORT_FROM;
  struct itw_skip *const more = realloc(o->skips[way], (o->n_skips[way] + (size_t)TAKEN) * sizeof *more);
  size_t got = 0;

  if (!more) return ITW_ERR_MEMORY;
  o->skips[way] = more;
  const itw_status st = itw_conn_take_skips(m->pump.conn, NULL, more + o->n_skips[way], TAKEN, &got, now_mono());
  o->n_skips[way] += (uint32_t)got;
  return st;
}

/* The skip ranges came before. */
static itw_status take_records(struct measure *m)
{
  struct itw_record records[TAKEN];
  size_t got = 0;
  const itw_status st = itw_conn_take_records(m->pump.conn, NULL, records, TAKEN, &got, now_mono());

  if (!m->oneway.taken) count_skips(m, REPORT_TO);
  m->oneway.taken = true;
  for (size_t i = 0; i < got; i++) count_record(m, REPORT_TO, &records[i]);
  return st;
}

void oneway_data(struct measure *m, const struct itw_poll *p)
{
  struct oneway *const o = &m->oneway;
  const itw_mono now = now_mono();
  itw_status st;
  size_t n = 0;

  if (p->wants & ITW_WANT_GIVE)
    st = itw_conn_give_skips(m->pump.conn, NULL, o->to.skips + o->to.n_skips - p->left, p->left, &n, now);
  else if (p->data == ITW_DATA_SLOTS)
    st = itw_conn_take_slots(m->pump.conn, NULL, NULL, p->left, &n, now); /* we know them */
  else if (p->data == ITW_DATA_SKIPS)
    st = take_skips(m, p);
  else
    st = take_records(m);
  measure_check(m, st);
}

/* ---- so far, and at the end ---- */

struct measure_progress oneway_progress(const struct measure *m)
{
  const struct oneway *const o = &m->oneway;
  struct measure_progress p = {.running = true, .sent = o->to.sent};
  struct itw_counts counts;

  ITW_INIT(counts);
  if (o->from_slot == ITW_NO_SLOT || itw_receiver_counts(o->inbound.receiver, 0, &counts) < 0) return p;
  p.received = counts.received;
  p.lost = counts.lost;
  return p;
}

static void collect_counts(struct measure *m)
{
  struct report *const r = &m->reports[REPORT_FROM];
  struct itw_counts counts;

  ITW_INIT(counts);
  if (!m->oneway.inbound.receiver || itw_receiver_counts(m->oneway.inbound.receiver, 0, &counts) < 0) return;
  r->auth_failures = counts.auth_failures;
  r->malformed = counts.malformed;
  r->discarded = counts.late;
}

/* Skip ranges stay as long as the reports. How many packets were sent to the Server is told by the records: of the last ones
   before a Stop-Sessions there are none (RFC 4656 §3.8). */
void oneway_close(struct measure *m)
{
  struct oneway *const o = &m->oneway;
  struct report *const to = &m->reports[REPORT_TO];

  collect_counts(m);
  if (!o->fetched && to->stats) {
    to->broken = true;
    measure_fail(m, "the results of what was sent couldn't be fetched");
  }
  if (o->to.error) measure_fail(m, "sending: %s", strerror(o->to.error));
  outgoing_close(&o->outbound, &o->to);
  incoming_close(&o->from);
  outbound_close(&o->outbound);
  inbound_close(&o->inbound);
  free(o->records);
  o->records = NULL;
}
