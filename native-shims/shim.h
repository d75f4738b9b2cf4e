/*
 * What the files of the shim share: the state of one environment (a Node thread) and the helpers that turn
 * JavaScript arguments into C values. Calls return >= 0 or -errno; only a wrong argument type throws.
 */
#ifndef PUTNEXT_SHIM_H
#define PUTNEXT_SHIM_H

#define NAPI_VERSION 8
#include <node_api.h>

#include <stdbool.h>

#include "exchange.h"

enum { SLOT_BITS = 10, SLOT_COUNT = 1 << SLOT_BITS, PATH_BYTES = 4096 };

struct arena {
  struct region bytes;
  napi_ref array;
  uint32_t ports;
};

/* Numbered things of one kind. A number carries its slot's generation, so a stale one finds nothing. */
struct table {
  void *items[SLOT_COUNT];
  uint32_t generations[SLOT_COUNT];
};

struct shim {
  napi_env env;
  struct table arenas, ports;
};

int32_t table_add(struct table *t, void *item);
void table_remove(struct table *t, int32_t id);

static inline void *table_get(const struct table *t, int32_t id) {
  uint32_t slot = (uint32_t)id & (SLOT_COUNT - 1);
  return id >= 0 && t->generations[slot] == (uint32_t)id >> SLOT_BITS ? t->items[slot] : NULL;
}

/* The arguments of a call, read in order; `failed` is set when one has the wrong type or status was not napi_ok. */
struct args {
  napi_env env;
  struct shim *shim;
  napi_value values[8];
  size_t count, next;
  bool failed;
};

struct args args_begin(napi_env env, napi_callback_info info);
int32_t arg_int(struct args *a);
int32_t arg_string(struct args *a, char *into, size_t size); /* 0, -ENAMETOOLONG or -EINVAL */
napi_value arg_value(struct args *a);
void *arg_array(struct args *a, napi_typedarray_type type, size_t *length, napi_value *array);
struct region arg_bytes(struct args *a);
napi_value result_int(struct args *a, int32_t value);
napi_value result_double(struct args *a, double value);
napi_value result_string(struct args *a, const char *text);

/* True when `status` is not napi_ok; a JavaScript exception is pending then. */
bool failed(napi_env env, napi_status status);
void throw_errno(napi_env env, const char *what, int error);

struct method {
  const char *name;
  napi_callback call;
};
bool define_methods(napi_env env, napi_value exports, struct shim *shim, const struct method *methods, size_t count);

bool define_arena(napi_env env, napi_value exports, struct shim *shim);
bool define_port(napi_env env, napi_value exports, struct shim *shim);
bool define_tun(napi_env env, napi_value exports, struct shim *shim);
bool define_namespace(napi_env env, napi_value exports, struct shim *shim);
bool define_ipc(napi_env env, napi_value exports, struct shim *shim);
bool define_netlink(napi_env env, napi_value exports, struct shim *shim);

#define METHOD_COUNT(list) (sizeof(list) / sizeof((list)[0]))

/*
 * Namespaces belong to threads. netns_enter goes to the one at `path` ("" stays) and puts a descriptor to come back
 * with into `saved` (-1: stayed); it returns 0 or -errno. netns_leave returns 0, or -errno with the thread in the
 * wrong namespace, which the caller must throw.
 */
int netns_enter(const char *path, int *saved);
int netns_leave(int saved);

#endif
