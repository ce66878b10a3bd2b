#include "client/modelling.h"

#include "base/memory.h"
#include "client/client.h"
#include "client/fail.h"
#include "client/log.h"
#include "client/meter.h"
#include "model/case.h"
#include "policy/cache_filter.h"
#include "policy/sanitize.h"

#define JSON_CAP ((size_t)256 << 20)

// --- hooks -----------------------------------------------------------------------------------------------------------------------------

struct dx_model_text {
    dx_arena *arena;
    dx_slice json;
    dx_slice why;
    bool no_memory;
};

const char *dx_model_text_get(const dx_model_text *text, size_t *size) {
    if (size) *size = text->json.size;
    return text->json.data;
}

bool dx_model_text_set(dx_model_text *text, const char *json, size_t size) {
    dx_slice copy = dx_arena_copy(text->arena, dx_slice_of(json, size));
    if (copy.data)
        text->json = copy;
    else
        text->no_memory = true;
    return copy.data != NULL;
}

void dx_model_text_refuse(dx_model_text *text, const char *why) {
    text->why = dx_arena_copy(text->arena, dx_slice_str(why));
}

dx_error_code dx_client_on_model(dx_client *client, const char *model, const dx_model_ops *ops, void *context, dx_error *error) {
    dx_slice name = dx_slice_str(model);
    dx_error_code code = DX_ERROR_NONE;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    dx_apis *apis = dx_client_apis(client);
    bool known = dx_models_has(apis->models, name);
    dx_slice near = dx_models_nearest(apis->models, name);
    if (!known)
        code = dx_fail(error, DX_ERROR_UNKNOWN_NAME, "there is no model \"%.*s\"%s%.*s%s", DX_SLICE_ARG(name),
                       near.size ? "; did you mean \"" : "", DX_SLICE_ARG(near), near.size ? "\"?" : "");
    dx_apis_release(apis);
    if (code) return code;
    pthread_mutex_lock(&client->lock);
    size_t count = atomic_load_explicit(&client->hook_count, memory_order_relaxed);
    char *copy = count < DX_HOOKS_CAP ? dx_memory_alloc(name.size) : NULL;
    if (copy) {
        dx_model_hooked *hooked = &client->hooks[count];
        memcpy(copy, name.data, name.size);
        *hooked = (dx_model_hooked){dx_slice_of(copy, name.size), DX_MODEL_OPS_INIT, context};
        memcpy(&hooked->ops, ops, ops->size < sizeof hooked->ops ? ops->size : sizeof hooked->ops);
        atomic_store_explicit(&client->hook_count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&client->lock);
    if (copy) return DX_ERROR_NONE;
    if (count == DX_HOOKS_CAP) return dx_fail(error, DX_ERROR_ARGUMENT, "a client has hooks of models %d times at most", DX_HOOKS_CAP);
    return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for hooks of a model");
}

typedef enum hook_kind { BEFORE, AFTER, VALIDATE } hook_kind;

static bool run_hook(const dx_model_hooked *hooked, hook_kind kind, dx_model_text *text) {
    if (kind == BEFORE) return !hooked->ops.before_request || hooked->ops.before_request(hooked->context, text);
    if (kind == AFTER) return !hooked->ops.after_response || hooked->ops.after_response(hooked->context, text);
    return !hooked->ops.validate || hooked->ops.validate(hooked->context, text);
}

static dx_error_code run_hooks(const dx_client *client, dx_slice model, hook_kind kind, dx_arena *arena, dx_slice *json, dx_error *error) {
    size_t count = atomic_load_explicit(&client->hook_count, memory_order_acquire);
    bool any = false;
    for (size_t i = 0; i < count; i++) any = any || dx_slice_equal(client->hooks[i].model, model);
    if (!any) return DX_ERROR_NONE;
    dx_model_text text = {.arena = arena, .json = dx_arena_copy(arena, *json)}; // ends with a NUL
    if (!text.json.data) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for a hook");
    for (size_t i = 0; i < count; i++) {
        if (!dx_slice_equal(client->hooks[i].model, model) || run_hook(&client->hooks[i], kind, &text)) continue;
        return dx_fail(error, text.no_memory ? DX_ERROR_NO_MEMORY : DX_ERROR_INVALID, "a hook of the model %.*s refused it%s%.*s",
                       DX_SLICE_ARG(model), text.why.size ? ": " : "", DX_SLICE_ARG(text.why));
    }
    if (text.no_memory) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for what a hook gave");
    if (kind != VALIDATE) *json = text.json;
    return DX_ERROR_NONE;
}

// --- validating ------------------------------------------------------------------------------------------------------------------------

static dx_error_code fail_found(dx_error *error, dx_status status, const dx_diags *found, dx_slice who) {
    dx_error_code code = dx_code_of(status);
    if (found->first && code != DX_ERROR_NO_MEMORY) return dx_fail_diags(error, code, found);
    return dx_fail(error, code, "%.*s: %s", DX_SLICE_ARG(who), dx_error_meaning(code));
}

static dx_status validate_items(const dx_models *models, dx_slice model, yyjson_val *list, bool strict, dx_arena *arena,
                                dx_models_counts *counts, dx_diags *found) {
    size_t i, n;
    yyjson_val *item;
    if (!yyjson_is_arr(list)) {
        (void)dx_diags_add(found, DX_INVALID, (dx_slice){"", 0}, "expected a list of %.*s", DX_SLICE_ARG(model));
        return DX_INVALID;
    }
    yyjson_arr_foreach(list, i, n, item) {
        dx_models_counts one = {0};
        size_t before = found->count;
        dx_status status = dx_models_validate(models, model, item, strict, arena, &one, found);
        counts->unknown_values += one.unknown_values;
        counts->unknown_fields += one.unknown_fields;
        if (status == DX_OK) continue;
        for (dx_diag *diag = found->first; diag && before == 0; diag = diag->next) // pointers count from the item
            diag->pointer = dx_arena_printf(arena, "/%zu%.*s", i, DX_SLICE_ARG(diag->pointer));
        return status;
    }
    return DX_OK;
}

// --- requests --------------------------------------------------------------------------------------------------------------------------

static dx_status convert(dx_slice *json, dx_arena *arena, dx_case to, dx_diags *found) {
    static const dx_json_options as_written = {.numbers_as_text = true, .allow_duplicates = true};
    yyjson_doc *document;
    yyjson_mut_val *made;
    dx_buffer out;
    dx_status status = dx_json_read(&document, arena, *json, &as_written, found);
    if (status != DX_OK) return status;
    yyjson_mut_doc *doc = dx_json_mut_doc(arena);
    status = doc ? dx_case_convert(&made, doc, yyjson_doc_get_root(document), to, arena, found) : DX_NO_MEMORY;
    if (status != DX_OK) return status == DX_CONFLICT ? DX_INVALID : status;
    dx_buffer_init(&out, arena, JSON_CAP);
    dx_json_write_mut(&out, made, false);
    dx_buffer_byte(&out, '\0');
    if (dx_buffer_status(&out) != DX_OK) return dx_buffer_status(&out);
    *json = dx_slice_of(out.data, out.size - 1);
    return DX_OK;
}

static bool is_json(dx_slice type) {
    size_t end = dx_slice_find(type, ';');
    dx_slice media = dx_slice_trim(end == SIZE_MAX ? type : dx_slice_of(type.data, end));
    bool plus = media.size > 5 && dx_slice_equal_nocase(dx_slice_from(media, media.size - 5), DX_SLICE("+json"));
    return plus || dx_http_media_is(media, "application/json");
}

static dx_error_code check_request(const dx_bound *bound, dx_arena *arena, const dx_endpoint *endpoint, dx_error *error) {
    yyjson_doc *document;
    dx_diags found;
    dx_diags_init(&found, arena);
    dx_slice body = bound->body.size ? bound->body : DX_SLICE("null");
    dx_status status = dx_json_read(&document, arena, body, NULL, &found);
    if (status == DX_OK)
        status = dx_models_validate(endpoint->api->apis->models, endpoint->request_model, yyjson_doc_get_root(document), true, arena, NULL,
                                    &found);
    if (status == DX_OK) return DX_ERROR_NONE;
    return fail_found(error, status == DX_MALFORMED ? DX_INVALID : status, &found, endpoint->full);
}

static dx_error_code shape_request(dx_bound *bound, dx_arena *arena, dx_client *client, const dx_asked *asked, dx_error *error) {
    const dx_endpoint *endpoint = asked->endpoint;
    dx_diags found;
    dx_diags_init(&found, arena);
    if (asked->settings->naming != DX_CASE_AS_IS && bound->body.size && endpoint->body_form == DX_BODY_FORM_JSON) {
        dx_case to = asked->settings->naming == DX_CASE_SNAKE ? DX_CASE_CAMEL : DX_CASE_SNAKE;
        dx_status status = convert(&bound->body, arena, to, &found);
        if (status != DX_OK && status != DX_MALFORMED) return fail_found(error, status, &found, endpoint->full);
    }
    if (!endpoint->request_model.size) return DX_ERROR_NONE;
    dx_error_code code = bound->body.size ? run_hooks(client, endpoint->request_model, BEFORE, arena, &bound->body, error) : DX_ERROR_NONE;
    if (!code && asked->settings->validate_request) code = check_request(bound, arena, endpoint, error);
    if (!code && asked->settings->validate_request) code = run_hooks(client, endpoint->request_model, VALIDATE, arena, &bound->body, error);
    return code;
}

dx_error_code dx_model_request(dx_bound *bound, dx_arena *arena, dx_client *client, const dx_asked *asked, dx_error *error) {
    if (bound->upload) return DX_ERROR_NONE;
    dx_error_code code = shape_request(bound, arena, client, asked, error);
    if (code && error) error->phase = DX_PHASE_PREPARE;
    return code;
}

// --- answers ---------------------------------------------------------------------------------------------------------------------------

static void warn(dx_call *call, const dx_models_counts *counts, const dx_diags *found) {
    dx_log_line line;
    dx_meter *meter = call->meter;
    if (counts->unknown_values + counts->unknown_fields == 0) return;
    if (meter) {
        (void)atomic_fetch_add_explicit(&meter->words[DX_METER_UNKNOWN_VALUES], counts->unknown_values, memory_order_relaxed);
        (void)atomic_fetch_add_explicit(&meter->words[DX_METER_UNKNOWN_FIELDS], counts->unknown_fields, memory_order_relaxed);
    }
    if (!dx_log_start(&line, call->client, call, DX_LEVEL_WARN, "model")) return;
    dx_log_add_text(&line, "model", call->endpoint->response_model);
    dx_log_add_int(&line, "unknown_values", (int64_t)counts->unknown_values);
    dx_log_add_int(&line, "unknown_fields", (int64_t)counts->unknown_fields);
    if (found->first) dx_log_add_text(&line, "first", dx_diag_text(found->first, line.arena));
    dx_log_send(&line);
}

static dx_error_code check_answer(dx_call *call, dx_error *error) {
    static const dx_json_options options = {.allow_duplicates = true};
    const dx_endpoint *endpoint = call->endpoint;
    const dx_models *models = endpoint->api->apis->models;
    bool strict = call->settings->strict;
    yyjson_doc *document;
    dx_models_counts counts = {0};
    dx_diags found;
    dx_diags_init(&found, call->arena);
    dx_status status = dx_json_read(&document, call->arena, call->response.body, &options, &found);
    if (status == DX_OK) {
        yyjson_val *root = yyjson_doc_get_root(document);
        status = endpoint->response_list ? validate_items(models, endpoint->response_model, root, strict, call->arena, &counts, &found)
                                         : dx_models_validate(models, endpoint->response_model, root, strict, call->arena, &counts, &found);
    } else if (status != DX_NO_MEMORY) {
        status = DX_MALFORMED;
    }
    warn(call, &counts, &found);
    return status == DX_OK ? DX_ERROR_NONE : fail_found(error, status, &found, endpoint->full);
}

// What an entry of a cache that was found to obey is marked with: this snapshot's endpoint, whose model it is, and how it was judged.
static uint64_t mark_of(const dx_call *call) {
    enum { POINTER_BITS = 48 };
    uint64_t serial = call->endpoint->api->apis->serial;
    return (serial << POINTER_BITS) ^ (uint64_t)(uintptr_t)call->endpoint ^ (call->settings->strict ? 1 : 0);
}

// What lies in a cache is judged once.
static dx_error_code check_once(dx_call *call, dx_error *error) {
    dx_cache_entry *entry = dx_cache_filter_entry(&call->x);
    if (entry && atomic_load_explicit(&entry->known, memory_order_relaxed) == mark_of(call)) return DX_ERROR_NONE;
    dx_error_code code = check_answer(call, error);
    if (!code && entry) atomic_store_explicit(&entry->known, mark_of(call), memory_order_relaxed);
    return code;
}

static dx_error_code judge_model(dx_call *call, dx_error *error) {
    dx_slice model = call->endpoint->response_model;
    dx_slice *body = &call->response.body;
    if (!model.size) return DX_ERROR_NONE;
    dx_error_code code = run_hooks(call->client, model, AFTER, call->arena, body, error);
    if (code || !call->settings->validate_response) return code;
    code = check_once(call, error);
    return code ? code : run_hooks(call->client, model, VALIDATE, call->arena, body, error);
}

static dx_status filter(dx_slice *json, dx_arena *arena, yyjson_val *settings) {
    static const dx_json_options as_written = {.numbers_as_text = true, .allow_duplicates = true};
    size_t i, n, count = 0;
    yyjson_val *item;
    yyjson_doc *document;
    dx_buffer out;
    dx_filter_rule *rules = DX_ARENA_ARRAY(arena, dx_filter_rule, yyjson_arr_size(settings));
    if (!rules) return DX_NO_MEMORY;
    yyjson_arr_foreach(settings, i, n, item) {
        yyjson_val *mask = yyjson_obj_get(item, "mask");
        rules[count++] = (dx_filter_rule){dx_json_member_slice(item, "pattern"), mask != NULL, dx_json_slice(mask)};
    }
    dx_status status = dx_json_read(&document, arena, *json, &as_written, NULL);
    if (status != DX_OK) return status;
    yyjson_alc alc = dx_json_alc(arena);
    yyjson_mut_doc *doc = yyjson_doc_mut_copy(document, &alc);
    if (!doc) return DX_NO_MEMORY;
    status = dx_filter_json(doc, rules, count);
    if (status != DX_OK) return status;
    dx_buffer_init(&out, arena, JSON_CAP);
    dx_json_write_mut(&out, yyjson_mut_doc_get_root(doc), false);
    dx_buffer_byte(&out, '\0');
    if (dx_buffer_status(&out) != DX_OK) return dx_buffer_status(&out);
    *json = dx_slice_of(out.data, out.size - 1);
    return DX_OK;
}

// What can't be filtered is not shown: a filter that lets pass what it can't read would be none.
static dx_error_code shape_answer(dx_call *call, dx_error *error) {
    dx_response *response = &call->response;
    const dx_settings *settings = call->settings;
    bool shaped = settings->filter_output || settings->naming != DX_CASE_AS_IS;
    if (!shaped || !response->body.size || !is_json(dx_fields_find(&response->fields, DX_SLICE("content-type")))) return DX_ERROR_NONE;
    dx_status status = settings->filter_output ? filter(&response->body, call->arena, settings->filter_output) : DX_OK;
    if (status != DX_OK) {
        response->body = (dx_slice){"", 0};
        return dx_fail(error, status == DX_NO_MEMORY ? DX_ERROR_NO_MEMORY : DX_ERROR_MALFORMED, "%.*s: the answer can't be filtered",
                       DX_SLICE_ARG(call->endpoint->full));
    }
    if (settings->naming == DX_CASE_AS_IS) return DX_ERROR_NONE;
    dx_diags found;
    dx_diags_init(&found, call->arena);
    status = convert(&response->body, call->arena, (dx_case)settings->naming, &found);
    if (status == DX_OK || status == DX_MALFORMED) return DX_ERROR_NONE;
    return fail_found(error, status, &found, call->endpoint->full);
}

void dx_model_answer(dx_call *call, bool whole) {
    dx_error problem, second;
    int status = call->response.status;
    bool has_content = status >= 200 && status <= 299 && status != 204 && status != 205 && call->bound.method != DX_HEAD;
    dx_error_begin(&problem);
    dx_error_begin(&second);
    dx_error_code code = whole && has_content ? judge_model(call, &problem) : DX_ERROR_NONE;
    dx_error_code shaped = shape_answer(call, &second); // also of an answer that its model refused: the caller gets it
    if (!code && shaped) problem = second;
    if (!code) code = shaped;
    if (code == DX_ERROR_NONE || call->error->code != DX_ERROR_NONE) return;
    problem.phase = DX_PHASE_TRANSFER;
    *call->error = problem;
}
