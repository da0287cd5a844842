/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_INBOUND_H
#define COMMON_INBOUND_H

/* OWAMP's Session-Receivers: test packets become records, as do those that don't come (RFC 4656 §4.2). A socket for each
   session, one timer for all. */

#include "loop.h"
#include "udp.h"

#include <ipsectwamp/receiver.h>

/* A session; its socket is opened by its owner, and closed with the session. */
struct incoming {
  struct inbound *shard;
  itw_id id; /* 0: not in the shard */
  struct udp udp;
  struct watch watch;
  bool complete; /* all packets have come or are lost */
  void *owner;
};

struct inbound {
  struct loop *loop;
  itw_receiver *receiver; /* NULL: not open */
  struct timer timer;
  struct burst *burst;
  itw_mono clock_next;
  /* One after the other, in the order of arrival. */
  void (*record)(struct incoming *, const struct itw_record *);
  /* A packet that is none of the session; NULL: not interested. */
  void (*refused)(struct incoming *, const struct itw_packet *);
  /* It is complete, or was stopped and the verdict stands. */
  void (*ended)(struct incoming *, const struct itw_verdict *);
};

/* window: as in itw_shard_config. burst: borrowed. */
itw_status inbound_open(struct inbound *, struct loop *, struct burst *, uint32_t sessions, uint32_t slots, uint32_t window);
void inbound_close(struct inbound *);

/* The socket is open. */
itw_status incoming_add(struct inbound *, struct incoming *, const struct itw_session *, const struct itw_slot *, uint32_t n);
itw_status incoming_start(struct incoming *);
/* Stop-Sessions came. What is in the socket still counts; `ended` comes from within. */
void incoming_stop(struct incoming *, uint32_t next_seqno);
void incoming_broke(struct incoming *); /* it didn't: the connection broke */
void incoming_close(struct incoming *);

#endif
