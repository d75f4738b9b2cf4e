// The least that a userspace endpoint on a TUN device can do: read a packet, swap addresses and ports, write it. It is
// no stack (it checks nothing and knows no other protocol) but the ceiling that a stack is measured against.
//
//   tun-echo NAME [--seconds S] [--linger US]
//
// With --linger it looks for the next packet that many microseconds before it blocks, as a stack may do that gives
// processor time for latency: waking a process takes longer than everything else here.
//
// Opens the device in the current network namespace with a virtio header and all offloads that the kernel grants, says
// {"ready":true,...}, and blocks in read(2) or poll(2). The caller sets addresses and brings the interface up. Sums need no work:
// they do not change when both ends of a pseudo-header and both ports are swapped, whether they are complete or not.
#include "tun-device.h"

#include <netinet/in.h>
#include <poll.h>

#define UDP_HEADER_BYTES 8
#define IPV6_HEADER_BYTES 40
#define IPV4_FRAGMENT_BITS 0x3fff

static void swap(uint8_t *a, uint8_t *b, size_t bytes) {
  uint8_t kept[16];
  memcpy(kept, a, bytes);
  memcpy(a, b, bytes);
  memcpy(b, kept, bytes);
}

// Turns a UDP packet round. Returns false for everything else.
static bool turn_round(uint8_t *packet, size_t bytes) {
  size_t header;
  if (bytes >= 28 && packet[0] >> 4 == 4) {
    header = (size_t)(packet[0] & 15) * 4;
    unsigned fragment = ((unsigned)packet[6] << 8 | packet[7]) & IPV4_FRAGMENT_BITS;
    if (packet[9] != IPPROTO_UDP || fragment != 0 || header < 20 || bytes < header + UDP_HEADER_BYTES) return false;
    swap(packet + 12, packet + 16, 4);
  } else if (bytes >= IPV6_HEADER_BYTES + UDP_HEADER_BYTES && packet[0] >> 4 == 6 && packet[6] == IPPROTO_UDP) {
    header = IPV6_HEADER_BYTES;
    if (packet[24] == 0xff) return false;
    swap(packet + 8, packet + 24, 16);
  } else {
    return false;
  }
  swap(packet + header, packet + header + 2, 2);
  return true;
}

// The next packet; looks for it again and again until `linger` seconds are over, then waits.
static ssize_t lingering_read(int fd, uint8_t *buffer, size_t bytes, double linger) {
  double end = now_seconds() + linger;
  do {
    ssize_t got = read(fd, buffer, bytes);
    if (got >= 0 || errno != EAGAIN) return got;
  } while (now_seconds() < end && !stopped);
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  poll(&readable, 1, 1000);
  return read(fd, buffer, bytes);
}

int main(int argc, char **argv) {
  static const struct option names[] = {
      {"seconds", required_argument, NULL, 's'}, {"linger", required_argument, NULL, 'l'}, {NULL, 0, NULL, 0}};
  double seconds = 3600, linger = 0;
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (name == 's') seconds = number_argument("--seconds", optarg, 0.01, 86400);
    else if (name == 'l') linger = number_argument("--linger", optarg, 0, 1e6) * 1e-6;
    else argc = 0;
  }
  if (argc - optind != 1) {
    fprintf(stderr, "usage: tun-echo NAME [--seconds S] [--linger US]\n");
    return 2;
  }
  bound_life(seconds);
  unsigned offloads;
  int fd = open_tun(argv[optind], true, &offloads);
  if (linger > 0 && fcntl(fd, F_SETFL, O_NONBLOCK)) fail("O_NONBLOCK");
  printf("{\"ready\":true,\"offloads\":%u}\n", offloads);
  fflush(stdout);
  static uint8_t buffer[VNET_HEADER_BYTES + PACKET_BYTES_MAX];
  uint64_t echoed = 0, other = 0, refused = 0;
  while (!stopped) {
    ssize_t got = linger > 0 ? lingering_read(fd, buffer, sizeof buffer, linger) : read(fd, buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EBADFD) fail("the device is gone");
      // The interface is not up yet.
      if (errno != EINTR && errno != EAGAIN) usleep(1000);
      continue;
    }
    if (got <= VNET_HEADER_BYTES || !turn_round(buffer + VNET_HEADER_BYTES, (size_t)got - VNET_HEADER_BYTES)) other++;
    else if (write(fd, buffer, (size_t)got) == got) echoed++;
    else refused++;
  }
  printf("{\"mode\":\"tun-echo\",\"echoed\":%llu,\"other\":%llu,\"refused\":%llu,\"cpuSeconds\":%.3f}\n", (unsigned long long)echoed,
         (unsigned long long)other, (unsigned long long)refused, cpu_seconds());
  return 0;
}
