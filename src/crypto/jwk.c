// JSON Web Keys (RFC 7517; RFC 7518 section 6 for RSA, EC and oct; RFC 8037 for OKP): reading one into a key, and writing a key's public
// half. Members that are there are believed only when they agree with each other: a key meant for encryption signs nothing.
#include "base/memory.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "codec/text.h"
#include "crypto/digest.h"
#include "crypto/key.h"

#define JWK_MEMBER_CAP (2 * DX_RSA_BITS_CAP / 8) // base64url bytes of one number

static dx_status refuse(dx_diags *diags, const char *pointer, const char *message) {
    dx_diags_add(diags, DX_INVALID, dx_slice_str(pointer), "%s", message);
    return DX_INVALID;
}

// --- reading ---------------------------------------------------------------------------------------------------------------

// A member's bytes, decoded into `out`; false when it is absent, not canonical base64url, or too long.
static bool member_bytes(yyjson_val *jwk, const char *name, uint8_t *out, size_t cap, size_t *size) {
    dx_slice text = dx_json_member_slice(jwk, name);
    if (!text.data || text.size > JWK_MEMBER_CAP || text.size * 3 / 4 > cap) return false;
    uint8_t scratch[JWK_MEMBER_CAP];
    if (!dx_base64_decode(scratch, size, text, true) || *size > cap) return false;
    memcpy(out, scratch, *size);
    dx_secret_wipe(scratch, sizeof scratch);
    return true;
}

static BIGNUM *member_number(yyjson_val *jwk, const char *name) {
    uint8_t bytes[DX_RSA_BITS_CAP / 8];
    size_t size;
    if (!member_bytes(jwk, name, bytes, sizeof bytes, &size) || size == 0) return NULL;
    BIGNUM *number = BN_secure_new();
    if (number && !BN_bin2bn(bytes, (int)size, number)) {
        BN_clear_free(number);
        number = NULL;
    }
    dx_secret_wipe(bytes, sizeof bytes);
    return number;
}

static EVP_PKEY *pkey_from_params(const char *type, OSSL_PARAM_BLD *builder, bool is_private) {
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1)
        (void)EVP_PKEY_fromdata(ctx, &pkey, is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

static const struct {
    const char *member, *param;
} rsa_members[] = {
    {"n", OSSL_PKEY_PARAM_RSA_N},          {"e", OSSL_PKEY_PARAM_RSA_E},
    {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
    {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
    {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
};
enum { RSA_PUBLIC_COUNT = 2 };

static EVP_PKEY *read_rsa(yyjson_val *jwk, bool is_private) {
    EVP_PKEY *pkey = NULL;
    BIGNUM *numbers[DX_COUNT_OF(rsa_members)] = {0};
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (!builder || yyjson_obj_get(jwk, "oth")) goto out; // more than two primes: not supported, so not half read
    size_t count = is_private ? DX_COUNT_OF(rsa_members) : RSA_PUBLIC_COUNT;
    for (size_t i = 0; i < count; i++) {
        // Without the factors (RFC 7518 section 6.3.2 lets a key leave out all of them) n, e and d do.
        if (i > RSA_PUBLIC_COUNT && !yyjson_obj_get(jwk, "p")) break;
        if (!(numbers[i] = member_number(jwk, rsa_members[i].member))) goto out;
        if (!OSSL_PARAM_BLD_push_BN(builder, rsa_members[i].param, numbers[i])) goto out;
    }
    if (!BN_is_odd(numbers[1]) || BN_is_one(numbers[1]) || BN_num_bits(numbers[1]) > 64) goto out; // e
    pkey = pkey_from_params("RSA", builder, is_private);
out:
    for (size_t i = 0; i < DX_COUNT_OF(numbers); i++) BN_clear_free(numbers[i]);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static EVP_PKEY *read_ec(yyjson_val *jwk, const dx_algorithm *algorithm, bool is_private) {
    EVP_PKEY *pkey = NULL;
    BIGNUM *secret = NULL;
    uint8_t point[DX_EC_POINT_CAP] = {4}, number[DX_COORDINATE_CAP]; // 4: not compressed (SEC 1 section 2.3.3)
    size_t side = algorithm->coordinate_size, x_size, y_size, d_size = 0;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (!builder || !dx_slice_equal(dx_json_member_slice(jwk, "crv"), dx_slice_str(algorithm->curve))) goto out;
    if (!member_bytes(jwk, "x", point + 1, side, &x_size) || x_size != side) goto out;
    if (!member_bytes(jwk, "y", point + 1 + side, side, &y_size) || y_size != side) goto out;
    if (!OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, algorithm->group, 0)) goto out;
    if (!OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * side)) goto out;
    if (is_private) {
        if (!member_bytes(jwk, "d", number, side, &d_size) || d_size != side) goto out;
        if (!(secret = BN_secure_new()) || !BN_bin2bn(number, (int)side, secret)) goto out;
        if (!OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret)) goto out;
    }
    pkey = pkey_from_params("EC", builder, is_private);
out:
    dx_secret_wipe(number, sizeof number);
    BN_clear_free(secret);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static EVP_PKEY *read_okp(yyjson_val *jwk, bool is_private) {
    uint8_t public_bytes[64], secret[64];
    size_t public_size, secret_size = 0;
    dx_slice curve = dx_json_member_slice(jwk, "crv");
    const char *type = dx_slice_equal(curve, DX_SLICE("Ed25519")) ? "ED25519" : dx_slice_equal(curve, DX_SLICE("Ed448")) ? "ED448" : NULL;
    if (!type || !member_bytes(jwk, "x", public_bytes, sizeof public_bytes, &public_size)) return NULL;
    if (!is_private) return EVP_PKEY_new_raw_public_key_ex(NULL, type, NULL, public_bytes, public_size);
    if (!member_bytes(jwk, "d", secret, sizeof secret, &secret_size)) return NULL;
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key_ex(NULL, type, NULL, secret, secret_size);
    dx_secret_wipe(secret, sizeof secret);
    // The public half follows from the secret one; a key that says otherwise is refused.
    uint8_t derived[64];
    size_t derived_size = sizeof derived;
    if (pkey && (EVP_PKEY_get_raw_public_key(pkey, derived, &derived_size) != 1 || derived_size != public_size ||
                 memcmp(derived, public_bytes, public_size) != 0)) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return pkey;
}

static dx_status read_secret(dx_key **out, dx_jws_algorithm algorithm, yyjson_val *jwk, dx_diags *diags) {
    uint8_t secret[DX_RSA_BITS_CAP / 8];
    size_t size;
    if (!member_bytes(jwk, "k", secret, sizeof secret, &size)) return refuse(diags, "/k", "expected base64url of at most 1,024 bytes");
    dx_status status = dx_key_from_secret(out, algorithm, dx_slice_of((const char *)secret, size));
    dx_secret_wipe(secret, sizeof secret);
    if (status == DX_INVALID) return refuse(diags, "/k", "expected a secret at least as long as the algorithm's digest");
    return status;
}

// "use" and "key_ops" (RFC 7517 sections 4.2 and 4.3), where they are there.
static dx_status read_usage(yyjson_val *jwk, bool *sign, bool *verify, dx_diags *diags) {
    yyjson_val *use = yyjson_obj_get(jwk, "use"), *ops = yyjson_obj_get(jwk, "key_ops"), *op;
    *sign = *verify = true;
    if (use && !yyjson_equals_str(use, "sig")) return refuse(diags, "/use", "expected a key for signatures: \"sig\"");
    if (!ops) return DX_OK;
    if (!yyjson_is_arr(ops)) return refuse(diags, "/key_ops", "expected an array");
    *sign = *verify = false;
    size_t at, count;
    yyjson_arr_foreach(ops, at, count, op) {
        *sign |= yyjson_equals_str(op, "sign");
        *verify |= yyjson_equals_str(op, "verify");
    }
    return *sign || *verify ? DX_OK : refuse(diags, "/key_ops", "expected \"sign\" or \"verify\" among the operations");
}

static dx_status read_algorithm(yyjson_val *jwk, dx_jws_algorithm *algorithm, dx_diags *diags) {
    yyjson_val *given = yyjson_obj_get(jwk, "alg");
    dx_jws_algorithm own;
    if (!given) return (unsigned)*algorithm < DX_JWS_ALGORITHM_COUNT ? DX_OK : refuse(diags, "/alg", "expected the algorithm of this key");
    if (!dx_jws_algorithm_parse(dx_json_slice(given), &own)) return refuse(diags, "/alg", "expected a known signature algorithm");
    if (*algorithm != DX_JWS_ALGORITHM_COUNT && *algorithm != own) return refuse(diags, "/alg", "expected the algorithm asked for");
    *algorithm = own;
    return DX_OK;
}

dx_status dx_key_from_jwk(dx_key **out, dx_jws_algorithm algorithm, yyjson_val *jwk, dx_diags *diags) {
    static const char *const kinds[] = {[DX_KEY_OCT] = "oct", [DX_KEY_RSA] = "RSA", [DX_KEY_EC] = "EC", [DX_KEY_OKP] = "OKP"};
    bool sign, verify;
    *out = NULL;
    if (!yyjson_is_obj(jwk)) return refuse(diags, "", "expected an object");
    dx_status status = read_algorithm(jwk, &algorithm, diags);
    if (status == DX_OK) status = read_usage(jwk, &sign, &verify, diags);
    if (status != DX_OK) return status;
    const dx_algorithm *row = &dx_algorithms[algorithm];
    if (!dx_slice_equal(dx_json_member_slice(jwk, "kty"), dx_slice_str(kinds[row->kind])))
        return refuse(diags, "/kty", "expected the key type that the algorithm uses");
    bool is_private = yyjson_obj_get(jwk, "d") != NULL;
    if (row->kind == DX_KEY_OCT) {
        status = read_secret(out, algorithm, jwk, diags);
    } else {
        EVP_PKEY *pkey = row->kind == DX_KEY_RSA  ? read_rsa(jwk, is_private)
                         : row->kind == DX_KEY_EC ? read_ec(jwk, row, is_private)
                                                  : read_okp(jwk, is_private);
        ERR_clear_error();
        if (!pkey) return refuse(diags, "", "expected the numbers of a key that fits the algorithm");
        status = dx_key_wrap(out, algorithm, pkey, is_private, diags);
    }
    if (status == DX_OK) {
        (*out)->can_sign &= sign;
        (*out)->can_verify = verify;
    }
    return status;
}

// --- writing ---------------------------------------------------------------------------------------------------------------

static void write_bytes(dx_buffer *out, const char *name, const void *data, size_t size) {
    dx_buffer_byte(out, '"');
    dx_buffer_add(out, dx_slice_str(name));
    DX_BUFFER_LIT(out, "\":\"");
    char *to = dx_buffer_reserve(out, (size + 2) / 3 * 4);
    if (to) out->size += dx_base64_encode(to, data, size, true);
    dx_buffer_byte(out, '"');
}

static dx_status write_number(dx_buffer *out, const dx_key *key, const char *param, const char *name, size_t width) {
    uint8_t bytes[DX_RSA_BITS_CAP / 8];
    BIGNUM *number = NULL;
    if (EVP_PKEY_get_bn_param(key->pkey, param, &number) != 1) return DX_NO_MEMORY;
    int size = width ? BN_bn2binpad(number, bytes, (int)width) : BN_bn2bin(number, bytes);
    BN_free(number);
    if (size <= 0) return DX_INVALID;
    write_bytes(out, name, bytes, (size_t)size);
    return DX_OK;
}

static dx_status write_rsa(const dx_key *key, dx_buffer *out) {
    dx_buffer_byte(out, '{');
    dx_status status = write_number(out, key, OSSL_PKEY_PARAM_RSA_E, "e", 0);
    DX_BUFFER_LIT(out, ",\"kty\":\"RSA\",");
    if (status == DX_OK) status = write_number(out, key, OSSL_PKEY_PARAM_RSA_N, "n", 0);
    dx_buffer_byte(out, '}');
    return status;
}

static dx_status write_ec(const dx_key *key, dx_buffer *out) {
    const dx_algorithm *algorithm = &dx_algorithms[key->algorithm];
    DX_BUFFER_LIT(out, "{\"crv\":\"");
    dx_buffer_add(out, dx_slice_str(algorithm->curve));
    DX_BUFFER_LIT(out, "\",\"kty\":\"EC\",");
    dx_status status = write_number(out, key, OSSL_PKEY_PARAM_EC_PUB_X, "x", algorithm->coordinate_size);
    dx_buffer_byte(out, ',');
    if (status == DX_OK) status = write_number(out, key, OSSL_PKEY_PARAM_EC_PUB_Y, "y", algorithm->coordinate_size);
    dx_buffer_byte(out, '}');
    return status;
}

static dx_status write_okp(const dx_key *key, dx_buffer *out) {
    uint8_t bytes[64];
    size_t size = sizeof bytes;
    if (EVP_PKEY_get_raw_public_key(key->pkey, bytes, &size) != 1) return DX_INVALID;
    DX_BUFFER_LIT(out, "{\"crv\":\"");
    dx_buffer_add(out, size == 32 ? DX_SLICE("Ed25519") : DX_SLICE("Ed448"));
    DX_BUFFER_LIT(out, "\",\"kty\":\"OKP\",");
    write_bytes(out, "x", bytes, size);
    dx_buffer_byte(out, '}');
    return DX_OK;
}

dx_status dx_key_required_members(const dx_key *key, dx_buffer *out) {
    dx_status status = DX_INVALID;
    switch (dx_algorithms[key->algorithm].kind) {
    case DX_KEY_RSA:
        status = write_rsa(key, out);
        break;
    case DX_KEY_EC:
        status = write_ec(key, out);
        break;
    case DX_KEY_OKP:
        status = write_okp(key, out);
        break;
    case DX_KEY_OCT:
        break;
    }
    return status != DX_OK ? status : dx_buffer_status(out);
}

dx_status dx_key_public_jwk(const dx_key *key, dx_buffer *out) {
    if (!key->pkey) return DX_INVALID;
    dx_status status = dx_key_required_members(key, out);
    if (status != DX_OK) return status;
    out->size--; // the closing brace: more members follow
    DX_BUFFER_LIT(out, ",\"alg\":\"");
    dx_buffer_add(out, dx_slice_str(dx_algorithms[key->algorithm].name));
    DX_BUFFER_LIT(out, "\",\"use\":\"sig\",\"kid\":\"");
    dx_buffer_append(out, key->id, sizeof key->id);
    DX_BUFFER_LIT(out, "\"}");
    return dx_buffer_status(out);
}
