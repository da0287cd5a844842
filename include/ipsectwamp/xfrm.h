/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_XFRM_H
#define ITW_XFRM_H

/* libipsectwamp-xfrm: the Linux kernel's ESP and AH SAs as a source of keys for `direct`, whichever IKE daemon (or none)
   made them. How a source is used: source.h.

   It reads the kernel's SAs and policies over netlink (NETLINK_XFRM), follows its notifications, and pairs an inbound
   with an outbound SA: of the same addresses, protocol, mode, reqid, mark, interface and algorithms, and of several those that
   were made at the nearest times. A pair lasts until one of the two ends; the other one isn't paired again for half a minute,
   in which IKE ends it. It serves
   connections between its endpoints (transport and tunnel mode), and those that an outbound policy with its
   template covers (tunnel mode). The kernel doesn't know who initiated the exchange: sa.spi_r is our inbound SPI,
   sa.spi_i our outbound one (ITW_EITHER_ORDER). In events which one is inbound is a guess, from the replay windows: where
   both are alike it may be the other way round, which itw_conn_sa_gone takes as well. Keys and answers don't depend on it.

   What can't be used, and how that is told (events, itw_xfrm_find, answers):
     ITW_ERR_PERMISSION    itw_xfrm_new: no CAP_NET_ADMIN
     ITW_ERR_SA_AEAD, ITW_ERR_SA_NULL, ITW_ERR_SA_AH, ITW_ERR_SA_CIPHER     in unauthenticated mode only
     ITW_ERR_SA_REDACTED   the same: the kernel shows zeros instead of keys (lockdown=confidentiality)
     ITW_ERR_SA_NO_INTEG   not at all: encryption-only ESP (draft §4.2)
     ITW_ERR_SA_LARVAL     not yet: IKE hasn't finished. The kernel doesn't notify of these: only those that were there
                           when all SAs were read are known
     ITW_ERR_SA_HALF       not yet, or no more: there is an SA in one direction only

   Keys stay in guarded memory (key.h) from the moment they are read; the netlink buffer is wiped after each read. They
   are never in an event. */

#include <ipsectwamp/key.h>
#include <ipsectwamp/source.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct itw_xfrm itw_xfrm;

struct itw_xfrm_config {
  uint32_t size;
  uint32_t capacity;      /* SAs, each direction one, and as many policies; 0: 4096; at most 2^19. What doesn't fit is left
                             out (ITW_SOURCE_FULL, once), and read when there is room */
  uint32_t receive_octets; /* of the socket's buffer, for bursts of notifications; 0: 1 MiB. More than the system allows
                              takes CAP_NET_ADMIN, which this library needs anyway */
  uint32_t mbz;
};

/* Opens the netlink socket in the caller's network namespace and asks for all SAs; itw_xfrm_read takes them. NULL for
   detail: not interested. ITW_ERR_PERMISSION, ITW_ERR_SYSTEM (no such socket family, no descriptor), ITW_ERR_MEMORY. */
ITW_MUST itw_status itw_xfrm_new(itw_xfrm **out, const struct itw_xfrm_config *, struct itw_detail *detail);
ITW_API void itw_xfrm_free(itw_xfrm *); /* wipes; NULL is fine */

/* The descriptor to poll for reading; stays the same as long as the source lives. */
ITW_API int itw_xfrm_fd(const itw_xfrm *);
/* When to call itw_xfrm_read though nothing is readable; ITW_NEVER: no need. */
ITW_API itw_mono itw_xfrm_deadline(const itw_xfrm *);
/* Takes what is there, 32 datagrams at most; what is left keeps the descriptor readable. Never waits. ENOBUFS
   (the kernel dropped notifications) makes it read all again; ITW_SOURCE_RESYNC tells. ITW_AGAIN: the first reading of all
   SAs isn't finished; answers given now may miss some. */
ITW_MUST itw_status itw_xfrm_read(itw_xfrm *, itw_mono now);
/* The next event. ITW_EMPTY: none. Each SA's are kept until they are taken; if nobody ever takes them, the oldest ones of SAs
   that are gone make room for new SAs. */
ITW_MUST itw_status itw_xfrm_event(itw_xfrm *, struct itw_source_event *out);

/* The SA that protects traffic between two addresses (with ports, if a policy has ports; 0: any), the one that a Server
   would offer. ITW_OK: it has keys for `direct`. What the statuses above say: *out is the SA concerned; with LARVAL and HALF
   the SPI that isn't known is 0. ITW_ERR_SA_NONE: nothing there. */
ITW_MUST itw_status itw_xfrm_find(const itw_xfrm *, struct itw_sa *out, const struct itw_addr *local,
                                  const struct itw_addr *remote);
/* How many there are: SAs of the kernel, each direction one; pairs. */
ITW_API uint32_t itw_xfrm_count(const itw_xfrm *, uint32_t *pairs);

/* A provider of keys for Servers and clients; it answers at once. The source is borrowed. */
ITW_API struct itw_keys itw_xfrm_keys(itw_xfrm *);

#ifdef __cplusplus
}
#endif
#endif
