/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_PROGRESS_H
#define COMMON_PROGRESS_H

/* How a measurement gets on: one line on stderr, rewritten. For terminals. */

#include "measure.h"

struct progress {
  struct loop *loop;
  struct timer timer; /* place 0: off */
  const struct measure *measure;
  bool shown;
};

void progress_start(struct progress *, struct loop *, const struct measure *);
void progress_stop(struct progress *); /* wipes the line; once more, or never started: nothing */

#endif
