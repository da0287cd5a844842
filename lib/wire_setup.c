/* SPDX-License-Identifier: BSD-3-Clause */
#include "octets.h"
#include <ipsectwamp/wire.h>

/* Server Greeting (RFC 4656 §3.1; SA fields: draft §4.2, Figures 2, 3, 5, of which only the beginning of Figure 5 is left)

         FULL                                ROOT                       DIRECT
     0  | Unused 12                     |   Protocol 4                Protocol 4
     4  |   or Protocol | SPIi | SPIr   |   SPIi 4                    SPIi 4
     8  |                               |   SPIr 4                    SPIr 4
    12  | Modes 4                       |   Modes 4                   Modes 4
    16  | Challenge 16                  |   Challenge 16
    32  | Salt 16                       |
    48  | Count 4                       |
    52  | MBZ 12                        |                                                       */
itw_status itw_greeting_read(struct itw_greeting *out, uint32_t form, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_greeting g = {.form = form};
  g.protocol = itwi_get32(&r);
  g.spi_i = itwi_get32(&r);
  g.spi_r = itwi_get32(&r);
  g.modes = itwi_get32(&r);
  if (form != ITW_FORM_DIRECT) itwi_get(&r, g.challenge, sizeof g.challenge);
  if (form == ITW_FORM_FULL) {
    itwi_get(&r, g.salt, sizeof g.salt);
    g.count = itwi_get32(&r);
    itwi_skip(&r, 12);
  }
  if (r.bad) return ITW_ERR_SHORT;
  *out = g;
  return ITW_OK;
}

itw_status itw_greeting_write(uint8_t *out, size_t cap, const struct itw_greeting *g)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put32(&w, g->protocol);
  itwi_put32(&w, g->spi_i);
  itwi_put32(&w, g->spi_r);
  itwi_put32(&w, g->modes);
  if (g->form != ITW_FORM_DIRECT) itwi_put(&w, g->challenge, sizeof g->challenge);
  if (g->form == ITW_FORM_FULL) {
    itwi_put(&w, g->salt, sizeof g->salt);
    itwi_put32(&w, g->count);
    itwi_put_mbz(&w, 12);
  }
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}

/* Set-Up-Response (RFC 4656 §3.1; draft §4.3.1 Figure 4, §4.3.2 Figure 6, both lost)

         FULL                                ROOT                       DIRECT
     0  | Mode 4                        |   Mode 4                    Mode 4
     4  | KeyID 80                      |   Token 16                  Client-IV 16
    20  |                               |   Client-IV 16
    84  | Token 64                      |
   148  | Client-IV 16                  |                                                       */
itw_status itw_setup_read(struct itw_setup *out, uint32_t form, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_setup s = {.form = form};
  s.mode = itwi_get32(&r);
  if (form == ITW_FORM_FULL) {
    itwi_get(&r, s.key_id, sizeof s.key_id);
    itwi_get(&r, s.token, sizeof s.token);
  } else if (form == ITW_FORM_ROOT) {
    itwi_get(&r, s.token, 16);
  }
  itwi_get(&r, s.client_iv, sizeof s.client_iv);
  if (r.bad) return ITW_ERR_SHORT;
  *out = s;
  return ITW_OK;
}

itw_status itw_setup_write(uint8_t *out, size_t cap, const struct itw_setup *s)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put32(&w, s->mode);
  if (s->form == ITW_FORM_FULL) {
    itwi_put(&w, s->key_id, sizeof s->key_id);
    itwi_put(&w, s->token, sizeof s->token);
  } else if (s->form == ITW_FORM_ROOT) {
    itwi_put(&w, s->token, 16);
  }
  itwi_put(&w, s->client_iv, sizeof s->client_iv);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}

/* Server-Start (RFC 4656 §3.1)

     0  | MBZ 15 | Accept 1             |  in clear
    16  | Server-IV 16                  |  in clear
    32  | Start-Time 8 | MBZ 8          |  encrypted, the first block of the Server's stream     */
itw_status itw_server_start_read(struct itw_server_start *out, const uint8_t *octets, size_t len)
{
  struct itwi_reader r = itwi_reader(octets, len);
  struct itw_server_start s = {0};
  itwi_skip(&r, 15);
  s.accept = itwi_get8(&r);
  itwi_get(&r, s.server_iv, sizeof s.server_iv);
  s.start = itwi_get64(&r);
  itwi_skip(&r, 8);
  if (r.bad) return ITW_ERR_SHORT;
  *out = s;
  return ITW_OK;
}

itw_status itw_server_start_write(uint8_t *out, size_t cap, const struct itw_server_start *s)
{
  struct itwi_writer w = itwi_writer(out, cap);
  itwi_put_mbz(&w, 15);
  itwi_put8(&w, (uint8_t)s->accept);
  itwi_put(&w, s->server_iv, sizeof s->server_iv);
  itwi_put64(&w, s->start);
  itwi_put_mbz(&w, 8);
  return w.bad ? ITW_ERR_TOO_SMALL : ITW_OK;
}
