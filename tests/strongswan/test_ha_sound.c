/* SPDX-License-Identifier: BSD-3-Clause */
/* The HA feed's recording with one datagram cut or one bit of it flipped, each in turn: whatever comes of it, nobody counts
   before being authenticated, and the table stays sound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "feed.h"
#include "vec.h"

enum { DATAGRAMS = 14, CAPACITY = 8, UPDATE = 2 /* the first IKE_UPDATE */ };

static int load(void **state)
{
  static struct datagram all[DATAGRAMS];
  struct vec *const vec = vec_load("strongswan/ha-feed.vec");
  size_t n = 0;

  for (const struct vec_section *s = vec_first(vec, "datagram"); s; s = vec_next(vec, s, "datagram"), n++)
    all[n].len = vec_hex(s, "wire", all[n].octets, sizeof all[n].octets);
  vec_free(vec);
  *state = all;
  return n != DATAGRAMS;
}

/* In memory of its own length, so that an octet read too far is seen. */
static void say_exactly(struct feed *f, const struct datagram *d)
{
  uint8_t *const own = test_malloc(d->len + !d->len);
  memcpy(own, d->octets, d->len);
  itwi_ha_follow(f->ha, own, d->len, f->now);
  test_free(own);
}

static void hear(struct feed *f)
{
  struct itw_source_event e;
  ITW_INIT(e);
  while (itwi_ha_event(f->ha, &e) == ITW_OK) assert_in_range(e.kind, ITW_SOURCE_UP, ITW_SOURCE_FULL);
}

static void play(const struct datagram *all, size_t which, const struct datagram *spoiled)
{
  struct feed f;

  feed_open(&f, CAPACITY, ITW_IKEV2 | ITW_DRAFT);
  for (size_t i = 0; i < DATAGRAMS; i++) {
    if (i == which)
      say_exactly(&f, spoiled);
    else
      say(&f, all[i]);
    if (i < UPDATE && which != 1) assert_int_equal(f.ha->n_ike + f.ha->n_child, 0); /* 1 could become an UPDATE */
  }
  feed_check(&f);
  hear(&f);
  pass(&f, 2);
  hear(&f);
  feed_check(&f);
  feed_close(&f);
}

static void each_flipped_bit(void **state)
{
  static const size_t kinds[] = {0, 1, 2, 3, 8, 9}; /* IKE_ADD, IKE_MID, IKE_UPDATE, CHILD_ADD, IKE_ADD of a rekey, IKE_DELETE */
  const struct datagram *const all = *state;

  for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
    struct datagram d = all[kinds[k]];
    for (size_t bit = 0; bit < 8 * d.len; bit++) {
      d.octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
      play(all, kinds[k], &d);
      d.octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
  }
}

static void each_truncation(void **state)
{
  const struct datagram *const all = *state;

  for (size_t i = 0; i < DATAGRAMS; i++)
    for (struct datagram d = all[i]; d.len > 0;) {
      d.len--;
      play(all, i, &d);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_flipped_bit), cmocka_unit_test(each_truncation)};
  return cmocka_run_group_tests_name("ha_sound", tests, load, NULL);
}
