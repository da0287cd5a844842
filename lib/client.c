/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"
#include "abi.h"
#include "octets.h"
#include "secret.h"

static void on_greeting_head(struct itw_conn *);
static void on_greeting(struct itw_conn *);
static void on_server_start(struct itw_conn *);
static void on_unsolicited(struct itw_conn *);
static void on_start_ack(struct itw_conn *);
static void on_stop(struct itw_conn *);

/* RFC 4656 §3.1, 3.5 to 3.9; RFC 5357 §3; RFC 5938. A state with a length waits for the Server, the others for keys or our
   caller. */
static const struct itwi_row rows[] = {
  /* state              what is read             octets  stage               handler                       next */
  ITWI_COMMON_ROWS,
  {ITWI_GREETING,       ITW_MSG_GREETING,            16, ITW_STATE_SETUP,    on_greeting_head,             ITWI_GREETING_REST, 0},
  {ITWI_GREETING_REST,  ITW_MSG_GREETING,             0, ITW_STATE_SETUP,    on_greeting,                  ITWI_CLIENT_KEYS, ITWI_REST},
  {ITWI_CLIENT_KEYS,    ITW_MSG_GREETING,             0, ITW_STATE_SETUP,    NULL,                         ITWI_SERVER_START, 0},
  {ITWI_SERVER_START,   ITW_MSG_SERVER_START,        48, ITW_STATE_SETUP,    on_server_start,              ITWI_CLIENT_IDLE, 0},
  {ITWI_CLIENT_IDLE,    ITW_MSG_COMMAND,              1, ITW_STATE_IDLE,     on_unsolicited,               ITWI_CLIENT_IDLE, 0},
  {ITWI_ACCEPT_SESSION, ITW_MSG_ACCEPT_SESSION,      48, ITW_STATE_REQUEST,  itwi_client_on_accept_session,ITWI_CLIENT_IDLE, 0},
  {ITWI_SID_KEYS,       ITW_MSG_ACCEPT_SESSION,       0, ITW_STATE_REQUEST,  NULL,                         ITWI_CLIENT_IDLE, 0},
  {ITWI_START_ACK,      ITW_MSG_START_ACK,           32, ITW_STATE_STARTING, on_start_ack,                 ITWI_CLIENT_IDLE, 0},
  {ITWI_TESTING,        ITW_MSG_STOP_SESSIONS,       16, ITW_STATE_TESTING,  on_stop,                      ITWI_STOP_RECORD, 0}, /* OWAMP */
  {ITWI_FETCH_ACK,      ITW_MSG_FETCH_ACK,           32, ITW_STATE_FETCHING, itwi_client_on_fetch_ack,     ITWI_FETCH_REQUEST, 0},
  {ITWI_FETCH_REQUEST,  ITW_MSG_FETCHED_DATA,       112, ITW_STATE_FETCHING, itwi_client_on_fetch_request, ITWI_PART, ITWI_PARTS},
  {ITWI_NAMES_ACK,      0,                           16, 0,                  itwi_client_on_names_ack,     ITWI_PART, 0},
};

/* ---- Server Greeting ---- */

/* The first of the modes we want that is in the set; 0: none. */
static uint32_t wanted(const struct itw_conn *c, uint32_t set)
{
  for (size_t i = 0; i < sizeof c->u.client.modes; i++)
    if (c->u.client.modes[i] & set) return c->u.client.modes[i];
  return 0;
}

static bool names_sa(const struct itw_conn *c) { return !itwi_is_zero(c->in, 12); }

static void on_greeting_head(struct itw_conn *c)
{
  uint32_t draft = c->u.client.schemes & ITW_DRAFT;
  /* twelve zeros are a plain greeting of 64 octets, whatever the scheme (protocol.md 2.1) */
  uint32_t form = draft && names_sa(c) ? itwi_scheme_form(draft) : ITW_FORM_FULL;
  uint32_t have = c->in_have;
  c->greeting.form = form;
  if (itwi_greeting_len(form) == have) {
    on_greeting(c);
    return;
  }
  itwi_conn_next(c);
  c->in_have = have;
  itwi_conn_read(c, itwi_greeting_len(form));
}

static void send_setup(struct itw_conn *c, struct itw_setup *s)
{
  s->form = c->greeting.form;
  s->mode = itwi_mode_field(c->protocol, &c->choice);
  if (c->choice.mode != ITW_MODE_OPEN) memcpy(s->client_iv, c->u.client.random + 48, sizeof s->client_iv);
  if (itw_setup_write(c->out, c->buffer, s) != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_INTERNAL, 0);
    return;
  }
  itwi_conn_send(c, itwi_setup_len(s->form));
  itwi_conn_state(c, ITWI_SERVER_START);
  itwi_conn_timer(c, ITWI_T_ANSWER, ITWI_ANSWER_NS);
}

/* Scheme, mode and SA are settled. */
static void go(struct itw_conn *c, uint32_t scheme, uint32_t mode)
{
  struct itw_setup open = {0};
  uint32_t features = itwi_is_draft(scheme) ? 0 : c->features & c->greeting.modes;
  c->choice = (struct itwi_choice){scheme, mode, features};
  if (mode == ITW_MODE_OPEN) {
    send_setup(c, &open);
    return;
  }
  if (itwi_scheme_ask(scheme) == ITW_ASK_TOKEN_KEY && !itwi_count_ok(c->greeting.count, c->u.client.max_count)) {
    itwi_conn_fail(c, ITW_ERR_COUNT, 0);
    return;
  }
  itwi_conn_state(c, ITWI_CLIENT_KEYS);
  itwi_conn_ask_key(c, c->u.client.key_id, c->u.client.key_id_len, c->flags & ITW_CLIENT_NO_PBKDF2 ? ITW_ASK_NO_PBKDF2 : 0);
}

/* Without an SA: only what the caller allowed. */
static void fall_back(struct itw_conn *c, itw_status why)
{
  uint32_t offered = c->greeting.modes & ITWI_PROTECTED & itwi_modes(itwi_profile(c->protocol, 0), ITWI_SECURITY);
  uint32_t psk = c->flags & ITW_CLIENT_FALLBACK_PSK ? wanted(c, offered) : 0;
  memset(&c->sa, 0, sizeof c->sa);
  if (psk)
    go(c, ITW_PSK, psk);
  else if (c->flags & ITW_CLIENT_FALLBACK_OPEN && c->greeting.modes & ITW_MODE_OPEN)
    go(c, 0, ITW_MODE_OPEN);
  else
    itwi_conn_fail(c, why, 0);
}

static void ask_select(struct itw_conn *c, uint32_t scheme, uint32_t modes)
{
  struct itw_ask *q;
  itwi_conn_state(c, ITWI_CLIENT_KEYS);
  q = itwi_ask_open(&c->asking, ITW_ASK_SELECT);
  q->schemes = scheme;
  q->modes = modes;
  ITW_INIT(q->sa);
  if (!itwi_is_draft(scheme)) return;
  q->sa.protocol = c->greeting.protocol;
  q->sa.spi_i = c->greeting.spi_i;
  q->sa.spi_r = c->greeting.spi_r;
}

static uint32_t wanted_set(const struct itw_conn *c, uint32_t set)
{
  uint32_t all = 0;
  for (size_t i = 0; i < sizeof c->u.client.modes; i++) all |= c->u.client.modes[i] & set;
  return all;
}

/* A greeting that names an SA (draft §4.2): the check comes first, in every mode. */
static void draft_greeting(struct itw_conn *c)
{
  uint32_t ipsec = c->greeting.modes & itwi_modes(ITWI_PROFILE_DRAFT, ITWI_IPSEC);
  uint32_t offered = ipsec ? c->greeting.modes & itwi_modes(ITWI_PROFILE_DRAFT, ITWI_SECURITY) : 0;
  uint32_t modes = wanted_set(c, offered);
  if (modes)
    ask_select(c, c->u.client.schemes & ITW_DRAFT, modes);
  else
    itwi_conn_fail(c, ITW_ERR_MODE, 0);
}

static void registry_greeting(struct itw_conn *c)
{
  uint32_t profile = itwi_profile(c->protocol, 0);
  bool ikev2 = c->u.client.schemes & ITW_IKEV2 && c->greeting.modes & itwi_modes(profile, ITWI_IKEV2);
  bool psk = c->u.client.schemes & ITW_PSK;
  uint32_t usable = ITW_MODE_OPEN | (ikev2 || psk ? itwi_modes(profile, ITWI_SECURITY) : 0);
  uint32_t mode = wanted(c, c->greeting.modes & usable);
  if (!mode)
    fall_back(c, ITW_ERR_MODE);
  else if (mode == ITW_MODE_OPEN)
    go(c, 0, mode);
  else if (ikev2)
    ask_select(c, ITW_IKEV2, mode);
  else
    go(c, ITW_PSK, mode);
}

static void on_greeting(struct itw_conn *c)
{
  if (itw_greeting_read(&c->greeting, c->greeting.form, c->in, c->in_have) != ITW_OK)
    itwi_conn_fail(c, ITW_ERR_INTERNAL, 0);
  else if (!c->greeting.modes)
    itwi_conn_fail(c, ITW_ERR_NOT_WILLING, 0);
  else if (!(c->u.client.schemes & ITW_DRAFT))
    registry_greeting(c);
  else if (names_sa(c))
    draft_greeting(c);
  else
    fall_back(c, ITW_ERR_LEGACY);
}

/* ---- keys ---- */

/* The provider's SA must be the one that the greeting names: a mistake there would pin the wrong keys. */
static bool is_named(const struct itw_conn *c, const struct itw_sa *sa)
{
  return sa->protocol == c->greeting.protocol && (uint32_t)sa->spi_i == c->greeting.spi_i &&
         (uint32_t)sa->spi_r == c->greeting.spi_r;
}

static void on_selected(struct itw_conn *c, const struct itw_answer *n)
{
  uint32_t scheme = c->asking.ask.schemes;
  uint32_t mode;
  itw_status why = itwi_answer_why(&c->asking.ask, n);
  if (n->kind == ITW_ANS_NONE && itwi_is_draft(scheme)) {
    itwi_conn_fail(c, n->why < 0 ? n->why : ITW_ERR_SA_MISMATCH, 0);
  } else if (n->kind == ITW_ANS_NONE && why == ITW_ERR_KEY_PROVIDER) {
    itwi_conn_fail(c, why, 0); /* that is not the same as having no SA */
  } else if (n->kind == ITW_ANS_NONE && c->u.client.schemes & ITW_PSK) {
    go(c, ITW_PSK, c->asking.ask.modes); /* both were allowed: RFC 7717 §5.1 */
  } else if (n->kind == ITW_ANS_NONE) {
    fall_back(c, why);
  } else if (itwi_is_draft(scheme) && !is_named(c, &n->sa)) {
    itwi_conn_fail(c, ITW_ERR_SA_MISMATCH, 0);
  } else {
    mode = wanted(c, n->modes);
    c->sa = n->sa;
    if (mode)
      go(c, scheme, mode);
    else
      itwi_conn_fail(c, ITW_ERR_MODE, 0);
  }
}

static void on_token_key(struct itw_conn *c, const uint8_t key[16])
{
  struct itw_setup s = {0};
  if (itwi_token_make(c->backend, s.token, key, c->greeting.challenge, c->u.client.random) != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
    return;
  }
  itwi_session_keys(&c->pair, c->u.client.random);
  if (c->choice.scheme == ITW_PSK) memcpy(s.key_id, c->u.client.key_id, c->u.client.key_id_len);
  if (c->choice.scheme == ITW_IKEV2) itwi_key_id_write(s.key_id, &c->sa);
  send_setup(c, &s);
}

static void on_token_answer(struct itw_conn *c, const struct itw_answer *n)
{
  bool whole = n->kind == ITW_ANS_DERIVED || c->asking.ask.flags & ITW_ASK_NO_PBKDF2;
  if (!whole)
    itwi_conn_derive(c, n->octets, n->secret_len);
  else if (n->kind == ITW_ANS_SECRET && n->secret_len < 16)
    itwi_conn_fail(c, ITW_ERR_KEY_PROVIDER, 0);
  else
    on_token_key(c, n->octets);
}

static void on_root_answer(struct itw_conn *c, const struct itw_answer *n)
{
  struct itw_setup s = {0};
  itw_status st = itwi_conn_root(c, s.token, n);
  if (st == ITW_OK)
    send_setup(c, &s);
  else
    itwi_conn_fail(c, st, 0);
}

static void on_answer(struct itw_conn *c, const struct itw_answer *n)
{
  struct itw_setup direct = {0};
  uint32_t kind = c->asking.ask.kind;
  if (kind == ITW_ASK_SELECT) {
    on_selected(c, n);
  } else if (n->kind == ITW_ANS_NONE) {
    itwi_conn_fail(c, itwi_answer_why(&c->asking.ask, n), 0);
  } else if (kind == ITW_ASK_TOKEN_KEY) {
    on_token_answer(c, n);
  } else if (kind == ITW_ASK_ROOT) {
    on_root_answer(c, n);
  } else if (kind == ITW_ASK_PAIR) {
    itwi_answer_pair(&c->pair, n);
    send_setup(c, &direct);
  } else {
    itwi_client_accepted(c, c->asking.ask.sid, n);
  }
}

static bool may_derive(struct itw_conn *c)
{
  (void)c;
  return true;
}

static void on_derived(struct itw_conn *c, const uint8_t key[16])
{
  (void)c;
  (void)key;
}

/* ---- Server-Start and after ---- */

static void on_server_start(struct itw_conn *c)
{
  struct itw_server_start s;
  itw_status st = itw_server_start_read(&s, c->in, c->in_have);
  if (st == ITW_OK && s.accept) {
    itwi_conn_fail(c, ITW_ERR_REFUSED, s.accept);
    return;
  }
  if (c->choice.mode != ITW_MODE_OPEN) {
    if (st == ITW_OK) st = itwi_stream_key(&c->tx, c->backend, &c->pair, c->u.client.random + 48, ITWI_ENCRYPT);
    if (st == ITW_OK) st = itwi_stream_key(&c->rx, c->backend, &c->pair, s.server_iv, ITWI_DECRYPT);
    if (st == ITW_OK) st = itwi_stream_body(&c->rx, c->in + 32, 16, ITWI_DECRYPT);
  }
  itw_wipe(c->u.client.random, sizeof c->u.client.random);
  if (st != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
    return;
  }
  itwi_conn_next(c);
  itwi_conn_cancel(c, ITWI_T_SETUP);
  itwi_conn_raise(c, ITW_EV_UP);
  c->event.sa = c->sa;
  c->event.features = c->choice.features;
  if (c->choice.scheme == ITW_PSK) memcpy(c->event.key_id, c->u.client.key_id, sizeof c->event.key_id);
}

/* TWAMP's Server speaks only when asked. */
static void on_unsolicited(struct itw_conn *c) { itwi_conn_fail(c, ITW_ERR_UNEXPECTED, 0); }

/* Nothing is under way but, perhaps, a test; of OWAMP's, the Server may speak of its own. */
static void on_idle(struct itw_conn *c)
{
  if (c->choice.features & ITW_FEATURE_SESSION_CONTROL) {
    c->testing = 0;
    for (uint32_t i = 0; i < c->sessions; i++) c->testing |= c->slots[i].state == ITWI_RUNNING;
  }
  itwi_conn_state(c, c->testing && c->protocol == ITW_OWAMP ? ITWI_TESTING : ITWI_CLIENT_IDLE);
}

static void on_start_ack(struct itw_conn *c)
{
  uint32_t accept = 0;
  if (!itwi_conn_open(c, ITW_START_ACK_LEN)) return;
  if (itw_start_ack_read(&accept, c->in, ITW_START_ACK_LEN) != ITW_OK || accept) {
    itwi_conn_fail(c, ITW_ERR_REFUSED, accept); /* RFC 4656 §3.7: the sessions don't run, the connection is of no use */
    return;
  }
  for (uint32_t i = 0; i < c->sessions; i++) {
    if (c->slots[i].state != ITWI_ACCEPTED) continue;
    c->slots[i].state = ITWI_RUNNING;
    c->running++;
  }
  c->testing = 1;
  memset(&c->stop, 0, sizeof c->stop);
  on_idle(c);
  itwi_conn_raise(c, ITW_EV_STARTED);
  c->event.slot = ITW_NO_SLOT;
}

/* OWAMP's Server may stop, too. */
static void on_stop(struct itw_conn *c)
{
  if (itwi_stream_body(&c->rx, c->in, ITW_STOP_LEN, ITWI_DECRYPT) != ITW_OK)
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
  else if (c->in[0] != ITW_CMD_STOP_SESSIONS)
    itwi_conn_fail(c, ITW_ERR_UNEXPECTED, 0);
  else
    itwi_stop_begin(c);
}

static void on_pulled(struct itw_conn *c, uint32_t kind)
{
  if (c->named && (kind == ITW_EV_STARTED || kind == ITW_EV_STOPPED) && c->row->state != ITWI_ENDED) itwi_client_tell_names(c);
}

static itw_status on_hmac(struct itw_conn *c)
{
  (void)c;
  return ITW_OK;
}

static void on_end(struct itw_conn *c) { itw_wipe(c->u.client.random, sizeof c->u.client.random); }

static const struct itwi_conn_role client_role = {rows, on_answer, on_token_key, may_derive, on_derived, on_pulled, on_end, on_hmac, on_idle};

/* ---- the caller's verbs ---- */

bool itwi_is_client(const struct itw_conn *c) { return c && c->role == &client_role; }

bool itwi_client_idle(const struct itw_conn *c)
{
  return c->row->state == ITWI_CLIENT_IDLE && !c->named && !c->out_len && !c->giving.next && itwi_conn_quiet(c);
}

itw_status itw_client_start(itw_conn *c, struct itw_poll *p, itw_mono now)
{
  bool any = false;
  itw_status st;
  if (!itwi_is_client(c)) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  for (uint32_t i = 0; i < c->sessions; i++) any = any || c->slots[i].state == ITWI_ACCEPTED;
  if (c->choice.features & ITW_FEATURE_SESSION_CONTROL) any = false; /* RFC 5938 §3.1: not this command */
  if (!itwi_client_idle(c) || c->testing || !any) return itwi_conn_leave(c, p, ITW_ERR_STATE);
  st = itw_start_sessions_write(c->out, c->buffer);
  if (st != ITW_OK) return itwi_conn_leave(c, p, st);
  itwi_conn_state(c, ITWI_START_ACK);
  itwi_conn_seal(c, ITW_START_LEN);
  itwi_conn_timer(c, ITWI_T_ANSWER, ITWI_ANSWER_NS);
  return itwi_conn_leave(c, p, ITW_OK);
}

itw_status itw_client_stop(itw_conn *c, struct itw_poll *p, itw_mono now)
{
  struct itw_stop_sessions s = {0};
  itw_status st;
  if (!itwi_is_client(c)) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  if (!itwi_client_idle(c) || !c->testing || c->protocol == ITW_OWAMP || c->choice.features & ITW_FEATURE_SESSION_CONTROL)
    return itwi_conn_leave(c, p, ITW_ERR_STATE);
  s.sessions = c->running;
  st = itw_stop_sessions_write(c->out, c->buffer, &s);
  if (st != ITW_OK) return itwi_conn_leave(c, p, st);
  itwi_conn_seal(c, ITW_STOP_LEN);
  itwi_conn_stop(c, ITW_OK, ITWI_FREE);
  return itwi_conn_leave(c, p, ITW_OK);
}

/* ---- set-up ---- */

/* Modes that the schemes can serve; without a scheme only open. */
static uint32_t servable(const struct itw_client_config *g)
{
  return g->schemes ? itwi_modes(itwi_profile(g->protocol, g->schemes), ITWI_SECURITY) : (uint32_t)ITW_MODE_OPEN;
}

static itw_status layout(struct itwi_layout *l, const struct itw_client_config *g)
{
  return itwi_layout(l, g->sessions, g->protocol, g->features, g->slots, g->buffer);
}

static itw_status check(struct itw_client_config *g, const struct itw_client_config *in)
{
  uint32_t draft, needs_id;
  struct itwi_layout l;
  itw_status st = itwi_abi_in(g, sizeof *g, in, sizeof *g);
  if (st != ITW_OK) return st;
  draft = g->schemes & ITW_DRAFT;
  needs_id = g->schemes & ITW_PSK || g->flags & ITW_CLIENT_FALLBACK_PSK;
  if (!g->sessions) g->sessions = 1;
  if (!g->max_count) g->max_count = 32768;
  if (g->protocol == ITW_OWAMP && !g->slots) g->slots = 1;
  if (g->sessions > 4096 || g->key_id_len > sizeof g->key_id || g->on_rekey > ITW_REKEY_CLOSE || g->mbz) return ITW_ERR_ARGUMENT;
  if (g->schemes & ~(uint32_t)(ITW_PSK | ITW_IKEV2 | ITW_DRAFT) || g->flags & ~7u) return ITW_ERR_ARGUMENT;
  if (draft & (draft - 1) || (draft && g->schemes != draft)) return ITW_ERR_CONFIG;
  if (needs_id && !g->key_id_len) return ITW_ERR_CONFIG;
  if (!g->modes[0]) return ITW_ERR_CONFIG;
  for (size_t i = 0; i < sizeof g->modes; i++)
    if (g->modes[i] && (!itwi_one_bit(g->modes[i]) || !(g->modes[i] & servable(g)))) return ITW_ERR_CONFIG;
  return g->features && draft ? ITW_ERR_CONFIG : layout(&l, g);
}

size_t itw_client_size(const struct itw_client_config *in)
{
  struct itw_client_config g;
  struct itwi_layout l;
  size_t size = check(&g, in) == ITW_OK && layout(&l, &g) == ITW_OK ? itwi_conn_size(&l) : 0;
  itw_wipe(&g, sizeof g);
  return size;
}

static void configure(struct itw_conn *c, const struct itw_client_config *g)
{
  c->backend = &c->own;
  c->on_rekey = g->on_rekey;
  c->flags = g->flags;
  c->protocol = g->protocol;
  c->features = g->features;
  c->stop_ns = ITWI_ANSWER_NS;
  c->asking.keys = g->keys;
  c->asking.ask.tag = g->tag;
  c->asking.ask.role = ITW_ROLE_CLIENT;
  c->asking.ask.local = g->local;
  c->asking.ask.remote = g->remote;
  c->u.client.schemes = g->schemes;
  c->u.client.max_count = g->max_count;
  c->u.client.key_id_len = g->key_id_len;
  memcpy(c->u.client.modes, g->modes, sizeof g->modes);
  memcpy(c->u.client.key_id, g->key_id, g->key_id_len);
  memcpy(c->u.client.random, g->random, sizeof g->random);
}

/* Everything that g, a checked config, asks for; on failure nothing is left open. */
static itw_status build(itw_conn **out, void *memory, size_t len, const struct itw_client_config *g, itw_mono now)
{
  struct itw_conn *c = NULL;
  struct itwi_layout l;
  bool secure = g->schemes || g->flags & ITW_CLIENT_FALLBACK_PSK;
  itw_status st = layout(&l, g);
  if (st == ITW_OK) st = itwi_conn_init(&c, memory, len, &l, &client_role);
  if (st != ITW_OK) return st;
  configure(c, g);
  st = itwi_backend_open(&c->own, g->crypto);
  if (st == ITW_OK && secure) st = itwi_conn_streams(c);
  if (st != ITW_OK) {
    itw_conn_free(c);
    return st;
  }
  c->now = now;
  itwi_conn_state(c, ITWI_GREETING);
  itwi_conn_timer(c, ITWI_T_SETUP, ITWI_SETUP_NS);
  itwi_conn_timer(c, ITWI_T_ANSWER, ITWI_ANSWER_NS);
  *out = c;
  return ITW_OK;
}

itw_status itw_client_init(itw_conn **out, void *memory, size_t len, const struct itw_client_config *in,
                           struct itw_detail *detail, itw_mono now)
{
  struct itw_client_config g;
  itw_status st = out ? check(&g, in) : ITW_ERR_ARGUMENT;
  if (st == ITW_OK) st = build(out, memory, len, &g, now);
  itw_wipe(&g, sizeof g);
  return itwi_detail(detail, st);
}

itw_status itw_client_new(itw_conn **out, const struct itw_client_config *in, struct itw_detail *detail, itw_mono now)
{
  void *memory = NULL;
  size_t size = itw_client_size(in);
  itw_status st = itwi_conn_alloc(&memory, size);
  if (st != ITW_OK && !size) return itw_client_init(out, NULL, 0, in, detail, now); /* says what is wrong with the config */
  if (st != ITW_OK) return itwi_detail(detail, st);
  st = itw_client_init(out, memory, size, in, detail, now);
  if (st == ITW_OK)
    (*out)->owned = 1;
  else
    itwi_conn_release(memory);
  return st;
}
