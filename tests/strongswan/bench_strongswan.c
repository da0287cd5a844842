/* SPDX-License-Identifier: BSD-3-Clause */

/* What charon's HA feed costs with 100 and with 10,000 IKE SAs, each with a CHILD SA for a tunnel, in ns of the thread's CPU
   time, and as a ratio to 100: an IKE SA that comes up with its CHILD SA (3 datagrams, 4 derivations), a rekey of either, a
   Server's SELECT for a connection inside the tunnel, and outside. SAs are visited at random. */

#include "../bench/bench.h"
#include "ha.h"
#include "octets.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { ROUNDS = 10000, SIZES = 2, FIGURES = 5 };

static void check(bool good, const char *what)
{
  if (good) return;
  printf("%s\n", what);
  exit(EXIT_FAILURE);
}

/* ---- charon ---- */

struct peer {
  uint32_t ike, child; /* generations */
};

static uint8_t message[1024];
static struct itwi_writer w;

static void begin(uint8_t type)
{
  w = itwi_writer(message, sizeof message);
  itwi_put8(&w, ITWI_HA_VERSION);
  itwi_put8(&w, type);
}

static void put_id(uint8_t number, uint32_t peer, uint32_t generation)
{
  itwi_put8(&w, number);
  itwi_put8(&w, 2);
  itwi_put64(&w, UINT64_C(0x9e3779b97f4a7c15) * (peer + 1));
  itwi_put64(&w, UINT64_C(0xd1342543de82ef95) * (generation + 1));
  itwi_put8(&w, 1);
}

static void put16(uint8_t number, uint16_t value)
{
  itwi_put8(&w, number);
  itwi_put16(&w, value);
}

static void put_octets(uint8_t number, uint32_t n)
{
  put16(number, 32);
  for (int i = 0; i < 4; i++) itwi_put64(&w, n);
}

static void put_addr(uint8_t number, uint32_t n)
{
  itwi_put8(&w, number);
  itwi_put16(&w, 4500);
  itwi_put8(&w, AF_INET);
  itwi_put32(&w, 0x0a000000 + n);
}

static void put_range(uint8_t number, uint32_t n)
{
  static const uint8_t head[] = {7, 0, 0, 0, 0xff, 0xff, 0};
  itwi_put8(&w, number);
  itwi_put(&w, head, sizeof head);
  itwi_put32(&w, 0xac000000 + n);
  itwi_put32(&w, 0xac000000 + n);
}

static void send_to(struct itwi_ha *ha) { itwi_ha_follow(ha, message, (size_t)(w.p - message), 1); }

static void ike_up(struct itwi_ha *ha, uint32_t peer, uint32_t generation, bool rekey)
{
  begin(ITWI_HA_IKE_ADD);
  itwi_put8(&w, ITWI_HA_IKE_VERSION);
  itwi_put8(&w, 2);
  put_id(ITWI_HA_IKE_ID, peer, generation);
  if (rekey) put_id(ITWI_HA_IKE_REKEY_ID, peer, generation - 1);
  if (rekey) put16(ITWI_HA_ALG_OLD_PRF, ITW_PRF_HMAC_SHA2_256);
  if (rekey) put_octets(ITWI_HA_OLD_SKD, peer);
  put16(ITWI_HA_ALG_PRF, ITW_PRF_HMAC_SHA2_256);
  put_octets(ITWI_HA_NONCE_I, peer);
  put_octets(ITWI_HA_NONCE_R, generation);
  put_octets(ITWI_HA_SECRET, peer);
  send_to(ha);
  if (rekey) {
    begin(ITWI_HA_IKE_DELETE);
    put_id(ITWI_HA_IKE_ID, peer, generation - 1);
    send_to(ha);
  }
  begin(ITWI_HA_IKE_UPDATE);
  put_id(ITWI_HA_IKE_ID, peer, generation);
  put_addr(ITWI_HA_LOCAL_ADDR, 0);
  put_addr(ITWI_HA_REMOTE_ADDR, peer + 1);
  send_to(ha);
}

static uint32_t spi(uint32_t peer, uint32_t generation) { return htonl(0x10000 + peer + (generation << 20)); }

static void child_up(struct itwi_ha *ha, uint32_t peer, const struct peer *p)
{
  begin(ITWI_HA_CHILD_ADD);
  put_id(ITWI_HA_IKE_ID, peer, p->ike);
  itwi_put8(&w, ITWI_HA_INBOUND_SPI);
  itwi_put32(&w, spi(peer, p->child));
  itwi_put8(&w, ITWI_HA_OUTBOUND_SPI);
  itwi_put32(&w, spi(peer, p->child));
  put16(ITWI_HA_ALG_ENCR, 12);
  put16(ITWI_HA_ALG_ENCR_LEN, 128);
  put16(ITWI_HA_ALG_INTEG, 2);
  put_octets(ITWI_HA_NONCE_I, peer);
  put_octets(ITWI_HA_NONCE_R, p->child);
  put_range(ITWI_HA_LOCAL_TS, 0);
  put_range(ITWI_HA_REMOTE_TS, peer + 1);
  send_to(ha);
}

static void child_down(struct itwi_ha *ha, uint32_t peer, const struct peer *p, uint32_t generation)
{
  begin(ITWI_HA_CHILD_DELETE);
  put_id(ITWI_HA_IKE_ID, peer, p->ike);
  itwi_put8(&w, ITWI_HA_INBOUND_SPI);
  itwi_put32(&w, spi(peer, generation));
  send_to(ha);
}

static void take_news(struct itwi_ha *ha)
{
  struct itw_source_event e;
  for (ITW_INIT(e); itwi_ha_event(ha, &e) == ITW_OK; ITW_INIT(e)) check(e.why == 0, itw_status_name(e.why));
}

/* ---- figures ---- */

static double come(struct itwi_ha *ha, struct peer *peers, uint32_t n)
{
  const double start = now();
  for (uint32_t peer = 0; peer < n; peer++) {
    ike_up(ha, peer, 0, false);
    child_up(ha, peer, &peers[peer]);
    take_news(ha);
  }
  return (now() - start) / n;
}

static double rekey_ike(struct itwi_ha *ha, struct peer *peers, uint32_t n)
{
  const double start = now();
  for (int i = 0; i < ROUNDS; i++) {
    const uint32_t peer = random32() % n;
    ike_up(ha, peer, ++peers[peer].ike, true);
    take_news(ha);
  }
  return (now() - start) / ROUNDS;
}

static double rekey_child(struct itwi_ha *ha, struct peer *peers, uint32_t n)
{
  const double start = now();
  for (int i = 0; i < ROUNDS; i++) {
    const uint32_t peer = random32() % n, old = peers[peer].child;
    peers[peer].child = (old + 1) % 4000;
    child_up(ha, peer, &peers[peer]);
    child_down(ha, peer, &peers[peer], old);
    take_news(ha);
  }
  return (now() - start) / ROUNDS;
}

static double select_one(struct itwi_ha *ha, uint8_t net, uint32_t n)
{
  struct itw_ask a;
  struct itw_answer out;

  ITW_INIT(a);
  ITW_INIT(out);
  a.kind = ITW_ASK_SELECT;
  a.role = ITW_ROLE_SERVER;
  a.schemes = ITW_SHARED;
  a.modes = ITW_MODE_ENC;
  a.local = (struct itw_addr){.family = 4, .ip = {net, 0, 0, 0}};
  a.remote = a.local;
  const double start = now();
  for (int i = 0; i < ROUNDS; i++) {
    const uint32_t peer = random32() % n + 1;
    a.remote.ip[2] = (uint8_t)(peer >> 8);
    a.remote.ip[3] = (uint8_t)peer;
    check(itwi_ha_answer(ha, &a, &out) == ITW_OK && out.kind == ITW_ANS_SA, "no SA");
  }
  return (now() - start) / ROUNDS;
}

static void measure(uint32_t n, double ns[FIGURES])
{
  struct peer *const peers = calloc(n, sizeof *peers);
  struct itw_strongswan_config c;
  struct itwi_ha *ha = NULL;

  ITW_INIT(c);
  c.capacity = 2 * n + 2;
  check(peers && itwi_ha_make(&ha, &c, 0) == ITW_OK, "no memory");
  ns[0] = come(ha, peers, n);
  ns[1] = rekey_ike(ha, peers, n);
  ns[2] = rekey_child(ha, peers, n);
  ns[3] = select_one(ha, 172, n);
  ns[4] = select_one(ha, 10, n);
  itwi_ha_free(ha);
  free(peers);
}

int main(void)
{
  static const uint32_t sizes[SIZES] = {100, 10000};
  static const char *const names[FIGURES] = {"come up", "rekey of the IKE SA", "rekey of the CHILD SA", "SELECT inside",
                                             "SELECT outside"};
  double ns[SIZES][FIGURES];

  measure(sizes[0], ns[0]); /* libcrypto's own beginnings don't count */
  for (int i = 0; i < SIZES; i++) measure(sizes[i], ns[i]);
  printf("%-24s %8u IKE SAs %8u IKE SAs  ratio\n", "ns", sizes[0], sizes[1]);
  for (int n = 0; n < FIGURES; n++)
    printf("%-24s %16.0f %16.0f %6.2f\n", names[n], ns[0][n], ns[1][n], ns[1][n] / ns[0][n]);
  return 0;
}
