// Loads a TCP service through the kernel's own sockets, or is one.
//
//   tcp-load send     ADDRESS PORT [options]   writes as fast as it can (far side: discard)
//   tcp-load receive  ADDRESS PORT [options]   reads as fast as it can (far side: chargen)
//   tcp-load pingpong ADDRESS PORT [options]   one byte at a time; how long each round trip took (far side: echo)
//   tcp-load churn    ADDRESS PORT [options]   opens and closes connections, several at a time (far side: discard)
//   tcp-load hold     ADDRESS PORT [options]   opens many connections and has each echo one byte per interval (far side: echo)
//   tcp-load sink|source|echo|digest ADDRESS PORT   the far side on the kernel's sockets, a thread for each connection; "digest" reads
//                                                   to the end and answers with 16 hexadecimal digits, see digest_one
//
// --bytes of each write, --connections at a time, --interval between two echoes of a connection of "hold", --source the first of the
// addresses to come from, one for each 25,000 connections.
#include "peer.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <sys/socket.h>

#define WRITE_BYTES (256 << 10)
#define SAMPLES_MAX (4u << 20)
#define PER_SOURCE 25000
#define EVENTS 256
#define OPENING_MAX 512

struct options {
  const char *mode, *address, *port, *source;
  double seconds, warmup, interval;
  size_t bytes;
  unsigned connections;
};

_Noreturn static void usage(void) {
  fprintf(stderr, "usage: tcp-load send|receive|pingpong|churn|hold|sink|source|echo|digest ADDRESS PORT [--seconds S] [--warmup S] "
                  "[--bytes N] [--connections N] [--interval S] [--source ADDRESS]\n");
  exit(2);
}

static struct addrinfo *resolve(const char *address, const char *port) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *to;
  if (getaddrinfo(address, port, &hints, &to) == 0) return to;
  fprintf(stderr, "%s port %s is no address\n", address, port);
  exit(2);
}

static void set_int(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

// Ends with a reset, so that the kernel keeps nothing of it.
static void hard_close(int fd) {
  struct linger now = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

static int dial(const struct addrinfo *to) {
  for (double end = now_seconds() + 5; !stopped;) {
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0) {
      set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
      return fd;
    }
    if (now_seconds() > end) fail("connect");
    close(fd);
    usleep(20000);
  }
  exit(1);
}

static void *memory_for(size_t bytes) {
  void *memory = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
  if (memory == NULL) fail("memory");
  memset(memory, 'x', bytes);
  return memory;
}

static int64_t unsent(int fd) {
  int bytes = 0;
  ioctl(fd, SIOCOUTQ, &bytes);
  return bytes;
}

// ---- send, receive

static int bulk(const struct options *o) {
  bool sending = strcmp(o->mode, "send") == 0;
  struct addrinfo *to = resolve(o->address, o->port);
  char *buffer = memory_for(o->bytes);
  int fd = dial(to);
  double begin = now_seconds() + o->warmup, start = 0, t = 0, cpu = 0;
  int64_t bytes = 0, before = 0, calls = 0;
  while (!stopped) {
    ssize_t n = sending ? write(fd, buffer, o->bytes) : read(fd, buffer, o->bytes);
    t = now_seconds();
    if (n <= 0) break;
    if (start > 0) bytes += n, calls++;
    else if (t >= begin) {
      start = t;
      cpu = cpu_seconds();
      before = sending ? unsent(fd) : 0;
    }
    if (start > 0 && t - start >= o->seconds) break;
  }
  if (start == 0) {
    printf("{\"error\":\"the connection ended before the measurement began\"}\n");
    return 1;
  }
  struct tcp_info info = {0};
  socklen_t size = sizeof info;
  getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
  if (sending) bytes += before - unsent(fd);
  printf("{\"mode\":\"%s\",\"bytes\":%lld,\"seconds\":%.3f,\"gbitPerSecond\":%.3f,\"cpu\":%.3f,\"calls\":%lld,\"retransmits\":%u,\"rttUs\":%u}\n",
         o->mode, (long long)bytes, t - start, (double)bytes * 8e-9 / (t - start), (cpu_seconds() - cpu) / (t - start), (long long)calls,
         info.tcpi_total_retrans, info.tcpi_rtt);
  hard_close(fd);
  return 0;
}

// ---- ping-pong

static int compare(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static int pingpong(const struct options *o) {
  int fd = dial(resolve(o->address, o->port));
  float *samples = malloc(SAMPLES_MAX * sizeof *samples);
  if (samples == NULL) fail("memory");
  size_t count = 0;
  char byte = 'x';
  double begin = now_seconds() + o->warmup, end = begin + o->seconds, cpu = 0;
  for (double t = 0; t < end && !stopped;) {
    double sent = now_seconds();
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) break;
    t = now_seconds();
    if (sent >= begin && count < SAMPLES_MAX) {
      if (count == 0) cpu = cpu_seconds();
      samples[count++] = (float)((t - sent) * 1e6);
    }
  }
  hard_close(fd);
  if (count == 0) {
    printf("{\"error\":\"nothing came back\"}\n");
    return 1;
  }
  qsort(samples, count, sizeof *samples, compare);
  printf("{\"mode\":\"pingpong\",\"count\":%zu,\"perSecond\":%.0f,\"p50Us\":%.2f,\"p99Us\":%.2f,\"p999Us\":%.2f,\"cpu\":%.2f}\n", count,
         (double)count / o->seconds, samples[count / 2], samples[count * 99 / 100], samples[count * 999 / 1000], (cpu_seconds() - cpu) / o->seconds);
  return 0;
}

// ---- many connections

static void allow_descriptors(unsigned count) {
  struct rlimit limit = {count + 64, count + 64};
  if (setrlimit(RLIMIT_NOFILE, &limit)) fail("RLIMIT_NOFILE");
}

// A non-blocking connection that is under way; -1 if the kernel refuses for now.
static int begin_dial(const struct options *o, const struct addrinfo *to, unsigned number) {
  int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (o->source != NULL && to->ai_family == AF_INET) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    inet_pton(AF_INET, o->source, &from.sin_addr);
    from.sin_addr.s_addr = htonl(ntohl(from.sin_addr.s_addr) + number / PER_SOURCE);
    set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (bind(fd, (struct sockaddr *)&from, sizeof from)) fail("bind");
  }
  if (connect(fd, to->ai_addr, to->ai_addrlen) == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}

static void watch(int poller, int fd, uint32_t events, uint64_t data, int operation) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  if (epoll_ctl(poller, operation, fd, &event)) fail("epoll_ctl");
}

// Connects, closes at once in order, and waits for the other side's end before the next one begins in its place.
static int churn(const struct options *o) {
  struct addrinfo *to = resolve(o->address, o->port);
  int poller = epoll_create1(EPOLL_CLOEXEC);
  allow_descriptors(o->connections + 64);
  for (unsigned i = 0; i < o->connections; i++) {
    int fd = begin_dial(o, to, 0);
    if (fd >= 0) watch(poller, fd, EPOLLOUT, (uint64_t)fd << 1, EPOLL_CTL_ADD);
  }
  uint64_t done = 0, failed = 0;
  double begin = now_seconds() + o->warmup, end = begin + o->seconds, cpu = cpu_seconds();
  struct epoll_event events[EVENTS];
  for (double t = now_seconds(); t < end && !stopped; t = now_seconds()) {
    int ready = epoll_wait(poller, events, EVENTS, 100);
    for (int i = 0; i < ready; i++) {
      int fd = (int)(events[i].data.u64 >> 1);
      bool closing = events[i].data.u64 & 1;
      if (!closing && (events[i].events & (EPOLLERR | EPOLLHUP)) == 0) {
        shutdown(fd, SHUT_WR);
        watch(poller, fd, EPOLLIN, (uint64_t)fd << 1 | 1, EPOLL_CTL_MOD);
        continue;
      }
      char byte;
      if (closing && read(fd, &byte, 1) == 0) done += t >= begin;
      else failed++;
      close(fd);
      fd = begin_dial(o, to, 0);
      if (fd >= 0) watch(poller, fd, EPOLLOUT, (uint64_t)fd << 1, EPOLL_CTL_ADD);
      else failed++;
    }
  }
  printf("{\"mode\":\"churn\",\"connections\":%llu,\"perSecond\":%.0f,\"failed\":%llu,\"cpu\":%.2f}\n", (unsigned long long)done,
         (double)done / o->seconds, (unsigned long long)failed, (cpu_seconds() - cpu) / (o->seconds + o->warmup));
  return 0;
}

struct held {
  int fd;
  bool open, waiting;
  double asked_at;
};

struct hold {
  const struct options *options;
  struct held *held;
  int poller;
  uint64_t open, lost, echoes, late;
  double worst;
};

static void take_events(struct hold *h, int timeout_ms) {
  struct epoll_event events[EVENTS];
  int ready = epoll_wait(h->poller, events, EVENTS, timeout_ms);
  double t = now_seconds();
  for (int i = 0; i < ready; i++) {
    struct held *each = &h->held[events[i].data.u64];
    char byte;
    if (!each->open && (events[i].events & (EPOLLERR | EPOLLHUP)) == 0) {
      each->open = true;
      h->open++;
      watch(h->poller, each->fd, EPOLLIN, events[i].data.u64, EPOLL_CTL_MOD);
    } else if (each->open && read(each->fd, &byte, 1) == 1) {
      h->echoes++;
      if (each->waiting && t - each->asked_at > h->worst) h->worst = t - each->asked_at;
      each->waiting = false;
    } else {
      h->lost++;
      h->open -= each->open;
      each->open = false;
      close(each->fd);
      each->fd = -1;
    }
  }
}

// Says {"held":N} when all are open, and reports at the end.
static int hold(const struct options *o) {
  struct addrinfo *to = resolve(o->address, o->port);
  struct hold h = {.options = o, .held = calloc(o->connections, sizeof *h.held), .poller = epoll_create1(EPOLL_CLOEXEC)};
  if (h.held == NULL) fail("memory");
  allow_descriptors(o->connections + 64);
  for (unsigned i = 0; i < o->connections && !stopped;) {
    if (i - h.open - h.lost < OPENING_MAX && (h.held[i].fd = begin_dial(o, to, i)) >= 0) {
      watch(h.poller, h.held[i].fd, EPOLLOUT, i, EPOLL_CTL_ADD);
      i++;
    } else {
      take_events(&h, 10);
    }
  }
  for (double end = now_seconds() + 10; h.open + h.lost < o->connections && now_seconds() < end && !stopped;) take_events(&h, 10);
  printf("{\"held\":%llu}\n", (unsigned long long)h.open);
  fflush(stdout);
  double start = now_seconds(), end = start + o->seconds, step = o->interval / o->connections;
  uint64_t asked = 0;
  for (double t = start; t < end && !stopped; t = now_seconds()) {
    for (; start + (double)asked * step <= t; asked++) {
      struct held *each = &h.held[asked % o->connections];
      if (!each->open) continue;
      h.late += each->waiting;
      each->waiting = write(each->fd, "x", 1) == 1;
      each->asked_at = t;
    }
    take_events(&h, 1);
  }
  for (double limit = now_seconds() + 2; now_seconds() < limit && !stopped;) take_events(&h, 10);
  uint64_t unanswered = h.late;
  for (unsigned i = 0; i < o->connections; i++) unanswered += h.held[i].waiting;
  printf("{\"mode\":\"hold\",\"open\":%llu,\"lost\":%llu,\"asked\":%llu,\"echoes\":%llu,\"unanswered\":%llu,\"worstMs\":%.2f}\n", (unsigned long long)h.open,
         (unsigned long long)h.lost, (unsigned long long)asked, (unsigned long long)h.echoes, (unsigned long long)unanswered, h.worst * 1e3);
  return 0;
}

// ---- the far side

static const struct options *serving;

// FNV-1a and a polynomial of 31, each of 32 bits, over every byte in order: src/bench/copies-pattern.ts has the same.
static void digest_one(int fd, char *buffer) {
  uint32_t fnv = 0x811c9dc5, polynomial = 0;
  for (ssize_t n; (n = read(fd, buffer, serving->bytes)) > 0;)
    for (ssize_t i = 0; i < n; i++) {
      fnv = (fnv ^ (uint8_t)buffer[i]) * 0x01000193u;
      polynomial = polynomial * 31 + (uint8_t)buffer[i];
    }
  int length = snprintf(buffer, serving->bytes, "%08x%08x", fnv, polynomial);
  send(fd, buffer, (size_t)length, MSG_NOSIGNAL);
}

static void *serve_one(void *argument) {
  int fd = (int)(intptr_t)argument;
  char *buffer = memory_for(serving->bytes);
  bool digests = strcmp(serving->mode, "digest") == 0;
  if (digests) digest_one(fd, buffer);
  for (ssize_t n = digests ? 0 : 1; n > 0;) {
    if (strcmp(serving->mode, "source") == 0) {
      n = send(fd, buffer, serving->bytes, MSG_NOSIGNAL);
      continue;
    }
    n = read(fd, buffer, serving->bytes);
    if (n > 0 && strcmp(serving->mode, "echo") == 0) n = send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
  }
  close(fd);
  free(buffer);
  return NULL;
}

static int serve(const struct options *o) {
  serving = o;
  struct addrinfo *at = resolve(o->address, o->port);
  int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (bind(fd, at->ai_addr, at->ai_addrlen) || listen(fd, 1024)) fail("listen");
  printf("{\"ready\":true}\n");
  fflush(stdout);
  while (!stopped) {
    int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (one < 0) continue;
    set_int(one, IPPROTO_TCP, TCP_NODELAY, 1);
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)one) == 0) pthread_detach(thread);
    else close(one);
  }
  return 0;
}

int main(int argc, char **argv) {
  static const struct option names[] = {{"seconds", 1, NULL, 's'},     {"warmup", 1, NULL, 'w'},   {"bytes", 1, NULL, 'b'},
                                        {"connections", 1, NULL, 'c'}, {"interval", 1, NULL, 'i'}, {"source", 1, NULL, 'a'},
                                        {NULL, 0, NULL, 0}};
  struct options o = {.seconds = 3, .warmup = 0.5, .interval = 60, .bytes = WRITE_BYTES, .connections = 64};
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (name == 's') o.seconds = number_argument("--seconds", optarg, 0.01, 86400);
    else if (name == 'w') o.warmup = number_argument("--warmup", optarg, 0, 3600);
    else if (name == 'b') o.bytes = (size_t)number_argument("--bytes", optarg, 1, 64 << 20);
    else if (name == 'c') o.connections = (unsigned)number_argument("--connections", optarg, 1, 1e6);
    else if (name == 'i') o.interval = number_argument("--interval", optarg, 0.001, 86400);
    else if (name == 'a') o.source = optarg;
    else usage();
  }
  if (argc - optind != 3) usage();
  o.mode = argv[optind];
  o.address = argv[optind + 1];
  o.port = argv[optind + 2];
  bound_life(o.seconds + o.warmup + (strcmp(o.mode, "hold") == 0 ? 120 : 0));
  signal(SIGPIPE, SIG_IGN);
  if (strcmp(o.mode, "send") == 0 || strcmp(o.mode, "receive") == 0) return bulk(&o);
  if (strcmp(o.mode, "pingpong") == 0) return pingpong(&o);
  if (strcmp(o.mode, "churn") == 0) return churn(&o);
  if (strcmp(o.mode, "hold") == 0) return hold(&o);
  if (strcmp(o.mode, "sink") == 0 || strcmp(o.mode, "source") == 0 || strcmp(o.mode, "echo") == 0 || strcmp(o.mode, "digest") == 0)
    return serve(&o);
  usage();
}
