/* SPDX-License-Identifier: BSD-3-Clause */
#include "arrivals.h"
#include <ipsectwamp/types.h>

/* ---- losses ---- */

static void lose(struct itwi_losses *l, uint64_t n)
{
  if (!n) return;
  l->runs += l->current == 0;
  l->current += n;
  l->lost += n;
  if (l->current > l->longest) l->longest = l->current;
}

/* None in [l->upto, upto) arrived. Those left out are neither lost nor the end of a run. */
static void settle_missing(const struct itwi_arrivals *a, struct itwi_losses *l, uint64_t upto)
{
  for (; l->skip < a->skip_count && l->upto < upto && a->skips[l->skip].first < upto; l->skip++) {
    const struct itw_skip *s = &a->skips[l->skip];
    const uint64_t first = s->first > l->upto ? s->first : l->upto;
    const uint64_t end = s->last < upto ? s->last + UINT64_C(1) : upto;
    if (end <= l->upto) continue; /* behind */
    lose(l, first - l->upto);
    l->skipped += end - first;
    l->upto = end;
    if (s->last >= upto) return; /* it goes on */
  }
  lose(l, upto - l->upto);
  l->upto = upto;
}

static bool bit(const struct itwi_arrivals *a, uint64_t seq)
{
  const uint32_t at = (uint32_t)seq & a->mask;
  return a->bits[at >> 5] >> (at & 31) & 1;
}
static void set_bit(struct itwi_arrivals *a, uint64_t seq, bool to)
{
  const uint32_t at = (uint32_t)seq & a->mask;
  a->bits[at >> 5] = (a->bits[at >> 5] & ~(UINT32_C(1) << (at & 31))) | (uint32_t)to << (at & 31);
}

/* Up to upto, no further than the window reaches. */
static void settle(const struct itwi_arrivals *a, struct itwi_losses *l, uint64_t upto)
{
  while (l->upto < upto) {
    if (bit(a, l->upto)) {
      l->current = 0;
      l->upto++;
    } else
      settle_missing(a, l, l->upto + 1);
  }
}

void itwi_arrivals_losses(const struct itwi_arrivals *a, struct itwi_losses *out)
{
  *out = a->settled;
  settle(a, out, a->next);
  out->tail = out->lost;
  settle_missing(a, out, a->sent);
  out->tail = out->lost - out->tail;
}

/* ---- arrivals ---- */

uint64_t itwi_arrivals_unwrap(const struct itwi_arrivals *a, uint32_t seq)
{
  const uint32_t ahead = seq - (uint32_t)a->next, behind = 0 - ahead;

  if (ahead <= INT32_MAX || a->next < behind) return a->next + ahead; /* there is nothing before 0 */
  return a->next - behind;
}

bool itwi_arrivals_has(const struct itwi_arrivals *a, uint64_t seq)
{
  return seq < a->next && seq >= a->settled.upto && bit(a, seq);
}

void itwi_arrivals_sent(struct itwi_arrivals *a, uint64_t sent)
{
  if (a->sent < sent) a->sent = sent;
}

bool itwi_arrivals_skips(struct itwi_arrivals *a, const struct itw_skip *skips, size_t n)
{
  if (n && skips[0].first < a->settled.upto) return false;
  a->skips = skips;
  a->skip_count = n;
  a->settled.skip = 0;
  return true;
}

/* The window moves up to end at seq, which arrives. Those between are missing: if they come, then after this one. */
static void advance(struct itwi_arrivals *a, uint64_t seq, uint32_t place)
{
  const uint64_t size = a->mask + UINT64_C(1), end = seq + 1, begin = end > size ? end - size : 0;

  if (begin > a->settled.upto) settle(a, &a->settled, begin < a->next ? begin : a->next);
  if (begin > a->next) {
    settle_missing(a, &a->settled, begin);
    a->next = begin;
  }
  for (; a->next < end; a->next++) {
    set_bit(a, a->next, false);
    a->arrival[(uint32_t)a->next & a->mask] = place;
  }
}

uint32_t itwi_arrivals_mark(struct itwi_arrivals *a, uint64_t seq, uint32_t *extent)
{
  const uint32_t place = (uint32_t)a->received, at = (uint32_t)seq & a->mask;
  const bool higher = seq >= a->next;

  itwi_arrivals_sent(a, seq + 1);
  if (seq < a->settled.upto) {
    a->beyond++;
    return ITWI_ARRIVED_BEYOND;
  }
  if (itwi_arrivals_has(a, seq)) {
    a->duplicates++;
    return ITWI_ARRIVED_DUPLICATE;
  }
  if (higher) advance(a, seq, place);
  *extent = place - a->arrival[at];
  set_bit(a, seq, true);
  a->arrival[at] = place;
  a->received++;
  return higher ? ITWI_ARRIVED : ITWI_ARRIVED_REORDERED;
}
