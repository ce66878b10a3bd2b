// The verifying side. First what can be seen without a key, then the signature, and only then the memory of what was there before: what
// nobody signed must not fill it.
#include "policy/sign_hmac.h"

#include "codec/text.h"
#include "crypto/digest.h"

typedef struct given {
    dx_slice timestamp, nonce, key_id;
    dx_micros_utc time;
    uint8_t signature[64 + 4];
    size_t signature_size;
} given;

static dx_status refuse(dx_sign_verdict *out, dx_slice field, const char *reason) {
    out->field = field;
    out->reason = reason;
    return DX_BAD_CREDENTIALS;
}

// The one value of a field. Two could be read differently by two readers.
static dx_status take(dx_slice *value, dx_sign_verdict *out, const dx_sign_request *request, dx_slice name) {
    size_t found = 0;
    for (uint32_t i = 0; request->fields && i < request->fields->count; i++) {
        if (!dx_slice_equal_nocase(request->fields->items[i].name, name)) continue;
        *value = dx_slice_trim(request->fields->items[i].value);
        found++;
    }
    if (found == 0) {
        *value = (dx_slice){NULL, 0};
        return refuse(out, name, "it is missing");
    }
    if (found > 1) return refuse(out, name, "it stands there twice");
    if (value->size == 0) return refuse(out, name, "it is empty");
    return value->size > DX_SIGN_VALUE_CAP ? refuse(out, name, "it is too long") : DX_OK;
}

static bool read_time(dx_slice text, dx_sign_time form, dx_micros_utc *out) {
    int64_t number, unit = form == DX_SIGN_SECONDS ? 1000000 : 1000;
    if (form == DX_SIGN_RFC3339) return dx_time_read(text, out);
    return dx_slice_to_i64(text, &number) && number >= 0 && !__builtin_mul_overflow(number, unit, out);
}

static dx_status take_time(given *g, dx_sign_verdict *out, const dx_sign_hmac *settings, const dx_sign_request *request,
                           dx_micros_utc now) {
    if (!dx_sign_hmac_has_part(settings, DX_SIGN_TIMESTAMP)) return DX_OK;
    dx_status status = take(&g->timestamp, out, request, settings->timestamp_header);
    if (status != DX_OK || settings->window_s == 0) return status;
    if (!read_time(g->timestamp, settings->time, &g->time))
        return refuse(out, settings->timestamp_header, "it is no time of the expected form");
    dx_micros_utc window = settings->window_s * 1000000;
    if (g->time < now && now - g->time > window) return refuse(out, settings->timestamp_header, "it is too old");
    if (g->time > now && g->time - now > window) return refuse(out, settings->timestamp_header, "it lies too far in the future");
    return DX_OK;
}

static dx_status take_signature(given *g, dx_sign_verdict *out, const dx_sign_hmac *settings, const dx_sign_request *request) {
    dx_slice text;
    size_t size = settings->digest == DX_SIGN_SHA256 ? DX_SHA256_SIZE : DX_SHA512_SIZE;
    dx_status status = take(&text, out, request, settings->signature_header);
    if (status != DX_OK) return text.data ? status : DX_UNAUTHENTICATED;
    if (!dx_slice_starts(text, settings->prefix)) return refuse(out, settings->signature_header, "it does not begin with the prefix");
    text = dx_slice_from(text, settings->prefix.size);
    bool hex = settings->encoding == DX_SIGN_HEX;
    if (text.size != (hex ? 2 * size : (size + 2) / 3 * 4))
        return refuse(out, settings->signature_header, "it has not the size of a signature");
    bool good = hex ? dx_hex_decode(g->signature, text) : dx_base64_decode(g->signature, &g->signature_size, text, false);
    if (hex) g->signature_size = size;
    return good && g->signature_size == size ? DX_OK : refuse(out, settings->signature_header, "it is not encoded as expected");
}

static dx_status take_all(given *g, dx_sign_verdict *out, const dx_sign_hmac *settings, const dx_sign_request *request, dx_micros_utc now) {
    dx_status status = take_signature(g, out, settings, request);
    if (status == DX_OK) status = take_time(g, out, settings, request, now);
    if (status == DX_OK && settings->nonce_header.size) {
        status = take(&g->nonce, out, request, settings->nonce_header);
        if (status == DX_OK && g->nonce.size > DX_SIGN_NONCE_CAP) status = refuse(out, settings->nonce_header, "it is too long");
    }
    if (status == DX_OK && settings->key_id_header.size) status = take(&g->key_id, out, request, settings->key_id_header);
    return status;
}

static const dx_sign_key *find_signer(const given *g, const dx_sign_hmac *settings, const dx_sign_verify *by, dx_slice input, bool *known) {
    const dx_sign_key *found = NULL;
    uint8_t made[64];
    size_t tried = 0;
    for (size_t i = 0; i < by->key_count; i++) {
        if (settings->key_id_header.size && !dx_slice_equal(by->keys[i].id, g->key_id)) continue;
        size_t size = dx_sign_hmac_digest(made, settings, by->keys[i].secret, input);
        bool equal = dx_secret_equal(dx_slice_of((char *)made, size), dx_slice_of((const char *)g->signature, g->signature_size));
        if (equal && !found && by->keys[i].secret.size) found = &by->keys[i]; // an empty secret is one that everybody has
        tried++;
    }
    if (tried == 0) (void)dx_sign_hmac_digest(made, settings, DX_SLICE("no such key"), input);
    dx_secret_wipe(made, sizeof made);
    *known = tried > 0;
    return found;
}

static bool was_there(const given *g, const dx_sign_hmac *settings, const dx_sign_verify *by, dx_slice key_id) {
    if (!by->seen) return false;
    char hex[128];
    dx_hex_encode(hex, g->signature, g->signature_size);
    dx_slice nonce = settings->nonce_header.size ? g->nonce : dx_slice_of(hex, 2 * g->signature_size);
    // A request stays good until its own time and the window are over.
    dx_micros_utc until = settings->window_s ? g->time + settings->window_s * 1000000 : INT64_MAX;
    return by->seen(by->ctx, key_id, nonce, until);
}

dx_status dx_sign_hmac_verify(dx_sign_verdict *out, dx_arena *arena, const dx_sign_hmac *settings, const dx_sign_request *request,
                              const dx_sign_verify *by) {
    given g = {.time = by->now};
    dx_slice input;
    bool known;
    *out = (dx_sign_verdict){.reason = NULL};
    dx_status status = take_all(&g, out, settings, request, by->now);
    if (status != DX_OK) return status;
    status = dx_sign_hmac_input(&input, arena, settings, request, g.timestamp, g.nonce, g.key_id);
    if (status == DX_BAD_REQUEST) return refuse(out, DX_SLICE(""), "its path or query has a broken escape");
    if (status == DX_INVALID) return refuse(out, DX_SLICE(""), "a field or its body has no canonical form");
    if (status != DX_OK) {
        out->reason = status == DX_MALFORMED ? "its body is not valid JSON" : "it can't be canonicalised";
        return status;
    }
    const dx_sign_key *signer = find_signer(&g, settings, by, input, &known);
    if (!known) return refuse(out, settings->key_id_header, "no such key is known");
    if (!signer) return refuse(out, settings->signature_header, "it is not that of this request");
    if (was_there(&g, settings, by, signer->id))
        return refuse(out, settings->nonce_header.size ? settings->nonce_header : settings->signature_header, "it was there before");
    out->key = signer;
    return DX_OK;
}
