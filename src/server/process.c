// The process's memory, and how apps count who uses them.
#include "base/random.h"
#include "net/gate.h"
#include "server/parts.h"

#define PROCESS_ARENA_CAP ((size_t)64 << 20)

dx_status dx_process_create(dx_process **out, unsigned workers) {
    dx_arena *arena = dx_arena_create(PROCESS_ARENA_CAP);
    dx_process *process = arena ? DX_ARENA_NEW(arena, dx_process) : NULL;
    dx_worker *all = process ? DX_ARENA_ARRAY(arena, dx_worker, workers) : NULL;
    if (!all) {
        dx_arena_destroy(arena);
        return DX_NO_MEMORY;
    }
    if (dx_gate_create(&process->gate, &(dx_gate_rules){0}) != DX_OK) {
        dx_arena_destroy(arena);
        return DX_NO_MEMORY;
    }
    process->arena = arena;
    process->workers = all;
    process->worker_count = workers;
    process->up_since = dx_clock_monotonic();
    atomic_init(&process->holders, 1);
    for (unsigned i = 0; i < workers; i++) {
        all[i].process = process;
        all[i].index = i;
        dx_random_bytes(all[i].random, sizeof all[i].random);
    }
    *out = process;
    return DX_OK;
}

dx_process *dx_process_hold(dx_process *process) {
    atomic_fetch_add(&process->holders, 1);
    return process;
}

void dx_process_finish(dx_process *process) {
    dx_store_close(process->store);
    process->store = NULL;
}

void dx_process_release(dx_process *process) {
    if (!process || atomic_fetch_sub(&process->holders, 1) > 1) return;
    dx_process_finish(process);
    dx_tls_tickets_release(process->tickets);
    dx_gate_destroy(process->gate);
    for (unsigned i = 0; i < process->worker_count; i++) dx_loop_destroy(process->workers[i].loop);
    dx_arena_destroy(process->arena);
}

// --- who uses an app -------------------------------------------------------------------------------------------------------

static void on_vacate(dx_task *task) {
    dx_tenure *tenure = DX_CONTAINER_OF(task, dx_tenure, vacate);
    dx_app *app = tenure->app;
    tenure->vacating = false;
    if (tenure->uses) return; // comes again
    if (atomic_fetch_sub(&app->tenants, 1) == 1 && app->process->vacated) app->process->vacated(app->process, app);
}

// Not at once: whoever lets go of an app last may still clean up after itself, in memory that is the app's.
static DX_COLD void vacate(dx_app *app, unsigned worker) {
    dx_tenure *tenure = &app->tenures[worker];
    if (tenure->vacating) return;
    tenure->vacating = true;
    tenure->app = app;
    tenure->vacate.run = on_vacate;
    dx_loop_post(app->workers[worker].loop, &tenure->vacate);
}

void dx_app_hold(dx_app *app, unsigned worker) {
    app->tenures[worker].uses++;
}

void dx_app_release(dx_app *app, unsigned worker) {
    dx_tenure *tenure = &app->tenures[worker];
    if (--tenure->uses == 0 && DX_UNLIKELY(tenure->left)) vacate(app, worker);
}

void dx_app_leave(dx_app *app, dx_worker *worker) {
    dx_app_hold(app, worker->index); // whatever ends inside, the app stands until all have been told
    app->tenures[worker->index].left = true;
    for (size_t i = 0; dx_features[i]; i++)
        if (dx_features[i]->leave) dx_features[i]->leave(app->states[i], worker->index, worker->loop);
    dx_app_release(app, worker->index);
}

void dx_app_activate(const dx_app *app) {
    dx_log_level_set(app->settings.log_level);
    dx_problem_show_inside(!app->settings.production);
    dx_gate_change(app->process->gate, &app->settings.gate);
    if (app->process->store) dx_store_set_wait(app->process->store, app->settings.overload_wait);
}
