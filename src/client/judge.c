// What an answer means: whether it obeys its model, and whether sending the request again may help.
#include "client/client.h"
#include "client/fail.h"
#include "policy/cache_filter.h"

// What the error says of trying again is what the retry filter goes by.
void dx_client_judge_retry(dx_call *call) {
    dx_error *error = &call->error;
    if (error->code == DX_ERROR_NONE) return;
    if (call->x.retry_after == 0) dx_retry_read_wait(&call->x);
    bool waits = error->code == DX_ERROR_QUEUE_FULL || error->code == DX_ERROR_LIMITED || error->code == DX_ERROR_CIRCUIT_OPEN;
    error->retryable = error->code != DX_ERROR_INVALID && error->code != DX_ERROR_MALFORMED &&
                       (waits || dx_retry_may(&call->settings->retry.conf, &call->x));
    if (call->x.retry_after > 0) error->retry_after_ms = (call->x.retry_after + DX_MILLISECOND - 1) / DX_MILLISECOND;
}

static dx_error_code check_body(dx_call *call, dx_diags *found) {
    const dx_endpoint *endpoint = call->endpoint;
    const dx_schema *schema = dx_map_get(&call->apis->models, endpoint->response_model);
    yyjson_doc *document;
    static const dx_json_options options = {.allow_duplicates = true};
    dx_status status = dx_json_read(&document, call->arena, call->response.body, &options, found);
    if (status != DX_OK) return status == DX_NO_MEMORY ? DX_ERROR_NO_MEMORY : DX_ERROR_MALFORMED;
    yyjson_val *root = yyjson_doc_get_root(document), *item;
    if (!endpoint->response_list) return dx_code_of(dx_schema_validate(schema, root, call->arena, NULL, found));
    if (!yyjson_is_arr(root)) {
        (void)dx_diags_add(found, DX_INVALID, (dx_slice){"", 0}, "expected a list of %.*s", DX_SLICE_ARG(endpoint->response_model));
        return DX_ERROR_INVALID;
    }
    size_t at, count;
    yyjson_arr_foreach(root, at, count, item) {
        status = dx_schema_validate(schema, item, call->arena, NULL, found);
        if (status != DX_OK) return dx_code_of(status);
    }
    return DX_ERROR_NONE;
}

// What an entry of a cache that was found to obey is marked with: this snapshot's endpoint, whose model it is.
static uint64_t mark_of(const dx_call *call) {
    enum { POINTER_BITS = 48 };
    return ((uint64_t)call->apis->serial << POINTER_BITS) ^ (uint64_t)(uintptr_t)call->endpoint;
}

void dx_client_judge_answer(dx_call *call) {
    dx_diags found;
    int status = call->response.status;
    if (!call->endpoint->response_model.size || !call->settings->validate_response) return;
    if (status < 200 || status > 299 || status == 204 || status == 205 || call->bound.method == DX_HEAD) return;
    dx_cache_entry *entry = dx_cache_filter_entry(&call->x);
    if (entry && atomic_load_explicit(&entry->known, memory_order_relaxed) == mark_of(call)) return;
    dx_diags_init(&found, call->arena);
    dx_error_code code = check_body(call, &found);
    if (code == DX_ERROR_NONE && entry) atomic_store_explicit(&entry->known, mark_of(call), memory_order_relaxed);
    if (code == DX_ERROR_NONE) return;
    if (found.first)
        (void)dx_fail_diags(&call->error, code, &found);
    else
        (void)dx_fail(&call->error, code, "%.*s: %s", DX_SLICE_ARG(call->endpoint->full), dx_error_meaning(code));
    call->error.phase = DX_PHASE_TRANSFER;
}
