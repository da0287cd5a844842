/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_SESSION_H
#define ITW_SESSION_H

/* A test session as a value: what control hands to measurement. */

#include <ipsectwamp/kdf.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Security modes; a set where the text says `modes`. The numbers are those of TWAMP's Modes field. Mixed (RFC 5618):
   control as encrypted, test packets as unauthenticated; `psk` and `ikev2` only. */
enum { ITW_MODE_OPEN = 1, ITW_MODE_AUTH = 2, ITW_MODE_ENC = 4, ITW_MODE_MIXED = 8 };

/* What the packets look like and who numbers them. */
enum {
  ITW_DIALECT_TWAMP = 1,
  ITW_DIALECT_LIGHT = 2, /* TWAMP Light (RFC 5357 Appendix I): no control connection; a reflector copies sequence numbers */
  ITW_DIALECT_OWAMP = 3  /* one way, after a schedule (RFC 4656): for itw_sender and itw_receiver */
};

/* What TWAMP can do beyond RFC 5357; sets of them are sums, with the numbers of its Modes field. Each is agreed on by
   Server Greeting and Set-Up-Response, and used only if both sides can. */
enum {
  ITW_FEATURE_SESSION_CONTROL = 16, /* sessions are started and stopped one by one (RFC 5938) */
  ITW_FEATURE_REFLECT = 32,         /* octets to be reflected, in control and test (RFC 6038) */
  ITW_FEATURE_SYMMETRICAL = 64,     /* the sender's packets are as long as the replies (RFC 6038) */
  ITW_FEATURE_DSCP_ECN = 256,       /* replies say with which DSCP and ECN the packet came (RFC 7750) */
  ITW_FEATURE_PTP = 512             /* timestamps may be truncated PTPv2 (RFC 8186, 8877) */
};

/* Parameters and keys of one session: 256 octets in network order. Copy it, place it anywhere, send it to another process
   or machine of any kind. A secret: wipe it with itw_session_wipe. Its first octet is its version. */
struct itw_session {
  uint8_t octets[256];
};

enum {
  ITW_SESSION_ZERO_PADDING = 1, /* the sender pads with zeros, not at random (RFC 5357 §4.1.2) */
  ITW_SESSION_ANY_SENDER = 2,   /* Light reflector: packets from any address and port */
  ITW_SESSION_PTP = 4           /* with ITW_FEATURE_PTP: the sender's timestamps are PTPv2, its own choice (RFC 8186 §2.2) */
};
struct itw_session_info {
  uint32_t size;
  uint32_t mode;    /* of the test packets: ITW_MODE_OPEN, _AUTH or _ENC */
  uint32_t dialect; /* ITW_DIALECT_* */
  uint32_t padding; /* octets after the sender's header: Padding Length */
  uint64_t timeout; /* seconds 32, fraction 32 (RFC 5357 §3.5) */
  itw_ntp start;
  uint8_t sid[16];
  struct itw_addr sender, reflector; /* OWAMP: reflector is the Session-Receiver */
  uint8_t dscp;     /* 0 to 63: of the test packets, both ways */
  uint8_t mbz[3];
  uint32_t flags;   /* ITW_SESSION_* */
  uint32_t features;/* ITW_FEATURE_*, agreed on; SESSION_CONTROL doesn't concern packets and is ignored */
  uint32_t packets; /* OWAMP: Number of Packets, at least 1; else 0 */
  uint16_t reflect; /* ITW_FEATURE_REFLECT: octets of padding to reflect; at most `padding` less 1, or 0 */
  uint8_t server_octets[2]; /* ITW_FEATURE_REFLECT: Server octets, sent at the beginning of the padding if not zero (RFC 6038 §4.3) */
  uint32_t mbz2;
};

/* Makes a session from parameters and keys, as TWAMP Light, an offloading device or a test wants it. keys: NULL in
   unauthenticated mode; else an AES key of 16, 24 or 32 octets and an HMAC key of 1 to 64.
   ITW_ERR_ARGUMENT: a member is out of range, or the addresses are of different families. */
ITW_MUST itw_status itw_session_make(struct itw_session *out, const struct itw_session_info *, const struct itw_key_pair *keys);
/* ITW_ERR_NEWER: a version that this library doesn't know; ITW_ERR_ARGUMENT: no session at all. */
ITW_MUST itw_status itw_session_info(const struct itw_session *, struct itw_session_info *out);
/* The session's keys, for a NIC, an eBPF program, a dissector; lengths 0 in unauthenticated mode. A secret. */
ITW_MUST itw_status itw_session_keys(const struct itw_session *, struct itw_key_pair *out);
ITW_API void itw_session_wipe(struct itw_session *);

#ifdef __cplusplus
}
#endif
#endif
