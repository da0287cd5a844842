/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_SECRET_H
#define ITWI_SECRET_H

/* Where secrets live and die: guarded memory, wiping, comparison in constant time. secret.c is the only file that knows
   libsodium. Layer 1. */

#include <ipsectwamp/error.h>
#include <stdbool.h>

/* Compares in constant time. */
bool itwi_equal(const uint8_t *a, const uint8_t *b, size_t n);
bool itwi_is_zero(const uint8_t *p, size_t n);

/* Guarded memory for long-lived secrets: one slab (guard pages, locked, canary with libsodium; else malloc and wipe).
   NULL when there is none. */
void *itwi_guarded_new(size_t n);
void itwi_guarded_free(void *p, size_t n);

#endif
