// Taking away: one key, the entries that a set names, and the sets that a pattern finds. A set is emptied some hundred entries at a time,
// and the names of sets are found by SCAN, so that Redis serves others between.
#include "base/memory.h"
#include "policy/cache_redis_parts.h"

enum { POP_AT_A_TIME = 500 };

// KEYS: a set. ARGV: how many. Returns how many were in hand: fewer than asked for means that the set is gone.
const char DX_CACHE_REDIS_DROP[] = "local found = redis.call('SPOP', KEYS[1], ARGV[1])\n"
                                   "local gone = 0\n"
                                   "for i = 1, #found do gone = gone + redis.call('UNLINK', found[i]) end\n"
                                   "return {#found, gone}\n";

typedef enum doing { SCANNING, DROPPING, UNLINKING } doing;

typedef struct dropping {
    dx_redis_call call;
    dx_cache_redis *redis;
    dx_cache_call *outer;
    doing doing;
    bool everything;   // clear without a space: what SCAN finds is a key to be taken away, not a set
    dx_buffer pattern; // for SCAN; empty: no scan
    dx_buffer names;   // what is to be dropped: each name, then a LF (which none can contain)
    size_t at;         // in names
    char cursor[24];
    size_t cursor_size; // 0: no more to scan
} dropping;

static void advance(dropping *d);

static void free_dropping(dropping *d) {
    dx_buffer_deinit(&d->pattern);
    dx_buffer_deinit(&d->names);
    dx_cache_redis_release(d->redis);
    dx_memory_free(d);
}

static void finish(dropping *d, dx_status status) {
    dx_cache_call *outer = d->outer;
    outer->status = status == DX_OK ? DX_OK : DX_UNAVAILABLE;
    outer->backend[1] = NULL;
    dx_cache_redis_add(&d->redis->invalidated, outer->removed);
    if (status != DX_OK) dx_cache_redis_add(&d->redis->errors, 1);
    free_dropping(d);
    outer->done(outer);
}

// --- what SCAN finds -------------------------------------------------------------------------------------------------------

// Behind "<prefix>u:<space>:" or "t:"; empty when the name is none.
static dx_slice name_of(const dropping *d, dx_slice key) {
    return dx_slice_from(key, d->redis->options.prefix.size + 2 + DX_CACHE_REDIS_SPACE + 1);
}

static bool is_wanted(const dropping *d, dx_slice key) {
    if (d->everything || !d->outer->text.size) return true; // clear
    dx_slice name = name_of(d, key);
    if (d->outer->what == DX_CACHE_PATTERN) return dx_cache_pattern_matches(d->outer->text, name);
    return dx_slice_equal(name, d->outer->text);
}

static bool take_scanned(dropping *d, const dx_redis_reply *reply) {
    if (reply->kind != DX_REDIS_ARRAY || reply->count != 2 || reply->items[1]->kind != DX_REDIS_ARRAY) return false;
    dx_slice cursor = reply->items[0]->text;
    if (reply->items[0]->kind != DX_REDIS_STRING || !cursor.size || cursor.size > sizeof d->cursor) return false;
    memcpy(d->cursor, cursor.data, cursor.size);
    d->cursor_size = dx_slice_equal(cursor, DX_SLICE("0")) ? 0 : cursor.size;
    dx_buffer_clear(&d->names);
    d->at = 0;
    for (size_t i = 0; i < reply->items[1]->count; i++) {
        dx_slice key = reply->items[1]->items[i]->text;
        if (dx_slice_find(key, '\n') != SIZE_MAX || !is_wanted(d, key)) continue;
        dx_buffer_add(&d->names, key);
        dx_buffer_byte(&d->names, '\n');
    }
    return dx_buffer_status(&d->names) == DX_OK;
}

// What Redis's own patterns give a meaning to is taken from the text.
static void write_literal(dx_buffer *out, dx_slice text) {
    for (size_t i = 0; i < text.size; i++) {
        if (strchr("*?[]^\\", text.data[i]) && text.data[i]) dx_buffer_byte(out, '\\');
        dx_buffer_byte(out, text.data[i]);
    }
}

static void write_scan_pattern(dropping *d, char kind) {
    write_literal(&d->pattern, d->redis->options.prefix);
    if (kind && d->outer->space.size) { // hex digits need no care, and the prefix has had it
        size_t prefix = d->redis->options.prefix.size;
        dx_buffer name;
        dx_buffer_init(&name, NULL, 1024);
        dx_cache_redis_write_name(&name, d->redis, kind, d->outer->space);
        dx_buffer_add(&d->pattern, dx_slice_from(dx_buffer_slice(&name), prefix));
        if (dx_buffer_status(&name) != DX_OK) d->pattern.status = dx_buffer_status(&name);
        dx_buffer_deinit(&name);
    } else if (kind) {
        dx_buffer_byte(&d->pattern, kind);
        dx_buffer_byte(&d->pattern, ':');
    }
    dx_buffer_byte(&d->pattern, '*');
}

// --- steps -----------------------------------------------------------------------------------------------------------------

static dx_slice next_name(const dropping *d) {
    dx_slice rest = dx_slice_from(dx_buffer_slice(&d->names), d->at);
    return dx_slice_cut(&rest, '\n');
}

static void pass_name(dropping *d) {
    d->at += next_name(d).size + 1;
}

// An UNLINK says how many there were, the script how many were in hand and how many of them there were.
static bool take_answer(dropping *d, const dx_redis_reply *reply) {
    if (d->doing == SCANNING) return take_scanned(d, reply);
    if (d->doing == UNLINKING) {
        if (reply->kind != DX_REDIS_INTEGER) return false;
        d->outer->removed += (uint64_t)reply->integer;
        pass_name(d);
        return true;
    }
    if (reply->kind != DX_REDIS_ARRAY || reply->count != 2 || reply->items[0]->kind != DX_REDIS_INTEGER) return false;
    d->outer->removed += (uint64_t)reply->items[1]->integer;
    if (reply->items[0]->integer < POP_AT_A_TIME) pass_name(d);
    return true;
}

static void answered(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    dropping *d = DX_CONTAINER_OF(call, dropping, call);
    if (status != DX_OK || !take_answer(d, reply)) {
        finish(d, DX_UNAVAILABLE);
        return;
    }
    advance(d);
}

static dx_status send_step(dropping *d, dx_redis *connection) {
    dx_slice name = next_name(d);
    if (name.size && d->everything) {
        const dx_slice args[] = {DX_SLICE("UNLINK"), name};
        d->doing = UNLINKING;
        return dx_redis_send(connection, &d->call, args, DX_COUNT_OF(args), 0);
    }
    if (name.size) {
        const dx_slice many = DX_SLICE("500");
        d->doing = DROPPING;
        return dx_redis_eval(connection, &d->call, &d->redis->drop, &name, 1, &many, 1, 0);
    }
    const dx_slice args[] = {DX_SLICE("SCAN"),  dx_slice_of(d->cursor, d->cursor_size),
                             DX_SLICE("MATCH"), dx_buffer_slice(&d->pattern),
                             DX_SLICE("COUNT"), DX_SLICE("512")};
    d->doing = SCANNING;
    return dx_redis_send(connection, &d->call, args, DX_COUNT_OF(args), 0);
}

static bool has_more(const dropping *d) {
    return next_name(d).size || d->cursor_size;
}

// Only ever from a callback, so that the caller may be told from here.
static void advance(dropping *d) {
    if (!has_more(d)) {
        finish(d, DX_OK);
        return;
    }
    dx_redis *connection = dx_cache_redis_connection(d->redis, d->outer);
    if (!connection || send_step(d, connection) != DX_OK) finish(d, DX_UNAVAILABLE);
}

// --- beginnings ------------------------------------------------------------------------------------------------------------

static dropping *make(dx_cache *cache, dx_cache_call *call) {
    dx_cache_redis *redis = dx_cache_redis_of(cache);
    call->removed = 0;
    call->backend[0] = call->backend[1] = NULL;
    dropping *d = dx_memory_zalloc(1, sizeof *d);
    if (!d) return NULL;
    *d = (dropping){.call = {.done = answered}, .redis = redis, .outer = call};
    dx_buffer_init(&d->pattern, NULL, 1024);
    dx_buffer_init(&d->names, NULL, (size_t)16 << 20);
    dx_cache_redis_hold(redis);
    return d;
}

// The first step. True when it could not be sent: the call ends at once.
static bool start(dropping *d) {
    dx_cache_call *call = d->outer;
    dx_redis *connection = dx_cache_redis_connection(d->redis, call);
    bool written = dx_buffer_status(&d->pattern) == DX_OK && dx_buffer_status(&d->names) == DX_OK;
    call->status = connection && written && send_step(d, connection) == DX_OK ? DX_OK : DX_UNAVAILABLE;
    if (call->status == DX_OK) {
        call->backend[1] = d;
        return false;
    }
    dx_cache_redis_add(&d->redis->errors, 1);
    free_dropping(d);
    return true;
}

static bool no_memory(dx_cache_call *call) {
    call->status = DX_UNAVAILABLE;
    return true;
}

static void begin_scan(dropping *d, char kind) {
    write_scan_pattern(d, kind);
    d->cursor[0] = '0';
    d->cursor_size = 1;
}

bool dx_cache_redis_remove(dx_cache *cache, dx_cache_call *call) {
    dropping *d = make(cache, call);
    if (!d) return no_memory(call);
    d->everything = true; // the name is a key, not a set
    dx_cache_redis_write_key(&d->names, d->redis, call->key->space, call->key->text);
    return start(d);
}

bool dx_cache_redis_invalidate(dx_cache *cache, dx_cache_call *call) {
    bool fits = call->text.size && dx_slice_find(call->text, '\n') == SIZE_MAX &&
                (call->what != DX_CACHE_PATTERN || call->text.size <= DX_CACHE_PATTERN_CAP);
    if (!fits) {
        call->status = DX_BAD_REQUEST;
        return true;
    }
    dropping *d = make(cache, call);
    if (!d) return no_memory(call);
    char kind = call->what == DX_CACHE_TAG ? 't' : 'u';
    if (call->what == DX_CACHE_PATTERN || !call->space.size) {
        begin_scan(d, kind);
    } else {
        dx_cache_redis_write_name(&d->names, d->redis, kind, call->space);
        dx_buffer_add(&d->names, call->text);
    }
    return start(d);
}

bool dx_cache_redis_clear(dx_cache *cache, dx_cache_call *call) {
    call->text = (dx_slice){NULL, 0};
    dropping *d = make(cache, call);
    if (!d) return no_memory(call);
    d->everything = !call->space.size;
    begin_scan(d, d->everything ? '\0' : 'u');
    return start(d);
}

void dx_cache_redis_drop_cancel(dx_cache_call *call) {
    dropping *d = call->backend[1];
    if (!d) return;
    dx_redis_cancel(&d->call);
    call->backend[1] = NULL;
    free_dropping(d);
}
