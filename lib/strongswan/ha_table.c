/* SPDX-License-Identifier: BSD-3-Clause */
#include "ha.h"

_Static_assert(sizeof(struct itwi_ha) % 8 == 0 && sizeof(struct itwi_ha_sa) % 8 == 0, "the arrays stand one behind the other");

static uint32_t heads(uint32_t capacity)
{
  uint32_t n = 2;
  while (n < capacity) n <<= 1;
  return n;
}

size_t itwi_ha_size(uint32_t capacity)
{
  return sizeof(struct itwi_ha) + capacity * sizeof(struct itwi_ha_sa) + heads(capacity) * sizeof(itwi_place);
}

void itwi_ha_lay_out(struct itwi_ha *ha, uint32_t capacity)
{
  ha->capacity = capacity;
  ha->size = itwi_ha_size(capacity);
  ha->sas = (void *)(ha + 1);
  ha->by_name = (void *)(ha->sas + capacity);
  ha->shift = 64;
  for (uint32_t bits = heads(capacity); bits > 1; bits >>= 1) ha->shift--;
  for (uint32_t i = 1; i < capacity; i++) ha->sas[i - 1].next = i + 1;
  ha->free = 1;
}

struct itwi_ha_sa *itwi_ha_at(const struct itwi_ha *ha, itwi_place place) { return place ? &ha->sas[place - 1] : NULL; }

itwi_place itwi_ha_place(const struct itwi_ha *ha, const struct itwi_ha_sa *s) { return (itwi_place)(s - ha->sas) + 1; }

/* ---- names ---- */

/* No key: one of an IKE SA's SPIs, and a CHILD SA's inbound one, are charon's own random numbers. */
static itwi_place *head(const struct itwi_ha *ha, uint64_t name)
{
  return &ha->by_name[(name * UINT64_C(0x9e3779b97f4a7c15)) >> ha->shift];
}

static itwi_place *head_of(const struct itwi_ha *ha, const struct itwi_ha_sa *s)
{
  return head(ha, s->ike ? s->inbound : s->sa.spi_i + s->sa.spi_r);
}

struct itwi_ha_sa *itwi_ha_find_ike(const struct itwi_ha *ha, const struct itwi_ha_id *id)
{
  struct itwi_ha_sa *s = itwi_ha_at(ha, *head(ha, id->spi_i + id->spi_r));

  while (s && (s->ike || s->sa.spi_i != id->spi_i || s->sa.spi_r != id->spi_r)) s = itwi_ha_at(ha, s->same_name);
  return s;
}

struct itwi_ha_sa *itwi_ha_find_child(const struct itwi_ha *ha, const struct itwi_ha_sa *ike, uint32_t inbound)
{
  struct itwi_ha_sa *s = itwi_ha_at(ha, *head(ha, inbound));

  while (s && (s->ike != itwi_ha_place(ha, ike) || s->inbound != inbound)) s = itwi_ha_at(ha, s->same_name);
  return s;
}

static void unlink_name(struct itwi_ha *ha, const struct itwi_ha_sa *s)
{
  itwi_place *at = head_of(ha, s);
  while (*at != itwi_ha_place(ha, s)) at = &itwi_ha_at(ha, *at)->same_name;
  *at = s->same_name;
}

/* ---- an IKE SA's CHILD SAs ---- */

static void adopt(struct itwi_ha *ha, struct itwi_ha_sa *ike, struct itwi_ha_sa *child)
{
  child->ike = itwi_ha_place(ha, ike);
  child->older = ike->children;
  child->younger = 0;
  if (ike->children) itwi_ha_at(ha, ike->children)->younger = itwi_ha_place(ha, child);
  ike->children = itwi_ha_place(ha, child);
}

static void leave(struct itwi_ha *ha, struct itwi_ha_sa *child)
{
  if (child->older) itwi_ha_at(ha, child->older)->younger = child->younger;
  if (child->younger)
    itwi_ha_at(ha, child->younger)->older = child->older;
  else
    itwi_ha_at(ha, child->ike)->children = child->older;
  child->older = child->younger = 0;
}

/* The oldest first: their order stays. Inbound SPIs are charon's own and unique, so an heir has none of them already; a feed that
   says otherwise makes no twins. */
static void leave_to(struct itwi_ha *ha, struct itwi_ha_sa *ike, struct itwi_ha_sa *heir)
{
  struct itwi_ha_sa *child = itwi_ha_at(ha, ike->children);

  while (child && child->older) child = itwi_ha_at(ha, child->older);
  while (child) {
    struct itwi_ha_sa *const younger = itwi_ha_at(ha, child->younger);
    leave(ha, child);
    if (heir && !itwi_ha_find_child(ha, heir, child->inbound))
      adopt(ha, heir, child);
    else
      itwi_ha_drop(ha, child, NULL);
    child = younger;
  }
}

/* ---- coming and going ---- */

/* Unauthenticated peers can begin as many IKE SAs as they like, so those make room. Looking at all costs less than the
   Diffie-Hellman exchange that charon has made for each. */
static struct itwi_ha_sa *oldest_half(const struct itwi_ha *ha)
{
  struct itwi_ha_sa *oldest = NULL;

  for (struct itwi_ha_sa *s = ha->sas; s < ha->sas + ha->capacity; s++)
    if (s->state == ITWI_SA_HALF && !s->ike && (!oldest || s->order < oldest->order)) oldest = s;
  return oldest;
}

struct itwi_ha_sa *itwi_ha_take(struct itwi_ha *ha, struct itwi_ha_sa *ike, const struct itw_sa *sa, uint32_t inbound)
{
  struct itwi_ha_sa *const half = ha->free ? NULL : oldest_half(ha);

  if (half && half != ike) itwi_ha_drop(ha, half, NULL);
  struct itwi_ha_sa *const s = itwi_ha_at(ha, ha->free);
  if (!s) {
    ha->tell_full = true;
    return NULL;
  }
  ha->free = s->next;
  *s = (struct itwi_ha_sa){.sa = *sa, .order = ++ha->order, .until = ITW_NEVER, .seen = ha->resyncs, .inbound = inbound,
                           .state = ITWI_SA_HALF};
  if (ike) adopt(ha, ike, s);
  itwi_place *const name = head_of(ha, s);
  s->same_name = *name;
  *name = itwi_ha_place(ha, s);
  return s;
}

void itwi_ha_release(struct itwi_ha *ha, struct itwi_ha_sa *s)
{
  *s = (struct itwi_ha_sa){.next = ha->free};
  ha->free = itwi_ha_place(ha, s);
}

/* Whether the IKE SA has another CHILD SA for the same traffic. */
static bool has_like(const struct itwi_ha *ha, const struct itwi_ha_sa *ike, uint64_t alike)
{
  for (const struct itwi_ha_sa *s = itwi_ha_at(ha, ike->children); s; s = itwi_ha_at(ha, s->older))
    if (s->alike == alike) return true;
  return false;
}

void itwi_ha_drop(struct itwi_ha *ha, struct itwi_ha_sa *s, struct itwi_ha_sa *by)
{
  struct itwi_ha_sa *const ike = itwi_ha_at(ha, s->ike);
  struct itwi_ha_sa *const replaced = s->heir_of.spi_i ? itwi_ha_find_ike(ha, &s->heir_of) : NULL;
  const bool shown = s->shown;

  if (s->state == ITWI_SA_HALF && replaced && replaced->heirs) replaced->heirs--;
  ha->n_unfit -= s->state == ITWI_SA_LIVE && !shown && !s->quiet;
  unlink_name(ha, s);
  s->state = ITWI_SA_GONE;
  itwi_ha_hide(ha, s);
  if (ike) {
    leave(ha, s);
    s->ike = 0;
    if (ike->state != ITWI_SA_GONE && !has_like(ha, ike, s->alike)) itwi_ha_select(ha, ike);
  } else {
    leave_to(ha, s, by);
    if (by) itwi_ha_select(ha, by);
  }
  itw_wipe(&s->keys, sizeof s->keys);
  if (by) s->by = by->sa;
  if (shown && !s->replaced) itwi_ha_tell(ha, s, by ? ITW_SOURCE_REKEYED : ITW_SOURCE_GONE);
  if (!s->news) itwi_ha_release(ha, s);
}

void itwi_ha_clear(struct itwi_ha *ha)
{
  for (struct itwi_ha_sa *s = ha->sas; s < ha->sas + ha->capacity; s++)
    if (s->shown) itwi_ha_hide(ha, s);
  itw_wipe(ha->sas, ha->capacity * sizeof *ha->sas);
  memset(ha->by_name, 0, heads(ha->capacity) * sizeof *ha->by_name);
  ha->first_news = ha->last_news = ha->n_unfit = 0;
  itwi_ha_lay_out(ha, ha->capacity);
}
