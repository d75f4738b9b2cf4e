/* Network namespaces as files, in the way that ip-netns(8) keeps them. See setns(2), unshare(2), mount(2). */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

/* The thread's own namespace: /proc/self would give the main thread's in a worker. */
#define OWN_NETNS "/proc/thread-self/ns/net"

static int open_own(void) {
  int fd = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

static int enter_path(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int error = setns(fd, CLONE_NEWNET) == 0 ? 0 : -errno;
  close(fd);
  return error;
}

int netns_enter(const char *path, int *saved) {
  *saved = -1;
  if (path[0] == '\0') return 0;
  int own = open_own();
  if (own < 0) return own;
  int error = enter_path(path);
  if (error == 0) *saved = own;
  else close(own);
  return error;
}

int netns_leave(int saved) {
  if (saved < 0) return 0;
  int error = setns(saved, CLONE_NEWNET) == 0 ? 0 : -errno;
  close(saved);
  return error;
}

static int bind_new_namespace(const char *path, int own, bool *stranded) {
  if (unshare(CLONE_NEWNET) != 0) return -errno;
  int error = mount(OWN_NETNS, path, "none", MS_BIND, NULL) == 0 ? 0 : -errno;
  *stranded = setns(own, CLONE_NEWNET) != 0;
  return error;
}

static int create_namespace(const char *path, bool *stranded) {
  int own = open_own();
  if (own < 0) return own;
  int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
  if (file < 0) {
    int error = -errno;
    close(own);
    return error;
  }
  close(file);
  int error = bind_new_namespace(path, own, stranded);
  if (error != 0) unlink(path);
  close(own);
  return error;
}

static napi_value path_call(napi_env env, napi_callback_info info, int (*act)(const char *path)) {
  struct args a = args_begin(env, info);
  char path[PATH_BYTES];
  int32_t bad = arg_string(&a, path, sizeof path);
  if (a.failed) return NULL;
  return result_int(&a, bad != 0 ? bad : act(path));
}

/* nsCreate(path) -> 0 or -errno; a new namespace bound to a new file, the thread stays where it was */
static napi_value call_ns_create(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  char path[PATH_BYTES];
  bool stranded = false;
  int32_t bad = arg_string(&a, path, sizeof path);
  if (a.failed) return NULL;
  if (bad != 0) return result_int(&a, bad);
  int error = create_namespace(path, &stranded);
  if (stranded) {
    throw_errno(env, "cannot return to the network namespace", EPERM);
    return NULL;
  }
  return result_int(&a, error);
}

/* EINVAL from umount2 means "not a mount point": the file that a crash left is removed all the same. */
static int delete_namespace(const char *path) {
  if (umount2(path, MNT_DETACH) != 0 && errno != EINVAL) return -errno;
  return unlink(path) == 0 ? 0 : -errno;
}

/* nsDelete(path) -> 0 or -errno; the namespace itself ends with its last process, descriptor and mount */
static napi_value call_ns_delete(napi_env env, napi_callback_info info) {
  return path_call(env, info, delete_namespace);
}

/* nsEnter(path) -> 0 or -errno; this thread stays there */
static napi_value call_ns_enter(napi_env env, napi_callback_info info) { return path_call(env, info, enter_path); }

static int share_directory(const char *path) {
  if (mount("", path, "none", MS_SHARED | MS_REC, NULL) == 0) return 0;
  if (errno != EINVAL) return -errno;
  if (mount(path, path, "none", MS_BIND | MS_REC, NULL) != 0) return -errno;
  return mount("", path, "none", MS_SHARED | MS_REC, NULL) == 0 ? 0 : -errno;
}

/* nsShareDirectory(path) -> 0 or -errno; a shared mount, so that namespaces made later are seen in all mount namespaces */
static napi_value call_ns_share_directory(napi_env env, napi_callback_info info) {
  return path_call(env, info, share_directory);
}

/*
 * nsFile(namespace, file, bytes, write) -> bytes moved or -errno. /proc/sys/net shows the namespace of the thread that
 * opens a file there, so a setting is read or written from inside in one call.
 */
static napi_value call_ns_file(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  char path[PATH_BYTES], file[PATH_BYTES];
  int saved = -1;
  int32_t bad_path = arg_string(&a, path, sizeof path), bad_file = arg_string(&a, file, sizeof file);
  struct region bytes = arg_bytes(&a);
  int32_t writing = arg_int(&a);
  if (a.failed) return NULL;
  if (bad_path != 0 || bad_file != 0) return result_int(&a, bad_path != 0 ? bad_path : bad_file);
  int error = netns_enter(path, &saved);
  if (error != 0) return result_int(&a, error);
  int fd = open(file, (writing != 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
  ssize_t moved = fd < 0                ? -1
                  : writing != 0 ? write(fd, bytes.base, bytes.length)
                                 : read(fd, bytes.base, bytes.length);
  error = moved < 0 ? -errno : (int)moved;
  if (fd >= 0) close(fd);
  int back = netns_leave(saved);
  if (back != 0) {
    throw_errno(env, "cannot return to the network namespace", -back);
    return NULL;
  }
  return result_int(&a, error);
}

static const struct method methods[] = {
    {"nsCreate", call_ns_create}, {"nsDelete", call_ns_delete},
    {"nsEnter", call_ns_enter},   {"nsShareDirectory", call_ns_share_directory},
    {"nsFile", call_ns_file},
};

bool define_namespace(napi_env env, napi_value exports, struct shim *shim) {
  return define_methods(env, exports, shim, methods, METHOD_COUNT(methods));
}
