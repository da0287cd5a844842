/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DOOR_H
#define DOOR_H

/* The Unix socket at which O/TWAMP programs ask. The messages are those of <ipsectwamp/strongswan.h>. */

#include "sas.h"

#include <sys/types.h>

enum { DOOR_USERS = 32 };

struct door;

struct door_config {
  const char *path;
  uid_t users[DOOR_USERS]; /* who may ask */
  unsigned n_users;
  gid_t group;             /* (gid_t)-1: none */
  uint32_t max_count;      /* PBKDF2 */
  struct sas *sas;
};

/* NULL: it couldn't be opened; charon's log says why. */
struct door *door_create(const struct door_config *);
void door_destroy(struct door *);
/* To all that are connected; any thread. */
void door_tell(struct door *, const struct itw_source_event *);

#endif
