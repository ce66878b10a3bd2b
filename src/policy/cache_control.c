#include "policy/cache_control.h"

#include "base/compiler.h"

static const dx_slice FIELD = DX_SLICE_INIT("cache-control");

typedef struct directive {
    dx_slice name, value; // a quoted value without its quotation marks
    bool has_value, quoted;
    bool broken; // it does not follow the grammar
} directive;

bool dx_delta_seconds_read(dx_slice text, int64_t *out) {
    int64_t value = 0;
    if (!text.size) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        if (value < DX_DELTA_SECONDS_CAP) value = value * 10 + (text.data[i] - '0');
    }
    *out = value < DX_DELTA_SECONDS_CAP ? value : DX_DELTA_SECONDS_CAP;
    return true;
}

// A tchar of RFC 9110 section 5.6.2.
static bool is_token_byte(unsigned char byte) {
    if ((byte >= '0' && byte <= '9') || ((byte | 0x20u) >= 'a' && (byte | 0x20u) <= 'z')) return true;
    return byte && byte < 0x80 && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

static size_t token_size(dx_slice text) {
    size_t size = 0;
    while (size < text.size && is_token_byte((unsigned char)text.data[size])) size++;
    return size;
}

// Cuts the next element off at a comma outside quotation marks. False: a quotation mark is never closed.
static bool next_element(dx_slice *rest, dx_slice *element) {
    bool quoted = false;
    size_t at = 0;
    for (; at < rest->size && (quoted || rest->data[at] != ','); at++) {
        if (rest->data[at] == '"') quoted = !quoted;
        if (rest->data[at] == '\\' && quoted) at++;
    }
    bool whole = !quoted;
    if (at > rest->size) at = rest->size; // ended in a backslash
    *element = dx_slice_trim(dx_slice_of(rest->data, at));
    *rest = at < rest->size ? dx_slice_of(rest->data + at + 1, rest->size - at - 1) : (dx_slice){NULL, 0};
    return whole;
}

// token [ "=" ( token / quoted-string ) ]
static directive split(dx_slice element) {
    size_t size = token_size(element);
    directive found = {.name = dx_slice_of(element.data, size)};
    dx_slice rest = dx_slice_from(element, size);
    if (!rest.size) return found;
    if (rest.data[0] != '=') {
        found.broken = true;
        return found;
    }
    rest = dx_slice_from(rest, 1);
    found.has_value = true;
    found.quoted = rest.size >= 2 && rest.data[0] == '"' && rest.data[rest.size - 1] == '"';
    found.value = found.quoted ? dx_slice_of(rest.data + 1, rest.size - 2) : rest;
    found.broken = found.quoted ? dx_slice_find(found.value, '"') != SIZE_MAX : !rest.size || token_size(rest) != rest.size;
    return found;
}

// A second value that differs makes the directive unreadable (section 4.2.1 leaves the first or "stale": this is "stale").
static void take_seconds(dx_cache_delta *delta, const directive *found) {
    int64_t seconds = -1;
    bool reads = found->has_value && !found->broken && dx_delta_seconds_read(found->value, &seconds);
    bool differs = delta->given == DX_SECONDS_BROKEN || (delta->given == DX_SECONDS_GIVEN && delta->seconds != seconds);
    *delta = (dx_cache_delta){reads && !differs ? DX_SECONDS_GIVEN : DX_SECONDS_BROKEN, seconds};
}

static void take_no_cache(dx_cache_control *out, const directive *found) {
    bool named = found->has_value && !found->broken && dx_slice_trim(found->value).size;
    if (!named || out->no_cache_lists == DX_CACHE_FIELD_LISTS) {
        out->no_cache = true;
    } else {
        out->no_cache_fields[out->no_cache_lists++] = found->value;
    }
}

typedef enum known {
    NO_STORE,
    NO_CACHE,
    MUST_REVALIDATE,
    MUST_UNDERSTAND,
    PUBLIC,
    PRIVATE,
    IMMUTABLE,
    ONLY_IF_CACHED,
    MAX_AGE,
    MAX_STALE,
    MIN_FRESH,
    STALE_WHILE_REVALIDATE,
    STALE_IF_ERROR,
    UNKNOWN
} known;

static const dx_slice NAMES[UNKNOWN] = {
    [NO_STORE] = DX_SLICE_INIT("no-store"),
    [NO_CACHE] = DX_SLICE_INIT("no-cache"),
    [MUST_REVALIDATE] = DX_SLICE_INIT("must-revalidate"),
    [MUST_UNDERSTAND] = DX_SLICE_INIT("must-understand"),
    [PUBLIC] = DX_SLICE_INIT("public"),
    [PRIVATE] = DX_SLICE_INIT("private"),
    [IMMUTABLE] = DX_SLICE_INIT("immutable"),
    [ONLY_IF_CACHED] = DX_SLICE_INIT("only-if-cached"),
    [MAX_AGE] = DX_SLICE_INIT("max-age"),
    [MAX_STALE] = DX_SLICE_INIT("max-stale"),
    [MIN_FRESH] = DX_SLICE_INIT("min-fresh"),
    [STALE_WHILE_REVALIDATE] = DX_SLICE_INIT("stale-while-revalidate"),
    [STALE_IF_ERROR] = DX_SLICE_INIT("stale-if-error"),
};

static known look_up(dx_slice name) {
    for (size_t i = 0; i < UNKNOWN; i++) {
        if (dx_slice_equal_nocase(name, NAMES[i])) return (known)i;
    }
    return UNKNOWN;
}

// A directive that takes no value counts with one too: "no-store=0" is still a wish not to be stored. Leave, on the other hand, is taken
// from an exact word alone.
static void take(dx_cache_control *out, const directive *found) {
    switch (look_up(found->name)) {
    case NO_STORE:
        out->no_store = true;
        break;
    case NO_CACHE:
        take_no_cache(out, found);
        break;
    case MUST_REVALIDATE:
        out->must_revalidate = true;
        break;
    case MUST_UNDERSTAND:
        out->must_understand = !found->broken;
        break;
    case PUBLIC:
        out->is_public = !found->broken;
        break;
    case PRIVATE:
        out->is_private = !found->broken;
        break;
    case IMMUTABLE:
        out->immutable = !found->broken;
        break;
    case ONLY_IF_CACHED:
        out->only_if_cached = true;
        break;
    case MAX_AGE:
        take_seconds(&out->max_age, found);
        break;
    case MAX_STALE:
        if (!found->has_value && !found->broken) {
            out->max_stale_any = true;
        } else {
            take_seconds(&out->max_stale, found);
        }
        break;
    case MIN_FRESH:
        take_seconds(&out->min_fresh, found);
        break;
    case STALE_WHILE_REVALIDATE:
        take_seconds(&out->stale_while_revalidate, found);
        break;
    case STALE_IF_ERROR:
        take_seconds(&out->stale_if_error, found);
        break;
    case UNKNOWN:
        break;
    }
}

static void read_line(dx_cache_control *out, dx_slice value) {
    out->present = true;
    while (value.data) {
        dx_slice element;
        if (!next_element(&value, &element)) out->no_cache = true; // what stands in the quotation and what behind it can't be told
        if (!element.size) continue;
        directive found = split(element);
        take(out, &found);
    }
}

void dx_cache_control_read(dx_cache_control *out, const dx_fields *fields) {
    *out = (dx_cache_control){0};
    for (uint32_t i = 0; i < fields->count; i++) {
        const dx_field *field = &fields->items[i];
        if (field->id == DX_FIELD_OTHER && dx_slice_equal_nocase(field->name, FIELD)) read_line(out, field->value);
    }
}

bool dx_cache_control_bars(const dx_cache_control *control, dx_slice name) {
    for (size_t i = 0; i < control->no_cache_lists; i++) {
        if (dx_http_list_has(control->no_cache_fields[i], name)) return true;
    }
    return false;
}
