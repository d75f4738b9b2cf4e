/* Arenas bound to the shim, and the bulk work on bytes: checksum and memory move. */
#include "shim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct arena *arg_arena(struct args *a) {
  int32_t id = arg_int(a);
  return a->failed ? NULL : table_get(&a->shim->arenas, id);
}

/* bindArena(bytes) -> id; the array is kept alive until releaseArena */
static napi_value call_bind_arena(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  napi_value array = NULL;
  size_t length = 0;
  uint8_t *base = arg_array(&a, napi_uint8_array, &length, &array);
  if (a.failed) return NULL;
  if (base == NULL || length == 0 || length > INT32_MAX) return result_int(&a, -EINVAL);
  struct arena *arena = calloc(1, sizeof *arena);
  if (arena == NULL) return result_int(&a, -ENOMEM);
  arena->bytes = (struct region){base, length};
  if (failed(env, napi_create_reference(env, array, 1, &arena->array))) {
    free(arena);
    return NULL;
  }
  int32_t id = table_add(&a.shim->arenas, arena);
  if (id < 0) {
    a.failed = failed(env, napi_delete_reference(env, arena->array));
    free(arena);
  }
  return result_int(&a, id);
}

/* releaseArena(id) -> 0, -EBADF, or -EBUSY while a port uses it */
static napi_value call_release_arena(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t id = arg_int(&a);
  if (a.failed) return NULL;
  struct arena *arena = table_get(&a.shim->arenas, id);
  if (arena == NULL) return result_int(&a, -EBADF);
  if (arena->ports > 0) return result_int(&a, -EBUSY);
  table_remove(&a.shim->arenas, id);
  a.failed = failed(env, napi_delete_reference(env, arena->array));
  free(arena);
  return result_int(&a, 0);
}

static napi_value sum_result(struct args *a, struct region r, int32_t offset, int32_t length, int32_t initial) {
  if (a->failed) return NULL;
  if (!in_bounds(offset, length, r.length)) return result_int(a, -EINVAL);
  return result_int(a, checksum_sum(r.base + offset, (size_t)length, (uint32_t)initial));
}

/* checksum(arena, offset, length, initial) -> 0..65535 or -errno */
static napi_value call_checksum(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  struct arena *arena = arg_arena(&a);
  int32_t offset = arg_int(&a), length = arg_int(&a), initial = arg_int(&a);
  if (a.failed) return NULL;
  if (arena == NULL) return result_int(&a, -EBADF);
  return sum_result(&a, arena->bytes, offset, length, initial);
}

/* checksumBytes(bytes, offset, length, initial): the same over memory that is not an arena's */
static napi_value call_checksum_bytes(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  struct region r = arg_bytes(&a);
  int32_t offset = arg_int(&a), length = arg_int(&a), initial = arg_int(&a);
  return sum_result(&a, r, offset, length, initial);
}

/* copyWithin(arena, to, from, length) -> 0 or -errno; the ranges may overlap */
static napi_value call_copy_within(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  struct arena *arena = arg_arena(&a);
  int32_t to = arg_int(&a), from = arg_int(&a), length = arg_int(&a);
  if (a.failed) return NULL;
  if (arena == NULL) return result_int(&a, -EBADF);
  struct region r = arena->bytes;
  if (!in_bounds(to, length, r.length) || !in_bounds(from, length, r.length)) return result_int(&a, -EINVAL);
  memmove(r.base + to, r.base + from, (size_t)length);
  return result_int(&a, 0);
}

/* copyBytes(to, toOffset, from, fromOffset, length) -> 0 or -errno; the arrays may be one and the same */
static napi_value call_copy_bytes(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  struct region to = arg_bytes(&a);
  int32_t to_offset = arg_int(&a);
  struct region from = arg_bytes(&a);
  int32_t from_offset = arg_int(&a), length = arg_int(&a);
  if (a.failed) return NULL;
  if (!in_bounds(to_offset, length, to.length) || !in_bounds(from_offset, length, from.length))
    return result_int(&a, -EINVAL);
  if (length > 0) memmove(to.base + to_offset, from.base + from_offset, (size_t)length);
  return result_int(&a, 0);
}

static const struct method methods[] = {
    {"bindArena", call_bind_arena},     {"releaseArena", call_release_arena},
    {"checksum", call_checksum},        {"checksumBytes", call_checksum_bytes},
    {"copyWithin", call_copy_within},   {"copyBytes", call_copy_bytes},
};

bool define_arena(napi_env env, napi_value exports, struct shim *shim) {
  return define_methods(env, exports, shim, methods, METHOD_COUNT(methods));
}
