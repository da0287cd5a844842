/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "inside.h"

#include "clock.h"

/* Fetch-Session (RFC 4656 §3.9). What is handed out is what there was when the command came: a session that goes on may get
   more records meanwhile. */

enum { GIVEN = 64 };

static bool within(const struct fetch *f, const struct itw_record *r)
{
  const struct result *const x = f->result;
  return r->seq >= f->begin && r->seq <= f->end &&
         (!f->judged || itw_verdict_keeps(&x->verdict, r, x->skips, x->n_skips));
}

static uint32_t count_records(const struct fetch *f)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < f->limit; i++) n += within(f, &f->result->records[i]);
  return n;
}

static void deny(struct visit *v, const char *why)
{
  struct itw_fetch_answer answer;

  v->owner->total.fetches_denied++;
  respond_say(v->owner, &v->remote, "fetch denied, Accept %u: %s", ITW_ACCEPT_FAILURE, why);
  ITW_INIT(answer);
  answer.accept = ITW_ACCEPT_FAILURE;
  ITW_INIT(answer.request);
  if (itw_server_fetch(v->pump.conn, NULL, &answer, now_mono()) < 0) pump_close(&v->pump);
}

/* A complete session is as good as finished, but for skip ranges, which come with Stop-Sessions: perfSONAR's powstream fetches
   before it says that. */
void fetch_begin(struct visit *v, const struct itw_event *event)
{
  struct result *const r = store_find(&v->owner->store, &v->user, event->request.sid);
  const bool complete = event->begin == 0 && event->end == UINT32_MAX;
  struct itw_fetch_answer answer;

  if (!r) {
    deny(v, "no such session of this user");
    return;
  }
  if (complete && !r->finished && !r->complete) {
    deny(v, "the session is under way");
    return;
  }
  result_hold(r);
  v->owner->total.fetches++;
  v->fetch =
      (struct fetch){.result = r, .begin = event->begin, .end = event->end, .limit = r->count, .judged = r->finished};
  ITW_INIT(answer);
  answer.finished = r->finished || r->complete;
  answer.next_seqno = r->finished ? r->next_seqno : r->complete ? r->request.packets : 0;
  answer.skips = r->finished ? r->n_skips : 0;
  answer.records = count_records(&v->fetch);
  answer.request = r->request;
  if (itw_server_fetch(v->pump.conn, NULL, &answer, now_mono()) < 0) pump_close(&v->pump);
}

/* The next records within the range, as many as there is room for. */
static itw_status give_records(struct visit *v)
{
  struct fetch *const f = &v->fetch;
  struct itw_record records[GIVEN];
  uint32_t at[GIVEN], n = 0;
  size_t used = 0;

  for (uint32_t i = f->at; i < f->limit && n < GIVEN; i++) {
    if (!within(f, &f->result->records[i])) continue;
    at[n] = i;
    records[n++] = f->result->records[i];
  }
  const itw_status st = itw_conn_give_records(v->pump.conn, NULL, records, n, &used, now_mono());
  if (used) f->at = at[used - 1] + 1;
  return st;
}

void fetch_give(struct visit *v, const struct itw_poll *p)
{
  struct fetch *const f = &v->fetch;
  const struct result *const r = f->result;
  const itw_mono now = now_mono();
  size_t used = 0;
  itw_status st;

  if (p->data == ITW_DATA_SLOTS)
    st = itw_conn_give_slots(v->pump.conn, NULL, r->slots + r->request.slots - p->left, p->left, &used, now);
  else if (p->data == ITW_DATA_SKIPS)
    st = itw_conn_give_skips(v->pump.conn, NULL, r->skips + r->n_skips - p->left, p->left, &used, now);
  else
    st = give_records(v);
  if (st < 0) pump_close(&v->pump);
}

void fetch_end(struct visit *v)
{
  if (v->fetch.result) result_release(v->fetch.result);
  v->fetch.result = NULL;
}
