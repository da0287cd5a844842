/* SPDX-License-Identifier: BSD-3-Clause */
/* What perfSONAR's OWAMP sent, received and kept (tests/vectors/perfsonar), against our sender, receiver and schedule:
   its packets leave when our schedule says, octet for octet as ours; its packets give its records. And the packets of
   the reference script's sessions. */

#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plane.h"
#include "replay.h"

enum { MOST = 8, ROOM = 256 };
#define S UINT64_C(1000000000)
#define START (10 * S)      /* loop time of the sessions' Start Time */
#define LATENESS (S / 1000) /* a loopback interface, and an idle machine */

/* ---- a recorded session ---- */

struct recorded {
  struct vec *v;
  uint32_t mode;
  struct itw_session_info info;
  struct itw_session session;
  struct itw_slot slots[REPLAY_ITEMS];
  size_t slot_count;
  const struct vec_section *packets[MOST];
  size_t count;
  struct itw_record records[REPLAY_ITEMS]; /* fetched: of the one that the Server received */
  size_t record_count;
};

static const struct vec_section *nth(const struct vec *v, const char *kind, const char *name, uint32_t n)
{
  const struct vec_section *s = vec_first(v, kind);
  for (; s; s = vec_next(v, s, kind))
    if (!strcmp(s->name, name) && !n--) return s;
  fail_msg("no [%s %s]", kind, name);
  return NULL;
}

static struct itw_session make_session(const struct recorded *x, const struct vec_section *s)
{
  struct itw_session session;
  struct itw_key_pair k;
  ITW_INIT(k);
  if (x->mode != ITW_MODE_OPEN) {
    k.enc_len = (uint16_t)vec_hex(s, "test_aes_key", k.enc, sizeof k.enc);
    k.auth_len = (uint16_t)vec_hex(s, "test_hmac_key", k.auth, sizeof k.auth);
  }
  assert_int_equal(itw_session_make(&session, &x->info, x->mode == ITW_MODE_OPEN ? NULL : &k), ITW_OK);
  return session;
}

/* Session n of a file: the n-th that was asked for. */
static void load(struct recorded *x, const char *file, uint32_t n)
{
  char name[2] = {(char)('0' + n), 0};
  const struct vec_section *request, *s;
  memset(x, 0, sizeof *x);
  x->v = vec_load(file);
  x->mode = plane_vec_mode(x->v);
  request = nth(x->v, "control", "Request-Session", n);
  s = nth(x->v, "session", name, 0);
  x->info = plane_vec_info(s, x->mode);
  x->info.dialect = ITW_DIALECT_OWAMP;
  x->info.packets = (uint32_t)vec_u64(request, "packets");
  x->info.start = vec_be64(request, "start_time");
  x->info.timeout = vec_be64(request, "timeout");
  x->session = make_session(x, s);
  x->slot_count = replay_read_slots(request, x->slots);
  for (const struct vec_section *p = vec_first(x->v, "packet"); p; p = vec_next(x->v, p, "packet")) {
    if (vec_u64(p, "session") != n) continue;
    assert_true(x->count < MOST);
    x->packets[x->count++] = p;
  }
  if (n == 0) x->record_count = replay_read_records(nth(x->v, "control", "Fetched-Data", 0), x->records);
}

/* Calls with each session of each recording that this build can play. */
static void each(void (*with)(const struct recorded *))
{
  static const char *const files[] = {"perfsonar/owamp-open.vec", "perfsonar/owamp-auth.vec",
                                      "perfsonar/owamp-enc.vec"};
  for (size_t i = 0; i < plane_mode_count(); i++)
    for (uint32_t n = 0; n < 2; n++) {
      struct recorded x;
      load(&x, files[i], n);
      assert_int_equal(x.count, x.info.packets);
      with(&x);
      vec_free(x.v);
    }
}

/* Loop time at a wall time. */
static itw_mono mono_of(const struct recorded *x, itw_ntp wall)
{
  return (itw_mono)((int64_t)START + itw_ntp_diff_ns(wall, x->info.start));
}

static struct itw_shard_config config(const struct recorded *x)
{
  struct itw_shard_config c = plane_config(2, 1);
  c.slots = MOST;
  c.window = itw_receiver_window(x->slots, x->slot_count, x->info.timeout, x->info.packets);
  c.clock.error = 1; /* as perfSONAR says without NTP */
  return c;
}

/* ---- the schedule ---- */

static void on_time(const struct recorded *x)
{
  struct itw_schedule plan;
  itw_schedule_begin(&plan, x->info.sid);
  for (size_t i = 0; i < x->count; i++) {
    uint64_t offset = 0;
    assert_int_equal(itw_schedule_next(&plan, &offset, x->slots, x->slot_count, NULL), ITW_OK);
    assert_int_equal(vec_u64(x->packets[i], "seq"), i);
    assert_in_range(itw_ntp_diff_ns(vec_be64(x->packets[i], "timestamp"), x->info.start + offset), 0, LATENESS);
  }
}

static void sent_when_our_schedule_says(void **state)
{
  (void)state;
  each(on_time);
}

/* ---- the sender ---- */

static itw_sender *sender_of(const struct recorded *x, itw_id *id)
{
  const struct itw_shard_config c = config(x);
  const struct itw_wall w = plane_wall(&x->info, (int64_t)START);
  itw_sender *sender;
  assert_int_equal(itw_sender_new(&sender, &c), ITW_OK);
  assert_int_equal(itw_sender_add_schedule(sender, id, &x->session, x->slots, x->slot_count, 7), ITW_OK);
  assert_int_equal(itw_sender_start(sender, *id, &w, 0), ITW_OK);
  return sender;
}

static void same_packet(itw_sender *sender, struct itw_packet *item, const struct vec_section *p)
{
  uint8_t octets[ROOM], want[ROOM];
  const size_t len = vec_hex(p, "wire", want, sizeof want);
  assert_int_equal(itw_sender_write(sender, octets, sizeof octets, item, sizeof *item, 1), ITW_OK);
  assert_int_equal(item->status, ITW_OK);
  item->sent = vec_be64(p, "timestamp");
  item->error = (uint16_t)vec_u64(p, "error");
  assert_int_equal(itw_sender_stamp(sender, octets, sizeof octets, item, sizeof *item, 1), ITW_OK);
  assert_int_equal(item->status, ITW_OK);
  assert_int_equal(item->len, len);
  assert_memory_equal(octets, want, len);
}

/* Due by the time at which the recorded one left, and not a Lateness before. */
static void ours(const struct recorded *x)
{
  itw_id id;
  itw_sender *sender = sender_of(x, &id);
  uint32_t next = 99;
  for (size_t i = 0; i < x->count; i++) {
    struct itw_packet item = {.cap = ROOM};
    const itw_mono left = mono_of(x, vec_be64(x->packets[i], "timestamp"));
    size_t got = 9;
    assert_in_range(left - itw_sender_deadline(sender), 0, LATENESS);
    assert_int_equal(itw_sender_due(sender, &item, sizeof item, 1, &got, left), ITW_OK);
    assert_int_equal(got, 1);
    assert_int_equal(item.seq, i);
    same_packet(sender, &item, x->packets[i]);
  }
  assert_int_equal(itw_sender_stop(sender, &next, id), ITW_OK);
  assert_int_equal(next, x->count);
  itw_sender_free(sender);
}

static void what_leaves_is_the_same(void **state)
{
  (void)state;
  each(ours);
}

/* The reference script's, in every scheme: three of six leave, at times that follow from no schedule. */
static void the_reference_script_s(void **state)
{
  char names[64][128];
  const size_t files = vec_files("extensions", names, 64);
  size_t n = 0;
  PLANE_NEEDS(ITW_MODE_AUTH);
  (void)state;
  for (size_t i = 0; i < files; i++) {
    struct recorded x;
    struct itw_packet items[MOST];
    itw_id id;
    itw_sender *sender;
    size_t got = 0;
    if (!strstr(names[i], "/owamp-")) continue;
    load(&x, names[i], 0);
    sender = sender_of(&x, &id);
    for (size_t k = 0; k < x.info.packets; k++) { /* one at a time: none is more than Timeout late */
      const itw_mono at = itw_sender_deadline(sender);
      items[k] = (struct itw_packet){.cap = ROOM};
      assert_int_equal(itw_sender_due(sender, &items[k], sizeof items[k], 1, &got, at), ITW_OK);
      assert_int_equal(got, 1);
      assert_int_equal(items[k].status, ITW_OK);
    }
    for (size_t k = 0; k < x.count; k++, n++) same_packet(sender, &items[vec_u64(x.packets[k], "seq")], x.packets[k]);
    itw_sender_free(sender);
    vec_free(x.v);
  }
  assert_int_equal(n, 18);
}

/* ---- the receiver ---- */

static itw_receiver *receiver_of(const struct recorded *x, itw_id *id)
{
  const struct itw_shard_config c = config(x);
  const struct itw_wall w = plane_wall(&x->info, (int64_t)START);
  itw_receiver *receiver;
  assert_int_equal(itw_receiver_new(&receiver, &c), ITW_OK);
  assert_int_equal(itw_receiver_add(receiver, id, &x->session, x->slots, x->slot_count, 7), ITW_OK);
  assert_int_equal(itw_receiver_start(receiver, *id, &w, 0), ITW_OK);
  return receiver;
}

/* As it came; only the record says when, so of a session without records it is a little after it left. */
static struct itw_record take(itw_receiver *receiver, const struct recorded *x, size_t i)
{
  const struct vec_section *p = x->packets[i];
  uint8_t octets[ROOM];
  struct itw_record r;
  struct itw_packet item = {.ttl = (uint8_t)vec_u64(p, "ip_ttl"), .remote = x->info.sender, .local = x->info.reflector};
  item.len = item.cap = (uint32_t)vec_hex(p, "wire", octets, sizeof octets);
  item.received = x->record_count ? x->records[i].received : vec_be64(p, "timestamp") + 1;
  const itw_mono now = mono_of(x, item.received);
  assert_int_equal(itw_receiver_take(receiver, octets, sizeof octets, &item, sizeof item, &r, sizeof r, 1, now), ITW_OK);
  assert_int_equal(item.status, ITW_OK);
  return r;
}

static void same_record(const struct itw_record *a, const struct itw_record *b)
{
  assert_int_equal(a->seq, b->seq);
  assert_true(a->sent == b->sent && a->received == b->received);
  assert_int_equal(a->send_error, b->send_error);
  assert_int_equal(a->receive_error, b->receive_error);
  assert_int_equal(a->ttl, b->ttl);
}

/* Stop-Sessions comes after that, and nothing else is told. */
static void ends(itw_receiver *receiver, const struct recorded *x, itw_id id, itw_mono now)
{
  struct itw_verdict verdict;
  struct itw_record r;
  itw_id which;
  uint64_t user;
  assert_int_equal(itw_receiver_lost(receiver, &which, &user, &r, now), ITW_EMPTY);
  assert_int_equal(itw_receiver_stop(receiver, id, (uint32_t)x->count, now), ITW_OK);
  assert_int_equal(itw_receiver_lost(receiver, &which, &user, &r, now), ITW_EMPTY);
  ITW_INIT(verdict);
  assert_int_equal(itw_receiver_ended(receiver, &which, &user, &verdict), ITW_OK);
  assert_true(which == id && user == 7);
  assert_int_equal(verdict.below, x->count);
}

static void its_records(const struct recorded *x)
{
  itw_id id;
  itw_receiver *receiver;
  if (!x->record_count) return; /* ours received it, and kept nothing */
  assert_int_equal(x->record_count, x->count);
  receiver = receiver_of(x, &id);
  for (size_t i = 0; i < x->count; i++) {
    const struct itw_record r = take(receiver, x, i);
    same_record(&r, &x->records[i]);
  }
  ends(receiver, x, id, START + 2 * S);
  itw_receiver_free(receiver);
}

static void its_packets_give_its_records(void **state)
{
  (void)state;
  each(its_records);
}

/* Each packet in turn doesn't come: when it should have left is, exactly, what the slots say, and so just before the
   recorded one did. */
static void lost_ones(const struct recorded *x)
{
  for (size_t gone = 0; gone < x->count; gone++) {
    struct itw_record r, want = {.seq = (uint32_t)gone, .send_error = 1, .receive_error = 1, .ttl = 255};
    itw_id id, which;
    uint64_t user;
    itw_receiver *receiver = receiver_of(x, &id);
    const itw_mono end = mono_of(x, x->info.start + x->info.timeout) + S / 2;
    want.sent = x->info.start;
    for (size_t i = 0; i <= gone; i++) want.sent += x->slots[i % x->slot_count].parameter; /* they are fixed */
    for (size_t i = 0; i < x->count; i++)
      if (i != gone) (void)take(receiver, x, i);
    assert_int_equal(itw_receiver_lost(receiver, &which, &user, &r, mono_of(x, want.sent)), ITW_EMPTY); /* not yet */
    assert_int_equal(itw_receiver_lost(receiver, &which, &user, &r, end), ITW_OK);
    assert_true(which == id && user == 7);
    same_record(&r, &want);
    assert_in_range(itw_ntp_diff_ns(vec_be64(x->packets[gone], "timestamp"), r.sent), 0, LATENESS);
    ends(receiver, x, id, end);
    itw_receiver_free(receiver);
  }
}

static void one_lost_one_presumed(void **state)
{
  (void)state;
  each(lost_ones);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(sent_when_our_schedule_says),
    cmocka_unit_test(what_leaves_is_the_same),
    cmocka_unit_test(the_reference_script_s),
    cmocka_unit_test(its_packets_give_its_records),
    cmocka_unit_test(one_lost_one_presumed),
  };
  return cmocka_run_group_tests_name("recordings", tests, NULL, NULL);
}
