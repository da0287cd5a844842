/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of what charon says: when an SA counts, what a rekey does, who replaces whom, what is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "feed.h"
#include <ipsectwamp/version.h>

#define NEEDS_KEYS()                                                                                                   \
  do {                                                                                                                 \
    (void)state;                                                                                                       \
    if (strcmp(itw_crypto_backend(), "none") == 0) skip();                                                             \
  } while (0)

enum { UP = ITW_SOURCE_UP, REKEYED = ITW_SOURCE_REKEYED, GONE = ITW_SOURCE_GONE, UNFIT = ITW_SOURCE_UNFIT };

static void counts(const struct feed *f, uint32_t ikes, uint32_t children)
{
  assert_int_equal(f->ha->n_ike, ikes);
  assert_int_equal(f->ha->n_child, children);
}

/* ---- coming and going ---- */

static void counts_when_authenticated(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  say(&f, ike_add(&f, 1, 0));
  say(&f, child_add(&f, 1, 1)); /* a responder's charon tells it first */
  expect_nothing(&f);
  assert_false(offers_ike(&f, 1));
  counts(&f, 0, 0);
  say(&f, ike_update(&f, 1));
  expect_ike(&f, UP, 1, 0);
  expect_child(&f, UP, 1, 0);
  expect_nothing(&f);
  assert_true(offers_ike(&f, 1));
  assert_true(offers_child(&f, 1));
  counts(&f, 1, 1);
  say(&f, ike_delete(&f, 1));
  expect_child(&f, GONE, 1, 0);
  expect_ike(&f, GONE, 1, 0);
  expect_nothing(&f);
  counts(&f, 0, 0);
  feed_close(&f);
}

static void never_authenticated(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  say(&f, ike_add(&f, 1, 0));
  say(&f, child_add(&f, 1, 1));
  say(&f, ike_delete(&f, 1));
  say(&f, ike_add(&f, 2, 0)); /* nothing more is heard of it */
  pass(&f, 200);
  say(&f, ike_update(&f, 2));
  expect_nothing(&f);
  counts(&f, 0, 0);
  assert_int_equal(f.ha->first_news, 0);
  feed_close(&f);
}

/* Inside the tunnel it is the CHILD SA's IKE SA that `ikev2` finds; not when it has gone. */
static void selectors_serve_both(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  say_up(&f, 1);
  assert_int_equal(offered(&f, ITW_IKEV2, true, NULL).protocol, 0);
  say(&f, child_add(&f, 1, 1));
  assert_int_equal(offered(&f, ITW_IKEV2, true, NULL).protocol, ITW_SA_IKE);
  f.inside = 3;
  say(&f, child_add(&f, 1, 2)); /* another one for other traffic */
  assert_int_equal(offered(&f, ITW_IKEV2, true, NULL).protocol, ITW_SA_IKE);
  say(&f, child_delete(&f, 1, 2));
  assert_int_equal(offered(&f, ITW_IKEV2, true, NULL).protocol, 0);
  f.inside = 1;
  assert_int_equal(offered(&f, ITW_IKEV2, true, NULL).protocol, ITW_SA_IKE);
  assert_true(offers_child(&f, 1));
  say_rekey(&f, 1, 2);
  assert_int_equal(offered(&f, ITW_IKEV2, true, NULL).spi_i, ike_sa(2).spi_i);
  feed_close(&f);
}

/* ---- rekeys ---- */

static void ike_rekey(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  say_up(&f, 1);
  say(&f, child_add(&f, 1, 1));
  expect_ike(&f, UP, 1, 0);
  expect_child(&f, UP, 1, 0);
  say(&f, ike_add(&f, 2, 1));
  assert_true(offers_ike(&f, 1));
  say(&f, ike_delete(&f, 1));
  assert_true(offers_ike(&f, 1)); /* at no moment none */
  expect_nothing(&f);
  say(&f, ike_update(&f, 2));
  assert_true(offers_ike(&f, 2));
  expect_ike(&f, UP, 2, 0);
  expect_ike(&f, REKEYED, 1, 2);
  expect_nothing(&f);
  counts(&f, 1, 1); /* the CHILD SA went over */
  say(&f, child_add(&f, 2, 2));
  expect_child(&f, UP, 2, 0);
  say(&f, child_delete(&f, 2, 1));
  expect_child(&f, REKEYED, 1, 2);
  pass(&f, 10);
  expect_nothing(&f);
  say(&f, ike_delete(&f, 2));
  expect_child(&f, GONE, 2, 0);
  expect_ike(&f, GONE, 2, 0);
  feed_close(&f);
}

/* Deleted, and the successor that was on its way never comes. */
static void an_heir_that_does_not_come(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  say_up(&f, 1);
  expect_ike(&f, UP, 1, 0);
  say(&f, ike_add(&f, 2, 1));
  say(&f, ike_delete(&f, 1));
  pass(&f, 0.9);
  expect_nothing(&f);
  pass(&f, 1.2);
  expect_ike(&f, GONE, 1, 0);
  assert_false(offers_ike(&f, 1));
  say(&f, ike_update(&f, 2)); /* late, but it does */
  expect_ike(&f, UP, 2, 0);
  expect_nothing(&f);
  feed_close(&f);
}

/* Both ends begin at once: two heirs, of which one is told to be up, and the other is never heard of again. */
static void both_ends_rekey_the_ike_sa(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  say_up(&f, 1);
  expect_ike(&f, UP, 1, 0);
  say(&f, ike_add(&f, 2, 1));
  say(&f, ike_add(&f, 3, 1));
  say(&f, ike_delete(&f, 1));
  say(&f, ike_update(&f, 3));
  expect_ike(&f, UP, 3, 0);
  expect_ike(&f, REKEYED, 1, 3);
  pass(&f, 400);
  expect_nothing(&f);
  counts(&f, 1, 0);
  assert_true(offers_ike(&f, 3));
  say(&f, ike_delete(&f, 3)); /* has no heirs: it goes at once */
  expect_ike(&f, GONE, 3, 0);
  feed_close(&f);
}

static void child_rekey(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  say_up(&f, 1);
  say(&f, child_add(&f, 1, 1));
  expect_ike(&f, UP, 1, 0);
  expect_child(&f, UP, 1, 0);
  say(&f, child_add(&f, 1, 2));
  expect_child(&f, UP, 2, 0);
  assert_true(offers_child(&f, 2));
  expect_nothing(&f);
  pass(&f, 1.5);
  expect_child(&f, REKEYED, 1, 2);
  assert_true(offers_child(&f, 2));
  pass(&f, 3.5);
  say(&f, child_delete(&f, 1, 1));
  expect_nothing(&f); /* it was told */
  counts(&f, 1, 1);
  feed_close(&f);
}

/* Two new ones, and one of them goes again: whichever it is, the other one stays. */
static void both_ends_rekey_the_child_sa(void **state)
{
  NEEDS_KEYS();
  for (uint32_t loser = 2; loser <= 3; loser++) {
    const uint32_t winner = 5 - loser;
    struct feed f;
    feed_open(&f, 16, 0);
    say_up(&f, 1);
    for (uint32_t n = 1; n <= 3; n++) say(&f, child_add(&f, 1, n));
    expect_ike(&f, UP, 1, 0);
    for (uint32_t n = 1; n <= 3; n++) expect_child(&f, UP, n, 0);
    say(&f, child_delete(&f, 1, loser));
    if (loser == 3)
      expect_child(&f, GONE, 3, 0);
    else
      expect_child(&f, REKEYED, 2, 3);
    assert_true(offers_child(&f, winner));
    pass(&f, 2);
    expect_child(&f, REKEYED, 1, winner);
    expect_nothing(&f);
    say(&f, child_delete(&f, 1, 1));
    expect_nothing(&f);
    assert_true(offers_child(&f, winner));
    feed_close(&f);
  }
}

/* The PRF changes with a rekey: SK_d has the new one's length, SKEYSEED the old one's. */
static void prf_change(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  f.prf = ITW_PRF_HMAC_SHA2_512;
  say_up(&f, 1);
  expect_ike(&f, UP, 1, 0);
  f.prf = ITW_PRF_HMAC_SHA1;
  f.old_prf = ITW_PRF_HMAC_SHA2_512;
  say_rekey(&f, 1, 2);
  expect_ike(&f, UP, 2, 0);
  expect_ike(&f, REKEYED, 1, 2);
  assert_int_equal(offered(&f, ITW_IKEV2, false, NULL).prf, ITW_PRF_HMAC_SHA1);
  say(&f, child_add(&f, 2, 1));
  expect_child(&f, UP, 1, 0);
  feed_close(&f);
}

/* ---- what can't be used ---- */

static void unknown_prf(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  itw_status why = ITW_OK;
  feed_open(&f, 16, 0);
  f.prf = 3;
  say_up(&f, 1);
  expect_kind(&f, UNFIT, ITW_ERR_PRF);
  say(&f, child_add(&f, 1, 1));
  expect_kind(&f, UNFIT, ITW_ERR_SA_KEYS);
  assert_int_equal(offered(&f, ITW_IKEV2, false, &why).protocol, 0);
  assert_int_equal(why, ITW_ERR_PRF);
  counts(&f, 0, 0);
  say(&f, ike_delete(&f, 1));
  expect_nothing(&f); /* what was never up isn't told to go */
  assert_int_equal(offered(&f, ITW_IKEV2, false, &why).protocol, 0);
  assert_int_equal(why, ITW_ERR_SA_NONE);
  feed_close(&f);
}

/* RFC 8784: SKEYSEED is what it was, SK_d isn't known, until a rekey tells it. */
static void ppk(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  f.conditions = 1 << 13;
  say(&f, ike_add(&f, 1, 0));
  say(&f, child_add(&f, 1, 1));
  say(&f, ike_update(&f, 1));
  expect_ike(&f, UP, 1, 0);
  expect_kind(&f, UNFIT, ITW_ERR_SA_KEYS);
  say(&f, child_add(&f, 1, 2));
  expect_kind(&f, UNFIT, ITW_ERR_SA_KEYS);
  assert_int_equal(offered(&f, ITW_IKEV2, false, NULL).protocol, 0);
  assert_int_equal(offered(&f, ITW_SHARED, false, NULL).protocol, ITW_SA_IKE);
  say_rekey(&f, 1, 2);
  expect_ike(&f, UP, 2, 0);
  expect_ike(&f, REKEYED, 1, 2);
  assert_true(offers_ike(&f, 2));
  say(&f, child_add(&f, 2, 3));
  expect_child(&f, UP, 3, 0);
  feed_close(&f);
}

/* RFC 9370 from version 4 on: another IKE_ADD without algorithms. */
static void several_key_exchanges(void **state)
{
  NEEDS_KEYS();
  static const uint8_t more[] = {0, 2, 1, 2};
  struct feed f;
  feed_open(&f, 16, 0);
  f.version = 5;
  say_up(&f, 1);
  expect_ike(&f, UP, 1, 0);
  say(&f, ike_add(&f, 2, 0));
  f.prf = 0x10000; /* a number that leaves 0 on the wire */
  say(&f, ike_add(&f, 2, 0));
  f.prf = 0;
  say(&f, ike_update(&f, 2));
  expect_kind(&f, UNFIT, ITW_ERR_SA_KEYS);
  struct datagram d = ike_add(&f, 3, 0);
  put_attribute(&d, ITWI_HA_ADD_SECRET, more, sizeof more);
  say(&f, d);
  say(&f, ike_update(&f, 3));
  expect_kind(&f, UNFIT, ITW_ERR_SA_KEYS);
  feed_close(&f);
}

static void other_versions(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, 0);
  f.version = 6;
  say_up(&f, 1);
  expect_kind(&f, UNFIT, ITW_ERR_NEWER);
  expect_nothing(&f); /* once */
  f.version = 4;
  say_up(&f, 1);
  expect_ike(&f, UP, 1, 0);
  feed_close(&f);
}

/* Of the schemes that are wanted, some take no IKE SA, or no CHILD SA: those aren't told. */
static void wanted_schemes(void **state)
{
  NEEDS_KEYS();
  struct feed f;
  feed_open(&f, 16, ITW_IKEV2);
  say_up(&f, 1);
  say(&f, child_add(&f, 1, 1));
  expect_ike(&f, UP, 1, 0);
  expect_nothing(&f);
  assert_int_equal(offered(&f, ITW_IKEV2, true, NULL).protocol, ITW_SA_IKE);
  counts(&f, 1, 0);
  feed_close(&f);
  feed_open(&f, 16, ITW_DIRECT);
  say_up(&f, 1);
  say(&f, child_add(&f, 1, 1));
  expect_child(&f, UP, 1, 0);
  expect_nothing(&f);
  assert_int_equal(offered(&f, ITW_DIRECT, true, NULL).protocol, ITW_SA_ESP);
  say(&f, ike_delete(&f, 1));
  expect_child(&f, GONE, 1, 0);
  expect_nothing(&f);
  feed_close(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_when_authenticated), cmocka_unit_test(never_authenticated),
      cmocka_unit_test(selectors_serve_both),      cmocka_unit_test(ike_rekey),
      cmocka_unit_test(an_heir_that_does_not_come), cmocka_unit_test(both_ends_rekey_the_ike_sa),
      cmocka_unit_test(child_rekey),               cmocka_unit_test(both_ends_rekey_the_child_sa),
      cmocka_unit_test(prf_change),                cmocka_unit_test(unknown_prf),
      cmocka_unit_test(ppk),                       cmocka_unit_test(several_key_exchanges),
      cmocka_unit_test(other_versions),            cmocka_unit_test(wanted_schemes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
