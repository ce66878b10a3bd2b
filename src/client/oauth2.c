#include "client/oauth2.h"

#include "client/auth_key.h"
#include "codec/text.h"
#include "crypto/digest.h"
#include "crypto/jwt_make.h"

// --- settings ------------------------------------------------------------------------------------------------------------------------
static const char *const grants[] = {"client_credentials", "refresh_token", "password", "authorization_code", "device_code", NULL};
static const char *const client_auths[] = {"post", "basic", "private_key_jwt", "none", NULL};
static const char *const methods[] = {"POST", "GET", NULL};
static const char *const names[] = {"grant",
                                    "token_url",
                                    "authorize_url",
                                    "device_url",
                                    "revoke_url",
                                    "refresh_url",
                                    "client_id",
                                    "client_secret",
                                    "username",
                                    "password",
                                    "refresh_token",
                                    "scopes",
                                    "scope_separator",
                                    "audience",
                                    "resource",
                                    "client_auth",
                                    "key",
                                    "assertion_audience",
                                    "body_format",
                                    "token_method",
                                    "token_params",
                                    "authorization_params",
                                    "refresh_params",
                                    "device_params",
                                    "token_headers",
                                    "token_path",
                                    "refresh_token_path",
                                    "expires_in_path",
                                    "pkce",
                                    "redirect_port",
                                    "redirect_path",
                                    "redirect_host",
                                    "in",
                                    "name",
                                    "prefix",
                                    DX_TOKEN_SETTINGS_NAMES,
                                    NULL};

static void wipe(void *ctx) {
    dx_oauth2 *oauth2 = ctx;
    dx_slice secrets[] = {oauth2->client_secret, oauth2->password, oauth2->refresh_token};
    for (size_t i = 0; i < DX_COUNT_OF(secrets); i++)
        if (secrets[i].size) dx_secret_wipe((void *)(uintptr_t)secrets[i].data, secrets[i].size);
    dx_key_destroy(oauth2->key);
}

static yyjson_val *copied(dx_auth_reader *reader, const char *name) {
    yyjson_val *object = dx_auth_object(reader, name);
    if (!object) return NULL;
    yyjson_alc alc = dx_json_alc(reader->arena);
    yyjson_mut_doc *doc = dx_json_mut_doc(reader->arena);
    yyjson_mut_val *copy = doc ? yyjson_val_mut_copy(doc, object) : NULL;
    yyjson_val *fixed = copy ? yyjson_doc_get_root(yyjson_mut_val_imut_copy(copy, &alc)) : NULL;
    if (!fixed) reader->status = DX_NO_MEMORY;
    return fixed;
}

static void read_urls(dx_oauth2 *o, dx_auth_reader *reader) {
    bool plain = dx_auth_flag(reader, "allow_http", false), code = o->grant == DX_GRANT_AUTHORIZATION_CODE,
         device = o->grant == DX_GRANT_DEVICE_CODE;
    o->token_url = dx_auth_url(reader, "token_url", true, plain);
    o->refresh_url = dx_auth_url(reader, "refresh_url", false, plain);
    o->authorize_url = dx_auth_url(reader, "authorize_url", code, plain);
    o->device_url = dx_auth_url(reader, "device_url", device, plain);
    o->revoke_url = dx_auth_url(reader, "revoke_url", false, plain);
    if (!o->refresh_url.size) o->refresh_url = o->token_url;
}

static void read_client(dx_oauth2 *o, dx_auth_reader *reader) {
    o->client_id = o->grant == DX_GRANT_PASSWORD ? dx_auth_text(reader, "client_id") : dx_auth_needed(reader, "client_id");
    o->client_secret = dx_auth_text(reader, "client_secret");
    bool keyed = yyjson_obj_get(reader->settings, "key") != NULL;
    o->client_auth = (dx_client_auth)dx_auth_word(reader, "client_auth", client_auths,
                                                  keyed                   ? DX_CLIENT_KEY
                                                  : o->client_secret.size ? DX_CLIENT_POST
                                                                          : DX_CLIENT_NONE);
    if (o->client_auth == DX_CLIENT_KEY) dx_auth_key_read(&o->key, &o->key_id, reader, "key");
    if (o->client_auth != DX_CLIENT_KEY && keyed) dx_auth_refuse(reader, "key", "\"key\" is for \"client_auth\": \"private_key_jwt\"");
    if ((o->client_auth == DX_CLIENT_POST || o->client_auth == DX_CLIENT_BASIC) && !o->client_secret.size)
        dx_auth_refuse(reader, "client_secret", "auth needs \"client_secret\", a text that is not empty (or \"client_auth\": \"none\")");
    if (yyjson_obj_get(reader->settings, "client_secret") && !o->client_secret.size && o->client_auth == DX_CLIENT_NONE)
        dx_auth_refuse(reader, "client_secret", "\"client_secret\" is empty; a client without one has no such member");
    o->assertion_audience = dx_auth_text(reader, "assertion_audience");
    if (!o->assertion_audience.size) o->assertion_audience = o->token_url;
}

static void read_person(dx_oauth2 *o, dx_auth_reader *reader) {
    bool password = o->grant == DX_GRANT_PASSWORD, refresh = o->grant == DX_GRANT_REFRESH_TOKEN;
    o->username = password ? dx_auth_needed(reader, "username") : dx_auth_text(reader, "username");
    o->password = password ? dx_auth_needed(reader, "password") : dx_auth_text(reader, "password");
    o->refresh_token = refresh ? dx_auth_needed(reader, "refresh_token") : dx_auth_text(reader, "refresh_token");
    o->redirect_port = (uint16_t)dx_auth_number(reader, "redirect_port", 0, 0, 65535);
    o->redirect_path = dx_auth_text(reader, "redirect_path");
    o->redirect_host = dx_auth_text(reader, "redirect_host");
    if (!o->redirect_path.size) o->redirect_path = DX_SLICE("/callback");
    if (!o->redirect_host.size) o->redirect_host = DX_SLICE("127.0.0.1");
    if (o->redirect_path.data[0] != '/') dx_auth_refuse(reader, "redirect_path", "\"redirect_path\" begins with a slash");
    o->pkce = dx_auth_flag(reader, "pkce", true);
}

static void read_form_of(dx_oauth2 *o, dx_auth_reader *reader) {
    dx_slice separator = dx_auth_text(reader, "scope_separator");
    if (!yyjson_obj_get(reader->settings, "scope_separator")) separator = DX_SLICE(" ");
    o->scopes = dx_auth_joined(reader, "scopes", separator);
    o->audience = dx_auth_text(reader, "audience");
    o->resource = dx_auth_text(reader, "resource");
    o->format = (dx_token_format)dx_auth_word(reader, "body_format", dx_token_format_names, DX_TOKEN_FORM);
    o->method = dx_auth_word(reader, "token_method", methods, 0) == 1 ? DX_GET : DX_POST;
    if (o->method == DX_GET) o->format = DX_TOKEN_QUERY; // it has no body
    o->token_params = copied(reader, "token_params");
    o->authorization_params = copied(reader, "authorization_params");
    o->refresh_params = copied(reader, "refresh_params");
    o->device_params = copied(reader, "device_params");
    o->headers = copied(reader, "token_headers");
    o->token_path = dx_auth_pointer(reader, "token_path", "/access_token");
    o->refresh_path = dx_auth_pointer(reader, "refresh_token_path", "/refresh_token");
    o->expires_path = dx_auth_pointer(reader, "expires_in_path", "/expires_in");
}

dx_oauth2 *dx_oauth2_read(dx_auth_reader *reader, dx_slice upstream) {
    dx_arena *arena = dx_arena_create((size_t)4 << 20), *before = reader->arena;
    dx_oauth2 *o = arena ? DX_ARENA_NEW(arena, dx_oauth2) : NULL;
    if (!o || dx_arena_defer(arena, wipe, o) != DX_OK) {
        dx_arena_destroy(arena);
        return NULL;
    }
    o->arena = reader->arena = arena;
    dx_auth_know(reader, names);
    o->grant = (dx_oauth2_grant)dx_auth_word(reader, "grant", grants, DX_GRANT_CLIENT_CREDENTIALS);
    o->upstream = dx_arena_copy(arena, upstream);
    read_urls(o, reader);
    read_client(o, reader);
    read_person(o, reader);
    read_form_of(o, reader);
    reader->arena = before;
    return o;
}

void dx_oauth2_destroy(dx_oauth2 *oauth2) {
    if (oauth2) dx_arena_destroy(oauth2->arena);
}

// --- asking --------------------------------------------------------------------------------------------------------------------------
// Both are encoded as in a form first (RFC 6749 section 2.3.1).
static dx_status add_basic(const dx_oauth2 *o, dx_arena *arena, dx_token_ask *ask) {
    dx_buffer plain;
    dx_buffer_init(&plain, arena, (size_t)64 << 10);
    dx_percent_encode(&plain, o->client_id);
    dx_buffer_byte(&plain, ':');
    dx_percent_encode(&plain, o->client_secret);
    char *text = dx_buffer_status(&plain) == DX_OK ? dx_arena_bytes(arena, 6 + 4 * (plain.size / 3 + 1)) : NULL;
    if (!text) return DX_NO_MEMORY;
    memcpy(text, "Basic ", 6);
    size_t size = 6 + dx_base64_encode(text + 6, plain.data, plain.size, false);
    return dx_fields_add(&ask->fields, arena, DX_SLICE("Authorization"), dx_slice_of(text, size));
}

static dx_status add_assertion(const dx_oauth2 *o, dx_token_form *form) {
    dx_jwt_made made;
    dx_jwt_header header = {.kid = o->key_id};
    dx_status status = dx_jwt_client_assertion(&made, form->arena, o->key, o->client_id, o->assertion_audience, dx_clock_utc() / 1000000,
                                               o->key_id.size ? &header : NULL);
    if (status != DX_OK) return status;
    dx_token_form_set(form, "client_assertion_type", DX_SLICE(DX_JWT_BEARER_ASSERTION_TYPE));
    dx_token_form_set(form, "client_assertion", made.token);
    return DX_OK;
}

dx_status dx_oauth2_ask(const dx_oauth2 *o, dx_token_form *form, dx_slice url, dx_token_ask *out) {
    dx_status status = DX_OK;
    *out = (dx_token_ask){.url = url, .method = o->method};
    if (o->client_auth == DX_CLIENT_BASIC) status = add_basic(o, form->arena, out);
    if (o->client_auth == DX_CLIENT_KEY) status = add_assertion(o, form);
    if (o->client_auth != DX_CLIENT_BASIC) dx_token_form_set(form, "client_id", o->client_id);
    if (o->client_auth == DX_CLIENT_POST) dx_token_form_set(form, "client_secret", o->client_secret);
    if (status == DX_OK) status = dx_fields_add(&out->fields, form->arena, DX_SLICE("Accept"), DX_SLICE("application/json"));
    if (status == DX_OK) status = dx_token_add_headers(out, form->arena, o->headers);
    return status == DX_OK ? dx_token_form_write(form, o->format, out) : status;
}

static dx_status need_person(const dx_oauth2 *o, dx_arena *arena, dx_slice *why) {
    *why = dx_arena_printf(arena, "there is no token yet, and only a person can get one: run `duplex auth login FILE %.*s`",
                           DX_SLICE_ARG(o->upstream));
    return why->data ? DX_UNAUTHENTICATED : DX_NO_MEMORY;
}

static bool renews(const dx_oauth2 *o, const dx_token *old) {
    return old && old->refresh.size && o->grant != DX_GRANT_CLIENT_CREDENTIALS;
}

static dx_status source_ask(void *source, dx_arena *arena, const dx_token *old, dx_token_ask *out, dx_slice *why) {
    const dx_oauth2 *o = source;
    dx_token_form *form = DX_ARENA_NEW(arena, dx_token_form);
    if (!form) return DX_NO_MEMORY;
    form->arena = arena;
    bool renewal = renews(o, old) || o->grant == DX_GRANT_REFRESH_TOKEN;
    if (!renewal && o->grant >= DX_GRANT_AUTHORIZATION_CODE) return need_person(o, arena, why);
    dx_token_form_set(form, "grant_type", dx_slice_str(renewal ? "refresh_token" : grants[o->grant]));
    if (renewal) dx_token_form_set(form, "refresh_token", renews(o, old) ? old->refresh : o->refresh_token);
    if (!renewal && o->grant == DX_GRANT_PASSWORD) {
        dx_token_form_set(form, "username", o->username);
        dx_token_form_set(form, "password", o->password);
    }
    if (!renewal) dx_token_form_set(form, "scope", o->scopes);
    dx_token_form_set(form, "audience", o->audience);
    dx_token_form_set(form, "resource", o->resource);
    dx_token_form_set_all(form, renewal && o->refresh_params ? o->refresh_params : o->token_params);
    return dx_oauth2_ask(o, form, renewal ? o->refresh_url : o->token_url, out);
}

// --- taking --------------------------------------------------------------------------------------------------------------------------
static bool is_one_of(dx_slice word, const char *const *words) {
    for (; *words; words++)
        if (dx_slice_equal(word, dx_slice_str(*words))) return true;
    return false;
}

static dx_token_outcome judge(const dx_exchange_response *response, yyjson_val *root) {
    static const char *const refused[] = {"invalid_grant", "bad_refresh_token", "invalid_refresh_token", NULL};
    static const char *const busy[] = {"temporarily_unavailable", "server_error", "slow_down", NULL};
    dx_slice error = dx_json_member_slice(root, "error");
    if (is_one_of(error, refused)) return DX_TOKEN_REFUSED;
    return dx_token_is_busy(response->status) || is_one_of(error, busy) ? DX_TOKEN_BUSY : DX_TOKEN_FAILED;
}

dx_token_outcome dx_oauth2_take(const dx_oauth2 *o, dx_arena *arena, const dx_exchange_response *response, const dx_token *old,
                                dx_token *out, dx_slice *why) {
    yyjson_val *root = dx_token_answer_read(arena, response);
    out->access = dx_token_answer_text(root, o->token_path, arena);
    if (response->status >= 200 && response->status < 300 && out->access.size) {
        out->refresh = dx_token_answer_text(root, o->refresh_path, arena);
        out->scope = dx_token_answer_text(root, DX_SLICE("/scope"), arena);
        out->expires = dx_token_expiry(dx_json_at(root, o->expires_path), dx_json_at(root, DX_SLICE("/expires_at")), out->access,
                                       dx_clock_utc(), arena);
        return DX_TOKEN_GOT;
    }
    const dx_slice secrets[] = {o->client_secret, o->password, o->refresh_token, old ? old->refresh : (dx_slice){0},
                                old ? old->access : (dx_slice){0}};
    dx_token_outcome outcome = judge(response, root);
    *why = dx_token_say(arena, "the token endpoint", response, root, secrets, DX_COUNT_OF(secrets));
    if (response->status < 300)
        *why = dx_arena_printf(arena, "%.*s, without a token at token_path (%.*s)", DX_SLICE_ARG(*why), DX_SLICE_ARG(o->token_path));
    if (outcome == DX_TOKEN_REFUSED && o->grant >= DX_GRANT_AUTHORIZATION_CODE)
        *why = dx_arena_printf(arena, "%.*s; run `duplex auth login FILE %.*s`", DX_SLICE_ARG(*why), DX_SLICE_ARG(o->upstream));
    return outcome;
}

static dx_token_outcome source_take(void *source, dx_arena *arena, const dx_exchange_response *response, const dx_token *old, dx_token *out,
                                    dx_slice *why) {
    return dx_oauth2_take(source, arena, response, old, out, why);
}

static void source_destroy(void *source) {
    dx_oauth2_destroy(source);
}

const dx_token_source_ops dx_oauth2_source = {source_ask, source_take, source_destroy};
