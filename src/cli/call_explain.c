// `--explain`: what a call would do and why. The facts are gathered into one tree, which `-o` prints as data; without it they are told in
// lines.
#include <stdlib.h>

#include "cli/cli_call.h"
#include "client/value.h"
#include "policy/cache_key.h"
#include "policy/redact.h"

#define DEPTH_CAP 16

typedef struct telling {
    const dx_cli_call *call;
    const dx_would_send *would;
    const dx_cli_secrets *secrets;
    const dx_settings *settings;
    dx_arena *arena;
    yyjson_mut_doc *doc;
    yyjson_mut_val *root;
} telling;

static void put(const telling *t, yyjson_mut_val *object, dx_slice name, dx_slice value) {
    yyjson_mut_val *key = yyjson_mut_strncpy(t->doc, name.data ? name.data : "", name.size);
    yyjson_mut_obj_add(object, key, yyjson_mut_strncpy(t->doc, value.data ? value.data : "", value.size));
}

DX_PRINTF(3, 4) static void say(const telling *t, const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    dx_slice text = dx_arena_vprintf(t->arena, format, args);
    va_end(args);
    put(t, t->root, dx_slice_str(name), text);
}

// {"value", "from"} under a name; `value` may be NULL.
static yyjson_mut_val *put_fact(const telling *t, yyjson_mut_val *object, dx_slice name, yyjson_mut_val *value, dx_slice from) {
    yyjson_mut_val *fact = yyjson_mut_obj(t->doc), *key = yyjson_mut_strncpy(t->doc, name.data ? name.data : "", name.size);
    if (value) yyjson_mut_obj_add_val(t->doc, fact, "value", value);
    put(t, fact, DX_SLICE("from"), from);
    yyjson_mut_obj_add(object, key, fact);
    return fact;
}

static yyjson_mut_val *text_of(const telling *t, dx_slice text) {
    return yyjson_mut_strncpy(t->doc, text.data ? text.data : "", text.size);
}

static dx_slice origin_at(const telling *t, dx_slice pointer, const char *layer) {
    dx_cli_origin origin;
    dx_cli_value_origin(&origin, t->call, pointer, layer);
    return dx_cli_origin_text(&origin, t->arena);
}

// --- the request -------------------------------------------------------------------------------------------------------------------------

static const dx_header *own_header(const telling *t, dx_slice name) {
    for (const dx_header *header = t->call->options.headers; header && header->name; header++)
        if (dx_slice_equal_nocase(dx_slice_str(header->name), name)) return header;
    return NULL;
}

static dx_slice from_of_field(const telling *t, const dx_field *field) {
    const dx_endpoint *target = t->call->target;
    if (dx_would_send_added(t->would, field->name)) return dx_arena_printf(t->arena, "auth (%s)", t->would->auth);
    if (own_header(t, field->name)) return DX_SLICE("command line");
    for (size_t i = 0; i < target->param_count; i++)
        if (target->params[i].in == DX_IN_HEADER && dx_slice_equal_nocase(target->params[i].wire, field->name))
            return dx_arena_printf(t->arena, "parameter %.*s", DX_SLICE_ARG(target->params[i].name));
    if (!dx_fields_find(&t->settings->headers, field->name).data) return DX_SLICE("duplex");
    dx_cli_origin origin;
    dx_cli_setting_origin(&origin, t->call, dx_json_pointer_join(t->arena, DX_SLICE("/default_headers"), field->name));
    return dx_cli_origin_text(&origin, t->arena);
}

static void tell_request(const telling *t) {
    const dx_exchange_request *request = &t->would->call->x.request;
    const dx_api *api = t->call->target->api;
    dx_slice url = dx_cli_mask_url(t->secrets, t->arena, t->would->call->transfer.url);
    say(t, "call", "%.*s", DX_SLICE_ARG(t->call->target->full));
    say(t, "method", "%s", dx_method_name(request->method));
    say(t, "url", "%.*s", DX_SLICE_ARG(url));
    dx_slice base = dx_arena_printf(t->arena, "%.*s%.*s", DX_SLICE_ARG(api->origin), DX_SLICE_ARG(api->base_path));
    (void)put_fact(t, t->root, DX_SLICE("base_url"), text_of(t, base),
                   origin_at(t, dx_json_pointer_join(t->arena, api->pointer, DX_SLICE("base_url")), "api"));
    yyjson_mut_val *headers = yyjson_mut_obj_add_obj(t->doc, t->root, "headers");
    for (uint32_t i = 0; i < request->fields.count; i++) {
        const dx_field *field = &request->fields.items[i];
        dx_slice value = dx_cli_mask_field(t->secrets, t->arena, field->name, field->value);
        (void)put_fact(t, headers, field->name, text_of(t, value), from_of_field(t, field));
    }
    if (t->would->token_missing)
        (void)put_fact(t, headers, DX_SLICE("Authorization"), text_of(t, dx_would_send_token(t->would, t->arena)),
                       dx_arena_printf(t->arena, "auth (%s)", t->would->auth));
}

// --- parameters --------------------------------------------------------------------------------------------------------------------------

static const dx_arg *arg_of(const telling *t, dx_slice name) {
    for (const dx_arg *arg = t->call->args; arg->kind != DX_ARG_END; arg++)
        if (dx_slice_equal(dx_slice_str(arg->name), name)) return arg;
    return NULL;
}

static void tell_param(const telling *t, yyjson_mut_val *object, const dx_param *param) {
    static const char *const places[] = {"path", "query", "header", "cookie", "body"};
    const dx_arg *arg = arg_of(t, param->name);
    dx_slice from = arg ? DX_SLICE("command line") : DX_SLICE("not given");
    yyjson_mut_val *value = arg ? text_of(t, dx_slice_of(arg->value.text, arg->size)) : NULL;
    if (!arg && param->otherwise) {
        dx_slice at = dx_json_pointer_join(
            t->arena, dx_json_pointer_join(t->arena, dx_endpoint_pointer(t->call->target, t->arena), DX_SLICE("params")), param->name);
        from = origin_at(t, dx_json_pointer_join(t->arena, at, DX_SLICE("default")), "its default");
        value = dx_given_value(t->doc, param->otherwise);
    }
    if (value && param->secret) value = text_of(t, DX_SLICE(DX_REDACTED));
    yyjson_mut_obj_add_str(t->doc, put_fact(t, object, param->name, value, from), "in", places[param->in]);
}

static void tell_params(const telling *t) {
    yyjson_mut_val *object = yyjson_mut_obj_add_obj(t->doc, t->root, "parameters");
    for (size_t i = 0; i < t->call->target->param_count; i++) tell_param(t, object, &t->call->target->params[i]);
    for (const dx_arg *arg = t->call->args; t->call->target->open && arg->kind != DX_ARG_END; arg++)
        (void)put_fact(t, object, dx_slice_str(arg->name), text_of(t, dx_slice_of(arg->value.text, arg->size)), DX_SLICE("command line"));
}

// --- settings ----------------------------------------------------------------------------------------------------------------------------

static dx_slice dotted(const telling *t, dx_slice pointer) {
    char *text = dx_arena_bytes(t->arena, pointer.size);
    if (!text) return pointer;
    for (size_t i = 1; i < pointer.size; i++) text[i - 1] = pointer.data[i] == '/' ? '.' : pointer.data[i];
    return dx_slice_of(text, pointer.size - 1);
}

static void tell_setting(const telling *t, yyjson_mut_val *object, yyjson_val *value, dx_slice at) {
    dx_cli_origin origin;
    bool secret = yyjson_is_str(value) && dx_cli_setting_is_secret(t->secrets, t->call, at);
    dx_cli_setting_origin(&origin, t->call, at);
    yyjson_mut_val *shown = secret ? text_of(t, DX_SLICE(DX_REDACTED)) : yyjson_val_mut_copy(t->doc, value);
    if (dx_slice_equal(at, DX_SLICE("/timeout")) && t->call->options.timeout_ms)
        shown = yyjson_mut_real(t->doc, (double)t->call->options.timeout_ms / 1000);
    (void)put_fact(t, object, dotted(t, at), shown, dx_cli_origin_text(&origin, t->arena));
}

static void tell_settings(const telling *t, yyjson_mut_val *object, yyjson_val *value, dx_slice at, unsigned depth) {
    size_t index, count;
    yyjson_val *key, *member;
    if (depth > DEPTH_CAP) return;
    if (at.size && (!yyjson_is_obj(value) || yyjson_obj_size(value) == 0)) return tell_setting(t, object, value, at);
    yyjson_obj_foreach(value, index, count, key, member)
        tell_settings(t, object, member, dx_json_pointer_join(t->arena, at, dx_json_slice(key)), depth + 1);
}

// --- what stands around it ---------------------------------------------------------------------------------------------------------------

static void tell_filters(const telling *t) {
    const dx_chain *chain = &t->settings->chain;
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(t->doc, t->root, "filters");
    for (uint16_t i = 0; i < chain->filter_count; i++) yyjson_mut_arr_add_str(t->doc, list, chain->filters[i].ops->name);
    yyjson_mut_arr_add_str(t->doc, list, "send");
}

static void write_statuses(const telling *t, dx_buffer *out) {
    for (int status = 400; status < 600; status++)
        if (dx_retry_on(&t->settings->retry.conf, status)) dx_buffer_printf(out, "%s%d", out->size ? " " : "", status);
}

static void tell_retry(const telling *t) {
    const dx_retry_conf *conf = &t->settings->retry.conf;
    const dx_exchange_request *request = &t->would->call->x.request;
    const char *method = dx_method_name(request->method);
    dx_buffer statuses;
    dx_buffer_init(&statuses, t->arena, 4096);
    write_statuses(t, &statuses);
    if (conf->attempts <= 1) return say(t, "retry", "no: retry.attempts is 1");
    if (request->once) return say(t, "retry", "only what was never sent: the body can't be read a second time");
    if (!request->repeatable)
        return say(t, "retry", "only what was never sent: %s is not idempotent, and no Idempotency-Key is sent (retry.idempotency_key)",
                   method);
    say(t, "retry", "yes, %u attempts at most: %s; after %s%sstatus %.*s", conf->attempts,
        t->would->call->bound.keyed ? "an Idempotency-Key is sent, the same each time" : "the request is idempotent",
        conf->on_network ? "broken connections, " : "", conf->on_timeout ? "timeouts, " : "", DX_SLICE_ARG(dx_buffer_slice(&statuses)));
}

static void tell_cache(const telling *t) {
    char storage[DX_CACHE_CREDENTIAL_SIZE];
    dx_call *made = t->would->call;
    if (!t->settings->cache) return say(t, "cache", "none");
    if (made->x.request.method != DX_GET && made->x.request.method != DX_HEAD) return say(t, "cache", "none: only GET is cached");
    dx_slice identity = t->would->auth && t->settings->identity ? dx_slice_str(t->settings->identity->identity) : (dx_slice){0};
    dx_slice whose = dx_cache_credential_of_call(storage, identity, &t->would->before, NULL, 0);
    dx_slice url = dx_arena_printf(t->arena, "%.*s%.*s", DX_SLICE_ARG(made->endpoint->api->origin), DX_SLICE_ARG(t->would->target_before));
    url = dx_cli_mask_url(t->secrets, t->arena, url);
    dx_slice type = dx_json_member_slice(t->settings->cache, "type");
    say(t, "cache", "%.*s; the key is made of: API %.*s, credential %.*s, GET, %.*s, and what Vary names", DX_SLICE_ARG(type),
        DX_SLICE_ARG(made->endpoint->api->name), DX_SLICE_ARG(whose.size ? whose : DX_SLICE("of nobody")), DX_SLICE_ARG(url));
}

static void tell_limit(const telling *t) {
    yyjson_val *limit = t->settings->rate_limit;
    if (!limit || !yyjson_obj_get(limit, "max_requests")) return say(t, "limiter", "none");
    dx_slice per = dx_json_member_slice(limit, "per");
    say(t, "limiter", "%g requests in %g s, a bucket for each %.*s; a call waits %g s at most",
        yyjson_get_num(yyjson_obj_get(limit, "max_requests")), yyjson_get_num(yyjson_obj_get(limit, "time_window")),
        DX_SLICE_ARG(t->settings->own_limit ? DX_SLICE("endpoint") : per), yyjson_get_num(yyjson_obj_get(limit, "max_wait")));
}

static void tell_breaker(const telling *t) {
    yyjson_val *breaker = t->settings->breaker;
    if (!breaker) return say(t, "breaker", "none");
    say(t, "breaker", "opens when %g of at least %g calls in %g s fail, and is tried again after %g s",
        yyjson_get_num(yyjson_obj_get(breaker, "failure_ratio")), yyjson_get_num(yyjson_obj_get(breaker, "min_calls")),
        yyjson_get_num(yyjson_obj_get(breaker, "window")), yyjson_get_num(yyjson_obj_get(breaker, "open_time")));
}

static const char *proxy_variable(bool secure) {
    static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
    static const char *const tls[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    const char *const *names = secure ? tls : plain;
    for (size_t i = 0; i < (secure ? DX_COUNT_OF(tls) : DX_COUNT_OF(plain)); i++)
        if (getenv(names[i])) return names[i];
    return NULL;
}

static void tell_proxy(const telling *t) {
    const char *given = t->settings->wire.proxy, *variable = proxy_variable(t->call->target->api->secure);
    if (given && !given[0]) return say(t, "proxy", "none: the definition says so");
    const char *url = given ? given : variable ? getenv(variable) : NULL;
    if (!url) return say(t, "proxy", "none: neither the definition nor the environment names one");
    dx_slice shown = dx_cli_mask_url(t->secrets, t->arena, dx_slice_str(url));
    say(t, "proxy", "%.*s, from %s%s", DX_SLICE_ARG(shown), given ? "the definition" : variable,
        given ? "" : " in the environment (no_proxy counts)");
}

static void tell_timeouts(const telling *t) {
    const dx_wire_settings *wire = &t->settings->wire;
    double whole = t->call->options.timeout_ms ? (double)t->call->options.timeout_ms / 1000 : (double)t->settings->timeout / 1e9;
    say(t, "timeouts", "%g s for all of it, %g s to connect, %g s without a byte", whole, (double)wire->connect_timeout / 1e9,
        (double)wire->idle_timeout / 1e9);
}

static bool gather(telling *t) {
    t->doc = dx_json_mut_doc(t->arena);
    t->root = t->doc ? yyjson_mut_obj(t->doc) : NULL;
    if (!t->root) return false;
    tell_request(t);
    tell_params(t);
    tell_filters(t);
    tell_retry(t);
    tell_cache(t);
    tell_limit(t);
    tell_breaker(t);
    tell_timeouts(t);
    tell_proxy(t);
    yyjson_mut_val *settings = yyjson_mut_obj_add_obj(t->doc, t->root, "settings");
    tell_settings(t, settings, t->settings->tree, (dx_slice){"", 0}, 0);
    return true;
}

// --- in lines
// ------------------------------------------------------------------------------------------------------------------------------

static void write_value(dx_buffer *out, yyjson_val *value) {
    if (yyjson_is_str(value))
        dx_buffer_add(out, dx_json_slice(value));
    else if (value)
        dx_json_write_value(out, value);
}

static void write_fact(dx_buffer *out, dx_slice name, yyjson_val *fact) {
    dx_slice in = dx_json_member_slice(fact, "in");
    dx_buffer_printf(out, "%.*s%s%.*s%s", DX_SLICE_ARG(name), in.size ? " (" : "", DX_SLICE_ARG(in), in.size ? ")" : "");
    if (yyjson_obj_get(fact, "value")) DX_BUFFER_LIT(out, " = ");
    write_value(out, yyjson_obj_get(fact, "value"));
    dx_buffer_printf(out, "    [%.*s]\n", DX_SLICE_ARG(dx_json_member_slice(fact, "from")));
}

static void write_lines(dx_buffer *out, yyjson_val *root) {
    size_t at, count, index, size;
    yyjson_val *key, *value, *name, *member;
    yyjson_obj_foreach(root, at, count, key, value) {
        if (yyjson_is_obj(value) && yyjson_obj_get(value, "from")) {
            write_fact(out, dx_json_slice(key), value);
            continue;
        }
        dx_buffer_printf(out, "%.*s:", DX_SLICE_ARG(dx_json_slice(key)));
        if (yyjson_is_str(value)) dx_buffer_printf(out, " %.*s", DX_SLICE_ARG(dx_json_slice(value)));
        yyjson_arr_foreach(value, index, size, member)
            dx_buffer_printf(out, "%s%.*s", index ? " > " : " ", DX_SLICE_ARG(dx_json_slice(member)));
        dx_buffer_byte(out, '\n');
        yyjson_obj_foreach(value, index, size, name, member) {
            DX_BUFFER_LIT(out, "  ");
            write_fact(out, dx_json_slice(name), member);
        }
    }
}

static int print(const telling *t) {
    yyjson_alc alc = dx_json_alc(t->arena);
    yyjson_doc *fixed = yyjson_mut_val_imut_copy(t->root, &alc);
    dx_buffer text;
    dx_status status = fixed ? DX_OK : DX_NO_MEMORY;
    dx_buffer_init(&text, t->arena, DX_CLI_TEXT_CAP);
    if (fixed && t->call->format_given)
        status = dx_output_value(&text, t->arena, yyjson_doc_get_root(fixed), &t->call->out);
    else if (fixed)
        write_lines(&text, yyjson_doc_get_root(fixed));
    if (status == DX_OK) status = dx_buffer_status(&text);
    return status == DX_OK ? dx_print_output(dx_buffer_slice(&text)) : DX_EXIT_FAILED;
}

int dx_cli_print_explanation(const dx_cli_call *call) {
    dx_would_send would;
    int result = dx_cli_would_send(&would, call);
    if (result != DX_EXIT_OK) return result;
    const dx_settings *settings = would.call->settings;
    dx_cli_secrets *secrets = dx_cli_secrets_create(call, settings);
    telling t = {.call = call, .would = &would, .secrets = secrets, .settings = settings, .arena = call->arena};
    result = secrets && gather(&t) ? print(&t) : DX_EXIT_FAILED;
    dx_cli_secrets_destroy(secrets);
    dx_call_release(would.call);
    return result;
}
