// The progress bar: `calls [=====>    ] 450/1000 45% 123.4/s ETA 0:04`. The rate is that of the whole run, so the end does not jump about.
#include "cli/progress.h"

#include <stdlib.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/text_width.h"

#define LINE_CAP  512
#define BAR_MOST  30 // columns
#define BAR_LEAST 6
#define PERIOD    (100 * DX_MILLISECOND)

static double rate_of(const dx_progress *p, dx_nanos now) {
    dx_nanos passed = now - p->started;
    return passed > 0 ? (double)p->done * (double)DX_SECOND / (double)passed : 0;
}

static void add_time(dx_buffer *out, double seconds) {
    uint64_t whole = seconds < 360000 ? (uint64_t)(seconds + 0.5) : 359999;
    if (whole >= 3600)
        dx_buffer_printf(out, "%u:%02u:%02u", (unsigned)(whole / 3600), (unsigned)(whole / 60 % 60), (unsigned)(whole % 60));
    else
        dx_buffer_printf(out, "%u:%02u", (unsigned)(whole / 60), (unsigned)(whole % 60));
}

static void add_figures(dx_buffer *out, const dx_progress *p, dx_nanos now) {
    double rate = rate_of(p, now);
    uint64_t done = p->done;
    dx_buffer_u64(out, done);
    if (p->total) {
        dx_buffer_byte(out, '/');
        dx_buffer_u64(out, p->total);
        dx_buffer_printf(out, " %u%%", (unsigned)(done >= p->total ? 100 : (double)done * 100 / (double)p->total));
    }
    dx_buffer_printf(out, rate < 100 ? " %.1f/s" : " %.0f/s", rate);
    if (p->total > done && rate > 0) {
        DX_BUFFER_LIT(out, " ETA ");
        add_time(out, (double)(p->total - done) / rate);
    }
    if (p->failed) {
        DX_BUFFER_LIT(out, ", ");
        dx_buffer_u64(out, p->failed);
        DX_BUFFER_LIT(out, " failed");
    }
}

static void add_bar(dx_buffer *out, const dx_progress *p, size_t width) {
    size_t full = p->done >= p->total ? width : (size_t)((double)p->done * (double)width / (double)p->total);
    dx_buffer_byte(out, '[');
    for (size_t i = 0; i < width; i++) dx_buffer_byte(out, i < full ? '=' : i == full ? '>' : ' ');
    DX_BUFFER_LIT(out, "] ");
}

void dx_progress_text(dx_buffer *out, const dx_progress *p, size_t width, dx_nanos now) {
    dx_buffer figures;
    size_t start = out->size;
    dx_buffer_init(&figures, NULL, LINE_CAP);
    add_figures(&figures, p, now);
    size_t words = strlen(p->what) + 1 + figures.size + 3; // with the bar's brackets and the space behind
    dx_buffer_add(out, dx_slice_str(p->what));
    dx_buffer_byte(out, ' ');
    if (p->total && width >= words + BAR_LEAST) add_bar(out, p, width - words < BAR_MOST ? width - words : BAR_MOST);
    dx_buffer_add(out, dx_buffer_slice(&figures));
    dx_buffer_deinit(&figures);
    if (out->status == DX_OK && out->size - start > width)
        out->size = start + dx_text_fit(dx_slice_of(out->data + start, out->size - start), width);
}

static void draw(dx_progress *p, dx_nanos now, bool end) {
    dx_buffer line;
    size_t width = dx_output_width(p->fd);
    dx_buffer_init(&line, NULL, LINE_CAP);
    DX_BUFFER_LIT(&line, "\r");
    dx_progress_text(&line, p, width > 1 ? width - 1 : 1, now); // the last column would wrap
    DX_BUFFER_LIT(&line, "\033[K");
    if (end) DX_BUFFER_LIT(&line, "\n");
    ssize_t written = dx_buffer_status(&line) == DX_OK ? write(p->fd, line.data, line.size) : 0;
    (void)written; // a bar that can't be drawn is no reason to fail
    dx_buffer_deinit(&line);
    p->drawn = now;
}

void dx_progress_start(dx_progress *progress, int fd, const char *what, uint64_t total, dx_nanos now) {
    const char *term = getenv("TERM");
    *progress = (dx_progress){.fd = fd, .what = what, .total = total, .started = now, .drawn = now - PERIOD};
    progress->shown = isatty(fd) && !(term && strcmp(term, "dumb") == 0);
}

void dx_progress_set(dx_progress *progress, uint64_t done, uint64_t failed, dx_nanos now) {
    progress->done = done;
    progress->failed = failed;
    if (progress->shown && now - progress->drawn >= PERIOD) draw(progress, now, false);
}

void dx_progress_stop(dx_progress *progress, dx_nanos now) {
    if (progress->shown) draw(progress, now, true);
    progress->shown = false;
}
