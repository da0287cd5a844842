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
    cmocka_unit_test(rings),
    cmocka_unit_test(sessions),
  };
  return cmocka_run_group_tests_name("wipe", tests, NULL, NULL);
}
