/* One writev and one readv of many fragments over a stream socket pair, and descriptors that point outside. */
#include "check.h"
#include "exchange.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ARENA = 4096, WORDS = DESC_WORDS + 3 * (STREAM_FRAGMENT_MAX + 1) };

static void fragment(int32_t *desc, int index, int32_t region, int32_t offset, int32_t length) {
  int32_t *at = desc + DESC_WORDS + 3 * index;
  at[0] = region, at[1] = offset, at[2] = length;
}

void check_stream(void) {
  static uint8_t arena[ARENA];
  static int32_t desc[WORDS];
  double clock = 0;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) abort();
  struct exchange x = {.fd = pair[0], .desc = desc, .desc_words = WORDS, .clock = &clock};
  struct exchange y = {.fd = pair[1], .desc = desc, .desc_words = WORDS, .clock = &clock};
  x.regions[0] = y.regions[0] = (struct region){arena, ARENA};
  memcpy(arena, "hello, fragments", 16);
  for (int i = 0; i < 16; i++) fragment(desc, i, 0, i, 1);
  CHECK("all fragments leave with one call", stream_move(&x, DESC_WORDS, 16, 1) == 16);
  fragment(desc, 0, 0, 100, 5);
  fragment(desc, 1, 0, 200, 50);
  CHECK("and come with one", stream_move(&y, DESC_WORDS, 2, 0) == 16);
  CHECK("in order", memcmp(arena + 100, "hello", 5) == 0 && memcmp(arena + 200, ", fragments", 11) == 0);
  CHECK("nothing more", stream_move(&y, DESC_WORDS, 2, 0) == -EAGAIN);
  const int32_t wrong[][3] = {{0, -1, 1}, {0, 0, ARENA + 1}, {0, ARENA, 1}, {0, 1, -1}, {1, 0, 1}, {-1, 0, 1}, {64, 0, 1}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    fragment(desc, 1, wrong[i][0], wrong[i][1], wrong[i][2]);
    CHECK("a fragment outside its memory", stream_move(&x, DESC_WORDS, 2, 1) == -EINVAL);
  }
  CHECK("no fragments", stream_move(&x, DESC_WORDS, 0, 1) == -EINVAL);
  CHECK("too many", stream_move(&x, DESC_WORDS, STREAM_FRAGMENT_MAX + 1, 1) == -EINVAL);
  CHECK("beyond the array", stream_move(&x, WORDS - 2, 1, 1) == -EINVAL);
  CHECK("in its head", stream_move(&x, 0, 1, 1) == -EINVAL);
  close(pair[0]);
  CHECK("the end", stream_move(&y, DESC_WORDS, 1, 0) == 0);
  close(pair[1]);
}
