/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache.h"

itw_status itwi_cache_open(struct itwi_cache *c, struct itwi_context *contexts, uint32_t n, uint32_t sessions,
                           const struct itwi_backend *b)
{
  *c = (struct itwi_cache){.contexts = contexts, .plenty = n >= sessions};
  for (; c->n < n; c->n++) {
    struct itwi_context *x = &contexts[c->n];
    const itw_status s = itwi_seal_open(&x->seal, b);
    if (s == ITW_ERR_UNSUPPORTED && c->n == 0) return ITW_OK;
    if (s != ITW_OK) {
      itwi_cache_close(c);
      return s;
    }
    x->newer = c->n - 1; /* of the newest: not looked at */
    x->older = c->n + 1;
  }
  c->newest = 0;
  c->oldest = n - 1;
  return ITW_OK;
}

void itwi_cache_close(struct itwi_cache *c)
{
  for (; c->n; c->n--) itwi_seal_close(&c->contexts[c->n - 1].seal);
  c->contexts = NULL;
}

static void unlink_context(struct itwi_cache *c, uint32_t i)
{
  const struct itwi_context *x = &c->contexts[i];

  if (i == c->newest)
    c->newest = x->older;
  else
    c->contexts[x->newer].older = x->older;
  if (i == c->oldest)
    c->oldest = x->newer;
  else
    c->contexts[x->older].newer = x->newer;
}

static void make_newest(struct itwi_cache *c, uint32_t i)
{
  if (i == c->newest) return;
  unlink_context(c, i);
  c->contexts[i].older = c->newest;
  c->contexts[c->newest].newer = i;
  c->newest = i;
}

static void make_oldest(struct itwi_cache *c, uint32_t i)
{
  if (i == c->oldest) return;
  unlink_context(c, i);
  c->contexts[i].newer = c->oldest;
  c->contexts[c->oldest].older = i;
  c->oldest = i;
}

struct itwi_seal *itwi_cache_get(struct itwi_cache *c, uint32_t session, uint32_t *hint)
{
  struct itwi_context *x = &c->contexts[c->plenty ? session : *hint];

  if (x->seal.owner != session + 1) {
    if (!c->plenty) x = &c->contexts[c->oldest];
    itwi_seal_rekey(&x->seal, session + 1);
    *hint = (uint32_t)(x - c->contexts);
  }
  if (!c->plenty) make_newest(c, *hint);
  return &x->seal;
}

void itwi_cache_drop(struct itwi_cache *c, uint32_t session, uint32_t hint, const struct itwi_backend *b)
{
  if (c->n == 0 || c->contexts[hint].seal.owner != session + 1) return;
  itwi_seal_wipe(&c->contexts[hint].seal, b);
  c->contexts[hint].seal.owner = 0;
  if (!c->plenty) make_oldest(c, hint);
}

void itwi_cache_fetch(const struct itwi_cache *c, uint32_t session, uint32_t hint)
{
  const struct itwi_context *x = itwi_cache_at(c, session, hint);

  ITWI_PREFETCH(x);
  ITWI_PREFETCH((const uint8_t *)x + ITWI_LINE);
}

void itwi_cache_fetch_keyed(const struct itwi_cache *c, uint32_t session, uint32_t hint)
{
  const struct itwi_seal *s = &itwi_cache_at(c, session, hint)->seal;

  if (s->owner == session + 1) itwi_seal_fetch(s, s->keyed);
}
