/* SPDX-License-Identifier: BSD-3-Clause */
#include "sketch.h"
#include <stdbool.h>

enum { FINE = 6 }; /* a bin is at most 2^-FINE of its distance wide */

void itwi_sketch_init(struct itwi_sketch *s, struct itwi_bin *bins, uint32_t room, uint32_t from_min)
{
  memset(s, 0, sizeof *s);
  s->bins = bins;
  s->room = room;
  s->from_min = from_min;
}

/* ---- intervals ---- */

static int64_t width(int64_t middle2) { return (int64_t)((uint64_t)middle2 & (0 - (uint64_t)middle2)); }
static int64_t low_of(int64_t middle2) { return (middle2 - width(middle2)) / 2; }

/* The interval of twice the width that this one is a half of. */
static int64_t parent(int64_t middle2)
{
  const int64_t w = width(middle2);
  return (int64_t)((uint64_t)(middle2 - w) & ~(uint64_t)(2 * w)) + 2 * w;
}

/* How near the interval comes to where it has to be narrow. One beside the minimum, or around it, is at distance 0. */
static int64_t distance(const struct itwi_sketch *s, int64_t middle2)
{
  const int64_t w = width(middle2), low = low_of(middle2), last = low + w - 1;
  const int64_t d = low > 0 ? low : last < 0 ? -last : 0;

  if (!s->from_min || low - s->min >= d) return d;
  return low > s->min ? low - s->min : 0;
}

/* So are then its halves. */
static bool narrow(const struct itwi_sketch *s, int64_t middle2)
{
  const int64_t w = width(middle2);
  return w >> s->unit <= 1 || w <= distance(s, middle2) >> FINE;
}

static int64_t widest(const struct itwi_sketch *s, int64_t middle2)
{
  while (narrow(s, parent(middle2))) middle2 = parent(middle2);
  return middle2;
}

/* Is `inner` within `outer`, or the same? Aligned intervals are, or lie apart, or the other way around; the middle of a
   wider one is at least half of this one's width away, so the middle alone tells. */
static bool within(int64_t inner, int64_t outer)
{
  const uint64_t apart = inner > outer ? (uint64_t)inner - (uint64_t)outer : (uint64_t)outer - (uint64_t)inner;
  return apart < (uint64_t)width(outer);
}

/* ---- the array ---- */

/* The bin that an interval lies in, or else the first one above. Values come in any order, so a branch on them would be
   guessed wrong half of the time: there is none. */
static uint32_t find(const struct itwi_sketch *s, int64_t middle2)
{
  const struct itwi_bin *first = s->bins;
  uint32_t n = s->used;

  while (n) {
    const uint32_t half = n / 2;
    first += (n - half) & (0 - (uint32_t)(first[half].middle2 < middle2));
    n = half;
  }
  if (first == s->bins) return 0;
  return (uint32_t)(first - s->bins - within(middle2, first[-1].middle2));
}

/* Merges what may be merged: each bin becomes the widest that is allowed, and then some are the same. */
static void compact(struct itwi_sketch *s)
{
  uint32_t n = 0;

  for (uint32_t i = 0; i < s->used; i++) {
    const struct itwi_bin b = {widest(s, s->bins[i].middle2), s->bins[i].count};
    if (n && within(b.middle2, s->bins[n - 1].middle2))
      s->bins[n - 1].count += b.count;
    else
      s->bins[n++] = b;
  }
  s->used = n;
}

/* Room for more: an eighth at least, so that this is rare. */
static void make_room(struct itwi_sketch *s)
{
  for (compact(s); s->used > s->room - s->room / 8 - 1; compact(s)) s->unit++;
}

/* Bins i to i + n become one. */
static void replace(struct itwi_sketch *s, uint32_t i, uint32_t n, const struct itwi_bin *b)
{
  memmove(s->bins + i + 1, s->bins + i + n, (s->used - i - n) * sizeof *b);
  s->bins[i] = *b;
  s->used += 1 - n;
}

/* count values in an interval that is narrow enough: into the bin that it lies in, or a new one, as wide as is allowed.
   That one takes in those within it, which were made when the minimum was nearer. */
static void put(struct itwi_sketch *s, int64_t middle2, uint64_t count)
{
  uint32_t i = find(s, middle2), n = 0;

  if (i < s->used && within(middle2, s->bins[i].middle2)) {
    s->bins[i].count += count;
  } else if (s->used == s->room) {
    make_room(s);
    put(s, middle2, count);
  } else {
    struct itwi_bin b = {widest(s, middle2), count};
    while (i && within(s->bins[i - 1].middle2, b.middle2)) i--;
    for (; i + n < s->used && within(s->bins[i + n].middle2, b.middle2); n++) b.count += s->bins[i + n].count;
    replace(s, i, n, &b);
  }
}

static void extend(struct itwi_sketch *s, int64_t min, int64_t max, uint64_t count)
{
  if (!s->count || min < s->min) s->min = min;
  if (!s->count || max > s->max) s->max = max;
  s->count += count;
}

void itwi_sketch_add(struct itwi_sketch *s, int64_t value)
{
  value = itwi_sketch_limited(value);
  extend(s, value, value, 1);
  itwi_moments_add(&s->moments, value);
  put(s, 2 * value + 1, 1);
}

void itwi_sketch_merge(struct itwi_sketch *s, const struct itwi_sketch *other)
{
  if (!other->count) return;
  if (s->unit < other->unit) s->unit = other->unit;
  extend(s, other->min, other->max, other->count);
  itwi_moments_merge(&s->moments, &other->moments);
  for (uint32_t i = 0; i < other->used; i++) put(s, other->bins[i].middle2, other->bins[i].count);
}

/* ---- questions ---- */

int64_t itwi_sketch_at(const struct itwi_sketch *s, uint64_t rank)
{
  uint32_t i = 0;
  int64_t value;

  if (rank <= 1 || !s->used) return s->min;
  if (rank >= s->count) return s->max;
  for (uint64_t seen = s->bins[0].count; seen < rank; seen += s->bins[i].count) i++;
  value = low_of(s->bins[i].middle2) + width(s->bins[i].middle2) / 2;
  return value < s->min ? s->min : value > s->max ? s->max : value;
}

void itwi_sketch_bin(const struct itwi_sketch *s, uint32_t i, struct itw_bin *out)
{
  const int64_t low = low_of(s->bins[i].middle2), high = low + width(s->bins[i].middle2);

  out->low = low < s->min ? s->min : low;
  out->high = high > s->max ? s->max + 1 : high;
  out->count = s->bins[i].count;
}
