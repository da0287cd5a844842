/* SPDX-License-Identifier: BSD-3-Clause */

/* What a departure of a schedule costs, in ns: medians of several rounds.

   bare        RFC 4656 §5 as one writes it by hand with EVP: an AES-128-ECB context that stays keyed, one block of the counter
               at a time, the product in 128 bits
   next        itw_schedule_next: a context is opened and keyed for every five blocks
   shard       what itw_sender_due does: the same with the shard's context, keyed for every five blocks; an alarm, an item
   sessions    schedules that take turns */

#include <ipsectwamp/sender.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEPARTURES = 20000, ROUNDS_MAX = 101, MOST = 1000 };

static void must(int ok, const char *what)
{
  if (ok) return;
  fprintf(stderr, "bench_schedule: %s failed\n", what);
  exit(1);
}

/* -------- by hand -------- */

struct bare {
  EVP_CIPHER_CTX *aes;
  uint64_t counter, offset;
  uint8_t block[16];
};

static uint32_t word(struct bare *b)
{
  const uint8_t *p = b->block + 4 * (b->counter & 3);
  if (!(b->counter & 3)) {
    uint8_t in[16] = {0};
    int n;
    for (int i = 0; i < 8; i++) in[15 - i] = (uint8_t)(b->counter >> (8 * i));
    must(EVP_EncryptUpdate(b->aes, b->block, &n, in, 16) == 1, "EVP_EncryptUpdate");
  }
  b->counter++;
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

__extension__ typedef unsigned __int128 wide;
static uint64_t times(uint64_t x, uint64_t y) { return (uint64_t)((wide)x * y >> 32); }

static uint64_t deviate(struct bare *b)
{
  static const uint64_t q[] = {0,          0xb17217f8, 0xeef193f7, 0xfd271862, 0xff9d6dd0, 0xfff4cfd0,
                               0xfffee819, 0xffffe7ff, 0xfffffe2b, 0xffffffe0, 0xfffffffe, 0xffffffff};
  uint64_t j = 0, v = UINT64_MAX;
  uint32_t u = word(b), k = 2;
  for (; u & 0x80000000; j++) u <<= 1;
  u <<= 1;
  if (u < q[1]) return j * q[1] + u;
  while (u >= q[k]) k++;
  for (; k; k--) {
    const uint32_t w = word(b);
    if (w < v) v = w;
  }
  return times((j << 32) + v, q[1]);
}

/* -------- the three, for n sessions that take turns -------- */

struct bed {
  struct itw_slot slot;
  uint32_t sessions;
  struct bare *bare;
  struct itw_schedule *schedules;
  itw_sender *sender;
};

static void bed_add(struct bed *b, uint32_t i, EVP_CIPHER *ecb)
{
  struct itw_session_info info;
  struct itw_session s;
  struct itw_wall wall;
  itw_id id;

  ITW_INIT(info);
  ITW_INIT(wall);
  info.mode = ITW_MODE_OPEN;
  info.dialect = ITW_DIALECT_OWAMP;
  info.timeout = UINT64_MAX;
  info.packets = UINT32_MAX;
  memcpy(info.sid, &i, sizeof i);
  info.sender = (struct itw_addr){.family = 4, .port = (uint16_t)(1024 + i), .ip = {10, 0, 0, 1}};
  info.reflector = (struct itw_addr){.family = 4, .port = 861, .ip = {192, 0, 2, 1}};
  must(itw_session_make(&s, &info, NULL) == ITW_OK, "itw_session_make");
  must(itw_sender_add_schedule(b->sender, &id, &s, &b->slot, 1, i) == ITW_OK, "itw_sender_add_schedule");
  must(itw_sender_start(b->sender, id, &wall, 0) == ITW_OK, "itw_sender_start");
  itw_schedule_begin(&b->schedules[i], info.sid);
  b->bare[i].aes = EVP_CIPHER_CTX_new();
  must(b->bare[i].aes && EVP_EncryptInit_ex(b->bare[i].aes, ecb, NULL, info.sid, NULL) == 1, "EVP_EncryptInit");
}

static void bed_new(struct bed *b, uint32_t sessions, uint32_t type)
{
  EVP_CIPHER *ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
  struct itw_shard_config c;

  ITW_INIT(c);
  c.sessions = sessions;
  c.slots = 1;
  *b = (struct bed){.slot = {.type = type, .parameter = UINT64_C(1) << 26}, .sessions = sessions};
  b->bare = calloc(sessions, sizeof *b->bare);
  b->schedules = calloc(sessions, sizeof *b->schedules);
  must(ecb && b->bare && b->schedules && itw_sender_new(&b->sender, &c) == ITW_OK, "memory");
  for (uint32_t i = 0; i < sessions; i++) bed_add(b, i, ecb);
  EVP_CIPHER_free(ecb);
}

static void bed_free(struct bed *b)
{
  for (uint32_t i = 0; i < b->sessions; i++) EVP_CIPHER_CTX_free(b->bare[i].aes);
  free(b->bare), free(b->schedules);
  itw_sender_free(b->sender);
}

static void run_bare(struct bed *b)
{
  for (uint32_t n = 0, i = 0; n < DEPARTURES; n++, i = i + 1 < b->sessions ? i + 1 : 0) {
    struct bare *x = &b->bare[i];
    x->offset += b->slot.type == ITW_SLOT_FIXED ? b->slot.parameter : times(deviate(x), b->slot.parameter);
  }
}

static void run_next(struct bed *b)
{
  uint64_t offset;
  for (uint32_t n = 0, i = 0; n < DEPARTURES; n++, i = i + 1 < b->sessions ? i + 1 : 0)
    must(itw_schedule_next(&b->schedules[i], &offset, &b->slot, 1, NULL) == ITW_OK, "itw_schedule_next");
}

static void run_shard(struct bed *b)
{
  static struct itw_packet items[32];
  size_t got;
  for (uint32_t n = 0; n < DEPARTURES; n += 32)
    must(itw_sender_due(b->sender, items, sizeof *items, 32, &got, UINT64_C(1000000000000000)) == ITW_OK && got == 32, "itw_sender_due");
}

/* -------- the table -------- */

static double now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* what others run meanwhile isn't counted */
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
  double x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return (x > y) - (x < y);
}

static void row(const char *name, uint32_t sessions, uint32_t type, uint32_t rounds)
{
  void (*const runs[3])(struct bed *) = {run_bare, run_next, run_shard};
  static double ns[3][ROUNDS_MAX];
  struct bed b;

  bed_new(&b, sessions, type);
  for (uint32_t round = 0; round < rounds; round++) /* they take turns */
    for (uint32_t k = 0; k < 3; k++) {
      const double t = now_ns();
      runs[k](&b);
      ns[k][round] = (now_ns() - t) / DEPARTURES;
    }
  bed_free(&b);
  for (uint32_t k = 0; k < 3; k++) qsort(ns[k], rounds, sizeof ns[k][0], compare);
  const double bare = ns[0][rounds / 2], next = ns[1][rounds / 2], shard = ns[2][rounds / 2];
  printf("%8u  %-12s %7.1f %7.1f %6.2f %7.1f %6.2f\n", sessions, name, bare, next, next / bare, shard, shard / bare);
}

int main(int argc, char **argv)
{
  const uint32_t rounds = argc > 1 && !strcmp(argv[1], "--quick") ? 5 : 41;

  printf("%s; ns per departure, medians of %u rounds of %d\n\n", OpenSSL_version(OPENSSL_VERSION), rounds, DEPARTURES);
  printf("%8s  %-12s %7s %7s %6s %7s %6s\n", "sessions", "", "bare", "next", "ratio", "shard", "ratio");
  row("fixed", 1, ITW_SLOT_FIXED, rounds);
  row("exponential", 1, ITW_SLOT_EXPONENTIAL, rounds);
  row("fixed", MOST, ITW_SLOT_FIXED, rounds);
  row("exponential", MOST, ITW_SLOT_EXPONENTIAL, rounds);
  return 0;
}
