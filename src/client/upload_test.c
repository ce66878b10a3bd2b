// Bodies in parts: in their order, from the start again, and what can't be read.
#include "client/upload.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"

typedef struct words {
    int64_t at, size, lies; // lies: says that it gives so many more
    int rewinds;
} words;

static int64_t give(void *context, char *data, size_t room) {
    words *w = context;
    int64_t left = w->size - w->at, size = left < (int64_t)room ? left : (int64_t)room;
    memset(data, 's', (size_t)size);
    w->at += size;
    return size + w->lies;
}

static bool again(void *context) {
    words *w = context;
    w->at = 0;
    w->rewinds++;
    return true;
}

static size_t read_all(dx_upload *upload, char *out, size_t room) {
    size_t size = 0;
    int64_t got;
    while ((got = dx_upload_read(upload, out + size, room - size < 3 ? room - size : 3)) > 0) size += (size_t)got;
    return got < 0 ? SIZE_MAX : size;
}

static void parts_are_read_in_order_and_from_the_start_again(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    char path[] = "/tmp/dx-upload-XXXXXX", text[64];
    int file = mkstemp(path);
    words w = {.size = 5};
    dx_source source = {give, again, 5, &w};
    dx_upload upload;
    assert_int_equal(write(file, "from file", 9), 9);
    dx_upload_init(&upload, arena);
    assert_int_equal(dx_upload_add_text(&upload, DX_SLICE("begin ")), DX_OK);
    assert_int_equal(dx_upload_add_text(&upload, DX_SLICE("")), DX_OK);
    assert_int_equal(dx_upload_add_file(&upload, path), DX_OK);
    assert_int_equal(dx_upload_add_source(&upload, &source), DX_OK);
    assert_int_equal(dx_upload_add_text(&upload, DX_SLICE(" end")), DX_OK);
    assert_int_equal(upload.size, 24);
    assert_true(dx_upload_rewind(&upload));
    assert_int_equal(w.rewinds, 0); // nothing was read yet
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_all(&upload, text, sizeof text), 24);
        assert_memory_equal(text, "begin from filesssss end", 24);
        assert_true(dx_upload_rewind(&upload));
    }
    assert_int_equal(w.rewinds, 3);
    assert_true(dx_upload_is_repeatable(&upload));
    assert_int_equal(ftruncate(file, 4), 0);
    assert_int_equal(read_all(&upload, text, sizeof text), SIZE_MAX); // shorter than was said
    (void)close(file);
    (void)unlink(path);
    dx_arena_destroy(arena);
}

static void a_source_that_gives_less_or_more_than_it_said_fails(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    char text[64];
    words little = {.size = 3}, liar = {.size = 8, .lies = 100}, once = {.size = 4};
    const struct {
        dx_source source;
        size_t expected;
    } rows[] = {{{give, NULL, 5, &little}, SIZE_MAX}, {{give, NULL, -1, &liar}, SIZE_MAX}, {{give, NULL, -1, &once}, 4}};
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_upload upload;
        dx_upload_init(&upload, arena);
        assert_int_equal(dx_upload_add_source(&upload, &rows[i].source), DX_OK);
        assert_int_equal(read_all(&upload, text, sizeof text), rows[i].expected);
        assert_false(dx_upload_is_repeatable(&upload));
        assert_false(dx_upload_rewind(&upload));
    }
    dx_arena_destroy(arena);
}

static void what_is_no_regular_file_is_refused(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_upload upload;
    dx_upload_init(&upload, arena);
    static const char *const paths[] = {"/nonexistent", "/tmp", "/dev/zero"};
    static const int reasons[] = {ENOENT, EISDIR, EINVAL};
    for (size_t i = 0; i < DX_COUNT_OF(paths); i++) {
        assert_int_equal(dx_upload_add_file(&upload, paths[i]), DX_NOT_FOUND);
        assert_int_equal(errno, reasons[i]);
    }
    assert_null(upload.first);
    dx_arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_read_in_order_and_from_the_start_again),
        cmocka_unit_test(a_source_that_gives_less_or_more_than_it_said_fails),
        cmocka_unit_test(what_is_no_regular_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
