/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "keysfile.h"

#include "addr.h"
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 4 << 20, SA_SCHEMES = ITW_IKEV2 | ITW_DRAFT };
enum { PSK = 1, IKE = 2, CHILD = 4 }; /* kinds of section */

/* The keys that a section may have, and in which kinds. */
enum key {
  PASSPHRASE, PASSPHRASE_HEX, SPI_I, SPI_R, PRF, SKEYSEED, SK_D, NI, NR, G_IR, PROTOCOL, KEYMAT, ENCR, INTEG, ENCR_KEY,
  INTEG_KEY, PEER, SCHEMES, KEYS
};
static const struct {
  const char *name;
  unsigned kinds;
} key_table[KEYS] = {[PASSPHRASE] = {"passphrase", PSK},
                     [PASSPHRASE_HEX] = {"passphrase-hex", PSK},
                     [SPI_I] = {"spi-i", IKE | CHILD},
                     [SPI_R] = {"spi-r", IKE | CHILD},
                     [PRF] = {"prf", IKE | CHILD},
                     [SKEYSEED] = {"skeyseed", IKE},
                     [SK_D] = {"sk-d", IKE},
                     [NI] = {"ni", IKE},
                     [NR] = {"nr", IKE},
                     [G_IR] = {"g-ir", IKE},
                     [PROTOCOL] = {"protocol", CHILD},
                     [KEYMAT] = {"keymat", CHILD},
                     [ENCR] = {"encr", CHILD},
                     [INTEG] = {"integ", CHILD},
                     [ENCR_KEY] = {"encr-key", CHILD},
                     [INTEG_KEY] = {"integ-key", CHILD},
                     [PEER] = {"peer", IKE | CHILD},
                     [SCHEMES] = {"schemes", IKE | CHILD}};

static const struct {
  const char *name;
  uint32_t kind;
} kind_table[] = {{"psk", PSK}, {"ike-sa", IKE}, {"child-sa", CHILD}};

static const struct {
  const char *name;
  uint32_t encr;
} encr_table[] = {{"aes-cbc", ITW_ENCR_AES_CBC}, {"null", ITW_ENCR_NULL},         {"aes-ctr", ITW_ENCR_AES_CTR},
                  {"aes-gcm", ITW_ENCR_AEAD},    {"aes-ccm", ITW_ENCR_AEAD},      {"chacha20-poly1305", ITW_ENCR_AEAD},
                  {"3des-cbc", ITW_ENCR_OTHER},  {"camellia-cbc", ITW_ENCR_OTHER}};

/* The section that is being read; texts point into the file's octets. */
struct section {
  unsigned kind, line; /* 0: none yet */
  const char *name;
  const char *value[KEYS]; /* NULL: not given */
  unsigned line_of[KEYS];
};

struct reader {
  struct keys *keys;
  const char *path;
  char *why;
  unsigned line;
  uint64_t established; /* counts SAs: those further down are newer */
  struct section section;
};

/* ---- errors: the file, the line, what is wrong; never a value, since it may be secret ---- */

__attribute__((format(printf, 3, 4))) static bool fail(struct reader *r, unsigned line, const char *format, ...)
{
  const int n = snprintf(r->why, KEYS_WHY, "%s:%u: ", r->path, line);
  va_list args;

  va_start(args, format);
  if (n > 0 && n < KEYS_WHY) vsnprintf(r->why + n, (size_t)(KEYS_WHY - n), format, args);
  va_end(args);
  return false;
}

static bool fail_key(struct reader *r, enum key k, const char *what)
{
  return fail(r, r->section.line_of[k], "%s: %s", key_table[k].name, what);
}

static bool fail_section(struct reader *r, const char *what)
{
  return fail(r, r->section.line, "section '%s': %s", r->section.name, what);
}

static bool check(struct reader *r, itw_status st)
{
  if (st >= 0) return true;
  return fail_section(r, st == ITW_ERR_COLLISION ? "a section above has the same name or SPIs" : itw_status_text(st));
}

/* ---- values ---- */

static bool given(const struct reader *r, enum key k) { return r->section.value[k] != NULL; }

static bool need(struct reader *r, enum key k)
{
  char what[48];
  if (given(r, k)) return true;
  snprintf(what, sizeof what, "'%s' is missing", key_table[k].name);
  return fail_section(r, what);
}

static int digit(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Octets from hex digits; len 0 if the key isn't given. */
static bool get_hex(struct reader *r, enum key k, uint8_t *out, size_t max, size_t *len)
{
  const char *text = r->section.value[k];

  *len = 0;
  if (!text) return true;
  const size_t digits = strlen(text);
  if (digits == 0 || digits % 2) return fail_key(r, k, "not an even number of hex digits");
  if (digits / 2 > max) return fail_key(r, k, "too long");
  for (; *len < digits / 2; ++*len) {
    const int high = digit(text[2 * *len]), low = digit(text[2 * *len + 1]);
    if (high < 0 || low < 0) return fail_key(r, k, "not hex digits");
    out[*len] = (uint8_t)(high << 4 | low);
  }
  return true;
}

static bool get_spi(struct reader *r, enum key k, uint64_t *out, size_t octets)
{
  uint8_t spi[8];
  size_t len;

  if (!need(r, k) || !get_hex(r, k, spi, sizeof spi, &len)) return false;
  if (len != octets)
    return fail_key(r, k, octets == 8 ? "an IKE SPI has 16 hex digits" : "an IPsec SPI has 8 hex digits");
  *out = 0;
  for (size_t i = 0; i < octets; i++) *out = *out << 8 | spi[i];
  return true;
}

static bool get_prf(struct reader *r, enum key k, uint32_t *out)
{
  *out = given(r, k) ? names_prf(r->section.value[k]) : 0;
  if (given(r, k) && !*out)
    return fail_key(r, k, "not one of hmac-sha1 hmac-sha2-256 hmac-sha2-384 hmac-sha2-512 aes128-xcbc aes128-cmac");
  return true;
}

static bool get_peer(struct reader *r, struct itw_addr *peer, uint32_t *prefix)
{
  char text[64];

  if (!given(r, PEER)) return true;
  snprintf(text, sizeof text, "%s", r->section.value[PEER]);
  char *const slash = strchr(text, '/');
  if (slash) *slash = 0;
  if (!addr_parse(peer, text)) return fail_key(r, PEER, "not an IP address, or ADDRESS/PREFIX");
  if (slash && !option_number(prefix, slash + 1, 1, peer->family == 4 ? 32 : 128))
    return fail_key(r, PEER, "a prefix length is a number from 1 to 32 (IPv4) or 128 (IPv6)");
  return true;
}

static bool get_schemes(struct reader *r, uint32_t *out)
{
  if (given(r, SCHEMES) && (!names_schemes(out, r->section.value[SCHEMES]) || (*out & ~(uint32_t)SA_SCHEMES)))
    return fail_key(r, SCHEMES, "not a list of shared,shared-sid,root,direct,ikev2");
  return true;
}

/* ---- [psk] ---- */

static bool end_psk(struct reader *r)
{
  const struct section *s = &r->section;
  const size_t name_len = strlen(s->name);
  uint8_t octets[256];
  size_t len;

  if (given(r, PASSPHRASE) == given(r, PASSPHRASE_HEX))
    return fail_section(r, "needs one of 'passphrase' and 'passphrase-hex'");
  if (name_len > 80) return fail_section(r, "the name is longer than 80 octets");
  bool good = get_hex(r, PASSPHRASE_HEX, octets, sizeof octets, &len);
  if (good) {
    const uint8_t *secret = given(r, PASSPHRASE) ? (const uint8_t *)s->value[PASSPHRASE] : octets;
    if (given(r, PASSPHRASE)) len = strlen(s->value[PASSPHRASE]);
    good = check(r, itw_keyring_add_psk(r->keys->ring, (const uint8_t *)s->name, name_len, secret, len));
  }
  itw_wipe(octets, sizeof octets);
  r->keys->psks++;
  snprintf(r->keys->last_psk, sizeof r->keys->last_psk, "%s", s->name);
  return good;
}

/* ---- [ike-sa] ---- */

static void store_be64(uint8_t out[8], uint64_t v)
{
  for (int i = 7; i >= 0; i--, v >>= 8) out[i] = (uint8_t)v;
}

/* SKEYSEED and SK_d from what the exchange made. */
static bool derive_ike(struct reader *r, struct itw_ike_sa *sa)
{
  uint8_t ni[256], nr[256], g_ir[1024]; /* a MODP group of 8192 bits has the longest g^ir */
  size_t ni_len, nr_len, g_ir_len;
  struct itw_exchange x;
  bool good = need(r, NI) && need(r, NR) && need(r, G_IR) && get_hex(r, NI, ni, sizeof ni, &ni_len) &&
              get_hex(r, NR, nr, sizeof nr, &nr_len) && get_hex(r, G_IR, g_ir, sizeof g_ir, &g_ir_len);

  if (good) {
    ITW_INIT(x);
    x.ni = ni, x.nr = nr, x.g_ir = g_ir;
    x.ni_len = (uint32_t)ni_len, x.nr_len = (uint32_t)nr_len, x.g_ir_len = (uint32_t)g_ir_len;
    store_be64(x.spi_i, sa->sa.spi_i);
    store_be64(x.spi_r, sa->sa.spi_r);
    const uint32_t prf = sa->sa.prf;
    sa->skeyseed_len = sa->sk_d_len = itw_prf_len(prf);
    good = check(r, itw_skeyseed(sa->skeyseed, prf, &x, NULL)) &&
           check(r, itw_sk_d(sa->sk_d, prf, prf, sa->skeyseed, sa->skeyseed_len, &x, NULL));
  }
  itw_wipe(g_ir, sizeof g_ir);
  return good;
}

static bool read_ike_keys(struct reader *r, struct itw_ike_sa *sa)
{
  size_t skeyseed_len, sk_d_len;
  const bool made = given(r, SKEYSEED) || given(r, SK_D), parts = given(r, NI) || given(r, NR) || given(r, G_IR);

  if (made == parts) return fail_section(r, "needs 'skeyseed' and/or 'sk-d', or else all of 'ni', 'nr' and 'g-ir'");
  if (parts) return derive_ike(r, sa);
  if (!get_hex(r, SKEYSEED, sa->skeyseed, sizeof sa->skeyseed, &skeyseed_len) ||
      !get_hex(r, SK_D, sa->sk_d, sizeof sa->sk_d, &sk_d_len))
    return false;
  sa->skeyseed_len = (uint32_t)skeyseed_len;
  sa->sk_d_len = (uint32_t)sk_d_len;
  return true;
}

static bool end_ike(struct reader *r)
{
  struct itw_ike_sa sa;

  ITW_INIT(sa);
  ITW_INIT(sa.sa);
  sa.sa.protocol = ITW_SA_IKE;
  sa.established = ++r->established;
  const bool good = need(r, PRF) && get_prf(r, PRF, &sa.sa.prf) && get_spi(r, SPI_I, &sa.sa.spi_i, 8) &&
                    get_spi(r, SPI_R, &sa.sa.spi_r, 8) && get_peer(r, &sa.peer, &sa.peer_prefix) &&
                    get_schemes(r, &sa.schemes) && read_ike_keys(r, &sa) &&
                    check(r, itw_keyring_add_ike(r->keys->ring, &sa));
  itw_wipe(&sa, sizeof sa);
  r->keys->ike_sas++;
  return good;
}

/* ---- [child-sa] ---- */

static bool read_algorithms(struct reader *r, struct itw_child_sa *sa)
{
  const char *protocol = r->section.value[PROTOCOL], *encr = r->section.value[ENCR];

  if (!need(r, PROTOCOL)) return false;
  sa->sa.protocol = !strcmp(protocol, "ah") ? ITW_SA_AH : ITW_SA_ESP;
  if (sa->sa.protocol == ITW_SA_ESP && strcmp(protocol, "esp")) return fail_key(r, PROTOCOL, "not one of esp ah");
  sa->encr = sa->sa.protocol == ITW_SA_AH ? ITW_ENCR_NONE : ITW_ENCR_AES_CBC;
  if (!encr) return true;
  if (sa->sa.protocol == ITW_SA_AH) return fail_key(r, ENCR, "AH doesn't encrypt");
  for (size_t i = 0; i < sizeof encr_table / sizeof encr_table[0]; i++)
    if (!strcmp(encr, encr_table[i].name)) {
      sa->encr = encr_table[i].encr;
      return true;
    }
  return fail_key(r, ENCR, "not one of aes-cbc null aes-ctr aes-gcm aes-ccm chacha20-poly1305 3des-cbc camellia-cbc");
}

/* How long the keys are of which keymat consists: half of it is for each direction. Told by the keys themselves, by the
   algorithm, or by what is left of that half. */
static bool find_lengths(struct reader *r, struct itw_child_sa *sa, size_t encr_len, size_t integ_len)
{
  const bool encrypts = sa->encr != ITW_ENCR_NONE && sa->encr != ITW_ENCR_NULL;
  const bool no_integ = sa->encr == ITW_ENCR_AEAD || (given(r, INTEG) && !strcmp(r->section.value[INTEG], "none"));
  const size_t half = sa->keymat_len / 2;
  uint32_t integ = 0;

  if (!no_integ && !get_prf(r, INTEG, &integ)) return false;
  if (!integ_len) integ_len = itw_prf_len(integ);
  if (sa->keymat_len && !integ_len && !no_integ) {
    if (!encrypts || encr_len) {
      integ_len = half > encr_len ? half - encr_len : 0;
    } else if (half > 16) { /* can't tell where to cut: fit for all but the scheme that wants the keys themselves */
      sa->schemes = (sa->schemes ? sa->schemes : SA_SCHEMES) & ~(uint32_t)ITW_DIRECT;
      integ_len = half - 16;
    }
  }
  if (sa->keymat_len && encrypts && !encr_len) encr_len = half > integ_len ? half - integ_len : 0;
  if (sa->keymat_len && 2 * (encr_len + integ_len) != sa->keymat_len)
    return fail_key(r, KEYMAT, "not as long as the keys of both directions together");
  sa->encr_len = (uint16_t)encr_len;
  sa->integ_len = (uint16_t)integ_len;
  return true;
}

static bool read_child_keys(struct reader *r, struct itw_child_sa *sa)
{
  uint8_t encr[32], integ[64];
  size_t keymat_len, encr_len, integ_len;
  bool good = get_hex(r, KEYMAT, sa->keymat, sizeof sa->keymat, &keymat_len) &&
              get_hex(r, ENCR_KEY, encr, sizeof encr, &encr_len) &&
              get_hex(r, INTEG_KEY, integ, sizeof integ, &integ_len);

  if (good && !keymat_len && !encr_len && !integ_len)
    good = fail_section(r, "needs 'keymat', or 'encr-key' and 'integ-key'");
  if (good) sa->keymat_len = (uint32_t)keymat_len;
  good = good && find_lengths(r, sa, encr_len, integ_len);
  if (good && keymat_len && sa->encr_len <= sizeof sa->encr_key_i && sa->integ_len <= sizeof sa->integ_key_i)
    good = check(r, itw_child_sa_split(sa));
  if (good && keymat_len &&
      ((encr_len && memcmp(sa->encr_key_i, encr, encr_len)) ||
       (integ_len && memcmp(sa->integ_key_i, integ, integ_len))))
    good = fail_key(r, KEYMAT, "doesn't begin with encr-key and integ-key");
  if (good && encr_len) memcpy(sa->encr_key_i, encr, encr_len);
  if (good && integ_len) memcpy(sa->integ_key_i, integ, integ_len);
  itw_wipe(encr, sizeof encr);
  itw_wipe(integ, sizeof integ);
  return good;
}

static bool end_child(struct reader *r)
{
  struct itw_child_sa sa;

  ITW_INIT(sa);
  ITW_INIT(sa.sa);
  sa.established = ++r->established;
  const bool good = read_algorithms(r, &sa) && get_prf(r, PRF, &sa.sa.prf) && get_spi(r, SPI_I, &sa.sa.spi_i, 4) &&
                    get_spi(r, SPI_R, &sa.sa.spi_r, 4) && get_peer(r, &sa.peer, &sa.peer_prefix) &&
                    get_schemes(r, &sa.schemes) && read_child_keys(r, &sa) &&
                    check(r, itw_keyring_add_child(r->keys->ring, &sa));
  itw_wipe(&sa, sizeof sa);
  r->keys->child_sas++;
  return good;
}

/* ---- lines ---- */

static bool end_section(struct reader *r)
{
  switch (r->section.kind) {
  case PSK: return end_psk(r);
  case IKE: return end_ike(r);
  case CHILD: return end_child(r);
  default: return true;
  }
}

/* Cuts blanks off both ends. */
static char *trim(char *text)
{
  while (*text == ' ' || *text == '\t') text++;
  size_t n = strlen(text);
  while (n && strchr(" \t\r", text[n - 1])) text[--n] = 0;
  return text;
}

/* "[kind name]" */
static bool read_header(struct reader *r, char *text)
{
  const size_t len = strlen(text);

  if (!end_section(r)) return false;
  memset(&r->section, 0, sizeof r->section);
  if (text[len - 1] != ']') return fail(r, r->line, "no ']' at the end of the line");
  text[len - 1] = 0;
  text = trim(text + 1);
  char *name = text + strcspn(text, " \t");
  if (*name) *name++ = 0;
  for (size_t i = 0; i < sizeof kind_table / sizeof kind_table[0]; i++)
    if (!strcmp(text, kind_table[i].name)) r->section.kind = kind_table[i].kind;
  r->section.line = r->line;
  r->section.name = trim(name);
  if (!r->section.kind) return fail(r, r->line, "not one of [psk NAME] [ike-sa NAME] [child-sa NAME]");
  if (!*r->section.name) return fail(r, r->line, "a section needs a name: [psk NAME]");
  return true;
}

/* "key = value" */
static bool read_pair(struct reader *r, char *text)
{
  struct section *const s = &r->section;
  char *const equals = strchr(text, '=');

  if (!equals) return fail(r, r->line, "no [section], no KEY = VALUE, no # comment");
  if (!s->kind) return fail(r, r->line, "before the first [section]");
  *equals = 0;
  text = trim(text);
  for (unsigned k = 0; k < KEYS; k++) {
    if (!(key_table[k].kinds & s->kind) || strcmp(text, key_table[k].name)) continue;
    if (s->value[k]) return fail(r, r->line, "%s: given before, in line %u", key_table[k].name, s->line_of[k]);
    s->value[k] = trim(equals + 1);
    s->line_of[k] = r->line;
    return true;
  }
  return fail(r, r->line, "a section of this kind has no key of this name");
}

static bool read_line(struct reader *r, char *text)
{
  text = trim(text);
  if (!*text || *text == '#') return true;
  return *text == '[' ? read_header(r, text) : read_pair(r, text);
}

static bool read_lines(struct reader *r, char *text)
{
  bool good = true;

  for (char *next; good && text; text = next) {
    next = strchr(text, '\n');
    if (next) *next++ = 0;
    r->line++;
    good = read_line(r, text);
  }
  return good && end_section(r);
}

/* ---- the file ---- */

/* The file's octets and a NUL, in *len + 1 octets from malloc; NULL: why. */
static char *load(const char *path, size_t *len, char why[KEYS_WHY])
{
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  char *octets = NULL;

  if (fd < 0 || fstat(fd, &st)) {
    snprintf(why, KEYS_WHY, "%s: %s", path, strerror(errno));
  } else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
    snprintf(why, KEYS_WHY, "%s: not a keys file (no regular file, or too large)", path);
  } else if ((octets = calloc(1, (size_t)st.st_size + 1))) {
    const ssize_t got = read(fd, octets, (size_t)st.st_size);
    *len = got > 0 ? (size_t)got : 0;
  } else {
    snprintf(why, KEYS_WHY, "%s: no memory", path);
  }
  if (octets && strlen(octets) != *len) {
    snprintf(why, KEYS_WHY, "%s: not a text: it has a NUL", path);
    itw_wipe(octets, *len);
    free(octets);
    octets = NULL;
  }
  if (fd >= 0) close(fd);
  return octets;
}

static uint32_t count_sections(const char *text)
{
  uint32_t n = 0;
  for (; (text = strchr(text, '[')); text++) n++;
  return n ? n : 1;
}

bool keys_read(struct keys *keys, const char *path, char why[KEYS_WHY])
{
  struct reader r = {.keys = keys, .path = path, .why = why};
  size_t len = 0;

  memset(keys, 0, sizeof *keys);
  char *const text = load(path, &len, why);
  if (!text) return false;
  const itw_status st = itw_keyring_new(&keys->ring, count_sections(text), NULL);
  if (st < 0) snprintf(why, KEYS_WHY, "%s: %s", path, itw_status_text(st));
  const bool good = st >= 0 && read_lines(&r, text);
  itw_wipe(text, len);
  free(text);
  if (!good) keys_free(keys);
  return good;
}

void keys_free(struct keys *keys)
{
  itw_keyring_free(keys->ring);
  memset(keys, 0, sizeof *keys);
}
