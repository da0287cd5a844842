/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_PUMP_H
#define COMMON_PUMP_H

/* Drives one itw_conn over a TCP socket: the loop of <ipsectwamp/conn.h>, on epoll. */

#include "loop.h"

#include <ipsectwamp/conn.h>

struct pump {
  struct loop *loop;
  struct watch watch; /* the socket */
  struct timer timer; /* the connection's deadline */
  struct job job;     /* slices of PBKDF2 */
  itw_conn *conn;
  bool heard; /* the peer has said something */
  /* News. The handler may call verbs of the connection, with NULL for the poll: the pump looks again afterwards. */
  void (*event)(struct pump *, const struct itw_event *);
  /* OWAMP's data is to be taken or given; does some of it, with NULL for the poll. */
  void (*data)(struct pump *, const struct itw_poll *);
  /* It is over: conn is freed and the socket closed. The handler may free the pump. */
  void (*closed)(struct pump *);
  void *owner;
};

/* Takes over a connected socket and its connection; loop, event, closed and owner are set. False: no memory. */
bool pump_start(struct pump *, int fd, itw_conn *);
/* To be called after a verb outside of a handler: does what the connection wants now. May end in `closed`. */
void pump_run(struct pump *);
/* Closes from our side: what is to be written is written, then `closed` comes from pump_run. In a handler too. */
void pump_close(struct pump *);
/* The same at once, written or not: not in a handler; `closed` comes from within. */
void pump_drop(struct pump *);

/* What a source of keys tells; not in a handler either, and `closed` may come from within. An SA is gone (NULL: the
   connection's own, whichever that is); a late answer, which may be stale. */
void pump_sa_gone(struct pump *, const struct itw_sa *);
void pump_answer(struct pump *, const struct itw_answer *);

#endif
