/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_SERVER_H
#define ITWI_SERVER_H

/* A Server's inside. server_shared.c keeps what its connections share, server_setup.c sets a connection up, server.c serves
   it. Layer 7. */

#include "crypto.h"
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
  ITWI_SELECT = 1, ITWI_SETUP_RESPONSE, ITWI_KEYS, ITWI_IDLE, ITWI_BODY, ITWI_DRAIN, ITWI_REQUESTED, ITWI_STARTING,
};
struct itw_conn;
void itwi_server_begin(struct itw_conn *);
void itwi_server_on_setup_response(struct itw_conn *);
void itwi_server_on_answer(struct itw_conn *, const struct itw_answer *); /* of set-up: all but ITW_ASK_SID_PAIR */
void itwi_server_on_token_key(struct itw_conn *, const uint8_t key[16]);
bool itwi_server_may_derive(struct itw_conn *);
void itwi_server_on_derived(struct itw_conn *, const uint8_t key[16]);
void itwi_server_turn_over(struct itw_conn *); /* another connection may derive */

#endif
