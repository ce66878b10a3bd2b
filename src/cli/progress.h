// A bar on standard error that says how far many calls have come. Without a terminal nothing is written at all.
#ifndef DX_CLI_PROGRESS_H
#define DX_CLI_PROGRESS_H

#include "base/buffer.h"
#include "base/clock.h"

typedef struct dx_progress {
    int fd;
    bool shown;       // `fd` is a terminal
    const char *what; // "calls"
    uint64_t total;   // 0: not known
    uint64_t done, failed;
    dx_nanos started, drawn;
} dx_progress;

// `what` must live as long. `now` is dx_clock_monotonic() here and below.
void dx_progress_start(dx_progress *progress, int fd, const char *what, uint64_t total, dx_nanos now);
// Draws anew, ten times a second at most.
void dx_progress_set(dx_progress *progress, uint64_t done, uint64_t failed, dx_nanos now);
// Draws the last state and ends the line.
void dx_progress_stop(dx_progress *progress, dx_nanos now);

// The line without anything that steers a terminal, at most `width` columns: what is drawn, for tests.
void dx_progress_text(dx_buffer *out, const dx_progress *progress, size_t width, dx_nanos now);

#endif
