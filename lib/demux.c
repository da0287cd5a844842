/* SPDX-License-Identifier: BSD-3-Clause */
#include "demux.h"
#include "packet.h"

enum { LOCAL_WILD = 1, REMOTE_WILD = 2 };

uint32_t itwi_demux_heads(uint32_t sessions)
{
  uint32_t n = 2;
  while (n < 2 * sessions) n <<= 1;
  return n;
}

itw_status itwi_demux_init(struct itwi_demux *d, uint32_t *heads, uint32_t n_heads, void *peers, uint32_t stride,
                           struct itwi_random *random)
{
  uint8_t octets[sizeof d->factor];
  const size_t factors = sizeof d->factor / sizeof d->factor[0];
  itw_status s = itwi_random_fill(random, octets, sizeof octets);

  *d = (struct itwi_demux){.heads = heads, .peers = peers, .stride = stride, .shift = 64};
  for (size_t i = 0; i < factors; i++) d->factor[i] = itwi_load64(octets + 8 * i);
  itw_wipe(octets, sizeof octets);
  for (uint32_t n = n_heads; n > 1; n >>= 1) d->shift--;
  for (uint32_t i = 0; i < n_heads; i++) heads[i] = ITWI_NOBODY;
  return s;
}

static struct itwi_peer *peer_at(const struct itwi_demux *d, uint32_t slot)
{
  return (struct itwi_peer *)(void *)(d->peers + (size_t)slot * d->stride);
}

/* The host's order will do: the hash doesn't leave the machine. */
static uint32_t word(const uint8_t *p)
{
  uint32_t w;
  memcpy(&w, p, sizeof w);
  return w;
}

static uint64_t hash_ip(const uint64_t *f, const struct itw_addr *a)
{
  return f[0] * a->family + f[1] * word(a->ip) + f[2] * word(a->ip + 4) + f[3] * word(a->ip + 8) +
         f[4] * word(a->ip + 12);
}

static uint64_t hash_rest(const uint64_t *f, const struct itw_addr *a) { return f[0] * a->port + f[1] * a->scope; }

static uint32_t hash(const struct itwi_demux *d, const struct itw_addr *remote, const struct itw_addr *local,
                     unsigned kind)
{
  const uint64_t *f = d->factor;
  uint64_t h = f[0] + hash_rest(f + 1, local);

  if (!(kind & LOCAL_WILD)) h += hash_ip(f + 3, local);
  if (!(kind & REMOTE_WILD)) h += hash_ip(f + 8, remote) + hash_rest(f + 13, remote);
  return (uint32_t)(h >> d->shift);
}

static bool same_words(const struct itw_addr *a, const struct itw_addr *b)
{
  uint64_t x[3], y[3];

  memcpy(x, a, sizeof x);
  memcpy(y, b, sizeof y);
  return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2])) == 0;
}

/* p is of this kind, and the packet fits it. */
static bool matches(const struct itwi_peer *p, const struct itw_addr *remote, const struct itw_addr *local,
                    unsigned kind)
{
  const bool wild_remote = (kind & REMOTE_WILD) != 0, wild_local = (kind & LOCAL_WILD) != 0;

  if (wild_remote != (p->remote.family == 0) || wild_local != (p->local.family == 0)) return false;
  if (!wild_remote && !same_words(&p->remote, remote)) return false;
  if (!wild_local) return same_words(&p->local, local);
  return p->local.port == local->port && p->local.scope == local->scope;
}

static unsigned kind_of(const struct itwi_peer *p)
{
  return (p->local.family ? 0u : LOCAL_WILD) | (p->remote.family ? 0u : REMOTE_WILD);
}

static uint32_t find(const struct itwi_demux *d, const struct itw_addr *remote, const struct itw_addr *local,
                     unsigned kind)
{
  uint32_t i = d->heads[hash(d, remote, local, kind)];

  while (i != ITWI_NOBODY && !matches(peer_at(d, i), remote, local, kind)) i = peer_at(d, i)->next;
  return i;
}

uint32_t itwi_demux_find(const struct itwi_demux *d, const struct itw_addr *remote, const struct itw_addr *local)
{
  for (unsigned kind = 0; kind < 4; kind++) {
    const uint32_t i = d->kinds[kind] ? find(d, remote, local, kind) : ITWI_NOBODY;
    if (i != ITWI_NOBODY) return i;
  }
  return ITWI_NOBODY;
}

itw_status itwi_demux_add(struct itwi_demux *d, uint32_t slot)
{
  struct itwi_peer *p = peer_at(d, slot);
  const unsigned kind = kind_of(p);
  uint32_t *head;

  if (kind & REMOTE_WILD) memset(&p->remote, 0, sizeof p->remote);
  if (kind & LOCAL_WILD) memset(p->local.ip, 0, sizeof p->local.ip);
  if (find(d, &p->remote, &p->local, kind) != ITWI_NOBODY) return ITW_ERR_COLLISION;
  head = &d->heads[hash(d, &p->remote, &p->local, kind)];
  p->next = *head;
  *head = slot;
  d->kinds[kind]++;
  return ITW_OK;
}

void itwi_demux_remove(struct itwi_demux *d, uint32_t slot)
{
  const struct itwi_peer *p = peer_at(d, slot);
  const unsigned kind = kind_of(p);
  uint32_t *at = &d->heads[hash(d, &p->remote, &p->local, kind)];

  while (*at != slot) at = &peer_at(d, *at)->next;
  *at = p->next;
  d->kinds[kind]--;
}

uint32_t itwi_demux_hint(const struct itwi_demux *d, const struct itw_addr *remote, const struct itw_addr *local)
{
  unsigned kind = 0;
  uint32_t hint;

  while (kind < 3 && !d->kinds[kind]) kind++;
  hint = hash(d, remote, local, kind);
  ITWI_PREFETCH(d->heads + hint);
  return hint;
}

const void *itwi_demux_ahead(const struct itwi_demux *d, uint32_t hint)
{
  const uint32_t i = d->heads[hint];
  return i == ITWI_NOBODY ? NULL : peer_at(d, i);
}
