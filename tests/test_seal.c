/* SPDX-License-Identifier: BSD-3-Clause */
#define _DEFAULT_SOURCE 1       /* MAP_ANONYMOUS */
#define _POSIX_C_SOURCE 200809L /* posix_memalign */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache.h"
#include "plane.h"

enum { FILES = 64, ROOM = 2048, CONTEXTS = 4 };

static struct itwi_keys keys_of(const struct vec_section *session)
{
  struct itwi_keys k = {0};
  k.enc_len = (uint8_t)vec_hex(session, "test_aes_key", k.enc, sizeof k.enc);
  k.auth_len = (uint8_t)vec_hex(session, "test_hmac_key", k.auth, sizeof k.auth);
  return k;
}

/* Each sealed packet of the vectors from its plaintext, and its plaintext from it. */
static size_t check_file(const struct vec *v, struct itwi_seal *s, const struct itwi_backend *b)
{
  size_t n = 0;
  if (plane_vec_mode(v) == ITW_MODE_OPEN) return 0;
  for (const struct vec_section *p = vec_first(v, "packet"); p; p = vec_next(v, p, "packet"), n++) {
    uint8_t plain[ROOM], wire[ROOM], out[96];
    const size_t hmac_at = strcmp(vec_word(p, "from"), "sender") ? 96 : 32, covered = (size_t)vec_u64(p, "encrypted");
    const size_t len = vec_hex(p, "wire", wire, sizeof wire);
    const struct vec_section *session = vec_first(v, "session");
    while (strcmp(session->name, vec_word(p, "session"))) session = vec_next(v, session, "session");
    const struct itwi_keys k = keys_of(session);

    vec_hex(p, "plain", plain, sizeof plain);
    itwi_seal_rekey(s, 1);
    assert_int_equal(itwi_seal_key(s, b, &k, ITWI_UNSEALS), ITW_OK);
    assert_int_equal(s->keyed, ITWI_UNSEALS);
    assert_int_equal(itwi_unseal_packet(s, out, wire, covered, hmac_at), ITW_OK);
    assert_memory_equal(out, plain, covered);
    assert_int_equal(itwi_seal_key(s, b, &k, ITWI_SEALS), ITW_OK);
    assert_int_equal(itwi_seal_packet(s, plain, covered, hmac_at), ITW_OK);
    assert_memory_equal(plain, wire, len);
  }
  return n;
}

static void every_recorded_packet(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  char names[FILES][128];
  const size_t files = plane_files(names, FILES);
  struct itwi_backend b;
  struct itwi_seal s;
  size_t n = 0;
  (void)state;

  assert_int_equal(itwi_backend_open(&b, NULL), ITW_OK);
  assert_int_equal(itwi_seal_open(&s, &b), ITW_OK);
  for (size_t i = 0; i < files; i++) {
    struct vec *v = vec_load(names[i]);
    n += check_file(v, &s, &b);
    vec_free(v);
  }
  assert_true(n > 100);
  itwi_seal_close(&s);
  itwi_backend_close(&b);
}

struct bed {
  struct itwi_backend backend;
  struct itwi_cache cache;
  struct itwi_context contexts[CONTEXTS];
  uint32_t hints[8];
};

static struct bed *bed_new(uint32_t n, uint32_t sessions)
{
  void *memory = NULL;
  struct bed *b;
  assert_int_equal(posix_memalign(&memory, ITWI_LINE, sizeof *b), 0);
  b = memory;
  memset(b, 0, sizeof *b);
  assert_int_equal(itwi_backend_open(&b->backend, NULL), ITW_OK);
  assert_int_equal(itwi_cache_open(&b->cache, b->contexts, n, sessions, &b->backend), ITW_OK);
  assert_int_equal(b->cache.n, n);
  return b;
}

static void bed_free(struct bed *b)
{
  itwi_cache_close(&b->cache);
  itwi_backend_close(&b->backend);
  free(b);
}

/* Uses session's context; whether it still was the session's. */
static bool hit(struct bed *b, uint32_t session)
{
  const struct itwi_keys k = {.enc_len = 16, .auth_len = 32, .enc = {(uint8_t)session}};
  struct itwi_seal *s = itwi_cache_get(&b->cache, session, &b->hints[session]);
  const bool keyed = s->keyed != 0;
  assert_int_equal(s->owner, session + 1);
  assert_int_equal(itwi_seal_key(s, &b->backend, &k, ITWI_SEALS), ITW_OK);
  return keyed;
}

/* Against a list of the sessions used last. */
static void the_one_used_longest_ago_goes(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  (void)state;
  for (uint32_t n = 1; n <= CONTEXTS; n++) {
    struct bed *b = bed_new(n, 8);
    uint32_t used[8], count = 0, x = n;
    for (unsigned turn = 0; turn < 2000; turn++) {
      x = x * 1664525u + 1013904223u;
      const uint32_t session = x >> 29;
      uint32_t at = 0;
      while (at < count && used[at] != session) at++;
      const bool there = at < count;
      if (x & 0x70000) {
        assert_int_equal(hit(b, session), there);
        if (!there && count < n) at = count++;
        if (!there && at == count) at--;
        memmove(used + 1, used, at * sizeof used[0]);
        used[0] = session;
      } else { /* a session goes: its context is the next to be had */
        itwi_cache_drop(&b->cache, session, b->hints[session], &b->backend);
        if (there) memmove(used + at, used + at + 1, (--count - at) * sizeof used[0]);
      }
    }
    bed_free(b);
  }
}

static void one_for_each_stays(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  struct bed *b = bed_new(CONTEXTS, CONTEXTS);
  (void)state;

  for (uint32_t i = 0; i < CONTEXTS; i++) assert_false(hit(b, i));
  for (uint32_t i = 0; i < 3 * CONTEXTS; i++) assert_true(hit(b, i * 3 % CONTEXTS));
  itwi_cache_drop(&b->cache, 2, b->hints[2], &b->backend);
  assert_false(hit(b, 2));
  bed_free(b);
}

/* What a context held is keyed over when its session goes: it seals as under zeros. */
static void dropped_keys_are_gone(void **state)
{
  PLANE_NEEDS(ITW_MODE_AUTH);
  static const struct itwi_keys zeros = {.enc_len = 32, .auth_len = 64};
  struct bed *b = bed_new(2, 2);
  uint8_t left[48] = {0}, want[48] = {0};
  (void)state;

  assert_false(hit(b, 0));
  itwi_cache_drop(&b->cache, 0, b->hints[0], &b->backend);
  assert_int_equal(b->contexts[0].seal.keyed, 0);
  assert_int_equal(itwi_seal_packet(&b->contexts[0].seal, left, 32, 32), ITW_OK);
  assert_int_equal(itwi_seal_key(&b->contexts[1].seal, &b->backend, &zeros, ITWI_SEALS), ITW_OK);
  assert_int_equal(itwi_seal_packet(&b->contexts[1].seal, want, 32, 32), ITW_OK);
  assert_memory_equal(left, want, sizeof want);
  bed_free(b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_recorded_packet),
      cmocka_unit_test(the_one_used_longest_ago_goes),
      cmocka_unit_test(one_for_each_stays),
      cmocka_unit_test(dropped_keys_are_gone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
