/* SPDX-License-Identifier: BSD-3-Clause */
/* Constant flow: secrets are marked undefined, and valgrind finds each branch and each address that depends on one, in this
   library and in libcrypto. What goes on the wire, and whether two tags are equal, is no secret any more: marked defined.
   Not under valgrind it is skipped. The linker's --wrap puts itwi_equal and itwi_is_zero here. */

#include "kdf.h"
#include "scheme.h"
#include "seal.h"
#include "secret.h"
#include "server.h"
#include "stream.h"
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/memcheck.h>

enum { SKIP = 77 };

static void secret(void *p, size_t n) { (void)VALGRIND_MAKE_MEM_UNDEFINED(p, n); }
static void public(void *p, size_t n) { (void)VALGRIND_MAKE_MEM_DEFINED(p, n); }

bool __real_itwi_equal(const uint8_t *a, const uint8_t *b, size_t n);
bool __wrap_itwi_equal(const uint8_t *a, const uint8_t *b, size_t n);
bool __wrap_itwi_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
  bool equal = __real_itwi_equal(a, b, n);
  public(&equal, sizeof equal);
  return equal;
}

bool __real_itwi_is_zero(const uint8_t *p, size_t n);
bool __wrap_itwi_is_zero(const uint8_t *p, size_t n);
bool __wrap_itwi_is_zero(const uint8_t *p, size_t n)
{
  bool zero = __real_itwi_is_zero(p, n);
  public(&zero, sizeof zero);
  return zero;
}

static void must(int ok, const char *what)
{
  if (ok) return;
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static struct itw_key_pair keys(void)
{
  struct itw_key_pair k;
  ITW_INIT(k);
  k.enc_len = 16;
  k.auth_len = 32;
  secret(k.enc, sizeof k.enc);
  secret(k.auth, sizeof k.auth);
  return k;
}

static void tokens(const struct itwi_backend *b)
{
  uint8_t key[16] = {1}, challenge[16] = {2}, session[48] = {3}, token[64];
  struct itw_key_pair pair;
  secret(key, sizeof key);
  secret(session, sizeof session);
  must(itwi_token_make(b, token, key, challenge, session) == ITW_OK, "token_make");
  public(token, sizeof token);
  must(itwi_token_open(b, &pair, key, challenge, token) == ITW_OK, "token_open");
  token[3] ^= 1;
  must(itwi_token_open(b, &pair, key, challenge, token) == ITW_ERR_TOKEN, "a wrong Token");
}

static void messages(const struct itwi_backend *b)
{
  struct itw_key_pair pair = keys();
  struct itwi_stream out, in;
  uint8_t iv[16] = {4}, message[64] = {5};
  must(itwi_stream_open(&out, b) == ITW_OK && itwi_stream_open(&in, b) == ITW_OK, "stream_open");
  must(itwi_stream_key(&out, b, &pair, iv, ITWI_ENCRYPT) == ITW_OK, "stream_key");
  must(itwi_stream_key(&in, b, &pair, iv, ITWI_DECRYPT) == ITW_OK, "stream_key");
  for (int wrong = 0; wrong <= 1; wrong++) {
    must(itwi_stream_seal(&out, message, 48) == ITW_OK, "stream_seal");
    public(message, sizeof message);
    message[50] = (uint8_t)(message[50] ^ wrong);
    must(itwi_stream_body(&in, message, 48, ITWI_DECRYPT) == ITW_OK, "stream_body");
    must(itwi_stream_check(&in, message + 48) == (wrong ? ITW_ERR_HMAC : ITW_OK), "stream_check");
  }
  itwi_stream_close(&out);
  itwi_stream_close(&in);
}

static void packets(const struct itwi_backend *b)
{
  struct itwi_seal s;
  struct itwi_keys k = {.enc_len = 32, .auth_len = 20};
  uint8_t packet[112] = {6}, plain[96];
  secret(k.enc, sizeof k.enc);
  secret(k.auth, sizeof k.auth);
  must(itwi_seal_open(&s, b) == ITW_OK, "seal_open");
  must(itwi_seal_key(&s, b, &k, ITWI_SEALS | ITWI_UNSEALS) == ITW_OK, "seal_key");
  must(itwi_seal_packet(&s, packet, 96, 96) == ITW_OK, "seal_packet");
  public(packet, sizeof packet);
  must(itwi_unseal_packet(&s, plain, packet, 96, 96) == ITW_OK, "unseal_packet");
  packet[100] ^= 1;
  must(itwi_unseal_packet(&s, plain, packet, 96, 96) == ITW_ERR_HMAC, "a wrong HMAC");
  itwi_seal_close(&s);
}

static void derivations(void)
{
  static const uint32_t prfs[] = {ITW_PRF_HMAC_SHA1, ITW_PRF_HMAC_SHA2_256, ITW_PRF_HMAC_SHA2_512, ITW_PRF_AES128_XCBC,
                                  ITW_PRF_AES128_CMAC};
  uint8_t k[32] = {7}, salt[16] = {8}, out[ITW_PRF_MAX], token[16];
  const struct itw_key_pair control = keys();
  struct itw_key_pair pair, test;
  ITW_INIT(pair);
  ITW_INIT(test);
  secret(k, sizeof k);
  must(itw_token_key(out, k, sizeof k, salt, 1024, NULL) == ITW_OK, "token_key");
  for (size_t i = 0; i < sizeof prfs / sizeof prfs[0]; i++) {
    must(itw_ikev2_secret(out, prfs[i], k, sizeof k, NULL) == ITW_OK, "ikev2_secret");
    must(itw_root_token(out, prfs[i], k, sizeof k, salt, NULL) == ITW_OK, "root_token");
    memcpy(token, out, sizeof token);
    public(token, sizeof token);
    must(itwi_equal(out, token, sizeof token), "the root Token"); /* as a Server compares it */
    must(itw_root_pair(&pair, prfs[i], k, sizeof k, NULL) == ITW_OK, "root_pair");
    must(itw_sid_pair(&pair, prfs[i], k, sizeof k, salt, NULL) == ITW_OK, "sid_pair");
  }
  must(itw_test_pair(&test, &control, salt, NULL) == ITW_OK, "test_pair");
}

/* The cache is asked with PBKDF2's first iteration, and a key that is in it is told by nothing but the answer. */
static void cache(void)
{
  struct itw_server_config g;
  itw_server *s = NULL;
  uint8_t first[20] = {9}, key[16] = {10};
  ITW_INIT(g);
  g.modes = ITW_MODE_OPEN;
  must(itw_server_new(&s, &g, NULL) == ITW_OK, "server_new");
  secret(first, sizeof first);
  secret(key, sizeof key);
  itwi_token_key_keep(s, key, first, 1024);
  must(itwi_token_key_find(s, key, first, 1024), "token_key_find");
  itw_server_free(s);
}

/* Or this program would find nothing. */
static void would_be_found(void)
{
  const unsigned before = VALGRIND_COUNT_ERRORS;
  volatile uint8_t k = 0;
  fputs("the next report is of a branch that is there on purpose:\n", stderr);
  secret((void *)(uintptr_t)&k, 1);
  if (k) fputs("never\n", stderr);
  must(VALGRIND_COUNT_ERRORS > before, "valgrind doesn't see a branch on a secret");
}

int main(void)
{
  struct itwi_backend b;
  if (!RUNNING_ON_VALGRIND) return SKIP;
  must(itwi_backend_open(&b, NULL) == ITW_OK, "backend_open");
  tokens(&b);
  messages(&b);
  packets(&b);
  derivations();
  cache();
  itwi_backend_close(&b);
  must(VALGRIND_COUNT_ERRORS == 0, "a branch or an address depends on a secret: see above");
  would_be_found();
  return 0;
}
