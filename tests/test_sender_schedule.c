/* SPDX-License-Identifier: BSD-3-Clause */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plane.h"
#include <ipsectwamp/wire.h>

enum { ROOM = 256, MOST = 4096 };
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)

/* A sender with room for eight slots, and session 0 in it: started at 10 s of loop time, `ahead` before its Start Time. */
struct bed {
  itw_sender *x;
  struct itw_session_info info;
  itw_id id;
};
static itw_sender *sender(uint32_t sessions)
{
  struct itw_shard_config c = plane_config(sessions, 2);
  itw_sender *x;
  c.slots = 8;
  assert_int_equal(itw_sender_new(&x, &c), ITW_OK);
  return x;
}
static struct bed bed_of(const struct itw_session_info *info, const struct itw_slot *slots, size_t n, int64_t ahead)
{
  struct bed b = {.x = sender(4), .info = *info};
  const struct itw_session s = plane_make(info, 0);
  const struct itw_wall w = plane_wall(info, ahead);
  assert_int_equal(itw_sender_add_schedule(b.x, &b.id, &s, slots, n, 77), ITW_OK);
  assert_true(itw_sender_deadline(b.x) == ITW_NEVER);
  assert_int_equal(itw_sender_start(b.x, b.id, &w, 10 * S), ITW_OK);
  return b;
}
static struct bed bed_new(uint32_t packets, uint64_t wait, int64_t ahead)
{
  const struct itw_session_info info = plane_owamp_info(0, ITW_MODE_OPEN, packets);
  const struct itw_slot slot = plane_fixed(wait);
  return bed_of(&info, &slot, 1, ahead);
}

static size_t due(itw_sender *x, struct itw_packet *items, size_t n, itw_mono now)
{
  size_t got = 99999;
  for (size_t i = 0; i < n; i++) items[i] = (struct itw_packet){.off = (uint32_t)i * ROOM, .cap = ROOM};
  assert_int_equal(itw_sender_due(x, items, sizeof *items, n, &got, now), ITW_OK);
  assert_true(got <= n);
  for (size_t i = 0; i < got; i++) assert_true(items[i].off == i * ROOM && items[i].cap == ROOM);
  return got;
}

static bool is_item(const struct itw_packet *item, uint32_t seq, itw_status status, uint32_t len)
{
  return item->seq == seq && item->status == status && (status == ITW_OK || item->len == len);
}

static uint32_t next_seqno(itw_sender *x, itw_id id)
{
  uint32_t n = 0x5555;
  assert_int_equal(itw_sender_stop(x, &n, id), ITW_OK);
  return n;
}

/* -------- in time -------- */

/* Each packet at its deadline and not before; what leaves is a packet of RFC 4656 §4.1.2; then Timeout, and the end. */
static void on_schedule(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    const struct itw_session_info info = plane_owamp_info(0, plane_modes[m], 10);
    const struct itw_slot slot = plane_fixed(50 * MS);
    struct bed b = bed_of(&info, &slot, 1, 3 * (int64_t)S);
    struct itw_packet items[4];
    uint64_t offset = 0, user;
    itw_mono at = 0;
    itw_id id;
    for (uint32_t seq = 0; seq < 10; seq++) {
      uint8_t p[4 * ROOM];
      struct itw_sender_packet f;
      offset += slot.parameter;
      at = itw_sender_deadline(b.x);
      assert_true(at == 13 * S + (uint64_t)itw_ntp_diff_ns(offset, 0) || at + 1 == 13 * S + (uint64_t)itw_ntp_diff_ns(offset, 0));
      assert_int_equal(due(b.x, items, 4, at - 1), 0);
      assert_int_equal(due(b.x, items, 4, at), 1);
      assert_true(is_item(items, seq, ITW_OK, 0) && items[0].id == b.id && items[0].user == 77);
      assert_int_equal(itw_sender_write(b.x, p, sizeof p, items, sizeof *items, 1), ITW_OK);
      items[0].sent = info.start + offset + 5;
      assert_int_equal(itw_sender_stamp(b.x, p, sizeof p, items, sizeof *items, 1), ITW_OK);
      assert_int_equal(items[0].status, ITW_OK);
      assert_int_equal(items[0].len, plane_sender_header(info.mode) + info.padding);
      if (m > 0) continue;
      assert_int_equal(itw_sender_packet_read(&f, 0, p, items[0].len), ITW_OK);
      assert_true(f.seq == seq && f.time == items[0].sent && f.error == 0x8a05);
    }
    assert_true(itw_sender_deadline(b.x) == at + 2 * S);
    assert_int_equal(due(b.x, items, 4, at + 2 * S - 1), 0);
    assert_int_equal(itw_sender_ended(b.x, &id, &user), ITW_EMPTY);
    assert_int_equal(due(b.x, items, 4, at + 2 * S), 0);
    assert_true(itw_sender_deadline(b.x) == 0); /* there is an end to be told */
    assert_int_equal(itw_sender_ended(b.x, &id, &user), ITW_OK);
    assert_true(id == b.id && user == 77);
    assert_int_equal(itw_sender_ended(b.x, &id, &user), ITW_EMPTY);
    assert_true(itw_sender_deadline(b.x) == ITW_NEVER);
    assert_int_equal(next_seqno(b.x, b.id), 10);
    const struct itw_counts c = plane_sender_counts(b.x, b.id);
    assert_true(c.sent == 10 && c.skipped == 0 && c.late == 0);
    itw_sender_free(b.x);
  }
}

/* Departures are the schedule's, with exponential slots beside fixed ones, whichever session draws in between. */
static void as_the_schedule_says(void **state)
{
  enum { SESSIONS = 3, PACKETS = 500 };
  static const struct itw_slot slots[] = {{.type = ITW_SLOT_EXPONENTIAL, .parameter = UINT64_C(1) << 30},
                                          {.type = ITW_SLOT_FIXED, .parameter = 12345},
                                          {.type = ITW_SLOT_EXPONENTIAL, .parameter = UINT64_C(3) << 28}};
  itw_sender *x;
  struct itw_schedule want[SESSIONS];
  itw_mono before = 0;
  itw_id ids[SESSIONS], id;
  uint64_t user;
  uint32_t seqs[SESSIONS] = {0};
  PLANE_NEEDS(ITW_MODE_AUTH);
  x = sender(SESSIONS);
  (void)state;
  for (uint32_t i = 0; i < SESSIONS; i++) {
    const struct itw_session_info info = plane_owamp_info(i, ITW_MODE_OPEN, PACKETS);
    const struct itw_session s = plane_make(&info, i);
    const struct itw_wall w = plane_wall(&info, 0);
    assert_int_equal(itw_sender_add_schedule(x, &ids[i], &s, slots, 3, i), ITW_OK);
    assert_int_equal(itw_sender_start(x, ids[i], &w, S), ITW_OK);
    itw_schedule_begin(&want[i], info.sid);
  }
  for (uint32_t n = 0; n < SESSIONS * PACKETS; n++) {
    const itw_mono at = itw_sender_deadline(x);
    struct itw_packet item;
    uint64_t offset;
    if (at == 0) { /* one of them is complete */
      assert_int_equal(itw_sender_ended(x, &id, &user), ITW_OK);
      n--;
      continue;
    }
    assert_true(at >= before);
    if (due(x, &item, 1, at) == 0) {
      assert_true(itw_sender_deadline(x) == 0);
      n--;
      continue;
    }
    const uint32_t i = (uint32_t)item.user;
    assert_true(is_item(&item, seqs[i]++, ITW_OK, 0) && item.id == ids[i]);
    assert_int_equal(itw_schedule_next(&want[i], &offset, slots, 3, NULL), ITW_OK);
    assert_in_range(S + (uint64_t)itw_ntp_diff_ns(offset, 0) - at, 0, 1);
    before = at;
  }
  itw_sender_free(x);
}

/* Several sessions fall due together: one burst, the earliest first, cut where the items end. */
static void earliest_first(void **state)
{
  enum { SESSIONS = 5, PACKETS = 40 };
  itw_sender *x = sender(SESSIONS);
  static struct itw_packet items[SESSIONS * PACKETS + 9];
  uint32_t seqs[SESSIONS] = {0};
  uint64_t before = 0;
  size_t all = 0;
  (void)state;
  for (uint32_t i = 0; i < SESSIONS; i++) {
    const struct itw_session_info info = plane_owamp_info(i, ITW_MODE_OPEN, PACKETS);
    const struct itw_session s = plane_make(&info, i);
    const struct itw_slot slot = plane_fixed((7 + i) * MS);
    const struct itw_wall w = plane_wall(&info, 0);
    itw_id id;
    assert_int_equal(itw_sender_add_schedule(x, &id, &s, &slot, 1, i), ITW_OK);
    assert_int_equal(itw_sender_start(x, id, &w, 0), ITW_OK);
  }
  for (size_t got = 1, room = 1; got; all += got, room = room % 9 + 1) {
    got = due(x, items + all, room, 500 * MS);
    if (got < room) assert_int_equal(due(x, items, 1, 500 * MS), 0);
  }
  assert_int_equal(all, SESSIONS * PACKETS);
  for (size_t n = 0; n < all; n++) {
    const uint32_t i = (uint32_t)items[n].user;
    const uint64_t at = (seqs[i] + 1) * itw_ntp_span((7 + i) * MS);
    assert_true(is_item(&items[n], seqs[i]++, ITW_OK, 0));
    assert_true(at + 4 >= before); /* within a nanosecond */
    before = at;
  }
  itw_sender_free(x);
}

/* -------- too late -------- */

/* Exactly Timeout late is in time; a nanosecond more is not. Packets are due at 10 s - 5 s + 100 ms ... */
static void start_time_in_the_past(void **state)
{
  (void)state;
  for (uint32_t late = 0; late < 2; late++) {
    struct bed b = bed_new(100, 125 * MS, -5 * (int64_t)S); /* an exact number of units */
    struct itw_packet items[200];
    const uint32_t skipped = late ? 24 : 23; /* 24 * 125 ms is 3 s */
    const size_t got = due(b.x, items, 200, 10 * S + late);
    assert_true(is_item(&items[0], 0, ITW_SKIPPED, skipped) && items[0].id == b.id && items[0].user == 77);
    assert_int_equal(got, 1 + 40 - skipped);
    for (uint32_t n = 1; n < got; n++) assert_true(is_item(&items[n], skipped + n - 1, ITW_OK, 0));
    assert_true(itw_sender_deadline(b.x) == 10 * S + 125 * MS);
    const struct itw_counts c = plane_sender_counts(b.x, b.id), sum = plane_sender_counts(b.x, 0);
    assert_true(c.skipped == skipped && sum.skipped == skipped && c.late == 0);
    itw_sender_free(b.x);
  }
}

/* Loop time begins after the packets were due. */
static void before_loop_time(void **state)
{
  const struct itw_session_info info = plane_owamp_info(0, ITW_MODE_OPEN, 50);
  const struct itw_session s = plane_make(&info, 0);
  const struct itw_slot slot = plane_fixed(S);
  const struct itw_wall w = plane_wall(&info, -100 * (int64_t)S);
  itw_sender *x = sender(1);
  struct itw_packet items[2];
  itw_id id;
  uint64_t user;
  (void)state;
  assert_int_equal(itw_sender_add_schedule(x, &id, &s, &slot, 1, 0), ITW_OK);
  assert_int_equal(itw_sender_start(x, id, &w, 1), ITW_OK);
  assert_true(itw_sender_deadline(x) == 0);
  assert_int_equal(due(x, items, 2, 1), 1);
  assert_true(is_item(items, 0, ITW_SKIPPED, 50));
  assert_int_equal(due(x, items, 2, 1), 0);
  assert_int_equal(itw_sender_ended(x, &id, &user), ITW_OK); /* all of it is long over */
  itw_sender_free(x);
}

/* A stall in the middle: what is too late is told once, in order with what is sent, and the rest is sent at once. */
static void a_stall(void **state)
{
  struct bed b = bed_new(100, 125 * MS, 0);
  struct itw_packet items[100];
  (void)state;
  assert_int_equal(due(b.x, items, 100, 10 * S + 10 * 125 * MS), 10);
  assert_int_equal(due(b.x, items, 100, 10 * S + 40 * 125 * MS), 1 + 17);
  assert_true(is_item(&items[0], 10, ITW_SKIPPED, 13)); /* 11 to 23 were due more than 2 s ago */
  for (uint32_t n = 1; n < 18; n++) assert_true(is_item(&items[n], 22 + n, ITW_OK, 0));
  assert_int_equal(due(b.x, items, 100, 10 * S + 40 * 125 * MS), 0);
  assert_int_equal(next_seqno(b.x, b.id), 40);
  itw_sender_free(b.x);
}

/* A call's work is bounded by its items; pieces of a run touch. */
static void a_long_run_comes_in_pieces(void **state)
{
  struct bed b = bed_new(5000, MS, -100 * (int64_t)S);
  struct itw_packet items[8];
  uint32_t next = 0;
  (void)state;
  for (uint32_t n = 0; n < 5; n++) {
    assert_int_equal(due(b.x, items, 1, 10 * S), 1);
    assert_true(is_item(items, next, ITW_SKIPPED, n < 4 ? 1024 : 5000 - 4096));
    next += items[0].len;
  }
  assert_int_equal(due(b.x, items, 8, 10 * S), 0);
  assert_int_equal(plane_sender_counts(b.x, b.id).skipped, 5000);
  itw_sender_free(b.x);
}

/* -------- writing -------- */

static itw_status write_one(itw_sender *x, struct itw_packet *item)
{
  static uint8_t p[MOST * ROOM];
  assert_int_equal(itw_sender_write(x, p, sizeof p, item, sizeof *item, 1), ITW_OK);
  return item->status;
}

static void only_what_is_due_is_written(void **state)
{
  struct bed b = bed_new(10, 100 * MS, 0);
  struct itw_packet items[10], item = {.id = b.id, .cap = ROOM};
  (void)state;
  assert_int_equal(write_one(b.x, &item), ITW_ERR_STATE); /* nothing is due */
  assert_int_equal(due(b.x, items, 10, 10 * S + 500 * MS), 5);
  item = (struct itw_packet){.id = b.id, .cap = ROOM, .seq = 5};
  assert_int_equal(write_one(b.x, &item), ITW_ERR_STATE);
  assert_int_equal(write_one(b.x, &items[0]), ITW_OK);
  item = (struct itw_packet){.id = b.id, .cap = ROOM, .seq = 0};
  assert_int_equal(write_one(b.x, &item), ITW_ERR_STATE); /* was written */
  items[1].cap = 10;
  assert_int_equal(write_one(b.x, &items[1]), ITW_ERR_TOO_SMALL);
  assert_int_equal(write_one(b.x, &items[1]), ITW_ERR_TOO_SMALL); /* left alone */
  items[1].status = ITW_OK, items[1].cap = ROOM;
  assert_int_equal(write_one(b.x, &items[1]), ITW_OK); /* the number wasn't used up */
  assert_int_equal(items[1].seq, 1);
  assert_int_equal(write_one(b.x, &items[4]), ITW_OK); /* the caller's to account for: 2 and 3 */
  assert_int_equal(items[4].seq, 4);
  assert_int_equal(write_one(b.x, &items[3]), ITW_ERR_STATE);
  itw_sender_free(b.x);
}

/* Skipped items go through write and stamp untouched, in the middle of a burst. */
static void skipped_items_are_passed_over(void **state)
{
  struct bed b = bed_new(100, 125 * MS, -5 * (int64_t)S);
  static uint8_t p[MOST * ROOM];
  struct itw_packet items[100];
  const size_t got = due(b.x, items, 100, 10 * S);
  (void)state;
  memset(p, 0xcc, sizeof p);
  assert_int_equal(itw_sender_write(b.x, p, sizeof p, items, sizeof *items, got), ITW_OK);
  assert_int_equal(itw_sender_stamp(b.x, p, sizeof p, items, sizeof *items, got), ITW_OK);
  assert_true(is_item(&items[0], 0, ITW_SKIPPED, 23));
  for (size_t n = 0; n < ROOM; n++) assert_int_equal(p[n], 0xcc);
  for (size_t n = 1; n < got; n++) assert_true(is_item(&items[n], 22 + (uint32_t)n, ITW_OK, 0) && items[n].len == 14 + 64);
  assert_int_equal(plane_sender_counts(b.x, b.id).sent, got - 1);
  itw_sender_free(b.x);
}

static void nothing_comes_back(void **state)
{
  struct bed b = bed_new(10, 100 * MS, 0);
  struct itw_packet item = plane_reply(&b.info, 0, ITW_REFLECTOR_OPEN);
  struct itw_reply r;
  uint8_t p[ITW_REFLECTOR_OPEN] = {0};
  (void)state;
  assert_int_equal(plane_read(b.x, p, sizeof p, &item, &r), ITW_ERR_NO_SESSION);
  assert_int_equal(plane_sender_counts(b.x, 0).unknown, 1);
  itw_sender_free(b.x);
}

/* -------- a session's life -------- */

static void stops(void **state)
{
  struct bed b = bed_new(10, 100 * MS, 0);
  const struct itw_session_info info = plane_owamp_info(1, ITW_MODE_OPEN, 10);
  const struct itw_session s = plane_make(&info, 1);
  const struct itw_slot slot = plane_fixed(S);
  const struct itw_wall w = plane_wall(&info, 0);
  struct itw_packet items[10];
  itw_id other, id;
  uint64_t user;
  uint32_t n;
  (void)state;
  assert_int_equal(itw_sender_add_schedule(b.x, &other, &s, &slot, 1, 5), ITW_OK);
  assert_int_equal(due(b.x, items, 10, 10 * S + 350 * MS), 3);
  assert_int_equal(next_seqno(b.x, b.id), 3);
  assert_int_equal(due(b.x, items, 10, 20 * S), 0);
  assert_int_equal(itw_sender_ended(b.x, &id, &user), ITW_EMPTY);
  assert_true(itw_sender_deadline(b.x) == ITW_NEVER);
  assert_int_equal(next_seqno(b.x, b.id), 3);
  assert_int_equal(itw_sender_start(b.x, b.id, &w, 0), ITW_ERR_STATE);
  assert_int_equal(next_seqno(b.x, other), 0); /* never started */
  assert_int_equal(itw_sender_start(b.x, other, &w, 0), ITW_ERR_STATE);
  assert_int_equal(itw_sender_stop(b.x, NULL, other), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_remove(b.x, other), ITW_OK);
  assert_int_equal(itw_sender_stop(b.x, &n, other), ITW_ERR_STALE);
  assert_int_equal(itw_sender_start(b.x, other, &w, 0), ITW_ERR_STALE);
  itw_sender_free(b.x);
}

/* Sessions that ended together are told one by one, but for those that were stopped or removed meanwhile. */
static void ends(void **state)
{
  const struct itw_slot slot = plane_fixed(MS);
  itw_sender *x = sender(8);
  struct itw_packet items[16];
  itw_id ids[8], id;
  uint64_t user, seen = 0;
  (void)state;
  for (uint32_t i = 0; i < 8; i++) {
    const struct itw_session_info info = plane_owamp_info(i, ITW_MODE_OPEN, 2);
    const struct itw_session s = plane_make(&info, i);
    const struct itw_wall w = plane_wall(&info, 0);
    assert_int_equal(itw_sender_add_schedule(x, &ids[i], &s, &slot, 1, i), ITW_OK);
    assert_int_equal(itw_sender_start(x, ids[i], &w, 0), ITW_OK);
  }
  assert_int_equal(due(x, items, 16, S), 16);
  assert_int_equal(due(x, items, 16, 3 * S), 0);
  assert_int_equal(next_seqno(x, ids[3]), 2);
  assert_int_equal(itw_sender_remove(x, ids[0]), ITW_OK);
  assert_int_equal(itw_sender_remove(x, ids[7]), ITW_OK);
  while (itw_sender_ended(x, &id, &user) == ITW_OK) {
    assert_true(id == ids[user] && !(seen >> user & 1));
    seen |= UINT64_C(1) << user;
  }
  assert_int_equal(seen, 0x76);
  assert_true(itw_sender_deadline(x) == ITW_NEVER);
  itw_sender_free(x);
}

/* A slot's schedule doesn't outlive its session. */
static void nothing_is_inherited(void **state)
{
  struct bed b = bed_new(1000, MS, 0);
  const struct itw_session s = plane_make(&b.info, 0);
  const struct itw_slot slots[] = {plane_fixed(S), plane_fixed(2 * S)};
  const struct itw_wall w = plane_wall(&b.info, 0);
  struct itw_packet items[20];
  (void)state;
  assert_int_equal(due(b.x, items, 20, 11 * S), 20);
  assert_int_equal(itw_sender_remove(b.x, b.id), ITW_OK);
  assert_int_equal(itw_sender_add_schedule(b.x, &b.id, &s, slots, 2, 78), ITW_OK);
  assert_true(itw_sender_deadline(b.x) == ITW_NEVER);
  assert_int_equal(itw_sender_start(b.x, b.id, &w, 20 * S), ITW_OK);
  assert_true(itw_sender_deadline(b.x) == 21 * S);
  assert_int_equal(due(b.x, items, 20, 24 * S), 3); /* those of 21, 23 and 24 s */
  assert_int_equal(items[0].status, ITW_SKIPPED);
  assert_int_equal(items[0].user, 78);
  assert_int_equal(plane_sender_counts(b.x, b.id).skipped, 1);
  itw_sender_free(b.x);
}

/* Waits of 136 years, and Start Times around 2036. */
static void far_away(void **state)
{
  static const struct itw_slot slots[] = {{.type = ITW_SLOT_FIXED, .parameter = 1},
                                          {.type = ITW_SLOT_FIXED, .parameter = UINT64_MAX - 5}};
  struct itw_session_info info = plane_owamp_info(0, ITW_MODE_OPEN, 10);
  struct itw_packet items[4];
  (void)state;
  info.start = UINT64_MAX - 10;
  info.timeout = UINT64_MAX;
  struct bed b = bed_of(&info, slots, 2, S);
  assert_int_equal(due(b.x, items, 4, 11 * S), 1);
  assert_true(itw_sender_deadline(b.x) > UINT64_C(4000000000) * S); /* the sum doesn't wrap into the past */
  assert_true(itw_sender_deadline(b.x) < ITW_NEVER);
  assert_int_equal(due(b.x, items, 4, itw_sender_deadline(b.x) + 10), 4); /* all the others, at the end of time */
  itw_sender_free(b.x);
}

static void what_is_refused(void **state)
{
  const struct itw_session_info one_way = plane_owamp_info(0, ITW_MODE_OPEN, 10), twamp = plane_info(1, ITW_MODE_OPEN);
  const struct itw_session s = plane_make(&one_way, 0), t = plane_make(&twamp, 1);
  struct itw_slot slots[9];
  const struct itw_shard_config none = plane_config(2, 0);
  struct itw_wall w = plane_wall(&one_way, 0);
  itw_sender *x = sender(2), *plain;
  struct itw_packet item = {0};
  itw_id id, twamp_id;
  uint64_t user;
  uint32_t n;
  size_t got;
  (void)state;
  for (size_t i = 0; i < 9; i++) slots[i] = plane_fixed(S);
  assert_int_equal(itw_sender_add(x, &id, &s, 0), ITW_ERR_ARGUMENT); /* without a schedule */
  assert_int_equal(itw_sender_add_schedule(x, &id, &t, slots, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_add_schedule(x, &id, &s, slots, 0, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_add_schedule(x, &id, &s, NULL, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_add_schedule(x, NULL, &s, slots, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_add_schedule(x, &id, NULL, slots, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_add_schedule(x, &id, &s, slots, 9, 0), ITW_ERR_TOO_SMALL);
  slots[7].type = 2;
  assert_int_equal(itw_sender_add_schedule(x, &id, &s, slots, 8, 0), ITW_ERR_ARGUMENT);
  slots[7].type = ITW_SLOT_EXPONENTIAL;
  assert_int_equal(itw_sender_add_schedule(x, &id, &s, slots, 8, 0), plane_mode_count() == 1 ? ITW_ERR_UNSUPPORTED : ITW_OK);
  if (plane_mode_count() > 1) assert_int_equal(itw_sender_remove(x, id), ITW_OK);
  assert_int_equal(itw_sender_new(&plain, &none), ITW_OK);
  assert_int_equal(itw_sender_add_schedule(plain, &id, &s, slots, 1, 0), ITW_ERR_TOO_SMALL);
  assert_int_equal(itw_sender_due(plain, &item, sizeof item, 1, &got, ITW_NEVER), ITW_OK);
  assert_int_equal(got, 0);
  assert_true(itw_sender_deadline(plain) == ITW_NEVER && itw_sender_deadline(NULL) == ITW_NEVER);
  itw_sender_free(plain);

  assert_int_equal(itw_sender_add_schedule(x, &id, &s, slots, 1, 0), ITW_OK);
  assert_int_equal(itw_sender_add_schedule(x, &twamp_id, &s, slots, 1, 0), ITW_ERR_COLLISION);
  assert_int_equal(itw_sender_add(x, &twamp_id, &t, 0), ITW_OK);
  assert_int_equal(itw_sender_start(x, twamp_id, &w, 0), ITW_ERR_STATE);
  assert_int_equal(itw_sender_stop(x, &n, twamp_id), ITW_ERR_STATE);
  assert_int_equal(itw_sender_start(x, id, NULL, 0), ITW_ERR_ARGUMENT);
  w.mbz = 1;
  assert_int_equal(itw_sender_start(x, id, &w, 0), ITW_ERR_ARGUMENT);
  w.mbz = 0, w.size = 8;
  assert_int_equal(itw_sender_start(x, id, &w, 0), ITW_ERR_SIZE);
  w.size = sizeof w;
  assert_int_equal(itw_sender_start(x, id, &w, 0), ITW_OK);
  assert_int_equal(itw_sender_start(x, id, &w, 0), ITW_ERR_STATE);
  assert_int_equal(itw_sender_start(NULL, id, &w, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_due(NULL, &item, sizeof item, 1, &got, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_due(x, NULL, sizeof item, 1, &got, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_due(x, &item, sizeof item - 8, 1, &got, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_due(x, &item, sizeof item, 1, NULL, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_due(x, NULL, 0, 0, &got, 0), ITW_OK);
  assert_int_equal(itw_sender_ended(x, NULL, &user), ITW_ERR_ARGUMENT);
  /* a TWAMP session beside it goes on as ever */
  item = (struct itw_packet){.id = twamp_id, .cap = ROOM, .status = ITW_ERR_TOO_SMALL, .seq = 99};
  assert_int_equal(write_one(x, &item), ITW_OK);
  assert_int_equal(item.seq, 0);
  itw_sender_free(x);
}

/* No slots, no memory; and the bound holds. */
static void sizes(void **state)
{
  static const uint32_t slots[] = {0, 1, 2, 3, 16, 1000};
  struct itw_shard_config c = plane_config(1, 1);
  (void)state;
  for (uint32_t n = 1; n <= 1u << 20; n += 1 + n / 2) {
    size_t plain = 0;
    for (size_t i = 0; i < 6; i++) {
      c = plane_config(n, 4);
      c.slots = slots[i];
      const size_t size = itw_sender_size(&c);
      if (i == 0) plain = size;
      assert_true(size > 0 && size <= ITW_SENDER_BOUND((size_t)n, (size_t)4, (size_t)0) +
                                          (i ? ITW_SCHEDULES_BOUND((size_t)n, (size_t)slots[i]) : 0));
      if (i) assert_true(size > plain + (size_t)n * 16 * slots[i]);
    }
  }
  c.slots = (1 << 20) + 1;
  assert_int_equal(itw_sender_size(&c), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(on_schedule),
      cmocka_unit_test(as_the_schedule_says),
      cmocka_unit_test(earliest_first),
      cmocka_unit_test(start_time_in_the_past),
      cmocka_unit_test(before_loop_time),
      cmocka_unit_test(a_stall),
      cmocka_unit_test(a_long_run_comes_in_pieces),
      cmocka_unit_test(only_what_is_due_is_written),
      cmocka_unit_test(skipped_items_are_passed_over),
      cmocka_unit_test(nothing_comes_back),
      cmocka_unit_test(stops),
      cmocka_unit_test(ends),
      cmocka_unit_test(nothing_is_inherited),
      cmocka_unit_test(far_away),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(sizes),
  };
  return cmocka_run_group_tests_name("sender_schedule", tests, NULL, NULL);
}
