/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_SKETCH_H
#define ITWI_SKETCH_H

/* A distribution in bounded memory. What its quantiles promise, and how, is at the head of <ipsectwamp/stats.h>.
   Layer 3. */

#include "moments.h"
#include <ipsectwamp/stats.h>

/* An aligned interval of 2^k. Twice its middle is odd * 2^k, which says where it lies and how wide it is. */
struct itwi_bin {
  int64_t middle2;
  uint64_t count;
};
struct itwi_sketch {
  struct itwi_bin *bins; /* disjoint, ascending */
  uint32_t room, used;
  uint32_t unit;         /* log2 of the width that is allowed anywhere */
  uint32_t from_min;     /* not 0: the distance to min counts too */
  uint64_t count;
  int64_t min, max;
  struct itwi_moments moments;
};

/* bins: room for that many, at least 16. */
void itwi_sketch_init(struct itwi_sketch *, struct itwi_bin *bins, uint32_t room, uint32_t from_min);
void itwi_sketch_add(struct itwi_sketch *, int64_t value); /* limited, as below */
void itwi_sketch_merge(struct itwi_sketch *, const struct itwi_sketch *other);
/* The value of that rank, 1 to count. */
int64_t itwi_sketch_at(const struct itwi_sketch *, uint64_t rank);
/* A bin, as far as it reaches between min and max. */
void itwi_sketch_bin(const struct itwi_sketch *, uint32_t i, struct itw_bin *out);

/* No further from 0 than 2^61: twice that, and differences of two, fit. */
static inline int64_t itwi_sketch_limited(int64_t value)
{
  const int64_t limit = INT64_C(1) << 61;
  return value > limit ? limit : value < -limit ? -limit : value;
}

#endif
