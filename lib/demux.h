/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_DEMUX_H
#define ITWI_DEMUX_H

/* From a packet's addresses to its session: a chained hash. Layer 6.

   What a peer leaves unspecified (family 0) is a wildcard:
     remote   the whole address and port: TWAMP Light's ITW_SESSION_ANY_SENDER
     local    the IP address; port and scope still count: a caller whose socket doesn't tell to which of the host's
              addresses a packet came
   The most specific peer wins: all four, then any local address, then any remote one, then both. A packet whose local
   address isn't known (family 0) finds only peers that don't name one either.

   The hash is multilinear: a sum of products of 32-bit words with secret 64-bit multipliers, of which the highest bits are
   taken; strongly universal (Carter and Wegman; Dietzfelbinger), so that two different keys meet with probability 1 / heads
   whoever chose them. No cryptographic hash is needed: nobody sees the hash, a packet that finds nothing leaves nothing
   behind, and the sessions, that is what stands in the chains, are bounded and made by control. Words that are zero add
   nothing, so the hash of a wildcard's key is the sum without them. */

#include "crypto.h"
#include <ipsectwamp/types.h>

enum { ITWI_NOBODY = 0x7fffffff }; /* no slot: there are at most 2^20 */

/* The beginning of every slot. */
struct itwi_peer {
  struct itw_addr remote, local;
  uint32_t next; /* in the chain */
};

struct itwi_demux {
  uint64_t factor[15]; /* constant; local port, scope, IP 5; remote IP 5, port, scope */
  uint32_t *heads;
  uint8_t *peers; /* peers[i * stride] is the struct itwi_peer of slot i */
  uint32_t stride;
  uint32_t shift;    /* 64 - log2(heads) */
  uint32_t kinds[4]; /* how many peers with these wildcards there are: 1 local, 2 remote */
};

/* Heads for n sessions: a power of 2, at least 2 n. */
uint32_t itwi_demux_heads(uint32_t sessions);
itw_status itwi_demux_init(struct itwi_demux *, uint32_t *heads, uint32_t n_heads, void *peers, uint32_t stride,
                           struct itwi_random *);
/* Slot's peer is set; what a wildcard leaves open is zeroed in it. ITW_ERR_COLLISION. */
itw_status itwi_demux_add(struct itwi_demux *, uint32_t slot);
void itwi_demux_remove(struct itwi_demux *, uint32_t slot);
/* ITWI_NOBODY: none. */
uint32_t itwi_demux_find(const struct itwi_demux *, const struct itw_addr *remote, const struct itw_addr *local);

/* In two steps before find, for packets of a burst: fetch the head, then the slot. */
uint32_t itwi_demux_hint(const struct itwi_demux *, const struct itw_addr *remote, const struct itw_addr *local);
const void *itwi_demux_ahead(const struct itwi_demux *, uint32_t hint);

#endif
