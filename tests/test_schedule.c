/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 4656 §3.6, 5, Appendix B. The sums on the way to the RFC's and those of mixed schedules were worked out by a program
   of its own, in another language, which gets the RFC's four sums too. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "schedule.h"
#include <ipsectwamp/version.h>

#define SECOND (UINT64_C(1) << 32)
#define NEEDS_AES()                                                                                                    \
  do {                                                                                                                 \
    (void)state;                                                                                                       \
    if (!strcmp(itw_crypto_backend(), "none")) skip();                                                                 \
  } while (0)

static const struct {
  uint8_t sid[16];
  uint64_t sums[7]; /* of 1, 10, 100 ... 1,000,000 deviates; the last: Appendix B */
} published[] = {
    {{0x28, 0x72, 0x97, 0x93, 0x03, 0xab, 0x47, 0xee, 0xac, 0x02, 0x8d, 0xab, 0x38, 0x29, 0xda, 0xb2},
     {0x6d27e540, 0xd65c2252a, 0x659ec0a4ad, 0x3eb7d735c01, 0x276b1b252495, 0x1887600d2532b, 0xf4479bd317381}},
    {{0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x00},
     {0xc2127448, 0x8bf143c54, 0x6c465f797e, 0x3f0a9b48272, 0x26d5259f60e3, 0x185fc28396cb3, 0xf433686466a62}},
    {{0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef},
     {0x17ef33648, 0xc23b0a12f, 0x5da0a86d3d, 0x3d2cd1c4ab4, 0x2726d4d83748, 0x186929b6e4bc5, 0xf416c8884d2d3}},
    {{0xfe, 0xed, 0x0f, 0xee, 0xd1, 0xfe, 0xed, 0x2f, 0xee, 0xd3, 0xfe, 0xed, 0x4f, 0xee, 0xd5, 0xab},
     {0x300d1c98, 0xd058ee0c0, 0x7df58082de, 0x4067fac41ca, 0x27853d4de631, 0x18725acac8cf6, 0xf3f0b4b416ec8}},
};
enum { SIDS = sizeof published / sizeof published[0] };

static const struct itw_slot mean_1 = {.type = ITW_SLOT_EXPONENTIAL, .parameter = SECOND};

static uint64_t next(struct itw_schedule *s, const struct itw_slot *slots, size_t n)
{
  uint64_t offset = 0;
  assert_int_equal(itw_schedule_next(s, &offset, slots, n, NULL), ITW_OK);
  return offset;
}

/* With the library's own context for each refill, and, a million, with one that all four share by turns. */
static void published_sums(void **state)
{
  NEEDS_AES();
  for (size_t i = 0; i < SIDS; i++) {
    struct itw_schedule s;
    itw_schedule_begin(&s, published[i].sid);
    for (uint32_t n = 1, power = 10, at = 0; n <= 10000; n++) {
      const uint64_t sum = next(&s, &mean_1, 1);
      if (n != 1 && n != power) continue;
      assert_true(sum == published[i].sums[at++]);
      if (n == power) power *= 10;
    }
  }
}

static void published_sums_of_a_million(void **state)
{
  struct itwi_backend backend;
  struct itwi_cbc cbc;
  struct itw_schedule s[SIDS];
  NEEDS_AES();
  assert_int_equal(itwi_backend_open(&backend, NULL), ITW_OK);
  assert_int_equal(itwi_cbc_open(&cbc, &backend), ITW_OK);
  for (size_t i = 0; i < SIDS; i++) itw_schedule_begin(&s[i], published[i].sid);
  for (uint32_t n = 1, power = 1, at = 0; n <= 1000000; n++) {
    for (size_t i = 0; i < SIDS; i++) {
      assert_int_equal(itwi_schedule_next(&s[i], &mean_1, 1, &cbc, &backend), ITW_OK);
      if (n == power) assert_true(s[i].offset == published[i].sums[at]);
    }
    if (n == power) power *= 10, at++;
  }
  itwi_cbc_close(&cbc);
  itwi_backend_close(&backend);
}

/* The slots are a circle; only exponential ones use up numbers; a pair is two packets at a time. */
static void mixed_slots(void **state)
{
  static const struct itw_slot slots[] = {{.type = ITW_SLOT_EXPONENTIAL, .parameter = 0x1999999a},
                                          {.type = ITW_SLOT_FIXED, .parameter = 0},
                                          {.type = ITW_SLOT_EXPONENTIAL, .parameter = 0x300000005},
                                          {.type = ITW_SLOT_FIXED, .parameter = 0x180000000}};
  static const struct {
    uint32_t packet;
    uint64_t offset;
  } want[] = {{0, 0x13683ed4},   {1, 0x13683ed4},      {2, 0x2c844bbf4},       {3, 0x44844bbf4},
              {4, 0x45462ab5b},  {5, 0x45462ab5b},     {6, 0x5dd6c1733},       {7, 0x75d6c1733},
              {99, 0x6947c2d0d2}, {999, 0x48397a190eb}, {4999, 0x161b808d6337}};
  struct itw_schedule s;
  NEEDS_AES();
  itw_schedule_begin(&s, published[1].sid);
  for (uint32_t n = 0, at = 0; n < 5000; n++) {
    const uint64_t offset = next(&s, slots, 4);
    if (n == want[at].packet) assert_true(offset == want[at++].offset);
  }
}

/* A mean above 2^31 s: the product is exact, the sum goes on modulo 2^64. */
static void wraps(void **state)
{
  static const struct itw_slot slot = {.type = ITW_SLOT_EXPONENTIAL, .parameter = UINT64_C(0xfedcba9876543210)};
  static const uint64_t want[] = {0xc135a4b05b05b05b, 0xa723083bbbbbbbbb, 0x1fc48520b60b60b5, 0xa23298fc048d159d};
  const struct itw_slot fixed = {.type = ITW_SLOT_FIXED, .parameter = UINT64_MAX};
  struct itw_schedule s;
  (void)state;
  itw_schedule_begin(&s, published[1].sid);
  for (uint64_t n = 1; n < 10; n++) assert_true(next(&s, &fixed, 1) == 0 - n);
  NEEDS_AES();
  itw_schedule_begin(&s, published[1].sid);
  for (uint32_t n = 0; n < 100; n++) {
    const uint64_t offset = next(&s, &slot, 1);
    if (n < 4) assert_true(offset == want[n]);
    if (n == 99) assert_true(offset == UINT64_C(0xcb2e20349f49f476));
  }
}

/* No cryptography is needed for them. */
static void fixed_slots(void **state)
{
  static const struct itw_slot slots[] = {{.type = ITW_SLOT_FIXED, .parameter = 0x0ccccccc},
                                          {.type = ITW_SLOT_FIXED, .parameter = 1},
                                          {.type = ITW_SLOT_FIXED, .parameter = 5 * SECOND}};
  struct itw_schedule s;
  uint64_t sum = 0;
  (void)state;
  itw_schedule_begin(&s, published[0].sid);
  for (uint32_t n = 0; n < 10000; n++) {
    sum += slots[n % 3].parameter;
    assert_true(next(&s, slots, 3) == sum);
  }
}

/* A copy goes on as the original does, from any point. */
static void is_a_value(void **state)
{
  struct itw_schedule s;
  NEEDS_AES();
  itw_schedule_begin(&s, published[2].sid);
  for (uint32_t n = 0; n < 100; n++) {
    struct itw_schedule copy = s;
    for (uint32_t k = 0; k < 40; k++) (void)next(&copy, &mean_1, 1);
    (void)next(&s, &mean_1, 1);
    copy = s;
    assert_true(next(&copy, &mean_1, 1) > s.offset);
    assert_memory_equal(copy.sid, s.sid, 16);
  }
  for (uint32_t n = 100; n < 1000; n++) (void)next(&s, &mean_1, 1);
  assert_true(s.offset == published[2].sums[3]);
}

static void what_is_refused(void **state)
{
  static const struct itw_slot unknown = {.type = 2}, mbz = {.type = ITW_SLOT_FIXED, .mbz = 1};
  static const struct itw_slot two[] = {{.type = ITW_SLOT_FIXED, .parameter = 7}, {.type = 77}};
  struct itw_schedule s, before;
  uint64_t offset = 99;
  (void)state;
  itw_schedule_begin(&s, published[0].sid);
  before = s;
  assert_int_equal(itw_schedule_next(&s, &offset, &unknown, 1, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_schedule_next(&s, &offset, &mbz, 1, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_schedule_next(&s, &offset, &mean_1, 0, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_schedule_next(&s, &offset, NULL, 1, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_schedule_next(&s, NULL, &mean_1, 1, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_schedule_next(NULL, &offset, &mean_1, 1, NULL), ITW_ERR_ARGUMENT);
  assert_memory_equal(&s, &before, sizeof s);
  assert_true(offset == 99);
  assert_true(next(&s, two, 2) == 7);
  assert_int_equal(itw_schedule_next(&s, &offset, two, 2, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_schedule_next(&s, &offset, two, 1, NULL), ITW_ERR_ARGUMENT); /* fewer slots than before */
}

static void without_cryptography(void **state)
{
  struct itw_schedule s, before;
  uint64_t offset = 99;
  (void)state;
  if (strcmp(itw_crypto_backend(), "none")) skip();
  itw_schedule_begin(&s, published[0].sid);
  before = s;
  assert_int_equal(itw_schedule_next(&s, &offset, &mean_1, 1, NULL), ITW_ERR_UNSUPPORTED);
  assert_memory_equal(&s, &before, sizeof s);
  assert_true(offset == 99);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(published_sums),
      cmocka_unit_test(published_sums_of_a_million),
      cmocka_unit_test(mixed_slots),
      cmocka_unit_test(wraps),
      cmocka_unit_test(fixed_slots),
      cmocka_unit_test(is_a_value),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(without_cryptography),
  };
  return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
