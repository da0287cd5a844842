/* SPDX-License-Identifier: BSD-3-Clause */
#include "keyring.h"

/* Hashes are without a key: of each pair of SPIs one is chosen here, addresses come from configuration or an authenticated
   peer, and who fills a chain on purpose has paid for each link with an SA. */

struct itwi_key *itwi_ring_key(const struct itw_keyring *ring, itwi_place at) { return at ? ring->keys + at - 1 : NULL; }

struct itwi_material *itwi_ring_material(const struct itw_keyring *ring, const struct itwi_key *k)
{
  return ring->materials + (k - ring->keys);
}

struct itwi_selector *itwi_ring_selector(const struct itw_keyring *ring, itwi_place at)
{
  return at ? ring->selectors + at - 1 : NULL;
}

/* ---- hashes ---- */

static uint32_t head(const struct itw_keyring *ring, uint64_t h)
{
  return (uint32_t)((h * UINT64_C(0x9e3779b97f4a7c15)) >> ring->shift); /* Fibonacci hashing: the high bits are the good ones */
}

static uint64_t hash_octets(const uint8_t *p, size_t n)
{
  uint64_t h = n;
  for (size_t i = 0; i < n; i++) h = h * UINT64_C(0x100000001b3) + p[i];
  return h;
}

/* The same for either order, and for the low 32 bits alone, which are all that a greeting has. */
static uint64_t hash_spis(uint32_t protocol, uint64_t a, uint64_t b)
{
  return (uint64_t)(uint32_t)a + (uint32_t)b + ((uint64_t)protocol << 40);
}

static unsigned all_bits(const struct itw_addr *a) { return a->family == 4 ? 32 : 128; }

static uint64_t hash_ip(const struct itw_addr *a) { return hash_octets(a->ip, sizeof a->ip) + a->family; }

itwi_place *itwi_ring_name(const struct itw_keyring *ring, const struct itwi_key *k, const uint8_t *key_id)
{
  const uint64_t h = k->protocol ? hash_spis(k->protocol, k->spi_i, k->spi_r) : hash_octets(key_id, k->key_id_len);
  return ring->by_name + head(ring, h);
}

itwi_place *itwi_ring_peer(struct itw_keyring *ring, const struct itwi_key *k)
{
  const bool one = k->peer.family && k->prefix == all_bits(&k->peer);
  return one ? ring->by_peer + head(ring, hash_ip(&k->peer)) : &ring->wide_keys;
}

static unsigned bit(const struct itw_addr *a, unsigned n) { return a->ip[n / 8] >> (7 - n % 8) & 1; }

enum { NO_PREFIX = ITWI_PREFIX_MAX + 1 };

/* How many bits the prefix has that a range is. */
static unsigned prefix_of(const struct itw_addr *from, const struct itw_addr *to)
{
  const unsigned all = all_bits(from);
  unsigned n = 0;

  while (n < all && bit(from, n) == bit(to, n)) n++;
  for (unsigned i = n; i < all; i++)
    if (bit(from, i) || !bit(to, i)) return NO_PREFIX;
  return n;
}

static uint64_t hash_prefix(const struct itw_addr *a, unsigned bits)
{
  struct itw_addr prefix = {.family = a->family};

  memcpy(prefix.ip, a->ip, (bits + 7) / 8);
  if (bits % 8) prefix.ip[bits / 8] = (uint8_t)(prefix.ip[bits / 8] & 0xff00 >> bits % 8);
  return hash_ip(&prefix) + bits;
}

static unsigned family_of(const struct itw_addr *a) { return a->family == 6; }

itwi_place *itwi_ring_remote(struct itw_keyring *ring, const struct itwi_selector *s)
{
  const unsigned bits = prefix_of(&s->remote_from, &s->remote_to);

  if (bits == NO_PREFIX) return &ring->wide_selectors;
  ring->lengths[family_of(&s->remote_from)][bits / 64] |= UINT64_C(1) << bits % 64;
  return ring->by_remote + head(ring, hash_prefix(&s->remote_from, bits));
}

/* The next length of prefixes that there are, from `bits` on. */
static unsigned next_length(const struct itw_keyring *ring, unsigned family, unsigned bits)
{
  while (bits <= ITWI_PREFIX_MAX) {
    uint64_t left = ring->lengths[family][bits / 64] >> bits % 64;
    if (!left) {
      bits = (bits / 64 + 1) * 64;
      continue;
    }
    for (; !(left & 1); left >>= 1) bits++;
    return bits;
  }
  return NO_PREFIX;
}

/* ---- by name ---- */

struct itwi_key *itwi_ring_find_psk(const struct itw_keyring *ring, const uint8_t *key_id, size_t len)
{
  const struct itwi_key name = {.key_id_len = (uint8_t)len};

  if (len > sizeof ring->materials->key_id) return NULL;
  for (struct itwi_key *k = itwi_ring_key(ring, *itwi_ring_name(ring, &name, key_id)); k;
       k = itwi_ring_key(ring, k->same_name))
    if (!k->protocol && k->key_id_len == len && memcmp(itwi_ring_material(ring, k)->key_id, key_id, len) == 0) return k;
  return NULL;
}

const struct itwi_key *itwi_ring_named(const struct itw_keyring *ring, const struct itw_sa *sa, struct itwi_walk *w)
{
  const struct itwi_key name = {.protocol = sa->protocol, .spi_i = sa->spi_i, .spi_r = sa->spi_r};

  if (!sa->protocol) return NULL;
  w->at = w->stage++ ? itwi_ring_key(ring, w->at)->same_name : *itwi_ring_name(ring, &name, NULL);
  while (w->at && itwi_ring_key(ring, w->at)->protocol != sa->protocol) w->at = itwi_ring_key(ring, w->at)->same_name;
  return itwi_ring_key(ring, w->at);
}

struct itwi_key *itwi_ring_find_sa(const struct itw_keyring *ring, const struct itw_sa *sa)
{
  struct itwi_walk w = {0};
  const struct itwi_key *k;

  while ((k = itwi_ring_named(ring, sa, &w)))
    if (k->spi_i == sa->spi_i && k->spi_r == sa->spi_r) return ring->keys + (k - ring->keys);
  return NULL;
}

/* ---- by the ends of a connection ---- */

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
  const unsigned whole = bits / 8, rest = bits % 8;
  if (memcmp(a, b, whole) != 0) return false;
  return !rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool is_end(const struct itw_addr *end, const struct itw_addr *a, unsigned bits)
{
  return end->family == a->family && end->scope == a->scope && same_bits(end->ip, a->ip, bits);
}

/* Port 0 of a connection: any. */
static bool within(const struct itw_addr *from, const struct itw_addr *to, const struct itw_addr *a)
{
  return from->family == a->family && from->scope == a->scope && memcmp(from->ip, a->ip, sizeof a->ip) <= 0 &&
         memcmp(a->ip, to->ip, sizeof a->ip) <= 0 && (!a->port || (from->port <= a->port && a->port <= to->port));
}

static bool is_covered(const struct itw_keyring *ring, const struct itwi_key *k, const struct itw_ask *ask)
{
  for (const struct itwi_selector *s = itwi_ring_selector(ring, k->selectors); s; s = itwi_ring_selector(ring, s->of_key))
    if (within(&s->local_from, &s->local_to, &ask->local) && within(&s->remote_from, &s->remote_to, &ask->remote))
      return true;
  return false;
}

int itwi_ring_closeness(const struct itw_keyring *ring, const struct itwi_key *k, const struct itw_ask *ask)
{
  const bool ours = !k->local.family || is_end(&k->local, &ask->local, all_bits(&k->local));
  const bool theirs = !k->peer.family || is_end(&k->peer, &ask->remote, k->prefix);
  const bool prefixed = !k->peer.family || k->prefix < all_bits(&k->peer);

  if (ours && theirs && !prefixed) return ITWI_ENDPOINT;
  if (is_covered(ring, k, ask)) return ITWI_COVERED;
  return ours && theirs ? k->prefix : ITWI_FAR;
}

/* The chains that a candidate may be in. */
enum { PEER = 1, WIDE, RANGES, PREFIXES, NO_MORE = PREFIXES + NO_PREFIX };

static itwi_place first_of(const struct itw_keyring *ring, const struct itw_ask *ask, uint32_t stage)
{
  switch (stage) {
  case PEER: return ring->by_peer[head(ring, hash_ip(&ask->remote))];
  case WIDE: return ring->wide_keys;
  case RANGES: return ring->wide_selectors;
  default: return ring->by_remote[head(ring, hash_prefix(&ask->remote, stage - PREFIXES))];
  }
}

static uint32_t stage_after(const struct itw_keyring *ring, const struct itw_ask *ask, uint32_t stage)
{
  if (stage < RANGES) return stage + 1;
  return PREFIXES + next_length(ring, family_of(&ask->remote), stage == RANGES ? 0 : stage - PREFIXES + 1);
}

const struct itwi_key *itwi_ring_near(const struct itw_keyring *ring, const struct itw_ask *ask, struct itwi_walk *w)
{
  if (w->at) w->at = w->stage < RANGES ? itwi_ring_key(ring, w->at)->same_peer : itwi_ring_selector(ring, w->at)->same_remote;
  while (!w->at && w->stage < NO_MORE) {
    w->stage = stage_after(ring, ask, w->stage);
    if (w->stage < NO_MORE) w->at = first_of(ring, ask, w->stage);
  }
  if (!w->at) return NULL;
  return itwi_ring_key(ring, w->stage < RANGES ? w->at : itwi_ring_selector(ring, w->at)->key);
}
