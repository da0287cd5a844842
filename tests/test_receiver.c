/* SPDX-License-Identifier: BSD-3-Clause */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plane.h"
#include <ipsectwamp/wire.h>

enum { FILES = 16, ROOM = 256 };
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)
#define BEGAN (10 * S) /* loop time at Start Time, in most tests */

static struct itw_shard_config config(uint32_t sessions, uint32_t window)
{
  struct itw_shard_config c = plane_config(sessions, 2);
  c.slots = 8;
  c.window = window;
  return c;
}

static itw_receiver *receiver(uint32_t sessions, uint32_t window)
{
  const struct itw_shard_config c = config(sessions, window);
  itw_receiver *r;
  assert_int_equal(itw_receiver_new(&r, &c), ITW_OK);
  return r;
}

/* A receiver with session 0, one packet every `wait` from Start Time on, which is when it is started. window 0: the one that
   is needed. */
struct bed {
  itw_receiver *r;
  struct itw_session_info info;
  struct itw_session session;
  struct itw_slot slot;
  itw_id id;
};
static struct bed bed_of(const struct itw_session_info *info, uint64_t wait, uint32_t window)
{
  struct bed b = {.info = *info, .slot = plane_fixed(wait)};
  const struct itw_wall w = plane_wall(info, 0);
  b.r = receiver(4, window ? window : itw_receiver_window(&b.slot, 1, info->timeout, info->packets));
  b.session = plane_make(info, 0);
  assert_int_equal(itw_receiver_add(b.r, &b.id, &b.session, &b.slot, 1, 77), ITW_OK);
  assert_true(itw_receiver_deadline(b.r) == ITW_NEVER);
  assert_int_equal(itw_receiver_start(b.r, b.id, &w, BEGAN), ITW_OK);
  return b;
}
static struct bed bed_new(uint32_t mode, uint32_t packets, uint64_t wait, uint32_t window)
{
  const struct itw_session_info info = plane_owamp_info(0, mode, packets);
  return bed_of(&info, wait, window);
}

static itw_ntp presumed(const struct bed *b, uint32_t seq) { return b->info.start + (seq + 1) * b->slot.parameter; }
static itw_ntp wall(const struct bed *b, itw_mono now)
{
  return now >= BEGAN ? b->info.start + itw_ntp_span(now - BEGAN) : b->info.start - itw_ntp_span(BEGAN - now);
}

/* A packet in open mode. */
static itw_status take(struct bed *b, uint32_t seq, itw_ntp sent, itw_ntp received, struct itw_record *out)
{
  const struct itw_sender_packet f = {.seq = seq, .time = sent, .error = 0x9107};
  struct itw_packet item = plane_request(&b->info, 0, ITW_SENDER_OPEN, ITW_SENDER_OPEN);
  uint8_t p[ITW_SENDER_OPEN];
  struct itw_record record;
  const uint64_t ns = (uint64_t)itw_ntp_diff_ns(received, b->info.start);
  assert_int_equal(itw_sender_packet_write(p, sizeof p, 0, &f), ITW_OK);
  item.received = received;
  assert_int_equal(itw_receiver_take(b->r, p, sizeof p, &item, sizeof item, out ? out : &record, sizeof record, 1, BEGAN + ns),
                   ITW_OK);
  return item.status;
}
/* In time. */
static itw_status take_good(struct bed *b, uint32_t seq)
{
  return take(b, seq, presumed(b, seq) + 1000, presumed(b, seq) + 5000, NULL);
}

/* The sequence numbers that are lost by now. */
static uint32_t lose(itw_receiver *r, itw_mono now, uint32_t *seqs, uint32_t most)
{
  struct itw_record record;
  uint64_t user;
  itw_id id;
  uint32_t n = 0;
  for (; itw_receiver_lost(r, &id, &user, &record, now) == ITW_OK; n++) {
    assert_true(n < most);
    seqs[n] = record.seq;
  }
  return n;
}

static itw_status ended(itw_receiver *r, itw_id *id, struct itw_verdict *v)
{
  uint64_t user;
  ITW_INIT(*v);
  return itw_receiver_ended(r, id, &user, v);
}

/* -------- recordings of perfSONAR -------- */

static const struct vec_section *named(const struct vec *v, const char *kind, const char *name)
{
  const struct vec_section *s = vec_first(v, kind);
  while (s && strcmp(s->name, name)) s = vec_next(v, s, kind);
  return s;
}

static struct itw_session_info recorded_info(const struct vec_section *session, const struct vec_section *request, uint32_t mode)
{
  struct itw_session_info info = plane_vec_info(session, mode);
  info.dialect = ITW_DIALECT_OWAMP;
  info.packets = (uint32_t)vec_u64(request, "packets");
  info.timeout = vec_be64(request, "timeout");
  info.start = vec_be64(request, "start_time");
  return info;
}

/* The packets on the wire and the times at which they arrived make exactly the records that were fetched. */
static size_t replay(const struct vec *v)
{
  const struct vec_section *data = named(v, "control", "Fetched-Data"), *slot = vec_next(v, data, "slot");
  const struct vec_section *session = vec_first(v, "session"), *want = vec_first(v, "record");
  const struct vec_section *p = vec_first(v, "packet");
  const uint32_t mode = plane_vec_mode(v);
  const struct itw_session_info info = recorded_info(session, data, mode);
  const struct itw_slot slots[] = {{.type = (uint32_t)vec_u64(slot, "type"), .parameter = vec_be64(slot, "parameter")}};
  const struct itw_wall w = plane_wall(&info, 0);
  itw_receiver *r = receiver(1, 0);
  struct itw_session s;
  struct itw_key_pair k;
  struct itw_verdict verdict;
  struct itw_record record;
  itw_id id;
  uint64_t user;
  size_t n = 0;

  ITW_INIT(k);
  if (mode != ITW_MODE_OPEN) k.enc_len = (uint16_t)vec_hex(session, "test_aes_key", k.enc, sizeof k.enc);
  if (mode != ITW_MODE_OPEN) k.auth_len = (uint16_t)vec_hex(session, "test_hmac_key", k.auth, sizeof k.auth);
  assert_int_equal(itw_session_make(&s, &info, &k), ITW_OK);
  assert_int_equal(itw_receiver_add(r, &id, &s, slots, 1, 0), ITW_OK);
  assert_int_equal(itw_receiver_start(r, id, &w, BEGAN), ITW_OK);
  for (; p && vec_u64(p, "session") == 0; p = vec_next(v, p, "packet"), want = vec_next(v, want, "record"), n++) {
    uint8_t wire[ROOM];
    const uint32_t len = (uint32_t)vec_hex(p, "wire", wire, sizeof wire);
    struct itw_packet item = plane_request(&info, 0, len, len);
    item.received = vec_be64(want, "received");
    item.error = (uint16_t)vec_u64(want, "receive_error");
    item.ttl = (uint8_t)vec_u64(p, "ip_ttl");
    assert_int_equal(itw_receiver_take(r, wire, len, &item, sizeof item, &record, sizeof record, 1, BEGAN), ITW_OK);
    assert_int_equal(item.status, ITW_OK);
    assert_true(record.seq == vec_u64(want, "seq") && record.ttl == vec_u64(want, "ttl"));
    assert_true(record.send_error == vec_u64(want, "send_error") && record.receive_error == vec_u64(want, "receive_error"));
    assert_true(record.sent == vec_be64(want, "sent") && record.received == vec_be64(want, "received"));
  }
  assert_null(want);
  assert_int_equal(itw_receiver_lost(r, &id, &user, &record, BEGAN + 2 * S), ITW_EMPTY);
  assert_int_equal(ended(r, &id, &verdict), ITW_OK);
  assert_int_equal(itw_receiver_stop(r, id, (uint32_t)vec_u64(vec_first(v, "account"), "next_seqno"), BEGAN + 2 * S), ITW_OK);
  assert_int_equal(itw_receiver_lost(r, &id, &user, &record, BEGAN + 2 * S), ITW_EMPTY);
  assert_int_equal(ended(r, &id, &verdict), ITW_OK);
  assert_true(verdict.status == ITW_OK && verdict.below == n);
  itw_receiver_free(r);
  return n;
}

static void recorded_records(void **state)
{
  char names[FILES][128];
  const size_t files = vec_files("perfsonar", names, FILES);
  size_t n = 0;
  PLANE_NEEDS(ITW_MODE_AUTH);
  (void)state;
  for (size_t i = 0; i < files; i++) {
    struct vec *v = vec_load(names[i]);
    if (!strcmp(vec_word(vec_first(v, "case"), "service"), "owamp")) n += replay(v);
    vec_free(v);
  }
  assert_int_equal(n, 18);
}

/* -------- what is refused -------- */

/* A packet of the bed's, sealed by a sender of ours. */
static uint32_t sealed(const struct bed *b, uint8_t *p, uint32_t cap, const struct itw_session *s)
{
  struct itw_shard_config c = config(1, 0);
  const struct itw_wall w = plane_wall(&b->info, 0);
  struct itw_packet item = {.cap = cap};
  itw_sender *x;
  itw_id id;
  size_t got;
  assert_int_equal(itw_sender_new(&x, &c), ITW_OK);
  assert_int_equal(itw_sender_add_schedule(x, &id, s, &b->slot, 1, 0), ITW_OK);
  assert_int_equal(itw_sender_start(x, id, &w, 0), ITW_OK);
  assert_int_equal(itw_sender_due(x, &item, sizeof item, 1, &got, itw_sender_deadline(x)), ITW_OK);
  assert_int_equal(itw_sender_write(x, p, cap, &item, sizeof item, 1), ITW_OK);
  item.sent = presumed(b, 0);
  assert_int_equal(itw_sender_stamp(x, p, cap, &item, sizeof item, 1), ITW_OK);
  assert_int_equal(item.status, ITW_OK);
  itw_sender_free(x);
  return item.len;
}

static itw_status take_octets(struct bed *b, const uint8_t *p, uint32_t len, struct itw_packet *item, struct itw_record *record)
{
  *item = plane_request(&b->info, 0, len, len);
  item->received = presumed(b, 0) + 7;
  assert_int_equal(itw_receiver_take(b->r, p, len, item, sizeof *item, record, sizeof *record, 1, BEGAN), ITW_OK);
  return item->status;
}

/* Each bit of a packet. Covered are in authenticated mode octets 0 to 15, in encrypted mode 0 to 31, and the HMAC field. A
   forged packet leaves no record. In authenticated mode a changed timestamp may be off by more than Timeout. */
static void flip_everywhere(uint32_t mode)
{
  struct bed b = bed_new(mode, 10, 100 * MS, 0);
  uint8_t good[ROOM];
  const uint32_t len = sealed(&b, good, sizeof good, &b.session);
  uint32_t failures = 0, taken = 0;
  for (uint32_t bit = 0; bit < 8 * len; bit++) {
    const uint32_t at = bit / 8;
    const bool covered = mode == ITW_MODE_ENC ? at < 48 : at < 16 || (at >= 32 && at < 48);
    uint8_t p[ROOM], before[ROOM];
    struct itw_record record = {.seq = 99}, untouched = record;
    struct itw_packet item;
    memcpy(p, good, len);
    p[at] ^= (uint8_t)(1 << bit % 8);
    memcpy(before, p, len);
    const itw_status st = take_octets(&b, p, len, &item, &record);
    assert_memory_equal(p, before, len);
    if (covered) assert_int_equal(st, ITW_ERR_HMAC);
    if (!covered) assert_true(st == ITW_OK || (st == ITW_ERR_TIMESTAMP && mode == ITW_MODE_AUTH && at >= 16 && at < 20));
    if (st != ITW_OK) assert_memory_equal(&record, &untouched, sizeof record);
    if (st == ITW_OK) assert_true(record.seq == 0 && record.received == presumed(&b, 0) + 7 && record.ttl == 61);
    failures += covered, taken += st == ITW_OK;
    const struct itw_counts c = plane_receiver_counts(b.r, b.id), sum = plane_receiver_counts(b.r, 0);
    assert_true(c.auth_failures == failures && sum.auth_failures == failures && c.received == taken);
  }
  assert_true(taken > 0 && plane_receiver_counts(b.r, b.id).duplicates == taken - 1);
  itw_receiver_free(b.r);
}
static void flip_everywhere_auth(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  (void)state;
  flip_everywhere(ITW_MODE_AUTH);
}
static void flip_everywhere_enc(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  (void)state;
  flip_everywhere(ITW_MODE_ENC);
}

/* In buffers that end where the packet does; longer than announced is fine. */
static void every_length(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    struct bed b = bed_new(plane_modes[m], 10, 100 * MS, 0);
    uint8_t good[ROOM] = {0};
    const uint32_t len = sealed(&b, good, sizeof good, &b.session), least = plane_sender_header(plane_modes[m]);
    for (uint32_t n = 0; n <= len + 20; n++) {
      struct plane_guard g = plane_guard(n);
      struct itw_packet item;
      struct itw_record record;
      memcpy(g.p, good, n);
      assert_int_equal(take_octets(&b, g.p, n, &item, &record), n < least ? ITW_ERR_SHORT : ITW_OK);
      plane_unguard(&g);
    }
    assert_true(plane_receiver_counts(b.r, b.id).malformed == least && plane_receiver_counts(b.r, b.id).received == len + 21 - least);
    itw_receiver_free(b.r);
  }
}

static void not_of_this_session(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    struct bed b = bed_new(plane_modes[m], 10, 100 * MS, 0);
    uint8_t p[ROOM];
    struct itw_record record;
    uint32_t len = sealed(&b, p, sizeof p, &b.session);
    for (unsigned part = 0; part < 5; part++) {
      struct itw_packet item = plane_request(&b.info, 0, len, len);
      if (part == 0) item.remote.port++;
      if (part == 1) item.remote.ip[3]++;
      if (part == 2) item.local.port++;
      if (part == 3) item.local.scope++;
      if (part == 4) item.local.family = 0;
      assert_int_equal(itw_receiver_take(b.r, p, len, &item, sizeof item, &record, sizeof record, 1, BEGAN), ITW_OK);
      assert_int_equal(item.status, ITW_ERR_NO_SESSION);
    }
    assert_int_equal(plane_receiver_counts(b.r, 0).unknown, 5);
    if (m > 0) {
      const struct itw_session other = plane_make(&b.info, 1);
      struct itw_packet item;
      len = sealed(&b, p, sizeof p, &other);
      assert_int_equal(take_octets(&b, p, len, &item, &record), ITW_ERR_HMAC);
    }
    itw_receiver_free(b.r);
  }
}

/* RFC 4656 §4.2, at its bounds. Timeout is 2 s, packet 50's time 5.1 s after the start. */
static void discard_rules(void **state)
{
  const uint64_t t = UINT64_C(2) << 32;
  struct bed b = bed_new(ITW_MODE_OPEN, 1000, 100 * MS, 128);
  const itw_ntp at = presumed(&b, 50);
  struct itw_record record;
  uint8_t p[ITW_SENDER_OPEN];
  const struct itw_sender_packet corrupt = {.seq = 50, .time = at, .error = 0xff00};
  struct itw_packet item;
  (void)state;

  assert_int_equal(take(&b, 50, at, at + t + 1, NULL), ITW_ERR_TIMESTAMP);     /* Timeout in the past */
  assert_int_equal(take(&b, 50, at + t, at - 1, NULL), ITW_ERR_TIMESTAMP);     /* and in the future */
  assert_int_equal(take(&b, 50, at + t + 1, at + t, NULL), ITW_ERR_TIMESTAMP); /* off its schedule */
  assert_int_equal(take(&b, 50, at - t - 1, at - t, NULL), ITW_ERR_TIMESTAMP);
  assert_int_equal(take(&b, 1000, presumed(&b, 999), presumed(&b, 999), NULL), ITW_ERR_SEQUENCE);
  assert_int_equal(take(&b, UINT32_MAX, at, at, NULL), ITW_ERR_SEQUENCE);
  assert_int_equal(itw_sender_packet_write(p, sizeof p, 0, &corrupt), ITW_OK);
  assert_int_equal(take_octets(&b, p, sizeof p, &item, &record), ITW_ERR_MULTIPLIER);
  assert_true(plane_receiver_counts(b.r, b.id).received == 0 && plane_receiver_counts(b.r, b.id).malformed == 3 && plane_receiver_counts(b.r, b.id).late == 4);

  assert_int_equal(take(&b, 50, at, at + t, &record), ITW_OK);
  assert_true(record.seq == 50 && record.sent == at && record.received == at + t && record.ttl == 61);
  assert_true(record.send_error == 0x9107 && record.receive_error == 0x8a05);
  assert_int_equal(take(&b, 50, at + t, at, &record), ITW_OK); /* from the future: recorded as it is */
  assert_true(record.sent == at + t && record.received == at);
  assert_int_equal(take(&b, 50, at - t, at, NULL), ITW_OK);
  assert_int_equal(take(&b, 50, at + t, at + t + t, NULL), ITW_OK);
  assert_true(plane_receiver_counts(b.r, b.id).received == 4 && plane_receiver_counts(b.r, b.id).duplicates == 3);
  itw_receiver_free(b.r);
}

/* Timestamps around 2036; one of zero is no lost packet's. */
static void wraps(void **state)
{
  struct itw_session_info info = plane_owamp_info(0, ITW_MODE_OPEN, 100);
  struct itw_record record;
  uint32_t seqs[100];
  (void)state;
  info.start = 0 - itw_ntp_span(S);
  struct bed b = bed_of(&info, 100 * MS, 0);
  for (uint32_t seq = 0; seq < 20; seq++) assert_int_equal(take_good(&b, seq), ITW_OK);
  assert_int_equal(take(&b, 19, presumed(&b, 19), 0, &record), ITW_OK);
  assert_true(record.received == 1);
  assert_int_equal(lose(b.r, BEGAN + 4201 * MS, seqs, 100), 2);
  assert_true(seqs[0] == 20 && seqs[1] == 21);
  itw_receiver_free(b.r);
}

/* -------- lost -------- */

static void lost_after_timeout(void **state)
{
  struct bed b = bed_new(ITW_MODE_OPEN, 10, 125 * MS, 0); /* an exact number of units */
  struct itw_record record;
  struct itw_verdict v;
  itw_id id;
  uint64_t user;
  (void)state;
  assert_true(itw_receiver_deadline(b.r) == BEGAN + 125 * MS + 2 * S);
  for (uint32_t seq = 0; seq < 10; seq++)
    if (seq != 2 && seq != 9) assert_int_equal(take_good(&b, seq), ITW_OK);
  assert_int_equal(itw_receiver_lost(b.r, &id, &user, &record, BEGAN + 2375 * MS - 1), ITW_EMPTY);
  assert_true(itw_receiver_deadline(b.r) == BEGAN + 2375 * MS); /* 2's time, and Timeout */
  assert_int_equal(take_good(&b, 2), ITW_OK);                   /* just so */
  assert_int_equal(itw_receiver_lost(b.r, &id, &user, &record, BEGAN + 3250 * MS - 1), ITW_EMPTY);
  assert_true(itw_receiver_deadline(b.r) == BEGAN + 3250 * MS);
  assert_int_equal(ended(b.r, &id, &v), ITW_EMPTY);
  assert_int_equal(itw_receiver_lost(b.r, &id, &user, &record, BEGAN + 3250 * MS), ITW_OK);
  const struct itw_record want = {.seq = 9, .send_error = 1, .receive_error = 0x8a05, .sent = presumed(&b, 9), .ttl = 255};
  assert_true(id == b.id && user == 77);
  assert_memory_equal(&record, &want, sizeof want);
  assert_int_equal(itw_receiver_lost(b.r, &id, &user, &record, BEGAN + 3250 * MS), ITW_EMPTY);
  assert_true(itw_receiver_deadline(b.r) == 0);
  assert_int_equal(ended(b.r, &id, &v), ITW_OK);
  assert_true(id == b.id && v.status == ITW_AGAIN && v.below == 10);
  assert_int_equal(ended(b.r, &id, &v), ITW_EMPTY);
  assert_true(itw_receiver_deadline(b.r) == ITW_NEVER);
  assert_int_equal(take_good(&b, 9), ITW_ERR_LATE); /* it has its record */
  assert_int_equal(take_good(&b, 3), ITW_ERR_LATE);
  const struct itw_counts c = plane_receiver_counts(b.r, b.id), sum = plane_receiver_counts(b.r, 0);
  assert_true(c.received == 9 && c.lost == 1 && c.reordered == 1 && c.late == 2 && sum.lost == 1);
  itw_receiver_free(b.r);
}

/* All that can be lost is, also when nobody asked for long, and in order. */
static void all_lost(void **state)
{
  struct bed b = bed_new(ITW_MODE_OPEN, 5000, MS, 5000);
  static uint32_t seqs[5000];
  (void)state;
  assert_int_equal(lose(b.r, BEGAN + 3 * S, seqs, 5000), 1000);
  assert_int_equal(lose(b.r, BEGAN + 60 * S, seqs + 1000, 4000), 4000);
  for (uint32_t n = 0; n < 5000; n++) assert_int_equal(seqs[n], n);
  itw_receiver_free(b.r);
}

/* -------- the window -------- */

static void the_window_that_is_needed(void **state)
{
  const struct itw_slot slots[] = {{.type = ITW_SLOT_FIXED, .parameter = UINT64_C(1) << 30}, plane_fixed(0)};
  const struct itw_slot exponential = {.type = ITW_SLOT_EXPONENTIAL, .parameter = UINT64_C(1) << 26};
  const struct itw_slot unknown = {.type = 9};
  const uint64_t two = UINT64_C(2) << 32;
  (void)state;
  assert_int_equal(itw_receiver_window(slots, 1, two, 1000000), 25); /* 6 s, four a second */
  assert_int_equal(itw_receiver_window(slots, 2, two, 1000000), 50); /* pairs */
  assert_int_equal(itw_receiver_window(slots, 2, two, 7), 7);
  assert_int_equal(itw_receiver_window(slots + 1, 1, two, 1000000), 1000000); /* all at once */
  assert_int_equal(itw_receiver_window(slots, 1, UINT64_MAX, UINT32_MAX), UINT32_MAX);
  assert_int_equal(itw_receiver_window(&exponential, 1, two, 1000000), 385 + 6 * 19 + 32);
  assert_int_equal(itw_receiver_window(&unknown, 1, two, 1000), 0);
  assert_int_equal(itw_receiver_window(slots, 0, two, 1000), 0);

  const struct itw_session_info info = plane_owamp_info(0, ITW_MODE_OPEN, 1000000);
  const struct itw_session s = plane_make(&info, 0);
  const struct itw_slot slot = plane_fixed(90 * MS);
  itw_receiver *r = receiver(1, 64);
  itw_id id;
  assert_int_equal(itw_receiver_window(&slot, 1, info.timeout, info.packets), 67);
  assert_int_equal(itw_receiver_add(r, &id, &s, &slot, 1, 0), ITW_ERR_TOO_SMALL);
  itw_receiver_free(r);
  r = receiver(1, 65);
  assert_int_equal(itw_receiver_add(r, &id, &s, &slot, 1, 0), ITW_OK);
  itw_receiver_free(r);
}

/* Nobody asked what is lost, so the window is full: what comes is refused, and taken after that. What has come makes room by
   itself. */
static void overflow_is_told(void **state)
{
  struct bed b = bed_new(ITW_MODE_OPEN, 1000, 100 * MS, 64);
  uint32_t seqs[100];
  (void)state;
  for (uint32_t seq = 0; seq < 300; seq++) assert_int_equal(take_good(&b, seq), ITW_OK); /* no call of lost */
  for (uint32_t seq = 301; seq < 364; seq++) assert_int_equal(take_good(&b, seq), ITW_OK);
  assert_int_equal(take_good(&b, 364), ITW_ERR_FULL);
  assert_int_equal(take_good(&b, 364), ITW_ERR_FULL);
  assert_true(plane_receiver_counts(b.r, b.id).overflow == 2 && plane_receiver_counts(b.r, 0).overflow == 2);
  assert_int_equal(lose(b.r, BEGAN + 365 * 100 * MS, seqs, 100), 1);
  assert_int_equal(seqs[0], 300);
  assert_int_equal(take_good(&b, 364), ITW_OK);
  assert_int_equal(plane_receiver_counts(b.r, b.id).received, 364);
  itw_receiver_free(b.r);
}

/* Numbers far ahead, in open mode where anybody can: refused at once, and they leave nothing behind. */
static void forged_numbers(void **state)
{
  struct bed b = bed_new(ITW_MODE_OPEN, UINT32_MAX, 100 * MS, 64);
  uint32_t seqs[100], x = 1;
  (void)state;
  for (uint32_t seq = 0; seq < 400; seq++) {
    for (uint32_t n = 0; n < 500; n++) { /* at 2^32 steps each this wouldn't end */
      x = x * 1664525u + 1013904223u;
      const uint32_t forged = seq + 100 + x % (UINT32_MAX - seq - 101);
      const itw_status st = take(&b, forged, presumed(&b, seq), presumed(&b, seq), NULL);
      assert_int_equal(st, ITW_ERR_TIMESTAMP);
    }
    assert_int_equal(take_good(&b, seq), ITW_OK);
    assert_int_equal(lose(b.r, BEGAN + (seq + 1) * 100 * MS, seqs, 100), 0);
  }
  assert_true(plane_receiver_counts(b.r, b.id).received == 400 && plane_receiver_counts(b.r, b.id).overflow == 0);
  itw_receiver_free(b.r);
}

/* Duplicates and reordering over a window many times its size, against tables. */
static void like_a_table(void **state)
{
  enum { PACKETS = 20000 };
  struct bed b = bed_new(ITW_MODE_OPEN, PACKETS, 20 * MS, 352);
  static bool seen[PACKETS];
  uint32_t x = 5, high = 0, duplicates = 0, reordered = 0, taken = 0;
  static uint32_t seqs[PACKETS];
  uint32_t lost = 0, missing = 0;
  (void)state;
  memset(seen, 0, sizeof seen);
  for (uint32_t turn = 0; turn < PACKETS; turn++) {
    x = x * 1664525u + 1013904223u;
    const uint32_t back = x >> 16 & 63, seq = back > turn ? 0 : turn - back;
    const itw_mono now = BEGAN + (turn + 1) * 20 * MS;
    assert_int_equal(take(&b, seq, presumed(&b, seq), wall(&b, now), NULL), ITW_OK);
    taken++;
    if (seen[seq])
      duplicates++;
    else if (seq < high)
      reordered++;
    seen[seq] = true;
    if (seq >= high) high = seq + 1;
    if (x & 0x100) lost += lose(b.r, now, seqs + lost, PACKETS - lost);
  }
  lost += lose(b.r, ITW_NEVER - 1, seqs + lost, PACKETS - lost);
  for (uint32_t seq = 0; seq < PACKETS; seq++)
    if (!seen[seq]) assert_int_equal(seqs[missing++], seq);
  assert_int_equal(lost, missing);
  const struct itw_counts c = plane_receiver_counts(b.r, b.id);
  assert_true(c.received == taken && c.duplicates == duplicates && c.reordered == reordered && c.lost == lost);
  itw_receiver_free(b.r);
}

/* -------- the end -------- */

static struct itw_verdict verdict(struct bed *b, itw_mono now, uint32_t *lost, uint32_t *seqs, uint32_t most)
{
  struct itw_verdict v, none;
  itw_id id;
  *lost = lose(b->r, now, seqs, most);
  assert_int_equal(ended(b->r, &id, &v), ITW_OK);
  assert_true(id == b->id);
  assert_int_equal(ended(b->r, &id, &none), ITW_EMPTY);
  return v;
}

/* In the middle: what was sent within Timeout before the stop is discarded, lost or not (RFC 4656 §3.8). */
static void stopped_early(void **state)
{
  struct bed b = bed_new(ITW_MODE_OPEN, 100, 125 * MS, 0);
  uint32_t seqs[100], lost;
  (void)state;
  for (uint32_t seq = 0; seq < 40; seq++)
    if (seq % 10) assert_int_equal(take_good(&b, seq), ITW_OK);
  assert_int_equal(itw_receiver_stop(b.r, b.id, 40, BEGAN + 5 * S), ITW_OK);
  assert_int_equal(itw_receiver_stop(b.r, b.id, 17, BEGAN + 6 * S), ITW_OK); /* nothing */
  assert_int_equal(take_good(&b, 39), ITW_ERR_LATE);
  assert_true(itw_receiver_deadline(b.r) == BEGAN + 5 * S);
  const struct itw_verdict v = verdict(&b, BEGAN + 50 * S, &lost, seqs, 100);
  assert_true(v.status == ITW_OK && v.below == 24); /* 23's time was 3 s after the start */
  assert_true(lost == 3 && seqs[0] == 0 && seqs[1] == 10 && seqs[2] == 20);
  assert_true(itw_receiver_deadline(b.r) == ITW_NEVER);
  itw_receiver_free(b.r);
}

/* Lost are only packets below Next Seqno. */
static void next_seqno(void **state)
{
  static const uint32_t nexts[] = {0, 19, 20, 30, 100, 101, UINT32_MAX};
  (void)state;
  for (size_t i = 0; i < 7; i++) {
    struct bed b = bed_new(ITW_MODE_OPEN, 100, 125 * MS, 0);
    uint32_t seqs[100], lost;
    for (uint32_t seq = 0; seq < 20; seq++) assert_int_equal(take_good(&b, seq), ITW_OK);
    assert_int_equal(itw_receiver_stop(b.r, b.id, nexts[i], BEGAN + 30 * S), ITW_OK);
    const struct itw_verdict v = verdict(&b, BEGAN + 30 * S, &lost, seqs, 100);
    const bool valid = nexts[i] >= 20 && nexts[i] <= 100;
    assert_int_equal(v.status, valid ? ITW_OK : ITW_ERR_SEQUENCE);
    assert_int_equal(v.below, valid ? nexts[i] : 0);
    assert_int_equal(lost, valid ? nexts[i] - 20 : 0);
    itw_receiver_free(b.r);
  }
}

/* No Stop-Sessions: the records end with the last packet that came. */
static void connection_broke(void **state)
{
  (void)state;
  for (uint32_t came = 0; came < 2; came++) {
    struct bed b = bed_new(ITW_MODE_OPEN, 100, 125 * MS, 0);
    uint32_t seqs[100], lost;
    for (uint32_t seq = 0; came && seq <= 20; seq++)
      if (seq != 7) assert_int_equal(take_good(&b, seq), ITW_OK);
    assert_int_equal(lose(b.r, BEGAN + 10 * S, seqs, 100), came ? 1 + 43 : 64);
    assert_int_equal(itw_receiver_broke(b.r, b.id, BEGAN + 10 * S), ITW_OK);
    assert_int_equal(itw_receiver_broke(b.r, b.id, BEGAN + 10 * S), ITW_OK);
    const struct itw_verdict v = verdict(&b, BEGAN + 10 * S, &lost, seqs, 100);
    assert_true(v.status == ITW_OK && v.below == (came ? 21 : 0) && lost == 0);
    itw_receiver_free(b.r);
  }
}

static void never_started(void **state)
{
  const struct itw_session_info info = plane_owamp_info(0, ITW_MODE_OPEN, 100);
  struct bed b = {.info = info, .session = plane_make(&info, 0), .slot = plane_fixed(100 * MS), .r = receiver(4, 64)};
  struct itw_wall w = plane_wall(&info, 0);
  uint32_t lost, seqs[4];
  (void)state;
  assert_int_equal(itw_receiver_add(b.r, &b.id, &b.session, &b.slot, 1, 0), ITW_OK);
  assert_int_equal(take_good(&b, 0), ITW_ERR_NOT_STARTED);
  assert_true(plane_receiver_counts(b.r, b.id).early == 1 && plane_receiver_counts(b.r, 0).early == 1);
  assert_int_equal(itw_receiver_stop(b.r, b.id, 0, 5), ITW_OK);
  const struct itw_verdict v = verdict(&b, 5, &lost, seqs, 4);
  assert_true(v.status == ITW_OK && v.below == 0 && lost == 0);
  assert_int_equal(itw_receiver_start(b.r, b.id, &w, 6), ITW_ERR_STATE);
  itw_receiver_free(b.r);
}

/* The first end may not have been pulled when the stop comes: told once, with the verdict. */
static void complete_then_stopped(void **state)
{
  (void)state;
  for (uint32_t pulled = 0; pulled < 2; pulled++) {
    struct bed b = bed_new(ITW_MODE_OPEN, 10, 125 * MS, 0);
    uint32_t seqs[10], lost;
    for (uint32_t seq = 0; seq < 10; seq++) assert_int_equal(take_good(&b, seq), ITW_OK);
    if (pulled) assert_int_equal(verdict(&b, BEGAN + 10 * S, &lost, seqs, 10).status, ITW_AGAIN);
    if (!pulled) assert_int_equal(lose(b.r, BEGAN + 10 * S, seqs, 10), 0);
    assert_int_equal(itw_receiver_stop(b.r, b.id, 10, BEGAN + 11 * S), ITW_OK);
    assert_true(itw_receiver_deadline(b.r) == BEGAN + 11 * S);
    const struct itw_verdict v = verdict(&b, BEGAN + 11 * S, &lost, seqs, 10);
    assert_true(v.status == ITW_OK && v.below == 10 && lost == 0);
    itw_receiver_free(b.r);
  }
}

static bool keeps(const struct itw_verdict *v, uint32_t seq, bool came, const struct itw_skip *skips, size_t n)
{
  const struct itw_record r = {.seq = seq, .received = came};
  return itw_verdict_keeps(v, &r, skips, n);
}

static void verdicts(void **state)
{
  enum { PACKETS = 200 };
  struct itw_verdict v;
  uint32_t x = 7;
  (void)state;
  ITW_INIT(v);
  v.below = 150;
  for (uint32_t turn = 0; turn < 300; turn++) {
    struct itw_skip skips[PACKETS];
    bool skipped[PACKETS] = {false};
    size_t n = 0;
    for (uint32_t seq = turn % 3; seq < PACKETS; seq++) { /* some touch */
      x = x * 1664525u + 1013904223u;
      const uint32_t len = 1 + (x >> 20) % 5;
      if (turn == 0 || x >> 28 < 9 || seq + len > PACKETS) continue;
      skips[n++] = (struct itw_skip){seq, seq + len - 1};
      for (uint32_t k = 0; k < len; k++) skipped[seq + k] = true;
      seq += len - 1;
    }
    for (uint32_t seq = 0; seq < PACKETS; seq++) {
      assert_int_equal(keeps(&v, seq, true, skips, n), seq < 150);
      assert_int_equal(keeps(&v, seq, false, skips, n), seq < 150 && !skipped[seq]);
    }
  }
  assert_true(keeps(&v, 3, false, NULL, 0));
  v.status = ITW_AGAIN;
  assert_true(keeps(&v, 3, true, NULL, 0));
  v.status = ITW_ERR_SEQUENCE;
  assert_false(keeps(&v, 3, true, NULL, 0));
}

/* -------- the shard -------- */

static void what_is_refused(void **state)
{
  struct bed b = bed_new(ITW_MODE_OPEN, 10, S, 0);
  const struct itw_session_info twamp = plane_info(1, ITW_MODE_OPEN), other = plane_owamp_info(2, ITW_MODE_OPEN, 10);
  const struct itw_session t = plane_make(&twamp, 1), o = plane_make(&other, 2);
  struct itw_slot slots[9];
  struct itw_shard_config c = config(1, 0);
  struct itw_wall w = plane_wall(&b.info, 0);
  struct itw_counts n;
  struct itw_verdict v;
  struct itw_record record;
  struct itw_packet item = plane_request(&b.info, 0, 14, 14);
  uint8_t p[14] = {0};
  itw_reflector *reflector;
  itw_receiver *r;
  itw_id id;
  uint64_t user;
  (void)state;

  for (size_t i = 0; i < 9; i++) slots[i] = plane_fixed(S);
  assert_int_equal(itw_receiver_add(b.r, &id, &t, slots, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_receiver_add(b.r, &id, &o, slots, 0, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_receiver_add(b.r, &id, &o, NULL, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_receiver_add(b.r, &id, &o, slots, 9, 0), ITW_ERR_TOO_SMALL);
  assert_int_equal(itw_receiver_add(b.r, &id, &b.session, slots, 1, 0), ITW_ERR_COLLISION);
  slots[1].mbz = 1;
  assert_int_equal(itw_receiver_add(b.r, &id, &o, slots, 2, 0), ITW_ERR_ARGUMENT);
  slots[0].type = ITW_SLOT_EXPONENTIAL;
  assert_int_equal(itw_receiver_add(b.r, &id, &o, slots, 1, 0), plane_mode_count() == 1 ? ITW_ERR_UNSUPPORTED : ITW_OK);
  assert_int_equal(itw_receiver_start(b.r, b.id, &w, 0), ITW_ERR_STATE);
  assert_int_equal(itw_receiver_start(b.r, b.id ^ 3, &w, 0), ITW_ERR_STALE);
  assert_int_equal(itw_receiver_stop(b.r, b.id ^ 3, 0, 0), ITW_ERR_STALE);
  assert_int_equal(itw_receiver_broke(b.r, b.id ^ 3, 0), ITW_ERR_STALE);
  assert_int_equal(itw_receiver_stop(NULL, b.id, 0, 0), ITW_ERR_ARGUMENT);
  ITW_INIT(n);
  assert_int_equal(itw_receiver_counts(b.r, b.id ^ 3, &n), ITW_ERR_STALE);
  assert_int_equal(itw_receiver_take(b.r, p, 14, &item, sizeof item, NULL, sizeof record, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_receiver_take(b.r, p, 14, &item, sizeof item, &record, sizeof record - 8, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_receiver_take(b.r, p, 13, &item, sizeof item, &record, sizeof record, 1, 0), ITW_OK);
  assert_int_equal(item.status, ITW_ERR_ARGUMENT);
  item.flags = 1;
  assert_int_equal(itw_receiver_take(b.r, p, 14, &item, sizeof item, &record, sizeof record, 1, 0), ITW_OK);
  assert_int_equal(item.status, ITW_ERR_ARGUMENT);
  memset(&v, 0, sizeof v);
  assert_int_equal(itw_receiver_ended(b.r, &id, &user, &v), ITW_ERR_SIZE);
  assert_int_equal(itw_receiver_remove(b.r, b.id), ITW_OK);
  assert_int_equal(itw_receiver_remove(b.r, b.id), ITW_ERR_STALE);
  itw_receiver_free(b.r);

  c.slots = 0;
  assert_int_equal(itw_receiver_size(&c), 0);
  assert_int_equal(itw_receiver_new(&r, &c), ITW_ERR_ARGUMENT);
  assert_null(r);
  itw_receiver_free(NULL);
  assert_int_equal(itw_reflector_new(&reflector, &c), ITW_OK);
  assert_int_equal(itw_reflector_add(reflector, &id, &o, 0, 0), ITW_ERR_ARGUMENT); /* OWAMP isn't reflected */
  itw_reflector_free(reflector);
}

/* A slot's window doesn't outlive its session. */
static void nothing_is_inherited(void **state)
{
  struct bed b = bed_new(ITW_MODE_OPEN, 50, 125 * MS, 0);
  const struct itw_wall w = plane_wall(&b.info, 0);
  struct itw_verdict v;
  uint32_t seqs[50];
  itw_id id;
  (void)state;
  for (uint32_t seq = 0; seq < 50; seq++) assert_int_equal(take_good(&b, seq), ITW_OK);
  assert_int_equal(lose(b.r, BEGAN + 60 * S, seqs, 50), 0); /* its end is to be told */
  assert_int_equal(itw_receiver_remove(b.r, b.id), ITW_OK);
  assert_int_equal(ended(b.r, &id, &v), ITW_EMPTY);
  assert_int_equal(itw_receiver_add(b.r, &b.id, &b.session, &b.slot, 1, 0), ITW_OK);
  assert_int_equal(itw_receiver_start(b.r, b.id, &w, BEGAN), ITW_OK);
  assert_int_equal(take_good(&b, 3), ITW_OK);
  assert_int_equal(plane_receiver_counts(b.r, b.id).duplicates, 0);
  assert_int_equal(lose(b.r, BEGAN + 60 * S, seqs, 50), 49);
  itw_receiver_free(b.r);
}

static void wiped(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  const struct itw_shard_config c = config(3, 100);
  const size_t len = itw_receiver_size(&c);
  uint64_t *memory = calloc(1, len + 8);
  uint8_t *octets = (uint8_t *)memory;
  const struct itw_slot slot = plane_fixed(S);
  itw_receiver *r;
  itw_id id[3];
  (void)state;
  assert_int_equal(itw_receiver_init(&r, memory, len - 1, &c), ITW_ERR_TOO_SMALL);
  assert_int_equal(itw_receiver_init(&r, NULL, len, &c), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_receiver_init(&r, memory, len, &c), ITW_OK);
  for (uint32_t i = 0; i < 3; i++) {
    const struct itw_session_info info = plane_owamp_info(i, ITW_MODE_ENC, 50);
    const struct itw_session s = plane_make(&info, i);
    assert_int_equal(itw_receiver_add(r, &id[i], &s, &slot, 1, i), ITW_OK);
  }
  for (uint32_t i = 0; i < 3; i++) {
    const struct itw_key_pair k = plane_keys(i);
    assert_true(plane_holds(octets, len, k.enc, k.enc_len));
    if (i < 2) assert_int_equal(itw_receiver_remove(r, id[i]), ITW_OK);
    assert_int_equal(plane_holds(octets, len, k.enc, k.enc_len), i == 2);
    assert_int_equal(plane_holds(octets, len, k.auth, k.auth_len), i == 2);
  }
  itw_receiver_free(r);
  for (size_t i = 0; i < len + 8; i++) assert_int_equal(octets[i], 0);
  free(memory);
}

static void bounds_hold(void **state)
{
  static const uint32_t windows[] = {0, 1, 32, 33, 1000, 65535}, slots[] = {1, 2, 17};
  (void)state;
  for (uint32_t n = 1; n <= 1u << 20; n += 1 + n / 2) {
    for (size_t i = 0; i < 18; i++) {
      struct itw_shard_config c = plane_config(n, i % 2 ? 64 : 0);
      c.window = windows[i / 3];
      c.slots = slots[i % 3];
      const size_t size = itw_receiver_size(&c);
      assert_true(size > 0);
      assert_true(size <= ITW_RECEIVER_BOUND((size_t)n, (size_t)c.contexts, (size_t)c.window, (size_t)c.slots));
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(recorded_records),
      cmocka_unit_test(flip_everywhere_auth),
      cmocka_unit_test(flip_everywhere_enc),
      cmocka_unit_test(every_length),
      cmocka_unit_test(not_of_this_session),
      cmocka_unit_test(discard_rules),
      cmocka_unit_test(wraps),
      cmocka_unit_test(lost_after_timeout),
      cmocka_unit_test(all_lost),
      cmocka_unit_test(the_window_that_is_needed),
      cmocka_unit_test(overflow_is_told),
      cmocka_unit_test(forged_numbers),
      cmocka_unit_test(like_a_table),
      cmocka_unit_test(stopped_early),
      cmocka_unit_test(next_seqno),
      cmocka_unit_test(connection_broke),
      cmocka_unit_test(never_started),
      cmocka_unit_test(complete_then_stopped),
      cmocka_unit_test(verdicts),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(nothing_is_inherited),
      cmocka_unit_test(wiped),
      cmocka_unit_test(bounds_hold),
  };
  return cmocka_run_group_tests_name("receiver", tests, NULL, NULL);
}
