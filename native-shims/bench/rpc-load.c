// Calls a service of ONC RPC over TCP by libtirpc, or is one. The program number is that of src/bench/rpc-program.ts; nothing is
// registered with rpcbind.
//
//   rpc-load serve ADDRESS PORT             the far side: procedure 0, and procedure 1, which answers with as many bytes as it is asked for
//   rpc-load turns ADDRESS PORT [options]   procedure 0, one call at a time; how long each took
//   rpc-load many  ADDRESS PORT [options]   procedure 0 on many connections, a thread and one call at a time for each
//   rpc-load bulk  ADDRESS PORT [options]   procedure 1, likewise
//
// --connections of "many" (32) and "bulk" (1), --bytes of each reply of "bulk", --buffer that libtirpc asks for at both ends.
#include "peer.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <rpc/rpc.h>
#include <sys/socket.h>

#define PROGRAM 0x20000bee
#define VERSION 1
#define PROC_BLOB 1
#define BUFFER (1 << 20)
#define BLOB_MAX (16u << 20)
#define SAMPLES_MAX (4u << 20)
#define CONNECTIONS_MAX 256

struct options {
  const char *mode, *address, *port;
  double seconds, warmup;
  u_int bytes, buffer;
  unsigned connections;
};

struct blob {
  u_int length;
  char *bytes;
};

// xdr_void(3) takes no argument, so that a plain cast of it is warned of.
static bool_t xdr_nothing(XDR *xdr, ...) {
  (void)xdr;
  return TRUE;
}

static const struct timeval patience = {5, 0};

_Noreturn static void usage(void) {
  fprintf(stderr, "usage: rpc-load serve|turns|many|bulk ADDRESS PORT [--seconds S] [--warmup S] [--connections N] [--bytes N] [--buffer N]\n");
  exit(2);
}

static struct addrinfo *resolve(const struct options *o) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *to;
  if (getaddrinfo(o->address, o->port, &hints, &to) == 0) return to;
  fprintf(stderr, "%s port %s is no address\n", o->address, o->port);
  exit(2);
}

static bool_t xdr_blob(XDR *xdr, struct blob *blob) { return xdr_bytes(xdr, &blob->bytes, &blob->length, BLOB_MAX); }

// ---- the far side

static char *contents;

static void dispatch(struct svc_req *request, SVCXPRT *transport) {
  if (request->rq_proc == NULLPROC) {
    svc_sendreply(transport, xdr_nothing, NULL);
    return;
  }
  if (request->rq_proc != PROC_BLOB) {
    svcerr_noproc(transport);
    return;
  }
  u_int length = 0;
  if (!svc_getargs(transport, (xdrproc_t)xdr_u_int, &length) || length > BLOB_MAX) {
    svcerr_decode(transport);
    return;
  }
  struct blob blob = {length, contents};
  svc_sendreply(transport, (xdrproc_t)xdr_blob, &blob);
}

static int serve(const struct options *o) {
  struct addrinfo *at = resolve(o);
  int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, at->ai_addr, at->ai_addrlen) || listen(fd, CONNECTIONS_MAX)) fail("listen");
  contents = malloc(BLOB_MAX);
  if (contents == NULL) fail("memory");
  memset(contents, 'x', BLOB_MAX);
  SVCXPRT *transport = svc_vc_create(fd, o->buffer, o->buffer);
  if (transport == NULL || !svc_reg(transport, PROGRAM, VERSION, dispatch, NULL)) fail("svc_reg");
  // svc_run(3) begins anew when a signal interrupts it.
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  signal(SIGALRM, SIG_DFL);
  printf("{\"ready\":true}\n");
  fflush(stdout);
  svc_run();
  return 1;
}

// ---- calls

static CLIENT *dial(const struct options *o) {
  struct addrinfo *to = resolve(o);
  struct netbuf peer = {.maxlen = to->ai_addrlen, .len = to->ai_addrlen, .buf = to->ai_addr};
  for (double end = now_seconds() + 5; !stopped;) {
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (fd < 0) fail("socket");
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0) {
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      CLIENT *client = clnt_vc_create(fd, &peer, PROGRAM, VERSION, o->buffer, o->buffer);
      if (client == NULL) fail("clnt_vc_create");
      clnt_control(client, CLSET_TIMEOUT, (char *)(uintptr_t)&patience);
      return client;
    }
    if (now_seconds() > end) fail("connect");
    close(fd);
    usleep(20000);
  }
  exit(1);
}

static bool null_call(CLIENT *client) {
  return clnt_call(client, NULLPROC, xdr_nothing, NULL, xdr_nothing, NULL, patience) == RPC_SUCCESS;
}

_Noreturn static void call_failed(CLIENT *client) {
  printf("{\"error\":\"%s\"}\n", clnt_sperror(client, "call"));
  exit(1);
}

static int compare(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static int turns(const struct options *o) {
  CLIENT *client = dial(o);
  float *samples = malloc(SAMPLES_MAX * sizeof *samples);
  if (samples == NULL) fail("memory");
  size_t count = 0;
  double begin = now_seconds() + o->warmup, end = begin + o->seconds;
  for (double t = 0; t < end && !stopped;) {
    double sent = now_seconds();
    if (!null_call(client)) call_failed(client);
    t = now_seconds();
    if (sent >= begin && count < SAMPLES_MAX) samples[count++] = (float)((t - sent) * 1e6);
  }
  if (count == 0) {
    printf("{\"error\":\"nothing was answered\"}\n");
    return 1;
  }
  qsort(samples, count, sizeof *samples, compare);
  printf("{\"mode\":\"turns\",\"count\":%zu,\"perSecond\":%.0f,\"p50Us\":%.2f,\"p99Us\":%.2f}\n", count, (double)count / o->seconds,
         samples[count / 2], samples[count * 99 / 100]);
  return 0;
}

struct caller {
  pthread_t thread;
  CLIENT *client;
  double begin, end;
  uint64_t count;
  u_int bytes;
};

static void *call_in_turns(void *argument) {
  struct caller *c = argument;
  for (double t = now_seconds(); t < c->end && !stopped;) {
    if (!null_call(c->client)) call_failed(c->client);
    t = now_seconds();
    c->count += t >= c->begin && t < c->end;
  }
  return NULL;
}

// Decoded into the same memory each time, as a program would that cares.
static void *fetch_in_turns(void *argument) {
  struct caller *c = argument;
  struct blob blob = {0, malloc(BLOB_MAX)};
  if (blob.bytes == NULL) fail("memory");
  for (double t = now_seconds(); t < c->end && !stopped;) {
    if (clnt_call(c->client, PROC_BLOB, (xdrproc_t)xdr_u_int, &c->bytes, (xdrproc_t)xdr_blob, &blob, patience) != RPC_SUCCESS)
      call_failed(c->client);
    t = now_seconds();
    c->count += t >= c->begin && t < c->end;
  }
  free(blob.bytes);
  return NULL;
}

// Each caller on a connection of its own. Returns the calls that were answered while it was measured.
static uint64_t together(const struct options *o, unsigned connections, void *(*run)(void *)) {
  static struct caller callers[CONNECTIONS_MAX];
  for (unsigned i = 0; i < connections; i++) callers[i].client = dial(o);
  double begin = now_seconds() + o->warmup;
  for (unsigned i = 0; i < connections; i++) {
    callers[i].begin = begin;
    callers[i].end = begin + o->seconds;
    callers[i].bytes = o->bytes;
    if (pthread_create(&callers[i].thread, NULL, run, &callers[i]) != 0) fail("thread");
  }
  uint64_t count = 0;
  for (unsigned i = 0; i < connections; i++) {
    pthread_join(callers[i].thread, NULL);
    count += callers[i].count;
  }
  return count;
}

static int many(const struct options *o) {
  uint64_t count = together(o, o->connections ? o->connections : 32, call_in_turns);
  printf("{\"mode\":\"many\",\"count\":%llu,\"perSecond\":%.0f}\n", (unsigned long long)count, (double)count / o->seconds);
  return 0;
}

static int bulk(const struct options *o) {
  uint64_t count = together(o, o->connections ? o->connections : 1, fetch_in_turns);
  printf("{\"mode\":\"bulk\",\"count\":%llu,\"gbitPerSecond\":%.3f}\n", (unsigned long long)count,
         (double)count * o->bytes * 8e-9 / o->seconds);
  return 0;
}

int main(int argc, char **argv) {
  static const struct option names[] = {{"seconds", 1, NULL, 's'}, {"warmup", 1, NULL, 'w'}, {"connections", 1, NULL, 'c'},
                                        {"bytes", 1, NULL, 'b'},   {"buffer", 1, NULL, 'f'}, {NULL, 0, NULL, 0}};
  struct options o = {.seconds = 3, .warmup = 0.5, .bytes = 1 << 20, .buffer = BUFFER};
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    if (name == 's') o.seconds = number_argument("--seconds", optarg, 0.01, 86400);
    else if (name == 'w') o.warmup = number_argument("--warmup", optarg, 0, 3600);
    else if (name == 'c') o.connections = (unsigned)number_argument("--connections", optarg, 1, CONNECTIONS_MAX);
    else if (name == 'b') o.bytes = (u_int)number_argument("--bytes", optarg, 0, BLOB_MAX);
    else if (name == 'f') o.buffer = (u_int)number_argument("--buffer", optarg, 0, BLOB_MAX);
    else usage();
  }
  if (argc - optind != 3) usage();
  o.mode = argv[optind];
  o.address = argv[optind + 1];
  o.port = argv[optind + 2];
  bound_life(o.seconds + o.warmup);
  signal(SIGPIPE, SIG_IGN);
  if (strcmp(o.mode, "serve") == 0) return serve(&o);
  if (strcmp(o.mode, "turns") == 0) return turns(&o);
  if (strcmp(o.mode, "many") == 0) return many(&o);
  if (strcmp(o.mode, "bulk") == 0) return bulk(&o);
  usage();
}
