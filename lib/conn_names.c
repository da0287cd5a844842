/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages that name sessions by their SIDs: Start-N, Stop-N and their acknowledgements (RFC 5938). */

#include "conn.h"

uint32_t itwi_slot_of(const struct itw_conn *c, const uint8_t sid[16])
{
  for (uint32_t i = 0; i < c->sessions; i++)
    if (c->slots[i].state >= ITWI_ACCEPTED && !memcmp(c->slots[i].request.sid, sid, 16)) return i;
  return ITW_NO_SLOT;
}

void itwi_names_take(struct itw_conn *c, uint32_t n, void (*sink)(struct itw_conn *, const uint8_t *), void (*next)(struct itw_conn *))
{
  c->taking.sink = sink;
  itwi_part_take_sealed(c, ITWI_DATA_SIDS, n, next);
}

static void put_sids(struct itw_conn *c)
{
  for (uint32_t n = 0; n < ITWI_PART_ROOM / 16; c->named_at++) {
    if (c->named_at == c->named) {
      itwi_part_seal(c);
      c->giving.next = c->names_next;
      return;
    }
    if (c->names[c->named_at].accept != c->named_accept) continue;
    itwi_part_put(c, c->names[c->named_at].sid, 16);
    n++;
  }
  c->giving.next = put_sids;
}

void itwi_names_give(struct itw_conn *c, uint32_t command, uint32_t accept, void (*next)(struct itw_conn *))
{
  struct itw_sessions s = {.command = command, .accept = accept & 255};
  uint8_t octets[ITW_SESSIONS_LEN];
  for (uint32_t i = 0; i < c->named; i++) s.sessions += c->names[i].accept == accept;
  if (itw_sessions_write(octets, sizeof octets, &s) == ITW_OK) itwi_part_put(c, octets, sizeof octets);
  c->named_accept = accept;
  c->named_at = 0;
  c->names_next = next;
  c->giving.next = put_sids;
}
