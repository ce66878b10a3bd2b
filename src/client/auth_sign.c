// Requests that are signed whole, as the last thing before they are sent: by HMAC as the definition says, or after AWS's version 4. Nothing
// is fetched; when the server refuses a signature and its clock shows why, the next one has its time.
#include "client/auth_clock.h"
#include "client/auth_settings.h"
#include "client/call.h"
#include "crypto/digest.h"
#include "policy/sign_aws.h"
#include "policy/sign_hmac.h"

typedef struct sign_auth {
    dx_auth base;
    dx_arena *arena;
    dx_auth_clock clock;
    dx_sign_hmac hmac;
    dx_sign_key key;
    dx_sign_aws aws;
} sign_auth;

static sign_auth *of(dx_auth *auth) {
    return DX_CONTAINER_OF(auth, sign_auth, base);
}

static void wipe(void *ctx) {
    sign_auth *auth = ctx;
    dx_slice secrets[] = {auth->key.secret, auth->aws.secret_access_key, auth->aws.session_token};
    for (size_t i = 0; i < DX_COUNT_OF(secrets); i++)
        if (secrets[i].size) dx_secret_wipe((void *)(uintptr_t)secrets[i].data, secrets[i].size);
}

static void destroy(dx_auth *auth) {
    dx_arena_destroy(of(auth)->arena);
}

static bool refused(dx_auth *auth, dx_exchange *x) {
    return dx_auth_clock_learn(&of(auth)->clock, x);
}

static sign_auth *make(void) {
    dx_arena *arena = dx_arena_create((size_t)1 << 20);
    sign_auth *auth = arena ? DX_ARENA_NEW(arena, sign_auth) : NULL;
    if (!auth) {
        dx_arena_destroy(arena);
        return NULL;
    }
    auth->arena = arena;
    if (dx_arena_defer(arena, wipe, auth) == DX_OK) return auth;
    dx_arena_destroy(arena);
    return NULL;
}

static dx_status finish(dx_auth **out, sign_auth *auth, const dx_auth_reader *reader) {
    if (reader->status == DX_OK)
        *out = &auth->base;
    else
        dx_arena_destroy(auth->arena);
    return reader->status;
}

// --- signing -------------------------------------------------------------------------------------------------------------------------
static dx_sign_request request_of(const dx_exchange *x) {
    dx_slice target = x->request.target;
    size_t question = dx_slice_find(target, '?');
    return (dx_sign_request){.method = dx_slice_str(dx_method_name(x->request.method)),
                             .path = question == SIZE_MAX ? target : dx_slice_of(target.data, question),
                             .query = question == SIZE_MAX ? (dx_slice){"", 0} : dx_slice_from(target, question + 1),
                             .host = x->request.authority,
                             .fields = &x->request.fields,
                             .body = x->request.body};
}

static dx_verdict add_all(dx_exchange *x, const dx_fields *fields, dx_status status) {
    for (uint32_t i = 0; i < fields->count && status == DX_OK; i++)
        if (!dx_auth_add_field(x, fields->items[i].name, fields->items[i].value)) status = DX_NO_MEMORY;
    if (status == DX_OK) return DX_NEXT;
    if (status == DX_NO_MEMORY) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    return dx_exchange_fail_out(x, DX_ERROR_AUTH, "the request can't be signed: %s", dx_status_title(status));
}

// Of the request as it is sent now: a redirect may have taken it away.
static bool has_upload(const dx_call *call) {
    return (call->redirects ? call->upload : call->bound.upload) != NULL;
}

static dx_verdict hmac_apply(dx_auth *base, struct dx_engine *engine, dx_exchange *x) {
    sign_auth *auth = of(base);
    dx_fields fields = {0};
    (void)engine;
    if (has_upload(dx_call_of(x)) && auth->hmac.body != DX_SIGN_BODY_NONE)
        return dx_exchange_fail_out(x, DX_ERROR_AUTH, "a body that is not in memory can't be signed; \"body\": \"none\" leaves bodies out");
    dx_sign_request request = request_of(x);
    dx_status status =
        dx_sign_hmac_make(&fields, x->arena, &auth->hmac, &request, &auth->key, dx_auth_clock_now(&auth->clock), (dx_slice){0});
    return add_all(x, &fields, status);
}

static dx_verdict aws_apply(dx_auth *base, struct dx_engine *engine, dx_exchange *x) {
    sign_auth *auth = of(base);
    dx_fields fields = {0};
    (void)engine;
    if (has_upload(dx_call_of(x)) && !auth->aws.unsigned_payload)
        return dx_exchange_fail_out(
            x, DX_ERROR_AUTH,
            "a body that is not in memory can't be signed; \"unsigned_payload\": true sends it unsigned, where the service allows it");
    dx_sign_request request = request_of(x);
    dx_status status = dx_sign_aws_fields(&fields, x->arena, &auth->aws, &request, dx_auth_clock_now(&auth->clock));
    return add_all(x, &fields, status);
}

// --- settings ------------------------------------------------------------------------------------------------------------------------
static void read_fields(sign_auth *auth, dx_auth_reader *reader) {
    yyjson_val *list = yyjson_obj_get(reader->settings, "fields"), *item;
    size_t at, count;
    if (!list) return;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > DX_SIGN_FIELDS_CAP)
        return dx_auth_refuse(reader, "fields", "\"fields\" must be a list of at most %d names of header fields", DX_SIGN_FIELDS_CAP);
    dx_slice *names = DX_ARENA_ARRAY(auth->arena, dx_slice, yyjson_arr_size(list) + 1);
    if (!names) {
        reader->status = DX_NO_MEMORY;
        return;
    }
    yyjson_arr_foreach(list, at, count, item) {
        names[at] = dx_arena_copy(auth->arena, dx_json_slice(item));
        if (!dx_field_name_valid(names[at])) dx_auth_refuse(reader, "fields", "\"fields\" must be names of header fields");
    }
    auth->hmac.fields = names;
    auth->hmac.field_count = count;
}

static void read_parts(sign_auth *auth, dx_auth_reader *reader) {
    yyjson_val *list = yyjson_obj_get(reader->settings, "parts"), *item;
    size_t at, count;
    if (!list) return;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > DX_SIGN_PARTS_CAP)
        return dx_auth_refuse(reader, "parts", "\"parts\" must be a list of at most %d parts", DX_SIGN_PARTS_CAP);
    dx_sign_part *parts = DX_ARENA_ARRAY(auth->arena, dx_sign_part, yyjson_arr_size(list) + 1);
    if (!parts) {
        reader->status = DX_NO_MEMORY;
        return;
    }
    yyjson_arr_foreach(list, at, count, item) {
        if (!dx_sign_part_parse(dx_json_slice(item), &parts[at]))
            dx_auth_refuse(reader, "parts", "there is no part \"%.*s\"", DX_SLICE_ARG(dx_json_slice(item)));
    }
    auth->hmac.parts = parts;
    auth->hmac.part_count = count;
}

static void take(dx_slice *to, dx_auth_reader *reader, const char *name) {
    if (yyjson_obj_get(reader->settings, name)) *to = dx_auth_text(reader, name);
}

static void read_hmac(sign_auth *auth, dx_auth_reader *reader) {
    static const char *const digests[] = {"sha256", "sha512", NULL}, *const encodings[] = {"hex", "base64", NULL},
                             *const times[] = {"seconds", "milliseconds", "rfc3339", NULL},
                             *const bodies[] = {"bytes", "json", "none", NULL};
    dx_sign_hmac *hmac = &auth->hmac;
    *hmac = (dx_sign_hmac)DX_SIGN_HMAC_INIT;
    hmac->digest = (dx_sign_digest)dx_auth_word(reader, "digest", digests, 0);
    hmac->encoding = (dx_sign_encoding)dx_auth_word(reader, "encoding", encodings, 0);
    hmac->time = (dx_sign_time)dx_auth_word(reader, "time", times, 0);
    hmac->body = (dx_sign_body)dx_auth_word(reader, "body", bodies, 0);
    take(&hmac->separator, reader, "separator");
    take(&hmac->literal, reader, "literal");
    take(&hmac->signature_header, reader, "signature_header");
    take(&hmac->prefix, reader, "prefix");
    take(&hmac->timestamp_header, reader, "timestamp_header");
    take(&hmac->nonce_header, reader, "nonce_header");
    take(&hmac->key_id_header, reader, "key_id_header");
    read_fields(auth, reader);
    read_parts(auth, reader);
    auth->key.id = dx_auth_text(reader, "key_id");
    auth->key.secret = dx_auth_needed(reader, "secret");
    if (!auth->key.id.size) hmac->key_id_header = (dx_slice){"", 0};
}

// What can't work or protects nothing, each with a pointer below ours.
static void check_hmac(sign_auth *auth, dx_auth_reader *reader) {
    dx_diags found;
    dx_diags_init(&found, auth->arena);
    if (reader->status != DX_OK || dx_sign_hmac_check(&auth->hmac, &found) == DX_OK) return;
    for (const dx_diag *diag = found.first; diag; diag = diag->next) {
        dx_slice at = dx_arena_printf(auth->arena, "%.*s%.*s", DX_SLICE_ARG(reader->at), DX_SLICE_ARG(diag->pointer));
        (void)dx_diags_add(reader->diags, DX_INVALID, at, "%.*s", DX_SLICE_ARG(diag->message));
    }
    reader->status = DX_INVALID;
}

static dx_status hmac_create(dx_auth **out, const dx_auth_plan *plan) {
    static const char *const names[] = {
        "key_id", "secret",           "digest", "encoding",         "time",         "body",          "parts", "separator", "literal",
        "fields", "signature_header", "prefix", "timestamp_header", "nonce_header", "key_id_header", NULL};
    sign_auth *auth = make();
    if (!auth) return DX_NO_MEMORY;
    dx_auth_reader reader = dx_auth_reader_of(plan, auth->arena);
    dx_auth_know(&reader, names);
    read_hmac(auth, &reader);
    check_hmac(auth, &reader);
    return finish(out, auth, &reader);
}

static dx_status aws_create(dx_auth **out, const dx_auth_plan *plan) {
    static const char *const names[] = {
        "access_key_id", "secret_access_key", "session_token", "region", "service", "s3", "unsigned_payload", NULL};
    sign_auth *auth = make();
    if (!auth) return DX_NO_MEMORY;
    dx_auth_reader reader = dx_auth_reader_of(plan, auth->arena);
    dx_auth_know(&reader, names);
    auth->aws.access_key_id = dx_auth_needed(&reader, "access_key_id");
    auth->aws.secret_access_key = dx_auth_needed(&reader, "secret_access_key");
    auth->aws.session_token = dx_auth_text(&reader, "session_token");
    auth->aws.region = dx_auth_needed(&reader, "region");
    auth->aws.service = dx_auth_needed(&reader, "service");
    auth->aws.s3 = dx_auth_flag(&reader, "s3", dx_slice_equal(auth->aws.service, DX_SLICE("s3")));
    auth->aws.unsigned_payload = dx_auth_flag(&reader, "unsigned_payload", false);
    return finish(out, auth, &reader);
}

// AWS answers 403 to a signature that is too old.
const dx_auth_ops dx_auth_hmac = {.type = "hmac",
                                  .create = hmac_create,
                                  .apply = hmac_apply,
                                  .refused = refused,
                                  .destroy = destroy,
                                  .refused_by_403 = true,
                                  .signs = true};
const dx_auth_ops dx_auth_aws_sigv4 = {.type = "aws_sigv4",
                                       .create = aws_create,
                                       .apply = aws_apply,
                                       .refused = refused,
                                       .destroy = destroy,
                                       .refused_by_403 = true,
                                       .signs = true};
