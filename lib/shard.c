/* SPDX-License-Identifier: BSD-3-Clause */
#include "shard.h"
#include "abi.h"
#include "secret.h"
#include <stdlib.h>

enum { SLACK = ITWI_LINE - _Alignof(uint64_t) }; /* the caller's memory is aligned for uint64_t */

/* The pieces of the block; with a NULL arena.p only the sum. */
struct pieces {
  struct itwi_shard *shard;
  struct itwi_slot *slots;
  struct itwi_context *contexts;
  uint32_t *heads;
  uint8_t *extra;
};

static uint64_t cut(struct pieces *p, uint8_t *memory, const struct itw_shard_config *c, const struct itwi_role *role)
{
  struct itwi_arena a = {memory, 0};
  const uint64_t n = c->sessions;

  p->shard = itwi_arena_take(&a, role->object);
  p->slots = itwi_arena_take(&a, n * sizeof *p->slots);
  p->contexts = itwi_arena_take(&a, (uint64_t)c->contexts * sizeof *p->contexts);
  p->heads = itwi_arena_take(&a, (uint64_t)itwi_demux_heads(c->sessions) * sizeof *p->heads);
  p->extra = itwi_arena_take(&a, n * role->extra(c));
  return a.used + SLACK;
}

static size_t size_of(const struct itw_shard_config *c, const struct itwi_role *role)
{
  struct pieces p;
  const uint64_t total = cut(&p, NULL, c, role);
  return total <= SIZE_MAX / 2 ? (size_t)total : 0;
}

size_t itwi_shard_size(const struct itw_shard_config *config, const struct itwi_role *role)
{
  struct itw_shard_config c;
  const size_t n = itwi_config_in(&c, config) == ITW_OK ? size_of(&c, role) : 0;
  itw_wipe(&c, sizeof c);
  return n;
}

static void chain_free(struct itwi_shard *s)
{
  for (uint32_t i = 0; i < s->sessions; i++) {
    s->slots[i].generation = 1;
    s->slots[i].peer.next = i + 1 < s->sessions ? i + 1 : ITWI_NOBODY;
  }
  s->free = 0;
}

/* What needs a crypto library; what was opened before a failure is closed by the caller. */
static itw_status open_all(struct itwi_shard *s, const struct pieces *p, const struct itw_shard_config *c)
{
  itw_status st = itwi_backend_open(&s->backend, c->crypto);
  if (st == ITW_OK) st = itwi_random_open(&s->random, &s->backend, c->seed);
  if (st == ITW_OK)
    st = itwi_demux_init(&s->demux, p->heads, itwi_demux_heads(c->sessions), p->slots, sizeof *p->slots, &s->random);
  if (st == ITW_OK) st = itwi_cache_open(&s->cache, p->contexts, c->contexts, c->sessions, &s->backend);
  return st;
}

static itw_status build(struct itwi_shard **out, uint8_t **extra, const struct itw_shard_config *c,
                        const struct itwi_role *role, void *memory, size_t need, bool owned)
{
  struct pieces p;
  struct itwi_shard *s;
  itw_status st;

  memset(memory, 0, need);
  cut(&p, (uint8_t *)memory + (0 - (uintptr_t)memory) % ITWI_LINE, c, role);
  s = p.shard;
  s->memory = memory;
  s->len = need;
  s->owned = owned;
  s->slots = p.slots;
  s->sessions = c->sessions;
  chain_free(s);
  st = itwi_clock_in(&s->clock, &c->clock);
  if (st == ITW_OK) st = open_all(s, &p, c);
  if (st != ITW_OK) {
    itwi_shard_free(s);
    return st;
  }
  *out = s;
  *extra = p.extra;
  return ITW_OK;
}

itw_status itwi_shard_make(struct itwi_shard **out, uint8_t **extra, struct itw_shard_config *c,
                           const struct itwi_role *role, void *memory, size_t len,
                           const struct itw_shard_config *config_in)
{
  const bool owned = memory == NULL;
  itw_status st = itwi_config_in(c, config_in);
  const size_t need = st == ITW_OK ? size_of(c, role) : 0;

  if (st == ITW_OK && need == 0) st = ITW_ERR_MEMORY;
  if (st == ITW_OK && !owned && len < need) st = ITW_ERR_TOO_SMALL;
  if (st == ITW_OK && (uintptr_t)memory % _Alignof(uint64_t)) st = ITW_ERR_ARGUMENT;
  if (st == ITW_OK && owned && !(memory = malloc(need))) st = ITW_ERR_MEMORY;
  if (st == ITW_OK) st = build(out, extra, c, role, memory, need, owned);
  itw_wipe(c->seed, sizeof c->seed);
  return st;
}

void itwi_shard_free(struct itwi_shard *s)
{
  void *memory;
  bool owned;

  if (!s) return;
  memory = s->memory;
  owned = s->owned;
  itwi_cache_close(&s->cache);
  itwi_random_close(&s->random);
  itwi_backend_close(&s->backend);
  itw_wipe(memory, s->len);
  if (owned) free(memory);
}

static bool sends(int role) { return role == ITWI_AS_SENDER || role == ITWI_AS_OWAMP_SENDER; }
static bool is_one_way(int role) { return role == ITWI_AS_OWAMP_SENDER || role == ITWI_AS_RECEIVER; }

static uint8_t slot_flags(const struct itw_session_info *i, int role)
{
  static const struct {
    uint32_t feature;
    uint8_t flag;
  } of[] = {{ITW_FEATURE_SYMMETRICAL, ITWI_SYMMETRICAL}, {ITW_FEATURE_DSCP_ECN, ITWI_DSCP_ECN}, {ITW_FEATURE_PTP, ITWI_PTP},
            {ITW_FEATURE_REFLECT, ITWI_REFLECTS}};
  uint32_t flags = i->dialect == ITW_DIALECT_OWAMP ? ITWI_ONE_WAY : 0;

  if (sends(role) && i->flags & ITW_SESSION_ZERO_PADDING) flags |= ITWI_ZERO_PADDING;
  if (!sends(role) && i->dialect == ITW_DIALECT_LIGHT) flags |= ITWI_LIGHT;
  if (i->flags & ITW_SESSION_PTP) flags |= ITWI_SENDS_PTP;
  for (size_t k = 0; k < sizeof of / sizeof of[0]; k++)
    if (i->features & of[k].feature) flags |= of[k].flag;
  return (uint8_t)flags;
}

static void fill_slot(struct itwi_slot *slot, const struct itw_session_info *i, const struct itw_key_pair *k, int role)
{
  slot->peer.remote = sends(role) ? i->reflector : i->sender;
  slot->peer.local = sends(role) ? i->sender : i->reflector;
  slot->timeout = i->timeout;
  slot->padding = (uint16_t)i->padding;
  slot->mode = (uint8_t)i->mode;
  slot->dscp = i->dscp;
  slot->flags = slot_flags(i, role);
  slot->keys.enc_len = (uint8_t)k->enc_len;
  slot->keys.auth_len = (uint8_t)k->auth_len;
  memcpy(slot->keys.enc, k->enc, sizeof k->enc);
  memcpy(slot->keys.auth, k->auth, sizeof k->auth);
}

/* The remote address has to be known, but for a reflector that answers anybody: there it is wild. */
static itw_status settle_peer(struct itwi_slot *slot, const struct itw_session_info *i, int role)
{
  if (role == ITWI_AS_REFLECTOR && (i->flags & ITW_SESSION_ANY_SENDER))
    slot->peer.remote.family = 0;
  else if (slot->peer.remote.family == 0 || slot->peer.remote.port == 0)
    return ITW_ERR_ARGUMENT;
  return ITW_OK;
}

static void clear_slot(struct itwi_slot *slot)
{
  const uint32_t generation = slot->generation;
  itw_wipe(slot, sizeof *slot);
  slot->generation = generation;
}

static itw_status take_slot(struct itwi_shard *s, itw_id *out, const struct itw_session_info *i,
                            const struct itw_key_pair *k, uint64_t user, int role)
{
  const uint32_t at = s->free;
  struct itwi_slot *slot = &s->slots[at];
  const uint32_t next = slot->peer.next;
  itw_status st;

  fill_slot(slot, i, k, role);
  slot->user = user;
  st = settle_peer(slot, i, role);
  if (st == ITW_OK) st = itwi_demux_add(&s->demux, at);
  if (st != ITW_OK) {
    clear_slot(slot);
    slot->peer.next = next;
    return st;
  }
  s->free = next;
  s->used++;
  slot->state = ITWI_SLOT_ADDED;
  *out = itwi_slot_id(s, at);
  return ITW_OK;
}

itw_status itwi_shard_add(struct itwi_shard *s, itw_id *out, const struct itw_session *session, uint64_t user, int role)
{
  struct itw_session_info i;
  struct itw_key_pair k;
  itw_status st;

  if (!s || !out || !session) return ITW_ERR_ARGUMENT;
  ITW_INIT(i);
  ITW_INIT(k);
  st = itw_session_info(session, &i);
  if (st == ITW_OK) st = itw_session_keys(session, &k);
  if (st == ITW_OK && (i.dialect == ITW_DIALECT_OWAMP) != is_one_way(role)) st = ITW_ERR_ARGUMENT;
  if (st == ITW_OK && i.mode != ITW_MODE_OPEN && s->cache.n == 0) st = ITW_ERR_UNSUPPORTED;
  if (st == ITW_OK && s->free == ITWI_NOBODY) st = ITW_ERR_FULL;
  if (st == ITW_OK) st = take_slot(s, out, &i, &k, user, role);
  itw_wipe(&k, sizeof k);
  return st;
}

void itwi_shard_remove(struct itwi_shard *s, uint32_t at)
{
  struct itwi_slot *slot = &s->slots[at];

  itwi_demux_remove(&s->demux, at);
  itwi_cache_drop(&s->cache, at, slot->context, &s->backend);
  clear_slot(slot);
  if (++slot->generation == 0) slot->generation = 1; /* 0 is no id */
  slot->peer.next = s->free;
  s->free = at;
  s->used--;
}

/* Lines of a slot that is known, and of the context that it may have. */
static void fetch_slot(const struct itwi_shard *s, const struct itwi_slot *slot)
{
  ITWI_PREFETCH(slot);
  ITWI_PREFETCH(&slot->user);
  if (s->cache.plenty) {
    itwi_cache_fetch(&s->cache, itwi_slot_index(s, slot), 0);
  } else { /* likely to be keyed anew */
    ITWI_PREFETCH(&slot->keys.enc);
    ITWI_PREFETCH(&slot->auth_failures);
  }
}

/* Three rounds, so that each packet's cache misses happen while those of the others do. */
void itwi_shard_find(struct itwi_shard *s, struct itw_packet *items, size_t stride, size_t n)
{
  uint32_t hint[ITWI_CHUNK];

  for (size_t i = 0; n > 1 && i < n; i++) {
    const struct itw_packet *item = itwi_item(items, stride, i);
    hint[i] = itwi_demux_hint(&s->demux, &item->remote, &item->local);
  }
  for (size_t i = 0; n > 1 && i < n; i++) {
    const struct itwi_slot *slot = itwi_demux_ahead(&s->demux, hint[i]);
    if (slot) fetch_slot(s, slot);
  }
  for (size_t i = 0; i < n; i++) {
    struct itw_packet *item = itwi_item(items, stride, i);
    uint32_t at;
    if (item->id) continue;
    at = itwi_demux_find(&s->demux, &item->remote, &item->local);
    if (at == ITWI_NOBODY) continue;
    item->id = itwi_slot_id(s, at);
    if (n == 1) fetch_slot(s, &s->slots[at]);
    if (!s->cache.plenty) itwi_cache_fetch(&s->cache, at, s->slots[at].context);
  }
}

void itwi_shard_fetch(const struct itwi_shard *s, struct itw_packet *items, size_t stride, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    const uint32_t at = (uint32_t)itwi_item(items, stride, i)->id;
    if (at < s->sessions) fetch_slot(s, &s->slots[at]);
  }
  for (size_t i = 0; !s->cache.plenty && i < n; i++) {
    const struct itwi_slot *slot = itwi_shard_slot(s, itwi_item(items, stride, i)->id);
    if (slot) itwi_cache_fetch(&s->cache, itwi_slot_index(s, slot), slot->context);
  }
}

void itwi_shard_ahead(const struct itwi_shard *s, struct itw_packet *items, size_t stride, size_t n, size_t i)
{
  const size_t far = 2;
  const struct itwi_slot *slot = i + far < n ? itwi_shard_slot(s, itwi_item(items, stride, i + far)->id) : NULL;

  if (slot && slot->mode != ITW_MODE_OPEN) itwi_cache_fetch_keyed(&s->cache, itwi_slot_index(s, slot), slot->context);
}

void itwi_shard_enter(struct itwi_shard *s)
{
  if (!s->entered) s->marked = itwi_backend_enter(&s->backend);
  s->entered = true;
}

itw_status itwi_shard_seal(struct itwi_shard *s, struct itwi_slot *slot, uint32_t need, struct itwi_seal **out)
{
  struct itwi_seal *seal = itwi_cache_get(&s->cache, itwi_slot_index(s, slot), &slot->context);

  itwi_seal_fetch(seal, need | seal->keyed); /* a reflector seals soon after it unseals */
  itwi_shard_enter(s);
  *out = seal;
  return itwi_seal_key(seal, &s->backend, &slot->keys, need);
}

void itwi_shard_leave(struct itwi_shard *s)
{
  if (s->entered && (s->marked || s->failed)) itwi_backend_leave(&s->backend);
  s->entered = s->marked = s->failed = false;
}

static void count_slot(struct itw_counts *c, const struct itwi_slot *slot, int role)
{
  c->sent = slot->sent;
  c->received = slot->received;
  c->octets = slot->octets;
  c->late = slot->late;
  c->auth_failures = slot->auth_failures;
  c->malformed = slot->malformed;
  c->reordered = slot->reordered;
  if (role == ITWI_AS_REFLECTOR)
    c->early = slot->early;
  else
    c->duplicates = slot->duplicates;
  if (role == ITWI_AS_SENDER && (slot->flags & ITWI_ONE_WAY)) {
    c->skipped = slot->skipped;
    c->late = 0;
  }
}

itw_status itwi_shard_counts(const struct itwi_shard *s, itw_id id, int role, struct itw_counts *out)
{
  struct itw_counts c;

  if (!s || !out) return ITW_ERR_ARGUMENT;
  ITW_INIT(c);
  if (id == 0) {
    c = s->sum;
  } else {
    const struct itwi_slot *slot = itwi_shard_slot(s, id);
    if (!slot) return ITW_ERR_STALE;
    count_slot(&c, slot, role);
  }
  return itwi_abi_out(out, &c, sizeof c, sizeof c);
}
