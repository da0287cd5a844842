/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

struct itw_addr addr_from_sockaddr(const struct sockaddr_storage *sa)
{
  struct itw_addr addr = {0};

  if (sa->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const void *)sa;
    addr.family = 4;
    addr.port = ntohs(in->sin_port);
    memcpy(addr.ip, &in->sin_addr, 4);
  } else if (sa->ss_family == AF_INET6) {
    const struct sockaddr_in6 *in = (const void *)sa;
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&in->sin6_addr);
    addr.family = mapped ? 4 : 6;
    addr.port = ntohs(in->sin6_port);
    addr.scope = mapped ? 0 : in->sin6_scope_id;
    memcpy(addr.ip, in->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
  }
  return addr;
}

socklen_t addr_to_sockaddr(struct sockaddr_storage *out, const struct itw_addr *addr)
{
  memset(out, 0, sizeof *out);
  if (addr->family == 4) {
    struct sockaddr_in *in = (void *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons(addr->port);
    memcpy(&in->sin_addr, addr->ip, 4);
    return sizeof *in;
  }
  struct sockaddr_in6 *in = (void *)out;
  in->sin6_family = AF_INET6;
  in->sin6_port = htons(addr->port);
  in->sin6_scope_id = addr->scope;
  memcpy(&in->sin6_addr, addr->ip, 16);
  return sizeof *in;
}

/* "%eth0" or "%2" behind an IPv6 address. */
static bool parse_scope(uint32_t *scope, const char *text)
{
  char *end;

  *scope = if_nametoindex(text);
  if (*scope) return true;
  const unsigned long number = strtoul(text, &end, 10);
  *scope = (uint32_t)number;
  return *text && !*end && number && number <= UINT32_MAX;
}

static bool parse_span(struct itw_addr *out, const char *text, size_t len)
{
  char copy[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];

  memset(out, 0, sizeof *out);
  if (len == 0 || len >= sizeof copy) return false;
  memcpy(copy, text, len);
  copy[len] = 0;
  out->family = 4;
  if (inet_pton(AF_INET, copy, out->ip) == 1) return true;

  char *const percent = strchr(copy, '%');
  out->family = 6;
  if (percent) *percent = 0;
  return inet_pton(AF_INET6, copy, out->ip) == 1 && (!percent || parse_scope(&out->scope, percent + 1));
}

bool addr_parse(struct itw_addr *out, const char *text)
{
  const size_t len = strlen(text);
  if (len > 2 && text[0] == '[' && text[len - 1] == ']') return parse_span(out, text + 1, len - 2) && out->family == 6;
  return parse_span(out, text, len);
}

static bool parse_port(uint16_t *out, const char *text)
{
  char *end;
  const unsigned long port = strtoul(text, &end, 10);

  *out = (uint16_t)port;
  return *text >= '0' && *text <= '9' && !*end && port >= 1 && port <= UINT16_MAX;
}

/* Splits HOST[:PORT] into the span of HOST and the text of PORT (NULL: none); false: not of that form. */
static bool split(const char *text, const char **host, size_t *host_len, const char **port)
{
  const char *colon = strchr(text, ':'), *bracket = strchr(text, ']');

  *host = text;
  *host_len = strlen(text);
  *port = NULL;
  if (*text == '[') {
    if (!bracket || (bracket[1] && bracket[1] != ':')) return false;
    *host = text + 1;
    *host_len = (size_t)(bracket - *host);
    if (bracket[1]) *port = bracket + 2;
  } else if (colon && !strchr(colon + 1, ':')) { /* more than one colon: an IPv6 address without a port */
    *host_len = (size_t)(colon - text);
    *port = colon + 1;
  }
  return *host_len > 0;
}

const char *addr_resolve(struct itw_addr *out, const char *text, uint16_t default_port, unsigned family)
{
  const struct addrinfo hints = {.ai_family = family == 4   ? AF_INET
                                              : family == 6 ? AF_INET6
                                                            : AF_UNSPEC,
                                 .ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_ADDRCONFIG};
  struct addrinfo *list;
  struct sockaddr_storage sa = {0};
  const char *host, *port_text;
  uint16_t port = default_port;
  char name[256];
  size_t len;

  if (!split(text, &host, &len, &port_text)) return "not of the form HOST[:PORT], with brackets around an IPv6 address";
  if (port_text && !parse_port(&port, port_text)) return "the port is not a number from 1 to 65535";

  if (parse_span(out, host, len)) { /* numeric: no resolver needed */
    out->port = port;
    return family && family != out->family ? "the address is of the other family" : NULL;
  }
  if (len >= sizeof name) return "the name is too long";
  memcpy(name, host, len);
  name[len] = 0;
  const int error = getaddrinfo(name, NULL, &hints, &list);
  if (error) return gai_strerror(error);
  memcpy(&sa, list->ai_addr, list->ai_addrlen);
  freeaddrinfo(list);
  *out = addr_from_sockaddr(&sa);
  out->port = port;
  return NULL;
}

const char *addr_ip_text(char text[ADDR_TEXT], const struct itw_addr *addr)
{
  snprintf(text, ADDR_TEXT, "?");
  if (addr->family == 4) inet_ntop(AF_INET, addr->ip, text, ADDR_TEXT);
  if (addr->family == 6) inet_ntop(AF_INET6, addr->ip, text, ADDR_TEXT);
  if (addr->family == 6 && addr->scope) snprintf(text + strlen(text), 16, "%%%u", (unsigned)addr->scope);
  return text;
}

const char *addr_text(char text[ADDR_TEXT], const struct itw_addr *addr)
{
  char ip[ADDR_TEXT];

  addr_ip_text(ip, addr);
  if (addr->family)
    snprintf(text, ADDR_TEXT, addr->family == 6 ? "[%.62s]:%u" : "%.62s:%u", ip, addr->port);
  else
    snprintf(text, ADDR_TEXT, "%s", ip);
  return text;
}

struct itw_addr addr_of_socket(int fd)
{
  struct sockaddr_storage sa = {0};
  socklen_t len = sizeof sa;

  if (getsockname(fd, (struct sockaddr *)&sa, &len)) sa.ss_family = AF_UNSPEC;
  return addr_from_sockaddr(&sa);
}

struct itw_addr addr_of_peer(int fd)
{
  struct sockaddr_storage sa = {0};
  socklen_t len = sizeof sa;

  if (getpeername(fd, (struct sockaddr *)&sa, &len)) sa.ss_family = AF_UNSPEC;
  return addr_from_sockaddr(&sa);
}
