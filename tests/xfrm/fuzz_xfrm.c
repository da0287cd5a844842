/* SPDX-License-Identifier: BSD-3-Clause */
/* Netlink messages of a kernel that errs in any way, at any time: while all SAs are read, with losses, with no room. Each step
   begins with an octet that says what happens; a message is then made from the octets that follow, spoiled in up to three places,
   or it is the octets themselves. After each step the table is looked through. */

#include "feed.h"

#include <netinet/in.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAPACITY = 8, LONGEST = 1500, RAW = 64 };
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

static struct itw_addr host(uint8_t n)
{
  return (struct itw_addr){.family = n & 2 ? 6 : 4, .ip = {10, [3] = n & 1, [15] = n & 2}};
}

/* ---- what is said ---- */

static struct feed_message make_sa(struct input *in, uint16_t type)
{
  static const char *const ciphers[] = {"cbc(aes)", "ecb(cipher_null)", "rfc3686(ctr(aes))", NULL};
  static const char *const hashes[] = {"hmac(sha1)", "digest_null", NULL, "hmac(sha256)"};
  const uint8_t ends = next(in), kind = next(in), spi = next(in);
  struct feed_sa sa = {.type = type, .src = host(ends & 3), .dst = host((ends & 2) | (~ends & 1)), .spi = spi % 16u};
  sa.proto = kind & 1 ? IPPROTO_ESP : IPPROTO_AH;
  sa.mode = kind >> 1 & 1;
  sa.crypt = ciphers[kind >> 2 & 3];
  sa.auth = hashes[kind >> 4 & 3];
  sa.aead = kind >> 6 ? NULL : "rfc4106(gcm(aes))";
  sa.key = kind >> 7;
  sa.reqid = ends >> 3 & 1;
  sa.window = ends >> 4 & 1;
  sa.hard = ends >> 5 & 1;
  sa.add_time = spi >> 4;
  return feed_make_sa(sa);
}

static struct feed_message make_policy(struct input *in, uint16_t type)
{
  const uint8_t ends = next(in), index = next(in);
  struct feed_policy p = {.type = type, .index = index % 16u, .reqid = index >> 4 & 1, .src = host(ends & 3)};
  p.dst = host((ends & 2) | (~ends & 1));
  p.local = p.remote = host(ends >> 2 & 3);
  p.local_bits = p.remote_bits = ends >> 4;
  p.hard = index >> 5 & 1;
  return feed_make_policy(p);
}

static struct feed_message make_raw(struct input *in)
{
  struct feed_message m = {.len = next(in) % (RAW + 1u)};
  for (size_t i = 0; i < m.len; i++) m.octets[i] = next(in);
  return m;
}

static struct feed_message make(struct input *in, uint32_t what)
{
  static const uint16_t types[] = {XFRM_MSG_NEWSA,     XFRM_MSG_UPDSA,      XFRM_MSG_DELSA,     XFRM_MSG_EXPIRE,
                                   XFRM_MSG_NEWPOLICY, XFRM_MSG_UPDPOLICY,  XFRM_MSG_DELPOLICY, XFRM_MSG_POLEXPIRE,
                                   XFRM_MSG_FLUSHSA,   XFRM_MSG_FLUSHPOLICY};
  if (what >= sizeof types / sizeof types[0]) return make_raw(in);
  const uint16_t type = types[what];
  if (what >= 8) return feed_make_flush(type, 0);
  return what < 4 ? make_sa(in, type) : make_policy(in, type);
}

static void spoil(struct feed_message *m, struct input *in)
{
  for (uint32_t times = next(in) % 4u; times && m->len; times--) {
    const size_t high = next(in), low = next(in);
    m->octets[(high << 8 | low) % m->len] ^= next(in);
  }
}

/* In memory of its own length: one octet too far is seen. */
static void say(const struct feed_message *m, void (*how)(const uint8_t *, size_t))
{
  uint8_t *const octets = malloc(m->len ? m->len : 1);
  if (!octets) abort();
  memcpy(octets, m->octets, m->len);
  how(octets, m->len);
  free(octets);
}

/* ---- what must be so ---- */

static void must(bool so)
{
  if (!so) abort();
}

static void look_at_half(const struct itw_xfrm *x, const struct itwi_half *h)
{
  const struct itwi_pair *const p = itwi_pair_at(x, h->pair);
  must(itwi_half_find(x, &h->dst, h->spi, h->proto) == h);
  must(!p || (p->in == itwi_half_place(x, h) || p->out == itwi_half_place(x, h)));
  must(!p || !(h->larval || h->widowed));
}

static void look_through(const struct itw_xfrm *x)
{
  uint32_t halves = 0, paired = 0, free_halves = 0, free_pairs = 0, dead = 0;
  for (const struct itwi_half *h = x->halves; h < x->halves + x->capacity; h++) {
    if (!h->proto) continue;
    look_at_half(x, h);
    halves++;
    paired += h->pair != 0;
  }
  for (itwi_place at = x->free_half; at; at = itwi_half_at(x, at)->same_ends) free_halves++;
  for (itwi_place at = x->free_pair; at; at = itwi_pair_at(x, at)->next) free_pairs++;
  for (itwi_place at = x->first_news; at; at = itwi_pair_at(x, at)->next) {
    must(itwi_pair_at(x, at)->news != 0);
    dead += !itwi_pair_at(x, at)->in;
  }
  must(halves == x->n_halves && halves + free_halves == x->capacity);
  must(paired == 2 * x->n_pairs && x->n_pairs + dead + free_pairs == x->capacity);
}

static void ask(struct itw_xfrm *x, uint8_t ends)
{
  const struct itw_addr a = host(ends & 3), b = host((ends & 2) | (~ends & 1));
  const struct itw_keys keys = itw_xfrm_keys(x);
  struct itw_answer answer;
  struct itw_ask q;
  ITW_INIT(q);
  ITW_INIT(answer);
  ITW_INIT(q.sa);
  q.kind = ITW_ASK_SELECT;
  q.role = ITW_ROLE_SERVER;
  q.schemes = ITW_DIRECT;
  q.modes = ITW_MODE_OPEN | ITW_MODE_ENC;
  q.local = a, q.remote = b;
  (void)!itw_xfrm_find(x, &q.sa, &a, &b);
  must(keys.ops->answer(keys.ctx, &q, &answer) == ITW_OK);
}

static bool take_event(struct itw_xfrm *x)
{
  struct itw_source_event e;
  ITW_INIT(e);
  return itw_xfrm_event(x, &e) == ITW_OK;
}

static void step(struct itw_xfrm *x, struct input *in, itw_mono now)
{
  const uint8_t what = next(in);
  struct feed_message m;
  switch (what & 15) {
  case 15: feed_lose(); break;
  case 14: (void)!take_event(x); break;
  case 13: ask(x, next(in)); break;
  case 12: feed_hold(what >> 4 & 1); break;
  case 11: (void)!feed_tell(); break;
  default:
    m = make(in, what & 15);
    spoil(&m, in);
    say(&m, what >> 4 & 1 ? feed_happen : feed_say);
  }
  (void)!itw_xfrm_read(x, now);
  look_through(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct input in = {data, size};
  itw_mono now = 0;
  if (size > LONGEST) return 0;
  feed_forget();
  struct itw_xfrm *const x = feed_open(CAPACITY);
  while (in.size) step(x, &in, now += 100000000);
  feed_hold(false);
  while (feed_tell()) continue;
  (void)!feed_settle(x, now + 2000000000);
  look_through(x);
  while (take_event(x)) continue;
  look_through(x);
  itw_xfrm_free(x);
  return 0;
}
