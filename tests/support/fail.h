/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_FAIL_H
#define TESTS_FAIL_H

/* Memory that runs out: the library's malloc and guarded memory (by the linker's --wrap) and libcrypto's. */

#include <stdbool.h>

void fail_install(void);  /* before anything else: libcrypto takes an allocator only before its first use */
void fail_at(long n);     /* the n-th allocation from now on, from 0, and no other fails */
void fail_from(long n);   /* that one and all after it */
bool fail_happened(void); /* whether it came to that; ends it */

#endif
