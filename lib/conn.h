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

enum { ITWI_BUFFER = 256, ITWI_BUFFER_MAX = 65536, ITWI_PADDING_MAX = 65507 - 48 };

/* 60 s for the set-up and for any message, 30 s for an answer (protocol.md 3). */
#define ITWI_SECOND UINT64_C(1000000000)
#define ITWI_SETUP_NS (60 * ITWI_SECOND)
#define ITWI_ANSWER_NS (30 * ITWI_SECOND)

enum { ITWI_T_SETUP, ITWI_T_MESSAGE, ITWI_T_ANSWER, ITWI_T_SERVWAIT, ITWI_T_WRITE, ITWI_TIMERS };

struct itwi_row {
  uint8_t state;    /* the role's own number, or one of those that both have */
  uint8_t message;  /* ITW_MSG_*: what is read, or was read last; 0: as in the state before */
  uint8_t len;      /* octets; 0: said when the state is entered, or nothing is read in it */
  uint8_t stage;    /* ITW_STATE_*; 0: as in the state before */
  void (*handler)(struct itw_conn *);
  uint8_t next;     /* the state that follows if all goes well */
  uint8_t rest;     /* ITWI_REST, ITWI_PARTS: reads on in the message that the state before began */
};
enum { ITWI_REST = 1, ITWI_PARTS }; /* the same timer; a timer for each piece */
/* States of both roles. */
enum { ITWI_ENDED = 0, ITWI_PART, ITWI_PART_HMAC, ITWI_STOP_RECORD, ITWI_STOP_HMAC, ITWI_OWN };
/* Their rows, the first of each table: a part of a message that is longer than a buffer, the HMAC behind it (conn_part.c);
   OWAMP's Stop-Sessions after its first 16 octets (conn_stop.c). */
#define ITWI_COMMON_ROWS \
  {ITWI_ENDED,       0,                     0,  ITW_STATE_ENDED,   NULL,                ITWI_ENDED,     0},          \
  {ITWI_PART,        0,                     0,  0,                 itwi_part_on_octets, ITWI_PART_HMAC, ITWI_PARTS}, \
  {ITWI_PART_HMAC,   0,                     16, 0,                 itwi_part_on_hmac,   ITWI_ENDED,     ITWI_PARTS}, \
  {ITWI_STOP_RECORD, ITW_MSG_STOP_SESSIONS, 32, ITW_STATE_TESTING, itwi_stop_on_record, ITWI_PART,      ITWI_PARTS}, \
  {ITWI_STOP_HMAC,   ITW_MSG_STOP_SESSIONS, 16, ITW_STATE_TESTING, itwi_stop_on_hmac,   ITWI_ENDED,     ITWI_PARTS}

struct itwi_conn_role {
  const struct itwi_row *rows; /* the first one is ITWI_ENDED; row n has state n */
  void (*on_answer)(struct itw_conn *, const struct itw_answer *);
  void (*on_token_key)(struct itw_conn *, const uint8_t key[16]);
  /* Is it this connection's turn to run PBKDF2? May know the result already: then it stands in pbkdf2.t, none left. */
  bool (*may_derive)(struct itw_conn *);
  void (*on_derived)(struct itw_conn *, const uint8_t key[16]); /* ran to its end */
  void (*on_pulled)(struct itw_conn *, uint32_t kind);
  void (*on_end)(struct itw_conn *);
  itw_status (*on_hmac)(struct itw_conn *); /* the first good HMACs prove something */
  void (*on_idle)(struct itw_conn *); /* something is over: back to waiting for a command */
};

/* A list of items under way, each direction its own. */
enum { ITWI_DATA_SIDS = 16 }; /* beside ITW_DATA_*: never the caller's */
struct itwi_part {
  uint32_t kind;    /* ITW_DATA_*, ITWI_DATA_SIDS; 0: none */
  uint32_t slot;
  uint32_t left;    /* items still to be taken or given */
  uint32_t at, end; /* taking: octets of `in` in plaintext, not taken yet */
  uint32_t raw;     /* giving: octets behind out_len, in plaintext, too few for a block */
  uint64_t octets;  /* taking: still to be read, padding included */
  uint64_t lowest;  /* skips: the next one begins here or later */
  uint32_t bound;   /* skips: all are below this */
  uint32_t index;   /* of the next item, for `sink` */
  void (*sink)(struct itw_conn *, const uint8_t *item); /* taking: NULL: the caller takes them */
  void (*next)(struct itw_conn *);                      /* when all items are through */
};

enum { ITWI_FREE = 0, ITWI_ASKED, ITWI_PREPARING, ITWI_READY, ITWI_ACCEPTED, ITWI_RUNNING, ITWI_STOPPED };
struct itwi_conn_slot {
  struct itw_session session; /* secret */
  struct itw_request request; /* addresses resolved */
  uint32_t state;             /* ITWI_FREE ... */
  uint32_t port;              /* Server: what Accept-Session says */
  uint32_t next_seqno, skips; /* OWAMP, we send: the caller's account of it */
  uint32_t accounted;         /* ITWI_OURS: that was given; ITWI_THEIRS: the peer's Stop-Sessions had it */
  uint32_t mbz;
};
enum { ITWI_OURS = 1, ITWI_THEIRS = 2 };

/* A session named in Start-N, Stop-N or their acknowledgements (RFC 5938). */
struct itwi_named {
  uint8_t sid[16];
  uint32_t slot;   /* ITW_NO_SLOT: nobody's */
  uint32_t accept; /* Accept, ITWI_NAMED_* */
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
  uint8_t *in, *out;             /* behind the slots, `buffer` octets each */
  uint32_t buffer;
  uint32_t stage, message;       /* where the row doesn't say */
  struct itwi_part taking, giving;

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

  uint32_t protocol;             /* ITW_TWAMP, ITW_OWAMP */
  uint32_t features;             /* ITW_FEATURE_*: wanted or offered; agreed on: choice */
  struct itw_slot *schedules;    /* OWAMP: schedule_slots for each session */
  uint32_t schedule_slots;
  struct itwi_named *names;      /* of the command or acknowledgement under way; NULL without SESSION_CONTROL */
  uint32_t named, named_at;      /* how many; the next to be told of */
  uint32_t named_command;        /* ITW_CMD_START_N, ITW_CMD_STOP_N */
  uint32_t named_accept;         /* of the acknowledgement under way */
  void (*names_next)(struct itw_conn *);
  void (*sealed_next)(struct itw_conn *); /* after the HMAC of what is taken */
  uint64_t stop_ns;              /* OWAMP: how long the peer's Stop may come after ours */
  struct {
    uint32_t sealed, sent;       /* ours stands at `out` in full; it is gone */
    uint32_t received;           /* the peer's came in full */
    uint32_t slot;               /* ours: the next session */
    uint32_t begun;              /* ours */
    uint32_t records;            /* the peer's: still to come */
    uint32_t accept, our_accept;
  } stop;                        /* OWAMP's Stop-Sessions */
  struct {
    uint32_t finished, next_seqno, skips, records;
    struct itw_request request;
  } fetch;                       /* under way */
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
      uint32_t command;          /* the one being read: its number */
      uint32_t accept;           /* when what is drained has been read */
      itw_status refusal;
      uint32_t parts;            /* still to come, each with its own HMAC */
      uint64_t left, more;       /* octets of body still to drain; octets of the second part, slots */
      uint8_t random[32];        /* Challenge, Server-IV */
      uint8_t client_iv[16];
    } server;
  } u;
};

/* What stands behind a connection in its block. */
struct itwi_layout {
  uint32_t sessions;
  uint32_t schedule_slots; /* of each */
  uint32_t names;          /* with itwi_named, one for each session */
  uint32_t buffer;
};
/* From a config's protocol, features, slots and buffer: ITW_ERR_CONFIG, _ARGUMENT. */
itw_status itwi_layout(struct itwi_layout *out, uint32_t sessions, uint32_t protocol, uint32_t features, uint32_t slots,
                       uint32_t buffer);
size_t itwi_conn_size(const struct itwi_layout *);
itw_status itwi_conn_init(struct itw_conn **out, void *memory, size_t len, const struct itwi_layout *, const struct itwi_conn_role *);
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
uint32_t itwi_conn_message(const struct itw_conn *);    /* ITW_MSG_* */
void itwi_conn_label(struct itw_conn *, uint32_t message, uint32_t stage); /* for rows that don't say them */
/* Decrypts an HMAC field and checks it; false: it is wrong, and the connection has failed. */
bool itwi_conn_hmac(struct itw_conn *, uint8_t hmac[16]);
/* Decrypts n octets of body in `in`, and checks the HMAC behind them; as before. */
bool itwi_conn_open(struct itw_conn *, size_t n);
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

/* ---- conn_part.c: lists of items ---- */

/* Reads `left` items, of which the first octets may stand at in[at .. end) already, and octets more; then next is called. */
void itwi_part_take(struct itw_conn *, uint32_t kind, uint32_t left, uint32_t at, uint32_t end, uint64_t octets,
                    void (*next)(struct itw_conn *));
/* The same, with an HMAC behind it. */
void itwi_part_take_sealed(struct itw_conn *, uint32_t kind, uint32_t left, void (*next)(struct itw_conn *));
void itwi_part_on_octets(struct itw_conn *);
void itwi_part_on_hmac(struct itw_conn *);
uint32_t itwi_part_ready(const struct itw_conn *); /* items that can be taken now */
uint32_t itwi_part_room(const struct itw_conn *);  /* items that can be given now */
/* Appends octets of body, padding to a block, an HMAC, behind what stands at `out`. Whoever is called by `next` has room for
   ITWI_PART_ROOM octets, padding and an HMAC. */
enum { ITWI_PART_ROOM = 112 };
void itwi_part_put(struct itw_conn *, const uint8_t *octets, size_t n);
void itwi_part_pad(struct itw_conn *);
void itwi_part_seal(struct itw_conn *); /* pads, too */
/* The caller gives `left` items of this kind; then next is called, as soon as there is room. */
void itwi_part_give(struct itw_conn *, uint32_t kind, uint32_t left, void (*next)(struct itw_conn *));
void itwi_part_advance(struct itw_conn *); /* calls next, if it is time */
void itwi_part_sent(struct itw_conn *);    /* all that stood at `out` is gone */

/* ---- conn_stop.c: OWAMP's Stop-Sessions ---- */

bool itwi_we_send(const struct itw_conn *, const struct itwi_conn_slot *);   /* we are this session's sender */
bool itwi_they_send(const struct itw_conn *, const struct itwi_conn_slot *);
/* The peer's Stop-Sessions: its first 16 octets stand at `in`, in plaintext. */
void itwi_stop_begin(struct itw_conn *);
void itwi_stop_on_record(struct itw_conn *);
void itwi_stop_on_hmac(struct itw_conn *);
void itwi_stop_on_sent(struct itw_conn *); /* all that stood at `out` is gone */

/* ---- conn_names.c: Start-N, Stop-N and their acknowledgements ---- */

enum { ITWI_NAMED_OPEN = 0x100, ITWI_NAMED_NEW = 0x200, ITWI_NAMED_DONE = 0x400 };
uint32_t itwi_slot_of(const struct itw_conn *, const uint8_t sid[16]); /* ITW_NO_SLOT */
/* Reads n SIDs, each for sink, and the HMAC behind them; then next. */
void itwi_names_take(struct itw_conn *, uint32_t n, void (*sink)(struct itw_conn *, const uint8_t *sid),
                     void (*next)(struct itw_conn *));
/* Writes a message with the SIDs of all names whose accept is `accept`; then next. */
void itwi_names_give(struct itw_conn *, uint32_t command, uint32_t accept, void (*next)(struct itw_conn *));

/* Token key from a secret, in slices; role->on_token_key gets it. */
void itwi_conn_derive(struct itw_conn *, const uint8_t *secret, size_t len);
/* A DERIVED or SECRET answer to ITW_ASK_ROOT. */
itw_status itwi_conn_root(struct itw_conn *, uint8_t token[16], const struct itw_answer *);

/* Opens the question that the chosen scheme's keys need. */
void itwi_conn_ask_key(struct itw_conn *, const uint8_t key_id[80], uint32_t key_id_len, uint32_t flags);
/* Asks for a test session's keys if the scheme needs an answer: true; else false: make the session now. */
bool itwi_conn_ask_sid(struct itw_conn *, const uint8_t sid[16]);
uint32_t itwi_conn_free_slot(const struct itw_conn *); /* c->sessions: none */
struct itw_slot *itwi_conn_slots_of(const struct itw_conn *, uint32_t slot); /* its schedule */
uint32_t itwi_conn_least_padding(const struct itw_conn *, uint32_t reflect); /* session.h */
uint32_t itwi_test_mode(const struct itw_conn *); /* ITW_MODE_* of test packets: not mixed */
/* A request as on the wire, as it is or, in a fetch, as it ran; and back, but for the addresses. */
void itwi_request_wire(struct itw_request_tw *out, const struct itw_request *, uint32_t protocol);
void itwi_request_take(struct itw_request *out, const struct itw_request_tw *);
/* Makes slot's session; answer: to ITW_ASK_SID_PAIR, or NULL. */
itw_status itwi_conn_session(struct itw_conn *, struct itwi_conn_slot *, const uint8_t sid[16], const struct itw_answer *);
/* All sessions that run stop; the client's slots are free then. */
void itwi_conn_stop(struct itw_conn *, itw_status, uint32_t slot_state);
bool itwi_sa_concerns(const struct itw_conn *, const struct itw_sa *);

#endif
