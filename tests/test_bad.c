/* SPDX-License-Identifier: BSD-3-Clause */
/* Bad input, none of which may crash, hang, leak or be taken. Where each item is tested, and with what status it ends:

     a greeting with the wrong protocol or SPI         test_client  another_sa_closes                     SA_MISMATCH
     ... zeros in a draft scheme                       test_client  zeros_where_an_sa_should_be           LEGACY
     Modes 0                                           test_client  not_willing                           NOT_WILLING
     ... without a common mode, 0xFFFFFFFF             test_client  first_wanted_mode_that_is_offered,
                                                                    no_mode_in_common_with_a_good_sa      MODE
     Count 0, 512, 1000, 65536, 2^31                   test_client  count_rules                           COUNT
     a Mode not offered, several bits, 8 alone, 0      test_server  modes_that_are_refused,
                                                       test_scheme  choice_...                            MODE
     a KeyID nobody knows                              test_server  key_id_nobody_knows                   KEY_ID
     a Token with one bit wrong                        test_server  token_with_one_bit_wrong              TOKEN, HMAC
     a Client-IV used before                           test_server  client_iv_used_before,
                                                                    replay_beside_the_first               REPLAY
     a flipped covered bit in any message              test_flip, test_stream, test_client                HMAC
     a message at the wrong time                       test_server  known_and_unexpected,
                                                                    drained_with_their_hmacs              UNEXPECTED
                                                       test_client  server_speaks_unasked                 UNEXPECTED
     an unknown command                                test_server  unknown_commands                      COMMAND
     Padding Length 2^32-1, beyond the bound           test_server  requests_good_and_bad                 PADDING
     Conf-Sender 1; IPVN 5; Type-P of the other form   test_server  requests_good_and_bad                 REQUEST
     an SA with AEAD, NULL, without an integrity key   test_server  sas_unfit_for_direct, test_keyring    SA_AEAD, ...
     one octet a second                                test_server  setup_60_seconds_in_all,
                                                                    message_60_seconds_..., drain_...     TIMEOUT
     a peer that stops after any octet                 here         stops_after_any_octet_...             TIMEOUT, EOF
     a megabyte of zeros                               here         a_megabyte_of_zeros_...
     2,000 connections that say nothing                here         two_thousand_that_say_nothing         TIMEOUT
     the other sessions go on undisturbed              here         other_sessions_go_on; also test_server
     OWAMP's requests, Stop-Sessions and fetches       test_bad_owamp
     test packets: short, long, forged, of another session or address, multiplier 0, before Start-Ack, after the Timeout
                                                       test_reflector, test_sender, test_demux */

#include "link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* ---- a peer that stops after any octet ---- */

/* Both sides as far as the silence lets them come. */
static void as_far_as_it_goes(struct link *l)
{
  struct itw_request q = link_wish(0);
  uint32_t slot;
  link_connect(l);
  if (itw_client_request(l->c.conn, &l->c.p, &slot, &q, l->now) == ITW_OK) link_run(l);
  if (itw_client_start(l->c.conn, &l->c.p, l->now) == ITW_OK) link_run(l);
  if (itw_client_stop(l->c.conn, &l->c.p, l->now) == ITW_OK) link_run(l);
}

static size_t all_octets(uint32_t scheme, uint32_t mode, bool to_server)
{
  struct link l;
  size_t n;
  link_init(&l, scheme, mode);
  as_far_as_it_goes(&l);
  assert_int_equal(link_events(&l.c, ITW_EV_STOPPED), 1);
  assert_int_equal(link_events(&l.s, ITW_EV_STOPPED), 1);
  n = to_server ? l.s.got : l.c.got;
  link_free(&l);
  return n;
}

static const struct {
  uint32_t scheme, mode;
} kinds[] = {{0, ITW_MODE_OPEN}, {ITW_PSK, ITW_MODE_ENC}, {ITW_ROOT, ITW_MODE_AUTH}, {ITW_DIRECT, ITW_MODE_ENC},
             {ITW_SHARED_SID, ITW_MODE_AUTH}};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* The silent one keeps its socket open: a timer ends it. The other side is left alone. */
static void stop_server_after(size_t k, size_t n, bool closes)
{
  struct link l;
  itw_status why;
  link_init(&l, kinds[k].scheme, kinds[k].mode);
  l.s.limit = n;
  l.s.slice = 2048;
  as_far_as_it_goes(&l);
  assert_int_equal(l.s.got, n);
  itw_conn_free(l.c.conn);
  l.c.conn = NULL;
  if (closes)
    assert_int_equal(itw_conn_eof(l.s.conn, &l.s.p, l.now), ITW_OK);
  else
    link_wait(&l, 60);
  link_run(&l);
  if (link_over(&l.s)) {
    why = link_why(&l.s).status;
    assert_true(closes ? why == ITW_ERR_EOF || why == ITW_ERR_CLOSED || why == ITW_OK : why == ITW_ERR_TIMEOUT);
    link_ended(&l.s, why);
  } else { /* between two messages: SERVWAIT's, or the tests' own business */
    assert_false(closes);
    for (uint32_t i = 0; i < 4; i++) (void)!itw_server_ended(l.s.conn, &l.s.p, i, l.now);
    link_wait(&l, 900);
    link_ended(&l.s, ITW_ERR_SERVWAIT);
  }
  link_free(&l);
}

static void stops_after_any_octet_at_the_server(void **state)
{
  (void)state;
  link_need_crypto();
  for (size_t k = 0; k < KINDS; k++) {
    size_t all = all_octets(kinds[k].scheme, kinds[k].mode, true);
    for (size_t n = 0; n <= all; n++) {
      stop_server_after(k, n, false);
      stop_server_after(k, n, true);
    }
  }
}

static void stop_client_after(size_t k, size_t n, bool closes)
{
  struct link l;
  itw_status why;
  link_init(&l, kinds[k].scheme, kinds[k].mode);
  l.c.limit = n;
  l.c.slice = 2048;
  as_far_as_it_goes(&l);
  assert_int_equal(l.c.got, n);
  itw_conn_free(l.s.conn);
  l.s.conn = NULL;
  if (closes)
    assert_int_equal(itw_conn_eof(l.c.conn, &l.c.p, l.now), ITW_OK);
  else
    link_wait(&l, 30);
  link_run(&l);
  why = link_why(&l.c).status;
  assert_true(closes ? why == ITW_ERR_EOF || why == ITW_ERR_CLOSED : why == ITW_ERR_TIMEOUT);
  link_ended(&l.c, why);
  link_free(&l);
}

static void stops_after_any_octet_at_the_client(void **state)
{
  (void)state;
  link_need_crypto();
  for (size_t k = 0; k < KINDS; k++) {
    size_t all = all_octets(kinds[k].scheme, kinds[k].mode, false);
    for (size_t n = 0; n < all; n++) {
      stop_client_after(k, n, false);
      stop_client_after(k, n, true);
    }
  }
}

/* ---- a megabyte of zeros ---- */

enum { MEGABYTE = 1 << 20, CHUNK = 4096 };

/* Returns how many were read before it closed. */
static size_t zeros(struct link *l, struct link_side *s)
{
  static const uint8_t chunk[CHUNK];
  struct fake f;
  size_t n = 0, one = CHUNK;
  fake_open(&f, l, s);
  for (; n < MEGABYTE && one == CHUNK; n += one) {
    one = fake_put(&f, chunk, CHUNK);
    s->out_len = 0;
  }
  fake_close(&f);
  return n;
}

static void a_megabyte_of_zeros_to_a_server(void **state)
{
  (void)state;
  link_need_crypto();
  for (size_t k = 0; k < KINDS; k++)
    for (int up = 0; up < 2; up++) {
      struct link l;
      size_t n;
      link_init(&l, kinds[k].scheme, kinds[k].mode);
      if (up) {
        link_connect(&l);
        itw_conn_free(l.c.conn);
        l.c.conn = NULL;
      } else {
        link_server(&l);
      }
      n = zeros(&l, &l.s);
      link_wait(&l, 1000);
      assert_true(link_over(&l.s));
      if (!up) assert_in_range(n, 20, 164); /* Mode 0: it left */
      if (!up) link_ended(&l.s, ITW_ERR_MODE);
      if (up && !kinds[k].scheme) link_ended(&l.s, ITW_ERR_COMMAND);
      assert_int_equal(link_events(&l.s, ITW_EV_REQUEST), 0);
      link_free(&l);
    }
}

/* A command that announces more than 2^32 octets: it is drained, without memory for it, until its time is over. */
static void a_megabyte_of_zeros_within_a_command(void **state)
{
  struct link l;
  struct fake f;
  uint8_t head[16] = {ITW_CMD_START_N, [12] = 0xff, 0xff, 0xff, 0xff};
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  link_server(&l);
  fake_open(&f, &l, &l.s);
  assert_int_equal(fake_join(&f, ITW_MODE_OPEN), 0);
  assert_int_equal(fake_put(&f, head, 16), 16);
  assert_int_equal(zeros(&l, &l.s), MEGABYTE);
  assert_false(link_over(&l.s));
  link_wait(&l, 60);
  link_ended(&l.s, ITW_ERR_TIMEOUT);
  fake_close(&f);
  link_free(&l);
}

static void a_megabyte_of_zeros_to_a_client(void **state)
{
  enum { GREETING, SERVER_START, IDLE, ACCEPT, ACK, POINTS };
  (void)state;
  link_need_crypto();
  for (size_t k = 0; k < KINDS; k++)
    for (int point = 0; point < POINTS; point++) {
      bool open = kinds[k].mode == ITW_MODE_OPEN;
      struct link l;
      struct itw_request q = link_wish(0);
      link_init(&l, kinds[k].scheme, kinds[k].mode);
      if (point == GREETING) {
        link_client(&l);
      } else {
        l.s.limit = point == SERVER_START ? 0 : SIZE_MAX;
        link_connect(&l);
        if (point == ACK) link_request(&l, 0);
        itw_conn_free(l.s.conn);
        l.s.conn = NULL;
        if (point == ACCEPT) assert_int_equal(link_ask(&l, &q), ITW_OK);
        if (point == ACK) assert_int_equal(itw_client_start(l.c.conn, &l.c.p, l.now), ITW_OK);
      }
      assert_in_range(zeros(&l, &l.c), 0, 200);
      switch (point) {
      case GREETING: link_ended(&l.c, ITW_ERR_NOT_WILLING); break;
      case SERVER_START: link_ended(&l.c, ITW_ERR_UNEXPECTED); break; /* zeros are a Server-Start, too */
      case IDLE: link_ended(&l.c, ITW_ERR_UNEXPECTED); break;
      case ACCEPT: link_ended(&l.c, open ? ITW_ERR_PORT : ITW_ERR_HMAC); break;
      default: link_ended(&l.c, open ? ITW_ERR_UNEXPECTED : ITW_ERR_HMAC); break; /* ... and a Start-Ack in open mode */
      }
      link_free(&l);
    }
}

/* ---- 2,000 connections that say nothing ---- */

static void two_thousand_that_say_nothing(void **state)
{
  enum { N = 2000 };
  struct link l;
  itw_conn **c = calloc(N, sizeof(*c));
  struct itw_poll p;
  struct itw_event ev;
  (void)state;
  assert_non_null(c);
  ITW_INIT(p);
  ITW_INIT(ev);
  link_init(&l, 0, ITW_MODE_OPEN);
  link_server(&l);
  for (size_t i = 0; i < N; i++) {
    assert_int_equal(itw_server_conn_new(l.server, &c[i], &l.in, l.now), ITW_OK);
    assert_int_equal(itw_conn_sent(c[i], &p, 64, l.now), ITW_OK);
    assert_true(p.deadline == l.now + UINT64_C(60000000000));
  }
  link_connect(&l); /* one more, that speaks */
  link_request(&l, 0);
  link_start(&l);
  link_wait(&l, 60);
  for (size_t i = 0; i < N; i++) {
    assert_int_equal(itw_conn_expire(c[i], &p, l.now), ITW_OK);
    assert_int_equal(itw_conn_event(c[i], &ev, &p), ITW_OK);
    assert_int_equal(ev.kind, ITW_EV_CLOSED);
    assert_int_equal(ev.status, ITW_ERR_TIMEOUT);
    assert_int_equal(p.wants, ITW_WANT_CLOSE);
    itw_conn_free(c[i]);
  }
  link_stop(&l);
  assert_true(link_up(&l));
  link_free(&l);
  free(c);
}

/* ---- the other sessions go on ---- */

struct gang {
  struct link l;
  struct fake f;
};

static void bad_mode(struct gang *g) { assert_int_equal(fake_join(&g->f, 6), ITW_ACCEPT_UNSUPPORTED); }
static void bad_token(struct gang *g)
{
  fake_prepare(&g->f, ITW_MODE_ENC);
  g->f.setup.token[5] ^= 4;
  assert_int_equal(fake_go(&g->f), ITW_ACCEPT_FAILURE);
}
static void bad_key_id(struct gang *g)
{
  fake_prepare(&g->f, ITW_MODE_ENC);
  g->f.setup.key_id[0] = 'b';
  assert_int_equal(fake_go(&g->f), ITW_ACCEPT_FAILURE);
}
static void bad_hmac(struct gang *g)
{
  uint8_t octets[112] = {ITW_CMD_REQUEST_TW_SESSION, 4};
  assert_int_equal(fake_join(&g->f, ITW_MODE_ENC), 0);
  assert_int_equal(itwi_stream_seal(&g->f.tx, octets, 96), ITW_OK);
  octets[111] ^= 1;
  fake_put(&g->f, octets, sizeof octets);
  assert_int_equal(fake_accept(&g->f), -1);
}
static void bad_command(struct gang *g)
{
  assert_int_equal(fake_join(&g->f, ITW_MODE_ENC), 0);
  assert_int_equal(fake_command(&g->f, 77, 16), ITW_ACCEPT_UNSUPPORTED);
}
static void bad_stop(struct gang *g)
{
  struct itw_request_tw q = fake_wish();
  uint8_t body[16] = {ITW_CMD_START_SESSIONS};
  assert_int_equal(fake_join(&g->f, ITW_MODE_ENC), 0);
  assert_int_equal(fake_request(&g->f, &q), 0);
  fake_seal(&g->f, body, 16);
  assert_true(fake_read(&g->f, body, 16));
  assert_int_equal(fake_stop(&g->f, 7), -1);
}
static void silence(struct gang *g) { link_wait(&g->l, 60); }

static void other_sessions_go_on(void **state)
{
  static const struct {
    void (*act)(struct gang *);
    itw_status why;
  } gallery[] = {{bad_mode, ITW_ERR_MODE}, {bad_token, ITW_ERR_TOKEN}, {bad_key_id, ITW_ERR_KEY_ID}, {bad_hmac, ITW_ERR_HMAC},
                 {bad_command, ITW_ERR_COMMAND}, {bad_stop, ITW_ERR_STOP_COUNT}, {silence, ITW_ERR_TIMEOUT}};
  struct link l;
  uint32_t slot;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  link_connect(&l);
  slot = link_request(&l, 0);
  link_start(&l);
  for (size_t i = 0; i < sizeof gallery / sizeof gallery[0]; i++) {
    struct gang g;
    link_init(&g.l, ITW_PSK, ITW_MODE_ENC);
    link_share(&g.l, &l);
    link_server(&g.l);
    fake_open(&g.f, &g.l, &g.l.s);
    gallery[i].act(&g);
    link_ended(&g.l.s, gallery[i].why);
    fake_close(&g.f);
    link_free(&g.l);
    assert_true(link_up(&l));
    assert_int_equal(link_events(&l.s, ITW_EV_STOPPED), 0);
  }
  link_stop(&l);
  assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->status, ITW_OK);
  assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, slot, l.now), ITW_OK);
  link_request(&l, 1);
  link_free(&l);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(stops_after_any_octet_at_the_server),
    cmocka_unit_test(stops_after_any_octet_at_the_client),
    cmocka_unit_test(a_megabyte_of_zeros_to_a_server),
    cmocka_unit_test(a_megabyte_of_zeros_within_a_command),
    cmocka_unit_test(a_megabyte_of_zeros_to_a_client),
    cmocka_unit_test(two_thousand_that_say_nothing),
    cmocka_unit_test(other_sessions_go_on),
  };
  return cmocka_run_group_tests_name("bad", tests, NULL, NULL);
}
