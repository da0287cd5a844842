/* SPDX-License-Identifier: BSD-3-Clause */
#include "server.h"
#include "abi.h"
#include "conn.h"
#include "octets.h"
#include "secret.h"

static void on_command(struct itw_conn *);
static void on_body(struct itw_conn *);
static void on_drain(struct itw_conn *);

/* RFC 4656 §3.1, 3.4; RFC 5357 §3. A state with a handler reads; the others wait for keys or our caller. ITWI_IDLE
   serves while tests run, too. */
static const struct itwi_row rows[] = {
  /* state              what is read              octets  stage               handler                        next, rest of a message */
  {ITWI_ENDED,          0,                            0, ITW_STATE_ENDED,    NULL,                          ITWI_ENDED,          0},
  {ITWI_SELECT,         0,                            0, ITW_STATE_SETUP,    NULL,                          ITWI_SETUP_RESPONSE, 0},
  {ITWI_SETUP_RESPONSE, ITW_MSG_SETUP_RESPONSE,       0, ITW_STATE_SETUP,    itwi_server_on_setup_response, ITWI_KEYS,           0},
  {ITWI_KEYS,           ITW_MSG_SETUP_RESPONSE,       0, ITW_STATE_SETUP,    NULL,                          ITWI_IDLE,           0},
  {ITWI_IDLE,           ITW_MSG_COMMAND,             16, ITW_STATE_IDLE,     on_command,                    ITWI_BODY,           0},
  {ITWI_BODY,           ITW_MSG_COMMAND,              0, ITW_STATE_IDLE,     on_body,                       ITWI_IDLE,           1},
  {ITWI_DRAIN,          ITW_MSG_COMMAND,              0, ITW_STATE_IDLE,     on_drain,                      ITWI_IDLE,           1},
  {ITWI_REQUESTED,      ITW_MSG_REQUEST_TW_SESSION,   0, ITW_STATE_REQUEST,  NULL,                          ITWI_IDLE,           0},
  {ITWI_STARTING,       ITW_MSG_START_SESSIONS,       0, ITW_STATE_STARTING, NULL,                          ITWI_IDLE,           0},
};

static void on_request(struct itw_conn *);
static void on_start(struct itw_conn *);
static void on_stop(struct itw_conn *);

/* Commands (RFC 4656 §3.4, RFC 5357 §3.4, RFC 5938). octets: of body, without the HMAC. count_at: where a number of further
   16-octet blocks stands, which are part of the body, or a second part with an HMAC of its own. A command that is not for
   now is read to its end, so that its HMAC is checked and the stream stays in step. */
enum { NEVER, WHEN_IDLE, WHEN_TESTING };
static const struct {
  uint8_t number, octets, when, count_at, second;
  void (*handler)(struct itw_conn *);
} commands[] = {
  {ITW_CMD_REQUEST_TW_SESSION, ITW_REQUEST_LEN, WHEN_IDLE,    0,  0, on_request},
  {ITW_CMD_START_SESSIONS,     ITW_START_LEN,   WHEN_IDLE,    0,  0, on_start},
  {ITW_CMD_STOP_SESSIONS,      ITW_STOP_LEN,    WHEN_TESTING, 0,  0, on_stop},
  {ITW_CMD_REQUEST_SESSION,    96,              NEVER,        4,  1, NULL},
  {ITW_CMD_FETCH_SESSION,      32,              NEVER,        0,  0, NULL},
  {ITW_CMD_START_N,            16,              NEVER,        12, 0, NULL},
  {ITW_CMD_STOP_N,             16,              NEVER,        12, 0, NULL},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* ---- commands ---- */

static void servwait(struct itw_conn *c)
{
  bool tests = false;
  for (uint32_t i = 0; i < c->sessions; i++) tests = tests || c->slots[i].state == ITWI_RUNNING || c->slots[i].state == ITWI_STOPPED;
  if (tests)
    itwi_conn_cancel(c, ITWI_T_SERVWAIT); /* RFC 5357 §3.1: suspended while tests run */
  else
    itwi_conn_timer(c, ITWI_T_SERVWAIT, c->server->config.servwait_s * ITWI_SECOND);
}

static void accept_session(struct itw_conn *c, uint32_t accept, uint32_t port, const uint8_t *sid)
{
  struct itw_accept_session a = {.accept = accept, .port = port};
  if (sid) memcpy(a.sid, sid, sizeof a.sid);
  if (itw_accept_session_write(c->out, sizeof c->out, &a) == ITW_OK) itwi_conn_seal(c, ITW_ACCEPT_LEN);
}

/* Accept-Session says no, and the caller hears why. */
static void refuse_command(struct itw_conn *c, uint32_t slot, uint32_t accept, itw_status why)
{
  accept_session(c, accept, 0, NULL);
  if (c->row->state == ITWI_ENDED) return;
  itwi_conn_state(c, ITWI_IDLE);
  servwait(c);
  itwi_conn_raise(c, ITW_EV_REFUSED);
  c->event.slot = slot;
  c->event.accept = accept;
  c->event.status = why;
}

/* The first good HMAC under `direct` proves that the Client holds the key: now its IV is worth remembering. */
static itw_status prove_iv(struct itw_conn *c)
{
  if (!c->u.server.iv_unproven) return ITW_OK;
  c->u.server.iv_unproven = 0;
  if (itwi_client_iv_seen(c->server, &c->sa, c->u.server.client_iv)) return ITW_ERR_REPLAY;
  itwi_client_iv_keep(c->server, &c->sa, c->u.server.client_iv);
  return ITW_OK;
}

static bool check_hmac(struct itw_conn *c, uint8_t hmac[16])
{
  itw_status st = itwi_stream_check(&c->rx, hmac);
  if (st == ITW_OK) st = prove_iv(c);
  if (st != ITW_OK) itwi_conn_fail(c, st, 0); /* RFC 4656 §3.2: close, no answer */
  return st == ITW_OK;
}

/* How much of the next 16-octet blocks to read at a time while draining. */
static void drain_on(struct itw_conn *c)
{
  uint64_t left = c->u.server.left;
  itwi_conn_state(c, ITWI_DRAIN);
  itwi_conn_read(c, left > 160 ? 160 : left ? (size_t)left : 16);
}

static void on_drain(struct itw_conn *c)
{
  uint32_t n = c->in_have;
  if (c->u.server.left) {
    if (itwi_stream_body(&c->rx, c->in, n, ITWI_DECRYPT) != ITW_OK) {
      itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
      return;
    }
    c->u.server.left -= n;
    drain_on(c);
  } else if (check_hmac(c, c->in)) {
    c->u.server.left = c->u.server.more;
    c->u.server.more = 0;
    if (c->u.server.parts--)
      drain_on(c);
    else
      refuse_command(c, ITW_NO_SLOT, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_UNEXPECTED);
  }
}

static void begin_drain(struct itw_conn *c, uint32_t i)
{
  uint64_t blocks = commands[i].count_at ? itwi_load32(c->in + commands[i].count_at) : 0;
  c->u.server.left = commands[i].octets - 16u;
  c->u.server.parts = commands[i].second;
  c->u.server.more = commands[i].second ? 16 * blocks : 0;
  if (!commands[i].second) c->u.server.left += 16 * blocks;
  drain_on(c);
}

static void begin_command(struct itw_conn *c, uint32_t i)
{
  uint32_t when = c->testing ? WHEN_TESTING : WHEN_IDLE;
  c->u.server.command = i;
  if (commands[i].when != when) {
    begin_drain(c, i);
    return;
  }
  itwi_conn_next(c);
  c->in_have = 16;
  itwi_conn_read(c, commands[i].octets + 16u);
}

static void on_command(struct itw_conn *c)
{
  uint32_t i = 0;
  if (itwi_stream_body(&c->rx, c->in, 16, ITWI_DECRYPT) != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
    return;
  }
  while (i < COMMANDS && commands[i].number != c->in[0]) i++;
  if (i < COMMANDS) {
    begin_command(c, i);
    return;
  }
  accept_session(c, ITW_ACCEPT_UNSUPPORTED, 0, NULL);
  itwi_conn_fail(c, ITW_ERR_COMMAND, ITW_ACCEPT_UNSUPPORTED);
}

static void on_body(struct itw_conn *c)
{
  uint32_t i = c->u.server.command;
  if (itwi_stream_body(&c->rx, c->in + 16, commands[i].octets - 16u, ITWI_DECRYPT) != ITW_OK)
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
  else if (check_hmac(c, c->in + commands[i].octets)) {
    servwait(c);
    commands[i].handler(c);
  }
}

/* ---- Request-TW-Session ---- */

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

/* What the session would be, addresses resolved; ITW_OK or why not, and the Accept value for it. */
static itw_status weigh(const struct itw_conn *c, struct itw_request *q, const struct itw_request_tw *w, uint32_t *accept)
{
  const struct itw_addr *local = &c->asking.ask.local, *remote = &c->asking.ask.remote;
  const struct itw_server_config *g = &c->server->config;
  *accept = ITW_ACCEPT_UNSUPPORTED;
  if ((w->ipvn != 4 && w->ipvn != 6) || w->conf_sender || w->conf_receiver || w->slots || w->packets) return ITW_ERR_REQUEST;
  if (w->type_p >> 30 || !w->sender_port) return ITW_ERR_REQUEST;
  if (w->padding > g->max_padding) return ITW_ERR_PADDING;
  ITW_INIT(*q);
  address(&q->sender, remote, w->ipvn, w->sender, w->sender_port);
  address(&q->receiver, local, w->ipvn, w->receiver, w->receiver_port);
  q->padding = w->padding;
  q->start = w->start;
  q->timeout = w->timeout;
  q->dscp = w->type_p >> 24 & 63;
  *accept = ITW_ACCEPT_FAILURE;
  if (q->sender.family != q->receiver.family || (q->sender.family && q->sender.family != w->ipvn)) return ITW_ERR_ADDRESS;
  if (!(g->flags & ITW_SERVER_ANY_ADDRESS) && (!is_own(&q->sender, remote) || !is_own(&q->receiver, local)))
    return ITW_ERR_ADDRESS;
  return ITW_OK;
}

static void on_request(struct itw_conn *c)
{
  struct itw_request_tw w;
  struct itw_request q;
  uint32_t accept = ITW_ACCEPT_UNSUPPORTED, at = itwi_conn_free_slot(c);
  itw_status st = itw_request_tw_read(&w, c->in, ITW_REQUEST_LEN);
  if (st == ITW_OK) st = weigh(c, &q, &w, &accept);
  if (st == ITW_OK && at == c->sessions) {
    st = ITW_ERR_FULL;
    accept = ITW_ACCEPT_TEMPORARY;
  }
  if (st != ITW_OK) {
    refuse_command(c, ITW_NO_SLOT, accept, st);
    return;
  }
  c->slots[at].request = q;
  c->slots[at].state = ITWI_ASKED;
  c->slot = at;
  itwi_conn_state(c, ITWI_REQUESTED);
  itwi_conn_cancel(c, ITWI_T_SERVWAIT);
  itwi_conn_raise(c, ITW_EV_REQUEST);
  c->event.slot = at;
  c->event.request = q;
}

static void no_session(struct itw_conn *c, uint32_t accept, itw_status why)
{
  itw_wipe(&c->slots[c->slot], sizeof c->slots[c->slot]);
  refuse_command(c, c->slot, accept, why);
}

/* The keys are there, or are made now; n: the answer to ITW_ASK_SID_PAIR, or NULL. */
static void ready(struct itw_conn *c, const uint8_t sid[16], const struct itw_answer *n)
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

/* SID (RFC 4656 §3.5): address 4 | time 8 | random 4. */
static void make_sid(uint8_t sid[16], const struct itw_addr *receiver, const struct itw_offer *o)
{
  memcpy(sid, receiver->family == 6 ? receiver->ip + 12 : receiver->ip, 4);
  itwi_store64(sid + 4, o->wall);
  memcpy(sid + 12, o->random, 4);
}

itw_status itw_server_prepare(itw_conn *c, struct itw_poll *p, uint32_t at, const struct itw_offer *in, itw_mono now)
{
  struct itw_offer o;
  struct itwi_conn_slot *slot;
  uint8_t sid[16];
  itw_status st;
  if (!c || !c->server || at >= c->sessions) return ITW_ERR_ARGUMENT;
  st = itwi_abi_in(&o, sizeof o, in, sizeof o);
  if (st == ITW_OK && (!o.port || o.port > 65535 || o.mbz)) st = ITW_ERR_ARGUMENT;
  if (st != ITW_OK) return st;
  itwi_conn_enter(c, now);
  slot = &c->slots[at];
  if (c->row->state != ITWI_REQUESTED || at != c->slot || slot->state != ITWI_ASKED || !itwi_conn_quiet(c))
    return itwi_conn_leave(c, p, ITW_ERR_STATE);
  if (o.receiver.family) slot->request.receiver = o.receiver;
  slot->request.receiver.port = (uint16_t)o.port;
  slot->port = o.port;
  slot->state = ITWI_PREPARING;
  make_sid(sid, &slot->request.receiver, &o);
  if (!itwi_conn_ask_sid(c, sid)) ready(c, sid, NULL);
  return itwi_conn_leave(c, p, ITW_OK);
}

itw_status itw_server_answer(itw_conn *c, struct itw_poll *p, uint32_t at, uint32_t accept, itw_mono now)
{
  struct itwi_conn_slot *slot;
  struct itw_session_info info;
  if (!c || !c->server || at >= c->sessions || accept > 255) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  slot = &c->slots[at];
  if (c->row->state != ITWI_REQUESTED || at != c->slot || !itwi_conn_quiet(c) || slot->state == ITWI_PREPARING)
    return itwi_conn_leave(c, p, ITW_ERR_STATE);
  if (slot->state == ITWI_ASKED && !accept) return itwi_conn_leave(c, p, ITW_ERR_STATE);
  if (accept) {
    accept_session(c, accept, 0, NULL);
    itw_wipe(slot, sizeof *slot);
  } else {
    ITW_INIT(info);
    if (itw_session_info(&slot->session, &info) != ITW_OK) return itwi_conn_leave(c, p, ITW_ERR_INTERNAL);
    accept_session(c, 0, slot->port, info.sid);
    slot->state = ITWI_ACCEPTED;
  }
  if (c->row->state != ITWI_ENDED) itwi_conn_state(c, ITWI_IDLE);
  servwait(c);
  return itwi_conn_leave(c, p, ITW_OK);
}

/* ---- Start-Sessions, Stop-Sessions ---- */

static void on_start(struct itw_conn *c)
{
  bool any = false;
  for (uint32_t i = 0; i < c->sessions; i++) any = any || c->slots[i].state == ITWI_ACCEPTED;
  if (!any) {
    refuse_command(c, ITW_NO_SLOT, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_UNEXPECTED);
    return;
  }
  itwi_conn_state(c, ITWI_STARTING);
  itwi_conn_raise(c, ITW_EV_STARTED);
}

/* Start-Ack, now that the caller has heard of it. */
static void on_pulled(struct itw_conn *c, uint32_t kind)
{
  if (kind != ITW_EV_STARTED || c->row->state != ITWI_STARTING) return;
  for (uint32_t i = 0; i < c->sessions; i++) {
    if (c->slots[i].state != ITWI_ACCEPTED) continue;
    c->slots[i].state = ITWI_RUNNING;
    c->running++;
  }
  c->testing = 1;
  itwi_conn_next(c);
  servwait(c);
  if (itw_start_ack_write(c->out, sizeof c->out, ITW_ACCEPT_OK) == ITW_OK) itwi_conn_seal(c, ITW_START_ACK_LEN);
}

static void on_stop(struct itw_conn *c)
{
  struct itw_stop_sessions s = {0};
  if (itw_stop_sessions_read(&s, c->in, ITW_STOP_LEN) != ITW_OK || s.sessions != c->running) {
    itwi_conn_fail(c, ITW_ERR_STOP_COUNT, 0); /* RFC 5357 §3.8 */
    return;
  }
  itwi_conn_state(c, ITWI_IDLE);
  itwi_conn_stop(c, ITW_OK, ITWI_STOPPED);
  if (c->event.kind == ITW_EV_STOPPED) c->event.accept = s.accept; /* how the Client says that it went */
}

itw_status itw_server_ended(itw_conn *c, struct itw_poll *p, uint32_t at, itw_mono now)
{
  if (!c || !c->server || at >= c->sessions) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  if (c->slots[at].state != ITWI_STOPPED && c->slots[at].state != ITWI_RUNNING) return itwi_conn_leave(c, p, ITW_ERR_STATE);
  itw_wipe(&c->slots[at], sizeof c->slots[at]);
  if (c->row->state != ITWI_ENDED) servwait(c);
  return itwi_conn_leave(c, p, ITW_OK);
}

/* ---- set-up ---- */

static void on_end(struct itw_conn *c)
{
  itwi_server_turn_over(c);
  itw_wipe(c->u.server.first, sizeof c->u.server.first);
}

static void on_answer(struct itw_conn *c, const struct itw_answer *n)
{
  if (c->asking.ask.kind == ITW_ASK_SID_PAIR)
    ready(c, c->asking.ask.sid, n);
  else
    itwi_server_on_answer(c, n);
}

static const struct itwi_conn_role server_role = {rows, on_answer, itwi_server_on_token_key, itwi_server_may_derive, itwi_server_on_derived, on_pulled, on_end};

size_t itw_server_conn_size(const itw_server *s) { return s ? itwi_conn_size(s->config.sessions) : 0; }

itw_status itw_server_conn_init(itw_server *s, itw_conn **out, void *memory, size_t len, const struct itw_incoming *in, itw_mono now)
{
  struct itw_incoming i;
  struct itw_conn *c = NULL;
  itw_status st = itwi_abi_in(&i, sizeof i, in, sizeof i);
  if (st == ITW_OK && (!s || !out || i.mbz)) st = ITW_ERR_ARGUMENT;
  if (st == ITW_OK) st = itwi_conn_init(&c, memory, len, s->config.sessions, &server_role);
  if (st != ITW_OK) return st;
  c->server = s;
  c->backend = &s->backend;
  c->on_rekey = s->config.on_rekey;
  c->message_ns = s->config.setup_s * ITWI_SECOND;
  c->asking.keys = s->config.keys;
  c->asking.ask.tag = i.tag;
  c->asking.ask.role = ITW_ROLE_SERVER;
  c->asking.ask.local = i.local;
  c->asking.ask.remote = i.remote;
  memcpy(c->u.server.random, i.random, sizeof i.random);
  if (s->config.schemes) st = itwi_conn_streams(c);
  if (st != ITW_OK) {
    itw_conn_free(c);
    return st;
  }
  itwi_conn_enter(c, now);
  itwi_server_begin(c);
  *out = c;
  return itwi_conn_leave(c, NULL, ITW_OK);
}

itw_status itw_server_conn_new(itw_server *s, itw_conn **out, const struct itw_incoming *in, itw_mono now)
{
  void *memory = NULL;
  size_t size = itw_server_conn_size(s);
  itw_status st = size ? itwi_conn_alloc(&memory, size) : ITW_ERR_ARGUMENT;
  if (st != ITW_OK) return st;
  st = itw_server_conn_init(s, out, memory, size, in, now);
  if (st == ITW_OK)
    (*out)->owned = 1;
  else
    itwi_conn_release(memory);
  return st;
}
