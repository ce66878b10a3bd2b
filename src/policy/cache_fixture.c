#include "policy/cache_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/vary.h"

static dx_slice expand(dx_arena *arena, dx_slice value) {
    dx_buffer out;
    dx_buffer_init(&out, arena, 65536);
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] != '{') {
            dx_buffer_byte(&out, value.data[i]);
            continue;
        }
        char date[DX_HTTP_DATE_SIZE], *end;
        dx_http_date_write(date, FIXTURE_NOW + strtoll(value.data + i + 1, &end, 10) * FIXTURE_S);
        dx_buffer_append(&out, date, sizeof date);
        i = (size_t)(end - value.data);
    }
    return dx_slice_of(out.data ? out.data : "", out.size);
}

dx_fields fixture_fields(dx_arena *arena, const char *lines) {
    dx_fields fields = {0};
    for (dx_slice rest = dx_slice_str(lines); rest.data;) {
        dx_slice line = dx_slice_cut(&rest, '\n'), value = line;
        if (!line.size) continue;
        dx_slice name = dx_slice_cut(&value, ':');
        assert_int_equal(dx_fields_add(&fields, arena, name, expand(arena, dx_slice_trim(value))), DX_OK);
    }
    return fields;
}

dx_cache_key fixture_key(dx_arena *arena, const char *space, const char *credential, const char *url) {
    dx_cache_key key;
    const dx_cache_key_parts parts = {dx_slice_str(space), dx_slice_str(credential), DX_GET, dx_slice_str(url)};
    assert_int_equal(dx_cache_key_make(&key, arena, &parts), DX_OK);
    return key;
}

dx_cache_entry *fixture_entry(dx_arena *arena, const dx_cache_key *key, const char *response, const char *request, dx_slice body,
                              int64_t lifetime_s, const char *tag) {
    dx_fields fields = fixture_fields(arena, response), asked = fixture_fields(arena, request);
    const dx_freshness freshness = {
        .response_time = FIXTURE_NOW, .lifetime_us = lifetime_s * FIXTURE_S, .keep_until = FIXTURE_NOW + lifetime_s * FIXTURE_S};
    dx_buffer vary;
    dx_buffer_init(&vary, arena, DX_VARY_BLOCK_CAP);
    assert_true(dx_vary_write(&vary, &fields, &asked));
    dx_slice tags[1] = {dx_slice_str(tag)};
    dx_cache_entry_parts parts = {.status = 200,
                                  .freshness = &freshness,
                                  .key = key->text,
                                  .vary = dx_buffer_slice(&vary),
                                  .body = body,
                                  .fields = &fields,
                                  .tags = tags,
                                  .tag_count = tag ? 1 : 0};
    dx_cache_entry *entry;
    dx_status status = dx_cache_entry_create(&entry, &parts);
    assert_true(status == DX_OK || status == DX_NO_MEMORY);
    return entry;
}
