/* SPDX-License-Identifier: BSD-3-Clause */
#include "seal.h"
#include "packet.h"
#include "secret.h"

enum { SHA1_LEN = 20 };

/* A context that failed is in no known state: keyed anew before it is used again. */
static itw_status failed(struct itwi_seal *s, itw_status status)
{
  s->keyed = 0;
  return status;
}

itw_status itwi_seal_open(struct itwi_seal *s, const struct itwi_backend *b)
{
  itw_status status;

  memset(s, 0, sizeof *s);
  status = itwi_cbc_open(&s->enc, b);
  if (status == ITW_OK) status = itwi_cbc_open(&s->dec, b);
  if (status == ITW_OK) status = itwi_hmac_open(&s->hmac, b, ITWI_SHA1);
  if (status != ITW_OK) itwi_seal_close(s);
  return status;
}

void itwi_seal_close(struct itwi_seal *s)
{
  itwi_cbc_close(&s->enc);
  itwi_cbc_close(&s->dec);
  itwi_hmac_close(&s->hmac);
  memset(s, 0, sizeof *s);
}

itw_status itwi_seal_key(struct itwi_seal *s, const struct itwi_backend *b, const struct itwi_keys *k, uint32_t need)
{
  const uint32_t want = need & ~s->keyed;
  itw_status status = ITW_OK;

  if (!want) return ITW_OK;
  if (want & ITWI_KEYED_ENC) status = itwi_cbc_key(&s->enc, b, k->enc, k->enc_len, ITWI_ENCRYPT);
  if (status == ITW_OK && (want & ITWI_KEYED_DEC)) status = itwi_cbc_key(&s->dec, b, k->enc, k->enc_len, ITWI_DECRYPT);
  if (status == ITW_OK && (want & ITWI_KEYED_HMAC)) status = itwi_hmac_key(&s->hmac, b, k->auth, k->auth_len);
  if (status == ITW_OK) s->keyed |= want;
  return status;
}

/* The library's contexts are opaque, but they have addresses; what is looked at often stands at the beginning or, in
   OpenSSL's cipher contexts, in the third line. A prefetch from beyond the end of a block does no harm. */
static void fetch_cbc(const struct itwi_cbc *c)
{
  ITWI_PREFETCH(c->h);
  ITWI_PREFETCH((const void *)((uintptr_t)c->h + 2 * ITWI_LINE));
}

void itwi_seal_fetch(const struct itwi_seal *s, uint32_t need)
{
  ITWI_PREFETCH(s->hmac.inner);
  if (need & ITWI_KEYED_DEC) fetch_cbc(&s->dec);
  if (need & ITWI_KEYED_ENC) fetch_cbc(&s->enc);
  ITWI_PREFETCH(s->hmac.outer);
  ITWI_PREFETCH(s->hmac.work);
}

/* Libraries wipe a context when it is closed; one that goes on is keyed over. Nothing to do about a failure. */
void itwi_seal_wipe(struct itwi_seal *s, const struct itwi_backend *b)
{
  static const struct itwi_keys none = {.enc_len = 32, .auth_len = 64};
  const uint32_t held = s->keyed;

  s->keyed = 0;
  if (held) (void)itwi_seal_key(s, b, &none, held);
  s->keyed = 0;
}

itw_status itwi_seal_packet(struct itwi_seal *s, uint8_t *packet, size_t covered, size_t hmac_at)
{
  uint8_t iv[16] = {0}, tag[SHA1_LEN];
  itw_status status = itwi_hmac(&s->hmac, tag, packet, covered);

  if (status != ITW_OK) return failed(s, status);
  memcpy(packet + hmac_at, tag, ITWI_TAG);
  status = itwi_cbc_run(&s->enc, packet, packet, covered, iv);
  return status == ITW_OK ? ITW_OK : failed(s, status);
}

itw_status itwi_unseal_packet(struct itwi_seal *s, uint8_t *out, const uint8_t *packet, size_t covered, size_t hmac_at)
{
  uint8_t iv[16] = {0}, tag[SHA1_LEN];
  itw_status status = itwi_cbc_run(&s->dec, out, packet, covered, iv);

  if (status == ITW_OK) status = itwi_hmac(&s->hmac, tag, out, covered);
  if (status != ITW_OK) return failed(s, status);
  if (itwi_equal(tag, packet + hmac_at, ITWI_TAG)) return ITW_OK;
  itw_wipe(tag, sizeof tag); /* it is what the forger wants */
  return ITW_ERR_HMAC;
}
