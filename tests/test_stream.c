/* SPDX-License-Identifier: BSD-3-Clause */
/* One direction of a control connection: CBC chain and HMAC (RFC 4656 §3.1). Recorded ones: test_schemes.c. */

#include "link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

enum { BODY = 48, MESSAGE = BODY + 16 };

struct two {
  struct itwi_backend backend;
  struct itwi_stream tx, rx;
  struct itw_key_pair pair;
};

static const uint8_t iv[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static void two_open(struct two *t, uint16_t enc_len, uint16_t auth_len)
{
  link_need_crypto();
  ITW_INIT(t->pair);
  t->pair.enc_len = enc_len;
  t->pair.auth_len = auth_len;
  for (uint8_t i = 0; i < 32; i++) t->pair.enc[i] = (uint8_t)(0x40 + i);
  for (uint8_t i = 0; i < 64; i++) t->pair.auth[i] = (uint8_t)(0x80 + i);
  assert_int_equal(itwi_backend_open(&t->backend, NULL), ITW_OK);
  assert_int_equal(itwi_stream_open(&t->tx, &t->backend), ITW_OK);
  assert_int_equal(itwi_stream_open(&t->rx, &t->backend), ITW_OK);
  assert_int_equal(itwi_stream_key(&t->tx, &t->backend, &t->pair, iv, ITWI_ENCRYPT), ITW_OK);
  assert_int_equal(itwi_stream_key(&t->rx, &t->backend, &t->pair, iv, ITWI_DECRYPT), ITW_OK);
}

static void two_close(struct two *t)
{
  itwi_stream_close(&t->tx);
  itwi_stream_close(&t->rx);
  itwi_backend_close(&t->backend);
}

static void message(uint8_t *m, uint8_t number)
{
  for (uint8_t i = 0; i < MESSAGE; i++) m[i] = (uint8_t)(number * 37 + i);
}

static itw_status read_message(struct two *t, uint8_t *m)
{
  assert_int_equal(itwi_stream_body(&t->rx, m, BODY, ITWI_DECRYPT), ITW_OK);
  return itwi_stream_check(&t->rx, m + BODY);
}

static void messages_come_back(void **state)
{
  static const uint16_t lens[][2] = {{16, 32}, {24, 20}, {32, 64}, {16, 1}};
  (void)state;
  for (size_t k = 0; k < 4; k++) {
    struct two t;
    two_open(&t, lens[k][0], lens[k][1]);
    for (uint8_t n = 0; n < 5; n++) {
      uint8_t m[MESSAGE], plain[MESSAGE];
      message(m, n);
      memcpy(plain, m, MESSAGE);
      assert_int_equal(itwi_stream_seal(&t.tx, m, BODY), ITW_OK);
      assert_memory_not_equal(m, plain, BODY);
      assert_int_equal(read_message(&t, m), ITW_OK);
      assert_memory_equal(m, plain, BODY);
    }
    two_close(&t);
  }
}

/* Worked out with the backend's primitives: one chain through body and HMAC field, the HMAC over the body alone. */
static void as_the_rfc_says(void **state)
{
  struct two t;
  struct itwi_hmac_ctx hmac;
  struct itwi_cbc cbc;
  uint8_t want[2 * MESSAGE], got[2 * MESSAGE], digest[20], chain[16];
  (void)state;
  two_open(&t, 16, 32);
  assert_int_equal(itwi_hmac_open(&hmac, &t.backend, ITWI_SHA1), ITW_OK);
  assert_int_equal(itwi_hmac_key(&hmac, &t.backend, t.pair.auth, 32), ITW_OK);
  for (uint8_t n = 0; n < 2; n++) {
    message(want + n * MESSAGE, n);
    message(got + n * MESSAGE, n);
    assert_int_equal(itwi_hmac(&hmac, digest, want + n * MESSAGE, BODY), ITW_OK);
    memcpy(want + n * MESSAGE + BODY, digest, 16);
    assert_int_equal(itwi_stream_seal(&t.tx, got + n * MESSAGE, BODY), ITW_OK);
  }
  assert_int_equal(itwi_cbc_open(&cbc, &t.backend), ITW_OK);
  assert_int_equal(itwi_cbc_key(&cbc, &t.backend, t.pair.enc, 16, ITWI_ENCRYPT), ITW_OK);
  memcpy(chain, iv, 16);
  assert_int_equal(itwi_cbc_run(&cbc, want, want, sizeof want, chain), ITW_OK);
  assert_memory_equal(got, want, sizeof want);
  itwi_cbc_close(&cbc);
  itwi_hmac_close(&hmac);
  two_close(&t);
}

static void every_flipped_bit_is_found(void **state)
{
  (void)state;
  for (size_t bit = 0; bit < MESSAGE * 8; bit++) {
    struct two t;
    uint8_t m[MESSAGE];
    two_open(&t, 16, 32);
    message(m, 1);
    assert_int_equal(itwi_stream_seal(&t.tx, m, BODY), ITW_OK);
    m[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(read_message(&t, m), ITW_ERR_HMAC);
    two_close(&t);
  }
}

/* A message left out, doubled or swapped breaks the chain. */
static void order_counts(void **state)
{
  static const uint8_t orders[][2] = {{1, 0}, {0, 0}, {1, 1}};
  (void)state;
  for (size_t k = 0; k < 3; k++) {
    struct two t;
    uint8_t m[2][MESSAGE], one[MESSAGE];
    bool bad = false;
    two_open(&t, 16, 32);
    for (uint8_t n = 0; n < 2; n++) {
      message(m[n], n);
      assert_int_equal(itwi_stream_seal(&t.tx, m[n], BODY), ITW_OK);
    }
    for (size_t n = 0; n < 2; n++) {
      memcpy(one, m[orders[k][n]], MESSAGE);
      bad = bad || read_message(&t, one) == ITW_ERR_HMAC;
    }
    assert_true(bad);
    two_close(&t);
  }
}

/* As Server-Start's last block: no HMAC of its own, covered by the next one. */
static void block_without_hmac_counts_for_the_next(void **state)
{
  (void)state;
  for (int spoil = 0; spoil < 2; spoil++) {
    struct two t;
    uint8_t block[16] = {9}, m[MESSAGE];
    two_open(&t, 16, 32);
    message(m, 2);
    assert_int_equal(itwi_stream_body(&t.tx, block, 16, ITWI_ENCRYPT), ITW_OK);
    assert_int_equal(itwi_stream_seal(&t.tx, m, BODY), ITW_OK);
    block[3] ^= (uint8_t)spoil;
    assert_int_equal(itwi_stream_body(&t.rx, block, 16, ITWI_DECRYPT), ITW_OK);
    assert_int_equal(read_message(&t, m), spoil ? ITW_ERR_HMAC : ITW_OK);
    two_close(&t);
  }
}

static void hmac_over_nothing(void **state)
{
  struct two t;
  uint8_t hmac[16] = {0};
  (void)state;
  two_open(&t, 16, 32);
  assert_int_equal(itwi_stream_seal(&t.tx, hmac, 0), ITW_OK);
  assert_int_equal(itwi_stream_check(&t.rx, hmac), ITW_OK);
  two_close(&t);
}

static void another_key_or_iv(void **state)
{
  (void)state;
  for (int what = 0; what < 3; what++) {
    struct two t;
    struct itw_key_pair pair;
    uint8_t m[MESSAGE], other[16];
    two_open(&t, 16, 32);
    pair = t.pair;
    memcpy(other, iv, 16);
    if (what == 0) pair.enc[0] ^= 1;
    if (what == 1) pair.auth[31] ^= 1;
    if (what == 2) other[15] ^= 1;
    assert_int_equal(itwi_stream_key(&t.rx, &t.backend, &pair, other, ITWI_DECRYPT), ITW_OK);
    message(m, 3);
    assert_int_equal(itwi_stream_seal(&t.tx, m, BODY), ITW_OK);
    assert_int_equal(read_message(&t, m), ITW_ERR_HMAC);
    two_close(&t);
  }
}

static void without_keys_it_does_nothing(void **state)
{
  struct itwi_stream s = {0};
  uint8_t m[MESSAGE], plain[MESSAGE];
  (void)state;
  message(m, 4);
  memcpy(plain, m, MESSAGE);
  assert_int_equal(itwi_stream_seal(&s, m, BODY), ITW_OK);
  assert_memory_equal(m, plain, BODY);
  for (size_t i = BODY; i < MESSAGE; i++) assert_int_equal(m[i], 0); /* MBZ */
  memset(m + BODY, 0xff, 16);
  assert_int_equal(itwi_stream_body(&s, m, BODY, ITWI_DECRYPT), ITW_OK);
  assert_int_equal(itwi_stream_check(&s, m + BODY), ITW_OK);
  assert_memory_equal(m, plain, BODY);
  itwi_stream_close(&s); /* a zeroed one may be closed */
}

static void keys_of_no_length_are_refused(void **state)
{
  struct two t;
  (void)state;
  two_open(&t, 16, 32);
  t.pair.enc_len = 17;
  assert_true(itwi_stream_key(&t.rx, &t.backend, &t.pair, iv, ITWI_DECRYPT) < 0);
  two_close(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(messages_come_back),
    cmocka_unit_test(as_the_rfc_says),
    cmocka_unit_test(every_flipped_bit_is_found),
    cmocka_unit_test(order_counts),
    cmocka_unit_test(block_without_hmac_counts_for_the_next),
    cmocka_unit_test(hmac_over_nothing),
    cmocka_unit_test(another_key_or_iv),
    cmocka_unit_test(without_keys_it_does_nothing),
    cmocka_unit_test(keys_of_no_length_are_refused),
  };
  return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
