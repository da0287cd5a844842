/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "pump.h"

#include "clock.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLICE = 64 }; /* iterations of PBKDF2 at a time, some 20 to 50 microseconds */

/* Closing a socket that still holds unread octets sends a reset, which may overtake the answer that says why. So we say
   that we are done, and read a little of what is there. */
static void hang_up(int fd)
{
  uint8_t octets[4096];

  shutdown(fd, SHUT_WR);
  for (int i = 0; i < 16 && recv(fd, octets, sizeof octets, MSG_DONTWAIT) > 0; i++) continue;
  close(fd);
}

static void finish(struct pump *p)
{
  watch_stop(p->loop, &p->watch);
  timer_set(p->loop, &p->timer, ITW_NEVER);
  job_set(p->loop, &p->job, false);
  itw_conn_free(p->conn);
  p->conn = NULL;
  hang_up(p->watch.fd);
  p->closed(p);
}

/* For verbs that say nothing by their status that the connection's events don't say too. */
static void told_by_events(itw_status st) { (void)st; }

void pump_close(struct pump *p) { told_by_events(itw_conn_close(p->conn, NULL, now_mono())); }

/* One event to its handler. False: there was none. */
static bool take_event(struct pump *p)
{
  struct itw_event event;

  ITW_INIT(event);
  if (itw_conn_event(p->conn, &event, NULL) != ITW_OK) return false;
  p->event(p, &event);
  return true;
}

/* False: the socket takes no more for now. */
static bool write_some(struct pump *p, const struct itw_poll *poll)
{
  const ssize_t n = send(p->watch.fd, poll->out, poll->out_len, MSG_NOSIGNAL);

  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n < 0)
    told_by_events(itw_conn_eof(p->conn, NULL, now_mono()));
  else
    told_by_events(itw_conn_sent(p->conn, NULL, (size_t)n, now_mono()));
  return true;
}

void pump_run(struct pump *p)
{
  struct itw_poll poll;
  bool full = false;

  ITW_INIT(poll);
  for (;;) {
    if (itw_conn_poll(p->conn, &poll) < 0) return;
    if ((poll.wants & ITW_WANT_EVENT) && take_event(p)) continue;
    if ((poll.wants & ITW_WANT_WRITE) && !full) {
      full = !write_some(p, &poll);
      continue;
    }
    if ((poll.wants & ITW_WANT_TAKE) || ((poll.wants & ITW_WANT_GIVE) && !full)) {
      p->data(p, &poll);
      continue;
    }
    break;
  }
  if (poll.wants & ITW_WANT_CLOSE) {
    finish(p);
    return;
  }
  watch_change(p->loop, &p->watch, (poll.in_len ? (uint32_t)EPOLLIN : 0) | (full ? (uint32_t)EPOLLOUT : 0));
  timer_set(p->loop, &p->timer, poll.deadline);
  job_set(p->loop, &p->job, (poll.wants & ITW_WANT_WORK) != 0);
}

void pump_drop(struct pump *p)
{
  pump_close(p);
  told_by_events(itw_conn_eof(p->conn, NULL, now_mono())); /* nobody reads what is left to write */
  pump_run(p);
}

void pump_sa_gone(struct pump *p, const struct itw_sa *sa)
{
  struct itw_sa own;

  ITW_INIT(own);
  if (!sa && itw_conn_sa(p->conn, &own) < 0) return;
  if (itw_conn_sa_gone(p->conn, NULL, sa ? sa : &own, now_mono()) == ITW_OK) pump_run(p);
}

/* One that doesn't fit the question says as much as none. */
void pump_answer(struct pump *p, const struct itw_answer *answer)
{
  struct itw_answer none;

  ITW_INIT(none);
  none.id = answer->id;
  none.why = ITW_ERR_KEY_PROVIDER;
  itw_status st = itw_conn_answer(p->conn, NULL, answer, now_mono());
  if (st < 0 && st != ITW_ERR_STALE) st = itw_conn_answer(p->conn, NULL, &none, now_mono());
  if (st == ITW_OK) pump_run(p);
}

static void on_socket(struct watch *w, uint32_t events)
{
  struct pump *const p = w->owner;
  struct itw_poll poll;

  ITW_INIT(poll);
  if (itw_conn_poll(p->conn, &poll) < 0) return;
  if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) && poll.in_len) {
    const ssize_t n = recv(w->fd, poll.in, poll.in_len, 0);
    if (n > 0) {
      p->heard = true;
      told_by_events(itw_conn_got(p->conn, NULL, (size_t)n, now_mono()));
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      told_by_events(itw_conn_eof(p->conn, NULL, now_mono()));
    }
  } else if (events & (EPOLLERR | EPOLLHUP)) { /* reset, while the connection wants to read nothing */
    told_by_events(itw_conn_eof(p->conn, NULL, now_mono()));
  }
  pump_run(p);
}

static void on_deadline(struct timer *t, itw_mono now)
{
  struct pump *const p = t->owner;
  told_by_events(itw_conn_expire(p->conn, NULL, now));
  pump_run(p);
}

static void on_slice(struct job *j, itw_mono now)
{
  struct pump *const p = j->owner;
  told_by_events(itw_conn_work(p->conn, NULL, SLICE, now));
  pump_run(p);
}

bool pump_start(struct pump *p, int fd, itw_conn *conn)
{
  p->conn = conn;
  p->watch = (struct watch){.fd = fd, .ready = on_socket, .owner = p};
  p->timer = (struct timer){.due = on_deadline, .owner = p};
  p->job = (struct job){.run = on_slice, .owner = p};
  if (!watch_start(p->loop, &p->watch, 0)) return false;
  pump_run(p);
  return true;
}
