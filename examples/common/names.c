/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "names.h"

#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- sets ---- */

static const uint32_t schemes[] = {ITW_PSK, ITW_SHARED, ITW_SHARED_SID, ITW_ROOT, ITW_DIRECT, ITW_IKEV2, 0};
static const uint32_t modes[] = {ITW_MODE_OPEN, ITW_MODE_AUTH, ITW_MODE_ENC, ITW_MODE_MIXED, 0};

static bool parse_set(uint32_t *set, const char *text, const uint32_t *known, const char *(*name)(uint32_t))
{
  for (*set = 0;; text++) {
    const size_t len = strcspn(text, ",");
    const uint32_t *one = known;
    while (*one && (strlen(name(*one)) != len || strncmp(name(*one), text, len))) one++;
    if (!*one) return false;
    *set |= *one;
    text += len;
    if (!*text) return true;
  }
}

static const char *print_set(char text[NAMES_TEXT], uint32_t set, const uint32_t *known, const char *(*name)(uint32_t))
{
  size_t n = 0;

  snprintf(text, NAMES_TEXT, "none");
  for (; *known; known++)
    if ((set & *known) && n < NAMES_TEXT)
      n += (size_t)snprintf(text + n, NAMES_TEXT - n, "%s%s", n ? "," : "", name(*known));
  return text;
}

bool names_schemes(uint32_t *set, const char *text) { return parse_set(set, text, schemes, itw_scheme_name); }
bool names_modes(uint32_t *set, const char *text) { return parse_set(set, text, modes, itw_mode_name); }
const char *names_of_schemes(char text[NAMES_TEXT], uint32_t set)
{
  return print_set(text, set, schemes, itw_scheme_name);
}
const char *names_of_modes(char text[NAMES_TEXT], uint32_t set) { return print_set(text, set, modes, itw_mode_name); }

bool names_protocol(uint32_t *protocol, const char *text)
{
  *protocol = !strcmp(text, itw_protocol_name(ITW_OWAMP)) ? ITW_OWAMP : ITW_TWAMP;
  return !strcmp(text, itw_protocol_name(*protocol));
}

bool names_rekey(uint32_t *on_rekey, const char *text)
{
  *on_rekey = !strcmp(text, "close") ? ITW_REKEY_CLOSE : ITW_REKEY_KEEP;
  return *on_rekey == ITW_REKEY_CLOSE || !strcmp(text, "keep");
}

static const uint32_t features[] = {ITW_FEATURE_SESSION_CONTROL, ITW_FEATURE_REFLECT, ITW_FEATURE_SYMMETRICAL,
                                    ITW_FEATURE_DSCP_ECN,        ITW_FEATURE_PTP,     0};

static const char *feature_name(uint32_t feature)
{
  switch (feature) {
  case ITW_FEATURE_SESSION_CONTROL: return "individual";
  case ITW_FEATURE_REFLECT: return "reflect";
  case ITW_FEATURE_SYMMETRICAL: return "symmetrical";
  case ITW_FEATURE_DSCP_ECN: return "monitor-dscp";
  case ITW_FEATURE_PTP: return "ptp";
  default: return "?";
  }
}

bool names_features(uint32_t *set, const char *text)
{
  const bool all = !strcmp(text, "all");

  *set = 0;
  for (const uint32_t *one = features; all && *one; one++) *set |= *one;
  return all || !strcmp(text, "none") || parse_set(set, text, features, feature_name);
}

const char *names_of_features(char text[NAMES_TEXT], uint32_t set)
{
  return print_set(text, set, features, feature_name);
}

/* ---- keys ---- */

static const struct prf_name {
  uint32_t prf;
  const char *name;
} prfs[] = {{ITW_PRF_HMAC_SHA1, "hmac-sha1"},         {ITW_PRF_HMAC_SHA2_256, "hmac-sha2-256"},
            {ITW_PRF_HMAC_SHA2_384, "hmac-sha2-384"}, {ITW_PRF_HMAC_SHA2_512, "hmac-sha2-512"},
            {ITW_PRF_AES128_XCBC, "aes128-xcbc"},     {ITW_PRF_AES128_CMAC, "aes128-cmac"}};

uint32_t names_prf(const char *text)
{
  for (size_t i = 0; i < sizeof prfs / sizeof prfs[0]; i++)
    if (!strcmp(text, prfs[i].name)) return prfs[i].prf;
  return 0;
}

const char *names_of_prf(uint32_t prf)
{
  for (size_t i = 0; i < sizeof prfs / sizeof prfs[0]; i++)
    if (prf == prfs[i].prf) return prfs[i].name;
  return "?";
}

const char *names_of_sa(char text[NAMES_TEXT], const struct itw_sa *sa)
{
  const int digits = sa->protocol == ITW_SA_IKE ? 16 : 8;
  const char *kind = sa->protocol == ITW_SA_IKE ? "IKE" : sa->protocol == ITW_SA_AH ? "AH" : "ESP";

  snprintf(text, NAMES_TEXT, "%s SA %0*" PRIx64 "_%0*" PRIx64, kind, digits, sa->spi_i, digits, sa->spi_r);
  return text;
}

const char *names_of_accept(uint32_t accept)
{
  static const char *const text[] = {"ok",
                                     "no reason given: often another key, or none of this name",
                                     "an internal error",
                                     "something asked for is not supported",
                                     "permanently out of resources",
                                     "out of resources for now",
                                     "no IKE SA of ours is known there"};
  return accept < sizeof text / sizeof text[0] ? text[accept] : "a number without a meaning known here";
}

/* ---- options ---- */

bool option_number(uint32_t *out, const char *text, uint32_t min, uint32_t max)
{
  char *end;

  errno = 0;
  const unsigned long long number = strtoull(text, &end, 10);
  *out = (uint32_t)number;
  return *text >= '0' && *text <= '9' && !*end && !errno && number >= min && number <= max;
}

bool option_amount(uint64_t *out, const char *text)
{
  static const char units[] = "kMGT";
  unsigned power = 0;
  char *end;

  errno = 0;
  *out = strtoull(text, &end, 10);
  if (*end && strchr(units, *end)) power = (unsigned)(strchr(units, *end++) - units) + 1;
  for (; power; power--) {
    if (*out > UINT64_MAX / 1000) return false;
    *out *= 1000;
  }
  return *text >= '0' && *text <= '9' && !*end && !errno && *out;
}

bool option_seconds(uint64_t *ns, const char *text, double min, double max)
{
  char *end;
  const double seconds = strtod(text, &end);

  if (end == text || *end || !(seconds >= min && seconds <= max)) return false; /* nor a NaN */
  *ns = (uint64_t)(seconds * (double)NS_PER_S + 0.5);
  return true;
}
