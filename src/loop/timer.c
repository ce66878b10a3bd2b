// Timers: a hierarchical wheel (Varghese and Lauck, 1987) under one uv_timer. Starting and stopping are a few pointer writes; stopping does
// not even touch the uv_timer, which at worst wakes once for nothing. While no timer runs, nothing ticks.
#include "loop/loop_internal.h"

#define SLOT_MASK (DX_WHEEL_SLOTS - 1)

static dx_loop *loop_of(uv_timer_t *ticker) {
    return DX_CONTAINER_OF(ticker, dx_loop, wheel.ticker);
}

static void link_timer(dx_timer **head, dx_timer *timer) {
    timer->next = *head;
    timer->link = head;
    if (timer->next) timer->next->link = &timer->next;
    *head = timer;
}

static void unlink_timer(dx_timer *timer) {
    *timer->link = timer->next;
    if (timer->next) timer->next->link = timer->link;
    timer->next = NULL;
    timer->link = NULL;
}

// The first tick that does not come before `due`.
static int64_t tick_of(dx_nanos due) {
    return due / DX_TIMER_TICK + (due % DX_TIMER_TICK != 0);
}

// Puts the timer into its slot and returns the tick at which the wheel must look at it.
static int64_t place(dx_wheel *wheel, dx_timer *timer) {
    int64_t at = tick_of(timer->due);
    if (at < wheel->tick) at = wheel->tick;
    unsigned level = 0;
    while (level < DX_WHEEL_LEVELS - 1 && (at - wheel->tick) >> (DX_WHEEL_BITS * (level + 1))) level++;
    const int64_t span = (int64_t)1 << (DX_WHEEL_BITS * DX_WHEEL_LEVELS);
    if (at - wheel->tick >= span) at = wheel->tick + span - 1; // farther than the wheels reach: looked at again on the way
    unsigned slot = (unsigned)(at >> (DX_WHEEL_BITS * level)) & SLOT_MASK;
    link_timer(&wheel->slots[level][slot], timer);
    if (level == 0) {
        wheel->used |= 1ULL << slot;
        return at;
    }
    return (wheel->tick | SLOT_MASK) + 1; // the next cascade
}

// Moves the timers of one slot of a coarser wheel down. The slot is emptied first: one that lies too far comes back to it.
static void cascade(dx_wheel *wheel, unsigned level) {
    dx_timer **slot = &wheel->slots[level][(unsigned)(wheel->tick >> (DX_WHEEL_BITS * level)) & SLOT_MASK];
    dx_timer *timer = *slot;
    *slot = NULL;
    while (timer) {
        dx_timer *next = timer->next;
        (void)place(wheel, timer);
        timer = next;
    }
}

static void fire_tick(dx_wheel *wheel) {
    unsigned slot = (unsigned)wheel->tick & SLOT_MASK;
    if (slot == 0) {
        unsigned level = 1;
        while (level < DX_WHEEL_LEVELS - 1 && ((wheel->tick >> (DX_WHEEL_BITS * level)) & SLOT_MASK) == 0) level++;
        for (; level > 0; level--) cascade(wheel, level);
    }
    wheel->firing = wheel->slots[0][slot];
    if (wheel->firing) wheel->firing->link = &wheel->firing;
    wheel->slots[0][slot] = NULL;
    wheel->used &= ~(1ULL << slot);
    wheel->tick++; // before firing: what is started from inside goes into a later slot
    while (wheel->firing) {
        dx_timer *timer = wheel->firing;
        unlink_timer(timer);
        wheel->running--;
        timer->fire(timer);
    }
}

// The next tick with something to do: a slot of the first wheel that may hold timers, or the next cascade.
static int64_t next_tick(const dx_wheel *wheel) {
    unsigned slot = (unsigned)wheel->tick & SLOT_MASK;
    if (slot == 0) return wheel->tick;
    uint64_t ahead = wheel->used >> slot;
    return ahead ? wheel->tick + __builtin_ctzll(ahead) : (wheel->tick | SLOT_MASK) + 1;
}

// Between turns it is an old one, and then the wheel catches up.
static int64_t turn_tick(const dx_loop *loop) {
    return (dx_nanos)uv_now(loop->uv) * DX_MILLISECOND / DX_TIMER_TICK;
}

static void on_tick(uv_timer_t *ticker);

static void arm(dx_loop *loop, int64_t tick) {
    dx_wheel *wheel = &loop->wheel;
    wheel->armed = tick;
    int64_t due_ms = tick * (DX_TIMER_TICK / DX_MILLISECOND);
    int64_t now_ms = (int64_t)uv_now(loop->uv);
    (void)uv_timer_start(&wheel->ticker, on_tick, due_ms > now_ms ? (uint64_t)(due_ms - now_ms) : 0, 0); // fails for NULL callbacks alone
}

static void on_tick(uv_timer_t *ticker) {
    dx_loop *loop = loop_of(ticker);
    dx_wheel *wheel = &loop->wheel;
    wheel->armed = INT64_MAX;
    loop->stirred = true;
    int64_t now = turn_tick(loop);
    while (wheel->running > 0) {
        int64_t next = next_tick(wheel);
        if (next > now) break;
        wheel->tick = next;
        fire_tick(wheel);
    }
    if (wheel->running > 0) arm(loop, next_tick(wheel));
}

void dx_timer_start(dx_loop *loop, dx_timer *timer, dx_nanos after) {
    dx_wheel *wheel = &loop->wheel;
    if (timer->link) {
        unlink_timer(timer);
        wheel->running--;
    }
    const dx_nanos farthest = (dx_nanos)1 << 61; // some 70 years: more would overflow
    if (after < 0) after = 0;
    // The clock and not the turn's time, which may be old by now: a timer never fires early.
    dx_nanos now = dx_clock_monotonic();
    timer->due = now + (after < farthest ? after : farthest);
    if (wheel->running == 0) {
        int64_t current = turn_tick(loop);
        if (wheel->tick <= current) wheel->tick = current + 1; // it stood still while it was empty
    }
    int64_t look = place(wheel, timer);
    wheel->running++;
    if (look < wheel->armed) arm(loop, look);
}

void dx_timer_stop(dx_loop *loop, dx_timer *timer) {
    if (!timer->link) return;
    unlink_timer(timer);
    loop->wheel.running--;
}

void dx_wheel_init(dx_loop *loop) {
    loop->wheel.armed = INT64_MAX;
    (void)uv_timer_init(loop->uv, &loop->wheel.ticker);
    uv_unref((uv_handle_t *)&loop->wheel.ticker);
}
