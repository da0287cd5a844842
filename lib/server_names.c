/* SPDX-License-Identifier: BSD-3-Clause */
/* A Server's sessions started and stopped one by one (RFC 5938). */

#include "server.h"
#include "conn.h"
#include "octets.h"

static void keep_name(struct itw_conn *c, const uint8_t *sid)
{
  struct itwi_named *name = &c->names[c->named++];
  memcpy(name->sid, sid, sizeof name->sid);
  name->slot = itwi_slot_of(c, sid);
  name->accept = ITW_ACCEPT_OK;
}

/* ---- acknowledgements: one for all sessions with the same Accept, in the order of the command ---- */

static void acknowledge(struct itw_conn *c);

static void on_acknowledged(struct itw_conn *c)
{
  for (uint32_t i = 0; i < c->named; i++)
    if (c->names[i].accept == c->named_accept) c->names[i].accept |= ITWI_NAMED_DONE;
  acknowledge(c);
}

static void acknowledge(struct itw_conn *c)
{
  uint32_t ack = c->named_command == ITW_CMD_START_N ? ITW_CMD_START_N_ACK : ITW_CMD_STOP_N_ACK, i = 0;
  while (i < c->named && c->names[i].accept & ITWI_NAMED_DONE) i++;
  if (i < c->named)
    itwi_names_give(c, ack, c->names[i].accept, on_acknowledged);
  else
    c->role->on_idle(c);
}

/* ---- what becomes of each ---- */

/* A session may be started that was accepted and doesn't run, and stopped that runs. */
static bool fits(const struct itw_conn *c, const struct itwi_named *name)
{
  uint32_t state = c->named_command == ITW_CMD_START_N ? ITWI_ACCEPTED : ITWI_RUNNING;
  return name->slot != ITW_NO_SLOT && c->slots[name->slot].state == state;
}

static void raise_one(struct itw_conn *c, struct itwi_named *name)
{
  bool start = c->named_command == ITW_CMD_START_N;
  itwi_conn_raise(c, start ? ITW_EV_START : ITW_EV_STOPPED);
  c->slot = c->event.slot = name->slot;
  if (start) return;
  c->slots[name->slot].state = ITWI_STOPPED;
  c->named_at++;
}

void itwi_server_decide_names(struct itw_conn *c)
{
  for (; c->named_at < c->named; c->named_at++) {
    struct itwi_named *name = &c->names[c->named_at];
    if (fits(c, name)) {
      raise_one(c, name);
      return;
    }
    name->accept = ITW_ACCEPT_FAILURE;
  }
  c->giving.next = acknowledge;
}

itw_status itw_server_started(itw_conn *c, struct itw_poll *p, uint32_t at, uint32_t accept, itw_mono now)
{
  if (!c || !c->server || at >= c->sessions || accept > 255) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  if (c->row->state != ITWI_NAMING || c->named_at == c->named || c->names[c->named_at].slot != at || !itwi_conn_quiet(c))
    return itwi_conn_leave(c, p, ITW_ERR_STATE);
  c->names[c->named_at++].accept = accept;
  if (!accept) c->slots[at].state = ITWI_RUNNING;
  itwi_server_decide_names(c);
  return itwi_conn_leave(c, p, ITW_OK);
}

/* ---- the command ---- */

static void on_names(struct itw_conn *c)
{
  uint32_t message = c->message;
  itwi_conn_state(c, ITWI_NAMING);
  itwi_conn_label(c, message, ITW_STATE_STARTING);
  itwi_conn_cancel(c, ITWI_T_SERVWAIT);
  c->named_at = 0;
  itwi_server_decide_names(c);
}

/* Its first 16 octets stand at `in`. More SIDs than there can be sessions, or none, are none of ours. */
void itwi_server_on_names(struct itw_conn *c)
{
  struct itw_sessions s;
  if (itw_sessions_read(&s, c->in, ITW_SESSIONS_LEN) != ITW_OK) return;
  c->named = 0;
  c->named_command = s.command;
  if (!s.sessions || s.sessions > c->sessions || !c->names)
    itwi_server_drain(c, 16 * (uint64_t)s.sessions, 0, 0, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_SID);
  else
    itwi_names_take(c, s.sessions, keep_name, on_names);
}
