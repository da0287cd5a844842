/* SPDX-License-Identifier: BSD-3-Clause */
/* Each recorded datagram of the kernel (tests/vectors/xfrm), field by field; cut short everywhere, and with each bit flipped. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "inside.h"
#include "vec.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILES = 64, DATAGRAM = 32768 };

struct datagram {
  uint8_t *octets; /* its own, so that one octet too far is seen */
  size_t len;
};

static struct datagram copy_of(const uint8_t *octets, size_t len)
{
  const struct datagram d = {malloc(len ? len : 1), len};
  assert_non_null(d.octets);
  if (len) memcpy(d.octets, octets, len);
  return d;
}

static struct datagram read_wire(const struct vec_section *s)
{
  static uint8_t room[DATAGRAM];
  return copy_of(room, vec_hex(s, "wire", room, sizeof room));
}

/* ---- field by field ---- */

static const struct vec_section *at; /* what is compared, for messages */

static void same(const char *key, uint64_t value)
{
  if (vec_u64(at, key) != value)
    fail_msg("line %zu: %s is %llu, not %llu", at->line, key, (unsigned long long)value, (unsigned long long)vec_u64(at, key));
}

static void same_octets(const char *key, const void *octets, size_t len)
{
  uint8_t want[256];
  const size_t n = vec_hex(at, key, want, sizeof want);
  if (n > len || memcmp(want, octets, n) != 0) fail_msg("line %zu: %s", at->line, key);
}

static void same_ip(const char *key, const xfrm_address_t *a, uint16_t family)
{
  const struct itw_addr addr = itwi_xfrm_addr(a, family);
  uint8_t want[16];
  assert_int_equal(addr.family, family == AF_INET ? 4 : 6);
  assert_int_equal(vec_hex(at, key, want, sizeof want), family == AF_INET ? 4 : 16);
  same_octets(key, addr.ip, sizeof addr.ip);
}

static void same_alg(const char *name, const struct itwi_xfrm_alg *alg, bool icv)
{
  char key[32];
  uint8_t octets[256];
  if (!vec_has(at, name)) {
    assert_string_equal(alg->name, "");
    return;
  }
  assert_string_equal(alg->name, vec_word(at, name));
  snprintf(key, sizeof key, "%s_bits", name);
  same(key, alg->key_bits);
  snprintf(key, sizeof key, "%s_key", name);
  assert_int_equal(vec_hex(at, key, octets, sizeof octets), alg->key_bits / 8);
  same_octets(key, alg->key, alg->key_bits / 8);
  snprintf(key, sizeof key, "%s_icv_bits", name);
  if (icv) same(key, alg->more_bits);
}

static void same_info(const struct xfrm_usersa_info *i)
{
  same_ip("daddr", &i->id.daddr, i->family);
  same_ip("saddr", &i->saddr, i->family);
  same_octets("spi", &i->id.spi, sizeof i->id.spi);
  same("proto", i->id.proto);
  same("family", i->family);
  same("mode", i->mode);
  same("replay_window", i->replay_window);
  same("sa_flags", i->flags);
  same("esn", (i->flags & XFRM_STATE_ESN) != 0);
  same("sa_seq", i->seq);
  same("reqid", i->reqid);
  same("soft_byte", i->lft.soft_byte_limit), same("hard_byte", i->lft.hard_byte_limit);
  same("soft_pkt", i->lft.soft_packet_limit), same("hard_pkt", i->lft.hard_packet_limit);
  same("soft_add", i->lft.soft_add_expires_seconds), same("hard_add", i->lft.hard_add_expires_seconds);
  same("soft_use", i->lft.soft_use_expires_seconds), same("hard_use", i->lft.hard_use_expires_seconds);
  same("bytes", i->curlft.bytes), same("packets", i->curlft.packets);
  same("add_time", i->curlft.add_time), same("use_time", i->curlft.use_time);
  same("late", i->stats.replay_window), same("replayed", i->stats.replay), same("integrity_failed", i->stats.integrity_failed);
}

static void same_if_there(const char *key, uint64_t value)
{
  if (vec_has(at, key))
    same(key, value);
  else
    assert_true(value == 0);
}

/* `sa_dir` is not looked at. */
static void same_sa(const struct itwi_xfrm_sa *sa)
{
  same_info(&sa->info);
  same_alg("auth", &sa->auth, false);
  same_alg("auth_trunc", &sa->trunc, true);
  same_alg("crypt", &sa->crypt, false);
  same_alg("aead", &sa->aead, true);
  assert_int_equal(sa->encapsulated, vec_has(at, "encap_type"));
  same_if_there("encap_type", sa->encap.encap_type);
  same_if_there("encap_sport", ntohs(sa->encap.encap_sport)), same_if_there("encap_dport", ntohs(sa->encap.encap_dport));
  same_if_there("mark", sa->mark.v), same_if_there("mark_mask", sa->mark.m);
  same_if_there("set_mark", sa->set_mark), same_if_there("set_mark_mask", sa->set_mark_mask);
  same_if_there("if_id", sa->if_id);
  same_if_there("hard", sa->hard);
  same_if_there("replay_oseq", sa->replay.oseq), same_if_there("replay_seq", sa->replay.seq);
  same_if_there("replay_bitmap", sa->replay.bitmap);
  assert_int_equal(sa->has_esn_state, vec_has(at, "esn_seq"));
  same_if_there("esn_bmp_len", sa->esn.bitmap_words), same_if_there("esn_replay_window", sa->esn.replay_window);
  same_if_there("esn_oseq", sa->esn.oseq), same_if_there("esn_oseq_hi", sa->esn.oseq_hi);
  same_if_there("esn_seq", sa->esn.seq), same_if_there("esn_seq_hi", sa->esn.seq_hi);
}

static void same_selector(const struct xfrm_selector *s)
{
  same("sel_family", s->family);
  same_ip("sel_saddr", &s->saddr, s->family), same_ip("sel_daddr", &s->daddr, s->family);
  same("sel_prefixlen_s", s->prefixlen_s), same("sel_prefixlen_d", s->prefixlen_d);
  same("sel_sport", ntohs(s->sport)), same("sel_sport_mask", ntohs(s->sport_mask));
  same("sel_dport", ntohs(s->dport)), same("sel_dport_mask", ntohs(s->dport_mask));
  same("sel_proto", s->proto);
}

/* Leaves `at` at the last template, if there is one. */
static void same_policy(const struct itwi_xfrm_policy_info *p)
{
  same_selector(&p->info.sel);
  same("priority", p->info.priority), same("index", p->info.index);
  same("dir", p->info.dir), same("action", p->info.action);
  same_if_there("if_id", p->if_id);
  for (uint32_t i = 0; i < p->n; i++) {
    const struct xfrm_user_tmpl *const t = &p->templates[i];
    at = vec_next(at->vec, at, NULL);
    assert_string_equal(at->kind, "template");
    same_ip("saddr", &t->saddr, t->family), same_ip("daddr", &t->id.daddr, t->family);
    same("proto", t->id.proto), same("family", t->family), same("reqid", t->reqid), same("mode", t->mode);
    same("optional", t->optional);
  }
}

static void same_message(const struct itwi_xfrm_message *m)
{
  same("type", m->type), same("flags", m->flags), same("seq", m->seq), same("port", m->port);
  switch (m->type) {
  case NLMSG_ERROR: same("errno", (uint64_t)-m->error); break;
  case NLMSG_DONE: assert_int_equal(m->error, 0); break;
  case XFRM_MSG_FLUSHSA: same("proto", m->proto); break;
  case XFRM_MSG_DELSA:
    same_ip("daddr", &m->id.daddr, m->id.family);
    same_octets("spi", &m->id.spi, sizeof m->id.spi);
    same("proto", m->id.proto);
    same_sa(&m->sa);
    break;
  case XFRM_MSG_NEWSA:
  case XFRM_MSG_UPDSA:
  case XFRM_MSG_EXPIRE: same_sa(&m->sa); break;
  case XFRM_MSG_NEWPOLICY:
  case XFRM_MSG_UPDPOLICY:
  case XFRM_MSG_DELPOLICY: same_policy(&m->policy); break;
  default: assert_false(vec_has(at, "spi") || vec_has(at, "index")); break;
  }
}

/* Every message of a file; returns how many. */
static unsigned decode_file(const char *file)
{
  struct vec *const v = vec_load(file);
  unsigned n = 0;
  at = vec_first(v, "datagram");
  while (at) {
    struct itwi_xfrm_message m;
    const struct datagram d = read_wire(at);
    const uint8_t *octets = d.octets;
    size_t left = d.len;
    while (left) {
      const uint8_t *const from = octets;
      assert_int_equal(itwi_xfrm_decode(&m, &octets, &left), ITW_OK);
      at = vec_next(v, at, NULL);
      assert_string_equal(at->kind, "message");
      assert_true(octets - from == (ptrdiff_t)((vec_u64(at, "octets") + 3) & ~UINT64_C(3)));
      same_message(&m);
      n++;
    }
    assert_int_equal(itwi_xfrm_decode(&m, &octets, &left), ITW_EMPTY);
    free(d.octets);
    at = vec_next(v, at, NULL);
    if (at) assert_string_equal(at->kind, "datagram");
  }
  vec_free(v);
  return n;
}

static void field_by_field(void **state)
{
  char names[FILES][128];
  const size_t n = vec_files("xfrm", names, FILES);
  unsigned messages = 0;
  (void)state;
  for (size_t i = 0; i < n; i++) messages += decode_file(names[i]);
  print_message("%zu files, %u messages\n", n, messages);
}

/* ---- not as recorded ---- */

/* Whatever comes: it ends, and what is decoded lies inside: all of it is read. */
static uint32_t decode_all(struct datagram d)
{
  struct itwi_xfrm_message m;
  const uint8_t *octets = d.octets;
  size_t left = d.len;
  uint32_t sum = 0;
  itw_status st;
  while ((st = itwi_xfrm_decode(&m, &octets, &left)) != ITW_EMPTY) {
    if (st != ITW_OK || (m.type != XFRM_MSG_NEWSA && m.type != XFRM_MSG_UPDSA)) continue;
    const struct itwi_xfrm_alg *const algs[] = {&m.sa.auth, &m.sa.trunc, &m.sa.crypt, &m.sa.aead};
    for (size_t i = 0; i < 4; i++)
      for (uint32_t k = 0; k < algs[i]->key_bits / 8; k++) sum += algs[i]->key[k];
  }
  return sum;
}

/* ITW_OK: it is whole messages from beginning to end. */
static itw_status decode_whole(struct datagram d)
{
  struct itwi_xfrm_message m;
  const uint8_t *octets = d.octets;
  size_t left = d.len;
  itw_status st = ITW_OK;
  while (left && st == ITW_OK) st = itwi_xfrm_decode(&m, &octets, &left);
  return st;
}

static bool is_between_messages(struct datagram d, size_t len)
{
  size_t end = 0;
  while (end < len) end += ((const struct nlmsghdr *)(const void *)(d.octets + end))->nlmsg_len;
  return end == len;
}

static void cut(struct datagram whole)
{
  for (size_t len = 0; len < whole.len; len++) {
    const struct datagram d = copy_of(whole.octets, len);
    assert_int_equal(decode_whole(d), is_between_messages(whole, len) ? ITW_OK : ITW_ERR_SHORT);
    free(d.octets);
  }
}

static uint32_t read_octets; /* so that reading them isn't in vain */

static void flip(struct datagram d)
{
  for (size_t bit = 0; bit < 8 * d.len; bit++) {
    d.octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
    read_octets += decode_all(d);
    d.octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
}

static void for_each_datagram(void (*what)(struct datagram))
{
  char names[FILES][128];
  const size_t n = vec_files("xfrm", names, FILES);
  for (size_t i = 0; i < n; i++) {
    struct vec *const v = vec_load(names[i]);
    for (const struct vec_section *s = vec_first(v, "datagram"); s; s = vec_next(v, s, "datagram")) {
      const struct datagram d = read_wire(s);
      what(d);
      free(d.octets);
    }
    vec_free(v);
  }
}

static void cut_everywhere(void **state)
{
  (void)state;
  for_each_datagram(cut);
}

static void flipped_everywhere(void **state)
{
  (void)state;
  for_each_datagram(flip);
  print_message("sum of the octets of all keys: %u\n", read_octets);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
    cmocka_unit_test(field_by_field),
    cmocka_unit_test(cut_everywhere),
    cmocka_unit_test(flipped_everywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
