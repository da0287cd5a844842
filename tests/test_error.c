/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "abi.h"
#include <ipsectwamp/error.h>
#include <ipsectwamp/version.h>
#include <stdio.h>
#include <stdlib.h>

/* error.h is the list that the table is judged by: its constants, their numbers, and the comment above each group,
   which begins with the class. */
struct listed {
  char name[40];
  itw_status status;
  uint32_t class;
};

static struct listed listed[128];
static size_t count;

static int read_header(void **state)
{
  static const char *const words[] = {"", "usage", "resource", "peer", "auth", "key", "internal"};
  FILE *f = fopen(ITW_SOURCE_ROOT "/include/ipsectwamp/error.h", "r");
  char line[256], word[16];
  uint32_t class = ITW_CLASS_NONE;

  (void)state;
  if (!f) return -1;
  while (fgets(line, sizeof line, f) && count < 128) {
    struct listed *l = &listed[count];
    int status;
    if (sscanf(line, "  /* %15[a-z]:", word) == 1)
      for (uint32_t i = 1; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0) class = i;
    if (sscanf(line, "  %39[A-Z_] = %d", l->name, &status) != 2) continue;
    l->status = status;
    l->class = class;
    count++;
  }
  fclose(f);
  return count > 50 ? 0 : -1;
}

static const struct listed *find(itw_status status)
{
  for (size_t i = 0; i < count; i++)
    if (listed[i].status == status) return &listed[i];
  return NULL;
}

static void numbers_are_unique(void **state)
{
  (void)state;
  for (size_t i = 0; i < count; i++) {
    if (find(listed[i].status) != &listed[i]) fail_msg("%s has another's number", listed[i].name);
    assert_int_equal(strncmp(listed[i].name, "ITW_ERR_", 8) == 0, listed[i].status < 0);
  }
}

static void each_has_name_class_and_text(void **state)
{
  (void)state;
  for (size_t i = 0; i < count; i++) {
    const struct listed *l = &listed[i];
    const char *text = itw_status_text(l->status);
    assert_string_equal(itw_status_name(l->status), l->name);
    if (itw_status_class(l->status) != l->class) fail_msg("%s has another class", l->name);
    if (strlen(text) < 5 || strlen(text) > 90 || strchr(text, '\n')) fail_msg("%s: %s", l->name, text);
    for (size_t j = 0; j < i; j++) assert_string_not_equal(text, itw_status_text(listed[j].status));
  }
}

static void others_are_unknown(void **state)
{
  (void)state;
  for (itw_status s = -1000; s < 1000; s++) {
    if (find(s)) continue;
    assert_string_equal(itw_status_name(s), "?");
    assert_string_equal(itw_status_text(s), "unknown status");
    assert_int_equal(itw_status_class(s), s < 0 ? ITW_CLASS_INTERNAL : ITW_CLASS_NONE);
  }
  assert_string_equal(itw_status_name(INT32_MIN), "?");
  assert_string_equal(itw_status_name(INT32_MAX), "?");
}

static void version_is_the_headers(void **state)
{
  (void)state;
  assert_int_equal(itw_version(), ITW_VERSION_MAJOR << 16 | ITW_VERSION_MINOR << 8 | ITW_VERSION_PATCH);
}

/* -------- versioned structs (abi.h) -------- */

struct first {
  uint32_t size, a;
};
struct second {
  uint32_t size, a, b;
};
struct third {
  uint32_t size, a, b, c;
};

static void an_older_struct_is_filled_up(void **state)
{
  const struct first in = {sizeof in, 7};
  struct second out = {99, 99, 99};
  (void)state;
  assert_int_equal(itwi_abi_in(&out, sizeof out, &in, sizeof(struct first)), ITW_OK);
  assert_int_equal(out.size, sizeof out);
  assert_int_equal(out.a, 7);
  assert_int_equal(out.b, 0);
}

static void a_newer_struct_is_taken_if_its_tail_is_zero(void **state)
{
  struct third in = {sizeof in, 7, 8, 0};
  struct second out;
  (void)state;
  assert_int_equal(itwi_abi_in(&out, sizeof out, &in, sizeof(struct first)), ITW_OK);
  assert_int_equal(out.size, sizeof out);
  assert_int_equal(out.b, 8);
  in.c = 0x01000000;
  assert_int_equal(itwi_abi_in(&out, sizeof out, &in, sizeof(struct first)), ITW_ERR_NEWER);
  in.c = 1;
  assert_int_equal(itwi_abi_in(&out, sizeof out, &in, sizeof(struct first)), ITW_ERR_NEWER);
}

static void sizes_out_of_range_are_refused(void **state)
{
  struct second in = {0}, out = {0};
  void *volatile hidden = &in; /* or gcc warns that the size is a lie */
  const uint32_t bad[] = {0, 3, 4, 7, ITWI_ABI_MAX + 1, UINT32_MAX};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    in.size = bad[i];
    assert_int_equal(itwi_abi_in(&out, sizeof out, hidden, sizeof(struct first)), ITW_ERR_SIZE);
    assert_int_equal(itwi_abi_out(hidden, &out, sizeof out, sizeof(struct first)), ITW_ERR_SIZE);
  }
  assert_int_equal(itwi_abi_in(&out, sizeof out, NULL, sizeof(struct first)), ITW_ERR_ARGUMENT);
  assert_int_equal(itwi_abi_out(NULL, &out, sizeof out, sizeof(struct first)), ITW_ERR_ARGUMENT);
}

static void outputs_write_what_fits(void **state)
{
  const struct second own = {sizeof own, 7, 8};
  struct first older[2] = {{sizeof(struct first), 0}, {55, 55}};
  struct third newer = {sizeof newer, 0, 0, 66};
  (void)state;
  assert_int_equal(itwi_abi_out(&older[0], &own, sizeof own, sizeof(struct first)), ITW_OK);
  assert_int_equal(older[0].size, sizeof(struct first));
  assert_int_equal(older[0].a, 7);
  assert_int_equal(older[1].size, 55);
  assert_int_equal(itwi_abi_out(&newer, &own, sizeof own, sizeof(struct first)), ITW_OK);
  assert_int_equal(newer.size, sizeof newer);
  assert_int_equal(newer.b, 8);
  assert_int_equal(newer.c, 66);
}

/* A caller's struct may be anywhere: a binding's buffer, a mapped file. */
static void alignment_does_not_matter(void **state)
{
  uint8_t octets[1 + sizeof(struct second)];
  const struct second in = {sizeof in, 7, 8};
  struct second out;
  (void)state;
  memcpy(octets + 1, &in, sizeof in);
  assert_int_equal(itwi_abi_in(&out, sizeof out, octets + 1, sizeof in), ITW_OK);
  assert_memory_equal(&out, &in, sizeof in);
  out.b = 9;
  assert_int_equal(itwi_abi_out(octets + 1, &out, sizeof out, sizeof in), ITW_OK);
  assert_memory_equal(octets + 1, &out, sizeof out);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_are_unique),
      cmocka_unit_test(each_has_name_class_and_text),
      cmocka_unit_test(others_are_unknown),
      cmocka_unit_test(version_is_the_headers),
      cmocka_unit_test(an_older_struct_is_filled_up),
      cmocka_unit_test(a_newer_struct_is_taken_if_its_tail_is_zero),
      cmocka_unit_test(sizes_out_of_range_are_refused),
      cmocka_unit_test(outputs_write_what_fits),
      cmocka_unit_test(alignment_does_not_matter),
  };
  return cmocka_run_group_tests_name("error", tests, read_header, NULL);
}
