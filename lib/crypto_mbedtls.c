/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto.h"

/* The seam on Mbed TLS 2.28 and 3. It needs MBEDTLS_AES_C, MBEDTLS_CIPHER_MODE_CBC, MBEDTLS_CIPHER_MODE_CTR,
   MBEDTLS_MD_C and MBEDTLS_SHA1_C; the other digests are used where they are. Opening a context allocates
   (mbedtls_calloc where there is a platform layer), nothing else does. There is no error queue. */

#if defined(ITW_CRYPTO_MBEDTLS)

#include <ipsectwamp/version.h>
#include <mbedtls/aes.h>
#include <mbedtls/md.h>

#if defined(MBEDTLS_PLATFORM_C)
#include <mbedtls/platform.h>
#else
#include <stdlib.h>
#define mbedtls_calloc calloc
#define mbedtls_free free
#endif

const char *itw_crypto_backend(void) { return "mbedtls"; }

static itw_status crypto_unless(int ok) { return ok ? ITW_OK : ITW_ERR_CRYPTO; }

/* -------- backend -------- */

itw_status itwi_backend_open(struct itwi_backend *b, const void *crypto)
{
  memset(b, 0, sizeof *b);
  return crypto ? ITW_ERR_ARGUMENT : ITW_OK; /* there is nothing to say to this one */
}

void itwi_backend_close(struct itwi_backend *b) { memset(b, 0, sizeof *b); }
bool itwi_backend_enter(const struct itwi_backend *b)
{
  (void)b;
  return false;
}

void itwi_backend_leave(const struct itwi_backend *b) { (void)b; }

/* -------- AES-CBC -------- */

struct cbc {
  mbedtls_aes_context aes;
  int mode; /* MBEDTLS_AES_* */
};

itw_status itwi_cbc_open(struct itwi_cbc *c, const struct itwi_backend *b)
{
  struct cbc *h = mbedtls_calloc(1, sizeof *h);

  (void)b;
  memset(c, 0, sizeof *c);
  if (!h) return ITW_ERR_MEMORY;
  mbedtls_aes_init(&h->aes);
  c->h = h;
  return ITW_OK;
}

void itwi_cbc_close(struct itwi_cbc *c)
{
  struct cbc *h = c->h;

  if (h) mbedtls_aes_free(&h->aes); /* wipes */
  mbedtls_free(h);
  memset(c, 0, sizeof *c);
}

itw_status itwi_cbc_key(struct itwi_cbc *c, const struct itwi_backend *b, const uint8_t *key, size_t key_len,
                        int direction)
{
  struct cbc *h = c->h;
  int failed;

  (void)b;
  if (key_len != 16 && key_len != 24 && key_len != 32) return ITW_ERR_ARGUMENT;
  if (direction == ITWI_ENCRYPT) {
    h->mode = MBEDTLS_AES_ENCRYPT;
    failed = mbedtls_aes_setkey_enc(&h->aes, key, (unsigned)key_len * 8);
  } else {
    h->mode = MBEDTLS_AES_DECRYPT;
    failed = mbedtls_aes_setkey_dec(&h->aes, key, (unsigned)key_len * 8);
  }
  return crypto_unless(!failed);
}

itw_status itwi_cbc_run(struct itwi_cbc *c, uint8_t *out, const uint8_t *in, size_t len, uint8_t iv[16])
{
  struct cbc *h = c->h;

  if (len % 16 != 0) return ITW_ERR_ARGUMENT;
  return crypto_unless(!mbedtls_aes_crypt_cbc(&h->aes, h->mode, len, iv, in, out));
}

/* -------- HMAC -------- */

enum { BLOCK_MAX = 128 }; /* SHA-512's */

static const mbedtls_md_type_t digests[ITWI_DIGESTS] = {MBEDTLS_MD_MD5, MBEDTLS_MD_SHA1, MBEDTLS_MD_SHA256,
                                                        MBEDTLS_MD_SHA384, MBEDTLS_MD_SHA512};

/* One block of memory for the three; `inner` is its start. */
itw_status itwi_hmac_open(struct itwi_hmac_ctx *c, const struct itwi_backend *b, uint32_t digest)
{
  const mbedtls_md_info_t *info;
  mbedtls_md_context_t *h;
  int failed = 0;

  (void)b;
  memset(c, 0, sizeof *c);
  if (digest >= ITWI_DIGESTS) return ITW_ERR_ARGUMENT;
  info = mbedtls_md_info_from_type(digests[digest]);
  if (!info) return ITW_ERR_UNSUPPORTED;
  h = mbedtls_calloc(3, sizeof *h);
  if (!h) return ITW_ERR_MEMORY;

  c->inner = &h[0];
  c->outer = &h[1];
  c->work = &h[2];
  c->digest = digest;
  c->len = mbedtls_md_get_size(info);
  for (int i = 0; i < 3; i++) {
    mbedtls_md_init(&h[i]);
    failed |= mbedtls_md_setup(&h[i], info, 0);
  }
  if (!failed) return ITW_OK;
  itwi_hmac_close(c);
  return ITW_ERR_MEMORY; /* all that can go wrong with an info that exists */
}

void itwi_hmac_close(struct itwi_hmac_ctx *c)
{
  mbedtls_md_context_t *h = c->inner;

  for (int i = 0; h && i < 3; i++) mbedtls_md_free(&h[i]); /* wipes */
  mbedtls_free(h);
  memset(c, 0, sizeof *c);
}

/* The key, zero padded to a block; a longer one is hashed first (RFC 2104 §2). */
static int key_block(struct itwi_hmac_ctx *c, uint8_t block[BLOCK_MAX], size_t block_len, const struct itwi_piece *key,
                     size_t n)
{
  size_t len = 0;

  for (size_t i = 0; i < n; i++) len += key[i].n;
  if (len <= block_len) {
    struct itwi_writer w = itwi_writer(block, BLOCK_MAX);
    for (size_t i = 0; i < n; i++) itwi_put(&w, key[i].p, key[i].n);
    return 1;
  }
  if (mbedtls_md_starts(c->inner)) return 0;
  for (size_t i = 0; i < n; i++)
    if (key[i].n && mbedtls_md_update(c->inner, key[i].p, key[i].n)) return 0;
  return !mbedtls_md_finish(c->inner, block);
}

static int keyed_state(mbedtls_md_context_t *state, uint8_t *block, size_t block_len, uint8_t pad)
{
  for (size_t i = 0; i < block_len; i++) block[i] ^= pad;
  return !mbedtls_md_starts(state) && !mbedtls_md_update(state, block, block_len);
}

itw_status itwi_hmac_key_pieces(struct itwi_hmac_ctx *c, const struct itwi_backend *b, const struct itwi_piece *key,
                                size_t n)
{
  const size_t block_len = c->len <= 32 ? 64 : 128; /* mbedtls_md_info_t doesn't tell in public */
  uint8_t block[BLOCK_MAX] = {0};
  int ok;

  (void)b;
  ok = key_block(c, block, block_len, key, n) && keyed_state(c->inner, block, block_len, 0x36) &&
       keyed_state(c->outer, block, block_len, 0x36 ^ 0x5c);
  itw_wipe(block, sizeof block);
  return crypto_unless(ok);
}

itw_status itwi_hmac_begin(struct itwi_hmac_ctx *c) { return crypto_unless(!mbedtls_md_clone(c->work, c->inner)); }

itw_status itwi_hmac_add(struct itwi_hmac_ctx *c, const uint8_t *in, size_t len)
{
  return crypto_unless(len == 0 || !mbedtls_md_update(c->work, in, len));
}

itw_status itwi_hmac_end(struct itwi_hmac_ctx *c, uint8_t *out)
{
  uint8_t digest[MBEDTLS_MD_MAX_SIZE];
  const int ok = !mbedtls_md_finish(c->work, digest) && !mbedtls_md_clone(c->work, c->outer) &&
                 !mbedtls_md_update(c->work, digest, c->len) && !mbedtls_md_finish(c->work, out);
  itw_wipe(digest, sizeof digest);
  return crypto_unless(ok);
}

itw_status itwi_hmac(struct itwi_hmac_ctx *c, uint8_t *out, const uint8_t *in, size_t len)
{
  itw_status st = itwi_hmac_begin(c);
  if (st == ITW_OK) st = itwi_hmac_add(c, in, len);
  return st == ITW_OK ? itwi_hmac_end(c, out) : st;
}

/* -------- AES-CMAC -------- */

/* Built on AES here: MBEDTLS_CMAC_C is an option that not every build has, and its contexts come from the heap, where a
   key would be for no need. */

static void xor16(uint8_t *p, const uint8_t *q)
{
  for (int i = 0; i < 16; i++) p[i] = (uint8_t)(p[i] ^ q[i]);
}

/* Doubling in GF(2^128): shifted left, 0x87 for the bit that falls out (RFC 4493 §2.3); no branch on it. */
static void twice(uint8_t k[16])
{
  const unsigned carry = k[0] >> 7;

  for (int i = 0; i < 15; i++) k[i] = (uint8_t)(k[i] << 1 | k[i + 1] >> 7);
  k[15] = (uint8_t)((unsigned)k[15] << 1 ^ (0x87u & (0u - carry)));
}

struct cmac {
  mbedtls_aes_context aes;
  uint8_t block[16], mac[16], k[16];
  size_t used;
  int failed;
};

static void cmac_block(struct cmac *c)
{
  xor16(c->mac, c->block);
  c->failed |= mbedtls_aes_crypt_ecb(&c->aes, MBEDTLS_AES_ENCRYPT, c->mac, c->mac);
  c->used = 0;
}

/* A full block waits until it is known not to be the last one. */
static void cmac_add(struct cmac *c, const uint8_t *in, size_t n)
{
  while (n--) {
    if (c->used == 16) cmac_block(c);
    c->block[c->used++] = *in++;
  }
}

/* RFC 4493 §2.4: a whole last block gets K1, one that had to be padded K2. */
static void cmac_last(struct cmac *c)
{
  twice(c->k);
  if (c->used < 16) {
    twice(c->k);
    memset(c->block + c->used, 0, 16 - c->used);
    c->block[c->used] = 0x80;
  }
  xor16(c->block, c->k);
  cmac_block(c);
}

itw_status itwi_cmac(const struct itwi_backend *b, uint8_t out[16], const uint8_t key[16],
                     const struct itwi_piece *pieces, size_t n)
{
  struct cmac c = {.used = 0};
  itw_status st;

  (void)b;
  mbedtls_aes_init(&c.aes);
  c.failed = mbedtls_aes_setkey_enc(&c.aes, key, 128);
  c.failed |= mbedtls_aes_crypt_ecb(&c.aes, MBEDTLS_AES_ENCRYPT, c.k, c.k); /* L = AES(0) */
  for (size_t i = 0; i < n; i++) cmac_add(&c, pieces[i].p, pieces[i].n);
  cmac_last(&c);
  memcpy(out, c.mac, 16);
  st = crypto_unless(!c.failed);
  mbedtls_aes_free(&c.aes);
  itw_wipe(&c, sizeof c);
  return st;
}

/* -------- random octets for padding -------- */

struct ctr {
  mbedtls_aes_context aes;
  uint8_t counter[16], block[16];
  size_t used; /* octets of `block` that are gone */
};

itw_status itwi_random_open(struct itwi_random *r, const struct itwi_backend *b, const uint8_t seed[32])
{
  struct ctr *h = mbedtls_calloc(1, sizeof *h);

  (void)b;
  memset(r, 0, sizeof *r);
  if (!h) return ITW_ERR_MEMORY;
  r->h = h;
  mbedtls_aes_init(&h->aes);
  memcpy(h->counter, seed + 16, 16);
  if (!mbedtls_aes_setkey_enc(&h->aes, seed, 128)) return ITW_OK;
  itwi_random_close(r);
  return ITW_ERR_CRYPTO;
}

void itwi_random_close(struct itwi_random *r)
{
  struct ctr *h = r->h;

  if (h) {
    mbedtls_aes_free(&h->aes);
    itw_wipe(h, sizeof *h);
  }
  mbedtls_free(h);
  memset(r, 0, sizeof *r);
}

itw_status itwi_random_fill(struct itwi_random *r, uint8_t *out, size_t n)
{
  struct ctr *h = r->h;

  if (n == 0) return ITW_OK;
  memset(out, 0, n);
  return crypto_unless(!mbedtls_aes_crypt_ctr(&h->aes, n, &h->used, h->counter, h->block, out, out));
}

#endif
