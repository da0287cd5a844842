/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_agent.h"
#include <stdlib.h>

/* What a side does of itself: a client everything that it sends; a Server what the library doesn't send alone. */
static bool is_step(const struct replay_agent *a, const struct vec_section *s)
{
  if (a->r->role == ITW_ROLE_CLIENT) return replay_word_is(s, "from", "client");
  return replay_word_is(s, "from", "server") && strcmp(s->name, "Start-Ack") && strcmp(s->name, "Stop-N-Ack") &&
         strcmp(s->name, "Fetched-Data");
}

/* The next message of the recording that is this side's to make. */
static const struct vec_section *next_step(struct replay_agent *a)
{
  const struct vec_section *s = a->step ? vec_next(a->r->vec, a->step, "control") : vec_first(a->r->vec, "control");
  while (s && !is_step(a, s)) s = vec_next(a->r->vec, s, "control");
  if (s) a->step = s;
  return s;
}

/* The same, if it is this one: a message that was tampered with may have asked for something else. */
static const struct vec_section *next_answer(struct replay_agent *a, const char *name)
{
  const struct vec_section *last = a->step, *s = next_step(a);
  if (s && !strcmp(s->name, name)) return s;
  a->step = last;
  return NULL;
}

/* ---- sessions ---- */

static void read_sid(const struct itw_session *session, uint8_t sid[16])
{
  struct itw_session_info info;
  ITW_INIT(info);
  if (itw_session_info(session, &info) != ITW_OK) abort();
  memcpy(sid, info.sid, 16);
}

void replay_sid(const struct replay_agent *a, uint32_t slot, uint8_t sid[16])
{
  memset(sid, 0, 16);
  for (size_t i = 0; i < a->r->session_count; i++) /* the last one, if the slot was free in between */
    if (a->slots[i] == slot) read_sid(&a->r->sessions[i], sid);
}

/* Its number in r->sessions; REPLAY_SESSIONS: there is none. */
static size_t find_session(const struct replay_agent *a, const uint8_t sid[16])
{
  uint8_t other[16];
  for (size_t i = 0; i < a->r->session_count; i++) {
    read_sid(&a->r->sessions[i], other);
    if (!memcmp(other, sid, 16)) return i;
  }
  return REPLAY_SESSIONS;
}

static void keep_session(struct replay_agent *a, const struct itw_event *ev)
{
  struct replay *r = a->r;
  const size_t n = r->session_count;
  if (n == REPLAY_SESSIONS || itw_conn_session(a->conn, ev->slot, &r->sessions[n]) != ITW_OK) return;
  a->slots[n] = ev->slot;
  a->requests[n] = ev->request;
  r->session_count++;
}

/* ---- client ---- */

static struct itw_request wish(const struct vec_section *s)
{
  struct itw_request q;
  ITW_INIT(q);
  q.sender = replay_addr(s, "sender_address", vec_u64(s, "sender_port"));
  q.receiver = replay_addr(s, "receiver_address", vec_u64(s, "receiver_port"));
  q.padding = (uint32_t)vec_u64(s, "padding");
  q.start = vec_be64(s, "start_time");
  q.timeout = vec_be64(s, "timeout");
  q.dscp = (uint32_t)(vec_be64(s, "typep") >> 24);
  if (replay_features(vec_first(s->vec, "case"), "mode_chosen") & ITW_FEATURE_PTP) q.flags = ITW_SESSION_PTP;
  if (vec_has(s, "reflect")) {
    q.reflect = (uint16_t)vec_u64(s, "reflect");
    vec_hex(s, "reflect_octets", q.reflect_octets, sizeof q.reflect_octets);
  }
  return q;
}

static void client_request(struct replay_agent *a, const struct vec_section *s)
{
  const struct itw_request q = wish(s);
  uint32_t slot;
  replay_say(a->r, "request %d\n", itw_client_request(a->conn, &a->p, &slot, &q, a->now));
}

static void client_request_session(struct replay_agent *a, const struct vec_section *s)
{
  struct itw_request q = wish(s);
  struct itw_slot slots[REPLAY_ITEMS];
  const size_t n = replay_read_slots(s, slots);
  uint32_t slot;
  q.conf = (vec_u64(s, "conf_sender") ? ITW_CONF_SENDER : 0) | (vec_u64(s, "conf_receiver") ? ITW_CONF_RECEIVER : 0);
  q.packets = (uint32_t)vec_u64(s, "packets");
  vec_hex(s, "sid", q.sid, sizeof q.sid);
  replay_say(a->r, "request %d\n",
             itw_client_request_session(a->conn, &a->p, &slot, &q, slots, n, a->now));
}

/* Both sides' Stop-Sessions of OWAMP: poll.slot asks for the skip ranges later. */
static void stop(struct replay_agent *a, const struct vec_section *s)
{
  uint8_t sid[16];
  for (const struct vec_section *account = s; (account = replay_next_account(account));) {
    vec_hex(account, "sid", sid, sizeof sid);
    const size_t i = find_session(a, sid);
    if (i == REPLAY_SESSIONS) return; /* tampered with: none of that name */
    replay_say(a->r, "account %d\n", itw_conn_account(a->conn, a->slots[i], (uint32_t)vec_u64(account, "next_seqno"),
                                                       (uint32_t)vec_u64(account, "skips")));
  }
  replay_say(a->r, "stop %d\n", itw_conn_stop(a->conn, &a->p, (uint32_t)vec_u64(s, "accept"), a->now));
}

static void client_stop(struct replay_agent *a, const struct vec_section *s)
{
  if (replay_owamp(a->r->info)) stop(a, s);
  else replay_say(a->r, "stop %d\n", itw_client_stop(a->conn, &a->p, a->now));
}

static void client_n(struct replay_agent *a, const struct vec_section *s)
{
  uint8_t sids[16 * REPLAY_SESSIONS];
  uint32_t slots[REPLAY_SESSIONS];
  const bool start = !strcmp(s->name, "Start-N-Sessions");
  const size_t n = vec_hex(s, "sids", sids, sizeof sids) / 16;
  itw_status st;
  for (size_t i = 0; i < n; i++) {
    const size_t at = find_session(a, sids + 16 * i);
    if (at == REPLAY_SESSIONS) return;
    slots[i] = a->slots[at];
  }
  st = start ? itw_client_start_n(a->conn, &a->p, slots, n, a->now) : itw_client_stop_n(a->conn, &a->p, slots, n, a->now);
  a->waiting = n;
  replay_say(a->r, "%s of %zu %d\n", start ? "start" : "stop", n, st);
}

static void client_fetch(struct replay_agent *a, const struct vec_section *s)
{
  struct itw_fetch q;
  ITW_INIT(q);
  q.begin = (uint32_t)vec_u64(s, "begin");
  q.end = (uint32_t)vec_u64(s, "end");
  vec_hex(s, "sid", q.sid, sizeof q.sid);
  replay_say(a->r, "fetch %d\n", itw_client_fetch(a->conn, &a->p, &q, a->now));
}

static void client_step(struct replay_agent *a)
{
  const struct vec_section *s = next_step(a);
  if (!s) return;
  if (!strcmp(s->name, "Request-TW-Session")) client_request(a, s);
  else if (!strcmp(s->name, "Request-Session")) client_request_session(a, s);
  else if (!strcmp(s->name, "Start-Sessions")) replay_say(a->r, "start %d\n", itw_client_start(a->conn, &a->p, a->now));
  else if (!strcmp(s->name, "Stop-Sessions")) client_stop(a, s);
  else if (!strcmp(s->name, "Start-N-Sessions") || !strcmp(s->name, "Stop-N-Sessions")) client_n(a, s);
  else if (!strcmp(s->name, "Fetch-Session")) client_fetch(a, s);
  else abort();
}

static void on_client_event(struct replay_agent *a, const struct itw_event *ev)
{
  switch (ev->kind) {
  case ITW_EV_FETCH: replay_hold_fetch(a, ev); break;
  case ITW_EV_STARTED:
  case ITW_EV_STOPPED:
    if (ev->status != ITW_OK && ev->status != ITW_ERR_REFUSED) break;
    if (a->waiting && --a->waiting) break; /* one of several */
    client_step(a);
    break;
  case ITW_EV_UP:
  case ITW_EV_ACCEPTED:
  case ITW_EV_REFUSED:
  case ITW_EV_FETCHED: client_step(a); break;
  default: break;
  }
}

/* ---- Server ---- */

static void server_request(struct replay_agent *a, const struct itw_event *ev)
{
  const struct vec_section *s = next_answer(a, "Accept-Session");
  uint8_t sid[16];
  struct itw_offer o;
  if (replay_owamp(a->r->info)) replay_data_schedule(a, ev->slot, ev->request.slots);
  if (!s || vec_u64(s, "accept")) {
    const uint32_t accept = s ? (uint32_t)vec_u64(s, "accept") : 2;
    replay_say(a->r, "answer %d\n", itw_server_answer(a->conn, &a->p, ev->slot, accept, a->now));
    return;
  }
  vec_hex(s, "sid", sid, sizeof sid);
  ITW_INIT(o);
  o.port = (uint32_t)vec_u64(s, "port");
  for (int i = 0; i < 8; i++) o.wall = o.wall << 8 | sid[4 + i];
  memcpy(o.random, sid + 12, 4);
  replay_say(a->r, "prepare %d\n", itw_server_prepare(a->conn, &a->p, ev->slot, &o, a->now));
}

static void server_start(struct replay_agent *a, uint32_t slot)
{
  const struct vec_section *s = next_answer(a, "Start-N-Ack");
  const uint32_t accept = s ? (uint32_t)vec_u64(s, "accept") : 2;
  replay_say(a->r, "started %d\n", itw_server_started(a->conn, &a->p, slot, accept, a->now));
}

static void server_stop(struct replay_agent *a)
{
  const struct vec_section *s = next_answer(a, "Stop-Sessions");
  if (s) stop(a, s);
}

static void server_fetch(struct replay_agent *a, const struct itw_event *ev)
{
  const struct vec_section *s = next_answer(a, "Fetch-Ack");
  const size_t i = find_session(a, ev->request.sid);
  struct itw_fetch_answer n;
  ITW_INIT(n);
  n.accept = s && i < REPLAY_SESSIONS ? (uint32_t)vec_u64(s, "accept") : 1;
  if (!n.accept) {
    n.finished = (uint32_t)vec_u64(s, "finished");
    n.next_seqno = (uint32_t)vec_u64(s, "next_seqno");
    n.skips = (uint32_t)vec_u64(s, "skips");
    n.records = (uint32_t)vec_u64(s, "records");
    n.request = a->requests[i];
  }
  replay_say(a->r, "fetch %d\n", itw_server_fetch(a->conn, &a->p, &n, a->now));
}

static void on_server_event(struct replay_agent *a, const struct itw_event *ev)
{
  switch (ev->kind) {
  case ITW_EV_REQUEST: server_request(a, ev); break;
  case ITW_EV_READY: replay_say(a->r, "answer %d\n", itw_server_answer(a->conn, &a->p, ev->slot, 0, a->now)); break;
  case ITW_EV_REFUSED:
    if (ev->slot == ITW_NO_SLOT) (void)next_answer(a, "Accept-Session");
    break;
  case ITW_EV_START: server_start(a, ev->slot); break;
  case ITW_EV_STOP: server_stop(a); break;
  case ITW_EV_FETCH: server_fetch(a, ev); break;
  default: break;
  }
}

void replay_on_event(struct replay_agent *a, const struct itw_event *ev)
{
  if (ev->kind == ITW_EV_STOP_SESSION) { /* not authenticated yet */
    replay_hold_account(a, ev);
    return;
  }
  replay_say(a->r, "event %u slot %u mode %u scheme %u accept %u status %s\n", (unsigned)ev->kind, (unsigned)ev->slot,
             (unsigned)ev->mode, (unsigned)ev->scheme, (unsigned)ev->accept, itw_status_name(ev->status));
  if (ev->kind == ITW_EV_STOP || ev->kind == ITW_EV_FETCHED || ev->kind == ITW_EV_CLOSED)
    replay_release(a, ev->kind == ITW_EV_CLOSED ? ITW_ERR_CLOSED : ev->status);
  if (ev->kind == ITW_EV_READY || ev->kind == ITW_EV_ACCEPTED) keep_session(a, ev);
  if (a->r->role == ITW_ROLE_CLIENT) on_client_event(a, ev);
  else on_server_event(a, ev);
}
