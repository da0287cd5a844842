/* SPDX-License-Identifier: BSD-3-Clause */
#include "plugin.h"

_Static_assert(sizeof(struct itwi_plugin) % 8 == 0 && sizeof(struct itwi_question) % 8 == 0,
               "the arrays stand one behind the other");

static uint32_t heads(uint32_t capacity)
{
  uint32_t n = 2;
  while (n < capacity) n <<= 1;
  return n;
}

size_t itwi_plugin_size(uint32_t capacity)
{
  return sizeof(struct itwi_plugin) + capacity * sizeof(struct itwi_question) + heads(capacity) * sizeof(itwi_place);
}

void itwi_plugin_lay_out(struct itwi_plugin *p, uint32_t capacity)
{
  p->capacity = capacity;
  p->size = itwi_plugin_size(capacity);
  p->questions = (void *)(p + 1);
  p->by_name = (void *)(p->questions + capacity);
  p->shift = 64;
  for (uint32_t bits = heads(capacity); bits > 1; bits >>= 1) p->shift--;
  for (uint32_t i = 1; i < capacity; i++) p->questions[i - 1].same_name = i + 1;
  p->free = 1;
}

struct itwi_question *itwi_question_at(const struct itwi_plugin *p, itwi_place place)
{
  return place ? &p->questions[place - 1] : NULL;
}

static itwi_place place_of(const struct itwi_plugin *p, const struct itwi_question *q)
{
  return (itwi_place)(q - p->questions) + 1;
}

/* ---- lists ---- */

static void append(struct itwi_plugin *p, struct itwi_list *list, struct itwi_question *q)
{
  q->next = 0;
  if (list->last)
    itwi_question_at(p, list->last)->next = place_of(p, q);
  else
    list->first = place_of(p, q);
  list->last = place_of(p, q);
}

static void take_out(struct itwi_plugin *p, struct itwi_list *list, struct itwi_question *q)
{
  itwi_place *at = &list->first, before = 0;

  while (*at && *at != place_of(p, q)) {
    before = *at;
    at = &itwi_question_at(p, *at)->next;
  }
  if (!*at) return;
  *at = q->next;
  if (!q->next) list->last = before;
  q->next = 0;
}

/* ---- questions ---- */

static itwi_place *head(const struct itwi_plugin *p, uint64_t tag, uint32_t id)
{
  return &p->by_name[((tag * UINT64_C(0x100000001b3) + id) * UINT64_C(0x9e3779b97f4a7c15)) >> p->shift];
}

struct itwi_question *itwi_question_find(const struct itwi_plugin *p, uint64_t tag, uint32_t id)
{
  struct itwi_question *q = itwi_question_at(p, *head(p, tag, id));

  while (q && (q->ask.tag != tag || q->ask.id != id)) q = itwi_question_at(p, q->same_name);
  return q;
}

struct itwi_question *itwi_question_take(struct itwi_plugin *p, const struct itw_ask *ask)
{
  struct itwi_question *const q = itwi_question_at(p, p->free);

  if (!q) return NULL;
  p->free = q->same_name;
  itwi_place *const name = head(p, ask->tag, ask->id);
  *q = (struct itwi_question){.state = ITWI_QUESTION_NEW, .same_name = *name, .ask = *ask};
  *name = place_of(p, q);
  append(p, &p->unsent, q);
  return q;
}

struct itwi_question *itwi_question_unsent(const struct itwi_plugin *p) { return itwi_question_at(p, p->unsent.first); }

void itwi_question_sent(struct itwi_plugin *p)
{
  struct itwi_question *const q = itwi_question_at(p, p->unsent.first);

  take_out(p, &p->unsent, q);
  q->state = ITWI_QUESTION_ASKED;
}

void itwi_question_answer(struct itwi_plugin *p, struct itwi_question *q, const struct itw_answer *answer)
{
  if (q->state == ITWI_QUESTION_NEW) take_out(p, &p->unsent, q);
  q->state = ITWI_QUESTION_ANSWERED;
  q->answer = *answer;
  append(p, &p->answered, q);
}

void itwi_question_answer_all(struct itwi_plugin *p, itw_status why)
{
  struct itw_answer none;

  ITW_INIT(none);
  none.why = why;
  p->unsent = (struct itwi_list){0, 0};
  for (itwi_place *head = p->by_name; head < p->by_name + heads(p->capacity); head++)
    for (struct itwi_question *q = itwi_question_at(p, *head); q; q = itwi_question_at(p, q->same_name)) {
      if (q->state == ITWI_QUESTION_ANSWERED) continue;
      q->state = ITWI_QUESTION_ASKED; /* in no list */
      none.id = q->ask.id;
      itwi_question_answer(p, q, &none);
    }
}

void itwi_question_drop(struct itwi_plugin *p, struct itwi_question *q)
{
  itwi_place *at = head(p, q->ask.tag, q->ask.id);

  if (q->state == ITWI_QUESTION_NEW) take_out(p, &p->unsent, q);
  if (q->state == ITWI_QUESTION_ANSWERED) take_out(p, &p->answered, q);
  while (*at != place_of(p, q)) at = &itwi_question_at(p, *at)->same_name;
  *at = q->same_name;
  itw_wipe(q, sizeof *q);
  q->same_name = p->free;
  p->free = place_of(p, q);
}
