// `--curl`: a command line of curl's that sends the same request. Secrets stand in it as the variables that the definition takes them from,
// and where there is none as a mask, so that the line can be handed to others.
#include "cli/cli_call.h"
#include "client/value.h"
#include "policy/redact.h"

typedef struct writing {
    dx_buffer *out;
    const dx_cli_call *call;
    const dx_cli_secrets *secrets;
    const dx_would_send *would;
} writing;

// In single quotes, in which a shell takes everything as it is.
static void write_literal(dx_buffer *out, dx_slice text) {
    if (!text.size || !text.data) return;
    dx_buffer_byte(out, '\'');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'')
            DX_BUFFER_LIT(out, "'\\''");
        else
            dx_buffer_byte(out, text.data[i]);
    }
    dx_buffer_byte(out, '\'');
}

// A word of the command: secrets in it become variables.
static void write_word(const writing *w, dx_slice text) {
    const dx_cli_secret *secret;
    size_t at;
    if (!text.size) DX_BUFFER_LIT(w->out, "''");
    while ((secret = dx_cli_secret_in(w->secrets, text, &at))) {
        write_literal(w->out, dx_slice_of(text.data, at));
        if (secret->variable.size)
            dx_buffer_printf(w->out, "\"$%.*s\"", DX_SLICE_ARG(secret->variable));
        else
            write_literal(w->out, DX_SLICE(DX_REDACTED));
        text = dx_slice_from(text, at + secret->value.size);
    }
    write_literal(w->out, text);
}

static bool has_secret(const writing *w, dx_slice text) {
    size_t at;
    return dx_cli_secret_in(w->secrets, text, &at) != NULL;
}

static void next_line(dx_buffer *out) {
    DX_BUFFER_LIT(out, " \\\n  ");
}

// What auth made of a secret (base64, a signature) no longer holds it, and is masked whole.
static void write_header(const writing *w, const dx_field *field) {
    dx_arena *arena = w->call->arena;
    dx_slice value = field->value;
    if (!has_secret(w, value))
        value =
            dx_would_send_added(w->would, field->name) ? DX_SLICE(DX_REDACTED) : dx_cli_mask_field(w->secrets, arena, field->name, value);
    dx_slice line = value.size ? dx_arena_printf(arena, "%.*s: %.*s", DX_SLICE_ARG(field->name), DX_SLICE_ARG(value))
                               : dx_arena_printf(arena, "%.*s;", DX_SLICE_ARG(field->name));
    next_line(w->out);
    DX_BUFFER_LIT(w->out, "-H ");
    write_word(w, line);
}

static void write_user(const writing *w) {
    yyjson_val *auth = w->would->call->settings->auth;
    dx_slice user = dx_json_member_slice(auth, "username"), password = dx_json_member_slice(auth, "password");
    next_line(w->out);
    DX_BUFFER_LIT(w->out, "-u ");
    write_word(w, dx_arena_printf(w->call->arena, "%.*s:%.*s", DX_SLICE_ARG(user), DX_SLICE_ARG(password)));
}

static bool is_form(const writing *w) {
    return w->would->call->endpoint->body_form == DX_BODY_FORM_MULTIPART && w->would->call->bound.upload && !w->call->body_path;
}

static void write_headers(const writing *w) {
    const dx_fields *fields = &w->would->call->x.request.fields;
    bool basic = w->would->auth && strcmp(w->would->auth, "basic") == 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        const dx_field *field = &fields->items[i];
        if (basic && field->id == DX_FIELD_AUTHORIZATION) continue;
        if (is_form(w) && field->id == DX_FIELD_CONTENT_TYPE) continue; // curl makes its own boundary
        write_header(w, field);
    }
    if (basic) write_user(w);
    if (!w->would->token_missing) return;
    dx_slice token = dx_would_send_token(w->would, w->call->arena);
    next_line(w->out);
    DX_BUFFER_LIT(w->out, "-H ");
    write_word(w, dx_arena_printf(w->call->arena, "Authorization: Bearer %.*s", DX_SLICE_ARG(token)));
}

// --- bodies ------------------------------------------------------------------------------------------------------------------------------

static void write_form_part(const writing *w, const dx_param *param, dx_slice value) {
    bool file = param->type == DX_TYPE_FILE;
    next_line(w->out);
    dx_buffer_printf(w->out, "%s ", file ? "-F" : "--form-string");
    write_word(w, dx_arena_printf(w->call->arena, "%.*s=%s%.*s", DX_SLICE_ARG(param->wire), file ? "@" : "", DX_SLICE_ARG(value)));
}

static const dx_arg *arg_of(const dx_cli_call *call, dx_slice name) {
    for (const dx_arg *arg = call->args; arg->kind != DX_ARG_END; arg++)
        if (dx_slice_equal(dx_slice_str(arg->name), name)) return arg;
    return NULL;
}

static void write_form(const writing *w) {
    const dx_endpoint *target = w->call->target;
    for (size_t i = 0; i < target->param_count; i++) {
        const dx_param *param = &target->params[i];
        const dx_arg *arg = arg_of(w->call, param->name);
        dx_buffer text;
        if (param->in != DX_IN_BODY || (!arg && !param->otherwise)) continue;
        dx_buffer_init(&text, w->call->arena, DX_CLI_TEXT_CAP);
        if (!arg) dx_given_write_text(&text, param->otherwise);
        write_form_part(w, param, arg ? dx_slice_of(arg->value.text, arg->size) : dx_buffer_slice(&text));
    }
}

static void write_body(const writing *w) {
    dx_slice body = w->would->call->x.request.body;
    if (is_form(w)) return write_form(w);
    if (w->call->body_path) {
        next_line(w->out);
        DX_BUFFER_LIT(w->out, "--data-binary ");
        return write_word(w, dx_arena_printf(w->call->arena, "@%s", w->call->body_path));
    }
    if (!body.size) return;
    dx_slice type = dx_fields_find(&w->would->call->x.request.fields, DX_SLICE("content-type"));
    if (!has_secret(w, body)) body = dx_cli_mask_body(w->secrets, w->call->arena, type, body);
    next_line(w->out);
    DX_BUFFER_LIT(w->out, "--data-raw ");
    write_word(w, body);
}

// --- settings that curl has, too ---------------------------------------------------------------------------------------------------------

static void write_option(const writing *w, const char *option, const char *value) {
    if (!value) return;
    next_line(w->out);
    dx_buffer_printf(w->out, "%s ", option);
    write_word(w, dx_slice_str(value));
}

static void write_settings(const writing *w) {
    const dx_wire_settings *wire = &w->would->call->settings->wire;
    if (!wire->verify_tls) next_line(w->out), DX_BUFFER_LIT(w->out, "--insecure");
    write_option(w, "--cacert", wire->ca_file);
    write_option(w, "--cert", wire->certificate);
    write_option(w, "--key", wire->key);
    write_option(w, "--pass", wire->key_password);
    if (wire->proxy && !wire->proxy[0])
        write_option(w, "--noproxy", "*");
    else
        write_option(w, "--proxy", wire->proxy);
}

static void write_command(const writing *w) {
    dx_call *call = w->would->call;
    dx_slice url = call->transfer.url;
    DX_BUFFER_LIT(w->out, "curl ");
    if (call->x.request.method == DX_HEAD)
        DX_BUFFER_LIT(w->out, "--head ");
    else if (call->x.request.method != DX_GET || call->x.request.body.size)
        dx_buffer_printf(w->out, "-X %s ", dx_method_name(call->x.request.method));
    write_word(w, has_secret(w, url) ? url : dx_cli_mask_url(w->secrets, w->call->arena, url));
    write_headers(w);
    write_body(w);
    write_settings(w);
    dx_buffer_byte(w->out, '\n');
}

int dx_cli_print_curl(const dx_cli_call *call) {
    dx_would_send would;
    dx_buffer text;
    int result = dx_cli_would_send(&would, call);
    if (result != DX_EXIT_OK) return result;
    dx_cli_secrets *secrets = dx_cli_secrets_create(call, would.call->settings);
    writing w = {&text, call, secrets, &would};
    dx_buffer_init(&text, call->arena, DX_CLI_TEXT_CAP);
    if (secrets) write_command(&w);
    result = secrets && dx_buffer_status(&text) == DX_OK ? dx_print_output(dx_buffer_slice(&text)) : DX_EXIT_FAILED;
    dx_cli_secrets_destroy(secrets);
    dx_call_release(would.call);
    return result;
}
