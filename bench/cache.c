// CPU of a look-up, below everything that a call is beside it, one mode a run:
//     bench_cache memory COUNT            key, look-up, judgement, letting go
//     bench_cache redis SOCKET COUNT DEPTH      the same of the cache in Redis, so many at once
//     bench_cache hiredis SOCKET COUNT DEPTH    a bare GET of as many bytes by hiredis' synchronous pipeline
// Prints nanoseconds of user and system time each.
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "loop/embed.h"
#include "policy/cache_memory.h"
#include "policy/cache_redis.h"

enum { DEPTH_CAP = 256 };

static const char url[] = "https://api.example.com/v1/items/7",
                  body[] = "{\"id\":7,\"name\":\"widget\",\"price\":12.5,\"tags\":[\"a\",\"b\",\"c\"]}";

static double cpu(void) {
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    return ((double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec)) * 1e3;
}

static int fail(const char *what) {
    fprintf(stderr, "bench_cache: %s\n", what);
    return 1;
}

static dx_status make_key(dx_cache_key *key, dx_arena *arena) {
    const dx_cache_key_parts parts = {DX_SLICE("bench"), DX_SLICE("0123456789abcdef0123456789abcdef"), DX_GET, dx_slice_str(url)};
    return dx_cache_key_make(key, arena, &parts);
}

static dx_cache_entry *make_entry(const dx_cache_key *key, dx_arena *arena) {
    dx_fields fields = {0}, none = {0};
    dx_cache_entry *entry = NULL;
    dx_freshness freshness;
    dx_micros_utc now = dx_clock_utc();
    const dx_freshness_options options = DX_FRESHNESS_OPTIONS_INIT;
    dx_freshness_input input = {DX_GET, 200, &none, &fields, now, now};
    if (dx_fields_add(&fields, arena, DX_SLICE("Cache-Control"), DX_SLICE("max-age=3600")) != DX_OK) return NULL;
    if (dx_fields_add(&fields, arena, DX_SLICE("Content-Type"), DX_SLICE("application/json")) != DX_OK) return NULL;
    if (!dx_freshness_judge(&freshness, &input, &options)) return NULL;
    dx_cache_entry_parts parts = {.status = 200, .freshness = &freshness, .key = key->text, .body = dx_slice_str(body), .fields = &fields};
    return dx_cache_entry_create(&entry, &parts) == DX_OK ? entry : NULL;
}

static int run_memory(long count) {
    const dx_cache_memory_options options = {.budget_bytes = 1u << 20};
    dx_arena *arena = dx_arena_create(1u << 20);
    dx_cache *cache;
    dx_cache_key key;
    dx_fields none = {0};
    if (!arena || dx_cache_memory_create(&cache, &options) != DX_OK || make_key(&key, arena) != DX_OK) return fail("no memory");
    dx_cache_call put = {.key = &key, .now = dx_clock_utc(), .entry = make_entry(&key, arena)};
    dx_cache_put(cache, &put);
    double start = cpu();
    for (long i = 0; i < count; i++) {
        dx_arena_reset(arena);
        if (make_key(&key, arena) != DX_OK) return fail("no key");
        dx_cache_call call = {.key = &key, .fields = &none, .now = dx_clock_utc_coarse()};
        if (!dx_cache_get(cache, &call) || !call.entry) return fail("a miss");
        if (dx_freshness_decide(&call.entry->freshness, DX_GET, &none, call.now).verdict != DX_CACHE_FRESH) return fail("it is stale");
        dx_cache_entry_release(call.entry);
    }
    printf("%.1f\n", (cpu() - start) / (double)count);
    dx_cache_entry_release(put.entry);
    dx_cache_destroy(cache);
    dx_arena_destroy(arena);
    return 0;
}

typedef struct state {
    dx_loop *loop;
    dx_redis *redis;
    dx_cache *cache;
    dx_cache_call calls[DEPTH_CAP];
    dx_fields none;
    dx_cache_key key;
    long left, done, count;
    bool over, up, failed;
} state;

static state s;

static void on_change(void *ctx, bool up, dx_slice why) {
    (void)ctx;
    (void)why;
    s.up = up;
}

static dx_redis *connection_of(void *ctx, dx_loop *loop) {
    (void)ctx;
    (void)loop;
    return s.redis;
}

static void on_done(dx_cache_call *call);

static void begin(dx_cache_call *call) {
    *call = (dx_cache_call){.done = on_done, .loop = s.loop, .key = &s.key, .fields = &s.none, .now = dx_clock_utc_coarse()};
    if (dx_cache_get(s.cache, call)) s.failed = s.over = true;
}

static void on_done(dx_cache_call *call) {
    if (!call->entry) s.failed = s.over = true;
    dx_cache_entry_release(call->entry);
    if (++s.done == s.count) s.over = true;
    if (s.left-- > 0 && !s.over) begin(call);
}

static int run_redis(const char *path, long count, int depth) {
    dx_redis_settings settings = DX_REDIS_SETTINGS_INIT;
    dx_cache_redis_options options = DX_CACHE_REDIS_OPTIONS_INIT;
    dx_arena *arena = dx_arena_create(1u << 20);
    settings.host = (dx_slice){"", 0};
    settings.path = dx_slice_str(path);
    settings.changed = on_change;
    options.connection = connection_of;
    if (!arena || dx_loop_create(&s.loop) != DX_OK || dx_redis_create(&s.redis, s.loop, &settings) != DX_OK ||
        dx_cache_redis_create(&s.cache, &options) != DX_OK || make_key(&s.key, arena) != DX_OK)
        return fail("no memory");
    while (!s.up) dx_loop_wait(s.loop, -1);
    dx_cache_call put = {.loop = s.loop, .key = &s.key, .now = dx_clock_utc(), .entry = make_entry(&s.key, arena)};
    dx_cache_put(s.cache, &put);
    s.count = count;
    s.left = count - depth;
    double start = cpu();
    for (int i = 0; i < depth; i++) begin(&s.calls[i]);
    while (!dx_loop_wait_for(s.loop, &s.over, -1)) continue;
    if (!s.failed) printf("%.1f\n", (cpu() - start) / (double)count);
    dx_cache_entry_release(put.entry);
    dx_redis_destroy(s.redis);
    dx_cache_destroy(s.cache);
    dx_loop_destroy(s.loop);
    dx_arena_destroy(arena);
    return s.failed ? fail("a miss") : 0;
}

static int run_hiredis(const char *path, long count, int depth) {
    redisContext *redis = redisConnectUnix(path);
    char value[512];
    void *reply;
    if (!redis || redis->err) return fail("no connection");
    memset(value, 'x', sizeof value);
    reply = redisCommand(redis, "SET bench:bare:0123456789abcdef0123456789abcdef %b", value, sizeof value);
    if (!reply) return fail("no answer");
    freeReplyObject(reply);
    double start = cpu();
    for (long done = 0; done < count; done += depth) {
        for (int i = 0; i < depth; i++)
            if (redisAppendCommand(redis, "GET bench:bare:0123456789abcdef0123456789abcdef") != REDIS_OK) return fail("no memory");
        for (int i = 0; i < depth; i++) {
            if (redisGetReply(redis, &reply) != REDIS_OK) return fail("no answer");
            freeReplyObject(reply);
        }
    }
    printf("%.1f\n", (cpu() - start) / (double)count);
    redisFree(redis);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "memory") == 0) return run_memory(strtol(argv[2], NULL, 10));
    if (argc != 5) return fail("usage: bench_cache memory COUNT | redis|hiredis SOCKET COUNT DEPTH"), 2;
    long count = strtol(argv[3], NULL, 10), depth = strtol(argv[4], NULL, 10);
    if (depth < 1 || depth > DEPTH_CAP || count < depth) return fail("DEPTH is 1 to 256, and COUNT no less"), 2;
    return strcmp(argv[1], "redis") == 0 ? run_redis(argv[2], count, (int)depth) : run_hiredis(argv[2], count, (int)depth);
}
