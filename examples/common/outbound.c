/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "outbound.h"

#include "clock.h"

#include <stdlib.h>

enum { CONTEXTS = 64, SKIPS_MAX = 65536 };
static const uint64_t clock_every = 10 * NS_PER_S; /* how often the kernel is asked for its clock's quality */

/* ---- what was left out ---- */

/* Ranges that touch are one. */
static void skip(struct outgoing *o, uint32_t first, uint32_t last)
{
  if (o->n_skips && o->skips[o->n_skips - 1].last + 1 == first) {
    o->skips[o->n_skips - 1].last = last;
    return;
  }
  if (o->n_skips == o->room) {
    const uint32_t room = o->room ? 2 * o->room : 16;
    struct itw_skip *const more = room <= SKIPS_MAX ? realloc(o->skips, room * sizeof *more) : NULL;
    if (!more) {
      o->lost_track = true;
      return;
    }
    o->skips = more;
    o->room = room;
  }
  o->skips[o->n_skips++] = (struct itw_skip){first, last};
}

/* ---- packets ---- */

/* All that takes time comes before the timestamp; in encrypted mode the cryptography can't. A packet that can't be sent was
   never sent: it is left out. */
static void send_one(struct outbound *s, struct itw_packet *p)
{
  struct outgoing *const o = (struct outgoing *)(uintptr_t)p->user;
  struct burst *const b = s->burst;

  if (p->status == ITW_SKIPPED) {
    skip(o, p->seq, p->seq + p->len - 1);
    return;
  }
  const uint32_t seq = p->seq;
  itw_status st = itw_sender_write(s->sender, b->octets, b->size, p, sizeof *p, 1);
  p->sent = now_wall();
  if (st == ITW_OK) st = p->status;
  if (st == ITW_OK) st = itw_sender_stamp(s->sender, b->octets, b->size, p, sizeof *p, 1);
  if (st == ITW_OK) st = p->status;
  const int error = st == ITW_OK ? udp_send(&o->udp, b, p) : 0;
  if (error && !o->error) o->error = error;
  if (st == ITW_OK && !error)
    o->sent++;
  else
    skip(o, seq, seq);
}

static void look_at_clock(struct outbound *s, itw_mono now)
{
  struct itw_clock clock;

  if (now < s->clock_next) return;
  s->clock_next = now + clock_every;
  ITW_INIT(clock);
  clock.error = now_error();
  if (itw_sender_clock(s->sender, &clock) < 0) s->clock_next = ITW_NEVER;
}

static void watch_due(struct outbound *s) { timer_set(s->loop, &s->timer, itw_sender_deadline(s->sender)); }

static void on_due(struct timer *t, itw_mono now)
{
  struct outbound *const s = t->owner;
  struct itw_packet *const p = burst_clear(s->burst, 0);
  size_t got = 0;
  uint64_t user;
  itw_id id;

  look_at_clock(s, now);
  while (itw_sender_due(s->sender, p, sizeof *p, 1, &got, now) == ITW_OK && got) {
    send_one(s, p);
    burst_clear(s->burst, 0);
    now = now_mono();
  }
  while (itw_sender_ended(s->sender, &id, &user) == ITW_OK) s->ended((struct outgoing *)(uintptr_t)user);
  watch_due(s);
}

/* ---- sessions ---- */

itw_status outgoing_add(struct outbound *s, struct outgoing *o, const struct itw_session *session,
                        const struct itw_slot *slots, uint32_t n)
{
  return itw_sender_add_schedule(s->sender, &o->id, session, slots, n, (uintptr_t)o);
}

void outgoing_start(struct outbound *s, struct outgoing *o)
{
  struct itw_wall wall;

  ITW_INIT(wall);
  wall.now = now_wall();
  if (itw_sender_start(s->sender, o->id, &wall, now_mono()) < 0) o->lost_track = true;
  watch_due(s);
}

void outgoing_stop(struct outbound *s, struct outgoing *o)
{
  if (!o->id || itw_sender_stop(s->sender, &o->next_seqno, o->id) < 0) o->lost_track = true;
  watch_due(s);
}

void outgoing_close(struct outbound *s, struct outgoing *o)
{
  if (o->id && itw_sender_remove(s->sender, o->id) < 0) o->id = 0; /* stale: gone already */
  o->id = 0;
  udp_close(&o->udp);
  free(o->skips);
  o->skips = NULL;
  o->n_skips = o->room = 0;
  if (s->sender) watch_due(s);
}

/* ---- all of them ---- */

itw_status outbound_open(struct outbound *s, struct loop *loop, struct burst *burst, uint32_t sessions, uint32_t slots)
{
  struct itw_shard_config config;

  ITW_INIT(config);
  ITW_INIT(config.clock);
  config.sessions = sessions;
  config.contexts = sessions < CONTEXTS ? sessions : CONTEXTS;
  config.slots = slots;
  config.clock.error = now_error();
  random_octets(config.seed, sizeof config.seed);
  s->loop = loop;
  s->burst = burst;
  s->timer = (struct timer){.due = on_due, .owner = s};
  const itw_status st = itw_sender_new(&s->sender, &config);
  itw_wipe(config.seed, sizeof config.seed);
  return st;
}

void outbound_close(struct outbound *s)
{
  if (s->loop) timer_set(s->loop, &s->timer, ITW_NEVER);
  itw_sender_free(s->sender);
  s->sender = NULL;
}
