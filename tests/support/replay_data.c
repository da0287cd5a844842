/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_agent.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- in the recording ---- */

/* The next section of a kind that still belongs to the same message, and to the same account in it. */
static const struct vec_section *next_item(const struct vec_section *s, const char *kind)
{
  while ((s = vec_next(s->vec, s, NULL))) {
    if (!strcmp(s->kind, kind)) return s;
    if (!strcmp(s->kind, "control") || !strcmp(s->kind, "session") || !strcmp(s->kind, "account")) return NULL;
  }
  return NULL;
}

const struct vec_section *replay_next_account(const struct vec_section *s)
{
  while ((s = vec_next(s->vec, s, NULL)) && strcmp(s->kind, "control") && strcmp(s->kind, "session"))
    if (!strcmp(s->kind, "account")) return s;
  return NULL;
}

static struct itw_slot read_slot(const struct vec_section *s)
{
  return (struct itw_slot){.type = (uint32_t)vec_u64(s, "type"), .parameter = vec_be64(s, "parameter")};
}

static struct itw_skip read_skip(const struct vec_section *s)
{
  return (struct itw_skip){(uint32_t)vec_u64(s, "first"), (uint32_t)vec_u64(s, "last")};
}

static struct itw_record read_record(const struct vec_section *s)
{
  return (struct itw_record){.seq = (uint32_t)vec_u64(s, "seq"), .send_error = (uint16_t)vec_u64(s, "send_error"),
                             .receive_error = (uint16_t)vec_u64(s, "receive_error"), .sent = vec_be64(s, "sent"),
                             .received = vec_be64(s, "received"), .ttl = (uint8_t)vec_u64(s, "ttl")};
}

/* All of a kind. */
#define READ_ALL(of, kind, read, out, n) \
  for (const struct vec_section *s_ = next_item(of, kind); s_; s_ = next_item(s_, kind)) { \
    if ((n) == REPLAY_ITEMS) abort(); \
    (out)[(n)++] = read(s_); \
  }

size_t replay_read_slots(const struct vec_section *of, struct itw_slot out[REPLAY_ITEMS])
{
  size_t n = 0;
  READ_ALL(of, "slot", read_slot, out, n)
  return n;
}

size_t replay_read_skips(const struct vec_section *of, struct itw_skip out[REPLAY_ITEMS])
{
  size_t n = 0;
  READ_ALL(of, "skip", read_skip, out, n)
  return n;
}

size_t replay_read_records(const struct vec_section *of, struct itw_record out[REPLAY_ITEMS])
{
  size_t n = 0;
  READ_ALL(of, "record", read_record, out, n)
  return n;
}

/* ---- as text ---- */

static void line(char *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(char *to, const char *format, ...)
{
  size_t at = strlen(to);
  va_list args;
  va_start(args, format);
  vsnprintf(to + at, REPLAY_TRACE - at, format, args);
  va_end(args);
}

static void line_slots(char *to, const struct itw_slot *s, size_t n)
{
  for (; n--; s++) line(to, "slot type %u parameter %016llx\n", (unsigned)s->type, (unsigned long long)s->parameter);
}

static void line_skips(char *to, const struct itw_skip *s, size_t n)
{
  for (; n--; s++) line(to, "skip %u to %u\n", (unsigned)s->first, (unsigned)s->last);
}

static void line_records(char *to, const struct itw_record *r, size_t n)
{
  for (; n--; r++)
    line(to, "record %u sent %016llx error %04x received %016llx error %04x ttl %u\n", (unsigned)r->seq,
         (unsigned long long)r->sent, (unsigned)r->send_error, (unsigned long long)r->received,
         (unsigned)r->receive_error, (unsigned)r->ttl);
}

static void line_account(char *to, const uint8_t sid[16], uint32_t next_seqno, uint32_t skips)
{
  line(to, "account of ");
  for (int i = 0; i < 16; i++) line(to, "%02x", sid[i]);
  line(to, " next %u skips %u\n", (unsigned)next_seqno, (unsigned)skips);
}

static void line_fetch(char *to, uint32_t finished, uint32_t next_seqno, uint32_t skips, uint32_t records)
{
  line(to, "fetch finished %u next %u skips %u records %u\n", (unsigned)finished, (unsigned)next_seqno, (unsigned)skips,
       (unsigned)records);
}

static void expect_account(struct replay *r, const struct vec_section *account)
{
  struct itw_skip skips[REPLAY_ITEMS];
  uint8_t sid[16];
  vec_hex(account, "sid", sid, sizeof sid);
  line_account(r->expect_data, sid, (uint32_t)vec_u64(account, "next_seqno"), (uint32_t)vec_u64(account, "skips"));
  line_skips(r->expect_data, skips, replay_read_skips(account, skips));
}

void replay_expect_data(struct replay *r, const struct vec_section *control)
{
  struct itw_slot slots[REPLAY_ITEMS];
  struct itw_skip skips[REPLAY_ITEMS];
  struct itw_record records[REPLAY_ITEMS];
  if (!strcmp(control->name, "Fetch-Ack"))
    line_fetch(r->expect_data, (uint32_t)vec_u64(control, "finished"), (uint32_t)vec_u64(control, "next_seqno"),
               (uint32_t)vec_u64(control, "skips"), (uint32_t)vec_u64(control, "records"));
  line_slots(r->expect_data, slots, replay_read_slots(control, slots));
  line_skips(r->expect_data, skips, replay_read_skips(control, skips));
  line_records(r->expect_data, records, replay_read_records(control, records));
  for (const struct vec_section *s = control; (s = replay_next_account(s));) expect_account(r, s);
}

/* ---- what a connection tells ---- */

void replay_data_schedule(struct replay_agent *a, uint32_t slot, uint32_t n)
{
  struct itw_slot slots[REPLAY_ITEMS];
  if (n > REPLAY_ITEMS || itw_conn_schedule(a->conn, slot, slots, n) != ITW_OK) abort();
  line_slots(a->r->data, slots, n);
}

void replay_hold_account(struct replay_agent *a, const struct itw_event *ev)
{
  uint8_t sid[16];
  replay_sid(a, ev->slot, sid);
  line_account(a->held, sid, ev->next_seqno, ev->skips);
}

void replay_hold_fetch(struct replay_agent *a, const struct itw_event *ev)
{
  line_fetch(a->held, ev->finished, ev->next_seqno, ev->skips, ev->records);
}

void replay_release(struct replay_agent *a, itw_status st)
{
  if (st == ITW_OK) line(a->r->data, "%s", a->held);
  a->held[0] = 0;
}

/* Few at a time, so that messages are taken and given in pieces. */
enum { BATCH = 2 };

void replay_take(struct replay_agent *a)
{
  struct itw_slot slots[BATCH];
  struct itw_skip skips[BATCH];
  struct itw_record records[BATCH];
  size_t got = 0;
  itw_status st;
  switch (a->p.data) {
  case ITW_DATA_SLOTS:
    st = itw_conn_take_slots(a->conn, &a->p, slots, BATCH, &got, a->now);
    line_slots(a->held, slots, got);
    break;
  case ITW_DATA_SKIPS:
    st = itw_conn_take_skips(a->conn, &a->p, skips, BATCH, &got, a->now);
    line_skips(a->held, skips, got);
    break;
  default:
    st = itw_conn_take_records(a->conn, &a->p, records, BATCH, &got, a->now);
    line_records(a->held, records, got);
  }
  if (st != ITW_OK || (!got && a->p.wants & ITW_WANT_TAKE)) abort();
}

/* Where the recording has what is asked for: in the account of poll.slot's session, or after our Fetch-Ack. */
static const struct vec_section *giver(const struct replay_agent *a)
{
  const struct vec_section *s = a->step;
  uint8_t sid[16], want[16];
  if (a->p.slot == ITW_NO_SLOT) return vec_next(a->r->vec, s, "control");
  replay_sid(a, a->p.slot, want);
  while ((s = replay_next_account(s)))
    if (vec_hex(s, "sid", sid, sizeof sid) == 16 && !memcmp(sid, want, 16)) return s;
  abort();
}

/* poll.left says how many have gone already. */
void replay_give(struct replay_agent *a)
{
  const struct vec_section *of = giver(a);
  struct itw_slot slots[REPLAY_ITEMS];
  struct itw_skip skips[REPLAY_ITEMS];
  struct itw_record records[REPLAY_ITEMS];
  const uint32_t left = a->p.left;
  const size_t n = left < BATCH ? left : BATCH;
  size_t used = 0;
  itw_status st;
  switch (a->p.data) {
  case ITW_DATA_SLOTS:
    st = itw_conn_give_slots(a->conn, &a->p, slots + replay_read_slots(of, slots) - left, n, &used, a->now);
    break;
  case ITW_DATA_SKIPS:
    st = itw_conn_give_skips(a->conn, &a->p, skips + replay_read_skips(of, skips) - left, n, &used, a->now);
    break;
  default:
    st = itw_conn_give_records(a->conn, &a->p, records + replay_read_records(of, records) - left, n, &used, a->now);
  }
  if (st != ITW_OK || (!used && a->p.wants & ITW_WANT_GIVE)) abort();
}
