/* SPDX-License-Identifier: BSD-3-Clause */
#include "ha_message.h"
#include "../octets.h"

#include <arpa/inet.h>
#include <sys/socket.h>

enum { TS_IPV4 = 7, TS_IPV6 = 8, PROTOCOL_ANY = 0, PROTOCOL_TCP = 6 };
enum { COND_PPK = 1 << 13 };
#define COND_PRIVATE (UINT32_C(1) << 31) /* from version 5: a second CONDITIONS has bits of its own */
enum { SEGMENTS = 16 };                  /* charon's SEGMENTS_MAX */

itw_status itwi_ha_begin(struct itwi_ha_cursor *c, uint8_t *type, const uint8_t *datagram, size_t len)
{
  *c = (struct itwi_ha_cursor){datagram, len, 0, false};
  if (len < 2) return ITW_ERR_SHORT;
  if (datagram[0] > ITWI_HA_VERSION_MAX) return ITW_ERR_NEWER;
  if (datagram[0] < ITWI_HA_VERSION) return ITW_ERR_UNSUPPORTED;
  *c = (struct itwi_ha_cursor){datagram + 2, len - 2, datagram[0], false};
  *type = datagram[1];
  return ITW_OK;
}

/* ---- attributes ---- */

/* Version 4 has two more, in the middle. */
static uint32_t number_in_3(uint32_t version, uint32_t number)
{
  enum { ADD_SECRET = 18, ALG_ADD_KES = 26 };
  if (version == ITWI_HA_VERSION) return number > ITWI_HA_AUTH_METHOD ? 0 : number;
  if (number == ADD_SECRET) return ITWI_HA_ADD_SECRET;
  if (number == ALG_ADD_KES) return ITWI_HA_ALG_ADD_KES;
  if (number > ITWI_HA_AUTH_METHOD + 2) return 0;
  return number - (number > ADD_SECRET) - (number > ALG_ADD_KES);
}

static size_t name_len(const struct itwi_reader *r)
{
  const uint8_t *const nul = r->left ? memchr(r->p, 0, r->left) : NULL;
  return nul ? (size_t)(nul - r->p) : r->left + 1;
}

/* The length of what begins with a family or type at an offset; beyond the buffer's end if that isn't known. */
static size_t len_by_kind(const struct itwi_reader *r, size_t at, uint8_t kind4, size_t len4, uint8_t kind6, size_t len6)
{
  if (at >= r->left) return r->left + 1;
  return r->p[at] == kind4 ? len4 : r->p[at] == kind6 ? len6 : r->left + 1;
}

static size_t len_of(uint32_t number, struct itwi_reader *r)
{
  switch (number) {
  case ITWI_HA_IKE_ID:
  case ITWI_HA_IKE_REKEY_ID: return 18;
  case ITWI_HA_LOCAL_ID:
  case ITWI_HA_REMOTE_ID:
  case ITWI_HA_REMOTE_EAP_ID: return r->left > 1 ? 2u + r->p[1] : 2;
  case ITWI_HA_LOCAL_ADDR:
  case ITWI_HA_REMOTE_ADDR:
  case ITWI_HA_LOCAL_VIP:
  case ITWI_HA_REMOTE_VIP:
  case ITWI_HA_PEER_ADDR: return len_by_kind(r, 2, AF_INET, 3 + 4, AF_INET6, 3 + 16);
  case ITWI_HA_LOCAL_TS:
  case ITWI_HA_REMOTE_TS: return len_by_kind(r, 0, TS_IPV4, 7 + 2 * 4, TS_IPV6, 7 + 2 * 16);
  case ITWI_HA_CONFIG_NAME: return name_len(r);
  case ITWI_HA_IKE_VERSION:
  case ITWI_HA_INITIATOR:
  case ITWI_HA_IPSEC_MODE:
  case ITWI_HA_IPCOMP: return 1;
  case ITWI_HA_CONDITIONS:
  case ITWI_HA_EXTENSIONS:
  case ITWI_HA_INBOUND_SPI:
  case ITWI_HA_OUTBOUND_SPI:
  case ITWI_HA_MID: return 4;
  case ITWI_HA_NONCE_I:
  case ITWI_HA_NONCE_R:
  case ITWI_HA_SECRET:
  case ITWI_HA_ADD_SECRET:
  case ITWI_HA_OLD_SKD:
  case ITWI_HA_ALG_ADD_KES:
  case ITWI_HA_LOCAL_DH:
  case ITWI_HA_REMOTE_DH:
  case ITWI_HA_PSK:
  case ITWI_HA_IV: return itwi_get16(r);
  case 0: return r->left + 1;
  default: return 2; /* ALG_*, *_CPI, SEGMENT, ESN, AUTH_METHOD */
  }
}

itw_status itwi_ha_next(struct itwi_ha_cursor *c, struct itwi_ha_attribute *a)
{
  if (!c->left && !c->bad) return ITW_EMPTY;
  struct itwi_reader r = {c->p, c->left, c->bad};
  const uint32_t number = number_in_3(c->version, itwi_get8(&r));
  const size_t len = len_of(number, &r);
  const uint8_t *const value = itwi_take(&r, len);

  if (number == ITWI_HA_CONFIG_NAME) itwi_skip(&r, 1);
  c->p = r.p;
  c->left = r.left;
  c->bad = r.bad;
  *a = (struct itwi_ha_attribute){.number = number};
  if (r.bad) return ITW_ERR_SHORT;
  a->value = (struct itwi_octets){value, (uint32_t)len, 0};
  return ITW_OK;
}

/* ---- values ---- */

static struct itwi_ha_id get_id(struct itwi_reader r)
{
  struct itwi_ha_id id = {.version = itwi_get8(&r)};
  id.spi_i = itwi_get64(&r);
  id.spi_r = itwi_get64(&r);
  id.initiator = itwi_get8(&r);
  return id;
}

static struct itw_addr get_ip(struct itwi_reader *r, uint16_t family)
{
  struct itw_addr a = {.family = family};
  itwi_get(r, a.ip, family == 4 ? 4 : 16);
  return a;
}

static struct itw_addr get_addr(struct itwi_reader r)
{
  itwi_skip(&r, 2);
  return get_ip(&r, itwi_get8(&r) == AF_INET ? 4 : 6);
}

/* A selector for other traffic than a control connection's or all isn't one for us. */
static void add_range(struct itwi_ha_range *ranges, uint32_t *n, struct itwi_reader r)
{
  const uint16_t family = itwi_get8(&r) == TS_IPV4 ? 4 : 6;
  const uint8_t protocol = itwi_get8(&r);
  if (*n == ITWI_HA_RANGES || (protocol != PROTOCOL_ANY && protocol != PROTOCOL_TCP)) return;
  const uint16_t from_port = itwi_get16(&r), to_port = itwi_get16(&r);
  itwi_skip(&r, 1);
  struct itwi_ha_range *const range = &ranges[(*n)++];
  range->from = get_ip(&r, family);
  range->to = get_ip(&r, family);
  range->from.port = from_port;
  range->to.port = to_port;
}

/* charon converts what is in network order already: on a little-endian machine that is back (htonl of an htonl). */
static uint32_t get_spi(struct itwi_reader r) { return ntohl(itwi_get32(&r)); }

static void take(struct itwi_ha_message *m, const struct itwi_ha_attribute *a)
{
  struct itwi_reader r = itwi_reader(a->value.p, a->value.len);

  switch (a->number) {
  case ITWI_HA_IKE_ID: m->ike = get_id(r); break;
  case ITWI_HA_IKE_REKEY_ID: m->rekeyed = get_id(r); break;
  case ITWI_HA_LOCAL_ADDR: m->local = get_addr(r); break;
  case ITWI_HA_REMOTE_ADDR: m->remote = get_addr(r); break;
  case ITWI_HA_CONFIG_NAME: m->name = a->value; break;
  case ITWI_HA_CONDITIONS: {
    const uint32_t conditions = itwi_get32(&r);
    if (!(conditions & COND_PRIVATE)) m->ppk = conditions & COND_PPK;
    break;
  }
  case ITWI_HA_INITIATOR: m->initiator = itwi_get8(&r); break;
  case ITWI_HA_NONCE_I: m->nonce_i = a->value; break;
  case ITWI_HA_NONCE_R: m->nonce_r = a->value; break;
  case ITWI_HA_SECRET: m->secret = a->value; break;
  case ITWI_HA_ADD_SECRET: m->add_secret = a->value; break;
  case ITWI_HA_OLD_SKD: m->old_sk_d = a->value; break;
  case ITWI_HA_ALG_PRF: m->prf = itwi_get16(&r); break;
  case ITWI_HA_ALG_OLD_PRF: m->old_prf = itwi_get16(&r); break;
  case ITWI_HA_ALG_ENCR: m->encr = itwi_get16(&r); break;
  case ITWI_HA_ALG_ENCR_LEN: m->encr_bits = itwi_get16(&r); break;
  case ITWI_HA_ALG_INTEG: m->integ = itwi_get16(&r); break;
  case ITWI_HA_INBOUND_SPI: m->inbound = get_spi(r); break;
  case ITWI_HA_OUTBOUND_SPI: m->outbound = get_spi(r); break;
  case ITWI_HA_LOCAL_TS: add_range(m->local_ts, &m->n_local, r); break;
  case ITWI_HA_REMOTE_TS: add_range(m->remote_ts, &m->n_remote, r); break;
  case ITWI_HA_IKE_VERSION: m->ike_version = itwi_get8(&r); break;
  default: break;
  }
}

itw_status itwi_ha_decode(struct itwi_ha_message *m, const uint8_t *datagram, size_t len)
{
  struct itwi_ha_cursor c;
  struct itwi_ha_attribute a;

  memset(m, 0, sizeof *m);
  itw_status st = itwi_ha_begin(&c, &m->type, datagram, len);
  if (st) return st;
  m->version = (uint8_t)c.version;
  while ((st = itwi_ha_next(&c, &a)) == ITW_OK) take(m, &a);
  return st == ITW_EMPTY ? ITW_OK : st;
}

/* ---- what we send ---- */

size_t itwi_ha_resync(uint8_t out[ITWI_HA_RESYNC_MAX], uint32_t version, bool nothing)
{
  const uint8_t number = ITWI_HA_SEGMENT + (version == ITWI_HA_VERSION ? 0 : 2);
  struct itwi_writer w = itwi_writer(out, ITWI_HA_RESYNC_MAX);

  itwi_put8(&w, (uint8_t)version);
  itwi_put8(&w, ITWI_HA_RESYNC);
  for (uint16_t segment = 0; !nothing && segment <= SEGMENTS; segment++) {
    itwi_put8(&w, number);
    itwi_put16(&w, segment);
  }
  return (size_t)(w.p - out);
}
