/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "progress.h"

#include "clock.h"

#include <inttypes.h>

static const uint64_t every = 250 * NS_PER_MS;

/* Carriage return, and erasing what the last one left behind. */
static const char fresh[] = "\r\033[K";

static void on_time(struct timer *t, itw_mono now)
{
  struct progress *const p = t->owner;
  const struct measure_progress m = parts_progress(p->parts);

  timer_set(p->loop, t, now + every);
  if (!m.running) return;
  p->shown = true;
  fprintf(stderr, "%s%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " lost", fresh, m.sent, m.received, m.lost);
  if (m.rtt_ns) fprintf(stderr, ", rtt %.3f ms", (double)m.rtt_ns / 1e6);
  fflush(stderr);
}

void progress_start(struct progress *p, struct loop *loop, const struct parts *parts)
{
  *p = (struct progress){.loop = loop, .timer = {.due = on_time, .owner = p}, .parts = parts};
  timer_set(loop, &p->timer, now_mono() + every);
}

void progress_clear(struct progress *p)
{
  if (p->shown) fputs(fresh, stderr);
  p->shown = false;
}

void progress_stop(struct progress *p)
{
  if (p->loop) timer_set(p->loop, &p->timer, ITW_NEVER);
  progress_clear(p);
}
