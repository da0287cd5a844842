/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_PLAN_H
#define ITWI_PLAN_H

/* Schedules under way, those of a shard: what a Session-Sender and a Session-Receiver have in common (RFC 4656 §4.1.1). The
   wall clock is looked at once, when the session is started: that says how far away Start Time is. From then on loop time
   counts, so that a step of the wall clock moves nothing. Layer 5. */

#include "alarm.h"
#include "packet.h"
#include "schedule.h"

struct itwi_plan {
  struct itw_schedule schedule;
  uint64_t offset;  /* after Start Time, of the packet drawn last: seconds 32, fraction 32, not wrapping */
  uint64_t timeout; /* ns */
  itw_ntp start;    /* Start Time */
  itw_mono began;   /* when the session was started */
  int64_t ahead;    /* from then to Start Time, ns */
  uint32_t packets, slots;
  uint32_t drawn;   /* packets whose offsets are known, at least 1 */
  uint32_t next;    /* sender: the packet that leaves next */
  uint32_t after;   /* in the chain of those that have ended: session + 1 */
  uint32_t ended;   /* it is in that chain */
};

struct itwi_plans {
  struct itwi_plan *of;  /* each session's */
  struct itw_slot *slots; /* `most` of each session */
  struct itwi_alarms alarms;
  const struct itwi_backend *backend;
  struct itwi_cbc cbc; /* keyed by whoever draws */
  bool random;         /* there is AES */
  uint32_t most;       /* slots of a session; 0: this shard has no schedules */
  uint32_t ended;      /* sessions that are to be told: a chain, session + 1; 0: none */
};

/* Memory per session; what remains of it is returned, aligned for uint64_t. */
uint32_t itwi_plans_octets(const struct itw_shard_config *);
uint8_t *itwi_plans_cut(struct itwi_plans *, uint8_t *memory, const struct itw_shard_config *);
itw_status itwi_plans_open(struct itwi_plans *, const struct itwi_backend *);
void itwi_plans_close(struct itwi_plans *);

/* Whether a session may have these slots here. */
itw_status itwi_plans_check(const struct itwi_plans *, const struct itw_slot *, size_t n);
/* The slots have been checked. Draws the first offset. */
itw_status itwi_plan_make(struct itwi_plans *, uint32_t session, const struct itw_session *, const struct itw_slot *, size_t n);
void itwi_plan_forget(struct itwi_plans *, uint32_t session);
void itwi_plan_quiet(struct itwi_plans *, uint32_t session); /* no alarm, and no end to be told */
itw_status itwi_plan_begin(struct itwi_plan *, const struct itw_wall *, itw_mono now);

/* The next packet's offset. */
static inline itw_status itwi_plan_draw(struct itwi_plans *p, uint32_t session)
{
  struct itwi_plan *x = &p->of[session];
  const uint64_t before = x->schedule.offset;
  const itw_status st = itwi_schedule_next(&x->schedule, p->slots + (size_t)session * p->most, x->slots, &p->cbc, p->backend);

  if (st != ITW_OK) return st;
  x->offset = x->schedule.offset < before || x->offset == UINT64_MAX ? UINT64_MAX : x->schedule.offset;
  x->drawn++;
  return ITW_OK;
}
/* How long ago a packet was due, ns; negative: it isn't yet. */
int64_t itwi_plan_late(const struct itwi_plan *, uint64_t offset, itw_mono now);
/* When it is due, or ns after that. At once if that was before loop time began. */
itw_mono itwi_plan_time(const struct itwi_plan *, uint64_t offset, uint64_t ns);

/* The session needs no alarm any more, and its end is to be told; false: no such session. */
void itwi_plan_end(struct itwi_plans *, uint32_t session);
bool itwi_plans_ended(struct itwi_plans *, uint32_t *session);
/* 0: at once, an end is to be told. */
static inline itw_mono itwi_plans_deadline(const struct itwi_plans *p)
{
  return p->ended ? 0 : itwi_alarm_first(&p->alarms);
}

#endif
