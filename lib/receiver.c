/* SPDX-License-Identifier: BSD-3-Clause */
#include <ipsectwamp/receiver.h>
#include "abi.h"
#include "plan.h"
#include "seal.h"
#include "secret.h"
#include "shard.h"
#include <ipsectwamp/wire.h>

/* A session has a window of packets: from `cursor`, the first that isn't judged yet, to the last whose scheduled time was
   drawn. Of each it holds that time and whether it has come. The cursor goes on when Timeout has passed for its packet: what
   hasn't come is lost then. New times are drawn as packets ask for them, each once, so that neither reordering nor a forged
   number costs more than the packets themselves; and no further than Timeout after the timestamp that asks.

   A packet doesn't move its session's alarm, which may so be early; it is set to when the first packet that hasn't come
   would be lost. */

struct course {
  uint64_t early, lost, overflow;
  itw_mono stopped; /* ITW_NEVER: not yet */
  uint32_t cursor;
  uint32_t place;   /* the cursor's, in the window */
  uint32_t above;   /* the highest sequence number that came, + 1 */
  uint32_t end;     /* packets from here on are not lost: Number of Packets; after the stop, what was sent */
  uint32_t invalid; /* Next Seqno contradicts what came */
  uint32_t mbz;
};

struct itw_receiver {
  struct itwi_shard shard;
  struct itwi_plans plans;
  struct course *courses; /* each session's */
  uint64_t *times;        /* `window` offsets of each */
  uint32_t *bits;         /* and what has come of them */
  uint32_t window;
};
_Static_assert(offsetof(struct itw_receiver, shard) == 0, "a shard that knows more");
_Static_assert(sizeof(struct course) == 56, "no padding");

enum { HEAD = 32 }; /* the sender's header up to its HMAC */

static uint32_t extra(const struct itw_shard_config *c)
{
  return itwi_plans_octets(c) + (uint32_t)(sizeof(struct course) + c->window * sizeof(uint64_t)) + c->window / 8;
}

static const struct itwi_role role = {sizeof(struct itw_receiver), extra};

size_t itw_receiver_size(const struct itw_shard_config *config)
{
  struct itw_shard_config c;
  const bool ok = itwi_abi_in(&c, sizeof c, config, sizeof c) == ITW_OK && c.slots > 0;

  itw_wipe(&c, sizeof c);
  return ok ? itwi_shard_size(config, &role) : 0;
}

static itw_status make(itw_receiver **out, void *memory, size_t len, const struct itw_shard_config *config)
{
  struct itw_shard_config c;
  struct itwi_shard *shard;
  itw_receiver *r;
  uint8_t *arrays;
  itw_status st;

  if (!out) return ITW_ERR_ARGUMENT;
  *out = NULL;
  st = itwi_shard_make(&shard, &arrays, &c, &role, memory, len, config);
  if (st != ITW_OK) return st;
  r = (itw_receiver *)(void *)shard;
  r->courses = (struct course *)(void *)itwi_plans_cut(&r->plans, arrays, &c);
  r->times = (uint64_t *)(void *)(r->courses + c.sessions);
  r->bits = (uint32_t *)(void *)(r->times + (size_t)c.sessions * c.window);
  r->window = c.window;
  st = c.slots ? itwi_plans_open(&r->plans, &shard->backend) : ITW_ERR_ARGUMENT;
  if (st == ITW_OK)
    *out = r;
  else
    itwi_shard_free(shard);
  return st;
}

itw_status itw_receiver_init(itw_receiver **out, void *memory, size_t len, const struct itw_shard_config *config)
{
  return memory ? make(out, memory, len, config) : ITW_ERR_ARGUMENT;
}

itw_status itw_receiver_new(itw_receiver **out, const struct itw_shard_config *config)
{
  return make(out, NULL, 0, config);
}

void itw_receiver_free(itw_receiver *r)
{
  if (!r) return;
  itwi_plans_close(&r->plans);
  itwi_shard_free(&r->shard);
}

itw_status itw_receiver_clock(itw_receiver *r, const struct itw_clock *clock)
{
  struct itw_clock c;
  itw_status st;

  if (!r) return ITW_ERR_ARGUMENT;
  st = itwi_abi_in(&c, sizeof c, clock, sizeof c);
  return st == ITW_OK ? itwi_clock_in(&r->shard.clock, &c) : st;
}

itw_status itw_receiver_counts(const itw_receiver *r, itw_id id, struct itw_counts *out)
{
  struct itw_counts c;
  itw_status st;

  ITW_INIT(c);
  st = r ? itwi_shard_counts(&r->shard, id, ITWI_AS_RECEIVER, &c) : ITW_ERR_ARGUMENT;
  if (st != ITW_OK) return st;
  if (id) {
    const struct course *x = &r->courses[(uint32_t)id];
    c.early = x->early;
    c.lost = x->lost;
    c.overflow = x->overflow;
  }
  return itwi_abi_out(out, &c, sizeof c, sizeof c);
}

/* -------- the window -------- */

static uint64_t plus(uint64_t a, uint64_t b) { return a + b < a ? UINT64_MAX : a + b; }

static uint64_t root(uint64_t x)
{
  uint64_t r = 0;
  for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1)
    if ((r + bit) * (r + bit) <= x) r += bit;
  return r;
}

/* From Timeout ago, where the cursor is, to 2 Timeout ahead: a timestamp may be Timeout ahead of when it came, and its
   scheduled time Timeout ahead of that. */
uint32_t itw_receiver_window(const struct itw_slot *slots, size_t n, uint64_t timeout, uint32_t packets)
{
  const uint64_t span = timeout > UINT64_MAX / 3 ? UINT64_MAX : 3 * timeout;
  uint64_t circle = 0, need = packets;

  if (!itwi_slots_ok(slots, n)) return 0;
  for (size_t i = 0; i < n; i++) circle = plus(circle, slots[i].parameter);
  if (circle && span / circle < packets / n) need = (span / circle + 1) * n;
  if (itwi_slots_random(slots, n)) need += 6 * root(need) + 32;
  return need < packets ? (uint32_t)need : packets;
}

static uint64_t *times_of(const itw_receiver *r, uint32_t at) { return r->times + (size_t)at * r->window; }
static uint32_t *bits_of(const itw_receiver *r, uint32_t at) { return r->bits + (size_t)at * (r->window / 32); }
static uint32_t mask(uint32_t place) { return UINT32_C(1) << (place & 31); }

/* Of a packet in the window, or the one behind it. */
static uint32_t place_of(const itw_receiver *r, const struct course *x, uint32_t seq)
{
  const uint32_t ahead = seq - x->cursor, rest = r->window - x->place;
  return ahead < rest ? x->place + ahead : ahead - rest;
}

static bool has_come(const itw_receiver *r, uint32_t at, uint32_t place)
{
  return bits_of(r, at)[place >> 5] & mask(place);
}

/* The next packet's time; the window has room for it. */
static itw_status draw(itw_receiver *r, uint32_t at)
{
  struct itwi_plan *plan = &r->plans.of[at];
  const uint32_t place = place_of(r, &r->courses[at], plan->drawn);
  const itw_status st = itwi_plan_draw(&r->plans, at);

  if (st == ITW_OK) times_of(r, at)[place] = plan->offset;
  return st;
}

/* Timeout has passed after the packet's time. */
static bool is_over(const itw_receiver *r, uint32_t at, uint32_t place, itw_mono now)
{
  const struct itwi_plan *plan = &r->plans.of[at];
  return itwi_plan_late(plan, times_of(r, at)[place], now) >= (int64_t)plan->timeout;
}

static void pass(itw_receiver *r, uint32_t at)
{
  struct course *x = &r->courses[at];

  bits_of(r, at)[x->place >> 5] &= ~mask(x->place);
  x->cursor++;
  if (++x->place == r->window) x->place = 0;
}

/* -------- a session's life -------- */

itw_status itw_receiver_add(itw_receiver *r, itw_id *out, const struct itw_session *session, const struct itw_slot *slots,
                            size_t n, uint64_t user)
{
  struct itw_session_info i;
  uint32_t at;
  itw_status st;

  if (!r || !out || !session) return ITW_ERR_ARGUMENT;
  ITW_INIT(i);
  st = itwi_plans_check(&r->plans, slots, n);
  if (st == ITW_OK) st = itw_session_info(session, &i);
  if (st == ITW_OK && itw_receiver_window(slots, n, i.timeout, i.packets) > r->window) st = ITW_ERR_TOO_SMALL;
  if (st == ITW_OK) st = itwi_shard_add(&r->shard, out, session, user, ITWI_AS_RECEIVER);
  if (st != ITW_OK) return st;
  at = (uint32_t)*out;
  r->courses[at] = (struct course){.stopped = ITW_NEVER, .end = i.packets};
  memset(bits_of(r, at), 0, r->window / 8);
  st = itwi_plan_make(&r->plans, at, session, slots, n);
  if (st != ITW_OK) itwi_shard_remove(&r->shard, at);
  if (st == ITW_OK) times_of(r, at)[0] = r->plans.of[at].offset;
  return st;
}

itw_status itw_receiver_start(itw_receiver *r, itw_id id, const struct itw_wall *wall, itw_mono now)
{
  struct itwi_slot *slot = r ? itwi_shard_slot(&r->shard, id) : NULL;
  struct itwi_plan *plan;
  itw_status st;

  if (!slot) return r ? ITW_ERR_STALE : ITW_ERR_ARGUMENT;
  if (slot->state != ITWI_SLOT_ADDED) return ITW_ERR_STATE;
  plan = &r->plans.of[(uint32_t)id];
  st = itwi_plan_begin(plan, wall, now);
  if (st != ITW_OK) return st;
  slot->state = ITWI_SLOT_RUNNING;
  itwi_alarm_set(&r->plans.alarms, (uint32_t)id, itwi_plan_time(plan, plan->offset, plan->timeout));
  return ITW_OK;
}

/* What is above `end` is not to be judged any more. */
static void stop(itw_receiver *r, struct itwi_slot *slot, uint32_t end, itw_mono now)
{
  const uint32_t at = itwi_slot_index(&r->shard, slot);
  struct course *x = &r->courses[at];

  x->end = slot->state == ITWI_SLOT_ADDED ? 0 : end;
  x->stopped = now;
  slot->state = ITWI_SLOT_STOPPING;
  itwi_plan_quiet(&r->plans, at);
  itwi_alarm_set(&r->plans.alarms, at, now);
}

itw_status itw_receiver_stop(itw_receiver *r, itw_id id, uint32_t next_seqno, itw_mono now)
{
  struct itwi_slot *slot = r ? itwi_shard_slot(&r->shard, id) : NULL;
  struct course *x;

  if (!slot) return r ? ITW_ERR_STALE : ITW_ERR_ARGUMENT;
  if (slot->state == ITWI_SLOT_STOPPING) return ITW_OK;
  x = &r->courses[(uint32_t)id];
  x->invalid = next_seqno < x->above || next_seqno > r->plans.of[(uint32_t)id].packets;
  stop(r, slot, x->invalid ? 0 : next_seqno, now);
  return ITW_OK;
}

itw_status itw_receiver_broke(itw_receiver *r, itw_id id, itw_mono now)
{
  struct itwi_slot *slot = r ? itwi_shard_slot(&r->shard, id) : NULL;

  if (!slot) return r ? ITW_ERR_STALE : ITW_ERR_ARGUMENT;
  if (slot->state == ITWI_SLOT_STOPPING) return ITW_OK;
  stop(r, slot, r->courses[(uint32_t)id].above, now);
  return ITW_OK;
}

itw_status itw_receiver_remove(itw_receiver *r, itw_id id)
{
  struct itwi_slot *slot = r ? itwi_shard_slot(&r->shard, id) : NULL;

  if (!slot) return r ? ITW_ERR_STALE : ITW_ERR_ARGUMENT;
  itwi_plan_forget(&r->plans, (uint32_t)id);
  itwi_shard_remove(&r->shard, (uint32_t)id);
  return ITW_OK;
}

/* -------- lost -------- */

itw_mono itw_receiver_deadline(const itw_receiver *r) { return r ? itwi_plans_deadline(&r->plans) : ITW_NEVER; }

/* RFC 4656 §3.9. Its Scale 64 doesn't fit into six bits; perfSONAR sends 0, too. */
static void fill_lost(const itw_receiver *r, struct itw_record *out, const struct itwi_plan *plan, uint32_t seq,
                      uint64_t offset)
{
  *out = (struct itw_record){.seq = seq,
                             .send_error = 1,
                             .receive_error = r->shard.clock.error,
                             .sent = plan->start + offset,
                             .ttl = 255};
}

/* The cursor's next step over a packet that is lost; ITW_EMPTY: none is, by now. */
static itw_status judge(itw_receiver *r, uint32_t at, struct itw_record *out, itw_mono now)
{
  struct course *x = &r->courses[at];
  const struct itwi_plan *plan = &r->plans.of[at];

  if (x->stopped < now) now = x->stopped;
  while (x->cursor < x->end) {
    const uint32_t place = x->place;
    const itw_status st = x->cursor == plan->drawn ? draw(r, at) : ITW_OK;
    if (st != ITW_OK) return st;
    if (!is_over(r, at, place, now)) return ITW_EMPTY;
    const bool came = has_come(r, at, place);
    if (!came) fill_lost(r, out, plan, x->cursor, times_of(r, at)[place]);
    pass(r, at);
    if (!came) return ITW_OK;
  }
  return ITW_EMPTY;
}

/* To when the first packet that hasn't come is lost; if all of the window have, to when the cursor can go on; if all of the
   session have, to when it is complete. */
static itw_status set_alarm(itw_receiver *r, uint32_t at)
{
  const struct course *x = &r->courses[at];
  const struct itwi_plan *plan = &r->plans.of[at];
  uint32_t seq = x->cursor, place;
  itw_status st = ITW_OK;

  while (seq < plan->drawn && has_come(r, at, place_of(r, x, seq))) seq++;
  if (seq == plan->packets) seq--;
  if (seq == plan->drawn && seq - x->cursor < r->window) st = draw(r, at);
  if (st != ITW_OK) return st;
  place = seq < plan->drawn ? place_of(r, x, seq) : x->place;
  itwi_alarm_set(&r->plans.alarms, at, itwi_plan_time(plan, times_of(r, at)[place], plan->timeout));
  return ITW_OK;
}

itw_status itw_receiver_lost(itw_receiver *r, itw_id *id, uint64_t *user, struct itw_record *out, itw_mono now)
{
  if (!r || !id || !user || !out) return ITW_ERR_ARGUMENT;
  while (r->plans.alarms.n && itwi_alarm_first(&r->plans.alarms) <= now) {
    const uint32_t at = r->plans.alarms.who[0];
    struct course *x = &r->courses[at];
    itw_status st = judge(r, at, out, now);
    if (st == ITW_OK) {
      *id = itwi_slot_id(&r->shard, at);
      *user = r->shard.slots[at].user;
      return itwi_count(&x->lost, &r->shard.sum.lost, ITW_OK);
    }
    if (st != ITW_EMPTY) return st;
    if (x->stopped != ITW_NEVER || x->cursor == x->end)
      itwi_plan_end(&r->plans, at);
    else
      st = set_alarm(r, at);
    if (st < 0) return st;
  }
  return ITW_EMPTY;
}

itw_status itw_receiver_ended(itw_receiver *r, itw_id *id, uint64_t *user, struct itw_verdict *out)
{
  struct itw_verdict v;
  const struct course *x;
  uint32_t at;

  if (!r || !id || !user || !out) return ITW_ERR_ARGUMENT;
  if (itwi_abi_size(out) < sizeof v) return ITW_ERR_SIZE;
  if (!itwi_plans_ended(&r->plans, &at)) return ITW_EMPTY;
  x = &r->courses[at];
  ITW_INIT(v);
  v.status = x->invalid ? ITW_ERR_SEQUENCE : x->stopped == ITW_NEVER ? ITW_AGAIN : ITW_OK;
  v.below = x->cursor < x->end ? x->cursor : x->end;
  *id = itwi_slot_id(&r->shard, at);
  *user = r->shard.slots[at].user;
  return itwi_abi_out(out, &v, sizeof v, sizeof v);
}

/* -------- take -------- */

/* Cheaper than cryptography, so it comes first. */
static itw_status check_state(itw_receiver *r, struct itwi_slot *slot)
{
  struct itw_counts *sum = &r->shard.sum;
  struct course *x = &r->courses[itwi_slot_index(&r->shard, slot)];

  if (slot->state == ITWI_SLOT_ADDED) return itwi_count(&x->early, &sum->early, ITW_ERR_NOT_STARTED);
  return slot->state == ITWI_SLOT_RUNNING ? ITW_OK : itwi_count(&slot->late, &sum->late, ITW_ERR_LATE);
}

/* The header in plaintext; the packet's octets stay as they came. */
static itw_status open_packet(itw_receiver *r, struct itwi_slot *slot, uint8_t head[HEAD], const uint8_t *p)
{
  struct itwi_seal *seal;
  itw_status st;

  if (!itwi_is_secure(slot)) {
    memcpy(head, p, ITW_SENDER_OPEN);
    return ITW_OK;
  }
  st = itwi_shard_seal(&r->shard, slot, ITWI_UNSEALS, &seal);
  if (st != ITW_OK) return st;
  if (slot->mode == ITW_MODE_ENC) return itwi_unseal_packet(seal, head, p, 32, 32);
  memcpy(head + 16, p + 16, 16);
  return itwi_unseal_packet(seal, head, p, 16, 32);
}

static itw_status read_packet(itw_receiver *r, struct itwi_slot *slot, struct itw_sender_packet *out, const uint8_t *p,
                              uint32_t len)
{
  struct itw_counts *sum = &r->shard.sum;
  uint8_t head[HEAD];
  itw_status st;

  if (len < (itwi_is_secure(slot) ? (uint32_t)ITW_SENDER_SECURE : (uint32_t)ITW_SENDER_OPEN))
    return itwi_count(&slot->malformed, &sum->malformed, ITW_ERR_SHORT);
  st = open_packet(r, slot, head, p);
  if (st == ITW_ERR_HMAC) return itwi_count(&slot->auth_failures, &sum->auth_failures, st);
  if (st == ITW_OK) st = itw_sender_packet_read(out, itwi_is_secure(slot), head, itwi_is_secure(slot) ? HEAD : ITW_SENDER_OPEN);
  if (st == ITW_OK && !(out->error & 0xff)) return itwi_count(&slot->malformed, &sum->malformed, ITW_ERR_MULTIPLIER);
  return st;
}

/* Timestamps are modular: only differences mean anything. */
static bool is_apart(itw_ntp a, itw_ntp b, uint64_t most)
{
  const uint64_t d = a - b;
  return (d >> 63 ? 0 - d : d) > most;
}
static bool is_after(itw_ntp a, itw_ntp b, uint64_t most) { return !((a - b) >> 63) && a - b > most; }

/* The window is full: of what has come, its beginning may have had its time. */
static void make_room(itw_receiver *r, uint32_t at, itw_mono now)
{
  const struct course *x = &r->courses[at];

  while (x->cursor < r->plans.of[at].drawn && has_come(r, at, x->place) && is_over(r, at, x->place, now)) pass(r, at);
}

/* Draws times up to this packet's, while it may be on its schedule. */
static itw_status reach(itw_receiver *r, uint32_t at, const struct itw_sender_packet *p, uint64_t timeout, itw_mono now)
{
  const struct itwi_plan *plan = &r->plans.of[at];
  const struct course *x = &r->courses[at];
  itw_status st = ITW_OK;

  while (st == ITW_OK && plan->drawn <= p->seq) {
    if (is_after(plan->start + plan->offset, p->time, timeout)) return ITW_ERR_TIMESTAMP;
    if (plan->drawn - x->cursor == r->window) make_room(r, at, now);
    st = plan->drawn - x->cursor < r->window ? draw(r, at) : ITW_ERR_FULL;
  }
  return st;
}

/* The rules of RFC 4656 §4.2; place: of the packet in the window. */
static itw_status check_packet(itw_receiver *r, struct itwi_slot *slot, uint32_t *place, const struct itw_sender_packet *p,
                               itw_ntp received, itw_mono now)
{
  const uint32_t at = itwi_slot_index(&r->shard, slot);
  struct course *x = &r->courses[at];
  struct itw_counts *sum = &r->shard.sum;
  const struct itwi_plan *plan = &r->plans.of[at];
  itw_status st;

  if (p->seq >= plan->packets) return itwi_count(&slot->malformed, &sum->malformed, ITW_ERR_SEQUENCE);
  if (p->seq < x->cursor) return itwi_count(&slot->late, &sum->late, ITW_ERR_LATE);
  st = is_apart(p->time, received, slot->timeout) ? ITW_ERR_TIMESTAMP : reach(r, at, p, slot->timeout, now);
  if (st == ITW_ERR_FULL) return itwi_count(&x->overflow, &sum->overflow, st);
  if (st == ITW_OK) {
    *place = place_of(r, x, p->seq);
    if (is_apart(plan->start + times_of(r, at)[*place], p->time, slot->timeout)) st = ITW_ERR_TIMESTAMP;
  }
  return st == ITW_ERR_TIMESTAMP ? itwi_count(&slot->late, &sum->late, st) : st;
}

/* A duplicate is recorded as any other (RFC 4656 §4.2). */
static void mark(itw_receiver *r, struct itwi_slot *slot, uint32_t place, uint32_t seq)
{
  const uint32_t at = itwi_slot_index(&r->shard, slot);
  struct course *x = &r->courses[at];
  struct itw_counts *sum = &r->shard.sum;

  if (has_come(r, at, place))
    (void)itwi_count(&slot->duplicates, &sum->duplicates, ITW_OK);
  else if (seq < x->above)
    (void)itwi_count(&slot->reordered, &sum->reordered, ITW_OK);
  bits_of(r, at)[place >> 5] |= mask(place);
  if (seq >= x->above) x->above = seq + 1;
}

static itw_status take_packet(itw_receiver *r, struct itwi_slot *slot, struct itw_record *out, const uint8_t *p,
                              struct itw_packet *item, itw_mono now)
{
  struct itw_sender_packet packet;
  uint32_t place = 0;
  itw_status st = check_state(r, slot);

  if (st == ITW_OK) st = read_packet(r, slot, &packet, p, item->len);
  if (st == ITW_OK) st = check_packet(r, slot, &place, &packet, item->received, now);
  if (st != ITW_OK) return st;
  mark(r, slot, place, packet.seq);
  item->seq = packet.seq;
  *out = (struct itw_record){.seq = packet.seq,
                             .send_error = packet.error,
                             .receive_error = itwi_item_error(item, r->shard.clock.error),
                             .sent = packet.time,
                             .received = item->received ? item->received : 1, /* 0 would be a lost packet's */
                             .ttl = item->ttl};
  slot->octets += item->len;
  r->shard.sum.octets += item->len;
  return itwi_count(&slot->received, &r->shard.sum.received, ITW_OK);
}

static itw_status take_one(itw_receiver *r, struct itw_record *out, const uint8_t *base, size_t base_len,
                           struct itw_packet *item, itw_mono now)
{
  struct itwi_slot *slot = itwi_shard_slot(&r->shard, item->id);

  if (!itwi_item_known(item) || !itwi_fits(base_len, item->off, item->len)) return ITW_ERR_ARGUMENT;
  if (!slot && item->id) return ITW_ERR_STALE;
  if (!slot) {
    r->shard.sum.unknown++;
    return ITW_ERR_NO_SESSION;
  }
  item->user = slot->user;
  return take_packet(r, slot, out, base + item->off, item, now);
}

/* Where the sessions of a burst stand, and then the ends of their windows, where the packets are likely to belong. */
static void fetch(const itw_receiver *r, struct itw_packet *items, size_t stride, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    const uint32_t at = (uint32_t)itwi_item(items, stride, i)->id;
    if (at >= r->shard.sessions) continue;
    ITWI_PREFETCH(&r->courses[at]);
    ITWI_PREFETCH(&r->plans.of[at].offset);
  }
  for (size_t i = 0; n > 1 && i < n; i++) {
    const struct itwi_slot *slot = itwi_shard_slot(&r->shard, itwi_item(items, stride, i)->id);
    if (!slot) continue;
    const uint32_t at = itwi_slot_index(&r->shard, slot), place = place_of(r, &r->courses[at], r->courses[at].above);
    if (place >= r->window) continue; /* far behind the cursor */
    ITWI_PREFETCH(&times_of(r, at)[place]);
    ITWI_PREFETCH(&bits_of(r, at)[place >> 5]);
  }
}

itw_status itw_receiver_take(itw_receiver *r, const uint8_t *base, size_t base_len, struct itw_packet *items, size_t stride,
                             struct itw_record *records, size_t record_stride, size_t n, itw_mono now)
{
  if (!r || !itwi_burst_ok(base, items, stride, n) || (n && (!records || record_stride < sizeof *records)))
    return ITW_ERR_ARGUMENT;
  for (size_t done = 0; done < n; done += ITWI_CHUNK) {
    struct itw_packet *some = itwi_item(items, stride, done);
    const size_t m = n - done < ITWI_CHUNK ? n - done : ITWI_CHUNK;
    itwi_shard_find(&r->shard, some, stride, m);
    fetch(r, some, stride, m);
    for (size_t i = 0; i < m; i++) {
      struct itw_packet *item = itwi_item(some, stride, i);
      struct itw_record record;
      itwi_shard_ahead(&r->shard, some, stride, m, i);
      item->status = itwi_shard_status(&r->shard, take_one(r, &record, base, base_len, item, now));
      if (item->status == ITW_OK) memcpy((uint8_t *)records + (done + i) * record_stride, &record, sizeof record);
    }
  }
  itwi_shard_leave(&r->shard);
  return ITW_OK;
}
