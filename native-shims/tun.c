/* TUN devices: open inside a network namespace, and the ioctls of an open one. See linux/if_tun.h, netdevice(7). */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Defined here because system headers may be older than the running kernel. */
#define SHIM_TUNSETIFF _IOW('T', 202, int)
#define SHIM_TUNSETPERSIST _IOW('T', 203, int)
#define SHIM_TUNGETFEATURES _IOR('T', 207, unsigned int)
#define SHIM_TUNSETOFFLOAD _IOW('T', 208, unsigned int)
#define SHIM_TUNGETIFF _IOR('T', 210, unsigned int)
#define SHIM_TUNSETSNDBUF _IOW('T', 212, int)
#define SHIM_TUNSETVNETHDRSZ _IOW('T', 216, int)

static int open_device(const char *name, int32_t flags) {
  struct ifreq request;
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -errno;
  memset(&request, 0, sizeof request);
  request.ifr_flags = (short)flags;
  memcpy(request.ifr_name, name, strlen(name));
  if (ioctl(fd, SHIM_TUNSETIFF, &request) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

/*
 * tunOpen(namespace, name, flags) -> fd or -errno. The device belongs to the namespace in which /dev/net/tun was
 * opened, so the thread enters it first and is back before JavaScript runs again.
 */
static napi_value call_tun_open(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  char path[PATH_BYTES], name[IFNAMSIZ];
  int saved = -1;
  int32_t bad_path = arg_string(&a, path, sizeof path), bad_name = arg_string(&a, name, sizeof name);
  int32_t flags = arg_int(&a);
  if (a.failed) return NULL;
  if (bad_path != 0 || bad_name != 0) return result_int(&a, bad_path != 0 ? bad_path : bad_name);
  int error = netns_enter(path, &saved);
  if (error != 0) return result_int(&a, error);
  int fd = open_device(name, flags);
  error = netns_leave(saved);
  if (error != 0) {
    if (fd >= 0) close(fd);
    throw_errno(env, "cannot return to the network namespace", -error);
    return NULL;
  }
  return result_int(&a, fd);
}

static napi_value control_value(napi_env env, napi_callback_info info, unsigned long request) {
  struct args a = args_begin(env, info);
  int32_t fd = arg_int(&a), value = arg_int(&a);
  if (a.failed) return NULL;
  return result_int(&a, ioctl(fd, request, (unsigned long)(uint32_t)value) < 0 ? -errno : 0);
}

static napi_value control_pointer(napi_env env, napi_callback_info info, unsigned long request) {
  struct args a = args_begin(env, info);
  int fd = arg_int(&a), value = arg_int(&a);
  if (a.failed) return NULL;
  return result_int(&a, ioctl(fd, request, &value) < 0 ? -errno : 0);
}

/* tunOffload(fd, bits): TUN_F_* */
static napi_value call_tun_offload(napi_env env, napi_callback_info info) {
  return control_value(env, info, SHIM_TUNSETOFFLOAD);
}

/* tunPersist(fd, on): the device outlives its last descriptor */
static napi_value call_tun_persist(napi_env env, napi_callback_info info) {
  return control_value(env, info, SHIM_TUNSETPERSIST);
}

/* tunVnetHdrSize(fd, bytes) */
static napi_value call_tun_vnet_hdr_size(napi_env env, napi_callback_info info) {
  return control_pointer(env, info, SHIM_TUNSETVNETHDRSZ);
}

/* tunSndbuf(fd, bytes): what may be in flight before a write gives EAGAIN */
static napi_value call_tun_sndbuf(napi_env env, napi_callback_info info) {
  return control_pointer(env, info, SHIM_TUNSETSNDBUF);
}

/* tunFeatures(fd) -> IFF_* bits that this kernel knows, or -errno */
static napi_value call_tun_features(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t fd = arg_int(&a);
  unsigned int features = 0;
  if (a.failed) return NULL;
  return result_int(&a, ioctl(fd, SHIM_TUNGETFEATURES, &features) < 0 ? -errno : (int32_t)(features & INT32_MAX));
}

/* tunName(fd) -> the interface's name, or -errno */
static napi_value call_tun_name(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t fd = arg_int(&a);
  struct ifreq request;
  if (a.failed) return NULL;
  memset(&request, 0, sizeof request);
  if (ioctl(fd, SHIM_TUNGETIFF, &request) < 0) return result_int(&a, -errno);
  request.ifr_name[IFNAMSIZ - 1] = '\0';
  return result_string(&a, request.ifr_name);
}

static const struct method methods[] = {
    {"tunOpen", call_tun_open},           {"tunOffload", call_tun_offload}, {"tunVnetHdrSize", call_tun_vnet_hdr_size},
    {"tunFeatures", call_tun_features},   {"tunName", call_tun_name},       {"tunSndbuf", call_tun_sndbuf},
    {"tunPersist", call_tun_persist},
};

bool define_tun(napi_env env, napi_value exports, struct shim *shim) {
  return define_methods(env, exports, shim, methods, METHOD_COUNT(methods));
}
