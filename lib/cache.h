/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_CACHE_H
#define ITWI_CACHE_H

/* Keyed contexts for the sessions used last: at most n, all opened at the start. A session holds a hint, which is right as
   long as the context's owner says so; so an eviction doesn't touch the session that loses. Layer 5. */

#include "packet.h"
#include "seal.h"

struct itwi_context {
  _Alignas(ITWI_LINE) struct itwi_seal seal; /* owner: session + 1; 0: none */
  uint32_t newer, older;                     /* in order of use, by index */
};
struct itwi_cache {
  struct itwi_context *contexts;
  uint32_t n; /* 0: this build has no cryptography */
  uint32_t newest, oldest;
  bool plenty; /* one for every session: nothing is ever evicted, and no order kept */
};

/* contexts: room for n, zeroed. */
itw_status itwi_cache_open(struct itwi_cache *, struct itwi_context *contexts, uint32_t n, uint32_t sessions,
                           const struct itwi_backend *);
void itwi_cache_close(struct itwi_cache *);
/* Session's context, if need be that of the session that was used longest ago. *hint is the session's. n is not 0. */
struct itwi_seal *itwi_cache_get(struct itwi_cache *, uint32_t session, uint32_t *hint);
/* The session is gone. */
void itwi_cache_drop(struct itwi_cache *, uint32_t session, uint32_t hint, const struct itwi_backend *);

/* Fetches the session's context, and then, later, what it points to in the crypto library. */
static inline const struct itwi_context *itwi_cache_at(const struct itwi_cache *c, uint32_t session, uint32_t hint)
{
  return c->contexts + (c->plenty ? session : hint);
}
void itwi_cache_fetch(const struct itwi_cache *, uint32_t session, uint32_t hint);
void itwi_cache_fetch_keyed(const struct itwi_cache *, uint32_t session, uint32_t hint);

#endif
