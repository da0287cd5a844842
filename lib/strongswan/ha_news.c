/* SPDX-License-Identifier: BSD-3-Clause */
#include "ha.h"

/* News stand in the SAs that they are about, which are linked in the order of their first untold one. An SA that is gone
   keeps its place until that was told: no queue can overflow. */

void itwi_ha_tell(struct itwi_ha *ha, struct itwi_ha_sa *s, uint32_t kind)
{
  if (!s->news) {
    const itwi_place place = itwi_ha_place(ha, s);
    s->next = 0;
    if (ha->last_news)
      itwi_ha_at(ha, ha->last_news)->next = place;
    else
      ha->first_news = place;
    ha->last_news = place;
  }
  s->news |= 1u << kind;
}

static itw_status tell(struct itw_source_event *out, uint32_t kind, itw_status why)
{
  ITW_INIT(*out);
  out->kind = kind;
  out->why = why;
  return ITW_OK;
}

static itw_status tell_of_sa(struct itwi_ha *ha, struct itwi_ha_sa *s, struct itw_source_event *out)
{
  static const uint32_t order[] = {ITW_SOURCE_UP, ITW_SOURCE_UNFIT, ITW_SOURCE_REKEYED, ITW_SOURCE_GONE};
  size_t i = 0;

  while (!(s->news & 1u << order[i])) i++;
  (void)tell(out, order[i], i < 2 ? s->why : 0);
  out->sa = s->sa;
  out->local = s->local;
  out->remote = s->remote;
  if (order[i] == ITW_SOURCE_REKEYED) out->by = s->by;
  s->news &= ~(1u << order[i]);
  if (s->news) return ITW_OK;
  ha->first_news = s->next;
  if (!s->next) ha->last_news = 0;
  s->next = 0;
  if (s->state == ITWI_SA_GONE) itwi_ha_release(ha, s);
  return ITW_OK;
}

itw_status itwi_ha_event(struct itwi_ha *ha, struct itw_source_event *out)
{
  const itw_status refused = ha->tell_refused;

  if (ha->tell_lost) {
    ha->tell_lost = false;
    return tell(out, ITW_SOURCE_LOST, ITW_ERR_SOURCE_LOST);
  }
  if (ha->tell_resync) {
    ha->tell_resync = false;
    return tell(out, ITW_SOURCE_RESYNC, 0);
  }
  if (ha->first_news) return tell_of_sa(ha, itwi_ha_at(ha, ha->first_news), out);
  if (refused) {
    ha->tell_refused = 0;
    return tell(out, ITW_SOURCE_UNFIT, refused);
  }
  if (ha->tell_full) {
    ha->tell_full = false;
    return tell(out, ITW_SOURCE_FULL, ITW_ERR_FULL);
  }
  return ITW_EMPTY;
}
