// Where secrets come from, and that the redactor hears of them: auth objects whole, what a variable or a sealed value gave, headers and
// parameters that are secret. Where an API is and what it is called is no secret, though it mostly comes from a variable: only what looks
// like a key in a base URL's path counts (as webhooks have it), and what stands before an "@".
#include "base/memory.h"
#include "client/client.h"
#include "client/log.h"
#include "client/value.h"
#include "config/definition.h"
#include "crypto/digest.h"

enum { KEY_IN_PATH = 16 }; // bytes of a path's segment from which on it may be a key

// --- told by others ----------------------------------------------------------------------------------------------------------------

bool dx_client_secret(dx_client *client, dx_slice secret) {
    return secret.size == 0 || dx_redactor_add_value(client->redactor, secret) == DX_OK;
}

void dx_client_secret_gone(dx_client *client, dx_slice secret) {
    if (secret.size) dx_redactor_remove_value(client->redactor, secret);
}

// --- of a definition -----------------------------------------------------------------------------------------------------------------

// What a snapshot told, to be taken back with it.
typedef struct learned {
    dx_slice *items;
    size_t count, room;
    dx_client *client;
    const dx_definition *definition;
    dx_arena *arena, *scratch;
    dx_status status;
} learned;

static void forget(void *ctx) {
    const learned *l = ctx;
    for (size_t i = 0; i < l->count; i++) {
        dx_client_secret_gone(l->client, l->items[i]);
        dx_secret_wipe((void *)(uintptr_t)l->items[i].data, l->items[i].size);
    }
}

static void tell(learned *l, dx_slice secret) {
    if (l->status != DX_OK || secret.size < DX_REDACT_VALUE_MIN) return;
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 16;
        dx_slice *items = dx_arena_realloc(l->arena, l->items, l->room * sizeof *items, room * sizeof *items);
        if (!items) {
            l->status = DX_NO_MEMORY;
            return;
        }
        l->items = items;
        l->room = room;
    }
    dx_slice copy = dx_arena_copy(l->arena, secret); // the definition may be forgotten before
    l->status = copy.data ? dx_redactor_add_value(l->client->redactor, copy) : DX_NO_MEMORY;
    if (l->status == DX_OK) l->items[l->count++] = copy;
}

static bool is_one_of(dx_slice name, const char *const *names) {
    for (; *names; names++)
        if (dx_slice_equal(name, dx_slice_str(*names))) return true;
    return false;
}

// Of an auth object: what only says how it is used, though it may come from a variable.
static bool is_plain_in_auth(dx_slice name) {
    static const char *const plain[] = {"type",      "in",       "name",   "header", "prefix",  "username", "client_id", "scope", "scopes",
                                        "url",       "method",   "path",   "issuer", "subject", "region",   "service",   "file",  "realm",
                                        "algorithm", "audience", "key_id", "id",     "iss",     "aud",      "sub",       "kid",   NULL};
    static const char *const endings[] = {"_url", "_path", "_file", "_header", NULL};
    if (is_one_of(name, plain)) return true;
    for (size_t i = 0; endings[i]; i++) {
        dx_slice ending = dx_slice_str(endings[i]);
        if (name.size > ending.size && dx_slice_equal(dx_slice_from(name, name.size - ending.size), ending)) return true;
    }
    return false;
}

// Likewise: what it is used with, also where it stands in the definition as it is.
static bool is_secret_in_auth(const dx_client *client, dx_slice name) {
    static const char *const secret[] = {"value", "key", "pass", "pwd", "pin", "pem", "k", "d", "assertion", "credential", NULL};
    return is_one_of(name, secret) || dx_redactor_is_secret_name(client->redactor, name);
}

static bool says_where(dx_slice name) {
    static const char *const plain[] = {"base_url", "title",  "summary", "description",  "path",  "ca_file",         "certificate",
                                        "key",      "proxy",  "redis",   "http_version", "level", "default_version", "health",
                                        "endpoint", "prefix", NULL};
    return is_one_of(name, plain);
}

bool dx_log_is_secret_value(const dx_client *client, const dx_definition *definition, dx_slice at, dx_slice name, bool in_auth) {
    if (in_auth && is_secret_in_auth(client, name)) return true;
    return definition && dx_definition_is_secret(definition, at) && !(in_auth ? is_plain_in_auth(name) : says_where(name));
}

// "user:password@" of a URL, and what in its path looks like a key.
static void tell_url(learned *l, dx_slice url) {
    size_t scheme = dx_slice_find(url, ':');
    if (scheme == SIZE_MAX || !dx_slice_starts(dx_slice_from(url, scheme), DX_SLICE("://"))) return;
    dx_slice rest = dx_slice_from(url, scheme + 3), path = rest, authority = dx_slice_cut(&path, '/');
    size_t at = dx_slice_find(authority, '@');
    if (at != SIZE_MAX) {
        dx_slice user = dx_slice_of(authority.data, at);
        size_t colon = dx_slice_find(user, ':');
        tell(l, colon == SIZE_MAX ? user : dx_slice_from(user, colon + 1));
    }
    while (path.data) {
        dx_slice segment = dx_slice_cut(&path, '/');
        if (segment.size >= KEY_IN_PATH) tell(l, segment);
    }
}

static void learn_string(learned *l, dx_slice text, dx_slice at, dx_slice name, bool in_auth) {
    static const char *const urls[] = {"base_url", "proxy", "redis", NULL};
    if (dx_log_is_secret_value(l->client, l->definition, at, name, in_auth))
        tell(l, text);
    else if (is_one_of(name, urls) && (dx_definition_is_secret(l->definition, at) || dx_slice_find(text, '@') != SIZE_MAX))
        tell_url(l, text);
}

// Depth is bounded by the definition's own cap.
static void walk(learned *l, yyjson_val *value, dx_slice at, dx_slice name, bool in_auth) {
    size_t i, n;
    yyjson_val *key, *member;
    if (yyjson_is_str(value)) return learn_string(l, dx_json_slice(value), at, name, in_auth);
    if (!in_auth && !dx_definition_is_secret(l->definition, at)) return;
    yyjson_obj_foreach(value, i, n, key, member) {
        dx_slice below = dx_json_pointer_join(l->scratch, at, dx_json_slice(key));
        walk(l, member, below, dx_json_slice(key), in_auth || dx_slice_equal(dx_json_slice(key), DX_SLICE("auth")));
    }
    yyjson_arr_foreach(value, i, n, member) walk(l, member, dx_json_pointer_index(l->scratch, at, i), name, in_auth);
}

// Behind a scheme: "Bearer abc" is the secret abc.
static dx_slice credential(dx_slice value) {
    size_t space = dx_slice_find(value, ' ');
    return space == SIZE_MAX ? value : dx_slice_trim(dx_slice_from(value, space));
}

static void learn_layer(learned *l, yyjson_val *layer, dx_slice at) {
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_val *auth = yyjson_obj_get(layer, "auth");
    if (auth) walk(l, auth, dx_json_pointer_join(l->scratch, at, DX_SLICE("auth")), DX_SLICE("auth"), true);
    yyjson_obj_foreach(yyjson_obj_get(layer, "default_headers"), i, n, key,
                       value) if (dx_redactor_is_secret_name(l->client->redactor, dx_json_slice(key)))
        tell(l, credential(dx_json_slice(value)));
    yyjson_arr_foreach(yyjson_obj_get(yyjson_obj_get(layer, "log"), "redact"), i, n, value) if (l->status == DX_OK) l->status =
        dx_redactor_add_name(l->client->redactor, dx_json_slice(value));
}

static void learn_param(learned *l, const dx_param *param) {
    if (!param->secret) return;
    if (l->status == DX_OK) l->status = dx_redactor_add_name(l->client->redactor, param->wire);
    if (l->status == DX_OK && !dx_slice_equal(param->wire, param->name)) l->status = dx_redactor_add_name(l->client->redactor, param->name);
    if (param->otherwise && param->otherwise->kind == DX_GIVEN_STR) tell(l, param->otherwise->as.text);
}

static void learn_api(learned *l, const dx_api *api, yyjson_val *settings) {
    learn_layer(l, settings, api->pointer);
    for (size_t i = 0; i < api->endpoint_count; i++) {
        const dx_endpoint *endpoint = api->endpoints[i];
        dx_slice at = dx_endpoint_pointer(endpoint, l->scratch);
        learn_layer(l, dx_json_at(settings, dx_slice_from(at, api->pointer.size)), at);
        for (size_t j = 0; j < endpoint->param_count; j++) learn_param(l, &endpoint->params[j]);
    }
}

dx_status dx_log_learn(dx_client *client, dx_apis *apis) {
    dx_map_entry *entry;
    learned *l = DX_ARENA_NEW(apis->arena, learned);
    dx_arena *scratch = dx_arena_create((size_t)64 << 20);
    dx_status status = DX_NO_MEMORY;
    if (!l || !scratch) goto out;
    *l = (learned){.client = client, .definition = apis->definition, .arena = apis->arena, .scratch = scratch};
    yyjson_val *section = dx_definition_section(apis->definition, "apis");
    status = dx_arena_defer(apis->arena, forget, l);
    if (status != DX_OK) goto out;
    walk(l, section, DX_SLICE("/apis"), DX_SLICE("apis"), false);
    learn_layer(l, yyjson_obj_get(section, "defaults"), DX_SLICE("/apis/defaults"));
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));)
        learn_api(l, entry->value, yyjson_obj_getn(section, entry->key.data, entry->key.size));
    status = l->status;
out:
    dx_arena_destroy(scratch);
    return status;
}

// --- of a call -----------------------------------------------------------------------------------------------------------------------

struct dx_call_secret {
    struct dx_call_secret *next;
    dx_slice text;
};

static bool keep(dx_call *call, dx_slice text) {
    if (text.size < DX_REDACT_VALUE_MIN) return true;
    struct dx_call_secret *secret = DX_ARENA_NEW(call->arena, struct dx_call_secret);
    if (!secret) return false;
    secret->text = dx_arena_copy(call->arena, text);
    secret->next = call->secrets;
    call->secrets = secret;
    return secret->text.data != NULL;
}

// Every scalar of it: a number may be a secret, too.
static bool keep_tree(dx_call *call, yyjson_val *value) {
    size_t i, n;
    yyjson_val *key, *member;
    bool kept = true;
    if (yyjson_is_str(value)) return keep(call, dx_json_slice(value));
    yyjson_arr_foreach(value, i, n, member) kept = kept && keep_tree(call, member);
    yyjson_obj_foreach(value, i, n, key, member) kept = kept && keep_tree(call, member);
    return kept;
}

static bool keep_arg(dx_call *call, const dx_arg *arg) {
    dx_given given;
    dx_buffer text;
    if (arg->kind == DX_ARG_STR) return keep(call, dx_slice_of(arg->value.text, arg->size));
    if (dx_given_arg(&given, call->arena, arg) != DX_OK) return true; // it will be refused
    if (given.kind == DX_GIVEN_TREE) return keep_tree(call, given.as.tree);
    dx_buffer_init(&text, call->arena, DX_REDACT_VALUE_CAP);
    dx_given_write_text(&text, &given);
    return keep(call, dx_buffer_slice(&text));
}

bool dx_log_keep_secrets(dx_call *call, const dx_asked *asked) {
    const dx_endpoint *endpoint = asked->endpoint;
    bool kept = true;
    for (size_t i = 0; i < endpoint->param_count && kept; i++) {
        if (!endpoint->params[i].secret) continue;
        for (const dx_arg *arg = asked->args; arg && arg->kind != DX_ARG_END && kept; arg++)
            if (dx_slice_equal(dx_slice_str(arg->name), endpoint->params[i].name)) kept = keep_arg(call, arg);
    }
    for (const dx_header *header = asked->options->headers; header && header->name && kept; header++)
        if (dx_redactor_is_secret_name(call->client->redactor, dx_slice_str(header->name)))
            kept = keep(call, credential(dx_slice_str(header->value)));
    return kept;
}

static void destroy_own(void *ctx) {
    dx_redactor_destroy(ctx);
}

// The redactor of what is secret in this call alone; NULL without memory.
static dx_redactor *own_of(dx_call *call) {
    static const dx_redact_options values_alone = {.no_patterns = true};
    if (call->own_redactor) return call->own_redactor;
    dx_redactor *own = dx_redactor_create(&values_alone);
    if (!own || dx_arena_defer(call->arena, destroy_own, own) != DX_OK) return NULL;
    for (const struct dx_call_secret *secret = call->secrets; secret; secret = secret->next)
        if (dx_redactor_add_value(own, secret->text) != DX_OK) return NULL;
    return call->own_redactor = own;
}

static dx_status redact(dx_redactor *redactor, dx_buffer *out, dx_clean_form form, dx_slice name, dx_slice text) {
    switch (form) {
    case DX_CLEAN_URL:
        return dx_redact_url(redactor, out, text);
    case DX_CLEAN_FIELD:
        return dx_redact_field(redactor, out, name, text);
    case DX_CLEAN_FORM:
        return dx_redact_form(redactor, out, text);
    case DX_CLEAN_JSON:
        return dx_redact_json(redactor, out, text);
    default:
        return dx_redact_text(redactor, out, text);
    }
}

dx_slice dx_log_clean(dx_client *client, dx_call *call, dx_arena *arena, dx_clean_form form, dx_slice name, dx_slice text) {
    dx_buffer first, second;
    if (text.size == 0) return text;
    dx_buffer_init(&first, arena, 2 * DX_REDACT_TEXT_CAP);
    dx_status status = redact(client->redactor, &first, form, name, text);
    if (status != DX_OK) return DX_SLICE(DX_REDACTED);
    if (!call || !call->secrets) return dx_buffer_slice(&first);
    dx_redactor *own = own_of(call);
    dx_buffer_init(&second, arena, 2 * DX_REDACT_TEXT_CAP);
    status = own ? redact(own, &second, form, name, dx_buffer_slice(&first)) : DX_NO_MEMORY;
    return status == DX_OK ? dx_buffer_slice(&second) : DX_SLICE(DX_REDACTED);
}

void dx_log_clean_message(dx_client *client, dx_call *call, dx_error *error) {
    if (!error || !error->message[0]) return;
    dx_arena *arena = dx_pool_take(client->pool);
    dx_slice text =
        arena ? dx_log_clean(client, call, arena, DX_CLEAN_TEXT, (dx_slice){0}, dx_slice_str(error->message)) : DX_SLICE(DX_REDACTED);
    size_t size = text.size < sizeof error->message ? text.size : sizeof error->message - 1;
    memcpy(error->message, text.data, size);
    error->message[size] = '\0';
    if (arena) dx_pool_give(client->pool, arena);
}

void dx_log_clean_error(dx_call *call) {
    if (call->error->code != DX_ERROR_NONE) dx_log_clean_message(call->client, call, call->error);
}
