// Signature Version 4 in its four steps: the canonical request, the string to sign, the key of the day, the signature.
#include "policy/sign_aws.h"

#include <stdlib.h>

#include "codec/text.h"
#include "crypto/digest.h"

#define ALGORITHM   "AWS4-HMAC-SHA256"
#define DATE_SIZE   8  // 20150830
#define TIME_SIZE   16 // 20150830T123600Z
#define HEX_SIZE    (2 * DX_SHA256_SIZE)
#define SECRET_CAP  256
#define FIELDS_CAP  256 // in a request
#define SEGMENT_CAP 1000

// --- the canonical request ---------------------------------------------------------------------------------------------------

// Fields that change on the way, or are added after signing.
static bool is_unsigned(dx_slice name) {
    static const char *const names[] = {
        "accept-encoding",
        "authorization",
        "cache-control",
        "connection",
        "content-length",
        "expect",
        "from",
        "keep-alive",
        "max-forwards",
        "pragma",
        "priority",
        "referer",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    };
    for (size_t i = 0; i < DX_COUNT_OF(names); i++)
        if (dx_slice_equal(name, dx_slice_str(names[i]))) return true;
    return false;
}

static bool is_added(const dx_fields *added, dx_slice name) {
    for (uint32_t i = 0; i < added->count; i++)
        if (dx_slice_equal_nocase(added->items[i].name, name)) return true;
    return false;
}

static int compare_slices(const void *a, const void *b) {
    return dx_slice_compare(*(const dx_slice *)a, *(const dx_slice *)b);
}

typedef struct name_list {
    dx_slice names[FIELDS_CAP];
    size_t count;
} name_list;

static dx_status add_name(name_list *list, dx_arena *arena, dx_slice name) {
    dx_slice lower = dx_sign_lower(arena, name);
    if (!lower.data) return DX_NO_MEMORY;
    if (is_unsigned(lower)) return DX_OK;
    for (size_t i = 0; i < list->count; i++)
        if (dx_slice_equal(list->names[i], lower)) return DX_OK;
    if (list->count == FIELDS_CAP) return DX_TOO_LARGE;
    list->names[list->count++] = lower;
    return DX_OK;
}

static dx_status collect_names(name_list *list, dx_arena *arena, const dx_sign_request *request, const dx_fields *added) {
    dx_status status = add_name(list, arena, DX_SLICE("host"));
    for (uint32_t i = 0; request->fields && i < request->fields->count && status == DX_OK; i++)
        status = add_name(list, arena, request->fields->items[i].name);
    for (uint32_t i = 0; i < added->count && status == DX_OK; i++) status = add_name(list, arena, added->items[i].name);
    qsort(list->names, list->count, sizeof list->names[0], compare_slices);
    return status;
}

static dx_status write_fields(dx_buffer *out, dx_slice *signed_names, dx_arena *arena, const dx_sign_request *request,
                              const dx_fields *added) {
    name_list list = {.count = 0};
    dx_buffer names;
    dx_buffer_init(&names, arena, DX_SIGN_INPUT_CAP);
    dx_status status = collect_names(&list, arena, request, added);
    const dx_sign_request own = {.fields = added};
    for (size_t i = 0; i < list.count && status == DX_OK; i++) {
        dx_slice value;
        status = dx_sign_field(&value, arena, is_added(added, list.names[i]) ? &own : request, list.names[i]);
        if (status != DX_OK) return status;
        if (!value.data) return DX_INVALID; // Host
        dx_buffer_add(out, list.names[i]);
        dx_buffer_byte(out, ':');
        dx_buffer_add(out, value);
        dx_buffer_byte(out, '\n');
        if (i) dx_buffer_byte(&names, ';');
        dx_buffer_add(&names, list.names[i]);
    }
    *signed_names = dx_buffer_slice(&names);
    return status == DX_OK ? dx_buffer_status(&names) : status;
}

// Without empty and dot segments (RFC 3986 section 5.2.4, and no two slashes), each segment encoded once more.
static dx_status write_normal_path(dx_buffer *out, dx_slice path) {
    dx_slice kept[SEGMENT_CAP];
    size_t count = 0;
    bool slash = true; // at the end
    while (path.data) {
        dx_slice segment = dx_slice_cut(&path, '/');
        bool up = dx_slice_equal(segment, DX_SLICE(".."));
        slash = segment.size == 0 || up || dx_slice_equal(segment, DX_SLICE("."));
        if (up && count) count--;
        if (slash) continue;
        if (count == SEGMENT_CAP) return DX_TOO_LARGE;
        kept[count++] = segment;
    }
    for (size_t i = 0; i < count; i++) {
        dx_buffer_byte(out, '/');
        dx_percent_encode(out, kept[i]);
    }
    if (slash || count == 0) dx_buffer_byte(out, '/');
    return dx_buffer_status(out);
}

dx_status dx_sign_aws_canonical(dx_buffer *out, dx_slice *signed_names, dx_arena *arena, const dx_sign_aws *settings,
                                const dx_sign_request *request, const dx_fields *added, dx_slice canonical_query) {
    dx_buffer_add(out, request->method);
    dx_buffer_byte(out, '\n');
    dx_status status = settings->s3 ? dx_sign_path(out, arena, request->path) : write_normal_path(out, request->path);
    if (status != DX_OK) return status;
    dx_buffer_byte(out, '\n');
    dx_buffer_add(out, canonical_query);
    dx_buffer_byte(out, '\n');
    status = write_fields(out, signed_names, arena, request, added);
    if (status != DX_OK) return status;
    dx_buffer_byte(out, '\n');
    dx_buffer_add(out, *signed_names);
    dx_buffer_byte(out, '\n');
    return dx_buffer_status(out);
}

// --- the signature -----------------------------------------------------------------------------------------------------------

static void sha256_hex(char out[HEX_SIZE], dx_slice data) {
    uint8_t digest[DX_SHA256_SIZE];
    dx_sha256(digest, data);
    dx_hex_encode(out, digest, sizeof digest);
}

static void write_time(char out[TIME_SIZE], dx_micros_utc now) {
    char text[DX_TIME_TEXT_CAP]; // 2015-08-30T12:36:00Z
    (void)dx_time_write(text, now - now % 1000000);
    size_t size = 0;
    for (size_t i = 0; i < 20; i++)
        if (text[i] != '-' && text[i] != ':') out[size++] = text[i];
}

static void sign_key(uint8_t key[DX_SHA256_SIZE], const dx_sign_aws *settings, dx_slice date) {
    char secret[4 + SECRET_CAP] = "AWS4";
    memcpy(secret + 4, settings->secret_access_key.data, settings->secret_access_key.size);
    dx_hmac_sha256(key, dx_slice_of(secret, 4 + settings->secret_access_key.size), date);
    const dx_slice steps[] = {settings->region, settings->service, DX_SLICE("aws4_request")};
    for (size_t i = 0; i < DX_COUNT_OF(steps); i++) {
        uint8_t next[DX_SHA256_SIZE];
        dx_hmac_sha256(next, dx_slice_of((char *)key, DX_SHA256_SIZE), steps[i]);
        memcpy(key, next, sizeof next);
        dx_secret_wipe(next, sizeof next);
    }
    dx_secret_wipe(secret, sizeof secret);
}

// "20150830/us-east-1/service/aws4_request"
static dx_slice scope_of(dx_arena *arena, const dx_sign_aws *settings, const char time[TIME_SIZE]) {
    return dx_arena_printf(arena, "%.*s/%.*s/%.*s/aws4_request", DATE_SIZE, time, DX_SLICE_ARG(settings->region),
                           DX_SLICE_ARG(settings->service));
}

static dx_status sign_text(char signature[HEX_SIZE], dx_arena *arena, const dx_sign_aws *settings, const char time[TIME_SIZE],
                           dx_slice scope, dx_slice canonical) {
    char digest[HEX_SIZE];
    sha256_hex(digest, canonical);
    dx_slice text = dx_arena_printf(arena, ALGORITHM "\n%.*s\n%.*s\n%.*s", TIME_SIZE, time, DX_SLICE_ARG(scope), HEX_SIZE, digest);
    if (!text.data) return DX_NO_MEMORY;
    uint8_t key[DX_SHA256_SIZE], made[DX_SHA256_SIZE];
    sign_key(key, settings, dx_slice_of(time, DATE_SIZE));
    dx_hmac_sha256(made, dx_slice_of((char *)key, sizeof key), text);
    dx_hex_encode(signature, made, sizeof made);
    dx_secret_wipe(key, sizeof key);
    return DX_OK;
}

static bool is_word(dx_slice text, bool slash) {
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte <= ' ' || byte >= 0x7f || byte == ',' || (byte == '/' && !slash)) return false;
    }
    return text.size > 0 && text.size <= SECRET_CAP;
}

static bool is_usable(const dx_sign_aws *settings) {
    for (size_t i = 0; i < settings->session_token.size; i++)
        if (settings->session_token.data[i] <= ' ' || settings->session_token.data[i] >= 0x7f) return false;
    return is_word(settings->access_key_id, false) && is_word(settings->region, false) && is_word(settings->service, false) &&
           settings->secret_access_key.size > 0 && settings->secret_access_key.size <= SECRET_CAP;
}

// --- header fields -----------------------------------------------------------------------------------------------------------

static dx_slice payload_of(dx_arena *arena, bool is_not_signed, dx_slice body) {
    char hex[HEX_SIZE];
    if (is_not_signed) return DX_SLICE("UNSIGNED-PAYLOAD");
    sha256_hex(hex, body);
    return dx_arena_copy(arena, dx_slice_of(hex, sizeof hex));
}

static dx_status add_own_fields(dx_fields *own, dx_arena *arena, const dx_sign_aws *settings, dx_slice time, dx_slice payload) {
    dx_status status = dx_fields_add(own, arena, DX_SLICE("x-amz-date"), time);
    if (status == DX_OK && settings->session_token.size)
        status = dx_fields_add(own, arena, DX_SLICE("x-amz-security-token"), settings->session_token);
    if (status == DX_OK && (settings->s3 || settings->unsigned_payload))
        status = dx_fields_add(own, arena, DX_SLICE("x-amz-content-sha256"), payload);
    return status;
}

static dx_status authorize(dx_slice *out, dx_arena *arena, const dx_sign_aws *settings, dx_slice time, dx_slice names, dx_slice canonical) {
    char signature[HEX_SIZE];
    dx_slice scope = scope_of(arena, settings, time.data);
    if (!scope.data) return DX_NO_MEMORY;
    dx_status status = sign_text(signature, arena, settings, time.data, scope, canonical);
    if (status != DX_OK) return status;
    *out = dx_arena_printf(arena, ALGORITHM " Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=%.*s",
                           DX_SLICE_ARG(settings->access_key_id), DX_SLICE_ARG(scope), DX_SLICE_ARG(names), HEX_SIZE, signature);
    return out->data ? DX_OK : DX_NO_MEMORY;
}

dx_status dx_sign_aws_fields(dx_fields *out, dx_arena *arena, const dx_sign_aws *settings, const dx_sign_request *request,
                             dx_micros_utc now) {
    if (!is_usable(settings)) return DX_INVALID;
    char text[TIME_SIZE];
    write_time(text, now);
    dx_slice time = dx_arena_copy(arena, dx_slice_of(text, sizeof text)), names, authorization;
    dx_slice payload = payload_of(arena, settings->unsigned_payload, request->body);
    if (!time.data || !payload.data) return DX_NO_MEMORY;
    dx_buffer query, canonical;
    dx_buffer_init(&query, arena, DX_SIGN_INPUT_CAP);
    dx_buffer_init(&canonical, arena, DX_SIGN_INPUT_CAP);
    dx_fields own = {.items = NULL};
    dx_status status = add_own_fields(&own, arena, settings, time, payload);
    if (status == DX_OK) status = dx_sign_query(&query, arena, request->query);
    if (status == DX_OK) status = dx_sign_aws_canonical(&canonical, &names, arena, settings, request, &own, dx_buffer_slice(&query));
    if (status != DX_OK) return status;
    dx_buffer_add(&canonical, payload);
    if (dx_buffer_status(&canonical) != DX_OK) return dx_buffer_status(&canonical);
    status = authorize(&authorization, arena, settings, time, names, dx_buffer_slice(&canonical));
    for (uint32_t i = 0; i < own.count && status == DX_OK; i++) status = dx_fields_add(out, arena, own.items[i].name, own.items[i].value);
    return status == DX_OK ? dx_fields_add(out, arena, DX_SLICE("authorization"), authorization) : status;
}

// --- presigned queries -------------------------------------------------------------------------------------------------------

static void add_parameter(dx_buffer *out, const char *name, dx_slice value) {
    if (out->size) dx_buffer_byte(out, '&');
    dx_buffer_add(out, dx_slice_str(name));
    dx_buffer_byte(out, '=');
    dx_percent_encode(out, value);
}

// The request's query with our parameters behind it, not sorted yet.
static dx_status write_parameters(dx_buffer *out, dx_arena *arena, const dx_sign_aws *settings, dx_slice query, dx_slice time,
                                  dx_slice scope, int64_t expires_s, dx_slice names) {
    dx_slice credential = dx_arena_printf(arena, "%.*s/%.*s", DX_SLICE_ARG(settings->access_key_id), DX_SLICE_ARG(scope));
    dx_slice expires = dx_arena_printf(arena, "%lld", (long long)expires_s);
    if (!credential.data || !expires.data) return DX_NO_MEMORY;
    dx_buffer_add(out, query);
    add_parameter(out, "X-Amz-Algorithm", DX_SLICE(ALGORITHM));
    add_parameter(out, "X-Amz-Credential", credential);
    add_parameter(out, "X-Amz-Date", time);
    add_parameter(out, "X-Amz-Expires", expires);
    if (settings->session_token.size) add_parameter(out, "X-Amz-Security-Token", settings->session_token);
    add_parameter(out, "X-Amz-SignedHeaders", names);
    return dx_buffer_status(out);
}

dx_status dx_sign_aws_query(dx_slice *out, dx_arena *arena, const dx_sign_aws *settings, const dx_sign_request *request, dx_micros_utc now,
                            int64_t expires_s) {
    if (!is_usable(settings) || expires_s < 1 || expires_s > DX_SIGN_AWS_EXPIRES_CAP) return DX_INVALID;
    char time[TIME_SIZE], signature[HEX_SIZE];
    write_time(time, now);
    dx_slice scope = scope_of(arena, settings, time), names;
    dx_slice payload = payload_of(arena, settings->s3 || settings->unsigned_payload, request->body);
    if (!scope.data || !payload.data) return DX_NO_MEMORY;
    dx_buffer parameters, query, canonical;
    dx_buffer_init(&parameters, arena, DX_SIGN_INPUT_CAP);
    dx_buffer_init(&query, arena, DX_SIGN_INPUT_CAP);
    dx_buffer_init(&canonical, arena, DX_SIGN_INPUT_CAP);
    const dx_fields none = {.items = NULL};
    dx_status status = write_fields(&canonical, &names, arena, request, &none);
    if (status == DX_OK)
        status = write_parameters(&parameters, arena, settings, request->query, dx_slice_of(time, sizeof time), scope, expires_s, names);
    if (status == DX_OK) status = dx_sign_query(&query, arena, dx_buffer_slice(&parameters));
    dx_buffer_clear(&canonical);
    if (status == DX_OK) status = dx_sign_aws_canonical(&canonical, &names, arena, settings, request, &none, dx_buffer_slice(&query));
    if (status != DX_OK) return status;
    dx_buffer_add(&canonical, payload);
    if (dx_buffer_status(&canonical) != DX_OK) return dx_buffer_status(&canonical);
    status = sign_text(signature, arena, settings, time, scope, dx_buffer_slice(&canonical));
    if (status != DX_OK) return status;
    add_parameter(&query, "X-Amz-Signature", dx_slice_of(signature, sizeof signature));
    *out = dx_buffer_slice(&query);
    return dx_buffer_status(&query);
}
