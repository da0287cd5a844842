/* SPDX-License-Identifier: BSD-3-Clause */
/* Control connections per second over loopback TCP, from connect to close with one session requested, started and stopped:
   both ends in one thread, beside the same octets sent and received by nobody in particular. README.md explains the table. */

#include <arpa/inet.h>
#include <errno.h>
#include <ipsectwamp/ipsectwamp.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STEPS = 64 };

struct end {
  int fd;
  itw_conn *conn;
  struct itw_poll p;
  bool client;
};
/* Who wrote how much, in order: what the bare exchange repeats. */
struct script {
  struct {
    bool client;
    size_t n;
  } step[STEPS];
  size_t count;
};
struct bench {
  int listener;
  itw_keyring *ring;
  itw_server *server;
  struct itw_client_config client;
  struct script script;
};
struct row {
  const char *name;
  uint32_t scheme, mode, count;
  bool cold; /* a new Salt for each connection: the Server derives, too */
};

static unsigned long mallocs;

static void *counted_malloc(size_t n, const char *file, int line)
{
  (void)file;
  (void)line;
  mallocs++;
  return malloc(n);
}
static void *counted_realloc(void *p, size_t n, const char *file, int line)
{
  (void)file;
  (void)line;
  return realloc(p, n);
}
static void plain_free(void *p, const char *file, int line)
{
  (void)file;
  (void)line;
  free(p);
}

static void die(const char *what)
{
  fprintf(stderr, "bench_connection: %s\n", what);
  exit(1);
}

static void must(itw_status st, const char *what)
{
  if (st < 0) die(what);
}

static itw_mono now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (itw_mono)t.tv_sec * 1000000000u + (itw_mono)t.tv_nsec;
}

/* ---- TCP ---- */

static int listen_on_loopback(void)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 16)) die("no listener");
  return fd;
}

static void connect_pair(int listener, int *client, int *server)
{
  struct sockaddr_in a;
  socklen_t len = sizeof a;
  const int one = 1;
  *client = socket(AF_INET, SOCK_STREAM, 0);
  if (*client < 0 || getsockname(listener, (struct sockaddr *)&a, &len) || connect(*client, (struct sockaddr *)&a, len))
    die("no connection");
  *server = accept(listener, NULL, NULL);
  if (*server < 0) die("no connection");
  setsockopt(*client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(*server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* ---- two ends of ours ---- */

static void on_client_event(struct end *e, const struct itw_event *ev)
{
  struct itw_request q;
  uint32_t slot;
  ITW_INIT(q);
  q.sender.port = 40000;
  q.padding = 64;
  if (ev->kind == ITW_EV_UP) must(itw_client_request(e->conn, &e->p, &slot, &q, now()), "request");
  if (ev->kind == ITW_EV_ACCEPTED) must(itw_client_start(e->conn, &e->p, now()), "start");
  if (ev->kind == ITW_EV_STARTED) must(itw_client_stop(e->conn, &e->p, now()), "stop");
  if (ev->kind == ITW_EV_CLOSED && ev->status != ITW_OK) die(itw_status_text(ev->status));
}

static void on_server_event(struct end *e, const struct itw_event *ev)
{
  struct itw_offer o;
  ITW_INIT(o);
  o.port = 19000;
  o.wall = now();
  if (ev->kind == ITW_EV_REQUEST) must(itw_server_prepare(e->conn, &e->p, ev->slot, &o, now()), "prepare");
  if (ev->kind == ITW_EV_READY) must(itw_server_answer(e->conn, &e->p, ev->slot, 0, now()), "answer");
}

static void write_some(struct end *e, struct script *s)
{
  ssize_t n = send(e->fd, e->p.out, e->p.out_len, MSG_NOSIGNAL);
  if (n <= 0) die("send");
  if (s && s->count < STEPS) {
    s->step[s->count].client = e->client;
    s->step[s->count++].n = (size_t)n;
  }
  must(itw_conn_sent(e->conn, &e->p, (size_t)n, now()), "sent");
}

/* All that it wants but for reading. */
static void drive(struct end *e, struct script *s)
{
  struct itw_event ev;
  while (e->p.wants & (ITW_WANT_EVENT | ITW_WANT_WORK | ITW_WANT_WRITE)) {
    if (e->p.wants & ITW_WANT_EVENT) {
      ITW_INIT(ev);
      must(itw_conn_event(e->conn, &ev, &e->p), "event");
      (e->client ? on_client_event : on_server_event)(e, &ev);
    } else if (e->p.wants & ITW_WANT_WORK) {
      must(itw_conn_work(e->conn, &e->p, 1u << 20, now()), "work");
    } else {
      write_some(e, s);
    }
  }
}

static bool read_some(struct end *e)
{
  ssize_t n = e->p.in_len ? recv(e->fd, e->p.in, e->p.in_len, MSG_DONTWAIT) : -1;
  if (n > 0) must(itw_conn_got(e->conn, &e->p, (size_t)n, now()), "got");
  return n > 0;
}

static void fill(uint8_t *p, size_t n)
{
  static uint64_t state = 88172645463325252u;
  for (size_t i = 0; i < n; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    p[i] = (uint8_t)state;
  }
}

static void make_ends(struct bench *b, struct end *c, struct end *s)
{
  struct itw_incoming in;
  ITW_INIT(in);
  fill(in.random, sizeof in.random);
  fill(b->client.random, sizeof b->client.random);
  ITW_INIT(c->p);
  ITW_INIT(s->p);
  c->client = true;
  s->client = false;
  must(itw_client_new(&c->conn, &b->client, NULL, now()), "client");
  must(itw_server_conn_new(b->server, &s->conn, &in, now()), "server");
  must(itw_conn_poll(c->conn, &c->p), "poll");
  must(itw_conn_poll(s->conn, &s->p), "poll");
}

/* From connect to close. The Client's Stop-Sessions is the last message; then both ends are let go. */
static void one_connection(struct bench *b, struct script *script)
{
  struct end c, s;
  bool more = true;
  connect_pair(b->listener, &c.fd, &s.fd);
  make_ends(b, &c, &s);
  while (more) {
    drive(&s, script);
    drive(&c, script);
    more = read_some(&s) | read_some(&c);
  }
  itw_conn_free(c.conn);
  itw_conn_free(s.conn);
  close(c.fd);
  close(s.fd);
}

static void bare_connection(struct bench *b)
{
  static uint8_t octets[1024];
  int c, s;
  connect_pair(b->listener, &c, &s);
  for (size_t i = 0; i < b->script.count; i++) {
    size_t n = b->script.step[i].n;
    bool client = b->script.step[i].client;
    if (send(client ? c : s, octets, n, MSG_NOSIGNAL) != (ssize_t)n) die("bare send");
    if (recv(client ? s : c, octets, n, MSG_WAITALL) != (ssize_t)n) die("bare receive");
  }
  close(c);
  close(s);
}

/* ---- keys ---- */

static void add_keys(itw_keyring *ring)
{
  struct itw_ike_sa ike;
  struct itw_child_sa esp;
  ITW_INIT(ike);
  ITW_INIT(ike.sa);
  ike.sa.protocol = ITW_SA_IKE;
  ike.sa.prf = ITW_PRF_HMAC_SHA2_256;
  ike.sa.spi_i = 1;
  ike.sa.spi_r = 2;
  ike.skeyseed_len = ike.sk_d_len = 32;
  fill(ike.skeyseed, 32);
  fill(ike.sk_d, 32);
  ITW_INIT(esp);
  ITW_INIT(esp.sa);
  esp.sa.protocol = ITW_SA_ESP;
  esp.sa.spi_i = 3;
  esp.sa.spi_r = 4;
  esp.encr = ITW_ENCR_AES_CBC;
  esp.encr_len = 16;
  esp.integ_len = 20;
  fill(esp.encr_key_i, 16);
  fill(esp.integ_key_i, 20);
  esp.schemes = ITW_DIRECT;
  must(itw_keyring_add_psk(ring, (const uint8_t *)"bench", 5, (const uint8_t *)"a passphrase", 12), "psk");
  must(itw_keyring_add_ike(ring, &ike), "ike");
  must(itw_keyring_add_child(ring, &esp), "esp");
}

static void open_row(struct bench *b, const struct row *row)
{
  struct itw_server_config g;
  ITW_INIT(g);
  g.schemes = row->scheme;
  g.modes = row->mode;
  g.count_psk = g.count_sa = row->count;
  fill(g.salt, sizeof g.salt);
  must(itw_keyring_new(&b->ring, 4, NULL), "ring");
  add_keys(b->ring);
  g.keys = itw_keyring_keys(b->ring);
  must(itw_server_new(&b->server, &g, NULL), "server");
  ITW_INIT(b->client);
  b->client.schemes = row->scheme;
  b->client.modes[0] = (uint8_t)row->mode;
  b->client.keys = g.keys;
  b->client.key_id_len = row->scheme == ITW_PSK ? 5 : 0;
  memcpy(b->client.key_id, "bench", 5);
  b->client.local.family = b->client.remote.family = 4;
  b->script.count = 0;
}

static void close_row(struct bench *b)
{
  itw_server_free(b->server);
  itw_keyring_free(b->ring);
}

/* ---- the table ---- */

static void chill(struct bench *b, const struct row *row)
{
  uint8_t salt[16];
  if (!row->cold) return;
  fill(salt, sizeof salt);
  must(itw_server_set_salt(b->server, salt), "salt");
}

static void run(struct bench *b, const struct row *row, unsigned rounds)
{
  itw_mono ours = 0, bare = 0, t;
  unsigned long before;
  open_row(b, row);
  one_connection(b, &b->script);
  before = mallocs;
  for (unsigned i = 0; i < rounds; i++) { /* in turns, so that both see the same machine */
    chill(b, row);
    t = now();
    one_connection(b, NULL);
    ours += now() - t;
    t = now();
    bare_connection(b);
    bare += now() - t;
  }
  printf("%-28s %9.0f %9.0f %7.2f %8.1f\n", row->name, rounds * 1e9 / (double)ours, rounds * 1e9 / (double)bare,
         (double)ours / (double)bare, (double)(mallocs - before) / rounds);
  close_row(b);
}

int main(int argc, char **argv)
{
  static const struct row rows[] = {
    {"open", 0, ITW_MODE_OPEN, 1024, false},
    {"psk, Count 1024", ITW_PSK, ITW_MODE_ENC, 1024, false},
    {"psk, Count 1024, new Salt", ITW_PSK, ITW_MODE_ENC, 1024, true},
    {"psk, Count 32768", ITW_PSK, ITW_MODE_ENC, 32768, false},
    {"ikev2", ITW_IKEV2, ITW_MODE_ENC, 1024, false},
    {"shared", ITW_SHARED, ITW_MODE_ENC, 1024, false},
    {"shared-sid", ITW_SHARED_SID, ITW_MODE_ENC, 1024, false},
    {"root", ITW_ROOT, ITW_MODE_ENC, 1024, false},
    {"direct", ITW_DIRECT, ITW_MODE_ENC, 1024, false},
  };
  bool quick = argc > 1 && !strcmp(argv[1], "--quick");
  struct bench b = {0};
  if (!CRYPTO_set_mem_functions(counted_malloc, counted_realloc, plain_free)) die("libcrypto was used before");
  b.listener = listen_on_loopback();
  printf("%s; connections per second, one thread for both ends\n\n", OpenSSL_version(OPENSSL_VERSION));
  printf("%-28s %9s %9s %7s %8s\n", "scheme", "ours/s", "bare/s", "ratio", "mallocs");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    run(&b, &rows[i], quick ? 30 : rows[i].count > 1024 ? 100 : 1000);
  close(b.listener);
  return 0;
}
