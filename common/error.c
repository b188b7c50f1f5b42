#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void set_message(ws_error *err, ws_status code, const char *fmt, va_list args) {
    if (!err) return;
    err->code = code;
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
}

ws_status ws_fail(ws_error *err, ws_status code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    set_message(err, code, fmt, args);
    va_end(args);
    return code;
}

ws_status ws_fail_errno(ws_error *err, const char *fmt, ...) {
    const int saved = errno;
    va_list args;
    va_start(args, fmt);
    set_message(err, WS_IO, fmt, args);
    va_end(args);
    if (err) {
        const size_t n = strlen(err->msg);
        snprintf(err->msg + n, sizeof err->msg - n, ": %s", strerror(saved));
    }
    return WS_IO;
}

ws_status ws_fail_in(ws_error *err, const char *fmt, ...) {
    if (!err) return WS_FORMAT;
    ws_error inner = *err;
    va_list args;
    va_start(args, fmt);
    set_message(err, inner.code, fmt, args);
    va_end(args);
    const size_t n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %.*s", (int)(sizeof err->msg - n - 3), inner.msg);
    return inner.code;
}

int ws_exit_code(ws_status code) {
    if (code == WS_OK) return WS_EXIT_OK;
    return code == WS_USAGE ? WS_EXIT_USAGE : WS_EXIT_FAILURE;
}
