// Reading the section `identity` into a struct, and refusing what the schema can't: a key that does not fit, a secret that somebody knows.
#include <errno.h>
#include <stdio.h>

#include "codec/text.h"
#include "crypto/secret.h"
#include "identity/parts.h"

#define KEY_FILE_CAP (64u << 10)

typedef struct reader {
    dx_app *app;
    yyjson_val *section;
    dx_identity_settings *out;
    dx_diags *diags;
    bool failed;
} reader;

static void complain(reader *r, const char *pointer, const char *message, const char *suggestion) {
    dx_diag *diag = dx_definition_complain(dx_app_definition(r->app), r->diags, dx_slice_str(pointer), "%s", message);
    if (diag && suggestion) diag->suggestion = dx_slice_str(suggestion);
    r->failed = true;
}

static int64_t nanos_at(yyjson_val *object, const char *name) {
    int64_t nanos = 0;
    (void)dx_duration_read(dx_json_member_slice(object, name), &nanos);
    return nanos;
}

static uint32_t number_at(yyjson_val *object, const char *name) {
    return (uint32_t)yyjson_get_uint(yyjson_obj_get(object, name));
}

static void read_times(reader *r) {
    r->out->access_ttl_s = nanos_at(r->section, "access_token_ttl") / DX_SECOND;
    r->out->refresh_ttl_s = nanos_at(r->section, "refresh_token_ttl") / DX_SECOND;
    r->out->refresh_grace = nanos_at(r->section, "refresh_grace");
    if (r->out->access_ttl_s < 1 || r->out->access_ttl_s > 86400)
        complain(r, "/identity/access_token_ttl", "expected from 1s to 1d: an access token is believed by other services until it ends",
                 NULL);
    if (r->out->refresh_ttl_s < r->out->access_ttl_s)
        complain(r, "/identity/refresh_token_ttl", "expected at least the access token's time", NULL);
    if (r->out->refresh_grace > 60 * DX_SECOND)
        complain(r, "/identity/refresh_grace", "expected at most 60s: within it a stolen token can be used beside the real one", NULL);
}

static void read_secret(reader *r) {
    r->out->secret = dx_json_member_slice(r->section, "secret");
    const char *fault = r->out->secret.size ? dx_secret_fault(r->out->secret) : NULL;
    if (!fault) return;
    dx_diag *diag =
        dx_definition_complain(dx_app_definition(r->app), r->diags, DX_SLICE("/identity/secret"), "this is no good secret: %s", fault);
    if (diag) diag->suggestion = DX_SLICE("make one with: openssl rand -hex 32");
    r->failed = true;
}

static dx_status read_file(reader *r, dx_slice name, dx_slice *out) {
    dx_arena *arena = dx_app_arena(r->app);
    const char *definition = dx_definition_path(dx_app_definition(r->app)), *slash = definition ? strrchr(definition, '/') : NULL;
    dx_slice folder = slash && name.data[0] != '/' ? dx_slice_of(definition, (size_t)(slash - definition) + 1) : DX_SLICE("");
    dx_slice path = dx_arena_printf(arena, "%.*s%.*s", DX_SLICE_ARG(folder), DX_SLICE_ARG(name));
    char *text = dx_arena_bytes(arena, KEY_FILE_CAP + 1);
    if (!path.data || !text) return DX_NO_MEMORY;
    FILE *file = fopen(path.data, "rbe");
    if (!file) {
        dx_definition_complain(dx_app_definition(r->app), r->diags, DX_SLICE("/identity/signing/key_file"), "cannot read %s: %s", path.data,
                               strerror(errno));
        r->failed = true;
        return DX_OK;
    }
    (void)setvbuf(file, NULL, _IONBF, 0); // no second copy of the key
    *out = dx_slice_of(text, fread(text, 1, KEY_FILE_CAP + 1, file));
    (void)fclose(file);
    return DX_OK;
}

static dx_status read_signing(reader *r) {
    yyjson_val *signing = yyjson_obj_get(r->section, "signing");
    dx_slice key = dx_json_member_slice(signing, "key"), file = dx_json_member_slice(signing, "key_file");
    if (!dx_jws_algorithm_parse(dx_json_member_slice(signing, "algorithm"), &r->out->algorithm)) r->out->algorithm = DX_JWS_HS256;
    bool shared = r->out->algorithm == DX_JWS_HS256;
    if (shared && (key.size || file.size))
        complain(r, "/identity/signing/algorithm", "expected RS256, ES256 or EdDSA: a key is given, which HS256 does not use", NULL);
    if (!shared && r->out->secret.size)
        complain(r, "/identity/secret", "expected no secret: it signs nothing when the algorithm is not HS256", NULL);
    if (!shared && (key.size != 0) == (file.size != 0))
        complain(r, "/identity/signing", "expected either \"key\" or \"key_file\" with a private key in PEM form for this algorithm",
                 "make one with: openssl genpkey -algorithm ed25519");
    r->out->key_pem = key;
    return !shared && file.size && !key.size ? read_file(r, file, &r->out->key_pem) : DX_OK;
}

static void read_password(reader *r) {
    yyjson_val *password = yyjson_obj_get(r->section, "password"), *cost = yyjson_obj_get(password, "cost");
    r->out->password.min_length = number_at(password, "min_length");
    r->out->password.max_length = number_at(password, "max_length");
    r->out->cost.memory_kib = number_at(cost, "memory_kib");
    r->out->cost.passes = number_at(cost, "passes");
    r->out->cost.lanes = number_at(cost, "lanes");
    if (r->out->password.max_length < r->out->password.min_length)
        complain(r, "/identity/password/max_length", "expected no less than min_length", NULL);
    if (r->out->cost.memory_kib < 8 * r->out->cost.lanes)
        complain(r, "/identity/password/cost/memory_kib", "expected at least 8 for each lane", NULL);
}

static void read_lockout(reader *r) {
    yyjson_val *lockout = yyjson_obj_get(r->section, "lockout");
    r->out->lockout = (dx_lockout_options){
        .after = number_at(lockout, "after"),
        .base_us = nanos_at(lockout, "base_delay") / DX_MICROSECOND,
        .max_us = nanos_at(lockout, "max_delay") / DX_MICROSECOND,
        .forget_us = nanos_at(lockout, "forget_after") / DX_MICROSECOND,
    };
    if (r->out->lockout.base_us < 1000) complain(r, "/identity/lockout/base_delay", "expected at least 1ms", NULL);
    if (r->out->lockout.max_us < r->out->lockout.base_us)
        complain(r, "/identity/lockout/max_delay", "expected no less than base_delay", NULL);
    if (r->out->lockout.max_us > 86400 * (int64_t)1000000)
        complain(r, "/identity/lockout/max_delay", "expected at most 1d: whoever knows a name can keep its owner out for so long", NULL);
    if (r->out->lockout.forget_us < r->out->lockout.max_us)
        complain(r, "/identity/lockout/forget_after", "expected no less than max_delay", NULL);
}

static dx_status read_roles(reader *r) {
    dx_buffer text;
    yyjson_val *roles = yyjson_obj_get(r->section, "default_roles"), *role;
    size_t at, count;
    yyjson_arr_foreach(roles, at, count, role) {
        if (dx_role_fault(dx_json_slice(role))) complain(r, "/identity/default_roles", dx_role_fault(dx_json_slice(role)), NULL);
    }
    dx_buffer_init(&text, dx_app_arena(r->app), 16384);
    dx_json_write_value(&text, roles);
    r->out->default_roles = dx_buffer_slice(&text);
    return dx_buffer_status(&text);
}

dx_status dx_identity_settings_read(dx_identity_settings *out, dx_app *app, dx_diags *diags) {
    reader r = {app, dx_app_section(app, "identity"), out, diags, false};
    read_times(&r);
    read_secret(&r);
    read_password(&r);
    read_lockout(&r);
    out->issuer = dx_json_member_slice(r.section, "issuer");
    out->audience = dx_json_member_slice(r.section, "audience");
    out->registration_open = yyjson_get_bool(yyjson_obj_get(yyjson_obj_get(r.section, "registration"), "open"));
    dx_status status = read_signing(&r);
    if (status == DX_OK) status = read_roles(&r);
    return status == DX_OK && r.failed ? DX_INVALID : status;
}
