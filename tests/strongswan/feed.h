/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_STRONGSWAN_FEED_H
#define TESTS_STRONGSWAN_FEED_H

/* A HA feed without a socket, and a charon that says what a test wants. SAs are numbered: an IKE SA n has the SPIs 0xa0000000 + n
   and 0xb0000000 + n, a CHILD SA n 0xc000 + n inbound and 0xd000 + n outbound. We are 10.0.0.1, the peer 10.0.0.2 unless a
   test says otherwise; a CHILD SA is for what is between 10.1.0.1 and 10.2.0.0/24. */

#include "ha.h"

struct feed {
  struct itwi_ha *ha;
  itw_mono now;
  uint32_t version;     /* of datagrams; 0: 3 */
  uint32_t prf, old_prf; /* of IKE SAs to come; 0: HMAC-SHA2-256 */
  uint32_t conditions;
  uint8_t peer, inside; /* last octet of the peer's address; second one of the selectors' */
};

void feed_open(struct feed *, uint32_t capacity, uint32_t schemes);
void feed_close(struct feed *);
/* Each place of the table is free, or gone with news of it, or found by its name; what is counted is there. */
void feed_check(const struct feed *);

/* Each datagram: what charon says, and how it is given to the feed. */
struct datagram {
  uint8_t octets[ITWI_HA_OCTETS];
  size_t len;
};
struct datagram ike_add(const struct feed *, uint32_t n, uint32_t rekeyed /* 0: none */);
struct datagram ike_update(const struct feed *, uint32_t n);
struct datagram ike_delete(const struct feed *, uint32_t n);
struct datagram child_add(const struct feed *, uint32_t ike, uint32_t n);
struct datagram child_delete(const struct feed *, uint32_t ike, uint32_t n);
struct datagram resync(const struct feed *);
void put_attribute(struct datagram *, uint8_t number, const void *octets, size_t len);

void say(struct feed *, struct datagram);
/* The same for an IKE SA that comes up, is rekeyed. */
void say_up(struct feed *, uint32_t n);
void say_rekey(struct feed *, uint32_t old, uint32_t n);
/* Time goes on, and what is due is done. */
void pass(struct feed *, double seconds);

struct itw_sa ike_sa(uint32_t n);
struct itw_sa child_sa(uint32_t n);
/* The next event is this one; by: 0, or a REKEYED's successor's number. */
void expect_ike(struct feed *, uint32_t kind, uint32_t n, uint32_t by);
void expect_child(struct feed *, uint32_t kind, uint32_t n, uint32_t by);
void expect_kind(struct feed *, uint32_t kind, itw_status why);
void expect_nothing(struct feed *);

/* What a Server would offer, or a client find, for a connection between these; protocol 0: none, and why. */
struct itw_sa offered(const struct feed *, uint32_t scheme, bool inside, itw_status *why);
bool offers_ike(const struct feed *, uint32_t n);
bool offers_child(const struct feed *, uint32_t n);

#endif
