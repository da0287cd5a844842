/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi.h"
#include "crypto.h"
#include "crypto_openssl_sha1.h"

/* The seam on OpenSSL 3.0 or later: EVP and providers; nothing deprecated but crypto_openssl_sha1.c. This is the default.

   What libcrypto allocates (counted with 3.0): opening does. Keying AES again does only when the key length is another.
   CBC, the random stream and HMAC-SHA1 on the default provider's SHA-1 (crypto_openssl_sha1.h) don't. Other HMACs, keyed
   again or made, allocate twice and free twice, because through EVP a digest begins, and is copied, in new memory. Keys
   and keyed states are in libcrypto's heap, which it wipes when it frees them. */

#if !defined(ITW_CRYPTO_MBEDTLS) && !defined(ITW_CRYPTO_NONE)

#include <ipsectwamp/kdf.h>
#include <ipsectwamp/version.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

const char *itw_crypto_backend(void) { return "openssl"; }

/* What is in itwi_backend.h. The order of the ciphers and digests is used below. */
enum { LIBCTX, PROPQ, CBC128, CBC192, CBC256, CTR128, SHA1, SHA256, SHA384, SHA512, CMAC, OWN, SLOTS };
_Static_assert(SLOTS <= sizeof((struct itwi_backend *)0)->h / sizeof(void *), "itwi_backend is too small");

static const char *const digest_names[ITWI_DIGESTS] = {"MD5", "SHA1", "SHA2-256", "SHA2-384", "SHA2-512"};

/* ERR_pop_to_mark goes back to the mark; with an empty queue there is none, and it empties the queue again. */
bool itwi_backend_enter(const struct itwi_backend *b)
{
  (void)b;
  return ERR_set_mark() == 1;
}

void itwi_backend_leave(const struct itwi_backend *b)
{
  (void)b;
  (void)ERR_pop_to_mark();
}

static itw_status crypto_unless(int ok) { return ok ? ITW_OK : ITW_ERR_CRYPTO; }

/* -------- backend -------- */

static EVP_MD *fetch_digest(const struct itwi_backend *b, uint32_t digest)
{
  return EVP_MD_fetch(b->h[LIBCTX], digest_names[digest], b->h[PROPQ]);
}

static EVP_CIPHER *fetch_cipher(const struct itwi_backend *b, const char *name)
{
  return EVP_CIPHER_fetch(b->h[LIBCTX], name, b->h[PROPQ]);
}

/* OWN is set if SHA-1 and AES-CBC are the default provider's, whose code is libcrypto's own and whose habits are known: see
   itwi_cbc_key and crypto_openssl_sha1.h. Who gives a property query wants EVP to decide, and gets it. */
static bool is_default(const OSSL_PROVIDER *p) { return p && strcmp(OSSL_PROVIDER_get0_name(p), "default") == 0; }

static bool is_own(const struct itwi_backend *b)
{
  if (b->h[PROPQ]) return false;
  for (int i = CBC128; i <= CBC256; i++)
    if (!is_default(EVP_CIPHER_get0_provider(b->h[i]))) return false;
  return is_default(EVP_MD_get0_provider(b->h[SHA1]));
}

/* Without AES-CBC, AES-CTR and SHA-1 there is no O/TWAMP. The others only some PRFs need: a provider that lacks one is
   found out when it is asked for. MD5 is not even looked up before, FIPS providers don't have it. */
static itw_status fetch_all(struct itwi_backend *b)
{
  b->h[CBC128] = fetch_cipher(b, "AES-128-CBC");
  b->h[CBC192] = fetch_cipher(b, "AES-192-CBC");
  b->h[CBC256] = fetch_cipher(b, "AES-256-CBC");
  b->h[CTR128] = fetch_cipher(b, "AES-128-CTR");
  for (uint32_t i = 0; i < 4; i++) b->h[SHA1 + i] = fetch_digest(b, ITWI_SHA1 + i);
  b->h[CMAC] = EVP_MAC_fetch(b->h[LIBCTX], "CMAC", b->h[PROPQ]);
  for (int i = CBC128; i <= SHA1; i++)
    if (!b->h[i]) return ITW_ERR_UNSUPPORTED;
  if (is_own(b)) b->h[OWN] = b->h[SHA1];
  return ITW_OK;
}

itw_status itwi_backend_open(struct itwi_backend *b, const void *crypto)
{
  struct itw_openssl o;
  itw_status st;

  memset(b, 0, sizeof *b);
  if (crypto) {
    st = itwi_abi_in(&o, sizeof o, crypto, sizeof o);
    if (st != ITW_OK) return st;
    if (o.mbz) return ITW_ERR_ARGUMENT;
    b->h[LIBCTX] = o.libctx;
    memcpy(&b->h[PROPQ], &o.propq, sizeof o.propq); /* a const char *, and only ever used as one */
  }
  itwi_backend_enter(b);
  st = fetch_all(b);
  itwi_backend_leave(b);
  if (st != ITW_OK) itwi_backend_close(b);
  return st;
}

void itwi_backend_close(struct itwi_backend *b)
{
  for (int i = CBC128; i <= CTR128; i++) EVP_CIPHER_free(b->h[i]);
  for (int i = SHA1; i <= SHA512; i++) EVP_MD_free(b->h[i]);
  EVP_MAC_free(b->h[CMAC]);
  memset(b, 0, sizeof *b);
}

/* -------- AES-CBC -------- */

itw_status itwi_cbc_open(struct itwi_cbc *c, const struct itwi_backend *b)
{
  memset(c, 0, sizeof *c);
  itwi_backend_enter(b);
  c->h = EVP_CIPHER_CTX_new();
  itwi_backend_leave(b);
  return c->h ? ITW_OK : ITW_ERR_MEMORY;
}

void itwi_cbc_close(struct itwi_cbc *c)
{
  EVP_CIPHER_CTX_free(c->h);
  itw_wipe(c, sizeof *c);
}

/* EVP_CIPHER_CTX_set_padding would set a flag that makes each later init set it again, by a search for its name. If a step
   fails, the next key is a first one again. cipher NULL: the one before. */
static int first_key(struct itwi_cbc *c, const EVP_CIPHER *cipher, const uint8_t *key, int encrypt)
{
  unsigned padding = 0;
  const OSSL_PARAM unpadded[2] = {OSSL_PARAM_construct_uint(OSSL_CIPHER_PARAM_PADDING, &padding),
                                  OSSL_PARAM_construct_end()};

  if (EVP_CipherInit_ex2(c->h, cipher, key, c->chain, encrypt, NULL) == 1 &&
      EVP_CIPHER_CTX_set_params(c->h, unpadded) == 1)
    return 1;
  (void)EVP_CIPHER_CTX_reset(c->h);
  return 0;
}

itw_status itwi_cbc_key(struct itwi_cbc *c, const struct itwi_backend *b, const uint8_t *key, size_t key_len,
                        int direction)
{
  const EVP_CIPHER *cipher;
  const int encrypt = direction == ITWI_ENCRYPT;
  int ok;

  if (key_len != 16 && key_len != 24 && key_len != 32) return ITW_ERR_ARGUMENT;
  cipher = b->h[CBC128 + (key_len - 16) / 8];
  memset(c->chain, 0, sizeof c->chain);

  itwi_backend_enter(b);
  /* Naming the cipher again would free the provider's context and make a new one. In the default provider an init without
     an IV goes back to the first one, which is zeros; what others do nobody says. */
  if (EVP_CIPHER_CTX_get0_cipher(c->h) == cipher) cipher = NULL;
  if (!cipher && b->h[OWN])
    ok = EVP_CipherInit_ex2(c->h, NULL, key, NULL, encrypt, NULL) == 1;
  else
    ok = first_key(c, cipher, key, encrypt);
  itwi_backend_leave(b);
  return crypto_unless(ok);
}

/* Octet by octet, which compilers turn into one instruction: words of its own would be left on the stack. */
static void xor16(uint8_t *restrict p, const uint8_t *restrict q)
{
  for (int i = 0; i < 16; i++) p[i] ^= q[i];
}

/* Setting an IV costs more than a block: EVP_CipherInit with parameters. So the context is never told one. It goes on
   from the last ciphertext block that it saw, c->chain, and what that adds to the first block is taken out again here.
   Encrypting, before: P ^ iv ^ chain goes in, and the context's own ^ chain leaves P ^ iv. Decrypting, after. */
itw_status itwi_cbc_run(struct itwi_cbc *c, uint8_t *out, const uint8_t *in, size_t len, uint8_t iv[16])
{
  const int encrypt = EVP_CIPHER_CTX_is_encrypting(c->h);
  uint8_t last[16];
  int n = 0;

  if (len % 16 != 0 || len > INT_MAX) return ITW_ERR_ARGUMENT;
  if (len == 0) return ITW_OK;

  if (encrypt) {
    if (out != in) memcpy(out, in, len);
    xor16(out, iv);
    xor16(out, c->chain);
    in = out;
  } else {
    memcpy(last, in + len - 16, 16);
  }
  if (EVP_CipherUpdate(c->h, out, &n, in, (int)len) != 1 || (size_t)n != len) return ITW_ERR_CRYPTO;
  if (!encrypt) {
    xor16(out, c->chain);
    xor16(out, iv);
  }
  memcpy(c->chain, encrypt ? out + len - 16 : last, 16); /* no copy of a last block that may be a key (XCBC, test keys) */
  memcpy(iv, c->chain, 16);
  return ITW_OK;
}

/* -------- HMAC -------- */

enum { BLOCK_MAX = 128 }; /* SHA-512's */

/* With libcrypto's own SHA-1 there is one context, `inner` and `work` in one, and no `outer`. */
static struct itwi_sha1 *own_sha1(const struct itwi_hmac_ctx *c) { return c->work == c->inner ? c->inner : NULL; }

static itw_status sha1_new(struct itwi_hmac_ctx *c)
{
  c->inner = c->work = itwi_sha1_new();
  c->len = 20;
  return c->inner ? ITW_OK : ITW_ERR_MEMORY;
}

/* inner and outer get their digest here and keep it: nothing is looked up later. */
static itw_status hmac_new(struct itwi_hmac_ctx *c, const EVP_MD *md)
{
  if (!md) return ITW_ERR_UNSUPPORTED;
  c->inner = EVP_MD_CTX_new();
  c->outer = EVP_MD_CTX_new();
  c->work = EVP_MD_CTX_new();
  if (!c->inner || !c->outer || !c->work) return ITW_ERR_MEMORY;
  c->len = (uint32_t)EVP_MD_get_size(md);
  return crypto_unless(EVP_DigestInit_ex2(c->inner, md, NULL) == 1 && EVP_DigestInit_ex2(c->outer, md, NULL) == 1);
}

itw_status itwi_hmac_open(struct itwi_hmac_ctx *c, const struct itwi_backend *b, uint32_t digest)
{
  EVP_MD *md5 = NULL;
  itw_status st;

  memset(c, 0, sizeof *c);
  if (digest >= ITWI_DIGESTS) return ITW_ERR_ARGUMENT;
  c->digest = digest;

  itwi_backend_enter(b);
  if (digest == ITWI_MD5) md5 = fetch_digest(b, digest);
  if (digest == ITWI_SHA1 && b->h[OWN] && itwi_sha1_usable())
    st = sha1_new(c);
  else
    st = hmac_new(c, digest == ITWI_MD5 ? md5 : b->h[SHA1 + digest - ITWI_SHA1]);
  EVP_MD_free(md5); /* the contexts hold it now */
  itwi_backend_leave(b);
  if (st != ITW_OK) itwi_hmac_close(c);
  return st;
}

void itwi_hmac_close(struct itwi_hmac_ctx *c)
{
  if (own_sha1(c)) {
    itwi_sha1_free(c->inner);
  } else {
    EVP_MD_CTX_free(c->inner);
    EVP_MD_CTX_free(c->outer);
    EVP_MD_CTX_free(c->work);
  }
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
  if (EVP_DigestInit_ex2(c->inner, NULL, NULL) != 1) return 0;
  for (size_t i = 0; i < n; i++)
    if (EVP_DigestUpdate(c->inner, key[i].p, key[i].n) != 1) return 0;
  return EVP_DigestFinal_ex(c->inner, block, NULL);
}

static int keyed_state(EVP_MD_CTX *state, uint8_t *block, size_t block_len, uint8_t pad)
{
  for (size_t i = 0; i < block_len; i++) block[i] ^= pad;
  return EVP_DigestInit_ex2(state, NULL, NULL) == 1 && EVP_DigestUpdate(state, block, block_len) == 1;
}

itw_status itwi_hmac_key_pieces(struct itwi_hmac_ctx *c, const struct itwi_backend *b, const struct itwi_piece *key,
                                size_t n)
{
  uint8_t block[BLOCK_MAX] = {0};
  size_t block_len;
  int ok;

  if (own_sha1(c)) return crypto_unless(itwi_sha1_key(own_sha1(c), key, n));
  block_len = (size_t)EVP_MD_get_block_size(EVP_MD_CTX_get0_md(c->inner));
  if (block_len > BLOCK_MAX) return ITW_ERR_CRYPTO;
  itwi_backend_enter(b);
  ok = key_block(c, block, block_len, key, n) && keyed_state(c->inner, block, block_len, 0x36) &&
       keyed_state(c->outer, block, block_len, 0x36 ^ 0x5c);
  itwi_backend_leave(b);
  itw_wipe(block, sizeof block);
  return crypto_unless(ok);
}

itw_status itwi_hmac_begin(struct itwi_hmac_ctx *c)
{
  if (own_sha1(c)) return crypto_unless(itwi_sha1_begin(own_sha1(c)));
  return crypto_unless(EVP_MD_CTX_copy_ex(c->work, c->inner) == 1);
}

itw_status itwi_hmac_add(struct itwi_hmac_ctx *c, const uint8_t *in, size_t len)
{
  if (own_sha1(c)) return crypto_unless(itwi_sha1_add(own_sha1(c), in, len));
  return crypto_unless(len == 0 || EVP_DigestUpdate(c->work, in, len) == 1);
}

static int evp_end(struct itwi_hmac_ctx *c, uint8_t *out)
{
  uint8_t digest[EVP_MAX_MD_SIZE];
  const int ok = EVP_DigestFinal_ex(c->work, digest, NULL) == 1 && EVP_MD_CTX_copy_ex(c->work, c->outer) == 1 &&
                 EVP_DigestUpdate(c->work, digest, c->len) == 1 && EVP_DigestFinal_ex(c->work, out, NULL) == 1;
  itw_wipe(digest, c->len);
  return ok;
}

itw_status itwi_hmac_end(struct itwi_hmac_ctx *c, uint8_t *out)
{
  return crypto_unless(own_sha1(c) ? itwi_sha1_end(own_sha1(c), out) : evp_end(c, out));
}

itw_status itwi_hmac(struct itwi_hmac_ctx *c, uint8_t *out, const uint8_t *in, size_t len)
{
  itw_status st;

  if (own_sha1(c)) return crypto_unless(itwi_sha1(own_sha1(c), out, in, len));
  st = itwi_hmac_begin(c);
  if (st == ITW_OK) st = itwi_hmac_add(c, in, len);
  return st == ITW_OK ? itwi_hmac_end(c, out) : st;
}

/* -------- AES-CMAC -------- */

/* The cipher inside is fetched by libcrypto: from the MAC's own library context, with these properties. */
static int cmac_key(EVP_MAC_CTX *ctx, const char *propq, const uint8_t key[16])
{
  char cipher[] = "AES-128-CBC";
  OSSL_PARAM params[3] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
                          OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end()};
  char *properties;

  memcpy(&properties, &propq, sizeof properties); /* OSSL_PARAM has no const; it is only read */
  if (properties) params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_PROPERTIES, properties, 0);
  return EVP_MAC_init(ctx, key, 16, params) == 1;
}

static int cmac_pieces(EVP_MAC_CTX *ctx, uint8_t out[16], const struct itwi_piece *pieces, size_t n)
{
  size_t len = 0;

  for (size_t i = 0; i < n; i++)
    if (pieces[i].n && EVP_MAC_update(ctx, pieces[i].p, pieces[i].n) != 1) return 0;
  return EVP_MAC_final(ctx, out, &len, 16) == 1 && len == 16;
}

itw_status itwi_cmac(const struct itwi_backend *b, uint8_t out[16], const uint8_t key[16],
                     const struct itwi_piece *pieces, size_t n)
{
  EVP_MAC_CTX *ctx;
  int ok;

  if (!b->h[CMAC]) return ITW_ERR_UNSUPPORTED;
  itwi_backend_enter(b);
  ctx = EVP_MAC_CTX_new(b->h[CMAC]); /* one per call: no key stays behind, and the backend stays const */
  ok = ctx && cmac_key(ctx, b->h[PROPQ], key) && cmac_pieces(ctx, out, pieces, n);
  EVP_MAC_CTX_free(ctx);
  itwi_backend_leave(b);
  if (!ctx) return ITW_ERR_MEMORY;
  return crypto_unless(ok);
}

/* -------- random octets for padding -------- */

itw_status itwi_random_open(struct itwi_random *r, const struct itwi_backend *b, const uint8_t seed[32])
{
  itw_status st = ITW_ERR_MEMORY;

  memset(r, 0, sizeof *r);
  itwi_backend_enter(b);
  r->h = EVP_CIPHER_CTX_new();
  if (r->h) st = crypto_unless(EVP_EncryptInit_ex2(r->h, b->h[CTR128], seed, seed + 16, NULL) == 1);
  itwi_backend_leave(b);
  if (st != ITW_OK) itwi_random_close(r);
  return st;
}

void itwi_random_close(struct itwi_random *r)
{
  EVP_CIPHER_CTX_free(r->h);
  memset(r, 0, sizeof *r);
}

itw_status itwi_random_fill(struct itwi_random *r, uint8_t *out, size_t n)
{
  const size_t most = 1u << 30; /* EVP counts in int */

  while (n > 0) {
    const size_t now = n < most ? n : most;
    int done = 0;

    memset(out, 0, now);
    if (EVP_EncryptUpdate(r->h, out, &done, out, (int)now) != 1 || (size_t)done != now) return ITW_ERR_CRYPTO;
    out += now;
    n -= now;
  }
  return ITW_OK;
}

#endif
