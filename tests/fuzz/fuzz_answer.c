/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers to questions for keys, from a source that errs in any way. The first octet chooses role and scheme, the second the
   mode; then each answer is the ring's, spoiled: an octet says how often, and three follow for each time: where, what. */

#include "link.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TRIES = 8 };
struct input {
  const uint8_t *data;
  size_t size;
};

static uint8_t next(struct input *in)
{
  if (!in->size) return 0;
  in->size--;
  return *in->data++;
}

static void spoil(struct itw_answer *n, struct input *in)
{
  const size_t size = sizeof n->size; /* that it is true is the caller's part */
  uint8_t octets[sizeof *n];
  memcpy(octets, n, sizeof octets);
  for (uint32_t times = next(in) % 8u; times; times--) {
    const size_t high = next(in), low = next(in);
    octets[size + (high << 8 | low) % (sizeof octets - size)] ^= next(in);
  }
  memcpy(n, octets, sizeof octets);
}

static bool answer(struct link_side *s, const struct itw_ask *q, struct input *in)
{
  struct itw_answer n;
  ITW_INIT(n);
  n.id = q->id;
  if (itw_keyring_answer(link_ring(s), q, &n) != ITW_OK) abort();
  spoil(&n, in);
  return itw_conn_answer(s->conn, &s->p, &n, s->link->now) == ITW_OK;
}

/* Answers until one fits; false when none did, or nothing was asked. */
static bool answer_once(struct link_side *s, struct input *in)
{
  struct itw_ask q;
  bool fits = false;
  ITW_INIT(q);
  if (!s->conn || itw_conn_ask(s->conn, &q, &s->p) != ITW_OK) return false;
  for (int i = 0; i < TRIES && !fits; i++) fits = answer(s, &q, in);
  return fits;
}

static void close_side(struct link_side *s)
{
  struct itw_detail why;
  if (itw_conn_eof(s->conn, &s->p, s->link->now) != ITW_OK) abort();
  link_run(s->link);
  why = link_why(s);
  if (!link_over(s) || !itw_status_name(why.status)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct link l;
  struct input in = {data, size};
  const uint32_t first = next(&in), scheme = UINT32_C(1) << (first >> 1) % 6u, mode = UINT32_C(1) << next(&in) % 3u;
  struct link_side *s = first & 1 ? &l.s : &l.c;
  const struct itw_request q = link_wish(0);
  link_init(&l, scheme, mode);
  s->by_hand = s->mute = true;
  link_connect(&l);
  for (int i = 0; i < 8; i++) {
    if (answer_once(s, &in)) link_run(&l);
    if (l.c.conn && link_up(&l)) (void)link_ask(&l, &q);
  }
  close_side(&l.s);
  close_side(&l.c);
  link_free(&l);
  return 0;
}
