/* SPDX-License-Identifier: BSD-3-Clause */
/* Flip everywhere: each bit of each octet that a peer sends, in every scheme and mode and both roles. The table says what
   becomes of it; what an HMAC covers is never taken. */

#include "replay.h"
#include <ipsectwamp/wire.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

enum outcome {
  IGNORED = 1, /* covered by nothing, means nothing here: as if it had not happened */
  PEER,        /* goes into our Set-Up-Response, where the peer finds that the Token is another */
  REFUSED,     /* with this status, before the connection is up */
  COVERED,     /* ITW_ERR_HMAC at the end of this message, or of the first one if set-up's; closed without an answer */
  COMMAND,     /* the same, but it may change a command's number, and with it how long the message is: then it is an unknown
                  command (Accept 3 and close), or one whose rest never comes. None is carried out */
  MODES,       /* bits that are looked at: REFUSED with ITW_ERR_MODE; the others IGNORED */
  ANY          /* unauthenticated: nothing can be told, but nothing breaks */
};
enum { FULL = ITW_PSK | ITW_IKEV2 | ITW_SHARED | ITW_SHARED_SID, FULL_DRAFT = ITW_SHARED | ITW_SHARED_SID, ALL = FULL | ITW_ROOT | ITW_DIRECT };
enum { OPEN = ITW_MODE_OPEN, SECURE = ITW_MODE_AUTH | ITW_MODE_ENC | ITW_MODE_MIXED, EVERY = OPEN | SECURE };
enum { GREETING = ITW_MSG_GREETING, SETUP = ITW_MSG_SETUP_RESPONSE, START = ITW_MSG_SERVER_START, CONTROL = ITW_MSG_COMMAND };

static const struct field {
  const char *name;
  uint32_t message, schemes, modes;
  size_t from, to; /* octets */
  enum outcome outcome;
  itw_status status;
} fields[] = { /* the first that fits */
  {"Unused",                GREETING, ITW_PSK | ITW_IKEV2, EVERY,  0,  12, IGNORED, 0},
  {"Protocol, SPIi, SPIr",  GREETING, ITW_DRAFT,           EVERY,  0,  12, REFUSED, ITW_ERR_SA_MISMATCH},
  {"Modes",                 GREETING, ALL,                 EVERY,  12, 16, MODES,   0},
  {"Challenge",             GREETING, FULL | ITW_ROOT,     SECURE, 16, 32, PEER,    0},
  {"Salt",                  GREETING, FULL,                SECURE, 32, 48, PEER,    0},
  {"Count",                 GREETING, FULL,                SECURE, 48, 52, REFUSED, ITW_ERR_COUNT},
  {"MBZ; all of it in open",GREETING, ALL,                 EVERY,  16, 64, IGNORED, 0},

  {"Mode",                  SETUP,    ALL,                 EVERY,  0,  4,  MODES,   0},
  {"KeyID",                 SETUP,    ITW_PSK,             SECURE, 4,  84, REFUSED, ITW_ERR_KEY_ID},
  {"KeyID: SPIi, SPIr",     SETUP,    ITW_IKEV2,           SECURE, 4,  20, REFUSED, ITW_ERR_SA_NONE},
  {"KeyID: the rest",       SETUP,    ITW_IKEV2,           SECURE, 20, 84, IGNORED, 0},
  {"KeyID: none",           SETUP,    FULL_DRAFT,          SECURE, 4,  84, IGNORED, 0},
  {"Token: Challenge",      SETUP,    FULL,                SECURE, 84, 100, REFUSED, ITW_ERR_TOKEN},
  {"Token: AES key",        SETUP,    FULL,                SECURE, 100, 116, COMMAND, 0},
  {"Token: HMAC key",       SETUP,    FULL,                SECURE, 116, 148, COVERED, 0},
  {"Client-IV: command",    SETUP,    FULL,                SECURE, 148, 149, COMMAND, 0},
  {"Client-IV",             SETUP,    FULL,                SECURE, 149, 164, COVERED, 0},
  {"Token",                 SETUP,    ITW_ROOT,            SECURE, 4,  20, REFUSED, ITW_ERR_TOKEN},
  {"Client-IV: command",    SETUP,    ITW_ROOT,            SECURE, 20, 21, COMMAND, 0},
  {"Client-IV",             SETUP,    ITW_ROOT,            SECURE, 21, 36, COVERED, 0},
  {"Client-IV: command",    SETUP,    ITW_DIRECT,          SECURE, 4,  5,  COMMAND, 0},
  {"Client-IV",             SETUP,    ITW_DIRECT,          SECURE, 5,  20, COVERED, 0},
  {"all but Mode, in open", SETUP,    ALL,                 OPEN,   4,  164, IGNORED, 0},

  {"MBZ",                   START,    ALL,                 EVERY,  0,  15, IGNORED, 0},
  {"Accept",                START,    ALL,                 EVERY,  15, 16, REFUSED, ITW_ERR_REFUSED},
  {"Server-IV, Start-Time", START,    ALL,                 SECURE, 16, 48, COVERED, 0},
  {"Server-IV, Start-Time", START,    ALL,                 OPEN,   16, 48, IGNORED, 0},

  {"first block",           CONTROL,  ALL,                 SECURE, 0,  16, COMMAND, 0},
  {"the rest, and HMAC",    CONTROL,  ALL,                 SECURE, 16, 112, COVERED, 0},
  {"everything",            CONTROL,  ALL,                 OPEN,   0,  112, ANY,    0},
};

/* A message of the peer's, and what had happened before its last octet came, in the run where nothing is flipped. */
struct message {
  uint32_t kind;
  size_t at, end, out_len, trace_len;
};
struct run {
  struct replay r, whole;
  struct message messages[16];
  size_t count;
  uint32_t scheme, mode;
};

static void add_message(struct run *x, uint32_t kind, const struct vec_section *s)
{
  uint8_t wire[256];
  struct message *m = &x->messages[x->count];
  assert_true(x->count < 16);
  m->kind = kind;
  m->at = x->count ? m[-1].end : 0;
  m->end = m->at + vec_hex(s, "wire", wire, sizeof wire);
  x->count++;
}

static void list_messages(struct run *x)
{
  const bool client = x->r.role == ITW_ROLE_CLIENT;
  add_message(x, client ? GREETING : SETUP, vec_first(x->r.vec, client ? "greeting" : "setup"));
  if (client) add_message(x, START, vec_first(x->r.vec, "start"));
  for (const struct vec_section *s = vec_first(x->r.vec, "control"); s; s = vec_next(x->r.vec, s, "control"))
    if (strcmp(vec_word(s, "from"), client ? "client" : "server")) add_message(x, CONTROL, s);
}

static void undisturbed(struct run *x)
{
  replay_begin(&x->r);
  assert_int_equal(x->r.made, ITW_OK);
  for (size_t i = 0; i < x->count; i++) {
    replay_feed(&x->r, x->messages[i].end - 1);
    x->messages[i].out_len = x->r.out_len;
    x->messages[i].trace_len = strlen(x->r.trace);
  }
  replay_feed(&x->r, SIZE_MAX);
  replay_end(&x->r);
  assert_int_equal(x->r.out_len, x->r.expect_len);
  assert_memory_equal(x->r.out, x->r.expect, x->r.expect_len);
  x->whole = x->r;
}

/* ---- what became of it ---- */

static bool same_news(const struct run *x) { return !strcmp(x->r.trace, x->whole.trace); }
static bool same_octets(const struct run *x, size_t len) { return x->r.out_len == len && !memcmp(x->r.out, x->whole.out, len); }
static bool is_up(const struct run *x) { return strstr(x->r.trace, "event 1 ") != NULL; }

/* After what was before: only the end. */
static bool only_ended(const struct run *x, const struct message *m)
{
  const char *at = x->r.trace + m->trace_len;
  if (strlen(x->r.trace) < m->trace_len || memcmp(x->r.trace, x->whole.trace, m->trace_len)) return false;
  for (; *at; at = strchr(at, '\n') + 1) {
    const bool broke = !strncmp(at, "event 7 ", 8) && !strstr(at, "status ITW_OK\n");
    if (!broke && strncmp(at, "event 9 ", 8) && strncmp(at, "close\n", 6)) return false;
  }
  return true;
}

static bool covered(const struct run *x, const struct message *m)
{
  return x->r.detail.status == ITW_ERR_HMAC && same_octets(x, m->out_len) && only_ended(x, m);
}

/* Under other keys a Server's Server-Start differs, too; an unknown command gets an Accept-Session of 48 octets. */
static bool other_command(const struct run *x, const struct message *m)
{
  const size_t more = x->r.out_len - m->out_len;
  if (x->r.role != ITW_ROLE_SERVER || !only_ended(x, m)) return false;
  if (x->r.detail.status == ITW_ERR_COMMAND) return more == 48;
  return (x->r.detail.status == ITW_ERR_HMAC || x->r.detail.status == ITW_ERR_EOF) && more == 0;
}

/* A Server may say so: with a Server-Start in clear. */
static bool refused(const struct run *x, const struct message *m, itw_status status)
{
  const size_t more = x->r.out_len - m->out_len;
  const bool answered = x->r.role == ITW_ROLE_SERVER && more == ITW_SERVER_START_LEN && x->r.out[m->out_len + 15];
  return x->r.detail.status == status && !is_up(x) && (more == 0 || answered);
}

/* Only the Set-Up-Response differs: it comes first. */
static bool told_peer(const struct run *x)
{
  const size_t setup = x->messages[1].out_len;
  return same_news(x) && x->r.out_len == x->whole.out_len && memcmp(x->r.out, x->whole.out, setup) &&
         !memcmp(x->r.out + setup, x->whole.out + setup, x->r.out_len - setup);
}

/* The bits of Modes, or Mode, that are looked at. */
static uint32_t mode_bits(const struct run *x, uint32_t message)
{
  const bool open = x->mode == ITW_MODE_OPEN;
  if (x->scheme & ITW_DRAFT) return message == GREETING ? 8 | x->mode : 15;
  if (message == GREETING) return x->mode | (x->scheme == ITW_IKEV2 && !open ? 128 : 0);
  return x->scheme == ITW_IKEV2 && open ? 1023 - 128 : 1023; /* a registered mode that was not offered is refused */
}

static bool modes(const struct run *x, const struct message *m, size_t octet, uint32_t bit)
{
  const size_t at = octet - (m->kind == GREETING ? 12 : 0);
  const uint32_t flipped = UINT32_C(1) << (8 * (3 - at) + bit);
  if (!(mode_bits(x, m->kind) & flipped)) return same_news(x) && same_octets(x, x->whole.out_len);
  return refused(x, m, ITW_ERR_MODE) || (m->kind == GREETING && refused(x, m, ITW_ERR_NOT_WILLING));
}

static bool as_it_should(const struct run *x, const struct message *m, const struct field *f, size_t octet, uint32_t bit)
{
  const struct message *checked = m;
  while (checked->kind != CONTROL) checked++;
  switch (f->outcome) {
  case IGNORED: return same_news(x) && same_octets(x, x->whole.out_len);
  case PEER: return told_peer(x);
  case REFUSED: return refused(x, m, f->status);
  case COVERED: return covered(x, checked);
  case COMMAND: return covered(x, checked) || other_command(x, checked);
  case MODES: return modes(x, m, octet, bit);
  case ANY: return true;
  }
  return false;
}

/* ---- flipping ---- */

static const struct field *find_field(const struct run *x, const struct message *m, size_t octet)
{
  for (const struct field *f = fields; f < fields + sizeof fields / sizeof fields[0]; f++)
    if (f->message == m->kind && f->schemes & x->scheme && f->modes & x->mode && f->from <= octet && octet < f->to) return f;
  fail_msg("no row in the table for message %u, octet %zu", (unsigned)m->kind, octet);
  return NULL;
}

static void flip(struct run *x, const struct message *m, size_t octet, const char *file)
{
  const struct field *f = find_field(x, m, octet);
  for (uint32_t bit = 0; bit < 8; bit++) {
    x->r.peer[m->at + octet] ^= (uint8_t)(1u << bit);
    replay_run(&x->r);
    x->r.peer[m->at + octet] ^= (uint8_t)(1u << bit);
    if (!as_it_should(x, m, f, octet, bit))
      fail_msg("%s, %s: message %zu, octet %zu, bit %u (%s): %s, %zu octets sent\n%s", file,
               x->r.role == ITW_ROLE_CLIENT ? "client" : "server", (size_t)(m - x->messages), octet, (unsigned)bit, f->name,
               itw_status_name(x->r.detail.status), x->r.out_len, x->r.trace);
  }
}

static void flip_all(const char *file, uint32_t role)
{
  static struct run x;
  memset(&x, 0, sizeof x);
  replay_open(&x.r, file, role);
  x.r.derived = x.r.eof = true;
  x.scheme = replay_scheme(x.r.info);
  x.mode = replay_mode(x.r.info);
  list_messages(&x);
  undisturbed(&x);
  for (const struct message *m = x.messages; m < x.messages + x.count; m++)
    for (size_t octet = 0; octet < m->end - m->at; octet++) flip(&x, m, octet, file);
  replay_close(&x.r);
}

/* One file for each scheme and mode. */
static void all_of(uint32_t role)
{
  char names[64][128];
  const size_t n = vec_files("schemes", names, 64);
  uint32_t done[64] = {0};
  for (size_t i = 0; i < n; i++) {
    struct vec *v = vec_load(names[i]);
    const uint32_t scheme = replay_scheme(vec_first(v, "case")), mode = replay_mode(vec_first(v, "case"));
    vec_free(v);
    if (done[scheme] & mode || !replay_can(names[i], role)) continue;
    done[scheme] |= mode;
    flip_all(names[i], role);
  }
}

static void client(void **state)
{
  (void)state;
  all_of(ITW_ROLE_CLIENT);
}

static void server(void **state)
{
  (void)state;
  all_of(ITW_ROLE_SERVER);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(client),
    cmocka_unit_test(server),
  };
  return cmocka_run_group_tests_name("flip", tests, NULL, NULL);
}
