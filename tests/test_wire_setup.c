/* SPDX-License-Identifier: BSD-3-Clause */
/* Greetings, Set-Up-Responses, Server-Start: every field at its offset, MBZ, lengths. */

#include "octets.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <ipsectwamp/wire.h>
#include <string.h>

static const struct {
  uint32_t form;
  size_t greeting, setup;
} forms[] = {
  {ITW_FORM_FULL, ITW_GREETING_FULL, ITW_SETUP_FULL},
  {ITW_FORM_ROOT, ITW_GREETING_ROOT, ITW_SETUP_ROOT},
  {ITW_FORM_DIRECT, ITW_GREETING_DIRECT, ITW_SETUP_DIRECT},
};

static bool all(const uint8_t *p, size_t n, uint8_t value)
{
  for (size_t i = 0; i < n; i++)
    if (p[i] != value) return false;
  return true;
}

static struct itw_greeting a_greeting(uint32_t form)
{
  struct itw_greeting g = {.form = form, .protocol = 3, .spi_i = 0x01020304, .spi_r = 0xa1a2a3a4, .modes = 0x80000fff};
  if (form != ITW_FORM_DIRECT) memset(g.challenge, 0xc1, 16);
  if (form != ITW_FORM_FULL) return g;
  memset(g.salt, 0x5a, 16);
  g.count = 0x00010400;
  return g;
}

static void greeting_fields(void **state)
{
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    uint8_t o[64];
    struct itw_greeting g = a_greeting(forms[i].form);
    memset(o, 0xff, sizeof o);
    assert_int_equal(itw_greeting_write(o, sizeof o, &g), ITW_OK);
    assert_int_equal(itwi_load32(o), 3);
    assert_int_equal(itwi_load32(o + 4), 0x01020304);
    assert_int_equal(itwi_load32(o + 8), 0xa1a2a3a4);
    assert_int_equal(itwi_load32(o + 12), 0x80000fff);
    if (forms[i].form != ITW_FORM_DIRECT) assert_true(all(o + 16, 16, 0xc1));
    if (forms[i].form == ITW_FORM_FULL) {
      assert_true(all(o + 32, 16, 0x5a));
      assert_int_equal(itwi_load32(o + 48), 0x00010400);
      assert_true(all(o + 52, 12, 0));
    }
    assert_true(all(o + forms[i].greeting, sizeof o - forms[i].greeting, 0xff)); /* nothing behind it is touched */
  }
}

static void greeting_comes_back(void **state)
{
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    uint8_t o[64];
    struct itw_greeting g = a_greeting(forms[i].form), back;
    assert_int_equal(itw_greeting_write(o, sizeof o, &g), ITW_OK);
    if (forms[i].form == ITW_FORM_FULL) memset(o + 52, 0xff, 12); /* MBZ is ignored */
    assert_int_equal(itw_greeting_read(&back, forms[i].form, o, forms[i].greeting), ITW_OK);
    assert_memory_equal(&back, &g, sizeof g);
  }
}

static void setup_fields(void **state)
{
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    uint8_t o[164], *token = o + (forms[i].form == ITW_FORM_FULL ? 84 : 4);
    struct itw_setup s = {.form = forms[i].form, .mode = 0x01020384}, back;
    size_t token_len = forms[i].form == ITW_FORM_FULL ? 64 : forms[i].form == ITW_FORM_ROOT ? 16 : 0;
    if (forms[i].form == ITW_FORM_FULL) memset(s.key_id, 0x1d, 80);
    memset(s.token, 0x70, token_len);
    memset(s.client_iv, 0x1c, 16);
    assert_int_equal(itw_setup_write(o, sizeof o, &s), ITW_OK);
    assert_int_equal(itwi_load32(o), 0x01020384);
    if (forms[i].form == ITW_FORM_FULL) assert_true(all(o + 4, 80, 0x1d));
    assert_true(all(token, token_len, 0x70));
    assert_true(all(o + forms[i].setup - 16, 16, 0x1c));
    assert_ptr_equal(token + token_len, o + forms[i].setup - 16);
    assert_int_equal(itw_setup_read(&back, forms[i].form, o, forms[i].setup), ITW_OK);
    assert_memory_equal(&back, &s, sizeof s);
  }
}

static void server_start_fields(void **state)
{
  uint8_t o[48];
  struct itw_server_start s = {.accept = 200, .start = UINT64_C(0xeeae740001020304)}, back;
  (void)state;
  memset(s.server_iv, 0x51, 16);
  memset(o, 0xff, sizeof o);
  assert_int_equal(itw_server_start_write(o, sizeof o, &s), ITW_OK);
  assert_true(all(o, 15, 0));
  assert_int_equal(o[15], 200);
  assert_true(all(o + 16, 16, 0x51));
  assert_true(itwi_load64(o + 32) == s.start);
  assert_true(all(o + 40, 8, 0));
  memset(o, 0xff, 15);
  memset(o + 40, 0xff, 8);
  assert_int_equal(itw_server_start_read(&back, o, sizeof o), ITW_OK);
  assert_memory_equal(&back, &s, sizeof s);
}

static void one_octet_less_is_too_short(void **state)
{
  uint8_t o[164] = {0};
  struct itw_greeting g;
  struct itw_setup s;
  struct itw_server_start start;
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    for (size_t n = 0; n < forms[i].greeting; n++)
      assert_int_equal(itw_greeting_read(&g, forms[i].form, o, n), ITW_ERR_SHORT);
    for (size_t n = 0; n < forms[i].setup; n++)
      assert_int_equal(itw_setup_read(&s, forms[i].form, o, n), ITW_ERR_SHORT);
  }
  for (size_t n = 0; n < ITW_SERVER_START_LEN; n++) assert_int_equal(itw_server_start_read(&start, o, n), ITW_ERR_SHORT);
}

static void nothing_is_written_beyond_the_buffer(void **state)
{
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    struct itw_greeting g = a_greeting(forms[i].form);
    struct itw_setup s = {.form = forms[i].form};
    struct itw_server_start start = {0};
    uint8_t o[200];
    memset(o, 0xee, sizeof o);
    for (size_t n = 0; n < forms[i].greeting; n++) {
      assert_int_equal(itw_greeting_write(o, n, &g), ITW_ERR_TOO_SMALL);
      assert_true(all(o + n, sizeof o - n, 0xee));
    }
    memset(o, 0xee, sizeof o);
    for (size_t n = 0; n < forms[i].setup; n++) {
      assert_int_equal(itw_setup_write(o, n, &s), ITW_ERR_TOO_SMALL);
      assert_true(all(o + n, sizeof o - n, 0xee));
    }
    assert_int_equal(itw_server_start_write(o, ITW_SERVER_START_LEN - 1, &start), ITW_ERR_TOO_SMALL);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(greeting_fields),
    cmocka_unit_test(greeting_comes_back),
    cmocka_unit_test(setup_fields),
    cmocka_unit_test(server_start_fields),
    cmocka_unit_test(one_octet_less_is_too_short),
    cmocka_unit_test(nothing_is_written_beyond_the_buffer),
  };
  return cmocka_run_group_tests_name("wire_setup", tests, NULL, NULL);
}
