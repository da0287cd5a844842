/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.h"
#include "abi.h"
#include "octets.h"
#include <ipsectwamp/packet.h>

/* The session value, version 1. Integers in network order, so that it means the same on every machine.

     0  version 1 | mode | dialect | DSCP
     4  flags, 4
     8  Padding Length, 4
    12  octets of the AES key | of the HMAC key | MBZ 2
    16  Timeout, 8              seconds 32, fraction 32 (RFC 5357 §3.5)
    24  Start Time, 8
    32  SID, 16
    48  sender's address, 24:   family 2 | port 2 | scope 4 | IP 16
    72  reflector's address, 24
    96  AES key, 32             shorter ones are followed by zeros
   128  HMAC key, 64
   192  features, 4             ITW_FEATURE_*
   196  octets of padding to reflect, 2 | Server octets, 2         RFC 6038
   200  Number of Packets, 4    OWAMP (RFC 4656 §3.5)
   204  MBZ, 52                 a later minor addition goes here: not zero is ITW_ERR_NEWER */
enum { VERSION = 1, FLAGS = ITW_SESSION_ZERO_PADDING | ITW_SESSION_ANY_SENDER | ITW_SESSION_PTP, MBZ_LEN = 52 };
enum {
  FEATURES = ITW_FEATURE_SESSION_CONTROL | ITW_FEATURE_REFLECT | ITW_FEATURE_SYMMETRICAL | ITW_FEATURE_DSCP_ECN | ITW_FEATURE_PTP
};

/* RFC 6038 §4.2, RFC 7750 §2.2.2, with 112 octets of secure reflector's header (RFC 5357 erratum 5045). */
uint32_t itwi_sender_gap(uint32_t mode, uint32_t features)
{
  if (!(features & ITW_FEATURE_SYMMETRICAL)) return 0;
  if (mode != ITW_MODE_OPEN) return 56;
  return features & ITW_FEATURE_DSCP_ECN ? 28 : 27;
}

uint32_t itwi_least_padding(uint32_t mode, uint32_t features, uint32_t reflect)
{
  /* by symmetrical size: the reflector's header less all that the sender has before its padding */
  static const uint8_t least[2][3] = {
    /* open, open with DSCP and ECN, secure */
    {27, 30, 64},
    {0, 2, 8},
  };
  const uint32_t symmetrical = (features & ITW_FEATURE_SYMMETRICAL) != 0;
  const uint32_t form = mode != ITW_MODE_OPEN ? 2 : (features & ITW_FEATURE_DSCP_ECN) != 0;
  uint32_t n = least[symmetrical][form];

  if (!symmetrical && !reflect) return 0;
  if (reflect && !n) n = 1; /* more than what is to be reflected (RFC 6038 §4.2) */
  return n + reflect;
}

static int addr_ok(const struct itw_addr *a, int any)
{
  const size_t used = a->family == 4 ? 4 : a->family == 6 ? 16 : 0;
  uint8_t rest = 0;

  for (size_t i = used; i < sizeof a->ip; i++) rest |= a->ip[i];
  if (rest || (a->family && !used)) return 0;
  return any || a->port != 0;
}

/* A family 0 is an address that its own side doesn't tell from others of the host: see demux.h. One of the two has to be
   known, but for a reflector that answers anybody. */
static int addrs_ok(const struct itw_session_info *i)
{
  const int any = (i->flags & ITW_SESSION_ANY_SENDER) != 0;

  if (!addr_ok(&i->sender, any) || !addr_ok(&i->reflector, 0)) return 0;
  if (!i->sender.family && !i->reflector.family) return any;
  return !i->sender.family || !i->reflector.family || i->sender.family == i->reflector.family;
}

static int keys_ok(const struct itw_session_info *i, const struct itw_key_pair *k)
{
  if (i->mode == ITW_MODE_OPEN) return k->enc_len == 0 && k->auth_len == 0;
  if (k->enc_len != 16 && k->enc_len != 24 && k->enc_len != 32) return 0;
  return k->auth_len >= 1 && k->auth_len <= sizeof k->auth;
}

/* Each member of a feature only with it. */
static int features_ok(const struct itw_session_info *i)
{
  const int reflects = (i->features & ITW_FEATURE_REFLECT) != 0;

  if (i->features & ~(uint32_t)FEATURES || (i->features && i->dialect == ITW_DIALECT_OWAMP)) return 0;
  if (!reflects && (i->reflect | i->server_octets[0] | i->server_octets[1])) return 0;
  if (i->flags & ITW_SESSION_PTP && !(i->features & ITW_FEATURE_PTP)) return 0;
  return i->padding >= itwi_least_padding(i->mode, i->features, i->reflect);
}

static int info_ok(const struct itw_session_info *i)
{
  const uint32_t header = (i->mode == ITW_MODE_OPEN ? ITW_SENDER_OPEN : ITW_SENDER_SECURE) + itwi_sender_gap(i->mode, i->features);

  if (i->mode != ITW_MODE_OPEN && i->mode != ITW_MODE_AUTH && i->mode != ITW_MODE_ENC) return 0;
  if (i->dialect < ITW_DIALECT_TWAMP || i->dialect > ITW_DIALECT_OWAMP) return 0;
  if ((i->packets != 0) != (i->dialect == ITW_DIALECT_OWAMP)) return 0;
  if (i->padding > ITW_PACKET_MAX - header || i->dscp > 63 || (i->flags & ~(uint32_t)FLAGS)) return 0;
  if ((i->flags & ITW_SESSION_ANY_SENDER) && i->dialect != ITW_DIALECT_LIGHT) return 0;
  return !(i->mbz[0] | i->mbz[1] | i->mbz[2] | i->mbz2) && features_ok(i) && addrs_ok(i);
}

static void put_addr(struct itwi_writer *w, const struct itw_addr *a)
{
  itwi_put16(w, a->family);
  itwi_put16(w, a->port);
  itwi_put32(w, a->scope);
  itwi_put(w, a->ip, sizeof a->ip);
}

static void get_addr(struct itwi_reader *r, struct itw_addr *a)
{
  a->family = itwi_get16(r);
  a->port = itwi_get16(r);
  a->scope = itwi_get32(r);
  itwi_get(r, a->ip, sizeof a->ip);
}

static void put_session(struct itwi_writer *w, const struct itw_session_info *i, const struct itw_key_pair *k)
{
  itwi_put8(w, VERSION);
  itwi_put8(w, (uint8_t)i->mode);
  itwi_put8(w, (uint8_t)i->dialect);
  itwi_put8(w, i->dscp);
  itwi_put32(w, i->flags);
  itwi_put32(w, i->padding);
  itwi_put8(w, (uint8_t)k->enc_len);
  itwi_put8(w, (uint8_t)k->auth_len);
  itwi_put_mbz(w, 2);
  itwi_put64(w, i->timeout);
  itwi_put64(w, i->start);
  itwi_put(w, i->sid, sizeof i->sid);
  put_addr(w, &i->sender);
  put_addr(w, &i->reflector);
  itwi_put(w, k->enc, k->enc_len);
  itwi_put_mbz(w, sizeof k->enc - k->enc_len);
  itwi_put(w, k->auth, k->auth_len);
  itwi_put_mbz(w, sizeof k->auth - k->auth_len);
  itwi_put32(w, i->features);
  itwi_put16(w, i->reflect);
  itwi_put(w, i->server_octets, sizeof i->server_octets);
  itwi_put32(w, i->packets);
  itwi_put_mbz(w, MBZ_LEN);
}

itw_status itw_session_make(struct itw_session *out, const struct itw_session_info *info,
                            const struct itw_key_pair *keys)
{
  struct itw_session_info i;
  struct itw_key_pair k = {0};
  itw_status s;

  if (!out) return ITW_ERR_ARGUMENT;
  s = itwi_abi_in(&i, sizeof i, info, sizeof i);
  if (s == ITW_OK && keys) s = itwi_abi_in(&k, sizeof k, keys, sizeof k);
  if (s == ITW_OK && (!info_ok(&i) || !keys_ok(&i, &k))) s = ITW_ERR_ARGUMENT;
  if (s == ITW_OK) {
    struct itwi_writer w = itwi_writer(out->octets, sizeof out->octets);
    put_session(&w, &i, &k);
    if (w.bad || w.left) s = ITW_ERR_INTERNAL;
  }
  itw_wipe(&k, sizeof k);
  return s;
}

/* Everything in front of the keys; also their lengths. */
static itw_status get_session(const struct itw_session *session, struct itw_session_info *i, struct itw_key_pair *k)
{
  struct itwi_reader r = itwi_reader(session->octets, sizeof session->octets);
  const uint8_t version = itwi_get8(&r);
  uint8_t mbz = 0;

  if (version != VERSION) return version ? ITW_ERR_NEWER : ITW_ERR_ARGUMENT;
  i->mode = itwi_get8(&r);
  i->dialect = itwi_get8(&r);
  i->dscp = itwi_get8(&r);
  i->flags = itwi_get32(&r);
  i->padding = itwi_get32(&r);
  k->enc_len = itwi_get8(&r);
  k->auth_len = itwi_get8(&r);
  mbz = (uint8_t)(itwi_get16(&r) != 0);
  i->timeout = itwi_get64(&r);
  i->start = itwi_get64(&r);
  itwi_get(&r, i->sid, sizeof i->sid);
  get_addr(&r, &i->sender);
  get_addr(&r, &i->reflector);
  itwi_get(&r, k->enc, sizeof k->enc);
  itwi_get(&r, k->auth, sizeof k->auth);
  i->features = itwi_get32(&r);
  i->reflect = itwi_get16(&r);
  itwi_get(&r, i->server_octets, sizeof i->server_octets);
  i->packets = itwi_get32(&r);
  if (i->dialect != ITW_DIALECT_OWAMP) mbz |= i->packets != 0;
  for (size_t n = MBZ_LEN; n; n--) mbz |= itwi_get8(&r);
  if (r.bad || r.left) return ITW_ERR_INTERNAL;
  if (mbz || (i->flags & ~(uint32_t)FLAGS) || (i->features & ~(uint32_t)FEATURES)) return ITW_ERR_NEWER;
  return info_ok(i) && keys_ok(i, k) ? ITW_OK : ITW_ERR_ARGUMENT;
}

itw_status itw_session_info(const struct itw_session *session, struct itw_session_info *out)
{
  struct itw_session_info i = {0};
  struct itw_key_pair k = {0};
  itw_status s;

  if (!session || !out) return ITW_ERR_ARGUMENT;
  s = get_session(session, &i, &k);
  itw_wipe(&k, sizeof k);
  return s == ITW_OK ? itwi_abi_out(out, &i, sizeof i, sizeof i) : s;
}

itw_status itw_session_keys(const struct itw_session *session, struct itw_key_pair *out)
{
  struct itw_session_info i = {0};
  struct itw_key_pair k = {0};
  itw_status s;

  if (!session || !out) return ITW_ERR_ARGUMENT;
  s = get_session(session, &i, &k);
  if (s == ITW_OK) s = itwi_abi_out(out, &k, sizeof k, sizeof k);
  itw_wipe(&k, sizeof k);
  return s;
}

void itw_session_wipe(struct itw_session *session)
{
  if (session) itw_wipe(session, sizeof *session);
}
