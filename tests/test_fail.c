/* SPDX-License-Identifier: BSD-3-Clause */
/* Each allocation fails once, ours and libcrypto's: there is a status, nothing leaks (the sanitizer looks), the object can
   be freed, and libcrypto's error queue is left as found. Left out is what libcrypto allocates once, when a library context
   loads its provider and finds an algorithm for the first time: libcrypto 3.0 leaks there (in a fresh context, 4,605
   allocations; our statuses were right in all of them). */

#include "fail.h"
#include "plane.h"
#include "replay.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <ipsectwamp/kdf.h>
#include <stdio.h>

#if defined(ITW_CRYPTO_MBEDTLS) || defined(ITW_CRYPTO_NONE)
static bool queue_is_empty(void) { return true; }
#else
#include <openssl/err.h>
static bool queue_is_empty(void) { return ERR_peek_error() == 0; }
#endif

enum { MOST = 5000 };

static bool is_told(itw_status st)
{
  return st == ITW_ERR_MEMORY || st == ITW_ERR_CRYPTO || st == ITW_ERR_UNSUPPORTED || st == ITW_ERR_KEY_PROVIDER;
}

/* Once with allocation n failing, or all from n on; false: there are no n. */
static bool fail_once(itw_status (*run)(void *), void *arg, const char *what, long n, bool for_good)
{
  itw_status st;
  if (for_good)
    fail_from(n);
  else
    fail_at(n);
  st = run(arg);
  if (!fail_happened()) return assert_int_equal(st, ITW_OK), false;
  if (st != ITW_OK && !is_told(st)) fail_msg("%s: allocation %ld: %s", what, n, itw_status_name(st));
  if (!queue_is_empty()) fail_msg("%s: allocation %ld: something stays in the error queue", what, n);
  return true;
}

/* Runs it until no allocation is left to fail. An allocation that libcrypto can do without leaves a run as good. */
static void fail_everywhere(itw_status (*run)(void *), void *arg, const char *what)
{
  long n = 0;
  assert_int_equal(run(arg), ITW_OK); /* what is allocated once only is there now */
  for (; fail_once(run, arg, what, n, false); n++) assert_in_range(n, 0, MOST);
  for (long k = 0; k < n; k++) fail_once(run, arg, what, k, true);
  assert_int_equal(run(arg), ITW_OK);
  print_message("%s: %ld allocations\n", what, n);
}

/* ---- connections ---- */

static itw_status play(void *arg)
{
  struct replay *r = arg;
  replay_run(r);
  if (r->made != ITW_OK) return r->made;
  if (r->detail.status != ITW_OK) return r->detail.status;
  /* a session that can't be had is refused, and the connection stays */
  if (strstr(r->trace, "ITW_ERR_CRYPTO") || strstr(r->trace, "ITW_ERR_MEMORY")) return ITW_ERR_CRYPTO;
  assert_int_equal(r->out_len, r->expect_len); /* nothing was reported, so it has to be right */
  assert_memory_equal(r->out, r->expect, r->expect_len);
  return ITW_OK;
}

static void connections(void **state)
{
  static const char *const files[] = {
    "schemes/psk-psk-none-enc.vec", "schemes/ikev2-ike-hmac-sha1-auth.vec", "schemes/shared-ike-hmac-sha1-auth.vec",
    "schemes/shared-sid-ike-aes128-cmac-enc.vec", "schemes/root-esp128-aes128-xcbc-enc.vec",
    "schemes/direct-esp256-hmac-sha2-256-enc.vec", "schemes/psk-psk-none-open.vec",
  };
  static struct replay r;
  (void)state;
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
    for (uint32_t role = ITW_ROLE_CLIENT; role <= ITW_ROLE_SERVER; role++) {
      char what[128];
      if (!replay_can(files[i], role)) continue;
      replay_open(&r, files[i], role);
      snprintf(what, sizeof what, "%s, %s", files[i], role == ITW_ROLE_CLIENT ? "client" : "server");
      fail_everywhere(play, &r, what);
      replay_close(&r);
    }
}

/* Another connection of the same Server: it neither suffers nor waits for ever. */
static void bystander(void **state)
{
  static struct replay whole, other;
  const char *file = "schemes/psk-psk-none-enc.vec";
  (void)state;
  PLANE_NEEDS(ITW_MODE_ENC);
  replay_open(&whole, file, ITW_ROLE_SERVER);
  replay_open(&other, file, ITW_ROLE_SERVER);
  other.with = &whole;
  replay_begin(&whole);
  assert_int_equal(whole.made, ITW_OK);
  replay_feed(&whole, 200); /* in the middle of the first command */
  fail_everywhere(play, &other, "beside another connection");
  replay_feed(&whole, whole.peer_len);
  replay_end(&whole);
  assert_int_equal(whole.detail.status, ITW_OK);
  assert_int_equal(whole.out_len, whole.expect_len);
  assert_memory_equal(whole.out, whole.expect, whole.expect_len);
  replay_close(&other);
  replay_close(&whole);
}

/* ---- shards ---- */

static itw_status round_trip(itw_sender *x, itw_reflector *r, const struct itw_session *s)
{
  uint8_t p[256];
  struct itw_packet item;
  struct itw_reply reply;
  const struct itw_session_info info = plane_info(0, ITW_MODE_OPEN);
  itw_id near, far;
  itw_status st = itw_sender_add(x, &near, s, 0);
  if (st == ITW_OK) st = itw_reflector_add(r, &far, s, 0, 0);
  if (st == ITW_OK) st = itw_reflector_start(r, far, 0);
  if (st == ITW_OK) st = plane_write(x, near, p, sizeof p, &item);
  if (st != ITW_OK) return st;
  item = plane_request(&info, 0, item.len, sizeof p);
  st = plane_take(r, p, sizeof p, &item, 1);
  if (st == ITW_OK) st = plane_finish(r, p, sizeof p, &item);
  if (st != ITW_OK) return st;
  item = plane_reply(&info, 0, item.len);
  ITW_INIT(reply);
  return plane_read(x, p, sizeof p, &item, &reply);
}

static itw_status shards(void *arg)
{
  const uint32_t *mode = arg;
  const struct itw_shard_config c = plane_config(4, 2);
  const struct itw_session s = plane_session(0, *mode);
  itw_sender *x = NULL;
  itw_reflector *r = NULL;
  itw_status st = itw_sender_new(&x, &c);
  if (st == ITW_OK) st = itw_reflector_new(&r, &c);
  if (st == ITW_OK) st = round_trip(x, r, &s);
  itw_sender_free(x);
  itw_reflector_free(r);
  return st;
}

static void packets(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    uint32_t mode = plane_modes[m];
    fail_everywhere(shards, &mode, mode == ITW_MODE_OPEN ? "shards, open" : "shards");
  }
}

/* OWAMP: a packet that is due and one that is lost, of an exponential schedule. */
static itw_status one_way_trip(itw_sender *x, itw_receiver *r, const struct itw_session_info *info)
{
  static const struct itw_slot exponential = {.type = ITW_SLOT_EXPONENTIAL, .parameter = UINT64_C(1) << 32};
  const struct itw_slot fixed = plane_fixed(1000000000);
  const struct itw_slot *slot = plane_mode_count() > 1 ? &exponential : &fixed;
  const struct itw_session s = plane_make(info, 0);
  const struct itw_wall w = plane_wall(info, 0);
  struct itw_packet item = {.cap = 256};
  struct itw_record record;
  uint8_t p[256];
  uint64_t user;
  itw_id near, far;
  size_t got;
  itw_status st = itw_sender_add_schedule(x, &near, &s, slot, 1, 0);
  if (st == ITW_OK) st = itw_receiver_add(r, &far, &s, slot, 1, 0);
  if (st == ITW_OK) st = itw_sender_start(x, near, &w, 0);
  if (st == ITW_OK) st = itw_receiver_start(r, far, &w, 0);
  if (st == ITW_OK) st = itw_sender_due(x, &item, sizeof item, 1, &got, itw_sender_deadline(x));
  if (st == ITW_OK) st = itw_sender_write(x, p, sizeof p, &item, sizeof item, 1);
  item.sent = info->start;
  if (st == ITW_OK) st = itw_sender_stamp(x, p, sizeof p, &item, sizeof item, 1);
  if (st != ITW_OK || item.status != ITW_OK) return st ? st : item.status;
  item = plane_request(info, 0, item.len, item.len);
  item.received = info->start;
  st = itw_receiver_take(r, p, sizeof p, &item, sizeof item, &record, sizeof record, 1, 0);
  if (st != ITW_OK || item.status != ITW_OK) return st ? st : item.status;
  for (uint32_t n = 1; n < 40 && st == ITW_OK; n++) st = itw_receiver_lost(r, &far, &user, &record, ITW_NEVER - 1);
  return st;
}

static itw_status one_way_shards(void *arg)
{
  const uint32_t *mode = arg;
  struct itw_shard_config c = plane_config(4, 2);
  struct itw_session_info info = plane_owamp_info(0, *mode, 40);
  itw_sender *x = NULL;
  itw_receiver *r = NULL;
  itw_status st;
  info.timeout = UINT64_C(10) << 32;
  c.slots = 1;
  c.window = 96;
  st = itw_sender_new(&x, &c);
  if (st == ITW_OK) st = itw_receiver_new(&r, &c);
  if (st == ITW_OK) st = one_way_trip(x, r, &info);
  itw_sender_free(x);
  itw_receiver_free(r);
  return st;
}

static void one_way_packets(void **state)
{
  (void)state;
  for (size_t m = 0; m < plane_mode_count(); m++) {
    uint32_t mode = plane_modes[m];
    fail_everywhere(one_way_shards, &mode, mode == ITW_MODE_OPEN ? "one-way shards, open" : "one-way shards");
  }
}

/* The state stays as it was, so the next try draws what the failed one would have. */
static itw_status draw(void *arg)
{
  static const struct itw_slot exponential = {.type = ITW_SLOT_EXPONENTIAL, .parameter = UINT64_C(1) << 32};
  static const uint8_t sid[16] = {1, 2, 3};
  uint64_t offset = 0, *want = arg;
  struct itw_schedule s;
  itw_status st = ITW_OK;
  itw_schedule_begin(&s, sid);
  for (uint32_t n = 0; n < 100; n++) {
    const struct itw_schedule before = s;
    st = itw_schedule_next(&s, &offset, &exponential, 1, NULL);
    if (st == ITW_OK) continue;
    assert_memory_equal(&s, &before, sizeof s);
    return st;
  }
  if (!*want) *want = offset;
  assert_true(*want == offset);
  return ITW_OK;
}

static void schedules(void **state)
{
  uint64_t want = 0;
  (void)state;
  PLANE_NEEDS(ITW_MODE_AUTH);
  fail_everywhere(draw, &want, "schedules");
}

/* ---- derivations ---- */

static itw_status derive(void *arg)
{
  static const uint8_t octets[32] = {1, 2, 3};
  const uint32_t *prf = arg;
  uint8_t out[ITW_PRF_MAX];
  struct itw_key_pair pair, test;
  itw_status st = itw_prf_plus(out, 40, *prf, octets, 16, octets, 32, NULL);
  ITW_INIT(pair);
  ITW_INIT(test);
  if (st == ITW_OK) st = itw_token_key(out, octets, 32, octets, 1024, NULL);
  if (st == ITW_OK) st = itw_root_token(out, *prf, octets, 32, octets, NULL);
  if (st == ITW_OK) st = itw_root_pair(&pair, *prf, octets, 32, NULL);
  pair.enc_len = 16;
  pair.auth_len = 32;
  return st == ITW_OK ? itw_test_pair(&test, &pair, octets, NULL) : st;
}

static void derivations(void **state)
{
  static const uint32_t prfs[] = {ITW_PRF_HMAC_SHA1, ITW_PRF_AES128_XCBC, ITW_PRF_HMAC_SHA2_256, ITW_PRF_AES128_CMAC};
  (void)state;
  PLANE_NEEDS(ITW_MODE_AUTH);
  for (size_t i = 0; i < 4; i++) {
    uint32_t prf = prfs[i];
    fail_everywhere(derive, &prf, "derivations");
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(connections),
    cmocka_unit_test(bystander),
    cmocka_unit_test(packets),
    cmocka_unit_test(one_way_packets),
    cmocka_unit_test(schedules),
    cmocka_unit_test(derivations),
  };
  fail_install();
  return cmocka_run_group_tests_name("fail", tests, NULL, NULL);
}
