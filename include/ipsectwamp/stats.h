/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_STATS_H
#define ITW_STATS_H

/* What a session's packets say about the path: delays and their variation, loss, duplicates, reordering. In bounded
   memory, however many packets there are; to be asked at any time, while packets still come.

     itw_stats_new(&stats, &config)
     for each reply or record:   itw_sample_from_reply(&sample, &reply), or _from_record
                                 itw_stats_add(stats, &sample)
     itw_stats_sent(stats, n)    so that losses at the end are known
     itw_stats_delays(stats, ITW_STATS_ROUND, &delays) ...

   Exact are counts, minimum and maximum; mean and standard deviation to the nearest ns.

   Percentiles, the median among them, are those of the sorted list (nearest rank: of n values the ceil(n * p)-th). Each
   is within 1/128 (0.8 %) of its own magnitude, or within unit_ns / 2 (struct itw_delays) if that is more. unit_ns is 1,
   which adds nothing, until the configured bins don't suffice; then it doubles. So the 1/128 hold above 64 * unit_ns in
   any case. Packet delay variation has the same promise, measured from the lowest delay, whenever that came: jitter on
   top of a delay, or of a clock's offset, of hours is resolved as finely as jitter alone.

   A bin is an interval of 2^k ns, aligned to its width; those of one direction's delays are kept in a sorted array, which
   serves the delay and its variation. A bin is as wide as 1/64 of its distance from zero and from the minimum allow. A
   new minimum allows wider ones: bins merge, and never have to be split. */

#include <ipsectwamp/record.h>
#include <ipsectwamp/sender.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct itw_stats itw_stats;

enum { ITW_STATS_ONE_WAY = 1 }; /* flag: only from sender to receiver, as OWAMP measures; 72 KB instead of 178 by
                                   default */

struct itw_stats_config {
  uint32_t size;
  uint32_t bins;   /* of each distribution; 16 octets each; 16 to 2^20; 0: 1024. Where values lie densely, 64 serve a
                      factor of two: 1024 reach from 1 us to 65 ms above the minimum. Differences, which have both
                      signs, get twice as many */
  uint32_t window; /* sequence numbers behind the highest, among which duplicates and reordering are told and whose
                      outcome is open; 32 to 2^24, rounded up to a power of two; 0: 512 */
  uint32_t flags;  /* ITW_STATS_* */
};
/* An upper bound of itw_stats_size, for static arrays; `bins` and `window` not 0. */
#define ITW_STATS_BOUND(bins, window) (2048u + 160u * (bins) + 57u * (window))

enum {
  ITW_SAMPLE_ONE_WAY = 1,  /* there_ns alone is set; needs an object with ITW_STATS_ONE_WAY, which takes others too */
  ITW_SAMPLE_LOST = 2,     /* seq was sent, and never arrived */
  ITW_SAMPLE_LATE = 4,     /* it arrived after Timeout: counted, and lost all the same (RFC 4656 §4.2, RFC 5357 §4.1) */
  ITW_SAMPLE_DUPLICATE = 8 /* a further copy, whether the window here still knows that or not */
};
/* What is known of one packet; 40 octets. */
struct itw_sample {
  uint32_t size;
  uint32_t seq;              /* the sender's; from 0; may wrap */
  uint32_t flags;            /* ITW_SAMPLE_* */
  uint16_t error_here;       /* Error Estimates: of the sender's host, */
  uint16_t error_there;      /* and of the reflector's or receiver's */
  int64_t there_ns, back_ns; /* t2 - t1, t4 - t3: one way */
  int64_t rtt_ns;            /* (t4 - t1) - (t3 - t2): round trip without the reflector's time */
};
/* out is set as a whole, its size included. */
ITW_API void itw_sample_from_reply(struct itw_sample *out, const struct itw_reply *);
ITW_API void itw_sample_from_record(struct itw_sample *out, const struct itw_record *);

/* Octets; 0: the config is wrong. */
ITW_API size_t itw_stats_size(const struct itw_stats_config *);
/* ITW_ERR_ARGUMENT, also for memory that isn't aligned; ITW_ERR_TOO_SMALL; ITW_ERR_MEMORY. */
ITW_MUST itw_status itw_stats_init(itw_stats **out, void *memory, size_t len, const struct itw_stats_config *);
ITW_MUST itw_status itw_stats_new(itw_stats **out, const struct itw_stats_config *);
ITW_API void itw_stats_free(itw_stats *);

/* One packet, in the order of arrival. Of copies the first counts (RFC 4737 §3.6). Values beyond 2^61 ns (73 years) are
   taken as that. ITW_ERR_ARGUMENT: unknown flags, or a ONE_WAY sample where both ways are wanted. */
ITW_MUST itw_status itw_stats_add(itw_stats *, const struct itw_sample *);
/* How many packets the sender has dealt with, those left out included: sequence numbers [0, sent). Never goes back, nor
   below what arrived. */
ITW_API void itw_stats_sent(itw_stats *, uint64_t sent);
/* Packets that an OWAMP sender left out (RFC 4656 §3.8): they aren't lost; they neither end a run of losses nor count
   in it. In ascending order, not overlapping; borrowed for as long as the object lives or until others are given, and
   the same all that time. ITW_ERR_STATE: the first begins before the window, where all has been counted already. */
ITW_MUST itw_status itw_stats_skips(itw_stats *, const struct itw_skip *, size_t n);
/* Adds what another object found, of another session: distributions, counts, clocks. What comes later to either stays
   its own. ITW_ERR_ARGUMENT: the same object, or only one is ONE_WAY. */
ITW_MUST itw_status itw_stats_merge(itw_stats *, const itw_stats *other);

/* Distributions, in ns; EXTENT in packets. */
enum {
  ITW_STATS_THERE, /* delay */
  ITW_STATS_BACK,
  ITW_STATS_ROUND,     /* there and back */
  ITW_STATS_PDV_THERE, /* delay above the lowest one (RFC 5481 §4.2); percentiles of it are the single number of §6.5 */
  ITW_STATS_PDV_BACK,
  ITW_STATS_PDV_ROUND,
  ITW_STATS_IPDV_THERE, /* delay of seq less that of seq - 1 (RFC 5481 §4.1), whichever arrived first; none if one of
                           the two is lost, left out, or came after the window */
  ITW_STATS_IPDV_BACK,
  ITW_STATS_IPDV_ROUND,
  ITW_STATS_EXTENT /* of each reordered packet, how many arrivals ago the first of a higher seq was (RFC 4737 §4.2) */
};

/* A one-way delay, and there was a packet without S bit (RFC 4656 §4.1.2) at one of the ends: it means nothing, but its
   variation does. */
enum { ITW_DELAYS_UNSYNCHRONISED = 1 };
struct itw_delays {
  uint32_t size;
  uint32_t flags;   /* ITW_DELAYS_* */
  uint64_t count;
  int64_t min, median, max;
  int64_t mean;
  int64_t stddev;   /* of the sample, n - 1; 0 for a single value */
  uint64_t unit_ns; /* half of it is what percentiles may be off by at least; 1: the bins sufficed */
};
/* ITW_EMPTY: there are none, all is 0. ITW_ERR_ARGUMENT: no such `which`. Both for the next two as well. */
ITW_MUST itw_status itw_stats_delays(const itw_stats *, uint32_t which, struct itw_delays *out);
/* ppm: 500000 is the median, 999000 the 99.9th percentile; 0 is the minimum; at most 1000000. */
ITW_MUST itw_status itw_stats_percentile(const itw_stats *, uint32_t which, uint32_t ppm, int64_t *out);

/* count values in [low, high), which reaches neither below the minimum nor above the maximum; 24 octets. */
struct itw_bin {
  int64_t low, high;
  uint64_t count;
};
/* The i-th bin that isn't empty, from 0, in ascending order. ITW_EMPTY: no more. */
ITW_MUST itw_status itw_stats_bin(const itw_stats *, uint32_t which, uint32_t i, struct itw_bin *out);

/* sent = received + lost + skipped. The mean length of a run of losses is lost / runs. */
struct itw_loss {
  uint32_t size;
  uint32_t mbz;
  uint64_t sent, received, lost, skipped;
  uint64_t tail;       /* of the lost, those after the last that arrived: maybe still under way */
  uint64_t runs;       /* of packets lost one after the other, by seq; the tail is one */
  uint64_t longest;    /* run */
  uint64_t duplicates; /* further copies */
  uint64_t late;       /* arrived after Timeout; lost or duplicates */
  uint64_t beyond;     /* arrived when the window had gone on: counted as lost, or duplicates. Not 0: the window was too
                          small to tell */
};
ITW_MUST itw_status itw_stats_loss(const itw_stats *, struct itw_loss *out);

/* RFC 4737 §4.1 and, in ITW_STATS_EXTENT, §4.2. */
struct itw_reorder {
  uint32_t size;
  uint32_t ratio_ppm;  /* reordered / received, rounded down */
  uint64_t received;   /* first copies */
  uint64_t reordered;  /* after one of a higher seq */
  uint64_t extent_max; /* packets */
  uint64_t beyond;     /* as above: reordered by more than the window, or duplicates; not among the reordered */
};
ITW_MUST itw_status itw_stats_reorder(const itw_stats *, struct itw_reorder *out);

/* Error Estimates of the packets that count, at the sender's host (here) and the other. */
struct itw_clock_errors {
  uint32_t size;
  uint32_t mbz;
  uint16_t last_here, last_there;
  uint16_t worst_here, worst_there; /* of the largest error, by itw_error_ns */
  uint64_t unsynchronised;          /* packets without S bit at one of the ends */
};
ITW_MUST itw_status itw_stats_clocks(const itw_stats *, struct itw_clock_errors *out);

#ifdef __cplusplus
}
#endif
#endif
