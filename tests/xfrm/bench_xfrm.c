/* SPDX-License-Identifier: BSD-3-Clause */

/* What following the kernel's SAs costs with 100, 10,000 and 100,000 of them (half as many pairs), in ns of the thread's CPU time,
   and as a ratio to the table of 100: an SA told when all are read; a rekey (two SAs come, two go); a Server's SELECT; the
   keys of an SA (PAIR). First each pair with a peer of its own, then all as tunnels between the same two gateways, a policy
   each. The SAs are visited at random. */

#include "../bench/bench.h"
#include "feed.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 20000, SIZES = 3, ROWS = 4 };

static void check(itw_status st)
{
  if (st == ITW_OK) return;
  printf("%s\n", itw_status_name(st));
  exit(EXIT_FAILURE);
}

static struct itw_addr host(uint8_t net, uint32_t n)
{
  return (struct itw_addr){.family = 4, .ip = {net, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

/* ---- the SAs ---- */

static bool gateways;

/* Each pair is between its own ends, or its own two inner hosts: its n-th generation. */
static struct feed_sa sa_of(uint32_t pair, uint32_t generation, bool in)
{
  const struct itw_addr here = host(10, 0), there = host(10, gateways ? 1 : pair + 1);
  return (struct feed_sa){.src = in ? there : here,
                          .dst = in ? here : there,
                          .mode = gateways,
                          .window = in ? 32 : 0,
                          .spi = 1 + (pair | generation << 17 | (uint32_t)in << 31),
                          .reqid = pair + 1,
                          .add_time = generation,
                          .crypt = "cbc(aes)",
                          .auth = "hmac(sha1)",
                          .key = 1};
}

static void take(struct itw_xfrm *x, struct feed_message m, uint16_t flags)
{
  struct nlmsghdr head;
  memcpy(&head, m.octets, sizeof head);
  head.nlmsg_flags = flags;
  memcpy(m.octets, &head, sizeof head);
  itwi_xfrm_take(x, m.octets, m.len);
}

static void take_done(struct itw_xfrm *x)
{
  const struct {
    struct nlmsghdr head;
    int32_t error;
  } done = {{.nlmsg_len = sizeof done, .nlmsg_type = NLMSG_DONE, .nlmsg_flags = NLM_F_MULTI}, 0};
  itwi_xfrm_take(x, (const uint8_t *)&done, sizeof done);
}

static struct feed_policy policy_of(uint32_t pair)
{
  return (struct feed_policy){.index = pair + 1,
                              .reqid = pair + 1,
                              .src = host(10, 0),
                              .dst = host(10, 1),
                              .local = host(172, 0),
                              .remote = host(172, pair + 1),
                              .local_bits = 32,
                              .remote_bits = 32};
}

/* All are read; ns for each. */
static double read_all(struct itw_xfrm *x, uint32_t pairs)
{
  struct feed_message *const messages = calloc(2 * pairs, sizeof *messages);
  check(messages ? ITW_OK : ITW_ERR_MEMORY);
  for (uint32_t n = 0; n < 2 * pairs; n++) messages[n] = feed_make_sa(sa_of(n / 2, 0, n % 2));
  itwi_xfrm_lost(x);
  itwi_xfrm_go_on(x, 0);
  const double start = now();
  for (uint32_t n = 0; n < 2 * pairs; n++) take(x, messages[n], NLM_F_MULTI);
  take_done(x);
  const double ns = now() - start;
  for (uint32_t n = 0; gateways && n < pairs; n++) take(x, feed_make_policy(policy_of(n)), NLM_F_MULTI);
  take_done(x);
  free(messages);
  return ns / (2 * pairs);
}

static double rekey(struct itw_xfrm *x, uint32_t pairs, uint32_t *generation)
{
  static struct feed_message messages[ROUNDS][4];
  struct itw_source_event e;
  for (int i = 0; i < ROUNDS; i++) {
    const uint32_t pair = random32() % pairs, old = generation[pair]++;
    struct feed_sa in = sa_of(pair, old, true), out = sa_of(pair, old, false);
    in.type = out.type = XFRM_MSG_DELSA;
    messages[i][0] = feed_make_sa(sa_of(pair, old + 1, true));
    messages[i][1] = feed_make_sa(sa_of(pair, old + 1, false));
    messages[i][2] = feed_make_sa(out);
    messages[i][3] = feed_make_sa(in);
  }
  ITW_INIT(e);
  const double start = now();
  for (int i = 0; i < ROUNDS; i++) {
    for (int n = 0; n < 4; n++) take(x, messages[i][n], 0);
    while (itw_xfrm_event(x, &e) == ITW_OK) continue;
  }
  return (now() - start) / ROUNDS;
}

static double ask(struct itw_xfrm *x, uint32_t kind, uint32_t pairs, const uint32_t *generation)
{
  const struct itw_keys keys = itw_xfrm_keys(x);
  struct itw_ask q;
  struct itw_answer out;
  ITW_INIT(q);
  ITW_INIT(out);
  q.kind = kind;
  q.role = ITW_ROLE_SERVER;
  q.schemes = ITW_DIRECT;
  q.modes = ITW_MODE_ENC;
  const double start = now();
  for (int i = 0; i < ROUNDS; i++) {
    const uint32_t pair = random32() % pairs;
    q.local = gateways ? host(172, 0) : host(10, 0);
    q.remote = host(gateways ? 172 : 10, pair + 1);
    q.sa = (struct itw_sa){.size = sizeof q.sa, .protocol = ITW_SA_ESP};
    q.sa.spi_r = sa_of(pair, generation[pair], true).spi;
    q.sa.spi_i = sa_of(pair, generation[pair], false).spi;
    check(keys.ops->answer(keys.ctx, &q, &out));
    if (out.kind == ITW_ANS_NONE) check(out.why);
  }
  return (now() - start) / ROUNDS;
}

static void measure(uint32_t pairs, double *ns)
{
  uint32_t *const generation = calloc(pairs, sizeof *generation);
  struct itw_source_event e;
  struct itw_xfrm *x;
  feed_forget();
  x = feed_open(2 * pairs + 4);
  check(generation ? feed_settle(x, 0) : ITW_ERR_MEMORY);
  feed_hold(true);
  ns[0] = read_all(x, pairs);
  ITW_INIT(e);
  while (itw_xfrm_event(x, &e) == ITW_OK) continue;
  ns[1] = rekey(x, pairs, generation);
  ns[2] = ask(x, ITW_ASK_SELECT, pairs, generation);
  ns[3] = ask(x, ITW_ASK_PAIR, pairs, generation);
  itw_xfrm_free(x);
  free(generation);
}

static void table(const char *what)
{
  static const uint32_t pairs[SIZES] = {50, 5000, 50000};
  static const char *const names[ROWS] = {"reading all, an SA", "rekey", "SELECT", "PAIR"};
  double ns[SIZES][ROWS];
  for (int i = 0; i < SIZES; i++) measure(pairs[i], ns[i]);
  printf("%-20s %8u SAs %8u SAs  ratio %8u SAs  ratio\n", what, 2 * pairs[0], 2 * pairs[1], 2 * pairs[2]);
  for (int n = 0; n < ROWS; n++)
    printf("%-20s %12.0f %12.0f %6.2f %12.0f %6.2f\n", names[n], ns[0][n], ns[1][n], ns[1][n] / ns[0][n], ns[2][n],
           ns[2][n] / ns[0][n]);
}

int main(void)
{
  table("ns, a peer each");
  gateways = true;
  table("ns, two gateways");
  return 0;
}
