/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_STRONGSWAN_HA_H
#define ITWI_STRONGSWAN_HA_H

/* The HA feed's inside. ha_message.c reads datagrams; ha_keys.c derives; ha_table.c keeps the SAs; ha_ring.c shows those that
   count in a ring of keys; ha_follow.c does what datagrams say; ha_time.c does what time says; ha_news.c has what is to be
   told on; ha_socket.c is all that touches the system.

   An IKE SA counts from its IKE_UPDATE on, for only then are both ends authenticated; its CHILD SAs with it. A rekeyed IKE
   SA's IKE_DELETE comes just before its successor's IKE_UPDATE, so an SA with an heir waits a moment for that. A rekeyed
   CHILD SA isn't offered any more, for the newest is, but stays until its CHILD_DELETE comes (charon keeps it for 5 s): the
   other end may still ask for it. That it was rekeyed is told after a moment: until then the other end may not have its
   successor yet, and when both ends rekey at once, one of the two new ones goes again. */

#include "ha_keys.h"
#include <ipsectwamp/strongswan.h>

/* A place in the table, from 1; 0: none. */
typedef uint32_t itwi_place;

enum {
  ITWI_SA_FREE,
  ITWI_SA_HALF, /* not authenticated */
  ITWI_SA_LIVE,
  ITWI_SA_GONE  /* but not all of it was told */
};

struct itwi_ha_sa {
  struct itw_sa sa, by;
  struct itw_addr local, remote;
  uint64_t order;           /* of arrival */
  uint64_t alike;           /* CHILD SA: a hash of its configuration's name and selectors: who has the same replaces it */
  itw_mono until;           /* when it goes by itself; CHILD SA: when it counts as replaced, if it is */
  struct itwi_ha_id heir_of; /* IKE SA: the one that it was made to replace; spi_i 0: none */
  uint32_t heirs;           /* IKE SA: how many half-open ones were made to replace it */
  uint32_t seen;            /* the last RESYNC after which charon told of it */
  uint32_t inbound;         /* CHILD SA: our SPI */
  uint32_t state, news;     /* ITWI_SA_*; bits of 1 << ITW_SOURCE_* */
  itw_status why;           /* why it can't be used */
  itwi_place same_name;     /* the next in the chain */
  itwi_place next;          /* in the list of news; of free ones */
  itwi_place ike;           /* CHILD SA: whose; 0: an IKE SA */
  itwi_place children;      /* IKE SA: the first of them */
  itwi_place older, younger; /* CHILD SA: its neighbours among them */
  bool quiet;               /* of a kind that isn't wanted: neither shown nor told */
  bool shown;               /* it is in the ring */
  bool replaced;            /* CHILD SA: that was told */
  uint32_t n_local, n_remote;
  struct itwi_ha_range local_ts[ITWI_HA_RANGES], remote_ts[ITWI_HA_RANGES];
  union { /* secrets: an IKE SA's SK_d as long as it lives, the rest until it is in the ring */
    struct itwi_ike_keys ike;
    struct itwi_child_keys child;
  } keys;
};

struct itwi_ha {
  itw_keyring *ring;
  struct itwi_ha_sa *sas;
  itwi_place *by_name;    /* heads of chains */
  size_t size;            /* of the block that all this is in */
  const void *crypto;
  uint32_t capacity, shift, schemes;
  itwi_place free, first_news, last_news;
  uint32_t n_ike, n_child; /* in the ring */
  uint32_t n_unfit;        /* that should be there, and can't */
  uint64_t order;          /* of the newest */
  uint32_t version;        /* that charon speaks; 0: not known */
  uint32_t presence;       /* ITWI_UNKNOWN ... */
  uint32_t resyncs;        /* how many were asked for */
  uint32_t drops;          /* datagrams that the socket has lost so far */
  itw_status tell_refused; /* what charon says isn't understood */
  bool refused;            /* that was told */
  bool pinged;             /* and not refused yet */
  bool tell_resync, tell_lost, tell_full;
  itw_mono ping_at, resync_at, check_at, ike_sweep_at, child_sweep_at; /* what is due when */
  itw_mono resynced_at;    /* the last one */
  struct itw_addr remote;  /* charon's end */
  int fd;                  /* -1: none */
  uint32_t mbz;
};

enum { ITWI_UNKNOWN, ITWI_AWAY, ITWI_THERE };

/* ---- ha_table.c ---- */

size_t itwi_ha_size(uint32_t capacity);
void itwi_ha_lay_out(struct itwi_ha *, uint32_t capacity);
struct itwi_ha_sa *itwi_ha_at(const struct itwi_ha *, itwi_place);
itwi_place itwi_ha_place(const struct itwi_ha *, const struct itwi_ha_sa *);
/* The IKE SA with these SPIs, the CHILD SA of this IKE SA with this inbound one. NULL: none. */
struct itwi_ha_sa *itwi_ha_find_ike(const struct itwi_ha *, const struct itwi_ha_id *);
struct itwi_ha_sa *itwi_ha_find_child(const struct itwi_ha *, const struct itwi_ha_sa *ike, uint32_t inbound);
/* A new SA in the table; ike NULL: an IKE SA, named by sa, else a CHILD SA, named by its inbound SPI. The oldest half-open IKE
   SA makes room. NULL: there is none. */
struct itwi_ha_sa *itwi_ha_take(struct itwi_ha *, struct itwi_ha_sa *ike, const struct itw_sa *, uint32_t inbound);
/* It is no more: by NULL: deleted, else replaced. An IKE SA's children go with it, but go on with a successor. */
void itwi_ha_drop(struct itwi_ha *, struct itwi_ha_sa *, struct itwi_ha_sa *by);
/* All of them, untold. */
void itwi_ha_clear(struct itwi_ha *);
/* Gives back the place of one that is gone and told. */
void itwi_ha_release(struct itwi_ha *, struct itwi_ha_sa *);

/* ---- ha_ring.c ---- */

/* From now on it counts: shows it, or finds out why it can't be used. */
void itwi_ha_show(struct itwi_ha *, struct itwi_ha_sa *);
void itwi_ha_hide(struct itwi_ha *, struct itwi_ha_sa *);
/* An IKE SA's CHILD SAs are others than before. */
void itwi_ha_select(struct itwi_ha *, const struct itwi_ha_sa *ike);

/* As the ring says; but what isn't in it may be known to be unfit, or to be away. */
itw_status itwi_ha_answer(const struct itwi_ha *, const struct itw_ask *, struct itw_answer *out);

/* ---- ha_follow.c ---- */

/* A datagram from charon. */
void itwi_ha_follow(struct itwi_ha *, const uint8_t *datagram, size_t len, itw_mono now);
/* Which of the IKE SA's CHILD SAs has replaced this one. NULL: none. */
struct itwi_ha_sa *itwi_ha_replacement(const struct itwi_ha *, const struct itwi_ha_sa *child);

/* ---- ha_time.c ---- */

/* Nothing listens on charon's port. */
void itwi_ha_away(struct itwi_ha *);
/* Something came from charon, or a message to it wasn't refused. */
void itwi_ha_there(struct itwi_ha *, itw_mono now);
/* charon is to tell all that it has: now, but not sooner than so long after the last time. */
void itwi_ha_miss(struct itwi_ha *, itw_mono gap, itw_mono now);
/* Sets until. */
void itwi_ha_limit(struct itwi_ha *, struct itwi_ha_sa *, itw_mono until);
/* What is due: looks whether charon is there, asks it to tell all, drops what is over. */
void itwi_ha_tick(struct itwi_ha *, itw_mono now);
itw_mono itwi_ha_deadline(const struct itwi_ha *);

#define ITWI_SECONDS(n) ((itw_mono)(n) * 1000000000)

/* ---- ha_news.c ---- */

void itwi_ha_tell(struct itwi_ha *, struct itwi_ha_sa *, uint32_t kind);
itw_status itwi_ha_event(struct itwi_ha *, struct itw_source_event *out);

/* ---- ha_socket.c ---- */

itw_status itwi_ha_open(struct itwi_ha *, const struct itw_addr *local, const struct itw_addr *remote, struct itw_detail *);
void itwi_ha_close(struct itwi_ha *);
/* A RESYNC, for everything or nothing. */
void itwi_ha_send(struct itwi_ha *, bool nothing);
/* What came, at most some hundred datagrams. */
void itwi_ha_receive(struct itwi_ha *, itw_mono now);

/* ---- source.c ---- */

/* All but the socket: what tests and fuzzers use. */
itw_status itwi_ha_make(struct itwi_ha **, const struct itw_strongswan_config *, itw_mono now);
void itwi_ha_free(struct itwi_ha *);

#endif
