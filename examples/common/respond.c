/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "inside.h"

#include "addr.h"
#include "clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

enum { CONTEXTS = 1024, PADDING = 9000, BUFFER = 4096 };
static const uint64_t clock_every = 10 * NS_PER_S; /* how often the kernel is asked for its clock's quality */

void respond_say(const struct respond *r, const struct itw_addr *who, const char *format, ...)
{
  char line[512], text[ADDR_TEXT];
  va_list args;

  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  fprintf(stderr, "%s: %s: %s\n", r->config.program, addr_text(text, who), line);
}

void respond_say_packet(const struct respond *r, itw_mono *told, uint64_t *untold, const struct itw_packet *p,
                        uint16_t port)
{
  const itw_mono now = now_mono();
  char more[48] = "";

  if (*told && now - *told < NS_PER_S) {
    ++*untold;
    return;
  }
  if (*untold) snprintf(more, sizeof more, " (and %" PRIu64 " more before)", *untold);
  *told = now;
  *untold = 0;
  respond_say(r, &p->remote, "test packet to port %u refused: %s%s", port, itw_status_text(p->status), more);
}

static void on_clock(struct timer *t, itw_mono now)
{
  struct respond *const r = t->owner;
  struct itw_clock clock;

  ITW_INIT(clock);
  clock.error = now_error();
  if (itw_reflector_clock(r->reflector, &clock) < 0) return;
  timer_set(r->loop, &r->clock, now + clock_every);
}

static itw_status open_server(struct respond *r, struct itw_detail *detail)
{
  const struct respond_config *const c = &r->config;
  struct itw_server_config config;

  ITW_INIT(config);
  config.schemes = c->schemes;
  config.modes = c->modes;
  config.legacy_modes = c->legacy_modes;
  config.sessions = c->per_connection;
  config.count_psk = config.count_sa = c->count;
  config.max_padding = c->max_padding;
  config.protocol = c->protocol;
  config.features = c->features;
  config.on_rekey = c->on_rekey;
  config.flags = c->third_party ? ITW_SERVER_ANY_ADDRESS : 0;
  if (c->protocol == ITW_OWAMP) config.buffer = BUFFER;
  config.servwait_s = c->servwait_s;
  config.setup_s = c->setup_s;
  config.start = now_wall();
  random_octets(config.salt, sizeof config.salt);
  config.keys = c->keys;
  return itw_server_new(&r->server, &config, detail);
}

static itw_status open_reflector(struct respond *r)
{
  struct itw_shard_config config;

  ITW_INIT(config);
  ITW_INIT(config.clock);
  config.sessions = r->config.sessions;
  config.contexts = config.sessions < CONTEXTS ? config.sessions : CONTEXTS;
  config.refwait_s = r->config.refwait_s;
  config.clock.error = now_error();
  random_octets(config.seed, sizeof config.seed);
  const itw_status st = itw_reflector_new(&r->reflector, &config);
  itw_wipe(config.seed, sizeof config.seed);
  return st;
}

static bool open_all(struct respond *r, char why[RESPOND_WHY])
{
  struct itw_detail detail;

  ITW_INIT(detail);
  itw_status st = open_server(r, &detail);
  if (st >= 0) st = r->config.protocol == ITW_OWAMP ? streams_open(r) : open_reflector(r);
  if (st >= 0 &&
      !burst_open(&r->burst, (size_t)(r->config.max_padding ? r->config.max_padding : PADDING) + ITW_REFLECTOR_SECURE))
    st = ITW_ERR_MEMORY;
  if (st < 0) {
    snprintf(why, RESPOND_WHY, "%s", st == detail.status && detail.text[0] ? detail.text : itw_status_text(st));
    return false;
  }
  return listener_open(r, why);
}

struct respond *respond_start(struct loop *loop, const struct respond_config *config, char why[RESPOND_WHY])
{
  struct respond *const r = calloc(1, sizeof *r);

  snprintf(why, RESPOND_WHY, "no memory");
  if (!r) return NULL;
  r->loop = loop;
  r->config = *config;
  r->listen[0].fd = r->listen[1].fd = -1;
  r->ends = (struct timer){.due = flows_ended, .owner = r};
  r->clock = (struct timer){.due = on_clock, .owner = r};
  for (int i = 0; i < CLASSES; i++) r->shares[i].limits = config->limits[i];
  store_open(&r->store, loop, r->shares, config->keep_ns);
  if (open_all(r, why)) {
    if (r->reflector) timer_set(loop, &r->clock, now_mono() + clock_every);
    return r;
  }
  respond_free(r);
  return NULL;
}

void respond_free(struct respond *r)
{
  if (!r) return;
  while (r->newest) pump_drop(&r->newest->pump);
  while (r->newest_flow) flow_close(r->newest_flow);
  listener_close(r);
  store_close(&r->store);
  outbound_close(&r->outbound);
  inbound_close(&r->inbound);
  timer_set(r->loop, &r->ends, ITW_NEVER);
  timer_set(r->loop, &r->clock, ITW_NEVER);
  burst_close(&r->burst);
  itw_reflector_free(r->reflector);
  itw_server_free(r->server);
  free(r);
}

struct itw_addr respond_address(const struct respond *r, unsigned i)
{
  const struct itw_addr none = {0};
  return i < r->config.binds ? addr_of_socket(r->listen[i].fd) : none;
}

bool respond_idle(const struct respond *r) { return r->visits == 0; }

static void sum_reflected(const struct respond *r, FILE *f)
{
  struct itw_counts c;

  ITW_INIT(c);
  if (itw_reflector_counts(r->reflector, 0, &c) < 0) return;
  fprintf(f,
          "test packets: %" PRIu64 " received, %" PRIu64 " replied; refused: %" PRIu64 " forged, %" PRIu64
          " malformed, %" PRIu64 " of no session, %" PRIu64 " early, %" PRIu64 " late\n",
          c.received, c.sent, c.auth_failures, c.malformed, c.unknown, c.early, c.late);
}

static void sum_streams(const struct respond *r, FILE *f)
{
  struct itw_counts in, out;

  ITW_INIT(in);
  ITW_INIT(out);
  if (itw_sender_counts(r->outbound.sender, 0, &out) < 0 || itw_receiver_counts(r->inbound.receiver, 0, &in) < 0)
    return;
  fprintf(f, "fetches: %" PRIu64 ", denied %" PRIu64 "\n", r->total.fetches, r->total.fetches_denied);
  fprintf(f,
          "test packets: %" PRIu64 " sent, %" PRIu64 " skipped; %" PRIu64 " received, %" PRIu64
          " lost; refused: %" PRIu64 " forged, %" PRIu64 " malformed, %" PRIu64 " of no session, %" PRIu64
          " early, %" PRIu64 " late\n",
          out.sent, out.skipped, in.received, in.lost, in.auth_failures, in.malformed, in.unknown, in.early, in.late);
}

void respond_news(struct respond *r, const struct itw_source_event *event)
{
  const bool one = event->kind == ITW_SOURCE_REKEYED || event->kind == ITW_SOURCE_GONE;

  if (!one && event->kind != ITW_SOURCE_LOST) return;
  for (struct visit *v = r->newest, *older; v; v = older) {
    older = v->older;
    pump_sa_gone(&v->pump, one ? &event->sa : NULL);
  }
}

/* Those that wait for one are the newest. */
void respond_answer(struct respond *r, uint64_t tag, const struct itw_answer *answer)
{
  struct visit *v = r->newest;

  while (v && itw_conn_tag(v->pump.conn) != tag) v = v->older;
  if (v) pump_answer(&v->pump, answer);
}

void respond_summary(const struct respond *r, FILE *f)
{
  fprintf(f,
          "connections: %" PRIu64 ", refused %" PRIu64 ", left during set-up %" PRIu64 ", too many %" PRIu64
          ", closed for their SA %" PRIu64 "\n",
          r->total.connections, r->total.refused, r->total.left, r->total.full, r->total.sa_gone);
  fprintf(f, "sessions: %" PRIu64 ", refused %" PRIu64 ", broken off %" PRIu64 "\n", r->total.sessions,
          r->total.sessions_refused, r->total.broken);
  if (r->config.protocol == ITW_OWAMP)
    sum_streams(r, f);
  else
    sum_reflected(r, f);
}
