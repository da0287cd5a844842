/* SPDX-License-Identifier: BSD-3-Clause */
/* OWAMP's Stop-Sessions, which both sides send (RFC 4656 §3.8): each accounts for the sessions of which it is the sender. */

#include "conn.h"

/* With both bits the Server has both ends, so it is the one that accounts. */
bool itwi_we_send(const struct itw_conn *c, const struct itwi_conn_slot *slot)
{
  bool server_sends = slot->request.conf & ITW_CONF_SENDER;
  return slot->state == ITWI_RUNNING && server_sends == (c->server != NULL);
}

bool itwi_they_send(const struct itw_conn *c, const struct itwi_conn_slot *slot)
{
  bool server_sends = slot->request.conf & ITW_CONF_SENDER;
  return slot->state == ITWI_RUNNING && server_sends == (c->server == NULL);
}

static uint32_t count(const struct itw_conn *c, bool (*which)(const struct itw_conn *, const struct itwi_conn_slot *))
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->sessions; i++) n += which(c, &c->slots[i]);
  return n;
}

/* A range is at least one packet. */
static bool plausible(const struct itwi_conn_slot *slot, uint32_t next_seqno, uint32_t skips)
{
  return next_seqno <= slot->request.packets && skips <= next_seqno;
}

/* Both are through: the test has ended. */
static void finish(struct itw_conn *c)
{
  if (!c->stop.sent || !c->stop.received) return;
  itwi_conn_stop(c, ITW_OK, ITWI_FREE);
  c->role->on_idle(c);
}

/* ---- ours ---- */

itw_status itw_conn_account(itw_conn *c, uint32_t at, uint32_t next_seqno, uint32_t skips)
{
  struct itwi_conn_slot *slot;
  if (!c || at >= c->sessions) return ITW_ERR_ARGUMENT;
  slot = &c->slots[at];
  if (!c->testing || c->stop.begun || !itwi_we_send(c, slot)) return ITW_ERR_STATE;
  if (!plausible(slot, next_seqno, skips)) return ITW_ERR_ARGUMENT;
  slot->next_seqno = next_seqno;
  slot->skips = skips;
  slot->accounted |= ITWI_OURS;
  return ITW_OK;
}

static void put_session(struct itw_conn *c);

static void put_padding(struct itw_conn *c)
{
  itwi_part_pad(c);
  c->giving.next = put_session;
}

static void put_session(struct itw_conn *c)
{
  uint8_t octets[ITW_STOP_SESSION_LEN];
  struct itw_stop_session s = {0};
  while (c->stop.slot < c->sessions && !itwi_we_send(c, &c->slots[c->stop.slot])) c->stop.slot++;
  if (c->stop.slot == c->sessions) {
    itwi_part_seal(c);
    c->stop.sealed = 1;
    return;
  }
  const struct itwi_conn_slot *slot = &c->slots[c->stop.slot];
  memcpy(s.sid, slot->request.sid, sizeof s.sid);
  s.next_seqno = slot->next_seqno;
  s.skips = slot->skips;
  if (itw_stop_session_write(octets, sizeof octets, &s) == ITW_OK) itwi_part_put(c, octets, sizeof octets);
  c->giving.slot = c->stop.slot++;
  c->giving.bound = slot->next_seqno;
  itwi_part_give(c, ITW_DATA_SKIPS, slot->skips, put_padding);
}

static void put_head(struct itw_conn *c)
{
  uint8_t octets[ITW_STOP_LEN];
  struct itw_stop_sessions s = {c->stop.our_accept, count(c, itwi_we_send)};
  if (itw_stop_sessions_write(octets, sizeof octets, &s) == ITW_OK) itwi_part_put(c, octets, sizeof octets);
  c->giving.next = put_session;
}

/* Only now may the next command go out. */
void itwi_stop_on_sent(struct itw_conn *c)
{
  if (!c->stop.sealed || c->stop.sent || !c->testing) return;
  c->stop.sent = 1;
  if (!c->stop.received) itwi_conn_timer(c, c->server ? ITWI_T_SERVWAIT : ITWI_T_ANSWER, c->stop_ns);
  finish(c);
}

itw_status itw_conn_stop(itw_conn *c, struct itw_poll *p, uint32_t accept, itw_mono now)
{
  if (!c || accept > 255) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  if (c->protocol != ITW_OWAMP || !c->testing || c->stop.begun || !itwi_conn_quiet(c)) return itwi_conn_leave(c, p, ITW_ERR_STATE);
  for (uint32_t i = 0; i < c->sessions; i++)
    if (itwi_we_send(c, &c->slots[i]) && !(c->slots[i].accounted & ITWI_OURS)) return itwi_conn_leave(c, p, ITW_ERR_STATE);
  c->stop.begun = 1;
  c->stop.slot = 0;
  c->stop.our_accept = accept;
  c->giving.next = put_head;
  return itwi_conn_leave(c, p, ITW_OK);
}

/* ---- the peer's ---- */

static void read_record(struct itw_conn *c)
{
  itwi_conn_state(c, c->stop.records ? ITWI_STOP_RECORD : ITWI_STOP_HMAC);
  itwi_conn_timer(c, ITWI_T_MESSAGE, c->message_ns);
}

void itwi_stop_begin(struct itw_conn *c)
{
  struct itw_stop_sessions s;
  itw_status st = itw_stop_sessions_read(&s, c->in, ITW_STOP_LEN);
  if (st != ITW_OK || s.sessions != count(c, itwi_they_send)) {
    itwi_conn_fail(c, ITW_ERR_STOP_SESSION, 0);
    return;
  }
  for (uint32_t i = 0; i < c->sessions; i++) c->slots[i].accounted &= ~(uint32_t)ITWI_THEIRS;
  c->stop.accept = s.accept;
  c->stop.records = s.sessions;
  read_record(c);
}

static void on_record_end(struct itw_conn *c)
{
  c->stop.records--;
  read_record(c);
}

/* A session description record, which has at least 32 octets: the last eight are its first skip range, or padding. */
void itwi_stop_on_record(struct itw_conn *c)
{
  struct itw_stop_session s;
  struct itwi_conn_slot *slot;
  uint32_t at;
  if (itwi_stream_body(&c->rx, c->in, 32, ITWI_DECRYPT) != ITW_OK || itw_stop_session_read(&s, c->in, 32) != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
    return;
  }
  at = itwi_slot_of(c, s.sid);
  slot = at < c->sessions ? &c->slots[at] : NULL;
  if (!slot || !itwi_they_send(c, slot) || slot->accounted & ITWI_THEIRS || s.next_seqno > slot->request.packets) {
    itwi_conn_fail(c, ITW_ERR_STOP_SESSION, 0);
    return;
  }
  if (!plausible(slot, s.next_seqno, s.skips)) {
    itwi_conn_fail(c, ITW_ERR_SKIPS, 0);
    return;
  }
  slot->accounted |= ITWI_THEIRS;
  itwi_conn_raise(c, ITW_EV_STOP_SESSION);
  c->event.slot = at;
  c->event.next_seqno = s.next_seqno;
  c->event.skips = s.skips;
  c->taking.slot = at;
  c->taking.bound = s.next_seqno;
  itwi_part_take(c, ITW_DATA_SKIPS, s.skips, s.skips ? 24 : 32, 32,
                 ((ITW_STOP_SESSION_LEN + (uint64_t)ITW_SKIP_LEN * s.skips + 15) & ~UINT64_C(15)) - 32,
                 on_record_end);
}

void itwi_stop_on_hmac(struct itw_conn *c)
{
  if (!itwi_conn_hmac(c, c->in)) return;
  c->stop.received = 1;
  itwi_conn_raise(c, ITW_EV_STOP);
  c->event.accept = c->stop.accept;
  c->role->on_idle(c);
  finish(c);
}
