/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_STORE_H
#define COMMON_STORE_H

/* Results of OWAMP sessions that a Server has received, to be fetched by their SID (RFC 4656 §3.9). Memory is bounded by the
   shares of the classes of users; a result that has been kept for long enough goes. */

#include "limits.h"
#include "loop.h"

struct visit;

/* On whose behalf: results are for those who made them. */
struct user {
  uint32_t class; /* CLASS_* */
  struct itw_addr addr;
  uint8_t key_id[80]; /* of a passphrase; else zeros: then the address tells */
};

/* While the session runs, and afterwards. */
struct result {
  struct store *owner;
  struct result *newer, *older;
  struct visit *visit; /* whose session it was, while that is there */
  struct user user;
  struct itw_request request; /* as the session ran */
  struct itw_slot *slots;
  struct itw_record *records; /* in the order of arrival */
  uint32_t count, room;
  struct itw_skip *skips;
  uint32_t n_skips, next_seqno; /* what the sender's Stop-Sessions says */
  struct itw_verdict verdict;   /* once it is finished: which of the records count */
  uint64_t left_out; /* duplicates that found no room */
  unsigned readers;  /* fetches under way */
  bool complete;     /* all packets have come or are lost (RFC 4656 §3.8) */
  bool finished;     /* normally, by Stop-Sessions */
  bool dropped;      /* when the last reader is done */
  itw_mono expires;
};

struct store {
  struct loop *loop;
  struct share *shares; /* CLASSES */
  struct result *newest, *oldest;
  struct timer expiry;
  uint64_t keep_ns; /* results of known users, after the session's end; those of others go with the connection */
};

void store_open(struct store *, struct loop *, struct share *shares, uint64_t keep_ns);
void store_close(struct store *);

/* Octets that the result of a session takes. */
uint64_t result_octets(uint32_t packets);
/* Finished results of the class go, the oldest first, until there are so many octets. */
void store_make_room(struct store *, uint32_t class, uint64_t octets);
/* NULL: no memory. */
struct result *store_add(struct store *, struct visit *, const struct user *, const struct itw_request *,
                         const struct itw_slot *);
/* By SID, if this user may see it; NULL: no. */
struct result *store_find(const struct store *, const struct user *, const uint8_t sid[16]);
void result_add(struct result *, const struct itw_record *);
/* A sink for skip ranges; false: too many. */
bool result_skips(struct result *, const struct itw_skip *, size_t n);
void result_finish(struct result *, const struct itw_verdict *, itw_mono now);
void result_drop(struct result *);
void result_hold(struct result *);    /* a fetch begins, */
void result_release(struct result *); /* and ends */
/* The connection is gone, and with it the finished results of users without a key (RFC 4656 §6.5). */
void store_detach(struct store *, const struct visit *);

#endif
