/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_XFRM_FEED_H
#define TESTS_XFRM_FEED_H

/* The kernel, played: it says what it is told to say, keeps the SAs and policies that come of that, and tells all of them when
   the source asks. It stands behind the linker's --wrap of itwi_xfrm_ask and itwi_xfrm_receive; there is one. */

#include "inside.h"

enum { FEED_MESSAGE = 1024 };

/* ---- messages ---- */

struct feed_message {
  uint8_t octets[FEED_MESSAGE];
  size_t len;
};

/* An SA to make a message of. Zeros: ESP between IPv4 addresses, transport mode. */
struct feed_sa {
  uint16_t type;        /* XFRM_MSG_*; 0: NEWSA */
  uint8_t proto, mode;
  struct itw_addr src, dst;
  uint32_t spi, reqid, mark, if_id, window;
  uint64_t add_time;
  const char *crypt, *auth, *aead; /* NULL: none */
  uint16_t crypt_len, auth_len;    /* 0: 16, 20 */
  uint8_t key;                     /* each octet of the keys; the authentication key's are one more, unless it is 0 */
  uint8_t sel_proto;
  bool hard; /* EXPIRE */
};
struct feed_message feed_make_sa(struct feed_sa);
/* An outbound policy (XFRM_MSG_NEWPOLICY, _DELPOLICY, _POLEXPIRE) that leads into a tunnel. */
struct feed_policy {
  uint16_t type;
  uint32_t index, reqid, if_id;
  struct itw_addr src, dst;          /* the tunnel's ends */
  struct itw_addr local, remote;     /* a prefix each */
  uint8_t local_bits, remote_bits, proto;
  bool hard;
};
struct feed_message feed_make_policy(struct feed_policy);
struct feed_message feed_make_flush(uint16_t type, uint8_t proto);

/* ---- the kernel ---- */

void feed_forget(void); /* all of it: a kernel that has just started */
/* Says it to who listens. */
void feed_say(const uint8_t *datagram, size_t len);
/* It happens, and nobody is told. */
void feed_happen(const uint8_t *datagram, size_t len);
/* What was said but not heard yet is lost, and the next receive says so. */
void feed_lose(void);
/* What the source asks for: at once in its queue (the default), or only with feed_tell. */
void feed_hold(bool hold);
/* One datagram of what was asked for; false: there is none. */
bool feed_tell(void);
/* How often all SAs were asked for. */
unsigned feed_readings(void);
/* Asking fails. */
void feed_refuse(bool refuse);

/* ---- the source ---- */

struct itw_xfrm *feed_open(uint32_t capacity);
/* Lets it read until there is nothing left. */
itw_status feed_settle(struct itw_xfrm *, itw_mono now);

static inline void feed_say_it(struct feed_message m) { feed_say(m.octets, m.len); }

#endif
