// Getting pages ready: the endpoint's setting, copies of all that each page's call needs, and the place where they begin.
#include <stdio.h>

#include "base/memory.h"
#include "client/fail.h"
#include "client/keep.h"
#include "client/pages_parts.h"

#define PAGES_ARENA_CAP ((size_t)64 << 20)

static const dx_pages_options no_options = DX_PAGES_OPTIONS_INIT;

static dx_error_code no_memory(dx_error *error) {
    (void)dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the pages");
    return DX_ERROR_NO_MEMORY;
}

// --- the object --------------------------------------------------------------------------------------------------------------------------

static void destroy(dx_pages *pages) {
    dx_response_release(pages->page);
    dx_memory_free(pages->json);
    dx_memory_free(pages->tokens);
    dx_place_clear(&pages->at);
    dx_place_clear(&pages->page_at);
    dx_redactor_destroy(pages->redactor);
    (void)pthread_mutex_destroy(&pages->lock);
    (void)pthread_cond_destroy(&pages->changed);
    dx_arena_destroy(pages->arena);
    dx_memory_free(pages);
}

void dx_pages_hold(dx_pages *pages) {
    (void)atomic_fetch_add_explicit(&pages->holders, 1, memory_order_relaxed);
}

void dx_pages_let_go(dx_pages *pages) {
    if (atomic_fetch_sub_explicit(&pages->holders, 1, memory_order_acq_rel) == 1) destroy(pages);
}

static dx_pages *create(dx_client *client) {
    dx_pages *pages = dx_memory_zalloc(1, sizeof *pages);
    if (!pages) return NULL;
    pages->arena = dx_arena_create(PAGES_ARENA_CAP);
    if (!pages->arena) {
        dx_memory_free(pages);
        return NULL;
    }
    atomic_init(&pages->holders, 1);
    (void)pthread_mutex_init(&pages->lock, NULL);
    (void)pthread_cond_init(&pages->changed, NULL);
    pages->client = client;
    pages->total = -1;
    return pages;
}

// --- what it is asked by -----------------------------------------------------------------------------------------------------------------

static bool arg_number(const dx_arg *arg, uint64_t *out) {
    if (arg->kind == DX_ARG_UINT) *out = arg->value.u64;
    if (arg->kind == DX_ARG_INT && arg->value.i64 >= 0) *out = (uint64_t)arg->value.i64;
    if (arg->kind == DX_ARG_UINT || arg->kind == DX_ARG_INT) return arg->kind == DX_ARG_UINT ? *out <= INT64_MAX : arg->value.i64 >= 0;
    return (arg->kind == DX_ARG_STR || arg->kind == DX_ARG_JSON) && dx_slice_to_u64(dx_slice_of(arg->value.text, arg->size), out) &&
           *out <= INT64_MAX;
}

// Where the program wants to begin, by the parameter that pages go by.
static dx_error_code begin_at(dx_pages *pages, const dx_arg *arg, dx_error *error) {
    uint64_t number = 0;
    bool is_number = arg_number(arg, &number);
    if (pages->how.type != DX_PAGING_CURSOR) {
        if (!is_number)
            return dx_fail(error, DX_ERROR_ARGUMENT, "%.*s: parameter \"%s\" must be a number that pages can go on from",
                           DX_SLICE_ARG(pages->full), arg->name);
        pages->at.number = number;
        return DX_ERROR_NONE;
    }
    char text[24];
    int size = 0;
    if (arg->kind == DX_ARG_STR && arg->value.text)
        return dx_place_set(&pages->at, DX_PLACE_TEXT, dx_slice_of(arg->value.text, arg->size)) == DX_OK ? DX_ERROR_NONE : no_memory(error);
    if (arg->kind == DX_ARG_INT) size = snprintf(text, sizeof text, "%lld", (long long)arg->value.i64);
    if (arg->kind == DX_ARG_UINT) size = snprintf(text, sizeof text, "%llu", (unsigned long long)arg->value.u64);
    if (size <= 0)
        return dx_fail(error, DX_ERROR_ARGUMENT, "%.*s: parameter \"%s\" must be text or an integer", DX_SLICE_ARG(pages->full), arg->name);
    return dx_place_set(&pages->at, DX_PLACE_JSON, dx_slice_of(text, (size_t)size)) == DX_OK ? DX_ERROR_NONE : no_memory(error);
}

// The parameter that pages go by is taken out of the arguments, the page's size put in.
static dx_error_code take_args(dx_pages *pages, dx_error *error) {
    dx_paginate *how = &pages->how;
    bool has_size = false;
    size_t kept = 0;
    for (size_t i = 0; i < pages->arg_count; i++) {
        const dx_arg *arg = &pages->args[i];
        dx_slice name = dx_slice_str(arg->name);
        if (how->param.size && dx_slice_equal(name, how->param)) {
            dx_error_code code = begin_at(pages, arg, error);
            if (code) return code;
            continue;
        }
        if (how->size_param.size && dx_slice_equal(name, how->size_param)) has_size = true;
        if (has_size && dx_slice_equal(name, how->size_param) && !arg_number(arg, &how->size)) how->size = 0;
        pages->args[kept++] = *arg;
    }
    if (how->size_param.size && !has_size && how->size)
        pages->args[kept++] = (dx_arg){.name = how->size_param.data, .kind = DX_ARG_UINT, .value.u64 = how->size};
    pages->arg_count = kept;
    pages->args[kept] = DX_END;
    return DX_ERROR_NONE;
}

static dx_error_code take_call_options(dx_pages *pages, const dx_call_options *given, dx_error *error) {
    dx_call_options *call;
    if (dx_keep_options(&call, pages->arena, given) != DX_OK) return no_memory(error);
    if (call->sink || call->source)
        return dx_fail(error, DX_ERROR_ARGUMENT, "%.*s: pages can't be streamed: options.call has a sink or a source",
                       DX_SLICE_ARG(pages->full));
    if (call->body) {
        call->body = dx_arena_copy(pages->arena, dx_slice_of(call->body, call->body_size)).data;
        if (!call->body) return no_memory(error);
    }
    call->raise_on_error = DX_RAISE_ALWAYS;
    pages->call = call;
    return DX_ERROR_NONE;
}

static dx_error_code make_redactor(dx_pages *pages, const dx_endpoint *endpoint, dx_error *error) {
    if (pages->how.type <= DX_PAGING_CURSOR) return DX_ERROR_NONE;
    pages->redactor = dx_redactor_create(NULL);
    bool made = pages->redactor != NULL;
    for (size_t i = 0; made && i < endpoint->param_count; i++)
        if (endpoint->params[i].secret) made = dx_redactor_add_name(pages->redactor, endpoint->params[i].wire) == DX_OK;
    return made ? DX_ERROR_NONE : no_memory(error);
}

static dx_error_code fill(dx_pages *pages, const char *name, const dx_endpoint *endpoint, const dx_arg *args,
                          const dx_pages_options *options, dx_error *error) {
    pages->name = dx_arena_copy(pages->arena, dx_slice_str(name)).data;
    pages->full = dx_arena_copy(pages->arena, endpoint->full);
    pages->origin = dx_arena_copy(pages->arena, endpoint->api->origin);
    if (!pages->name || !pages->full.data || !pages->origin.data) return no_memory(error);
    dx_error_code code = dx_paginate_read(&pages->how, pages->arena, endpoint, options->paginate, error);
    if (code) return code;
    bool counts = pages->how.type <= DX_PAGING_OFFSET;
    pages->at = (dx_place){.kind = counts ? DX_PLACE_NUMBER : DX_PLACE_FIRST, .number = counts ? pages->how.start : 0};
    pages->most = options->max_pages ? options->max_pages : pages->how.max_pages;
    pages->ahead = options->prefetch > 0 ? (unsigned)options->prefetch : options->prefetch < 0 ? 0 : pages->how.prefetch;
    if (pages->ahead > DX_PAGES_PREFETCH_CAP) pages->ahead = DX_PAGES_PREFETCH_CAP;
    pages->allow_equal = options->allow_equal;
    dx_status status = dx_keep_args(&pages->args, &pages->arg_count, pages->arena, args, 2);
    if (status == DX_TOO_LARGE) return dx_fail(error, DX_ERROR_ARGUMENT, "more than %d parameters", DX_ARG_COUNT_CAP);
    if (status != DX_OK) return no_memory(error);
    pages->args[pages->arg_count] = DX_END;
    dx_pages_digest(pages->digest, endpoint, pages->args, pages->how.param);
    code = take_args(pages, error);
    if (!code) code = take_call_options(pages, options->call, error);
    return code ? code : make_redactor(pages, endpoint, error);
}

// --- opening -----------------------------------------------------------------------------------------------------------------------------

// Has a call made and thrown away, so that wrong names and parameters are told before anything is sent.
static dx_error_code try_call(dx_pages *pages, dx_error *error) {
    dx_call *call;
    dx_question question = {.name = dx_slice_str(pages->name)};
    dx_error_code code = dx_client_make_call(&call, pages->client, &question, pages->args, pages->call, error);
    if (!code) dx_call_release(call);
    return code;
}

static dx_error_code find(dx_pages *pages, const char *name, const dx_arg *args, const dx_pages_options *options, dx_error *error) {
    dx_slice near;
    dx_apis *apis = dx_client_apis(pages->client);
    const dx_endpoint *endpoint = dx_apis_find(apis, dx_slice_str(name), &near);
    dx_error_code code;
    if (endpoint)
        code = fill(pages, name, endpoint, args, options, error);
    else
        code = dx_fail(error, DX_ERROR_UNKNOWN_NAME, "there is no endpoint \"%s\"%s%.*s%s", name, near.size ? "; did you mean \"" : "",
                       DX_SLICE_ARG(near), near.size ? "\"?" : "");
    dx_apis_release(apis);
    return code;
}

dx_error_code dx_pages_open(dx_pages **out, dx_client *client, const char *name, const dx_arg *args, const dx_pages_options *given,
                            dx_error *error) {
    dx_pages_options options = no_options;
    if (given) memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    if (error) *error = (dx_error)DX_ERROR_INIT;
    *out = NULL;
    dx_pages *pages = create(client);
    if (!pages) return no_memory(error);
    dx_error_code code = find(pages, name, args, &options, error);
    if (!code) code = try_call(pages, error);
    if (code)
        dx_pages_let_go(pages);
    else
        *out = pages;
    return code;
}

static dx_error_code go_to(dx_pages *pages, dx_pages_mark *mark, dx_error *error) {
    const char *what = NULL;
    if (!dx_slice_equal(mark->endpoint, pages->full) || mark->type != pages->how.type)
        what = "the state is of another endpoint, or its paginate has been changed";
    else if (memcmp(mark->digest, pages->digest, sizeof mark->digest) != 0)
        what = "the state is of other parameters";
    if (what) return dx_fail(error, DX_ERROR_ARGUMENT, "%.*s: %s", DX_SLICE_ARG(pages->full), what);
    dx_place_move(&pages->at, &mark->place);
    pages->skip = mark->skip;
    pages->seen = mark->seen;
    pages->given = mark->pages;
    return DX_ERROR_NONE;
}

dx_error_code dx_pages_resume(dx_pages **out, dx_client *client, const char *name, const dx_arg *args, const dx_pages_options *options,
                              const char *state, dx_error *error) {
    dx_pages_mark mark;
    dx_error_code code = dx_pages_open(out, client, name, args, options, error);
    if (code) return code;
    dx_status status = dx_pages_mark_read(&mark, (*out)->arena, dx_slice_str(state));
    if (status == DX_NO_MEMORY)
        code = no_memory(error);
    else if (status != DX_OK)
        code = dx_fail(error, DX_ERROR_ARGUMENT, "%.*s: that is no state of pages", DX_SLICE_ARG((*out)->full));
    else
        code = go_to(*out, &mark, error);
    dx_place_clear(&mark.place);
    if (!code) return code;
    dx_pages_close(*out);
    *out = NULL;
    return code;
}
