/* SPDX-License-Identifier: BSD-3-Clause */
/* The ring as a source of live SAs uses it: ends, selectors, rekeys. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "sas.h"
#include <stdlib.h>
#include <string.h>

enum { CAPACITY = 4 };

static int open_ring(void **state) { return itw_keyring_new((itw_keyring **)state, CAPACITY, NULL); }
static int close_ring(void **state)
{
  itw_keyring_free(*state);
  return 0;
}

static struct itw_addr with_port(struct itw_addr a, uint16_t port)
{
  a.port = port;
  return a;
}

/* From one address to itself, all ports. */
static struct itw_selector between(struct itw_addr local, struct itw_addr remote)
{
  struct itw_selector s;
  ITW_INIT(s);
  s.local_from = with_port(local, 0), s.local_to = with_port(local, 65535);
  s.remote_from = with_port(remote, 0), s.remote_to = with_port(remote, 65535);
  return s;
}

static struct itw_ask from_to(struct itw_addr local, struct itw_addr remote)
{
  struct itw_ask a = ask(ITW_ASK_SELECT, ITW_ROLE_SERVER, ITW_SHARED, ITW_MODE_ENC);
  a.local = local;
  a.remote = remote;
  return a;
}

static struct itw_ike_sa ike_between(uint64_t spi, struct itw_addr local, struct itw_addr peer)
{
  struct itw_ike_sa s = ike(spi, spi);
  s.local = local;
  s.peer = peer;
  s.established = spi;
  return s;
}

static void expect_shared(itw_keyring *ring, struct itw_ask a, const struct itw_sa *s)
{
  if (s)
    expect_sa(answer(ring, a), ITW_SHARED, ITW_MODE_ENC, *s);
  else
    expect_none(answer(ring, a), ITW_ERR_SA_NONE);
}

#define HERE ip4(192, 0, 2, 1)
#define THERE ip4(192, 0, 2, 2)
#define INNER_HERE ip4(10, 1, 0, 7)
#define INNER_THERE ip4(10, 2, 0, 9)

/* ---- ends ---- */

static void our_end_counts(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_ike_sa one = ike_between(1, ip4(192, 0, 2, 1), THERE), two = ike_between(2, ip4(192, 0, 2, 11), THERE);
  assert_int_equal(add_ike(ring, one), ITW_OK);
  assert_int_equal(add_ike(ring, two), ITW_OK);
  expect_shared(ring, from_to(ip4(192, 0, 2, 1), THERE), &one.sa);
  expect_shared(ring, from_to(ip4(192, 0, 2, 11), THERE), &two.sa);
  expect_shared(ring, from_to(ip4(192, 0, 2, 12), THERE), NULL);
  expect_none(answer(ring, ask_sa(ITW_ASK_SELECT, ITW_ROLE_CLIENT, ITW_SHARED, two.sa)), ITW_ERR_SA_MISMATCH);

  struct itw_ike_sa wrong = ike_between(3, ip6(1), THERE);
  assert_int_equal(add_ike(ring, wrong), ITW_ERR_ARGUMENT);
  wrong.local.family = 5;
  assert_int_equal(add_ike(ring, wrong), ITW_ERR_ARGUMENT);
}

/* ---- selectors ---- */

static void a_tunnel_covers_its_inside(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_ike_sa s = ike_between(1, HERE, THERE);
  const struct itw_selector inside = between(INNER_HERE, INNER_THERE);
  const struct itw_ask a = from_to(INNER_HERE, INNER_THERE);
  struct itw_ask named = ask_sa(ITW_ASK_SELECT, ITW_ROLE_CLIENT, ITW_SHARED, s.sa);
  named.local = INNER_HERE, named.remote = INNER_THERE;

  assert_int_equal(itw_keyring_add_selector(ring, &s.sa, &inside), ITW_EMPTY);
  assert_int_equal(add_ike(ring, s), ITW_OK);
  expect_shared(ring, a, NULL);
  expect_none(answer(ring, named), ITW_ERR_SA_MISMATCH);
  assert_int_equal(itw_keyring_add_selector(ring, &s.sa, &inside), ITW_OK);
  expect_shared(ring, a, &s.sa);
  expect_sa(answer(ring, named), ITW_SHARED, SA_MODES, s.sa);
  expect_shared(ring, from_to(HERE, THERE), &s.sa);
  expect_shared(ring, from_to(INNER_HERE, ip4(10, 2, 0, 10)), NULL);
  expect_shared(ring, from_to(ip4(10, 1, 0, 8), INNER_THERE), NULL);
  expect_shared(ring, from_to(INNER_THERE, INNER_HERE), NULL);
  assert_int_equal(itw_keyring_clear_selectors(ring, &s.sa), ITW_OK);
  expect_shared(ring, a, NULL);
  expect_shared(ring, from_to(HERE, THERE), &s.sa);
}

static void ranges_and_ports(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_ike_sa s = ike_between(1, HERE, THERE);
  struct itw_selector r = between(ip4(10, 1, 0, 0), ip4(10, 2, 0, 0));
  r.local_to.ip[3] = 255;
  r.remote_from = with_port(ip4(10, 2, 0, 200), 800), r.remote_to = with_port(ip4(10, 2, 1, 3), 900);
  assert_int_equal(add_ike(ring, s), ITW_OK);
  assert_int_equal(itw_keyring_add_selector(ring, &s.sa, &r), ITW_OK);

  static const struct {
    uint8_t third, fourth;
    uint16_t port;
    bool inside;
  } cases[] = {{0, 200, 800, true},  {0, 199, 800, false}, {0, 200, 799, false}, {1, 3, 900, true},
               {1, 4, 900, false},   {1, 3, 901, false},   {0, 255, 862, true},  {0, 201, 0, true}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    expect_shared(ring, from_to(INNER_HERE, with_port(ip4(10, 2, cases[i].third, cases[i].fourth), cases[i].port)),
                  cases[i].inside ? &s.sa : NULL);

  struct itw_selector six = between(ip6(1), ip6(2));
  assert_int_equal(itw_keyring_add_selector(ring, &s.sa, &six), ITW_OK);
  expect_shared(ring, from_to(ip6(1), ip6(2)), &s.sa);
  expect_shared(ring, from_to(ip6(1), ip6(3)), NULL);
}

static void wrong_selectors(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_ike_sa s = ike_between(1, HERE, THERE);
  struct itw_selector r;
  assert_int_equal(add_ike(ring, s), ITW_OK);
#define REFUSED(status, change)                                           \
  do {                                                                    \
    r = between(INNER_HERE, INNER_THERE);                                 \
    change;                                                               \
    assert_int_equal(itw_keyring_add_selector(ring, &s.sa, &r), status);  \
  } while (0)
  REFUSED(ITW_ERR_SIZE, r.size--);
  REFUSED(ITW_ERR_ARGUMENT, r.mbz = 1);
  REFUSED(ITW_ERR_ARGUMENT, r.local_from.family = 0);
  REFUSED(ITW_ERR_ARGUMENT, r.remote_to.family = 6);
  REFUSED(ITW_ERR_ARGUMENT, r.local_from.scope = 1);
  REFUSED(ITW_ERR_ARGUMENT, r.remote_to.scope = 1);
#undef REFUSED
  assert_int_equal(itw_keyring_add_selector(ring, &s.sa, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_add_selector(ring, NULL, &r), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_add_selector(NULL, &s.sa, &r), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_clear_selectors(ring, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_keyring_retire(ring, NULL), ITW_ERR_ARGUMENT);
  expect_shared(ring, from_to(INNER_HERE, INNER_THERE), NULL);
}

/* Endpoints equal to the connection's addresses come before selectors that cover them, however new those are. */
static void endpoints_before_selectors(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_ike_sa old = ike_between(1, HERE, THERE), new = ike_between(2, HERE, ip4(192, 0, 2, 3)),
                          newer = ike_between(3, HERE, ip4(192, 0, 2, 4));
  const struct itw_selector cover = between(HERE, THERE);
  struct itw_ike_sa net = ike_between(4, HERE, ip4(192, 0, 2, 0));
  net.peer_prefix = 24;

  assert_int_equal(add_ike(ring, net), ITW_OK);
  expect_shared(ring, from_to(HERE, THERE), &net.sa);
  assert_int_equal(add_ike(ring, new), ITW_OK);
  assert_int_equal(itw_keyring_add_selector(ring, &new.sa, &cover), ITW_OK);
  expect_shared(ring, from_to(HERE, THERE), &new.sa); /* closer than a prefix */
  assert_int_equal(add_ike(ring, newer), ITW_OK);
  assert_int_equal(itw_keyring_add_selector(ring, &newer.sa, &cover), ITW_OK);
  expect_shared(ring, from_to(HERE, THERE), &newer.sa);
  assert_int_equal(add_ike(ring, old), ITW_OK);
  expect_shared(ring, from_to(HERE, THERE), &old.sa);
}

static void selectors_are_bounded_and_come_back(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_ike_sa a = ike_between(1, HERE, THERE), b = ike_between(2, HERE, THERE);
  const struct itw_selector r = between(INNER_HERE, INNER_THERE);
  assert_int_equal(add_ike(ring, a), ITW_OK);
  assert_int_equal(add_ike(ring, b), ITW_OK);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 2 * CAPACITY; i++)
      assert_int_equal(itw_keyring_add_selector(ring, i & 1 ? &a.sa : &b.sa, &r), ITW_OK);
    assert_int_equal(itw_keyring_add_selector(ring, &a.sa, &r), ITW_ERR_FULL);
    expect_shared(ring, from_to(INNER_HERE, INNER_THERE), &b.sa);
    assert_int_equal(itw_keyring_remove(ring, &b.sa), ITW_OK);
    expect_shared(ring, from_to(INNER_HERE, INNER_THERE), &a.sa);
    assert_int_equal(itw_keyring_clear_selectors(ring, &a.sa), ITW_OK);
    assert_int_equal(add_ike(ring, b), ITW_OK);
  }
}

/* ---- keys that can't be had ---- */

static void keyless(void **state)
{
  itw_keyring *ring = *state;
  struct itw_child_sa s = esp(1, 2);
  s.keymat_len = 0;
  s.sa.prf = 0;
  s.keyless = ITW_ERR_SA_REDACTED;
  memset(s.encr_key_i, 0, sizeof s.encr_key_i);
  assert_int_equal(add_child(ring, s), ITW_OK);
  expect_none(select_as_server(ring, ITW_DIRECT, ITW_MODE_ENC), ITW_ERR_SA_REDACTED);
  expect_none(answer(ring, ask_sa(ITW_ASK_PAIR, ITW_ROLE_SERVER, ITW_DIRECT, s.sa)), ITW_ERR_SA_REDACTED);
  expect_sa(select_as_server(ring, ITW_DIRECT, ALL_MODES), ITW_DIRECT, ITW_MODE_OPEN, s.sa);
}

/* ---- rekeys ---- */

static struct itw_ask sid_pair(struct itw_sa s) { return ask_sa(ITW_ASK_SID_PAIR, ITW_ROLE_SERVER, ITW_SHARED_SID, s); }

static void retired(void **state)
{
  itw_keyring *ring = *state;
  const struct itw_ike_sa s = ike_between(1, HERE, THERE);
  struct itw_ike_sa of_another_scheme = ike_between(2, HERE, ip4(192, 0, 2, 9));
  of_another_scheme.schemes = ITW_ROOT | ITW_SHARED;
  assert_int_equal(add_ike(ring, s), ITW_OK);
  assert_int_equal(add_ike(ring, of_another_scheme), ITW_OK);
  expect_shared(ring, from_to(HERE, THERE), &s.sa);

  assert_int_equal(itw_keyring_retire(ring, &s.sa), ITW_OK);
  assert_int_equal(itw_keyring_retire(ring, &s.sa), ITW_EMPTY);
  expect_shared(ring, from_to(HERE, THERE), NULL);
  expect_none(answer(ring, ask_sa(ITW_ASK_SELECT, ITW_ROLE_CLIENT, ITW_SHARED, s.sa)), ITW_ERR_SA_MISMATCH);
  expect_none(answer(ring, ask_sa(ITW_ASK_TOKEN_KEY, ITW_ROLE_SERVER, ITW_SHARED_SID, s.sa)), ITW_ERR_SA_GONE);
  expect_none(answer(ring, ask_sa(ITW_ASK_ROOT, ITW_ROLE_SERVER, ITW_ROOT, s.sa)), ITW_ERR_SA_GONE);
  expect_none(answer(ring, ask_sa(ITW_ASK_TOKEN_KEY, ITW_ROLE_SERVER, ITW_IKEV2, s.sa)), ITW_ERR_SA_NONE);
  expect_secret(answer(ring, sid_pair(s.sa)), s.skeyseed, 32);

  assert_int_equal(itw_keyring_retire(ring, &of_another_scheme.sa), ITW_OK);
  expect_none(answer(ring, sid_pair(of_another_scheme.sa)), ITW_ERR_SA_GONE);
  assert_int_equal(itw_keyring_remove(ring, &of_another_scheme.sa), ITW_EMPTY);

  assert_int_equal(add_ike(ring, s), ITW_OK); /* the same SPIs again, alive */
  expect_shared(ring, from_to(HERE, THERE), &s.sa);
  assert_int_equal(itw_keyring_retire(ring, &s.sa), ITW_OK);
  assert_int_equal(itw_keyring_remove(ring, &s.sa), ITW_OK);
  expect_none(answer(ring, sid_pair(s.sa)), ITW_ERR_SA_GONE);
}

static void retired_make_room(void **state)
{
  itw_keyring *ring = *state;
  for (uint64_t i = 1; i <= CAPACITY; i++) assert_int_equal(add_ike(ring, ike(i, i)), ITW_OK);
  const struct itw_sa one = sa(ITW_SA_IKE, 1, 1), three = sa(ITW_SA_IKE, 3, 3), two = sa(ITW_SA_IKE, 2, 2);
  assert_int_equal(add_ike(ring, ike(9, 9)), ITW_ERR_FULL);
  assert_int_equal(itw_keyring_retire(ring, &three), ITW_OK);
  assert_int_equal(itw_keyring_retire(ring, &one), ITW_OK);
  assert_int_equal(itw_keyring_retire(ring, &two), ITW_OK);
  assert_int_equal(itw_keyring_remove(ring, &one), ITW_OK); /* from between the others */
  assert_int_equal(add_ike(ring, ike(10, 10)), ITW_OK);     /* the place that came free */
  assert_int_equal(answer(ring, sid_pair(three)).kind, ITW_ANS_SECRET);
  assert_int_equal(add_ike(ring, ike(11, 11)), ITW_OK);
  expect_none(answer(ring, sid_pair(three)), ITW_ERR_SA_GONE); /* the first that was retired */
  assert_int_equal(answer(ring, sid_pair(two)).kind, ITW_ANS_SECRET);
  assert_int_equal(add_psk(ring, "ann", "secret"), ITW_OK);
  expect_none(answer(ring, sid_pair(two)), ITW_ERR_SA_GONE);
  assert_int_equal(add_ike(ring, ike(12, 12)), ITW_ERR_FULL);
}

static bool holds(const void *block, size_t n, const void *octets, size_t len)
{
  for (size_t i = 0; i + len <= n; i++)
    if (!memcmp((const uint8_t *)block + i, octets, len)) return true;
  return false;
}

static void retired_keeps_only_what_it_needs(void **state)
{
  (void)state;
  static uint64_t memory[ITW_KEYRING_BOUND(1) / 8];
  const struct itw_child_sa s = esp(0x1111, 0x2222);
  itw_keyring *ring;
  assert_int_equal(itw_keyring_init(&ring, memory, sizeof memory, 1, NULL), ITW_OK);
  assert_int_equal(add_child(ring, s), ITW_OK);
  assert_int_equal(itw_keyring_retire(ring, &s.sa), ITW_OK);
  const uint8_t *const at = memchr(memory, 1, sizeof memory); /* KEYMAT is 0, 1, 2 ... and holds all keys once */
  assert_non_null(at);
  assert_true(holds(memory, sizeof memory, s.keymat, 72));
  uint8_t *const copy = malloc(sizeof memory);
  assert_non_null(copy);
  memcpy(copy, memory, sizeof memory);
  for (size_t i = 0; i + 72 <= sizeof memory; i++)
    if (!memcmp(copy + i, s.keymat, 72)) memset(copy + i, 0xff, 72);
  assert_false(holds(copy, sizeof memory, s.integ_key_r, 20));
  assert_false(holds(copy, sizeof memory, s.encr_key_r, 16));
  free(copy);
  itw_keyring_free(ring);
}

/* ---- against a list that is walked ---- */

enum { MANY = 24, HOSTS = 5, STEPS = 20000 };

struct listed {
  struct itw_ike_sa sa;
  struct itw_selector selectors[3];
  unsigned n;
  bool there, gone; /* gone: retired */
};

static uint32_t draw(uint64_t *seed, uint32_t n)
{
  *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(*seed >> 33) % n;
}

static struct itw_addr a_host(uint64_t *seed) { return ip4(10, 0, 0, (uint8_t)(1 + draw(seed, HOSTS))); }

static int closeness(const struct listed *l, const struct itw_ask *a)
{
  const bool ours = !l->sa.local.family || !memcmp(l->sa.local.ip, a->local.ip, 16);
  const bool any = !l->sa.peer.family, net = l->sa.peer_prefix != 0;
  const bool theirs = any || (net ? !memcmp(l->sa.peer.ip, a->remote.ip, 3) : !memcmp(l->sa.peer.ip, a->remote.ip, 16));
  if (ours && theirs && !any && !net) return 3;
  for (unsigned i = 0; i < l->n; i++) {
    const struct itw_selector *const s = &l->selectors[i];
    if (s->local_from.ip[3] <= a->local.ip[3] && a->local.ip[3] <= s->local_to.ip[3] &&
        s->remote_from.ip[3] <= a->remote.ip[3] && a->remote.ip[3] <= s->remote_to.ip[3])
      return 2;
  }
  return ours && theirs ? net : -1;
}

static const struct listed *best(const struct listed *l, const struct itw_ask *a)
{
  const struct listed *found = NULL;
  int close = -1;
  for (unsigned i = 0; i < MANY; i++) {
    const int c = l[i].there && !l[i].gone ? closeness(&l[i], a) : -1;
    if (c < 0 || c < close || (c == close && found && l[i].sa.established < found->sa.established)) continue;
    found = &l[i];
    close = c;
  }
  return found;
}

static void step(itw_keyring *ring, struct listed *l, uint64_t *seed, uint64_t now)
{
  const uint32_t what = draw(seed, 6);
  if (!l->there) {
    l->sa = ike_between(now, draw(seed, 2) ? a_host(seed) : (struct itw_addr){0}, a_host(seed));
    if (!draw(seed, 4)) l->sa.peer_prefix = 24;
    if (!draw(seed, 8)) l->sa.peer = (struct itw_addr){0}, l->sa.peer_prefix = 0;
    l->sa.sa.spi_i = 1 + draw(seed, 4); /* chains have several links */
    assert_int_equal(add_ike(ring, l->sa), ITW_OK);
    l->there = true;
    l->gone = false;
    l->n = 0;
  } else if (l->gone || what == 0) {
    assert_int_equal(itw_keyring_remove(ring, &l->sa.sa), ITW_OK);
    l->there = false;
  } else if (what == 1) {
    assert_int_equal(itw_keyring_retire(ring, &l->sa.sa), ITW_OK);
    l->gone = true;
  } else if (what == 2) {
    assert_int_equal(itw_keyring_clear_selectors(ring, &l->sa.sa), ITW_OK);
    l->n = 0;
  } else if (l->n < 3) {
    struct itw_selector *const s = &l->selectors[l->n];
    *s = between(a_host(seed), a_host(seed));
    if (draw(seed, 2)) s->remote_to.ip[3] = (uint8_t)(s->remote_from.ip[3] + draw(seed, 2));      /* a range, or /31 */
    if (draw(seed, 2)) s->remote_from.ip[3] &= 4, s->remote_to.ip[3] = s->remote_from.ip[3] | 3; /* /30 */
    if (itw_keyring_add_selector(ring, &l->sa.sa, s) == ITW_OK) l->n++;
  }
}

static void against_a_list(void **state)
{
  (void)state;
  static struct listed list[MANY];
  itw_keyring *ring;
  uint64_t seed = 2026;
  unsigned found = 0;

  assert_int_equal(itw_keyring_new(&ring, MANY, NULL), ITW_OK);
  for (uint64_t n = 1; n <= STEPS; n++) {
    step(ring, &list[draw(&seed, MANY)], &seed, n);
    const struct itw_ask a = from_to(a_host(&seed), a_host(&seed));
    const struct listed *const l = best(list, &a);
    expect_shared(ring, a, l ? &l->sa.sa : NULL);
    found += l != NULL;
    const struct listed *const other = &list[draw(&seed, MANY)];
    if (other->there && other->gone) expect_secret(answer(ring, sid_pair(other->sa.sa)), other->sa.skeyseed, 32);
  }
  assert_in_range(found, STEPS / 2, STEPS - 1);
  itw_keyring_free(ring);
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, open_ring, close_ring)

int main(void)
{
  const struct CMUnitTest tests[] = {
    RING_TEST(our_end_counts), RING_TEST(a_tunnel_covers_its_inside), RING_TEST(ranges_and_ports), RING_TEST(wrong_selectors),
    RING_TEST(endpoints_before_selectors), RING_TEST(selectors_are_bounded_and_come_back), RING_TEST(keyless),
    RING_TEST(retired), RING_TEST(retired_make_room), cmocka_unit_test(retired_keeps_only_what_it_needs),
    cmocka_unit_test(against_a_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
