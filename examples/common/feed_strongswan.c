/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "feed.h"

#ifdef ITW_WITH_STRONGSWAN

#include <ipsectwamp/strongswan.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whom a socket is believed from: root, as whom charon usually runs. At a path that the user names, also the user that we
   are, who may give us any keys. */
static uint32_t trusted(const char *path)
{
  struct stat file;
  return path && stat(path, &file) == 0 && file.st_uid == geteuid() ? file.st_uid : 0;
}

static itw_status open_strongswan(void **live, const struct source *s, struct itw_detail *detail, itw_mono now)
{
  struct itw_strongswan_config config;
  itw_strongswan *x = NULL;

  ITW_INIT(config);
  config.feed = s->feed == feed_ha() ? ITW_STRONGSWAN_HA : ITW_STRONGSWAN_PLUGIN;
  config.local = s->local;
  config.remote = s->remote;
  config.path = s->path;
  config.uid = trusted(s->path);
  const itw_status st = itw_strongswan_new(&x, &config, detail, now);
  *live = x;
  return st;
}

static void close_strongswan(void *live) { itw_strongswan_free(live); }
static int fd(const void *live) { return itw_strongswan_fd(live); }
static itw_mono deadline(const void *live) { return itw_strongswan_deadline(live); }

static itw_status read_plugin(void *live, itw_mono now) { return itw_strongswan_read(live, now); }

/* Nobody says when all SAs have been told; one is a beginning, and they come in a burst. */
enum { BURST_NS = 250000000 };

static itw_status read_ha(void *live, itw_mono now)
{
  const itw_status st = itw_strongswan_read(live, now);
  return st == ITW_OK && !itw_strongswan_count(live, NULL) ? ITW_AGAIN : st;
}

static itw_status event(void *live, struct itw_source_event *out) { return itw_strongswan_event(live, out); }
static struct itw_keys keys(void *live) { return itw_strongswan_keys(live); }

static itw_status answer(void *live, uint64_t *tag, struct itw_answer *out)
{
  return itw_strongswan_answer(live, tag, out);
}

static void place(char text[SOURCE_TEXT], const struct source *s)
{
  uint32_t child_sas = 0;
  const uint32_t ike_sas = s->live ? itw_strongswan_count(s->live, &child_sas) : 0;

  if (s->ready)
    snprintf(text, SOURCE_TEXT, "charon's SAs (IKE %u, CHILD %u)", ike_sas, child_sas);
  else if (s->feed == feed_ha())
    snprintf(text, SOURCE_TEXT, "charon's SAs (its HA plugin has told of none)");
  else
    snprintf(text, SOURCE_TEXT, "charon's SAs (it isn't there: %s)", s->path ? s->path : ITW_STRONGSWAN_PATH);
}

enum { SCHEMES = ITW_IKEV2 | ITW_SHARED | ITW_SHARED_SID | ITW_ROOT };
static const struct feed plugin = {
    SCHEMES, ITW_IKEV2, 0, open_strongswan, close_strongswan, fd, deadline, read_plugin, event, answer, keys, place};
static const struct feed ha = {
    SCHEMES, ITW_IKEV2, BURST_NS, open_strongswan, close_strongswan, fd, deadline, read_ha, event, answer, keys, place};

const struct feed *feed_plugin(void) { return &plugin; }
const struct feed *feed_ha(void) { return &ha; }

#else

const struct feed *feed_plugin(void) { return NULL; }
const struct feed *feed_ha(void) { return NULL; }

#endif
