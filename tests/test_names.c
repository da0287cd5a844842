/* SPDX-License-Identifier: BSD-3-Clause */
/* TWAMP's extensions in control: what is offered, agreed on and asked for; sessions started and stopped one by one (RFC 5938, 6038,
   7750, 8186). */

#include "link.h"
#include "octets.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

enum {
  CONTROL = ITW_FEATURE_SESSION_CONTROL, REFLECT = ITW_FEATURE_REFLECT, SYMMETRICAL = ITW_FEATURE_SYMMETRICAL,
  DSCP_ECN = ITW_FEATURE_DSCP_ECN, PTP = ITW_FEATURE_PTP, ALL = CONTROL | REFLECT | SYMMETRICAL | DSCP_ECN | PTP,
};

/* What the Server answers to ITW_EV_START, by slot. */
static uint32_t start_accept[8];

static void on_server(struct link_side *s, const struct itw_event *ev)
{
  if (ev->kind == ITW_EV_START)
    assert_int_equal(itw_server_started(s->conn, &s->p, ev->slot, start_accept[ev->slot], s->link->now), ITW_OK);
}

static void begin(struct link *l, uint32_t scheme, uint32_t mode, uint32_t wanted, uint32_t offered)
{
  link_init(l, scheme, mode);
  l->cg.features = wanted;
  l->sg.features = offered;
  l->cg.sessions = l->sg.sessions = 8;
  l->s.event = on_server;
  memset(start_accept, 0, sizeof start_accept);
  link_connect(l);
}

/* ---- what is agreed on ---- */

static void every_set(void **state)
{
  static const uint32_t bits[] = {CONTROL, REFLECT, SYMMETRICAL, DSCP_ECN, PTP};
  (void)state;
  for (uint32_t c = 0; c < 32; c++)
    for (uint32_t s = 0; s < 32; s++) {
      struct link l;
      uint32_t wanted = 0, offered = 0;
      for (uint32_t i = 0; i < 5; i++) {
        wanted |= c >> i & 1 ? bits[i] : 0;
        offered |= s >> i & 1 ? bits[i] : 0;
      }
      begin(&l, 0, ITW_MODE_OPEN, wanted, offered);
      assert_true(link_up(&l));
      assert_int_equal(link_event(&l.c, ITW_EV_UP)->features, wanted & offered);
      assert_int_equal(link_event(&l.s, ITW_EV_UP)->features, wanted & offered);
      link_free(&l);
    }
}

/* Features beside each mode and scheme of the registry; none with the draft's. */
static void every_scheme(void **state)
{
  static const struct {
    uint32_t scheme, mode, features;
  } t[] = {
    {ITW_PSK, ITW_MODE_AUTH, ALL}, {ITW_PSK, ITW_MODE_ENC, ALL}, {ITW_PSK, ITW_MODE_MIXED, ALL}, {ITW_IKEV2, ITW_MODE_ENC, ALL},
    {ITW_SHARED, ITW_MODE_ENC, 0}, {ITW_ROOT, ITW_MODE_AUTH, 0},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    struct link l;
    struct itw_session a, b;
    struct itw_session_info info;
    struct itw_request q = link_wish(0);
    begin(&l, t[i].scheme, t[i].mode, t[i].scheme >= ITW_SHARED ? 0 : ALL, ALL);
    assert_true(link_up(&l));
    assert_int_equal(link_event(&l.c, ITW_EV_UP)->features, t[i].features);
    q.padding = 200, q.reflect = 40;
    assert_int_equal(link_ask(&l, &q), ITW_OK);
    assert_int_equal(itw_conn_session(l.c.conn, 0, &a), ITW_OK);
    assert_int_equal(itw_conn_session(l.s.conn, 0, &b), ITW_OK);
    assert_memory_equal(&a, &b, sizeof a);
    ITW_INIT(info);
    assert_int_equal(itw_session_info(&a, &info), ITW_OK);
    assert_int_equal(info.features, t[i].features);
    assert_int_equal(info.reflect, t[i].features ? 40 : 0);
    link_free(&l);
  }
}

static void a_draft_client_has_none(void **state)
{
  struct link l;
  (void)state;
  link_init(&l, ITW_SHARED, ITW_MODE_ENC);
  l.cg.features = PTP;
  assert_int_equal(itw_client_size(&l.cg), 0);
  link_free(&l);
}

/* Octets for control, the same ones back, and the Server's (RFC 6038 §4.2, 4.3). */
static void reflected_octets(void **state)
{
  struct link l;
  struct itw_request q = link_wish(0);
  const struct itw_event *ev;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.cg.features = l.sg.features = REFLECT;
  memcpy(l.sg.server_octets, "\xca\xfe", 2);
  link_connect(&l);
  q.padding = 120;
  q.reflect = 32;
  memcpy(q.reflect_octets, "\xbe\xef", 2);
  assert_int_equal(link_ask(&l, &q), ITW_OK);
  ev = link_event(&l.s, ITW_EV_REQUEST);
  assert_int_equal(ev->request.reflect, 32);
  assert_memory_equal(ev->request.reflect_octets, "\xbe\xef", 2);
  ev = link_event(&l.c, ITW_EV_ACCEPTED);
  assert_non_null(ev);
  assert_memory_equal(ev->request.server_octets, "\xca\xfe", 2);
  link_free(&l);
}

/* A Server that reflects something else. */
static void wrong_octets(void **state)
{
  struct link l;
  struct fake f;
  struct itw_greeting hi = fake_hello(ITW_MODE_ENC | REFLECT);
  struct itw_accept_session a = {.port = 5000};
  struct itw_request q = link_wish(0);
  uint8_t body[ITW_REQUEST_LEN], out[ITW_ACCEPT_LEN];
  uint32_t slot;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.cg.features = REFLECT;
  fake_open(&f, &l, &l.c);
  link_client(&l);
  fake_greet(&f, &hi);
  assert_true(fake_start(&f, 0));
  q.padding = 120, q.reflect = 32, q.reflect_octets[0] = 1;
  assert_int_equal(itw_client_request(l.c.conn, &l.c.p, &slot, &q, l.now), ITW_OK);
  link_run(&l);
  assert_true(fake_read(&f, body, sizeof body));
  assert_int_equal(itwi_load32(body + 88), 0x01000020);
  assert_int_equal(itw_accept_session_write(out, sizeof out, &a), ITW_OK);
  fake_seal(&f, out, sizeof out);
  link_run(&l);
  link_ended(&l.c, ITW_ERR_REFLECT);
  fake_close(&f);
  link_free(&l);
}

/* ---- one by one ---- */

static void start_n(struct link *l, const uint32_t *slots, size_t n, itw_status expected)
{
  assert_int_equal(itw_client_start_n(l->c.conn, &l->c.p, slots, n, l->now), expected);
  link_run(l);
}

static void stop_n(struct link *l, const uint32_t *slots, size_t n, itw_status expected)
{
  assert_int_equal(itw_client_stop_n(l->c.conn, &l->c.p, slots, n, l->now), expected);
  link_run(l);
}

static void some_start_some_do_not(void **state)
{
  static const uint32_t modes[] = {ITW_MODE_OPEN, ITW_MODE_ENC};
  static const uint32_t all[] = {0, 1, 2, 3, 4, 5, 6, 7}, one[] = {6}, mixed[] = {5, 0};
  (void)state;
  for (size_t m = 0; m < 2; m++) {
    struct link l;
    const struct itw_event *ev;
    begin(&l, modes[m] == ITW_MODE_OPEN ? 0 : ITW_PSK, modes[m], CONTROL, CONTROL);
    for (uint32_t n = 0; n < 8; n++) assert_int_equal(link_request(&l, n), n);
    start_accept[2] = start_accept[6] = 5;
    start_accept[4] = 4;
    start_n(&l, all, 8, ITW_OK);
    assert_int_equal(link_events(&l.c, ITW_EV_STARTED), 8);
    for (uint32_t i = 0, seen = 0; i < l.c.count; i++) {
      ev = &l.c.events[i];
      if (ev->kind != ITW_EV_STARTED) continue;
      assert_int_equal(ev->accept, start_accept[ev->slot]);
      assert_int_equal(ev->status, ev->accept ? ITW_ERR_REFUSED : ITW_OK);
      assert_false(seen >> ev->slot & 1);
      seen |= 1u << ev->slot;
    }
    start_accept[6] = 0;
    start_n(&l, one, 1, ITW_OK); /* once more, while others run */
    assert_int_equal(link_event(&l.c, ITW_EV_STARTED)->status, ITW_OK);
    start_n(&l, one, 1, ITW_ERR_STATE);
    stop_n(&l, mixed, 2, ITW_OK);
    assert_int_equal(link_events(&l.c, ITW_EV_STOPPED), 2);
    assert_int_equal(link_events(&l.s, ITW_EV_STOPPED), 2);
    stop_n(&l, mixed, 1, ITW_ERR_STATE);
    assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 5, l.now), ITW_OK);
    assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 0, l.now), ITW_OK);
    assert_true(link_up(&l));
    link_free(&l);
  }
}

static void not_the_old_commands(void **state)
{
  struct link l;
  uint32_t slot = 0;
  (void)state;
  begin(&l, 0, ITW_MODE_OPEN, CONTROL, CONTROL);
  (void)link_request(&l, 0);
  assert_int_equal(itw_client_start(l.c.conn, &l.c.p, l.now), ITW_ERR_STATE);
  start_n(&l, &slot, 1, ITW_OK);
  assert_int_equal(itw_client_stop(l.c.conn, &l.c.p, l.now), ITW_ERR_STATE);
  link_free(&l);
  begin(&l, 0, ITW_MODE_OPEN, CONTROL, 0);
  (void)link_request(&l, 0);
  start_n(&l, &slot, 1, ITW_ERR_STATE);
  link_start(&l);
  assert_int_equal(link_events(&l.c, ITW_EV_STARTED), 1);
  link_free(&l);
}

/* A Client of the test's own names what isn't there. */
static void send_names(struct fake *f, uint32_t command, uint8_t (*sids)[16], uint32_t n, uint32_t claimed)
{
  uint8_t body[16 + 16 * 16];
  struct itw_sessions s = {.command = command, .sessions = claimed};
  assert_int_equal(itw_sessions_write(body, 16, &s), ITW_OK);
  memcpy(body + 16, sids, 16 * n);
  fake_seal(f, body, 16 + 16 * n);
}

static void ack_is(struct fake *f, uint32_t command, uint32_t accept, const uint8_t *sid)
{
  uint8_t body[32];
  assert_true(fake_read(f, body, sizeof body));
  assert_int_equal(body[0], command);
  assert_int_equal(body[1], accept);
  assert_int_equal(itwi_load32(body + 12), 1);
  assert_memory_equal(body + 16, sid, 16);
}

static void bad_names(void **state)
{
  struct link l;
  struct fake f;
  struct itw_request_tw w = fake_wish();
  uint8_t sids[9][16] = {{0}};
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.sg.features = CONTROL;
  l.sg.sessions = 4;
  l.s.event = on_server;
  memset(start_accept, 0, sizeof start_accept);
  fake_open(&f, &l, &l.s);
  link_server(&l);
  assert_int_equal(fake_join(&f, ITW_MODE_ENC | CONTROL), 0);
  assert_int_equal(fake_request(&f, &w), 0);
  memcpy(sids[0], link_event(&l.s, ITW_EV_READY)->request.sid, 16);
  memset(sids[1], 7, 16);
  send_names(&f, ITW_CMD_START_N, sids, 0, 0); /* nobody */
  assert_int_equal(fake_accept(&f), 3);
  assert_int_equal(link_event(&l.s, ITW_EV_REFUSED)->status, ITW_ERR_SID);
  send_names(&f, ITW_CMD_START_N, sids, 5, 5); /* more than there can be */
  assert_int_equal(fake_accept(&f), 3);
  send_names(&f, ITW_CMD_STOP_N, sids, 1, 1); /* it doesn't run */
  ack_is(&f, ITW_CMD_STOP_N_ACK, 1, sids[0]);
  memcpy(sids[2], sids[0], 16);
  send_names(&f, ITW_CMD_START_N, sids, 3, 3); /* one that is, one that isn't, the first once more */
  ack_is(&f, ITW_CMD_START_N_ACK, 0, sids[0]);
  {
    uint8_t body[48];
    assert_true(fake_read(&f, body, sizeof body));
    assert_int_equal(body[1], 1);
    assert_memory_equal(body + 16, sids[1], 32);
  }
  assert_int_equal(link_events(&l.s, ITW_EV_START), 1);
  assert_int_equal(fake_command(&f, 3, 16), 3); /* Stop-Sessions is not for now */
  send_names(&f, ITW_CMD_STOP_N, sids, 1, 1);
  ack_is(&f, ITW_CMD_STOP_N_ACK, 0, sids[0]);
  assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->slot, 0);
  fake_close(&f);
  link_free(&l);
}

/* A Server of the test's own acknowledges what wasn't asked, or not all of it. */
static void bad_acks(void **state)
{
  static const struct {
    uint32_t command, sessions;
    bool known;
    itw_status ends;
  } t[] = {
    {ITW_CMD_START_N_ACK, 1, false, ITW_ERR_SID}, {ITW_CMD_START_N_ACK, 0, true, ITW_ERR_SID},
    {ITW_CMD_START_N_ACK, 2, true, ITW_ERR_SID},  {ITW_CMD_STOP_N_ACK, 1, true, ITW_ERR_UNEXPECTED},
    {ITW_CMD_START_N_ACK, 1, true, ITW_OK},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    struct link l;
    struct fake f;
    struct itw_greeting hi = fake_hello(ITW_MODE_ENC | CONTROL);
    struct itw_request q = link_wish(0);
    struct itw_sessions s = {.command = t[i].command, .sessions = t[i].sessions};
    uint8_t body[ITW_REQUEST_LEN];
    uint32_t slot;
    link_init(&l, ITW_PSK, ITW_MODE_ENC);
    l.cg.features = CONTROL;
    fake_open(&f, &l, &l.c);
    link_client(&l);
    fake_greet(&f, &hi);
    assert_true(fake_start(&f, 0));
    assert_int_equal(itw_client_request(l.c.conn, &l.c.p, &slot, &q, l.now), ITW_OK);
    link_run(&l);
    fake_answer(&f, 0, 5000);
    start_n(&l, &slot, 1, ITW_OK);
    assert_true(fake_read(&f, body, 32));
    assert_int_equal(itw_sessions_write(body, 16, &s), ITW_OK);
    if (!t[i].known) body[16] ^= 1;
    fake_seal(&f, body, 16 + 16 * (t[i].sessions == 1));
    link_run(&l);
    if (t[i].ends)
      link_ended(&l.c, t[i].ends);
    else
      assert_int_equal(link_event(&l.c, ITW_EV_STARTED)->status, ITW_OK);
    fake_close(&f);
    link_free(&l);
  }
}

/* SERVWAIT stands still as long as any session runs, and goes on when the last has ended (RFC 5938 §3.6). */
static void servwait(void **state)
{
  static const uint32_t both[] = {0, 1};
  struct link l;
  (void)state;
  begin(&l, 0, ITW_MODE_OPEN, CONTROL, CONTROL);
  (void)link_request(&l, 0);
  (void)link_request(&l, 1);
  start_n(&l, both, 2, ITW_OK);
  link_wait(&l, 5000);
  stop_n(&l, both, 1, ITW_OK);
  assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 0, l.now), ITW_OK);
  link_wait(&l, 5000);
  assert_true(link_up(&l));
  assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, 1, l.now), ITW_OK); /* REFWAIT */
  link_wait(&l, 901);
  link_ended(&l.s, ITW_ERR_SERVWAIT);
  link_free(&l);
}

/* The connection breaks: all that run have stopped. */
static void break_off(void **state)
{
  static const uint32_t both[] = {0, 1};
  struct link l;
  (void)state;
  begin(&l, 0, ITW_MODE_OPEN, CONTROL, CONTROL);
  (void)link_request(&l, 0);
  (void)link_request(&l, 1);
  start_n(&l, both, 2, ITW_OK);
  assert_int_equal(itw_conn_eof(l.s.conn, &l.s.p, l.now), ITW_OK);
  link_run(&l);
  assert_int_equal(link_events(&l.s, ITW_EV_STOPPED), 1);
  assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->slot, ITW_NO_SLOT);
  assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->status, ITW_ERR_CLOSED);
  link_free(&l);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_set),
    cmocka_unit_test(every_scheme),
    cmocka_unit_test(a_draft_client_has_none),
    cmocka_unit_test(reflected_octets),
    cmocka_unit_test(wrong_octets),
    cmocka_unit_test(some_start_some_do_not),
    cmocka_unit_test(not_the_old_commands),
    cmocka_unit_test(bad_names),
    cmocka_unit_test(bad_acks),
    cmocka_unit_test(servwait),
    cmocka_unit_test(break_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
