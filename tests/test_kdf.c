/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kdf.h"
#include "secret.h"
#include "support/vec.h"
#include <ipsectwamp/version.h>
#include <stdio.h>
#include <stdlib.h>

static int have_keys(void) { return strcmp(itw_crypto_backend(), "none") != 0; }

#define NEEDS_KEYS()                                                                                                   \
  do {                                                                                                                 \
    (void)state;                                                                                                       \
    if (!have_keys()) {                                                                                                \
      print_message("crypto backend `none` has no keys: nothing to test\n");                                           \
      skip();                                                                                                          \
    }                                                                                                                  \
  } while (0)

static const uint32_t prfs[] = {ITW_PRF_HMAC_MD5,      ITW_PRF_HMAC_SHA1,     ITW_PRF_AES128_XCBC,
                                ITW_PRF_HMAC_SHA2_256, ITW_PRF_HMAC_SHA2_384, ITW_PRF_HMAC_SHA2_512,
                                ITW_PRF_AES128_CMAC};
enum { PRFS = sizeof prfs / sizeof prfs[0], ROOM = 1024 };

/* -------- support -------- */

struct octets {
  uint8_t p[ROOM];
  size_t n;
};

static struct octets get(const struct vec_section *s, const char *key)
{
  struct octets o = {{0}, 0};
  o.n = vec_hex(s, key, o.p, sizeof o.p);
  return o;
}

static void expect(const struct vec_section *s, const char *key, const uint8_t *got, size_t n)
{
  const struct octets want = get(s, key);
  if (want.n != n || memcmp(want.p, got, n) != 0) fail_msg("[%s %s] %s differs", s->kind, s->name, key);
}

static uint32_t number(const struct vec_section *s, const char *key) { return (uint32_t)vec_u64(s, key); }

static void each_file(const char *dir, const char *kind, void (*check)(const struct vec_section *), size_t least)
{
  char(*names)[128] = calloc(200, sizeof *names);
  size_t checked = 0, files;
  assert_non_null(names);
  files = vec_files(dir, names, 200);
  for (size_t i = 0; i < files; i++) {
    struct vec *vec = vec_load(names[i]);
    for (const struct vec_section *s = vec_first(vec, kind); s; s = vec_next(vec, s, kind)) {
      check(s);
      checked++;
    }
    vec_free(vec);
  }
  free(names);
  print_message("%s: %zu of [%s]\n", dir, checked, kind);
  assert_in_range(checked, least, 100000);
}

/* Octets that are the same each time, and no two alike. */
static void pattern(uint8_t *p, size_t n, unsigned seed)
{
  uint32_t x = seed * 2654435761u + 1;
  for (size_t i = 0; i < n; i++) {
    x = x * 1664525u + 1013904223u;
    p[i] = (uint8_t)(x >> 24);
  }
}

/* -------- the PRFs' own vectors -------- */

static void check_prf(const struct vec_section *s)
{
  const struct octets key = get(s, "key"), data = get(s, "data");
  const uint32_t prf = number(s, "prf");
  struct itwi_backend b;
  uint8_t out[ITW_PRF_MAX];

  assert_int_equal(itw_prf(out, prf, key.p, key.n, data.p, data.n, NULL), ITW_OK);
  expect(s, "output", out, itw_prf_len(prf));

  assert_int_equal(itwi_backend_open(&b, NULL), ITW_OK);
  for (size_t cut = 0; cut <= data.n; cut++) { /* data in pieces */
    const struct itwi_piece pieces[] = {{data.p, cut}, {NULL, 0}, {data.p + cut, data.n - cut}};
    assert_int_equal(itwi_prf(&b, out, prf, key.p, key.n, pieces, 3), ITW_OK);
    expect(s, "output", out, itw_prf_len(prf));
  }
  for (size_t cut = 0; cut <= key.n; cut++) { /* and the key */
    const struct itwi_piece k[] = {{key.p, cut}, {key.p + cut, key.n - cut}}, d = {data.p, data.n};
    assert_int_equal(itwi_prf_pieces(&b, out, prf, k, 2, &d, 1), ITW_OK);
    expect(s, "output", out, itw_prf_len(prf));
  }
  itwi_backend_close(&b);
}

static void prf_vectors(void **state)
{
  NEEDS_KEYS();
  each_file("rfc", "prf", check_prf, 30);
}

/* RFC 3566 §4.6, the MACs before they are cut to 96 bits: all the lengths that matter, none and whole blocks too. */
static void xcbc_lengths(void **state)
{
  static const struct {
    size_t len;
    const uint8_t mac[16];
  } vectors[] = {
      {0, {0x75, 0xf0, 0x25, 0x1d, 0x52, 0x8a, 0xc0, 0x1c, 0x45, 0x73, 0xdf, 0xd5, 0x84, 0xd7, 0x9f, 0x29}},
      {3, {0x5b, 0x37, 0x65, 0x80, 0xae, 0x2f, 0x19, 0xaf, 0xe7, 0x21, 0x9c, 0xee, 0xf1, 0x72, 0x75, 0x6f}},
      {16, {0xd2, 0xa2, 0x46, 0xfa, 0x34, 0x9b, 0x68, 0xa7, 0x99, 0x98, 0xa4, 0x39, 0x4f, 0xf7, 0xa2, 0x63}},
      {20, {0x47, 0xf5, 0x1b, 0x45, 0x64, 0x96, 0x62, 0x15, 0xb8, 0x98, 0x5c, 0x63, 0x05, 0x5e, 0xd3, 0x08}},
      {32, {0xf5, 0x4f, 0x0e, 0xc8, 0xd2, 0xb9, 0xf3, 0xd3, 0x68, 0x07, 0x73, 0x4b, 0xd5, 0x28, 0x3f, 0xd4}},
      {34, {0xbe, 0xcb, 0xb3, 0xbc, 0xcd, 0xb5, 0x18, 0xa3, 0x06, 0x77, 0xd5, 0x48, 0x1f, 0xb6, 0xb4, 0xd8}},
  };
  uint8_t key[16], data[34], out[ITW_PRF_MAX];
  NEEDS_KEYS();
  for (uint8_t i = 0; i < sizeof key; i++) key[i] = i;
  for (uint8_t i = 0; i < sizeof data; i++) data[i] = i;
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    assert_int_equal(itw_prf(out, ITW_PRF_AES128_XCBC, key, 16, data, vectors[i].len, NULL), ITW_OK);
    assert_memory_equal(out, vectors[i].mac, 16);
  }
}

static void prf_lengths(void **state)
{
  (void)state;
  for (uint32_t prf = 0; prf < 300; prf++) {
    static const uint8_t lengths[] = {0, 16, 20, 0, 16, 32, 48, 64, 16};
    assert_int_equal(itw_prf_len(prf), prf < sizeof lengths ? lengths[prf] : 0);
  }
  assert_int_equal(itw_prf_len(UINT32_MAX), 0);
}

/* -------- PBKDF2 -------- */

static void check_pbkdf2(const struct vec_section *s)
{
  const struct octets password = get(s, "password"), salt = get(s, "salt");
  const uint32_t count = number(s, "count"), length = number(s, "length");
  uint8_t out[64];

  if (vec_has(s, "slow") && !getenv("ITW_SLOW")) {
    print_message("%u iterations left out; set ITW_SLOW=1 for them\n", (unsigned)count);
    return;
  }
  assert_int_equal(itw_pbkdf2(out, length, password.p, password.n, salt.p, salt.n, count, NULL), ITW_OK);
  expect(s, "output", out, length);
}

static void pbkdf2_vectors(void **state)
{
  NEEDS_KEYS();
  each_file("rfc", "pbkdf2", check_pbkdf2, 6);
}

/* Slices of any size, and the work of several at once interleaved. */
static void pbkdf2_in_slices(void **state)
{
  static const uint32_t slices[] = {1, 7, 1000, 2999, 3000, UINT32_MAX};
  struct itwi_backend b;
  uint8_t secret[100], salt[16], want[20];
  NEEDS_KEYS();
  pattern(secret, sizeof secret, 1);
  pattern(salt, sizeof salt, 2);
  assert_int_equal(itw_pbkdf2(want, 20, secret, sizeof secret, salt, 16, 3000, NULL), ITW_OK);
  assert_int_equal(itwi_backend_open(&b, NULL), ITW_OK);
  for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
    struct itwi_pbkdf2 p;
    uint32_t rounds = 0;
    itw_status st;
    assert_int_equal(itwi_pbkdf2_begin(&p, &b, secret, sizeof secret, salt, 16, 3000, 1), ITW_OK);
    assert_int_equal(p.left, 2999);
    assert_int_equal(itwi_pbkdf2_work(&p, 0), ITW_AGAIN);
    do {
      st = itwi_pbkdf2_work(&p, slices[i]);
      rounds++;
    } while (st == ITW_AGAIN);
    assert_int_equal(st, ITW_OK);
    assert_int_equal(rounds, slices[i] > 2999 ? 1 : (2999 + slices[i] - 1) / slices[i]);
    assert_memory_equal(p.t, want, 20);
    assert_int_equal(itwi_pbkdf2_work(&p, 1), ITW_OK); /* done stays done */
    assert_memory_equal(p.t, want, 20);
    itwi_pbkdf2_end(&p);
    assert_true(itwi_is_zero((uint8_t *)&p, sizeof p));
    itwi_pbkdf2_end(&p);
  }
  itwi_backend_close(&b);
}

static void pbkdf2_of_one_iteration(void **state)
{
  struct itwi_backend b;
  struct itwi_pbkdf2 p;
  NEEDS_KEYS();
  assert_int_equal(itwi_backend_open(&b, NULL), ITW_OK);
  assert_int_equal(itwi_pbkdf2_begin(&p, &b, (const uint8_t *)"a", 1, (const uint8_t *)"b", 1, 1, 1), ITW_OK);
  assert_int_equal(itwi_pbkdf2_work(&p, 0), ITW_OK);
  itwi_pbkdf2_end(&p);
  assert_int_equal(itwi_pbkdf2_begin(&p, &b, (const uint8_t *)"a", 1, NULL, 0, 0, 1), ITW_ERR_ARGUMENT);
  assert_true(itwi_is_zero((uint8_t *)&p, sizeof p));
  assert_int_equal(itwi_pbkdf2_begin(&p, &b, (const uint8_t *)"a", 1, NULL, 0, 1, 0), ITW_ERR_ARGUMENT);
  itwi_backend_close(&b);
}

/* -------- recordings of IKE -------- */

struct nonces {
  struct octets ni, nr, g_ir;
};

static struct itw_exchange exchange(const struct vec_section *s, struct nonces *n)
{
  struct itw_exchange x;

  ITW_INIT(x);
  n->ni = get(s, "ni");
  n->nr = get(s, "nr");
  x.ni = n->ni.p;
  x.nr = n->nr.p;
  x.ni_len = (uint32_t)n->ni.n;
  x.nr_len = (uint32_t)n->nr.n;
  if (vec_has(s, "g_ir")) {
    n->g_ir = get(s, "g_ir");
    x.g_ir = n->g_ir.p;
    x.g_ir_len = (uint32_t)n->g_ir.n;
  }
  if (vec_has(s, "ike_spi_i")) {
    (void)vec_hex(s, "ike_spi_i", x.spi_i, 8);
    (void)vec_hex(s, "ike_spi_r", x.spi_r, 8);
  }
  return x;
}

static struct octets check_skeyseed(const struct vec_section *s, const struct itw_exchange *x)
{
  struct octets out = {{0}, 0};

  if (strcmp(vec_word(s, "formula"), "rekey") == 0) {
    const uint32_t prf_old = number(s, "old_prf");
    const struct octets old = get(s, "old_sk_d");
    out.n = itw_prf_len(prf_old);
    assert_int_equal(itw_skeyseed_rekey(out.p, prf_old, old.p, old.n, x, NULL), ITW_OK);
  } else {
    const uint32_t prf = number(s, "prf");
    out.n = itw_prf_len(prf);
    assert_int_equal(itw_skeyseed(out.p, prf, x, NULL), ITW_OK);
  }
  expect(s, "skeyseed", out.p, out.n);
  return out;
}

/* All seven SK_*, which are one prf+. */
static void check_ike_keymat(const struct vec_section *s, const struct itw_exchange *x, const struct octets *skeyseed)
{
  struct octets seed = {{0}, 0};
  const struct octets keymat = get(s, "ike_keymat");
  struct itwi_writer w = itwi_writer(seed.p, sizeof seed.p);
  uint8_t out[ROOM];

  itwi_put(&w, x->ni, x->ni_len);
  itwi_put(&w, x->nr, x->nr_len);
  itwi_put(&w, x->spi_i, 8);
  itwi_put(&w, x->spi_r, 8);
  seed.n = sizeof seed.p - w.left;
  assert_int_equal(itw_prf_plus(out, keymat.n, number(s, "prf_plus"), skeyseed->p, skeyseed->n, seed.p, seed.n, NULL),
                   ITW_OK);
  expect(s, "ike_keymat", out, keymat.n);
}

static void check_ike(const struct vec_section *s)
{
  const uint32_t prf = number(s, "prf");
  struct nonces n;
  const struct itw_exchange x = exchange(s, &n);
  struct octets skeyseed, sk_d = {{0}, itw_prf_len(prf)};
  const struct octets sid = get(s, "sid");
  uint8_t out[ITW_PRF_MAX];

  skeyseed = check_skeyseed(s, &x);
  check_ike_keymat(s, &x, &skeyseed);
  assert_int_equal(itw_sk_d(sk_d.p, prf, number(s, "prf_plus"), skeyseed.p, skeyseed.n, &x, NULL), ITW_OK);
  expect(s, "sk_d", sk_d.p, sk_d.n);
  if (vec_has(s, "ppk")) { /* RFC 8784 §3 */
    const struct octets ppk = get(s, "ppk");
    assert_int_equal(itw_prf_plus(out, sk_d.n, prf, ppk.p, ppk.n, sk_d.p, sk_d.n, NULL), ITW_OK);
    expect(s, "ppk_sk_d", out, sk_d.n);
    memcpy(sk_d.p, out, sk_d.n);
  }
  assert_int_equal(itw_ikev2_secret(out, prf, sk_d.p, sk_d.n, NULL), ITW_OK);
  expect(s, "rfc7717_secret", out, sk_d.n);
  assert_int_equal(itw_prf(out, prf, skeyseed.p, skeyseed.n, sid.p, sid.n, NULL), ITW_OK);
  expect(s, "skeyseed_sid", out, itw_prf_len(prf));
}

static void check_child(const struct vec_section *s)
{
  const uint32_t prf = number(s, "prf");
  const struct octets sk_d = get(s, "sk_d"), want = get(s, "keymat"), sid = get(s, "sid");
  struct nonces n;
  const struct itw_exchange x = exchange(s, &n);
  uint8_t out[ROOM];

  assert_int_equal(itw_keymat(out, want.n, prf, sk_d.p, sk_d.n, &x, NULL), ITW_OK);
  expect(s, "keymat", out, want.n);
  assert_int_equal(itw_prf(out, prf, want.p, want.n, sid.p, sid.n, NULL), ITW_OK);
  expect(s, "keymat_sid", out, itw_prf_len(prf));
}

static void every_ike_sa_of_the_recordings(void **state)
{
  NEEDS_KEYS();
  each_file("ikev2", "ike", check_ike, 30);
}

static void every_child_sa_of_the_recordings(void **state)
{
  NEEDS_KEYS();
  each_file("ikev2", "child", check_child, 30);
}

/* -------- the keys of the schemes -------- */

struct scheme {
  const struct vec_section *c; /* [case] */
  struct octets secret;        /* SKEYSEED, KEYMAT, SK_d or a passphrase */
  uint32_t prf;
  struct itw_key_pair control;
};

static const struct vec_section *other(const struct vec_section *s, const char *kind)
{
  return vec_first(s->vec, kind);
}
static int is(const struct vec_section *c, const char *scheme) { return strcmp(vec_word(c, "scheme"), scheme) == 0; }

static void check_root(struct scheme *h, const struct vec_section *keys)
{
  const struct octets challenge = get(other(h->c, "greeting"), "challenge");
  uint8_t token[16];

  assert_int_equal(itw_root_token(token, h->prf, h->secret.p, h->secret.n, challenge.p, NULL), ITW_OK);
  expect(other(h->c, "setup"), "token", token, 16);
  ITW_INIT(h->control);
  assert_int_equal(itw_root_pair(&h->control, h->prf, h->secret.p, h->secret.n, NULL), ITW_OK);
  expect(keys, "aes_session_key", h->control.enc, h->control.enc_len);
  expect(keys, "hmac_session_key", h->control.auth, h->control.auth_len);
}

static void check_token(struct scheme *h, const struct vec_section *keys)
{
  const struct vec_section *greeting = other(h->c, "greeting");
  const struct octets salt = get(greeting, "salt"), shared = get(keys, "shared_secret");
  uint8_t out[ITW_PRF_MAX];

  if (is(h->c, "ikev2")) {
    assert_int_equal(itw_ikev2_secret(out, h->prf, h->secret.p, h->secret.n, NULL), ITW_OK);
    expect(keys, "shared_secret", out, itw_prf_len(h->prf));
  }
  assert_int_equal(itw_token_key(out, shared.p, shared.n, salt.p, number(greeting, "count"), NULL), ITW_OK);
  expect(keys, "token_key", out, 16);

  ITW_INIT(h->control);
  h->control.enc_len = (uint16_t)vec_hex(keys, "aes_session_key", h->control.enc, sizeof h->control.enc);
  h->control.auth_len = (uint16_t)vec_hex(keys, "hmac_session_key", h->control.auth, sizeof h->control.auth);
}

static void check_session(const struct scheme *h, const struct vec_section *s)
{
  const struct octets sid = get(s, "sid");
  struct itw_key_pair pair;

  ITW_INIT(pair);
  if (is(h->c, "root"))
    pair = h->control;
  else if (is(h->c, "shared-sid"))
    assert_int_equal(itw_sid_pair(&pair, h->prf, h->secret.p, h->secret.n, sid.p, NULL), ITW_OK);
  else
    assert_int_equal(itw_test_pair(&pair, &h->control, sid.p, NULL), ITW_OK);
  expect(s, "test_aes_key", pair.enc, pair.enc_len);
  expect(s, "test_hmac_key", pair.auth, pair.auth_len);
}

/* From the secret of each connection to the keys of its packets. `direct` derives nothing. */
static void check_scheme(const struct vec_section *c)
{
  const struct vec_section *keys = other(c, "keys");
  struct scheme h = {.c = c};

  if (!keys || is(c, "direct")) return;
  if (!is(c, "psk")) {
    h.prf = number(c, "prf");
    h.secret = get(c, is(c, "ikev2") ? "sk_d" : strcmp(vec_word(c, "source"), "ike") == 0 ? "skeyseed" : "keymat");
  }
  if (is(c, "root"))
    check_root(&h, keys);
  else
    check_token(&h, keys);
  for (const struct vec_section *s = vec_first(c->vec, "session"); s; s = vec_next(c->vec, s, "session"))
    if (vec_has(s, "test_aes_key")) check_session(&h, s);
}

static void every_scheme(void **state)
{
  NEEDS_KEYS();
  each_file("schemes", "case", check_scheme, 20);
  each_file("perfsonar", "case", check_scheme, 10);
  each_file("extensions", "case", check_scheme, 20);
}

/* -------- prf+ -------- */

/* RFC 7296 §2.13 spelled out with itw_prf; all prfs, lengths around the blocks' ends, and the longest. */
static void prf_plus_is_made_of_prf(void **state)
{
  uint8_t key[40], in[64 + 30 + 1], t[64], want[255 * 64], out[255 * 64 + 1];
  NEEDS_KEYS();
  pattern(key, sizeof key, 3);
  for (size_t k = 0; k < PRFS; k++) {
    const uint32_t len = itw_prf_len(prfs[k]);
    const size_t lengths[] = {1, len - 1, len, len + 1, 2 * len, 100, 255 * len - 1, 255 * len};
    for (unsigned i = 1; i <= 255; i++) {
      const size_t head = i == 1 ? 0 : len;
      memcpy(in, t, head);
      pattern(in + head, 30, 4);
      in[head + 30] = (uint8_t)i;
      assert_int_equal(itw_prf(t, prfs[k], key, sizeof key, in, head + 31, NULL), ITW_OK);
      memcpy(want + (i - 1) * len, t, len);
    }
    pattern(in, 30, 4);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
      out[lengths[i]] = 0x77;
      assert_int_equal(itw_prf_plus(out, lengths[i], prfs[k], key, sizeof key, in, 30, NULL), ITW_OK);
      assert_memory_equal(out, want, lengths[i]);
      assert_int_equal(out[lengths[i]], 0x77);
    }
    memset(out, 0xff, sizeof out);
    assert_int_equal(itw_prf_plus(out, 255 * len + 1, prfs[k], key, sizeof key, in, 30, NULL), ITW_ERR_ARGUMENT);
    assert_true(itwi_is_zero(out, 255 * len + 1));
  }
}

/* Nonces of the largest size: the key of SKEYSEED has 512 octets then. */
static void skeyseed_of_long_nonces(void **state)
{
  uint8_t nonces[512], g_ir[256], out[ITW_PRF_MAX], want[ITW_PRF_MAX], first8[16];
  struct itw_exchange x;
  NEEDS_KEYS();
  pattern(nonces, sizeof nonces, 5);
  pattern(g_ir, sizeof g_ir, 6);
  memcpy(first8, nonces, 8);
  memcpy(first8 + 8, nonces + 256, 8);
  ITW_INIT(x);
  x.ni = nonces;
  x.nr = nonces + 256;
  x.ni_len = x.nr_len = 256;
  x.g_ir = g_ir;
  x.g_ir_len = sizeof g_ir;
  for (size_t k = 0; k < PRFS; k++) {
    const int aes = prfs[k] == ITW_PRF_AES128_XCBC || prfs[k] == ITW_PRF_AES128_CMAC;
    assert_int_equal(itw_skeyseed(out, prfs[k], &x, NULL), ITW_OK);
    assert_int_equal(itw_prf(want, prfs[k], aes ? first8 : nonces, aes ? 16 : 512, g_ir, sizeof g_ir, NULL), ITW_OK);
    assert_memory_equal(out, want, itw_prf_len(prfs[k]));
  }
}

/* -------- what is refused -------- */

static uint8_t dirty[300];

/* The status, and that so many octets of the output are zero and no more were written. */
#define REFUSED(call, status, zeroed)                                                                                  \
  do {                                                                                                                 \
    memset(dirty, 0xff, sizeof dirty);                                                                                 \
    assert_int_equal(call, status);                                                                                    \
    assert_true(itwi_is_zero(dirty, zeroed));                                                                          \
    for (size_t i_ = zeroed; i_ < sizeof dirty; i_++) assert_int_equal(dirty[i_], 0xff);                               \
  } while (0)

static void bad_arguments_of_prf(void **state)
{
  uint8_t k[20] = {1};
  (void)state;
  REFUSED(itw_prf(dirty, 2, NULL, 1, k, 1, NULL), ITW_ERR_ARGUMENT, 20);
  REFUSED(itw_prf(dirty, 2, k, 1, NULL, 1, NULL), ITW_ERR_ARGUMENT, 20);
  REFUSED(itw_prf(dirty, 3, k, 1, k, 1, NULL), ITW_ERR_PRF, 0);
  REFUSED(itw_prf(dirty, 0, k, 1, k, 1, NULL), ITW_ERR_PRF, 0);
  REFUSED(itw_prf_plus(dirty, 100, 9, k, 1, k, 1, NULL), ITW_ERR_PRF, 100);
  REFUSED(itw_prf_plus(dirty, 100, 2, NULL, 1, k, 1, NULL), ITW_ERR_ARGUMENT, 100);
  REFUSED(itw_prf_plus(dirty, 100, 2, k, 1, NULL, 1, NULL), ITW_ERR_ARGUMENT, 100);
  assert_int_equal(itw_prf(NULL, 2, k, 1, k, 1, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_prf_plus(NULL, 10, 2, k, 1, k, 1, NULL), ITW_ERR_ARGUMENT);
}

static void bad_arguments_of_pbkdf2(void **state)
{
  uint8_t k[20] = {1};
  (void)state;
  REFUSED(itw_pbkdf2(dirty, 50, NULL, 1, k, 1, 1, NULL), ITW_ERR_ARGUMENT, 50);
  REFUSED(itw_pbkdf2(dirty, 50, k, 0, k, 1, 1, NULL), ITW_ERR_ARGUMENT, 50);
  REFUSED(itw_pbkdf2(dirty, 50, k, 1, NULL, 1, 1, NULL), ITW_ERR_ARGUMENT, 50);
  REFUSED(itw_pbkdf2(dirty, 50, k, 1, k, 1, 0, NULL), ITW_ERR_ARGUMENT, 50);
  REFUSED(itw_token_key(dirty, k, 0, k, 1024, NULL), ITW_ERR_ARGUMENT, 16);
  REFUSED(itw_token_key(dirty, k, 1, NULL, 1024, NULL), ITW_ERR_ARGUMENT, 16);
  REFUSED(itw_token_key(dirty, k, 1, k, 0, NULL), ITW_ERR_ARGUMENT, 16);
  REFUSED(itw_pbkdf2(dirty, 0, k, 1, k, 1, 1, NULL), ITW_ERR_ARGUMENT, 0);
#if SIZE_MAX > UINT32_MAX
  REFUSED(itw_pbkdf2(dirty, (size_t)UINT32_MAX * 20 + 1, k, 1, k, 1, 1, NULL), ITW_ERR_ARGUMENT, 0);
#endif
  assert_int_equal(itw_token_key(NULL, k, 1, k, 1024, NULL), ITW_ERR_ARGUMENT);
}

/* Each way to spoil a good exchange. */
static void bad_exchanges(void **state)
{
  uint8_t k[300] = {1};
  struct itw_exchange good, x;
  const struct {
    size_t at;
    uint32_t value;
    itw_status status;
  } cases[] = {
      {offsetof(struct itw_exchange, size), 0, ITW_ERR_SIZE},
      {offsetof(struct itw_exchange, size), sizeof x - 1, ITW_ERR_SIZE},
      {offsetof(struct itw_exchange, ni_len), 0, ITW_ERR_ARGUMENT},
      {offsetof(struct itw_exchange, nr_len), 0, ITW_ERR_ARGUMENT},
      {offsetof(struct itw_exchange, ni_len), 257, ITW_ERR_ARGUMENT},
      {offsetof(struct itw_exchange, nr_len), 257, ITW_ERR_ARGUMENT},
  };
  (void)state;
  ITW_INIT(good);
  good.ni = good.nr = good.g_ir = k;
  good.ni_len = good.nr_len = good.g_ir_len = 16;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    x = good;
    memcpy((uint8_t *)&x + cases[i].at, &cases[i].value, 4);
    REFUSED(itw_skeyseed(dirty, 2, &x, NULL), cases[i].status, 20);
    REFUSED(itw_skeyseed_rekey(dirty, 2, k, 20, &x, NULL), cases[i].status, 20);
    REFUSED(itw_sk_d(dirty, 2, 5, k, 20, &x, NULL), cases[i].status, 20);
    REFUSED(itw_keymat(dirty, 72, 2, k, 20, &x, NULL), cases[i].status, 72);
  }
  x = good;
  x.mbz = k;
  REFUSED(itw_skeyseed(dirty, 2, &x, NULL), ITW_ERR_ARGUMENT, 20);
  x = good;
  x.ni = NULL;
  REFUSED(itw_skeyseed(dirty, 2, &x, NULL), ITW_ERR_ARGUMENT, 20);
  x = good;
  x.nr = NULL;
  REFUSED(itw_skeyseed(dirty, 2, &x, NULL), ITW_ERR_ARGUMENT, 20);
  x = good;
  x.g_ir = NULL;
  REFUSED(itw_keymat(dirty, 72, 2, k, 20, &x, NULL), ITW_ERR_ARGUMENT, 72);
  x = good;
  x.g_ir_len = 0;
  REFUSED(itw_skeyseed(dirty, 2, &x, NULL), ITW_ERR_ARGUMENT, 20);
  REFUSED(itw_skeyseed_rekey(dirty, 2, k, 20, &x, NULL), ITW_ERR_ARGUMENT, 20);
  x = good;
  x.ni_len = 7; /* can't key an AES PRF */
  REFUSED(itw_skeyseed(dirty, ITW_PRF_AES128_CMAC, &x, NULL), ITW_ERR_ARGUMENT, 16);
  REFUSED(itw_skeyseed(dirty, 2, NULL, NULL), ITW_ERR_ARGUMENT, 20);
  REFUSED(itw_skeyseed(dirty, 3, &good, NULL), ITW_ERR_PRF, 0);
  REFUSED(itw_skeyseed_rekey(dirty, 2, NULL, 20, &good, NULL), ITW_ERR_ARGUMENT, 20);
  REFUSED(itw_skeyseed_rekey(dirty, 2, k, 0, &good, NULL), ITW_ERR_ARGUMENT, 20);
  REFUSED(itw_sk_d(dirty, 3, 2, k, 20, &good, NULL), ITW_ERR_PRF, 0);
  REFUSED(itw_sk_d(dirty, 2, 3, k, 20, &good, NULL), ITW_ERR_PRF, 20);
  REFUSED(itw_sk_d(dirty, 2, 2, k, 0, &good, NULL), ITW_ERR_ARGUMENT, 20);
  REFUSED(itw_keymat(dirty, 72, 2, k, 0, &good, NULL), ITW_ERR_ARGUMENT, 72);
  REFUSED(itw_keymat(dirty, 72, 3, k, 20, &good, NULL), ITW_ERR_PRF, 72);
  assert_int_equal(itw_skeyseed(NULL, 2, &good, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sk_d(NULL, 2, 2, k, 20, &good, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keymat(NULL, 72, 2, k, 20, &good, NULL), ITW_ERR_ARGUMENT);
}

static void bad_arguments_of_secrets(void **state)
{
  uint8_t k[20] = {1};
  (void)state;
  REFUSED(itw_ikev2_secret(dirty, 2, k, 0, NULL), ITW_ERR_ARGUMENT, 20);
  REFUSED(itw_ikev2_secret(dirty, 3, k, 20, NULL), ITW_ERR_PRF, 0);
  REFUSED(itw_root_token(dirty, 2, k, 0, k, NULL), ITW_ERR_ARGUMENT, 16);
  REFUSED(itw_root_token(dirty, 2, k, 20, NULL, NULL), ITW_ERR_ARGUMENT, 16);
  REFUSED(itw_root_token(dirty, 3, k, 20, k, NULL), ITW_ERR_PRF, 16);
  assert_int_equal(itw_ikev2_secret(NULL, 2, k, 20, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_root_token(NULL, 2, k, 20, k, NULL), ITW_ERR_ARGUMENT);
}

static void assert_empty(const struct itw_key_pair *pair)
{
  assert_int_equal(pair->size, sizeof *pair);
  assert_true(itwi_is_zero((const uint8_t *)pair + 4, sizeof *pair - 4));
}

static struct itw_key_pair soiled(void)
{
  struct itw_key_pair pair;
  memset(&pair, 0xff, sizeof pair);
  pair.size = (uint32_t)sizeof pair;
  return pair;
}

static void bad_arguments_of_pairs(void **state)
{
  uint8_t k[20] = {1};
  struct itw_key_pair pair = soiled(), control;
  (void)state;
  assert_int_equal(itw_root_pair(&pair, 2, k, 0, NULL), ITW_ERR_ARGUMENT);
  assert_empty(&pair);
  pair = soiled();
  assert_int_equal(itw_root_pair(&pair, 3, k, 20, NULL), ITW_ERR_PRF);
  assert_empty(&pair);
  pair = soiled();
  assert_int_equal(itw_sid_pair(&pair, 3, k, 20, k, NULL), ITW_ERR_PRF);
  assert_empty(&pair);
  pair = soiled();
  assert_int_equal(itw_sid_pair(&pair, 2, k, 20, NULL, NULL), ITW_ERR_ARGUMENT);
  assert_empty(&pair);
  for (uint16_t enc = 0; enc <= 32; enc = (uint16_t)(enc + 8)) {
    for (uint16_t auth = 0; auth <= 64; auth = (uint16_t)(auth + 4)) {
      if (enc == 16 && auth == 32) continue;
      control = soiled();
      control.enc_len = enc;
      control.auth_len = auth;
      pair = soiled();
      assert_int_equal(itw_test_pair(&pair, &control, k, NULL), ITW_ERR_ARGUMENT);
      assert_empty(&pair);
    }
  }
  assert_int_equal(itw_test_pair(&pair, NULL, k, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_test_pair(NULL, &control, k, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_root_pair(NULL, 2, k, 20, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sid_pair(NULL, 2, k, 20, k, NULL), ITW_ERR_ARGUMENT);
}

static void pairs_of_other_versions(void **state)
{
  uint8_t k[20] = {1};
  struct itw_key_pair pair = soiled();
  NEEDS_KEYS();
  pair.size--;
  assert_int_equal(itw_root_pair(&pair, 2, k, 20, NULL), ITW_ERR_SIZE);
  assert_int_equal(pair.enc[0], 0xff);
  pair.size++;
  assert_int_equal(itw_root_pair(&pair, 2, k, 20, NULL), ITW_OK);
  assert_int_equal(pair.enc_len, 16);
  assert_int_equal(pair.auth_len, 20);
}

static void none_is_unsupported(void **state)
{
  uint8_t k[20] = {1};
  struct itw_key_pair pair = soiled(), control = soiled();
  (void)state;
  if (have_keys()) skip();
  for (size_t i = 0; i < PRFS; i++)
    REFUSED(itw_prf(dirty, prfs[i], k, 20, k, 20, NULL), ITW_ERR_UNSUPPORTED, itw_prf_len(prfs[i]));
  REFUSED(itw_prf_plus(dirty, 100, 2, k, 20, k, 20, NULL), ITW_ERR_UNSUPPORTED, 100);
  REFUSED(itw_token_key(dirty, k, 20, k, 1024, NULL), ITW_ERR_UNSUPPORTED, 16);
  REFUSED(itw_root_token(dirty, 2, k, 20, k, NULL), ITW_ERR_UNSUPPORTED, 16);
  assert_int_equal(itw_root_pair(&pair, 2, k, 20, NULL), ITW_ERR_UNSUPPORTED);
  assert_empty(&pair);
  control.enc_len = 16;
  control.auth_len = 32;
  pair = soiled();
  assert_int_equal(itw_test_pair(&pair, &control, k, NULL), ITW_ERR_UNSUPPORTED);
  assert_empty(&pair);
}

/* -------- two roads: libcrypto's own derivations -------- */

#if !defined(ITW_CRYPTO_MBEDTLS) && !defined(ITW_CRYPTO_NONE)
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

static const struct {
  uint32_t prf;
  const char *digest;
} roads[] = {{ITW_PRF_HMAC_MD5, "MD5"},
             {ITW_PRF_HMAC_SHA1, "SHA1"},
             {ITW_PRF_HMAC_SHA2_256, "SHA256"},
             {ITW_PRF_HMAC_SHA2_384, "SHA384"},
             {ITW_PRF_HMAC_SHA2_512, "SHA512"}};
enum { ROADS = sizeof roads / sizeof roads[0] };

/* HKDF (RFC 5869): Extract is HMAC(salt, input), Expand is the prf+ of IKEv2 with the seed as info. */
static void hkdf(uint8_t *out, size_t out_len, const char *digest, int mode, uint8_t *key, size_t key_len,
                 uint8_t *more, size_t more_len)
{
  EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
  EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
  char name[16];
  const char *what = mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY ? OSSL_KDF_PARAM_SALT : OSSL_KDF_PARAM_INFO;
  OSSL_PARAM params[5];

  (void)snprintf(name, sizeof name, "%s", digest);
  params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0);
  params[1] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
  params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, key_len);
  params[3] = OSSL_PARAM_construct_octet_string(what, more, more_len);
  params[4] = OSSL_PARAM_construct_end();
  assert_int_equal(EVP_KDF_derive(ctx, out, out_len, params), 1);
  EVP_KDF_CTX_free(ctx);
  EVP_KDF_free(kdf);
}

static void prf_plus_is_hkdf_expand(void **state)
{
  uint8_t key[64], seed[544], out[300], want[300];
  (void)state;
  for (unsigned i = 0; i < 400; i++) {
    const size_t len = itw_prf_len(roads[i % ROADS].prf);
    const size_t seed_len = 1 + i * 17 % sizeof seed, out_len = 1 + i * 31 % sizeof out;
    pattern(key, len, i);
    pattern(seed, seed_len, i + 1000);
    hkdf(want, out_len, roads[i % ROADS].digest, EVP_KDF_HKDF_MODE_EXPAND_ONLY, key, len, seed, seed_len);
    assert_int_equal(itw_prf_plus(out, out_len, roads[i % ROADS].prf, key, len, seed, seed_len, NULL), ITW_OK);
    assert_memory_equal(out, want, out_len);
  }
}

static void skeyseed_is_hkdf_extract(void **state)
{
  uint8_t nonces[512], g_ir[512], out[ITW_PRF_MAX], want[ITW_PRF_MAX];
  struct itw_exchange x;
  (void)state;
  ITW_INIT(x);
  for (unsigned i = 0; i < 400; i++) {
    const size_t len = itw_prf_len(roads[i % ROADS].prf);
    x.ni_len = 16 + i * 7 % 241;
    x.nr_len = 16 + i * 11 % 241;
    x.g_ir_len = 1 + i * 13 % sizeof g_ir;
    pattern(nonces, sizeof nonces, i);
    pattern(g_ir, sizeof g_ir, i + 1000);
    x.ni = nonces;
    x.nr = nonces + x.ni_len;
    x.g_ir = g_ir;
    hkdf(want, len, roads[i % ROADS].digest, EVP_KDF_HKDF_MODE_EXTRACT_ONLY, g_ir, x.g_ir_len, nonces,
         x.ni_len + x.nr_len);
    assert_int_equal(itw_skeyseed(out, roads[i % ROADS].prf, &x, NULL), ITW_OK);
    assert_memory_equal(out, want, len);
  }
}

static void pbkdf2_is_libcryptos(void **state)
{
  uint8_t secret[256], salt[64], out[100], want[100];
  (void)state;
  for (unsigned i = 0; i < 100; i++) {
    const size_t secret_len = 1 + i * 37 % sizeof secret, salt_len = i * 5 % sizeof salt,
                 out_len = 1 + i * 7 % sizeof out;
    const uint32_t count = 1 + i * i % 1500;
    pattern(secret, secret_len, i);
    pattern(salt, salt_len, i + 1000);
    assert_int_equal(PKCS5_PBKDF2_HMAC((const char *)secret, (int)secret_len, salt, (int)salt_len, (int)count,
                                       EVP_sha1(), (int)out_len, want),
                     1);
    assert_int_equal(itw_pbkdf2(out, out_len, secret, secret_len, salt, salt_len, count, NULL), ITW_OK);
    assert_memory_equal(out, want, out_len);
  }
}

/* Property queries reach every algorithm; nothing stays in the error queue. */
static void context_is_passed_on(void **state)
{
  struct itw_openssl nobody = {sizeof nobody, 0, NULL, "provider=nobody"},
                     all = {sizeof all, 0, NULL, "provider=default"};
  uint8_t k[20] = {1};
  (void)state;
  ERR_clear_error();
  for (size_t i = 0; i < PRFS; i++) {
    REFUSED(itw_prf(dirty, prfs[i], k, 20, k, 20, &nobody), ITW_ERR_UNSUPPORTED, itw_prf_len(prfs[i]));
    assert_int_equal(itw_prf(dirty, prfs[i], k, 20, k, 20, &all), ITW_OK);
  }
  nobody.size = 4;
  REFUSED(itw_token_key(dirty, k, 20, k, 1024, &nobody), ITW_ERR_SIZE, 16);
  assert_int_equal(ERR_peek_error(), 0);
}

#define OF_BACKEND                                                                                                     \
  cmocka_unit_test(prf_plus_is_hkdf_expand), cmocka_unit_test(skeyseed_is_hkdf_extract),                               \
      cmocka_unit_test(pbkdf2_is_libcryptos), cmocka_unit_test(context_is_passed_on),
#else
#define OF_BACKEND
#endif

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(prf_lengths),
                                     cmocka_unit_test(prf_vectors),
                                     cmocka_unit_test(xcbc_lengths),
                                     cmocka_unit_test(pbkdf2_vectors),
                                     cmocka_unit_test(pbkdf2_in_slices),
                                     cmocka_unit_test(pbkdf2_of_one_iteration),
                                     cmocka_unit_test(every_ike_sa_of_the_recordings),
                                     cmocka_unit_test(every_child_sa_of_the_recordings),
                                     cmocka_unit_test(every_scheme),
                                     cmocka_unit_test(prf_plus_is_made_of_prf),
                                     cmocka_unit_test(skeyseed_of_long_nonces),
                                     cmocka_unit_test(bad_arguments_of_prf),
                                     cmocka_unit_test(bad_arguments_of_pbkdf2),
                                     cmocka_unit_test(bad_exchanges),
                                     cmocka_unit_test(bad_arguments_of_secrets),
                                     cmocka_unit_test(bad_arguments_of_pairs),
                                     cmocka_unit_test(pairs_of_other_versions),
                                     cmocka_unit_test(none_is_unsupported),
                                     OF_BACKEND};
  return cmocka_run_group_tests_name("kdf", tests, NULL, NULL);
}
