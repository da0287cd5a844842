/* SPDX-License-Identifier: BSD-3-Clause */
/* What a kernel said while charon made, rekeyed (either side first) and deleted SAs (tests/vectors/xfrm/charon-rekey-…), told to
   the source: pairs, events and keys, against what IKE says of the same SAs (tests/vectors/ikev2). Then with a source that
   starts late, anywhere, with notifications lost, anywhere, and with each bit flipped. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "feed.h"
#include "vec.h"
#include <stdlib.h>

enum { CHILDREN = 3, DATAGRAMS = 64, CAPACITY = 16 };
#define S UINT64_C(1000000000)

struct child {
  struct itw_sa sa; /* as host a sees it: spi_r is its inbound one */
  uint8_t encr_in[64], integ_in[64], encr_out[64], integ_out[64];
  uint16_t encr_len, integ_len;
};

struct recording {
  const char *kernel, *ike;
  itw_status why; /* why the SAs don't serve `direct` */
  uint8_t datagrams[DATAGRAMS][FEED_MESSAGE];
  size_t lens[DATAGRAMS], count;
  struct child children[CHILDREN];
};

static struct recording recordings[] = {
  {.kernel = "xfrm/charon-rekey-u01-esp-transport-aes128cbc-sha1.vec",
   .ike = "ikev2/xfrm-u01-esp-transport-aes128cbc-sha1.vec",
   .why = ITW_OK},
  {.kernel = "xfrm/charon-rekey-u02-ah-transport-sha256.vec",
   .ike = "ikev2/xfrm-u02-ah-transport-sha256.vec",
   .why = ITW_ERR_SA_AH},
  {.kernel = "xfrm/charon-rekey-u03-esp-tunnel-aes256gcm16-esn.vec",
   .ike = "ikev2/xfrm-u03-esp-tunnel-aes256gcm16-esn.vec",
   .why = ITW_ERR_SA_AEAD},
};
enum { RECORDINGS = sizeof recordings / sizeof recordings[0] };

static const struct itw_addr host_a = {.family = 4, .ip = {10, 77, 0, 1}}, host_b = {.family = 4, .ip = {10, 77, 0, 2}};

/* ---- reading ---- */

static void load_child(struct child *c, const struct vec_section *s)
{
  const bool ours = !strcmp(vec_word(s, "initiator"), "a"); /* host a is the initiator of the exchange */
  ITW_INIT(c->sa);
  c->sa.protocol = (uint32_t)vec_u64(s, "protocol");
  c->sa.spi_r = vec_be64(s, ours ? "child_spi_i" : "child_spi_r");
  c->sa.spi_i = vec_be64(s, ours ? "child_spi_r" : "child_spi_i");
  c->encr_len = (uint16_t)vec_hex(s, ours ? "encr_r_to_i" : "encr_i_to_r", c->encr_in, sizeof c->encr_in);
  c->integ_len = (uint16_t)vec_hex(s, ours ? "integ_r_to_i" : "integ_i_to_r", c->integ_in, sizeof c->integ_in);
  vec_hex(s, ours ? "encr_i_to_r" : "encr_r_to_i", c->encr_out, sizeof c->encr_out);
  vec_hex(s, ours ? "integ_i_to_r" : "integ_r_to_i", c->integ_out, sizeof c->integ_out);
}

static int load(void **state)
{
  (void)state;
  for (size_t i = 0; i < RECORDINGS; i++) {
    struct recording *const r = &recordings[i];
    struct vec *const kernel = vec_load(r->kernel), *const ike = vec_load(r->ike);
    size_t n = 0;
    for (const struct vec_section *s = vec_first(kernel, "datagram"); s; s = vec_next(kernel, s, "datagram"), r->count++)
      r->lens[r->count] = vec_hex(s, "wire", r->datagrams[r->count], FEED_MESSAGE);
    for (const struct vec_section *s = vec_first(ike, "child"); s; s = vec_next(ike, s, "child"))
      load_child(&r->children[n++], s);
    assert_int_equal(n, CHILDREN);
    vec_free(kernel);
    vec_free(ike);
  }
  return 0;
}

static void say(const struct recording *r, size_t n) { feed_say(r->datagrams[n], r->lens[n]); }
static void happen(const struct recording *r, size_t n) { feed_happen(r->datagrams[n], r->lens[n]); }

/* ---- looking ---- */

static bool is_same(const struct itw_sa *a, const struct itw_sa *b)
{
  return a->protocol == b->protocol && a->spi_i == b->spi_i && a->spi_r == b->spi_r;
}

/* What can be seen of a source from outside. */
struct view {
  itw_status found;
  struct itw_sa sa;
  uint32_t halves, pairs;
};

static struct view look(const struct itw_xfrm *x)
{
  struct view v = {0};
  ITW_INIT(v.sa);
  v.found = itw_xfrm_find(x, &v.sa, &host_a, &host_b);
  v.halves = itw_xfrm_count(x, &v.pairs);
  return v;
}

/* A source that wasn't there when a half of a pair went can't know that the other half waits for its end, and may pair it with
   one that a rekey left over: until that goes too. */
static void same_view(struct view a, struct view b)
{
  if (b.found == ITW_ERR_SA_HALF && a.found != ITW_ERR_SA_HALF) {
    assert_int_equal(a.halves, b.halves);
    assert_int_equal(a.pairs, b.pairs + 1);
    return;
  }
  assert_string_equal(itw_status_name(a.found), itw_status_name(b.found));
  assert_true(is_same(&a.sa, &b.sa));
  assert_int_equal(a.halves, b.halves);
  assert_int_equal(a.pairs, b.pairs);
}

/* Who reads the events: each SA comes once, and goes once after that. */
struct ledger {
  const struct recording *r;
  uint32_t up, ended; /* bits: children; 1 << CHILDREN: a pair that is none, see above */
  unsigned resyncs;
};

static unsigned child_of(const struct recording *r, const struct itw_sa *sa)
{
  unsigned n = 0;
  while (n < CHILDREN && !is_same(&r->children[n].sa, sa)) n++;
  return n;
}

static void enter(struct ledger *l, const struct itw_source_event *e)
{
  if (e->kind == ITW_SOURCE_RESYNC) {
    l->resyncs++;
    return;
  }
  const uint32_t bit = 1u << child_of(l->r, &e->sa);
  if (e->kind == ITW_SOURCE_UP) {
    assert_int_equal(l->up & bit, 0);
    assert_string_equal(itw_status_name(e->why), itw_status_name(l->r->why));
    l->up |= bit;
  } else {
    assert_true(e->kind == ITW_SOURCE_REKEYED || e->kind == ITW_SOURCE_GONE);
    assert_true(l->up & bit && !(l->ended & bit));
    if (e->kind == ITW_SOURCE_REKEYED) assert_true(child_of(l->r, &e->by) > child_of(l->r, &e->sa));
    l->ended |= bit;
  }
}

static void read_events(struct ledger *l, struct itw_xfrm *x)
{
  struct itw_source_event e;
  ITW_INIT(e);
  while (itw_xfrm_event(x, &e) == ITW_OK) enter(l, &e);
}

/* ---- as it was ---- */

static void expect_event(struct itw_xfrm *x, uint32_t kind, itw_status why, const struct itw_sa *sa, const struct itw_sa *by)
{
  struct itw_source_event e;
  ITW_INIT(e);
  assert_int_equal(itw_xfrm_event(x, &e), ITW_OK);
  assert_int_equal(e.kind, kind);
  assert_string_equal(itw_status_name(e.why), itw_status_name(why));
  assert_true(is_same(&e.sa, sa));
  if (by) assert_true(is_same(&e.by, by));
  assert_memory_equal(&e.local, &host_a, sizeof host_a);
  assert_memory_equal(&e.remote, &host_b, sizeof host_b);
}

static struct itw_answer ask(struct itw_xfrm *x, uint32_t kind, uint32_t role, struct itw_sa sa)
{
  const struct itw_keys keys = itw_xfrm_keys(x);
  struct itw_ask q;
  struct itw_answer a;
  ITW_INIT(q);
  ITW_INIT(a);
  q.kind = kind;
  q.role = role;
  q.schemes = ITW_DIRECT;
  q.modes = kind == ITW_ASK_SELECT ? ITW_MODE_OPEN | ITW_MODE_ENC : ITW_MODE_ENC;
  q.local = host_a;
  q.remote = host_b;
  q.sa = sa;
  assert_int_equal(keys.ops->answer(keys.ctx, &q, &a), ITW_OK);
  return a;
}

/* The keys of the SA whose SPI is spi_r: our inbound one if we are the Server, our outbound one if the Server is the other. */
static void expect_keys(struct itw_xfrm *x, const struct child *c)
{
  struct itw_sa turned = c->sa;
  turned.spi_i = c->sa.spi_r;
  turned.spi_r = c->sa.spi_i;
  const struct itw_answer in = ask(x, ITW_ASK_PAIR, ITW_ROLE_SERVER, c->sa), out = ask(x, ITW_ASK_PAIR, ITW_ROLE_CLIENT, turned);
  assert_int_equal(in.kind, ITW_ANS_DERIVED);
  assert_int_equal(out.kind, ITW_ANS_DERIVED);
  assert_true(in.enc_len == c->encr_len && in.auth_len == c->integ_len);
  assert_memory_equal(in.octets, c->encr_in, c->encr_len);
  assert_memory_equal(in.octets + c->encr_len, c->integ_in, c->integ_len);
  assert_memory_equal(out.octets, c->encr_out, c->encr_len);
  assert_memory_equal(out.octets + c->encr_len, c->integ_out, c->integ_len);
}

static void expect_offer(struct itw_xfrm *x, const struct child *c, itw_status why)
{
  struct itw_sa turned = c->sa;
  turned.spi_i = c->sa.spi_r;
  turned.spi_r = c->sa.spi_i;
  const struct itw_answer server = ask(x, ITW_ASK_SELECT, ITW_ROLE_SERVER, (struct itw_sa){.size = sizeof(struct itw_sa)}),
                          client = ask(x, ITW_ASK_SELECT, ITW_ROLE_CLIENT, turned);
  assert_int_equal(server.kind, ITW_ANS_SA);
  assert_true(is_same(&server.sa, &c->sa));
  assert_int_equal(server.modes, why == ITW_OK ? ITW_MODE_OPEN | ITW_MODE_ENC : ITW_MODE_OPEN);
  assert_int_equal(client.kind, ITW_ANS_SA);
  if (why == ITW_OK)
    expect_keys(x, c);
  else
    assert_int_equal(ask(x, ITW_ASK_PAIR, ITW_ROLE_SERVER, c->sa).why, why);
}

static void replay_one(const struct recording *r)
{
  struct itw_source_event none;
  unsigned ups = 0;
  feed_forget();
  struct itw_xfrm *const x = feed_open(CAPACITY);
  assert_int_equal(feed_settle(x, 0), ITW_OK);
  ITW_INIT(none);
  for (size_t n = 0; n < r->count; n++) {
    uint32_t before, pairs;
    itw_xfrm_count(x, &before);
    say(r, n);
    assert_int_equal(feed_settle(x, 0), ITW_OK);
    itw_xfrm_count(x, &pairs);
    if (pairs > before) {
      expect_event(x, ITW_SOURCE_UP, r->why, &r->children[ups].sa, NULL);
      expect_offer(x, &r->children[ups++], r->why);
    } else if (pairs < before && pairs) {
      expect_event(x, ITW_SOURCE_REKEYED, ITW_OK, &r->children[ups - 2].sa, &r->children[ups - 1].sa);
      expect_offer(x, &r->children[ups - 1], r->why);
    } else if (pairs < before) {
      expect_event(x, ITW_SOURCE_GONE, ITW_OK, &r->children[ups - 1].sa, NULL);
    }
    assert_int_equal(itw_xfrm_event(x, &none), ITW_EMPTY);
  }
  assert_int_equal(ups, CHILDREN);
  const struct view end = look(x);
  assert_int_equal(end.found, ITW_ERR_SA_NONE);
  assert_true(end.halves == 0 && end.pairs == 0);
  itw_xfrm_free(x);
}

static void as_it_was(void **state)
{
  (void)state;
  for (size_t i = 0; i < RECORDINGS; i++) replay_one(&recordings[i]);
}

/* ---- late, or with a hole ---- */

/* What is to be seen after each datagram. */
static void reference(const struct recording *r, struct view *views)
{
  feed_forget();
  struct itw_xfrm *const x = feed_open(CAPACITY);
  for (size_t n = 0; n < r->count; n++) {
    say(r, n);
    assert_int_equal(feed_settle(x, 0), ITW_OK);
    views[n] = look(x);
  }
  itw_xfrm_free(x);
}

/* The bits of those that came. */
static uint32_t go_on(const struct recording *r, size_t from, struct itw_xfrm *x, struct ledger *l, const struct view *views)
{
  for (size_t n = from; n < r->count; n++) {
    say(r, n);
    assert_int_equal(feed_settle(x, 0), ITW_OK);
    same_view(look(x), views[n]);
    read_events(l, x);
  }
  assert_int_equal(l->up, l->ended);
  return l->up;
}

static void starts_late(void **state)
{
  unsigned odd = 0;
  (void)state;
  for (size_t i = 0; i < RECORDINGS; i++) {
    const struct recording *const r = &recordings[i];
    struct view views[DATAGRAMS];
    reference(r, views);
    for (size_t late = 1; late <= r->count; late++) {
      struct ledger l = {.r = r};
      feed_forget();
      for (size_t n = 0; n < late; n++) happen(r, n);
      struct itw_xfrm *const x = feed_open(CAPACITY);
      assert_int_equal(feed_settle(x, 0), ITW_OK);
      same_view(look(x), views[late - 1]);
      odd += go_on(r, late, x, &l, views) >> CHILDREN;
      assert_int_equal(l.resyncs, 0);
      itw_xfrm_free(x);
    }
  }
  assert_int_equal(odd, RECORDINGS); /* only when it starts between the two deletions at the end */
}

/* From `from` on, `some` datagrams are lost. */
static uint32_t lose(const struct recording *r, size_t from, size_t some, const struct view *views)
{
  struct ledger l = {.r = r};
  size_t n = 0;
  feed_forget();
  struct itw_xfrm *const x = feed_open(CAPACITY);
  for (; n < from; n++) say(r, n);
  assert_int_equal(feed_settle(x, 0), ITW_OK);
  read_events(&l, x);
  for (; n < from + some; n++) happen(r, n);
  feed_lose();
  assert_int_equal(feed_settle(x, 0), ITW_OK);
  same_view(look(x), views[n - 1]);
  read_events(&l, x);
  assert_int_equal(l.resyncs, 1);
  const uint32_t came = go_on(r, n, x, &l, views);
  itw_xfrm_free(x);
  return came;
}

static void survives_losses(void **state)
{
  unsigned holes = 0, odd = 0;
  (void)state;
  for (size_t i = 0; i < RECORDINGS; i++) {
    const struct recording *const r = &recordings[i];
    struct view views[DATAGRAMS];
    reference(r, views);
    for (size_t from = 0; from < r->count; from++)
      for (size_t some = 1; from + some <= r->count; some++, holes++) odd += lose(r, from, some, views) >> CHILDREN;
  }
  print_message("%u holes, %u pairs that are none\n", holes, odd);
}

/* A rekey that happened while notifications were lost is told as one. */
static void rekey_in_the_hole(void **state)
{
  const struct recording *const r = &recordings[0];
  struct itw_source_event e;
  bool rekeyed = false;
  (void)state;
  feed_forget();
  struct itw_xfrm *const x = feed_open(CAPACITY);
  for (size_t n = 0; n < 6; n++) say(r, n);
  feed_settle(x, 0);
  expect_event(x, ITW_SOURCE_UP, ITW_OK, &r->children[0].sa, NULL);
  for (size_t n = 6; n < 11; n++) happen(r, n);
  feed_lose();
  feed_settle(x, 0);
  ITW_INIT(e);
  while (itw_xfrm_event(x, &e) == ITW_OK)
    if (e.kind == ITW_SOURCE_REKEYED)
      rekeyed = is_same(&e.sa, &r->children[0].sa) && is_same(&e.by, &r->children[1].sa);
  assert_true(rekeyed);
  itw_xfrm_free(x);
}

/* ---- spoiled ---- */

static void flip_bits(struct itw_xfrm *x, const struct recording *r, size_t n)
{
  uint8_t spoiled[FEED_MESSAGE];
  memcpy(spoiled, r->datagrams[n], r->lens[n]);
  for (size_t bit = 0; bit < 8 * r->lens[n]; bit++) {
    struct itw_source_event e;
    spoiled[bit / 8] ^= (uint8_t)(1u << bit % 8);
    itwi_xfrm_take(x, spoiled, r->lens[n]);
    spoiled[bit / 8] ^= (uint8_t)(1u << bit % 8);
    ITW_INIT(e);
    if (bit % 4 == 0) (void)!itw_xfrm_event(x, &e);
  }
}

/* Whatever the kernel says, it takes no harm, and reading all makes it good. */
static void flipped_everywhere(void **state)
{
  (void)state;
  for (size_t i = 0; i < RECORDINGS; i++) {
    const struct recording *const r = &recordings[i];
    struct view views[DATAGRAMS];
    reference(r, views);
    feed_forget();
    struct itw_xfrm *const x = feed_open(CAPACITY);
    for (size_t n = 0; n < r->count; n++) {
      say(r, n);
      feed_settle(x, 0);
      flip_bits(x, r, n);
      feed_lose();
      assert_int_equal(feed_settle(x, (n + 1) * 10 * S), ITW_OK);
      same_view(look(x), views[n]);
    }
    itw_xfrm_free(x);
  }
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
    cmocka_unit_test(as_it_was),         cmocka_unit_test(starts_late),        cmocka_unit_test(survives_losses),
    cmocka_unit_test(rekey_in_the_hole), cmocka_unit_test(flipped_everywhere),
  };
  return cmocka_run_group_tests(tests, load, NULL);
}
