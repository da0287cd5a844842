/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_SENDER_H
#define ITWI_SENDER_H

/* The sender's inside: packets in sender.c, schedules in sender_schedule.c. Layer 6. */

#include "plan.h"
#include "shard.h"
#include <ipsectwamp/sender.h>

struct itw_sender {
  struct itwi_shard shard;
  struct itwi_plans plans; /* those of one-way sessions; slot.seq is then the least number that may still be written */
  uint32_t *bits;          /* duplicate windows */
  uint32_t *octets;        /* of each session: Server octets, RFC 6038 */
  uint32_t window;         /* bits of each */
  uint32_t spare;          /* octets of pad that were not used yet, at its end */
  uint8_t pad[192];
};

/* What leaves is what was due, in order: the item's number is the one to write. */
itw_status itwi_sender_number(const struct itw_sender *, struct itwi_slot *, const struct itw_packet *);

#endif
