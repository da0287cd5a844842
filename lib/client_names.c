/* SPDX-License-Identifier: BSD-3-Clause */
/* Control-Client: sessions started and stopped one by one (RFC 5938). */

#include "client.h"

/* ---- commands ---- */

/* Each slot is in the state for it, and none is named twice. */
static bool may_name(const struct itw_conn *c, const uint32_t *slots, size_t n, uint32_t state)
{
  if (!(c->choice.features & ITW_FEATURE_SESSION_CONTROL) || !itwi_client_idle(c) || !n || n > c->sessions) return false;
  for (size_t i = 0; i < n; i++) {
    if (slots[i] >= c->sessions || c->slots[slots[i]].state != state) return false;
    for (size_t k = 0; k < i; k++)
      if (slots[k] == slots[i]) return false;
  }
  return true;
}

static itw_status command(struct itw_conn *c, struct itw_poll *p, uint32_t number, uint32_t state, const uint32_t *slots, size_t n,
                          itw_mono now)
{
  if (!itwi_is_client(c) || !slots) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  if (!may_name(c, slots, n, state)) return itwi_conn_leave(c, p, ITW_ERR_STATE);
  for (size_t i = 0; i < n; i++) {
    memcpy(c->names[i].sid, c->slots[slots[i]].request.sid, sizeof c->names[i].sid);
    c->names[i].slot = slots[i];
    c->names[i].accept = ITWI_NAMED_OPEN;
  }
  c->named = (uint32_t)n;
  c->named_command = number;
  itwi_conn_state(c, ITWI_NAMES_ACK);
  itwi_names_give(c, number, ITWI_NAMED_OPEN, NULL);
  itwi_conn_label(c, number == ITW_CMD_START_N ? ITW_MSG_START_N_ACK : ITW_MSG_STOP_N_ACK,
                  number == ITW_CMD_START_N ? ITW_STATE_STARTING : ITW_STATE_TESTING);
  itwi_conn_timer(c, ITWI_T_ANSWER, ITWI_ANSWER_NS);
  return itwi_conn_leave(c, p, ITW_OK);
}

itw_status itw_client_start_n(itw_conn *c, struct itw_poll *p, const uint32_t *slots, size_t n, itw_mono now)
{
  return command(c, p, ITW_CMD_START_N, ITWI_ACCEPTED, slots, n, now);
}

itw_status itw_client_stop_n(itw_conn *c, struct itw_poll *p, const uint32_t *slots, size_t n, itw_mono now)
{
  return command(c, p, ITW_CMD_STOP_N, ITWI_RUNNING, slots, n, now);
}

/* ---- acknowledgements: each is for some of the sessions, all together are for all of them ---- */

static uint32_t open_names(const struct itw_conn *c)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->named; i++) n += (c->names[i].accept & ITWI_NAMED_OPEN) != 0;
  return n;
}

static void on_sid(struct itw_conn *c, const uint8_t *sid)
{
  for (uint32_t i = 0; i < c->named; i++) {
    struct itwi_named *name = &c->names[i];
    if (name->accept != ITWI_NAMED_OPEN || memcmp(name->sid, sid, sizeof name->sid) != 0) continue;
    name->accept = ITWI_NAMED_OPEN | ITWI_NAMED_NEW | c->named_accept;
    return;
  }
  itwi_conn_fail(c, ITW_ERR_SID, 0);
}

/* Only now is the acknowledgement known to be authentic. */
static void on_ack(struct itw_conn *c)
{
  c->named_at = 0;
  itwi_client_tell_names(c);
}

void itwi_client_on_names_ack(struct itw_conn *c)
{
  uint32_t expected = c->named_command == ITW_CMD_START_N ? ITW_CMD_START_N_ACK : ITW_CMD_STOP_N_ACK;
  struct itw_sessions s;
  if (itwi_stream_body(&c->rx, c->in, 16, ITWI_DECRYPT) != ITW_OK || itw_sessions_read(&s, c->in, 16) != ITW_OK) {
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
  } else if (s.command != expected) {
    itwi_conn_fail(c, ITW_ERR_UNEXPECTED, 0);
  } else if (!s.sessions || s.sessions > open_names(c)) {
    itwi_conn_fail(c, ITW_ERR_SID, 0);
  } else {
    c->named_accept = s.accept;
    itwi_names_take(c, s.sessions, on_sid, on_ack);
  }
}

static void tell(struct itw_conn *c, struct itwi_named *name)
{
  struct itwi_conn_slot *slot = &c->slots[name->slot];
  bool start = c->named_command == ITW_CMD_START_N;
  uint32_t accept = name->accept & 255;
  name->accept = ITWI_NAMED_DONE;
  itwi_conn_raise(c, start ? ITW_EV_STARTED : ITW_EV_STOPPED);
  c->event.slot = name->slot;
  c->event.accept = accept;
  if (accept)
    c->event.status = ITW_ERR_REFUSED; /* it stays as it is */
  else if (start)
    slot->state = ITWI_RUNNING;
  else
    itw_wipe(slot, sizeof *slot);
}

void itwi_client_tell_names(struct itw_conn *c)
{
  while (c->named_at < c->named && !(c->names[c->named_at].accept & ITWI_NAMED_NEW)) c->named_at++;
  if (c->named_at < c->named) {
    tell(c, &c->names[c->named_at++]);
  } else if (open_names(c)) {
    itwi_conn_state(c, ITWI_NAMES_ACK);
    itwi_conn_timer(c, ITWI_T_ANSWER, ITWI_ANSWER_NS);
  } else {
    c->named = 0;
    c->role->on_idle(c);
  }
}
