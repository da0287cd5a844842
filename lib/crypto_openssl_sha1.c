/* SPDX-License-Identifier: BSD-3-Clause */
#define OPENSSL_SUPPRESS_DEPRECATED /* why: crypto_openssl_sha1.h */
#include "crypto_openssl_sha1.h"

#if !defined(ITW_CRYPTO_MBEDTLS) && !defined(ITW_CRYPTO_NONE)

#include <openssl/crypto.h>
#include <openssl/sha.h>

#ifdef OPENSSL_NO_DEPRECATED_3_0

bool itwi_sha1_usable(void) { return false; }
struct itwi_sha1 *itwi_sha1_new(void) { return NULL; }
void itwi_sha1_free(struct itwi_sha1 *s) { (void)s; }
int itwi_sha1_key(struct itwi_sha1 *s, const struct itwi_piece *key, size_t n) { return (void)s, (void)key, (void)n, 0; }
int itwi_sha1_begin(struct itwi_sha1 *s) { return (void)s, 0; }
int itwi_sha1_add(struct itwi_sha1 *s, const uint8_t *in, size_t len) { return (void)s, (void)in, (void)len, 0; }
int itwi_sha1_end(struct itwi_sha1 *s, uint8_t out[20]) { return (void)s, (void)out, 0; }

#else

enum { BLOCK = SHA_CBLOCK };

/* States that have taken the key's block in, and the one that is being fed (RFC 2104 §4). */
struct itwi_sha1 {
  SHA_CTX inner, outer, work;
};

bool itwi_sha1_usable(void) { return true; }

struct itwi_sha1 *itwi_sha1_new(void) { return OPENSSL_zalloc(sizeof(struct itwi_sha1)); }

void itwi_sha1_free(struct itwi_sha1 *s) { OPENSSL_clear_free(s, s ? sizeof *s : 0); }

/* The key, zero padded to a block; a longer one is hashed first (RFC 2104 §2). */
static int key_block(struct itwi_sha1 *s, uint8_t block[BLOCK], const struct itwi_piece *key, size_t n)
{
  struct itwi_writer w = itwi_writer(block, BLOCK);
  int ok;

  for (size_t i = 0; i < n; i++) itwi_put(&w, key[i].p, key[i].n);
  if (!w.bad) return 1;
  memset(block, 0, BLOCK);
  ok = SHA1_Init(&s->work);
  for (size_t i = 0; ok && i < n; i++) ok = SHA1_Update(&s->work, key[i].p, key[i].n);
  return ok && SHA1_Final(block, &s->work);
}

static int keyed(SHA_CTX *state, uint8_t block[BLOCK], uint8_t pad)
{
  for (size_t i = 0; i < BLOCK; i++) block[i] ^= pad;
  return SHA1_Init(state) && SHA1_Update(state, block, BLOCK);
}

int itwi_sha1_key(struct itwi_sha1 *s, const struct itwi_piece *key, size_t n)
{
  uint8_t block[BLOCK] = {0};
  const int ok = key_block(s, block, key, n) && keyed(&s->inner, block, 0x36) && keyed(&s->outer, block, 0x36 ^ 0x5c);

  OPENSSL_cleanse(block, sizeof block);
  return ok;
}

int itwi_sha1_begin(struct itwi_sha1 *s)
{
  s->work = s->inner;
  return 1;
}

int itwi_sha1_add(struct itwi_sha1 *s, const uint8_t *in, size_t len) { return SHA1_Update(&s->work, in, len); }

int itwi_sha1_end(struct itwi_sha1 *s, uint8_t out[20])
{
  uint8_t digest[SHA_DIGEST_LENGTH];
  int ok = SHA1_Final(digest, &s->work);

  s->work = s->outer;
  ok = ok && SHA1_Update(&s->work, digest, sizeof digest) && SHA1_Final(out, &s->work);
  OPENSSL_cleanse(digest, sizeof digest);
  return ok;
}

#endif
#else
typedef int itwi_not_openssl_sha1; /* C wants something in a file */
#endif
