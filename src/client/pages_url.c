// Next pages that are URLs: resolved against the page that named them, and called at the API's own origin or not at all. Servers behind a
// proxy that ends TLS write http where they mean https; of such a URL path and query are good all the same, since the request goes to the
// API's own origin in any case.
#include "client/pages_place.h"
#include "codec/text.h"
#include "policy/cache_url.h"

static dx_slice query_of(dx_slice target) {
    size_t question = dx_slice_find(target, '?');
    return question == SIZE_MAX ? (dx_slice){0} : dx_slice_from(target, question + 1);
}

// The name of a parameter as it is meant; as it is written where its escapes are broken.
static dx_slice name_of(dx_slice pair, dx_arena *arena) {
    dx_slice name = dx_slice_cut(&pair, '='), decoded;
    return dx_percent_decode(&decoded, arena, name, true) == DX_OK ? decoded : name;
}

static bool has_name(dx_slice query, dx_arena *arena, dx_slice name) {
    while (query.size)
        if (dx_slice_equal(name_of(dx_slice_cut(&query, '&'), arena), name)) return true;
    return false;
}

// Path and query of an absolute URL that is normalised.
static dx_slice target_of(dx_slice url) {
    size_t colon = dx_slice_find(url, ':');
    dx_slice rest = dx_slice_from(url, colon + 3);
    size_t end = 0;
    while (end < rest.size && rest.data[end] != '/' && rest.data[end] != '?') end++;
    return dx_slice_from(rest, end);
}

static bool is_of(dx_slice url, dx_slice origin, dx_arena *arena) {
    if (dx_cache_url_same_origin(url, origin)) return true;
    if (!dx_slice_starts(url, DX_SLICE("http://")) || !dx_slice_starts(origin, DX_SLICE("https://"))) return false;
    dx_slice upgraded = dx_arena_printf(arena, "https%.*s", DX_SLICE_ARG(dx_slice_from(url, 4)));
    return upgraded.data && dx_cache_url_same_origin(upgraded, origin);
}

// What the page's URL had that its request had not at first, auth has put there, and will again.
static dx_status drop_added(dx_slice *target, dx_arena *arena, const dx_page_origin *from, dx_slice sent) {
    dx_slice rest = query_of(*target), added = query_of(sent), own = query_of(from->target);
    dx_buffer out;
    if (!rest.size || dx_slice_equal(added, own)) return DX_OK;
    dx_buffer_init(&out, arena, target->size + 1);
    dx_buffer_append(&out, target->data, (size_t)(rest.data - target->data) - 1);
    char separator = '?';
    while (rest.size) {
        dx_slice pair = dx_slice_cut(&rest, '&'), name = name_of(pair, arena);
        if (has_name(added, arena, name) && !has_name(own, arena, name)) continue;
        dx_buffer_byte(&out, separator);
        dx_buffer_add(&out, pair);
        separator = '&';
    }
    *target = dx_buffer_slice(&out);
    return dx_buffer_status(&out) == DX_OK ? DX_OK : DX_NO_MEMORY;
}

dx_status dx_page_target(dx_slice *out, dx_arena *arena, const dx_page_origin *from, dx_slice reference) {
    dx_slice origin, base, url;
    dx_status status = dx_cache_url_normalise(&origin, arena, from->origin);
    if (status == DX_OK) status = dx_cache_url_normalise(&base, arena, from->url);
    if (status == DX_OK) status = dx_cache_url_resolve(&url, arena, base, dx_slice_trim(reference));
    if (status != DX_OK) return status;
    if (!is_of(url, origin, arena)) return DX_FORBIDDEN;
    *out = target_of(url);
    return drop_added(out, arena, from, target_of(base));
}

// --- without secrets -----------------------------------------------------------------------------------------------------------------

// Names that only say where a list goes on, however much they look like a secret's.
static bool leads_on(dx_slice name) {
    static const char *const words[] = {"page", "next", "cursor", "continu", "after", "start", "skip"};
    for (size_t i = 0; i < DX_COUNT_OF(words); i++) {
        dx_slice word = dx_slice_str(words[i]);
        for (size_t at = 0; at + word.size <= name.size; at++)
            if (dx_slice_equal_nocase(dx_slice_of(name.data + at, word.size), word)) return true;
    }
    return false;
}

void dx_page_target_write(dx_buffer *out, dx_slice target, dx_redactor *redactor) {
    dx_slice rest = query_of(target);
    dx_buffer_append(out, target.data, rest.data ? (size_t)(rest.data - target.data) - 1 : target.size);
    char separator = '?';
    while (rest.size) {
        dx_slice pair = dx_slice_cut(&rest, '&'), value = pair, name = dx_slice_cut(&value, '=');
        if (dx_redactor_is_secret_name(redactor, name) && !leads_on(name)) continue;
        dx_buffer_byte(out, separator);
        dx_buffer_add(out, pair);
        separator = '&';
    }
}
