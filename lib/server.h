/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_SERVER_H
#define ITWI_SERVER_H

/* A Server's inside. server_shared.c keeps what its connections share, server_setup.c sets a connection up, server.c reads its
   commands, server_session.c serves requests, server_owamp.c and server_names.c what OWAMP and RFC 5938 add. Layer 7. */

#include "conn.h"
#include <ipsectwamp/server.h>
#include <stdbool.h>

/* A Token key and what it was derived from: the first iteration of PBKDF2 stands for secret and Salt, so a changed
   passphrase, a new SA or Salt finds nothing, and nothing needs to be forgotten. */
struct itwi_token_key {
  uint32_t count; /* 0: free */
  uint32_t used;  /* the server's tick when it was used last */
  uint8_t first[20], key[16];
};
/* A Client-IV seen under an SA. */
struct itwi_client_iv {
  uint64_t spi_i, spi_r;
  uint32_t protocol; /* 0: free */
  uint8_t iv[16];
  uint32_t mbz;
};

struct itw_server {
  struct itw_server_config config; /* checked, defaults filled in */
  struct itwi_layout layout;       /* of connections */
  struct itwi_backend backend;
  size_t length;                   /* of the whole block */
  struct itwi_token_key *token_keys;
  struct itwi_client_iv *client_ivs;
  uint32_t tick;                   /* of token_keys */
  uint32_t next_iv;                /* the oldest: overwritten next */
  uint32_t deriving;               /* connections that run PBKDF2 */
  uint32_t owned;
};

bool itwi_token_key_find(struct itw_server *, uint8_t key[16], const uint8_t first[20], uint32_t count);
void itwi_token_key_keep(struct itw_server *, const uint8_t key[16], const uint8_t first[20], uint32_t count);
bool itwi_client_iv_seen(const struct itw_server *, const struct itw_sa *, const uint8_t iv[16]);
void itwi_client_iv_keep(struct itw_server *, const struct itw_sa *, const uint8_t iv[16]);

/* States of a Server's connection: the rows of server.c. */
enum {
  ITWI_SELECT = ITWI_OWN, ITWI_SETUP_RESPONSE, ITWI_KEYS, ITWI_IDLE, ITWI_BODY, ITWI_DRAIN, ITWI_REQUESTED, ITWI_STARTING,
  ITWI_NAMING, ITWI_FETCHING,
};
void itwi_server_begin(struct itw_conn *);
void itwi_server_on_setup_response(struct itw_conn *);
void itwi_server_on_answer(struct itw_conn *, const struct itw_answer *); /* of set-up: all but ITW_ASK_SID_PAIR */
void itwi_server_on_token_key(struct itw_conn *, const uint8_t key[16]);
bool itwi_server_may_derive(struct itw_conn *);
void itwi_server_on_derived(struct itw_conn *, const uint8_t key[16]);
void itwi_server_turn_over(struct itw_conn *); /* another connection may derive */

void itwi_server_servwait(struct itw_conn *);
/* Accept-Session; answer: NULL for a refusal. */
void itwi_server_accept(struct itw_conn *, uint32_t accept, const struct itw_accept_session *answer);
/* The same, and the caller hears why. */
void itwi_server_refuse(struct itw_conn *, uint32_t slot, uint32_t accept, itw_status why);
/* Reads `left` octets and an HMAC, and if `parts` is 1 `more` octets and another one; then refuses. */
void itwi_server_drain(struct itw_conn *, uint64_t left, uint32_t parts, uint64_t more, uint32_t accept, itw_status why);
/* Commands. */
void itwi_server_on_request(struct itw_conn *);
void itwi_server_on_stop_sessions(struct itw_conn *);
void itwi_server_on_fetch(struct itw_conn *);
void itwi_server_on_names(struct itw_conn *);
/* A session's keys are there, or are made now; n: the answer to ITW_ASK_SID_PAIR, or NULL. */
void itwi_server_ready(struct itw_conn *, const uint8_t sid[16], const struct itw_answer *n);
void itwi_server_decide_names(struct itw_conn *); /* the next event of Start-N or Stop-N, or the acknowledgements */

#endif
