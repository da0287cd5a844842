/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_CONN_H
#define ITWI_CONN_H

/* What both roles of a control connection share. Layer 6.

   A role is a table of rows: in this state so many octets are read, then this handler looks at them. A handler decides on
   locals, and ends in exactly one of: the next state, a question for a key, a failure. */

#include "ask.h"
#include "kdf.h"
#include "scheme.h"
#include "stream.h"
#include <ipsectwamp/conn.h>

enum { ITWI_IN = 176, ITWI_OUT = 176, ITWI_PADDING_MAX = 65507 - 48 };

/* 60 s for the set-up and for any message, 30 s for an answer (protocol.md 3). */
#define ITWI_SECOND UINT64_C(1000000000)
#define ITWI_SETUP_NS (60 * ITWI_SECOND)
#define ITWI_ANSWER_NS (30 * ITWI_SECOND)

enum { ITWI_T_SETUP, ITWI_T_MESSAGE, ITWI_T_ANSWER, ITWI_T_SERVWAIT, ITWI_T_WRITE, ITWI_TIMERS };

struct itwi_row {
  uint8_t state;    /* the role's own number; ITWI_ENDED in both */
  uint8_t message;  /* ITW_MSG_*: what is read, or was read last */
  uint8_t len;      /* octets; 0: said when the state is entered, or nothing is read in it */
  uint8_t stage;    /* ITW_STATE_* */
  void (*handler)(struct itw_conn *);
  uint8_t next;     /* the state that follows if all goes well */
  uint8_t rest;     /* reads on in the message that the state before began: the same timer */
};
enum { ITWI_ENDED = 0 };

struct itwi_conn_role {
  const struct itwi_row *rows; /* the first one is ITWI_ENDED; row n has state n */
  void (*on_answer)(struct itw_conn *, const struct itw_answer *);
  void (*on_token_key)(struct itw_conn *, const uint8_t key[16]);
  /* Is it this connection's turn to run PBKDF2? May know the result already: then it stands in pbkdf2.t, none left. */
  bool (*may_derive)(struct itw_conn *);
  void (*on_derived)(struct itw_conn *, const uint8_t key[16]); /* ran to its end */
  void (*on_pulled)(struct itw_conn *, uint32_t kind);
  void (*on_end)(struct itw_conn *);
};

enum { ITWI_FREE = 0, ITWI_ASKED, ITWI_PREPARING, ITWI_READY, ITWI_ACCEPTED, ITWI_RUNNING, ITWI_STOPPED };
struct itwi_conn_slot {
  struct itw_session session; /* secret */
  struct itw_request request; /* addresses resolved */
  uint32_t state;             /* ITWI_FREE ... */
  uint32_t port;              /* Server: what Accept-Session says */
};

enum { ITWI_DERIVE_NONE, ITWI_DERIVE_WAITS, ITWI_DERIVE_RUNS };

struct itw_conn {
  const struct itwi_conn_role *role;
  struct itw_server *server;     /* Server only */
  struct itwi_backend *backend;  /* the server's, or our own below */
  struct itwi_conn_slot *slots;
  const struct itwi_row *row;
  size_t length;                 /* of the whole block */
  itw_mono now;                  /* as of the last verb */
  uint64_t message_ns;           /* how long a message may take from its first octet, read or written */
  itw_mono timers[ITWI_TIMERS];  /* ITW_NEVER: doesn't run */

  struct itw_event event;        /* kind 0: none */
  uint32_t pending;              /* set of 1 << ITW_EV_*, after the one that stands */
  itw_status stopped;            /* status of the ITW_EV_STOPPED to come */
  uint32_t in_have, in_need, out_at, out_len;
  uint8_t in[ITWI_IN], out[ITWI_OUT];

  itw_status status;             /* the first failure */
  uint32_t fail_stage, fail_message, fail_accept;

  struct itwi_asking asking;
  struct itwi_pbkdf2 pbkdf2;
  uint32_t deriving;             /* ITWI_DERIVE_* */

  struct itw_greeting greeting;  /* as sent or received */
  struct itwi_choice choice;
  struct itw_sa sa;              /* protocol 0: none */
  struct itw_key_pair pair;      /* of the control connection */
  struct itwi_stream rx, tx;
  struct itwi_backend own;

  uint32_t sessions;             /* slots */
  uint32_t slot;                 /* the one being negotiated */
  uint32_t running;              /* sessions of the last Start-Sessions, until Stop-Sessions */
  uint32_t testing;              /* between Start-Ack and Stop-Sessions */
  uint32_t on_rekey, flags;
  uint32_t owned;                /* memory is malloc's */

  union {
    struct {
      uint32_t schemes, max_count, key_id_len;
      uint8_t modes[4], key_id[80], random[64];
    } client;
    struct {
      uint32_t schemes;          /* of the greeting */
      uint32_t sa_dead;          /* gone between greeting and Set-Up-Response */
      uint32_t unknown;          /* the KeyID is nobody's: same work, no success */
      uint32_t turn;             /* runs PBKDF2, one of config.deriving */
      uint8_t first[20];         /* PBKDF2's first iteration: names a Token key in the cache */
      uint32_t iv_unproven;      /* direct: the Client-IV is remembered with the first good HMAC */
      itw_status why;            /* SELECT's reason for having no SA */
      uint32_t command;          /* the one being read: index of its row */
      uint32_t parts;            /* still to come, each with its own HMAC */
      uint64_t left, more;       /* octets of body still to drain; octets of the second part, slots */
      uint8_t random[32];        /* Challenge, Server-IV */
      uint8_t client_iv[16];
    } server;
  } u;
};

/* Lays a connection out in memory; `sessions` slots behind it. Opens streams if `secure`. */
size_t itwi_conn_size(uint32_t sessions);
itw_status itwi_conn_init(struct itw_conn **out, void *memory, size_t len, uint32_t sessions, const struct itwi_conn_role *);
itw_status itwi_conn_streams(struct itw_conn *);
/* Fills a caller's detail, which may be NULL, for a set-up that gave st; returns st. */
itw_status itwi_detail(struct itw_detail *out, itw_status st);
itw_status itwi_conn_alloc(void **memory, size_t size);
void itwi_conn_release(void *memory);

/* Verbs begin and end with these. */
void itwi_conn_enter(struct itw_conn *, itw_mono now);
itw_status itwi_conn_leave(struct itw_conn *, struct itw_poll *p, itw_status);

/* Enters a state and reads its row's octets. */
void itwi_conn_state(struct itw_conn *, uint32_t state);
void itwi_conn_next(struct itw_conn *);                 /* the row's next */
void itwi_conn_read(struct itw_conn *, size_t need);    /* what this state reads, when its row doesn't say */
uint32_t itwi_conn_stage(const struct itw_conn *);      /* ITW_STATE_* */
void itwi_conn_timer(struct itw_conn *, uint32_t timer, uint64_t ns); /* from now */
void itwi_conn_cancel(struct itw_conn *, uint32_t timer);
/* n octets stand at out. */
void itwi_conn_send(struct itw_conn *, size_t n);
/* Seals n octets of body at out with their HMAC and sends. */
void itwi_conn_seal(struct itw_conn *, size_t n);
struct itw_event *itwi_conn_raise(struct itw_conn *, uint32_t kind);
/* No event stands that the caller must know before it acts: an SA may go at any time, also between an event and the verb
   that answers it. */
bool itwi_conn_quiet(const struct itw_conn *);
void itwi_conn_fail(struct itw_conn *, itw_status, uint32_t accept);

/* Token key from a secret, in slices; role->on_token_key gets it. */
void itwi_conn_derive(struct itw_conn *, const uint8_t *secret, size_t len);
/* A DERIVED or SECRET answer to ITW_ASK_ROOT. */
itw_status itwi_conn_root(struct itw_conn *, uint8_t token[16], const struct itw_answer *);

/* Opens the question that the chosen scheme's keys need. */
void itwi_conn_ask_key(struct itw_conn *, const uint8_t key_id[80], uint32_t key_id_len, uint32_t flags);
/* Asks for a test session's keys if the scheme needs an answer: true; else false: make the session now. */
bool itwi_conn_ask_sid(struct itw_conn *, const uint8_t sid[16]);
uint32_t itwi_conn_free_slot(const struct itw_conn *); /* c->sessions: none */
/* Makes slot's session; answer: to ITW_ASK_SID_PAIR, or NULL. */
itw_status itwi_conn_session(struct itw_conn *, struct itwi_conn_slot *, const uint8_t sid[16], const struct itw_answer *);
/* All sessions that run stop; the client's slots are free then. */
void itwi_conn_stop(struct itw_conn *, itw_status, uint32_t slot_state);
bool itwi_sa_concerns(const struct itw_conn *, const struct itw_sa *);

#endif
