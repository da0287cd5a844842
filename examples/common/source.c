/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "source.h"

#include "addr.h"
#include "clock.h"
#include "feed.h"
#include "names.h"

#include <inttypes.h>
#include <stdio.h>

enum { SHARE = 1024 }; /* events and answers in one turn: connections and packets want theirs too */

/* ---- what the user says ---- */

static bool no_such_build(char why[SOURCE_WHY], const char *library, const char *option)
{
  snprintf(why, SOURCE_WHY, "this build has no %s (meson option %s)", library, option);
  return false;
}

/* "ha", "ha:OURS,CHARONS". */
static bool read_ha(struct source *s, const char *text, char why[SOURCE_WHY])
{
  const char *const comma = strchr(text, ',');
  char ours[ADDR_TEXT];

  s->feed = feed_ha();
  if (!text[2]) return true;
  snprintf(why, SOURCE_WHY, "not of the form strongswan:ha:OURS,CHARONS with two loopback addresses");
  if (!comma || (size_t)(comma - text - 3) >= sizeof ours) return false;
  memcpy(ours, text + 3, (size_t)(comma - text - 3));
  ours[comma - text - 3] = 0;
  return addr_parse(&s->local, ours) && addr_parse(&s->remote, comma + 1);
}

static bool read_strongswan(struct source *s, const char *text, char why[SOURCE_WHY])
{
  s->feed = feed_plugin();
  if (!s->feed) return no_such_build(why, "libipsectwamp-strongswan", "strongswan");
  if (!*text) return true;
  if (!strcmp(text, ":ha") || !strncmp(text, ":ha:", 4)) return read_ha(s, text + 1, why);
  s->path = text + 1;
  snprintf(why, SOURCE_WHY, "strongswan: where is its socket?");
  return *s->path != 0;
}

bool source_read(struct source *s, const char *text, char why[SOURCE_WHY])
{
  *s = (struct source){.watch.fd = -1};
  if (!strcmp(text, "xfrm")) {
    s->feed = feed_xfrm();
    return s->feed || no_such_build(why, "libipsectwamp-xfrm", "xfrm");
  }
  if (!strcmp(text, "strongswan") || !strncmp(text, "strongswan:", 11)) return read_strongswan(s, text + 10, why);
  return source_read_file(s, text, why);
}

bool source_read_file(struct source *s, const char *path, char why[SOURCE_WHY])
{
  *s = (struct source){.watch.fd = -1};
  return keys_read(&s->file, path, why);
}

bool source_is_live(const struct source *s) { return s->feed != NULL; }

const char *source_schemes(const struct source *s, uint32_t *schemes)
{
  if (!*schemes) *schemes = s->feed->usual;
  if (!(*schemes & ~s->feed->schemes)) return NULL;
  if (*schemes & ITW_PSK) return "a live IPsec has no passphrases";
  return s->feed == feed_xfrm() ? "of the kernel's SAs only the keys are known, which is for the scheme direct"
                                : "charon's SAs are for the schemes ikev2, shared, shared-sid and root";
}

/* ---- its life ---- */

/* The descriptor may be another one after each verb, or another socket of the same number. */
static void follow(struct source *s)
{
  const int fd = s->feed->fd(s->live);

  if (s->watch.on && s->watch.fd == fd) return;
  watch_stop(s->loop, &s->watch);
  s->watch.fd = fd;
  if (fd >= 0) (void)watch_start(s->loop, &s->watch, EPOLLIN);
}

static void read_some(struct source *s, itw_mono now)
{
  watch_stop(s->loop, &s->watch);
  const bool ready = s->feed->read(s->live, now) == ITW_OK, news = ready && !s->ready;
  s->ready = ready;
  follow(s);
  if (news && s->up) s->up(s->owner);
}

static void on_readable(struct watch *w, uint32_t events)
{
  (void)events;
  read_some(w->owner, now_mono());
}

static void on_time(struct timer *t, itw_mono now) { read_some(t->owner, now); }

bool source_start(struct source *s, struct loop *loop, char why[SOURCE_WHY])
{
  struct itw_detail detail;

  if (!s->feed) return true;
  ITW_INIT(detail);
  s->loop = loop;
  s->watch = (struct watch){.fd = -1, .ready = on_readable, .owner = s};
  s->timer = (struct timer){.due = on_time, .owner = s};
  const itw_status st = s->feed->open(&s->live, s, &detail, now_mono());
  if (st < 0) {
    snprintf(why, SOURCE_WHY, "%s", detail.text[0] ? detail.text : itw_status_text(st));
    return false;
  }
  read_some(s, now_mono());
  timer_set(loop, &s->timer, now_mono()); /* there may be news already: why it isn't there */
  return true;
}

void source_turn(struct source *s)
{
  struct itw_source_event event;
  struct itw_answer answer;
  uint64_t tag;
  int left = SHARE;

  if (!s->live) return;
  ITW_INIT(event);
  ITW_INIT(answer);
  while (left && s->feed->event(s->live, &event) == ITW_OK) {
    left--;
    if (s->event) s->event(s->owner, &event);
  }
  while (left && s->feed->answer(s->live, &tag, &answer) == ITW_OK) {
    left--;
    if (s->answer) s->answer(s->owner, tag, &answer);
    itw_wipe(&answer, sizeof answer);
    ITW_INIT(answer);
  }
  follow(s);
  timer_set(s->loop, &s->timer, left ? s->feed->deadline(s->live) : now_mono());
}

void source_close(struct source *s)
{
  if (s->live) {
    watch_stop(s->loop, &s->watch);
    timer_set(s->loop, &s->timer, ITW_NEVER);
    s->feed->close(s->live);
  }
  keys_free(&s->file);
  memset(s, 0, sizeof *s);
}

bool source_ready(const struct source *s, uint64_t *settle_ns)
{
  *settle_ns = s->feed ? s->feed->settle_ns : 0;
  return !s->feed || s->ready;
}

struct itw_keys source_keys(const struct source *s)
{
  const struct itw_keys none = {0};

  if (s->live) return s->feed->keys(s->live);
  return s->file.ring ? itw_keyring_keys(s->file.ring) : none;
}

/* ---- in words ---- */

const char *source_place(char text[SOURCE_TEXT], const struct source *s)
{
  if (s->feed)
    s->feed->place(text, s);
  else
    snprintf(text, SOURCE_TEXT, "the keys file");
  return text;
}

const char *source_news(char text[SOURCE_TEXT], const struct itw_source_event *event)
{
  char sa[NAMES_TEXT], by[NAMES_TEXT], local[ADDR_TEXT], remote[ADDR_TEXT], between[2 * ADDR_TEXT + 16] = "";

  names_of_sa(sa, &event->sa);
  names_of_sa(by, &event->by);
  if (event->local.family)
    snprintf(between, sizeof between, " between %s and %s", addr_ip_text(local, &event->local),
             addr_ip_text(remote, &event->remote));
  switch (event->kind) {
  case ITW_SOURCE_UP:
    snprintf(text, SOURCE_TEXT, "SA up: %s%s%s%s", sa, between,
             event->why < 0 ? "; for unauthenticated mode only: " : "",
             event->why < 0 ? itw_status_text(event->why) : "");
    break;
  case ITW_SOURCE_REKEYED: snprintf(text, SOURCE_TEXT, "SA rekeyed: %s, now %s%s", sa, by, between); break;
  case ITW_SOURCE_GONE: snprintf(text, SOURCE_TEXT, "SA gone: %s%s", sa, between); break;
  case ITW_SOURCE_UNFIT:
    snprintf(text, SOURCE_TEXT, "SA unfit: %s%s: %s", sa, between, itw_status_text(event->why));
    break;
  case ITW_SOURCE_RESYNC: snprintf(text, SOURCE_TEXT, "something was missed: all SAs have been read again"); break;
  case ITW_SOURCE_LOST:
    snprintf(text, SOURCE_TEXT, "the IKE daemon is away, and with it all SAs; trying again%s%s",
             event->why < 0 && event->why != ITW_ERR_SOURCE_LOST ? ": " : "",
             event->why < 0 && event->why != ITW_ERR_SOURCE_LOST ? itw_status_text(event->why) : "");
    break;
  case ITW_SOURCE_FULL: snprintf(text, SOURCE_TEXT, "an SA was left out: there is no room for more in this program"); break;
  default: snprintf(text, SOURCE_TEXT, "news of a kind not known here: %" PRIu32, event->kind); break;
  }
  return text;
}

/* The SPIs as far as a greeting of the draft has them. */
static void greeted(char text[NAMES_TEXT], const struct itw_sa *sa)
{
  const char *const kind = sa->protocol == ITW_SA_IKE  ? "IKE SPIs that end in"
                           : sa->protocol == ITW_SA_AH ? "AH SPIs"
                                                       : "ESP SPIs";
  snprintf(text, NAMES_TEXT, "%s %08" PRIx32 " %08" PRIx32, kind, (uint32_t)sa->spi_i, (uint32_t)sa->spi_r);
}

const char *source_sought(char text[SOURCE_TEXT], const struct source *s, const struct itw_detail *d,
                          const struct itw_addr *local, const struct itw_addr *remote)
{
  char sa[NAMES_TEXT], place[SOURCE_TEXT], here[ADDR_TEXT], there[ADDR_TEXT];

  *text = 0;
  if (!s || d->state != ITW_STATE_SETUP || d->status >= 0) return text;
  source_place(place, s);
  addr_ip_text(here, local);
  addr_ip_text(there, remote);
  if (d->status == ITW_ERR_SA_MISMATCH && d->sa.protocol) {
    greeted(sa, &d->sa);
    snprintf(text, SOURCE_TEXT, "; the greeting names %s, looked for between %s and %s in %.120s", sa, here, there,
             place);
  } else if (d->status == ITW_ERR_SA_NONE && d->sa.protocol) {
    snprintf(text, SOURCE_TEXT, "; the KeyID names %s, looked for in %.120s", names_of_sa(sa, &d->sa), place);
  } else if (d->sa.protocol) {
    snprintf(text, SOURCE_TEXT, "; with %s", names_of_sa(sa, &d->sa));
  } else if (source_is_live(s) && (d->status == ITW_ERR_NOT_WILLING || d->status == ITW_ERR_LEGACY)) {
    snprintf(text, SOURCE_TEXT, "; it may have no SA that suits between %s and %s: its log tells", there, here);
  } else if (itw_status_class(d->status) == ITW_CLASS_KEY) {
    snprintf(text, SOURCE_TEXT, "; looked for one between %s and %s in %.120s", here, there, place);
  }
  return text;
}
