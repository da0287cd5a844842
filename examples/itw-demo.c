/* SPDX-License-Identifier: BSD-3-Clause */
/* itw-demo: measures itself over loopback, with TWAMP and OWAMP, with keys from every scheme in turn; needs no file and no
   root.

     itw-demo         over 127.0.0.1
     itw-demo -6      over ::1

   The Server with its Session-Reflector (common/respond.c) and the Control-Client with its Session-Sender
   (common/measure.c) are those of itw-responder and itw-ping; here they share a loop and meet through the kernel's
   sockets. The IKE SA and the IPsec SA are made up: random nonces and a random g^ir, then the derivations of RFC 7296. */

#define _GNU_SOURCE 1
#include "common/clock.h"
#include "common/measure.h"
#include "common/names.h"
#include "common/respond.h"

#include <stdlib.h>
#include <unistd.h>

#define PROGRAM "itw-demo"

enum { PACKETS = 20, CONNECTIONS = 4, SESSIONS = 4, TIMERS = CONNECTIONS + 12, PADDING = 64 };

/* What is shown, and in which modes; without a crypto library, the first. */
static const struct show {
  uint32_t scheme;
  uint32_t mode;
  const char *keys;
} shows[] = {
    {0, ITW_MODE_OPEN, "nothing"},
    {ITW_PSK, ITW_MODE_AUTH, "a passphrase"},
    {ITW_PSK, ITW_MODE_ENC, "a passphrase"},
    {ITW_PSK, ITW_MODE_MIXED, "a passphrase; test packets in clear"},
    {ITW_IKEV2, ITW_MODE_AUTH, "the IKE SA's SK_d (RFC 7717)"},
    {ITW_IKEV2, ITW_MODE_ENC, "the IKE SA's SK_d (RFC 7717)"},
    {ITW_IKEV2, ITW_MODE_MIXED, "the IKE SA's SK_d; test packets in clear"},
    {ITW_SHARED, ITW_MODE_AUTH, "the IKE SA's SKEYSEED"},
    {ITW_SHARED, ITW_MODE_ENC, "the IKE SA's SKEYSEED"},
    {ITW_SHARED_SID, ITW_MODE_AUTH, "the IKE SA's SKEYSEED and the SID"},
    {ITW_SHARED_SID, ITW_MODE_ENC, "the IKE SA's SKEYSEED and the SID"},
    {ITW_ROOT, ITW_MODE_AUTH, "the IKE SA's SKEYSEED as root key"},
    {ITW_ROOT, ITW_MODE_ENC, "the IKE SA's SKEYSEED as root key"},
    {ITW_DIRECT, ITW_MODE_OPEN, "IPsec alone; the SA is compared"},
    {ITW_DIRECT, ITW_MODE_AUTH, "the IPsec SA's own keys"},
    {ITW_DIRECT, ITW_MODE_ENC, "the IPsec SA's own keys"},
};

static int fail(const char *what, const char *why)
{
  fprintf(stderr, PROGRAM ": %s: %s\n", what, why);
  return EXIT_FAILURE;
}

/* ---- keys made up on the spot ---- */

/* What two IKE daemons have agreed on. */
struct agreed {
  struct itw_exchange ike, child;
  uint8_t ni[32], nr[32], g_ir[32], child_ni[32], child_nr[32];
};

static void agree(struct agreed *a)
{
  random_octets(a, sizeof *a);
  ITW_INIT(a->ike);
  ITW_INIT(a->child);
  random_octets(a->ike.spi_i, sizeof a->ike.spi_i);
  random_octets(a->ike.spi_r, sizeof a->ike.spi_r);
  a->ike.ni = a->ni, a->ike.nr = a->nr, a->ike.g_ir = a->g_ir;
  a->ike.ni_len = sizeof a->ni, a->ike.nr_len = sizeof a->nr, a->ike.g_ir_len = sizeof a->g_ir;
  a->child.ni = a->child_ni, a->child.nr = a->child_nr;
  a->child.ni_len = sizeof a->child_ni, a->child.nr_len = sizeof a->child_nr;
}

static uint64_t spi64(const uint8_t octets[8])
{
  uint64_t spi = 0;
  for (int i = 0; i < 8; i++) spi = spi << 8 | octets[i];
  return spi;
}

/* SKEYSEED and SK_d (RFC 7296 §2.14). */
static itw_status add_ike(itw_keyring *ring, const struct agreed *a, struct itw_ike_sa *sa)
{
  const uint32_t prf = ITW_PRF_HMAC_SHA2_256;
  itw_status st;

  ITW_INIT(*sa);
  ITW_INIT(sa->sa);
  sa->sa.protocol = ITW_SA_IKE;
  sa->sa.prf = prf;
  sa->sa.spi_i = spi64(a->ike.spi_i);
  sa->sa.spi_r = spi64(a->ike.spi_r);
  sa->skeyseed_len = sa->sk_d_len = itw_prf_len(prf);
  if ((st = itw_skeyseed(sa->skeyseed, prf, &a->ike, NULL)) < 0) return st;
  if ((st = itw_sk_d(sa->sk_d, prf, prf, sa->skeyseed, sa->skeyseed_len, &a->ike, NULL)) < 0) return st;
  return itw_keyring_add_ike(ring, sa);
}

/* KEYMAT (RFC 7296 §2.17) for ESP with AES-128-CBC and HMAC-SHA2-256-128. For the scheme direct only, so that the others
   are shown with the IKE SA. */
static itw_status add_child(itw_keyring *ring, const struct agreed *a, const struct itw_ike_sa *ike)
{
  struct itw_child_sa sa;

  ITW_INIT(sa);
  ITW_INIT(sa.sa);
  sa.sa.protocol = ITW_SA_ESP;
  sa.sa.prf = ike->sa.prf;
  sa.sa.spi_i = 0xc0000000u | (uint32_t)(ike->sa.spi_i >> 32);
  sa.sa.spi_r = 0xc0000000u | (uint32_t)(ike->sa.spi_r >> 32);
  sa.schemes = ITW_DIRECT;
  sa.encr = ITW_ENCR_AES_CBC;
  sa.encr_len = 16;
  sa.integ_len = 32;
  sa.keymat_len = 2u * (16u + 32u);
  itw_status st = itw_keymat(sa.keymat, sa.keymat_len, ike->sa.prf, ike->sk_d, ike->sk_d_len, &a->child, NULL);
  if (st >= 0) st = itw_child_sa_split(&sa);
  if (st >= 0) st = itw_keyring_add_child(ring, &sa);
  itw_wipe(&sa, sizeof sa);
  return st;
}

static itw_status add_passphrase(itw_keyring *ring, const char *key_id)
{
  uint8_t secret[32];

  random_octets(secret, sizeof secret);
  for (size_t i = 0; i < sizeof secret; i++) /* a passphrase has no line ends in it */
    secret[i] = (uint8_t)('a' + secret[i] % 26);
  const itw_status st = itw_keyring_add_psk(ring, (const uint8_t *)key_id, strlen(key_id), secret, sizeof secret);
  itw_wipe(secret, sizeof secret);
  return st;
}

static itw_status make_ring(itw_keyring **out)
{
  struct agreed agreed;
  struct itw_ike_sa ike;
  itw_status st = itw_keyring_new(out, 3, NULL);

  if (st < 0) return st;
  agree(&agreed);
  st = add_passphrase(*out, "demo");
  if (st >= 0) st = add_ike(*out, &agreed, &ike);
  if (st >= 0) st = add_child(*out, &agreed, &ike);
  itw_wipe(&agreed, sizeof agreed);
  itw_wipe(&ike, sizeof ike);
  return st;
}

/* ---- one line of the table ---- */

static void on_done(void *owner) { *(bool *)owner = true; }

static struct itw_keys keys_of(const struct show *show, itw_keyring *ring)
{
  const struct itw_keys none = {0};
  return show->scheme ? itw_keyring_keys(ring) : none;
}

static struct respond *start_responder(struct loop *loop, uint32_t protocol, const struct show *show, itw_keyring *ring,
                                       const struct itw_addr *addr, char why[RESPOND_WHY])
{
  const struct respond_config config = {.program = PROGRAM,
                                        .bind[0] = *addr,
                                        .binds = 1,
                                        .protocol = protocol,
                                        .limits = {limits_default[CLASS_KNOWN], limits_default[CLASS_KNOWN]},
                                        .keys = keys_of(show, ring),
                                        .schemes = show->scheme,
                                        .modes = show->mode,
                                        .connections = CONNECTIONS,
                                        .sessions = SESSIONS,
                                        .per_connection = 2};
  return respond_start(loop, &config, why);
}

static struct measure *start_client(struct loop *loop, uint32_t protocol, const struct show *show, itw_keyring *ring,
                                    const struct itw_addr *peer, bool *done, char why[MEASURE_WHY])
{
  const struct measure_config config = {.peer = *peer,
                                        .keys = keys_of(show, ring),
                                        .schemes = show->scheme,
                                        .modes = {(uint8_t)show->mode},
                                        .key_id = show->scheme == ITW_PSK ? "demo" : NULL,
                                        .protocol = protocol,
                                        .ways = MEASURE_TO | MEASURE_FROM,
                                        .schedule = ITW_SLOT_FIXED,
                                        .count = PACKETS,
                                        .padding = PADDING,
                                        .padded = true,
                                        .interval_ns = 2 * NS_PER_MS,
                                        .timeout_ns = protocol == ITW_OWAMP ? 200 * NS_PER_MS : NS_PER_S,
                                        .connect_ns = NS_PER_S,
                                        .done = on_done,
                                        .owner = done};
  return measure_start(loop, &config, why);
}

/* A line; false: packets are missing. */
static bool print_show(uint32_t protocol, const struct show *show, const struct measure *m)
{
  const bool owamp = protocol == ITW_OWAMP;
  const struct report *const r = measure_reports(m);
  const struct itw_loss to = report_loss(&r[REPORT_TO]), from = report_loss(&r[REPORT_FROM]);
  const struct itw_delays first = report_delays(&r[REPORT_TO], owamp ? ITW_STATS_THERE : ITW_STATS_ROUND);
  const struct itw_delays second = report_delays(&r[REPORT_FROM], ITW_STATS_THERE);
  char delays[32];

  snprintf(delays, sizeof delays, owamp ? "%.1f, %.1f us" : "%.1f us", (double)first.median / 1e3,
           (double)second.median / 1e3);
  printf("%s  %-10s  %-5s  %4ju  %8ju  %16s  %s\n", owamp ? "OWAMP" : "TWAMP",
         show->scheme ? itw_scheme_name(show->scheme) : "-", itw_mode_name(show->mode),
         (uintmax_t)(to.sent + from.sent), (uintmax_t)(to.received + from.received), delays, show->keys);
  return to.received == PACKETS && (!owamp || from.received == PACKETS);
}

/* Runs one measurement to its end; false: it wasn't all that it should be. */
static bool run(struct loop *loop, uint32_t protocol, const struct show *show, itw_keyring *ring,
                const struct itw_addr *addr)
{
  char why[RESPOND_WHY] = "";
  struct measure *m = NULL;
  bool done = false;

  struct respond *const r = start_responder(loop, protocol, show, ring, addr, why);
  if (r) {
    const struct itw_addr peer = respond_address(r, 0);
    m = start_client(loop, protocol, show, ring, &peer, &done, why);
  }
  while (m && (!done || !respond_idle(r)) && !loop_interrupted()) /* the Server too sees its end */
    loop_turn(loop);

  const char *const failure = !m ? why : !done ? "interrupted" : measure_failure(m);
  const bool good = m && print_show(protocol, show, m) && !failure;
  if (failure)
    fprintf(stderr, PROGRAM ": %s, %s, %s: %s\n", itw_protocol_name(protocol),
            show->scheme ? itw_scheme_name(show->scheme) : "-", itw_mode_name(show->mode), failure);
  measure_free(m);
  respond_free(r);
  return good;
}

/* Every line of the table; how many there were. */
static unsigned run_shows(struct loop *loop, size_t all, itw_keyring *ring, const struct itw_addr *addr, unsigned *good)
{
  static const uint32_t protocols[] = {ITW_TWAMP, ITW_OWAMP};
  unsigned n = 0;

  for (size_t p = 0; p < sizeof protocols / sizeof protocols[0]; p++)
    for (size_t i = 0; i < all && !loop_interrupted(); i++) {
      if (protocols[p] == ITW_OWAMP && shows[i].mode == ITW_MODE_MIXED) continue; /* TWAMP's alone (RFC 5618) */
      n++;
      *good += run(loop, protocols[p], &shows[i], ring, addr);
    }
  return n;
}

/* ---- the program ---- */

static int run_all(const struct itw_addr *addr)
{
  const bool can_encrypt = strcmp(itw_crypto_backend(), "none") != 0;
  itw_keyring *ring = NULL;
  struct loop loop;
  unsigned good = 0, all = 0;

  const int error = loop_open(&loop, TIMERS);
  if (error) return fail("no event loop", strerror(error));
  loop_catch_signals(&loop);
  const itw_status st = can_encrypt ? make_ring(&ring) : ITW_OK;
  if (st < 0) fail("no keys", itw_status_text(st));
  printf("ipsectwamp %u.%u.%u, crypto %s, secrets %s\n", ITW_VERSION_MAJOR, ITW_VERSION_MINOR, ITW_VERSION_PATCH,
         itw_crypto_backend(), itw_secrets_backend());
  if (st >= 0) {
    printf("       scheme      mode   sent  received  median RTT; 1-way  its keys come from\n");
    all = run_shows(&loop, can_encrypt ? sizeof shows / sizeof shows[0] : 1, ring, addr, &good);
    printf("%u of %u measurements worked\n", good, all);
  }
  itw_keyring_free(ring);
  loop_close(&loop);
  return all && good == all ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
  const struct itw_addr loopback4 = {.family = 4, .ip = {127, 0, 0, 1}}, loopback6 = {.family = 6, .ip = {[15] = 1}};
  const bool v6 = argc == 2 && !strcmp(argv[1], "-6");

  if (argc > 1 && !v6) {
    fprintf(stderr, "usage: " PROGRAM " [-6]\n");
    return 2;
  }
  return run_all(v6 ? &loopback6 : &loopback4);
}
