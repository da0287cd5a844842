/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions and answers: what fits, who is asked, when a provider hears that it is over. */

#include "ask.h"
#include "link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

/* A provider that does as it is told, and counts. */
struct provider {
  itw_status says;
  uint32_t fails;    /* the kind of question that it fails at */
  uint32_t kind;     /* of its answers; 0 with `ring`: the ring's */
  uint32_t wrong_id;
  itw_keyring *ring;
  uint32_t asked, cancelled;
  uint64_t tag;      /* of the cancelled question */
  uint32_t id;
  struct itw_ask last;
};

static itw_status provide(void *ctx, const struct itw_ask *q, struct itw_answer *out)
{
  struct provider *p = ctx;
  p->asked++;
  p->last = *q;
  assert_int_equal(out->id, q->id);
  if (p->fails == q->kind) return ITW_ERR_MEMORY;
  if (p->says == ITW_OK && p->ring) return itw_keyring_answer(p->ring, q, out);
  out->kind = p->kind;
  out->id += p->wrong_id;
  return p->says;
}

static void cancelled(void *ctx, uint64_t tag, uint32_t id)
{
  struct provider *p = ctx;
  p->cancelled++;
  p->tag = tag;
  p->id = id;
}

static const struct itw_keys_ops ops = {.size = sizeof ops, .answer = provide, .cancel = cancelled};
static const struct itw_keys_ops deaf_ops = {.size = sizeof deaf_ops, .answer = provide};

/* ---- by itself ---- */

static void each_question_has_its_number(void **state)
{
  struct itwi_asking a = {.ask = {.tag = 5, .role = ITW_ROLE_SERVER, .local = {.port = 862}, .remote = {.port = 9}}};
  struct itw_ask *q = itwi_ask_open(&a, ITW_ASK_SELECT);
  uint32_t first = q->id;
  (void)state;
  q->count = 7;
  assert_int_equal(q->kind, ITW_ASK_SELECT);
  itwi_ask_cancel(&a);
  q = itwi_ask_open(&a, ITW_ASK_ROOT);
  assert_int_not_equal(q->id, first);
  assert_int_equal(q->count, 0); /* nothing of the one before */
  assert_int_equal(q->tag, 5);
  assert_int_equal(q->role, ITW_ROLE_SERVER);
  assert_int_equal(q->local.port, 862);
  assert_int_equal(q->remote.port, 9);
  assert_int_equal(q->size, sizeof *q);
}

static void who_is_asked(void **state)
{
  struct provider p = {.kind = ITW_ANS_NONE};
  struct itwi_asking a = {.ask = {.tag = 5}};
  struct itw_answer n;
  (void)state;
  assert_int_equal(itwi_ask_provider(&a, &n), ITW_AGAIN); /* no question */
  itwi_ask_open(&a, ITW_ASK_SELECT);
  assert_int_equal(itwi_ask_provider(&a, &n), ITW_AGAIN); /* nobody to ask: the caller will */
  a.keys = (struct itw_keys){&ops, &p};
  assert_int_equal(itwi_ask_provider(&a, &n), ITW_OK);
  assert_int_equal(n.kind, ITW_ANS_NONE);
  assert_int_equal(itwi_ask_provider(&a, &n), ITW_AGAIN); /* told once */
  assert_int_equal(p.asked, 1);
  itwi_ask_cancel(&a);
  assert_int_equal(p.cancelled, 0); /* it answered */
}

static void what_a_provider_may_say(void **state)
{
  static const struct {
    itw_status says;
    uint32_t kind, wrong_id;
  } bad[] = {{ITW_ERR_KEY_PROVIDER, 0, 0}, {ITW_ERR_MEMORY, 0, 0}, {ITW_OK, 99, 0}, {ITW_OK, ITW_ANS_SA, 0}, {ITW_OK, 0, 1}};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct provider p = {.says = bad[i].says, .kind = bad[i].kind, .wrong_id = bad[i].wrong_id};
    struct itwi_asking a = {.keys = {&ops, &p}};
    struct itw_answer n;
    itwi_ask_open(&a, ITW_ASK_TOKEN_KEY);
    assert_int_equal(itwi_ask_provider(&a, &n), ITW_OK);
    assert_int_equal(n.kind, ITW_ANS_NONE);
    assert_int_equal(n.why, ITW_ERR_KEY_PROVIDER);
  }
}

static void cancel_is_told_once(void **state)
{
  struct provider p = {.says = ITW_AGAIN};
  struct itwi_asking a = {.ask = {.tag = 5}, .keys = {&ops, &p}};
  struct itw_answer n;
  (void)state;
  itwi_ask_open(&a, ITW_ASK_PAIR);
  itwi_ask_cancel(&a);
  assert_int_equal(p.cancelled, 0); /* never heard of it */
  itwi_ask_open(&a, ITW_ASK_PAIR);
  assert_int_equal(itwi_ask_provider(&a, &n), ITW_AGAIN);
  itwi_ask_cancel(&a);
  itwi_ask_cancel(&a);
  assert_int_equal(p.cancelled, 1);
  assert_int_equal(p.tag, 5);
  assert_int_equal(p.id, a.ask.id);
  a.keys.ops = &deaf_ops;
  itwi_ask_open(&a, ITW_ASK_PAIR);
  assert_int_equal(itwi_ask_provider(&a, &n), ITW_AGAIN);
  itwi_ask_cancel(&a); /* no cancel in its table */
}

static void what_fits(void **state)
{
  enum { SELECT = ITW_ASK_SELECT, KEY = ITW_ASK_TOKEN_KEY, ROOT = ITW_ASK_ROOT, PAIR = ITW_ASK_PAIR, SID = ITW_ASK_SID_PAIR };
  enum { NONE = ITW_ANS_NONE, SA = ITW_ANS_SA, SECRET = ITW_ANS_SECRET, DERIVED = ITW_ANS_DERIVED };
  static const struct {
    uint32_t ask, kind, schemes, modes, protocol;
    uint16_t token, enc, auth, secret;
    bool ok;
  } t[] = {
    {SELECT, NONE, 0, 0, 0, 0, 0, 0, 0, true},
    {SELECT, SA, ITW_SHARED, 4, ITW_SA_IKE, 0, 0, 0, 0, true},
    {SELECT, SA, ITW_PSK, 4, 0, 0, 0, 0, 0, true},
    {SELECT, SA, ITW_PSK | ITW_IKEV2, 4, ITW_SA_IKE, 0, 0, 0, 0, true},
    {SELECT, SA, 0, 4, ITW_SA_IKE, 0, 0, 0, 0, false},
    {SELECT, SA, ITW_DIRECT, 4, ITW_SA_ESP, 0, 0, 0, 0, false},            /* wasn't asked for */
    {SELECT, SA, ITW_SHARED, 8, ITW_SA_IKE, 0, 0, 0, 0, false},            /* nor that mode */
    {SELECT, SA, ITW_SHARED, 4, 0, 0, 0, 0, 0, false},                     /* without an SA */
    {SELECT, SA, ITW_SHARED, 4, 4, 0, 0, 0, 0, false},
    {SELECT, SA, ITW_SHARED | ITW_ROOT, 4, ITW_SA_IKE, 0, 0, 0, 0, false}, /* two of the draft's */
    {SELECT, SA, ITW_SHARED | ITW_PSK, 4, ITW_SA_IKE, 0, 0, 0, 0, false},
    {SELECT, SA, ITW_IKEV2, 4, ITW_SA_ESP, 0, 0, 0, 0, false},
    {SELECT, SECRET, 0, 0, 0, 0, 0, 0, 16, false},
    {SELECT, DERIVED, 0, 0, 0, 16, 0, 0, 0, false},
    {KEY, SA, ITW_SHARED, 4, ITW_SA_IKE, 0, 0, 0, 0, false},
    {KEY, SECRET, 0, 0, 0, 0, 0, 0, 1, true},
    {KEY, SECRET, 0, 0, 0, 0, 0, 0, 256, true},
    {KEY, SECRET, 0, 0, 0, 0, 0, 0, 0, false},
    {KEY, SECRET, 0, 0, 0, 0, 0, 0, 257, false},
    {KEY, DERIVED, 0, 0, 0, 16, 0, 0, 0, true},
    {KEY, DERIVED, 0, 0, 0, 15, 0, 0, 0, false},
    {KEY, DERIVED, 0, 0, 0, 16, 16, 32, 0, false},
    {ROOT, DERIVED, 0, 0, 0, 16, 16, 32, 0, true},
    {ROOT, DERIVED, 0, 0, 0, 16, 17, 32, 0, false},
    {ROOT, DERIVED, 0, 0, 0, 0, 16, 32, 0, false},
    {ROOT, SECRET, 0, 0, 0, 0, 0, 0, 32, true},
    {PAIR, DERIVED, 0, 0, 0, 0, 32, 64, 0, true},
    {PAIR, DERIVED, 0, 0, 0, 0, 16, 0, 0, false},
    {PAIR, DERIVED, 0, 0, 0, 0, 16, 65, 0, false},
    {PAIR, DERIVED, 0, 0, 0, 0, 0, 32, 0, false},
    {PAIR, DERIVED, 0, 0, 0, 16, 16, 32, 0, false},
    {PAIR, SECRET, 0, 0, 0, 0, 0, 0, 32, false}, /* an SA's keys aren't derived from anything */
    {SID, DERIVED, 0, 0, 0, 0, 24, 20, 0, true},
    {SID, SECRET, 0, 0, 0, 0, 0, 0, 32, true},
    {SID, 4, 0, 0, 0, 0, 0, 0, 0, false},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    struct itw_ask q = {.kind = t[i].ask, .schemes = ITW_PSK | ITW_IKEV2 | ITW_SHARED | ITW_ROOT, .modes = 7};
    struct itw_answer n = {.kind = t[i].kind, .schemes = t[i].schemes, .modes = t[i].modes, .sa = {.protocol = t[i].protocol},
                           .token_len = t[i].token, .enc_len = t[i].enc, .auth_len = t[i].auth, .secret_len = t[i].secret};
    if (itwi_answer_fits(&q, &n) != t[i].ok) fail_msg("line %zu of the table", i + 1);
  }
}

static void reasons(void **state)
{
  struct itw_ask psk = {.kind = ITW_ASK_TOKEN_KEY, .schemes = ITW_PSK}, sa = {.kind = ITW_ASK_ROOT, .schemes = ITW_ROOT};
  struct itw_answer none = {.why = 0}, told = {.why = ITW_ERR_SA_AEAD}, odd = {.why = 3};
  (void)state;
  assert_int_equal(itwi_answer_why(&psk, &none), ITW_ERR_KEY_ID);
  assert_int_equal(itwi_answer_why(&sa, &none), ITW_ERR_SA_NONE);
  assert_int_equal(itwi_answer_why(&sa, &odd), ITW_ERR_SA_NONE);
  assert_int_equal(itwi_answer_why(&sa, &told), ITW_ERR_SA_AEAD);
}

/* ---- in a connection ---- */

static struct itw_answer answer_from(struct link_side *s, const struct itw_ask *q)
{
  struct itw_answer n;
  ITW_INIT(n);
  assert_int_equal(itw_keyring_answer(link_ring(s), q, &n), ITW_OK);
  return n;
}

static void by_hand_later_and_stale(void **state)
{
  struct link l;
  struct itw_ask q, again;
  struct itw_answer n;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.s.by_hand = l.s.mute = true;
  link_connect(&l);
  ITW_INIT(q);
  ITW_INIT(again);
  assert_int_equal(l.s.p.wants, ITW_WANT_ANSWER);
  assert_int_equal(itw_conn_ask(l.s.conn, &q, &l.s.p), ITW_OK);
  assert_int_equal(l.s.p.wants, 0); /* told once */
  assert_int_equal(itw_conn_ask(l.s.conn, &again, &l.s.p), ITW_EMPTY);
  assert_int_equal(q.tag, 22);
  assert_int_equal(q.key_id_len, strlen(LINK_KEY_ID));
  n = answer_from(&l.s, &q);
  n.id++;
  assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &n, l.now), ITW_ERR_STALE);
  n.id--;
  n.kind = 99;
  assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &n, l.now), ITW_ERR_ARGUMENT); /* and stays open */
  n.kind = ITW_ANS_SECRET;
  link_wait(&l, 20);
  assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &n, l.now), ITW_OK);
  assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &n, l.now), ITW_ERR_STALE); /* once */
  link_run(&l);
  assert_true(link_up(&l));
  link_free(&l);
}

static void answer_after_the_end_is_stale(void **state)
{
  struct link l;
  struct itw_ask q;
  struct itw_answer n;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.s.by_hand = l.s.mute = true;
  link_connect(&l);
  ITW_INIT(q);
  assert_int_equal(itw_conn_ask(l.s.conn, &q, &l.s.p), ITW_OK);
  n = answer_from(&l.s, &q);
  link_wait(&l, 61);
  link_ended(&l.s, ITW_ERR_CLOSED); /* the Client waited 30 s */
  assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &n, l.now), ITW_ERR_STALE);
  link_free(&l);
}

static void answer_sizes(void **state)
{
  struct link l;
  struct itw_ask q;
  struct {
    struct itw_answer n;
    uint64_t more;
  } big;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.s.by_hand = l.s.mute = true;
  link_connect(&l);
  ITW_INIT(q);
  assert_int_equal(itw_conn_ask(l.s.conn, &q, &l.s.p), ITW_OK);
  memset(&big, 0, sizeof big);
  big.n = answer_from(&l.s, &q);
  big.n.size = sizeof big.n - 1;
  assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &big.n, l.now), ITW_ERR_SIZE);
  big.n.size = UINT32_MAX;
  assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &big.n, l.now), ITW_ERR_SIZE);
  big.n.size = sizeof big;
  big.more = 1;
  assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &big.n, l.now), ITW_ERR_NEWER);
  big.more = 0;
  assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &big.n, l.now), ITW_OK);
  link_run(&l);
  assert_true(link_up(&l));
  link_free(&l);
}

/* Every scheme, keys by hand on both sides: as with a provider. */
static void by_hand_in_every_scheme(void **state)
{
  (void)state;
  for (uint32_t scheme = ITW_PSK; scheme <= ITW_DIRECT; scheme <<= 1) {
    struct link l;
    link_init(&l, scheme, ITW_MODE_AUTH);
    l.s.by_hand = l.c.by_hand = true;
    link_connect(&l);
    link_request(&l, 0);
    assert_true(link_up(&l));
    link_free(&l);
  }
}

/* The derived octets instead of the secret, as an IPsec layer gives them that lets no secret out. */
static void derived_instead_of_secret(void **state)
{
  static const uint32_t schemes[] = {ITW_PSK, ITW_IKEV2, ITW_SHARED, ITW_SHARED_SID, ITW_ROOT};
  (void)state;
  for (size_t i = 0; i < 5; i++) {
    struct link l;
    link_init(&l, schemes[i], ITW_MODE_ENC);
    l.s.by_hand = l.s.mute = true;
    link_connect(&l);
    for (int guard = 0; l.s.p.wants & ITW_WANT_ANSWER && guard < 4; guard++) {
      struct itw_ask q;
      struct itw_answer n, d;
      struct itw_key_pair pair;
      ITW_INIT(q);
      ITW_INIT(d);
      ITW_INIT(pair);
      assert_int_equal(itw_conn_ask(l.s.conn, &q, &l.s.p), ITW_OK);
      n = answer_from(&l.s, &q);
      d.id = q.id;
      d.kind = ITW_ANS_DERIVED;
      if (q.kind == ITW_ASK_SELECT) {
        d = n;
      } else if (q.kind == ITW_ASK_TOKEN_KEY) {
        d.token_len = 16;
        assert_int_equal(itw_token_key(d.octets, n.octets, n.secret_len, q.salt, q.count, NULL), ITW_OK);
      } else {
        d.token_len = 16;
        assert_int_equal(itw_root_token(d.octets, n.sa.prf, n.octets, n.secret_len, q.challenge, NULL), ITW_OK);
        assert_int_equal(itw_root_pair(&pair, n.sa.prf, n.octets, n.secret_len, NULL), ITW_OK);
        d.enc_len = pair.enc_len;
        d.auth_len = pair.auth_len;
        memcpy(d.octets + 16, pair.enc, pair.enc_len);
        memcpy(d.octets + 16 + pair.enc_len, pair.auth, pair.auth_len);
      }
      assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &d, l.now), ITW_OK);
      link_run(&l);
    }
    assert_true(link_up(&l));
    assert_int_equal(l.s.works, 0);
    link_free(&l);
  }
}

static void provider_is_told_of_the_end(void **state)
{
  (void)state;
  for (int how = 0; how < 3; how++) { /* time-out, the peer closes, freed as it stands */
    struct provider p = {.says = ITW_AGAIN};
    struct link l;
    link_init(&l, ITW_PSK, ITW_MODE_ENC);
    l.sg.keys = (struct itw_keys){&ops, &p};
    link_connect(&l);
    assert_int_equal(p.asked, 1);
    assert_int_equal(l.s.p.wants, 0);
    assert_int_equal(p.cancelled, 0);
    if (how == 0) link_wait(&l, 61);
    if (how == 1) assert_int_equal(itw_conn_eof(l.s.conn, &l.s.p, l.now), ITW_OK);
    if (how < 2) assert_int_equal(p.cancelled, 1);
    itw_conn_free(l.s.conn);
    l.s.conn = NULL;
    assert_int_equal(p.cancelled, 1);
    assert_int_equal(p.tag, 22);
    assert_int_equal(p.id, p.last.id);
    link_free(&l);
  }
}

static void provider_answers_later(void **state)
{
  struct provider p = {.says = ITW_AGAIN};
  struct link l;
  struct itw_answer n;
  (void)state;
  link_init(&l, ITW_ROOT, ITW_MODE_ENC);
  l.sg.keys = (struct itw_keys){&ops, &p};
  link_connect(&l);
  assert_int_equal(p.last.kind, ITW_ASK_SELECT);
  for (int i = 0; i < 2; i++) { /* SELECT, then ROOT */
    n = answer_from(&l.s, &p.last);
    assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &n, l.now), ITW_OK);
    link_run(&l);
  }
  assert_int_equal(p.last.kind, ITW_ASK_ROOT);
  assert_true(link_up(&l));
  assert_int_equal(p.cancelled, 0);
  link_free(&l);
}

/* protocol.md 3: the key provider failed: Accept 2. */
static void provider_fails(void **state)
{
  struct provider p = {.says = ITW_ERR_MEMORY}, q = {.fails = ITW_ASK_SELECT};
  struct link l;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.sg.keys = (struct itw_keys){&ops, &p};
  link_connect(&l);
  link_ended(&l.s, ITW_ERR_KEY_PROVIDER);
  link_ended(&l.c, ITW_ERR_REFUSED);
  assert_int_equal(link_why(&l.c).accept, ITW_ACCEPT_INTERNAL);
  link_free(&l);

  link_init(&l, ITW_IKEV2 | ITW_PSK, ITW_MODE_ENC); /* a failed provider is no reason for weaker keys */
  l.cg.flags = ITW_CLIENT_FALLBACK_PSK | ITW_CLIENT_FALLBACK_OPEN;
  q.ring = link_ring(&l.c);
  l.cg.keys = (struct itw_keys){&ops, &q};
  link_connect(&l);
  link_ended(&l.c, ITW_ERR_KEY_PROVIDER);
  link_free(&l);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_question_has_its_number),
    cmocka_unit_test(who_is_asked),
    cmocka_unit_test(what_a_provider_may_say),
    cmocka_unit_test(cancel_is_told_once),
    cmocka_unit_test(what_fits),
    cmocka_unit_test(reasons),
    cmocka_unit_test(by_hand_later_and_stale),
    cmocka_unit_test(answer_after_the_end_is_stale),
    cmocka_unit_test(answer_sizes),
    cmocka_unit_test(by_hand_in_every_scheme),
    cmocka_unit_test(derived_instead_of_secret),
    cmocka_unit_test(provider_is_told_of_the_end),
    cmocka_unit_test(provider_answers_later),
    cmocka_unit_test(provider_fails),
  };
  return cmocka_run_group_tests_name("ask", tests, NULL, NULL);
}
