// Running a list of middleware around a call. The list is walked here and not by the chain, because "*" is known only when a call runs. One
// that waits holds the call; whoever comes first, its resume or the call's end, decides by one atomic word.
#include "client/middleware.h"

#include "base/memory.h"
#include "client/client.h"
#include "client/fail.h"

enum { RUNNING, WAITING, RESUMED, STOPPED };

// --- registering -----------------------------------------------------------------------------------------------------------------------

static const dx_used *find(const dx_client *client, size_t count, dx_slice name) {
    for (size_t i = 0; i < count; i++)
        if (dx_slice_equal(client->used[i].name, name)) return &client->used[i];
    return NULL;
}

static dx_error_code add(dx_client *client, dx_slice name, const dx_middleware *ops, void *context, dx_error *error) {
    size_t count = atomic_load_explicit(&client->used_count, memory_order_relaxed);
    dx_used *used = &client->used[count];
    if (find(client, count, name))
        return dx_fail(error, DX_ERROR_ARGUMENT, "there is a middleware of the name \"%.*s\" already", DX_SLICE_ARG(name));
    if (count == DX_MIDDLEWARE_CAP) return dx_fail(error, DX_ERROR_ARGUMENT, "a client has %d middleware at most", DX_MIDDLEWARE_CAP);
    char *copy = dx_memory_alloc(name.size);
    if (!copy) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for a middleware");
    memcpy(copy, name.data, name.size);
    used->name = dx_slice_of(copy, name.size);
    used->context = context;
    used->ops = (dx_middleware)DX_MIDDLEWARE_INIT;
    memcpy(&used->ops, ops, ops->size < sizeof used->ops ? ops->size : sizeof used->ops);
    atomic_store_explicit(&client->used_count, count + 1, memory_order_release);
    return DX_ERROR_NONE;
}

dx_error_code dx_client_use(dx_client *client, const char *name, const dx_middleware *ops, void *context, dx_error *error) {
    dx_slice text = dx_slice_str(name);
    if (error) *error = (dx_error)DX_ERROR_INIT;
    if (text.size == 0 || dx_slice_equal(text, DX_SLICE("*")))
        return dx_fail(error, DX_ERROR_ARGUMENT, "a middleware needs a name, and \"*\" stands for all");
    pthread_mutex_lock(&client->lock);
    dx_error_code code = add(client, text, ops, context, error);
    pthread_mutex_unlock(&client->lock);
    return code;
}

// --- the list of a call ------------------------------------------------------------------------------------------------------------------

static bool is_named(yyjson_val *names, dx_slice name) {
    size_t i, n;
    yyjson_val *item;
    yyjson_arr_foreach(names, i, n, item) if (dx_slice_equal(dx_json_slice(item), name)) return true;
    return false;
}

// "*": all that the list does not name, in the order in which they were registered.
static void add_others(dx_middleware_view *view, const dx_client *client, size_t used, yyjson_val *names) {
    for (size_t i = 0; i < used; i++)
        if (!is_named(names, client->used[i].name)) view->list[view->count++] = &client->used[i];
}

static dx_middleware_view *make_view(dx_call *call, yyjson_val *names, dx_slice *unknown) {
    const dx_client *client = call->client;
    size_t i, n, used = atomic_load_explicit(&client->used_count, memory_order_acquire);
    yyjson_val *item;
    dx_middleware_view *view = DX_ARENA_NEW(call->arena, dx_middleware_view);
    if (!view) return NULL;
    view->call = call;
    view->list = DX_ARENA_ARRAY(call->arena, const dx_used *, used + yyjson_arr_size(names) + 1);
    if (!view->list) return NULL;
    yyjson_arr_foreach(names, i, n, item) {
        dx_slice name = dx_json_slice(item);
        const dx_used *found = find(client, used, name);
        if (found)
            view->list[view->count++] = found;
        else if (!dx_slice_equal(name, DX_SLICE("*")))
            *unknown = name;
        else if (view->count <= used)
            add_others(view, client, used, names);
    }
    return view;
}

// --- before
// --------------------------------------------------------------------------------------------------------------------------------

static dx_middleware_view *view_of(dx_exchange *x) {
    return dx_call_of(x)->middleware;
}

static void stop_waiting(dx_exchange *x) {
    int waiting = WAITING;
    (void)atomic_compare_exchange_strong(&view_of(x)->state, &waiting, STOPPED);
}

static dx_verdict answered(dx_exchange *x) {
    if (x->response.status == 0 && x->failure == DX_ERROR_NONE)
        return dx_exchange_fail_out(x, DX_ERROR_INTERNAL, "a middleware said that it answered, and did not");
    return DX_ANSWER;
}

static dx_verdict run_before(dx_middleware_view *view) {
    dx_exchange *x = &view->call->x;
    while (view->at < view->count) {
        const dx_used *used = view->list[view->at];
        atomic_store(&view->state, WAITING); // before it runs: another thread may resume before it returns
        dx_middleware_verdict verdict = used->ops.before ? used->ops.before(used->context, view) : DX_MIDDLEWARE_NEXT;
        if (verdict == DX_MIDDLEWARE_WAIT) {
            x->stop = stop_waiting;
            return DX_WAIT;
        }
        atomic_store(&view->state, RUNNING);
        if (verdict == DX_MIDDLEWARE_ANSWER) return answered(x);
        view->at++;
    }
    return DX_NEXT;
}

static void run_after(dx_middleware_view *view) {
    while (view->at) {
        const dx_used *used = view->list[--view->at];
        if (used->ops.after) used->ops.after(used->context, view);
    }
}

static dx_verdict middleware_in(const void *conf, dx_exchange *x) {
    dx_call *call = dx_call_of(x);
    dx_slice unknown = {0};
    dx_middleware_view *view = call->middleware = make_view(call, (yyjson_val *)(uintptr_t)conf, &unknown);
    if (!view) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    if (unknown.size) {
        return dx_exchange_fail_out(x, DX_ERROR_UNKNOWN_NAME, "the middleware \"%.*s\" was never registered (dx_client_use)",
                                    DX_SLICE_ARG(unknown));
    }
    // One hold for as long as somebody may resume: it is let go by resuming, or here.
    dx_call_hold(call);
    dx_verdict verdict = run_before(view);
    if (verdict == DX_WAIT) return DX_WAIT;
    if (verdict == DX_ANSWER) run_after(view); // the chain does not leave a filter that answers at once
    dx_call_release(call);
    return verdict;
}

static void middleware_out(const void *conf, dx_exchange *x) {
    (void)conf;
    if (view_of(x)) run_after(view_of(x));
}

const dx_filter_ops dx_middleware_filter = {.name = "middleware", .in = middleware_in, .out = middleware_out};

// --- resuming
// ------------------------------------------------------------------------------------------------------------------------------

static void go_on(dx_task *task) {
    dx_middleware_view *view = DX_CONTAINER_OF(task, dx_middleware_view, task);
    dx_call *call = view->call;
    dx_exchange *x = &call->x;
    if (x->aborted) return dx_call_release(call); // it was ended meanwhile
    x->stop = NULL;
    dx_verdict verdict = DX_ANSWER;
    if (view->verdict == DX_MIDDLEWARE_ANSWER) {
        (void)answered(x);
    } else {
        view->at++;
        verdict = run_before(view);
    }
    if (verdict == DX_WAIT) return;
    dx_exchange_resume(x, verdict);
    dx_call_release(call);
}

void dx_middleware_resume(dx_middleware_view *view, dx_middleware_verdict verdict) {
    int waiting = WAITING;
    view->verdict = verdict;
    view->task.run = go_on;
    if (atomic_compare_exchange_strong(&view->state, &waiting, RESUMED))
        dx_loop_post(view->call->engine->loop, &view->task);
    else if (waiting == STOPPED)
        dx_call_release(view->call);
}
