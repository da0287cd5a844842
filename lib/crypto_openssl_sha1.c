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
int itwi_sha1(const struct itwi_sha1 *s, uint8_t out[20], const uint8_t *in, size_t len)
{
  return (void)s, (void)out, (void)in, (void)len, 0;
}

#else

enum { BLOCK = SHA_CBLOCK };

/* What SHA-1 knows after the key's block (RFC 2104 §4): five words, not a SHA_CTX, so that a packet of one of many sessions
   reads less memory. And the state that is being fed, for what doesn't come in one piece. */
struct midstate {
  SHA_LONG h[5];
};
struct itwi_sha1 {
  struct midstate inner, outer;
  SHA_CTX work;
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

static int keyed(struct midstate *m, SHA_CTX *c, uint8_t block[BLOCK], uint8_t pad)
{
  for (size_t i = 0; i < BLOCK; i++) block[i] ^= pad;
  if (!SHA1_Init(c) || !SHA1_Update(c, block, BLOCK)) return 0;
  *m = (struct midstate){{c->h0, c->h1, c->h2, c->h3, c->h4}};
  return 1;
}

int itwi_sha1_key(struct itwi_sha1 *s, const struct itwi_piece *key, size_t n)
{
  uint8_t block[BLOCK] = {0};
  const int ok = key_block(s, block, key, n) && keyed(&s->inner, &s->work, block, 0x36) &&
                 keyed(&s->outer, &s->work, block, 0x36 ^ 0x5c);

  OPENSSL_cleanse(block, sizeof block);
  return ok;
}

/* All but the octets of a block that hasn't begun: nobody reads them. */
static void from(SHA_CTX *c, const struct midstate *m)
{
  c->h0 = m->h[0];
  c->h1 = m->h[1];
  c->h2 = m->h[2];
  c->h3 = m->h[3];
  c->h4 = m->h[4];
  c->Nl = 8 * BLOCK;
  c->Nh = 0;
  c->num = 0;
}

static int end(const struct itwi_sha1 *s, SHA_CTX *c, uint8_t out[20])
{
  uint8_t digest[SHA_DIGEST_LENGTH];
  int ok = SHA1_Final(digest, c);

  from(c, &s->outer);
  ok = ok && SHA1_Update(c, digest, sizeof digest) && SHA1_Final(out, c);
  OPENSSL_cleanse(digest, sizeof digest);
  return ok;
}

int itwi_sha1_begin(struct itwi_sha1 *s)
{
  from(&s->work, &s->inner);
  return 1;
}

int itwi_sha1_add(struct itwi_sha1 *s, const uint8_t *in, size_t len) { return SHA1_Update(&s->work, in, len); }
int itwi_sha1_end(struct itwi_sha1 *s, uint8_t out[20]) { return end(s, &s->work, out); }

/* SHA1_Final wipes what was fed; the state that stays on the stack is the output. */
int itwi_sha1(const struct itwi_sha1 *s, uint8_t out[20], const uint8_t *in, size_t len)
{
  SHA_CTX c;

  from(&c, &s->inner);
  return SHA1_Update(&c, in, len) && end(s, &c, out);
}

#endif
#else
typedef int itwi_not_openssl_sha1; /* C wants something in a file */
#endif
