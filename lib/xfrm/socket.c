/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "inside.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

enum { RECEIVE_OCTETS = 1 << 20 };

static itw_status status_of(int error)
{
  switch (error) {
  case EPERM:
  case EACCES: return ITW_ERR_PERMISSION;
  case ENOMEM: return ITW_ERR_MEMORY;
  default: return ITW_ERR_SYSTEM;
  }
}

static itw_status failed(struct itw_detail *detail, const char *what)
{
  const int error = errno;
  const itw_status st = status_of(error);

  detail->status = st;
  if (st == ITW_ERR_PERMISSION)
    (void)snprintf(detail->text, sizeof detail->text, "%s",
                   "reading the kernel's SAs takes CAP_NET_ADMIN in this network namespace");
  else
    (void)snprintf(detail->text, sizeof detail->text, "%s: %s", what, strerror(error));
  return st;
}

/* Groups of NETLINK_XFRM take CAP_NET_ADMIN, and so tell early whether we have it. */
static itw_status join(struct mnl_socket *s, struct itw_detail *detail)
{
  static const int groups[] = {XFRMNLGRP_SA, XFRMNLGRP_EXPIRE, XFRMNLGRP_POLICY};

  for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
    int group = groups[i];
    if (mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, &group, sizeof group))
      return failed(detail, "following the kernel's SAs");
  }
  return ITW_OK;
}

itw_status itwi_xfrm_open(struct itw_xfrm *x, uint32_t receive_octets, struct itw_detail *detail)
{
  const int octets = (int)(receive_octets ? receive_octets : RECEIVE_OCTETS);

  x->socket = mnl_socket_open2(NETLINK_XFRM, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (!x->socket) return failed(detail, "no netlink socket for XFRM");
  const int fd = mnl_socket_get_fd(x->socket);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof octets))
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets); /* as much as the system allows */
  if (mnl_socket_bind(x->socket, 0, MNL_SOCKET_AUTOPID)) return failed(detail, "netlink address");
  return join(x->socket, detail);
}

void itwi_xfrm_close(struct itw_xfrm *x)
{
  if (x->socket) mnl_socket_close(x->socket);
  x->socket = NULL;
}

bool itwi_xfrm_ask(struct itw_xfrm *x, uint16_t type)
{
  struct nlmsghdr room;
  struct nlmsghdr *const head = mnl_nlmsg_put_header(&room);

  head->nlmsg_type = type;
  head->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  head->nlmsg_seq = x->reading;
  return x->socket && mnl_socket_sendto(x->socket, head, head->nlmsg_len) >= 0;
}

/* Not mnl_socket_recvfrom: who sent it matters. */
itw_status itwi_xfrm_receive(struct itw_xfrm *x, size_t *len)
{
  struct sockaddr_nl from = {0};

  for (;;) {
    socklen_t from_len = sizeof from;
    const ssize_t n = recvfrom(mnl_socket_get_fd(x->socket), x->buffer, sizeof x->buffer, MSG_DONTWAIT | MSG_TRUNC,
                               (struct sockaddr *)&from, &from_len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == ENOBUFS ? ITW_ERR_FULL : ITW_EMPTY;
    if (from_len != sizeof from || from.nl_pid != 0) continue; /* another process's */
    if ((size_t)n > sizeof x->buffer) return ITW_ERR_FULL;
    *len = (size_t)n;
    return ITW_OK;
  }
}
