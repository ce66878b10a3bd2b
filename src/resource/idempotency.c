// Stored answers. A record is found by a digest of who asks (principal), what for (resource) and the key; beside it stands a digest of the
// request, so that a key that comes back with another request is noticed. Within this process a table of the keys in flight turns a second
// request away while the first is under way; across processes the record's primary key does, since only one transaction can insert it.
//
// A request that fails stores nothing: nothing of it happened, and it may be tried again with its key.
//
// Callers whom nobody knows share one scope, so their keys must be too long to be guessed or met by accident; and since an answer is
// only given again to the same body, a stranger would learn from it no more than the id of a row they described in full.
#include "resource/idempotency.h"

#include <pthread.h>

#include "codec/text.h"
#include "crypto/digest.h"

enum { ID, FINGERPRINT, STATUS, BODY, ETAG, LOCATION, MODIFIED, EXPIRES, COLUMNS };

static const dx_column columns[COLUMNS] = {
    [ID] = {.name = DX_SLICE_INIT("id"), .type = DX_COLUMN_TEXT, .required = true},
    [FINGERPRINT] = {.name = DX_SLICE_INIT("fingerprint"), .type = DX_COLUMN_TEXT, .required = true},
    [STATUS] = {.name = DX_SLICE_INIT("status"), .type = DX_COLUMN_INTEGER, .required = true},
    [BODY] = {.name = DX_SLICE_INIT("body"), .type = DX_COLUMN_TEXT, .required = true},
    [ETAG] = {.name = DX_SLICE_INIT("etag"), .type = DX_COLUMN_TEXT},
    [LOCATION] = {.name = DX_SLICE_INIT("location"), .type = DX_COLUMN_TEXT},
    [MODIFIED] = {.name = DX_SLICE_INIT("modified"), .type = DX_COLUMN_TIMESTAMP},
    [EXPIRES] = {.name = DX_SLICE_INIT("expires_at"), .type = DX_COLUMN_TIMESTAMP, .required = true, .indexed = true},
};
const dx_table dx_idempotency_table = {.name = DX_SLICE_INIT("duplex_idempotency"), .columns = columns, .column_count = COLUMNS};

static const uint16_t all_columns[COLUMNS] = {ID, FINGERPRINT, STATUS, BODY, ETAG, LOCATION, MODIFIED, EXPIRES};

// Expired records removed with each new one: more than one, so that they never pile up.
#define SWEEP 2

#define DIGEST_TEXT 43 // base64url of 32 bytes
#define BUCKETS     1024

typedef struct answers {
    const dx_statement *find, *insert, *remove, *expired;
    pthread_mutex_t lock;
    dx_keyed *in_flight[BUCKETS];
} answers;

typedef enum keyed_state { START, FOUND, REMOVED, STORED, SWEPT, REMOVING } keyed_state;

struct dx_keyed {
    dx_keyed *next; // in its bucket
    answers *answers;
    dx_resource_call *call;
    keyed_state state;
    char id[DIGEST_TEXT], fingerprint[DIGEST_TEXT];
    dx_value *record; // found
    dx_value values[COLUMNS];
    dx_value expired[SWEEP];
    size_t expired_count;
};

// --- statements ------------------------------------------------------------------------------------------------------------

static dx_status keep(answers *self, dx_keep *kept) {
    static const dx_expr with_id = {.kind = DX_EXPR_COMPARE, .column = ID, .compare = DX_EQUAL, .param = 0, .param_count = 1};
    static const dx_expr is_over = {.kind = DX_EXPR_COMPARE, .column = EXPIRES, .compare = DX_LESS_EQUAL, .param = 0, .param_count = 1};
    static const dx_order oldest = {.column = EXPIRES};
    dx_query find = DX_QUERY_INIT(DX_QUERY_SELECT, &dx_idempotency_table);
    find.columns = all_columns;
    find.column_count = COLUMNS;
    find.where = &with_id;
    dx_query insert = DX_QUERY_INIT(DX_QUERY_INSERT, &dx_idempotency_table);
    insert.columns = all_columns;
    insert.column_count = COLUMNS;
    dx_query removal = DX_QUERY_INIT(DX_QUERY_DELETE, &dx_idempotency_table);
    removal.where = &with_id;
    dx_query expired = DX_QUERY_INIT(DX_QUERY_SELECT, &dx_idempotency_table);
    expired.columns = all_columns; // the first: id
    expired.column_count = 1;
    expired.where = &is_over;
    expired.order = &oldest;
    expired.order_count = 1;
    expired.limit_param = 1;
    dx_status status = dx_statement_keep(&self->find, kept, &find);
    if (status == DX_OK) status = dx_statement_keep(&self->insert, kept, &insert);
    if (status == DX_OK) status = dx_statement_keep(&self->remove, kept, &removal);
    if (status == DX_OK) status = dx_statement_keep(&self->expired, kept, &expired);
    return status;
}

static void drop_lock(void *ctx) {
    pthread_mutex_destroy(ctx);
}

dx_status dx_resource_prepare_idempotency(dx_resource_set *set, dx_arena *arena, dx_keep *kept) {
    answers *self = DX_ARENA_NEW(arena, answers);
    if (!self || pthread_mutex_init(&self->lock, NULL) != 0) return DX_NO_MEMORY;
    set->answers = self;
    dx_status status = dx_arena_defer(arena, drop_lock, &self->lock);
    return status == DX_OK ? keep(self, kept) : status;
}

// --- keys ------------------------------------------------------------------------------------------------------------------

// A structured-field string (RFC 8941 section 3.3.3) without its quotes, or a bare key as most clients send it. Escapes stay as they
// are: they stand for the same key each time. A bare key has no blanks and commas, so that two fields joined do not pass for one.
static bool read_key(dx_slice value, dx_slice *key) {
    bool quoted = value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"';
    if (quoted) value = (dx_slice){value.data + 1, value.size - 2};
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c < ' ' || c > '~' || c == '"') return false;
        if (!quoted && (c == ' ' || c == ',')) return false;
    }
    *key = value;
    return value.size > 0 && value.size <= DX_KEYED_KEY_CAP;
}

static void digest_text(char out[DIGEST_TEXT], dx_slice data) {
    uint8_t digest[DX_SHA256_SIZE];
    dx_sha256(digest, data);
    dx_base64_encode(out, digest, sizeof digest, true);
}

// Lengths stand in front, so that no two scopes run into each other.
static dx_status make_id(dx_keyed *keyed, dx_slice key) {
    const dx_resource_call *call = keyed->call;
    dx_slice who = call->principal ? call->principal->id : (dx_slice){NULL, 0};
    dx_slice scope = dx_arena_printf(call->arena, "%zu:%.*s%zu:%.*s%.*s", who.size, DX_SLICE_ARG(who), call->resource->name.size,
                                     DX_SLICE_ARG(call->resource->name), DX_SLICE_ARG(key));
    if (!scope.data) return DX_NO_MEMORY;
    digest_text(keyed->id, scope);
    return DX_OK;
}

static dx_status make_fingerprint(dx_keyed *keyed) {
    char body[DIGEST_TEXT];
    digest_text(body, keyed->call->body);
    dx_slice request =
        dx_arena_printf(keyed->call->arena, "POST %.*s %.*s", DX_SLICE_ARG(keyed->call->resource->base_path), (int)sizeof body, body);
    if (!request.data) return DX_NO_MEMORY;
    digest_text(keyed->fingerprint, request);
    return DX_OK;
}

dx_status dx_keyed_read(dx_keyed **out, dx_resource_call *call, const char **reason) {
    dx_slice key;
    *reason = "Idempotency-Key takes 1 to 255 printable ASCII characters";
    if (!read_key(call->idempotency_key, &key)) return DX_BAD_REQUEST;
    *reason = "Idempotency-Key must have at least 16 characters, such as a UUID, when nobody is logged in";
    if (!call->principal && key.size < DX_KEYED_ANONYMOUS_MIN) return DX_BAD_REQUEST;
    dx_keyed *keyed = DX_ARENA_NEW(call->arena, dx_keyed);
    if (!keyed) return DX_NO_MEMORY;
    keyed->call = call;
    keyed->answers = call->set->answers;
    *out = keyed;
    dx_status status = make_id(keyed, key);
    return status == DX_OK ? make_fingerprint(keyed) : status;
}

// --- in flight -------------------------------------------------------------------------------------------------------------

// The id is a digest already: any bytes of it spread well.
static dx_keyed **bucket_of(const dx_keyed *keyed) {
    uint16_t bits;
    memcpy(&bits, keyed->id, sizeof bits);
    return &keyed->answers->in_flight[(bits ^ (bits >> 6)) % BUCKETS];
}

dx_status dx_keyed_enter(dx_keyed *keyed) {
    dx_keyed **bucket = bucket_of(keyed);
    pthread_mutex_lock(&keyed->answers->lock);
    const dx_keyed *other = *bucket;
    while (other && memcmp(other->id, keyed->id, sizeof keyed->id) != 0) other = other->next;
    if (!other) {
        keyed->next = *bucket;
        *bucket = keyed;
    }
    pthread_mutex_unlock(&keyed->answers->lock);
    return other ? DX_IN_FLIGHT : DX_OK;
}

void dx_keyed_leave(dx_keyed *keyed) {
    dx_keyed **link = bucket_of(keyed);
    pthread_mutex_lock(&keyed->answers->lock);
    while (*link && *link != keyed) link = &(*link)->next;
    if (*link) *link = keyed->next;
    pthread_mutex_unlock(&keyed->answers->lock);
}

// --- in the transaction ----------------------------------------------------------------------------------------------------

static dx_keyed_step run(dx_keyed *keyed, dx_tx *tx, const dx_statement *statement, const dx_value *params, size_t count,
                         keyed_state then) {
    tx->statement = statement;
    tx->params = params;
    tx->param_count = count;
    keyed->state = then;
    return DX_KEYED_RUN;
}

static dx_value text_or_null(dx_slice text) {
    return text.size ? DX_TEXT_VALUE(text) : DX_NULL_VALUE;
}

static dx_slice text_of(dx_value value) {
    return value.type == DX_VALUE_NULL ? (dx_slice){NULL, 0} : value.text;
}

static dx_keyed_step replay(dx_keyed *keyed) {
    const dx_value *record = keyed->record;
    if (!dx_slice_equal(text_of(record[FINGERPRINT]), dx_slice_of(keyed->fingerprint, DIGEST_TEXT))) return DX_KEYED_REUSED;
    dx_resource_call *call = keyed->call;
    call->http = (int)record[STATUS].integer;
    call->out = text_of(record[BODY]);
    call->etag = text_of(record[ETAG]);
    call->location = text_of(record[LOCATION]);
    call->modified = record[MODIFIED].type == DX_VALUE_NULL ? 0 : record[MODIFIED].integer;
    call->replayed = true;
    return DX_KEYED_REPLAY;
}

dx_keyed_step dx_keyed_before(dx_keyed *keyed, dx_tx *tx) {
    if (keyed->state == START) {
        keyed->values[ID] = DX_TEXT_VALUE(dx_slice_of(keyed->id, DIGEST_TEXT));
        return run(keyed, tx, keyed->answers->find, &keyed->values[ID], 1, FOUND);
    }
    if (keyed->state == FOUND && keyed->record) {
        if (keyed->record[EXPIRES].integer > tx->now) return replay(keyed);
        return run(keyed, tx, keyed->answers->remove, &keyed->values[ID], 1, REMOVED);
    }
    return DX_KEYED_GO;
}

static void fill(dx_keyed *keyed, dx_micros_utc now) {
    const dx_resource_call *call = keyed->call;
    keyed->values[FINGERPRINT] = DX_TEXT_VALUE(dx_slice_of(keyed->fingerprint, DIGEST_TEXT));
    keyed->values[STATUS] = DX_INT_VALUE(call->http);
    keyed->values[BODY] = DX_TEXT_VALUE(call->out);
    keyed->values[ETAG] = text_or_null(call->etag);
    keyed->values[LOCATION] = text_or_null(call->location);
    keyed->values[MODIFIED] = call->modified ? DX_INT_VALUE(call->modified) : DX_NULL_VALUE;
    keyed->values[EXPIRES] = DX_INT_VALUE(now + DX_KEYED_SECONDS * INT64_C(1000000));
}

dx_keyed_step dx_keyed_after(dx_keyed *keyed, dx_tx *tx) {
    switch (keyed->state) {
    case START:
    case FOUND:
    case REMOVED:
        fill(keyed, tx->now);
        return run(keyed, tx, keyed->answers->insert, keyed->values, COLUMNS, STORED);
    case STORED:
        keyed->values[0] = DX_INT_VALUE(tx->now);
        keyed->values[1] = DX_INT_VALUE(SWEEP);
        return run(keyed, tx, keyed->answers->expired, keyed->values, 2, SWEPT);
    case SWEPT:
    case REMOVING:
        break;
    }
    if (keyed->expired_count == 0) return DX_KEYED_GO;
    keyed->expired_count--;
    return run(keyed, tx, keyed->answers->remove, &keyed->expired[keyed->expired_count], 1, REMOVING);
}

dx_status dx_keyed_row(dx_keyed *keyed, const dx_row *row) {
    if (keyed->state == FOUND) {
        keyed->record = dx_write_keep(keyed->call->arena, row);
        return keyed->record ? DX_OK : DX_NO_MEMORY;
    }
    if (keyed->state == SWEPT && keyed->expired_count < SWEEP) {
        dx_slice id = dx_arena_copy(keyed->call->arena, dx_row_value(row, 0).text);
        if (!id.data) return DX_NO_MEMORY;
        keyed->expired[keyed->expired_count++] = DX_TEXT_VALUE(id);
    }
    return DX_OK;
}
