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

uint32_t itwi_modes_offer(uint32_t schemes, uint32_t modes)
{
  if (itwi_is_draft(schemes)) {
    modes &= ITWI_OPEN_DRAFT;
    return modes ? modes | ITWI_BIT_IPSEC : 0;
  }
  if (!(schemes & (ITW_PSK | ITW_IKEV2))) modes &= ITW_MODE_OPEN;
  modes &= ITWI_SECURITY;
  return schemes & ITW_IKEV2 && modes & ITWI_PROTECTED ? modes | ITWI_BIT_IKEV2 : modes;
}

/* A client without the IPsec bit, on a greeting that names an SA or instead of one. */
static itw_status legacy_choice(struct itwi_choice *out, const struct itwi_policy *p, uint32_t mode)
{
  uint32_t security = mode & ITWI_SECURITY;
  if (!itwi_one_bit(security) || !(security & p->legacy_modes & p->offered)) return ITW_ERR_MODE;
  if (security != ITW_MODE_OPEN && !p->legacy_psk) return ITW_ERR_MODE;
  *out = (struct itwi_choice){security == ITW_MODE_OPEN ? 0 : ITW_PSK, security};
  return ITW_OK;
}

static itw_status draft_choice(struct itwi_choice *out, const struct itwi_policy *p, uint32_t mode)
{
  uint32_t security = mode & ITWI_OPEN_DRAFT;
  if (!(mode & ITWI_SECURITY)) return ITW_ERR_NOT_WILLING;
  if (!(mode & ITWI_BIT_IPSEC))
    return itwi_scheme_form(p->schemes) == ITW_FORM_FULL ? legacy_choice(out, p, mode) : ITW_ERR_MODE;
  if (!itwi_one_bit(security) || !(security & p->offered)) return ITW_ERR_MODE;
  *out = (struct itwi_choice){p->schemes, security};
  return ITW_OK;
}

itw_status itwi_mode_choice(struct itwi_choice *out, const struct itwi_policy *p, uint32_t mode)
{
  uint32_t security = mode & ITWI_SECURITY;
  if (itwi_is_draft(p->schemes)) return draft_choice(out, p, mode);
  if (!security) return ITW_ERR_NOT_WILLING;
  if (!itwi_one_bit(security) || mode & ITWI_REGISTRY & ~p->offered) return ITW_ERR_MODE;
  if (security == ITW_MODE_OPEN) {
    *out = (struct itwi_choice){0, security};
    return ITW_OK;
  }
  uint32_t scheme = mode & ITWI_BIT_IKEV2 ? ITW_IKEV2 : ITW_PSK;
  if (!(scheme & p->schemes)) return ITW_ERR_MODE;
  *out = (struct itwi_choice){scheme, security};
  return ITW_OK;
}

uint32_t itwi_mode_field(const struct itwi_choice *c)
{
  if (itwi_is_draft(c->scheme)) return c->mode | ITWI_BIT_IPSEC;
  return c->scheme == ITW_IKEV2 ? c->mode | ITWI_BIT_IKEV2 : c->mode;
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
