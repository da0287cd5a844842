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
  bool open = itwi_test_mode(c) == ITW_MODE_OPEN;
  itw_status st = ITW_OK;
  ITW_INIT(info);
  ITW_INIT(pair);
  info.mode = itwi_test_mode(c);
  info.dialect = c->protocol == ITW_OWAMP ? ITW_DIALECT_OWAMP : ITW_DIALECT_TWAMP;
  info.features = c->choice.features;
  info.packets = slot->request.packets;
  info.reflect = slot->request.reflect;
  memcpy(info.server_octets, slot->request.server_octets, sizeof info.server_octets);
  info.padding = slot->request.padding;
  info.timeout = slot->request.timeout;
  info.start = slot->request.start;
  info.sender = slot->request.sender;
  info.reflector = slot->request.receiver;
  info.dscp = (uint8_t)slot->request.dscp;
  info.flags = slot->request.flags;
  memcpy(info.sid, sid, sizeof info.sid);
  memmove(slot->request.sid, sid, sizeof info.sid); /* may be that one */
  if (!c->server && slot->request.conf == (ITW_CONF_SENDER | ITW_CONF_RECEIVER)) return ITW_OK; /* nobody's here */
  if (!open) st = test_pair(c, &pair, sid, n);
  if (st == ITW_OK) st = itw_session_make(&slot->session, &info, open ? NULL : &pair);
  itw_wipe(&pair, sizeof pair);
  return st;
}
