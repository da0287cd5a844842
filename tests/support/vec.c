/* SPDX-License-Identifier: BSD-3-Clause */
#define _POSIX_C_SOURCE 200809L /* opendir */
#include "vec.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VEC_DIR
#error "VEC_DIR must name the folder of the vectors: -DVEC_DIR='\"tests/vectors\"'"
#endif

struct vec_pair {
  const char *key, *value;
};

/* The file's text is cut up in place; everything else points into it. */
struct vec {
  char path[1024];
  char *text;
  struct vec_pair *pairs;
  struct vec_section *sections;
  size_t pair_count, section_count;
};

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static _Noreturn void fail(const char *path, size_t line, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  fprintf(stderr, "%s:%zu: ", path, line);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  abort();
}

static void set_path(char *path, size_t cap, const char *relative_path)
{
  int n = snprintf(path, cap, "%s/%s", VEC_DIR, relative_path);
  if (n < 0 || (size_t)n >= cap) fail(relative_path, 0, "the path is too long");
}

static void *must_alloc(const char *path, size_t count, size_t size)
{
  void *p = calloc(count, size);
  if (!p) fail(path, 0, "no memory");
  return p;
}

/* The whole file, and a NUL. */
static char *read_file(const char *path)
{
  FILE *f = fopen(path, "rb");
  if (!f) fail(path, 0, "%s", strerror(errno));
  long size = fseek(f, 0, SEEK_END) ? -1 : ftell(f);
  if (size < 0 || fseek(f, 0, SEEK_SET)) fail(path, 0, "%s", strerror(errno));
  char *text = must_alloc(path, (size_t)size + 1, 1);
  if (fread(text, 1, (size_t)size, f) != (size_t)size) fail(path, 0, "can't be read");
  fclose(f);
  if (strlen(text) != (size_t)size) fail(path, 0, "has a NUL in it");
  return text;
}

static size_t count_lines(const char *text)
{
  size_t n = 1;
  for (; *text; text++) n += *text == '\n';
  return n;
}

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* Cuts blanks off both ends. */
static char *trim(char *s)
{
  while (is_blank(*s)) s++;
  size_t n = strlen(s);
  while (n && is_blank(s[n - 1])) n--;
  s[n] = '\0';
  return s;
}

/* [kind] or [kind name] */
static void add_section(struct vec *vec, char *s, size_t line)
{
  size_t n = strlen(s);
  if (n < 3 || s[n - 1] != ']') fail(vec->path, line, "not a section: %s", s);
  s[n - 1] = '\0';
  char *kind = trim(s + 1), *blank = strchr(kind, ' ');
  if (blank) *blank = '\0';
  if (!*kind) fail(vec->path, line, "a section without a kind");
  vec->sections[vec->section_count++] = (struct vec_section){
      .kind = kind,
      .name = blank ? trim(blank + 1) : "",
      .pairs = vec->pairs + vec->pair_count,
      .vec = vec,
      .line = line,
  };
}

/* key = value; the value may be empty. */
static void add_pair(struct vec *vec, char *s, size_t line)
{
  char *equals = strchr(s, '=');
  if (!equals) fail(vec->path, line, "neither section nor key = value: %s", s);
  *equals = '\0';
  struct vec_pair pair = {trim(s), trim(equals + 1)};
  if (!*pair.key) fail(vec->path, line, "a value without a key");
  if (!vec->section_count) fail(vec->path, line, "%s stands before the first section", pair.key);
  struct vec_section *section = &vec->sections[vec->section_count - 1];
  if (vec_has(section, pair.key)) fail(vec->path, line, "%s stands twice in [%s]", pair.key, section->kind);
  vec->pairs[vec->pair_count++] = pair;
  section->count++;
}

struct vec *vec_load(const char *relative_path)
{
  struct vec *vec = must_alloc(relative_path, 1, sizeof *vec);
  set_path(vec->path, sizeof vec->path, relative_path);
  vec->text = read_file(vec->path);
  size_t lines = count_lines(vec->text), line = 1;
  vec->pairs = must_alloc(vec->path, lines, sizeof *vec->pairs);
  vec->sections = must_alloc(vec->path, lines, sizeof *vec->sections);

  for (char *s = vec->text, *next; s; s = next, line++) {
    next = strchr(s, '\n');
    if (next) *next++ = '\0';
    s = trim(s);
    if (*s == '[')
      add_section(vec, s, line);
    else if (*s && *s != '#')
      add_pair(vec, s, line);
  }
  if (!vec->section_count) fail(vec->path, line, "no section in it");
  return vec;
}

void vec_free(struct vec *vec)
{
  if (!vec) return;
  free(vec->sections);
  free(vec->pairs);
  free(vec->text);
  free(vec);
}

const struct vec_section *vec_first(const struct vec *vec, const char *kind) { return vec_next(vec, NULL, kind); }

const struct vec_section *vec_next(const struct vec *vec, const struct vec_section *prev, const char *kind)
{
  const struct vec_section *end = vec->sections + vec->section_count;
  for (const struct vec_section *s = prev ? prev + 1 : vec->sections; s < end; s++)
    if (!kind || !strcmp(s->kind, kind)) return s;
  return NULL;
}

const char *vec_word(const struct vec_section *section, const char *key)
{
  for (size_t i = 0; i < section->count; i++)
    if (!strcmp(section->pairs[i].key, key)) return section->pairs[i].value;
  return NULL;
}

int vec_has(const struct vec_section *section, const char *key) { return vec_word(section, key) != NULL; }

/* Blames the value on the section that it stands in. */
static _Noreturn void fail_value(const struct vec_section *section, const char *key, const char *why)
{
  const char *gap = *section->name ? " " : "";
  fail(section->vec->path, section->line, "[%s%s%s] %s: %s", section->kind, gap, section->name, key, why);
}

static const char *must_word(const struct vec_section *section, const char *key)
{
  const char *word = vec_word(section, key);
  if (!word) fail_value(section, key, "is missing");
  return word;
}

/* A digit's value, 16 if it is none. Capitals are none: the vectors have one form. */
static unsigned nibble(char c)
{
  static const char digits[] = "0123456789abcdef";
  const char *at = c ? strchr(digits, c) : NULL;
  return at ? (unsigned)(at - digits) : 16;
}

size_t vec_hex(const struct vec_section *section, const char *key, uint8_t *out, size_t cap)
{
  const char *s = must_word(section, key);
  size_t n = strlen(s) / 2;
  if (strlen(s) % 2) fail_value(section, key, "has an odd number of hex digits");
  if (n > cap) fail_value(section, key, "is longer than the test's buffer");
  for (size_t i = 0; i < n; i++) {
    unsigned high = nibble(s[2 * i]), low = nibble(s[2 * i + 1]);
    if (high > 15 || low > 15) fail_value(section, key, "is not lower-case hex");
    out[i] = (uint8_t)(high << 4 | low);
  }
  return n;
}

uint64_t vec_u64(const struct vec_section *section, const char *key)
{
  const char *s = must_word(section, key);
  uint64_t v = 0;
  if (!*s) fail_value(section, key, "is empty");
  for (; *s; s++) {
    unsigned digit = nibble(*s);
    if (digit > 9) fail_value(section, key, "is not a decimal number");
    if (v > (UINT64_MAX - digit) / 10) fail_value(section, key, "is beyond 64 bits");
    v = v * 10 + digit;
  }
  return v;
}

uint64_t vec_be64(const struct vec_section *section, const char *key)
{
  uint8_t octets[8];
  size_t n = vec_hex(section, key, octets, sizeof octets);
  uint64_t v = 0;
  if (!n) fail_value(section, key, "is empty");
  for (size_t i = 0; i < n; i++) v = v << 8 | octets[i];
  return v;
}

static int compare_names(const void *a, const void *b) { return strcmp(a, b); }

static int is_vec(const char *name)
{
  size_t n = strlen(name);
  return n > 4 && !strcmp(name + n - 4, ".vec");
}

size_t vec_files(const char *dir, char names[][128], size_t cap)
{
  char path[1024];
  size_t count = 0;
  set_path(path, sizeof path, dir);
  DIR *d = opendir(path);
  if (!d) fail(path, 0, "%s", strerror(errno));
  for (const struct dirent *e; (e = readdir(d));) {
    if (!is_vec(e->d_name)) continue;
    if (count == cap) fail(path, 0, "holds more than the test's %zu files", cap);
    int n = snprintf(names[count], sizeof names[count], "%s/%s", dir, e->d_name);
    if (n < 0 || (size_t)n >= sizeof names[count]) fail(path, 0, "the name is too long: %s", e->d_name);
    count++;
  }
  closedir(d);
  if (!count) fail(path, 0, "holds no .vec file");
  qsort(names, count, sizeof names[0], compare_names);
  return count;
}
