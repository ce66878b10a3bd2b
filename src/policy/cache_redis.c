// Reading and writing. See cache_redis.h for what lies where.
#include "policy/cache_redis.h"

#include <endian.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "codec/text.h"
#include "policy/cache_redis_parts.h"
#include "policy/vary.h"

static const dx_slice MARK = DX_SLICE_INIT("DXV1"); // then a number, then the names that are varied by
enum { MARK_SIZE = 4 + DX_CACHE_REDIS_NUMBER, NAMES_CAP = DX_VARY_NAMES_CAP * (DX_VARY_NAME_CAP + 1) };

// KEYS: the entry's key, then the sets that it is in. ARGV: milliseconds; the entry; and, when it has Vary: the names, a number, the
// request's digest. The number stays while the names do. Sets must not go before what is in them.
static const char PUT[] = "local ttl = tonumber(ARGV[1])\n"
                          "local longest = ttl\n"
                          "if ARGV[3] == '' then\n"
                          "  redis.call('SET', KEYS[1], ARGV[2], 'PX', ttl)\n"
                          "else\n"
                          "  local number, size = ARGV[4], 20 + #ARGV[3]\n"
                          "  if redis.call('STRLEN', KEYS[1]) == size then\n"
                          "    local mark = redis.call('GET', KEYS[1])\n"
                          "    if string.sub(mark, 1, 4) == 'DXV1' and string.sub(mark, 21) == ARGV[3] then\n"
                          "      number = string.sub(mark, 5, 20)\n"
                          "      longest = math.max(ttl, redis.call('PTTL', KEYS[1]))\n"
                          "    end\n"
                          "  end\n"
                          "  redis.call('SET', KEYS[1], 'DXV1' .. number .. ARGV[3], 'PX', longest)\n"
                          "  redis.call('SET', KEYS[1] .. ':' .. number .. ARGV[5], ARGV[2], 'PX', ttl)\n"
                          "end\n"
                          "for i = 2, #KEYS do\n"
                          "  redis.call('SADD', KEYS[i], KEYS[1])\n"
                          "  if redis.call('PTTL', KEYS[i]) < longest then redis.call('PEXPIRE', KEYS[i], longest) end\n"
                          "end\n"
                          "return 1\n";

void dx_cache_redis_hold(dx_cache_redis *redis) {
    atomic_fetch_add_explicit(&redis->holders, 1, memory_order_relaxed);
}

void dx_cache_redis_release(dx_cache_redis *redis) {
    if (atomic_fetch_sub_explicit(&redis->holders, 1, memory_order_acq_rel) == 1) dx_memory_free(redis);
}

dx_redis *dx_cache_redis_connection(const dx_cache_redis *redis, const dx_cache_call *call) {
    return redis->options.connection(redis->options.ctx, call->loop);
}

// --- names -----------------------------------------------------------------------------------------------------------------

// A space is the definition's to name, not an outsider's: a quick hash will do, and a key's own digest has the space in it anyway.
void dx_cache_redis_write_name(dx_buffer *out, const dx_cache_redis *redis, char kind, dx_slice space) {
    char digits[DX_CACHE_REDIS_SPACE];
    uint64_t hash = htobe64(dx_hash_fixed(space));
    dx_hex_encode(digits, &hash, sizeof hash);
    dx_buffer_add(out, redis->options.prefix);
    dx_buffer_byte(out, kind);
    dx_buffer_byte(out, ':');
    dx_buffer_append(out, digits, sizeof digits);
    dx_buffer_byte(out, ':');
}

void dx_cache_redis_write_key(dx_buffer *out, const dx_cache_redis *redis, dx_slice space, dx_slice key_text) {
    char digest[DX_CACHE_DIGEST_SIZE];
    dx_cache_key_digest(digest, key_text);
    dx_cache_redis_write_name(out, redis, 'e', space);
    dx_buffer_append(out, digest, sizeof digest);
}

// --- get -------------------------------------------------------------------------------------------------------------------

typedef struct reading {
    dx_redis_call call;
    dx_cache_redis *redis;
    dx_cache_call *outer;
    dx_nanos since;
    bool second; // the entry for this kind of request is asked for
} reading;

static void end_reading(reading *r, dx_cache_entry *entry) {
    dx_cache_call *outer = r->outer;
    dx_cache_redis_add(entry ? &r->redis->hits : &r->redis->misses, 1);
    dx_cache_redis_add(&r->redis->get_count, 1);
    dx_cache_redis_add(&r->redis->get_nanos, (uint64_t)(dx_clock_monotonic() - r->since));
    outer->entry = entry;
    outer->status = entry ? DX_OK : DX_NOT_FOUND;
    outer->backend[0] = NULL;
    dx_cache_redis_release(r->redis);
    dx_memory_free(r);
}

static dx_status send_get(reading *r, dx_slice name) {
    const dx_slice args[] = {DX_SLICE("GET"), name};
    dx_redis *connection = dx_cache_redis_connection(r->redis, r->outer);
    return connection ? dx_redis_send(connection, &r->call, args, 2, r->redis->options.timeout) : DX_UNAVAILABLE;
}

// Asks for the entry that is kept for requests like this one. False: there can't be one, or it can't be asked for.
static bool ask_variant(reading *r, dx_slice mark) {
    char variant[DX_CACHE_DIGEST_SIZE];
    dx_field vary = {.name = DX_SLICE("vary"), .value = dx_slice_from(mark, MARK_SIZE)};
    const dx_fields response = {&vary, 1, 1};
    dx_buffer block, name;
    if (mark.size <= MARK_SIZE || mark.size > MARK_SIZE + NAMES_CAP) return false;
    dx_buffer_init(&block, NULL, 2 * DX_VARY_BLOCK_CAP);
    dx_buffer_init(&name, NULL, 1024);
    bool fits = dx_vary_write(&block, &response, r->outer->fields) && dx_buffer_status(&block) == DX_OK;
    dx_cache_key_digest(variant, dx_buffer_slice(&block));
    dx_cache_redis_write_key(&name, r->redis, r->outer->key->space, r->outer->key->text);
    dx_buffer_byte(&name, ':');
    dx_buffer_append(&name, mark.data + MARK.size, DX_CACHE_REDIS_NUMBER);
    dx_buffer_append(&name, variant, sizeof variant);
    r->second = true;
    bool sent = fits && dx_buffer_status(&name) == DX_OK && send_get(r, dx_buffer_slice(&name)) == DX_OK;
    dx_buffer_deinit(&block);
    dx_buffer_deinit(&name);
    return sent;
}

// The entry that the bytes are, when it is the one that was asked for and of use.
static dx_cache_entry *read_entry(const dx_cache_call *call, dx_slice bytes) {
    dx_cache_entry *entry;
    if (dx_cache_entry_read(&entry, bytes) != DX_OK) return NULL;
    bool suits = dx_slice_equal(entry->key, call->key->text) && entry->freshness.keep_until > call->now &&
                 dx_vary_matches(entry->vary, call->fields);
    if (suits) return entry;
    dx_cache_entry_release(entry);
    return NULL;
}

static void got(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    reading *r = DX_CONTAINER_OF(call, reading, call);
    dx_cache_call *outer = r->outer;
    dx_cache_entry *entry = NULL;
    if (status != DX_OK || reply->kind == DX_REDIS_ERROR) {
        dx_cache_redis_add(&r->redis->errors, 1);
    } else if (reply->kind == DX_REDIS_STRING) {
        if (!r->second && dx_slice_starts(reply->text, MARK) && ask_variant(r, reply->text)) return;
        entry = read_entry(outer, reply->text);
    }
    end_reading(r, entry);
    outer->done(outer);
}

static bool redis_get(dx_cache *cache, dx_cache_call *call) {
    dx_cache_redis *redis = dx_cache_redis_of(cache);
    call->entry = NULL;
    call->level = cache->ops->name;
    call->status = DX_NOT_FOUND;
    call->backend[0] = call->backend[1] = NULL;
    reading *r = dx_memory_zalloc(1, sizeof *r);
    dx_buffer name;
    dx_buffer_init(&name, NULL, 1024);
    dx_cache_redis_write_key(&name, redis, call->key->space, call->key->text);
    if (!r || dx_buffer_status(&name) != DX_OK) {
        dx_memory_free(r);
        dx_buffer_deinit(&name);
        return true; // a miss, then
    }
    *r = (reading){.call = {.done = got}, .redis = redis, .outer = call, .since = dx_clock_monotonic()};
    dx_cache_redis_hold(redis);
    bool sent = send_get(r, dx_buffer_slice(&name)) == DX_OK;
    dx_buffer_deinit(&name);
    if (sent) {
        call->backend[0] = r;
        return false;
    }
    dx_cache_redis_add(&redis->errors, 1);
    end_reading(r, NULL);
    return true;
}

static void redis_cancel(dx_cache *cache, dx_cache_call *call) {
    reading *r = call->backend[0];
    (void)cache;
    if (r) {
        dx_redis_cancel(&r->call);
        dx_cache_redis_release(r->redis);
        dx_memory_free(r);
        call->backend[0] = NULL;
    }
    dx_cache_redis_drop_cancel(call);
}

// --- put -------------------------------------------------------------------------------------------------------------------

typedef struct writing {
    dx_redis_call call;
    dx_cache_redis *redis;
} writing;

static void written(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    writing *w = DX_CONTAINER_OF(call, writing, call);
    bool good = status == DX_OK && reply->kind == DX_REDIS_INTEGER;
    dx_cache_redis_add(good ? &w->redis->stores : &w->redis->errors, 1);
    dx_cache_redis_release(w->redis);
    dx_memory_free(w);
}

// The bytes of one put, in one buffer: slices of it are the keys and arguments.
typedef struct command {
    dx_buffer bytes, entry;
    size_t ends[DX_CACHE_TAGS_CAP + 6];
    size_t keys, count;
} command;

static void end_part(command *c) {
    c->ends[c->count++] = c->bytes.size;
}

static void write_keys(command *c, const dx_cache_redis *redis, const dx_cache_call *call) {
    dx_cache_redis_write_key(&c->bytes, redis, call->key->space, call->key->text);
    end_part(c);
    dx_cache_redis_write_name(&c->bytes, redis, 'u', call->key->space);
    dx_buffer_add(&c->bytes, call->key->url);
    end_part(c);
    for (size_t i = 0; i < call->entry->tag_count; i++) {
        dx_cache_redis_write_name(&c->bytes, redis, 't', call->key->space);
        dx_buffer_add(&c->bytes, call->entry->tags[i]);
        end_part(c);
    }
    c->keys = c->count;
}

// All arguments but the entry itself, which stands second among them.
static void write_arguments(command *c, const dx_cache_call *call) {
    char number[DX_CACHE_REDIS_NUMBER], variant[DX_CACHE_DIGEST_SIZE];
    uint64_t drawn = dx_random_u64();
    int64_t milliseconds = (call->entry->freshness.keep_until - call->now) / 1000;
    dx_buffer_i64(&c->bytes, milliseconds > 0 ? milliseconds : 1);
    end_part(c);
    (void)dx_vary_names(&c->bytes, call->entry->vary);
    end_part(c);
    dx_hex_encode(number, &drawn, sizeof drawn);
    dx_buffer_append(&c->bytes, number, sizeof number);
    end_part(c);
    dx_cache_key_digest(variant, call->entry->vary);
    dx_buffer_append(&c->bytes, variant, sizeof variant);
    end_part(c);
}

// With the whole script, not its digest: one that Redis does not know yet would be sent again behind what was sent meanwhile, and a removal
// must not be overtaken by the put before it.
static dx_status send_put(dx_cache_redis *redis, const dx_cache_call *call, const command *c, writing *w) {
    dx_slice args[3 + DX_CACHE_TAGS_CAP + 2 + 5] = {DX_SLICE("EVAL"), dx_slice_of(PUT, sizeof PUT - 1)};
    char count[8];
    size_t start = 0, at = 3;
    args[2] = dx_slice_of(count, (size_t)snprintf(count, sizeof count, "%zu", c->keys));
    for (size_t i = 0; i < c->count; i++) {
        args[at++] = dx_slice_of(c->bytes.data + start, c->ends[i] - start);
        if (i == c->keys) args[at++] = dx_buffer_slice(&c->entry);
        start = c->ends[i];
    }
    dx_redis *connection = dx_cache_redis_connection(redis, call);
    return connection ? dx_redis_send(connection, &w->call, args, at, 0) : DX_UNAVAILABLE;
}

static dx_status try_put(dx_cache_redis *redis, const dx_cache_call *call, writing *w) {
    command c = {.count = 0};
    dx_buffer_init(&c.bytes, NULL, 65536);
    dx_buffer_init(&c.entry, NULL, redis->options.entry_cap);
    write_keys(&c, redis, call);
    write_arguments(&c, call);
    dx_cache_entry_write(&c.entry, call->entry);
    dx_status status = dx_buffer_status(&c.bytes) != DX_OK ? dx_buffer_status(&c.bytes) : dx_buffer_status(&c.entry);
    if (status == DX_OK) status = send_put(redis, call, &c, w);
    dx_buffer_deinit(&c.bytes);
    dx_buffer_deinit(&c.entry);
    return status;
}

static void redis_put(dx_cache *cache, dx_cache_call *call) {
    dx_cache_redis *redis = dx_cache_redis_of(cache);
    writing *w = call->entry->size <= redis->options.entry_cap ? dx_memory_zalloc(1, sizeof *w) : NULL;
    call->status = DX_OK;
    if (!w) {
        dx_cache_redis_add(&redis->refused, 1);
        return;
    }
    *w = (writing){.call = {.done = written}, .redis = redis};
    dx_cache_redis_hold(redis);
    dx_status status = try_put(redis, call, w);
    if (status == DX_OK) return;
    dx_cache_redis_add(status == DX_UNAVAILABLE || status == DX_OVERLOADED ? &redis->errors : &redis->refused, 1);
    dx_cache_redis_release(redis);
    dx_memory_free(w);
}

// --- the rest --------------------------------------------------------------------------------------------------------------

static void redis_stats(dx_cache *cache, dx_cache_stats *out) {
    dx_cache_redis *r = dx_cache_redis_of(cache);
    out->hits = atomic_load_explicit(&r->hits, memory_order_relaxed);
    out->misses = atomic_load_explicit(&r->misses, memory_order_relaxed);
    out->stores = atomic_load_explicit(&r->stores, memory_order_relaxed);
    out->refused = atomic_load_explicit(&r->refused, memory_order_relaxed);
    out->invalidated = atomic_load_explicit(&r->invalidated, memory_order_relaxed);
    out->errors = atomic_load_explicit(&r->errors, memory_order_relaxed);
    out->get_count = atomic_load_explicit(&r->get_count, memory_order_relaxed);
    out->get_nanos = atomic_load_explicit(&r->get_nanos, memory_order_relaxed);
}

static void redis_destroy(dx_cache *cache) {
    dx_cache_redis_release(dx_cache_redis_of(cache));
}

static const dx_cache_ops OPS = {.name = "redis",
                                 .get = redis_get,
                                 .put = redis_put,
                                 .remove = dx_cache_redis_remove,
                                 .invalidate = dx_cache_redis_invalidate,
                                 .clear = dx_cache_redis_clear,
                                 .cancel = redis_cancel,
                                 .stats = redis_stats,
                                 .destroy = redis_destroy};

static bool is_prefix(dx_slice text) {
    if (text.size > DX_CACHE_REDIS_PREFIX_CAP) return false;
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f) return false;
    }
    return true;
}

dx_status dx_cache_redis_create(dx_cache **out, const dx_cache_redis_options *options) {
    *out = NULL;
    if (!is_prefix(options->prefix)) return DX_INVALID;
    dx_cache_redis *redis = dx_memory_zalloc(1, sizeof *redis);
    if (!redis) return DX_NO_MEMORY;
    redis->cache.ops = &OPS;
    atomic_init(&redis->holders, 1);
    redis->options = *options;
    if (options->prefix.size) memcpy(redis->prefix, options->prefix.data, options->prefix.size);
    redis->options.prefix.data = redis->prefix;
    dx_redis_script_init(&redis->drop, dx_slice_str(DX_CACHE_REDIS_DROP));
    *out = &redis->cache;
    return DX_OK;
}
