/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "csv.h"

#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <ipsectwamp/conn.h>
#include <stdlib.h>

int csv_open(struct csv *c, const char *path, uint32_t protocol)
{
  *c = (struct csv){.file = fopen(path, "we")};
  if (!c->file) return errno;
  fputs(protocol == ITW_OWAMP ? "direction,seq,kind,sent,received,delay_ns,ttl,error_sender_ns,error_receiver_ns\n"
                              : "seq,kind,sent,received_there,sent_there,received,rtt_ns,there_ns,back_ns,ttl_there,"
                                "ttl_back,tos_back,tos_there\n",
        c->file);
  return 0;
}

/* The era in which we live: NTP's seconds wrap in 2036. */
static void put_time(FILE *f, itw_ntp t)
{
  const uint64_t unix_1970 = itw_ntp_from_unix(0, 0);
  const uint32_t sec = (uint32_t)((t - unix_1970) >> 32);
  fprintf(f, ",%" PRIu32 ".%09" PRIu32, sec, (uint32_t)((t & UINT32_MAX) * NS_PER_S >> 32));
}

static void see(struct csv *c, uint32_t seq)
{
  if (seq >= c->room) {
    uint64_t room = c->room ? c->room : 4096;
    while (room <= seq) room *= 2;
    uint8_t *const more = room <= UINT32_MAX ? realloc(c->seen, room / 8) : NULL;
    if (!more) c->blind = true;
    if (!more) return;
    memset(more + c->room / 8, 0, (room - c->room) / 8);
    c->seen = more;
    c->room = (uint32_t)room;
  }
  c->seen[seq / 8] |= (uint8_t)(1u << seq % 8);
}

void csv_reply(struct csv *c, const struct itw_reply *r)
{
  static const char *const kind[] = {[ITW_REPLY_NEW] = "new",
                                     [ITW_REPLY_REORDERED] = "reordered",
                                     [ITW_REPLY_DUPLICATE] = "duplicate",
                                     [ITW_REPLY_LATE] = "late"};

  if (!c->file) return;
  see(c, r->seq);
  fprintf(c->file, "%" PRIu32 ",%s", r->seq, r->kind <= ITW_REPLY_LATE ? kind[r->kind] : "?");
  put_time(c->file, r->t1);
  put_time(c->file, r->t2);
  put_time(c->file, r->t3);
  put_time(c->file, r->t4);
  fprintf(c->file, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%u,%u,%u,", r->rtt_ns, r->there_ns, r->back_ns, r->ttl_there,
          r->ttl_back, r->tos_back);
  fprintf(c->file, r->flags & ITW_REPLY_TOS ? "%u\n" : "\n", r->tos_there);
}

void csv_record(struct csv *c, const char *direction, const struct itw_record *r)
{
  if (!c->file) return;
  fprintf(c->file, "%s,%" PRIu32 ",%s", direction, r->seq, r->received ? "received" : "lost");
  put_time(c->file, r->sent);
  if (!r->received) {
    fprintf(c->file, ",,,,,%" PRIu64 "\n", itw_error_ns(r->receive_error));
    return;
  }
  put_time(c->file, r->received);
  fprintf(c->file, ",%" PRId64 ",%u,%" PRIu64 ",%" PRIu64 "\n", itw_ntp_diff_ns(r->received, r->sent), r->ttl,
          itw_error_ns(r->send_error), itw_error_ns(r->receive_error));
}

int csv_close(struct csv *c, uint64_t sent)
{
  int error = 0;

  if (!c->file) return 0;
  for (uint64_t seq = 0; seq < sent && !c->blind; seq++)
    if (seq >= c->room || !(c->seen[seq / 8] & 1u << seq % 8)) fprintf(c->file, "%" PRIu64 ",lost,,,,,,,,,,,\n", seq);
  errno = 0;
  if (c->blind) error = ENOMEM;
  if (ferror(c->file)) error = EIO;
  if (fclose(c->file)) error = errno ? errno : EIO;
  free(c->seen);
  *c = (struct csv){0};
  return error;
}
