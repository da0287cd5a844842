/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_SCHEDULE_H
#define ITWI_SCHEDULE_H

/* Schedules with a cipher context that is there already. Layer 3. */

#include "crypto.h"
#include <ipsectwamp/schedule.h>

/* n is at least 1, and each slot is of a known type. */
bool itwi_slots_ok(const struct itw_slot *, size_t n);
bool itwi_slots_random(const struct itw_slot *, size_t n); /* one of them needs AES */

/* As itw_schedule_next; the answer is schedule->offset. The context is keyed here, when numbers are needed: one will do for
   any number of schedules. */
itw_status itwi_schedule_next(struct itw_schedule *, const struct itw_slot *, size_t n, struct itwi_cbc *,
                              const struct itwi_backend *);

#endif
