/* SPDX-License-Identifier: BSD-3-Clause */
/* A key provider of one's own: a pretend IKE daemon, a process apart, that answers later and derives inside itself.

   SKEYSEED and SK_d exist in the daemon's memory only. A connection's question (struct itw_ask: plain data, no pointers,
   no secrets) goes to it through a socket as it is; what comes back (struct itw_answer) is what the scheme needs and no
   more: a Token key, or a Token with two session keys. PBKDF2 too runs over there, so no slices of it run here.

       the daemon's process                          this process
       answer_ask()  <- ask ----------------------- ask_daemon()        the provider: says ITW_AGAIN
                     -- tag, answer --------------> on_answer()         itw_conn_answer()

   To see it at work, a client and a Server talk over a socketpair in every scheme that an IKE SA can serve. */

#define _GNU_SOURCE 1
#include <ipsectwamp/ipsectwamp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void check_system(const char *what, bool good)
{
  if (good) return;
  perror(what);
  exit(EXIT_FAILURE);
}

static void random_octets(void *out, size_t n) { check_system("getrandom", getrandom(out, n, 0) == (ssize_t)n); }

/* What comes back from the daemon: the tag of the connection that asked, and the answer. A secret. */
struct reply {
  uint64_t tag;
  struct itw_answer answer;
};

/* ---- the daemon: it alone knows the keys ---- */

struct daemon {
  struct itw_sa sa;
  uint8_t skeyseed[ITW_PRF_MAX], sk_d[ITW_PRF_MAX];
  uint32_t len; /* of both */
};

/* A real daemon has this from IKE_SA_INIT. Here nonces and g^ir are drawn, for both ends at once. */
static itw_status establish(struct daemon *d)
{
  struct itw_exchange x;
  uint8_t ni[32], nr[32], g_ir[32];
  itw_status st;

  random_octets(ni, sizeof ni);
  random_octets(nr, sizeof nr);
  random_octets(g_ir, sizeof g_ir);
  ITW_INIT(x);
  random_octets(x.spi_i, sizeof x.spi_i);
  random_octets(x.spi_r, sizeof x.spi_r);
  x.ni = ni, x.nr = nr, x.g_ir = g_ir;
  x.ni_len = x.nr_len = x.g_ir_len = 32;

  ITW_INIT(d->sa);
  d->sa.protocol = ITW_SA_IKE;
  d->sa.prf = ITW_PRF_HMAC_SHA2_256;
  for (int i = 0; i < 8; i++) {
    d->sa.spi_i = d->sa.spi_i << 8 | x.spi_i[i];
    d->sa.spi_r = d->sa.spi_r << 8 | x.spi_r[i];
  }
  d->len = itw_prf_len(d->sa.prf);
  st = itw_skeyseed(d->skeyseed, d->sa.prf, &x, NULL);
  if (st == ITW_OK) st = itw_sk_d(d->sk_d, d->sa.prf, d->sa.prf, d->skeyseed, d->len, &x, NULL);
  itw_wipe(g_ir, sizeof g_ir);
  return st;
}

/* Is the SA asked for ours? A greeting of the draft has the last four octets of each SPI. */
static bool is_ours(const struct daemon *d, const struct itw_ask *ask)
{
  const uint64_t mask = ask->kind == ITW_ASK_SELECT ? UINT32_MAX : UINT64_MAX;
  return ask->sa.protocol == d->sa.protocol && ((ask->sa.spi_i ^ d->sa.spi_i) & mask) == 0 &&
         ((ask->sa.spi_r ^ d->sa.spi_r) & mask) == 0;
}

/* Which SA? The Server has no choice to check; the client of ikev2 neither. */
static void answer_select(const struct daemon *d, const struct itw_ask *ask, struct itw_answer *out)
{
  const uint32_t scheme = ask->schemes & (ITW_IKEV2 | ITW_SHARED | ITW_SHARED_SID | ITW_ROOT);
  const bool checks = ask->role == ITW_ROLE_CLIENT && (ask->schemes & ITW_DRAFT);

  out->why = checks ? ITW_ERR_SA_MISMATCH : ITW_ERR_SA_NONE;
  if (!scheme || (checks && !is_ours(d, ask))) return;
  out->kind = ITW_ANS_SA;
  out->schemes = scheme;
  out->modes = ask->modes;
  out->sa = d->sa;
}

/* What the scheme is made from; it doesn't leave this process. */
static itw_status secret_of(const struct daemon *d, uint32_t scheme, struct itw_answer *out)
{
  out->kind = ITW_ANS_SECRET;
  out->sa = d->sa;
  out->secret_len = (uint16_t)d->len;
  if (scheme == ITW_IKEV2) return itw_ikev2_secret(out->octets, d->sa.prf, d->sk_d, d->len, NULL);
  memcpy(out->octets, d->skeyseed, d->len);
  return ITW_OK;
}

static void answer_ask(const struct daemon *d, const struct itw_ask *ask, struct itw_answer *out)
{
  itw_status st = ITW_ERR_SA_NONE;

  ITW_INIT(*out);
  out->id = ask->id;
  out->kind = ITW_ANS_NONE;
  if (ask->kind == ITW_ASK_SELECT) {
    answer_select(d, ask, out);
    return;
  }
  if (is_ours(d, ask)) st = secret_of(d, ask->schemes, out);
  if (st == ITW_OK) st = itw_answer_derive(out, ask, NULL);
  if (st == ITW_OK) return;
  itw_wipe(out->octets, sizeof out->octets);
  out->kind = ITW_ANS_NONE;
  out->why = st;
}

/* The process: answers until the other side closes. */
static void run_daemon(int fd)
{
  const struct timespec slow = {0, 2000000}; /* as if there were much to do: the answers really come later */
  struct daemon d = {0};
  struct reply reply = {0};
  struct itw_ask ask;

  check_system("the IKE exchange", establish(&d) == ITW_OK);
  while (read(fd, &ask, sizeof ask) == sizeof ask) {
    nanosleep(&slow, NULL);
    reply.tag = ask.tag;
    answer_ask(&d, &ask, &reply.answer);
    if (write(fd, &reply, sizeof reply) != sizeof reply) break;
  }
  itw_wipe(&reply, sizeof reply);
  itw_wipe(&d, sizeof d);
}

/* Returns our end of the line to it. */
static int start_daemon(pid_t *pid)
{
  int fd[2];

  check_system("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd) == 0);
  *pid = fork();
  check_system("fork", *pid >= 0);
  close(fd[*pid == 0 ? 0 : 1]);
  if (*pid > 0) return fd[0];
  run_daemon(fd[1]);
  _exit(EXIT_SUCCESS);
}

/* ---- the provider ---- */

/* Called by a connection that needs a key. It must not call the connection, and need not wait. */
static itw_status ask_daemon(void *ctx, const struct itw_ask *ask, struct itw_answer *out)
{
  const int fd = *(const int *)ctx;
  (void)out;
  return write(fd, ask, sizeof *ask) == sizeof *ask ? ITW_AGAIN : ITW_ERR_KEY_PROVIDER;
}

/* No `cancel`: an answer for a connection that has gone on meanwhile is ITW_ERR_STALE, and harmless. */
static const struct itw_keys_ops daemon_ops = {.size = sizeof daemon_ops, .answer = ask_daemon};

/* ---- two connections that use it ---- */

enum { CLIENT, SERVER, ENDS };

struct world {
  int daemon;
  itw_server *server;
  itw_conn *conn[ENDS]; /* the tag of a connection is its index */
  int fd[ENDS];
  bool started;
};

static itw_mono mono(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static itw_ntp wall(void)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return itw_ntp_from_unix((uint64_t)t.tv_sec, (uint32_t)t.tv_nsec);
}

/* Control-Client: one session, started and stopped; no test packets, those are for other examples. */
static itw_status on_client_event(struct world *w, itw_conn *conn, const struct itw_event *event)
{
  struct itw_request request;
  uint32_t slot;

  switch (event->kind) {
  case ITW_EV_UP:
    ITW_INIT(request);
    request.sender.port = 40001;
    request.start = wall();
    return itw_client_request(conn, NULL, &slot, &request, mono());
  case ITW_EV_ACCEPTED: return itw_client_start(conn, NULL, mono()); /* with test packets: itw_conn_session first */
  case ITW_EV_STARTED: w->started = true; return itw_client_stop(conn, NULL, mono());
  case ITW_EV_STOPPED: return itw_conn_close(conn, NULL, mono());
  default: return ITW_OK;
  }
}

static itw_status on_server_event(itw_conn *conn, const struct itw_event *event)
{
  struct itw_offer offer;

  switch (event->kind) {
  case ITW_EV_UP:
    printf("%-10s  up in mode %s: IKE SA %016llx_%016llx\n", itw_scheme_name(event->scheme), itw_mode_name(event->mode),
           (unsigned long long)event->sa.spi_i, (unsigned long long)event->sa.spi_r);
    return ITW_OK;
  case ITW_EV_REQUEST:
    ITW_INIT(offer);
    offer.port = 40002;
    offer.wall = wall();
    random_octets(offer.random, sizeof offer.random);
    return itw_server_prepare(conn, NULL, event->slot, &offer, mono());
  case ITW_EV_READY: return itw_server_answer(conn, NULL, event->slot, 0, mono());
  case ITW_EV_STOPPED: return itw_server_ended(conn, NULL, 0, mono());
  default: return ITW_OK;
  }
}

static itw_status on_event(struct world *w, int end, const struct itw_event *event)
{
  if (event->kind == ITW_EV_CLOSED && event->status < 0)
    printf("%s: %s\n", end == CLIENT ? "client" : "Server", itw_status_text(event->status));
  return end == CLIENT ? on_client_event(w, w->conn[end], event) : on_server_event(w->conn[end], event);
}

/* What the connection wants to do now; false: it is over. There is no ITW_WANT_ANSWER: the provider was told. */
static bool drive(struct world *w, int end)
{
  itw_conn *const conn = w->conn[end];
  struct itw_poll p;
  struct itw_event event;
  itw_status st;

  ITW_INIT(p);
  ITW_INIT(event);
  for (st = itw_conn_poll(conn, &p); st >= 0 && (p.wants & (ITW_WANT_EVENT | ITW_WANT_WRITE));
       st = itw_conn_poll(conn, &p)) {
    if (p.wants & ITW_WANT_EVENT) {
      st = itw_conn_event(conn, &event, NULL);
      if (st == ITW_OK) st = on_event(w, end, &event);
    } else {
      const ssize_t n = send(w->fd[end], p.out, p.out_len, MSG_NOSIGNAL);
      st = n > 0 ? itw_conn_sent(conn, NULL, (size_t)n, mono()) : itw_conn_eof(conn, NULL, mono());
    }
    if (st < 0) break;
  }
  return st >= 0 && !(p.wants & ITW_WANT_CLOSE);
}

static void on_readable(struct world *w, int end)
{
  struct itw_poll p;

  ITW_INIT(p);
  if (itw_conn_poll(w->conn[end], &p) < 0 || !p.in_len) return;
  const ssize_t n = recv(w->fd[end], p.in, p.in_len, 0);
  const itw_status st =
      n > 0 ? itw_conn_got(w->conn[end], NULL, (size_t)n, mono()) : itw_conn_eof(w->conn[end], NULL, mono());
  if (st < 0) printf("reading: %s\n", itw_status_text(st));
}

/* An answer came: to the connection that asked, if it is still there. */
static void on_answer(struct world *w)
{
  struct reply reply;

  check_system("the daemon is gone", read(w->daemon, &reply, sizeof reply) == sizeof reply);
  itw_conn *const conn = reply.tag < ENDS ? w->conn[reply.tag] : NULL;
  const itw_status st = conn ? itw_conn_answer(conn, NULL, &reply.answer, mono()) : ITW_ERR_STALE;
  if (st < 0 && st != ITW_ERR_STALE) printf("answer: %s\n", itw_status_text(st));
  itw_wipe(&reply, sizeof reply);
}

static bool wants_read(const struct world *w, int end)
{
  struct itw_poll p;
  ITW_INIT(p);
  return w->conn[end] && itw_conn_poll(w->conn[end], &p) == ITW_OK && p.in_len;
}

static void run_connections(struct world *w)
{
  while (w->conn[CLIENT] || w->conn[SERVER]) {
    for (int end = 0; end < ENDS; end++)
      if (w->conn[end] && !drive(w, end)) {
        itw_conn_free(w->conn[end]);
        w->conn[end] = NULL;
        shutdown(w->fd[end], SHUT_RDWR);
      }
    if (!w->conn[CLIENT] && !w->conn[SERVER]) break;

    struct pollfd fds[] = {{w->fd[CLIENT], wants_read(w, CLIENT) ? POLLIN : 0, 0},
                           {w->fd[SERVER], wants_read(w, SERVER) ? POLLIN : 0, 0},
                           {w->daemon, POLLIN, 0}};
    check_system("poll", poll(fds, 3, 1000) >= 0); /* a real loop waits for the connections' deadlines */
    for (int end = 0; end < ENDS; end++)
      if ((fds[end].revents & POLLIN) && w->conn[end]) on_readable(w, end);
    if (fds[2].revents) on_answer(w);
  }
}

static itw_status open_connections(struct world *w, uint32_t scheme, uint32_t mode)
{
  const struct itw_keys keys = {&daemon_ops, &w->daemon};
  const struct itw_addr here = {.family = 4, .port = 40000, .ip = {192, 0, 2, 1}},
                        there = {.family = 4, .port = 862, .ip = {192, 0, 2, 2}};
  struct itw_client_config client;
  struct itw_server_config server;
  struct itw_incoming in;
  itw_status st;

  ITW_INIT(client);
  ITW_INIT(server);
  ITW_INIT(in);
  client.schemes = server.schemes = scheme;
  client.modes[0] = (uint8_t)mode;
  server.modes = mode;
  client.local = in.remote = here;
  client.remote = in.local = there;
  client.tag = CLIENT;
  in.tag = SERVER;
  client.keys = server.keys = keys;
  server.start = wall();
  random_octets(client.random, sizeof client.random);
  random_octets(server.salt, sizeof server.salt);
  random_octets(in.random, sizeof in.random);
  st = itw_server_new(&w->server, &server, NULL);
  if (st == ITW_OK) st = itw_server_conn_new(w->server, &w->conn[SERVER], &in, mono());
  if (st == ITW_OK) st = itw_client_new(&w->conn[CLIENT], &client, NULL, mono());
  itw_wipe(&client, sizeof client);
  return st;
}

/* One connection in one scheme; true: a session ran. */
static bool show(int daemon, uint32_t scheme, uint32_t mode)
{
  struct world w = {.daemon = daemon};

  check_system("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, w.fd) == 0);
  const itw_status st = open_connections(&w, scheme, mode);
  if (st == ITW_OK)
    run_connections(&w);
  else
    printf("%s: %s\n", itw_scheme_name(scheme), itw_status_text(st));
  itw_conn_free(w.conn[CLIENT]);
  itw_conn_free(w.conn[SERVER]);
  itw_server_free(w.server);
  close(w.fd[CLIENT]);
  close(w.fd[SERVER]);
  return w.started;
}

int main(void)
{
  pid_t pid;
  setvbuf(stdout, NULL, _IOLBF, 0);
  const int daemon = start_daemon(&pid);
  bool good = show(daemon, ITW_IKEV2, ITW_MODE_ENC);

  good &= show(daemon, ITW_SHARED, ITW_MODE_AUTH);
  good &= show(daemon, ITW_SHARED_SID, ITW_MODE_ENC);
  good &= show(daemon, ITW_ROOT, ITW_MODE_ENC);
  close(daemon);
  waitpid(pid, NULL, 0);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
