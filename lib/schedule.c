/* SPDX-License-Identifier: BSD-3-Clause */
#include "schedule.h"

/* RFC 4656 §5. Numbers are 64 bits: seconds 32, fraction 32. */

enum { WORDS = sizeof((struct itw_schedule *)0)->words / sizeof(uint32_t), BLOCK = 16 };
_Static_assert(sizeof(struct itw_schedule) == 128, "no padding: the same on every ABI");
_Static_assert(sizeof(struct itw_slot) == 16, "no padding: the same on every ABI");

/* Q[k] of §5.2. A number below 1 whose last bit is zero, as those that are compared with it, is below the last one. */
static const uint32_t q[] = {0,          0xb17217f8, 0xeef193f7, 0xfd271862, 0xff9d6dd0, 0xfff4cfd0,
                             0xfffee819, 0xffffe7ff, 0xfffffe2b, 0xffffffe0, 0xfffffffe, 0xffffffff};
#define LN2 q[1]

/* Where random numbers come from: a context that is there, or one that is opened when they are needed. */
struct source {
  struct itwi_cbc *cbc;
  const struct itwi_backend *backend;
  const void *crypto;
};

/* The product without its lowest 32 bits, modulo 2^64. */
static uint64_t multiply(uint64_t x, uint64_t y)
{
  const uint64_t xh = x >> 32, xl = x & UINT32_MAX, yh = y >> 32, yl = y & UINT32_MAX;
  return (xh * yh << 32) + xh * yl + xl * yh + (xl * yl >> 32);
}

/* -------- Unif, §5.3: AES-128 with the SID as its key, over a counter of words -------- */

/* CBC with IV 0 over one block is plain AES. */
static itw_status encrypt(struct itw_schedule *s, struct itwi_cbc *cbc, const struct itwi_backend *b)
{
  uint32_t words[WORDS];
  itw_status st = itwi_cbc_key(cbc, b, s->sid, sizeof s->sid, ITWI_ENCRYPT);
  const bool marked = itwi_backend_enter(b);

  for (uint32_t i = 0; st == ITW_OK && i < WORDS / 4; i++) {
    uint8_t block[BLOCK] = {0}, iv[BLOCK] = {0};
    itwi_store64(block + 8, 4 * (s->blocks + i));
    st = itwi_cbc_run(cbc, block, block, sizeof block, iv);
    for (uint32_t n = 0; n < 4; n++) words[4 * i + n] = itwi_load32(block + 4 * n);
  }
  if (marked || st != ITW_OK) itwi_backend_leave(b);
  if (st != ITW_OK) return st;
  memcpy(s->words, words, sizeof words);
  s->blocks += WORDS / 4;
  s->left = WORDS;
  return ITW_OK;
}

static itw_status refill(struct itw_schedule *s, const struct source *from)
{
  struct itwi_backend backend;
  struct itwi_cbc cbc = {0};
  itw_status st;

  if (from->cbc) return encrypt(s, from->cbc, from->backend);
  st = itwi_backend_open(&backend, from->crypto);
  if (st == ITW_OK) st = itwi_cbc_open(&cbc, &backend);
  if (st == ITW_OK) st = encrypt(s, &cbc, &backend);
  itwi_cbc_close(&cbc);
  itwi_backend_close(&backend);
  return st;
}

static itw_status uniform(struct itw_schedule *s, uint32_t *out, const struct source *from)
{
  const itw_status st = s->left ? ITW_OK : refill(s, from);

  if (st == ITW_OK) *out = s->words[WORDS - s->left--];
  return st;
}

/* -------- algorithm S, §5.1: an exponential deviate with mean 1 -------- */

/* The least of k uniform numbers. */
static itw_status least(struct itw_schedule *s, uint32_t *out, uint32_t k, const struct source *from)
{
  itw_status st = ITW_OK;

  for (*out = UINT32_MAX; st == ITW_OK && k; k--) {
    uint32_t u = 0;
    st = uniform(s, &u, from);
    if (u < *out) *out = u;
  }
  return st;
}

static itw_status exponential(struct itw_schedule *s, uint64_t *out, const struct source *from)
{
  uint32_t u = 0, v, j = 0, k = 2;
  itw_status st = uniform(s, &u, from);

  if (st != ITW_OK) return st;
  for (; u & 0x80000000; j++) u <<= 1; /* S1; of all ones nothing is left after 32, so S2 gives 32 ln 2 */
  u <<= 1;
  if (u < LN2) { /* S2 */
    *out = (uint64_t)j * LN2 + u;
    return ITW_OK;
  }
  while (u >= q[k]) k++; /* S3 */
  st = least(s, &v, k, from);
  if (st == ITW_OK) *out = multiply((uint64_t)j << 32 | v, LN2); /* S4 */
  return st;
}

/* -------- the schedule, §3.6 -------- */

static bool slot_ok(const struct itw_slot *slot) { return slot->type <= ITW_SLOT_FIXED && slot->mbz == 0; }

bool itwi_slots_ok(const struct itw_slot *slots, size_t n)
{
  bool ok = slots && n > 0;

  for (size_t i = 0; ok && i < n; i++) ok = slot_ok(&slots[i]);
  return ok;
}

bool itwi_slots_random(const struct itw_slot *slots, size_t n)
{
  while (n && slots[n - 1].type == ITW_SLOT_FIXED) n--;
  return n > 0;
}

/* A deviate takes at most twelve words, so numbers are fetched at most once for it; if that fails, the words that it took
   before are still there. */
static itw_status next(struct itw_schedule *s, const struct itw_slot *slots, size_t n, const struct source *from)
{
  const struct itw_slot *slot = &slots[s->slot];
  const uint32_t left = s->left;
  uint64_t wait = slot->parameter, deviate = 0;

  if (slot->type == ITW_SLOT_EXPONENTIAL) {
    const itw_status st = exponential(s, &deviate, from);
    if (st != ITW_OK) {
      s->left = left;
      return st;
    }
    wait = multiply(deviate, wait);
  }
  s->offset += wait;
  if (++s->slot == n) s->slot = 0;
  return ITW_OK;
}

itw_status itwi_schedule_next(struct itw_schedule *s, const struct itw_slot *slots, size_t n, struct itwi_cbc *cbc,
                              const struct itwi_backend *b)
{
  const struct source from = {.cbc = cbc, .backend = b};
  return next(s, slots, n, &from);
}

void itw_schedule_begin(struct itw_schedule *out, const uint8_t sid[16])
{
  memset(out, 0, sizeof *out);
  memcpy(out->sid, sid, sizeof out->sid);
}

itw_status itw_schedule_next(struct itw_schedule *s, uint64_t *offset, const struct itw_slot *slots, size_t n,
                             const void *crypto)
{
  const struct source from = {.crypto = crypto};
  itw_status st;

  if (!s || !offset || !slots || s->slot >= n || s->left > WORDS || !slot_ok(&slots[s->slot])) return ITW_ERR_ARGUMENT;
  st = next(s, slots, n, &from);
  if (st == ITW_OK) *offset = s->offset;
  return st;
}
