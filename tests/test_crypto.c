/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto.h"
#include <ipsectwamp/kdf.h>
#include <ipsectwamp/version.h>
#include <stdio.h>
#include <stdlib.h>

static struct itwi_backend backend;

static int have_keys(void) { return strcmp(itw_crypto_backend(), "none") != 0; }

/* Without a crypto library there is nothing behind most of the seam. */
#define NEEDS_KEYS()                                                                                                   \
  do {                                                                                                                 \
    (void)state;                                                                                                       \
    if (!have_keys()) {                                                                                                \
      print_message("crypto backend `none` has no keys: nothing to test\n");                                           \
      skip();                                                                                                          \
    }                                                                                                                  \
  } while (0)

static size_t unhex(uint8_t *out, const char *hex)
{
  const size_t n = strlen(hex) / 2;
  for (size_t i = 0; i < n; i++) {
    const char octet[] = {hex[2 * i], hex[2 * i + 1], 0};
    out[i] = (uint8_t)strtoul(octet, NULL, 16);
  }
  return n;
}

static int open_backend(void **state)
{
  (void)state;
  return itwi_backend_open(&backend, NULL) == ITW_OK ? 0 : -1;
}

static int close_backend(void **state)
{
  (void)state;
  itwi_backend_close(&backend);
  itwi_backend_close(&backend); /* a zeroed one may be closed */
  return 0;
}

/* -------- AES-CBC: NIST SP 800-38A, F.2 -------- */

static const char plain_hex[] = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                                "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
static const char iv_hex[] = "000102030405060708090a0b0c0d0e0f";

static const struct {
  const char *key, *cipher;
} cbc_vectors[] = {
    {"2b7e151628aed2a6abf7158809cf4f3c", "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
                                         "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"},
    {"8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
     "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
     "571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd"},
    {"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
     "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
     "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"},
};

struct cbc_case {
  uint8_t key[32], in[64], out[64], iv[16], last[16];
  size_t key_len;
};

static void cbc_case(struct cbc_case *v, size_t i, int direction)
{
  v->key_len = unhex(v->key, cbc_vectors[i].key);
  unhex(direction == ITWI_ENCRYPT ? v->in : v->out, plain_hex);
  unhex(direction == ITWI_ENCRYPT ? v->out : v->in, cbc_vectors[i].cipher);
  unhex(v->iv, iv_hex);
  memcpy(v->last, (direction == ITWI_ENCRYPT ? v->out : v->in) + 48, 16);
}

/* One context for all: each key size and direction in turn, in one call, in place, and in calls of each split. */
static void cbc_vectors_in_all_ways(void **state)
{
  struct itwi_cbc c;
  NEEDS_KEYS();
  assert_int_equal(itwi_cbc_open(&c, &backend), ITW_OK);
  for (size_t i = 0; i < 12; i++) {
    const int direction = i & 1 ? ITWI_ENCRYPT : ITWI_DECRYPT;
    struct cbc_case v;
    uint8_t iv[16], out[64];
    cbc_case(&v, (i >> 1) % 3, direction);
    assert_int_equal(itwi_cbc_key(&c, &backend, v.key, v.key_len, direction), ITW_OK);

    memcpy(iv, v.iv, 16);
    assert_int_equal(itwi_cbc_run(&c, out, v.in, 64, iv), ITW_OK);
    assert_memory_equal(out, v.out, 64);
    assert_memory_equal(iv, v.last, 16);

    memcpy(iv, v.iv, 16);
    memcpy(out, v.in, 64);
    assert_int_equal(itwi_cbc_run(&c, out, out, 64, iv), ITW_OK);
    assert_memory_equal(out, v.out, 64);

    for (size_t a = 0; a <= 64; a += 16) {
      for (size_t b = a; b <= 64; b += 16) {
        memcpy(iv, v.iv, 16);
        assert_int_equal(itwi_cbc_run(&c, out, v.in, a, iv), ITW_OK);
        assert_int_equal(itwi_cbc_run(&c, out + a, v.in + a, b - a, iv), ITW_OK);
        assert_int_equal(itwi_cbc_run(&c, out + b, v.in + b, 64 - b, iv), ITW_OK);
        assert_memory_equal(out, v.out, 64);
        assert_memory_equal(iv, v.last, 16);
      }
    }
  }
  itwi_cbc_close(&c);
}

/* One context serves many chains at once: each has its own IV, and they don't see each other. */
static void cbc_chains_interleave(void **state)
{
  struct itwi_cbc one, each;
  struct cbc_case v;
  uint8_t iv[3][16], out[3][64], want[3][64], x[16];
  NEEDS_KEYS();
  for (int direction = 0; direction < 2; direction++) {
    cbc_case(&v, 2, direction);
    assert_int_equal(itwi_cbc_open(&one, &backend), ITW_OK);
    assert_int_equal(itwi_cbc_key(&one, &backend, v.key, v.key_len, direction), ITW_OK);
    for (int j = 0; j < 3; j++) {
      memset(iv[j], 0x11 * j, 16);
      memcpy(x, iv[j], 16);
      assert_int_equal(itwi_cbc_open(&each, &backend), ITW_OK);
      assert_int_equal(itwi_cbc_key(&each, &backend, v.key, v.key_len, direction), ITW_OK);
      assert_int_equal(itwi_cbc_run(&each, want[j], v.in, 64, x), ITW_OK);
      itwi_cbc_close(&each);
    }
    for (size_t at = 0; at < 64; at += 16)
      for (int j = 0; j < 3; j++) assert_int_equal(itwi_cbc_run(&one, out[j] + at, v.in + at, 16, iv[j]), ITW_OK);
    assert_memory_equal(out, want, sizeof out);
    itwi_cbc_close(&one);
  }
}

static void cbc_refuses_other_lengths(void **state)
{
  struct itwi_cbc c;
  uint8_t key[33] = {0}, out[64], in[64] = {0}, iv[16] = {0};
  NEEDS_KEYS();
  assert_int_equal(itwi_cbc_open(&c, &backend), ITW_OK);
  for (size_t n = 0; n < sizeof key; n++)
    assert_int_equal(itwi_cbc_key(&c, &backend, key, n, ITWI_ENCRYPT),
                     n == 16 || n == 24 || n == 32 ? ITW_OK : ITW_ERR_ARGUMENT);
  for (size_t n = 0; n <= 64; n++)
    assert_int_equal(itwi_cbc_run(&c, out, in, n, iv), n % 16 == 0 ? ITW_OK : ITW_ERR_ARGUMENT);
  itwi_cbc_close(&c);
  itwi_cbc_close(&c);
}

/* -------- HMAC: RFC 2202 §2, §3 and RFC 4231 §4; key and data by count of an octet, or as text -------- */

static const struct {
  uint32_t digest;
  size_t key_count;
  uint8_t key_octet;
  const char *key, *data, *mac;
} hmac_vectors[] = {
    {ITWI_MD5, 16, 0x0b, NULL, "Hi There", "9294727a3638bb1c13f48ef8158bfc9d"},
    {ITWI_MD5, 80, 0xaa, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
     "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"},
    {ITWI_SHA1, 20, 0x0b, NULL, "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"},
    {ITWI_SHA1, 0, 0, "Jefe", "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
    {ITWI_SHA1, 20, 0x0c, NULL, "Test With Truncation", "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},
    {ITWI_SHA1, 80, 0xaa, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
     "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    {ITWI_SHA1, 80, 0xaa, NULL, "Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data",
     "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"},
    {ITWI_SHA256, 0, 0, "Jefe", "what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {ITWI_SHA384, 0, 0, "Jefe", "what do ya want for nothing?",
     "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"},
    {ITWI_SHA512, 0, 0, "Jefe", "what do ya want for nothing?",
     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd"
     "caeab1a34d4a6b4b636e070a38bce737"},
    {ITWI_SHA256, 131, 0xaa, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {ITWI_SHA384, 131, 0xaa, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
     "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952"},
    {ITWI_SHA512, 131, 0xaa, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
     "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e52"
     "95e64f73f63f0aec8b915a985d786598"},
    {ITWI_SHA256, 131, 0xaa, NULL,
     "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed "
     "before being used by the HMAC algorithm.",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    {ITWI_SHA512, 131, 0xaa, NULL,
     "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed "
     "before being used by the HMAC algorithm.",
     "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15"
     "134676fb6de0446065c97440fa8c6a58"},
};

/* The data in one call, then cut in two at each octet; a key in two pieces gives the same as in one. */
static void hmac_vectors_in_all_ways(void **state)
{
  NEEDS_KEYS();
  for (size_t i = 0; i < sizeof hmac_vectors / sizeof hmac_vectors[0]; i++) {
    const uint8_t *data = (const uint8_t *)hmac_vectors[i].data;
    const size_t len = strlen(hmac_vectors[i].data);
    uint8_t key[131], mac[64], out[64];
    const size_t mac_len = unhex(mac, hmac_vectors[i].mac);
    size_t key_len = hmac_vectors[i].key_count;
    struct itwi_hmac_ctx h;

    memset(key, hmac_vectors[i].key_octet, sizeof key);
    if (hmac_vectors[i].key) {
      key_len = strlen(hmac_vectors[i].key);
      memcpy(key, hmac_vectors[i].key, key_len);
    }
    assert_int_equal(itwi_hmac_open(&h, &backend, hmac_vectors[i].digest), ITW_OK);
    assert_int_equal(h.len, mac_len);
    assert_int_equal(itwi_hmac_key(&h, &backend, key, key_len), ITW_OK);
    assert_int_equal(itwi_hmac(&h, out, data, len), ITW_OK);
    assert_memory_equal(out, mac, mac_len);
    for (size_t cut = 0; cut <= len; cut++) {
      memset(out, 0, sizeof out);
      assert_int_equal(itwi_hmac_begin(&h), ITW_OK);
      assert_int_equal(itwi_hmac_add(&h, data, cut), ITW_OK);
      assert_int_equal(itwi_hmac_add(&h, data + cut, len - cut), ITW_OK);
      assert_int_equal(itwi_hmac_end(&h, out), ITW_OK);
      assert_memory_equal(out, mac, mac_len);
    }
    for (size_t cut = 0; cut <= key_len; cut++) {
      const struct itwi_piece pieces[] = {{key, cut}, {NULL, 0}, {key + cut, key_len - cut}};
      memset(out, 0, sizeof out);
      assert_int_equal(itwi_hmac_key_pieces(&h, &backend, pieces, 3), ITW_OK);
      assert_int_equal(itwi_hmac(&h, out, data, len), ITW_OK);
      assert_memory_equal(out, mac, mac_len);
    }
    itwi_hmac_close(&h);
    itwi_hmac_close(&h);
  }
}

/* A begun one can be dropped; keying again leaves nothing of the old key; out may be in. */
static void hmac_contexts_are_reused(void **state)
{
  struct itwi_hmac_ctx h;
  uint8_t key[20], mac[20], out[20];
  NEEDS_KEYS();
  assert_int_equal(itwi_hmac_open(&h, &backend, ITWI_SHA1), ITW_OK);
  memset(key, 0xee, sizeof key);
  assert_int_equal(itwi_hmac_key(&h, &backend, key, sizeof key), ITW_OK);
  assert_int_equal(itwi_hmac_begin(&h), ITW_OK);
  assert_int_equal(itwi_hmac_add(&h, key, sizeof key), ITW_OK);
  memset(key, 0x0b, sizeof key);
  assert_int_equal(itwi_hmac_key(&h, &backend, key, sizeof key), ITW_OK);
  memcpy(out, "Hi There", 8);
  assert_int_equal(itwi_hmac(&h, out, out, 8), ITW_OK);
  unhex(mac, "b617318655057264e28bc0b6fb378c8ef146be00");
  assert_memory_equal(out, mac, 20);
  itwi_hmac_close(&h);
}

static void hmac_refuses_other_digests(void **state)
{
  struct itwi_hmac_ctx h, zero = {0};
  (void)state;
  memset(&h, 0xff, sizeof h);
  assert_int_equal(itwi_hmac_open(&h, &backend, ITWI_DIGESTS), ITW_ERR_ARGUMENT);
  assert_memory_equal(&h, &zero, sizeof h);
}

/* -------- AES-CMAC: RFC 4493 §4 -------- */

static void cmac_vectors(void **state)
{
  static const struct {
    size_t len;
    const char *mac;
  } vectors[] = {{0, "bb1d6929e95937287fa37d129b756746"},
                 {16, "070a16b46b4d4144f79bdd9dd04a287c"},
                 {40, "dfa66747de9ae63030ca32611497c827"},
                 {64, "51f0bebf7e3b9d92fc49741779363cfe"}};
  uint8_t key[16], data[64], mac[16], out[16];
  NEEDS_KEYS();
  unhex(key, "2b7e151628aed2a6abf7158809cf4f3c");
  unhex(data, plain_hex);
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    unhex(mac, vectors[i].mac);
    for (size_t cut = 0; cut <= vectors[i].len; cut++) {
      const struct itwi_piece pieces[] = {{data, cut}, {NULL, 0}, {data + cut, vectors[i].len - cut}};
      assert_int_equal(itwi_cmac(&backend, out, key, pieces, 3), ITW_OK);
      assert_memory_equal(out, mac, 16);
    }
  }
  assert_int_equal(itwi_cmac(&backend, out, key, NULL, 0), ITW_OK);
  unhex(mac, vectors[0].mac);
  assert_memory_equal(out, mac, 16);
}

/* -------- random octets -------- */

static void fill(uint8_t *out, size_t n, const uint8_t seed[32], size_t step)
{
  struct itwi_random r;
  assert_int_equal(itwi_random_open(&r, &backend, seed), ITW_OK);
  for (size_t at = 0; at < n; at += step)
    assert_int_equal(itwi_random_fill(&r, out + at, n - at < step ? n - at : step), ITW_OK);
  itwi_random_close(&r);
  itwi_random_close(&r);
}

static void random_is_made_of_its_seed(void **state)
{
  uint8_t seed[32] = {0}, a[1000], b[1000];
  unsigned counts[256] = {0}, ones = 0;
  (void)state;
  fill(a, sizeof a, seed, 100);
  memset(b, 0xff, sizeof b);
  fill(b, sizeof b, seed, 100);
  assert_memory_equal(a, b, sizeof a);
  for (size_t i = 0; i < sizeof seed; i++) {
    seed[i] ^= 1;
    fill(b, sizeof b, seed, 100);
    assert_memory_not_equal(a, b, 16);
    seed[i] ^= 1;
  }
  for (size_t i = 0; i < sizeof a; i++) {
    counts[a[i]]++;
    for (int bit = 0; bit < 8; bit++) ones += a[i] >> bit & 1;
  }
  for (int i = 0; i < 256; i++) assert_in_range(counts[i], 0, 20);
  assert_in_range(ones, 3700, 4300);
}

/* AES-CTR: NIST SP 800-38A, F.5.1 (its plaintext and ciphertext differ by the stream), in steps of any length. */
static void random_is_aes_ctr(void **state)
{
  uint8_t seed[32], stream[64], cipher[64], out[64];
  NEEDS_KEYS();
  unhex(seed, "2b7e151628aed2a6abf7158809cf4f3cf0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
  unhex(stream, plain_hex);
  unhex(cipher, "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
                "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee");
  for (size_t i = 0; i < sizeof stream; i++) stream[i] ^= cipher[i];
  for (size_t step = 1; step <= 64; step++) {
    fill(out, sizeof out, seed, step);
    assert_memory_equal(out, stream, sizeof out);
  }
}

/* -------- backends -------- */

static void none_says_so(void **state)
{
  struct itwi_cbc c = {0};
  struct itwi_hmac_ctx h = {0};
  uint8_t p[32] = {0};
  (void)state;
  if (have_keys()) skip();
  assert_int_equal(itwi_cbc_open(&c, &backend), ITW_ERR_UNSUPPORTED);
  assert_int_equal(itwi_cbc_key(&c, &backend, p, 16, ITWI_ENCRYPT), ITW_ERR_UNSUPPORTED);
  assert_int_equal(itwi_cbc_run(&c, p, p, 16, p), ITW_ERR_UNSUPPORTED);
  assert_int_equal(itwi_hmac_open(&h, &backend, ITWI_SHA1), ITW_ERR_UNSUPPORTED);
  assert_int_equal(itwi_hmac_key(&h, &backend, p, 16), ITW_ERR_UNSUPPORTED);
  assert_int_equal(itwi_hmac_begin(&h), ITW_ERR_UNSUPPORTED);
  assert_int_equal(itwi_hmac_add(&h, p, 16), ITW_ERR_UNSUPPORTED);
  assert_int_equal(itwi_hmac_end(&h, p), ITW_ERR_UNSUPPORTED);
  assert_int_equal(itwi_hmac(&h, p, p, 16), ITW_ERR_UNSUPPORTED);
  assert_int_equal(itwi_cmac(&backend, p, p, NULL, 0), ITW_ERR_UNSUPPORTED);
  itwi_cbc_close(&c);
  itwi_hmac_close(&h);
}

#if defined(ITW_CRYPTO_MBEDTLS) || defined(ITW_CRYPTO_NONE)

static void no_crypto_argument(void **state)
{
  const struct itw_openssl o = {sizeof o, 0, NULL, NULL};
  struct itwi_backend b;
  (void)state;
  assert_int_equal(itwi_backend_open(&b, &o), ITW_ERR_ARGUMENT);
  itwi_backend_close(&b);
}

#define OF_BACKEND cmocka_unit_test(no_crypto_argument)
#define OTHER_ROAD() 0
#define BEFORE()

#else
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/opensslv.h>
#include <openssl/provider.h>

/* libcrypto's memory: counted, and failing at will. */
static unsigned allocations;
static long fail_at = -1; /* this many succeed; -1: all */

static int refused(void)
{
  allocations++;
  if (fail_at < 0) return 0;
  if (fail_at == 0) return 1;
  fail_at--;
  return 0;
}

static void *counted_malloc(size_t n, const char *file, int line)
{
  (void)file, (void)line;
  return refused() ? NULL : malloc(n);
}

static void *counted_realloc(void *p, size_t n, const char *file, int line)
{
  (void)file, (void)line;
  return refused() ? NULL : realloc(p, n);
}

static void counted_free(void *p, const char *file, int line)
{
  (void)file, (void)line;
  free(p);
}

#define BEFORE() (void)CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free)

/* What crypto_openssl.c says about memory. */
static void openssl_allocations(void **state)
{
  struct itwi_cbc c;
  struct itwi_hmac_ctx h;
  struct itwi_random r;
  uint8_t key[64] = {1}, p[64] = {0}, iv[16] = {0}, seed[32] = {0};
  (void)state;
  assert_int_equal(itwi_cbc_open(&c, &backend), ITW_OK);
  assert_int_equal(itwi_cbc_key(&c, &backend, key, 16, ITWI_ENCRYPT), ITW_OK);
  assert_int_equal(itwi_hmac_open(&h, &backend, ITWI_SHA1), ITW_OK);
  assert_int_equal(itwi_random_open(&r, &backend, seed), ITW_OK);

  allocations = 0;
  for (int i = 0; i < 10; i++) {
    assert_int_equal(itwi_cbc_key(&c, &backend, key, 16, i & 1), ITW_OK);
    assert_int_equal(itwi_cbc_run(&c, p, p, 64, iv), ITW_OK);
    assert_int_equal(itwi_random_fill(&r, p, 64), ITW_OK);
  }
  assert_int_equal(allocations, 0);

  for (int i = 0; i < 10; i++) assert_int_equal(itwi_hmac_key(&h, &backend, key, 64), ITW_OK);
  print_message("allocations when an HMAC is keyed again: %u\n", allocations / 10);
  assert_in_range(allocations, 0, h.work == h.inner ? 0 : 20); /* one state: libcrypto's own SHA-1 */

  assert_int_equal(itwi_hmac(&h, p, key, 64), ITW_OK);
  allocations = 0;
  for (int i = 0; i < 10; i++) assert_int_equal(itwi_hmac(&h, p, key, 64), ITW_OK);
  print_message("allocations of an HMAC: %u\n", allocations / 10);
  assert_in_range(allocations, 0, h.work == h.inner ? 0 : 20); /* one state: libcrypto's own SHA-1 */

  itwi_cbc_close(&c);
  itwi_hmac_close(&h);
  itwi_random_close(&r);
}

/* Each of these finds something missing, or is wrong. */
static void provoke(void)
{
  const struct itw_openssl nothing = {sizeof nothing, 0, NULL, "provider=nobody"};
  struct itwi_backend b, zero = {{0}};
  struct itwi_cbc c;
  struct itwi_hmac_ctx h;
  uint8_t p[16] = {0}, iv[16] = {0};

  assert_int_equal(itwi_backend_open(&b, &nothing), ITW_ERR_UNSUPPORTED);
  assert_memory_equal(&b, &zero, sizeof b);
  assert_int_equal(itwi_cbc_open(&c, &backend), ITW_OK);
  itwi_backend_enter(&backend);
  assert_int_equal(itwi_cbc_run(&c, p, p, 16, iv), ITW_ERR_CRYPTO); /* no key yet */
  itwi_backend_leave(&backend);
  itwi_cbc_close(&c);
  b = backend;
  b.h[1] = (void *)(uintptr_t) "provider=nobody"; /* MD5 is looked up late */
  assert_int_equal(itwi_hmac_open(&h, &b, ITWI_MD5), ITW_ERR_UNSUPPORTED);
}

static void error_queue_is_left_as_found(void **state)
{
  (void)state;
  ERR_clear_error();
  provoke();
  assert_int_equal(ERR_peek_error(), 0);
  assert_false(itwi_backend_enter(NULL)); /* nothing is in it */
  provoke();
  ERR_raise(ERR_LIB_USER, 76); /* as a hot call does that fails */
  assert_true(itwi_backend_enter(NULL));
  provoke();
  itwi_backend_leave(NULL);
  assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), 76);
  itwi_backend_leave(NULL);
  assert_int_equal(ERR_peek_error(), 0);

  ERR_raise(ERR_LIB_USER, 77);
  ERR_raise(ERR_LIB_USER, 78);
  assert_true(itwi_backend_enter(NULL));
  provoke();
  itwi_backend_leave(NULL);
  assert_int_equal(ERR_GET_REASON(ERR_get_error()), 77);
  assert_int_equal(ERR_GET_REASON(ERR_get_error()), 78);
  assert_int_equal(ERR_get_error(), 0);
}

static void openssl_argument_is_checked(void **state)
{
  struct {
    struct itw_openssl o;
    uint64_t more;
  } newer;
  struct itwi_backend b;
  (void)state;
  memset(&newer, 0, sizeof newer);
  assert_int_equal(itwi_backend_open(&b, &newer), ITW_ERR_SIZE);
  newer.o.size = sizeof newer.o - 1;
  assert_int_equal(itwi_backend_open(&b, &newer), ITW_ERR_SIZE);
  newer.o.size = sizeof newer;
  assert_int_equal(itwi_backend_open(&b, &newer), ITW_OK);
  itwi_backend_close(&b);
  newer.more = 1;
  assert_int_equal(itwi_backend_open(&b, &newer), ITW_ERR_NEWER);
  newer.o.size = sizeof newer.o;
  newer.o.mbz = 1;
  assert_int_equal(itwi_backend_open(&b, &newer), ITW_ERR_ARGUMENT);
}

/* A library context of its own, with its own providers: everything must come from it. */
static void openssl_context_is_used(void **state)
{
  OSSL_LIB_CTX *ctx = OSSL_LIB_CTX_new();
  const struct itw_openssl o = {sizeof o, 0, ctx, "provider=default"};
  OSSL_PROVIDER *provider;
  struct itwi_backend b;
  uint8_t out[16], mac[16], key[16];
  (void)state;
  assert_non_null(ctx);
  provider = OSSL_PROVIDER_load(ctx, "null");
  assert_non_null(provider);
  assert_int_equal(itwi_backend_open(&b, &o), ITW_ERR_UNSUPPORTED);
  OSSL_PROVIDER_unload(provider);
  provider = OSSL_PROVIDER_load(ctx, "default");
  assert_non_null(provider);
  assert_int_equal(itwi_backend_open(&b, &o), ITW_OK);
  unhex(key, "2b7e151628aed2a6abf7158809cf4f3c");
  unhex(mac, "bb1d6929e95937287fa37d129b756746");
  assert_int_equal(itwi_cmac(&b, out, key, NULL, 0), ITW_OK);
  assert_memory_equal(out, mac, 16);
  itwi_backend_close(&b);
  OSSL_PROVIDER_unload(provider);
  OSSL_LIB_CTX_free(ctx);
}

/* Everything once; the first failure is the result. */
static itw_status everything(void)
{
  struct itwi_backend b;
  struct itwi_cbc c = {0};
  struct itwi_hmac_ctx h = {0};
  struct itwi_random r = {0};
  uint8_t p[32] = {0}, iv[16] = {0}, out[64];
  itw_status st = itwi_backend_open(&b, NULL);

  if (st == ITW_OK) st = itwi_cbc_open(&c, &b);
  if (st == ITW_OK) st = itwi_cbc_key(&c, &b, p, 16, ITWI_ENCRYPT);
  if (st == ITW_OK) st = itwi_cbc_key(&c, &b, p, 32, ITWI_DECRYPT);
  if (st == ITW_OK) st = itwi_hmac_open(&h, &b, ITWI_SHA1);
  itwi_hmac_close(&h);
  if (st == ITW_OK) st = itwi_hmac_open(&h, &b, ITWI_MD5);
  if (st == ITW_OK) st = itwi_hmac_key(&h, &b, p, 32);
  itwi_backend_enter(&b);
  if (st == ITW_OK) st = itwi_cbc_run(&c, p, p, 32, iv);
  if (st == ITW_OK) st = itwi_hmac(&h, out, p, 32);
  itwi_backend_leave(&b);
  if (st == ITW_OK) st = itwi_random_open(&r, &b, p);
  if (st == ITW_OK) st = itwi_random_fill(&r, p, 32);
  if (st == ITW_OK) st = itwi_cmac(&b, out, p, NULL, 0);
  itwi_cbc_close(&c);
  itwi_hmac_close(&h);
  itwi_random_close(&r);
  itwi_backend_close(&b);
  return st;
}

/* From each allocation of libcrypto on, all fail: a status, no leak (the sanitizer looks), no error left. An algorithm
   that can't be looked up for want of memory can't be told from one that isn't there. */
static void every_allocation_may_fail(void **state)
{
  long n = 0;
  itw_status st;
  (void)state;
  assert_int_equal(everything(), ITW_OK);
  do {
    ERR_clear_error();
    fail_at = n++;
    st = everything();
    fail_at = -1;
    assert_true(st == ITW_OK || st == ITW_ERR_MEMORY || st == ITW_ERR_UNSUPPORTED || st == ITW_ERR_CRYPTO);
    assert_int_equal(ERR_peek_error(), 0);
  } while (st != ITW_OK && n < 10000);
  print_message("%ld allocations\n", n - 1);
  assert_in_range(n, 10, 9999);
}

/* A property query has SHA-1 go through EVP, and AES set its IV at each key (crypto_openssl.c): the same once more on that
   road. */
static int open_through_evp(void **state)
{
  struct itw_openssl o;
  (void)state;
  ITW_INIT(o);
  o.propq = "provider=default";
  return itwi_backend_open(&backend, &o) == ITW_OK ? 0 : -1;
}

/* Keys and texts of all lengths around a block, in one piece and in two: the road in use and the other one agree. */
static void two_roads_of_sha1(void **state)
{
  struct itwi_backend other;
  struct itwi_hmac_ctx a, b;
  uint8_t octets[200], x[20], y[20];
  (void)state;
  assert_int_equal(itwi_backend_open(&other, NULL), ITW_OK);
  assert_int_equal(itwi_hmac_open(&a, &backend, ITWI_SHA1), ITW_OK);
  assert_int_equal(itwi_hmac_open(&b, &other, ITWI_SHA1), ITW_OK);
  assert_true(a.work != a.inner);
#ifndef OPENSSL_NO_DEPRECATED_3_0
  assert_true(b.work == b.inner);
#endif
  for (size_t i = 0; i < sizeof octets; i++) octets[i] = (uint8_t)(i * 7 + 1);
  for (size_t key = 1; key < 140; key++) {
    assert_int_equal(itwi_hmac_key(&a, &backend, octets, key), ITW_OK);
    assert_int_equal(itwi_hmac_key(&b, &other, octets, key), ITW_OK);
    for (size_t n = 0; n < sizeof octets; n += 13) {
      assert_int_equal(itwi_hmac(&a, x, octets, n), ITW_OK);
      assert_int_equal(itwi_hmac(&b, y, octets, n), ITW_OK);
      assert_memory_equal(x, y, sizeof x);
      assert_int_equal(itwi_hmac_begin(&b), ITW_OK);
      assert_int_equal(itwi_hmac_add(&b, octets, n / 3), ITW_OK);
      assert_int_equal(itwi_hmac_add(&b, octets + n / 3, n - n / 3), ITW_OK);
      assert_int_equal(itwi_hmac_end(&b, y), ITW_OK);
      assert_memory_equal(x, y, sizeof x);
    }
  }
  itwi_hmac_close(&a);
  itwi_hmac_close(&b);
  itwi_backend_close(&other);
}

static int other_road(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cbc_vectors_in_all_ways),  cmocka_unit_test(cbc_chains_interleave),
      cmocka_unit_test(hmac_vectors_in_all_ways), cmocka_unit_test(hmac_contexts_are_reused),
      cmocka_unit_test(two_roads_of_sha1),
  };
  return cmocka_run_group_tests_name("crypto through EVP", tests, open_through_evp, close_backend);
}
#define OTHER_ROAD() other_road()

#define OF_BACKEND                                                                                                     \
  cmocka_unit_test(openssl_allocations), cmocka_unit_test(error_queue_is_left_as_found),                               \
      cmocka_unit_test(openssl_argument_is_checked), cmocka_unit_test(openssl_context_is_used),                        \
      cmocka_unit_test(every_allocation_may_fail)

#endif

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cbc_vectors_in_all_ways),
      cmocka_unit_test(cbc_chains_interleave),
      cmocka_unit_test(cbc_refuses_other_lengths),
      cmocka_unit_test(hmac_vectors_in_all_ways),
      cmocka_unit_test(hmac_contexts_are_reused),
      cmocka_unit_test(hmac_refuses_other_digests),
      cmocka_unit_test(cmac_vectors),
      cmocka_unit_test(random_is_made_of_its_seed),
      cmocka_unit_test(random_is_aes_ctr),
      cmocka_unit_test(none_says_so),
      OF_BACKEND,
  };
  BEFORE();
  int failed = cmocka_run_group_tests_name("crypto", tests, open_backend, close_backend);
  return failed + OTHER_ROAD();
}
