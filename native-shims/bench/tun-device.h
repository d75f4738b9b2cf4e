// A TUN device opened in the current network namespace, as the C ends of a measurement use it.
#ifndef PUTNEXT_BENCH_TUN_DEVICE_H
#define PUTNEXT_BENCH_TUN_DEVICE_H

#include "peer.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sys/ioctl.h>

// Headers may be older than the kernel.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define VNET_HEADER_BYTES 10
#define PACKET_BYTES_MAX 65535

// With a virtio header and all offloads that the kernel grants; or, without `offload`, bare packets.
static inline int open_tun(const char *name, bool offload, unsigned *offloads) {
  struct ifreq request = {.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0))};
  if (strlen(name) >= IFNAMSIZ) {
    fprintf(stderr, "an interface name has 1 to %d bytes\n", IFNAMSIZ - 1);
    exit(2);
  }
  memcpy(request.ifr_name, name, strlen(name));
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), header_bytes = VNET_HEADER_BYTES;
  if (fd < 0) fail("open /dev/net/tun");
  if (ioctl(fd, TUNSETIFF, &request)) fail("TUNSETIFF");
  *offloads = 0;
  if (!offload) return fd;
  if (ioctl(fd, TUNSETVNETHDRSZ, &header_bytes)) fail("TUNSETVNETHDRSZ");
  *offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6;
  if (ioctl(fd, TUNSETOFFLOAD, *offloads) == 0) return fd;
  *offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  if (ioctl(fd, TUNSETOFFLOAD, *offloads)) fail("TUNSETOFFLOAD");
  return fd;
}

#endif
