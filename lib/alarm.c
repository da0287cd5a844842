/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarm.h"

static void put(struct itwi_alarms *a, uint32_t i, uint32_t session, itw_mono at)
{
  a->at[i] = at;
  a->who[i] = session;
  a->place[session] = i + 1;
}

/* The entry (session, at) belongs at i or above it. */
static uint32_t rise(struct itwi_alarms *a, uint32_t i, itw_mono at)
{
  for (; i > 0 && a->at[(i - 1) / 2] > at; i = (i - 1) / 2) put(a, i, a->who[(i - 1) / 2], a->at[(i - 1) / 2]);
  return i;
}

static uint32_t sink(struct itwi_alarms *a, uint32_t i, itw_mono at)
{
  for (uint32_t child = 2 * i + 1; child < a->n; child = 2 * i + 1) {
    if (child + 1 < a->n && a->at[child + 1] < a->at[child]) child++;
    if (a->at[child] >= at) break;
    put(a, i, a->who[child], a->at[child]);
    i = child;
  }
  return i;
}

static void settle(struct itwi_alarms *a, uint32_t i, uint32_t session, itw_mono at)
{
  put(a, sink(a, rise(a, i, at), at), session, at);
}

void itwi_alarm_set(struct itwi_alarms *a, uint32_t session, itw_mono at)
{
  settle(a, a->place[session] ? a->place[session] - 1 : a->n++, session, at);
}

void itwi_alarm_clear(struct itwi_alarms *a, uint32_t session)
{
  const uint32_t i = a->place[session];

  if (i == 0) return;
  a->place[session] = 0;
  a->n--;
  if (i - 1 < a->n) settle(a, i - 1, a->who[a->n], a->at[a->n]);
}
