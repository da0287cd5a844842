/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_STRONGSWAN_HA_MESSAGE_H
#define ITWI_STRONGSWAN_HA_MESSAGE_H

/* A datagram of charon's HA plugin. There is no other description of it than strongSwan's source
   (src/libcharon/plugins/ha/ha_message.c); what is here was read from 5.9.8 to 6.0.6.

     0  version: 3 (to 6.0.0), 4, 5 (from 6.0.3)    1  type    2  attributes: a number, then a value that says nothing of
                                                                 its length, so an unknown number ends what can be read

     IKE SA's name  IKE version 1 | SPIi 8 | SPIr 8 | we are the initiator 1
     identity       type 1 | length 1 | octets          address  port 2 | family 1 (AF_*) | 4 or 16
     selector       type 1 (7, 8: RFC 7296 3.13.1) | protocol 1 | from port 2 | to port 2 | dynamic 1 | from | to
     name           octets | NUL                        octets   length 2 | octets

   Integers are in network order; the SPIs of CHILD SAs are that already before they are made so. */

#include <ipsectwamp/error.h>
#include <stdbool.h>

enum { ITWI_HA_VERSION = 3, ITWI_HA_VERSION_MAX = 5, ITWI_HA_OCTETS = 2048 /* charon's own buffer for one */ };

enum {
  ITWI_HA_IKE_ADD = 1, /* keys were derived; nobody is authenticated yet, but in a rekey */
  ITWI_HA_IKE_UPDATE,  /* the IKE SA is up */
  ITWI_HA_IKE_MID_INITIATOR,
  ITWI_HA_IKE_MID_RESPONDER,
  ITWI_HA_IKE_DELETE,
  ITWI_HA_CHILD_ADD,
  ITWI_HA_CHILD_DELETE,
  ITWI_HA_SEGMENT_DROP,
  ITWI_HA_SEGMENT_TAKE,
  ITWI_HA_STATUS,
  ITWI_HA_RESYNC,
  ITWI_HA_IKE_IV
};

/* Numbers of attributes, as in version 3. */
enum {
  ITWI_HA_IKE_ID = 1, ITWI_HA_IKE_REKEY_ID, ITWI_HA_LOCAL_ID, ITWI_HA_REMOTE_ID, ITWI_HA_REMOTE_EAP_ID, ITWI_HA_LOCAL_ADDR,
  ITWI_HA_REMOTE_ADDR, ITWI_HA_CONFIG_NAME, ITWI_HA_CONDITIONS, ITWI_HA_EXTENSIONS, ITWI_HA_LOCAL_VIP, ITWI_HA_REMOTE_VIP,
  ITWI_HA_PEER_ADDR, ITWI_HA_INITIATOR, ITWI_HA_NONCE_I, ITWI_HA_NONCE_R, ITWI_HA_SECRET, ITWI_HA_OLD_SKD, ITWI_HA_ALG_PRF,
  ITWI_HA_ALG_OLD_PRF, ITWI_HA_ALG_ENCR, ITWI_HA_ALG_ENCR_LEN, ITWI_HA_ALG_INTEG, ITWI_HA_ALG_DH, ITWI_HA_IPSEC_MODE,
  ITWI_HA_IPCOMP, ITWI_HA_INBOUND_SPI, ITWI_HA_OUTBOUND_SPI, ITWI_HA_INBOUND_CPI, ITWI_HA_OUTBOUND_CPI, ITWI_HA_LOCAL_TS,
  ITWI_HA_REMOTE_TS, ITWI_HA_MID, ITWI_HA_SEGMENT, ITWI_HA_ESN, ITWI_HA_IKE_VERSION, ITWI_HA_LOCAL_DH, ITWI_HA_REMOTE_DH,
  ITWI_HA_PSK, ITWI_HA_IV, ITWI_HA_AUTH_METHOD,
  ITWI_HA_ADD_SECRET, /* from version 4: of further key exchanges (RFC 9370) */
  ITWI_HA_ALG_ADD_KES
};

struct itwi_octets {
  const uint8_t *p;
  uint32_t len;
  uint32_t mbz;
};

/* An attribute: without the length of octets and the NUL of names. */
struct itwi_ha_attribute {
  uint32_t number; /* ITWI_HA_* */
  uint32_t mbz;
  struct itwi_octets value;
};

struct itwi_ha_cursor {
  const uint8_t *p;
  size_t left;
  uint32_t version;
  bool bad;
};

struct itwi_ha_id {
  uint64_t spi_i, spi_r; /* 0: no such attribute */
  uint8_t version;
  bool initiator;
};

/* Addresses and ports, both ends included. */
struct itwi_ha_range {
  struct itw_addr from, to;
};

enum { ITWI_HA_RANGES = 4 /* of each side; more aren't looked at */ };

/* What matters of a message. Octets stand in the datagram. */
struct itwi_ha_message {
  uint8_t version, type;
  uint8_t ike_version;
  bool initiator;        /* CHILD_ADD: of its exchange, we */
  bool ppk;              /* IKE_UPDATE: SK_d isn't the one that follows from IKE_ADD (RFC 8784) */
  uint16_t prf, old_prf, encr, encr_bits, integ; /* 0: no such attribute */
  uint32_t inbound, outbound;                    /* SPIs */
  struct itwi_ha_id ike, rekeyed;
  struct itw_addr local, remote; /* port 0; family 0: no such attribute */
  struct itwi_octets nonce_i, nonce_r, secret, add_secret, old_sk_d, name;
  uint32_t n_local, n_remote;
  struct itwi_ha_range local_ts[ITWI_HA_RANGES], remote_ts[ITWI_HA_RANGES];
};

/* Reads a message's head. ITW_ERR_SHORT; ITW_ERR_NEWER: of a version that isn't known here; ITW_ERR_UNSUPPORTED: of an old
   one. */
itw_status itwi_ha_begin(struct itwi_ha_cursor *, uint8_t *type, const uint8_t *datagram, size_t len);
/* The next attribute. ITW_EMPTY: no more. ITW_ERR_SHORT: what follows isn't one. */
itw_status itwi_ha_next(struct itwi_ha_cursor *, struct itwi_ha_attribute *);
/* All of a datagram. Of an attribute that comes twice the last one counts, but for selectors. */
itw_status itwi_ha_decode(struct itwi_ha_message *, const uint8_t *datagram, size_t len);

enum { ITWI_HA_RESYNC_MAX = 64 };
/* A RESYNC for all segments that there can be, also for that of SAs which aren't up; `nothing`: for none, which charon takes
   without doing anything. Returns its length. */
size_t itwi_ha_resync(uint8_t out[ITWI_HA_RESYNC_MAX], uint32_t version, bool nothing);

#endif
