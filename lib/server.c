/* SPDX-License-Identifier: BSD-3-Clause */
#include "server.h"
#include "abi.h"
#include "conn.h"
#include "octets.h"
#include "secret.h"

enum {
  SELECT = 1, SETUP_RESPONSE, KEYS, IDLE, BODY, DRAIN, REQUESTED, STARTING,
};
static void on_setup_response(struct itw_conn *);
static void on_command(struct itw_conn *);
static void on_body(struct itw_conn *);
static void on_drain(struct itw_conn *);

/* RFC 4656 §3.1, 3.4; RFC 5357 §3. A state with a handler reads; the others wait for keys or our caller. IDLE serves while
   tests run, too. */
static const struct itwi_row rows[] = {
  /* state         what is read                octets  stage               handler            next */
  {ITWI_ENDED,     0,                               0, ITW_STATE_ENDED,    NULL,              ITWI_ENDED, 0},
  {SELECT,         0,                               0, ITW_STATE_SETUP,    NULL,              SETUP_RESPONSE, 0},
  {SETUP_RESPONSE, ITW_MSG_SETUP_RESPONSE,          0, ITW_STATE_SETUP,    on_setup_response, KEYS, 0},
  {KEYS,           ITW_MSG_SETUP_RESPONSE,          0, ITW_STATE_SETUP,    NULL,              IDLE, 0},
  {IDLE,           ITW_MSG_COMMAND,                16, ITW_STATE_IDLE,     on_command,        BODY, 0},
  {BODY,           ITW_MSG_COMMAND,                 0, ITW_STATE_IDLE,     on_body,           IDLE, 1},
  {DRAIN,          ITW_MSG_COMMAND,                 0, ITW_STATE_IDLE,     on_drain,          IDLE, 1},
  {REQUESTED,      ITW_MSG_REQUEST_TW_SESSION,      0, ITW_STATE_REQUEST,  NULL,              IDLE, 0},
  {STARTING,       ITW_MSG_START_SESSIONS,          0, ITW_STATE_STARTING, NULL,              IDLE, 0},
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

/* ---- Server Greeting ---- */

static uint32_t greeting_count(const struct itw_server_config *g, uint32_t schemes)
{
  bool psk = schemes & ITW_PSK || (g->legacy_modes & ITWI_PROTECTED && itwi_is_draft(schemes));
  return psk ? g->count_psk : g->count_sa;
}

/* Sends it. modes: security modes to offer. */
static void greet(struct itw_conn *c, uint32_t schemes, uint32_t modes)
{
  const struct itw_server_config *g = &c->server->config;
  struct itw_greeting *hi = &c->greeting;
  c->u.server.schemes = schemes;
  hi->form = itwi_scheme_form(schemes & ITW_DRAFT);
  hi->modes = itwi_modes_offer(schemes, modes);
  if (itwi_is_draft(schemes)) {
    hi->protocol = c->sa.protocol;
    hi->spi_i = (uint32_t)c->sa.spi_i;
    hi->spi_r = (uint32_t)c->sa.spi_r;
  }
  memcpy(hi->challenge, c->u.server.random, sizeof hi->challenge);
  memcpy(hi->salt, g->salt, sizeof hi->salt);
  hi->count = greeting_count(g, schemes);
  if (itw_greeting_write(c->out, sizeof c->out, hi) != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_INTERNAL, 0);
    return;
  }
  itwi_conn_send(c, itwi_greeting_len(hi->form));
  itwi_conn_state(c, SETUP_RESPONSE);
  itwi_conn_read(c, itwi_setup_len(hi->form));
  if (!hi->modes) itwi_conn_fail(c, c->u.server.why, 0); /* RFC 4656 §3.1: not willing; close after the greeting */
}

static void on_selected(struct itw_conn *c, const struct itw_answer *n)
{
  const struct itw_server_config *g = &c->server->config;
  bool none = n->kind == ITW_ANS_NONE;
  /* an SA that suits no configured mode counts as none */
  bool unfit = !none && itwi_is_draft(n->schemes) && !itwi_modes_offer(n->schemes, g->modes & n->modes);
  if (none || unfit) {
    c->u.server.why = unfit ? ITW_ERR_SA_UNFIT : n->why < 0 ? n->why : ITW_ERR_SA_NONE;
    greet(c, g->schemes & ITW_PSK, g->legacy_modes);
  } else {
    if (itwi_is_draft(n->schemes)) c->sa = n->sa;
    greet(c, n->schemes, g->modes & n->modes);
  }
}

/* ---- Set-Up-Response ---- */

/* A refusal is all zero and in clear but for Accept (protocol.md 3). */
static void refuse(struct itw_conn *c, uint32_t accept, itw_status why)
{
  struct itw_server_start s = {0};
  s.accept = accept;
  if (itw_server_start_write(c->out, sizeof c->out, &s) == ITW_OK) itwi_conn_send(c, ITW_SERVER_START_LEN);
  itwi_conn_fail(c, why, accept);
}

/* The Client authenticated itself, or needn't. */
static void established(struct itw_conn *c)
{
  struct itw_server_start s = {.start = c->server->config.start};
  bool open = c->choice.mode == ITW_MODE_OPEN;
  itw_status st = ITW_OK;
  if (!open) {
    memcpy(s.server_iv, c->u.server.random + 16, sizeof s.server_iv);
    st = itwi_stream_key(&c->rx, c->backend, &c->pair, c->u.server.client_iv, ITWI_DECRYPT);
    if (st == ITW_OK) st = itwi_stream_key(&c->tx, c->backend, &c->pair, s.server_iv, ITWI_ENCRYPT);
  }
  if (st == ITW_OK) st = itw_server_start_write(c->out, sizeof c->out, &s);
  if (st == ITW_OK) st = itwi_stream_body(&c->tx, c->out + 32, 16, ITWI_ENCRYPT);
  if (st != ITW_OK) {
    refuse(c, ITW_ACCEPT_INTERNAL, ITW_ERR_CRYPTO);
    return;
  }
  itwi_conn_send(c, ITW_SERVER_START_LEN);
  itwi_conn_raise(c, ITW_EV_UP);
  c->event.sa = c->sa;
  if (c->choice.scheme == ITW_PSK) memcpy(c->event.key_id, c->in + 4, sizeof c->event.key_id);
  itwi_conn_state(c, IDLE);
  itwi_conn_cancel(c, ITWI_T_SETUP);
  itwi_conn_timer(c, ITWI_T_SERVWAIT, c->server->config.servwait_s * ITWI_SECOND);
}

/* Octets of a KeyID without the zeros behind it. */
static uint32_t key_id_len(const uint8_t key_id[80])
{
  uint32_t n = 80;
  while (n && !key_id[n - 1]) n--;
  return n;
}

/* RFC 4656 §3.1: an IV is never used again under a key; where the Client chooses neither key nor Token, only this memory
   tells a replay. */
static bool one_key_for_all(uint32_t scheme) { return scheme == ITW_ROOT || scheme == ITW_DIRECT; }

static void ask_key(struct itw_conn *c, const struct itw_setup *s)
{
  memcpy(c->u.server.client_iv, s->client_iv, sizeof s->client_iv);
  if (one_key_for_all(c->choice.scheme) && itwi_client_iv_seen(c->server, &c->sa, s->client_iv)) {
    refuse(c, ITW_ACCEPT_FAILURE, ITW_ERR_REPLAY);
    return;
  }
  if (c->choice.scheme == ITW_IKEV2) itwi_key_id_read(&c->sa, s->key_id);
  itwi_conn_state(c, KEYS);
  itwi_conn_ask_key(c, s->key_id, key_id_len(s->key_id), c->server->config.flags & ITW_SERVER_NO_PBKDF2 ? ITW_ASK_NO_PBKDF2 : 0);
}

/* A Client that goes on without the SA of the greeting. */
static void unpin(struct itw_conn *c)
{
  memset(&c->sa, 0, sizeof c->sa);
  c->u.server.sa_dead = 0;
}

static void on_setup_response(struct itw_conn *c)
{
  const struct itw_server_config *g = &c->server->config;
  struct itwi_policy policy = {c->greeting.modes, c->u.server.schemes, g->legacy_modes, g->schemes & ITW_PSK};
  struct itw_setup s;
  itw_status st = itw_setup_read(&s, c->greeting.form, c->in, c->in_have);
  if (st == ITW_OK) st = itwi_mode_choice(&c->choice, &policy, s.mode);
  if (!itwi_is_draft(c->choice.scheme)) unpin(c);
  if (st == ITW_ERR_NOT_WILLING)
    itwi_conn_fail(c, ITW_ERR_MODE, 0); /* Mode 0: the Client leaves */
  else if (st != ITW_OK)
    refuse(c, ITW_ACCEPT_UNSUPPORTED, st);
  else if (c->u.server.sa_dead && itwi_is_draft(c->choice.scheme))
    refuse(c, ITW_ACCEPT_FAILURE, ITW_ERR_SA_GONE);
  else if (c->choice.mode == ITW_MODE_OPEN)
    established(c);
  else
    ask_key(c, &s);
}

/* ---- keys ---- */

static void on_token_key(struct itw_conn *c, const uint8_t key[16])
{
  struct itw_setup s;
  itw_status st = itw_setup_read(&s, ITW_FORM_FULL, c->in, ITW_SETUP_FULL);
  if (st == ITW_OK) st = itwi_token_open(c->backend, &c->pair, key, c->greeting.challenge, s.token);
  itw_wipe(&s, sizeof s);
  if (c->u.server.unknown)
    refuse(c, ITW_ACCEPT_FAILURE, ITW_ERR_KEY_ID);
  else if (st == ITW_ERR_TOKEN)
    refuse(c, ITW_ACCEPT_FAILURE, st);
  else if (st != ITW_OK)
    refuse(c, ITW_ACCEPT_INTERNAL, st);
  else if (c->u.server.sa_dead)
    refuse(c, ITW_ACCEPT_FAILURE, ITW_ERR_SA_GONE);
  else
    established(c);
}

static void derive(struct itw_conn *c, const uint8_t *secret, size_t len)
{
  memset(c->u.server.first, 0, sizeof c->u.server.first);
  itwi_conn_derive(c, secret, len);
}

static void on_token_answer(struct itw_conn *c, const struct itw_answer *n)
{
  if (n->kind == ITW_ANS_DERIVED)
    on_token_key(c, n->octets);
  else if (!(c->asking.ask.flags & ITW_ASK_NO_PBKDF2))
    derive(c, n->octets, n->secret_len);
  else if (n->secret_len < 16)
    refuse(c, ITW_ACCEPT_INTERNAL, ITW_ERR_KEY_PROVIDER);
  else
    on_token_key(c, n->octets);
}

static void on_root_answer(struct itw_conn *c, const struct itw_answer *n)
{
  uint8_t token[16];
  itw_status st = itwi_conn_root(c, token, n);
  if (st != ITW_OK)
    refuse(c, ITW_ACCEPT_INTERNAL, st);
  else if (!itwi_equal(token, c->in + 4, sizeof token))
    refuse(c, ITW_ACCEPT_FAILURE, ITW_ERR_TOKEN);
  else if (c->u.server.sa_dead)
    refuse(c, ITW_ACCEPT_FAILURE, ITW_ERR_SA_GONE);
  else {
    itwi_client_iv_keep(c->server, &c->sa, c->u.server.client_iv);
    established(c);
  }
  itw_wipe(token, sizeof token);
}

/* Nobody knows the key. A KeyID that doesn't exist costs the same work as a wrong Token. */
static void on_no_key(struct itw_conn *c, const struct itw_answer *n)
{
  itw_status why = itwi_answer_why(&c->asking.ask, n);
  if (why == ITW_ERR_KEY_PROVIDER) {
    refuse(c, ITW_ACCEPT_INTERNAL, why);
  } else if (c->choice.scheme == ITW_PSK) {
    c->u.server.unknown = 1;
    derive(c, c->greeting.salt, sizeof c->greeting.salt);
  } else {
    refuse(c, c->choice.scheme == ITW_IKEV2 ? ITW_ACCEPT_NO_SA : ITW_ACCEPT_FAILURE, why);
  }
}

static void ready(struct itw_conn *c, const uint8_t sid[16], const struct itw_answer *n);

static void on_answer(struct itw_conn *c, const struct itw_answer *n)
{
  uint32_t kind = c->asking.ask.kind;
  if (kind == ITW_ASK_SELECT)
    on_selected(c, n);
  else if (kind == ITW_ASK_SID_PAIR)
    ready(c, c->asking.ask.sid, n);
  else if (n->kind == ITW_ANS_NONE)
    on_no_key(c, n);
  else if (kind == ITW_ASK_TOKEN_KEY)
    on_token_answer(c, n);
  else if (kind == ITW_ASK_ROOT)
    on_root_answer(c, n);
  else if (c->u.server.sa_dead)
    refuse(c, ITW_ACCEPT_FAILURE, ITW_ERR_SA_GONE);
  else {
    itwi_answer_pair(&c->pair, n);
    c->u.server.iv_unproven = 1;
    established(c);
  }
}

/* How many derive at a time is bounded: it happens before a Client is authenticated. */
static bool may_derive(struct itw_conn *c)
{
  struct itw_server *s = c->server;
  if (itwi_is_zero(c->u.server.first, sizeof c->u.server.first)) memcpy(c->u.server.first, c->pbkdf2.t, sizeof c->u.server.first);
  if (itwi_token_key_find(s, c->pbkdf2.t, c->u.server.first, c->greeting.count)) {
    c->pbkdf2.left = 0;
    return true;
  }
  if (s->deriving >= s->config.deriving) return false;
  s->deriving++;
  c->u.server.turn = 1;
  return true;
}

static void turn_over(struct itw_conn *c)
{
  if (c->u.server.turn) c->server->deriving--;
  c->u.server.turn = 0;
}

static void on_derived(struct itw_conn *c, const uint8_t key[16])
{
  if (c->u.server.turn) itwi_token_key_keep(c->server, key, c->u.server.first, c->greeting.count);
  turn_over(c);
}

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
  itwi_conn_state(c, IDLE);
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
  itwi_conn_state(c, DRAIN);
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

static uint32_t free_slot(const struct itw_conn *c)
{
  uint32_t i = 0;
  while (i < c->sessions && c->slots[i].state != ITWI_FREE) i++;
  return i;
}

static void on_request(struct itw_conn *c)
{
  struct itw_request_tw w;
  struct itw_request q;
  uint32_t accept = ITW_ACCEPT_UNSUPPORTED, at = free_slot(c);
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
  itwi_conn_state(c, REQUESTED);
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
  if (c->row->state != REQUESTED || at != c->slot || slot->state != ITWI_ASKED || c->event.kind)
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
  if (c->row->state != REQUESTED || at != c->slot || c->event.kind || slot->state == ITWI_PREPARING)
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
  if (c->row->state != ITWI_ENDED) itwi_conn_state(c, IDLE);
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
  itwi_conn_state(c, STARTING);
  itwi_conn_raise(c, ITW_EV_STARTED);
}

/* Start-Ack, now that the caller has heard of it. */
static void on_pulled(struct itw_conn *c, uint32_t kind)
{
  if (kind != ITW_EV_STARTED || c->row->state != STARTING) return;
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
  itwi_conn_state(c, IDLE);
  itwi_conn_stop(c, ITW_OK, ITWI_STOPPED);
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
  turn_over(c);
  itw_wipe(c->u.server.first, sizeof c->u.server.first);
}

static const struct itwi_conn_role server_role = {rows, on_answer, on_token_key, may_derive, on_derived, on_pulled, on_end};

size_t itw_server_conn_size(const itw_server *s) { return s ? itwi_conn_size(s->config.sessions) : 0; }

static void begin(struct itw_conn *c)
{
  const struct itw_server_config *g = &c->server->config;
  struct itw_ask *q;
  itwi_conn_state(c, SELECT);
  itwi_conn_timer(c, ITWI_T_SETUP, c->message_ns);
  c->u.server.why = ITW_ERR_SA_NONE;
  if (!(g->schemes & ITW_DRAFT)) {
    greet(c, g->schemes, g->modes);
    return;
  }
  q = itwi_ask_open(&c->asking, ITW_ASK_SELECT);
  q->schemes = g->schemes;
  q->modes = g->modes;
}

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
  begin(c);
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
