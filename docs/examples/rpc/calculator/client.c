/* Multiplies, by way of what rpcgen(1) makes of calculator.x: usage: client HOST LEFT RIGHT */
#include <stdio.h>
#include <stdlib.h>

#include "calculator.h"

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  CLIENT *client = clnt_create(argv[1], CALCULATOR, CALCULATOR_V1, "tcp");
  if (client == NULL) {
    clnt_pcreateerror(argv[1]);
    return 1;
  }
  task what = {MULTIPLY, atof(argv[2]), atof(argv[3])};
  answer *result = calc_compute_1(&what, client);
  if (result == NULL) {
    clnt_perror(client, "calc_compute_1");
    return 1;
  }
  printf("%g\n", result->answer_u.value);
  clnt_destroy(client);
  return 0;
}
