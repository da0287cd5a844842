/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_CRYPTO_OPENSSL_SHA1_H
#define ITWI_CRYPTO_OPENSSL_SHA1_H

/* HMAC-SHA1 on libcrypto's SHA-1 itself, for crypto_openssl.c. Layer 2.

   Through EVP a hash state can't be copied without memory: two allocations per HMAC with OpenSSL 3.0, and most of the time
   that a test packet takes. libcrypto's own SHA1_ functions are what its default provider calls; their state is a struct.
   They have been deprecated since 3.0, so they are used only where they are there, and only in place of the default
   provider's SHA-1, never of another's. tests/bench has the figures. */

#include "crypto.h"

struct itwi_sha1;

/* NULL: no memory, or a libcrypto without these functions: itwi_sha1_usable tells. */
bool itwi_sha1_usable(void);
struct itwi_sha1 *itwi_sha1_new(void);
void itwi_sha1_free(struct itwi_sha1 *);
int itwi_sha1_key(struct itwi_sha1 *, const struct itwi_piece *key, size_t n);
int itwi_sha1_begin(struct itwi_sha1 *);
int itwi_sha1_add(struct itwi_sha1 *, const uint8_t *in, size_t len);
int itwi_sha1_end(struct itwi_sha1 *, uint8_t out[20]);
/* begin, add, end in one. */
int itwi_sha1(const struct itwi_sha1 *, uint8_t out[20], const uint8_t *in, size_t len);

#endif
