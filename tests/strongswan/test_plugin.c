/* SPDX-License-Identifier: BSD-3-Clause */
/* The plugin feed, with a plugin that the test is itself: what is asked and answered, what is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stand_in.h"

/* ---- questions ---- */

static void questions_and_answers(void **state)
{
  (void)state;
  struct charon c;
  struct itw_answer out;
  struct itw_ask heard;
  uint32_t children = 0;

  start_talking(&c, 8);
  assert_int_equal(itw_strongswan_count(c.source, &children), 3);
  assert_int_equal(children, 4);
  for (uint32_t n = 1; n <= 3; n++) assert_int_equal(ask(&c, 70 + n, n, &out), ITW_AGAIN);
  for (uint32_t n = 1; n <= 3; n++) {
    assert_true(hear(&c, &heard));
    assert_int_equal(heard.tag, 70 + n);
    assert_int_equal(heard.kind, ITW_ASK_TOKEN_KEY);
  }
  for (uint32_t n = 3; n >= 1; n--) { /* in charon's own order */
    const struct itw_answer a = answer_to(n);
    utter(&c, ITW_PLUGIN_ANSWER, 70 + n, &a, sizeof a);
  }
  read_on(&c, 0);
  for (uint32_t n = 3; n >= 1; n--) expect_answer(&c, 70 + n, n, ITW_ANS_DERIVED, 0);
  expect_no_answer(&c);
  expect_no_event(&c);
  end(&c);
}

static void unasked_and_cancelled_answers(void **state)
{
  (void)state;
  struct charon c;
  struct itw_answer out, a = answer_to(1);

  start_talking(&c, 8);
  const struct itw_keys keys = itw_strongswan_keys(c.source);
  assert_int_equal(ask(&c, 7, 1, &out), ITW_AGAIN);
  assert_int_equal(ask(&c, 8, 1, &out), ITW_AGAIN);
  keys.ops->cancel(keys.ctx, 7, 1);
  keys.ops->cancel(keys.ctx, 9, 1); /* never asked */
  utter(&c, ITW_PLUGIN_ANSWER, 7, &a, sizeof a);
  utter(&c, ITW_PLUGIN_ANSWER, 9, &a, sizeof a);
  utter(&c, ITW_PLUGIN_ANSWER, 8, &a, sizeof a);
  utter(&c, ITW_PLUGIN_ANSWER, 8, &a, sizeof a); /* twice */
  read_on(&c, 0);
  expect_answer(&c, 8, 1, ITW_ANS_DERIVED, 0);
  expect_no_answer(&c);
  assert_int_equal(ask(&c, 8, 1, &out), ITW_AGAIN); /* answered, and cancelled before it was fetched */
  utter(&c, ITW_PLUGIN_ANSWER, 8, &a, sizeof a);
  read_on(&c, 0);
  keys.ops->cancel(keys.ctx, 8, 1);
  expect_no_answer(&c);
  end(&c);
}

/* As many as there is room for; and more of them than the socket takes at once. */
static void many_questions(void **state)
{
  (void)state;
  enum { MANY = 3000 };
  struct charon c;
  struct itw_answer out;
  struct itw_ask heard;
  uint32_t n = 0;

  start_talking(&c, MANY);
  for (uint32_t i = 0; i < MANY; i++) assert_int_equal(ask(&c, i, i, &out), ITW_AGAIN);
  assert_int_equal(ask(&c, MANY, MANY, &out), ITW_ERR_FULL);
  while (hear(&c, &heard)) assert_int_equal(heard.tag, n++);
  assert_in_range(n, 1, MANY - 1); /* else this tests nothing */
  assert_true(itw_strongswan_deadline(c.source) <= c.now + SECOND / 10);
  for (int turn = 0; turn < MANY && n < MANY; turn++) {
    read_on(&c, 0.01);
    while (hear(&c, &heard)) assert_int_equal(heard.tag, n++);
  }
  assert_int_equal(n, MANY);
  assert_int_equal(itw_strongswan_deadline(c.source), ITW_NEVER);
  for (uint32_t i = 0; i < MANY; i++) {
    const struct itw_answer a = answer_to(i);
    utter(&c, ITW_PLUGIN_ANSWER, i, &a, sizeof a);
    read_on(&c, 0);
    expect_answer(&c, i, i, ITW_ANS_DERIVED, 0);
  }
  end(&c);
}

/* ---- events ---- */

static void events_pass_through(void **state)
{
  (void)state;
  enum { MANY = 300 };
  struct charon c;
  struct itw_source_event e, out;
  uint32_t n = 0;

  start_talking(&c, 8);
  ITW_INIT(e);
  ITW_INIT(out);
  e.kind = ITW_SOURCE_REKEYED;
  e.sa.size = e.by.size = sizeof e.sa;
  for (uint32_t i = 0; i < MANY / 2; i++) {
    e.sa.spi_i = i;
    utter(&c, ITW_PLUGIN_EVENT, 0, &e, sizeof e);
  }
  read_on(&c, 0); /* more than there is room for wait */
  read_on(&c, 0);
  assert_true(itw_strongswan_fd(c.source) >= 0);
  for (int turn = 0; turn < 4; turn++) {
    while (itw_strongswan_event(c.source, &out) == ITW_OK) {
      assert_int_equal(out.sa.spi_i, n++);
      ITW_INIT(out);
    }
    read_on(&c, 0);
  }
  assert_int_equal(n, MANY / 2);
  end(&c);
}

static void events_are_counted(void **state)
{
  (void)state;
  static const struct {
    uint32_t kind, protocol, ikes, children; /* from 3 and 4 on */
  } steps[] = {{ITW_SOURCE_UP, ITW_SA_IKE, 4, 4},  {ITW_SOURCE_REKEYED, ITW_SA_IKE, 3, 4}, {ITW_SOURCE_GONE, ITW_SA_ESP, 3, 3},
               {ITW_SOURCE_UNFIT, ITW_SA_AH, 3, 3}, {ITW_SOURCE_UP, ITW_SA_AH, 3, 4}};
  struct charon c;
  struct itw_source_event e;
  uint32_t children;

  start_talking(&c, 8);
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    ITW_INIT(e);
    e.kind = steps[i].kind;
    e.sa.protocol = steps[i].protocol;
    utter(&c, ITW_PLUGIN_EVENT, 0, &e, sizeof e);
    read_on(&c, 0);
    assert_int_equal(itw_strongswan_count(c.source, &children), steps[i].ikes);
    assert_int_equal(children, steps[i].children);
  }
  end(&c);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(questions_and_answers),
      cmocka_unit_test(unasked_and_cancelled_answers),
      cmocka_unit_test(many_questions),
      cmocka_unit_test(events_pass_through),
      cmocka_unit_test(events_are_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
