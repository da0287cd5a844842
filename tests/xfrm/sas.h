/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_XFRM_SAS_H
#define TESTS_XFRM_SAS_H

/* SAs and what is expected of a source, for tests. Include cmocka before. */

#include "feed.h"
#include <netinet/in.h>

enum { CAPACITY = 16 };
#define S UINT64_C(1000000000)

static const struct itw_addr here = {.family = 4, .ip = {192, 0, 2, 1}}, there = {.family = 4, .ip = {192, 0, 2, 2}};

static inline struct itw_addr with_port(struct itw_addr a, uint16_t port)
{
  a.port = port;
  return a;
}

/* ESP with AES-CBC and HMAC-SHA1, made at `time`. */
static inline struct feed_sa inbound(uint32_t spi, uint64_t time)
{
  return (struct feed_sa){.src = there, .dst = here, .spi = spi, .reqid = 1, .window = 32, .add_time = time,
                          .crypt = "cbc(aes)", .auth = "hmac(sha1)", .key = (uint8_t)(1 + spi % 200)};
}

static inline struct feed_sa outbound(uint32_t spi, uint64_t time)
{
  struct feed_sa sa = inbound(spi, time);
  sa.src = here;
  sa.dst = there;
  sa.window = 0;
  return sa;
}

static inline void make(struct feed_sa sa) { feed_say_it(feed_make_sa(sa)); }

static inline void end_of(struct feed_sa sa)
{
  sa.type = XFRM_MSG_DELSA;
  make(sa);
}

static inline void settle(struct itw_xfrm *x) { assert_int_equal(feed_settle(x, 0), ITW_OK); }

static inline int open_source(void **state)
{
  struct itw_xfrm *x;
  feed_forget();
  x = feed_open(CAPACITY);
  *state = x;
  return feed_settle(x, 0) != ITW_OK;
}

static inline int close_source(void **state)
{
  itw_xfrm_free(*state);
  feed_forget();
  return 0;
}

static inline void expect_found(struct itw_xfrm *x, const struct itw_addr *local, const struct itw_addr *remote, itw_status status,
                                uint32_t in, uint32_t out)
{
  struct itw_sa sa;
  ITW_INIT(sa);
  assert_string_equal(itw_status_name(itw_xfrm_find(x, &sa, local, remote)), itw_status_name(status));
  assert_int_equal(sa.spi_r, in);
  assert_int_equal(sa.spi_i, out);
}

static inline void expect(struct itw_xfrm *x, itw_status status, uint32_t in, uint32_t out)
{
  settle(x);
  expect_found(x, &here, &there, status, in, out);
}

static inline struct itw_source_event next_event(struct itw_xfrm *x)
{
  struct itw_source_event e;
  ITW_INIT(e);
  if (itw_xfrm_event(x, &e) != ITW_OK) assert_int_equal(e.kind, 0);
  return e;
}

static inline void expect_event(struct itw_xfrm *x, uint32_t kind, uint32_t in, itw_status why)
{
  const struct itw_source_event e = next_event(x);
  assert_int_equal(e.kind, kind);
  assert_int_equal(e.sa.spi_r, in);
  assert_string_equal(itw_status_name(e.why), itw_status_name(why));
}

static inline void expect_no_event(struct itw_xfrm *x) { assert_int_equal(next_event(x).kind, 0); }

static inline uint32_t pairs_of(const struct itw_xfrm *x)
{
  uint32_t pairs;
  (void)itw_xfrm_count(x, &pairs);
  return pairs;
}

#endif
