/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_ABI_H
#define ITWI_ABI_H

/* Versioned structs across the ABI: a caller compiled against an older or newer header has a smaller or larger struct
   than this library. All of them begin with `uint32_t size`, which is read by memcpy: no assumption on their type.
   Layer 0. */

#include <ipsectwamp/error.h>

/* No struct is ever that large: a size above it is an uninitialised one, and not to be trusted as a length to read. */
enum { ITWI_ABI_MAX = 65536 };

static inline uint32_t itwi_abi_size(const void *s)
{
  uint32_t size;
  memcpy(&size, s, sizeof size);
  return size;
}

/* From a caller's struct to the library's own copy, which has the size dst_size; min_size: what the first version had. */
itw_status itwi_abi_in(void *dst, size_t dst_size, const void *src, size_t min_size);
/* A caller's struct that is only read needs no copy. */
itw_status itwi_abi_readable(const void *s, size_t own_size);
/* From the library's own struct to a caller's: as much as fits; the caller's size stays. */
itw_status itwi_abi_out(void *dst, const void *src, size_t src_size, size_t min_size);

#endif
