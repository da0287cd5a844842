/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_CONN_H
#define ITW_CONN_H

/* A TWAMP-Control or OWAMP-Control connection, of either role, without its socket. client.h and server.h make one; these verbs drive it:

     for (;;) {
       if (p.wants & ITW_WANT_EVENT)  itw_conn_event(c, &event, &p);            react to it
       if (p.wants & ITW_WANT_ANSWER) itw_conn_ask(c, &ask, &p);                 look the key up; itw_conn_answer(...)
       if (p.wants & ITW_WANT_WORK)   itw_conn_work(c, &p, 256, now);            a slice of PBKDF2
       if (p.wants & ITW_WANT_TAKE)   itw_conn_take_...(c, &p, ...)              OWAMP's data, as it comes
       if (p.wants & ITW_WANT_GIVE)   itw_conn_give_...(c, &p, ...)              OWAMP's data, from a store of the caller's
       if (p.wants & ITW_WANT_WRITE)  n = send(fd, p.out, p.out_len);            itw_conn_sent(c, &p, n, now)
       if (p.wants & ITW_WANT_CLOSE)  close(fd), itw_conn_detail(c, &why), itw_conn_free(c)
       wait for fd or p.deadline
       readable and p.in_len:         n = recv(fd, p.in, p.in_len);              itw_conn_got(c, &p, n, now)
                                      or itw_conn_eof(c, &p, now)
       p.deadline passed:             itw_conn_expire(c, &p, now)
     }

   Every verb fills *p at its end, also after an error; p may be NULL. A connection that failed stays failed: it wants
   to write what the peer must be told (if anything), then ITW_WANT_CLOSE; itw_conn_detail says why. A verb whose input
   made the connection fail returns ITW_OK: the failure is the connection's, in the event ITW_EV_CLOSED and the detail.
   Errors returned are the caller's own: wrong arguments, ITW_ERR_STATE, ITW_ERR_STALE. */

#include <ipsectwamp/key.h>
#include <ipsectwamp/record.h>
#include <ipsectwamp/schedule.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct itw_conn itw_conn;

/* Upper bound of a connection's memory, for static arrays; itw_client_size, itw_server_conn_size say it exactly. The second
   is for OWAMP and for configs that set `buffer`; arguments as in the config, none of them 0. */
#define ITW_CONN_BOUND(sessions) ITW_CONN_BOUND_OWAMP(sessions, 0u, 256u)
#define ITW_CONN_BOUND_OWAMP(sessions, slots, buffer) (2304u + 2u * (buffer) + (448u + 16u * (slots)) * (sessions))

enum {
  ITW_WANT_READ = 1,    /* in, in_len */
  ITW_WANT_WRITE = 2,   /* out, out_len */
  ITW_WANT_EVENT = 4,   /* pull it: nothing is read meanwhile */
  ITW_WANT_ANSWER = 8,  /* a key is wanted: itw_conn_ask */
  ITW_WANT_WORK = 16,   /* itw_conn_work */
  ITW_WANT_CLOSE = 32,  /* over: close the socket, free the connection */
  ITW_WANT_TAKE = 64,   /* OWAMP: `data` has come: nothing is read until it is taken */
  ITW_WANT_GIVE = 128   /* OWAMP: the message being sent goes on with `data` */
};
/* What may be done now. Pointers are good until the next verb on the connection. */
struct itw_poll {
  uint32_t size;
  uint32_t wants;    /* ITW_WANT_* */
  itw_mono deadline; /* call itw_conn_expire then; ITW_NEVER */
  uint32_t in_len;   /* at most so many octets may be put at `in`; 0: don't read now */
  uint32_t out_len;
  uint32_t data;     /* TAKE, GIVE: ITW_DATA_* */
  uint32_t slot;     /* of the session that it belongs to; ITW_NO_SLOT in a fetch */
  uint32_t left;     /* items of that kind still to be taken or given */
  uint32_t mbz;
  uint8_t *in;
  const uint8_t *out;
};

ITW_MUST itw_status itw_conn_poll(const itw_conn *, struct itw_poll *p);
ITW_MUST itw_status itw_conn_got(itw_conn *, struct itw_poll *p, size_t n, itw_mono now);  /* n octets were put at p->in */
ITW_MUST itw_status itw_conn_eof(itw_conn *, struct itw_poll *p, itw_mono now);            /* the peer closed, or the socket broke */
ITW_MUST itw_status itw_conn_sent(itw_conn *, struct itw_poll *p, size_t n, itw_mono now); /* n octets of p->out are gone */
ITW_MUST itw_status itw_conn_expire(itw_conn *, struct itw_poll *p, itw_mono now);         /* looks at the clock; early is harmless */
/* At most n iterations of PBKDF2 (two SHA-1 compressions each). A server bounds how many connections derive at a time;
   the others' work returns at once until it is their turn. */
ITW_MUST itw_status itw_conn_work(itw_conn *, struct itw_poll *p, uint32_t n, itw_mono now);
/* Takes the question: it is told once. ITW_EMPTY: none. */
ITW_MUST itw_status itw_conn_ask(itw_conn *, struct itw_ask *out, struct itw_poll *p);
/* ITW_ERR_STALE: the question is no longer open; harmless. ITW_ERR_ARGUMENT: lengths or kind don't fit the question,
   which stays open. */
ITW_MUST itw_status itw_conn_answer(itw_conn *, struct itw_poll *p, const struct itw_answer *, itw_mono now);
/* An SA was deleted or replaced by a rekey. ITW_EMPTY: not the one that this connection uses. Before the set-up is done
   the connection ends (a Server sends Accept 1); after it, on_rekey of the config decides: ITW_REKEY_KEEP keeps the keys
   to the end (RFC 7717 §5.1), ITW_REKEY_CLOSE closes, so that the next connection uses the new SA (the draft's §4.3). */
ITW_MUST itw_status itw_conn_sa_gone(itw_conn *, struct itw_poll *p, const struct itw_sa *, itw_mono now);
/* Closes from our side; events ITW_EV_STOPPED and ITW_EV_CLOSED come as if the peer had. */
ITW_MUST itw_status itw_conn_close(itw_conn *, struct itw_poll *p, itw_mono now);
ITW_API void itw_conn_free(itw_conn *); /* wipes; NULL is fine */

/* Why it ended, or ITW_OK in status. */
ITW_MUST itw_status itw_conn_detail(const itw_conn *, struct itw_detail *out);
ITW_API uint64_t itw_conn_tag(const itw_conn *); /* the caller's number, from the config */
/* The SA that the connection is pinned to; protocol 0: none. */
ITW_MUST itw_status itw_conn_sa(const itw_conn *, struct itw_sa *out);

/* Accept values (RFC 4656 §3.3; 6: RFC 7717 §5.1). */
enum {
  ITW_ACCEPT_OK = 0, ITW_ACCEPT_FAILURE = 1, ITW_ACCEPT_INTERNAL = 2, ITW_ACCEPT_UNSUPPORTED = 3,
  ITW_ACCEPT_PERMANENT = 4, ITW_ACCEPT_TEMPORARY = 5, ITW_ACCEPT_NO_SA = 6
};

enum { ITW_REKEY_KEEP = 0, ITW_REKEY_CLOSE = 1 };

/* What a connection speaks. */
enum { ITW_TWAMP = 0, ITW_OWAMP = 1 };
ITW_API const char *itw_protocol_name(uint32_t protocol); /* "twamp", "owamp"; "?". Static. */

/* OWAMP: what the Server is asked to be (RFC 4656 §3.5); the client is the other one, if there is one. */
enum { ITW_CONF_SENDER = 1, ITW_CONF_RECEIVER = 2 };

/* A test session as asked for with Request-TW-Session (RFC 5357 §3.5) or Request-Session (RFC 4656 §3.5). */
struct itw_request {
  uint32_t size;
  uint32_t padding;            /* octets */
  struct itw_addr sender;      /* family 0: the connection's address; port: from which the sender sends */
  struct itw_addr receiver;    /* family 0: the connection's; port: wished for, 0: any */
  itw_ntp start;
  uint64_t timeout;            /* seconds 32, fraction 32; client: 0 is 2 s */
  uint32_t dscp;               /* 0 to 63 (Type-P Descriptor, RFC 4656 §3.5) */
  uint32_t flags;              /* ITW_SESSION_ZERO_PADDING, ITW_SESSION_PTP */
  uint32_t conf;               /* OWAMP: ITW_CONF_*, at least one; TWAMP: 0 */
  uint32_t packets;            /* OWAMP: Number of Packets */
  uint32_t slots;              /* OWAMP: schedule slots: itw_conn_schedule. Client: given to itw_client_request_session */
  uint32_t type_p;             /* Server, out: the whole Type-P Descriptor: one that isn't a DSCP only where the Server doesn't send */
  uint16_t reflect;            /* ITW_FEATURE_REFLECT: octets of padding to reflect (RFC 6038 §4.2) */
  uint8_t reflect_octets[2];   /* ITW_FEATURE_REFLECT: Octets to be reflected, which come back in Accept-Session */
  uint8_t server_octets[2];    /* ITW_FEATURE_REFLECT: client, out: Server octets */
  uint16_t mbz;
  uint8_t sid[16];             /* OWAMP: client, in: the SID, if only ITW_CONF_SENDER is set, for the receiver makes it
                                  (itw_sid_make). Out: the session's */
};

/* OWAMP: what is to be fetched (RFC 4656 §3.9). begin 0 and end 2^32 - 1: the complete session, which has to be finished. */
struct itw_fetch {
  uint32_t size;
  uint32_t begin, end; /* sequence numbers */
  uint32_t mbz;
  uint8_t sid[16];
};

/* OWAMP's data, in items without padding. */
enum { ITW_DATA_SLOTS = 1, ITW_DATA_SKIPS = 2, ITW_DATA_RECORDS = 3 };
/* Takes up to n items of what has come, as poll.data says; *got of them (0 if none stands: ITW_EMPTY). out NULL: they are
   passed over. What was taken counts only when the event that ends the message (ITW_EV_STOP, ITW_EV_FETCHED) came with
   ITW_OK: before that nothing has been authenticated. ITW_ERR_STATE: something else is to be taken. */
ITW_MUST itw_status itw_conn_take_slots(itw_conn *, struct itw_poll *p, struct itw_slot *out, size_t n, size_t *got, itw_mono now);
ITW_MUST itw_status itw_conn_take_skips(itw_conn *, struct itw_poll *p, struct itw_skip *out, size_t n, size_t *got, itw_mono now);
ITW_MUST itw_status itw_conn_take_records(itw_conn *, struct itw_poll *p, struct itw_record *out, size_t n, size_t *got, itw_mono now);
/* Gives the next n items of what poll.data asks for; *used of them had room: the others come again when what stands at
   `out` is gone. ITW_ERR_ARGUMENT: more than `left`, or skips that aren't in order, overlap or go beyond Next Seqno. */
ITW_MUST itw_status itw_conn_give_slots(itw_conn *, struct itw_poll *p, const struct itw_slot *, size_t n, size_t *used, itw_mono now);
ITW_MUST itw_status itw_conn_give_skips(itw_conn *, struct itw_poll *p, const struct itw_skip *, size_t n, size_t *used, itw_mono now);
ITW_MUST itw_status itw_conn_give_records(itw_conn *, struct itw_poll *p, const struct itw_record *, size_t n, size_t *used, itw_mono now);

/* The schedule of a session, as many slots as `request.slots` says; from REQUEST (Server) or ACCEPTED (client) on, until the
   slot is free. ITW_ERR_TOO_SMALL: cap. */
ITW_MUST itw_status itw_conn_schedule(const itw_conn *, uint32_t slot, struct itw_slot *out, size_t cap);

/* OWAMP's Stop-Sessions (RFC 4656 §3.8), from either side; a test has ended when both have sent theirs. First, for each
   running session of which this side is the sender, what it sent: Next Seqno, and how many skip ranges will be given. */
ITW_MUST itw_status itw_conn_account(itw_conn *, uint32_t slot, uint32_t next_seqno, uint32_t skips);
/* Then this; ITW_WANT_GIVE asks for the skip ranges, ITW_EV_STOPPED comes when the peer's Stop has come too. accept: 0, or
   why results are invalid. ITW_ERR_STATE: no test runs, ours was sent, or a session isn't accounted for. */
ITW_MUST itw_status itw_conn_stop(itw_conn *, struct itw_poll *p, uint32_t accept, itw_mono now);

/* A SID (RFC 4656 §3.5): address 4 | time 8 | random 4. */
ITW_API void itw_sid_make(uint8_t sid[16], const struct itw_addr *receiver, itw_ntp wall, const uint8_t random[4]);

enum {
  ITW_EV_UP = 1,   /* set up: mode, scheme. Client: request sessions */
  ITW_EV_REQUEST,  /* Server: slot, request. itw_server_prepare or itw_server_answer */
  ITW_EV_READY,    /* Server: slot's keys are there: itw_conn_session, add it to a reflector, itw_server_answer */
  ITW_EV_ACCEPTED, /* client: slot: itw_conn_session */
  ITW_EV_REFUSED,  /* client: slot is free again: accept says why. Server: a request was refused by the library: status */
  ITW_EV_STARTED,  /* all accepted sessions run. Server: start them in the reflector before writing: Start-Ack stands at
                      `out` once this event was pulled. Client with ITW_FEATURE_SESSION_CONTROL: `slot` runs, or status
                      ITW_ERR_REFUSED, accept: it doesn't, and may be started again */
  ITW_EV_STOPPED,  /* sessions have stopped: `slot`, or all of them. status ITW_OK: by Stop-Sessions, accept as it says (Server); else the connection broke and results are
                      invalid (RFC 4656 §3.8). Client, ITW_FEATURE_SESSION_CONTROL: status ITW_ERR_REFUSED: `slot` goes on */
  ITW_EV_SA_GONE,  /* the SA is gone and the connection goes on with its keys (ITW_REKEY_KEEP) */
  ITW_EV_CLOSED,   /* the last one: status, accept */
  ITW_EV_START,    /* Server, ITW_FEATURE_SESSION_CONTROL: `slot` is to be started: itw_server_started */
  ITW_EV_STOP_SESSION, /* OWAMP: the peer's Stop-Sessions is being read: `slot`, next_seqno, skips, which are to be taken */
  ITW_EV_STOP,     /* OWAMP: that message is whole and authentic: accept. Stop sending, account, itw_conn_stop if not done yet */
  ITW_EV_FETCH,    /* OWAMP. Server: request.sid, begin, end: itw_server_fetch. Client: request, finished, next_seqno,
                      skips, records; slots, skips and records follow, and are to be taken */
  ITW_EV_FETCHED   /* OWAMP: the fetch is over. Client: ITW_OK: all of it is authentic; ITW_ERR_REFUSED: accept */
};
#define ITW_NO_SLOT UINT32_MAX
/* News; owns nothing. Unknown kinds may be ignored. At most one stands, and nothing is read until it is pulled. */
struct itw_event {
  uint32_t size;
  uint32_t kind;     /* ITW_EV_* */
  uint32_t slot;     /* 0 to sessions - 1; ITW_NO_SLOT: a refusal that concerns none */
  uint32_t mode;     /* ITW_MODE_* */
  uint32_t scheme;   /* 0: open */
  uint32_t accept;   /* Accept as sent or received, whatever its number */
  itw_status status;
  uint32_t features; /* UP: ITW_FEATURE_*, agreed on */
  uint32_t finished; /* FETCH: not 0: the session has terminated */
  uint32_t next_seqno, skips, records; /* STOP_SESSION, FETCH */
  uint32_t begin, end; /* FETCH, Server: sequence numbers; 0 and 2^32 - 1: the complete session */
  struct itw_sa sa;  /* UP: pinned */
  struct itw_request request;
  uint8_t key_id[80];/* UP: psk, zero padded */
};
ITW_MUST itw_status itw_conn_event(itw_conn *, struct itw_event *out, struct itw_poll *p); /* ITW_EMPTY: none */
/* From ACCEPTED (client) or READY (Server) on, until the slot is free. A secret. */
ITW_MUST itw_status itw_conn_session(const itw_conn *, uint32_t slot, struct itw_session *out);

/* Where a connection stands: itw_detail.state. */
enum {
  ITW_STATE_SETUP = 1, /* greeting, Set-Up-Response, Server-Start */
  ITW_STATE_IDLE,      /* up, no test */
  ITW_STATE_REQUEST,   /* between Request-TW-Session and Accept-Session */
  ITW_STATE_STARTING,  /* between Start-Sessions and Start-Ack */
  ITW_STATE_TESTING,
  ITW_STATE_ENDED,
  ITW_STATE_FETCHING /* between Fetch-Session and the end of its data */
};
/* Messages: itw_detail.message. */
enum {
  ITW_MSG_GREETING = 1, ITW_MSG_SETUP_RESPONSE, ITW_MSG_SERVER_START, ITW_MSG_REQUEST_TW_SESSION, ITW_MSG_ACCEPT_SESSION,
  ITW_MSG_START_SESSIONS, ITW_MSG_START_ACK, ITW_MSG_STOP_SESSIONS, ITW_MSG_COMMAND, ITW_MSG_REQUEST_SESSION,
  ITW_MSG_FETCH_SESSION, ITW_MSG_FETCH_ACK, ITW_MSG_FETCHED_DATA, ITW_MSG_START_N, ITW_MSG_START_N_ACK, ITW_MSG_STOP_N,
  ITW_MSG_STOP_N_ACK
};
ITW_API const char *itw_message_name(uint32_t message); /* "Set-Up-Response"; "" for none. Static. */

#ifdef __cplusplus
}
#endif
#endif
