/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "parts.h"

#include "clock.h"

#include <stdarg.h>
#include <stdlib.h>

enum { REMEMBERED = 16 }; /* SAs that went away */
static const uint64_t doubt_ns =
    3 * NS_PER_S; /* from the Server's closing to the news of our SA's end: IKE is slower */
static const uint64_t race_ns = NS_PER_S; /* from a greeting with an SA that we don't know to the news of it */
static const uint64_t pause_ns = 100 * NS_PER_MS, pause_max_ns = NS_PER_S; /* from one try to the next */

struct parts {
  struct loop *loop;
  struct source *source;
  struct measure_config user, config; /* as given; of the part that is under way, or comes next */
  enum { READYING, MEASURING, DOUBTING, BETWEEN, OVER } stage;
  struct timer timer;
  itw_mono until;        /* READYING, BETWEEN: then we give up */
  uint64_t pause;        /* BETWEEN: to the next try */
  itw_mono race;         /* the Server names an SA that we don't know: then we believe that; 0: it doesn't */
  bool renewing;         /* a new SA is to be there before `until` */
  struct measure *now;   /* NULL: none */
  struct measure *first; /* had a session; has the reports of all that are over */
  struct report_part *list;
  unsigned n;
  uint32_t sent; /* by all that are over */
  struct itw_sa gone[REMEMBERED];
  unsigned n_gone; /* ever; the last ones are known */
  bool stopped, cut;
  char why[MEASURE_WHY];
};

/* ---- its end ---- */

static void over(struct parts *p)
{
  p->stage = OVER;
  timer_set(p->loop, &p->timer, ITW_NEVER);
  p->user.done(p->user.owner);
}

__attribute__((format(printf, 2, 3))) static void fail(struct parts *p, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  vsnprintf(p->why, sizeof p->why, format, args);
  va_end(args);
  over(p);
}

/* ---- what a part tells ---- */

/* It ends in a call from within itself, so that we look at it later. */
static void on_done(void *owner)
{
  struct parts *const p = owner;
  timer_set(p->loop, &p->timer, now_mono());
}

static void on_reply(void *owner, const struct itw_reply *reply)
{
  struct parts *const p = owner;
  struct itw_reply numbered = *reply;

  numbered.seq += p->sent;
  if (p->user.reply) p->user.reply(p->user.owner, &numbered);
}

static void on_record(void *owner, uint32_t way, const struct itw_record *record)
{
  const struct parts *const p = owner;
  if (p->user.record) p->user.record(p->user.owner, way, record);
}

static void on_agreed(void *owner, uint32_t missing)
{
  const struct parts *const p = owner;
  if (p->user.agreed && !p->n) p->user.agreed(p->user.owner, missing); /* the others are like the first one */
}

static void on_kept(void *owner, const struct itw_sa *sa)
{
  const struct parts *const p = owner;
  if (p->user.kept) p->user.kept(p->user.owner, sa);
}

/* ---- a part begins ---- */

/* There was no session. The old SA may have gone in the middle of the set-up, the new one not be there yet, at either end. */
static void try_again(struct parts *p, const char *why)
{
  const itw_mono now = now_mono();

  if (p->stopped && p->n) {
    over(p);
  } else if (p->stopped || !p->renewing) {
    fail(p, "%s", why);
  } else if (now >= p->until) {
    p->cut = true;
    fail(p, "the SA is gone, and there was no session with a new one within %.3g s: %.160s",
         (double)p->config.connect_ns / 1e9, why);
  } else {
    p->stage = BETWEEN;
    timer_set(p->loop, &p->timer, now + p->pause);
    if (p->pause < pause_max_ns) p->pause *= 2;
  }
}

static void begin(struct parts *p)
{
  char why[MEASURE_WHY];

  if (p->now != p->first) measure_free(p->now);
  p->stage = MEASURING;
  p->config.tag++;
  p->now = measure_start(p->loop, &p->config, why);
  if (!p->now) try_again(p, why);
}

/* ---- a part has ended ---- */

/* A kernel's SAs don't say who initiated: in either order. */
static bool is_same(const struct itw_sa *a, const struct itw_sa *b)
{
  return a->protocol == b->protocol &&
         ((a->spi_i == b->spi_i && a->spi_r == b->spi_r) || (a->spi_i == b->spi_r && a->spi_r == b->spi_i));
}

/* The SA of the part that is over. */
static bool is_gone(const struct parts *p)
{
  const struct report_head head = measure_head(p->now);

  for (unsigned i = 0; head.sa.protocol && i < p->n_gone && i < REMEMBERED; i++)
    if (is_same(&p->gone[i], &head.sa)) return true;
  return false;
}

/* False: no memory. */
static bool account(struct parts *p)
{
  const struct report_head head = measure_head(p->now);
  const struct report *const r = &measure_reports(p->now)[REPORT_ROUND];
  const struct itw_loss loss = report_loss(r);
  struct report_part *const list = realloc(p->list, (p->n + 1) * sizeof *list);

  if (!list) return false;
  p->list = list;
  list[p->n] = (struct report_part){.sa = head.sa, .sent = loss.sent, .received = loss.received, .lost = loss.lost};
  memcpy(list[p->n].sid, r->sid, sizeof r->sid);
  p->n++;
  p->sent += (uint32_t)loss.sent;
  if (p->first)
    measure_merge(p->first, p->now);
  else
    p->first = p->now;
  return true;
}

/* What the next part must not change: to fall back would be to measure something else. */
static void pin(struct parts *p)
{
  const struct report_head head = measure_head(p->first);

  p->config.schemes = head.scheme;
  memset(p->config.modes, 0, sizeof p->config.modes);
  p->config.modes[0] = (uint8_t)head.mode;
  p->config.flags &= ~(uint32_t)(ITW_CLIENT_FALLBACK_OPEN | ITW_CLIENT_FALLBACK_PSK);
}

/* What else went wrong, as packets that couldn't be sent, is told at the end. */
static void go_on(struct parts *p)
{
  const uint32_t sent = (uint32_t)p->list[p->n - 1].sent, count = p->config.count;
  const char *const why = measure_failure(p->now);
  const bool broken = measure_reports(p->now)[REPORT_ROUND].broken;

  if (why && !p->why[0]) snprintf(p->why, sizeof p->why, "%s", why);
  if (broken || p->stopped || measure_end(p->now) == MEASURE_WHOLE || (count && sent >= count)) {
    over(p);
    return;
  }
  if (count) p->config.count -= sent;
  pin(p);
  p->renewing = true;
  p->race = 0;
  p->until = now_mono() + p->config.connect_ns;
  p->pause = pause_ns;
  begin(p);
}

/* Rekeys race: we may be about to hear of the SA that the greeting names. */
static bool is_behind(struct parts *p)
{
  const itw_mono now = now_mono();

  if (measure_end(p->now) != MEASURE_AHEAD || p->stopped || !source_is_live(p->source)) return false;
  if (!p->race) p->race = now + race_ns;
  return now < p->race;
}

static bool doubtful(const struct parts *p) { return measure_end(p->now) == MEASURE_LEFT && !is_gone(p); }

/* Once an SA of ours is known to be gone, tries at a new one don't wait for more news. */
static bool may_explain(const struct parts *p) { return !p->renewing || measure_had_session(p->now); }

static void look(struct parts *p)
{
  if (p->stage == MEASURING && doubtful(p) && may_explain(p) && !p->stopped && source_is_live(p->source)) {
    p->stage = DOUBTING;
    timer_set(p->loop, &p->timer, now_mono() + doubt_ns);
  } else if (!measure_had_session(p->now) && is_behind(p)) {
    p->stage = BETWEEN;
    timer_set(p->loop, &p->timer, now_mono() + pause_ns);
  } else if (!measure_had_session(p->now)) {
    if (measure_end(p->now) == MEASURE_REPLACED || (measure_end(p->now) == MEASURE_LEFT && !doubtful(p))) p->renewing = true;
    const char *const why = measure_failure(p->now);
    try_again(p, why ? why : "no session");
  } else {
    if (doubtful(p)) measure_break(p->now);
    if (account(p))
      go_on(p);
    else
      fail(p, "no memory");
  }
}

static void give_up(struct parts *p)
{
  char place[SOURCE_TEXT];
  fail(p, "no keys within %.3g s: %.160s", (double)p->config.connect_ns / 1e9, source_place(place, p->source));
}

static void on_time(struct timer *t, itw_mono now)
{
  struct parts *const p = t->owner;
  (void)now;

  switch (p->stage) {
  case READYING: give_up(p); break;
  case MEASURING:
  case DOUBTING: look(p); break;
  case BETWEEN: begin(p); break;
  default: break;
  }
}

/* ---- what the source tells ---- */

static void wait_or_begin(struct parts *p)
{
  uint64_t settle_ns;

  p->stage = source_ready(p->source, &settle_ns) ? BETWEEN : READYING;
  timer_set(p->loop, &p->timer, p->stage == READYING ? p->until : now_mono() + settle_ns);
}

static void on_ready(void *owner)
{
  struct parts *const p = owner;

  if (p->stage == READYING || p->stage == BETWEEN) wait_or_begin(p);
}

static void remember(struct parts *p, const struct itw_sa *sa) { p->gone[p->n_gone++ % REMEMBERED] = *sa; }

static void on_news(void *owner, const struct itw_source_event *event)
{
  struct parts *const p = owner;
  const bool one = event->kind == ITW_SOURCE_REKEYED || event->kind == ITW_SOURCE_GONE;
  const bool all = event->kind == ITW_SOURCE_LOST;

  if (p->stage == READYING && event->why == ITW_ERR_PERMISSION) { /* that won't change */
    fail(p, "%s", itw_status_text(event->why));
    return;
  }
  if (one) remember(p, &event->sa);
  if (all && p->now) { /* ours is among them */
    const struct report_head head = measure_head(p->now);
    remember(p, &head.sa);
  }
  if (p->stage == MEASURING && (one || all)) measure_sa_gone(p->now, one ? &event->sa : NULL);
  if ((p->stage == DOUBTING && !doubtful(p)) || (p->stage == BETWEEN && event->kind == ITW_SOURCE_UP))
    timer_set(p->loop, &p->timer, now_mono());
}

static void on_answer(void *owner, uint64_t tag, const struct itw_answer *answer)
{
  struct parts *const p = owner;
  if (p->now && tag == p->config.tag) measure_answer(p->now, answer);
}

/* ---- its life ---- */

struct parts *parts_start(struct loop *loop, const struct measure_config *config, struct source *source)
{
  struct parts *const p = calloc(1, sizeof *p);

  if (!p) return NULL;
  p->loop = loop;
  p->source = source;
  p->user = p->config = *config;
  p->config.owner = p;
  p->config.agreed = on_agreed;
  p->config.kept = on_kept;
  p->config.reply = on_reply;
  p->config.record = on_record;
  p->config.done = on_done;
  p->until = now_mono() + config->connect_ns;
  p->timer = (struct timer){.due = on_time, .owner = p};
  p->pause = pause_ns;
  source->up = on_ready;
  source->event = on_news;
  source->answer = on_answer;
  source->owner = p;
  wait_or_begin(p);
  return p;
}

void parts_stop(struct parts *p)
{
  p->stopped = true;
  if (p->stage == MEASURING)
    measure_stop(p->now);
  else if (p->stage == DOUBTING)
    timer_set(p->loop, &p->timer, now_mono());
  else if (p->stage != OVER && p->n)
    over(p);
  else if (p->stage != OVER)
    fail(p, "interrupted while waiting for keys");
}

void parts_free(struct parts *p)
{
  if (!p) return;
  timer_set(p->loop, &p->timer, ITW_NEVER);
  p->source->up = NULL;
  p->source->event = NULL;
  p->source->answer = NULL;
  if (p->now != p->first) measure_free(p->now);
  measure_free(p->first);
  free(p->list);
  free(p);
}

/* ---- so far, and at the end ---- */

struct measure_progress parts_progress(const struct parts *p)
{
  const struct measure_progress none = {0};
  struct measure_progress m = p->now ? measure_progress(p->now) : none;

  for (unsigned i = 0; i < p->n && p->stage == MEASURING; i++) {
    m.sent += p->list[i].sent;
    m.received += p->list[i].received;
    m.lost += p->list[i].lost;
  }
  return m;
}

static const struct measure *whole(const struct parts *p) { return p->first ? p->first : p->now; }

const char *parts_failure(const struct parts *p) { return p->why[0] ? p->why : NULL; }
bool parts_cut(const struct parts *p) { return p->cut; }
bool parts_had_session(const struct parts *p) { return p->first != NULL; }
const struct report *parts_reports(const struct parts *p)
{
  static const struct report none[REPORTS];
  return whole(p) ? measure_reports(whole(p)) : none;
}

struct report_head parts_head(const struct parts *p)
{
  const struct report_head none = {.peer = ""};
  struct report_head head = whole(p) ? measure_head(whole(p)) : none;

  head.parts = p->list;
  head.n_parts = p->n;
  return head;
}
