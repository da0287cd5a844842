/* SPDX-License-Identifier: BSD-3-Clause */
#include "sender.h"

/* RFC 4656 §4.1.1. A session is added, runs from its start on, and ends when Timeout has passed after its last packet, or by
   a stop. Its alarm stands at its next packet, in the end at its completion (§3.8).

   Packets are numbered when they are due, not when they are written: what the caller doesn't write, or can't send, is a skip
   like those that are told here, and slot.seq, the least number that may still be written, sees to it that none leaves out of
   turn. */

enum { SKIPS_MAX = 1024 }; /* packets in one item, so that a call's work is bounded by its items */

itw_status itw_sender_add_schedule(itw_sender *x, itw_id *out, const struct itw_session *session, const struct itw_slot *slots,
                                   size_t n, uint64_t user)
{
  itw_status st;

  if (!x || !out) return ITW_ERR_ARGUMENT;
  st = itwi_plans_check(&x->plans, slots, n);
  if (st == ITW_OK) st = itwi_shard_add(&x->shard, out, session, user, ITWI_AS_OWAMP_SENDER);
  if (st != ITW_OK) return st;
  st = itwi_plan_make(&x->plans, (uint32_t)*out, session, slots, n);
  if (st != ITW_OK) itwi_shard_remove(&x->shard, (uint32_t)*out);
  return st;
}

static struct itwi_slot *one_way_slot(const itw_sender *x, itw_id id, itw_status *why)
{
  struct itwi_slot *slot = x ? itwi_shard_slot(&x->shard, id) : NULL;

  *why = !x ? ITW_ERR_ARGUMENT : !slot ? ITW_ERR_STALE : !(slot->flags & ITWI_ONE_WAY) ? ITW_ERR_STATE : ITW_OK;
  return *why == ITW_OK ? slot : NULL;
}

itw_status itw_sender_start(itw_sender *x, itw_id id, const struct itw_wall *wall, itw_mono now)
{
  itw_status st;
  struct itwi_slot *slot = one_way_slot(x, id, &st);
  struct itwi_plan *plan;

  if (!slot) return st;
  if (slot->state != ITWI_SLOT_ADDED) return ITW_ERR_STATE;
  plan = &x->plans.of[(uint32_t)id];
  st = itwi_plan_begin(plan, wall, now);
  if (st != ITW_OK) return st;
  slot->state = ITWI_SLOT_RUNNING;
  itwi_alarm_set(&x->plans.alarms, (uint32_t)id, itwi_plan_time(plan, plan->offset, 0));
  return ITW_OK;
}

itw_status itw_sender_stop(itw_sender *x, uint32_t *next_seqno, itw_id id)
{
  itw_status st;
  struct itwi_slot *slot = one_way_slot(x, id, &st);

  if (!slot) return st;
  if (!next_seqno) return ITW_ERR_ARGUMENT;
  *next_seqno = x->plans.of[(uint32_t)id].next;
  slot->state = ITWI_SLOT_ENDED;
  itwi_plan_quiet(&x->plans, (uint32_t)id);
  return ITW_OK;
}

itw_mono itw_sender_deadline(const itw_sender *x) { return x ? itwi_plans_deadline(&x->plans) : ITW_NEVER; }

/* -------- due -------- */

/* The next packet is dealt with; the one after it has to be known before. */
static itw_status step(itw_sender *x, uint32_t at)
{
  struct itwi_plan *plan = &x->plans.of[at];
  const itw_status st = plan->drawn < plan->packets ? itwi_plan_draw(&x->plans, at) : ITW_OK;

  if (st == ITW_OK) plan->next++;
  return st;
}

static bool is_too_late(const struct itwi_plan *plan, itw_mono now)
{
  return plan->next < plan->packets && itwi_plan_late(plan, plan->offset, now) > (int64_t)plan->timeout;
}

/* A packet, or some that are too late. */
static itw_status take_due(itw_sender *x, uint32_t at, struct itw_packet *item, itw_mono now)
{
  const struct itwi_plan *plan = &x->plans.of[at];
  struct itwi_slot *slot = &x->shard.slots[at];
  const uint32_t first = plan->next;
  itw_status st = ITW_OK;

  if (!is_too_late(plan, now)) {
    st = step(x, at);
    if (st != ITW_OK) return st;
    item->status = ITW_OK;
  } else {
    while (is_too_late(plan, now) && plan->next - first < SKIPS_MAX && st == ITW_OK) st = step(x, at);
    if (plan->next == first) return st;
    item->status = ITW_SKIPPED;
    item->len = plan->next - first;
    slot->skipped += item->len;
    x->shard.sum.skipped += item->len;
  }
  item->id = itwi_slot_id(&x->shard, at);
  item->user = slot->user;
  item->seq = first;
  return ITW_OK;
}

static void set_alarm(itw_sender *x, uint32_t at)
{
  const struct itwi_plan *plan = &x->plans.of[at];
  const uint64_t rest = plan->next < plan->packets ? 0 : plan->timeout;

  itwi_alarm_set(&x->plans.alarms, at, itwi_plan_time(plan, plan->offset, rest));
}

itw_status itw_sender_due(itw_sender *x, struct itw_packet *items, size_t stride, size_t n, size_t *got, itw_mono now)
{
  struct itwi_alarms *alarms = x ? &x->plans.alarms : NULL;

  if (!x || !got || (n && !itwi_burst_ok((const uint8_t *)items, items, stride, n))) return ITW_ERR_ARGUMENT;
  *got = 0;
  while (alarms->n && itwi_alarm_first(alarms) <= now) {
    const uint32_t at = alarms->who[0];
    itw_status st;
    if (x->plans.of[at].next == x->plans.of[at].packets) {
      x->shard.slots[at].state = ITWI_SLOT_ENDED;
      itwi_plan_end(&x->plans, at);
      continue;
    }
    if (*got == n) break;
    st = take_due(x, at, itwi_item(items, stride, *got), now);
    if (st != ITW_OK) return st;
    set_alarm(x, at);
    ++*got;
  }
  return ITW_OK;
}

itw_status itw_sender_ended(itw_sender *x, itw_id *out, uint64_t *user)
{
  uint32_t at;

  if (!x || !out || !user) return ITW_ERR_ARGUMENT;
  if (!itwi_plans_ended(&x->plans, &at)) return ITW_EMPTY;
  *out = itwi_slot_id(&x->shard, at);
  *user = x->shard.slots[at].user;
  return ITW_OK;
}

itw_status itwi_sender_number(const itw_sender *x, struct itwi_slot *slot, const struct itw_packet *item)
{
  const struct itwi_plan *plan = &x->plans.of[itwi_slot_index(&x->shard, slot)];

  if (item->status != ITW_OK) return item->status;
  if (item->seq < slot->seq || item->seq >= plan->next) return ITW_ERR_STATE;
  slot->seq = item->seq;
  return ITW_OK;
}
