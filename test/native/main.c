/* Runs the shim's parts that need no Node under the sanitizers: scripts/build-shim --sanitize. */
#include "check.h"

int check_count = 0;

int main(void) {
  check_checksum();
  check_exchange();
  check_hostile();
  check_stream();
  printf("shim-check: %d checks hold\n", check_count);
  return 0;
}
