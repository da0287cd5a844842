/* SPDX-License-Identifier: BSD-3-Clause */
#include "server.h"
#include "abi.h"
#include "conn.h"
#include "octets.h"
#include "secret.h"

static void on_command(struct itw_conn *);
static void on_body(struct itw_conn *);
static void on_drain(struct itw_conn *);

/* RFC 4656 §3.1, 3.4; RFC 5357 §3; RFC 5938. A state with a handler reads; the others wait for keys or our caller. ITWI_IDLE
   serves while tests run, too. */
static const struct itwi_row rows[] = {
  /* state              what is read              octets  stage               handler                        next, rest of a message */
  ITWI_COMMON_ROWS,
  {ITWI_SELECT,         0,                            0, ITW_STATE_SETUP,    NULL,                          ITWI_SETUP_RESPONSE, 0},
  {ITWI_SETUP_RESPONSE, ITW_MSG_SETUP_RESPONSE,       0, ITW_STATE_SETUP,    itwi_server_on_setup_response, ITWI_KEYS,           0},
  {ITWI_KEYS,           ITW_MSG_SETUP_RESPONSE,       0, ITW_STATE_SETUP,    NULL,                          ITWI_IDLE,           0},
  {ITWI_IDLE,           ITW_MSG_COMMAND,             16, ITW_STATE_IDLE,     on_command,                    ITWI_BODY,           0},
  {ITWI_BODY,           ITW_MSG_COMMAND,              0, ITW_STATE_IDLE,     on_body,                       ITWI_IDLE,           ITWI_REST},
  {ITWI_DRAIN,          ITW_MSG_COMMAND,              0, ITW_STATE_IDLE,     on_drain,                      ITWI_IDLE,           ITWI_REST},
  {ITWI_REQUESTED,      0,                            0, ITW_STATE_REQUEST,  NULL,                          ITWI_IDLE,           0},
  {ITWI_STARTING,       ITW_MSG_START_SESSIONS,       0, ITW_STATE_STARTING, NULL,                          ITWI_IDLE,           0},
  {ITWI_NAMING,         0,                            0, ITW_STATE_STARTING, NULL,                          ITWI_IDLE,           0},
  {ITWI_FETCHING,       ITW_MSG_FETCH_SESSION,        0, ITW_STATE_FETCHING, NULL,                          ITWI_IDLE,           0},
};

static void on_start(struct itw_conn *);
static void on_stop(struct itw_conn *);

/* Commands (RFC 4656 §3.4, RFC 5357 §3.4, RFC 5938). octets: of body, without the HMAC; 16: the handler reads on itself.
   count_at: where a number of further 16-octet blocks stands, which are part of the body, or a second part with an HMAC of its
   own. A command that is not for now is read to its end, so that its HMAC is checked and the stream stays in step. */
enum { NEVER = 0, IDLE = 1, TESTING = 2, PLAIN = 4, NAMES = 8 }; /* without and with individual session control */
struct command {
  uint8_t number, octets, when, count_at, second;
  uint8_t message;
  void (*handler)(struct itw_conn *);
};
static const struct command twamp[] = {
  {ITW_CMD_REQUEST_TW_SESSION, ITW_REQUEST_LEN, IDLE | PLAIN | NAMES,           0,  0, ITW_MSG_REQUEST_TW_SESSION, itwi_server_on_request},
  {ITW_CMD_START_SESSIONS,     ITW_START_LEN,   IDLE | PLAIN,                   0,  0, ITW_MSG_START_SESSIONS,     on_start},
  {ITW_CMD_STOP_SESSIONS,      ITW_STOP_LEN,    TESTING | PLAIN,                0,  0, ITW_MSG_STOP_SESSIONS,      on_stop},
  {ITW_CMD_REQUEST_SESSION,    96,              NEVER,                          4,  1, ITW_MSG_REQUEST_SESSION,    NULL},
  {ITW_CMD_FETCH_SESSION,      32,              NEVER,                          0,  0, ITW_MSG_FETCH_SESSION,      NULL},
  {ITW_CMD_START_N,            16,              IDLE | TESTING | NAMES,         12, 0, ITW_MSG_START_N,            itwi_server_on_names},
  {ITW_CMD_STOP_N,             16,              IDLE | TESTING | NAMES,         12, 0, ITW_MSG_STOP_N,             itwi_server_on_names},
};
static const struct command owamp[] = {
  {ITW_CMD_REQUEST_SESSION,    ITW_REQUEST_LEN, IDLE | PLAIN,                   4,  1, ITW_MSG_REQUEST_SESSION,    itwi_server_on_request},
  {ITW_CMD_START_SESSIONS,     ITW_START_LEN,   IDLE | PLAIN,                   0,  0, ITW_MSG_START_SESSIONS,     on_start},
  {ITW_CMD_STOP_SESSIONS,      16,              IDLE | TESTING | PLAIN,         0,  0, ITW_MSG_STOP_SESSIONS,      itwi_server_on_stop_sessions},
  {ITW_CMD_FETCH_SESSION,      ITW_FETCH_LEN,   IDLE | PLAIN,                   0,  0, ITW_MSG_FETCH_SESSION,      itwi_server_on_fetch},
};
/* Its row; NULL: of unknown number, and so of unknown length. */
static const struct command *command_of(const struct itw_conn *c, uint8_t number)
{
  const struct command *table = c->protocol == ITW_OWAMP ? owamp : twamp;
  size_t n = c->protocol == ITW_OWAMP ? sizeof owamp / sizeof owamp[0] : sizeof twamp / sizeof twamp[0];
  for (size_t i = 0; i < n; i++)
    if (table[i].number == number) return &table[i];
  return NULL;
}
/* The handler of these reads on before there is an HMAC. */
static bool reads_on(const struct command *k) { return k->handler == itwi_server_on_names || k->handler == itwi_server_on_stop_sessions; }

/* ---- commands ---- */

static void on_idle(struct itw_conn *);

void itwi_server_servwait(struct itw_conn *c)
{
  bool tests = false;
  for (uint32_t i = 0; i < c->sessions; i++) tests = tests || c->slots[i].state == ITWI_RUNNING || c->slots[i].state == ITWI_STOPPED;
  if (tests)
    itwi_conn_cancel(c, ITWI_T_SERVWAIT); /* RFC 5357 §3.1: suspended while tests run */
  else
    itwi_conn_timer(c, ITWI_T_SERVWAIT, c->server->config.servwait_s * ITWI_SECOND);
}

void itwi_server_accept(struct itw_conn *c, uint32_t accept, const struct itw_accept_session *answer)
{
  struct itw_accept_session a = {.accept = accept};
  if (answer) a = *answer;
  if (itw_accept_session_write(c->out, c->buffer, &a) == ITW_OK) itwi_conn_seal(c, ITW_ACCEPT_LEN);
}

/* Accept-Session says no, and the caller hears why. */
void itwi_server_refuse(struct itw_conn *c, uint32_t slot, uint32_t accept, itw_status why)
{
  if (c->out_len || c->giving.next) { /* OWAMP: a command while our Stop is on its way */
    itwi_conn_fail(c, why, 0);
    return;
  }
  itwi_server_accept(c, accept, NULL);
  if (c->row->state == ITWI_ENDED) return;
  on_idle(c);
  itwi_conn_raise(c, ITW_EV_REFUSED);
  c->event.slot = slot;
  c->event.accept = accept;
  c->event.status = why;
}

/* The first good HMAC under `direct` proves that the Client holds the key: now its IV is worth remembering. */
static itw_status on_hmac(struct itw_conn *c)
{
  if (!c->u.server.iv_unproven) return ITW_OK;
  c->u.server.iv_unproven = 0;
  if (itwi_client_iv_seen(c->server, &c->sa, c->u.server.client_iv)) return ITW_ERR_REPLAY;
  itwi_client_iv_keep(c->server, &c->sa, c->u.server.client_iv);
  return ITW_OK;
}

/* How much of the next 16-octet blocks to read at a time while draining. */
static void drain_on(struct itw_conn *c)
{
  uint64_t left = c->u.server.left;
  itwi_conn_state(c, ITWI_DRAIN);
  itwi_conn_read(c, left > ITWI_BUFFER ? ITWI_BUFFER : left ? (size_t)left : 16);
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
  } else if (itwi_conn_hmac(c, c->in)) {
    c->u.server.left = c->u.server.more;
    c->u.server.more = 0;
    if (c->u.server.parts--)
      drain_on(c);
    else
      itwi_server_refuse(c, ITW_NO_SLOT, c->u.server.accept, c->u.server.refusal);
  }
}

void itwi_server_drain(struct itw_conn *c, uint64_t left, uint32_t parts, uint64_t more, uint32_t accept, itw_status why)
{
  c->u.server.left = left;
  c->u.server.parts = parts;
  c->u.server.more = more;
  c->u.server.accept = accept;
  c->u.server.refusal = why;
  drain_on(c);
}

/* A command that has no place now. */
static void drain(struct itw_conn *c, const struct command *k)
{
  uint64_t blocks = k->count_at ? itwi_load32(c->in + k->count_at) : 0, rest = k->octets - 16u;
  itwi_server_drain(c, k->second ? rest : rest + 16 * blocks, k->second, k->second ? 16 * blocks : 0, ITW_ACCEPT_UNSUPPORTED,
                    ITW_ERR_UNEXPECTED);
}

static bool is_for_now(const struct itw_conn *c, const struct command *k)
{
  uint32_t when = c->testing ? TESTING : IDLE, control = c->choice.features & ITW_FEATURE_SESSION_CONTROL ? NAMES : PLAIN;
  return k->when & when && k->when & control;
}

static void on_command(struct itw_conn *c)
{
  const struct command *k;
  if (itwi_stream_body(&c->rx, c->in, 16, ITWI_DECRYPT) != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
    return;
  }
  k = command_of(c, c->in[0]);
  if (!k) {
    itwi_server_accept(c, ITW_ACCEPT_UNSUPPORTED, NULL);
    itwi_conn_fail(c, ITW_ERR_COMMAND, ITW_ACCEPT_UNSUPPORTED);
    return;
  }
  c->u.server.command = k->number;
  if (!is_for_now(c, k)) {
    drain(c, k);
  } else if (reads_on(k)) {
    itwi_conn_label(c, k->message, 0);
    k->handler(c);
  } else {
    itwi_conn_next(c);
    c->in_have = 16;
    itwi_conn_read(c, k->octets + 16u);
  }
}

static void on_body(struct itw_conn *c)
{
  const struct command *k = command_of(c, (uint8_t)c->u.server.command);
  if (!k) return;
  if (itwi_stream_body(&c->rx, c->in + 16, k->octets - 16u, ITWI_DECRYPT) != ITW_OK)
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
  else if (itwi_conn_hmac(c, c->in + k->octets)) {
    itwi_server_servwait(c);
    itwi_conn_label(c, k->message, 0);
    k->handler(c);
  }
}

/* ---- Start-Sessions, Stop-Sessions ---- */

/* One by one, a test lasts as long as any session runs (RFC 5938 §3.6). */
static void note_testing(struct itw_conn *c)
{
  if (!(c->choice.features & ITW_FEATURE_SESSION_CONTROL)) return;
  c->testing = 0;
  for (uint32_t i = 0; i < c->sessions; i++) c->testing |= c->slots[i].state == ITWI_RUNNING;
}

static void on_idle(struct itw_conn *c)
{
  note_testing(c);
  itwi_conn_state(c, ITWI_IDLE);
  itwi_server_servwait(c);
}

static void on_start(struct itw_conn *c)
{
  bool any = false;
  for (uint32_t i = 0; i < c->sessions; i++) any = any || c->slots[i].state == ITWI_ACCEPTED;
  if (!any) {
    itwi_server_refuse(c, ITW_NO_SLOT, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_UNEXPECTED);
    return;
  }
  itwi_conn_state(c, ITWI_STARTING);
  itwi_conn_raise(c, ITW_EV_STARTED);
  c->event.slot = ITW_NO_SLOT;
}

/* Start-Ack, now that the caller has heard of it. */
static void on_pulled(struct itw_conn *c, uint32_t kind)
{
  if (kind == ITW_EV_STOPPED && c->row->state == ITWI_NAMING) itwi_server_decide_names(c);
  if (kind != ITW_EV_STARTED || c->row->state != ITWI_STARTING) return;
  for (uint32_t i = 0; i < c->sessions; i++) {
    if (c->slots[i].state != ITWI_ACCEPTED) continue;
    c->slots[i].state = ITWI_RUNNING;
    c->running++;
  }
  c->testing = 1;
  memset(&c->stop, 0, sizeof c->stop);
  on_idle(c);
  if (itw_start_ack_write(c->out, c->buffer, ITW_ACCEPT_OK) == ITW_OK) itwi_conn_seal(c, ITW_START_ACK_LEN);
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
  note_testing(c);
  if (c->row->state != ITWI_ENDED) itwi_server_servwait(c);
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
    itwi_server_ready(c, c->asking.ask.sid, n);
  else
    itwi_server_on_answer(c, n);
}

static const struct itwi_conn_role server_role = {rows, on_answer, itwi_server_on_token_key, itwi_server_may_derive, itwi_server_on_derived, on_pulled, on_end, on_hmac, on_idle};

size_t itw_server_conn_size(const itw_server *s) { return s ? itwi_conn_size(&s->layout) : 0; }

itw_status itw_server_conn_init(itw_server *s, itw_conn **out, void *memory, size_t len, const struct itw_incoming *in, itw_mono now)
{
  struct itw_incoming i;
  struct itw_conn *c = NULL;
  itw_status st = itwi_abi_in(&i, sizeof i, in, sizeof i);
  if (st == ITW_OK && (!s || !out || i.mbz)) st = ITW_ERR_ARGUMENT;
  if (st == ITW_OK) st = itwi_conn_init(&c, memory, len, &s->layout, &server_role);
  if (st != ITW_OK) return st;
  c->server = s;
  c->backend = &s->backend;
  c->on_rekey = s->config.on_rekey;
  c->protocol = s->config.protocol;
  c->features = s->config.features;
  c->stop_ns = s->config.servwait_s * ITWI_SECOND;
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
