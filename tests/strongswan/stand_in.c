/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stand_in.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the plugin's end ---- */

void listen_on(struct charon *c)
{
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  memcpy(at.sun_path, c->path, strlen(c->path));
  (void)unlink(c->path);
  c->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
  assert_true(c->listener >= 0);
  assert_int_equal(bind(c->listener, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(c->listener, 4), 0);
}

void take_peer(struct charon *c)
{
  c->peer = accept(c->listener, NULL, NULL);
  assert_true(c->peer >= 0);
}

void utter(struct charon *c, uint32_t kind, uint64_t tag, const void *octets, uint32_t len)
{
  const struct itw_plugin_head head = {kind, len, tag};
  uint8_t message[2048];
  memcpy(message, &head, sizeof head);
  memcpy(message + sizeof head, octets, len);
  assert_int_equal(send(c->peer, message, sizeof head + len, MSG_NOSIGNAL), sizeof head + len);
}

void utter_hello(struct charon *c, uint32_t version)
{
  const struct itw_plugin_hello hello = {ITW_PLUGIN_MAGIC, version, 3, 4};
  utter(c, ITW_PLUGIN_HELLO, 0, &hello, sizeof hello);
}

bool hear(struct charon *c, struct itw_ask *ask)
{
  struct itw_plugin_head head;
  uint8_t message[ITW_PLUGIN_OCTETS];
  const ssize_t n = recv(c->peer, message, sizeof message, MSG_DONTWAIT);
  if (n < 0) return false;
  assert_int_equal(n, sizeof head + sizeof *ask);
  memcpy(&head, message, sizeof head);
  memcpy(ask, message + sizeof head, sizeof *ask);
  assert_int_equal(head.kind, ITW_PLUGIN_ASK);
  assert_int_equal(head.octets, sizeof *ask);
  assert_int_equal(head.tag, ask->tag);
  return true;
}

struct itw_answer answer_to(uint32_t id)
{
  struct itw_answer a;
  ITW_INIT(a);
  ITW_INIT(a.sa);
  a.id = id;
  a.kind = ITW_ANS_DERIVED;
  a.token_len = 16;
  memset(a.octets, (int)id, 16);
  return a;
}

/* ---- our end ---- */

void open_source(struct charon *c, uint32_t capacity, uint32_t uid)
{
  struct itw_strongswan_config config;
  ITW_INIT(config);
  config.feed = ITW_STRONGSWAN_PLUGIN;
  config.capacity = capacity;
  config.path = c->path;
  config.uid = uid;
  assert_int_equal(itw_strongswan_new(&c->source, &config, NULL, c->now), ITW_OK);
}

void read_on(struct charon *c, double seconds)
{
  c->now += (itw_mono)(seconds * SECOND);
  c->status = itw_strongswan_read(c->source, c->now);
  assert_true(c->status == ITW_OK || c->status == ITW_AGAIN);
}

void start(struct charon *c)
{
  *c = (struct charon){.folder = "/tmp/itw-plugin-XXXXXX", .listener = -1, .peer = -1, .now = SECOND};
  assert_non_null(mkdtemp(c->folder));
  (void)snprintf(c->path, sizeof c->path, "%s/socket", c->folder);
}

void start_talking(struct charon *c, uint32_t capacity)
{
  start(c);
  listen_on(c);
  open_source(c, capacity, (uint32_t)getuid());
  take_peer(c);
  utter_hello(c, ITW_PLUGIN_VERSION);
  read_on(c, 0);
}

void hang_up(struct charon *c)
{
  if (c->peer >= 0) close(c->peer);
  if (c->listener >= 0) close(c->listener);
  c->peer = c->listener = -1;
  (void)unlink(c->path);
}

void end(struct charon *c)
{
  itw_strongswan_free(c->source);
  hang_up(c);
  assert_int_equal(rmdir(c->folder), 0);
}

itw_status ask(struct charon *c, uint64_t tag, uint32_t id, struct itw_answer *out)
{
  const struct itw_keys keys = itw_strongswan_keys(c->source);
  struct itw_ask a;
  ITW_INIT(a);
  ITW_INIT(*out);
  a.id = out->id = id;
  a.tag = tag;
  a.kind = ITW_ASK_TOKEN_KEY;
  return keys.ops->answer(keys.ctx, &a, out);
}

void expect_event(struct charon *c, uint32_t kind, itw_status why)
{
  struct itw_source_event e;
  ITW_INIT(e);
  assert_int_equal(itw_strongswan_event(c->source, &e), ITW_OK);
  assert_int_equal(e.kind, kind);
  assert_int_equal(e.why, why);
}

void expect_no_event(struct charon *c)
{
  struct itw_source_event e;
  ITW_INIT(e);
  assert_int_equal(itw_strongswan_event(c->source, &e), ITW_EMPTY);
}

void expect_answer(struct charon *c, uint64_t tag, uint32_t id, uint32_t kind, itw_status why)
{
  struct itw_answer a;
  uint64_t whose = 0;
  ITW_INIT(a);
  assert_int_equal(itw_strongswan_answer(c->source, &whose, &a), ITW_OK);
  assert_int_equal(whose, tag);
  assert_int_equal(a.id, id);
  assert_int_equal(a.kind, kind);
  assert_int_equal(a.why, why);
  if (kind == ITW_ANS_DERIVED) assert_int_equal(a.octets[15], (uint8_t)id);
}

void expect_no_answer(struct charon *c)
{
  struct itw_answer a;
  uint64_t tag;
  ITW_INIT(a);
  assert_int_equal(itw_strongswan_answer(c->source, &tag, &a), ITW_EMPTY);
}
