/* SPDX-License-Identifier: BSD-3-Clause */
/* Split everywhere: however a peer's octets are cut into reads, the same octets, events, sessions and data come out. */

#include "replay.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

static void same(const struct replay *r, const struct replay *whole, const char *file, const char *how)
{
  bool equal = r->made == ITW_OK && r->fed == whole->fed && r->out_len == whole->out_len &&
               !memcmp(r->out, whole->out, r->out_len) && !strcmp(r->trace, whole->trace) &&
               !strcmp(r->data, whole->data) &&
               r->session_count == whole->session_count &&
               !memcmp(r->sessions, whole->sessions, r->session_count * sizeof r->sessions[0]) &&
               !memcmp(&r->detail, &whole->detail, sizeof r->detail);
  if (!equal)
    fail_msg("%s, role %u, %s %zu: differs; whole:\n%scut:\n%s", file, (unsigned)r->role, how, r->cut, whole->trace, r->trace);
}

/* Against a run in which each read gets all that it asked for. */
static void split(const char *file, uint32_t role)
{
  static struct replay r, whole;
  replay_open(&r, file, role);
  r.derived = true; /* PBKDF2 reads nothing */
  replay_run(&r);
  whole = r;
  assert_int_equal(r.out_len, r.expect_len);
  assert_memory_equal(r.out, r.expect, r.expect_len);
  assert_int_equal(r.fed, r.peer_len);
  for (r.cut = 1; r.cut < r.peer_len; r.cut++) {
    replay_run(&r);
    same(&r, &whole, file, "cut at");
  }
  r.single = true;
  replay_run(&r);
  same(&r, &whole, file, "octet by octet");
  replay_close(&r);
}

static void all_of(const char *dir, uint32_t role)
{
  char names[64][128];
  size_t n = vec_files(dir, names, 64);
  for (size_t i = 0; i < n; i++)
    if (replay_can(names[i], role)) split(names[i], role);
}

static void client(void **state)
{
  (void)state;
  all_of("schemes", ITW_ROLE_CLIENT);
  all_of("extensions", ITW_ROLE_CLIENT);
  all_of("perfsonar", ITW_ROLE_CLIENT);
}

static void server(void **state)
{
  (void)state;
  all_of("schemes", ITW_ROLE_SERVER);
  all_of("extensions", ITW_ROLE_SERVER);
  all_of("perfsonar", ITW_ROLE_SERVER);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(client),
    cmocka_unit_test(server),
  };
  return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
