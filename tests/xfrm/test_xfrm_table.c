/* SPDX-License-Identifier: BSD-3-Clause */
/* The table: readings and notifications at once, no room, nobody who reads events, nothing left of a key. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sas.h"
#include <stdlib.h>

/* ---- reading all ---- */

static void first_reading(void **state)
{
  struct itw_xfrm *x;
  (void)state;
  feed_forget();
  const struct feed_message in = feed_make_sa(inbound(0x11, 1)), out = feed_make_sa(outbound(0x21, 1));
  feed_happen(in.octets, in.len), feed_happen(out.octets, out.len);
  feed_hold(true);
  x = feed_open(CAPACITY);
  assert_int_equal(itw_xfrm_read(x, 0), ITW_AGAIN);
  for (int datagrams = 2; datagrams > 0; datagrams--) { /* two SAs in one, and the end */
    assert_true(feed_tell());
    assert_int_equal(itw_xfrm_read(x, 0), ITW_AGAIN);
  }
  assert_true(feed_tell()); /* of policies there is only the end */
  expect(x, ITW_OK, 0x11, 0x21);
  assert_int_equal(feed_readings(), 1);
  assert_true(itw_xfrm_deadline(x) == ITW_NEVER);
  itw_xfrm_free(x);
}

/* While all are told, an SA ends, and then the reading tells it: the next reading puts that right. */
static void deleted_and_told(void **state)
{
  struct itw_xfrm *const x = *state;
  make(inbound(0x11, 1)), make(outbound(0x21, 1));
  expect(x, ITW_OK, 0x11, 0x21);
  feed_hold(true);
  feed_lose();
  (void)!itw_xfrm_read(x, 0);
  end_of(inbound(0x11, 1)); /* said before what the kernel took down a moment ago */
  while (feed_tell()) continue;
  (void)!feed_settle(x, 0);
  while (feed_tell()) continue;
  feed_hold(false);
  settle(x);
  assert_int_equal(itw_xfrm_count(x, NULL), 2); /* wrong */
  assert_int_equal(pairs_of(x), 0);
  assert_true(itw_xfrm_deadline(x) == S);
  const unsigned readings = feed_readings();
  assert_int_equal(feed_settle(x, S - 1), ITW_OK);
  assert_int_equal(feed_readings(), readings);
  assert_int_equal(feed_settle(x, S), ITW_OK);
  assert_int_equal(feed_readings(), readings + 1);
  assert_int_equal(itw_xfrm_count(x, NULL), 1);
  expect(x, ITW_ERR_SA_HALF, 0, 0x21);
  assert_true(itw_xfrm_deadline(x) == 30 * S); /* of the half that was left alone */
}

/* Doubt waits a second, a loss doesn't. */
static void doubt_and_loss(void **state)
{
  struct itw_xfrm *const x = *state;
  make(inbound(0x11, 1));
  settle(x);
  feed_hold(true);
  feed_lose();
  (void)!itw_xfrm_read(x, 0);
  end_of(inbound(0x11, 1));
  feed_hold(false);
  while (feed_tell()) continue;
  settle(x);
  const unsigned readings = feed_readings();
  assert_true(itw_xfrm_deadline(x) == S);
  feed_lose();
  settle(x);
  assert_int_equal(feed_readings(), readings + 1);
  assert_true(itw_xfrm_deadline(x) == ITW_NEVER);
}

/* A notification outranks what the reading tells of the same SA. */
static void changed_and_told(void **state)
{
  struct itw_xfrm *const x = *state;
  struct feed_sa larval = {.src = there, .dst = here, .spi = 0x11, .reqid = 1};
  make(larval), make(outbound(0x21, 1));
  expect(x, ITW_ERR_SA_HALF, 0, 0x21);
  feed_hold(true);
  feed_lose();
  (void)!itw_xfrm_read(x, 0);
  make(inbound(0x11, 1));
  expect(x, ITW_ERR_SA_HALF, 0x11, 0); /* the other half may be gone */
  while (feed_tell()) continue;
  (void)!feed_settle(x, 0);
  while (feed_tell()) continue;
  expect(x, ITW_OK, 0x11, 0x21);
}

/* What a reading finds is newer than what was known before, within the same second too. */
static void found_later(void **state)
{
  struct itw_xfrm *const x = *state;
  const struct feed_message in = feed_make_sa(inbound(0x12, 5)), out = feed_make_sa(outbound(0x22, 5));
  make(inbound(0x11, 5)), make(outbound(0x21, 5));
  expect(x, ITW_OK, 0x11, 0x21);
  feed_happen(in.octets, in.len), feed_happen(out.octets, out.len);
  feed_lose();
  expect(x, ITW_OK, 0x12, 0x22);
}

/* What came while all were told stays, and what the reading doesn't tell goes. */
static void new_and_not_told(void **state)
{
  struct itw_xfrm *const x = *state;
  const struct feed_message old =
      feed_make_sa((struct feed_sa){.type = XFRM_MSG_DELSA, .src = there, .dst = here, .spi = 0x11});
  make(inbound(0x11, 1)), make(outbound(0x21, 1));
  settle(x);
  expect_event(x, ITW_SOURCE_UP, 0x11, ITW_OK);
  feed_hold(true);
  feed_happen(old.octets, old.len);
  feed_lose();
  (void)!itw_xfrm_read(x, 0);
  make(inbound(0x12, 2)), make(outbound(0x22, 2));
  (void)!feed_settle(x, 0);
  while (feed_tell()) continue;
  (void)!feed_settle(x, 0);
  while (feed_tell()) continue;
  expect(x, ITW_OK, 0x12, 0x22);
  assert_int_equal(pairs_of(x), 1);
  expect_event(x, ITW_SOURCE_RESYNC, 0, ITW_OK);
  expect_event(x, ITW_SOURCE_UP, 0x12, ITW_OK);
  expect_event(x, ITW_SOURCE_REKEYED, 0x11, ITW_OK);
  expect_no_event(x);
}

static void say_done(uint16_t flags, int32_t error)
{
  const struct {
    struct nlmsghdr head;
    int32_t error;
  } done = {{.nlmsg_len = sizeof done, .nlmsg_type = NLMSG_DONE, .nlmsg_flags = (uint16_t)(NLM_F_MULTI | flags)},
            error};
  feed_say((const uint8_t *)&done, sizeof done);
}

/* Interrupted readings are begun again at once, failed ones after a second. */
static void bad_readings(void **state)
{
  struct itw_xfrm *const x = *state;
  const unsigned before = feed_readings();
  feed_hold(true);
  feed_lose();
  (void)!itw_xfrm_read(x, 0);
  assert_int_equal(feed_readings(), before + 1);
  say_done(NLM_F_DUMP_INTR, 0);
  (void)!itw_xfrm_read(x, 0);
  assert_int_equal(feed_readings(), before + 2);
  say_done(0, -12);
  (void)!itw_xfrm_read(x, 7);
  assert_int_equal(feed_readings(), before + 2);
  assert_true(itw_xfrm_deadline(x) == S + 7);
  feed_refuse(true);
  (void)!itw_xfrm_read(x, S + 7);
  assert_true(itw_xfrm_deadline(x) == 2 * S + 7);
  feed_refuse(false);
  (void)!itw_xfrm_read(x, 2 * S + 6);
  assert_int_equal(feed_readings(), before + 2);
  (void)!itw_xfrm_read(x, 2 * S + 7);
  assert_int_equal(feed_readings(), before + 3);
}

/* ---- no room ---- */

enum { FEW = 4 };

static void fill(struct itw_xfrm *x, uint32_t pairs)
{
  for (uint32_t n = 0; n < pairs; n++) {
    struct feed_sa in = inbound(0x11 + n, 1), out = outbound(0x21 + n, 1);
    in.reqid = out.reqid = n;
    make(in), make(out);
  }
  settle(x);
}

static unsigned drain(struct itw_xfrm *x, uint32_t kind)
{
  unsigned n = 0;
  struct itw_source_event e;
  ITW_INIT(e);
  while (itw_xfrm_event(x, &e) == ITW_OK) n += e.kind == kind;
  return n;
}

static void full(void **state)
{
  struct itw_xfrm *x;
  (void)state;
  feed_forget();
  x = feed_open(FEW);
  settle(x);
  fill(x, 4);
  assert_int_equal(pairs_of(x), FEW / 2);
  assert_int_equal(drain(x, ITW_SOURCE_FULL), 1);
  struct feed_sa more = inbound(0x31, 1);
  make(more);
  settle(x);
  assert_int_equal(drain(x, ITW_SOURCE_FULL), 0); /* that is known */
  assert_true(itw_xfrm_deadline(x) == ITW_NEVER);
  end_of(more);
  for (uint32_t n = 0; n < 2; n++) {
    struct feed_sa in = inbound(0x11 + n, 1), out = outbound(0x21 + n, 1);
    end_of(in), end_of(out);
  }
  assert_int_equal(feed_settle(x, 5), ITW_OK);
  assert_int_equal(pairs_of(x), 0);
  assert_true(itw_xfrm_deadline(x) == S + 5); /* there is room: what was left out is read */
  assert_int_equal(feed_settle(x, S + 5), ITW_OK);
  assert_int_equal(pairs_of(x), 2);
  assert_int_equal(drain(x, ITW_SOURCE_FULL), 0);
  itw_xfrm_free(x);
}

/* Events that nobody reads cost no SA. */
static void nobody_reads(void **state)
{
  struct itw_xfrm *x;
  (void)state;
  feed_forget();
  x = feed_open(FEW);
  settle(x);
  for (uint32_t n = 1; n < 1000; n++) {
    make(inbound(n, n)), make(outbound(0x1000 + n, n));
    if (n > 1) end_of(inbound(n - 1, n - 1)), end_of(outbound(0x1000 + n - 1, n - 1));
    expect(x, ITW_OK, n, 0x1000 + n);
  }
  drain(x, 0);
  make(inbound(0x2000, 1000)), make(outbound(0x3000, 1000));
  settle(x);
  expect_event(x, ITW_SOURCE_UP, 0x2000, ITW_OK);
  itw_xfrm_free(x);
}

/* A pair that comes and goes between two looks is told in full, in its order. */
static void came_and_went(void **state)
{
  struct itw_xfrm *const x = *state;
  make(inbound(0x11, 1)), make(outbound(0x21, 1));
  end_of(inbound(0x11, 1)), end_of(outbound(0x21, 1));
  settle(x);
  expect_event(x, ITW_SOURCE_UP, 0x11, ITW_OK);
  expect_event(x, ITW_SOURCE_GONE, 0x11, ITW_OK);
  expect_no_event(x);
}

/* ---- nothing is left ---- */

static bool contains(const void *memory, size_t n, uint8_t octet, size_t run)
{
  const uint8_t *const p = memory;
  size_t in_a_row = 0;
  for (size_t i = 0; i < n; i++)
    if ((in_a_row = p[i] == octet ? in_a_row + 1 : 0) == run) return true;
  return false;
}

static void keys_are_wiped(void **state)
{
  struct itw_xfrm *const x = *state;
  struct feed_sa in = inbound(0x11, 1), out = outbound(0x21, 1);
  in.key = out.key = 0xa5;
  make(in), make(out);
  settle(x);
  assert_true(contains(x, x->size, 0xa5, 16));
  assert_false(contains(x->buffer, sizeof x->buffer, 0xa5, 16));
  end_of(in), end_of(out);
  settle(x);
  assert_false(contains(x, x->size, 0xa5, 16));
}

/* ---- how it is called ---- */

static void arguments(void **state)
{
  struct itw_xfrm *x = *state;
  struct itw_xfrm_config config;
  struct itw_detail detail;
  struct itw_source_event e;
  struct itw_sa sa;
  ITW_INIT(config), ITW_INIT(detail), ITW_INIT(e), ITW_INIT(sa);
  assert_int_equal(itw_xfrm_new(NULL, &config, &detail), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_xfrm_new(&x, NULL, &detail), ITW_ERR_ARGUMENT);
  config.capacity = (1 << 19) + 1;
  assert_int_equal(itw_xfrm_new(&x, &config, &detail), ITW_ERR_ARGUMENT);
  ITW_INIT(config);
  config.mbz = 1;
  assert_int_equal(itw_xfrm_new(&x, &config, &detail), ITW_ERR_ARGUMENT);
  config.size = 4;
  assert_int_equal(itw_xfrm_new(&x, &config, &detail), ITW_ERR_SIZE);
  assert_ptr_equal(x, *state);
  assert_int_equal(itw_xfrm_read(NULL, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_xfrm_event(x, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_xfrm_event(NULL, &e), ITW_ERR_ARGUMENT);
  e.size = sa.size = 4;
  assert_int_equal(itw_xfrm_event(x, &e), ITW_ERR_SIZE);
  assert_int_equal(itw_xfrm_find(x, &sa, &here, &there), ITW_ERR_SIZE);
  ITW_INIT(sa);
  assert_int_equal(itw_xfrm_find(x, &sa, NULL, &there), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_xfrm_fd(NULL), -1);
  assert_true(itw_xfrm_deadline(NULL) == ITW_NEVER);
  assert_int_equal(itw_xfrm_count(NULL, NULL), 0);
  itw_xfrm_free(NULL);
}

/* A client asks for the SA that the greeting names: one that is only half there is told as such, another one isn't. */
static void provider_says_why(void **state)
{
  struct itw_xfrm *const x = *state;
  const struct itw_keys keys = itw_xfrm_keys(x);
  struct itw_ask q;
  struct itw_answer a;
  ITW_INIT(q), ITW_INIT(a);
  q.kind = ITW_ASK_SELECT;
  q.role = ITW_ROLE_CLIENT;
  q.schemes = ITW_DIRECT;
  q.modes = ITW_MODE_ENC;
  q.local = here;
  q.remote = there;
  q.sa = (struct itw_sa){.size = sizeof q.sa, .protocol = ITW_SA_ESP, .spi_i = 0x11, .spi_r = 0x21};
  make(outbound(0x21, 1));
  settle(x);
  assert_int_equal(keys.ops->answer(keys.ctx, &q, &a), ITW_OK);
  assert_string_equal(itw_status_name(a.why), "ITW_ERR_SA_HALF");
  q.sa.spi_r = 0x22;
  assert_int_equal(keys.ops->answer(keys.ctx, &q, &a), ITW_OK);
  assert_string_equal(itw_status_name(a.why), "ITW_ERR_SA_MISMATCH");
  make(inbound(0x11, 1)); /* now it is whole, and still not the one that is named */
  settle(x);
  q.sa.spi_r = 0x21;
  q.sa.spi_i = 0x99;
  assert_int_equal(keys.ops->answer(keys.ctx, &q, &a), ITW_OK);
  assert_string_equal(itw_status_name(a.why), "ITW_ERR_SA_MISMATCH");
  end_of(inbound(0x11, 1));
  settle(x);
  q.role = ITW_ROLE_SERVER;
  assert_int_equal(keys.ops->answer(keys.ctx, &q, &a), ITW_OK);
  assert_string_equal(itw_status_name(a.why), "ITW_ERR_SA_HALF");
}

#define WITH_SOURCE(test) cmocka_unit_test_setup_teardown(test, open_source, close_source)

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_reading), WITH_SOURCE(deleted_and_told), WITH_SOURCE(doubt_and_loss),
      WITH_SOURCE(changed_and_told),   WITH_SOURCE(new_and_not_told), WITH_SOURCE(found_later),
      WITH_SOURCE(bad_readings),       cmocka_unit_test(full),        cmocka_unit_test(nobody_reads),
      WITH_SOURCE(came_and_went),      WITH_SOURCE(keys_are_wiped),   WITH_SOURCE(arguments),
      WITH_SOURCE(provider_says_why),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
