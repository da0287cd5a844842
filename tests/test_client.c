/* SPDX-License-Identifier: BSD-3-Clause */
/* Control-Client: what it makes of greetings, refusals and answers. Most Servers here are played by the test. */

#include "link.h"
#include "octets.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

/* A client of l, and a Server to be played. */
static void with_fake(struct link *l, struct fake *f, uint32_t schemes, uint32_t mode)
{
  link_init(l, schemes, mode);
  link_client(l);
  fake_open(f, l, &l->c);
}

static void done(struct link *l, struct fake *f)
{
  fake_close(f);
  link_free(l);
}

/* ---- ours against ours ---- */

static void check_session(const struct link *l, uint32_t at_client, uint32_t mode)
{
  struct itw_session c, s;
  struct itw_session_info info;
  ITW_INIT(info);
  assert_int_equal(itw_conn_session(l->c.conn, at_client, &c), ITW_OK);
  assert_int_equal(itw_conn_session(l->s.conn, link_event(&l->s, ITW_EV_READY)->slot, &s), ITW_OK);
  assert_memory_equal(&c, &s, sizeof c); /* addresses, ports, SID, Timeout and keys */
  assert_int_equal(itw_session_info(&c, &info), ITW_OK);
  assert_int_equal(info.mode, mode == ITW_MODE_MIXED ? ITW_MODE_OPEN : mode);
  assert_int_equal(info.reflector.port, LINK_PORT + at_client);
  assert_int_equal(info.padding, 64);
  assert_int_equal(info.dscp, 46);
}

static void all_schemes_in_all_modes(void **state)
{
  (void)state;
  for (uint32_t scheme = ITW_PSK; scheme <= ITW_DIRECT; scheme <<= 1)
    for (uint32_t mode = ITW_MODE_OPEN; mode <= ITW_MODE_MIXED; mode <<= 1) {
      struct link l;
      if (mode == ITW_MODE_MIXED && scheme & ITW_DRAFT) continue;
      link_init(&l, scheme, mode);
      link_connect(&l);
      assert_true(link_up(&l));
      bool named = scheme & ITW_DRAFT || mode != ITW_MODE_OPEN; /* open mode without an SA has no scheme */
      assert_int_equal(link_event(&l.c, ITW_EV_UP)->scheme, named ? scheme : 0);
      assert_int_equal(link_event(&l.s, ITW_EV_UP)->scheme, named ? scheme : 0);
      assert_int_equal(link_event(&l.c, ITW_EV_UP)->mode, mode);
      check_session(&l, link_request(&l, 0), mode);
      check_session(&l, link_request(&l, 1), mode);
      link_start(&l);
      link_stop(&l);
      assert_int_equal(link_event(&l.c, ITW_EV_STOPPED)->status, ITW_OK);
      assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->status, ITW_OK);
      link_free(&l);
    }
}

static void every_kind_of_sa(void **state)
{
  static const struct {
    uint32_t scheme, key;
  } t[] = {{ITW_SHARED, LINK_IKE}, {ITW_SHARED, LINK_ESP}, {ITW_SHARED, LINK_AH}, {ITW_SHARED_SID, LINK_AH},
           {ITW_ROOT, LINK_ESP}, {ITW_ROOT, LINK_AH}, {ITW_SHARED, LINK_ESP_AEAD}, {ITW_ROOT, LINK_ESP_NULL}};
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    struct link l;
    struct itw_sa sa, want = link_sa(t[i].key);
    link_init(&l, t[i].scheme, ITW_MODE_ENC);
    l.c.keys = l.s.keys = t[i].key;
    link_connect(&l);
    assert_true(link_up(&l));
    ITW_INIT(sa);
    assert_int_equal(itw_conn_sa(l.c.conn, &sa), ITW_OK);
    assert_memory_equal(&sa, &want, sizeof sa);
    assert_int_equal(itw_conn_sa(l.s.conn, &sa), ITW_OK);
    assert_memory_equal(&sa, &want, sizeof sa);
    link_request(&l, 0);
    link_free(&l);
  }
}

/* ---- choosing a mode ---- */

static void first_wanted_mode_that_is_offered(void **state)
{
  static const struct {
    uint8_t wants[4];
    uint32_t offered, sends; /* 0: leaves */
  } t[] = {
    {{4, 2, 1, 0}, 7, 4},   {{1, 2, 4, 0}, 7, 1},  {{2, 4, 0, 0}, 5, 4},        {{8, 4, 0, 0}, 15, 8},
    {{4, 2, 8, 1}, 1, 1},   {{4, 0, 0, 0}, 3, 0},  {{2, 0, 0, 0}, 1, 0},        {{4, 0, 0, 0}, 0xffffffff, 4},
    {{4, 1, 0, 0}, 0xfffffff0, 0}, {{4, 2, 0, 0}, 16 | 32 | 2, 2}, {{4, 0, 0, 0}, 128 | 2, 0},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    struct link l;
    struct fake f;
    struct itw_greeting g = fake_hello(t[i].offered);
    link_init(&l, ITW_PSK, ITW_MODE_ENC);
    memcpy(l.cg.modes, t[i].wants, 4);
    link_client(&l);
    fake_open(&f, &l, &l.c);
    fake_greet(&f, &g);
    assert_int_equal(fake_start(&f, 0), t[i].sends != 0);
    if (t[i].sends)
      assert_int_equal(f.setup.mode, t[i].sends); /* and no bit that wasn't offered */
    else
      link_ended(&l.c, ITW_ERR_MODE);
    done(&l, &f);
  }
}

/* protocol.md 2.2: in unauthenticated mode all that follows Mode is zero. */
static void open_setup_is_zero(void **state)
{
  static const uint32_t schemes[] = {0, ITW_PSK, ITW_ROOT, ITW_DIRECT, ITW_SHARED};
  (void)state;
  for (size_t i = 0; i < 5; i++) {
    struct link l;
    link_init(&l, schemes[i], ITW_MODE_OPEN);
    l.s.limit = 0;
    link_connect(&l);
    assert_int_equal(l.c.out_len, schemes[i] == ITW_ROOT ? 36 : schemes[i] == ITW_DIRECT ? 20 : 164);
    assert_int_equal(itwi_load32(l.c.out), schemes[i] & ITW_DRAFT ? 9 : 1);
    for (size_t k = 4; k < l.c.out_len; k++) assert_int_equal(l.c.out[k], 0);
    link_free(&l);
  }
}

static void not_willing(void **state)
{
  link_need_crypto();
  static const uint32_t schemes[] = {0, ITW_PSK, ITW_IKEV2, ITW_SHARED, ITW_ROOT, ITW_DIRECT};
  (void)state;
  for (size_t i = 0; i < 6; i++) {
    struct link l;
    struct fake f;
    struct itw_greeting g = fake_hello(0);
    link_init(&l, schemes[i], ITW_MODE_OPEN);
    l.cg.flags = ITW_CLIENT_FALLBACK_OPEN | ITW_CLIENT_FALLBACK_PSK; /* that allows nothing here */
    link_client(&l);
    fake_open(&f, &l, &l.c);
    fake_greet(&f, &g);
    link_ended(&l.c, ITW_ERR_NOT_WILLING);
    assert_int_equal(l.c.out_len, 0);
    done(&l, &f);
  }
}

/* ---- ikev2 and psk in one greeting ---- */

static void ikev2_and_psk(void **state)
{
  enum { BOTH = ITW_PSK | ITW_IKEV2 };
  static const struct {
    uint32_t client, c_keys, server, s_keys, mode, scheme;
    itw_status ends; /* the client, if not up */
    uint32_t accept;
  } t[] = {
    {BOTH, LINK_PSK | LINK_IKE, BOTH, LINK_PSK | LINK_IKE, 4, ITW_IKEV2, 0, 0},
    {BOTH, LINK_PSK | LINK_IKE, BOTH, LINK_PSK | LINK_IKE, 8, ITW_IKEV2, 0, 0},
    {BOTH, LINK_PSK | LINK_IKE, BOTH, LINK_PSK | LINK_IKE, 1, 0, 0, 0},
    {BOTH, LINK_PSK, BOTH, LINK_PSK | LINK_IKE, 4, ITW_PSK, 0, 0},             /* no SA here: psk was allowed, too */
    {BOTH, LINK_PSK | LINK_IKE, ITW_PSK, LINK_PSK, 4, ITW_PSK, 0, 0},          /* the bit isn't offered */
    {ITW_PSK, LINK_PSK | LINK_IKE, BOTH, LINK_PSK | LINK_IKE, 4, ITW_PSK, 0, 0}, /* a Mode without the bit */
    {ITW_IKEV2, LINK_IKE, BOTH, LINK_PSK | LINK_IKE, 2, ITW_IKEV2, 0, 0},
    {ITW_IKEV2, LINK_PSK, BOTH, LINK_PSK | LINK_IKE, 4, 0, ITW_ERR_SA_NONE, 0},
    {ITW_IKEV2, LINK_IKE, ITW_PSK, LINK_PSK, 4, 0, ITW_ERR_MODE, 0},
    {ITW_IKEV2, LINK_IKE, BOTH, LINK_PSK, 4, 0, ITW_ERR_REFUSED, ITW_ACCEPT_NO_SA},
    {ITW_IKEV2, LINK_IKE_NEW, BOTH, LINK_PSK | LINK_IKE, 4, 0, ITW_ERR_REFUSED, ITW_ACCEPT_NO_SA},
    {ITW_PSK, LINK_PSK, ITW_IKEV2, LINK_IKE, 4, 0, ITW_ERR_REFUSED, ITW_ACCEPT_UNSUPPORTED},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    struct link l;
    link_init(&l, t[i].server, t[i].mode);
    l.cg.schemes = t[i].client;
    l.c.keys = t[i].c_keys;
    l.s.keys = t[i].s_keys;
    link_connect(&l);
    if (t[i].ends) {
      link_ended(&l.c, t[i].ends);
      assert_int_equal(link_why(&l.c).accept, t[i].accept);
      if (t[i].accept == ITW_ACCEPT_NO_SA) { /* the one that the KeyID names */
        assert_int_equal(link_why(&l.s).sa.spi_i, link_sa(t[i].c_keys).spi_i);
        assert_int_equal(link_why(&l.s).sa.spi_r, link_sa(t[i].c_keys).spi_r);
      }
    } else {
      assert_true(link_up(&l));
      assert_int_equal(link_event(&l.s, ITW_EV_UP)->scheme, t[i].scheme);
      link_request(&l, 0);
    }
    link_free(&l);
  }
}

static void ikev2_without_pbkdf2(void **state)
{
  (void)state;
  for (int both = 0; both < 2; both++) {
    struct link l;
    link_init(&l, ITW_IKEV2, ITW_MODE_ENC);
    l.cg.flags = ITW_CLIENT_NO_PBKDF2;
    l.sg.flags = both ? ITW_SERVER_NO_PBKDF2 : 0;
    link_connect(&l);
    assert_int_equal(l.c.works, 0);
    if (both)
      assert_true(link_up(&l));
    else
      link_ended(&l.s, ITW_ERR_TOKEN);
    link_free(&l);
  }
}

/* ---- the SA check ---- */

/* Closes without answering, whatever it may fall back to. */
static void check_left(struct link *l, itw_status why)
{
  assert_int_equal(l->c.out_len, 0);
  assert_int_equal(l->s.got, 0);
  link_ended(&l->c, why);
}

static void another_sa_closes(void **state)
{
  static const struct {
    uint32_t scheme, form, good;
  } t[] = {{ITW_SHARED, ITW_FORM_FULL, LINK_IKE}, {ITW_SHARED_SID, ITW_FORM_FULL, LINK_ESP}, {ITW_ROOT, ITW_FORM_ROOT, LINK_IKE},
           {ITW_DIRECT, ITW_FORM_DIRECT, LINK_ESP}};
  (void)state;
  for (size_t i = 0; i < 4; i++)
    for (int what = 0; what < 4; what++)
      for (int open = 0; open < 2; open++) {
        struct link l;
        struct fake f;
        struct itw_sa sa = link_sa(t[i].good);
        struct itw_greeting g = fake_hello(15);
        g.form = t[i].form;
        g.protocol = sa.protocol;
        g.spi_i = (uint32_t)sa.spi_i;
        g.spi_r = (uint32_t)sa.spi_r;
        if (what == 0) g.protocol = sa.protocol == ITW_SA_ESP ? ITW_SA_AH : ITW_SA_ESP;
        if (what == 1) g.spi_i ^= 1;
        if (what == 2) g.spi_r ^= 0x80000000;
        if (what == 3) g.protocol = 0;
        link_init(&l, t[i].scheme, open ? ITW_MODE_OPEN : ITW_MODE_ENC);
        l.c.keys = LINK_PSK | t[i].good;
        l.cg.flags = ITW_CLIENT_FALLBACK_OPEN | ITW_CLIENT_FALLBACK_PSK;
        link_client(&l);
        fake_open(&f, &l, &l.c);
        fake_greet(&f, &g);
        check_left(&l, ITW_ERR_SA_MISMATCH);
        sa = link_why(&l.c).sa; /* the one that the greeting names */
        assert_int_equal(sa.protocol, g.protocol);
        assert_int_equal(sa.spi_i, g.spi_i);
        assert_int_equal(sa.spi_r, g.spi_r);
        done(&l, &f);
      }
}

static void zeros_where_an_sa_should_be(void **state)
{
  static const uint32_t schemes[] = {ITW_SHARED, ITW_SHARED_SID, ITW_ROOT, ITW_DIRECT};
  static const struct {
    uint32_t flags, offered, sends;
    itw_status why;
  } t[] = {
    {0, 7, 0, ITW_ERR_LEGACY},
    {ITW_CLIENT_FALLBACK_PSK, 7, 4, 0},
    {ITW_CLIENT_FALLBACK_PSK, 3, 0, ITW_ERR_LEGACY}, /* not the mode that was wanted */
    {ITW_CLIENT_FALLBACK_PSK, 1, 0, ITW_ERR_LEGACY},
    {ITW_CLIENT_FALLBACK_OPEN, 7, 1, 0},
    {ITW_CLIENT_FALLBACK_OPEN, 6, 0, ITW_ERR_LEGACY},
    {ITW_CLIENT_FALLBACK_OPEN | ITW_CLIENT_FALLBACK_PSK, 7, 4, 0},
    {ITW_CLIENT_FALLBACK_OPEN | ITW_CLIENT_FALLBACK_PSK, 1, 1, 0},
  };
  (void)state;
  for (size_t s = 0; s < 4; s++)
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
      struct link l;
      struct fake f;
      struct itw_greeting g = fake_hello(t[i].offered);
      link_init(&l, schemes[s], ITW_MODE_ENC);
      l.cg.flags = t[i].flags;
      link_client(&l);
      fake_open(&f, &l, &l.c);
      fake_greet(&f, &g); /* 64 octets, whatever the scheme's own form */
      assert_int_equal(fake_start(&f, 0), t[i].sends != 0);
      if (!t[i].sends) {
        check_left(&l, t[i].why);
      } else {
        assert_int_equal(f.setup.mode, t[i].sends);
        assert_non_null(link_event(&l.c, ITW_EV_UP));
        assert_int_equal(link_event(&l.c, ITW_EV_UP)->scheme, t[i].sends == 1 ? 0 : ITW_PSK);
        assert_int_equal(link_event(&l.c, ITW_EV_UP)->sa.protocol, 0);
      }
      done(&l, &f);
    }
}

static void no_mode_in_common_with_a_good_sa(void **state)
{
  static const uint32_t modes[] = {8, 8 | 2, 4, 0xfffffff0};
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    struct link l;
    struct fake f;
    struct itw_sa sa = link_sa(LINK_IKE);
    struct itw_greeting g = fake_hello(modes[i]);
    g.protocol = sa.protocol;
    g.spi_i = (uint32_t)sa.spi_i;
    g.spi_r = (uint32_t)sa.spi_r;
    with_fake(&l, &f, ITW_SHARED, ITW_MODE_ENC);
    fake_greet(&f, &g);
    check_left(&l, ITW_ERR_MODE);
    done(&l, &f);
  }
}

static void direct_pair_in_either_order(void **state)
{
  (void)state;
  for (int turned_client = 0; turned_client < 2; turned_client++)
    for (uint32_t mode = 1; mode <= 4; mode <<= 1) {
      struct link l;
      link_init(&l, ITW_DIRECT, mode);
      l.c.keys = turned_client ? LINK_ESP_TURNED : LINK_ESP;
      l.s.keys = turned_client ? LINK_ESP : LINK_ESP_TURNED;
      link_connect(&l);
      assert_true(link_up(&l));
      link_request(&l, 0);
      link_free(&l);
    }
}

/* Rekeys race: the Server may offer any SA that is live. */
static void older_sa_still_matches(void **state)
{
  static const struct {
    uint32_t scheme, old, new;
  } t[] = {{ITW_SHARED, LINK_IKE, LINK_IKE_NEW}, {ITW_ROOT, LINK_IKE, LINK_IKE_NEW}, {ITW_DIRECT, LINK_ESP, LINK_ESP_NEW}};
  (void)state;
  for (size_t i = 0; i < 3; i++)
    for (int server_has_both = 0; server_has_both < 2; server_has_both++) {
      struct link l;
      struct itw_sa want = link_sa(server_has_both ? t[i].new : t[i].old);
      link_init(&l, t[i].scheme, ITW_MODE_ENC);
      l.c.keys = t[i].old | t[i].new;
      l.s.keys = server_has_both ? l.c.keys : t[i].old;
      link_connect(&l);
      assert_true(link_up(&l));
      assert_true(link_event(&l.c, ITW_EV_UP)->sa.spi_r == want.spi_r); /* the newest is offered */
      link_request(&l, 0);
      link_free(&l);
    }
}

/* ---- Count ---- */

static void count_rules(void **state)
{
  static const struct {
    uint32_t count, max;
    bool ok;
  } t[] = {
    {0, 0, false}, {512, 0, false}, {1000, 0, false}, {1024, 0, true}, {32768, 0, true}, {65536, 0, false},
    {65536, 65536, true}, {32768, 1024, false}, {UINT32_C(1) << 31, 0, false}, {UINT32_MAX, UINT32_MAX, false},
    {UINT32_C(1) << 31, UINT32_C(1) << 31, true},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    struct link l;
    struct fake f;
    struct itw_greeting g = fake_hello(4);
    g.count = t[i].count;
    link_init(&l, ITW_PSK, ITW_MODE_ENC);
    l.cg.max_count = t[i].max;
    l.c.hold_work = true;
    link_client(&l);
    fake_open(&f, &l, &l.c);
    fake_greet(&f, &g);
    if (t[i].ok)
      assert_int_equal(l.c.p.wants, ITW_WANT_WORK);
    else
      check_left(&l, ITW_ERR_COUNT);
    done(&l, &f);
  }
}

/* Where no key is derived, Count means nothing. */
static void count_of_no_concern(void **state)
{
  struct link l;
  struct fake f;
  struct itw_greeting g = fake_hello(1);
  (void)state;
  g.count = 0;
  with_fake(&l, &f, ITW_PSK, ITW_MODE_OPEN);
  fake_greet(&f, &g);
  assert_true(fake_start(&f, 0));
  assert_non_null(link_event(&l.c, ITW_EV_UP));
  done(&l, &f);
}

/* ---- refusals ---- */

static const uint32_t accepts[] = {1, 2, 3, 4, 5, 6, 200};
enum { ACCEPTS = sizeof accepts / sizeof accepts[0] };

static void accept_in_server_start(void **state)
{
  (void)state;
  for (size_t i = 0; i < ACCEPTS; i++) {
    struct link l;
    struct fake f;
    struct itw_greeting g = fake_hello(4);
    with_fake(&l, &f, ITW_PSK, ITW_MODE_ENC);
    fake_greet(&f, &g);
    assert_true(fake_start(&f, accepts[i]));
    link_ended(&l.c, ITW_ERR_REFUSED);
    assert_int_equal(link_why(&l.c).accept, accepts[i]);
    assert_int_equal(link_why(&l.c).message, ITW_MSG_SERVER_START);
    done(&l, &f);
  }
}

static void up_with_fake(struct link *l, struct fake *f, uint32_t mode)
{
  struct itw_greeting g = fake_hello(15);
  with_fake(l, f, mode == ITW_MODE_OPEN ? 0 : ITW_PSK, mode);
  fake_greet(f, &g);
  assert_true(fake_start(f, 0));
  assert_non_null(link_event(&l->c, ITW_EV_UP));
}

static void accept_in_accept_session(void **state)
{
  (void)state;
  for (size_t i = 0; i < ACCEPTS; i++) {
    struct link l;
    struct fake f;
    struct itw_request q = link_wish(0);
    up_with_fake(&l, &f, ITW_MODE_AUTH);
    assert_int_equal(link_ask(&l, &q), ITW_OK);
    fake_answer(&f, accepts[i], 0);
    assert_int_equal(link_event(&l.c, ITW_EV_REFUSED)->accept, accepts[i]);
    assert_int_equal(link_event(&l.c, ITW_EV_REFUSED)->status, ITW_ERR_REFUSED);
    assert_int_equal(link_ask(&l, &q), ITW_OK); /* stays: another request, in the same slot */
    fake_answer(&f, 0, 9000);
    assert_int_equal(link_event(&l.c, ITW_EV_ACCEPTED)->slot, link_event(&l.c, ITW_EV_REFUSED)->slot);
    assert_int_equal(link_event(&l.c, ITW_EV_ACCEPTED)->request.receiver.port, 9000);
    done(&l, &f);
  }
}

static void accept_in_start_ack(void **state)
{
  (void)state;
  for (size_t i = 0; i < ACCEPTS; i++) {
    struct link l;
    struct fake f;
    struct itw_request q = link_wish(0);
    up_with_fake(&l, &f, ITW_MODE_ENC);
    assert_int_equal(link_ask(&l, &q), ITW_OK);
    fake_answer(&f, 0, 9000);
    link_start(&l);
    fake_ack(&f, accepts[i]);
    link_ended(&l.c, ITW_ERR_REFUSED);
    assert_int_equal(link_why(&l.c).accept, accepts[i]);
    assert_int_equal(link_why(&l.c).message, ITW_MSG_START_ACK);
    assert_int_equal(link_events(&l.c, ITW_EV_STARTED), 0);
    done(&l, &f);
  }
}

static void accepted_with_port_0(void **state)
{
  struct link l;
  struct fake f;
  struct itw_request q = link_wish(0);
  (void)state;
  up_with_fake(&l, &f, ITW_MODE_ENC);
  assert_int_equal(link_ask(&l, &q), ITW_OK);
  fake_answer(&f, 0, 0);
  link_ended(&l.c, ITW_ERR_PORT);
  done(&l, &f);
}

static void server_speaks_unasked(void **state)
{
  (void)state;
  for (uint32_t mode = 1; mode <= 4; mode <<= 1) {
    struct link l;
    struct fake f;
    uint8_t body[ITW_ACCEPT_LEN] = {0};
    up_with_fake(&l, &f, mode);
    fake_seal(&f, body, sizeof body);
    link_ended(&l.c, ITW_ERR_UNEXPECTED);
    done(&l, &f);
  }
}

/* ---- what goes wrong on the way ---- */

static void every_answer_is_checked(void **state)
{
  enum { UP = 64 + 48, ACCEPTED = UP + 48 }; /* octets that the client has read by then */
  (void)state;
  for (size_t at = 64 + 32; at < ACCEPTED + 32; at++) { /* from Server-Start's last block to Start-Ack's HMAC */
    struct link l;
    struct itw_request q = link_wish(0);
    link_init(&l, ITW_PSK, ITW_MODE_ENC);
    l.c.flip = at;
    l.c.mask = 0x10;
    link_connect(&l);
    assert_true(link_up(&l)); /* the block is covered by the next HMAC */
    assert_int_equal(link_ask(&l, &q), ITW_OK);
    if (at >= ACCEPTED) link_start(&l);
    link_ended(&l.c, ITW_ERR_HMAC);
    assert_int_equal(link_why(&l.c).message, at < ACCEPTED ? ITW_MSG_ACCEPT_SESSION : ITW_MSG_START_ACK);
    link_free(&l);
  }
}

/* ---- time ---- */

static void waits_30_seconds_for_an_answer(void **state)
{
  enum { FOR_GREETING, FOR_SERVER_START, FOR_ACCEPT, FOR_ACK, STATES };
  (void)state;
  for (int until = 0; until < STATES; until++) {
    struct link l;
    struct itw_request q = link_wish(0);
    link_init(&l, ITW_PSK, ITW_MODE_ENC);
    l.c.limit = until == FOR_GREETING ? 0 : until == FOR_SERVER_START ? 64 : until == FOR_ACCEPT ? 112 : 160;
    link_connect(&l);
    if (until >= FOR_ACCEPT) assert_int_equal(link_ask(&l, &q), ITW_OK);
    if (until == FOR_ACK) link_start(&l);
    link_wait(&l, 29);
    assert_false(link_over(&l.c));
    link_wait(&l, 1);
    link_ended(&l.c, ITW_ERR_TIMEOUT);
    link_free(&l);
  }
}

/* Each in time, all of them not: 60 s for the set-up. */
static void setup_takes_60_seconds_at_most(void **state)
{
  struct link l;
  struct fake f;
  struct itw_greeting g = fake_hello(4);
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.c.hold_work = true;
  link_client(&l);
  fake_open(&f, &l, &l.c);
  link_wait(&l, 29);
  fake_greet(&f, &g);
  link_wait(&l, 30); /* PBKDF2 isn't done */
  assert_false(link_over(&l.c));
  link_wait(&l, 1);
  link_ended(&l.c, ITW_ERR_TIMEOUT);
  done(&l, &f);
}

/* The peer doesn't even read: still 30 s, and then nothing is left to write. */
static void request_that_is_never_read(void **state)
{
  struct link l;
  struct itw_request q = link_wish(0);
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  link_connect(&l);
  l.c.hold_writes = true;
  assert_int_equal(link_ask(&l, &q), ITW_OK);
  assert_int_equal(l.c.p.wants, ITW_WANT_WRITE);
  link_wait(&l, 30);
  link_ended(&l.c, ITW_ERR_TIMEOUT);
  link_free(&l);
}

static void idle_as_long_as_it_likes(void **state)
{
  struct link l;
  struct fake f;
  (void)state;
  up_with_fake(&l, &f, ITW_MODE_ENC);
  assert_true(l.c.p.deadline == ITW_NEVER);
  link_wait(&l, 100000);
  assert_false(link_over(&l.c));
  done(&l, &f);
}

/* ---- the caller's verbs ---- */

static void verbs_at_the_wrong_time(void **state)
{
  struct link l;
  struct itw_request q = link_wish(0);
  uint32_t slot;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  link_server(&l);
  link_client(&l);
#define REFUSED(request, start, stop) \
  assert_int_equal(itw_client_request(l.c.conn, &l.c.p, &slot, &q, l.now), request); \
  assert_int_equal(itw_client_start(l.c.conn, &l.c.p, l.now), start); \
  assert_int_equal(itw_client_stop(l.c.conn, &l.c.p, l.now), stop)
  REFUSED(ITW_ERR_STATE, ITW_ERR_STATE, ITW_ERR_STATE); /* not set up */
  link_run(&l);
  assert_int_equal(itw_client_start(l.c.conn, &l.c.p, l.now), ITW_ERR_STATE); /* no session */
  assert_int_equal(itw_client_stop(l.c.conn, &l.c.p, l.now), ITW_ERR_STATE);
  l.c.limit = l.c.got;
  assert_int_equal(link_ask(&l, &q), ITW_OK);
  REFUSED(ITW_ERR_STATE, ITW_ERR_STATE, ITW_ERR_STATE); /* one at a time */
  l.c.limit = SIZE_MAX;
  link_run(&l);
  for (uint32_t i = 1; i < 4; i++) link_request(&l, i);
  assert_int_equal(itw_client_request(l.c.conn, &l.c.p, &slot, &q, l.now), ITW_ERR_FULL);
  link_start(&l);
  assert_int_equal(itw_client_request(l.c.conn, &l.c.p, &slot, &q, l.now), ITW_ERR_STATE); /* while testing, only Stop */
  assert_int_equal(itw_client_start(l.c.conn, &l.c.p, l.now), ITW_ERR_STATE);
  link_stop(&l);
  assert_int_equal(itw_client_stop(l.c.conn, &l.c.p, l.now), ITW_ERR_STATE);
  assert_true(link_up(&l)); /* none of that did harm */
  assert_int_equal(itw_conn_close(l.c.conn, &l.c.p, l.now), ITW_OK);
  REFUSED(ITW_ERR_STATE, ITW_ERR_STATE, ITW_ERR_STATE);
#undef REFUSED
  link_free(&l);
}

static void requests_that_cannot_be(void **state)
{
  static const struct itw_request good = {.sender = {.port = 20000}};
  struct link l;
  struct itw_request t[6];
  uint32_t slot;
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  link_connect(&l);
  for (size_t i = 0; i < 6; i++) {
    t[i] = good;
    t[i].size = sizeof t[i];
  }
  t[0].sender.port = 0;
  t[1].dscp = 64;
  t[2].sender.family = 6;
  t[3].flags = ITW_SESSION_ANY_SENDER;
  t[4].size = sizeof t[4] - 1;
  for (size_t i = 0; i < 4; i++)
    assert_int_equal(itw_client_request(l.c.conn, &l.c.p, &slot, &t[i], l.now), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_client_request(l.c.conn, &l.c.p, &slot, &t[4], l.now), ITW_ERR_SIZE);
  assert_int_equal(itw_client_request(l.c.conn, &l.c.p, NULL, &t[5], l.now), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_client_request(l.c.conn, &l.c.p, &slot, NULL, l.now), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_client_request(l.s.conn, &l.s.p, &slot, &t[5], l.now), ITW_ERR_ARGUMENT); /* a Server's */
  assert_int_equal(link_ask(&l, &t[5]), ITW_OK);
  assert_int_equal(link_events(&l.c, ITW_EV_ACCEPTED), 1);
  link_free(&l);
}

static void configs_that_cannot_be(void **state)
{
  struct link l;
  struct itw_client_config t[12];
  static const itw_status want[12] = {
    ITW_ERR_CONFIG, ITW_ERR_CONFIG, ITW_ERR_CONFIG, ITW_ERR_CONFIG, ITW_ERR_CONFIG, ITW_ERR_CONFIG,
    ITW_ERR_ARGUMENT, ITW_ERR_ARGUMENT, ITW_ERR_ARGUMENT, ITW_ERR_ARGUMENT, ITW_ERR_ARGUMENT, ITW_ERR_SIZE};
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  for (size_t i = 0; i < 12; i++) t[i] = l.cg;
  t[0].modes[0] = 0;
  t[1].modes[0] = ITW_MODE_ENC; /* no scheme for it */
  t[2].modes[1] = 3;
  t[3].schemes = ITW_SHARED | ITW_ROOT;
  t[4].schemes = ITW_SHARED, t[4].modes[0] = ITW_MODE_MIXED;
  t[5].schemes = ITW_PSK, t[5].key_id_len = 0;
  t[6].schemes = 64;
  t[7].sessions = 4097;
  t[8].key_id_len = 81;
  t[9].flags = 8;
  t[10].on_rekey = 2;
  t[11].size--;
  for (size_t i = 0; i < 12; i++) {
    itw_conn *c = NULL;
    struct itw_detail why;
    ITW_INIT(why);
    assert_int_equal(itw_client_size(&t[i]), 0);
    assert_int_equal(itw_client_new(&c, &t[i], &why, 0), want[i]);
    assert_int_equal(why.status, want[i]);
    assert_null(c);
  }
  link_free(&l);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(all_schemes_in_all_modes),
    cmocka_unit_test(every_kind_of_sa),
    cmocka_unit_test(first_wanted_mode_that_is_offered),
    cmocka_unit_test(open_setup_is_zero),
    cmocka_unit_test(not_willing),
    cmocka_unit_test(ikev2_and_psk),
    cmocka_unit_test(ikev2_without_pbkdf2),
    cmocka_unit_test(another_sa_closes),
    cmocka_unit_test(zeros_where_an_sa_should_be),
    cmocka_unit_test(no_mode_in_common_with_a_good_sa),
    cmocka_unit_test(direct_pair_in_either_order),
    cmocka_unit_test(older_sa_still_matches),
    cmocka_unit_test(count_rules),
    cmocka_unit_test(count_of_no_concern),
    cmocka_unit_test(accept_in_server_start),
    cmocka_unit_test(accept_in_accept_session),
    cmocka_unit_test(accept_in_start_ack),
    cmocka_unit_test(accepted_with_port_0),
    cmocka_unit_test(server_speaks_unasked),
    cmocka_unit_test(every_answer_is_checked),
    cmocka_unit_test(waits_30_seconds_for_an_answer),
    cmocka_unit_test(setup_takes_60_seconds_at_most),
    cmocka_unit_test(request_that_is_never_read),
    cmocka_unit_test(idle_as_long_as_it_likes),
    cmocka_unit_test(verbs_at_the_wrong_time),
    cmocka_unit_test(requests_that_cannot_be),
    cmocka_unit_test(configs_that_cannot_be),
  };
  return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
