/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_SEAL_H
#define ITWI_SEAL_H

/* The cryptography of one test packet (RFC 5357 §4.1.2, 4.2.1, RFC 4656 §4.1.2).

                            covered    HMAC at
     sender's, auth           16         32
     sender's, enc            32         32
     reflector's, auth        16         96
     reflector's, enc         96         96

   HMAC-SHA1 over the plaintext of what is covered, its first 16 octets in the clear; then AES-CBC with IV 0 over the same
   octets. One block of CBC with IV 0 is ECB, so authenticated mode needs nothing of its own. Layer 5. */

#include "crypto.h"

enum { ITWI_TAG = 16 }; /* octets of the HMAC field */

/* A session's keys as a shard keeps them. */
struct itwi_keys {
  uint8_t enc_len, auth_len;
  uint8_t enc[32], auth[64];
};

/* What sealing needs stands in front, with 64-bit pointers in one cache line. */
struct itwi_seal {
  struct itwi_cbc enc;
  struct itwi_hmac_ctx hmac;
  uint32_t keyed; /* which of them hold the owner's keys */
  uint32_t owner; /* cache.h */
  struct itwi_cbc dec;
};
enum { ITWI_KEYED_ENC = 1, ITWI_KEYED_DEC = 2, ITWI_KEYED_HMAC = 4 };
enum { ITWI_SEALS = ITWI_KEYED_ENC | ITWI_KEYED_HMAC, ITWI_UNSEALS = ITWI_KEYED_DEC | ITWI_KEYED_HMAC };

itw_status itwi_seal_open(struct itwi_seal *, const struct itwi_backend *);
void itwi_seal_close(struct itwi_seal *);
/* Sets up what of `need` isn't keyed yet; one direction of a session that only sends is never paid for. */
itw_status itwi_seal_key(struct itwi_seal *, const struct itwi_backend *, const struct itwi_keys *, uint32_t need);
/* The keys are another session's from now on. */
static inline void itwi_seal_rekey(struct itwi_seal *s, uint32_t owner)
{
  s->keyed = 0;
  s->owner = owner;
}
/* Fetches what it points to, for a use like `need`. */
void itwi_seal_fetch(const struct itwi_seal *, uint32_t need);
/* Overwrites the keys that the crypto library holds, as far as it lets us. */
void itwi_seal_wipe(struct itwi_seal *, const struct itwi_backend *);

/* In place: packet[0 .. covered) from plain to wire, and its HMAC field. Needs ITWI_SEALS. */
itw_status itwi_seal_packet(struct itwi_seal *, uint8_t *packet, size_t covered, size_t hmac_at);
/* out[0 .. covered) is the plaintext; the packet stays. ITW_ERR_HMAC: out means nothing. Needs ITWI_UNSEALS. */
itw_status itwi_unseal_packet(struct itwi_seal *, uint8_t *out, const uint8_t *packet, size_t covered, size_t hmac_at);

#endif
