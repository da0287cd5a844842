/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_VERSION_H
#define ITW_VERSION_H

#include <ipsectwamp/types.h>

/* The build reads the version from here. */
#define ITW_VERSION_MAJOR 0
#define ITW_VERSION_MINOR 1
#define ITW_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

ITW_API uint32_t itw_version(void);            /* major << 16 | minor << 8 | patch of the library that runs */
ITW_API const char *itw_crypto_backend(void);  /* "openssl", "mbedtls" or "none" */
ITW_API const char *itw_secrets_backend(void); /* "sodium" or "plain" */

#ifdef __cplusplus
}
#endif
#endif
