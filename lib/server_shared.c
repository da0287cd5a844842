/* SPDX-License-Identifier: BSD-3-Clause */
#include "server.h"
#include "abi.h"
#include "conn.h"
#include "scheme.h"
#include "secret.h"
#include <stdlib.h>

_Static_assert(sizeof(struct itw_server) <= ITW_SERVER_BOUND(0, 0), "ITW_SERVER_BOUND");
_Static_assert(sizeof(struct itwi_token_key) <= ITW_SERVER_BOUND(1, 0) - ITW_SERVER_BOUND(0, 0), "ITW_SERVER_BOUND");
_Static_assert(sizeof(struct itwi_client_iv) <= ITW_SERVER_BOUND(0, 1) - ITW_SERVER_BOUND(0, 0), "ITW_SERVER_BOUND");

static void or_default(uint32_t *v, uint32_t value)
{
  if (!*v) *v = value;
}

static void defaults(struct itw_server_config *g)
{
  or_default(&g->sessions, 16);
  or_default(&g->count_psk, 32768);
  or_default(&g->count_sa, 1024);
  or_default(&g->token_keys, 64);
  or_default(&g->deriving, 4);
  or_default(&g->client_ivs, 1024);
  or_default(&g->max_padding, 9000);
  or_default(&g->servwait_s, 900);
  or_default(&g->setup_s, 60);
  or_default(&g->max_packets, UINT32_MAX);
  if (g->protocol == ITW_OWAMP) or_default(&g->slots, 16);
}

/* Modes that are offered must be servable: an operator's mistake is told, not served as less than was asked for. */
static bool modes_ok(const struct itw_server_config *g)
{
  uint32_t servable = ITW_MODE_OPEN, draft = itwi_modes(ITWI_PROFILE_DRAFT, ITWI_SECURITY);
  if (g->schemes & ITW_DRAFT) servable |= draft;
  if (g->schemes & (ITW_PSK | ITW_IKEV2)) servable |= itwi_modes(itwi_profile(g->protocol, 0), ITWI_SECURITY);
  if (!g->modes || g->modes & ~servable) return false;
  return !(g->legacy_modes & ~draft) && (!(g->legacy_modes & ITWI_PROTECTED) || g->schemes & ITW_PSK);
}

static itw_status layout(struct itwi_layout *l, const struct itw_server_config *g)
{
  return itwi_layout(l, g->sessions, g->protocol, g->features, g->slots, g->buffer);
}

static itw_status check(struct itw_server_config *g, const struct itw_server_config *in)
{
  struct itwi_layout l;
  itw_status st = itwi_abi_in(g, sizeof *g, in, sizeof *g);
  if (st != ITW_OK) return st;
  defaults(g);
  if (g->schemes & ~(uint32_t)(ITW_PSK | ITW_IKEV2 | ITW_DRAFT) || g->flags & ~3u || (g->mbz[0] | g->mbz[1] | g->mbz[2])) return ITW_ERR_ARGUMENT;
  if (g->sessions > 4096 || g->token_keys > 65536 || g->client_ivs > 1u << 20 || g->on_rekey > ITW_REKEY_CLOSE)
    return ITW_ERR_ARGUMENT;
  if (g->max_padding > ITWI_PADDING_MAX) return ITW_ERR_ARGUMENT;
  if (!itwi_count_ok(g->count_psk, 1u << 31) || !itwi_count_ok(g->count_sa, 1u << 31)) return ITW_ERR_COUNT;
  return modes_ok(g) ? layout(&l, g) : ITW_ERR_CONFIG;
}

static size_t token_keys_at(void) { return (sizeof(struct itw_server) + 7u) & ~(size_t)7; }
static size_t client_ivs_at(const struct itw_server_config *g)
{
  return (token_keys_at() + g->token_keys * sizeof(struct itwi_token_key) + 7u) & ~(size_t)7;
}

size_t itw_server_size(const struct itw_server_config *in)
{
  struct itw_server_config g;
  return check(&g, in) == ITW_OK ? client_ivs_at(&g) + g.client_ivs * sizeof(struct itwi_client_iv) : 0;
}

itw_status itw_server_init(itw_server **out, void *memory, size_t len, const struct itw_server_config *in,
                           struct itw_detail *detail)
{
  struct itw_server_config g;
  struct itw_server *s = memory;
  size_t size = itw_server_size(in);
  itw_status st = check(&g, in);
  if (st == ITW_OK && (!out || !memory || (uintptr_t)memory % sizeof(uint64_t))) st = ITW_ERR_ARGUMENT;
  if (st == ITW_OK && len < size) st = ITW_ERR_TOO_SMALL;
  if (st != ITW_OK) return itwi_detail(detail, st);
  memset(memory, 0, size);
  s->config = g;
  (void)layout(&s->layout, &g);
  s->length = size;
  s->token_keys = (struct itwi_token_key *)(void *)((uint8_t *)memory + token_keys_at());
  s->client_ivs = (struct itwi_client_iv *)(void *)((uint8_t *)memory + client_ivs_at(&g));
  st = itwi_backend_open(&s->backend, g.crypto);
  if (st == ITW_OK) *out = s;
  return itwi_detail(detail, st);
}

itw_status itw_server_new(itw_server **out, const struct itw_server_config *in, struct itw_detail *detail)
{
  void *memory = NULL;
  size_t size = itw_server_size(in);
  itw_status st = itwi_conn_alloc(&memory, size);
  if (st != ITW_OK && !size) return itw_server_init(out, NULL, 0, in, detail);
  if (st != ITW_OK) return itwi_detail(detail, st);
  st = itw_server_init(out, memory, size, in, detail);
  if (st == ITW_OK)
    (*out)->owned = 1;
  else
    itwi_conn_release(memory);
  return st;
}

void itw_server_free(itw_server *s)
{
  if (!s) return;
  bool owned = s->owned;
  itwi_backend_close(&s->backend);
  itw_wipe(s, s->length);
  if (owned) itwi_conn_release(s);
}

itw_status itw_server_set_salt(itw_server *s, const uint8_t salt[16])
{
  if (!s || !salt) return ITW_ERR_ARGUMENT;
  memcpy(s->config.salt, salt, sizeof s->config.salt);
  return ITW_OK;
}

/* ---- Token keys ---- */

bool itwi_token_key_find(struct itw_server *s, uint8_t key[16], const uint8_t first[20], uint32_t count)
{
  for (uint32_t i = 0; i < s->config.token_keys; i++) {
    struct itwi_token_key *k = &s->token_keys[i];
    if (k->count != count || !itwi_equal(k->first, first, sizeof k->first)) continue;
    k->used = ++s->tick;
    memcpy(key, k->key, sizeof k->key);
    return true;
  }
  return false;
}

/* Into a free place, or that of the key used least recently. */
void itwi_token_key_keep(struct itw_server *s, const uint8_t key[16], const uint8_t first[20], uint32_t count)
{
  struct itwi_token_key *at = &s->token_keys[0];
  for (uint32_t i = 0; i < s->config.token_keys && at->count; i++) {
    struct itwi_token_key *k = &s->token_keys[i];
    if (!k->count || s->tick - k->used > s->tick - at->used) at = k;
  }
  at->count = count;
  at->used = ++s->tick;
  memcpy(at->first, first, sizeof at->first);
  memcpy(at->key, key, sizeof at->key);
}

/* ---- Client-IVs ---- */

bool itwi_client_iv_seen(const struct itw_server *s, const struct itw_sa *sa, const uint8_t iv[16])
{
  for (uint32_t i = 0; i < s->config.client_ivs; i++) {
    const struct itwi_client_iv *v = &s->client_ivs[i];
    if (v->protocol == sa->protocol && v->spi_i == sa->spi_i && v->spi_r == sa->spi_r && !memcmp(v->iv, iv, 16)) return true;
  }
  return false;
}

void itwi_client_iv_keep(struct itw_server *s, const struct itw_sa *sa, const uint8_t iv[16])
{
  struct itwi_client_iv *v = &s->client_ivs[s->next_iv];
  s->next_iv = s->next_iv + 1 == s->config.client_ivs ? 0 : s->next_iv + 1;
  v->protocol = sa->protocol;
  v->spi_i = sa->spi_i;
  v->spi_r = sa->spi_r;
  memcpy(v->iv, iv, sizeof v->iv);
}
