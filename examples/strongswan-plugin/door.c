/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE 1
#include "door.h"

#include <daemon.h>
#include <errno.h>
#include <ipsectwamp/strongswan.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <threading/mutex.h>
#include <unistd.h>

enum { CLIENTS = 64, BACKLOG = 16 };

struct door {
  struct door_config config;
  char path[108];
  int fd;
  mutex_t *mutex;
  int clients[CLIENTS]; /* -1: free. Each is closed by its own callback only */
};

/* A message as it is sent. A secret. */
struct message {
  struct itw_plugin_head head;
  union {
    struct itw_plugin_hello hello;
    struct itw_answer answer;
    struct itw_source_event event;
  } body;
};

/* False: it isn't read; the client's callback will close it. Never waits. */
static bool put(int fd, struct message *m, uint32_t kind, uint32_t octets, uint64_t tag)
{
  const size_t n = sizeof m->head + octets;

  m->head = (struct itw_plugin_head){kind, octets, tag};
  if (send(fd, m, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n) return true;
  shutdown(fd, SHUT_RDWR);
  return false;
}

void door_tell(struct door *d, const struct itw_source_event *event)
{
  struct message m;

  d->mutex->lock(d->mutex);
  for (int i = 0; i < CLIENTS; i++) {
    if (d->clients[i] < 0) continue;
    m.body.event = *event;
    if (!put(d->clients[i], &m, ITW_PLUGIN_EVENT, sizeof m.body.event, 0))
      DBG1(DBG_CFG, "ipsectwamp: a program doesn't read what it is told, closing it");
  }
  d->mutex->unlock(d->mutex);
}

/* ---- questions ---- */

/* RFC 7717's secret is what that scheme hands out; nobody gets SKEYSEED or KEYMAT. */
static itw_status answer(struct door *d, const struct itw_ask *ask, struct itw_answer *out)
{
  const itw_status st = sas_answer(d->config.sas, ask, out);
  if (st != ITW_OK || out->kind != ITW_ANS_SECRET || ask->schemes == ITW_IKEV2) return st;
  if (ask->kind == ITW_ASK_TOKEN_KEY && ask->count > d->config.max_count) return ITW_ERR_COUNT; /* PBKDF2 would run here */
  return itw_answer_derive(out, ask, NULL);
}

static bool on_ask(struct door *d, int fd, const struct itw_plugin_head *head, const struct itw_ask *ask)
{
  struct message m;

  memset(&m, 0, sizeof m);
  ITW_INIT(m.body.answer);
  const itw_status st = answer(d, ask, &m.body.answer);
  if (st != ITW_OK) {
    itw_wipe(&m, sizeof m);
    ITW_INIT(m.body.answer);
    m.body.answer.kind = ITW_ANS_NONE;
    m.body.answer.why = st;
  }
  m.body.answer.id = ask->id;
  const bool good = put(fd, &m, ITW_PLUGIN_ANSWER, sizeof m.body.answer, head->tag);
  itw_wipe(&m, sizeof m);
  return good;
}

/* ---- clients ---- */

static void forget(struct door *d, int fd)
{
  d->mutex->lock(d->mutex);
  for (int i = 0; i < CLIENTS; i++)
    if (d->clients[i] == fd) d->clients[i] = -1;
  d->mutex->unlock(d->mutex);
  close(fd);
}

/* One packet. charon's watcher calls it from any thread, but not twice at a time for a descriptor. */
static bool on_client(void *data, int fd, watcher_event_t event)
{
  struct door *const d = data;
  struct {
    struct itw_plugin_head head;
    struct itw_ask ask;
  } in;
  (void)event;

  const ssize_t n = recv(fd, &in, sizeof in, MSG_DONTWAIT | MSG_TRUNC);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return TRUE;
  const bool whole = n == sizeof in && in.head.kind == ITW_PLUGIN_ASK && in.head.octets == sizeof in.ask;
  if (n > 0 && !whole) DBG1(DBG_CFG, "ipsectwamp: a program doesn't speak as it should, closing it");
  if (whole && on_ask(d, fd, &in.head, &in.ask)) return TRUE;
  forget(d, fd);
  return FALSE;
}

static bool may_ask(const struct door *d, int fd)
{
  struct ucred who;
  socklen_t len = sizeof who;

  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) || len != sizeof who) return false;
  for (unsigned i = 0; i < d->config.n_users; i++)
    if (d->config.users[i] == who.uid) return true;
  DBG1(DBG_CFG, "ipsectwamp: user %u may not ask", who.uid);
  return false;
}

static bool greet(struct door *d, int fd)
{
  struct message m;

  m.body.hello = (struct itw_plugin_hello){.magic = ITW_PLUGIN_MAGIC, .version = ITW_PLUGIN_VERSION};
  m.body.hello.ike_sas = sas_count(d->config.sas, &m.body.hello.child_sas);
  return put(fd, &m, ITW_PLUGIN_HELLO, sizeof m.body.hello, 0);
}

/* HELLO under the mutex: it comes before any event. */
static bool take_in(struct door *d, int fd)
{
  int i = 0;

  d->mutex->lock(d->mutex);
  while (i < CLIENTS && d->clients[i] >= 0) i++;
  const bool good = i < CLIENTS && greet(d, fd);
  if (good) d->clients[i] = fd;
  d->mutex->unlock(d->mutex);
  if (i == CLIENTS) DBG1(DBG_CFG, "ipsectwamp: %d programs are connected, no more", CLIENTS);
  return good;
}

static bool on_connect(void *data, int listening, watcher_event_t event)
{
  struct door *const d = data;
  const int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  (void)event;

  if (fd < 0) return TRUE;
  if (may_ask(d, fd) && take_in(d, fd))
    lib->watcher->add(lib->watcher, fd, WATCHER_READ, on_client, d);
  else
    close(fd);
  return TRUE;
}

/* ---- its life ---- */

/* A socket that a charon before us left. One that answers is another charon's. */
static bool is_stale(const struct sockaddr_un *address)
{
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  const bool refused = connect(fd, (const struct sockaddr *)address, sizeof *address) && errno == ECONNREFUSED;
  close(fd);
  return refused;
}

static bool listen_at(struct door *d)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const mode_t mode = d->config.group == (gid_t)-1 ? 0600 : 0660;

  memcpy(address.sun_path, d->path, sizeof d->path);
  d->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (d->fd < 0) return false;
  if (is_stale(&address)) unlink(d->path);
  const mode_t before = umask(0177); /* nobody else from the start */
  const bool bound = bind(d->fd, (const struct sockaddr *)&address, sizeof address) == 0;
  const int error = errno;
  umask(before);
  errno = error;
  if (!bound) return false;
  if (chown(d->path, (uid_t)-1, d->config.group) || chmod(d->path, mode)) return false;
  return listen(d->fd, BACKLOG) == 0;
}

struct door *door_create(const struct door_config *config)
{
  struct door *const d = calloc(1, sizeof *d);

  if (!d) return NULL;
  d->config = *config;
  for (int i = 0; i < CLIENTS; i++) d->clients[i] = -1;
  const bool fits = strlen(config->path) < sizeof d->path;
  if (fits) strncpy(d->path, config->path, sizeof d->path - 1);
  if (!fits || !listen_at(d)) {
    DBG1(DBG_CFG, "ipsectwamp: no socket at %s: %s", config->path, fits ? strerror(errno) : "the path is too long");
    if (d->fd > 0) close(d->fd);
    free(d);
    return NULL;
  }
  d->mutex = mutex_create(MUTEX_TYPE_DEFAULT);
  lib->watcher->add(lib->watcher, d->fd, WATCHER_READ, on_connect, d);
  return d;
}

void door_destroy(struct door *d)
{
  lib->watcher->remove(lib->watcher, d->fd);
  close(d->fd);
  unlink(d->path);
  for (int i = 0; i < CLIENTS; i++) {
    const int fd = d->clients[i];
    if (fd < 0) continue;
    lib->watcher->remove(lib->watcher, fd); /* waits for its callback, which may close it */
    if (d->clients[i] == fd) close(fd);
  }
  d->mutex->destroy(d->mutex);
  free(d);
}
