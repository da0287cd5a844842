/* SPDX-License-Identifier: BSD-3-Clause */
/* Server: who gets in, what it does for a session, what it answers to commands, PBKDF2 and its bounds, its timers. Most
   Clients here are played by the test. */

#include "link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* A server of l, and a Client to be played. */
static void with_fake(struct link *l, struct fake *f, uint32_t schemes, uint32_t modes)
{
  link_init(l, schemes, modes);
  link_server(l);
  fake_open(f, l, &l->s);
}

static void joined(struct link *l, struct fake *f, uint32_t mode)
{
  with_fake(l, f, mode == ITW_MODE_OPEN ? 0 : ITW_PSK, mode);
  assert_int_equal(fake_join(f, mode), ITW_ACCEPT_OK);
}

static void done(struct link *l, struct fake *f)
{
  fake_close(f);
  link_free(l);
}

/* Another connection of the same Server, all the way: whatever happened before did no harm. */
static void others_are_served(struct link *l)
{
  struct link other;
  link_init(&other, l->sg.schemes, l->sg.modes & ITW_MODE_OPEN ? ITW_MODE_OPEN : ITW_MODE_ENC);
  if (!(l->sg.modes & (ITW_MODE_OPEN | ITW_MODE_ENC))) other.cg.modes[0] = ITW_MODE_AUTH;
  other.cg.random[50] ^= 0x55;
  link_share(&other, l);
  link_connect(&other);
  link_request(&other, 0);
  link_start(&other);
  link_stop(&other);
  assert_true(link_up(&other));
  link_free(&other);
}

/* ---- Set-Up-Response ---- */

static void modes_that_are_refused(void **state)
{
  static const struct {
    uint32_t mode;
    int answer;
    itw_status why;
  } t[] = {
    {4, 0, 0}, {2, 3, ITW_ERR_MODE}, {1, 3, ITW_ERR_MODE}, {8, 3, ITW_ERR_MODE}, {6, 3, ITW_ERR_MODE}, {15, 3, ITW_ERR_MODE},
    {4 | 128, 3, ITW_ERR_MODE}, {4 | 16, 3, ITW_ERR_MODE}, {0xffffffff, 3, ITW_ERR_MODE}, {0, -1, ITW_ERR_MODE},
    {0x80000000, -1, ITW_ERR_MODE}, {0x80000004, 0, 0},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    struct link l;
    struct fake f;
    with_fake(&l, &f, ITW_PSK, ITW_MODE_ENC);
    assert_int_equal(fake_join(&f, t[i].mode), t[i].answer);
    if (t[i].why) {
      link_ended(&l.s, t[i].why);
      assert_int_equal(link_events(&l.s, ITW_EV_UP), 0);
    }
    others_are_served(&l);
    done(&l, &f);
  }
}

/* A refusal is all zero but for Accept. */
static void refusals_are_clear_and_zero(void **state)
{
  struct link l;
  uint8_t want[48] = {0};
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.s.flip = 3; /* Mode */
  l.s.mask = 1;
  l.c.limit = 64;
  link_connect(&l);
  want[15] = ITW_ACCEPT_UNSUPPORTED;
  assert_int_equal(l.s.out_len, 48);
  assert_memory_equal(l.s.out, want, 48);
  link_free(&l);
}

static void key_id_nobody_knows(void **state)
{
  static const char *const ids[] = {"bob", "", "alic", "alicf", "Alice"};
  (void)state;
  for (size_t i = 0; i < 5; i++) {
    struct link l;
    struct fake f;
    with_fake(&l, &f, ITW_PSK, ITW_MODE_ENC);
    fake_prepare(&f, ITW_MODE_ENC);
    memset(f.setup.key_id, 0, 80);
    memcpy(f.setup.key_id, ids[i], strlen(ids[i]));
    assert_int_equal(fake_go(&f), ITW_ACCEPT_FAILURE);
    link_ended(&l.s, ITW_ERR_KEY_ID);
    others_are_served(&l);
    done(&l, &f);
  }
}

/* A whole Token's worth of bits: in the Challenge's block refused at once, behind it by the first HMAC; never taken. */
static void token_with_one_bit_wrong(void **state)
{
  (void)state;
  for (size_t bit = 0; bit < 512; bit += 7) {
    struct link l;
    struct fake f;
    struct itw_request_tw q = fake_wish();
    uint8_t body[ITW_REQUEST_LEN], junk[512];
    with_fake(&l, &f, ITW_PSK, ITW_MODE_ENC);
    l.s.slice = 2048;
    fake_prepare(&f, ITW_MODE_ENC);
    f.setup.token[bit / 8] ^= (uint8_t)(1u << bit % 8);
    if (bit < 128) {
      assert_int_equal(fake_go(&f), ITW_ACCEPT_FAILURE);
      link_ended(&l.s, ITW_ERR_TOKEN);
    } else {
      assert_int_equal(fake_go(&f), ITW_ACCEPT_OK);
      assert_int_equal(itw_request_tw_write(body, sizeof body, &q), ITW_OK);
      fake_seal(&f, body, sizeof body);
      fake_get(&f, junk, sizeof junk);
      link_wait(&l, 61);
      assert_true(link_over(&l.s));
      assert_int_equal(link_events(&l.s, ITW_EV_REQUEST), 0);
    }
    done(&l, &f);
  }
}

/* root and direct: the Client doesn't choose a key, so only its IV tells a replay (RFC 4656 §3.1). */
static void client_iv_used_before(void **state)
{
  static const uint32_t schemes[] = {ITW_ROOT, ITW_DIRECT};
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    struct link l;
    link_init(&l, schemes[i], ITW_MODE_ENC);
    link_connect(&l);
    link_request(&l, 0);
    link_connect(&l); /* with the same random octets: the same Client-IV */
    link_ended(&l.s, ITW_ERR_REPLAY);
    link_ended(&l.c, ITW_ERR_REFUSED);
    assert_int_equal(link_why(&l.c).accept, ITW_ACCEPT_FAILURE);
    others_are_served(&l);
    link_free(&l);
  }
}

/* In open mode there is no IV; in the Token schemes the Client chooses its keys. */
static void client_iv_of_no_concern(void **state)
{
  static const struct {
    uint32_t scheme, mode;
  } t[] = {{ITW_ROOT, 1}, {ITW_DIRECT, 1}, {ITW_PSK, 4}, {ITW_SHARED, 4}, {ITW_IKEV2, 4}};
  (void)state;
  for (size_t i = 0; i < 5; i++) {
    struct link l;
    link_init(&l, t[i].scheme, t[i].mode);
    link_connect(&l);
    link_connect(&l);
    assert_true(link_up(&l));
    link_free(&l);
  }
}

static void connect_with_iv(struct link *l, uint8_t n)
{
  l->cg.random[48] = n;
  link_connect(l);
  if (link_up(l)) link_request(l, 0);
}

/* Bounded, the oldest go first. */
static void memory_of_client_ivs(void **state)
{
  static const uint32_t schemes[] = {ITW_ROOT, ITW_DIRECT};
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    struct link l;
    link_init(&l, schemes[i], ITW_MODE_AUTH);
    l.sg.client_ivs = 3;
    for (uint8_t n = 1; n <= 4; n++) {
      connect_with_iv(&l, n);
      assert_true(link_up(&l));
    }
    for (uint8_t n = 2; n <= 4; n++) {
      connect_with_iv(&l, n);
      assert_false(link_up(&l));
    }
    connect_with_iv(&l, 1); /* forgotten */
    assert_true(link_up(&l));
    link_free(&l);
  }
}

/* direct: who doesn't hold the key can't fill the memory. */
static void unproven_ivs_are_not_kept(void **state)
{
  struct link l;
  (void)state;
  link_init(&l, ITW_DIRECT, ITW_MODE_ENC);
  link_connect(&l);
  link_connect(&l); /* the first one never sent a message with an HMAC */
  assert_true(link_up(&l));
  link_free(&l);
}

/* ... and of two that do at the same time only one is taken. */
static void replay_beside_the_first(void **state)
{
  struct link a, b;
  struct itw_request q = link_wish(0);
  (void)state;
  link_init(&a, ITW_DIRECT, ITW_MODE_ENC);
  link_connect(&a);
  link_init(&b, ITW_DIRECT, ITW_MODE_ENC);
  link_share(&b, &a);
  link_connect(&b);
  link_request(&a, 0);
  assert_int_equal(link_ask(&b, &q), ITW_OK);
  link_ended(&b.s, ITW_ERR_REPLAY);
  assert_int_equal(link_events(&b.s, ITW_EV_REQUEST), 0);
  assert_true(link_up(&a));
  link_free(&b);
  link_free(&a);
}

/* ---- which scheme and SA: SELECT ---- */

static void several_schemes_one_per_peer(void **state)
{
  enum { ALL = ITW_SHARED | ITW_ROOT | ITW_DIRECT };
  static const struct {
    uint32_t serves, keys, scheme;
  } t[] = {{ITW_SHARED, LINK_IKE, ITW_SHARED}, {ITW_ROOT, LINK_IKE, ITW_ROOT}, {ITW_DIRECT, LINK_ESP, ITW_DIRECT}};
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    struct link l;
    struct itw_sa sa = link_sa(t[i].keys);
    struct itw_ike_sa ike;
    struct itw_child_sa child;
    link_init(&l, t[i].scheme, ITW_MODE_ENC);
    l.sg.schemes = ALL;
    l.s.keys = 0;
    l.c.keys = t[i].keys;
    ITW_INIT(ike);
    ITW_INIT(child);
    ike.sa = child.sa = sa;
    ike.schemes = child.schemes = t[i].serves;
    ike.skeyseed_len = 32;
    child.encr = ITW_ENCR_AES_CBC;
    child.encr_len = 16;
    child.integ_len = 32;
    if (sa.protocol == ITW_SA_IKE)
      assert_int_equal(itw_keyring_add_ike(link_ring(&l.s), &ike), ITW_OK);
    else
      assert_int_equal(itw_keyring_add_child(link_ring(&l.s), &child), ITW_OK);
    l.s.limit = 0; /* the greeting and the choice are what is looked at; the keys differ */
    link_connect(&l);
    assert_int_equal(l.c.out_len, t[i].scheme == ITW_SHARED ? 164 : t[i].scheme == ITW_ROOT ? 36 : 20);
    link_free(&l);
  }
}

static void without_an_sa(void **state)
{
  static const struct {
    uint32_t schemes, legacy, modes, count;
    itw_status why;
  } t[] = {
    {ITW_SHARED, 0, 0, 1024, ITW_ERR_SA_NONE},
    {ITW_ROOT, 0, 0, 1024, ITW_ERR_SA_NONE},
    {ITW_DIRECT, 0, 0, 1024, ITW_ERR_SA_NONE},
    {ITW_ROOT, 1, 1, 1024, ITW_OK},
    {ITW_DIRECT | ITW_PSK, 6, 6, 2048, ITW_OK},
    {ITW_SHARED | ITW_PSK, 4, 4, 2048, ITW_OK},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    struct link l;
    uint8_t octets[100];
    struct itw_greeting g;
    link_init(&l, t[i].schemes, ITW_MODE_ENC);
    l.sg.legacy_modes = t[i].legacy;
    l.sg.count_psk = 2048;
    l.s.keys = 0;
    if (!(t[i].schemes & ITW_PSK)) link_ring(&l.s);
    link_server(&l);
    link_run(&l);
    assert_int_equal(l.s.out_len, 64); /* the plain one, whatever the scheme's own form */
    memcpy(octets, l.s.out, 64);
    assert_int_equal(itw_greeting_read(&g, ITW_FORM_FULL, octets, 64), ITW_OK);
    assert_int_equal(g.protocol | g.spi_i | g.spi_r, 0);
    assert_int_equal(g.modes, t[i].modes);
    if (t[i].modes & 6) assert_int_equal(g.count, t[i].count);
    if (t[i].why)
      link_ended(&l.s, t[i].why);
    else
      assert_false(link_over(&l.s));
    link_free(&l);
  }
}

/* SAs that don't do in `direct`: each by its own status; in open mode the offer is 9. */
static void sas_unfit_for_direct(void **state)
{
  static const struct {
    uint32_t key;
    itw_status why;
  } t[] = {{LINK_ESP_AEAD, ITW_ERR_SA_AEAD}, {LINK_ESP_NULL, ITW_ERR_SA_NULL}, {LINK_AH, ITW_ERR_SA_AH}};
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    struct link l;
    link_init(&l, ITW_DIRECT, ITW_MODE_ENC);
    l.s.keys = t[i].key;
    link_connect(&l);
    link_ended(&l.s, t[i].why);
    link_ended(&l.c, ITW_ERR_NOT_WILLING);
    link_free(&l);
    link_init(&l, ITW_DIRECT, ITW_MODE_OPEN | ITW_MODE_ENC);
    l.cg.modes[0] = ITW_MODE_OPEN;
    l.s.keys = l.c.keys = t[i].key;
    link_server(&l);
    link_run(&l);
    assert_int_equal(l.s.out[15], 9);
    link_client(&l);
    link_run(&l);
    assert_true(link_up(&l));
    link_free(&l);
  }
}

/* A provider that offers an SA for none of the draft's modes: counts as none. */
static void sa_that_suits_no_mode(void **state)
{
  struct link l;
  struct itw_ask q;
  struct itw_answer n;
  (void)state;
  link_init(&l, ITW_SHARED | ITW_PSK, ITW_MODE_MIXED);
  l.s.by_hand = l.s.mute = true;
  link_server(&l);
  ITW_INIT(q);
  ITW_INIT(n);
  assert_int_equal(itw_conn_ask(l.s.conn, &q, &l.s.p), ITW_OK);
  n.id = q.id;
  n.kind = ITW_ANS_SA;
  n.schemes = ITW_SHARED;
  n.modes = ITW_MODE_MIXED;
  n.sa = link_sa(LINK_IKE);
  assert_int_equal(itw_conn_answer(l.s.conn, &l.s.p, &n, l.now), ITW_OK);
  link_run(&l);
  assert_int_equal(l.s.out_len, 64);
  for (size_t i = 0; i < 16; i++) assert_int_equal(l.s.out[i], 0); /* no SA, Modes 0 */
  link_ended(&l.s, ITW_ERR_SA_UNFIT);
  link_free(&l);
}

static void legacy_clients(void **state)
{
  static const struct {
    uint32_t legacy, mode;
    int answer;
  } t[] = {{0, 4, 3}, {0, 1, 3}, {4, 4, 0}, {4, 1, 3}, {1, 1, 0}, {7, 2, 0}, {7, 3, 3}, {7, 8, 3}};
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    struct link l;
    struct fake f;
    link_init(&l, ITW_SHARED | ITW_PSK, 7);
    l.sg.legacy_modes = t[i].legacy;
    link_server(&l);
    fake_open(&f, &l, &l.s);
    assert_int_equal(fake_join(&f, t[i].mode), t[i].answer);
    assert_int_equal(f.greeting.modes, 15);
    if (!t[i].answer) assert_int_equal(link_event(&l.s, ITW_EV_UP)->scheme, t[i].mode == 1 ? 0 : ITW_PSK);
    done(&l, &f);
  }
}

/* ---- PBKDF2 ---- */

static void slices_make_no_difference(void **state)
{
  static const uint32_t slices[] = {1, 7, 100, 1022, 1023, 1024, UINT32_MAX};
  (void)state;
  for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
    struct link l;
    struct fake f;
    with_fake(&l, &f, ITW_PSK, ITW_MODE_ENC);
    l.s.slice = slices[i];
    assert_int_equal(fake_join(&f, ITW_MODE_ENC), ITW_ACCEPT_OK);
    assert_int_equal(l.s.works, (1023 + (uint64_t)slices[i] - 1) / slices[i]);
    done(&l, &f);
  }
}

static void once_per_secret_and_salt(void **state)
{
  struct link l;
  uint8_t salt[16] = {1};
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  link_connect(&l);
  assert_int_equal(l.s.works, 2);
  link_connect(&l);
  assert_true(link_up(&l));
  assert_int_equal(l.s.works, 0);
  assert_int_equal(itw_server_set_salt(l.server, salt), ITW_OK);
  link_connect(&l);
  assert_true(link_up(&l));
  assert_int_equal(l.s.works, 2); /* another Salt */
  link_connect(&l);
  assert_int_equal(l.s.works, 0);
  assert_int_equal(itw_keyring_remove_psk(l.s.ring, (const uint8_t *)LINK_KEY_ID, 5), ITW_OK);
  link_connect(&l);
  link_ended(&l.s, ITW_ERR_KEY_ID); /* what was cached is of no use without the secret */
  assert_int_equal(itw_server_set_salt(NULL, salt), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_server_set_salt(l.server, NULL), ITW_ERR_ARGUMENT);
  link_free(&l);
}

static void set_salt_leaves_connections_alone(void **state)
{
  struct link l;
  uint8_t salt[16] = {1};
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.s.limit = 0;
  link_connect(&l);
  assert_int_equal(itw_server_set_salt(l.server, salt), ITW_OK);
  l.s.limit = SIZE_MAX;
  link_run(&l);
  assert_true(link_up(&l));
  link_free(&l);
}

/* Attempt: a KeyID that is nobody's, or a wrong Token: how many calls of itw_conn_work it cost. */
static uint32_t work_of(struct link *l, bool known)
{
  struct fake f;
  uint32_t works;
  link_server(l);
  fake_open(&f, l, &l->s);
  fake_prepare(&f, ITW_MODE_ENC);
  if (!known) f.setup.key_id[0] ^= 0x20;
  f.setup.token[0] ^= 1;
  assert_int_equal(fake_go(&f), ITW_ACCEPT_FAILURE);
  works = l->s.works;
  fake_close(&f);
  return works;
}

static void unknown_key_id_costs_the_same(void **state)
{
  struct link l;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  assert_int_equal(work_of(&l, true), 2);
  assert_int_equal(work_of(&l, false), 2);
  assert_int_equal(work_of(&l, true), 0);
  assert_int_equal(work_of(&l, false), 0);
  link_free(&l);
}

static void least_recently_used_token_key_goes(void **state)
{
  struct link l;
  uint8_t salt[16] = {0};
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.sg.token_keys = 2;
  l.s.slice = 2000;
  link_server(&l);
  for (size_t step = 0; step < 6; step++) {
    static const struct {
      uint8_t salt, works;
    } t[] = {{1, 1}, {2, 1}, {1, 0}, {3, 1}, {1, 0}, {2, 1}}; /* 3 took the place of 2, not that of 1 */
    salt[0] = t[step].salt;
    assert_int_equal(itw_server_set_salt(l.server, salt), ITW_OK);
    link_connect(&l);
    assert_true(link_up(&l));
    assert_int_equal(l.s.works, t[step].works);
  }
  link_free(&l);
}

enum { CROWD = 5 };

/* CROWD connections that are to derive different keys; the Server lets two. */
static void crowd_open(struct link l[CROWD])
{
  for (size_t i = 0; i < CROWD; i++) {
    uint8_t salt[16] = {(uint8_t)(i + 1)};
    link_init(&l[i], ITW_PSK, ITW_MODE_ENC);
    l[i].sg.deriving = 2;
    l[i].s.hold_work = true;
    if (i) link_share(&l[i], &l[0]);
    if (i) assert_int_equal(itw_server_set_salt(l[0].server, salt), ITW_OK);
    link_connect(&l[i]);
    assert_int_equal(l[i].s.p.wants, ITW_WANT_WORK);
  }
}

static void crowd_close(struct link l[CROWD])
{
  for (size_t i = CROWD; i; i--) link_free(&l[i - 1]);
}

static void work(struct link *l, uint32_t n)
{
  assert_int_equal(itw_conn_work(l->s.conn, &l->s.p, n, l->now), ITW_OK);
  link_run(l);
}

static void so_many_derive_at_a_time(void **state)
{
  struct link l[CROWD];
  (void)state;
  link_need_crypto();
  crowd_open(l);
  for (size_t i = CROWD; i; i--) work(&l[i - 1], 1000);
  for (size_t i = 2; i < CROWD; i++) { /* it isn't their turn */
    work(&l[i], UINT32_MAX);
    assert_int_equal(l[i].s.p.wants, ITW_WANT_WORK);
  }
  work(&l[1], 1000);
  assert_true(link_up(&l[1])); /* one is through: a place is free */
  work(&l[4], UINT32_MAX);
  assert_true(link_up(&l[4]));
  work(&l[0], 1000);
  for (size_t i = 0; i < CROWD; i++) work(&l[i], UINT32_MAX);
  for (size_t i = 0; i < CROWD; i++) assert_true(link_up(&l[i]));
  crowd_close(l);
}

static void one_that_dies_frees_its_turn(void **state)
{
  (void)state;
  for (int how = 0; how < 3; how++) { /* the peer closes, time-out, freed */
    struct link l[CROWD];
    link_need_crypto();
    crowd_open(l);
    work(&l[0], 10);
    if (how == 0) assert_int_equal(itw_conn_eof(l[0].s.conn, &l[0].s.p, l[0].now), ITW_OK);
    if (how == 1) link_wait(&l[0], 61);
    if (how == 2) itw_conn_free(l[0].s.conn), l[0].s.conn = NULL;
    work(&l[3], UINT32_MAX);
    assert_true(link_up(&l[3]));
    crowd_close(l);
  }
}

/* Who waits for the very key that another one made needs no turn. */
static void waiters_profit(void **state)
{
  struct link a, b;
  (void)state;
  link_init(&a, ITW_PSK, ITW_MODE_ENC);
  a.sg.deriving = 1;
  a.s.hold_work = true;
  link_connect(&a);
  link_init(&b, ITW_PSK, ITW_MODE_ENC);
  b.s.hold_work = true;
  link_share(&b, &a);
  link_connect(&b);
  work(&b, 10);
  work(&a, UINT32_MAX);
  work(&b, 1);
  assert_true(link_up(&a) && link_up(&b));
  link_free(&b);
  link_free(&a);
}

/* ---- Request-TW-Session ---- */

enum { OWN = 0, SENDER_THIRD = 1, RECEIVER_THIRD = 2, SENDER_OWN = 3, SIX = 4 };
struct bad_request {
  const char *what;
  uint32_t ipvn, conf_sender, conf_receiver, slots, packets, sender_port, padding, type_p;
  int address, accept;
  itw_status why;
};

static struct itw_request_tw request_of(const struct bad_request *b)
{
  static const uint8_t third[4] = {192, 0, 2, 77}, client[4] = {192, 0, 2, 1}, server[4] = {192, 0, 2, 2};
  struct itw_request_tw q = fake_wish();
  q.ipvn = b->ipvn;
  q.conf_sender = b->conf_sender;
  q.conf_receiver = b->conf_receiver;
  q.slots = b->slots;
  q.packets = b->packets;
  q.sender_port = b->sender_port;
  q.padding = b->padding;
  q.type_p = b->type_p;
  if (b->address == SENDER_THIRD) memcpy(q.sender, third, 4);
  if (b->address == RECEIVER_THIRD) memcpy(q.receiver, third, 4);
  if (b->address == SENDER_OWN) memcpy(q.sender, client, 4), memcpy(q.receiver, server, 4);
  return q;
}

static const struct bad_request requests[] = {
  {"good", 4, 0, 0, 0, 0, 20000, 64, 0, OWN, 0, 0},
  {"its own addresses", 4, 0, 0, 0, 0, 20000, 9000, 0x2e000000, SENDER_OWN, 0, 0},
  {"IPVN 5", 5, 0, 0, 0, 0, 20000, 64, 0, OWN, 3, ITW_ERR_REQUEST},
  {"IPVN 0", 0, 0, 0, 0, 0, 20000, 64, 0, OWN, 3, ITW_ERR_REQUEST},
  {"IPVN 6 on IPv4", 6, 0, 0, 0, 0, 20000, 64, 0, OWN, 1, ITW_ERR_ADDRESS},
  {"Conf-Sender 1", 4, 1, 0, 0, 0, 20000, 64, 0, OWN, 3, ITW_ERR_REQUEST},
  {"Conf-Receiver 1", 4, 0, 1, 0, 0, 20000, 64, 0, OWN, 3, ITW_ERR_REQUEST},
  {"slots", 4, 0, 0, 1, 0, 20000, 64, 0, OWN, 3, ITW_ERR_REQUEST},
  {"packets", 4, 0, 0, 0, 100, 20000, 64, 0, OWN, 3, ITW_ERR_REQUEST},
  {"sender port 0", 4, 0, 0, 0, 0, 0, 64, 0, OWN, 3, ITW_ERR_REQUEST},
  {"padding beyond the bound", 4, 0, 0, 0, 0, 20000, 9001, 0, OWN, 3, ITW_ERR_PADDING},
  {"padding 2^32-1", 4, 0, 0, 0, 0, 20000, UINT32_MAX, 0, OWN, 3, ITW_ERR_PADDING},
  {"Type-P: a PHB ID", 4, 0, 0, 0, 0, 20000, 64, 0x40000000, OWN, 3, ITW_ERR_REQUEST},
  {"Type-P: 11", 4, 0, 0, 0, 0, 20000, 64, 0xc0000000, OWN, 3, ITW_ERR_REQUEST},
  {"a third party's sender", 4, 0, 0, 0, 0, 20000, 64, 0, SENDER_THIRD, 1, ITW_ERR_ADDRESS},
  {"a third party's receiver", 4, 0, 0, 0, 0, 20000, 64, 0, RECEIVER_THIRD, 1, ITW_ERR_ADDRESS},
};
enum { REQUESTS = sizeof requests / sizeof requests[0] };

static void requests_good_and_bad(void **state)
{
  (void)state;
  for (uint32_t mode = 1; mode <= 4; mode <<= 1)
    for (size_t i = 0; i < REQUESTS; i++) {
      struct link l;
      struct fake f;
      struct itw_request_tw q = request_of(&requests[i]);
      int accept;
      joined(&l, &f, mode);
      accept = fake_request(&f, &q);
      if (accept != requests[i].accept) fail_msg("%s: Accept %d", requests[i].what, accept);
      if (requests[i].why) {
        assert_int_equal(link_event(&l.s, ITW_EV_REFUSED)->status, requests[i].why);
        assert_int_equal(link_event(&l.s, ITW_EV_REFUSED)->accept, requests[i].accept);
        assert_int_equal(link_event(&l.s, ITW_EV_REFUSED)->slot, ITW_NO_SLOT);
        q = fake_wish();
        assert_int_equal(fake_request(&f, &q), 0); /* stays */
      }
      assert_false(link_over(&l.s));
      done(&l, &f);
    }
}

static void third_parties_by_policy(void **state)
{
  (void)state;
  for (int who = SENDER_THIRD; who <= RECEIVER_THIRD; who++) {
    struct link l;
    struct fake f;
    struct bad_request b = requests[0];
    struct itw_request_tw q;
    b.address = who;
    q = request_of(&b);
    link_init(&l, 0, ITW_MODE_OPEN);
    l.sg.flags = ITW_SERVER_ANY_ADDRESS;
    link_server(&l);
    fake_open(&f, &l, &l.s);
    assert_int_equal(fake_join(&f, ITW_MODE_OPEN), 0);
    assert_int_equal(fake_request(&f, &q), 0);
    done(&l, &f);
  }
}

static void full(void **state)
{
  struct link l;
  struct fake f;
  uint8_t body[ITW_START_LEN] = {ITW_CMD_START_SESSIONS};
  struct itw_request_tw q = fake_wish();
  (void)state;
  joined(&l, &f, ITW_MODE_ENC);
  for (int i = 0; i < 4; i++) assert_int_equal(fake_request(&f, &q), 0);
  assert_int_equal(fake_request(&f, &q), ITW_ACCEPT_TEMPORARY);
  assert_int_equal(link_event(&l.s, ITW_EV_REFUSED)->status, ITW_ERR_FULL);
  fake_seal(&f, body, sizeof body); /* the four can be started */
  assert_true(fake_read(&f, body, sizeof body));
  assert_int_equal(body[0], ITW_ACCEPT_OK);
  done(&l, &f);
}

/* ---- accepting in two steps ---- */

static void refused_by_the_caller(void **state)
{
  (void)state;
  for (uint32_t accept = 1; accept <= 5; accept++)
    for (int after_ready = 0; after_ready < 2; after_ready++) {
      struct link l;
      struct itw_request q = link_wish(0);
      link_init(&l, ITW_SHARED_SID, ITW_MODE_ENC);
      *(after_ready ? &l.s.accept : &l.s.refuse) = accept;
      link_connect(&l);
      assert_int_equal(link_ask(&l, &q), ITW_OK);
      assert_int_equal(link_event(&l.c, ITW_EV_REFUSED)->accept, accept);
      assert_int_equal(link_events(&l.s, ITW_EV_READY), after_ready);
      l.s.accept = l.s.refuse = 0;
      assert_int_equal(link_request(&l, 0), 0); /* the slot is free again */
      assert_int_equal(link_event(&l.s, ITW_EV_REQUEST)->slot, 0);
      link_free(&l);
    }
}

static void prepare_and_answer_misused(void **state)
{
  struct link l;
  struct itw_request q = link_wish(0);
  struct itw_offer o, bad;
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  link_connect(&l);
  ITW_INIT(o);
  o.port = 9000;
#define PREPARE(slot, offer) itw_server_prepare(l.s.conn, &l.s.p, slot, offer, l.now)
#define ANSWER(slot, accept) itw_server_answer(l.s.conn, &l.s.p, slot, accept, l.now)
  assert_int_equal(PREPARE(0, &o), ITW_ERR_STATE); /* nobody asked */
  assert_int_equal(ANSWER(0, 0), ITW_ERR_STATE);
  assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 0, l.now), ITW_ERR_STATE);
  l.s.hold_events = true;
  assert_int_equal(link_ask(&l, &q), ITW_OK);
  assert_int_equal(PREPARE(0, &o), ITW_ERR_STATE); /* the event wasn't pulled */
  assert_int_equal(ANSWER(0, 5), ITW_ERR_STATE);
  struct itw_event ev;
  ITW_INIT(ev);
  assert_int_equal(itw_conn_event(l.s.conn, &ev, &l.s.p), ITW_OK);
  assert_int_equal(ANSWER(0, 0), ITW_ERR_STATE); /* not without keys */
  assert_int_equal(ANSWER(1, 5), ITW_ERR_STATE); /* another slot */
  assert_int_equal(ANSWER(4, 5), ITW_ERR_ARGUMENT);
  assert_int_equal(ANSWER(0, 256), ITW_ERR_ARGUMENT);
  assert_int_equal(PREPARE(4, &o), ITW_ERR_ARGUMENT);
  assert_int_equal(PREPARE(1, &o), ITW_ERR_STATE);
  assert_int_equal(PREPARE(0, NULL), ITW_ERR_ARGUMENT);
  bad = o, bad.port = 0;
  assert_int_equal(PREPARE(0, &bad), ITW_ERR_ARGUMENT);
  bad.port = 65536;
  assert_int_equal(PREPARE(0, &bad), ITW_ERR_ARGUMENT);
  bad = o, bad.sender_port = 1;
  assert_int_equal(PREPARE(0, &bad), ITW_ERR_ARGUMENT);
  bad = o, bad.size = 4;
  assert_int_equal(PREPARE(0, &bad), ITW_ERR_SIZE);
  assert_int_equal(itw_server_prepare(l.c.conn, &l.c.p, 0, &o, l.now), ITW_ERR_ARGUMENT); /* a client's */
  assert_int_equal(PREPARE(0, &o), ITW_OK);
  assert_int_equal(PREPARE(0, &o), ITW_ERR_STATE); /* twice */
  assert_int_equal(ANSWER(0, 0), ITW_ERR_STATE);   /* READY wasn't pulled */
  assert_int_equal(itw_conn_event(l.s.conn, &ev, &l.s.p), ITW_OK);
  assert_int_equal(ev.kind, ITW_EV_READY);
  assert_int_equal(ANSWER(0, 0), ITW_OK);
  assert_int_equal(ANSWER(0, 0), ITW_ERR_STATE);
  assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 0, l.now), ITW_ERR_STATE); /* it hasn't run */
  assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 4, l.now), ITW_ERR_ARGUMENT);
#undef PREPARE
#undef ANSWER
  link_run(&l);
  assert_int_equal(link_events(&l.c, ITW_EV_ACCEPTED), 1);
  link_free(&l);
}

static void sids_are_made_as_the_rfc_says(void **state)
{
  struct link l;
  struct itw_session s;
  struct itw_session_info info;
  const uint8_t want[16] = {192, 0, 2, 2, 0xee, 0xae, 0x74, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  l.now = 0;
  link_connect(&l);
  link_request(&l, 0);
  ITW_INIT(info);
  assert_int_equal(itw_conn_session(l.c.conn, 0, &s), ITW_OK);
  assert_int_equal(itw_session_info(&s, &info), ITW_OK);
  assert_memory_equal(info.sid, want, 16);
  link_free(&l);
}

/* ---- commands at the wrong time ---- */

enum { NO_SESSION, SESSION_ACCEPTED, WHILE_TESTING, AFTER_STOP, WHENS };

static void bring_to(struct fake *f, int when)
{
  struct itw_request_tw q = fake_wish();
  uint8_t body[16] = {ITW_CMD_START_SESSIONS};
  if (when == NO_SESSION) return;
  assert_int_equal(fake_request(f, &q), 0);
  if (when == SESSION_ACCEPTED) return;
  fake_seal(f, body, 16);
  assert_true(fake_read(f, body, 16));
  assert_int_equal(body[0], 0);
  if (when == AFTER_STOP) assert_int_equal(fake_stop(f, 1), -1);
}

static void known_and_unexpected(void **state)
{
  static const struct {
    uint32_t number, len;
    bool fits[WHENS];
  } t[] = {
    {ITW_CMD_REQUEST_TW_SESSION, 96, {1, 1, 0, 1}},
    {ITW_CMD_START_SESSIONS, 16, {0, 1, 0, 0}},
    {ITW_CMD_STOP_SESSIONS, 16, {0, 0, 1, 0}},
    {ITW_CMD_FETCH_SESSION, 32, {0}},
    {ITW_CMD_START_N, 16, {0}},
    {ITW_CMD_STOP_N, 16, {0}},
  };
  (void)state;
  for (uint32_t mode = 1; mode <= 4; mode <<= 1)
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
      for (int when = 0; when < WHENS; when++) {
        struct link l;
        struct fake f;
        if (t[i].fits[when]) continue;
        joined(&l, &f, mode);
        bring_to(&f, when);
        assert_int_equal(fake_command(&f, t[i].number, t[i].len), ITW_ACCEPT_UNSUPPORTED);
        assert_int_equal(link_event(&l.s, ITW_EV_REFUSED)->status, ITW_ERR_UNEXPECTED);
        assert_false(link_over(&l.s));
        if (when == WHILE_TESTING) { /* tests go on, and are stopped as ever */
          assert_int_equal(link_events(&l.s, ITW_EV_STOPPED), 0);
          assert_int_equal(fake_stop(&f, 1), -1);
          assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->status, ITW_OK);
        }
        done(&l, &f);
      }
}

/* Request-Session with n slots: two parts, each with its HMAC; spoil: octet of the whole that is flipped. */
static size_t request_session(struct fake *f, uint8_t *octets, uint32_t slots)
{
  memset(octets, 0, 112 + 16 * slots + 16);
  octets[0] = ITW_CMD_REQUEST_SESSION;
  octets[1] = 4;
  octets[7] = (uint8_t)slots;
  assert_int_equal(itwi_stream_seal(&f->tx, octets, 96), ITW_OK);
  assert_int_equal(itwi_stream_seal(&f->tx, octets + 112, 16 * slots), ITW_OK);
  return 112 + 16 * slots + 16;
}

static void drained_with_their_hmacs(void **state)
{
  static const uint32_t slots[] = {0, 1, 2, 10, 11, 20};
  (void)state;
  for (uint32_t mode = 1; mode <= 4; mode <<= 1)
    for (size_t i = 0; i < 6; i++) {
      struct link l;
      struct fake f;
      uint8_t octets[512];
      struct itw_request_tw q = fake_wish();
      size_t n;
      joined(&l, &f, mode);
      n = request_session(&f, octets, slots[i]);
      assert_int_equal(fake_put(&f, octets, n), n);
      assert_int_equal(fake_accept(&f), ITW_ACCEPT_UNSUPPORTED);
      memset(octets, 0, sizeof octets); /* Start-N with 5 SIDs */
      octets[0] = ITW_CMD_START_N;
      octets[15] = 5;
      fake_seal(&f, octets, 16 + 5 * 16);
      assert_int_equal(fake_accept(&f), ITW_ACCEPT_UNSUPPORTED);
      octets[0] = ITW_CMD_STOP_N;
      fake_seal(&f, octets, 16 + 5 * 16);
      assert_int_equal(fake_accept(&f), ITW_ACCEPT_UNSUPPORTED);
      assert_int_equal(fake_request(&f, &q), 0); /* the stream is still in step */
      done(&l, &f);
    }
}

static void a_bad_hmac_while_draining(void **state)
{
  (void)state;
  for (size_t at = 16; at < 112 + 3 * 16 + 16; at += 5) {
    struct link l;
    struct fake f;
    uint8_t octets[512];
    size_t n;
    joined(&l, &f, ITW_MODE_ENC);
    n = request_session(&f, octets, 3);
    octets[at] ^= 1;
    fake_put(&f, octets, n);
    assert_int_equal(fake_accept(&f), -1); /* no answer */
    link_ended(&l.s, ITW_ERR_HMAC);
    done(&l, &f);
  }
}

static void unknown_commands(void **state)
{
  static const uint8_t numbers[] = {0, 6, 8, 10, 11, 255};
  (void)state;
  for (uint32_t mode = 1; mode <= 4; mode <<= 1)
    for (size_t i = 0; i < 6; i++)
      for (int when = NO_SESSION; when <= WHILE_TESTING; when++) {
        struct link l;
        struct fake f;
        uint8_t octets[16] = {numbers[i]};
        joined(&l, &f, mode);
        bring_to(&f, when);
        assert_int_equal(itwi_stream_body(&f.tx, octets, 16, ITWI_ENCRYPT), ITW_OK);
        fake_put(&f, octets, 16); /* its length is unknown: the first block decides */
        assert_int_equal(fake_accept(&f), ITW_ACCEPT_UNSUPPORTED);
        link_ended(&l.s, ITW_ERR_COMMAND);
        assert_int_equal(link_events(&l.s, ITW_EV_STOPPED), when == WHILE_TESTING);
        others_are_served(&l);
        done(&l, &f);
      }
}

static void stop_with_the_wrong_number(void **state)
{
  static const uint32_t numbers[] = {0, 2, UINT32_MAX};
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    struct link l;
    struct fake f;
    joined(&l, &f, ITW_MODE_AUTH);
    bring_to(&f, WHILE_TESTING);
    assert_int_equal(fake_stop(&f, numbers[i]), -1);
    link_ended(&l.s, ITW_ERR_STOP_COUNT);
    assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->status, ITW_ERR_STOP_COUNT);
    others_are_served(&l);
    done(&l, &f);
  }
}

static void start_that_the_client_calls_off(void **state)
{
  struct link l;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  link_connect(&l);
  link_request(&l, 0);
  l.s.hold_events = true;
  link_start(&l);
  assert_int_equal(link_events(&l.c, ITW_EV_STARTED), 0); /* Start-Ack waits for the Server's caller */
  assert_int_equal(itw_conn_eof(l.s.conn, &l.s.p, l.now), ITW_OK);
  assert_true(link_pull(&l.s));
  link_ended(&l.s, ITW_ERR_CLOSED);
  assert_int_equal(link_events(&l.s, ITW_EV_STOPPED), 0); /* nothing ran */
  link_free(&l);
}

/* ---- several rounds ---- */

static void several_sessions_and_rounds(void **state)
{
  struct link l;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  link_connect(&l);
  for (uint32_t round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < 4 - round; i++) assert_int_equal(link_request(&l, i), i);
    link_start(&l);
    if (round == 1) assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 0, l.now), ITW_OK); /* its REFWAIT passed */
    link_stop(&l);
    assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->status, ITW_OK);
    assert_int_equal(link_events(&l.s, ITW_EV_STOPPED), round + 1);
    for (uint32_t i = round == 1; i < 4 - round; i++)
      assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, i, l.now), ITW_OK);
  }
  assert_true(link_up(&l));
  link_free(&l);
}

/* Sessions that stopped keep their slots until they have ended. */
static void request_before_the_last_ones_have_ended(void **state)
{
  struct link l;
  struct itw_request q = link_wish(9);
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  link_connect(&l);
  for (uint32_t i = 0; i < 4; i++) link_request(&l, i);
  link_start(&l);
  link_stop(&l);
  assert_int_equal(link_ask(&l, &q), ITW_OK);
  assert_int_equal(link_event(&l.c, ITW_EV_REFUSED)->accept, ITW_ACCEPT_TEMPORARY);
  assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 2, l.now), ITW_OK);
  assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 2, l.now), ITW_ERR_STATE);
  link_request(&l, 9);
  assert_int_equal(link_event(&l.s, ITW_EV_REQUEST)->slot, 2);
  link_free(&l);
}

/* ---- timers ---- */

static void setup_60_seconds_in_all(void **state)
{
  struct link l;
  uint8_t octet = 0;
  struct fake f;
  (void)state;
  with_fake(&l, &f, ITW_PSK, ITW_MODE_ENC);
  for (int i = 0; i < 59; i++) { /* it says something all the time */
    link_wait(&l, 1);
    assert_int_equal(fake_put(&f, &octet, 1), 1);
  }
  assert_false(link_over(&l.s));
  link_wait(&l, 1);
  link_ended(&l.s, ITW_ERR_TIMEOUT);
  done(&l, &f);
}

/* One octet a second: 60 s from the first one of each message, whatever the rest does. */
static void message_60_seconds_from_its_first_octet(void **state)
{
  static const uint8_t commands[] = {ITW_CMD_REQUEST_TW_SESSION, ITW_CMD_START_N, ITW_CMD_REQUEST_SESSION, 99};
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    struct link l;
    struct fake f;
    uint8_t octets[160] = {commands[i]};
    size_t n = 0;
    octets[4] = octets[12] = 1; /* 2^24 slots or SIDs */
    joined(&l, &f, ITW_MODE_OPEN);
    link_wait(&l, 500);
    while (n < 60 && !link_over(&l.s)) {
      assert_int_equal(fake_put(&f, octets + n++, 1), 1);
      if (!link_over(&l.s)) link_wait(&l, 1);
    }
    assert_int_equal(n, commands[i] == 99 ? 16 : 60);
    link_ended(&l.s, commands[i] == 99 ? ITW_ERR_COMMAND : ITW_ERR_TIMEOUT);
    done(&l, &f);
  }
}

/* Draining doesn't buy time. */
static void drain_60_seconds_in_all(void **state)
{
  struct link l;
  struct fake f;
  uint8_t octets[160] = {0};
  size_t n = 0;
  (void)state;
  joined(&l, &f, ITW_MODE_OPEN);
  octets[0] = ITW_CMD_START_N;
  octets[12] = 0xff; /* 4,278,190,080 SIDs */
  fake_put(&f, octets, 16);
  for (n = 0; n < 59; n++) {
    link_wait(&l, 1);
    assert_int_equal(fake_put(&f, octets, sizeof octets), sizeof octets);
  }
  link_wait(&l, 1);
  link_ended(&l.s, ITW_ERR_TIMEOUT);
  done(&l, &f);
}

static void servwait(void **state)
{
  struct link l;
  struct fake f;
  struct itw_request_tw q = fake_wish();
  (void)state;
  joined(&l, &f, ITW_MODE_ENC);
  link_wait(&l, 899);
  assert_int_equal(fake_command(&f, ITW_CMD_START_SESSIONS, 16), ITW_ACCEPT_UNSUPPORTED); /* any message */
  link_wait(&l, 899);
  assert_int_equal(fake_request(&f, &q), 0);
  link_wait(&l, 899);
  assert_false(link_over(&l.s));
  link_wait(&l, 1);
  link_ended(&l.s, ITW_ERR_SERVWAIT);
  done(&l, &f);
}

static void servwait_is_suspended_while_tests_run(void **state)
{
  (void)state;
  for (int refwait = 0; refwait < 2; refwait++) { /* the sessions ended by themselves; or after Stop */
    struct link l;
    link_init(&l, ITW_PSK, ITW_MODE_ENC);
    link_connect(&l);
    link_request(&l, 0);
    link_request(&l, 1);
    link_start(&l);
    link_wait(&l, 100000);
    if (!refwait) link_stop(&l);
    assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 0, l.now), ITW_OK);
    link_wait(&l, 100000);
    assert_false(link_over(&l.s)); /* one is left */
    assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 1, l.now), ITW_OK);
    link_wait(&l, 899);
    assert_false(link_over(&l.s));
    link_wait(&l, 1);
    link_ended(&l.s, ITW_ERR_SERVWAIT);
    link_free(&l);
  }
}

static void timers_as_configured(void **state)
{
  struct link l;
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  l.sg.setup_s = 5;
  l.sg.servwait_s = 7;
  link_server(&l);
  link_run(&l);
  link_wait(&l, 5);
  link_ended(&l.s, ITW_ERR_TIMEOUT);
  link_connect(&l);
  link_wait(&l, 6);
  assert_false(link_over(&l.s));
  link_wait(&l, 1);
  link_ended(&l.s, ITW_ERR_SERVWAIT);
  link_free(&l);
}

/* ---- config ---- */

static void configs_that_cannot_be(void **state)
{
  enum { N = 14 };
  static const itw_status want[N] = {
    ITW_ERR_CONFIG, ITW_ERR_CONFIG, ITW_ERR_CONFIG, ITW_ERR_CONFIG, ITW_ERR_CONFIG, ITW_ERR_COUNT, ITW_ERR_COUNT,
    ITW_ERR_ARGUMENT, ITW_ERR_ARGUMENT, ITW_ERR_ARGUMENT, ITW_ERR_ARGUMENT, ITW_ERR_ARGUMENT, ITW_ERR_ARGUMENT, ITW_ERR_SIZE};
  struct link l;
  struct itw_server_config t[N];
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  for (size_t i = 0; i < N; i++) t[i] = l.sg;
  t[0].modes = 0;
  t[1].modes = ITW_MODE_ENC; /* without a scheme */
  t[2].schemes = ITW_SHARED, t[2].modes = ITW_MODE_MIXED;
  t[3].schemes = ITW_SHARED, t[3].legacy_modes = ITW_MODE_ENC; /* without psk */
  t[4].schemes = ITW_SHARED | ITW_PSK, t[4].legacy_modes = 16;
  t[5].count_psk = 1000;
  t[6].count_sa = 512;
  t[7].schemes = 64;
  t[8].sessions = 4097;
  t[9].max_padding = 65536;
  t[10].on_rekey = 2;
  t[11].flags = 4;
  t[12].mbz[0] = 1;
  t[13].size--;
  for (size_t i = 0; i < N; i++) {
    itw_server *s = NULL;
    struct itw_detail why;
    ITW_INIT(why);
    assert_int_equal(itw_server_size(&t[i]), 0);
    assert_int_equal(itw_server_new(&s, &t[i], &why), want[i]);
    assert_int_equal(why.status, want[i]);
    assert_null(s);
  }
  itw_server_free(NULL);
  link_free(&l);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(modes_that_are_refused),
    cmocka_unit_test(refusals_are_clear_and_zero),
    cmocka_unit_test(key_id_nobody_knows),
    cmocka_unit_test(token_with_one_bit_wrong),
    cmocka_unit_test(client_iv_used_before),
    cmocka_unit_test(client_iv_of_no_concern),
    cmocka_unit_test(memory_of_client_ivs),
    cmocka_unit_test(unproven_ivs_are_not_kept),
    cmocka_unit_test(replay_beside_the_first),
    cmocka_unit_test(several_schemes_one_per_peer),
    cmocka_unit_test(without_an_sa),
    cmocka_unit_test(sas_unfit_for_direct),
    cmocka_unit_test(sa_that_suits_no_mode),
    cmocka_unit_test(legacy_clients),
    cmocka_unit_test(slices_make_no_difference),
    cmocka_unit_test(once_per_secret_and_salt),
    cmocka_unit_test(set_salt_leaves_connections_alone),
    cmocka_unit_test(unknown_key_id_costs_the_same),
    cmocka_unit_test(least_recently_used_token_key_goes),
    cmocka_unit_test(so_many_derive_at_a_time),
    cmocka_unit_test(one_that_dies_frees_its_turn),
    cmocka_unit_test(waiters_profit),
    cmocka_unit_test(requests_good_and_bad),
    cmocka_unit_test(third_parties_by_policy),
    cmocka_unit_test(full),
    cmocka_unit_test(refused_by_the_caller),
    cmocka_unit_test(prepare_and_answer_misused),
    cmocka_unit_test(sids_are_made_as_the_rfc_says),
    cmocka_unit_test(known_and_unexpected),
    cmocka_unit_test(drained_with_their_hmacs),
    cmocka_unit_test(a_bad_hmac_while_draining),
    cmocka_unit_test(unknown_commands),
    cmocka_unit_test(stop_with_the_wrong_number),
    cmocka_unit_test(start_that_the_client_calls_off),
    cmocka_unit_test(several_sessions_and_rounds),
    cmocka_unit_test(request_before_the_last_ones_have_ended),
    cmocka_unit_test(setup_60_seconds_in_all),
    cmocka_unit_test(message_60_seconds_from_its_first_octet),
    cmocka_unit_test(drain_60_seconds_in_all),
    cmocka_unit_test(servwait),
    cmocka_unit_test(servwait_is_suspended_while_tests_run),
    cmocka_unit_test(timers_as_configured),
    cmocka_unit_test(configs_that_cannot_be),
  };
  return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
