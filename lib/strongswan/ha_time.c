/* SPDX-License-Identifier: BSD-3-Clause */
#include "ha.h"

#define PING ITWI_SECONDS(1)
#define PING_UNKNOWN ITWI_SECONDS(30) /* a charon of another version logs each one */
#define IKE_SWEEP ITWI_SECONDS(5)     /* charon tells its IKE SAs at once */
#define CHILD_SWEEP ITWI_SECONDS(30)  /* and its CHILD SAs as they are rekeyed */

/* ---- charon, there and away ---- */

void itwi_ha_away(struct itwi_ha *ha)
{
  ha->pinged = false;
  if (ha->presence == ITWI_AWAY) return;
  if (ha->presence == ITWI_THERE) ha->tell_lost = true;
  ha->presence = ITWI_AWAY;
  ha->tell_resync = false;
  ha->resync_at = ha->check_at = ha->ike_sweep_at = ha->child_sweep_at = ITW_NEVER;
  itwi_ha_clear(ha);
}

void itwi_ha_there(struct itwi_ha *ha, itw_mono now)
{
  if (ha->presence == ITWI_AWAY) itwi_ha_miss(ha, 0, now);
  ha->presence = ITWI_THERE;
}

void itwi_ha_miss(struct itwi_ha *ha, itw_mono gap, itw_mono now)
{
  const itw_mono at = ha->resyncs && ha->resynced_at + gap > now ? ha->resynced_at + gap : now;
  if (at < ha->resync_at) ha->resync_at = at;
}

/* ---- what is over ---- */

void itwi_ha_limit(struct itwi_ha *ha, struct itwi_ha_sa *s, itw_mono until)
{
  s->until = until;
  if (until < ha->check_at) ha->check_at = until;
}

/* A CHILD SA whose successor is still there. */
static void replace(struct itwi_ha *ha, struct itwi_ha_sa *child)
{
  const struct itwi_ha_sa *const by = itwi_ha_replacement(ha, child);

  child->until = ITW_NEVER;
  if (!by) return;
  child->by = by->sa;
  child->replaced = true;
  itwi_ha_tell(ha, child, ITW_SOURCE_REKEYED);
}

/* Looks at all SAs, so it isn't done more often than once a second. */
static void check(struct itwi_ha *ha, itw_mono now)
{
  ha->check_at = ITW_NEVER;
  for (struct itwi_ha_sa *s = ha->sas; s < ha->sas + ha->capacity; s++) {
    if ((s->state != ITWI_SA_HALF && s->state != ITWI_SA_LIVE) || s->until == ITW_NEVER) continue;
    if (s->until > now)
      ha->check_at = s->until < ha->check_at ? s->until : ha->check_at;
    else if (s->ike && s->state == ITWI_SA_LIVE)
      replace(ha, s);
    else
      itwi_ha_drop(ha, s, NULL);
  }
  if (ha->check_at < now + ITWI_SECONDS(1)) ha->check_at = now + ITWI_SECONDS(1);
}

/* Those that charon didn't tell of when it told all. */
static void sweep(struct itwi_ha *ha, bool children)
{
  for (struct itwi_ha_sa *s = ha->sas; s < ha->sas + ha->capacity; s++) {
    const bool there = s->state == ITWI_SA_HALF || s->state == ITWI_SA_LIVE;
    if (!there || s->seen == ha->resyncs || (s->ike != 0) != children) continue;
    itwi_ha_drop(ha, s, children ? itwi_ha_replacement(ha, s) : NULL);
  }
}

/* ---- in time ---- */

static void ping(struct itwi_ha *ha, itw_mono now)
{
  if (ha->pinged) itwi_ha_there(ha, now);
  ha->pinged = true;
  ha->ping_at = now + (ha->version ? PING : PING_UNKNOWN);
  itwi_ha_send(ha, true);
}

static void resync(struct itwi_ha *ha, itw_mono now)
{
  if (ha->resyncs++) ha->tell_resync = true;
  ha->resynced_at = now;
  ha->resync_at = ITW_NEVER;
  ha->ike_sweep_at = now + IKE_SWEEP;
  ha->child_sweep_at = now + CHILD_SWEEP;
  itwi_ha_send(ha, false);
}

void itwi_ha_tick(struct itwi_ha *ha, itw_mono now)
{
  if (ha->ping_at <= now) ping(ha, now);
  if (ha->resync_at <= now) resync(ha, now);
  if (ha->check_at <= now) check(ha, now);
  if (ha->ike_sweep_at <= now) {
    ha->ike_sweep_at = ITW_NEVER;
    sweep(ha, false);
  }
  if (ha->child_sweep_at <= now) {
    ha->child_sweep_at = ITW_NEVER;
    sweep(ha, true);
  }
}

itw_mono itwi_ha_deadline(const struct itwi_ha *ha)
{
  const itw_mono due[] = {ha->ping_at, ha->resync_at, ha->check_at, ha->ike_sweep_at, ha->child_sweep_at};
  itw_mono first = ITW_NEVER;

  for (size_t i = 0; i < sizeof due / sizeof due[0]; i++)
    if (due[i] < first) first = due[i];
  return first;
}
