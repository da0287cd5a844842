/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "inside.h"

#include "addr.h"
#include "clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { ACCEPTS = 16, BACKLOG = 1024 };
static const uint64_t grace_silent = NS_PER_S, grace_slow = 10 * NS_PER_S; /* when all places are taken */
static const uint64_t pause_ns = 100 * NS_PER_MS; /* without accepting, when no file descriptor was left */

/* ---- a connection comes ---- */

/* The oldest connection that isn't set up and had its time; NULL: none. */
static struct visit *overdue(const struct respond *r, bool silent, uint64_t time)
{
  const itw_mono now = now_mono();
  struct visit *v = r->oldest;

  while (v && now - v->since >= time && (v->up || v->pump.heard == silent)) v = v->newer;
  return v && now - v->since >= time ? v : NULL;
}

/* All places are taken: one that has said nothing for a while makes room, or else one that takes long. A client that is
   on its way isn't put out, however fast others come. False: nobody is to go. */
static bool make_room(struct respond *r)
{
  struct visit *v = overdue(r, true, grace_silent);

  if (!v) v = overdue(r, false, grace_slow);
  if (!v) return false;
  r->total.full++;
  respond_say(r, &v->remote, "closed during set-up: too many connections, and this is the oldest of those");
  pump_drop(&v->pump);
  return true;
}

static void on_listener(struct watch *w, uint32_t events)
{
  struct respond *const r = w->owner;
  (void)events;

  for (int i = 0; i < ACCEPTS; i++) {
    const int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      if (r->visits < r->config.connections || make_room(r)) {
        visit_open(r, fd);
        continue;
      }
      const struct itw_addr who = addr_of_peer(fd);
      r->total.full++;
      respond_say(r, &who, "refused: too many connections");
      close(fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      for (unsigned k = 0; k < r->config.binds; k++) watch_change(r->loop, &r->listen[k], 0);
      timer_set(r->loop, &r->pause, now_mono() + pause_ns);
      return;
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

static void on_pause_over(struct timer *t, itw_mono now)
{
  struct respond *const r = t->owner;
  (void)now;
  for (unsigned k = 0; k < r->config.binds; k++) watch_change(r->loop, &r->listen[k], EPOLLIN);
}

/* ---- sockets ---- */

/* A listening socket, or -1 and errno. */
static int listen_on(const struct itw_addr *addr)
{
  const int one = 1;
  struct sockaddr_storage sa;
  const socklen_t len = addr_to_sockaddr(&sa, addr);
  const int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  if (fd < 0) return -1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_SAVE_SYN, &one, sizeof one);
  if (addr->family == 6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (bind(fd, (const struct sockaddr *)&sa, len) == 0 && listen(fd, BACKLOG) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

bool listener_open(struct respond *r, char why[RESPOND_WHY])
{
  char text[ADDR_TEXT];

  r->pause = (struct timer){.due = on_pause_over, .owner = r};
  for (unsigned i = 0; i < r->config.binds; i++) {
    struct itw_addr addr = r->config.bind[i];
    if (i && !addr.port) addr.port = addr_of_socket(r->listen[0].fd).port;
    const int fd = listen_on(&addr);
    if (fd < 0 && i && errno == EAFNOSUPPORT) { /* a machine without IPv6 */
      r->config.binds = i;
      break;
    }
    r->listen[i] = (struct watch){.fd = fd, .ready = on_listener, .owner = r};
    if (fd < 0 || !watch_start(r->loop, &r->listen[i], EPOLLIN)) {
      snprintf(why, RESPOND_WHY, "can't listen on %s: %s", addr_text(text, &addr), strerror(errno));
      return false;
    }
  }
  return true;
}

void listener_close(struct respond *r)
{
  for (unsigned i = 0; i < RESPOND_LISTENERS; i++) {
    watch_stop(r->loop, &r->listen[i]);
    if (r->listen[i].fd >= 0) close(r->listen[i].fd);
  }
  timer_set(r->loop, &r->pause, ITW_NEVER);
}
