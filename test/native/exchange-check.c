/* The exchange over a datagram socket pair, which keeps packet boundaries as a TUN does. */
#include "check.h"
#include "exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ARENA = 1 << 20, WORDS = 1024, HEAD = 2048, SPILL = 65600, RX = 16, SPILLS = 100, TX = 200 };

struct setup {
  struct exchange x;
  int other;
  uint8_t *arena;
  int32_t *desc;
  double clock;
};

static void set_up(struct setup *s) {
  int pair[2], size = 1 << 20;
  memset(s, 0, sizeof *s);
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) abort();
  for (int i = 0; i < 2; i++) (void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  s->arena = calloc(1, ARENA);
  s->desc = calloc(WORDS, sizeof *s->desc);
  s->other = pair[1];
  s->x = (struct exchange){.fd = pair[0], .desc = s->desc, .desc_words = WORDS, .clock = &s->clock};
  s->x.regions[0] = (struct region){s->arena, ARENA};
  s->desc[DESC_HEAD_CAPACITY] = HEAD;
  s->desc[DESC_SPILL_CAPACITY] = SPILL;
  s->desc[DESC_RX_BASE] = RX;
  s->desc[DESC_SPILL_BASE] = SPILLS;
  s->desc[DESC_TX_BASE] = TX;
}

static void tear_down(struct setup *s) {
  close(s->x.fd);
  close(s->other);
  free(s->arena);
  free(s->desc);
}

static void offer(struct setup *s, int heads, int spills) {
  for (int i = 0; i < heads; i++) s->desc[RX + i] = i * HEAD;
  for (int i = 0; i < spills; i++) s->desc[SPILLS + i] = 262144 + i * SPILL;
  s->desc[DESC_SPILL_COUNT] = spills;
}

static int fragments(struct setup *s, int at, int n, const int32_t *triples) {
  s->desc[at++] = n;
  memcpy(s->desc + at, triples, (size_t)n * 3 * sizeof *triples);
  return at + n * 3;
}

static void gathers_from_regions(void) {
  struct setup s;
  char got[64];
  uint8_t foreign[] = "WORLD";
  set_up(&s);
  memcpy(s.arena + 100, "hello ", 6);
  s.x.regions[5] = (struct region){foreign, 5};
  int at = fragments(&s, TX, 2, (const int32_t[]){0, 100, 6, 5, 0, 5});
  fragments(&s, at, 1, (const int32_t[]){0, 100, 5});
  CHECK("nothing read", exchange_run(&s.x, 2, 0, 0) == 0);
  CHECK("two written", s.desc[DESC_TX_DONE] == 2 && s.desc[DESC_TX_ERRNO] == 0 && s.desc[DESC_TX_BYTES] == 16);
  CHECK("first packet whole", read(s.other, got, sizeof got) == 11 && memcmp(got, "hello WORLD", 11) == 0);
  CHECK("second packet whole", read(s.other, got, sizeof got) == 5 && memcmp(got, "hello", 5) == 0);
  CHECK("clock", s.clock > 0 && s.clock <= monotonic_us());
  tear_down(&s);
}

static void spills_what_is_longer_than_the_head(void) {
  struct setup s;
  static uint8_t large[65000];
  set_up(&s);
  for (size_t i = 0; i < sizeof large; i++) large[i] = (uint8_t)(i * 7);
  offer(&s, 8, 2);
  (void)!write(s.other, "a", 1);
  (void)!write(s.other, large, sizeof large);
  (void)!write(s.other, large, HEAD);
  (void)!write(s.other, large, HEAD + 1);
  (void)!write(s.other, "z", 1);
  CHECK("ends when the spill blocks are used", exchange_run(&s.x, 0, 8, 0) == 4);
  CHECK("lengths", s.desc[RX] == 1 && s.desc[RX + 1] == 65000 && s.desc[RX + 2] == HEAD && s.desc[RX + 3] == HEAD + 1);
  CHECK("spills", s.desc[DESC_SPILL_USED] == 2 && s.desc[DESC_RX_ERRNO] == 0);
  CHECK("head of the large one", memcmp(s.arena + HEAD, large, HEAD) == 0);
  CHECK("rest of the large one", memcmp(s.arena + 262144, large + HEAD, sizeof large - HEAD) == 0);
  CHECK("one byte in the second spill", s.arena[262144 + SPILL] == large[HEAD]);
  offer(&s, 8, 0);
  CHECK("the one left over", exchange_run(&s.x, 0, 8, 0) == 1 && s.desc[RX] == 1 && s.arena[0] == 'z');
  CHECK("dry", s.desc[DESC_RX_ERRNO] == EAGAIN && s.desc[DESC_RX_BYTES] == 1);
  tear_down(&s);
}

static void stops_at_the_write_that_fails(void) {
  struct setup s;
  set_up(&s);
  int at = TX;
  for (int i = 0; i < 200; i++) at = fragments(&s, at, 1, (const int32_t[]){0, 0, 60000});
  CHECK("no error", exchange_run(&s.x, 200, 0, 0) == 0);
  CHECK("the queue was full at some point", s.desc[DESC_TX_DONE] < 200 && s.desc[DESC_TX_ERRNO] == EAGAIN);
  close(s.other);
  s.other = -1;
  (void)exchange_run(&s.x, 1, 4, 0);
  CHECK("the end of the other side is an errno", s.desc[DESC_TX_DONE] == 0 && s.desc[DESC_TX_ERRNO] == ECONNREFUSED);
  tear_down(&s);
}

static void waits_only_when_dry(void) {
  struct setup s;
  set_up(&s);
  offer(&s, 4, 0);
  double start = monotonic_us();
  CHECK("waits in vain", exchange_run(&s.x, 0, 4, 20000) == 0 && s.desc[DESC_RX_ERRNO] == EAGAIN);
  CHECK("as long as asked", monotonic_us() - start >= 20000);
  (void)!write(s.other, "x", 1);
  start = monotonic_us();
  CHECK("reads at once", exchange_run(&s.x, 0, 4, 5000000) == 1 && monotonic_us() - start < 2000000);
  tear_down(&s);
}

void check_exchange(void) {
  gathers_from_regions();
  spills_what_is_longer_than_the_head();
  stops_at_the_write_that_fails();
  waits_only_when_dry();
}
