// WebSocket frames: each rule of RFC 6455 section 5, and that the cut of the input changes nothing.
#include "codec/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

// Appends a client's frame: `first` is the first byte; the mask 1 2 3 4 (or none).
static void frame(dx_buffer *out, unsigned first, dx_slice payload, bool masked) {
    static const uint8_t mask[4] = {1, 2, 3, 4};
    char head[10];
    size_t size = dx_ws_header(head, DX_WS_TEXT, true, false, payload.size);
    head[0] = (char)first;
    head[1] = (char)((uint8_t)head[1] | (masked ? 0x80 : 0));
    dx_buffer_append(out, head, size);
    if (masked) dx_buffer_append(out, mask, 4);
    for (size_t i = 0; i < payload.size; i++) dx_buffer_byte(out, (char)((uint8_t)payload.data[i] ^ (masked ? mask[i & 3] : 0)));
}

// What was read, written as text: pieces of a frame are joined. The input comes in steps of `step` bytes.
static void read_all(dx_buffer *log, dx_slice input, size_t step, bool deflate, bool require_mask) {
    dx_ws_parser p;
    dx_ws_parser_init(&p, deflate, require_mask);
    dx_buffer_init(log, NULL, 1u << 20);
    for (size_t at = 0; at < input.size; at += step) {
        size_t size = input.size - at < step ? input.size - at : step;
        char *own = malloc(size), *data = own; // exactly as large, so that a byte read past it is seen
        memcpy(own, input.data + at, size);
        for (;;) {
            dx_ws_event event = dx_ws_next(&p, &data, &size);
            if (event == DX_WS_MORE) break;
            if (event == DX_WS_BEGIN) dx_buffer_printf(log, "[%u%s%s:", p.opcode, p.fin ? "" : "-", p.compressed ? "z" : "");
            if (event == DX_WS_PIECE) dx_buffer_add(log, p.piece);
            if (event == DX_WS_END) dx_buffer_byte(log, ']');
            if (event == DX_WS_CONTROL) dx_buffer_printf(log, "(%u:%.*s)", p.opcode, DX_SLICE_ARG(p.piece));
            if (event != DX_WS_ERROR) continue;
            dx_buffer_printf(log, "!%u", p.close_code);
            assert_non_null(p.reason);
            assert_int_equal(dx_ws_next(&p, &data, &size), DX_WS_ERROR); // for good
            free(own);
            return;
        }
        assert_int_equal((int)size, 0);
        free(own);
    }
}

static void assert_reads(dx_slice input, bool deflate, const char *expected) {
    for (size_t step = 1; step <= input.size; step++) {
        dx_buffer log;
        read_all(&log, input, step, deflate, true);
        dx_buffer_byte(&log, '\0');
        assert_string_equal(log.data, expected);
        dx_buffer_deinit(&log);
    }
}

static void messages_fragments_and_control_frames_are_told_apart(void **state) {
    (void)state;
    dx_buffer in;
    dx_buffer_init(&in, NULL, 1u << 20);
    frame(&in, 0x81, DX_SLICE("Hello"), true);
    frame(&in, 0x82, DX_SLICE(""), true);
    frame(&in, 0x01, DX_SLICE("one "), true);
    frame(&in, 0x89, DX_SLICE("are you there?"), true); // between the fragments
    frame(&in, 0x00, DX_SLICE("two "), true);
    frame(&in, 0x00, DX_SLICE(""), true);
    frame(&in, 0x8a, DX_SLICE(""), true);
    frame(&in, 0x80, DX_SLICE("three"), true);
    frame(&in, 0x88, DX_SLICE(""), true);
    assert_reads(dx_buffer_slice(&in), false, "[1:Hello][2:][1-:one ](9:are you there?)[0-:two ][0-:](10:)[0:three](8:)");
    dx_buffer_deinit(&in);
}

static void lengths_of_all_three_forms_are_read(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 100000};
    for (size_t i = 0; i < DX_COUNT_OF(sizes); i++) {
        dx_buffer in, log;
        char *payload = malloc(sizes[i] + 1);
        memset(payload, 'x', sizes[i] + 1);
        dx_buffer_init(&in, NULL, 1u << 20);
        frame(&in, 0x82, dx_slice_of(payload, sizes[i]), true);
        assert_int_equal((int)(in.size - sizes[i]), sizes[i] < 126 ? 6 : sizes[i] < 65536 ? 8 : 14);
        for (size_t step = 7; step < 200000; step *= 13) {
            read_all(&log, dx_buffer_slice(&in), step, false, true);
            assert_int_equal((int)log.size, (int)sizes[i] + 4);
            assert_memory_equal(log.data + 3, payload, sizes[i]);
            dx_buffer_deinit(&log);
        }
        dx_buffer_deinit(&in);
        free(payload);
    }
}

static void what_breaks_a_rule_is_refused_at_once(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        bool deflate;
        const char *expected;
    } rows[] = {
#define ROW(text, deflate, expected) {text, sizeof(text) - 1, deflate, expected}
        ROW("\x83", false, "!1002"),
        ROW("\x87", false, "!1002"),
        ROW("\x8b", false, "!1002"),
        ROW("\x8f", false, "!1002"), // opcodes
        ROW("\xc1", false, "!1002"),
        ROW("\xa1", true, "!1002"),
        ROW("\x91", true, "!1002"), // reserved bits
        ROW("\xc9", true, "!1002"),
        ROW("\xc8", true, "!1002"),                   // RSV1 on control
        ROW("\x41\x80mask\x40", true, "[1-z:]!1002"), // on a continuation
        ROW("\xc1\x80mask\x81\x80mask", true, "[1z:][1:]"),
        ROW("\x09", false, "!1002"),
        ROW("\x08", false, "!1002"), // a control frame in fragments
        ROW("\x80", false, "!1002"),
        ROW("\x00", false, "!1002"),                  // a continuation of nothing
        ROW("\x01\x80mask\x81", false, "[1-:]!1002"), // a message in a message
        ROW("\x81\x80mask\x80", false, "[1:]!1002"),  // a continuation behind the end
        ROW("\x89\xfe", false, "!1002"),
        ROW("\x88\xff", false, "!1002"), // long control frames
        ROW("\x81\x05", false, "!1002"),
        ROW("\x89\x00", false, "!1002"),                         // not masked
        ROW("\x81\xfe\x00\x7dmask", false, "!1002"),             // 125 in two bytes
        ROW("\x81\xff\0\0\0\0\0\0\xff\xffmask", false, "!1002"), // 65535 in eight
        ROW("\x81\xff\x80\0\0\0\0\0\0\0mask", false, "!1002"),   // the top bit
        ROW("\x88\x81\0\0\0\0\x03", false, "!1002"),             // a close frame of one byte
        ROW("\x88\x82\0\0\0\0\x03\xed", false, "!1002"),         // 1005 is never sent
        ROW("\x88\x82\0\0\0\0\x03\xe8", false, "(8:\x03\xe8)"),
        ROW("\x88\x84\0\0\0\0\x03\xe8\xc3\x28", false, "!1007"),
        ROW("\x88\x84\0\0\0\0\x03\xe8\xc3\xa9", false, "(8:\x03\xe8\xc3\xa9)"),
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) assert_reads(dx_slice_of(rows[i].text, rows[i].size), rows[i].deflate, rows[i].expected);
}

static void the_other_end_takes_frames_without_masks_alone(void **state) {
    (void)state;
    dx_buffer log;
    read_all(&log, DX_SLICE("\x81\x02hi"), 1, false, false);
    assert_true(dx_slice_equal(dx_buffer_slice(&log), DX_SLICE("[1:hi]")));
    dx_buffer_deinit(&log);
    read_all(&log, DX_SLICE("\x81\x82mask\x05\x08"), 1, false, false);
    assert_true(dx_slice_equal(dx_buffer_slice(&log), DX_SLICE("!1002")));
    dx_buffer_deinit(&log);
}

static void a_mask_is_taken_off_whatever_the_alignment(void **state) {
    (void)state;
    static const uint8_t mask[4] = {0xde, 0xad, 0xbe, 0xef};
    for (unsigned at = 0; at < 4; at++) {
        for (size_t offset = 0; offset < 9; offset++) {
            for (size_t size = 0; size < 40; size++) {
                char data[64] = {0};
                dx_ws_mask(data + offset, size, mask, at);
                for (size_t i = 0; i < sizeof data; i++) {
                    bool inside = i >= offset && i < offset + size;
                    assert_int_equal((uint8_t)data[i], inside ? mask[(at + i - offset) & 3] : 0);
                }
            }
        }
    }
}

static void close_codes_are_those_that_may_be_sent(void **state) {
    (void)state;
    const uint16_t good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    const uint16_t bad[] = {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < DX_COUNT_OF(good); i++) assert_true(dx_ws_close_code_valid(good[i]));
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++) assert_false(dx_ws_close_code_valid(bad[i]));
}

static void a_key_is_sixteen_bytes(void **state) {
    (void)state;
    assert_true(dx_ws_key_valid(DX_SLICE("dGhlIHNhbXBsZSBub25jZQ==")));
    assert_true(dx_ws_key_valid(DX_SLICE("AAAAAAAAAAAAAAAAAAAAA+/=")) == false);
    assert_false(dx_ws_key_valid(DX_SLICE("")));
    assert_false(dx_ws_key_valid(DX_SLICE("dGhlIHNhbXBsZSBub25jZQ=")));
    assert_false(dx_ws_key_valid(DX_SLICE("dGhlIHNhbXBsZSBub25jZ!==")));
    assert_false(dx_ws_key_valid(DX_SLICE("dGhlIHNhbXBsZSBub25jZXh4eHh4")));
}

static void utf8_in_pieces_is_judged_as_the_whole(void **state) {
    (void)state;
    static const char *const texts[] = {"plain ascii, longer than eight",
                                        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
                                        "\xf4\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xed\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xe0\x9f\xbf",
                                        "\xe0\xa0\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xc0\x80",
                                        "\xc3\xa9\xc3",
                                        "\xf0\x9f\x98",
                                        "a\x80",
                                        "12345678\xff",
                                        "\xf5\x80\x80\x80",
                                        "ascii ascii \xf0\x9f\x98\x80 ascii ascii"};
    for (size_t i = 0; i < DX_COUNT_OF(texts); i++) {
        dx_slice text = dx_slice_str(texts[i]);
        for (size_t step = 1; step <= text.size; step++) {
            dx_utf8_state utf8 = {0};
            bool good = true;
            for (size_t at = 0; at < text.size && good; at += step)
                good = dx_utf8_feed(&utf8, dx_slice_of(text.data + at, text.size - at < step ? text.size - at : step));
            assert_int_equal(good && dx_utf8_whole(&utf8), dx_utf8_valid(text));
        }
    }
}

static void a_wrong_byte_is_refused_before_the_character_is_whole(void **state) {
    (void)state;
    dx_utf8_state utf8 = {0};
    assert_true(dx_utf8_feed(&utf8, DX_SLICE("\xf4")));
    assert_false(dx_utf8_feed(&utf8, DX_SLICE("\x90")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_fragments_and_control_frames_are_told_apart),
        cmocka_unit_test(lengths_of_all_three_forms_are_read),
        cmocka_unit_test(what_breaks_a_rule_is_refused_at_once),
        cmocka_unit_test(the_other_end_takes_frames_without_masks_alone),
        cmocka_unit_test(a_mask_is_taken_off_whatever_the_alignment),
        cmocka_unit_test(close_codes_are_those_that_may_be_sent),
        cmocka_unit_test(a_key_is_sixteen_bytes),
        cmocka_unit_test(utf8_in_pieces_is_judged_as_the_whole),
        cmocka_unit_test(a_wrong_byte_is_refused_before_the_character_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
