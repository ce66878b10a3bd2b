// Making tokens. Access tokens are for anybody who has the key; refresh tokens for this server alone, so they are always signed with HS256
// under a key of their own. Each refresh token follows from the one before it by a keyed digest, so making it again needs no memory of it.
#include "base/random.h"
#include "codec/text.h"
#include "crypto/digest.h"
#include "identity/parts.h"

enum { JTI_BYTES = 16, JTI_SIZE = 22, CLAIMS_CAP = 8192 };

dx_status dx_roles_read(const dx_slice **out, size_t *count, dx_arena *arena, dx_slice json) {
    yyjson_doc *doc;
    yyjson_val *role;
    size_t at, total, kept = 0;
    *out = NULL;
    *count = 0;
    dx_status status = dx_json_read(&doc, arena, json, NULL, NULL);
    if (status != DX_OK) return status == DX_NO_MEMORY ? status : DX_INTERNAL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    dx_slice *roles = DX_ARENA_ARRAY(arena, dx_slice, yyjson_arr_size(root));
    if (!roles) return DX_NO_MEMORY;
    yyjson_arr_foreach(root, at, total, role) {
        if (yyjson_is_str(role)) roles[kept++] = dx_json_slice(role);
    }
    *out = roles;
    *count = kept;
    return DX_OK;
}

static void add_text(dx_buffer *out, const char *name, dx_slice value) {
    dx_buffer_printf(out, ",\"%s\":", name);
    dx_json_write_string(out, value);
}

static void add_times(dx_buffer *out, int64_t now_s, int64_t ttl_s) {
    DX_BUFFER_LIT(out, ",\"exp\":");
    dx_buffer_i64(out, now_s + ttl_s);
    DX_BUFFER_LIT(out, ",\"iat\":");
    dx_buffer_i64(out, now_s);
}

// {"sub":"7"
static void start_claims(dx_buffer *out, dx_arena *arena, int64_t account) {
    dx_buffer_init(out, arena, CLAIMS_CAP);
    DX_BUFFER_LIT(out, "{\"sub\":\"");
    dx_buffer_i64(out, account);
    dx_buffer_byte(out, '"');
}

static dx_status finish_claims(dx_slice *out, dx_arena *arena, const dx_key *key, dx_buffer *claims) {
    dx_buffer_byte(claims, '}');
    dx_status status = dx_buffer_status(claims);
    return status == DX_OK ? dx_jws_sign(out, arena, key, DX_SLICE("JWT"), dx_buffer_slice(claims)) : status;
}

dx_status dx_access_token(dx_slice *out, dx_arena *arena, const dx_identity *self, const dx_account *account, dx_slice session,
                          int64_t now_s) {
    dx_buffer claims;
    uint8_t random[JTI_BYTES];
    char jti[JTI_SIZE + 2];
    dx_random_bytes(random, sizeof random);
    start_claims(&claims, arena, account->id);
    add_times(&claims, now_s, self->settings.access_ttl_s);
    add_text(&claims, "jti", dx_slice_of(jti, dx_base64_encode(jti, random, sizeof random, true)));
    DX_BUFFER_LIT(&claims, ",\"type\":\"access\"");
    add_text(&claims, "sid", session);
    DX_BUFFER_LIT(&claims, ",\"roles\":");
    dx_buffer_add(&claims, account->roles);
    if (self->settings.issuer.size) add_text(&claims, "iss", self->settings.issuer);
    if (self->settings.audience.size) add_text(&claims, "aud", self->settings.audience);
    return finish_claims(out, arena, self->key, &claims);
}

dx_status dx_refresh_token(dx_slice *out, dx_arena *arena, const dx_identity *self, int64_t account, dx_slice session,
                           const uint8_t parent[32], int64_t now_s) {
    dx_buffer claims;
    uint8_t digest[DX_SHA256_SIZE];
    char jti[JTI_SIZE + 2];
    dx_hmac_sha256(digest, dx_slice_of((const char *)self->rotation, sizeof self->rotation), dx_slice_of((const char *)parent, 32));
    start_claims(&claims, arena, account);
    add_times(&claims, now_s, self->settings.refresh_ttl_s);
    add_text(&claims, "jti", dx_slice_of(jti, dx_base64_encode(jti, digest, JTI_BYTES, true)));
    DX_BUFFER_LIT(&claims, ",\"type\":\"refresh\"");
    add_text(&claims, "sid", session);
    return finish_claims(out, arena, self->refresh_key, &claims);
}

dx_status dx_refresh_verify(dx_refresh_claims *out, dx_arena *arena, const dx_identity *self, dx_slice token, int64_t now_s) {
    yyjson_doc *doc;
    dx_jwt_expect expect = {.type = DX_SLICE_INIT("refresh"), .now_s = now_s};
    dx_status status = dx_jwt_verify(&doc, arena, self->refresh_key, token, &expect);
    if (status != DX_OK) return status;
    yyjson_val *root = yyjson_doc_get_root(doc);
    out->session = dx_json_member_slice(root, "sid");
    return dx_slice_to_i64(dx_json_member_slice(root, "sub"), &out->account) && out->session.size ? DX_OK : DX_BAD_TOKEN;
}

dx_verdict dx_tokens_answer(const dx_identity *self, dx_exchange *x, const dx_account *account, dx_slice session, dx_slice refresh) {
    dx_slice access;
    dx_buffer body;
    dx_status status = dx_access_token(&access, x->arena, self, account, session, dx_identity_now(self, x) / 1000000);
    if (status != DX_OK) return dx_exchange_fail(x, status, "an access token could not be made");
    dx_buffer_init(&body, x->arena, (size_t)4 * DX_JWS_BYTES_CAP);
    DX_BUFFER_LIT(&body, "{\"access_token\":\"");
    dx_buffer_add(&body, access);
    DX_BUFFER_LIT(&body, "\",\"refresh_token\":\"");
    dx_buffer_add(&body, refresh);
    DX_BUFFER_LIT(&body, "\",\"token_type\":\"bearer\",\"expires_in\":");
    dx_buffer_i64(&body, self->settings.access_ttl_s);
    dx_buffer_byte(&body, '}');
    if (dx_buffer_status(&body) != DX_OK) return dx_exchange_fail(x, dx_buffer_status(&body), NULL);
    dx_exchange_field(x, DX_SLICE("cache-control"), DX_SLICE("no-store")); // RFC 6749 section 5.1
    dx_exchange_field(x, DX_SLICE("pragma"), DX_SLICE("no-cache"));
    return dx_exchange_json(x, 200, dx_buffer_slice(&body));
}
