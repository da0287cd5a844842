/* SPDX-License-Identifier: BSD-3-Clause */
#include <ipsectwamp/record.h>

_Static_assert(sizeof(struct itw_record) == 32 && sizeof(struct itw_skip) == 8, "no padding: the same on every ABI");
_Static_assert(sizeof(struct itw_verdict) == 16, "no padding");

static uint32_t is_skipped(uint32_t seq, const struct itw_skip *skips, size_t n)
{
  size_t from = 0;

  while (from < n) { /* the last one that begins at seq or before it is in [from - 1, n) */
    const size_t middle = from + (n - from) / 2;
    if (skips[middle].first <= seq)
      from = middle + 1;
    else
      n = middle;
  }
  return from > 0 && seq <= skips[from - 1].last;
}

uint32_t itw_verdict_keeps(const struct itw_verdict *v, const struct itw_record *r, const struct itw_skip *skips, size_t n)
{
  if (v->status < 0 || r->seq >= v->below) return 0;
  return r->received != 0 || !is_skipped(r->seq, skips, n);
}
