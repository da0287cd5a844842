/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

/* One thread's loop over epoll: sockets, deadlines, and jobs that run in slices while nothing else is to be done. What
   is watched belongs to its owner, who stops it before it goes away. */

#include <ipsectwamp/types.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>

/* A file descriptor. */
struct watch {
  int fd;
  uint32_t events; /* EPOLLIN, EPOLLOUT; errors are always told */
  bool on;
  void (*ready)(struct watch *, uint32_t events);
  void *owner;
};

/* A deadline. */
struct timer {
  itw_mono at;
  size_t place; /* in the heap, from 1; 0: not running */
  void (*due)(struct timer *, itw_mono now);
  void *owner;
};

/* Work in slices of some ten microseconds; runs again and again until it is stopped. */
struct job {
  struct job *next, *prev; /* in a ring; NULL: not running */
  void (*run)(struct job *, itw_mono now);
  void *owner;
};

enum { LOOP_BATCH = 64 };
struct loop {
  int epoll, clock; /* clock: a timerfd, because epoll's own timeout has whole milliseconds only */
  struct watch alarm;
  struct timer **heap; /* from 1; the parent of i is i / 2 */
  size_t timers, room;
  itw_mono armed;
  struct job *jobs; /* the one to run next */
  struct epoll_event batch[LOOP_BATCH];
  int at, filled;
  sigset_t mask; /* while waiting */
};

/* timers: how many may run at a time. 0, or an errno. */
int loop_open(struct loop *, size_t timers);
void loop_close(struct loop *);
/* Waits until there is something to do, and does it. */
void loop_turn(struct loop *);

/* False: the kernel has no memory for it (fs.epoll.max_user_watches). */
bool watch_start(struct loop *, struct watch *, uint32_t events);
void watch_change(struct loop *, struct watch *, uint32_t events);
void watch_stop(struct loop *, struct watch *);
void timer_set(struct loop *, struct timer *, itw_mono at); /* ITW_NEVER: stops it */
void job_set(struct loop *, struct job *, bool run);

/* SIGINT and SIGTERM end the waiting of loop_turn; loop_interrupted tells that one came. SIGPIPE is ignored. */
void loop_catch_signals(struct loop *);
bool loop_interrupted(void);

#endif
