/* SPDX-License-Identifier: BSD-3-Clause */

/* What the ring of keys costs with 100, 10,000 and 100,000 IPsec SAs, in ns of the thread's CPU time, and as a ratio to the
   ring of 100: a Server's SELECT (by the peer's address, and by a tunnel's selector), the keys of an SA (PAIR), a rekey (the
   new SA comes, the old one goes). The SAs are visited at random. */

#include "bench.h"

#include <ipsectwamp/key.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 20000, SIZES = 3 };

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

/* Each peer has one SA: its n-th generation. */
static struct itw_child_sa sa_of(uint32_t peer, uint32_t generation)
{
  struct itw_child_sa s;
  ITW_INIT(s);
  ITW_INIT(s.sa);
  s.sa.protocol = ITW_SA_ESP;
  s.sa.spi_i = 1 + peer + (generation << 20);
  s.sa.spi_r = 1 + peer * 2654435761u % 4294967291u;
  s.flags = ITW_EITHER_ORDER;
  s.local = host(10, 0);
  s.peer = host(10, peer + 1);
  s.established = generation;
  s.encr = ITW_ENCR_AES_CBC;
  s.encr_len = 16;
  s.integ_len = 20;
  memset(s.encr_key_i, (uint8_t)peer, 16);
  return s;
}

static void add(itw_keyring *ring, uint32_t peer, uint32_t generation)
{
  const struct itw_child_sa s = sa_of(peer, generation);
  struct itw_selector inside;
  ITW_INIT(inside);
  check(itw_keyring_add_child(ring, &s));
  inside.local_from = inside.local_to = host(172, 0);
  inside.remote_from = inside.remote_to = host(172, peer + 1);
  inside.local_to.port = inside.remote_to.port = 65535;
  check(itw_keyring_add_selector(ring, &s.sa, &inside));
}

static double ask(itw_keyring *ring, uint32_t kind, uint8_t net, uint32_t peers, const uint32_t *generation)
{
  struct itw_ask a;
  struct itw_answer out;
  ITW_INIT(a);
  ITW_INIT(out);
  a.kind = kind;
  a.role = ITW_ROLE_SERVER;
  a.schemes = ITW_DIRECT;
  a.modes = ITW_MODE_ENC;
  a.local = host(net, 0);
  const double start = now();
  for (int i = 0; i < ROUNDS; i++) {
    const uint32_t peer = random32() % peers;
    a.remote = host(net, peer + 1);
    if (kind == ITW_ASK_PAIR) a.sa = sa_of(peer, generation[peer]).sa;
    check(itw_keyring_answer(ring, &a, &out));
    if (out.kind == ITW_ANS_NONE) check(out.why);
  }
  return (now() - start) / ROUNDS;
}

static double rekey(itw_keyring *ring, uint32_t peers, uint32_t *generation)
{
  const double start = now();
  for (int i = 0; i < ROUNDS; i++) {
    const uint32_t peer = random32() % peers;
    const struct itw_sa old = sa_of(peer, generation[peer]).sa;
    generation[peer] = (generation[peer] + 1) % 1000;
    add(ring, peer, generation[peer]);
    check(itw_keyring_retire(ring, &old));
  }
  return (now() - start) / ROUNDS;
}

int main(void)
{
  static const uint32_t sizes[SIZES] = {100, 10000, 100000};
  static const char *const names[] = {"SELECT, by address", "SELECT, by selector", "PAIR", "rekey"};
  double ns[SIZES][4];

  for (int i = 0; i < SIZES; i++) {
    uint32_t *const generation = calloc(sizes[i], sizeof *generation);
    itw_keyring *ring;
    check(generation ? itw_keyring_new(&ring, sizes[i] + 1, NULL) : ITW_ERR_MEMORY);
    for (uint32_t peer = 0; peer < sizes[i]; peer++) add(ring, peer, 0);
    ns[i][0] = ask(ring, ITW_ASK_SELECT, 10, sizes[i], generation);
    ns[i][1] = ask(ring, ITW_ASK_SELECT, 172, sizes[i], generation);
    ns[i][2] = ask(ring, ITW_ASK_PAIR, 10, sizes[i], generation);
    ns[i][3] = rekey(ring, sizes[i], generation);
    itw_keyring_free(ring);
    free(generation);
  }
  printf("%-20s %8u SAs %8u SAs  ratio %8u SAs  ratio\n", "ns", sizes[0], sizes[1], sizes[2]);
  for (int n = 0; n < 4; n++)
    printf("%-20s %12.0f %12.0f %6.2f %12.0f %6.2f\n", names[n], ns[0][n], ns[1][n], ns[1][n] / ns[0][n], ns[2][n],
           ns[2][n] / ns[0][n]);
  return 0;
}
