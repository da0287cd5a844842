/* SPDX-License-Identifier: BSD-3-Clause */
#include <ipsectwamp/types.h>

/* Conversions between nanoseconds and the fixed-point seconds of RFC 4656 §4.1.2. Those that are needed per packet do
   without a 64-bit division, which 32-bit processors do in software. */

#define NS_PER_S 1000000000u
#define UNIX_EPOCH 2208988800u /* 1970 in seconds since 1900 */

/* Nanoseconds below 10^9 to units of 2^-32 s. One is 2^32 / 10^9 units; that times 2^31, rounded, is the factor, so the
   result is off by less than 0.75 units, 0.18 ns: two of them and their difference still round to the right ns. */
static uint32_t fraction(uint32_t ns) { return (uint32_t)((ns * UINT64_C(9223372037) + (UINT64_C(1) << 30)) >> 31); }

itw_ntp itw_ntp_from_unix(uint64_t sec, uint32_t nsec)
{
  if (nsec >= NS_PER_S) nsec = NS_PER_S - 1; /* against the contract: at least not a wild fraction */
  return (sec + UNIX_EPOCH) << 32 | fraction(nsec);
}

int64_t itw_ntp_diff_ns(itw_ntp a, itw_ntp b)
{
  uint64_t d = a - b;
  const int negative = (int)(d >> 63); /* the nearer way around 2036 */
  if (negative) d = 0 - d;
  const uint64_t ns = (d >> 32) * NS_PER_S + (((d & UINT32_MAX) * NS_PER_S + (UINT64_C(1) << 31)) >> 32);
  return negative ? -(int64_t)ns : (int64_t)ns;
}

uint64_t itw_ntp_span(uint64_t ns)
{
  const uint64_t sec = ns / NS_PER_S;
  if (sec > UINT32_MAX) return UINT64_MAX;
  return sec << 32 | fraction((uint32_t)(ns % NS_PER_S));
}

uint64_t itw_ptp_from_ntp(itw_ntp t, uint32_t tai_utc)
{
  uint32_t sec = (uint32_t)(t >> 32) - UNIX_EPOCH + tai_utc;
  uint32_t ns = (uint32_t)(((t & UINT32_MAX) * NS_PER_S + (UINT64_C(1) << 31)) >> 32);
  if (ns == NS_PER_S) { /* rounded up to the next second */
    ns = 0;
    sec++;
  }
  return (uint64_t)sec << 32 | ns;
}

itw_ntp itw_ntp_from_ptp(uint64_t ptp, uint32_t tai_utc)
{
  const uint32_t ns = (uint32_t)ptp, sec = (uint32_t)(ptp >> 32) + UNIX_EPOCH - tai_utc;
  return (uint64_t)sec << 32 | fraction(ns < NS_PER_S ? ns : NS_PER_S - 1);
}

/* Error Estimate: S 1 bit, Z 1, Scale 6, Multiplier 8; the error is Multiplier * 2^Scale units of 2^-32 s. */
uint16_t itw_error_estimate(uint64_t ns, uint32_t synced)
{
  const uint64_t sec = ns / NS_PER_S;
  const unsigned bits = sec >> 32 ? 24 : 32; /* of the fraction: 2^64 ns has 35 bits of seconds */
  uint64_t units = (sec << bits) + (((ns % NS_PER_S << bits) + (NS_PER_S - 1)) / NS_PER_S);
  unsigned scale = 32 - bits;

  while (units > 255) { /* rounding up all the way: the error is at most what is said */
    units = (units >> 1) + (units & 1);
    scale++;
  }
  if (units == 0) units = 1; /* Multiplier 0 would make the packet corrupt */
  return (uint16_t)((synced ? 0x8000u : 0) | scale << 8 | (unsigned)units);
}

uint64_t itw_error_ns(uint16_t estimate)
{
  const unsigned scale = estimate >> 8 & 63;
  const uint64_t ns = (uint64_t)(estimate & 255) * NS_PER_S; /* 38 bits */

  if (scale < 32) return (ns + (UINT64_C(1) << (32 - scale)) - 1) >> (32 - scale);
  if (ns > UINT64_MAX >> (scale - 32)) return UINT64_MAX;
  return ns << (scale - 32);
}
