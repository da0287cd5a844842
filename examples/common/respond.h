/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_RESPOND_H
#define COMMON_RESPOND_H

/* Server with a Session-Reflector, or for OWAMP with Session-Sender and Session-Receiver, on one loop: any number of
   control connections, a UDP socket for each session. */

#include "limits.h"
#include "loop.h"
#include "source.h"

#include <ipsectwamp/reflector.h>
#include <ipsectwamp/server.h>
#include <stdio.h>

enum { RESPOND_LISTENERS = 2, RESPOND_TIMEOUT_MAX_S = 900 };

struct respond_config {
  const char *program;                     /* for the lines on stderr */
  struct itw_addr bind[RESPOND_LISTENERS]; /* port 0: any; the second one gets the same */
  unsigned binds;
  struct itw_keys keys;                    /* ops NULL: no keys */
  const struct source *source;             /* that they come from, for the lines on stderr; NULL: nowhere in particular */
  uint32_t schemes, modes, legacy_modes;   /* as in itw_server_config */
  uint32_t on_rekey;                       /* ITW_REKEY_* */
  uint32_t protocol;                       /* ITW_TWAMP, ITW_OWAMP */
  uint32_t features;                       /* TWAMP: what to offer */
  uint32_t count;                          /* PBKDF2; 0: the library's defaults */
  uint32_t max_padding;                    /* 0: 9000 */
  uint32_t refwait_s, servwait_s, setup_s; /* 0: the library's defaults */
  uint32_t connections;    /* at a time; beyond that, one that is slow to set up makes room */
  uint32_t sessions;       /* at a time, over all connections */
  uint32_t per_connection; /* sessions of one connection */
  struct limits limits[CLASSES]; /* OWAMP */
  uint64_t keep_ns;        /* OWAMP: how long results are kept */
  bool third_party;        /* test packets may come from and go to others than the client (RFC 4656 §6.2) */
};

/* Timers that it needs of the loop. */
#define RESPOND_TIMERS(config) (2 * (config)->connections + 6u)

enum { RESPOND_WHY = 512 };
struct respond;
/* NULL: why. */
struct respond *respond_start(struct loop *, const struct respond_config *, char why[RESPOND_WHY]);
void respond_free(struct respond *); /* closes everything */

/* The addresses that it listens on; family 0: no more of them. */
struct itw_addr respond_address(const struct respond *, unsigned i);
/* No control connection is open. */
bool respond_idle(const struct respond *);
void respond_summary(const struct respond *, FILE *);

/* What happened to an SA, and a late answer: from a source. */
void respond_news(struct respond *, const struct itw_source_event *);
void respond_answer(struct respond *, uint64_t tag, const struct itw_answer *);

#endif
