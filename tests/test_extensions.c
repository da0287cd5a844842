/* SPDX-License-Identifier: BSD-3-Clause */
/* TWAMP's extensions in test packets (RFC 6038, 7750, 8186): the reference script's packets in both roles, and our own two ends
   with each other in every combination and mode. */

#include "plane.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { ROOM = 1024, Z = 0x4000, TAI = 37 };
enum {
  REFLECT = ITW_FEATURE_REFLECT, SYMMETRICAL = ITW_FEATURE_SYMMETRICAL, DSCP_ECN = ITW_FEATURE_DSCP_ECN, PTP = ITW_FEATURE_PTP,
  ALL = REFLECT | SYMMETRICAL | DSCP_ECN | PTP
};

/* -------- vectors -------- */

static struct itw_session_info vec_info(const struct vec *v, const struct vec_section *s)
{
  struct itw_session_info info = plane_vec_info(s, plane_vec_mode(v));
  info.features = (uint32_t)vec_u64(vec_first(v, "case"), "mode_chosen") & (ALL | ITW_FEATURE_SESSION_CONTROL);
  for (const struct vec_section *c = vec_first(v, "control"); c; c = vec_next(v, c, "control")) {
    if (vec_has(c, "reflect")) info.reflect = (uint16_t)vec_u64(c, "reflect");
    if (vec_has(c, "server_octets")) vec_hex(c, "server_octets", info.server_octets, 2);
  }
  return info;
}

static struct itw_session vec_session(const struct vec_section *s, const struct itw_session_info *info)
{
  struct itw_session session;
  struct itw_key_pair k;
  ITW_INIT(k);
  if (info->mode != ITW_MODE_OPEN) {
    k.enc_len = (uint16_t)vec_hex(s, "test_aes_key", k.enc, sizeof k.enc);
    k.auth_len = (uint16_t)vec_hex(s, "test_hmac_key", k.auth, sizeof k.auth);
  }
  assert_int_equal(itw_session_make(&session, info, &k), ITW_OK);
  return session;
}

/* The NTP time that stands for a recorded stamp. */
static itw_ntp time_of(const struct vec_section *p, const char *key, const char *error)
{
  const uint64_t stamp = vec_be64(p, key);
  return vec_u64(p, error) & Z ? itw_ntp_from_ptp(stamp, TAI) : stamp;
}

static const struct vec_section *packet(const struct vec *v, const char *from, uint64_t seq)
{
  for (const struct vec_section *p = vec_first(v, "packet"); p; p = vec_next(v, p, "packet"))
    if (!strcmp(vec_word(p, "from"), from) && vec_u64(p, "session") == 0 && vec_u64(p, "seq") == seq) return p;
  return NULL;
}

/* One packet there and its reply back, each as recorded. */
static void exchange(itw_sender *x, itw_reflector *r, itw_id id, const struct itw_session_info *info,
                     const struct vec_section *there, const struct vec_section *back)
{
  const uint32_t gap = !(info->features & SYMMETRICAL)      ? 0
                       : info->mode != ITW_MODE_OPEN        ? 56
                       : info->features & DSCP_ECN          ? 28
                                                            : 27;
  const uint32_t header = plane_sender_header(info->mode) + gap;
  uint8_t wire[ROOM], ours[ROOM], reply_wire[ROOM];
  const uint32_t len = (uint32_t)vec_hex(there, "wire", wire, sizeof wire);
  const uint32_t reply_len = (uint32_t)vec_hex(back, "wire", reply_wire, sizeof reply_wire);
  struct itw_packet item = {.id = id, .cap = sizeof ours};
  struct itw_reply reply;

  memset(ours, 0xff, sizeof ours);
  assert_int_equal(itw_sender_write(x, ours, sizeof ours, &item, sizeof item, 1), ITW_OK);
  assert_int_equal(item.status, ITW_OK);
  assert_int_equal(item.len, len);
  if (info->server_octets[0]) assert_memory_equal(ours + header, info->server_octets, 2);
  memcpy(ours + header, wire + header, len - header); /* what was random */
  item.sent = time_of(there, "timestamp", "error");
  item.error = (uint16_t)vec_u64(there, "error");
  assert_int_equal(itw_sender_stamp(x, ours, sizeof ours, &item, sizeof item, 1), ITW_OK);
  assert_memory_equal(ours, wire, len);

  item = plane_request(info, 0, len, sizeof ours);
  item.received = time_of(back, "receive", "error");
  item.ttl = (uint8_t)vec_u64(back, "sender_ttl");
  item.tos = vec_has(back, "sender_dscp_ecn") ? (uint8_t)vec_u64(back, "sender_dscp_ecn") : 0x77;
  assert_int_equal(plane_take(r, ours, sizeof ours, &item, 1), ITW_OK);
  item.sent = time_of(back, "timestamp", "error");
  item.error = (uint16_t)vec_u64(back, "error");
  assert_int_equal(itw_reflector_reply(r, ours, sizeof ours, &item, sizeof item, 1), ITW_OK);
  assert_int_equal(item.len, reply_len);
  assert_memory_equal(ours, reply_wire, reply_len);

  item = plane_reply(info, 0, reply_len);
  item.received = time_of(back, "timestamp", "error") + 0x1000;
  ITW_INIT(reply);
  assert_int_equal(plane_read(x, reply_wire, reply_len, &item, &reply), ITW_OK);
  assert_true(reply.t1 == time_of(there, "timestamp", "error"));
  assert_true(reply.t2 == time_of(back, "receive", "error") && reply.t3 == time_of(back, "timestamp", "error"));
  assert_int_equal((reply.flags & ITW_REPLY_TOS) != 0, (info->features & DSCP_ECN) != 0);
  assert_int_equal(reply.tos_there, info->features & DSCP_ECN ? vec_u64(back, "sender_dscp_ecn") : 0);
  assert_int_equal((reply.flags & ITW_REPLY_REFLECTED) != 0, info->server_octets[0] != 0);
  assert_int_equal((reply.flags & ITW_REPLY_PTP_THERE) != 0, (vec_u64(back, "error") & Z) != 0);
}

static size_t replay(const struct vec *v)
{
  const struct itw_shard_config c = plane_config(2, 0);
  const struct vec_section *s = vec_first(v, "session"), *p = vec_first(v, "packet");
  struct itw_session_info info = vec_info(v, s);
  itw_sender *x = NULL;
  itw_reflector *r = NULL;
  itw_id id, at;
  size_t n = 0;

  if (vec_u64(p, "error") & Z) info.flags |= ITW_SESSION_PTP;
  const struct itw_session session = vec_session(s, &info);
  assert_int_equal(itw_sender_new(&x, &c), ITW_OK);
  assert_int_equal(itw_reflector_new(&r, &c), ITW_OK);
  assert_int_equal(itw_sender_add(x, &id, &session, 0), ITW_OK);
  assert_int_equal(itw_reflector_add(r, &at, &session, 0, 0), ITW_OK);
  assert_int_equal(itw_reflector_start(r, at, 0), ITW_OK);
  for (const struct vec_section *back; (back = packet(v, "reflector", n)); n++) exchange(x, r, id, &info, packet(v, "sender", n), back);
  itw_sender_free(x);
  itw_reflector_free(r);
  return n;
}

static void every_computed_packet(void **state)
{
  char names[32][128];
  const size_t files = vec_files("extensions", names, 32);
  size_t played = 0, packets = 0;
  PLANE_NEEDS(ITW_MODE_AUTH);
  (void)state;

  for (size_t i = 0; i < files; i++) {
    struct vec *v = vec_load(names[i]);
    if (!strcmp(vec_word(vec_first(v, "case"), "service"), "twamp")) {
      packets += replay(v);
      played++;
    }
    vec_free(v);
  }
  assert_true(played == 14 && packets >= 28);
}

/* -------- our own ends -------- */

struct bed {
  itw_sender *x;
  itw_reflector *r;
  itw_id id;
  struct itw_session_info info;
};

static void bed_open(struct bed *b, const struct itw_session_info *info, uint16_t tai_utc)
{
  struct itw_shard_config c = plane_config(1, 0);
  const struct itw_session session = plane_make(info, 0);
  itw_id at;

  c.clock.tai_utc = tai_utc;
  b->info = *info;
  assert_int_equal(itw_sender_new(&b->x, &c), ITW_OK);
  assert_int_equal(itw_reflector_new(&b->r, &c), ITW_OK);
  assert_int_equal(itw_sender_add(b->x, &b->id, &session, 0), ITW_OK);
  assert_int_equal(itw_reflector_add(b->r, &at, &session, 0, 0), ITW_OK);
  assert_int_equal(itw_reflector_start(b->r, at, 0), ITW_OK);
}

static void bed_close(struct bed *b)
{
  itw_sender_free(b->x);
  itw_reflector_free(b->r);
}

/* To and fro; p has ROOM octets. The lengths, and what was found in the reply. */
static struct itw_reply round_trip(struct bed *b, uint8_t *p, uint32_t *there, uint32_t *back)
{
  struct itw_packet item;
  struct itw_reply reply;

  assert_int_equal(plane_write(b->x, b->id, p, ROOM, &item), ITW_OK);
  *there = item.len;
  item = plane_request(&b->info, 0, item.len, ROOM);
  item.tos = 0xb9;
  assert_int_equal(plane_take(b->r, p, ROOM, &item, 1), ITW_OK);
  assert_int_equal(plane_finish(b->r, p, ROOM, &item), ITW_OK);
  *back = item.len;
  item = plane_reply(&b->info, 0, *back);
  ITW_INIT(reply);
  assert_int_equal(plane_read(b->x, p, *back, &item, &reply), ITW_OK);
  return reply;
}

static uint32_t floor_of(uint32_t mode, uint32_t features, uint32_t reflect)
{
  static const uint32_t plain[3] = {27, 30, 64}, symmetrical[3] = {0, 2, 8}; /* protocol.md 4 */
  const uint32_t i = mode != ITW_MODE_OPEN ? 2 : features & DSCP_ECN ? 1 : 0;
  if (features & SYMMETRICAL) return reflect && !symmetrical[i] ? reflect + 1 : reflect + symmetrical[i];
  return reflect ? reflect + plain[i] : 0;
}

static void every_combination(void **state)
{
  static const uint32_t bits[] = {REFLECT, SYMMETRICAL, DSCP_ECN, PTP};
  (void)state;

  for (size_t m = 0; m < plane_mode_count(); m++)
    for (uint32_t set = 0; set < 16; set++)
      for (uint32_t flavour = 0; flavour < 2; flavour++) {
        struct itw_session_info info = plane_info(0, plane_modes[m]);
        struct bed b;
        struct itw_session none;
        uint8_t p[ROOM];
        uint32_t there, back;
        info.padding = 0;
        for (uint32_t i = 0; i < 4; i++) info.features |= set >> i & 1 ? bits[i] : 0;
        if (info.features & REFLECT) info.reflect = 20, info.server_octets[0] = 0xca, info.server_octets[1] = 0xfe;
        if (info.features & PTP && flavour) info.flags = ITW_SESSION_PTP; /* the sender's own choice */
        if (flavour) info.flags |= ITW_SESSION_ZERO_PADDING;
        info.padding = floor_of(info.mode, info.features, info.reflect);
        if (info.padding) {
          struct itw_key_pair k = plane_keys(0);
          info.padding--;
          assert_int_equal(itw_session_make(&none, &info, info.mode == ITW_MODE_OPEN ? NULL : &k), ITW_ERR_ARGUMENT);
          info.padding++;
        }
        bed_open(&b, &info, 0);
        for (uint32_t n = 0; n < 3; n++) {
          const struct itw_reply r = round_trip(&b, p, &there, &back);
          if (info.features & (SYMMETRICAL | REFLECT)) assert_int_equal(there, back);
          assert_int_equal(r.seq, n);
          assert_true(itw_ntp_diff_ns(r.t1, UINT64_C(0xeeae740000003039)) == 0); /* as NTP, to the nanosecond */
          assert_true(itw_ntp_diff_ns(r.t2, UINT64_C(0xeeae740010000000)) == 0);
          assert_true(itw_ntp_diff_ns(r.t3, UINT64_C(0xeeae740020000000)) == 0);
          assert_int_equal((r.flags & ITW_REPLY_PTP_THERE) != 0, (info.features & PTP) != 0);
          assert_int_equal((r.flags & ITW_REPLY_PTP_SENT) != 0, (info.flags & ITW_SESSION_PTP) != 0);
          assert_int_equal((r.e2 & Z) != 0, (info.features & PTP) != 0);
          assert_int_equal(r.tos_there, info.features & DSCP_ECN ? 0xb9 : 0);
          assert_int_equal((r.flags & ITW_REPLY_REFLECTED) != 0, (info.features & REFLECT) != 0);
        }
        bed_close(&b);
      }
}

/* The octets to be reflected stand behind the reflector's header, as they stood at the beginning of the padding. */
static void padding_comes_back(void **state)
{
  static const uint32_t sets[] = {REFLECT, REFLECT | SYMMETRICAL, REFLECT | SYMMETRICAL | DSCP_ECN, REFLECT | DSCP_ECN};
  (void)state;

  for (size_t m = 0; m < plane_mode_count(); m++)
    for (size_t s = 0; s < 4; s++) {
      struct itw_session_info info = plane_info(0, plane_modes[m]);
      struct itw_packet item;
      struct bed b;
      uint8_t p[ROOM], padding[100];
      const uint32_t open = info.mode == ITW_MODE_OPEN, dscp = (sets[s] & DSCP_ECN) != 0;
      const uint32_t gap = sets[s] & SYMMETRICAL ? (open ? 27 + dscp : 56) : 0;
      const uint32_t from = plane_sender_header(info.mode) + gap, to = plane_reflector_header(info.mode) + (open && dscp ? 3 : 0);
      info.features = sets[s];
      info.padding = 200;
      info.reflect = 100;
      bed_open(&b, &info, 0);
      assert_int_equal(plane_write(b.x, b.id, p, ROOM, &item), ITW_OK);
      memcpy(padding, p + from, sizeof padding);
      for (uint32_t i = from - gap; i < from; i++) assert_int_equal(p[i], 0);
      item = plane_request(&info, 0, item.len, ROOM);
      assert_int_equal(plane_take(b.r, p, ROOM, &item, 1), ITW_OK);
      assert_int_equal(plane_finish(b.r, p, ROOM, &item), ITW_OK);
      assert_memory_equal(p + to, padding, sizeof padding);
      if (open && dscp) assert_true(p[42] == 0 && p[43] == 0);
      bed_close(&b);
    }
}

/* S-DSCP-ECN is covered in encrypted mode, and so are PTP timestamps. */
static void every_octet_flipped(void **state)
{
  struct itw_session_info info = plane_info(0, ITW_MODE_ENC);
  struct itw_packet item;
  struct itw_reply reply;
  struct bed b;
  uint8_t p[ROOM], spoilt[ROOM];
  PLANE_NEEDS(ITW_MODE_ENC);
  (void)state;

  info.features = ALL;
  info.padding = 60;
  info.reflect = 20;
  bed_open(&b, &info, 0);
  assert_int_equal(plane_write(b.x, b.id, p, ROOM, &item), ITW_OK);
  for (uint32_t i = 0; i < ITW_SENDER_SECURE; i++) {
    struct itw_packet bad = plane_request(&info, 0, item.len, ROOM);
    memcpy(spoilt, p, ROOM);
    spoilt[i] ^= 0x40;
    assert_int_equal(plane_take(b.r, spoilt, ROOM, &bad, 1), ITW_ERR_HMAC);
  }
  item = plane_request(&info, 0, item.len, ROOM);
  assert_int_equal(plane_take(b.r, p, ROOM, &item, 1), ITW_OK);
  assert_int_equal(plane_finish(b.r, p, ROOM, &item), ITW_OK);
  for (uint32_t i = 0; i < ITW_REFLECTOR_SECURE; i++) {
    struct itw_packet bad = plane_reply(&info, 0, item.len);
    memcpy(spoilt, p, ROOM);
    spoilt[i] ^= 0x40;
    ITW_INIT(reply);
    assert_int_equal(plane_read(b.x, spoilt, item.len, &bad, &reply), ITW_ERR_HMAC);
  }
  bed_close(&b);
}

/* Without negotiation Z is ignored when it comes, and never leaves (RFC 4656 §4.1.2), whatever the caller's estimate says. */
static void z_without_agreement(void **state)
{
  struct itw_session_info info = plane_info(0, ITW_MODE_OPEN);
  struct itw_packet item = {0};
  struct itw_reply reply;
  struct bed b;
  uint8_t p[ROOM];
  (void)state;

  bed_open(&b, &info, 0);
  item.id = b.id;
  item.cap = ROOM;
  assert_int_equal(itw_sender_write(b.x, p, ROOM, &item, sizeof item, 1), ITW_OK);
  item.sent = UINT64_C(0xeeae740000003039);
  item.error = Z | 0x8a05;
  assert_int_equal(itw_sender_stamp(b.x, p, ROOM, &item, sizeof item, 1), ITW_OK);
  assert_int_equal(p[12], 0x8a);
  p[12] |= Z >> 8; /* a sender that sets it all the same */
  item = plane_request(&info, 0, item.len, ROOM);
  assert_int_equal(plane_take(b.r, p, ROOM, &item, 1), ITW_OK);
  assert_int_equal(plane_finish(b.r, p, ROOM, &item), ITW_OK);
  assert_int_equal(p[12] & Z >> 8, 0);
  assert_int_equal(p[36] & Z >> 8, Z >> 8); /* the sender's own is copied as it came */
  p[12] |= Z >> 8;
  item = plane_reply(&info, 0, item.len);
  ITW_INIT(reply);
  assert_int_equal(plane_read(b.x, p, item.len, &item, &reply), ITW_OK);
  assert_true(reply.t1 == UINT64_C(0xeeae740000003039) && reply.t3 == UINT64_C(0xeeae740020000000));
  assert_int_equal(reply.flags, 0);
  bed_close(&b);
}

/* A reflector that has agreed on PTPv2 may still send NTP: Z says so for each (RFC 8186 §2.3). */
static void ntp_all_the_same(void **state)
{
  struct itw_session_info info = plane_info(0, ITW_MODE_OPEN);
  struct itw_packet item;
  struct itw_reply reply;
  struct bed b;
  uint8_t p[ROOM];
  (void)state;

  info.features = PTP;
  bed_open(&b, &info, 0);
  assert_int_equal(plane_write(b.x, b.id, p, ROOM, &item), ITW_OK);
  assert_int_equal(p[12] & Z >> 8, 0); /* our sender didn't choose it */
  item = plane_request(&info, 0, item.len, ROOM);
  assert_int_equal(plane_take(b.r, p, ROOM, &item, 1), ITW_OK);
  assert_int_equal(plane_finish(b.r, p, ROOM, &item), ITW_OK);
  memcpy(p + 4, "\xee\xae\x74\x00\x20\x00\x00\x00\x8a\x05", 10);
  memcpy(p + 16, "\xee\xae\x74\x00\x10\x00\x00\x00", 8);
  item = plane_reply(&info, 0, item.len);
  ITW_INIT(reply);
  assert_int_equal(plane_read(b.x, p, item.len, &item, &reply), ITW_OK);
  assert_true(reply.t2 == UINT64_C(0xeeae740010000000) && reply.t3 == UINT64_C(0xeeae740020000000));
  assert_int_equal(reply.flags, 0);
  bed_close(&b);
}

/* TAI runs ahead of UTC by what the caller says; seconds since 1970 (RFC 8877 §4.3). */
static void leap_seconds(void **state)
{
  static const uint16_t said[] = {0, 37, 38}, meant[] = {37, 37, 38};
  (void)state;

  for (size_t i = 0; i < 3; i++) {
    struct itw_session_info info = plane_info(0, ITW_MODE_OPEN);
    struct itw_packet item;
    struct bed b;
    uint8_t p[ROOM];
    uint32_t sec = 0;
    info.features = PTP;
    info.flags = ITW_SESSION_PTP;
    bed_open(&b, &info, said[i]);
    assert_int_equal(plane_write(b.x, b.id, p, ROOM, &item), ITW_OK);
    for (int k = 0; k < 4; k++) sec = sec << 8 | p[4 + k];
    assert_int_equal(sec, 0xeeae7400u - 2208988800u + meant[i]);
    assert_memory_equal(p + 8, "\x00\x00\x0b\x3a", 4); /* 0x3039 / 2^32 s is 2874.3 ns */
    bed_close(&b);
  }
}

/* A packet that ends within the symmetrical header is too short; one that is longer than announced is answered whole. */
static void lengths(void **state)
{
  struct itw_session_info info = plane_info(0, ITW_MODE_OPEN);
  struct itw_packet item;
  struct bed b;
  uint8_t p[ROOM] = {0};
  (void)state;

  info.features = SYMMETRICAL;
  info.padding = 0;
  bed_open(&b, &info, 0);
  assert_int_equal(plane_write(b.x, b.id, p, ROOM, &item), ITW_OK);
  assert_int_equal(item.len, 41);
  for (uint32_t len = 0; len < 41; len++) {
    item = plane_request(&info, 0, len, ROOM);
    assert_int_equal(plane_take(b.r, p, ROOM, &item, 1), ITW_ERR_SHORT);
  }
  item = plane_request(&info, 0, 300, ROOM);
  assert_int_equal(plane_take(b.r, p, ROOM, &item, 1), ITW_OK);
  assert_int_equal(item.len, 300);
  bed_close(&b);
}

/* Members of a feature without it. */
static void values(void **state)
{
  struct itw_session_info good = plane_info(0, ITW_MODE_OPEN), i, back;
  struct itw_session s;
  (void)state;

#define BAD(change) (i = good, i.change, assert_int_equal(itw_session_make(&s, &i, NULL), ITW_ERR_ARGUMENT))
  BAD(features = 128);
  BAD(features = 1024);
  BAD(reflect = 1);
  BAD(server_octets[1] = 1);
  BAD(flags = ITW_SESSION_PTP);
  BAD(mbz2 = 1);
  good.dialect = ITW_DIALECT_OWAMP, good.packets = 1;
  BAD(features = PTP);
#undef BAD
  good = plane_info(0, ITW_MODE_OPEN);
  good.features = ALL | ITW_FEATURE_SESSION_CONTROL;
  good.padding = 400, good.reflect = 300;
  good.server_octets[0] = 1, good.server_octets[1] = 2;
  good.flags = ITW_SESSION_PTP;
  assert_int_equal(itw_session_make(&s, &good, NULL), ITW_OK);
  ITW_INIT(back);
  assert_int_equal(itw_session_info(&s, &back), ITW_OK);
  assert_memory_equal(&back, &good, sizeof back);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_computed_packet),
      cmocka_unit_test(every_combination),
      cmocka_unit_test(padding_comes_back),
      cmocka_unit_test(every_octet_flipped),
      cmocka_unit_test(z_without_agreement),
      cmocka_unit_test(ntp_all_the_same),
      cmocka_unit_test(leap_seconds),
      cmocka_unit_test(lengths),
      cmocka_unit_test(values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
