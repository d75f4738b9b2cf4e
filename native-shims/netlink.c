/* A netlink socket inside a namespace; messages are made and read in TypeScript. See netlink(7). */
#include "shim.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHIM_SOL_NETLINK 270
#define SHIM_NETLINK_CAP_ACK 10
#define SHIM_NETLINK_EXT_ACK 11

/* The two options make acknowledgements short and give them a text; kernels before 4.12 do without. */
static int open_socket(int32_t protocol) {
  const int on = 1;
  struct sockaddr_nl own = {.nl_family = AF_NETLINK};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return -errno;
  (void)setsockopt(fd, SHIM_SOL_NETLINK, SHIM_NETLINK_CAP_ACK, &on, sizeof on);
  (void)setsockopt(fd, SHIM_SOL_NETLINK, SHIM_NETLINK_EXT_ACK, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&own, sizeof own) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

/* netlinkOpen(namespace, protocol) -> fd or -errno; a socket stays in the namespace it was made in */
static napi_value call_netlink_open(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  char path[PATH_BYTES];
  int saved = -1;
  int32_t bad = arg_string(&a, path, sizeof path), protocol = arg_int(&a);
  if (a.failed) return NULL;
  if (bad != 0) return result_int(&a, bad);
  int error = netns_enter(path, &saved);
  if (error != 0) return result_int(&a, error);
  int fd = open_socket(protocol);
  error = netns_leave(saved);
  if (error != 0) {
    if (fd >= 0) close(fd);
    throw_errno(env, "cannot return to the network namespace", -error);
    return NULL;
  }
  return result_int(&a, fd);
}

/*
 * netlinkTalk(fd, request, reply) -> bytes of one reply datagram or -errno. An empty request only receives the next
 * part of a reply. The kernel answers before send returns, so nothing is waited for: -EAGAIN means no more.
 */
static napi_value call_netlink_talk(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t fd = arg_int(&a);
  struct region request = arg_bytes(&a), reply = arg_bytes(&a);
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (a.failed) return NULL;
  if (request.length > 0 &&
      sendto(fd, request.base, request.length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
    return result_int(&a, -errno);
  ssize_t got = recv(fd, reply.base, reply.length, MSG_DONTWAIT | MSG_TRUNC);
  if (got < 0) return result_int(&a, -errno);
  return result_int(&a, (size_t)got > reply.length ? -EMSGSIZE : (int32_t)got);
}

static const struct method methods[] = {
    {"netlinkOpen", call_netlink_open},
    {"netlinkTalk", call_netlink_talk},
};

bool define_netlink(napi_env env, napi_value exports, struct shim *shim) {
  return define_methods(env, exports, shim, methods, METHOD_COUNT(methods));
}
