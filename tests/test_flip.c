/* SPDX-License-Identifier: BSD-3-Clause */
/* Flip everywhere: each bit of each octet that a peer sends, in every scheme and mode and both roles; a bit of each octet
   of OWAMP and of individual session control, whose messages are long. The table says what becomes of it; what an HMAC
   covers is never taken. */

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
                  command (Accept 3 and close), one whose rest never comes, or OWAMP's Stop-Sessions for sessions that
                  don't run. None is carried out */
  COUNTED,     /* the same, but what says how long the message is may change, or which session it is about, and that is
                  needed before the HMAC comes: refused at once, or the rest never comes. Nothing of it is told */
  MODES,       /* bits that are looked at: REFUSED with ITW_ERR_MODE; those of offered extensions ANY; the others IGNORED */
  ANY          /* unauthenticated: nothing can be told, but nothing breaks */
};
enum { FULL = ITW_PSK | ITW_IKEV2 | ITW_SHARED | ITW_SHARED_SID, FULL_DRAFT = ITW_SHARED | ITW_SHARED_SID, ALL = FULL | ITW_ROOT | ITW_DIRECT };
enum { OPEN = ITW_MODE_OPEN, SECURE = ITW_MODE_AUTH | ITW_MODE_ENC | ITW_MODE_MIXED, EVERY = OPEN | SECURE };
enum { GREETING = ITW_MSG_GREETING, SETUP = ITW_MSG_SETUP_RESPONSE, START = ITW_MSG_SERVER_START, CONTROL = ITW_MSG_COMMAND };
/* Of the control messages: the second HMAC field and later ones of a message; what names sessions; skip ranges. */
enum { MORE = ITW_MSG_FETCHED_DATA, NAMES = ITW_MSG_STOP_SESSIONS, SKIPS = ITW_MSG_FETCH_ACK };

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
  {"slots, records",        MORE,     ALL,                 SECURE, 0,  512, COVERED, 0},
  {"numbers, SIDs, skips",  NAMES,    ALL,                 SECURE, 0,  512, COUNTED, 0},
  {"skip ranges",           SKIPS,    ALL,                 SECURE, 0,  512, COUNTED, 0},
  {"everything",            CONTROL,  ALL,                 OPEN,   0,  112, ANY,    0},
  {"everything",            MORE,     ALL,                 OPEN,   0,  512, ANY,    0},
  {"everything",            NAMES,    ALL,                 OPEN,   0,  512, ANY,    0},
  {"everything",            SKIPS,    ALL,                 OPEN,   0,  512, ANY,    0},
};

/* A message of the peer's, and what had happened before its last octet came, in the run where nothing is flipped. */
struct message {
  uint32_t kind;
  size_t at, end, out_len, trace_len, data_len;
};
struct run {
  struct replay r, whole;
  struct message messages[24];
  size_t count;
  uint32_t scheme, mode, extensions;
  bool owamp;
};

static void add_octets(struct run *x, uint32_t kind, size_t len)
{
  struct message *m = &x->messages[x->count];
  assert_true(x->count < 24);
  m->kind = kind;
  m->at = x->count ? m[-1].end : 0;
  m->end = m->at + len;
  x->count++;
}

static void add_message(struct run *x, uint32_t kind, const struct vec_section *s)
{
  uint8_t wire[1024];
  add_octets(x, kind, vec_hex(s, "wire", wire, sizeof wire));
}

/* As many as it has HMAC fields. */
static void add_control(struct run *x, const struct vec_section *s)
{
  const bool names = strstr(s->name, "-N-") || (x->owamp && !strcmp(s->name, "Stop-Sessions"));
  const struct vec_section *part = vec_next(x->r.vec, s, NULL);
  uint8_t body[1024];
  if (!part || strcmp(part->kind, "part")) {
    add_message(x, names ? NAMES : CONTROL, s);
    return;
  }
  for (uint32_t kind = CONTROL; part && !strcmp(part->kind, "part"); part = vec_next(x->r.vec, part, NULL), kind = MORE)
    add_octets(x, strcmp(part->name, "skips") ? kind : SKIPS, vec_hex(part, "body", body, sizeof body) + 16);
}

static void list_messages(struct run *x)
{
  const bool client = x->r.role == ITW_ROLE_CLIENT;
  add_message(x, client ? GREETING : SETUP, vec_first(x->r.vec, client ? "greeting" : "setup"));
  if (client) add_message(x, START, vec_first(x->r.vec, "start"));
  for (const struct vec_section *s = vec_first(x->r.vec, "control"); s; s = vec_next(x->r.vec, s, "control"))
    if (strcmp(vec_word(s, "from"), client ? "client" : "server")) add_control(x, s);
}

static void undisturbed(struct run *x)
{
  replay_begin(&x->r);
  assert_int_equal(x->r.made, ITW_OK);
  for (size_t i = 0; i < x->count; i++) {
    replay_feed(&x->r, x->messages[i].end - 1);
    x->messages[i].out_len = x->r.out_len;
    x->messages[i].trace_len = strlen(x->r.trace);
    x->messages[i].data_len = strlen(x->r.data);
  }
  replay_feed(&x->r, SIZE_MAX);
  replay_end(&x->r);
  assert_int_equal(x->r.out_len, x->r.expect_len);
  assert_memory_equal(x->r.out, x->r.expect, x->r.expect_len);
  x->whole = x->r;
}

/* ---- what became of it ---- */

static bool same_news(const struct run *x)
{
  return !strcmp(x->r.trace, x->whole.trace) && !strcmp(x->r.data, x->whole.data);
}
static bool same_octets(const struct run *x, size_t len) { return x->r.out_len == len && !memcmp(x->r.out, x->whole.out, len); }
static bool is_up(const struct run *x) { return strstr(x->r.trace, "event 1 ") != NULL; }

/* After what was before: only the end. */
static bool only_ended(const struct run *x, const struct message *m)
{
  const char *at = x->r.trace + m->trace_len;
  if (strlen(x->r.data) != m->data_len || memcmp(x->r.data, x->whole.data, m->data_len)) return false;
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
  if (x->r.detail.status == ITW_ERR_STOP_SESSION) return more == 0 && x->owamp;
  return (x->r.detail.status == ITW_ERR_HMAC || x->r.detail.status == ITW_ERR_EOF) && more == 0;
}

/* Before the message's last 16 octets, its HMAC. */
static bool counted(const struct run *x, const struct message *m, size_t octet)
{
  static const itw_status why[] = {ITW_ERR_EOF, ITW_ERR_STOP_SESSION, ITW_ERR_SKIPS, ITW_ERR_SID, ITW_ERR_UNEXPECTED};
  if (octet + 16 >= m->end - m->at || x->r.out_len != m->out_len || !only_ended(x, m)) return false;
  for (size_t i = 0; i < sizeof why / sizeof why[0]; i++)
    if (x->r.detail.status == why[i]) return true;
  return false;
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
  const uint32_t registered = x->owamp ? 23 : 1023, ikev2 = x->owamp ? 16 : 128;
  if (x->scheme & ITW_DRAFT) return message == GREETING ? 8 | x->mode : 15;
  if (message == GREETING) return x->mode | (x->scheme == ITW_IKEV2 && !open ? ikev2 : 0);
  return x->scheme == ITW_IKEV2 && open ? registered - ikev2 : registered; /* one that was not offered is refused */
}

static bool modes(const struct run *x, const struct message *m, size_t octet, uint32_t bit)
{
  const size_t at = octet - (m->kind == GREETING ? 12 : 0);
  const uint32_t flipped = UINT32_C(1) << (8 * (3 - at) + bit);
  if (x->extensions & flipped) return true;
  if (!(mode_bits(x, m->kind) & flipped)) return same_news(x) && same_octets(x, x->whole.out_len);
  return refused(x, m, ITW_ERR_MODE) || (m->kind == GREETING && refused(x, m, ITW_ERR_NOT_WILLING));
}

static bool as_it_should(const struct run *x, const struct message *m, const struct field *f, size_t octet, uint32_t bit)
{
  const struct message *checked = m;
  while (checked->kind == GREETING || checked->kind == SETUP || checked->kind == START) checked++;
  switch (f->outcome) {
  case IGNORED: return same_news(x) && same_octets(x, x->whole.out_len);
  case PEER: return told_peer(x);
  case REFUSED: return refused(x, m, f->status);
  case COVERED: return covered(x, checked);
  case COMMAND: return covered(x, checked) || other_command(x, checked);
  case COUNTED: return covered(x, checked) || counted(x, m, octet) || other_command(x, checked);
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
  const bool all = !x->owamp && !(x->extensions & ITW_FEATURE_SESSION_CONTROL);
  for (uint32_t bit = all ? 0 : octet * 5 % 8; bit < 8; bit += all ? 1 : 8) {
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
  x.owamp = replay_owamp(x.r.info);
  x.extensions = replay_features(x.r.info, "modes_offered");
  list_messages(&x);
  undisturbed(&x);
  for (const struct message *m = x.messages; m < x.messages + x.count; m++)
    for (size_t octet = 0; octet < m->end - m->at; octet++) flip(&x, m, octet, file);
  replay_close(&x.r);
}

/* One file for each scheme and mode, of each kind of control: TWAMP's, with individual session control, OWAMP's. */
struct done {
  uint32_t modes[3][64];
};

static bool is_new(struct done *done, const char *file)
{
  struct vec *v = vec_load(file);
  const struct vec_section *info = vec_first(v, "case");
  const bool named = replay_features(info, "mode_chosen") & ITW_FEATURE_SESSION_CONTROL;
  uint32_t *modes = &done->modes[replay_owamp(info) ? 2 : named][replay_scheme(info)], mode = replay_mode(info);
  const bool is = !(*modes & mode);
  *modes |= mode;
  vec_free(v);
  return is;
}

static void all_of(uint32_t role)
{
  static const char *const dirs[] = {"schemes", "extensions", "perfsonar"};
  struct done done = {0};
  char names[64][128];
  for (size_t d = 0; d < sizeof dirs / sizeof dirs[0]; d++) {
    const size_t n = vec_files(dirs[d], names, 64);
    for (size_t i = 0; i < n; i++)
      if (replay_can(names[i], role) && is_new(&done, names[i])) flip_all(names[i], role);
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
