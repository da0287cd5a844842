/* SPDX-License-Identifier: BSD-3-Clause */
/* The object: what a config may say; the HA feed over real sockets on loopback, with a charon that the test is itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "feed.h"
#include <arpa/inet.h>
#include <ipsectwamp/version.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEEDS_KEYS()                                                                                                   \
  do {                                                                                                                 \
    (void)state;                                                                                                       \
    if (strcmp(itw_crypto_backend(), "none") == 0) skip();                                                             \
  } while (0)

/* ---- a charon ---- */

struct charon {
  int fd;
  itw_strongswan *source;
  itw_mono now;
  struct feed voice; /* has the words, and no feed of its own */
};

/* All of 127.0.0.0/8 is ours: each run of a test has addresses of its own. */
static struct itw_addr host(uint8_t last)
{
  const uint32_t pid = (uint32_t)getpid();
  return (struct itw_addr){.family = 4, .ip = {127, (uint8_t)(100 + (pid >> 16) % 100), (uint8_t)(pid >> 8), (uint8_t)pid ^ last}};
}

static int bound(uint8_t last)
{
  const struct itw_addr a = host(last);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(4510)};
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  memcpy(&at.sin_addr, a.ip, 4);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
  return fd;
}

static void to_agent(int fd, struct datagram d)
{
  const struct itw_addr a = host(2);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4510)};
  memcpy(&to.sin_addr, a.ip, 4);
  assert_int_equal(sendto(fd, d.octets, d.len, 0, (struct sockaddr *)&to, sizeof to), (ssize_t)d.len);
}

static struct itw_strongswan_config config(void)
{
  struct itw_strongswan_config c;
  ITW_INIT(c);
  c.feed = ITW_STRONGSWAN_HA;
  c.capacity = 16;
  c.local = host(2);
  c.remote = host(1);
  return c;
}

static void begin(struct charon *c, bool there)
{
  const struct itw_strongswan_config k = config();
  *c = (struct charon){.fd = there ? bound(1) : -1, .now = ITWI_SECONDS(5), .voice = {.peer = 2, .inside = 1}};
  assert_int_equal(itw_strongswan_new(&c->source, &k, NULL, c->now), ITW_OK);
}

static void end(struct charon *c)
{
  itw_strongswan_free(c->source);
  if (c->fd >= 0) close(c->fd);
}

static void turn(struct charon *c, double seconds)
{
  c->now += (itw_mono)(seconds * 1e9);
  assert_true(itw_strongswan_read(c->source, c->now) >= 0);
}

/* What the agent has said: how many RESYNCs for all, and how many that ask for nothing. */
static void heard(struct charon *c, int *all, int *nothing)
{
  uint8_t octets[256];
  ssize_t n;
  *all = *nothing = 0;
  while ((n = recv(c->fd, octets, sizeof octets, 0)) >= 0) {
    assert_true(n >= 2 && octets[1] == ITWI_HA_RESYNC);
    if (n == 2)
      ++*nothing;
    else
      ++*all;
  }
}

static uint32_t next_event(struct charon *c)
{
  struct itw_source_event e;
  ITW_INIT(e);
  return itw_strongswan_event(c->source, &e) == ITW_OK ? e.kind : 0;
}

/* ---- configs ---- */

static itw_status made(const struct itw_strongswan_config *c, struct itw_detail *detail)
{
  itw_strongswan *s = NULL;
  const itw_status st = itw_strongswan_new(&s, c, detail, 0);
  itw_strongswan_free(s);
  return st;
}

static void what_a_config_may_say(void **state)
{
  (void)state;
  static const char long_path[] = "/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
                                  "0123456789";
  const struct itw_strongswan_config good = config();
  struct itw_strongswan_config c = good;
  struct itw_detail detail;
  itw_strongswan *s = NULL;

  assert_int_equal(itw_strongswan_new(NULL, &c, NULL, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_strongswan_new(&s, NULL, NULL, 0), ITW_ERR_ARGUMENT);
  memset(&detail, 0, sizeof detail);
  assert_int_equal(made(&c, &detail), ITW_ERR_SIZE);
  c.size--;
  assert_int_equal(made(&c, NULL), ITW_ERR_SIZE);
#define REFUSED(member, value, want)                                                                                   \
  do {                                                                                                                 \
    c = good;                                                                                                          \
    c.member = value;                                                                                                  \
    ITW_INIT(detail);                                                                                                  \
    assert_int_equal(made(&c, &detail), want);                                                                         \
    assert_int_equal(detail.status, want);                                                                             \
    assert_true(detail.text[0]);                                                                                       \
  } while (0)
  REFUSED(feed, 0, ITW_ERR_ARGUMENT);
  REFUSED(feed, 3, ITW_ERR_ARGUMENT);
  REFUSED(flags, 1, ITW_ERR_ARGUMENT);
  REFUSED(capacity, (1 << 19) + 1, ITW_ERR_ARGUMENT);
  REFUSED(schemes, ITW_PSK, ITW_ERR_ARGUMENT);
  REFUSED(local.ip[0], 10, ITW_ERR_ARGUMENT);
  REFUSED(remote.ip[0], 10, ITW_ERR_ARGUMENT);
  assert_non_null(strstr(detail.text, "loopback"));
  REFUSED(remote.family, 6, ITW_ERR_ARGUMENT); /* and not ::1 */
  REFUSED(remote.family, 0, ITW_ERR_CONFIG);
  c = good;
  c.feed = ITW_STRONGSWAN_PLUGIN;
  c.path = long_path;
  assert_int_equal(made(&c, NULL), ITW_ERR_ARGUMENT);
  assert_string_equal(itw_strongswan_path(), ITW_STRONGSWAN_PATH);
  itw_strongswan_free(NULL);
  assert_int_equal(itw_strongswan_fd(NULL), -1);
  assert_int_equal(itw_strongswan_count(NULL, NULL), 0);
}

static void a_port_that_is_taken(void **state)
{
  (void)state;
  const struct itw_strongswan_config c = config();
  struct itw_detail detail;
  const int fd = bound(2);

  ITW_INIT(detail);
  assert_int_equal(made(&c, &detail), ITW_ERR_SYSTEM);
  assert_non_null(strstr(detail.text, "port"));
  close(fd);
  assert_int_equal(made(&c, NULL), ITW_OK);
}

static void over_ipv6(void **state)
{
  (void)state;
  struct itw_strongswan_config c = config();
  itw_strongswan *s = NULL;
  const int fd = socket(AF_INET6, SOCK_DGRAM, 0);
  const struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  struct sockaddr_in6 got;
  socklen_t len = sizeof got;

  if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at)) skip(); /* a machine without IPv6 */
  assert_int_equal(getsockname(fd, (struct sockaddr *)&got, &len), 0);
  c.local = c.remote = (struct itw_addr){.family = 6, .ip = {[15] = 1}};
  c.remote.port = ntohs(got.sin6_port);
  assert_int_equal(itw_strongswan_new(&s, &c, NULL, 0), ITW_OK);
  uint8_t octets[8];
  assert_int_equal(recv(fd, octets, sizeof octets, 0), 2);
  itw_strongswan_free(s);
  close(fd);
}

/* ---- over loopback ---- */

static void asks_and_hears(void **state)
{
  NEEDS_KEYS();
  struct charon c;
  int all, nothing;

  begin(&c, true);
  heard(&c, &all, &nothing);
  assert_int_equal(all, 3); /* one for each version */
  assert_int_equal(nothing, 1);
  to_agent(c.fd, ike_add(&c.voice, 1, 0));
  to_agent(c.fd, ike_update(&c.voice, 1));
  turn(&c, 0);
  assert_int_equal(next_event(&c), ITW_SOURCE_UP);
  assert_int_equal(next_event(&c), 0);
  assert_int_equal(itw_strongswan_count(c.source, NULL), 1);
  for (int i = 0; i < 3; i++) turn(&c, 1);
  heard(&c, &all, &nothing);
  assert_int_equal(all, 0);
  assert_in_range(nothing, 3, 4);
  assert_true(itw_strongswan_deadline(c.source) <= c.now + ITWI_SECONDS(1));
  end(&c);
}

/* Only from charon's address and port. */
static void others_are_not_heard(void **state)
{
  NEEDS_KEYS();
  struct charon c;
  begin(&c, true);
  const int other = bound(9);
  to_agent(other, ike_add(&c.voice, 1, 0));
  to_agent(other, ike_update(&c.voice, 1));
  turn(&c, 0);
  assert_int_equal(next_event(&c), 0);
  close(other);
  end(&c);
}

static void goes_away_and_comes_back(void **state)
{
  NEEDS_KEYS();
  struct charon c;
  int all, nothing;

  begin(&c, true);
  to_agent(c.fd, ike_add(&c.voice, 1, 0));
  to_agent(c.fd, ike_update(&c.voice, 1));
  turn(&c, 0);
  assert_int_equal(next_event(&c), ITW_SOURCE_UP);
  close(c.fd);
  turn(&c, 1);
  turn(&c, 0);
  assert_int_equal(next_event(&c), ITW_SOURCE_LOST);
  assert_int_equal(next_event(&c), 0);
  assert_int_equal(itw_strongswan_count(c.source, NULL), 0);
  for (int i = 0; i < 4; i++) turn(&c, 1);
  assert_int_equal(next_event(&c), 0);
  c.fd = bound(1);
  turn(&c, 1); /* it may have been refused just before */
  turn(&c, 1);
  turn(&c, 1);
  assert_int_equal(next_event(&c), ITW_SOURCE_RESYNC);
  heard(&c, &all, &nothing);
  assert_int_equal(all, 1); /* its version is known now */
  end(&c);
}

static void not_there_at_first(void **state)
{
  NEEDS_KEYS();
  struct charon c;
  begin(&c, false);
  for (int i = 0; i < 40; i++) turn(&c, 1);
  assert_int_equal(next_event(&c), 0);
  c.fd = bound(1);
  to_agent(c.fd, ike_add(&c.voice, 1, 0));
  to_agent(c.fd, ike_update(&c.voice, 1));
  turn(&c, 1); /* an error that waits comes first */
  turn(&c, 0);
  assert_int_equal(next_event(&c), ITW_SOURCE_RESYNC);
  assert_int_equal(next_event(&c), ITW_SOURCE_UP);
  end(&c);
}

/* Losses are noticed by SO_MEMINFO, of which qemu's emulation of Linux tells the first number only. */
static bool tells_losses(const struct charon *c)
{
  uint32_t info[16];
  socklen_t len = sizeof info;
  return getsockopt(c->fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 && len > sizeof info[0];
}

/* The socket's buffer is too small for what comes at once: that is noticed, and charon asked to tell all again. */
static void datagrams_that_the_socket_loses(void **state)
{
  NEEDS_KEYS();
  const int small = 4096;
  struct charon c;
  int all, nothing;

  begin(&c, true);
  if (!tells_losses(&c)) {
    end(&c);
    skip();
  }
  to_agent(c.fd, ike_add(&c.voice, 1, 0));
  turn(&c, 0);
  heard(&c, &all, &nothing);
  assert_int_equal(setsockopt(itw_strongswan_fd(c.source), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
  for (uint32_t n = 0; n < 100; n++) to_agent(c.fd, ike_delete(&c.voice, 1000 + n));
  turn(&c, 10);
  assert_int_equal(next_event(&c), ITW_SOURCE_RESYNC);
  heard(&c, &all, &nothing);
  assert_int_equal(all, 1);
  turn(&c, 10);
  assert_int_equal(next_event(&c), 0); /* once for each loss */
  end(&c);
}

/* A turn has its bounds; what is left keeps the descriptor readable. */
static void a_bounded_share(void **state)
{
  NEEDS_KEYS();
  struct charon c;
  uint8_t octets[64];
  begin(&c, true);
  for (uint32_t n = 0; n < 200; n++) to_agent(c.fd, ike_delete(&c.voice, 1000 + n));
  turn(&c, 0);
  assert_true(recv(itw_strongswan_fd(c.source), octets, sizeof octets, MSG_PEEK) > 0);
  turn(&c, 0);
  assert_true(recv(itw_strongswan_fd(c.source), octets, sizeof octets, MSG_PEEK) < 0);
  end(&c);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_config_may_say), cmocka_unit_test(a_port_that_is_taken),
      cmocka_unit_test(over_ipv6),             cmocka_unit_test(asks_and_hears),
      cmocka_unit_test(others_are_not_heard),  cmocka_unit_test(goes_away_and_comes_back),
      cmocka_unit_test(not_there_at_first),    cmocka_unit_test(datagrams_that_the_socket_loses),
      cmocka_unit_test(a_bounded_share),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
