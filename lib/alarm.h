/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_ALARM_H
#define ITWI_ALARM_H

/* At most one wake-up per session, the earliest first: a binary heap. Setting, moving and clearing one costs log n; a packet
   does none of them (reflector.c: wake-ups may be earlier than what they stand for, and are moved when they ring).
   Layer 3. */

#include <ipsectwamp/types.h>
#include <stdbool.h>

struct itwi_alarms {
  itw_mono *at;    /* the heap */
  uint32_t *who;   /* whose at[i] is */
  uint32_t *place; /* of a session in the heap, + 1; 0: none */
  uint32_t n;
};

/* Each array has room for all sessions; place is zeroed. */
void itwi_alarm_set(struct itwi_alarms *, uint32_t session, itw_mono at);
void itwi_alarm_clear(struct itwi_alarms *, uint32_t session);
/* ITW_NEVER: none. */
static inline itw_mono itwi_alarm_first(const struct itwi_alarms *a) { return a->n ? a->at[0] : ITW_NEVER; }

#endif
