/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_STRONGSWAN_STAND_IN_H
#define TESTS_STRONGSWAN_STAND_IN_H

/* A plugin that the test is itself, on a socket in a folder of its own, and the source that talks to it. */

#include "plugin.h"

enum { SECOND = 1000000000 };

struct charon {
  char folder[64], path[96];
  int listener, peer; /* -1: none */
  itw_strongswan *source;
  itw_mono now;
  itw_status status; /* of the last reading */
};

/* The plugin's end. */
void listen_on(struct charon *c);
void take_peer(struct charon *c);
void utter(struct charon *c, uint32_t kind, uint64_t tag, const void *octets, uint32_t len);
void utter_hello(struct charon *c, uint32_t version);
bool hear(struct charon *c, struct itw_ask *ask);
struct itw_answer answer_to(uint32_t id);
void hang_up(struct charon *c);

/* Our end. Time goes on before it reads. */
void open_source(struct charon *c, uint32_t capacity, uint32_t uid);
void read_on(struct charon *c, double seconds);
itw_status ask(struct charon *c, uint64_t tag, uint32_t id, struct itw_answer *out);
void expect_event(struct charon *c, uint32_t kind, itw_status why);
void expect_no_event(struct charon *c);
void expect_answer(struct charon *c, uint64_t tag, uint32_t id, uint32_t kind, itw_status why);
void expect_no_answer(struct charon *c);

/* Both; start_talking: up to HELLO, and with 3 IKE SAs and 4 CHILD SAs. */
void start(struct charon *c);
void start_talking(struct charon *c, uint32_t capacity);
void end(struct charon *c);

#endif
