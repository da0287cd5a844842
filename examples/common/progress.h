/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_PROGRESS_H
#define COMMON_PROGRESS_H

/* How a measurement gets on: one line on stderr, rewritten. For terminals. */

#include "parts.h"

struct progress {
  struct loop *loop;
  struct timer timer; /* place 0: off */
  const struct parts *parts;
  bool shown;
};

void progress_start(struct progress *, struct loop *, const struct parts *);
void progress_clear(struct progress *); /* makes room for another line */
void progress_stop(struct progress *); /* wipes the line; once more, or never started: nothing */

#endif
