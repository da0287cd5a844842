/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_STREAM_H
#define ITWI_STREAM_H

/* One direction of a control connection after the IVs: an AES-CBC chain over everything, HMAC fields included, and
   HMAC-SHA1 over the plaintext since the last HMAC field (RFC 4656 §3.1, protocol.md 3). In unauthenticated mode it does
   nothing, and HMAC fields are MBZ. Layer 5. */

#include "crypto.h"
#include <ipsectwamp/kdf.h>

struct itwi_stream {
  struct itwi_cbc cbc;
  struct itwi_hmac_ctx hmac;
  uint8_t iv[16];
  uint32_t on; /* keyed */
  uint32_t mbz;
};

itw_status itwi_stream_open(struct itwi_stream *, const struct itwi_backend *);
void itwi_stream_close(struct itwi_stream *);
/* Begins the chain. direction: ITWI_ENCRYPT, ITWI_DECRYPT. */
itw_status itwi_stream_key(struct itwi_stream *, const struct itwi_backend *, const struct itw_key_pair *,
                           const uint8_t iv[16], int direction);
/* Encrypts or decrypts n octets (a multiple of 16) in place and counts the plaintext towards the next HMAC. */
itw_status itwi_stream_body(struct itwi_stream *, uint8_t *octets, size_t n, int direction);
/* A whole message in place: n octets of body, and 16 for the HMAC behind them. */
itw_status itwi_stream_seal(struct itwi_stream *, uint8_t *octets, size_t n);
/* Decrypts an HMAC field and compares: ITW_ERR_HMAC. */
itw_status itwi_stream_check(struct itwi_stream *, uint8_t hmac[16]);

#endif
