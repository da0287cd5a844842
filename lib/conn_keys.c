/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection's keys: the question that its scheme needs, PBKDF2 in slices, and the sessions made with what comes of it. */

#include "conn.h"
#include "secret.h"

static void derived(struct itw_conn *c)
{
  uint8_t key[16];
  memcpy(key, c->pbkdf2.t, sizeof key);
  itwi_pbkdf2_end(&c->pbkdf2);
  c->role->on_derived(c, key);
  c->deriving = ITWI_DERIVE_NONE;
  c->role->on_token_key(c, key);
  itw_wipe(key, sizeof key);
}

itw_status itw_conn_work(itw_conn *c, struct itw_poll *p, uint32_t n, itw_mono now)
{
  itw_status st;
  if (!c) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  if (c->deriving == ITWI_DERIVE_WAITS && c->role->may_derive(c)) c->deriving = ITWI_DERIVE_RUNS;
  if (c->deriving == ITWI_DERIVE_RUNS) {
    st = itwi_pbkdf2_work(&c->pbkdf2, n);
    if (st < 0) itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
    if (st == ITW_OK) derived(c);
  }
  return itwi_conn_leave(c, p, ITW_OK);
}

void itwi_conn_derive(struct itw_conn *c, const uint8_t *secret, size_t len)
{
  itw_status st = itwi_pbkdf2_begin(&c->pbkdf2, c->backend, secret, len, c->greeting.salt, sizeof c->greeting.salt,
                                    c->greeting.count, 1);
  if (st != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
    return;
  }
  c->deriving = c->role->may_derive(c) ? ITWI_DERIVE_RUNS : ITWI_DERIVE_WAITS;
  if (c->deriving == ITWI_DERIVE_RUNS && !c->pbkdf2.left) derived(c);
}

itw_status itwi_conn_root(struct itw_conn *c, uint8_t token[16], const struct itw_answer *n)
{
  itw_status st;
  if (n->kind == ITW_ANS_DERIVED) {
    memcpy(token, n->octets, 16);
    itwi_answer_pair(&c->pair, n);
    return ITW_OK;
  }
  st = itwi_root_token(c->backend, token, n->sa.prf, n->octets, n->secret_len, c->greeting.challenge);
  return st == ITW_OK ? itwi_root_pair(c->backend, &c->pair, n->sa.prf, n->octets, n->secret_len) : st;
}

void itwi_conn_ask_key(struct itw_conn *c, const uint8_t key_id[80], uint32_t key_id_len, uint32_t flags)
{
  struct itw_ask *q = itwi_ask_open(&c->asking, itwi_scheme_ask(c->choice.scheme));
  q->schemes = c->choice.scheme;
  q->modes = c->choice.mode;
  q->sa = c->sa;
  if (q->kind == ITW_ASK_ROOT) memcpy(q->challenge, c->greeting.challenge, sizeof q->challenge);
  if (q->kind != ITW_ASK_TOKEN_KEY) return;
  q->count = c->greeting.count;
  memcpy(q->salt, c->greeting.salt, sizeof q->salt);
  if (c->choice.scheme == ITW_IKEV2) q->flags = flags & ITW_ASK_NO_PBKDF2;
  if (c->choice.scheme != ITW_PSK) return;
  q->key_id_len = key_id_len;
  memcpy(q->key_id, key_id, sizeof q->key_id);
}

/* ---- sessions ---- */

uint32_t itwi_conn_free_slot(const struct itw_conn *c)
{
  uint32_t i = 0;
  while (i < c->sessions && c->slots[i].state != ITWI_FREE) i++;
  return i;
}

bool itwi_conn_ask_sid(struct itw_conn *c, const uint8_t sid[16])
{
  struct itw_ask *q;
  if (c->choice.scheme != ITW_SHARED_SID || c->choice.mode == ITW_MODE_OPEN) return false;
  q = itwi_ask_open(&c->asking, ITW_ASK_SID_PAIR);
  q->schemes = c->choice.scheme;
  q->modes = c->choice.mode;
  q->sa = c->sa;
  memcpy(q->sid, sid, sizeof q->sid);
  itwi_conn_timer(c, ITWI_T_ANSWER, c->message_ns);
  return true;
}

/* The test packets' keys (protocol.md 2.3, 4). */
static itw_status test_pair(const struct itw_conn *c, struct itw_key_pair *out, const uint8_t sid[16],
                            const struct itw_answer *n)
{
  if (n && n->kind == ITW_ANS_DERIVED) {
    itwi_answer_pair(out, n);
    return ITW_OK;
  }
  if (n) return itwi_sid_pair(c->backend, out, n->sa.prf, n->octets, n->secret_len, sid);
  if (c->choice.scheme == ITW_ROOT || c->choice.scheme == ITW_DIRECT) {
    *out = c->pair; /* draft §4.3: one pair for control and test */
    return ITW_OK;
  }
  return itwi_test_pair(c->backend, out, &c->pair, sid);
}

itw_status itwi_conn_session(struct itw_conn *c, struct itwi_conn_slot *slot, const uint8_t sid[16], const struct itw_answer *n)
{
  struct itw_session_info info;
  struct itw_key_pair pair;
  bool open = c->choice.mode == ITW_MODE_OPEN || c->choice.mode == ITW_MODE_MIXED;
  itw_status st = ITW_OK;
  ITW_INIT(info);
  ITW_INIT(pair);
  info.mode = open ? ITW_MODE_OPEN : c->choice.mode;
  info.dialect = ITW_DIALECT_TWAMP;
  info.padding = slot->request.padding;
  info.timeout = slot->request.timeout;
  info.start = slot->request.start;
  info.sender = slot->request.sender;
  info.reflector = slot->request.receiver;
  info.dscp = (uint8_t)slot->request.dscp;
  info.flags = slot->request.flags;
  memcpy(info.sid, sid, sizeof info.sid);
  if (!open) st = test_pair(c, &pair, sid, n);
  if (st == ITW_OK) st = itw_session_make(&slot->session, &info, open ? NULL : &pair);
  itw_wipe(&pair, sizeof pair);
  return st;
}
