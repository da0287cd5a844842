/* SPDX-License-Identifier: BSD-3-Clause */
#include "moments.h"
#include <stdbool.h>
#include <string.h>

/* Sums are kept in 64-bit words: that is what a packet costs. A question is worked out on 256 bits in 32-bit limbs,
   since compilers for 32-bit processors have no type of 128 bits. */

static uint64_t magnitude(int64_t x) { return x < 0 ? 0 - (uint64_t)x : (uint64_t)x; }

/* ---- a packet's part ---- */

static void add_words(uint64_t *sum, const uint64_t *x, int words)
{
  uint64_t carry = 0;
  for (int i = 0; i < words; i++) {
    const uint64_t partial = x[i] + carry;
    carry = partial < carry;
    sum[i] += partial;
    carry += sum[i] < partial;
  }
}

void itwi_moments_add(struct itwi_moments *m, int64_t x)
{
  const uint64_t wide[2] = {(uint64_t)x, x < 0 ? UINT64_MAX : 0};
  const uint64_t a = magnitude(x), low = a & UINT32_MAX, high = a >> 32;
  const uint64_t cross = low * high; /* twice, at bit 32; below 2^62 */
  const uint64_t square[3] = {low * low + (cross << 33), high * high + (cross >> 31) + (low * low > ~(cross << 33)), 0};

  add_words(m->sum, wide, 2);
  add_words(m->squares, square, 3);
}

void itwi_moments_merge(struct itwi_moments *m, const struct itwi_moments *other)
{
  add_words(m->sum, other->sum, 2);
  add_words(m->squares, other->squares, 3);
}

/* ---- 256 bits ---- */

enum { LIMBS = 8 };
struct big {
  uint32_t limb[LIMBS]; /* low first */
};

static struct big from_words(const uint64_t *w, int words)
{
  struct big b = {{0}};
  for (int i = 0; i < words; i++) {
    b.limb[2 * i] = (uint32_t)w[i];
    b.limb[2 * i + 1] = (uint32_t)(w[i] >> 32);
  }
  return b;
}

static struct big multiply(const struct big *a, const struct big *b)
{
  struct big product = {{0}};
  for (int i = 0; i < LIMBS; i++) {
    uint64_t carry = 0;
    for (int j = 0; i + j < LIMBS; j++) {
      carry += (uint64_t)a->limb[i] * b->limb[j] + product.limb[i + j];
      product.limb[i + j] = (uint32_t)carry;
      carry >>= 32;
    }
  }
  return product;
}

static void subtract(struct big *a, const struct big *b)
{
  uint64_t borrow = 0;
  for (int i = 0; i < LIMBS; i++) {
    const uint64_t d = (uint64_t)a->limb[i] - b->limb[i] - borrow;
    a->limb[i] = (uint32_t)d;
    borrow = d >> 63;
  }
}

static void double_it(struct big *a)
{
  for (int i = LIMBS - 1; i > 0; i--) a->limb[i] = a->limb[i] << 1 | a->limb[i - 1] >> 31;
  a->limb[0] <<= 1;
}

/* Bit by bit; d below 2^63. What remains is returned. */
static uint64_t divide(struct big *a, uint64_t d)
{
  uint64_t rest = 0;
  for (int i = 0; i < 32 * LIMBS; i++) {
    rest = rest << 1 | a->limb[LIMBS - 1] >> 31;
    double_it(a);
    if (rest >= d) {
      rest -= d;
      a->limb[0] |= 1;
    }
  }
  return rest;
}

static bool at_most(const struct big *a, const struct big *b)
{
  for (int i = LIMBS - 1; i >= 0; i--)
    if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i];
  return true;
}

/* The integer part; what is below 2^128 has a root of 64 bits, which are tried from the top. */
static uint64_t square_root(const struct big *a)
{
  uint64_t root = 0;
  for (uint64_t bit = UINT64_C(1) << 63; bit; bit >>= 1) {
    const uint64_t trial = root | bit;
    const struct big r = from_words(&trial, 1), square = multiply(&r, &r);
    if (at_most(&square, a)) root = trial;
  }
  return root;
}

/* ---- questions ---- */

/* |sum| */
static struct big absolute_sum(const struct itwi_moments *m, bool *negative)
{
  struct big sum = from_words(m->sum, 2), zero = {{0}};

  *negative = m->sum[1] >> 63;
  if (!*negative) return sum;
  memset(sum.limb + 4, 0xff, 4 * sizeof sum.limb[0]);
  subtract(&zero, &sum);
  return zero;
}

int64_t itwi_moments_mean(const struct itwi_moments *m, uint64_t n)
{
  bool negative;
  struct big sum = absolute_sum(m, &negative);
  const uint64_t rest = divide(&sum, n);
  const uint64_t mean = ((uint64_t)sum.limb[1] << 32 | sum.limb[0]) + (rest >= n - rest);

  return negative ? -(int64_t)mean : (int64_t)mean;
}

/* variance = (n * squares - sum^2) / (n * (n - 1)). A root rounded down is the same of what was rounded down itself; so
   of four times the variance it is exactly twice the deviation, rounded down. */
int64_t itwi_moments_deviation(const struct itwi_moments *m, uint64_t n)
{
  bool negative;
  const struct big sum = absolute_sum(m, &negative), count = from_words(&n, 1), squares = from_words(m->squares, 3);
  const struct big square = multiply(&sum, &sum);
  struct big v = multiply(&squares, &count);

  if (n < 2) return 0;
  subtract(&v, &square);
  double_it(&v);
  double_it(&v);
  divide(&v, n);
  divide(&v, n - 1);
  return (int64_t)((square_root(&v) + 1) / 2);
}
