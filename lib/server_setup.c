/* SPDX-License-Identifier: BSD-3-Clause */
/* A Server's connection up to Server-Start: greeting, Set-Up-Response, keys. server.c has what follows. */

#include "server.h"
#include "conn.h"
#include "secret.h"

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
  hi->modes = itwi_modes_offer(g->protocol, schemes, modes, g->features);
  if (itwi_is_draft(schemes)) {
    hi->protocol = c->sa.protocol;
    hi->spi_i = (uint32_t)c->sa.spi_i;
    hi->spi_r = (uint32_t)c->sa.spi_r;
  }
  memcpy(hi->challenge, c->u.server.random, sizeof hi->challenge);
  memcpy(hi->salt, g->salt, sizeof hi->salt);
  hi->count = greeting_count(g, schemes);
  if (itw_greeting_write(c->out, c->buffer, hi) != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_INTERNAL, 0);
    return;
  }
  itwi_conn_send(c, itwi_greeting_len(hi->form));
  itwi_conn_state(c, ITWI_SETUP_RESPONSE);
  itwi_conn_read(c, itwi_setup_len(hi->form));
  if (!hi->modes) itwi_conn_fail(c, c->u.server.why, 0); /* RFC 4656 §3.1: not willing; close after the greeting */
}

static void on_selected(struct itw_conn *c, const struct itw_answer *n)
{
  const struct itw_server_config *g = &c->server->config;
  bool none = n->kind == ITW_ANS_NONE;
  /* an SA that suits no configured mode counts as none */
  bool unfit = !none && itwi_is_draft(n->schemes) && !itwi_modes_offer(g->protocol, n->schemes, g->modes & n->modes, 0);
  if (none || unfit) {
    c->u.server.why = unfit ? ITW_ERR_SA_UNFIT : n->why < 0 ? n->why : ITW_ERR_SA_NONE;
    greet(c, g->schemes & ITW_PSK, g->legacy_modes);
  } else if (itwi_is_draft(n->schemes)) {
    c->sa = n->sa;
    greet(c, n->schemes, g->modes & n->modes);
  } else {
    greet(c, n->schemes, (g->modes & n->modes) | g->legacy_modes);
  }
}

/* ---- Set-Up-Response ---- */

/* A refusal is all zero and in clear but for Accept (protocol.md 3). */
static void refuse(struct itw_conn *c, uint32_t accept, itw_status why)
{
  struct itw_server_start s = {0};
  s.accept = accept;
  if (itw_server_start_write(c->out, c->buffer, &s) == ITW_OK) itwi_conn_send(c, ITW_SERVER_START_LEN);
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
  if (st == ITW_OK) st = itw_server_start_write(c->out, c->buffer, &s);
  if (st == ITW_OK) st = itwi_stream_body(&c->tx, c->out + 32, 16, ITWI_ENCRYPT);
  if (st != ITW_OK) {
    refuse(c, ITW_ACCEPT_INTERNAL, ITW_ERR_CRYPTO);
    return;
  }
  itwi_conn_send(c, ITW_SERVER_START_LEN);
  itwi_conn_raise(c, ITW_EV_UP);
  c->event.sa = c->sa;
  c->event.features = c->choice.features;
  if (c->choice.scheme == ITW_PSK) memcpy(c->event.key_id, c->in + 4, sizeof c->event.key_id);
  itwi_conn_state(c, ITWI_IDLE);
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
  itwi_conn_state(c, ITWI_KEYS);
  itwi_conn_ask_key(c, s->key_id, key_id_len(s->key_id), c->server->config.flags & ITW_SERVER_NO_PBKDF2 ? ITW_ASK_NO_PBKDF2 : 0);
}

/* A Client that goes on without the SA of the greeting. */
static void unpin(struct itw_conn *c)
{
  memset(&c->sa, 0, sizeof c->sa);
  c->u.server.sa_dead = 0;
}

void itwi_server_on_setup_response(struct itw_conn *c)
{
  const struct itw_server_config *g = &c->server->config;
  struct itwi_policy policy = {g->protocol, c->greeting.modes, c->u.server.schemes, g->legacy_modes, g->schemes & ITW_PSK};
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

void itwi_server_on_token_key(struct itw_conn *c, const uint8_t key[16])
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
    itwi_server_on_token_key(c, n->octets);
  else if (!(c->asking.ask.flags & ITW_ASK_NO_PBKDF2))
    derive(c, n->octets, n->secret_len);
  else if (n->secret_len < 16)
    refuse(c, ITW_ACCEPT_INTERNAL, ITW_ERR_KEY_PROVIDER);
  else
    itwi_server_on_token_key(c, n->octets);
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

void itwi_server_on_answer(struct itw_conn *c, const struct itw_answer *n)
{
  uint32_t kind = c->asking.ask.kind;
  if (kind == ITW_ASK_SELECT)
    on_selected(c, n);
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
bool itwi_server_may_derive(struct itw_conn *c)
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

void itwi_server_turn_over(struct itw_conn *c)
{
  if (c->u.server.turn) c->server->deriving--;
  c->u.server.turn = 0;
}

void itwi_server_on_derived(struct itw_conn *c, const uint8_t key[16])
{
  if (c->u.server.turn) itwi_token_key_keep(c->server, key, c->u.server.first, c->greeting.count);
  itwi_server_turn_over(c);
}

/* ---- the beginning ---- */

void itwi_server_begin(struct itw_conn *c)
{
  const struct itw_server_config *g = &c->server->config;
  struct itw_ask *q;
  itwi_conn_state(c, ITWI_SELECT);
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
