/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_RESPOND_H
#define COMMON_RESPOND_H

/* Server and Session-Reflector on one loop: any number of control connections, a UDP socket for each session. */

#include "loop.h"

#include <ipsectwamp/reflector.h>
#include <ipsectwamp/server.h>
#include <ipsectwamp/wire.h> /* ITW_ACCEPT_* */
#include <stdio.h>

enum { RESPOND_LISTENERS = 2, RESPOND_TIMEOUT_MAX_S = 900 };

struct respond_config {
  const char *program;                     /* for the lines on stderr */
  struct itw_addr bind[RESPOND_LISTENERS]; /* port 0: any; the second one gets the same */
  unsigned binds;
  itw_keyring *ring;                       /* NULL: no keys */
  uint32_t schemes, modes, legacy_modes;   /* as in itw_server_config */
  uint32_t count;                          /* PBKDF2; 0: the library's defaults */
  uint32_t max_padding;                    /* 0: 9000 */
  uint32_t refwait_s, servwait_s, setup_s; /* 0: the library's defaults */
  uint32_t connections;    /* at a time; beyond that, one that is slow to set up makes room */
  uint32_t sessions;       /* at a time, over all connections */
  uint32_t per_connection; /* sessions of one connection */
};

/* Timers that it needs of the loop. */
#define RESPOND_TIMERS(config) ((config)->connections + 3u)

enum { RESPOND_WHY = 256 };
struct respond;
/* NULL: why. */
struct respond *respond_start(struct loop *, const struct respond_config *, char why[RESPOND_WHY]);
void respond_free(struct respond *); /* closes everything */

/* The addresses that it listens on; family 0: no more of them. */
struct itw_addr respond_address(const struct respond *, unsigned i);
/* No control connection is open. */
bool respond_idle(const struct respond *);
void respond_summary(const struct respond *, FILE *);

#endif
