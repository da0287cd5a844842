/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_ERROR_H
#define ITW_ERROR_H

#include <ipsectwamp/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  ITW_OK = 0,
  ITW_AGAIN = 1, /* not now: the answer comes later, or the work isn't finished */
  ITW_EMPTY = 2, /* nothing there, nothing to do */
  ITW_SKIPPED = 3, /* packets that a schedule can't send any more, being more than Timeout late */

  /* usage: the call is wrong; correct the program */
  ITW_ERR_ARGUMENT = -1,    /* an argument is out of its range, or an mbz member isn't zero */
  ITW_ERR_SIZE = -2,        /* a struct's size is below what this library needs */
  ITW_ERR_NEWER = -3,       /* a struct or session value of a newer version sets what this library doesn't know */
  ITW_ERR_TOO_SMALL = -4,   /* memory or buffer too small for what was asked */
  ITW_ERR_STATE = -5,       /* not now: the object isn't in a state for it */
  ITW_ERR_STALE = -6,       /* an id of something that is gone; harmless */
  ITW_ERR_UNSUPPORTED = -7, /* this build can't: no such algorithm in the crypto backend */
  ITW_ERR_CONFIG = -8,      /* members of a config contradict each other */

  /* resource: try later, or with more */
  ITW_ERR_FULL = -16,      /* no slot left */
  ITW_ERR_COLLISION = -17, /* there is one already: a session's addresses and ports, a key's name or SPIs */
  ITW_ERR_MEMORY = -18,    /* no memory */
  ITW_ERR_PERMISSION = -19, /* the system doesn't allow it (no CAP_NET_ADMIN, another user's socket) */
  ITW_ERR_SYSTEM = -20,    /* a system call failed; the detail's text says which and why */

  /* peer: what came is not what the standard allows, or the peer said no */
  ITW_ERR_UNEXPECTED = -32,    /* a message that is known, at a time when it has no place */
  ITW_ERR_COMMAND = -33,       /* a command of unknown number and length */
  ITW_ERR_MODE = -34,          /* no mode in common, or a mode that was not offered or is not one */
  ITW_ERR_NOT_WILLING = -35,   /* the greeting has Modes 0: the Server won't talk to us */
  ITW_ERR_COUNT = -36,         /* Count is not a power of 2, below 1024 or above the bound */
  ITW_ERR_REFUSED = -37,       /* the peer's Accept value was not 0 */
  ITW_ERR_EOF = -38,           /* the peer closed the connection in the middle of something */
  ITW_ERR_TIMEOUT = -39,       /* no answer, or not the rest of a message, in time */
  ITW_ERR_SERVWAIT = -40,      /* nothing happened for SERVWAIT */
  ITW_ERR_STOP_COUNT = -41,    /* Stop-Sessions names another number of sessions than run */
  ITW_ERR_REQUEST = -42,       /* Request-TW-Session asks for what TWAMP doesn't know */
  ITW_ERR_PADDING = -43,       /* Padding Length beyond the bound */
  ITW_ERR_ADDRESS = -44,       /* an address that is neither the connection's nor allowed */
  ITW_ERR_SHORT = -45,         /* a packet or message below its minimum length */
  ITW_ERR_CLOSED = -46,        /* the peer closed the connection between messages */
  ITW_ERR_MULTIPLIER = -47,    /* an Error Estimate with Multiplier 0 (RFC 4656 §4.1.2: corrupt) */
  ITW_ERR_NO_SESSION = -48,    /* a test packet of no session known here */
  ITW_ERR_NOT_STARTED = -49,   /* a test packet before Start-Ack */
  ITW_ERR_LATE = -50,          /* a test packet after Stop and Timeout */
  ITW_ERR_SEQUENCE = -51,      /* a sequence number that was never sent */
  ITW_ERR_PORT = -53,          /* Accept-Session accepts and names port 0 */
  ITW_ERR_SLOTS = -54,         /* more schedule slots than the bound, none, or one of an unknown type */
  ITW_ERR_PACKETS = -55,       /* Number of Packets is 0 or beyond the bound */
  ITW_ERR_STOP_SESSION = -56,  /* Stop-Sessions accounts for other sessions than the peer's running send sessions */
  ITW_ERR_SKIPS = -57,         /* skip ranges out of order, overlapping or beyond Next Seqno */
  ITW_ERR_REFLECT = -58,       /* Accept-Session has other Reflected octets than were sent (RFC 6038 §4.3) */
  ITW_ERR_SID = -59,           /* a command names a session that isn't one, twice, or not in a state for it */
  ITW_ERR_TIMESTAMP = -60,     /* a timestamp more than Timeout away from now or from the schedule (RFC 4656 §4.2) */
  ITW_ERR_LEGACY = -52,        /* a plain O/TWAMP greeting where an SA was expected, and no fall-back allowed */

  /* auth: the peer, or someone between, doesn't hold the key */
  ITW_ERR_HMAC = -64,   /* an HMAC is wrong */
  ITW_ERR_TOKEN = -65,  /* the Token doesn't hold the Challenge: another key */
  ITW_ERR_KEY_ID = -66, /* nobody knows this KeyID */
  ITW_ERR_REPLAY = -67, /* a Client-IV that was used before under the same SA */

  /* key: the SA or secret isn't there, or isn't fit for the use */
  ITW_ERR_SA_MISMATCH = -80,   /* Protocol and SPIs in the greeting name no SA that we have with this peer */
  ITW_ERR_SA_NONE = -81,       /* no SA with this peer */
  ITW_ERR_SA_GONE = -82,       /* the SA was deleted or replaced */
  ITW_ERR_SA_UNFIT = -83,      /* the SA is of a kind that the scheme can't use */
  ITW_ERR_SA_AEAD = -84,       /* `direct`: the SA's cipher is an AEAD, it has no integrity key */
  ITW_ERR_SA_NULL = -85,       /* `direct`: the SA's cipher is NULL */
  ITW_ERR_SA_AH = -86,         /* `direct`: AH has no encryption key */
  ITW_ERR_SA_NO_INTEG = -87,   /* encryption-only ESP: draft §4.2 prohibits it */
  ITW_ERR_SA_CIPHER = -88,     /* `direct`: the SA's cipher is not AES-CBC */
  ITW_ERR_SA_KEYS = -89,       /* the SA is known, the keys that the scheme needs are not */
  ITW_ERR_KEY_PROVIDER = -90,  /* the provider of keys failed */
  ITW_ERR_PASSPHRASE = -91,    /* a passphrase with CR or LF, or an empty one (RFC 4656 §3.1) */
  ITW_ERR_PRF = -92,           /* an unknown PRF, or one that needs ITW_ALLOW_MD5 */
  ITW_ERR_SA_REDACTED = -93,   /* the kernel shows the SA's keys as zeros (lockdown=confidentiality) */
  ITW_ERR_SA_LARVAL = -94,     /* the SA is larval: IKE hasn't finished negotiating it */
  ITW_ERR_SA_HALF = -95,       /* there is an SA in one direction only */
  ITW_ERR_SOURCE_LOST = -96,   /* the source of SAs is away: the IKE daemon isn't running, or restarts */

  /* internal: the library's or its backend's own fault; the object is of no further use */
  ITW_ERR_CRYPTO = -112,  /* the crypto backend refused a valid request */
  ITW_ERR_INTERNAL = -113 /* can't happen */
};

/* What the caller does about it. */
enum { ITW_CLASS_NONE, ITW_CLASS_USAGE, ITW_CLASS_RESOURCE, ITW_CLASS_PEER, ITW_CLASS_AUTH, ITW_CLASS_KEY, ITW_CLASS_INTERNAL };

ITW_API const char *itw_status_name(itw_status); /* "ITW_ERR_HMAC"; "?" for an unknown one. Static. */
ITW_API const char *itw_status_text(itw_status); /* one line in English, without newline. Static. */
ITW_API uint32_t itw_status_class(itw_status);   /* ITW_CLASS_*; NONE for 0 and above */

#ifdef __cplusplus
}
#endif
#endif
