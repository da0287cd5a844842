/* SPDX-License-Identifier: BSD-3-Clause */
/* Every recorded and computed connection, in both roles, octet for octet: greeting, Set-Up-Response, Server-Start and all
   control messages; the keys of each test session; the slots, skip ranges and records of OWAMP. */

#include "replay.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void check_octets(const struct replay *r, const char *file)
{
  size_t n = 0;
  while (n < r->out_len && n < r->expect_len && r->out[n] == r->expect[n]) n++;
  if (n != r->expect_len || n != r->out_len)
    fail_msg("%s, %s: differs from octet %zu on (%zu sent, %zu expected)\n%s", file,
             r->role == ITW_ROLE_CLIENT ? "client" : "server", n, r->out_len, r->expect_len, r->trace);
}

/* What TWAMP's extensions and OWAMP add to a session. */
static void check_kind(const struct replay *r, const struct itw_session_info *info)
{
  const uint32_t packets = ITW_FEATURE_REFLECT | ITW_FEATURE_SYMMETRICAL | ITW_FEATURE_DSCP_ECN | ITW_FEATURE_PTP;
  const bool owamp = !strcmp(vec_word(r->info, "service"), "owamp");
  const struct vec_section *request = vec_first(r->vec, "control"), *accept = vec_next(r->vec, request, "control");
  uint8_t octets[2] = {0, 0};
  assert_int_equal(info->dialect, owamp ? ITW_DIALECT_OWAMP : ITW_DIALECT_TWAMP);
  assert_int_equal(info->packets, owamp ? vec_u64(request, "packets") : 0);
  assert_int_equal(info->features & packets, owamp ? 0 : vec_u64(r->info, "mode_chosen") & packets);
  assert_int_equal(info->reflect, vec_has(request, "reflect") ? vec_u64(request, "reflect") : 0);
  if (vec_has(accept, "server_octets")) vec_hex(accept, "server_octets", octets, sizeof octets);
  assert_memory_equal(info->server_octets, octets, sizeof octets);
}

static void check_sessions(const struct replay *r, const char *file)
{
  size_t i = 0;
  bool open = replay_mode(r->info) == ITW_MODE_OPEN || replay_mode(r->info) == ITW_MODE_MIXED;
  for (const struct vec_section *s = vec_first(r->vec, "session"); s; s = vec_next(r->vec, s, "session"), i++) {
    struct itw_session_info info;
    struct itw_key_pair pair;
    uint8_t want[64];
    if (i >= r->session_count) fail_msg("%s: only %zu sessions", file, r->session_count);
    ITW_INIT(info);
    ITW_INIT(pair);
    assert_int_equal(itw_session_info(&r->sessions[i], &info), ITW_OK);
    assert_int_equal(itw_session_keys(&r->sessions[i], &pair), ITW_OK);
    vec_hex(s, "sid", want, sizeof want);
    assert_memory_equal(info.sid, want, 16);
    assert_int_equal(info.sender.port, vec_u64(s, "sender_port"));
    assert_int_equal(info.reflector.port, vec_u64(s, "receiver_port"));
    assert_int_equal(info.padding, vec_u64(s, "padding"));
    assert_memory_equal(info.sender.ip, want, vec_hex(s, "sender_address", want, 16));
    assert_memory_equal(info.reflector.ip, want, vec_hex(s, "receiver_address", want, 16));
    check_kind(r, &info);
    if (open) {
      assert_int_equal(pair.enc_len + pair.auth_len, 0);
      continue;
    }
    assert_int_equal(pair.enc_len, vec_hex(s, "test_aes_key", want, sizeof want));
    assert_memory_equal(pair.enc, want, pair.enc_len);
    assert_int_equal(pair.auth_len, vec_hex(s, "test_hmac_key", want, sizeof want));
    assert_memory_equal(pair.auth, want, pair.auth_len);
  }
  assert_int_equal(i, r->session_count);
}

static void replay_both(const char *file, bool by_hand)
{
  static struct replay r;
  for (uint32_t role = ITW_ROLE_CLIENT; role <= ITW_ROLE_SERVER; role++) {
    if (!replay_can(file, role)) continue;
    replay_open(&r, file, role);
    r.by_hand = by_hand;
    replay_run(&r);
    assert_int_equal(r.made, ITW_OK);
    check_octets(&r, file);
    check_sessions(&r, file);
    assert_string_equal(r.data, r.expect_data);
    assert_int_equal(r.detail.status, ITW_OK);
    replay_close(&r);
  }
}

static void all_of(const char *dir, bool by_hand)
{
  char names[64][128];
  size_t n = vec_files(dir, names, 64);
  for (size_t i = 0; i < n; i++) replay_both(names[i], by_hand);
}

static void schemes(void **state)
{
  (void)state;
  all_of("schemes", false);
}

static void extensions(void **state)
{
  (void)state;
  all_of("extensions", false);
}

static void perfsonar(void **state)
{
  (void)state;
  all_of("perfsonar", false);
}

static void keys_by_hand(void **state)
{
  (void)state;
  all_of("schemes", true);
  all_of("extensions", true);
  all_of("perfsonar", true);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(schemes),
    cmocka_unit_test(extensions),
    cmocka_unit_test(perfsonar),
    cmocka_unit_test(keys_by_hand),
  };
  return cmocka_run_group_tests_name("schemes", tests, NULL, NULL);
}
