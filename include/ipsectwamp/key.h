/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_KEY_H
#define ITW_KEY_H

/* Keys by asking. A connection that needs a key *asks* (plain data), its owner *answers*, at once or later, from any
   source. What is asked for can't serve as an oracle for IPsec's keys, and each answer comes in two kinds: a secret, from
   which the library derives, or what was derived, so that SKEYSEED, SK_d and KEYMAT need never leave an IPsec layer.

   Three ways to answer: itw_conn_ask / itw_conn_answer (conn.h), a provider of one's own (struct itw_keys), or the ring
   below as a provider. */

#include <ipsectwamp/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Schemes: where the keys come from. Sets of them are sums. */
enum {
  ITW_PSK = 1,         /* passphrase (RFC 4656 §3.1) */
  ITW_IKEV2 = 2,       /* IKE SA, RFC 7717; in one greeting with ITW_PSK */
  ITW_SHARED = 4,      /* IKE or IPsec SA: Token key from SKEYSEED or KEYMAT (draft-ietf-ippm-ipsec-01 §4.1, 4.2) */
  ITW_SHARED_SID = 8,  /* the same, and a key for each test session from its SID (draft §4.1) */
  ITW_ROOT = 16,       /* IKE or IPsec SA: session keys from a root key (draft §4.3.1) */
  ITW_DIRECT = 32      /* IPsec SA: its own keys (draft §4.3.2) */
};
enum { ITW_DRAFT = ITW_SHARED | ITW_SHARED_SID | ITW_ROOT | ITW_DIRECT }; /* those whose greeting names an SA */

/* "psk", "ikev2", "shared", "shared-sid", "root", "direct"; "?" for anything but one scheme. Static. */
ITW_API const char *itw_scheme_name(uint32_t scheme);
/* "open", "auth", "enc", "mixed"; "?". Static. */
ITW_API const char *itw_mode_name(uint32_t mode);

enum {
  ITW_ASK_SELECT = 1, /* Server, before the greeting: which scheme and SA for this peer? Only with schemes of the draft.
                         Client, after the greeting: is sa a live SA with this peer (draft), or which one is (ikev2)? */
  ITW_ASK_TOKEN_KEY,  /* psk, ikev2, shared, shared-sid: the Token key from (key_id | sa), salt, count */
  ITW_ASK_ROOT,       /* root: the Token for `challenge`, and the key pair */
  ITW_ASK_PAIR,       /* direct: the keys of the SA whose SPI is sa.spi_r */
  ITW_ASK_SID_PAIR    /* shared-sid: the key pair for `sid` */
};
enum { ITW_ROLE_CLIENT = 1, ITW_ROLE_SERVER = 2 };
enum { ITW_ASK_NO_PBKDF2 = 1 }; /* TOKEN_KEY of ikev2: the first 16 octets of prf(SK_d, "IPPM") itself */

/* A question; 256 octets, no pointers, no secrets: it may travel to another thread, process or language as it is. */
struct itw_ask {
  uint32_t size;
  uint32_t id;         /* the answer's too */
  uint32_t kind;       /* ITW_ASK_* */
  uint32_t role;       /* who asks: ITW_ROLE_* */
  uint32_t schemes;    /* SELECT: the set to choose from; else the one scheme */
  uint32_t modes;      /* SELECT: the set of modes that could be used; else the one mode */
  struct itw_addr local, remote;
  uint64_t tag;        /* the caller's number of the connection */
  struct itw_sa sa;    /* draft, client's SELECT: as in the greeting: 4 octets of each SPI, prf 0. Later: as selected */
  uint32_t count;      /* TOKEN_KEY */
  uint32_t key_id_len; /* TOKEN_KEY of psk: octets of key_id without its padding */
  uint32_t flags;      /* ITW_ASK_NO_PBKDF2 */
  uint32_t mbz;
  uint8_t key_id[80];
  uint8_t salt[16];      /* TOKEN_KEY */
  uint8_t challenge[16]; /* ROOT */
  uint8_t sid[16];       /* SID_PAIR */
};

enum {
  ITW_ANS_NONE = 0,   /* no such key or SA; `why` says more */
  ITW_ANS_SA = 1,     /* SELECT: schemes, modes, sa */
  ITW_ANS_SECRET = 2, /* the library derives: the passphrase; prf(SK_d, "IPPM"); SKEYSEED or KEYMAT. sa.prf is needed
                         for ROOT and SID_PAIR. Not for PAIR */
  ITW_ANS_DERIVED = 3 /* TOKEN_KEY: token; ROOT: token, enc, auth; PAIR and SID_PAIR: enc, auth */
};
/* An answer; a secret. */
struct itw_answer {
  uint32_t size;
  uint32_t id;        /* of the ask */
  uint32_t kind;      /* ITW_ANS_* */
  uint32_t schemes;   /* SELECT, Server: at most one of the draft's, or a subset of psk | ikev2. Client: the scheme */
  uint32_t modes;     /* SELECT: of the modes asked for, those that this SA can serve */
  itw_status why;     /* NONE: ITW_ERR_SA_NONE, _SA_MISMATCH, _KEY_ID, _SA_AEAD ...; 0: by the kind of ask */
  struct itw_sa sa;   /* SELECT: the SA, with its whole SPIs and prf; SECRET: its prf */
  uint16_t token_len, enc_len, auth_len, secret_len;
  uint8_t octets[256]; /* token | enc | auth, or the secret */
};

/* A provider. The table may be const and in flash; its context stands beside it. */
struct itw_keys_ops {
  uint32_t size;
  uint32_t flags; /* 0 */
  /* Answers at once, or returns ITW_AGAIN and answers by itw_conn_answer later. `out` is zeroed but for size and id.
     An error counts as ITW_ERR_KEY_PROVIDER. Called from within a verb of the connection; it may not call one. */
  itw_status (*answer)(void *ctx, const struct itw_ask *, struct itw_answer *out);
  /* The connection went away while an answer was outstanding. NULL: not interested. */
  void (*cancel)(void *ctx, uint64_t tag, uint32_t ask_id);
};
struct itw_keys {
  const struct itw_keys_ops *ops; /* borrowed as long as the object; NULL: everything is asked by ITW_WANT_ANSWER */
  void *ctx;
};

/* The ring: passphrases, IKE SAs, IPsec SAs, at most `capacity`. Answering only reads it, so threads may share it while
   nobody changes it. */
typedef struct itw_keyring itw_keyring;

enum {
  ITW_ALLOW_MD5 = 1,      /* take an SA whose PRF is HMAC-MD5 */
  ITW_EITHER_ORDER = 2    /* the source doesn't know the initiator: spi_r is our inbound SPI, spi_i our outbound one */
};
struct itw_ike_sa {
  uint32_t size;
  uint32_t flags;    /* ITW_ALLOW_MD5 */
  struct itw_sa sa;  /* ITW_SA_IKE, with its prf */
  struct itw_addr local; /* our end; family 0: any; port is ignored */
  struct itw_addr peer;  /* the other end; family 0: any; port is ignored */
  uint32_t peer_prefix;  /* bits of peer that count; 0: all */
  uint32_t schemes;      /* the set that it may serve; 0: any that suits */
  uint64_t established;  /* any unit: the newest of several is offered; of equals the one with the higher SPIr */
  uint32_t skeyseed_len, sk_d_len; /* 0: not known: then only schemes that need the other */
  uint8_t skeyseed[64], sk_d[64];
};
/* Encryption transforms of an IPsec SA, as far as schemes care (RFC 7296 §3.3.2: transform IDs of type 1). */
enum { ITW_ENCR_NONE = 0 /* AH */, ITW_ENCR_NULL = 11, ITW_ENCR_AES_CBC = 12, ITW_ENCR_AES_CTR = 13, ITW_ENCR_AEAD = 20, ITW_ENCR_OTHER = 255 };
struct itw_child_sa {
  uint32_t size;
  uint32_t flags;    /* ITW_ALLOW_MD5, ITW_EITHER_ORDER */
  struct itw_sa sa;  /* ITW_SA_ESP or _AH; prf of the IKE SA whose exchange made it, 0: not known (`direct` only) */
  struct itw_addr local, peer;
  uint32_t peer_prefix;
  uint32_t schemes;
  uint64_t established;
  uint32_t encr;       /* ITW_ENCR_* */
  uint32_t keymat_len; /* 0: not known (`direct` only) */
  uint16_t encr_len, integ_len; /* octets of each key; integ_len 0: none (AEAD, or encryption-only) */
  itw_status keyless;           /* 0, or why its keys can't be had: then it serves unauthenticated mode only */
  uint8_t keymat[ITW_KEYMAT_MAX];
  uint8_t encr_key_i[32], encr_key_r[32];   /* of the initiator's packets (the SA with spi_r), of the responder's */
  uint8_t integ_key_i[64], integ_key_r[64];
};
/* Cuts keymat into the four keys: encr_i | integ_i | encr_r | integ_r (RFC 7296 §2.17), by encr_len and integ_len.
   ITW_ERR_ARGUMENT: keymat_len is not twice their sum. */
ITW_MUST itw_status itw_child_sa_split(struct itw_child_sa *);

/* Traffic that an SA protects beside that between its endpoints: a tunnel's traffic selector (RFC 7296 §2.9). All four are
   of one family; addresses and ports go from..to, both included. */
struct itw_selector {
  uint32_t size;
  uint32_t mbz;
  struct itw_addr local_from, local_to, remote_from, remote_to;
};

ITW_API size_t itw_keyring_size(uint32_t capacity); /* 0: capacity is 0 or above 2^20 */
#define ITW_KEYRING_BOUND(capacity) (256u + 1024u * (capacity))
/* crypto: kdf.h; used by itw_keyring_add_ike. */
ITW_MUST itw_status itw_keyring_init(itw_keyring **out, void *memory, size_t len, uint32_t capacity, const void *crypto);
ITW_MUST itw_status itw_keyring_new(itw_keyring **out, uint32_t capacity, const void *crypto); /* guarded memory, if any */
ITW_API void itw_keyring_free(itw_keyring *);

/* ITW_ERR_PASSPHRASE: empty, longer than 256 octets, or with CR or LF. ITW_ERR_COLLISION: the KeyID is there.
   key_id: 1 to 80 octets of UTF-8 without NUL. */
ITW_MUST itw_status itw_keyring_add_psk(itw_keyring *, const uint8_t *key_id, size_t key_id_len, const uint8_t *secret, size_t len);
/* Of SK_d only prf(SK_d, "IPPM") is kept. Takes only what some scheme can use in some mode: encryption-only ESP is
   ITW_ERR_SA_NO_INTEG, MD5 without its flag ITW_ERR_PRF. ITW_ERR_COLLISION: protocol and SPIs are there. */
ITW_MUST itw_status itw_keyring_add_ike(itw_keyring *, const struct itw_ike_sa *);
ITW_MUST itw_status itw_keyring_add_child(itw_keyring *, const struct itw_child_sa *);
/* One more selector of an SA that is in the ring; the ring has room for two per SA of its capacity. They go with the SA.
   ITW_EMPTY: no such SA. ITW_ERR_FULL. */
ITW_MUST itw_status itw_keyring_add_selector(itw_keyring *, const struct itw_sa *, const struct itw_selector *);
ITW_MUST itw_status itw_keyring_clear_selectors(itw_keyring *, const struct itw_sa *);
/* The SA was replaced by a rekey or deleted, and connections that use it may go on (ITW_REKEY_KEEP): it is neither offered
   nor matched any more, but answers ITW_ASK_SID_PAIR, for more test sessions of those. What it doesn't need for that is
   wiped; an SA that doesn't serve shared-sid is removed. A retired SA makes room for a new one when the ring is full, the
   oldest first. ITW_EMPTY: wasn't there. */
ITW_MUST itw_status itw_keyring_retire(itw_keyring *, const struct itw_sa *);
ITW_MUST itw_status itw_keyring_remove(itw_keyring *, const struct itw_sa *);        /* ITW_EMPTY: wasn't there */
ITW_MUST itw_status itw_keyring_remove_psk(itw_keyring *, const uint8_t *key_id, size_t key_id_len);
ITW_MUST itw_status itw_keyring_answer(const itw_keyring *, const struct itw_ask *, struct itw_answer *out);
/* Turns an ITW_ANS_SECRET for this question into ITW_ANS_DERIVED, so that the secret stays where it is: what an IPsec layer
   or a TEE calls before it hands out the answer. Runs PBKDF2 to its end. Answers of other kinds stay as they are. */
ITW_MUST itw_status itw_answer_derive(struct itw_answer *, const struct itw_ask *, const void *crypto);

/* The ring as a provider; the ring is borrowed. */
ITW_API struct itw_keys itw_keyring_keys(itw_keyring *);

#ifdef __cplusplus
}
#endif
#endif
