/* SPDX-License-Identifier: BSD-3-Clause */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plane.h"
#include "window.h"
#include <ipsectwamp/wire.h>

enum { FILES = 64, ROOM = 2048 };

static itw_sender *sender(const struct itw_shard_config *c)
{
  itw_sender *x;
  assert_int_equal(itw_sender_new(&x, c), ITW_OK);
  return x;
}

/* -------- vectors -------- */

static const struct vec_section *section_of(const struct vec *v, const struct vec_section *packet)
{
  const struct vec_section *s = vec_first(v, "session");
  while (s && strcmp(s->name, vec_word(packet, "session"))) s = vec_next(v, s, "session");
  assert_non_null(s);
  return s;
}

/* The recorded padding, which was random, is put over ours between write and stamp: nothing covers it. */
static void check_request(itw_sender *x, itw_id id, const struct itw_session_info *info, const struct vec_section *p)
{
  uint8_t wire[ROOM], ours[ROOM];
  const uint32_t len = (uint32_t)vec_hex(p, "wire", wire, sizeof wire), header = plane_sender_header(info->mode);
  struct itw_packet item = {.id = id, .cap = sizeof ours};

  assert_int_equal(itw_sender_write(x, ours, sizeof ours, &item, sizeof item, 1), ITW_OK);
  assert_int_equal(item.status, ITW_OK);
  assert_int_equal(item.seq, vec_u64(p, "seq"));
  assert_int_equal(item.len, len);
  assert_int_equal(item.ttl, 255);
  assert_memory_equal(&item.remote, &info->reflector, sizeof item.remote);
  assert_memory_equal(&item.local, &info->sender, sizeof item.local);
  memcpy(ours + header, wire + header, len - header);
  item.sent = vec_be64(p, "timestamp");
  item.error = (uint16_t)vec_u64(p, "error");
  assert_int_equal(itw_sender_stamp(x, ours, sizeof ours, &item, sizeof item, 1), ITW_OK);
  assert_int_equal(item.status, ITW_OK);
  assert_memory_equal(ours, wire, len);
}

static void check_reply(itw_sender *x, itw_id id, const struct itw_session_info *info, const struct vec_section *p)
{
  uint8_t wire[ROOM];
  const uint32_t len = (uint32_t)vec_hex(p, "wire", wire, sizeof wire);
  struct itw_packet item = plane_reply(info, 0, len);
  struct itw_reply r;

  item.received = vec_be64(p, "timestamp") + 0x1000;
  assert_int_equal(plane_read(x, wire, len, &item, &r), ITW_OK);
  assert_true(item.id == id);
  assert_int_equal(item.seq, vec_u64(p, "sender_seq"));
  assert_int_equal(r.kind, ITW_REPLY_NEW);
  assert_int_equal(r.seq, vec_u64(p, "sender_seq"));
  assert_int_equal(r.reflector_seq, vec_u64(p, "seq"));
  assert_true(r.t1 == vec_be64(p, "sender_timestamp") && r.t2 == vec_be64(p, "receive"));
  assert_true(r.t3 == vec_be64(p, "timestamp") && r.t4 == item.received);
  assert_int_equal(r.e1, vec_u64(p, "sender_error"));
  assert_int_equal(r.e2, vec_u64(p, "error"));
  assert_int_equal(r.ttl_there, vec_u64(p, "sender_ttl"));
  assert_int_equal(r.ttl_back, 60);
  assert_int_equal(r.tos_back, 0xb8);
  assert_true(r.there_ns == itw_ntp_diff_ns(r.t2, r.t1) && r.back_ns == itw_ntp_diff_ns(r.t4, r.t3));
  assert_true(r.rtt_ns == itw_ntp_diff_ns(r.t4, r.t1) - itw_ntp_diff_ns(r.t3, r.t2));
}

static size_t replay(const struct vec *v, uint32_t contexts)
{
  const struct itw_shard_config c = plane_config(8, contexts);
  const uint32_t mode = plane_vec_mode(v);
  itw_sender *x = sender(&c);
  itw_id ids[8];
  size_t n = 0;

  for (const struct vec_section *s = vec_first(v, "session"); s; s = vec_next(v, s, "session")) {
    const struct itw_session session = plane_vec_session(s, mode);
    assert_int_equal(itw_sender_add(x, &ids[strtoul(s->name, NULL, 10)], &session, 0), ITW_OK);
  }
  for (const struct vec_section *p = vec_first(v, "packet"); p; p = vec_next(v, p, "packet"), n++) {
    const struct itw_session_info info = plane_vec_info(section_of(v, p), mode);
    const itw_id id = ids[vec_u64(p, "session")];
    if (!strcmp(vec_word(p, "from"), "sender"))
      check_request(x, id, &info, p);
    else
      check_reply(x, id, &info, p);
  }
  itw_sender_free(x);
  return n;
}

static void every_recorded_packet(void **state)
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
  assert_true(files >= 33 && n > 400);
}

/* -------- a pair -------- */

/* Session 0 in a mode, and a reflector that answers it. */
struct bed {
  itw_sender *x;
  itw_reflector *r;
  struct itw_session_info info;
  itw_id id, far;
};

static struct bed bed_of(const struct itw_session_info *info, uint32_t window)
{
  struct itw_shard_config c = plane_config(4, 2);
  struct bed b = {.info = *info};
  const struct itw_session s = plane_make(info, 0);

  c.window = window;
  b.x = sender(&c);
  assert_int_equal(itw_sender_add(b.x, &b.id, &s, 88), ITW_OK);
  assert_int_equal(itw_reflector_new(&b.r, &c), ITW_OK);
  assert_int_equal(itw_reflector_add(b.r, &b.far, &s, 0, 0), ITW_OK);
  assert_int_equal(itw_reflector_start(b.r, b.far, 0), ITW_OK);
  return b;
}
static struct bed bed_new(uint32_t mode, uint32_t window)
{
  PLANE_NEEDS(mode);
  const struct itw_session_info info = plane_info(0, mode);
  return bed_of(&info, window);
}
static void bed_free(struct bed *b)
{
  itw_sender_free(b->x);
  itw_reflector_free(b->r);
}

/* Sends one packet and gets its reply's octets. */
static uint32_t exchange(struct bed *b, uint8_t *p, uint32_t cap)
{
  struct itw_packet item;
  assert_int_equal(plane_write(b->x, b->id, p, cap, &item), ITW_OK);
  item = plane_request(&b->info, 0, item.len, cap);
  assert_int_equal(plane_take(b->r, p, cap, &item, 1), ITW_OK);
  assert_int_equal(plane_finish(b->r, p, cap, &item), ITW_OK);
  return item.len;
}

static itw_status read_reply(struct bed *b, const uint8_t *p, uint32_t len, struct itw_reply *r)
{
  struct itw_packet item = plane_reply(&b->info, 0, len);
  return plane_read(b->x, p, len, &item, r);
}

/* -------- what is refused -------- */

/* Each bit of a reply flipped. Covered are in authenticated mode octets 0 to 15, in encrypted mode 0 to 95, and the HMAC
   field, 96 to 111. Not covered: padding in both; in authenticated mode 16 to 95: both sides' timestamps and Error Estimates,
   the sender's number, Sender TTL, MBZ (RFC 5357 §4.2.1). Those may make a reply look duplicate, late, never asked for or
   corrupt, but not like a failure of the key. */
static void flip_everywhere(uint32_t mode)
{
  struct itw_session_info info = plane_info(0, mode);
  info.padding = 80;
  struct bed b = bed_of(&info, 64);
  uint8_t good[ROOM];
  const uint32_t len = exchange(&b, good, sizeof good);
  uint32_t failures = 0;

  assert_int_equal(len, 128);
  for (uint32_t bit = 0; bit < 8 * len; bit++) {
    const uint32_t at = bit / 8;
    const bool covered = mode == ITW_MODE_ENC ? at < 112 : at < 16 || (at >= 96 && at < 112);
    uint8_t p[ROOM], before[ROOM];
    struct itw_reply r;
    memcpy(p, good, sizeof p);
    p[at] ^= (uint8_t)(1 << bit % 8);
    memcpy(before, p, sizeof p);
    const itw_status s = read_reply(&b, p, len, &r);
    assert_memory_equal(p, before, sizeof p);
    if (covered) assert_int_equal(s, ITW_ERR_HMAC);
    if (!covered) assert_true(s == ITW_OK || s == ITW_ERR_SEQUENCE);
    if (!covered) assert_int_equal(s, at >= 48 && at < 52 ? ITW_ERR_SEQUENCE : ITW_OK);
    failures += covered;
    assert_int_equal(plane_sender_counts(b.x, b.id).auth_failures, failures);
    assert_int_equal(plane_sender_counts(b.x, 0).auth_failures, failures);
  }
  assert_int_equal(plane_sender_counts(b.x, 0).malformed, mode == ITW_MODE_AUTH ? 32 : 0);
  bed_free(&b);
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

static void every_length(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    struct bed b = bed_new(plane_modes[m], 0);
    const uint32_t least = plane_reflector_header(plane_modes[m]);
    uint8_t good[ROOM];
    const uint32_t len = exchange(&b, good, sizeof good);
    struct itw_reply r;
    for (uint32_t n = 0; n <= len + 20; n++) {
      struct plane_guard g = plane_guard(n);
      memcpy(g.p, good, n);
      assert_int_equal(read_reply(&b, g.p, n, &r), n < least ? ITW_ERR_SHORT : ITW_OK);
      plane_unguard(&g);
    }
    const struct itw_counts c = plane_sender_counts(b.x, b.id);
    assert_true(c.malformed == least && c.received == len + 21 - least && c.duplicates == c.received - 1);
    bed_free(&b);
  }
}

static void not_of_this_session(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    struct bed b = bed_new(plane_modes[m], 0);
    uint8_t p[ROOM];
    const uint32_t len = exchange(&b, p, sizeof p);
    struct itw_reply r;
    for (unsigned part = 0; part < 5; part++) {
      struct itw_packet item = plane_reply(&b.info, 0, len);
      if (part == 0) item.remote.port++;
      if (part == 1) item.remote.ip[0]++;
      if (part == 2) item.local.port++;
      if (part == 3) item.local.scope++;
      if (part == 4) item.local.family = 0;
      assert_int_equal(plane_read(b.x, p, len, &item, &r), ITW_ERR_NO_SESSION);
    }
    assert_int_equal(plane_sender_counts(b.x, 0).unknown, 5);
    if (m > 0) { /* a reflector with another key */
      struct itw_session other = plane_make(&b.info, 1);
      struct itw_packet item;
      assert_int_equal(itw_sender_remove(b.x, b.id), ITW_OK);
      assert_int_equal(itw_sender_add(b.x, &b.id, &other, 0), ITW_OK);
      uint8_t q[ROOM];
      assert_int_equal(plane_write(b.x, b.id, q, sizeof q, &item), ITW_OK);
      assert_int_equal(read_reply(&b, p, len, &r), ITW_ERR_HMAC);
    }
    bed_free(&b);
  }
}

/* Only 0 was sent; replies that name another number, and a corrupt estimate. */
static void never_sent_and_corrupt(void **state)
{
  static const uint32_t never[] = {1, 2, 0x7fffffff, 0x80000000, 0xffffffff};
  struct bed b = bed_new(ITW_MODE_OPEN, 0);
  uint8_t p[ROOM];
  const uint32_t len = exchange(&b, p, sizeof p);
  struct itw_reply r;
  (void)state;

  for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
    for (unsigned n = 0; n < 4; n++) p[24 + n] = (uint8_t)(never[i] >> (24 - 8 * n));
    assert_int_equal(read_reply(&b, p, len, &r), ITW_ERR_SEQUENCE);
  }
  memset(p + 24, 0, 4);
  p[13] = 0;
  assert_int_equal(read_reply(&b, p, len, &r), ITW_ERR_MULTIPLIER);
  assert_int_equal(plane_sender_counts(b.x, b.id).malformed, 6);
  p[13] = 1;
  p[37] = 0; /* the copy of our own: the reflector's sloppiness */
  assert_int_equal(read_reply(&b, p, len, &r), ITW_OK);
  assert_int_equal(r.kind, ITW_REPLY_NEW);
  bed_free(&b);
}

/* -------- write -------- */

/* Every cap, in a buffer that ends there. A number is used up only with ITW_OK. */
static void every_cap(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    struct bed b = bed_new(plane_modes[m], 0);
    const uint32_t need = plane_sender_header(plane_modes[m]) + b.info.padding;
    uint32_t seq = 0;
    for (uint32_t cap = 0; cap < need + 5; cap++) {
      struct plane_guard g = plane_guard(cap);
      struct itw_packet item;
      assert_int_equal(plane_write(b.x, b.id, g.p, cap, &item), cap < need ? ITW_ERR_TOO_SMALL : ITW_OK);
      if (cap >= need) {
        assert_int_equal(item.seq, seq++);
        assert_int_equal(item.len, need);
        assert_int_equal(item.user, 88);
        assert_int_equal(item.tos, 46 << 2);
        assert_int_equal(item.stamp_off, m == 0 ? 4 : m == 1 ? 16 : 0);
      }
      plane_unguard(&g);
    }
    assert_int_equal(plane_sender_counts(b.x, b.id).sent, seq);
    bed_free(&b);
  }
}

/* Random by default, all zeros if wanted; both are MUSTs of RFC 5357 §4.1.2. All lengths around that of the stock. */
static void padding(void **state)
{
  const struct itw_shard_config c = plane_config(1, 1);
  (void)state;
  for (uint32_t n = 0; n < 500; n++) {
    for (uint32_t zero = 0; zero < 2; zero++) {
      struct itw_session_info info = plane_info(0, ITW_MODE_OPEN);
      struct itw_packet item;
      struct plane_guard g = plane_guard(2 * ITW_SENDER_OPEN + 2 * n);
      itw_sender *x = sender(&c);
      itw_id id;
      info.padding = n;
      info.flags = zero ? ITW_SESSION_ZERO_PADDING : 0;
      const struct itw_session s = plane_make(&info, 0);
      memset(g.p, 0x77, 2 * (ITW_SENDER_OPEN + n));
      assert_int_equal(itw_sender_add(x, &id, &s, 0), ITW_OK);
      for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(plane_write(x, id, g.p + i * (ITW_SENDER_OPEN + n), ITW_SENDER_OPEN + n, &item), ITW_OK);
      const uint8_t *a = g.p + ITW_SENDER_OPEN, *b = a + n + ITW_SENDER_OPEN;
      for (uint32_t i = 0; zero && i < n; i++) assert_int_equal(a[i] | b[i], 0);
      if (!zero && n >= 16) assert_memory_not_equal(a, b, n);
      for (uint32_t i = 0; !zero && i + 16 <= n; i++) /* no run of equal octets: nothing was forgotten */
        assert_memory_not_equal(a + i, "\x77\x77\x77\x77\x77\x77\x77\x77", 8);
      itw_sender_free(x);
      plane_unguard(&g);
    }
  }
}

static void items_outside_of_the_buffer(void **state)
{
  struct bed b = bed_new(ITW_MODE_AUTH, 0);
  struct plane_guard g = plane_guard(112);
  struct itw_packet item = {.id = b.id, .cap = 113};
  struct itw_reply r;
  (void)state;

  assert_int_equal(itw_sender_write(b.x, g.p, 112, &item, sizeof item, 1), ITW_OK);
  assert_int_equal(item.status, ITW_ERR_ARGUMENT);
  item.cap = 112, item.off = 1;
  assert_int_equal(itw_sender_write(b.x, g.p, 112, &item, sizeof item, 1), ITW_OK);
  assert_int_equal(item.status, ITW_ERR_ARGUMENT);
  item.off = 0;
  assert_int_equal(itw_sender_write(b.x, g.p, 112, &item, sizeof item, 1), ITW_OK);
  assert_int_equal(item.status, ITW_OK);
  item.len = 47;
  assert_int_equal(itw_sender_stamp(b.x, g.p, 112, &item, sizeof item, 1), ITW_OK);
  assert_int_equal(item.status, ITW_ERR_ARGUMENT);
  item = plane_reply(&b.info, 0, 113);
  assert_int_equal(plane_read(b.x, g.p, 112, &item, &r), ITW_ERR_ARGUMENT);
  item = plane_reply(&b.info, UINT32_MAX, 112);
  assert_int_equal(plane_read(b.x, g.p, 112, &item, &r), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_read(b.x, g.p, 112, &item, sizeof item, &r, sizeof r - 8, 1), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_read(b.x, g.p, 112, &item, sizeof item, NULL, sizeof r, 1), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_write(NULL, g.p, 112, &item, sizeof item, 1), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_write(b.x, g.p, 112, &item, 8, 1), ITW_ERR_ARGUMENT);
  plane_unguard(&g);
  bed_free(&b);
}

/* -------- kinds of replies -------- */

/* The kind of a reply to seq, made by hand: unauthenticated. */
static uint32_t kind(struct bed *b, uint32_t seq, itw_ntp t1, itw_ntp t4)
{
  uint8_t p[ITW_REFLECTOR_OPEN];
  const struct itw_reflector_packet f = {.sender_seq = seq, .error = 1, .sender_error = 1, .sender_time = t1};
  struct itw_packet item = plane_reply(&b->info, 0, sizeof p);
  struct itw_reply r;
  assert_int_equal(itw_reflector_packet_write(p, sizeof p, 0, &f), ITW_OK);
  item.received = t4;
  assert_int_equal(plane_read(b->x, p, sizeof p, &item, &r), ITW_OK);
  assert_int_equal(r.seq, seq);
  return r.kind;
}

static void send_many(struct bed *b, uint32_t n)
{
  uint8_t p[ROOM];
  struct itw_packet item;
  while (n--) assert_int_equal(plane_write(b->x, b->id, p, sizeof p, &item), ITW_OK);
}

static void duplicates_reordered_old(void **state)
{
  (void)state;
  for (uint32_t config = 0; config < 4; config++) {
    static const uint32_t windows[] = {0, 32, 33, 96}, sizes[] = {32, 32, 64, 96};
    const uint32_t size = sizes[config];
    struct bed b = bed_new(ITW_MODE_OPEN, windows[config]);
    send_many(&b, 1000);
    assert_int_equal(kind(&b, 5, 0, 0), ITW_REPLY_NEW);
    assert_int_equal(kind(&b, 5, 0, 0), ITW_REPLY_DUPLICATE);
    assert_int_equal(kind(&b, 4, 0, 0), ITW_REPLY_REORDERED);
    assert_int_equal(kind(&b, 4, 0, 0), ITW_REPLY_DUPLICATE);
    assert_int_equal(kind(&b, 0, 0, 0), ITW_REPLY_REORDERED);
    assert_int_equal(kind(&b, size - 1, 0, 0), ITW_REPLY_NEW);
    assert_int_equal(kind(&b, 0, 0, 0), ITW_REPLY_DUPLICATE); /* the window's last */
    assert_int_equal(kind(&b, 1, 0, 0), ITW_REPLY_REORDERED);
    assert_int_equal(kind(&b, size, 0, 0), ITW_REPLY_NEW);
    assert_int_equal(kind(&b, 0, 0, 0), ITW_REPLY_LATE); /* and beyond it */
    assert_int_equal(kind(&b, 1, 0, 0), ITW_REPLY_DUPLICATE);
    assert_int_equal(kind(&b, 500, 0, 0), ITW_REPLY_NEW); /* all of it jumped over */
    assert_int_equal(kind(&b, 499, 0, 0), ITW_REPLY_REORDERED);
    assert_int_equal(kind(&b, 500 - size + 1, 0, 0), ITW_REPLY_REORDERED);
    assert_int_equal(kind(&b, 500 - size, 0, 0), ITW_REPLY_LATE);
    const struct itw_counts c = plane_sender_counts(b.x, b.id);
    assert_true(c.received == 15 && c.duplicates == 4 && c.reordered == 5 && c.late == 2);
    bed_free(&b);
  }
}

/* The window against a table of all numbers. */
static void window_like_a_table(void **state)
{
  enum { NUMBERS = 4000 };
  (void)state;
  for (uint32_t size = 32; size <= 224; size += 32) {
    uint32_t bits[7] = {0}, x = size;
    struct itwi_window w = {UINT32_MAX, 0};
    bool seen[NUMBERS] = {false};
    int64_t high = -1;
    for (uint32_t turn = 0; turn < 20000; turn++) {
      x = x * 1664525u + 1013904223u;
      const uint32_t base = turn / 6, seq = (base + (x >> 16) % (x & 0x700 ? 90 : 400)) % NUMBERS;
      const uint32_t want = (int64_t)seq > high                    ? ITW_REPLY_NEW
                            : high - (int64_t)seq >= (int64_t)size ? ITW_REPLY_LATE
                            : seen[seq]                            ? ITW_REPLY_DUPLICATE
                                                                   : ITW_REPLY_REORDERED;
      assert_int_equal(itwi_window_mark(&w, bits, size, seq, NUMBERS), want);
      if ((int64_t)seq > high) high = seq;
      seen[seq] = true;
    }
  }
}

/* Across the wrap of the sequence number. */
static void window_wraps(void **state)
{
  uint32_t bits[2] = {0};
  struct itwi_window w = {0xfffffff0, 0};
  (void)state;

  assert_int_equal(itwi_window_mark(&w, bits, 64, 0xfffffff8, 5), ITW_REPLY_NEW);
  assert_int_equal(itwi_window_mark(&w, bits, 64, 3, 5), ITW_REPLY_NEW);
  assert_int_equal(itwi_window_mark(&w, bits, 64, 0xfffffffd, 5), ITW_REPLY_REORDERED);
  assert_int_equal(itwi_window_mark(&w, bits, 64, 0xfffffff8, 5), ITW_REPLY_DUPLICATE);
  assert_int_equal(itwi_window_mark(&w, bits, 64, 0, 5), ITW_REPLY_REORDERED);
  assert_int_equal(itwi_window_mark(&w, bits, 64, 4, 5), ITW_REPLY_NEW);
  assert_int_equal(itwi_window_mark(&w, bits, 64, 0xffffff00, 5), ITW_REPLY_LATE);
}

/* Timeout is 2 s. In authenticated mode t1 may be anything. */
static void late(void **state)
{
  const itw_ntp t = UINT64_C(0xeeae740000000000), two = UINT64_C(2) << 32;
  struct bed b = bed_new(ITW_MODE_OPEN, 0);
  (void)state;

  send_many(&b, 20);
  assert_int_equal(kind(&b, 0, t, t + two), ITW_REPLY_NEW);
  assert_int_equal(kind(&b, 1, t, t + two + 1), ITW_REPLY_LATE);
  assert_int_equal(kind(&b, 1, t, t + two + 1), ITW_REPLY_DUPLICATE); /* it was seen */
  assert_int_equal(kind(&b, 1, t, t), ITW_REPLY_DUPLICATE);
  assert_int_equal(kind(&b, 2, t + 1, t), ITW_REPLY_NEW);
  assert_int_equal(kind(&b, 3, UINT64_MAX, 0), ITW_REPLY_NEW); /* 2036 */
  assert_int_equal(kind(&b, 4, UINT64_MAX - two, 1), ITW_REPLY_LATE);
  assert_int_equal(kind(&b, 5, t + (UINT64_C(1) << 63), t), ITW_REPLY_NEW);
  assert_int_equal(kind(&b, 6, t - (UINT64_C(1) << 63) + 1, t), ITW_REPLY_LATE);
  assert_int_equal(kind(&b, 7, 0, UINT64_MAX), ITW_REPLY_NEW);
  assert_int_equal(plane_sender_counts(b.x, b.id).late, 3);
  bed_free(&b);

  struct itw_session_info info = plane_info(0, ITW_MODE_OPEN);
  info.timeout = UINT64_MAX;
  b = bed_of(&info, 0);
  send_many(&b, 3);
  assert_int_equal(kind(&b, 0, 0, INT64_MAX), ITW_REPLY_NEW);
  bed_free(&b);
}

/* Whatever timestamps arrive, their differences are defined. */
static void any_timestamps(void **state)
{
  static const itw_ntp ts[] = {
      0, 1, INT64_MAX, UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1, UINT64_MAX, UINT64_C(0xeeae740012345678)};
  enum { N = sizeof ts / sizeof ts[0] };
  struct bed b = bed_new(ITW_MODE_OPEN, 0);
  (void)state;

  send_many(&b, 1);
  for (size_t n = 0; n < N * N * N * N; n++) {
    uint8_t p[ITW_REFLECTOR_OPEN];
    const struct itw_reflector_packet f = {
        .error = 1, .sender_time = ts[n % N], .receive_time = ts[n / N % N], .time = ts[n / N / N % N]};
    struct itw_packet item = plane_reply(&b.info, 0, sizeof p);
    struct itw_reply r;
    assert_int_equal(itw_reflector_packet_write(p, sizeof p, 0, &f), ITW_OK);
    item.received = ts[n / N / N / N];
    assert_int_equal(plane_read(b.x, p, sizeof p, &item, &r), ITW_OK);
    assert_true(r.rtt_ns == itw_ntp_diff_ns(r.t4, r.t1) - itw_ntp_diff_ns(r.t3, r.t2));
  }
  bed_free(&b);
}

/* 2^20 packets of one session, authenticated; replies to the last ones. */
static void a_million(void **state)
{
  struct bed b = bed_new(ITW_MODE_AUTH, 0);
  uint8_t p[ROOM];
  struct itw_packet item;
  struct itw_reply r;
  (void)state;

  for (uint32_t i = 0; i < 1u << 20; i++) {
    memset(&item, 0, sizeof item);
    item.id = b.id;
    item.cap = sizeof p;
    assert_int_equal(itw_sender_write(b.x, p, sizeof p, &item, sizeof item, 1), ITW_OK);
    if (item.seq != i || item.status) break;
  }
  assert_int_equal(item.seq, (1u << 20) - 1);
  const uint32_t len = exchange(&b, p, sizeof p);
  assert_int_equal(read_reply(&b, p, len, &r), ITW_OK);
  assert_true(r.seq == 1u << 20 && r.reflector_seq == 0 && r.kind == ITW_REPLY_NEW);
  bed_free(&b);
}

/* -------- the shard -------- */

enum { MIXED = 45, TURNS = 3 };

/* All sessions and modes in one burst, there and back. */
static uint8_t *burst(uint32_t contexts)
{
  const struct itw_shard_config c = plane_config(MIXED, contexts);
  itw_sender *x = sender(&c);
  itw_reflector *r;
  itw_id ids[MIXED];
  const size_t n = MIXED * TURNS, room = n * 256;
  uint8_t *octets = calloc(n, 512);
  struct itw_packet *items = calloc(n, sizeof *items);
  struct itw_reply *replies = calloc(n, sizeof *replies + 8);

  assert_int_equal(itw_reflector_new(&r, &c), ITW_OK);
  for (uint32_t i = 0; i < MIXED; i++) {
    struct itw_session_info info = plane_info(i, plane_modes[i % plane_mode_count()]);
    itw_id far;
    info.padding = 4 * i;
    const struct itw_session s = plane_make(&info, i);
    assert_int_equal(itw_sender_add(x, &ids[i], &s, i), ITW_OK);
    assert_int_equal(itw_reflector_add(r, &far, &s, i, 0), ITW_OK);
    assert_int_equal(itw_reflector_start(r, far, 0), ITW_OK);
  }
  for (uint32_t k = 0; k < n; k++)
    items[k] = (struct itw_packet){.id = ids[k * 17 % MIXED], .off = k * 256, .cap = 256};
  items[7].id ^= UINT64_C(1) << 40; /* stale */
  items[9].cap = 13;
  assert_int_equal(itw_sender_write(x, octets, room, items, sizeof *items, n), ITW_OK);
  for (uint32_t k = 0; k < n; k++) items[k].sent = k;
  assert_int_equal(itw_sender_stamp(x, octets, room, items, sizeof *items, n), ITW_OK);
  assert_int_equal(items[7].status, ITW_ERR_STALE);
  assert_int_equal(items[9].status, ITW_ERR_TOO_SMALL);
  memcpy(octets + room, octets, room);
  for (uint32_t k = 0; k < n; k++) {
    const struct itw_addr to = items[k].remote;
    items[k].remote = items[k].local;
    items[k].local = to;
    items[k].id = 0;
    items[k].cap = 256;
    items[k].ttl = 64;
  }
  assert_int_equal(itw_reflector_take(r, octets, room, items, sizeof *items, n, 0), ITW_OK);
  assert_int_equal(itw_reflector_reply(r, octets, room, items, sizeof *items, n), ITW_OK);
  for (uint32_t k = 0; k < n; k++) {
    const struct itw_addr to = items[k].remote;
    items[k].remote = items[k].local;
    items[k].local = to;
    items[k].id = 0;
    items[k].received = n;
  }
  assert_int_equal(itw_sender_read(x, octets, room, items, sizeof *items, replies, sizeof *replies + 8, n), ITW_OK);
  for (uint32_t k = 0; k < n; k++) {
    struct itw_reply a;
    memcpy(&a, (const uint8_t *)replies + k * (sizeof a + 8), sizeof a);
    if (k == 7 || k == 9) {
      assert_int_equal(items[k].status, ITW_ERR_NO_SESSION);
      assert_int_equal(a.size, 0);
      continue;
    }
    assert_int_equal(items[k].status, ITW_OK);
    assert_int_equal(a.size, sizeof a);
    assert_true(a.t1 == k && a.ttl_there == 64 && items[k].user == k * 17 % MIXED);
    assert_int_equal(a.kind, ITW_REPLY_NEW);
  }
  const struct itw_counts sum = plane_sender_counts(x, 0);
  assert_true(sum.sent == n - 2 && sum.received == n - 2 && sum.unknown == 2);
  itw_sender_free(x);
  itw_reflector_free(r);
  free(items);
  free(replies);
  return octets;
}

static void contexts_make_no_difference(void **state)
{
  static const uint32_t contexts[] = {0, 1, 2, MIXED, 1000};
  uint8_t *first = burst(5);
  (void)state;

  for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++) {
    uint8_t *other = burst(contexts[i]);
    assert_memory_equal(first, other, (size_t)MIXED * TURNS * 512);
    free(other);
  }
  free(first);
}

static void full_collision_stale(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  const struct itw_shard_config c = plane_config(2, 0);
  itw_sender *x = sender(&c);
  const struct itw_session a = plane_session(0, ITW_MODE_AUTH), b = plane_session(1, ITW_MODE_AUTH);
  const struct itw_session d = plane_session(2, ITW_MODE_AUTH);
  struct itw_session_info info = plane_info(0, ITW_MODE_OPEN);
  itw_id ids[3], again;
  uint8_t p[ROOM];
  struct itw_packet item;
  struct itw_counts counts;
  (void)state;

  info.reflector = (struct itw_addr){.port = 862};
  const struct itw_session nowhere = plane_make(&info, 0);
  assert_int_equal(itw_sender_add(x, &again, &nowhere, 1), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_sender_add(x, &ids[0], &a, 1), ITW_OK);
  assert_int_equal(itw_sender_add(x, &again, &a, 1), ITW_ERR_COLLISION);
  assert_int_equal(itw_sender_add(x, &ids[1], &b, 2), ITW_OK);
  assert_int_equal(itw_sender_add(x, &ids[2], &d, 3), ITW_ERR_FULL);
  assert_int_equal(itw_sender_remove(x, ids[0]), ITW_OK);
  assert_int_equal(itw_sender_remove(x, ids[0]), ITW_ERR_STALE);
  assert_int_equal(plane_write(x, ids[0], p, sizeof p, &item), ITW_ERR_STALE);
  ITW_INIT(counts);
  assert_int_equal(itw_sender_counts(x, ids[0], &counts), ITW_ERR_STALE);
  counts.size = 9;
  assert_int_equal(itw_sender_counts(x, 0, &counts), ITW_ERR_SIZE);
  assert_int_equal(itw_sender_add(x, &ids[2], &d, 3), ITW_OK);
  assert_int_equal(plane_write(x, ids[0], p, sizeof p, &item), ITW_ERR_STALE);
  assert_int_equal(plane_write(x, ids[2], p, sizeof p, &item), ITW_OK);
  assert_int_equal(item.seq, 0); /* a new session begins anew */
  itw_sender_free(x);
}

/* A slot's window and numbers don't outlive its session. */
static void nothing_is_inherited(void **state)
{
  struct bed b = bed_new(ITW_MODE_OPEN, 0);
  const struct itw_session s = plane_session(0, ITW_MODE_OPEN);
  (void)state;

  send_many(&b, 50);
  assert_int_equal(kind(&b, 40, 0, 0), ITW_REPLY_NEW);
  assert_int_equal(itw_sender_remove(b.x, b.id), ITW_OK);
  assert_int_equal(itw_sender_add(b.x, &b.id, &s, 0), ITW_OK);
  send_many(&b, 50);
  assert_int_equal(plane_sender_counts(b.x, b.id).received, 0);
  assert_int_equal(plane_sender_counts(b.x, 0).received, 1);
  assert_int_equal(kind(&b, 40, 0, 0), ITW_REPLY_NEW);
  assert_int_equal(kind(&b, 39, 0, 0), ITW_REPLY_REORDERED);
  bed_free(&b);
}

static void wiped(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  const struct itw_shard_config c = plane_config(3, 2);
  const size_t len = itw_sender_size(&c);
  uint64_t *memory = calloc(1, len + 8);
  uint8_t *octets = (uint8_t *)memory, p[ROOM];
  struct itw_packet item;
  itw_sender *x;
  itw_id id[3];
  (void)state;

  assert_int_equal(itw_sender_init(&x, memory, len - 1, &c), ITW_ERR_TOO_SMALL);
  assert_int_equal(itw_sender_init(&x, memory, len, &c), ITW_OK);
  for (uint32_t i = 0; i < 3; i++) {
    const struct itw_session s = plane_session(i, ITW_MODE_ENC);
    assert_int_equal(itw_sender_add(x, &id[i], &s, i), ITW_OK);
    assert_int_equal(plane_write(x, id[i], p, sizeof p, &item), ITW_OK);
  }
  for (uint32_t i = 0; i < 3; i++) {
    const struct itw_key_pair k = plane_keys(i);
    assert_true(plane_holds(octets, len, k.enc, k.enc_len));
    if (i < 2) assert_int_equal(itw_sender_remove(x, id[i]), ITW_OK);
    assert_int_equal(plane_holds(octets, len, k.enc, k.enc_len), i == 2);
    assert_int_equal(plane_holds(octets, len, k.auth, k.auth_len), i == 2);
  }
  itw_sender_free(x);
  for (size_t i = 0; i < len + 8; i++) assert_int_equal(octets[i], 0);
  free(memory);
}

static void bounds_hold(void **state)
{
  static const uint32_t windows[] = {0, 1, 31, 32, 33, 1024, 65535};
  (void)state;
  for (uint32_t n = 1; n <= 1u << 20; n += 1 + n / 4) {
    for (size_t i = 0; i < 7 * 3; i++) {
      struct itw_shard_config c = plane_config(n, i / 7 == 0 ? 0 : i / 7 == 1 ? 64 : n);
      c.window = windows[i % 7];
      const size_t size = itw_sender_size(&c);
      assert_true(size > 0 && size <= ITW_SENDER_BOUND((size_t)n, (size_t)c.contexts, (size_t)c.window));
    }
  }
  struct itw_shard_config c = plane_config(1, 1);
  c.window = (1 << 24) + 1;
  assert_int_equal(itw_sender_size(&c), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_recorded_packet),
      cmocka_unit_test(flip_everywhere_auth),
      cmocka_unit_test(flip_everywhere_enc),
      cmocka_unit_test(every_length),
      cmocka_unit_test(not_of_this_session),
      cmocka_unit_test(never_sent_and_corrupt),
      cmocka_unit_test(every_cap),
      cmocka_unit_test(padding),
      cmocka_unit_test(items_outside_of_the_buffer),
      cmocka_unit_test(duplicates_reordered_old),
      cmocka_unit_test(window_like_a_table),
      cmocka_unit_test(window_wraps),
      cmocka_unit_test(late),
      cmocka_unit_test(any_timestamps),
      cmocka_unit_test(a_million),
      cmocka_unit_test(contexts_make_no_difference),
      cmocka_unit_test(full_collision_stale),
      cmocka_unit_test(nothing_is_inherited),
      cmocka_unit_test(wiped),
      cmocka_unit_test(bounds_hold),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
