/* SPDX-License-Identifier: BSD-3-Clause */
#include "fail.h"
#include <stddef.h>
#include <stdlib.h>

static long left = -1; /* allocations that still succeed; -1: all do */
static bool happened, for_good;

static bool fails(void)
{
  if (left < 0) return false;
  if (left > 0) {
    left--;
    return false;
  }
  if (!for_good) left = -1;
  happened = true;
  return true;
}

void fail_at(long n)
{
  left = n;
  happened = for_good = false;
}

void fail_from(long n)
{
  fail_at(n);
  for_good = true;
}

bool fail_happened(void)
{
  left = -1;
  return happened;
}

void *__real_malloc(size_t);
void *__wrap_malloc(size_t);
void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }

void *__real_itwi_guarded_new(size_t);
void *__wrap_itwi_guarded_new(size_t);
void *__wrap_itwi_guarded_new(size_t n) { return fails() ? NULL : __real_itwi_guarded_new(n); }

#if defined(ITW_CRYPTO_MBEDTLS) || defined(ITW_CRYPTO_NONE)

void fail_install(void) {}

#else

#include <openssl/crypto.h>

static void *take(size_t n, const char *file, int line)
{
  (void)file;
  (void)line;
  return n && !fails() ? __real_malloc(n) : NULL;
}

static void *again(void *p, size_t n, const char *file, int line)
{
  (void)file;
  (void)line;
  return fails() ? NULL : realloc(p, n);
}

static void give(void *p, const char *file, int line)
{
  (void)file;
  (void)line;
  free(p);
}

void fail_install(void)
{
  if (!CRYPTO_set_mem_functions(take, again, give)) abort();
}

#endif
