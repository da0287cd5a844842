/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_VEC_H
#define TESTS_VEC_H

/* Reads the test vectors of tests/vectors (the form is in its README.md). Whatever is wrong, with a file or with how a
   test uses it, is printed with file and line and aborts: a test has nothing to check. Paths are relative to VEC_DIR, a
   macro given with -D. What is returned lives until vec_free. */

#include <stddef.h>
#include <stdint.h>

struct vec;

struct vec_section {
  const char *kind; /* of [kind name] */
  const char *name; /* "" without one */
  const struct vec_pair *pairs;
  size_t count;
  const struct vec *vec;
  size_t line;
};

struct vec *vec_load(const char *relative_path);
void vec_free(struct vec *vec);

/* Sections in the order of the file; NULL at the end. A kind of NULL is any. */
const struct vec_section *vec_first(const struct vec *vec, const char *kind);
const struct vec_section *vec_next(const struct vec *vec, const struct vec_section *prev, const char *kind);

int vec_has(const struct vec_section *section, const char *key);
const char *vec_word(const struct vec_section *section, const char *key); /* NULL if there is no such key */

/* The key must exist, for all three. vec_hex returns the octets written, 0 for an empty value; vec_u64 takes a decimal
   number, vec_be64 up to 8 octets of hex as one number (timestamps, SPIs). */
size_t vec_hex(const struct vec_section *section, const char *key, uint8_t *out, size_t cap);
uint64_t vec_u64(const struct vec_section *section, const char *key);
uint64_t vec_be64(const struct vec_section *section, const char *key);

/* The .vec files of a folder, sorted, each as vec_load takes it ("rfc/rfc2202.vec"). Returns how many; none, or more
   than cap, aborts. */
size_t vec_files(const char *dir, char names[][128], size_t cap);

#endif
