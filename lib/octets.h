/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_OCTETS_H
#define ITWI_OCTETS_H

/* Network order in and out of octets, and cursors that can't leave their buffer. Layer 0. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t itwi_load16(const uint8_t *p) { return (uint16_t)((unsigned)p[0] << 8 | p[1]); }
static inline uint32_t itwi_load32(const uint8_t *p)
{
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t itwi_load64(const uint8_t *p) { return (uint64_t)itwi_load32(p) << 32 | itwi_load32(p + 4); }

static inline void itwi_store16(uint8_t *p, uint16_t v)
{
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}
static inline void itwi_store32(uint8_t *p, uint32_t v)
{
  p[0] = (uint8_t)(v >> 24);
  p[1] = (uint8_t)(v >> 16);
  p[2] = (uint8_t)(v >> 8);
  p[3] = (uint8_t)v;
}
static inline void itwi_store64(uint8_t *p, uint64_t v)
{
  itwi_store32(p, (uint32_t)(v >> 32));
  itwi_store32(p + 4, (uint32_t)v);
}

/* Reading: a get beyond the end yields zeros and latches `bad`; decoders look once, at the end. */
struct itwi_reader {
  const uint8_t *p;
  size_t left;
  bool bad;
};

static inline struct itwi_reader itwi_reader(const uint8_t *p, size_t n) { return (struct itwi_reader){p, n, false}; }

static inline const uint8_t *itwi_take(struct itwi_reader *r, size_t n)
{
  const uint8_t *at = r->p;
  if (r->bad || n > r->left) {
    r->bad = true;
    return NULL;
  }
  r->p += n;
  r->left -= n;
  return at;
}
static inline uint8_t itwi_get8(struct itwi_reader *r)
{
  const uint8_t *p = itwi_take(r, 1);
  return p ? p[0] : 0;
}
static inline uint16_t itwi_get16(struct itwi_reader *r)
{
  const uint8_t *p = itwi_take(r, 2);
  return p ? itwi_load16(p) : 0;
}
static inline uint32_t itwi_get32(struct itwi_reader *r)
{
  const uint8_t *p = itwi_take(r, 4);
  return p ? itwi_load32(p) : 0;
}
static inline uint64_t itwi_get64(struct itwi_reader *r)
{
  const uint8_t *p = itwi_take(r, 8);
  return p ? itwi_load64(p) : 0;
}
static inline void itwi_get(struct itwi_reader *r, uint8_t *out, size_t n)
{
  const uint8_t *p = itwi_take(r, n);
  if (p)
    memcpy(out, p, n);
  else
    memset(out, 0, n);
}
static inline void itwi_skip(struct itwi_reader *r, size_t n) { (void)itwi_take(r, n); }

/* Writing: a put beyond the end writes nothing and latches `bad`. MBZ is written, never left. */
struct itwi_writer {
  uint8_t *p;
  size_t left;
  bool bad;
};

static inline struct itwi_writer itwi_writer(uint8_t *p, size_t n) { return (struct itwi_writer){p, n, false}; }

static inline uint8_t *itwi_room(struct itwi_writer *w, size_t n)
{
  uint8_t *at = w->p;
  if (w->bad || n > w->left) {
    w->bad = true;
    return NULL;
  }
  w->p += n;
  w->left -= n;
  return at;
}
static inline void itwi_put8(struct itwi_writer *w, uint8_t v)
{
  uint8_t *p = itwi_room(w, 1);
  if (p) p[0] = v;
}
static inline void itwi_put16(struct itwi_writer *w, uint16_t v)
{
  uint8_t *p = itwi_room(w, 2);
  if (p) itwi_store16(p, v);
}
static inline void itwi_put32(struct itwi_writer *w, uint32_t v)
{
  uint8_t *p = itwi_room(w, 4);
  if (p) itwi_store32(p, v);
}
static inline void itwi_put64(struct itwi_writer *w, uint64_t v)
{
  uint8_t *p = itwi_room(w, 8);
  if (p) itwi_store64(p, v);
}
static inline void itwi_put(struct itwi_writer *w, const uint8_t *in, size_t n)
{
  uint8_t *p = itwi_room(w, n);
  if (p && n) memcpy(p, in, n);
}
static inline void itwi_put_mbz(struct itwi_writer *w, size_t n)
{
  uint8_t *p = itwi_room(w, n);
  if (p && n) memset(p, 0, n);
}

#endif
