/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi.h"
#include "secret.h"
#include <ipsectwamp/key.h>

/* The ring keeps what is known about its keys in one array, their octets in another, both without gaps. Every question is
   a walk over the first, 80 octets per key: some 0.1 ms for 10,000 SAs, once or twice per control connection. */

/* What is known about a key. */
struct entry {
  uint64_t spi_i, spi_r, established;
  struct itw_addr peer;
  uint32_t protocol;   /* ITW_SA_*; 0: a passphrase */
  uint32_t prf;        /* 0: not known */
  uint16_t secret_len; /* passphrase, SKEYSEED, KEYMAT; 0: not known */
  uint16_t ippm_len;   /* IKE SA: 0: SK_d isn't known */
  uint16_t encr_len, integ_len;
  uint8_t encr;    /* ITW_ENCR_* */
  uint8_t prefix;  /* bits of peer that count; 0: any peer */
  uint8_t schemes; /* that it may serve */
  uint8_t flags;
  uint8_t key_id_len;
};

/* Its octets. */
struct material {
  uint8_t secret[256];
  union {
    uint8_t key_id[80];
    uint8_t ippm[ITW_PRF_MAX]; /* prf(SK_d, "IPPM") */
    struct {
      uint8_t encr[32], integ[64];
    } of[2]; /* of the SA with spi_r, the initiator's packets; of that with spi_i */
  };
};

struct itw_keyring {
  const void *crypto;
  struct entry *entries;
  struct material *materials;
  uint32_t capacity, count;
  bool guarded;
};

enum {
  CAPACITY_MAX = 1 << 20,
  ALIGN = sizeof(uint64_t),
  HEAD = (sizeof(struct itw_keyring) + ALIGN - 1) / ALIGN * ALIGN,
  SA_SCHEMES = ITW_IKEV2 | ITW_DRAFT,
  SECURE = ITW_MODE_AUTH | ITW_MODE_ENC,
};
_Static_assert(HEAD <= 128 && sizeof(struct entry) + sizeof(struct material) <= 720, "ITW_KEYRING_BOUND");
_Static_assert(sizeof(struct entry) % ALIGN == 0, "entries stand side by side");

/* ---- its life ---- */

size_t itw_keyring_size(uint32_t capacity)
{
  if (capacity == 0 || capacity > CAPACITY_MAX) return 0;
  return HEAD + capacity * (sizeof(struct entry) + sizeof(struct material));
}

itw_status itw_keyring_init(itw_keyring **out, void *memory, size_t len, uint32_t capacity, const void *crypto)
{
  const size_t size = itw_keyring_size(capacity);
  if (!out || !memory || !size || (uintptr_t)memory % ALIGN) return ITW_ERR_ARGUMENT;
  if (len < size) return ITW_ERR_TOO_SMALL;

  memset(memory, 0, size);
  struct itw_keyring *ring = memory;
  ring->crypto = crypto;
  ring->capacity = capacity;
  ring->entries = (void *)((uint8_t *)memory + HEAD);
  ring->materials = (void *)(ring->entries + capacity);
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

/* ---- finding ---- */

static struct material *material(const struct itw_keyring *ring, const struct entry *e)
{
  return ring->materials + (e - ring->entries);
}

/* Reads key_id only as far as a KeyID in the ring is long. */
static const struct entry *find_psk(const struct itw_keyring *ring, const uint8_t *key_id, size_t len)
{
  for (const struct entry *e = ring->entries; e < ring->entries + ring->count; e++)
    if (!e->protocol && e->key_id_len == len && memcmp(material(ring, e)->key_id, key_id, len) == 0) return e;
  return NULL;
}

static const struct entry *find_sa(const struct itw_keyring *ring, const struct itw_sa *sa)
{
  if (!sa->protocol) return NULL;
  for (const struct entry *e = ring->entries; e < ring->entries + ring->count; e++)
    if (e->protocol == sa->protocol && e->spi_i == sa->spi_i && e->spi_r == sa->spi_r) return e;
  return NULL;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
  const unsigned whole = bits / 8, rest = bits % 8;
  if (memcmp(a, b, whole) != 0) return false;
  return !rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool is_peer(const struct entry *e, const struct itw_addr *remote)
{
  if (e->peer.family == 0) return true;
  return e->peer.family == remote->family && e->peer.scope == remote->scope &&
         same_bits(e->peer.ip, remote->ip, e->prefix);
}

/* The closer address, then the newer, then the higher SPIr. */
static bool outranks(const struct entry *a, const struct entry *b)
{
  if (a->prefix != b->prefix) return a->prefix > b->prefix;
  if (a->established != b->established) return a->established > b->established;
  return a->spi_r > b->spi_r;
}

/* ---- what an SA can serve ---- */

/* `direct` beyond unauthenticated mode. */
static itw_status direct_keys(const struct entry *e)
{
  if (e->protocol == ITW_SA_AH) return ITW_ERR_SA_AH;
  switch (e->encr) {
  case ITW_ENCR_AES_CBC: return e->encr_len ? ITW_OK : ITW_ERR_SA_KEYS;
  case ITW_ENCR_NULL: return ITW_ERR_SA_NULL;
  case ITW_ENCR_AEAD: return ITW_ERR_SA_AEAD;
  default: return ITW_ERR_SA_CIPHER;
  }
}

/* The modes in which it can serve a scheme; `why` not in others. */
static uint32_t servable(const struct entry *e, uint32_t scheme, itw_status *why)
{
  const bool ike = e->protocol == ITW_SA_IKE;
  const itw_status no_keys = direct_keys(e);

  *why = ITW_ERR_SA_UNFIT;
  if (!e->protocol || !(e->schemes & scheme)) return 0;
  switch (scheme) {
  case ITW_IKEV2:
    if (!ike) return 0;
    if (e->ippm_len) return ITW_MODE_OPEN | SECURE | ITW_MODE_MIXED;
    break;
  case ITW_SHARED:
  case ITW_SHARED_SID:
  case ITW_ROOT:
    if (e->secret_len && e->prf) return ITW_MODE_OPEN | SECURE;
    break;
  case ITW_DIRECT:
    if (ike) return 0;
    if (!no_keys) return ITW_MODE_OPEN | SECURE;
    *why = no_keys;
    return ITW_MODE_OPEN;
  default: return 0;
  }
  *why = ITW_ERR_SA_KEYS;
  return 0;
}

/* Of several reasons the one that says most. */
static itw_status telling(itw_status a, itw_status b)
{
  static const itw_status order[] = {ITW_ERR_SA_NONE, ITW_ERR_SA_MISMATCH, ITW_ERR_SA_UNFIT, ITW_ERR_SA_KEYS};
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
    if (a == order[i]) return b;
    if (b == order[i]) return a;
  }
  return a;
}

/* ---- adding and removing ---- */

/* A struct that is only read needs no copy. */
static itw_status readable(const void *s, size_t own_size)
{
  if (!s) return ITW_ERR_ARGUMENT;
  const uint8_t *octets = s;
  const size_t size = itwi_abi_size(s);
  if (size < own_size || size > ITWI_ABI_MAX) return ITW_ERR_SIZE;
  for (size_t i = own_size; i < size; i++)
    if (octets[i]) return ITW_ERR_NEWER;
  return ITW_OK;
}

static itw_status check_prf(uint32_t prf, uint32_t flags)
{
  if (!itw_prf_len(prf)) return ITW_ERR_PRF;
  return prf != ITW_PRF_HMAC_MD5 || flags & ITW_ALLOW_MD5 ? ITW_OK : ITW_ERR_PRF;
}

static itw_status check_sa(const struct itw_sa *sa)
{
  const uint64_t max = sa->protocol == ITW_SA_IKE ? UINT64_MAX : UINT32_MAX;
  return sa->mbz || !sa->spi_i || !sa->spi_r || sa->spi_i > max || sa->spi_r > max ? ITW_ERR_ARGUMENT : ITW_OK;
}

static itw_status set_peer(struct entry *e, const struct itw_addr *peer, uint32_t prefix)
{
  const uint32_t bits = peer->family == 4 ? 32 : peer->family == 6 ? 128 : 0;
  if ((!bits && peer->family) || prefix > bits) return ITW_ERR_ARGUMENT;
  e->peer = *peer;
  e->prefix = (uint8_t)(prefix ? prefix : bits);
  return ITW_OK;
}

static itw_status set_schemes(struct entry *e, uint32_t schemes)
{
  if (schemes & ~(uint32_t)SA_SCHEMES) return ITW_ERR_ARGUMENT;
  e->schemes = (uint8_t)(schemes ? schemes : SA_SCHEMES);
  return ITW_OK;
}

static itw_status describe_ike(struct entry *e, const struct itw_ike_sa *sa)
{
  if (sa->flags & ~(uint32_t)ITW_ALLOW_MD5 || sa->sa.protocol != ITW_SA_IKE || check_sa(&sa->sa) ||
      sa->skeyseed_len > sizeof sa->skeyseed || sa->sk_d_len > sizeof sa->sk_d ||
      set_peer(e, &sa->peer, sa->peer_prefix) || set_schemes(e, sa->schemes))
    return ITW_ERR_ARGUMENT;
  e->protocol = ITW_SA_IKE;
  e->prf = sa->sa.prf;
  e->spi_i = sa->sa.spi_i;
  e->spi_r = sa->sa.spi_r;
  e->established = sa->established;
  e->secret_len = (uint16_t)sa->skeyseed_len;
  e->ippm_len = (uint16_t)(sa->sk_d_len ? itw_prf_len(e->prf) : 0);
  return check_prf(e->prf, sa->flags);
}

static itw_status check_transforms(const struct itw_child_sa *sa)
{
  switch (sa->encr) {
  case ITW_ENCR_NONE: return sa->sa.protocol == ITW_SA_AH ? ITW_OK : ITW_ERR_ARGUMENT;
  case ITW_ENCR_AES_CBC:
    if (sa->encr_len != 0 && sa->encr_len != 16 && sa->encr_len != 24 && sa->encr_len != 32) return ITW_ERR_ARGUMENT;
    break;
  case ITW_ENCR_NULL:
  case ITW_ENCR_AES_CTR:
  case ITW_ENCR_OTHER: break;
  case ITW_ENCR_AEAD: return sa->sa.protocol == ITW_SA_ESP ? ITW_OK : ITW_ERR_ARGUMENT;
  default: return ITW_ERR_ARGUMENT;
  }
  if (sa->sa.protocol != ITW_SA_ESP) return ITW_ERR_ARGUMENT;
  return sa->integ_len ? ITW_OK : ITW_ERR_SA_NO_INTEG;
}

static itw_status describe_child(struct entry *e, const struct itw_child_sa *sa)
{
  const bool ipsec = sa->sa.protocol == ITW_SA_AH || sa->sa.protocol == ITW_SA_ESP;
  if (sa->flags & ~(uint32_t)(ITW_ALLOW_MD5 | ITW_EITHER_ORDER) || !ipsec || check_sa(&sa->sa) || sa->mbz ||
      sa->keymat_len > sizeof sa->keymat || sa->integ_len > sizeof sa->integ_key_i ||
      set_peer(e, &sa->peer, sa->peer_prefix) || set_schemes(e, sa->schemes))
    return ITW_ERR_ARGUMENT;
  const itw_status status = check_transforms(sa);
  if (status) return status;

  e->protocol = sa->sa.protocol;
  e->prf = sa->sa.prf;
  e->spi_i = sa->sa.spi_i;
  e->spi_r = sa->sa.spi_r;
  e->established = sa->established;
  e->secret_len = (uint16_t)sa->keymat_len;
  e->encr = (uint8_t)sa->encr;
  e->encr_len = sa->encr_len;
  e->integ_len = sa->integ_len;
  e->flags = (uint8_t)sa->flags;
  return e->prf ? check_prf(e->prf, sa->flags) : ITW_OK;
}

/* An SA that nothing can be done with is an error now rather than a riddle later. */
static itw_status check_use(const struct entry *e)
{
  itw_status why = ITW_ERR_SA_UNFIT, reason;
  for (uint32_t scheme = 1; scheme <= ITW_DIRECT; scheme <<= 1) {
    if (servable(e, scheme, &reason)) return ITW_OK;
    why = telling(why, reason);
  }
  return why;
}

/* Everything about a new SA but its octets. */
static itw_status check_new(const struct itw_keyring *ring, const struct entry *e)
{
  const struct itw_sa sa = {.protocol = e->protocol, .spi_i = e->spi_i, .spi_r = e->spi_r};
  const itw_status status = check_use(e);
  if (status) return status;
  if (find_sa(ring, &sa)) return ITW_ERR_COLLISION;
  return ring->count < ring->capacity ? ITW_OK : ITW_ERR_FULL;
}

itw_status itw_keyring_add_psk(itw_keyring *ring, const uint8_t *key_id, size_t key_id_len, const uint8_t *secret,
                               size_t len)
{
  if (!ring || !key_id || !key_id_len || key_id_len > 80 || memchr(key_id, 0, key_id_len) || (!secret && len))
    return ITW_ERR_ARGUMENT;
  if (!len || len > 256 || memchr(secret, '\r', len) || memchr(secret, '\n', len)) return ITW_ERR_PASSPHRASE;
  if (find_psk(ring, key_id, key_id_len)) return ITW_ERR_COLLISION;
  if (ring->count == ring->capacity) return ITW_ERR_FULL;

  struct material *m = ring->materials + ring->count;
  memcpy(m->secret, secret, len);
  memcpy(m->key_id, key_id, key_id_len);
  ring->entries[ring->count++] = (struct entry){.secret_len = (uint16_t)len, .key_id_len = (uint8_t)key_id_len};
  return ITW_OK;
}

itw_status itw_keyring_add_ike(itw_keyring *ring, const struct itw_ike_sa *sa)
{
  struct entry e = {0};
  itw_status status = ring ? readable(sa, sizeof *sa) : ITW_ERR_ARGUMENT;
  if (!status) status = describe_ike(&e, sa);
  if (!status) status = check_new(ring, &e);
  if (status) return status;

  struct material *m = ring->materials + ring->count;
  if (sa->sk_d_len) status = itw_ikev2_secret(m->ippm, e.prf, sa->sk_d, sa->sk_d_len, ring->crypto);
  if (status) return status;
  memcpy(m->secret, sa->skeyseed, e.secret_len);
  ring->entries[ring->count++] = e;
  return ITW_OK;
}

itw_status itw_keyring_add_child(itw_keyring *ring, const struct itw_child_sa *sa)
{
  struct entry e = {0};
  itw_status status = ring ? readable(sa, sizeof *sa) : ITW_ERR_ARGUMENT;
  if (!status) status = describe_child(&e, sa);
  if (!status) status = check_new(ring, &e);
  if (status) return status;

  struct material *m = ring->materials + ring->count;
  memcpy(m->secret, sa->keymat, e.secret_len);
  if (!direct_keys(&e)) {
    memcpy(m->of[0].encr, sa->encr_key_i, e.encr_len);
    memcpy(m->of[1].encr, sa->encr_key_r, e.encr_len);
    memcpy(m->of[0].integ, sa->integ_key_i, e.integ_len);
    memcpy(m->of[1].integ, sa->integ_key_r, e.integ_len);
  }
  ring->entries[ring->count++] = e;
  return ITW_OK;
}

/* The last one takes its place. */
static itw_status drop(struct itw_keyring *ring, const struct entry *e)
{
  if (!e) return ITW_EMPTY;
  const uint32_t last = --ring->count;
  struct entry *hole = ring->entries + (e - ring->entries);
  *material(ring, hole) = ring->materials[last];
  *hole = ring->entries[last];
  itw_wipe(ring->materials + last, sizeof ring->materials[last]);
  itw_wipe(ring->entries + last, sizeof ring->entries[last]);
  return ITW_OK;
}

itw_status itw_keyring_remove(itw_keyring *ring, const struct itw_sa *sa)
{
  const itw_status status = ring ? readable(sa, sizeof *sa) : ITW_ERR_ARGUMENT;
  return status ? status : drop(ring, find_sa(ring, sa));
}

itw_status itw_keyring_remove_psk(itw_keyring *ring, const uint8_t *key_id, size_t key_id_len)
{
  if (!ring || !key_id) return ITW_ERR_ARGUMENT;
  return drop(ring, find_psk(ring, key_id, key_id_len));
}

/* ---- answering ---- */

static itw_status answer_none(struct itw_answer *out, itw_status why)
{
  out->kind = ITW_ANS_NONE;
  out->why = why;
  return ITW_OK;
}

/* Does the pair of SPIs, in this order, name the SA? A greeting holds the low 32 bits of each. */
static bool is_named(const struct entry *e, uint64_t spi_i, uint64_t spi_r, uint64_t bits)
{
  return (e->spi_i & bits) == (spi_i & bits) && (e->spi_r & bits) == (spi_r & bits);
}

/* protocol.md 2.1: a source may not know who was the initiator. */
static bool any_order(const struct entry *e, uint32_t scheme)
{
  return scheme == ITW_DIRECT || e->flags & ITW_EITHER_ORDER;
}

/* With `greeting` only SAs that it names. The best-ranked one that can serve the scheme in one of the modes. */
static const struct entry *choose(const struct itw_keyring *ring, const struct itw_ask *ask, uint32_t scheme,
                                  const struct itw_sa *greeting, itw_status *why)
{
  const struct entry *best = NULL;

  for (const struct entry *e = ring->entries; e < ring->entries + ring->count; e++) {
    itw_status reason;
    if (!e->protocol || !is_peer(e, &ask->remote)) continue;
    if (greeting && (e->protocol != greeting->protocol ||
                     !(is_named(e, greeting->spi_i, greeting->spi_r, UINT32_MAX) ||
                       (any_order(e, scheme) && is_named(e, greeting->spi_r, greeting->spi_i, UINT32_MAX)))))
      continue;
    if (!(servable(e, scheme, &reason) & ask->modes))
      *why = telling(*why, reason);
    else if (!best || outranks(e, best))
      best = e;
  }
  return best;
}

static void tell_sa(struct itw_sa *out, const struct entry *e, bool swapped)
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
    const struct entry *e = scheme ? choose(ring, ask, scheme, NULL, &why) : NULL;
    if (!e) continue;
    tell_sa(&out->sa, e, false);
    return answer_sa(out, scheme, ask->modes & servable(e, scheme, &ignored));
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
  const struct entry *e = choose(ring, ask, scheme, greeting, &why);
  if (!e) return answer_none(out, greeting ? why : ITW_ERR_SA_NONE);
  tell_sa(&out->sa, e, greeting && !is_named(e, greeting->spi_i, greeting->spi_r, UINT32_MAX));
  return answer_sa(out, scheme, ask->modes & servable(e, scheme, &ignored));
}

static itw_status answer_secret(struct itw_answer *out, const uint8_t *secret, uint16_t len)
{
  out->kind = ITW_ANS_SECRET;
  out->secret_len = len;
  memcpy(out->octets, secret, len);
  return ITW_OK;
}

/* The SA that was selected, or whose SPIs a Set-Up-Response bears. */
static itw_status pinned(const struct entry **out, const struct itw_keyring *ring, const struct itw_ask *ask)
{
  const bool ikev2 = ask->schemes == ITW_IKEV2;
  const uint32_t protocol = ikev2 ? ITW_SA_IKE : ask->sa.protocol;

  for (const struct entry *e = ring->entries; e < ring->entries + ring->count; e++) {
    itw_status why;
    if (!e->protocol || e->protocol != protocol || !is_peer(e, &ask->remote)) continue;
    if (!is_named(e, ask->sa.spi_i, ask->sa.spi_r, UINT64_MAX) &&
        !(any_order(e, ask->schemes) && is_named(e, ask->sa.spi_r, ask->sa.spi_i, UINT64_MAX)))
      continue;
    *out = e;
    return servable(e, ask->schemes, &why) & SECURE ? ITW_OK : why;
  }
  return ikev2 ? ITW_ERR_SA_NONE : ITW_ERR_SA_GONE;
}

static itw_status answer_pair(const struct itw_keyring *ring, const struct itw_ask *ask, struct itw_answer *out)
{
  const struct entry *e;
  const itw_status why = pinned(&e, ring, ask);
  if (why) return answer_none(out, why);

  const unsigned way = ask->sa.spi_r == e->spi_r ? 0 : 1;
  const struct material *m = material(ring, e);
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
  const struct entry *e;
  const itw_status why = pinned(&e, ring, ask);
  if (why) return answer_none(out, why);

  const struct material *m = material(ring, e);
  tell_sa(&out->sa, e, false);
  return ask->schemes == ITW_IKEV2 ? answer_secret(out, m->ippm, e->ippm_len)
                                   : answer_secret(out, m->secret, e->secret_len);
}

static itw_status answer_psk(const struct itw_keyring *ring, const struct itw_ask *ask, struct itw_answer *out)
{
  const struct entry *e = find_psk(ring, ask->key_id, ask->key_id_len);
  return e ? answer_secret(out, material(ring, e)->secret, e->secret_len) : answer_none(out, ITW_ERR_KEY_ID);
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
  const itw_status status = ring && out ? readable(ask, sizeof *ask) : ITW_ERR_ARGUMENT;
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
