/* SPDX-License-Identifier: BSD-3-Clause */
/* A control connection of either role against a peer that says anything. The first octet chooses the role and the recorded
   connection that is spoiled, the second how. Unauthenticated mode has no HMAC to stop what follows. */

#include "replay.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const files[] = {
  "schemes/psk-psk-none-open.vec", "schemes/psk-psk-none-enc.vec", "schemes/ikev2-ike-hmac-sha1-auth.vec",
  "schemes/shared-ike-hmac-sha1-auth.vec", "schemes/shared-sid-ike-aes128-cmac-enc.vec",
  "schemes/root-ike-hmac-sha2-256-open.vec", "schemes/root-ike-hmac-sha2-256-enc.vec",
  "schemes/direct-esp128-hmac-sha1-open.vec", "schemes/direct-esp256-hmac-sha2-256-enc.vec",
  "perfsonar/owamp-open.vec", "extensions/owamp-shared-sid-enc.vec", "extensions/twamp-isc-open.vec",
};
enum { FILES = sizeof files / sizeof files[0] };

/* Octets from an offset on become the input's, and the recording may go on behind them. */
static void overwrite(struct replay *r, size_t at, const uint8_t *data, size_t size)
{
  if (at > r->peer_len) at = r->peer_len;
  if (size > sizeof r->peer - at) size = sizeof r->peer - at;
  memcpy(r->peer + at, data, size);
  if (r->peer_len < at + size) r->peer_len = at + size;
}

/* Three octets a change: where, and what is flipped. */
static void flip(struct replay *r, const uint8_t *data, size_t size)
{
  for (; size >= 3 && r->peer_len; data += 3, size -= 3) r->peer[((size_t)data[0] << 8 | data[1]) % r->peer_len] ^= data[2];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct replay r;
  const char *file;
  uint32_t role;
  if (size < 2) return 0;
  role = data[0] & 1 ? ITW_ROLE_SERVER : ITW_ROLE_CLIENT;
  file = files[(data[0] >> 1) % FILES];
  if (!replay_can(file, role)) return 0;
  replay_open(&r, file, role);
  r.derived = r.eof = true;
  r.single = data[1] & 128;
  if (data[1] & 64)
    flip(&r, data + 2, size - 2);
  else
    overwrite(&r, (size_t)(data[1] & 63) * 16, data + 2, size - 2);
  replay_run(&r);
  if (r.made != ITW_OK || !strstr(r.trace, "close")) abort(); /* whatever came, it ends when the peer closes */
  replay_close(&r);
  return 0;
}
