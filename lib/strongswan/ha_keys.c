/* SPDX-License-Identifier: BSD-3-Clause */
#include "ha_keys.h"
#include "../octets.h"

/* ---- an IKE SA ---- */

static struct itw_exchange exchange_of(const struct itwi_ha_message *m)
{
  struct itw_exchange x;

  ITW_INIT(x);
  x.ni_len = m->nonce_i.len;
  x.nr_len = m->nonce_r.len;
  x.g_ir_len = m->secret.len;
  x.ni = m->nonce_i.p;
  x.nr = m->nonce_r.p;
  x.g_ir = m->secret.p;
  itwi_store64(x.spi_i, m->ike.spi_i);
  itwi_store64(x.spi_r, m->ike.spi_r);
  return x;
}

static itw_status check_ike(const struct itwi_ha_message *m)
{
  if (m->ike_version != 2 || m->ike.version != 2) return ITW_ERR_SA_UNFIT;
  if (!m->prf || m->add_secret.len || !m->nonce_i.len || !m->nonce_r.len || !m->secret.len) return ITW_ERR_SA_KEYS;
  return itw_prf_len(m->prf) && (!m->rekeyed.spi_i || itw_prf_len(m->old_prf)) ? ITW_OK : ITW_ERR_PRF;
}

/* charon makes prf+ after a rekey with the old SA's PRF, to 6.0.6 at least, where RFC 7296 2.18 wants the new one's. */
itw_status itwi_ha_ike_keys(struct itwi_ike_keys *out, const struct itwi_ha_message *m, const void *crypto)
{
  const struct itw_exchange x = exchange_of(m);
  const bool rekey = m->rekeyed.spi_i;
  const uint32_t made_with = rekey ? m->old_prf : m->prf;

  memset(out, 0, sizeof *out);
  itw_status st = check_ike(m);
  if (st) return st;
  if (rekey)
    st = itw_skeyseed_rekey(out->skeyseed, m->old_prf, m->old_sk_d.p, m->old_sk_d.len, &x, crypto);
  else
    st = itw_skeyseed(out->skeyseed, m->prf, &x, crypto);
  if (!st) st = itw_sk_d(out->sk_d, m->prf, made_with, out->skeyseed, itw_prf_len(made_with), &x, crypto);
  if (st) {
    itw_wipe(out, sizeof *out);
    return st == ITW_ERR_ARGUMENT ? ITW_ERR_SA_KEYS : st; /* nonces of a wrong length */
  }
  out->skeyseed_len = itw_prf_len(made_with);
  out->sk_d_len = itw_prf_len(m->prf);
  return ITW_OK;
}

/* ---- a CHILD SA ---- */

struct transform {
  uint16_t first, last; /* IKEv2's numbers (RFC 7296 3.3.2), above 1024 strongSwan's own */
  uint16_t octets;      /* of a key, or those that follow it: an AEAD's salt, a counter's nonce */
  uint16_t bits;        /* of a key whose length isn't negotiated; 0: it is */
  uint32_t encr;        /* ITW_ENCR_* */
};

static const struct transform ciphers[] = {
  {2, 2, 0, 64, ITW_ENCR_OTHER},    /* DES */
  {3, 3, 0, 192, ITW_ENCR_OTHER},   /* 3DES */
  {6, 7, 0, 0, ITW_ENCR_OTHER},     /* CAST, Blowfish */
  {12, 12, 0, 0, ITW_ENCR_AES_CBC},
  {13, 13, 4, 0, ITW_ENCR_AES_CTR}, /* RFC 3686 */
  {14, 16, 3, 0, ITW_ENCR_AEAD},    /* AES-CCM, RFC 4309 */
  {18, 20, 4, 0, ITW_ENCR_AEAD},    /* AES-GCM, RFC 4106 */
  {21, 21, 4, 0, ITW_ENCR_AEAD},    /* NULL with AES-GMAC, RFC 4543 */
  {23, 23, 0, 0, ITW_ENCR_OTHER},   /* Camellia */
  {24, 24, 4, 0, ITW_ENCR_OTHER},
  {25, 27, 3, 0, ITW_ENCR_AEAD},
  {28, 28, 4, 256, ITW_ENCR_AEAD},  /* ChaCha20-Poly1305, RFC 7634 */
  {1026, 1027, 0, 0, ITW_ENCR_OTHER}, /* Serpent, Twofish */
};
static const struct transform integrities[] = {
  {1, 1, 16, 0, 0}, {2, 2, 20, 0, 0},   {5, 6, 16, 0, 0},   {7, 7, 20, 0, 0},       {8, 8, 16, 0, 0},       {12, 12, 32, 0, 0},
  {13, 13, 48, 0, 0}, {14, 14, 64, 0, 0}, {1026, 1027, 32, 0, 0}, {1028, 1028, 48, 0, 0}, {1029, 1029, 64, 0, 0},
};

static const struct transform *find(const struct transform *list, size_t n, uint16_t number)
{
  for (size_t i = 0; i < n; i++)
    if (list[i].first <= number && number <= list[i].last) return &list[i];
  return NULL;
}

/* The feed doesn't say ESP or AH; an ESP SA always has a cipher, if only NULL. */
static itw_status set_transforms(struct itwi_child_keys *k, const struct itwi_ha_message *m)
{
  const struct transform *const cipher = find(ciphers, sizeof ciphers / sizeof ciphers[0], m->encr);
  const struct transform *const integrity = find(integrities, sizeof integrities / sizeof integrities[0], m->integ);
  const bool null = m->encr == ITW_ENCR_NULL;

  k->protocol = m->encr ? ITW_SA_ESP : ITW_SA_AH;
  k->encr = cipher ? cipher->encr : null ? ITW_ENCR_NULL : ITW_ENCR_NONE;
  if (cipher) {
    const uint16_t bits = m->encr_bits ? m->encr_bits : cipher->bits;
    if (!bits || bits % 8 || bits > 512) return ITW_ERR_SA_CIPHER;
    k->encr_len = (uint16_t)(bits / 8 + cipher->octets);
  }
  if (integrity) k->integ_len = integrity->octets;
  if (m->encr && !cipher && !null) return ITW_ERR_SA_CIPHER;
  return m->integ && !integrity ? ITW_ERR_SA_NO_INTEG : ITW_OK;
}

itw_status itwi_ha_child_keys(struct itwi_child_keys *out, const struct itwi_ha_message *m, uint32_t prf, const uint8_t *sk_d,
                              const void *crypto)
{
  const struct itw_exchange x = exchange_of(m);
  const uint32_t sk_d_len = itw_prf_len(prf);

  memset(out, 0, sizeof *out);
  itw_status st = set_transforms(out, m);
  const uint32_t len = 2u * (out->encr_len + out->integ_len);
  if (st) return st;
  if (!len) return ITW_ERR_SA_NO_INTEG;
  if (len > sizeof out->keymat || !sk_d_len || m->add_secret.len || !m->nonce_i.len || !m->nonce_r.len) return ITW_ERR_SA_KEYS;
  st = itw_keymat(out->keymat, len, prf, sk_d, sk_d_len, &x, crypto);
  if (st == ITW_OK) out->keymat_len = len;
  return st == ITW_ERR_ARGUMENT ? ITW_ERR_SA_KEYS : st;
}
