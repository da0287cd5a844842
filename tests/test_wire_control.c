/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages of a connection that is up: every field at its offset, MBZ, lengths. */

#include "octets.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <ipsectwamp/wire.h>
#include <string.h>

static bool all(const uint8_t *p, size_t n, uint8_t value)
{
  for (size_t i = 0; i < n; i++)
    if (p[i] != value) return false;
  return true;
}

static struct itw_request_tw a_request(void)
{
  struct itw_request_tw q = {
    .command = 5, .ipvn = 6, .conf_sender = 0x11, .conf_receiver = 0x12, .slots = 0x21222324, .packets = 0x31323334,
    .sender_port = 0x4142, .receiver_port = 0x5152, .padding = 0x61626364, .start = UINT64_C(0x7172737475767778),
    .timeout = UINT64_C(0x8182838485868788), .type_p = 0x91929394,
    .reflect_octets = {0xd1, 0xd2}, .reflect = 0xe1e2};
  memset(q.sender, 0xa1, 16);
  memset(q.receiver, 0xb1, 16);
  memset(q.sid, 0xc1, 16);
  return q;
}

static void request_fields(void **state)
{
  static const struct {
    size_t at, len;
    uint64_t value;
  } fields[] = {
    {0, 1, 5}, {1, 1, 6}, {2, 1, 0x11}, {3, 1, 0x12}, {4, 4, 0x21222324}, {8, 4, 0x31323334}, {12, 2, 0x4142},
    {14, 2, 0x5152}, {16, 1, 0xa1}, {31, 1, 0xa1}, {32, 1, 0xb1}, {47, 1, 0xb1}, {48, 1, 0xc1}, {63, 1, 0xc1},
    {64, 4, 0x61626364}, {68, 8, UINT64_C(0x7172737475767778)}, {76, 8, UINT64_C(0x8182838485868788)},
    {84, 4, 0x91929394}, {88, 2, 0xd1d2}, {90, 2, 0xe1e2}, {92, 4, 0},
  };
  uint8_t o[ITW_REQUEST_LEN];
  struct itw_request_tw q = a_request();
  (void)state;
  memset(o, 0xff, sizeof o);
  assert_int_equal(itw_request_tw_write(o, sizeof o, &q), ITW_OK);
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    uint64_t v = 0;
    for (size_t k = 0; k < fields[i].len; k++) v = v << 8 | o[fields[i].at + k];
    assert_true(v == fields[i].value);
  }
  q.command = 0;
  assert_int_equal(itw_request_tw_write(o, sizeof o, &q), ITW_OK);
  assert_int_equal(o[0], 5);
  q.command = ITW_CMD_REQUEST_SESSION;
  assert_int_equal(itw_request_tw_write(o, sizeof o, &q), ITW_OK);
  assert_int_equal(o[0], 1);
}

static void request_comes_back(void **state)
{
  uint8_t o[ITW_REQUEST_LEN];
  struct itw_request_tw q = a_request(), back;
  (void)state;
  assert_int_equal(itw_request_tw_write(o, sizeof o, &q), ITW_OK);
  o[1] |= 0xf0; /* MBZ before IPVN */
  memset(o + 92, 0xff, 4);
  assert_int_equal(itw_request_tw_read(&back, o, sizeof o), ITW_OK);
  assert_memory_equal(&back, &q, sizeof q);
}

static void accept_fields(void **state)
{
  uint8_t o[ITW_ACCEPT_LEN];
  struct itw_accept_session a = {.accept = 5, .port = 0x1234, .reflected_octets = {0x61, 0x62}, .server_octets = {0x71, 0x72}}, back;
  (void)state;
  memset(a.sid, 0x51, 16);
  memset(o, 0xff, sizeof o);
  assert_int_equal(itw_accept_session_write(o, sizeof o, &a), ITW_OK);
  assert_int_equal(itwi_load32(o), 0x05001234);
  assert_true(all(o + 4, 16, 0x51));
  assert_int_equal(itwi_load32(o + 20), 0x61627172);
  assert_true(all(o + 24, 8, 0));
  o[1] = 0xff;
  memset(o + 24, 0xff, 8);
  assert_int_equal(itw_accept_session_read(&back, o, sizeof o), ITW_OK);
  assert_memory_equal(&back, &a, sizeof a);
}

static void start_and_ack_fields(void **state)
{
  uint8_t o[16];
  uint32_t accept = 0;
  (void)state;
  memset(o, 0xff, sizeof o);
  assert_int_equal(itw_start_sessions_write(o, sizeof o), ITW_OK);
  assert_int_equal(o[0], 2);
  assert_true(all(o + 1, 15, 0));
  memset(o, 0xff, sizeof o);
  assert_int_equal(itw_start_ack_write(o, sizeof o, 200), ITW_OK);
  assert_int_equal(o[0], 200);
  assert_true(all(o + 1, 15, 0));
  memset(o + 1, 0xff, 15);
  assert_int_equal(itw_start_ack_read(&accept, o, sizeof o), ITW_OK);
  assert_int_equal(accept, 200);
}

static void stop_fields(void **state)
{
  uint8_t o[16];
  struct itw_stop_sessions s = {.accept = 1, .sessions = 0x01020304}, back;
  (void)state;
  memset(o, 0xff, sizeof o);
  assert_int_equal(itw_stop_sessions_write(o, sizeof o, &s), ITW_OK);
  assert_int_equal(itwi_load32(o), 0x03010000);
  assert_int_equal(itwi_load32(o + 4), 0x01020304);
  assert_true(all(o + 8, 8, 0));
  o[2] = o[3] = o[8] = o[15] = 0xff;
  assert_int_equal(itw_stop_sessions_read(&back, o, sizeof o), ITW_OK);
  assert_memory_equal(&back, &s, sizeof s);
}

static void one_octet_less_is_too_short(void **state)
{
  uint8_t o[ITW_REQUEST_LEN] = {0};
  struct itw_request_tw q;
  struct itw_accept_session a;
  struct itw_stop_sessions s;
  uint32_t accept = 77;
  (void)state;
  for (size_t n = 0; n < ITW_REQUEST_LEN; n++) assert_int_equal(itw_request_tw_read(&q, o, n), ITW_ERR_SHORT);
  for (size_t n = 0; n < ITW_ACCEPT_LEN; n++) assert_int_equal(itw_accept_session_read(&a, o, n), ITW_ERR_SHORT);
  for (size_t n = 0; n < ITW_STOP_LEN; n++) assert_int_equal(itw_stop_sessions_read(&s, o, n), ITW_ERR_SHORT);
  for (size_t n = 0; n < ITW_START_ACK_LEN; n++) assert_int_equal(itw_start_ack_read(&accept, o, n), ITW_ERR_SHORT);
  assert_int_equal(accept, 77);
}

static void nothing_is_written_beyond_the_buffer(void **state)
{
  uint8_t o[128];
  struct itw_request_tw q = a_request();
  struct itw_accept_session a = {0};
  struct itw_stop_sessions s = {0};
  (void)state;
  for (size_t n = 0; n < ITW_REQUEST_LEN; n++) {
    memset(o, 0xee, sizeof o);
    assert_int_equal(itw_request_tw_write(o, n, &q), ITW_ERR_TOO_SMALL);
    if (n < ITW_ACCEPT_LEN) assert_int_equal(itw_accept_session_write(o, n, &a), ITW_ERR_TOO_SMALL);
    if (n < ITW_STOP_LEN) assert_int_equal(itw_stop_sessions_write(o, n, &s), ITW_ERR_TOO_SMALL);
    if (n < ITW_START_LEN) assert_int_equal(itw_start_sessions_write(o, n), ITW_ERR_TOO_SMALL);
    if (n < ITW_START_ACK_LEN) assert_int_equal(itw_start_ack_write(o, n, 1), ITW_ERR_TOO_SMALL);
    assert_true(all(o + n, sizeof o - n, 0xee));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(request_fields),
    cmocka_unit_test(request_comes_back),
    cmocka_unit_test(accept_fields),
    cmocka_unit_test(start_and_ack_fields),
    cmocka_unit_test(stop_fields),
    cmocka_unit_test(one_octet_less_is_too_short),
    cmocka_unit_test(nothing_is_written_beyond_the_buffer),
  };
  return cmocka_run_group_tests_name("wire_control", tests, NULL, NULL);
}
