/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "report.h"

#include "names.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- durations ---- */

static bool add(struct durations *d, int64_t ns)
{
  if (d->n == d->room) {
    const size_t room = d->room ? 2 * d->room : 256;
    int64_t *const more = realloc(d->ns, room * sizeof *more);
    if (!more) return false;
    d->ns = more;
    d->room = room;
  }
  d->ns[d->n++] = ns;
  return true;
}

static int compare(const void *a, const void *b)
{
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static int64_t percentile(const struct durations *d, size_t percent) { return d->ns[(d->n * percent + 99) / 100 - 1]; }

/* Without libm: Newton's method. */
static double square_root(double x)
{
  double root = x > 1 ? x : 1;
  if (x <= 0) return 0;
  for (int i = 0; i < 200 && root - x / root > root * 1e-9; i++) root = (root + x / root) / 2;
  return root;
}

struct summary report_summary(struct durations *d)
{
  struct summary s = {0};
  double squares = 0;

  if (!d->n) return s;
  qsort(d->ns, d->n, sizeof d->ns[0], compare);
  s.min = d->ns[0];
  s.median = percentile(d, 50);
  s.p95 = percentile(d, 95);
  s.p99 = percentile(d, 99);
  s.max = d->ns[d->n - 1];
  for (size_t i = 0; i < d->n; i++) s.mean += (double)d->ns[i] / (double)d->n;
  for (size_t i = 0; i < d->n; i++) squares += ((double)d->ns[i] - s.mean) * ((double)d->ns[i] - s.mean);
  if (d->n > 1) s.stddev = square_root(squares / (double)(d->n - 1));
  return s;
}

/* ---- the report ---- */

void report_free(struct report *r)
{
  free(r->rtt.ns);
  free(r->there.ns);
  free(r->back.ns);
  memset(r, 0, sizeof *r);
}

bool report_add(struct report *r, const struct itw_reply *reply)
{
  r->error_here = reply->e1;
  r->error_there = reply->e2;
  return add(&r->rtt, reply->rtt_ns) && add(&r->there, reply->there_ns) && add(&r->back, reply->back_ns);
}

static uint64_t lost(const struct report *r) { return r->sent - r->rtt.n; }
static bool synchronised(uint16_t estimate) { return estimate >> 15; }

static double ms(int64_t ns) { return (double)ns / 1e6; }
static double us(int64_t ns) { return (double)ns / 1e3; }

/* ---- as text ---- */

void report_print_reply(FILE *f, const struct itw_reply *reply)
{
  static const char *const note[] = {[ITW_REPLY_NEW] = "",
                                     [ITW_REPLY_REORDERED] = "  reordered",
                                     [ITW_REPLY_DUPLICATE] = "  duplicate",
                                     [ITW_REPLY_LATE] = "  too late"};

  fprintf(f, "seq %" PRIu32 "  rtt %.3f ms  there %.3f ms (ttl %u)  back %.3f ms (ttl %u)%s\n", reply->seq,
          ms(reply->rtt_ns), ms(reply->there_ns), reply->ttl_there, ms(reply->back_ns), reply->ttl_back,
          reply->kind <= ITW_REPLY_LATE ? note[reply->kind] : "");
}

static void print_durations(FILE *f, const char *title, struct durations *d)
{
  const struct summary s = report_summary(d);

  if (!d->n) return;
  fprintf(f, "%s min/median/p95/p99/max/mean/stddev %.3f/%.3f/%.3f/%.3f/%.3f/%.3f/%.3f ms, variation %.3f ms\n", title,
          ms(s.min), ms(s.median), ms(s.p95), ms(s.p99), ms(s.max), s.mean / 1e6, s.stddev / 1e6, ms(s.p95 - s.min));
}

static void print_clock(FILE *f, const char *whose, uint16_t estimate)
{
  if (synchronised(estimate))
    fprintf(f, "%s synchronised within %.3f ms", whose, ms((int64_t)itw_error_ns(estimate)));
  else
    fprintf(f, "%s not synchronised", whose);
}

void report_print(FILE *f, struct report *r, const struct report_head *head)
{
  char text[NAMES_TEXT];

  fprintf(f, "--- %s: TWAMP, mode %s, keys from ", head->peer, itw_mode_name(head->mode));
  fputs(head->scheme ? itw_scheme_name(head->scheme) : "nowhere", f);
  if (head->sa.protocol) fprintf(f, " (%s)", names_of_sa(text, &head->sa));
  fprintf(f, "\n%" PRIu64 " sent, %zu received, %" PRIu64 " lost, %" PRIu64 " duplicates, %" PRIu64 " reordered",
          r->sent, r->rtt.n, lost(r), r->duplicates, r->reordered);
  if (r->late) fprintf(f, ", %" PRIu64 " too late", r->late);
  if (r->auth_failures) fprintf(f, ", %" PRIu64 " forged", r->auth_failures);
  if (r->malformed) fprintf(f, ", %" PRIu64 " malformed", r->malformed);
  fputc('\n', f);
  print_durations(f, "rtt  ", &r->rtt);
  print_durations(f, "there", &r->there);
  print_durations(f, "back ", &r->back);
  if (r->rtt.n) {
    print_clock(f, "clocks: here", r->error_here);
    print_clock(f, ", there", r->error_there);
    fputs(synchronised(r->error_here) && synchronised(r->error_there)
              ? "\n"
              : ": one-way delays mean nothing, their variation does\n",
          f);
  }
  if (r->broken) fputs("the control connection broke before the end: these results are invalid\n", f);
}

/* ---- as JSON ---- */

/* A string with what JSON wants escaped. */
static void json_string(FILE *f, const char *text)
{
  fputc('"', f);
  for (; *text; text++) {
    if ((unsigned char)*text < ' ')
      fprintf(f, "\\u%04x", (unsigned)*text);
    else
      fprintf(f, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
  }
  fputc('"', f);
}

static void json_durations(FILE *f, const char *name, struct durations *d)
{
  const struct summary s = report_summary(d);

  if (!d->n) {
    fprintf(
        f,
        ",\"%s\":{\"min\":null,\"median\":null,\"p95\":null,\"p99\":null,\"max\":null,\"mean\":null,\"stddev\":null}",
        name);
    return;
  }
  fprintf(f,
          ",\"%s\":{\"min\":%.3f,\"median\":%.3f,\"p95\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"mean\":%.3f,\"stddev\":%.3f}",
          name, us(s.min), us(s.median), us(s.p95), us(s.p99), us(s.max), s.mean / 1e3, s.stddev / 1e3);
}

static void json_variation(FILE *f, const char *name, struct durations *d)
{
  const struct summary s = report_summary(d);

  if (d->n)
    fprintf(f, "\"%s\":%.3f", name, us(s.p95 - s.min));
  else
    fprintf(f, "\"%s\":null", name);
}

static void json_clock(FILE *f, const char *name, uint16_t estimate)
{
  fprintf(f, ",\"%s\":{\"synchronised\":%s,\"error_us\":%.3f}", name, synchronised(estimate) ? "true" : "false",
          (double)itw_error_ns(estimate) / 1e3);
}

void report_print_json(FILE *f, struct report *r, const struct report_head *head)
{
  char text[NAMES_TEXT];

  fputs("{\"protocol\":\"twamp\"", f);
  fprintf(f, ",\"scheme\":\"%s\",\"mode\":\"%s\",\"peer\":", head->scheme ? itw_scheme_name(head->scheme) : "none",
          itw_mode_name(head->mode));
  json_string(f, head->peer);
  if (head->sa.protocol) fprintf(f, ",\"sa\":\"%s\"", names_of_sa(text, &head->sa));
  fputs(",\"sid\":\"", f);
  for (size_t i = 0; i < sizeof head->sid; i++) fprintf(f, "%02x", head->sid[i]);
  fprintf(f,
          "\",\"valid\":%s,\"sent\":%" PRIu64 ",\"received\":%zu,\"lost\":%" PRIu64 ",\"duplicates\":%" PRIu64
          ",\"reordered\":%" PRIu64 ",\"late\":%" PRIu64 ",\"auth_failures\":%" PRIu64 ",\"malformed\":%" PRIu64,
          r->broken ? "false" : "true", r->sent, r->rtt.n, lost(r), r->duplicates, r->reordered, r->late,
          r->auth_failures, r->malformed);
  json_durations(f, "rtt_us", &r->rtt);
  json_durations(f, "there_us", &r->there);
  json_durations(f, "back_us", &r->back);
  fputs(",\"variation_us\":{", f);
  json_variation(f, "rtt", &r->rtt);
  fputc(',', f);
  json_variation(f, "there", &r->there);
  fputc(',', f);
  json_variation(f, "back", &r->back);
  fputc('}', f);
  json_clock(f, "clock_here", r->error_here);
  json_clock(f, "clock_there", r->error_there);
  fputs("}\n", f);
}
