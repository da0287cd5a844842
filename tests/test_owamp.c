/* SPDX-License-Identifier: BSD-3-Clause */
/* OWAMP-Control between two of ours: sessions in each direction and scheme, Stop-Sessions with skip ranges from both sides,
   fetches (RFC 4656 §3.5 to 3.9, RFC 7718). */

#include "link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

enum { BOTH = ITW_CONF_SENDER | ITW_CONF_RECEIVER, PACKETS = 2000000, OPEN = 64 };

/* ---- a store: what is given follows from the index, what is taken is compared with it ---- */

static struct itw_skip skip_at(uint32_t i) { return (struct itw_skip){10 * i, 10 * i + i % 3}; }

static struct itw_slot slot_at(uint32_t i) { return (struct itw_slot){i & 1, 0, UINT64_C(0x0102030405060708) + i}; }

static struct itw_record record_at(uint32_t i)
{
  struct itw_record r = {i, (uint16_t)(i | 1), 0x8a05, UINT64_C(0xeeae740000000000) + i, UINT64_C(0xeeae750000000000) + i, (uint8_t)i, {0}};
  return r;
}

/* How far each list of a side has come; `most` items at a time. */
struct store {
  uint32_t given[4], taken[4];
  uint32_t most;
};

static void give(struct link_side *s, struct store *t)
{
  struct itw_skip skips[7];
  struct itw_slot slots[7];
  struct itw_record records[7];
  uint32_t n = t->most < 7 ? t->most : 7, *done = &t->given[s->p.data];
  size_t used = 0;
  if (n > s->p.left) n = s->p.left;
  for (uint32_t i = 0; i < n; i++) {
    skips[i] = skip_at(*done + i);
    slots[i] = slot_at(*done + i);
    records[i] = record_at(*done + i);
  }
  if (s->p.data == ITW_DATA_SKIPS) assert_int_equal(itw_conn_give_skips(s->conn, &s->p, skips, n, &used, s->link->now), ITW_OK);
  else if (s->p.data == ITW_DATA_SLOTS) assert_int_equal(itw_conn_give_slots(s->conn, &s->p, slots, n, &used, s->link->now), ITW_OK);
  else assert_int_equal(itw_conn_give_records(s->conn, &s->p, records, n, &used, s->link->now), ITW_OK);
  assert_in_range(used, 1, n);
  *done += (uint32_t)used;
}

static void take(struct link_side *s, struct store *t)
{
  struct itw_skip skips[7];
  struct itw_slot slots[7];
  struct itw_record records[7];
  uint32_t n = t->most < 7 ? t->most : 7, data = s->p.data, *done = &t->taken[data];
  size_t got = 0;
  if (data == ITW_DATA_SKIPS) assert_int_equal(itw_conn_take_skips(s->conn, &s->p, skips, n, &got, s->link->now), ITW_OK);
  else if (data == ITW_DATA_SLOTS) assert_int_equal(itw_conn_take_slots(s->conn, &s->p, slots, n, &got, s->link->now), ITW_OK);
  else assert_int_equal(itw_conn_take_records(s->conn, &s->p, records, n, &got, s->link->now), ITW_OK);
  assert_in_range(got, 1, n);
  for (uint32_t i = 0; i < got; i++) {
    const struct itw_skip skip = skip_at(*done + i);
    const struct itw_slot slot = slot_at(*done + i);
    const struct itw_record r = record_at(*done + i);
    if (data == ITW_DATA_SKIPS) assert_memory_equal(&skips[i], &skip, sizeof skip);
    if (data == ITW_DATA_SLOTS) assert_memory_equal(&slots[i], &slot, sizeof slot);
    if (data == ITW_DATA_RECORDS) assert_memory_equal(&records[i], &r, sizeof r);
  }
  *done += (uint32_t)got;
}

static void move(struct link_side *s)
{
  if (s->p.wants & ITW_WANT_TAKE)
    take(s, s->owner);
  else
    give(s, s->owner);
}

/* ---- a connection ---- */

static struct itw_fetch_answer fetch_answer; /* what the Server has of any SID */
static bool server_stops;                    /* it answers a Stop with its own */
static uint32_t skips_of_server;

/* Whatever this side sends. */
static void account(struct link_side *s, uint32_t skips)
{
  for (uint32_t slot = 0; slot < 4; slot++) {
    itw_status st = itw_conn_account(s->conn, slot, PACKETS, skips);
    assert_true(st == ITW_OK || st == ITW_ERR_STATE);
  }
}

static void on_server(struct link_side *s, const struct itw_event *ev)
{
  if (ev->kind == ITW_EV_FETCH) assert_int_equal(itw_server_fetch(s->conn, &s->p, &fetch_answer, s->link->now), ITW_OK);
  if (ev->kind != ITW_EV_STOP || !server_stops) return;
  account(s, skips_of_server);
  assert_int_equal(itw_conn_stop(s->conn, &s->p, 0, s->link->now), ITW_OK);
}

static struct store client_store, server_store;

static void begin(struct link *l, uint32_t scheme, uint32_t mode, uint32_t buffer)
{
  link_init(l, scheme, mode);
  l->cg.protocol = l->sg.protocol = ITW_OWAMP;
  l->cg.slots = l->sg.slots = 20;
  l->cg.buffer = l->sg.buffer = buffer;
  l->c.data = l->s.data = move;
  l->s.event = on_server;
  memset(&client_store, 0, sizeof client_store);
  memset(&server_store, 0, sizeof server_store);
  client_store.most = server_store.most = 7;
  l->c.owner = &client_store;
  l->s.owner = &server_store;
  server_stops = true;
  skips_of_server = 3;
  link_connect(l);
  assert_true(link_up(l));
}

static struct itw_request wish(uint32_t n, uint32_t conf)
{
  struct itw_request q = link_wish(n);
  q.conf = conf;
  q.packets = PACKETS;
  q.receiver.port = (uint16_t)(30000 + n);
  if (conf == ITW_CONF_SENDER) q.sender.port = 0;
  if (conf == ITW_CONF_SENDER) itw_sid_make(q.sid, &q.receiver, UINT64_C(0x1112131415161718) + n, (const uint8_t *)"rand");
  return q;
}

static uint32_t ask(struct link *l, uint32_t n, uint32_t conf, uint32_t slots)
{
  struct itw_request q = wish(n, conf);
  struct itw_slot list[20];
  uint32_t slot = 99, had = link_events(&l->c, ITW_EV_ACCEPTED);
  for (uint32_t i = 0; i < slots; i++) list[i] = slot_at(i);
  assert_int_equal(itw_client_request_session(l->c.conn, &l->c.p, &slot, &q, list, slots, l->now), ITW_OK);
  link_run(l);
  assert_int_equal(link_events(&l->c, ITW_EV_ACCEPTED), had + 1);
  return slot;
}

static void stop(struct link *l, uint32_t skips)
{
  account(&l->c, skips);
  assert_int_equal(itw_conn_stop(l->c.conn, &l->c.p, 0, l->now), ITW_OK);
  link_run(l);
}

static void same_sessions(const struct link *l, uint32_t slot)
{
  struct itw_session a, b;
  assert_int_equal(itw_conn_session(l->c.conn, slot, &a), ITW_OK);
  assert_int_equal(itw_conn_session(l->s.conn, slot, &b), ITW_OK);
  assert_memory_equal(&a, &b, sizeof a);
}

static void fetch(struct link *l, const struct itw_request *as_run, uint32_t skips, uint32_t records)
{
  struct itw_fetch f;
  const struct itw_event *ev;
  ITW_INIT(fetch_answer);
  fetch_answer.finished = 1;
  fetch_answer.next_seqno = PACKETS;
  fetch_answer.skips = skips;
  fetch_answer.records = records;
  fetch_answer.request = *as_run;
  memset(client_store.taken, 0, sizeof client_store.taken);
  memset(server_store.given, 0, sizeof server_store.given);
  ITW_INIT(f);
  f.end = UINT32_MAX;
  memcpy(f.sid, as_run->sid, sizeof f.sid);
  assert_int_equal(itw_client_fetch(l->c.conn, &l->c.p, &f, l->now), ITW_OK);
  link_run(l);
  ev = link_event(&l->s, ITW_EV_FETCH);
  assert_non_null(ev);
  assert_memory_equal(ev->request.sid, f.sid, 16);
  assert_int_equal(ev->begin, 0);
  assert_int_equal(ev->end, UINT32_MAX);
  ev = link_event(&l->c, ITW_EV_FETCH);
  assert_non_null(ev);
  assert_true(ev->finished && ev->next_seqno == PACKETS && ev->skips == skips && ev->records == records);
  assert_memory_equal(ev->request.sid, as_run->sid, 16);
  assert_int_equal(ev->request.sender.port, as_run->sender.port);
  assert_int_equal(ev->request.receiver.port, as_run->receiver.port);
  assert_int_equal(ev->request.conf, as_run->conf);
  assert_int_equal(ev->request.packets, as_run->packets);
  assert_true(ev->request.timeout == as_run->timeout && ev->request.dscp == as_run->dscp);
  assert_int_equal(client_store.taken[ITW_DATA_SLOTS], as_run->slots);
  assert_int_equal(client_store.taken[ITW_DATA_SKIPS], skips);
  assert_int_equal(client_store.taken[ITW_DATA_RECORDS], records);
  ev = link_event(&l->c, ITW_EV_FETCHED);
  assert_non_null(ev);
  assert_int_equal(ev->status, ITW_OK);
  assert_non_null(link_event(&l->s, ITW_EV_FETCHED));
}

/* ---- what works ---- */

/* A session each way, and one between two ends of the Server's; then what the Server received is fetched. */
static void whole_life(uint32_t scheme, uint32_t mode, uint32_t buffer)
{
  struct link l;
  struct itw_slot list[20];
  struct itw_request run;
  struct itw_session none;
  uint32_t to, from, between;
  begin(&l, scheme, mode, buffer);
  to = ask(&l, 0, ITW_CONF_RECEIVER, 1);
  run = link_event(&l.s, ITW_EV_READY)->request;
  assert_int_equal(link_event(&l.c, ITW_EV_ACCEPTED)->request.receiver.port, LINK_PORT + to);
  same_sessions(&l, to);
  from = ask(&l, 1, ITW_CONF_SENDER, 20);
  assert_int_equal(link_event(&l.c, ITW_EV_ACCEPTED)->request.sender.port, LINK_PORT + from);
  assert_memory_equal(link_event(&l.s, ITW_EV_REQUEST)->request.sid, wish(1, ITW_CONF_SENDER).sid, 16);
  same_sessions(&l, from);
  assert_int_equal(itw_conn_schedule(l.s.conn, from, list, 19), ITW_ERR_TOO_SMALL);
  assert_int_equal(itw_conn_schedule(l.s.conn, from, list, 20), ITW_OK);
  for (uint32_t i = 0; i < 20; i++) assert_memory_equal(&list[i], &(struct itw_slot[]){slot_at(i)}[0], sizeof list[0]);
  between = ask(&l, 2, BOTH, 2);
  assert_int_equal(itw_conn_session(l.c.conn, between, &none), ITW_EMPTY);
  assert_int_equal(itw_conn_session(l.s.conn, between, &none), ITW_OK);

  link_start(&l);
  assert_non_null(link_event(&l.c, ITW_EV_STARTED));
  stop(&l, 5);
  assert_int_equal(link_events(&l.s, ITW_EV_STOP_SESSION), 1); /* the Client sent one ... */
  assert_int_equal(link_events(&l.c, ITW_EV_STOP_SESSION), 2); /* ... and the Server two */
  assert_int_equal(server_store.taken[ITW_DATA_SKIPS], 5);
  assert_int_equal(client_store.taken[ITW_DATA_SKIPS], 6);
  assert_int_equal(link_event(&l.c, ITW_EV_STOPPED)->status, ITW_OK);
  assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->status, ITW_OK);
  fetch(&l, &run, 4, 9);
  fetch(&l, &run, 0, 0);
  (void)ask(&l, 3, ITW_CONF_RECEIVER, 3); /* slots are free again */
  link_free(&l);
}

static void every_scheme_and_mode(void **state)
{
  static const struct {
    uint32_t scheme, modes;
  } t[] = {
    {0, ITW_MODE_OPEN},
    {ITW_PSK, 7}, {ITW_IKEV2, 7}, {ITW_SHARED, 7}, {ITW_SHARED_SID, 7}, {ITW_ROOT, 7}, {ITW_DIRECT, 7},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
    for (uint32_t mode = 1; mode <= ITW_MODE_ENC; mode <<= 1)
      if (t[i].modes & mode && (t[i].scheme || mode == ITW_MODE_OPEN)) whole_life(t[i].scheme, mode, 0);
}

static void any_buffer(void **state)
{
  (void)state;
  whole_life(0, ITW_MODE_OPEN, 256);
  whole_life(0, ITW_MODE_OPEN, 272);
  whole_life(0, ITW_MODE_OPEN, 4096);
}

/* Lists that are longer than all buffers together, from both sides at once: nobody waits for the other to read first. */
static void long_stops(void **state)
{
  struct link l;
  (void)state;
  begin(&l, ITW_PSK, ITW_MODE_ENC, 256);
  (void)ask(&l, 0, ITW_CONF_RECEIVER, 1);
  (void)ask(&l, 1, ITW_CONF_SENDER, 1);
  link_start(&l);
  account(&l.c, 100000);
  account(&l.s, 150000);
  server_stops = false;
  assert_int_equal(itw_conn_stop(l.c.conn, &l.c.p, 0, l.now), ITW_OK);
  assert_int_equal(itw_conn_stop(l.s.conn, &l.s.p, 7, l.now), ITW_OK);
  link_run(&l);
  assert_int_equal(server_store.taken[ITW_DATA_SKIPS], 100000);
  assert_int_equal(client_store.taken[ITW_DATA_SKIPS], 150000);
  assert_int_equal(link_event(&l.c, ITW_EV_STOP)->accept, 7); /* results are invalid */
  assert_int_equal(link_event(&l.c, ITW_EV_STOPPED)->accept, 7);
  assert_int_equal(link_event(&l.s, ITW_EV_STOPPED)->accept, 0);
  link_free(&l);
}

/* The connection's memory is what its size function says, however long the fetch. */
static void a_million_records(void **state)
{
  struct link l;
  struct itw_request run;
  (void)state;
  begin(&l, 0, ITW_MODE_OPEN, 4096);
  (void)ask(&l, 0, ITW_CONF_RECEIVER, 1);
  run = link_event(&l.s, ITW_EV_READY)->request;
  link_start(&l);
  stop(&l, 0);
  fetch(&l, &run, 1000, 1000000);
  link_free(&l);
}

static itw_status fetched_at_once;

static void stop_and_fetch(struct link_side *s, const struct itw_event *ev)
{
  struct itw_fetch f;
  if (ev->kind == ITW_EV_STOP) {
    account(s, 2);
    assert_int_equal(itw_conn_stop(s->conn, &s->p, 0, s->link->now), ITW_OK);
  }
  if (ev->kind != ITW_EV_STOPPED) return;
  ITW_INIT(f);
  f.end = UINT32_MAX;
  fetched_at_once = itw_client_fetch(s->conn, &s->p, &f, s->link->now);
}

/* The Server says Stop first: when ITW_EV_STOPPED comes, ours has left, and the next command may follow at once. */
static void server_stops_first(void **state)
{
  struct link l;
  (void)state;
  begin(&l, ITW_PSK, ITW_MODE_ENC, 0);
  l.c.event = stop_and_fetch;
  (void)ask(&l, 0, ITW_CONF_RECEIVER, 1);
  ITW_INIT(fetch_answer);
  fetch_answer.accept = 1;
  link_start(&l);
  server_stops = false;
  assert_int_equal(itw_conn_stop(l.s.conn, &l.s.p, 0, l.now), ITW_OK);
  link_run(&l);
  assert_int_equal(fetched_at_once, ITW_OK);
  assert_int_equal(link_event(&l.c, ITW_EV_FETCHED)->accept, 1);
  assert_int_equal(server_store.taken[ITW_DATA_SKIPS], 2);
  link_free(&l);
}

/* The Server is in no hurry to stop; the Client, whose Stop was sent, is. */
static void no_answer_to_stop(void **state)
{
  struct link l;
  (void)state;
  begin(&l, ITW_PSK, ITW_MODE_AUTH, 0);
  (void)ask(&l, 0, ITW_CONF_RECEIVER, 1);
  link_start(&l);
  link_wait(&l, 3600);
  server_stops = false;
  stop(&l, 0);
  assert_int_equal(link_events(&l.c, ITW_EV_STOPPED), 0);
  link_wait(&l, 31);
  link_ended(&l.c, ITW_ERR_TIMEOUT);
  assert_int_equal(link_event(&l.c, ITW_EV_STOPPED)->status, ITW_ERR_TIMEOUT);
  link_free(&l);
}

/* Nothing goes out of order: verbs at the wrong time, lists of another kind or length. */
static void misuse(void **state)
{
  struct link l;
  struct itw_fetch f;
  struct itw_request q = wish(0, ITW_CONF_RECEIVER);
  struct itw_slot slots[21] = {{0, 0, 0}};
  struct itw_skip skip = {3, 2};
  struct itw_record record = record_at(0);
  uint32_t slot;
  size_t used;
  (void)state;
  begin(&l, 0, ITW_MODE_OPEN, 0);
#define ASK(q, slots, n) itw_client_request_session(l.c.conn, &l.c.p, &slot, q, slots, n, l.now)
  ITW_INIT(f);
  assert_int_equal(itw_client_request(l.c.conn, &l.c.p, &slot, &q, l.now), ITW_ERR_STATE);
  assert_int_equal(ASK(&q, slots, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(ASK(&q, slots, 21), ITW_ERR_ARGUMENT);
  slots[3].type = 2;
  assert_int_equal(ASK(&q, slots, 4), ITW_ERR_ARGUMENT);
  q.conf = 0;
  assert_int_equal(ASK(&q, slots, 1), ITW_ERR_ARGUMENT);
  q.conf = 4;
  assert_int_equal(ASK(&q, slots, 1), ITW_ERR_ARGUMENT);
  q = wish(0, ITW_CONF_RECEIVER), q.packets = 0;
  assert_int_equal(ASK(&q, slots, 1), ITW_ERR_ARGUMENT);
  q = wish(0, ITW_CONF_SENDER), q.receiver.port = 0;
  assert_int_equal(ASK(&q, slots, 1), ITW_ERR_ARGUMENT);
  q = wish(0, ITW_CONF_RECEIVER), q.sender.port = 0;
  assert_int_equal(ASK(&q, slots, 1), ITW_ERR_ARGUMENT);
#undef ASK
  assert_int_equal(itw_conn_stop(l.c.conn, &l.c.p, 0, l.now), ITW_ERR_STATE);
  assert_int_equal(itw_conn_account(l.c.conn, 0, 0, 0), ITW_ERR_STATE);
  assert_int_equal(itw_conn_take_skips(l.c.conn, &l.c.p, NULL, 1, &used, l.now), ITW_EMPTY);
  assert_int_equal(itw_conn_give_skips(l.c.conn, &l.c.p, &skip, 1, &used, l.now), ITW_ERR_STATE);
  f.begin = 2, f.end = 1;
  assert_int_equal(itw_client_fetch(l.c.conn, &l.c.p, &f, l.now), ITW_ERR_ARGUMENT);
  (void)ask(&l, 0, ITW_CONF_RECEIVER, 1);
  link_start(&l);
  f.end = 2;
  assert_int_equal(itw_client_fetch(l.c.conn, &l.c.p, &f, l.now), ITW_ERR_STATE);
  assert_int_equal(itw_client_stop(l.c.conn, &l.c.p, l.now), ITW_ERR_STATE); /* TWAMP's */
  assert_int_equal(itw_conn_stop(l.c.conn, &l.c.p, 0, l.now), ITW_ERR_STATE); /* not accounted for */
  assert_int_equal(itw_conn_account(l.c.conn, 0, PACKETS + 1, 0), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_account(l.c.conn, 0, 2, 3), ITW_ERR_ARGUMENT);
  assert_int_equal(itw_conn_account(l.s.conn, 0, 2, 0), ITW_ERR_STATE); /* not the Server's to send */
  assert_int_equal(itw_conn_account(l.c.conn, 0, 10, 2), ITW_OK);
  l.c.data = NULL;
  assert_int_equal(itw_conn_stop(l.c.conn, &l.c.p, 0, l.now), ITW_OK);
  link_run(&l);
  assert_true(l.c.p.wants & ITW_WANT_GIVE);
  assert_int_equal(l.c.p.data, ITW_DATA_SKIPS);
  assert_int_equal(l.c.p.left, 2);
  assert_int_equal(l.c.p.slot, 0);
  assert_int_equal(itw_conn_give_records(l.c.conn, &l.c.p, &record, 1, &used, l.now), ITW_ERR_STATE);
  assert_int_equal(itw_conn_give_skips(l.c.conn, &l.c.p, &skip, 1, &used, l.now), ITW_ERR_ARGUMENT);
  skip = (struct itw_skip){4, 10};
  assert_int_equal(itw_conn_give_skips(l.c.conn, &l.c.p, &skip, 1, &used, l.now), ITW_ERR_ARGUMENT); /* beyond Next Seqno */
  skip = (struct itw_skip){4, 5};
  assert_int_equal(itw_conn_give_skips(l.c.conn, &l.c.p, &skip, 1, &used, l.now), ITW_OK);
  assert_int_equal(used, 1);
  assert_int_equal(itw_conn_give_skips(l.c.conn, &l.c.p, &skip, 1, &used, l.now), ITW_ERR_ARGUMENT); /* overlaps */
  assert_int_equal(used, 0);
  skip = (struct itw_skip){9, 9};
  l.s.data = NULL;
  assert_int_equal(itw_conn_give_skips(l.c.conn, &l.c.p, &skip, 1, &used, l.now), ITW_OK);
  link_run(&l);
  assert_non_null(link_event(&l.c, ITW_EV_STOPPED));
  link_free(&l);
}

/* What each profile lets a config say. */
static void configs(void **state)
{
  struct itw_client_config c, good;
  struct itw_server_config s, fine;
  (void)state;
  ITW_INIT(good);
  good.modes[0] = ITW_MODE_OPEN;
  good.protocol = ITW_OWAMP;
  ITW_INIT(fine);
  fine.modes = ITW_MODE_OPEN;
  fine.protocol = ITW_OWAMP;
  assert_true(itw_client_size(&good) && itw_server_size(&fine));
  assert_true(itw_client_size(&good) <= ITW_CONN_BOUND_OWAMP(1, 1, 256));
  c = good, c.slots = 100, c.sessions = 10, c.buffer = 4096;
  assert_in_range(itw_client_size(&c), 10 * 100 * 16 + 2 * 4096, ITW_CONN_BOUND_OWAMP(10, 100, 4096));
#define BAD(x, m, v, size) (x = m, x.v, assert_int_equal(size(&x), 0))
  BAD(c, good, protocol = 2, itw_client_size);
  BAD(c, good, features = ITW_FEATURE_REFLECT, itw_client_size);
  BAD(c, good, buffer = 255, itw_client_size);
  BAD(c, good, buffer = 264, itw_client_size);
  BAD(c, good, buffer = 65552, itw_client_size);
  BAD(c, good, slots = 65537, itw_client_size);
  BAD(s, fine, protocol = 2, itw_server_size);
  BAD(s, fine, features = ITW_FEATURE_PTP, itw_server_size);
  BAD(s, fine, slots = 65537, itw_server_size);
  c = good, c.protocol = ITW_TWAMP;
  assert_true(itw_client_size(&c));
  c.features = ITW_FEATURE_PTP | ITW_FEATURE_SESSION_CONTROL;
  assert_true(itw_client_size(&c));
  c.features |= 128;
  assert_int_equal(itw_client_size(&c), 0);
  c.features = 0, c.slots = 1;
  assert_int_equal(itw_client_size(&c), 0);
  link_need_crypto();
  c = good, c.schemes = ITW_PSK, c.key_id_len = 1, c.modes[0] = ITW_MODE_MIXED; /* not OWAMP's */
  assert_int_equal(itw_client_size(&c), 0);
  s = fine, s.schemes = ITW_PSK, s.modes = ITW_MODE_MIXED;
  assert_int_equal(itw_server_size(&s), 0);
#undef BAD
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_scheme_and_mode),
    cmocka_unit_test(any_buffer),
    cmocka_unit_test(long_stops),
    cmocka_unit_test(a_million_records),
    cmocka_unit_test(server_stops_first),
    cmocka_unit_test(no_answer_to_stop),
    cmocka_unit_test(misuse),
    cmocka_unit_test(configs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
