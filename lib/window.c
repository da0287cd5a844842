/* SPDX-License-Identifier: BSD-3-Clause */
#include "window.h"
#include <ipsectwamp/sender.h>

static uint32_t mask(uint32_t place) { return UINT32_C(1) << (place & 31); }

/* Makes `ahead` places new. The loop runs once per sequence number at most, so it is paid for by packets that were sent. */
static void advance(struct itwi_window *w, uint32_t *bits, uint32_t size, uint32_t ahead)
{
  if (ahead >= size) {
    memset(bits, 0, size / 8);
    w->place = 0;
    return;
  }
  for (; ahead; ahead--) {
    if (++w->place == size) w->place = 0;
    bits[w->place >> 5] &= ~mask(w->place);
  }
}

uint32_t itwi_window_mark(struct itwi_window *w, uint32_t *bits, uint32_t size, uint32_t seq, uint32_t sent)
{
  const uint32_t back = w->high - seq;
  uint32_t place, kind;

  if (sent - 1 - seq < sent - 1 - w->high) { /* nearer to what was sent last: higher */
    advance(w, bits, size, seq - w->high);
    w->high = seq;
    bits[w->place >> 5] |= mask(w->place);
    return ITW_REPLY_NEW;
  }
  if (back >= size) return ITW_REPLY_LATE;
  place = w->place >= back ? w->place - back : w->place + size - back;
  kind = bits[place >> 5] & mask(place) ? ITW_REPLY_DUPLICATE : ITW_REPLY_REORDERED;
  bits[place >> 5] |= mask(place);
  return kind;
}
