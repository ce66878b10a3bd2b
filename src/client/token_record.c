#include "client/token_record.h"

#include <math.h>

#include "base/memory.h"
#include "codec/text.h"
#include "crypto/digest.h"
#include "crypto/jwt.h"

// --- in memory -----------------------------------------------------------------------------------------------------------------------

typedef struct token_block {
    dx_token token;
    size_t size; // of the texts behind
} token_block;

static char *put(dx_slice *to, char *at, dx_slice from) {
    if (from.size) memcpy(at, from.data, from.size);
    at[from.size] = '\0';
    *to = dx_slice_of(at, from.size);
    return at + from.size + 1;
}

dx_status dx_token_create(dx_token **out, const dx_token *from) {
    *out = NULL;
    if (from->access.size > DX_TOKEN_TEXT_CAP || from->refresh.size > DX_TOKEN_TEXT_CAP || from->scope.size > DX_TOKEN_TEXT_CAP)
        return DX_TOO_LARGE;
    size_t size = from->access.size + from->refresh.size + from->scope.size + 3;
    token_block *block = dx_memory_zalloc(1, sizeof *block + size);
    if (!block) return DX_NO_MEMORY;
    block->token = *from;
    block->size = size;
    char *at = put(&block->token.access, (char *)(block + 1), from->access);
    at = put(&block->token.refresh, at, from->refresh);
    (void)put(&block->token.scope, at, from->scope);
    *out = &block->token;
    return DX_OK;
}

void dx_token_destroy(dx_token *token) {
    if (!token) return;
    token_block *block = DX_CONTAINER_OF(token, token_block, token);
    dx_secret_wipe(block + 1, block->size);
    dx_memory_free(block);
}

// --- as JSON -------------------------------------------------------------------------------------------------------------------------

static void write_text(dx_buffer *out, const char *name, dx_slice text) {
    if (!text.size) return;
    dx_buffer_printf(out, ",\"%s\":", name);
    dx_json_write_string(out, text);
}

static void write_time(dx_buffer *out, const char *name, dx_micros_utc time) {
    char text[DX_TIME_TEXT_CAP];
    if (time) write_text(out, name, dx_slice_of(text, dx_time_write(text, time)));
}

static void write_plain(dx_buffer *out, const dx_token *token, dx_slice key) {
    DX_BUFFER_LIT(out, "{\"version\":1");
    write_text(out, "for", key);
    write_text(out, "access_token", token->access);
    write_text(out, "refresh_token", token->refresh);
    write_text(out, "scope", token->scope);
    write_time(out, "obtained_at", token->obtained);
    write_time(out, "expires_at", token->expires);
    if (token->lifetime_s) dx_buffer_printf(out, ",\"lifetime\":%lld", (long long)token->lifetime_s);
    dx_buffer_byte(out, '}');
}

static void wipe_buffer(dx_buffer *buffer) {
    if (buffer->data) dx_secret_wipe(buffer->data, buffer->capacity);
    dx_buffer_deinit(buffer);
}

dx_status dx_token_write(dx_buffer *out, const dx_token *token, dx_slice key, const dx_fernet_ring *ring) {
    if (!ring) {
        write_plain(out, token, key);
        return dx_buffer_status(out);
    }
    dx_buffer plain;
    dx_buffer_init(&plain, NULL, DX_TOKEN_RECORD_CAP);
    (void)dx_buffer_reserve(&plain, 4 * DX_TOKEN_TEXT_CAP); // so that no copy is left behind by growing
    write_plain(&plain, token, key);
    dx_status status = dx_buffer_status(&plain);
    DX_BUFFER_LIT(out, "{\"version\":1,\"sealed\":\"");
    if (status == DX_OK) status = dx_fernet_seal(out, ring, dx_buffer_slice(&plain), (uint64_t)(dx_clock_utc() / 1000000), NULL);
    DX_BUFFER_LIT(out, "\"}");
    wipe_buffer(&plain);
    return status == DX_OK ? dx_buffer_status(out) : status;
}

static dx_status read_plain(dx_token **out, dx_arena *arena, yyjson_val *root, dx_slice key) {
    dx_slice obtained = dx_json_member_slice(root, "obtained_at"), expires = dx_json_member_slice(root, "expires_at");
    dx_token token = {.access = dx_json_member_slice(root, "access_token"),
                      .refresh = dx_json_member_slice(root, "refresh_token"),
                      .scope = dx_json_member_slice(root, "scope"),
                      .lifetime_s = yyjson_get_sint(yyjson_obj_get(root, "lifetime"))};
    (void)arena;
    if (yyjson_get_uint(yyjson_obj_get(root, "version")) != 1 || !token.access.size) return DX_MALFORMED;
    if (!dx_slice_equal(dx_json_member_slice(root, "for"), key)) return DX_CONFLICT;
    if (obtained.size && !dx_time_read(obtained, &token.obtained)) return DX_MALFORMED;
    if (expires.size && !dx_time_read(expires, &token.expires)) return DX_MALFORMED;
    return dx_token_create(out, &token);
}

static dx_status open_sealed(yyjson_doc **out, dx_arena *arena, dx_slice sealed, const dx_fernet_ring *ring) {
    dx_buffer plain;
    if (!ring) return DX_BAD_TOKEN;
    dx_buffer_init(&plain, NULL, DX_TOKEN_RECORD_CAP);
    dx_status status = dx_fernet_open(&plain, ring, sealed, NULL, NULL);
    if (status == DX_MALFORMED) status = DX_BAD_TOKEN;
    if (status == DX_OK) status = dx_json_read(out, arena, dx_buffer_slice(&plain), NULL, NULL);
    wipe_buffer(&plain);
    return status;
}

dx_status dx_token_read(dx_token **out, dx_slice text, dx_slice key, const dx_fernet_ring *ring) {
    yyjson_doc *document;
    *out = NULL;
    dx_arena *arena = dx_arena_create(8 * DX_TOKEN_RECORD_CAP);
    if (!arena) return DX_NO_MEMORY;
    dx_status status = dx_json_read(&document, arena, text, NULL, NULL);
    if (status == DX_OK) {
        dx_slice sealed = dx_json_member_slice(yyjson_doc_get_root(document), "sealed");
        if (sealed.size) status = open_sealed(&document, arena, sealed, ring);
    }
    if (status == DX_OK) status = read_plain(out, arena, yyjson_doc_get_root(document), key);
    dx_arena_destroy(arena);
    return status;
}

// --- when it ends --------------------------------------------------------------------------------------------------------------------

#define SECOND_US   ((dx_micros_utc)1000000)
#define SECONDS_MAX 4e9 // past the year 2096: more is no lifetime and no moment in seconds

static bool number_of(yyjson_val *value, double *out) {
    dx_slice text = dx_slice_trim(dx_json_slice(value));
    if (yyjson_is_num(value)) {
        *out = yyjson_get_num(value);
        return true;
    }
    int64_t whole;
    size_t dot = dx_slice_find(text, '.');
    if (dot != SIZE_MAX) text.size = dot; // "3599.5" is as good as 3599
    if (!text.size || !dx_slice_to_i64(text, &whole)) return false;
    *out = (double)whole;
    return true;
}

static dx_micros_utc moment_of(yyjson_val *value) {
    double number;
    dx_micros_utc time;
    if (dx_time_read(dx_json_slice(value), &time)) return time;
    if (!number_of(value, &number) || !(number > 0)) return 0;
    if (number > SECONDS_MAX) number /= 1000; // milliseconds
    return number > SECONDS_MAX ? 0 : (dx_micros_utc)(number * 1e6);
}

// The claim of a JWT that is not for us to verify: only how long its maker says it is good.
static dx_micros_utc exp_of(dx_slice access, dx_arena *arena) {
    dx_slice rest = access, header = dx_slice_cut(&rest, '.'), payload = dx_slice_cut(&rest, '.');
    yyjson_doc *document;
    size_t size;
    int64_t exp;
    if (!header.size || !payload.size || !rest.data) return 0;
    char *text = dx_arena_bytes(arena, payload.size * 3 / 4 + 3);
    if (!text || !dx_base64_decode(text, &size, payload, true)) return 0;
    if (dx_json_read(&document, arena, dx_slice_of(text, size), NULL, NULL) != DX_OK) return 0;
    if (!dx_jwt_date(yyjson_obj_get(yyjson_doc_get_root(document), "exp"), &exp) || exp <= 0 || (double)exp > SECONDS_MAX) return 0;
    return exp * SECOND_US;
}

dx_micros_utc dx_token_expiry(yyjson_val *seconds, yyjson_val *moment, dx_slice access, dx_micros_utc now, dx_arena *arena) {
    double lifetime;
    if (number_of(seconds, &lifetime) && lifetime > 0 && lifetime < SECONDS_MAX) return now + (dx_micros_utc)(lifetime * 1e6);
    dx_micros_utc time = moment_of(moment);
    return time ? time : exp_of(access, arena);
}
