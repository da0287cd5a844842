/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_CSV_H
#define COMMON_CSV_H

/* A file with a row for each packet, numbered through over all parts of a measurement. Times are seconds since 1970 with nine
   decimals. */

#include <ipsectwamp/record.h>
#include <ipsectwamp/sender.h>
#include <stdbool.h>
#include <stdio.h>

struct csv {
  FILE *file;       /* NULL: none */
  uint8_t *seen;    /* TWAMP: a bit for each sequence number that was replied to */
  uint32_t room;    /* of its bits */
  bool blind;       /* there was no memory for them */
};

/* protocol: ITW_TWAMP, ITW_OWAMP. 0, or an errno. */
int csv_open(struct csv *, const char *path, uint32_t protocol);
void csv_reply(struct csv *, const struct itw_reply *);
void csv_record(struct csv *, const char *direction, const struct itw_record *);
/* TWAMP: a row for each of the `sent` packets that no reply came to. 0, or an errno: not all is written. */
int csv_close(struct csv *, uint64_t sent);

#endif
