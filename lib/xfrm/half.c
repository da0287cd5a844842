/* SPDX-License-Identifier: BSD-3-Clause */
#include "inside.h"

#include <netinet/in.h>

/* ---- places ---- */

struct itwi_half *itwi_half_at(const struct itw_xfrm *x, itwi_place at) { return at ? x->halves + at - 1 : NULL; }

itwi_place itwi_half_place(const struct itw_xfrm *x, const struct itwi_half *h)
{
  return (itwi_place)(h - x->halves) + 1;
}

/* Without a key: who fills a chain on purpose may make SAs in this kernel. */
uint32_t itwi_xfrm_hash(const struct itw_xfrm *x, uint64_t h)
{
  return (uint32_t)((h * UINT64_C(0x9e3779b97f4a7c15)) >> x->shift);
}

static uint64_t mix_ip(const struct itw_addr *a)
{
  uint64_t word[2];
  memcpy(word, a->ip, sizeof word);
  return (word[0] ^ word[0] >> 29) * UINT64_C(0xbf58476d1ce4e5b9) +
         (word[1] ^ word[1] >> 31) * UINT64_C(0x94d049bb133111eb);
}

uint32_t itwi_xfrm_hash_ends(const struct itw_xfrm *x, const struct itw_addr *a, const struct itw_addr *b,
                             uint32_t reqid)
{
  return itwi_xfrm_hash(x, mix_ip(a) + mix_ip(b) + reqid * UINT64_C(0xff51afd7ed558ccd));
}

static uint32_t hash_id(const struct itw_xfrm *x, const struct itw_addr *dst, uint32_t spi, uint8_t proto)
{
  return itwi_xfrm_hash(x, mix_ip(dst) + spi + ((uint64_t)proto << 32));
}

bool itwi_xfrm_same_ip(const struct itw_addr *a, const struct itw_addr *b)
{
  return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

/* ---- finding ---- */

struct itwi_half *itwi_half_find(const struct itw_xfrm *x, const struct itw_addr *dst, uint32_t spi, uint8_t proto)
{
  for (struct itwi_half *h = itwi_half_at(x, x->by_id[hash_id(x, dst, spi, proto)]); h; h = itwi_half_at(x, h->same_id))
    if (h->spi == spi && h->proto == proto && itwi_xfrm_same_ip(&h->dst, dst)) return h;
  return NULL;
}

static bool is_between(const struct itwi_half *h, const struct itw_addr *a, const struct itw_addr *b)
{
  return (itwi_xfrm_same_ip(&h->src, a) && itwi_xfrm_same_ip(&h->dst, b)) ||
         (itwi_xfrm_same_ip(&h->src, b) && itwi_xfrm_same_ip(&h->dst, a));
}

struct itwi_half *itwi_half_between(const struct itw_xfrm *x, const struct itw_addr *a, const struct itw_addr *b,
                                    itwi_place at)
{
  struct itwi_half *h =
      itwi_half_at(x, at ? itwi_half_at(x, at)->same_ends : x->by_ends[itwi_xfrm_hash_ends(x, a, b, 0)]);
  while (h && !is_between(h, a, b)) h = itwi_half_at(x, h->same_ends);
  return h;
}

struct itwi_half *itwi_half_of_group(const struct itw_xfrm *x, const struct itw_addr *a, const struct itw_addr *b,
                                     uint32_t reqid, itwi_place at)
{
  struct itwi_half *h =
      itwi_half_at(x, at ? itwi_half_at(x, at)->same_group : x->by_group[itwi_xfrm_hash_ends(x, a, b, reqid)]);
  while (h && (h->reqid != reqid || !is_between(h, a, b))) h = itwi_half_at(x, h->same_group);
  return h;
}

bool itwi_half_is_newer(const struct itwi_half *a, const struct itwi_half *b)
{
  return a->add_time != b->add_time ? a->add_time > b->add_time : a->order > b->order;
}

/* ---- what its algorithms are ---- */

static const struct {
  const char *name;
  uint32_t encr;
} ciphers[] = {
    {"cbc(aes)", ITW_ENCR_AES_CBC},          {"aes", ITW_ENCR_AES_CBC},
    {"ecb(cipher_null)", ITW_ENCR_NULL},     {"cipher_null", ITW_ENCR_NULL},
    {"rfc3686(ctr(aes))", ITW_ENCR_AES_CTR},
};

static uint32_t cipher(const char *name)
{
  for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++)
    if (!strcmp(ciphers[i].name, name)) return ciphers[i].encr;
  return ITW_ENCR_OTHER;
}

static bool is_zero(const uint8_t *p, size_t n)
{
  uint8_t bits = 0;
  for (size_t i = 0; i < n; i++) bits = (uint8_t)(bits | p[i]);
  return bits == 0;
}

/* A key of zeros is one that the kernel doesn't show (lockdown). One that is too long keeps the length that there is room
   for: an SA isn't without a key because of it. */
static uint16_t take_key(struct itwi_xfrm_keys *k, uint8_t *out, size_t room, const struct itwi_xfrm_alg *alg)
{
  const size_t len = alg->key_bits / 8;

  if (len && is_zero(alg->key, len)) k->keyless = ITW_ERR_SA_REDACTED;
  if (len > room) {
    k->keyless = ITW_ERR_SA_KEYS;
    return (uint16_t)room;
  }
  memcpy(out, alg->key, len);
  return (uint16_t)len;
}

static void take_keys(struct itwi_xfrm_keys *k, const struct itwi_xfrm_sa *sa)
{
  const struct itwi_xfrm_alg *const auth = sa->trunc.name[0] ? &sa->trunc : &sa->auth;
  const bool hashes = auth->name[0] && strcmp(auth->name, "digest_null") != 0;

  itw_wipe(k, sizeof *k);
  if (hashes) k->integ_len = take_key(k, k->integ_key, sizeof k->integ_key, auth);
  if (sa->info.id.proto == IPPROTO_AH) {
    k->encr = ITW_ENCR_NONE;
  } else if (sa->aead.name[0]) {
    k->encr = ITW_ENCR_AEAD;
  } else {
    k->encr = cipher(sa->crypt.name);
    if (k->encr == ITW_ENCR_AES_CBC) k->encr_len = take_key(k, k->encr_key, sizeof k->encr_key, &sa->crypt);
  }
}

/* IKE hasn't finished: an SPI is taken, nothing more is known. */
static bool is_larval(const struct itwi_xfrm_sa *sa)
{
  return !sa->auth.name[0] && !sa->trunc.name[0] && !sa->crypt.name[0] && !sa->aead.name[0];
}

static uint32_t window(const struct itwi_xfrm_sa *sa)
{
  return sa->has_esn_state ? sa->esn.replay_window : sa->info.replay_window;
}

/* A transport-mode SA's own selector may be for other traffic than ours, which begins with TCP. */
static bool is_for_others(const struct itwi_xfrm_sa *sa)
{
  return sa->info.sel.proto && sa->info.sel.proto != IPPROTO_TCP;
}

/* ---- adding ---- */

/* While all are told, the newest come first. */
static uint64_t next_order(struct itw_xfrm *x, bool told) { return told ? --x->oldest : ++x->order; }

static void describe(struct itwi_half *h, const struct itwi_xfrm_sa *sa)
{
  h->src = itwi_xfrm_addr(&sa->info.saddr, sa->info.family);
  h->dst = itwi_xfrm_addr(&sa->info.id.daddr, sa->info.family);
  h->spi = ntohl(sa->info.id.spi);
  h->proto = sa->info.id.proto;
  h->mode = sa->info.mode;
  h->reqid = sa->info.reqid;
  h->mark = sa->mark.v;
  h->mark_mask = sa->mark.m;
  h->if_id = sa->if_id;
  h->add_time = sa->info.curlft.add_time;
  h->larval = is_larval(sa);
  h->window = window(sa);
  h->other_traffic = is_for_others(sa);
  take_keys(&h->keys, sa);
}

static void link_half(struct itw_xfrm *x, struct itwi_half *h)
{
  itwi_place *const id = &x->by_id[hash_id(x, &h->dst, h->spi, h->proto)];
  itwi_place *const group = &x->by_group[itwi_xfrm_hash_ends(x, &h->src, &h->dst, h->reqid)];
  itwi_place *const ends = &x->by_ends[itwi_xfrm_hash_ends(x, &h->src, &h->dst, 0)];

  h->same_id = *id;
  h->same_group = *group;
  h->same_ends = *ends;
  h->before = 0;
  if (*ends) itwi_half_at(x, *ends)->before = itwi_half_place(x, h);
  *id = *group = *ends = itwi_half_place(x, h);
  x->n_halves++;
}

static void unlink_half(struct itw_xfrm *x, const struct itwi_half *h)
{
  itwi_place *id = &x->by_id[hash_id(x, &h->dst, h->spi, h->proto)];
  itwi_place *group = &x->by_group[itwi_xfrm_hash_ends(x, &h->src, &h->dst, h->reqid)];
  itwi_place *const ends = &x->by_ends[itwi_xfrm_hash_ends(x, &h->src, &h->dst, 0)];

  while (*id != itwi_half_place(x, h)) id = &itwi_half_at(x, *id)->same_id;
  while (*group != itwi_half_place(x, h)) group = &itwi_half_at(x, *group)->same_group;
  *id = h->same_id;
  *group = h->same_group;
  *(h->before ? &itwi_half_at(x, h->before)->same_ends : ends) = h->same_ends; /* thousands between two gateways */
  if (h->same_ends) itwi_half_at(x, h->same_ends)->before = h->before;
  x->n_halves--;
}

static bool same_sa(const struct itwi_half *a, const struct itwi_half *b)
{
  return itwi_xfrm_same_ip(&a->src, &b->src) && a->mode == b->mode && a->reqid == b->reqid && a->mark == b->mark &&
         a->mark_mask == b->mark_mask && a->if_id == b->if_id && a->larval == b->larval &&
         memcmp(&a->keys, &b->keys, sizeof a->keys) == 0;
}

/* What was told again, perhaps with new lifetimes: nothing to do. */
static bool is_known(struct itwi_half *h, const struct itwi_xfrm_sa *sa)
{
  struct itwi_half again = {0};
  describe(&again, sa);
  const bool same = same_sa(h, &again);
  itw_wipe(&again, sizeof again);
  return same;
}

static bool is_ours(const struct itwi_xfrm_sa *sa)
{
  const uint8_t proto = sa->info.id.proto;
  const struct itw_addr dst = itwi_xfrm_addr(&sa->info.id.daddr, sa->info.family);
  return (proto == IPPROTO_ESP || proto == IPPROTO_AH) && dst.family && sa->info.id.spi;
}

/* A reading tells what was at its time; a notification that came during it may be newer. */
static bool is_stale(const struct itw_xfrm *x, const struct itwi_half *there, bool told)
{
  return told && there->noted == x->reading;
}

/* Seen, or noted. */
static struct itwi_half *mark(const struct itw_xfrm *x, struct itwi_half *h, bool told)
{
  h->seen = x->reading;
  if (!told) h->noted = x->reading;
  return h;
}

static struct itwi_half *add(struct itw_xfrm *x, const struct itwi_xfrm_sa *sa, bool told)
{
  struct itwi_half *const h = itwi_half_at(x, x->free_half);
  if (!h) {
    itwi_xfrm_full(x);
    return NULL;
  }
  x->free_half = h->same_ends;
  describe(h, sa);
  h->order = next_order(x, told);
  link_half(x, h);
  return mark(x, h, told);
}

/* The other half of its pair may be paired with what comes in its place. */
static void make_way(struct itw_xfrm *x, struct itwi_half *h)
{
  const struct itwi_pair *const p = itwi_pair_at(x, h->pair);
  struct itwi_half *const other = p ? itwi_half_at(x, itwi_half_at(x, p->in) == h ? p->out : p->in) : NULL;

  itwi_half_drop(x, h);
  if (other) other->widowed = 0;
}

struct itwi_half *itwi_half_put(struct itw_xfrm *x, const struct itwi_xfrm_sa *sa, bool told)
{
  const struct itw_addr dst = itwi_xfrm_addr(&sa->info.id.daddr, sa->info.family);

  if (!is_ours(sa)) return NULL;
  struct itwi_half *const h = itwi_half_find(x, &dst, ntohl(sa->info.id.spi), sa->info.id.proto);
  if (h && (is_stale(x, h, told) || is_known(h, sa))) return mark(x, h, told);
  if (h) make_way(x, h);
  return add(x, sa, told);
}

void itwi_half_drop(struct itw_xfrm *x, struct itwi_half *h)
{
  if (h->pair) itwi_pair_break(x, itwi_pair_at(x, h->pair));
  unlink_half(x, h);
  itw_wipe(h, sizeof *h);
  h->same_ends = x->free_half;
  x->free_half = itwi_half_place(x, h);
}

void itwi_halves_sweep(struct itw_xfrm *x, uint8_t proto, bool unseen)
{
  for (struct itwi_half *h = x->halves; h < x->halves + x->capacity; h++)
    if (h->proto && (!proto || h->proto == proto) && (!unseen || h->seen != x->reading)) itwi_half_drop(x, h);
}
