/* SPDX-License-Identifier: BSD-3-Clause */
/* The Modes field, Count, Tokens, KeyIDs (protocol.md 1, 2). */

#include "scheme.h"
#include "link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

static void one_line_a_scheme(void **state)
{
  static const struct {
    uint32_t scheme;
    const char *name;
    uint32_t form, ask;
    size_t greeting, setup;
  } t[] = {
    {ITW_PSK, "psk", ITW_FORM_FULL, ITW_ASK_TOKEN_KEY, 64, 164},
    {ITW_IKEV2, "ikev2", ITW_FORM_FULL, ITW_ASK_TOKEN_KEY, 64, 164},
    {ITW_SHARED, "shared", ITW_FORM_FULL, ITW_ASK_TOKEN_KEY, 64, 164},
    {ITW_SHARED_SID, "shared-sid", ITW_FORM_FULL, ITW_ASK_TOKEN_KEY, 64, 164},
    {ITW_ROOT, "root", ITW_FORM_ROOT, ITW_ASK_ROOT, 32, 36},
    {ITW_DIRECT, "direct", ITW_FORM_DIRECT, ITW_ASK_PAIR, 16, 20},
    {0, "?", ITW_FORM_FULL, 0, 64, 164},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    assert_string_equal(itw_scheme_name(t[i].scheme), t[i].name);
    assert_int_equal(itwi_scheme_form(t[i].scheme), t[i].form);
    assert_int_equal(itwi_scheme_ask(t[i].scheme), t[i].ask);
    assert_int_equal(itwi_greeting_len(t[i].form), t[i].greeting);
    assert_int_equal(itwi_setup_len(t[i].form), t[i].setup);
    assert_int_equal(itwi_is_draft(t[i].scheme), t[i].scheme >= ITW_SHARED);
  }
  assert_string_equal(itw_mode_name(ITW_MODE_MIXED), "mixed");
  assert_string_equal(itw_mode_name(3), "?");
}

static void modes_offered(void **state)
{
  static const struct {
    uint32_t schemes, modes, offer;
  } t[] = {
    {0, 15, 1},
    {0, 14, 0},
    {ITW_PSK, 15, 15},
    {ITW_PSK, 6, 6},
    {ITW_PSK, 0xfff0, 0},
    {ITW_IKEV2, 7, 135},
    {ITW_IKEV2, 1, 1}, /* nothing to derive in unauthenticated mode */
    {ITW_PSK | ITW_IKEV2, 15, 143},
    {ITW_SHARED, 7, 15},
    {ITW_ROOT, 4, 12},
    {ITW_DIRECT, 1, 9},
    {ITW_SHARED, 8, 0}, /* mixed is not the draft's */
    {ITW_SHARED, 0, 0},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) assert_int_equal(itwi_modes_offer(ITW_TWAMP, t[i].schemes, t[i].modes, 0), t[i].offer);
}

enum { BAD = ITW_ERR_MODE, LEAVES = ITW_ERR_NOT_WILLING };
struct choice {
  uint32_t mode;
  itw_status status;
  uint32_t scheme, security;
};

static void check_choices(const struct itwi_policy *p, const struct choice *t, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    struct itwi_choice c = {77, 77, 77};
    itw_status st = itwi_mode_choice(&c, p, t[i].mode);
    if (st != t[i].status) fail_msg("Mode %u of %u: %s", t[i].mode, p->offered, itw_status_name(st));
    assert_int_equal(c.scheme, st == ITW_OK ? t[i].scheme : 77);
    assert_int_equal(c.mode, st == ITW_OK ? t[i].security : 77);
  }
}
#define CHECK_CHOICES(p, t) check_choices(&(p), t, sizeof(t) / sizeof((t)[0]))

static void choice_with_a_passphrase(void **state)
{
  static const struct choice t[] = {
    {0, LEAVES, 0, 0},
    {1, ITW_OK, 0, 1},
    {2, ITW_OK, ITW_PSK, 2},
    {4, ITW_OK, ITW_PSK, 4},
    {8, BAD, 0, 0},           /* not offered */
    {3, BAD, 0, 0},
    {6, BAD, 0, 0},
    {15, BAD, 0, 0},
    {4 | 16, BAD, 0, 0},      /* a feature that wasn't offered */
    {4 | 32 | 64, BAD, 0, 0},
    {4 | 128, BAD, 0, 0},     /* ikev2 wasn't either */
    {4 | 256, BAD, 0, 0},
    {4 | 512, BAD, 0, 0},
    {4 | 1024, ITW_OK, ITW_PSK, 4}, /* bits without a name are ignored */
    {0xfffffc04, ITW_OK, ITW_PSK, 4},
    {0xfffffc00, LEAVES, 0, 0},
    {128, LEAVES, 0, 0},
    {0xffffffff, BAD, 0, 0},
  };
  const struct itwi_policy p = {.offered = 7, .schemes = ITW_PSK};
  (void)state;
  CHECK_CHOICES(p, t);
}

static void choice_with_an_ike_sa(void **state)
{
  static const struct choice both[] = {
    {4 | 128, ITW_OK, ITW_IKEV2, 4}, {8 | 128, ITW_OK, ITW_IKEV2, 8}, {4, ITW_OK, ITW_PSK, 4},
    {1, ITW_OK, 0, 1}, {1 | 128, ITW_OK, 0, 1}, {2 | 4 | 128, BAD, 0, 0},
  };
  static const struct choice alone[] = {{2 | 128, ITW_OK, ITW_IKEV2, 2}, {2, BAD, 0, 0}, {1 | 128, ITW_OK, 0, 1}};
  const struct itwi_policy p = {.offered = 143, .schemes = ITW_PSK | ITW_IKEV2}, q = {.offered = 135, .schemes = ITW_IKEV2};
  (void)state;
  CHECK_CHOICES(p, both);
  CHECK_CHOICES(q, alone);
}

static void choice_in_the_draft(void **state)
{
  static const struct choice t[] = {
    {12, ITW_OK, ITW_SHARED, 4}, {10, ITW_OK, ITW_SHARED, 2}, {9, BAD, 0, 0}, /* 1 was not offered */
    {8, BAD, 0, 0}, {14, BAD, 0, 0}, {15, BAD, 0, 0}, {0, LEAVES, 0, 0}, {4, BAD, 0, 0}, {1, BAD, 0, 0},
    {12 | 0xfffffff0, ITW_OK, ITW_SHARED, 4},
  };
  const struct itwi_policy p = {.offered = 14, .schemes = ITW_SHARED};
  (void)state;
  CHECK_CHOICES(p, t);
}

static void choice_of_a_legacy_client(void **state)
{
  static const struct choice with[] = {
    {4, ITW_OK, ITW_PSK, 4}, {1, ITW_OK, 0, 1}, {2, BAD, 0, 0}, {5, BAD, 0, 0}, {12, ITW_OK, ITW_SHARED, 4}};
  static const struct choice open[] = {{4, BAD, 0, 0}, {1, ITW_OK, 0, 1}};
  static const struct choice none[] = {{4, BAD, 0, 0}, {1, BAD, 0, 0}, {12, ITW_OK, ITW_ROOT, 4}};
  const struct itwi_policy p = {.offered = 15, .schemes = ITW_SHARED, .legacy_modes = 5, .legacy_psk = 1};
  const struct itwi_policy q = {.offered = 15, .schemes = ITW_SHARED_SID, .legacy_modes = 5, .legacy_psk = 0};
  const struct itwi_policy short_greeting = {.offered = 15, .schemes = ITW_ROOT, .legacy_modes = 5, .legacy_psk = 1};
  struct itwi_policy not_offered = p;
  struct itwi_choice c;
  (void)state;
  CHECK_CHOICES(p, with);
  CHECK_CHOICES(q, open);
  CHECK_CHOICES(short_greeting, none);
  not_offered.offered = 12; /* configured for legacy clients, and not in this greeting: Accept 3 */
  assert_int_equal(itwi_mode_choice(&c, &not_offered, 1), ITW_ERR_MODE);
}

static void mode_that_a_client_sends(void **state)
{
  (void)state;
  assert_int_equal(itwi_mode_field(ITW_TWAMP, &(struct itwi_choice){0, ITW_MODE_OPEN, 0}), 1);
  assert_int_equal(itwi_mode_field(ITW_TWAMP, &(struct itwi_choice){ITW_PSK, ITW_MODE_MIXED, 0}), 8);
  assert_int_equal(itwi_mode_field(ITW_TWAMP, &(struct itwi_choice){ITW_IKEV2, ITW_MODE_ENC, 0}), 132);
  assert_int_equal(itwi_mode_field(ITW_TWAMP, &(struct itwi_choice){ITW_ROOT, ITW_MODE_OPEN, 0}), 9);
  assert_int_equal(itwi_mode_field(ITW_TWAMP, &(struct itwi_choice){ITW_DIRECT, ITW_MODE_ENC, 0}), 12);
}

static void counts(void **state)
{
  static const struct {
    uint32_t count, max;
    bool ok;
  } t[] = {
    {0, 32768, false}, {1, 32768, false}, {512, 32768, false}, {1000, 32768, false}, {1023, 32768, false},
    {1024, 32768, true}, {1025, 32768, false}, {1024, 1024, true}, {2048, 1024, false}, {32768, 32768, true},
    {65536, 32768, false}, {65536, 65536, true}, {UINT32_C(1) << 31, 32768, false},
    {UINT32_C(1) << 31, UINT32_C(1) << 31, true}, {UINT32_MAX, UINT32_MAX, false},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) assert_int_equal(itwi_count_ok(t[i].count, t[i].max), t[i].ok);
}

struct token {
  struct itwi_backend backend;
  uint8_t key[16], challenge[16], session_keys[48], token[64];
};
static void token_open(struct token *t)
{
  link_need_crypto();
  memset(t, 0, sizeof *t);
  assert_int_equal(itwi_backend_open(&t->backend, NULL), ITW_OK);
  for (uint8_t i = 0; i < 48; i++) t->session_keys[i] = (uint8_t)(200 - i);
  for (uint8_t i = 0; i < 16; i++) t->key[i] = i, t->challenge[i] = (uint8_t)(0x70 + i);
  assert_int_equal(itwi_token_make(&t->backend, t->token, t->key, t->challenge, t->session_keys), ITW_OK);
}

static void token_brings_the_keys(void **state)
{
  struct token t;
  struct itw_key_pair pair;
  (void)state;
  token_open(&t);
  assert_int_equal(itwi_token_open(&t.backend, &pair, t.key, t.challenge, t.token), ITW_OK);
  assert_int_equal(pair.enc_len, 16);
  assert_int_equal(pair.auth_len, 32);
  assert_memory_equal(pair.enc, t.session_keys, 16);
  assert_memory_equal(pair.auth, t.session_keys + 16, 32);
  itwi_backend_close(&t.backend);
}

/* In the Challenge's block: refused here. Behind it: keys come out that aren't the Client's, and its first HMAC is wrong. */
static void token_with_one_bit_wrong(void **state)
{
  struct token t;
  struct itw_key_pair good, pair;
  (void)state;
  token_open(&t);
  assert_int_equal(itwi_token_open(&t.backend, &good, t.key, t.challenge, t.token), ITW_OK);
  for (size_t bit = 0; bit < 512; bit++) {
    itw_status want = bit < 128 ? ITW_ERR_TOKEN : ITW_OK;
    t.token[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(itwi_token_open(&t.backend, &pair, t.key, t.challenge, t.token), want);
    if (want == ITW_OK) assert_memory_not_equal(&pair, &good, sizeof good);
    t.token[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  t.key[15] ^= 1;
  assert_int_equal(itwi_token_open(&t.backend, &pair, t.key, t.challenge, t.token), ITW_ERR_TOKEN);
  itwi_backend_close(&t.backend);
}

static void key_id_of_an_ike_sa(void **state)
{
  uint8_t id[80], want[80] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01};
  struct itw_sa sa = link_sa(LINK_IKE), back, other;
  (void)state;
  memset(id, 0xff, sizeof id);
  itwi_key_id_write(id, &sa);
  assert_memory_equal(id, want, sizeof id);
  id[16] = id[79] = 0xff; /* a server ignores the other 64 */
  itwi_key_id_read(&back, id);
  assert_true(itwi_sa_equal(&back, &sa));
  other = sa;
  other.spi_r++;
  assert_false(itwi_sa_equal(&other, &sa));
  other = sa;
  other.protocol = ITW_SA_ESP;
  assert_false(itwi_sa_equal(&other, &sa));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_line_a_scheme),
    cmocka_unit_test(modes_offered),
    cmocka_unit_test(choice_with_a_passphrase),
    cmocka_unit_test(choice_with_an_ike_sa),
    cmocka_unit_test(choice_in_the_draft),
    cmocka_unit_test(choice_of_a_legacy_client),
    cmocka_unit_test(mode_that_a_client_sends),
    cmocka_unit_test(counts),
    cmocka_unit_test(token_brings_the_keys),
    cmocka_unit_test(token_with_one_bit_wrong),
    cmocka_unit_test(key_id_of_an_ike_sa),
  };
  return cmocka_run_group_tests_name("scheme", tests, NULL, NULL);
}
