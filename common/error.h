/* error.h - errors as values: a status and a message, carried up to the program's main file. */
#ifndef WS_ERROR_H
#define WS_ERROR_H

#include <stdarg.h>
#include <stddef.h>

#if defined(__GNUC__)
#define WS_MUST_CHECK        __attribute__((warn_unused_result))
#define WS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define WS_MUST_CHECK
#define WS_PRINTF(fmt, args)
#endif

typedef enum {
    WS_OK,
    WS_USAGE,       /* the command line is wrong: exit code 2 */
    WS_IO,          /* the operating system refused (open, read, write, space) */
    WS_FORMAT,      /* the content of a file is broken */
    WS_UNSUPPORTED, /* valid, but not something this program does */
    WS_NOMEM,
    WS_LIMIT, /* a limit that the user set was exceeded (--max-ppl-increase) */
} ws_status;

/* Lives on the caller's stack and starts as {0}; nothing to free. */
typedef struct {
    ws_status code;
    char msg[640];
} ws_error;

/* Exit codes of every tool. */
enum { WS_EXIT_OK = 0, WS_EXIT_FAILURE = 1, WS_EXIT_USAGE = 2 };

/* Fill `err` (may be NULL) and return `code`, so that a function can fail in one line. The message is lower
 * case, has no full stop, quotes its subject and gives the numbers that show why. */
ws_status ws_fail(ws_error *err, ws_status code, const char *fmt, ...) WS_PRINTF(3, 4);

/* ws_fail() with WS_IO and the text of `errno` appended: "cannot open 'x': No such file or directory". */
ws_status ws_fail_errno(ws_error *err, const char *fmt, ...) WS_PRINTF(2, 3);

/* Put "`context`: " in front of the message of a failed `err`; returns its code. */
ws_status ws_fail_in(ws_error *err, const char *fmt, ...) WS_PRINTF(2, 3);

/* The exit code that belongs to a status. */
int ws_exit_code(ws_status code);

/* `if ((st = f())) return st;` in one word; the only control flow hidden in a macro. */
#define WS_TRY(expr)                                                                                                   \
    do {                                                                                                               \
        const ws_status try_status_ = (expr);                                                                          \
        if (try_status_) return try_status_;                                                                           \
    } while (0)

#endif
