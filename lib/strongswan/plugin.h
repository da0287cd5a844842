/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_STRONGSWAN_PLUGIN_H
#define ITWI_STRONGSWAN_PLUGIN_H

/* The plugin feed's inside: a client of our plugin in charon. plugin_question.c keeps the questions under way; plugin_link.c
   is the connection; plugin.c does what comes over it. */

#include <ipsectwamp/strongswan.h>
#include <stdbool.h>

typedef uint32_t itwi_place;

enum { ITWI_QUESTION_NEW /* to be sent */, ITWI_QUESTION_ASKED, ITWI_QUESTION_ANSWERED };

/* A question and, in time, its answer; a secret. */
struct itwi_question {
  uint32_t state;
  itwi_place same_name;  /* the next in the chain; of free ones too */
  itwi_place next;       /* in the list of the new ones, or of the answered ones */
  uint32_t mbz;
  struct itw_ask ask;
  struct itw_answer answer;
};

struct itwi_list {
  itwi_place first, last;
};

enum { ITWI_PLUGIN_EVENTS = 128 };

struct itwi_plugin {
  struct itwi_question *questions;
  itwi_place *by_name;
  size_t size;
  uint32_t capacity, shift, uid;
  itwi_place free;
  struct itwi_list unsent, answered;
  uint32_t ike_sas, child_sas;
  uint32_t n_events, next_event;
  struct itw_source_event events[ITWI_PLUGIN_EVENTS];
  bool talking;      /* it has said HELLO */
  bool failed;       /* a try to connect has */
  bool tell_resync;
  itw_status tell_lost, told_lost; /* why; the last one told: not again for each try */
  itw_mono now;      /* as last told */
  itw_mono at;       /* when to try to connect, or to give up waiting for HELLO */
  itw_mono flush_at; /* when to try to send again */
  char path[108];    /* as long as a sockaddr_un's */
  int fd;            /* -1: none */
};

/* ---- plugin_question.c ---- */

size_t itwi_plugin_size(uint32_t capacity);
void itwi_plugin_lay_out(struct itwi_plugin *, uint32_t capacity);
struct itwi_question *itwi_question_at(const struct itwi_plugin *, itwi_place);
struct itwi_question *itwi_question_find(const struct itwi_plugin *, uint64_t tag, uint32_t id);
/* NULL: too many. */
struct itwi_question *itwi_question_take(struct itwi_plugin *, const struct itw_ask *);
/* The first of those to be sent; NULL: none. Then it was. */
struct itwi_question *itwi_question_unsent(const struct itwi_plugin *);
void itwi_question_sent(struct itwi_plugin *);
void itwi_question_answer(struct itwi_plugin *, struct itwi_question *, const struct itw_answer *);
/* All that have no answer get this one. */
void itwi_question_answer_all(struct itwi_plugin *, itw_status why);
void itwi_question_drop(struct itwi_plugin *, struct itwi_question *);

/* ---- plugin_link.c ---- */

/* Tries; p->fd says whether it was successful. */
void itwi_plugin_connect(struct itwi_plugin *);
void itwi_plugin_disconnect(struct itwi_plugin *, itw_status why);
/* ITW_AGAIN: not now. */
itw_status itwi_plugin_send(struct itwi_plugin *, const struct itw_ask *);
/* The next message. ITW_EMPTY: none. ITW_ERR_EOF, ITW_ERR_SHORT: not what a plugin says. */
itw_status itwi_plugin_receive(struct itwi_plugin *, uint8_t octets[ITW_PLUGIN_OCTETS], size_t *len);

/* ---- plugin.c ---- */

/* A message from the plugin. An error: it isn't one, or not now. */
itw_status itwi_plugin_follow(struct itwi_plugin *, const uint8_t *octets, size_t len);
void itwi_plugin_read(struct itwi_plugin *, itw_mono now);
itw_mono itwi_plugin_deadline(const struct itwi_plugin *);
itw_status itwi_plugin_event(struct itwi_plugin *, struct itw_source_event *out);
itw_status itwi_plugin_ask(struct itwi_plugin *, const struct itw_ask *, struct itw_answer *out);
itw_status itwi_plugin_answer(struct itwi_plugin *, uint64_t *tag, struct itw_answer *out);

#endif
