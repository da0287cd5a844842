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

/* Every packet of the vectors, both ways: the fields of its plaintext, and its plaintext from the fields. */
static void check_sender(const struct vec_section *p, uint32_t secure)
{
  const size_t body = secure ? 32 : 14;
  uint8_t plain[ROOM], out[ROOM];
  struct itw_sender_packet f;
  const size_t len = vec_hex(p, "plain", plain, sizeof plain);

  assert_int_equal(itw_sender_packet_read(&f, secure, plain, len), ITW_OK);
  assert_int_equal(f.seq, vec_u64(p, "seq"));
  assert_int_equal(f.error, vec_u64(p, "error"));
  assert_true(f.time == vec_be64(p, "timestamp"));
  memset(out, 0x77, sizeof out);
  assert_int_equal(itw_sender_packet_write(out, body, secure, &f), ITW_OK);
  assert_memory_equal(out, plain, body);
  assert_int_equal(out[body], 0x77);
}

static void check_reflector(const struct vec_section *p, uint32_t secure)
{
  const size_t body = secure ? 96 : 41;
  uint8_t plain[ROOM], out[ROOM];
  struct itw_reflector_packet f;
  const size_t len = vec_hex(p, "plain", plain, sizeof plain);

  assert_int_equal(itw_reflector_packet_read(&f, secure, plain, len), ITW_OK);
  assert_int_equal(f.seq, vec_u64(p, "seq"));
  assert_int_equal(f.error, vec_u64(p, "error"));
  assert_true(f.time == vec_be64(p, "timestamp"));
  assert_true(f.receive_time == vec_be64(p, "receive"));
  assert_int_equal(f.sender_seq, vec_u64(p, "sender_seq"));
  assert_true(f.sender_time == vec_be64(p, "sender_timestamp"));
  assert_int_equal(f.sender_error, vec_u64(p, "sender_error"));
  assert_int_equal(f.sender_ttl, vec_u64(p, "sender_ttl"));
  memset(out, 0x77, sizeof out);
  assert_int_equal(itw_reflector_packet_write(out, body, secure, &f), ITW_OK);
  assert_memory_equal(out, plain, body);
  assert_int_equal(out[body], 0x77);
}

static void every_recorded_packet(void **state)
{
  char names[FILES][128];
  const size_t files = plane_files(names, FILES);
  size_t packets = 0;
  (void)state;

  for (size_t i = 0; i < files; i++) {
    struct vec *v = vec_load(names[i]);
    const uint32_t secure = plane_vec_mode(v) != ITW_MODE_OPEN;
    for (const struct vec_section *p = vec_first(v, "packet"); p; p = vec_next(v, p, "packet"), packets++) {
      if (!strcmp(vec_word(p, "from"), "sender"))
        check_sender(p, secure);
      else
        check_reflector(p, secure);
    }
    vec_free(v);
  }
  assert_true(files >= 33 && packets > 200);
}

static void every_length_below_is_short(void **state)
{
  (void)state;
  for (uint32_t secure = 0; secure < 2; secure++) {
    const size_t s = secure ? 32 : 14, r = secure ? 96 : 41;
    for (size_t n = 0; n <= r; n++) {
      struct plane_guard g = plane_guard(n);
      struct itw_sender_packet a = {0};
      struct itw_reflector_packet b = {0};
      assert_int_equal(itw_sender_packet_read(&a, secure, g.p, n), n < s ? ITW_ERR_SHORT : ITW_OK);
      assert_int_equal(itw_sender_packet_write(g.p, n, secure, &a), n < s ? ITW_ERR_TOO_SMALL : ITW_OK);
      assert_int_equal(itw_reflector_packet_read(&b, secure, g.p, n), n < r ? ITW_ERR_SHORT : ITW_OK);
      assert_int_equal(itw_reflector_packet_write(g.p, n, secure, &b), n < r ? ITW_ERR_TOO_SMALL : ITW_OK);
      plane_unguard(&g);
    }
  }
}

/* MBZ is not looked at: with everything else zero, all its octets set change nothing. */
static void mbz_is_ignored(void **state)
{
  static const struct {
    uint8_t reflector, secure, at, n;
  } mbz[] = {{0, 1, 4, 12}, {0, 1, 26, 6}, {1, 0, 14, 2},  {1, 0, 38, 2}, {1, 1, 4, 12},
             {1, 1, 26, 6}, {1, 1, 40, 8}, {1, 1, 52, 12}, {1, 1, 74, 6}, {1, 1, 81, 15}};
  (void)state;

  for (size_t i = 0; i < sizeof mbz / sizeof mbz[0]; i++) {
    uint8_t p[96] = {0};
    struct itw_sender_packet a = {0};
    struct itw_reflector_packet b = {0};
    memset(p + mbz[i].at, 0xff, mbz[i].n);
    if (mbz[i].reflector) {
      assert_int_equal(itw_reflector_packet_read(&b, mbz[i].secure, p, sizeof p), ITW_OK);
      assert_int_equal(b.seq | b.sender_seq | b.error | b.sender_error | b.sender_ttl, 0);
      assert_true((b.time | b.receive_time | b.sender_time) == 0);
    } else {
      assert_int_equal(itw_sender_packet_read(&a, mbz[i].secure, p, sizeof p), ITW_OK);
      assert_true((a.time | a.seq | a.error) == 0);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_recorded_packet),
      cmocka_unit_test(every_length_below_is_short),
      cmocka_unit_test(mbz_is_ignored),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
