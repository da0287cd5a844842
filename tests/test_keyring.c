/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "sas.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ALL_SCHEMES (ITW_PSK | ITW_IKEV2 | ITW_DRAFT)

enum { CAPACITY = 8 };

static int open_ring(void **state)
{
  return itw_keyring_new((itw_keyring **)state, CAPACITY, NULL);
}

static int close_ring(void **state)
{
  itw_keyring_free(*state);
  return 0;
}

/* ---- its life ---- */

static void test_size_and_bound(void **state)
{
  (void)state;
  static const uint32_t capacities[] = {1, 2, 3, 7, 8, 1000, 1u << 20};
  for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
    const uint32_t n = capacities[i];
    assert_true(itw_keyring_size(n) > 0);
    assert_true(itw_keyring_size(n) <= ITW_KEYRING_BOUND(n));
  }
  assert_int_equal(itw_keyring_size(0), 0);
  assert_int_equal(itw_keyring_size((1u << 20) + 1), 0);
  assert_int_equal(itw_keyring_size(UINT32_MAX), 0);
}

static void test_init_checks_its_arguments(void **state)
{
  (void)state;
  static uint64_t memory[ITW_KEYRING_BOUND(2) / 8];
  itw_keyring *ring = NULL;
  const size_t size = itw_keyring_size(2);

  assert_int_equal(itw_keyring_init(NULL, memory, sizeof memory, 2, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_init(&ring, NULL, sizeof memory, 2, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_init(&ring, memory, sizeof memory, 0, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_init(&ring, (uint8_t *)memory + 1, sizeof memory - 1, 2, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_init(&ring, memory, size - 1, 2, NULL), ITW_ERR_TOO_SMALL);
  assert_int_equal(itw_keyring_new(NULL, 2, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_new(&ring, 0, NULL), ITW_ERR_ARGUMENT);
  assert_null(ring);
  assert_int_equal(itw_keyring_init(&ring, memory, size, 2, NULL), ITW_OK);
  assert_ptr_equal(ring, memory);
  itw_keyring_free(ring);
  itw_keyring_free(NULL);
}

static void test_full(void **state)
{
  itw_keyring *ring = *state;
  char id[] = "id0";
  for (int i = 0; i < CAPACITY; i++, id[2]++) assert_int_equal(add_psk(ring, id, "secret"), ITW_OK);
  assert_int_equal(add_psk(ring, id, "secret"), ITW_ERR_FULL);
  assert_int_equal(add_ike(ring, ike(1, 2)), ITW_ERR_FULL);
  assert_int_equal(add_child(ring, esp(1, 2)), ITW_ERR_FULL);
  assert_int_equal(itw_keyring_remove_psk(ring, (const uint8_t *)"id3", 3), ITW_OK);
  assert_int_equal(add_child(ring, esp(1, 2)), ITW_OK);
}

static bool holds(const void *block, size_t n, const void *octets, size_t len)
{
  for (size_t i = 0; i + len <= n; i++)
    if (!memcmp((const uint8_t *)block + i, octets, len)) return true;
  return false;
}

static void test_removed_is_wiped(void **state)
{
  (void)state;
  static uint64_t memory[ITW_KEYRING_BOUND(3) / 8];
  const struct itw_child_sa child = esp(3, 4);
  const struct itw_sa ike_name = sa(ITW_SA_IKE, 0x5151, 2), child_name = child.sa;
  uint8_t skeyseed[16];
  itw_keyring *ring;

  memset(skeyseed, 0x51, sizeof skeyseed);
  assert_int_equal(itw_keyring_init(&ring, memory, sizeof memory, 3, NULL), ITW_OK);
  assert_int_equal(add_ike(ring, ike(0x5151, 2)), ITW_OK);
  assert_int_equal(add_psk(ring, "name", "open sesame"), ITW_OK);
  assert_int_equal(add_child(ring, child), ITW_OK);
  assert_true(holds(memory, sizeof memory, skeyseed, sizeof skeyseed));
  assert_true(holds(memory, sizeof memory, "open sesame", 11));
  assert_true(holds(memory, sizeof memory, child.encr_key_r, 16));

  assert_int_equal(itw_keyring_remove(ring, &ike_name), ITW_OK); /* the last takes its place */
  assert_false(holds(memory, sizeof memory, skeyseed, sizeof skeyseed));
  assert_int_equal(itw_keyring_remove(ring, &ike_name), ITW_EMPTY);
  assert_int_equal(itw_keyring_remove(ring, &child_name), ITW_OK);
  assert_false(holds(memory, sizeof memory, child.encr_key_r, 16));
  assert_false(holds(memory, sizeof memory, child.keymat + 1, 16));
  assert_int_equal(itw_keyring_remove_psk(ring, (const uint8_t *)"name", 4), ITW_OK);
  assert_int_equal(itw_keyring_remove_psk(ring, (const uint8_t *)"name", 4), ITW_EMPTY);
  assert_false(holds(memory, sizeof memory, "open sesame", 11));
  assert_false(holds(memory, sizeof memory, "name", 4));

  assert_int_equal(add_psk(ring, "name", "open sesame"), ITW_OK);
  itw_keyring_free(ring);
  for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++) assert_true(memory[i] == 0);
}

/* The one removed is the first, one in the middle, the last: the others answer as before. */
static void test_remove_leaves_the_others(void **state)
{
  itw_keyring *ring = *state;
  for (uint64_t gone = 1; gone <= 3; gone++) {
    for (uint64_t i = 1; i <= 3; i++) assert_int_equal(add_ike(ring, ike(i, 100 + i)), ITW_OK);
    const struct itw_sa name = sa(ITW_SA_IKE, gone, 100 + gone);
    assert_int_equal(itw_keyring_remove(ring, &name), ITW_OK);
    for (uint64_t i = 1; i <= 3; i++) {
      const struct itw_sa other = sa(ITW_SA_IKE, i, 100 + i);
      const struct itw_answer a = answer(ring, ask_sa(ITW_ASK_ROOT, ITW_ROLE_SERVER, ITW_ROOT, other));
      uint8_t expected[32];
      memset(expected, (int)i, sizeof expected);
      if (i == gone) expect_none(a, ITW_ERR_SA_GONE);
      else expect_secret(a, expected, 32);
      assert_int_equal(itw_keyring_remove(ring, &other), i == gone ? ITW_EMPTY : ITW_OK);
    }
  }
}

/* ---- passphrases ---- */

static struct itw_ask ask_psk(const char *id)
{
  struct itw_ask a = ask(ITW_ASK_TOKEN_KEY, ITW_ROLE_SERVER, ITW_PSK, ITW_MODE_MIXED);
  a.key_id_len = (uint32_t)strlen(id);
  memcpy(a.key_id, id, a.key_id_len);
  return a;
}

static void test_passphrases(void **state)
{
  itw_keyring *ring = *state;
  uint8_t long_secret[257], long_id[81];
  memset(long_secret, 's', sizeof long_secret);
  memset(long_id, 'i', sizeof long_id);

  assert_int_equal(add_psk(ring, "ann", "one"), ITW_OK);
  assert_int_equal(add_psk(ring, "anna", "two"), ITW_OK);
  assert_int_equal(add_psk(ring, "ann", "three"), ITW_ERR_COLLISION);
  assert_int_equal(add_psk(ring, "bob", ""), ITW_ERR_PASSPHRASE);
  assert_int_equal(add_psk(ring, "bob", "a\rb"), ITW_ERR_PASSPHRASE);
  assert_int_equal(add_psk(ring, "bob", "ab\n"), ITW_ERR_PASSPHRASE);
  assert_int_equal(itw_keyring_add_psk(ring, long_id, 3, long_secret, 257), ITW_ERR_PASSPHRASE);
  assert_int_equal(itw_keyring_add_psk(ring, long_id, 80, long_secret, 256), ITW_OK);
  assert_int_equal(itw_keyring_add_psk(ring, long_id, 81, long_secret, 3), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_add_psk(ring, long_id, 0, long_secret, 3), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_add_psk(ring, (const uint8_t *)"a\0b", 3, long_secret, 3), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_add_psk(ring, NULL, 3, long_secret, 3), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_add_psk(ring, long_id, 3, NULL, 3), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_add_psk(NULL, long_id, 3, long_secret, 3), ITW_ERR_ARGUMENT);

  expect_secret(answer(ring, ask_psk("ann")), "one", 3);
  expect_secret(answer(ring, ask_psk("anna")), "two", 3);
  expect_none(answer(ring, ask_psk("an")), ITW_ERR_KEY_ID);
  expect_none(answer(ring, ask_psk("bob")), ITW_ERR_KEY_ID);
  expect_none(answer(ring, ask_psk("")), ITW_ERR_KEY_ID);
  struct itw_ask a = ask_psk("");
  memcpy(a.key_id, long_id, 80);
  a.key_id_len = 80;
  expect_secret(answer(ring, a), long_secret, 256);
  a.key_id_len = 81;
  expect_none(answer(ring, a), ITW_ERR_KEY_ID);
  /* A passphrase is no SA. */
  assert_int_equal(itw_keyring_remove(ring, &(struct itw_sa){.size = sizeof(struct itw_sa)}), ITW_EMPTY);
}

/* ---- what is refused when it is added ---- */

static void test_ike_refused(void **state)
{
  itw_keyring *ring = *state;
  struct itw_ike_sa s;
#define REFUSED(status, change)                                 \
  do {                                                          \
    s = ike(1, 2);                                              \
    change;                                                     \
    assert_int_equal(itw_keyring_add_ike(ring, &s), (status));  \
  } while (0)
  REFUSED(ITW_ERR_SIZE, s.size--);
  REFUSED(ITW_ERR_SIZE, s.size = UINT32_MAX);
  REFUSED(ITW_ERR_ARGUMENT, s.flags = ITW_EITHER_ORDER);
  REFUSED(ITW_ERR_ARGUMENT, s.sa.protocol = ITW_SA_ESP);
  REFUSED(ITW_ERR_ARGUMENT, s.sa.mbz = 1);
  REFUSED(ITW_ERR_ARGUMENT, s.sa.spi_i = 0);
  REFUSED(ITW_ERR_ARGUMENT, s.sa.spi_r = 0);
  REFUSED(ITW_ERR_ARGUMENT, s.skeyseed_len = 65);
  REFUSED(ITW_ERR_ARGUMENT, s.sk_d_len = 65);
  REFUSED(ITW_ERR_ARGUMENT, s.peer.family = 5);
  REFUSED(ITW_ERR_ARGUMENT, s.peer_prefix = 1);
  REFUSED(ITW_ERR_ARGUMENT, (s.peer = ip4(1, 2, 3, 4), s.peer_prefix = 33));
  REFUSED(ITW_ERR_ARGUMENT, (s.peer = ip6(1), s.peer_prefix = 129));
  REFUSED(ITW_ERR_ARGUMENT, s.schemes = ITW_PSK);
  REFUSED(ITW_ERR_ARGUMENT, s.schemes = 64);
  REFUSED(ITW_ERR_PRF, s.sa.prf = 0);
  REFUSED(ITW_ERR_PRF, s.sa.prf = 3);
  REFUSED(ITW_ERR_PRF, s.sa.prf = ITW_PRF_HMAC_MD5);
  REFUSED(ITW_ERR_SA_KEYS, s.skeyseed_len = 0);
  REFUSED(ITW_ERR_SA_KEYS, s.schemes = ITW_IKEV2);
  REFUSED(ITW_ERR_SA_UNFIT, s.schemes = ITW_DIRECT);
  REFUSED(ITW_OK, (s.sa.prf = ITW_PRF_HMAC_MD5, s.flags = ITW_ALLOW_MD5));
  REFUSED(ITW_ERR_COLLISION, (void)0);
  REFUSED(ITW_OK, s.sa.spi_r = 3);
#undef REFUSED
  assert_int_equal(itw_keyring_add_ike(ring, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_add_ike(NULL, &s), ITW_ERR_ARGUMENT);
}

static void test_child_refused(void **state)
{
  itw_keyring *ring = *state;
  struct itw_child_sa s;
#define REFUSED(status, change)                                   \
  do {                                                            \
    s = esp(1, 2);                                                \
    change;                                                       \
    assert_int_equal(itw_keyring_add_child(ring, &s), (status));  \
  } while (0)
  REFUSED(ITW_ERR_SIZE, s.size--);
  REFUSED(ITW_ERR_ARGUMENT, s.flags = 4);
  REFUSED(ITW_ERR_ARGUMENT, s.keyless = 1);
  REFUSED(ITW_ERR_ARGUMENT, s.sa.protocol = ITW_SA_IKE);
  REFUSED(ITW_ERR_ARGUMENT, s.sa.protocol = 0);
  REFUSED(ITW_ERR_ARGUMENT, s.sa.spi_i = UINT64_C(1) << 32);
  REFUSED(ITW_ERR_ARGUMENT, s.sa.spi_r = UINT64_C(1) << 32);
  REFUSED(ITW_ERR_ARGUMENT, s.keymat_len = 257);
  REFUSED(ITW_ERR_ARGUMENT, s.integ_len = 65);
  REFUSED(ITW_ERR_ARGUMENT, s.encr_len = 20);
  REFUSED(ITW_ERR_ARGUMENT, s.encr = 3);
  REFUSED(ITW_ERR_ARGUMENT, s.encr = ITW_ENCR_NONE);        /* ESP */
  REFUSED(ITW_ERR_ARGUMENT, s.sa.protocol = ITW_SA_AH);     /* with a cipher */
  REFUSED(ITW_ERR_ARGUMENT, (s.sa.protocol = ITW_SA_AH, s.encr = ITW_ENCR_AEAD));
  REFUSED(ITW_ERR_ARGUMENT, (s.peer = ip6(1), s.peer_prefix = 129));
  REFUSED(ITW_ERR_ARGUMENT, s.schemes = ITW_PSK);
  REFUSED(ITW_ERR_SA_NO_INTEG, s.integ_len = 0);
  REFUSED(ITW_ERR_SA_NO_INTEG, (s.encr = ITW_ENCR_NULL, s.integ_len = 0));
  REFUSED(ITW_ERR_SA_NO_INTEG, (s.encr = ITW_ENCR_AES_CTR, s.integ_len = 0));
  REFUSED(ITW_ERR_SA_NO_INTEG, (s.encr = ITW_ENCR_OTHER, s.integ_len = 0));
  REFUSED(ITW_ERR_PRF, s.sa.prf = 3);
  REFUSED(ITW_ERR_PRF, s.sa.prf = ITW_PRF_HMAC_MD5);
  REFUSED(ITW_ERR_SA_UNFIT, s.schemes = ITW_IKEV2);
  REFUSED(ITW_ERR_SA_KEYS, (s.schemes = ITW_SHARED, s.keymat_len = 0));
  REFUSED(ITW_ERR_SA_KEYS, (s.schemes = ITW_ROOT | ITW_SHARED_SID, s.sa.prf = 0));
  REFUSED(ITW_OK, (s.sa.prf = ITW_PRF_HMAC_MD5, s.flags = ITW_ALLOW_MD5));
  REFUSED(ITW_ERR_COLLISION, (void)0);
#undef REFUSED
  assert_int_equal(itw_keyring_add_child(ring, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_add_child(NULL, &s), ITW_ERR_ARGUMENT);
}

/* A struct of a newer header is taken as long as its new members are zero. */
static void test_newer_structs(void **state)
{
  itw_keyring *ring = *state;
  struct {
    struct itw_child_sa s;
    uint64_t more;
  } newer = {.s = esp(1, 2)};
  newer.s.size = sizeof newer;
  newer.more = 1;
  assert_int_equal(itw_keyring_add_child(ring, &newer.s), ITW_ERR_NEWER);
  newer.more = 0;
  assert_int_equal(itw_keyring_add_child(ring, &newer.s), ITW_OK);
}

static void test_split(void **state)
{
  (void)state;
  struct itw_child_sa s = esp(1, 2);
  for (unsigned i = 0; i < 16; i++) assert_true(s.encr_key_i[i] == i && s.encr_key_r[i] == 36 + i);
  for (unsigned i = 0; i < 20; i++) assert_true(s.integ_key_i[i] == 16 + i && s.integ_key_r[i] == 52 + i);
  s.keymat_len = 71;
  assert_int_equal(itw_child_sa_split(&s), ITW_ERR_ARGUMENT);
  s.keymat_len = 257;
  assert_int_equal(itw_child_sa_split(&s), ITW_ERR_ARGUMENT);
  s.size--;
  assert_int_equal(itw_child_sa_split(&s), ITW_ERR_SIZE);
  assert_int_equal(itw_child_sa_split(NULL), ITW_ERR_ARGUMENT);

  ITW_INIT(s);
  s.encr = ITW_ENCR_AES_CBC;
  s.encr_len = 36; /* AES-CBC has no such key */
  s.keymat_len = 72;
  assert_int_equal(itw_child_sa_split(&s), ITW_ERR_ARGUMENT);
  s.encr = ITW_ENCR_AEAD; /* AES-256-GCM has, with its salt */
  memset(s.keymat, 1, sizeof s.keymat);
  assert_int_equal(itw_child_sa_split(&s), ITW_OK);
  assert_int_equal(s.encr_key_i[0], 0);
  s.encr_len = 0;
  s.integ_len = 65;
  s.keymat_len = 130;
  assert_int_equal(itw_child_sa_split(&s), ITW_ERR_ARGUMENT);
}

/* ---- Server: which SA ---- */

static void test_server_ranks(void **state)
{
  itw_keyring *ring = *state;
  struct itw_ike_sa s[6];
  for (unsigned i = 0; i < 6; i++) s[i] = ike(i + 1, 100 + i);
  s[1].peer = ip4(192, 0, 0, 0), s[1].peer_prefix = 9;
  s[2].peer = ip4(192, 0, 2, 127), s[2].peer_prefix = 25;
  s[3].peer = ip4(192, 0, 2, 2);
  s[4].peer = ip4(192, 0, 2, 2), s[4].peer_prefix = 32, s[4].established = 1;
  s[5].peer = ip4(192, 0, 2, 2), s[5].established = 1;
  /* From the least to the most wanted, each added after the lesser ones, and the other way round. */
  for (unsigned i = 0; i < 6; i++) {
    assert_int_equal(itw_keyring_add_ike(ring, &s[i]), ITW_OK);
    expect_sa(select_as_server(ring, ITW_SHARED, ALL_MODES), ITW_SHARED, SA_MODES, s[i].sa);
  }
  for (unsigned i = 0; i < 6; i++) assert_int_equal(itw_keyring_remove(ring, &s[i].sa), ITW_OK);
  for (unsigned i = 6; i-- > 0;) {
    assert_int_equal(itw_keyring_add_ike(ring, &s[i]), ITW_OK);
    expect_sa(select_as_server(ring, ITW_SHARED, ALL_MODES), ITW_SHARED, SA_MODES, s[5].sa);
  }
}

static void test_peers(void **state)
{
  itw_keyring *ring = *state;
  struct itw_ike_sa net = ike(1, 2), far = ike(3, 4), six = ike(5, 6);
  net.peer = ip4(192, 0, 2, 0), net.peer_prefix = 23, net.peer.scope = 7;
  far.peer = ip4(192, 0, 2, 3); /* not us, but for the last bit */
  six.peer = ip6(0), six.peer_prefix = 64;
  assert_int_equal(itw_keyring_add_ike(ring, &net), ITW_OK);
  assert_int_equal(itw_keyring_add_ike(ring, &far), ITW_OK);
  assert_int_equal(itw_keyring_add_ike(ring, &six), ITW_OK);

  struct itw_ask a = ask(ITW_ASK_SELECT, ITW_ROLE_SERVER, ITW_ROOT, ITW_MODE_ENC);
  expect_none(answer(ring, a), ITW_ERR_SA_NONE); /* another scope */
  a.remote.scope = 7;
  expect_sa(answer(ring, a), ITW_ROOT, ITW_MODE_ENC, net.sa);
  a.remote.ip[2] = 3;
  expect_sa(answer(ring, a), ITW_ROOT, ITW_MODE_ENC, net.sa);
  a.remote.ip[2] = 1; /* bit 23, the last that counts, differs */
  expect_none(answer(ring, a), ITW_ERR_SA_NONE);
  a.remote.ip[2] = 4;
  expect_none(answer(ring, a), ITW_ERR_SA_NONE);
  a.remote = ip6(9);
  expect_sa(answer(ring, a), ITW_ROOT, ITW_MODE_ENC, six.sa);
  a.remote.ip[7] = 1;
  expect_none(answer(ring, a), ITW_ERR_SA_NONE);
}

static void test_server_prefers(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_sa none = {0};
  const struct itw_child_sa child = esp(1, 2);

  expect_sa(select_as_server(ring, ALL_SCHEMES, ALL_MODES), ITW_PSK | ITW_IKEV2, ALL_MODES, none);
  expect_sa(select_as_server(ring, ITW_PSK | ITW_ROOT, ITW_MODE_ENC), ITW_PSK, ITW_MODE_ENC, none);
  expect_sa(select_as_server(ring, ITW_PSK, ITW_MODE_ENC), ITW_PSK, ITW_MODE_ENC, none);
  expect_none(select_as_server(ring, ITW_DRAFT, ALL_MODES), ITW_ERR_SA_NONE);

  assert_int_equal(itw_keyring_add_child(ring, &child), ITW_OK);
  expect_sa(select_as_server(ring, ALL_SCHEMES, ALL_MODES), ITW_SHARED, SA_MODES, child.sa);
  expect_sa(select_as_server(ring, ITW_DIRECT | ITW_SHARED_SID | ITW_ROOT, ALL_MODES), ITW_SHARED_SID, SA_MODES, child.sa);
  expect_sa(select_as_server(ring, ITW_DIRECT | ITW_ROOT, ALL_MODES), ITW_ROOT, SA_MODES, child.sa);
  expect_sa(select_as_server(ring, ITW_DIRECT | ITW_PSK, ALL_MODES), ITW_DIRECT, SA_MODES, child.sa);
  assert_int_equal(select_as_server(ring, ITW_ROOT, ALL_MODES).sa.prf, ITW_PRF_HMAC_SHA1);
  /* Mixed mode is nothing that the draft's schemes could do. */
  expect_none(select_as_server(ring, ITW_DRAFT, ITW_MODE_MIXED), ITW_ERR_SA_UNFIT);
  expect_sa(select_as_server(ring, ALL_SCHEMES, ITW_MODE_MIXED), ITW_PSK | ITW_IKEV2, ITW_MODE_MIXED, none);

  if (!have_crypto()) skip();
  assert_int_equal(add_ike(ring, ike_with_sk_d(5, 6)), ITW_OK);
  expect_sa(select_as_server(ring, ALL_SCHEMES, ALL_MODES), ITW_PSK | ITW_IKEV2, ALL_MODES, none);
  expect_sa(select_as_server(ring, ITW_DRAFT | ITW_IKEV2, ITW_MODE_MIXED), ITW_IKEV2, ITW_MODE_MIXED, none);
}

/* A better-ranked SA that doesn't suit is passed over; the ring's own restriction is one reason. */
static void test_server_passes_over(void **state)
{
  itw_keyring *ring = *state;
  struct itw_child_sa best = with_cipher(esp(1, 2), ITW_ENCR_AEAD), restricted = esp(3, 4), last = esp(5, 6);
  best.established = 30, restricted.established = 20;
  restricted.schemes = ITW_ROOT;
  assert_int_equal(itw_keyring_add_child(ring, &best), ITW_OK);
  assert_int_equal(itw_keyring_add_child(ring, &restricted), ITW_OK);
  assert_int_equal(itw_keyring_add_child(ring, &last), ITW_OK);
  expect_sa(select_as_server(ring, ITW_DIRECT, ITW_MODE_ENC | ITW_MODE_OPEN), ITW_DIRECT, ITW_MODE_OPEN, best.sa);
  expect_sa(select_as_server(ring, ITW_DIRECT, ITW_MODE_ENC), ITW_DIRECT, ITW_MODE_ENC, last.sa);
  expect_sa(select_as_server(ring, ITW_ROOT, ITW_MODE_ENC), ITW_ROOT, ITW_MODE_ENC, best.sa);
  assert_int_equal(itw_keyring_remove(ring, &best.sa), ITW_OK);
  expect_sa(select_as_server(ring, ITW_ROOT, ITW_MODE_ENC), ITW_ROOT, ITW_MODE_ENC, restricted.sa);
  expect_sa(select_as_server(ring, ITW_SHARED, ITW_MODE_ENC), ITW_SHARED, ITW_MODE_ENC, last.sa);
}

/* Each unfit SA in `direct`: told why in a secure mode, served in open mode; and the most telling reason of several. */
static void test_unfit_for_direct(void **state)
{
  itw_keyring *ring = *state;
  static const struct {
    uint32_t encr;
    itw_status why;
  } cases[] = {
    {ITW_ENCR_AEAD, ITW_ERR_SA_AEAD},      {ITW_ENCR_NULL, ITW_ERR_SA_NULL},    {ITW_ENCR_NONE, ITW_ERR_SA_AH},
    {ITW_ENCR_AES_CTR, ITW_ERR_SA_CIPHER}, {ITW_ENCR_OTHER, ITW_ERR_SA_CIPHER},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct itw_child_sa s = with_cipher(esp(8, 9), cases[i].encr);
    assert_int_equal(itw_keyring_add_child(ring, &s), ITW_OK);
    expect_none(select_as_server(ring, ITW_DIRECT, ITW_MODE_AUTH | ITW_MODE_ENC), cases[i].why);
    expect_none(answer(ring, ask_sa(ITW_ASK_PAIR, ITW_ROLE_SERVER, ITW_DIRECT, s.sa)), cases[i].why);
    expect_sa(select_as_server(ring, ITW_DIRECT, ALL_MODES), ITW_DIRECT, ITW_MODE_OPEN, s.sa);
    expect_sa(select_as_server(ring, ITW_ROOT, ALL_MODES), ITW_ROOT, SA_MODES, s.sa);
    struct itw_ask a = ask_sa(ITW_ASK_SELECT, ITW_ROLE_CLIENT, ITW_DIRECT, s.sa);
    a.modes = ITW_MODE_AUTH;
    expect_none(answer(ring, a), cases[i].why);
    assert_int_equal(itw_keyring_remove(ring, &s.sa), ITW_OK);
  }
  struct itw_child_sa no_key = esp(1, 2);
  no_key.encr_len = 0;
  assert_int_equal(itw_keyring_add_child(ring, &no_key), ITW_OK);
  expect_none(select_as_server(ring, ITW_DIRECT, ITW_MODE_ENC), ITW_ERR_SA_KEYS);
  assert_int_equal(add_ike(ring, ike(3, 4)), ITW_OK); /* ITW_ERR_SA_UNFIT says less */
  expect_none(select_as_server(ring, ITW_DIRECT, ITW_MODE_ENC), ITW_ERR_SA_KEYS);
  assert_int_equal(add_child(ring, with_cipher(esp(5, 6), ITW_ENCR_NULL)), ITW_OK);
  expect_none(select_as_server(ring, ITW_DIRECT, ITW_MODE_ENC), ITW_ERR_SA_NULL);
  expect_none(select_as_server(ring, ITW_IKEV2 << 5, ITW_MODE_ENC), ITW_ERR_SA_NONE);
}

static void test_keys_not_known(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_child_sa s = nameless(1, 2);
  assert_int_equal(itw_keyring_add_child(ring, &s), ITW_OK);
  expect_none(select_as_server(ring, ITW_SHARED | ITW_SHARED_SID | ITW_ROOT, ALL_MODES), ITW_ERR_SA_KEYS);
  expect_none(select_as_client(ring, ITW_ROOT, ITW_SA_ESP, 1, 2), ITW_ERR_SA_KEYS);
  expect_none(answer(ring, ask_sa(ITW_ASK_ROOT, ITW_ROLE_CLIENT, ITW_ROOT, s.sa)), ITW_ERR_SA_KEYS);
  expect_sa(select_as_server(ring, ITW_DRAFT, ALL_MODES), ITW_DIRECT, ITW_MODE_OPEN, s.sa);
}

/* ---- client: is it the SA that we have? ---- */

static void test_client_checks(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_ike_sa i = ike(UINT64_C(0x1111111122222222), UINT64_C(0x3333333344444444));
  const struct itw_child_sa c = esp(0xaaaaaaaa, 0xbbbbbbbb);
  assert_int_equal(itw_keyring_add_ike(ring, &i), ITW_OK);
  assert_int_equal(itw_keyring_add_child(ring, &c), ITW_OK);

  expect_sa(select_as_client(ring, ITW_ROOT, ITW_SA_IKE, 0x22222222, 0x44444444), ITW_ROOT, SA_MODES, i.sa);
  assert_int_equal(select_as_client(ring, ITW_ROOT, ITW_SA_IKE, 0x22222222, 0x44444444).sa.prf, i.sa.prf);
  expect_sa(select_as_client(ring, ITW_SHARED, ITW_SA_ESP, 0xaaaaaaaa, 0xbbbbbbbb), ITW_SHARED, SA_MODES, c.sa);
  static const struct itw_sa wrong[] = {
    {.protocol = ITW_SA_IKE, .spi_i = 0x22222222, .spi_r = 0x44444445},
    {.protocol = ITW_SA_IKE, .spi_i = 0x22222223, .spi_r = 0x44444444},
    {.protocol = ITW_SA_IKE, .spi_i = 0x44444444, .spi_r = 0x22222222},
    {.protocol = ITW_SA_IKE, .spi_i = 0x11111111, .spi_r = 0x33333333},
    {.protocol = ITW_SA_ESP, .spi_i = 0x22222222, .spi_r = 0x44444444},
    {.protocol = ITW_SA_AH, .spi_i = 0xaaaaaaaa, .spi_r = 0xbbbbbbbb},
    {.protocol = ITW_SA_ESP, .spi_i = 0xbbbbbbbb, .spi_r = 0xaaaaaaaa},
    {.protocol = 0},
  };
  for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++)
    expect_none(select_as_client(ring, ITW_SHARED, wrong[n].protocol, wrong[n].spi_i, wrong[n].spi_r), ITW_ERR_SA_MISMATCH);

  /* The IKE SA is there, but `direct` isn't what it is for. */
  expect_none(select_as_client(ring, ITW_DIRECT, ITW_SA_IKE, 0x22222222, 0x44444444), ITW_ERR_SA_UNFIT);
  struct itw_ask a = ask_sa(ITW_ASK_SELECT, ITW_ROLE_CLIENT, ITW_ROOT | ITW_DIRECT, i.sa);
  struct itw_answer out;
  ITW_INIT(out);
  assert_int_equal(itw_keyring_answer(ring, &a, &out), ITW_ERR_ARGUMENT);
}

/* Another peer's SA doesn't match, whatever its SPIs. */
static void test_client_checks_the_peer(void **state)
{
  itw_keyring *ring = *state;
  struct itw_ike_sa s = ike(1, 2);
  s.peer = ip4(192, 0, 2, 3);
  assert_int_equal(itw_keyring_add_ike(ring, &s), ITW_OK);
  expect_none(select_as_client(ring, ITW_SHARED, ITW_SA_IKE, 1, 2), ITW_ERR_SA_MISMATCH);
  expect_none(answer(ring, ask_sa(ITW_ASK_ROOT, ITW_ROLE_CLIENT, ITW_ROOT, s.sa)), ITW_ERR_SA_GONE);
}

/* Rekeys race: the Server may still offer the older SA. */
static void test_client_takes_an_older_sa(void **state)
{
  itw_keyring *ring = *state;
  struct itw_ike_sa old = ike(1, 2), new = ike(3, 4);
  old.established = 10, new.established = 20;
  assert_int_equal(itw_keyring_add_ike(ring, &old), ITW_OK);
  assert_int_equal(itw_keyring_add_ike(ring, &new), ITW_OK);
  expect_sa(select_as_client(ring, ITW_ROOT, ITW_SA_IKE, 1, 2), ITW_ROOT, SA_MODES, old.sa);
  expect_sa(select_as_client(ring, ITW_ROOT, ITW_SA_IKE, 3, 4), ITW_ROOT, SA_MODES, new.sa);
  expect_sa(select_as_server(ring, ITW_ROOT, ALL_MODES), ITW_ROOT, SA_MODES, new.sa);
  assert_int_equal(itw_keyring_remove(ring, &old.sa), ITW_OK);
  expect_none(select_as_client(ring, ITW_ROOT, ITW_SA_IKE, 1, 2), ITW_ERR_SA_MISMATCH);
}

/* Two IKE SAs whose SPIs differ only above the 32 bits that a greeting holds: the newer one. */
static void test_client_low_bits(void **state)
{
  itw_keyring *ring = *state;
  struct itw_ike_sa old = ike(UINT64_C(0x100000001), 2), new = ike(UINT64_C(0x200000001), 2);
  new.established = 1;
  assert_int_equal(itw_keyring_add_ike(ring, &new), ITW_OK);
  assert_int_equal(itw_keyring_add_ike(ring, &old), ITW_OK);
  expect_sa(select_as_client(ring, ITW_ROOT, ITW_SA_IKE, 1, 2), ITW_ROOT, SA_MODES, new.sa);
}

static void expect_pair(struct itw_answer a, const uint8_t *enc, const uint8_t *auth)
{
  assert_int_equal(a.kind, ITW_ANS_DERIVED);
  assert_true(a.token_len == 0 && a.enc_len == 16 && a.auth_len == 20);
  assert_memory_equal(a.octets, enc, 16);
  assert_memory_equal(a.octets + 16, auth, 20);
}

/* `direct`: the greeting's order is the answer's, and SPIr says whose keys. */
static void test_direct_in_either_order(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_child_sa s = esp(7, 9);
  const struct itw_sa swapped = sa(ITW_SA_ESP, 9, 7);
  assert_int_equal(itw_keyring_add_child(ring, &s), ITW_OK);
  expect_sa(select_as_client(ring, ITW_DIRECT, ITW_SA_ESP, 7, 9), ITW_DIRECT, SA_MODES, s.sa);
  expect_sa(select_as_client(ring, ITW_DIRECT, ITW_SA_ESP, 9, 7), ITW_DIRECT, SA_MODES, swapped);
  expect_pair(answer(ring, ask_sa(ITW_ASK_PAIR, ITW_ROLE_CLIENT, ITW_DIRECT, s.sa)), s.encr_key_i, s.integ_key_i);
  expect_pair(answer(ring, ask_sa(ITW_ASK_PAIR, ITW_ROLE_CLIENT, ITW_DIRECT, swapped)), s.encr_key_r, s.integ_key_r);
  expect_none(answer(ring, ask_sa(ITW_ASK_PAIR, ITW_ROLE_CLIENT, ITW_DIRECT, sa(ITW_SA_ESP, 7, 8))), ITW_ERR_SA_GONE);
  expect_none(answer(ring, ask_sa(ITW_ASK_PAIR, ITW_ROLE_CLIENT, ITW_DIRECT, sa(ITW_SA_AH, 7, 9))), ITW_ERR_SA_GONE);
}

/* A source that doesn't know the initiator: its order says nothing in any scheme. */
static void test_either_order_flag(void **state)
{
  itw_keyring *ring = *state;
  struct itw_child_sa s = esp(7, 9);
  const struct itw_sa swapped = sa(ITW_SA_ESP, 9, 7);
  s.flags = ITW_EITHER_ORDER;
  assert_int_equal(itw_keyring_add_child(ring, &s), ITW_OK);
  expect_sa(select_as_client(ring, ITW_ROOT, ITW_SA_ESP, 9, 7), ITW_ROOT, SA_MODES, swapped);
  expect_secret(answer(ring, ask_sa(ITW_ASK_ROOT, ITW_ROLE_CLIENT, ITW_ROOT, swapped)), s.keymat, 72);
  expect_sa(select_as_server(ring, ITW_DIRECT, ITW_MODE_ENC), ITW_DIRECT, ITW_MODE_ENC, s.sa);
}

/* ---- ikev2 ---- */

static void test_ikev2(void **state)
{
  itw_keyring *ring = *state;
  struct itw_ike_sa old = ike_with_sk_d(1, 2), new = ike_with_sk_d(UINT64_C(0x8000000000000003), 4);
  uint8_t secret[ITW_PRF_MAX];

  if (!have_crypto()) {
    assert_int_equal(itw_keyring_add_ike(ring, &old), ITW_ERR_UNSUPPORTED);
    skip();
  }
  new.skeyseed_len = 0;
  new.established = 1;
  assert_int_equal(itw_keyring_add_ike(ring, &old), ITW_OK);
  assert_int_equal(itw_keyring_add_ike(ring, &new), ITW_OK);
  assert_int_equal(itw_ikev2_secret(secret, old.sa.prf, old.sk_d, 32, NULL), ITW_OK);

  const struct itw_ask select = ask(ITW_ASK_SELECT, ITW_ROLE_CLIENT, ITW_IKEV2, ALL_MODES);
  expect_sa(answer(ring, select), ITW_IKEV2, ALL_MODES, new.sa);
  struct itw_ask with_psk = select;
  with_psk.schemes |= ITW_PSK;
  expect_sa(answer(ring, with_psk), ITW_IKEV2, ALL_MODES, new.sa);

  expect_secret(answer(ring, ask_sa(ITW_ASK_TOKEN_KEY, ITW_ROLE_SERVER, ITW_IKEV2, new.sa)), secret, 32);
  expect_secret(answer(ring, ask_sa(ITW_ASK_TOKEN_KEY, ITW_ROLE_SERVER, ITW_IKEV2, old.sa)), secret, 32);
  /* All 64 bits of an SPI count here, and its order. */
  expect_none(answer(ring, ask_sa(ITW_ASK_TOKEN_KEY, ITW_ROLE_SERVER, ITW_IKEV2, sa(ITW_SA_IKE, 3, 4))), ITW_ERR_SA_NONE);
  expect_none(answer(ring, ask_sa(ITW_ASK_TOKEN_KEY, ITW_ROLE_SERVER, ITW_IKEV2, sa(ITW_SA_IKE, 2, 1))), ITW_ERR_SA_NONE);
  assert_int_equal(itw_keyring_remove(ring, &new.sa), ITW_OK);
  expect_sa(answer(ring, select), ITW_IKEV2, ALL_MODES, old.sa);
}

static void test_ikev2_without_sk_d(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_ike_sa s = ike(1, 2);
  assert_int_equal(itw_keyring_add_ike(ring, &s), ITW_OK);
  expect_none(answer(ring, ask(ITW_ASK_SELECT, ITW_ROLE_CLIENT, ITW_IKEV2, ALL_MODES)), ITW_ERR_SA_NONE);
  expect_none(answer(ring, ask_sa(ITW_ASK_TOKEN_KEY, ITW_ROLE_SERVER, ITW_IKEV2, s.sa)), ITW_ERR_SA_KEYS);
}

static void test_sk_d_is_not_kept(void **state)
{
  (void)state;
  if (!have_crypto()) skip();
  static uint64_t memory[ITW_KEYRING_BOUND(1) / 8];
  const struct itw_ike_sa s = ike_with_sk_d(1, 2);
  itw_keyring *ring;
  assert_int_equal(itw_keyring_init(&ring, memory, sizeof memory, 1, NULL), ITW_OK);
  assert_int_equal(itw_keyring_add_ike(ring, &s), ITW_OK);
  assert_false(holds(memory, sizeof memory, s.sk_d, 8));
  itw_keyring_free(ring);
}

/* ---- the other asks ---- */

static void test_secrets(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_ike_sa i = ike(1, 2);
  const struct itw_child_sa c = esp(3, 4), ah = with_cipher(esp(5, 6), ITW_ENCR_NONE);
  assert_int_equal(itw_keyring_add_ike(ring, &i), ITW_OK);
  assert_int_equal(itw_keyring_add_child(ring, &c), ITW_OK);
  assert_int_equal(itw_keyring_add_child(ring, &ah), ITW_OK);
  static const struct {
    uint32_t kind, scheme;
  } asks[] = {
    {ITW_ASK_TOKEN_KEY, ITW_SHARED}, {ITW_ASK_TOKEN_KEY, ITW_SHARED_SID}, {ITW_ASK_ROOT, ITW_ROOT},
    {ITW_ASK_SID_PAIR, ITW_SHARED_SID},
  };
  for (size_t n = 0; n < sizeof asks / sizeof asks[0]; n++) {
    const struct itw_answer a = answer(ring, ask_sa(asks[n].kind, ITW_ROLE_SERVER, asks[n].scheme, i.sa));
    expect_secret(a, i.skeyseed, 32);
    assert_int_equal(a.sa.prf, ITW_PRF_HMAC_SHA2_256);
    expect_secret(answer(ring, ask_sa(asks[n].kind, ITW_ROLE_SERVER, asks[n].scheme, c.sa)), c.keymat, 72);
    expect_secret(answer(ring, ask_sa(asks[n].kind, ITW_ROLE_SERVER, asks[n].scheme, ah.sa)), ah.keymat, 72);
  }
}

static void test_asks_that_make_no_sense(void **state)
{
  itw_keyring *ring = *state;
  struct itw_answer out;
  struct itw_ask a;
  static const struct {
    uint32_t kind, role, schemes;
  } cases[] = {
    {0, 1, ITW_ROOT}, {6, 1, ITW_ROOT}, {ITW_ASK_SELECT, 0, ITW_ROOT}, {ITW_ASK_SELECT, 3, ITW_ROOT},
    {ITW_ASK_SELECT, ITW_ROLE_CLIENT, ITW_PSK}, {ITW_ASK_SELECT, ITW_ROLE_CLIENT, 0}, {ITW_ASK_TOKEN_KEY, 1, ITW_ROOT},
    {ITW_ASK_TOKEN_KEY, 1, ITW_PSK | ITW_IKEV2}, {ITW_ASK_ROOT, 1, ITW_SHARED}, {ITW_ASK_SID_PAIR, 1, ITW_SHARED},
    {ITW_ASK_PAIR, 1, ITW_ROOT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    a = ask(cases[i].kind, cases[i].role, cases[i].schemes, ITW_MODE_ENC);
    ITW_INIT(out);
    assert_int_equal(itw_keyring_answer(ring, &a, &out), ITW_ERR_ARGUMENT);
  }
  a = ask(ITW_ASK_SELECT, ITW_ROLE_SERVER, ITW_ROOT, ITW_MODE_ENC);
  assert_int_equal(itw_keyring_answer(NULL, &a, &out), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_answer(ring, NULL, &out), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_answer(ring, &a, NULL), ITW_ERR_ARGUMENT);
  out.size--;
  assert_int_equal(itw_keyring_answer(ring, &a, &out), ITW_ERR_SIZE);
  ITW_INIT(out);
  a.size--;
  assert_int_equal(itw_keyring_answer(ring, &a, &out), ITW_ERR_SIZE);
  assert_int_equal(itw_keyring_remove(ring, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_remove(NULL, &a.sa), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_remove_psk(ring, NULL, 1), ITW_ERR_ARGUMENT);
}

static void test_as_provider(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_keys keys = itw_keyring_keys(ring);
  const struct itw_ask a = ask_psk("ann");
  struct itw_answer out;
  ITW_INIT(out);
  assert_int_equal(add_psk(ring, "ann", "one"), ITW_OK);
  assert_true(keys.ops->size == sizeof *keys.ops && keys.ops->flags == 0);
  assert_int_equal(keys.ops->answer(keys.ctx, &a, &out), ITW_OK);
  expect_secret(out, "one", 3);
}

static void test_names(void **state)
{
  (void)state;
  static const char *const schemes[] = {"psk", "ikev2", "shared", "shared-sid", "root", "direct"};
  static const char *const modes[] = {"open", "auth", "enc", "mixed"};
  for (unsigned i = 0; i < 6; i++) assert_string_equal(itw_scheme_name(1u << i), schemes[i]);
  for (unsigned i = 0; i < 4; i++) assert_string_equal(itw_mode_name(1u << i), modes[i]);
  static const uint32_t unknown[] = {0, ITW_PSK | ITW_IKEV2, 64};
  for (unsigned i = 0; i < 3; i++) assert_string_equal(itw_scheme_name(unknown[i]), "?");
  for (unsigned i = 0; i < 3; i++) assert_string_equal(itw_mode_name(unknown[i]), "?");
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, open_ring, close_ring)

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_size_and_bound), cmocka_unit_test(test_init_checks_its_arguments),
    RING_TEST(test_full), cmocka_unit_test(test_removed_is_wiped), RING_TEST(test_remove_leaves_the_others),
    RING_TEST(test_passphrases), RING_TEST(test_ike_refused), RING_TEST(test_child_refused), RING_TEST(test_newer_structs),
    cmocka_unit_test(test_split), RING_TEST(test_server_ranks), RING_TEST(test_peers), RING_TEST(test_server_prefers),
    RING_TEST(test_server_passes_over), RING_TEST(test_unfit_for_direct), RING_TEST(test_keys_not_known),
    RING_TEST(test_client_checks), RING_TEST(test_client_checks_the_peer), RING_TEST(test_client_takes_an_older_sa),
    RING_TEST(test_client_low_bits), RING_TEST(test_direct_in_either_order), RING_TEST(test_either_order_flag),
    RING_TEST(test_ikev2), RING_TEST(test_ikev2_without_sk_d), cmocka_unit_test(test_sk_d_is_not_kept),
    RING_TEST(test_secrets), RING_TEST(test_asks_that_make_no_sense), RING_TEST(test_as_provider), cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
