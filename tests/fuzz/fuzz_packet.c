/* SPDX-License-Identifier: BSD-3-Clause */
/* Test packets: the first octet chooses the mode and how much room there is, the rest is what arrives, at a reflector, at
   a sender and at a receiver. */

#include "plane.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reflect(const uint8_t *data, size_t size, size_t room, uint32_t mode)
{
  const struct itw_shard_config c = plane_config(1, 0);
  const struct itw_session_info info = plane_info(0, mode);
  const struct itw_session s = plane_make(&info, 0);
  struct itw_packet item = plane_request(&info, 0, (uint32_t)size, (uint32_t)room);
  uint8_t *p = malloc(room ? room : 1);
  itw_reflector *r = NULL;
  itw_id id;
  if (p && itw_reflector_new(&r, &c) == ITW_OK && itw_reflector_add(r, &id, &s, 0, 0) == ITW_OK &&
      itw_reflector_start(r, id, 0) == ITW_OK) {
    memcpy(p, data, size);
    if (plane_take(r, p, room, &item, 1) == ITW_OK && plane_finish(r, p, room, &item) == ITW_OK && item.len > room) abort();
  }
  itw_reflector_free(r);
  free(p);
}

static void read_reply(const uint8_t *data, size_t size, uint32_t mode)
{
  const struct itw_shard_config c = plane_config(1, 0);
  const struct itw_session_info info = plane_info(0, mode);
  const struct itw_session s = plane_make(&info, 0);
  struct itw_packet item;
  struct itw_reply reply;
  uint8_t sent[256];
  itw_sender *x = NULL;
  itw_id id;
  ITW_INIT(reply);
  if (itw_sender_new(&x, &c) == ITW_OK && itw_sender_add(x, &id, &s, 0) == ITW_OK &&
      plane_write(x, id, sent, sizeof sent, &item) == ITW_OK) {
    item = plane_reply(&info, 0, (uint32_t)size);
    if (plane_read(x, data, size, &item, &reply) == ITW_OK && reply.seq != 0) abort(); /* one was sent: number 0 */
  }
  itw_sender_free(x);
}

/* Until all packets are lost or have come: as many records as packets, and one for each duplicate. */
static void receive(const uint8_t *data, size_t size, uint32_t mode)
{
  enum { PACKETS = 64 };
  struct itw_shard_config c = plane_config(1, 0);
  struct itw_session_info info = plane_owamp_info(0, mode, PACKETS);
  info.start = 0; /* timestamps of zero are in time */
  const struct itw_session s = plane_make(&info, 0);
  const struct itw_slot slot = plane_fixed(200000000);
  const struct itw_wall w = plane_wall(&info, 0);
  itw_receiver *r = NULL;
  itw_id id;
  c.slots = 1;
  if (itw_receiver_new(&r, &c) == ITW_OK && itw_receiver_add(r, &id, &s, &slot, 1, 0) == ITW_OK &&
      itw_receiver_start(r, id, &w, 0) == ITW_OK) {
    struct itw_record record;
    uint64_t user, records = 0;
    for (size_t at = 0; at < size; at += 14) { /* one packet after the other in open mode */
      const uint32_t len = mode == ITW_MODE_OPEN && size - at > 14 ? 14 : (uint32_t)(size - at);
      struct itw_packet item = plane_request(&info, (uint32_t)at, len, len);
      item.received = UINT64_C(1) << 32;
      if (itw_receiver_take(r, data, size, &item, sizeof item, &record, sizeof record, 1, at << 28) != ITW_OK) abort();
      if (item.status == ITW_OK && (record.seq >= PACKETS || !record.received)) abort();
      records += item.status == ITW_OK;
    }
    while (itw_receiver_lost(r, &id, &user, &record, ITW_NEVER - 1) == ITW_OK) records++;
    if (records != PACKETS + plane_receiver_counts(r, id).duplicates) abort();
  }
  itw_receiver_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const uint32_t mode = plane_modes[size ? data[0] % plane_mode_count() : 0];
  if (size < 1 || size > 2000) return 0;
  reflect(data + 1, size - 1, size - 1 + (data[0] & 128 ? 200u : (data[0] >> 2 & 31u)), mode);
  read_reply(data + 1, size - 1, mode);
  receive(data + 1, size - 1, mode);
  return 0;
}
