// What `duplex call` may not show. Known by where it came from (under `auth`, from a variable or a seal, a parameter that is secret), so
// that it is found whatever it was put into; and by name and look, as the redactor knows them.
#include <stdio.h>

#include "cli/cli_call.h"
#include "client/value.h"
#include "codec/text.h"
#include "policy/redact.h"

#define DEPTH_CAP 16

// Members of auth objects that say how, not what.
static const char *const public_members[] = {"type",      "in",        "name",   "prefix",    "header",   "username",  "scheme",
                                             "algorithm", "scope",     "scopes", "region",    "service",  "issuer",    "audience",
                                             "subject",   "client_id", "key_id", "grant",     "method",   "placement", "separator",
                                             "store",     "path",      "format", "token_url", "auth_url", "endpoint"};

static bool is_public(dx_slice name) {
    for (size_t i = 0; i < DX_COUNT_OF(public_members); i++)
        if (dx_slice_equal(name, dx_slice_str(public_members[i]))) return true;
    return name.size > 4 && dx_slice_equal(dx_slice_from(name, name.size - 4), DX_SLICE("_url"));
}

static dx_slice last_token(dx_slice pointer) {
    size_t at = pointer.size;
    while (at && pointer.data[at - 1] != '/') at--;
    return dx_slice_from(pointer, at);
}

static bool is_of_auth(dx_slice setting) {
    return dx_slice_starts(setting, DX_SLICE("/auth/"));
}

static bool judged(dx_redactor *redactor, const dx_cli_call *call, dx_slice setting, const dx_cli_origin *origin) {
    dx_slice name = last_token(setting);
    if (origin->pointer.size && dx_definition_is_secret(call->apis->definition, origin->pointer)) return true;
    return is_of_auth(setting) ? !is_public(name) : dx_redactor_is_secret_name(redactor, name);
}

bool dx_cli_setting_is_secret(const dx_cli_secrets *secrets, const dx_cli_call *call, dx_slice setting) {
    dx_cli_origin origin;
    dx_cli_setting_origin(&origin, call, setting);
    return judged(secrets->redactor, call, setting, &origin);
}

static bool add(dx_cli_secrets *secrets, dx_arena *arena, dx_slice value, dx_slice variable) {
    dx_buffer encoded;
    if (value.size < DX_REDACT_VALUE_MIN) return true;
    if (dx_redactor_add_value(secrets->redactor, value) != DX_OK) return false;
    if (secrets->count + 2 > DX_CLI_SECRETS_CAP) return true; // the redactor has it
    secrets->items[secrets->count++] = (dx_cli_secret){value, variable};
    dx_buffer_init(&encoded, arena, value.size * 3 + 1);
    dx_percent_encode(&encoded, value);
    if (dx_buffer_status(&encoded) != DX_OK) return false;
    if (encoded.size != value.size) secrets->items[secrets->count++] = (dx_cli_secret){dx_buffer_slice(&encoded), {0}}; // as in a URL
    return true;
}

// The texts below a setting.
static bool gather(dx_cli_secrets *secrets, const dx_cli_call *call, yyjson_val *value, dx_slice setting, unsigned depth) {
    size_t at, count;
    yyjson_val *key, *member;
    if (depth > DEPTH_CAP) return false;
    yyjson_obj_foreach(value, at, count, key, member) {
        if (!gather(secrets, call, member, dx_json_pointer_join(call->arena, setting, dx_json_slice(key)), depth + 1)) return false;
    }
    yyjson_arr_foreach(value, at, count, member) {
        if (!gather(secrets, call, member, dx_json_pointer_index(call->arena, setting, at), depth + 1)) return false;
    }
    if (!yyjson_is_str(value)) return true;
    dx_cli_origin origin;
    dx_cli_setting_origin(&origin, call, setting);
    if (!judged(secrets->redactor, call, setting, &origin)) return true;
    return add(secrets, call->arena, dx_json_slice(value), origin.placed && origin.place.whole ? origin.place.variable : (dx_slice){0});
}

static bool gather_params(dx_cli_secrets *secrets, const dx_cli_call *call) {
    for (size_t i = 0; i < call->target->param_count; i++) {
        const dx_param *param = &call->target->params[i];
        if (!param->secret) continue;
        if (!add(secrets, call->arena,
                 param->otherwise && param->otherwise->kind == DX_GIVEN_STR ? param->otherwise->as.text : (dx_slice){0}, (dx_slice){0}))
            return false;
        for (const dx_arg *arg = call->args; arg && arg->kind != DX_ARG_END; arg++)
            if (arg->kind == DX_ARG_STR && dx_slice_equal(dx_slice_str(arg->name), param->name) &&
                !add(secrets, call->arena, dx_slice_of(arg->value.text, arg->size), (dx_slice){0}))
                return false;
    }
    return true;
}

dx_cli_secrets *dx_cli_secrets_create(const dx_cli_call *call, const dx_settings *settings) {
    static const char *const parts[] = {"auth", "default_headers", "client_certificate", "proxy", "cache", "rate_limit"};
    dx_cli_secrets *secrets = DX_ARENA_NEW(call->arena, dx_cli_secrets);
    bool good = secrets && (secrets->redactor = dx_redactor_create(NULL)) != NULL;
    for (size_t i = 0; i < DX_COUNT_OF(parts) && good; i++) {
        dx_slice setting = dx_arena_printf(call->arena, "/%s", parts[i]);
        good = setting.data && gather(secrets, call, yyjson_obj_get(settings->tree, parts[i]), setting, 0);
    }
    if (good && gather_params(secrets, call)) return secrets;
    fputs("duplex call: out of memory\n", stderr);
    dx_cli_secrets_destroy(secrets);
    return NULL;
}

void dx_cli_secrets_destroy(dx_cli_secrets *secrets) {
    if (secrets) dx_redactor_destroy(secrets->redactor);
}

const dx_cli_secret *dx_cli_secret_in(const dx_cli_secrets *secrets, dx_slice text, size_t *at) {
    const dx_cli_secret *found = NULL;
    for (size_t i = 0; i < secrets->count; i++) {
        const dx_cli_secret *secret = &secrets->items[i];
        const char *place = text.size ? memmem(text.data, text.size, secret->value.data, secret->value.size) : NULL;
        if (!place) continue;
        size_t offset = (size_t)(place - text.data);
        if (found && (offset > *at || (offset == *at && secret->value.size <= found->value.size))) continue;
        found = secret;
        *at = offset;
    }
    return found;
}

// --- masking: whatever fails leaves nothing but the mask ---------------------------------------------------------------------------------

static dx_slice masked(dx_buffer *text) {
    return dx_buffer_status(text) == DX_OK ? (text->size ? dx_buffer_slice(text) : (dx_slice){"", 0}) : DX_SLICE(DX_REDACTED);
}

dx_slice dx_cli_mask_field(const dx_cli_secrets *secrets, dx_arena *arena, dx_slice name, dx_slice value) {
    dx_buffer text;
    dx_buffer_init(&text, arena, DX_CLI_TEXT_CAP);
    dx_status status = dx_redact_field(secrets->redactor, &text, name, value);
    return status == DX_OK ? masked(&text) : DX_SLICE(DX_REDACTED);
}

dx_slice dx_cli_mask_url(const dx_cli_secrets *secrets, dx_arena *arena, dx_slice url) {
    dx_buffer text;
    dx_buffer_init(&text, arena, DX_CLI_TEXT_CAP);
    dx_status status = dx_redact_url(secrets->redactor, &text, url);
    return status == DX_OK ? masked(&text) : DX_SLICE(DX_REDACTED);
}

dx_slice dx_cli_mask_body(const dx_cli_secrets *secrets, dx_arena *arena, dx_slice type, dx_slice body) {
    dx_buffer text;
    dx_buffer_init(&text, arena, DX_CLI_TEXT_CAP);
    dx_status status = dx_http_media_is(type, "application/json")                    ? dx_redact_json(secrets->redactor, &text, body)
                       : dx_http_media_is(type, "application/x-www-form-urlencoded") ? dx_redact_form(secrets->redactor, &text, body)
                                                                                     : dx_redact_text(secrets->redactor, &text, body);
    return status == DX_OK ? masked(&text) : DX_SLICE(DX_REDACTED);
}
