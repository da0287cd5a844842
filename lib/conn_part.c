/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages that are longer than a buffer: lists of items, taken from `in` and given to `out` piece by piece. */

#include "conn.h"
#include "octets.h"
#include "secret.h"

static uint32_t size_of(uint32_t kind)
{
  if (kind == ITW_DATA_RECORDS) return ITW_RECORD_LEN;
  return kind == ITW_DATA_SKIPS ? (uint32_t)ITW_SKIP_LEN : (uint32_t)ITW_SLOT_LEN; /* SIDs are as long as slots */
}

/* ---- taking ---- */

uint32_t itwi_part_ready(const struct itw_conn *c)
{
  const struct itwi_part *t = &c->taking;
  uint32_t n = t->kind && !t->sink && !c->event.kind ? (t->end - t->at) / size_of(t->kind) : 0;
  return n < t->left ? n : t->left;
}

static void read_on(struct itw_conn *c)
{
  struct itwi_part *t = &c->taking;
  uint32_t have = t->end - t->at, room = (c->buffer - have) & ~15u;
  memmove(c->in, c->in + t->at, have);
  t->at = 0;
  t->end = have;
  c->in_have = have;
  c->in_need = have + (t->octets < room ? (uint32_t)t->octets : room);
  itwi_conn_timer(c, ITWI_T_MESSAGE, c->message_ns);
}

static void finish(struct itw_conn *c)
{
  void (*next)(struct itw_conn *) = c->taking.next;
  memset(&c->taking, 0, sizeof c->taking);
  next(c);
}

/* Whatever can be done without the caller and without more octets. */
static void take_on(struct itw_conn *c)
{
  struct itwi_part *t = &c->taking;
  while (t->sink && t->left && t->end - t->at >= size_of(t->kind)) {
    uint32_t at = t->at;
    t->at += size_of(t->kind);
    t->left--;
    t->sink(c, c->in + at);
    if (c->row->state == ITWI_ENDED) return;
    t->index++;
  }
  if (t->left && t->end - t->at >= size_of(t->kind)) {
    c->in_have = c->in_need = t->end; /* the caller's turn */
  } else if (t->octets) {
    read_on(c);
  } else if (t->left) {
    itwi_conn_fail(c, ITW_ERR_INTERNAL, 0);
  } else {
    finish(c);
  }
}

void itwi_part_take(struct itw_conn *c, uint32_t kind, uint32_t left, uint32_t at, uint32_t end, uint64_t octets,
                    void (*next)(struct itw_conn *))
{
  uint32_t slot = c->taking.slot, bound = c->taking.bound;
  void (*sink)(struct itw_conn *, const uint8_t *) = c->taking.sink;
  c->taking = (struct itwi_part){.kind = kind, .slot = slot, .left = left, .at = at, .end = end, .octets = octets,
                                 .bound = bound, .sink = sink, .next = next};
  itwi_conn_state(c, ITWI_PART);
  take_on(c);
}

static void to_hmac(struct itw_conn *c)
{
  itwi_conn_state(c, ITWI_PART_HMAC);
  itwi_conn_timer(c, ITWI_T_MESSAGE, c->message_ns);
}

void itwi_part_take_sealed(struct itw_conn *c, uint32_t kind, uint32_t left, void (*next)(struct itw_conn *))
{
  c->sealed_next = next;
  itwi_part_take(c, kind, left, 0, 0, ((uint64_t)left * size_of(kind) + 15) & ~UINT64_C(15), to_hmac);
}

void itwi_part_on_octets(struct itw_conn *c)
{
  struct itwi_part *t = &c->taking;
  uint32_t n = c->in_have - t->end;
  if (itwi_stream_body(&c->rx, c->in + t->end, n, ITWI_DECRYPT) != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
    return;
  }
  t->octets -= n;
  t->end = c->in_have;
  take_on(c);
}

void itwi_part_on_hmac(struct itw_conn *c)
{
  if (itwi_conn_hmac(c, c->in)) c->sealed_next(c);
}

/* One item of what stands ready; false: it is not what the standard allows, and the connection has failed. */
static bool take_one(struct itw_conn *c, void *out)
{
  struct itwi_part *t = &c->taking;
  const uint8_t *octets = c->in + t->at;
  uint32_t size = size_of(t->kind);
  struct itw_skip skip;
  itw_status st = ITW_OK;
  if (t->kind == ITW_DATA_SLOTS && out) st = itw_slot_read(out, octets, size);
  if (t->kind == ITW_DATA_RECORDS && out) st = itw_record_read(out, octets, size);
  if (t->kind == ITW_DATA_SKIPS) {
    st = itw_skip_read(&skip, octets, size);
    if (skip.first > skip.last || skip.first < t->lowest || skip.last >= t->bound) st = ITW_ERR_SKIPS;
    t->lowest = (uint64_t)skip.last + 1;
    if (st == ITW_OK && out) memcpy(out, &skip, sizeof skip);
  }
  t->at += size;
  t->left--;
  if (st != ITW_OK) itwi_conn_fail(c, st, 0);
  return st == ITW_OK;
}

static itw_status take(struct itw_conn *c, struct itw_poll *p, uint32_t kind, void *out, size_t item, size_t n, size_t *got,
                       itw_mono now)
{
  size_t i = 0;
  if (!c || !got) return ITW_ERR_ARGUMENT;
  *got = 0;
  itwi_conn_enter(c, now);
  if (!itwi_part_ready(c)) return itwi_conn_leave(c, p, ITW_EMPTY);
  if (c->taking.kind != kind) return itwi_conn_leave(c, p, ITW_ERR_STATE);
  for (; i < n && itwi_part_ready(c); i++)
    if (!take_one(c, out ? (uint8_t *)out + i * item : NULL)) break;
  *got = i;
  if (c->row->state == ITWI_PART && !itwi_part_ready(c)) take_on(c);
  return itwi_conn_leave(c, p, ITW_OK);
}

itw_status itw_conn_take_slots(itw_conn *c, struct itw_poll *p, struct itw_slot *out, size_t n, size_t *got, itw_mono now)
{
  return take(c, p, ITW_DATA_SLOTS, out, sizeof *out, n, got, now);
}

itw_status itw_conn_take_skips(itw_conn *c, struct itw_poll *p, struct itw_skip *out, size_t n, size_t *got, itw_mono now)
{
  return take(c, p, ITW_DATA_SKIPS, out, sizeof *out, n, got, now);
}

itw_status itw_conn_take_records(itw_conn *c, struct itw_poll *p, struct itw_record *out, size_t n, size_t *got, itw_mono now)
{
  return take(c, p, ITW_DATA_RECORDS, out, sizeof *out, n, got, now);
}

/* ---- giving ---- */

enum { TAIL = 32 }; /* padding and HMAC always have room */

static uint32_t room(const struct itw_conn *c)
{
  uint32_t used = c->out_len + c->giving.raw + TAIL;
  return used < c->buffer ? c->buffer - used : 0;
}

uint32_t itwi_part_room(const struct itw_conn *c)
{
  const struct itwi_part *g = &c->giving;
  uint32_t n = g->kind && !c->event.kind ? room(c) / size_of(g->kind) : 0;
  return n < g->left ? n : g->left;
}

void itwi_part_put(struct itw_conn *c, const uint8_t *octets, size_t n)
{
  struct itwi_part *g = &c->giving;
  memcpy(c->out + c->out_len + g->raw, octets, n);
  g->raw += (uint32_t)n;
}

/* Whole blocks may leave. */
static bool encrypt(struct itw_conn *c)
{
  uint32_t whole = c->giving.raw & ~15u;
  if (!whole) return true;
  if (itwi_stream_body(&c->tx, c->out + c->out_len, whole, ITWI_ENCRYPT) != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
    return false;
  }
  c->out_len += whole;
  c->giving.raw -= whole;
  itwi_conn_timer(c, ITWI_T_WRITE, c->message_ns);
  return true;
}

void itwi_part_pad(struct itw_conn *c)
{
  static const uint8_t zeros[16];
  if (c->giving.raw & 15) itwi_part_put(c, zeros, 16 - (c->giving.raw & 15));
}

void itwi_part_seal(struct itw_conn *c)
{
  itwi_part_pad(c);
  if (!encrypt(c)) return;
  if (itwi_stream_seal(&c->tx, c->out + c->out_len, 0) == ITW_OK)
    c->out_len += 16;
  else
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
}

void itwi_part_give(struct itw_conn *c, uint32_t kind, uint32_t left, void (*next)(struct itw_conn *))
{
  struct itwi_part *g = &c->giving;
  g->kind = left ? kind : 0;
  g->left = left;
  g->lowest = 0;
  g->next = next;
}

void itwi_part_advance(struct itw_conn *c)
{
  struct itwi_part *g = &c->giving;
  while (g->next && !g->left && room(c) >= ITWI_PART_ROOM && c->row->state != ITWI_ENDED) {
    void (*next)(struct itw_conn *) = g->next;
    g->next = NULL;
    g->kind = 0;
    next(c);
  }
  if (c->row->state != ITWI_ENDED) (void)encrypt(c);
}

void itwi_part_sent(struct itw_conn *c)
{
  memmove(c->out, c->out + c->out_len, c->giving.raw);
  c->out_at = c->out_len = 0;
  itwi_conn_cancel(c, ITWI_T_WRITE);
}

/* One item as octets; ITW_ERR_ARGUMENT: it isn't one that may leave. */
static itw_status give_one(struct itw_conn *c, const void *in)
{
  struct itwi_part *g = &c->giving;
  uint8_t octets[ITW_RECORD_LEN];
  const struct itw_skip *skip = in;
  itw_status st;
  if (g->kind == ITW_DATA_SLOTS) {
    st = itw_slot_write(octets, sizeof octets, in);
  } else if (g->kind == ITW_DATA_RECORDS) {
    st = itw_record_write(octets, sizeof octets, in);
  } else {
    if (skip->first > skip->last || skip->first < g->lowest || skip->last >= g->bound) return ITW_ERR_ARGUMENT;
    st = itw_skip_write(octets, sizeof octets, skip);
    g->lowest = (uint64_t)skip->last + 1;
  }
  if (st != ITW_OK) return st;
  g->left--;
  itwi_part_put(c, octets, size_of(g->kind));
  return ITW_OK;
}

static itw_status give(struct itw_conn *c, struct itw_poll *p, uint32_t kind, const void *in, size_t item, size_t n, size_t *used,
                       itw_mono now)
{
  itw_status st = ITW_OK;
  size_t i = 0;
  if (!c || !used || (n && !in)) return ITW_ERR_ARGUMENT;
  *used = 0;
  itwi_conn_enter(c, now);
  if (c->row->state == ITWI_ENDED || c->giving.kind != kind) return itwi_conn_leave(c, p, ITW_ERR_STATE);
  if (n > c->giving.left) return itwi_conn_leave(c, p, ITW_ERR_ARGUMENT);
  for (; st == ITW_OK && i < n && itwi_part_room(c); i++) st = give_one(c, (const uint8_t *)in + i * item);
  *used = st == ITW_OK ? i : i - 1;
  return itwi_conn_leave(c, p, st);
}

itw_status itw_conn_give_slots(itw_conn *c, struct itw_poll *p, const struct itw_slot *in, size_t n, size_t *used, itw_mono now)
{
  return give(c, p, ITW_DATA_SLOTS, in, sizeof *in, n, used, now);
}

itw_status itw_conn_give_skips(itw_conn *c, struct itw_poll *p, const struct itw_skip *in, size_t n, size_t *used, itw_mono now)
{
  return give(c, p, ITW_DATA_SKIPS, in, sizeof *in, n, used, now);
}

itw_status itw_conn_give_records(itw_conn *c, struct itw_poll *p, const struct itw_record *in, size_t n, size_t *used, itw_mono now)
{
  return give(c, p, ITW_DATA_RECORDS, in, sizeof *in, n, used, now);
}
