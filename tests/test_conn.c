/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection of either role: its verbs, its memory, its events, SAs that go, time. */

#include "link.h"
#include "scheme.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* ---- arguments ---- */

static void nulls(void **state)
{
  struct link l;
  struct itw_event ev;
  struct itw_ask q;
  struct itw_answer n;
  struct itw_sa sa = link_sa(LINK_IKE);
  struct itw_session s;
  (void)state;
  ITW_INIT(ev);
  ITW_INIT(q);
  ITW_INIT(n);
  link_init(&l, 0, ITW_MODE_OPEN);
  link_connect(&l);
  assert_int_equal(itw_conn_poll(NULL, &l.c.p), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_poll(l.c.conn, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_got(NULL, NULL, 0, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_eof(NULL, NULL, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_sent(NULL, NULL, 0, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_expire(NULL, NULL, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_work(NULL, NULL, 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_close(NULL, NULL, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_ask(NULL, &q, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_ask(l.c.conn, NULL, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_answer(NULL, NULL, &n, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_answer(l.c.conn, NULL, NULL, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_event(NULL, &ev, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_event(l.c.conn, NULL, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_sa_gone(NULL, NULL, &sa, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_sa_gone(l.c.conn, NULL, NULL, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_sa(NULL, &sa), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_sa(l.c.conn, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_detail(NULL, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_detail(l.c.conn, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_session(NULL, 0, &s), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_session(l.c.conn, 0, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_session(l.c.conn, 4, &s), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_session(l.c.conn, 0, &s), ITW_ERR_STATE);
  itw_conn_free(NULL);
  assert_true(link_up(&l));
  link_free(&l);
}

/* p may be NULL in every verb: the next one tells. */
static void without_a_poll(void **state)
{
  struct link l;
  struct itw_event ev;
  (void)state;
  ITW_INIT(ev);
  link_init(&l, 0, ITW_MODE_OPEN);
  link_server(&l);
  assert_int_equal(itw_conn_sent(l.s.conn, NULL, 64, l.now), ITW_OK);
  assert_int_equal(itw_conn_eof(l.s.conn, NULL, l.now), ITW_OK);
  assert_int_equal(itw_conn_event(l.s.conn, &ev, NULL), ITW_OK);
  assert_int_equal(ev.kind, ITW_EV_CLOSED);
  assert_int_equal(itw_conn_poll(l.s.conn, &l.s.p), ITW_OK);
  assert_int_equal(l.s.p.wants, ITW_WANT_CLOSE);
  link_free(&l);
}

static void more_than_there_was_room_for(void **state)
{
  struct link l;
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  link_server(&l);
  assert_int_equal(l.s.p.in_len, 0); /* first its greeting is written */
  assert_int_equal(itw_conn_got(l.s.conn, &l.s.p, 1, l.now), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_sent(l.s.conn, &l.s.p, 65, l.now), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_sent(l.s.conn, &l.s.p, 63, l.now), ITW_OK);
  assert_int_equal(l.s.p.out_len, 1);
  assert_int_equal(l.s.p.in_len, 0);
  assert_int_equal(itw_conn_sent(l.s.conn, &l.s.p, 1, l.now), ITW_OK);
  assert_int_equal(l.s.p.wants, ITW_WANT_READ);
  assert_int_equal(itw_conn_sent(l.s.conn, &l.s.p, 1, l.now), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_got(l.s.conn, &l.s.p, l.s.p.in_len + 1u, l.now), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_got(l.s.conn, &l.s.p, 0, l.now), ITW_OK);
  assert_int_equal(l.s.p.wants, ITW_WANT_READ);
  link_free(&l);
}

/* ---- sizes ---- */

struct larger_config {
  struct itw_client_config g;
  uint64_t more;
};

static void config_sizes(void **state)
{
  struct link l;
  struct larger_config big;
  itw_conn *c = NULL;
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  memset(&big, 0, sizeof big);
  big.g = l.cg;
  big.g.size = sizeof big;
  assert_int_equal(itw_client_new(&c, &big.g, NULL, 0), ITW_OK); /* larger, and zero beyond */
  itw_conn_free(c);
  big.more = 1;
  assert_int_equal(itw_client_new(&c, &big.g, NULL, 0), ITW_ERR_NEWER);
  big.g.size = 4;
  assert_int_equal(itw_client_new(&c, &big.g, NULL, 0), ITW_ERR_SIZE);
  big.g.size = UINT32_MAX;
  assert_int_equal(itw_client_new(&c, &big.g, NULL, 0), ITW_ERR_SIZE);
  link_free(&l);
}

static void sizes_of_what_comes_out(void **state)
{
  struct link l;
  struct itw_event ev;
  struct itw_sa sa;
  struct itw_detail why;
  struct itw_poll p;
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  l.c.hold_events = true;
  link_connect(&l);
  ITW_INIT(ev);
  ITW_INIT(sa);
  ITW_INIT(why);
  ITW_INIT(p);
  ev.size--, sa.size--, why.size = 3, p.size--;
  assert_int_equal(itw_conn_event(l.c.conn, &ev, &l.c.p), ITW_ERR_SIZE); /* and stands still */
  assert_true(l.c.p.wants & ITW_WANT_EVENT);
  assert_int_equal(itw_conn_sa(l.c.conn, &sa), ITW_ERR_SIZE);
  assert_int_equal(itw_conn_detail(l.c.conn, &why), ITW_ERR_SIZE);
  assert_int_equal(itw_conn_poll(l.c.conn, &p), ITW_ERR_SIZE);
  sa = link_sa(LINK_IKE);
  sa.size--;
  assert_int_equal(itw_conn_sa_gone(l.c.conn, &l.c.p, &sa, l.now), ITW_ERR_SIZE);
  ev.size++;
  assert_int_equal(itw_conn_event(l.c.conn, &ev, &l.c.p), ITW_OK);
  assert_int_equal(ev.kind, ITW_EV_UP);
  link_free(&l);
}

/* ---- memory ---- */

static void bounds_hold(void **state)
{
  static const uint32_t sessions[] = {1, 2, 16, 100, 4096};
  struct link l;
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  for (size_t i = 0; i < 5; i++) {
    itw_server *s = NULL;
    struct itw_server_config g = l.sg;
    l.cg.sessions = g.sessions = sessions[i];
    g.token_keys = sessions[i];
    g.client_ivs = 3 * sessions[i];
    assert_in_range(itw_client_size(&l.cg), 1, ITW_CONN_BOUND(sessions[i]));
    assert_in_range(itw_server_size(&g), 1, ITW_SERVER_BOUND(g.token_keys, g.client_ivs));
    assert_int_equal(itw_server_new(&s, &g, NULL), ITW_OK);
    assert_in_range(itw_server_conn_size(s), 1, ITW_CONN_BOUND(sessions[i]));
    itw_server_free(s);
  }
  assert_int_equal(itw_server_conn_size(NULL), 0);
  assert_int_equal(itw_server_size(NULL), 0);
  assert_int_equal(itw_client_size(NULL), 0);
  link_free(&l);
}

/* All three objects in static memory; misaligned and too small memory is refused. */
static void in_the_callers_memory(void **state)
{
  static uint64_t cm[ITW_CONN_BOUND(4) / 8 + 1], sm[ITW_CONN_BOUND(4) / 8 + 1], server[ITW_SERVER_BOUND(8, 8) / 8 + 1];
  struct link l;
  size_t size;
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  l.sg.token_keys = l.sg.client_ivs = 8;
  size = itw_server_size(&l.sg);
  assert_int_equal(itw_server_init(&l.server, (uint8_t *)server + 1, size, &l.sg, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_server_init(&l.server, NULL, size, &l.sg, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_server_init(NULL, server, size, &l.sg, NULL), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_server_init(&l.server, server, size - 1, &l.sg, NULL), ITW_ERR_TOO_SMALL);
  assert_int_equal(itw_server_init(&l.server, server, size, &l.sg, NULL), ITW_OK);
  size = itw_server_conn_size(l.server);
  assert_int_equal(itw_server_conn_init(l.server, &l.s.conn, (uint8_t *)sm + 4, size, &l.in, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_server_conn_init(l.server, &l.s.conn, NULL, size, &l.in, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_server_conn_init(NULL, &l.s.conn, sm, size, &l.in, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_server_conn_init(l.server, NULL, sm, size, &l.in, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_server_conn_init(l.server, &l.s.conn, sm, size, NULL, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_server_conn_init(l.server, &l.s.conn, sm, size - 1, &l.in, 0), ITW_ERR_TOO_SMALL);
  assert_int_equal(itw_server_conn_init(l.server, &l.s.conn, sm, size, &l.in, l.now), ITW_OK);
  size = itw_client_size(&l.cg);
  assert_int_equal(itw_client_init(&l.c.conn, (uint8_t *)cm + 2, size, &l.cg, NULL, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_client_init(&l.c.conn, cm, size - 1, &l.cg, NULL, 0), ITW_ERR_TOO_SMALL);
  assert_int_equal(itw_client_init(&l.c.conn, cm, size, &l.cg, NULL, l.now), ITW_OK);
  assert_int_equal(itw_conn_poll(l.c.conn, &l.c.p), ITW_OK);
  assert_int_equal(itw_conn_poll(l.s.conn, &l.s.p), ITW_OK);
  link_run(&l);
  link_request(&l, 0);
  link_free(&l);
  for (size_t i = 0; i < sizeof cm / 8; i++) assert_true(cm[i] == 0 && sm[i] == 0); /* wiped, and the caller's again */
}

/* ---- events ---- */

/* At most one stands, and nothing is read until it is pulled. */
static void pulled_at_last(void **state)
{
  struct link l;
  struct itw_request q = link_wish(0);
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  l.s.hold_events = true;
  link_connect(&l);
  assert_int_equal(l.s.p.wants, ITW_WANT_EVENT);
  assert_int_equal(link_ask(&l, &q), ITW_OK);
  assert_int_equal(l.c.out_len, 112); /* waits: UP wasn't pulled */
  assert_true(link_pull(&l.s));
  assert_false(link_pull(&l.s));
  link_run(&l);
  assert_int_equal(l.s.p.wants, ITW_WANT_EVENT);
  l.s.hold_events = false;
  link_run(&l);
  assert_int_equal(link_events(&l.c, ITW_EV_ACCEPTED), 1);
  link_free(&l);
}

/* News that the end has overtaken are not told; the end is. */
static void the_end_overtakes(void **state)
{
  struct link l;
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  l.s.hold_events = true;
  link_connect(&l);
  assert_int_equal(itw_conn_close(l.s.conn, &l.s.p, l.now), ITW_OK);
  assert_true(link_pull(&l.s));
  link_ended(&l.s, ITW_OK);
  assert_int_equal(l.s.count, 1);
  link_free(&l);
}

/* protocol.md 3: as if Stop came, and the results are told as invalid. */
static void break_while_testing(void **state)
{
  (void)state;
  for (int how = 0; how < 3; how++) { /* the peer closes; in the middle of a message; we close */
    itw_status why = how == 0 ? ITW_ERR_CLOSED : how == 1 ? ITW_ERR_EOF : ITW_OK;
    struct link l;
    struct itw_session s;
    uint32_t slot;
    link_init(&l, ITW_PSK, ITW_MODE_ENC);
    link_connect(&l);
    slot = link_request(&l, 0);
    link_start(&l);
    if (how == 1) assert_int_equal(itw_conn_got(l.s.conn, &l.s.p, 1, l.now), ITW_OK);
    if (how < 2)
      assert_int_equal(itw_conn_eof(l.s.conn, &l.s.p, l.now), ITW_OK);
    else
      assert_int_equal(itw_conn_close(l.s.conn, &l.s.p, l.now), ITW_OK);
    link_run(&l);
    link_ended(&l.s, why);
    assert_int_equal(link_events(&l.s, ITW_EV_STOPPED), 1);
    assert_int_equal(l.s.events[l.s.count - 2].kind, ITW_EV_STOPPED);
    assert_int_equal(l.s.events[l.s.count - 2].status, why ? why : ITW_ERR_CLOSED);
    assert_int_equal(itw_conn_session(l.s.conn, slot, &s), ITW_OK); /* goes on for Timeout */
    assert_int_equal(itw_server_ended(l.s.conn, &l.s.p, slot, l.now), ITW_OK);
    assert_int_equal(link_events(&l.c, ITW_EV_STOPPED), 1); /* and so it went on the other side */
    assert_true(link_event(&l.c, ITW_EV_STOPPED)->status < 0);
    link_ended(&l.c, ITW_ERR_CLOSED);
    link_free(&l);
  }
}

static void how_the_peer_went(void **state)
{
  static const struct {
    size_t octets; /* of the client's, that the server gets before the end */
    itw_status why;
  } t[] = {{0, ITW_ERR_CLOSED}, {1, ITW_ERR_EOF}, {163, ITW_ERR_EOF}, {164, ITW_OK}, {165, ITW_ERR_EOF}, {164 + 111, ITW_ERR_EOF},
           {164 + 112, ITW_OK}};
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    struct link l;
    struct itw_request q = link_wish(0);
    link_init(&l, ITW_PSK, ITW_MODE_AUTH);
    l.s.limit = t[i].octets;
    link_connect(&l);
    if (t[i].octets > 164) assert_int_equal(link_ask(&l, &q), ITW_OK);
    assert_int_equal(l.s.got, t[i].octets);
    assert_int_equal(itw_conn_eof(l.s.conn, &l.s.p, l.now), ITW_OK);
    link_run(&l);
    link_ended(&l.s, t[i].why);
    link_free(&l);
  }
}

/* Nothing does anything to a connection that has ended. */
static void the_end_is_the_end(void **state)
{
  struct link l;
  struct itw_sa sa = link_sa(LINK_IKE);
  (void)state;
  link_init(&l, ITW_ROOT, ITW_MODE_ENC);
  link_connect(&l);
  assert_int_equal(itw_conn_close(l.s.conn, &l.s.p, l.now), ITW_OK);
  link_run(&l);
  assert_int_equal(itw_conn_close(l.s.conn, &l.s.p, l.now), ITW_OK);
  assert_int_equal(itw_conn_eof(l.s.conn, &l.s.p, l.now), ITW_OK);
  assert_int_equal(itw_conn_expire(l.s.conn, &l.s.p, ITW_NEVER - 1), ITW_OK);
  assert_int_equal(itw_conn_work(l.s.conn, &l.s.p, 9, l.now), ITW_OK);
  assert_int_equal(itw_conn_sa_gone(l.s.conn, &l.s.p, &sa, l.now), ITW_EMPTY);
  assert_int_equal(itw_conn_got(l.s.conn, &l.s.p, 1, l.now), ITW_ERR_ARGUMENT);
  link_ended(&l.s, ITW_OK);
  link_free(&l);
}

/* ---- an SA that goes ---- */

enum { SETUP_SENT, UP, REQUESTED, ACCEPTED, TESTING, POINTS };

/* Brings both sides to a point; a question of the Server's stands open in SETUP_SENT. */
static void bring_to(struct link *l, int point)
{
  struct itw_request q = link_wish(0);
  l->s.mute = point == SETUP_SENT;
  link_connect(l);
  l->s.hold_events = point == REQUESTED;
  if (point >= REQUESTED) assert_int_equal(link_ask(l, &q), ITW_OK);
  if (point == TESTING) link_start(l);
}

static void sa_gone_after_the_setup(void **state)
{
  static const uint32_t schemes[] = {ITW_IKEV2, ITW_SHARED, ITW_SHARED_SID, ITW_ROOT, ITW_DIRECT};
  (void)state;
  for (size_t i = 0; i < 5; i++)
    for (int point = UP; point < POINTS; point++)
      for (uint32_t policy = ITW_REKEY_KEEP; policy <= ITW_REKEY_CLOSE; policy++) {
        struct link l;
        struct itw_sa sa = link_sa(schemes[i] == ITW_DIRECT ? LINK_ESP : LINK_IKE), other = sa;
        link_init(&l, schemes[i], ITW_MODE_ENC);
        l.sg.on_rekey = policy;
        bring_to(&l, point);
        other.spi_i++;
        assert_int_equal(itw_conn_sa_gone(l.s.conn, &l.s.p, &other, l.now), ITW_EMPTY);
        assert_int_equal(itw_conn_sa_gone(l.s.conn, &l.s.p, &sa, l.now), ITW_OK);
        l.s.hold_events = false;
        link_run(&l);
        if (policy == ITW_REKEY_CLOSE) {
          link_ended(&l.s, ITW_ERR_SA_GONE);
          assert_int_equal(link_events(&l.s, ITW_EV_STOPPED), point == TESTING);
        } else {
          assert_true(link_event(&l.s, ITW_EV_SA_GONE)->sa.spi_r == sa.spi_r);
          if (point == ACCEPTED || point == REQUESTED) link_start(&l);
          if (point != UP) link_stop(&l);
          assert_true(link_up(&l)); /* with its old keys, to the end */
        }
        link_free(&l);
      }
}

static void sa_gone_at_the_client(void **state)
{
  (void)state;
  for (uint32_t policy = ITW_REKEY_KEEP; policy <= ITW_REKEY_CLOSE; policy++) {
    struct link l;
    struct itw_sa sa = link_sa(LINK_IKE);
    link_init(&l, ITW_SHARED, ITW_MODE_ENC);
    l.cg.on_rekey = policy;
    bring_to(&l, TESTING);
    assert_int_equal(itw_conn_sa_gone(l.c.conn, &l.c.p, &sa, l.now), ITW_OK);
    link_run(&l);
    if (policy == ITW_REKEY_CLOSE) {
      link_ended(&l.c, ITW_ERR_SA_GONE);
      assert_int_equal(link_event(&l.c, ITW_EV_STOPPED)->status, ITW_ERR_SA_GONE);
      assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->status, ITW_ERR_CLOSED);
    } else {
      link_stop(&l);
      assert_true(link_up(&l));
    }
    link_free(&l);
  }
}

static void sa_gone_at_the_client_before_server_start(void **state)
{
  struct link l;
  struct itw_sa sa = link_sa(LINK_IKE);
  (void)state;
  link_init(&l, ITW_ROOT, ITW_MODE_ENC);
  l.s.limit = 0;
  link_connect(&l);
  assert_int_equal(itw_conn_sa_gone(l.c.conn, &l.c.p, &sa, l.now), ITW_OK);
  link_run(&l);
  link_ended(&l.c, ITW_ERR_SA_GONE);
  link_free(&l);
}

/* protocol.md 2.1: gone before the Set-Up-Response: Accept 1; whatever the policy, and in open mode too. */
static void sa_gone_before_setup_response(void **state)
{
  static const uint32_t schemes[] = {ITW_SHARED, ITW_SHARED_SID, ITW_ROOT, ITW_DIRECT};
  (void)state;
  for (size_t i = 0; i < 4; i++)
    for (uint32_t mode = 1; mode <= 4; mode <<= 1)
      for (int asked = 0; asked < 2; asked++) { /* before it came; while its keys are asked for */
        struct link l;
        struct itw_sa sa = link_sa(schemes[i] == ITW_DIRECT ? LINK_ESP : LINK_IKE);
        if (asked && mode == ITW_MODE_OPEN) continue;
        link_init(&l, schemes[i], mode);
        l.s.by_hand = true;
        l.s.limit = 0;
        link_connect(&l);
        l.s.mute = asked;
        if (asked) l.s.limit = SIZE_MAX, link_run(&l);
        assert_int_equal(itw_conn_sa_gone(l.s.conn, &l.s.p, &sa, l.now), ITW_OK);
        l.s.mute = false;
        l.s.limit = SIZE_MAX;
        link_run(&l);
        link_ended(&l.s, ITW_ERR_SA_GONE);
        link_ended(&l.c, ITW_ERR_REFUSED);
        assert_int_equal(link_why(&l.c).accept, ITW_ACCEPT_FAILURE);
        link_free(&l);
      }
}

/* The ring lost it in between: the same to the Client. */
static void sa_removed_from_the_ring(void **state)
{
  static const uint32_t schemes[] = {ITW_SHARED, ITW_ROOT, ITW_DIRECT};
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    struct link l;
    struct itw_sa sa = link_sa(schemes[i] == ITW_DIRECT ? LINK_ESP : LINK_IKE);
    link_init(&l, schemes[i], ITW_MODE_ENC);
    l.s.limit = 0;
    link_connect(&l);
    assert_int_equal(itw_keyring_remove(l.s.ring, &sa), ITW_OK);
    l.s.limit = SIZE_MAX;
    link_run(&l);
    link_ended(&l.s, ITW_ERR_SA_GONE);
    assert_int_equal(link_why(&l.c).accept, ITW_ACCEPT_FAILURE);
    link_free(&l);
  }
}

/* Who goes on without the SA of the greeting isn't concerned when that goes. */
static void legacy_client_is_not_pinned(void **state)
{
  struct link l;
  struct fake f;
  struct itw_sa sa = link_sa(LINK_IKE), is;
  (void)state;
  link_init(&l, ITW_SHARED | ITW_PSK, ITW_MODE_ENC);
  l.sg.legacy_modes = ITW_MODE_ENC;
  l.sg.on_rekey = ITW_REKEY_CLOSE;
  link_server(&l);
  fake_open(&f, &l, &l.s);
  fake_prepare(&f, ITW_MODE_ENC);
  assert_int_equal(f.greeting.protocol, ITW_SA_IKE);
  assert_int_equal(fake_go(&f), 0);
  ITW_INIT(is);
  assert_int_equal(itw_conn_sa(l.s.conn, &is), ITW_OK);
  assert_int_equal(is.protocol, 0);
  assert_int_equal(link_event(&l.s, ITW_EV_UP)->sa.protocol, 0);
  assert_int_equal(itw_conn_sa_gone(l.s.conn, &l.s.p, &sa, l.now), ITW_EMPTY);
  fake_close(&f);
  link_free(&l);
}

/* ---- time ---- */

static void greeting_that_is_never_read(void **state)
{
  struct link l;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.s.hold_writes = true;
  link_server(&l);
  link_wait(&l, 59);
  assert_false(link_over(&l.s));
  link_wait(&l, 1);
  link_ended(&l.s, ITW_ERR_TIMEOUT);
  link_free(&l);
}

/* The greeting came late, the set-up's time is over before the greeting's own: nothing keeps it from closing. */
static void late_greeting_that_is_never_read(void **state)
{
  struct link l;
  (void)state;
  link_init(&l, ITW_ROOT, ITW_MODE_ENC);
  l.s.by_hand = l.s.mute = l.s.hold_writes = true;
  link_server(&l);
  link_wait(&l, 30);
  l.s.mute = false;
  link_run(&l);
  assert_int_equal(l.s.p.wants, ITW_WANT_WRITE);
  link_wait(&l, 30);
  link_ended(&l.s, ITW_ERR_TIMEOUT);
  link_free(&l);
}

static void refusal_that_is_never_read(void **state)
{
  struct link l;
  struct fake f;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  link_server(&l);
  fake_open(&f, &l, &l.s);
  fake_prepare(&f, 3);
  l.s.hold_writes = true;
  fake_go(&f);
  assert_int_equal(l.s.p.wants, ITW_WANT_WRITE); /* first it says so, then it closes */
  assert_int_equal(l.s.p.out_len, 48);
  link_wait(&l, 60);
  link_ended(&l.s, ITW_ERR_MODE);
  fake_close(&f);
  link_free(&l);
}

static void early_expire_is_harmless(void **state)
{
  struct link l;
  (void)state;
  link_init(&l, 0, ITW_MODE_OPEN);
  link_connect(&l);
  assert_int_equal(itw_conn_expire(l.s.conn, &l.s.p, l.now + 1), ITW_OK);
  assert_int_equal(itw_conn_expire(l.s.conn, &l.s.p, 0), ITW_OK); /* a clock that went back is ignored */
  assert_true(link_up(&l));
  link_free(&l);
}

/* ---- names, details ---- */

static void names(void **state)
{
  (void)state;
  assert_string_equal(itw_message_name(ITW_MSG_GREETING), "Server Greeting");
  assert_string_equal(itw_message_name(ITW_MSG_SETUP_RESPONSE), "Set-Up-Response");
  assert_string_equal(itw_message_name(ITW_MSG_STOP_SESSIONS), "Stop-Sessions");
  assert_string_equal(itw_message_name(ITW_MSG_COMMAND), "command");
  assert_string_equal(itw_message_name(0), "");
  assert_string_equal(itw_message_name(99), "");
}

static void details(void **state)
{
  static const uint32_t states[POINTS] = {ITW_STATE_SETUP, ITW_STATE_IDLE, ITW_STATE_REQUEST, ITW_STATE_IDLE, ITW_STATE_TESTING};
  (void)state;
  for (int point = 0; point < POINTS; point++) {
    struct link l;
    link_init(&l, ITW_PSK, ITW_MODE_ENC);
    l.s.by_hand = true;
    bring_to(&l, point);
    assert_int_equal(link_why(&l.s).status, ITW_OK);
    assert_int_equal(link_why(&l.s).state, states[point]);
    assert_int_equal(itw_conn_tag(l.s.conn), 22);
    assert_int_equal(itw_conn_tag(l.c.conn), 11);
    l.s.hold_events = false;
    assert_int_equal(itw_conn_expire(l.s.conn, &l.s.p, l.now + UINT64_C(1000000000000)), ITW_OK);
    if (link_over(&l.s)) assert_int_equal(link_why(&l.s).state, states[point]); /* where it was when it failed */
    link_free(&l);
  }
}

static void detail_in_full(void **state)
{
  struct link l;
  struct itw_detail why;
  (void)state;
  link_init(&l, ITW_PSK, ITW_MODE_ENC);
  l.s.flip = 84; /* the Token */
  l.s.mask = 1;
  link_connect(&l);
  why = link_why(&l.s);
  assert_int_equal(why.status, ITW_ERR_TOKEN);
  assert_int_equal(why.message, ITW_MSG_SETUP_RESPONSE);
  assert_int_equal(why.state, ITW_STATE_SETUP);
  assert_int_equal(why.accept, ITW_ACCEPT_FAILURE);
  assert_int_equal(why.clause, 4656u << 16 | 3u << 8 | 1u);
  assert_string_equal(why.text, itw_status_text(ITW_ERR_TOKEN));
  link_free(&l);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(nulls),
    cmocka_unit_test(without_a_poll),
    cmocka_unit_test(more_than_there_was_room_for),
    cmocka_unit_test(config_sizes),
    cmocka_unit_test(sizes_of_what_comes_out),
    cmocka_unit_test(bounds_hold),
    cmocka_unit_test(in_the_callers_memory),
    cmocka_unit_test(pulled_at_last),
    cmocka_unit_test(the_end_overtakes),
    cmocka_unit_test(break_while_testing),
    cmocka_unit_test(how_the_peer_went),
    cmocka_unit_test(the_end_is_the_end),
    cmocka_unit_test(sa_gone_after_the_setup),
    cmocka_unit_test(sa_gone_at_the_client),
    cmocka_unit_test(sa_gone_at_the_client_before_server_start),
    cmocka_unit_test(sa_gone_before_setup_response),
    cmocka_unit_test(sa_removed_from_the_ring),
    cmocka_unit_test(legacy_client_is_not_pinned),
    cmocka_unit_test(greeting_that_is_never_read),
    cmocka_unit_test(late_greeting_that_is_never_read),
    cmocka_unit_test(refusal_that_is_never_read),
    cmocka_unit_test(early_expire_is_harmless),
    cmocka_unit_test(names),
    cmocka_unit_test(details),
    cmocka_unit_test(detail_in_full),
  };
  return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
