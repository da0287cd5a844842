/* SPDX-License-Identifier: BSD-3-Clause */
/* itw-ping: a Control-Client with a Session-Sender, of OWAMP with a Session-Receiver too.

     itw-ping 192.0.2.1                                  TWAMP, unauthenticated
     itw-ping --protocol owamp 192.0.2.1                 OWAMP, there and back
     itw-ping --keys FILE '[2001:db8::1]:8620'           encrypted, with a passphrase or IKE SA of FILE
     itw-ping --keys FILE --scheme root --json HOST      with a scheme of draft-ietf-ippm-ipsec-01, for a script
     itw-ping --keys-from strongswan HOST                with the IKE SA that charon has with HOST
     itw-ping --keys-from xfrm HOST                      with the kernel's ESP SAs

   common/measure.c and the files that it names do the measuring, common/parts.c over more than one SA, common/source.c
   finds the keys, common/report.c has the figures. This file reads the options. */

#define _GNU_SOURCE 1
#include "common/addr.h"
#include "common/clock.h"
#include "common/csv.h"
#include "common/names.h"
#include "common/parts.h"
#include "common/progress.h"

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRAM "itw-ping"

enum { ANSWERED = 0, NO_ANSWER = 1, FAILED = 2 };
enum { OWAMP_PORT = 861, TWAMP_PORT = 862, PADDING_MAX = 65000, TIMERS = 10 };
enum { LINES_MAX = 100 }; /* packets, each of which gets its line on a terminal; for more there is the progress */

#define SYNOPSIS "usage: " PROGRAM " [OPTION]... HOST[:PORT]"
static const char mistaken[] = SYNOPSIS "; --help tells more\n";
static const char usage[] = SYNOPSIS
    "\n"
    "  --protocol P        twamp owamp (default twamp)\n"
    "  --keys FILE         passphrases, IKE SAs and IPsec SAs\n"
    "  --keys-from SOURCE  FILE, or a live IPsec: xfrm (the kernel's SAs), strongswan[:SOCKET] (charon's, from our\n"
    "                      plugin in it), strongswan:ha[:OURS,CHARONS] (from its HA plugin over loopback)\n"
    "  --key NAME          which passphrase of FILE (default: the only one)\n"
    "  --scheme S          psk shared shared-sid root direct ikev2, or psk,ikev2 (default: these, as FILE has keys for\n"
    "                      them; xfrm: direct; strongswan: ikev2)\n"
    "  --mode MODE         open auth enc mixed (default: enc with keys, open without)\n"
    "  -c COUNT            packets to send, per direction (default 10); TWAMP, 0: until interrupted\n"
    "  -i SECONDS          from packet to packet, at least 0.001 (default 0.1)\n"
    "  -s PADDING          octets of padding (default: as many as make replies as long as packets; OWAMP: 0)\n"
    "  -W SECONDS          Timeout: how long packets are waited for (default 2)\n"
    "  --zero              pad with zeros, not at random\n"
    "  --dscp N            0 to 63, for test packets both ways\n"
    "  --max-count N       most PBKDF2 iterations that a server may ask for (default 32768)\n"
    "  --connect SECONDS   how long connecting may take, and waiting for keys from a live IPsec (default 10)\n"
    "  --fallback          go on by passphrase or unauthenticated if the server has no SA for us\n"
    "  --rekey POLICY      when the SA is replaced or deleted: keep its keys to the end, or close the connection and\n"
    "                      go on with the rest over one with the new SA (TWAMP); default keep\n"
    "TWAMP only, used if the server can too:\n"
    "  --individual        sessions started and stopped one by one (RFC 5938)\n"
    "  --reflect N         N octets of padding come back (RFC 6038)\n"
    "  --symmetrical       packets as long as replies (RFC 6038)\n"
    "  --monitor-dscp      replies say with which DSCP and ECN packets came (RFC 7750)\n"
    "  --ptp               timestamps as PTPv2 has them (RFC 8186)\n"
    "OWAMP only:\n"
    "  --to, --from        to the server, or from it, only (default: both)\n"
    "  --schedule S        fixed exp: -i is the interval, or the mean of random ones (default exp)\n"
    "output:\n"
    "  --json              one JSON object instead of text\n"
    "  --csv FILE          a row per packet\n"
    "  --histogram         of the round trip, or each way\n"
    "  -v                  a line per packet, though this is no terminal, or many packets\n"
    "  -q                  neither that nor the progress, though it is\n"
    "  -4, -6              IPv4 or IPv6 only, for names\n"
    "exit status: 0 replies came, 1 none came, 2 no session, or it broke or couldn't go on\n";

enum { KEYS = 256, KEYS_FROM, KEY, SCHEME, MODE, ZERO, DSCP, MAX_COUNT, CONNECT, FALLBACK, REKEY, JSON, HELP };
enum { PROTOCOL = 512, INDIVIDUAL, REFLECT, SYMMETRICAL, MONITOR_DSCP, PTP, TO, FROM, SCHEDULE, CSV, HISTOGRAM };
static const struct option options[] = {{"keys", required_argument, NULL, KEYS},
                                        {"keys-from", required_argument, NULL, KEYS_FROM},
                                        {"rekey", required_argument, NULL, REKEY},
                                        {"key", required_argument, NULL, KEY},
                                        {"scheme", required_argument, NULL, SCHEME},
                                        {"mode", required_argument, NULL, MODE},
                                        {"zero", no_argument, NULL, ZERO},
                                        {"dscp", required_argument, NULL, DSCP},
                                        {"max-count", required_argument, NULL, MAX_COUNT},
                                        {"connect", required_argument, NULL, CONNECT},
                                        {"fallback", no_argument, NULL, FALLBACK},
                                        {"protocol", required_argument, NULL, PROTOCOL},
                                        {"individual", no_argument, NULL, INDIVIDUAL},
                                        {"reflect", required_argument, NULL, REFLECT},
                                        {"symmetrical", no_argument, NULL, SYMMETRICAL},
                                        {"monitor-dscp", no_argument, NULL, MONITOR_DSCP},
                                        {"ptp", no_argument, NULL, PTP},
                                        {"to", no_argument, NULL, TO},
                                        {"from", no_argument, NULL, FROM},
                                        {"schedule", required_argument, NULL, SCHEDULE},
                                        {"csv", required_argument, NULL, CSV},
                                        {"histogram", no_argument, NULL, HISTOGRAM},
                                        {"json", no_argument, NULL, JSON},
                                        {"help", no_argument, NULL, HELP},
                                        {0}};

struct settings {
  struct measure_config measure;
  const char *host, *keys_path, *keys_from, *csv_path;
  uint32_t mode;
  unsigned family;
  bool fallback, json, histogram, verbose, quiet, scheduled;
};

/* A measurement under way. */
struct run {
  struct csv csv;
  struct progress progress;
  bool lines, done;
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

static bool schedule_of(uint32_t *type, const char *text)
{
  *type = !strcmp(text, "fixed") ? ITW_SLOT_FIXED : ITW_SLOT_EXPONENTIAL;
  return !strcmp(text, "fixed") || !strcmp(text, "exp");
}

/* NULL, or what is wrong with the value. */
static const char *set(struct settings *s, int name, const char *value)
{
  struct measure_config *const m = &s->measure;

  switch (name) {
  case KEYS: s->keys_path = value; return s->keys_from ? "keys come from --keys-from already" : NULL;
  case KEYS_FROM: s->keys_from = value; return s->keys_path ? "keys come from --keys already" : NULL;
  case REKEY: return names_rekey(&m->on_rekey, value) ? NULL : "not one of keep close";
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
    m->padded = true;
    return option_number(&m->padding, value, 0, PADDING_MAX) ? NULL : "not a number from 0 to 65000";
  case 'W':
    return option_seconds(&m->timeout_ns, value, 0.001, 899) ? NULL : "not a number of seconds from 0.001 to 899";
  case ZERO: m->zero_padding = true; return NULL;
  case DSCP: return option_number(&m->dscp, value, 0, 63) ? NULL : "not a number from 0 to 63";
  case MAX_COUNT: return option_number(&m->max_count, value, 1024, 1u << 31) ? NULL : "not a number, at least 1024";
  case CONNECT: return option_seconds(&m->connect_ns, value, 0.001, 86400) ? NULL : "not a number of seconds";
  case FALLBACK: s->fallback = true; return NULL;
  case JSON: s->json = true; return NULL;
  case PROTOCOL: return names_protocol(&m->protocol, value) ? NULL : "not one of twamp owamp";
  case INDIVIDUAL: m->features |= ITW_FEATURE_SESSION_CONTROL; return NULL;
  case REFLECT:
    m->features |= ITW_FEATURE_REFLECT;
    return option_number(&m->reflect, value, 1, PADDING_MAX) ? NULL : "not a number from 1 to 65000";
  case SYMMETRICAL: m->features |= ITW_FEATURE_SYMMETRICAL; return NULL;
  case MONITOR_DSCP: m->features |= ITW_FEATURE_DSCP_ECN; return NULL;
  case PTP: m->features |= ITW_FEATURE_PTP; return NULL;
  case TO: m->ways |= MEASURE_TO; return NULL;
  case FROM: m->ways |= MEASURE_FROM; return NULL;
  case SCHEDULE: s->scheduled = true; return schedule_of(&m->schedule, value) ? NULL : "not one of fixed exp";
  case CSV: s->csv_path = value; return NULL;
  case HISTOGRAM: s->histogram = true; return NULL;
  case 'v': s->verbose = true; return NULL;
  case 'q': s->quiet = true; return NULL;
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

/* What goes with one of the protocols only. NULL, or what is wrong. */
static const char *check_protocol(struct settings *s)
{
  struct measure_config *const m = &s->measure;

  if (m->protocol == ITW_TWAMP)
    return m->ways || s->scheduled ? "--to, --from and --schedule are for --protocol owamp" : NULL;
  if (m->on_rekey == ITW_REKEY_CLOSE)
    return "--rekey close is for TWAMP: what an OWAMP Server received can't be fetched when it has closed";
  if (m->features) return "--individual, --reflect, --symmetrical, --monitor-dscp and --ptp are for TWAMP";
  if (!m->count) return "OWAMP wants to know how many packets there will be: -c";
  if (s->mode == ITW_MODE_MIXED) return "OWAMP has no mixed mode";
  if (!m->ways) m->ways = MEASURE_TO | MEASURE_FROM;
  if (!s->scheduled && !strcmp(itw_crypto_backend(), "none")) m->schedule = ITW_SLOT_FIXED; /* random waits take AES */
  return NULL;
}

/* Schemes, if none were said, and which passphrase. NULL, or what is missing. */
static const char *complete_from_file(struct measure_config *m, const struct keys *keys)
{
  if (!m->schemes && (m->key_id || keys->psks)) m->schemes |= ITW_PSK;
  if (!(m->schemes & ~(uint32_t)ITW_PSK) && !m->key_id && keys->ike_sas && m->schemes != ITW_PSK)
    m->schemes |= ITW_IKEV2;
  if (!m->schemes && keys->child_sas) return "the keys file has IPsec SAs only: say how to use them (--scheme)";
  if (!keys->ring) m->schemes = 0;
  if (!m->key_id && keys->psks == 1) m->key_id = keys->last_psk;
  return NULL;
}

/* What wasn't said follows from the keys. NULL, or what is missing. */
static const char *complete(struct settings *s, const struct source *source)
{
  struct measure_config *const m = &s->measure;
  const struct keys *const keys = &source->file;
  const bool live = source_is_live(source), any = live || keys->ring;

  if (live && m->key_id) return "--key names a passphrase, and a live IPsec has none";
  const char *wrong = check_protocol(s);
  if (!wrong) wrong = live ? source_schemes(source, &m->schemes) : complete_from_file(m, keys);
  if (wrong) return wrong;
  if (!s->mode) s->mode = any ? ITW_MODE_ENC : ITW_MODE_OPEN;
  if (!any && s->mode != ITW_MODE_OPEN) return "all modes but open need --keys or --keys-from";
  m->modes[0] = (uint8_t)s->mode;
  if ((m->schemes & ITW_DRAFT) && m->features)
    return "--individual, --reflect, --symmetrical, --monitor-dscp and --ptp aren't possible with the draft's schemes";
  if (s->fallback) m->flags |= ITW_CLIENT_FALLBACK_OPEN;
  if (s->fallback && m->key_id) m->flags |= ITW_CLIENT_FALLBACK_PSK;
  if (s->mode != ITW_MODE_OPEN && (m->schemes & ITW_PSK) && !m->key_id)
    return keys->psks ? "the keys file has several passphrases: say which one (--key)"
                      : "the keys file has no passphrase";
  return NULL;
}

/* ---- the program ---- */

static void on_reply(void *owner, const struct itw_reply *reply)
{
  struct run *const r = owner;
  if (r->lines) report_print_reply(stdout, reply);
  csv_reply(&r->csv, reply);
}

static void on_record(void *owner, uint32_t way, const struct itw_record *record)
{
  struct run *const r = owner;
  const char *const direction = way == MEASURE_TO ? "to" : "from";
  if (r->lines) report_print_record(stdout, direction, record);
  csv_record(&r->csv, direction, record);
}

static void on_agreed(void *owner, uint32_t missing)
{
  char text[NAMES_TEXT];
  (void)owner;
  if (missing) fprintf(stderr, PROGRAM ": the Server can't do: %s\n", names_of_features(text, missing));
}

static void on_done(void *owner) { ((struct run *)owner)->done = true; }

static void on_kept(void *owner, const struct itw_sa *sa)
{
  char text[NAMES_TEXT];
  progress_clear(&((struct run *)owner)->progress);
  fprintf(stderr, PROGRAM ": %s was replaced or deleted: this session goes on with its keys\n", names_of_sa(text, sa));
}

static int print_results(const struct settings *s, struct parts *p)
{
  const struct report_head head = parts_head(p);
  const struct report *const r = parts_reports(p);
  const char *const failure = parts_failure(p);
  char peer[ADDR_TEXT];

  if (parts_had_session(p)) (s->json ? report_print_json : report_print)(stdout, r, &head, s->histogram);
  fflush(stdout);
  if (failure) fail(addr_text(peer, &s->measure.peer), failure);
  if (!parts_had_session(p) || parts_cut(p) || r[REPORT_TO].broken || r[REPORT_FROM].broken) return FAILED;
  return report_loss(&r[REPORT_TO]).received || report_loss(&r[REPORT_FROM]).received ? ANSWERED : NO_ANSWER;
}

/* On a terminal: of few packets each has its line, of many the progress is shown. */
static bool wants_lines(const struct settings *s)
{
  const bool few = s->measure.count && s->measure.count <= LINES_MAX;
  return !s->json && (s->verbose || (!s->quiet && few && isatty(STDOUT_FILENO)));
}

static void wait_for(struct run *r, const struct settings *s, struct loop *loop, struct parts *p, struct source *source)
{
  bool stopped = false;

  if (!r->lines && !s->quiet && isatty(STDERR_FILENO)) progress_start(&r->progress, loop, p);
  while (!r->done) {
    loop_turn(loop);
    source_turn(source);
    if (loop_interrupted() && !r->done && !stopped) {
      stopped = true;
      parts_stop(p);
    }
  }
  progress_stop(&r->progress);
}

static int measure(struct settings *s, struct loop *loop, struct source *source)
{
  struct run r = {.lines = wants_lines(s)};

  int error = s->csv_path ? csv_open(&r.csv, s->csv_path, s->measure.protocol) : 0;
  if (error) return fail(s->csv_path, strerror(error));
  s->measure.owner = &r;
  s->measure.done = on_done;
  s->measure.agreed = on_agreed;
  s->measure.kept = on_kept;
  s->measure.reply = on_reply;
  s->measure.record = on_record;
  s->measure.keys = source_keys(source);
  s->measure.source = source;
  struct parts *const p = parts_start(loop, &s->measure, source);
  int status = p ? FAILED : fail("", "no memory");
  if (p) {
    wait_for(&r, s, loop, p, source);
    status = print_results(s, p);
  }
  error = csv_close(&r.csv, p && s->measure.protocol == ITW_TWAMP ? report_loss(parts_reports(p)).sent : 0);
  if (error) status = fail(s->csv_path, strerror(error));
  parts_free(p);
  return status;
}

static int run(struct settings *s, struct source *source)
{
  char why[SOURCE_WHY];
  struct loop loop;
  const char *const wrong =
      addr_resolve(&s->measure.peer, s->host, s->measure.protocol == ITW_OWAMP ? OWAMP_PORT : TWAMP_PORT, s->family);

  if (wrong) return fail(s->host, wrong);
  const int error = loop_open(&loop, TIMERS);
  if (error) return fail("no event loop", strerror(error));
  loop_catch_signals(&loop);
  const int status = source_start(source, &loop, why) ? measure(s, &loop, source) : fail(s->keys_from, why);
  source_close(source);
  loop_close(&loop);
  return status;
}

int main(int argc, char **argv)
{
  struct settings s = {
      .measure = {
          .count = 10, .interval_ns = 100 * NS_PER_MS, .timeout_ns = 2 * NS_PER_S, .connect_ns = 10 * NS_PER_S}};
  struct source source = {0};
  char why[SOURCE_WHY];

  setvbuf(stdout, NULL, _IOLBF, 0); /* whoever reads a pipe sees packets as they come */
  if (!read_options(&s, argc, argv)) return FAILED;
  if (s.keys_path && !source_read_file(&source, s.keys_path, why)) return fail("", why);
  if (s.keys_from && !source_read(&source, s.keys_from, why)) return fail("", why);
  const char *const missing = complete(&s, &source);
  const int status = missing ? fail("", missing) : run(&s, &source);
  source_close(&source);
  return status;
}
