/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_CRYPTO_H
#define ITWI_CRYPTO_H

/* The seam to a crypto library; link-time: one of crypto_openssl.c, crypto_mbedtls.c, crypto_none.c. Layer 2.

   A backend is opened once per object and looks its algorithms up then; contexts are opened from it, keyed as often as
   wanted, closed once. A zeroed context or backend may be closed. A failed open leaves a zeroed one. Contexts are plain
   values that may be moved, not copied. Nothing here leaves anything in the library's error queue.

   Hot: itwi_cbc_run, itwi_hmac and its parts, itwi_random_fill. They set up no key and look nothing up. Between
   itwi_backend_enter and _leave they too leave the error queue as found.

   All contexts are on the crypto library's heap. Nothing here allocates after an open; crypto_openssl.c says where
   libcrypto itself does.

   Statuses: ITW_ERR_UNSUPPORTED the library lacks the algorithm, ITW_ERR_MEMORY, ITW_ERR_ARGUMENT a length,
   ITW_ERR_CRYPTO the library refused. */

#include "octets.h"
#include <ipsectwamp/error.h>

/* Octets in pieces, taken in order as if they were one string. */
struct itwi_piece {
  const uint8_t *p; /* may be NULL if n is 0 */
  size_t n;
};

struct itwi_backend {
  void *h[12];
};
/* crypto: see <ipsectwamp/kdf.h>; NULL: default. */
itw_status itwi_backend_open(struct itwi_backend *, const void *crypto);
void itwi_backend_close(struct itwi_backend *);
/* Called around a run of hot calls, so that the library's error queue is left as found if one of them fails. The
   backend may be NULL: the queue belongs to the thread, not to it. They may nest. false: nothing was in the queue, so
   itwi_backend_leave may be left out if nothing fails. */
bool itwi_backend_enter(const struct itwi_backend *);
void itwi_backend_leave(const struct itwi_backend *);

/* AES-CBC without padding, one direction. */
struct itwi_cbc {
  void *h;           /* the library's context */
  uint8_t chain[16]; /* OpenSSL: the IV that the library's context holds now */
};
enum { ITWI_DECRYPT = 0, ITWI_ENCRYPT = 1 };
itw_status itwi_cbc_open(struct itwi_cbc *, const struct itwi_backend *);
void itwi_cbc_close(struct itwi_cbc *);
/* key_len 16, 24, 32; direction ITWI_*. */
itw_status itwi_cbc_key(struct itwi_cbc *, const struct itwi_backend *, const uint8_t *key, size_t key_len,
                        int direction);
/* len a multiple of 16; out is in, or doesn't overlap it. iv: in, the IV; out, the last ciphertext block, so that the
   next call goes on. */
itw_status itwi_cbc_run(struct itwi_cbc *, uint8_t *out, const uint8_t *in, size_t len, uint8_t iv[16]);

/* HMAC. */
enum { ITWI_MD5, ITWI_SHA1, ITWI_SHA256, ITWI_SHA384, ITWI_SHA512, ITWI_DIGESTS };
struct itwi_hmac_ctx {
  void *inner, *outer, *work; /* keyed states, and the one that is being fed */
  uint32_t digest;
  uint32_t len; /* octets of the output */
};
itw_status itwi_hmac_open(struct itwi_hmac_ctx *, const struct itwi_backend *, uint32_t digest);
void itwi_hmac_close(struct itwi_hmac_ctx *);
/* A key in pieces: IKEv2's Ni | Nr may be 512 octets, too many for a stack frame here. */
itw_status itwi_hmac_key_pieces(struct itwi_hmac_ctx *, const struct itwi_backend *, const struct itwi_piece *key,
                                size_t n);
static inline itw_status itwi_hmac_key(struct itwi_hmac_ctx *c, const struct itwi_backend *b, const uint8_t *key,
                                       size_t key_len)
{
  const struct itwi_piece piece = {key, key_len};
  return itwi_hmac_key_pieces(c, b, &piece, 1);
}
itw_status itwi_hmac_begin(struct itwi_hmac_ctx *);
itw_status itwi_hmac_add(struct itwi_hmac_ctx *, const uint8_t *in, size_t len);
/* Writes ctx->len octets. */
itw_status itwi_hmac_end(struct itwi_hmac_ctx *, uint8_t *out);
/* begin, add, end in one. */
itw_status itwi_hmac(struct itwi_hmac_ctx *, uint8_t *out, const uint8_t *in, size_t len);

/* AES-CMAC (RFC 4493) over pieces in order. */
itw_status itwi_cmac(const struct itwi_backend *, uint8_t out[16], const uint8_t key[16],
                     const struct itwi_piece *pieces, size_t n);

/* A stream of pseudo-random octets for padding: AES-128-CTR from a seed of 32 octets (key | counter block). Without a
   crypto library: a generator that is not cryptographic. */
struct itwi_random {
  void *h;
  uint64_t state[4];
};
itw_status itwi_random_open(struct itwi_random *, const struct itwi_backend *, const uint8_t seed[32]);
void itwi_random_close(struct itwi_random *);
itw_status itwi_random_fill(struct itwi_random *, uint8_t *out, size_t n);

#endif
