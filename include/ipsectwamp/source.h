/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_SOURCE_H
#define ITW_SOURCE_H

/* What the sources of SAs have in common. A source is a library beside the core that does I/O: it keeps a ring of keys
   (key.h) up to date with what really runs IPsec, and tells what happened to its SAs.

     xfrm.h         libipsectwamp-xfrm: the Linux kernel's ESP and AH SAs, for `direct`
     strongswan.h   libipsectwamp-strongswan: charon's IKE and CHILD SAs, for `ikev2`, `shared`, `shared-sid`, `root`

   All are used alike. S is xfrm or strongswan:

     fd = itw_S_fd(s);                       in the caller's poll loop, for reading; look again after each turn
     when it is readable, and at itw_S_deadline(s):
       itw_S_read(s, now);                   a bounded share of what came; no fd is ever waited for
       while (itw_S_event(s, &event) == ITW_OK)
         ... itw_conn_sa_gone(conn, p, &event.sa, now) for each connection, if it is REKEYED or GONE
     itw_server_config.keys = itw_S_keys(s); a provider for Servers and clients

   Nothing is called back. A source belongs to one thread at a time, together with the connections that use its keys. */

#include <ipsectwamp/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  ITW_SOURCE_UP = 1,      /* an SA came, and can be used; `why` < 0: in unauthenticated mode only, and why */
  ITW_SOURCE_REKEYED = 2, /* `sa` was replaced by `by`; it isn't offered any more */
  ITW_SOURCE_GONE = 3,    /* `sa` was deleted, or its lifetime ended */
  ITW_SOURCE_UNFIT = 4,   /* an SA came that can't be used at all: `why` */
  ITW_SOURCE_RESYNC = 5,  /* the source missed something and has read everything again; what that changed is told as
                             events of the kinds above */
  ITW_SOURCE_LOST = 6,    /* what is read from went away, and with it all its SAs; the source tries again by itself */
  ITW_SOURCE_FULL = 7     /* an SA was left out: configure a larger capacity */
};

/* News of an SA. Kinds that a program doesn't know may be ignored. */
struct itw_source_event {
  uint32_t size;
  uint32_t kind;         /* ITW_SOURCE_* */
  itw_status why;
  uint32_t mbz;
  struct itw_sa sa, by;  /* without keys. `by`: REKEYED only */
  struct itw_addr local, remote; /* the SA's endpoints; port 0 */
};

#ifdef __cplusplus
}
#endif
#endif
