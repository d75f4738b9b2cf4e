/* Descriptors that point anywhere: -EINVAL, and the sanitizer sees no access outside. */
#include "check.h"
#include "exchange.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ARENA = 8192, WORDS = 128, ROUNDS = 200000 };

static int32_t *desc;
static struct exchange x;
static int other;
static double now_us;

static void set_up(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) abort();
  other = pair[1];
  desc = calloc(WORDS, sizeof *desc);
  x = (struct exchange){.fd = pair[0], .desc = desc, .desc_words = WORDS, .clock = &now_us};
  x.regions[0] = (struct region){calloc(1, ARENA), ARENA};
}

static void reset(void) {
  memset(desc, 0, WORDS * sizeof *desc);
  desc[DESC_HEAD_CAPACITY] = 2048;
  desc[DESC_SPILL_CAPACITY] = 4096;
  desc[DESC_TX_BASE] = 64;
  desc[DESC_RX_BASE] = 16;
  desc[DESC_SPILL_BASE] = 32;
}

static void check_one_tx(const char *what, int n, int region, int offset, int length) {
  reset();
  desc[64] = n;
  desc[65] = region;
  desc[66] = offset;
  desc[67] = length;
  CHECK(what, exchange_run(&x, 1, 0, 0) == -EINVAL && desc[DESC_TX_DONE] == 0);
}

static void check_tx(void) {
  check_one_tx("no fragments", 0, 0, 0, 1);
  check_one_tx("negative count", -1, 0, 0, 1);
  check_one_tx("too many fragments", FRAGMENT_MAX + 1, 0, 0, 1);
  check_one_tx("fragments beyond the array", 30, 0, 0, 1);
  check_one_tx("negative region", 1, -1, 0, 1);
  check_one_tx("region too high", 1, REGION_COUNT, 0, 1);
  check_one_tx("region not pinned", 1, 7, 0, 1);
  check_one_tx("negative offset", 1, 0, -1, 1);
  check_one_tx("negative length", 1, 0, 0, -1);
  check_one_tx("offset beyond", 1, 0, ARENA + 1, 0);
  check_one_tx("end beyond", 1, 0, ARENA - 1, 2);
  check_one_tx("sum overflows", 1, 0, INT_MAX, INT_MAX);
  reset();
  desc[DESC_TX_BASE] = WORDS;
  CHECK("packets beyond the array", exchange_run(&x, 1, 0, 0) == -EINVAL);
  desc[DESC_TX_BASE] = -5;
  CHECK("packets before the array", exchange_run(&x, 1, 0, 0) == -EINVAL);
  CHECK("negative packet count", exchange_run(&x, -1, 0, 0) == -EINVAL);
}

static int32_t read_with(int word, int32_t value) {
  reset();
  desc[DESC_SPILL_COUNT] = 1;
  desc[32] = 4096;
  desc[word] = value;
  return exchange_run(&x, 0, 1, 0);
}

static void check_rx(void) {
  CHECK("the plain one is good", read_with(DESC_TX_DONE, 0) == 0);
  CHECK("head offset", read_with(16, ARENA - 2047) == -EINVAL && read_with(16, -1) == -EINVAL);
  CHECK("head capacity", read_with(DESC_HEAD_CAPACITY, INT_MAX) == -EINVAL && read_with(DESC_HEAD_CAPACITY, -1) == -EINVAL);
  CHECK("spill offset", read_with(32, 4097) == -EINVAL && read_with(32, INT_MIN) == -EINVAL);
  CHECK("spill capacity", read_with(DESC_SPILL_CAPACITY, 4097) == -EINVAL);
  CHECK("spill count", read_with(DESC_SPILL_COUNT, INT_MAX) == -EINVAL && read_with(DESC_SPILL_COUNT, -1) == -EINVAL);
  CHECK("areas", read_with(DESC_RX_BASE, WORDS) == -EINVAL && read_with(DESC_SPILL_BASE, WORDS) == -EINVAL);
  CHECK("areas over the header", read_with(DESC_RX_BASE, 3) == -EINVAL && read_with(DESC_SPILL_BASE, 0) == -EINVAL);
  reset();
  CHECK("more heads than words", exchange_run(&x, 0, WORDS, 0) == -EINVAL);
}

/* A length written back over the next spill offset must not become an address. */
static void check_overlap(void) {
  static uint8_t packet[4000];
  reset();
  desc[DESC_SPILL_COUNT] = 2;
  desc[DESC_SPILL_BASE] = 16;
  desc[DESC_RX_BASE] = 17;
  desc[DESC_SPILL_CAPACITY] = 5000;
  desc[DESC_HEAD_CAPACITY] = 8;
  for (int i = 0; i < 3; i++) (void)!write(other, packet, sizeof packet);
  CHECK("overlapping areas", exchange_run(&x, 0, 3, 0) == -EINVAL);
  reset();
  while (exchange_run(&x, 0, 1, 0) > 0) desc[16] = 0;
}

static void check_random(void) {
  unsigned long long state = 42;
  const int32_t edges[] = {0, 1, -1, 15, 16, 64, 127, 128, ARENA, ARENA - 1, INT_MAX, INT_MIN};
  static char drain[8192];
  for (int round = 0; round < ROUNDS; round++) {
    reset();
    for (int changes = 1 + (int)(next_random(&state) % 6); changes > 0; changes--) {
      unsigned long long r = next_random(&state);
      desc[r % WORDS] = r >> 63 ? edges[(r >> 32) % 12] : (int32_t)(r >> 40) % 256;
    }
    (void)!write(other, drain, (size_t)(next_random(&state) % 6000));
    int32_t result = exchange_run(&x, (int32_t)(next_random(&state) % 4), (int32_t)(next_random(&state) % 20), 0);
    if (result < 0 && result != -EINVAL) CHECK("any descriptor gives a count or EINVAL", 0);
    while (read(other, drain, sizeof drain) >= 0) continue;
  }
  CHECK("random descriptors", 1);
}

void check_hostile(void) {
  set_up();
  check_tx();
  check_rx();
  check_overlap();
  check_random();
  close(x.fd);
  close(other);
  free(x.regions[0].base);
  free(desc);
}
