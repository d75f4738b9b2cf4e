/*
 * The data path without Node: batched writev and readv between a descriptor array and a file descriptor.
 * Kept free of Node-API so that the sanitizer build can run it on its own.
 */
#ifndef PUTNEXT_EXCHANGE_H
#define PUTNEXT_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

enum { REGION_COUNT = 64, FRAGMENT_MAX = 64, PACKET_MAX = 1 << 20, STREAM_FRAGMENT_MAX = 512 };

/* Word offsets in the descriptor array; src/host/shim.ts has the same table. */
enum {
  DESC_TX_DONE = 0,        /* out: packets written */
  DESC_TX_ERRNO = 1,       /* out: errno that stopped writing, or 0 */
  DESC_SPILL_USED = 2,     /* out: spill blocks that hold part of a packet */
  DESC_RX_ERRNO = 3,       /* out: errno that ended reading, or 0 */
  DESC_HEAD_CAPACITY = 4,  /* in: bytes in a head block */
  DESC_SPILL_CAPACITY = 5, /* in: bytes in a spill block */
  DESC_SPILL_COUNT = 6,    /* in: spill blocks offered */
  DESC_TX_BASE = 7,        /* in: word index of the packets to write */
  DESC_RX_BASE = 8,        /* in: word index of the head offsets; lengths come back here */
  DESC_SPILL_BASE = 9,     /* in: word index of the spill offsets */
  DESC_TX_BYTES = 10,      /* out */
  DESC_RX_BYTES = 11,      /* out */
  DESC_WORDS = 16
};

struct region {
  uint8_t *base;
  size_t length;
};

struct exchange {
  int fd;
  int32_t *desc;
  size_t desc_words;
  double *clock;                       /* clock[0] receives the time in microseconds */
  uint64_t pinned;                     /* bit n: regions[n] was pinned for the next exchange */
  struct region regions[REGION_COUNT]; /* 0 is the arena */
};

double monotonic_us(void);

/* Returns the number of packets read or -EINVAL for a descriptor that points outside its memory. */
int32_t exchange_run(struct exchange *x, int32_t tx_count, int32_t rx_max, int32_t timeout_us);

/* Writes or reads `count` fragments [region, offset, length] at word `at` with one call; bytes moved or -errno. */
int32_t stream_move(struct exchange *x, int32_t at, int32_t count, int writing);

/* Ones-complement sum of bytes taken as big-endian 16-bit words, folded to 16 bits; an odd end is padded with 0. */
uint16_t checksum_sum(const uint8_t *bytes, size_t length, uint32_t initial);

/* True when [offset, offset + length) lies inside `limit` bytes; negative values never do. */
static inline int in_bounds(int64_t offset, int64_t length, size_t limit) {
  return offset >= 0 && length >= 0 && (uint64_t)offset <= limit && (uint64_t)length <= limit - (uint64_t)offset;
}

#endif
