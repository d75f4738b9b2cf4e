/*
 * Ports: a file descriptor joined to an arena, a descriptor array and a readiness callback.
 * A port owns its descriptor from attach to detach; the poll handle lives a little longer, until libuv lets go of it.
 */
#include "shim.h"
#include "uv-poll.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct port {
  struct exchange x;
  struct shim *shim;
  struct arena *arena;
  napi_ref desc, clock, callback;
  uv_poll_t *poll;
  napi_async_cleanup_hook_handle hook;
  int32_t id;
};

static struct port *arg_port(struct args *a) {
  int32_t id = arg_int(a);
  return a->failed ? NULL : table_get(&a->shim->ports, id);
}

static bool owned(const struct shim *shim, int fd) {
  for (size_t i = 0; i < SLOT_COUNT; i++) {
    const struct port *port = shim->ports.items[i];
    if (port != NULL && port->x.fd == fd) return true;
  }
  return false;
}

/* libuv is done with the handle; when the environment is ending, the hook tells Node that it may go on. */
static void poll_closed(uv_handle_t *handle) {
  struct port *port = uv_handle_get_data(handle);
  if (port->hook != NULL) (void)napi_remove_async_cleanup_hook(port->hook);
  free(port);
  free(handle);
}

static void close_port(struct port *port) {
  table_remove(&port->shim->ports, port->id);
  port->arena->ports--;
  (void)uv_poll_stop(port->poll);
  uv_close((uv_handle_t *)port->poll, poll_closed);
  /* uv_close has taken the descriptor out of the loop's epoll set, so the device is gone when detach returns. */
  close(port->x.fd);
}

/* The environment (a worker, or the process) ends with the port open. Its references end with it. */
static void environment_ends(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  close_port(data);
}

/* An exception out of the callback has nobody above it, so it goes where Node's uncaught ones go. */
static void report_exception(napi_env env) {
  napi_value error = NULL;
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) (void)napi_fatal_exception(env, error);
}

static void poll_ready(uv_poll_t *handle, int status, int events) {
  struct port *port = uv_handle_get_data((uv_handle_t *)handle);
  napi_env env = port->shim->env;
  napi_handle_scope scope;
  napi_value callback, receiver, arguments[2], result;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  bool ok = napi_get_reference_value(env, port->callback, &callback) == napi_ok &&
            napi_get_global(env, &receiver) == napi_ok && napi_create_int32(env, status, &arguments[0]) == napi_ok &&
            napi_create_int32(env, events, &arguments[1]) == napi_ok;
  if (ok && napi_make_callback(env, NULL, receiver, callback, 2, arguments, &result) != napi_ok) report_exception(env);
  (void)napi_close_handle_scope(env, scope);
}

static bool hold_references(struct args *a, struct port *port, napi_value desc, napi_value clock, napi_value callback) {
  napi_env env = a->env;
  return !failed(env, napi_create_reference(env, desc, 1, &port->desc)) &&
         !failed(env, napi_create_reference(env, clock, 1, &port->clock)) &&
         !failed(env, napi_create_reference(env, callback, 1, &port->callback));
}

static void drop_references(struct args *a, struct port *port) {
  napi_ref held[] = {port->desc, port->clock, port->callback};
  for (size_t i = 0; i < 3; i++)
    if (held[i] != NULL && failed(a->env, napi_delete_reference(a->env, held[i]))) a->failed = true;
}

/* Makes the poll handle; 0 or -errno. On success the port must be closed through close_port. */
static int start_handle(struct args *a, struct port *port) {
  struct uv_loop_s *loop = NULL;
  if ((a->failed = failed(a->env, napi_get_uv_event_loop(a->env, &loop)))) return -EINVAL;
  port->poll = calloc(1, uv_handle_size(UV_POLL_TYPE));
  if (port->poll == NULL) return -ENOMEM;
  int error = uv_poll_init(loop, port->poll, port->x.fd);
  if (error != 0) {
    free(port->poll);
    return error;
  }
  uv_handle_set_data((uv_handle_t *)port->poll, port);
  return 0;
}

static int32_t attach(struct args *a, struct port *port, napi_value desc, napi_value clock, napi_value callback) {
  int error;
  if (!hold_references(a, port, desc, clock, callback)) {
    a->failed = true;
    error = -EINVAL;
  } else {
    port->id = table_add(&port->shim->ports, port);
    error = port->id < 0 ? port->id : start_handle(a, port);
  }
  if (error != 0) {
    if (table_get(&port->shim->ports, port->id) == port) table_remove(&port->shim->ports, port->id);
    drop_references(a, port);
    free(port);
    return error;
  }
  port->arena->ports++;
  a->failed = failed(a->env, napi_add_async_cleanup_hook(a->env, environment_ends, port, &port->hook));
  if (a->failed) close_port(port);
  return a->failed ? -EINVAL : port->id;
}

/* attach(fd, arena, desc, clock, callback) -> port or -errno; the port owns fd from here on, unless it fails */
static napi_value call_attach(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  napi_value desc = NULL, clock = NULL;
  size_t clock_length = 0, desc_words = 0;
  int32_t fd = arg_int(&a), arena_id = arg_int(&a);
  int32_t *words = arg_array(&a, napi_int32_array, &desc_words, &desc);
  double *time = arg_array(&a, napi_float64_array, &clock_length, &clock);
  napi_value callback = arg_value(&a);
  napi_valuetype type = napi_undefined;
  if (a.failed || failed(env, napi_typeof(env, callback, &type))) return NULL;
  struct arena *arena = table_get(&a.shim->arenas, arena_id);
  if (arena == NULL) return result_int(&a, -EBADF);
  if (type != napi_function || desc_words < DESC_WORDS || clock_length < 1) return result_int(&a, -EINVAL);
  if (owned(a.shim, fd)) return result_int(&a, -EEXIST);
  struct port *port = calloc(1, sizeof *port);
  if (port == NULL) return result_int(&a, -ENOMEM);
  port->x = (struct exchange){.fd = fd, .desc = words, .desc_words = desc_words, .clock = time};
  port->x.regions[0] = arena->bytes;
  port->shim = a.shim;
  port->arena = arena;
  return result_int(&a, attach(&a, port, desc, clock, callback));
}

/* detach(port) -> 0 or -EBADF; the descriptor is closed when it returns */
static napi_value call_detach(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  struct port *port = arg_port(&a);
  if (a.failed) return NULL;
  if (port == NULL) return result_int(&a, -EBADF);
  /* Removing the hook now keeps environment_ends from closing a second time; poll_closed then frees only memory. */
  a.failed = failed(env, napi_remove_async_cleanup_hook(port->hook));
  port->hook = NULL;
  drop_references(&a, port);
  close_port(port);
  return result_int(&a, 0);
}

/* pollStart(port, events) -> 0 or -errno; events are libuv's: 1 readable, 2 writable, 4 disconnect */
static napi_value call_poll_start(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  struct port *port = arg_port(&a);
  int32_t events = arg_int(&a);
  if (a.failed) return NULL;
  if (port == NULL) return result_int(&a, -EBADF);
  if (events <= 0 || (events & ~UV_POLL_EVENTS) != 0) return result_int(&a, -EINVAL);
  return result_int(&a, uv_poll_start(port->poll, events, poll_ready));
}

/* pollStop(port) -> 0 or -errno */
static napi_value call_poll_stop(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  struct port *port = arg_port(&a);
  if (a.failed) return NULL;
  return result_int(&a, port == NULL ? -EBADF : uv_poll_stop(port->poll));
}

/* portRef(port, on) -> 0 or -EBADF; an active poll keeps the loop alive only while on */
static napi_value call_port_ref(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  struct port *port = arg_port(&a);
  int32_t on = arg_int(&a);
  if (a.failed) return NULL;
  if (port == NULL) return result_int(&a, -EBADF);
  if (on != 0) uv_ref((uv_handle_t *)port->poll);
  else uv_unref((uv_handle_t *)port->poll);
  return result_int(&a, 0);
}

/* pin(port, slot, bytes) -> 0 or -errno; valid for the next exchange only, the caller keeps `bytes` until then */
static napi_value call_pin(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  struct port *port = arg_port(&a);
  int32_t slot = arg_int(&a);
  struct region bytes = arg_bytes(&a);
  if (a.failed) return NULL;
  if (port == NULL) return result_int(&a, -EBADF);
  if (slot < 1 || slot >= REGION_COUNT) return result_int(&a, -EINVAL);
  port->x.regions[slot] = bytes;
  port->x.pinned |= (uint64_t)1 << slot;
  return result_int(&a, 0);
}

static void unpin(struct exchange *x) {
  for (uint64_t left = x->pinned; left != 0; left &= left - 1) x->regions[__builtin_ctzll(left)].base = NULL;
  x->pinned = 0;
}

/* exchange(port, txCount, rxMax, timeoutUs) -> packets read or -errno */
static napi_value call_exchange(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  struct port *port = arg_port(&a);
  int32_t tx_count = arg_int(&a), rx_max = arg_int(&a), timeout_us = arg_int(&a);
  if (a.failed) return NULL;
  if (port == NULL) return result_int(&a, -EBADF);
  int32_t result = exchange_run(&port->x, tx_count, rx_max, timeout_us);
  if (port->x.pinned != 0) unpin(&port->x);
  return result_int(&a, result);
}

static napi_value move_stream(napi_env env, napi_callback_info info, int writing) {
  struct args a = args_begin(env, info);
  struct port *port = arg_port(&a);
  int32_t at = arg_int(&a), count = arg_int(&a);
  if (a.failed) return NULL;
  if (port == NULL) return result_int(&a, -EBADF);
  int32_t result = stream_move(&port->x, at, count, writing);
  if (writing && port->x.pinned != 0) unpin(&port->x);
  return result_int(&a, result);
}

/* streamWrite(port, at, count) -> bytes written or -errno; one writev */
static napi_value call_stream_write(napi_env env, napi_callback_info info) { return move_stream(env, info, 1); }

/* streamRead(port, at, count) -> bytes read, 0 at the end, or -errno; one readv */
static napi_value call_stream_read(napi_env env, napi_callback_info info) { return move_stream(env, info, 0); }

/* fdClose(fd) -> 0 or -errno; a descriptor that a port owns is refused with -EBUSY, detach closes it */
static napi_value call_fd_close(napi_env env, napi_callback_info info) {
  struct args a = args_begin(env, info);
  int32_t fd = arg_int(&a);
  if (a.failed) return NULL;
  if (owned(a.shim, fd)) return result_int(&a, -EBUSY);
  return result_int(&a, close(fd) == 0 ? 0 : -errno);
}

static const struct method methods[] = {
    {"attach", call_attach},      {"detach", call_detach},  {"pollStart", call_poll_start},
    {"pollStop", call_poll_stop}, {"portRef", call_port_ref}, {"pin", call_pin},
    {"exchange", call_exchange},  {"fdClose", call_fd_close},
    {"streamWrite", call_stream_write}, {"streamRead", call_stream_read},
};

bool define_port(napi_env env, napi_value exports, struct shim *shim) {
  return define_methods(env, exports, shim, methods, METHOD_COUNT(methods));
}
