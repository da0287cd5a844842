/* SPDX-License-Identifier: BSD-3-Clause */
#include "kdf.h"
#include "abi.h"

/* The derivations of IKEv2 (RFC 7296), RFC 7717, draft-ietf-ippm-ipsec-01 and RFC 4656 §4.1.2; pbkdf2.c has the Token
   key. itwi_ functions work on an open backend and on arguments that were checked; itw_ functions check, and open the
   caller's backend for the call. */

enum { AES_KEY = 16, HMAC_KEY = 32 }; /* octets of session keys, RFC 4656 §3.1 */

static const char label_secret[] = "IPPM";         /* RFC 7717 §5.1 */
static const char label_token[] = "O/TWAMP token"; /* ours; see itw_root_token */
static const char label_enc[] = "O/TWAMP enc";     /* draft §4.3.1 */
static const char label_auth[] = "O/TWAMP auth";

static bool fits(const uint8_t *p, size_t n) { return p || n == 0; }
static bool is_key(const uint8_t *p, size_t n) { return p && n > 0; }

/* prf(key, label), the label without its NUL. */
static itw_status of_label(const struct itwi_backend *b, uint8_t out[ITW_PRF_MAX], uint32_t prf, const uint8_t *key,
                           size_t key_len, const char *label)
{
  const struct itwi_piece piece = {(const uint8_t *)label, strlen(label)};
  return itwi_prf(b, out, prf, key, key_len, &piece, 1);
}

/* -------- prf, prf+ -------- */

itw_status itw_prf(uint8_t out[ITW_PRF_MAX], uint32_t prf, const uint8_t *key, size_t key_len, const uint8_t *data,
                   size_t data_len, const void *crypto)
{
  const struct itwi_piece piece = {data, data_len};
  struct itwi_backend b;
  itw_status st = ITW_ERR_ARGUMENT;

  if (!out) return ITW_ERR_ARGUMENT;
  if (fits(key, key_len) && fits(data, data_len)) {
    st = itwi_backend_open(&b, crypto);
    if (st == ITW_OK) st = itwi_prf(&b, out, prf, key, key_len, &piece, 1);
    itwi_backend_close(&b);
  }
  if (st != ITW_OK) itw_wipe(out, itw_prf_len(prf));
  return st;
}

static itw_status plus(uint8_t *out, size_t out_len, uint32_t prf, const uint8_t *key, size_t key_len,
                       const struct itwi_piece *seed, size_t n, const void *crypto)
{
  struct itwi_backend b;
  itw_status st = itwi_backend_open(&b, crypto);

  if (st == ITW_OK) st = itwi_prf_plus(&b, out, out_len, prf, key, key_len, seed, n);
  itwi_backend_close(&b);
  return st;
}

itw_status itw_prf_plus(uint8_t *out, size_t out_len, uint32_t prf, const uint8_t *key, size_t key_len,
                        const uint8_t *seed, size_t seed_len, const void *crypto)
{
  const struct itwi_piece piece = {seed, seed_len};
  itw_status st = ITW_ERR_ARGUMENT;

  if (!out) return ITW_ERR_ARGUMENT;
  if (fits(key, key_len) && fits(seed, seed_len)) st = plus(out, out_len, prf, key, key_len, &piece, 1, crypto);
  if (st != ITW_OK) itw_wipe(out, out_len);
  return st;
}

/* -------- what an exchange makes -------- */

static bool aes_prf(uint32_t prf) { return prf == ITW_PRF_AES128_XCBC || prf == ITW_PRF_AES128_CMAC; }

/* Nonces have 16 to 256 octets (RFC 7296 §2.10); shorter ones are let through, as far as they can key the prf. */
static itw_status take(struct itw_exchange *own, const struct itw_exchange *x, uint32_t prf)
{
  const uint32_t least = aes_prf(prf) ? 8 : 1;
  const itw_status st = itwi_abi_in(own, sizeof *own, x, sizeof *own);

  if (st != ITW_OK) return st;
  if (own->mbz || !own->ni || !own->nr || !fits(own->g_ir, own->g_ir_len)) return ITW_ERR_ARGUMENT;
  if (own->ni_len < least || own->ni_len > 256 || own->nr_len < least || own->nr_len > 256) return ITW_ERR_ARGUMENT;
  return ITW_OK;
}

static itw_status prf_of_pieces(uint8_t *out, uint32_t prf, const struct itwi_piece *key, size_t key_n,
                                const struct itwi_piece *pieces, size_t n, const void *crypto)
{
  struct itwi_backend b;
  itw_status st = itwi_backend_open(&b, crypto);

  if (st == ITW_OK) st = itwi_prf_pieces(&b, out, prf, key, key_n, pieces, n);
  itwi_backend_close(&b);
  return st;
}

/* The AES PRFs have a key of fixed length, half of it from each nonce (RFC 7296 §2.14). */
itw_status itw_skeyseed(uint8_t out[ITW_PRF_MAX], uint32_t prf, const struct itw_exchange *exchange, const void *crypto)
{
  struct itw_exchange x;
  itw_status st = take(&x, exchange, prf);

  if (!out) return ITW_ERR_ARGUMENT;
  if (st == ITW_OK && x.g_ir_len == 0) st = ITW_ERR_ARGUMENT;
  if (st == ITW_OK) {
    const struct itwi_piece key[] = {{x.ni, aes_prf(prf) ? 8 : x.ni_len}, {x.nr, aes_prf(prf) ? 8 : x.nr_len}};
    const struct itwi_piece data = {x.g_ir, x.g_ir_len};
    st = prf_of_pieces(out, prf, key, 2, &data, 1, crypto);
  }
  if (st != ITW_OK) itw_wipe(out, itw_prf_len(prf));
  return st;
}

itw_status itw_skeyseed_rekey(uint8_t out[ITW_PRF_MAX], uint32_t prf_old, const uint8_t *sk_d_old, size_t sk_d_old_len,
                              const struct itw_exchange *exchange, const void *crypto)
{
  const struct itwi_piece key = {sk_d_old, sk_d_old_len};
  struct itw_exchange x;
  itw_status st = take(&x, exchange, prf_old);

  if (!out) return ITW_ERR_ARGUMENT;
  if (st == ITW_OK && (x.g_ir_len == 0 || !is_key(sk_d_old, sk_d_old_len))) st = ITW_ERR_ARGUMENT;
  if (st == ITW_OK) {
    const struct itwi_piece data[] = {{x.g_ir, x.g_ir_len}, {x.ni, x.ni_len}, {x.nr, x.nr_len}};
    st = prf_of_pieces(out, prf_old, &key, 1, data, 3, crypto);
  }
  if (st != ITW_OK) itw_wipe(out, itw_prf_len(prf_old));
  return st;
}

itw_status itw_sk_d(uint8_t out[ITW_PRF_MAX], uint32_t prf, uint32_t prf_plus, const uint8_t *skeyseed,
                    size_t skeyseed_len, const struct itw_exchange *exchange, const void *crypto)
{
  const uint32_t len = itw_prf_len(prf);
  struct itw_exchange x;
  itw_status st = take(&x, exchange, prf_plus);

  if (!out) return ITW_ERR_ARGUMENT;
  if (st == ITW_OK && !is_key(skeyseed, skeyseed_len)) st = ITW_ERR_ARGUMENT;
  if (st == ITW_OK && len == 0) st = ITW_ERR_PRF;
  if (st == ITW_OK) {
    const struct itwi_piece seed[] = {{x.ni, x.ni_len}, {x.nr, x.nr_len}, {x.spi_i, 8}, {x.spi_r, 8}};
    st = plus(out, len, prf_plus, skeyseed, skeyseed_len, seed, 4, crypto);
  }
  if (st != ITW_OK) itw_wipe(out, len);
  return st;
}

itw_status itw_keymat(uint8_t *out, size_t out_len, uint32_t prf, const uint8_t *sk_d, size_t sk_d_len,
                      const struct itw_exchange *exchange, const void *crypto)
{
  struct itw_exchange x;
  itw_status st = take(&x, exchange, prf);

  if (!out) return ITW_ERR_ARGUMENT;
  if (st == ITW_OK && !is_key(sk_d, sk_d_len)) st = ITW_ERR_ARGUMENT;
  if (st == ITW_OK) {
    const struct itwi_piece seed[] = {{x.g_ir, x.g_ir_len}, {x.ni, x.ni_len}, {x.nr, x.nr_len}};
    st = plus(out, out_len, prf, sk_d, sk_d_len, seed, 3, crypto);
  }
  if (st != ITW_OK) itw_wipe(out, out_len);
  return st;
}

/* -------- what O/TWAMP makes of a secret -------- */

itw_status itwi_ikev2_secret(const struct itwi_backend *b, uint8_t out[ITW_PRF_MAX], uint32_t prf, const uint8_t *sk_d,
                             size_t sk_d_len)
{
  return of_label(b, out, prf, sk_d, sk_d_len, label_secret);
}

itw_status itw_ikev2_secret(uint8_t out[ITW_PRF_MAX], uint32_t prf, const uint8_t *sk_d, size_t sk_d_len,
                            const void *crypto)
{
  if (!is_key(sk_d, sk_d_len)) {
    if (out) itw_wipe(out, itw_prf_len(prf));
    return ITW_ERR_ARGUMENT;
  }
  return itw_prf(out, prf, sk_d, sk_d_len, (const uint8_t *)label_secret, strlen(label_secret), crypto);
}

/* One AES-128 block: CBC with IV 0. */
static itw_status one_block(const struct itwi_backend *b, uint8_t out[16], const uint8_t key[16], const uint8_t in[16])
{
  uint8_t iv[16] = {0};
  struct itwi_cbc c;
  itw_status st = itwi_cbc_open(&c, b);

  if (st == ITW_OK) st = itwi_cbc_key(&c, b, key, 16, ITWI_ENCRYPT);
  itwi_backend_enter(b);
  if (st == ITW_OK) st = itwi_cbc_run(&c, out, in, 16, iv);
  itwi_backend_leave(b);
  itwi_cbc_close(&c);
  return st;
}

itw_status itwi_root_token(const struct itwi_backend *b, uint8_t out[16], uint32_t prf, const uint8_t *root,
                           size_t root_len, const uint8_t challenge[16])
{
  uint8_t key[ITW_PRF_MAX];
  itw_status st = of_label(b, key, prf, root, root_len, label_token);

  if (st == ITW_OK) st = one_block(b, out, key, challenge);
  itw_wipe(key, sizeof key);
  if (st != ITW_OK) itw_wipe(out, 16);
  return st;
}

itw_status itw_root_token(uint8_t out[16], uint32_t prf, const uint8_t *root, size_t root_len,
                          const uint8_t challenge[16], const void *crypto)
{
  struct itwi_backend b;
  itw_status st = ITW_ERR_ARGUMENT;

  if (!out) return ITW_ERR_ARGUMENT;
  if (is_key(root, root_len) && challenge) {
    st = itwi_backend_open(&b, crypto);
    if (st == ITW_OK) st = itwi_root_token(&b, out, prf, root, root_len, challenge);
    itwi_backend_close(&b);
  }
  if (st != ITW_OK) itw_wipe(out, 16);
  return st;
}

/* The AES key is the first 16 octets of one prf, the HMAC key the first 32 of another, or all that it has. */
itw_status itwi_root_pair(const struct itwi_backend *b, struct itw_key_pair *out, uint32_t prf, const uint8_t *root,
                          size_t root_len)
{
  const uint32_t len = itw_prf_len(prf);
  uint8_t t[ITW_PRF_MAX];
  itw_status st;

  ITW_INIT(*out);
  st = of_label(b, t, prf, root, root_len, label_enc);
  if (st == ITW_OK) {
    out->enc_len = AES_KEY;
    memcpy(out->enc, t, AES_KEY);
    st = of_label(b, t, prf, root, root_len, label_auth);
  }
  if (st == ITW_OK) {
    out->auth_len = (uint16_t)(len < HMAC_KEY ? len : HMAC_KEY);
    memcpy(out->auth, t, out->auth_len);
  }
  itw_wipe(t, sizeof t);
  if (st != ITW_OK) {
    itw_wipe(out, sizeof *out);
    out->size = (uint32_t)sizeof *out;
  }
  return st;
}

itw_status itwi_sid_pair(const struct itwi_backend *b, struct itw_key_pair *out, uint32_t prf, const uint8_t *secret,
                         size_t secret_len, const uint8_t sid[16])
{
  const struct itwi_piece piece = {sid, 16};
  uint8_t k[ITW_PRF_MAX];
  itw_status st;

  ITW_INIT(*out);
  st = itwi_prf(b, k, prf, secret, secret_len, &piece, 1);
  if (st == ITW_OK) st = itwi_root_pair(b, out, prf, k, itw_prf_len(prf));
  itw_wipe(k, sizeof k);
  return st;
}

/* RFC 4656 §4.1.2. The key is the SID, which is public: a test session's keys are as secret as the control
   connection's. One block in ECB, then two in CBC with IV 0. */
static itw_status under_sid(const struct itwi_backend *b, struct itwi_cbc *c, struct itw_key_pair *out,
                            const struct itw_key_pair *control, const uint8_t sid[16])
{
  uint8_t iv[2][16] = {{0}};
  itw_status st = itwi_cbc_key(c, b, sid, 16, ITWI_ENCRYPT);

  itwi_backend_enter(b);
  if (st == ITW_OK) st = itwi_cbc_run(c, out->enc, control->enc, AES_KEY, iv[0]);
  if (st == ITW_OK) st = itwi_cbc_run(c, out->auth, control->auth, HMAC_KEY, iv[1]);
  itwi_backend_leave(b);
  itw_wipe(iv, sizeof iv);
  return st;
}

/* The RFC's session keys, 16 and 32 octets, are those of a Token. `root` and `direct`, whose keys may have other
   lengths, use the control connection's own for tests (draft §4.3). */
itw_status itwi_test_pair(const struct itwi_backend *b, struct itw_key_pair *out, const struct itw_key_pair *control,
                          const uint8_t sid[16])
{
  struct itwi_cbc c;
  itw_status st;

  ITW_INIT(*out);
  if (control->enc_len != AES_KEY || control->auth_len != HMAC_KEY) return ITW_ERR_ARGUMENT;
  st = itwi_cbc_open(&c, b);
  if (st == ITW_OK) st = under_sid(b, &c, out, control, sid);
  itwi_cbc_close(&c);
  if (st != ITW_OK) itw_wipe(out, sizeof *out);
  out->size = (uint32_t)sizeof *out;
  out->enc_len = st == ITW_OK ? AES_KEY : 0;
  out->auth_len = st == ITW_OK ? HMAC_KEY : 0;
  return st;
}

/* Hands a pair out, zeros on an error, and wipes the library's copy. */
static itw_status give(struct itw_key_pair *out, struct itw_key_pair *pair, itw_status st)
{
  itw_status given;

  if (st != ITW_OK) ITW_INIT(*pair);
  given = itwi_abi_out(out, pair, sizeof *pair, sizeof *pair);
  itw_wipe(pair, sizeof *pair);
  return st != ITW_OK ? st : given;
}

itw_status itw_root_pair(struct itw_key_pair *out, uint32_t prf, const uint8_t *root, size_t root_len,
                         const void *crypto)
{
  struct itw_key_pair pair;
  struct itwi_backend b;
  itw_status st = ITW_ERR_ARGUMENT;

  if (out && is_key(root, root_len)) {
    st = itwi_backend_open(&b, crypto);
    if (st == ITW_OK) st = itwi_root_pair(&b, &pair, prf, root, root_len);
    itwi_backend_close(&b);
  }
  return give(out, &pair, st);
}

itw_status itw_sid_pair(struct itw_key_pair *out, uint32_t prf, const uint8_t *secret, size_t secret_len,
                        const uint8_t sid[16], const void *crypto)
{
  struct itw_key_pair pair;
  struct itwi_backend b;
  itw_status st = ITW_ERR_ARGUMENT;

  if (out && is_key(secret, secret_len) && sid) {
    st = itwi_backend_open(&b, crypto);
    if (st == ITW_OK) st = itwi_sid_pair(&b, &pair, prf, secret, secret_len, sid);
    itwi_backend_close(&b);
  }
  return give(out, &pair, st);
}

itw_status itw_test_pair(struct itw_key_pair *out, const struct itw_key_pair *control, const uint8_t sid[16],
                         const void *crypto)
{
  struct itw_key_pair pair, from;
  struct itwi_backend b;
  itw_status st = ITW_ERR_ARGUMENT;

  if (out && sid) {
    st = itwi_abi_in(&from, sizeof from, control, sizeof from);
    if (st == ITW_OK) {
      st = itwi_backend_open(&b, crypto);
      if (st == ITW_OK) st = itwi_test_pair(&b, &pair, &from, sid);
      itwi_backend_close(&b);
    }
    itw_wipe(&from, sizeof from);
  }
  return give(out, &pair, st);
}
