/* SPDX-License-Identifier: BSD-3-Clause */
#include <ipsectwamp/version.h>

/* The names of the backends are in crypto_*.c and secret.c: what was linked answers. */

uint32_t itw_version(void)
{
  return (uint32_t)ITW_VERSION_MAJOR << 16 | (uint32_t)ITW_VERSION_MINOR << 8 | (uint32_t)ITW_VERSION_PATCH;
}
