/* SPDX-License-Identifier: BSD-3-Clause */
/* An answer's secret turned into what is derived from it, where the secret lives. */

#include "abi.h"
#include <ipsectwamp/key.h>

enum { TOKEN = 16 };

struct derived {
  struct itw_key_pair pair;
  uint8_t token[TOKEN];
  uint16_t token_len;
};

/* Without PBKDF2 the secret itself is handed out: of the others that would be SKEYSEED or KEYMAT. */
static itw_status derive_token_key(struct derived *d, const struct itw_ask *ask, const struct itw_answer *a, const void *crypto)
{
  d->token_len = TOKEN;
  if (!(ask->flags & ITW_ASK_NO_PBKDF2))
    return itw_token_key(d->token, a->octets, a->secret_len, ask->salt, ask->count, crypto);
  if (ask->schemes != ITW_IKEV2 || a->secret_len < TOKEN) return ITW_ERR_ARGUMENT;
  memcpy(d->token, a->octets, TOKEN);
  return ITW_OK;
}

static itw_status derive_root(struct derived *d, const struct itw_ask *ask, const struct itw_answer *a, const void *crypto)
{
  d->token_len = TOKEN;
  const itw_status st = itw_root_token(d->token, a->sa.prf, a->octets, a->secret_len, ask->challenge, crypto);
  return st == ITW_OK ? itw_root_pair(&d->pair, a->sa.prf, a->octets, a->secret_len, crypto) : st;
}

static itw_status derive(struct derived *d, const struct itw_ask *ask, const struct itw_answer *a, const void *crypto)
{
  if (a->secret_len > sizeof a->octets) return ITW_ERR_ARGUMENT;
  switch (ask->kind) {
  case ITW_ASK_TOKEN_KEY: return derive_token_key(d, ask, a, crypto);
  case ITW_ASK_ROOT: return derive_root(d, ask, a, crypto);
  case ITW_ASK_SID_PAIR: return itw_sid_pair(&d->pair, a->sa.prf, a->octets, a->secret_len, ask->sid, crypto);
  default: return ITW_ERR_ARGUMENT;
  }
}

/* token | enc | auth, over the secret. */
static void put(struct itw_answer *a, const struct derived *d)
{
  const struct itw_key_pair *const pair = &d->pair;

  itw_wipe(a->octets, sizeof a->octets);
  a->kind = ITW_ANS_DERIVED;
  a->secret_len = 0;
  a->token_len = d->token_len;
  a->enc_len = pair->enc_len;
  a->auth_len = pair->auth_len;
  memcpy(a->octets, d->token, d->token_len);
  memcpy(a->octets + d->token_len, pair->enc, pair->enc_len);
  memcpy(a->octets + d->token_len + pair->enc_len, pair->auth, pair->auth_len);
}

itw_status itw_answer_derive(struct itw_answer *answer, const struct itw_ask *ask, const void *crypto)
{
  struct derived d;
  itw_status st = itwi_abi_readable(ask, sizeof *ask);

  if (st == ITW_OK) st = itwi_abi_readable(answer, sizeof *answer);
  if (st != ITW_OK || answer->kind != ITW_ANS_SECRET) return st;
  memset(&d, 0, sizeof d);
  ITW_INIT(d.pair);
  st = derive(&d, ask, answer, crypto);
  if (st == ITW_OK) put(answer, &d);
  itw_wipe(&d, sizeof d);
  return st;
}
