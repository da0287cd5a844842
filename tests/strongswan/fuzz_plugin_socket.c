/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes from a plugin, as this end reads it: the first octet says what has been asked; then messages, each with an octet
   before it: how it is made. 0: its length follows in two octets, and then all of it; else a good one, spoiled: an octet says how
   often, and three follow for each time: where, what. */

#include "plugin.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

static size_t put(uint8_t *message, uint32_t kind, const void *octets, uint32_t len)
{
  const struct itw_plugin_head head = {kind, len, 1};
  memcpy(message, &head, sizeof head);
  memcpy(message + sizeof head, octets, len);
  return sizeof head + len;
}

static size_t good(uint8_t *message, uint8_t kind, uint8_t id)
{
  const struct itw_plugin_hello hello = {ITW_PLUGIN_MAGIC, ITW_PLUGIN_VERSION, 1, 2};
  struct itw_answer a;
  struct itw_source_event e;

  ITW_INIT(a);
  ITW_INIT(a.sa);
  a.id = id;
  a.kind = ITW_ANS_DERIVED;
  a.token_len = 16;
  ITW_INIT(e);
  e.kind = ITW_SOURCE_UP;
  if (kind % 3 == 0) return put(message, ITW_PLUGIN_HELLO, &hello, sizeof hello);
  return kind % 3 == 1 ? put(message, ITW_PLUGIN_ANSWER, &a, sizeof a) : put(message, ITW_PLUGIN_EVENT, &e, sizeof e);
}

static size_t any(uint8_t *message, struct input *in)
{
  const size_t high = next(in), said = (high << 8 | next(in)) % (ITW_PLUGIN_OCTETS + 1), len = said < in->size ? said : in->size;
  if (len) memcpy(message, in->data, len);
  in->data += len;
  in->size -= len;
  return len;
}

static void one(struct itwi_plugin *p, struct input *in)
{
  uint8_t message[ITW_PLUGIN_OCTETS];
  const uint8_t how = next(in);
  const size_t len = how ? good(message, how, how >> 4) : any(message, in);

  for (uint32_t times = how ? next(in) % 8u : 0; times; times--) {
    const size_t high = next(in), at = (high << 8 | next(in)) % len;
    message[at] ^= next(in);
  }
  uint8_t *const own = malloc(len ? len : 1); /* so that one octet too far is seen */
  if (!own) return;
  memcpy(own, message, len);
  if (itwi_plugin_follow(p, own, len) < 0) itwi_plugin_disconnect(p, ITW_ERR_SHORT);
  free(own);
}

static void take_all(struct itwi_plugin *p)
{
  struct itw_source_event e;
  struct itw_answer a;
  uint64_t tag;

  for (ITW_INIT(e); itwi_plugin_event(p, &e) == ITW_OK; ITW_INIT(e)) continue;
  for (ITW_INIT(a); itwi_plugin_answer(p, &tag, &a) == ITW_OK; ITW_INIT(a))
    if (a.token_len + a.enc_len + a.auth_len + a.secret_len > (int)sizeof a.octets) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  enum { CAPACITY = 8 };
  struct input in = {data, size};
  struct itwi_plugin *const p = calloc(1, itwi_plugin_size(CAPACITY));
  const uint8_t asked = next(&in);
  struct itw_ask ask;

  if (!p) return 0;
  itwi_plugin_lay_out(p, CAPACITY);
  p->fd = -1;
  ITW_INIT(ask);
  ask.tag = 1;
  for (ask.id = 0; ask.id < CAPACITY; ask.id++) {
    if (!(asked >> ask.id & 1)) continue;
    if (!itwi_question_take(p, &ask)) abort();
    itwi_question_sent(p);
  }
  while (in.size) {
    one(p, &in);
    if (in.size & 1) take_all(p);
  }
  itwi_plugin_disconnect(p, ITW_ERR_SOURCE_LOST);
  take_all(p);
  for (uint32_t n = 0; n < CAPACITY; n++) { /* all places are there again */
    ask.id = n;
    if (!itwi_question_take(p, &ask)) abort();
  }
  free(p);
  return 0;
}
