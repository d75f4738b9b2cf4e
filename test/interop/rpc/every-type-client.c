/*
 * Calls a server of every-type.x by libtirpc and the code that rpcgen makes:
 *
 *   every-type-client tcp|udp ADDRESS PORT BUFFER echo|types|errors|blobs [CREDENTIALS]
 *
 * BUFFER is what libtirpc gathers into one fragment of a record. "echo" sends each message of standard input (its length in front) as an
 * argument, and writes what came back as one of standard output. "types" compares by itself. "errors" and "blobs" print a line for each call.
 */
#include "every-type-c.h"

#define MESSAGE_MAX (1u << 20)

static CLIENT *client;
static struct addrinfo *to;
static u_int size;
static struct timeval patience = {10, 0}, again = {1, 0};

static CLIENT *dial(u_long program, u_long version) {
  struct netbuf peer = {.maxlen = to->ai_addrlen, .len = to->ai_addrlen, .buf = to->ai_addr};
  bool_t is_stream = to->ai_socktype == SOCK_STREAM;
  int fd = socket(to->ai_family, to->ai_socktype, 0);
  if (is_stream && connect(fd, to->ai_addr, to->ai_addrlen) != 0) fail("connect");
  CLIENT *one = is_stream ? clnt_vc_create(fd, &peer, program, version, size, size)
                          : clnt_dg_create(fd, &peer, program, version, size, size);
  if (one == NULL) fail(clnt_spcreateerror("client"));
  clnt_control(one, CLSET_TIMEOUT, (char *)&patience);
  if (!is_stream) clnt_control(one, CLSET_RETRY_TIMEOUT, (char *)&again);
  return one;
}

static void must(enum clnt_stat status, const char *what) {
  if (status != RPC_SUCCESS) fail(clnt_sperror(client, (char *)what));
}

#define EXPECT(condition) \
  if (!(condition)) fail(#condition)

static void echo(void) {
  static everything argument, result;
  uint32_t length;
  char *bytes = malloc(MESSAGE_MAX);
  XDR xdr;
  while (fread(&length, 4, 1, stdin) == 1) {
    length = ntohl(length);
    if (length > MESSAGE_MAX || fread(bytes, length, 1, stdin) != 1) fail("cut off");
    memset(&argument, 0, sizeof argument);
    memset(&result, 0, sizeof result);
    xdrmem_create(&xdr, bytes, length, XDR_DECODE);
    if (!xdr_everything(&xdr, &argument)) fail("not decoded");
    must(et_echo_1(argument, &result, client), "echo");
    xdrmem_create(&xdr, bytes, MESSAGE_MAX, XDR_ENCODE);
    if (!xdr_everything(&xdr, &result)) fail("not encoded");
    uint32_t word = htonl(xdr_getpos(&xdr));
    fwrite(&word, 4, 1, stdout);
    fwrite(bytes, ntohl(word), 1, stdout);
  }
}

/* What the second union is, and the rest with it, comes back as it was. */
static void exchange(u_int size) {
  static quad_t later = -9223372036854775807LL - 1;
  static matrix grids[] = {{.rows = {{1, 2, 3, 4}, {5, 6, 7, 8}}}, {.rows = {{-1, -2, -3, -4}, {-5, -6, -7, -8}}}};
  static float halves[] = {0.5f, -1.5f, 1e30f};
  static bool_t flags[] = {TRUE, FALSE, TRUE};
  static handle places[2];
  places[1][31] = 9;
  more all = {0}, same = {0};
  all.answer.known = size != 0;
  if (size != 0) all.answer.maybe_u.value = 1.0 / size;
  all.length.size = size;
  if (size == 4000000000u) all.length.measure_u.unit = "cubit";
  else if (size != 0) all.length.measure_u.grid = grids[1];
  all.later = size == 0 ? NULL : &later;
  all.grids.grids_len = size == 0 ? 0 : 2;
  all.grids.grids_val = grids;
  all.words[0] = 0xffffffffu;
  all.words[1] = size;
  all.halves.halves_len = 3;
  all.halves.halves_val = halves;
  all.flags.flags_len = 3;
  all.flags.flags_val = flags;
  all.paints[0] = BLUE;
  all.paints[1] = RED;
  all.places.places_len = 2;
  all.places.places_val = places;
  all.total = 18446744073709551615ULL;
  must(et_more_1(all, &same, client), "more");
  char ours[4096], theirs[4096];
  XDR xdr;
  xdrmem_create(&xdr, ours, sizeof ours, XDR_ENCODE);
  EXPECT(xdr_more(&xdr, &all));
  u_int length = xdr_getpos(&xdr);
  xdrmem_create(&xdr, theirs, sizeof theirs, XDR_ENCODE);
  EXPECT(xdr_more(&xdr, &same) && xdr_getpos(&xdr) == length);
  EXPECT(memcmp(ours, theirs, length) == 0);
}

static void types(void) {
  quad_t big = 0;
  must(et_null_1(NULL, client), "null");
  must(et_add_1(-9223372036854775807LL, -1, &big, client), "add");
  EXPECT(big == -9223372036854775807LL - 1);
  u_int number = 0;
  must(et_invert_1(0x0fu, &number, client), "invert");
  EXPECT(number == 0xfffffff0u);
  u_quad_t whole = 0;
  must(et_double_1(9223372036854775807ULL, &whole, client), "double");
  EXPECT(whole == 18446744073709551614ULL);
  float single = 0;
  must(et_half_1(-0.5f, &single, client), "half");
  EXPECT(single == -0.25f);
  double exact = 0;
  must(et_square_1(1.0 / 3, &exact, client), "square");
  EXPECT(exact == (1.0 / 3) * (1.0 / 3));
  bool_t flag = TRUE;
  must(et_not_1(TRUE, &flag, client), "not");
  EXPECT(flag == FALSE);
  color paint = RED;
  must(et_color_1(GREEN, &paint, client), "color");
  EXPECT(paint == BLUE);
  name text = NULL;
  must(et_name_1("gr\xc3\xbc\xc3\x9f", &text, client), "name");
  EXPECT(strcmp(text, "gr\xc3\xbc\xc3\x9f") == 0);
  matrix some = {{{1, -2, 3, -4}, {5, 6, 7, -2147483647}}}, other;
  must(et_negate_1(some, &other, client), "negate");
  EXPECT(other.rows[0][0] == -1 && other.rows[0][1] == 2 && other.rows[1][0] == -5 && other.rows[1][3] == 2147483647);
  lookup found = {0};
  must(et_lookup_1(0, &found, client), "lookup");
  EXPECT(found.status == 0 && found.lookup_u.found[31] == 7);
  must(et_lookup_1(1, &found, client), "lookup");
  EXPECT(found.status == 1 && found.lookup_u.moved == -1);
  must(et_lookup_1(-5, &found, client), "lookup");
  EXPECT(found.status == -5);
  tree leaf = {2, NULL, NULL}, root = {1, &leaf, NULL}, turned = {0};
  must(et_mirror_1(root, &turned, client), "mirror");
  EXPECT(turned.value == 1 && turned.left == NULL && turned.right->value == 2 && turned.right->left == NULL);
  exchange(0);
  exchange(1);
  exchange(4000000000u);
  CLIENT *third = dial(EVERY_TYPE, EVERY_TYPE_V3);
  int three = 0;
  must(et_three_3(&three, third), "three");
  EXPECT(three == 3);
  clnt_destroy(third);
  printf("ok\n");
}

static void blobs(void) {
  static const u_int lengths[] = {0, 1, 3, 4, 5, 1000, 4096, 8000, 100000, 1u << 20};
  int count = to->ai_socktype == SOCK_STREAM ? 10 : 8;
  for (int i = 0; i < count; i++) {
    blob got = {0};
    u_int sum = 0;
    must(et_blob_1(lengths[i], &got, client), "blob");
    EXPECT(got.blob_len == lengths[i]);
    for (u_int at = 0; at < got.blob_len; at++) EXPECT((u_char)got.blob_val[at] == (u_char)at);
    must(et_sum_1(got, &sum, client), "sum");
    printf("%u %u\n", lengths[i], sum);
    free(got.blob_val);
  }
}

static void tell(const char *what, CLIENT *one, enum clnt_stat status) {
  struct rpc_err error;
  clnt_geterr(one, &error);
  printf("%s %d", what, status);
  if (status == RPC_PROGVERSMISMATCH) printf(" %d-%d", (int)error.re_vers.low, (int)error.re_vers.high);
  if (status == RPC_AUTHERROR) printf(" %d", error.re_why);
  printf("\n");
}

static bool_t xdr_nothing(XDR *xdr, ...) { return TRUE; }

static void errors(void) {
  static u_int cut = 7;
  CLIENT *one = dial(EVERY_TYPE + 1, 1);
  tell("program", one, clnt_call(one, 0, xdr_nothing, NULL, xdr_nothing, NULL, patience));
  clnt_destroy(one);
  one = dial(EVERY_TYPE, 2);
  tell("version", one, clnt_call(one, 0, xdr_nothing, NULL, xdr_nothing, NULL, patience));
  clnt_destroy(one);
  tell("procedure", client, clnt_call(client, 99, xdr_nothing, NULL, xdr_nothing, NULL, patience));
  tell("garbage", client, clnt_call(client, ET_ECHO, (xdrproc_t)xdr_u_int, &cut, xdr_nothing, NULL, patience));
  tell("weak", client, clnt_call(client, ET_WEAK, xdr_nothing, NULL, xdr_nothing, NULL, patience));
  tell("fail", client, clnt_call(client, ET_FAIL, xdr_nothing, NULL, xdr_nothing, NULL, patience));
  tell("after", client, clnt_call(client, 0, xdr_nothing, NULL, xdr_nothing, NULL, patience));
}

int main(int argc, char **argv) {
  if (argc < 6) fail("every-type-client tcp|udp ADDRESS PORT BUFFER echo|types|errors|blobs [CREDENTIALS]");
  bound_life();
  to = resolve(argv[1], argv[2], argv[3]);
  size = (u_int)atoi(argv[4]);
  client = dial(EVERY_TYPE, EVERY_TYPE_V1);
  if (argc > 6) {
    auth_destroy(client->cl_auth);
    gid_t groups[] = {4, 24};
    client->cl_auth = authunix_create(argv[6], 1000, 100, 2, groups);
  }
  const char *what = argv[5];
  if (strcmp(what, "echo") == 0) echo();
  else if (strcmp(what, "types") == 0) types();
  else if (strcmp(what, "errors") == 0) errors();
  else if (strcmp(what, "blobs") == 0) blobs();
  else fail("echo, types, errors or blobs");
  return 0;
}
