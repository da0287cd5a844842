/* SPDX-License-Identifier: BSD-3-Clause */
/* A secret turned into what is derived from it gives a connection the same keys. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "sas.h"
#include <ipsectwamp/kdf.h>
#include <string.h>

static struct itw_ask question(uint32_t kind, uint32_t scheme)
{
  struct itw_ask a = ask(kind, ITW_ROLE_SERVER, scheme, ITW_MODE_ENC);
  a.count = 1024;
  memset(a.salt, 0x5a, sizeof a.salt);
  memset(a.challenge, 0xc4, sizeof a.challenge);
  memset(a.sid, 0x1d, sizeof a.sid);
  return a;
}

static struct itw_answer secret(void)
{
  struct itw_answer a;
  ITW_INIT(a);
  a.id = 7;
  a.kind = ITW_ANS_SECRET;
  ITW_INIT(a.sa);
  a.sa.prf = ITW_PRF_HMAC_SHA2_256;
  a.secret_len = 32;
  for (uint8_t i = 0; i < 32; i++) a.octets[i] = (uint8_t)(0x80 + i);
  return a;
}

static void expect_derived(const struct itw_answer *a, const uint8_t *token, const struct itw_key_pair *pair)
{
  const size_t at = token ? 16 : 0;
  assert_int_equal(a->kind, ITW_ANS_DERIVED);
  assert_int_equal(a->id, 7);
  assert_int_equal(a->secret_len, 0);
  assert_int_equal(a->token_len, at);
  assert_int_equal(a->enc_len, pair ? pair->enc_len : 0);
  assert_int_equal(a->auth_len, pair ? pair->auth_len : 0);
  if (token) assert_memory_equal(a->octets, token, 16);
  if (pair) assert_memory_equal(a->octets + at, pair->enc, pair->enc_len);
  if (pair) assert_memory_equal(a->octets + at + pair->enc_len, pair->auth, pair->auth_len);
  for (size_t i = at + a->enc_len + a->auth_len; i < sizeof a->octets; i++) assert_int_equal(a->octets[i], 0);
}

static void token_key(void **state)
{
  (void)state;
  if (!have_crypto()) skip();
  const struct itw_answer s = secret();
  struct itw_ask q = question(ITW_ASK_TOKEN_KEY, ITW_SHARED);
  struct itw_answer a = s;
  uint8_t token[16];
  assert_int_equal(itw_token_key(token, s.octets, s.secret_len, q.salt, q.count, NULL), ITW_OK);
  assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_OK);
  expect_derived(&a, token, NULL);

  q = question(ITW_ASK_TOKEN_KEY, ITW_IKEV2);
  q.flags = ITW_ASK_NO_PBKDF2;
  a = s;
  assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_OK);
  expect_derived(&a, s.octets, NULL);
  a = s;
  a.secret_len = 15;
  assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_ERR_ARGUMENT);
}

/* SKEYSEED and KEYMAT aren't handed out, not even in part. */
static void no_pbkdf2_is_of_ikev2(void **state)
{
  (void)state;
  static const uint32_t others[] = {0, ITW_PSK, ITW_SHARED, ITW_SHARED_SID, ITW_IKEV2 | ITW_SHARED};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    struct itw_ask q = question(ITW_ASK_TOKEN_KEY, others[i]);
    struct itw_answer a = secret();
    q.flags = ITW_ASK_NO_PBKDF2;
    assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_ERR_ARGUMENT);
    assert_int_equal(a.kind, ITW_ANS_SECRET);
  }
}

static void root(void **state)
{
  (void)state;
  if (!have_crypto()) skip();
  const struct itw_answer s = secret();
  const struct itw_ask q = question(ITW_ASK_ROOT, ITW_ROOT);
  struct itw_answer a = s;
  struct itw_key_pair pair;
  uint8_t token[16];
  ITW_INIT(pair);
  assert_int_equal(itw_root_token(token, s.sa.prf, s.octets, s.secret_len, q.challenge, NULL), ITW_OK);
  assert_int_equal(itw_root_pair(&pair, s.sa.prf, s.octets, s.secret_len, NULL), ITW_OK);
  assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_OK);
  expect_derived(&a, token, &pair);
}

static void sid_pair(void **state)
{
  (void)state;
  if (!have_crypto()) skip();
  const struct itw_answer s = secret();
  const struct itw_ask q = question(ITW_ASK_SID_PAIR, ITW_SHARED_SID);
  struct itw_answer a = s;
  struct itw_key_pair pair;
  ITW_INIT(pair);
  assert_int_equal(itw_sid_pair(&pair, s.sa.prf, s.octets, s.secret_len, q.sid, NULL), ITW_OK);
  assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_OK);
  expect_derived(&a, NULL, &pair);
}

static void others_stay(void **state)
{
  (void)state;
  static const uint32_t kinds[] = {ITW_ANS_NONE, ITW_ANS_SA, ITW_ANS_DERIVED};
  const struct itw_ask q = question(ITW_ASK_ROOT, ITW_ROOT);
  for (size_t i = 0; i < 3; i++) {
    struct itw_answer a = secret(), before;
    a.kind = kinds[i];
    before = a;
    assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_OK);
    assert_memory_equal(&a, &before, sizeof a);
  }
}

static void mistakes_change_nothing(void **state)
{
  (void)state;
  if (!have_crypto()) skip();
  const struct itw_answer s = secret();
  struct itw_ask q = question(ITW_ASK_ROOT, ITW_ROOT);
  struct itw_answer a = s;
  a.sa.prf = 3;
  assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_ERR_PRF);
  a = s;
  a.secret_len = 257;
  assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_ERR_ARGUMENT);
  a = s;
  q.kind = ITW_ASK_PAIR;
  assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_ERR_ARGUMENT);
  q.kind = ITW_ASK_SELECT;
  assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_ERR_ARGUMENT);
  assert_memory_equal(&a, &s, sizeof a);
  assert_int_equal(itw_answer_derive(NULL, &q, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_answer_derive(&a, NULL, NULL), ITW_ERR_ARGUMENT);
  q.size--;
  assert_int_equal(itw_answer_derive(&a, &q, NULL), ITW_ERR_SIZE);
}

static void memory_for_secrets(void **state)
{
  (void)state;
  uint8_t *const p = itw_secret_new(100);
  assert_non_null(p);
  for (int i = 0; i < 100; i++) assert_int_equal(p[i], 0);
  memset(p, 1, 100);
  itw_secret_free(p, 100);
  itw_secret_free(NULL, 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(token_key),   cmocka_unit_test(no_pbkdf2_is_of_ikev2),   cmocka_unit_test(root), cmocka_unit_test(sid_pair),
    cmocka_unit_test(others_stay), cmocka_unit_test(mistakes_change_nothing), cmocka_unit_test(memory_for_secrets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
