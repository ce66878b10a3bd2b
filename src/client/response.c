// Reading an answer. Its body is parsed as JSON when a field is first asked for; several threads may ask at once, and the first to be done
// wins. Numbers that no 64-bit integer and no double holds exactly stay text.
#include <stdatomic.h>

#include "base/memory.h"
#include "client/client.h"
#include "client/fail.h"

typedef struct dx_parsed {
    yyjson_doc *doc; // NULL: it is no JSON
} dx_parsed;

static void parsed_destroy(dx_parsed *parsed) {
    if (!parsed) return;
    yyjson_doc_free(parsed->doc);
    dx_memory_free(parsed);
}

static void *heap_malloc(void *ctx, size_t size) {
    (void)ctx;
    return dx_memory_alloc(size);
}

static void *heap_realloc(void *ctx, void *piece, size_t old_size, size_t size) {
    (void)ctx;
    (void)old_size;
    return dx_memory_realloc(piece, size);
}

static void heap_free(void *ctx, void *piece) {
    (void)ctx;
    dx_memory_free(piece);
}

const yyjson_alc dx_response_heap = {heap_malloc, heap_realloc, heap_free, NULL};

yyjson_val *dx_response_root(const dx_response *response) {
    dx_response *self = (dx_response *)(uintptr_t)response;
    dx_parsed *parsed = atomic_load_explicit(&self->parsed, memory_order_acquire);
    if (parsed) return yyjson_doc_get_root(parsed->doc);
    parsed = dx_memory_zalloc(1, sizeof *parsed);
    if (!parsed) return NULL;
    if (response->body.size)
        parsed->doc = yyjson_read_opts((char *)(uintptr_t)response->body.data, response->body.size, YYJSON_READ_BIGNUM_AS_RAW,
                                       &dx_response_heap, NULL);
    dx_parsed *first = NULL;
    if (!atomic_compare_exchange_strong_explicit(&self->parsed, &first, parsed, memory_order_acq_rel, memory_order_acquire)) {
        parsed_destroy(parsed);
        parsed = first;
    }
    return yyjson_doc_get_root(parsed->doc);
}

void dx_response_forget(dx_response *response) {
    parsed_destroy(atomic_exchange(&response->parsed, NULL));
}

static dx_call *call_of(const dx_response *response) {
    return DX_CONTAINER_OF((dx_response *)(uintptr_t)response, dx_call, response);
}

dx_response *dx_response_hold(dx_response *response) {
    dx_call_hold(call_of(response));
    return response;
}

void dx_response_release(dx_response *response) {
    if (response) dx_call_release(call_of(response));
}

int dx_response_status(const dx_response *response) {
    return response->status;
}

// --- headers ---------------------------------------------------------------------------------------------------------------------------

const char *dx_response_header(const dx_response *response, const char *name, size_t index) {
    dx_slice wanted = dx_slice_str(name);
    for (uint32_t i = 0; i < response->fields.count; i++) {
        if (!dx_slice_equal_nocase(response->fields.items[i].name, wanted)) continue;
        if (index-- == 0) return response->fields.items[i].value.data;
    }
    return NULL;
}

bool dx_response_header_at(const dx_response *response, size_t index, const char **name, const char **value) {
    if (index >= response->fields.count) return false;
    *name = response->fields.items[index].name.data;
    *value = response->fields.items[index].value.data;
    return true;
}

// --- the body --------------------------------------------------------------------------------------------------------------------------

const char *dx_response_body(const dx_response *response, size_t *size) {
    if (size) *size = response->body.size;
    return response->body.size ? response->body.data : "";
}

bool dx_response_is_json(const dx_response *response) {
    return dx_response_root(response) != NULL;
}

static yyjson_val *at(const dx_response *response, const char *pointer) {
    yyjson_val *root = dx_response_root(response);
    return root ? dx_json_at(root, dx_slice_str(pointer)) : NULL;
}

const char *dx_response_str(const dx_response *response, const char *pointer, const char *otherwise) {
    yyjson_val *value = at(response, pointer);
    return yyjson_is_str(value) ? yyjson_get_str(value) : otherwise;
}

int64_t dx_response_i64(const dx_response *response, const char *pointer, int64_t otherwise) {
    yyjson_val *value = at(response, pointer);
    if (yyjson_is_uint(value)) return yyjson_get_uint(value) <= INT64_MAX ? (int64_t)yyjson_get_uint(value) : otherwise;
    return yyjson_is_sint(value) ? yyjson_get_sint(value) : otherwise;
}

uint64_t dx_response_u64(const dx_response *response, const char *pointer, uint64_t otherwise) {
    yyjson_val *value = at(response, pointer);
    return yyjson_is_uint(value) ? yyjson_get_uint(value) : otherwise;
}

double dx_response_f64(const dx_response *response, const char *pointer, double otherwise) {
    yyjson_val *value = at(response, pointer);
    return yyjson_is_num(value) ? yyjson_get_num(value) : otherwise;
}

bool dx_response_bool(const dx_response *response, const char *pointer, bool otherwise) {
    yyjson_val *value = at(response, pointer);
    return yyjson_is_bool(value) ? yyjson_get_bool(value) : otherwise;
}

bool dx_response_has(const dx_response *response, const char *pointer) {
    return at(response, pointer) != NULL;
}

size_t dx_response_count(const dx_response *response, const char *pointer) {
    yyjson_val *value = at(response, pointer);
    return yyjson_is_arr(value) ? yyjson_arr_size(value) : yyjson_is_obj(value) ? yyjson_obj_size(value) : 0;
}

char *dx_response_json(const dx_response *response, const char *pointer, size_t *size) {
    yyjson_val *value = at(response, pointer);
    size_t written = 0;
    char *text = value ? yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, &dx_response_heap, &written, NULL) : NULL;
    if (size) *size = written;
    return text;
}

void dx_text_free(char *text) {
    dx_memory_free(text);
}

// --- how it came -----------------------------------------------------------------------------------------------------------------------

dx_cache_state dx_response_cache(const dx_response *response) {
    return response->cache;
}

unsigned dx_response_attempts(const dx_response *response) {
    return response->attempts;
}

int64_t dx_response_time_ns(const dx_response *response) {
    return response->took;
}

int64_t dx_response_phase_ns(const dx_response *response, dx_phase phase) {
    return (unsigned)phase < DX_PHASE_COUNT ? response->spent[phase] : 0;
}

const char *dx_response_endpoint(const dx_response *response) {
    const char *name = call_of(response)->endpoint_name;
    return name ? name : "";
}

const char *dx_response_correlation_id(const dx_response *response) {
    return call_of(response)->correlation_id.data ? call_of(response)->correlation_id.data : "";
}

// --- as a model ------------------------------------------------------------------------------------------------------------------------

dx_error_code dx_response_model(const dx_response *response, const dx_model *model, void *out, const char *pointer, dx_error *error) {
    size_t size;
    if (!pointer || !*pointer) {
        const char *body = dx_response_body(response, &size);
        return dx_model_from_json(out, model, body, size, 0, error);
    }
    char *text = dx_response_json(response, pointer, &size);
    if (!text) {
        memset(out, 0, model->size);
        return dx_fail(error, DX_ERROR_MALFORMED, "%s: the answer has nothing at \"%s\"", dx_response_endpoint(response), pointer);
    }
    dx_error_code code = dx_model_from_json(out, model, text, size, 0, error);
    dx_text_free(text);
    return code;
}
