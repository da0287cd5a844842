/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_CLIENT_H
#define ITWI_CLIENT_H

/* A Control-Client's inside. client.c has its rows and sets it up, client_session.c asks for sessions, client_owamp.c fetches,
   client_names.c starts and stops sessions one by one. Layer 7. */

#include "conn.h"
#include <ipsectwamp/client.h>

/* States of a client's connection: the rows of client.c. */
enum {
  ITWI_GREETING = ITWI_OWN, ITWI_GREETING_REST, ITWI_CLIENT_KEYS, ITWI_SERVER_START, ITWI_CLIENT_IDLE, ITWI_ACCEPT_SESSION,
  ITWI_SID_KEYS, ITWI_START_ACK, ITWI_TESTING, ITWI_FETCH_ACK, ITWI_FETCH_REQUEST, ITWI_NAMES_ACK,
};
bool itwi_is_client(const struct itw_conn *);
/* Idle, nothing under way. */
bool itwi_client_idle(const struct itw_conn *);

void itwi_client_on_accept_session(struct itw_conn *);
/* The keys are there, or are made now; n: the answer to ITW_ASK_SID_PAIR, or NULL. */
void itwi_client_accepted(struct itw_conn *, const uint8_t sid[16], const struct itw_answer *n);
void itwi_client_on_fetch_ack(struct itw_conn *);
void itwi_client_on_fetch_request(struct itw_conn *);
void itwi_client_on_names_ack(struct itw_conn *);
void itwi_client_tell_names(struct itw_conn *); /* the next event of an acknowledgement, or on */

#endif
