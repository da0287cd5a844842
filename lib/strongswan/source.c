/* SPDX-License-Identifier: BSD-3-Clause */
#include "ha.h"
#include "plugin.h"

enum { CAPACITY = 4096, CAPACITY_MAX = 1 << 19 };
enum { SCHEMES = ITW_IKEV2 | ITW_SHARED | ITW_SHARED_SID | ITW_ROOT };

/* One of the two. */
struct itw_strongswan {
  struct itwi_ha *ha;
  struct itwi_plugin *plugin;
};

const char *itw_strongswan_path(void) { return ITW_STRONGSWAN_PATH; }

/* ---- its life ---- */

static bool is_loopback(const struct itw_addr *a)
{
  static const uint8_t one[16] = {[15] = 1};
  return (a->family == 4 && a->ip[0] == 127) || (a->family == 6 && memcmp(a->ip, one, sizeof one) == 0);
}

static itw_status refuse(struct itw_detail *detail, const char *text)
{
  strncpy(detail->text, text, sizeof detail->text - 1);
  return ITW_ERR_ARGUMENT;
}

static bool fits(const char *path) { return !path || strlen(path) < sizeof((struct itwi_plugin *)0)->path; }

static bool may_be(const struct itw_addr *a) { return !a->family || is_loopback(a); }

static itw_status check(const struct itw_strongswan_config *c, struct itw_detail *detail)
{
  const bool ha = c->feed == ITW_STRONGSWAN_HA;

  if (c->size < sizeof *c) return ITW_ERR_SIZE;
  if ((!ha && c->feed != ITW_STRONGSWAN_PLUGIN) || c->flags || c->capacity > CAPACITY_MAX) return ITW_ERR_ARGUMENT;
  if (c->schemes & ~(uint32_t)(ITW_IKEV2 | ITW_DRAFT)) return ITW_ERR_ARGUMENT;
  if (!ha) return fits(c->path) ? ITW_OK : refuse(detail, "the path of charon's socket is too long");
  if (!may_be(&c->local) || !may_be(&c->remote))
    return refuse(detail, "charon's HA plugin tells all keys in clear text: loopback addresses only");
  return c->local.family == c->remote.family ? ITW_OK : ITW_ERR_CONFIG;
}

itw_status itwi_ha_make(struct itwi_ha **out, const struct itw_strongswan_config *c, itw_mono now)
{
  const uint32_t capacity = c->capacity ? c->capacity : CAPACITY;
  struct itwi_ha *const ha = itw_secret_new(itwi_ha_size(capacity));

  if (!ha) return ITW_ERR_MEMORY;
  itwi_ha_lay_out(ha, capacity);
  ha->crypto = c->crypto;
  ha->schemes = c->schemes ? c->schemes : SCHEMES;
  ha->fd = -1;
  ha->ping_at = ha->resync_at = now;
  ha->check_at = ha->ike_sweep_at = ha->child_sweep_at = ITW_NEVER;
  const itw_status st = itw_keyring_new(&ha->ring, capacity, c->crypto);
  if (st)
    itw_secret_free(ha, ha->size);
  else
    *out = ha;
  return st;
}

void itwi_ha_free(struct itwi_ha *ha)
{
  if (!ha) return;
  itwi_ha_close(ha);
  itw_keyring_free(ha->ring);
  itw_secret_free(ha, ha->size);
}

static itw_status new_ha(itw_strongswan *s, const struct itw_strongswan_config *c, struct itw_detail *detail, itw_mono now)
{
  const struct itw_addr local = {.family = 4, .ip = {127, 0, 0, 2}}, remote = {.family = 4, .ip = {127, 0, 0, 1}};
  itw_status st = itwi_ha_make(&s->ha, c, now);

  if (!st) st = itwi_ha_open(s->ha, c->local.family ? &c->local : &local, c->remote.family ? &c->remote : &remote, detail);
  if (!st) itwi_ha_tick(s->ha, now);
  return st;
}

static itw_status new_plugin(itw_strongswan *s, const struct itw_strongswan_config *c, itw_mono now)
{
  const uint32_t capacity = c->capacity ? c->capacity : CAPACITY;
  const char *const path = c->path ? c->path : ITW_STRONGSWAN_PATH;
  struct itwi_plugin *const p = s->plugin = itw_secret_new(itwi_plugin_size(capacity));

  if (!p) return ITW_ERR_MEMORY;
  itwi_plugin_lay_out(p, capacity);
  memcpy(p->path, path, strlen(path));
  p->uid = c->uid;
  p->fd = -1;
  p->now = now;
  p->flush_at = ITW_NEVER;
  itwi_plugin_connect(p);
  return ITW_OK;
}

itw_status itw_strongswan_new(itw_strongswan **out, const struct itw_strongswan_config *config, struct itw_detail *detail,
                              itw_mono now)
{
  struct itw_detail ignored;

  ITW_INIT(ignored);
  if (!detail) detail = &ignored;
  if (!out || !config) return ITW_ERR_ARGUMENT;
  if (detail->size < sizeof *detail) return ITW_ERR_SIZE;
  ITW_INIT(*detail);
  itw_strongswan *const s = itw_secret_new(sizeof *s);
  itw_status st = s ? check(config, detail) : ITW_ERR_MEMORY;
  if (!st) st = config->feed == ITW_STRONGSWAN_HA ? new_ha(s, config, detail, now) : new_plugin(s, config, now);
  if (!st) {
    *out = s;
    return ITW_OK;
  }
  itw_strongswan_free(s);
  detail->status = st;
  if (!detail->text[0]) strncpy(detail->text, itw_status_text(st), sizeof detail->text - 1);
  return st;
}

void itw_strongswan_free(itw_strongswan *s)
{
  if (!s) return;
  itwi_ha_free(s->ha);
  if (s->plugin) {
    itwi_plugin_disconnect(s->plugin, ITW_OK);
    itw_secret_free(s->plugin, s->plugin->size);
  }
  itw_secret_free(s, sizeof *s);
}

/* ---- in the caller's loop ---- */

int itw_strongswan_fd(const itw_strongswan *s) { return !s ? -1 : s->ha ? s->ha->fd : s->plugin->fd; }

itw_mono itw_strongswan_deadline(const itw_strongswan *s)
{
  if (!s) return ITW_NEVER;
  return s->ha ? itwi_ha_deadline(s->ha) : itwi_plugin_deadline(s->plugin);
}

itw_status itw_strongswan_read(itw_strongswan *s, itw_mono now)
{
  if (!s) return ITW_ERR_ARGUMENT;
  if (s->ha) {
    itwi_ha_receive(s->ha, now);
    itwi_ha_tick(s->ha, now);
  } else {
    itwi_plugin_read(s->plugin, now);
  }
  return s->ha || s->plugin->talking ? ITW_OK : ITW_AGAIN;
}

itw_status itw_strongswan_event(itw_strongswan *s, struct itw_source_event *out)
{
  if (!s || !out) return ITW_ERR_ARGUMENT;
  if (out->size < sizeof *out) return ITW_ERR_SIZE;
  return s->ha ? itwi_ha_event(s->ha, out) : itwi_plugin_event(s->plugin, out);
}

itw_status itw_strongswan_answer(itw_strongswan *s, uint64_t *tag, struct itw_answer *out)
{
  if (!s || !tag || !out) return ITW_ERR_ARGUMENT;
  if (out->size < sizeof *out) return ITW_ERR_SIZE;
  return s->ha ? ITW_EMPTY : itwi_plugin_answer(s->plugin, tag, out);
}

uint32_t itw_strongswan_count(const itw_strongswan *s, uint32_t *child_sas)
{
  if (child_sas) *child_sas = !s ? 0 : s->ha ? s->ha->n_child : s->plugin->child_sas;
  return !s ? 0 : s->ha ? s->ha->n_ike : s->plugin->ike_sas;
}

/* ---- a provider ---- */

static itw_status answer(void *ctx, const struct itw_ask *ask, struct itw_answer *out)
{
  const itw_strongswan *const s = ctx;
  return s->ha ? itwi_ha_answer(s->ha, ask, out) : itwi_plugin_ask(s->plugin, ask, out);
}

static void cancel(void *ctx, uint64_t tag, uint32_t ask_id)
{
  const itw_strongswan *const s = ctx;
  struct itwi_question *const q = s->plugin ? itwi_question_find(s->plugin, tag, ask_id) : NULL;
  if (q) itwi_question_drop(s->plugin, q);
}

struct itw_keys itw_strongswan_keys(itw_strongswan *s)
{
  static const struct itw_keys_ops ops = {.size = sizeof ops, .answer = answer, .cancel = cancel};
  return (struct itw_keys){&ops, s};
}
