/* SPDX-License-Identifier: BSD-3-Clause */
/* A HA feed whose agent begins late, or that loses, doubles or swaps datagrams; a charon that goes away; a table that is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "feed.h"
#include "vec.h"
#include <ipsectwamp/version.h>

#define NEEDS_KEYS()                                                                                                   \
  do {                                                                                                                 \
    (void)state;                                                                                                       \
    if (strcmp(itw_crypto_backend(), "none") == 0) skip();                                                             \
  } while (0)

enum { UP = ITW_SOURCE_UP, REKEYED = ITW_SOURCE_REKEYED, GONE = ITW_SOURCE_GONE, DATAGRAMS = 14 };

/* ---- the recording, and what it leads to ---- */

static size_t load(struct datagram *all)
{
  struct vec *vec = vec_load("strongswan/ha-feed.vec");
  size_t n = 0;

  for (const struct vec_section *s = vec_first(vec, "datagram"); s && n < DATAGRAMS; s = vec_next(vec, s, "datagram"), n++)
    all[n].len = vec_hex(s, "wire", all[n].octets, sizeof all[n].octets);
  vec_free(vec);
  return n;
}

/* The kinds of events, one digit each. */
static void kinds(struct feed *f, char *out)
{
  struct itw_source_event e;
  ITW_INIT(e);
  out += strlen(out);
  while (itwi_ha_event(f->ha, &e) == ITW_OK) {
    *out++ = (char)('0' + e.kind);
    ITW_INIT(e);
  }
  *out = 0;
}

static void play(struct feed *f, const struct datagram *all, size_t from, size_t to, char *told)
{
  for (size_t i = from; i < to; i++) {
    say(f, all[i]);
    kinds(f, told);
  }
}

static void the_recording(void **state)
{
  NEEDS_KEYS();
  static struct datagram all[DATAGRAMS];
  char told[64] = "";
  struct feed f;

  assert_int_equal(load(all), DATAGRAMS);
  feed_open(&f, 16, 0);
  play(&f, all, 0, DATAGRAMS - 1, told);
  /* IKE SA up, CHILD SA up, its successor, IKE SA rekeyed */
  assert_string_equal(told, "11112");
  assert_int_equal(f.ha->n_ike, 1);
  assert_int_equal(f.ha->n_child, 2);
  pass(&f, 1.5);
  kinds(&f, told);
  assert_string_equal(told, "111122");
  play(&f, all, DATAGRAMS - 1, DATAGRAMS, told);
  assert_string_equal(told, "11112233"); /* of the CHILD SAs one was told to be replaced before */
  assert_int_equal(f.ha->n_ike + f.ha->n_child, 0);
  feed_close(&f);
}

/* Begun at any point, with what a RESYNC tells of it then: the same SA is there in the end. */
static void begun_late(void **state)
{
  NEEDS_KEYS();
  static struct datagram all[DATAGRAMS];
  struct feed f;

  (void)load(all);
  for (size_t from = 0; from < DATAGRAMS - 1; from++) {
    char told[64] = "";
    feed_open(&f, 16, 0);
    /* charon's cache: of each IKE SA that it has its IKE_ADD and IKE_UPDATE */
    if (from > 0 && from < 10) play(&f, all, 0, 1, told);
    if (from > 2 && from < 10) play(&f, all, 2, 3, told);
    if (from > 8) play(&f, all, 8, 9, told);
    if (from > 10) play(&f, all, 10, 11, told);
    play(&f, all, from, DATAGRAMS - 1, told);
    assert_int_equal(f.ha->n_ike, 1);
    assert_int_equal(f.ha->resync_at, ITW_NEVER); /* nothing seems to be missing */
    feed_close(&f);
  }
}

/* One that is lost, doubled or comes one later: no SA is there that isn't in the end, and one that should be is, or a RESYNC
   is asked for, or was lost with its own beginning. */
static void one_lost_doubled_or_swapped(void **state)
{
  NEEDS_KEYS();
  static struct datagram all[DATAGRAMS];
  struct feed f;

  (void)load(all);
  for (int how = 0; how < 3; how++)
    for (size_t at = 0; at < DATAGRAMS - 1; at++) {
      char told[64] = "";
      feed_open(&f, 16, 0);
      play(&f, all, 0, at, told);
      if (how == 1) play(&f, all, at, at + 1, told);
      if (how == 2) play(&f, all, at + 1, at + 2, told);
      if (how != 0) play(&f, all, at, at + 1, told);
      play(&f, all, at + (how == 2 ? 2 : 1), DATAGRAMS, told);
      pass(&f, 3);
      assert_true(f.ha->n_ike <= 1);
      if (how == 1) assert_string_equal(told, "11112333");
      feed_close(&f);
    }
}

/* Anything, in any order, many times: the table stays what it is. */
static void noise_of_datagrams(void **state)
{
  NEEDS_KEYS();
  uint64_t x = 1;
  struct feed f;
  struct itw_source_event e;
  ITW_INIT(e);
  feed_open(&f, 12, 0);
  for (int i = 0; i < 60000; i++) {
    x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
    const uint32_t a = (uint32_t)(x >> 33) % 6 + 1, b = (uint32_t)(x >> 40) % 8 + 1;
    switch ((x >> 50) % 9) {
    case 0: say(&f, ike_add(&f, a, 0)); break;
    case 1: say(&f, ike_add(&f, a, b)); break;
    case 2:
    case 3: say(&f, ike_update(&f, a)); break;
    case 4: say(&f, ike_delete(&f, a)); break;
    case 5:
    case 6: say(&f, child_add(&f, a, b)); break;
    case 7: say(&f, child_delete(&f, a, b)); break;
    default: pass(&f, (double)(a * a * a) / 3); break;
    }
    while (x >> 62 && itwi_ha_event(f.ha, &e) == ITW_OK) ITW_INIT(e);
  }
  for (uint32_t n = 1; n <= 6; n++) say(&f, ike_delete(&f, n));
  pass(&f, 200);
  while (itwi_ha_event(f.ha, &e) == ITW_OK) ITW_INIT(e);
  assert_int_equal(f.ha->n_ike + f.ha->n_child + f.ha->n_unfit, 0);
  for (uint32_t n = 1; n <= 12; n++) say_up(&f, n); /* all places are there again */
  assert_int_equal(f.ha->n_ike, 12);
  assert_false(f.ha->tell_full);
  feed_close(&f);
}

/* ---- RESYNC ---- */

/* What charon doesn't tell again has gone. */
static void a_resync_sweeps(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  say_up(&f, 1);
  say_up(&f, 2);
  say(&f, child_add(&f, 1, 1));
  say(&f, child_add(&f, 2, 2));
  expect_ike(&f, UP, 1, 0);
  expect_ike(&f, UP, 2, 0);
  expect_child(&f, UP, 1, 0);
  expect_child(&f, UP, 2, 0);
  pass(&f, 40);
  itwi_ha_miss(f.ha, 0, f.now);
  pass(&f, 0.1);
  expect_kind(&f, ITW_SOURCE_RESYNC, 0);
  say_up(&f, 2); /* known */
  say(&f, child_add(&f, 2, 3));
  expect_child(&f, UP, 3, 0);
  pass(&f, 6);
  expect_child(&f, REKEYED, 2, 3);
  expect_child(&f, GONE, 1, 0);
  expect_ike(&f, GONE, 1, 0);
  assert_true(offers_ike(&f, 2));
  pass(&f, 30);
  expect_nothing(&f); /* the replaced one goes now, which was told */
  assert_int_equal(f.ha->n_child, 1);
  assert_true(offers_child(&f, 3));
  feed_close(&f);
}

/* An SA that isn't known shows that something was missed, but doesn't rekey everything each time. */
static void unknown_sas_ask_for_a_resync(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  say(&f, ike_update(&f, 1));
  pass(&f, 30);
  expect_nothing(&f);
  pass(&f, 31);
  expect_kind(&f, ITW_SOURCE_RESYNC, 0);
  say(&f, child_add(&f, 1, 1));
  pass(&f, 50);
  expect_nothing(&f);
  pass(&f, 11);
  expect_kind(&f, ITW_SOURCE_RESYNC, 0);
  say(&f, ike_delete(&f, 1));
  say(&f, child_delete(&f, 1, 1));
  pass(&f, 100);
  expect_nothing(&f);
  feed_close(&f);
}

/* charon asks for a RESYNC of ours 1 s after it began. */
static void a_charon_that_begins_anew(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  say(&f, resync(&f)); /* just begun, as we have */
  pass(&f, 10);
  expect_nothing(&f);
  say_up(&f, 1);
  expect_ike(&f, UP, 1, 0);
  say(&f, resync(&f));
  pass(&f, 0.1);
  expect_kind(&f, ITW_SOURCE_RESYNC, 0);
  pass(&f, 6);
  expect_ike(&f, GONE, 1, 0);
  feed_close(&f);
}

static void a_charon_that_goes_away(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  itw_status why;
  feed_open(&f, 16, 0);
  itwi_ha_away(f.ha); /* it wasn't there yet: no news */
  expect_nothing(&f);
  assert_int_equal(offered(&f, ITW_IKEV2, false, &why).protocol, 0);
  assert_int_equal(why, ITW_ERR_SOURCE_LOST);
  say_up(&f, 1);
  pass(&f, 0.1);
  expect_kind(&f, ITW_SOURCE_RESYNC, 0);
  expect_ike(&f, UP, 1, 0);
  say(&f, child_add(&f, 1, 1));
  itwi_ha_away(f.ha);
  expect_kind(&f, ITW_SOURCE_LOST, ITW_ERR_SOURCE_LOST);
  expect_nothing(&f); /* what was not told yet isn't either */
  assert_int_equal(offered(&f, ITW_IKEV2, false, &why).protocol, 0);
  assert_int_equal(why, ITW_ERR_SOURCE_LOST);
  assert_int_equal(f.ha->n_ike + f.ha->n_child, 0);
  say_up(&f, 1);
  pass(&f, 0.1);
  expect_kind(&f, ITW_SOURCE_RESYNC, 0);
  expect_ike(&f, UP, 1, 0);
  feed_close(&f);
}

/* ---- room ---- */

/* The half-open make room for each other and for all others, and never an SA that counts. */
static void half_open_ones_make_room(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 8, 0);
  say_up(&f, 1);
  expect_ike(&f, UP, 1, 0);
  for (uint32_t n = 100; n < 200; n++) say(&f, ike_add(&f, n, 0));
  say(&f, child_add(&f, 1, 1));
  expect_child(&f, UP, 1, 0);
  for (uint32_t n = 2; n < 8; n++) {
    say_up(&f, n);
    expect_ike(&f, UP, n, 0);
  }
  expect_nothing(&f);
  say_up(&f, 9);
  expect_kind(&f, ITW_SOURCE_FULL, ITW_ERR_FULL);
  expect_nothing(&f);
  assert_true(f.ha->n_ike == 7 && f.ha->n_child == 1);
  say(&f, ike_delete(&f, 7)); /* untold it keeps its place */
  say(&f, ike_add(&f, 9, 0));
  expect_ike(&f, GONE, 7, 0);
  expect_kind(&f, ITW_SOURCE_FULL, ITW_ERR_FULL);
  say_up(&f, 9);
  expect_ike(&f, UP, 9, 0);
  feed_close(&f);
}

/* Events that nobody takes: the last state of each SA is told in the end, and no more than there are places. */
static void news_that_nobody_takes(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  struct itw_source_event e;
  uint32_t n = 0;
  ITW_INIT(e);
  feed_open(&f, 4, 0);
  for (uint32_t i = 1; i < 1000; i++) {
    say_up(&f, i);
    say(&f, ike_delete(&f, i));
  }
  for (; itwi_ha_event(f.ha, &e) == ITW_OK; n++) ITW_INIT(e);
  assert_int_equal(n, 4 * 2 + 1);
  feed_close(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_recording),      cmocka_unit_test(begun_late),
      cmocka_unit_test(one_lost_doubled_or_swapped), cmocka_unit_test(noise_of_datagrams),
      cmocka_unit_test(a_resync_sweeps),    cmocka_unit_test(unknown_sas_ask_for_a_resync),
      cmocka_unit_test(a_charon_that_begins_anew), cmocka_unit_test(a_charon_that_goes_away),
      cmocka_unit_test(half_open_ones_make_room), cmocka_unit_test(news_that_nobody_takes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
