/* What a port between processes asks of the system: Unix stream sockets, and memory that two processes map. */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SOCKET_FLAGS = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC };

/* Reads a path argument into an address; 0 or -errno. */
static int32_t arg_unix_address(struct args *a, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  return arg_string(a, address->sun_path, sizeof address->sun_path);
}

/* Makes a socket and joins it to an address by `join`; the descriptor or -errno. */
static int32_t open_unix(struct args *a, int (*join)(int, const struct sockaddr *, socklen_t)) {
  struct sockaddr_un address;
  int32_t error = arg_unix_address(a, &address);
  if (a->failed || error != 0) return error;
  int fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
  if (fd < 0) return -errno;
  if (join(fd, (const struct sockaddr *)&address, sizeof address) == 0) return fd;
  error = -errno;
  close(fd);
  return error;
}

/* unixListen(path, backlog) -> fd or -errno; the file gets the mode that the umask leaves */
static napi_value call_unix_listen(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t fd = open_unix(&a, bind);
  int32_t backlog = arg_int(&a);
  if (a.failed) {
    if (fd >= 0) close(fd);
    return NULL;
  }
  if (fd >= 0 && listen(fd, backlog) != 0) {
    int32_t error = -errno;
    close(fd);
    fd = error;
  }
  return result_int(&a, fd);
}

/* unixConnect(path) -> fd or -errno */
static napi_value call_unix_connect(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  return result_int(&a, open_unix(&a, connect));
}

/* unixAccept(fd) -> fd or -errno */
static napi_value call_unix_accept(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t listener = arg_int(&a);
  if (a.failed) return NULL;
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return result_int(&a, fd < 0 ? -errno : fd);
}

/* unixPeer(fd, into) -> 0 or -errno; into[0] is the peer's process, into[1] its user (SO_PEERCRED) */
static napi_value call_unix_peer(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  struct ucred peer;
  socklen_t size = sizeof peer;
  size_t length = 0;
  int32_t fd = arg_int(&a);
  int32_t *into = arg_array(&a, napi_int32_array, &length, NULL);
  if (a.failed) return NULL;
  if (length < 2) return result_int(&a, -EINVAL);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return result_int(&a, -errno);
  into[0] = (int32_t)peer.pid;
  into[1] = (int32_t)peer.uid;
  return result_int(&a, 0);
}

/* One byte with room for a descriptor beside it. */
struct carrier {
  char byte;
  struct iovec iov;
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct msghdr message;
};

static void carrier_begin(struct carrier *c) {
  memset(c, 0, sizeof *c);
  c->iov = (struct iovec){&c->byte, 1};
  c->message = (struct msghdr){.msg_iov = &c->iov,
                               .msg_iovlen = 1,
                               .msg_control = c->control.bytes,
                               .msg_controllen = sizeof c->control.bytes};
}

/* sendDescriptor(socket, fd) -> 0 or -errno: one byte with the descriptor (SCM_RIGHTS), or alone if fd is -1 */
static napi_value call_send_descriptor(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t to = arg_int(&a), fd = arg_int(&a);
  if (a.failed) return NULL;
  struct carrier c;
  carrier_begin(&c);
  struct cmsghdr *head = CMSG_FIRSTHDR(&c.message);
  if (fd < 0) c.message = (struct msghdr){.msg_iov = &c.iov, .msg_iovlen = 1};
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &fd, sizeof(int));
  return result_int(&a, sendmsg(to, &c.message, MSG_NOSIGNAL) == 1 ? 0 : -errno);
}

/* receiveDescriptor(socket) -> fd or -errno; -EBADMSG when the byte that came carries none, -ECONNRESET at the end */
static napi_value call_receive_descriptor(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t from = arg_int(&a);
  if (a.failed) return NULL;
  struct carrier c;
  carrier_begin(&c);
  ssize_t got = recvmsg(from, &c.message, MSG_CMSG_CLOEXEC);
  if (got <= 0) return result_int(&a, got < 0 ? -errno : -ECONNRESET);
  struct cmsghdr *head = CMSG_FIRSTHDR(&c.message);
  if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
      head->cmsg_len != CMSG_LEN(sizeof(int)))
    return result_int(&a, -EBADMSG);
  int fd = -1;
  memcpy(&fd, CMSG_DATA(head), sizeof(int));
  return result_int(&a, fd);
}

/* memoryMake(bytes) -> fd or -errno: memory of no file, whose size nobody can change any more */
static napi_value call_memory_make(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t bytes = arg_int(&a);
  if (a.failed) return NULL;
  int fd = memfd_create("putnext", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return result_int(&a, -errno);
  if (ftruncate(fd, bytes) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
    return result_int(&a, fd);
  int32_t error = -errno;
  close(fd);
  return result_int(&a, error);
}

static void unmap(napi_env env, void *data, void *hint) {
  (void)env;
  (void)munmap(data, (size_t)(uintptr_t)hint);
}

/* memoryMap(fd, bytes) -> ArrayBuffer, unmapped when it is garbage, or -errno; -EINVAL if the memory is smaller */
static napi_value call_memory_map(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t fd = arg_int(&a), bytes = arg_int(&a);
  struct stat about;
  napi_value buffer = NULL;
  if (a.failed) return NULL;
  if (bytes <= 0) return result_int(&a, -EINVAL);
  if (fstat(fd, &about) != 0) return result_int(&a, -errno);
  if (about.st_size < bytes) return result_int(&a, -EINVAL);
  void *base = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return result_int(&a, -errno);
  if (failed(env, napi_create_external_arraybuffer(env, base, (size_t)bytes, unmap, (void *)(uintptr_t)bytes, &buffer))) {
    (void)munmap(base, (size_t)bytes);
    return NULL;
  }
  return buffer;
}

static const struct method methods[] = {
    {"unixListen", call_unix_listen},
    {"unixConnect", call_unix_connect},
    {"unixAccept", call_unix_accept},
    {"unixPeer", call_unix_peer},
    {"sendDescriptor", call_send_descriptor},
    {"receiveDescriptor", call_receive_descriptor},
    {"memoryMake", call_memory_make},
    {"memoryMap", call_memory_map},
};

bool define_ipc(napi_env env, napi_value exports, struct shim *shim) {
  return define_methods(env, exports, shim, methods, METHOD_COUNT(methods));
}
