/* The Internet checksum's sum (RFC 1071), eight bytes at a time. */
#include "exchange.h"

#include <string.h>

static uint64_t load64(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

static uint64_t halves(uint64_t v) { return (v & 0xffffffffu) + (v >> 32); }

static uint16_t fold(uint64_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}

static uint16_t network_order(uint16_t v) {
  const uint16_t probe = 1;
  uint8_t first;
  memcpy(&first, &probe, 1);
  return first == 1 ? (uint16_t)(v << 8 | v >> 8) : v;
}

/*
 * RFC 1071 section 2 (B): the sum does not depend on the byte order, so the loop adds in the machine's order and only
 * the folded result is swapped. 32-bit halves added to 64-bit accumulators cannot overflow below 2^35 bytes.
 */
uint16_t checksum_sum(const uint8_t *bytes, size_t length, uint32_t initial) {
  uint64_t a = 0, b = 0, c = 0, d = 0;
  for (; length >= 32; bytes += 32, length -= 32) {
    a += halves(load64(bytes));
    b += halves(load64(bytes + 8));
    c += halves(load64(bytes + 16));
    d += halves(load64(bytes + 24));
  }
  for (; length >= 8; bytes += 8, length -= 8) a += halves(load64(bytes));
  if (length > 0) {
    uint8_t tail[8] = {0};
    memcpy(tail, bytes, length);
    b += halves(load64(tail));
  }
  return fold((uint64_t)network_order(fold(a + b + c + d)) + initial);
}
