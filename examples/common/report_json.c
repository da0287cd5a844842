/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "reporting.h"

#include "names.h"

#include <inttypes.h>

static double us(int64_t ns) { return (double)ns / 1e3; }

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

static void json_delays(FILE *f, const char *name, const struct report *r, uint32_t which)
{
  const struct itw_delays d = report_delays(r, which);

  if (!d.count) {
    fprintf(
        f,
        ",\"%s\":{\"min\":null,\"median\":null,\"p95\":null,\"p99\":null,\"max\":null,\"mean\":null,\"stddev\":null}",
        name);
    return;
  }
  fprintf(f,
          ",\"%s\":{\"min\":%.3f,\"median\":%.3f,\"p95\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"mean\":%.3f,\"stddev\":%.3f}",
          name, us(d.min), us(d.median), us(report_percentile(r, which, P95)), us(report_percentile(r, which, P99)),
          us(d.max), us(d.mean), us(d.stddev));
}

static void json_variation(FILE *f, const char *name, const struct report *r, uint32_t which)
{
  if (report_delays(r, which).count)
    fprintf(f, "\"%s\":%.3f", name, us(report_variation(r, which)));
  else
    fprintf(f, "\"%s\":null", name);
}

static void json_clock(FILE *f, const char *name, uint16_t estimate)
{
  fprintf(f, ",\"%s\":{\"synchronised\":%s,\"error_us\":%.3f}", name, synchronised(estimate) ? "true" : "false",
          (double)itw_error_ns(estimate) / 1e3);
}

static void json_sid(FILE *f, const uint8_t sid[16])
{
  fputs("\"sid\":\"", f);
  for (size_t i = 0; i < 16; i++) fprintf(f, "%02x", sid[i]);
  fputc('"', f);
}

static void json_counts(FILE *f, const struct report *r)
{
  const struct itw_loss loss = report_loss(r);
  const struct itw_reorder order = report_reorder(r);

  json_sid(f, r->sid);
  fprintf(f,
          ",\"valid\":%s,\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"skipped\":%" PRIu64
          ",\"loss_runs\":%" PRIu64 ",\"longest_loss\":%" PRIu64 ",\"duplicates\":%" PRIu64 ",\"reordered\":%" PRIu64
          ",\"reorder_extent_max\":%" PRIu64 ",\"late\":%" PRIu64 ",\"discarded\":%" PRIu64
          ",\"auth_failures\":%" PRIu64 ",\"malformed\":%" PRIu64,
          r->broken ? "false" : "true", loss.sent - loss.skipped, loss.received, loss.lost, loss.skipped, loss.runs,
          loss.longest, loss.duplicates, order.reordered, order.extent_max, loss.late, r->discarded, r->auth_failures,
          r->malformed);
}

static void json_histogram(FILE *f, const struct report *r)
{
  struct itw_bin bin;

  fputs(",\"histogram_us\":[", f);
  for (uint32_t i = 0; itw_stats_bin(r->stats, report_main_delay(r), i, &bin) == ITW_OK; i++)
    fprintf(f, "%s[%.3f,%.3f,%" PRIu64 "]", i ? "," : "", us(bin.low), us(bin.high), bin.count);
  fputc(']', f);
}

static void json_round(FILE *f, const struct report *r)
{
  const struct itw_clock_errors errors = report_clocks(r);

  fputc(',', f);
  json_counts(f, r);
  json_delays(f, "rtt_us", r, ITW_STATS_ROUND);
  json_delays(f, "there_us", r, ITW_STATS_THERE);
  json_delays(f, "back_us", r, ITW_STATS_BACK);
  fputs(",\"variation_us\":{", f);
  json_variation(f, "rtt", r, ITW_STATS_ROUND);
  fputc(',', f);
  json_variation(f, "there", r, ITW_STATS_THERE);
  fputc(',', f);
  json_variation(f, "back", r, ITW_STATS_BACK);
  fputc('}', f);
  if (r->tos_known)
    fprintf(f, ",\"there\":{\"dscp\":%d,\"ecn\":%d,\"changed\":%" PRIu64 "}", r->tos_there >> 2, r->tos_there & 3,
            r->tos_changed);
  json_clock(f, "clock_here", errors.last_here);
  json_clock(f, "clock_there", errors.last_there);
}

static void json_parts(FILE *f, const struct report_head *head)
{
  char text[NAMES_TEXT];

  fputs(",\"parts\":[", f);
  for (unsigned i = 0; i < head->n_parts; i++) {
    const struct report_part *const p = &head->parts[i];
    fputs(i ? ",{" : "{", f);
    if (p->sa.protocol) fprintf(f, "\"sa\":\"%s\",", names_of_sa(text, &p->sa));
    json_sid(f, p->sid);
    fprintf(f, ",\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"lost\":%" PRIu64 "}", p->sent, p->received, p->lost);
  }
  fputc(']', f);
}

static void json_one_way(FILE *f, const char *name, const struct report *r, bool histogram)
{
  const struct itw_clock_errors errors = report_clocks(r);

  fprintf(f, ",\"%s\":{", name);
  json_counts(f, r);
  json_delays(f, "delay_us", r, ITW_STATS_THERE);
  fputc(',', f);
  json_variation(f, "variation_us", r, ITW_STATS_THERE);
  json_clock(f, "clock_sender", errors.last_here);
  json_clock(f, "clock_receiver", errors.last_there);
  if (histogram) json_histogram(f, r);
  fputc('}', f);
}

/* What is true of both directions together, under the names that TWAMP's members have. */
static void json_sums(FILE *f, const struct report r[REPORTS])
{
  const struct itw_loss to = report_loss(&r[REPORT_TO]), from = report_loss(&r[REPORT_FROM]);

  fputc(',', f);
  json_sid(f, r[REPORT_TO].stats ? r[REPORT_TO].sid : r[REPORT_FROM].sid);
  fprintf(f,
          ",\"valid\":%s,\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"duplicates\":%" PRIu64
          ",\"reordered\":%" PRIu64 ",\"auth_failures\":%" PRIu64,
          r[REPORT_TO].broken || r[REPORT_FROM].broken ? "false" : "true",
          to.sent - to.skipped + from.sent - from.skipped, to.received + from.received, to.lost + from.lost,
          to.duplicates + from.duplicates,
          report_reorder(&r[REPORT_TO]).reordered + report_reorder(&r[REPORT_FROM]).reordered,
          r[REPORT_TO].auth_failures + r[REPORT_FROM].auth_failures);
  json_delays(f, "rtt_us", &(struct report){0}, ITW_STATS_ROUND);
}

void report_print_json(FILE *f, const struct report r[REPORTS], const struct report_head *head, bool histogram)
{
  char text[NAMES_TEXT];

  fprintf(f, "{\"protocol\":\"%s\"", itw_protocol_name(head->protocol));
  fprintf(f, ",\"scheme\":\"%s\",\"mode\":\"%s\",\"peer\":", head->scheme ? itw_scheme_name(head->scheme) : "none",
          itw_mode_name(head->mode));
  json_string(f, head->peer);
  if (head->sa.protocol) fprintf(f, ",\"sa\":\"%s\"", names_of_sa(text, &head->sa));
  fputs(",\"features\":\"", f);
  if (head->features) fputs(names_of_features(text, head->features), f);
  fputc('"', f);
  if (head->protocol == ITW_TWAMP) {
    json_round(f, &r[REPORT_ROUND]);
    json_parts(f, head);
    if (histogram) json_histogram(f, &r[REPORT_ROUND]);
  } else {
    json_sums(f, r);
    if (r[REPORT_TO].stats) json_one_way(f, "to", &r[REPORT_TO], histogram);
    if (r[REPORT_FROM].stats) json_one_way(f, "from", &r[REPORT_FROM], histogram);
  }
  fputs("}\n", f);
}
