/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_WINDOW_H
#define ITWI_WINDOW_H

/* Which of the last sequence numbers have been seen: a ring of bits that ends at the highest one. Layer 3. */

#include <stdint.h>

struct itwi_window {
  uint32_t high;  /* the highest sequence number seen; before any, one less than the first */
  uint32_t place; /* its bit */
};

/* Marks seq and says what it is (ITW_REPLY_*). sent: how many sequence numbers there are, modulo 2^32, which tells what is
   higher across the wrap. bits: size of them, a multiple of 32, zeroed at first. */
uint32_t itwi_window_mark(struct itwi_window *, uint32_t *bits, uint32_t size, uint32_t seq, uint32_t sent);

#endif
