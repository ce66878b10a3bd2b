// A login is a request whose URL, headers and body the definition writes out, with {names} for what is filled in: the object "params", and
// when a token is renewed {refresh_token} and {access_token}.
#include "client/dynamic_token.h"

#include "client/token_form.h"
#include "codec/text.h"
#include "crypto/digest.h"

typedef struct endpoint {
    bool given;
    dx_slice url;
    dx_method method;
    dx_token_format format;
    yyjson_val *headers, *body; // the body may be a text, which is sent as it is
    dx_slice content_type;      // of a text
} endpoint;

typedef enum expiry_format { EXPIRY_AUTO, EXPIRY_SECONDS, EXPIRY_MOMENT } expiry_format;

typedef struct dynamic_token {
    dx_arena *arena;
    endpoint login, refresh;
    yyjson_val *params;
    dx_slice token_path, refresh_path, expires_path;
    expiry_format expiry;
} dynamic_token;

// --- settings ------------------------------------------------------------------------------------------------------------------------
static yyjson_val *copied(dx_auth_reader *reader, yyjson_val *value) {
    yyjson_alc alc = dx_json_alc(reader->arena);
    yyjson_mut_doc *doc = value ? dx_json_mut_doc(reader->arena) : NULL;
    yyjson_mut_val *copy = doc ? yyjson_val_mut_copy(doc, value) : NULL;
    yyjson_val *fixed = copy ? yyjson_doc_get_root(yyjson_mut_val_imut_copy(copy, &alc)) : NULL;
    if (value && !fixed) reader->status = DX_NO_MEMORY;
    return fixed;
}

// An absolute URL, or a path of the API's.
static dx_slice read_url(dx_auth_reader *within, const dx_auth_plan *plan, bool allow_http) {
    dx_slice path = dx_auth_text(within, "path"), url = dx_auth_text(within, "url");
    if (path.size && url.size) dx_auth_refuse(within, "path", "\"url\" and \"path\" are two ways to say the same");
    if (!path.size && !url.size) dx_auth_refuse(within, NULL, "it needs \"path\" (below the API's base_url) or \"url\"");
    if (path.size && path.data[0] != '/') dx_auth_refuse(within, "path", "\"path\" begins with a slash");
    if (path.size)
        url = dx_arena_printf(within->arena, "%s://%.*s%.*s%.*s", plan->secure ? "https" : "http", DX_SLICE_ARG(plan->authority),
                              DX_SLICE_ARG(plan->base_path), DX_SLICE_ARG(path));
    if (url.size) dx_auth_check_url(within, path.size ? "path" : "url", url, allow_http);
    return url;
}

static void read_endpoint(endpoint *out, dx_auth_reader *reader, const char *name, const dx_auth_plan *plan, bool allow_http) {
    static const char *const names[] = {"url", "path", "method", "headers", "body", "body_format", "content_type", NULL};
    static const char *const methods[] = {"POST", "GET", "PUT", "PATCH", NULL};
    static const dx_method numbers[] = {DX_POST, DX_GET, DX_PUT, DX_PATCH};
    dx_auth_reader within = dx_auth_reader_within(reader, name);
    if (within.settings) {
        dx_auth_know(&within, names);
        out->given = true;
        out->url = read_url(&within, plan, allow_http);
        out->method = numbers[dx_auth_word(&within, "method", methods, 0)];
        out->format = (dx_token_format)dx_auth_word(&within, "body_format", dx_token_format_names,
                                                    out->method == DX_GET ? DX_TOKEN_QUERY : DX_TOKEN_JSON);
        out->headers = copied(&within, dx_auth_object(&within, "headers"));
        out->body = copied(&within, yyjson_obj_get(within.settings, "body"));
        out->content_type = dx_auth_text(&within, "content_type");
        if (out->body && !yyjson_is_obj(out->body) && !yyjson_is_str(out->body))
            dx_auth_refuse(&within, "body", "\"body\" must be an object or a text");
        if (out->method == DX_GET && out->format != DX_TOKEN_QUERY)
            dx_auth_refuse(&within, "body_format", "a GET has no body; \"query\" puts it into the URL");
    }
    dx_auth_reader_join(reader, &within);
}

static void wipe(void *ctx) {
    dynamic_token *d = ctx;
    size_t index, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(d->params, index, count, key, value) {
        if (yyjson_is_str(value)) dx_secret_wipe((void *)(uintptr_t)yyjson_get_str(value), yyjson_get_len(value));
    }
}

void *dx_dynamic_token_read(dx_auth_reader *reader, const dx_auth_plan *plan) {
    static const char *const names[] = {"login",          "refresh", "params", "token_path", "refresh_token_path",    "expires_path",
                                        "expires_format", "in",      "name",   "prefix",     DX_TOKEN_SETTINGS_NAMES, NULL};
    static const char *const formats[] = {"auto", "seconds", "moment", NULL};
    dx_arena *arena = dx_arena_create((size_t)4 << 20), *before = reader->arena;
    dynamic_token *d = arena ? DX_ARENA_NEW(arena, dynamic_token) : NULL;
    if (!d || dx_arena_defer(arena, wipe, d) != DX_OK) {
        dx_arena_destroy(arena);
        return NULL;
    }
    d->arena = reader->arena = arena;
    dx_auth_know(reader, names);
    bool allow_http = dx_auth_flag(reader, "allow_http", false);
    read_endpoint(&d->login, reader, "login", plan, allow_http);
    read_endpoint(&d->refresh, reader, "refresh", plan, allow_http);
    if (!d->login.given) dx_auth_refuse(reader, "login", "auth needs \"login\", an object");
    d->params = copied(reader, dx_auth_object(reader, "params"));
    d->token_path = dx_auth_pointer(reader, "token_path", "/token");
    d->refresh_path = dx_auth_pointer(reader, "refresh_token_path", "/refresh_token");
    d->expires_path = dx_auth_pointer(reader, "expires_path", "/expires_in");
    d->expiry = (expiry_format)dx_auth_word(reader, "expires_format", formats, EXPIRY_AUTO);
    reader->arena = before;
    return d;
}

// --- filling in ----------------------------------------------------------------------------------------------------------------------
typedef struct filling {
    const dynamic_token *source;
    dx_arena *arena;
    const dx_token *old;
    bool failed;
} filling;

static bool value_of(const filling *f, dx_slice name, dx_slice *out) {
    yyjson_val *value = yyjson_obj_getn(f->source->params, name.data, name.size);
    if (f->old && dx_slice_equal(name, DX_SLICE("refresh_token"))) {
        *out = f->old->refresh;
    } else if (f->old && dx_slice_equal(name, DX_SLICE("access_token"))) {
        *out = f->old->access;
    } else if (yyjson_is_str(value)) {
        *out = dx_json_slice(value);
    } else {
        return false;
    }
    return true;
}

// A {name} that is none of ours stays as it is: it may be what the API wants.
static dx_slice fill(filling *f, dx_slice text) {
    dx_buffer out;
    if (dx_slice_find(text, '{') == SIZE_MAX) return text;
    dx_buffer_init(&out, f->arena, (size_t)256 << 10);
    while (text.size) {
        size_t open = dx_slice_find(text, '{');
        if (open == SIZE_MAX) break;
        dx_buffer_add(&out, dx_slice_of(text.data, open));
        text = dx_slice_from(text, open);
        size_t close = dx_slice_find(text, '}');
        dx_slice value;
        if (close != SIZE_MAX && value_of(f, dx_slice_of(text.data + 1, close - 1), &value)) {
            dx_buffer_add(&out, value);
            text = dx_slice_from(text, close + 1);
        } else {
            dx_buffer_byte(&out, '{');
            text = dx_slice_from(text, 1);
        }
    }
    dx_buffer_add(&out, text);
    if (dx_buffer_status(&out) != DX_OK) f->failed = true;
    return dx_buffer_slice(&out);
}

enum { DEPTH_CAP = 32 };

static yyjson_mut_val *fill_tree(filling *f, yyjson_mut_doc *doc, yyjson_val *tree, unsigned depth) {
    size_t index, count;
    yyjson_val *key, *value;
    if (yyjson_is_str(tree)) {
        dx_slice text = fill(f, dx_json_slice(tree));
        return yyjson_mut_strncpy(doc, text.size ? text.data : "", text.size);
    }
    if (!yyjson_is_ctn(tree) || depth == DEPTH_CAP) return yyjson_val_mut_copy(doc, tree);
    yyjson_mut_val *made = yyjson_is_obj(tree) ? yyjson_mut_obj(doc) : yyjson_mut_arr(doc);
    if (yyjson_is_obj(tree)) {
        yyjson_obj_foreach(tree, index, count, key, value) {
            yyjson_mut_val *inner = fill_tree(f, doc, value, depth + 1);
            if (!inner || !yyjson_mut_obj_add(made, yyjson_val_mut_copy(doc, key), inner)) return NULL;
        }
        return made;
    }
    yyjson_arr_foreach(tree, index, count, value) {
        yyjson_mut_val *inner = fill_tree(f, doc, value, depth + 1);
        if (!inner || !yyjson_mut_arr_append(made, inner)) return NULL;
    }
    return made;
}

static yyjson_val *filled(filling *f, yyjson_val *tree) {
    yyjson_alc alc = dx_json_alc(f->arena);
    yyjson_mut_doc *doc = tree ? dx_json_mut_doc(f->arena) : NULL;
    yyjson_mut_val *made = doc ? fill_tree(f, doc, tree, 0) : NULL;
    yyjson_val *fixed = made ? yyjson_doc_get_root(yyjson_mut_val_imut_copy(made, &alc)) : NULL;
    if (tree && !fixed) f->failed = true;
    return fixed;
}

static dx_status write_body(filling *f, const endpoint *e, dx_token_ask *out) {
    yyjson_val *body = filled(f, e->body);
    if (yyjson_is_str(body)) {
        out->body = dx_json_slice(body);
        dx_slice type = e->content_type.size ? e->content_type : DX_SLICE("text/plain");
        return dx_fields_add(&out->fields, f->arena, DX_SLICE("Content-Type"), type);
    }
    dx_token_form *form = DX_ARENA_NEW(f->arena, dx_token_form);
    if (!form) return DX_NO_MEMORY;
    form->arena = f->arena;
    dx_token_form_set_all(form, body);
    return dx_token_form_write(form, e->format, out);
}

static dx_status source_ask(void *source, dx_arena *arena, const dx_token *old, dx_token_ask *out, dx_slice *why) {
    const dynamic_token *d = source;
    bool renewal = d->refresh.given && old && old->refresh.size;
    const endpoint *e = renewal ? &d->refresh : &d->login;
    filling f = {d, arena, renewal ? old : NULL, false};
    (void)why;
    *out = (dx_token_ask){.url = e->url, .method = e->method};
    dx_status status = dx_fields_add(&out->fields, arena, DX_SLICE("Accept"), DX_SLICE("application/json"));
    if (status == DX_OK) status = dx_token_add_headers(out, arena, filled(&f, e->headers));
    if (status == DX_OK) status = write_body(&f, e, out);
    return f.failed ? DX_NO_MEMORY : status;
}

// --- taking --------------------------------------------------------------------------------------------------------------------------
enum { SECRETS_CAP = 34 };

static size_t texts_of(yyjson_val *object, dx_slice *out, size_t room) {
    size_t index, count, found = 0;
    yyjson_val *key, *value;
    yyjson_obj_foreach(object, index, count, key, value) {
        if (found < room && yyjson_is_str(value)) out[found++] = dx_json_slice(value);
    }
    return found;
}

// Nobody says which of what is sent is the password.
static size_t secrets_of(const dynamic_token *d, const dx_token *old, dx_slice *out) {
    size_t found = texts_of(d->params, out, SECRETS_CAP - 2);
    found += texts_of(d->login.body, out + found, SECRETS_CAP - 2 - found);
    if (old) {
        out[found++] = old->access;
        out[found++] = old->refresh;
    }
    return found;
}

#define LIFETIME_MOST 3.2e8 // seconds, ten years: a larger number is a moment

static dx_micros_utc expiry_of(const dynamic_token *d, yyjson_val *root, dx_slice access, dx_arena *arena) {
    yyjson_val *value = dx_json_at(root, d->expires_path);
    dx_slice text = dx_json_slice(value);
    int64_t number = 0;
    bool lifetime =
        yyjson_is_num(value) ? yyjson_get_num(value) <= LIFETIME_MOST : dx_slice_to_i64(text, &number) && (double)number <= LIFETIME_MOST;
    if (d->expiry == EXPIRY_SECONDS || (d->expiry == EXPIRY_AUTO && lifetime))
        return dx_token_expiry(value, NULL, access, dx_clock_utc(), arena);
    return dx_token_expiry(NULL, value, access, dx_clock_utc(), arena);
}

static dx_token_outcome source_take(void *source, dx_arena *arena, const dx_exchange_response *response, const dx_token *old, dx_token *out,
                                    dx_slice *why) {
    const dynamic_token *d = source;
    yyjson_val *root = dx_token_answer_read(arena, response);
    dx_slice secrets[SECRETS_CAP];
    bool renewal = d->refresh.given && old && old->refresh.size;
    out->access = dx_token_answer_text(root, d->token_path, arena);
    if (response->status >= 200 && response->status < 300 && out->access.size) {
        out->refresh = dx_token_answer_text(root, d->refresh_path, arena);
        out->expires = expiry_of(d, root, out->access, arena);
        return DX_TOKEN_GOT;
    }
    *why =
        dx_token_say(arena, renewal ? "the refresh endpoint" : "the login endpoint", response, root, secrets, secrets_of(d, old, secrets));
    if (response->status < 300)
        *why = dx_arena_printf(arena, "%.*s, without a token at token_path (%.*s)", DX_SLICE_ARG(*why), DX_SLICE_ARG(d->token_path));
    if (dx_token_is_busy(response->status)) return DX_TOKEN_BUSY;
    return renewal && response->status >= 400 ? DX_TOKEN_REFUSED : DX_TOKEN_FAILED; // then the login is what is left
}

static void source_destroy(void *source) {
    dx_arena_destroy(((dynamic_token *)source)->arena);
}

const dx_token_source_ops dx_dynamic_token_source = {source_ask, source_take, source_destroy};
