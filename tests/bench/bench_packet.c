/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1               /* RTLD_NEXT */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA1_Init, to count it */

/* What a test packet costs, in ns: medians of several rounds, each of packets of sessions chosen at random.

   seal      itw_sender_write and _stamp: one request of 112 octets, zero padding
   reflect   itw_reflector_take and _reply
   take      itw_receiver_take: the first packet of an OWAMP session, again and again
   one by one, and in bursts of 32

   Beside it row 2 of the design's table, what one writes by hand with EVP: an EVP_MAC and two EVP_CIPHER contexts per
   session, EVP_MAC_init without a key and the IV set again for each packet, the same octets written and compared; neither
   lookup nor counts nor state. The ratio is ours / row 2.

   Counted per packet: allocations of libcrypto, looking up algorithms (EVP_*_fetch), and key set-ups. The functions defined
   here stand in front of libcrypto's: the dynamic linker sees to it. */

#include <dlfcn.h>
#include <ipsectwamp/receiver.h>
#include <ipsectwamp/reflector.h>
#include <ipsectwamp/sender.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PACKETS = 4096, SLOT = 128, LEN = 112, PADDING = 64, ROUNDS_MAX = 101 };

/* -------- counting -------- */

static uint64_t allocations, fetches, keyings;

static void *counted_malloc(size_t n, const char *file, int line)
{
  (void)file, (void)line;
  allocations++;
  return malloc(n);
}
static void *counted_realloc(void *p, size_t n, const char *file, int line)
{
  (void)file, (void)line;
  allocations++;
  return realloc(p, n);
}
static void plain_free(void *p, const char *file, int line)
{
  (void)file, (void)line;
  free(p);
}

/* dlsym gives an object pointer, and C has no cast from it. */
#define REAL(f, name)                                                                                                  \
  do {                                                                                                                 \
    if (!(f)) {                                                                                                        \
      void *sym_ = dlsym(RTLD_NEXT, name);                                                                             \
      memcpy(&(f), &sym_, sizeof(f));                                                                                  \
    }                                                                                                                  \
  } while (0)

EVP_CIPHER *EVP_CIPHER_fetch(OSSL_LIB_CTX *c, const char *name, const char *props)
{
  static EVP_CIPHER *(*f)(OSSL_LIB_CTX *, const char *, const char *);
  REAL(f, "EVP_CIPHER_fetch");
  fetches++;
  return f(c, name, props);
}
EVP_MD *EVP_MD_fetch(OSSL_LIB_CTX *c, const char *name, const char *props)
{
  static EVP_MD *(*f)(OSSL_LIB_CTX *, const char *, const char *);
  REAL(f, "EVP_MD_fetch");
  fetches++;
  return f(c, name, props);
}
EVP_MAC *EVP_MAC_fetch(OSSL_LIB_CTX *c, const char *name, const char *props)
{
  static EVP_MAC *(*f)(OSSL_LIB_CTX *, const char *, const char *);
  REAL(f, "EVP_MAC_fetch");
  fetches++;
  return f(c, name, props);
}
int EVP_CipherInit_ex2(EVP_CIPHER_CTX *x, const EVP_CIPHER *c, const unsigned char *key, const unsigned char *iv,
                       int enc, const OSSL_PARAM params[])
{
  static int (*f)(EVP_CIPHER_CTX *, const EVP_CIPHER *, const unsigned char *, const unsigned char *, int,
                  const OSSL_PARAM *);
  REAL(f, "EVP_CipherInit_ex2");
  keyings += key != NULL;
  return f(x, c, key, iv, enc, params);
}
/* Half a key set-up: an HMAC has two keyed states. */
static uint64_t digest_inits;
int EVP_DigestInit_ex2(EVP_MD_CTX *x, const EVP_MD *md, const OSSL_PARAM params[])
{
  static int (*f)(EVP_MD_CTX *, const EVP_MD *, const OSSL_PARAM *);
  REAL(f, "EVP_DigestInit_ex2");
  digest_inits++;
  return f(x, md, params);
}
#ifndef OPENSSL_NO_DEPRECATED_3_0
int SHA1_Init(SHA_CTX *c)
{
  static int (*f)(SHA_CTX *);
  REAL(f, "SHA1_Init");
  digest_inits++;
  return f(c);
}
#endif

/* -------- sessions -------- */

static uint64_t random_state = 88172645463325252u;
static uint32_t random32(void)
{
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state >> 16);
}

static void must(int ok, const char *what)
{
  if (ok) return;
  fprintf(stderr, "bench_packet: %s failed\n", what);
  exit(1);
}

static void session_keys(uint32_t i, struct itw_key_pair *k)
{
  ITW_INIT(*k);
  k->enc_len = 16;
  k->auth_len = 32;
  for (uint32_t n = 0; n < 32; n++) k->auth[n] = (uint8_t)(i * 2654435761u >> n % 24);
  memcpy(k->enc, k->auth + 16, 16);
}

static struct itw_session_info session_info(uint32_t i, uint32_t mode)
{
  struct itw_session_info info;
  ITW_INIT(info);
  info.mode = mode;
  info.dialect = ITW_DIALECT_TWAMP;
  info.padding = PADDING;
  info.timeout = UINT64_C(2) << 32;
  info.flags = ITW_SESSION_ZERO_PADDING;
  info.sender = (struct itw_addr){
      .family = 4, .port = (uint16_t)(1024 + i % 60000), .ip = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
  info.reflector = (struct itw_addr){.family = 4, .port = 862, .ip = {192, 0, 2, 1}};
  return info;
}

/* Row 2: the contexts of a session, each on the heap, as EVP has them. */
struct by_hand {
  EVP_MAC_CTX *mac;
  EVP_CIPHER_CTX *enc, *dec;
  uint32_t seq;
};

struct bed {
  uint32_t sessions, mode;
  itw_sender *sender, *remote; /* remote makes the requests that the reflector gets */
  itw_reflector *reflector;
  itw_receiver *receiver;
  itw_id *ids, *remote_ids;
  struct by_hand *hand;
  uint8_t *requests, *work;
  uint8_t *first; /* each session's packet 0; used for itw_receiver */
  bool one_way;
  struct itw_record *records;
  struct itw_packet *asked, *items;
  uint32_t *who;
};

static void hand_new(struct by_hand *h, uint32_t i, EVP_MAC *mac, EVP_CIPHER *cbc)
{
  static const uint8_t iv[16];
  char sha1[] = "SHA1";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha1, 0),
                               OSSL_PARAM_construct_end()};
  struct itw_key_pair k;

  session_keys(i, &k);
  h->mac = EVP_MAC_CTX_new(mac);
  h->enc = EVP_CIPHER_CTX_new();
  h->dec = EVP_CIPHER_CTX_new();
  h->seq = 0;
  must(h->mac && h->enc && h->dec && EVP_MAC_init(h->mac, k.auth, k.auth_len, params) == 1 &&
           EVP_EncryptInit_ex(h->enc, cbc, NULL, k.enc, iv) == 1 &&
           EVP_DecryptInit_ex(h->dec, cbc, NULL, k.enc, iv) == 1 && EVP_CIPHER_CTX_set_padding(h->enc, 0) == 1 &&
           EVP_CIPHER_CTX_set_padding(h->dec, 0) == 1,
       "EVP");
}

static void bed_add(struct bed *b, uint32_t i)
{
  const struct itw_session_info info = session_info(i, b->mode);
  struct itw_session s;
  struct itw_key_pair k;
  itw_id id;

  session_keys(i, &k);
  must(itw_session_make(&s, &info, &k) == ITW_OK, "itw_session_make");
  must(itw_sender_add(b->sender, &b->ids[i], &s, i) == ITW_OK, "itw_sender_add");
  must(itw_sender_add(b->remote, &b->remote_ids[i], &s, i) == ITW_OK, "itw_sender_add");
  must(itw_reflector_add(b->reflector, &id, &s, i, 0) == ITW_OK, "itw_reflector_add");
  must(itw_reflector_start(b->reflector, id, 0) == ITW_OK, "itw_reflector_start");
}

static void bed_add_one_way(struct bed *b, itw_sender *sender, uint32_t i)
{
  static const struct itw_slot slot = {.type = ITW_SLOT_FIXED, .parameter = UINT64_C(1) << 32};
  struct itw_session_info info = session_info(i, b->mode);
  struct itw_packet item = {.cap = SLOT};
  struct itw_session s;
  struct itw_key_pair k;
  struct itw_wall wall;
  size_t got;
  itw_id id;

  session_keys(i, &k);
  info.dialect = ITW_DIALECT_OWAMP;
  info.packets = 32;
  ITW_INIT(wall);
  must(itw_session_make(&s, &info, &k) == ITW_OK, "itw_session_make");
  must(itw_receiver_add(b->receiver, &id, &s, &slot, 1, i) == ITW_OK, "itw_receiver_add");
  must(itw_receiver_start(b->receiver, id, &wall, 0) == ITW_OK, "itw_receiver_start");
  must(itw_sender_add_schedule(sender, &id, &s, &slot, 1, i) == ITW_OK, "itw_sender_add_schedule");
  must(itw_sender_start(sender, id, &wall, 0) == ITW_OK, "itw_sender_start");
  must(itw_sender_due(sender, &item, sizeof item, 1, &got, itw_sender_deadline(sender)) == ITW_OK && got == 1, "due");
  must(itw_sender_write(sender, b->first + (size_t)i * SLOT, SLOT, &item, sizeof item, 1) == ITW_OK, "write");
  must(itw_sender_stamp(sender, b->first + (size_t)i * SLOT, SLOT, &item, sizeof item, 1) == ITW_OK, "stamp");
  must(item.status == ITW_OK && itw_sender_remove(sender, id) == ITW_OK, "a packet");
}

static void bed_new_one_way(struct bed *b, struct itw_shard_config *c)
{
  itw_sender *sender;

  c->slots = 1;
  c->window = 32;
  must(itw_receiver_new(&b->receiver, c) == ITW_OK, "new");
  c->sessions = c->contexts = 1;
  must(itw_sender_new(&sender, c) == ITW_OK, "new");
  b->first = calloc(b->sessions, SLOT);
  b->records = calloc(PACKETS, sizeof *b->records);
  must(b->first && b->records, "memory");
  for (uint32_t i = 0; i < b->sessions; i++) bed_add_one_way(b, sender, i);
  itw_sender_free(sender);
}

static void bed_new(struct bed *b, uint32_t sessions, uint32_t contexts, uint32_t mode, bool one_way)
{
  struct itw_shard_config c;
  EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  EVP_CIPHER *cbc = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);

  ITW_INIT(c);
  c.sessions = sessions;
  c.contexts = contexts;
  c.clock.error = 0x8a05;
  memset(c.seed, 7, sizeof c.seed);
  *b = (struct bed){.sessions = sessions, .mode = mode, .one_way = one_way};
  must(itw_sender_new(&b->sender, &c) == ITW_OK && itw_reflector_new(&b->reflector, &c) == ITW_OK, "new");
  if (one_way) bed_new_one_way(b, &c);
  c.sessions = sessions;
  c.contexts = 1;
  must(itw_sender_new(&b->remote, &c) == ITW_OK, "new");
  b->ids = calloc(sessions, sizeof *b->ids);
  b->remote_ids = calloc(sessions, sizeof *b->remote_ids);
  b->hand = calloc(sessions, sizeof *b->hand);
  b->requests = calloc(PACKETS, SLOT);
  b->work = calloc(PACKETS, SLOT);
  b->asked = calloc(PACKETS, sizeof *b->asked);
  b->items = calloc(PACKETS, sizeof *b->items);
  b->who = calloc(PACKETS, sizeof *b->who);
  must(mac && cbc && b->ids && b->remote_ids && b->hand && b->requests && b->work && b->asked && b->items && b->who,
       "memory");
  for (uint32_t i = 0; i < sessions; i++) bed_add(b, i);
  for (uint32_t i = 0; i < sessions; i++) hand_new(&b->hand[i], i, mac, cbc);
  EVP_MAC_free(mac);
  EVP_CIPHER_free(cbc);
}

static void bed_free(struct bed *b)
{
  for (uint32_t i = 0; i < b->sessions; i++) {
    EVP_MAC_CTX_free(b->hand[i].mac);
    EVP_CIPHER_CTX_free(b->hand[i].enc);
    EVP_CIPHER_CTX_free(b->hand[i].dec);
  }
  itw_sender_free(b->sender);
  itw_sender_free(b->remote);
  itw_reflector_free(b->reflector);
  itw_receiver_free(b->receiver);
  free(b->first), free(b->records);
  free(b->ids), free(b->remote_ids), free(b->hand), free(b->requests), free(b->work);
  free(b->asked), free(b->items), free(b->who);
}

/* Which sessions this round's packets are of, at random or from *next on, and their requests. Not timed. */
static void choose(struct bed *b, uint32_t *next)
{
  for (uint32_t n = 0; n < PACKETS; n++) {
    const uint32_t i = (next ? (*next)++ : random32()) % b->sessions;
    const struct itw_session_info info = session_info(i, b->mode);
    b->who[n] = i;
    b->asked[n] = (struct itw_packet){.id = b->remote_ids[i], .off = n * SLOT, .cap = SLOT};
    b->items[n] = (struct itw_packet){
        .off = n * SLOT, .len = LEN, .cap = SLOT, .ttl = 64, .remote = info.sender, .local = info.reflector};
  }
  must(itw_sender_write(b->remote, b->requests, PACKETS * SLOT, b->asked, sizeof *b->asked, PACKETS) == ITW_OK,
       "write");
  must(itw_sender_stamp(b->remote, b->requests, PACKETS * SLOT, b->asked, sizeof *b->asked, PACKETS) == ITW_OK,
       "stamp");
  memcpy(b->work, b->requests, PACKETS * SLOT);
  for (uint32_t n = 0; b->one_way && n < PACKETS; n++)
    memcpy(b->work + n * SLOT, b->first + (size_t)b->who[n] * SLOT, SLOT);
}

/* -------- ours -------- */

static void seal_ours(struct bed *b, uint32_t at, uint32_t n)
{
  struct itw_packet *items = b->items + at;
  for (uint32_t i = 0; i < n; i++) items[i].id = b->ids[b->who[at + i]];
  must(itw_sender_write(b->sender, b->work, PACKETS * SLOT, items, sizeof *items, n) == ITW_OK, "write");
  for (uint32_t i = 0; i < n; i++) items[i].sent = at + i;
  must(itw_sender_stamp(b->sender, b->work, PACKETS * SLOT, items, sizeof *items, n) == ITW_OK, "stamp");
}

static void reflect_ours(struct bed *b, uint32_t at, uint32_t n)
{
  struct itw_packet *items = b->items + at;
  must(itw_reflector_take(b->reflector, b->work, PACKETS * SLOT, items, sizeof *items, n, 1) == ITW_OK, "take");
  for (uint32_t i = 0; i < n; i++) items[i].sent = at + i;
  must(itw_reflector_reply(b->reflector, b->work, PACKETS * SLOT, items, sizeof *items, n) == ITW_OK, "reply");
}

static void take_ours(struct bed *b, uint32_t at, uint32_t n)
{
  struct itw_packet *items = b->items + at;
  must(itw_receiver_take(b->receiver, b->work, PACKETS * SLOT, items, sizeof *items, b->records + at, sizeof *b->records, n,
                         1) == ITW_OK,
       "take");
}

/* -------- row 2 -------- */

static void put32(uint8_t *p, uint32_t v)
{
  for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void hand_mac(struct by_hand *h, uint8_t tag[20], const uint8_t *p, size_t n)
{
  size_t len;
  must(EVP_MAC_init(h->mac, NULL, 0, NULL) == 1 && EVP_MAC_update(h->mac, p, n) == 1 &&
           EVP_MAC_final(h->mac, tag, &len, 20) == 1,
       "EVP_MAC");
}

static void hand_seal(struct by_hand *h, uint8_t *p, int covered, size_t at)
{
  static const uint8_t iv[16];
  uint8_t tag[20];
  int n;
  hand_mac(h, tag, p, (size_t)covered);
  memcpy(p + at, tag, 16);
  must(EVP_EncryptInit_ex(h->enc, NULL, NULL, NULL, iv) == 1 && EVP_EncryptUpdate(h->enc, p, &n, p, covered) == 1,
       "EVP_Encrypt");
}

static void hand_unseal(struct by_hand *h, uint8_t *p, int covered, size_t at)
{
  static const uint8_t iv[16];
  uint8_t tag[20];
  int n;
  must(EVP_DecryptInit_ex(h->dec, NULL, NULL, NULL, iv) == 1 && EVP_DecryptUpdate(h->dec, p, &n, p, covered) == 1,
       "EVP_Decrypt");
  hand_mac(h, tag, p, (size_t)covered);
  must(CRYPTO_memcmp(tag, p + at, 16) == 0, "HMAC");
}

static void seal_hand(struct bed *b, uint32_t at, uint32_t n)
{
  for (uint32_t i = at; i < at + n; i++) {
    struct by_hand *h = &b->hand[b->who[i]];
    uint8_t *p = b->work + i * SLOT;
    memset(p, 0, LEN);
    put32(p, h->seq++);
    put32(p + 20, i);
    put32(p + 24, 0x8a050000);
    hand_seal(h, p, b->mode == ITW_MODE_AUTH ? 16 : 32, 32);
  }
}

static void reflect_hand(struct bed *b, uint32_t at, uint32_t n)
{
  for (uint32_t i = at; i < at + n; i++) {
    struct by_hand *h = &b->hand[b->who[i]];
    uint8_t *p = b->work + i * SLOT, head[32];
    hand_unseal(h, p, b->mode == ITW_MODE_AUTH ? 16 : 32, 32);
    memcpy(head, p, 32);
    memmove(p + 112, p + 48, 0);
    memset(p, 0, 112);
    put32(p, h->seq++);
    put32(p + 20, i);
    put32(p + 24, 0x8a050000);
    put32(p + 36, i);
    memcpy(p + 48, head, 4);
    memcpy(p + 64, head + 16, 10);
    p[80] = 64;
    hand_seal(h, p, b->mode == ITW_MODE_AUTH ? 16 : 96, 96);
  }
}

static uint64_t get64(const uint8_t *p)
{
  uint64_t v = 0;
  for (int i = 0; i < 8; i++) v = v << 8 | p[i];
  return v;
}

static void take_hand(struct bed *b, uint32_t at, uint32_t n)
{
  for (uint32_t i = at; i < at + n; i++) {
    uint8_t *p = b->work + i * SLOT;
    hand_unseal(&b->hand[b->who[i]], p, b->mode == ITW_MODE_AUTH ? 16 : 32, 32);
    b->records[i] = (struct itw_record){.seq = (uint32_t)(get64(p) >> 32), .sent = get64(p + 16), .received = 1, .ttl = 64};
  }
}

/* -------- the table -------- */

typedef void work_fn(struct bed *, uint32_t at, uint32_t n);

static uint64_t now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* what others run meanwhile isn't counted */
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
  double x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return (x > y) - (x < y);
}

struct result {
  double ns[ROUNDS_MAX], median;
  uint64_t allocations, fetches, keyings;
};

static void run(struct bed *b, work_fn *work, uint32_t burst, struct result *r, uint32_t round)
{
  choose(b, NULL);
  const uint64_t a = allocations, f = fetches, k = 2 * keyings + digest_inits, t = now_ns();
  for (uint32_t at = 0; at < PACKETS; at += burst) work(b, at, burst);
  r->ns[round] = (double)(now_ns() - t) / PACKETS;
  for (uint32_t n = 0; n < PACKETS; n++) must(b->items[n].status == ITW_OK, "a packet");
  r->allocations += allocations - a;
  r->fetches += fetches - f;
  r->keyings += 2 * keyings + digest_inits - k;
}

static void finish(struct result *r, uint32_t rounds)
{
  qsort(r->ns, rounds, sizeof r->ns[0], compare);
  r->median = r->ns[rounds / 2];
}

static double per_packet(uint64_t n, uint32_t rounds) { return (double)n / rounds / PACKETS; }

/* The three take turns, so that whatever else the machine does hits all of them. */
static void row(const char *name, uint32_t mode, work_fn *ours, work_fn *hand, uint32_t sessions, uint32_t contexts,
                uint32_t rounds)
{
  struct result by_hand = {0}, one = {0}, many = {0};
  uint32_t next = 0;
  struct bed b;

  bed_new(&b, sessions, contexts, mode, ours == take_ours);
  while (next < sessions) { /* every session has been used once before the clock runs */
    choose(&b, &next);
    for (uint32_t at = 0; at < PACKETS; at += 32) ours(&b, at, 32);
  }
  for (uint32_t i = 0; i < rounds; i++) {
    run(&b, hand, 1, &by_hand, i);
    run(&b, ours, 1, &one, i);
    run(&b, ours, 32, &many, i);
  }
  bed_free(&b);
  finish(&by_hand, rounds), finish(&one, rounds), finish(&many, rounds);
  printf("%8u %8u  %-12s %7.0f %7.0f %6.2f %7.0f %6.2f %8.2f %8.2f %8.2f\n", sessions, contexts, name, by_hand.median,
         one.median, one.median / by_hand.median, many.median, many.median / by_hand.median,
         per_packet(one.allocations, rounds), per_packet(one.fetches, rounds), per_packet(one.keyings, rounds) / 2);
  fflush(stdout);
}

static void rows(uint32_t sessions, uint32_t contexts, uint32_t rounds)
{
  row("seal auth", ITW_MODE_AUTH, seal_ours, seal_hand, sessions, contexts, rounds);
  row("seal enc", ITW_MODE_ENC, seal_ours, seal_hand, sessions, contexts, rounds);
  row("reflect auth", ITW_MODE_AUTH, reflect_ours, reflect_hand, sessions, contexts, rounds);
  row("reflect enc", ITW_MODE_ENC, reflect_ours, reflect_hand, sessions, contexts, rounds);
  row("take auth", ITW_MODE_AUTH, take_ours, take_hand, sessions, contexts, rounds);
  row("take enc", ITW_MODE_ENC, take_ours, take_hand, sessions, contexts, rounds);
}

int main(int argc, char **argv)
{
  const uint32_t quick = argc > 1 && !strcmp(argv[1], "--quick");
  const uint32_t rounds = quick ? 5 : 41;

  must(CRYPTO_set_mem_functions(counted_malloc, counted_realloc, plain_free) == 1, "CRYPTO_set_mem_functions");
  printf("%s; ns per packet, medians of %u rounds of %d packets\n\n", OpenSSL_version(OPENSSL_VERSION), rounds,
         PACKETS);
  printf("%8s %8s  %-12s %7s %7s %6s %7s %6s %8s %8s %8s\n", "sessions", "contexts", "", "row 2", "1 by 1", "ratio",
         "by 32", "ratio", "mallocs", "fetches", "keyings");
  rows(16, 16, rounds);
  rows(5000, 5000, rounds);
  rows(5000, 64, rounds);
  if (quick) return 0;
  rows(50000, 50000, rounds);
  rows(50000, 64, rounds);
  return 0;
}
