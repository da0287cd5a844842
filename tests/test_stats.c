/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <ipsectwamp/stats.h>
#include "moments.h"

/* By hand, and from the RFCs' own examples; what needs sorted lists is in test_stats.py. */

#define MS INT64_C(1000000)
#define HOUR (INT64_C(3600000) * MS)
enum { SYNCED = 0x8000 };

static itw_stats *made(uint32_t bins, uint32_t window, uint32_t flags)
{
  struct itw_stats_config c;
  itw_stats *s = NULL;
  ITW_INIT(c);
  c.bins = bins;
  c.window = window;
  c.flags = flags;
  assert_int_equal(itw_stats_new(&s, &c), ITW_OK);
  return s;
}

static void add_full(itw_stats *s, uint32_t seq, uint32_t flags, int64_t there, int64_t back)
{
  struct itw_sample x;
  ITW_INIT(x);
  x.seq = seq;
  x.flags = flags;
  x.error_here = x.error_there = SYNCED | 1;
  x.there_ns = there;
  x.back_ns = back;
  x.rtt_ns = there + back;
  assert_int_equal(itw_stats_add(s, &x), ITW_OK);
}
static void add(itw_stats *s, uint32_t seq, int64_t there) { add_full(s, seq, 0, there, 0); }

static struct itw_delays delays(const itw_stats *s, uint32_t which)
{
  struct itw_delays d;
  ITW_INIT(d);
  assert_in_range(itw_stats_delays(s, which, &d), ITW_OK, ITW_EMPTY);
  return d;
}
static struct itw_loss loss(const itw_stats *s)
{
  struct itw_loss l;
  ITW_INIT(l);
  assert_int_equal(itw_stats_loss(s, &l), ITW_OK);
  assert_true(l.sent == l.received + l.lost + l.skipped);
  return l;
}
static struct itw_reorder reorder(const itw_stats *s)
{
  struct itw_reorder r;
  ITW_INIT(r);
  assert_int_equal(itw_stats_reorder(s, &r), ITW_OK);
  return r;
}
static int64_t percentile(const itw_stats *s, uint32_t which, uint32_t ppm)
{
  int64_t ns;
  assert_int_equal(itw_stats_percentile(s, which, ppm, &ns), ITW_OK);
  return ns;
}
/* Of the bins, the value that each begins with. */
static uint64_t count_of(const itw_stats *s, uint32_t which, int64_t value)
{
  struct itw_bin b;
  for (uint32_t i = 0; itw_stats_bin(s, which, i, &b) == ITW_OK; i++)
    if (b.low <= value && value < b.high) return b.count;
  return 0;
}

/* ---- RFC 4737 §7 ---- */

struct rfc4737 {
  const char *name;
  int n;
  int seq[16];   /* in order of arrival, from 1 */
  int delay[16]; /* ms, of those */
  uint64_t reordered;
  int extent[4]; /* how many have the extent 1, 2, 3, 4 */
};
static const struct rfc4737 rfc4737[] = {
    {"table 1", 10, {1, 2, 3, 5, 6, 7, 8, 4, 9, 10}, {68, 68, 68, 68, 68, 68, 68, 150, 68, 68}, 1, {0, 0, 0, 1}},
    {"table 2", 10, {1, 2, 3, 4, 7, 5, 6, 8, 9, 10}, {68, 68, 68, 68, 68, 109, 90, 68, 68, 68}, 2, {1, 1, 0, 0}},
    {"table 3",
     11,
     {1, 2, 3, 7, 8, 9, 10, 4, 5, 6, 11},
     {68, 68, 68, 68, 68, 68, 68, 190, 172, 156, 68},
     3,
     {0, 0, 0, 1}},
    {"table 4", 16, {1, 2, 3, 6, 7, 4, 5, 8, 9, 10, 12, 13, 11, 14, 15, 16}, {0}, 3, {0, 2, 1, 0}},
};

static void reordering_of_rfc4737(void **state)
{
  (void)state;
  for (size_t e = 0; e < sizeof rfc4737 / sizeof rfc4737[0]; e++) {
    const struct rfc4737 *x = &rfc4737[e];
    itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
    for (int i = 0; i < x->n; i++) add(s, (uint32_t)x->seq[i] - 1, x->delay[i] * MS);
    const struct itw_reorder r = reorder(s);
    assert_int_equal(r.received, x->n);
    assert_int_equal(r.reordered, x->reordered);
    assert_int_equal(r.ratio_ppm, x->reordered * 1000000 / (uint64_t)x->n);
    for (int i = 0; i < 4; i++) assert_int_equal(count_of(s, ITW_STATS_EXTENT, i + 1), x->extent[i]);
    assert_int_equal(loss(s).lost, 0);
    itw_stats_free(s);
  }
}

/* The histogram of table 3: extents 4, 5, 6. */
static void extents_of_table_3(void **state)
{
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
  (void)state;
  for (int i = 0; i < rfc4737[2].n; i++) add(s, (uint32_t)rfc4737[2].seq[i] - 1, 0);
  for (int e = 0; e < 12; e++) assert_int_equal(count_of(s, ITW_STATS_EXTENT, e), e >= 4 && e <= 6);
  assert_int_equal(reorder(s).extent_max, 6);
  assert_int_equal(delays(s, ITW_STATS_EXTENT).mean, 5);
  assert_int_equal(percentile(s, ITW_STATS_EXTENT, 500000), 5);
  itw_stats_free(s);
}

/* The tables' column IPDV: Delay(SrcNum) - Delay(SrcNum - 1), though the packets arrive in another order. */
static void ipdv_of_rfc4737(void **state)
{
  static const struct {
    int table;
    int ipdv[4]; /* ms; the others are 0 */
  } expected[] = {{0, {82, -82}}, {1, {41, -19, -22}}, {2, {122, -18, -16, -88}}};
  (void)state;
  for (size_t e = 0; e < 3; e++) {
    const struct rfc4737 *x = &rfc4737[expected[e].table];
    itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
    uint64_t others = (uint64_t)x->n - 1;
    for (int i = 0; i < x->n; i++) add(s, (uint32_t)x->seq[i] - 1, x->delay[i] * MS);
    assert_int_equal(delays(s, ITW_STATS_IPDV_THERE).count, others);
    for (int i = 0; i < 4 && expected[e].ipdv[i]; i++, others--)
      assert_int_equal(count_of(s, ITW_STATS_IPDV_THERE, expected[e].ipdv[i] * MS), 1);
    assert_int_equal(count_of(s, ITW_STATS_IPDV_THERE, 0), others);
    itw_stats_free(s);
  }
}

/* ---- RFC 5481 ---- */

static void figure_1_of_rfc5481(void **state)
{
  static const int delay[] = {20, 10, 20, 25, 20}, ipdv[] = {-10, -5, 5, 10}, pdv[] = {0, 10, 15}, times[] = {1, 3, 1};
  itw_stats *s = made(64, 32, 0);
  (void)state;
  for (uint32_t i = 0; i < 5; i++) add(s, i, delay[i] * MS);
  for (int i = 0; i < 4; i++) assert_int_equal(count_of(s, ITW_STATS_IPDV_THERE, ipdv[i] * MS), 1);
  for (int i = 0; i < 3; i++) assert_int_equal(count_of(s, ITW_STATS_PDV_THERE, pdv[i] * MS), times[i]);

  struct itw_delays d = delays(s, ITW_STATS_PDV_THERE);
  assert_int_equal(d.count, 5);
  assert_int_equal(d.min, 0);
  assert_int_equal(d.max, 15 * MS);
  assert_int_equal(d.mean, 9 * MS);
  assert_in_range(d.median, 10 * MS - 10 * MS / 128, 10 * MS + 10 * MS / 128);
  d = delays(s, ITW_STATS_THERE);
  assert_int_equal(d.min, 10 * MS);
  assert_int_equal(d.max, 25 * MS);
  assert_int_equal(d.mean, 19 * MS);
  assert_int_equal(d.stddev, 5477226); /* the root of 30 */
  assert_int_equal(d.unit_ns, 1);
  d = delays(s, ITW_STATS_IPDV_THERE);
  assert_int_equal(d.count, 4);
  assert_true(d.min == -10 * MS && d.max == 10 * MS && d.mean == 0);
  itw_stats_free(s);
}

/* §6.1, figures 3 and 4: every other packet lost leaves no IPDV at all; a burst costs one more than its length. */
static void no_ipdv_across_losses(void **state)
{
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY), *burst = made(64, 32, ITW_STATS_ONE_WAY);
  (void)state;
  for (uint32_t i = 0; i < 10; i += 2) add(s, i, i * MS);
  assert_int_equal(delays(s, ITW_STATS_PDV_THERE).count, 5);
  assert_int_equal(delays(s, ITW_STATS_IPDV_THERE).count, 0);
  for (uint32_t i = 0; i < 10; i++)
    if (i < 2 || i >= 7) add(burst, i, i * MS);
  assert_int_equal(delays(burst, ITW_STATS_IPDV_THERE).count, 3);
  assert_int_equal(loss(burst).longest, 5);
  itw_stats_free(s);
  itw_stats_free(burst);
}

/* ---- losses ---- */

static void losses_in_runs(void **state)
{
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
  struct itw_loss l = loss(s);
  (void)state;
  assert_true(l.sent == 0 && l.runs == 0 && l.longest == 0);

  for (uint32_t i = 2; i < 5; i++) add(s, i, 0); /* 0, 1 lost; 5 .. 7 lost */
  add(s, 8, 0);
  l = loss(s);
  assert_true(l.sent == 9 && l.received == 4 && l.lost == 5 && l.runs == 2 && l.longest == 3 && l.tail == 0);

  itw_stats_sent(s, 13); /* 9 .. 12 are under way */
  l = loss(s);
  assert_true(l.lost == 9 && l.runs == 3 && l.longest == 4 && l.tail == 4);
  itw_stats_sent(s, 3); /* doesn't go back */
  assert_int_equal(loss(s).sent, 13);

  add(s, 6, 0); /* reordered: in the middle of a run */
  l = loss(s);
  assert_true(l.lost == 8 && l.runs == 4 && l.longest == 4);

  add(s, 12, 0);
  l = loss(s);
  assert_true(l.lost == 7 && l.runs == 4 && l.longest == 3 && l.tail == 0); /* 0 1, 5, 7, 9 10 11 */

  add(s, 1000, 0); /* all of it leaves the window */
  l = loss(s);
  assert_true(l.sent == 1001 && l.received == 7 && l.lost == 994 && l.runs == 5 && l.longest == 987);
  itw_stats_free(s);
}

/* A run that begins before the window and ends in it, or behind it, is one. */
static void a_run_is_one(void **state)
{
  (void)state;
  for (uint32_t lost = 1; lost < 200; lost++) {
    itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
    for (uint32_t i = 0; i < 40; i++) add(s, i, 0);
    itw_stats_sent(s, 40 + lost);
    assert_int_equal(loss(s).tail, lost);
    for (uint32_t i = 0; i < 100; i++) {
      add(s, 40 + lost + i, 0);
      const struct itw_loss l = loss(s);
      assert_true(l.lost == lost && l.runs == 1 && l.longest == lost && l.tail == 0);
    }
    itw_stats_free(s);
  }
}

static void packets_left_out_are_not_lost(void **state)
{
  static const struct itw_skip skips[] = {{0, 1}, {4, 5}, {6, 6}, {50, 60}, {100, 4000000000}};
  static const struct itw_skip overlapping[] = {{4, 6}, {6, 7}}, backwards[] = {{4, 3}};
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
  struct itw_loss l;
  (void)state;
  assert_int_equal(itw_stats_skips(s, overlapping, 2), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_skips(s, backwards, 1), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_skips(s, NULL, 1), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_skips(s, skips, 5), ITW_OK);

  itw_stats_sent(s, 6);
  l = loss(s);
  assert_true(l.skipped == 4 && l.lost == 2 && l.runs == 1);
  add(s, 3, 0);
  add(s, 8, 0);
  l = loss(s); /* 2 and 7 */
  assert_true(l.sent == 9 && l.received == 2 && l.skipped == 5 && l.lost == 2 && l.runs == 2);
  for (uint32_t i = 9; i < 49; i++) add(s, i, 0);
  add(s, 62, 0); /* 49 and 61, with 50 .. 60 between: one run */
  l = loss(s);
  assert_true(l.skipped == 16 && l.lost == 4 && l.runs == 3 && l.longest == 2);
  add(s, 4000000002, 0); /* far behind the last range */
  l = loss(s);
  assert_int_equal(l.lost, 4 + 37 + 1); /* 63 .. 99, 4000000001 */
  assert_true(l.runs == 4 && l.longest == 38);
  assert_int_equal(itw_stats_skips(s, skips, 5), ITW_ERR_STATE);
  assert_int_equal(itw_stats_skips(s, NULL, 0), ITW_OK);
  itw_stats_free(s);
}

/* One that the sender claims to have left out, and that arrived all the same, arrived. */
static void what_arrived_was_not_left_out(void **state)
{
  static const struct itw_skip skips[] = {{1, 3}};
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
  (void)state;
  assert_int_equal(itw_stats_skips(s, skips, 1), ITW_OK);
  for (uint32_t round = 0; round < 2; round++) {
    add(s, 2, 0);
    add(s, round ? 100 : 5, 0);
    const struct itw_loss l = loss(s);
    assert_int_equal(l.skipped, 2);
    assert_int_equal(l.lost, round ? 96 : 2); /* 0, 4, 6 .. 99 */
    assert_int_equal(l.duplicates + l.beyond, round);
  }
  itw_stats_free(s);
}

/* ---- duplicates, lateness, the window ---- */

static void the_first_copy_counts(void **state)
{
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
  (void)state;
  add(s, 0, 5);
  add(s, 1, 7);
  add(s, 0, 1000);
  add(s, 1, 1000);
  add(s, 0, 1000);
  assert_int_equal(loss(s).duplicates, 3);
  assert_int_equal(loss(s).received, 2);
  assert_int_equal(reorder(s).reordered, 0);
  assert_int_equal(delays(s, ITW_STATS_THERE).max, 7);
  assert_int_equal(delays(s, ITW_STATS_IPDV_THERE).max, 2);
  itw_stats_free(s);
}

static void what_the_caller_knows(void **state)
{
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
  (void)state;
  add_full(s, 0, ITW_SAMPLE_LATE, 5, 0);
  add_full(s, 1, ITW_SAMPLE_LOST, 5, 0);
  add_full(s, 2, ITW_SAMPLE_DUPLICATE, 5, 0);
  const struct itw_loss l = loss(s);
  assert_true(l.sent == 3 && l.received == 0 && l.lost == 3 && l.late == 1 && l.duplicates == 1 && l.tail == 3);
  assert_int_equal(delays(s, ITW_STATS_THERE).count, 0);
  itw_stats_free(s);
}

/* The last of the window is told; one behind it is not, and that is said. */
static void the_end_of_the_window(void **state)
{
  (void)state;
  for (uint32_t window = 32; window <= 1024; window *= 2) {
    itw_stats *s = made(64, window - (window > 32), ITW_STATS_ONE_WAY); /* rounded up */
    for (uint32_t i = 0; i <= window + 1; i++)
      if (i != 1 && i != 2) add(s, i, i);
    add(s, 2, 2); /* the window is [2, window + 2) */
    add(s, 1, 1);
    add(s, 0, 0); /* a duplicate, but who knows */
    const struct itw_reorder r = reorder(s);
    const struct itw_loss l = loss(s);
    assert_true(r.reordered == 1 && r.beyond == 2 && r.extent_max == window - 1);
    assert_true(l.lost == 1 && l.beyond == 2 && l.duplicates == 0 && l.runs == 1);
    assert_int_equal(delays(s, ITW_STATS_IPDV_THERE).count,
                     window - 1); /* 2 with 3, not with 1, though 1 was there too late */
    assert_int_equal(delays(s, ITW_STATS_IPDV_THERE).max, 1);
    itw_stats_free(s);
  }
}

static void sequence_numbers_wrap(void **state)
{
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
  uint64_t sent = 0;
  (void)state;
  add(s, 0, 0);
  for (int i = 0; i < 5; i++) add(s, (uint32_t)(sent += 1000000000), 0); /* the fifth is beyond 2^32 */
  assert_true(sent > UINT32_MAX);
  assert_true(loss(s).sent == sent + 1 && loss(s).lost == sent - 5 && loss(s).runs == 5 &&
              loss(s).longest == 999999999);
  add(s, (uint32_t)UINT64_C(7000000000), 0);
  for (sent = UINT64_C(0x1fffffff0); sent < UINT64_C(0x200000010); sent++)
    if (sent != UINT64_C(0x1ffffffff)) add(s, (uint32_t)sent, 0);
  add(s, UINT32_MAX, 0); /* reordered across the wrap */
  assert_int_equal(reorder(s).reordered, 1);
  assert_int_equal(reorder(s).extent_max, 16);
  assert_int_equal(delays(s, ITW_STATS_IPDV_THERE).count, 31);
  assert_true(loss(s).sent == UINT64_C(0x200000010) && reorder(s).beyond == 0);
  itw_stats_free(s);
}

/* The first to arrive may be any: nothing is before 0. */
static void a_late_beginning(void **state)
{
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
  (void)state;
  add(s, UINT32_MAX, 0);
  assert_true(loss(s).sent == UINT64_C(1) << 32 && loss(s).lost == UINT32_MAX && loss(s).runs == 1);
  add(s, UINT32_MAX - 31, 0);
  assert_int_equal(reorder(s).extent_max, 1);
  add(s, UINT32_MAX - 32, 0);
  assert_int_equal(reorder(s).beyond, 1);
  itw_stats_free(s);
}

/* ---- delays ---- */

static void none_and_one(void **state)
{
  itw_stats *s = made(0, 0, 0);
  struct itw_delays d;
  struct itw_bin b;
  int64_t ns = 7;
  (void)state;
  for (uint32_t which = 0; which <= ITW_STATS_EXTENT; which++) {
    ITW_INIT(d);
    d.count = 9;
    assert_int_equal(itw_stats_delays(s, which, &d), ITW_EMPTY);
    assert_true(d.count == 0 && d.max == 0 && d.unit_ns == 0);
    assert_int_equal(itw_stats_percentile(s, which, 0, &ns), ITW_EMPTY);
    assert_int_equal(ns, 0);
    assert_int_equal(itw_stats_bin(s, which, 0, &b), ITW_EMPTY);
  }
  add_full(s, 0, 0, -5 * HOUR, 6 * HOUR);
  d = delays(s, ITW_STATS_THERE);
  assert_true(d.count == 1 && d.min == -5 * HOUR && d.median == d.min && d.max == d.min && d.mean == d.min &&
              d.stddev == 0);
  assert_int_equal(percentile(s, ITW_STATS_BACK, 999000), 6 * HOUR);
  assert_int_equal(percentile(s, ITW_STATS_ROUND, 1), HOUR);
  assert_int_equal(percentile(s, ITW_STATS_PDV_THERE, 1000000), 0);
  assert_int_equal(delays(s, ITW_STATS_IPDV_ROUND).count, 0);
  itw_stats_free(s);
}

static void percentiles_are_nearest_ranks(void **state)
{
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY);
  (void)state;
  for (uint32_t i = 0; i < 10; i++)
    add(s, i, 10 * (10 - i)); /* 100, 90 ... 10: below 128 ns all is exact but the last bit */
  assert_int_equal(percentile(s, ITW_STATS_THERE, 0), 10);
  assert_int_equal(percentile(s, ITW_STATS_THERE, 100000), 10);
  assert_int_equal(percentile(s, ITW_STATS_THERE, 100001), 20);
  assert_int_equal(percentile(s, ITW_STATS_THERE, 500000), 50);
  assert_int_equal(percentile(s, ITW_STATS_THERE, 500001), 60);
  assert_int_equal(percentile(s, ITW_STATS_THERE, 900001), 100);
  assert_int_equal(delays(s, ITW_STATS_THERE).median, 50);
  itw_stats_free(s);
}

/* Small jitter on huge offsets, and a minimum that comes when all else is over: variation stays fine. */
static void variation_is_as_fine_as_the_delay_is_large(void **state)
{
  (void)state;
  for (int late = 0; late < 2; late++)
    for (int64_t offset = -10 * HOUR; offset <= 10 * HOUR; offset += HOUR) {
      itw_stats *s = made(1024, 32, 0);
      for (uint32_t i = 0; i < 1000; i++) add(s, i, offset + 1000 * ((i * 617) % 1000));
      if (late) add(s, 1000, offset - 50);
      for (uint32_t ppm = 10000; ppm < 1000000; ppm += 10000) {
        const int64_t i =
            (1000 + late) * (int64_t)ppm / 1000000 + (late && ppm % 1000000 != 0) - 1; /* of the sorted list */
        const int64_t exact = late ? (i ? 1000 * (i - 1) + 50 : 0) : 1000 * i;
        assert_in_range(percentile(s, ITW_STATS_PDV_THERE, ppm) * 128, exact * 127, exact * 129);
      }
      assert_int_equal(delays(s, ITW_STATS_PDV_THERE).unit_ns, 1);
      itw_stats_free(s);
    }
}

static void too_few_bins_are_told(void **state)
{
  itw_stats *few = made(16, 32, ITW_STATS_ONE_WAY), *ample = made(4096, 32, ITW_STATS_ONE_WAY);
  (void)state;
  for (uint32_t i = 0; i < 3000; i++) {
    add(few, i, (i * UINT32_C(2654435761)) % 50000000);
    add(ample, i, (i * UINT32_C(2654435761)) % 50000000);
  }
  const struct itw_delays f = delays(few, ITW_STATS_THERE), a = delays(ample, ITW_STATS_THERE);
  assert_int_equal(a.unit_ns, 1);
  assert_in_range(f.unit_ns, 50000000 / 32, 50000000 / 4); /* of 16 bins, a good part is used */
  assert_true(f.min == a.min && f.max == a.max && f.mean == a.mean && f.stddev == a.stddev);
  assert_true(f.count == 3000 && llabs(f.median - a.median) <= (int64_t)f.unit_ns / 2 + a.median / 128);
  itw_stats_free(few);
  itw_stats_free(ample);
}

static void the_largest_values(void **state)
{
  const int64_t limit = INT64_C(1) << 61;
  itw_stats *s = made(64, 32, 0);
  (void)state;
  add(s, 0, INT64_MIN);
  add(s, 1, INT64_MAX);
  add(s, 2, -limit);
  struct itw_delays d = delays(s, ITW_STATS_THERE);
  assert_true(d.min == -limit && d.max == limit && d.median == -limit && d.mean == -(limit / 3) - 1);
  assert_true(d.stddev == INT64_C(2662558164157085850)); /* 2^62 / sqrt(3) */
  d = delays(s, ITW_STATS_PDV_THERE);
  assert_true(d.max == 2 * limit && d.min == 0);
  d = delays(s, ITW_STATS_IPDV_THERE);
  assert_true(d.min == -limit && d.max == limit && d.mean == 0);
  for (uint32_t i = 3; i < 300; i++) add(s, i, i & 1 ? limit - i * (limit / 300) : i * (limit / 300) - limit);
  assert_true(delays(s, ITW_STATS_PDV_THERE).max == 2 * limit);
  itw_stats_free(s);
}

/* Two far apart, 2^40 times. */
static void moments_of_many(void **state)
{
  struct itwi_moments m = {{0}, {0}};
  uint64_t n = 2;
  (void)state;
  itwi_moments_add(&m, -(INT64_C(1) << 61));
  itwi_moments_add(&m, (INT64_C(1) << 61) - 2);
  assert_int_equal(itwi_moments_mean(&m, n), -1);
  for (; n < UINT64_C(1) << 41; n *= 2) {
    const struct itwi_moments twin = m;
    itwi_moments_merge(&m, &twin);
  }
  assert_int_equal(itwi_moments_mean(&m, n), -1);
  assert_true(itwi_moments_deviation(&m, n) == (INT64_C(1) << 61) - 1 + 524288); /* (2^61 - 1) * sqrt(n / (n - 1)) */
}

/* ---- clocks ---- */

static void clocks(void **state)
{
  static const uint16_t errors[][2] = {
      {SYNCED | 0x0a05, SYNCED | 0x0105}, {SYNCED | 0x0b01, SYNCED | 0x0180}, {SYNCED | 0x0a06, 0x0101}};
  itw_stats *s = made(64, 32, 0);
  struct itw_clock_errors c;
  struct itw_sample x;
  (void)state;
  ITW_INIT(c);
  for (uint32_t i = 0; i < 3; i++) {
    ITW_INIT(x);
    x.seq = i;
    x.error_here = errors[i][0];
    x.error_there = errors[i][1];
    assert_int_equal(itw_stats_add(s, &x), ITW_OK);
    assert_int_equal(itw_stats_clocks(s, &c), ITW_OK);
    assert_true(c.last_here == errors[i][0] && c.last_there == errors[i][1]);
    assert_int_equal(c.unsynchronised, i == 2);
    for (uint32_t which = 0; which < ITW_STATS_EXTENT; which++)
      assert_int_equal(delays(s, which).flags, i == 2 && which < ITW_STATS_ROUND ? ITW_DELAYS_UNSYNCHRONISED : 0);
  }
  assert_int_equal(c.worst_here, errors[2][0]); /* 6 * 2^10 is more than 5 * 2^10 and 2^11 */
  assert_int_equal(c.worst_there, errors[1][1]);
  itw_stats_free(s);
}

/* ---- from what the library measures ---- */

static void samples_of_replies(void **state)
{
  static const uint32_t flags[] = {0, 0, 0, ITW_SAMPLE_DUPLICATE, ITW_SAMPLE_LATE};
  struct itw_reply r;
  struct itw_sample x;
  (void)state;
  ITW_INIT(r);
  r.seq = 77;
  r.e1 = 0x8101;
  r.e2 = 0x0203;
  r.there_ns = -4;
  r.back_ns = 9;
  r.rtt_ns = 5;
  for (r.kind = ITW_REPLY_NEW; r.kind <= ITW_REPLY_LATE; r.kind++) {
    itw_sample_from_reply(&x, &r);
    assert_true(x.size == sizeof x && x.seq == 77 && x.flags == flags[r.kind]);
    assert_true(x.error_here == 0x8101 && x.error_there == 0x0203);
    assert_true(x.there_ns == -4 && x.back_ns == 9 && x.rtt_ns == 5);
  }
}

static void samples_of_records(void **state)
{
  struct itw_record r = {3, 0x8101, 0x0203, 0, 0, 64, {0}};
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY), *both_ways = made(64, 32, 0);
  struct itw_sample x;
  (void)state;
  r.sent = itw_ntp_from_unix(1700000000, 999999900);
  r.received = itw_ntp_from_unix(1700000001, 100);
  itw_sample_from_record(&x, &r);
  assert_true(x.size == sizeof x && x.seq == 3 && x.flags == ITW_SAMPLE_ONE_WAY && x.there_ns == 200);
  assert_true(x.error_here == 0x8101 && x.error_there == 0x0203);
  assert_int_equal(itw_stats_add(s, &x), ITW_OK);
  assert_int_equal(itw_stats_add(both_ways, &x), ITW_ERR_ARGUMENT);

  r.seq = 4;
  r.received = 0; /* RFC 4656 §3.9: lost */
  r.ttl = 255;
  r.send_error = 1;
  itw_sample_from_record(&x, &r);
  assert_int_equal(x.flags, ITW_SAMPLE_ONE_WAY | ITW_SAMPLE_LOST);
  assert_int_equal(itw_stats_add(s, &x), ITW_OK);
  assert_true(loss(s).sent == 5 && loss(s).received == 1 && loss(s).tail == 1);
  assert_int_equal(delays(s, ITW_STATS_THERE).max, 200);
  assert_int_equal(delays(s, ITW_STATS_BACK).count + delays(s, ITW_STATS_IPDV_ROUND).count, 0);

  add(s, 5, 300); /* the other way around a sample with both ways does */
  assert_int_equal(delays(s, ITW_STATS_THERE).max, 300);
  assert_int_equal(delays(s, ITW_STATS_ROUND).count, 0);
  itw_stats_free(s);
  itw_stats_free(both_ways);
}

/* ---- merging ---- */

static void merging(void **state)
{
  itw_stats *s = made(64, 32, ITW_STATS_ONE_WAY), *other = made(64, 32, ITW_STATS_ONE_WAY),
            *both_ways = made(64, 32, 0);
  (void)state;
  add(s, 0, 10);
  add(s, 3, 20);
  add(other, 1, -100);
  add(other, 0, 60);
  add(other, 0, 60);
  itw_stats_sent(other, 9);
  assert_int_equal(itw_stats_merge(s, other), ITW_OK);
  assert_int_equal(itw_stats_merge(s, s), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_merge(s, both_ways), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_merge(s, NULL), ITW_ERR_ARGUMENT);
  for (uint32_t i = 0; i < 2; i++) {
    const struct itw_loss l = loss(s);
    const struct itw_delays d = delays(s, ITW_STATS_THERE);
    assert_true(l.sent == 13 + i && l.received == 4 + i && l.lost == 9 && l.runs == 2 && l.longest == 7 &&
                l.duplicates == 1);
    assert_true(d.count == 4 + i && d.min == -100 && d.max == 60 && d.mean == (i ? -2 : -3));
    assert_true(reorder(s).reordered == 1 && reorder(s).extent_max == 1 && reorder(s).received == 4 + i);
    assert_int_equal(delays(s, ITW_STATS_IPDV_THERE).count, 1 + i);
    add(s, 4, 0); /* goes on with its own packets */
  }
  assert_int_equal(loss(other).received, 2);
  itw_stats_free(s);
  itw_stats_free(other);
  itw_stats_free(both_ways);
}

/* ---- the object ---- */

static void sizes(void **state)
{
  static const uint32_t counts[] = {16, 17, 100, 1024, 4095};
  static const uint32_t windows[] = {32, 33, 512, 1000};
  struct itw_stats_config c;
  (void)state;
  for (size_t i = 0; i < 5; i++)
    for (size_t j = 0; j < 4; j++) {
      ITW_INIT(c);
      c.bins = counts[i];
      c.window = windows[j];
      const size_t size = itw_stats_size(&c);
      assert_in_range(size, 160 * c.bins + 28 * c.window, ITW_STATS_BOUND(c.bins, c.window));
      c.flags = ITW_STATS_ONE_WAY;
      assert_in_range(itw_stats_size(&c), 64 * c.bins + 12 * c.window, size / 2 + 1024);
    }
  ITW_INIT(c);
  const size_t size = itw_stats_size(&c);
  c.bins = 1024;
  c.window = 512;
  assert_int_equal(itw_stats_size(&c), size);
}

static void configs_that_are_wrong(void **state)
{
  static const struct itw_stats_config wrong[] = {
      {16, 15, 0, 0}, {16, (1 << 20) + 1, 0, 0}, {16, 0, 31, 0}, {16, 0, (1 << 24) + 1, 0}, {16, 0, 0, 2}};
  uint64_t memory[4];
  itw_stats *s = NULL;
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    assert_int_equal(itw_stats_size(&wrong[i]), 0);
    assert_int_equal(itw_stats_new(&s, &wrong[i]), ITW_ERR_ARGUMENT);
    assert_int_equal(itw_stats_init(&s, memory, sizeof memory, &wrong[i]), ITW_ERR_ARGUMENT);
  }
  struct itw_stats_config c = {0, 0, 0, 0};
  assert_int_equal(itw_stats_new(&s, &c), ITW_ERR_SIZE);
  assert_int_equal(itw_stats_new(&s, NULL), ITW_ERR_ARGUMENT);
  c.size = sizeof c;
  assert_int_equal(itw_stats_new(NULL, &c), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_init(&s, NULL, 0, &c), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_init(&s, memory, sizeof memory, &c), ITW_ERR_TOO_SMALL);
  assert_null(s);
  itw_stats_free(NULL);
}

/* In memory of the caller's, to the last octet and no further; free leaves nothing there. */
static void memory_of_the_callers(void **state)
{
  static uint64_t memory[ITW_STATS_BOUND(16, 32) / 8 + 2];
  struct itw_stats_config c = {sizeof c, 16, 32, 0};
  const size_t size = itw_stats_size(&c);
  itw_stats *s = NULL;
  (void)state;
  memset(memory, 0xa5, sizeof memory);
  assert_int_equal(itw_stats_init(&s, (uint8_t *)memory + 4, sizeof memory - 8, &c), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_init(&s, memory, size - 1, &c), ITW_ERR_TOO_SMALL);
  assert_int_equal(itw_stats_init(&s, memory, size, &c), ITW_OK);
  for (uint32_t i = 0; i < 5000; i++)
    add_full(s, i ^ (i & 8), 0, (int64_t)i * i * 977 % 1000003, (int64_t)i * 7919 % 5003);
  assert_int_equal(loss(s).received, 5000 - 5000 / 16 * 8);
  itw_stats_free(s);
  for (size_t i = 0; i < sizeof memory; i++) assert_int_equal(((uint8_t *)memory)[i], i < size ? 0 : 0xa5);
}

static void arguments_that_are_wrong(void **state)
{
  itw_stats *s = made(0, 0, 0);
  struct itw_sample x;
  struct itw_delays d;
  struct itw_loss l = {0};
  struct itw_bin b;
  int64_t ns;
  (void)state;
  ITW_INIT(x);
  ITW_INIT(d);
  x.flags = 16;
  assert_int_equal(itw_stats_add(s, &x), ITW_ERR_ARGUMENT);
  x.flags = 0;
  assert_int_equal(itw_stats_add(NULL, &x), ITW_ERR_ARGUMENT);
  x.size = 39;
  assert_int_equal(itw_stats_add(s, &x), ITW_ERR_SIZE);
  itw_stats_sent(NULL, 1);
  assert_int_equal(loss(s).sent, 0);
  assert_int_equal(itw_stats_delays(s, ITW_STATS_EXTENT + 1, &d), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_percentile(s, 0, 1000001, &ns), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_percentile(s, ITW_STATS_EXTENT + 1, 0, &ns), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_bin(s, ITW_STATS_EXTENT + 1, 0, &b), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_stats_loss(s, &l), ITW_ERR_SIZE);
  assert_int_equal(itw_stats_loss(s, NULL), ITW_ERR_ARGUMENT);
  itw_stats_free(s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reordering_of_rfc4737),
      cmocka_unit_test(extents_of_table_3),
      cmocka_unit_test(ipdv_of_rfc4737),
      cmocka_unit_test(figure_1_of_rfc5481),
      cmocka_unit_test(no_ipdv_across_losses),
      cmocka_unit_test(losses_in_runs),
      cmocka_unit_test(a_run_is_one),
      cmocka_unit_test(packets_left_out_are_not_lost),
      cmocka_unit_test(what_arrived_was_not_left_out),
      cmocka_unit_test(the_first_copy_counts),
      cmocka_unit_test(what_the_caller_knows),
      cmocka_unit_test(the_end_of_the_window),
      cmocka_unit_test(sequence_numbers_wrap),
      cmocka_unit_test(a_late_beginning),
      cmocka_unit_test(none_and_one),
      cmocka_unit_test(percentiles_are_nearest_ranks),
      cmocka_unit_test(variation_is_as_fine_as_the_delay_is_large),
      cmocka_unit_test(too_few_bins_are_told),
      cmocka_unit_test(the_largest_values),
      cmocka_unit_test(moments_of_many),
      cmocka_unit_test(clocks),
      cmocka_unit_test(samples_of_replies),
      cmocka_unit_test(samples_of_records),
      cmocka_unit_test(merging),
      cmocka_unit_test(sizes),
      cmocka_unit_test(configs_that_are_wrong),
      cmocka_unit_test(memory_of_the_callers),
      cmocka_unit_test(arguments_that_are_wrong),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
