/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_TYPES_H
#define ITW_TYPES_H

/* Conventions that hold in every header of this library; the comments elsewhere only add to them.

   Objects      itw_conn, itw_server, itw_sender, itw_reflector, itw_receiver, itw_keyring are opaque. Each is one
                block of memory: itw_X_size(config) tells how large, itw_X_init() builds it in the caller's memory (aligned
                for uint64_t), itw_X_new() in memory from malloc. itw_X_free() wipes it in both cases; memory that
                was given to itw_X_init() is then the caller's again. The library itself allocates nothing after that. A
                crypto library has a heap of its own: contexts for streams and packets are made there with the object;
                deriving a key makes some and frees them within the call.
   Threads      An object belongs to one thread at a time, any thread. Arguments that are const may be shared by
                threads. Objects share nothing with each other, but for what a header names.
   Structs      Versioned ones begin with `uint32_t size`: set it to sizeof the struct (ITW_INIT does), zero the rest.
                Members have fixed widths and no implicit padding; pointers come last. A struct smaller than this
                library needs is ITW_ERR_SIZE; a larger one is taken if the octets beyond are zero. `mbz` members must
                be zero. Arrays of structs travel with their stride.
   Parameters   The object, then what is written, then what is read, then the time. Octets go with their length.
                What is given is copied unless the comment says `borrowed`, and until when.
   Statuses     0 is ITW_OK, above 0 is no error, below 0 is an error (error.h). A status is never a length.
                After an error nothing was changed unless the comment says so.
   Time         Wall time (itw_ntp) is only ever a member of a struct, loop time (itw_mono) only ever a parameter or a
                deadline, so that they can't be swapped. The library reads no clock and no source of randomness.
   Octet order  Integers in structs are the host's; octets on the wire, addresses and keys are in network order.
   Secrets      Structs that hold secrets say so: wipe them with itw_wipe() when done. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define ITW_API __attribute__((visibility("default")))
#define ITW_MUST __attribute__((warn_unused_result, visibility("default")))
#else
#define ITW_API
#define ITW_MUST
#endif

/* Zeroes a versioned struct and sets its size. */
#define ITW_INIT(s) ((void)memset(&(s), 0, sizeof(s)), (void)((s).size = (uint32_t)sizeof(s)))

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t itw_status; /* error.h; not an enum type: its width would depend on the compiler's flags */
typedef uint64_t itw_mono;  /* loop time: nanoseconds since any origin, never going back */
typedef uint64_t itw_ntp;   /* wall time: seconds 32, fraction 32, since 1900 modulo 2^64 (RFC 4656 §4.1.2): wraps in
                               2036, so only differences mean anything */
typedef uint64_t itw_id;    /* a session in a shard: slot | generation << 32; 0 is none */

#define ITW_NEVER UINT64_MAX /* a deadline that isn't one */

/* An IP address and port, 24 octets; not a sockaddr. */
struct itw_addr {
  uint16_t family; /* 4, 6; 0: unspecified */
  uint16_t port;   /* host order */
  uint32_t scope;  /* interface or VRF: the caller's number, part of every comparison */
  uint8_t ip[16];  /* IPv4: the first four octets, the rest zero */
};

/* A Security Association by its names, 32 octets. SPIs are those that the initiator and the responder of the exchange
   that made the SA chose; IPsec's have 4 octets, IKE's 8. */
enum { ITW_SA_IKE = 1, ITW_SA_AH = 2, ITW_SA_ESP = 3 }; /* RFC 7296 §3.3.1 */
struct itw_sa {
  uint32_t size;
  uint32_t protocol;     /* ITW_SA_*; 0: none */
  uint32_t prf;          /* ITW_PRF_* of the IKE SA (or of the one whose exchange made it); 0: not known */
  uint32_t mbz;
  uint64_t spi_i, spi_r;
};

/* Why something failed. A build without texts has "" in text. */
struct itw_detail {
  uint32_t size;
  itw_status status;
  uint32_t state;   /* of the connection: ITW_STATE_* */
  uint32_t message; /* the message concerned: ITW_MSG_*; 0: none */
  uint32_t accept;  /* the Accept value that the peer sent, if that is the reason */
  uint32_t clause;  /* where it is written: RFC number << 16 | section << 8 | subsection; 0: nowhere */
  char text[96];    /* one line, no newline, no secrets; itw_status_text() of status */
  struct itw_sa sa; /* the SA that the connection uses, or that the greeting or the KeyID names: in the greeting of a
                       draft's scheme 4 octets of each SPI, and no prf. protocol 0: none */
};

/* From seconds since 1970 (UTC) and nanoseconds below 10^9. */
ITW_API itw_ntp itw_ntp_from_unix(uint64_t sec, uint32_t nsec);
/* a - b in nanoseconds; right while the two are within 68 years. */
ITW_API int64_t itw_ntp_diff_ns(itw_ntp a, itw_ntp b);
/* A length of time in nanoseconds as seconds 32, fraction 32. */
ITW_API uint64_t itw_ntp_span(uint64_t ns);
/* A truncated PTPv2 timestamp (RFC 8877 §4.3: seconds 32, nanoseconds 32, TAI since 1970) and back; tai_utc: seconds that TAI
   is ahead of UTC, 37 since 2017. What was whole nanoseconds stays what it was, both ways. */
ITW_API uint64_t itw_ptp_from_ntp(itw_ntp t, uint32_t tai_utc);
ITW_API itw_ntp itw_ntp_from_ptp(uint64_t ptp, uint32_t tai_utc);
/* RFC 4656 §4.1.2 Error Estimate for an error of at most ns; synced: the S bit. Never has Multiplier 0. */
ITW_API uint16_t itw_error_estimate(uint64_t ns, uint32_t synced);
/* The error that an Error Estimate stands for, in ns, saturating; 0 for a corrupt one (Multiplier 0). */
ITW_API uint64_t itw_error_ns(uint16_t estimate);

/* Overwrites n octets with zeros; the compiler can't drop it. */
ITW_API void itw_wipe(void *p, size_t n);

/* Memory for secrets, as a ring of keys (key.h) has it: zeroed; with libsodium locked, between guard pages and not in core
   dumps. NULL: none left. Free wipes; NULL is fine; n as it was. */
ITW_API void *itw_secret_new(size_t n);
ITW_API void itw_secret_free(void *, size_t n);

#ifdef __cplusplus
}
#endif
#endif
