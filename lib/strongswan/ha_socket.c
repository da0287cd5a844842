/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE 1
#include "ha.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 4510, RECEIVE_OCTETS = 4 << 20, DATAGRAMS = 128 /* of one call */ };

#define AGAIN ITWI_SECONDS(5) /* between two RESYNCs for lost datagrams, which the first may have lost */

struct endpoint {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  };
  socklen_t len;
};

static struct endpoint endpoint(const struct itw_addr *a)
{
  const in_port_t port = htons(a->port ? a->port : PORT);
  struct endpoint e = {.len = 0};

  if (a->family == 4) {
    e.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    memcpy(&e.v4.sin_addr, a->ip, sizeof e.v4.sin_addr);
    e.len = sizeof e.v4;
  } else {
    e.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    memcpy(&e.v6.sin6_addr, a->ip, sizeof e.v6.sin6_addr);
    e.len = sizeof e.v6;
  }
  return e;
}

static itw_status failed(struct itw_detail *detail, const char *what)
{
  (void)snprintf(detail->text, sizeof detail->text, "%s: %s", what, strerror(errno));
  return errno == EACCES || errno == EPERM ? ITW_ERR_PERMISSION : ITW_ERR_SYSTEM;
}

itw_status itwi_ha_open(struct itwi_ha *ha, const struct itw_addr *local, const struct itw_addr *remote,
                        struct itw_detail *detail)
{
  const struct endpoint ours = endpoint(local), charons = endpoint(remote);
  const int octets = RECEIVE_OCTETS;

  ha->fd = socket(ours.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (ha->fd < 0) return failed(detail, "no UDP socket for charon's HA plugin");
  if (setsockopt(ha->fd, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof octets))
    (void)setsockopt(ha->fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets); /* as much as the system allows */
  if (bind(ha->fd, &ours.any, ours.len)) return failed(detail, "the port for charon's HA plugin (its ha.remote)");
  if (connect(ha->fd, &charons.any, charons.len)) return failed(detail, "the port of charon's HA plugin (its ha.local)");
  ha->remote = *remote;
  return ITW_OK;
}

void itwi_ha_close(struct itwi_ha *ha)
{
  if (ha->fd >= 0) close(ha->fd);
  ha->fd = -1;
}

/* ---- to charon ---- */

static void send_as(struct itwi_ha *ha, uint32_t version, bool nothing)
{
  uint8_t message[ITWI_HA_RESYNC_MAX];
  const size_t len = itwi_ha_resync(message, version, nothing);

  if (ha->fd >= 0 && send(ha->fd, message, len, MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED) itwi_ha_away(ha);
}

/* A charon takes its own version only, and logs others. */
void itwi_ha_send(struct itwi_ha *ha, bool nothing)
{
  if (ha->version || nothing) {
    send_as(ha, ha->version ? ha->version : ITWI_HA_VERSION, nothing);
    return;
  }
  for (uint32_t version = ITWI_HA_VERSION; version <= ITWI_HA_VERSION_MAX; version++) send_as(ha, version, nothing);
}

/* ---- from charon ---- */

/* connect() leaves in the queue what had come from others before. */
static bool is_from(const struct itwi_ha *ha, const struct endpoint *from)
{
  const struct endpoint charons = endpoint(&ha->remote);

  if (from->any.sa_family != charons.any.sa_family) return false;
  if (from->any.sa_family == AF_INET)
    return from->v4.sin_port == charons.v4.sin_port && from->v4.sin_addr.s_addr == charons.v4.sin_addr.s_addr;
  return from->v6.sin6_port == charons.v6.sin6_port && memcmp(&from->v6.sin6_addr, &charons.v6.sin6_addr, 16) == 0;
}

static uint32_t drops(const struct itwi_ha *ha)
{
  uint32_t info[SK_MEMINFO_VARS] = {0};
  socklen_t len = sizeof info;

  return getsockopt(ha->fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 ? info[SK_MEMINFO_DROPS] : ha->drops;
}

void itwi_ha_receive(struct itwi_ha *ha, itw_mono now)
{
  uint8_t datagram[ITWI_HA_OCTETS];

  for (int i = 0; i < DATAGRAMS; i++) {
    struct endpoint from = {.len = sizeof from.v6};
    const ssize_t n = recvfrom(ha->fd, datagram, sizeof datagram, MSG_TRUNC, &from.any, &from.len);
    if (n < 0 && errno == ECONNREFUSED)
      itwi_ha_away(ha);
    else if (n < 0 && errno != EINTR)
      break;
    else if (n >= 0 && (size_t)n <= sizeof datagram && is_from(ha, &from))
      itwi_ha_follow(ha, datagram, (size_t)n, now);
  }
  itw_wipe(datagram, sizeof datagram);
  const uint32_t lost = drops(ha);
  if (lost != ha->drops) itwi_ha_miss(ha, AGAIN, now);
  ha->drops = lost;
}
