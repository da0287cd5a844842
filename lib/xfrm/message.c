/* SPDX-License-Identifier: BSD-3-Clause */
/* Netlink messages of NETLINK_XFRM. Their structs are the kernel's own (<linux/xfrm.h>), in the host's octet order and
   layout; they are copied out of the datagram. */

#include "inside.h"

#include <sys/socket.h>

/* What follows the fixed part: attributes. int is what libmnl measures in; a datagram has at most 32 KiB. */
struct attrs {
  const uint8_t *at;
  int left;
};

/* ITW_EMPTY: none left. */
static itw_status next_attr(const struct nlattr **out, struct attrs *from)
{
  const struct nlattr *const a = (const void *)from->at;

  if (!mnl_attr_ok(a, from->left)) return from->left ? ITW_ERR_SHORT : ITW_EMPTY;
  const int whole = (int)((a->nla_len + 3u) & ~3u);
  from->at += whole < from->left ? whole : from->left;
  from->left -= whole < from->left ? whole : from->left;
  *out = a;
  return ITW_OK;
}

static const uint8_t *octets_of(const struct nlattr *a) { return mnl_attr_get_payload(a); }

/* Copies a struct that an attribute begins with. */
static bool copy(void *out, size_t size, const struct nlattr *a)
{
  if (mnl_attr_get_payload_len(a) < size) return false;
  memcpy(out, octets_of(a), size);
  return true;
}

/* name | key_bits | more_bits, if `more` | key. */
static bool algorithm(struct itwi_xfrm_alg *out, const struct nlattr *a, bool more)
{
  const size_t head = ITWI_XFRM_NAME + sizeof out->key_bits + (more ? sizeof out->more_bits : 0);
  const size_t len = mnl_attr_get_payload_len(a);
  const uint8_t *const octets = octets_of(a);

  if (len < head || !memchr(octets, 0, ITWI_XFRM_NAME)) return false;
  memcpy(out->name, octets, ITWI_XFRM_NAME);
  memcpy(&out->key_bits, octets + ITWI_XFRM_NAME, sizeof out->key_bits);
  if (more) memcpy(&out->more_bits, octets + ITWI_XFRM_NAME + sizeof out->key_bits, sizeof out->more_bits);
  out->key = octets + head;
  return ((uint64_t)out->key_bits + 7) / 8 <= len - head;
}

static bool sa_attr(struct itwi_xfrm_sa *sa, const struct nlattr *a)
{
  switch (mnl_attr_get_type(a)) {
  case XFRMA_ALG_AUTH: return algorithm(&sa->auth, a, false);
  case XFRMA_ALG_AUTH_TRUNC: return algorithm(&sa->trunc, a, true);
  case XFRMA_ALG_CRYPT: return algorithm(&sa->crypt, a, false);
  case XFRMA_ALG_AEAD: return algorithm(&sa->aead, a, true);
  case XFRMA_MARK: return copy(&sa->mark, sizeof sa->mark, a);
  case XFRMA_ENCAP: sa->encapsulated = true; return copy(&sa->encap, sizeof sa->encap, a);
  case XFRMA_REPLAY_VAL: return copy(&sa->replay, sizeof sa->replay, a);
  case XFRMA_REPLAY_ESN_VAL: sa->has_esn_state = true; return copy(&sa->esn, sizeof sa->esn, a);
  case XFRMA_SET_MARK: return copy(&sa->set_mark, sizeof sa->set_mark, a);
  case XFRMA_SET_MARK_MASK: return copy(&sa->set_mark_mask, sizeof sa->set_mark_mask, a);
  case XFRMA_IF_ID: return copy(&sa->if_id, sizeof sa->if_id, a);
  case XFRMA_SA: return copy(&sa->info, sizeof sa->info, a);
  default: return true;
  }
}

static itw_status sa_attrs(struct itwi_xfrm_sa *sa, struct attrs from)
{
  const struct nlattr *a;
  itw_status st;

  while ((st = next_attr(&a, &from)) == ITW_OK)
    if (!sa_attr(sa, a)) return ITW_ERR_SHORT;
  return st == ITW_EMPTY ? ITW_OK : st;
}

static bool policy_attr(struct itwi_xfrm_policy_info *p, const struct nlattr *a)
{
  const size_t len = mnl_attr_get_payload_len(a);

  switch (mnl_attr_get_type(a)) {
  case XFRMA_TMPL:
    if (len % sizeof p->templates[0] || len > sizeof p->templates) return false;
    memcpy(p->templates, octets_of(a), len);
    p->n = (uint32_t)(len / sizeof p->templates[0]);
    return true;
  case XFRMA_POLICY: return copy(&p->info, sizeof p->info, a); /* DELPOLICY's */
  case XFRMA_IF_ID: return copy(&p->if_id, sizeof p->if_id, a);
  default: return true;
  }
}

static itw_status policy_attrs(struct itwi_xfrm_policy_info *p, struct attrs from)
{
  const struct nlattr *a;
  itw_status st;

  while ((st = next_attr(&a, &from)) == ITW_OK)
    if (!policy_attr(p, a)) return ITW_ERR_SHORT;
  return st == ITW_EMPTY ? ITW_OK : st;
}

/* What comes before the attributes. */
static size_t fixed_part(uint16_t type)
{
  switch (type) {
  case XFRM_MSG_NEWSA:
  case XFRM_MSG_UPDSA: return sizeof(struct xfrm_usersa_info);
  case XFRM_MSG_DELSA: return sizeof(struct xfrm_usersa_id);
  case XFRM_MSG_EXPIRE: return sizeof(struct xfrm_user_expire);
  case XFRM_MSG_FLUSHSA: return sizeof(struct xfrm_usersa_flush);
  case XFRM_MSG_NEWPOLICY:
  case XFRM_MSG_UPDPOLICY: return sizeof(struct xfrm_userpolicy_info);
  case XFRM_MSG_DELPOLICY: return sizeof(struct xfrm_userpolicy_id);
  case XFRM_MSG_POLEXPIRE: return sizeof(struct xfrm_user_polexpire);
  case NLMSG_ERROR: return sizeof(int32_t);
  default: return 0;
  }
}

static itw_status decode_body(struct itwi_xfrm_message *m, const uint8_t *body, struct attrs from)
{
  struct xfrm_user_expire expire;
  struct xfrm_user_polexpire polexpire;
  struct xfrm_userpolicy_id policy_id;

  switch (m->type) {
  case NLMSG_ERROR: memcpy(&m->error, body, sizeof m->error); return ITW_OK;
  case NLMSG_DONE: /* older kernels' have no errno */
    if (from.left >= (int)sizeof m->error) memcpy(&m->error, from.at, sizeof m->error);
    return ITW_OK;
  case XFRM_MSG_FLUSHSA: m->proto = body[0]; return ITW_OK;
  case XFRM_MSG_NEWSA:
  case XFRM_MSG_UPDSA: memcpy(&m->sa.info, body, sizeof m->sa.info); return sa_attrs(&m->sa, from);
  case XFRM_MSG_DELSA: memcpy(&m->id, body, sizeof m->id); return sa_attrs(&m->sa, from);
  case XFRM_MSG_EXPIRE:
    memcpy(&expire, body, sizeof expire);
    m->sa.info = expire.state;
    m->sa.hard = expire.hard;
    return sa_attrs(&m->sa, from);
  case XFRM_MSG_NEWPOLICY:
  case XFRM_MSG_UPDPOLICY: memcpy(&m->policy.info, body, sizeof m->policy.info); return policy_attrs(&m->policy, from);
  case XFRM_MSG_DELPOLICY:
    memcpy(&policy_id, body, sizeof policy_id);
    m->policy.info.sel = policy_id.sel;
    m->policy.info.index = policy_id.index;
    m->policy.info.dir = policy_id.dir;
    return policy_attrs(&m->policy, from);
  case XFRM_MSG_POLEXPIRE:
    memcpy(&polexpire, body, sizeof polexpire);
    m->policy.info = polexpire.pol;
    m->policy.hard = polexpire.hard;
    return policy_attrs(&m->policy, from);
  default: return ITW_OK;
  }
}

/* Not mnl_nlmsg_ok: it takes a length above 2^31 for a negative one, and so for one that is within. */
static bool has_whole(struct nlmsghdr *head, const uint8_t *at, size_t left)
{
  if (left < sizeof *head) return false;
  memcpy(head, at, sizeof *head);
  return head->nlmsg_len >= sizeof *head && head->nlmsg_len <= left;
}

static size_t aligned(size_t n) { return (n + 3) & ~(size_t)3; }

itw_status itwi_xfrm_decode(struct itwi_xfrm_message *m, const uint8_t **at, size_t *left)
{
  const uint8_t *const octets = *at;
  struct nlmsghdr head;

  if (*left == 0) return ITW_EMPTY;
  if (!has_whole(&head, *at, *left)) {
    *left = 0;
    return ITW_ERR_SHORT;
  }
  const size_t whole = aligned(head.nlmsg_len) < *left ? aligned(head.nlmsg_len) : *left;
  *at += whole;
  *left -= whole;

  memset(m, 0, sizeof *m);
  m->type = head.nlmsg_type;
  m->flags = head.nlmsg_flags;
  m->seq = head.nlmsg_seq;
  m->port = head.nlmsg_pid;
  const size_t body = head.nlmsg_len - sizeof head, fixed = fixed_part(m->type);
  if (body < fixed) return ITW_ERR_SHORT;
  const size_t before = aligned(fixed) < body ? aligned(fixed) : body;
  return decode_body(m, octets + sizeof head, (struct attrs){octets + sizeof head + before, (int)(body - before)});
}

struct itw_addr itwi_xfrm_addr(const xfrm_address_t *a, uint16_t family)
{
  struct itw_addr out = {0};

  if (family != AF_INET && family != AF_INET6) return out;
  out.family = family == AF_INET ? 4 : 6;
  memcpy(out.ip, a, family == AF_INET ? 4 : 16);
  return out;
}
