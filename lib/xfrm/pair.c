/* SPDX-License-Identifier: BSD-3-Clause */
#include "inside.h"

#include <netinet/in.h>

struct itwi_pair *itwi_pair_at(const struct itw_xfrm *x, itwi_place at) { return at ? x->pairs + at - 1 : NULL; }

static itwi_place place_of(const struct itw_xfrm *x, const struct itwi_pair *p)
{
  return (itwi_place)(p - x->pairs) + 1;
}

/* ---- in the ring ---- */

static struct itw_sa name_of(const struct itwi_half *in, const struct itwi_half *out)
{
  struct itw_sa sa;
  ITW_INIT(sa);
  sa.protocol = in->proto == IPPROTO_AH ? ITW_SA_AH : ITW_SA_ESP;
  sa.spi_i = out->spi;
  sa.spi_r = in->spi;
  return sa;
}

/* The newest is offered: by the kernel's clock, in whole seconds, then by the order of arrival. */
static uint64_t age(const struct itwi_half *in, const struct itwi_half *out)
{
  const uint64_t time = in->add_time > out->add_time ? in->add_time : out->add_time;
  const uint64_t order = in->order > out->order ? in->order : out->order;
  return time << 28 | (order & ((1 << 28) - 1));
}

/* From the end that `in` goes to. */
static itw_status add_way(struct itw_xfrm *x, const struct itwi_half *in, const struct itwi_half *out)
{
  struct itw_child_sa sa;

  ITW_INIT(sa);
  sa.flags = ITW_EITHER_ORDER;
  sa.sa = name_of(in, out);
  sa.local = in->dst;
  sa.peer = in->src;
  sa.schemes = ITW_DIRECT;
  sa.established = age(in, out);
  sa.encr = in->keys.encr;
  sa.encr_len = in->keys.encr_len;
  sa.integ_len = in->keys.integ_len;
  sa.keyless = in->keys.keyless ? in->keys.keyless : out->keys.keyless;
  memcpy(sa.encr_key_i, in->keys.encr_key, sizeof sa.encr_key_i);
  memcpy(sa.integ_key_i, in->keys.integ_key, sizeof sa.integ_key_i);
  memcpy(sa.encr_key_r, out->keys.encr_key, sizeof sa.encr_key_r);
  memcpy(sa.integ_key_r, out->keys.integ_key, sizeof sa.integ_key_r);
  const itw_status st = itw_keyring_add_child(x->ring, &sa);
  itw_wipe(&sa, sizeof sa);
  return st;
}

static void select_by(struct itw_xfrm *x, const struct itw_sa *sa, const struct itwi_half *out, uint32_t reqid)
{
  const struct itwi_policy *p;
  itwi_place at = 0;

  while ((p = itwi_policy_into(x, out, reqid, &at))) {
    if (itw_keyring_add_selector(x->ring, sa, &p->selector) == ITW_OK) continue;
    x->tell_full |= !x->selectors_missed;
    x->selectors_missed = true;
  }
}

/* Policies with the SA's reqid, and those that take any. */
static void select_way(struct itw_xfrm *x, const struct itwi_half *in, const struct itwi_half *out)
{
  const struct itw_sa sa = name_of(in, out);

  if (itw_keyring_clear_selectors(x->ring, &sa) != ITW_OK) return;
  select_by(x, &sa, out, out->reqid);
  if (out->reqid) select_by(x, &sa, out, 0);
}

void itwi_pair_select(struct itw_xfrm *x, const struct itwi_pair *p)
{
  const struct itwi_half *const in = itwi_half_at(x, p->in), *const out = itwi_half_at(x, p->out);
  if (p->stands[0]) select_way(x, in, out);
  if (p->stands[1]) select_way(x, out, in);
}

/* What unauthenticated mode is left with, or ITW_OK. */
static itw_status judge(const struct itwi_half *in, const struct itwi_half *out)
{
  if (in->proto == IPPROTO_AH) return ITW_ERR_SA_AH;
  switch (in->keys.encr) {
  case ITW_ENCR_AEAD: return ITW_ERR_SA_AEAD;
  case ITW_ENCR_NULL: return ITW_ERR_SA_NULL;
  case ITW_ENCR_AES_CBC: return in->keys.keyless ? in->keys.keyless : out->keys.keyless;
  default: return ITW_ERR_SA_CIPHER;
  }
}

/* Both ways round. Those with one and the same SPI have one name, and stand once. */
static itw_status add_ways(struct itw_xfrm *x, struct itwi_pair *p)
{
  const struct itwi_half *const in = itwi_half_at(x, p->in), *const out = itwi_half_at(x, p->out);
  itw_status st;

  if (in->other_traffic || out->other_traffic) return ITW_ERR_SA_UNFIT;
  st = add_way(x, in, out);
  p->stands[0] = st == ITW_OK;
  if (st != ITW_OK || in->spi == out->spi) return st;
  st = add_way(x, out, in);
  p->stands[1] = st == ITW_OK;
  return st;
}

static void remove_ways(struct itw_xfrm *x, struct itwi_pair *p)
{
  struct itw_sa turned = p->sa;

  turned.spi_i = p->sa.spi_r;
  turned.spi_r = p->sa.spi_i;
  if (p->stands[0]) (void)!itw_keyring_remove(x->ring, &p->sa);
  if (p->stands[1]) (void)!itw_keyring_remove(x->ring, &turned);
  p->stands[0] = p->stands[1] = false;
}

static void add_to_ring(struct itw_xfrm *x, struct itwi_pair *p)
{
  const itw_status st = add_ways(x, p);

  if (st == ITW_OK) {
    p->why = judge(itwi_half_at(x, p->in), itwi_half_at(x, p->out));
    itwi_pair_select(x, p);
  } else {
    p->why = st;
    remove_ways(x, p);
  }
  itwi_news_add(x, p, st == ITW_OK ? ITW_SOURCE_UP : ITW_SOURCE_UNFIT);
}

/* ---- which belong together ---- */

/* What the reading under way hasn't found may be gone. */
static bool is_free(const struct itw_xfrm *x, const struct itwi_half *h)
{
  return !h->pair && !h->larval && !h->widowed && h->seen == x->reading;
}

static bool is_alike(const struct itwi_half *a, const struct itwi_half *b)
{
  return a->proto == b->proto && a->mode == b->mode && a->reqid == b->reqid && a->mark == b->mark &&
         a->mark_mask == b->mark_mask && a->if_id == b->if_id;
}

static bool may_pair(const struct itw_xfrm *x, const struct itwi_half *a, const struct itwi_half *b)
{
  return a != b && is_free(x, a) && is_free(x, b) && is_alike(a, b) && itwi_xfrm_same_ip(&a->src, &b->dst) &&
         itwi_xfrm_same_ip(&a->dst, &b->src) && a->keys.encr == b->keys.encr && a->keys.encr_len == b->keys.encr_len &&
         a->keys.integ_len == b->keys.integ_len;
}

static uint64_t apart(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

/* Of two that are as near, the older one: then old ones find each other first. */
static bool closer(const struct itwi_half *to, const struct itwi_half *a, const struct itwi_half *b)
{
  const uint64_t time_a = apart(to->add_time, a->add_time), time_b = apart(to->add_time, b->add_time);
  const uint64_t order_a = apart(to->order, a->order), order_b = apart(to->order, b->order);

  if (time_a != time_b) return time_a < time_b;
  return order_a != order_b ? order_a < order_b : a->order < b->order;
}

static struct itwi_half *next_of(const struct itw_xfrm *x, const struct itwi_half *of, const struct itwi_half *h)
{
  return itwi_half_of_group(x, &of->src, &of->dst, of->reqid, h ? itwi_half_place(x, h) : 0);
}

/* Of those that it might be paired with, the one that was made at the time nearest to its own. */
static struct itwi_half *nearest(const struct itw_xfrm *x, const struct itwi_half *to)
{
  struct itwi_half *best = NULL;
  for (struct itwi_half *h = next_of(x, to, NULL); h; h = next_of(x, to, h))
    if (may_pair(x, to, h) && (!best || closer(to, h, best))) best = h;
  return best;
}

/* A guess: the one with the larger replay window; IKE daemons make it first. */
static bool is_inbound(const struct itwi_half *h, const struct itwi_half *other)
{
  return h->window != other->window ? h->window > other->window : h->order < other->order;
}

static void make_pair(struct itw_xfrm *x, struct itwi_half *a, struct itwi_half *b)
{
  struct itwi_half *const in = is_inbound(a, b) ? a : b, *const out = in == a ? b : a;

  if (!x->free_pair) itwi_news_forget(x);
  struct itwi_pair *const p = itwi_pair_at(x, x->free_pair); /* there are twice as many as can be alive */
  x->free_pair = p->next;
  *p = (struct itwi_pair){
      .in = itwi_half_place(x, in), .out = itwi_half_place(x, out), .local = in->dst, .remote = in->src};
  p->sa = name_of(in, out);
  in->pair = out->pair = place_of(x, p);
  x->n_pairs++;
  add_to_ring(x, p);
}

/* Only those that are nearest to each other: while a rekey is on its way an old SA may wait beside a new one for a partner
   that is yet to come. */
static bool match_one(struct itw_xfrm *x, struct itwi_half *h)
{
  struct itwi_half *const other = is_free(x, h) ? nearest(x, h) : NULL;
  if (!other || nearest(x, other) != h) return false;
  make_pair(x, h, other);
  return true;
}

static bool match_any(struct itw_xfrm *x, const struct itwi_half *of)
{
  for (struct itwi_half *h = next_of(x, of, NULL); h; h = next_of(x, of, h))
    if (match_one(x, h)) return true;
  return false;
}

/* A half that finds no partner changes nothing for the others; a pair may, for those that had one of the two in mind. */
void itwi_pair_match(struct itw_xfrm *x, struct itwi_half *h)
{
  if (!match_one(x, h)) return;
  while (match_any(x, h)) continue;
}

void itwi_pair_match_all(struct itw_xfrm *x)
{
  for (struct itwi_half *h = x->halves; h < x->halves + x->capacity; h++)
    if (h->proto && is_free(x, h)) itwi_pair_match(x, h);
}

enum { STEPS = 2 };

void itwi_pair_relent(struct itw_xfrm *x)
{
  x->widows = false;
  for (struct itwi_half *h = x->halves; h < x->halves + x->capacity; h++) {
    if (h->widowed) h->widowed--;
    if (h->widowed) x->widows = true;
  }
  itwi_pair_match_all(x);
}

/* ---- its end ---- */

/* The newest pair that has taken its place. */
static const struct itwi_pair *heir(const struct itw_xfrm *x, const struct itwi_pair *of)
{
  const struct itwi_half *const old = itwi_half_at(x, of->in);
  const struct itwi_half *best = NULL;

  for (const struct itwi_half *h = next_of(x, old, NULL); h; h = next_of(x, old, h))
    if (h->pair && h->pair != old->pair && itwi_xfrm_same_ip(&h->src, &old->src) && is_alike(h, old) &&
        itwi_half_is_newer(h, old) && (!best || itwi_half_is_newer(h, best)))
      best = h;
  return best ? itwi_pair_at(x, best->pair) : NULL;
}

void itwi_pair_break(struct itw_xfrm *x, struct itwi_pair *p)
{
  const struct itwi_pair *const next = heir(x, p);

  remove_ways(x, p);
  itwi_half_at(x, p->in)->pair = itwi_half_at(x, p->out)->pair = 0;
  itwi_half_at(x, p->in)->widowed = itwi_half_at(x, p->out)->widowed = STEPS;
  x->widows = true;
  p->in = p->out = 0;
  x->n_pairs--;
  if (next) p->by = next->sa;
  itwi_news_add(x, p, next ? ITW_SOURCE_REKEYED : ITW_SOURCE_GONE);
}
