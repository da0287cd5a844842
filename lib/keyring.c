/* SPDX-License-Identifier: BSD-3-Clause */
#include "keyring.h"

enum {
  CAPACITY_MAX = 1 << 20,
  ALIGN = sizeof(uint64_t),
  HEAD = (sizeof(struct itw_keyring) + ALIGN - 1) / ALIGN * ALIGN,
  CHAINS = 3,
  KEY_SIZE = sizeof(struct itwi_key) + sizeof(struct itwi_material) + ITWI_SELECTORS_PER_KEY * sizeof(struct itwi_selector),
};
_Static_assert(HEAD + CHAINS * 2 * sizeof(itwi_place) <= 256 && KEY_SIZE + CHAINS * 2 * sizeof(itwi_place) <= 1024,
               "ITW_KEYRING_BOUND");
_Static_assert(sizeof(struct itwi_key) % ALIGN == 0 && sizeof(struct itwi_selector) % ALIGN == 0 &&
                 sizeof(struct itwi_material) % sizeof(itwi_place) == 0,
               "the arrays stand one behind the other");

/* ---- its life ---- */

/* Heads of each kind of chain: a power of two, above half the capacity and below twice. */
static uint32_t heads(uint32_t capacity)
{
  uint32_t n = 2;
  while (n < capacity) n <<= 1;
  return n;
}

size_t itw_keyring_size(uint32_t capacity)
{
  if (capacity == 0 || capacity > CAPACITY_MAX) return 0;
  return HEAD + (size_t)capacity * KEY_SIZE + CHAINS * heads(capacity) * sizeof(itwi_place);
}

static void lay_out(struct itw_keyring *ring, uint32_t capacity)
{
  const uint32_t n = heads(capacity);

  ring->capacity = capacity;
  ring->keys = (void *)((uint8_t *)ring + HEAD);
  ring->selectors = (void *)(ring->keys + capacity);
  ring->materials = (void *)(ring->selectors + ITWI_SELECTORS_PER_KEY * capacity);
  ring->by_name = (void *)(ring->materials + capacity);
  ring->by_peer = ring->by_name + n;
  ring->by_remote = ring->by_peer + n;
  ring->shift = 64;
  for (uint32_t bits = n; bits > 1; bits >>= 1) ring->shift--;
  for (uint32_t i = 1; i < capacity; i++) ring->keys[i - 1].same_peer = i + 1;
  for (uint32_t i = 1; i < ITWI_SELECTORS_PER_KEY * capacity; i++) ring->selectors[i - 1].of_key = i + 1;
  ring->free_keys = ring->free_selectors = 1;
}

itw_status itw_keyring_init(itw_keyring **out, void *memory, size_t len, uint32_t capacity, const void *crypto)
{
  const size_t size = itw_keyring_size(capacity);
  if (!out || !memory || !size || (uintptr_t)memory % ALIGN) return ITW_ERR_ARGUMENT;
  if (len < size) return ITW_ERR_TOO_SMALL;

  memset(memory, 0, size);
  struct itw_keyring *ring = memory;
  ring->crypto = crypto;
  lay_out(ring, capacity);
  *out = ring;
  return ITW_OK;
}

itw_status itw_keyring_new(itw_keyring **out, uint32_t capacity, const void *crypto)
{
  const size_t size = itw_keyring_size(capacity);
  if (!out || !size) return ITW_ERR_ARGUMENT;
  void *memory = itwi_guarded_new(size);
  if (!memory) return ITW_ERR_MEMORY;

  const itw_status status = itw_keyring_init(out, memory, size, capacity, crypto);
  if (status)
    itwi_guarded_free(memory, size);
  else
    (*out)->guarded = true;
  return status;
}

void itw_keyring_free(itw_keyring *ring)
{
  if (!ring) return;
  const size_t size = itw_keyring_size(ring->capacity);
  if (ring->guarded)
    itwi_guarded_free(ring, size);
  else
    itw_wipe(ring, size);
}

/* ---- chains ---- */

static itwi_place place_of(const struct itw_keyring *ring, const struct itwi_key *k)
{
  return (itwi_place)(k - ring->keys) + 1;
}

static void unlink_name(struct itw_keyring *ring, const struct itwi_key *k)
{
  itwi_place *at = itwi_ring_name(ring, k, itwi_ring_material(ring, k)->key_id);
  while (*at != place_of(ring, k)) at = &itwi_ring_key(ring, *at)->same_name;
  *at = k->same_name;
}

static void unlink_peer(struct itw_keyring *ring, const struct itwi_key *k)
{
  itwi_place *const at = k->before ? &itwi_ring_key(ring, k->before)->same_peer : itwi_ring_peer(ring, k);
  *at = k->same_peer;
  if (k->same_peer) itwi_ring_key(ring, k->same_peer)->before = k->before;
}

static void link_peer(struct itw_keyring *ring, struct itwi_key *k)
{
  itwi_place *const first = itwi_ring_peer(ring, k);
  k->before = 0;
  k->same_peer = *first;
  if (*first) itwi_ring_key(ring, *first)->before = place_of(ring, k);
  *first = place_of(ring, k);
}

/* The chain of retired ones goes from the oldest to the newest. */
static void link_retired(struct itw_keyring *ring, struct itwi_key *k)
{
  k->retired = 1;
  k->same_peer = 0;
  if (ring->oldest_retired)
    itwi_ring_key(ring, ring->newest_retired)->same_peer = place_of(ring, k);
  else
    ring->oldest_retired = place_of(ring, k);
  ring->newest_retired = place_of(ring, k);
}

static void unlink_retired(struct itw_keyring *ring, const struct itwi_key *k)
{
  itwi_place *at = &ring->oldest_retired, before = 0;
  while (*at != place_of(ring, k)) {
    before = *at;
    at = &itwi_ring_key(ring, *at)->same_peer;
  }
  *at = k->same_peer;
  if (ring->newest_retired == place_of(ring, k)) ring->newest_retired = before;
}

static void unlink_remote(struct itw_keyring *ring, itwi_place place)
{
  struct itwi_selector *const s = itwi_ring_selector(ring, place);
  itwi_place *const at = s->before ? &itwi_ring_selector(ring, s->before)->same_remote : itwi_ring_remote(ring, s);
  *at = s->same_remote;
  if (s->same_remote) itwi_ring_selector(ring, s->same_remote)->before = s->before;
}

static void link_remote(struct itw_keyring *ring, itwi_place place)
{
  struct itwi_selector *const s = itwi_ring_selector(ring, place);
  itwi_place *const first = itwi_ring_remote(ring, s);
  s->before = 0;
  s->same_remote = *first;
  if (*first) itwi_ring_selector(ring, *first)->before = place;
  *first = place;
}

static void drop_selectors(struct itw_keyring *ring, struct itwi_key *k)
{
  while (k->selectors) {
    const itwi_place place = k->selectors;
    struct itwi_selector *const s = itwi_ring_selector(ring, place);
    unlink_remote(ring, place);
    k->selectors = s->of_key;
    *s = (struct itwi_selector){.of_key = ring->free_selectors};
    ring->free_selectors = place;
  }
}

static void drop(struct itw_keyring *ring, struct itwi_key *k)
{
  unlink_name(ring, k);
  if (k->retired)
    unlink_retired(ring, k);
  else if (k->protocol)
    unlink_peer(ring, k);
  drop_selectors(ring, k);
  itw_wipe(itwi_ring_material(ring, k), sizeof(struct itwi_material));
  *k = (struct itwi_key){.same_peer = ring->free_keys};
  ring->free_keys = place_of(ring, k);
}

/* Takes a free place for a key whose KeyID or SPIs are in it, and links it; its octets are the caller's to fill. */
static struct itwi_key *take(struct itw_keyring *ring, const struct itwi_key *new, const uint8_t *key_id)
{
  struct itwi_key *const k = itwi_ring_key(ring, ring->free_keys);
  const itwi_place next = k->same_peer;
  itwi_place *const name = itwi_ring_name(ring, new, key_id);

  *k = *new;
  k->same_name = *name;
  *name = place_of(ring, k);
  if (k->protocol) link_peer(ring, k);
  ring->free_keys = next;
  return k;
}

/* Retired SAs make room for new ones. */
static bool has_room(const struct itw_keyring *ring) { return ring->free_keys || ring->oldest_retired; }

static void make_room(struct itw_keyring *ring)
{
  if (!ring->free_keys) drop(ring, itwi_ring_key(ring, ring->oldest_retired));
}

/* ---- adding and removing ---- */

/* Everything about a new SA but its octets. Its SPIs may be those of a retired one. */
static itw_status check_new(const struct itw_keyring *ring, const struct itwi_key *k)
{
  const struct itw_sa sa = {.protocol = k->protocol, .spi_i = k->spi_i, .spi_r = k->spi_r};
  const itw_status status = itwi_key_use(k);
  if (status) return status;
  const struct itwi_key *const there = itwi_ring_find_sa(ring, &sa);
  if (there) return there->retired ? ITW_OK : ITW_ERR_COLLISION;
  return has_room(ring) ? ITW_OK : ITW_ERR_FULL;
}

static struct itwi_key *take_sa(struct itw_keyring *ring, const struct itwi_key *k)
{
  const struct itw_sa sa = {.protocol = k->protocol, .spi_i = k->spi_i, .spi_r = k->spi_r};
  struct itwi_key *const retired = itwi_ring_find_sa(ring, &sa);
  if (retired) drop(ring, retired);
  make_room(ring);
  return take(ring, k, NULL);
}

itw_status itw_keyring_add_psk(itw_keyring *ring, const uint8_t *key_id, size_t key_id_len, const uint8_t *secret,
                               size_t len)
{
  if (!ring || !key_id || !key_id_len || key_id_len > 80 || memchr(key_id, 0, key_id_len) || (!secret && len))
    return ITW_ERR_ARGUMENT;
  if (!len || len > 256 || memchr(secret, '\r', len) || memchr(secret, '\n', len)) return ITW_ERR_PASSPHRASE;
  if (itwi_ring_find_psk(ring, key_id, key_id_len)) return ITW_ERR_COLLISION;
  if (!has_room(ring)) return ITW_ERR_FULL;

  const struct itwi_key new = {.secret_len = (uint16_t)len, .key_id_len = (uint8_t)key_id_len};
  make_room(ring);
  struct itwi_material *const m = itwi_ring_material(ring, take(ring, &new, key_id));
  memcpy(m->secret, secret, len);
  memcpy(m->key_id, key_id, key_id_len);
  return ITW_OK;
}

itw_status itw_keyring_add_ike(itw_keyring *ring, const struct itw_ike_sa *sa)
{
  struct itwi_key k = {0};
  uint8_t ippm[ITW_PRF_MAX] = {0};
  itw_status status = ring ? itwi_abi_readable(sa, sizeof *sa) : ITW_ERR_ARGUMENT;
  if (!status) status = itwi_key_from_ike(&k, sa);
  if (!status) status = check_new(ring, &k);
  if (!status && sa->sk_d_len) status = itw_ikev2_secret(ippm, k.prf, sa->sk_d, sa->sk_d_len, ring->crypto);
  if (!status) {
    struct itwi_material *const m = itwi_ring_material(ring, take_sa(ring, &k));
    memcpy(m->ippm, ippm, sizeof ippm);
    memcpy(m->secret, sa->skeyseed, k.secret_len);
  }
  itw_wipe(ippm, sizeof ippm);
  return status;
}

itw_status itw_keyring_add_child(itw_keyring *ring, const struct itw_child_sa *sa)
{
  struct itwi_key k = {0};
  itw_status status = ring ? itwi_abi_readable(sa, sizeof *sa) : ITW_ERR_ARGUMENT;
  if (!status) status = itwi_key_from_child(&k, sa);
  if (!status) status = check_new(ring, &k);
  if (status) return status;

  struct itwi_material *const m = itwi_ring_material(ring, take_sa(ring, &k));
  memcpy(m->secret, sa->keymat, k.secret_len);
  if (itwi_key_direct(&k)) return ITW_OK;
  memcpy(m->of[0].encr, sa->encr_key_i, k.encr_len);
  memcpy(m->of[1].encr, sa->encr_key_r, k.encr_len);
  memcpy(m->of[0].integ, sa->integ_key_i, k.integ_len);
  memcpy(m->of[1].integ, sa->integ_key_r, k.integ_len);
  return ITW_OK;
}

static itw_status check_selector(const struct itw_selector *s)
{
  const itw_status status = itwi_abi_readable(s, sizeof *s);
  if (status) return status;
  const uint16_t family = s->local_from.family;
  const bool families = (family == 4 || family == 6) && s->local_to.family == family && s->remote_from.family == family &&
                        s->remote_to.family == family;
  return s->mbz || !families || s->local_from.scope != s->local_to.scope || s->remote_from.scope != s->remote_to.scope
             ? ITW_ERR_ARGUMENT
             : ITW_OK;
}

/* The SA, if it is in the ring and not retired. */
static itw_status find_live(struct itwi_key **out, const struct itw_keyring *ring, const struct itw_sa *sa)
{
  const itw_status status = ring ? itwi_abi_readable(sa, sizeof *sa) : ITW_ERR_ARGUMENT;
  if (status) return status;
  *out = itwi_ring_find_sa(ring, sa);
  return *out && !(*out)->retired ? ITW_OK : ITW_EMPTY;
}

itw_status itw_keyring_add_selector(itw_keyring *ring, const struct itw_sa *sa, const struct itw_selector *selector)
{
  struct itwi_key *k = NULL;
  itw_status status = check_selector(selector);
  if (status == ITW_OK) status = find_live(&k, ring, sa);
  if (status != ITW_OK) return status;
  const itwi_place place = ring->free_selectors;
  struct itwi_selector *const s = itwi_ring_selector(ring, place);
  if (!s) return ITW_ERR_FULL;

  ring->free_selectors = s->of_key;
  *s = (struct itwi_selector){selector->local_from, selector->local_to, selector->remote_from, selector->remote_to,
                              place_of(ring, k), k->selectors, 0, 0};
  k->selectors = place;
  link_remote(ring, place);
  return ITW_OK;
}

itw_status itw_keyring_clear_selectors(itw_keyring *ring, const struct itw_sa *sa)
{
  struct itwi_key *k = NULL;
  const itw_status status = find_live(&k, ring, sa);
  if (status == ITW_OK) drop_selectors(ring, k);
  return status;
}

itw_status itw_keyring_retire(itw_keyring *ring, const struct itw_sa *sa)
{
  struct itwi_key *k = NULL;
  itw_status status = find_live(&k, ring, sa), ignored;
  if (status != ITW_OK) return status;
  if (!itwi_key_modes(k, ITW_SHARED_SID, &ignored)) {
    drop(ring, k);
    return ITW_OK;
  }
  struct itwi_material *const m = itwi_ring_material(ring, k);
  itw_wipe((uint8_t *)m + sizeof m->secret, sizeof *m - sizeof m->secret);
  unlink_peer(ring, k);
  drop_selectors(ring, k);
  link_retired(ring, k);
  return ITW_OK;
}

itw_status itw_keyring_remove(itw_keyring *ring, const struct itw_sa *sa)
{
  const itw_status status = ring ? itwi_abi_readable(sa, sizeof *sa) : ITW_ERR_ARGUMENT;
  struct itwi_key *const k = status ? NULL : itwi_ring_find_sa(ring, sa);
  if (k) drop(ring, k);
  return status || k ? status : ITW_EMPTY;
}

itw_status itw_keyring_remove_psk(itw_keyring *ring, const uint8_t *key_id, size_t key_id_len)
{
  if (!ring || !key_id) return ITW_ERR_ARGUMENT;
  struct itwi_key *const k = itwi_ring_find_psk(ring, key_id, key_id_len);
  if (!k) return ITW_EMPTY;
  drop(ring, k);
  return ITW_OK;
}
