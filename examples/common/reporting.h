/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_REPORTING_H
#define COMMON_REPORTING_H

/* Figures that report.c prints as text, and report_json.c as JSON. */

#include "report.h"

enum { P95 = 950000, P99 = 990000 };

struct itw_reorder report_reorder(const struct report *);
struct itw_clock_errors report_clocks(const struct report *);
int64_t report_percentile(const struct report *, uint32_t which, uint32_t ppm); /* 0: there is none */
int64_t report_variation(const struct report *, uint32_t which);                /* of a delay */
uint32_t report_main_delay(const struct report *);                              /* what the histogram shows */
static inline bool synchronised(uint16_t estimate) { return estimate >> 15; }

#endif
