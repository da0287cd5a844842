/* SPDX-License-Identifier: BSD-3-Clause */
#include "limits.h"

#include "names.h"
#include "store.h"

#include <string.h>

/* Conservatively low (RFC 4656 §6.5). */
const struct limits limits_default[CLASSES] = {
    [CLASS_OPEN] = {.packets = 10000, .sessions = 16, .bandwidth = 1000000, .storage = 4000000},
    [CLASS_KNOWN] = {.packets = 1000000, .sessions = 256, .bandwidth = 20000000, .storage = 64000000},
};

bool limits_parse(struct limits *l, const char *text)
{
  char copy[256], *at = copy;

  if (strlen(text) >= sizeof copy) return false;
  strcpy(copy, text);
  for (char *one; (one = strsep(&at, ","));) {
    char *value = one;
    const char *const name = strsep(&value, "=");
    uint64_t *const member = !strcmp(name, "packets")     ? &l->packets
                             : !strcmp(name, "sessions")  ? &l->sessions
                             : !strcmp(name, "bandwidth") ? &l->bandwidth
                             : !strcmp(name, "storage")   ? &l->storage
                                                          : NULL;
    if (!member || !value || !option_amount(member, value)) return false;
  }
  return true;
}

struct demand demand_of(const struct itw_request *request, const struct itw_slot *slots, uint32_t mode)
{
  const uint64_t header = mode == ITW_MODE_OPEN || mode == ITW_MODE_MIXED ? ITW_SENDER_OPEN : ITW_SENDER_SECURE;
  const uint64_t bits = (header + request->padding + (request->receiver.family == 6 ? 48 : 28)) * 8;
  struct demand d = {.packets = request->packets, .bandwidth = UINT64_MAX};
  uint64_t cycle = 0; /* of the schedule, seconds 32, fraction 32 */

  for (uint32_t i = 0; i < request->slots; i++)
    if (__builtin_add_overflow(cycle, slots[i].parameter, &cycle)) cycle = UINT64_MAX;
  if (cycle) d.bandwidth = (uint64_t)((double)bits * request->slots * 4294967296.0 / (double)cycle);
  if (request->conf & ITW_CONF_RECEIVER) d.storage = result_octets(request->packets);
  return d;
}

uint32_t share_refuses(const struct share *s, const struct demand *d, const char **why)
{
  const struct limits *const l = &s->limits;

  if (d->packets > l->packets) return *why = "more packets than a session may have", ITW_ACCEPT_PERMANENT;
  if (d->bandwidth > l->bandwidth) return *why = "more bandwidth than all may have", ITW_ACCEPT_PERMANENT;
  if (d->storage > l->storage) return *why = "more storage than all may have", ITW_ACCEPT_PERMANENT;
  if (s->sessions >= l->sessions) return *why = "too many sessions", ITW_ACCEPT_TEMPORARY;
  if (d->bandwidth > l->bandwidth - s->bandwidth) return *why = "no bandwidth left", ITW_ACCEPT_TEMPORARY;
  if (d->storage > l->storage - s->storage) return *why = "no storage left", ITW_ACCEPT_TEMPORARY;
  return ITW_ACCEPT_OK;
}

void share_take(struct share *s, const struct demand *d)
{
  s->sessions++;
  s->bandwidth += d->bandwidth;
}

void share_return(struct share *s, const struct demand *d)
{
  s->sessions--;
  s->bandwidth -= d->bandwidth;
}
