/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "feed.h"

#ifdef ITW_WITH_XFRM

#include <ipsectwamp/xfrm.h>
#include <stdio.h>

static itw_status open_xfrm(void **live, const struct source *s, struct itw_detail *detail, itw_mono now)
{
  struct itw_xfrm_config config;
  itw_xfrm *x = NULL;
  (void)s;
  (void)now;

  ITW_INIT(config);
  const itw_status st = itw_xfrm_new(&x, &config, detail);
  *live = x;
  return st;
}

static void close_xfrm(void *live) { itw_xfrm_free(live); }
static int fd(const void *live) { return itw_xfrm_fd(live); }
static itw_mono deadline(const void *live) { return itw_xfrm_deadline(live); }
static itw_status read_xfrm(void *live, itw_mono now) { return itw_xfrm_read(live, now); }
static itw_status event(void *live, struct itw_source_event *out) { return itw_xfrm_event(live, out); }
static struct itw_keys keys(void *live) { return itw_xfrm_keys(live); }

static itw_status answer(void *live, uint64_t *tag, struct itw_answer *out)
{
  (void)live;
  (void)tag;
  (void)out;
  return ITW_EMPTY; /* it answers at once */
}

static void place(char text[SOURCE_TEXT], const struct source *s)
{
  uint32_t pairs = 0;
  const uint32_t sas = s->live ? itw_xfrm_count(s->live, &pairs) : 0;
  snprintf(text, SOURCE_TEXT, "the kernel's SAs (%u there, %u pairs)", sas, pairs);
}

static const struct feed xfrm = {ITW_DIRECT, ITW_DIRECT, 0,     open_xfrm, close_xfrm, fd,
                                 deadline,   read_xfrm,  event, answer,    keys,       place};

const struct feed *feed_xfrm(void) { return &xfrm; }

#else

const struct feed *feed_xfrm(void) { return NULL; }

#endif
