/*
 * The few libuv calls that the shim makes, declared here so that it builds without uv.h and one binary serves
 * every Node version. Handles are opaque: memory of uv_handle_size(UV_POLL_TYPE) bytes, data through the accessors.
 * The numbers are part of libuv's stable 1.x interface.
 */
#ifndef PUTNEXT_UV_POLL_H
#define PUTNEXT_UV_POLL_H

#include <stddef.h>

struct uv_loop_s;
typedef struct uv_handle_s uv_handle_t;
typedef struct uv_poll_s uv_poll_t;
typedef void (*uv_poll_cb)(uv_poll_t *handle, int status, int events);
typedef void (*uv_close_cb)(uv_handle_t *handle);

enum { UV_POLL_TYPE = 8 };
enum { UV_POLL_EVENTS = 1 | 2 | 4 | 8 }; /* readable, writable, disconnect, prioritized */

size_t uv_handle_size(int type);
void uv_handle_set_data(uv_handle_t *handle, void *data);
void *uv_handle_get_data(const uv_handle_t *handle);
void uv_ref(uv_handle_t *handle);
void uv_unref(uv_handle_t *handle);
void uv_close(uv_handle_t *handle, uv_close_cb closed);
int uv_poll_init(struct uv_loop_s *loop, uv_poll_t *handle, int fd);
int uv_poll_start(uv_poll_t *handle, int events, uv_poll_cb ready);
int uv_poll_stop(uv_poll_t *handle);

#endif
