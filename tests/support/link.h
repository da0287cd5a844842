/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_LINK_H
#define TESTS_LINK_H

/* Control connections in memory: a Client and a Server of ours joined, or one of them and a peer that the test plays (struct
   fake). The test turns the clock, may hold, cut or flip what is under way, and finds the events recorded.

     struct link l;
     link_init(&l, ITW_PSK, ITW_MODE_ENC);    change l.cg, l.sg, l.c.keys ... as the test wants
     link_connect(&l);                        both sides, and all that happens by itself
     link_request(&l, 0), link_start(&l), link_stop(&l)
     link_free(&l); */

#include "stream.h"
#include <ipsectwamp/ipsectwamp.h>
#include <ipsectwamp/wire.h>
#include <stdbool.h>

enum { LINK_EVENTS = 64, LINK_OCTETS = 16384, LINK_PORT = 19000 };

/* Keys of a ring. The two of a kind have different SPIs and secrets; the second is the newer one. */
enum {
  LINK_PSK = 1, LINK_IKE = 2, LINK_IKE_NEW = 4, LINK_ESP = 8, LINK_ESP_NEW = 16, LINK_AH = 32,
  LINK_ESP_TURNED = 64, /* LINK_ESP as a source tells it that doesn't know the initiator: SPIs and keys the other way round */
  LINK_ESP_AEAD = 128, LINK_ESP_NULL = 256,
};
#define LINK_KEY_ID "alice"
#define LINK_SECRET "correct horse battery staple"

struct link;
struct link_side {
  /* in */
  uint32_t keys;      /* LINK_*: what its ring gets */
  bool by_hand;       /* keys by itw_conn_ask, answered from the ring */
  bool mute;          /* by hand, but nobody answers */
  bool hold_events;   /* the test pulls them: link_pull */
  bool hold_work;     /* the test calls itw_conn_work */
  bool hold_writes;   /* what it wants to write is not taken */
  uint32_t slice;     /* of PBKDF2; 0: 512 */
  uint32_t refuse;    /* Server: Accept straight after ITW_EV_REQUEST; 0: prepare */
  uint32_t accept;    /* Server: Accept after ITW_EV_READY */
  size_t limit;       /* octets that reach it in all, in one flow */
  size_t flip;        /* offset in what reaches it of an octet to change ... */
  uint8_t mask;       /* ... by this; 0: none */
  void (*event)(struct link_side *, const struct itw_event *); /* beside what a side does by itself */
  void (*data)(struct link_side *); /* takes or gives, as p.data says; NULL: passed over, nothing given */
  void *owner;        /* of the two */
  /* out */
  struct link *link;
  itw_keyring *ring;
  itw_conn *conn;
  struct itw_poll p;
  struct itw_event events[LINK_EVENTS];
  uint32_t count;
  uint32_t works;     /* calls of itw_conn_work */
  size_t got;         /* octets that reached it */
  uint8_t out[LINK_OCTETS];
  size_t out_len;     /* written, and not at the peer yet */
};
struct link {
  struct itw_client_config cg;
  struct itw_server_config sg;
  struct itw_incoming in;
  itw_mono now;
  itw_server *server;
  bool borrowed; /* the server is another link's */
  struct link_side c, s;
};

/* Both with the passphrase and an SA that suits the schemes, if any; Count 1024, four slots, the Client at
   192.0.2.1:50000, the Server at 192.0.2.2:862. */
void link_init(struct link *, uint32_t schemes, uint32_t mode);
void link_need_crypto(void); /* skips the test in a build without cryptography */
void link_share(struct link *, const struct link *first); /* uses first's Server */
void link_free(struct link *);
itw_keyring *link_ring(struct link_side *);                /* its ring, made if need be */
void link_add(itw_keyring *, uint32_t keys);
struct itw_sa link_sa(uint32_t key);                       /* the SA of a LINK_* key */

void link_server(struct link *);  /* makes the Server, if need be, and its connection */
void link_client(struct link *);
void link_connect(struct link *); /* both, and link_run */
void link_run(struct link *);     /* until nothing more happens by itself */
void link_wait(struct link *, uint64_t seconds); /* turns the clock, timers go off on their way */
bool link_up(const struct link *);               /* both sides said ITW_EV_UP, and neither has ended */

struct itw_request link_wish(uint32_t n);        /* a request, from sender port 20000 + n */
itw_status link_ask(struct link *, const struct itw_request *); /* itw_client_request, and link_run */
uint32_t link_request(struct link *, uint32_t n); /* its slot; must be accepted */
void link_start(struct link *);
void link_stop(struct link *);

const struct itw_event *link_event(const struct link_side *, uint32_t kind); /* the last of its kind; NULL */
uint32_t link_events(const struct link_side *, uint32_t kind);               /* how many */
bool link_pull(struct link_side *);                                          /* and acts on it; false: none stands */
bool link_over(const struct link_side *);       /* it wants to be closed */
struct itw_detail link_why(const struct link_side *);
/* That the side has ended, with this status, and said so once, last. */
void link_ended(const struct link_side *, itw_status);

/* The other side, played by the test: a Server for l->c, a Client for l->s. It speaks psk (LINK_KEY_ID). */
struct fake {
  struct link *link;
  struct link_side *peer;
  struct itwi_backend backend;
  struct itwi_stream rx, tx;
  struct itw_key_pair pair;
  struct itw_greeting greeting;
  struct itw_setup setup;
};
void fake_open(struct fake *, struct link *, struct link_side *peer);
void fake_close(struct fake *);
size_t fake_put(struct fake *, const void *octets, size_t n); /* how many the peer read */
size_t fake_get(struct fake *, void *out, size_t n);          /* how many there were */
void fake_seal(struct fake *, const void *body, size_t n);    /* with its HMAC */
bool fake_read(struct fake *, void *body, size_t n);          /* a message; false: not there. Its HMAC must be right */
/* A Client: reads the greeting, makes f->setup for Mode; then the test may spoil it; fake_go sends it and reads
   Server-Start: its Accept, or -1 without an answer. fake_join is both. */
void fake_prepare(struct fake *, uint32_t mode);
int fake_go(struct fake *);
int fake_join(struct fake *, uint32_t mode);
int fake_accept(struct fake *);                               /* Accept-Session's; -1 */
struct itw_request_tw fake_wish(void);
int fake_request(struct fake *, const struct itw_request_tw *); /* sends it: Accept-Session's Accept; -1 */
int fake_command(struct fake *, uint32_t number, uint32_t len); /* len octets of body, zeros but for the number */
int fake_stop(struct fake *, uint32_t sessions);              /* Stop-Sessions; as fake_accept */
/* A Server. */
struct itw_greeting fake_hello(uint32_t modes);
void fake_greet(struct fake *, const struct itw_greeting *);
bool fake_start(struct fake *, uint32_t accept);              /* reads Set-Up-Response, sends Server-Start; false: none */
void fake_answer(struct fake *, uint32_t accept, uint32_t port); /* reads a request, sends Accept-Session */
void fake_ack(struct fake *, uint32_t accept);                /* reads Start-Sessions, sends Start-Ack */

#endif
