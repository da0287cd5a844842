/* SPDX-License-Identifier: BSD-3-Clause */
/* Behind the HMAC: a peer that holds the key, and seals what it likes. The first octet chooses role and mode; then each
   message is an octet that says which, how long and how often it is spoiled, and two octets for each time: where, what. */

#include "link.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY = 256, MESSAGES = 24 };
struct input {
  const uint8_t *data;
  size_t size;
};

static uint8_t next(struct input *in)
{
  if (!in->size) return 0;
  in->size--;
  return *in->data++;
}

/* What a message is before it is spoiled; its length. */
static size_t template(uint8_t body[BODY], uint32_t role, uint32_t which)
{
  const struct itw_request_tw wish = fake_wish();
  const struct itw_accept_session accept = {.port = LINK_PORT, .sid = {1}};
  const struct itw_stop_sessions stop = {.sessions = 1};
  itw_status st = ITW_OK;
  memset(body, 0, BODY);
  if (role == ITW_ROLE_CLIENT) {
    if (which) st = itw_accept_session_write(body, BODY, &accept);
    if (st != ITW_OK) abort();
    return which ? ITW_ACCEPT_LEN : ITW_START_ACK_LEN;
  }
  if (which == 0) st = itw_request_tw_write(body, BODY, &wish);
  if (which == 1) st = itw_start_sessions_write(body, BODY);
  if (which == 2) st = itw_stop_sessions_write(body, BODY, &stop);
  if (st != ITW_OK) abort();
  return which ? ITW_START_LEN : ITW_REQUEST_LEN;
}

static void send_message(struct fake *f, uint32_t role, struct input *in)
{
  uint8_t body[BODY], how = next(in);
  size_t len = template(body, role, how & 3u);
  if (how & 4) len = 16 * (1 + next(in) % 15u);
  for (uint32_t times = how >> 4; times; times--) {
    const size_t at = next(in) % len;
    body[at] ^= next(in);
  }
  fake_seal(f, body, len);
}

static void discard(struct fake *f)
{
  uint8_t octets[256];
  while (fake_get(f, octets, sizeof octets)) f->peer->count = 0;
  f->peer->count = 0;
}

/* Our client tries something; what is not for now changes nothing. */
static void act(struct link *l, uint32_t what)
{
  const struct itw_request q = link_wish(what);
  struct link_side *c = &l->c;
  itw_status st = ITW_ERR_STATE;
  if (what & 1) st = link_ask(l, &q);
  if (st != ITW_OK && what & 2) st = itw_client_start(c->conn, &c->p, l->now);
  if (st != ITW_OK && what & 4) st = itw_client_stop(c->conn, &c->p, l->now);
  if (st == ITW_OK) link_run(l);
}

static void talk(struct link *l, struct fake *f, uint32_t role, struct input *in)
{
  for (uint32_t i = 0; in->size && i < MESSAGES && !link_over(f->peer); i++) {
    if (role == ITW_ROLE_CLIENT) act(l, next(in));
    discard(f);
    send_message(f, role, in);
    discard(f);
  }
  if (itw_conn_eof(f->peer->conn, &f->peer->p, l->now) != ITW_OK) abort();
  discard(f);
  if (!link_over(f->peer)) abort(); /* whatever came, it ends when the peer closes */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const uint32_t modes[] = {ITW_MODE_AUTH, ITW_MODE_ENC, ITW_MODE_MIXED, ITW_MODE_OPEN};
  static struct link l;
  struct input in = {data, size};
  struct fake f;
  const uint32_t first = next(&in), mode = modes[first >> 1 & 3], role = first & 1 ? ITW_ROLE_SERVER : ITW_ROLE_CLIENT;
  const struct itw_greeting hello = fake_hello(mode);
  link_init(&l, ITW_PSK, mode);
  if (role == ITW_ROLE_SERVER) {
    link_server(&l);
    fake_open(&f, &l, &l.s);
    if (fake_join(&f, mode)) abort();
  } else {
    link_client(&l);
    fake_open(&f, &l, &l.c);
    fake_greet(&f, &hello);
    if (!fake_start(&f, 0)) abort();
  }
  talk(&l, &f, role, &in);
  fake_close(&f);
  link_free(&l);
  return 0;
}
