#include "policy/cache_key.h"

#include "base/hash.h"
#include "codec/text.h"
#include "crypto/digest.h"
#include "policy/cache_url.h"

static bool is_plain(dx_slice text, size_t cap) {
    const unsigned char *bytes = (const unsigned char *)text.data;
    unsigned char odd = 0; // gathered without a branch, many bytes at once
    if (text.size > cap) return false;
    for (size_t i = 0; i < text.size; i++) odd |= (unsigned char)(bytes[i] < ' ') | (unsigned char)(bytes[i] == 0x7f);
    return !odd;
}

static char *put(char *to, dx_slice from) {
    if (from.size) memcpy(to, from.data, from.size);
    return to + from.size;
}

// Hashes of parts mixed, so that each part is gone over once.
static uint64_t mix(uint64_t of_url, dx_slice before) {
    return of_url ^ (dx_hash(before) * 0x9e3779b97f4a7c15u);
}

// Two hashes of one URL must share no bits that tables go by: one picks the shard, the other the place in it.
static uint64_t stir(uint64_t hash) {
    hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93u;
    return hash ^ (hash >> 32);
}

uint64_t dx_cache_url_hash(dx_slice space, dx_slice normalised_url) {
    return mix(dx_hash(normalised_url), space);
}

dx_status dx_cache_key_make(dx_cache_key *out, dx_arena *arena, const dx_cache_key_parts *parts) {
    dx_slice url, method = dx_slice_str(dx_method_name(parts->method == DX_HEAD ? DX_GET : parts->method));
    if (!is_plain(parts->space, DX_CACHE_SPACE_CAP) || !is_plain(parts->credential, DX_CACHE_CREDENTIAL_SIZE)) return DX_BAD_REQUEST;
    dx_status status = dx_cache_url_normalise(&url, arena, parts->url);
    if (status != DX_OK) return status;
    size_t size = parts->space.size + parts->credential.size + method.size + url.size + 3;
    char *text = dx_arena_bytes(arena, size), *at = text;
    if (!text) return DX_NO_MEMORY;
    at = put(put(at, parts->space), DX_SLICE("\n"));
    at = put(put(at, parts->credential), DX_SLICE("\n"));
    at = put(put(at, method), DX_SLICE("\n"));
    (void)put(at, url);
    *out = (dx_cache_key){.text = dx_slice_of(text, size),
                          .space = dx_slice_of(text, parts->space.size),
                          .url = dx_slice_of(text + size - url.size, url.size)};
    uint64_t of_url = dx_hash(out->url);
    out->hash = stir(mix(of_url, dx_slice_of(text, size - url.size)));
    out->url_hash = mix(of_url, out->space);
    return DX_OK;
}

bool dx_cache_key_split(dx_slice text, dx_slice *space, dx_slice *url) {
    *url = text;
    *space = dx_slice_cut(url, '\n');
    (void)dx_slice_cut(url, '\n'); // the credential
    (void)dx_slice_cut(url, '\n'); // the method
    return url->size > 0;
}

// Both sizes are told apart by digests of their own, whatever the bytes.
void dx_cache_credential(char out[DX_CACHE_CREDENTIAL_SIZE], dx_slice kind, dx_slice secret) {
    uint8_t parts[2 * DX_SHA256_SIZE], digest[DX_SHA256_SIZE];
    dx_sha256(parts, kind);
    dx_sha256(parts + DX_SHA256_SIZE, secret);
    dx_sha256(digest, dx_slice_of((const char *)parts, sizeof parts));
    dx_hex_encode(out, digest, DX_CACHE_CREDENTIAL_SIZE / 2);
    dx_secret_wipe(parts, sizeof parts);
}

static bool is_one_of(dx_slice name, const dx_slice *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (dx_slice_equal_nocase(name, names[i])) return true;
    }
    return false;
}

// Each field that counts is mixed in with its name, in the order they have.
dx_slice dx_cache_credential_of_call(char out[DX_CACHE_CREDENTIAL_SIZE], dx_slice identity, const dx_fields *request, const dx_slice *names,
                                     size_t count) {
    static const dx_slice USUAL[] = {DX_SLICE_INIT("authorization"), DX_SLICE_INIT("proxy-authorization"), DX_SLICE_INIT("cookie"),
                                     DX_SLICE_INIT("x-api-key")};
    uint8_t parts[3 * DX_SHA256_SIZE], digest[DX_SHA256_SIZE];
    bool mixed = false;
    for (uint32_t i = 0; i < request->count; i++) {
        const dx_field *field = &request->items[i];
        if (!is_one_of(field->name, USUAL, DX_COUNT_OF(USUAL)) && !is_one_of(field->name, names, count)) continue;
        if (!mixed) dx_sha256(digest, identity);
        memcpy(parts, digest, sizeof digest);
        dx_sha256(parts + DX_SHA256_SIZE, field->name);
        dx_sha256(parts + 2 * DX_SHA256_SIZE, field->value);
        dx_sha256(digest, dx_slice_of((const char *)parts, sizeof parts));
        mixed = true;
    }
    if (!mixed && identity.size <= DX_CACHE_CREDENTIAL_SIZE) {
        (void)put(out, identity);
        return dx_slice_of(out, identity.size);
    }
    if (!mixed) dx_sha256(digest, identity);
    dx_hex_encode(out, digest, DX_CACHE_CREDENTIAL_SIZE / 2);
    if (mixed) dx_secret_wipe(parts, sizeof parts);
    return dx_slice_of(out, DX_CACHE_CREDENTIAL_SIZE);
}

void dx_cache_key_digest(char out[DX_CACHE_DIGEST_SIZE], dx_slice text) {
    uint8_t digest[DX_SHA256_SIZE];
    dx_sha256(digest, text);
    dx_hex_encode(out, digest, DX_CACHE_DIGEST_SIZE / 2);
}

// Goes back only to the last star: what earlier ones took can stay as it is.
bool dx_cache_pattern_matches(dx_slice pattern, dx_slice text) {
    size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;
    while (t < text.size) {
        bool escaped = p + 1 < pattern.size && pattern.data[p] == '\\';
        char wanted = escaped ? pattern.data[p + 1] : p < pattern.size ? pattern.data[p] : '\0';
        if (p < pattern.size && !escaped && wanted == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.size && ((!escaped && wanted == '?') || wanted == text.data[t])) {
            p += escaped ? 2 : 1;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*') p++;
    return p == pattern.size;
}
