/*
 * The server of every-type.x on libtirpc and the code that rpcgen makes:
 *
 *   every-type-server tcp|udp ADDRESS PORT BUFFER
 *
 * BUFFER is what libtirpc gathers into one fragment of a record. It says "ready" and is registered nowhere.
 */
#include "every-type-c.h"

#define BLOB_MAX (16u << 20)

extern void every_type_1(struct svc_req *, SVCXPRT *);
extern void every_type_3(struct svc_req *, SVCXPRT *);

static char *contents;

/* What a result points to is the argument's, which the code of rpcgen frees, or lasts. */
int every_type_1_freeresult(SVCXPRT *transport, xdrproc_t proc, caddr_t result) {
  (void)transport, (void)proc, (void)result;
  return 1;
}
int every_type_3_freeresult(SVCXPRT *transport, xdrproc_t proc, caddr_t result) {
  (void)transport, (void)proc, (void)result;
  return 1;
}

bool_t et_null_1_svc(void *result, struct svc_req *call) { return TRUE; }
bool_t et_echo_1_svc(everything all, everything *result, struct svc_req *call) {
  *result = all;
  return TRUE;
}
bool_t et_add_1_svc(quad_t a, int b, quad_t *result, struct svc_req *call) {
  *result = a + b;
  return TRUE;
}
bool_t et_invert_1_svc(u_int a, u_int *result, struct svc_req *call) {
  *result = ~a;
  return TRUE;
}
bool_t et_double_1_svc(u_quad_t a, u_quad_t *result, struct svc_req *call) {
  *result = a * 2;
  return TRUE;
}
bool_t et_half_1_svc(float a, float *result, struct svc_req *call) {
  *result = a / 2;
  return TRUE;
}
bool_t et_square_1_svc(double a, double *result, struct svc_req *call) {
  *result = a * a;
  return TRUE;
}
bool_t et_not_1_svc(bool_t a, bool_t *result, struct svc_req *call) {
  *result = !a;
  return TRUE;
}
bool_t et_color_1_svc(color a, color *result, struct svc_req *call) {
  *result = a == RED ? GREEN : a == GREEN ? BLUE : RED;
  return TRUE;
}
bool_t et_name_1_svc(name a, name *result, struct svc_req *call) {
  *result = a;
  return TRUE;
}
bool_t et_negate_1_svc(matrix a, matrix *result, struct svc_req *call) {
  for (int i = 0; i < 8; i++) result->rows[i / 4][i % 4] = -a.rows[i / 4][i % 4];
  return TRUE;
}
bool_t et_lookup_1_svc(int status, lookup *result, struct svc_req *call) {
  result->status = status;
  if (status == 0) memset(result->lookup_u.found, 7, 32);
  if (status == 1) result->lookup_u.moved = -1;
  return TRUE;
}
static void mirror(tree *of) {
  tree *left = of->left;
  if (of->left != NULL) mirror(of->left);
  if (of->right != NULL) mirror(of->right);
  of->left = of->right;
  of->right = left;
}
bool_t et_mirror_1_svc(tree a, tree *result, struct svc_req *call) {
  *result = a;
  mirror(result);
  return TRUE;
}
bool_t et_blob_1_svc(u_int length, blob *result, struct svc_req *call) {
  if (length > BLOB_MAX) return FALSE;
  result->blob_len = length;
  result->blob_val = contents;
  return TRUE;
}
bool_t et_sum_1_svc(blob a, u_int *result, struct svc_req *call) {
  *result = 0;
  for (u_int i = 0; i < a.blob_len; i++) *result += (u_char)a.blob_val[i];
  return TRUE;
}
bool_t et_more_1_svc(more all, more *result, struct svc_req *call) {
  *result = all;
  return TRUE;
}
bool_t et_weak_1_svc(void *result, struct svc_req *call) {
  svcerr_auth(call->rq_xprt, AUTH_TOOWEAK);
  return FALSE;
}
bool_t et_fail_1_svc(void *result, struct svc_req *call) {
  svcerr_systemerr(call->rq_xprt);
  return FALSE;
}
bool_t et_three_3_svc(int *result, struct svc_req *call) {
  *result = 3;
  return TRUE;
}

int main(int argc, char **argv) {
  if (argc != 5) fail("every-type-server tcp|udp ADDRESS PORT BUFFER");
  bound_life();
  contents = malloc(BLOB_MAX);
  for (u_int i = 0; i < BLOB_MAX; i++) contents[i] = (char)i;
  struct addrinfo *at = resolve(argv[1], argv[2], argv[3]);
  u_int size = (u_int)atoi(argv[4]);
  int fd = socket(at->ai_family, at->ai_socktype, 0), yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, at->ai_addr, at->ai_addrlen) != 0) fail("bind");
  if (at->ai_socktype == SOCK_STREAM && listen(fd, 16) != 0) fail("listen");
  SVCXPRT *transport = at->ai_socktype == SOCK_STREAM ? svc_vc_create(fd, size, size) : svc_dg_create(fd, size, size);
  if (transport == NULL) fail("no transport");
  if (!svc_reg(transport, EVERY_TYPE, EVERY_TYPE_V1, every_type_1, NULL)) fail("svc_reg");
  if (!svc_reg(transport, EVERY_TYPE, EVERY_TYPE_V3, every_type_3, NULL)) fail("svc_reg");
  printf("ready\n");
  fflush(stdout);
  svc_run();
  return 1;
}
