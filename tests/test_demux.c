/* SPDX-License-Identifier: BSD-3-Clause */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "demux.h"
#include "plane.h"

enum { SLOTS = 1024 };

struct slot {
  struct itwi_peer peer;
  uint32_t more[11]; /* what stands behind it in a shard's slot */
};
struct bed {
  struct itwi_backend backend;
  struct itwi_random random;
  struct itwi_demux demux;
  struct slot slots[SLOTS];
  bool used[SLOTS];
  uint32_t heads[4 * SLOTS];
};

static struct bed *bed_new(uint32_t n, uint8_t seed)
{
  struct bed *b = calloc(1, sizeof *b);
  uint8_t octets[32];
  memset(octets, seed, sizeof octets);
  assert_non_null(b);
  assert_int_equal(itwi_backend_open(&b->backend, NULL), ITW_OK);
  assert_int_equal(itwi_random_open(&b->random, &b->backend, octets), ITW_OK);
  assert_int_equal(itwi_demux_init(&b->demux, b->heads, itwi_demux_heads(n), b->slots, sizeof b->slots[0], &b->random),
                   ITW_OK);
  return b;
}

static void bed_free(struct bed *b)
{
  itwi_random_close(&b->random);
  itwi_backend_close(&b->backend);
  free(b);
}

static itw_status add(struct bed *b, uint32_t slot, struct itw_addr remote, struct itw_addr local)
{
  b->slots[slot].peer.remote = remote;
  b->slots[slot].peer.local = local;
  const itw_status s = itwi_demux_add(&b->demux, slot);
  b->used[slot] = s == ITW_OK;
  return s;
}

static struct itw_addr v4(uint8_t last, uint16_t port, uint32_t scope)
{
  return (struct itw_addr){.family = 4, .port = port, .scope = scope, .ip = {192, 0, 2, last}};
}
static struct itw_addr v6(uint8_t last, uint16_t port, uint32_t scope)
{
  return (struct itw_addr){.family = 6, .port = port, .scope = scope, .ip = {0xfe, 0x80, [15] = last}};
}

static void heads_are_enough(void **state)
{
  (void)state;
  for (uint32_t n = 1; n <= 1u << 20; n += 1 + n / 9) {
    const uint32_t heads = itwi_demux_heads(n);
    assert_true(heads >= 2 * n && heads <= 4 * n && (heads & (heads - 1)) == 0);
  }
}

/* Each part of the addresses counts, family and scope too. */
static void every_part_counts(void **state)
{
  struct bed *b = bed_new(SLOTS, 1);
  const struct itw_addr r = v6(1, 1000, 3), l = v6(2, 862, 5);
  (void)state;

  assert_int_equal(add(b, 0, r, l), ITW_OK);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &l), 0);
  for (size_t bit = 0; bit < 2 * 8 * sizeof r; bit++) {
    struct itw_addr both[2] = {r, l};
    uint8_t octets[sizeof both];
    memcpy(octets, both, sizeof both);
    octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
    memcpy(both, octets, sizeof both);
    assert_int_equal(itwi_demux_find(&b->demux, &both[0], &both[1]), ITWI_NOBODY);
  }
  assert_int_equal(add(b, 1, r, l), ITW_ERR_COLLISION);
  assert_int_equal(add(b, 1, v6(1, 1000, 4), l), ITW_OK);
  bed_free(b);
}

static void the_most_specific_wins(void **state)
{
  struct bed *b = bed_new(4, 2);
  const struct itw_addr r = v4(1, 1000, 0), l = v4(2, 862, 7), any = {0}, host = {.port = 862, .scope = 7};
  const struct itw_addr other_r = v4(9, 1000, 0), other_l = v4(3, 862, 7), other_port = v4(2, 863, 7);
  const struct itw_addr other_scope = v4(2, 862, 8);
  (void)state;

  assert_int_equal(add(b, 3, any, host), ITW_OK);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &l), 3);
  assert_int_equal(add(b, 2, any, l), ITW_OK);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &l), 2);
  assert_int_equal(add(b, 1, r, host), ITW_OK);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &l), 1);
  assert_int_equal(add(b, 0, r, l), ITW_OK);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &l), 0);

  assert_int_equal(itwi_demux_find(&b->demux, &other_r, &l), 2);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &other_l), 1);
  assert_int_equal(itwi_demux_find(&b->demux, &other_r, &other_l), 3);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &other_port), ITWI_NOBODY);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &other_scope), ITWI_NOBODY);
  for (uint16_t n = 1; n < 100; n++) { /* some of them are hashed like the right ones */
    const struct itw_addr scope = v4(2, 862, 7u + n), port = v4(2, (uint16_t)(862 + n), 7);
    assert_int_equal(itwi_demux_find(&b->demux, &r, &scope), ITWI_NOBODY);
    assert_int_equal(itwi_demux_find(&b->demux, &r, &port), ITWI_NOBODY);
  }
  assert_int_equal(itwi_demux_find(&b->demux, &r, &host), 1); /* the packet's address isn't known */
  assert_int_equal(itwi_demux_find(&b->demux, &other_r, &host), 3);

  itwi_demux_remove(&b->demux, 1);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &host), 3);
  itwi_demux_remove(&b->demux, 3);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &host), ITWI_NOBODY);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &l), 0);
  bed_free(b);
}

/* A wildcard's key is the same whatever stood in what it leaves open. */
static void what_is_left_open_is_cleared(void **state)
{
  struct bed *b = bed_new(4, 3);
  struct itw_addr any = v4(77, 99, 3);
  (void)state;

  any.family = 0;
  assert_int_equal(add(b, 0, any, v4(2, 862, 0)), ITW_OK);
  assert_int_equal(add(b, 1, (struct itw_addr){0}, v4(2, 862, 0)), ITW_ERR_COLLISION);
  const struct itw_addr r = v4(5, 5, 5), l = v4(2, 862, 0);
  assert_int_equal(itwi_demux_find(&b->demux, &r, &l), 0);
  bed_free(b);
}

static uint32_t naive(const struct bed *b, const struct itw_addr *r, const struct itw_addr *l)
{
  for (uint32_t i = 0; i < SLOTS; i++)
    if (b->used[i] && !memcmp(&b->slots[i].peer.remote, r, sizeof *r) && !memcmp(&b->slots[i].peer.local, l, sizeof *l))
      return i;
  return ITWI_NOBODY;
}

/* Adding and removing at random against a list. Few addresses, so that there are collisions; few heads, so that chains are
   long. */
static void like_a_list(void **state)
{
  struct bed *b = bed_new(16, 4);
  uint32_t x = 12345, collisions = 0;
  (void)state;

  for (unsigned turn = 0; turn < 100000; turn++) {
    x = x * 1664525u + 1013904223u;
    const uint32_t slot = x >> 8 & (SLOTS / 8 - 1);
    const struct itw_addr r =
        x >> 31 ? v4((uint8_t)(x >> 24 & 7), (uint16_t)(x >> 16 & 7), 0) : v6((uint8_t)(x >> 24 & 7), 9, 1);
    const struct itw_addr l = x >> 31 ? v4(1, 862, 0) : v6(2, 862, 1);
    const uint32_t there = naive(b, &r, &l);
    assert_int_equal(itwi_demux_find(&b->demux, &r, &l), there);
    (void)itwi_demux_ahead(&b->demux, itwi_demux_hint(&b->demux, &r, &l));
    if (b->used[slot]) {
      itwi_demux_remove(&b->demux, slot);
      b->used[slot] = false;
    } else {
      assert_int_equal(add(b, slot, r, l), there == ITWI_NOBODY ? ITW_OK : ITW_ERR_COLLISION);
      collisions += there != ITWI_NOBODY;
    }
  }
  assert_true(collisions > 1000);
  bed_free(b);
}

static uint32_t longest(const struct bed *b, uint32_t heads)
{
  uint32_t most = 0;
  for (uint32_t h = 0; h < heads; h++) {
    uint32_t n = 0;
    for (uint32_t i = b->heads[h]; i != ITWI_NOBODY; i = b->slots[i].peer.next) n++;
    if (n > most) most = n;
  }
  return most;
}

/* Regular addresses, as real ones are, spread like random ones, for any seed; and seeds differ. */
static void regular_addresses_spread(void **state)
{
  uint32_t first[2] = {0};
  (void)state;

  for (uint8_t seed = 0; seed < 20; seed++) {
    struct bed *b = bed_new(SLOTS, seed);
    for (uint32_t i = 0; i < SLOTS; i++) {
      struct itw_addr r = v4((uint8_t)i, (uint16_t)(10000 + i / 256), 0);
      assert_int_equal(add(b, i, r, v4(1, (uint16_t)(20000 + i % 3 * 256), 0)), ITW_OK);
    }
    assert_true(longest(b, itwi_demux_heads(SLOTS)) <= 9);
    const struct itw_addr r = v4(0, 10000, 0), l = v4(1, 20000, 0);
    if (seed < 2) first[seed] = itwi_demux_hint(&b->demux, &r, &l);
    bed_free(b);
  }
  assert_int_not_equal(first[0], first[1]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(heads_are_enough),
      cmocka_unit_test(every_part_counts),
      cmocka_unit_test(the_most_specific_wins),
      cmocka_unit_test(what_is_left_open_is_cleared),
      cmocka_unit_test(like_a_list),
      cmocka_unit_test(regular_addresses_spread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
