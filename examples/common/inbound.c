/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "inbound.h"

#include "clock.h"

enum { CONTEXTS = 64 };
static const uint64_t clock_every = 10 * NS_PER_S; /* how often the kernel is asked for its clock's quality */

static struct incoming *incoming_of(uint64_t user) { return (struct incoming *)(uintptr_t)user; }

static void watch_lost(struct inbound *s) { timer_set(s->loop, &s->timer, itw_receiver_deadline(s->receiver)); }

static void look_at_clock(struct inbound *s, itw_mono now)
{
  struct itw_clock clock;

  if (now < s->clock_next) return;
  s->clock_next = now + clock_every;
  ITW_INIT(clock);
  clock.error = now_error();
  if (itw_receiver_clock(s->receiver, &clock) < 0) s->clock_next = ITW_NEVER;
}

/* Records of what was lost, and sessions that have ended. */
static void look(struct inbound *s, itw_mono now)
{
  struct itw_verdict verdict;
  struct itw_record record;
  uint64_t user;
  itw_id id;

  while (itw_receiver_lost(s->receiver, &id, &user, &record, now) == ITW_OK) s->record(incoming_of(user), &record);
  ITW_INIT(verdict);
  while (itw_receiver_ended(s->receiver, &id, &user, &verdict) == ITW_OK) {
    incoming_of(user)->complete = true;
    s->ended(incoming_of(user), &verdict);
  }
  watch_lost(s);
}

/* The loop reads sockets before it looks at timers, so what has come isn't taken for lost. */
static void on_time(struct timer *t, itw_mono now)
{
  look_at_clock(t->owner, now);
  look(t->owner, now);
}

static void read_socket(struct incoming *in)
{
  struct inbound *const s = in->shard;
  struct burst *const b = s->burst;
  struct itw_record records[BURST];
  size_t n;

  do {
    n = udp_receive(&in->udp, b);
    if (itw_receiver_take(s->receiver, b->octets, b->size, b->packet, sizeof b->packet[0], records, sizeof records[0],
                          n, now_mono()) < 0)
      return;
    for (size_t i = 0; i < n; i++)
      if (b->packet[i].status == ITW_OK)
        s->record(in, &records[i]);
      else if (s->refused)
        s->refused(in, &b->packet[i]);
  } while (n == BURST);
  watch_lost(s);
}

static void on_packets(struct watch *w, uint32_t events)
{
  (void)events;
  read_socket(w->owner);
}

/* ---- sessions ---- */

itw_status incoming_add(struct inbound *s, struct incoming *in, const struct itw_session *session,
                        const struct itw_slot *slots, uint32_t n)
{
  in->shard = s;
  in->watch = (struct watch){.fd = in->udp.fd, .ready = on_packets, .owner = in};
  if (!watch_start(s->loop, &in->watch, EPOLLIN)) return ITW_ERR_MEMORY;
  return itw_receiver_add(s->receiver, &in->id, session, slots, n, (uintptr_t)in);
}

itw_status incoming_start(struct incoming *in)
{
  struct itw_wall wall;

  ITW_INIT(wall);
  wall.now = now_wall();
  const itw_status st = itw_receiver_start(in->shard->receiver, in->id, &wall, now_mono());
  watch_lost(in->shard);
  return st;
}

void incoming_stop(struct incoming *in, uint32_t next_seqno)
{
  const itw_mono now = now_mono();

  read_socket(in);
  if (itw_receiver_stop(in->shard->receiver, in->id, next_seqno, now) == ITW_OK) look(in->shard, now);
}

void incoming_broke(struct incoming *in)
{
  const itw_mono now = now_mono();

  read_socket(in);
  if (itw_receiver_broke(in->shard->receiver, in->id, now) == ITW_OK) look(in->shard, now);
}

void incoming_close(struct incoming *in)
{
  struct inbound *const s = in->shard;

  if (s) watch_stop(s->loop, &in->watch);
  if (s && in->id && itw_receiver_remove(s->receiver, in->id) == ITW_OK) watch_lost(s);
  in->id = 0;
  udp_close(&in->udp);
}

/* ---- all of them ---- */

itw_status inbound_open(struct inbound *s, struct loop *loop, struct burst *burst, uint32_t sessions, uint32_t slots,
                        uint32_t window)
{
  struct itw_shard_config config;

  ITW_INIT(config);
  ITW_INIT(config.clock);
  config.sessions = sessions;
  config.contexts = sessions < CONTEXTS ? sessions : CONTEXTS;
  config.slots = slots;
  config.window = window;
  config.clock.error = now_error();
  random_octets(config.seed, sizeof config.seed);
  s->loop = loop;
  s->burst = burst;
  s->timer = (struct timer){.due = on_time, .owner = s};
  const itw_status st = itw_receiver_new(&s->receiver, &config);
  itw_wipe(config.seed, sizeof config.seed);
  return st;
}

void inbound_close(struct inbound *s)
{
  if (s->loop) timer_set(s->loop, &s->timer, ITW_NEVER);
  itw_receiver_free(s->receiver);
  s->receiver = NULL;
}
