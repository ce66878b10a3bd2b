// Keys: one key, one algorithm. Whatever a key is made of, it is checked here once against what its algorithm demands, so that signing and
// verifying never have to ask.
#include "crypto/key.h"

#include "base/memory.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "codec/text.h"
#include "crypto/digest.h"

const dx_algorithm dx_algorithms[DX_JWS_ALGORITHM_COUNT] = {
    [DX_JWS_HS256] = {.name = "HS256", .kind = DX_KEY_OCT, .digest = DX_HMAC_SHA256},
    [DX_JWS_HS384] = {.name = "HS384", .kind = DX_KEY_OCT, .digest = DX_HMAC_SHA384},
    [DX_JWS_HS512] = {.name = "HS512", .kind = DX_KEY_OCT, .digest = DX_HMAC_SHA512},
    [DX_JWS_RS256] = {.name = "RS256", .kind = DX_KEY_RSA, .md = "SHA256"},
    [DX_JWS_RS384] = {.name = "RS384", .kind = DX_KEY_RSA, .md = "SHA384"},
    [DX_JWS_RS512] = {.name = "RS512", .kind = DX_KEY_RSA, .md = "SHA512"},
    [DX_JWS_PS256] = {.name = "PS256", .kind = DX_KEY_RSA, .md = "SHA256", .pss = true},
    [DX_JWS_PS384] = {.name = "PS384", .kind = DX_KEY_RSA, .md = "SHA384", .pss = true},
    [DX_JWS_PS512] = {.name = "PS512", .kind = DX_KEY_RSA, .md = "SHA512", .pss = true},
    [DX_JWS_ES256] = {.name = "ES256", .kind = DX_KEY_EC, .md = "SHA256", .curve = "P-256", .group = "prime256v1", .coordinate_size = 32},
    [DX_JWS_ES384] = {.name = "ES384", .kind = DX_KEY_EC, .md = "SHA384", .curve = "P-384", .group = "secp384r1", .coordinate_size = 48},
    [DX_JWS_ES512] = {.name = "ES512", .kind = DX_KEY_EC, .md = "SHA512", .curve = "P-521", .group = "secp521r1", .coordinate_size = 66},
    [DX_JWS_EDDSA] = {.name = "EdDSA", .kind = DX_KEY_OKP},
};

const char *dx_jws_algorithm_name(dx_jws_algorithm algorithm) {
    return (unsigned)algorithm < DX_JWS_ALGORITHM_COUNT ? dx_algorithms[algorithm].name : "";
}

bool dx_jws_algorithm_parse(dx_slice name, dx_jws_algorithm *out) {
    for (unsigned i = 0; i < DX_JWS_ALGORITHM_COUNT; i++) {
        if (!dx_slice_equal(name, dx_slice_str(dx_algorithms[i].name))) continue;
        *out = (dx_jws_algorithm)i;
        return true;
    }
    return false;
}

void dx_key_write_header(const dx_key *key, dx_buffer *out, dx_slice typ) {
    DX_BUFFER_LIT(out, "{\"alg\":\"");
    dx_buffer_add(out, dx_slice_str(dx_algorithms[key->algorithm].name));
    DX_BUFFER_LIT(out, "\",\"kid\":\"");
    dx_buffer_append(out, key->id, sizeof key->id);
    dx_buffer_byte(out, '"');
    if (typ.size) {
        DX_BUFFER_LIT(out, ",\"typ\":");
        dx_json_write_string(out, typ);
    }
    dx_buffer_byte(out, '}');
}

// The thumbprint (RFC 7638) and the header that goes with it.
static dx_status name_key(dx_key *key, const uint8_t digest[DX_SHA256_SIZE]) {
    dx_buffer header;
    dx_base64_encode(key->id, digest, DX_SHA256_SIZE, true);
    dx_buffer_init(&header, NULL, sizeof key->header / 4 * 3);
    dx_key_write_header(key, &header, DX_SLICE("JWT"));
    dx_status status = dx_buffer_status(&header);
    if (status == DX_OK) key->header_size = dx_base64_encode(key->header, header.data, header.size, true);
    dx_buffer_deinit(&header);
    return status;
}

dx_status dx_key_from_secret(dx_key **out, dx_jws_algorithm algorithm, dx_slice secret) {
    *out = NULL;
    if ((unsigned)algorithm >= DX_JWS_ALGORITHM_COUNT || dx_algorithms[algorithm].kind != DX_KEY_OCT) return DX_INVALID;
    dx_hmac_digest digest = dx_algorithms[algorithm].digest;
    if (secret.size < dx_hmac_size(digest)) return DX_INVALID;
    dx_key *key = dx_memory_zalloc(1, sizeof *key);
    if (!key) return DX_NO_MEMORY;
    key->algorithm = algorithm;
    key->can_sign = key->can_verify = true;
    key->signature_size = dx_hmac_size(digest);
    dx_hmac_init(&key->hmac, digest, secret);
    uint8_t name[DX_SHA256_SIZE];
    dx_hmac_sha256(name, secret, DX_SLICE("duplex key id"));
    dx_status status = name_key(key, name);
    if (status != DX_OK) {
        dx_key_destroy(key);
        return status;
    }
    *out = key;
    return DX_OK;
}

static dx_status refuse(dx_diags *diags, const char *message) {
    dx_diags_add(diags, DX_INVALID, DX_SLICE(""), "%s", message);
    return DX_INVALID;
}

static dx_status check_rsa(dx_key *key, dx_diags *diags) {
    if (!EVP_PKEY_is_a(key->pkey, "RSA")) return refuse(diags, "expected an RSA key for this algorithm");
    int bits = EVP_PKEY_get_bits(key->pkey);
    if (bits < DX_RSA_BITS_MIN) return refuse(diags, "expected an RSA key of at least 2048 bits");
    if (bits > DX_RSA_BITS_CAP) return refuse(diags, "expected an RSA key of at most 8192 bits");
    key->signature_size = ((size_t)bits + 7) / 8;
    return DX_OK;
}

static dx_status check_ec(dx_key *key, dx_diags *diags) {
    const dx_algorithm *algorithm = &dx_algorithms[key->algorithm];
    char group[64] = "";
    size_t size = 0;
    if (!EVP_PKEY_is_a(key->pkey, "EC") || !EVP_PKEY_get_group_name(key->pkey, group, sizeof group, &size) ||
        strcmp(group, algorithm->group) != 0) {
        dx_diags_add(diags, DX_INVALID, DX_SLICE(""), "expected an EC key on the curve %s for %s", algorithm->curve, algorithm->name);
        return DX_INVALID;
    }
    key->signature_size = 2 * algorithm->coordinate_size;
    return DX_OK;
}

static dx_status check_okp(dx_key *key, dx_diags *diags) {
    if (EVP_PKEY_is_a(key->pkey, "ED25519"))
        key->signature_size = 64;
    else if (EVP_PKEY_is_a(key->pkey, "ED448"))
        key->signature_size = 114;
    else
        return refuse(diags, "expected an Ed25519 or Ed448 key for EdDSA");
    return DX_OK;
}

// That the numbers are a key at all: a point on its curve, and, with a private part, that the two belong together.
static dx_status check_numbers(const dx_key *key, dx_diags *diags) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    if (!ctx) return DX_NO_MEMORY;
    bool good = EVP_PKEY_public_check(ctx) == 1 && (!key->can_sign || EVP_PKEY_pairwise_check(ctx) == 1);
    EVP_PKEY_CTX_free(ctx);
    return good ? DX_OK : refuse(diags, "expected a consistent key; its numbers do not belong together");
}

static dx_status check_kind(dx_key *key, dx_diags *diags) {
    switch (dx_algorithms[key->algorithm].kind) {
    case DX_KEY_RSA:
        return check_rsa(key, diags);
    case DX_KEY_EC:
        return check_ec(key, diags);
    case DX_KEY_OKP:
        return check_okp(key, diags);
    case DX_KEY_OCT:
        break;
    }
    return refuse(diags, "expected a shared secret for this algorithm");
}

static dx_status name_from_members(dx_key *key) {
    dx_buffer members;
    dx_buffer_init(&members, NULL, (size_t)DX_RSA_BITS_CAP / 2);
    uint8_t digest[DX_SHA256_SIZE];
    dx_status status = dx_key_required_members(key, &members);
    if (status == DX_OK) {
        dx_sha256(digest, dx_buffer_slice(&members));
        status = name_key(key, digest);
    }
    dx_buffer_deinit(&members);
    return status;
}

dx_status dx_key_wrap(dx_key **out, dx_jws_algorithm algorithm, EVP_PKEY *pkey, bool is_private, dx_diags *diags) {
    dx_status status = DX_NO_MEMORY;
    dx_key *key = dx_memory_zalloc(1, sizeof *key);
    if (!key) {
        EVP_PKEY_free(pkey);
        return status;
    }
    key->algorithm = algorithm;
    key->pkey = pkey;
    key->can_sign = is_private;
    key->can_verify = true;
    const char *md = dx_algorithms[algorithm].md;
    if (md && !(key->md = EVP_MD_fetch(NULL, md, NULL))) goto out;
    if ((status = check_kind(key, diags)) != DX_OK) goto out;
    if ((status = check_numbers(key, diags)) != DX_OK) goto out;
    if ((status = name_from_members(key)) != DX_OK) goto out;
    *out = key;
    key = NULL;
out:
    dx_key_destroy(key);
    ERR_clear_error();
    return status;
}

// A file that is locked with a passphrase cannot be used: nobody is there to type it.
// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL says the type
static int no_passphrase(char *buffer, int size, int writing, void *ctx) {
    (void)buffer, (void)size, (void)writing;
    *(bool *)ctx = true;
    return 0;
}

#define PEM_CAP ((size_t)64 << 10)

dx_status dx_key_from_pem(dx_key **out, dx_jws_algorithm algorithm, dx_slice pem, dx_diags *diags) {
    *out = NULL;
    if ((unsigned)algorithm >= DX_JWS_ALGORITHM_COUNT) return DX_INVALID;
    if (pem.size == 0 || pem.size > PEM_CAP) return refuse(diags, "expected a key in PEM form of at most 64 KiB");
    bool locked = false;
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    if (!bio) return DX_NO_MEMORY;
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &locked);
    bool is_private = pkey != NULL;
    if (!pkey) {
        (void)BIO_reset(bio);
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, &locked);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (!pkey)
        return refuse(diags, locked ? "expected a PEM key without a passphrase"
                                    : "expected a PEM private key (PKCS#8) or public key (SubjectPublicKeyInfo)");
    return dx_key_wrap(out, algorithm, pkey, is_private, diags);
}

void dx_key_destroy(dx_key *key) {
    if (!key) return;
    EVP_PKEY_free(key->pkey);
    EVP_MD_free(key->md);
    dx_secret_wipe(key, sizeof *key);
    dx_memory_free(key);
}

dx_jws_algorithm dx_key_algorithm(const dx_key *key) {
    return key->algorithm;
}

bool dx_key_can_sign(const dx_key *key) {
    return key->can_sign;
}

dx_slice dx_key_id(const dx_key *key, dx_arena *arena) {
    return dx_arena_copy(arena, dx_slice_of(key->id, sizeof key->id));
}
