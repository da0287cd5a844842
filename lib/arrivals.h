/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_ARRIVALS_H
#define ITWI_ARRIVALS_H

/* Which packets arrived, and in what order: duplicates, reordering (RFC 4737), losses in runs. A window of sequence
   numbers ends at the highest that arrived; what is older is settled: arrived, left out, or lost. Layer 3. */

#include <ipsectwamp/record.h>
#include <stdbool.h>

/* Losses up to some sequence number. */
struct itwi_losses {
  uint64_t upto; /* those below are settled */
  uint64_t lost, skipped, runs, longest;
  uint64_t tail;    /* lost after the last that arrived */
  uint64_t current; /* the run that the last one settled belongs to; 0: it arrived */
  size_t skip;      /* ranges before this one are behind */
};
struct itwi_arrivals {
  uint32_t *bits;    /* of the window: arrived */
  uint32_t *arrival; /* its place in the order of arrival; of a missing one, the place of the first with a higher seq */
  uint32_t mask;     /* size of the window, a power of two, less 1 */
  uint64_t next;     /* NextExp of RFC 4737 §3.3: one above the highest that arrived; unwrapped, as all below */
  uint64_t sent;     /* at least next */
  uint64_t received, duplicates, beyond;
  const struct itw_skip *skips;
  size_t skip_count;
  struct itwi_losses settled; /* upto: where the window begins */
};

enum { ITWI_ARRIVED, ITWI_ARRIVED_REORDERED, ITWI_ARRIVED_DUPLICATE, ITWI_ARRIVED_BEYOND };

/* A sequence number as it is on the wire, unwrapped: the one nearest to those that arrived. */
uint64_t itwi_arrivals_unwrap(const struct itwi_arrivals *, uint32_t seq);
/* seq, unwrapped, arrived; a value of ITWI_ARRIVED*. extent: of a reordered one (RFC 4737 §4.2). */
uint32_t itwi_arrivals_mark(struct itwi_arrivals *, uint64_t seq, uint32_t *extent);
/* Did seq arrive, and is still in the window? */
bool itwi_arrivals_has(const struct itwi_arrivals *, uint64_t seq);
/* At least that many were sent. */
void itwi_arrivals_sent(struct itwi_arrivals *, uint64_t sent);
/* Ranges of packets left out; borrowed. False: the first begins before what is settled. */
bool itwi_arrivals_skips(struct itwi_arrivals *, const struct itw_skip *, size_t n);
/* As if nothing more came: all that was sent is settled. */
void itwi_arrivals_losses(const struct itwi_arrivals *, struct itwi_losses *out);

#endif
