/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_REPLAY_H
#define TESTS_REPLAY_H

/* Plays a recorded or computed control connection (tests/vectors/schemes, extensions, perfsonar) against one of our
   roles: the peer's octets go in, cut as a test likes; our octets, events, sessions and OWAMP's data come out. */

#include "vec.h"
#include <ipsectwamp/ipsectwamp.h>
#include <stdbool.h>

enum { REPLAY_OCTETS = 4096, REPLAY_TRACE = 4096, REPLAY_SESSIONS = 8 };

struct replay_agent;

struct replay {
  struct replay_agent *agent;     /* between replay_begin and replay_end */
  /* in */
  struct vec *vec;
  const struct vec_section *info; /* [case] */
  uint32_t role;                  /* ITW_ROLE_* */
  uint8_t peer[REPLAY_OCTETS];    /* what the peer sends: a test may spoil it */
  size_t peer_len;
  uint8_t expect[REPLAY_OCTETS];  /* what we should send */
  size_t expect_len;
  char expect_data[REPLAY_TRACE]; /* what we should be told: slots, skip ranges, records, a line each */
  size_t cut;                     /* no read goes beyond this offset in one piece; 0: none */
  bool single;                    /* octet by octet */
  bool eof;                       /* the peer closes at the end */
  bool by_hand;                   /* keys by itw_conn_ask and _answer, not by the ring as provider */
  bool derived;                   /* by_hand, and the recorded Token key where the ring would have us run PBKDF2 */
  void *memory;                   /* for the connection; NULL: malloc's */
  size_t memory_len;
  void *server_memory;
  size_t server_memory_len;
  struct replay *with;            /* a second connection of that one's Server */
  /* out */
  itw_status made;                /* of the constructor */
  uint8_t out[REPLAY_OCTETS];
  size_t out_len;
  size_t fed;                     /* of peer */
  char trace[REPLAY_TRACE];       /* a line an event */
  char data[REPLAY_TRACE];        /* of what was authentic */
  struct itw_detail detail;
  struct itw_session sessions[REPLAY_SESSIONS];
  size_t session_count;
};

/* Whether our role can play it: not what this build's crypto library lacks; and our client doesn't send twamp-auth-multi's
   first request, which has another form of Type-P. */
bool replay_can(const char *file, uint32_t role);
void replay_open(struct replay *, const char *file, uint32_t role);
void replay_run(struct replay *); /* may be repeated */
void replay_close(struct replay *);

/* The same in steps: the peer's octets up to an offset (at most peer_len), as often as wanted. After replay_begin, `made`
   says whether there is a connection. */
void replay_begin(struct replay *);
void replay_feed(struct replay *, size_t until);
void replay_end(struct replay *);

/* The keys of a [case] in a ring of one's own, for the role's use. NULL when memory fails. */
itw_keyring *replay_keys(const struct vec_section *info);
uint32_t replay_scheme(const struct vec_section *info); /* ITW_PSK ...; 0 in open mode without an SA */
uint32_t replay_mode(const struct vec_section *info);   /* ITW_MODE_* */
bool replay_owamp(const struct vec_section *info);      /* not TWAMP */
/* What modes_offered or mode_chosen has of TWAMP's extensions: ITW_FEATURE_* */
uint32_t replay_features(const struct vec_section *info, const char *key);

/* OWAMP's items of one kind that belong to a [control] or [account]; returns how many. */
enum { REPLAY_ITEMS = 32 };
size_t replay_read_slots(const struct vec_section *of, struct itw_slot out[REPLAY_ITEMS]);
size_t replay_read_skips(const struct vec_section *of, struct itw_skip out[REPLAY_ITEMS]);
size_t replay_read_records(const struct vec_section *of, struct itw_record out[REPLAY_ITEMS]);

#endif
