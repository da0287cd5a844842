/* SPDX-License-Identifier: BSD-3-Clause */
/* The plugin feed: whom we believe, what isn't a plugin's message, and what becomes of questions when charon goes away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stand_in.h"
#include <sys/socket.h>
#include <unistd.h>

/* ---- charon, there and away ---- */

static void asked_before_hello(void **state)
{
  (void)state;
  struct charon c;
  struct itw_answer out;
  struct itw_ask heard;

  start(&c);
  listen_on(&c);
  open_source(&c, 8, (uint32_t)getuid());
  assert_int_equal(ask(&c, 1, 1, &out), ITW_AGAIN);
  take_peer(&c);
  assert_false(hear(&c, &heard));
  utter_hello(&c, ITW_PLUGIN_VERSION);
  read_on(&c, 0);
  assert_true(hear(&c, &heard));
  expect_no_event(&c);
  end(&c);
}

static void goes_away_and_comes_back(void **state)
{
  (void)state;
  struct charon c;
  struct itw_answer out;
  const struct itw_answer a = answer_to(1);

  start_talking(&c, 8);
  assert_int_equal(ask(&c, 1, 1, &out), ITW_AGAIN);
  assert_int_equal(ask(&c, 2, 2, &out), ITW_AGAIN);
  utter(&c, ITW_PLUGIN_ANSWER, 1, &a, sizeof a);
  hang_up(&c);
  read_on(&c, 0);
  assert_int_equal(c.status, ITW_AGAIN);
  assert_int_equal(itw_strongswan_fd(c.source), -1);
  expect_event(&c, ITW_SOURCE_LOST, ITW_ERR_SOURCE_LOST);
  expect_no_event(&c);
  expect_answer(&c, 1, 1, ITW_ANS_DERIVED, 0); /* it came in time */
  expect_answer(&c, 2, 2, ITW_ANS_NONE, ITW_ERR_SOURCE_LOST);
  expect_no_answer(&c);
  assert_int_equal(itw_strongswan_count(c.source, NULL), 0);
  assert_int_equal(ask(&c, 3, 3, &out), ITW_OK);
  assert_int_equal(out.kind, ITW_ANS_NONE);
  assert_int_equal(out.why, ITW_ERR_SOURCE_LOST);
  for (int i = 0; i < 3; i++) { /* tries each second, and says nothing more */
    assert_int_equal(itw_strongswan_deadline(c.source), c.now + SECOND);
    read_on(&c, 0.5);
    read_on(&c, 0.5);
    expect_no_event(&c);
  }
  listen_on(&c);
  read_on(&c, 1);
  take_peer(&c);
  utter_hello(&c, ITW_PLUGIN_VERSION);
  read_on(&c, 0);
  assert_int_equal(c.status, ITW_OK);
  expect_event(&c, ITW_SOURCE_RESYNC, 0);
  assert_int_equal(itw_strongswan_count(c.source, NULL), 3);
  assert_int_equal(ask(&c, 4, 4, &out), ITW_AGAIN);
  end(&c);
}

static void not_there_yet(void **state)
{
  (void)state;
  struct charon c;

  start(&c);
  open_source(&c, 8, (uint32_t)getuid());
  assert_int_equal(itw_strongswan_fd(c.source), -1);
  read_on(&c, 1);
  expect_no_event(&c);
  listen_on(&c);
  read_on(&c, 1);
  take_peer(&c);
  read_on(&c, 4);
  assert_true(itw_strongswan_fd(c.source) >= 0);
  read_on(&c, 2); /* one that never says HELLO isn't it */
  assert_int_equal(itw_strongswan_fd(c.source), -1);
  expect_event(&c, ITW_SOURCE_LOST, ITW_ERR_TIMEOUT);
  end(&c);
}

static void another_users_socket(void **state)
{
  (void)state;
  struct charon c;

  start(&c);
  listen_on(&c);
  open_source(&c, 8, (uint32_t)getuid() + 1);
  assert_int_equal(itw_strongswan_fd(c.source), -1);
  expect_event(&c, ITW_SOURCE_LOST, ITW_ERR_PERMISSION);
  read_on(&c, 1);
  expect_no_event(&c); /* once */
  end(&c);
}

/* ---- what isn't a plugin's ---- */

static void refused(void (*what)(struct charon *), itw_status why)
{
  struct charon c;
  struct itw_answer out;

  start_talking(&c, 8);
  assert_int_equal(ask(&c, 1, 1, &out), ITW_AGAIN);
  what(&c);
  read_on(&c, 0);
  assert_int_equal(itw_strongswan_fd(c.source), -1);
  expect_event(&c, ITW_SOURCE_LOST, why);
  expect_answer(&c, 1, 1, ITW_ANS_NONE, ITW_ERR_SOURCE_LOST);
  end(&c);
}

static void a_short_head(struct charon *c) { assert_int_equal(send(c->peer, "abc", 3, 0), 3); }
static void an_unknown_kind(struct charon *c) { utter(c, 9, 0, "", 0); }
static void a_question(struct charon *c) { utter(c, ITW_PLUGIN_ASK, 0, "", 0); }
static void a_long_message(struct charon *c)
{
  static const uint8_t zeros[1100] = {0};
  utter(c, ITW_PLUGIN_ANSWER, 0, zeros, sizeof zeros);
}
static void a_short_answer(struct charon *c)
{
  const struct itw_answer a = answer_to(1);
  utter(c, ITW_PLUGIN_ANSWER, 1, &a, sizeof a - 1);
}
static void a_wrong_length(struct charon *c)
{
  struct itw_answer a = answer_to(1);
  a.secret_len = 241;
  utter(c, ITW_PLUGIN_ANSWER, 1, &a, sizeof a);
}
static void a_wrong_size(struct charon *c)
{
  struct itw_answer a = answer_to(1);
  a.size++;
  utter(c, ITW_PLUGIN_ANSWER, 1, &a, sizeof a);
}
static void an_unknown_answer(struct charon *c)
{
  struct itw_answer a = answer_to(1);
  a.kind = 4;
  utter(c, ITW_PLUGIN_ANSWER, 1, &a, sizeof a);
}
static void a_short_event(struct charon *c) { utter(c, ITW_PLUGIN_EVENT, 0, "abcd", 4); }
static void another_magic(struct charon *c)
{
  const struct itw_plugin_hello hello = {1, ITW_PLUGIN_VERSION, 0, 0};
  utter(c, ITW_PLUGIN_HELLO, 0, &hello, sizeof hello);
}
static void a_newer_version(struct charon *c) { utter_hello(c, ITW_PLUGIN_VERSION + 1); }
static void an_older_version(struct charon *c) { utter_hello(c, 0); }

static void not_a_plugins_message(void **state)
{
  (void)state;
  refused(a_short_head, ITW_ERR_SHORT);
  refused(an_unknown_kind, ITW_ERR_COMMAND);
  refused(a_question, ITW_ERR_COMMAND);
  refused(a_long_message, ITW_ERR_SHORT);
  refused(a_short_answer, ITW_ERR_SHORT);
  refused(a_wrong_length, ITW_ERR_SHORT);
  refused(a_wrong_size, ITW_ERR_SHORT);
  refused(an_unknown_answer, ITW_ERR_SHORT);
  refused(a_short_event, ITW_ERR_SHORT);
  refused(another_magic, ITW_ERR_SHORT);
  refused(a_newer_version, ITW_ERR_NEWER);
  refused(an_older_version, ITW_ERR_UNSUPPORTED);
}

static void nothing_before_hello(void **state)
{
  (void)state;
  struct charon c;
  const struct itw_answer a = answer_to(1);

  start(&c);
  listen_on(&c);
  open_source(&c, 8, (uint32_t)getuid());
  take_peer(&c);
  utter(&c, ITW_PLUGIN_ANSWER, 1, &a, sizeof a);
  read_on(&c, 0);
  assert_int_equal(itw_strongswan_fd(c.source), -1);
  expect_event(&c, ITW_SOURCE_LOST, ITW_ERR_UNEXPECTED);
  end(&c);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(asked_before_hello),
      cmocka_unit_test(goes_away_and_comes_back),
      cmocka_unit_test(not_there_yet),
      cmocka_unit_test(another_users_socket),
      cmocka_unit_test(not_a_plugins_message),
      cmocka_unit_test(nothing_before_hello),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
