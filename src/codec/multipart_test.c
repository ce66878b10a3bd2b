// multipart/form-data: what a body means, cut wherever; names as clients write them; boundaries; caps; and what it costs.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/multipart.h"

#define TYPE "multipart/form-data; boundary=XX"

typedef struct fixture {
    dx_arena *arena;
    dx_multipart *multipart;
    dx_buffer log; // "<name|file|type>content;" each
    dx_status status;
    size_t pieces;
    dx_status refuses; // what `begin` says
} fixture;

static dx_status begin(void *ctx, const dx_multipart_part *part) {
    fixture *f = ctx;
    dx_buffer_printf(&f->log, "<%.*s|%s%.*s|%.*s>", DX_SLICE_ARG(part->name), part->file_name.data ? "" : "-",
                     DX_SLICE_ARG(part->file_name), DX_SLICE_ARG(part->content_type));
    return f->refuses;
}

static dx_status piece(void *ctx, dx_slice bytes) {
    fixture *f = ctx;
    assert_true(bytes.size > 0);
    f->pieces++;
    dx_buffer_add(&f->log, bytes);
    return DX_OK;
}

static dx_status end(void *ctx) {
    dx_buffer_byte(&((fixture *)ctx)->log, ';');
    return DX_OK;
}
static const dx_multipart_ops ops = {begin, piece, end};

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->arena = dx_arena_create(1u << 20);
    dx_buffer_init(&f->log, NULL, 256u << 20);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_buffer_deinit(&f->log);
    dx_arena_destroy(f->arena);
    free(f);
    return 0;
}

static dx_status open_with(fixture *f, const char *type, uint32_t parts) {
    dx_arena_reset(f->arena);
    dx_buffer_clear(&f->log);
    f->pieces = 0;
    return dx_multipart_create(&f->multipart, f->arena, dx_slice_str(type), parts, &ops, f);
}

// In pieces of `step` bytes, but for a first of `first`. Each is a copy of its own, so that reading past it is seen.
static dx_status parse_cut(fixture *f, dx_slice body, size_t first, size_t step) {
    assert_int_equal(open_with(f, TYPE, 10), DX_OK);
    dx_status status = DX_OK;
    for (size_t at = 0, n = first; at < body.size && status == DX_OK; at += n, n = step) {
        if (n > body.size - at) n = body.size - at;
        char *copy = malloc(n ? n : 1);
        memcpy(copy, body.data + at, n);
        status = dx_multipart_feed(f->multipart, dx_slice_of(copy, n));
        free(copy);
    }
    return status == DX_OK ? dx_multipart_end(f->multipart) : status;
}

static void assert_parsed(fixture *f, const char *body, dx_status status, const char *log) {
    dx_slice text = dx_slice_str(body);
    for (size_t cut = 0; cut <= text.size; cut++) {
        dx_status got = parse_cut(f, text, cut, text.size);
        dx_buffer_byte(&f->log, 0);
        if (got != status || (log && strcmp(f->log.data, log) != 0))
            fail_msg("cut at %zu: %s (%s) %s, not %s", cut, dx_status_name(got), dx_multipart_reason(f->multipart), f->log.data,
                     log ? log : "anything");
    }
    for (size_t step = 1; step < 8; step++) {
        assert_int_equal(parse_cut(f, text, step, step), status);
        dx_buffer_byte(&f->log, 0);
        if (log) assert_string_equal(f->log.data, log);
    }
    if (status == DX_MALFORMED) assert_true(*dx_multipart_reason(f->multipart));
}

#define PART(disposition) "--XX\r\nContent-Disposition: " disposition "\r\n\r\n"

static void fields_and_files_come_out_wherever_the_input_is_cut(void **state) {
    assert_parsed(
        *state,
        PART("form-data; name=\"a\"") "one\r\n"
                                      "--XX\r\ncontent-disposition: Form-Data; filename=\"x.png\"; name=b\r\nContent-Type: image/png\r\n"
                                      "X-Other: 1\r\n\r\n\r\n\r\n-\r\n--\r\n--X\r\n--Xy\r\r\n\r\n--XX--\r\nepilogue",
        DX_OK, "<a|-|>one;<b|x.png|image/png>\r\n\r\n-\r\n--\r\n--X\r\n--Xy\r\r\n;");
}

static void preamble_padding_and_epilogue_are_left_out(void **state) {
    assert_parsed(*state, "hello\r\n--X\r\n--XX \t\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--XX-- \r\n--XX\r\nmore", DX_OK,
                  "<a|-|>1;");
    assert_parsed(*state, "--XX--", DX_OK, "");
    assert_parsed(*state, "\r\n--XX--\r\n", DX_OK, "");
    assert_parsed(*state, PART("form-data; name=a") "\r\n--XX--", DX_OK, "<a|-|>;");
}

static void words_that_begin_with_the_boundary_are_content(void **state) {
    assert_parsed(*state, PART("form-data; name=a") "1\r\n--XXY\r\n--XX-\r\n--XX-Z\r\n--XX--", DX_OK,
                  "<a|-|>1\r\n--XXY\r\n--XX-\r\n--XX-Z;");
    assert_parsed(*state, "--XXY\r\n" PART("form-data; name=a") "1\r\n--XX--", DX_OK, "<a|-|>1;");
}

static void names_are_decoded_as_clients_write_them(void **state) {
    assert_parsed(*state, PART("form-data; name=\"a%22b%0D%0ac%41%2\"; filename=\"q\\\"u\\\\o\\te.txt\"") "\r\n--XX--", DX_OK,
                  "<a\"b\r\nc%41%2|te.txt|>;");
}

static void folders_are_stripped_from_file_names(void **state) {
    static const char *const rows[][2] = {
        {"C:\\\\dir\\\\x.txt", "x.txt"},
        {"C:\\dir\\x.txt", "x.txt"},
        {"/etc/passwd", "passwd"},
        {"../../x", "x"},
        {"..", ""},
        {"a/.", ""},
        {"", ""},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        char body[256], log[256];
        snprintf(body, sizeof body, PART("form-data; name=f; filename=\"%s\"") "\r\n--XX--", rows[i][0]);
        snprintf(log, sizeof log, "<f|%s|>;", rows[i][1]);
        assert_parsed(*state, body, DX_OK, log);
    }
}

static void an_extended_file_name_is_not_looked_at(void **state) {
    assert_parsed(*state, PART("form-data; name=f; filename*=UTF-8''evil.exe; filename=\"a\"") "\r\n--XX--", DX_OK, "<f|a|>;");
    assert_parsed(*state, PART("form-data; name=f; filename*=UTF-8''evil.exe") "\r\n--XX--", DX_OK, "<f|-|>;");
}

static void malformed_bodies_are_refused(void **state) {
    static const char *const wrong[] = {
        "",
        "nothing",
        "--XX",
        "--XX\r\n",
        PART("form-data; name=a") "1",
        PART("form-data; name=a") "1\r\n--XX",
        PART("form-data; name=a") "1\r\n--XX-",
        PART("form-data; name=a") "1\r\n--XX\rx",
        PART("form-data; name=a") "1\r\n--XX x",
        "--XX\r\n\r\n1\r\n--XX--",
        "--XX\r\nContent-Type: text/plain\r\n\r\n1\r\n--XX--",
        PART("attachment; name=a") "1\r\n--XX--",
        PART("form-data") "1\r\n--XX--",
        PART("form-data; filename=a") "1\r\n--XX--",
        PART("form-data; name=a; name=b") "1\r\n--XX--",
        PART("form-data; name=\"a") "1\r\n--XX--",
        PART("form-data; name") "1\r\n--XX--",
        PART("form-data; name=\"a\" x") "1\r\n--XX--",
        PART("form-data; name=\"\xff\"") "1\r\n--XX--",
        PART("form-data; name=a\r\n folded: 1") "1\r\n--XX--",
        PART("form-data; name=a\r\nContent-Disposition: form-data; name=b") "1\r\n--XX--",
        PART("form-data; name=a\r\nContent-Transfer-Encoding: base64") "1\r\n--XX--",
        PART("form-data; name=a\r\nNo Field: 1") "1\r\n--XX--",
        PART("form-data; name=a\nx: 1") "1\r\n--XX--",
    };
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) assert_parsed(*state, wrong[i], DX_MALFORMED, NULL);
}

static void types_and_boundaries_are_checked(void **state) {
    fixture *f = *state;
    static const struct {
        const char *type;
        dx_status status;
    } rows[] = {
        {"multipart/form-data; boundary=a", DX_OK},
        {"Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b\"", DX_OK},
        {"multipart/form-data; boundary=\"'()+_,-./:=?x\"", DX_OK},
        {"multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789", DX_OK},
        {"multipart/form-data; boundary=01234567890123456789012345678901234567890123456789012345678901234567890", DX_MALFORMED},
        {"multipart/form-data", DX_MALFORMED},
        {"multipart/form-data;", DX_MALFORMED},
        {"multipart/form-data; boundary=", DX_MALFORMED},
        {"multipart/form-data; boundary=\"\"", DX_MALFORMED},
        {"multipart/form-data; boundary=\"a \"", DX_MALFORMED},
        {"multipart/form-data; boundary=\"a\\\"\"", DX_MALFORMED},
        {"multipart/form-data; boundary=a; boundary=b", DX_MALFORMED},
        {"multipart/form-data; boundary=a b", DX_MALFORMED},
        {"multipart/mixed; boundary=a", DX_UNSUPPORTED_MEDIA_TYPE},
        {"application/json", DX_UNSUPPORTED_MEDIA_TYPE},
        {"", DX_UNSUPPORTED_MEDIA_TYPE},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++)
        if (open_with(f, rows[i].type, 1) != rows[i].status) fail_msg("%s", rows[i].type);
}

static dx_status parse_whole(fixture *f, const dx_buffer *body, uint32_t parts) {
    assert_int_equal(open_with(f, TYPE, parts), DX_OK);
    dx_status status = dx_multipart_feed(f->multipart, dx_buffer_slice(body));
    return status == DX_OK ? dx_multipart_end(f->multipart) : status;
}

static void each_cap_has_one_over(void **state) {
    fixture *f = *state;
    for (size_t over = 0; over < 2; over++) {
        dx_status expected = over ? DX_TOO_LARGE : DX_OK;
        dx_buffer body;
        dx_buffer_init(&body, NULL, 1u << 20);
        for (size_t i = 0; i < 3 + over; i++) dx_buffer_printf(&body, PART("form-data; name=a") "1\r\n");
        dx_buffer_printf(&body, "--XX--");
        assert_int_equal(parse_whole(f, &body, 3), expected);

        dx_buffer_clear(&body);
        dx_buffer_printf(&body, "--XX\r\nContent-Disposition: form-data; name=\"%0*d\"\r\n\r\n\r\n--XX--",
                         (int)(DX_MULTIPART_NAME_CAP + over), 0);
        assert_int_equal(parse_whole(f, &body, 3), expected);

        dx_buffer_clear(&body);
        int rest = DX_MULTIPART_HEAD_CAP - (int)strlen("Content-Disposition: form-data; name=a\r\nX: \r\n\r\n");
        dx_buffer_printf(&body, "--XX\r\nContent-Disposition: form-data; name=a\r\nX: %0*d\r\n\r\n\r\n--XX--", rest + (int)over, 0);
        assert_int_equal(parse_whole(f, &body, 3), expected);
        dx_buffer_deinit(&body);
    }
}

static void what_the_owner_refuses_ends_the_parsing(void **state) {
    fixture *f = *state;
    f->refuses = DX_STORE_FULL;
    assert_parsed(f, PART("form-data; name=a") "1\r\n--XX", DX_STORE_FULL, "<a|-|>");
}

static void content_comes_in_large_pieces_whatever_is_in_it(void **state) {
    fixture *f = *state;
    size_t size = 4u << 20;
    static const char *const fills[] = {"\r", "\r\n--X", "-", "\r\n--XX-", "x"};
    for (size_t i = 0; i < DX_COUNT_OF(fills); i++) {
        dx_buffer body;
        dx_buffer_init(&body, NULL, 64u << 20);
        dx_buffer_printf(&body, PART("form-data; name=a"));
        size_t head = body.size;
        while (body.size < size) dx_buffer_add(&body, dx_slice_str(fills[i]));
        size_t content = body.size - head;
        dx_buffer_printf(&body, "\r\n--XX--");
        assert_int_equal(parse_whole(f, &body, 1), DX_OK);
        assert_int_equal(f->log.size, strlen("<a|-|>;") + content);
        // Linear: a bounded number of calls for each byte that looks like a boundary's beginning, one for all else.
        assert_true(f->pieces <= 2 + 2 * content / strlen(fills[i]) || f->pieces < 4);
        if (i == 0 || i == 2 || i == 4) assert_true(f->pieces < 4);
        dx_buffer_deinit(&body);
    }
}

static void without_memory_none_is_made(void **state) {
    fixture *f = *state;
    dx_arena *small = dx_arena_create(8192);
    assert_int_equal(dx_multipart_create(&f->multipart, small, DX_SLICE(TYPE), 1, &ops, f), DX_NO_MEMORY);
    assert_null(f->multipart);
    dx_arena_destroy(small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(fields_and_files_come_out_wherever_the_input_is_cut),
        TEST(preamble_padding_and_epilogue_are_left_out),
        TEST(words_that_begin_with_the_boundary_are_content),
        TEST(names_are_decoded_as_clients_write_them),
        TEST(folders_are_stripped_from_file_names),
        TEST(an_extended_file_name_is_not_looked_at),
        TEST(malformed_bodies_are_refused),
        TEST(types_and_boundaries_are_checked),
        TEST(each_cap_has_one_over),
        TEST(what_the_owner_refuses_ends_the_parsing),
        TEST(content_comes_in_large_pieces_whatever_is_in_it),
        TEST(without_memory_none_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
