/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "plugin.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

_Static_assert(sizeof((struct itwi_plugin *)0)->path == sizeof((struct sockaddr_un *)0)->sun_path, "a path that fits");
_Static_assert(sizeof(struct itw_plugin_head) + sizeof(struct itw_answer) <= ITW_PLUGIN_OCTETS, "no message is longer");

#define RETRY 1000000000u /* ns */
#define HELLO 5000000000u

void itwi_plugin_disconnect(struct itwi_plugin *p, itw_status why)
{
  const bool was_there = p->talking;

  if (p->fd >= 0) close(p->fd);
  p->fd = -1;
  p->talking = false;
  p->failed = true;
  p->at = p->now + RETRY;
  p->flush_at = ITW_NEVER;
  p->ike_sas = p->child_sas = 0;
  if ((was_there || why != ITW_ERR_SOURCE_LOST) && p->told_lost != why) p->tell_lost = p->told_lost = why;
  itwi_question_answer_all(p, ITW_ERR_SOURCE_LOST);
}

/* Who listens there is charon's user, or it isn't charon. */
static itw_status check_peer(const struct itwi_plugin *p)
{
  struct ucred peer;
  socklen_t len = sizeof peer;

  if (getsockopt(p->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)) return ITW_ERR_SOURCE_LOST;
  return peer.uid == p->uid ? ITW_OK : ITW_ERR_PERMISSION;
}

static itw_status reach(struct itwi_plugin *p)
{
  struct sockaddr_un to = {.sun_family = AF_UNIX};

  memcpy(to.sun_path, p->path, sizeof to.sun_path);
  p->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (p->fd < 0) return ITW_ERR_SOURCE_LOST;
  if (connect(p->fd, (struct sockaddr *)&to, sizeof to)) return errno == EACCES ? ITW_ERR_PERMISSION : ITW_ERR_SOURCE_LOST;
  return check_peer(p);
}

void itwi_plugin_connect(struct itwi_plugin *p)
{
  const itw_status st = reach(p);

  p->at = p->now + HELLO;
  if (st) itwi_plugin_disconnect(p, st);
}

itw_status itwi_plugin_send(struct itwi_plugin *p, const struct itw_ask *ask)
{
  const struct itw_plugin_head head = {ITW_PLUGIN_ASK, sizeof *ask, ask->tag};
  uint8_t message[sizeof head + sizeof *ask];
  ssize_t n;

  memcpy(message, &head, sizeof head);
  memcpy(message + sizeof head, ask, sizeof *ask);
  do n = send(p->fd, message, sizeof message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n == (ssize_t)sizeof message) return ITW_OK;
  return errno == EAGAIN ? ITW_AGAIN : ITW_ERR_EOF;
}

itw_status itwi_plugin_receive(struct itwi_plugin *p, uint8_t octets[ITW_PLUGIN_OCTETS], size_t *len)
{
  ssize_t n;

  /* A peer that closes before it has read all resets: once, and before what it has sent. */
  do n = recv(p->fd, octets, ITW_PLUGIN_OCTETS, MSG_TRUNC);
  while (n < 0 && (errno == EINTR || errno == ECONNRESET));
  if (n < 0) return errno == EAGAIN ? ITW_EMPTY : ITW_ERR_EOF;
  if (n == 0) return ITW_ERR_EOF;
  *len = (size_t)n;
  return n > ITW_PLUGIN_OCTETS ? ITW_ERR_SHORT : ITW_OK;
}
