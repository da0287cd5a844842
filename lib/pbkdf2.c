/* SPDX-License-Identifier: BSD-3-Clause */
#include "kdf.h"

/* PBKDF2 with HMAC-SHA1 (RFC 2898 §5.2): T = U1 ^ U2 ^ ... ^ Ucount, U1 = HMAC(secret, Salt | block number),
   Ui = HMAC(secret, U(i-1)). */

enum { LEN = 20 };

static itw_status first(struct itwi_pbkdf2 *p, const uint8_t *salt, size_t salt_len, uint32_t block)
{
  uint8_t number[4];
  itw_status st = itwi_hmac_begin(&p->hmac);

  itwi_store32(number, block);
  if (st == ITW_OK) st = itwi_hmac_add(&p->hmac, salt, salt_len);
  if (st == ITW_OK) st = itwi_hmac_add(&p->hmac, number, sizeof number);
  return st == ITW_OK ? itwi_hmac_end(&p->hmac, p->u) : st;
}

itw_status itwi_pbkdf2_begin(struct itwi_pbkdf2 *p, const struct itwi_backend *b, const uint8_t *secret,
                             size_t secret_len, const uint8_t *salt, size_t salt_len, uint32_t count, uint32_t block)
{
  itw_status st;

  memset(p, 0, sizeof *p);
  if (count == 0 || block == 0) return ITW_ERR_ARGUMENT;
  st = itwi_hmac_open(&p->hmac, b, ITWI_SHA1);
  if (st == ITW_OK) st = itwi_hmac_key(&p->hmac, b, secret, secret_len);
  itwi_backend_enter(b);
  if (st == ITW_OK) st = first(p, salt, salt_len, block);
  itwi_backend_leave(b);
  memcpy(p->t, p->u, LEN);
  p->left = count - 1;
  if (st != ITW_OK) itwi_pbkdf2_end(p);
  return st;
}

itw_status itwi_pbkdf2_work(struct itwi_pbkdf2 *p, uint32_t n)
{
  itw_status st = ITW_OK;

  itwi_backend_enter(NULL);
  for (; n > 0 && p->left > 0 && st == ITW_OK; n--) {
    st = itwi_hmac(&p->hmac, p->u, p->u, LEN);
    for (int i = 0; i < LEN; i++) p->t[i] = (uint8_t)(p->t[i] ^ p->u[i]);
    if (st == ITW_OK) p->left--;
  }
  itwi_backend_leave(NULL);
  if (st != ITW_OK) return st;
  return p->left ? ITW_AGAIN : ITW_OK;
}

void itwi_pbkdf2_end(struct itwi_pbkdf2 *p)
{
  itwi_hmac_close(&p->hmac);
  itw_wipe(p, sizeof *p);
}

static itw_status all(const struct itwi_backend *b, uint8_t *out, size_t out_len, const struct itwi_piece *secret,
                      const struct itwi_piece *salt, uint32_t count)
{
  struct itwi_pbkdf2 p;
  itw_status st = ITW_OK;

  for (uint32_t block = 1; out_len > 0 && st == ITW_OK; block++) {
    const size_t now = out_len < LEN ? out_len : LEN;
    st = itwi_pbkdf2_begin(&p, b, secret->p, secret->n, salt->p, salt->n, count, block);
    if (st == ITW_OK) st = itwi_pbkdf2_work(&p, UINT32_MAX);
    memcpy(out, p.t, now);
    out += now;
    out_len -= now;
    itwi_pbkdf2_end(&p);
  }
  return st;
}

/* RFC 2898 §5.2 step 1: as many blocks as 32 bits can number. */
static bool too_long(size_t out_len) { return (uint64_t)out_len > (uint64_t)UINT32_MAX * LEN; }

itw_status itw_pbkdf2(uint8_t *out, size_t out_len, const uint8_t *secret, size_t secret_len, const uint8_t *salt,
                      size_t salt_len, uint32_t count, const void *crypto)
{
  const struct itwi_piece k = {secret, secret_len}, s = {salt, salt_len};
  struct itwi_backend b;
  itw_status st = ITW_ERR_ARGUMENT;

  if (!out || out_len == 0 || too_long(out_len)) return ITW_ERR_ARGUMENT;
  if (secret && secret_len && (salt || !salt_len) && count) {
    st = itwi_backend_open(&b, crypto);
    if (st == ITW_OK) st = all(&b, out, out_len, &k, &s, count);
    itwi_backend_close(&b);
  }
  if (st != ITW_OK) itw_wipe(out, out_len);
  return st;
}

itw_status itw_token_key(uint8_t out[16], const uint8_t *secret, size_t secret_len, const uint8_t salt[16],
                         uint32_t count, const void *crypto)
{
  return itw_pbkdf2(out, 16, secret, secret_len, salt, 16, count, crypto);
}
