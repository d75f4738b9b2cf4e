/* The module's start: one `shim` per environment, and the argument helpers that every call uses. */
#include "shim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/prctl.h>

int32_t table_add(struct table *t, void *item) {
  for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
    if (t->items[slot] != NULL) continue;
    t->items[slot] = item;
    return (int32_t)(t->generations[slot] << SLOT_BITS | slot);
  }
  return -EMFILE;
}

void table_remove(struct table *t, int32_t id) {
  uint32_t slot = (uint32_t)id & (SLOT_COUNT - 1);
  t->items[slot] = NULL;
  t->generations[slot] = (t->generations[slot] + 1) & (INT32_MAX >> SLOT_BITS);
}

bool failed(napi_env env, napi_status status) {
  if (status == napi_ok) return false;
  bool pending = false;
  const napi_extended_error_info *info = NULL;
  const char *text = NULL;
  if (napi_get_last_error_info(env, &info) == napi_ok && info != NULL) text = info->error_message;
  char message[160];
  snprintf(message, sizeof message, "shim: %s", text != NULL ? text : "Node-API call failed");
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) napi_throw_error(env, "ERR_SHIM_CALL", message);
  return true;
}

void throw_errno(napi_env env, const char *what, int error) {
  char message[160];
  bool pending = false;
  snprintf(message, sizeof message, "shim: %s: %s", what, strerror(error));
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) napi_throw_error(env, "ERR_SHIM_FATAL", message);
}

struct args args_begin(napi_env env, napi_callback_info info) {
  struct args a = {.env = env, .count = sizeof a.values / sizeof a.values[0]};
  void *data = NULL;
  a.failed = failed(env, napi_get_cb_info(env, info, &a.count, a.values, NULL, &data));
  a.shim = data;
  return a;
}

/* Node-API fills missing arguments with `undefined`, so reading past the given ones fails as a wrong type. */
napi_value arg_value(struct args *a) { return a->values[a->next++]; }

int32_t arg_int(struct args *a) {
  int32_t value = 0;
  napi_value v = arg_value(a);
  if (!a->failed) a->failed = failed(a->env, napi_get_value_int32(a->env, v, &value));
  return value;
}

int32_t arg_string(struct args *a, char *into, size_t size) {
  size_t length = 0;
  napi_value v = arg_value(a);
  into[0] = '\0';
  if (a->failed) return -EINVAL;
  a->failed = failed(a->env, napi_get_value_string_utf8(a->env, v, NULL, 0, &length));
  if (a->failed) return -EINVAL;
  if (length >= size) return -ENAMETOOLONG;
  a->failed = failed(a->env, napi_get_value_string_utf8(a->env, v, into, size, &length));
  return a->failed || strlen(into) != length ? -EINVAL : 0;
}

void *arg_array(struct args *a, napi_typedarray_type wanted, size_t *length, napi_value *array) {
  napi_typedarray_type type = wanted;
  void *data = NULL;
  napi_value v = arg_value(a);
  *length = 0;
  if (a->failed) return NULL;
  a->failed = failed(a->env, napi_get_typedarray_info(a->env, v, &type, length, &data, NULL, NULL));
  if (!a->failed && type != wanted) {
    a->failed = true;
    napi_throw_type_error(a->env, "ERR_SHIM_CALL", "shim: wrong kind of typed array");
  }
  if (array != NULL) *array = v;
  return a->failed ? NULL : data;
}

struct region arg_bytes(struct args *a) {
  struct region r = {NULL, 0};
  r.base = arg_array(a, napi_uint8_array, &r.length, NULL);
  return r;
}

napi_value result_int(struct args *a, int32_t value) {
  napi_value result = NULL;
  if (a->failed || failed(a->env, napi_create_int32(a->env, value, &result))) return NULL;
  return result;
}

napi_value result_double(struct args *a, double value) {
  napi_value result = NULL;
  if (a->failed || failed(a->env, napi_create_double(a->env, value, &result))) return NULL;
  return result;
}

napi_value result_string(struct args *a, const char *text) {
  napi_value result = NULL;
  if (a->failed || failed(a->env, napi_create_string_utf8(a->env, text, NAPI_AUTO_LENGTH, &result))) return NULL;
  return result;
}

bool define_methods(napi_env env, napi_value exports, struct shim *shim, const struct method *methods, size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_property_descriptor p = {.utf8name = methods[i].name,
                                  .method = methods[i].call,
                                  .attributes = napi_enumerable,
                                  .data = shim};
    if (failed(env, napi_define_properties(env, exports, 1, &p))) return false;
  }
  return true;
}

/* now() -> microseconds of CLOCK_MONOTONIC */
static napi_value call_now(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  return result_double(&a, monotonic_us());
}

/* parentDeathSignal(signal): the kernel sends it to this process when the thread that started it ends; 0 clears. */
static napi_value call_parent_death_signal(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t signal = arg_int(&a);
  if (a.failed) return NULL;
  return result_int(&a, prctl(PR_SET_PDEATHSIG, (unsigned long)signal) == 0 ? 0 : -errno);
}

static void free_shim(napi_env env, void *data, void *hint) {
  struct shim *shim = data;
  (void)env;
  (void)hint;
  for (size_t i = 0; i < SLOT_COUNT; i++) free(shim->arenas.items[i]);
  free(shim);
}

static const struct method methods[] = {
    {"now", call_now},
    {"parentDeathSignal", call_parent_death_signal},
};

NAPI_MODULE_INIT() {
  struct shim *shim = calloc(1, sizeof *shim);
  if (shim == NULL) {
    throw_errno(env, "module", ENOMEM);
    return NULL;
  }
  shim->env = env;
  if (failed(env, napi_set_instance_data(env, shim, free_shim, NULL))) {
    free(shim);
    return NULL;
  }
  if (!define_methods(env, exports, shim, methods, METHOD_COUNT(methods)) || !define_arena(env, exports, shim) ||
      !define_port(env, exports, shim) || !define_tun(env, exports, shim) || !define_namespace(env, exports, shim) ||
      !define_netlink(env, exports, shim) || !define_ipc(env, exports, shim))
    return NULL;
  return exports;
}
