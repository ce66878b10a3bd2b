// The progress bar: what it says, and that it says nothing where no terminal is.
#include "cli/progress.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void expect(const dx_progress *progress, size_t width, dx_nanos now, const char *expected) {
    dx_buffer text;
    dx_buffer_init(&text, NULL, 512);
    dx_progress_text(&text, progress, width, now);
    dx_buffer_byte(&text, '\0');
    assert_string_equal(text.data, expected);
    dx_buffer_deinit(&text);
}

static void it_tells_done_rate_and_when_it_ends(void **state) {
    (void)state;
    dx_progress p = {.what = "calls", .total = 1000, .done = 450, .started = 10 * DX_SECOND};
    expect(&p, 80, 12 * DX_SECOND, "calls [=============>                ] 450/1000 45% 225/s ETA 0:02");
    p.failed = 3;
    expect(&p, 60, 100 * DX_SECOND, "calls [======>       ] 450/1000 45% 5.0/s ETA 1:50, 3 failed");
    expect(&p, 20, 100 * DX_SECOND, "calls 450/1000 45% 5");
    p = (dx_progress){.what = "calls", .total = 10, .done = 10, .started = 0};
    expect(&p, 80, DX_SECOND, "calls [==============================] 10/10 100% 10.0/s");
    p = (dx_progress){.what = "pages", .done = 7, .started = 0};
    expect(&p, 80, 2 * DX_SECOND, "pages 7 3.5/s");
    p = (dx_progress){.what = "calls", .total = 1000000, .done = 1, .started = 0};
    expect(&p, 80, DX_SECOND, "calls [>                             ] 1/1000000 0% 1.0/s ETA 99:59:59");
    p.done = 0;
    expect(&p, 80, 0, "calls [>                             ] 0/1000000 0% 0.0/s");
}

static void without_a_terminal_nothing_is_written(void **state) {
    (void)state;
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    dx_progress p;
    dx_progress_start(&p, ends[1], "calls", 10, 0);
    dx_progress_set(&p, 5, 0, DX_SECOND);
    dx_progress_stop(&p, 2 * DX_SECOND);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}

// What the terminal shows up to `end`: its other side hands things over in pieces, and a little later.
static size_t take(int fd, char *out, size_t size, const char *end) {
    size_t used = 0;
    out[0] = '\0';
    while (!strstr(out, end)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 10000), 1);
        ssize_t got = read(fd, out + used, size - 1 - used);
        assert_true(got > 0);
        used += (size_t)got;
        out[used] = '\0';
    }
    return used;
}

static void on_a_terminal_it_is_drawn_ten_times_a_second_at_most(void **state) {
    (void)state;
    char text[1024];
    assert_int_equal(setenv("TERM", "xterm", 1), 0);
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
        skip();
        return;
    }
    int fd = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    dx_progress p;
    dx_progress_start(&p, fd, "calls", 10, 0);
    dx_progress_set(&p, 1, 0, DX_SECOND);
    dx_progress_set(&p, 2, 0, DX_SECOND + 99 * DX_MILLISECOND);
    dx_progress_set(&p, 3, 0, DX_SECOND + 100 * DX_MILLISECOND);
    (void)take(terminal, text, sizeof text, " 3/10");
    assert_non_null(strstr(text, " 1/10"));
    assert_null(strstr(text, " 2/10"));
    assert_non_null(strstr(text, " 3/10"));
    dx_progress_set(&p, 10, 0, DX_SECOND + 101 * DX_MILLISECOND);
    dx_progress_stop(&p, DX_SECOND + 102 * DX_MILLISECOND);
    size_t size = take(terminal, text, sizeof text, "\n");
    assert_non_null(strstr(text, "10/10 100%"));
    assert_int_equal(text[size - 1], '\n');
    close(fd);
    close(terminal);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_tells_done_rate_and_when_it_ends),
        cmocka_unit_test(without_a_terminal_nothing_is_written),
        cmocka_unit_test(on_a_terminal_it_is_drawn_ten_times_a_second_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
