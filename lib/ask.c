/* SPDX-License-Identifier: BSD-3-Clause */
#include "ask.h"
#include "octets.h"

struct itw_ask *itwi_ask_open(struct itwi_asking *a, uint32_t kind)
{
  uint32_t id = a->ask.id + 1;
  struct itw_addr local = a->ask.local, remote = a->ask.remote;
  uint64_t tag = a->ask.tag;
  uint32_t role = a->ask.role;
  ITW_INIT(a->ask);
  a->ask.id = id;
  a->ask.kind = kind;
  a->ask.role = role;
  a->ask.local = local;
  a->ask.remote = remote;
  a->ask.tag = tag;
  a->state = ITWI_ASK_OPEN;
  return &a->ask;
}

void itwi_ask_cancel(struct itwi_asking *a)
{
  if (a->state == ITWI_ASK_TAKEN && a->keys.ops && a->keys.ops->cancel)
    a->keys.ops->cancel(a->keys.ctx, a->ask.tag, a->ask.id);
  a->state = ITWI_ASK_NONE;
}

itw_status itwi_ask_provider(struct itwi_asking *a, struct itw_answer *out)
{
  itw_status st;
  if (a->state != ITWI_ASK_OPEN || !a->keys.ops) return ITW_AGAIN;
  ITW_INIT(*out);
  out->id = a->ask.id;
  a->state = ITWI_ASK_TAKEN;
  st = a->keys.ops->answer(a->keys.ctx, &a->ask, out);
  if (st == ITW_AGAIN) return ITW_AGAIN;
  if (st < 0 || out->id != a->ask.id || !itwi_answer_fits(&a->ask, out)) {
    out->kind = ITW_ANS_NONE;
    out->why = ITW_ERR_KEY_PROVIDER;
  }
  a->state = ITWI_ASK_NONE;
  return ITW_OK;
}

static bool pair_fits(const struct itw_answer *n)
{
  return (n->enc_len == 16 || n->enc_len == 24 || n->enc_len == 32) && n->auth_len >= 1 && n->auth_len <= 64;
}

static bool select_fits(const struct itw_ask *q, const struct itw_answer *n)
{
  uint32_t draft = n->schemes & ITW_DRAFT;
  if (!n->schemes || n->schemes & ~q->schemes || n->modes & ~q->modes) return false;
  if (!draft) return !n->sa.protocol || n->sa.protocol == ITW_SA_IKE;
  return n->schemes == draft && !(draft & (draft - 1)) && n->sa.protocol >= ITW_SA_IKE && n->sa.protocol <= ITW_SA_ESP;
}

static bool derived_fits(const struct itw_ask *q, const struct itw_answer *n)
{
  switch (q->kind) {
  case ITW_ASK_TOKEN_KEY: return n->token_len == 16 && !n->enc_len && !n->auth_len;
  case ITW_ASK_ROOT: return n->token_len == 16 && pair_fits(n);
  default: return !n->token_len && pair_fits(n);
  }
}

bool itwi_answer_fits(const struct itw_ask *q, const struct itw_answer *n)
{
  switch (n->kind) {
  case ITW_ANS_NONE: return true;
  case ITW_ANS_SA: return q->kind == ITW_ASK_SELECT && select_fits(q, n);
  case ITW_ANS_SECRET:
    return q->kind != ITW_ASK_SELECT && q->kind != ITW_ASK_PAIR && n->secret_len >= 1 && n->secret_len <= sizeof n->octets;
  case ITW_ANS_DERIVED: return q->kind != ITW_ASK_SELECT && derived_fits(q, n);
  default: return false;
  }
}

itw_status itwi_answer_why(const struct itw_ask *q, const struct itw_answer *n)
{
  if (n->why < 0) return n->why;
  if (q->kind == ITW_ASK_TOKEN_KEY && q->schemes == ITW_PSK) return ITW_ERR_KEY_ID;
  return ITW_ERR_SA_NONE;
}

void itwi_answer_pair(struct itw_key_pair *out, const struct itw_answer *n)
{
  ITW_INIT(*out);
  out->enc_len = n->enc_len;
  out->auth_len = n->auth_len;
  memcpy(out->enc, n->octets + n->token_len, n->enc_len);
  memcpy(out->auth, n->octets + n->token_len + n->enc_len, n->auth_len);
}
