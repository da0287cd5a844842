/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SAS_H
#define SAS_H

/* SAs to put into a ring, and questions to ask it, for tests. Include cmocka before. */

#include <ipsectwamp/key.h>
#include <ipsectwamp/version.h>
#include <stdbool.h>

#define ALL_MODES (ITW_MODE_OPEN | ITW_MODE_AUTH | ITW_MODE_ENC | ITW_MODE_MIXED)
#define SA_MODES (ITW_MODE_OPEN | ITW_MODE_AUTH | ITW_MODE_ENC)

/* ---- what is put in ---- */

static inline struct itw_addr ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
  return (struct itw_addr){.family = 4, .port = 862, .ip = {a, b, c, d}};
}

static inline struct itw_addr ip6(uint8_t last)
{
  return (struct itw_addr){.family = 6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = last}};
}

static inline struct itw_sa sa(uint32_t protocol, uint64_t spi_i, uint64_t spi_r)
{
  return (struct itw_sa){.size = sizeof(struct itw_sa), .protocol = protocol, .spi_i = spi_i, .spi_r = spi_r};
}

/* An IKE SA of which SKEYSEED is known; its octets are the low one of SPIi. */
static inline struct itw_ike_sa ike(uint64_t spi_i, uint64_t spi_r)
{
  struct itw_ike_sa s;
  ITW_INIT(s);
  s.sa = sa(ITW_SA_IKE, spi_i, spi_r);
  s.sa.prf = ITW_PRF_HMAC_SHA2_256;
  s.skeyseed_len = 32;
  memset(s.skeyseed, (uint8_t)spi_i, sizeof s.skeyseed);
  return s;
}

static inline bool have_crypto(void)
{
  return strcmp(itw_crypto_backend(), "none") != 0;
}

static inline struct itw_ike_sa ike_with_sk_d(uint64_t spi_i, uint64_t spi_r)
{
  struct itw_ike_sa s = ike(spi_i, spi_r);
  s.sk_d_len = 32;
  memset(s.sk_d, 0xd0, sizeof s.sk_d);
  return s;
}

/* ESP with AES-128-CBC and HMAC-SHA1; KEYMAT is 0, 1, 2 ... */
static inline struct itw_child_sa esp(uint64_t spi_i, uint64_t spi_r)
{
  struct itw_child_sa s;
  ITW_INIT(s);
  s.sa = sa(ITW_SA_ESP, spi_i, spi_r);
  s.sa.prf = ITW_PRF_HMAC_SHA1;
  s.encr = ITW_ENCR_AES_CBC;
  s.encr_len = 16;
  s.integ_len = 20;
  s.keymat_len = 72;
  for (unsigned i = 0; i < s.keymat_len; i++) s.keymat[i] = (uint8_t)i;
  assert_int_equal(itw_child_sa_split(&s), ITW_OK);
  return s;
}

static inline struct itw_child_sa with_cipher(struct itw_child_sa s, uint32_t encr)
{
  s.encr = encr;
  if (encr == ITW_ENCR_AEAD || encr == ITW_ENCR_NONE) s.encr_len = s.integ_len = 0;
  if (encr == ITW_ENCR_NONE) s.sa.protocol = ITW_SA_AH;
  return s;
}

static inline itw_status add_ike(itw_keyring *ring, struct itw_ike_sa s) { return itw_keyring_add_ike(ring, &s); }
static inline itw_status add_child(itw_keyring *ring, struct itw_child_sa s) { return itw_keyring_add_child(ring, &s); }
static inline itw_status add_psk(itw_keyring *ring, const char *id, const char *secret)
{
  return itw_keyring_add_psk(ring, (const uint8_t *)id, strlen(id), (const uint8_t *)secret, strlen(secret));
}

/* An SA of which nothing is known but that it is there, and that isn't enough: only `direct` in open mode does. */
static inline struct itw_child_sa nameless(uint64_t spi_i, uint64_t spi_r)
{
  struct itw_child_sa s = with_cipher(esp(spi_i, spi_r), ITW_ENCR_AEAD);
  s.keymat_len = 0;
  s.sa.prf = 0;
  return s;
}

/* ---- what is asked ---- */

static inline struct itw_ask ask(uint32_t kind, uint32_t role, uint32_t schemes, uint32_t modes)
{
  struct itw_ask a;
  ITW_INIT(a);
  a.id = 4711;
  a.kind = kind;
  a.role = role;
  a.schemes = schemes;
  a.modes = modes;
  a.local = ip4(192, 0, 2, 1);
  a.remote = ip4(192, 0, 2, 2);
  return a;
}

static inline struct itw_ask ask_sa(uint32_t kind, uint32_t role, uint32_t scheme, struct itw_sa s)
{
  struct itw_ask a = ask(kind, role, scheme, kind == ITW_ASK_SELECT ? ALL_MODES : ITW_MODE_ENC);
  a.sa = s;
  return a;
}

static inline struct itw_answer answer(const itw_keyring *ring, struct itw_ask a)
{
  struct itw_answer out;
  memset(&out, 0xee, sizeof out);
  out.size = sizeof out;
  assert_int_equal(itw_keyring_answer(ring, &a, &out), ITW_OK);
  assert_int_equal(out.size, sizeof out);
  assert_int_equal(out.id, a.id);
  return out;
}

static inline struct itw_answer select_as_server(const itw_keyring *ring, uint32_t schemes, uint32_t modes)
{
  return answer(ring, ask(ITW_ASK_SELECT, ITW_ROLE_SERVER, schemes, modes));
}

static inline struct itw_answer select_as_client(const itw_keyring *ring, uint32_t scheme, uint32_t protocol, uint64_t spi_i,
                                          uint64_t spi_r)
{
  return answer(ring, ask_sa(ITW_ASK_SELECT, ITW_ROLE_CLIENT, scheme, sa(protocol, spi_i, spi_r)));
}

static inline void expect_sa(struct itw_answer a, uint32_t schemes, uint32_t modes, struct itw_sa s)
{
  assert_int_equal(a.kind, ITW_ANS_SA);
  assert_int_equal(a.schemes, schemes);
  assert_int_equal(a.modes, modes);
  assert_int_equal(a.sa.protocol, s.protocol);
  assert_true(a.sa.spi_i == s.spi_i && a.sa.spi_r == s.spi_r);
}

static inline void expect_none(struct itw_answer a, itw_status why)
{
  assert_int_equal(a.kind, ITW_ANS_NONE);
  assert_string_equal(itw_status_name(a.why), itw_status_name(why));
}

static inline void expect_secret(struct itw_answer a, const void *secret, size_t len)
{
  assert_int_equal(a.kind, ITW_ANS_SECRET);
  assert_int_equal(a.secret_len, len);
  assert_memory_equal(a.octets, secret, len);
}

#endif
