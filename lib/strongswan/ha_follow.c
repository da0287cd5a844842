/* SPDX-License-Identifier: BSD-3-Clause */
#include "ha.h"

/* An IKE_AUTH exchange is given up by charon after 165 s of retransmissions; an heir's IKE_UPDATE comes in the same burst. */
#define HALF_OPEN ITWI_SECONDS(180)
#define HEIR ITWI_SECONDS(1)
#define REPLACED ITWI_SECONDS(1)
/* A RESYNC rekeys CHILD SAs: not for each SA whose beginning wasn't heard of. charon's own, 1 s after its start, may come
   after we have seen it come back. */
#define UNKNOWN_SA ITWI_SECONDS(60)
#define CHARON_RESYNC ITWI_SECONDS(3)

enum { IKE_SCHEMES = ITW_IKEV2 | ITW_SHARED | ITW_SHARED_SID | ITW_ROOT };

/* ---- IKE SAs ---- */

static void ike_add(struct itwi_ha *ha, const struct itwi_ha_message *m, itw_mono now)
{
  const struct itw_sa sa = {sizeof sa, ITW_SA_IKE, m->prf, 0, m->ike.spi_i, m->ike.spi_r};
  struct itwi_ha_sa *const old = m->rekeyed.spi_i ? itwi_ha_find_ike(ha, &m->rekeyed) : NULL;
  struct itwi_ha_sa *s = itwi_ha_find_ike(ha, &m->ike);

  if (s) {
    s->seen = ha->resyncs;
    if (s->state != ITWI_SA_HALF || m->prf) return;
    itw_wipe(&s->keys.ike, sizeof s->keys.ike); /* one more key exchange (RFC 9370), which isn't followed */
    s->why = ITW_ERR_SA_KEYS;
    return;
  }
  s = itwi_ha_take(ha, NULL, &sa, 0);
  if (!s) return;
  s->remote = m->remote;
  s->quiet = !(ha->schemes & IKE_SCHEMES);
  s->why = itwi_ha_ike_keys(&s->keys.ike, m, ha->crypto);
  s->heir_of = m->rekeyed;
  if (old) old->heirs++;
  itwi_ha_limit(ha, s, now + HALF_OPEN);
}

/* The PPK makes another SK_d, but not another SKEYSEED; after a rekey the old SK_d that was told has it in it (RFC 8784). */
static void mix_ppk(struct itwi_ha *ha, struct itwi_ha_sa *s)
{
  itw_wipe(s->keys.ike.sk_d, sizeof s->keys.ike.sk_d);
  s->keys.ike.sk_d_len = 0;
  for (struct itwi_ha_sa *c = itwi_ha_at(ha, s->children); c; c = itwi_ha_at(ha, c->older)) {
    itw_wipe(c->keys.child.keymat, sizeof c->keys.child.keymat);
    c->keys.child.keymat_len = 0;
    c->why = ITW_ERR_SA_KEYS;
  }
}

static void show_child(struct itwi_ha *ha, const struct itwi_ha_sa *ike, struct itwi_ha_sa *child, itw_mono now)
{
  child->local = ike->local;
  child->remote = ike->remote;
  itwi_ha_show(ha, child);
  for (struct itwi_ha_sa *s = itwi_ha_at(ha, child->older); s && child->shown; s = itwi_ha_at(ha, s->older))
    if (s->alike == child->alike && s->shown && !s->replaced) itwi_ha_limit(ha, s, now + REPLACED);
}

static void ike_update(struct itwi_ha *ha, const struct itwi_ha_message *m, itw_mono now)
{
  struct itwi_ha_sa *const s = itwi_ha_find_ike(ha, &m->ike);

  if (!m->local.family || !m->remote.family) return; /* only virtual addresses */
  if (!s) {
    itwi_ha_miss(ha, UNKNOWN_SA, now);
    return;
  }
  s->seen = ha->resyncs;
  if (s->state != ITWI_SA_HALF) return;
  s->local = m->local;
  s->remote = m->remote;
  if (m->ppk && !s->heir_of.spi_i) mix_ppk(ha, s);
  itwi_ha_show(ha, s);
  struct itwi_ha_sa *child = itwi_ha_at(ha, s->children);
  while (child && child->older) child = itwi_ha_at(ha, child->older);
  for (; child; child = itwi_ha_at(ha, child->younger)) show_child(ha, s, child, now);
  struct itwi_ha_sa *const old = s->heir_of.spi_i ? itwi_ha_find_ike(ha, &s->heir_of) : NULL;
  if (old && old != s) itwi_ha_drop(ha, old, s);
}

static void ike_delete(struct itwi_ha *ha, const struct itwi_ha_message *m, itw_mono now)
{
  struct itwi_ha_sa *const s = itwi_ha_find_ike(ha, &m->ike);

  if (!s) return;
  if (s->state == ITWI_SA_HALF || !s->heirs) {
    itwi_ha_drop(ha, s, NULL);
    return;
  }
  itwi_ha_limit(ha, s, now + HEIR);
}

/* ---- CHILD SAs ---- */

static uint64_t hash(uint64_t h, const void *octets, size_t n)
{
  const uint8_t *const p = octets;
  for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
  return h;
}

static uint64_t likeness(const struct itwi_ha_message *m)
{
  uint64_t h = hash(UINT64_C(0xcbf29ce484222325), m->name.p, m->name.len);
  h = hash(h, m->local_ts, m->n_local * sizeof m->local_ts[0]);
  return hash(h, m->remote_ts, m->n_remote * sizeof m->remote_ts[0]);
}

static void child_add(struct itwi_ha *ha, const struct itwi_ha_message *m, itw_mono now)
{
  struct itwi_ha_sa *const ike = itwi_ha_find_ike(ha, &m->ike);
  struct itw_sa sa = {sizeof sa, 0, 0, 0, m->initiator ? m->inbound : m->outbound, m->initiator ? m->outbound : m->inbound};

  if (!ike) {
    itwi_ha_miss(ha, UNKNOWN_SA, now);
    return;
  }
  if (itwi_ha_find_child(ha, ike, m->inbound)) return;
  const uint32_t prf = ike->keys.ike.sk_d_len ? ike->sa.prf : 0;
  struct itwi_ha_sa *const s = itwi_ha_take(ha, ike, &sa, m->inbound);
  if (!s) return;
  s->why = itwi_ha_child_keys(&s->keys.child, m, prf, ike->keys.ike.sk_d, ha->crypto);
  s->sa.protocol = s->keys.child.protocol;
  s->sa.prf = prf;
  s->quiet = !(ha->schemes & ITW_DRAFT);
  s->alike = likeness(m);
  s->n_local = m->n_local;
  s->n_remote = m->n_remote;
  memcpy(s->local_ts, m->local_ts, sizeof s->local_ts);
  memcpy(s->remote_ts, m->remote_ts, sizeof s->remote_ts);
  if (ike->state == ITWI_SA_LIVE) show_child(ha, ike, s, now);
}

struct itwi_ha_sa *itwi_ha_replacement(const struct itwi_ha *ha, const struct itwi_ha_sa *child)
{
  struct itwi_ha_sa *by = NULL;

  for (struct itwi_ha_sa *s = itwi_ha_at(ha, child->younger); s; s = itwi_ha_at(ha, s->younger))
    if (s->alike == child->alike && s->shown) by = s;
  return by;
}

static void child_delete(struct itwi_ha *ha, const struct itwi_ha_message *m)
{
  const struct itwi_ha_sa *const ike = itwi_ha_find_ike(ha, &m->ike);
  struct itwi_ha_sa *const s = ike ? itwi_ha_find_child(ha, ike, m->inbound) : NULL;

  if (s) itwi_ha_drop(ha, s, itwi_ha_replacement(ha, s));
}

/* ---- all of them ---- */

static void obey(struct itwi_ha *ha, const struct itwi_ha_message *m, itw_mono now)
{
  if (m->type != ITWI_HA_RESYNC && !m->ike.spi_i) return;
  switch (m->type) {
  case ITWI_HA_IKE_ADD: ike_add(ha, m, now); break;
  case ITWI_HA_IKE_UPDATE: ike_update(ha, m, now); break;
  case ITWI_HA_IKE_DELETE: ike_delete(ha, m, now); break;
  case ITWI_HA_CHILD_ADD: child_add(ha, m, now); break;
  case ITWI_HA_CHILD_DELETE: child_delete(ha, m); break;
  case ITWI_HA_RESYNC: /* charon has begun anew, perhaps too quickly to be missed */
    if (now - ha->resynced_at >= CHARON_RESYNC) itwi_ha_miss(ha, 0, now);
    break;
  default: break; /* of charons among themselves */
  }
}

void itwi_ha_follow(struct itwi_ha *ha, const uint8_t *datagram, size_t len, itw_mono now)
{
  struct itwi_ha_message m;
  const itw_status st = itwi_ha_decode(&m, datagram, len);

  if (!st) {
    if (m.version != ha->version) ha->ping_at = now; /* now it can be done often */
    ha->version = m.version;
    ha->refused = false;
    itwi_ha_there(ha, now);
    obey(ha, &m, now);
  } else if (!ha->refused) {
    ha->refused = true;
    ha->tell_refused = st;
  }
}
