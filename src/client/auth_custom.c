// Handlers of the program's own (duplex/auth.h). A request that is shown to one lives apart from its call, so that a handler that is still
// at work on another thread when the call is cancelled touches nothing that has gone.
#include "duplex/auth.h"

#include <pthread.h>

#include "base/memory.h"
#include "client/auth_settings.h"
#include "client/client.h"
#include "client/fail.h"
#include "codec/text.h"

#define REQUEST_ARENA_CAP ((size_t)4 << 20)
enum { HANDLERS_CAP = 256 };

struct dx_custom_auth {
    struct dx_custom_auth *next;
    dx_auth_handler handler;
    void *context;
    dx_slice name;
};

typedef struct custom_auth {
    dx_auth base;
    dx_arena *arena;
    dx_slice name, settings;
} custom_auth;

// What is to be added, in order.
typedef struct addition {
    struct addition *next;
    enum { TO_HEADER, TO_QUERY, TO_COOKIE } to;
    dx_slice name, value;
} addition;

struct dx_auth_request {
    dx_arena *arena;
    dx_client *client;
    const char *method, *url, *endpoint, *settings;
    dx_fields fields;
    dx_slice body; // in `apply` alone
    bool has_body;
    const dx_exchange *answered; // in `refused` alone
    addition *first, **last;
    const char *error;
    dx_task task;
    pthread_mutex_t lock; // of the next
    dx_exchange *x;       // NULL: its call has gone
    bool done;
};

// --- the handlers of a client --------------------------------------------------------------------------------------------------------
static struct dx_custom_auth *find(dx_client *client, dx_slice name) {
    pthread_mutex_lock(&client->lock);
    struct dx_custom_auth *custom = client->custom;
    while (custom && !dx_slice_equal(custom->name, name)) custom = custom->next;
    pthread_mutex_unlock(&client->lock);
    return custom; // none is ever taken away while the client lives
}

dx_error_code dx_client_add_auth(dx_client *client, const char *name, const dx_auth_handler *handler, void *context, dx_error *error) {
    dx_slice text = dx_slice_str(name);
    size_t count = 0;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    if (!text.size || !handler || handler->size < offsetof(dx_auth_handler, refused) || !handler->apply)
        return dx_fail(error, DX_ERROR_ARGUMENT, "an auth handler needs a name and the function apply");
    struct dx_custom_auth *custom = dx_memory_zalloc(1, sizeof *custom + text.size);
    if (!custom) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the auth handler");
    memcpy(custom + 1, text.data, text.size);
    memcpy(&custom->handler, handler, handler->size < sizeof custom->handler ? handler->size : sizeof custom->handler);
    custom->name = dx_slice_of((const char *)(custom + 1), text.size);
    custom->context = context;
    pthread_mutex_lock(&client->lock);
    struct dx_custom_auth **at = &client->custom;
    for (; *at && !dx_slice_equal((*at)->name, text); at = &(*at)->next) count++;
    bool taken = *at != NULL, full = count >= HANDLERS_CAP;
    if (!taken && !full) *at = custom;
    pthread_mutex_unlock(&client->lock);
    if (!taken && !full) return DX_ERROR_NONE;
    dx_memory_free(custom);
    return taken ? dx_fail(error, DX_ERROR_ARGUMENT, "there is an auth handler \"%s\" already", name)
                 : dx_fail(error, DX_ERROR_ARGUMENT, "a client has %d auth handlers at most", HANDLERS_CAP);
}

void dx_custom_auths_deinit(dx_client *client) {
    while (client->custom) {
        struct dx_custom_auth *custom = client->custom;
        client->custom = custom->next;
        if (custom->handler.destroy) custom->handler.destroy(custom->context);
        dx_memory_free(custom);
    }
}

// --- requests ------------------------------------------------------------------------------------------------------------------------
static bool copy_fields(dx_auth_request *request, const dx_fields *from) {
    for (uint32_t i = 0; i < from->count; i++) {
        dx_slice name = dx_arena_copy(request->arena, from->items[i].name), value = dx_arena_copy(request->arena, from->items[i].value);
        if (!name.data || !value.data || dx_fields_add(&request->fields, request->arena, name, value) != DX_OK) return false;
    }
    return true;
}

static dx_auth_request *request_make(const custom_auth *auth, dx_exchange *x) {
    dx_arena *arena = dx_arena_create(REQUEST_ARENA_CAP);
    dx_auth_request *request = arena ? DX_ARENA_NEW(arena, dx_auth_request) : NULL;
    if (!request) {
        dx_arena_destroy(arena);
        return NULL;
    }
    const dx_call *call = dx_call_of(x);
    request->arena = arena;
    request->client = call->client;
    request->method = dx_method_name(x->request.method);
    request->url = dx_arena_printf(arena, "%s://%.*s%.*s", x->request.secure ? "https" : "http", DX_SLICE_ARG(x->request.authority),
                                   DX_SLICE_ARG(x->request.target))
                       .data;
    request->endpoint = dx_arena_copy(arena, dx_slice_str(call->endpoint_name)).data;
    request->settings = dx_arena_copy(arena, auth->settings).data;
    request->body = x->request.body;
    request->has_body = !call->bound.upload && x->request.body.size;
    request->x = x;
    request->last = &request->first;
    if (request->url && request->endpoint && request->settings && copy_fields(request, &x->request.fields)) {
        (void)pthread_mutex_init(&request->lock, NULL);
        return request;
    }
    dx_arena_destroy(arena);
    return NULL;
}

static void request_free(dx_auth_request *request) {
    (void)pthread_mutex_destroy(&request->lock);
    dx_arena_destroy(request->arena);
}

const char *dx_auth_request_method(const dx_auth_request *request) {
    return request->method;
}

const char *dx_auth_request_url(const dx_auth_request *request) {
    return request->url;
}

const char *dx_auth_request_endpoint(const dx_auth_request *request) {
    return request->endpoint;
}

const char *dx_auth_request_settings(const dx_auth_request *request) {
    return request->settings;
}

dx_client *dx_auth_request_client(const dx_auth_request *request) {
    return request->client;
}

const char *dx_auth_request_header(const dx_auth_request *request, const char *name) {
    return dx_fields_find(&request->fields, dx_slice_str(name)).data;
}

const char *dx_auth_request_body(const dx_auth_request *request, size_t *size) {
    if (size) *size = request->has_body ? request->body.size : 0;
    return request->has_body ? request->body.data : NULL;
}

bool dx_auth_request_is_cancelled(const dx_auth_request *request) {
    dx_auth_request *mutable = (dx_auth_request *)(uintptr_t)request;
    pthread_mutex_lock(&mutable->lock);
    bool cancelled = !request->x;
    pthread_mutex_unlock(&mutable->lock);
    return cancelled;
}

int dx_auth_request_status(const dx_auth_request *request) {
    return request->answered ? request->answered->response.status : 0;
}

const char *dx_auth_request_answer(const dx_auth_request *request, const char *name) {
    if (!request->answered) return NULL;
    dx_slice value = dx_fields_find(&request->answered->response.fields, dx_slice_str(name));
    return value.data ? dx_arena_copy(request->arena, value).data : NULL;
}

static bool add(dx_auth_request *request, int to, const char *name, const char *value) {
    if (!name || !value) return false;
    for (const char *at = value; *at && to != TO_QUERY; at++)
        if ((unsigned char)*at < ' ' && *at != '\t') return false;
    if (to != TO_QUERY && !dx_field_name_valid(dx_slice_str(name))) return false;
    if (to == TO_COOKIE && strchr(value, ';')) return false;
    addition *added = DX_ARENA_NEW(request->arena, addition);
    if (!added) return false;
    added->to = to;
    added->name = dx_arena_copy(request->arena, dx_slice_str(name));
    added->value = dx_arena_copy(request->arena, dx_slice_str(value));
    if (!added->name.data || !added->value.data) return false;
    *request->last = added;
    request->last = &added->next;
    return true;
}

bool dx_auth_set_header(dx_auth_request *request, const char *name, const char *value) {
    return add(request, TO_HEADER, name, value);
}

bool dx_auth_set_query(dx_auth_request *request, const char *name, const char *value) {
    return add(request, TO_QUERY, name, value);
}

bool dx_auth_set_cookie(dx_auth_request *request, const char *name, const char *value) {
    return add(request, TO_COOKIE, name, value);
}

// --- applying ------------------------------------------------------------------------------------------------------------------------
static bool add_to(dx_exchange *x, const addition *added) {
    dx_slice name = dx_arena_copy(x->arena, added->name), value = dx_arena_copy(x->arena, added->value);
    if (!name.data || !value.data) return false;
    return added->to == TO_HEADER  ? dx_auth_add_field(x, name, value)
           : added->to == TO_QUERY ? dx_auth_add_query(x, name, value)
                                   : dx_auth_add_cookie(x, name, value);
}

static dx_verdict take(const dx_auth_request *request, dx_exchange *x) {
    if (request->error) return dx_exchange_fail_out(x, DX_ERROR_AUTH, "%s", request->error);
    for (const addition *added = request->first; added; added = added->next)
        if (!add_to(x, added)) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    return DX_NEXT;
}

// On the call's loop, posted by dx_auth_done.
static void on_done(dx_task *task) {
    dx_auth_request *request = DX_CONTAINER_OF(task, dx_auth_request, task);
    pthread_mutex_lock(&request->lock); // whoever posted this has let go of it
    dx_exchange *x = request->x;
    pthread_mutex_unlock(&request->lock);
    if (x) {
        x->stop = NULL;
        dx_auth_applied_of(x)->waiting = NULL;
        dx_exchange_resume(x, take(request, x));
    }
    request_free(request);
}

// Whoever of the two comes last frees it: the handler that is done, or the call that has gone.
static void leave(dx_exchange *x) {
    dx_auth_request *request = dx_auth_applied_of(x)->waiting;
    dx_auth_applied_of(x)->waiting = NULL;
    pthread_mutex_lock(&request->lock);
    request->x = NULL; // what is posted already finds it so
    pthread_mutex_unlock(&request->lock);
}

void dx_auth_done(dx_auth_request *request, const char *error) {
    request->error = error ? dx_arena_copy(request->arena, dx_slice_str(error)).data : NULL;
    if (error && !request->error) request->error = "the auth handler failed";
    pthread_mutex_lock(&request->lock);
    dx_exchange *x = request->x;
    request->done = true;
    request->task.run = on_done;
    if (x) dx_loop_post(x->loop, &request->task); // under the lock: a call that has not left has its loop
    pthread_mutex_unlock(&request->lock);
    if (!x) request_free(request);
}

static dx_verdict apply(dx_auth *base, struct dx_engine *engine, dx_exchange *x) {
    const custom_auth *auth = DX_CONTAINER_OF(base, custom_auth, base);
    struct dx_custom_auth *custom = find(engine->client, auth->name);
    if (!custom)
        return dx_exchange_fail_out(x, DX_ERROR_AUTH, "there is no auth handler \"%.*s\": dx_client_add_auth registers one",
                                    DX_SLICE_ARG(auth->name));
    dx_auth_request *request = request_make(auth, x);
    if (!request) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    dx_auth_applied_of(x)->waiting = request;
    x->stop = leave;
    request->last = &request->first;
    custom->handler.apply(custom->context, request);
    return DX_WAIT;
}

static bool refused(dx_auth *base, dx_exchange *x) {
    const custom_auth *auth = DX_CONTAINER_OF(base, custom_auth, base);
    struct dx_custom_auth *custom = find(dx_call_of(x)->client, auth->name);
    if (!custom || !custom->handler.refused) return false;
    dx_auth_request *request = request_make(auth, x);
    if (!request) return false;
    request->answered = x;
    bool again = custom->handler.refused(custom->context, request);
    request_free(request);
    return again;
}

// --- making --------------------------------------------------------------------------------------------------------------------------
static void destroy(dx_auth *auth) {
    dx_arena_destroy(DX_CONTAINER_OF(auth, custom_auth, base)->arena);
}

// Its other members are the handler's to know.
static dx_status create(dx_auth **out, const dx_auth_plan *plan) {
    dx_arena *arena = dx_arena_create((size_t)1 << 20);
    custom_auth *auth = arena ? DX_ARENA_NEW(arena, custom_auth) : NULL;
    if (!auth) {
        dx_arena_destroy(arena);
        return DX_NO_MEMORY;
    }
    dx_auth_reader reader = dx_auth_reader_of(plan, arena);
    dx_buffer text;
    dx_buffer_init(&text, arena, (size_t)512 << 10);
    dx_json_write_value(&text, plan->settings);
    auth->arena = arena;
    auth->name = dx_auth_needed(&reader, "name");
    auth->settings = dx_buffer_slice(&text);
    if (reader.status == DX_OK) reader.status = dx_buffer_status(&text);
    if (reader.status == DX_OK)
        *out = &auth->base;
    else
        dx_arena_destroy(arena);
    return reader.status;
}

const dx_auth_ops dx_auth_custom = {.type = "custom", .create = create, .apply = apply, .refused = refused, .destroy = destroy};
