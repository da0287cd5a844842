/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto.h"

/* The seam without a crypto library: unauthenticated mode only. Whatever needs a key is ITW_ERR_UNSUPPORTED. */

#if defined(ITW_CRYPTO_NONE)

#include <ipsectwamp/version.h>

const char *itw_crypto_backend(void) { return "none"; }

itw_status itwi_backend_open(struct itwi_backend *b, const void *crypto)
{
  memset(b, 0, sizeof *b);
  return crypto ? ITW_ERR_ARGUMENT : ITW_OK;
}

void itwi_backend_close(struct itwi_backend *b) { memset(b, 0, sizeof *b); }
bool itwi_backend_enter(const struct itwi_backend *b)
{
  (void)b;
  return false;
}

void itwi_backend_leave(const struct itwi_backend *b) { (void)b; }

itw_status itwi_cbc_open(struct itwi_cbc *c, const struct itwi_backend *b)
{
  (void)b;
  memset(c, 0, sizeof *c);
  return ITW_ERR_UNSUPPORTED;
}

void itwi_cbc_close(struct itwi_cbc *c) { memset(c, 0, sizeof *c); }

itw_status itwi_cbc_key(struct itwi_cbc *c, const struct itwi_backend *b, const uint8_t *key, size_t key_len,
                        int direction)
{
  (void)c, (void)b, (void)key, (void)key_len, (void)direction;
  return ITW_ERR_UNSUPPORTED;
}

itw_status itwi_cbc_run(struct itwi_cbc *c, uint8_t *out, const uint8_t *in, size_t len, uint8_t iv[16])
{
  (void)c, (void)out, (void)in, (void)len, (void)iv;
  return ITW_ERR_UNSUPPORTED;
}

itw_status itwi_hmac_open(struct itwi_hmac_ctx *c, const struct itwi_backend *b, uint32_t digest)
{
  (void)b;
  memset(c, 0, sizeof *c);
  return digest < ITWI_DIGESTS ? ITW_ERR_UNSUPPORTED : ITW_ERR_ARGUMENT;
}

void itwi_hmac_close(struct itwi_hmac_ctx *c) { memset(c, 0, sizeof *c); }

itw_status itwi_hmac_key_pieces(struct itwi_hmac_ctx *c, const struct itwi_backend *b, const struct itwi_piece *key,
                                size_t n)
{
  (void)c, (void)b, (void)key, (void)n;
  return ITW_ERR_UNSUPPORTED;
}

itw_status itwi_hmac_begin(struct itwi_hmac_ctx *c)
{
  (void)c;
  return ITW_ERR_UNSUPPORTED;
}

itw_status itwi_hmac_add(struct itwi_hmac_ctx *c, const uint8_t *in, size_t len)
{
  (void)c, (void)in, (void)len;
  return ITW_ERR_UNSUPPORTED;
}

itw_status itwi_hmac_end(struct itwi_hmac_ctx *c, uint8_t *out)
{
  (void)c, (void)out;
  return ITW_ERR_UNSUPPORTED;
}

itw_status itwi_hmac(struct itwi_hmac_ctx *c, uint8_t *out, const uint8_t *in, size_t len)
{
  (void)c, (void)out, (void)in, (void)len;
  return ITW_ERR_UNSUPPORTED;
}

itw_status itwi_cmac(const struct itwi_backend *b, uint8_t out[16], const uint8_t key[16],
                     const struct itwi_piece *pieces, size_t n)
{
  (void)b, (void)out, (void)key, (void)pieces, (void)n;
  return ITW_ERR_UNSUPPORTED;
}

/* xoshiro256** by Blackman and Vigna: quick, evenly spread, not cryptographic: 32 octets of its output give away the
   rest. Good enough for padding, which only has to look random (RFC 4656 §4.1.2); no good for anything secret. */
itw_status itwi_random_open(struct itwi_random *r, const struct itwi_backend *b, const uint8_t seed[32])
{
  (void)b;
  memset(r, 0, sizeof *r);
  for (int i = 0; i < 4; i++) r->state[i] = itwi_load64(seed + 8 * i);
  /* It would stay at zero, and a poor seed shows for a while: constants, and the first outputs dropped. */
  for (int i = 0; i < 4; i++) r->state[i] ^= UINT64_C(0x9e3779b97f4a7c15) << i;
  if (!(r->state[0] | r->state[1] | r->state[2] | r->state[3])) r->state[0] = 1;
  for (int i = 0; i < 16; i++) {
    uint8_t drop[8];
    (void)itwi_random_fill(r, drop, sizeof drop);
  }
  return ITW_OK;
}

void itwi_random_close(struct itwi_random *r) { memset(r, 0, sizeof *r); }

static uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

static uint64_t next(uint64_t s[4])
{
  const uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

/* Eight octets at a time, a rest is dropped: other than with AES-CTR, where the calls are cut changes what comes. */
itw_status itwi_random_fill(struct itwi_random *r, uint8_t *out, size_t n)
{
  uint8_t word[8];

  for (; n > 0; out += 8) {
    const size_t now = n < 8 ? n : 8;
    itwi_store64(word, next(r->state));
    memcpy(out, word, now);
    if (n <= 8) break;
    n -= 8;
  }
  return ITW_OK;
}

#endif
