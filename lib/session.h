/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_SESSION_H
#define ITWI_SESSION_H

/* What features do to the sizes of test packets (RFC 6038, 7750). Layer 4. */

#include <ipsectwamp/session.h>

/* Octets between the sender's header and its padding. */
uint32_t itwi_sender_gap(uint32_t mode, uint32_t features);
/* The least Padding Length with which a reply is as long as the packet, and returns what is to be reflected; below it a Server
   answers Accept 3 (RFC 6038 §4.3). 0: any. mode: of the test packets. */
uint32_t itwi_least_padding(uint32_t mode, uint32_t features, uint32_t reflect);

#endif
