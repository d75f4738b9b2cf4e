/* A test program without a framework: each check names what should hold, the first failure ends the program. */
#ifndef PUTNEXT_CHECK_H
#define PUTNEXT_CHECK_H

#include <stdio.h>
#include <stdlib.h>

extern int check_count;

#define CHECK(what, condition)                                                        \
  do {                                                                                \
    check_count++;                                                                    \
    if (!(condition)) {                                                               \
      fprintf(stderr, "%s:%d: does not hold: %s: %s\n", __FILE__, __LINE__, what, #condition); \
      exit(1);                                                                        \
    }                                                                                 \
  } while (0)

void check_checksum(void);
void check_exchange(void);
void check_hostile(void);
void check_stream(void);

/* xorshift64*: the same numbers on every machine */
static inline unsigned long long next_random(unsigned long long *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * 2685821657736338717ull;
}

#endif
