// The signing side: the text of parts, its keyed digest, and the fields that carry them.
#include "policy/sign_hmac.h"

#include "base/random.h"
#include "codec/json.h"
#include "codec/text.h"
#include "crypto/digest.h"

static const dx_sign_part DEFAULT_PARTS[] = {DX_SIGN_ALGORITHM, DX_SIGN_METHOD,    DX_SIGN_PATH,  DX_SIGN_QUERY,
                                             DX_SIGN_FIELDS,    DX_SIGN_TIMESTAMP, DX_SIGN_NONCE, DX_SIGN_BODY_DIGEST};

static const char *const PART_NAMES[DX_SIGN_PART_COUNT] = {
    [DX_SIGN_ALGORITHM] = "algorithm", [DX_SIGN_LITERAL] = "literal", [DX_SIGN_METHOD] = "method",           [DX_SIGN_PATH] = "path",
    [DX_SIGN_QUERY] = "query",         [DX_SIGN_FIELDS] = "fields",   [DX_SIGN_TIMESTAMP] = "timestamp",     [DX_SIGN_NONCE] = "nonce",
    [DX_SIGN_KEY_ID] = "key_id",       [DX_SIGN_BODY] = "body",       [DX_SIGN_BODY_DIGEST] = "body_digest",
};

bool dx_sign_part_parse(dx_slice name, dx_sign_part *out) {
    for (unsigned i = 0; i < DX_SIGN_PART_COUNT; i++) {
        if (!dx_slice_equal(name, dx_slice_str(PART_NAMES[i]))) continue;
        *out = (dx_sign_part)i;
        return true;
    }
    return false;
}

static const dx_sign_part *parts_of(const dx_sign_hmac *settings, size_t *count) {
    *count = settings->part_count ? settings->part_count : DX_COUNT_OF(DEFAULT_PARTS);
    return settings->part_count ? settings->parts : DEFAULT_PARTS;
}

bool dx_sign_hmac_has_part(const dx_sign_hmac *settings, dx_sign_part part) {
    size_t count;
    const dx_sign_part *parts = parts_of(settings, &count);
    for (size_t i = 0; i < count; i++)
        if (parts[i] == part) return true;
    return false;
}

// --- settings ----------------------------------------------------------------------------------------------------------------

static void complain(dx_diags *diags, bool *good, const char *pointer, const char *message) {
    *good = false;
    dx_diags_add(diags, DX_INVALID, dx_slice_str(pointer), "%s", message);
}

static bool is_name(dx_slice name) {
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] <= ' ' || name.data[i] >= 0x7f || name.data[i] == ':') return false;
    return name.size > 0;
}

static void check_parts(const dx_sign_hmac *settings, dx_diags *diags, bool *good) {
    if (settings->part_count > DX_SIGN_PARTS_CAP) {
        complain(diags, good, "/parts", "expected at most 16 parts");
        return;
    }
    if (settings->separator.size == 0 && settings->part_count != 1)
        complain(diags, good, "/separator", "expected a separator: without one, two requests can have the same text");
    if (settings->window_s > 0 && !dx_sign_hmac_has_part(settings, DX_SIGN_TIMESTAMP))
        complain(diags, good, "/window_s", "expected the timestamp among the parts: nobody signs the one that is looked at");
    if (settings->nonce_header.size && !dx_sign_hmac_has_part(settings, DX_SIGN_NONCE))
        complain(diags, good, "/nonce_header", "expected the nonce among the parts: a replay could bring another");
    if (settings->field_count && !dx_sign_hmac_has_part(settings, DX_SIGN_FIELDS))
        complain(diags, good, "/fields", "expected \"fields\" among the parts: these are not signed");
    if (settings->body != DX_SIGN_BODY_NONE && !dx_sign_hmac_has_part(settings, DX_SIGN_BODY_DIGEST) &&
        !dx_sign_hmac_has_part(settings, DX_SIGN_BODY))
        complain(diags, good, "/body", "expected \"body_digest\" or \"body\" among the parts: the body is not signed");
}

dx_status dx_sign_hmac_check(const dx_sign_hmac *settings, dx_diags *diags) {
    bool good = true;
    check_parts(settings, diags, &good);
    if (!is_name(settings->signature_header)) complain(diags, &good, "/signature_header", "expected the name of a header field");
    if (dx_sign_hmac_has_part(settings, DX_SIGN_TIMESTAMP) && !is_name(settings->timestamp_header))
        complain(diags, &good, "/timestamp_header", "expected the name of a header field");
    if (settings->nonce_header.size && !is_name(settings->nonce_header))
        complain(diags, &good, "/nonce_header", "expected the name of a header field");
    if (settings->key_id_header.size && !is_name(settings->key_id_header))
        complain(diags, &good, "/key_id_header", "expected the name of a header field");
    if (settings->window_s < 0 || settings->window_s > 86400) complain(diags, &good, "/window_s", "expected 0 to 86400 seconds");
    if (settings->prefix.size > DX_SIGN_VALUE_CAP / 4) complain(diags, &good, "/prefix", "expected at most 64 bytes");
    if (settings->field_count > DX_SIGN_FIELDS_CAP) complain(diags, &good, "/fields", "expected at most 32 header fields");
    for (size_t i = 0; i < settings->field_count && i < DX_SIGN_FIELDS_CAP; i++)
        if (!is_name(settings->fields[i])) complain(diags, &good, "/fields", "expected names of header fields");
    return good ? DX_OK : DX_INVALID;
}

// --- the text ----------------------------------------------------------------------------------------------------------------

static bool is_json(const dx_sign_request *request) {
    if (!request->fields) return false;
    dx_slice type = dx_fields_find(request->fields, DX_SLICE("content-type"));
    type = dx_slice_trim(dx_slice_cut(&type, ';'));
    return dx_slice_equal_nocase(type, DX_SLICE("application/json")) ||
           (type.size > 5 && dx_slice_equal_nocase(dx_slice_from(type, type.size - 5), DX_SLICE("+json")));
}

static dx_status body_of(dx_slice *out, dx_arena *arena, const dx_sign_hmac *settings, const dx_sign_request *request) {
    *out = settings->body == DX_SIGN_BODY_NONE ? DX_SLICE("") : request->body;
    if (settings->body != DX_SIGN_BODY_JSON || request->body.size == 0 || !is_json(request)) return DX_OK;
    yyjson_doc *doc;
    dx_buffer canonical;
    dx_status status = dx_json_read(&doc, arena, request->body, NULL, NULL);
    if (status != DX_OK) return status;
    dx_buffer_init(&canonical, arena, request->body.size * 8 + 64); // numbers may grow: 1e20
    status = dx_json_write_canonical(&canonical, arena, yyjson_doc_get_root(doc));
    *out = dx_buffer_slice(&canonical);
    return status;
}

static void add_upper(dx_buffer *out, dx_slice method) {
    for (size_t i = 0; i < method.size; i++) {
        char byte = method.data[i];
        dx_buffer_byte(out, byte >= 'a' && byte <= 'z' ? (char)(byte & ~0x20) : byte);
    }
}

static dx_status add_fields(dx_buffer *out, dx_arena *arena, const dx_sign_hmac *settings, const dx_sign_request *request) {
    for (size_t i = 0; i < settings->field_count; i++) {
        dx_slice name = dx_sign_lower(arena, settings->fields[i]), value;
        if (!name.data) return DX_NO_MEMORY;
        dx_status status = dx_sign_field(&value, arena, request, name);
        if (status != DX_OK) return status;
        if (i) dx_buffer_add(out, settings->separator);
        dx_buffer_add(out, name);
        if (value.data) dx_buffer_byte(out, ':');
        dx_buffer_add(out, value);
    }
    return dx_buffer_status(out);
}

static dx_status add_body(dx_buffer *out, dx_arena *arena, const dx_sign_hmac *settings, const dx_sign_request *request, bool digest) {
    dx_slice body;
    dx_status status = body_of(&body, arena, settings, request);
    if (status != DX_OK) return status;
    if (!digest) {
        dx_buffer_add(out, body);
        return dx_buffer_status(out);
    }
    if (settings->body == DX_SIGN_BODY_NONE) return DX_OK;
    uint8_t bytes[DX_SHA512_SIZE];
    size_t size = settings->digest == DX_SIGN_SHA256 ? DX_SHA256_SIZE : DX_SHA512_SIZE;
    if (settings->digest == DX_SIGN_SHA256)
        dx_sha256(bytes, body);
    else
        dx_sha512(bytes, body);
    char *to = dx_buffer_reserve(out, 2 * size);
    if (!to) return dx_buffer_status(out);
    dx_hex_encode(to, bytes, size);
    out->size += 2 * size;
    return DX_OK;
}

dx_status dx_sign_hmac_input(dx_slice *out, dx_arena *arena, const dx_sign_hmac *settings, const dx_sign_request *request,
                             dx_slice timestamp, dx_slice nonce, dx_slice key_id) {
    size_t count;
    const dx_sign_part *parts = parts_of(settings, &count);
    dx_status status = DX_OK;
    dx_buffer text;
    dx_buffer_init(&text, arena, DX_SIGN_INPUT_CAP + request->body.size * 8);
    bool begun = false;
    for (size_t i = 0; i < count && status == DX_OK; i++) {
        if (parts[i] == DX_SIGN_FIELDS && settings->field_count == 0) continue;
        if (begun) dx_buffer_add(&text, settings->separator);
        begun = true;
        switch (parts[i]) {
        case DX_SIGN_ALGORITHM:
            dx_buffer_add(&text, settings->digest == DX_SIGN_SHA256 ? DX_SLICE("hmac-sha256") : DX_SLICE("hmac-sha512"));
            break;
        case DX_SIGN_LITERAL:
            dx_buffer_add(&text, settings->literal);
            break;
        case DX_SIGN_METHOD:
            add_upper(&text, request->method);
            break;
        case DX_SIGN_PATH:
            status = dx_sign_path(&text, arena, request->path);
            break;
        case DX_SIGN_QUERY:
            status = dx_sign_query(&text, arena, request->query);
            break;
        case DX_SIGN_FIELDS:
            status = add_fields(&text, arena, settings, request);
            break;
        case DX_SIGN_TIMESTAMP:
            dx_buffer_add(&text, timestamp);
            break;
        case DX_SIGN_NONCE:
            dx_buffer_add(&text, nonce);
            break;
        case DX_SIGN_KEY_ID:
            dx_buffer_add(&text, key_id);
            break;
        default:
            status = add_body(&text, arena, settings, request, parts[i] == DX_SIGN_BODY_DIGEST);
        }
    }
    *out = dx_buffer_slice(&text);
    return status == DX_OK ? dx_buffer_status(&text) : status;
}

size_t dx_sign_hmac_digest(uint8_t out[64], const dx_sign_hmac *settings, dx_slice secret, dx_slice input) {
    if (settings->digest == DX_SIGN_SHA256) {
        dx_hmac_sha256(out, secret, input);
        return DX_SHA256_SIZE;
    }
    dx_hmac_sha512(out, secret, input);
    return DX_SHA512_SIZE;
}

// --- the fields --------------------------------------------------------------------------------------------------------------

static dx_slice write_time(dx_arena *arena, dx_sign_time form, dx_micros_utc now) {
    char text[DX_TIME_TEXT_CAP];
    if (form == DX_SIGN_SECONDS) return dx_arena_printf(arena, "%lld", (long long)(now / 1000000));
    if (form == DX_SIGN_MILLISECONDS) return dx_arena_printf(arena, "%lld", (long long)(now / 1000));
    return dx_arena_copy(arena, dx_slice_of(text, dx_time_write(text, now - now % 1000000)));
}

static dx_slice draw_nonce(dx_arena *arena) {
    uint8_t bytes[16];
    char text[2 * sizeof bytes];
    dx_random_bytes(bytes, sizeof bytes);
    dx_hex_encode(text, bytes, sizeof bytes);
    return dx_arena_copy(arena, dx_slice_of(text, sizeof text));
}

// The prefix and the signature.
static dx_slice write_signature(dx_arena *arena, const dx_sign_hmac *settings, const uint8_t *bytes, size_t size) {
    char *text = dx_arena_bytes(arena, settings->prefix.size + 2 * size + 8);
    if (!text) return (dx_slice){NULL, 0};
    if (settings->prefix.size) memcpy(text, settings->prefix.data, settings->prefix.size);
    char *at = text + settings->prefix.size;
    if (settings->encoding == DX_SIGN_HEX) {
        dx_hex_encode(at, bytes, size);
        return dx_slice_of(text, settings->prefix.size + 2 * size);
    }
    return dx_slice_of(text, settings->prefix.size + dx_base64_encode(at, bytes, size, false));
}

static bool is_visible(dx_slice text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f) return false;
    return text.size > 0;
}

static dx_status add_field(dx_fields *out, dx_arena *arena, dx_slice name, dx_slice value) {
    if (name.size == 0) return DX_OK;
    return value.data ? dx_fields_add(out, arena, name, value) : DX_NO_MEMORY;
}

dx_status dx_sign_hmac_make(dx_fields *out, dx_arena *arena, const dx_sign_hmac *settings, const dx_sign_request *request,
                            const dx_sign_key *key, dx_micros_utc now, dx_slice nonce) {
    dx_slice timestamp = write_time(arena, settings->time, now), input;
    if (settings->nonce_header.size == 0) {
        nonce = DX_SLICE("");
    } else if (nonce.size == 0) {
        nonce = draw_nonce(arena);
    } else if (nonce.size > DX_SIGN_NONCE_CAP || !is_visible(nonce)) {
        return DX_INVALID;
    }
    if (!timestamp.data || !nonce.data) return DX_NO_MEMORY;
    dx_slice id = settings->key_id_header.size ? key->id : DX_SLICE("");
    if (settings->key_id_header.size && (!is_visible(id) || id.size > DX_SIGN_VALUE_CAP)) return DX_INVALID;
    dx_status status = dx_sign_hmac_input(&input, arena, settings, request, timestamp, nonce, id);
    if (status != DX_OK) return status;
    uint8_t bytes[64];
    size_t size = dx_sign_hmac_digest(bytes, settings, key->secret, input);
    dx_slice signature = write_signature(arena, settings, bytes, size);
    if (dx_sign_hmac_has_part(settings, DX_SIGN_TIMESTAMP)) status = add_field(out, arena, settings->timestamp_header, timestamp);
    if (status == DX_OK) status = add_field(out, arena, settings->nonce_header, nonce);
    if (status == DX_OK) status = add_field(out, arena, settings->key_id_header, id);
    return status == DX_OK ? add_field(out, arena, settings->signature_header, signature) : status;
}
