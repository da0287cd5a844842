/* SPDX-License-Identifier: BSD-3-Clause */
#include "inside.h"

/* News stand in the pairs that they are about, which are linked in the order of their first untold one. A pair that is gone
   keeps its place until that was told: no queue can overflow. */

void itwi_news_add(struct itw_xfrm *x, struct itwi_pair *p, uint32_t kind)
{
  const itwi_place place = (itwi_place)(p - x->pairs) + 1;

  if (!p->news) {
    p->next = 0;
    if (x->last_news)
      itwi_pair_at(x, x->last_news)->next = place;
    else
      x->first_news = place;
    x->last_news = place;
  }
  p->news |= 1u << kind;
}

static void release(struct itw_xfrm *x, struct itwi_pair *p)
{
  const itwi_place place = (itwi_place)(p - x->pairs) + 1;

  x->first_news = p->next;
  if (!x->first_news) x->last_news = 0;
  p->next = 0;
  if (p->in) return;
  *p = (struct itwi_pair){.next = x->free_pair};
  x->free_pair = place;
}

/* Who doesn't take news gets on without them. */
void itwi_news_forget(struct itw_xfrm *x)
{
  itwi_place before = 0, at = x->first_news;

  while (itwi_pair_at(x, at)->in) {
    before = at;
    at = itwi_pair_at(x, at)->next;
  }
  struct itwi_pair *const gone = itwi_pair_at(x, at);
  *(before ? &itwi_pair_at(x, before)->next : &x->first_news) = gone->next;
  if (x->last_news == at) x->last_news = before;
  *gone = (struct itwi_pair){.next = x->free_pair};
  x->free_pair = at;
}

static itw_status tell(struct itw_source_event *out, uint32_t kind)
{
  ITW_INIT(*out);
  out->kind = kind;
  return ITW_OK;
}

static itw_status tell_of_pair(struct itw_xfrm *x, struct itwi_pair *p, struct itw_source_event *out)
{
  static const uint32_t order[] = {ITW_SOURCE_UP, ITW_SOURCE_UNFIT, ITW_SOURCE_REKEYED, ITW_SOURCE_GONE};
  size_t i = 0;

  while (!(p->news & 1u << order[i])) i++;
  tell(out, order[i]);
  out->sa = p->sa;
  out->local = p->local;
  out->remote = p->remote;
  if (order[i] == ITW_SOURCE_UP || order[i] == ITW_SOURCE_UNFIT) out->why = p->why;
  if (order[i] == ITW_SOURCE_REKEYED) out->by = p->by;
  p->news &= ~(1u << order[i]);
  if (!p->news) release(x, p);
  return ITW_OK;
}

itw_status itwi_news_take(struct itw_xfrm *x, struct itw_source_event *out)
{
  if (x->tell_resync) {
    x->tell_resync = false;
    return tell(out, ITW_SOURCE_RESYNC);
  }
  if (x->first_news) return tell_of_pair(x, itwi_pair_at(x, x->first_news), out);
  if (x->tell_full) {
    x->tell_full = false;
    return tell(out, ITW_SOURCE_FULL);
  }
  return ITW_EMPTY;
}
