/* SPDX-License-Identifier: BSD-3-Clause */
#include "ha.h"

/* ---- selectors ---- */

/* A CHILD SA's traffic is protected by it, and its IKE SA is what protects its keys: both serve connections inside. The ring
   has room for two selectors per SA; what doesn't fit is told. */
static void add_selectors(struct itwi_ha *ha, const struct itw_sa *sa, const struct itwi_ha_sa *child)
{
  struct itw_selector s;

  ITW_INIT(s);
  for (uint32_t l = 0; l < child->n_local; l++)
    for (uint32_t r = 0; r < child->n_remote; r++) {
      s.local_from = child->local_ts[l].from;
      s.local_to = child->local_ts[l].to;
      s.remote_from = child->remote_ts[r].from;
      s.remote_to = child->remote_ts[r].to;
      if (s.local_from.family != s.remote_from.family) continue;
      if (itw_keyring_add_selector(ha->ring, sa, &s) == ITW_ERR_FULL) ha->tell_full = true;
    }
}

static bool is_told_before(const struct itwi_ha *ha, const struct itwi_ha_sa *child)
{
  for (const struct itwi_ha_sa *s = itwi_ha_at(ha, child->older); s; s = itwi_ha_at(ha, s->older))
    if (s->alike == child->alike) return true;
  return false;
}

void itwi_ha_select(struct itwi_ha *ha, const struct itwi_ha_sa *ike)
{
  if (!ike->shown || itw_keyring_clear_selectors(ha->ring, &ike->sa) != ITW_OK) return;
  for (const struct itwi_ha_sa *s = itwi_ha_at(ha, ike->children); s; s = itwi_ha_at(ha, s->older))
    if (!is_told_before(ha, s)) add_selectors(ha, &ike->sa, s);
}

/* ---- SAs ---- */

static itw_status add_ike(struct itwi_ha *ha, const struct itwi_ha_sa *s)
{
  const struct itwi_ike_keys *const k = &s->keys.ike;
  struct itw_ike_sa sa;

  ITW_INIT(sa);
  sa.sa = s->sa;
  sa.local = s->local;
  sa.peer = s->remote;
  sa.schemes = ha->schemes;
  sa.established = s->order;
  sa.skeyseed_len = k->skeyseed_len;
  sa.sk_d_len = k->sk_d_len;
  memcpy(sa.skeyseed, k->skeyseed, sizeof sa.skeyseed);
  memcpy(sa.sk_d, k->sk_d, sizeof sa.sk_d);
  const itw_status st = itw_keyring_add_ike(ha->ring, &sa);
  itw_wipe(&sa, sizeof sa);
  return st;
}

static itw_status add_child(struct itwi_ha *ha, const struct itwi_ha_sa *s)
{
  const struct itwi_child_keys *const k = &s->keys.child;
  struct itw_child_sa sa;

  ITW_INIT(sa);
  sa.sa = s->sa;
  sa.local = s->local;
  sa.peer = s->remote;
  sa.schemes = ha->schemes;
  sa.established = s->order;
  sa.encr = k->encr;
  sa.encr_len = k->encr_len;
  sa.integ_len = k->integ_len;
  sa.keymat_len = k->keymat_len;
  sa.keyless = s->why;
  memcpy(sa.keymat, k->keymat, sizeof sa.keymat);
  itw_status st = k->keymat_len ? itw_child_sa_split(&sa) : ITW_OK;
  if (st == ITW_OK) st = itw_keyring_add_child(ha->ring, &sa);
  itw_wipe(&sa, sizeof sa);
  return st;
}

/* SK_d stays, for the KEYMAT of CHILD SAs to come. */
static void forget(struct itwi_ha_sa *s)
{
  if (s->ike)
    itw_wipe(&s->keys.child, sizeof s->keys.child);
  else
    itw_wipe(s->keys.ike.skeyseed, sizeof s->keys.ike.skeyseed);
}

static void show_ike(struct itwi_ha *ha, struct itwi_ha_sa *s)
{
  const itw_status st = s->keys.ike.skeyseed_len ? add_ike(ha, s) : s->why;

  s->shown = st == ITW_OK;
  if (!s->shown) s->why = st;
  ha->n_ike += s->shown;
  itwi_ha_select(ha, s);
}

static void show_child(struct itwi_ha *ha, struct itwi_ha_sa *s)
{
  const itw_status st = add_child(ha, s);

  s->shown = st == ITW_OK;
  if (!s->shown && !s->why) s->why = st;
  ha->n_child += s->shown;
  if (s->shown) add_selectors(ha, &s->sa, s);
}

void itwi_ha_show(struct itwi_ha *ha, struct itwi_ha_sa *s)
{
  const struct itwi_ha_sa *const ike = itwi_ha_at(ha, s->ike);

  s->state = ITWI_SA_LIVE;
  s->until = ITW_NEVER;
  if (!s->quiet) {
    if (ike)
      show_child(ha, s);
    else
      show_ike(ha, s);
    ha->n_unfit += !s->shown;
    itwi_ha_tell(ha, s, s->shown ? ITW_SOURCE_UP : ITW_SOURCE_UNFIT);
  }
  if (ike && ike->shown && !is_told_before(ha, s)) add_selectors(ha, &ike->sa, s);
  forget(s);
}

/* Connections may keep to it. */
void itwi_ha_hide(struct itwi_ha *ha, struct itwi_ha_sa *s)
{
  if (!s->shown || itw_keyring_retire(ha->ring, &s->sa) != ITW_OK) return;
  s->shown = false;
  if (s->sa.protocol == ITW_SA_IKE)
    ha->n_ike--;
  else
    ha->n_child--;
}

/* ---- answers ---- */

static bool same_ip(const struct itw_addr *a, const struct itw_addr *b)
{
  return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static itw_status reason(const struct itwi_ha *ha, const struct itw_ask *ask)
{
  if (ha->presence == ITWI_AWAY) return ITW_ERR_SOURCE_LOST;
  if (!ha->n_unfit) return ITW_OK;
  for (const struct itwi_ha_sa *s = ha->sas; s < ha->sas + ha->capacity; s++)
    if (s->state == ITWI_SA_LIVE && !s->shown && !s->quiet && same_ip(&s->remote, &ask->remote)) return s->why;
  return ITW_OK;
}

itw_status itwi_ha_answer(const struct itwi_ha *ha, const struct itw_ask *ask, struct itw_answer *out)
{
  const itw_status st = itw_keyring_answer(ha->ring, ask, out);
  if (st || out->kind != ITW_ANS_NONE || (out->why != ITW_ERR_SA_NONE && out->why != ITW_ERR_SA_MISMATCH)) return st;
  const itw_status why = reason(ha, ask);
  if (why) out->why = why;
  return st;
}
