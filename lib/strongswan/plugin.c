/* SPDX-License-Identifier: BSD-3-Clause */
#include "plugin.h"

enum { MESSAGES = 128 /* of one call */ };
#define FLUSH 10000000u /* ns */

/* ---- what the plugin says ---- */

/* On one machine, in its octet order; the octets may stand anywhere. */
static itw_status take(void *out, size_t size, const uint8_t *octets, size_t len)
{
  if (len != size) return ITW_ERR_SHORT;
  memcpy(out, octets, size);
  return ITW_OK;
}

static itw_status on_hello(struct itwi_plugin *p, const uint8_t *octets, size_t len)
{
  struct itw_plugin_hello hello;
  const itw_status st = take(&hello, sizeof hello, octets, len);

  if (st || hello.magic != ITW_PLUGIN_MAGIC) return ITW_ERR_SHORT;
  if (hello.version != ITW_PLUGIN_VERSION) return hello.version > ITW_PLUGIN_VERSION ? ITW_ERR_NEWER : ITW_ERR_UNSUPPORTED;
  if (!p->talking && p->failed) p->tell_resync = true;
  p->talking = true;
  p->told_lost = 0;
  p->at = ITW_NEVER;
  p->ike_sas = hello.ike_sas;
  p->child_sas = hello.child_sas;
  return ITW_OK;
}

static itw_status on_answer(struct itwi_plugin *p, uint64_t tag, const uint8_t *octets, size_t len)
{
  struct itw_answer a;
  itw_status st = take(&a, sizeof a, octets, len);

  if (!st && (a.size != sizeof a || a.kind > ITW_ANS_DERIVED || a.why > 0 || (a.sa.size && a.sa.size != sizeof a.sa) ||
              (size_t)a.token_len + a.enc_len + a.auth_len + a.secret_len > sizeof a.octets))
    st = ITW_ERR_SHORT;
  struct itwi_question *const q = st ? NULL : itwi_question_find(p, tag, a.id);
  if (q && q->state == ITWI_QUESTION_ASKED) itwi_question_answer(p, q, &a); /* else it was cancelled */
  itw_wipe(&a, sizeof a);
  return st;
}

/* From what HELLO said on. */
static void count(struct itwi_plugin *p, const struct itw_source_event *e)
{
  uint32_t *const n = e->sa.protocol == ITW_SA_IKE ? &p->ike_sas : &p->child_sas;

  if (e->kind == ITW_SOURCE_UP) ++*n;
  if ((e->kind == ITW_SOURCE_GONE || e->kind == ITW_SOURCE_REKEYED) && *n) --*n;
}

static itw_status on_event(struct itwi_plugin *p, const uint8_t *octets, size_t len)
{
  struct itw_source_event e;
  const itw_status st = take(&e, sizeof e, octets, len);

  if (st || e.size != sizeof e || e.why > 0) return ITW_ERR_SHORT;
  if (p->n_events == ITWI_PLUGIN_EVENTS) return ITW_ERR_FULL;
  p->events[(p->next_event + p->n_events++) % ITWI_PLUGIN_EVENTS] = e;
  count(p, &e);
  return ITW_OK;
}

itw_status itwi_plugin_follow(struct itwi_plugin *p, const uint8_t *octets, size_t len)
{
  struct itw_plugin_head head;

  if (len < sizeof head) return ITW_ERR_SHORT;
  memcpy(&head, octets, sizeof head);
  octets += sizeof head;
  len -= sizeof head;
  if (head.octets != len) return ITW_ERR_SHORT;
  if (head.kind == ITW_PLUGIN_HELLO) return on_hello(p, octets, len);
  if (!p->talking) return ITW_ERR_UNEXPECTED;
  if (head.kind == ITW_PLUGIN_ANSWER) return on_answer(p, head.tag, octets, len);
  return head.kind == ITW_PLUGIN_EVENT ? on_event(p, octets, len) : ITW_ERR_COMMAND;
}

/* ---- in the caller's loop ---- */

/* No more than there is room for events: what isn't read stays with the kernel, and nothing is lost. */
static void receive(struct itwi_plugin *p)
{
  uint8_t octets[ITW_PLUGIN_OCTETS];
  size_t len = 0;
  itw_status st = ITW_OK;

  for (int i = 0; i < MESSAGES && p->n_events < ITWI_PLUGIN_EVENTS && st == ITW_OK; i++) {
    st = itwi_plugin_receive(p, octets, &len);
    if (st == ITW_OK) st = itwi_plugin_follow(p, octets, len);
  }
  itw_wipe(octets, sizeof octets);
  if (st < 0) itwi_plugin_disconnect(p, st == ITW_ERR_EOF ? ITW_ERR_SOURCE_LOST : st);
}

static void flush(struct itwi_plugin *p)
{
  struct itwi_question *q;
  itw_status st = ITW_OK;

  p->flush_at = ITW_NEVER;
  while (p->talking && st == ITW_OK && (q = itwi_question_unsent(p))) {
    st = itwi_plugin_send(p, &q->ask);
    if (st == ITW_OK) itwi_question_sent(p);
  }
  if (st == ITW_AGAIN) p->flush_at = p->now + FLUSH;
  if (st < 0) itwi_plugin_disconnect(p, ITW_ERR_SOURCE_LOST);
}

void itwi_plugin_read(struct itwi_plugin *p, itw_mono now)
{
  p->now = now;
  if (p->fd >= 0) receive(p);
  if (p->fd >= 0 && p->at <= now) itwi_plugin_disconnect(p, ITW_ERR_TIMEOUT);
  if (p->fd < 0 && p->at <= now) itwi_plugin_connect(p);
  flush(p);
}

itw_mono itwi_plugin_deadline(const struct itwi_plugin *p) { return p->at < p->flush_at ? p->at : p->flush_at; }

static itw_status tell(struct itw_source_event *out, uint32_t kind, itw_status why)
{
  ITW_INIT(*out);
  out->kind = kind;
  out->why = why;
  return ITW_OK;
}

itw_status itwi_plugin_event(struct itwi_plugin *p, struct itw_source_event *out)
{
  const itw_status lost = p->tell_lost;

  if (p->n_events) {
    *out = p->events[p->next_event];
    p->next_event = (p->next_event + 1) % ITWI_PLUGIN_EVENTS;
    p->n_events--;
    return ITW_OK;
  }
  if (lost) {
    p->tell_lost = 0;
    return tell(out, ITW_SOURCE_LOST, lost);
  }
  if (p->tell_resync) {
    p->tell_resync = false;
    return tell(out, ITW_SOURCE_RESYNC, 0);
  }
  return ITW_EMPTY;
}

/* ---- questions and answers ---- */

itw_status itwi_plugin_ask(struct itwi_plugin *p, const struct itw_ask *ask, struct itw_answer *out)
{
  if (p->fd < 0) {
    out->kind = ITW_ANS_NONE;
    out->why = ITW_ERR_SOURCE_LOST;
    return ITW_OK;
  }
  struct itwi_question *const before = itwi_question_find(p, ask->tag, ask->id);
  if (before) itwi_question_drop(p, before);
  if (!itwi_question_take(p, ask)) return ITW_ERR_FULL;
  flush(p);
  return ITW_AGAIN; /* also when charon has gone away just now: that is answered like the others */
}

itw_status itwi_plugin_answer(struct itwi_plugin *p, uint64_t *tag, struct itw_answer *out)
{
  struct itwi_question *const q = itwi_question_at(p, p->answered.first);

  if (!q) return ITW_EMPTY;
  *tag = q->ask.tag;
  *out = q->answer;
  itwi_question_drop(p, q);
  return ITW_OK;
}
