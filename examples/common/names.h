/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_NAMES_H
#define COMMON_NAMES_H

/* What users write and read for the library's numbers. */

#include <ipsectwamp/ipsectwamp.h>
#include <stdbool.h>

enum { NAMES_TEXT = 96 };

/* "psk,root" to a set, and back; false: one of them is unknown. */
bool names_schemes(uint32_t *set, const char *text);
bool names_modes(uint32_t *set, const char *text);
const char *names_of_schemes(char text[NAMES_TEXT], uint32_t set); /* "none" for the empty set */
const char *names_of_modes(char text[NAMES_TEXT], uint32_t set);
bool names_protocol(uint32_t *protocol, const char *text); /* "twamp", "owamp" */
bool names_rekey(uint32_t *on_rekey, const char *text);    /* "keep", "close" */
/* ITW_FEATURE_*: "individual,reflect,symmetrical,monitor-dscp,ptp", "all", "none". */
bool names_features(uint32_t *set, const char *text);
const char *names_of_features(char text[NAMES_TEXT], uint32_t set);

/* "hmac-sha2-256" to ITW_PRF_*, and back; 0: unknown, "?". */
uint32_t names_prf(const char *text);
const char *names_of_prf(uint32_t prf);

/* "ESP SA 01234567_89abcdef". */
const char *names_of_sa(char text[NAMES_TEXT], const struct itw_sa *);

/* What an Accept value means (RFC 4656 §3.3, RFC 7717 §5.1). */
const char *names_of_accept(uint32_t accept);

/* Options: a whole number, and a time in seconds with an optional fraction. False: not one, or out of bounds. */
bool option_number(uint32_t *out, const char *text, uint32_t min, uint32_t max);
bool option_amount(uint64_t *out, const char *text); /* a number at least 1, with k, M, G for thousands and more */
bool option_seconds(uint64_t *ns, const char *text, double min, double max);

#endif
