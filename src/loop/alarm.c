// Alarms on uv_timer, one each. libuv lets go of a handle only in a later phase of the turn, so the handle is not in the caller's struct
// but behind it: the two part at deinit.
#include "loop/alarm.h"

#include "base/memory.h"
#include "loop/loop_internal.h"

typedef struct bell {
    uv_timer_t timer;
    dx_loop *loop;
    dx_alarm *alarm;
} bell;

static void on_due(uv_timer_t *timer) {
    bell *b = timer->data;
    b->loop->stirred = true;
    b->alarm->fire(b->alarm);
}

dx_status dx_alarm_init(dx_alarm *alarm, dx_loop *loop, void (*fire)(dx_alarm *alarm)) {
    alarm->impl = NULL;
    alarm->fire = fire;
    bell *b = dx_memory_zalloc(1, sizeof *b);
    if (!b) return DX_NO_MEMORY;
    (void)uv_timer_init(loop->uv, &b->timer); // cannot fail
    if (!loop->borrowed) uv_unref((uv_handle_t *)&b->timer);
    b->timer.data = b;
    b->loop = loop;
    b->alarm = alarm;
    loop->handles++;
    alarm->impl = b;
    return DX_OK;
}

void dx_alarm_start(dx_alarm *alarm, dx_nanos after) {
    bell *b = alarm->impl;
    (void)uv_timer_start(&b->timer, on_due, dx_loop_millis_until(b->loop, after), 0); // fails for closed handles alone
}

void dx_alarm_stop(dx_alarm *alarm) {
    bell *b = alarm->impl;
    if (b) (void)uv_timer_stop(&b->timer);
}

bool dx_alarm_running(const dx_alarm *alarm) {
    const bell *b = alarm->impl;
    return b && uv_is_active((const uv_handle_t *)&b->timer);
}

static void on_gone(uv_handle_t *handle) {
    bell *b = handle->data;
    dx_loop_handle_gone(b->loop);
    dx_memory_free(b);
}

void dx_alarm_deinit(dx_alarm *alarm) {
    bell *b = alarm->impl;
    if (!b) return;
    alarm->impl = NULL;
    uv_close((uv_handle_t *)&b->timer, on_gone);
}
