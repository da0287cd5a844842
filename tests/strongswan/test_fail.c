/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that runs out, at each place: an error, or an SA that is told to be unfit; and after it all goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fail.h"
#include "feed.h"
#include <ipsectwamp/version.h>

static void no_object(void **state)
{
  (void)state;
  static const uint32_t feeds[] = {ITW_STRONGSWAN_HA, ITW_STRONGSWAN_PLUGIN};
  for (size_t i = 0; i < 2; i++) {
    struct itw_strongswan_config c;
    itw_status st = ITW_ERR_MEMORY;
    ITW_INIT(c);
    c.feed = feeds[i];
    c.capacity = 4;
    c.path = "/nowhere/socket";
    c.local = (struct itw_addr){.family = 4, .ip = {127, 0, 0, 77}};
    c.remote = (struct itw_addr){.family = 4, .ip = {127, 0, 0, 78}};
    for (long n = 0; st; n++) {
      itw_strongswan *s = NULL;
      fail_at(n);
      st = itw_strongswan_new(&s, &c, NULL, 0);
      assert_true(fail_happened() ? st == ITW_ERR_MEMORY && !s : st == ITW_OK);
      itw_strongswan_free(s);
      assert_in_range(n, 0, 20);
    }
  }
}

static void say_all(struct feed *f)
{
  say(f, ike_add(f, 1, 0));
  say(f, child_add(f, 1, 1));
  say(f, ike_update(f, 1));
  say_rekey(f, 1, 2);
  say(f, child_add(f, 2, 2));
}

/* Every SA is told, up or unfit, whatever failed. */
static void keys_that_cannot_be_derived(void **state)
{
  (void)state;
  if (strcmp(itw_crypto_backend(), "none") == 0) skip();
  struct feed first;
  bool more = true;
  long n = 0;

  feed_open(&first, 8, 0); /* libcrypto doesn't try twice what fails at its own beginning */
  say_all(&first);
  feed_close(&first);
  for (; more; n++) {
    struct itw_source_event e;
    struct feed f;
    int up = 0, unfit = 0;
    feed_open(&f, 8, 0);
    fail_at(n);
    say_all(&f);
    more = fail_happened();
    for (ITW_INIT(e); itwi_ha_event(f.ha, &e) == ITW_OK; ITW_INIT(e)) {
      up += e.kind == ITW_SOURCE_UP;
      unfit += e.kind == ITW_SOURCE_UNFIT;
      if (e.kind == ITW_SOURCE_UNFIT) assert_true(e.why < 0);
    }
    assert_int_equal(up + unfit, 4);
    assert_true(more || !unfit);
    say_up(&f, 3);
    assert_true(offers_ike(&f, 3));
    feed_close(&f);
  }
  print_message("%ld allocations\n", n - 1);
}

int main(void)
{
  fail_install();
  const struct CMUnitTest tests[] = {cmocka_unit_test(no_object), cmocka_unit_test(keys_that_cannot_be_derived)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
