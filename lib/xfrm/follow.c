/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel tells, followed. All SAs are read, then all policies; notifications come in between, in their order. What a
   reading hasn't found is gone. */

#include "inside.h"

#include <netinet/in.h>

/* Between two readings that doubt or a full table asks for, or that can't begin. */
static const uint64_t again_ns = 1000000000;
static const uint64_t step_ns = 30000000000; /* of itwi_pair_relent */

/* ---- reading all ---- */

static void begin(struct itw_xfrm *x, uint16_t type)
{
  if (itwi_xfrm_ask(x, type)) return;
  x->stage = ITWI_XFRM_IDLE;
  x->again = x->failed = true;
}

static void begin_all(struct itw_xfrm *x)
{
  x->again = x->failed = x->doubt = x->missed = x->selectors_missed = false;
  x->retry = ITW_NEVER;
  x->reading++;
  x->oldest = x->order += x->capacity + 1u; /* newer than all known ones, whatever is found */
  x->stage = ITWI_XFRM_SAS;
  begin(x, XFRM_MSG_GETSA);
}

static bool is_room(const struct itw_xfrm *x) { return x->free_half && x->free_policy; }

static void relent(struct itw_xfrm *x, itw_mono now)
{
  if (now >= x->relent) {
    x->relent = ITW_NEVER;
    itwi_pair_relent(x);
  }
  if (x->widows && x->relent == ITW_NEVER) x->relent = now + step_ns;
}

void itwi_xfrm_go_on(struct itw_xfrm *x, itw_mono now)
{
  relent(x, now);
  if (x->stage != ITWI_XFRM_IDLE) return;
  if ((x->again && !x->failed) || now >= x->retry) begin_all(x);
  if (x->retry == ITW_NEVER && x->stage == ITWI_XFRM_IDLE && (x->failed || x->doubt || (x->missed && is_room(x))))
    x->retry = now + again_ns;
}

void itwi_xfrm_full(struct itw_xfrm *x)
{
  x->tell_full |= !x->missed;
  x->missed = true;
}

/* The end of one of the two. Halves are paired before those that are gone are dropped: a rekey that was missed is one. */
static void on_done(struct itw_xfrm *x, const struct itwi_xfrm_message *m)
{
  if (m->error < 0) x->again = x->failed = true;
  if (x->again) {
    x->stage = ITWI_XFRM_IDLE;
  } else if (x->stage == ITWI_XFRM_SAS) {
    itwi_pair_match_all(x);
    itwi_halves_sweep(x, 0, true);
    x->stage = ITWI_XFRM_POLICIES;
    begin(x, XFRM_MSG_GETPOLICY);
  } else if (x->stage == ITWI_XFRM_POLICIES) {
    itwi_policies_sweep(x, true);
    x->stage = ITWI_XFRM_IDLE;
    x->ready = true;
    x->tell_resync |= x->lost;
    x->lost = false;
  }
}

void itwi_xfrm_lost(struct itw_xfrm *x) { x->lost = x->again = true; }

/* ---- one message ---- */

static void on_sa(struct itw_xfrm *x, const struct itwi_xfrm_message *m)
{
  const bool told = m->flags & NLM_F_MULTI;
  struct itwi_half *const h = itwi_half_put(x, &m->sa, told);
  if (h && !told) itwi_pair_match(x, h);
}

static void on_gone(struct itw_xfrm *x, const struct xfrm_usersa_id *id)
{
  const struct itw_addr dst = itwi_xfrm_addr(&id->daddr, id->family);
  struct itwi_half *const h = itwi_half_find(x, &dst, ntohl(id->spi), id->proto);
  if (h) itwi_half_drop(x, h);
}

static void on_expire(struct itw_xfrm *x, const struct itwi_xfrm_sa *sa)
{
  const struct xfrm_usersa_id id = {sa->info.id.daddr, sa->info.id.spi, sa->info.family, sa->info.id.proto};
  if (sa->hard) on_gone(x, &id);
}

static bool takes_away(uint16_t type)
{
  return type == XFRM_MSG_DELSA || type == XFRM_MSG_EXPIRE || type == XFRM_MSG_FLUSHSA || type == XFRM_MSG_DELPOLICY ||
         type == XFRM_MSG_POLEXPIRE || type == XFRM_MSG_FLUSHPOLICY;
}

static void on_message(struct itw_xfrm *x, const struct itwi_xfrm_message *m)
{
  if (m->flags & NLM_F_DUMP_INTR) x->again = true; /* the kernel's list changed while it was told */
  if (takes_away(m->type) && x->stage != ITWI_XFRM_IDLE) x->doubt = true;
  switch (m->type) {
  case NLMSG_DONE: on_done(x, m); break;
  case NLMSG_ERROR:
    if (m->error) on_done(x, m);
    break;
  case XFRM_MSG_NEWSA:
  case XFRM_MSG_UPDSA: on_sa(x, m); break;
  case XFRM_MSG_DELSA: on_gone(x, &m->id); break;
  case XFRM_MSG_EXPIRE: on_expire(x, &m->sa); break;
  case XFRM_MSG_FLUSHSA: itwi_halves_sweep(x, m->proto, false); break; /* there is no DELSA for each */
  case XFRM_MSG_NEWPOLICY:
  case XFRM_MSG_UPDPOLICY: itwi_policy_put(x, &m->policy); break;
  case XFRM_MSG_DELPOLICY: itwi_policy_drop(x, m->policy.info.index); break;
  case XFRM_MSG_POLEXPIRE:
    if (m->policy.hard) itwi_policy_drop(x, m->policy.info.index);
    break;
  case XFRM_MSG_FLUSHPOLICY: itwi_policies_sweep(x, false); break;
  default: break;
  }
}

void itwi_xfrm_take(struct itw_xfrm *x, const uint8_t *datagram, size_t len)
{
  struct itwi_xfrm_message m;
  itw_status st;

  while ((st = itwi_xfrm_decode(&m, &datagram, &len)) != ITW_EMPTY) {
    if (st == ITW_OK)
      on_message(x, &m);
    else
      itwi_xfrm_lost(x);
  }
  itw_wipe(&m, sizeof m);
}
