/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_REPORT_H
#define COMMON_REPORT_H

/* What a measurement found, in bounded memory (<ipsectwamp/stats.h>), and how it is printed. TWAMP has one report, with the
   way there, the way back, and the round trip; OWAMP one for each direction. */

#include <ipsectwamp/conn.h>
#include <ipsectwamp/stats.h>
#include <stdbool.h>
#include <stdio.h>

/* Packet delay variation (RFC 5481 §4.2) is what p95 is above the minimum: a difference of delays, so in one direction
   too it needs no synchronised clocks. One-way delays themselves do. */
struct report {
  itw_stats *stats; /* NULL: this direction wasn't asked for */
  bool one_way;
  bool broken;      /* the control connection broke: results are invalid (RFC 4656 §3.8) */
  uint8_t sid[16];
  uint64_t auth_failures, malformed, discarded; /* discarded: OWAMP's, by RFC 4656 §4.2 */
  /* RFC 7750: replies that say how their packet arrived; those with another DSCP or ECN than it was sent with; the last one. */
  uint64_t tos_known, tos_changed;
  uint8_t tos_sent, tos_there;
};

/* packets: among how many duplicates are told apart and their order seen. False: no memory. */
bool report_open(struct report *, bool one_way, uint32_t packets);
void report_free(struct report *);
void report_merge(struct report *, const struct report *other); /* adds what another session found */
void report_reply(struct report *, const struct itw_reply *);
void report_record(struct report *, const struct itw_record *);

struct itw_loss report_loss(const struct report *);
struct itw_delays report_delays(const struct report *, uint32_t which); /* ITW_STATS_*; count 0: none */

/* What one control connection of several contributed; TWAMP. */
struct report_part {
  struct itw_sa sa; /* protocol 0: none */
  uint8_t sid[16];
  uint64_t sent, received, lost;
};

/* How the measurement was made, for printing. */
struct report_head {
  const char *peer;
  uint32_t protocol, scheme, mode, features;
  struct itw_sa sa; /* of the first connection; protocol 0: none */
  const struct report_part *parts;
  unsigned n_parts; /* 0: not told */
};
/* All reports of a measurement: TWAMP's, or OWAMP's to the Server and from it. */
enum { REPORT_ROUND = 0, REPORT_TO = 0, REPORT_FROM = 1, REPORTS = 2 };

/* Without histograms, or with one for each report. */
void report_print(FILE *, const struct report[REPORTS], const struct report_head *, bool histogram);
void report_print_json(FILE *, const struct report[REPORTS], const struct report_head *, bool histogram);

/* One line for one packet. */
void report_print_reply(FILE *, const struct itw_reply *);
void report_print_record(FILE *, const char *direction, const struct itw_record *);

#endif
