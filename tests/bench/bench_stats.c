/* SPDX-License-Identifier: BSD-3-Clause */

/* What statistics cost, in ns of the thread's CPU time: itw_stats_add of a two-way sample, which is three delays and as
   many differences, while bins are made (the first ten thousand) and later; and a question. */

#include "bench.h"

#include <ipsectwamp/stats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PACKETS = 1 << 18, FIRST = 10000 };

/* Exponential is what a queue does: here in octaves with a linear fraction, without libm. */
static int64_t exponential(int64_t mean)
{
  int octave = 0;
  while (octave < 20 && random32() & 1) octave++;
  return mean * octave + mean * (random32() & 65535) / 65536;
}
static int64_t constant(uint32_t i) { return (void)i, 20000000; }
static int64_t queue(uint32_t i) { return (void)i, 20000000 + exponential(100000); }
static int64_t unsynchronised(uint32_t i) { return (void)i, INT64_C(3600000000000) + exponential(100000); }
static int64_t falling(uint32_t i) { return INT64_C(3600000000000) - 50 * (int64_t)i + exponential(10000); }
static int64_t wild(uint32_t i) { return (void)i, (int64_t)random32() << (random32() & 15); }

static const struct {
  const char *name;
  int64_t (*delay)(uint32_t);
} paths[] = {{"constant", constant},
             {"a queue", queue},
             {"unsynchronised", unsynchronised},
             {"falling", falling},
             {"wild", wild}};

static struct itw_sample samples[PACKETS];

static void fill(int64_t (*delay)(uint32_t))
{
  for (uint32_t i = 0; i < PACKETS; i++) {
    ITW_INIT(samples[i]);
    samples[i].seq = i;
    samples[i].there_ns = delay(i);
    samples[i].back_ns = delay(i);
    samples[i].rtt_ns = samples[i].there_ns + samples[i].back_ns;
  }
}

static double add(itw_stats *s, uint32_t from, uint32_t to)
{
  const double start = now();
  for (uint32_t i = from; i < to; i++)
    if (itw_stats_add(s, &samples[i]) != ITW_OK) abort();
  return (now() - start) / (to - from);
}

static double ask(const itw_stats *s, uint32_t times)
{
  struct itw_delays d;
  const double start = now();
  for (uint32_t i = 0; i < times; i++) {
    ITW_INIT(d);
    if (itw_stats_delays(s, ITW_STATS_ROUND, &d) != ITW_OK) abort();
  }
  return (now() - start) / times;
}

int main(int argc, char **argv)
{
  static const uint32_t bins[] = {64, 1024, 8192};
  const uint32_t packets = argc > 1 && !strcmp(argv[1], "--quick") ? PACKETS / 8 : PACKETS;
  struct itw_stats_config c;
  itw_stats *s;

  printf("path              bins  first %d  then  itw_stats_delays  unit_ns\n", FIRST);
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    fill(paths[i].delay);
    for (size_t b = 0; b < sizeof bins / sizeof bins[0]; b++) {
      struct itw_delays d;
      ITW_INIT(c);
      ITW_INIT(d);
      c.bins = bins[b];
      if (itw_stats_new(&s, &c) != ITW_OK) abort();
      const double first = add(s, 0, FIRST), then = add(s, FIRST, packets), question = ask(s, 1000);
      if (itw_stats_delays(s, ITW_STATS_ROUND, &d) != ITW_OK) abort();
      printf("%-16s %5u %12.0f %5.0f %17.0f %8.0f\n", paths[i].name, (unsigned)bins[b], first, then, question,
             (double)d.unit_ns);
      itw_stats_free(s);
    }
  }
  return 0;
}
