/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_ADDR_H
#define COMMON_ADDR_H

/* struct itw_addr to and from the kernel's socket addresses and text. The scope is IPv6's sin6_scope_id. */

#include <ipsectwamp/types.h>
#include <stdbool.h>
#include <sys/socket.h>

enum { ADDR_TEXT = 72 }; /* "[" IPv6 "%" scope "]:" port, and the NUL */

/* An IPv4-mapped IPv6 address becomes an IPv4 address. */
struct itw_addr addr_from_sockaddr(const struct sockaddr_storage *);
socklen_t addr_to_sockaddr(struct sockaddr_storage *out, const struct itw_addr *);

/* A numeric address, IPv6 with or without brackets; no port. */
bool addr_parse(struct itw_addr *out, const char *text);
/* HOST, HOST:PORT, IPv6, [IPv6] or [IPv6]:PORT; HOST is an address or a name. family: 4, 6, 0 for either.
   NULL, or why not. */
const char *addr_resolve(struct itw_addr *out, const char *text, uint16_t default_port, unsigned family);

/* "192.0.2.1:862", "[2001:db8::1]:862"; returns text. */
const char *addr_text(char text[ADDR_TEXT], const struct itw_addr *);
const char *addr_ip_text(char text[ADDR_TEXT], const struct itw_addr *); /* without the port */

/* The address that a socket is bound to, and its peer's; family 0 if there is none. */
struct itw_addr addr_of_socket(int fd);
struct itw_addr addr_of_peer(int fd);

#endif
