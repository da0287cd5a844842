/* SPDX-License-Identifier: BSD-3-Clause */
#include "keyring.h"

enum { SA_SCHEMES = ITW_IKEV2 | ITW_DRAFT, SECURE = ITW_MODE_AUTH | ITW_MODE_ENC };

static itw_status answer_none(struct itw_answer *out, itw_status why)
{
  out->kind = ITW_ANS_NONE;
  out->why = why;
  return ITW_OK;
}

/* Does the pair of SPIs, in this order, name the SA? A greeting holds the low 32 bits of each. */
static bool is_named(const struct itwi_key *e, uint64_t spi_i, uint64_t spi_r, uint64_t bits)
{
  return (e->spi_i & bits) == (spi_i & bits) && (e->spi_r & bits) == (spi_r & bits);
}

/* protocol.md 2.1: a source may not know who was the initiator. */
static bool any_order(const struct itwi_key *e, uint32_t scheme)
{
  return scheme == ITW_DIRECT || e->flags & ITW_EITHER_ORDER;
}

static bool names(const struct itw_sa *sa, const struct itwi_key *e, uint32_t scheme, uint64_t bits)
{
  return is_named(e, sa->spi_i, sa->spi_r, bits) || (any_order(e, scheme) && is_named(e, sa->spi_r, sa->spi_i, bits));
}

/* The closest, then the newer, then the higher SPIr. */
static bool outranks(const struct itwi_key *a, int a_close, const struct itwi_key *b, int b_close)
{
  if (a_close != b_close) return a_close > b_close;
  if (a->established != b->established) return a->established > b->established;
  return a->spi_r > b->spi_r;
}

static const struct itwi_key *next(const struct itw_keyring *ring, const struct itw_ask *ask, const struct itw_sa *greeting,
                                   struct itwi_walk *w)
{
  return greeting ? itwi_ring_named(ring, greeting, w) : itwi_ring_near(ring, ask, w);
}

/* With `greeting` only SAs that it names. The best-ranked one that can serve the scheme in one of the modes. */
static const struct itwi_key *choose(const struct itw_keyring *ring, const struct itw_ask *ask, uint32_t scheme,
                                     const struct itw_sa *greeting, itw_status *why)
{
  const struct itwi_key *best = NULL, *k;
  struct itwi_walk walk = {0};
  int best_close = ITWI_FAR;

  while ((k = next(ring, ask, greeting, &walk))) {
    itw_status reason;
    const int close = k->retired ? ITWI_FAR : itwi_ring_closeness(ring, k, ask);
    if (close == ITWI_FAR || (greeting && !names(greeting, k, scheme, UINT32_MAX))) continue;
    if (!(itwi_key_modes(k, scheme, &reason) & ask->modes)) {
      *why = itwi_telling(*why, reason);
    } else if (!best || outranks(k, close, best, best_close)) {
      best = k;
      best_close = close;
    }
  }
  return best;
}

static void tell_sa(struct itw_sa *out, const struct itwi_key *e, bool swapped)
{
  out->size = sizeof *out;
  out->protocol = e->protocol;
  out->prf = e->prf;
  out->spi_i = swapped ? e->spi_r : e->spi_i;
  out->spi_r = swapped ? e->spi_i : e->spi_r;
}

static itw_status answer_sa(struct itw_answer *out, uint32_t schemes, uint32_t modes)
{
  out->kind = ITW_ANS_SA;
  out->schemes = schemes;
  out->modes = modes;
  return ITW_OK;
}

/* ikev2, then the draft's schemes: those whose keys say least about IPsec's first. */
static itw_status select_server(const struct itw_keyring *ring, const struct itw_ask *ask, struct itw_answer *out)
{
  static const uint32_t draft[] = {ITW_SHARED, ITW_SHARED_SID, ITW_ROOT, ITW_DIRECT};
  const uint32_t rfcs = ask->schemes & (ITW_PSK | ITW_IKEV2);
  itw_status why = ITW_ERR_SA_NONE, ignored = ITW_OK;

  if (ask->schemes & ITW_IKEV2 && choose(ring, ask, ITW_IKEV2, NULL, &ignored)) return answer_sa(out, rfcs, ask->modes);
  for (size_t i = 0; i < sizeof draft / sizeof draft[0]; i++) {
    const uint32_t scheme = ask->schemes & draft[i];
    const struct itwi_key *e = scheme ? choose(ring, ask, scheme, NULL, &why) : NULL;
    if (!e) continue;
    tell_sa(&out->sa, e, false);
    return answer_sa(out, scheme, ask->modes & itwi_key_modes(e, scheme, &ignored));
  }
  return rfcs ? answer_sa(out, rfcs, ask->modes) : answer_none(out, why);
}

/* The SA that the greeting names; with ikev2, the best one there is. */
static itw_status select_client(const struct itw_keyring *ring, const struct itw_ask *ask, struct itw_answer *out)
{
  const struct itw_sa *greeting = ask->schemes & ITW_DRAFT ? &ask->sa : NULL;
  const uint32_t scheme = greeting ? ask->schemes : ITW_IKEV2;
  itw_status why = greeting ? ITW_ERR_SA_MISMATCH : ITW_ERR_SA_NONE, ignored = ITW_OK;

  if (!(ask->schemes & SA_SCHEMES) || (greeting && scheme & (scheme - 1))) return ITW_ERR_ARGUMENT;
  const struct itwi_key *e = choose(ring, ask, scheme, greeting, &why);
  if (!e) return answer_none(out, greeting ? why : ITW_ERR_SA_NONE);
  tell_sa(&out->sa, e, greeting && !is_named(e, greeting->spi_i, greeting->spi_r, UINT32_MAX));
  return answer_sa(out, scheme, ask->modes & itwi_key_modes(e, scheme, &ignored));
}

static itw_status answer_secret(struct itw_answer *out, const uint8_t *secret, uint16_t len)
{
  out->kind = ITW_ANS_SECRET;
  out->secret_len = len;
  memcpy(out->octets, secret, len);
  return ITW_OK;
}

/* A retired SA has only the secret that more sessions of `shared-sid` need. */
static bool is_at_hand(const struct itw_keyring *ring, const struct itwi_key *k, const struct itw_ask *ask)
{
  return k->retired ? ask->kind == ITW_ASK_SID_PAIR : itwi_ring_closeness(ring, k, ask) != ITWI_FAR;
}

/* The SA that was selected, or whose SPIs a Set-Up-Response bears. */
static itw_status pinned(const struct itwi_key **out, const struct itw_keyring *ring, const struct itw_ask *ask)
{
  const bool ikev2 = ask->schemes == ITW_IKEV2;
  struct itw_sa sa = ask->sa;
  struct itwi_walk walk = {0};
  const struct itwi_key *k;

  if (ikev2) sa.protocol = ITW_SA_IKE;
  while ((k = itwi_ring_named(ring, &sa, &walk))) {
    itw_status why;
    if (!names(&sa, k, ask->schemes, UINT64_MAX) || !is_at_hand(ring, k, ask)) continue;
    *out = k;
    return itwi_key_modes(k, ask->schemes, &why) & SECURE ? ITW_OK : why;
  }
  return ikev2 ? ITW_ERR_SA_NONE : ITW_ERR_SA_GONE;
}

static itw_status answer_pair(const struct itw_keyring *ring, const struct itw_ask *ask, struct itw_answer *out)
{
  const struct itwi_key *e;
  const itw_status why = pinned(&e, ring, ask);
  if (why) return answer_none(out, why);

  const unsigned way = ask->sa.spi_r == e->spi_r ? 0 : 1;
  const struct itwi_material *m = itwi_ring_material(ring, e);
  out->kind = ITW_ANS_DERIVED;
  out->enc_len = e->encr_len;
  out->auth_len = e->integ_len;
  memcpy(out->octets, m->of[way].encr, e->encr_len);
  memcpy(out->octets + e->encr_len, m->of[way].integ, e->integ_len);
  return ITW_OK;
}

/* Everything that is derived from a secret. */
static itw_status answer_from_sa(const struct itw_keyring *ring, const struct itw_ask *ask, struct itw_answer *out)
{
  const struct itwi_key *e;
  const itw_status why = pinned(&e, ring, ask);
  if (why) return answer_none(out, why);

  const struct itwi_material *m = itwi_ring_material(ring, e);
  tell_sa(&out->sa, e, false);
  return ask->schemes == ITW_IKEV2 ? answer_secret(out, m->ippm, e->ippm_len)
                                   : answer_secret(out, m->secret, e->secret_len);
}

static itw_status answer_psk(const struct itw_keyring *ring, const struct itw_ask *ask, struct itw_answer *out)
{
  const struct itwi_key *e = itwi_ring_find_psk(ring, ask->key_id, ask->key_id_len);
  return e ? answer_secret(out, itwi_ring_material(ring, e)->secret, e->secret_len) : answer_none(out, ITW_ERR_KEY_ID);
}

/* Which schemes ask for what. */
static itw_status answer(const struct itw_keyring *ring, const struct itw_ask *ask, struct itw_answer *out)
{
  switch (ask->kind) {
  case ITW_ASK_SELECT:
    if (ask->role == ITW_ROLE_SERVER) return select_server(ring, ask, out);
    return ask->role == ITW_ROLE_CLIENT ? select_client(ring, ask, out) : ITW_ERR_ARGUMENT;
  case ITW_ASK_TOKEN_KEY:
    if (ask->schemes == ITW_PSK) return answer_psk(ring, ask, out);
    if (ask->schemes == ITW_IKEV2 || ask->schemes == ITW_SHARED || ask->schemes == ITW_SHARED_SID)
      return answer_from_sa(ring, ask, out);
    return ITW_ERR_ARGUMENT;
  case ITW_ASK_ROOT: return ask->schemes == ITW_ROOT ? answer_from_sa(ring, ask, out) : ITW_ERR_ARGUMENT;
  case ITW_ASK_SID_PAIR: return ask->schemes == ITW_SHARED_SID ? answer_from_sa(ring, ask, out) : ITW_ERR_ARGUMENT;
  case ITW_ASK_PAIR: return ask->schemes == ITW_DIRECT ? answer_pair(ring, ask, out) : ITW_ERR_ARGUMENT;
  default: return ITW_ERR_ARGUMENT;
  }
}

itw_status itw_keyring_answer(const itw_keyring *ring, const struct itw_ask *ask, struct itw_answer *out)
{
  const itw_status status = ring && out ? itwi_abi_readable(ask, sizeof *ask) : ITW_ERR_ARGUMENT;
  if (status) return status;
  const uint32_t size = itwi_abi_size(out);
  if (size < sizeof *out) return ITW_ERR_SIZE;

  memset(out, 0, sizeof *out);
  out->size = size;
  out->id = ask->id;
  return answer(ring, ask, out);
}

static itw_status answer_as_provider(void *ctx, const struct itw_ask *ask, struct itw_answer *out)
{
  return itw_keyring_answer(ctx, ask, out);
}

struct itw_keys itw_keyring_keys(itw_keyring *ring)
{
  static const struct itw_keys_ops ops = {.size = sizeof ops, .answer = answer_as_provider};
  return (struct itw_keys){&ops, ring};
}
