/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ipsectwamp/types.h>

#define BILLION UINT64_C(1000000000)
#define EPOCH UINT64_C(2208988800)

/* Any sequence will do, as long as it is the same each time. */
static uint64_t next(uint64_t *x)
{
  *x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return *x >> 16 ^ *x << 20;
}

static void known_instants(void **state)
{
  (void)state;
  assert_true(itw_ntp_from_unix(0, 0) == EPOCH << 32);
  assert_true(itw_ntp_from_unix(0, 500000000) == (EPOCH << 32 | 0x80000000u));
  assert_true(itw_ntp_from_unix(0, 250000000) == (EPOCH << 32 | 0x40000000u));
  assert_true(itw_ntp_from_unix(0, 1) == (EPOCH << 32 | 4)); /* 4.29 units */
  assert_true(itw_ntp_from_unix(0, 999999999) == (EPOCH << 32 | 4294967292u));
  assert_true(itw_ntp_from_unix(0, UINT32_MAX) == itw_ntp_from_unix(0, 999999999)); /* against the contract, bounded */
  assert_true(itw_ntp_from_unix(UINT32_MAX - EPOCH, 999999999) == UINT64_C(0xfffffffffffffffc));
  assert_true(itw_ntp_from_unix(UINT64_C(4294967296) - EPOCH, 0) == 0); /* 2036-02-07 06:28:16 */
  assert_true(itw_ntp_from_unix(UINT64_C(4294967297) - EPOCH, 0) == UINT64_C(1) << 32);
}

static void each_nanosecond_comes_back(void **state)
{
  const itw_ntp zero = itw_ntp_from_unix(1700000000, 0);
  (void)state;
  for (uint32_t ns = 0; ns < BILLION; ns += ns < 100000 || ns > BILLION - 100000 ? 1 : 997)
    assert_true(itw_ntp_diff_ns(itw_ntp_from_unix(1700000000, ns), zero) == (int64_t)ns);
}

/* Two stamps that were both rounded, up to 68 years apart, across 2036 too. */
static void each_difference_comes_back(void **state)
{
  const uint64_t near_2036 = UINT64_C(4294967296) - EPOCH - 1000000000;
  uint64_t x = 1;
  (void)state;
  for (int i = 0; i < 1000000; i++) {
    const uint64_t s1 = near_2036 + next(&x) % 2000000000, s2 = near_2036 + next(&x) % 2000000000;
    const uint32_t n1 = (uint32_t)(next(&x) % BILLION), n2 = (uint32_t)(next(&x) % BILLION);
    const int64_t want = ((int64_t)s1 - (int64_t)s2) * (int64_t)BILLION + (int64_t)n1 - (int64_t)n2;
    assert_true(itw_ntp_diff_ns(itw_ntp_from_unix(s1, n1), itw_ntp_from_unix(s2, n2)) == want);
  }
}

static void differences_at_the_ends(void **state)
{
  const int64_t years = INT64_C(2147483648) * (int64_t)BILLION; /* 2^31 s */
  (void)state;
  assert_true(itw_ntp_diff_ns(5, 5) == 0);
  assert_true(itw_ntp_diff_ns(0, UINT64_MAX) == 0); /* a quarter of a nanosecond */
  assert_true(itw_ntp_diff_ns(4, 0) == 1);
  assert_true(itw_ntp_diff_ns(0, 4) == -1);
  assert_true(itw_ntp_diff_ns((UINT64_C(1) << 63) - 1, 0) == years);
  assert_true(itw_ntp_diff_ns(0, (UINT64_C(1) << 63) - 1) == -years);
  assert_true(itw_ntp_diff_ns(UINT64_C(1) << 63, 0) == -years);
}

static void spans(void **state)
{
  uint64_t x = 2;
  (void)state;
  assert_true(itw_ntp_span(0) == 0);
  assert_true(itw_ntp_span(BILLION) == UINT64_C(1) << 32);
  assert_true(itw_ntp_span(1500000000) == UINT64_C(3) << 31);
  assert_true(itw_ntp_span(UINT64_C(4294967296) * BILLION) == UINT64_MAX);
  assert_true(itw_ntp_span(UINT64_C(4294967296) * BILLION - 1) == UINT64_C(0xfffffffffffffffc));
  assert_true(itw_ntp_span(UINT64_MAX) == UINT64_MAX);
  for (int i = 0; i < 100000; i++) {
    const uint64_t ns = next(&x) % (UINT64_C(2147483648) * BILLION);
    assert_true(itw_ntp_diff_ns(itw_ntp_span(ns), 0) == (int64_t)ns);
  }
}

static void known_estimates(void **state)
{
  (void)state;
  assert_int_equal(itw_error_estimate(0, 0), 0x0001); /* never Multiplier 0 */
  assert_int_equal(itw_error_estimate(0, 1), 0x8001);
  assert_int_equal(itw_error_estimate(1, 1), 0x8005);              /* 4.29 units, rounded up */
  assert_int_equal(itw_error_estimate(BILLION, 0), 25 << 8 | 128); /* 2^32 units */
  assert_int_equal(itw_error_estimate(59, 0), 254);                /* 253.4 */
  assert_int_equal(itw_error_estimate(60, 0), 1 << 8 | 129);       /* 257.7 */
  assert_int_equal(itw_error_ns(25 << 8 | 128), BILLION);
  assert_int_equal(itw_error_ns(0xc000 | 25 << 8 | 128), BILLION); /* S and Z don't count */
  assert_int_equal(itw_error_ns(0x0001), 1);
  assert_int_equal(itw_error_ns(0x8000), 0); /* corrupt */
  assert_int_equal(itw_error_ns(0xff00), 0);
  assert_int_equal(itw_error_ns(32 << 8 | 1), BILLION);
  assert_true(itw_error_ns(0x3fff) == UINT64_MAX);
}

/* What is said is at least the error, and less than 1 % too much where that can be said. */
static void estimates_are_upper_bounds(void **state)
{
  uint64_t x = 3;
  (void)state;
  for (int i = 0; i < 1000000; i++) {
    const uint64_t ns = next(&x) >> (next(&x) % 64);
    const uint16_t e = itw_error_estimate(ns, (uint32_t)i & 1);
    const uint64_t back = itw_error_ns(e);
    assert_int_equal(e >> 14, (i & 1) ? 2 : 0);
    assert_true((e & 255) != 0);
    assert_true(back >= ns);
    if (ns > 1000) assert_true(back - ns <= ns / 100);
  }
  assert_true(itw_error_ns(itw_error_estimate(UINT64_MAX, 0)) == UINT64_MAX);
}

static void every_estimate_is_its_own(void **state)
{
  (void)state;
  for (unsigned e = 0; e <= UINT16_MAX; e++) {
    const uint64_t ns = itw_error_ns((uint16_t)e);
    assert_int_equal(ns == 0, (e & 255) == 0);
    if (ns && ns < UINT64_MAX) assert_true(itw_error_ns(itw_error_estimate(ns, 0)) >= ns);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_instants),
      cmocka_unit_test(each_nanosecond_comes_back),
      cmocka_unit_test(each_difference_comes_back),
      cmocka_unit_test(differences_at_the_ends),
      cmocka_unit_test(spans),
      cmocka_unit_test(known_estimates),
      cmocka_unit_test(estimates_are_upper_bounds),
      cmocka_unit_test(every_estimate_is_its_own),
  };
  return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
