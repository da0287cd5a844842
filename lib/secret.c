/* SPDX-License-Identifier: BSD-3-Clause */
#include "secret.h"
#include <ipsectwamp/version.h>

/* sodium_malloc puts a block's end at a guard page, so a length that is no multiple of this would be unaligned. */
enum { ALIGN = 16 };

static size_t rounded(size_t n)
{
  if (n > SIZE_MAX - ALIGN) return 0;
  return n ? (n + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
}

#if defined(ITW_SECRETS_SODIUM)
#include <sodium.h>

const char *itw_secrets_backend(void) { return "sodium"; }

void itw_wipe(void *p, size_t n)
{
  if (n) sodium_memzero(p, n);
}

bool itwi_equal(const uint8_t *a, const uint8_t *b, size_t n) { return n == 0 || sodium_memcmp(a, b, n) == 0; }

bool itwi_is_zero(const uint8_t *p, size_t n) { return n == 0 || sodium_is_zero(p, n) == 1; }

/* sodium_init may be called again, by any thread; only this needs it. Its failure means no entropy: no memory, then. */
void *itwi_guarded_new(size_t n)
{
  const size_t room = rounded(n);
  void *p = room && sodium_init() >= 0 ? sodium_malloc(room) : NULL;
  if (p) memset(p, 0, room);
  return p;
}

/* sodium_free checks the canary and wipes. */
void itwi_guarded_free(void *p, size_t n)
{
  (void)n;
  sodium_free(p);
}

#else
#include <stdlib.h>

const char *itw_secrets_backend(void) { return "plain"; }

/* The barrier claims to read the memory after memset, so that no pass, LTO's neither, may call the stores dead. */
void itw_wipe(void *p, size_t n)
{
  if (n == 0) return;
#if defined(__GNUC__)
  memset(p, 0, n);
  __asm__ __volatile__("" : : "r"(p) : "memory");
#else
  for (volatile uint8_t *v = p; n; n--) *v++ = 0;
#endif
}

/* The difference is volatile so that the loop can't be turned into one that leaves early. */
bool itwi_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < n; i++) difference = (uint8_t)(difference | (a[i] ^ b[i]));
  return difference == 0;
}

bool itwi_is_zero(const uint8_t *p, size_t n)
{
  volatile uint8_t bits = 0;
  for (size_t i = 0; i < n; i++) bits = (uint8_t)(bits | p[i]);
  return bits == 0;
}

void *itwi_guarded_new(size_t n)
{
  const size_t room = rounded(n);
  return room ? calloc(1, room) : NULL;
}

void itwi_guarded_free(void *p, size_t n)
{
  if (!p) return;
  itw_wipe(p, n);
  free(p);
}

#endif

void *itw_secret_new(size_t n) { return itwi_guarded_new(n); }
void itw_secret_free(void *p, size_t n) { itwi_guarded_free(p, n); }
