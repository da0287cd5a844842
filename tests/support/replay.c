/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_agent.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool replay_word_is(const struct vec_section *s, const char *key, const char *word)
{
  const char *w = vec_word(s, key);
  return w && !strcmp(w, word);
}

uint32_t replay_mode(const struct vec_section *info)
{
  static const char *const names[] = {"open", "auth", "enc", "mixed"};
  for (uint32_t i = 0; i < 4; i++)
    if (replay_word_is(info, "security", names[i])) return 1u << i;
  abort();
}

uint32_t replay_scheme(const struct vec_section *info)
{
  for (uint32_t bit = 1; bit <= ITW_DIRECT; bit <<= 1)
    if (replay_word_is(info, "scheme", itw_scheme_name(bit))) return bit;
  abort();
}

bool replay_owamp(const struct vec_section *info) { return replay_word_is(info, "service", "owamp"); }

/* ---- keys ---- */

static bool add_psk(itw_keyring *ring, const struct vec_section *info)
{
  uint8_t id[80], secret[256];
  size_t id_len = vec_hex(info, "keyid", id, sizeof id), len = vec_hex(info, "passphrase", secret, sizeof secret);
  return itw_keyring_add_psk(ring, id, id_len, secret, len) == ITW_OK;
}

static bool add_ike(itw_keyring *ring, const struct vec_section *info)
{
  struct itw_ike_sa sa;
  ITW_INIT(sa);
  ITW_INIT(sa.sa);
  sa.sa.protocol = ITW_SA_IKE;
  sa.sa.prf = (uint32_t)vec_u64(info, "prf");
  sa.sa.spi_i = vec_be64(info, "ike_spi_i");
  sa.sa.spi_r = vec_be64(info, "ike_spi_r");
  sa.skeyseed_len = (uint32_t)vec_hex(info, "skeyseed", sa.skeyseed, sizeof sa.skeyseed);
  sa.sk_d_len = (uint32_t)vec_hex(info, "sk_d", sa.sk_d, sizeof sa.sk_d);
  return itw_keyring_add_ike(ring, &sa) == ITW_OK;
}

static bool add_child(itw_keyring *ring, const struct vec_section *info)
{
  struct itw_child_sa sa;
  ITW_INIT(sa);
  ITW_INIT(sa.sa);
  sa.sa.protocol = (uint32_t)vec_u64(info, "protocol");
  sa.sa.prf = (uint32_t)vec_u64(info, "prf");
  sa.sa.spi_i = vec_be64(info, "child_spi_i");
  sa.sa.spi_r = vec_be64(info, "child_spi_r");
  sa.encr = sa.sa.protocol == ITW_SA_AH ? ITW_ENCR_NONE : ITW_ENCR_AES_CBC;
  sa.keymat_len = (uint32_t)vec_hex(info, "keymat", sa.keymat, sizeof sa.keymat);
  sa.encr_len = (uint16_t)vec_hex(info, "encr_i_to_r", sa.encr_key_i, sizeof sa.encr_key_i);
  sa.integ_len = (uint16_t)vec_hex(info, "integ_i_to_r", sa.integ_key_i, sizeof sa.integ_key_i);
  return itw_child_sa_split(&sa) == ITW_OK && itw_keyring_add_child(ring, &sa) == ITW_OK;
}

itw_keyring *replay_keys(const struct vec_section *info)
{
  itw_keyring *ring = NULL;
  bool ok = itw_keyring_new(&ring, 4, NULL) == ITW_OK;
  if (!ok) return NULL;
  if (vec_has(info, "passphrase")) ok = add_psk(ring, info);
  else if (vec_has(info, "protocol")) ok = add_child(ring, info);
  else if (vec_has(info, "skeyseed")) ok = add_ike(ring, info);
  if (ok) return ring;
  itw_keyring_free(ring);
  return NULL;
}

/* ---- the recording ---- */

static void append(uint8_t *to, size_t *len, const struct vec_section *s)
{
  if (s) *len += vec_hex(s, "wire", to + *len, REPLAY_OCTETS - *len);
}

bool replay_can(const char *file, uint32_t role)
{
  if (role == ITW_ROLE_CLIENT && strstr(file, "twamp-auth-multi")) return false;
  if (strcmp(itw_crypto_backend(), "none")) return true;
  return role == ITW_ROLE_CLIENT && strstr(file, "-open") && (strstr(file, "/psk-") || strstr(file, "wamp-"));
}

void replay_open(struct replay *r, const char *file, uint32_t role)
{
  bool client = role == ITW_ROLE_CLIENT;
  memset(r, 0, sizeof *r);
  r->vec = vec_load(file);
  r->info = vec_first(r->vec, "case");
  r->role = role;
  append(client ? r->peer : r->expect, client ? &r->peer_len : &r->expect_len, vec_first(r->vec, "greeting"));
  append(client ? r->expect : r->peer, client ? &r->expect_len : &r->peer_len, vec_first(r->vec, "setup"));
  append(client ? r->peer : r->expect, client ? &r->peer_len : &r->expect_len, vec_first(r->vec, "start"));
  for (const struct vec_section *s = vec_first(r->vec, "control"); s; s = vec_next(r->vec, s, "control")) {
    bool ours = replay_word_is(s, "from", client ? "client" : "server");
    if (!ours) replay_expect_data(r, s);
    append(ours ? r->expect : r->peer, ours ? &r->expect_len : &r->peer_len, s);
  }
  if (strlen(r->expect_data) + 1 == REPLAY_TRACE) abort();
}

void replay_close(struct replay *r)
{
  vec_free(r->vec);
  r->vec = NULL;
}

/* ---- our side ---- */

void replay_say(struct replay *r, const char *format, ...)
{
  size_t at = strlen(r->trace);
  va_list args;
  va_start(args, format);
  vsnprintf(r->trace + at, sizeof r->trace - at, format, args);
  va_end(args);
}

struct itw_addr replay_addr(const struct vec_section *s, const char *key, uint64_t port)
{
  struct itw_addr a = {0};
  size_t n = vec_hex(s, key, a.ip, sizeof a.ip);
  bool any = true;
  for (size_t i = 0; i < n; i++) any = any && !a.ip[i];
  a.family = any ? 0 : n == 16 ? 6 : 4;
  a.port = (uint16_t)port;
  return a;
}

/* The Token key that PBKDF2 would give for the recording's own Salt and Count. */
static void derive(const struct replay_agent *a, const struct itw_ask *q, struct itw_answer *n)
{
  const struct vec_section *hi = vec_first(a->r->vec, "greeting"), *keys = vec_first(a->r->vec, "keys");
  uint8_t salt[16];
  if (q->kind != ITW_ASK_TOKEN_KEY || n->kind != ITW_ANS_SECRET) return;
  vec_hex(hi, "salt", salt, sizeof salt);
  if (memcmp(salt, q->salt, sizeof salt) || vec_u64(hi, "count") != q->count) return;
  itw_wipe(n, sizeof *n);
  ITW_INIT(*n);
  n->id = q->id;
  n->kind = ITW_ANS_DERIVED;
  n->token_len = (uint16_t)vec_hex(keys, "token_key", n->octets, sizeof n->octets);
}

static void answer(struct replay_agent *a)
{
  struct itw_ask q;
  struct itw_answer n;
  ITW_INIT(q);
  ITW_INIT(n);
  if (itw_conn_ask(a->conn, &q, &a->p) != ITW_OK) abort();
  n.id = q.id;
  if (itw_keyring_answer(a->ring, &q, &n) < 0) n.kind = ITW_ANS_NONE;
  if (a->r->derived) derive(a, &q, &n);
  if (itw_conn_answer(a->conn, &a->p, &n, a->now) < 0) replay_say(a->r, "answer refused\n");
  itw_wipe(&n, sizeof n);
}

/* Does what the connection wants but for reading. */
static void drive(struct replay_agent *a)
{
  struct itw_event ev;
  struct replay *r = a->r;
  while (a->p.wants & ~(uint32_t)(ITW_WANT_READ | ITW_WANT_CLOSE)) {
    if (a->p.wants & ITW_WANT_EVENT) {
      ITW_INIT(ev);
      if (itw_conn_event(a->conn, &ev, &a->p) != ITW_OK) abort();
      replay_on_event(a, &ev);
    } else if (a->p.wants & ITW_WANT_ANSWER) {
      answer(a);
    } else if (a->p.wants & ITW_WANT_WORK) {
      if (itw_conn_work(a->conn, &a->p, 700, a->now) != ITW_OK) abort();
    } else if (a->p.wants & ITW_WANT_TAKE) {
      replay_take(a);
    } else if (a->p.wants & ITW_WANT_GIVE) {
      replay_give(a);
    } else {
      if (r->out_len + a->p.out_len > sizeof r->out) abort();
      memcpy(r->out + r->out_len, a->p.out, a->p.out_len);
      r->out_len += a->p.out_len;
      if (itw_conn_sent(a->conn, &a->p, a->p.out_len, a->now) != ITW_OK) abort();
    }
  }
}

static size_t piece(const struct replay *r, size_t want, size_t until)
{
  size_t left = (until < r->peer_len ? until : r->peer_len) - r->fed;
  if (want > left) want = left;
  if (r->single && want > 1) want = 1;
  if (r->fed < r->cut && want > r->cut - r->fed) want = r->cut - r->fed;
  return want;
}

void replay_feed(struct replay *r, size_t until)
{
  struct replay_agent *a = r->agent;
  size_t n;
  for (;;) {
    drive(a);
    n = piece(r, a->p.in_len, until);
    if (!n) break;
    memcpy(a->p.in, r->peer + r->fed, n);
    r->fed += n;
    if (itw_conn_got(a->conn, &a->p, n, a->now += 1000) != ITW_OK) abort();
  }
}

static void finish(struct replay_agent *a)
{
  struct replay *r = a->r;
  if (r->eof && !(a->p.wants & ITW_WANT_CLOSE) && itw_conn_eof(a->conn, &a->p, a->now) == ITW_OK) drive(a);
  if (a->p.wants & ITW_WANT_CLOSE) replay_say(r, "close\n");
  if (a->p.wants & ITW_WANT_CLOSE && a->p.deadline != ITW_NEVER) replay_say(r, "a timer runs on\n");
  ITW_INIT(r->detail);
  if (itw_conn_detail(a->conn, &r->detail) != ITW_OK) abort();
}

/* What a Modes field has of TWAMP's extensions. */
uint32_t replay_features(const struct vec_section *info, const char *key)
{
  const uint32_t all = ITW_FEATURE_SESSION_CONTROL | ITW_FEATURE_REFLECT | ITW_FEATURE_SYMMETRICAL |
                       ITW_FEATURE_DSCP_ECN | ITW_FEATURE_PTP;
  return replay_owamp(info) || replay_scheme(info) & ITW_DRAFT ? 0 : (uint32_t)vec_u64(info, key) & all;
}

static itw_status make_client(struct replay_agent *a)
{
  struct replay *r = a->r;
  struct itw_client_config g;
  const struct vec_section *keys = vec_first(r->vec, "keys"), *setup = vec_first(r->vec, "setup");
  ITW_INIT(g);
  g.schemes = replay_mode(r->info) == ITW_MODE_OPEN && !(replay_scheme(r->info) & ITW_DRAFT) ? 0 : replay_scheme(r->info);
  g.modes[0] = (uint8_t)replay_mode(r->info);
  g.protocol = replay_owamp(r->info) ? ITW_OWAMP : ITW_TWAMP;
  g.features = replay_features(r->info, "mode_chosen");
  g.slots = g.protocol == ITW_OWAMP ? 4 : 0;
  g.sessions = 4;
  g.local = replay_addr(r->info, "client_address", 50000);
  g.remote = replay_addr(r->info, "server_address", 862);
  g.tag = 7;
  if (vec_has(r->info, "keyid")) g.key_id_len = (uint32_t)vec_hex(r->info, "keyid", g.key_id, sizeof g.key_id);
  if (keys && replay_scheme(r->info) != ITW_ROOT && replay_scheme(r->info) != ITW_DIRECT) {
    vec_hex(keys, "aes_session_key", g.random, 16);
    vec_hex(keys, "hmac_session_key", g.random + 16, 32);
  }
  vec_hex(setup, "client_iv", g.random + 48, 16);
  if (!r->by_hand && !r->derived) g.keys = itw_keyring_keys(a->ring);
  return r->memory ? itw_client_init(&a->conn, r->memory, r->memory_len, &g, NULL, a->now)
                   : itw_client_new(&a->conn, &g, NULL, a->now);
}

static itw_status make_server(struct replay_agent *a)
{
  struct replay *r = a->r;
  struct itw_server_config g;
  const struct vec_section *hi = vec_first(r->vec, "greeting");
  ITW_INIT(g);
  g.schemes = replay_scheme(r->info);
  g.protocol = replay_owamp(r->info) ? ITW_OWAMP : ITW_TWAMP;
  g.modes = (uint32_t)vec_u64(r->info, "modes_offered") & (g.schemes & ITW_DRAFT || g.protocol == ITW_OWAMP ? 7u : 15u);
  g.features = replay_features(r->info, "modes_offered");
  g.slots = g.protocol == ITW_OWAMP ? 4 : 0;
  for (const struct vec_section *s = vec_first(r->vec, "control"); s; s = vec_next(r->vec, s, "control"))
    if (vec_has(s, "server_octets")) vec_hex(s, "server_octets", g.server_octets, sizeof g.server_octets);
  if (vec_has(hi, "count")) g.count_psk = g.count_sa = (uint32_t)vec_u64(hi, "count");
  if (vec_has(hi, "salt")) vec_hex(hi, "salt", g.salt, sizeof g.salt);
  g.start = vec_be64(vec_first(r->vec, "start"), "start_time");
  g.sessions = 4;
  g.token_keys = 2;
  g.client_ivs = 4;
  g.deriving = 1;
  if (!r->by_hand && !r->derived) g.keys = itw_keyring_keys(a->ring);
  return r->server_memory ? itw_server_init(&a->server, r->server_memory, r->server_memory_len, &g, NULL)
                          : itw_server_new(&a->server, &g, NULL);
}

static itw_status make_incoming(struct replay_agent *a)
{
  struct replay *r = a->r;
  struct itw_incoming in;
  itw_server *server = r->with ? r->with->agent->server : a->server;
  const struct vec_section *hi = vec_first(r->vec, "greeting");
  ITW_INIT(in);
  in.local = replay_addr(r->info, "server_address", 862);
  in.remote = replay_addr(r->info, "client_address", 50000);
  if (vec_has(hi, "challenge")) vec_hex(hi, "challenge", in.random, 16);
  vec_hex(vec_first(r->vec, "start"), "server_iv", in.random + 16, 16);
  return r->memory ? itw_server_conn_init(server, &a->conn, r->memory, r->memory_len, &in, a->now)
                   : itw_server_conn_new(server, &a->conn, &in, a->now);
}

static itw_status make(struct replay_agent *a)
{
  struct replay *r = a->r;
  itw_status st = ITW_OK;
  a->ring = replay_keys(r->info);
  if (!a->ring) return ITW_ERR_MEMORY;
  if (r->role == ITW_ROLE_CLIENT) return make_client(a);
  if (!r->with) st = make_server(a);
  return st == ITW_OK ? make_incoming(a) : st;
}

void replay_begin(struct replay *r)
{
  struct replay_agent *a = calloc(1, sizeof *a);
  if (!a) abort();
  a->r = r;
  a->now = 1000000;
  ITW_INIT(a->p);
  r->agent = a;
  r->out_len = r->fed = r->session_count = 0;
  r->trace[0] = r->data[0] = 0;
  memset(&r->detail, 0, sizeof r->detail);
  r->made = make(a);
  if (r->made == ITW_OK && itw_conn_poll(a->conn, &a->p) != ITW_OK) abort();
}

void replay_end(struct replay *r)
{
  struct replay_agent *a = r->agent;
  if (r->made == ITW_OK) finish(a);
  itw_conn_free(a->conn);
  itw_server_free(a->server);
  itw_keyring_free(a->ring);
  free(a);
  r->agent = NULL;
}

void replay_run(struct replay *r)
{
  replay_begin(r);
  if (r->made == ITW_OK) replay_feed(r, SIZE_MAX);
  replay_end(r);
}
