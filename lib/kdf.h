/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_KDF_H
#define ITWI_KDF_H

/* What <ipsectwamp/kdf.h> does, on an open backend, and PBKDF2 in slices. prf.c, kdf.c, pbkdf2.c. Layer 3.

   Each call opens contexts in the backend and closes them: the crypto library allocates, and the keys are gone from its
   heap afterwards. Outputs are zeroed on an error, may overlap no input, and are the caller's to wipe. */

#include "crypto.h"
#include <ipsectwamp/kdf.h>

enum { ITWI_SEED_MAX = 4 }; /* pieces in the seed of prf+ */

/* prf over pieces in order; writes itw_prf_len(prf) octets. */
itw_status itwi_prf(const struct itwi_backend *, uint8_t out[ITW_PRF_MAX], uint32_t prf, const uint8_t *key,
                    size_t key_len, const struct itwi_piece *pieces, size_t n);
/* The same with a key in pieces: Ni | Nr. */
itw_status itwi_prf_pieces(const struct itwi_backend *, uint8_t out[ITW_PRF_MAX], uint32_t prf,
                           const struct itwi_piece *key, size_t key_n, const struct itwi_piece *pieces, size_t n);
/* prf+ over a seed in at most ITWI_SEED_MAX pieces. */
itw_status itwi_prf_plus(const struct itwi_backend *, uint8_t *out, size_t out_len, uint32_t prf, const uint8_t *key,
                         size_t key_len, const struct itwi_piece *seed, size_t n);

itw_status itwi_ikev2_secret(const struct itwi_backend *, uint8_t out[ITW_PRF_MAX], uint32_t prf, const uint8_t *sk_d,
                             size_t sk_d_len);
itw_status itwi_root_token(const struct itwi_backend *, uint8_t out[16], uint32_t prf, const uint8_t *root,
                           size_t root_len, const uint8_t challenge[16]);
/* These fill all of a pair, its size too. */
itw_status itwi_root_pair(const struct itwi_backend *, struct itw_key_pair *out, uint32_t prf, const uint8_t *root,
                          size_t root_len);
itw_status itwi_sid_pair(const struct itwi_backend *, struct itw_key_pair *out, uint32_t prf, const uint8_t *secret,
                         size_t secret_len, const uint8_t sid[16]);
/* control: 16 and 32 octets, the session keys of a Token; else ITW_ERR_ARGUMENT. */
itw_status itwi_test_pair(const struct itwi_backend *, struct itw_key_pair *out, const struct itw_key_pair *control,
                          const uint8_t sid[16]);

/* PBKDF2-HMAC-SHA1 of one block of 20 octets: the first is all that a Token key needs. Secret. */
struct itwi_pbkdf2 {
  struct itwi_hmac_ctx hmac; /* keyed with the secret */
  uint32_t left;             /* iterations still to do */
  uint8_t u[20], t[20];
};
/* Keys the HMAC and does the first iteration, of block number `block` (from 1). A failed one leaves a zeroed struct. */
itw_status itwi_pbkdf2_begin(struct itwi_pbkdf2 *, const struct itwi_backend *, const uint8_t *secret,
                             size_t secret_len, const uint8_t *salt, size_t salt_len, uint32_t count, uint32_t block);
/* At most n iterations; ITW_AGAIN while some are left; ITW_OK: t is the block. */
itw_status itwi_pbkdf2_work(struct itwi_pbkdf2 *, uint32_t n);
/* Wipes and closes; a zeroed one may be closed. */
void itwi_pbkdf2_end(struct itwi_pbkdf2 *);

#endif
