/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "secret.h"
#include <ipsectwamp/version.h>

static void backend_has_a_name(void **state)
{
  (void)state;
#if defined(ITW_SECRETS_SODIUM)
  assert_string_equal(itw_secrets_backend(), "sodium");
#endif
  assert_true(strcmp(itw_secrets_backend(), "sodium") == 0 || strcmp(itw_secrets_backend(), "plain") == 0);
}

static void wipe_clears_just_what_it_is_told(void **state)
{
  uint8_t p[80];
  (void)state;
  for (size_t n = 0; n <= 64; n++) {
    memset(p, 0xa5, sizeof p);
    itw_wipe(p + 8, n);
    for (size_t i = 0; i < sizeof p; i++) assert_int_equal(p[i], i >= 8 && i < 8 + n ? 0 : 0xa5);
  }
  itw_wipe(NULL, 0);
}

static void equal_sees_each_bit(void **state)
{
  uint8_t a[67], b[67];
  (void)state;
  for (size_t i = 0; i < sizeof a; i++) a[i] = (uint8_t)(i * 37);
  memcpy(b, a, sizeof a);
  for (size_t n = 0; n <= sizeof a; n++) assert_true(itwi_equal(a, b, n));
  for (size_t i = 0; i < 8 * sizeof a; i++) {
    b[i / 8] ^= (uint8_t)(1u << i % 8);
    assert_false(itwi_equal(a, b, sizeof a));
    assert_true(itwi_equal(a, b, i / 8)); /* beyond the end it doesn't look */
    b[i / 8] = a[i / 8];
  }
  assert_true(itwi_equal(NULL, NULL, 0));
}

static void zero_sees_each_bit(void **state)
{
  uint8_t p[67] = {0};
  (void)state;
  for (size_t n = 0; n <= sizeof p; n++) assert_true(itwi_is_zero(p, n));
  for (size_t i = 0; i < 8 * sizeof p; i++) {
    p[i / 8] = (uint8_t)(1u << i % 8);
    assert_false(itwi_is_zero(p, sizeof p));
    assert_true(itwi_is_zero(p, i / 8));
    p[i / 8] = 0;
  }
  assert_true(itwi_is_zero(NULL, 0));
}

static void guarded_memory_is_zero_aligned_and_writable(void **state)
{
  static const size_t sizes[] = {0, 1, 15, 16, 17, 4095, 4096, 4097, 100000};
  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    const size_t n = sizes[i];
    uint8_t *p = itwi_guarded_new(n);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 16, 0);
    assert_true(itwi_is_zero(p, n));
    memset(p, 0x5a, n);
    itwi_guarded_free(p, n);
  }
  itwi_guarded_free(NULL, 0);
  itwi_guarded_free(NULL, 10);
  assert_null(itwi_guarded_new(SIZE_MAX));
  assert_null(itwi_guarded_new(SIZE_MAX - 15));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(backend_has_a_name),
      cmocka_unit_test(wipe_clears_just_what_it_is_told),
      cmocka_unit_test(equal_sees_each_bit),
      cmocka_unit_test(zero_sees_each_bit),
      cmocka_unit_test(guarded_memory_is_zero_aligned_and_writable),
  };
  return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
