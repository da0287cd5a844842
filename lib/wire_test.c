/* SPDX-License-Identifier: BSD-3-Clause */
#include "octets.h"
#include <ipsectwamp/packet.h>
#include <ipsectwamp/wire.h>

/* Headers of test packets. Each has one size, so length is looked at once and the offsets are those of the figures. What
   follows the header, the HMAC field and padding, is not touched. */

enum { SENDER_BODY = 32, REFLECTOR_BODY = 96 }; /* authenticated and encrypted, before the HMAC field */

/* Session-Sender, unauthenticated (RFC 4656 §4.1.2, RFC 5357 §4.1.2)
     0  Sequence Number, 4
     4  Timestamp, 8
    12  Error Estimate, 2
    14  Packet Padding

   Authenticated and encrypted
     0  Sequence Number, 4
     4  MBZ, 12                 . . . 16: end of what is covered in authenticated mode
    16  Timestamp, 8
    24  Error Estimate, 2
    26  MBZ, 6                  . . . 32: end of what is covered in encrypted mode
    32  HMAC, 16
    48  Packet Padding */
itw_status itw_sender_packet_read(struct itw_sender_packet *out, uint32_t form, const uint8_t *octets, size_t len)
{
  const size_t at = form == ITW_PACKET_SECURE ? 16 : 4;

  if (len < (form == ITW_PACKET_SECURE ? (size_t)SENDER_BODY : (size_t)ITW_SENDER_OPEN)) return ITW_ERR_SHORT;
  out->seq = itwi_load32(octets);
  out->time = itwi_load64(octets + at);
  out->error = itwi_load16(octets + at + 8);
  return ITW_OK;
}

itw_status itw_sender_packet_write(uint8_t *out, size_t cap, uint32_t form, const struct itw_sender_packet *p)
{
  const size_t at = form == ITW_PACKET_SECURE ? 16 : 4;

  if (cap < (form == ITW_PACKET_SECURE ? (size_t)SENDER_BODY : (size_t)ITW_SENDER_OPEN)) return ITW_ERR_TOO_SMALL;
  itwi_store32(out, p->seq);
  itwi_store64(out + at, p->time);
  itwi_store16(out + at + 8, p->error);
  if (form == ITW_PACKET_SECURE) {
    memset(out + 4, 0, 12);
    memset(out + 26, 0, 6);
  }
  return ITW_OK;
}

/* Session-Reflector, unauthenticated (RFC 5357 §4.2.1)
     0  Sequence Number, 4
     4  Timestamp, 8
    12  Error Estimate, 2
    14  MBZ, 2
    16  Receive Timestamp, 8
    24  Sender Sequence Number, 4
    28  Sender Timestamp, 8
    36  Sender Error Estimate, 2
    38  MBZ, 2
    40  Sender TTL, 1
    41  Packet Padding; or with DSCP and ECN (RFC 7750 §2.2.1)
    41  S-DSCP-ECN, 1
    42  MBZ, 2
    44  Packet Padding

   Authenticated and encrypted
     0  Sequence Number, 4
     4  MBZ, 12                 . . . 16: end of what is covered in authenticated mode
    16  Timestamp, 8
    24  Error Estimate, 2
    26  MBZ, 6
    32  Receive Timestamp, 8
    40  MBZ, 8
    48  Sender Sequence Number, 4
    52  MBZ, 12
    64  Sender Timestamp, 8
    72  Sender Error Estimate, 2
    74  MBZ, 6
    80  Sender TTL, 1
    81  S-DSCP-ECN, 1           RFC 7750; else MBZ
    82  MBZ, 14                 . . . 96: end of what is covered in encrypted mode
    96  HMAC, 16
   112  Packet Padding          erratum 5045: not 104 */
static void read_open(struct itw_reflector_packet *out, const uint8_t *p)
{
  out->seq = itwi_load32(p);
  out->time = itwi_load64(p + 4);
  out->error = itwi_load16(p + 12);
  out->receive_time = itwi_load64(p + 16);
  out->sender_seq = itwi_load32(p + 24);
  out->sender_time = itwi_load64(p + 28);
  out->sender_error = itwi_load16(p + 36);
  out->sender_ttl = p[40];
  out->sender_dscp_ecn = 0;
}

static void read_secure(struct itw_reflector_packet *out, const uint8_t *p)
{
  out->seq = itwi_load32(p);
  out->time = itwi_load64(p + 16);
  out->error = itwi_load16(p + 24);
  out->receive_time = itwi_load64(p + 32);
  out->sender_seq = itwi_load32(p + 48);
  out->sender_time = itwi_load64(p + 64);
  out->sender_error = itwi_load16(p + 72);
  out->sender_ttl = p[80];
  out->sender_dscp_ecn = p[81];
}

/* Octets that a form needs. */
static size_t reflector_len(uint32_t form)
{
  if (form == ITW_PACKET_SECURE) return REFLECTOR_BODY;
  return form == ITW_PACKET_OPEN_DSCP ? ITW_REFLECTOR_OPEN_DSCP : ITW_REFLECTOR_OPEN;
}

itw_status itw_reflector_packet_read(struct itw_reflector_packet *out, uint32_t form, const uint8_t *octets,
                                     size_t len)
{
  if (len < reflector_len(form)) return ITW_ERR_SHORT;
  if (form == ITW_PACKET_SECURE)
    read_secure(out, octets);
  else
    read_open(out, octets);
  if (form == ITW_PACKET_OPEN_DSCP) out->sender_dscp_ecn = octets[41];
  return ITW_OK;
}

static void write_open(uint8_t *out, const struct itw_reflector_packet *p)
{
  itwi_store32(out, p->seq);
  itwi_store64(out + 4, p->time);
  itwi_store16(out + 12, p->error);
  memset(out + 14, 0, 2);
  itwi_store64(out + 16, p->receive_time);
  itwi_store32(out + 24, p->sender_seq);
  itwi_store64(out + 28, p->sender_time);
  itwi_store16(out + 36, p->sender_error);
  memset(out + 38, 0, 2);
  out[40] = p->sender_ttl;
}

static void write_secure(uint8_t *out, const struct itw_reflector_packet *p)
{
  memset(out, 0, REFLECTOR_BODY);
  itwi_store32(out, p->seq);
  itwi_store64(out + 16, p->time);
  itwi_store16(out + 24, p->error);
  itwi_store64(out + 32, p->receive_time);
  itwi_store32(out + 48, p->sender_seq);
  itwi_store64(out + 64, p->sender_time);
  itwi_store16(out + 72, p->sender_error);
  out[80] = p->sender_ttl;
  out[81] = p->sender_dscp_ecn;
}

itw_status itw_reflector_packet_write(uint8_t *out, size_t cap, uint32_t form, const struct itw_reflector_packet *p)
{
  if (cap < reflector_len(form)) return ITW_ERR_TOO_SMALL;
  if (form == ITW_PACKET_SECURE)
    write_secure(out, p);
  else
    write_open(out, p);
  if (form != ITW_PACKET_OPEN_DSCP) return ITW_OK;
  out[41] = p->sender_dscp_ecn;
  memset(out + 42, 0, 2);
  return ITW_OK;
}
