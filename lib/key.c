/* SPDX-License-Identifier: BSD-3-Clause */
#include <ipsectwamp/key.h>

const char *itw_scheme_name(uint32_t scheme)
{
  switch (scheme) {
  case ITW_PSK: return "psk";
  case ITW_IKEV2: return "ikev2";
  case ITW_SHARED: return "shared";
  case ITW_SHARED_SID: return "shared-sid";
  case ITW_ROOT: return "root";
  case ITW_DIRECT: return "direct";
  default: return "?";
  }
}

const char *itw_mode_name(uint32_t mode)
{
  switch (mode) {
  case ITW_MODE_OPEN: return "open";
  case ITW_MODE_AUTH: return "auth";
  case ITW_MODE_ENC: return "enc";
  case ITW_MODE_MIXED: return "mixed";
  default: return "?";
  }
}

itw_status itw_child_sa_split(struct itw_child_sa *sa)
{
  if (!sa) return ITW_ERR_ARGUMENT;
  if (sa->size < sizeof *sa) return ITW_ERR_SIZE;
  const size_t encr = sa->encr_len, integ = sa->integ_len, one_way = encr + integ;
  if (sa->keymat_len > sizeof sa->keymat || sa->keymat_len != 2 * one_way || integ > sizeof sa->integ_key_i)
    return ITW_ERR_ARGUMENT;

  /* Only AES-CBC's keys are of use to a scheme; those of an AEAD, with its salt, may have 36 octets. */
  if (sa->encr == ITW_ENCR_AES_CBC) {
    if (encr > sizeof sa->encr_key_i) return ITW_ERR_ARGUMENT;
    memcpy(sa->encr_key_i, sa->keymat, encr);
    memcpy(sa->encr_key_r, sa->keymat + one_way, encr);
  }
  memcpy(sa->integ_key_i, sa->keymat + encr, integ);
  memcpy(sa->integ_key_r, sa->keymat + one_way + encr, integ);
  return ITW_OK;
}
