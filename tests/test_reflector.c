/* SPDX-License-Identifier: BSD-3-Clause */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plane.h"
#include <ipsectwamp/wire.h>

enum { FILES = 64, ROOM = 2048 };
#define SECOND UINT64_C(1000000000)

static itw_reflector *reflector(const struct itw_shard_config *c)
{
  itw_reflector *r;
  assert_int_equal(itw_reflector_new(&r, c), ITW_OK);
  return r;
}

static itw_id add_started(itw_reflector *r, const struct itw_session *s, uint64_t user, itw_mono now)
{
  itw_id id;
  assert_int_equal(itw_reflector_add(r, &id, s, user, now), ITW_OK);
  assert_int_equal(itw_reflector_start(r, id, now), ITW_OK);
  return id;
}

/* A request of session i: sealed by a sender of its own, so that any sequence number can be had by asking often. */
static uint32_t request(uint8_t *p, uint32_t cap, const struct itw_session *s, uint32_t skip)
{
  const struct itw_shard_config c = plane_config(1, 0);
  struct itw_packet item;
  itw_sender *x;
  itw_id id;

  assert_int_equal(itw_sender_new(&x, &c), ITW_OK);
  assert_int_equal(itw_sender_add(x, &id, s, 0), ITW_OK);
  do assert_int_equal(plane_write(x, id, p, cap, &item), ITW_OK);
  while (skip--);
  itw_sender_free(x);
  return item.len;
}

/* -------- vectors -------- */

/* The request that a recorded reply answers. */
static const struct vec_section *request_of(const struct vec *v, const struct vec_section *reply)
{
  for (const struct vec_section *p = vec_first(v, "packet"); p; p = vec_next(v, p, "packet"))
    if (!strcmp(vec_word(p, "from"), "sender") && vec_u64(p, "session") == vec_u64(reply, "session") &&
        vec_u64(p, "seq") == vec_u64(reply, "sender_seq"))
      return p;
  return NULL;
}

static const struct vec_section *session_of(const struct vec *v, const struct vec_section *packet)
{
  const struct vec_section *s = vec_first(v, "session");
  while (s && strcmp(s->name, vec_word(packet, "session"))) s = vec_next(v, s, "session");
  assert_non_null(s);
  return s;
}

static size_t replay(const struct vec *v, uint32_t contexts)
{
  const struct itw_shard_config c = plane_config(8, contexts);
  const uint32_t mode = plane_vec_mode(v);
  itw_reflector *r = reflector(&c);
  size_t n = 0;

  for (const struct vec_section *s = vec_first(v, "session"); s; s = vec_next(v, s, "session")) {
    const struct itw_session session = plane_vec_session(s, mode);
    add_started(r, &session, n, 0);
  }
  for (const struct vec_section *p = vec_first(v, "packet"); p; p = vec_next(v, p, "packet")) {
    uint8_t came[ROOM], wire[ROOM];
    if (strcmp(vec_word(p, "from"), "reflector")) continue;
    const struct itw_session_info info = plane_vec_info(session_of(v, p), mode);
    const size_t len = vec_hex(p, "wire", wire, sizeof wire);
    const size_t came_len = vec_hex(request_of(v, p), "wire", came, sizeof came);
    struct itw_packet item = plane_request(&info, 0, (uint32_t)came_len, sizeof came);
    item.received = vec_be64(p, "receive");
    item.ttl = (uint8_t)vec_u64(p, "sender_ttl");
    assert_int_equal(plane_take(r, came, sizeof came, &item, 1), ITW_OK);
    assert_int_equal(item.seq, vec_u64(p, "seq"));
    assert_int_equal(item.ttl, 255);
    item.sent = vec_be64(p, "timestamp");
    item.error = (uint16_t)vec_u64(p, "error");
    assert_int_equal(itw_reflector_reply(r, came, sizeof came, &item, sizeof item, 1), ITW_OK);
    assert_int_equal(item.status, ITW_OK);
    assert_int_equal(item.len, len);
    assert_memory_equal(came, wire, len);
    n++;
  }
  itw_reflector_free(r);
  return n;
}

static void every_recorded_reply(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  char names[FILES][128];
  const size_t files = plane_files(names, FILES);
  size_t n = 0;
  (void)state;

  for (size_t i = 0; i < files; i++) {
    struct vec *v = vec_load(names[i]);
    n += replay(v, 0);
    n += replay(v, 8);
    vec_free(v);
  }
  assert_true(files >= 33 && n > 200);
}

/* -------- what is refused -------- */

/* Session 0 in a mode, started at 0, and a request. */
struct bed {
  itw_reflector *r;
  struct itw_session_info info;
  struct itw_session session;
  itw_id id;
  uint8_t good[ROOM];
  uint32_t len;
};

static struct bed bed_new(uint32_t mode)
{
  PLANE_NEEDS(mode);
  const struct itw_shard_config c = plane_config(4, 2);
  struct bed b = {.r = reflector(&c), .info = plane_info(0, mode)};
  b.session = plane_make(&b.info, 0);
  b.id = add_started(b.r, &b.session, 77, 0);
  b.len = request(b.good, sizeof b.good, &b.session, 0);
  return b;
}

/* Each bit of a packet flipped. Covered are in authenticated mode octets 0 to 15, in encrypted mode 0 to 31, and the HMAC
   field, 32 to 47. Not covered, by design of RFC 4656 §4.1.2: padding in both, and in authenticated mode 16 to 31: Timestamp,
   Error Estimate, MBZ. A forged packet takes no number and leaves the session as it was. */
static void flip_everywhere(uint32_t mode)
{
  struct bed b = bed_new(mode);
  uint32_t failures = 0, answered = 0;

  for (uint32_t bit = 0; bit < 8 * b.len; bit++) {
    const uint32_t at = bit / 8;
    const bool covered = mode == ITW_MODE_ENC ? at < 48 : at < 16 || (at >= 32 && at < 48);
    uint8_t p[ROOM], before[ROOM];
    struct itw_packet item = plane_request(&b.info, 0, b.len, sizeof p);
    memcpy(p, b.good, sizeof p);
    p[at] ^= (uint8_t)(1 << bit % 8);
    memcpy(before, p, sizeof p);
    const itw_status s = plane_take(b.r, p, sizeof p, &item, 1);
    assert_int_equal(s, covered ? ITW_ERR_HMAC : ITW_OK);
    failures += covered, answered += !covered;
    if (covered) assert_memory_equal(p, before, sizeof p);
    const struct itw_counts c = plane_reflector_counts(b.r, b.id), sum = plane_reflector_counts(b.r, 0);
    assert_int_equal(c.auth_failures, failures);
    assert_int_equal(sum.auth_failures, failures);
    assert_int_equal(c.received, answered);
  }
  struct itw_packet item = plane_request(&b.info, 0, b.len, sizeof b.good);
  assert_int_equal(plane_take(b.r, b.good, sizeof b.good, &item, 1), ITW_OK);
  assert_int_equal(item.seq, answered);
  itw_reflector_free(b.r);
}
static void flip_everywhere_auth(void **state)
{
  (void)state;
  flip_everywhere(ITW_MODE_AUTH);
}
static void flip_everywhere_enc(void **state)
{
  (void)state;
  flip_everywhere(ITW_MODE_ENC);
}

/* In buffers that end where the packet does. */
static void every_length(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    struct bed b = bed_new(plane_modes[m]);
    const uint32_t header = plane_sender_header(plane_modes[m]), least = plane_reflector_header(plane_modes[m]);
    uint32_t seq = 0, small = 0;
    for (uint32_t len = 0; len <= b.len; len++) {
      struct plane_guard g = plane_guard(len);
      struct itw_packet item = plane_request(&b.info, 0, len, len);
      memcpy(g.p, b.good, len);
      const itw_status s = plane_take(b.r, g.p, len, &item, 1);
      assert_int_equal(s, len < header ? ITW_ERR_SHORT : len < least ? ITW_ERR_TOO_SMALL : ITW_OK);
      small += len < header;
      if (s == ITW_OK) {
        assert_int_equal(item.seq, seq++);
        assert_int_equal(item.len, len);
        assert_int_equal(plane_finish(b.r, g.p, len, &item), ITW_OK);
      } else {
        assert_memory_equal(g.p, b.good, len);
      }
      plane_unguard(&g);
    }
    const struct itw_counts c = plane_reflector_counts(b.r, b.id);
    assert_int_equal(c.malformed, small);
    assert_int_equal(c.received, seq);
    itw_reflector_free(b.r);
  }
}

/* A short request with room behind it: the reply is its header, with what padding the sender gave. */
static void short_requests_get_whole_headers(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    struct bed b = bed_new(plane_modes[m]);
    const uint32_t header = plane_sender_header(plane_modes[m]), least = plane_reflector_header(plane_modes[m]);
    for (uint32_t len = header; len <= b.len; len++) {
      struct plane_guard g = plane_guard(b.len > least ? b.len : least);
      const uint32_t cap = b.len > least ? b.len : least;
      struct itw_packet item = plane_request(&b.info, 0, len, cap);
      memcpy(g.p, b.good, len);
      assert_int_equal(plane_take(b.r, g.p, cap, &item, 1), ITW_OK);
      assert_int_equal(item.len, len > least ? len : least);
      assert_memory_equal(g.p + least, b.good + header, item.len - least);
      plane_unguard(&g);
    }
    itw_reflector_free(b.r);
  }
}

/* Longer than announced: answered up to its length and the room that there is. */
static void too_long(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    struct bed b = bed_new(plane_modes[m]);
    const uint32_t least = plane_reflector_header(plane_modes[m]), most = b.len > least ? b.len : least;
    for (uint32_t cap = most - 3; cap < most + 40; cap++) {
      uint8_t p[ROOM];
      struct itw_packet item = plane_request(&b.info, 0, most + 30, cap);
      memcpy(p, b.good, sizeof p);
      memset(p + b.len, 0x66, most + 30 - b.len);
      const itw_status s = plane_take(b.r, p, sizeof p, &item, 1);
      assert_int_equal(s, cap < most ? ITW_ERR_TOO_SMALL : ITW_OK);
      if (s == ITW_OK) assert_int_equal(item.len, cap < most + 30 ? cap : most + 30);
    }
    itw_reflector_free(b.r);
  }
}

static void items_outside_of_the_buffer(void **state)
{
  struct bed b = bed_new(ITW_MODE_AUTH);
  static const struct {
    uint32_t off, len, cap;
  } wrong[] = {{0, 113, 112},          {0, 112, 113},        {1, 112, 112}, {113, 0, 0},
               {UINT32_MAX, 112, 112}, {0, UINT32_MAX, 112}, {112, 1, 0},   {8, UINT32_MAX - 7, 1}};
  struct plane_guard g = plane_guard(112);
  struct itw_packet item;
  (void)state;

  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    item = plane_request(&b.info, wrong[i].off, wrong[i].len, wrong[i].cap);
    assert_int_equal(plane_take(b.r, g.p, 112, &item, 1), ITW_ERR_ARGUMENT);
  }
  memcpy(g.p, b.good, 112);
  item = plane_request(&b.info, 0, 112, 112);
  item.flags = 1;
  assert_int_equal(plane_take(b.r, g.p, 112, &item, 1), ITW_ERR_ARGUMENT);
  item.flags = 0, item.mbz = 1;
  assert_int_equal(plane_take(b.r, g.p, 112, &item, 1), ITW_ERR_ARGUMENT);
  item.mbz = 0;
  assert_int_equal(plane_take(b.r, g.p, 112, &item, 1), ITW_OK);
  item.len = 111;
  assert_int_equal(plane_finish(b.r, g.p, 112, &item), ITW_ERR_ARGUMENT);
  item.len = 113, item.status = ITW_OK;
  assert_int_equal(plane_finish(b.r, g.p, 112, &item), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_reflector_take(b.r, g.p, 112, &item, sizeof item - 8, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_reflector_take(b.r, g.p, 112, &item, sizeof item + 1, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_reflector_take(b.r, NULL, 112, &item, sizeof item, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_reflector_take(b.r, g.p, 112, NULL, sizeof item, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_reflector_take(NULL, g.p, 112, &item, sizeof item, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_reflector_take(b.r, NULL, 0, NULL, 0, 0, 0), ITW_OK);
  plane_unguard(&g);
  itw_reflector_free(b.r);
}

/* Of another session's key, from another address or port, to another. */
static void not_of_this_session(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    struct bed b = bed_new(plane_modes[m]);
    const struct itw_session other = plane_session(8, plane_modes[m]);
    uint8_t p[ROOM];
    struct itw_packet item;
    uint32_t unknown = 0;

    for (unsigned part = 0; part < 6; part++, unknown++) {
      item = plane_request(&b.info, 0, b.len, sizeof p);
      memcpy(p, b.good, sizeof p);
      if (part == 0) item.remote.port++;
      if (part == 1) item.remote.ip[3]++;
      if (part == 2) item.local.port++;
      if (part == 3) item.local.ip[0]++;
      if (part == 4) item.remote.scope++;
      if (part == 5) item.local.family = 0;
      assert_int_equal(plane_take(b.r, p, sizeof p, &item, 1), ITW_ERR_NO_SESSION);
      assert_true(item.id == 0);
      assert_memory_equal(p, b.good, sizeof p);
    }
    assert_int_equal(plane_reflector_counts(b.r, 0).unknown, unknown);
    assert_int_equal(plane_reflector_counts(b.r, b.id).unknown, 0);
    if (m > 0) {
      const uint32_t len = request(p, sizeof p, &other, 0);
      item = plane_request(&b.info, 0, len, sizeof p);
      assert_int_equal(plane_take(b.r, p, sizeof p, &item, 1), ITW_ERR_HMAC);
      assert_true(item.id == b.id && item.user == 77);
    }
    itw_reflector_free(b.r);
  }
}

static void multiplier_0_is_corrupt(void **state)
{
  (void)state;
  for (size_t m = 0; m < 2 && m < plane_mode_count(); m++) {
    struct bed b = bed_new(plane_modes[m]);
    struct itw_packet item = plane_request(&b.info, 0, b.len, sizeof b.good);
    const uint32_t at = m == 0 ? 13 : 25;
    const uint8_t was = b.good[at];
    b.good[at] = 0;
    assert_int_equal(plane_take(b.r, b.good, sizeof b.good, &item, 1), ITW_ERR_MULTIPLIER);
    assert_int_equal(plane_reflector_counts(b.r, b.id).malformed, 1);
    b.good[at] = was;
    item = plane_request(&b.info, 0, b.len, sizeof b.good);
    assert_int_equal(plane_take(b.r, b.good, sizeof b.good, &item, 1), ITW_OK);
    assert_int_equal(item.seq, 0);
    itw_reflector_free(b.r);
  }
}

/* -------- a session's life -------- */

static itw_status take_at(struct bed *b, itw_mono now)
{
  uint8_t p[ROOM];
  struct itw_packet item = plane_request(&b->info, 0, b->len, sizeof p);
  memcpy(p, b->good, sizeof p);
  return plane_take(b->r, p, sizeof p, &item, now);
}

static itw_status forged_at(struct bed *b, itw_mono now)
{
  uint8_t p[ROOM];
  struct itw_packet item = plane_request(&b->info, 0, b->len, sizeof p);
  memcpy(p, b->good, sizeof p);
  p[0] ^= 1;
  return plane_take(b->r, p, sizeof p, &item, now);
}

static void before_start_and_after_timeout(void **state)
{
  const struct itw_shard_config c = plane_config(1, 1);
  struct bed b = bed_new(ITW_MODE_AUTH);
  itw_id id;
  uint64_t user;
  itw_status why;
  (void)state;

  itw_reflector_free(b.r);
  b.r = reflector(&c);
  assert_true(itw_reflector_deadline(b.r) == ITW_NEVER);
  assert_int_equal(itw_reflector_add(b.r, &b.id, &b.session, 5, 10), ITW_OK);
  assert_int_equal(take_at(&b, 10), ITW_ERR_NOT_STARTED);
  assert_true(itw_reflector_deadline(b.r) == ITW_NEVER);
  assert_int_equal(itw_reflector_start(b.r, b.id, 20), ITW_OK);
  assert_int_equal(itw_reflector_start(b.r, b.id, 20), ITW_ERR_STATE);
  assert_int_equal(take_at(&b, 30), ITW_OK);
  assert_int_equal(itw_reflector_stop(b.r, b.id, 40), ITW_OK);
  assert_int_equal(itw_reflector_stop(b.r, b.id, SECOND), ITW_OK); /* no longer for it */
  assert_true(itw_reflector_deadline(b.r) == 40 + 2 * SECOND);
  assert_int_equal(take_at(&b, 40 + 2 * SECOND - 1), ITW_OK);
  assert_true(itw_reflector_deadline(b.r) == 40 + 2 * SECOND);
  assert_int_equal(itw_reflector_ended(b.r, &id, &user, &why, 40 + 2 * SECOND - 1), ITW_EMPTY);
  assert_int_equal(take_at(&b, 40 + 2 * SECOND), ITW_ERR_LATE);
  assert_int_equal(itw_reflector_ended(b.r, &id, &user, &why, 40 + 2 * SECOND), ITW_OK);
  assert_true(id == b.id && user == 5 && why == ITW_OK);
  assert_int_equal(itw_reflector_ended(b.r, &id, &user, &why, 40 + 2 * SECOND), ITW_EMPTY);
  assert_true(itw_reflector_deadline(b.r) == ITW_NEVER);
  assert_int_equal(take_at(&b, 50), ITW_ERR_LATE); /* it has ended, whatever the time */

  const struct itw_counts n = plane_reflector_counts(b.r, b.id), sum = plane_reflector_counts(b.r, 0);
  assert_true(n.early == 1 && n.late == 2 && n.received == 2 && n.sent == 0 && n.octets == 2 * b.len);
  assert_memory_equal(&n, &sum, sizeof n);
  assert_int_equal(itw_reflector_remove(b.r, b.id), ITW_OK);
  assert_int_equal(itw_reflector_remove(b.r, b.id), ITW_ERR_STALE);
  assert_int_equal(take_at(&b, 50), ITW_ERR_NO_SESSION);
  assert_int_equal(plane_reflector_counts(b.r, 0).received, 2);
  itw_reflector_free(b.r);
}

static void refwait(void **state)
{
  struct itw_shard_config c = plane_config(1, 1);
  struct bed b = bed_new(ITW_MODE_AUTH);
  const itw_mono start = 7, wait = 30 * SECOND;
  itw_id id;
  uint64_t user;
  itw_status why;
  (void)state;

  itw_reflector_free(b.r);
  c.refwait_s = 30;
  b.r = reflector(&c);
  b.id = add_started(b.r, &b.session, 5, start);
  assert_true(itw_reflector_deadline(b.r) == start + wait);
  assert_int_equal(take_at(&b, start + 10 * SECOND), ITW_OK);
  assert_int_equal(forged_at(&b, start + 20 * SECOND), ITW_ERR_HMAC);     /* keeps nothing alive */
  assert_true(itw_reflector_deadline(b.r) <= start + 10 * SECOND + wait); /* may be early */
  assert_int_equal(itw_reflector_ended(b.r, &id, &user, &why, start + wait), ITW_EMPTY);
  assert_true(itw_reflector_deadline(b.r) == start + 10 * SECOND + wait);
  assert_int_equal(take_at(&b, start + 10 * SECOND + wait), ITW_ERR_LATE); /* even before it was told */
  assert_int_equal(itw_reflector_ended(b.r, &id, &user, &why, start + 10 * SECOND + wait), ITW_OK);
  assert_true(id == b.id && user == 5 && why == ITW_ERR_TIMEOUT);
  assert_int_equal(take_at(&b, start + 10 * SECOND + wait), ITW_ERR_LATE);
  itw_reflector_free(b.r);

  c.refwait_s = 0;
  b.r = reflector(&c);
  b.id = add_started(b.r, &b.session, 5, start);
  assert_true(itw_reflector_deadline(b.r) == start + 900 * SECOND);
  itw_reflector_free(b.r);
  c.refwait_s = UINT32_MAX;
  b.r = reflector(&c);
  b.id = add_started(b.r, &b.session, 5, UINT64_MAX - 1); /* no wrap */
  assert_int_equal(take_at(&b, 0), ITW_OK);
  itw_reflector_free(b.r);
}

static void stop_before_start_ends_at_once(void **state)
{
  const struct itw_shard_config c = plane_config(1, 1);
  itw_reflector *r = reflector(&c);
  const struct itw_session s = plane_session(0, ITW_MODE_OPEN);
  itw_id id, ended;
  uint64_t user;
  itw_status why;
  (void)state;

  assert_int_equal(itw_reflector_add(r, &id, &s, 5, 0), ITW_OK);
  assert_int_equal(itw_reflector_stop(r, id, 9), ITW_OK);
  assert_true(itw_reflector_deadline(r) == 9);
  assert_int_equal(itw_reflector_start(r, id, 9), ITW_ERR_STATE);
  assert_int_equal(itw_reflector_ended(r, &ended, &user, &why, 9), ITW_OK);
  assert_true(ended == id && why == ITW_OK);
  itw_reflector_free(r);
}

/* Many sessions, stopped at random times, some removed: each of the others ends once, in order of time. */
static void wakeups_in_order(void **state)
{
  enum { N = 300 };
  const struct itw_shard_config c = plane_config(N, 1);
  itw_reflector *r = reflector(&c);
  itw_id ids[N];
  itw_mono end[N], last = 0, now = 0;
  uint32_t x = 7, left = N;
  (void)state;

  for (uint32_t i = 0; i < N; i++) {
    const struct itw_session s = plane_session(i, ITW_MODE_OPEN);
    ids[i] = add_started(r, &s, i, 0);
  }
  for (uint32_t i = 0; i < N; i++) {
    x = x * 1664525u + 1013904223u;
    end[i] = (itw_mono)(x >> 8) * 100 + 2 * SECOND;
    if (x % 5 == 0) end[i] = 900 * SECOND; /* not stopped: REFWAIT */
    if (x % 5) assert_int_equal(itw_reflector_stop(r, ids[i], end[i] - 2 * SECOND), ITW_OK);
    if (x % 7 == 0) {
      assert_int_equal(itw_reflector_remove(r, ids[i]), ITW_OK);
      end[i] = 0;
      left--;
    }
  }
  while ((now = itw_reflector_deadline(r)) != ITW_NEVER) {
    itw_id id;
    uint64_t user;
    itw_status why;
    assert_int_equal(itw_reflector_ended(r, &id, &user, &why, now), ITW_OK);
    assert_true(now >= last && end[user] == now && id == ids[user]);
    assert_int_equal(why, now == 900 * SECOND ? ITW_ERR_TIMEOUT : ITW_OK);
    end[user] = 0;
    last = now;
    left--;
  }
  assert_int_equal(left, 0);
  itw_reflector_free(r);
}

/* -------- the shard -------- */

static void full_collision_stale(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  const struct itw_shard_config c = plane_config(2, 0);
  itw_reflector *r = reflector(&c);
  const struct itw_session a = plane_session(0, ITW_MODE_AUTH), b = plane_session(1, ITW_MODE_AUTH);
  const struct itw_session d = plane_session(2, ITW_MODE_AUTH);
  itw_id ids[3], again;
  uint8_t p[ROOM];
  (void)state;

  assert_int_equal(itw_reflector_add(r, &ids[0], &a, 1, 0), ITW_OK);
  assert_int_equal(itw_reflector_add(r, &again, &a, 1, 0), ITW_ERR_COLLISION);
  assert_int_equal(itw_reflector_add(r, &ids[1], &b, 2, 0), ITW_OK);
  assert_int_equal(itw_reflector_add(r, &ids[2], &d, 3, 0), ITW_ERR_FULL);
  assert_int_equal(itw_reflector_remove(r, ids[0]), ITW_OK);
  assert_int_equal(itw_reflector_start(r, ids[0], 0), ITW_ERR_STALE);
  assert_int_equal(itw_reflector_stop(r, ids[0], 0), ITW_ERR_STALE);
  assert_int_equal(itw_reflector_add(r, &ids[2], &d, 3, 0), ITW_OK);
  assert_true(ids[2] != ids[0] && (uint32_t)ids[2] == (uint32_t)ids[0] && ids[2] != 0);
  assert_int_equal(itw_reflector_start(r, ids[0], 0), ITW_ERR_STALE);
  assert_int_equal(itw_reflector_start(r, 0, 0), ITW_ERR_STALE);
  assert_int_equal(itw_reflector_start(r, ids[2] + 2, 0), ITW_ERR_STALE);
  assert_int_equal(itw_reflector_start(r, UINT64_MAX, 0), ITW_ERR_STALE);

  /* an id of before in an item; and a session that goes between take and reply */
  const struct itw_session_info info = plane_info(2, ITW_MODE_AUTH);
  const uint32_t len = request(p, sizeof p, &d, 0);
  struct itw_packet item = plane_request(&info, 0, len, sizeof p);
  item.id = ids[0];
  assert_int_equal(plane_take(r, p, sizeof p, &item, 0), ITW_ERR_STALE);
  assert_int_equal(itw_reflector_start(r, ids[2], 0), ITW_OK);
  item.id = ids[2];
  item.remote.port = 1; /* the id decides */
  assert_int_equal(plane_take(r, p, sizeof p, &item, 0), ITW_OK);
  assert_int_equal(itw_reflector_remove(r, ids[2]), ITW_OK);
  assert_int_equal(plane_finish(r, p, sizeof p, &item), ITW_ERR_STALE);
  itw_reflector_free(r);
}

static void generations_go_on(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  const struct itw_shard_config c = plane_config(1, 1);
  itw_reflector *r = reflector(&c);
  const struct itw_session s = plane_session(0, ITW_MODE_ENC);
  itw_id id, last = 0;
  (void)state;

  for (uint32_t i = 0; i < 1000; i++) {
    assert_int_equal(itw_reflector_add(r, &id, &s, i, 0), ITW_OK);
    assert_true(id > last);
    last = id;
    assert_int_equal(itw_reflector_remove(r, id), ITW_OK);
  }
  itw_reflector_free(r);
}

enum { MIXED = 45, TURNS = 3 };

/* A burst of all modes, sessions and both families, with strangers and forgeries in between. Returns all octets. */
static uint8_t *burst(uint32_t contexts, size_t stride)
{
  const struct itw_shard_config c = plane_config(MIXED, contexts);
  itw_reflector *r = reflector(&c);
  uint8_t *octets = calloc((size_t)MIXED * TURNS, 256), *items = calloc((size_t)MIXED * TURNS, stride);

  for (uint32_t i = 0; i < MIXED; i++) {
    const struct itw_session s = plane_session(i, plane_modes[i % plane_mode_count()]);
    add_started(r, &s, i, 0);
  }
  for (uint32_t n = 0; n < MIXED * TURNS; n++) {
    const uint32_t i = n * 17 % MIXED;
    const struct itw_session s = plane_session(i, plane_modes[i % plane_mode_count()]);
    const struct itw_session_info info = plane_info(i, plane_modes[i % plane_mode_count()]);
    const uint32_t len = request(octets + n * 256, 256, &s, n / MIXED);
    struct itw_packet item = plane_request(&info, n * 256, len, 256);
    if (n % 11 == 5) item.remote.port ^= 4096;
    if (n % 13 == 5) octets[n * 256] ^= 1;
    memcpy(items + n * stride, &item, sizeof item);
  }
  assert_int_equal(itw_reflector_take(r, octets, (size_t)MIXED * TURNS * 256, (void *)items, stride, MIXED * TURNS, 1),
                   ITW_OK);
  for (uint32_t n = 0; n < MIXED * TURNS; n++) {
    struct itw_packet item;
    memcpy(&item, items + n * stride, sizeof item);
    item.sent = n;
    memcpy(items + n * stride, &item, sizeof item);
  }
  assert_int_equal(itw_reflector_reply(r, octets, (size_t)MIXED * TURNS * 256, (void *)items, stride, MIXED * TURNS),
                   ITW_OK);
  for (uint32_t n = 0; n < MIXED * TURNS; n++) {
    const uint32_t i = n * 17 % MIXED;
    struct itw_packet item;
    memcpy(&item, items + n * stride, sizeof item);
    const itw_status want = n % 11 == 5 ? ITW_ERR_NO_SESSION : n % 13 == 5 && i % 3 ? ITW_ERR_HMAC : ITW_OK;
    assert_int_equal(item.status, want);
    if (want != ITW_ERR_NO_SESSION) assert_int_equal(item.user, i);
    if (want == ITW_OK) assert_int_equal(item.stamp_off, i % 3 == 0 ? 4 : i % 3 == 1 ? 16 : 0);
    if (want == ITW_OK) assert_int_equal(item.tos, 46 << 2);
    for (size_t k = sizeof item; k < stride; k++) assert_int_equal(items[n * stride + k], 0);
  }
  const struct itw_counts sum = plane_reflector_counts(r, 0);
  assert_int_equal(sum.received, sum.sent);
  assert_int_equal(sum.received + sum.unknown + sum.auth_failures, MIXED * TURNS);
  itw_reflector_free(r);
  free(items);
  return octets;
}

static void contexts_make_no_difference(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  static const uint32_t contexts[] = {0, 1, 2, 7, MIXED, 1000};
  uint8_t *first = burst(3, sizeof(struct itw_packet));
  (void)state;

  for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++) {
    uint8_t *other = burst(contexts[i], sizeof(struct itw_packet) + 8 * (i % 3));
    assert_memory_equal(first, other, (size_t)MIXED * TURNS * 256);
    free(other);
  }
  free(first);
}

/* TWAMP Light: the sender's numbers, no REFWAIT, anybody if wanted. */
static void light(void **state)
{
  const struct itw_shard_config c = plane_config(2, 2);
  (void)state;

  for (size_t m = 0; m < plane_mode_count(); m++) {
    itw_reflector *r = reflector(&c);
    struct itw_session_info info = plane_info(0, plane_modes[m]);
    info.dialect = ITW_DIALECT_LIGHT;
    info.dscp = 0;
    const struct itw_session one = plane_make(&info, 0);
    info.flags = ITW_SESSION_ANY_SENDER;
    const struct itw_session any = plane_make(&info, 0);
    uint8_t p[ROOM];
    const itw_id id = add_started(r, &any, 1, 0), id1 = add_started(r, &one, 2, 0);
    assert_true(itw_reflector_deadline(r) == ITW_NEVER);
    const uint32_t len = request(p, sizeof p, &one, 1000);
    struct itw_packet item = plane_request(&info, 0, len, sizeof p);
    item.remote.ip[2] = 99, item.remote.port = 1;
    assert_int_equal(plane_take(r, p, sizeof p, &item, UINT64_MAX - 1), ITW_OK);
    assert_true(item.id == id && item.seq == 1000 && item.tos == 0);
    request(p, sizeof p, &one, 5);
    item = plane_request(&info, 0, len, sizeof p);
    assert_int_equal(plane_take(r, p, sizeof p, &item, 9), ITW_OK);
    assert_true(item.id == id1 && item.seq == 5);
    assert_int_equal(itw_reflector_stop(r, id, 9), ITW_OK);
    assert_true(itw_reflector_deadline(r) == 9 + 2 * SECOND);
    itw_reflector_free(r);
  }
}

/* A socket that doesn't tell the local address: family 0 in session and item. */
static void unknown_local_address(void **state)
{
  struct bed b = bed_new(ITW_MODE_ENC);
  const struct itw_shard_config c = plane_config(2, 2);
  struct itw_session_info info = b.info;
  struct itw_packet item;
  (void)state;

  itw_reflector_free(b.r);
  b.r = reflector(&c);
  info.reflector = (struct itw_addr){.port = 862};
  const struct itw_session s = plane_make(&info, 0);
  b.id = add_started(b.r, &s, 1, 0);
  assert_int_equal(take_at(&b, 0), ITW_OK); /* known there, not asked for here */
  item = plane_request(&info, 0, b.len, sizeof b.good);
  assert_int_equal(plane_take(b.r, b.good, sizeof b.good, &item, 0), ITW_OK);
  info = b.info;
  info.sender = (struct itw_addr){.port = 5};
  const struct itw_session nobody = plane_make(&info, 0);
  assert_int_equal(itw_reflector_add(b.r, &b.id, &nobody, 1, 0), ITW_ERR_ARGUMENT);
  itw_reflector_free(b.r);
}

/* -------- memory -------- */

static void wiped(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  const struct itw_shard_config c = plane_config(3, 2);
  const size_t len = itw_reflector_size(&c);
  uint64_t *memory = calloc(1, len + 8);
  uint8_t *octets = (uint8_t *)memory;
  itw_reflector *r;
  itw_id id[3];
  (void)state;

  assert_int_equal(itw_reflector_init(&r, memory, len, &c), ITW_OK);
  assert_false(plane_holds(octets, len, c.seed, sizeof c.seed));
  for (uint32_t i = 0; i < 3; i++) {
    const struct itw_session s = plane_session(i, ITW_MODE_ENC);
    const struct itw_session_info info = plane_info(i, ITW_MODE_ENC);
    uint8_t p[ROOM];
    id[i] = add_started(r, &s, i, 0);
    struct itw_packet item = plane_request(&info, 0, request(p, sizeof p, &s, 0), sizeof p);
    assert_int_equal(plane_take(r, p, sizeof p, &item, 0), ITW_OK);
    assert_int_equal(plane_finish(r, p, sizeof p, &item), ITW_OK);
  }
  for (uint32_t i = 0; i < 3; i++) {
    const struct itw_key_pair k = plane_keys(i);
    assert_true(plane_holds(octets, len, k.enc, k.enc_len));
    if (i < 2) assert_int_equal(itw_reflector_remove(r, id[i]), ITW_OK);
    assert_int_equal(plane_holds(octets, len, k.enc, k.enc_len), i == 2);
    assert_int_equal(plane_holds(octets, len, k.auth, k.auth_len), i == 2);
  }
  itw_reflector_free(r);
  for (size_t i = 0; i < len + 8; i++) assert_int_equal(octets[i], 0);
  free(memory);
}

static void memory_of_any_alignment(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  const struct itw_shard_config c = plane_config(5, 3);
  const size_t len = itw_reflector_size(&c);
  struct plane_guard g = plane_guard((len + 15) / 8 * 8);
  itw_reflector *r;
  (void)state;

  assert_int_equal(itw_reflector_init(&r, g.p, len - 1, &c), ITW_ERR_TOO_SMALL);
  assert_null(r);
  assert_int_equal(itw_reflector_init(&r, g.p + 1, len, &c), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_reflector_init(&r, NULL, len, &c), ITW_ERR_ARGUMENT);
  for (size_t at = 0; at < 16; at += 8) {
    if (at + len > (len + 15) / 8 * 8) break;
    assert_int_equal(itw_reflector_init(&r, g.p + at, len, &c), ITW_OK);
    for (uint32_t i = 0; i < 5; i++) {
      const struct itw_session s = plane_session(i, ITW_MODE_AUTH);
      add_started(r, &s, 0, 0);
    }
    itw_reflector_free(r);
  }
  plane_unguard(&g);
}

static void bounds_hold(void **state)
{
  (void)state;
  for (uint32_t n = 1; n <= 1u << 20; n += 1 + n / 5) {
    for (uint32_t contexts = 0; contexts <= n; contexts = contexts * 3 + 1) {
      const struct itw_shard_config c = plane_config(n, contexts);
      const size_t size = itw_reflector_size(&c);
      assert_true(size > 0 && size <= ITW_REFLECTOR_BOUND((size_t)n, (size_t)contexts));
    }
  }
}

static void configs(void **state)
{
  struct itw_shard_config c = plane_config(4, 2);
  itw_reflector *r;
  (void)state;

  assert_int_not_equal(itw_reflector_size(&c), 0);
  c.sessions = 0;
  assert_int_equal(itw_reflector_size(&c), 0);
  assert_int_equal(itw_reflector_new(&r, &c), ITW_ERR_ARGUMENT);
  c.sessions = (1 << 20) + 1;
  assert_int_equal(itw_reflector_new(&r, &c), ITW_ERR_ARGUMENT);
  c = plane_config(4, 2), c.flags = 1;
  assert_int_equal(itw_reflector_new(&r, &c), ITW_ERR_ARGUMENT);
  c = plane_config(4, 2), c.mbz = &c;
  assert_int_equal(itw_reflector_new(&r, &c), ITW_ERR_ARGUMENT);
  c = plane_config(4, 2), c.size--;
  assert_int_equal(itw_reflector_new(&r, &c), ITW_ERR_SIZE);
  c = plane_config(4, 2), c.clock.size = 4;
  assert_int_equal(itw_reflector_new(&r, &c), ITW_ERR_SIZE);
  c = plane_config(4, 2), c.clock.error = 0x0100; /* Multiplier 0 */
  assert_int_equal(itw_reflector_new(&r, &c), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_reflector_new(&r, NULL), ITW_ERR_ARGUMENT);
  assert_null(r);
  assert_int_equal(itw_reflector_new(NULL, &c), ITW_ERR_ARGUMENT);
  itw_reflector_free(NULL);
}

/* The clock's Error Estimate, where a packet has none; never one with Multiplier 0. */
static void error_estimates(void **state)
{
  struct bed b = bed_new(ITW_MODE_OPEN);
  struct itw_clock clock;
  struct itw_reflector_packet f;
  static const uint16_t items[] = {0, 0x8a06, 0x0100}, sent[] = {0x0b07, 0x8a06, 0x0b07};
  (void)state;

  ITW_INIT(clock);
  clock.error = 0x0100;
  assert_int_equal(itw_reflector_clock(b.r, &clock), ITW_ERR_ARGUMENT);
  clock.error = 0x0b07;
  assert_int_equal(itw_reflector_clock(b.r, &clock), ITW_OK);
  for (size_t i = 0; i <= 3; i++) {
    uint8_t p[ROOM];
    struct itw_packet item = plane_request(&b.info, 0, b.len, sizeof p);
    memcpy(p, b.good, sizeof p);
    if (i == 3) clock.error = 0;
    if (i == 3) assert_int_equal(itw_reflector_clock(b.r, &clock), ITW_OK);
    assert_int_equal(plane_take(b.r, p, sizeof p, &item, 0), ITW_OK);
    item.error = i < 3 ? items[i] : 0;
    assert_int_equal(plane_finish(b.r, p, sizeof p, &item), ITW_OK);
    assert_int_equal(itw_reflector_packet_read(&f, 0, p, item.len), ITW_OK);
    if (i < 3) assert_int_equal(f.error, sent[i]);
    if (i == 3) assert_true(itw_error_ns(f.error) >= UINT64_C(3600000000000) && !(f.error & 0x8000));
  }
  itw_reflector_free(b.r);
}

/* Only what has status ITW_OK is finished. */
static void replies_to_what_was_refused(void **state)
{
  struct bed b = bed_new(ITW_MODE_AUTH);
  struct itw_packet item = plane_request(&b.info, 0, 20, sizeof b.good);
  uint8_t before[ROOM];
  (void)state;

  memcpy(before, b.good, sizeof before);
  assert_int_equal(plane_take(b.r, b.good, sizeof b.good, &item, 0), ITW_ERR_SHORT);
  assert_int_equal(plane_finish(b.r, b.good, sizeof b.good, &item), ITW_ERR_SHORT);
  assert_memory_equal(before, b.good, sizeof before);
  itw_reflector_free(b.r);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_recorded_reply),
      cmocka_unit_test(flip_everywhere_auth),
      cmocka_unit_test(flip_everywhere_enc),
      cmocka_unit_test(every_length),
      cmocka_unit_test(short_requests_get_whole_headers),
      cmocka_unit_test(too_long),
      cmocka_unit_test(items_outside_of_the_buffer),
      cmocka_unit_test(not_of_this_session),
      cmocka_unit_test(multiplier_0_is_corrupt),
      cmocka_unit_test(before_start_and_after_timeout),
      cmocka_unit_test(refwait),
      cmocka_unit_test(stop_before_start_ends_at_once),
      cmocka_unit_test(wakeups_in_order),
      cmocka_unit_test(full_collision_stale),
      cmocka_unit_test(generations_go_on),
      cmocka_unit_test(contexts_make_no_difference),
      cmocka_unit_test(light),
      cmocka_unit_test(unknown_local_address),
      cmocka_unit_test(wiped),
      cmocka_unit_test(memory_of_any_alignment),
      cmocka_unit_test(bounds_hold),
      cmocka_unit_test(configs),
      cmocka_unit_test(error_estimates),
      cmocka_unit_test(replies_to_what_was_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
