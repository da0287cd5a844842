/* SPDX-License-Identifier: BSD-3-Clause */
#include "conn.h"
#include "abi.h"
#include "octets.h"
#include "secret.h"
#include <stdlib.h>

_Static_assert(sizeof(struct itw_conn) + 8 + 2 * ITWI_BUFFER <= ITW_CONN_BOUND(0), "ITW_CONN_BOUND");
_Static_assert(sizeof(struct itwi_conn_slot) + sizeof(struct itwi_named) <= ITW_CONN_BOUND(1) - ITW_CONN_BOUND(0), "ITW_CONN_BOUND");
_Static_assert(sizeof(struct itw_slot) == 16 && sizeof(struct itw_skip) == 8 && sizeof(struct itw_record) == 32, "no padding");

itw_status itwi_layout(struct itwi_layout *out, uint32_t sessions, uint32_t protocol, uint32_t features, uint32_t slots,
                       uint32_t buffer)
{
  bool owamp = protocol == ITW_OWAMP;
  if (!buffer) buffer = ITWI_BUFFER;
  if (protocol > ITW_OWAMP || features & ~itwi_modes(ITWI_PROFILE_TWAMP, ITWI_FEATURE)) return ITW_ERR_ARGUMENT;
  if (slots > 65536 || buffer < ITWI_BUFFER || buffer > ITWI_BUFFER_MAX || buffer % 16) return ITW_ERR_ARGUMENT;
  if (owamp ? features : slots) return ITW_ERR_CONFIG; /* each protocol has what the other hasn't */
  *out = (struct itwi_layout){sessions, slots, features & ITW_FEATURE_SESSION_CONTROL, buffer};
  return ITW_OK;
}

/* The block: the connection, its slots, their schedules, names, the buffers. */
struct pieces {
  uint64_t slots, schedules, names, in, out, size;
};

static struct pieces cut(const struct itwi_layout *l)
{
  const uint64_t n = l->sessions;
  struct pieces p;
  p.slots = (sizeof(struct itw_conn) + 7u) & ~UINT64_C(7);
  p.schedules = p.slots + n * sizeof(struct itwi_conn_slot);
  p.names = p.schedules + n * l->schedule_slots * sizeof(struct itw_slot);
  p.in = p.names + (l->names ? n * sizeof(struct itwi_named) : 0);
  p.out = p.in + l->buffer;
  p.size = p.out + l->buffer;
  return p;
}

size_t itwi_conn_size(const struct itwi_layout *l)
{
  const uint64_t size = cut(l).size;
  return size <= SIZE_MAX / 2 ? (size_t)size : 0;
}

itw_status itwi_conn_init(struct itw_conn **out, void *memory, size_t len, const struct itwi_layout *l, const struct itwi_conn_role *role)
{
  struct itw_conn *c = memory;
  uint8_t *block = memory;
  const struct pieces p = cut(l);
  size_t size = itwi_conn_size(l);
  if (!memory || (uintptr_t)memory % sizeof(uint64_t)) return ITW_ERR_ARGUMENT;
  if (!size || len < size) return ITW_ERR_TOO_SMALL;
  memset(memory, 0, size);
  c->role = role;
  c->length = size;
  c->sessions = l->sessions;
  c->schedule_slots = l->schedule_slots;
  c->buffer = l->buffer;
  c->slots = (struct itwi_conn_slot *)(void *)(block + (size_t)p.slots);
  c->schedules = (struct itw_slot *)(void *)(block + (size_t)p.schedules);
  c->names = l->names ? (struct itwi_named *)(void *)(block + (size_t)p.names) : NULL;
  c->in = block + (size_t)p.in;
  c->out = block + (size_t)p.out;
  c->row = role->rows;
  c->message_ns = ITWI_SETUP_NS;
  for (uint32_t i = 0; i < ITWI_TIMERS; i++) c->timers[i] = ITW_NEVER;
  *out = c;
  return ITW_OK;
}

itw_status itwi_conn_streams(struct itw_conn *c)
{
  itw_status st = itwi_stream_open(&c->rx, c->backend);
  return st == ITW_OK ? itwi_stream_open(&c->tx, c->backend) : st;
}

itw_status itwi_conn_alloc(void **memory, size_t size)
{
  *memory = size ? malloc(size) : NULL;
  if (!size) return ITW_ERR_CONFIG;
  return *memory ? ITW_OK : ITW_ERR_MEMORY;
}

void itwi_conn_release(void *memory) { free(memory); }

void itw_conn_free(itw_conn *c)
{
  if (!c) return;
  bool owned = c->owned;
  itwi_ask_cancel(&c->asking);
  c->role->on_end(c);
  itwi_pbkdf2_end(&c->pbkdf2);
  itwi_stream_close(&c->rx);
  itwi_stream_close(&c->tx);
  itwi_backend_close(&c->own);
  itw_wipe(c, c->length);
  if (owned) itwi_conn_release(c);
}

uint64_t itw_conn_tag(const itw_conn *c) { return c->asking.ask.tag; }

/* ---- timers ---- */

void itwi_conn_timer(struct itw_conn *c, uint32_t timer, uint64_t ns)
{
  if (c->row->state == ITWI_ENDED) return; /* nothing is waited for any more */
  c->timers[timer] = c->now > ITW_NEVER - 1 - ns ? ITW_NEVER - 1 : c->now + ns;
}

void itwi_conn_cancel(struct itw_conn *c, uint32_t timer) { c->timers[timer] = ITW_NEVER; }

static itw_mono deadline(const struct itw_conn *c)
{
  itw_mono first = ITW_NEVER;
  for (uint32_t i = 0; i < ITWI_TIMERS; i++)
    if (c->timers[i] < first) first = c->timers[i];
  return first;
}

/* ---- poll ---- */

/* Messages alternate, but for OWAMP's Stop-Sessions: both may be on their way, and long. */
static bool writing(const struct itw_conn *c)
{
  return (c->out_len || c->giving.next) && !(c->protocol == ITW_OWAMP && c->testing);
}

static uint32_t readable(const struct itw_conn *c)
{
  bool busy = c->event.kind || c->asking.state || c->deriving || writing(c) || (c->testing && c->stop.received);
  return busy || c->row->state == ITWI_ENDED ? 0 : c->in_need - c->in_have;
}

/* What is to be taken or given; the former first. */
static void fill_data(const struct itw_conn *c, struct itw_poll *p)
{
  bool take = itwi_part_ready(c), give = !take && itwi_part_room(c);
  const struct itwi_part *part = take ? &c->taking : &c->giving;
  p->slot = ITW_NO_SLOT;
  if (!take && !give) return;
  p->wants |= take ? ITW_WANT_TAKE : ITW_WANT_GIVE;
  p->data = part->kind;
  p->left = part->left;
  p->slot = part->slot;
}

static void fill(const struct itw_conn *c, struct itw_poll *p)
{
  struct itw_poll now;
  ITW_INIT(now);
  now.in_len = readable(c);
  now.in = now.in_len ? (uint8_t *)(uintptr_t)(c->in + c->in_have) : NULL;
  now.out_len = c->out_len - c->out_at;
  now.out = now.out_len ? c->out + c->out_at : NULL;
  if (now.in_len) now.wants |= ITW_WANT_READ;
  if (now.out_len) now.wants |= ITW_WANT_WRITE;
  if (c->event.kind) now.wants |= ITW_WANT_EVENT;
  if (c->asking.state == ITWI_ASK_OPEN) now.wants |= ITW_WANT_ANSWER;
  if (c->deriving) now.wants |= ITW_WANT_WORK;
  fill_data(c, &now);
  if (c->row->state == ITWI_ENDED && !c->event.kind && !now.out_len) now.wants |= ITW_WANT_CLOSE;
  now.deadline = deadline(c);
  now.size = p->size;
  *p = now;
}

void itwi_conn_enter(struct itw_conn *c, itw_mono now)
{
  if (now > c->now) c->now = now;
  itwi_backend_enter(c->backend);
}

static void answered(struct itw_conn *c, const struct itw_answer *answer)
{
  c->asking.state = ITWI_ASK_NONE;
  itwi_conn_cancel(c, ITWI_T_ANSWER);
  c->role->on_answer(c, answer);
}

/* Questions that the provider answers at once don't wait for the caller. */
static void settle(struct itw_conn *c)
{
  struct itw_answer answer;
  while (itwi_ask_provider(&c->asking, &answer) == ITW_OK) {
    answered(c, &answer);
    itw_wipe(&answer, sizeof answer);
  }
}

itw_status itwi_conn_leave(struct itw_conn *c, struct itw_poll *p, itw_status st)
{
  if (c->asking.state == ITWI_ASK_OPEN && c->asking.keys.ops) settle(c);
  itwi_part_advance(c);
  itwi_backend_leave(c->backend);
  if (!p) return st;
  if (p->size < sizeof *p) return st < 0 ? st : ITW_ERR_SIZE;
  fill(c, p);
  return st;
}

itw_status itw_conn_poll(const itw_conn *c, struct itw_poll *p)
{
  if (!c || !p) return ITW_ERR_ARGUMENT;
  if (p->size < sizeof *p) return ITW_ERR_SIZE;
  fill(c, p);
  return ITW_OK;
}

/* ---- state, output, events, failure ---- */

void itwi_conn_state(struct itw_conn *c, uint32_t state)
{
  c->row = &c->role->rows[state];
  c->in_have = 0;
  c->in_need = c->row->len;
  itwi_conn_label(c, c->row->message, c->row->stage);
}

void itwi_conn_label(struct itw_conn *c, uint32_t message, uint32_t stage)
{
  if (message) c->message = message;
  if (stage) c->stage = stage;
}

void itwi_conn_next(struct itw_conn *c) { itwi_conn_state(c, c->row->next); }

uint32_t itwi_conn_stage(const struct itw_conn *c)
{
  return c->testing && c->stage == ITW_STATE_IDLE ? (uint32_t)ITW_STATE_TESTING : c->stage;
}

uint32_t itwi_conn_message(const struct itw_conn *c) { return c->message; }

void itwi_conn_read(struct itw_conn *c, size_t need) { c->in_need = (uint32_t)need; }

void itwi_conn_send(struct itw_conn *c, size_t n)
{
  c->out_at = 0;
  c->out_len = (uint32_t)n;
  itwi_conn_timer(c, ITWI_T_WRITE, c->message_ns);
}

void itwi_conn_seal(struct itw_conn *c, size_t n)
{
  if (itwi_stream_seal(&c->tx, c->out, n) == ITW_OK)
    itwi_conn_send(c, n + 16);
  else
    itwi_conn_fail(c, ITW_ERR_CRYPTO, 0);
}

bool itwi_conn_hmac(struct itw_conn *c, uint8_t hmac[16])
{
  itw_status st = itwi_stream_check(&c->rx, hmac);
  if (st == ITW_OK) st = c->role->on_hmac(c);
  if (st != ITW_OK) itwi_conn_fail(c, st, 0); /* RFC 4656 §3.2: close, no answer */
  return st == ITW_OK;
}

bool itwi_conn_open(struct itw_conn *c, size_t n)
{
  itw_status st = itwi_stream_body(&c->rx, c->in, n, ITWI_DECRYPT);
  if (st == ITW_OK) return itwi_conn_hmac(c, c->in + n);
  itwi_conn_fail(c, st, 0);
  return false;
}

bool itwi_conn_quiet(const struct itw_conn *c) { return !c->event.kind || c->event.kind == ITW_EV_SA_GONE; }

struct itw_event *itwi_conn_raise(struct itw_conn *c, uint32_t kind)
{
  if (c->event.kind == ITW_EV_SA_GONE) c->pending |= 1u << ITW_EV_SA_GONE; /* it can wait, and isn't lost */
  ITW_INIT(c->event);
  c->event.kind = kind;
  c->event.mode = c->choice.mode;
  c->event.scheme = c->choice.scheme;
  return &c->event;
}

/* What was put off until the standing event was pulled: the lowest number first, CLOSED last. */
static void raise_pending(struct itw_conn *c)
{
  static const uint8_t order[] = {ITW_EV_SA_GONE, ITW_EV_STOPPED, ITW_EV_CLOSED};
  for (size_t i = 0; i < sizeof order && !c->event.kind; i++) {
    if (!(c->pending & 1u << order[i])) continue;
    c->pending &= ~(1u << order[i]);
    itwi_conn_raise(c, order[i]);
    if (order[i] == ITW_EV_SA_GONE) c->event.sa = c->sa;
    if (order[i] == ITW_EV_STOPPED) {
      c->event.slot = ITW_NO_SLOT;
      c->event.status = c->stopped;
      c->event.accept = c->stop.accept;
    }
    if (order[i] != ITW_EV_CLOSED) continue;
    c->event.status = c->status;
    c->event.accept = c->fail_accept;
  }
}

static void put_off(struct itw_conn *c, uint32_t kind)
{
  c->pending |= 1u << kind;
  raise_pending(c);
}

/* News that the end of the connection has overtaken. */
static bool overtaken(uint32_t kind)
{
  return kind == ITW_EV_UP || kind == ITW_EV_REQUEST || kind == ITW_EV_READY || kind == ITW_EV_ACCEPTED ||
         kind == ITW_EV_STARTED || kind == ITW_EV_START || kind == ITW_EV_STOP_SESSION || kind == ITW_EV_STOP ||
         kind == ITW_EV_FETCH;
}

void itwi_conn_fail(struct itw_conn *c, itw_status status, uint32_t accept)
{
  if (c->row->state == ITWI_ENDED) return;
  c->status = status;
  c->fail_accept = accept;
  c->fail_stage = itwi_conn_stage(c);
  c->fail_message = itwi_conn_message(c);
  if (c->testing) itwi_conn_stop(c, status ? status : ITW_ERR_CLOSED, ITWI_STOPPED);
  itwi_ask_cancel(&c->asking);
  c->role->on_end(c);
  c->deriving = ITWI_DERIVE_NONE;
  itwi_pbkdf2_end(&c->pbkdf2);
  memset(&c->taking, 0, sizeof c->taking);
  memset(&c->giving, 0, sizeof c->giving);
  itw_wipe(&c->pair, sizeof c->pair);
  for (uint32_t i = 0; i < ITWI_TIMERS; i++)
    if (i != ITWI_T_WRITE || !c->out_len) itwi_conn_cancel(c, i);
  itwi_conn_state(c, ITWI_ENDED);
  if (overtaken(c->event.kind)) c->event.kind = 0;
  put_off(c, ITW_EV_CLOSED);
}

void itwi_conn_stop(struct itw_conn *c, itw_status status, uint32_t slot_state)
{
  for (uint32_t i = 0; i < c->sessions; i++) {
    struct itwi_conn_slot *slot = &c->slots[i];
    if (slot->state != ITWI_RUNNING) continue;
    slot->state = slot_state;
    if (slot_state == ITWI_FREE) itw_wipe(slot, sizeof *slot);
  }
  c->testing = 0;
  c->running = 0;
  c->stopped = status;
  put_off(c, ITW_EV_STOPPED);
}

/* ---- verbs ---- */

/* A row's octets are there. */
static void complete(struct itw_conn *c)
{
  itw_mono message = c->timers[ITWI_T_MESSAGE], answer = c->timers[ITWI_T_ANSWER];
  itwi_conn_cancel(c, ITWI_T_MESSAGE);
  itwi_conn_cancel(c, ITWI_T_ANSWER);
  c->row->handler(c);
  if (c->row->rest != ITWI_REST) return;
  c->timers[ITWI_T_MESSAGE] = message;
  c->timers[ITWI_T_ANSWER] = answer;
}

itw_status itw_conn_got(itw_conn *c, struct itw_poll *p, size_t n, itw_mono now)
{
  if (!c) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  if (n > readable(c)) return itwi_conn_leave(c, p, ITW_ERR_ARGUMENT);
  if (n && !c->in_have && !c->row->rest) itwi_conn_timer(c, ITWI_T_MESSAGE, c->message_ns);
  c->in_have += (uint32_t)n;
  if (n && c->in_have == c->in_need) complete(c);
  return itwi_conn_leave(c, p, ITW_OK);
}

itw_status itw_conn_eof(itw_conn *c, struct itw_poll *p, itw_mono now)
{
  if (!c) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  c->out_len = c->out_at = 0; /* nobody reads it any more */
  if (c->in_have || c->row->rest)
    itwi_conn_fail(c, ITW_ERR_EOF, 0);
  else
    itwi_conn_fail(c, itwi_conn_stage(c) == ITW_STATE_IDLE ? ITW_OK : ITW_ERR_CLOSED, 0);
  return itwi_conn_leave(c, p, ITW_OK);
}

itw_status itw_conn_sent(itw_conn *c, struct itw_poll *p, size_t n, itw_mono now)
{
  if (!c) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  if (n > c->out_len - c->out_at) return itwi_conn_leave(c, p, ITW_ERR_ARGUMENT);
  c->out_at += (uint32_t)n;
  if (n && c->out_at == c->out_len) {
    itwi_part_sent(c);
    itwi_stop_on_sent(c);
  }
  return itwi_conn_leave(c, p, ITW_OK);
}

itw_status itw_conn_expire(itw_conn *c, struct itw_poll *p, itw_mono now)
{
  if (!c) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  if (deadline(c) <= c->now) {
    bool servwait = c->timers[ITWI_T_SERVWAIT] <= c->now;
    c->out_at = c->out_len = 0; /* whoever it was for has had its time */
    itwi_conn_fail(c, servwait ? ITW_ERR_SERVWAIT : ITW_ERR_TIMEOUT, 0);
    itwi_conn_cancel(c, ITWI_T_WRITE);
  }
  return itwi_conn_leave(c, p, ITW_OK);
}

itw_status itw_conn_ask(itw_conn *c, struct itw_ask *out, struct itw_poll *p)
{
  itw_status st;
  if (!c || !out) return ITW_ERR_ARGUMENT;
  if (c->asking.state != ITWI_ASK_OPEN) return ITW_EMPTY;
  st = itwi_abi_out(out, &c->asking.ask, sizeof c->asking.ask, sizeof c->asking.ask);
  if (st != ITW_OK) return st;
  c->asking.state = ITWI_ASK_TAKEN;
  itwi_conn_enter(c, c->now);
  return itwi_conn_leave(c, p, ITW_OK);
}

/* An answer is read where it stands: a copy would be one more secret to wipe. */
static itw_status readable_answer(const struct itw_answer *answer)
{
  const uint8_t *octets = (const uint8_t *)answer;
  size_t size = itwi_abi_size(answer);
  if (size < sizeof *answer || size > ITWI_ABI_MAX) return ITW_ERR_SIZE;
  for (size_t i = sizeof *answer; i < size; i++)
    if (octets[i]) return ITW_ERR_NEWER;
  return ITW_OK;
}

itw_status itw_conn_answer(itw_conn *c, struct itw_poll *p, const struct itw_answer *answer, itw_mono now)
{
  itw_status st;
  if (!c || !answer) return ITW_ERR_ARGUMENT;
  st = readable_answer(answer);
  if (st != ITW_OK) return st;
  itwi_conn_enter(c, now);
  if (!c->asking.state || answer->id != c->asking.ask.id)
    st = ITW_ERR_STALE;
  else if (!itwi_answer_fits(&c->asking.ask, answer))
    st = ITW_ERR_ARGUMENT;
  if (st == ITW_OK) answered(c, answer);
  return itwi_conn_leave(c, p, st);
}

itw_status itw_conn_event(itw_conn *c, struct itw_event *out, struct itw_poll *p)
{
  uint32_t kind;
  itw_status st;
  if (!c || !out) return ITW_ERR_ARGUMENT;
  if (!c->event.kind) {
    itwi_conn_enter(c, c->now);
    return itwi_conn_leave(c, p, ITW_EMPTY);
  }
  st = itwi_abi_out(out, &c->event, sizeof c->event, sizeof c->event);
  if (st != ITW_OK) return st;
  itwi_conn_enter(c, c->now);
  kind = c->event.kind;
  c->event.kind = 0;
  c->role->on_pulled(c, kind);
  raise_pending(c);
  return itwi_conn_leave(c, p, ITW_OK);
}

itw_status itw_conn_session(const itw_conn *c, uint32_t slot, struct itw_session *out)
{
  if (!c || !out || slot >= c->sessions) return ITW_ERR_ARGUMENT;
  if (c->slots[slot].state < ITWI_READY) return ITW_ERR_STATE;
  if (!c->server && c->slots[slot].request.conf == (ITW_CONF_SENDER | ITW_CONF_RECEIVER)) return ITW_EMPTY;
  *out = c->slots[slot].session;
  return ITW_OK;
}

itw_status itw_conn_schedule(const itw_conn *c, uint32_t slot, struct itw_slot *out, size_t cap)
{
  const struct itwi_conn_slot *s;
  if (!c || !out || slot >= c->sessions) return ITW_ERR_ARGUMENT;
  s = &c->slots[slot];
  if (s->state == ITWI_FREE || !s->request.slots) return ITW_ERR_STATE;
  if (cap < s->request.slots) return ITW_ERR_TOO_SMALL;
  memcpy(out, itwi_conn_slots_of(c, slot), s->request.slots * sizeof *out);
  return ITW_OK;
}

itw_status itw_conn_sa(const itw_conn *c, struct itw_sa *out)
{
  struct itw_sa sa;
  if (!c) return ITW_ERR_ARGUMENT;
  sa = c->sa;
  return itwi_abi_out(out, &sa, sizeof sa, sizeof sa);
}

itw_status itw_conn_close(itw_conn *c, struct itw_poll *p, itw_mono now)
{
  if (!c) return ITW_ERR_ARGUMENT;
  itwi_conn_enter(c, now);
  itwi_conn_fail(c, ITW_OK, 0);
  return itwi_conn_leave(c, p, ITW_OK);
}

bool itwi_sa_concerns(const struct itw_conn *c, const struct itw_sa *sa)
{
  struct itw_sa turned = *sa; /* `direct` may name its pair in either order */
  turned.spi_i = sa->spi_r;
  turned.spi_r = sa->spi_i;
  return c->sa.protocol && (itwi_sa_equal(&c->sa, sa) || (c->choice.scheme == ITW_DIRECT && itwi_sa_equal(&c->sa, &turned)));
}

itw_status itw_conn_sa_gone(itw_conn *c, struct itw_poll *p, const struct itw_sa *in, itw_mono now)
{
  struct itw_sa sa;
  itw_status st;
  if (!c) return ITW_ERR_ARGUMENT;
  st = itwi_abi_in(&sa, sizeof sa, in, sizeof sa);
  if (st != ITW_OK) return st;
  itwi_conn_enter(c, now);
  if (c->row->state == ITWI_ENDED || !itwi_sa_concerns(c, &sa)) return itwi_conn_leave(c, p, ITW_EMPTY);
  if (itwi_conn_stage(c) == ITW_STATE_SETUP && c->server)
    c->u.server.sa_dead = 1; /* the Set-Up-Response gets Accept 1 */
  else if (itwi_conn_stage(c) == ITW_STATE_SETUP || c->on_rekey == ITW_REKEY_CLOSE)
    itwi_conn_fail(c, ITW_ERR_SA_GONE, 0);
  else
    put_off(c, ITW_EV_SA_GONE);
  return itwi_conn_leave(c, p, ITW_OK);
}

/* ---- why ---- */

#define CLAUSE(rfc, section, sub) ((uint32_t)(rfc) << 16 | (uint32_t)(section) << 8 | (uint32_t)(sub))
static const struct {
  itw_status status;
  uint32_t clause;
} clauses[] = {
  {ITW_ERR_NOT_WILLING, CLAUSE(4656, 3, 1)}, {ITW_ERR_MODE, CLAUSE(4656, 3, 1)},   {ITW_ERR_COUNT, CLAUSE(5357, 6, 0)},
  {ITW_ERR_TOKEN, CLAUSE(4656, 3, 1)},       {ITW_ERR_KEY_ID, CLAUSE(4656, 3, 1)}, {ITW_ERR_REPLAY, CLAUSE(4656, 3, 1)},
  {ITW_ERR_SERVWAIT, CLAUSE(5357, 3, 1)},    {ITW_ERR_HMAC, CLAUSE(4656, 3, 2)},   {ITW_ERR_SA_NONE, CLAUSE(7717, 5, 1)},
  {ITW_ERR_STOP_COUNT, CLAUSE(5357, 3, 8)},  {ITW_ERR_COMMAND, CLAUSE(4656, 3, 4)},
  {ITW_ERR_STOP_SESSION, CLAUSE(4656, 3, 8)}, {ITW_ERR_SKIPS, CLAUSE(4656, 3, 8)}, {ITW_ERR_REFLECT, CLAUSE(6038, 4, 3)},
};

static void explain(struct itw_detail *d, itw_status status)
{
  const char *text = itw_status_text(status);
  ITW_INIT(*d);
  d->status = status;
  for (size_t i = 0; i < sizeof clauses / sizeof clauses[0]; i++)
    if (clauses[i].status == status) d->clause = clauses[i].clause;
  for (size_t i = 0; text[i] && i + 1 < sizeof d->text; i++) d->text[i] = text[i];
}

/* To a client the draft's greeting names one, though it may be none of its own. */
static struct itw_sa sa_concerned(const struct itw_conn *c)
{
  struct itw_sa sa;
  if (c->sa.protocol || c->server || !itwi_is_draft(c->u.client.schemes)) return c->sa;
  ITW_INIT(sa);
  sa.protocol = c->greeting.protocol;
  sa.spi_i = c->greeting.spi_i;
  sa.spi_r = c->greeting.spi_r;
  return sa;
}

itw_status itw_conn_detail(const itw_conn *c, struct itw_detail *out)
{
  struct itw_detail d;
  if (!c) return ITW_ERR_ARGUMENT;
  explain(&d, c->status);
  d.sa = sa_concerned(c);
  d.state = c->row->state == ITWI_ENDED ? c->fail_stage : itwi_conn_stage(c);
  d.message = c->fail_message;
  d.accept = c->fail_accept;
  return itwi_abi_out(out, &d, sizeof d, sizeof d);
}

itw_status itwi_detail(struct itw_detail *out, itw_status st)
{
  struct itw_detail d;
  explain(&d, st);
  if (!out) return st;
  return itwi_abi_out(out, &d, sizeof d, sizeof d) == ITW_OK ? st : ITW_ERR_SIZE;
}

const char *itw_message_name(uint32_t message)
{
  static const char *const names[] = {
    "", "Server Greeting", "Set-Up-Response", "Server-Start", "Request-TW-Session", "Accept-Session",
    "Start-Sessions", "Start-Ack", "Stop-Sessions", "command", "Request-Session", "Fetch-Session", "Fetch-Ack",
    "fetched data", "Start-N-Sessions", "Start-N-Ack", "Stop-N-Sessions", "Stop-N-Ack",
  };
  return message < sizeof names / sizeof names[0] ? names[message] : "";
}

const char *itw_protocol_name(uint32_t protocol)
{
  return protocol == ITW_TWAMP ? "twamp" : protocol == ITW_OWAMP ? "owamp" : "?";
}
