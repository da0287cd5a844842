/* SPDX-License-Identifier: BSD-3-Clause */
#include <ipsectwamp/error.h>

/* ITW_NO_TEXT leaves the texts out, for firmware; names stay. */
#if defined(ITW_NO_TEXT)
#define TEXT(text) ""
#else
#define TEXT(text) (text)
#endif

static const struct row {
  itw_status status;
  uint32_t class;
  const char *name, *text;
} rows[] = {
#define ROW(status, class, text) {status, ITW_CLASS_##class, #status, TEXT(text)},
#include "status.def"
#undef ROW
};

static const struct row *find(itw_status status)
{
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (rows[i].status == status) return &rows[i];
  return NULL;
}

const char *itw_status_name(itw_status status)
{
  const struct row *row = find(status);
  return row ? row->name : "?";
}

const char *itw_status_text(itw_status status)
{
  const struct row *row = find(status);
  return row ? row->text : TEXT("unknown status");
}

/* An error that this table doesn't know can only be a newer library's or a stray number: nothing a caller can mend. */
uint32_t itw_status_class(itw_status status)
{
  const struct row *row = find(status);
  if (row) return row->class;
  return status >= 0 ? ITW_CLASS_NONE : ITW_CLASS_INTERNAL;
}
