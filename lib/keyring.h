/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_KEYRING_H
#define ITWI_KEYRING_H

/* The ring's inside. Entries, their octets and selectors stand in three arrays; places are found by hash: an entry by its
   name (KeyID, or protocol and SPIs in either order), by its peer, and by the prefixes that the remote ends of its selectors
   are, one look for each length. What can't be hashed, a peer's prefix or a range that is none, is walked. keyring.c adds and
   removes, keyring_find.c finds, keyring_use.c says what an SA is and what it is good for, keyring_answer.c answers.
   Layer 4. */

#include "abi.h"
#include "secret.h"
#include <ipsectwamp/key.h>

/* A place in one of the arrays, from 1; 0: none. */
typedef uint32_t itwi_place;

/* What is known about a key. */
struct itwi_key {
  uint64_t spi_i, spi_r, established;
  struct itw_addr local, peer; /* family 0: any */
  uint32_t protocol;   /* ITW_SA_*; 0: a passphrase */
  uint32_t prf;        /* 0: not known */
  itw_status keyless;
  itwi_place same_name, same_peer; /* the next in the chain; same_peer: of free and of retired ones too */
  itwi_place before;               /* the one before it in the chain of the same peer: there may be thousands */
  itwi_place selectors;
  uint16_t secret_len; /* passphrase, SKEYSEED, KEYMAT; 0: not known */
  uint16_t ippm_len;   /* IKE SA: 0: SK_d isn't known */
  uint16_t encr_len, integ_len;
  uint8_t encr;    /* ITW_ENCR_* */
  uint8_t prefix;  /* bits of peer that count; 0: any peer */
  uint8_t schemes; /* that it may serve */
  uint8_t flags;
  uint8_t key_id_len;
  uint8_t retired;
  uint8_t mbz[6];
};

/* Its octets. */
struct itwi_material {
  uint8_t secret[256];
  union {
    uint8_t key_id[80];
    uint8_t ippm[ITW_PRF_MAX]; /* prf(SK_d, "IPPM") */
    struct {
      uint8_t encr[32], integ[64];
    } of[2]; /* of the SA with spi_r, the initiator's packets; of that with spi_i */
  };
};

struct itwi_selector {
  struct itw_addr local_from, local_to, remote_from, remote_to;
  itwi_place key;           /* whose */
  itwi_place of_key;        /* the next of the same SA, or the next free one */
  itwi_place same_remote, before; /* the next in the chain, and the one before */
};

struct itw_keyring {
  const void *crypto;
  struct itwi_key *keys;
  struct itwi_material *materials;
  struct itwi_selector *selectors;
  itwi_place *by_name, *by_peer, *by_remote; /* heads of chains */
  uint32_t capacity, shift;           /* shift: from a hash to a head */
  itwi_place free_keys, free_selectors;
  itwi_place wide_keys, wide_selectors; /* chains of keys without a single address, of selectors without a prefix */
  itwi_place oldest_retired, newest_retired;
  uint64_t lengths[2][3]; /* a bit for each length of a prefix that selectors have, or had, by family */
  bool guarded;
};

enum { ITWI_SELECTORS_PER_KEY = 2, ITWI_PREFIX_MAX = 128 };

/* ---- keyring_find.c ---- */

struct itwi_key *itwi_ring_key(const struct itw_keyring *, itwi_place);
struct itwi_material *itwi_ring_material(const struct itw_keyring *, const struct itwi_key *);
struct itwi_selector *itwi_ring_selector(const struct itw_keyring *, itwi_place);
/* The head of the chain that a key with this name, an SA with this peer, a selector with this remote end belongs to. */
itwi_place *itwi_ring_name(const struct itw_keyring *, const struct itwi_key *, const uint8_t *key_id);
itwi_place *itwi_ring_peer(struct itw_keyring *, const struct itwi_key *);
itwi_place *itwi_ring_remote(struct itw_keyring *, const struct itwi_selector *);
/* Reads key_id only as far as a KeyID in the ring is long. */
struct itwi_key *itwi_ring_find_psk(const struct itw_keyring *, const uint8_t *key_id, size_t len);
/* Retired ones too. */
struct itwi_key *itwi_ring_find_sa(const struct itw_keyring *, const struct itw_sa *);
/* How closely an SA fits the two ends of a connection: ITWI_FAR: not at all; the closest wins. */
enum { ITWI_FAR = -1, ITWI_COVERED = 200, ITWI_ENDPOINT = 300 };
int itwi_ring_closeness(const struct itw_keyring *, const struct itwi_key *, const struct itw_ask *);
/* Candidates for a connection, one after the other; some come twice, and not all fit. Begin with a zeroed walk. */
struct itwi_walk {
  itwi_place at;
  uint32_t stage;
};
const struct itwi_key *itwi_ring_near(const struct itw_keyring *, const struct itw_ask *, struct itwi_walk *);
/* The same for those whose SPIs' low 32 bits are these, in either order. */
const struct itwi_key *itwi_ring_named(const struct itw_keyring *, const struct itw_sa *, struct itwi_walk *);

/* ---- keyring_use.c ---- */

/* From what its source tells of an SA, but for its octets. */
itw_status itwi_key_from_ike(struct itwi_key *, const struct itw_ike_sa *);
itw_status itwi_key_from_child(struct itwi_key *, const struct itw_child_sa *);

/* The modes in which an SA can serve a scheme; `why` not in others. */
uint32_t itwi_key_modes(const struct itwi_key *, uint32_t scheme, itw_status *why);
/* Whether it has what `direct` needs beyond unauthenticated mode. */
itw_status itwi_key_direct(const struct itwi_key *);
/* An SA that nothing can be done with is an error. */
itw_status itwi_key_use(const struct itwi_key *);
/* Of several reasons the one that says most. */
itw_status itwi_telling(itw_status a, itw_status b);

#endif
