/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_SOURCE_H
#define COMMON_SOURCE_H

/* Where keys come from while a program runs: a keys file, which stays as it was read, or a live IPsec, whose SAs come and
   go (<ipsectwamp/source.h>):

     FILE                       passphrases, IKE SAs and IPsec SAs
     xfrm                       the Linux kernel's ESP and AH SAs
     strongswan[:PATH]          charon's IKE SAs, from the plugin ipsectwamp in charon, over its Unix socket
     strongswan:ha[:OURS,CHARONS]   the same from charon's High Availability plugin, over UDP on loopback

   A file with such a name is written ./xfrm. */

#include "keysfile.h"
#include "loop.h"

#include <ipsectwamp/source.h>

struct feed; /* feed.h */

struct source {
  struct keys file;             /* of a FILE */
  const struct feed *feed;      /* of a live IPsec; NULL: a FILE, or nothing */
  void *live;                   /* the feed's own; NULL: not started */
  const char *path;             /* strongswan: the socket; NULL: the library's default */
  struct itw_addr local, remote; /* strongswan:ha; family 0: the library's defaults */
  struct loop *loop;
  struct watch watch;
  struct timer timer;
  bool ready;
  /* It is ready for the first time, or again (source_ready). */
  void (*up)(void *owner);
  /* What happened to an SA. */
  void (*event)(void *owner, const struct itw_source_event *);
  /* A late answer for the connection with this tag, if there still is one. */
  void (*answer)(void *owner, uint64_t tag, const struct itw_answer *);
  void *owner;
};

enum { SOURCE_WHY = KEYS_WHY, SOURCE_TEXT = 512 };

/* From what the user says, `text` being borrowed; a FILE is read. False: why, in one line. */
bool source_read(struct source *, const char *text, char why[SOURCE_WHY]);
bool source_read_file(struct source *, const char *path, char why[SOURCE_WHY]); /* FILE, whatever its name */
bool source_is_live(const struct source *);
/* The schemes of a live IPsec: chooses what it usually serves if nothing is chosen. NULL, or what is wrong with the choice. */
const char *source_schemes(const struct source *, uint32_t *schemes);

/* Opens what is live; the handlers that are wanted are set before, or afterwards. False: why. */
bool source_start(struct source *, struct loop *, char why[SOURCE_WHY]);
/* After each turn of the loop: tells events and answers. */
void source_turn(struct source *);
void source_close(struct source *); /* wipes */

/* All SAs that there are have been read, as far as one can know, or will be within *settle_ns. */
bool source_ready(const struct source *, uint64_t *settle_ns);
/* For a server or client config; borrows the source. */
struct itw_keys source_keys(const struct source *);

/* ---- in words, one line without newline ---- */

/* "the kernel's SAs (12 there, 6 pairs)" */
const char *source_place(char text[SOURCE_TEXT], const struct source *);
/* "SA rekeyed: IKE SA ..., now IKE SA ..." */
const char *source_news(char text[SOURCE_TEXT], const struct itw_source_event *);
/* What was looked for, and where, when a connection failed; goes behind the reason. "": it had nothing to do with SAs. */
const char *source_sought(char text[SOURCE_TEXT], const struct source *, const struct itw_detail *,
                          const struct itw_addr *local, const struct itw_addr *remote);

#endif
