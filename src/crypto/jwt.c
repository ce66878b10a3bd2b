// JSON Web Tokens (RFC 7519): a signed object of claims with a time to live. A token without `exp` is refused: what never ends can't be
// taken back.
#include <math.h>

#include "crypto/jwt.h"

bool dx_jwt_date(yyjson_val *value, int64_t *out) {
    if (yyjson_is_sint(value)) {
        *out = yyjson_get_sint(value);
    } else if (yyjson_is_uint(value)) {
        uint64_t number = yyjson_get_uint(value);
        *out = number > INT64_MAX ? INT64_MAX : (int64_t)number;
    } else if (yyjson_is_real(value)) {
        double number = yyjson_get_real(value);
        if (!(fabs(number) < 9e18)) return false;
        *out = (int64_t)floor(number);
    } else {
        return false;
    }
    return true;
}

static int64_t add_saturated(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b > 0 ? INT64_MAX : INT64_MIN) : sum;
}

static bool audience_has(yyjson_val *audience, dx_slice wanted) {
    if (yyjson_is_str(audience)) return dx_slice_equal(dx_json_slice(audience), wanted);
    size_t at, count;
    yyjson_val *item;
    yyjson_arr_foreach(audience, at, count, item) {
        if (yyjson_is_str(item) && dx_slice_equal(dx_json_slice(item), wanted)) return true;
    }
    return false;
}

static dx_status check_claims(yyjson_val *root, const dx_jwt_expect *expect) {
    int64_t time;
    if (!yyjson_is_obj(root)) return DX_BAD_TOKEN;
    if (expect->issuer.size && !dx_slice_equal(dx_json_member_slice(root, "iss"), expect->issuer)) return DX_BAD_TOKEN;
    if (expect->audience.size && !audience_has(yyjson_obj_get(root, "aud"), expect->audience)) return DX_BAD_TOKEN;
    if (expect->type.size && !dx_slice_equal(dx_json_member_slice(root, "type"), expect->type)) return DX_BAD_TOKEN;
    yyjson_val *not_before = yyjson_obj_get(root, "nbf");
    if (not_before && (!dx_jwt_date(not_before, &time) || add_saturated(expect->now_s, expect->leeway_s) < time)) return DX_BAD_TOKEN;
    if (!dx_jwt_date(yyjson_obj_get(root, "exp"), &time)) return DX_BAD_TOKEN;
    return expect->now_s < add_saturated(time, expect->leeway_s) ? DX_OK : DX_EXPIRED_TOKEN;
}

dx_status dx_jwt_verify(yyjson_doc **claims, dx_arena *arena, const dx_key *key, dx_slice token, const dx_jwt_expect *expect) {
    dx_slice payload;
    yyjson_doc *doc;
    dx_status status = dx_jws_verify(&payload, arena, key, token);
    if (status != DX_OK) return status;
    status = dx_json_read(&doc, arena, payload, NULL, NULL);
    if (status != DX_OK) return status == DX_NO_MEMORY ? DX_NO_MEMORY : DX_BAD_TOKEN;
    status = check_claims(yyjson_doc_get_root(doc), expect);
    if (status == DX_OK) *claims = doc;
    return status;
}
