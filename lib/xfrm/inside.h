/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_XFRM_INSIDE_H
#define ITWI_XFRM_INSIDE_H

/* The source's inside. message.c decodes what the kernel says; half.c keeps the kernel's SAs, each of which is half of what a
   connection uses; pair.c makes pairs of them and keeps the ring; policy.c keeps the outbound policies of tunnels; follow.c
   applies what is told; news.c has what is to be told on; socket.c is all that touches the system; source.c is the object. */

#include <ipsectwamp/xfrm.h>
#include <libmnl/libmnl.h>
#include <linux/xfrm.h>
#include <stdbool.h>

/* ---- message.c ---- */

enum { ITWI_XFRM_NAME = 64, ITWI_XFRM_TEMPLATES = 6 /* XFRM_MAX_DEPTH */ };

/* An algorithm of an SA; name "": none. The key stays where it is, in the datagram. */
struct itwi_xfrm_alg {
  char name[ITWI_XFRM_NAME];
  uint32_t key_bits;
  uint32_t more_bits; /* of the truncated ICV, of an AEAD's ICV */
  const uint8_t *key;
};

struct itwi_xfrm_sa {
  struct xfrm_usersa_info info; /* of DELSA too: its attribute SA */
  struct itwi_xfrm_alg auth, trunc, crypt, aead;
  struct xfrm_mark mark;
  struct xfrm_encap_tmpl encap;
  struct xfrm_replay_state replay;
  struct {
    uint32_t bitmap_words, oseq, seq, oseq_hi, seq_hi, replay_window;
  } esn; /* struct xfrm_replay_state_esn without its bitmap */
  uint32_t set_mark, set_mark_mask, if_id;
  bool encapsulated, has_esn_state, hard; /* hard: EXPIRE's */
};

struct itwi_xfrm_policy_info {
  struct xfrm_userpolicy_info info;
  struct xfrm_user_tmpl templates[ITWI_XFRM_TEMPLATES];
  uint32_t n;
  uint32_t if_id;
  bool hard; /* POLEXPIRE's */
};

struct itwi_xfrm_message {
  uint16_t type, flags;  /* XFRM_MSG_*, NLMSG_*; NLM_F_* */
  uint32_t seq, port;
  int32_t error;         /* NLMSG_ERROR, NLMSG_DONE: an errno, negative; 0: none */
  uint8_t proto;         /* FLUSHSA: 0: all */
  struct xfrm_usersa_id id; /* DELSA */
  union {
    struct itwi_xfrm_sa sa; /* NEWSA, UPDSA, DELSA, EXPIRE */
    struct itwi_xfrm_policy_info policy; /* NEWPOLICY, UPDPOLICY, DELPOLICY, POLEXPIRE */
  };
};

/* The next message of a datagram, which is aligned as the kernel's structs want it; at and left move behind it. ITW_EMPTY:
   none. ITW_ERR_SHORT: it, or an attribute of it, is shorter or longer than can be; the next call goes on behind it, if that
   can be told. Types that aren't listed above have only their head decoded. */
itw_status itwi_xfrm_decode(struct itwi_xfrm_message *, const uint8_t **at, size_t *left);
/* An address of the kernel's; family AF_INET or AF_INET6, anything else is family 0. */
struct itw_addr itwi_xfrm_addr(const xfrm_address_t *, uint16_t family);

/* ---- places ---- */

/* In one of the arrays, from 1; 0: none. */
typedef uint32_t itwi_place;

/* What an SA is made of that matters here; a secret. */
struct itwi_xfrm_keys {
  uint32_t encr;      /* ITW_ENCR_* */
  uint16_t encr_len, integ_len;
  itw_status keyless; /* 0, or why the keys aren't there */
  uint8_t encr_key[32], integ_key[64];
};

/* One of the kernel's SAs, from `src` to `dst`. */
struct itwi_half {
  struct itw_addr src, dst; /* port 0 */
  uint64_t add_time;        /* of the kernel's: seconds since 1970 */
  uint64_t order;           /* of arrival */
  uint32_t spi, reqid, mark, mark_mask, if_id;
  uint32_t window;          /* of the replay protection: outbound SAs have a smaller one, or none */
  uint32_t seen, noted;     /* the reading of all SAs that found it last; the one during which a notification came */
  itwi_place same_id, same_group; /* the next in the chain */
  itwi_place same_ends, before;   /* the next, of the free ones too, and the one before */
  itwi_place pair;
  uint8_t proto, mode;      /* IPPROTO_ESP, _AH; XFRM_MODE_* */
  bool larval;
  uint8_t widowed;          /* the other half of its pair is gone: it waits for its end, and not yet for another; 0: no */
  bool other_traffic;       /* its selector names a protocol that isn't ours */
  struct itwi_xfrm_keys keys;
};

/* Two halves, there and back. `in` is the half that goes to `local`, and that is a guess: in the ring a pair stands both ways
   round, and a connection's addresses say which it is. */
struct itwi_pair {
  itwi_place in, out;  /* 0: it is gone */
  itwi_place next;     /* in the list of news; of free ones */
  uint32_t news;       /* bits of 1 << ITW_SOURCE_* */
  bool stands[2];      /* in the ring: as `sa` says, and turned round */
  itw_status why;
  struct itw_sa sa, by;
  struct itw_addr local, remote;
};

/* An outbound policy that leads into a tunnel. */
struct itwi_policy {
  struct itw_selector selector;
  struct itw_addr src, dst; /* the tunnel's ends */
  uint32_t index, reqid, if_id;
  uint32_t seen;
  itwi_place same_index, same_ends;
  uint8_t proto, mode;
};

enum { ITWI_XFRM_BUFFER = 32768 }; /* what the kernel fills at most when it tells all SAs */

struct itw_xfrm {
  itw_keyring *ring;
  struct itwi_half *halves;
  struct itwi_pair *pairs;
  struct itwi_policy *policies;
  itwi_place *by_id, *by_ends, *by_group, *by_index, *by_tunnel; /* heads of chains */
  size_t size;                                        /* of the block that all this is in */
  uint32_t capacity, shift;
  itwi_place free_half, free_pair, free_policy;
  itwi_place first_news, last_news;
  uint32_t n_halves, n_pairs;
  uint64_t order;  /* of the newest half */
  uint64_t oldest; /* of the last one told while all are read: the kernel tells the newest first */
  uint32_t reading; /* the number of the reading under way, or of the last one */
  enum { ITWI_XFRM_IDLE, ITWI_XFRM_SAS, ITWI_XFRM_POLICIES } stage;
  bool ready;              /* all have been read once */
  bool again;              /* this reading isn't good: read all again */
  bool failed;             /* but not at once */
  bool lost;               /* notifications were */
  bool doubt;              /* something was deleted during this reading, which may have told it after that */
  bool missed;             /* there was no room for some */
  bool selectors_missed;   /* nor in the ring for some selectors */
  bool tell_resync, tell_full;
  bool widows;             /* there may be some */
  itw_mono retry;          /* when to read all, or to ask for that, again */
  itw_mono relent;         /* when widows are a step nearer to being paired again */
  struct mnl_socket *socket; /* NULL: none */
  uint8_t buffer[ITWI_XFRM_BUFFER];
};

/* ---- half.c ---- */

struct itwi_half *itwi_half_at(const struct itw_xfrm *, itwi_place);
/* Takes an SA, new or changed. told: as one of all, not because it is new. NULL: no room, or none of ours. */
struct itwi_half *itwi_half_put(struct itw_xfrm *, const struct itwi_xfrm_sa *, bool told);
struct itwi_half *itwi_half_find(const struct itw_xfrm *, const struct itw_addr *dst, uint32_t spi, uint8_t proto);
void itwi_half_drop(struct itw_xfrm *, struct itwi_half *);
/* All of a protocol; 0: of any. `unseen`: only those that the reading that has ended didn't find. */
void itwi_halves_sweep(struct itw_xfrm *, uint8_t proto, bool unseen);
/* The next one between these two ends, in either direction, behind `at`; begin with 0. */
struct itwi_half *itwi_half_between(const struct itw_xfrm *, const struct itw_addr *, const struct itw_addr *, itwi_place at);
/* The same, of those with this reqid: an SA's partners, and those that a rekey replaces it by. */
struct itwi_half *itwi_half_of_group(const struct itw_xfrm *, const struct itw_addr *, const struct itw_addr *, uint32_t reqid,
                                     itwi_place at);
itwi_place itwi_half_place(const struct itw_xfrm *, const struct itwi_half *);
bool itwi_half_is_newer(const struct itwi_half *, const struct itwi_half *);
/* The same for both orders of the ends. */
uint32_t itwi_xfrm_hash_ends(const struct itw_xfrm *, const struct itw_addr *, const struct itw_addr *, uint32_t reqid);
uint32_t itwi_xfrm_hash(const struct itw_xfrm *, uint64_t);
bool itwi_xfrm_same_ip(const struct itw_addr *, const struct itw_addr *);

/* ---- pair.c ---- */

struct itwi_pair *itwi_pair_at(const struct itw_xfrm *, itwi_place);
/* Pairs a half that is new, if there is one for it, and then what can be of its group. */
void itwi_pair_match(struct itw_xfrm *, struct itwi_half *);
/* All of them. */
void itwi_pair_match_all(struct itw_xfrm *);
/* IKE ends what a rekey left over within seconds. A half that still stands after two of these steps was left alone by hand, and
   may be paired again. */
void itwi_pair_relent(struct itw_xfrm *);
/* One of its halves goes. */
void itwi_pair_break(struct itw_xfrm *, struct itwi_pair *);
/* The tunnel's policies changed. */
void itwi_pair_select(struct itw_xfrm *, const struct itwi_pair *);

/* ---- policy.c ---- */

void itwi_policy_put(struct itw_xfrm *, const struct itwi_xfrm_policy_info *);
void itwi_policy_drop(struct itw_xfrm *, uint32_t index);
void itwi_policies_sweep(struct itw_xfrm *, bool unseen);
/* The next policy with this reqid that leads into the tunnel which `out` is one end of, behind `at`; begin with 0. */
const struct itwi_policy *itwi_policy_into(const struct itw_xfrm *, const struct itwi_half *out, uint32_t reqid, itwi_place *at);

/* ---- news.c ---- */

void itwi_news_add(struct itw_xfrm *, struct itwi_pair *, uint32_t kind);
/* Drops the oldest news of a pair that is gone, and so makes room for a pair. */
void itwi_news_forget(struct itw_xfrm *);
itw_status itwi_news_take(struct itw_xfrm *, struct itw_source_event *out);

/* ---- follow.c ---- */

/* There was no room for an SA or a policy. */
void itwi_xfrm_full(struct itw_xfrm *);
/* A datagram from the kernel. */
void itwi_xfrm_take(struct itw_xfrm *, const uint8_t *datagram, size_t len);
/* Notifications were lost. */
void itwi_xfrm_lost(struct itw_xfrm *);
/* Reads all, again, if that is due. */
void itwi_xfrm_go_on(struct itw_xfrm *, itw_mono now);

/* ---- source.c ---- */

/* All but the socket: what tests and fuzzers use. */
itw_status itwi_xfrm_make(struct itw_xfrm **, uint32_t capacity);

/* ---- socket.c ---- */

itw_status itwi_xfrm_open(struct itw_xfrm *, uint32_t receive_octets, struct itw_detail *);
void itwi_xfrm_close(struct itw_xfrm *);
/* Asks for all SAs (XFRM_MSG_GETSA) or policies (XFRM_MSG_GETPOLICY). False: not now. */
bool itwi_xfrm_ask(struct itw_xfrm *, uint16_t type);
/* The next datagram, in x->buffer. ITW_EMPTY: none. ITW_ERR_FULL: some were lost. */
itw_status itwi_xfrm_receive(struct itw_xfrm *, size_t *len);

#endif
