/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "loop.h"

#include "clock.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { JOBS_NS = 100000 }; /* how long jobs may run before sockets are looked at again */

static void on_alarm(struct watch *w, uint32_t events)
{
  uint64_t times;
  (void)events;
  if (read(w->fd, &times, sizeof times) < 0) return; /* EAGAIN: set anew meanwhile */
}

int loop_open(struct loop *l, size_t timers)
{
  memset(l, 0, sizeof *l);
  sigprocmask(SIG_SETMASK, NULL, &l->mask);
  l->epoll = epoll_create1(EPOLL_CLOEXEC);
  l->clock = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  l->heap = calloc(timers + 1, sizeof(struct timer *));
  l->room = timers;
  l->armed = ITW_NEVER;
  l->alarm = (struct watch){.fd = l->clock, .ready = on_alarm, .owner = l};
  if (l->epoll >= 0 && l->clock >= 0 && l->heap && watch_start(l, &l->alarm, EPOLLIN)) return 0;
  const int error = errno;
  loop_close(l);
  return error;
}

void loop_close(struct loop *l)
{
  if (l->epoll >= 0) close(l->epoll);
  if (l->clock >= 0) close(l->clock);
  free(l->heap);
  memset(l, 0, sizeof *l);
  l->epoll = l->clock = -1;
}

/* ---- sockets ---- */

bool watch_start(struct loop *l, struct watch *w, uint32_t events)
{
  struct epoll_event e = {.events = events, .data.ptr = w};
  w->events = events;
  w->on = epoll_ctl(l->epoll, EPOLL_CTL_ADD, w->fd, &e) == 0;
  return w->on;
}

void watch_change(struct loop *l, struct watch *w, uint32_t events)
{
  struct epoll_event e = {.events = events, .data.ptr = w};
  if (!w->on || w->events == events) return;
  w->events = events;
  (void)epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &e);
}

void watch_stop(struct loop *l, struct watch *w)
{
  if (!w->on) return;
  (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
  w->on = false;
  for (int i = l->at; i < l->filled; i++) /* its owner may be gone before its turn comes */
    if (l->batch[i].data.ptr == w) l->batch[i].data.ptr = NULL;
}

/* ---- deadlines: a binary heap, the earliest at 1 ---- */

static void put(struct loop *l, size_t place, struct timer *t)
{
  l->heap[place] = t;
  t->place = place;
}

static void rise(struct loop *l, size_t i)
{
  struct timer *const t = l->heap[i];
  for (; i > 1 && l->heap[i / 2]->at > t->at; i /= 2) put(l, i, l->heap[i / 2]);
  put(l, i, t);
}

static void sink(struct loop *l, size_t i)
{
  struct timer *const t = l->heap[i];
  for (size_t child; (child = 2 * i) <= l->timers; i = child) {
    if (child < l->timers && l->heap[child + 1]->at < l->heap[child]->at) child++;
    if (l->heap[child]->at >= t->at) break;
    put(l, i, l->heap[child]);
  }
  put(l, i, t);
}

static void drop(struct loop *l, struct timer *t)
{
  const size_t place = t->place;
  struct timer *const last = l->heap[l->timers--];

  t->place = 0;
  if (last == t) return;
  put(l, place, last);
  rise(l, place);
  sink(l, last->place);
}

void timer_set(struct loop *l, struct timer *t, itw_mono at)
{
  if (t->place && t->at == at) return;
  if (t->place) drop(l, t);
  t->at = at;
  if (at == ITW_NEVER) return;
  if (l->timers == l->room) abort(); /* loop_open was told too few */
  put(l, ++l->timers, t);
  rise(l, l->timers);
}

static void arm(struct loop *l)
{
  const itw_mono at = l->timers ? l->heap[1]->at : ITW_NEVER;
  struct itimerspec when = {0};

  if (at == l->armed) return;
  l->armed = at;
  if (at != ITW_NEVER) { /* all zero would switch it off */
    when.it_value.tv_sec = (time_t)(at / NS_PER_S);
    when.it_value.tv_nsec = (long)(at % NS_PER_S) + (at == 0);
  }
  (void)timerfd_settime(l->clock, TFD_TIMER_ABSTIME, &when, NULL);
}

static void run_timers(struct loop *l)
{
  const itw_mono now = now_mono();

  while (l->timers && l->heap[1]->at <= now) {
    struct timer *const t = l->heap[1];
    drop(l, t);
    t->due(t, now);
  }
}

/* ---- jobs ---- */

void job_set(struct loop *l, struct job *j, bool run)
{
  if (run == (j->next != NULL)) return;
  if (run) {
    if (!l->jobs) l->jobs = j->next = j->prev = j;
    j->next = l->jobs; /* behind all others */
    j->prev = l->jobs->prev;
    j->next->prev = j->prev->next = j;
    return;
  }
  if (l->jobs == j) l->jobs = j->next == j ? NULL : j->next;
  j->prev->next = j->next;
  j->next->prev = j->prev;
  j->next = j->prev = NULL;
}

static void run_jobs(struct loop *l)
{
  const itw_mono end = now_mono() + JOBS_NS;

  for (itw_mono now = end - JOBS_NS; l->jobs && now < end; now = now_mono()) {
    struct job *const j = l->jobs;
    l->jobs = j->next;
    j->run(j, now);
  }
}

/* ---- the loop ---- */

void loop_turn(struct loop *l)
{
  arm(l);
  l->filled = epoll_pwait(l->epoll, l->batch, LOOP_BATCH, l->jobs ? 0 : -1, &l->mask);
  for (l->at = 0; l->at < l->filled;) {
    const struct epoll_event *const e = &l->batch[l->at++];
    struct watch *const w = e->data.ptr;
    if (w) w->ready(w, e->events);
  }
  run_timers(l);
  run_jobs(l);
}

/* ---- signals ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
  (void)number;
  interrupted = 1;
}

/* They are blocked but for the time that the loop waits, so none is missed between looking and waiting. */
void loop_catch_signals(struct loop *l)
{
  struct sigaction action = {.sa_handler = on_signal};
  sigset_t set;

  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, &l->mask);
  sigdelset(&l->mask, SIGINT);
  sigdelset(&l->mask, SIGTERM);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL);
}

bool loop_interrupted(void) { return interrupted != 0; }
