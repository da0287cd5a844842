/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_INSIDE_H
#define COMMON_INSIDE_H

/* What the parts of a responder share: listener.c takes connections in, visit.c serves one; flow.c is a session of TWAMP;
   stream.c one of OWAMP, fetch.c hands its results out; respond.c makes all of them. */

#include "inbound.h"
#include "outbound.h"
#include "pump.h"
#include "respond.h"
#include "store.h"

struct visit;

/* A session of TWAMP; `user` of the reflector's packets points to it. */
struct flow {
  struct respond *owner;
  struct visit *visit;        /* NULL: its connection is gone, it answers for Timeout */
  struct flow *next;          /* of the same visit */
  struct flow *newer, *older; /* of all */
  uint32_t slot;
  itw_id id; /* 0: not in the reflector */
  enum { AGREED, RUNNING, STOPPED } state;
  struct udp udp;
  struct watch watch;
  itw_mono told; /* when a refused packet was last told of */
  uint64_t untold;
};

/* A session of OWAMP: the Server sends, receives, or both. */
struct stream {
  struct visit *visit;
  struct stream *next; /* of the same visit */
  uint32_t slot;
  struct outgoing out;
  struct incoming in;
  struct result *result; /* of a receiver */
  struct demand demand;
  bool sends, receives, sent; /* sent: all of it, and Timeout has passed */
  enum { PROPOSED, ACCEPTED, STARTED } state;
  itw_mono told;      /* when a refused packet was last told of */
  uint64_t untold;
};

/* A Fetch-Session being answered. */
struct fetch {
  struct result *result; /* NULL: none */
  uint32_t begin, end;   /* sequence numbers */
  uint32_t limit;        /* records that there were, */
  bool judged;           /* and a verdict on them */
  uint32_t at;           /* the record to look at next */
};

/* A control connection. */
struct visit {
  struct respond *owner;
  struct visit *newer, *older;
  struct pump pump;
  itw_mono since;
  struct itw_addr local, remote;
  struct user user;
  uint32_t mode;
  struct flow *flows;
  struct stream *streams;
  struct fetch fetch;
  struct timer stop; /* OWAMP: our Stop-Sessions */
  bool up, stopping;
};

struct respond {
  struct loop *loop;
  struct respond_config config;
  struct watch listen[RESPOND_LISTENERS];
  itw_server *server;
  itw_reflector *reflector; /* TWAMP's */
  struct outbound outbound; /* OWAMP's */
  struct inbound inbound;
  struct share shares[CLASSES];
  struct store store;
  struct timer ends, clock, pause; /* of sessions; looking at the clock; not accepting */
  struct burst burst;
  struct visit *newest, *oldest;
  struct flow *newest_flow;
  uint32_t visits, flows;
  uint64_t tag; /* of the newest connection */
  struct {
    uint64_t connections, refused, left, sa_gone, broken, sessions, sessions_refused, full, fetches, fetches_denied;
  } total;
};

/* A line on stderr about a peer. */
__attribute__((format(printf, 3, 4))) void respond_say(const struct respond *, const struct itw_addr *who,
                                                       const char *format, ...);

/* One about a refused test packet: a second apart at least, by the caller's `told` and `untold`. */
void respond_say_packet(const struct respond *, itw_mono *told, uint64_t *untold, const struct itw_packet *, uint16_t port);

/* ---- listener.c ---- */

/* False: why. */
bool listener_open(struct respond *, char why[RESPOND_WHY]);
void listener_close(struct respond *);

/* ---- visit.c ---- */

/* Takes over the socket. */
void visit_open(struct respond *, int fd);
/* The Accept that a session is refused with, and why. */
void visit_refuse(struct visit *, uint32_t slot, uint32_t accept, const char *why);

/* ---- flow.c ---- */

void flow_close(struct flow *);
/* What became of the sessions of a connection. */
void flows_request(struct visit *, const struct itw_event *);
void flows_ready(struct visit *, uint32_t slot);
void flows_started(struct visit *);
void flows_start(struct visit *, uint32_t slot);   /* one of them (RFC 5938) */
void flows_stopped(struct visit *, uint32_t slot); /* ITW_NO_SLOT: all */
void flows_detach(struct visit *); /* the connection is gone */
void flows_ended(struct timer *, itw_mono now); /* the timer's: Timeout after Stop, REFWAIT */

/* ---- stream.c ---- */

itw_status streams_open(struct respond *);
void streams_request(struct visit *, const struct itw_event *);
void streams_ready(struct visit *, const struct itw_event *);
void streams_started(struct visit *);
void streams_stop_session(struct visit *, const struct itw_event *);
void streams_stop(struct visit *, const struct itw_event *);
void streams_stopped(struct visit *);
void streams_take(struct visit *, const struct itw_poll *); /* the peer's skip ranges */
void streams_give(struct visit *, const struct itw_poll *); /* ours */
void streams_on_time(struct timer *, itw_mono now);
void streams_detach(struct visit *);

/* ---- fetch.c ---- */

void fetch_begin(struct visit *, const struct itw_event *);
void fetch_give(struct visit *, const struct itw_poll *);
void fetch_end(struct visit *);

#endif
