/* SPDX-License-Identifier: BSD-3-Clause */
#include "plan.h"
#include "abi.h"

#define LONGEST (UINT64_C(1) << 61) /* Timeout in ns, 73 years: sums of times below stay within 63 bits */

_Static_assert(sizeof(struct itwi_plan) == 192, "no padding");
_Static_assert(sizeof(struct itw_wall) == 16, "no padding");

uint32_t itwi_plans_octets(const struct itw_shard_config *c)
{
  const uint32_t alarm = sizeof(itw_mono) + 2 * sizeof(uint32_t);
  return c->slots ? (uint32_t)(sizeof(struct itwi_plan) + c->slots * sizeof(struct itw_slot)) + alarm : 0;
}

uint8_t *itwi_plans_cut(struct itwi_plans *p, uint8_t *memory, const struct itw_shard_config *c)
{
  const size_t n = c->sessions;

  if (c->slots == 0) return memory;
  p->most = c->slots;
  p->of = (struct itwi_plan *)(void *)memory;
  p->slots = (struct itw_slot *)(void *)(p->of + n);
  p->alarms.at = (itw_mono *)(void *)(p->slots + n * p->most);
  p->alarms.who = (uint32_t *)(void *)(p->alarms.at + n);
  p->alarms.place = p->alarms.who + n;
  return (uint8_t *)(p->alarms.place + n);
}

itw_status itwi_plans_open(struct itwi_plans *p, const struct itwi_backend *b)
{
  itw_status st;

  if (p->most == 0) return ITW_OK;
  p->backend = b;
  st = itwi_cbc_open(&p->cbc, b);
  p->random = st == ITW_OK;
  return st == ITW_ERR_UNSUPPORTED ? ITW_OK : st;
}

void itwi_plans_close(struct itwi_plans *p) { itwi_cbc_close(&p->cbc); }

itw_status itwi_plans_check(const struct itwi_plans *p, const struct itw_slot *slots, size_t n)
{
  if (!itwi_slots_ok(slots, n)) return ITW_ERR_ARGUMENT;
  if (n > p->most) return ITW_ERR_TOO_SMALL;
  return p->random || !itwi_slots_random(slots, n) ? ITW_OK : ITW_ERR_UNSUPPORTED;
}

itw_status itwi_plan_make(struct itwi_plans *p, uint32_t session, const struct itw_session *s, const struct itw_slot *slots,
                          size_t n)
{
  struct itwi_plan *x = &p->of[session];
  struct itw_session_info i;
  itw_status st;

  ITW_INIT(i);
  st = itw_session_info(s, &i);
  if (st != ITW_OK) return st;
  memset(x, 0, sizeof *x);
  itw_schedule_begin(&x->schedule, i.sid);
  x->start = i.start;
  x->timeout = itwi_span_ns(i.timeout);
  if (x->timeout > LONGEST) x->timeout = LONGEST;
  x->packets = i.packets;
  x->slots = (uint32_t)n;
  memcpy(p->slots + (size_t)session * p->most, slots, n * sizeof *slots);
  return itwi_plan_draw(p, session);
}

void itwi_plan_quiet(struct itwi_plans *p, uint32_t session)
{
  struct itwi_plan *x = &p->of[session];

  itwi_alarm_clear(&p->alarms, session);
  if (x->ended) {
    uint32_t *link = &p->ended;
    while (*link != session + 1) link = &p->of[*link - 1].after;
    *link = x->after;
    x->ended = x->after = 0;
  }
}

void itwi_plan_forget(struct itwi_plans *p, uint32_t session)
{
  itwi_plan_quiet(p, session);
  memset(&p->of[session], 0, sizeof p->of[session]);
}

itw_status itwi_plan_begin(struct itwi_plan *x, const struct itw_wall *wall, itw_mono now)
{
  struct itw_wall w;
  const itw_status st = itwi_abi_in(&w, sizeof w, wall, sizeof w);

  if (st != ITW_OK) return st;
  if (w.mbz) return ITW_ERR_ARGUMENT;
  x->began = now;
  x->ahead = itw_ntp_diff_ns(x->start, w.now);
  return ITW_OK;
}

/* From the start of the session to the packet: below 2^62 + 2^61. */
static int64_t wait_ns(const struct itwi_plan *x, uint64_t offset) { return x->ahead + (int64_t)itwi_span_ns(offset); }

int64_t itwi_plan_late(const struct itwi_plan *x, uint64_t offset, itw_mono now)
{
  const uint64_t passed = now > x->began ? now - x->began : 0;
  return (int64_t)(passed < 2 * LONGEST ? passed : 2 * LONGEST) - wait_ns(x, offset);
}

itw_mono itwi_plan_time(const struct itwi_plan *x, uint64_t offset, uint64_t ns)
{
  const int64_t wait = wait_ns(x, offset) + (int64_t)ns;

  if (wait >= 0) return itwi_later(x->began, (uint64_t)wait);
  return x->began > (uint64_t)-wait ? x->began - (uint64_t)-wait : 0;
}

void itwi_plan_end(struct itwi_plans *p, uint32_t session)
{
  struct itwi_plan *x = &p->of[session];

  itwi_plan_quiet(p, session);
  x->ended = 1;
  x->after = p->ended;
  p->ended = session + 1;
}

bool itwi_plans_ended(struct itwi_plans *p, uint32_t *session)
{
  struct itwi_plan *x;

  if (!p->ended) return false;
  *session = p->ended - 1;
  x = &p->of[*session];
  p->ended = x->after;
  x->ended = x->after = 0;
  return true;
}
