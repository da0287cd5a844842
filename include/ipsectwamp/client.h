/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_CLIENT_H
#define ITW_CLIENT_H

/* Control-Client (RFC 5357 §3): connect, then
     ITW_EV_UP        itw_client_request   once per session wanted
     ITW_EV_ACCEPTED  itw_conn_session     add it to a sender
                      itw_client_start     when all are asked for
     ITW_EV_STARTED   send test packets
                      itw_client_stop      when done; then new requests, or close */

#include <ipsectwamp/conn.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  ITW_CLIENT_FALLBACK_PSK = 1,  /* a scheme that needs an SA may go on as psk when the Server has none for us */
  ITW_CLIENT_FALLBACK_OPEN = 2, /* ... or unauthenticated */
  ITW_CLIENT_NO_PBKDF2 = 4      /* ikev2: Token key without PBKDF2, for peers that read RFC 7717 so; default off */
};
struct itw_client_config {
  uint32_t size;
  uint32_t schemes;    /* one of the draft's; or psk, ikev2, both (ikev2 is taken if offered); 0: open only */
  uint8_t modes[4];    /* ITW_MODE_*, most wanted first, 0 ends. Modes that no scheme of ours can serve: ITW_ERR_CONFIG */
  uint32_t sessions;   /* slots, 1 to 4096; 0: 1 */
  uint32_t max_count;  /* highest Count taken; 0: 32768 (RFC 5357 §6) */
  uint32_t on_rekey;   /* ITW_REKEY_* */
  uint32_t flags;      /* ITW_CLIENT_* */
  uint32_t protocol;   /* ITW_TWAMP, ITW_OWAMP */
  uint32_t features;   /* TWAMP: ITW_FEATURE_* to use where the Server can; none with a scheme of the draft */
  uint32_t slots;      /* OWAMP: schedule slots per session, at most; 0: 1 */
  uint32_t buffer;     /* octets of each of the two buffers, 256 to 65536, a multiple of 16; 0: 256. More make fetches faster */
  uint32_t key_id_len;
  uint8_t key_id[80];  /* psk: UTF-8 */
  struct itw_addr local, remote; /* of the TCP connection */
  uint64_t tag;        /* the caller's number; comes back in asks and itw_conn_tag */
  uint8_t random[64];  /* a secret, from a good source, never used before: AES Session-key, HMAC Session-key 32, Client-IV */
  struct itw_keys keys;/* ops NULL: keys are asked by ITW_WANT_ANSWER */
  const void *crypto;  /* kdf.h */
  const void *mbz;
};

ITW_API size_t itw_client_size(const struct itw_client_config *); /* 0: not valid */
/* detail may be NULL. */
ITW_MUST itw_status itw_client_init(itw_conn **out, void *memory, size_t len, const struct itw_client_config *,
                                    struct itw_detail *detail, itw_mono now);
ITW_MUST itw_status itw_client_new(itw_conn **out, const struct itw_client_config *, struct itw_detail *detail, itw_mono now);

/* Asks for a session; ITW_EV_ACCEPTED or _REFUSED answers. One at a time: ITW_ERR_STATE before that. ITW_ERR_FULL. */
ITW_MUST itw_status itw_client_request(itw_conn *, struct itw_poll *p, uint32_t *slot, const struct itw_request *, itw_mono now);
/* Start-Sessions; ITW_EV_STARTED answers. ITW_ERR_STATE: not idle, or no session accepted. */
ITW_MUST itw_status itw_client_start(itw_conn *, struct itw_poll *p, itw_mono now);
/* Stop-Sessions; ITW_EV_STOPPED when it is under way; then all slots are free. OWAMP: itw_conn_stop. */
ITW_MUST itw_status itw_client_stop(itw_conn *, struct itw_poll *p, itw_mono now);

/* With ITW_FEATURE_SESSION_CONTROL (RFC 5938) these replace the two above: n slots, none twice; those that were accepted are
   started, those that run are stopped. An ITW_EV_STARTED or _STOPPED for each answers. ITW_ERR_STATE: not agreed on, a slot
   isn't in a state for it, or the acknowledgements of another command are still to come. */
ITW_MUST itw_status itw_client_start_n(itw_conn *, struct itw_poll *p, const uint32_t *slots, size_t n, itw_mono now);
ITW_MUST itw_status itw_client_stop_n(itw_conn *, struct itw_poll *p, const uint32_t *slots, size_t n, itw_mono now);

/* OWAMP: as itw_client_request; n schedule slots, 1 to config.slots. With ITW_CONF_SENDER alone request.sid is ours, and
   request.receiver.port where we receive; else request.sender.port is from where we send. With both, the client takes no
   part in the test, and itw_conn_session gives ITW_EMPTY. */
ITW_MUST itw_status itw_client_request_session(itw_conn *, struct itw_poll *p, uint32_t *slot, const struct itw_request *,
                                               const struct itw_slot *, size_t n, itw_mono now);
/* OWAMP: Fetch-Session (RFC 4656 §3.9) of a session that the Server received; begin 0 and end 2^32 - 1: all of a finished
   one. ITW_EV_FETCH and _FETCHED, or _FETCHED alone, answer. ITW_ERR_STATE: not idle. */
ITW_MUST itw_status itw_client_fetch(itw_conn *, struct itw_poll *p, const struct itw_fetch *, itw_mono now);

#ifdef __cplusplus
}
#endif
#endif
