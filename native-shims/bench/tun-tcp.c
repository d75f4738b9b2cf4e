// The least that a userspace TCP endpoint on a TUN device can do: discard on port 9, character generator on port 19, echo on port 7, one IPv4
// connection at a time, the last one that was opened. A ceiling, not a stack: no options but MSS and window scale, go-back-N after a
// stall, nothing out of order, no congestion control.
//
//   tun-tcp NAME ADDRESS [--seconds S] [--linger US] [--no-offload] [--connect ADDRESS]
//
// With --linger it looks for the next packet that many microseconds before it waits. With --connect it opens a connection to port 9
// of that address (of another such program) and sends for as long as it lives; then tells how much was acknowledged.
#include "tun-device.h"

#include <arpa/inet.h>
#include <poll.h>

#define MSS 1460
#define IP_BYTES 20
#define TCP_BYTES 20
#define SYN_OPTION_BYTES 8
#define WINDOW_SCALE 10
#define STALL_SECONDS 0.05
#define BURST 8
#define PORT_ECHO 7
#define PORT_DISCARD 9
#define PORT_CHARGEN 19
#define FIN 1
#define SYN 2
#define RST 4
#define PSH 8
#define ACK 16

struct end {
  int fd;
  bool offload, open, ended;
  uint32_t own, peer;
  uint16_t own_port, peer_port;
  uint32_t snd_una, snd_nxt, snd_max, rcv_nxt, window, own_window;
  unsigned peer_scale, duplicates;
  size_t payload_max;
  uint16_t ip_id;
  uint64_t acknowledged, received;
  double linger;
};

static uint8_t sending[VNET_HEADER_BYTES + IP_BYTES + TCP_BYTES + SYN_OPTION_BYTES + 65536];
static uint8_t *const payload = sending + VNET_HEADER_BYTES + IP_BYTES + TCP_BYTES + SYN_OPTION_BYTES;
static uint8_t receiving[VNET_HEADER_BYTES + PACKET_BYTES_MAX];
static uint64_t payload_sum;

static uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }
static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16), put16(p + 2, v); }

// Sum of big-endian words, not folded; only the last run may be of odd length.
static uint64_t sum_of(const uint8_t *p, size_t bytes) {
  uint64_t sum = 0;
  for (; bytes >= 8; bytes -= 8, p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    sum += (word & 0xffffffff) + (word >> 32);
  }
  uint64_t rest = 0;
  memcpy(&rest, p, bytes);
  sum += (rest & 0xffffffff) + (rest >> 32);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ntohs((uint16_t)sum);
}

static uint16_t fold(uint64_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}

static void emit(struct end *e, uint32_t sequence, uint8_t control, size_t bytes) {
  bool syn = control & SYN;
  size_t header = TCP_BYTES + (syn ? SYN_OPTION_BYTES : 0), total = IP_BYTES + header + bytes;
  uint8_t *tcp = payload - header, *ip = tcp - IP_BYTES, *vnet = ip - VNET_HEADER_BYTES;
  memset(vnet, 0, VNET_HEADER_BYTES + IP_BYTES);
  ip[0] = 0x45;
  put16(ip + 2, (uint32_t)total);
  put16(ip + 4, e->ip_id);
  // Every packet that a super-segment stands for has a number of its own.
  e->ip_id = (uint16_t)(e->ip_id + 1 + bytes / MSS);
  ip[6] = 0x40;
  ip[8] = 64;
  ip[9] = IPPROTO_TCP;
  put32(ip + 12, e->own);
  put32(ip + 16, e->peer);
  put16(ip + 10, (uint16_t)~fold(sum_of(ip, IP_BYTES)));
  put16(tcp, e->own_port);
  put16(tcp + 2, e->peer_port);
  put32(tcp + 4, sequence);
  put32(tcp + 8, e->rcv_nxt);
  tcp[12] = (uint8_t)(header << 2);
  tcp[13] = control;
  put16(tcp + 14, syn ? 65535 : e->own_window >> WINDOW_SCALE);
  put32(tcp + 16, 0);
  if (syn) memcpy(tcp + TCP_BYTES, (uint8_t[]){2, 4, MSS >> 8, MSS & 255, 1, 3, 3, WINDOW_SCALE}, SYN_OPTION_BYTES);
  uint64_t pseudo = sum_of(ip + 12, 8) + IPPROTO_TCP + header + bytes;
  uint8_t *from = ip;
  if (e->offload) {
    struct virtio_net_hdr h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = IP_BYTES, .csum_offset = 16};
    if (bytes > MSS) h.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, h.gso_size = MSS, h.hdr_len = (uint16_t)(IP_BYTES + header);
    memcpy(vnet, &h, VNET_HEADER_BYTES);
    put16(tcp + 16, fold(pseudo));
    from = vnet;
  } else {
    // The payload never changes, save for an echo: a whole one is summed once.
    uint64_t data = bytes == e->payload_max ? payload_sum : sum_of(payload, bytes);
    put16(tcp + 16, (uint16_t)~fold(pseudo + sum_of(tcp, header) + data));
  }
  while (write(e->fd, from, (size_t)(payload - from) + bytes) < 0 && errno == EINTR && !stopped) continue;
}

static void begin(struct end *e, const uint8_t *tcp, size_t header) {
  e->peer_port = get16(tcp);
  e->own_port = get16(tcp + 2);
  e->peer_scale = 0;
  for (const uint8_t *o = tcp + TCP_BYTES; o < tcp + header && *o != 0; o += *o == 1 ? 1 : o[1]) {
    if (*o == 3) e->peer_scale = o[2];
    if (*o != 1 && o[1] < 2) break;
  }
  e->rcv_nxt = get32(tcp + 4) + 1;
  e->window = get16(tcp + 14);
  e->duplicates = 0;
}

static void take_ack(struct end *e, const uint8_t *tcp, bool pure) {
  uint32_t ack = get32(tcp + 8);
  e->window = (uint32_t)get16(tcp + 14) << e->peer_scale;
  if ((int32_t)(ack - e->snd_una) > 0 && (int32_t)(ack - e->snd_max) <= 0) {
    e->acknowledged += ack - e->snd_una;
    e->snd_una = ack;
    if ((int32_t)(e->snd_nxt - ack) < 0) e->snd_nxt = ack;
    e->duplicates = 0;
  } else if (pure && ack == e->snd_una && e->snd_nxt != ack && ++e->duplicates == 30) {
    e->snd_nxt = ack;
  }
}

// One packet as it was read; the virtio header is off.
static void input(struct end *e, const uint8_t *ip, size_t bytes) {
  if (bytes < IP_BYTES + TCP_BYTES || ip[0] != 0x45 || ip[9] != IPPROTO_TCP || get32(ip + 16) != e->own) return;
  const uint8_t *tcp = ip + IP_BYTES;
  size_t header = (size_t)(tcp[12] >> 4) * 4, total = get16(ip + 2);
  if (total > bytes || header < TCP_BYTES || IP_BYTES + header > total) return;
  size_t length = total - IP_BYTES - header;
  uint32_t sequence = get32(tcp + 4);
  if ((tcp[13] & (SYN | ACK)) == SYN) {
    e->peer = get32(ip + 12);
    begin(e, tcp, header);
    e->snd_una = e->snd_nxt = e->snd_max = 1001;
    e->open = true;
    emit(e, 1000, SYN | ACK, 0);
    return;
  }
  if (get16(tcp) != e->peer_port || get16(tcp + 2) != e->own_port) return;
  if ((tcp[13] & SYN) != 0 && !e->open) {
    begin(e, tcp, header);
    e->snd_una = e->snd_nxt = e->snd_max = 1001;
    e->open = true;
    emit(e, 1001, ACK, 0);
    return;
  }
  if (!e->open) return;
  if ((tcp[13] & RST) != 0) {
    e->open = false;
    e->ended = true;
    return;
  }
  take_ack(e, tcp, length == 0);
  if (length > 0 && sequence == e->rcv_nxt) {
    e->rcv_nxt += (uint32_t)length;
    e->received += length;
    if (e->own_port == PORT_ECHO && length <= e->payload_max) {
      memcpy(payload, tcp + header, length);
      emit(e, e->snd_nxt, PSH | ACK, length);
      e->snd_nxt = e->snd_max = e->snd_nxt + (uint32_t)length;
    } else emit(e, e->snd_nxt, ACK, 0);
  } else if (length > 0) emit(e, e->snd_nxt, ACK, 0);
  if ((tcp[13] & FIN) != 0 && sequence + length == e->rcv_nxt) {
    e->rcv_nxt++;
    emit(e, e->snd_nxt++, FIN | ACK, 0);
    e->open = false;
  }
}

static bool read_all(struct end *e) {
  bool any = false;
  size_t vnet = e->offload ? VNET_HEADER_BYTES : 0;
  for (ssize_t n; (n = read(e->fd, receiving, sizeof receiving)) > (ssize_t)vnet; any = true) input(e, receiving + vnet, (size_t)n - vnet);
  return any;
}

static bool send_some(struct end *e) {
  if (!e->open || (e->own_port != PORT_CHARGEN && e->peer_port != PORT_DISCARD)) return false;
  uint32_t limit = e->window < e->own_window ? e->window : e->own_window;
  bool any = false;
  for (int i = 0; i < BURST; i++, any = true) {
    uint32_t flight = e->snd_nxt - e->snd_una;
    size_t bytes = e->payload_max;
    if (flight + bytes > limit) {
      if (flight > 0 || limit < MSS) break;
      bytes = limit / MSS * MSS;
    }
    // PSH ends the merging of segments on their way: only where it does no harm.
    emit(e, e->snd_nxt, (uint8_t)(bytes > MSS ? PSH | ACK : ACK), bytes);
    e->snd_nxt += (uint32_t)bytes;
    if ((int32_t)(e->snd_nxt - e->snd_max) > 0) e->snd_max = e->snd_nxt;
  }
  return any;
}

static void run(struct end *e) {
  double moved = now_seconds(), busy = moved;
  uint32_t una = e->snd_una;
  while (!stopped) {
    bool any = read_all(e);
    if (e->ended && e->own_port >= 40000) return;
    any |= send_some(e);
    if (any && e->linger == 0 && e->snd_nxt == e->snd_una) continue;
    double now = now_seconds();
    if (any) busy = now;
    if (e->snd_una != una || e->snd_nxt == e->snd_una) una = e->snd_una, moved = now;
    else if (now - moved > STALL_SECONDS) e->snd_nxt = e->snd_una, moved = now;
    if (any || now - busy < e->linger) continue;
    struct pollfd readable = {.fd = e->fd, .events = POLLIN};
    poll(&readable, 1, 20);
  }
}

static void open_to(struct end *e, const char *address) {
  if (inet_pton(AF_INET, address, &e->peer) != 1) exit(2);
  e->peer = ntohl(e->peer);
  e->own_port = (uint16_t)(40000 + (getpid() & 0xfff));
  e->peer_port = PORT_DISCARD;
  while (!e->open && !stopped) {
    emit(e, 1000, SYN, 0);
    for (int i = 0; i < 10 && !e->open; i++) {
      read_all(e);
      usleep(5000);
    }
  }
}

int main(int argc, char **argv) {
  static const struct option names[] = {
      {"seconds", 1, NULL, 's'}, {"linger", 1, NULL, 'l'}, {"no-offload", 0, NULL, 'n'}, {"connect", 1, NULL, 'c'}, {NULL, 0, NULL, 0}};
  struct end e = {.offload = true};
  double seconds = 3600;
  const char *to = NULL;
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (name == 's') seconds = number_argument("--seconds", optarg, 0.01, 86400);
    else if (name == 'l') e.linger = number_argument("--linger", optarg, 0, 1e6) * 1e-6;
    else if (name == 'n') e.offload = false;
    else if (name == 'c') to = optarg;
    else argc = 0;
  }
  if (argc - optind != 2 || inet_pton(AF_INET, argv[optind + 1], &e.own) != 1) {
    fprintf(stderr, "usage: tun-tcp NAME ADDRESS [--seconds S] [--linger US] [--no-offload] [--connect ADDRESS]\n");
    return 2;
  }
  e.own = ntohl(e.own);
  e.payload_max = e.offload ? (size_t)(PACKET_BYTES_MAX - IP_BYTES - TCP_BYTES) / MSS * MSS : MSS;
  // A window beyond the device's ring of 500 packets loses some without offload.
  e.own_window = e.offload ? 8u << 20 : 512u << 10;
  memset(payload, 'x', 65536);
  payload_sum = sum_of(payload, e.payload_max);
  bound_life(seconds);
  unsigned offloads;
  e.fd = open_tun(argv[optind], e.offload, &offloads);
  if (fcntl(e.fd, F_SETFL, O_NONBLOCK)) fail("O_NONBLOCK");
  printf("{\"ready\":true,\"offloads\":%u}\n", offloads);
  fflush(stdout);
  if (to != NULL) open_to(&e, to);
  double start = now_seconds(), cpu = cpu_seconds();
  e.acknowledged = 0;
  run(&e);
  double t = now_seconds() - start;
  if (e.open) emit(&e, e.snd_nxt, RST | ACK, 0);
  printf("{\"mode\":\"tun-tcp\",\"acknowledged\":%llu,\"received\":%llu,\"gbitPerSecond\":%.3f,\"cpu\":%.2f}\n", (unsigned long long)e.acknowledged,
         (unsigned long long)e.received, (double)(e.acknowledged + e.received) * 8e-9 / t, (cpu_seconds() - cpu) / t);
  return 0;
}
