#include "client/subcall.h"

#include "base/memory.h"
#include "client/guard.h"
#include "crypto/digest.h"

#define SUBCALL_ARENA_CAP ((size_t)16 << 20)

struct dx_subcall {
    dx_exchange x;
    dx_transfer transfer;
    dx_arena *arena;
    dx_engine *engine;
    dx_subcall_done done;
    void *ctx;
    dx_timer timer;
    dx_task task; // of one that failed before it was sent
    bool posted, cancelled;
};

// --- URLs ----------------------------------------------------------------------------------------------------------------------------

static bool take_scheme(dx_slice *url, const char *scheme) {
    size_t size = strlen(scheme);
    if (url->size <= size || !dx_slice_equal_nocase(dx_slice_of(url->data, size), dx_slice_of(scheme, size))) return false;
    *url = dx_slice_from(*url, size);
    return true;
}

static dx_slice host_of(dx_slice authority) {
    if (authority.size && authority.data[0] == '[') {
        size_t bracket = dx_slice_find(authority, ']');
        return bracket == SIZE_MAX ? (dx_slice){0} : dx_slice_of(authority.data + 1, bracket - 1);
    }
    size_t colon = dx_slice_find(authority, ':');
    return colon == SIZE_MAX ? authority : dx_slice_of(authority.data, colon);
}

bool dx_subcall_place_read(dx_subcall_place *out, dx_slice url) {
    for (size_t i = 0; i < url.size; i++)
        if ((unsigned char)url.data[i] <= ' ' || url.data[i] == 127 || url.data[i] == '#' || url.data[i] == '\\') return false;
    *out = (dx_subcall_place){.secure = take_scheme(&url, "https://")};
    if (!out->secure && !take_scheme(&url, "http://")) return false;
    size_t end = 0;
    while (end < url.size && url.data[end] != '/' && url.data[end] != '?') end++;
    out->authority = dx_slice_of(url.data, end);
    out->target = end < url.size ? dx_slice_from(url, end) : DX_SLICE("/");
    out->host = host_of(out->authority);
    return out->host.size && out->target.data[0] == '/' && dx_slice_find(out->authority, '@') == SIZE_MAX;
}

static bool is_loopback_v4(dx_slice host) {
    unsigned parts = 0;
    if (!dx_slice_starts(host, DX_SLICE("127."))) return false;
    while (host.data) {
        uint64_t number;
        if (!dx_slice_to_u64(dx_slice_cut(&host, '.'), &number) || number > 255) return false;
        parts++;
    }
    return parts == 4;
}

bool dx_subcall_is_loopback(dx_slice host) {
    return dx_slice_equal_nocase(host, DX_SLICE("localhost")) || dx_slice_equal(host, DX_SLICE("::1")) || is_loopback_v4(host);
}

// --- settings ------------------------------------------------------------------------------------------------------------------------

static bool copy_text(const char **text, dx_arena *arena) {
    if (!*text) return true;
    *text = dx_arena_copy(arena, dx_slice_str(*text)).data;
    return *text != NULL;
}

static bool copy_list(const dx_slice **list, size_t count, dx_arena *arena) {
    dx_slice *copy = DX_ARENA_ARRAY(arena, dx_slice, count ? count : 1);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = dx_arena_copy(arena, (*list)[i]);
        if (!copy[i].data) return false;
    }
    *list = copy;
    return copy != NULL;
}

dx_status dx_subcall_wire(dx_wire_settings *out, dx_arena *arena, const dx_wire_settings *from) {
    *out = *from;
    out->serial = dx_wire_serial();
    out->max_body = DX_SUBCALL_BODY_CAP;
    bool copied = copy_text(&out->ca_file, arena) && copy_text(&out->certificate, arena) && copy_text(&out->key, arena) &&
                  copy_text(&out->key_password, arena) && copy_text(&out->proxy, arena) &&
                  copy_list(&out->guard_hosts, out->guard_host_count, arena) &&
                  copy_list(&out->guard_ranges, out->guard_range_count, arena);
    return copied ? DX_OK : DX_NO_MEMORY;
}

// --- the life of one -----------------------------------------------------------------------------------------------------------------

static void wipe_fields(const dx_fields *fields) {
    for (uint32_t i = 0; i < fields->count; i++) {
        dx_slice value = fields->items[i].value;
        if (value.size) dx_secret_wipe((void *)(uintptr_t)value.data, value.size);
    }
}

// What went out holds a client's secret, what came in its tokens: none of it stays in memory.
static void forget(void *ctx) {
    dx_subcall *subcall = ctx;
    dx_slice parts[] = {subcall->x.request.body, subcall->x.response.body, subcall->transfer.url};
    for (size_t i = 0; i < DX_COUNT_OF(parts); i++)
        if (parts[i].size) dx_secret_wipe((void *)(uintptr_t)parts[i].data, parts[i].size);
    wipe_fields(&subcall->x.request.fields);
}

static void end(dx_subcall *subcall) {
    dx_timer_stop(subcall->engine->loop, &subcall->timer);
    subcall->done(subcall->ctx, subcall);
    dx_arena_destroy(subcall->arena);
}

static void on_done(dx_transfer *transfer) {
    dx_subcall *subcall = DX_CONTAINER_OF(transfer, dx_subcall, transfer);
    dx_admission_done(&subcall->engine->admission, transfer);
    end(subcall);
}

static void on_timeout(dx_timer *timer) {
    dx_subcall *subcall = DX_CONTAINER_OF(timer, dx_subcall, timer);
    dx_admission_cancel(&subcall->engine->admission, &subcall->transfer);
    (void)dx_exchange_fail_out(&subcall->x, DX_ERROR_TIMEOUT, NULL);
    end(subcall);
}

static void on_task(dx_task *task) {
    dx_subcall *subcall = DX_CONTAINER_OF(task, dx_subcall, task);
    subcall->posted = false;
    if (subcall->cancelled)
        dx_arena_destroy(subcall->arena);
    else
        end(subcall);
}

void dx_subcall_cancel(dx_subcall *subcall) {
    if (!subcall) return;
    dx_timer_stop(subcall->engine->loop, &subcall->timer);
    subcall->cancelled = true;
    if (subcall->posted) return; // the task frees it
    dx_admission_cancel(&subcall->engine->admission, &subcall->transfer);
    dx_arena_destroy(subcall->arena);
}

// --- starting ------------------------------------------------------------------------------------------------------------------------

static bool copy_fields(dx_exchange *x, const dx_fields *fields) {
    for (uint32_t i = 0; fields && i < fields->count; i++) {
        dx_slice name = dx_arena_copy(x->arena, fields->items[i].name), value = dx_arena_copy(x->arena, fields->items[i].value);
        if (!name.data || !value.data || dx_fields_add(&x->request.fields, x->arena, name, value) != DX_OK) return false;
    }
    return true;
}

static dx_subcall *make(dx_engine *engine, const dx_subcall_request *request) {
    dx_arena *arena = dx_arena_create(SUBCALL_ARENA_CAP);
    dx_subcall *subcall = arena ? DX_ARENA_NEW(arena, dx_subcall) : NULL;
    if (!subcall) {
        dx_arena_destroy(arena);
        return NULL;
    }
    dx_exchange *x = &subcall->x;
    subcall->arena = arena;
    subcall->engine = engine;
    dx_exchange_init(x, arena, engine->loop, 0);
    x->started = x->phase_since = dx_clock_monotonic();
    x->deadline = request->timeout ? x->started + request->timeout : 0;
    x->request.method = request->method;
    subcall->transfer.x = x;
    subcall->transfer.wire = request->wire;
    subcall->transfer.url = dx_arena_copy(arena, request->url);
    x->request.body = request->body.size ? dx_arena_copy(arena, request->body) : (dx_slice){0};
    bool made = subcall->transfer.url.data && (x->request.body.data || !request->body.size) && copy_fields(x, request->fields);
    if (made && dx_arena_defer(arena, forget, subcall) == DX_OK) return subcall;
    dx_arena_destroy(arena);
    return NULL;
}

dx_status dx_subcall_start(dx_subcall **out, dx_engine *engine, const dx_subcall_request *request, dx_subcall_done done, void *ctx) {
    static const dx_transfer_ops ops = {.done = on_done};
    dx_subcall_place place;
    *out = NULL;
    if (!dx_subcall_place_read(&place, request->url)) return DX_INVALID;
    dx_subcall *subcall = make(engine, request);
    if (!subcall) return DX_NO_MEMORY;
    dx_exchange *x = &subcall->x;
    (void)dx_subcall_place_read(&place, subcall->transfer.url);
    subcall->done = done;
    subcall->ctx = ctx;
    subcall->transfer.ops = &ops;
    x->request.secure = place.secure;
    x->request.authority = place.authority;
    x->request.target = place.target;
    x->attempt = 1;
    *out = subcall;
    bool sent = false;
    if (!dx_guard_allows_host(request->wire, place.host))
        (void)dx_exchange_fail_out(x, DX_ERROR_BLOCKED, "the guard's allow_hosts has no %.*s", DX_SLICE_ARG(place.host));
    else
        sent = dx_admission_enter(&engine->admission, &subcall->transfer,
                                  dx_slice_of(subcall->transfer.url.data, (place.secure ? 8 : 7) + place.authority.size));
    if (!sent) {
        subcall->posted = true;
        subcall->task.run = on_task;
        dx_loop_post(engine->loop, &subcall->task);
        return DX_OK;
    }
    subcall->timer.fire = on_timeout;
    if (request->timeout) dx_timer_start(engine->loop, &subcall->timer, request->timeout);
    return DX_OK;
}

// --- the answer ----------------------------------------------------------------------------------------------------------------------

dx_error_code dx_subcall_failure(const dx_subcall *subcall, dx_slice *detail) {
    *detail = subcall->x.failure_detail;
    return subcall->x.failure;
}

const dx_exchange_response *dx_subcall_response(const dx_subcall *subcall) {
    return &subcall->x.response;
}

dx_arena *dx_subcall_arena(dx_subcall *subcall) {
    return subcall->arena;
}
