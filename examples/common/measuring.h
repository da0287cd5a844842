/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_MEASURING_H
#define COMMON_MEASURING_H

/* What the parts of a measurement share: measure.c connects and has the last word; twoway.c is TWAMP's session, oneway.c
   are OWAMP's. */

#include "addr.h"
#include "inbound.h"
#include "measure.h"
#include "outbound.h"
#include "pump.h"

/* TWAMP. */
struct twoway {
  struct watch watch;
  struct udp udp;
  itw_sender *sender;
  itw_id id;
  uint32_t slot, sent, answered;
  itw_mono next, last, clock_next; /* last: when one was sent */
  int send_error; /* the first errno */
};

/* OWAMP. */
struct oneway {
  struct outbound outbound;
  struct inbound inbound;
  struct outgoing to;
  struct incoming from;
  struct itw_slot schedule;
  uint32_t to_slot, from_slot; /* of the connection; ITW_NO_SLOT */
  struct itw_record *records;  /* of what came from the Server */
  size_t n_records, room;
  struct itw_skip *skips[REPORTS]; /* what wasn't sent to the Server, and by it */
  uint32_t n_skips[REPORTS];
  uint32_t next_seqno; /* of what came from the Server */
  bool sent, stopping, taken, fetched; /* taken: some of what is fetched */
};

enum stage { CONNECTING, SETTING_UP, RUNNING, WAITING, STOPPING, LINGERING, DONE }; /* LINGERING: no connection any more */

struct measure {
  struct loop *loop;
  struct measure_config config;
  enum stage stage;
  struct watch connecting; /* until the TCP connection is there */
  struct timer timer;      /* the connection isn't there yet; TWAMP: the next packet, the last reply; OWAMP: Stop-Sessions */
  struct pump pump;
  struct burst burst;
  struct twoway twoway;
  struct oneway oneway;
  bool had_session;
  int end; /* MEASURE_* */
  struct itw_addr local; /* of the control connection */
  struct report reports[REPORTS];
  struct report_head head;
  char peer_text[ADDR_TEXT], why[MEASURE_WHY];
};

/* The first reason stands. */
__attribute__((format(printf, 2, 3))) void measure_fail(struct measure *, const char *format, ...);
/* All is known, and told; once only. */
void measure_done(struct measure *);
/* A call that can't fail unless this program is wrong, or memory is out. False: it did, and the connection ends. */
bool measure_check(struct measure *, itw_status);
/* A UDP socket beside the control connection. False: there is none, and the connection ends. */
bool measure_bind(struct measure *, struct udp *);
/* The session was refused. */
void measure_refused(struct measure *, const struct itw_event *);
/* The control connection broke during the test. */
void measure_broken(struct measure *, itw_status);

/* Events that the protocols don't have in common, and the same for the rest. */
void twoway_event(struct measure *, const struct itw_event *);
void twoway_time(struct measure *, itw_mono now);
void twoway_stop(struct measure *); /* early */
void twoway_sa_gone(struct measure *); /* ITW_REKEY_CLOSE; in a handler */
bool twoway_linger(struct measure *); /* the connection is over; true: replies are still to come, and waited for */
void twoway_close(struct measure *);
struct measure_progress twoway_progress(const struct measure *);

void oneway_event(struct measure *, const struct itw_event *);
void oneway_data(struct measure *, const struct itw_poll *);
void oneway_time(struct measure *);
void oneway_stop(struct measure *); /* early */
void oneway_close(struct measure *);
struct measure_progress oneway_progress(const struct measure *);

#endif
