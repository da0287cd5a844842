/* SPDX-License-Identifier: BSD-3-Clause */
/* From datagrams to keys: the recording's, those of every IKE and CHILD SA of all recordings of IKE, and what can't be had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "feed.h"
#include "vec.h"
#include <ipsectwamp/version.h>
#include <stdlib.h>

#define NEEDS_KEYS()                                                                                                   \
  do {                                                                                                                 \
    (void)state;                                                                                                       \
    if (strcmp(itw_crypto_backend(), "none") == 0) skip();                                                             \
  } while (0)

static void expect(const struct vec_section *s, const char *key, const uint8_t *got, size_t n)
{
  uint8_t want[512];
  assert_int_equal(vec_hex(s, key, want, sizeof want), n);
  if (n) assert_memory_equal(got, want, n);
}

/* ---- the recording ---- */

static void recording(void **state)
{
  NEEDS_KEYS();
  struct vec *vec = vec_load("strongswan/ha-feed.vec");
  struct itwi_ike_keys ike = {0};
  struct itwi_child_keys child;
  struct itwi_ha_message m;
  uint8_t secret[ITW_PRF_MAX];
  size_t ikes = 0, children = 0;

  for (const struct vec_section *s = vec_first(vec, "datagram"); s; s = vec_next(vec, s, "datagram")) {
    uint8_t wire[1024];
    assert_int_equal(itwi_ha_decode(&m, wire, vec_hex(s, "wire", wire, sizeof wire)), ITW_OK);
    if (m.type == ITWI_HA_IKE_ADD) {
      ikes++;
      assert_int_equal(itwi_ha_ike_keys(&ike, &m, NULL), ITW_OK);
      expect(s, "skeyseed", ike.skeyseed, ike.skeyseed_len);
      expect(s, "sk_d", ike.sk_d, ike.sk_d_len);
      assert_int_equal(itw_ikev2_secret(secret, m.prf, ike.sk_d, ike.sk_d_len, NULL), ITW_OK);
      expect(s, "rfc7717_secret", secret, itw_prf_len(m.prf));
    }
    if (m.type != ITWI_HA_CHILD_ADD) continue;
    children++;
    assert_int_equal(itwi_ha_child_keys(&child, &m, ITW_PRF_HMAC_SHA2_256, ike.sk_d, NULL), ITW_OK);
    expect(s, "keymat", child.keymat, child.keymat_len);
    assert_int_equal(child.protocol, ITW_SA_ESP);
    assert_int_equal(child.encr, ITW_ENCR_AES_CBC);
  }
  assert_int_equal(ikes, 2);
  assert_int_equal(children, 2);
  vec_free(vec);
}

/* ---- all recordings of IKE, as if charon had told them ---- */

struct told {
  struct itwi_ha_message m;
  uint8_t ni[256], nr[256], g_ir[1024], old[64];
};

static struct itwi_octets get(const struct vec_section *s, const char *key, uint8_t *room, size_t size)
{
  return (struct itwi_octets){room, vec_has(s, key) ? (uint32_t)vec_hex(s, key, room, size) : 0, 0};
}

static void tell(struct told *t, const struct vec_section *s)
{
  memset(t, 0, sizeof *t);
  t->m.ike_version = t->m.ike.version = 2;
  t->m.nonce_i = get(s, "ni", t->ni, sizeof t->ni);
  t->m.nonce_r = get(s, "nr", t->nr, sizeof t->nr);
  t->m.secret = get(s, "g_ir", t->g_ir, sizeof t->g_ir);
  t->m.old_sk_d = get(s, "old_sk_d", t->old, sizeof t->old);
  t->m.prf = (uint16_t)vec_u64(s, "prf");
}

static void check_ike(const struct vec_section *s)
{
  struct itwi_ike_keys keys;
  struct told t;

  tell(&t, s);
  t.m.ike.spi_i = vec_be64(s, "ike_spi_i");
  t.m.ike.spi_r = vec_be64(s, "ike_spi_r");
  if (vec_has(s, "old_prf")) {
    t.m.rekeyed = t.m.ike;
    t.m.old_prf = (uint16_t)vec_u64(s, "old_prf");
  }
  assert_int_equal(itwi_ha_ike_keys(&keys, &t.m, NULL), ITW_OK);
  expect(s, "skeyseed", keys.skeyseed, keys.skeyseed_len);
  expect(s, "sk_d", keys.sk_d, keys.sk_d_len);
}

/* The lengths of its keys are for us to know: the feed has the algorithms' numbers only. */
static void check_child(const struct vec_section *s)
{
  struct itwi_child_keys keys;
  struct itw_child_sa sa;
  uint8_t sk_d[ITW_PRF_MAX];
  struct told t;

  tell(&t, s);
  t.m.encr = vec_has(s, "encr") ? (uint16_t)vec_u64(s, "encr") : 0;
  t.m.encr_bits = vec_has(s, "encr_bits") ? (uint16_t)vec_u64(s, "encr_bits") : 0;
  t.m.integ = vec_has(s, "integ") ? (uint16_t)vec_u64(s, "integ") : 0;
  (void)vec_hex(s, "sk_d", sk_d, sizeof sk_d);
  assert_int_equal(itwi_ha_child_keys(&keys, &t.m, t.m.prf, sk_d, NULL), ITW_OK);
  assert_int_equal(keys.protocol, vec_u64(s, "protocol"));
  expect(s, "keymat", keys.keymat, keys.keymat_len);
  ITW_INIT(sa);
  sa.encr = keys.encr;
  sa.encr_len = keys.encr_len;
  sa.integ_len = keys.integ_len;
  sa.keymat_len = keys.keymat_len;
  memcpy(sa.keymat, keys.keymat, keys.keymat_len);
  assert_int_equal(itw_child_sa_split(&sa), ITW_OK);
  expect(s, "integ_i_to_r", sa.integ_key_i, sa.integ_len);
  expect(s, "integ_r_to_i", sa.integ_key_r, sa.integ_len);
  if (sa.encr == ITW_ENCR_AES_CBC) expect(s, "encr_i_to_r", sa.encr_key_i, sa.encr_len);
  if (sa.encr == ITW_ENCR_AES_CBC) expect(s, "encr_r_to_i", sa.encr_key_r, sa.encr_len);
}

static void every(const char *kind, void (*check)(const struct vec_section *), size_t least)
{
  char(*names)[128] = calloc(50, sizeof *names);
  size_t checked = 0;

  assert_non_null(names);
  for (size_t i = vec_files("ikev2", names, 50); i-- > 0;) {
    struct vec *vec = vec_load(names[i]);
    for (const struct vec_section *s = vec_first(vec, kind); s; s = vec_next(vec, s, kind), checked++) check(s);
    vec_free(vec);
  }
  free(names);
  print_message("%zu of [%s]\n", checked, kind);
  assert_true(checked >= least);
}

static void every_ike_sa(void **state)
{
  NEEDS_KEYS();
  every("ike", check_ike, 30);
}

static void every_child_sa(void **state)
{
  NEEDS_KEYS();
  every("child", check_child, 40);
}

/* ---- what can't be had ---- */

static itw_status ike_without(struct datagram d, void (*spoil)(struct itwi_ha_message *))
{
  static const struct itwi_ike_keys none = {0};
  struct itwi_ike_keys keys;
  struct itwi_ha_message m;

  assert_int_equal(itwi_ha_decode(&m, d.octets, d.len), ITW_OK);
  spoil(&m);
  const itw_status st = itwi_ha_ike_keys(&keys, &m, NULL);
  assert_memory_equal(&keys, &none, sizeof keys);
  return st;
}

static void an_unknown_prf(struct itwi_ha_message *m) { m->prf = 3; }
static void no_prf(struct itwi_ha_message *m) { m->prf = 0; }
static void an_unknown_old_prf(struct itwi_ha_message *m) { m->old_prf = 9; }
static void no_old_prf(struct itwi_ha_message *m) { m->old_prf = 0; }
static void no_old_sk_d(struct itwi_ha_message *m) { m->old_sk_d.len = 0; }
static void no_nonce(struct itwi_ha_message *m) { m->nonce_r.len = 0; }
static void a_long_nonce(struct itwi_ha_message *m) { m->nonce_i.len = 257; }
static void no_secret(struct itwi_ha_message *m) { m->secret.len = 0; }
static void one_more_secret(struct itwi_ha_message *m) { m->add_secret.len = 32; }
static void ikev1(struct itwi_ha_message *m) { m->ike_version = 1; }

static void ike_sas_without_keys(void **state)
{
  NEEDS_KEYS();
  const struct feed f = {.peer = 2};
  const struct datagram first = ike_add(&f, 1, 0), rekey = ike_add(&f, 2, 1);

  assert_int_equal(ike_without(first, an_unknown_prf), ITW_ERR_PRF);
  assert_int_equal(ike_without(first, no_prf), ITW_ERR_SA_KEYS);
  assert_int_equal(ike_without(rekey, an_unknown_old_prf), ITW_ERR_PRF);
  assert_int_equal(ike_without(rekey, no_old_prf), ITW_ERR_PRF);
  assert_int_equal(ike_without(rekey, no_old_sk_d), ITW_ERR_SA_KEYS);
  assert_int_equal(ike_without(first, no_nonce), ITW_ERR_SA_KEYS);
  assert_int_equal(ike_without(first, a_long_nonce), ITW_ERR_SA_KEYS);
  assert_int_equal(ike_without(first, no_secret), ITW_ERR_SA_KEYS);
  assert_int_equal(ike_without(first, one_more_secret), ITW_ERR_SA_KEYS);
  assert_int_equal(ike_without(first, ikev1), ITW_ERR_SA_UNFIT);
}

static void child_sas_and_their_transforms(void **state)
{
  NEEDS_KEYS();
  static const struct {
    uint16_t encr, bits, integ;
    itw_status status;
    uint32_t len; /* of KEYMAT */
    uint32_t protocol;
  } cases[] = {
      {12, 128, 2, ITW_OK, 2 * (16 + 20), ITW_SA_ESP},   {12, 256, 14, ITW_OK, 2 * (32 + 64), ITW_SA_ESP},
      {3, 0, 1, ITW_OK, 2 * (24 + 16), ITW_SA_ESP},      {13, 128, 12, ITW_OK, 2 * (20 + 32), ITW_SA_ESP},
      {20, 256, 0, ITW_OK, 2 * 36, ITW_SA_ESP},          {16, 128, 0, ITW_OK, 2 * 19, ITW_SA_ESP},
      {28, 0, 0, ITW_OK, 2 * 36, ITW_SA_ESP},            {21, 128, 0, ITW_OK, 2 * 20, ITW_SA_ESP},
      {11, 0, 13, ITW_OK, 2 * 48, ITW_SA_ESP},           {0, 0, 12, ITW_OK, 2 * 32, ITW_SA_AH},
      {12, 0, 2, ITW_ERR_SA_CIPHER, 0, ITW_SA_ESP},      {12, 520, 2, ITW_ERR_SA_CIPHER, 0, ITW_SA_ESP},
      {999, 128, 2, ITW_ERR_SA_CIPHER, 0, ITW_SA_ESP},   {12, 128, 99, ITW_ERR_SA_NO_INTEG, 0, ITW_SA_ESP},
      {11, 0, 0, ITW_ERR_SA_NO_INTEG, 0, ITW_SA_ESP},
  };
  const struct feed f = {.peer = 2};
  const struct datagram d = child_add(&f, 1, 1);
  const uint8_t sk_d[ITW_PRF_MAX] = {1};
  struct itwi_child_keys keys;
  struct itwi_ha_message m;

  assert_int_equal(itwi_ha_decode(&m, d.octets, d.len), ITW_OK);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    m.encr = cases[i].encr;
    m.encr_bits = cases[i].bits;
    m.integ = cases[i].integ;
    assert_int_equal(itwi_ha_child_keys(&keys, &m, ITW_PRF_HMAC_SHA1, sk_d, NULL), cases[i].status);
    assert_int_equal(keys.keymat_len, cases[i].len);
    assert_int_equal(keys.protocol, cases[i].protocol);
  }
  m.encr = 12;
  m.encr_bits = 128;
  m.integ = 2;
  assert_int_equal(itwi_ha_child_keys(&keys, &m, 0, sk_d, NULL), ITW_ERR_SA_KEYS);
  m.add_secret.len = 1;
  assert_int_equal(itwi_ha_child_keys(&keys, &m, ITW_PRF_HMAC_SHA1, sk_d, NULL), ITW_ERR_SA_KEYS);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(recording),      cmocka_unit_test(every_ike_sa),         cmocka_unit_test(every_child_sa),
      cmocka_unit_test(ike_sas_without_keys), cmocka_unit_test(child_sas_and_their_transforms),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
