/* SPDX-License-Identifier: BSD-3-Clause */
/* With the kernel, each test in a process of its own and, but for the one without a capability, in network and user namespaces
   of its own, so that it takes no root. The kernel needs neither ESP nor AH: SAs are larval. What can't have namespaces is told
   as skipped. */

#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fail.h"
#include "inside.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GOOD = 0, BAD = 1, CANNOT = 77 };

/* In the child: cmocka's would go back into the parent's tests. */
#define CHECK(what)                                                \
  do {                                                             \
    if (!(what)) {                                                 \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);   \
      _exit(BAD);                                                  \
    }                                                              \
  } while (0)

static void in_child(void (*test)(void))
{
  int status;
  fflush(NULL);
  const pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    test();
    exit(GOOD); /* not _exit: the sanitizer looks for leaks */
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) != CANNOT) {
    assert_int_equal(WEXITSTATUS(status), GOOD);
    return;
  }
  print_message("no namespaces here: not tested\n");
  skip();
}

static void enter_namespace(void)
{
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 || unshare(CLONE_NEWNET) == 0) return;
  perror("unshare");
  _exit(CANNOT);
}

/* ---- the kernel, spoken to ---- */

static const struct itw_addr here = {.family = 4, .ip = {192, 0, 2, 1}}, there = {.family = 4, .ip = {192, 0, 2, 2}};

static struct itw_xfrm *open_with(uint32_t receive_octets)
{
  struct itw_xfrm_config config;
  struct itw_detail detail;
  struct itw_xfrm *x = NULL;
  ITW_INIT(config);
  ITW_INIT(detail);
  config.capacity = 64;
  config.receive_octets = receive_octets;
  const itw_status st = itw_xfrm_new(&x, &config, &detail);
  if (st != ITW_OK) fprintf(stderr, "%s: %s\n", itw_status_name(st), detail.text);
  CHECK(st == ITW_OK);
  CHECK(itw_xfrm_fd(x) >= 0);
  return x;
}

/* Reads what the kernel has said: it says it before it answers whoever made it say so. */
static itw_status settle(struct itw_xfrm *x)
{
  struct pollfd p = {.fd = itw_xfrm_fd(x), .events = POLLIN};
  itw_status st;
  do {
    st = itw_xfrm_read(x, 0);
  } while (poll(&p, 1, st == ITW_AGAIN ? 10000 : 0) > 0);
  return st;
}

/* Sends a request and waits for the answer; the errno that it is. */
static int request(struct nlmsghdr *head)
{
  static uint8_t answer[8192];
  struct mnl_socket *const s = mnl_socket_open(NETLINK_XFRM);
  struct nlmsgerr error;
  CHECK(s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0);
  head->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  CHECK(mnl_socket_sendto(s, head, head->nlmsg_len) == (ssize_t)head->nlmsg_len);
  const struct nlmsghdr *a = (const void *)answer;
  do {
    CHECK(mnl_socket_recvfrom(s, answer, sizeof answer) >= (ssize_t)sizeof *a);
  } while (a->nlmsg_type != NLMSG_ERROR);
  memcpy(&error, mnl_nlmsg_get_payload(a), sizeof error);
  mnl_socket_close(s);
  return -error.error;
}

static struct nlmsghdr *begin(void *room, uint16_t type)
{
  struct nlmsghdr *const head = mnl_nlmsg_put_header(room);
  head->nlmsg_type = type;
  return head;
}

static void allocate(uint32_t spi)
{
  uint64_t room[64];
  struct nlmsghdr *const head = begin(room, XFRM_MSG_ALLOCSPI);
  struct xfrm_userspi_info *const i = mnl_nlmsg_put_extra_header(head, sizeof *i);
  memcpy(&i->info.saddr, there.ip, 4);
  memcpy(&i->info.id.daddr, here.ip, 4);
  i->info.family = AF_INET;
  i->info.id.proto = IPPROTO_ESP;
  i->info.reqid = 7;
  i->min = i->max = spi;
  CHECK(request(head) == 0);
}

static void delete(uint32_t spi)
{
  uint64_t room[64];
  struct nlmsghdr *const head = begin(room, XFRM_MSG_DELSA);
  struct xfrm_usersa_id *const id = mnl_nlmsg_put_extra_header(head, sizeof *id);
  memcpy(&id->daddr, here.ip, 4);
  id->spi = htonl(spi);
  id->family = AF_INET;
  id->proto = IPPROTO_ESP;
  CHECK(request(head) == 0);
}

static void flush(void)
{
  uint64_t room[64];
  struct nlmsghdr *const head = begin(room, XFRM_MSG_FLUSHSA);
  (void)mnl_nlmsg_put_extra_header(head, sizeof(struct xfrm_usersa_flush));
  CHECK(request(head) == 0);
}

/* An outbound one, into a tunnel between the two. */
static void add_policy(uint8_t n)
{
  uint64_t room[128];
  struct nlmsghdr *const head = begin(room, XFRM_MSG_NEWPOLICY);
  struct xfrm_userpolicy_info *const p = mnl_nlmsg_put_extra_header(head, sizeof *p);
  struct xfrm_user_tmpl t = {.family = AF_INET, .mode = XFRM_MODE_TUNNEL, .reqid = 7, .aalgos = ~0u, .ealgos = ~0u, .calgos = ~0u};
  const uint8_t inner[2][4] = {{10, 1, 0, n}, {10, 2, 0, n}};
  memcpy(&p->sel.saddr, inner[0], 4);
  memcpy(&p->sel.daddr, inner[1], 4);
  p->sel.family = AF_INET;
  p->sel.prefixlen_s = p->sel.prefixlen_d = 32;
  p->dir = XFRM_POLICY_OUT;
  p->lft.soft_byte_limit = p->lft.hard_byte_limit = p->lft.soft_packet_limit = p->lft.hard_packet_limit = XFRM_INF;
  memcpy(&t.saddr, here.ip, 4);
  memcpy(&t.id.daddr, there.ip, 4);
  t.id.proto = IPPROTO_ESP;
  mnl_attr_put(head, XFRMA_TMPL, sizeof t, &t);
  CHECK(request(head) == 0);
}

static void flush_policies(void)
{
  uint64_t room[64];
  CHECK(request(begin(room, XFRM_MSG_FLUSHPOLICY)) == 0);
}

static uint32_t policies(const struct itw_xfrm *x)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->capacity; i++) n += x->policies[i].proto != 0;
  return n;
}

static itw_status find(const struct itw_xfrm *x)
{
  struct itw_sa sa;
  ITW_INIT(sa);
  return itw_xfrm_find(x, &sa, &here, &there);
}

/* ---- tests ---- */

static void without_capability(void)
{
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  const struct __user_cap_data_struct none[2] = {{0}};
  struct itw_xfrm_config config;
  struct itw_detail detail;
  struct itw_xfrm *x = NULL;
  CHECK(syscall(SYS_capset, &head, none) == 0);
  ITW_INIT(config);
  ITW_INIT(detail);
  CHECK(itw_xfrm_new(&x, &config, &detail) == ITW_ERR_PERMISSION);
  CHECK(detail.status == ITW_ERR_PERMISSION && strstr(detail.text, "CAP_NET_ADMIN"));
  CHECK(itw_xfrm_new(&x, &config, NULL) == ITW_ERR_PERMISSION);
  CHECK(x == NULL);
}

static void larval_ones(void)
{
  enter_namespace();
  struct itw_xfrm *const early = open_with(0);
  CHECK(settle(early) == ITW_OK && itw_xfrm_count(early, NULL) == 0 && find(early) == ITW_ERR_SA_NONE);
  allocate(0x1001);
  allocate(0x1002);
  struct itw_xfrm *const x = open_with(0);
  CHECK(settle(x) == ITW_OK && itw_xfrm_count(x, NULL) == 2 && find(x) == ITW_ERR_SA_LARVAL);
  CHECK(settle(early) == ITW_OK && itw_xfrm_count(early, NULL) == 0); /* the kernel doesn't notify of them */
  delete (0x1001);
  CHECK(settle(x) == ITW_OK && itw_xfrm_count(x, NULL) == 1);
  flush();
  CHECK(settle(x) == ITW_OK && itw_xfrm_count(x, NULL) == 0 && find(x) == ITW_ERR_SA_NONE);
  itw_xfrm_free(early);
  itw_xfrm_free(x);
}

static void policies_come_and_go(void)
{
  enter_namespace();
  add_policy(1);
  struct itw_xfrm *const x = open_with(0);
  CHECK(settle(x) == ITW_OK && policies(x) == 1);
  add_policy(2);
  CHECK(settle(x) == ITW_OK && policies(x) == 2);
  flush_policies();
  CHECK(settle(x) == ITW_OK && policies(x) == 0);
  itw_xfrm_free(x);
}

/* More notifications than the socket holds. */
static void too_many(void)
{
  enter_namespace();
  struct itw_xfrm *const x = open_with(1);
  struct itw_source_event e;
  CHECK(settle(x) == ITW_OK);
  for (uint8_t n = 1; n <= 60; n++) add_policy(n);
  CHECK(settle(x) == ITW_OK && policies(x) == 60);
  ITW_INIT(e);
  CHECK(itw_xfrm_event(x, &e) == ITW_OK && e.kind == ITW_SOURCE_RESYNC);
  CHECK(itw_xfrm_event(x, &e) == ITW_EMPTY);
  itw_xfrm_free(x);
}

/* What another process sends to the source's socket is not from the kernel. */
static void forged(void)
{
  enter_namespace();
  struct itw_xfrm *const x = open_with(0);
  uint64_t room[64];
  struct nlmsghdr *const head = begin(room, XFRM_MSG_NEWSA);
  struct xfrm_usersa_info *const i = mnl_nlmsg_put_extra_header(head, sizeof *i);
  struct sockaddr_nl to = {.nl_family = AF_NETLINK};
  socklen_t len = sizeof to;
  CHECK(settle(x) == ITW_OK);
  memcpy(&i->saddr, there.ip, 4);
  memcpy(&i->id.daddr, here.ip, 4);
  i->id.spi = htonl(0x1001);
  i->id.proto = IPPROTO_ESP;
  i->family = AF_INET;
  CHECK(getsockname(itw_xfrm_fd(x), (struct sockaddr *)&to, &len) == 0);
  const int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
  CHECK(s >= 0 && sendto(s, head, head->nlmsg_len, 0, (struct sockaddr *)&to, len) == (ssize_t)head->nlmsg_len);
  struct pollfd p = {.fd = itw_xfrm_fd(x), .events = POLLIN};
  CHECK(poll(&p, 1, 10000) == 1); /* it has come */
  CHECK(settle(x) == ITW_OK && itw_xfrm_count(x, NULL) == 0);
  itwi_xfrm_take(x, (const uint8_t *)head, head->nlmsg_len); /* from the kernel it would count */
  CHECK(itw_xfrm_count(x, NULL) == 1);
  close(s);
  itw_xfrm_free(x);
}

static int open_errno; /* what the system says to a new socket; 0: nothing special */
struct mnl_socket *__real_mnl_socket_open2(int, int);
struct mnl_socket *__wrap_mnl_socket_open2(int, int);
struct mnl_socket *__wrap_mnl_socket_open2(int bus, int flags)
{
  if (!open_errno) return __real_mnl_socket_open2(bus, flags);
  errno = open_errno;
  return NULL;
}

void *__wrap_itwi_guarded_new(size_t); /* fail.c's */
void *__wrap_itw_secret_new(size_t);
void *__wrap_itw_secret_new(size_t n) { return __wrap_itwi_guarded_new(n); }

static void no_memory(void)
{
  struct itw_xfrm_config config;
  struct itw_detail detail;
  struct itw_xfrm *x = NULL;
  long n = 0;
  enter_namespace();
  ITW_INIT(config);
  ITW_INIT(detail);
  config.capacity = 4;
  for (;; n++) {
    fail_at(n);
    const itw_status st = itw_xfrm_new(&x, &config, &detail);
    if (!fail_happened()) {
      CHECK(st == ITW_OK);
      break;
    }
    CHECK(st == ITW_ERR_MEMORY && detail.status == st && detail.text[0] && !x);
  }
  CHECK(n >= 2); /* the table and the ring */
  itw_xfrm_free(x);
  x = NULL;
  open_errno = ENOMEM;
  CHECK(itw_xfrm_new(&x, &config, &detail) == ITW_ERR_MEMORY && !x);
  open_errno = EMFILE;
  CHECK(itw_xfrm_new(&x, &config, &detail) == ITW_ERR_SYSTEM && !x && strstr(detail.text, strerror(EMFILE)));
  open_errno = EPROTONOSUPPORT;
  CHECK(itw_xfrm_new(&x, &config, &detail) == ITW_ERR_SYSTEM && !x);
}

struct child {
  void (*test)(void);
};
static void run(void **state) { in_child(((const struct child *)*state)->test); }

int main(void)
{
  static struct child children[] = {{without_capability}, {larval_ones}, {policies_come_and_go}, {too_many}, {forged}, {no_memory}};
  static const struct CMUnitTest tests[] = {
    {"without_capability", run, NULL, NULL, &children[0]},   {"larval_ones", run, NULL, NULL, &children[1]},
    {"policies_come_and_go", run, NULL, NULL, &children[2]}, {"too_many", run, NULL, NULL, &children[3]},
    {"forged", run, NULL, NULL, &children[4]},               {"no_memory", run, NULL, NULL, &children[5]},
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
