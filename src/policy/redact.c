// The redactor's functions: each finds the spans that must go and writes the rest. JSON is read, so that what is written is JSON again;
// every string in it is a text of its own.
#include "policy/redact.h"

#include "codec/json.h"
#include "policy/redact_parts.h"

typedef enum text_form { FORM_TEXT, FORM_URL, FORM_PARAMETERS } text_form;

// What of a URL are parameters: its query and its fragment.
static void find_in_url(dx_redactor *redactor, dx_spans *spans, dx_slice url) {
    size_t fragment = dx_slice_find(url, '#');
    size_t end = fragment == SIZE_MAX ? url.size : fragment;
    size_t query = dx_slice_find(dx_slice_of(url.data, end), '?');
    if (query != SIZE_MAX) dx_redact_find_parameters(redactor, spans, url, query + 1, end);
    if (fragment != SIZE_MAX) dx_redact_find_parameters(redactor, spans, url, fragment + 1, url.size);
}

static void find_all(dx_redactor *redactor, const dx_automaton *automaton, dx_spans *spans, dx_slice text, text_form form) {
    dx_redact_find_values(automaton, spans, text);
    dx_redact_find_named(redactor, spans, text);
    if (!redactor->options.no_patterns) dx_redact_find_patterns(spans, text);
    if (redactor->options.cards) dx_redact_find_cards(spans, text);
    if (form == FORM_URL) find_in_url(redactor, spans, text);
    if (form == FORM_PARAMETERS) dx_redact_find_parameters(redactor, spans, text, 0, text.size);
}

// Takes back what was written and leaves the mask.
static dx_status fail(dx_buffer *out, size_t before, dx_status status) {
    out->size = before;
    if (dx_buffer_status(out) == DX_OK) DX_BUFFER_LIT(out, DX_REDACTED);
    return status;
}

static dx_status write_with(dx_redactor *redactor, const dx_automaton *automaton, dx_buffer *out, dx_slice text, text_form form) {
    size_t before = out->size;
    dx_spans spans = {.items = NULL};
    find_all(redactor, automaton, &spans, text, form);
    dx_status status = dx_spans_write(&spans, out, text);
    dx_spans_deinit(&spans);
    return status == DX_OK ? DX_OK : fail(out, before, status);
}

static dx_status redact(dx_redactor *redactor, dx_buffer *out, dx_slice text, text_form form) {
    dx_automaton *automaton;
    if (text.size > DX_REDACT_TEXT_CAP) return fail(out, out->size, DX_TOO_LARGE);
    dx_status status = dx_redactor_hold(redactor, &automaton);
    if (status != DX_OK) return fail(out, out->size, status);
    status = write_with(redactor, automaton, out, text, form);
    dx_redactor_release(redactor, automaton);
    return status;
}

dx_status dx_redact_text(dx_redactor *redactor, dx_buffer *out, dx_slice text) {
    return redact(redactor, out, text, FORM_TEXT);
}

dx_status dx_redact_url(dx_redactor *redactor, dx_buffer *out, dx_slice url) {
    return redact(redactor, out, url, FORM_URL);
}

dx_status dx_redact_form(dx_redactor *redactor, dx_buffer *out, dx_slice body) {
    return redact(redactor, out, body, FORM_PARAMETERS);
}

// What was put together of pieces is looked at once more: a value that reaches over their bounds (`","` is in it) is seen only now. Better
// text that is no JSON than that.
static dx_status write_again(const dx_automaton *automaton, dx_buffer *out, size_t before) {
    dx_slice written = dx_slice_of(out->data + before, out->size - before);
    dx_spans spans = {.items = NULL};
    dx_redact_find_values(automaton, &spans, written);
    dx_status status = spans.status;
    if (status == DX_OK && spans.count) {
        dx_buffer copy;
        dx_buffer_init(&copy, NULL, written.size);
        dx_buffer_add(&copy, written);
        out->size = before;
        status = dx_buffer_status(&copy);
        if (status == DX_OK) status = dx_spans_write(&spans, out, dx_buffer_slice(&copy));
        dx_buffer_deinit(&copy);
    }
    dx_spans_deinit(&spans);
    return status;
}

// --- header fields -----------------------------------------------------------------------------------------------------------

static dx_status mask(dx_buffer *out) {
    DX_BUFFER_LIT(out, DX_REDACTED);
    return dx_buffer_status(out);
}

// "Bearer x": the scheme may be seen. A value without one is a credential as a whole.
static dx_status write_credentials(dx_redactor *redactor, dx_buffer *out, dx_slice value) {
    size_t space = dx_slice_find(value, ' ');
    if (space == SIZE_MAX || space > 32) return mask(out);
    dx_status status = redact(redactor, out, dx_slice_of(value.data, space), FORM_TEXT);
    if (status != DX_OK) return status;
    dx_buffer_byte(out, ' ');
    return mask(out);
}

// Names stay, and with `first_only` (Set-Cookie) the attributes behind the first.
static dx_status write_cookies(dx_redactor *redactor, dx_buffer *out, dx_slice value, bool first_only) {
    for (bool first = true; value.data; first = false) {
        dx_slice pair = dx_slice_trim(dx_slice_cut(&value, ';'));
        if (!first) DX_BUFFER_LIT(out, "; ");
        size_t equals = dx_slice_find(pair, '=');
        bool attribute = first_only && !first;
        dx_slice shown = attribute ? pair : dx_slice_of(pair.data, equals == SIZE_MAX ? 0 : equals);
        dx_status status = redact(redactor, out, shown, FORM_TEXT);
        if (status != DX_OK) return status;
        if (attribute || pair.size == 0) continue;
        if (equals != SIZE_MAX) dx_buffer_byte(out, '=');
        (void)mask(out);
    }
    return dx_buffer_status(out);
}

static dx_status write_field(dx_redactor *redactor, dx_buffer *out, dx_slice name, dx_slice value) {
    static const char *const urls[] = {"location", "content-location", "referer", "origin", ":path"};
    if (dx_slice_equal_nocase(name, DX_SLICE("authorization")) || dx_slice_equal_nocase(name, DX_SLICE("proxy-authorization")))
        return write_credentials(redactor, out, value);
    if (dx_slice_equal_nocase(name, DX_SLICE("cookie"))) return write_cookies(redactor, out, value, false);
    if (dx_slice_equal_nocase(name, DX_SLICE("set-cookie"))) return write_cookies(redactor, out, value, true);
    if (dx_redactor_is_secret_name(redactor, name)) return mask(out);
    for (size_t i = 0; i < DX_COUNT_OF(urls); i++)
        if (dx_slice_equal_nocase(name, dx_slice_str(urls[i]))) return dx_redact_url(redactor, out, value);
    return dx_redact_text(redactor, out, value);
}

dx_status dx_redact_field(dx_redactor *redactor, dx_buffer *out, dx_slice name, dx_slice value) {
    dx_automaton *automaton;
    size_t before = out->size;
    if (value.size == 0) return dx_buffer_status(out);
    dx_status status = dx_redactor_hold(redactor, &automaton);
    if (status != DX_OK) return fail(out, before, status);
    status = write_field(redactor, out, name, value);
    if (status == DX_OK) status = write_again(automaton, out, before);
    dx_redactor_release(redactor, automaton);
    return status == DX_OK ? DX_OK : fail(out, before, status);
}

// --- JSON --------------------------------------------------------------------------------------------------------------------

typedef struct writing {
    dx_redactor *redactor;
    const dx_automaton *automaton;
    dx_buffer *out;
    dx_buffer text; // of the string at hand, redacted
} writing;

static dx_status write_string(writing *w, dx_slice text) {
    dx_buffer_clear(&w->text);
    dx_status status = write_with(w->redactor, w->automaton, &w->text, text, FORM_TEXT);
    if (status == DX_OK) dx_json_write_string(w->out, dx_buffer_slice(&w->text));
    return status;
}

// A number stays as it stood, or becomes a string when it is a secret.
static dx_status write_number(writing *w, dx_slice raw) {
    dx_buffer_clear(&w->text);
    dx_status status = write_with(w->redactor, w->automaton, &w->text, raw, FORM_TEXT);
    if (status != DX_OK) return status;
    if (dx_slice_equal(dx_buffer_slice(&w->text), raw))
        dx_buffer_add(w->out, raw);
    else
        dx_json_write_string(w->out, dx_buffer_slice(&w->text));
    return DX_OK;
}

static void write_mask(dx_buffer *out) {
    DX_BUFFER_LIT(out, "\"" DX_REDACTED "\"");
}

static dx_status write_value(writing *w, yyjson_val *value, size_t depth);

static dx_status write_member(writing *w, yyjson_val *name, yyjson_val *value, size_t depth) {
    dx_status status = write_string(w, dx_json_slice(name));
    if (status != DX_OK) return status;
    dx_buffer_byte(w->out, ':');
    bool tells_nothing = yyjson_is_null(value) || yyjson_is_bool(value);
    if (tells_nothing || !dx_redactor_is_secret_name(w->redactor, dx_json_slice(name))) return write_value(w, value, depth);
    write_mask(w->out);
    return DX_OK;
}

static dx_status write_container(writing *w, yyjson_val *value, size_t depth) {
    size_t at, count;
    yyjson_val *name, *item;
    dx_status status = DX_OK;
    bool object = yyjson_is_obj(value);
    dx_buffer_byte(w->out, object ? '{' : '[');
    if (object) {
        yyjson_obj_foreach(value, at, count, name, item) {
            if (at) dx_buffer_byte(w->out, ',');
            if ((status = write_member(w, name, item, depth + 1)) != DX_OK) return status;
        }
    } else {
        yyjson_arr_foreach(value, at, count, item) {
            if (at) dx_buffer_byte(w->out, ',');
            if ((status = write_value(w, item, depth + 1)) != DX_OK) return status;
        }
    }
    dx_buffer_byte(w->out, object ? '}' : ']');
    return DX_OK;
}

static dx_status write_value(writing *w, yyjson_val *value, size_t depth) {
    if (yyjson_is_ctn(value)) {
        if (depth < DX_REDACT_DEPTH_CAP) return write_container(w, value, depth);
        write_mask(w->out);
        return DX_OK;
    }
    if (yyjson_is_str(value)) return write_string(w, dx_json_slice(value));
    if (yyjson_is_raw(value)) return write_number(w, dx_slice_of(yyjson_get_raw(value), yyjson_get_len(value)));
    dx_json_write_value(w->out, value);
    return DX_OK;
}

static dx_status write_tree(dx_redactor *redactor, const dx_automaton *automaton, dx_buffer *out, yyjson_val *root) {
    writing w = {.redactor = redactor, .automaton = automaton, .out = out};
    size_t before = out->size;
    dx_buffer_init(&w.text, NULL, DX_REDACT_TEXT_CAP * 4);
    dx_status status = write_value(&w, root, 0);
    dx_buffer_deinit(&w.text);
    if (status == DX_OK) status = dx_buffer_status(out);
    if (status == DX_OK) status = write_again(automaton, out, before);
    return status == DX_OK ? DX_OK : fail(out, before, status);
}

dx_status dx_redact_json(dx_redactor *redactor, dx_buffer *out, dx_slice body) {
    dx_automaton *automaton = NULL;
    yyjson_read_err error;
    if (body.size > DX_REDACT_TEXT_CAP) return fail(out, out->size, DX_TOO_LARGE);
    dx_arena *arena = dx_arena_create(body.size * 40 + ((size_t)64 << 10)); // 16 bytes a value, and a copy
    if (!arena) return fail(out, out->size, DX_NO_MEMORY);
    yyjson_alc alc = dx_json_alc(arena);
    yyjson_doc *doc = body.size ? yyjson_read_opts((char *)body.data, body.size, YYJSON_READ_NUMBER_AS_RAW, &alc, &error) : NULL;
    dx_status status = dx_redactor_hold(redactor, &automaton);
    if (status != DX_OK)
        status = fail(out, out->size, status);
    else if (doc)
        status = write_tree(redactor, automaton, out, yyjson_doc_get_root(doc));
    else
        status = write_with(redactor, automaton, out, body, FORM_TEXT);
    dx_redactor_release(redactor, automaton);
    dx_arena_destroy(arena);
    return status;
}
