/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "udp.h"

#include "addr.h"
#include "clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

enum { TTL = 255, RECEIVE_BUFFER = 1 << 20 };

/* Room for all control messages of one packet, aligned as the kernel wants them. */
struct control {
  _Alignas(struct cmsghdr) uint8_t octets[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(struct in6_pktinfo)) +
                                          2 * CMSG_SPACE(sizeof(int))];
};

static int option(int fd, int level, int name, int value) { return setsockopt(fd, level, name, &value, sizeof value); }

static int set_options_4(int fd)
{
  return option(fd, IPPROTO_IP, IP_TTL, TTL) || option(fd, IPPROTO_IP, IP_RECVTTL, 1) ||
         option(fd, IPPROTO_IP, IP_RECVTOS, 1) || option(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

static int set_options_6(int fd)
{
  return option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) || option(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, TTL) ||
         option(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) || option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) ||
         option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

int udp_open(struct udp *out, const struct itw_addr *local)
{
  struct sockaddr_storage sa;
  const socklen_t len = addr_to_sockaddr(&sa, local);
  const int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  if (fd < 0) return errno;
  (void)option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER); /* as much of it as the system allows */
  if ((local->family == 4 ? set_options_4(fd) : set_options_6(fd)) || option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1) ||
      bind(fd, (const struct sockaddr *)&sa, len)) {
    const int error = errno;
    close(fd);
    return error;
  }
  out->fd = fd;
  out->local = addr_of_socket(fd);
  return 0;
}

void udp_close(struct udp *u)
{
  if (u->fd >= 0) close(u->fd);
  u->fd = -1;
}

bool burst_open(struct burst *b, size_t longest)
{
  memset(b, 0, sizeof *b);
  b->slot = (longest + 63) & ~(size_t)63;
  b->size = b->slot * BURST;
  b->octets = malloc(b->size);
  return b->octets != NULL;
}

void burst_close(struct burst *b)
{
  free(b->octets);
  b->octets = NULL;
}

struct itw_packet *burst_clear(struct burst *b, size_t i)
{
  struct itw_packet *p = &b->packet[i];
  memset(p, 0, sizeof *p);
  p->off = (uint32_t)(i * b->slot);
  p->cap = (uint32_t)b->slot;
  return p;
}

/* What the kernel said beside one packet. TTL and class come as int, IPv4's TOS as one octet. */
static void read_control(struct itw_packet *p, struct msghdr *msg)
{
  for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
    const uint8_t *data = CMSG_DATA(c);
    int number = 0;
    if (c->cmsg_len >= CMSG_LEN(sizeof number)) memcpy(&number, data, sizeof number);

    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
      struct timespec t;
      memcpy(&t, data, sizeof t);
      p->received = ntp_from_timespec(&t);
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) {
      p->ttl = (uint8_t)number;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      p->tos = *data;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, data, sizeof info);
      memcpy(p->local.ip, &info.ipi_addr, 4);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT) {
      p->ttl = (uint8_t)number;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      p->tos = (uint8_t)number;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, data, sizeof info);
      memcpy(p->local.ip, &info.ipi6_addr, 16);
    }
  }
}

size_t udp_receive(const struct udp *u, struct burst *b)
{
  struct sockaddr_storage from[BURST];
  struct control control[BURST];
  struct mmsghdr msg[BURST];
  struct iovec iov[BURST];

  memset(msg, 0, sizeof msg);
  for (size_t i = 0; i < BURST; i++) {
    iov[i] = (struct iovec){b->octets + i * b->slot, b->slot};
    msg[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                     .msg_namelen = sizeof from[i],
                                     .msg_iov = &iov[i],
                                     .msg_iovlen = 1,
                                     .msg_control = &control[i],
                                     .msg_controllen = sizeof control[i]};
  }
  const int n = recvmmsg(u->fd, msg, BURST, 0, NULL);
  if (n <= 0) return 0;

  const itw_ntp now = now_wall(); /* for a packet that the kernel didn't stamp */
  for (size_t i = 0; i < (size_t)n; i++) {
    struct itw_packet *p = burst_clear(b, i);
    p->len = msg[i].msg_len;
    p->received = now;
    p->ttl = 255;
    p->local = u->local;
    p->remote = addr_from_sockaddr(&from[i]);
    read_control(p, &msg[i].msg_hdr);
  }
  return (size_t)n;
}

static size_t put_control(uint8_t *at, int level, int type, const void *data, size_t len)
{
  const struct cmsghdr head = {.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
  memcpy(at, &head, sizeof head);
  memcpy(at + CMSG_LEN(0), data, len);
  return CMSG_SPACE(len);
}

/* Traffic class and source address of one packet; returns the octets used. The interface is left to the routing table,
   but for an IPv6 address that has a scope. */
static size_t write_control(struct control *c, const struct itw_packet *p)
{
  const int tos = p->tos;
  size_t n = 0;

  memset(c, 0, sizeof *c);
  if (p->remote.family == 4) {
    struct in_pktinfo info = {0};
    memcpy(&info.ipi_spec_dst, p->local.ip, 4);
    n += put_control(c->octets + n, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    n += put_control(c->octets + n, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  } else {
    struct in6_pktinfo info = {.ipi6_ifindex = p->remote.scope};
    memcpy(&info.ipi6_addr, p->local.ip, 16);
    n += put_control(c->octets + n, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
    n += put_control(c->octets + n, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
  }
  return n;
}

int udp_send(const struct udp *u, const struct burst *b, const struct itw_packet *p)
{
  struct iovec iov = {b->octets + p->off, p->len};
  struct sockaddr_storage to;
  struct control control;
  struct msghdr msg = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};

  msg.msg_namelen = addr_to_sockaddr(&to, &p->remote);
  msg.msg_controllen = write_control(&control, p);
  return sendmsg(u->fd, &msg, 0) < 0 ? errno : 0;
}
