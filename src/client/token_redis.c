// Tokens in Redis, for processes on several machines. The lock is a key that ends by itself (SET NX PX) and holds a random value, so that
// nobody gives up another's; as a lock that ends can be lost while its holder is slow, records are numbered, and who writes must know the
// number that is there: a writer that comes too late writes nothing.
#include "base/memory.h"
#include "base/random.h"
#include "client/token_record.h"
#include "client/token_store.h"
#include "codec/text.h"
#include "redis/redis.h"

#define NAME_CAP  192
#define VALUE_CAP 33
#define WHY_SIZE  200

typedef struct redis_store {
    dx_token_store base;
    dx_arena *arena;
    dx_redis_settings settings;
    dx_redis *redis;
    dx_redis_script acquire, commit, release;
    char record[NAME_CAP], lock[NAME_CAP], value[VALUE_CAP], number[24], place[NAME_CAP + 16], why[WHY_SIZE];
    dx_redis_call call, releasing;
    dx_token_acquired acquired;
    dx_token_committed committed;
    void *ctx;
    dx_task task; // where nothing could be sent
    dx_loop *loop;
    dx_status status;
    bool committing;
} redis_store;

static redis_store *of(dx_token_store *store) {
    return DX_CONTAINER_OF(store, redis_store, base);
}

#define ACQUIRE                                                                                                                            \
    "local mine = 0\n"                                                                                                                     \
    "if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then mine = 1 end\n"                                                      \
    "if mine == 0 and redis.call('GET', KEYS[2]) == ARGV[1] then mine = 1 end\n"                                                           \
    "local record = redis.call('HMGET', KEYS[1], 'v', 't')\n"                                                                              \
    "return {mine, record[1] or '0', record[2] or ''}\n"
#define COMMIT                                                                                                                             \
    "local number, done = redis.call('HGET', KEYS[1], 'v') or '0', 0\n"                                                                    \
    "if number == ARGV[2] then\n"                                                                                                          \
    "  redis.call('HSET', KEYS[1], 'v', string.format('%.0f', tonumber(number) + 1), 't', ARGV[3])\n"                                      \
    "  done = 1\n"                                                                                                                         \
    "end\n"                                                                                                                                \
    "if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end\n"                                                       \
    "return done\n"
#define RELEASE "if redis.call('GET', KEYS[2]) == ARGV[1] then return redis.call('DEL', KEYS[2]) end\nreturn 0\n"

// --- telling -------------------------------------------------------------------------------------------------------------------------
static void tell(redis_store *r, dx_status status, bool locked, dx_slice text) {
    if (r->committing)
        r->committed(r->ctx, status, dx_slice_str(r->why));
    else
        r->acquired(r->ctx, status, locked, text, dx_slice_str(r->why));
}

static dx_status fault(redis_store *r, dx_status status, dx_slice why) {
    (void)snprintf(r->why, sizeof r->why, "the Redis that keeps the token: %.*s", DX_SLICE_ARG(why));
    return status;
}

static void on_task(dx_task *task) {
    redis_store *r = DX_CONTAINER_OF(task, redis_store, task);
    dx_slice why = {"", 0};
    bool up = dx_redis_up(r->redis, &why);
    tell(r, fault(r, r->status, !up && why.size ? why : dx_slice_str(dx_status_title(r->status))), false, (dx_slice){0});
}

static dx_status status_of(redis_store *r, dx_status status, const dx_redis_reply *reply) {
    dx_slice why = {"", 0};
    if (status == DX_OK && reply->kind == DX_REDIS_ERROR) return fault(r, DX_UNAVAILABLE, reply->text);
    if (status == DX_OK) return DX_OK;
    (void)dx_redis_up(r->redis, &why);
    return fault(r, status, why.size ? why : dx_slice_str(dx_status_title(status)));
}

static void send(redis_store *r, const dx_redis_script *script, const dx_slice *args, size_t count, dx_redis_done done) {
    const dx_slice keys[] = {dx_slice_str(r->record), dx_slice_str(r->lock)};
    r->call = (dx_redis_call){.done = done};
    r->why[0] = '\0';
    r->status = dx_redis_eval(r->redis, &r->call, script, keys, 2, args, count, 0);
    if (r->status == DX_OK) return;
    r->task.run = on_task;
    dx_loop_post(r->loop, &r->task);
}

// --- what a store does ---------------------------------------------------------------------------------------------------------------
static void on_acquired(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    redis_store *r = DX_CONTAINER_OF(call, redis_store, call);
    status = status_of(r, status, reply);
    if (status == DX_OK && (reply->kind != DX_REDIS_ARRAY || reply->count != 3 || reply->items[1]->text.size >= sizeof r->number))
        status = fault(r, DX_UNAVAILABLE, DX_SLICE("an answer that was not expected"));
    if (status != DX_OK) return tell(r, status, false, (dx_slice){0});
    (void)snprintf(r->number, sizeof r->number, "%.*s", DX_SLICE_ARG(reply->items[1]->text));
    tell(r, DX_OK, reply->items[0]->integer == 1, reply->items[2]->text);
}

static void redis_acquire(dx_token_store *store, dx_token_acquired done, void *ctx) {
    redis_store *r = of(store);
    char time[24];
    r->acquired = done;
    r->ctx = ctx;
    r->committing = false;
    (void)snprintf(time, sizeof time, "%lld", (long long)(store->lock_time / DX_MILLISECOND));
    send(r, &r->acquire, (dx_slice[]){dx_slice_str(r->value), dx_slice_str(time)}, 2, on_acquired);
}

// A lock that is taken anew is another one.
static void draw_value(redis_store *r) {
    uint8_t random[16];
    dx_random_bytes(random, sizeof random);
    dx_hex_encode(r->value, random, sizeof random);
    r->value[VALUE_CAP - 1] = '\0';
}

static void on_committed(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    redis_store *r = DX_CONTAINER_OF(call, redis_store, call);
    status = status_of(r, status, reply);
    if (status == DX_OK && reply->integer != 1) status = fault(r, DX_CONFLICT, DX_SLICE("the lock was lost"));
    tell(r, status, false, (dx_slice){0});
}

static void redis_commit(dx_token_store *store, dx_slice text, dx_token_committed done, void *ctx) {
    redis_store *r = of(store);
    char value[VALUE_CAP];
    memcpy(value, r->value, sizeof value);
    draw_value(r);
    r->committed = done;
    r->ctx = ctx;
    r->committing = true;
    send(r, &r->commit, (dx_slice[]){dx_slice_str(value), dx_slice_str(r->number), text}, 3, on_committed);
}

static void on_released(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    (void)call;
    (void)status; // it ends by itself
    (void)reply;
}

static void redis_release(dx_token_store *store) {
    redis_store *r = of(store);
    const dx_slice keys[] = {dx_slice_str(r->record), dx_slice_str(r->lock)}, args[] = {dx_slice_str(r->value)};
    dx_redis_cancel(&r->releasing); // one before it is executed all the same
    r->releasing = (dx_redis_call){.done = on_released};
    (void)!dx_redis_eval(r->redis, &r->releasing, &r->release, keys, 2, args, 1, 0);
    draw_value(r);
}

static dx_status redis_open(dx_token_store *store, dx_loop *loop) {
    redis_store *r = of(store);
    r->loop = loop;
    return dx_redis_create(&r->redis, loop, &r->settings);
}

static void redis_close(dx_token_store *store) {
    redis_store *r = of(store);
    dx_redis_destroy(r->redis);
    r->redis = NULL;
}

static void redis_destroy(dx_token_store *store) {
    dx_arena_destroy(of(store)->arena);
}

// --- making --------------------------------------------------------------------------------------------------------------------------
static bool name_keys(redis_store *r, dx_slice prefix, dx_slice key) {
    // The braces keep both on one node of a cluster.
    int size = snprintf(r->record, sizeof r->record, "%.*s{token:%.*s}", DX_SLICE_ARG(prefix), DX_SLICE_ARG(key));
    int lock = snprintf(r->lock, sizeof r->lock, "%.*s{token:%.*s}:lock", DX_SLICE_ARG(prefix), DX_SLICE_ARG(key));
    (void)snprintf(r->place, sizeof r->place, "Redis, %s", r->record);
    return size > 0 && lock > 0 && (size_t)lock < sizeof r->lock;
}

static void read_url(redis_store *r, dx_auth_reader *store, dx_slice url) {
    dx_diags found;
    if (!url.size) return;
    dx_diags_init(&found, r->arena);
    dx_status status = dx_redis_settings_read(&r->settings, dx_arena_copy(r->arena, url), r->arena, &found);
    if (status == DX_NO_MEMORY) store->status = status;
    if (status != DX_OK && status != DX_NO_MEMORY)
        dx_auth_refuse(store, "url", "\"url\": %.*s",
                       DX_SLICE_ARG(found.first ? found.first->message : DX_SLICE("it is no URL of a Redis")));
}

dx_status dx_token_redis_create(dx_token_store **out, dx_auth_reader *store, const dx_token_store_plan *plan) {
    static const dx_token_store_ops ops = {"redis", redis_open, redis_acquire, redis_commit, redis_release, redis_close, redis_destroy};
    static const dx_redis_settings standard = DX_REDIS_SETTINGS_INIT;
    dx_arena *arena = dx_arena_create((size_t)64 << 10);
    redis_store *r = arena ? DX_ARENA_NEW(arena, redis_store) : NULL;
    if (!r) {
        dx_arena_destroy(arena);
        return DX_NO_MEMORY;
    }
    dx_slice prefix = yyjson_obj_get(store->settings, "prefix") ? dx_auth_text(store, "prefix") : DX_SLICE("duplex:");
    r->base.ops = &ops;
    r->base.lock_time = plan->lock_time;
    r->base.place = r->place;
    r->arena = arena;
    r->settings = standard;
    r->settings.command_timeout = 5 * DX_SECOND;
    read_url(r, store, dx_auth_needed(store, "url"));
    if (!name_keys(r, prefix, plan->key)) dx_auth_refuse(store, "prefix", "\"prefix\" is too long");
    dx_redis_script_init(&r->acquire, DX_SLICE(ACQUIRE));
    dx_redis_script_init(&r->commit, DX_SLICE(COMMIT));
    dx_redis_script_init(&r->release, DX_SLICE(RELEASE));
    draw_value(r);
    *out = &r->base;
    return store->status;
}
