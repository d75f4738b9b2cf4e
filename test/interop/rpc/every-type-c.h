/* What the client and the server of every-type.x share. */
#ifndef EVERY_TYPE_C_H
#define EVERY_TYPE_C_H

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

#include "every-type.h"

static void fail(const char *why) {
  printf("fail: %s\n", why);
  fflush(stdout);
  exit(1);
}

/* A life that ends with whoever began it, and within two minutes. */
static void bound_life(void) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  alarm(120);
}

static struct addrinfo *resolve(const char *transport, const char *address, const char *port) {
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *to;
  hints.ai_socktype = strcmp(transport, "tcp") == 0 ? SOCK_STREAM : SOCK_DGRAM;
  if (getaddrinfo(address, port, &hints, &to) != 0) fail("not an address");
  return to;
}

#endif
