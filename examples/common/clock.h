/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

/* The kernel's clocks, what it says of their quality, and its randomness. */

#include <ipsectwamp/types.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

itw_mono now_mono(void);
itw_ntp now_wall(void);
itw_ntp ntp_from_timespec(const struct timespec *);

/* The Error Estimate (RFC 4656 §4.1.2) for timestamps of the wall clock. */
uint16_t now_error(void);

/* n octets fit for keys; ends the program if the kernel has none. */
void random_octets(void *out, size_t n);

#endif
