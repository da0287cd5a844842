/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_REPLAY_AGENT_H
#define TESTS_REPLAY_AGENT_H

/* What the parts of the replayer have in common: replay.c has the recording and the loop, replay_steps.c what our role
   does of itself, replay_data.c OWAMP's slots, skip ranges and records. */

#include "replay.h"

/* Our side. */
struct replay_agent {
  struct replay *r;
  itw_keyring *ring;
  itw_server *server;
  itw_conn *conn;
  struct itw_poll p;
  const struct vec_section *step; /* the last control message that this side began or answered */
  itw_mono now;
  size_t waiting;                 /* acknowledgements of a Start-N or Stop-N still to come */
  uint32_t slots[REPLAY_SESSIONS];              /* of r->sessions */
  struct itw_request requests[REPLAY_SESSIONS]; /* as the Server was asked */
  char held[REPLAY_TRACE];        /* data taken and not authenticated yet */
};

bool replay_word_is(const struct vec_section *s, const char *key, const char *word);
struct itw_addr replay_addr(const struct vec_section *s, const char *key, uint64_t port);
/* A line of the trace. */
void replay_say(struct replay *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The SID of the session in a slot; zeros if there is none. */
void replay_sid(const struct replay_agent *a, uint32_t slot, uint8_t sid[16]);

void replay_on_event(struct replay_agent *a, const struct itw_event *ev);

const struct vec_section *replay_next_account(const struct vec_section *prev);
/* As lines: of a message in the recording; of what a connection tells. */
void replay_expect_data(struct replay *r, const struct vec_section *control);
void replay_data_schedule(struct replay_agent *a, uint32_t slot, uint32_t n);
void replay_hold_account(struct replay_agent *a, const struct itw_event *ev);
void replay_hold_fetch(struct replay_agent *a, const struct itw_event *ev);
void replay_release(struct replay_agent *a, itw_status st); /* ITW_OK: what was held is authentic; else it goes */
void replay_take(struct replay_agent *a);
void replay_give(struct replay_agent *a);

#endif
