/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams of charon's HA plugin: a recording field by field, what is cut off, what is spoiled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "feed.h"
#include "octets.h"
#include "vec.h"
#include <arpa/inet.h>
#include <ipsectwamp/version.h>
#include <stdio.h>
#include <stdlib.h>

/* By the numbers of version 3. The recording has those with a name. */
static const struct {
  const char *name;
  uint32_t head; /* octets before what the vector has: an identity's type and length, an address's port and family */
  bool decimal;
} known[] = {
    [ITWI_HA_IKE_ID] = {"ike_id", 0, false},
    [ITWI_HA_IKE_REKEY_ID] = {"ike_rekey_id", 0, false},
    [ITWI_HA_LOCAL_ID] = {"local_id", 2, false},
    [ITWI_HA_REMOTE_ID] = {"remote_id", 2, false},
    [ITWI_HA_LOCAL_ADDR] = {"local_addr", 3, false},
    [ITWI_HA_REMOTE_ADDR] = {"remote_addr", 3, false},
    [ITWI_HA_CONFIG_NAME] = {"config_name", 0, false},
    [ITWI_HA_CONDITIONS] = {"conditions", 0, false},
    [ITWI_HA_EXTENSIONS] = {"extensions", 0, false},
    [ITWI_HA_PEER_ADDR] = {"peer_addr", 3, false},
    [ITWI_HA_INITIATOR] = {"initiator", 0, true},
    [ITWI_HA_NONCE_I] = {"nonce_i", 0, false},
    [ITWI_HA_NONCE_R] = {"nonce_r", 0, false},
    [ITWI_HA_SECRET] = {"secret", 0, false},
    [ITWI_HA_OLD_SKD] = {"old_skd", 0, false},
    [ITWI_HA_ALG_PRF] = {"alg_prf", 0, true},
    [ITWI_HA_ALG_OLD_PRF] = {"alg_old_prf", 0, true},
    [ITWI_HA_ALG_ENCR] = {"alg_encr", 0, true},
    [ITWI_HA_ALG_ENCR_LEN] = {"alg_encr_len", 0, true},
    [ITWI_HA_ALG_INTEG] = {"alg_integ", 0, true},
    [ITWI_HA_ALG_DH] = {"alg_dh", 0, true},
    [ITWI_HA_IPSEC_MODE] = {"ipsec_mode", 0, true},
    [ITWI_HA_IPCOMP] = {"ipcomp", 0, true},
    [ITWI_HA_INBOUND_SPI] = {"inbound_spi", 0, false},
    [ITWI_HA_OUTBOUND_SPI] = {"outbound_spi", 0, false},
    [ITWI_HA_INBOUND_CPI] = {"inbound_cpi", 0, true},
    [ITWI_HA_OUTBOUND_CPI] = {"outbound_cpi", 0, true},
    [ITWI_HA_LOCAL_TS] = {"local_ts", 0, false},
    [ITWI_HA_REMOTE_TS] = {"remote_ts", 0, false},
    [ITWI_HA_MID] = {"mid", 0, false},
    [ITWI_HA_ESN] = {"esn", 0, true},
    [ITWI_HA_IKE_VERSION] = {"ike_version", 0, true},
};
static const char *const types[] = {"", "IKE_ADD", "IKE_UPDATE", "IKE_MID_INITIATOR", "IKE_MID_RESPONDER", "IKE_DELETE", "CHILD_ADD"};

/* What else a section has. */
static const char *const derived[] = {"wire", "skeyseed", "sk_d", "rfc7717_secret", "keymat", "inbound", "outbound"};

static struct datagram wire_of(const struct vec_section *s)
{
  struct datagram d = {.len = 0};
  d.len = vec_hex(s, "wire", d.octets, sizeof d.octets);
  return d;
}

static void check_value(const struct vec_section *s, const struct itwi_ha_attribute *a)
{
  const uint32_t head = known[a->number].head;
  uint8_t want[512];

  if (known[a->number].decimal) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < a->value.len; i++) value = value << 8 | a->value.p[i];
    assert_int_equal(value, vec_u64(s, known[a->number].name));
    return;
  }
  assert_int_equal(a->value.len, head + vec_hex(s, known[a->number].name, want, sizeof want));
  assert_memory_equal(a->value.p + head, want, a->value.len - head);
}

static size_t check_datagram(const struct vec_section *s)
{
  const struct datagram d = wire_of(s);
  struct itwi_ha_attribute a;
  struct itwi_ha_cursor c;
  uint8_t type = 0;
  size_t n = 0, others = 0;
  itw_status st;

  assert_int_equal(itwi_ha_begin(&c, &type, d.octets, d.len), ITW_OK);
  assert_string_equal(types[type], s->name);
  for (; (st = itwi_ha_next(&c, &a)) == ITW_OK; n++) {
    assert_true(a.number < sizeof known / sizeof known[0] && known[a.number].name);
    check_value(s, &a);
  }
  assert_int_equal(st, ITW_EMPTY);
  for (size_t i = 0; i < sizeof derived / sizeof derived[0]; i++) others += (size_t)vec_has(s, derived[i]);
  assert_int_equal(n + others, s->count);
  return n;
}

static void recording_field_by_field(void **state)
{
  (void)state;
  struct vec *vec = vec_load("strongswan/ha-feed.vec");
  size_t datagrams = 0, fields = 0;

  for (const struct vec_section *s = vec_first(vec, "datagram"); s; s = vec_next(vec, s, "datagram"), datagrams++)
    fields += check_datagram(s);
  assert_int_equal(datagrams, 14);
  print_message("%zu attributes\n", fields);
  vec_free(vec);
}

static void recording_as_messages(void **state)
{
  (void)state;
  struct vec *vec = vec_load("strongswan/ha-feed.vec");
  struct itwi_ha_message m;

  for (const struct vec_section *s = vec_first(vec, "datagram"); s; s = vec_next(vec, s, "datagram")) {
    const struct datagram d = wire_of(s);
    uint8_t id[18];
    assert_int_equal(itwi_ha_decode(&m, d.octets, d.len), ITW_OK);
    assert_int_equal(vec_hex(s, "ike_id", id, sizeof id), 18);
    assert_int_equal(m.ike.version, 2);
    assert_true(m.ike.initiator);
    assert_int_equal(m.ike.spi_i, itwi_load64(id + 1));
    assert_int_equal(m.ike.spi_r, itwi_load64(id + 9));
    if (m.type != ITWI_HA_CHILD_ADD) continue;
    /* The recording is a little-endian machine's: on a big-endian one it reads the other way round. */
    assert_int_equal(m.inbound, ntohl(__builtin_bswap32((uint32_t)vec_be64(s, "inbound"))));
    assert_int_equal(m.outbound, ntohl(__builtin_bswap32((uint32_t)vec_be64(s, "outbound"))));
    assert_int_equal(m.n_local, 1);
    assert_int_equal(m.local_ts[0].to.port, 65535);
    assert_int_equal(m.remote_ts[0].from.ip[1], 78);
    assert_int_equal(m.initiator, 1);
  }
  vec_free(vec);
}

/* Cut anywhere, it is either short, or ends behind an attribute. */
static void every_truncation(void **state)
{
  (void)state;
  struct vec *vec = vec_load("strongswan/ha-feed.vec");
  struct itwi_ha_message m;

  for (const struct vec_section *s = vec_first(vec, "datagram"); s; s = vec_next(vec, s, "datagram")) {
    const struct datagram d = wire_of(s);
    size_t whole = 0;
    for (size_t n = 0; n < d.len; n++) {
      uint8_t *const own = malloc(n + 1); /* so that one octet too far is seen */
      assert_non_null(own);
      memcpy(own, d.octets, n);
      const itw_status st = itwi_ha_decode(&m, own, n);
      assert_true(st == ITW_OK || st == ITW_ERR_SHORT);
      whole += st == ITW_OK;
      free(own);
    }
    assert_int_equal(whole, check_datagram(s)); /* one for each attribute that isn't there */
  }
  vec_free(vec);
}

/* Also as a feed takes it, which then still knows the SAs that others tell of. */
static void every_flipped_bit(void **state)
{
  (void)state;
  struct vec *vec = vec_load("strongswan/ha-feed.vec");
  struct itw_source_event e;
  struct feed f;

  ITW_INIT(e);
  for (const struct vec_section *s = vec_first(vec, "datagram"); s; s = vec_next(vec, s, "datagram")) {
    const struct datagram d = wire_of(s);
    feed_open(&f, 16, 0);
    say_up(&f, 1);
    for (size_t bit = 0; bit < 8 * d.len; bit++) {
      struct datagram flipped = d;
      flipped.octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
      say(&f, flipped);
      while (itwi_ha_event(f.ha, &e) == ITW_OK) ITW_INIT(e);
    }
    if (strcmp(itw_crypto_backend(), "none") != 0) assert_true(offers_ike(&f, 1));
    feed_check(&f);
    feed_close(&f);
  }
  vec_free(vec);
}

static void versions(void **state)
{
  (void)state;
  struct feed f = {.version = 3, .peer = 2};
  struct itwi_ha_message m[3];
  uint8_t out[ITWI_HA_RESYNC_MAX], type = 0;
  struct itwi_ha_cursor c;

  for (f.version = 2; f.version < 8; f.version++) {
    const struct datagram d = ike_add(&f, 1, 2);
    const itw_status want = f.version < 3 ? ITW_ERR_UNSUPPORTED : f.version > 5 ? ITW_ERR_NEWER : ITW_OK;
    assert_int_equal(itwi_ha_begin(&c, &type, d.octets, d.len), want);
    if (want) continue;
    struct itwi_ha_message *const one = &m[f.version - 3];
    assert_int_equal(itwi_ha_decode(one, d.octets, d.len), ITW_OK);
    assert_int_equal(one->prf, ITW_PRF_HMAC_SHA2_256);
    assert_int_equal(one->encr_bits, 256);
    assert_int_equal(one->old_sk_d.len, 32);
    assert_int_equal(one->remote.ip[3], 2);
  }
  assert_int_equal(itwi_ha_begin(&c, &type, out, 1), ITW_ERR_SHORT);
  assert_int_equal(itwi_ha_resync(out, 3, true), 2);
  for (uint32_t version = 3; version < 6; version++) {
    struct itwi_ha_attribute a;
    const size_t len = itwi_ha_resync(out, version, false);
    assert_int_equal(itwi_ha_begin(&c, &type, out, len), ITW_OK);
    assert_int_equal(type, ITWI_HA_RESYNC);
    for (uint8_t segment = 0; segment <= 16; segment++) {
      assert_int_equal(itwi_ha_next(&c, &a), ITW_OK);
      assert_int_equal(a.number, ITWI_HA_SEGMENT);
      assert_int_equal(a.value.p[1], segment);
    }
    assert_int_equal(itwi_ha_next(&c, &a), ITW_EMPTY);
  }
}

/* Selectors for other traffic aren't ours; more than there is room for aren't looked at; IPv6. */
static void selectors(void **state)
{
  (void)state;
  static const uint8_t icmp[] = {7, 1, 0, 0, 0xff, 0xff, 0, 10, 1, 0, 0, 10, 1, 0, 9};
  static const uint8_t tcp[] = {7, 6, 3, 0x5d, 3, 0x5e, 0, 10, 1, 0, 0, 10, 1, 0, 9};
  static const uint8_t six[7 + 32] = {8, 0, 0, 0, 0xff, 0xff, 1, 0x20, 1, [22] = 1, [23] = 0x20, 1, [38] = 9};
  const struct feed f = {.peer = 2, .inside = 1};
  struct datagram d = child_add(&f, 1, 1);
  struct itwi_ha_message m;

  put_attribute(&d, ITWI_HA_LOCAL_TS, icmp, sizeof icmp);
  put_attribute(&d, ITWI_HA_LOCAL_TS, tcp, sizeof tcp);
  put_attribute(&d, ITWI_HA_REMOTE_TS, six, sizeof six);
  for (int i = 0; i < 9; i++) put_attribute(&d, ITWI_HA_REMOTE_TS, tcp, sizeof tcp);
  assert_int_equal(itwi_ha_decode(&m, d.octets, d.len), ITW_OK);
  assert_int_equal(m.n_local, 2);
  assert_int_equal(m.local_ts[1].from.port, 861);
  assert_int_equal(m.local_ts[1].to.port, 862);
  assert_int_equal(m.n_remote, ITWI_HA_RANGES);
  assert_int_equal(m.remote_ts[1].to.family, 6);
  assert_int_equal(m.remote_ts[1].to.ip[15], 9);
  d.octets[d.len - 15] = 9; /* a type that isn't one */
  assert_int_equal(itwi_ha_decode(&m, d.octets, d.len), ITW_ERR_SHORT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(recording_field_by_field), cmocka_unit_test(recording_as_messages), cmocka_unit_test(every_truncation),
      cmocka_unit_test(every_flipped_bit),        cmocka_unit_test(versions),              cmocka_unit_test(selectors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
