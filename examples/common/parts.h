/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_PARTS_H
#define COMMON_PARTS_H

/* A measurement that may outlive its SA. With ITW_REKEY_CLOSE it has parts, each a struct measure over a connection of its
   own: when the SA is replaced or deleted, or the Server closes because of that, the part ends, what is under way is waited
   for, and the next part sends the rest of the packets under the new SA. Packets are numbered through over all parts, and
   the reports are of all. Otherwise it is one struct measure.

   Waits for the source of its keys to be ready, and for a new SA when there is none, as long as connecting may take. */

#include "measure.h"

struct parts;

/* As measure_start; the source is borrowed, its handlers become ours. NULL: no memory. */
struct parts *parts_start(struct loop *, const struct measure_config *, struct source *);
void parts_stop(struct parts *); /* ends early: what was sent counts */
void parts_free(struct parts *);

struct measure_progress parts_progress(const struct parts *);

/* Not all packets were sent, for want of an SA; what was sent is valid. */
bool parts_cut(const struct parts *);
/* As those of struct measure. */
const char *parts_failure(const struct parts *);
bool parts_had_session(const struct parts *);
const struct report *parts_reports(const struct parts *);
struct report_head parts_head(const struct parts *);

#endif
