/* SPDX-License-Identifier: BSD-3-Clause */
/* OWAMP sessions between two hosts over a network that loses, doubles, overtakes and delays, with a sender that is busy at
   times: what leaves and what is recorded agree packet by packet. */

#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plane.h"

enum { ROOM = 256 };
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)

enum { SESSIONS = 3, PACKETS = 6000, FLYING = 4096, MOST = 64 };
static const struct itw_slot sim_slots[] = {{.type = ITW_SLOT_EXPONENTIAL, .parameter = UINT64_C(10) << 22},
                                            {.type = ITW_SLOT_FIXED, .parameter = UINT64_C(1) << 22},
                                            {.type = ITW_SLOT_FIXED, .parameter = 0}};
static const struct itw_slot sim_fixed[] = {{.type = ITW_SLOT_FIXED, .parameter = UINT64_C(16) << 22},
                                            {.type = ITW_SLOT_FIXED, .parameter = UINT64_C(1) << 22},
                                            {.type = ITW_SLOT_FIXED, .parameter = 0}};
struct flight {
  itw_mono arrives; /* 0: none */
  uint32_t session, seq, len;
  itw_ntp sent;
  uint8_t octets[ROOM];
};
/* What happened to a packet. */
struct fate {
  bool skipped, sent, came, lost;
  itw_ntp time;
};
struct sim {
  itw_sender *x;
  itw_receiver *r;
  const struct itw_slot *slots;
  itw_id from[SESSIONS], to[SESSIONS];
  struct itw_session_info info[SESSIONS];
  itw_mono now, sleeps; /* the sender does nothing until then */
  uint32_t random;
  struct flight *flying;
  struct fate (*fates)[PACKETS];
  struct itw_record *records[SESSIONS];
  struct itw_skip *skips[SESSIONS];
  uint32_t n_records[SESSIONS], n_skips[SESSIONS];
  uint32_t duplicates, refused;
  struct itw_verdict verdicts[SESSIONS];
  bool stopped;
};

static uint32_t roll(struct sim *m)
{
  m->random = m->random * 1664525u + 1013904223u;
  return m->random >> 8;
}
/* The receiver's wall clock is 20 ms ahead. */
static itw_ntp sim_wall(const struct sim *m, bool there)
{
  return UINT64_C(0xeeae740000000000) + itw_ntp_span(m->now) + (there ? itw_ntp_span(20 * MS) : 0);
}

static void sim_new(struct sim *m, uint32_t seed, uint32_t window)
{
  struct itw_shard_config c = plane_config(SESSIONS, 2);
  *m = (struct sim){.random = seed, .slots = plane_mode_count() > 1 ? sim_slots : sim_fixed, .now = S};
  c.window = window;
  c.slots = 3;
  assert_int_equal(itw_sender_new(&m->x, &c), ITW_OK);
  assert_int_equal(itw_receiver_new(&m->r, &c), ITW_OK);
  m->flying = calloc(FLYING, sizeof *m->flying);
  m->fates = calloc(SESSIONS, sizeof *m->fates);
  for (uint32_t i = 0; i < SESSIONS; i++) {
    m->info[i] = plane_owamp_info(i, plane_modes[i % plane_mode_count()], PACKETS);
    m->info[i].timeout = UINT64_C(1) << 31; /* 500 ms */
    m->info[i].start = sim_wall(m, false) + itw_ntp_span(i * S) - itw_ntp_span(S); /* the first one is late by 1 s */
    const struct itw_session s = plane_make(&m->info[i], i);
    const struct itw_wall here = {sizeof here, 0, sim_wall(m, false)}, there = {sizeof there, 0, sim_wall(m, true)};
    assert_int_equal(itw_sender_add_schedule(m->x, &m->from[i], &s, m->slots, 3, i), ITW_OK);
    assert_int_equal(itw_receiver_add(m->r, &m->to[i], &s, m->slots, 3, i), ITW_OK);
    assert_int_equal(itw_sender_start(m->x, m->from[i], &here, m->now), ITW_OK);
    assert_int_equal(itw_receiver_start(m->r, m->to[i], &there, m->now), ITW_OK);
    m->records[i] = calloc(2 * PACKETS, sizeof *m->records[i]);
    m->skips[i] = calloc(PACKETS, sizeof *m->skips[i]);
  }
}
static void sim_free(struct sim *m)
{
  itw_sender_free(m->x);
  itw_receiver_free(m->r);
  for (uint32_t i = 0; i < SESSIONS; i++) free(m->records[i]), free(m->skips[i]);
  free(m->flying), free(m->fates);
}

static void sim_fly(struct sim *m, const uint8_t *p, const struct itw_packet *item, itw_mono takes)
{
  struct flight *f = m->flying;
  while (f->arrives) f++;
  assert_true(f < m->flying + FLYING);
  *f = (struct flight){.arrives = m->now + takes, .session = (uint32_t)item->user, .seq = item->seq, .len = item->len,
                       .sent = item->sent};
  memcpy(f->octets, p, item->len);
}
/* Lost, doubled, overtaken, very late: each now and then. */
static void sim_send(struct sim *m, const uint8_t *p, const struct itw_packet *item)
{
  const uint32_t what = roll(m) % 100;
  const itw_mono takes = 5 * MS + roll(m) % (8 * MS);
  if (what < 5) return;
  sim_fly(m, p, item, what == 5 ? 900 * MS : what < 10 ? takes + 120 * MS : takes);
  if (what >= 97) sim_fly(m, p, item, takes + 3 * MS);
}

static void sim_skip(struct sim *m, const struct itw_packet *item)
{
  const size_t i = item->user;
  struct itw_skip *last = m->n_skips[i] ? &m->skips[i][m->n_skips[i] - 1] : NULL;
  for (uint32_t k = 0; k < item->len; k++) m->fates[i][item->seq + k].skipped = true;
  assert_true(!last || last->last < item->seq);
  m->skips[i][m->n_skips[i]++] = (struct itw_skip){item->seq, item->seq + item->len - 1};
}

static void sim_sender(struct sim *m)
{
  static uint8_t p[MOST * ROOM];
  struct itw_packet items[MOST];
  size_t got = MOST;
  if (m->now < m->sleeps) return;
  if (roll(m) % 4000 == 0) m->sleeps = m->now + roll(m) % 1500 * MS; /* busy elsewhere */
  while (itw_sender_deadline(m->x) <= m->now && got == MOST) {
    for (uint32_t k = 0; k < MOST; k++) items[k] = (struct itw_packet){.off = k * ROOM, .cap = ROOM};
    assert_int_equal(itw_sender_due(m->x, items, sizeof *items, MOST, &got, m->now), ITW_OK);
    assert_int_equal(itw_sender_write(m->x, p, sizeof p, items, sizeof *items, got), ITW_OK);
    for (size_t k = 0; k < got; k++) items[k].sent = sim_wall(m, false);
    assert_int_equal(itw_sender_stamp(m->x, p, sizeof p, items, sizeof *items, got), ITW_OK);
    for (size_t k = 0; k < got; k++) {
      struct fate *fate = &m->fates[items[k].user][items[k].seq];
      assert_false(fate->sent || fate->skipped);
      if (items[k].status == ITW_SKIPPED) {
        sim_skip(m, &items[k]);
        continue;
      }
      assert_int_equal(items[k].status, ITW_OK);
      fate->sent = true;
      fate->time = items[k].sent;
      sim_send(m, p + items[k].off, &items[k]);
    }
  }
}

static void sim_record(struct sim *m, size_t i, const struct itw_record *record)
{
  assert_true(m->n_records[i] < 2 * PACKETS);
  m->records[i][m->n_records[i]++] = *record;
}

static void sim_arrive(struct sim *m, struct flight *f)
{
  struct fate *fate = &m->fates[f->session][f->seq];
  struct itw_packet item = plane_request(&m->info[f->session], 0, f->len, f->len);
  struct itw_record record;
  item.received = sim_wall(m, true);
  assert_int_equal(itw_receiver_take(m->r, f->octets, f->len, &item, sizeof item, &record, sizeof record, 1, m->now), ITW_OK);
  if (item.status == ITW_OK) {
    assert_true(record.seq == f->seq && record.sent == f->sent && record.received == item.received);
    assert_false(fate->lost);
    m->duplicates += fate->came;
    fate->came = true;
    sim_record(m, f->session, &record);
  } else { /* more than Timeout under way, or a packet that was sent late and is taken for lost by now */
    const bool slow = item.received - f->sent > m->info[0].timeout;
    assert_true(item.status == ITW_ERR_TIMESTAMP ? slow : item.status == ITW_ERR_LATE && (fate->lost || fate->came || m->stopped));
    m->refused++;
  }
  f->arrives = 0;
}

static void sim_receiver(struct sim *m)
{
  struct itw_record record;
  uint64_t i;
  itw_id id;
  struct itw_verdict v;
  for (uint32_t k = 0; k < FLYING; k++)
    if (m->flying[k].arrives && m->flying[k].arrives <= m->now) sim_arrive(m, &m->flying[k]);
  if (itw_receiver_deadline(m->r) > m->now) return;
  while (itw_receiver_lost(m->r, &id, &i, &record, m->now) == ITW_OK) {
    struct fate *fate = &m->fates[i][record.seq];
    assert_false(fate->lost || fate->came);
    assert_true(record.received == 0 && record.ttl == 255);
    fate->lost = true;
    sim_record(m, i, &record);
  }
  ITW_INIT(v);
  while (itw_receiver_ended(m->r, &id, &i, &v) == ITW_OK) m->verdicts[i] = v;
}

static void sim_run(struct sim *m, itw_mono until)
{
  for (; m->now < until; m->now += MS) {
    sim_sender(m);
    sim_receiver(m);
  }
}

/* Each packet of the session that counts has either records that it came or one that it was lost; presumed times are the
   schedule's; what is kept is lost only if it was sent. */
static uint32_t sim_check(struct sim *m, uint32_t i, uint32_t next)
{
  static uint8_t kept[PACKETS];
  struct itw_schedule s;
  uint64_t offset;
  uint32_t lost = 0;
  memset(kept, 0, sizeof kept);
  for (uint32_t n = 0; n < m->n_records[i]; n++) {
    const struct itw_record *r = &m->records[i][n];
    const struct fate *fate = &m->fates[i][r->seq];
    const bool keeps = itw_verdict_keeps(&m->verdicts[i], r, m->skips[i], m->n_skips[i]);
    assert_int_equal(keeps, r->seq < m->verdicts[i].below && !(fate->skipped && !r->received));
    if (!keeps) continue;
    kept[r->seq] = 1;
    lost += !r->received;
  }
  itw_schedule_begin(&s, m->info[i].sid);
  for (uint32_t seq = 0; seq < next; seq++) {
    const struct fate *f = &m->fates[i][seq];
    assert_int_equal(itw_schedule_next(&s, &offset, m->slots, 3, NULL), ITW_OK);
    assert_true(f->sent != f->skipped);
    assert_true(!f->came || !f->lost);
    if (f->sent) assert_true(f->time - (m->info[i].start + offset) <= m->info[i].timeout + itw_ntp_span(MS) ||
                             m->info[i].start + offset - f->time < 4);
    if (seq < m->verdicts[i].below) assert_int_equal(kept[seq], f->sent);
  }
  for (uint32_t seq = next; seq < PACKETS; seq++) assert_false(m->fates[i][seq].sent || m->fates[i][seq].skipped);
  return lost;
}

static void what_leaves_is_what_is_recorded(void **state)
{
  struct sim m;
  uint32_t lost = 0, skips = 0, duplicates = 0;
  itw_id id;
  uint64_t user;
  (void)state;
  for (uint32_t seed = 1; seed < 4; seed++) {
    uint32_t complete = 0;
    sim_new(&m, seed, 2048);
    while (complete < SESSIONS) {
      sim_run(&m, m.now + 100 * MS);
      while (itw_sender_ended(m.x, &id, &user) == ITW_OK) complete++;
    }
    sim_run(&m, m.now + S);
    for (uint32_t i = 0; i < SESSIONS; i++) {
      uint32_t next;
      assert_int_equal(m.verdicts[i].status, ITW_AGAIN);
      assert_int_equal(itw_sender_stop(m.x, &next, m.from[i]), ITW_OK);
      assert_int_equal(next, PACKETS);
      assert_int_equal(itw_receiver_stop(m.r, m.to[i], next, m.now), ITW_OK);
    }
    sim_run(&m, m.now + MS);
    for (uint32_t i = 0; i < SESSIONS; i++) {
      assert_true(m.verdicts[i].status == ITW_OK && m.verdicts[i].below == PACKETS);
      lost += sim_check(&m, i, PACKETS);
      skips += m.n_skips[i];
    }
    const struct itw_counts there = plane_receiver_counts(m.r, 0);
    assert_true(there.duplicates == m.duplicates && there.late == m.refused && there.overflow == 0 && there.reordered > 0);
    assert_int_equal(there.received + there.lost, m.n_records[0] + m.n_records[1] + m.n_records[2]);
    assert_int_equal(plane_sender_counts(m.x, 0).sent + plane_sender_counts(m.x, 0).skipped, SESSIONS * PACKETS);
    duplicates += m.duplicates;
    sim_free(&m);
  }
  assert_true(lost > 1000 && skips > 6 && duplicates > 500);
}

/* Stopped in the middle, while packets fly: what is kept was sent Timeout before, and agrees all the same. */
static void stopped_while_packets_fly(void **state)
{
  struct sim m;
  (void)state;
  for (uint32_t seed = 10; seed < 14; seed++) {
    sim_new(&m, seed, 2048);
    sim_run(&m, 5 * S + seed * 777 * MS);
    uint32_t next[SESSIONS];
    for (uint32_t i = 0; i < SESSIONS; i++) assert_int_equal(itw_sender_stop(m.x, &next[i], m.from[i]), ITW_OK);
    m.now += 30 * MS;
    sim_receiver(&m);
    const itw_mono stopped = m.now;
    m.stopped = true;
    for (uint32_t i = 0; i < SESSIONS; i++) assert_int_equal(itw_receiver_stop(m.r, m.to[i], next[i], m.now), ITW_OK);
    sim_run(&m, m.now + 3 * S);
    for (uint32_t i = 0; i < SESSIONS; i++) {
      struct itw_schedule s;
      uint64_t offset;
      uint32_t below = 0;
      (void)sim_check(&m, i, next[i]);
      itw_schedule_begin(&s, m.info[i].sid);
      do assert_int_equal(itw_schedule_next(&s, &offset, m.slots, 3, NULL), ITW_OK);
      while (itw_ntp_diff_ns(m.info[i].start + offset, sim_wall(&m, true)) + (int64_t)(m.now - stopped) <= -500 * (int64_t)MS &&
             ++below < next[i]);
      assert_true(m.verdicts[i].status == ITW_OK);
      assert_in_range(m.verdicts[i].below, below > 0 ? below - 1 : 0, below + 1); /* a nanosecond of rounding */
    }
    sim_free(&m);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_leaves_is_what_is_recorded),
      cmocka_unit_test(stopped_while_packets_fly),
  };
  return cmocka_run_group_tests_name("one_way", tests, NULL, NULL);
}
