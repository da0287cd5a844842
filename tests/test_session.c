/* SPDX-License-Identifier: BSD-3-Clause */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plane.h"

static void same_octets_on_every_machine(void **state)
{
  static const uint8_t head[96] = {
      1,    4,    2,    46,   0,    0,    0,    3,    0, 0, 1,    2,    24,   20,   0,    0,    0,    0,    0,    2,
      0x80, 0,    0,    0,    0xee, 0xae, 0x74, 0,    1, 2, 3,    4,    0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab,
      0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0, 6, 0x9c, 0x41, 0,    0,    0,    9,    0x20, 1,    0xd,  0xb8,
      0,    0,    0,    0,    0,    0,    0,    0,    0, 0, 0,    1,    0,    6,    3,    0x5e, 1,    2,    3,    4,
      0x20, 1,    0xd,  0xb8, 0,    0,    0,    0,    0, 0, 0,    0,    0,    0,    0,    2};
  const uint8_t ip[4] = {0x20, 1, 0xd, 0xb8};
  struct itw_session_info i = plane_info(0, ITW_MODE_ENC), back;
  struct itw_key_pair k = plane_keys(4), keys;
  struct itw_session s;
  (void)state;

  i.dialect = ITW_DIALECT_LIGHT;
  i.flags = ITW_SESSION_ZERO_PADDING | ITW_SESSION_ANY_SENDER;
  i.padding = 258;
  i.timeout = UINT64_C(0x280000000);
  i.start = UINT64_C(0xeeae740001020304);
  memset(i.sid, 0xab, 16);
  i.sender = (struct itw_addr){.family = 6, .port = 40001, .scope = 9};
  i.reflector = (struct itw_addr){.family = 6, .port = 862, .scope = 0x01020304};
  memcpy(i.sender.ip, ip, 4);
  memcpy(i.reflector.ip, ip, 4);
  i.sender.ip[15] = 1;
  i.reflector.ip[15] = 2;

  assert_int_equal(itw_session_make(&s, &i, &k), ITW_OK);
  assert_memory_equal(s.octets, head, sizeof head);
  assert_memory_equal(s.octets + 96, k.enc, 32);
  assert_memory_equal(s.octets + 128, k.auth, 64);
  for (size_t n = 192; n < 256; n++) assert_int_equal(s.octets[n], 0);

  ITW_INIT(back);
  ITW_INIT(keys);
  assert_int_equal(itw_session_info(&s, &back), ITW_OK);
  assert_memory_equal(&back, &i, sizeof i);
  assert_int_equal(itw_session_keys(&s, &keys), ITW_OK);
  assert_memory_equal(&keys, &k, sizeof k);

  itw_session_wipe(&s);
  for (size_t n = 0; n < sizeof s; n++) assert_int_equal(s.octets[n], 0);
  itw_session_wipe(NULL);
}

/* Number of Packets, octets 200 to 203, is OWAMP's. */
static void one_way(void **state)
{
  struct itw_session_info i = plane_owamp_info(0, ITW_MODE_AUTH, 0x01020304), back;
  struct itw_session s = plane_make(&i, 0);
  static const uint8_t packets[4] = {1, 2, 3, 4};
  (void)state;

  ITW_INIT(back);
  assert_int_equal(s.octets[2], ITW_DIALECT_OWAMP);
  assert_memory_equal(s.octets + 200, packets, 4);
  for (size_t n = 204; n < 256; n++) assert_int_equal(s.octets[n], 0);
  assert_int_equal(itw_session_info(&s, &back), ITW_OK);
  assert_memory_equal(&back, &i, sizeof i);
  memset(s.octets + 200, 0, 4);
  assert_int_equal(itw_session_info(&s, &back), ITW_ERR_ARGUMENT);
}

static void open_has_no_keys(void **state)
{
  struct itw_session_info i = plane_info(1, ITW_MODE_OPEN);
  struct itw_key_pair k = plane_keys(1), none;
  struct itw_session s;
  (void)state;

  ITW_INIT(none);
  assert_int_equal(itw_session_make(&s, &i, &k), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_session_make(&s, &i, NULL), ITW_OK);
  assert_int_equal(itw_session_make(&s, &i, &none), ITW_OK);
  none.enc_len = 9;
  assert_int_equal(itw_session_keys(&s, &none), ITW_OK);
  assert_int_equal(none.enc_len, 0);
  assert_int_equal(none.auth_len, 0);
}

/* Each makes a valid info wrong. */
static void mode(struct itw_session_info *i) { i->mode = ITW_MODE_MIXED; }
static void two_modes(struct itw_session_info *i) { i->mode = ITW_MODE_AUTH | ITW_MODE_ENC; }
static void no_mode(struct itw_session_info *i) { i->mode = 0; }
static void mode_256(struct itw_session_info *i) { i->mode = 256 + ITW_MODE_ENC; }
static void dialect(struct itw_session_info *i) { i->dialect = 3; }
static void no_dialect(struct itw_session_info *i) { i->dialect = 0; }
static void padding(struct itw_session_info *i) { i->padding = ITW_PACKET_MAX - ITW_SENDER_SECURE + 1; }
static void dscp(struct itw_session_info *i) { i->dscp = 64; }
static void mbz(struct itw_session_info *i) { i->mbz[2] = 1; }
static void flags(struct itw_session_info *i) { i->flags = 4; }
static void any_sender_of_twamp(struct itw_session_info *i) { i->flags = ITW_SESSION_ANY_SENDER; }
static void families(struct itw_session_info *i) { i->sender.family = 6; }
static void family(struct itw_session_info *i) { i->sender.family = i->reflector.family = 5; }
static void ipv4_of_16(struct itw_session_info *i) { i->sender.ip[4] = 1; }
static void nobody_of_1(struct itw_session_info *i) { i->sender.family = 0; }
static void nobodies(struct itw_session_info *i)
{
  memset(&i->sender.ip, 0, 16), memset(&i->reflector.ip, 0, 16);
  i->sender.family = i->reflector.family = 0;
}
static void no_sender_port(struct itw_session_info *i) { i->sender.port = 0; }
static void no_reflector_port(struct itw_session_info *i) { i->reflector.port = 0; }
static void no_packets(struct itw_session_info *i) { i->dialect = ITW_DIALECT_OWAMP; }
static void packets_of_twamp(struct itw_session_info *i) { i->packets = 1; }

static void refuses_what_is_out_of_range(void **state)
{
  static void (*const wrong[])(struct itw_session_info *) = {mode,
                                                             two_modes,
                                                             no_mode,
                                                             mode_256,
                                                             dialect,
                                                             no_dialect,
                                                             padding,
                                                             dscp,
                                                             mbz,
                                                             flags,
                                                             any_sender_of_twamp,
                                                             families,
                                                             family,
                                                             ipv4_of_16,
                                                             nobody_of_1,
                                                             nobodies,
                                                             no_sender_port,
                                                             no_reflector_port,
                                                             no_packets,
                                                             packets_of_twamp};
  struct itw_session s, before;
  (void)state;

  memset(&s, 0x77, sizeof s);
  before = s;
  for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
    struct itw_session_info i = plane_info(0, ITW_MODE_ENC);
    struct itw_key_pair k = plane_keys(0);
    wrong[n](&i);
    assert_int_equal(itw_session_make(&s, &i, &k), ITW_ERR_ARGUMENT);
    assert_memory_equal(&s, &before, sizeof s);
  }
}

static void takes_what_is_at_the_edge(void **state)
{
  struct itw_session_info i = plane_info(0, ITW_MODE_ENC);
  struct itw_key_pair k = plane_keys(0);
  struct itw_session s;
  (void)state;

  i.padding = ITW_PACKET_MAX - ITW_SENDER_SECURE;
  i.dscp = 63;
  i.timeout = UINT64_MAX;
  assert_int_equal(itw_session_make(&s, &i, &k), ITW_OK);
  i.sender = (struct itw_addr){.port = 5000}; /* any address of this host */
  assert_int_equal(itw_session_make(&s, &i, &k), ITW_OK);
  i.dialect = ITW_DIALECT_LIGHT;
  i.flags = ITW_SESSION_ANY_SENDER;
  i.sender = (struct itw_addr){0};
  assert_int_equal(itw_session_make(&s, &i, &k), ITW_OK);
  i.reflector = (struct itw_addr){.port = 862};
  assert_int_equal(itw_session_make(&s, &i, &k), ITW_OK);
}

static void refuses_wrong_keys(void **state)
{
  struct itw_session_info i = plane_info(0, ITW_MODE_AUTH);
  struct itw_session s;
  (void)state;

  assert_int_equal(itw_session_make(&s, &i, NULL), ITW_ERR_ARGUMENT);
  for (unsigned n = 0; n < 70; n++) {
    struct itw_key_pair k = plane_keys(0);
    k.enc_len = (uint16_t)n;
    assert_int_equal(itw_session_make(&s, &i, &k), n == 16 || n == 24 || n == 32 ? ITW_OK : ITW_ERR_ARGUMENT);
    k = plane_keys(0);
    k.auth_len = (uint16_t)n;
    assert_int_equal(itw_session_make(&s, &i, &k), n >= 1 && n <= 64 ? ITW_OK : ITW_ERR_ARGUMENT);
  }
}

static void versions(void **state)
{
  struct itw_session s = plane_session(0, ITW_MODE_ENC);
  struct itw_session_info i;
  struct itw_key_pair k;
  (void)state;

  ITW_INIT(i);
  ITW_INIT(k);
  for (unsigned v = 0; v < 256; v++) {
    const itw_status want = v == 0 ? ITW_ERR_ARGUMENT : v == 1 ? ITW_OK : ITW_ERR_NEWER;
    s.octets[0] = (uint8_t)v;
    assert_int_equal(itw_session_info(&s, &i), want);
    assert_int_equal(itw_session_keys(&s, &k), want);
  }
  s = plane_session(0, ITW_MODE_ENC);
  s.octets[4] = 0x80; /* a flag to come */
  assert_int_equal(itw_session_info(&s, &i), ITW_ERR_NEWER);
  for (size_t n = 0; n < 66; n++) {
    s = plane_session(0, ITW_MODE_ENC);
    s.octets[n < 64 ? 192 + n : 14 + n - 64] = n == 2 ? 4 : 1; /* octet 194 has features that are known: 1 and 2 */
    /* octets to reflect and Server octets are known, but not without their feature */
    assert_int_equal(itw_session_info(&s, &i), n >= 4 && n < 8 ? ITW_ERR_ARGUMENT : ITW_ERR_NEWER);
  }
}

/* Any octets at all are either refused, or a session whose value is just these. */
static void octets_from_anywhere(void **state)
{
  const struct itw_session good = plane_session(0, ITW_MODE_ENC);
  (void)state;

  for (size_t n = 0; n < 256 * 256; n++) {
    struct itw_session s = good, again;
    struct itw_session_info i;
    struct itw_key_pair k;
    ITW_INIT(i);
    ITW_INIT(k);
    s.octets[n / 256] = (uint8_t)n;
    if (itw_session_info(&s, &i) != ITW_OK) continue;
    assert_int_equal(itw_session_keys(&s, &k), ITW_OK);
    assert_int_equal(itw_session_make(&again, &i, &k), ITW_OK);
    assert_memory_equal(again.octets, s.octets, 96);
    assert_memory_equal(again.octets + 96, s.octets + 96, k.enc_len);
    assert_memory_equal(again.octets + 128, s.octets + 128, k.auth_len);
  }
}

static void sizes(void **state)
{
  struct itw_session_info i = plane_info(0, ITW_MODE_ENC);
  struct itw_key_pair k = plane_keys(0);
  struct itw_session s;
  (void)state;

  assert_int_equal(itw_session_make(NULL, &i, &k), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_session_make(&s, NULL, &k), ITW_ERR_ARGUMENT);
  i.size--;
  assert_int_equal(itw_session_make(&s, &i, &k), ITW_ERR_SIZE);
  i.size++, k.size--;
  assert_int_equal(itw_session_make(&s, &i, &k), ITW_ERR_SIZE);
  k.size++;
  assert_int_equal(itw_session_make(&s, &i, &k), ITW_OK);
  assert_int_equal(itw_session_info(NULL, &i), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_session_info(&s, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_session_keys(NULL, &k), ITW_ERR_ARGUMENT);
  i.size = 8;
  assert_int_equal(itw_session_info(&s, &i), ITW_ERR_SIZE);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(same_octets_on_every_machine), cmocka_unit_test(one_way), cmocka_unit_test(open_has_no_keys),
      cmocka_unit_test(refuses_what_is_out_of_range), cmocka_unit_test(takes_what_is_at_the_edge),
      cmocka_unit_test(refuses_wrong_keys),           cmocka_unit_test(versions),
      cmocka_unit_test(octets_from_anywhere),         cmocka_unit_test(sizes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
