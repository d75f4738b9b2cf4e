// Loads an echo service through the kernel's own UDP sockets, or is one.
//
//   udp-load window   ADDRESS PORT [options]   keeps datagrams in flight; how many came back in a second, how many were lost
//   udp-load pingpong ADDRESS PORT [options]   one datagram at a time; how long each took
//   udp-load echo     ADDRESS PORT [options]   answers datagrams with sockets: what the kernel's stack does of it
//
// A datagram carries the number of its slot and how often the slot was used: a lost one is missed by itself, sent anew
// after a while, and does not count when it comes late after all.
#include "peer.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define WINDOW_MAX 1024
#define BATCH 64
#define DATAGRAM_BYTES_MAX 65507
#define SAMPLES_MAX (8u << 20)
#define SOCKET_BUFFER_BYTES (8 << 20)
// After this a datagram is given up; more than a busy machine keeps a process waiting.
#define LOSS_SECONDS 0.3
#define LOSS_LOOK_SECONDS 0.02

struct stamp {
  uint32_t slot;
  uint32_t turn;
};

struct options {
  const char *mode;
  double seconds, warmup;
  size_t bytes;
  unsigned window;
};

struct slot {
  struct stamp stamp;
  bool busy;
  double sent_at;
};

struct tally {
  uint64_t received, lost, late, wrong;
};

_Noreturn static void usage(void) {
  fprintf(stderr, "usage: udp-load window|pingpong|echo ADDRESS PORT [--seconds S] [--warmup S] [--bytes N] [--window N]\n");
  exit(2);
}

static int open_socket(const char *address, const char *port, bool serve) {
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *to;
  if (getaddrinfo(address, port, &hints, &to) != 0) {
    fprintf(stderr, "%s port %s is no address\n", address, port);
    exit(2);
  }
  int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = SOCKET_BUFFER_BYTES;
  if (fd < 0) fail("socket");
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size)) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size)) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  if ((serve ? bind : connect)(fd, to->ai_addr, to->ai_addrlen)) fail(serve ? "bind" : "connect");
  freeaddrinfo(to);
  return fd;
}

static void prepare(struct mmsghdr *messages, struct iovec *vectors, uint8_t *memory, size_t bytes, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    vectors[i] = (struct iovec){.iov_base = memory + (size_t)i * bytes, .iov_len = bytes};
    memset(&messages[i], 0, sizeof messages[i]);
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
}

static uint8_t *memory_for(size_t bytes) {
  uint8_t *memory = calloc(1, bytes);
  if (memory == NULL) fail("memory");
  return memory;
}

// ---- window

struct load {
  int fd;
  size_t bytes;
  unsigned window, idle_count;
  uint32_t idle[WINDOW_MAX];
  struct slot slots[WINDOW_MAX];
  uint8_t *sending, *receiving;
  struct mmsghdr out[BATCH], in[BATCH];
  struct iovec out_vectors[BATCH], in_vectors[BATCH];
  struct tally tally;
};

// Sends what the window has room for. A socket that takes no more keeps the rest for the next time.
static void fill_window(struct load *load, double now) {
  while (load->idle_count > 0) {
    unsigned count = load->idle_count < BATCH ? load->idle_count : BATCH;
    for (unsigned i = 0; i < count; i++) {
      struct slot *slot = &load->slots[load->idle[load->idle_count - 1 - i]];
      memcpy(load->out_vectors[i].iov_base, &slot->stamp, sizeof slot->stamp);
    }
    int sent = sendmmsg(load->fd, load->out, count, MSG_DONTWAIT);
    if (sent <= 0) return;
    for (int i = 0; i < sent; i++) {
      struct slot *slot = &load->slots[load->idle[--load->idle_count]];
      slot->busy = true;
      slot->sent_at = now;
    }
  }
}

static void retire(struct load *load, struct slot *slot) {
  slot->busy = false;
  slot->stamp.turn++;
  load->idle[load->idle_count++] = slot->stamp.slot;
}

static void take(struct load *load, const struct mmsghdr *message) {
  struct stamp stamp;
  if (message->msg_len != load->bytes) {
    load->tally.wrong++;
    return;
  }
  memcpy(&stamp, message->msg_hdr.msg_iov->iov_base, sizeof stamp);
  if (stamp.slot >= load->window) {
    load->tally.wrong++;
    return;
  }
  struct slot *slot = &load->slots[stamp.slot];
  if (!slot->busy || slot->stamp.turn != stamp.turn) {
    load->tally.late++;
    return;
  }
  load->tally.received++;
  retire(load, slot);
}

static void give_up(struct load *load, double now) {
  for (unsigned i = 0; i < load->window; i++) {
    struct slot *slot = &load->slots[i];
    if (!slot->busy || now - slot->sent_at < LOSS_SECONDS) continue;
    load->tally.lost++;
    retire(load, slot);
  }
}

static int run_window(int fd, const struct options *options) {
  static struct load load;
  load.fd = fd;
  load.bytes = options->bytes;
  load.window = options->window;
  load.sending = memory_for(BATCH * options->bytes);
  load.receiving = memory_for(BATCH * options->bytes);
  prepare(load.out, load.out_vectors, load.sending, options->bytes, BATCH);
  prepare(load.in, load.in_vectors, load.receiving, options->bytes, BATCH);
  for (uint32_t i = 0; i < load.window; i++) {
    load.slots[i].stamp.slot = i;
    load.idle[load.idle_count++] = i;
  }
  double now = now_seconds(), start = now + options->warmup, end = start + options->seconds, looked = now, cpu = cpu_seconds();
  bool warm = options->warmup == 0;
  while (!stopped && now < end) {
    fill_window(&load, now);
    int got = recvmmsg(fd, load.in, BATCH, MSG_DONTWAIT, NULL);
    if (got <= 0) {
      struct pollfd readable = {.fd = fd, .events = POLLIN};
      poll(&readable, 1, 20);
    }
    now = now_seconds();
    for (int i = 0; i < got; i++) take(&load, &load.in[i]);
    if (now - looked > LOSS_LOOK_SECONDS) {
      looked = now;
      give_up(&load, now);
    }
    if (warm || now < start) continue;
    warm = true;
    start = now;
    end = now + options->seconds;
    cpu = cpu_seconds();
    load.tally = (struct tally){0};
  }
  double spent = now - start;
  if (!warm || spent <= 0) spent = 1;
  printf("{\"mode\":\"window\",\"received\":%llu,\"perSecond\":%.0f,\"lost\":%llu,\"late\":%llu,\"wrong\":%llu,\"seconds\":%.3f,\"cpu\":%.3f}\n",
         (unsigned long long)load.tally.received, (double)load.tally.received / spent, (unsigned long long)load.tally.lost,
         (unsigned long long)load.tally.late, (unsigned long long)load.tally.wrong, spent, (cpu_seconds() - cpu) / spent);
  free(load.sending);
  free(load.receiving);
  return load.tally.received > 0 ? 0 : 1;
}

// ---- pingpong

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

// One datagram there and back. Answers to earlier ones are not taken for it.
static bool one_trip(int fd, uint8_t *bytes, uint8_t *answer, size_t size, struct stamp stamp, struct tally *tally) {
  memcpy(bytes, &stamp, sizeof stamp);
  if (send(fd, bytes, size, 0) != (ssize_t)size) return false;
  for (;;) {
    ssize_t got = recv(fd, answer, size, MSG_TRUNC);
    if (got < 0) return false;
    struct stamp seen;
    memcpy(&seen, answer, sizeof seen);
    if ((size_t)got == size && seen.turn == stamp.turn) return true;
    if ((size_t)got == size) tally->late++;
    else tally->wrong++;
  }
}

static double quantile(const float *sorted, size_t count, double part) {
  size_t at = (size_t)((double)count * part);
  return sorted[at < count ? at : count - 1];
}

static int run_pingpong(int fd, const struct options *options) {
  struct timeval patience = {.tv_usec = (suseconds_t)(LOSS_SECONDS * 1e6)};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience)) fail("SO_RCVTIMEO");
  uint8_t *bytes = memory_for(options->bytes), *answer = memory_for(options->bytes);
  float *samples = malloc(SAMPLES_MAX * sizeof *samples);
  if (samples == NULL) fail("memory");
  struct tally tally = {0};
  size_t count = 0;
  double now = now_seconds(), start = now + options->warmup, end = start + options->seconds, cpu = cpu_seconds();
  bool warm = options->warmup == 0;
  for (uint32_t turn = 0; !stopped && now < end; turn++) {
    double sent = now_seconds();
    bool answered = one_trip(fd, bytes, answer, options->bytes, (struct stamp){.turn = turn}, &tally);
    // Nobody listens there yet: no need to ask a hundred thousand times a second.
    if (!answered && errno == ECONNREFUSED) usleep(1000);
    now = now_seconds();
    if (!warm && now >= start) {
      warm = true;
      start = now;
      end = now + options->seconds;
      cpu = cpu_seconds();
      tally = (struct tally){0};
      continue;
    }
    if (!warm || stopped) continue;
    if (!answered) tally.lost++;
    else if (count < SAMPLES_MAX) samples[count++] = (float)((now - sent) * 1e6);
  }
  double spent = now - start;
  if (count == 0 || spent <= 0) {
    printf("{\"mode\":\"pingpong\",\"received\":0,\"perSecond\":0,\"p50Us\":null,\"p99Us\":null,\"p999Us\":null,\"lost\":%llu,\"late\":%llu,\"wrong\":%llu,\"seconds\":%.3f,\"cpu\":0}\n",
           (unsigned long long)tally.lost, (unsigned long long)tally.late, (unsigned long long)tally.wrong, spent);
    return 1;
  }
  cpu = (cpu_seconds() - cpu) / spent;
  qsort(samples, count, sizeof *samples, by_size);
  printf("{\"mode\":\"pingpong\",\"received\":%zu,\"perSecond\":%.0f,\"p50Us\":%.2f,\"p99Us\":%.2f,\"p999Us\":%.2f,\"lost\":%llu,\"late\":%llu,\"wrong\":%llu,\"seconds\":%.3f,\"cpu\":%.3f}\n",
         count, (double)count / spent, quantile(samples, count, 0.5), quantile(samples, count, 0.99), quantile(samples, count, 0.999),
         (unsigned long long)tally.lost, (unsigned long long)tally.late, (unsigned long long)tally.wrong, spent, cpu);
  free(samples);
  free(bytes);
  free(answer);
  return 0;
}

// ---- echo

static int run_echo(int fd) {
  static struct mmsghdr messages[BATCH];
  static struct iovec vectors[BATCH];
  static struct sockaddr_storage from[BATCH];
  uint8_t *memory = memory_for((size_t)BATCH * DATAGRAM_BYTES_MAX);
  prepare(messages, vectors, memory, DATAGRAM_BYTES_MAX, BATCH);
  uint64_t echoed = 0;
  printf("{\"ready\":true}\n");
  fflush(stdout);
  while (!stopped) {
    for (unsigned i = 0; i < BATCH; i++) {
      vectors[i].iov_len = DATAGRAM_BYTES_MAX;
      messages[i].msg_hdr.msg_name = &from[i];
      messages[i].msg_hdr.msg_namelen = sizeof from[i];
    }
    int got = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    for (int i = 0; i < got; i++) vectors[i].iov_len = messages[i].msg_len;
    for (int done = 0; done < got;) {
      int sent = sendmmsg(fd, messages + done, (unsigned)(got - done), 0);
      if (sent <= 0) break;
      done += sent;
      echoed += (uint64_t)sent;
    }
  }
  printf("{\"mode\":\"echo\",\"echoed\":%llu,\"cpuSeconds\":%.3f}\n", (unsigned long long)echoed, cpu_seconds());
  free(memory);
  return 0;
}

static struct options read_options(int argc, char **argv) {
  static const struct option names[] = {
      {"seconds", required_argument, NULL, 's'}, {"warmup", required_argument, NULL, 'u'}, {"bytes", required_argument, NULL, 'b'},
      {"window", required_argument, NULL, 'w'},  {NULL, 0, NULL, 0},
  };
  struct options options = {.seconds = 3, .warmup = 0.5, .bytes = 64, .window = 64};
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (name) {
      case 's': options.seconds = number_argument("--seconds", optarg, 0.01, 86400); break;
      case 'u': options.warmup = number_argument("--warmup", optarg, 0, 3600); break;
      case 'b': options.bytes = (size_t)number_argument("--bytes", optarg, sizeof(struct stamp), DATAGRAM_BYTES_MAX); break;
      case 'w': options.window = (unsigned)number_argument("--window", optarg, 1, WINDOW_MAX); break;
      default: usage();
    }
  }
  if (argc - optind != 3) usage();
  options.mode = argv[optind];
  return options;
}

int main(int argc, char **argv) {
  struct options options = read_options(argc, argv);
  bool window = strcmp(options.mode, "window") == 0, pingpong = strcmp(options.mode, "pingpong") == 0;
  bool echo = strcmp(options.mode, "echo") == 0;
  if (!window && !pingpong && !echo) usage();
  bound_life(options.seconds + options.warmup);
  int fd = open_socket(argv[optind + 1], argv[optind + 2], echo);
  return window ? run_window(fd, &options) : pingpong ? run_pingpong(fd, &options) : run_echo(fd);
}
