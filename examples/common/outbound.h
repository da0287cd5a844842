/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_OUTBOUND_H
#define COMMON_OUTBOUND_H

/* OWAMP's Session-Senders: test packets leave when their schedules say so (RFC 4656 §4.1). One timer for all sessions. */

#include "loop.h"
#include "udp.h"

#include <ipsectwamp/record.h>
#include <ipsectwamp/schedule.h>
#include <ipsectwamp/sender.h>

/* A session; its socket is opened by its owner, and closed with the session. */
struct outgoing {
  itw_id id; /* 0: not in the shard */
  struct udp udp;
  struct itw_skip *skips; /* what was left out so far, in order */
  uint32_t n_skips, room;
  uint32_t sent;
  uint32_t next_seqno; /* after outgoing_stop */
  int error;           /* the first errno of sending */
  bool lost_track;     /* more was left out than can be told */
  void *owner;
};

struct outbound {
  struct loop *loop;
  itw_sender *sender; /* NULL: not open */
  struct timer timer;
  struct burst *burst;
  itw_mono clock_next;
  void (*ended)(struct outgoing *); /* all is sent, and Timeout has passed */
};

/* burst: borrowed. */
itw_status outbound_open(struct outbound *, struct loop *, struct burst *, uint32_t sessions, uint32_t slots);
void outbound_close(struct outbound *);

itw_status outgoing_add(struct outbound *, struct outgoing *, const struct itw_session *, const struct itw_slot *, uint32_t n);
void outgoing_start(struct outbound *, struct outgoing *);
/* Nothing more leaves; next_seqno and skips are final. */
void outgoing_stop(struct outbound *, struct outgoing *);
void outgoing_close(struct outbound *, struct outgoing *);

#endif
