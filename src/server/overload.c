// Watching the loop, and the filter that refuses. While all is well, it costs an exchange the reading of one flag, and a turn one look at
// the clock.
#include "server/overload.h"

#include "base/log.h"
#include "server/parts.h"

#define TELL_EVERY (10 * DX_SECOND)

static void tell(dx_overload *overload, const char *event, dx_nanos took) {
    dx_log_record record;
    if (!dx_log_enabled(DX_LOG_WARN)) return;
    dx_log_begin(&record, DX_LOG_WARN, event);
    dx_log_micros(&record, "turn_us", took);
    dx_log_int(&record, "refused", (int64_t)overload->refused);
    dx_log_end(&record);
}

// Now and then while it lasts. One that begins soon after another may be over before it is due: then the next has its refusals, too.
static void announce(dx_overload *overload, dx_nanos took) {
    dx_nanos now = overload->now();
    overload->on = true;
    if (overload->told && now - overload->told < TELL_EVERY) return;
    overload->told = now;
    overload->announced = true;
    tell(overload, "overloaded", took);
}

static void end(dx_overload *overload, dx_nanos took) {
    overload->on = false;
    if (!overload->announced) return; // nobody knows that there was one
    overload->told = overload->now();
    overload->announced = false;
    tell(overload, "overload_over", took);
    overload->refused = 0;
}

void dx_overload_turn(dx_overload *overload, dx_nanos took) {
    if (DX_LIKELY(took <= overload->bound)) {
        overload->above_from = 0;
        if (DX_LIKELY(!overload->on)) return;
        end(overload, took);
        return;
    }
    dx_nanos now = overload->now();
    if (!overload->above_from) overload->above_from = now - took; // this turn is part of the interval
    if (now - overload->above_from < DX_OVERLOAD_INTERVAL) return;
    announce(overload, took);
}

// A burst can make one turn as long as many: it is looked at from within, too.
static bool has_lasted(dx_overload *overload) {
    dx_nanos now = overload->now(), busy = dx_loop_busy_so_far(overload->loop, now);
    dx_nanos lasted = overload->above_from ? now - overload->above_from : busy;
    if (DX_LIKELY(busy <= overload->bound || lasted < DX_OVERLOAD_INTERVAL)) return false;
    announce(overload, busy);
    return true;
}

// Half of the bound is for what is accepted: the refusals, and what is under way already, need time, too.
bool dx_overload_refuses(dx_overload *overload) {
    if (DX_LIKELY(!overload->on)) {
        if (DX_LIKELY(++overload->begun % DX_OVERLOAD_LOOK) || !has_lasted(overload)) return false;
    } else if (dx_loop_busy_so_far(overload->loop, overload->now()) < overload->bound / 2) {
        return false;
    }
    overload->refused++;
    return true;
}

static void on_turn_end(void *ctx) {
    dx_overload *overload = ctx;
    dx_overload_turn(overload, dx_loop_busy(overload->loop));
}

dx_status dx_overload_start(dx_overload *overload, dx_loop *loop, dx_nanos bound) {
    *overload = (dx_overload){.loop = loop, .bound = bound, .now = dx_clock_monotonic};
    (void)dx_loop_busy(loop); // from now on
    return dx_loop_on_turn_end(loop, on_turn_end, overload);
}

// --- the filter ------------------------------------------------------------------------------------------------------------

static dx_verdict overload_in(const void *conf, dx_exchange *x) {
    dx_worker *worker = dx_worker_of(conf, x);
    if (DX_LIKELY(!dx_overload_refuses(&worker->overload))) return DX_NEXT;
    // Spread, so that those who were refused together do not come back together.
    static const dx_slice seconds[] = {DX_SLICE_INIT("1"), DX_SLICE_INIT("2"), DX_SLICE_INIT("3"), DX_SLICE_INIT("4")};
    dx_exchange_field(x, DX_SLICE("retry-after"), seconds[worker->overload.refused % DX_COUNT_OF(seconds)]);
    x->unlogged = true; // the log is told how many there were
    return dx_exchange_fail(x, DX_OVERLOADED, "the server has more to do than it can answer in time");
}

const dx_filter_ops dx_overload_filter = {.name = "overload", .in = overload_in};

// Health checks, and what is kept for administrators, are answered whatever happens.
bool dx_overload_spares(const dx_app *app, const dx_operation *operation) {
    static const dx_slice administrator = DX_SLICE_INIT("admin");
    (void)app;
    if (operation->unlogged) return true;
    for (size_t i = 0; i < operation->access.role_count; i++)
        if (!dx_slice_equal(operation->access.roles[i], administrator)) return false;
    return operation->access.role_count > 0;
}
