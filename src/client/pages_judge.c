// What a page tells. Of several signs the surest counts: has_more and a cursor or URL that is missing end the pages, then the total, then a
// page that is short or empty; but an empty or short page is no end where the server says that there is more.
#include "base/hash.h"
#include "base/memory.h"
#include "client/client.h"
#include "client/fail.h"
#include "client/pages_place.h"
#include "codec/link.h"

typedef struct judging {
    dx_page_facts *out;
    const dx_paginate *how;
    const dx_place *at;
    uint64_t before;
    const dx_response *response;
    const dx_page_origin *from;
    yyjson_val *root; // NULL: no body
    bool more, less;  // has_more says so
    dx_error *error;
} judging;

static dx_error_code no_memory(judging *j) {
    return dx_fail(j->error, DX_ERROR_NO_MEMORY, "there is no memory for the page");
}

#define MALFORMED(j, ...) dx_fail((j)->error, DX_ERROR_MALFORMED, __VA_ARGS__)

static yyjson_val *value_at(const judging *j, dx_slice pointer) {
    return j->root && pointer.size ? dx_json_at(j->root, pointer) : NULL;
}

// --- items -----------------------------------------------------------------------------------------------------------------------------

static dx_error_code take_items(judging *j) {
    dx_page_facts *out = j->out;
    dx_slice pointer = j->how->items;
    yyjson_val *items = pointer.size ? value_at(j, pointer) : j->root;
    if (!items || yyjson_is_null(items)) return DX_ERROR_NONE; // some servers leave empty lists out
    if (!yyjson_is_arr(items) && pointer.size)
        return MALFORMED(j, "what is at %.*s is no list (paginate.items), but of the type %s", DX_SLICE_ARG(pointer),
                         dx_json_type_name(items));
    if (!yyjson_is_arr(items)) return MALFORMED(j, "the page is no list: say in paginate.items where its items are, as a JSON pointer");
    out->items = items;
    out->count = yyjson_arr_size(items);
    if (!out->count) return DX_ERROR_NONE;
    size_t size;
    char *text = yyjson_val_write_opts(items, YYJSON_WRITE_NOFLAG, &dx_response_heap, &size, NULL);
    if (!text) return no_memory(j);
    uint64_t hash = dx_hash(dx_slice_of(text, size));
    dx_memory_free(text);
    out->content = hash ? hash : 1;
    return DX_ERROR_NONE;
}

static void take_total(judging *j) {
    yyjson_val *value = value_at(j, j->how->total);
    int64_t total = -1;
    if (yyjson_is_uint(value) && yyjson_get_uint(value) <= INT64_MAX) total = (int64_t)yyjson_get_uint(value);
    if (yyjson_is_str(value) && !dx_slice_to_i64(dx_json_slice(value), &total)) total = -1;
    j->out->total = total < 0 ? -1 : total;
}

static bool total_is_reached(const judging *j) {
    uint64_t before = j->before;
    if (j->out->total < 0) return false;
    if (j->how->type == DX_PAGING_OFFSET) before = j->at->number > j->how->start ? j->at->number - j->how->start : 0;
    return before + j->out->count >= (uint64_t)j->out->total;
}

// --- by numbers --------------------------------------------------------------------------------------------------------------------------

static bool numbers_end(const judging *j) {
    size_t count = j->out->count;
    if (j->less) return true;
    if (j->more) return false;
    if (j->out->total >= 0) return total_is_reached(j) || count == 0;
    return count == 0 || (j->how->size && count < j->how->size);
}

static dx_error_code next_number(judging *j) {
    dx_place *next = &j->out->next;
    if (numbers_end(j)) return DX_ERROR_NONE;
    uint64_t step = j->how->type == DX_PAGING_PAGE ? 1 : j->out->count ? j->out->count : j->how->size;
    if (!step) return MALFORMED(j, "the page is empty, but %.*s says that there is more", DX_SLICE_ARG(j->how->has_more));
    *next = (dx_place){.kind = DX_PLACE_NUMBER, .number = j->at->number + step};
    if (next->number < step || next->number > INT64_MAX) return MALFORMED(j, "the pages' numbers end here");
    return DX_ERROR_NONE;
}

// --- by what the page says of the next one --------------------------------------------------------------------------------------------

static dx_error_code set_next(judging *j, dx_place_kind kind, dx_slice text) {
    if (text.size > DX_PAGES_TOKEN_CAP)
        return dx_fail(j->error, DX_ERROR_TOO_LARGE, "the next page's cursor has more than %d bytes", DX_PAGES_TOKEN_CAP);
    return dx_place_set(&j->out->next, kind, text) == DX_OK ? DX_ERROR_NONE : no_memory(j);
}

static dx_error_code set_number(judging *j, yyjson_val *value) {
    dx_buffer text;
    if (yyjson_is_uint(value) && yyjson_get_uint(value) == 0) return DX_ERROR_NONE; // some say so that there is no more
    dx_buffer_init(&text, NULL, 4096);
    dx_json_write_value(&text, value);
    dx_error_code code = dx_buffer_status(&text) == DX_OK ? set_next(j, DX_PLACE_JSON, dx_buffer_slice(&text)) : no_memory(j);
    dx_buffer_deinit(&text);
    return code;
}

static bool is_nothing(yyjson_val *value) {
    return !value || yyjson_is_null(value) || yyjson_is_false(value) || (yyjson_is_str(value) && yyjson_get_len(value) == 0);
}

static dx_error_code next_cursor(judging *j) {
    dx_slice header = j->how->cursor_header;
    if (header.size) {
        dx_slice text = dx_fields_find(&j->response->fields, header);
        return text.size ? set_next(j, DX_PLACE_TEXT, text) : DX_ERROR_NONE;
    }
    yyjson_val *value = value_at(j, j->how->cursor);
    if (is_nothing(value)) return DX_ERROR_NONE;
    if (yyjson_is_str(value)) return set_next(j, DX_PLACE_TEXT, dx_json_slice(value));
    if (yyjson_is_num(value) || yyjson_is_raw(value)) return set_number(j, value);
    return MALFORMED(j, "the cursor at %.*s is neither text nor a number", DX_SLICE_ARG(j->how->cursor));
}

static dx_error_code refuse_url(judging *j, dx_status status, dx_slice reference) {
    size_t question = dx_slice_find(reference, '?'); // what stands behind it may be a secret
    if (question != SIZE_MAX) reference.size = question;
    if (reference.size > 200) reference.size = 200;
    if (status == DX_NO_MEMORY) return no_memory(j);
    if (status == DX_FORBIDDEN)
        return dx_fail(
            j->error, DX_ERROR_REDIRECT,
            "the next page is of another origin than the API (%.*s) and is not called: %.*s; if that is the API too, make it its "
            "base_url",
            DX_SLICE_ARG(j->from->origin), DX_SLICE_ARG(reference));
    return MALFORMED(j, "the next page has a URL that can't be called: %.*s", DX_SLICE_ARG(reference));
}

static dx_error_code set_target(judging *j, dx_slice reference) {
    dx_slice target;
    dx_arena *arena = dx_arena_create((size_t)1 << 20);
    dx_status status = arena ? dx_page_target(&target, arena, j->from, reference) : DX_NO_MEMORY;
    dx_error_code code = status == DX_OK ? set_next(j, DX_PLACE_TARGET, target) : refuse_url(j, status, reference);
    dx_arena_destroy(arena);
    return code;
}

static dx_error_code next_link(judging *j) {
    const dx_fields *fields = &j->response->fields;
    dx_slice target;
    for (uint32_t i = 0; i < fields->count; i++)
        if (dx_slice_equal_nocase(fields->items[i].name, DX_SLICE("link")) &&
            dx_link_find(&target, fields->items[i].value, DX_SLICE("next")))
            return set_target(j, target);
    return DX_ERROR_NONE;
}

static dx_error_code next_url(judging *j) {
    yyjson_val *value = value_at(j, j->how->next_url);
    if (is_nothing(value)) return DX_ERROR_NONE;
    if (yyjson_is_str(value)) return set_target(j, dx_json_slice(value));
    return MALFORMED(j, "what is at %.*s is no URL (paginate.next_url)", DX_SLICE_ARG(j->how->next_url));
}

static dx_error_code next_told(judging *j) {
    if (j->less || (total_is_reached(j) && !j->more)) return DX_ERROR_NONE;
    dx_error_code code = j->how->type == DX_PAGING_CURSOR ? next_cursor(j) : j->how->type == DX_PAGING_LINK ? next_link(j) : next_url(j);
    if (!code && j->more && j->out->next.kind == DX_PLACE_END)
        return MALFORMED(j, "%.*s says that there is more, but nothing says where", DX_SLICE_ARG(j->how->has_more));
    return code;
}

// --- all of it ---------------------------------------------------------------------------------------------------------------------------

dx_error_code dx_page_judge(dx_page_facts *out, const dx_paginate *how, const dx_place *at, uint64_t before, const dx_response *response,
                            const dx_page_origin *from, dx_error *error) {
    judging j = {.out = out, .how = how, .at = at, .before = before, .response = response, .from = from, .error = error};
    *out = (dx_page_facts){.total = -1, .next = {.kind = DX_PLACE_END}, .trouble = DX_ERROR_INIT};
    j.root = dx_response_root(response);
    if (!j.root && response->body.size) return MALFORMED(&j, "the page is no JSON");
    dx_error_code code = take_items(&j);
    if (code) return code;
    yyjson_val *has_more = value_at(&j, how->has_more);
    j.more = yyjson_is_true(has_more);
    j.less = yyjson_is_false(has_more);
    take_total(&j);
    j.error = &out->trouble;
    code = how->type <= DX_PAGING_OFFSET ? next_number(&j) : next_told(&j);
    return code == DX_ERROR_NO_MEMORY ? dx_fail(error, code, "%s", out->trouble.message) : DX_ERROR_NONE;
}
