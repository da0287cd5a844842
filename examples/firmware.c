/* SPDX-License-Identifier: BSD-3-Clause */
/* A device without a heap: all memory is static, its size known when linking; and without sockets of the usual kind: a
   byte pump moves a few octets of the control connections at a time, as a UART or a small TCP stack would.

   Both ends are in this program, so that it can be run: a Server with a Session-Reflector on one side, a Control-Client
   with a Session-Sender on the other. A device has one of them, and takes its half of this file; the functions board_...
   are to be replaced by what the device has. Nothing here calls malloc; what a crypto library such as OpenSSL keeps on a
   heap of its own is beyond us: a device uses another one (meson -Dcrypto=mbedtls), or none, in unauthenticated mode. */

#define _GNU_SOURCE 1
#include <inttypes.h>
#include <ipsectwamp/ipsectwamp.h>
#include <ipsectwamp/wire.h> /* ITW_ACCEPT_* */
#include <stdbool.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

enum { SESSIONS = 8, KEYS = 4, TOKEN_KEYS = 2, CLIENT_IVS = 8, WINDOW = 32 };
enum { PACKETS = 5, PACKET_ROOM = 256, PADDING = 64 };
enum { PUMP = 7, WIRE = 64, SLICE = 64 }; /* octets at a time, octets in flight, iterations of PBKDF2 a turn */

/* ---- the board ---- */

static bool board_random(void *out, size_t n) { return getrandom(out, n, 0) == (ssize_t)n; }

static itw_mono board_mono(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static itw_ntp board_wall(void)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return itw_ntp_from_unix((uint64_t)t.tv_sec, (uint32_t)t.tv_nsec);
}

/* Is there a crypto library? A device knows when it is built. */
static bool secure(void) { return strcmp(itw_crypto_backend(), "none") != 0; }

static void board_log(const char *what, itw_status st) { printf("%s: %s\n", what, itw_status_text(st)); }

/* ---- static memory: ITW_*_BOUND say how much at most ---- */

#define MEMORY(name, octets) static _Alignas(uint64_t) uint8_t name[octets]

MEMORY(ring_memory, ITW_KEYRING_BOUND(KEYS));
MEMORY(server_memory, ITW_SERVER_BOUND(TOKEN_KEYS, CLIENT_IVS));
MEMORY(server_conn_memory, ITW_CONN_BOUND(SESSIONS));
MEMORY(reflector_memory, ITW_REFLECTOR_BOUND(SESSIONS, 0));
MEMORY(client_conn_memory, ITW_CONN_BOUND(1));
MEMORY(sender_memory, ITW_SENDER_BOUND(1, 0, WINDOW));
static uint8_t packet_octets[PACKET_ROOM];

static itw_keyring *ring;
static itw_server *server;
static itw_conn *server_conn, *client_conn;
static itw_reflector *reflector;
static itw_sender *sender;

static const struct itw_addr client_addr = {.family = 4, .port = 40000, .ip = {192, 0, 2, 1}};
static const struct itw_addr server_addr = {.family = 4, .port = 862, .ip = {192, 0, 2, 2}};
enum { CLIENT_UDP = 40001, SERVER_UDP = 20000 };

static void print_memory(void)
{
  static const struct {
    const char *what;
    size_t octets;
  } table[] = {{"keyring, 4 keys", sizeof ring_memory},
               {"Server, shared by its connections", sizeof server_memory},
               {"a Server's connection, 8 sessions", sizeof server_conn_memory},
               {"reflector, 8 sessions", sizeof reflector_memory},
               {"a client's connection, 1 session", sizeof client_conn_memory},
               {"sender, 1 session", sizeof sender_memory},
               {"a packet", sizeof packet_octets}};
  size_t sum = 0;

  for (size_t i = 0; i < sizeof table / sizeof table[0]; sum += table[i++].octets)
    printf("%6zu octets  %s\n", table[i].octets, table[i].what);
  printf("%6zu octets  in all\n", sum);
}

/* ---- the byte pump: a wire with room for some octets in each direction ---- */

struct wire {
  uint8_t octets[WIRE];
  uint32_t head, tail; /* counted up; the difference is what is in flight */
};
static struct wire to_server, to_client;

static size_t wire_put(struct wire *w, const uint8_t *in, size_t n)
{
  size_t done = 0;
  while (done < n && w->head - w->tail < WIRE) w->octets[w->head++ % WIRE] = in[done++];
  return done;
}

static size_t wire_get(struct wire *w, uint8_t *out, size_t n)
{
  size_t done = 0;
  while (done < n && w->tail != w->head) out[done++] = w->octets[w->tail++ % WIRE];
  return done;
}

static size_t at_most(size_t n, size_t limit) { return n < limit ? n : limit; }

/* One turn of one connection: a few octets in, news, a slice of work, a few octets out. False: it is over. */
static bool turn(itw_conn *conn, struct wire *in, struct wire *out, itw_status (*on_event)(const struct itw_event *))
{
  struct itw_poll p;
  struct itw_event event;
  itw_status st;

  ITW_INIT(p);
  ITW_INIT(event);
  st = itw_conn_expire(conn, &p, board_mono()); /* fills p; does nothing before the deadline */
  if (st >= 0 && (p.wants & ITW_WANT_READ))
    st = itw_conn_got(conn, &p, wire_get(in, p.in, at_most(p.in_len, PUMP)), board_mono());
  while (st >= 0 && (p.wants & ITW_WANT_EVENT)) {
    st = itw_conn_event(conn, &event, &p);
    if (st == ITW_OK) st = on_event(&event);
    if (st >= 0) st = itw_conn_poll(conn, &p);
  }
  if (st >= 0 && (p.wants & ITW_WANT_WORK)) st = itw_conn_work(conn, &p, SLICE, board_mono()); /* the watchdog lives */
  if (st >= 0 && (p.wants & ITW_WANT_WRITE))
    st = itw_conn_sent(conn, &p, wire_put(out, p.out, at_most(p.out_len, PUMP)), board_mono());
  if (st < 0) board_log("connection", st);
  return st >= 0 && !(p.wants & ITW_WANT_CLOSE);
}

/* ---- one side: Server and Session-Reflector ---- */

static itw_id ids[SESSIONS];

static itw_status on_request(const struct itw_event *event)
{
  struct itw_offer offer;

  ITW_INIT(offer);
  offer.port = SERVER_UDP + event->slot; /* a device with sockets binds it here */
  offer.wall = board_wall();
  if (!board_random(offer.random, sizeof offer.random))
    return itw_server_answer(server_conn, NULL, event->slot, ITW_ACCEPT_INTERNAL, board_mono());
  return itw_server_prepare(server_conn, NULL, event->slot, &offer, board_mono());
}

/* Into the reflector first: it may be full, and then the answer is a refusal. */
static itw_status on_ready(const struct itw_event *event)
{
  struct itw_session session;
  itw_status st = itw_conn_session(server_conn, event->slot, &session);

  if (st == ITW_OK) st = itw_reflector_add(reflector, &ids[event->slot], &session, event->slot, board_mono());
  itw_session_wipe(&session);
  return itw_server_answer(server_conn, NULL, event->slot, st == ITW_OK ? ITW_ACCEPT_OK : ITW_ACCEPT_TEMPORARY,
                           board_mono());
}

static itw_status on_server_event(const struct itw_event *event)
{
  itw_status st = ITW_OK;

  switch (event->kind) {
  case ITW_EV_REQUEST: return on_request(event);
  case ITW_EV_READY: return on_ready(event);
  case ITW_EV_STARTED:
    for (int i = 0; i < SESSIONS && st >= 0; i++)
      if (ids[i]) st = itw_reflector_start(reflector, ids[i], board_mono());
    return st;
  case ITW_EV_STOPPED:
    for (int i = 0; i < SESSIONS && st >= 0; i++)
      if (ids[i]) st = itw_reflector_stop(reflector, ids[i], board_mono());
    return st;
  case ITW_EV_CLOSED: board_log("Server: the connection ended", event->status); return ITW_OK;
  default: return ITW_OK;
  }
}

/* Sessions whose Timeout after Stop has passed. */
static itw_status forget_ended(void)
{
  uint64_t slot;
  itw_status why, st = ITW_OK;
  itw_id id;

  while (st >= 0 && itw_reflector_ended(reflector, &id, &slot, &why, board_mono()) == ITW_OK) {
    ids[slot] = 0;
    st = itw_reflector_remove(reflector, id);
    if (st >= 0 && server_conn) st = itw_server_ended(server_conn, NULL, (uint32_t)slot, board_mono());
  }
  return st;
}

/* A test packet that came in, octets in packet_octets; true: its reply stands there. */
static bool reflect(struct itw_packet *p)
{
  if (itw_reflector_take(reflector, packet_octets, sizeof packet_octets, p, sizeof *p, 1, board_mono()) < 0)
    return false;
  if (p->status != ITW_OK) return false;
  p->sent = board_wall();
  return itw_reflector_reply(reflector, packet_octets, sizeof packet_octets, p, sizeof *p, 1) == ITW_OK &&
         p->status == ITW_OK;
}

static itw_status boot_server(void)
{
  struct itw_server_config config;
  struct itw_shard_config shard;
  struct itw_incoming in;
  itw_status st;

  ITW_INIT(config);
  ITW_INIT(shard);
  ITW_INIT(shard.clock);
  ITW_INIT(in);
  config.schemes = secure() ? ITW_PSK : 0;
  config.modes = secure() ? ITW_MODE_AUTH | ITW_MODE_ENC : ITW_MODE_OPEN;
  config.sessions = shard.sessions = SESSIONS;
  config.count_psk = 1024;
  config.token_keys = TOKEN_KEYS;
  config.client_ivs = CLIENT_IVS;
  config.start = board_wall();
  config.keys = itw_keyring_keys(ring);
  in.local = server_addr;
  in.remote = client_addr;
  if (!board_random(config.salt, sizeof config.salt) || !board_random(shard.seed, sizeof shard.seed) ||
      !board_random(in.random, sizeof in.random))
    return ITW_ERR_INTERNAL;
  st = itw_server_init(&server, server_memory, sizeof server_memory, &config, NULL);
  if (st == ITW_OK) st = itw_reflector_init(&reflector, reflector_memory, sizeof reflector_memory, &shard);
  if (st == ITW_OK)
    st = itw_server_conn_init(server, &server_conn, server_conn_memory, sizeof server_conn_memory, &in, board_mono());
  itw_wipe(&in, sizeof in);
  itw_wipe(&shard, sizeof shard);
  return st;
}

/* ---- the other side: Control-Client and Session-Sender ---- */

static itw_id sender_id;
static unsigned answered;

/* A packet goes there and back at once: the two sides share packet_octets. A device sends it, and reads what comes. */
static itw_status measure_once(void)
{
  struct itw_packet p = {.id = sender_id, .cap = sizeof packet_octets};
  struct itw_reply reply;
  itw_status st = itw_sender_write(sender, packet_octets, sizeof packet_octets, &p, sizeof p, 1);

  p.sent = board_wall();
  if (st == ITW_OK) st = itw_sender_stamp(sender, packet_octets, sizeof packet_octets, &p, sizeof p, 1);
  if (st != ITW_OK || p.status != ITW_OK) return st < 0 ? st : p.status;

  struct itw_packet there = {.len = p.len,
                             .cap = sizeof packet_octets,
                             .received = board_wall(),
                             .ttl = 255,
                             .remote = p.local,
                             .local = p.remote};
  if (!reflect(&there)) return there.status;

  struct itw_packet back = {.len = there.len,
                            .cap = sizeof packet_octets,
                            .received = board_wall(),
                            .ttl = 255,
                            .remote = there.local,
                            .local = there.remote};
  ITW_INIT(reply);
  st = itw_sender_read(sender, packet_octets, sizeof packet_octets, &back, sizeof back, &reply, sizeof reply, 1);
  if (st != ITW_OK || back.status != ITW_OK) return st < 0 ? st : back.status;
  printf("seq %" PRIu32 "  rtt %" PRId64 " ns\n", reply.seq, reply.rtt_ns);
  answered++;
  return ITW_OK;
}

static itw_status on_up(void)
{
  struct itw_request request;
  uint32_t slot;

  ITW_INIT(request);
  request.padding = PADDING;
  request.sender.port = CLIENT_UDP;
  request.start = board_wall();
  request.timeout = itw_ntp_span(1000000); /* 1 ms will do here */
  return itw_client_request(client_conn, NULL, &slot, &request, board_mono());
}

static itw_status on_accepted(const struct itw_event *event)
{
  struct itw_session session;
  itw_status st = itw_conn_session(client_conn, event->slot, &session);

  if (st == ITW_OK) st = itw_sender_add(sender, &sender_id, &session, 0);
  itw_session_wipe(&session);
  return st == ITW_OK ? itw_client_start(client_conn, NULL, board_mono()) : st;
}

static itw_status on_client_event(const struct itw_event *event)
{
  itw_status st = ITW_OK;

  switch (event->kind) {
  case ITW_EV_UP: return on_up();
  case ITW_EV_ACCEPTED: return on_accepted(event);
  case ITW_EV_STARTED:
    for (int i = 0; i < PACKETS && st == ITW_OK; i++) st = measure_once();
    return st == ITW_OK ? itw_client_stop(client_conn, NULL, board_mono()) : st;
  case ITW_EV_STOPPED: return itw_conn_close(client_conn, NULL, board_mono());
  case ITW_EV_CLOSED: board_log("client: the connection ended", event->status); return ITW_OK;
  default: return ITW_OK;
  }
}

static itw_status boot_client(void)
{
  struct itw_client_config config;
  struct itw_shard_config shard;
  itw_status st;

  ITW_INIT(config);
  ITW_INIT(shard);
  ITW_INIT(shard.clock);
  config.schemes = secure() ? ITW_PSK : 0;
  config.modes[0] = secure() ? ITW_MODE_ENC : ITW_MODE_OPEN;
  if (secure()) {
    config.key_id_len = 3;
    memcpy(config.key_id, "acs", 3);
  }
  config.local = client_addr;
  config.remote = server_addr;
  config.keys = itw_keyring_keys(ring);
  shard.sessions = 1;
  shard.window = WINDOW;
  if (!board_random(config.random, sizeof config.random) || !board_random(shard.seed, sizeof shard.seed))
    return ITW_ERR_INTERNAL;
  st = itw_client_init(&client_conn, client_conn_memory, sizeof client_conn_memory, &config, NULL, board_mono());
  if (st == ITW_OK) st = itw_sender_init(&sender, sender_memory, sizeof sender_memory, &shard);
  itw_wipe(&config, sizeof config);
  itw_wipe(&shard, sizeof shard);
  return st;
}

/* ---- the main loop ---- */

static itw_status boot(void)
{
  static const uint8_t key_id[] = {'a', 'c', 's'};
  uint8_t passphrase[24]; /* a device has it in its flash */
  itw_status st = itw_keyring_init(&ring, ring_memory, sizeof ring_memory, KEYS, NULL);

  if (!board_random(passphrase, sizeof passphrase)) return ITW_ERR_INTERNAL;
  for (size_t i = 0; i < sizeof passphrase; i++) passphrase[i] = (uint8_t)('a' + passphrase[i] % 26);
  if (st == ITW_OK) st = itw_keyring_add_psk(ring, key_id, sizeof key_id, passphrase, sizeof passphrase);
  itw_wipe(passphrase, sizeof passphrase);
  if (st == ITW_OK) st = boot_server();
  return st == ITW_OK ? boot_client() : st;
}

/* Both ends in turn, until both are done. */
static itw_status run(void)
{
  itw_status st = ITW_OK;

  while (st >= 0 && (client_conn || server_conn)) {
    if (client_conn && !turn(client_conn, &to_client, &to_server, on_client_event)) {
      itw_conn_free(client_conn);
      client_conn = NULL;
    }
    if (server_conn && !client_conn && to_server.head == to_server.tail) /* all was read that the client wrote */
      st = itw_conn_eof(server_conn, NULL, board_mono());
    if (server_conn && !turn(server_conn, &to_server, &to_client, on_server_event)) {
      itw_conn_free(server_conn);
      server_conn = NULL;
    }
    if (st >= 0) st = forget_ended();
  }
  return st;
}

int main(void)
{
  itw_status st = boot();

  print_memory();
  if (st == ITW_OK) st = run();
  if (st != ITW_OK) board_log("firmware", st);
  itw_sender_free(sender);
  itw_reflector_free(reflector);
  itw_server_free(server);
  itw_keyring_free(ring);
  return st == ITW_OK && answered == PACKETS ? 0 : 1;
}
