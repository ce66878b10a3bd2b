// Claims and header are written straight as JSON; the key says the algorithm, as it does when tokens are judged.
#include "crypto/jwt_make.h"

#include "base/random.h"
#include "codec/text.h"
#include "crypto/key.h"

static void add_name(dx_buffer *out, dx_slice name) {
    dx_buffer_byte(out, out->size ? ',' : '{');
    dx_json_write_string(out, name);
    dx_buffer_byte(out, ':');
}

static void add_text(dx_buffer *out, const char *name, dx_slice value) {
    if (value.size == 0) return;
    add_name(out, dx_slice_str(name));
    dx_json_write_string(out, value);
}

static void add_number(dx_buffer *out, const char *name, int64_t value) {
    add_name(out, dx_slice_str(name));
    dx_buffer_i64(out, value);
}

// The members of `extra`, none of which may be one of `taken`.
static dx_status add_extra(dx_buffer *out, yyjson_val *extra, const char *const *taken, size_t taken_count) {
    size_t at, count;
    yyjson_val *name, *value;
    if (!extra) return DX_OK;
    if (!yyjson_is_obj(extra)) return DX_INVALID;
    yyjson_obj_foreach(extra, at, count, name, value) {
        for (size_t i = 0; i < taken_count; i++)
            if (dx_slice_equal(dx_json_slice(name), dx_slice_str(taken[i]))) return DX_INVALID;
        add_name(out, dx_json_slice(name));
        dx_json_write_value(out, value);
    }
    return DX_OK;
}

static void add_audiences(dx_buffer *out, const dx_jwt_claims *claims) {
    if (claims->audience_count == 0) return;
    add_name(out, DX_SLICE("aud"));
    if (claims->audience_count > 1) dx_buffer_byte(out, '[');
    for (size_t i = 0; i < claims->audience_count; i++) {
        if (i) dx_buffer_byte(out, ',');
        dx_json_write_string(out, claims->audiences[i]);
    }
    if (claims->audience_count > 1) dx_buffer_byte(out, ']');
}

static void add_id(dx_buffer *out) {
    uint8_t bytes[16];
    char text[2 * sizeof bytes];
    dx_random_bytes(bytes, sizeof bytes);
    dx_hex_encode(text, bytes, sizeof bytes);
    add_text(out, "jti", dx_slice_of(text, sizeof text));
}

// Names that the caller has set by other means can't be set again; those left out may come from `extra`.
static dx_status write_claims(dx_buffer *out, const dx_jwt_claims *claims, int64_t issued_s) {
    const char *taken[7];
    size_t count = 0;
    taken[count++] = "iat";
    taken[count++] = "exp";
    if (claims->issuer.size) taken[count++] = "iss";
    if (claims->subject.size) taken[count++] = "sub";
    if (claims->audience_count) taken[count++] = "aud";
    if (claims->not_before) taken[count++] = "nbf";
    if (claims->with_id) taken[count++] = "jti";
    add_text(out, "iss", claims->issuer);
    add_text(out, "sub", claims->subject);
    add_audiences(out, claims);
    add_number(out, "iat", issued_s);
    add_number(out, "exp", issued_s + claims->lifetime_s);
    if (claims->not_before) add_number(out, "nbf", issued_s);
    if (claims->with_id) add_id(out);
    dx_status status = add_extra(out, claims->extra, taken, count);
    dx_buffer_byte(out, '}');
    return status == DX_OK ? dx_buffer_status(out) : status;
}

static dx_status write_header(dx_buffer *out, const dx_key *key, const dx_jwt_header *header) {
    static const char *const taken[] = {"alg", "typ", "kid", "crit", "b64"};
    add_text(out, "alg", dx_slice_str(dx_algorithms[key->algorithm].name));
    add_text(out, "kid", header->kid.data ? header->kid : dx_slice_of(key->id, sizeof key->id));
    add_text(out, "typ", header->type.data ? header->type : DX_SLICE("JWT"));
    dx_status status = add_extra(out, header->extra, taken, DX_COUNT_OF(taken));
    dx_buffer_byte(out, '}');
    return status == DX_OK ? dx_buffer_status(out) : status;
}

static bool is_in_range(const dx_jwt_claims *claims) {
    return claims->lifetime_s > 0 && claims->lifetime_s <= DX_JWT_LIFETIME_S_CAP && claims->backdate_s >= 0 &&
           claims->backdate_s < claims->lifetime_s && claims->now_s >= claims->backdate_s && claims->now_s < INT64_MAX / 2 &&
           claims->audience_count <= DX_JWT_AUDIENCES_CAP;
}

dx_status dx_jwt_make(dx_jwt_made *out, dx_arena *arena, const dx_key *key, const dx_jwt_claims *claims, const dx_jwt_header *header) {
    const dx_jwt_header plain = {.extra = NULL};
    dx_buffer body, head;
    if (!dx_key_can_sign(key) || !is_in_range(claims)) return DX_INVALID;
    int64_t issued_s = claims->now_s - claims->backdate_s;
    dx_buffer_init(&body, arena, DX_JWS_BYTES_CAP);
    dx_buffer_init(&head, arena, DX_JWS_BYTES_CAP);
    dx_status status = write_claims(&body, claims, issued_s);
    if (status == DX_OK) status = write_header(&head, key, header ? header : &plain);
    if (status == DX_OK) status = dx_jws_sign_under(&out->token, arena, key, dx_buffer_slice(&head), dx_buffer_slice(&body));
    out->expires_s = issued_s + claims->lifetime_s;
    return status;
}

dx_status dx_jwt_client_assertion(dx_jwt_made *out, dx_arena *arena, const dx_key *key, dx_slice client_id, dx_slice audience,
                                  int64_t now_s, const dx_jwt_header *header) {
    if (client_id.size == 0 || audience.size == 0) return DX_INVALID;
    const dx_jwt_claims claims = {.issuer = client_id,
                                  .subject = client_id,
                                  .audiences = &audience,
                                  .audience_count = 1,
                                  .now_s = now_s,
                                  .lifetime_s = DX_JWT_ASSERTION_LIFETIME_S,
                                  .backdate_s = 10,
                                  .with_id = true};
    return dx_jwt_make(out, arena, key, &claims, header);
}
