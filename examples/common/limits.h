/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

/* What a Server gives to those who ask for OWAMP sessions (RFC 4656 §6.5): network capacity, and memory for results; less to
   anybody than to those who hold a key. */

#include <ipsectwamp/conn.h>
#include <stdbool.h>

/* Classes of users. */
enum { CLASS_OPEN, CLASS_KNOWN, CLASSES };

struct limits {
  uint64_t packets;   /* of one session */
  uint64_t sessions;  /* of all users of the class together, as the next two */
  uint64_t bandwidth; /* bit/s on average, IP headers included */
  uint64_t storage;   /* octets */
};
extern const struct limits limits_default[CLASSES];

/* "packets=10k,bandwidth=1M": changes what it names. False: not that. */
bool limits_parse(struct limits *, const char *text);

/* What one session takes. */
struct demand {
  uint64_t packets, bandwidth, storage;
};
struct demand demand_of(const struct itw_request *, const struct itw_slot *, uint32_t mode);

/* One class of users: what they may take and what they have taken. */
struct share {
  struct limits limits;
  uint64_t sessions, bandwidth, storage;
};
/* 0, or the Accept value to refuse it with, and why. */
uint32_t share_refuses(const struct share *, const struct demand *, const char **why);
void share_take(struct share *, const struct demand *);
void share_return(struct share *, const struct demand *); /* a session has ended: all but storage */

#endif
