/* SPDX-License-Identifier: BSD-3-Clause */
/* itw-ping: a TWAMP Control-Client and Session-Sender.

     itw-ping 192.0.2.1                                  unauthenticated
     itw-ping --keys FILE '[2001:db8::1]:8620'           encrypted, with a passphrase or IKE SA of FILE
     itw-ping --keys FILE --scheme root --json HOST      with a scheme of draft-ietf-ippm-ipsec-01, for a script

   common/measure.c does the measuring, common/report.c the figures. This file reads the options. */

#define _GNU_SOURCE 1
#include "common/addr.h"
#include "common/clock.h"
#include "common/keysfile.h"
#include "common/measure.h"
#include "common/names.h"

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRAM "itw-ping"

enum { ANSWERED = 0, NO_ANSWER = 1, FAILED = 2, TWAMP_PORT = 862, PADDING_MAX = 65000, TIMERS = 4 };

#define SYNOPSIS "usage: " PROGRAM " [OPTION]... HOST[:PORT]"
static const char mistaken[] = SYNOPSIS "; --help tells more\n";
static const char usage[] = SYNOPSIS
    "\n"
    "  --keys FILE         passphrases, IKE SAs and IPsec SAs\n"
    "  --key NAME          which passphrase of FILE (default: the only one)\n"
    "  --scheme S          psk shared shared-sid root direct ikev2, or psk,ikev2 (default: these, as FILE has keys for "
    "them)\n"
    "  --mode MODE         open auth enc mixed (default: enc with keys, open without)\n"
    "  -c COUNT            packets to send; 0: until interrupted (default 10)\n"
    "  -i SECONDS          from packet to packet, at least 0.001 (default 0.1)\n"
    "  -s PADDING          octets of padding (default: as many as make replies as long as packets)\n"
    "  -W SECONDS          how long to wait for the last replies (default 2)\n"
    "  --zero              pad with zeros, not at random\n"
    "  --dscp N            0 to 63, for test packets both ways\n"
    "  --max-count N       most PBKDF2 iterations that a server may ask for (default 32768)\n"
    "  --connect SECONDS   how long connecting may take (default 10)\n"
    "  --fallback          go on by passphrase or unauthenticated if the server has no SA for us\n"
    "  --json              one JSON object instead of text\n"
    "  -v                  a line per packet, though this is no terminal\n"
    "  -q                  none, though it is\n"
    "  -4, -6              IPv4 or IPv6 only, for names\n"
    "exit status: 0 replies came, 1 none came, 2 no session, or it broke\n";

enum { KEYS = 256, KEY, SCHEME, MODE, ZERO, DSCP, MAX_COUNT, CONNECT, FALLBACK, JSON, HELP };
static const struct option options[] = {{"keys", required_argument, NULL, KEYS},
                                        {"key", required_argument, NULL, KEY},
                                        {"scheme", required_argument, NULL, SCHEME},
                                        {"mode", required_argument, NULL, MODE},
                                        {"zero", no_argument, NULL, ZERO},
                                        {"dscp", required_argument, NULL, DSCP},
                                        {"max-count", required_argument, NULL, MAX_COUNT},
                                        {"connect", required_argument, NULL, CONNECT},
                                        {"fallback", no_argument, NULL, FALLBACK},
                                        {"json", no_argument, NULL, JSON},
                                        {"help", no_argument, NULL, HELP},
                                        {0}};

struct settings {
  struct measure_config measure;
  const char *host, *keys_path;
  uint32_t mode;
  unsigned family;
  bool padded, fallback, json, verbose;
};

static int fail(const char *what, const char *why)
{
  fprintf(stderr, PROGRAM ": %s%s%s\n", what, *what ? ": " : "", why);
  return FAILED;
}

/* ---- options ---- */

/* Sets of schemes that one client can speak: one of the draft's, or those that a greeting can offer together. */
static bool one_client(uint32_t schemes) { return !(schemes & ITW_DRAFT) || !(schemes & (schemes - 1)); }
static bool one_mode(uint32_t modes) { return modes && !(modes & (modes - 1)); }

/* NULL, or what is wrong with the value. */
static const char *set(struct settings *s, int name, const char *value)
{
  struct measure_config *const m = &s->measure;

  switch (name) {
  case KEYS: s->keys_path = value; return NULL;
  case KEY: m->key_id = value; return strlen(value) <= 80 ? NULL : "a name has at most 80 octets";
  case SCHEME:
    return names_schemes(&m->schemes, value) && one_client(m->schemes)
               ? NULL
               : "not one of psk shared shared-sid root direct ikev2 psk,ikev2";
  case MODE: return names_modes(&s->mode, value) && one_mode(s->mode) ? NULL : "not one of open auth enc mixed";
  case 'c': return option_number(&m->count, value, 0, 1u << 31) ? NULL : "not a number";
  case 'i':
    return option_seconds(&m->interval_ns, value, 0.001, 86400) ? NULL : "not a number of seconds, at least 0.001";
  case 's':
    s->padded = true;
    return option_number(&m->padding, value, 0, PADDING_MAX) ? NULL : "not a number from 0 to 65000";
  case 'W':
    return option_seconds(&m->timeout_ns, value, 0.001, 899) ? NULL : "not a number of seconds from 0.001 to 899";
  case ZERO: m->zero_padding = true; return NULL;
  case DSCP: return option_number(&m->dscp, value, 0, 63) ? NULL : "not a number from 0 to 63";
  case MAX_COUNT: return option_number(&m->max_count, value, 1024, 1u << 31) ? NULL : "not a number, at least 1024";
  case CONNECT: return option_seconds(&m->connect_ns, value, 0.001, 86400) ? NULL : "not a number of seconds";
  case FALLBACK: s->fallback = true; return NULL;
  case JSON: s->json = true; return NULL;
  case 'v': s->verbose = true; return NULL;
  case 'q': s->verbose = false; return NULL;
  case '4': s->family = 4; return NULL;
  case '6': s->family = 6; return NULL;
  default: return NULL;
  }
}

static void complain(int name, int index, const char *why)
{
  if (name < 256)
    fprintf(stderr, PROGRAM ": -%c %s: %s\n", name, optarg, why);
  else
    fprintf(stderr, PROGRAM ": --%s %s: %s\n", options[index].name, optarg, why);
}

static bool read_options(struct settings *s, int argc, char **argv)
{
  for (int name, index = 0; (name = getopt_long(argc, argv, "c:i:s:W:vq46", options, &index)) != -1;) {
    if (name == HELP) {
      fputs(usage, stdout);
      exit(0);
    }
    if (name == '?') { /* getopt has said which option it doesn't know */
      fputs(mistaken, stderr);
      return false;
    }
    const char *const wrong = set(s, name, optarg);
    if (!wrong) continue;
    complain(name, index, wrong);
    return false;
  }
  if (optind + 1 != argc) {
    fprintf(stderr, PROGRAM ": %s\n%s", optind == argc ? "where to? A HOST is missing" : "one HOST only", mistaken);
    return false;
  }
  s->host = argv[optind];
  return true;
}

/* Padding with which a packet is as long as its reply (RFC 5357 §4.2.1). */
static uint32_t equal_padding(uint32_t mode)
{
  return mode == ITW_MODE_OPEN || mode == ITW_MODE_MIXED ? ITW_REFLECTOR_OPEN - ITW_SENDER_OPEN
                                                         : ITW_REFLECTOR_SECURE - ITW_SENDER_SECURE;
}

/* What wasn't said follows from the keys. NULL, or what is missing. */
static const char *complete(struct settings *s, const struct keys *keys)
{
  struct measure_config *const m = &s->measure;

  m->ring = keys->ring;
  if (!m->schemes && (m->key_id || keys->psks)) m->schemes |= ITW_PSK;
  if (!(m->schemes & ~(uint32_t)ITW_PSK) && !m->key_id && keys->ike_sas && m->schemes != ITW_PSK)
    m->schemes |= ITW_IKEV2;
  if (!m->schemes && keys->child_sas) return "the keys file has IPsec SAs only: say how to use them (--scheme)";
  if (!s->mode) s->mode = keys->ring ? ITW_MODE_ENC : ITW_MODE_OPEN;
  if (!keys->ring && s->mode != ITW_MODE_OPEN) return "all modes but open need --keys";
  if (!keys->ring) m->schemes = 0;
  m->modes[0] = (uint8_t)s->mode;
  if (!s->padded) m->padding = equal_padding(s->mode);

  if (s->fallback) m->flags |= ITW_CLIENT_FALLBACK_OPEN;
  if (s->fallback && (m->key_id || keys->psks == 1)) m->flags |= ITW_CLIENT_FALLBACK_PSK;
  const bool wants_psk = s->mode != ITW_MODE_OPEN && (m->schemes & ITW_PSK);
  if (!m->key_id && keys->psks == 1) m->key_id = keys->last_psk;
  if (wants_psk && !m->key_id)
    return keys->psks ? "the keys file has several passphrases: say which one (--key)"
                      : "the keys file has no passphrase";
  return NULL;
}

/* ---- the program ---- */

static void on_reply(void *owner, const struct itw_reply *reply)
{
  (void)owner;
  report_print_reply(stdout, reply);
}

static void on_done(void *owner) { *(bool *)owner = true; }

static int print_results(const struct settings *s, struct measure *m)
{
  const struct report_head head = measure_head(m);
  struct report *const r = measure_report(m);
  const char *const failure = measure_failure(m);

  if (measure_had_session(m)) (s->json ? report_print_json : report_print)(stdout, r, &head);
  fflush(stdout);
  if (failure) fail(head.peer, failure);
  if (!measure_had_session(m) || r->broken) return FAILED;
  return r->rtt.n ? ANSWERED : NO_ANSWER;
}

static int measure(struct settings *s, struct loop *loop)
{
  char why[MEASURE_WHY], peer[ADDR_TEXT];
  bool done = false, stopped = false;

  s->measure.owner = &done;
  s->measure.done = on_done;
  s->measure.reply = s->verbose && !s->json ? on_reply : NULL;
  struct measure *const m = measure_start(loop, &s->measure, why);
  if (!m) return fail(addr_text(peer, &s->measure.peer), why);
  while (!done) {
    loop_turn(loop);
    if (loop_interrupted() && !done && !stopped) {
      stopped = true;
      measure_stop(m);
    }
  }
  const int status = print_results(s, m);
  measure_free(m);
  return status;
}

static int run(struct settings *s)
{
  struct loop loop;
  const char *const wrong = addr_resolve(&s->measure.peer, s->host, TWAMP_PORT, s->family);

  if (wrong) return fail(s->host, wrong);
  const int error = loop_open(&loop, TIMERS);
  if (error) return fail("no event loop", strerror(error));
  loop_catch_signals(&loop);
  const int status = measure(s, &loop);
  loop_close(&loop);
  return status;
}

int main(int argc, char **argv)
{
  struct settings s = {
      .measure = {.count = 10, .interval_ns = 100 * NS_PER_MS, .timeout_ns = 2 * NS_PER_S, .connect_ns = 10 * NS_PER_S},
      .verbose = isatty(STDOUT_FILENO)};
  struct keys keys = {0};
  char why[KEYS_WHY];

  setvbuf(stdout, NULL, _IOLBF, 0); /* whoever reads a pipe sees packets as they come */
  if (!read_options(&s, argc, argv)) return FAILED;
  if (s.keys_path && !keys_read(&keys, s.keys_path, why)) return fail("", why);
  const char *const missing = complete(&s, &keys);
  const int status = missing ? fail("", missing) : run(&s);
  keys_free(&keys);
  return status;
}
