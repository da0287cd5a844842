/* SPDX-License-Identifier: BSD-3-Clause */
#include "sender.h"
#include "abi.h"
#include "seal.h"
#include "secret.h"
#include <ipsectwamp/wire.h>

_Static_assert(offsetof(struct itw_sender, shard) == 0, "a shard that knows more");
_Static_assert(sizeof(struct itw_reply) == 88, "no padding: the same on every ABI");

enum { BODY = 96 }; /* the reflector's header up to its HMAC */

static uint32_t extra(const struct itw_shard_config *c)
{
  return itwi_plans_octets(c) + c->window / 8 + (uint32_t)sizeof(uint32_t); /* plans, bits, octets */
}

static const struct itwi_role role = {sizeof(struct itw_sender), extra};

size_t itw_sender_size(const struct itw_shard_config *config) { return itwi_shard_size(config, &role); }

static itw_status make(itw_sender **out, void *memory, size_t len, const struct itw_shard_config *config)
{
  struct itw_shard_config c;
  struct itwi_shard *shard;
  itw_sender *x;
  uint8_t *arrays;
  itw_status s;

  if (!out) return ITW_ERR_ARGUMENT;
  *out = NULL;
  s = itwi_shard_make(&shard, &arrays, &c, &role, memory, len, config);
  if (s != ITW_OK) return s;
  x = (itw_sender *)(void *)shard;
  x->bits = (uint32_t *)(void *)itwi_plans_cut(&x->plans, arrays, &c);
  x->window = c.window;
  x->octets = x->bits + (size_t)c.sessions * (c.window / 32);
  s = itwi_plans_open(&x->plans, &shard->backend);
  if (s == ITW_OK)
    *out = x;
  else
    itwi_shard_free(shard);
  return s;
}

itw_status itw_sender_init(itw_sender **out, void *memory, size_t len, const struct itw_shard_config *config)
{
  return memory ? make(out, memory, len, config) : ITW_ERR_ARGUMENT;
}

itw_status itw_sender_new(itw_sender **out, const struct itw_shard_config *config)
{
  return make(out, NULL, 0, config);
}

void itw_sender_free(itw_sender *x)
{
  if (!x) return;
  itwi_plans_close(&x->plans);
  itwi_shard_free(&x->shard);
}

itw_status itw_sender_clock(itw_sender *x, const struct itw_clock *clock)
{
  struct itw_clock c;
  itw_status s;

  if (!x) return ITW_ERR_ARGUMENT;
  s = itwi_abi_in(&c, sizeof c, clock, sizeof c);
  return s == ITW_OK ? itwi_clock_in(&x->shard.clock, &c) : s;
}

static uint32_t *bits_of(const itw_sender *x, uint32_t at) { return x->bits + (size_t)at * (x->window / 32); }

/* Server octets need room among those that are reflected. */
static void keep_octets(itw_sender *x, const struct itwi_slot *slot, const struct itw_session *session)
{
  struct itw_session_info i;

  ITW_INIT(i);
  if (itw_session_info(session, &i) != ITW_OK || i.reflect < sizeof i.server_octets) i.server_octets[0] = i.server_octets[1] = 0;
  x->octets[itwi_slot_index(&x->shard, slot)] = itwi_load16(i.server_octets);
}

itw_status itw_sender_add(itw_sender *x, itw_id *out, const struct itw_session *session, uint64_t user)
{
  struct itwi_slot *slot;
  itw_status s;

  if (!x || !out) return ITW_ERR_ARGUMENT;
  s = itwi_shard_add(&x->shard, out, session, user, ITWI_AS_SENDER);
  if (s != ITW_OK) return s;
  slot = itwi_shard_slot(&x->shard, *out);
  slot->state = ITWI_SLOT_RUNNING;
  slot->window = (struct itwi_window){UINT32_MAX, 0};
  memset(bits_of(x, itwi_slot_index(&x->shard, slot)), 0, x->window / 8);
  keep_octets(x, slot, session);
  return ITW_OK;
}

itw_status itw_sender_remove(itw_sender *x, itw_id id)
{
  struct itwi_slot *slot = x ? itwi_shard_slot(&x->shard, id) : NULL;

  if (!slot) return x ? ITW_ERR_STALE : ITW_ERR_ARGUMENT;
  if (slot->flags & ITWI_ONE_WAY) itwi_plan_forget(&x->plans, itwi_slot_index(&x->shard, slot));
  itwi_shard_remove(&x->shard, itwi_slot_index(&x->shard, slot));
  return ITW_OK;
}

itw_status itw_sender_counts(const itw_sender *x, itw_id id, struct itw_counts *out)
{
  return x ? itwi_shard_counts(&x->shard, id, ITWI_AS_SENDER, out) : ITW_ERR_ARGUMENT;
}

/* -------- write: all but the timestamp -------- */

/* Short paddings are cut from a stock: a call into the crypto library costs more than the octets. */
static itw_status pad_random(itw_sender *x, uint8_t *p, uint32_t n)
{
  itw_status s = ITW_OK;

  if (n > x->spare) itwi_shard_enter(&x->shard);
  if (n > sizeof x->pad) return itwi_random_fill(&x->shard.random, p, n);
  if (n > x->spare) {
    s = itwi_random_fill(&x->shard.random, x->pad, sizeof x->pad);
    x->spare = s == ITW_OK ? (uint32_t)sizeof x->pad : 0;
  }
  if (s != ITW_OK) return s;
  memcpy(p, x->pad + sizeof x->pad - x->spare, n);
  x->spare -= n;
  return ITW_OK;
}

static itw_status fill(itw_sender *x, const struct itwi_slot *slot, uint8_t *p)
{
  if (slot->padding == 0) return ITW_OK;
  if (!(slot->flags & ITWI_ZERO_PADDING)) return pad_random(x, p, slot->padding);
  memset(p, 0, slot->padding);
  return ITW_OK;
}

/* Octets that the Server wants back, in the order of the wire; 0: none. */
static uint32_t server_octets(const itw_sender *x, const struct itwi_slot *slot)
{
  return slot->flags & ITWI_REFLECTS ? x->octets[itwi_slot_index(&x->shard, slot)] : 0;
}

/* What stands behind the header: MBZ of a symmetrical packet (RFC 6038 §5.1.4), then padding, which begins with the Server
   octets (§5.1.2). */
static itw_status pad(itw_sender *x, const struct itwi_slot *slot, uint8_t *p)
{
  const uint32_t bare = itwi_is_secure(slot) ? ITW_SENDER_SECURE : ITW_SENDER_OPEN, whole = itwi_sender_header(slot);
  const uint32_t octets = server_octets(x, slot);
  itw_status s = fill(x, slot, p + whole);

  memset(p + bare, 0, whole - bare);
  if (octets) itwi_store16(p + whole, (uint16_t)octets);
  return s;
}

static itw_status build(itw_sender *x, struct itwi_slot *slot, uint8_t *p, uint32_t len)
{
  const struct itw_sender_packet packet = {.seq = slot->seq};
  struct itwi_seal *seal;
  itw_status s = itw_sender_packet_write(p, len, itwi_is_secure(slot), &packet);

  if (s == ITW_OK) s = pad(x, slot, p);
  if (s != ITW_OK || slot->mode != ITW_MODE_AUTH) return s;
  s = itwi_shard_seal(&x->shard, slot, ITWI_SEALS, &seal);
  return s == ITW_OK ? itwi_seal_packet(seal, p, 16, 32) : s;
}

static void fill_item(struct itw_packet *item, const struct itwi_slot *slot, uint32_t len)
{
  item->user = slot->user;
  item->seq = slot->seq;
  item->len = len;
  item->ttl = 255;
  item->tos = (uint8_t)(slot->dscp << 2);
  item->stamp_off = slot->mode == ITW_MODE_OPEN ? 4 : slot->mode == ITW_MODE_AUTH ? 16 : 0;
  item->remote = slot->peer.remote;
  item->local = slot->peer.local;
}

static itw_status write_one(itw_sender *x, uint8_t *base, size_t base_len, struct itw_packet *item)
{
  struct itwi_slot *slot = itwi_shard_slot(&x->shard, item->id);
  uint32_t len;
  itw_status s;

  if (!itwi_item_known(item) || !itwi_fits(base_len, item->off, item->cap)) return ITW_ERR_ARGUMENT;
  if (!slot) return ITW_ERR_STALE;
  len = itwi_sender_header(slot) + slot->padding;
  s = slot->flags & ITWI_ONE_WAY ? itwi_sender_number(x, slot, item) : ITW_OK;
  if (s == ITW_OK && item->cap < len) s = ITW_ERR_TOO_SMALL;
  if (s != ITW_OK) return s;
  s = build(x, slot, base + item->off, len);
  if (s != ITW_OK) return s;
  fill_item(item, slot, len);
  if (++slot->seq == 0) slot->flags |= ITWI_WRAPPED;
  return ITW_OK;
}

itw_status itw_sender_write(itw_sender *x, uint8_t *base, size_t base_len, struct itw_packet *items, size_t stride,
                            size_t n)
{
  if (!x || !itwi_burst_ok(base, items, stride, n)) return ITW_ERR_ARGUMENT;
  for (size_t done = 0; done < n; done += ITWI_CHUNK) {
    struct itw_packet *some = itwi_item(items, stride, done);
    const size_t m = n - done < ITWI_CHUNK ? n - done : ITWI_CHUNK;
    itwi_shard_fetch(&x->shard, some, stride, m);
    for (size_t i = 0; i < m; i++) {
      struct itw_packet *item = itwi_item(some, stride, i);
      itwi_shard_ahead(&x->shard, some, stride, m, i);
      item->status = itwi_shard_status(&x->shard, write_one(x, base, base_len, item));
    }
  }
  itwi_shard_leave(&x->shard);
  return ITW_OK;
}

/* -------- stamp: the timestamp, and what covers it -------- */

static itw_status stamp_one(itw_sender *x, uint8_t *base, size_t base_len, const struct itw_packet *item)
{
  struct itwi_slot *slot = itwi_shard_slot(&x->shard, item->id);
  struct itwi_seal *seal;
  uint8_t *p;
  itw_status s = ITW_OK;

  if (!slot) return ITW_ERR_STALE;
  if (!itwi_fits(base_len, item->off, item->len) || item->len < itwi_sender_header(slot)) return ITW_ERR_ARGUMENT;
  p = base + item->off;
  itwi_stamp(p + itwi_stamp_at(slot), item, &x->shard.clock, slot->flags & ITWI_SENDS_PTP);
  if (slot->mode == ITW_MODE_ENC) {
    s = itwi_shard_seal(&x->shard, slot, ITWI_SEALS, &seal);
    if (s == ITW_OK) s = itwi_seal_packet(seal, p, 32, 32);
  }
  return s == ITW_OK ? itwi_count(&slot->sent, &x->shard.sum.sent, s) : s;
}

itw_status itw_sender_stamp(itw_sender *x, uint8_t *base, size_t base_len, struct itw_packet *items, size_t stride,
                            size_t n)
{
  if (!x || !itwi_burst_ok(base, items, stride, n)) return ITW_ERR_ARGUMENT;
  for (size_t i = 0; i < n; i++) {
    struct itw_packet *item = itwi_item(items, stride, i);
    if (item->status == ITW_OK) item->status = itwi_shard_status(&x->shard, stamp_one(x, base, base_len, item));
  }
  itwi_shard_leave(&x->shard);
  return ITW_OK;
}

/* -------- read: a reply -------- */

/* The reflector's header in plaintext; the packet's octets stay as they came. */
static itw_status open_packet(itw_sender *x, struct itwi_slot *slot, struct itw_reflector_packet *out, const uint8_t *p)
{
  struct itwi_seal *seal;
  uint8_t body[BODY];
  itw_status s;

  if (!itwi_is_secure(slot)) return itw_reflector_packet_read(out, itwi_reply_form(slot), p, itwi_reflector_header(slot));
  s = itwi_shard_seal(&x->shard, slot, ITWI_UNSEALS, &seal);
  if (s != ITW_OK) return s;
  if (slot->mode == ITW_MODE_AUTH) memcpy(body + 16, p + 16, BODY - 16);
  s = itwi_unseal_packet(seal, body, p, slot->mode == ITW_MODE_AUTH ? 16 : 96, 96);
  return s == ITW_OK ? itw_reflector_packet_read(out, ITW_PACKET_SECURE, body, sizeof body) : s;
}

/* Multiplier 0 is corrupt (RFC 4656 §4.1.2). The copy of our own estimate isn't looked at: a reflector that leaves it
   zero spoils nothing. */
static itw_status read_packet(itw_sender *x, struct itwi_slot *slot, struct itw_reflector_packet *out, const uint8_t *p)
{
  struct itw_counts *sum = &x->shard.sum;
  itw_status s = open_packet(x, slot, out, p);

  if (s == ITW_ERR_HMAC) return itwi_count(&slot->auth_failures, &sum->auth_failures, s);
  if (s != ITW_OK) return s;
  if (!(out->error & 0xff)) return itwi_count(&slot->malformed, &sum->malformed, ITW_ERR_MULTIPLIER);
  if (!(slot->flags & ITWI_WRAPPED) && out->sender_seq >= slot->seq)
    return itwi_count(&slot->malformed, &sum->malformed, ITW_ERR_SEQUENCE);
  return ITW_OK;
}

/* The reply came after Timeout: it counts as lost (RFC 5357 §4.1). t1 may be anything in authenticated mode, where nothing
   covers it: modular, and what seems to come from the future isn't late. */
static bool is_late(const struct itwi_slot *slot, itw_ntp t1, itw_ntp t4)
{
  const uint64_t took = t4 - t1;
  return !(took >> 63) && took > slot->timeout;
}

/* A duplicate is one even when it is late, and a late reply has been seen. */
static uint32_t classify(itw_sender *x, struct itwi_slot *slot, uint32_t seq, itw_ntp t1, itw_ntp t4)
{
  struct itw_counts *sum = &x->shard.sum;
  uint32_t kind = itwi_window_mark(&slot->window, bits_of(x, itwi_slot_index(&x->shard, slot)), x->window, seq, slot->seq);

  if (kind != ITW_REPLY_DUPLICATE && is_late(slot, t1, t4)) kind = ITW_REPLY_LATE;
  if (kind == ITW_REPLY_DUPLICATE) (void)itwi_count(&slot->duplicates, &sum->duplicates, ITW_OK);
  if (kind == ITW_REPLY_REORDERED) (void)itwi_count(&slot->reordered, &sum->reordered, ITW_OK);
  if (kind == ITW_REPLY_LATE) (void)itwi_count(&slot->late, &sum->late, ITW_OK);
  return kind;
}

/* What the features add. */
static uint32_t reply_flags(const itw_sender *x, const struct itwi_slot *slot, const struct itw_reflector_packet *p,
                            const uint8_t *octets, uint32_t len)
{
  const bool ptp = slot->flags & ITWI_PTP;
  const uint32_t wanted = server_octets(x, slot), header = itwi_reflector_header(slot);
  uint32_t flags = 0;

  if (ptp && p->sender_error & ITWI_Z) flags |= ITW_REPLY_PTP_SENT;
  if (ptp && p->error & ITWI_Z) flags |= ITW_REPLY_PTP_THERE;
  if (slot->flags & ITWI_DSCP_ECN) flags |= ITW_REPLY_TOS;
  if (wanted && len >= header + 2 && itwi_load16(octets + header) == wanted) flags |= ITW_REPLY_REFLECTED;
  return flags;
}

/* Differences of differences stay within 64 bits: each is below 2^31 s, 2^61 ns. */
static void fill_reply(struct itw_reply *r, const itw_sender *x, const struct itwi_slot *slot,
                       const struct itw_reflector_packet *p, const struct itw_packet *item)
{
  const struct itwi_clock *clock = &x->shard.clock;

  r->seq = p->sender_seq;
  r->reflector_seq = p->seq;
  r->t1 = itwi_read_stamp(slot, p->sender_time, p->sender_error, clock);
  r->t2 = itwi_read_stamp(slot, p->receive_time, p->error, clock);
  r->t3 = itwi_read_stamp(slot, p->time, p->error, clock);
  r->t4 = item->received;
  r->e1 = p->sender_error;
  r->e2 = p->error;
  r->ttl_there = p->sender_ttl;
  r->ttl_back = item->ttl;
  r->tos_back = item->tos;
  r->tos_there = slot->flags & ITWI_DSCP_ECN ? p->sender_dscp_ecn : 0;
  r->there_ns = itw_ntp_diff_ns(r->t2, r->t1);
  r->back_ns = itw_ntp_diff_ns(r->t4, r->t3);
  r->rtt_ns = itw_ntp_diff_ns(r->t4, r->t1) - itw_ntp_diff_ns(r->t3, r->t2);
}

static itw_status take_reply(itw_sender *x, struct itwi_slot *slot, struct itw_reply *out, const uint8_t *p,
                             struct itw_packet *item)
{
  struct itw_counts *sum = &x->shard.sum;
  struct itw_reflector_packet packet;
  itw_status s;

  if (item->len < itwi_reflector_header(slot)) return itwi_count(&slot->malformed, &sum->malformed, ITW_ERR_SHORT);
  s = read_packet(x, slot, &packet, p);
  if (s != ITW_OK) return s;
  item->seq = packet.sender_seq;
  fill_reply(out, x, slot, &packet, item);
  out->kind = classify(x, slot, packet.sender_seq, out->t1, item->received);
  if (slot->flags & (ITWI_PTP | ITWI_DSCP_ECN | ITWI_REFLECTS)) out->flags = reply_flags(x, slot, &packet, p, item->len);
  slot->octets += item->len;
  sum->octets += item->len;
  return itwi_count(&slot->received, &sum->received, ITW_OK);
}

static itw_status read_one(itw_sender *x, struct itw_reply *out, const uint8_t *base, size_t base_len,
                           struct itw_packet *item)
{
  struct itwi_slot *slot = itwi_shard_slot(&x->shard, item->id);

  if (!itwi_item_known(item) || !itwi_fits(base_len, item->off, item->len)) return ITW_ERR_ARGUMENT;
  if (!slot && item->id) return ITW_ERR_STALE;
  if (!slot || (slot->flags & ITWI_ONE_WAY)) { /* nothing comes back one way */
    x->shard.sum.unknown++;
    return ITW_ERR_NO_SESSION;
  }
  item->user = slot->user;
  return take_reply(x, slot, out, base + item->off, item);
}

itw_status itw_sender_read(itw_sender *x, const uint8_t *base, size_t base_len, struct itw_packet *items, size_t stride,
                           struct itw_reply *replies, size_t reply_stride, size_t n)
{
  if (!x || !itwi_burst_ok(base, items, stride, n) || reply_stride < sizeof *replies || (n && !replies))
    return ITW_ERR_ARGUMENT;
  for (size_t done = 0; done < n; done += ITWI_CHUNK) {
    struct itw_packet *some = itwi_item(items, stride, done);
    const size_t m = n - done < ITWI_CHUNK ? n - done : ITWI_CHUNK;
    itwi_shard_find(&x->shard, some, stride, m);
    for (size_t i = 0; i < m; i++) {
      struct itw_packet *item = itwi_item(some, stride, i);
      struct itw_reply r;
      itwi_shard_ahead(&x->shard, some, stride, m, i);
      ITW_INIT(r);
      item->status = itwi_shard_status(&x->shard, read_one(x, &r, base, base_len, item));
      if (item->status == ITW_OK) memcpy((uint8_t *)replies + (done + i) * reply_stride, &r, sizeof r);
    }
  }
  itwi_shard_leave(&x->shard);
  return ITW_OK;
}
