// JSON Web Signatures in compact form (RFC 7515). The key says the algorithm and the length of the signature; the token's header can
// only agree or be refused.
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "codec/text.h"
#include "crypto/digest.h"
#include "crypto/key.h"

#define DER_SIGNATURE_CAP 160 // SEQUENCE of two INTEGERs of 66 bytes each, with room

// --- the asymmetric algorithms ----------------------------------------------------------------------------------------------

static bool digest_init(EVP_MD_CTX *ctx, const dx_key *key, bool sign) {
    EVP_PKEY_CTX *pctx = NULL; // owned by ctx
    const char *md = dx_algorithms[key->algorithm].md;
    if ((sign ? EVP_DigestSignInit_ex(ctx, &pctx, md, NULL, NULL, key->pkey, NULL)
              : EVP_DigestVerifyInit_ex(ctx, &pctx, md, NULL, NULL, key->pkey, NULL)) != 1)
        return false;
    if (!dx_algorithms[key->algorithm].pss) return true;
    return EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, key->md) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1; // RFC 7518 section 3.5
}

// r and s side by side (RFC 7518 section 3.4) to the DER that OpenSSL wants, and back. 0 when they are no numbers.
static size_t ecdsa_to_der(uint8_t der[DER_SIGNATURE_CAP], const uint8_t *raw, size_t side) {
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, (int)side, NULL), *s = BN_bin2bn(raw + side, (int)side, NULL);
    if (!pair || !r || !s || !ECDSA_SIG_set0(pair, r, s)) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return 0;
    }
    int size = i2d_ECDSA_SIG(pair, NULL);
    if (size > 0 && size <= DER_SIGNATURE_CAP) size = i2d_ECDSA_SIG(pair, &der);
    ECDSA_SIG_free(pair);
    return size > 0 && size <= DER_SIGNATURE_CAP ? (size_t)size : 0;
}

static bool ecdsa_from_der(uint8_t *raw, size_t side, const uint8_t *der, size_t size) {
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)size);
    if (!pair) return false;
    bool good = BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, (int)side) == (int)side &&
                BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + side, (int)side) == (int)side;
    ECDSA_SIG_free(pair);
    return good;
}

static dx_status pkey_verify(const dx_key *key, dx_slice input, const uint8_t *signature) {
    uint8_t der[DER_SIGNATURE_CAP];
    size_t size = key->signature_size, side = dx_algorithms[key->algorithm].coordinate_size;
    if (side) {
        if (!(size = ecdsa_to_der(der, signature, side))) return DX_NO_MEMORY;
        signature = der;
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx) return DX_NO_MEMORY;
    dx_status status = DX_NO_MEMORY;
    if (digest_init(ctx, key, false))
        status = EVP_DigestVerify(ctx, signature, size, (const uint8_t *)input.data, input.size) == 1 ? DX_OK : DX_BAD_TOKEN;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return status;
}

static dx_status pkey_sign(const dx_key *key, dx_slice input, uint8_t *signature) {
    uint8_t der[DX_SIGNATURE_CAP];
    size_t size = sizeof der, side = dx_algorithms[key->algorithm].coordinate_size;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx) return DX_NO_MEMORY;
    bool good = digest_init(ctx, key, true) && EVP_DigestSign(ctx, der, &size, (const uint8_t *)input.data, input.size) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    if (!good) return DX_NO_MEMORY;
    if (side) return ecdsa_from_der(signature, side, der, size) ? DX_OK : DX_NO_MEMORY;
    if (size != key->signature_size) return DX_INTERNAL;
    memcpy(signature, der, size);
    return DX_OK;
}

// --- tokens -----------------------------------------------------------------------------------------------------------------

static char *encode_into(char *to, const void *data, size_t size) {
    return to + dx_base64_encode(to, data, size, true);
}

static size_t encoded_cap(size_t size) {
    return (size + 2) / 3 * 4;
}

dx_status dx_jws_sign_under(dx_slice *out, dx_arena *arena, const dx_key *key, dx_slice header, dx_slice payload) {
    if (!key->can_sign) return DX_INVALID;
    if (header.size > DX_JWS_BYTES_CAP || payload.size > DX_JWS_BYTES_CAP) return DX_TOO_LARGE;
    char *text = dx_arena_bytes(arena, encoded_cap(header.size) + encoded_cap(payload.size) + encoded_cap(key->signature_size) + 3);
    if (!text) return DX_NO_MEMORY;
    char *to = encode_into(text, header.data, header.size);
    *to++ = '.';
    to = encode_into(to, payload.data, payload.size);
    uint8_t signature[DX_SIGNATURE_CAP];
    dx_slice input = dx_slice_of(text, (size_t)(to - text));
    if (key->pkey) {
        dx_status status = pkey_sign(key, input, signature);
        if (status != DX_OK) return status;
    } else {
        dx_hmac_of(&key->hmac, signature, input);
    }
    *to++ = '.';
    to = encode_into(to, signature, key->signature_size);
    *to = 0;
    *out = dx_slice_of(text, (size_t)(to - text));
    return out->size > DX_JWS_BYTES_CAP ? DX_TOO_LARGE : DX_OK;
}

dx_status dx_jws_sign(dx_slice *out, dx_arena *arena, const dx_key *key, dx_slice typ, dx_slice payload) {
    if (typ.size > 128) return DX_TOO_LARGE;
    dx_buffer header;
    dx_buffer_init(&header, arena, 1024);
    dx_key_write_header(key, &header, typ);
    if (dx_buffer_status(&header) != DX_OK) return dx_buffer_status(&header);
    return dx_jws_sign_under(out, arena, key, dx_buffer_slice(&header), payload);
}

// Decodes base64url into the arena.
static dx_status decode(dx_slice *out, dx_arena *arena, dx_slice text) {
    size_t size;
    char *bytes = dx_arena_bytes(arena, text.size * 3 / 4 + 3);
    if (!bytes) return DX_NO_MEMORY;
    if (!dx_base64_decode(bytes, &size, text, true)) return DX_BAD_TOKEN;
    *out = dx_slice_of(bytes, size);
    return DX_OK;
}

static dx_status check_header(dx_arena *arena, const dx_key *key, dx_slice encoded) {
    if (dx_slice_equal(encoded, dx_slice_of(key->header, key->header_size))) return DX_OK; // one of our own
    dx_slice text;
    yyjson_doc *doc;
    dx_status status = decode(&text, arena, encoded);
    if (status == DX_OK) status = dx_json_read(&doc, arena, text, NULL, NULL);
    if (status != DX_OK) return status == DX_NO_MEMORY ? DX_NO_MEMORY : DX_BAD_TOKEN;
    yyjson_val *root = yyjson_doc_get_root(doc);
    // RFC 7515 section 4.1.11: an extension that must be understood. None is, so any is refused.
    if (!yyjson_is_obj(root) || yyjson_obj_get(root, "crit")) return DX_BAD_TOKEN;
    return yyjson_equals_str(yyjson_obj_get(root, "alg"), dx_algorithms[key->algorithm].name) ? DX_OK : DX_BAD_TOKEN;
}

static dx_status check_signature(const dx_key *key, dx_slice input, dx_slice encoded) {
    uint8_t given[DX_SIGNATURE_CAP + 4], made[DX_HMAC_SIZE_CAP];
    size_t size;
    if (encoded.size != (key->signature_size * 8 + 5) / 6) return DX_BAD_TOKEN;
    if (!dx_base64_decode(given, &size, encoded, true) || size != key->signature_size) return DX_BAD_TOKEN;
    if (key->pkey) return pkey_verify(key, input, given);
    dx_hmac_of(&key->hmac, made, input);
    return dx_secret_equal(dx_slice_of((char *)made, size), dx_slice_of((char *)given, size)) ? DX_OK : DX_BAD_TOKEN;
}

dx_status dx_jws_verify(dx_slice *payload, dx_arena *arena, const dx_key *key, dx_slice token) {
    if (token.size > DX_JWS_BYTES_CAP || !key->can_verify) return DX_BAD_TOKEN;
    size_t first = dx_slice_find(token, '.');
    if (first == SIZE_MAX) return DX_BAD_TOKEN;
    dx_slice header = dx_slice_of(token.data, first), rest = dx_slice_from(token, first + 1);
    size_t second = dx_slice_find(rest, '.');
    if (second == SIZE_MAX) return DX_BAD_TOKEN;
    dx_slice body = dx_slice_of(rest.data, second), signature = dx_slice_from(rest, second + 1);
    dx_status status = check_header(arena, key, header);
    if (status == DX_OK) status = check_signature(key, dx_slice_of(token.data, first + 1 + second), signature);
    return status == DX_OK ? decode(payload, arena, body) : status;
}
