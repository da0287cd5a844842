/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_SCHEME_H
#define ITWI_SCHEME_H

/* The Modes field, the forms of greeting and Set-Up-Response, and the Tokens and keys of each scheme. Layer 5. */

#include "kdf.h"
#include <ipsectwamp/key.h>
#include <ipsectwamp/wire.h>
#include <stdbool.h>

/* The same bit of the Modes field means different things, so a connection has a profile. */
enum { ITWI_PROFILE_TWAMP, ITWI_PROFILE_OWAMP, ITWI_PROFILE_DRAFT };
uint32_t itwi_profile(uint32_t protocol, uint32_t schemes);

/* What a bit can mean; a profile's bits of a meaning. The values of security modes are those of their bits. */
enum { ITWI_NOTHING, ITWI_SECURITY, ITWI_IPSEC, ITWI_IKEV2, ITWI_FEATURE };
uint32_t itwi_modes(uint32_t profile, uint32_t meaning);

enum { ITWI_PROTECTED = ITW_MODE_AUTH | ITW_MODE_ENC | ITW_MODE_MIXED };

static inline bool itwi_is_draft(uint32_t scheme) { return (scheme & ITW_DRAFT) != 0; }
static inline bool itwi_one_bit(uint32_t v) { return v && !(v & (v - 1)); }

uint32_t itwi_scheme_form(uint32_t scheme);     /* ITW_FORM_* */
uint32_t itwi_scheme_ask(uint32_t scheme);      /* the kind of ask that sets its control connection up */
size_t itwi_greeting_len(uint32_t form);
size_t itwi_setup_len(uint32_t form);

/* Modes of a greeting. schemes: what it serves; modes: security modes to offer; features: ITW_FEATURE_*. */
uint32_t itwi_modes_offer(uint32_t protocol, uint32_t schemes, uint32_t modes, uint32_t features);

/* What a Server makes of a chosen Mode (protocol.md 1). */
struct itwi_choice {
  uint32_t scheme; /* 0: open */
  uint32_t mode;   /* ITW_MODE_* */
  uint32_t features; /* ITW_FEATURE_* */
};
struct itwi_policy {
  uint32_t protocol;     /* ITW_TWAMP, ITW_OWAMP */
  uint32_t offered;      /* Modes as sent */
  uint32_t schemes;      /* of this greeting */
  uint32_t legacy_modes; /* beside a draft scheme, in a 64-octet greeting: modes without an SA */
  uint32_t legacy_psk;   /* psk is configured for them */
};
/* ITW_OK; ITW_ERR_MODE: Accept 3; ITW_ERR_NOT_WILLING: Mode 0, close without an answer. */
itw_status itwi_mode_choice(struct itwi_choice *out, const struct itwi_policy *, uint32_t mode);
/* The Mode that a client sends. */
uint32_t itwi_mode_field(uint32_t protocol, const struct itwi_choice *);

/* Count as a client takes it (RFC 4656 §3.1, RFC 5357 §6). */
bool itwi_count_ok(uint32_t count, uint32_t max);

/* The Token of 64 octets: AES-CBC(Token key, IV 0; Challenge | AES Session-key | HMAC Session-key). */
itw_status itwi_token_make(const struct itwi_backend *, uint8_t out[64], const uint8_t token_key[16],
                           const uint8_t challenge[16], const uint8_t session_keys[48]);
/* ITW_ERR_TOKEN: it holds another Challenge. */
itw_status itwi_token_open(const struct itwi_backend *, struct itw_key_pair *out, const uint8_t token_key[16],
                           const uint8_t challenge[16], const uint8_t token[64]);
/* 16 octets AES Session-key and 32 HMAC Session-key as a pair. */
void itwi_session_keys(struct itw_key_pair *out, const uint8_t keys[48]);

/* KeyID of ikev2: SPIi 8 | SPIr 8 | zeros (RFC 7717 §5.3). */
void itwi_key_id_write(uint8_t key_id[80], const struct itw_sa *);
void itwi_key_id_read(struct itw_sa *out, const uint8_t key_id[80]);

/* An SA as a greeting has it: 4 octets of each SPI. */
bool itwi_sa_equal(const struct itw_sa *, const struct itw_sa *);

#endif
