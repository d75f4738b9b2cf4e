/*
 * What libtirpc and the code of rpcgen make of XDR, for xdr.test.ts. Messages pass on standard input and output, each
 * with its length in front as four bytes; a length of 2^32-1 stands for one that was refused.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "everything.h"

#define REFUSED 0xffffffffu
#define LARGEST (1u << 24)

static char *buffer;

static void fail(const char *why) {
  fprintf(stderr, "%s\n", why);
  exit(1);
}

static u_int read_message(char **bytes) {
  uint32_t length;
  if (fread(&length, 4, 1, stdin) != 1) exit(0);
  length = ntohl(length);
  if (length > LARGEST) fail("too long");
  *bytes = malloc(length + 1);
  if (length > 0 && fread(*bytes, length, 1, stdin) != 1) fail("cut off");
  return length;
}

static void write_message(const char *bytes, u_int length) {
  uint32_t word = htonl(length);
  fwrite(&word, 4, 1, stdout);
  if (length != REFUSED && length > 0) fwrite(bytes, length, 1, stdout);
}

static void encode(xdrproc_t proc, void *value) {
  XDR xdr;
  xdrmem_create(&xdr, buffer, LARGEST, XDR_ENCODE);
  if (!proc(&xdr, value)) fail("not encoded");
  write_message(buffer, xdr_getpos(&xdr));
}

/* Each message decoded, all of it, and encoded again. */
static void echo(xdrproc_t proc, size_t size) {
  char *bytes;
  void *value = calloc(1, size);
  for (;;) {
    XDR xdr;
    u_int length = read_message(&bytes);
    memset(value, 0, size);
    xdrmem_create(&xdr, bytes, length, XDR_DECODE);
    if (!proc(&xdr, value) || xdr_getpos(&xdr) != length) write_message(NULL, REFUSED);
    else encode(proc, value);
    fflush(stdout);
    free(bytes);
  }
}

static bool_t reply_of_nothing(XDR *xdr, struct rpc_msg *msg) {
  if (xdr->x_op == XDR_DECODE) msg->acpted_rply.ar_results.proc = (xdrproc_t)(void *)xdr_void;
  return xdr_replymsg(xdr, msg);
}

/* The value that xdr.test.ts has in TypeScript. */
static void fixed(void) {
  static everything all;
  static entry second = {"second", NULL}, first = {"first", &second};
  static tree leaf = {-7, NULL, NULL}, root = {7, NULL, &leaf};
  static name tags[] = {"", "a", "abcd"};
  static char data[5] = {1, 2, 3, 4, 5};
  all.a = -2147483647 - 1;
  all.b = 4294967295u;
  all.c = -9223372036854775807LL - 1;
  all.size = 9007199254740991ULL;
  all.f = -0.5f;
  all.d = 3.141592653589793;
  all.flag = TRUE;
  all.paint = BLUE;
  all.title = "gr\xc3\xbc\xc3\x9f";
  for (int i = 0; i < 32; i++) all.where[i] = (char)(i * 8);
  all.cookie.cookie_len = 0;
  all.data.data_len = sizeof data;
  all.data.data_val = data;
  for (int i = 0; i < 3; i++) all.triple[i] = i - 1;
  all.tags.tags_len = 3;
  all.tags.tags_val = tags;
  all.root = &root;
  all.entries = &first;
  all.outcome.paint = RED;
  all.outcome.result_u.why = "why not";
  encode((xdrproc_t)xdr_everything, &all);
}

static int write_out(void *file, void *bytes, int length) {
  (void)file;
  return (int)fwrite(bytes, 1, (size_t)length, stdout);
}

static int read_in(void *file, void *bytes, int length) {
  (void)file;
  int got = (int)fread(bytes, 1, (size_t)length, stdin);
  return got == 0 ? -1 : got;
}

/* Each message as a record, in fragments of `size` bytes and their marks. */
static void records(u_int size) {
  XDR xdr;
  char *bytes;
  uint32_t length;
  xdrrec_create(&xdr, size, size, NULL, read_in, write_out);
  xdr.x_op = XDR_ENCODE;
  while (fread(&length, 4, 1, stdin) == 1) {
    length = ntohl(length);
    bytes = malloc(length + 1);
    if (fread(bytes, length, 1, stdin) != 1) fail("cut off");
    if (!XDR_PUTBYTES(&xdr, bytes, length) || !xdrrec_endofrecord(&xdr, TRUE)) fail("not written");
    free(bytes);
  }
}

/* Each record as a message; words of four bytes, as XDR has them. */
static void unrecords(u_int size) {
  XDR xdr;
  xdrrec_create(&xdr, size, size, NULL, read_in, write_out);
  xdr.x_op = XDR_DECODE;
  for (;;) {
    u_int length = 0;
    if (!xdrrec_skiprecord(&xdr)) return;
    while (XDR_GETBYTES(&xdr, buffer + length, 4)) length += 4;
    if (length == 0) return;
    write_message(buffer, length);
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  u_int size = argc > 2 ? (u_int)atoi(argv[2]) : 0;
  buffer = malloc(LARGEST);
  if (strcmp(what, "fixed") == 0) fixed();
  else if (strcmp(what, "everything") == 0) echo((xdrproc_t)xdr_everything, sizeof(everything));
  else if (strcmp(what, "call") == 0) echo((xdrproc_t)xdr_callmsg, sizeof(struct rpc_msg));
  else if (strcmp(what, "reply") == 0) echo((xdrproc_t)reply_of_nothing, sizeof(struct rpc_msg));
  else if (strcmp(what, "credentials") == 0) echo((xdrproc_t)xdr_authunix_parms, sizeof(struct authunix_parms));
  else if (strcmp(what, "records") == 0) records(size);
  else if (strcmp(what, "unrecords") == 0) unrecords(size);
  else fail("xdr-peer fixed|everything|call|reply|credentials|records SIZE|unrecords SIZE");
  return 0;
}
