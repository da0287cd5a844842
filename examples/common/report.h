/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_REPORT_H
#define COMMON_REPORT_H

/* What a measurement found: collected reply by reply, then worked out, then printed. */

#include <ipsectwamp/sender.h>
#include <stdbool.h>
#include <stdio.h>

/* Of some durations, in ns; percentiles by nearest rank. */
struct summary {
  double mean, stddev; /* of the sample, n - 1 */
  int64_t min, median, p95, p99, max;
};

struct durations {
  int64_t *ns;
  size_t n, room;
};

/* Packet delay variation (RFC 5481 §4.2) is what p95 is above the minimum: a difference of delays, so in one direction
   too it needs no synchronised clocks. One-way delays themselves do. */
struct report {
  struct durations rtt, there, back;
  uint64_t sent, duplicates, reordered, late, auth_failures, malformed;
  uint16_t error_here, error_there; /* Error Estimates, the last ones */
  bool broken;                      /* the control connection broke: results are invalid (RFC 4656 §3.8) */
};

void report_free(struct report *);
/* A first reply in time. False: no memory. */
bool report_add(struct report *, const struct itw_reply *);
struct summary report_summary(struct durations *); /* sorts; all 0 if there are none */

/* How the measurement was made, for printing. */
struct report_head {
  const char *peer;
  uint32_t scheme, mode;
  uint8_t sid[16];
  struct itw_sa sa; /* protocol 0: none */
};
void report_print(FILE *, struct report *, const struct report_head *);
void report_print_json(FILE *, struct report *, const struct report_head *);
/* One line for one reply. */
void report_print_reply(FILE *, const struct itw_reply *);

#endif
