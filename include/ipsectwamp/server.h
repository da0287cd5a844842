/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_SERVER_H
#define ITW_SERVER_H

/* Server (RFC 5357 §3): one itw_server for a thread's connections, one itw_conn for each that is accepted.
     ITW_EV_REQUEST  bind a UDP port; itw_server_prepare(conn, slot, offer)       makes SID and keys
     ITW_EV_READY    itw_conn_session, itw_reflector_add, itw_server_answer(0)    here or in another process; a full or
                                                                                  colliding reflector: answer 5, 4, ...
     ITW_EV_STARTED  itw_reflector_start for each slot that was accepted
     ITW_EV_STOPPED  itw_reflector_stop for each
     a session has ended in the reflector (Timeout, REFWAIT): itw_reflector_remove, itw_server_ended(conn, slot)
   With ITW_FEATURE_SESSION_CONTROL:
     ITW_EV_START    itw_reflector_start, itw_server_started(conn, slot, 0), or a refusal; instead of ITW_EV_STARTED
     ITW_EV_STOPPED  itw_reflector_stop for `slot`
   OWAMP: what is asked for is a sender, a receiver, or both: request.conf; the schedule: itw_conn_schedule
     ITW_EV_STARTED  itw_sender_start, itw_receiver_start
     ITW_EV_STOP     itw_receiver_stop; itw_conn_account for each sender, itw_conn_stop. Slots are free with ITW_EV_STOPPED
     ITW_EV_FETCH    itw_server_fetch, then ITW_WANT_GIVE until ITW_EV_FETCHED */

#include <ipsectwamp/conn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What connections share: policy, Salt, Token keys made with it, Client-IVs seen. It must outlive its connections. */
typedef struct itw_server itw_server;

enum {
  ITW_SERVER_ANY_ADDRESS = 1, /* test packets may come from and go to other addresses than the connection's */
  ITW_SERVER_NO_PBKDF2 = 2    /* ikev2: as ITW_CLIENT_NO_PBKDF2 */
};
struct itw_server_config {
  uint32_t size;
  uint32_t schemes;       /* a set; 0: open only. With one of the draft's in it ITW_ASK_SELECT chooses per peer: one of the
                             draft's with an SA, or psk and ikev2 */
  uint32_t modes;         /* set of ITW_MODE_* */
  uint32_t legacy_modes;  /* with schemes of the draft: modes for clients that use no SA: when there is none for the peer, in a
                             plain greeting, and on a 64-octet one beside the SA. All but open need ITW_PSK. 0: none; a
                             peer without an SA gets Modes 0, unless the answer to SELECT was psk or ikev2 */
  uint32_t sessions;      /* slots per connection, 1 to 4096; 0: 16 */
  uint32_t count_psk;     /* Count in greetings for passphrases; 0: 32768 */
  uint32_t count_sa;      /* Count where all secrets are SA-derived; 0: 1024 */
  uint32_t token_keys;    /* Token keys kept, so that PBKDF2 runs once per secret and Salt; 0: 64. A key that the provider no
                             longer gives is of no use to anyone: the cache is asked only with the secret at hand */
  uint32_t deriving;      /* connections that may run PBKDF2 at a time before they are authenticated; 0: 4 */
  uint32_t client_ivs;    /* Client-IVs remembered (root, direct), the oldest go first; 0: 1024 */
  uint32_t max_padding;   /* highest Padding Length accepted; 0: 9000 */
  uint32_t servwait_s;    /* SERVWAIT (RFC 4656 §3.1); 0: 900 */
  uint32_t setup_s;       /* for the whole set-up, and for any message from its first octet; 0: 60 */
  uint32_t on_rekey;      /* ITW_REKEY_* */
  uint32_t flags;         /* ITW_SERVER_* */
  uint32_t protocol;      /* ITW_TWAMP, ITW_OWAMP */
  uint32_t features;      /* TWAMP: ITW_FEATURE_* to offer; none in greetings of the draft's schemes */
  uint32_t slots;         /* OWAMP: schedule slots of a session, at most; 0: 16. More get Accept 4 */
  uint32_t max_packets;   /* OWAMP: highest Number of Packets; 0: 2^32 - 1. More get Accept 4 */
  uint32_t buffer;        /* of a connection: as in itw_client_config */
  uint8_t server_octets[2]; /* ITW_FEATURE_REFLECT: Server octets; 0: none (RFC 6038 §4.3) */
  uint16_t mbz[3];
  itw_ntp start;          /* when the Server started: Start-Time in Server-Start */
  uint8_t salt[16];       /* from a good source of randomness */
  struct itw_keys keys;   /* ops NULL: keys are asked by ITW_WANT_ANSWER */
  const void *crypto;     /* kdf.h */
  const void *mbz_ptr;
};
/* Upper bound of an itw_server's memory; itw_server_size says it exactly. Arguments as in the config, none of them 0. */
#define ITW_SERVER_BOUND(token_keys, client_ivs) (512u + 64u * (token_keys) + 64u * (client_ivs))

ITW_API size_t itw_server_size(const struct itw_server_config *); /* 0: not valid */
ITW_MUST itw_status itw_server_init(itw_server **out, void *memory, size_t len, const struct itw_server_config *, struct itw_detail *detail);
ITW_MUST itw_status itw_server_new(itw_server **out, const struct itw_server_config *, struct itw_detail *detail);
ITW_API void itw_server_free(itw_server *);
/* A new Salt, for greetings from now on. Token keys of the old one go as room is needed. */
ITW_MUST itw_status itw_server_set_salt(itw_server *, const uint8_t salt[16]);

/* A connection that was accepted. */
struct itw_incoming {
  uint32_t size;
  uint32_t mbz;
  struct itw_addr local, remote;
  uint64_t tag;
  uint8_t random[32]; /* from a good source: Challenge, Server-IV */
};
ITW_API size_t itw_server_conn_size(const itw_server *);
ITW_MUST itw_status itw_server_conn_init(itw_server *, itw_conn **out, void *memory, size_t len, const struct itw_incoming *, itw_mono now);
ITW_MUST itw_status itw_server_conn_new(itw_server *, itw_conn **out, const struct itw_incoming *, itw_mono now);

/* What the Server puts into a session. */
struct itw_offer {
  uint32_t size;
  uint32_t port;            /* UDP port that will receive; OWAMP, ITW_CONF_SENDER alone: from which will be sent */
  struct itw_addr receiver; /* family 0: as requested, else the connection's local address; ITW_CONF_SENDER alone: the sender's */
  itw_ntp wall;             /* now: part of the SID */
  uint8_t random[4];        /* from a good source: part of the SID */
  uint32_t sender_port;     /* OWAMP, both: UDP port from which will be sent; else 0 */
};
/* After ITW_EV_REQUEST: makes the SID and the session's keys; ITW_EV_READY follows (shared-sid may ask for a key first). */
ITW_MUST itw_status itw_server_prepare(itw_conn *, struct itw_poll *p, uint32_t slot, const struct itw_offer *, itw_mono now);
/* After ITW_EV_READY: accept 0, or a refusal; straight after ITW_EV_REQUEST: a refusal (1 to 5). */
ITW_MUST itw_status itw_server_answer(itw_conn *, struct itw_poll *p, uint32_t slot, uint32_t accept, itw_mono now);
/* ITW_FEATURE_SESSION_CONTROL, after ITW_EV_START: 0: `slot` runs; else it doesn't, for now. */
ITW_MUST itw_status itw_server_started(itw_conn *, struct itw_poll *p, uint32_t slot, uint32_t accept, itw_mono now);

/* What a Server has of a session that is to be fetched (RFC 4656 §3.9). */
struct itw_fetch_answer {
  uint32_t size;
  uint32_t accept;     /* not 0: denied: no such session, not for this Client, or a complete one that isn't finished */
  uint32_t finished;   /* not 0: the session has terminated; else next_seqno and skips are sent as 0 */
  uint32_t next_seqno, skips;
  uint32_t records;    /* within the range that was asked for */
  struct itw_request request; /* as the session ran: from ITW_EV_READY, with its SID, ports and slots */
};
/* After ITW_EV_FETCH. Counts come first; ITW_WANT_GIVE then asks for slots, skips and records in this order. */
ITW_MUST itw_status itw_server_fetch(itw_conn *, struct itw_poll *p, const struct itw_fetch_answer *, itw_mono now);

/* A session that stopped, or whose REFWAIT passed, has ended: its slot is free, and SERVWAIT runs again when none is left. */
ITW_MUST itw_status itw_server_ended(itw_conn *, struct itw_poll *p, uint32_t slot, itw_mono now);

#ifdef __cplusplus
}
#endif
#endif
