/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi.h"

itw_status itwi_abi_in(void *dst, size_t dst_size, const void *src, size_t min_size)
{
  const uint8_t *p = src;
  const uint32_t own = (uint32_t)dst_size;

  if (!src) return ITW_ERR_ARGUMENT;
  const size_t size = itwi_abi_size(src);
  if (size < min_size || size > ITWI_ABI_MAX) return ITW_ERR_SIZE;
  for (size_t i = dst_size; i < size; i++)
    if (p[i]) return ITW_ERR_NEWER;

  memset(dst, 0, dst_size);
  memcpy(dst, src, size < dst_size ? size : dst_size);
  memcpy(dst, &own, sizeof own);
  return ITW_OK;
}

itw_status itwi_abi_out(void *dst, const void *src, size_t src_size, size_t min_size)
{
  const size_t head = sizeof(uint32_t);

  if (!dst) return ITW_ERR_ARGUMENT;
  const size_t size = itwi_abi_size(dst);
  if (size < min_size || size < head || size > ITWI_ABI_MAX) return ITW_ERR_SIZE;
  memcpy((uint8_t *)dst + head, (const uint8_t *)src + head, (size < src_size ? size : src_size) - head);
  return ITW_OK;
}

itw_status itwi_abi_readable(const void *s, size_t own_size)
{
  if (!s) return ITW_ERR_ARGUMENT;
  const uint8_t *octets = s;
  const size_t size = itwi_abi_size(s);
  if (size < own_size || size > ITWI_ABI_MAX) return ITW_ERR_SIZE;
  for (size_t i = own_size; i < size; i++)
    if (octets[i]) return ITW_ERR_NEWER;
  return ITW_OK;
}
