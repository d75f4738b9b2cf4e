// What the measuring peers share: time, arguments, an end in any case. They are programs of their own, not part of the
// shim; scripts/build-peers compiles them. Each writes one line of JSON on stdout and ends within a bounded time.
#ifndef PUTNEXT_BENCH_PEER_H
#define PUTNEXT_BENCH_PEER_H

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// Time that a peer may take beyond what it was asked for.
#define GRACE_SECONDS 5

static volatile sig_atomic_t stopped;

static void on_stop(int number) {
  (void)number;
  stopped = 1;
}

static inline double now_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double cpu_seconds(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

// A line of JSON says so on stdout too, so that the reader of that need not read stderr.
_Noreturn static void fail(const char *doing) {
  printf("{\"error\":\"%s: %s\"}\n", doing, strerror(errno));
  fprintf(stderr, "%s: %s\n", doing, strerror(errno));
  exit(1);
}

// SIGTERM, the alarm and the end of whoever started us interrupt blocking calls (no SA_RESTART) and set `stopped`.
static inline void bound_life(double seconds) {
  struct sigaction action = {.sa_handler = on_stop};
  sigaction(SIGALRM, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  alarm((unsigned)seconds + GRACE_SECONDS);
}

// A number from `low` to `high`, or the end of the program with exit code 2.
static inline double number_argument(const char *name, const char *text, double low, double high) {
  char *end;
  double value = strtod(text, &end);
  if (end != text && *end == 0 && value >= low && value <= high) return value;
  fprintf(stderr, "%s must be a number from %g to %g, not \"%s\"\n", name, low, high, text);
  exit(2);
}

#endif
