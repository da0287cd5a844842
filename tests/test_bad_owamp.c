/* SPDX-License-Identifier: BSD-3-Clause */
/* OWAMP-Control's bad input (RFC 4656 §3.5 to 3.9). Each is refused with a status of its own, and disturbs neither the
   sessions that there are nor other connections. Where each item is tested, and what it ends with:

     Conf-Sender and Conf-Receiver 0                   requests_good_and_bad                          REQUEST
     no schedule slot, too many, of an unknown type    requests_good_and_bad                          SLOTS
     Number of Packets 0, beyond the bound             requests_good_and_bad                          PACKETS
     a third party's address                           requests_good_and_bad, third_parties_...       ADDRESS
     the SID of another session                        requests_good_and_bad                          SID
     a Stop that leaves a session out, names one twice, one that isn't, or one of the other direction
                                                       stops_..._at_the_server, ..._at_the_client     STOP_SESSION
     skip ranges out of order, overlapping, too many or beyond Next Seqno
                                                       the same; fetched_skips                        SKIPS
     a Stop before the start                           stop_before_the_start                          UNEXPECTED, STOP_SESSION
     a fetch while tests run                           fetch_while_tests_run                          UNEXPECTED
     a fetch that the Server's caller denies           denied_fetch                                   REFUSED
     Start-N and Stop-N (TWAMP)                        test_names  bad_names, bad_acks                SID, UNEXPECTED
     a flipped bit in any message                      test_flip */

#include "link.h"
#include "octets.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

enum { PACKETS = 100, MAX_PACKETS = 1000, SLOTS = 3 };
static const uint32_t modes[] = {ITW_MODE_OPEN, ITW_MODE_ENC};
enum { MODES = sizeof modes / sizeof modes[0] };

static void begin(struct link *l, uint32_t mode)
{
  link_init(l, mode == ITW_MODE_OPEN ? 0 : ITW_PSK, mode);
  l->cg.protocol = l->sg.protocol = ITW_OWAMP;
  l->cg.slots = l->sg.slots = SLOTS;
  l->sg.max_packets = MAX_PACKETS;
}

static void done(struct link *l, struct fake *f)
{
  fake_close(f);
  link_free(l);
}

/* ---- a Client played by the test ---- */

static struct itw_request_tw wish(bool to_server, uint32_t n)
{
  struct itw_request_tw w = fake_wish();
  w.command = ITW_CMD_REQUEST_SESSION;
  w.conf_receiver = to_server;
  w.conf_sender = !to_server;
  w.sender_port = to_server ? 20000 + n : 0;
  w.receiver_port = to_server ? 0 : 30000 + n;
  w.packets = PACKETS;
  w.slots = 1;
  if (!to_server) memset(w.sid, (int)(0x50 + n), sizeof w.sid);
  return w;
}

/* Sends it with all its slots: Accept-Session's Accept. */
static int request(struct fake *f, const struct itw_request_tw *w, uint32_t type)
{
  const struct itw_slot slot = {type, 0, UINT64_C(1) << 31};
  uint8_t body[ITW_REQUEST_LEN];
  assert_int_equal(itw_request_tw_write(body, sizeof body, w), ITW_OK);
  fake_seal(f, body, sizeof body);
  for (uint32_t i = 0; i < w->slots; i++) assert_int_equal(itw_slot_write(body + 16 * i, 16, &slot), ITW_OK);
  fake_seal(f, body, 16 * w->slots);
  return fake_accept(f);
}

static void joined(struct link *l, struct fake *f, uint32_t mode)
{
  begin(l, mode);
  link_server(l);
  fake_open(f, l, &l->s);
  assert_int_equal(fake_join(f, mode), ITW_ACCEPT_OK);
}

static void start(struct fake *f)
{
  uint8_t body[16] = {ITW_CMD_START_SESSIONS};
  fake_seal(f, body, sizeof body);
  assert_true(fake_read(f, body, sizeof body));
  assert_int_equal(body[0], ITW_ACCEPT_OK);
}

/* ---- requests ---- */

static const uint8_t third[16] = {192, 0, 2, 9};

static void plain(struct itw_request_tw *w) { (void)w; }
static void from_server(struct itw_request_tw *w) { *w = wish(false, 5); }
static void most_packets(struct itw_request_tw *w) { w->packets = MAX_PACKETS; }
static void most_slots(struct itw_request_tw *w) { w->slots = SLOTS; }
static void no_conf(struct itw_request_tw *w) { w->conf_receiver = 0; }
static void no_port(struct itw_request_tw *w) { *w = wish(false, 5), w->receiver_port = 0; }
static void no_sender_port(struct itw_request_tw *w) { w->sender_port = 0; }
static void ipvn_5(struct itw_request_tw *w) { w->ipvn = 5; }
static void no_slots(struct itw_request_tw *w) { w->slots = 0; }
static void one_more(struct itw_request_tw *w) { w->slots = SLOTS + 1; }
static void no_packets(struct itw_request_tw *w) { w->packets = 0; }
static void many(struct itw_request_tw *w) { w->packets = MAX_PACKETS + 1; }
static void all(struct itw_request_tw *w) { w->packets = UINT32_MAX; }
static void third_sends(struct itw_request_tw *w) { memcpy(w->sender, third, 16); }
static void third_receives(struct itw_request_tw *w) { memcpy(w->receiver, third, 16); }
static void sent_to_third(struct itw_request_tw *w) { *w = wish(false, 5), memcpy(w->receiver, third, 16); }
static void known_sid(struct itw_request_tw *w) { *w = wish(false, 1); }
static void padding(struct itw_request_tw *w) { w->padding = UINT32_MAX; }

static const struct {
  const char *what;
  void (*change)(struct itw_request_tw *);
  uint32_t type; /* of its slots */
  int accept;
  itw_status why;
} requests[] = {
  {"a good one", plain, 0, 0, 0},
  {"fixed", plain, ITW_SLOT_FIXED, 0, 0},
  {"from the Server", from_server, 0, 0, 0},
  {"as many packets as may be", most_packets, 0, 0, 0},
  {"as many slots", most_slots, 0, 0, 0},
  {"neither Conf", no_conf, 0, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_REQUEST},
  {"IPVN 5", ipvn_5, 0, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_REQUEST},
  {"no port to send to", no_port, 0, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_REQUEST},
  {"no port to send from", no_sender_port, 0, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_REQUEST},
  {"no slot", no_slots, 0, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_SLOTS},
  {"too many slots", one_more, 0, ITW_ACCEPT_PERMANENT, ITW_ERR_SLOTS},
  {"an unknown slot", plain, 2, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_SLOTS},
  {"no packet", no_packets, 0, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_PACKETS},
  {"too many packets", many, 0, ITW_ACCEPT_PERMANENT, ITW_ERR_PACKETS},
  {"all packets", all, 0, ITW_ACCEPT_PERMANENT, ITW_ERR_PACKETS},
  {"padding", padding, 0, ITW_ACCEPT_UNSUPPORTED, ITW_ERR_PADDING},
  {"a third party sends", third_sends, 0, ITW_ACCEPT_FAILURE, ITW_ERR_ADDRESS},
  {"we are a third party", third_receives, 0, ITW_ACCEPT_FAILURE, ITW_ERR_ADDRESS},
  {"we send to a third party", sent_to_third, 0, ITW_ACCEPT_FAILURE, ITW_ERR_ADDRESS},
  {"the SID of another", known_sid, 0, ITW_ACCEPT_FAILURE, ITW_ERR_SID},
};
enum { REQUESTS = sizeof requests / sizeof requests[0] };

/* Between two good ones, which are then started. */
static void one_request(uint32_t mode, size_t i)
{
  struct link l;
  struct fake f;
  const struct itw_event *ev;
  struct itw_request_tw first = wish(false, 1), w = wish(true, 0), last = wish(true, 2);
  int accept;
  requests[i].change(&w);
  joined(&l, &f, mode);
  assert_int_equal(request(&f, &first, ITW_SLOT_FIXED), ITW_ACCEPT_OK);
  accept = request(&f, &w, requests[i].type);
  if (accept != requests[i].accept) fail_msg("%s: Accept %d", requests[i].what, accept);
  ev = link_event(&l.s, ITW_EV_REFUSED);
  assert_true(!ev == !requests[i].why);
  if (ev) {
    assert_string_equal(itw_status_name(ev->status), itw_status_name(requests[i].why));
    assert_int_equal(ev->accept, accept);
    assert_int_equal(ev->slot, ITW_NO_SLOT);
  }
  assert_int_equal(request(&f, &last, ITW_SLOT_FIXED), ITW_ACCEPT_OK);
  start(&f);
  assert_int_equal(link_events(&l.s, ITW_EV_READY), 2 + !ev);
  assert_false(link_over(&l.s));
  done(&l, &f);
}

static void requests_good_and_bad(void **state)
{
  (void)state;
  for (size_t m = 0; m < MODES; m++)
    for (size_t i = 0; i < REQUESTS; i++) one_request(modes[m], i);
}

static void third_parties_by_policy(void **state)
{
  void (*const changes[])(struct itw_request_tw *) = {third_sends, third_receives, sent_to_third};
  (void)state;
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    struct link l;
    struct fake f;
    struct itw_request_tw w = wish(true, 0);
    changes[i](&w);
    begin(&l, ITW_MODE_OPEN);
    l.sg.flags = ITW_SERVER_ANY_ADDRESS;
    link_server(&l);
    fake_open(&f, &l, &l.s);
    assert_int_equal(fake_join(&f, ITW_MODE_OPEN), ITW_ACCEPT_OK);
    assert_int_equal(request(&f, &w, 0), ITW_ACCEPT_OK);
    done(&l, &f);
  }
}

/* ---- Stop-Sessions: three sessions run, of two of which the peer is the sender ---- */

enum who { FIRST, SECOND, OURS, NOBODY };
struct account {
  enum who who;
  uint32_t next_seqno, skips; /* as said; ranges: as many as there are */
  struct itw_skip ranges[4];
};
static const struct stop {
  const char *what;
  uint32_t sessions; /* as said */
  itw_status why;
  uint32_t count;
  struct account accounts[3];
} stops[] = {
  {"a good one", 2, ITW_OK, 2, {{FIRST, 100, 2, {{0, 0}, {2, 99}}}, {SECOND, 0, 0, {{0, 0}}}}},
  {"in another order", 2, ITW_OK, 2, {{SECOND, 7, 0, {{0, 0}}}, {FIRST, 9, 1, {{8, 8}}}}},
  {"ranges that touch", 2, ITW_OK, 2, {{FIRST, 9, 3, {{0, 3}, {4, 4}, {5, 8}}}, {SECOND, 0, 0, {{0, 0}}}}},
  {"nobody", 0, ITW_ERR_STOP_SESSION, 0, {{FIRST, 0, 0, {{0, 0}}}}},
  {"the second left out", 1, ITW_ERR_STOP_SESSION, 1, {{FIRST, 100, 0, {{0, 0}}}}},
  {"one too many", 3, ITW_ERR_STOP_SESSION, 3,
   {{FIRST, 9, 0, {{0, 0}}}, {SECOND, 9, 0, {{0, 0}}}, {OURS, 9, 0, {{0, 0}}}}},
  {"more than anybody has", UINT32_MAX, ITW_ERR_STOP_SESSION, 1, {{FIRST, 9, 0, {{0, 0}}}}},
  {"the first twice", 2, ITW_ERR_STOP_SESSION, 2, {{FIRST, 9, 0, {{0, 0}}}, {FIRST, 9, 0, {{0, 0}}}}},
  {"an unknown SID", 2, ITW_ERR_STOP_SESSION, 2, {{FIRST, 9, 0, {{0, 0}}}, {NOBODY, 9, 0, {{0, 0}}}}},
  {"of the other direction", 2, ITW_ERR_STOP_SESSION, 2, {{FIRST, 9, 0, {{0, 0}}}, {OURS, 9, 0, {{0, 0}}}}},
  {"more than were asked for", 2, ITW_ERR_STOP_SESSION, 2, {{FIRST, 9, 0, {{0, 0}}}, {SECOND, 101, 0, {{0, 0}}}}},
  {"out of order", 2, ITW_ERR_SKIPS, 1, {{FIRST, 9, 2, {{5, 6}, {1, 2}}}}},
  {"overlapping", 2, ITW_ERR_SKIPS, 1, {{FIRST, 9, 2, {{1, 3}, {3, 4}}}}},
  {"twice the same", 2, ITW_ERR_SKIPS, 1, {{FIRST, 9, 2, {{1, 3}, {1, 3}}}}},
  {"turned round", 2, ITW_ERR_SKIPS, 1, {{FIRST, 9, 1, {{3, 2}}}}},
  {"Next Seqno itself", 2, ITW_ERR_SKIPS, 1, {{FIRST, 9, 1, {{8, 9}}}}},
  {"all there are", 2, ITW_ERR_SKIPS, 1, {{FIRST, 9, 1, {{0, UINT32_MAX}}}}},
  {"in the second", 2, ITW_ERR_SKIPS, 2, {{FIRST, 9, 1, {{1, 2}}}, {SECOND, 9, 3, {{0, 0}, {2, 3}, {3, 3}}}}},
  {"more ranges than packets", 2, ITW_ERR_SKIPS, 1, {{FIRST, 1, 2, {{0, 0}}}}},
  {"as many as can be said", 2, ITW_ERR_SKIPS, 1, {{FIRST, 9, UINT32_MAX, {{0, 0}}}}},
};
enum { STOPS = sizeof stops / sizeof stops[0] };

/* As long as there are ranges in the table; with its HMAC, which is read only if nothing is wrong before it. */
static void send_stop(struct fake *f, const struct stop *t, uint8_t (*sids)[16])
{
  uint8_t body[256] = {0};
  struct itw_stop_sessions head = {0, t->sessions};
  size_t at = 16;
  assert_int_equal(itw_stop_sessions_write(body, 16, &head), ITW_OK);
  for (const struct account *a = t->accounts; a < t->accounts + t->count; a++) {
    uint32_t n = a->skips < 4 ? a->skips : 0;
    memcpy(body + at, sids[a->who], 16);
    itwi_store32(body + at + 16, a->next_seqno);
    itwi_store32(body + at + 20, a->skips);
    for (uint32_t i = 0; i < n; i++) assert_int_equal(itw_skip_write(body + at + 24 + 8 * i, 8, &a->ranges[i]), ITW_OK);
    at += (24 + 8 * n + 15) / 16 * 16;
  }
  fake_seal(f, body, at);
}

/* Of the side that was told. */
static void told(const struct link_side *s, const struct stop *t)
{
  if (t->why) {
    if (!link_over(s) || link_why(s).status != t->why)
      fail_msg("%s: %s", t->what, itw_status_name(link_why(s).status));
    link_ended(s, t->why);
    assert_int_equal(link_events(s, ITW_EV_STOP), 0);
    assert_int_equal(link_event(s, ITW_EV_STOPPED)->status, t->why); /* results are invalid */
    assert_int_equal(link_why(s).message, ITW_MSG_STOP_SESSIONS);
  } else {
    if (link_events(s, ITW_EV_STOP) != 1) fail_msg("%s: %s", t->what, itw_status_name(link_why(s).status));
    assert_int_equal(link_events(s, ITW_EV_STOP_SESSION), 2);
    assert_int_equal(link_event(s, ITW_EV_STOP_SESSION)->next_seqno, t->accounts[1].next_seqno);
    assert_int_equal(link_event(s, ITW_EV_STOP_SESSION)->skips, t->accounts[1].skips);
    assert_false(link_over(s));
  }
}

/* Sessions whose SIDs are sids[FIRST], [SECOND] and [OURS]; another connection of the same Server beside it. */
static void stop_at_the_server(const struct link *other, uint32_t mode, const struct stop *t)
{
  static const bool to_server[] = {true, true, false};
  struct link l;
  struct fake f;
  uint8_t sids[4][16], body[48];
  uint32_t slots[3];
  begin(&l, mode);
  link_share(&l, other);
  link_server(&l);
  fake_open(&f, &l, &l.s);
  assert_int_equal(fake_join(&f, mode), ITW_ACCEPT_OK);
  for (uint32_t i = 0; i < 3; i++) {
    const struct itw_request_tw w = wish(to_server[i], i);
    assert_int_equal(request(&f, &w, ITW_SLOT_FIXED), ITW_ACCEPT_OK);
    memcpy(sids[i], link_event(&l.s, ITW_EV_READY)->request.sid, 16);
    slots[i] = link_event(&l.s, ITW_EV_READY)->slot;
  }
  memset(sids[NOBODY], 0x77, 16);
  start(&f);
  send_stop(&f, t, sids);
  told(&l.s, t);
  assert_false(fake_read(&f, body, 16)); /* no answer */
  if (!t->why) {
    assert_int_equal(itw_conn_account(l.s.conn, slots[FIRST], 9, 0), ITW_ERR_STATE);
    assert_int_equal(itw_conn_account(l.s.conn, slots[OURS], 9, 0), ITW_OK);
    assert_int_equal(itw_conn_stop(l.s.conn, &l.s.p, 0, l.now), ITW_OK);
    assert_true(fake_read(&f, body, 48));
    assert_memory_equal(body + 16, sids[OURS], 16);
    assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->status, ITW_OK);
  }
  done(&l, &f);
}

static void ask_for(struct link *l, uint32_t *slot, bool to_server, uint32_t n)
{
  const struct itw_slot list = {ITW_SLOT_FIXED, 0, UINT64_C(1) << 31};
  struct itw_request q = link_wish(n);
  q.conf = to_server ? ITW_CONF_RECEIVER : ITW_CONF_SENDER;
  q.packets = PACKETS;
  if (!to_server) {
    q.sender.port = 0;
    q.receiver.port = (uint16_t)(30000 + n);
    memset(q.sid, (int)(0x50 + n), sizeof q.sid);
  }
  assert_int_equal(itw_client_request_session(l->c.conn, &l->c.p, slot, &q, &list, 1, l->now), ITW_OK);
  link_run(l);
}

static void stops_good_and_bad_at_the_server(void **state)
{
  (void)state;
  for (size_t m = 0; m < MODES; m++) {
    struct link other;
    uint32_t slot;
    begin(&other, modes[m]);
    link_connect(&other);
    ask_for(&other, &slot, true, 0);
    link_start(&other);
    for (size_t i = 0; i < STOPS; i++) {
      stop_at_the_server(&other, modes[m], &stops[i]);
      assert_true(link_up(&other));
      assert_int_equal(link_events(&other.s, ITW_EV_STOPPED), 0);
    }
    assert_int_equal(itw_conn_account(other.c.conn, slot, 5, 0), ITW_OK);
    assert_int_equal(itw_conn_stop(other.c.conn, &other.c.p, 0, other.now), ITW_OK);
    link_run(&other);
    assert_int_equal(link_events(&other.s, ITW_EV_STOP), 1);
    link_free(&other);
  }
}

/* ---- the same from a Server ---- */

static void fake_server(struct link *l, struct fake *f, uint32_t mode)
{
  struct itw_greeting hi = fake_hello(mode);
  begin(l, mode);
  fake_open(f, l, &l->c);
  link_client(l);
  fake_greet(f, &hi);
  assert_true(fake_start(f, 0));
}

/* Reads a request of one slot, and accepts it. */
static void accept_as(struct fake *f, const uint8_t sid[16])
{
  struct itw_accept_session a = {.port = 5000};
  uint8_t body[ITW_REQUEST_LEN];
  assert_true(fake_read(f, body, ITW_REQUEST_LEN));
  assert_true(fake_read(f, body, 16));
  memcpy(a.sid, sid, 16);
  assert_int_equal(itw_accept_session_write(body, sizeof body, &a), ITW_OK);
  fake_seal(f, body, ITW_ACCEPT_LEN);
}

static void stop_at_the_client(uint32_t mode, const struct stop *t)
{
  static const bool to_server[] = {false, false, true};
  struct link l;
  struct fake f;
  uint8_t sids[4][16], body[48];
  uint32_t slots[3];
  fake_server(&l, &f, mode);
  for (uint32_t i = 0; i < 4; i++) memset(sids[i], (int)(0x50 + i), 16);
  for (uint32_t i = 0; i < 3; i++) {
    ask_for(&l, &slots[i], to_server[i], i);
    accept_as(&f, sids[i]);
    assert_int_equal(link_events(&l.c, ITW_EV_ACCEPTED), i + 1);
  }
  assert_int_equal(itw_client_start(l.c.conn, &l.c.p, l.now), ITW_OK);
  fake_ack(&f, ITW_ACCEPT_OK);
  send_stop(&f, t, sids);
  told(&l.c, t);
  if (!t->why) {
    assert_int_equal(itw_conn_account(l.c.conn, slots[FIRST], 9, 0), ITW_ERR_STATE);
    assert_int_equal(itw_conn_account(l.c.conn, slots[OURS], 9, 0), ITW_OK);
    assert_int_equal(itw_conn_stop(l.c.conn, &l.c.p, 0, l.now), ITW_OK);
    assert_true(fake_read(&f, body, 48));
    assert_memory_equal(body + 16, sids[OURS], 16);
    assert_int_equal(link_event(&l.c, ITW_EV_STOPPED)->status, ITW_OK);
  }
  done(&l, &f);
}

static void stops_good_and_bad_at_the_client(void **state)
{
  (void)state;
  for (size_t m = 0; m < MODES; m++)
    for (size_t i = 0; i < STOPS; i++) stop_at_the_client(modes[m], &stops[i]);
}

/* ---- at the wrong time ---- */

static void stop_before_the_start(void **state)
{
  (void)state;
  for (uint32_t sessions = 0; sessions < 2; sessions++) {
    struct link l;
    struct fake f;
    struct itw_request_tw w = wish(true, 0);
    joined(&l, &f, ITW_MODE_OPEN);
    assert_int_equal(request(&f, &w, 0), ITW_ACCEPT_OK);
    assert_int_equal(fake_stop(&f, sessions), sessions ? -1 : ITW_ACCEPT_UNSUPPORTED);
    if (sessions) {
      link_ended(&l.s, ITW_ERR_STOP_SESSION);
    } else {
      assert_int_equal(link_event(&l.s, ITW_EV_REFUSED)->status, ITW_ERR_UNEXPECTED);
      start(&f);
    }
    done(&l, &f);
  }
}

static void fetch_while_tests_run(void **state)
{
  (void)state;
  for (size_t m = 0; m < MODES; m++) {
    struct link l;
    struct fake f;
    struct itw_request_tw w = wish(true, 0);
    struct stop good = {"a good one", 1, ITW_OK, 1, {{FIRST, 9, 0, {{0, 0}}}}};
    struct itw_fetch q = {.end = UINT32_MAX};
    uint8_t body[32], sids[1][16];
    joined(&l, &f, modes[m]);
    assert_int_equal(request(&f, &w, 0), ITW_ACCEPT_OK);
    memcpy(sids[0], link_event(&l.s, ITW_EV_READY)->request.sid, 16);
    memcpy(q.sid, sids[0], 16);
    start(&f);
    assert_int_equal(itw_fetch_write(body, sizeof body, &q), ITW_OK);
    fake_seal(&f, body, sizeof body);
    assert_int_equal(fake_accept(&f), ITW_ACCEPT_UNSUPPORTED);
    assert_int_equal(link_event(&l.s, ITW_EV_REFUSED)->status, ITW_ERR_UNEXPECTED);
    assert_int_equal(link_events(&l.s, ITW_EV_FETCH), 0);
    send_stop(&f, &good, sids); /* it ran on */
    assert_int_equal(link_events(&l.s, ITW_EV_STOP), 1);
    done(&l, &f);
  }
}

/* ---- fetches ---- */

static void deny(struct link_side *s, const struct itw_event *ev)
{
  struct itw_fetch_answer n;
  ITW_INIT(n);
  n.accept = ITW_ACCEPT_FAILURE;
  if (ev->kind == ITW_EV_FETCH) assert_int_equal(itw_server_fetch(s->conn, &s->p, &n, s->link->now), ITW_OK);
}

/* Such as one that runs, over another connection, or isn't this Client's. */
static void denied_fetch(void **state)
{
  (void)state;
  for (size_t m = 0; m < MODES; m++) {
    struct link l;
    struct itw_fetch q;
    const struct itw_event *ev;
    uint32_t slot;
    begin(&l, modes[m]);
    l.s.event = deny;
    link_connect(&l);
    ask_for(&l, &slot, true, 0);
    ITW_INIT(q);
    q.end = UINT32_MAX;
    for (uint32_t i = 1; i < 3; i++) {
      assert_int_equal(itw_client_fetch(l.c.conn, &l.c.p, &q, l.now), ITW_OK);
      link_run(&l);
      ev = link_event(&l.c, ITW_EV_FETCHED);
      assert_int_equal(link_events(&l.c, ITW_EV_FETCHED), i);
      assert_int_equal(ev->status, ITW_ERR_REFUSED);
      assert_int_equal(ev->accept, ITW_ACCEPT_FAILURE);
      assert_int_equal(link_events(&l.c, ITW_EV_FETCH), 0);
      assert_int_equal(link_event(&l.s, ITW_EV_FETCHED)->status, ITW_ERR_REFUSED);
    }
    link_start(&l);
    assert_int_equal(link_events(&l.c, ITW_EV_STARTED), 1);
    link_free(&l);
  }
}

/* The part that holds them is as the Stop's. */
static void fetched_skips(void **state)
{
  static const struct {
    struct itw_skip ranges[2];
    itw_status why;
  } t[] = {{{{0, 3}, {4, 8}}, ITW_OK}, {{{4, 8}, {0, 3}}, ITW_ERR_SKIPS}, {{{0, 3}, {3, 8}}, ITW_ERR_SKIPS},
           {{{3, 0}, {4, 8}}, ITW_ERR_SKIPS}, {{{0, 3}, {4, 9}}, ITW_ERR_SKIPS}};
  (void)state;
  for (size_t m = 0; m < MODES; m++)
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
      struct link l;
      struct fake f;
      struct itw_fetch q;
      const struct itw_fetch_ack ack = {0, 1, 9, 2, 0};
      const struct itw_request_tw w = wish(true, 0);
      const struct itw_slot slot = {ITW_SLOT_FIXED, 0, 1};
      uint8_t body[ITW_REQUEST_LEN];
      fake_server(&l, &f, modes[m]);
      ITW_INIT(q);
      q.end = UINT32_MAX;
      assert_int_equal(itw_client_fetch(l.c.conn, &l.c.p, &q, l.now), ITW_OK);
      link_run(&l);
      assert_true(fake_read(&f, body, ITW_FETCH_LEN));
      assert_int_equal(itw_fetch_ack_write(body, sizeof body, &ack), ITW_OK);
      fake_seal(&f, body, ITW_FETCH_ACK_LEN);
      assert_int_equal(itw_request_tw_write(body, sizeof body, &w), ITW_OK);
      fake_seal(&f, body, ITW_REQUEST_LEN);
      assert_int_equal(itw_slot_write(body, sizeof body, &slot), ITW_OK);
      fake_seal(&f, body, ITW_SLOT_LEN);
      for (int k = 0; k < 2; k++) assert_int_equal(itw_skip_write(body + 8 * k, 8, &t[i].ranges[k]), ITW_OK);
      fake_seal(&f, body, 16);
      fake_seal(&f, body, 0); /* no records */
      if (t[i].why) {
        link_ended(&l.c, t[i].why);
        assert_int_equal(link_why(&l.c).message, ITW_MSG_FETCHED_DATA);
      } else {
        assert_int_equal(link_event(&l.c, ITW_EV_FETCHED)->status, ITW_OK);
      }
      done(&l, &f);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(requests_good_and_bad),
    cmocka_unit_test(third_parties_by_policy),
    cmocka_unit_test(stops_good_and_bad_at_the_server),
    cmocka_unit_test(stops_good_and_bad_at_the_client),
    cmocka_unit_test(stop_before_the_start),
    cmocka_unit_test(fetch_while_tests_run),
    cmocka_unit_test(denied_fetch),
    cmocka_unit_test(fetched_skips),
  };
  return cmocka_run_group_tests_name("bad_owamp", tests, NULL, NULL);
}
