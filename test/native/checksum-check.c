/* RFC 1071: the fast sum against the plain one. */
#include "check.h"
#include "exchange.h"

#include <string.h>

static uint16_t plain_sum(const uint8_t *bytes, size_t length, uint32_t initial) {
  uint64_t sum = initial;
  for (size_t i = 0; i < length; i++) sum += i % 2 == 0 ? (uint64_t)bytes[i] << 8 : bytes[i];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}

static void check_lengths_and_alignments(void) {
  unsigned long long state = 1;
  for (size_t length = 0; length < 200; length++) {
    for (size_t skew = 0; skew < 8; skew++) {
      /* Exactly as long as the range, so that the sanitizer sees a read beyond it. */
      uint8_t *bytes = malloc(length + skew + 1);
      for (size_t i = 0; i < length + skew; i++) bytes[i] = (uint8_t)next_random(&state);
      uint8_t *exact = malloc(length > 0 ? length : 1);
      memcpy(exact, bytes + skew, length);
      uint32_t initial = (uint32_t)next_random(&state) >> 1;
      CHECK("sum of a skewed range", checksum_sum(bytes + skew, length, initial) == plain_sum(bytes + skew, length, initial));
      CHECK("sum of an exact range", checksum_sum(exact, length, 0) == plain_sum(exact, length, 0));
      free(exact);
      free(bytes);
    }
  }
}

void check_checksum(void) {
  static uint8_t ones[65536 + 40];
  /* RFC 1071 section 3, the worked example */
  const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  CHECK("RFC 1071 section 3", checksum_sum(example, sizeof example, 0) == 0xddf2);
  memset(ones, 0xff, sizeof ones);
  CHECK("all ones, longest packet", checksum_sum(ones, sizeof ones, 0) == plain_sum(ones, sizeof ones, 0));
  CHECK("all ones, odd", checksum_sum(ones, 65535, 0x7fffffff) == plain_sum(ones, 65535, 0x7fffffff));
  check_lengths_and_alignments();
}
