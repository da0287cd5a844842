/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin: its settings, its life. README.md says what it is for. */

#include "door.h"

#include <daemon.h>
#include <grp.h>
#include <ipsectwamp/strongswan.h>
#include <plugins/plugin.h>
#include <pwd.h>

enum { CAPACITY = 4096, MAX_COUNT = 65536, ALL_SCHEMES = ITW_IKEV2 | ITW_SHARED | ITW_SHARED_SID | ITW_ROOT };

struct ipsectwamp {
  plugin_t plugin; /* first: charon hands it back */
  struct sas *sas;
  struct door *door;
};

/* What charon's loader looks for. */
plugin_t *ipsectwamp_plugin_create(void);

/* ---- settings ---- */

static const char *setting(const char *name, char *otherwise)
{
  char key[64];
  snprintf(key, sizeof key, "%%s.plugins.ipsectwamp.%s", name);
  return lib->settings->get_str(lib->settings, key, otherwise, lib->ns);
}

static uint32_t number(const char *name, uint32_t otherwise)
{
  char key[64];
  snprintf(key, sizeof key, "%%s.plugins.ipsectwamp.%s", name);
  return (uint32_t)lib->settings->get_int(lib->settings, key, (int)otherwise, lib->ns);
}

static bool user_id(uid_t *out, const char *name)
{
  char *end;
  const unsigned long id = strtoul(name, &end, 10);
  const struct passwd *const user = getpwnam(name);

  *out = user ? user->pw_uid : (uid_t)id;
  return user || (*name && !*end);
}

static bool read_users(struct door_config *c)
{
  enumerator_t *const names = enumerator_create_token(setting("users", "root"), ",", " ");
  const char *name;
  bool good = true;

  while (names->enumerate(names, &name)) {
    if (c->n_users < DOOR_USERS && user_id(&c->users[c->n_users], name)) {
      c->n_users++;
      continue;
    }
    DBG1(DBG_CFG, "ipsectwamp: users: %s is no user, or one too many", name);
    good = false;
  }
  names->destroy(names);
  return good;
}

static bool read_group(struct door_config *c)
{
  const char *const name = setting("group", NULL);
  const struct group *const group = name ? getgrnam(name) : NULL;

  c->group = group ? group->gr_gid : (gid_t)-1;
  if (name && !group) DBG1(DBG_CFG, "ipsectwamp: group: there is no %s", name);
  return !name || group;
}

static bool read_schemes(uint32_t *out)
{
  const char *const text = setting("schemes", NULL);
  enumerator_t *const names = enumerator_create_token(text ? text : "", ",", " ");
  const char *name;
  bool good = true;

  *out = text ? 0 : ALL_SCHEMES;
  while (names->enumerate(names, &name)) {
    uint32_t scheme = 1;
    while (scheme <= ITW_DIRECT && strcmp(itw_scheme_name(scheme), name)) scheme <<= 1;
    *out |= scheme;
    good &= (scheme & ALL_SCHEMES) != 0;
  }
  names->destroy(names);
  if (!good || !*out) DBG1(DBG_CFG, "ipsectwamp: schemes: not of ikev2, shared, shared-sid, root: %s", text);
  return good && *out;
}

/* ---- its life ---- */

static void tell(void *owner, const struct itw_source_event *event)
{
  const struct ipsectwamp *const p = owner;
  if (p->door) door_tell(p->door, event);
}

static bool start(struct ipsectwamp *p)
{
  struct door_config door = {.path = setting("socket", ITW_STRONGSWAN_PATH), .max_count = number("max_count", MAX_COUNT)};
  struct sas_config sas = {.capacity = number("capacity", CAPACITY), .tell = tell, .owner = p};

  if (!read_users(&door) || !read_group(&door) || !read_schemes(&sas.schemes)) return false;
  p->sas = sas_create(&sas);
  if (!p->sas) return false;
  door.sas = p->sas;
  p->door = door_create(&door);
  if (!p->door) {
    sas_destroy(p->sas);
    p->sas = NULL;
    return false;
  }
  sas_listen(p->sas, true);
  return true;
}

static void stop(struct ipsectwamp *p)
{
  sas_listen(p->sas, false);
  door_destroy(p->door);
  sas_destroy(p->sas);
  p->sas = NULL;
  p->door = NULL;
}

static bool on_register(struct ipsectwamp *p, plugin_feature_t *feature, bool on, void *data)
{
  (void)feature, (void)data;
  if (on) return start(p);
  stop(p);
  return TRUE;
}

static char *get_name(plugin_t *plugin)
{
  static char name[] = "ipsectwamp";
  (void)plugin;
  return name;
}

static int get_features(plugin_t *plugin, plugin_feature_t *features[])
{
  static plugin_feature_t f[] = {
    PLUGIN_CALLBACK((plugin_feature_callback_t)on_register, NULL),
      PLUGIN_PROVIDE(CUSTOM, "ipsectwamp"),
  };
  (void)plugin;
  *features = f;
  return countof(f);
}

static void destroy(plugin_t *plugin) { free(plugin); }

plugin_t *ipsectwamp_plugin_create(void)
{
  struct ipsectwamp *const p = calloc(1, sizeof *p);

  if (!p) return NULL;
  p->plugin = (plugin_t){.get_name = get_name, .get_features = get_features, .destroy = destroy};
  return &p->plugin;
}
