/* SPDX-License-Identifier: BSD-3-Clause */
#include "scheme.h"
#include "octets.h"
#include "secret.h"

/* One line a scheme: protocol.md 2. */
static const struct {
  uint32_t scheme, form, ask;
} table[] = {
  {ITW_PSK, ITW_FORM_FULL, ITW_ASK_TOKEN_KEY},
  {ITW_IKEV2, ITW_FORM_FULL, ITW_ASK_TOKEN_KEY},
  {ITW_SHARED, ITW_FORM_FULL, ITW_ASK_TOKEN_KEY},
  {ITW_SHARED_SID, ITW_FORM_FULL, ITW_ASK_TOKEN_KEY},
  {ITW_ROOT, ITW_FORM_ROOT, ITW_ASK_ROOT},
  {ITW_DIRECT, ITW_FORM_DIRECT, ITW_ASK_PAIR},
};
enum { SCHEMES = sizeof table / sizeof table[0] };

uint32_t itwi_scheme_form(uint32_t scheme)
{
  for (size_t i = 0; i < SCHEMES; i++)
    if (table[i].scheme == scheme) return table[i].form;
  return ITW_FORM_FULL;
}

uint32_t itwi_scheme_ask(uint32_t scheme)
{
  for (size_t i = 0; i < SCHEMES; i++)
    if (table[i].scheme == scheme) return table[i].ask;
  return 0;
}

size_t itwi_greeting_len(uint32_t form)
{
  if (form == ITW_FORM_ROOT) return ITW_GREETING_ROOT;
  return form == ITW_FORM_DIRECT ? ITW_GREETING_DIRECT : ITW_GREETING_FULL;
}

size_t itwi_setup_len(uint32_t form)
{
  if (form == ITW_FORM_ROOT) return ITW_SETUP_ROOT;
  return form == ITW_FORM_DIRECT ? ITW_SETUP_DIRECT : ITW_SETUP_FULL;
}

/* ---- the Modes field ---- */

/* A row a bit: what it means in the TWAMP registry (RFC 5618, 5938 §6, 6038 §7, 7717 §7, 7750 §3, 8186 §3), in OWAMP's (RFC
   7718 §3) and in draft-01's profile of both protocols (§4.2). What a profile doesn't name is ignored. */
static const struct {
  uint32_t bit;
  uint8_t meaning[3]; /* by profile */
} registry[] = {
  /*                           TWAMP          OWAMP          draft-01 */
  {ITW_MODE_OPEN,              {ITWI_SECURITY, ITWI_SECURITY, ITWI_SECURITY}},
  {ITW_MODE_AUTH,              {ITWI_SECURITY, ITWI_SECURITY, ITWI_SECURITY}},
  {ITW_MODE_ENC,               {ITWI_SECURITY, ITWI_SECURITY, ITWI_SECURITY}},
  {ITW_MODE_MIXED,             {ITWI_SECURITY, ITWI_NOTHING,  ITWI_IPSEC}},
  {ITW_FEATURE_SESSION_CONTROL,{ITWI_FEATURE,  ITWI_IKEV2,    ITWI_NOTHING}},
  {ITW_FEATURE_REFLECT,        {ITWI_FEATURE,  ITWI_NOTHING,  ITWI_NOTHING}},
  {ITW_FEATURE_SYMMETRICAL,    {ITWI_FEATURE,  ITWI_NOTHING,  ITWI_NOTHING}},
  {1u << 7,                    {ITWI_IKEV2,    ITWI_NOTHING,  ITWI_NOTHING}},
  {ITW_FEATURE_DSCP_ECN,       {ITWI_FEATURE,  ITWI_NOTHING,  ITWI_NOTHING}},
  {ITW_FEATURE_PTP,            {ITWI_FEATURE,  ITWI_NOTHING,  ITWI_NOTHING}},
};

uint32_t itwi_profile(uint32_t protocol, uint32_t schemes)
{
  if (itwi_is_draft(schemes)) return ITWI_PROFILE_DRAFT;
  return protocol == ITW_OWAMP ? ITWI_PROFILE_OWAMP : ITWI_PROFILE_TWAMP;
}

uint32_t itwi_modes(uint32_t profile, uint32_t meaning)
{
  uint32_t bits = 0;
  for (size_t i = 0; i < sizeof registry / sizeof registry[0]; i++)
    if (registry[i].meaning[profile] == meaning) bits |= registry[i].bit;
  return bits;
}

static uint32_t named(uint32_t profile)
{
  return itwi_modes(profile, ITWI_SECURITY) | itwi_modes(profile, ITWI_IPSEC) | itwi_modes(profile, ITWI_IKEV2) |
         itwi_modes(profile, ITWI_FEATURE);
}

uint32_t itwi_modes_offer(uint32_t protocol, uint32_t schemes, uint32_t modes, uint32_t features)
{
  uint32_t profile = itwi_profile(protocol, schemes);
  if (!schemes) modes &= ITW_MODE_OPEN;
  modes &= itwi_modes(profile, ITWI_SECURITY);
  if (!modes) return 0;
  if (schemes & ITW_IKEV2 && modes & ITWI_PROTECTED) modes |= itwi_modes(profile, ITWI_IKEV2);
  return modes | itwi_modes(profile, ITWI_IPSEC) | (features & itwi_modes(profile, ITWI_FEATURE));
}

/* A client without the IPsec bit, on a greeting that names an SA or instead of one. */
static itw_status legacy_choice(struct itwi_choice *out, const struct itwi_policy *p, uint32_t mode)
{
  uint32_t security = mode & itwi_modes(ITWI_PROFILE_DRAFT, ITWI_SECURITY);
  if (!itwi_one_bit(security) || !(security & p->legacy_modes & p->offered)) return ITW_ERR_MODE;
  if (security != ITW_MODE_OPEN && !p->legacy_psk) return ITW_ERR_MODE;
  *out = (struct itwi_choice){security == ITW_MODE_OPEN ? 0 : ITW_PSK, security, 0};
  return ITW_OK;
}

static itw_status draft_choice(struct itwi_choice *out, const struct itwi_policy *p, uint32_t mode)
{
  uint32_t security = mode & itwi_modes(ITWI_PROFILE_DRAFT, ITWI_SECURITY);
  uint32_t ipsec = mode & itwi_modes(ITWI_PROFILE_DRAFT, ITWI_IPSEC);
  if (!security && !ipsec) return ITW_ERR_NOT_WILLING;
  if (!ipsec) return itwi_scheme_form(p->schemes) == ITW_FORM_FULL ? legacy_choice(out, p, mode) : ITW_ERR_MODE;
  if (!itwi_one_bit(security) || !(security & p->offered)) return ITW_ERR_MODE;
  *out = (struct itwi_choice){p->schemes, security, 0};
  return ITW_OK;
}

itw_status itwi_mode_choice(struct itwi_choice *out, const struct itwi_policy *p, uint32_t mode)
{
  uint32_t profile = itwi_profile(p->protocol, p->schemes);
  uint32_t security = mode & itwi_modes(profile, ITWI_SECURITY);
  uint32_t features = mode & itwi_modes(profile, ITWI_FEATURE);
  uint32_t scheme = mode & itwi_modes(profile, ITWI_IKEV2) ? ITW_IKEV2 : ITW_PSK;
  if (profile == ITWI_PROFILE_DRAFT) return draft_choice(out, p, mode);
  if (!security) return ITW_ERR_NOT_WILLING;
  if (!itwi_one_bit(security) || mode & named(profile) & ~p->offered) return ITW_ERR_MODE;
  if (security == ITW_MODE_OPEN) scheme = 0;
  if (scheme & ~p->schemes) return ITW_ERR_MODE;
  *out = (struct itwi_choice){scheme, security, features};
  return ITW_OK;
}

uint32_t itwi_mode_field(uint32_t protocol, const struct itwi_choice *c)
{
  uint32_t profile = itwi_profile(protocol, c->scheme);
  uint32_t ikev2 = c->scheme == ITW_IKEV2 ? itwi_modes(profile, ITWI_IKEV2) : 0;
  return c->mode | itwi_modes(profile, ITWI_IPSEC) | ikev2 | c->features;
}

bool itwi_count_ok(uint32_t count, uint32_t max) { return itwi_one_bit(count) && count >= 1024 && count <= max; }

static itw_status token_cbc(const struct itwi_backend *backend, uint8_t octets[64], const uint8_t token_key[16], int direction)
{
  struct itwi_cbc cbc;
  uint8_t iv[16] = {0};
  itw_status st = itwi_cbc_open(&cbc, backend);
  if (st != ITW_OK) return st;
  st = itwi_cbc_key(&cbc, backend, token_key, 16, direction);
  if (st == ITW_OK) st = itwi_cbc_run(&cbc, octets, octets, 64, iv);
  itwi_cbc_close(&cbc);
  return st;
}

itw_status itwi_token_make(const struct itwi_backend *backend, uint8_t out[64], const uint8_t token_key[16],
                           const uint8_t challenge[16], const uint8_t session_keys[48])
{
  itw_status st;
  memcpy(out, challenge, 16);
  memcpy(out + 16, session_keys, 48);
  st = token_cbc(backend, out, token_key, ITWI_ENCRYPT);
  if (st != ITW_OK) itw_wipe(out, 64);
  return st;
}

itw_status itwi_token_open(const struct itwi_backend *backend, struct itw_key_pair *out, const uint8_t token_key[16],
                           const uint8_t challenge[16], const uint8_t token[64])
{
  uint8_t plain[64];
  itw_status st;
  memcpy(plain, token, sizeof plain);
  st = token_cbc(backend, plain, token_key, ITWI_DECRYPT);
  if (st == ITW_OK && !itwi_equal(plain, challenge, 16)) st = ITW_ERR_TOKEN;
  if (st == ITW_OK) itwi_session_keys(out, plain + 16);
  itw_wipe(plain, sizeof plain);
  return st;
}

void itwi_session_keys(struct itw_key_pair *out, const uint8_t keys[48])
{
  ITW_INIT(*out);
  out->enc_len = 16;
  out->auth_len = 32;
  memcpy(out->enc, keys, 16);
  memcpy(out->auth, keys + 16, 32);
}

void itwi_key_id_write(uint8_t key_id[80], const struct itw_sa *sa)
{
  memset(key_id, 0, 80);
  itwi_store64(key_id, sa->spi_i);
  itwi_store64(key_id + 8, sa->spi_r);
}

void itwi_key_id_read(struct itw_sa *out, const uint8_t key_id[80])
{
  ITW_INIT(*out);
  out->protocol = ITW_SA_IKE;
  out->spi_i = itwi_load64(key_id);
  out->spi_r = itwi_load64(key_id + 8);
}

bool itwi_sa_equal(const struct itw_sa *a, const struct itw_sa *b)
{
  return a->protocol == b->protocol && a->spi_i == b->spi_i && a->spi_r == b->spi_r;
}
