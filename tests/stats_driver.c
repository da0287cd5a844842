/* SPDX-License-Identifier: BSD-3-Clause */
/* Statistics by lines of text, for test_stats.py. Read from stdin, in any order after `new`:

     new BINS WINDOW FLAGS      a second one is there to be merged into the first
     add SEQ FLAGS HERE THERE THERE_NS BACK_NS RTT_NS
     sent N
     skip FIRST LAST            ascending, before what they concern
     merge
     print PPM...               figures of the first, those percentiles with them */

#include <inttypes.h>
#include <ipsectwamp/stats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static itw_stats *objects[2];
static int count;
static struct itw_skip skips[64];
static size_t skip_count;

static void expect(int good, const char *what)
{
  if (good) return;
  fprintf(stderr, "stats_driver: %s\n", what);
  exit(2);
}

static itw_stats *newest(void)
{
  expect(count > 0, "no object");
  return objects[count - 1];
}

static void make(const char *args)
{
  struct itw_stats_config c;
  ITW_INIT(c);
  expect(count < 2 && sscanf(args, "%" SCNu32 " %" SCNu32 " %" SCNu32, &c.bins, &c.window, &c.flags) == 3, "new");
  expect(itw_stats_new(&objects[count++], &c) == ITW_OK, "itw_stats_new");
}

static void add(const char *args)
{
  struct itw_sample s;
  ITW_INIT(s);
  expect(sscanf(args, "%" SCNu32 " %" SCNu32 " %" SCNu16 " %" SCNu16 " %" SCNd64 " %" SCNd64 " %" SCNd64, &s.seq,
                &s.flags, &s.error_here, &s.error_there, &s.there_ns, &s.back_ns, &s.rtt_ns) == 7,
         "add");
  expect(itw_stats_add(newest(), &s) == ITW_OK, "itw_stats_add");
}

static void skip(const char *args)
{
  expect(skip_count < 64, "too many ranges");
  struct itw_skip *s = &skips[skip_count++];
  expect(sscanf(args, "%" SCNu32 " %" SCNu32, &s->first, &s->last) == 2, "skip");
  expect(itw_stats_skips(newest(), skips, skip_count) == ITW_OK, "itw_stats_skips");
}

static void print_distribution(uint32_t which, const char *ppm)
{
  struct itw_delays d;
  struct itw_bin b;
  int64_t value;

  ITW_INIT(d);
  const itw_status st = itw_stats_delays(objects[0], which, &d);
  expect(st == ITW_OK || st == ITW_EMPTY, "itw_stats_delays");
  printf("delays %" PRIu32 " %" PRIu32 " %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
         " %" PRIu64 "\n",
         which, d.flags, d.count, d.min, d.median, d.max, d.mean, d.stddev, d.unit_ns);
  for (char *end; st == ITW_OK && *ppm; ppm = end) {
    const uint32_t p = (uint32_t)strtoul(ppm, &end, 10);
    if (end == ppm) break;
    expect(itw_stats_percentile(objects[0], which, p, &value) == ITW_OK, "itw_stats_percentile");
    printf("percentile %" PRIu32 " %" PRIu32 " %" PRId64 "\n", which, p, value);
  }
  for (uint32_t i = 0; itw_stats_bin(objects[0], which, i, &b) == ITW_OK; i++)
    printf("bin %" PRIu32 " %" PRId64 " %" PRId64 " %" PRIu64 "\n", which, b.low, b.high, b.count);
}

static void print(const char *ppm)
{
  struct itw_loss l;
  struct itw_reorder r;
  struct itw_clock_errors c;

  ITW_INIT(l);
  ITW_INIT(r);
  ITW_INIT(c);
  expect(count > 0, "no object");
  expect(itw_stats_loss(objects[0], &l) == ITW_OK, "itw_stats_loss");
  expect(itw_stats_reorder(objects[0], &r) == ITW_OK, "itw_stats_reorder");
  expect(itw_stats_clocks(objects[0], &c) == ITW_OK, "itw_stats_clocks");
  printf("loss %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
         " %" PRIu64 "\n",
         l.sent, l.received, l.lost, l.skipped, l.tail, l.runs, l.longest, l.duplicates, l.late, l.beyond);
  printf("reorder %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", r.ratio_ppm, r.received, r.reordered,
         r.extent_max, r.beyond);
  printf("clocks %u %u %u %u %" PRIu64 "\n", c.last_here, c.last_there, c.worst_here, c.worst_there, c.unsynchronised);
  for (uint32_t which = 0; which <= ITW_STATS_EXTENT; which++) print_distribution(which, ppm);
}

int main(void)
{
  char line[512];
  uint64_t n;

  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "add ", 4))
      add(line + 4);
    else if (!strncmp(line, "new ", 4))
      make(line + 4);
    else if (!strncmp(line, "skip ", 5))
      skip(line + 5);
    else if (!strncmp(line, "print ", 6))
      print(line + 6);
    else if (!strncmp(line, "merge", 5))
      expect(count == 2 && itw_stats_merge(objects[0], objects[1]) == ITW_OK, "merge");
    else
      expect(sscanf(line, "sent %" SCNu64, &n) == 1 && count, line), itw_stats_sent(newest(), n);
  }
  itw_stats_free(objects[0]);
  itw_stats_free(objects[1]);
  return 0;
}
