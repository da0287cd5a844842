/* SPDX-License-Identifier: BSD-3-Clause */
#include <ipsectwamp/reflector.h>
#include "abi.h"
#include "alarm.h"
#include "seal.h"
#include "secret.h"
#include "shard.h"
#include <ipsectwamp/wire.h>

/* A session is added, runs from Start-Sessions on, stops for Timeout after Stop-Sessions, has ended; then it is removed.
   While it runs or stops it answers before `until`: REFWAIT after the last valid packet, or Timeout after the stop. A packet
   only writes `until`; the session's wake-up stays where it was, too early, and is moved when it rings. */

struct itw_reflector {
  struct itwi_shard shard;
  struct itwi_alarms alarms;
  uint64_t refwait; /* ns */
};
_Static_assert(offsetof(struct itw_reflector, shard) == 0, "a shard that knows more");

enum { HEAD = 32 }; /* the sender's header up to its HMAC */

static uint32_t extra(const struct itw_shard_config *c)
{
  (void)c;
  return sizeof(itw_mono) + 2 * sizeof(uint32_t); /* alarms: at, who, place */
}

static const struct itwi_role role = {sizeof(struct itw_reflector), extra};

size_t itw_reflector_size(const struct itw_shard_config *config) { return itwi_shard_size(config, &role); }

static itw_status make(itw_reflector **out, void *memory, size_t len, const struct itw_shard_config *config)
{
  struct itw_shard_config c;
  struct itwi_shard *shard;
  itw_reflector *r;
  uint8_t *arrays;
  itw_status s;

  if (!out) return ITW_ERR_ARGUMENT;
  *out = NULL;
  s = itwi_shard_make(&shard, &arrays, &c, &role, memory, len, config);
  if (s != ITW_OK) return s;
  r = (itw_reflector *)(void *)shard;
  r->refwait = (uint64_t)c.refwait_s * 1000000000u;
  r->alarms.at = (itw_mono *)(void *)arrays;
  r->alarms.who = (uint32_t *)(void *)(arrays + sizeof(itw_mono) * c.sessions);
  r->alarms.place = r->alarms.who + c.sessions;
  *out = r;
  return ITW_OK;
}

itw_status itw_reflector_init(itw_reflector **out, void *memory, size_t len, const struct itw_shard_config *config)
{
  return memory ? make(out, memory, len, config) : ITW_ERR_ARGUMENT;
}

itw_status itw_reflector_new(itw_reflector **out, const struct itw_shard_config *config)
{
  return make(out, NULL, 0, config);
}

void itw_reflector_free(itw_reflector *r)
{
  if (r) itwi_shard_free(&r->shard);
}

itw_status itw_reflector_clock(itw_reflector *r, const struct itw_clock *clock)
{
  struct itw_clock c;
  itw_status s;

  if (!r) return ITW_ERR_ARGUMENT;
  s = itwi_abi_in(&c, sizeof c, clock, sizeof c);
  return s == ITW_OK ? itwi_clock_in(&r->shard.clock, &c) : s;
}

/* -------- a session's life -------- */

itw_status itw_reflector_add(itw_reflector *r, itw_id *out, const struct itw_session *session, uint64_t user,
                             itw_mono now)
{
  (void)now; /* nothing ends a session that wasn't started but its connection, which is control's to watch */
  return r ? itwi_shard_add(&r->shard, out, session, user, ITWI_AS_REFLECTOR) : ITW_ERR_ARGUMENT;
}

itw_status itw_reflector_start(itw_reflector *r, itw_id id, itw_mono now)
{
  struct itwi_slot *slot = r ? itwi_shard_slot(&r->shard, id) : NULL;

  if (!slot) return r ? ITW_ERR_STALE : ITW_ERR_ARGUMENT;
  if (slot->state != ITWI_SLOT_ADDED) return ITW_ERR_STATE;
  slot->state = ITWI_SLOT_RUNNING;
  slot->until = slot->flags & ITWI_LIGHT ? ITW_NEVER : itwi_later(now, r->refwait);
  if (slot->until != ITW_NEVER) itwi_alarm_set(&r->alarms, itwi_slot_index(&r->shard, slot), slot->until);
  return ITW_OK;
}

itw_status itw_reflector_stop(itw_reflector *r, itw_id id, itw_mono now)
{
  struct itwi_slot *slot = r ? itwi_shard_slot(&r->shard, id) : NULL;

  if (!slot) return r ? ITW_ERR_STALE : ITW_ERR_ARGUMENT;
  if (slot->state > ITWI_SLOT_RUNNING) return ITW_OK;
  slot->until = slot->state == ITWI_SLOT_RUNNING ? itwi_later(now, itwi_span_ns(slot->timeout)) : now;
  slot->state = ITWI_SLOT_STOPPING;
  itwi_alarm_set(&r->alarms, itwi_slot_index(&r->shard, slot), slot->until);
  return ITW_OK;
}

itw_status itw_reflector_remove(itw_reflector *r, itw_id id)
{
  struct itwi_slot *slot = r ? itwi_shard_slot(&r->shard, id) : NULL;
  uint32_t at;

  if (!slot) return r ? ITW_ERR_STALE : ITW_ERR_ARGUMENT;
  at = itwi_slot_index(&r->shard, slot);
  itwi_alarm_clear(&r->alarms, at);
  itwi_shard_remove(&r->shard, at);
  return ITW_OK;
}

itw_mono itw_reflector_deadline(const itw_reflector *r) { return r ? itwi_alarm_first(&r->alarms) : ITW_NEVER; }

itw_status itw_reflector_ended(itw_reflector *r, itw_id *out, uint64_t *user, itw_status *why, itw_mono now)
{
  if (!r || !out || !user || !why) return ITW_ERR_ARGUMENT;
  while (itwi_alarm_first(&r->alarms) <= now && r->alarms.n) {
    const uint32_t at = r->alarms.who[0];
    struct itwi_slot *slot = &r->shard.slots[at];
    if (slot->until > now) {
      itwi_alarm_set(&r->alarms, at, slot->until);
      continue;
    }
    itwi_alarm_clear(&r->alarms, at);
    *out = itwi_slot_id(&r->shard, at);
    *user = slot->user;
    *why = slot->state == ITWI_SLOT_RUNNING ? ITW_ERR_TIMEOUT : ITW_OK;
    slot->state = ITWI_SLOT_ENDED;
    return ITW_OK;
  }
  return ITW_EMPTY;
}

itw_status itw_reflector_counts(const itw_reflector *r, itw_id id, struct itw_counts *out)
{
  return r ? itwi_shard_counts(&r->shard, id, ITWI_AS_REFLECTOR, out) : ITW_ERR_ARGUMENT;
}

/* -------- take: from request to reply, but for the timestamp -------- */

/* Packets of a session that doesn't answer now; cheaper than their cryptography, so it comes first. */
static itw_status check_state(itw_reflector *r, struct itwi_slot *slot, itw_mono now)
{
  struct itw_counts *sum = &r->shard.sum;

  if (slot->state == ITWI_SLOT_ADDED) return itwi_count(&slot->early, &sum->early, ITW_ERR_NOT_STARTED);
  if (slot->state == ITWI_SLOT_ENDED || now >= slot->until) return itwi_count(&slot->late, &sum->late, ITW_ERR_LATE);
  return ITW_OK;
}

/* The reply is as long as what came, so that both directions carry the same (RFC 5357 §4.2.1), but at least its header.
   One longer than announced is answered as far as there is room. */
static itw_status reply_length(const struct itwi_slot *slot, const struct itw_packet *item, uint32_t *len)
{
  const uint32_t least = itwi_reflector_header(slot), announced = itwi_sender_header(slot) + slot->padding;

  *len = item->len > least ? item->len : least;
  if (item->cap >= *len) return ITW_OK;
  *len = item->cap;
  return item->cap >= least && item->cap >= announced ? ITW_OK : ITW_ERR_TOO_SMALL;
}

/* The sender's header in plaintext; the packet's octets stay as they came. */
static itw_status open_packet(itw_reflector *r, struct itwi_slot *slot, uint8_t head[HEAD], const uint8_t *p)
{
  struct itwi_seal *seal;
  itw_status s;

  if (slot->mode == ITW_MODE_OPEN) {
    memcpy(head, p, ITW_SENDER_OPEN);
    return ITW_OK;
  }
  s = itwi_shard_seal(&r->shard, slot, ITWI_UNSEALS, &seal);
  if (s != ITW_OK) return s;
  if (slot->mode == ITW_MODE_ENC) return itwi_unseal_packet(seal, head, p, 32, 32);
  memcpy(head + 16, p + 16, 16);
  return itwi_unseal_packet(seal, head, p, 16, 32);
}

static itw_status read_packet(itw_reflector *r, struct itwi_slot *slot, struct itw_sender_packet *out, const uint8_t *p)
{
  struct itw_counts *sum = &r->shard.sum;
  uint8_t head[HEAD];
  itw_status s = open_packet(r, slot, head, p);

  if (s == ITW_ERR_HMAC) return itwi_count(&slot->auth_failures, &sum->auth_failures, s);
  if (s == ITW_OK) s = itw_sender_packet_read(out, itwi_is_secure(slot), head, itwi_is_secure(slot) ? HEAD : ITW_SENDER_OPEN);
  if (s == ITW_OK && !(out->error & 0xff)) return itwi_count(&slot->malformed, &sum->malformed, ITW_ERR_MULTIPLIER);
  return s;
}

/* The sender's own padding moves behind the longer header; its end is cut off (RFC 5357 §4.2.1). What a short request
   doesn't fill is nothing but header. */
static itw_status write_reply(itw_reflector *r, struct itwi_slot *slot, const struct itw_sender_packet *in,
                              const struct itw_packet *item, uint8_t *p, uint32_t seq, uint32_t len)
{
  const uint32_t least = itwi_reflector_header(slot);
  const struct itw_reflector_packet reply = {
      .seq = seq,
      .receive_time = slot->flags & ITWI_PTP ? itw_ptp_from_ntp(item->received, r->shard.clock.tai_utc) : item->received,
      .sender_seq = in->seq,
      .sender_time = in->time,
      .sender_error = in->error,
      .sender_ttl = item->ttl,
      .sender_dscp_ecn = slot->flags & ITWI_DSCP_ECN ? item->tos : 0,
  };
  struct itwi_seal *seal;
  itw_status s;

  memmove(p + least, p + itwi_sender_header(slot), len - least);
  s = itw_reflector_packet_write(p, least, itwi_reply_form(slot), &reply);
  if (s != ITW_OK || slot->mode != ITW_MODE_AUTH) return s;
  s = itwi_shard_seal(&r->shard, slot, ITWI_SEALS, &seal);
  return s == ITW_OK ? itwi_seal_packet(seal, p, 16, 96) : s;
}

static void fill_item(struct itw_packet *item, const struct itwi_slot *slot, uint32_t seq, uint32_t len)
{
  item->seq = seq;
  item->len = len;
  item->ttl = 255;
  item->tos = (uint8_t)(slot->dscp << 2);
  item->stamp_off = slot->mode == ITW_MODE_OPEN ? 4 : slot->mode == ITW_MODE_AUTH ? 16 : 0;
}

/* The reply's number is given here, because authenticated mode seals it here: a reply that never leaves is one lost. */
static itw_status answer(itw_reflector *r, struct itwi_slot *slot, uint8_t *p, struct itw_packet *item, itw_mono now)
{
  struct itw_counts *sum = &r->shard.sum;
  const uint32_t came = item->len;
  struct itw_sender_packet in;
  uint32_t seq, len;
  itw_status s = check_state(r, slot, now);

  if (s != ITW_OK) return s;
  if (came < itwi_sender_header(slot)) return itwi_count(&slot->malformed, &sum->malformed, ITW_ERR_SHORT);
  s = reply_length(slot, item, &len);
  if (s == ITW_OK) s = read_packet(r, slot, &in, p);
  if (s != ITW_OK) return s;
  seq = slot->flags & ITWI_LIGHT ? in.seq : slot->seq;
  s = write_reply(r, slot, &in, item, p, seq, len);
  if (s != ITW_OK) return s;

  fill_item(item, slot, seq, len);
  slot->seq++;
  if (slot->state == ITWI_SLOT_RUNNING && !(slot->flags & ITWI_LIGHT)) slot->until = itwi_later(now, r->refwait);
  slot->octets += came;
  sum->octets += came;
  return itwi_count(&slot->received, &sum->received, ITW_OK);
}

static itw_status take_one(itw_reflector *r, uint8_t *base, size_t base_len, struct itw_packet *item, itw_mono now)
{
  struct itwi_slot *slot = itwi_shard_slot(&r->shard, item->id);
  const uint32_t most = item->len > item->cap ? item->len : item->cap;

  if (!itwi_item_known(item) || !itwi_fits(base_len, item->off, most)) return ITW_ERR_ARGUMENT;
  if (!slot && item->id) return ITW_ERR_STALE;
  if (!slot) {
    r->shard.sum.unknown++;
    return ITW_ERR_NO_SESSION;
  }
  item->user = slot->user;
  return answer(r, slot, base + item->off, item, now);
}

itw_status itw_reflector_take(itw_reflector *r, uint8_t *base, size_t base_len, struct itw_packet *items, size_t stride,
                              size_t n, itw_mono now)
{
  if (!r || !itwi_burst_ok(base, items, stride, n)) return ITW_ERR_ARGUMENT;
  for (size_t done = 0; done < n; done += ITWI_CHUNK) {
    struct itw_packet *some = itwi_item(items, stride, done);
    const size_t m = n - done < ITWI_CHUNK ? n - done : ITWI_CHUNK;
    itwi_shard_find(&r->shard, some, stride, m);
    for (size_t i = 0; i < m; i++) {
      struct itw_packet *item = itwi_item(some, stride, i);
      itwi_shard_ahead(&r->shard, some, stride, m, i);
      item->status = itwi_shard_status(&r->shard, take_one(r, base, base_len, item, now));
    }
  }
  itwi_shard_leave(&r->shard);
  return ITW_OK;
}

/* -------- reply: the timestamp, and what covers it -------- */

static itw_status reply_one(itw_reflector *r, uint8_t *base, size_t base_len, const struct itw_packet *item)
{
  struct itwi_slot *slot = itwi_shard_slot(&r->shard, item->id);
  struct itwi_seal *seal;
  uint8_t *p;
  itw_status s = ITW_OK;

  if (!slot) return ITW_ERR_STALE;
  if (!itwi_fits(base_len, item->off, item->len) || item->len < itwi_reflector_header(slot)) return ITW_ERR_ARGUMENT;
  p = base + item->off;
  itwi_stamp(p + itwi_stamp_at(slot), item, &r->shard.clock, slot->flags & ITWI_PTP);
  if (slot->mode == ITW_MODE_ENC) {
    s = itwi_shard_seal(&r->shard, slot, ITWI_SEALS, &seal);
    if (s == ITW_OK) s = itwi_seal_packet(seal, p, 96, 96);
  }
  return s == ITW_OK ? itwi_count(&slot->sent, &r->shard.sum.sent, s) : s;
}

itw_status itw_reflector_reply(itw_reflector *r, uint8_t *base, size_t base_len, struct itw_packet *items,
                               size_t stride, size_t n)
{
  if (!r || !itwi_burst_ok(base, items, stride, n)) return ITW_ERR_ARGUMENT;
  for (size_t i = 0; i < n; i++) {
    struct itw_packet *item = itwi_item(items, stride, i);
    if (item->status == ITW_OK) item->status = itwi_shard_status(&r->shard, reply_one(r, base, base_len, item));
  }
  itwi_shard_leave(&r->shard);
  return ITW_OK;
}
