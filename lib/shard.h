/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_SHARD_H
#define ITWI_SHARD_H

/* What senders and reflectors are made of: slots, the demultiplexer to them, contexts for their keys, counts. Layer 6,
   below both. */

#include "cache.h"
#include "demux.h"
#include "packet.h"
#include "session.h"
#include "window.h"
#include <ipsectwamp/wire.h>

/* One session: four cache lines. The first is all that a lookup reads, the second what each packet writes, the keys are
   read only when a context is keyed. No padding, so 256 octets everywhere. */
struct itwi_slot {
  struct itwi_peer peer;
  uint32_t generation; /* of the id; never 0 */
  uint32_t context;    /* cache.h: hint */
  uint32_t seq;        /* the next one; of a Light reflector unused */

  uint64_t user;
  union {
    itw_mono until;            /* reflector: answers before this */
    struct itwi_window window; /* sender */
  };
  uint64_t timeout; /* seconds 32, fraction 32 */
  uint64_t sent, received, octets;
  union {
    uint64_t late;
    uint64_t skipped; /* sender with a schedule */
  };
  uint16_t padding;
  uint8_t mode, state, flags, dscp; /* ITW_MODE_*, ITWI_SLOT_*, ITWI_LIGHT ... */
  struct itwi_keys keys;

  uint64_t auth_failures, malformed, reordered;
  union {
    uint64_t duplicates; /* sender, receiver */
    uint64_t early;      /* reflector */
  };
};
_Static_assert(sizeof(struct itwi_slot) == 4 * ITWI_LINE, "a slot is four lines");

enum { ITWI_SLOT_FREE, ITWI_SLOT_ADDED, ITWI_SLOT_RUNNING, ITWI_SLOT_STOPPING, ITWI_SLOT_ENDED };
enum {
  ITWI_LIGHT = 1,        /* reflector */
  ITWI_ZERO_PADDING = 1, /* sender */
  ITWI_WRAPPED = 2,      /* sender: every sequence number was used */
  ITWI_ONE_WAY = 4,      /* OWAMP */
  ITWI_SYMMETRICAL = 8, ITWI_DSCP_ECN = 16, ITWI_PTP = 32, ITWI_SENDS_PTP = 64, ITWI_REFLECTS = 128
};

static inline bool itwi_is_secure(const struct itwi_slot *slot) { return slot->mode != ITW_MODE_OPEN; }
/* Octets of a packet before its padding. */
static inline uint32_t itwi_sender_header(const struct itwi_slot *slot)
{
  const uint32_t bare = itwi_is_secure(slot) ? ITW_SENDER_SECURE : ITW_SENDER_OPEN;
  if (!(slot->flags & ITWI_SYMMETRICAL)) return bare;
  return bare + itwi_sender_gap(slot->mode, ITW_FEATURE_SYMMETRICAL | (slot->flags & ITWI_DSCP_ECN ? ITW_FEATURE_DSCP_ECN : 0));
}
static inline uint32_t itwi_reflector_header(const struct itwi_slot *slot)
{
  if (itwi_is_secure(slot)) return ITW_REFLECTOR_SECURE;
  return slot->flags & ITWI_DSCP_ECN ? ITW_REFLECTOR_OPEN_DSCP : ITW_REFLECTOR_OPEN;
}
/* ITW_PACKET_* of a reply. */
static inline uint32_t itwi_reply_form(const struct itwi_slot *slot)
{
  if (itwi_is_secure(slot)) return ITW_PACKET_SECURE;
  return slot->flags & ITWI_DSCP_ECN ? ITW_PACKET_OPEN_DSCP : ITW_PACKET_OPEN;
}
/* Where the timestamp stands. */
static inline uint32_t itwi_stamp_at(const struct itwi_slot *slot) { return itwi_is_secure(slot) ? 16 : 4; }
/* A timestamp off the wire as NTP; Z says what it is, if that was agreed on (RFC 8186 §2.3). */
static inline itw_ntp itwi_read_stamp(const struct itwi_slot *slot, uint64_t stamp, uint16_t error, const struct itwi_clock *clock)
{
  return slot->flags & ITWI_PTP && error & ITWI_Z ? itw_ntp_from_ptp(stamp, clock->tai_utc) : stamp;
}

struct itwi_shard {
  struct itwi_slot *slots;
  uint32_t sessions, used;
  uint32_t free;  /* chained by peer.next; ITWI_NOBODY: none */
  struct itwi_clock clock;
  bool entered;   /* the backend was: itwi_shard_leave is due */
  bool marked;    /* and its error queue had to be marked */
  bool failed;    /* and has something new in it */
  bool owned;     /* memory is from malloc */
  void *memory;
  size_t len;
  struct itwi_backend backend;
  struct itwi_random random;
  struct itwi_demux demux;
  struct itwi_cache cache;
  struct itw_counts sum;
};

/* What a role adds to a shard: its own struct, which begins with a struct itwi_shard, and arrays per session. */
struct itwi_role {
  uint32_t object;                                    /* sizeof the struct */
  uint32_t (*extra)(const struct itw_shard_config *); /* octets per session */
};
/* Octets that a shard takes, 0 if that is too much or the config is wrong. */
size_t itwi_shard_size(const struct itw_shard_config *, const struct itwi_role *);
/* Builds it in memory, or if that is NULL in memory from malloc; extra: sessions times the role's. config_in: the caller's;
   config: as it was taken, without the seed. */
itw_status itwi_shard_make(struct itwi_shard **out, uint8_t **extra, struct itw_shard_config *config,
                           const struct itwi_role *, void *memory, size_t len,
                           const struct itw_shard_config *config_in);
/* Wipes all of the block, and frees it if it is ours. */
void itwi_shard_free(struct itwi_shard *);

/* Which of the session's two addresses is ours, and which dialects the role speaks. */
enum { ITWI_AS_SENDER, ITWI_AS_REFLECTOR, ITWI_AS_OWAMP_SENDER, ITWI_AS_RECEIVER };
itw_status itwi_shard_add(struct itwi_shard *, itw_id *out, const struct itw_session *, uint64_t user, int role);
void itwi_shard_remove(struct itwi_shard *, uint32_t slot);

static inline uint32_t itwi_slot_index(const struct itwi_shard *s, const struct itwi_slot *slot)
{
  return (uint32_t)(slot - s->slots);
}
static inline itw_id itwi_slot_id(const struct itwi_shard *s, uint32_t slot)
{
  return (uint64_t)s->slots[slot].generation << 32 | slot;
}
/* NULL: a stale id, or none. */
static inline struct itwi_slot *itwi_shard_slot(const struct itwi_shard *s, itw_id id)
{
  const uint32_t i = (uint32_t)id;
  if (i >= s->sessions || s->slots[i].generation != id >> 32 || s->slots[i].state == ITWI_SLOT_FREE) return NULL;
  return &s->slots[i];
}

/* Fills in the ids of n <= ITWI_CHUNK packets that have none, as far as there are sessions for them. */
void itwi_shard_find(struct itwi_shard *, struct itw_packet *, size_t stride, size_t n);
/* The same for packets whose ids are known: fetches what they need. */
void itwi_shard_fetch(const struct itwi_shard *, struct itw_packet *, size_t stride, size_t n);
/* Before packet i of n: fetches the contexts of one that comes after it. */
void itwi_shard_ahead(const struct itwi_shard *, struct itw_packet *, size_t stride, size_t n, size_t i);

/* Before anything that may fail in the crypto library; itwi_shard_seal does it too. */
void itwi_shard_enter(struct itwi_shard *);
/* Before each use of its context: keyed for `need` (seal.h). */
itw_status itwi_shard_seal(struct itwi_shard *, struct itwi_slot *, uint32_t need, struct itwi_seal **out);
/* What became of a packet goes through here. */
static inline itw_status itwi_shard_status(struct itwi_shard *s, itw_status status)
{
  if (status == ITW_ERR_CRYPTO) s->failed = true;
  return status;
}
/* After a burst. */
void itwi_shard_leave(struct itwi_shard *);

/* id 0: the shard's. */
itw_status itwi_shard_counts(const struct itwi_shard *, itw_id, int role, struct itw_counts *out);
static inline itw_status itwi_count(uint64_t *session, uint64_t *sum, itw_status s)
{
  ++*session;
  ++*sum;
  return s;
}

#endif
