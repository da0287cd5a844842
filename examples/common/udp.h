/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_UDP_H
#define COMMON_UDP_H

/* A UDP socket for test packets: TTL 255 on sending (RFC 5357 §4.1.2), DSCP for each packet; on receiving the kernel's
   timestamp, TTL or Hop Limit, TOS or Traffic Class, and the address that the packet was sent to. */

#include <ipsectwamp/packet.h>
#include <stdbool.h>

struct udp {
  int fd; /* not blocking */
  struct itw_addr local;
};

/* Bound to `local`; port 0: any. 0, or an errno. */
int udp_open(struct udp *out, const struct itw_addr *local);
void udp_close(struct udp *);

/* Room for a burst of packets: item i has octets [i * slot, (i + 1) * slot). */
enum { BURST = 32 };
struct burst {
  struct itw_packet packet[BURST];
  uint8_t *octets;
  size_t slot, size; /* size: of all octets */
};
/* longest: octets of the longest packet, in or out. False: no memory. */
bool burst_open(struct burst *, size_t longest);
void burst_close(struct burst *);
/* Makes packet i an empty one with its slot. */
struct itw_packet *burst_clear(struct burst *, size_t i);

/* Fills the burst with what is there; returns how many packets, 0 if none. */
size_t udp_receive(const struct udp *, struct burst *);
/* Sends one packet from its local to its remote address. 0, or an errno. */
int udp_send(const struct udp *, const struct burst *, const struct itw_packet *);

#endif
