/* SPDX-License-Identifier: BSD-3-Clause */
#include "link.h"
#include "scheme.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

/* ---- keys ---- */

static const struct {
  uint32_t key, protocol, encr;
  uint64_t spi_i, spi_r;
} sas[] = {
  {LINK_IKE, ITW_SA_IKE, 0, UINT64_C(0x1122334455667788), UINT64_C(0x99aabbccddeeff01)},
  {LINK_IKE_NEW, ITW_SA_IKE, 0, UINT64_C(0x2122334455667788), UINT64_C(0xa9aabbccddeeff02)},
  {LINK_ESP, ITW_SA_ESP, ITW_ENCR_AES_CBC, 0xc1000001, 0xc2000001},
  {LINK_ESP_NEW, ITW_SA_ESP, ITW_ENCR_AES_CBC, 0xc1000002, 0xc2000002},
  {LINK_ESP_TURNED, ITW_SA_ESP, ITW_ENCR_AES_CBC, 0xc2000001, 0xc1000001},
  {LINK_AH, ITW_SA_AH, ITW_ENCR_NONE, 0xc1000003, 0xc2000003},
  {LINK_ESP_AEAD, ITW_SA_ESP, ITW_ENCR_AEAD, 0xc1000004, 0xc2000004},
  {LINK_ESP_NULL, ITW_SA_ESP, ITW_ENCR_NULL, 0xc1000005, 0xc2000005},
};
enum { SAS = sizeof sas / sizeof sas[0] };

struct itw_sa link_sa(uint32_t key)
{
  struct itw_sa sa;
  ITW_INIT(sa);
  sa.prf = ITW_PRF_HMAC_SHA2_256;
  for (size_t i = 0; i < SAS; i++) {
    if (sas[i].key != key) continue;
    sa.protocol = sas[i].protocol;
    sa.spi_i = sas[i].spi_i;
    sa.spi_r = sas[i].spi_r;
  }
  return sa;
}

static void octets_of(uint8_t *out, size_t n, uint64_t seed)
{
  for (size_t i = 0; i < n; i++) out[i] = (uint8_t)((seed + i * 31) * 167 >> 3);
}

static void add_ike(itw_keyring *ring, uint32_t key)
{
  struct itw_ike_sa sa;
  ITW_INIT(sa);
  sa.sa = link_sa(key);
  sa.established = key;
  sa.skeyseed_len = sa.sk_d_len = 32;
  octets_of(sa.skeyseed, 32, sa.sa.spi_r);
  octets_of(sa.sk_d, 32, sa.sa.spi_i);
  assert_int_equal(itw_keyring_add_ike(ring, &sa), ITW_OK);
}

/* Keys belong to an SPI, whatever the order of the two. */
static void add_child(itw_keyring *ring, uint32_t key, uint32_t encr)
{
  struct itw_child_sa sa;
  ITW_INIT(sa);
  sa.sa = link_sa(key);
  sa.established = key;
  sa.encr = encr;
  sa.encr_len = encr == ITW_ENCR_AES_CBC ? 16 : 0;
  sa.integ_len = encr == ITW_ENCR_AEAD ? 0 : 32;
  sa.keymat_len = key == LINK_ESP_TURNED ? 0 : 96;
  octets_of(sa.keymat, sa.keymat_len, sa.sa.spi_r);
  octets_of(sa.encr_key_i, sa.encr_len, sa.sa.spi_r);
  octets_of(sa.encr_key_r, sa.encr_len, sa.sa.spi_i);
  octets_of(sa.integ_key_i, sa.integ_len, sa.sa.spi_r + 77);
  octets_of(sa.integ_key_r, sa.integ_len, sa.sa.spi_i + 77);
  assert_int_equal(itw_keyring_add_child(ring, &sa), ITW_OK);
}

void link_add(itw_keyring *ring, uint32_t keys)
{
  if (keys & LINK_PSK)
    assert_int_equal(itw_keyring_add_psk(ring, (const uint8_t *)LINK_KEY_ID, strlen(LINK_KEY_ID),
                                         (const uint8_t *)LINK_SECRET, strlen(LINK_SECRET)), ITW_OK);
  for (size_t i = 0; i < SAS; i++) {
    if (!(keys & sas[i].key)) continue;
    if (sas[i].protocol == ITW_SA_IKE)
      add_ike(ring, sas[i].key);
    else
      add_child(ring, sas[i].key, sas[i].encr);
  }
}

itw_keyring *link_ring(struct link_side *s)
{
  if (s->ring) return s->ring;
  assert_int_equal(itw_keyring_new(&s->ring, 16, NULL), ITW_OK);
  link_add(s->ring, s->keys);
  return s->ring;
}

/* ---- making and ending ---- */

void link_need_crypto(void)
{
  if (!strcmp(itw_crypto_backend(), "none")) skip();
}

static struct itw_addr addr(uint8_t last, uint16_t port)
{
  return (struct itw_addr){.family = 4, .port = port, .ip = {192, 0, 2, last}};
}

static void side_init(struct link *l, struct link_side *s, uint32_t schemes)
{
  uint32_t sa = schemes & ITW_DIRECT ? LINK_ESP : LINK_IKE;
  s->link = l;
  s->keys = schemes ? LINK_PSK | sa : LINK_PSK;
  s->limit = SIZE_MAX;
  s->slice = 512;
  ITW_INIT(s->p);
}

void link_init(struct link *l, uint32_t schemes, uint32_t mode)
{
  memset(l, 0, sizeof *l);
  if (schemes) link_need_crypto();
  l->now = 1000 * SECOND;
  ITW_INIT(l->cg);
  l->cg.schemes = schemes;
  l->cg.modes[0] = (uint8_t)mode;
  l->cg.sessions = 4;
  l->cg.tag = 11;
  l->cg.local = addr(1, 50000);
  l->cg.remote = addr(2, 862);
  l->cg.key_id_len = (uint32_t)strlen(LINK_KEY_ID);
  memcpy(l->cg.key_id, LINK_KEY_ID, l->cg.key_id_len);
  octets_of(l->cg.random, sizeof l->cg.random, 3);
  ITW_INIT(l->sg);
  l->sg.schemes = schemes;
  l->sg.modes = mode;
  l->sg.sessions = 4;
  l->sg.count_psk = 1024;
  octets_of(l->sg.salt, sizeof l->sg.salt, 5);
  ITW_INIT(l->in);
  l->in.local = addr(2, 862);
  l->in.remote = addr(1, 50000);
  l->in.tag = 22;
  octets_of(l->in.random, sizeof l->in.random, 7);
  side_init(l, &l->c, schemes);
  side_init(l, &l->s, schemes);
}

void link_share(struct link *l, const struct link *first)
{
  l->server = first->server;
  l->borrowed = true;
  l->now = first->now;
}

static void side_free(struct link_side *s)
{
  itw_conn_free(s->conn);
  itw_keyring_free(s->ring);
  s->conn = NULL;
  s->ring = NULL;
}

void link_free(struct link *l)
{
  itw_conn_free(l->s.conn);
  l->s.conn = NULL;
  if (!l->borrowed) itw_server_free(l->server);
  l->server = NULL;
  side_free(&l->c);
  side_free(&l->s);
}

static void reset(struct link_side *s)
{
  itw_conn_free(s->conn);
  s->conn = NULL;
  s->count = s->works = 0;
  s->out_len = s->got = 0;
}

void link_server(struct link *l)
{
  if (!l->server) {
    if (!l->s.by_hand && !l->sg.keys.ops) l->sg.keys = itw_keyring_keys(link_ring(&l->s));
    assert_int_equal(itw_server_new(&l->server, &l->sg, NULL), ITW_OK);
  }
  reset(&l->s);
  assert_int_equal(itw_server_conn_new(l->server, &l->s.conn, &l->in, l->now), ITW_OK);
  assert_int_equal(itw_conn_poll(l->s.conn, &l->s.p), ITW_OK);
}

void link_client(struct link *l)
{
  if (!l->c.by_hand && !l->cg.keys.ops) l->cg.keys = itw_keyring_keys(link_ring(&l->c));
  reset(&l->c);
  assert_int_equal(itw_client_new(&l->c.conn, &l->cg, NULL, l->now), ITW_OK);
  assert_int_equal(itw_conn_poll(l->c.conn, &l->c.p), ITW_OK);
}

void link_connect(struct link *l)
{
  link_server(l);
  link_client(l);
  link_run(l);
}

/* ---- what a side does by itself ---- */

static void record(struct link_side *s, const struct itw_event *ev)
{
  assert_true(s->count < LINK_EVENTS);
  s->events[s->count++] = *ev;
}

static void on_event(struct link_side *s, const struct itw_event *ev)
{
  struct itw_offer o;
  if (s != &s->link->s) return;
  ITW_INIT(o);
  o.port = LINK_PORT + ev->slot;
  o.wall = UINT64_C(0xeeae740000000000) + s->link->now;
  o.random[0] = (uint8_t)ev->slot;
  if (ev->request.conf == (ITW_CONF_SENDER | ITW_CONF_RECEIVER)) o.sender_port = LINK_PORT + 1000;
  if (ev->kind == ITW_EV_REQUEST && s->refuse)
    assert_int_equal(itw_server_answer(s->conn, &s->p, ev->slot, s->refuse, s->link->now), ITW_OK);
  else if (ev->kind == ITW_EV_REQUEST)
    assert_int_equal(itw_server_prepare(s->conn, &s->p, ev->slot, &o, s->link->now), ITW_OK);
  else if (ev->kind == ITW_EV_READY)
    assert_int_equal(itw_server_answer(s->conn, &s->p, ev->slot, s->accept, s->link->now), ITW_OK);
}

bool link_pull(struct link_side *s)
{
  struct itw_event ev;
  ITW_INIT(ev);
  if (itw_conn_event(s->conn, &ev, &s->p) != ITW_OK) return false;
  record(s, &ev);
  on_event(s, &ev);
  if (s->event) s->event(s, &ev);
  return true;
}

static void answer(struct link_side *s)
{
  struct itw_ask q;
  struct itw_answer n;
  ITW_INIT(q);
  ITW_INIT(n);
  assert_int_equal(itw_conn_ask(s->conn, &q, &s->p), ITW_OK);
  assert_int_equal(itw_keyring_answer(link_ring(s), &q, &n), ITW_OK);
  assert_int_equal(itw_conn_answer(s->conn, &s->p, &n, s->link->now), ITW_OK);
}

static void take_output(struct link_side *s)
{
  size_t n = s->p.out_len;
  assert_true(s->out_len + n <= sizeof s->out);
  memcpy(s->out + s->out_len, s->p.out, n);
  s->out_len += n;
  assert_int_equal(itw_conn_sent(s->conn, &s->p, n, s->link->now), ITW_OK);
}

/* Whatever has come is passed over. */
static void pass_over(struct link_side *s)
{
  size_t got;
  if (s->p.data == ITW_DATA_SKIPS) assert_int_equal(itw_conn_take_skips(s->conn, &s->p, NULL, s->p.left, &got, s->link->now), ITW_OK);
  else if (s->p.data == ITW_DATA_SLOTS) assert_int_equal(itw_conn_take_slots(s->conn, &s->p, NULL, s->p.left, &got, s->link->now), ITW_OK);
  else assert_int_equal(itw_conn_take_records(s->conn, &s->p, NULL, s->p.left, &got, s->link->now), ITW_OK);
}

/* One thing of what it wants, reading apart. */
static bool step(struct link_side *s)
{
  uint32_t wants = s->p.wants;
  if (wants & ITW_WANT_EVENT && !s->hold_events) return link_pull(s);
  if (wants & ITW_WANT_ANSWER && !s->mute) return answer(s), true;
  if (wants & ITW_WANT_WORK && !s->hold_work) {
    s->works++;
    assert_int_equal(itw_conn_work(s->conn, &s->p, s->slice, s->link->now), ITW_OK);
    return true;
  }
  if (wants & (ITW_WANT_TAKE | ITW_WANT_GIVE) && s->data) return s->data(s), true;
  if (wants & ITW_WANT_TAKE) return pass_over(s), true;
  if (wants & ITW_WANT_WRITE && !s->hold_writes && s->out_len + s->p.out_len <= sizeof s->out) return take_output(s), true;
  return false;
}

static bool drive(struct link_side *s)
{
  bool any = false;
  while (s->conn && step(s)) any = true;
  return any;
}

static size_t feed(struct link_side *s, const uint8_t *octets, size_t n)
{
  if (n > s->p.in_len) n = s->p.in_len;
  if (n > s->limit - s->got) n = s->limit - s->got;
  if (!n) return 0;
  memcpy(s->p.in, octets, n);
  if (s->mask && s->flip >= s->got && s->flip < s->got + n) s->p.in[s->flip - s->got] ^= s->mask;
  s->got += n;
  assert_int_equal(itw_conn_got(s->conn, &s->p, n, s->link->now), ITW_OK);
  return n;
}

/* What one side wrote, to the other; and that it closed. */
static bool deliver(struct link_side *from, struct link_side *to)
{
  size_t n;
  if (!from->conn || !to->conn) return false;
  n = feed(to, from->out, from->out_len);
  memmove(from->out, from->out + n, from->out_len - n);
  from->out_len -= n;
  if (n) return true;
  if (!link_over(from) || link_over(to) || to->hold_events) return false;
  if (from->out_len && to->p.in_len) return false; /* held back by the test */
  assert_int_equal(itw_conn_eof(to->conn, &to->p, to->link->now), ITW_OK);
  return true;
}

void link_run(struct link *l)
{
  bool any = true;
  while (any) {
    any = drive(&l->s);
    any |= drive(&l->c);
    any |= deliver(&l->s, &l->c);
    any |= deliver(&l->c, &l->s);
  }
}

static itw_mono deadline(const struct link_side *s) { return s->conn ? s->p.deadline : ITW_NEVER; }

static void expire(struct link_side *s)
{
  if (s->conn && s->p.deadline <= s->link->now) assert_int_equal(itw_conn_expire(s->conn, &s->p, s->link->now), ITW_OK);
}

void link_wait(struct link *l, uint64_t seconds)
{
  itw_mono end = l->now + seconds * SECOND;
  for (;;) {
    itw_mono next = deadline(&l->c) < deadline(&l->s) ? deadline(&l->c) : deadline(&l->s);
    if (next > end) break;
    if (next > l->now) l->now = next;
    expire(&l->c);
    expire(&l->s);
    link_run(l);
  }
  l->now = end;
}

/* ---- a session ---- */

struct itw_request link_wish(uint32_t n)
{
  struct itw_request q;
  ITW_INIT(q);
  q.sender.port = (uint16_t)(20000 + n);
  q.padding = 64;
  q.dscp = 46;
  return q;
}

itw_status link_ask(struct link *l, const struct itw_request *q)
{
  uint32_t slot = 0;
  itw_status st = itw_client_request(l->c.conn, &l->c.p, &slot, q, l->now);
  link_run(l);
  return st;
}

uint32_t link_request(struct link *l, uint32_t n)
{
  struct itw_request q = link_wish(n);
  uint32_t had = link_events(&l->c, ITW_EV_ACCEPTED);
  assert_int_equal(link_ask(l, &q), ITW_OK);
  assert_int_equal(link_events(&l->c, ITW_EV_ACCEPTED), had + 1);
  return link_event(&l->c, ITW_EV_ACCEPTED)->slot;
}

void link_start(struct link *l)
{
  assert_int_equal(itw_client_start(l->c.conn, &l->c.p, l->now), ITW_OK);
  link_run(l);
}

void link_stop(struct link *l)
{
  assert_int_equal(itw_client_stop(l->c.conn, &l->c.p, l->now), ITW_OK);
  link_run(l);
}

/* ---- what happened ---- */

const struct itw_event *link_event(const struct link_side *s, uint32_t kind)
{
  for (uint32_t i = s->count; i; i--)
    if (s->events[i - 1].kind == kind) return &s->events[i - 1];
  return NULL;
}

uint32_t link_events(const struct link_side *s, uint32_t kind)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < s->count; i++) n += s->events[i].kind == kind;
  return n;
}

bool link_over(const struct link_side *s) { return s->conn && s->p.wants & ITW_WANT_CLOSE; }

bool link_up(const struct link *l)
{
  return link_event(&l->c, ITW_EV_UP) && link_event(&l->s, ITW_EV_UP) && !link_over(&l->c) && !link_over(&l->s);
}

struct itw_detail link_why(const struct link_side *s)
{
  struct itw_detail d;
  ITW_INIT(d);
  assert_int_equal(itw_conn_detail(s->conn, &d), ITW_OK);
  return d;
}

void link_ended(const struct link_side *s, itw_status status)
{
  struct itw_detail why = link_why(s);
  assert_string_equal(itw_status_name(why.status), itw_status_name(status));
  assert_true(link_over(s));
  assert_int_equal(s->p.wants, ITW_WANT_CLOSE);
  assert_true(s->p.deadline == ITW_NEVER);
  assert_int_equal(link_events(s, ITW_EV_CLOSED), 1);
  assert_int_equal(s->events[s->count - 1].kind, ITW_EV_CLOSED);
  assert_int_equal(s->events[s->count - 1].status, status);
  assert_int_equal(s->events[s->count - 1].accept, why.accept);
}

/* ---- the fake peer ---- */

void fake_open(struct fake *f, struct link *l, struct link_side *peer)
{
  memset(f, 0, sizeof *f);
  f->link = l;
  f->peer = peer;
  assert_int_equal(itwi_backend_open(&f->backend, NULL), ITW_OK);
  if (strcmp(itw_crypto_backend(), "none")) { /* in open mode zeroed ones do */
    assert_int_equal(itwi_stream_open(&f->rx, &f->backend), ITW_OK);
    assert_int_equal(itwi_stream_open(&f->tx, &f->backend), ITW_OK);
  }
  octets_of(f->setup.client_iv, 16, 9);
  link_run(l);
}

void fake_close(struct fake *f)
{
  itwi_stream_close(&f->rx);
  itwi_stream_close(&f->tx);
  itwi_backend_close(&f->backend);
}

size_t fake_put(struct fake *f, const void *octets, size_t n)
{
  size_t at = 0, one = 1;
  drive(f->peer);
  while (one && at < n) {
    one = feed(f->peer, (const uint8_t *)octets + at, n - at);
    at += one;
    drive(f->peer);
  }
  return at;
}

size_t fake_get(struct fake *f, void *out, size_t n)
{
  struct link_side *s = f->peer;
  drive(s);
  if (n > s->out_len) n = s->out_len;
  memcpy(out, s->out, n);
  memmove(s->out, s->out + n, s->out_len - n);
  s->out_len -= n;
  return n;
}

void fake_seal(struct fake *f, const void *body, size_t n)
{
  uint8_t octets[512];
  assert_true(n + 16 <= sizeof octets);
  memcpy(octets, body, n);
  assert_int_equal(itwi_stream_seal(&f->tx, octets, n), ITW_OK);
  fake_put(f, octets, n + 16);
}

bool fake_read(struct fake *f, void *body, size_t n)
{
  uint8_t octets[512];
  size_t have = fake_get(f, octets, n + 16);
  if (!have) return false;
  assert_int_equal(have, n + 16);
  assert_int_equal(itwi_stream_body(&f->rx, octets, n, ITWI_DECRYPT), ITW_OK);
  assert_int_equal(itwi_stream_check(&f->rx, octets + n), ITW_OK);
  memcpy(body, octets, n);
  return true;
}

static void token_key(const struct fake *f, uint8_t key[16])
{
  assert_int_equal(itw_token_key(key, (const uint8_t *)LINK_SECRET, strlen(LINK_SECRET), f->greeting.salt, f->greeting.count,
                                 NULL), ITW_OK);
}

static void start_streams(struct fake *f, const uint8_t out_iv[16], const uint8_t in_iv[16])
{
  assert_int_equal(itwi_stream_key(&f->tx, &f->backend, &f->pair, out_iv, ITWI_ENCRYPT), ITW_OK);
  assert_int_equal(itwi_stream_key(&f->rx, &f->backend, &f->pair, in_iv, ITWI_DECRYPT), ITW_OK);
}

void fake_prepare(struct fake *f, uint32_t mode)
{
  uint8_t octets[64], key[16], session_keys[48];
  assert_int_equal(fake_get(f, octets, sizeof octets), sizeof octets);
  assert_int_equal(itw_greeting_read(&f->greeting, ITW_FORM_FULL, octets, sizeof octets), ITW_OK);
  f->setup.form = ITW_FORM_FULL;
  f->setup.mode = mode;
  if (mode == ITW_MODE_OPEN) return; /* the rest is zero */
  memcpy(f->setup.key_id, LINK_KEY_ID, strlen(LINK_KEY_ID));
  octets_of(session_keys, sizeof session_keys, 13);
  itwi_session_keys(&f->pair, session_keys);
  token_key(f, key);
  assert_int_equal(itwi_token_make(&f->backend, f->setup.token, key, f->greeting.challenge, session_keys), ITW_OK);
}

int fake_go(struct fake *f)
{
  uint8_t octets[164];
  struct itw_server_start s;
  assert_int_equal(itw_setup_write(octets, sizeof octets, &f->setup), ITW_OK);
  assert_int_equal(fake_put(f, octets, sizeof octets), sizeof octets);
  if (!fake_get(f, octets, ITW_SERVER_START_LEN)) return -1;
  assert_int_equal(itw_server_start_read(&s, octets, ITW_SERVER_START_LEN), ITW_OK);
  if (s.accept || (f->setup.mode & 15) == ITW_MODE_OPEN) return (int)s.accept;
  start_streams(f, f->setup.client_iv, s.server_iv);
  assert_int_equal(itwi_stream_body(&f->rx, octets + 32, 16, ITWI_DECRYPT), ITW_OK);
  return 0;
}

int fake_join(struct fake *f, uint32_t mode)
{
  fake_prepare(f, mode);
  return fake_go(f);
}

int fake_accept(struct fake *f)
{
  uint8_t body[ITW_ACCEPT_LEN];
  struct itw_accept_session a;
  if (!fake_read(f, body, sizeof body)) return -1;
  assert_int_equal(itw_accept_session_read(&a, body, sizeof body), ITW_OK);
  assert_true(!a.accept == !!a.port);
  return (int)a.accept;
}

struct itw_request_tw fake_wish(void)
{
  return (struct itw_request_tw){.ipvn = 4, .sender_port = 20000, .padding = 64, .timeout = UINT64_C(2) << 32};
}

int fake_request(struct fake *f, const struct itw_request_tw *q)
{
  uint8_t body[ITW_REQUEST_LEN];
  assert_int_equal(itw_request_tw_write(body, sizeof body, q), ITW_OK);
  fake_seal(f, body, sizeof body);
  return fake_accept(f);
}

int fake_command(struct fake *f, uint32_t number, uint32_t len)
{
  uint8_t body[256] = {(uint8_t)number};
  fake_seal(f, body, len);
  return fake_accept(f);
}

int fake_stop(struct fake *f, uint32_t sessions)
{
  uint8_t body[ITW_STOP_LEN];
  struct itw_stop_sessions s = {0, sessions};
  assert_int_equal(itw_stop_sessions_write(body, sizeof body, &s), ITW_OK);
  fake_seal(f, body, sizeof body);
  return fake_accept(f);
}

struct itw_greeting fake_hello(uint32_t modes)
{
  struct itw_greeting g = {.form = ITW_FORM_FULL, .modes = modes, .count = 1024};
  octets_of(g.challenge, 16, 15);
  octets_of(g.salt, 16, 17);
  return g;
}

void fake_greet(struct fake *f, const struct itw_greeting *g)
{
  uint8_t octets[64];
  f->greeting = *g;
  assert_int_equal(itw_greeting_write(octets, sizeof octets, g), ITW_OK);
  fake_put(f, octets, itwi_greeting_len(g->form));
}

bool fake_start(struct fake *f, uint32_t accept)
{
  uint8_t octets[164], key[16];
  struct itw_server_start s = {.accept = accept, .start = UINT64_C(0xeeae740000000000)};
  if (fake_get(f, octets, sizeof octets) != sizeof octets) return false;
  assert_int_equal(itw_setup_read(&f->setup, ITW_FORM_FULL, octets, sizeof octets), ITW_OK);
  octets_of(s.server_iv, 16, 19);
  assert_int_equal(itw_server_start_write(octets, sizeof octets, &s), ITW_OK);
  if (!accept && (f->setup.mode & 15) != ITW_MODE_OPEN) {
    token_key(f, key);
    assert_int_equal(itwi_token_open(&f->backend, &f->pair, key, f->greeting.challenge, f->setup.token), ITW_OK);
    start_streams(f, s.server_iv, f->setup.client_iv);
    assert_int_equal(itwi_stream_body(&f->tx, octets + 32, 16, ITWI_ENCRYPT), ITW_OK);
  }
  fake_put(f, octets, ITW_SERVER_START_LEN);
  return true;
}

void fake_answer(struct fake *f, uint32_t accept, uint32_t port)
{
  uint8_t body[ITW_REQUEST_LEN];
  struct itw_accept_session a = {.accept = accept, .port = port};
  assert_true(fake_read(f, body, sizeof body));
  octets_of(a.sid, 16, 21);
  assert_int_equal(itw_accept_session_write(body, sizeof body, &a), ITW_OK);
  fake_seal(f, body, ITW_ACCEPT_LEN);
}

void fake_ack(struct fake *f, uint32_t accept)
{
  uint8_t body[ITW_START_LEN];
  assert_true(fake_read(f, body, sizeof body));
  assert_int_equal(itw_start_ack_write(body, sizeof body, accept), ITW_OK);
  fake_seal(f, body, ITW_START_ACK_LEN);
}
