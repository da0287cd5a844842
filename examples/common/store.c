/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "store.h"

#include "clock.h"

#include <stdlib.h>

enum { SKIPS_MAX = 65536 };

/* An eighth more, for duplicates. */
static uint32_t room_for(uint32_t packets)
{
  const uint64_t room = (uint64_t)packets + packets / 8 + 8;
  return room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
}

uint64_t result_octets(uint32_t packets) { return (uint64_t)room_for(packets) * sizeof(struct itw_record); }

/* ---- results ---- */

static void unlink_result(struct result *r)
{
  if (r->newer) r->newer->older = r->older;
  if (r->older) r->older->newer = r->newer;
  if (r->owner->newest == r) r->owner->newest = r->older;
  if (r->owner->oldest == r) r->owner->oldest = r->newer;
}

static void free_result(struct result *r)
{
  r->owner->shares[r->user.class].storage -= result_octets(r->request.packets);
  unlink_result(r);
  free(r->skips);
  free(r->records);
  free(r->slots);
  free(r);
}

void result_drop(struct result *r)
{
  r->dropped = true;
  if (!r->readers) free_result(r);
}

void result_hold(struct result *r) { r->readers++; }

void result_release(struct result *r)
{
  if (--r->readers == 0 && r->dropped) free_result(r);
}

void result_add(struct result *r, const struct itw_record *record)
{
  if (r->count < r->room)
    r->records[r->count++] = *record;
  else
    r->left_out++;
}

bool result_skips(struct result *r, const struct itw_skip *skips, size_t n)
{
  if (!n) return true; /* realloc to nothing would free them */
  struct itw_skip *const more = n <= SKIPS_MAX - r->n_skips ? realloc(r->skips, (r->n_skips + n) * sizeof *more) : NULL;
  if (!more) return false;
  memcpy(more + r->n_skips, skips, n * sizeof *more);
  r->skips = more;
  r->n_skips += (uint32_t)n;
  return true;
}

void result_finish(struct result *r, const struct itw_verdict *verdict, itw_mono now)
{
  r->verdict = *verdict;
  r->finished = true;
  r->expires = now + r->owner->keep_ns;
}

/* ---- all of them ---- */

static void on_expiry(struct timer *t, itw_mono now)
{
  struct store *const s = t->owner;

  for (struct result *r = s->oldest, *newer; r; r = newer) {
    newer = r->newer;
    if (r->finished && !r->dropped && r->expires <= now) result_drop(r);
  }
  timer_set(s->loop, t, s->oldest ? now + NS_PER_S : ITW_NEVER);
}

void store_open(struct store *s, struct loop *loop, struct share *shares, uint64_t keep_ns)
{
  *s = (struct store){.loop = loop, .shares = shares, .keep_ns = keep_ns};
  s->expiry = (struct timer){.due = on_expiry, .owner = s};
}

void store_close(struct store *s)
{
  while (s->newest) free_result(s->newest);
  if (s->loop) timer_set(s->loop, &s->expiry, ITW_NEVER);
}

void store_make_room(struct store *s, uint32_t class, uint64_t octets)
{
  const struct share *const share = &s->shares[class];

  for (struct result *r = s->oldest, *newer; r && octets > share->limits.storage - share->storage; r = newer) {
    newer = r->newer;
    if (r->user.class == class && r->finished && !r->readers) free_result(r);
  }
}

struct result *store_add(struct store *s, struct visit *visit, const struct user *user,
                         const struct itw_request *request, const struct itw_slot *slots)
{
  struct result *const r = calloc(1, sizeof *r);

  if (!r) return NULL;
  r->room = room_for(request->packets);
  r->records = calloc(r->room, sizeof *r->records);
  r->slots = calloc(request->slots, sizeof *slots);
  if (!r->records || !r->slots) {
    free(r->records);
    free(r->slots);
    free(r);
    return NULL;
  }
  memcpy(r->slots, slots, request->slots * sizeof *slots);
  r->owner = s;
  r->visit = visit;
  r->user = *user;
  r->request = *request;
  r->older = s->newest;
  if (r->older) r->older->newer = r;
  s->newest = r;
  if (!s->oldest) s->oldest = r;
  s->shares[user->class].storage += result_octets(request->packets);
  if (!s->expiry.place) timer_set(s->loop, &s->expiry, now_mono() + NS_PER_S);
  return r;
}

static bool same_user(const struct user *a, const struct user *b)
{
  static const uint8_t none[sizeof a->key_id];

  if (a->class != b->class || memcmp(a->key_id, b->key_id, sizeof a->key_id)) return false;
  return memcmp(a->key_id, none, sizeof none) ||
         (a->addr.family == b->addr.family && !memcmp(a->addr.ip, b->addr.ip, sizeof a->addr.ip));
}

struct result *store_find(const struct store *s, const struct user *user, const uint8_t sid[16])
{
  struct result *r = s->newest;
  while (r && (r->dropped || memcmp(r->request.sid, sid, 16) || !same_user(&r->user, user))) r = r->older;
  return r;
}

void store_detach(struct store *s, const struct visit *visit)
{
  for (struct result *r = s->oldest, *newer; r; r = newer) {
    newer = r->newer;
    if (r->visit != visit) continue;
    r->visit = NULL;
    if (r->user.class == CLASS_OPEN && !r->dropped) result_drop(r);
  }
}
