/* SPDX-License-Identifier: BSD-3-Clause */
#include "keyring.h"

enum { SECURE = ITW_MODE_AUTH | ITW_MODE_ENC, SA_SCHEMES = ITW_IKEV2 | ITW_DRAFT };

/* ---- what is told of an SA ---- */

static itw_status check_prf(uint32_t prf, uint32_t flags)
{
  if (!itw_prf_len(prf)) return ITW_ERR_PRF;
  return prf != ITW_PRF_HMAC_MD5 || flags & ITW_ALLOW_MD5 ? ITW_OK : ITW_ERR_PRF;
}

static itw_status check_sa(const struct itw_sa *sa)
{
  const uint64_t max = sa->protocol == ITW_SA_IKE ? UINT64_MAX : UINT32_MAX;
  return sa->mbz || !sa->spi_i || !sa->spi_r || sa->spi_i > max || sa->spi_r > max ? ITW_ERR_ARGUMENT : ITW_OK;
}

static itw_status set_ends(struct itwi_key *k, const struct itw_addr *local, const struct itw_addr *peer, uint32_t prefix)
{
  const uint32_t bits = peer->family == 4 ? 32 : peer->family == 6 ? 128 : 0;
  if ((!bits && peer->family) || prefix > bits || (local->family && local->family != 4 && local->family != 6) ||
      (local->family && peer->family && local->family != peer->family))
    return ITW_ERR_ARGUMENT;
  k->local = *local;
  k->peer = *peer;
  k->prefix = (uint8_t)(prefix ? prefix : bits);
  return ITW_OK;
}

static itw_status set_schemes(struct itwi_key *k, uint32_t schemes)
{
  if (schemes & ~(uint32_t)SA_SCHEMES) return ITW_ERR_ARGUMENT;
  k->schemes = (uint8_t)(schemes ? schemes : SA_SCHEMES);
  return ITW_OK;
}

itw_status itwi_key_from_ike(struct itwi_key *k, const struct itw_ike_sa *sa)
{
  if (sa->flags & ~(uint32_t)ITW_ALLOW_MD5 || sa->sa.protocol != ITW_SA_IKE || check_sa(&sa->sa) ||
      sa->skeyseed_len > sizeof sa->skeyseed || sa->sk_d_len > sizeof sa->sk_d ||
      set_ends(k, &sa->local, &sa->peer, sa->peer_prefix) || set_schemes(k, sa->schemes))
    return ITW_ERR_ARGUMENT;
  k->protocol = ITW_SA_IKE;
  k->prf = sa->sa.prf;
  k->spi_i = sa->sa.spi_i;
  k->spi_r = sa->sa.spi_r;
  k->established = sa->established;
  k->secret_len = (uint16_t)sa->skeyseed_len;
  k->ippm_len = (uint16_t)(sa->sk_d_len ? itw_prf_len(k->prf) : 0);
  return check_prf(k->prf, sa->flags);
}

static itw_status check_transforms(const struct itw_child_sa *sa)
{
  switch (sa->encr) {
  case ITW_ENCR_NONE: return sa->sa.protocol == ITW_SA_AH ? ITW_OK : ITW_ERR_ARGUMENT;
  case ITW_ENCR_AES_CBC:
    if (sa->encr_len != 0 && sa->encr_len != 16 && sa->encr_len != 24 && sa->encr_len != 32) return ITW_ERR_ARGUMENT;
    break;
  case ITW_ENCR_NULL:
  case ITW_ENCR_AES_CTR:
  case ITW_ENCR_OTHER: break;
  case ITW_ENCR_AEAD: return sa->sa.protocol == ITW_SA_ESP ? ITW_OK : ITW_ERR_ARGUMENT;
  default: return ITW_ERR_ARGUMENT;
  }
  if (sa->sa.protocol != ITW_SA_ESP) return ITW_ERR_ARGUMENT;
  return sa->integ_len ? ITW_OK : ITW_ERR_SA_NO_INTEG;
}

itw_status itwi_key_from_child(struct itwi_key *k, const struct itw_child_sa *sa)
{
  const bool ipsec = sa->sa.protocol == ITW_SA_AH || sa->sa.protocol == ITW_SA_ESP;
  if (sa->flags & ~(uint32_t)(ITW_ALLOW_MD5 | ITW_EITHER_ORDER) || !ipsec || check_sa(&sa->sa) || sa->keyless > 0 ||
      sa->keymat_len > sizeof sa->keymat || sa->integ_len > sizeof sa->integ_key_i ||
      set_ends(k, &sa->local, &sa->peer, sa->peer_prefix) || set_schemes(k, sa->schemes))
    return ITW_ERR_ARGUMENT;
  const itw_status status = check_transforms(sa);
  if (status) return status;

  k->protocol = sa->sa.protocol;
  k->prf = sa->sa.prf;
  k->spi_i = sa->sa.spi_i;
  k->spi_r = sa->sa.spi_r;
  k->established = sa->established;
  k->secret_len = (uint16_t)sa->keymat_len;
  k->encr = (uint8_t)sa->encr;
  k->encr_len = sa->encr_len;
  k->integ_len = sa->integ_len;
  k->flags = (uint8_t)sa->flags;
  k->keyless = sa->keyless;
  return k->prf ? check_prf(k->prf, sa->flags) : ITW_OK;
}

/* ---- what it is good for ---- */

itw_status itwi_key_direct(const struct itwi_key *k)
{
  if (k->protocol == ITW_SA_AH) return ITW_ERR_SA_AH;
  switch (k->encr) {
  case ITW_ENCR_AES_CBC: return k->keyless ? k->keyless : k->encr_len ? ITW_OK : ITW_ERR_SA_KEYS;
  case ITW_ENCR_NULL: return ITW_ERR_SA_NULL;
  case ITW_ENCR_AEAD: return ITW_ERR_SA_AEAD;
  default: return ITW_ERR_SA_CIPHER;
  }
}

uint32_t itwi_key_modes(const struct itwi_key *k, uint32_t scheme, itw_status *why)
{
  const bool ike = k->protocol == ITW_SA_IKE;
  const itw_status no_keys = itwi_key_direct(k);

  *why = ITW_ERR_SA_UNFIT;
  if (!k->protocol || !(k->schemes & scheme)) return 0;
  switch (scheme) {
  case ITW_IKEV2:
    if (!ike) return 0;
    if (k->ippm_len) return ITW_MODE_OPEN | SECURE | ITW_MODE_MIXED;
    break;
  case ITW_SHARED:
  case ITW_SHARED_SID:
  case ITW_ROOT:
    if (k->secret_len && k->prf) return ITW_MODE_OPEN | SECURE;
    break;
  case ITW_DIRECT:
    if (ike) return 0;
    if (!no_keys) return ITW_MODE_OPEN | SECURE;
    *why = no_keys;
    return ITW_MODE_OPEN;
  default: return 0;
  }
  *why = ITW_ERR_SA_KEYS;
  return 0;
}

itw_status itwi_telling(itw_status a, itw_status b)
{
  static const itw_status order[] = {ITW_ERR_SA_NONE, ITW_ERR_SA_MISMATCH, ITW_ERR_SA_UNFIT, ITW_ERR_SA_KEYS};
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
    if (a == order[i]) return b;
    if (b == order[i]) return a;
  }
  return a;
}

itw_status itwi_key_use(const struct itwi_key *k)
{
  itw_status why = ITW_ERR_SA_UNFIT, reason;
  for (uint32_t scheme = 1; scheme <= ITW_DIRECT; scheme <<= 1) {
    if (itwi_key_modes(k, scheme, &reason)) return ITW_OK;
    why = itwi_telling(why, reason);
  }
  return why;
}
