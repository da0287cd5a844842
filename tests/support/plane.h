/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_PLANE_H
#define TESTS_PLANE_H

/* Sessions, packets and buffers for the tests of the test plane. */

#include <assert.h>
#include <ipsectwamp/receiver.h>
#include <ipsectwamp/reflector.h>
#include <ipsectwamp/sender.h>
#include <ipsectwamp/version.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vec.h"

static const uint32_t plane_modes[3] = {ITW_MODE_OPEN, ITW_MODE_AUTH, ITW_MODE_ENC};

/* How many of them this build has: without a crypto library only the first. */
static inline size_t plane_mode_count(void) { return strcmp(itw_crypto_backend(), "none") ? 3 : 1; }
/* Skips a test that needs another. */
#define PLANE_NEEDS(mode) \
  do { \
    if ((mode) != ITW_MODE_OPEN && plane_mode_count() == 1) skip(); \
  } while (0)

static inline uint32_t plane_sender_header(uint32_t mode)
{
  return mode == ITW_MODE_OPEN ? ITW_SENDER_OPEN : ITW_SENDER_SECURE;
}
static inline uint32_t plane_reflector_header(uint32_t mode)
{
  return mode == ITW_MODE_OPEN ? ITW_REFLECTOR_OPEN : ITW_REFLECTOR_SECURE;
}

/* n octets that end where nothing may be touched. */
struct plane_guard {
  uint8_t *p;
  void *map;
  size_t len;
};
static inline struct plane_guard plane_guard(size_t n)
{
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (n + page - 1) / page * page;
  struct plane_guard g = {.len = room + page};
  g.map = mmap(NULL, g.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert(g.map != MAP_FAILED);
  const int bad = mprotect((uint8_t *)g.map + room, page, PROT_NONE);
  assert(!bad);
  (void)bad;
  g.p = (uint8_t *)g.map + room - n;
  return g;
}
static inline void plane_unguard(struct plane_guard *g) { munmap(g->map, g->len); }

/* Session number i: its addresses, ports and keys differ from all others'. Every fourth is of IPv6. */
static inline struct itw_session_info plane_info(uint32_t i, uint32_t mode)
{
  struct itw_session_info info;
  ITW_INIT(info);
  info.mode = mode;
  info.dialect = ITW_DIALECT_TWAMP;
  info.padding = 64;
  info.timeout = UINT64_C(2) << 32;
  info.start = UINT64_C(0xeeae740000000000);
  memset(info.sid, (int)(i & 0xff), sizeof info.sid);
  info.sender.family = info.reflector.family = i % 4 == 3 ? 6 : 4;
  const uint8_t from[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}, to[4] = {192, 0, 2, 7};
  memcpy(info.sender.ip, from, 4);
  memcpy(info.reflector.ip, to, 4);
  if (info.sender.family == 6) info.sender.ip[15] = info.reflector.ip[15] = 1;
  info.sender.port = (uint16_t)(20000 + i % 7);
  info.reflector.port = 862;
  info.dscp = 46;
  return info;
}

static inline struct itw_key_pair plane_keys(uint32_t i)
{
  struct itw_key_pair k;
  ITW_INIT(k);
  k.enc_len = (uint16_t)(16 + 8 * (i % 3));
  k.auth_len = i % 5 == 4 ? 20 : 32;
  for (uint32_t n = 0; n < k.enc_len; n++) k.enc[n] = (uint8_t)(0xa5 ^ (i * 31 + n * 7));
  for (uint32_t n = 0; n < k.auth_len; n++) k.auth[n] = (uint8_t)(0x3c ^ (i * 17 + n * 11));
  return k;
}

static inline struct itw_session plane_make(const struct itw_session_info *info, uint32_t i)
{
  struct itw_session s;
  struct itw_key_pair k = plane_keys(i);
  const itw_status st = itw_session_make(&s, info, info->mode == ITW_MODE_OPEN ? NULL : &k);
  assert(st == ITW_OK);
  (void)st;
  return s;
}
static inline struct itw_session plane_session(uint32_t i, uint32_t mode)
{
  const struct itw_session_info info = plane_info(i, mode);
  return plane_make(&info, i);
}

static inline struct itw_shard_config plane_config(uint32_t sessions, uint32_t contexts)
{
  struct itw_shard_config c;
  ITW_INIT(c);
  c.sessions = sessions;
  c.contexts = contexts;
  c.clock.error = 0x8a05;
  memset(c.seed, 0x5a, sizeof c.seed);
  return c;
}

/* As it arrives at the reflector, and at the sender. */
static inline struct itw_packet plane_request(const struct itw_session_info *info, uint32_t off, uint32_t len,
                                              uint32_t cap)
{
  struct itw_packet item;
  memset(&item, 0, sizeof item);
  item.off = off;
  item.len = len;
  item.cap = cap;
  item.ttl = 61;
  item.remote = info->sender;
  item.local = info->reflector;
  item.received = UINT64_C(0xeeae740010000000);
  return item;
}
static inline struct itw_packet plane_reply(const struct itw_session_info *info, uint32_t off, uint32_t len)
{
  struct itw_packet item;
  memset(&item, 0, sizeof item);
  item.off = off;
  item.len = item.cap = len;
  item.ttl = 60;
  item.tos = 0xb8;
  item.remote = info->reflector;
  item.local = info->sender;
  item.received = UINT64_C(0xeeae740030000000);
  return item;
}

/* One call for one packet. */
static inline itw_status plane_write(itw_sender *s, itw_id id, uint8_t *p, uint32_t cap, struct itw_packet *item)
{
  memset(item, 0, sizeof *item);
  item->id = id;
  item->cap = cap;
  itw_status st = itw_sender_write(s, p, cap, item, sizeof *item, 1);
  item->sent = UINT64_C(0xeeae740000003039);
  if (st == ITW_OK) st = itw_sender_stamp(s, p, cap, item, sizeof *item, 1);
  return st == ITW_OK ? item->status : st;
}
static inline itw_status plane_take(itw_reflector *r, uint8_t *p, size_t len, struct itw_packet *item, itw_mono now)
{
  const itw_status st = itw_reflector_take(r, p, len, item, sizeof *item, 1, now);
  return st == ITW_OK ? item->status : st;
}
static inline itw_status plane_finish(itw_reflector *r, uint8_t *p, size_t len, struct itw_packet *item)
{
  item->sent = UINT64_C(0xeeae740020000000);
  const itw_status st = itw_reflector_reply(r, p, len, item, sizeof *item, 1);
  return st == ITW_OK ? item->status : st;
}
static inline itw_status plane_read(itw_sender *s, const uint8_t *p, size_t len, struct itw_packet *item,
                                    struct itw_reply *reply)
{
  const itw_status st = itw_sender_read(s, p, len, item, sizeof *item, reply, sizeof *reply, 1);
  return st == ITW_OK ? item->status : st;
}

static inline struct itw_counts plane_sender_counts(const itw_sender *s, itw_id id)
{
  struct itw_counts c;
  ITW_INIT(c);
  const itw_status st = itw_sender_counts(s, id, &c);
  assert(st == ITW_OK);
  (void)st;
  return c;
}
static inline struct itw_counts plane_reflector_counts(const itw_reflector *r, itw_id id)
{
  struct itw_counts c;
  ITW_INIT(c);
  const itw_status st = itw_reflector_counts(r, id, &c);
  assert(st == ITW_OK);
  (void)st;
  return c;
}

/* Whether any 8 octets in a row of a key stand in memory. */
static inline bool plane_holds(const uint8_t *memory, size_t len, const uint8_t *key, size_t key_len)
{
  for (size_t k = 0; k + 8 <= key_len; k++)
    for (size_t i = 0; i + 8 <= len; i++)
      if (memory[i] == key[k] && !memcmp(memory + i, key + k, 8)) return true;
  return false;
}

/* Every file with test packets. */
static inline size_t plane_files(char names[][128], size_t cap)
{
  const size_t n = vec_files("schemes", names, cap);
  return n + vec_files("perfsonar", names + n, cap - n);
}

static inline uint32_t plane_vec_mode(const struct vec *v)
{
  const char *s = vec_word(vec_first(v, "case"), "security");
  return !strcmp(s, "auth") ? ITW_MODE_AUTH : !strcmp(s, "enc") ? ITW_MODE_ENC : ITW_MODE_OPEN;
}

static inline void plane_vec_addr(struct itw_addr *a, const struct vec_section *s, const char *ip, const char *port)
{
  memset(a, 0, sizeof *a);
  a->family = vec_hex(s, ip, a->ip, sizeof a->ip) == 4 ? 4 : 6;
  a->port = (uint16_t)vec_u64(s, port);
}

/* A [session N] section as a session. */
static inline struct itw_session_info plane_vec_info(const struct vec_section *s, uint32_t mode)
{
  struct itw_session_info info;
  ITW_INIT(info);
  info.mode = mode;
  info.dialect = ITW_DIALECT_TWAMP;
  info.padding = (uint32_t)vec_u64(s, "padding");
  info.timeout = UINT64_C(2) << 32;
  vec_hex(s, "sid", info.sid, sizeof info.sid);
  plane_vec_addr(&info.sender, s, "sender_address", "sender_port");
  plane_vec_addr(&info.reflector, s, "receiver_address", "receiver_port");
  return info;
}
static inline struct itw_session plane_vec_session(const struct vec_section *s, uint32_t mode)
{
  const struct itw_session_info info = plane_vec_info(s, mode);
  struct itw_session session;
  struct itw_key_pair k;
  ITW_INIT(k);
  if (mode != ITW_MODE_OPEN) {
    k.enc_len = (uint16_t)vec_hex(s, "test_aes_key", k.enc, sizeof k.enc);
    k.auth_len = (uint16_t)vec_hex(s, "test_hmac_key", k.auth, sizeof k.auth);
  }
  const itw_status st = itw_session_make(&session, &info, &k);
  assert(st == ITW_OK);
  (void)st;
  return session;
}

/* -------- OWAMP -------- */

/* Session number i, one way: `packets` of them, Timeout 2 s. */
static inline struct itw_session_info plane_owamp_info(uint32_t i, uint32_t mode, uint32_t packets)
{
  struct itw_session_info info = plane_info(i, mode);
  info.dialect = ITW_DIALECT_OWAMP;
  info.packets = packets;
  return info;
}
static inline struct itw_counts plane_receiver_counts(const itw_receiver *r, itw_id id)
{
  struct itw_counts c;
  ITW_INIT(c);
  const itw_status st = itw_receiver_counts(r, id, &c);
  assert(st == ITW_OK);
  (void)st;
  return c;
}
/* The wall clock stands `ns` before (after, if negative) the session's Start Time. */
static inline struct itw_wall plane_wall(const struct itw_session_info *info, int64_t ns)
{
  struct itw_wall w;
  ITW_INIT(w);
  w.now = ns >= 0 ? info->start - itw_ntp_span((uint64_t)ns) : info->start + itw_ntp_span((uint64_t)-ns);
  return w;
}
static inline struct itw_slot plane_fixed(uint64_t ns)
{
  const struct itw_slot s = {.type = ITW_SLOT_FIXED, .parameter = itw_ntp_span(ns)};
  return s;
}

#endif
