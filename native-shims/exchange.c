/* Writes all, reads all, waits if there was nothing: see exchange.h for the descriptor array. */
#include "exchange.h"

#include <errno.h>
#include <poll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

double monotonic_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int32_t clamp_bytes(int64_t bytes) { return bytes > INT32_MAX ? INT32_MAX : (int32_t)bytes; }

/* Fills `iov` from the packet at word `at`; returns the word after it, or 0 when it points outside. */
static size_t gather(const struct exchange *x, size_t at, struct iovec *iov, int *count) {
  if (at >= x->desc_words) return 0;
  int32_t n = x->desc[at++];
  if (n < 1 || n > FRAGMENT_MAX || (size_t)n * 3 > x->desc_words - at) return 0;
  for (int32_t i = 0; i < n; i++, at += 3) {
    int32_t region = x->desc[at], offset = x->desc[at + 1], length = x->desc[at + 2];
    if (region < 0 || region >= REGION_COUNT) return 0;
    const struct region *r = &x->regions[region];
    if (r->base == NULL || !in_bounds(offset, length, r->length)) return 0;
    iov[i].iov_base = r->base + offset;
    iov[i].iov_len = (size_t)length;
  }
  *count = n;
  return at;
}

static int32_t write_all(struct exchange *x, int32_t tx_count) {
  struct iovec iov[FRAGMENT_MAX];
  int64_t bytes = 0;
  int32_t done = 0, error = 0;
  if (x->desc[DESC_TX_BASE] < DESC_WORDS) return -EINVAL;
  size_t at = (size_t)x->desc[DESC_TX_BASE];
  int valid = 1;
  for (; done < tx_count; done++) {
    int count = 0;
    at = gather(x, at, iov, &count);
    if (at == 0) {
      valid = 0;
      break;
    }
    ssize_t written = count == 1 ? write(x->fd, iov[0].iov_base, iov[0].iov_len) : writev(x->fd, iov, count);
    if (written < 0) {
      error = errno;
      break;
    }
    bytes += written;
  }
  x->desc[DESC_TX_DONE] = done;
  x->desc[DESC_TX_ERRNO] = error;
  x->desc[DESC_TX_BYTES] = clamp_bytes(bytes);
  return valid ? 0 : -EINVAL;
}

/* Every offset that reading may use is checked before the first packet moves, so that none is lost to an error. */
static int read_area_valid(const struct exchange *x, int32_t rx_max) {
  const int32_t *d = x->desc;
  const struct region *arena = &x->regions[0];
  int32_t spills = d[DESC_SPILL_COUNT];
  if (!in_bounds(d[DESC_RX_BASE], rx_max, x->desc_words) || d[DESC_RX_BASE] < DESC_WORDS) return 0;
  for (int32_t i = 0; i < rx_max; i++)
    if (!in_bounds(d[d[DESC_RX_BASE] + i], d[DESC_HEAD_CAPACITY], arena->length)) return 0;
  if (spills == 0) return 1;
  if (!in_bounds(d[DESC_SPILL_BASE], spills, x->desc_words) || d[DESC_SPILL_BASE] < DESC_WORDS) return 0;
  for (int32_t i = 0; i < spills; i++)
    if (!in_bounds(d[d[DESC_SPILL_BASE] + i], d[DESC_SPILL_CAPACITY], arena->length)) return 0;
  return 1;
}

/* Where a packet goes: a head block, and a spill block if any are offered. Checked again here, at the moment of use:
 * the descriptor array may be memory that an earlier packet was read into. */
static int scatter(const struct exchange *x, int32_t head_at, int32_t spill_at, struct iovec *iov, int spilling) {
  const int32_t *d = x->desc;
  const struct region *arena = &x->regions[0];
  int32_t head = d[DESC_HEAD_CAPACITY], spill = d[DESC_SPILL_CAPACITY];
  if (!in_bounds(head_at, head, arena->length)) return 0;
  iov[0] = (struct iovec){arena->base + head_at, (size_t)head};
  if (!spilling) return 1;
  if (!in_bounds(spill_at, spill, arena->length)) return 0;
  iov[1] = (struct iovec){arena->base + spill_at, (size_t)spill};
  return 2;
}

static int32_t read_all(struct exchange *x, int32_t rx_max) {
  int32_t *d = x->desc, *rx = d + d[DESC_RX_BASE];
  const int32_t spills = d[DESC_SPILL_COUNT];
  const int32_t *spill = spills > 0 ? d + d[DESC_SPILL_BASE] : d;
  int32_t used = 0, count = 0, error = 0;
  int64_t bytes = 0;
  int valid = 1;
  while (count < rx_max) {
    struct iovec iov[2];
    int blocks = scatter(x, rx[count], spill[used], iov, spills > 0);
    if (blocks == 0) {
      valid = 0;
      break;
    }
    ssize_t got = blocks == 1 ? read(x->fd, iov[0].iov_base, iov[0].iov_len) : readv(x->fd, iov, 2);
    if (got < 0) {
      error = errno;
      break;
    }
    rx[count++] = (int32_t)got;
    bytes += got;
    if ((size_t)got > iov[0].iov_len && ++used >= spills) break;
  }
  d[DESC_SPILL_USED] = used;
  d[DESC_RX_ERRNO] = error;
  d[DESC_RX_BYTES] = clamp_bytes(bytes);
  return valid ? count : -EINVAL;
}

/* Returns 1 when reading is worth another try; a failed wait leaves its errno where reading would. */
static int wait_ready(struct exchange *x, int32_t timeout_us) {
  struct pollfd p = {.fd = x->fd, .events = POLLIN};
  struct timespec limit = {.tv_sec = timeout_us / 1000000, .tv_nsec = (long)(timeout_us % 1000000) * 1000};
  if (x->desc[DESC_TX_ERRNO] == EAGAIN) p.events |= POLLOUT;
  int ready = ppoll(&p, 1, timeout_us < 0 ? NULL : &limit, NULL);
  if (ready < 0) x->desc[DESC_RX_ERRNO] = errno;
  return ready > 0;
}

int32_t exchange_run(struct exchange *x, int32_t tx_count, int32_t rx_max, int32_t timeout_us) {
  int32_t *d = x->desc;
  int32_t result = 0;
  d[DESC_TX_DONE] = d[DESC_TX_ERRNO] = d[DESC_TX_BYTES] = 0;
  d[DESC_SPILL_USED] = d[DESC_RX_ERRNO] = d[DESC_RX_BYTES] = 0;
  if (tx_count < 0 || tx_count > PACKET_MAX || rx_max < 0 || rx_max > PACKET_MAX) return -EINVAL;
  if (rx_max > 0 && !read_area_valid(x, rx_max)) return -EINVAL;
  if (tx_count > 0) result = write_all(x, tx_count);
  if (result == 0 && rx_max > 0) {
    result = read_all(x, rx_max);
    if (result == 0 && timeout_us != 0 && d[DESC_RX_ERRNO] == EAGAIN && wait_ready(x, timeout_us))
      result = read_all(x, rx_max);
  }
  x->clock[0] = monotonic_us();
  return result;
}
