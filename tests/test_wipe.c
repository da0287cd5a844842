/* SPDX-License-Identifier: BSD-3-Clause */
/* After an object is freed nothing of it is left in the caller's memory: not a key, not an octet. After a connection has
   ended, the keys of its control streams are gone before that. */

#include "plane.h"
#include "replay.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <ipsectwamp/kdf.h>
#include <pthread.h>

enum { ROOM = 65536 };
static uint64_t conn_memory[ROOM / 8], server_memory[ROOM / 8];

static bool is_zero(const void *memory, size_t n)
{
  const uint8_t *p = memory;
  while (n && !*p) p++, n--;
  return n == 0;
}

static void lend(struct replay *r)
{
  memset(conn_memory, 0, sizeof conn_memory);
  memset(server_memory, 0, sizeof server_memory);
  r->memory = conn_memory;
  r->memory_len = sizeof conn_memory;
  r->server_memory = server_memory;
  r->server_memory_len = sizeof server_memory;
}

static bool holds_session_key(const struct replay *r)
{
  const struct vec_section *keys = vec_first(r->vec, "keys");
  uint8_t key[32];
  size_t n = vec_hex(keys, "aes_session_key", key, sizeof key);
  return plane_holds((const uint8_t *)conn_memory, sizeof conn_memory, key, n);
}

/* The connection is up (spoil: a Token bit is wrong), is it wiped when it is freed, and before, when it has ended? */
static void one(const char *file, uint32_t role, bool spoil)
{
  static struct replay r;
  replay_open(&r, file, role);
  lend(&r);
  if (spoil) r.peer[role == ITW_ROLE_SERVER ? 90 : 20] ^= 1;
  replay_begin(&r);
  assert_int_equal(r.made, ITW_OK);
  replay_feed(&r, r.peer_len);
  assert_false(is_zero(conn_memory, sizeof conn_memory));
  if (!spoil && replay_mode(r.info) != ITW_MODE_OPEN) assert_true(holds_session_key(&r)); /* or this test finds nothing */
  if (spoil && role == ITW_ROLE_SERVER) assert_false(holds_session_key(&r));
  replay_end(&r);
  assert_true(is_zero(conn_memory, sizeof conn_memory));
  assert_true(is_zero(server_memory, sizeof server_memory));
  replay_close(&r);
}

static void connections(void **state)
{
  char names[64][128];
  size_t n = vec_files("schemes", names, 64);
  (void)state;
  for (size_t i = 0; i < n; i++)
    for (uint32_t role = ITW_ROLE_CLIENT; role <= ITW_ROLE_SERVER; role++)
      if (replay_can(names[i], role)) one(names[i], role, false);
}

static void connections_that_failed(void **state)
{
  (void)state;
  PLANE_NEEDS(ITW_MODE_ENC);
  one("schemes/psk-psk-none-enc.vec", ITW_ROLE_SERVER, true);
  one("schemes/ikev2-ike-hmac-sha1-auth.vec", ITW_ROLE_SERVER, true);
  one("schemes/shared-ike-hmac-sha1-auth.vec", ITW_ROLE_CLIENT, true);
}

/* Freed as it stands, after any octet: in the middle of a message, with sessions, while tests run. */
static void connections_cut_off(void **state)
{
  static struct replay r;
  char names[64][128];
  size_t n = vec_files("schemes", names, 64);
  (void)state;
  for (size_t i = 0; i < n; i++)
    for (uint32_t role = ITW_ROLE_CLIENT; role <= ITW_ROLE_SERVER; role++) {
      if (!replay_can(names[i], role)) continue;
      replay_open(&r, names[i], role);
      r.derived = true;
      lend(&r);
      for (size_t until = 1; until < r.peer_len; until += 13) {
        replay_begin(&r);
        replay_feed(&r, until);
        replay_end(&r);
        assert_true(is_zero(conn_memory, sizeof conn_memory));
        assert_true(is_zero(server_memory, sizeof server_memory));
      }
      replay_close(&r);
    }
}

/* ---- the stack ---- */

enum { STACK = 128 * 1024 };
static uint8_t *stack;

static void *on_stack(void *r)
{
  replay_run(r);
  return NULL;
}

/* Keys that a Server derives or decrypts, so that no copy is the test's own. */
static const char *left_on_stack(const struct replay *r)
{
  static const char *const names[] = {"token_key", "aes_session_key", "hmac_session_key"};
  const struct vec_section *keys = vec_first(r->vec, "keys"), *session = vec_first(r->vec, "session");
  uint8_t key[64];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (vec_has(keys, names[i]) && plane_holds(stack, STACK, key, vec_hex(keys, names[i], key, sizeof key))) return names[i];
  if (plane_holds(stack, STACK, key, vec_hex(session, "test_aes_key", key, sizeof key))) return "test_aes_key";
  if (plane_holds(stack, STACK, key, vec_hex(session, "test_hmac_key", key, sizeof key))) return "test_hmac_key";
  return NULL;
}

/* The first `len` octets of the peer's, on that stack. */
static void search_stack(struct replay *r, size_t len, const char *file)
{
  pthread_attr_t attr;
  pthread_t thread;
  r->peer_len = len;
  memset(stack, 0, STACK);
  assert_int_equal(pthread_attr_init(&attr), 0);
  assert_int_equal(pthread_attr_setstack(&attr, stack, STACK), 0);
  assert_int_equal(pthread_create(&thread, &attr, on_stack, r), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  pthread_attr_destroy(&attr);
  assert_int_equal(r->detail.status, ITW_OK);
  assert_false(is_zero(stack, STACK)); /* it was this one */
  if (left_on_stack(r)) fail_msg("%s, after %zu octets: %s is left on the stack", file, len, left_on_stack(r));
}

/* After each message: what comes later might overwrite what was left. */
static void stacks(void **state)
{
  static const char *const files[] = {
    "schemes/psk-psk-none-enc.vec", "schemes/ikev2-ike-hmac-sha1-auth.vec", "schemes/shared-ike-hmac-sha1-auth.vec",
    "schemes/shared-sid-ike-aes128-cmac-enc.vec", "schemes/root-esp128-aes128-xcbc-enc.vec",
  };
  static struct replay r;
  uint8_t wire[256];
  (void)state;
  PLANE_NEEDS(ITW_MODE_ENC);
  stack = aligned_alloc(4096, STACK);
  assert_non_null(stack);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    if (!replay_can(files[i], ITW_ROLE_SERVER)) continue;
    replay_open(&r, files[i], ITW_ROLE_SERVER);
    size_t len = vec_hex(vec_first(r.vec, "setup"), "wire", wire, sizeof wire);
    for (const struct vec_section *s = vec_first(r.vec, "control"); s; s = vec_next(r.vec, s, "control")) {
      if (strcmp(vec_word(s, "from"), "client")) continue;
      search_stack(&r, len, files[i]);
      len += vec_hex(s, "wire", wire, sizeof wire);
    }
    search_stack(&r, len, files[i]);
    replay_close(&r);
  }
  free(stack);
}

static void rings(void **state)
{
  static uint64_t memory[ITW_KEYRING_BOUND(2) / 8 + 1];
  static const uint8_t secret[] = "a passphrase to look for";
  itw_keyring *ring;
  (void)state;
  assert_int_equal(itw_keyring_init(&ring, memory, sizeof memory, 2, NULL), ITW_OK);
  assert_int_equal(itw_keyring_add_psk(ring, (const uint8_t *)"id", 2, secret, sizeof secret - 1), ITW_OK);
  assert_true(plane_holds((const uint8_t *)memory, sizeof memory, secret, sizeof secret - 1));
  itw_keyring_free(ring);
  assert_true(is_zero(memory, sizeof memory));
}

static void sessions(void **state)
{
  struct itw_session s = plane_session(0, ITW_MODE_OPEN);
  (void)state;
  itw_session_wipe(&s);
  assert_true(is_zero(&s, sizeof s));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(connections),
    cmocka_unit_test(connections_that_failed),
    cmocka_unit_test(connections_cut_off),
    cmocka_unit_test(stacks),
    cmocka_unit_test(rings),
    cmocka_unit_test(sessions),
  };
  return cmocka_run_group_tests_name("wipe", tests, NULL, NULL);
}
