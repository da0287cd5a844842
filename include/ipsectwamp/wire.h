/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_WIRE_H
#define ITW_WIRE_H

/* The messages of OWAMP- and TWAMP-Control and -Test, read from octets and written to them. For dissectors, tests and tools: the
   library's objects use these functions themselves. Source-stable, not ABI-stable: these structs may grow members.

   Readers take exactly the octets of the message (more may follow) and check nothing but length: ITW_ERR_SHORT. MBZ is
   ignored. Writers write every octet, MBZ as zeros: ITW_ERR_TOO_SMALL. HMAC fields are not part of a message's body here:
   a body stands before its HMAC. Offsets and figures: lib/wire_*.c. */

#include <ipsectwamp/conn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Forms of Server Greeting and Set-Up-Response. */
enum {
  ITW_FORM_FULL = 1, /* RFC 4656 §3.1; with the draft's SA fields in place of Unused: draft §4.2 */
  ITW_FORM_ROOT = 2, /* draft §4.3.1 */
  ITW_FORM_DIRECT = 3 /* draft §4.3.2 */
};
enum {
  ITW_GREETING_FULL = 64, ITW_GREETING_ROOT = 32, ITW_GREETING_DIRECT = 16,
  ITW_SETUP_FULL = 164, ITW_SETUP_ROOT = 36, ITW_SETUP_DIRECT = 20,
  ITW_SERVER_START_LEN = 48,
  ITW_REQUEST_LEN = 96,  /* bodies: with their HMAC 16 more */
  ITW_ACCEPT_LEN = 32,
  ITW_START_LEN = 16, ITW_START_ACK_LEN = 16, ITW_STOP_LEN = 16,
  ITW_FETCH_LEN = 32, ITW_FETCH_ACK_LEN = 16,
  ITW_SESSIONS_LEN = 16, /* Start-N, Start-N-Ack, Stop-N, Stop-N-Ack: before their SIDs */
  ITW_SLOT_LEN = 16, ITW_STOP_SESSION_LEN = 24, ITW_SKIP_LEN = 8, ITW_RECORD_LEN = 25, ITW_SID_LEN = 16
};
/* Command numbers (RFC 4656 §3.4, RFC 5357 §3.5, RFC 5938). */
enum {
  ITW_CMD_REQUEST_SESSION = 1, ITW_CMD_START_SESSIONS = 2, ITW_CMD_STOP_SESSIONS = 3, ITW_CMD_FETCH_SESSION = 4,
  ITW_CMD_REQUEST_TW_SESSION = 5, ITW_CMD_START_N = 7, ITW_CMD_START_N_ACK = 8, ITW_CMD_STOP_N = 9, ITW_CMD_STOP_N_ACK = 10
};

struct itw_greeting {
  uint32_t form;
  uint32_t protocol, spi_i, spi_r; /* zero in a legacy greeting */
  uint32_t modes;
  uint8_t challenge[16];           /* not in DIRECT */
  uint8_t salt[16];                /* FULL only */
  uint32_t count;                  /* FULL only */
};
ITW_MUST itw_status itw_greeting_read(struct itw_greeting *out, uint32_t form, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_greeting_write(uint8_t *out, size_t cap, const struct itw_greeting *);

struct itw_setup {
  uint32_t form;
  uint32_t mode;
  uint8_t key_id[80];    /* FULL only */
  uint8_t token[64];     /* FULL; ROOT: the first 16 */
  uint8_t client_iv[16];
};
ITW_MUST itw_status itw_setup_read(struct itw_setup *out, uint32_t form, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_setup_write(uint8_t *out, size_t cap, const struct itw_setup *);

/* The first 32 octets are in clear, the last block is the first of the Server's stream. */
struct itw_server_start {
  uint32_t accept;
  uint8_t server_iv[16];
  uint64_t start;
};
ITW_MUST itw_status itw_server_start_read(struct itw_server_start *out, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_server_start_write(uint8_t *out, size_t cap, const struct itw_server_start *);

/* Request-TW-Session (RFC 5357 §3.5) and the first part of Request-Session (RFC 4656 §3.5): every field, so that a Server
   can refuse what isn't TWAMP. */
struct itw_request_tw {
  uint32_t command;       /* ITW_CMD_REQUEST_TW_SESSION, _REQUEST_SESSION; writing: 0 is the former */
  uint32_t ipvn;          /* 4 or 6 */
  uint32_t conf_sender, conf_receiver;
  uint32_t slots, packets;
  uint32_t sender_port, receiver_port;
  uint8_t sender[16], receiver[16];
  uint8_t sid[16];
  uint32_t padding;
  uint64_t start, timeout;
  uint32_t type_p;
  uint8_t reflect_octets[2]; /* RFC 6038 §4.2; zero without it */
  uint32_t reflect;
};
ITW_MUST itw_status itw_request_tw_read(struct itw_request_tw *out, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_request_tw_write(uint8_t *out, size_t cap, const struct itw_request_tw *);

struct itw_accept_session {
  uint32_t accept, port;
  uint8_t sid[16];
  uint8_t reflected_octets[2], server_octets[2]; /* RFC 6038 §4.3; zero without it */
};
ITW_MUST itw_status itw_accept_session_read(struct itw_accept_session *out, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_accept_session_write(uint8_t *out, size_t cap, const struct itw_accept_session *);

ITW_MUST itw_status itw_start_sessions_write(uint8_t *out, size_t cap);
ITW_MUST itw_status itw_start_ack_read(uint32_t *accept, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_start_ack_write(uint8_t *out, size_t cap, uint32_t accept);

struct itw_stop_sessions {
  uint32_t accept, sessions;
};
ITW_MUST itw_status itw_stop_sessions_read(struct itw_stop_sessions *out, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_stop_sessions_write(uint8_t *out, size_t cap, const struct itw_stop_sessions *);

/* OWAMP (RFC 4656 §3.5, 3.8, 3.9). Items of a list stand one behind the other, the last one is padded to 16 octets. */
ITW_MUST itw_status itw_slot_read(struct itw_slot *out, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_slot_write(uint8_t *out, size_t cap, const struct itw_slot *);
ITW_MUST itw_status itw_skip_read(struct itw_skip *out, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_skip_write(uint8_t *out, size_t cap, const struct itw_skip *);
ITW_MUST itw_status itw_record_read(struct itw_record *out, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_record_write(uint8_t *out, size_t cap, const struct itw_record *);
/* What Stop-Sessions says of one session; its skip ranges follow. */
struct itw_stop_session {
  uint8_t sid[16];
  uint32_t next_seqno, skips;
};
ITW_MUST itw_status itw_stop_session_read(struct itw_stop_session *out, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_stop_session_write(uint8_t *out, size_t cap, const struct itw_stop_session *);
/* Fetch-Session */
ITW_MUST itw_status itw_fetch_read(struct itw_fetch *out, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_fetch_write(uint8_t *out, size_t cap, const struct itw_fetch *);
struct itw_fetch_ack {
  uint32_t accept, finished;
  uint32_t next_seqno, skips, records;
};
ITW_MUST itw_status itw_fetch_ack_read(struct itw_fetch_ack *out, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_fetch_ack_write(uint8_t *out, size_t cap, const struct itw_fetch_ack *);

/* Individual session control (RFC 5938 §3.2 to 3.5): the first 16 octets; `sessions` SIDs follow. */
struct itw_sessions {
  uint32_t command;  /* ITW_CMD_START_N, _START_N_ACK, _STOP_N, _STOP_N_ACK */
  uint32_t accept;   /* of acknowledgements */
  uint32_t sessions;
};
ITW_MUST itw_status itw_sessions_read(struct itw_sessions *out, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_sessions_write(uint8_t *out, size_t cap, const struct itw_sessions *);

/* Test packets in plaintext (RFC 5357 §4.1.2, 4.2.1). form: authenticated and encrypted modes have the same one. Padding, HMAC
   and what stands before a symmetrical packet's padding are not touched. */
enum {
  ITW_PACKET_OPEN = 0,
  ITW_PACKET_SECURE = 1,
  ITW_PACKET_OPEN_DSCP = 2 /* reflector, unauthenticated, with DSCP and ECN (RFC 7750 §2.2.1) */
};
struct itw_sender_packet {
  uint32_t seq;
  uint16_t error;
  uint64_t time;
};
ITW_MUST itw_status itw_sender_packet_read(struct itw_sender_packet *out, uint32_t form, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_sender_packet_write(uint8_t *out, size_t cap, uint32_t form, const struct itw_sender_packet *);

struct itw_reflector_packet {
  uint32_t seq, sender_seq;
  uint16_t error, sender_error;
  uint8_t sender_ttl;
  uint8_t sender_dscp_ecn; /* as the Type of Service octet; not in PACKET_OPEN */
  uint64_t time, receive_time, sender_time;
};
ITW_MUST itw_status itw_reflector_packet_read(struct itw_reflector_packet *out, uint32_t form, const uint8_t *octets, size_t len);
ITW_MUST itw_status itw_reflector_packet_write(uint8_t *out, size_t cap, uint32_t form, const struct itw_reflector_packet *);

#ifdef __cplusplus
}
#endif
#endif
