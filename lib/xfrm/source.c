/* SPDX-License-Identifier: BSD-3-Clause */
#include "inside.h"

#include <netinet/in.h>

enum { CAPACITY = 4096, CAPACITY_MAX = 1 << 19, DATAGRAMS = 32 /* of one call of itw_xfrm_read */, CHAINS = 5 };

/* ---- its life ---- */

static uint32_t heads(uint32_t capacity)
{
  uint32_t n = 2;
  while (n < capacity) n <<= 1;
  return n;
}

static size_t block_size(uint32_t capacity)
{
  return sizeof(struct itw_xfrm) +
         capacity * (sizeof(struct itwi_half) + sizeof(struct itwi_pair) + sizeof(struct itwi_policy)) +
         CHAINS * heads(capacity) * sizeof(itwi_place);
}

static void lay_out(struct itw_xfrm *x, uint32_t capacity)
{
  const uint32_t n = heads(capacity);

  x->capacity = capacity;
  x->size = block_size(capacity);
  x->halves = (void *)(x + 1);
  x->pairs = (void *)(x->halves + capacity);
  x->policies = (void *)(x->pairs + capacity);
  x->by_id = (void *)(x->policies + capacity);
  x->by_ends = x->by_id + n;
  x->by_group = x->by_ends + n;
  x->by_index = x->by_group + n;
  x->by_tunnel = x->by_index + n;
  x->shift = 64;
  for (uint32_t bits = n; bits > 1; bits >>= 1) x->shift--;
  for (uint32_t i = 1; i < capacity; i++) {
    x->halves[i - 1].same_ends = i + 1;
    x->pairs[i - 1].next = i + 1;
    x->policies[i - 1].same_ends = i + 1;
  }
  x->free_half = x->free_pair = x->free_policy = 1;
}
_Static_assert(sizeof(struct itw_xfrm) % 8 == 0 && sizeof(struct itwi_half) % 8 == 0 &&
                   sizeof(struct itwi_pair) % 8 == 0 && sizeof(struct itwi_policy) % 4 == 0,
               "the arrays stand one behind the other");

itw_status itwi_xfrm_make(struct itw_xfrm **out, uint32_t capacity)
{
  struct itw_xfrm *const x = itw_secret_new(block_size(capacity));

  if (!x) return ITW_ERR_MEMORY;
  lay_out(x, capacity);
  x->retry = x->relent = ITW_NEVER;
  x->again = true;
  const itw_status st = itw_keyring_new(&x->ring, capacity, NULL); /* a pair stands in it twice */
  if (st == ITW_OK)
    *out = x;
  else
    itw_secret_free(x, x->size);
  return st;
}

itw_status itw_xfrm_new(itw_xfrm **out, const struct itw_xfrm_config *config, struct itw_detail *detail)
{
  struct itw_detail ignored;
  struct itw_xfrm *x = NULL;

  ITW_INIT(ignored);
  if (!detail) detail = &ignored;
  if (!out || !config) return ITW_ERR_ARGUMENT;
  if (config->size < sizeof *config || detail->size < sizeof *detail) return ITW_ERR_SIZE;
  if (config->capacity > CAPACITY_MAX || config->receive_octets > INT32_MAX || config->mbz) return ITW_ERR_ARGUMENT;
  ITW_INIT(*detail);
  itw_status st = itwi_xfrm_make(&x, config->capacity ? config->capacity : CAPACITY);
  if (st == ITW_OK) st = itwi_xfrm_open(x, config->receive_octets, detail);
  if (st == ITW_OK) {
    itwi_xfrm_go_on(x, 0);
    *out = x;
    return ITW_OK;
  }
  itw_xfrm_free(x);
  detail->status = st;
  if (!detail->text[0]) strncpy(detail->text, itw_status_text(st), sizeof detail->text - 1);
  return st;
}

void itw_xfrm_free(itw_xfrm *x)
{
  if (!x) return;
  itwi_xfrm_close(x);
  itw_keyring_free(x->ring);
  itw_secret_free(x, x->size);
}

/* ---- in the caller's loop ---- */

int itw_xfrm_fd(const itw_xfrm *x) { return x && x->socket ? mnl_socket_get_fd(x->socket) : -1; }

itw_mono itw_xfrm_deadline(const itw_xfrm *x)
{
  if (!x) return ITW_NEVER;
  return x->retry < x->relent ? x->retry : x->relent;
}

itw_status itw_xfrm_read(itw_xfrm *x, itw_mono now)
{
  itw_status st = ITW_OK;
  size_t len = 0;

  if (!x) return ITW_ERR_ARGUMENT;
  for (int i = 0; i < DATAGRAMS && st != ITW_EMPTY; i++) {
    st = itwi_xfrm_receive(x, &len);
    if (st == ITW_OK)
      itwi_xfrm_take(x, x->buffer, len);
    else if (st == ITW_ERR_FULL)
      itwi_xfrm_lost(x);
  }
  itw_wipe(x->buffer, sizeof x->buffer);
  itwi_xfrm_go_on(x, now);
  return x->ready ? ITW_OK : ITW_AGAIN;
}

itw_status itw_xfrm_event(itw_xfrm *x, struct itw_source_event *out)
{
  if (!x || !out) return ITW_ERR_ARGUMENT;
  return out->size < sizeof *out ? ITW_ERR_SIZE : itwi_news_take(x, out);
}

uint32_t itw_xfrm_count(const itw_xfrm *x, uint32_t *pairs)
{
  if (pairs) *pairs = x ? x->n_pairs : 0;
  return x ? x->n_halves : 0;
}

/* ---- answers ---- */

/* A half, as far as its names go: the other SPI is 0. */
static struct itw_sa name_half(const struct itwi_half *h, const struct itw_addr *local)
{
  struct itw_sa sa;
  ITW_INIT(sa);
  sa.protocol = h->proto == IPPROTO_AH ? ITW_SA_AH : ITW_SA_ESP;
  *(itwi_xfrm_same_ip(&h->dst, local) ? &sa.spi_r : &sa.spi_i) = h->spi;
  return sa;
}

static bool is_named(const struct itwi_half *h, const struct itw_sa *named)
{
  return !named || h->spi == (uint32_t)named->spi_i || h->spi == (uint32_t)named->spi_r;
}

/* Of what can't be used: a pair tells more than a half, that more than a larval one, and of those alike the newest. */
static bool tells_more(const struct itwi_half *a, const struct itwi_half *b)
{
  if (!a->pair != !b->pair) return a->pair != 0;
  return a->larval != b->larval ? b->larval : itwi_half_is_newer(a, b);
}

/* What the ring doesn't have of those between these two, or of those that `named` names. */
static itw_status reason(const struct itw_xfrm *x, struct itw_sa *out, const struct itw_addr *local,
                         const struct itw_addr *remote, const struct itw_sa *named)
{
  const struct itwi_half *best = NULL;

  for (const struct itwi_half *h = itwi_half_between(x, local, remote, 0); h;
       h = itwi_half_between(x, local, remote, itwi_half_place(x, h)))
    if (is_named(h, named) && !(h->pair && itwi_pair_at(x, h->pair)->stands[0]) && (!best || tells_more(h, best)))
      best = h;
  if (!best) return ITW_ERR_SA_NONE;
  *out = best->pair ? itwi_pair_at(x, best->pair)->sa : name_half(best, local);
  if (best->pair) return itwi_pair_at(x, best->pair)->why;
  return best->larval ? ITW_ERR_SA_LARVAL : ITW_ERR_SA_HALF;
}

static itw_status answer(void *ctx, const struct itw_ask *ask, struct itw_answer *out)
{
  const struct itw_xfrm *const x = ctx;
  const itw_status st = itw_keyring_answer(x->ring, ask, out);
  struct itw_sa ignored;

  if (st != ITW_OK || out->kind != ITW_ANS_NONE || (out->why != ITW_ERR_SA_NONE && out->why != ITW_ERR_SA_MISMATCH))
    return st;
  const itw_status why =
      reason(x, &ignored, &ask->local, &ask->remote, out->why == ITW_ERR_SA_MISMATCH ? &ask->sa : NULL);
  if (why != ITW_ERR_SA_NONE) out->why = why;
  return st;
}

struct itw_keys itw_xfrm_keys(itw_xfrm *x)
{
  static const struct itw_keys_ops ops = {.size = sizeof ops, .answer = answer};
  return (struct itw_keys){&ops, x};
}

/* What a Server would be told in one of these modes. */
static itw_status selected(const struct itw_xfrm *x, struct itw_sa *out, uint32_t modes, const struct itw_addr *local,
                           const struct itw_addr *remote)
{
  struct itw_answer a;
  struct itw_ask ask;

  ITW_INIT(ask);
  ITW_INIT(a);
  ask.kind = ITW_ASK_SELECT;
  ask.role = ITW_ROLE_SERVER;
  ask.schemes = ITW_DIRECT;
  ask.modes = modes;
  ask.local = *local;
  ask.remote = *remote;
  const itw_status st = itw_keyring_answer(x->ring, &ask, &a);
  if (st != ITW_OK) return st;
  if (a.kind != ITW_ANS_SA) return a.why;
  *out = a.sa;
  return ITW_OK;
}

itw_status itw_xfrm_find(const itw_xfrm *x, struct itw_sa *out, const struct itw_addr *local,
                         const struct itw_addr *remote)
{
  if (!x || !out || !local || !remote) return ITW_ERR_ARGUMENT;
  if (out->size < sizeof *out) return ITW_ERR_SIZE;
  ITW_INIT(*out);
  const itw_status why = selected(x, out, ITW_MODE_AUTH | ITW_MODE_ENC, local, remote);
  if (why == ITW_OK || selected(x, out, ITW_MODE_OPEN, local, remote) == ITW_OK) return why;
  return reason(x, out, local, remote, NULL);
}
