/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_FEED_H
#define COMMON_FEED_H

/* What the libraries that follow a live IPsec have in common, as source.c uses them. `live` is their object. */

#include "source.h"

struct feed {
  uint32_t schemes, usual; /* ITW_*: that it serves; what is used if nothing is said */
  uint64_t settle_ns;      /* when it is ready, more SAs may still be told of for so long */
  itw_status (*open)(void **live, const struct source *, struct itw_detail *, itw_mono now);
  void (*close)(void *live);
  int (*fd)(const void *live);
  itw_mono (*deadline)(const void *live);
  itw_status (*read)(void *live, itw_mono now); /* ITW_AGAIN: not ready yet (source_ready) */
  itw_status (*event)(void *live, struct itw_source_event *);
  itw_status (*answer)(void *live, uint64_t *tag, struct itw_answer *);
  struct itw_keys (*keys)(void *live);
  void (*place)(char text[SOURCE_TEXT], const struct source *);
};

/* NULL: this build has none; see examples/meson.build. */
const struct feed *feed_xfrm(void);
const struct feed *feed_plugin(void), *feed_ha(void); /* strongSwan's */

#endif
