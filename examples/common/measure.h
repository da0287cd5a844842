/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_MEASURE_H
#define COMMON_MEASURE_H

/* One measurement, as Control-Client and Session-Sender: connect, ask for a session, send, collect, stop. */

#include "loop.h"
#include "report.h"

#include <ipsectwamp/client.h>

struct measure_config {
  struct itw_addr peer;
  itw_keyring *ring;  /* NULL: no keys */
  uint32_t schemes;   /* as in itw_client_config */
  uint8_t modes[4];
  uint32_t flags;     /* ITW_CLIENT_* */
  const char *key_id; /* NULL: none */
  uint32_t max_count; /* 0: the library's */
  uint32_t count;     /* packets; 0: until measure_stop */
  uint32_t padding, dscp;
  bool zero_padding;
  uint64_t interval_ns;
  uint64_t timeout_ns; /* how long a reply is waited for */
  uint64_t connect_ns; /* how long connecting may take */
  /* For each reply; NULL: not interested. */
  void (*reply)(void *owner, const struct itw_reply *);
  void (*done)(void *owner);
  void *owner;
};

enum { MEASURE_WHY = 256 };
struct measure;
/* NULL: why. `done` is told later, not from within. */
struct measure *measure_start(struct loop *, const struct measure_config *, char why[MEASURE_WHY]);
/* Ends early: what was sent counts. */
void measure_stop(struct measure *);
void measure_free(struct measure *);

/* When done. Failed: there was no session, or something broke; one line. NULL: all is well. */
const char *measure_failure(const struct measure *);
bool measure_had_session(const struct measure *);
struct report *measure_report(struct measure *);
struct report_head measure_head(const struct measure *);

#endif
