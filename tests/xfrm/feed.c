/* SPDX-License-Identifier: BSD-3-Clause */
#include "feed.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* ---- messages ---- */

static void put(struct feed_message *m, const void *octets, size_t len)
{
  if (m->len + len > sizeof m->octets) abort();
  memcpy(m->octets + m->len, octets, len);
  m->len += (len + 3) & ~(size_t)3;
}

static struct feed_message begin(uint16_t type)
{
  struct feed_message m = {.len = 0};
  const struct nlmsghdr head = {.nlmsg_type = type};
  put(&m, &head, sizeof head);
  return m;
}

static struct feed_message end(struct feed_message m)
{
  const uint32_t len = (uint32_t)m.len;
  memcpy(m.octets, &len, sizeof len);
  return m;
}

static void put_attr(struct feed_message *m, uint16_t type, const void *octets, size_t len)
{
  const struct nlattr head = {.nla_len = (uint16_t)(sizeof head + len), .nla_type = type};
  put(m, &head, sizeof head);
  put(m, octets, len);
}

/* name 64 | key_bits | more, unless 0 | key */
static void put_alg(struct feed_message *m, uint16_t type, const char *name, uint16_t key_len, uint8_t key,
                    uint32_t more)
{
  uint8_t octets[64 + 4 + 4 + 256] = {0};
  const uint32_t bits = key_len * 8u;
  const size_t head = more ? 72 : 68;
  memcpy(octets, name, strlen(name));
  memcpy(octets + 64, &bits, sizeof bits);
  if (more) memcpy(octets + 68, &more, sizeof more);
  memset(octets + head, key, key_len);
  put_attr(m, type, octets, head + key_len);
}

static uint16_t af(const struct itw_addr *a) { return a->family == 6 ? AF_INET6 : AF_INET; }

static struct xfrm_usersa_info info_of(const struct feed_sa *sa)
{
  struct xfrm_usersa_info i = {.family = af(&sa->dst), .mode = sa->mode, .reqid = sa->reqid};
  memcpy(&i.id.daddr, sa->dst.ip, sizeof i.id.daddr);
  memcpy(&i.saddr, sa->src.ip, sizeof i.saddr);
  i.id.spi = htonl(sa->spi);
  i.id.proto = sa->proto ? sa->proto : IPPROTO_ESP;
  i.sel.proto = sa->sel_proto;
  i.curlft.add_time = sa->add_time;
  i.replay_window = (uint8_t)sa->window;
  return i;
}

static void put_algs(struct feed_message *m, const struct feed_sa *sa)
{
  const uint8_t auth_key = (uint8_t)(sa->key ? sa->key + 1 : 0);
  const uint16_t auth_len = sa->auth_len ? sa->auth_len : 20;
  if (sa->auth) put_alg(m, XFRMA_ALG_AUTH, sa->auth, auth_len, auth_key, 0);
  if (sa->auth) put_alg(m, XFRMA_ALG_AUTH_TRUNC, sa->auth, auth_len, auth_key, 96);
  if (sa->crypt)
    put_alg(m, XFRMA_ALG_CRYPT, sa->crypt,
            strcmp(sa->crypt, "ecb(cipher_null)") ? sa->crypt_len ? sa->crypt_len : 16 : 0, sa->key, 0);
  if (sa->aead) put_alg(m, XFRMA_ALG_AEAD, sa->aead, 20, sa->key, 128);
  const struct xfrm_mark mark = {sa->mark, sa->mark ? UINT32_MAX : 0};
  if (sa->mark) put_attr(m, XFRMA_MARK, &mark, sizeof mark);
  if (sa->if_id) put_attr(m, XFRMA_IF_ID, &sa->if_id, sizeof sa->if_id);
}

struct feed_message feed_make_sa(struct feed_sa sa)
{
  const uint16_t type = sa.type ? sa.type : XFRM_MSG_NEWSA;
  struct feed_message m = begin(type);
  const struct xfrm_usersa_info info = info_of(&sa);
  const struct xfrm_usersa_id id = {info.id.daddr, info.id.spi, info.family, info.id.proto};
  const struct xfrm_user_expire expire = {info, sa.hard};

  if (type == XFRM_MSG_EXPIRE) {
    put(&m, &expire, sizeof expire);
  } else if (type == XFRM_MSG_DELSA) {
    put(&m, &id, sizeof id);
    put_attr(&m, XFRMA_SA, &info, sizeof info);
    put_algs(&m, &sa);
  } else {
    put(&m, &info, sizeof info);
    put_algs(&m, &sa);
  }
  return end(m);
}

static struct xfrm_userpolicy_info policy_info(const struct feed_policy *p)
{
  struct xfrm_userpolicy_info i = {.index = p->index, .dir = XFRM_POLICY_OUT, .action = XFRM_POLICY_ALLOW};
  memcpy(&i.sel.saddr, p->local.ip, sizeof i.sel.saddr);
  memcpy(&i.sel.daddr, p->remote.ip, sizeof i.sel.daddr);
  i.sel.sport = htons(p->local.port), i.sel.sport_mask = p->local.port ? 0xffff : 0;
  i.sel.dport = htons(p->remote.port), i.sel.dport_mask = p->remote.port ? 0xffff : 0;
  i.sel.family = af(&p->local);
  i.sel.prefixlen_s = p->local_bits;
  i.sel.prefixlen_d = p->remote_bits;
  i.sel.proto = p->proto;
  return i;
}

struct feed_message feed_make_policy(struct feed_policy p)
{
  struct feed_message m = begin(p.type ? p.type : XFRM_MSG_NEWPOLICY);
  const struct xfrm_userpolicy_info info = policy_info(&p);
  const struct xfrm_userpolicy_id id = {.sel = info.sel, .dir = info.dir};
  const struct xfrm_user_polexpire expire = {info, p.hard};
  struct xfrm_user_tmpl t = {.family = af(&p.dst), .reqid = p.reqid, .mode = XFRM_MODE_TUNNEL};
  memcpy(&t.saddr, p.src.ip, sizeof t.saddr);
  memcpy(&t.id.daddr, p.dst.ip, sizeof t.id.daddr);
  t.id.proto = IPPROTO_ESP;

  if (p.type == XFRM_MSG_DELPOLICY) {
    put(&m, &id, sizeof id);
    put_attr(&m, XFRMA_POLICY, &info, sizeof info);
  } else if (p.type == XFRM_MSG_POLEXPIRE) {
    put(&m, &expire, sizeof expire);
  } else {
    put(&m, &info, sizeof info);
  }
  put_attr(&m, XFRMA_TMPL, &t, sizeof t);
  if (p.if_id) put_attr(&m, XFRMA_IF_ID, &p.if_id, sizeof p.if_id);
  return end(m);
}

struct feed_message feed_make_flush(uint16_t type, uint8_t proto)
{
  struct feed_message m = begin(type);
  const struct xfrm_usersa_flush flush = {proto};
  if (type == XFRM_MSG_FLUSHSA) put(&m, &flush, sizeof flush);
  return end(m);
}

/* ---- the kernel ---- */

enum { MOST = 512 };

struct queued {
  uint8_t *octets; /* NULL: something was lost here */
  size_t len;
};
struct queue {
  struct queued at[MOST];
  size_t first, count;
};

static struct {
  struct feed_message sas[MOST], policies[MOST]; /* in the order of their coming */
  size_t n_sas, n_policies;
  struct queue heard, told; /* what the source reads next; what it asked for and waits for */
  unsigned readings;
  bool hold, refuse;
} kernel;

static void push(struct queue *q, const uint8_t *octets, size_t len)
{
  if (q->count == MOST) abort();
  struct queued *const item = &q->at[(q->first + q->count++) % MOST];
  *item = (struct queued){octets ? malloc(len) : NULL, len};
  if (octets && !item->octets) abort();
  if (octets) memcpy(item->octets, octets, len);
}

static struct queued pop(struct queue *q)
{
  const struct queued item = q->at[q->first];
  q->first = (q->first + 1) % MOST;
  q->count--;
  return item;
}

static void empty(struct queue *q)
{
  while (q->count) free(pop(q).octets);
}

static struct feed_message *find(struct feed_message *kept, size_t n, const struct itwi_xfrm_message *want, bool policy)
{
  for (size_t i = 0; i < n; i++) {
    struct itwi_xfrm_message m;
    const uint8_t *at = kept[i].octets;
    size_t left = kept[i].len;
    if (itwi_xfrm_decode(&m, &at, &left) != ITW_OK) abort();
    const struct xfrm_usersa_info *const a = &m.sa.info, *const b = &want->sa.info;
    if (policy ? m.policy.info.index == want->policy.info.index
               : !memcmp(&a->id.daddr, &b->id.daddr, sizeof a->id.daddr) && a->id.spi == b->id.spi &&
                     a->id.proto == b->id.proto)
      return kept + i;
  }
  return NULL;
}

static void forget(struct feed_message *kept, size_t *n, struct feed_message *which)
{
  if (!which) return;
  memmove(which, which + 1, (size_t)(kept + *n - which - 1) * sizeof *kept);
  --*n;
}

/* Kept as a reading tells it. */
static void keep(struct feed_message *kept, size_t *n, struct feed_message *there, const uint8_t *octets, size_t len,
                 uint16_t type)
{
  struct nlmsghdr head;
  forget(kept, n, there);
  if (*n == MOST || len > FEED_MESSAGE) abort();
  struct feed_message *const m = &kept[(*n)++];
  memcpy(m->octets, octets, len);
  m->len = len;
  memcpy(&head, octets, sizeof head);
  head.nlmsg_type = type;
  head.nlmsg_flags = NLM_F_MULTI;
  memcpy(m->octets, &head, sizeof head);
}

static void happen(const struct itwi_xfrm_message *m, const uint8_t *octets, size_t len)
{
  switch (m->type) {
  case XFRM_MSG_NEWSA:
  case XFRM_MSG_UPDSA:
    keep(kernel.sas, &kernel.n_sas, find(kernel.sas, kernel.n_sas, m, false), octets, len, XFRM_MSG_NEWSA);
    break;
  case XFRM_MSG_EXPIRE:
    if (!m->sa.hard) break;
    forget(kernel.sas, &kernel.n_sas, find(kernel.sas, kernel.n_sas, m, false));
    break;
  case XFRM_MSG_DELSA: forget(kernel.sas, &kernel.n_sas, find(kernel.sas, kernel.n_sas, m, false)); break;
  case XFRM_MSG_FLUSHSA: kernel.n_sas = 0; break;
  case XFRM_MSG_NEWPOLICY:
  case XFRM_MSG_UPDPOLICY:
    keep(kernel.policies, &kernel.n_policies, find(kernel.policies, kernel.n_policies, m, true), octets, len,
         XFRM_MSG_NEWPOLICY);
    break;
  case XFRM_MSG_DELPOLICY:
    forget(kernel.policies, &kernel.n_policies, find(kernel.policies, kernel.n_policies, m, true));
    break;
  case XFRM_MSG_FLUSHPOLICY: kernel.n_policies = 0; break;
  default: break;
  }
}

void feed_happen(const uint8_t *datagram, size_t len)
{
  struct itwi_xfrm_message m;
  const uint8_t *at = datagram, *from = datagram;
  while (itwi_xfrm_decode(&m, &at, &len) == ITW_OK) {
    happen(&m, from, (size_t)(at - from));
    from = at;
  }
}

void feed_say(const uint8_t *datagram, size_t len)
{
  feed_happen(datagram, len);
  push(&kernel.heard, datagram, len);
}

void feed_lose(void)
{
  empty(&kernel.heard);
  push(&kernel.heard, NULL, 0);
}

void feed_forget(void)
{
  empty(&kernel.heard);
  empty(&kernel.told);
  memset(&kernel, 0, sizeof kernel);
}

void feed_hold(bool hold) { kernel.hold = hold; }
void feed_refuse(bool refuse) { kernel.refuse = refuse; }
unsigned feed_readings(void) { return kernel.readings; }

bool feed_tell(void)
{
  if (!kernel.told.count) return false;
  const struct queued item = pop(&kernel.told);
  push(&kernel.heard, item.octets, item.len);
  free(item.octets);
  return true;
}

/* The newest first, two a datagram. */
static void tell_all(const struct feed_message *kept, size_t n)
{
  const struct {
    struct nlmsghdr head;
    int32_t error;
  } done = {{.nlmsg_len = sizeof done, .nlmsg_type = NLMSG_DONE, .nlmsg_flags = NLM_F_MULTI}, 0};
  uint8_t two[2 * FEED_MESSAGE];
  size_t len = 0;

  for (size_t i = n; i-- > 0;) {
    memcpy(two + len, kept[i].octets, kept[i].len);
    len += kept[i].len;
    if (i % 2) continue;
    push(&kernel.told, two, len);
    len = 0;
  }
  push(&kernel.told, (const uint8_t *)&done, sizeof done);
}

bool __wrap_itwi_xfrm_ask(struct itw_xfrm *, uint16_t);
bool __wrap_itwi_xfrm_ask(struct itw_xfrm *x, uint16_t type)
{
  (void)x;
  if (kernel.refuse) return false;
  if (type == XFRM_MSG_GETSA) kernel.readings++;
  if (type == XFRM_MSG_GETSA)
    tell_all(kernel.sas, kernel.n_sas);
  else
    tell_all(kernel.policies, kernel.n_policies);
  while (!kernel.hold && feed_tell()) continue;
  return true;
}

itw_status __wrap_itwi_xfrm_receive(struct itw_xfrm *, size_t *);
itw_status __wrap_itwi_xfrm_receive(struct itw_xfrm *x, size_t *len)
{
  if (!kernel.heard.count) return ITW_EMPTY;
  const struct queued item = pop(&kernel.heard);
  if (!item.octets) return ITW_ERR_FULL;
  if (item.len > sizeof x->buffer) abort();
  memcpy(x->buffer, item.octets, item.len);
  *len = item.len;
  free(item.octets);
  return ITW_OK;
}

/* ---- the source ---- */

struct itw_xfrm *feed_open(uint32_t capacity)
{
  struct itw_xfrm *x;
  if (itwi_xfrm_make(&x, capacity) != ITW_OK) abort();
  itwi_xfrm_go_on(x, 0);
  return x;
}

itw_status feed_settle(struct itw_xfrm *x, itw_mono now)
{
  itw_status st;
  do {
    st = itw_xfrm_read(x, now);
  } while (kernel.heard.count);
  return st;
}
