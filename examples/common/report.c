/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "reporting.h"

#include "names.h"

#include <inttypes.h>
#include <string.h>

enum { WINDOW_LEAST = 512, WINDOW_MOST = 65536 };

/* ---- collecting ---- */

bool report_open(struct report *r, bool one_way, uint32_t packets)
{
  struct itw_stats_config config;

  ITW_INIT(config);
  config.window = packets < WINDOW_LEAST ? WINDOW_LEAST : packets < WINDOW_MOST ? packets : WINDOW_MOST;
  config.flags = one_way ? ITW_STATS_ONE_WAY : 0;
  r->one_way = one_way;
  return itw_stats_new(&r->stats, &config) == ITW_OK;
}

void report_free(struct report *r)
{
  itw_stats_free(r->stats);
  memset(r, 0, sizeof *r);
}

void report_merge(struct report *r, const struct report *other)
{
  if (itw_stats_merge(r->stats, other->stats) < 0) r->malformed++; /* both are of one kind */
  r->broken |= other->broken;
  r->auth_failures += other->auth_failures;
  r->malformed += other->malformed;
  r->discarded += other->discarded;
  r->tos_known += other->tos_known;
  r->tos_changed += other->tos_changed;
  if (other->tos_known) r->tos_there = other->tos_there;
}

/* Samples made by the library are never refused. */
void report_reply(struct report *r, const struct itw_reply *reply)
{
  struct itw_sample sample;
  itw_sample_from_reply(&sample, reply);
  if (itw_stats_add(r->stats, &sample) < 0) r->malformed++;
  if (!(reply->flags & ITW_REPLY_TOS)) return;
  r->tos_known++;
  r->tos_changed += reply->tos_there != r->tos_sent;
  r->tos_there = reply->tos_there;
}

void report_record(struct report *r, const struct itw_record *record)
{
  struct itw_sample sample;
  itw_sample_from_record(&sample, record);
  if (itw_stats_add(r->stats, &sample) < 0) r->malformed++;
}

/* ---- figures ---- */

struct itw_loss report_loss(const struct report *r)
{
  struct itw_loss loss;
  ITW_INIT(loss);
  if (!r->stats || itw_stats_loss(r->stats, &loss) < 0) ITW_INIT(loss);
  return loss;
}

struct itw_delays report_delays(const struct report *r, uint32_t which)
{
  struct itw_delays delays;
  ITW_INIT(delays);
  if (!r->stats || itw_stats_delays(r->stats, which, &delays) != ITW_OK) ITW_INIT(delays);
  return delays;
}

struct itw_reorder report_reorder(const struct report *r)
{
  struct itw_reorder reorder;
  ITW_INIT(reorder);
  if (!r->stats || itw_stats_reorder(r->stats, &reorder) < 0) ITW_INIT(reorder);
  return reorder;
}

struct itw_clock_errors report_clocks(const struct report *r)
{
  struct itw_clock_errors errors;
  ITW_INIT(errors);
  if (!r->stats || itw_stats_clocks(r->stats, &errors) < 0) ITW_INIT(errors);
  return errors;
}

int64_t report_percentile(const struct report *r, uint32_t which, uint32_t ppm)
{
  int64_t ns = 0;
  return itw_stats_percentile(r->stats, which, ppm, &ns) == ITW_OK ? ns : 0;
}

int64_t report_variation(const struct report *r, uint32_t which)
{
  return report_percentile(r, which - ITW_STATS_THERE + ITW_STATS_PDV_THERE, P95);
}

uint32_t report_main_delay(const struct report *r) { return r->one_way ? ITW_STATS_THERE : ITW_STATS_ROUND; }

/* ---- as text ---- */

static double ms(int64_t ns) { return (double)ns / 1e6; }

void report_print_reply(FILE *f, const struct itw_reply *reply)
{
  static const char *const note[] = {[ITW_REPLY_NEW] = "",
                                     [ITW_REPLY_REORDERED] = "  reordered",
                                     [ITW_REPLY_DUPLICATE] = "  duplicate",
                                     [ITW_REPLY_LATE] = "  too late"};

  fprintf(f, "seq %" PRIu32 "  rtt %.3f ms  there %.3f ms (ttl %u", reply->seq, ms(reply->rtt_ns), ms(reply->there_ns),
          reply->ttl_there);
  if (reply->flags & ITW_REPLY_TOS) fprintf(f, ", dscp %d, ecn %d", reply->tos_there >> 2, reply->tos_there & 3);
  fprintf(f, ")  back %.3f ms (ttl %u)%s\n", ms(reply->back_ns), reply->ttl_back,
          reply->kind <= ITW_REPLY_LATE ? note[reply->kind] : "");
}

void report_print_record(FILE *f, const char *direction, const struct itw_record *r)
{
  if (r->received)
    fprintf(f, "%s  seq %" PRIu32 "  delay %.3f ms (ttl %u)\n", direction, r->seq,
            ms(itw_ntp_diff_ns(r->received, r->sent)), r->ttl);
  else
    fprintf(f, "%s  seq %" PRIu32 "  lost\n", direction, r->seq);
}

static void print_delays(FILE *f, const char *title, const struct report *r, uint32_t which)
{
  const struct itw_delays d = report_delays(r, which);

  if (!d.count) return;
  fprintf(f, "%s min/median/p95/p99/max/mean/stddev %.3f/%.3f/%.3f/%.3f/%.3f/%.3f/%.3f ms, variation %.3f ms\n", title,
          ms(d.min), ms(d.median), ms(report_percentile(r, which, P95)), ms(report_percentile(r, which, P99)),
          ms(d.max), ms(d.mean), ms(d.stddev), ms(report_variation(r, which)));
}

static void print_clock(FILE *f, const char *whose, uint16_t estimate)
{
  if (synchronised(estimate))
    fprintf(f, "%s synchronised within %.3f ms", whose, ms((int64_t)itw_error_ns(estimate)));
  else
    fprintf(f, "%s not synchronised", whose);
}

static void print_clocks(FILE *f, uint16_t here, uint16_t there)
{
  print_clock(f, "clocks: here", here);
  print_clock(f, ", there", there);
  fputs(synchronised(here) && synchronised(there) ? "\n" : ": one-way delays mean nothing, their variation does\n", f);
}

static void print_loss(FILE *f, const struct report *r)
{
  const struct itw_loss loss = report_loss(r);
  const struct itw_reorder order = report_reorder(r);

  fprintf(f, "%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " lost", loss.sent - loss.skipped, loss.received,
          loss.lost);
  if (loss.runs) fprintf(f, " (in %" PRIu64 " runs, the longest %" PRIu64 ")", loss.runs, loss.longest);
  fprintf(f, ", %" PRIu64 " duplicates, %" PRIu64 " reordered", loss.duplicates, order.reordered);
  if (order.reordered) fprintf(f, " (by at most %" PRIu64 ")", order.extent_max);
  if (loss.skipped) fprintf(f, ", %" PRIu64 " never sent", loss.skipped);
  if (loss.late) fprintf(f, ", %" PRIu64 " too late", loss.late);
  if (r->discarded) fprintf(f, ", %" PRIu64 " discarded", r->discarded);
  if (r->auth_failures) fprintf(f, ", %" PRIu64 " forged", r->auth_failures);
  if (r->malformed) fprintf(f, ", %" PRIu64 " malformed", r->malformed);
  if (order.beyond) fprintf(f, ", %" PRIu64 " too far behind to tell", order.beyond);
  fputc('\n', f);
}

/* Rows of a round width up to the 99th percentile, and one for the rest. */
static void print_histogram(FILE *f, const struct report *r)
{
  enum { ROWS = 20, BAR = 50 };
  const uint32_t which = report_main_delay(r);
  const struct itw_delays d = report_delays(r, which);
  uint64_t count[ROWS + 1] = {0}, most = 1;
  int64_t width = 1;
  struct itw_bin bin;

  if (!d.count) return;
  for (int step = 0; (report_percentile(r, which, P99) - d.min) / width >= ROWS; step++)
    width = width * (step % 3 == 1 ? 5 : 4) / 2;
  const int64_t low = d.min - (d.min % width + width) % width; /* rounded down */
  for (uint32_t i = 0; itw_stats_bin(r->stats, which, i, &bin) == ITW_OK; i++) {
    const int64_t row = bin.low > low ? (bin.low - low) / width : 0;
    count[row < ROWS ? row : ROWS] += bin.count;
  }
  for (int i = 0; i <= ROWS; i++) most = count[i] > most ? count[i] : most;
  fprintf(f, "%s, ms\n", r->one_way ? "delay" : "rtt");
  for (int i = 0; i <= ROWS; i++) {
    static const char bar[] = "##################################################";
    if (!count[i]) continue;
    fprintf(f, i < ROWS ? "%10.3f" : "%10.3f and more", ms(low + i * width));
    fprintf(f, "%*s %8" PRIu64 " %.*s\n", i < ROWS ? 9 : 0, "", count[i], (int)((count[i] * BAR + most - 1) / most),
            bar);
  }
}

static void print_head(FILE *f, const struct report_head *head)
{
  char text[NAMES_TEXT];

  fprintf(f, "--- %s: %s, mode %s, keys from ", head->peer, head->protocol == ITW_OWAMP ? "OWAMP" : "TWAMP",
          itw_mode_name(head->mode));
  fputs(head->scheme ? itw_scheme_name(head->scheme) : "nowhere", f);
  if (head->sa.protocol) fprintf(f, " (%s)", names_of_sa(text, &head->sa));
  if (head->features) fprintf(f, ", with %s", names_of_features(text, head->features));
  fputc('\n', f);
}

/* Of a single one there is nothing to add. */
static void print_parts(FILE *f, const struct report_head *head)
{
  char text[NAMES_TEXT];

  for (unsigned i = 0; head->n_parts > 1 && i < head->n_parts; i++) {
    const struct report_part *const p = &head->parts[i];
    fprintf(f, "part %u, %s: %" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " lost\n", i + 1,
            names_of_sa(text, &p->sa), p->sent, p->received, p->lost);
  }
}

static void print_round(FILE *f, const struct report *r, const struct report_head *head)
{
  const struct itw_clock_errors errors = report_clocks(r);

  print_loss(f, r);
  print_parts(f, head);
  print_delays(f, "rtt  ", r, ITW_STATS_ROUND);
  print_delays(f, "there", r, ITW_STATS_THERE);
  print_delays(f, "back ", r, ITW_STATS_BACK);
  if (r->tos_known)
    fprintf(f, "there with DSCP %d, ECN %d; changed on the way: %" PRIu64 "\n", r->tos_there >> 2, r->tos_there & 3,
            r->tos_changed);
  if (report_loss(r).received) print_clocks(f, errors.last_here, errors.last_there);
}

static void print_one_way(FILE *f, const char *title, const struct report *r, bool to)
{
  const struct itw_clock_errors errors = report_clocks(r);

  fprintf(f, "%s: ", title);
  print_loss(f, r);
  print_delays(f, "delay", r, ITW_STATS_THERE);
  if (report_loss(r).received)
    print_clocks(f, to ? errors.last_here : errors.last_there, to ? errors.last_there : errors.last_here);
}

void report_print(FILE *f, const struct report r[REPORTS], const struct report_head *head, bool histogram)
{
  bool broken = false;

  print_head(f, head);
  for (int i = 0; i < REPORTS; i++) {
    if (!r[i].stats) continue;
    if (!r[i].one_way)
      print_round(f, &r[i], head);
    else
      print_one_way(f, i == REPORT_TO ? "to the Server" : "from the Server", &r[i], i == REPORT_TO);
    if (histogram) print_histogram(f, &r[i]);
    broken |= r[i].broken;
  }
  if (broken) fputs("the control connection broke before the end: these results are invalid\n", f);
}
