/* One writev or readv between fragments of a descriptor array and a stream socket: a count of bytes, not of packets. */
#include "exchange.h"

#include <errno.h>
#include <sys/uio.h>

/* Fills `iov` from `count` triples [region, offset, length] at word `at`; 0 when one points outside. */
static int gather_fragments(const struct exchange *x, int32_t at, int32_t count, struct iovec *iov) {
  if (count < 1 || count > STREAM_FRAGMENT_MAX || at < DESC_WORDS) return 0;
  if (!in_bounds(at, (int64_t)count * 3, x->desc_words)) return 0;
  for (int32_t i = 0; i < count; i++, at += 3) {
    int32_t region = x->desc[at], offset = x->desc[at + 1], length = x->desc[at + 2];
    if (region < 0 || region >= REGION_COUNT) return 0;
    const struct region *r = &x->regions[region];
    if (r->base == NULL || !in_bounds(offset, length, r->length)) return 0;
    iov[i] = (struct iovec){r->base + offset, (size_t)length};
  }
  return 1;
}

int32_t stream_move(struct exchange *x, int32_t at, int32_t count, int writing) {
  struct iovec iov[STREAM_FRAGMENT_MAX];
  if (!gather_fragments(x, at, count, iov)) return -EINVAL;
  ssize_t moved = writing ? writev(x->fd, iov, count) : readv(x->fd, iov, count);
  return moved < 0 ? -errno : (int32_t)moved;
}
