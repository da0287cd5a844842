/* SPDX-License-Identifier: BSD-3-Clause */
/* itw-responder: a Server of TWAMP with its Session-Reflector, or of OWAMP with Session-Sender and Session-Receiver.

     itw-responder                                      anybody may measure, unauthenticated, port 862
     itw-responder --protocol owamp                     the same with OWAMP, port 861
     itw-responder --keys FILE                          with the passphrases and IKE SAs of FILE
     itw-responder --keys FILE --scheme root --port 0   with a scheme of draft-ietf-ippm-ipsec-01, on any free port
     itw-responder --keys-from strongswan               with the IKE SAs that charon has
     itw-responder --keys-from xfrm                     with the kernel's ESP SAs

   One thread serves all: common/loop.c waits, common/pump.c drives each control connection, common/respond.c and the files
   that it names are the Server. This file reads the options. */

#define _GNU_SOURCE 1
#include "common/addr.h"
#include "common/clock.h"
#include "common/names.h"
#include "common/respond.h"
#include "common/source.h"

#include <getopt.h>
#include <stdlib.h>
#include <sys/resource.h>

#define PROGRAM "itw-responder"

enum { OK = 0, FAILED = 2, OWAMP_PORT = 861, TWAMP_PORT = 862, PADDING_MAX = 65000 };
enum { OTHER_FDS = 32 }; /* file descriptors that are neither a connection's nor a session's */

#define SYNOPSIS "usage: " PROGRAM " [OPTION]..."
static const char mistaken[] = SYNOPSIS "; --help tells more\n";
static const char usage[] = SYNOPSIS
    "\n"
    "  --bind ADDR             listen on this address (default: all, IPv4 and IPv6)\n"
    "  --port N                TCP port; 0: any free one (default 862, OWAMP 861)\n"
    "  --keys FILE             passphrases, IKE SAs and IPsec SAs\n"
    "  --keys-from SOURCE      FILE, or a live IPsec: xfrm (the kernel's SAs), strongswan[:SOCKET] (charon's, from our\n"
    "                          plugin in it), strongswan:ha[:OURS,CHARONS] (from its HA plugin over loopback)\n"
    "  --scheme S[,S]          psk shared shared-sid root direct ikev2 (default: psk and ikev2, as FILE has keys for\n"
    "                          them; xfrm: direct; strongswan: ikev2)\n"
    "  --rekey POLICY          when an SA is replaced or deleted: keep its keys in connections that use it, or close\n"
    "                          them (default keep)\n"
    "  --modes M[,M]           open auth enc mixed (default: auth,enc with keys, open without)\n"
    "  --fallback              serve clients that use no SA too: by passphrase, if FILE has any, or unauthenticated\n"
    "  --protocol P            twamp owamp (default twamp)\n"
    "  --count N               PBKDF2 iterations that clients are told: a power of 2, at least 1024\n"
    "  --max-padding N         octets of padding that a session may ask for (default 9000)\n"
    "  --max-connections N     control connections at a time (default 1000)\n"
    "  --max-sessions N        test sessions at a time (default 4096)\n"
    "  --setup SECONDS         how long a client may take to set up (default 60)\n"
    "  --servwait SECONDS      SERVWAIT: end connections that do nothing for so long (default 900)\n"
    "TWAMP only:\n"
    "  --refwait SECONDS       REFWAIT: end sessions without a packet for so long (default 900)\n"
    "  --features F[,F]        individual reflect symmetrical monitor-dscp ptp, all or none: offered (default all)\n"
    "OWAMP only:\n"
    "  --limits-open L[,L]     what users without a key may take: packets=N of one session, and of all sessions\n"
    "                          together sessions=N bandwidth=N (bit/s) storage=N (octets), with k M G\n"
    "                          (default packets=10k,sessions=16,bandwidth=1M,storage=4M)\n"
    "  --limits-known L[,L]    those with one (default packets=1M,sessions=256,bandwidth=20M,storage=64M)\n"
    "  --keep SECONDS          how long results of the latter are kept (default 600); those of others go with\n"
    "                          their control connection\n"
    "  --third-party           send to and receive from others than the client, too: open to abuse\n";

enum { BIND = 256, PORT, KEYS, SCHEME, MODES, FALLBACK, PROTOCOL, COUNT, MAX_PADDING, MAX_CONNECTIONS, MAX_SESSIONS };
enum { SETUP = 512, SERVWAIT, REFWAIT, FEATURES, LIMITS_OPEN, LIMITS_KNOWN, KEEP, THIRD_PARTY, KEYS_FROM, REKEY, HELP };
static const struct option options[] = {{"bind", required_argument, NULL, BIND},
                                        {"port", required_argument, NULL, PORT},
                                        {"keys", required_argument, NULL, KEYS},
                                        {"keys-from", required_argument, NULL, KEYS_FROM},
                                        {"rekey", required_argument, NULL, REKEY},
                                        {"scheme", required_argument, NULL, SCHEME},
                                        {"modes", required_argument, NULL, MODES},
                                        {"fallback", no_argument, NULL, FALLBACK},
                                        {"protocol", required_argument, NULL, PROTOCOL},
                                        {"count", required_argument, NULL, COUNT},
                                        {"max-padding", required_argument, NULL, MAX_PADDING},
                                        {"max-connections", required_argument, NULL, MAX_CONNECTIONS},
                                        {"max-sessions", required_argument, NULL, MAX_SESSIONS},
                                        {"setup", required_argument, NULL, SETUP},
                                        {"servwait", required_argument, NULL, SERVWAIT},
                                        {"refwait", required_argument, NULL, REFWAIT},
                                        {"features", required_argument, NULL, FEATURES},
                                        {"limits-open", required_argument, NULL, LIMITS_OPEN},
                                        {"limits-known", required_argument, NULL, LIMITS_KNOWN},
                                        {"keep", required_argument, NULL, KEEP},
                                        {"third-party", no_argument, NULL, THIRD_PARTY},
                                        {"help", no_argument, NULL, HELP},
                                        {0}};

struct settings {
  struct respond_config respond;
  const char *keys_path, *keys_from;
  uint32_t port;
  bool fallback, ported;
};

static int fail(const char *what, const char *why)
{
  fprintf(stderr, PROGRAM ": %s%s%s\n", what, *what ? ": " : "", why);
  return FAILED;
}

/* ---- options ---- */

static const char wrong_limits[] = "not a list of packets=N,sessions=N,bandwidth=N,storage=N";

/* NULL, or what is wrong with the value. */
static const char *set(struct settings *s, int name, const char *value)
{
  struct respond_config *const r = &s->respond;

  switch (name) {
  case BIND: r->binds = 1; return addr_parse(&r->bind[0], value) ? NULL : "not an IP address";
  case PORT: s->ported = true; return option_number(&s->port, value, 0, 65535) ? NULL : "not a number from 0 to 65535";
  case KEYS: s->keys_path = value; return s->keys_from ? "keys come from --keys-from already" : NULL;
  case KEYS_FROM: s->keys_from = value; return s->keys_path ? "keys come from --keys already" : NULL;
  case REKEY: return names_rekey(&r->on_rekey, value) ? NULL : "not one of keep close";
  case SCHEME:
    return names_schemes(&r->schemes, value) ? NULL : "not a list of psk,shared,shared-sid,root,direct,ikev2";
  case MODES: return names_modes(&r->modes, value) ? NULL : "not a list of open,auth,enc,mixed";
  case FALLBACK: s->fallback = true; return NULL;
  case PROTOCOL: return names_protocol(&r->protocol, value) ? NULL : "not one of twamp owamp";
  case COUNT:
    return option_number(&r->count, value, 1024, 1u << 31) && !(r->count & (r->count - 1))
               ? NULL
               : "not a power of 2, at least 1024";
  case MAX_PADDING:
    return option_number(&r->max_padding, value, 1, PADDING_MAX) ? NULL : "not a number from 1 to 65000";
  case MAX_CONNECTIONS:
    return option_number(&r->connections, value, 1, 1 << 20) ? NULL : "not a number from 1 to 1048576";
  case MAX_SESSIONS: return option_number(&r->sessions, value, 1, 1 << 20) ? NULL : "not a number from 1 to 1048576";
  case SETUP: return option_number(&r->setup_s, value, 1, 86400) ? NULL : "not a number of seconds";
  case SERVWAIT: return option_number(&r->servwait_s, value, 1, 86400) ? NULL : "not a number of seconds";
  case REFWAIT: return option_number(&r->refwait_s, value, 1, 86400) ? NULL : "not a number of seconds";
  case FEATURES:
    return names_features(&r->features, value) ? NULL : "not a list of individual,reflect,symmetrical,monitor-dscp,ptp";
  case LIMITS_OPEN: return limits_parse(&r->limits[CLASS_OPEN], value) ? NULL : wrong_limits;
  case LIMITS_KNOWN: return limits_parse(&r->limits[CLASS_KNOWN], value) ? NULL : wrong_limits;
  case KEEP: return option_seconds(&r->keep_ns, value, 0, 86400) ? NULL : "not a number of seconds";
  case THIRD_PARTY: r->third_party = true; return NULL;
  default: return NULL;
  }
}

static bool read_options(struct settings *s, int argc, char **argv)
{
  for (int name, index = 0; (name = getopt_long(argc, argv, "", options, &index)) != -1;) {
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
    fprintf(stderr, PROGRAM ": --%s %s: %s\n", options[index].name, optarg, wrong);
    return false;
  }
  if (optind == argc) return true;
  fprintf(stderr, PROGRAM ": what is '%s' for?\n%s", argv[optind], mistaken);
  return false;
}

static const char *complete_from_file(struct respond_config *r, const struct keys *keys)
{
  if (!r->schemes) r->schemes = (keys->psks ? (uint32_t)ITW_PSK : 0) | (keys->ike_sas ? (uint32_t)ITW_IKEV2 : 0);
  if (!r->schemes && keys->child_sas) return "the keys file has IPsec SAs only: say how to use them (--scheme)";
  if (!keys->ring) r->schemes = 0;
  return NULL;
}

/* What wasn't said follows from the keys. NULL, or what is missing. */
static const char *complete(struct settings *s, const struct source *source)
{
  struct respond_config *const r = &s->respond;
  const struct keys *const keys = &source->file;
  const bool live = source_is_live(source), any = live || keys->ring;

  if (!s->ported) s->port = r->protocol == ITW_OWAMP ? OWAMP_PORT : TWAMP_PORT;
  if (r->protocol == ITW_OWAMP) r->features = 0;
  if (r->protocol == ITW_OWAMP && (r->modes & ITW_MODE_MIXED)) return "OWAMP has no mixed mode";
  const char *const wrong = live ? source_schemes(source, &r->schemes) : complete_from_file(r, keys);
  if (wrong) return wrong;
  if (!r->modes) r->modes = any ? ITW_MODE_AUTH | ITW_MODE_ENC : ITW_MODE_OPEN;
  if (!any && r->modes != ITW_MODE_OPEN) return "all modes but open need --keys or --keys-from";
  if (s->fallback && (r->schemes & ITW_DRAFT)) {
    r->legacy_modes = ITW_MODE_OPEN | (keys->psks ? r->modes & (ITW_MODE_AUTH | ITW_MODE_ENC | ITW_MODE_MIXED) : 0);
    if (keys->psks) r->schemes |= ITW_PSK;
  } else if (s->fallback) {
    r->modes |= ITW_MODE_OPEN;
  }
  if (!r->binds) {
    r->binds = 2;
    r->bind[0].family = 4;
    r->bind[1].family = 6;
  }
  for (unsigned i = 0; i < r->binds; i++) r->bind[i].port = (uint16_t)s->port;
  return NULL;
}

/* As many file descriptors as we may have; fewer sessions and connections if those don't do. */
static void fit_to_limits(struct respond_config *r)
{
  struct rlimit limit;

  if (getrlimit(RLIMIT_NOFILE, &limit)) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < 2 * OTHER_FDS) return;
  const rlim_t room = limit.rlim_cur - OTHER_FDS;
  if (r->connections + (rlim_t)r->sessions <= room) return;
  if (r->connections > room / 2) r->connections = (uint32_t)(room / 2);
  if (r->sessions > room - r->connections) r->sessions = (uint32_t)(room - r->connections);
  fprintf(stderr, PROGRAM ": only %ju open files are allowed: at most %u connections and %u sessions\n",
          (uintmax_t)limit.rlim_cur, r->connections, r->sessions);
}

/* ---- what the source of keys tells ---- */

struct service {
  struct source source;
  struct respond *respond;
};

static void on_ready(void *owner)
{
  char place[SOURCE_TEXT];
  fprintf(stderr, PROGRAM ": keys from %s\n", source_place(place, &((struct service *)owner)->source));
}

static void on_news(void *owner, const struct itw_source_event *event)
{
  struct service *const s = owner;
  char news[SOURCE_TEXT];

  fprintf(stderr, PROGRAM ": %s\n", source_news(news, event));
  respond_news(s->respond, event);
}

static void on_answer(void *owner, uint64_t tag, const struct itw_answer *answer)
{
  respond_answer(((struct service *)owner)->respond, tag, answer);
}

/* ---- the program ---- */

static int serve(struct service *s, struct loop *loop, struct respond_config *config)
{
  char why[RESPOND_WHY], text[ADDR_TEXT];

  config->keys = source_keys(&s->source);
  config->source = &s->source;
  struct respond *const r = s->respond = respond_start(loop, config, why);
  if (!r) return fail("", why);
  for (unsigned i = 0; i < RESPOND_LISTENERS; i++) {
    const struct itw_addr addr = respond_address(r, i);
    if (addr.family) printf("listening on %s\n", addr_text(text, &addr));
  }
  fflush(stdout);
  while (!loop_interrupted()) {
    source_turn(&s->source);
    loop_turn(loop);
  }
  respond_summary(r, stdout);
  respond_free(r);
  return OK;
}

/* Keys that aren't there yet may come: peers without an SA are told so until then. */
static int run(struct service *s, struct settings *settings)
{
  char why[SOURCE_WHY], place[SOURCE_TEXT];
  struct loop loop;
  uint64_t settle_ns;
  int status = FAILED;

  fit_to_limits(&settings->respond);
  const int error = loop_open(&loop, RESPOND_TIMERS(&settings->respond) + 1u);
  loop_catch_signals(&loop);
  s->source.up = on_ready;
  s->source.event = on_news;
  s->source.answer = on_answer;
  s->source.owner = s;
  if (error) {
    fail("no event loop", strerror(error));
  } else if (!source_start(&s->source, &loop, why)) {
    fail(settings->keys_from, why);
  } else {
    if (!source_ready(&s->source, &settle_ns)) fprintf(stderr, PROGRAM ": waiting for %s\n", source_place(place, &s->source));
    status = serve(s, &loop, &settings->respond);
  }
  source_close(&s->source);
  loop_close(&loop);
  return status;
}

int main(int argc, char **argv)
{
  struct settings s = {.respond = {.program = PROGRAM,
                                   .connections = 1000,
                                   .sessions = 4096,
                                   .per_connection = 64,
                                   .keep_ns = 600 * NS_PER_S,
                                   .limits = {limits_default[CLASS_OPEN], limits_default[CLASS_KNOWN]}}};
  struct service service = {0};
  char why[SOURCE_WHY];

  setvbuf(stderr, NULL, _IOLBF, 0);
  (void)names_features(&s.respond.features, "all");
  if (!read_options(&s, argc, argv)) return FAILED;
  if (s.keys_path && !source_read_file(&service.source, s.keys_path, why)) return fail("", why);
  if (s.keys_from && !source_read(&service.source, s.keys_from, why)) return fail("", why);
  const char *const missing = complete(&s, &service.source);
  const int status = missing ? fail("", missing) : run(&service, &s);
  source_close(&service.source);
  return status;
}
