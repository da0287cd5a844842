/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_MEASURE_H
#define COMMON_MEASURE_H

/* One measurement over one control connection, as Control-Client with a Session-Sender, of OWAMP with a Session-Receiver
   too: connect, ask for sessions, send, collect, stop, fetch. */

#include "loop.h"
#include "report.h"
#include "source.h"

#include <ipsectwamp/client.h>

/* OWAMP: which way; the results of packets to the Server are fetched from it. */
enum { MEASURE_TO = 1, MEASURE_FROM = 2 };

struct measure_config {
  struct itw_addr peer;
  struct itw_keys keys; /* ops NULL: no keys */
  const struct source *source; /* that they come from, for what is told; NULL: nowhere in particular */
  uint64_t tag;       /* as in itw_client_config */
  uint32_t schemes;   /* as in itw_client_config */
  uint8_t modes[4];
  uint32_t flags;     /* ITW_CLIENT_* */
  const char *key_id; /* NULL: none */
  uint32_t max_count; /* 0: the library's */
  uint32_t protocol;  /* ITW_TWAMP, ITW_OWAMP */
  uint32_t on_rekey;  /* ITW_REKEY_*; CLOSE: TWAMP only */
  uint32_t features;  /* TWAMP: ITW_FEATURE_*, wanted */
  uint32_t reflect;   /* ITW_FEATURE_REFLECT: octets of padding, 1 to 65535 */
  uint32_t ways;      /* OWAMP: MEASURE_* */
  uint32_t schedule;  /* OWAMP: ITW_SLOT_* */
  uint32_t count;     /* packets; TWAMP: 0: until measure_stop */
  uint32_t padding, dscp;
  bool padded;        /* false: `padding` is ours: what makes packets and replies equally long, or least */
  bool zero_padding;
  uint64_t interval_ns;
  uint64_t timeout_ns; /* how long a packet is waited for */
  uint64_t connect_ns; /* how long connecting may take */
  /* The connection is set up: what the Server can't of the features wanted; 0: it can all. NULL: not interested. */
  void (*agreed)(void *owner, uint32_t missing);
  /* The SA is gone, and the session goes on with its keys. NULL: not interested. */
  void (*kept)(void *owner, const struct itw_sa *);
  /* For each reply; OWAMP: for each record that counts, when the session has ended. NULL: not interested. */
  void (*reply)(void *owner, const struct itw_reply *);
  void (*record)(void *owner, uint32_t way, const struct itw_record *);
  void (*done)(void *owner);
  void *owner;
};

enum { MEASURE_WHY = 512 };
struct measure;
/* NULL: why. `done` is told later, not from within. */
struct measure *measure_start(struct loop *, const struct measure_config *, char why[MEASURE_WHY]);
/* Ends early: what was sent counts. */
void measure_stop(struct measure *);
void measure_free(struct measure *);

/* What a source tells: an SA is gone (NULL: its own, whichever that is); a late answer. */
void measure_sa_gone(struct measure *, const struct itw_sa *);
void measure_answer(struct measure *, const struct itw_answer *);

/* So far. OWAMP tells delays only at the end. */
struct measure_progress {
  bool running; /* false: nothing to tell yet, or no more */
  uint64_t sent, received, lost;
  int64_t rtt_ns; /* the median; 0: not known */
};
struct measure_progress measure_progress(const struct measure *);

/* When done. Failed: there was no session, or something broke; one line. NULL: all is well. */
const char *measure_failure(const struct measure *);
bool measure_had_session(const struct measure *);
/* How the control connection came to its end. */
enum {
  MEASURE_WHOLE,    /* in any way that has nothing to do with its SA */
  MEASURE_REPLACED, /* its SA is gone: during set-up, or with ITW_REKEY_CLOSE; results so far are valid */
  MEASURE_LEFT,     /* the same occasions: the Server closed, perhaps because of its SA */
  MEASURE_AHEAD     /* the Server names an SA that isn't known here: it may have heard of a new one before us */
};
int measure_end(const struct measure *);
void measure_break(struct measure *); /* LEFT: it wasn't because of its SA: results are invalid */
const struct report *measure_reports(const struct measure *); /* REPORTS of them */
struct report_head measure_head(const struct measure *);
/* Adds what another one found. */
void measure_merge(struct measure *, const struct measure *other);

#endif
