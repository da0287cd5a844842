/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SAS_H
#define SAS_H

/* charon's SAs in a ring of keys. */

#include <ipsectwamp/key.h>
#include <ipsectwamp/source.h>
#include <stdbool.h>

struct sas;

struct sas_config {
  uint32_t capacity, schemes;
  /* Told of each change, from within charon's threads; must not wait, nor call back. */
  void (*tell)(void *owner, const struct itw_source_event *);
  void *owner;
};

/* NULL: no memory. It listens once it is registered with charon's bus. */
struct sas *sas_create(const struct sas_config *);
void sas_destroy(struct sas *);
void sas_listen(struct sas *, bool on);
/* From the ring; any thread. */
itw_status sas_answer(struct sas *, const struct itw_ask *, struct itw_answer *out);
uint32_t sas_count(struct sas *, uint32_t *child_sas);

#endif
