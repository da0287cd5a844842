/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests and the slots that they get: as callers have them, and as they stand on the wire. */

#include "conn.h"
#include "octets.h"
#include "session.h"

void itw_sid_make(uint8_t sid[16], const struct itw_addr *receiver, itw_ntp wall, const uint8_t random[4])
{
  memcpy(sid, receiver->family == 6 ? receiver->ip + 12 : receiver->ip, 4);
  itwi_store64(sid + 4, wall);
  memcpy(sid + 12, random, 4);
}

void itwi_request_wire(struct itw_request_tw *w, const struct itw_request *q, uint32_t protocol)
{
  memset(w, 0, sizeof *w);
  w->command = protocol == ITW_OWAMP ? ITW_CMD_REQUEST_SESSION : ITW_CMD_REQUEST_TW_SESSION;
  w->ipvn = q->sender.family == 6 ? 6 : 4;
  w->conf_sender = (q->conf & ITW_CONF_SENDER) != 0;
  w->conf_receiver = (q->conf & ITW_CONF_RECEIVER) != 0;
  w->slots = q->slots;
  w->packets = q->packets;
  w->sender_port = q->sender.port;
  w->receiver_port = q->receiver.port;
  memcpy(w->sender, q->sender.ip, sizeof w->sender);
  memcpy(w->receiver, q->receiver.ip, sizeof w->receiver);
  memcpy(w->sid, q->sid, sizeof w->sid);
  w->padding = q->padding;
  w->start = q->start;
  w->timeout = q->timeout;
  w->type_p = q->type_p ? q->type_p : q->dscp << 24;
  memcpy(w->reflect_octets, q->reflect_octets, sizeof w->reflect_octets);
  w->reflect = q->reflect;
}

void itwi_request_take(struct itw_request *q, const struct itw_request_tw *w)
{
  ITW_INIT(*q);
  q->padding = w->padding;
  q->start = w->start;
  q->timeout = w->timeout;
  q->type_p = w->type_p;
  if (!(w->type_p >> 30)) q->dscp = w->type_p >> 24; /* else another Type-P (RFC 4656 §3.5) */
  if (w->command == ITW_CMD_REQUEST_SESSION)
    q->conf = (w->conf_sender ? ITW_CONF_SENDER : 0) | (w->conf_receiver ? ITW_CONF_RECEIVER : 0);
  q->packets = w->packets;
  q->slots = w->slots;
  q->reflect = (uint16_t)w->reflect;
  memcpy(q->reflect_octets, w->reflect_octets, sizeof q->reflect_octets);
  memcpy(q->sid, w->sid, sizeof q->sid);
}

uint32_t itwi_test_mode(const struct itw_conn *c)
{
  return c->choice.mode == ITW_MODE_MIXED ? (uint32_t)ITW_MODE_OPEN : c->choice.mode;
}

uint32_t itwi_conn_least_padding(const struct itw_conn *c, uint32_t reflect)
{
  const uint32_t features = c->choice.features;
  return itwi_least_padding(itwi_test_mode(c), features, features & ITW_FEATURE_REFLECT ? reflect : 0);
}

struct itw_slot *itwi_conn_slots_of(const struct itw_conn *c, uint32_t slot)
{
  return c->schedules + (size_t)slot * c->schedule_slots;
}

uint32_t itwi_conn_free_slot(const struct itw_conn *c)
{
  uint32_t i = 0;
  while (i < c->sessions && c->slots[i].state != ITWI_FREE) i++;
  return i;
}
