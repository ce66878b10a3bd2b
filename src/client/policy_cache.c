// The caches of a definition. Settings that come out the same share one, whatever API they stand in; keys keep APIs and callers apart.
#include <math.h>

#include "base/memory.h"
#include "client/cache_custom.h"
#include "client/cache_stats.h"
#include "config/definition.h"
#include "policy/cache_memory.h"
#include "policy/cache_redis.h"
#include "policy/cache_tiered.h"

typedef struct ask {
    dx_client *client;
    yyjson_val *settings;
    dx_slice at;
    dx_diags *diags;
    dx_status status;
} ask;

static void destroy_set(void *object) {
    dx_cache_set *set = object;
    dx_cache_destroy(set->cache);
    dx_cache_destroy(set->private);
    dx_flight_destroy(set->flight);
    dx_redis_place_destroy(set->place);
    dx_memory_free(set);
}

static dx_status make_redis(dx_cache **out, dx_cache_set *set, const ask *a) {
    dx_cache_redis_options options = DX_CACHE_REDIS_OPTIONS_INIT;
    dx_slice url = dx_json_member_slice(a->settings, "redis");
    if (!url.size) {
        (void)dx_diags_add(a->diags, DX_INVALID, a->at, "a cache of this type needs \"redis\", the URL of one");
        return DX_INVALID;
    }
    dx_status status = dx_redis_place_create(&set->place, &a->client->redis, url, a->diags);
    options.prefix = dx_json_member_slice(a->settings, "prefix");
    options.connection = dx_redis_place_connection;
    options.ctx = set->place;
    return status == DX_OK ? dx_cache_redis_create(out, &options) : status;
}

static dx_status make_custom(dx_cache **out, const ask *a) {
    dx_slice name = dx_json_member_slice(a->settings, "name");
    if (name.size) return dx_cache_custom_create(out, a->client->customs, name);
    (void)dx_diags_add(a->diags, DX_INVALID, a->at, "a cache of this type needs \"name\", as the program gives it to dx_client_add_cache");
    return DX_INVALID;
}

static dx_status make_levels(dx_cache_set *set, const ask *a) {
    dx_slice type = dx_json_member_slice(a->settings, "type");
    uint64_t bytes = 0;
    set->tiered = dx_slice_equal(type, DX_SLICE("tiered"));
    bool tiered = set->tiered, custom = dx_slice_equal(type, DX_SLICE("custom")),
         outside = tiered || custom || dx_slice_equal(type, DX_SLICE("redis"));
    (void)dx_size_read(dx_json_member_slice(a->settings, "max_bytes"), &bytes);
    dx_cache_memory_options memory = {.budget_bytes = bytes};
    if (bytes < DX_CACHE_MEMORY_BUDGET_MIN) {
        (void)dx_diags_add(a->diags, DX_INVALID, a->at, "max_bytes must be at least %zu KiB", DX_CACHE_MEMORY_BUDGET_MIN >> 10);
        return DX_INVALID;
    }
    if (!outside) return dx_cache_memory_create(&set->cache, &memory);
    set->outside = custom ? "custom" : "redis";
    dx_cache *behind = NULL;
    dx_status status = custom ? make_custom(&behind, a) : make_redis(&behind, set, a);
    dx_cache_tiered_options levels = {.budget_bytes = bytes};
    if (status == DX_OK && tiered) status = dx_cache_tiered_create(&set->cache, behind, &levels);
    if (status == DX_OK && !tiered) set->cache = behind;
    if (status != DX_OK) {
        dx_cache_destroy(behind);
        return status;
    }
    bool shares = yyjson_get_bool(yyjson_obj_get(a->settings, "share_authorized"));
    return shares ? DX_OK : dx_cache_memory_create(&set->private, &memory);
}

static void *make_set(void *ctx) {
    ask *a = ctx;
    dx_cache_set *set = dx_memory_zalloc(1, sizeof *set);
    a->status = set ? make_levels(set, a) : DX_NO_MEMORY;
    if (a->status == DX_OK) a->status = dx_flight_create(&set->flight);
    if (a->status == DX_OK) return set;
    if (set) destroy_set(set);
    return NULL;
}

static int64_t whole_seconds(yyjson_val *settings, const char *name, int64_t none) {
    yyjson_val *value = yyjson_obj_get(settings, name);
    return value && yyjson_get_num(value) > 0 ? (int64_t)ceil(yyjson_get_num(value)) : none;
}

static dx_status read_tags(dx_cache_conf *conf, yyjson_val *list, dx_arena *arena) {
    size_t at, count = yyjson_arr_size(list);
    yyjson_val *item;
    dx_slice *tags = count ? DX_ARENA_ARRAY(arena, dx_slice, count) : NULL;
    if (count && !tags) return DX_NO_MEMORY;
    yyjson_arr_foreach(list, at, count, item) tags[at] = dx_json_slice(item);
    conf->tags = tags;
    conf->tag_count = yyjson_arr_size(list);
    return DX_OK;
}

// What makes a cache another one; the rest of the settings is about its use.
static yyjson_val *storage_of(yyjson_val *settings, dx_arena *arena) {
    static const char *const names[] = {"type", "max_bytes", "redis", "prefix", "share_authorized", "name"};
    yyjson_mut_doc *doc = dx_json_mut_doc(arena);
    yyjson_mut_val *object = doc ? yyjson_mut_obj(doc) : NULL;
    for (size_t i = 0; object && i < DX_COUNT_OF(names); i++) {
        yyjson_val *value = yyjson_obj_get(settings, names[i]);
        if (value && !yyjson_mut_obj_add_val(doc, object, names[i], yyjson_val_mut_copy(doc, value))) return NULL;
    }
    yyjson_alc alc = dx_json_alc(arena);
    return object ? yyjson_doc_get_root(yyjson_mut_val_imut_copy(object, &alc)) : NULL;
}

static void *make_meter(void *ctx) {
    (void)ctx;
    return dx_memory_zalloc(1, sizeof(dx_cache_meter));
}

dx_status dx_policy_cache(dx_cache_conf **out, dx_client *client, const dx_settings *settings, const dx_api *api, dx_slice at,
                          dx_arena *arena, dx_diags *diags) {
    *out = NULL;
    if (!settings->cache) return DX_OK;
    dx_cache_use *use = DX_ARENA_NEW(arena, dx_cache_use);
    yyjson_val *storage = storage_of(settings->cache, arena);
    ask a = {client, storage, at, diags, DX_OK};
    void *set = NULL;
    if (!use || !storage) return DX_NO_MEMORY;
    dx_status status = dx_policy_keep(&set, client, arena, "cache", (dx_slice){"", 0}, storage, make_set, &a, destroy_set);
    if (status != DX_OK) return a.status != DX_OK ? a.status : status;
    status = dx_policy_keep((void **)&use->meter, client, arena, "cache_meter", api->name, storage, make_meter, NULL, dx_memory_free);
    if (status != DX_OK) return status;
    const dx_cache_set *made = use->set = set;
    dx_cache_conf *conf = &use->conf;
    *conf = (dx_cache_conf){.cache = made->cache,
                            .private_cache = made->private,
                            .flight = yyjson_get_bool(yyjson_obj_get(settings->cache, "coalesce")) ? made->flight : NULL,
                            .space = api->name,
                            .options = DX_FRESHNESS_OPTIONS_INIT,
                            .revalidate = dx_client_fetch_again,
                            .looked_up = dx_cache_meter_looked_up,
                            .answered = dx_cache_meter_answered,
                            .watcher = use};
    conf->options.override_ttl_s = whole_seconds(settings->cache, "ttl", -1);
    conf->options.stale_if_error_s = whole_seconds(settings->cache, "stale_if_error", -1);
    conf->options.stale_while_revalidate_s = whole_seconds(settings->cache, "stale_while_revalidate", -1);
    *out = conf;
    return read_tags(conf, yyjson_obj_get(settings->cache, "tags"), arena);
}
