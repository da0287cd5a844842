/* SPDX-License-Identifier: BSD-3-Clause */
/* TWAMP Light (RFC 5357 Appendix I): test packets without a control connection. Both ends are told the same parameters
   and keys by other means; here they are two sockets of one process, over loopback.

   What there is to see: a session made by hand with itw_session_make, the four calls for a packet's way
       itw_sender_write, itw_sender_stamp  ->  itw_reflector_take, itw_reflector_reply  ->  itw_sender_read
   and that a packet's octets and addresses are all that goes in and comes out. */

#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <inttypes.h>
#include <ipsectwamp/ipsectwamp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PACKETS = 5, PADDING = 64, ROOM = 1500 };

static void check(const char *what, itw_status st)
{
  if (st == ITW_OK) return;
  fprintf(stderr, "twamp_light: %s: %s\n", what, itw_status_text(st));
  exit(EXIT_FAILURE);
}

static void check_system(const char *what, int good)
{
  if (good) return;
  perror(what);
  exit(EXIT_FAILURE);
}

static void random_octets(void *out, size_t n) { check_system("getrandom", getrandom(out, n, 0) == (ssize_t)n); }

static itw_ntp wall(void)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return itw_ntp_from_unix((uint64_t)t.tv_sec, (uint32_t)t.tv_nsec);
}

static itw_mono mono(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- sockets ---- */

static struct itw_addr to_itw(const struct sockaddr_in *in)
{
  struct itw_addr addr = {.family = 4, .port = ntohs(in->sin_port)};
  memcpy(addr.ip, &in->sin_addr, 4);
  return addr;
}

/* A UDP socket on 127.0.0.1 with TTL 255, and its address. */
static int open_udp(struct itw_addr *addr)
{
  const int ttl = 255, fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof in;

  check_system("socket", fd >= 0);
  check_system("IP_TTL", setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl) == 0);
  check_system("bind", bind(fd, (struct sockaddr *)&in, len) == 0);
  check_system("getsockname", getsockname(fd, (struct sockaddr *)&in, &len) == 0);
  *addr = to_itw(&in);
  return fd;
}

static void send_packet(int fd, const uint8_t *octets, const struct itw_packet *p)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(p->remote.port)};

  memcpy(&to.sin_addr, p->remote.ip, 4);
  check_system("sendto", sendto(fd, octets + p->off, p->len, 0, (struct sockaddr *)&to, sizeof to) == (ssize_t)p->len);
}

static void receive_packet(int fd, uint8_t *octets, const struct itw_addr *local, struct itw_packet *p)
{
  struct sockaddr_in from = {0};
  socklen_t from_len = sizeof from;
  const ssize_t n = recvfrom(fd, octets, ROOM, 0, (struct sockaddr *)&from, &from_len);

  check_system("recvfrom", n >= 0);
  memset(p, 0, sizeof *p);
  p->received = wall();
  p->len = (uint32_t)n;
  p->cap = ROOM;
  p->ttl = 255; /* "not known": common/udp.c shows how to ask the kernel */
  p->remote = to_itw(&from);
  p->local = *local;
}

/* ---- the three steps ---- */

static void send_one(itw_sender *sender, itw_id id, int fd)
{
  uint8_t octets[ROOM];
  struct itw_packet p = {.id = id, .cap = sizeof octets};

  check("itw_sender_write", itw_sender_write(sender, octets, sizeof octets, &p, sizeof p, 1));
  check("writing", p.status);
  p.sent = wall();
  check("itw_sender_stamp", itw_sender_stamp(sender, octets, sizeof octets, &p, sizeof p, 1));
  check("stamping", p.status);
  send_packet(fd, octets, &p);
}

static void reflect_one(itw_reflector *reflector, const struct itw_addr *local, int fd)
{
  uint8_t octets[ROOM];
  struct itw_packet p;

  receive_packet(fd, octets, local, &p);
  check("itw_reflector_take", itw_reflector_take(reflector, octets, sizeof octets, &p, sizeof p, 1, mono()));
  check("taking", p.status); /* a real one drops the packet and goes on */
  p.sent = wall();
  check("itw_reflector_reply", itw_reflector_reply(reflector, octets, sizeof octets, &p, sizeof p, 1));
  check("replying", p.status);
  send_packet(fd, octets, &p);
}

static void read_one(itw_sender *sender, const struct itw_addr *local, int fd)
{
  uint8_t octets[ROOM];
  struct itw_packet p;
  struct itw_reply reply;

  receive_packet(fd, octets, local, &p);
  ITW_INIT(reply);
  check("itw_sender_read", itw_sender_read(sender, octets, sizeof octets, &p, sizeof p, &reply, sizeof reply, 1));
  check("reading", p.status);
  printf("seq %" PRIu32 "  rtt %" PRId64 " us  there %" PRId64 " us  back %" PRId64 " us\n", reply.seq,
         reply.rtt_ns / 1000, reply.there_ns / 1000, reply.back_ns / 1000);
}

/* ---- the session ---- */

/* ITW_MODE_ENC; but a build without a crypto library can only do ITW_MODE_OPEN. */
static uint32_t mode(void) { return strcmp(itw_crypto_backend(), "none") ? ITW_MODE_ENC : ITW_MODE_OPEN; }

/* What both ends are told. With a real network each end would fill this in from its configuration. */
static void make_session(struct itw_session *out, const struct itw_addr *sender, const struct itw_addr *reflector)
{
  struct itw_session_info info;
  struct itw_key_pair keys;

  ITW_INIT(keys);
  keys.enc_len = 16;
  keys.auth_len = 32;
  random_octets(keys.enc, keys.enc_len);
  random_octets(keys.auth, keys.auth_len);

  ITW_INIT(info);
  info.mode = mode();
  info.dialect = ITW_DIALECT_LIGHT;
  info.padding = PADDING;
  info.timeout = itw_ntp_span(2000000000);
  info.sender = *sender;
  info.reflector = *reflector;
  check("itw_session_make", itw_session_make(out, &info, info.mode == ITW_MODE_OPEN ? NULL : &keys));
  itw_wipe(&keys, sizeof keys);
}

int main(void)
{
  struct itw_addr sender_addr, reflector_addr;
  const int sender_fd = open_udp(&sender_addr), reflector_fd = open_udp(&reflector_addr);
  struct itw_shard_config config;
  struct itw_session session;
  itw_reflector *reflector;
  itw_sender *sender;
  itw_id here, there;

  ITW_INIT(config);
  ITW_INIT(config.clock); /* Error Estimate 0: "not synchronised"; common/clock.c asks the kernel */
  config.sessions = config.contexts = 1;
  random_octets(config.seed, sizeof config.seed);
  check("itw_sender_new", itw_sender_new(&sender, &config));
  random_octets(config.seed, sizeof config.seed);
  check("itw_reflector_new", itw_reflector_new(&reflector, &config));

  make_session(&session, &sender_addr, &reflector_addr);
  check("itw_sender_add", itw_sender_add(sender, &here, &session, 0));
  check("itw_reflector_add", itw_reflector_add(reflector, &there, &session, 0, mono()));
  check("itw_reflector_start", itw_reflector_start(reflector, there, mono()));
  itw_session_wipe(&session);

  for (int i = 0; i < PACKETS; i++) {
    send_one(sender, here, sender_fd);
    reflect_one(reflector, &reflector_addr, reflector_fd);
    read_one(sender, &sender_addr, sender_fd);
  }

  itw_sender_free(sender);
  itw_reflector_free(reflector);
  close(sender_fd);
  close(reflector_fd);
  return EXIT_SUCCESS;
}
