/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_KDF_H
#define ITW_KDF_H

/* The derivations of RFC 7296, RFC 7717, draft-ietf-ippm-ipsec-01 and RFC 4656, for authors of key providers: an IPsec
   layer that derives inside itself calls these, and hands out only what a scheme needs.

   `crypto` is the backend's own, borrowed for the call; NULL is the default. For OpenSSL: struct itw_openssl.
   Outputs are secrets. They may overlap no input. On an error, what would have been written is zeroed; for an unknown prf
   (ITW_ERR_PRF) that may be nothing. Keys and secrets of 0 octets are ITW_ERR_ARGUMENT, except in itw_prf and
   itw_prf_plus. What the backend lacks is ITW_ERR_UNSUPPORTED. Backends other than OpenSSL take no `crypto`: it must be
   NULL. Contexts are made in the crypto library for the call and gone after it. */

#include <ipsectwamp/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which libcrypto context the OpenSSL backend fetches from; wherever a config or call has a `crypto` pointer. Borrowed as
   long as the object lives. */
struct itw_openssl {
  uint32_t size;
  uint32_t mbz;
  void *libctx;         /* OSSL_LIB_CTX *; NULL: the default one */
  const char *propq;    /* property query; NULL: none. With one, or with another provider than OpenSSL's "default", all
                           goes through EVP, which is slower (tests/bench) */
};

/* IKEv2 transform IDs of type 2 (RFC 7296 §3.3.2, RFC 4434, 4615, 4868). */
enum {
  ITW_PRF_HMAC_MD5 = 1, /* only where a flag allows it */
  ITW_PRF_HMAC_SHA1 = 2,
  ITW_PRF_AES128_XCBC = 4,
  ITW_PRF_HMAC_SHA2_256 = 5,
  ITW_PRF_HMAC_SHA2_384 = 6,
  ITW_PRF_HMAC_SHA2_512 = 7,
  ITW_PRF_AES128_CMAC = 8
};
enum { ITW_PRF_MAX = 64 };     /* the longest output of a prf, octets */
enum { ITW_KEYMAT_MAX = 256 }; /* the longest KEYMAT taken as a secret, octets */

/* Octets of a prf's output, which is also its preferred key length; 0 for an unknown one. */
ITW_API uint32_t itw_prf_len(uint32_t prf);

/* One IKE exchange's contributions (RFC 7296 §2.14, 2.17, 2.18). Octets are borrowed for the call. */
struct itw_exchange {
  uint32_t size;
  uint32_t ni_len, nr_len; /* 16 to 256 octets by RFC 7296 §2.10; at least 8 here with AES PRFs, else 1 */
  uint32_t g_ir_len;       /* 0: no key exchange (a CHILD SA without PFS) */
  uint8_t spi_i[8], spi_r[8];
  const uint8_t *ni, *nr, *g_ir;
  const void *mbz;
};

/* prf(key, data): writes itw_prf_len(prf) octets. */
ITW_MUST itw_status itw_prf(uint8_t out[ITW_PRF_MAX], uint32_t prf, const uint8_t *key, size_t key_len,
                            const uint8_t *data, size_t data_len, const void *crypto);
/* prf+(key, seed) = T1 | T2 | ... (RFC 7296 §2.13): writes out_len octets, at most 255 times the prf's length. */
ITW_MUST itw_status itw_prf_plus(uint8_t *out, size_t out_len, uint32_t prf, const uint8_t *key, size_t key_len,
                                 const uint8_t *seed, size_t seed_len, const void *crypto);

/* SKEYSEED = prf(Ni | Nr, g^ir); with the AES PRFs the first 8 octets of each nonce (RFC 7296 §2.14). */
ITW_MUST itw_status itw_skeyseed(uint8_t out[ITW_PRF_MAX], uint32_t prf, const struct itw_exchange *, const void *crypto);
/* After an IKE rekey: SKEYSEED = prf_old(SK_d old, g^ir new | Ni | Nr) (RFC 7296 §2.18). Writes itw_prf_len(prf_old). */
ITW_MUST itw_status itw_skeyseed_rekey(uint8_t out[ITW_PRF_MAX], uint32_t prf_old, const uint8_t *sk_d_old,
                                       size_t sk_d_old_len, const struct itw_exchange *, const void *crypto);
/* SK_d = first itw_prf_len(prf) octets of prf+(SKEYSEED, Ni | Nr | SPIi | SPIr), prf+ made with prf_plus. That is prf
   itself, but strongSwan 5.9.8 uses the old SA's after a rekey that changes the PRF. Under RFC 8784 the SK_d to use is
   prf+(PPK, SK_d): itw_prf_plus makes it. */
ITW_MUST itw_status itw_sk_d(uint8_t out[ITW_PRF_MAX], uint32_t prf, uint32_t prf_plus, const uint8_t *skeyseed,
                             size_t skeyseed_len, const struct itw_exchange *, const void *crypto);
/* KEYMAT = prf+(SK_d, Ni | Nr), or prf+(SK_d, g^ir | Ni | Nr) when there is a g^ir (RFC 7296 §2.17). */
ITW_MUST itw_status itw_keymat(uint8_t *out, size_t out_len, uint32_t prf, const uint8_t *sk_d, size_t sk_d_len,
                               const struct itw_exchange *, const void *crypto);

/* RFC 7717 §5.1: the shared secret prf(SK_d, "IPPM"); writes itw_prf_len(prf) octets. */
ITW_MUST itw_status itw_ikev2_secret(uint8_t out[ITW_PRF_MAX], uint32_t prf, const uint8_t *sk_d, size_t sk_d_len,
                                     const void *crypto);

/* A session's AES key and HMAC key; a secret. */
struct itw_key_pair {
  uint32_t size;
  uint16_t enc_len;  /* 16, 24, 32; 0: none */
  uint16_t auth_len; /* 1 to 64; 0: none */
  uint8_t enc[32], auth[64];
};

/* The Token key of a 164-octet Set-Up-Response: PBKDF2-HMAC-SHA1(secret, Salt, Count), 16 octets (RFC 4656 §3.1).
   Runs to its end: 2 * Count compressions of SHA-1. Connections do it in slices (itw_conn_work). */
ITW_MUST itw_status itw_token_key(uint8_t out[16], const uint8_t *secret, size_t secret_len, const uint8_t salt[16],
                                  uint32_t count, const void *crypto);
/* The same for any length of salt and output; RFC 2898. */
ITW_MUST itw_status itw_pbkdf2(uint8_t *out, size_t out_len, const uint8_t *secret, size_t secret_len,
                               const uint8_t *salt, size_t salt_len, uint32_t count, const void *crypto);
/* `root` (draft §4.3.1): the Token for a Challenge, one AES-128 block under the first 16 octets of
   PRF{root, "O/TWAMP token"}; why not under the root itself: README, "What the draft leaves open". */
ITW_MUST itw_status itw_root_token(uint8_t out[16], uint32_t prf, const uint8_t *root, size_t root_len,
                                   const uint8_t challenge[16], const void *crypto);
/* `root`: PRF{root, "O/TWAMP enc"} and PRF{root, "O/TWAMP auth"}: 16 octets; 32, or all of a shorter prf. */
ITW_MUST itw_status itw_root_pair(struct itw_key_pair *out, uint32_t prf, const uint8_t *root, size_t root_len,
                                  const void *crypto);
/* `shared-sid` (draft §4.1): the pair of one test session, from K = prf(secret, SID). */
ITW_MUST itw_status itw_sid_pair(struct itw_key_pair *out, uint32_t prf, const uint8_t *secret, size_t secret_len,
                                 const uint8_t sid[16], const void *crypto);
/* The pair of a test session from that of its control connection (RFC 4656 §4.1.2): AES-ECB and AES-CBC under SID. */
ITW_MUST itw_status itw_test_pair(struct itw_key_pair *out, const struct itw_key_pair *control, const uint8_t sid[16],
                                  const void *crypto);

#ifdef __cplusplus
}
#endif
#endif
