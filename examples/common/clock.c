/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/timex.h>

itw_mono now_mono(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

itw_ntp ntp_from_timespec(const struct timespec *t)
{
  return itw_ntp_from_unix((uint64_t)t->tv_sec, (uint32_t)t->tv_nsec);
}

itw_ntp now_wall(void)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return ntp_from_timespec(&t);
}

/* The S bit says "synchronised to UTC by an external source": only what the kernel was told by an NTP or PTP daemon
   counts, and its maximum error with it, which grows while nobody disciplines the clock. Otherwise the clock may be off
   by anything: we say an hour, because the field wants a number. */
uint16_t now_error(void)
{
  struct timex tx = {0};
  const int state = ntp_adjtime(&tx);

  if (state < 0 || state == TIME_ERROR || (tx.status & STA_UNSYNC) || tx.maxerror < 0)
    return itw_error_estimate(3600 * NS_PER_S, 0);
  return itw_error_estimate((uint64_t)tx.maxerror * NS_PER_US + NS_PER_US, 1); /* maxerror is in whole microseconds */
}

void random_octets(void *out, size_t n)
{
  uint8_t *p = out;

  while (n) {
    const ssize_t got = getrandom(p, n, 0);
    if (got <= 0) { /* all that follows would be insecure */
      perror("getrandom");
      exit(2);
    }
    p += got;
    n -= (size_t)got;
  }
}
