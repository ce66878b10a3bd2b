// The small codecs: whatever one of them reads, it writes back as it was, or as something that reads the same.
#include <string.h>

#include "codec/http.h"
#include "codec/json.h"
#include "codec/text.h"
#include "fuzz.h"

static void check_base64(dx_arena *arena, dx_slice text) {
    for (int url = 0; url < 2; url++) {
        char *bytes = dx_arena_bytes(arena, text.size * 3 / 4 + 3), *again = dx_arena_bytes(arena, text.size + 4);
        size_t size;
        if (!dx_base64_decode(bytes, &size, text, url)) continue;
        FUZZ_CHECK(dx_slice_equal(dx_slice_of(again, dx_base64_encode(again, bytes, size, url)), text)); // one spelling each
    }
}

static void check_times(dx_slice text) {
    dx_micros_utc time, again;
    char written[DX_TIME_TEXT_CAP], date[DX_HTTP_DATE_SIZE];
    if (dx_time_read(text, &time)) {
        FUZZ_CHECK(dx_time_read(dx_slice_of(written, dx_time_write(written, time)), &again) && again == time);
        FUZZ_CHECK(dx_date_valid(dx_slice_of(text.data, 10)) && dx_time_of_day_valid(dx_slice_from(text, 11)));
    }
    if (dx_http_date_read(text, &time)) {
        dx_http_date_write(date, time);
        FUZZ_CHECK(dx_http_date_read(dx_slice_of(date, sizeof date), &again) && again == time);
    }
}

static void check_string(dx_arena *arena, dx_slice text) {
    dx_buffer json;
    dx_buffer_init(&json, arena, 64 << 10);
    dx_json_write_string(&json, text);
    yyjson_doc *doc;
    FUZZ_CHECK(dx_json_read(&doc, arena, dx_buffer_slice(&json), NULL, NULL) == DX_OK);
    dx_slice back = dx_json_slice(yyjson_doc_get_root(doc));
    FUZZ_CHECK(dx_utf8_valid(back) && dx_slice_equal(back, text) == dx_utf8_valid(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 4096) return 0;
    dx_arena *arena = dx_arena_create(4 << 20);
    dx_slice text = dx_slice_of((const char *)data, size), decoded;
    check_base64(arena, text);
    check_times(text);
    check_string(arena, text);
    dx_status status = dx_percent_decode(&decoded, arena, text, false);
    FUZZ_CHECK(status == DX_OK ? decoded.size <= size : status == DX_BAD_REQUEST);
    int quality = dx_http_accept_quality(text, "application/json");
    FUZZ_CHECK(quality >= 0 && quality <= 1000);
    FUZZ_CHECK(!dx_http_etag_in(text, DX_SLICE("\"v1\""), false) || dx_http_etag_in(text, DX_SLICE("\"v1\""), true));
    (void)dx_http_list_has(text, DX_SLICE("close"));
    dx_arena_destroy(arena);
    return 0;
}
