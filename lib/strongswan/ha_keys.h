/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_STRONGSWAN_HA_KEYS_H
#define ITWI_STRONGSWAN_HA_KEYS_H

/* From a datagram's inputs to the keys that charon derived from them. */

#include "ha_message.h"
#include <ipsectwamp/key.h>

/* Of an IKE SA; a secret. */
struct itwi_ike_keys {
  uint32_t skeyseed_len, sk_d_len;
  uint8_t skeyseed[ITW_PRF_MAX], sk_d[ITW_PRF_MAX];
};

/* From an IKE_ADD. ITW_ERR_PRF: a PRF that isn't known. ITW_ERR_SA_KEYS: the message doesn't hold all that they follow from:
   one of several key exchanges (RFC 9370). ITW_ERR_SA_UNFIT: IKEv1. */
itw_status itwi_ha_ike_keys(struct itwi_ike_keys *, const struct itwi_ha_message *, const void *crypto);

/* Of a CHILD SA; a secret. */
struct itwi_child_keys {
  uint32_t protocol;   /* ITW_SA_ESP, _AH */
  uint32_t encr;       /* ITW_ENCR_* */
  uint32_t keymat_len; /* 0: not known */
  uint16_t encr_len, integ_len;
  uint8_t keymat[ITW_KEYMAT_MAX];
};

/* From a CHILD_ADD and SK_d of its IKE SA; prf 0: that isn't known, and so KEYMAT neither. ITW_ERR_SA_CIPHER,
   ITW_ERR_SA_NO_INTEG: transforms whose keys' lengths aren't known. ITW_ERR_SA_KEYS: the message doesn't hold all. */
itw_status itwi_ha_child_keys(struct itwi_child_keys *, const struct itwi_ha_message *, uint32_t prf, const uint8_t *sk_d,
                              const void *crypto);

#endif
