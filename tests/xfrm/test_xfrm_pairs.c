/* SPDX-License-Identifier: BSD-3-Clause */
/* Which halves make a pair, what a pair is good for, and whose traffic it protects. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sas.h"

/* ---- pairs ---- */

static void two_halves(void **state)
{
  struct itw_xfrm *const x = *state;
  expect(x, ITW_ERR_SA_NONE, 0, 0);
  make(inbound(0x11, 1));
  expect(x, ITW_ERR_SA_HALF, 0x11, 0);
  expect_no_event(x);
  make(outbound(0x21, 1));
  expect(x, ITW_OK, 0x11, 0x21);
  expect_event(x, ITW_SOURCE_UP, 0x11, ITW_OK);
  end_of(inbound(0x11, 1));
  expect(x, ITW_ERR_SA_HALF, 0, 0x21);
  expect_event(x, ITW_SOURCE_GONE, 0x11, ITW_OK);
  end_of(outbound(0x21, 1));
  expect(x, ITW_ERR_SA_NONE, 0, 0);
  expect_no_event(x);
}

static void only_alike(void **state)
{
  struct itw_xfrm *const x = *state;
  struct feed_sa other[8];
  for (size_t i = 0; i < 8; i++) other[i] = outbound(0x21, 1);
  other[0].proto = IPPROTO_AH;
  other[1].mode = XFRM_MODE_TUNNEL;
  other[2].reqid = 2;
  other[3].mark = 7;
  other[4].if_id = 7;
  other[5].crypt_len = 32;
  other[6].auth_len = 32;
  other[7].dst.ip[3] = 3;
  make(inbound(0x11, 1));
  for (size_t i = 0; i < 8; i++) {
    make(other[i]);
    settle(x);
    assert_int_equal(pairs_of(x), 0);
    end_of(other[i]);
  }
  make(outbound(0x21, 1));
  expect(x, ITW_OK, 0x11, 0x21);
}

/* The halves of three generations, in all orders of arrival: each finds its own by the time at which it was made. */
static void in_any_order(void **state)
{
  static const uint64_t times[] = {100, 100, 200, 200, 301, 300};
  unsigned orders = 0;
  (void)state;
  for (unsigned n = 0; n < 6 * 6 * 6 * 6 * 6 * 6; n++) {
    unsigned at[6], used = 0, rest = n;
    for (unsigned i = 0; i < 6; i++, rest /= 6) used |= 1u << (at[i] = rest % 6);
    if (used != 0x3f) continue;
    feed_forget();
    struct itw_xfrm *x;
    for (unsigned i = 0; i < 6; i++) {
      const struct feed_sa sa = at[i] % 2 ? outbound(0x20 + at[i] / 2, times[at[i]]) : inbound(0x10 + at[i] / 2, times[at[i]]);
      const struct feed_message m = feed_make_sa(sa);
      feed_happen(m.octets, m.len);
    }
    x = feed_open(CAPACITY); /* it is told in the opposite order */
    settle(x);
    assert_int_equal(pairs_of(x), 3);
    expect(x, ITW_OK, 0x12, 0x22);
    end_of(inbound(0x12, 301));
    expect(x, ITW_OK, 0x11, 0x21);
    end_of(inbound(0x11, 200));
    expect(x, ITW_OK, 0x10, 0x20);
    itw_xfrm_free(x);
    orders++;
  }
  assert_int_equal(orders, 720);
}

static void expect_late(itw_status status, uint32_t in, uint32_t out)
{
  struct itw_xfrm *const late = feed_open(CAPACITY);
  expect(late, status, in, out);
  itw_xfrm_free(late);
}

/* Three rekeys within a second, as an IKE daemon makes them: then the order says it. Followed, and read at any time. */
static void within_a_second(void **state)
{
  struct itw_xfrm *x = *state;
  for (uint32_t n = 0; n < 3; n++) {
    make(inbound(0x1f - n, 5));
    settle(x);
    if (n) expect_late(ITW_OK, 0x1f - n + 1, 0x2f - n + 1);
    make(outbound(0x2f - n, 5));
    expect(x, ITW_OK, 0x1f - n, 0x2f - n);
    expect_late(ITW_OK, 0x1f - n, 0x2f - n);
  }
  x = feed_open(CAPACITY);
  for (uint32_t n = 3; n-- > 0;) {
    expect(x, ITW_OK, 0x1f - n, 0x2f - n);
    end_of(outbound(0x2f - n, 5));
  }
  itw_xfrm_free(x);
}

/* The responder of a rekey installs the new outbound SA when the old one is deleted, and the new inbound one before. */
static void responder_of_a_rekey(void **state)
{
  struct itw_xfrm *const x = *state;
  make(inbound(0x11, 100));
  make(outbound(0x21, 100));
  expect(x, ITW_OK, 0x11, 0x21);
  expect_event(x, ITW_SOURCE_UP, 0x11, ITW_OK);
  make(inbound(0x12, 200));
  expect(x, ITW_OK, 0x11, 0x21);
  expect_late(ITW_OK, 0x11, 0x21);
  make(outbound(0x22, 203));
  expect(x, ITW_OK, 0x12, 0x22);
  expect_event(x, ITW_SOURCE_UP, 0x12, ITW_OK);
  end_of(outbound(0x21, 100));
  settle(x);
  const struct itw_source_event e = next_event(x);
  assert_true(e.kind == ITW_SOURCE_REKEYED && e.sa.spi_r == 0x11 && e.by.spi_r == 0x12 && e.by.spi_i == 0x22);
  make(outbound(0x23, 101)); /* nearer to the old inbound SA, which lingers */
  expect(x, ITW_OK, 0x12, 0x22);
  assert_int_equal(pairs_of(x), 1);
}

/* Keys that are made by hand may be replaced in one direction only. IKE would have ended the other half within seconds. */
static void one_way_by_hand(void **state)
{
  struct itw_xfrm *const x = *state;
  make(inbound(0x11, 100));
  make(outbound(0x21, 100));
  make(inbound(0x12, 200));
  end_of(inbound(0x11, 100));
  expect(x, ITW_ERR_SA_HALF, 0x12, 0);
  assert_true(itw_xfrm_deadline(x) == 30 * S);
  assert_int_equal(feed_settle(x, 30 * S), ITW_OK);
  expect(x, ITW_ERR_SA_HALF, 0x12, 0);
  assert_true(itw_xfrm_deadline(x) == 60 * S);
  assert_int_equal(feed_settle(x, 60 * S - 1), ITW_OK);
  expect(x, ITW_ERR_SA_HALF, 0x12, 0);
  assert_int_equal(feed_settle(x, 60 * S), ITW_OK);
  expect(x, ITW_OK, 0x12, 0x21);
  assert_true(itw_xfrm_deadline(x) == ITW_NEVER);
}

/* The replay windows say which half is inbound, or else the order, wrongly here; the ring serves both ends anyway. */
static void both_ways_round(void **state)
{
  struct itw_xfrm *const x = *state;
  struct feed_sa out = outbound(0x21, 1);
  out.window = 32;
  make(out);
  make(inbound(0x11, 1));
  settle(x);
  expect_event(x, ITW_SOURCE_UP, 0x21, ITW_OK);
  expect_found(x, &here, &there, ITW_OK, 0x11, 0x21);
  expect_found(x, &there, &here, ITW_OK, 0x21, 0x11);
}

/* Those of another peer, at another address of ours, may have the same SPIs. */
static void same_spis(void **state)
{
  struct itw_xfrm *const x = *state;
  struct feed_sa in = inbound(0x11, 1), out = outbound(0x11, 1);
  make(in), make(out);
  expect(x, ITW_OK, 0x11, 0x11);
  in.dst.ip[3] = out.src.ip[3] = 9;
  in.src.ip[3] = out.dst.ip[3] = 8;
  make(in), make(out);
  settle(x);
  expect_event(x, ITW_SOURCE_UP, 0x11, ITW_OK);
  expect_event(x, ITW_SOURCE_UNFIT, 0x11, ITW_ERR_COLLISION);
  end_of(in), end_of(out);
  expect(x, ITW_OK, 0x11, 0x11); /* the first one is still there */
}

static void over_ipv6(void **state)
{
  struct itw_xfrm *const x = *state;
  const struct itw_addr a = {.family = 6, .ip = {0x20, 1, 0x0d, 0xb8, [15] = 1}}, b = {.family = 6, .ip = {0x20, 1, 0x0d, 0xb8, [15] = 2}};
  struct feed_sa in = inbound(0x11, 1), out = outbound(0x21, 1);
  in.dst = out.src = a;
  in.src = out.dst = b;
  make(in), make(out);
  settle(x);
  expect_found(x, &a, &b, ITW_OK, 0x11, 0x21);
  expect_found(x, &here, &there, ITW_ERR_SA_NONE, 0, 0);
}

/* ---- what they are good for ---- */

struct kind {
  uint8_t proto;
  const char *crypt, *auth, *aead;
  uint16_t crypt_len, auth_len;
  uint8_t key, sel_proto;
  uint32_t event;
  itw_status why;
};

static void kinds(void **state)
{
  static const struct kind all[] = {
    {IPPROTO_ESP, "cbc(aes)", "hmac(sha1)", NULL, 16, 20, 1, 0, ITW_SOURCE_UP, ITW_OK},
    {IPPROTO_ESP, "cbc(aes)", "hmac(sha512)", NULL, 32, 64, 1, IPPROTO_TCP, ITW_SOURCE_UP, ITW_OK},
    {IPPROTO_ESP, "cbc(aes)", "xcbc(aes)", NULL, 24, 16, 1, 0, ITW_SOURCE_UP, ITW_OK},
    {IPPROTO_ESP, NULL, NULL, "rfc4106(gcm(aes))", 0, 0, 1, 0, ITW_SOURCE_UP, ITW_ERR_SA_AEAD},
    {IPPROTO_ESP, "ecb(cipher_null)", "hmac(sha256)", NULL, 0, 32, 1, 0, ITW_SOURCE_UP, ITW_ERR_SA_NULL},
    {IPPROTO_AH, NULL, "hmac(sha256)", NULL, 0, 32, 1, 0, ITW_SOURCE_UP, ITW_ERR_SA_AH},
    {IPPROTO_ESP, "rfc3686(ctr(aes))", "hmac(sha1)", NULL, 20, 20, 1, 0, ITW_SOURCE_UP, ITW_ERR_SA_CIPHER},
    {IPPROTO_ESP, "cbc(des3_ede)", "hmac(sha1)", NULL, 24, 20, 1, 0, ITW_SOURCE_UP, ITW_ERR_SA_CIPHER},
    {IPPROTO_ESP, "cbc(aes)", "hmac(sha1)", NULL, 16, 20, 0, 0, ITW_SOURCE_UP, ITW_ERR_SA_REDACTED},
    {IPPROTO_ESP, "cbc(aes)", "hmac(sha512)", NULL, 16, 128, 1, 0, ITW_SOURCE_UP, ITW_ERR_SA_KEYS},
    {IPPROTO_ESP, "cbc(aes)", NULL, NULL, 16, 0, 1, 0, ITW_SOURCE_UNFIT, ITW_ERR_SA_NO_INTEG},
    {IPPROTO_ESP, "cbc(aes)", "digest_null", NULL, 16, 0, 1, 0, ITW_SOURCE_UNFIT, ITW_ERR_SA_NO_INTEG},
    {IPPROTO_ESP, "cbc(aes)", "hmac(sha1)", NULL, 16, 20, 1, IPPROTO_SCTP, ITW_SOURCE_UNFIT, ITW_ERR_SA_UNFIT},
  };
  struct itw_xfrm *const x = *state;
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    struct feed_sa in = inbound(0x11, i), out = outbound(0x21, i);
    in.proto = all[i].proto, in.crypt = all[i].crypt, in.auth = all[i].auth, in.aead = all[i].aead;
    in.crypt_len = all[i].crypt_len, in.auth_len = all[i].auth_len, in.key = all[i].key, in.sel_proto = all[i].sel_proto;
    out = in;
    out.src = here, out.dst = there, out.spi = 0x21, out.window = 0;
    make(in), make(out);
    expect(x, all[i].why, 0x11, 0x21);
    expect_event(x, all[i].event, 0x11, all[i].why);
    make((struct feed_sa){.type = XFRM_MSG_EXPIRE, .proto = in.proto, .src = in.src, .dst = in.dst, .spi = 0x11, .hard = false});
    expect(x, all[i].why, 0x11, 0x21); /* soft: a rekey is due */
    make((struct feed_sa){.type = XFRM_MSG_EXPIRE, .proto = in.proto, .src = in.src, .dst = in.dst, .spi = 0x11, .hard = true});
    feed_say_it(feed_make_flush(XFRM_MSG_FLUSHSA, in.proto));
    expect(x, ITW_ERR_SA_NONE, 0, 0);
    expect_event(x, ITW_SOURCE_GONE, 0x11, ITW_OK);
    expect_no_event(x);
  }
}

static void larval(void **state)
{
  struct itw_xfrm *const x = *state;
  make((struct feed_sa){.src = there, .dst = here, .spi = 0x11, .reqid = 1});
  expect(x, ITW_ERR_SA_LARVAL, 0x11, 0);
  make(outbound(0x21, 5));
  expect(x, ITW_ERR_SA_HALF, 0, 0x21);
  struct feed_sa in = inbound(0x11, 5);
  in.type = XFRM_MSG_UPDSA; /* charon's are */
  make(in);
  expect(x, ITW_OK, 0x11, 0x21);
}

/* New keys under the same SPI: the old pair is gone, and its other half has a new partner. */
static void other_keys(void **state)
{
  struct itw_xfrm *const x = *state;
  make(inbound(0x11, 1)), make(outbound(0x21, 1));
  settle(x);
  expect_event(x, ITW_SOURCE_UP, 0x11, ITW_OK);
  struct feed_sa in = inbound(0x11, 1);
  in.type = XFRM_MSG_UPDSA;
  make(in);
  expect(x, ITW_OK, 0x11, 0x21);
  expect_no_event(x); /* nothing has changed */
  in.key = 0x77;
  make(in);
  expect(x, ITW_OK, 0x11, 0x21);
  expect_event(x, ITW_SOURCE_GONE, 0x11, ITW_OK);
  expect_event(x, ITW_SOURCE_UP, 0x11, ITW_OK);
}

/* ---- whose traffic ---- */

static const struct itw_addr inner_here = {.family = 4, .ip = {10, 1, 0, 7}}, inner_there = {.family = 4, .ip = {10, 2, 0, 9}};

static struct feed_policy policy(uint32_t index, uint32_t reqid)
{
  return (struct feed_policy){.index = index, .reqid = reqid, .src = here, .dst = there, .local = inner_here, .remote = inner_there,
                              .local_bits = 16, .remote_bits = 24};
}

static void make_tunnel(void)
{
  struct feed_sa in = inbound(0x11, 1), out = outbound(0x21, 1);
  in.mode = out.mode = XFRM_MODE_TUNNEL;
  make(in), make(out);
}

static void expect_inside(struct itw_xfrm *x, bool covered)
{
  settle(x);
  if (covered)
    expect_found(x, &inner_here, &inner_there, ITW_OK, 0x11, 0x21);
  else
    expect_found(x, &inner_here, &inner_there, ITW_ERR_SA_NONE, 0, 0);
  expect_found(x, &here, &there, ITW_OK, 0x11, 0x21); /* between its own ends in any case */
}

static void tunnel(void **state)
{
  struct itw_xfrm *const x = *state;
  struct feed_policy p = policy(1, 1);
  make_tunnel();
  expect_inside(x, false);
  feed_say_it(feed_make_policy(p));
  expect_inside(x, true);
  expect_found(x, &inner_there, &inner_here, ITW_ERR_SA_NONE, 0, 0); /* the policy is for one direction */
  p.type = XFRM_MSG_POLEXPIRE;
  feed_say_it(feed_make_policy(p));
  expect_inside(x, true);
  p.hard = true;
  feed_say_it(feed_make_policy(p));
  expect_inside(x, false);
  feed_say_it(feed_make_policy(policy(2, 0))); /* any SA of the tunnel */
  expect_inside(x, true);
  p = policy(2, 0);
  p.type = XFRM_MSG_DELPOLICY;
  feed_say_it(feed_make_policy(p));
  expect_inside(x, false);
  feed_say_it(feed_make_policy(policy(3, 1)));
  expect_inside(x, true);
  feed_say_it(feed_make_flush(XFRM_MSG_FLUSHPOLICY, 0));
  expect_inside(x, false);
}

static void policy_comes_first(void **state)
{
  struct itw_xfrm *const x = *state;
  feed_say_it(feed_make_policy(policy(1, 1)));
  make_tunnel();
  expect_inside(x, true);
  struct itw_xfrm *const late = feed_open(CAPACITY);
  expect_inside(late, true);
  itw_xfrm_free(late);
}

static void other_policies(void **state)
{
  struct itw_xfrm *const x = *state;
  struct feed_policy other[5];
  for (uint32_t i = 0; i < 5; i++) other[i] = policy(i + 1, 1);
  other[0].reqid = 2;
  other[1].if_id = 3;
  other[2].remote.ip[2] = 1;
  other[3].dst.ip[3] = 3;
  other[4].proto = IPPROTO_SCTP;
  make_tunnel();
  for (size_t i = 0; i < 5; i++) feed_say_it(feed_make_policy(other[i]));
  expect_inside(x, false);
}

static void ports(void **state)
{
  struct itw_xfrm *const x = *state;
  const struct itw_addr server = with_port(inner_there, 862), other = with_port(inner_there, 863);
  struct feed_policy p = policy(1, 1);
  p.proto = IPPROTO_TCP;
  p.remote.port = 862;
  make_tunnel();
  feed_say_it(feed_make_policy(p));
  settle(x);
  expect_found(x, &inner_here, &server, ITW_OK, 0x11, 0x21);
  expect_found(x, &inner_here, &other, ITW_ERR_SA_NONE, 0, 0);
}

#define WITH_SOURCE(test) cmocka_unit_test_setup_teardown(test, open_source, close_source)

int main(void)
{
  static const struct CMUnitTest tests[] = {
    WITH_SOURCE(two_halves),      WITH_SOURCE(only_alike),           cmocka_unit_test(in_any_order),
    WITH_SOURCE(within_a_second), WITH_SOURCE(responder_of_a_rekey), WITH_SOURCE(both_ways_round),
    WITH_SOURCE(one_way_by_hand),
    WITH_SOURCE(same_spis),       WITH_SOURCE(over_ipv6),            WITH_SOURCE(kinds),
    WITH_SOURCE(larval),          WITH_SOURCE(other_keys),           WITH_SOURCE(tunnel),
    WITH_SOURCE(policy_comes_first), WITH_SOURCE(other_policies),    WITH_SOURCE(ports),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
