/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream.h"
#include "secret.h"

itw_status itwi_stream_open(struct itwi_stream *s, const struct itwi_backend *backend)
{
  itw_status st;
  memset(s, 0, sizeof *s);
  st = itwi_cbc_open(&s->cbc, backend);
  if (st == ITW_OK) st = itwi_hmac_open(&s->hmac, backend, ITWI_SHA1);
  if (st != ITW_OK) itwi_stream_close(s);
  return st;
}

void itwi_stream_close(struct itwi_stream *s)
{
  itwi_cbc_close(&s->cbc);
  itwi_hmac_close(&s->hmac);
  itw_wipe(s, sizeof *s);
}

itw_status itwi_stream_key(struct itwi_stream *s, const struct itwi_backend *backend, const struct itw_key_pair *pair,
                           const uint8_t iv[16], int direction)
{
  itw_status st = itwi_cbc_key(&s->cbc, backend, pair->enc, pair->enc_len, direction);
  if (st == ITW_OK) st = itwi_hmac_key(&s->hmac, backend, pair->auth, pair->auth_len);
  if (st == ITW_OK) st = itwi_hmac_begin(&s->hmac);
  if (st != ITW_OK) return st;
  memcpy(s->iv, iv, sizeof s->iv);
  s->on = 1;
  return ITW_OK;
}

itw_status itwi_stream_body(struct itwi_stream *s, uint8_t *octets, size_t n, int direction)
{
  itw_status st = ITW_OK;
  if (!s->on || !n) return ITW_OK;
  if (direction == ITWI_ENCRYPT) st = itwi_hmac_add(&s->hmac, octets, n);
  if (st == ITW_OK) st = itwi_cbc_run(&s->cbc, octets, octets, n, s->iv);
  if (st == ITW_OK && direction == ITWI_DECRYPT) st = itwi_hmac_add(&s->hmac, octets, n);
  return st;
}

/* The HMAC of what was counted so far, truncated to 16 octets, and the next one begun. */
static itw_status turn(struct itwi_stream *s, uint8_t out[16])
{
  uint8_t full[64]; /* room for any digest: only SHA-1's 20 are written */
  itw_status st = itwi_hmac_end(&s->hmac, full);
  if (st == ITW_OK) st = itwi_hmac_begin(&s->hmac);
  memcpy(out, full, 16);
  itw_wipe(full, sizeof full);
  return st;
}

itw_status itwi_stream_seal(struct itwi_stream *s, uint8_t *octets, size_t n)
{
  itw_status st = itwi_stream_body(s, octets, n, ITWI_ENCRYPT);
  if (!s->on) {
    memset(octets + n, 0, 16);
    return ITW_OK;
  }
  if (st == ITW_OK) st = turn(s, octets + n);
  if (st == ITW_OK) st = itwi_cbc_run(&s->cbc, octets + n, octets + n, 16, s->iv);
  return st;
}

itw_status itwi_stream_check(struct itwi_stream *s, uint8_t hmac[16])
{
  uint8_t ours[16];
  itw_status st;
  if (!s->on) return ITW_OK;
  st = itwi_cbc_run(&s->cbc, hmac, hmac, 16, s->iv);
  if (st == ITW_OK) st = turn(s, ours);
  if (st == ITW_OK && !itwi_equal(ours, hmac, 16)) st = ITW_ERR_HMAC;
  itw_wipe(ours, sizeof ours);
  return st;
}
