/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi.h"
#include "arrivals.h"
#include "sketch.h"
#include <ipsectwamp/stats.h>
#include <stdlib.h>

enum { DIRECTIONS = 3 }; /* there, back, round: in this order everywhere */
enum { FLAGS = ITW_SAMPLE_ONE_WAY | ITW_SAMPLE_LOST | ITW_SAMPLE_LATE | ITW_SAMPLE_DUPLICATE };
enum { BINS = 1024, BINS_MIN = 16, BINS_MAX = 1 << 20, WINDOW = 512, WINDOW_MIN = 32, WINDOW_MAX = 1 << 24 };
enum { MILLION = 1000000 };

struct itw_stats {
  size_t len;
  bool owned;          /* from malloc */
  uint32_t directions; /* 1 or 3 */
  struct itwi_sketch delay[DIRECTIONS], ipdv[DIRECTIONS], extent;
  struct itwi_arrivals arrivals;
  int64_t *window[DIRECTIONS]; /* delays of what arrived in it */
  uint64_t late;
  struct itw_clock_errors clocks;
  struct itw_loss others; /* what merging added */
};

/* ---- memory ---- */

static itw_status config_in(struct itw_stats_config *c, const struct itw_stats_config *in)
{
  const itw_status st = itwi_abi_in(c, sizeof *c, in, sizeof *c);
  uint32_t window = WINDOW_MIN;

  if (st != ITW_OK) return st;
  if (!c->bins) c->bins = BINS;
  if (!c->window) c->window = WINDOW;
  if (c->flags & ~(uint32_t)ITW_STATS_ONE_WAY) return ITW_ERR_ARGUMENT;
  if (c->bins < BINS_MIN || c->bins > BINS_MAX) return ITW_ERR_ARGUMENT;
  if (c->window < WINDOW_MIN || c->window > WINDOW_MAX) return ITW_ERR_ARGUMENT;
  while (window < c->window) window *= 2;
  c->window = window;
  return ITW_OK;
}

static uint32_t directions_of(const struct itw_stats_config *c)
{
  return c->flags & ITW_STATS_ONE_WAY ? 1 : DIRECTIONS;
}

/* The struct, and behind it, widest first so that each piece is aligned: bins, delays, places of arrival, bits. */
enum { HEAD = (sizeof(struct itw_stats) + 7) / 8 * 8 };
static uint64_t octets(const struct itw_stats_config *c)
{
  const uint64_t d = directions_of(c), bins = c->bins * sizeof(struct itwi_bin), window = c->window;
  return HEAD + (3 * d + 1) * bins + window * (8 * d + 4) + window / 8;
}

size_t itw_stats_size(const struct itw_stats_config *config)
{
  struct itw_stats_config c;
  if (config_in(&c, config) != ITW_OK || octets(&c) > SIZE_MAX / 2) return 0;
  return (size_t)octets(&c);
}

static void *take(uint8_t **memory, size_t n)
{
  void *const piece = *memory;
  *memory += n;
  return piece;
}

static itw_stats *build(uint8_t *memory, size_t need, const struct itw_stats_config *c)
{
  itw_stats *const s = (void *)memory;
  const size_t bins = c->bins * sizeof(struct itwi_bin), window = c->window;

  memset(memory, 0, need);
  s->len = need;
  s->directions = directions_of(c);
  memory += HEAD;
  for (uint32_t d = 0; d < s->directions; d++) {
    itwi_sketch_init(&s->delay[d], take(&memory, bins), c->bins, true);
    itwi_sketch_init(&s->ipdv[d], take(&memory, 2 * bins), 2 * c->bins, false); /* of both signs */
  }
  itwi_sketch_init(&s->extent, take(&memory, bins), c->bins, false);
  for (uint32_t d = 0; d < s->directions; d++) s->window[d] = take(&memory, window * sizeof(int64_t));
  s->arrivals.mask = c->window - 1;
  s->arrivals.arrival = take(&memory, window * sizeof(uint32_t));
  s->arrivals.bits = take(&memory, window / 8);
  return s;
}

itw_status itw_stats_init(itw_stats **out, void *memory, size_t len, const struct itw_stats_config *config)
{
  struct itw_stats_config c;
  itw_status st = config_in(&c, config);

  if (st != ITW_OK) return st;
  if (!out || !memory || (uintptr_t)memory % _Alignof(uint64_t)) return ITW_ERR_ARGUMENT;
  if (len < octets(&c)) return ITW_ERR_TOO_SMALL;
  *out = build(memory, (size_t)octets(&c), &c);
  return ITW_OK;
}

itw_status itw_stats_new(itw_stats **out, const struct itw_stats_config *config)
{
  struct itw_stats_config c;
  itw_status st = config_in(&c, config);
  void *memory;

  if (st != ITW_OK) return st;
  if (!out) return ITW_ERR_ARGUMENT;
  if (octets(&c) > SIZE_MAX / 2 || !(memory = malloc((size_t)octets(&c)))) return ITW_ERR_MEMORY;
  *out = build(memory, (size_t)octets(&c), &c);
  (*out)->owned = true;
  return ITW_OK;
}

void itw_stats_free(itw_stats *s)
{
  if (!s) return;
  const bool owned = s->owned;
  itw_wipe(s, s->len);
  if (owned) free(s);
}

/* ---- samples ---- */

void itw_sample_from_reply(struct itw_sample *out, const struct itw_reply *r)
{
  ITW_INIT(*out);
  out->seq = r->seq;
  out->flags = r->kind == ITW_REPLY_LATE ? ITW_SAMPLE_LATE : r->kind == ITW_REPLY_DUPLICATE ? ITW_SAMPLE_DUPLICATE : 0;
  out->error_here = r->e1;
  out->error_there = r->e2;
  out->there_ns = r->there_ns;
  out->back_ns = r->back_ns;
  out->rtt_ns = r->rtt_ns;
}

void itw_sample_from_record(struct itw_sample *out, const struct itw_record *r)
{
  ITW_INIT(*out);
  out->seq = r->seq;
  out->flags = ITW_SAMPLE_ONE_WAY | (r->received ? 0 : ITW_SAMPLE_LOST);
  out->error_here = r->send_error;
  out->error_there = r->receive_error;
  if (r->received) out->there_ns = itw_ntp_diff_ns(r->received, r->sent);
}

/* ---- feeding ---- */

static uint16_t worse(uint16_t a, uint16_t b) { return itw_error_ns(a) > itw_error_ns(b) ? a : b; }
static bool synchronised(uint16_t estimate) { return estimate >> 15; }

static void add_clocks(struct itw_clock_errors *c, uint16_t here, uint16_t there)
{
  c->unsynchronised += !synchronised(here) || !synchronised(there);
  if (c->last_here == here && c->last_there == there) return;
  c->last_here = here;
  c->last_there = there;
  c->worst_here = worse(here, c->worst_here);
  c->worst_there = worse(there, c->worst_there);
}

/* Pairs of neighbours by sequence number, once both are there. */
static void add_delays(itw_stats *s, uint64_t seq, const int64_t *delay)
{
  const struct itwi_arrivals *a = &s->arrivals;
  const bool before = seq > 0 && itwi_arrivals_has(a, seq - 1), after = itwi_arrivals_has(a, seq + 1);

  for (uint32_t d = 0; d < s->directions && d < DIRECTIONS; d++) {
    int64_t *const w = s->window[d];
    w[(uint32_t)seq & a->mask] = delay[d];
    itwi_sketch_add(&s->delay[d], delay[d]);
    if (before) itwi_sketch_add(&s->ipdv[d], delay[d] - w[(uint32_t)(seq - 1) & a->mask]);
    if (after) itwi_sketch_add(&s->ipdv[d], w[(uint32_t)(seq + 1) & a->mask] - delay[d]);
  }
}

itw_status itw_stats_add(itw_stats *s, const struct itw_sample *in)
{
  struct itw_sample x;
  uint32_t extent, kind;
  itw_status st = itwi_abi_in(&x, sizeof x, in, sizeof x);

  if (st != ITW_OK) return st;
  if (!s || x.flags & ~(uint32_t)FLAGS) return ITW_ERR_ARGUMENT;
  if (x.flags & ITW_SAMPLE_ONE_WAY && s->directions > 1) return ITW_ERR_ARGUMENT;

  const uint64_t seq = itwi_arrivals_unwrap(&s->arrivals, x.seq);
  const int64_t delay[DIRECTIONS] = {itwi_sketch_limited(x.there_ns), itwi_sketch_limited(x.back_ns),
                                     itwi_sketch_limited(x.rtt_ns)};
  itwi_arrivals_sent(&s->arrivals, seq + 1);
  s->late += !!(x.flags & ITW_SAMPLE_LATE);
  s->arrivals.duplicates += !!(x.flags & ITW_SAMPLE_DUPLICATE);
  if (x.flags & (ITW_SAMPLE_LOST | ITW_SAMPLE_LATE | ITW_SAMPLE_DUPLICATE)) return ITW_OK;

  kind = itwi_arrivals_mark(&s->arrivals, seq, &extent);
  if (kind != ITWI_ARRIVED && kind != ITWI_ARRIVED_REORDERED) return ITW_OK;
  if (kind == ITWI_ARRIVED_REORDERED) itwi_sketch_add(&s->extent, extent);
  add_delays(s, seq, delay);
  add_clocks(&s->clocks, x.error_here, x.error_there);
  return ITW_OK;
}

void itw_stats_sent(itw_stats *s, uint64_t sent)
{
  if (s) itwi_arrivals_sent(&s->arrivals, sent);
}

itw_status itw_stats_skips(itw_stats *s, const struct itw_skip *skips, size_t n)
{
  if (!s || (n && !skips)) return ITW_ERR_ARGUMENT;
  for (size_t i = 0; i < n; i++)
    if (skips[i].last < skips[i].first || (i && skips[i].first <= skips[i - 1].last)) return ITW_ERR_ARGUMENT;
  return itwi_arrivals_skips(&s->arrivals, skips, n) ? ITW_OK : ITW_ERR_STATE;
}

/* ---- figures ---- */

/* NULL: there is none. base: what its values are counted from. */
static const struct itwi_sketch *sketch_of(const itw_stats *s, uint32_t which, int64_t *base)
{
  const uint32_t d = which % DIRECTIONS;
  const struct itwi_sketch *sketch = NULL;

  if (which == ITW_STATS_EXTENT)
    sketch = &s->extent;
  else if (d < s->directions)
    sketch = which >= ITW_STATS_IPDV_THERE ? &s->ipdv[d] : &s->delay[d];
  if (!sketch || !sketch->count) return NULL;
  *base = which >= ITW_STATS_PDV_THERE && which <= ITW_STATS_PDV_ROUND ? sketch->min : 0;
  return sketch;
}

/* The rank that ppm of n values have: the ceiling of n * ppm / 10^6, without overflow. */
static uint64_t rank_of(uint64_t n, uint32_t ppm)
{
  return n / MILLION * ppm + (n % MILLION * ppm + (MILLION - 1)) / MILLION;
}

static bool one_way(uint32_t which) { return which == ITW_STATS_THERE || which == ITW_STATS_BACK; }

itw_status itw_stats_delays(const itw_stats *s, uint32_t which, struct itw_delays *out)
{
  struct itw_delays d;
  int64_t base;

  if (!s || which > ITW_STATS_EXTENT) return ITW_ERR_ARGUMENT;
  const struct itwi_sketch *sketch = sketch_of(s, which, &base);
  ITW_INIT(d);
  if (sketch) {
    d.flags = one_way(which) && s->clocks.unsynchronised ? ITW_DELAYS_UNSYNCHRONISED : 0;
    d.count = sketch->count;
    d.min = sketch->min - base;
    d.median = itwi_sketch_at(sketch, rank_of(d.count, MILLION / 2)) - base;
    d.max = sketch->max - base;
    d.mean = itwi_moments_mean(&sketch->moments, d.count) - base;
    d.stddev = itwi_moments_deviation(&sketch->moments, d.count);
    d.unit_ns = UINT64_C(1) << sketch->unit;
  }
  const itw_status st = itwi_abi_out(out, &d, sizeof d, sizeof d);
  return st != ITW_OK || sketch ? st : ITW_EMPTY;
}

itw_status itw_stats_percentile(const itw_stats *s, uint32_t which, uint32_t ppm, int64_t *out)
{
  int64_t base;

  if (!s || !out || which > ITW_STATS_EXTENT || ppm > MILLION) return ITW_ERR_ARGUMENT;
  const struct itwi_sketch *sketch = sketch_of(s, which, &base);
  *out = sketch ? itwi_sketch_at(sketch, rank_of(sketch->count, ppm)) - base : 0;
  return sketch ? ITW_OK : ITW_EMPTY;
}

itw_status itw_stats_bin(const itw_stats *s, uint32_t which, uint32_t i, struct itw_bin *out)
{
  int64_t base;

  if (!s || !out || which > ITW_STATS_EXTENT) return ITW_ERR_ARGUMENT;
  memset(out, 0, sizeof *out);
  const struct itwi_sketch *sketch = sketch_of(s, which, &base);
  if (!sketch || i >= sketch->used) return ITW_EMPTY;
  itwi_sketch_bin(sketch, i, out);
  out->low -= base;
  out->high -= base;
  return ITW_OK;
}

static void sum_losses(struct itw_loss *l, const struct itw_loss *other)
{
  l->sent += other->sent;
  l->received += other->received;
  l->lost += other->lost;
  l->skipped += other->skipped;
  l->tail += other->tail;
  l->runs += other->runs;
  l->longest = other->longest > l->longest ? other->longest : l->longest;
  l->duplicates += other->duplicates;
  l->late += other->late;
  l->beyond += other->beyond;
}

itw_status itw_stats_loss(const itw_stats *s, struct itw_loss *out)
{
  struct itwi_losses own;
  struct itw_loss l;

  if (!s) return ITW_ERR_ARGUMENT;
  const struct itwi_arrivals *a = &s->arrivals;
  itwi_arrivals_losses(a, &own);
  ITW_INIT(l);
  l.sent = a->sent;
  l.received = a->received;
  l.lost = own.lost;
  l.skipped = own.skipped;
  l.tail = own.tail;
  l.runs = own.runs;
  l.longest = own.longest;
  l.duplicates = a->duplicates;
  l.late = s->late;
  l.beyond = a->beyond;
  sum_losses(&l, &s->others);
  return itwi_abi_out(out, &l, sizeof l, sizeof l);
}

itw_status itw_stats_reorder(const itw_stats *s, struct itw_reorder *out)
{
  struct itw_reorder r;

  if (!s) return ITW_ERR_ARGUMENT;
  ITW_INIT(r);
  r.received = s->arrivals.received + s->others.received;
  r.reordered = s->extent.count;
  r.extent_max = (uint64_t)s->extent.max;
  r.beyond = s->arrivals.beyond + s->others.beyond;
  r.ratio_ppm = r.received ? (uint32_t)(r.reordered * MILLION / r.received) : 0;
  return itwi_abi_out(out, &r, sizeof r, sizeof r);
}

itw_status itw_stats_clocks(const itw_stats *s, struct itw_clock_errors *out)
{
  return s ? itwi_abi_out(out, &s->clocks, sizeof s->clocks, sizeof s->clocks) : ITW_ERR_ARGUMENT;
}

/* ---- merging ---- */

static void merge_clocks(struct itw_clock_errors *c, const struct itw_clock_errors *other)
{
  if (!c->last_here && !c->last_there) {
    c->last_here = other->last_here;
    c->last_there = other->last_there;
  }
  c->worst_here = worse(other->worst_here, c->worst_here);
  c->worst_there = worse(other->worst_there, c->worst_there);
  c->unsynchronised += other->unsynchronised;
}

itw_status itw_stats_merge(itw_stats *s, const itw_stats *other)
{
  struct itw_loss loss;

  if (!s || !other || s == other || s->directions != other->directions) return ITW_ERR_ARGUMENT;
  ITW_INIT(loss);
  const itw_status st = itw_stats_loss(other, &loss);
  if (st != ITW_OK) return st;
  for (uint32_t d = 0; d < s->directions; d++) {
    itwi_sketch_merge(&s->delay[d], &other->delay[d]);
    itwi_sketch_merge(&s->ipdv[d], &other->ipdv[d]);
  }
  itwi_sketch_merge(&s->extent, &other->extent);
  merge_clocks(&s->clocks, &other->clocks);
  sum_losses(&s->others, &loss);
  return ITW_OK;
}
