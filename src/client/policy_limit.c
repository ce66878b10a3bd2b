// The limits of a definition: a bucket for an API, an endpoint or each credential, and behind it one in Redis where processes share it.
#include <math.h>

#include "base/memory.h"
#include "client/policies.h"

#define SHARED_PREFIX "duplex:limit:"

typedef struct conf_of_kept {
    dx_limit_conf conf;
    dx_limit_kept *kept;
} conf_of_kept;

typedef struct ask {
    dx_client *client;
    yyjson_val *settings;
    dx_slice name;
    const dx_limit_options *options;
    dx_diags *diags;
    dx_status status;
} ask;

dx_limit_kept *dx_limit_kept_of(const dx_limit_conf *conf) {
    return DX_CONTAINER_OF((dx_limit_conf *)(uintptr_t)conf, conf_of_kept, conf)->kept;
}

static uint32_t count(yyjson_val *object, const char *name) {
    return (uint32_t)yyjson_get_uint(yyjson_obj_get(object, name));
}

// max_requests may be a fraction ("0.5 in a second"): the window is stretched then, until it has whole ones.
static bool read_limit(yyjson_val *settings, dx_limit_options *options) {
    double requests = yyjson_get_num(yyjson_obj_get(settings, "max_requests")),
           window = yyjson_get_num(yyjson_obj_get(settings, "time_window")), burst = yyjson_get_num(yyjson_obj_get(settings, "burst")),
           whole = floor(requests);
    *options = (dx_limit_options)DX_LIMIT_OPTIONS_INIT;
    if (requests < 1) whole = 1;
    options->max_requests = (uint32_t)whole;
    options->window = (dx_nanos)(window * (whole / requests) * (double)DX_SECOND);
    options->burst = burst >= 1 ? (uint32_t)burst : 0;
    options->queue = count(settings, "max_waiting") < DX_LIMIT_QUEUE_CAP ? count(settings, "max_waiting") : DX_LIMIT_QUEUE_CAP;
    options->reserve_thousandths = (uint32_t)(yyjson_get_num(yyjson_obj_get(settings, "reserve")) * 1000);
    return requests > 0 && options->window > 0;
}

static bool is_by_credential(yyjson_val *settings) {
    return dx_slice_equal(dx_json_member_slice(settings, "per"), DX_SLICE("credential"));
}

static void destroy_kept(void *object) {
    dx_limit_kept *kept = object;
    dx_limit_release(kept->limit);
    dx_limits_destroy(kept->by_credential);
    dx_limit_redis_destroy(kept->shared);
    dx_redis_place_destroy(kept->place);
    (void)pthread_mutex_destroy(&kept->lock);
    dx_memory_free(kept);
}

// Who has the same definition has the same bucket, whatever the process.
static dx_status make_shared(dx_limit_kept *kept, const ask *a) {
    char prefix[DX_LIMIT_REDIS_PREFIX_CAP];
    dx_slice url = dx_json_member_slice(a->settings, "redis");
    if (!url.size) return DX_OK;
    int size = snprintf(prefix, sizeof prefix, SHARED_PREFIX "%.*s:", DX_SLICE_ARG(a->name));
    if (size < 0 || (size_t)size >= sizeof prefix) return DX_INVALID;
    dx_status status = dx_redis_place_create(&kept->place, &a->client->redis, url, a->diags);
    dx_limit_redis_options options = {.prefix = dx_slice_of(prefix, (size_t)size),
                                      .max_requests = a->options->max_requests,
                                      .burst = a->options->burst,
                                      .window = a->options->window,
                                      .queue = a->options->queue,
                                      .connection = dx_redis_place_connection,
                                      .ctx = kept->place};
    if (status == DX_OK) status = dx_limit_redis_create(&kept->shared, &options);
    if (status == DX_INVALID && !a->diags->first)
        (void)dx_diags_add(a->diags, DX_INVALID, (dx_slice){"", 0}, "rate_limit: Redis keeps limits of up to a million requests a second");
    return status;
}

static void *make_kept(void *ctx) {
    ask *a = ctx;
    dx_limit_kept *kept = dx_memory_zalloc(1, sizeof *kept);
    a->status = kept ? DX_OK : DX_NO_MEMORY;
    if (!kept) return NULL;
    (void)pthread_mutex_init(&kept->lock, NULL);
    kept->max_requests = a->options->max_requests;
    kept->burst = a->options->burst ? a->options->burst : a->options->max_requests;
    kept->window = a->options->window;
    a->status = is_by_credential(a->settings) ? dx_limits_create(&kept->by_credential, 65536) : dx_limit_create(&kept->limit, a->options);
    if (a->status == DX_OK) a->status = make_shared(kept, a);
    if (a->status == DX_OK) return kept;
    destroy_kept(kept);
    return NULL;
}

dx_status dx_policy_limit(const dx_limit_conf **out, dx_client *client, const dx_settings *settings, dx_slice name, dx_arena *arena,
                          dx_diags *diags) {
    yyjson_val *from = settings->rate_limit;
    *out = NULL;
    if (!from || !yyjson_obj_get(from, "max_requests")) return DX_OK;
    conf_of_kept *made = DX_ARENA_NEW(arena, conf_of_kept);
    if (!made) return DX_NO_MEMORY;
    dx_limit_conf *conf = &made->conf;
    if (!read_limit(from, &conf->options) ||
        dx_limit_check(conf->options.max_requests, conf->options.window, conf->options.burst) != DX_OK) {
        (void)dx_diags_add(diags, DX_INVALID, (dx_slice){"", 0}, "rate_limit: max_requests, time_window and burst do not go together");
        return DX_INVALID;
    }
    conf->max_wait = (dx_nanos)(yyjson_get_num(yyjson_obj_get(from, "max_wait")) * (double)DX_SECOND);
    conf->adaptive = yyjson_get_bool(yyjson_obj_get(from, "adaptive"));
    ask a = {client, from, name, &conf->options, diags, DX_OK};
    dx_status status = dx_policy_keep((void **)&made->kept, client, arena, "limit", name, from, make_kept, &a, destroy_kept);
    if (status != DX_OK) return a.status != DX_OK ? a.status : status;
    conf->limit = made->kept->limit;
    conf->by_credential = made->kept->by_credential;
    conf->shared = made->kept->shared;
    *out = conf;
    return DX_OK;
}
