/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes to a HA feed: datagrams, each with a length of two octets before it. Above 0x8000 it is no datagram: 0x8000 + n:
   n/4 seconds pass; 0xc000: charon goes away; 0xe000 + n: a good message about SA n. Whatever happens, the ring and the table
   agree on how many SAs there are, and all news can be taken. */

#include "feed.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void good(struct feed *f, uint32_t n)
{
  const uint32_t a = n >> 3 & 7, b = n >> 6 & 7;
  switch (n & 7) {
  case 0: say(f, ike_add(f, a, 0)); break;
  case 1: say(f, ike_add(f, a, b)); break;
  case 2: say(f, ike_update(f, a)); break;
  case 3: say(f, ike_delete(f, a)); break;
  case 4: say(f, child_add(f, a, b)); break;
  case 5: say(f, child_delete(f, a, b)); break;
  case 6: say(f, resync(f)); break;
  default: say_rekey(f, a, b); break;
  }
}

static void check(struct feed *f, bool take)
{
  struct itw_source_event e;

  feed_check(f);
  for (ITW_INIT(e); take && itwi_ha_event(f->ha, &e) == ITW_OK; ITW_INIT(e))
    if (!e.kind) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct feed f;

  feed_open(&f, 8, size ? (data[0] & 1 ? ITW_IKEV2 | ITW_DRAFT : 0) : 0);
  while (size >= 2) {
    const uint32_t head = (uint32_t)data[0] << 8 | data[1];
    const size_t len = head & 0x8000 ? 0 : (head & 0x3ff) < size - 2 ? head & 0x3ff : size - 2;
    data += 2;
    size -= 2;
    if (len) {
      uint8_t *const own = malloc(len); /* so that one octet too far is seen */
      if (!own) return 0;
      memcpy(own, data, len);
      itwi_ha_follow(f.ha, own, len, f.now);
      free(own);
    } else if (head >= 0xe000) {
      good(&f, head & 0x1ff);
    } else if (head >= 0xc000) {
      itwi_ha_away(f.ha);
    } else if (head & 0x8000) {
      pass(&f, (head & 0xff) / 4.0);
    }
    data += len;
    size -= len;
    check(&f, head & 1);
  }
  check(&f, true);
  feed_close(&f);
  return 0;
}
