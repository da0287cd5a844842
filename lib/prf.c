/* SPDX-License-Identifier: BSD-3-Clause */
#include "kdf.h"

/* The pseudo-random functions of IKEv2 (RFC 7296 §3.3.2, transform type 2) and prf+ (§2.13). */

enum kind { HMAC, XCBC, CMAC };

static const struct known {
  uint8_t prf, kind, len, digest;
} known[] = {
    {ITW_PRF_HMAC_MD5, HMAC, 16, ITWI_MD5},
    {ITW_PRF_HMAC_SHA1, HMAC, 20, ITWI_SHA1},
    {ITW_PRF_AES128_XCBC, XCBC, 16, 0},
    {ITW_PRF_HMAC_SHA2_256, HMAC, 32, ITWI_SHA256},
    {ITW_PRF_HMAC_SHA2_384, HMAC, 48, ITWI_SHA384},
    {ITW_PRF_HMAC_SHA2_512, HMAC, 64, ITWI_SHA512},
    {ITW_PRF_AES128_CMAC, CMAC, 16, 0},
};

static const struct known *find(uint32_t prf)
{
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (known[i].prf == prf) return &known[i];
  return NULL;
}

uint32_t itw_prf_len(uint32_t prf)
{
  const struct known *f = find(prf);
  return f ? f->len : 0;
}

static size_t total(const struct itwi_piece *pieces, size_t n)
{
  size_t len = 0;
  for (size_t i = 0; i < n; i++) len += pieces[i].n;
  return len;
}

static void xor16(uint8_t *p, const uint8_t *q)
{
  for (int i = 0; i < 16; i++) p[i] = (uint8_t)(p[i] ^ q[i]);
}

/* -------- AES-XCBC-MAC, not truncated (RFC 3566 §4, RFC 4434 §2) -------- */

struct xcbc {
  struct itwi_cbc cbc; /* under K1 */
  uint8_t k2[16], k3[16];
  uint8_t block[16], mac[16];
  size_t used;
};

/* One octet sixteen times, as an AES block under the key of c. */
static itw_status constant_block(struct itwi_cbc *c, uint8_t out[16], uint8_t octet)
{
  uint8_t iv[16] = {0};
  memset(out, octet, 16);
  return itwi_cbc_run(c, out, out, 16, iv);
}

/* K1, K2, K3 = AES(K; 0x01...), AES(K; 0x02...), AES(K; 0x03...). */
static itw_status xcbc_key(struct xcbc *x, const struct itwi_backend *b, const uint8_t key[16])
{
  uint8_t k1[16];
  itw_status st = itwi_cbc_key(&x->cbc, b, key, 16, ITWI_ENCRYPT);

  if (st == ITW_OK) st = constant_block(&x->cbc, k1, 1);
  if (st == ITW_OK) st = constant_block(&x->cbc, x->k2, 2);
  if (st == ITW_OK) st = constant_block(&x->cbc, x->k3, 3);
  if (st == ITW_OK) st = itwi_cbc_key(&x->cbc, b, k1, 16, ITWI_ENCRYPT);
  itw_wipe(k1, sizeof k1);
  return st;
}

/* E[i] = AES(K1; M[i] ^ E[i-1]) is what CBC does, with E[i-1] as its IV. */
static itw_status xcbc_block(struct xcbc *x)
{
  x->used = 0;
  return itwi_cbc_run(&x->cbc, x->block, x->block, 16, x->mac);
}

/* A full block waits until it is known not to be the last one. */
static itw_status xcbc_add(struct xcbc *x, const uint8_t *in, size_t n)
{
  while (n > 0) {
    const size_t room = x->used == 16 ? 16 : 16 - x->used, now = n < room ? n : room;
    if (x->used == 16) {
      const itw_status st = xcbc_block(x);
      if (st != ITW_OK) return st;
    }
    memcpy(x->block + x->used, in, now);
    x->used += now;
    in += now;
    n -= now;
  }
  return ITW_OK;
}

/* The last block: with K2 if it is whole; padded with 0x80 0x00..., with K3, if not, or if there is none at all. */
static itw_status xcbc_run(struct xcbc *x, uint8_t out[16], const struct itwi_piece *pieces, size_t n)
{
  itw_status st = ITW_OK;

  memset(x->mac, 0, 16);
  x->used = 0;
  for (size_t i = 0; i < n && st == ITW_OK; i++) st = xcbc_add(x, pieces[i].p, pieces[i].n);
  if (st != ITW_OK) return st;

  if (x->used < 16) {
    memset(x->block + x->used, 0, 16 - x->used);
    x->block[x->used] = 0x80;
    xor16(x->block, x->k3);
  } else {
    xor16(x->block, x->k2);
  }
  st = xcbc_block(x);
  memcpy(out, x->mac, 16);
  return st;
}

/* -------- one keyed prf -------- */

struct keyed {
  const struct itwi_backend *b;
  const struct known *f;
  struct itwi_hmac_ctx hmac; /* HMAC */
  struct xcbc xcbc;          /* XCBC */
  uint8_t key[16];           /* XCBC, CMAC */
};

static itw_status run_hmac(struct itwi_hmac_ctx *h, uint8_t *out, const struct itwi_piece *pieces, size_t n)
{
  itw_status st = itwi_hmac_begin(h);
  for (size_t i = 0; i < n && st == ITW_OK; i++) st = itwi_hmac_add(h, pieces[i].p, pieces[i].n);
  return st == ITW_OK ? itwi_hmac_end(h, out) : st;
}

/* out may be one of the pieces. */
static itw_status run(struct keyed *k, uint8_t *out, const struct itwi_piece *pieces, size_t n)
{
  switch (k->f->kind) {
  case HMAC: return run_hmac(&k->hmac, out, pieces, n);
  case XCBC: return xcbc_run(&k->xcbc, out, pieces, n);
  default: return itwi_cmac(k->b, out, k->key, pieces, n);
  }
}

/* Keys that don't have 16 octets. XCBC: a shorter one is padded with zeros, a longer one hashed under the zero key
   (RFC 4434 §2). CMAC: both are hashed under the zero key (RFC 4615 §3). k has the zero key when this is called. */
static itw_status fit_key(struct keyed *k, const struct itwi_piece *key, size_t n)
{
  const size_t len = total(key, n);
  itw_status st;

  if (len == 16 || (len < 16 && k->f->kind == XCBC)) {
    struct itwi_writer w = itwi_writer(k->key, sizeof k->key);
    for (size_t i = 0; i < n; i++) itwi_put(&w, key[i].p, key[i].n);
    return ITW_OK;
  }
  if (k->f->kind == XCBC) {
    st = xcbc_key(&k->xcbc, k->b, k->key);
    if (st != ITW_OK) return st;
  }
  return run(k, k->key, key, n);
}

static itw_status set_key(struct keyed *k, const struct itwi_piece *key, size_t n)
{
  itw_status st;

  if (k->f->kind == HMAC) {
    st = itwi_hmac_open(&k->hmac, k->b, k->f->digest);
    return st == ITW_OK ? itwi_hmac_key_pieces(&k->hmac, k->b, key, n) : st;
  }
  if (k->f->kind == XCBC) {
    st = itwi_cbc_open(&k->xcbc.cbc, k->b);
    if (st != ITW_OK) return st;
  }
  st = fit_key(k, key, n);
  return st == ITW_OK && k->f->kind == XCBC ? xcbc_key(&k->xcbc, k->b, k->key) : st;
}

/* Whatever it returns, `end` must follow. */
static itw_status begin(struct keyed *k, const struct itwi_backend *b, uint32_t prf, const struct itwi_piece *key,
                        size_t n)
{
  memset(k, 0, sizeof *k);
  k->b = b;
  k->f = find(prf);
  itwi_backend_enter(b);
  return k->f ? set_key(k, key, n) : ITW_ERR_PRF;
}

static void end(struct keyed *k)
{
  itwi_backend_leave(k->b);
  itwi_hmac_close(&k->hmac);
  itwi_cbc_close(&k->xcbc.cbc);
  itw_wipe(k, sizeof *k);
}

/* -------- prf and prf+ -------- */

itw_status itwi_prf_pieces(const struct itwi_backend *b, uint8_t out[ITW_PRF_MAX], uint32_t prf,
                           const struct itwi_piece *key, size_t key_n, const struct itwi_piece *pieces, size_t n)
{
  struct keyed k;
  itw_status st = begin(&k, b, prf, key, key_n);

  if (st == ITW_OK) st = run(&k, out, pieces, n);
  end(&k);
  if (st != ITW_OK) itw_wipe(out, itw_prf_len(prf));
  return st;
}

itw_status itwi_prf(const struct itwi_backend *b, uint8_t out[ITW_PRF_MAX], uint32_t prf, const uint8_t *key,
                    size_t key_len, const struct itwi_piece *pieces, size_t n)
{
  const struct itwi_piece one = {key, key_len};
  return itwi_prf_pieces(b, out, prf, &one, 1, pieces, n);
}

/* T1 = prf(K, S | 0x01), Ti = prf(K, T(i-1) | S | i), one octet i (RFC 7296 §2.13). */
static itw_status blocks(struct keyed *k, uint8_t *out, size_t out_len, const struct itwi_piece *seed, size_t n)
{
  struct itwi_piece pieces[1 + ITWI_SEED_MAX + 1];
  uint8_t t[ITW_PRF_MAX], i = 0;
  itw_status st = ITW_OK;

  pieces[0] = (struct itwi_piece){t, 0};
  for (size_t j = 0; j < n; j++) pieces[1 + j] = seed[j];
  pieces[1 + n] = (struct itwi_piece){&i, 1};
  while (out_len > 0 && st == ITW_OK) {
    const size_t now = out_len < k->f->len ? out_len : k->f->len;
    i++;
    st = run(k, t, pieces, n + 2);
    memcpy(out, t, now);
    pieces[0].n = k->f->len;
    out += now;
    out_len -= now;
  }
  itw_wipe(t, sizeof t);
  return st;
}

itw_status itwi_prf_plus(const struct itwi_backend *b, uint8_t *out, size_t out_len, uint32_t prf, const uint8_t *key,
                         size_t key_len, const struct itwi_piece *seed, size_t n)
{
  const struct itwi_piece one = {key, key_len};
  struct keyed k;
  itw_status st = begin(&k, b, prf, &one, 1);

  if (st == ITW_OK && (out_len == 0 || out_len > 255u * (size_t)k.f->len || n > ITWI_SEED_MAX)) st = ITW_ERR_ARGUMENT;
  if (st == ITW_OK) st = blocks(&k, out, out_len, seed, n);
  end(&k);
  if (st != ITW_OK) itw_wipe(out, out_len);
  return st;
}
