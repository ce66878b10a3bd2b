// `--dry-run`: the request that would be sent, made by the same code as one that is, and shown without secrets.
#include <stdio.h>

#include "cli/cli_call.h"

// Handlers that need nothing but the request: no token has to be fetched for them.
static bool is_offline(dx_slice type) {
    static const char *const types[] = {"none", "bearer", "basic", "api_key", "hmac", "aws_sigv4"};
    for (size_t i = 0; i < DX_COUNT_OF(types); i++)
        if (dx_slice_equal(type, dx_slice_str(types[i]))) return true;
    return false;
}

static bool copy_fields(dx_fields *out, dx_arena *arena, const dx_fields *from) {
    *out = (dx_fields){0};
    for (uint32_t i = 0; i < from->count; i++)
        if (dx_fields_add(out, arena, from->items[i].name, from->items[i].value) != DX_OK) return false;
    return true;
}

static int out_of_memory(void) {
    fputs("duplex call: out of memory\n", stderr);
    return DX_EXIT_FAILED;
}

static int apply_auth(dx_would_send *would) {
    dx_call *call = would->call;
    dx_auth *auth = (dx_auth *)(uintptr_t)call->settings->identity;
    would->target_before = call->x.request.target;
    if (!copy_fields(&would->before, call->arena, &call->x.request.fields)) return out_of_memory();
    if (!auth || !call->endpoint->auth_required) return DX_EXIT_OK;
    would->auth = auth->ops->type;
    would->token_missing = !is_offline(dx_slice_str(auth->ops->type));
    if (would->token_missing || auth->ops->apply(auth, NULL, &call->x) == DX_NEXT) return DX_EXIT_OK;
    return out_of_memory();
}

int dx_cli_would_send(dx_would_send *out, const dx_cli_call *call) {
    dx_error error = DX_ERROR_INIT;
    dx_asked asked = {.endpoint = call->target,
                      .method = dx_slice_str(call->method),
                      .path = dx_slice_str(call->path),
                      .args = call->args,
                      .options = &call->options};
    *out = (dx_would_send){0};
    if (dx_call_create(&out->call, call->client, &asked, dx_apis_hold(call->apis), &error)) return dx_cli_tell_error(call, &error);
    int result = apply_auth(out);
    if (result == DX_EXIT_OK && !dx_call_write_url(out->call)) result = out_of_memory();
    if (result != DX_EXIT_OK) dx_call_release(out->call);
    return result;
}

bool dx_would_send_added(const dx_would_send *would, dx_slice field) {
    const dx_fields *now = &would->call->x.request.fields;
    dx_slice before = dx_fields_find(&would->before, field), after = dx_fields_find(now, field);
    return after.data && (!before.data || !dx_slice_equal(before, after));
}

dx_slice dx_would_send_token(const dx_would_send *would, dx_arena *arena) {
    return dx_arena_printf(arena, "<token of %s>", would->auth);
}

// --- showing it --------------------------------------------------------------------------------------------------------------------------

static void write_part(dx_buffer *out, const dx_upload_part *part) {
    if (part->kind == DX_UPLOAD_MEMORY)
        dx_buffer_add(out, part->text);
    else if (part->size >= 0)
        dx_buffer_printf(out, "<%lld bytes of a file>", (long long)part->size);
    else
        DX_BUFFER_LIT(out, "<a file>");
}

static dx_slice body_of(const dx_would_send *would, const dx_cli_secrets *secrets, dx_arena *arena) {
    const dx_bound *bound = &would->call->bound;
    dx_slice body = would->call->x.request.body;
    dx_buffer text;
    dx_buffer_init(&text, arena, DX_CLI_TEXT_CAP);
    for (const dx_upload_part *part = bound->upload ? bound->upload->first : NULL; part; part = part->next) write_part(&text, part);
    if (bound->upload) body = dx_buffer_slice(&text);
    return body.size ? dx_cli_mask_body(secrets, arena, dx_fields_find(&bound->fields, DX_SLICE("content-type")), body) : body;
}

static void write_text(dx_buffer *out, const dx_would_send *would, const dx_cli_secrets *secrets, dx_arena *arena) {
    const dx_exchange_request *request = &would->call->x.request;
    dx_slice url = dx_cli_mask_url(secrets, arena, would->call->transfer.url), body = body_of(would, secrets, arena);
    dx_buffer_printf(out, "%s %.*s\n", dx_method_name(request->method), DX_SLICE_ARG(url));
    for (uint32_t i = 0; i < request->fields.count; i++) {
        const dx_field *field = &request->fields.items[i];
        dx_slice value = dx_cli_mask_field(secrets, arena, field->name, field->value);
        dx_buffer_printf(out, "%.*s: %.*s\n", DX_SLICE_ARG(field->name), DX_SLICE_ARG(value));
    }
    if (would->token_missing) dx_buffer_printf(out, "Authorization: %.*s\n", DX_SLICE_ARG(dx_would_send_token(would, arena)));
    if (body.size) dx_buffer_printf(out, "\n%.*s\n", DX_SLICE_ARG(body));
}

static bool write_json(dx_buffer *out, const dx_would_send *would, const dx_cli_secrets *secrets, const dx_cli_call *call) {
    const dx_exchange_request *request = &would->call->x.request;
    dx_arena *arena = call->arena;
    yyjson_alc alc = dx_json_alc(arena);
    yyjson_mut_doc *doc = dx_json_mut_doc(arena);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL, *headers = root ? yyjson_mut_arr(doc) : NULL;
    dx_slice url = dx_cli_mask_url(secrets, arena, would->call->transfer.url), body = body_of(would, secrets, arena);
    if (!headers) return false;
    yyjson_mut_obj_add_str(doc, root, "method", dx_method_name(request->method));
    yyjson_mut_obj_add_strn(doc, root, "url", url.data, url.size);
    yyjson_mut_obj_add_val(doc, root, "headers", headers);
    for (uint32_t i = 0; i < request->fields.count; i++) {
        const dx_field *field = &request->fields.items[i];
        dx_slice value = dx_cli_mask_field(secrets, arena, field->name, field->value);
        yyjson_mut_val *pair = yyjson_mut_arr_add_obj(doc, headers);
        yyjson_mut_obj_add_strncpy(doc, pair, "name", field->name.data, field->name.size);
        yyjson_mut_obj_add_strncpy(doc, pair, "value", value.data ? value.data : "", value.size);
    }
    if (would->token_missing) yyjson_mut_obj_add_str(doc, root, "token_of", would->auth);
    if (body.size) yyjson_mut_obj_add_strn(doc, root, "body", body.data, body.size);
    yyjson_doc *fixed = yyjson_mut_val_imut_copy(root, &alc);
    return fixed && dx_output_value(out, arena, yyjson_doc_get_root(fixed), &call->out) == DX_OK;
}

int dx_cli_print_request(const dx_cli_call *call) {
    dx_would_send would;
    dx_buffer text;
    int result = dx_cli_would_send(&would, call);
    if (result != DX_EXIT_OK) return result;
    dx_cli_secrets *secrets = dx_cli_secrets_create(call, would.call->settings);
    dx_buffer_init(&text, call->arena, DX_CLI_TEXT_CAP);
    bool good = secrets != NULL;
    if (good && call->format_given)
        good = write_json(&text, &would, secrets, call);
    else if (good)
        write_text(&text, &would, secrets, call->arena);
    result = good && dx_buffer_status(&text) == DX_OK ? dx_print_output(dx_buffer_slice(&text)) : DX_EXIT_FAILED;
    dx_cli_secrets_destroy(secrets);
    dx_call_release(would.call);
    return result;
}
