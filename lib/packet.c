/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet.h"
#include "abi.h"

enum { SESSIONS_MAX = 1 << 20, WINDOW_MAX = 1 << 24, SLOTS_MAX = 1 << 20, REFWAIT_S = 900, TAI_UTC = 37 };
#define HOUR_NS UINT64_C(3600000000000)

_Static_assert(sizeof(struct itw_packet) == 112, "no padding, no pointers: the same on every ABI");
_Static_assert(sizeof(struct itw_addr) == 24, "compared and hashed as words");
_Static_assert(sizeof(struct itw_counts) == 112 && sizeof(struct itw_clock) == 8, "no padding");

bool itwi_burst_ok(const uint8_t *base, const struct itw_packet *items, size_t stride, size_t n)
{
  if (n == 0) return true;
  if (!base || !items || stride < sizeof *items || stride % _Alignof(struct itw_packet)) return false;
  return (uintptr_t)items % _Alignof(struct itw_packet) == 0;
}

itw_status itwi_clock_in(struct itwi_clock *clock, const struct itw_clock *in)
{
  if ((in->error && !(in->error & 0xff))) return ITW_ERR_ARGUMENT;
  clock->error = in->error ? in->error : itw_error_estimate(HOUR_NS, 0);
  clock->tai_utc = in->tai_utc ? in->tai_utc : TAI_UTC;
  return ITW_OK;
}

static itw_status check(struct itw_shard_config *c)
{
  struct itwi_clock clock;

  if (c->sessions == 0 || c->sessions > SESSIONS_MAX || c->window > WINDOW_MAX || c->slots > SLOTS_MAX)
    return ITW_ERR_ARGUMENT;
  if (c->flags || c->mbz || c->mbz32) return ITW_ERR_ARGUMENT;
  if (c->clock.size && c->clock.size != sizeof c->clock) return ITW_ERR_SIZE; /* its place in the config is fixed */
  if (c->contexts == 0) c->contexts = 1;
  if (c->contexts > c->sessions) c->contexts = c->sessions;
  if (c->refwait_s == 0) c->refwait_s = REFWAIT_S;
  c->window = c->window ? (c->window + 31) & ~UINT32_C(31) : 32;
  return itwi_clock_in(&clock, &c->clock);
}

itw_status itwi_config_in(struct itw_shard_config *out, const struct itw_shard_config *in)
{
  itw_status s = itwi_abi_in(out, sizeof *out, in, sizeof *out);
  return s == ITW_OK ? check(out) : s;
}

void *itwi_arena_take(struct itwi_arena *a, uint64_t n)
{
  uint8_t *at = a->p ? a->p + (size_t)a->used : NULL;
  a->used += (n + (ITWI_LINE - 1)) & ~(uint64_t)(ITWI_LINE - 1);
  return at;
}
