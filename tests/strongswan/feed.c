/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "feed.h"
#include "octets.h"
#include <arpa/inet.h>
#include <sys/socket.h>

/* ---- its life ---- */

void feed_open(struct feed *f, uint32_t capacity, uint32_t schemes)
{
  struct itw_strongswan_config c;

  ITW_INIT(c);
  c.feed = ITW_STRONGSWAN_HA;
  c.capacity = capacity;
  c.schemes = schemes;
  *f = (struct feed){.now = ITWI_SECONDS(1000), .peer = 2, .inside = 1};
  assert_int_equal(itwi_ha_make(&f->ha, &c, f->now), ITW_OK);
  itwi_ha_tick(f->ha, f->now);
}

void feed_close(struct feed *f) { itwi_ha_free(f->ha); }

static unsigned count_children(const struct itwi_ha *ha, const struct itwi_ha_sa *ike)
{
  unsigned n = 0;
  itwi_place younger = 0;

  for (const struct itwi_ha_sa *s = itwi_ha_at(ha, ike->children); s; s = itwi_ha_at(ha, s->older), n++) {
    assert_int_equal(s->ike, itwi_ha_place(ha, ike));
    assert_int_equal(s->younger, younger);
    assert_true(n < ha->capacity);
    younger = itwi_ha_place(ha, s);
  }
  return n;
}

/* Whether it is alive, and found by its name. */
static bool check_sa(const struct itwi_ha *ha, const struct itwi_ha_sa *s)
{
  const struct itwi_ha_id id = {.spi_i = s->sa.spi_i, .spi_r = s->sa.spi_r};
  const bool lives = s->state == ITWI_SA_HALF || s->state == ITWI_SA_LIVE;

  assert_true(!s->shown || s->state == ITWI_SA_LIVE);
  if (lives) assert_ptr_equal(s->ike ? itwi_ha_find_child(ha, itwi_ha_at(ha, s->ike), s->inbound) : itwi_ha_find_ike(ha, &id), s);
  return lives;
}

void feed_check(const struct feed *f)
{
  const struct itwi_ha *const ha = f->ha;
  unsigned vacant = 0, gone = 0, alive = 0, children = 0, hanging = 0, shown = 0, unfit = 0, news = 0, listed = 0;

  for (itwi_place at = ha->free; at; at = itwi_ha_at(ha, at)->next, vacant++) assert_int_equal(itwi_ha_at(ha, at)->state, ITWI_SA_FREE);
  for (itwi_place at = ha->first_news; at; at = itwi_ha_at(ha, at)->next, listed++) assert_true(listed < ha->capacity);
  for (const struct itwi_ha_sa *s = ha->sas; s < ha->sas + ha->capacity; s++) {
    gone += s->state == ITWI_SA_GONE;
    news += s->news != 0;
    shown += s->shown;
    unfit += s->state == ITWI_SA_LIVE && !s->shown && !s->quiet;
    if (!check_sa(ha, s)) continue;
    alive++;
    children += s->ike != 0;
    hanging += s->ike ? 0 : count_children(ha, s);
  }
  assert_int_equal(vacant + gone + alive, ha->capacity);
  assert_int_equal(children, hanging);
  assert_int_equal(news, listed);
  assert_int_equal(shown, ha->n_ike + ha->n_child);
  assert_int_equal(unfit, ha->n_unfit);
}

/* ---- what charon says ---- */

/* Version 4 has two more numbers. */
static uint8_t number_of(const struct datagram *d, uint8_t number)
{
  if (d->octets[0] == ITWI_HA_VERSION) return number;
  if (number == ITWI_HA_ADD_SECRET) return 18;
  if (number == ITWI_HA_ALG_ADD_KES) return 26;
  return (uint8_t)(number + (number > 17) + (number > 24));
}

void put_attribute(struct datagram *d, uint8_t number, const void *octets, size_t len)
{
  assert_true(d->len + 1 + len <= sizeof d->octets);
  d->octets[d->len++] = number_of(d, number);
  memcpy(d->octets + d->len, octets, len);
  d->len += len;
}

static struct datagram begin(const struct feed *f, uint8_t type)
{
  return (struct datagram){.octets = {(uint8_t)(f->version ? f->version : ITWI_HA_VERSION), type}, .len = 2};
}

static void put_id(struct datagram *d, uint8_t number, uint32_t n)
{
  uint8_t id[18] = {2};
  itwi_store64(id + 1, ike_sa(n).spi_i);
  itwi_store64(id + 9, ike_sa(n).spi_r);
  id[17] = 1;
  put_attribute(d, number, id, sizeof id);
}

static void put8(struct datagram *d, uint8_t number, uint8_t value) { put_attribute(d, number, &value, 1); }

static void put16(struct datagram *d, uint8_t number, uint32_t value)
{
  uint8_t octets[2];
  itwi_store16(octets, (uint16_t)value);
  put_attribute(d, number, octets, 2);
}

static void put32(struct datagram *d, uint8_t number, uint32_t value)
{
  uint8_t octets[4];
  itwi_store32(octets, value);
  put_attribute(d, number, octets, 4);
}

/* 32 octets that differ with the number. */
static void put_octets(struct datagram *d, uint8_t number, uint32_t n)
{
  uint8_t octets[2 + 32] = {0, 32};
  for (uint8_t i = 0; i < 32; i++) octets[2 + i] = (uint8_t)(number * 7u + n + i);
  put_attribute(d, number, octets, sizeof octets);
}

static void put_addr(struct datagram *d, uint8_t number, uint8_t last)
{
  const uint8_t octets[] = {0x11, 0x94, AF_INET, 10, 0, 0, last};
  put_attribute(d, number, octets, sizeof octets);
}

static void put_range(struct datagram *d, uint8_t number, uint8_t net, uint8_t from, uint8_t to)
{
  const uint8_t octets[] = {7, 0, 0, 0, 0xff, 0xff, 0, 10, net, 0, from, 10, net, 0, to};
  put_attribute(d, number, octets, sizeof octets);
}

struct datagram ike_add(const struct feed *f, uint32_t n, uint32_t rekeyed)
{
  struct datagram d = begin(f, ITWI_HA_IKE_ADD);
  put8(&d, ITWI_HA_IKE_VERSION, 2);
  put_id(&d, ITWI_HA_IKE_ID, n);
  if (rekeyed) {
    put_id(&d, ITWI_HA_IKE_REKEY_ID, rekeyed);
    put16(&d, ITWI_HA_ALG_OLD_PRF, f->old_prf ? f->old_prf : ITW_PRF_HMAC_SHA2_256);
    put_octets(&d, ITWI_HA_OLD_SKD, rekeyed);
  }
  put16(&d, ITWI_HA_ALG_ENCR, 12);
  put16(&d, ITWI_HA_ALG_ENCR_LEN, 256);
  put16(&d, ITWI_HA_ALG_INTEG, 12);
  put16(&d, ITWI_HA_ALG_PRF, f->prf ? f->prf : ITW_PRF_HMAC_SHA2_256);
  put16(&d, ITWI_HA_ALG_DH, 19);
  put_octets(&d, ITWI_HA_NONCE_I, n);
  put_octets(&d, ITWI_HA_NONCE_R, n);
  put_octets(&d, ITWI_HA_SECRET, n);
  put_addr(&d, ITWI_HA_REMOTE_ADDR, f->peer);
  return d;
}

struct datagram ike_update(const struct feed *f, uint32_t n)
{
  static const uint8_t id[] = {2, 1, 'x'};
  struct datagram d = begin(f, ITWI_HA_IKE_UPDATE);
  put_id(&d, ITWI_HA_IKE_ID, n);
  put_attribute(&d, ITWI_HA_LOCAL_ID, id, sizeof id);
  put_addr(&d, ITWI_HA_LOCAL_ADDR, 1);
  put_addr(&d, ITWI_HA_REMOTE_ADDR, f->peer);
  put32(&d, ITWI_HA_CONDITIONS, f->conditions);
  put_attribute(&d, ITWI_HA_CONFIG_NAME, "gold", 5);
  return d;
}

struct datagram ike_delete(const struct feed *f, uint32_t n)
{
  struct datagram d = begin(f, ITWI_HA_IKE_DELETE);
  put_id(&d, ITWI_HA_IKE_ID, n);
  return d;
}

struct datagram child_add(const struct feed *f, uint32_t ike, uint32_t n)
{
  struct datagram d = begin(f, ITWI_HA_CHILD_ADD);
  put_id(&d, ITWI_HA_IKE_ID, ike);
  put8(&d, ITWI_HA_INITIATOR, 1);
  put32(&d, ITWI_HA_INBOUND_SPI, htonl(0xc000 + n));
  put32(&d, ITWI_HA_OUTBOUND_SPI, htonl(0xd000 + n));
  put8(&d, ITWI_HA_IPSEC_MODE, 2);
  put_attribute(&d, ITWI_HA_CONFIG_NAME, "c1", 3);
  put16(&d, ITWI_HA_ALG_ENCR, 12);
  put16(&d, ITWI_HA_ALG_ENCR_LEN, 128);
  put16(&d, ITWI_HA_ALG_INTEG, 2);
  put_octets(&d, ITWI_HA_NONCE_I, n);
  put_octets(&d, ITWI_HA_NONCE_R, n);
  put_range(&d, ITWI_HA_LOCAL_TS, f->inside, 1, 1);
  put_range(&d, ITWI_HA_REMOTE_TS, (uint8_t)(f->inside + 1), 0, 255);
  return d;
}

struct datagram child_delete(const struct feed *f, uint32_t ike, uint32_t n)
{
  struct datagram d = begin(f, ITWI_HA_CHILD_DELETE);
  put_id(&d, ITWI_HA_IKE_ID, ike);
  put32(&d, ITWI_HA_INBOUND_SPI, htonl(0xc000 + n));
  return d;
}

struct datagram resync(const struct feed *f)
{
  struct datagram d = begin(f, ITWI_HA_RESYNC);
  put16(&d, ITWI_HA_SEGMENT, 1);
  return d;
}

void say(struct feed *f, struct datagram d) { itwi_ha_follow(f->ha, d.octets, d.len, f->now); }

void say_up(struct feed *f, uint32_t n)
{
  say(f, ike_add(f, n, 0));
  say(f, ike_update(f, n));
}

void say_rekey(struct feed *f, uint32_t old, uint32_t n)
{
  say(f, ike_add(f, n, old));
  say(f, ike_delete(f, old));
  say(f, ike_update(f, n));
}

void pass(struct feed *f, double seconds)
{
  const itw_mono end = f->now + (itw_mono)(seconds * 1e9);
  for (itw_mono due; (due = itwi_ha_deadline(f->ha)) <= end;) {
    if (due > f->now) f->now = due;
    itwi_ha_tick(f->ha, f->now);
  }
  f->now = end;
}

/* ---- what becomes of it ---- */

static struct itw_sa sa_of(uint32_t protocol, uint64_t spi_i, uint64_t spi_r)
{
  struct itw_sa sa;
  ITW_INIT(sa);
  sa.protocol = protocol;
  sa.spi_i = spi_i;
  sa.spi_r = spi_r;
  return sa;
}

struct itw_sa ike_sa(uint32_t n) { return sa_of(ITW_SA_IKE, 0xa0000000u + n, 0xb0000000u + n); }
struct itw_sa child_sa(uint32_t n) { return sa_of(ITW_SA_ESP, 0xc000 + n, 0xd000 + n); }

static bool same(const struct itw_sa *a, const struct itw_sa *b)
{
  return a->protocol == b->protocol && a->spi_i == b->spi_i && a->spi_r == b->spi_r;
}

static void expect_sa(struct feed *f, uint32_t kind, struct itw_sa sa, const struct itw_sa *by)
{
  struct itw_source_event e;
  ITW_INIT(e);
  assert_int_equal(itwi_ha_event(f->ha, &e), ITW_OK);
  assert_int_equal(e.kind, kind);
  assert_true(same(&e.sa, &sa));
  assert_int_equal(e.by.protocol, by ? by->protocol : 0);
  if (by) assert_true(same(&e.by, by));
  if (kind == ITW_SOURCE_UP) {
    assert_int_equal(e.why, 0);
    assert_int_equal(e.local.ip[3], 1);
    assert_int_equal(e.remote.ip[3], f->peer);
  }
}

void expect_ike(struct feed *f, uint32_t kind, uint32_t n, uint32_t by)
{
  const struct itw_sa successor = ike_sa(by);
  expect_sa(f, kind, ike_sa(n), by ? &successor : NULL);
}

void expect_child(struct feed *f, uint32_t kind, uint32_t n, uint32_t by)
{
  const struct itw_sa successor = child_sa(by);
  expect_sa(f, kind, child_sa(n), by ? &successor : NULL);
}

void expect_kind(struct feed *f, uint32_t kind, itw_status why)
{
  struct itw_source_event e;
  ITW_INIT(e);
  assert_int_equal(itwi_ha_event(f->ha, &e), ITW_OK);
  assert_int_equal(e.kind, kind);
  assert_int_equal(e.why, why);
}

void expect_nothing(struct feed *f)
{
  struct itw_source_event e;
  ITW_INIT(e);
  assert_int_equal(itwi_ha_event(f->ha, &e), ITW_EMPTY);
}

struct itw_sa offered(const struct feed *f, uint32_t scheme, bool inside, itw_status *why)
{
  struct itw_ask a;
  struct itw_answer out;

  ITW_INIT(a);
  ITW_INIT(out);
  a.kind = ITW_ASK_SELECT;
  a.role = scheme == ITW_IKEV2 ? ITW_ROLE_CLIENT : ITW_ROLE_SERVER;
  a.schemes = scheme;
  a.modes = ITW_MODE_ENC;
  ITW_INIT(a.sa);
  a.local = (struct itw_addr){.family = 4, .ip = {10, inside ? f->inside : 0, 0, 1}};
  a.remote = (struct itw_addr){.family = 4, .ip = {10, inside ? (uint8_t)(f->inside + 1) : 0, 0, f->peer}};
  assert_int_equal(itwi_ha_answer(f->ha, &a, &out), ITW_OK);
  if (why) *why = out.why;
  if (out.kind == ITW_ANS_NONE) out.sa = sa_of(0, 0, 0);
  return out.sa;
}

bool offers_ike(const struct feed *f, uint32_t n)
{
  const struct itw_sa sa = offered(f, ITW_IKEV2, false, NULL), want = ike_sa(n);
  return same(&sa, &want);
}

bool offers_child(const struct feed *f, uint32_t n)
{
  const struct itw_sa sa = offered(f, ITW_SHARED, true, NULL), want = child_sa(n);
  return same(&sa, &want);
}
