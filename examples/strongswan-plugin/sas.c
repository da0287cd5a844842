/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sas.h"

#include <collections/hashtable.h>
#include <daemon.h>
#include <endian.h>
#include <sa/ikev2/keymat_v2.h>
#include <threading/mutex.h>

#include <ipsectwamp/kdf.h>

/* What is known of an SA before it counts: an IKE SA before it is authenticated, a CHILD SA before it is installed. A
   secret. */
struct draft {
  uint32_t prf, prf_old;
  uint32_t skeyseed_len, keymat_len;
  struct itw_exchange exchange; /* its octets are in `octets` */
  uint8_t octets[512];
  uint8_t skeyseed[ITW_PRF_MAX], keymat[ITW_KEYMAT_MAX];
  uint16_t encr_len, integ_len;
};

struct sas {
  listener_t listener; /* first: charon hands it back */
  struct sas_config config;
  mutex_t *mutex;
  itw_keyring *ring;
  hashtable_t *drafts; /* ike_sa_t * or child_sa_t *, compared only, to struct draft * */
  hashtable_t *names;  /* child_sa_t * to struct itw_sa *: only the exchange that made it knows the order of its SPIs */
  uint64_t established; /* of the newest SA: a number that goes up */
  uint32_t ike_sas, child_sas;
};

enum { DRAFTS_MAX = 4096 };

/* ---- drafts ---- */

static struct draft *draft_of(struct sas *s, const void *of) { return s->drafts->get(s->drafts, of); }

static void drop_draft(struct sas *s, const void *of)
{
  itw_secret_free(s->drafts->remove(s->drafts, of), sizeof(struct draft));
}

static struct draft *new_draft(struct sas *s, void *of)
{
  drop_draft(s, of);
  struct draft *const d = s->drafts->get_count(s->drafts) < DRAFTS_MAX ? itw_secret_new(sizeof *d) : NULL;
  if (d)
    s->drafts->put(s->drafts, of, d);
  else
    DBG1(DBG_CFG, "ipsectwamp: no room for an SA that is being made, it is left out");
  return d;
}

/* ---- CHILD SAs by their names ---- */

static const struct itw_sa *name_of(struct sas *s, const child_sa_t *child_sa) { return s->names->get(s->names, child_sa); }

static void drop_name(struct sas *s, const child_sa_t *child_sa) { free(s->names->remove(s->names, child_sa)); }

static bool keep_name(struct sas *s, child_sa_t *child_sa, struct itw_sa sa)
{
  struct itw_sa *const kept = malloc(sizeof *kept);

  drop_name(s, child_sa);
  if (!kept) return false;
  *kept = sa;
  s->names->put(s->names, child_sa, kept);
  return true;
}

/* ---- names and addresses ---- */

static struct itw_addr address(host_t *host)
{
  struct itw_addr a = {0};
  const chunk_t octets = host->get_address(host);

  a.family = host->get_family(host) == AF_INET ? 4 : 6;
  if (octets.len <= sizeof a.ip) memcpy(a.ip, octets.ptr, octets.len);
  return a;
}

static struct itw_sa ike_name(ike_sa_t *ike_sa)
{
  ike_sa_id_t *const id = ike_sa->get_id(ike_sa);
  struct itw_sa sa;

  ITW_INIT(sa);
  sa.protocol = ITW_SA_IKE;
  sa.spi_i = be64toh(id->get_initiator_spi(id));
  sa.spi_r = be64toh(id->get_responder_spi(id));
  return sa;
}

/* SPIi is the one that the initiator of the exchange chose: of its inbound packets. */
static struct itw_sa child_name(child_sa_t *child_sa, bool initiator)
{
  struct itw_sa sa;

  ITW_INIT(sa);
  sa.protocol = child_sa->get_protocol(child_sa) == PROTO_AH ? ITW_SA_AH : ITW_SA_ESP;
  sa.spi_i = be32toh(child_sa->get_spi(child_sa, initiator));
  sa.spi_r = be32toh(child_sa->get_spi(child_sa, !initiator));
  return sa;
}

/* ---- telling ---- */

static void tell(struct sas *s, uint32_t kind, ike_sa_t *ike_sa, const struct itw_sa *sa, const struct itw_sa *by)
{
  struct itw_source_event event;

  ITW_INIT(event);
  event.kind = kind;
  event.sa = *sa;
  if (by) event.by = *by;
  event.local = address(ike_sa->get_my_host(ike_sa));
  event.remote = address(ike_sa->get_other_host(ike_sa));
  s->config.tell(s->config.owner, &event);
}

/* The ring wouldn't have it. */
static void tell_why(struct sas *s, ike_sa_t *ike_sa, const struct itw_sa *sa, itw_status why)
{
  struct itw_source_event event;

  ITW_INIT(event);
  event.kind = why == ITW_ERR_FULL ? ITW_SOURCE_FULL : ITW_SOURCE_UNFIT;
  event.why = why;
  event.sa = *sa;
  event.local = address(ike_sa->get_my_host(ike_sa));
  event.remote = address(ike_sa->get_other_host(ike_sa));
  s->config.tell(s->config.owner, &event);
}

/* ---- selectors ---- */

static bool range(struct itw_addr *from, struct itw_addr *to, traffic_selector_t *ts)
{
  const chunk_t a = ts->get_from_address(ts), b = ts->get_to_address(ts);
  const uint8_t protocol = ts->get_protocol(ts);

  *from = *to = (struct itw_addr){.family = ts->get_type(ts) == TS_IPV4_ADDR_RANGE ? 4 : 6};
  if (a.len > sizeof from->ip || b.len > sizeof to->ip || (protocol && protocol != IPPROTO_TCP)) return false;
  memcpy(from->ip, a.ptr, a.len);
  memcpy(to->ip, b.ptr, b.len);
  from->port = ts->get_from_port(ts);
  to->port = ts->get_to_port(ts);
  return true;
}

/* A connection inside the tunnel is covered by both the CHILD SA and its IKE SA. */
static void add_selectors(struct sas *s, const struct itw_sa *sa, child_sa_t *child_sa)
{
  enumerator_t *const locals = child_sa->create_ts_enumerator(child_sa, TRUE);
  traffic_selector_t *local, *remote;
  struct itw_selector selector;

  ITW_INIT(selector);
  while (locals->enumerate(locals, &local)) {
    enumerator_t *const remotes = child_sa->create_ts_enumerator(child_sa, FALSE);
    while (remotes->enumerate(remotes, &remote))
      if (range(&selector.local_from, &selector.local_to, local) && range(&selector.remote_from, &selector.remote_to, remote) &&
          itw_keyring_add_selector(s->ring, sa, &selector) < 0)
        DBG1(DBG_CFG, "ipsectwamp: a traffic selector is left out");
    remotes->destroy(remotes);
  }
  locals->destroy(locals);
}

/* All of an IKE SA's: what its CHILD SAs protect now, but for one. */
static void select_ike(struct sas *s, ike_sa_t *ike_sa, const child_sa_t *but)
{
  const struct itw_sa sa = ike_name(ike_sa);
  enumerator_t *const children = ike_sa->create_child_sa_enumerator(ike_sa);
  child_sa_t *child_sa;

  if (itw_keyring_clear_selectors(s->ring, &sa) == ITW_OK)
    while (children->enumerate(children, &child_sa))
      if (child_sa != but && child_sa->get_state(child_sa) != CHILD_REKEYED && child_sa->get_state(child_sa) != CHILD_DELETED)
        add_selectors(s, &sa, child_sa);
  children->destroy(children);
}

/* ---- IKE SAs ---- */

/* Keeps an exchange's values beyond the hook. */
static bool keep(struct draft *d, const uint8_t **at, uint32_t *len, chunk_t value, size_t *used)
{
  if (value.len > sizeof d->octets - *used) return false;
  memcpy(d->octets + *used, value.ptr, value.len);
  *at = d->octets + *used;
  *len = (uint32_t)value.len;
  *used += value.len;
  return true;
}

static void put64(uint8_t out[8], uint64_t v)
{
  for (int i = 0; i < 8; i++) out[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint32_t prf_of(ike_sa_t *ike_sa)
{
  proposal_t *const proposal = ike_sa->get_proposal(ike_sa);
  uint16_t prf = 0;
  return proposal->get_algorithm(proposal, PSEUDO_RANDOM_FUNCTION, &prf, NULL) ? prf : 0;
}

/* g^ir goes no further than here. */
static itw_status skeyseed(struct draft *d, ike_sa_t *rekey, chunk_t g_ir)
{
  struct itw_exchange x = d->exchange;

  x.g_ir = g_ir.ptr;
  x.g_ir_len = (uint32_t)g_ir.len;
  if (!rekey) {
    d->skeyseed_len = itw_prf_len(d->prf);
    return itw_skeyseed(d->skeyseed, d->prf, &x, NULL);
  }
  keymat_v2_t *const keymat = (keymat_v2_t *)rekey->get_keymat(rekey);
  chunk_t sk_d;
  d->prf_old = keymat->get_skd(keymat, &sk_d);
  d->skeyseed_len = itw_prf_len(d->prf_old);
  return itw_skeyseed_rekey(d->skeyseed, d->prf_old, sk_d.ptr, sk_d.len, &x, NULL);
}

/* The exchange's secrets, before anybody is authenticated: SKEYSEED in a draft. */
static bool on_ike_keys(listener_t *listener, ike_sa_t *ike_sa, key_exchange_t *dh, chunk_t dh_other, chunk_t nonce_i,
                        chunk_t nonce_r, ike_sa_t *rekey, shared_key_t *shared, auth_method_t method)
{
  struct sas *const s = (struct sas *)listener;
  const struct itw_sa sa = ike_name(ike_sa);
  chunk_t g_ir = chunk_empty;
  size_t used = 0;
  (void)dh_other, (void)shared, (void)method;

  if (ike_sa->get_version(ike_sa) != IKEV2 || !dh->get_shared_secret(dh, &g_ir)) return TRUE;
  s->mutex->lock(s->mutex);
  struct draft *const d = new_draft(s, ike_sa);
  if (d) {
    ITW_INIT(d->exchange);
    d->prf = d->prf_old = prf_of(ike_sa);
    put64(d->exchange.spi_i, sa.spi_i);
    put64(d->exchange.spi_r, sa.spi_r);
    if (!keep(d, &d->exchange.ni, &d->exchange.ni_len, nonce_i, &used) ||
        !keep(d, &d->exchange.nr, &d->exchange.nr_len, nonce_r, &used) || skeyseed(d, rekey, g_ir) != ITW_OK)
      drop_draft(s, ike_sa);
  }
  s->mutex->unlock(s->mutex);
  chunk_clear(&g_ir);
  return TRUE;
}

/* Only what is certain: a SKEYSEED that gives another SK_d than charon's isn't handed on. */
static void take_skeyseed(struct itw_ike_sa *out, const struct draft *d)
{
  const uint32_t plus[] = {d->prf, d->prf_old}; /* RFC 7296's prf+, and what strongSwan 5.9.8 uses after a change of PRF */
  uint8_t sk_d[ITW_PRF_MAX];

  for (int i = 0; i < 2 && !out->skeyseed_len; i++) {
    if (itw_sk_d(sk_d, d->prf, plus[i], d->skeyseed, d->skeyseed_len, &d->exchange, NULL) != ITW_OK ||
        !memeq_const(sk_d, out->sk_d, out->sk_d_len))
      continue;
    out->skeyseed_len = d->skeyseed_len;
    memcpy(out->skeyseed, d->skeyseed, d->skeyseed_len);
  }
  itw_wipe(sk_d, sizeof sk_d);
}

/* Authenticated. The caller holds the mutex. */
static itw_status add_ike(struct sas *s, ike_sa_t *ike_sa)
{
  keymat_v2_t *const keymat = (keymat_v2_t *)ike_sa->get_keymat(ike_sa);
  const struct draft *const d = draft_of(s, ike_sa);
  struct itw_ike_sa sa;
  chunk_t sk_d;

  ITW_INIT(sa);
  sa.sa = ike_name(ike_sa);
  sa.sa.prf = keymat->get_skd(keymat, &sk_d);
  sa.local = address(ike_sa->get_my_host(ike_sa));
  sa.peer = address(ike_sa->get_other_host(ike_sa));
  sa.schemes = s->config.schemes;
  sa.established = ++s->established;
  itw_status st = sk_d.len <= sizeof sa.sk_d ? ITW_OK : ITW_ERR_PRF;
  if (st == ITW_OK) {
    sa.sk_d_len = (uint32_t)sk_d.len;
    memcpy(sa.sk_d, sk_d.ptr, sk_d.len);
    if (d) take_skeyseed(&sa, d);
    st = itw_keyring_add_ike(s->ring, &sa);
  }
  drop_draft(s, ike_sa);
  itw_wipe(&sa, sizeof sa);
  if (st == ITW_OK) s->ike_sas++;
  return st == ITW_ERR_COLLISION ? ITW_EMPTY : st;
}

static bool on_ike_updown(listener_t *listener, ike_sa_t *ike_sa, bool up)
{
  struct sas *const s = (struct sas *)listener;
  const struct itw_sa sa = ike_name(ike_sa);

  if (ike_sa->get_version(ike_sa) != IKEV2) return TRUE;
  s->mutex->lock(s->mutex);
  const itw_status st = up ? add_ike(s, ike_sa) : itw_keyring_retire(s->ring, &sa);
  if (!up) drop_draft(s, ike_sa);
  if (!up && st == ITW_OK) s->ike_sas--;
  if (up && st == ITW_OK) select_ike(s, ike_sa, NULL);
  s->mutex->unlock(s->mutex);
  if (st == ITW_OK) tell(s, up ? ITW_SOURCE_UP : ITW_SOURCE_GONE, ike_sa, &sa, NULL);
  if (st < 0) tell_why(s, ike_sa, &sa, st);
  return TRUE;
}

static bool on_ike_rekey(listener_t *listener, ike_sa_t *old, ike_sa_t *new)
{
  struct sas *const s = (struct sas *)listener;
  const struct itw_sa old_name = ike_name(old), new_name = ike_name(new);

  if (new->get_version(new) != IKEV2) return TRUE;
  s->mutex->lock(s->mutex);
  const itw_status added = add_ike(s, new);
  if (added == ITW_OK) select_ike(s, new, NULL);
  const bool was = itw_keyring_retire(s->ring, &old_name) == ITW_OK;
  if (was) s->ike_sas--;
  s->mutex->unlock(s->mutex);
  if (added == ITW_OK) tell(s, ITW_SOURCE_UP, new, &new_name, NULL);
  if (added < 0) tell_why(s, new, &new_name, added);
  if (was) tell(s, added == ITW_OK ? ITW_SOURCE_REKEYED : ITW_SOURCE_GONE, old, &old_name, added == ITW_OK ? &new_name : NULL);
  return TRUE;
}

static bool on_ike_state_change(listener_t *listener, ike_sa_t *ike_sa, ike_sa_state_t state)
{
  struct sas *const s = (struct sas *)listener;

  if (state != IKE_DESTROYING) return TRUE;
  s->mutex->lock(s->mutex);
  drop_draft(s, ike_sa);
  s->mutex->unlock(s->mutex);
  return TRUE;
}

/* ---- CHILD SAs ---- */

/* KEYMAT = encr_i | integ_i | encr_r | integ_r (RFC 7296 §2.17). */
static bool on_child_derived_keys(listener_t *listener, ike_sa_t *ike_sa, child_sa_t *child_sa, bool initiator, chunk_t encr_i,
                                  chunk_t encr_r, chunk_t integ_i, chunk_t integ_r)
{
  struct sas *const s = (struct sas *)listener;
  const chunk_t parts[] = {encr_i, integ_i, encr_r, integ_r};

  if (ike_sa->get_version(ike_sa) != IKEV2) return TRUE;
  s->mutex->lock(s->mutex);
  struct draft *const d = keep_name(s, child_sa, child_name(child_sa, initiator)) ? new_draft(s, child_sa) : NULL;
  if (d) {
    d->encr_len = (uint16_t)encr_i.len;
    d->integ_len = (uint16_t)integ_i.len;
  }
  for (int i = 0; d && i < 4; i++) {
    if (parts[i].len > sizeof d->keymat - d->keymat_len) { /* none that is known has that much */
      drop_draft(s, child_sa);
      break;
    }
    memcpy(d->keymat + d->keymat_len, parts[i].ptr, parts[i].len);
    d->keymat_len += (uint32_t)parts[i].len;
  }
  s->mutex->unlock(s->mutex);
  return TRUE;
}

static uint32_t encryption_of(child_sa_t *child_sa)
{
  proposal_t *const proposal = child_sa->get_proposal(child_sa);
  uint16_t alg = 0;

  if (child_sa->get_protocol(child_sa) == PROTO_AH) return ITW_ENCR_NONE;
  if (!proposal || !proposal->get_algorithm(proposal, ENCRYPTION_ALGORITHM, &alg, NULL)) return ITW_ENCR_OTHER;
  if (encryption_algorithm_is_aead(alg)) return ITW_ENCR_AEAD;
  return alg == ITW_ENCR_NULL || alg == ITW_ENCR_AES_CBC || alg == ITW_ENCR_AES_CTR ? alg : ITW_ENCR_OTHER;
}

static itw_status add_child(struct sas *s, ike_sa_t *ike_sa, child_sa_t *child_sa)
{
  keymat_v2_t *const keymat = (keymat_v2_t *)ike_sa->get_keymat(ike_sa);
  const struct draft *const d = draft_of(s, child_sa);
  const struct itw_sa *const name = name_of(s, child_sa);
  struct itw_child_sa sa;
  chunk_t sk_d;

  if (!d || !name || !d->keymat_len) return ITW_EMPTY;
  ITW_INIT(sa);
  sa.sa = *name;
  sa.sa.prf = keymat->get_skd(keymat, &sk_d);
  sa.local = address(ike_sa->get_my_host(ike_sa));
  sa.peer = address(ike_sa->get_other_host(ike_sa));
  sa.schemes = s->config.schemes & ~(uint32_t)ITW_IKEV2;
  sa.established = ++s->established;
  sa.encr = encryption_of(child_sa);
  sa.encr_len = d->encr_len;
  sa.integ_len = d->integ_len;
  sa.keymat_len = d->keymat_len;
  memcpy(sa.keymat, d->keymat, d->keymat_len);
  const itw_status st = sa.schemes ? itw_keyring_add_child(s->ring, &sa) : ITW_EMPTY;
  itw_wipe(&sa, sizeof sa);
  drop_draft(s, child_sa);
  if (st == ITW_OK) s->child_sas++;
  return st == ITW_ERR_COLLISION ? ITW_EMPTY : st;
}

static void forget_child(struct sas *s, const child_sa_t *child_sa)
{
  drop_draft(s, child_sa);
  drop_name(s, child_sa);
}

static bool on_child_updown(listener_t *listener, ike_sa_t *ike_sa, child_sa_t *child_sa, bool up)
{
  struct sas *const s = (struct sas *)listener;
  itw_status st = ITW_EMPTY;
  struct itw_sa sa;

  if (ike_sa->get_version(ike_sa) != IKEV2) return TRUE;
  s->mutex->lock(s->mutex);
  const struct itw_sa *const name = name_of(s, child_sa);
  if (name) {
    sa = *name;
    st = up ? add_child(s, ike_sa, child_sa) : itw_keyring_retire(s->ring, &sa);
    if (up && st == ITW_OK) add_selectors(s, &sa, child_sa);
    if (!up && st == ITW_OK) s->child_sas--;
  }
  if (!up) forget_child(s, child_sa);
  select_ike(s, ike_sa, up ? NULL : child_sa);
  s->mutex->unlock(s->mutex);
  if (st == ITW_OK) tell(s, up ? ITW_SOURCE_UP : ITW_SOURCE_GONE, ike_sa, &sa, NULL);
  if (st < 0) tell_why(s, ike_sa, &sa, st);
  return TRUE;
}

static bool on_child_rekey(listener_t *listener, ike_sa_t *ike_sa, child_sa_t *old, child_sa_t *new)
{
  struct sas *const s = (struct sas *)listener;
  struct itw_sa old_name = {0}, new_name = {0};
  itw_status added = ITW_EMPTY;
  bool was = false;

  if (ike_sa->get_version(ike_sa) != IKEV2) return TRUE;
  s->mutex->lock(s->mutex);
  const struct itw_sa *const from = name_of(s, old), *const to = name_of(s, new);
  if (from) old_name = *from;
  if (to) {
    new_name = *to;
    added = add_child(s, ike_sa, new);
    if (added == ITW_OK) add_selectors(s, &new_name, new);
  }
  if (from) was = itw_keyring_retire(s->ring, &old_name) == ITW_OK;
  if (was) s->child_sas--;
  forget_child(s, old);
  select_ike(s, ike_sa, old);
  s->mutex->unlock(s->mutex);
  if (added == ITW_OK) tell(s, ITW_SOURCE_UP, ike_sa, &new_name, NULL);
  if (added < 0) tell_why(s, ike_sa, &new_name, added);
  if (was) tell(s, added == ITW_OK ? ITW_SOURCE_REKEYED : ITW_SOURCE_GONE, ike_sa, &old_name, added == ITW_OK ? &new_name : NULL);
  return TRUE;
}

static bool on_child_state_change(listener_t *listener, ike_sa_t *ike_sa, child_sa_t *child_sa, child_sa_state_t state)
{
  struct sas *const s = (struct sas *)listener;

  if (state != CHILD_DESTROYING) return TRUE;
  s->mutex->lock(s->mutex);
  const struct itw_sa *const name = name_of(s, child_sa);
  const struct itw_sa sa = name ? *name : (struct itw_sa){0};
  const bool was = name && itw_keyring_retire(s->ring, &sa) == ITW_OK;
  if (was) s->child_sas--;
  forget_child(s, child_sa);
  s->mutex->unlock(s->mutex);
  if (was && ike_sa) tell(s, ITW_SOURCE_GONE, ike_sa, &sa, NULL);
  return TRUE;
}

/* ---- its life ---- */

struct sas *sas_create(const struct sas_config *config)
{
  struct sas *const s = calloc(1, sizeof *s);

  if (!s) return NULL;
  s->config = *config;
  s->listener = (listener_t){
    .ike_keys = on_ike_keys,
    .ike_updown = on_ike_updown,
    .ike_rekey = on_ike_rekey,
    .ike_state_change = on_ike_state_change,
    .child_derived_keys = on_child_derived_keys,
    .child_updown = on_child_updown,
    .child_rekey = on_child_rekey,
    .child_state_change = on_child_state_change,
  };
  if (itw_keyring_new(&s->ring, config->capacity, NULL) != ITW_OK) {
    free(s);
    return NULL;
  }
  s->mutex = mutex_create(MUTEX_TYPE_DEFAULT);
  s->drafts = hashtable_create(hashtable_hash_ptr, hashtable_equals_ptr, 16);
  s->names = hashtable_create(hashtable_hash_ptr, hashtable_equals_ptr, 64);
  return s;
}

static void free_draft(void *draft, const void *of)
{
  (void)of;
  itw_secret_free(draft, sizeof(struct draft));
}

static void free_name(void *name, const void *of)
{
  (void)of;
  free(name);
}

void sas_destroy(struct sas *s)
{
  s->drafts->destroy_function(s->drafts, free_draft);
  s->names->destroy_function(s->names, free_name);
  itw_keyring_free(s->ring);
  s->mutex->destroy(s->mutex);
  free(s);
}

void sas_listen(struct sas *s, bool on)
{
  if (on)
    charon->bus->add_listener(charon->bus, &s->listener);
  else
    charon->bus->remove_listener(charon->bus, &s->listener);
}

itw_status sas_answer(struct sas *s, const struct itw_ask *ask, struct itw_answer *out)
{
  s->mutex->lock(s->mutex);
  const itw_status st = itw_keyring_answer(s->ring, ask, out);
  s->mutex->unlock(s->mutex);
  return st;
}

uint32_t sas_count(struct sas *s, uint32_t *child_sas)
{
  s->mutex->lock(s->mutex);
  const uint32_t n = s->ike_sas;
  *child_sas = s->child_sas;
  s->mutex->unlock(s->mutex);
  return n;
}
