/* progress.h - one line on stderr with share, rate and time left; only on a terminal, only for work that takes
 * over a second, at most six times a second. */
#ifndef WS_PROGRESS_H
#define WS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *label, *unit; /* unit NULL: bytes, printed as GiB and MiB/s */
    uint64_t total, done;
    double start, last; /* seconds; last == 0: nothing printed yet */
    bool on;
    const char *item; /* NULL, or what else there is a rate of ("weights"), so many of them per unit */
    double items_per_unit;
} ws_progress;

/* `quiet` as given by the user; a stderr that is not a terminal is quiet too. */
void ws_progress_start(ws_progress *p, const char *label, const char *unit, uint64_t total, bool quiet);
void ws_progress_add(ws_progress *p, uint64_t n);
void ws_progress_finish(ws_progress *p); /* wipes the line */

double ws_now(void); /* seconds of a clock that only goes forward */

/* "1.23 GiB", "4.5 MiB", "12 B" into buf (at least 24 bytes); returns buf. */
char *ws_format_bytes(char *buf, double bytes);

/* "1:02:03", "12 s" or "1.23 s" for a duration, into buf (at least 24 bytes); returns buf. */
char *ws_format_seconds(char *buf, double seconds);

#endif
