/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_MOMENTS_H
#define ITWI_MOMENTS_H

/* Mean and standard deviation from sums that are exact: no rounding, no order of arrival, no drift. Layer 3. */

#include <stdint.h>

/* Of fewer than 2^63 values x, |x| <= 2^62. */
struct itwi_moments {
  uint64_t sum[2];     /* of x: 128 bits, two's complement, low word first */
  uint64_t squares[3]; /* of x * x: 192 bits */
};

void itwi_moments_add(struct itwi_moments *, int64_t x);
void itwi_moments_merge(struct itwi_moments *, const struct itwi_moments *other);
/* Of n values, n > 0; to the nearest integer, halves away from zero. */
int64_t itwi_moments_mean(const struct itwi_moments *, uint64_t n);
/* Of the sample (n - 1), to the nearest integer; 0 for n < 2. */
int64_t itwi_moments_deviation(const struct itwi_moments *, uint64_t n);

#endif
