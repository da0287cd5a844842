/* SPDX-License-Identifier: BSD-3-Clause */
#include "inside.h"

#include <netinet/in.h>
#include <sys/socket.h>

static struct itwi_policy *policy_at(const struct itw_xfrm *x, itwi_place at)
{
  return at ? x->policies + at - 1 : NULL;
}

static itwi_place place_of(const struct itw_xfrm *x, const struct itwi_policy *p)
{
  return (itwi_place)(p - x->policies) + 1;
}

/* ---- what the kernel says ---- */

/* A prefix as a range. */
static void range(struct itw_addr *from, struct itw_addr *to, unsigned prefix)
{
  *to = *from;
  for (unsigned bit = prefix; bit < (from->family == 4 ? 32u : 128u); bit++) {
    const uint8_t mask = (uint8_t)(0x80 >> bit % 8);
    from->ip[bit / 8] = (uint8_t)(from->ip[bit / 8] & ~mask);
    to->ip[bit / 8] |= mask;
  }
}

static void ports(struct itw_addr *from, struct itw_addr *to, uint16_t port, uint16_t mask)
{
  from->port = (uint16_t)(ntohs(port) & ntohs(mask));
  to->port = (uint16_t)(from->port | (uint16_t)~ntohs(mask));
}

static bool selector(struct itw_selector *out, const struct xfrm_selector *sel)
{
  const unsigned bits = sel->family == AF_INET ? 32 : 128;

  ITW_INIT(*out);
  out->local_from = itwi_xfrm_addr(&sel->saddr, sel->family);
  out->remote_from = itwi_xfrm_addr(&sel->daddr, sel->family);
  if (!out->local_from.family || sel->prefixlen_s > bits || sel->prefixlen_d > bits) return false;
  range(&out->local_from, &out->local_to, sel->prefixlen_s);
  range(&out->remote_from, &out->remote_to, sel->prefixlen_d);
  ports(&out->local_from, &out->local_to, sel->sport, sel->sport_mask);
  ports(&out->remote_from, &out->remote_to, sel->dport, sel->dport_mask);
  return sel->proto == 0 || sel->proto == IPPROTO_TCP;
}

/* The template of a tunnel: its ends. */
static const struct xfrm_user_tmpl *tunnel(const struct itwi_xfrm_policy_info *info)
{
  for (uint32_t i = 0; i < info->n; i++) {
    const struct xfrm_user_tmpl *const t = &info->templates[i];
    const bool ours = t->id.proto == IPPROTO_ESP || t->id.proto == IPPROTO_AH;
    if (ours && (t->mode == XFRM_MODE_TUNNEL || t->mode == XFRM_MODE_BEET)) return t;
  }
  return NULL;
}

static bool describe(struct itwi_policy *p, const struct itwi_xfrm_policy_info *info)
{
  const struct xfrm_user_tmpl *const t = tunnel(info);

  if (info->info.dir != XFRM_POLICY_OUT || info->info.action != XFRM_POLICY_ALLOW || !t ||
      !selector(&p->selector, &info->info.sel))
    return false;
  p->src = itwi_xfrm_addr(&t->saddr, t->family);
  p->dst = itwi_xfrm_addr(&t->id.daddr, t->family);
  p->index = info->info.index;
  p->reqid = t->reqid;
  p->if_id = info->if_id;
  p->proto = t->id.proto;
  p->mode = t->mode;
  return p->src.family != 0;
}

/* ---- the table ---- */

static struct itwi_half *next_in(const struct itw_xfrm *x, const struct itwi_policy *p, itwi_place at)
{
  return p->reqid ? itwi_half_of_group(x, &p->src, &p->dst, p->reqid, at) : itwi_half_between(x, &p->src, &p->dst, at);
}

/* To those that it may be for. A template with reqid 0 takes any SA between the ends. */
static void tell_pairs(struct itw_xfrm *x, const struct itwi_policy *p)
{
  for (struct itwi_half *h = next_in(x, p, 0); h; h = next_in(x, p, itwi_half_place(x, h)))
    if (h->pair && itwi_pair_at(x, h->pair)->in == itwi_half_place(x, h)) itwi_pair_select(x, itwi_pair_at(x, h->pair));
}

static itwi_place *chain(const struct itw_xfrm *x, const struct itwi_policy *p)
{
  return &x->by_tunnel[itwi_xfrm_hash_ends(x, &p->src, &p->dst, p->reqid)];
}

static struct itwi_policy *find(const struct itw_xfrm *x, uint32_t index)
{
  struct itwi_policy *p = policy_at(x, x->by_index[itwi_xfrm_hash(x, index)]);
  while (p && p->index != index) p = policy_at(x, p->same_index);
  return p;
}

static void drop(struct itw_xfrm *x, struct itwi_policy *p)
{
  const struct itwi_policy gone = *p;
  itwi_place *index = &x->by_index[itwi_xfrm_hash(x, p->index)], *ends = chain(x, p);

  while (*index != place_of(x, p)) index = &policy_at(x, *index)->same_index;
  while (*ends != place_of(x, p)) ends = &policy_at(x, *ends)->same_ends;
  *index = p->same_index;
  *ends = p->same_ends;
  *p = (struct itwi_policy){.same_ends = x->free_policy};
  x->free_policy = place_of(x, p);
  tell_pairs(x, &gone);
}

static void add(struct itw_xfrm *x, const struct itwi_policy *new)
{
  struct itwi_policy *const p = policy_at(x, x->free_policy);
  itwi_place *const index = &x->by_index[itwi_xfrm_hash(x, new->index)], *const ends = chain(x, new);

  if (!p) {
    itwi_xfrm_full(x);
    return;
  }
  x->free_policy = p->same_ends;
  *p = *new;
  p->same_index = *index;
  p->same_ends = *ends;
  *index = *ends = place_of(x, p);
  tell_pairs(x, p);
}

static bool same(const struct itwi_policy *a, const struct itwi_policy *b)
{
  return memcmp(&a->selector, &b->selector, sizeof a->selector) == 0 && itwi_xfrm_same_ip(&a->src, &b->src) &&
         itwi_xfrm_same_ip(&a->dst, &b->dst) && a->reqid == b->reqid && a->if_id == b->if_id && a->proto == b->proto &&
         a->mode == b->mode;
}

void itwi_policy_put(struct itw_xfrm *x, const struct itwi_xfrm_policy_info *info)
{
  struct itwi_policy new = {.seen = x->reading}, *const there = find(x, info->info.index);
  const bool wanted = describe(&new, info);

  if (there && wanted && same(there, &new)) {
    there->seen = x->reading;
    return;
  }
  if (there) drop(x, there);
  if (wanted) add(x, &new);
}

void itwi_policy_drop(struct itw_xfrm *x, uint32_t index)
{
  struct itwi_policy *const p = find(x, index);
  if (p) drop(x, p);
}

void itwi_policies_sweep(struct itw_xfrm *x, bool unseen)
{
  for (struct itwi_policy *p = x->policies; p < x->policies + x->capacity; p++)
    if (p->proto && (!unseen || p->seen != x->reading)) drop(x, p);
}

static bool leads_into(const struct itwi_policy *p, const struct itwi_half *out)
{
  return itwi_xfrm_same_ip(&p->src, &out->src) && itwi_xfrm_same_ip(&p->dst, &out->dst) && p->proto == out->proto &&
         p->mode == out->mode && p->if_id == out->if_id;
}

const struct itwi_policy *itwi_policy_into(const struct itw_xfrm *x, const struct itwi_half *out, uint32_t reqid,
                                           itwi_place *at)
{
  const struct itwi_policy *p = policy_at(x, *at);

  *at = p ? p->same_ends : x->by_tunnel[itwi_xfrm_hash_ends(x, &out->src, &out->dst, reqid)];
  for (p = policy_at(x, *at); p; p = policy_at(x, *at = p->same_ends))
    if (p->reqid == reqid && leads_into(p, out)) return p;
  return NULL;
}
