// Calls and the tokens they want: the quick way to one that is there, and waiting for one that is not.
#include "base/memory.h"
#include "base/random.h"
#include "client/token_parts.h"

// --- settings ------------------------------------------------------------------------------------------------------------------------

void dx_token_settings_read(dx_token_settings *out, dx_auth_reader *reader) {
    out->leeway = (dx_nanos)(dx_auth_number(reader, "leeway", -1, 0, 86400) * (double)DX_SECOND);
    out->cooldown = (dx_nanos)(dx_auth_number(reader, "cooldown", 30, 0, 86400) * (double)DX_SECOND);
    out->timeout = (dx_nanos)(dx_auth_number(reader, "token_timeout", 30, 1, 600) * (double)DX_SECOND);
    out->default_lifetime_s = (int64_t)dx_auth_number(reader, "default_expires_in", 3600, 1, 3.2e8);
}

// With jitter, so that processes don't come all at once: up to half as much again.
dx_nanos dx_tokens_leeway(const dx_tokens *tokens, int64_t lifetime_s) {
    dx_nanos lifetime = lifetime_s * DX_SECOND, leeway = tokens->times.leeway;
    if (leeway < 0) leeway = lifetime / 10 < 60 * DX_SECOND ? lifetime / 10 : 60 * DX_SECOND;
    if (leeway > lifetime / 2) leeway = lifetime / 2;
    return leeway ? leeway + (dx_nanos)(dx_random_u64() % (uint64_t)(leeway / 2 + 1)) : 0;
}

// --- waiting -------------------------------------------------------------------------------------------------------------------------

static void unlink_waiter(token_waiter *waiter) {
    *waiter->link = waiter->next;
    if (waiter->next) waiter->next->link = waiter->link;
}

// A call that waits is stopped. What was posted for it already finds it gone.
static void leave(dx_exchange *x) {
    token_waiter *waiter = dx_auth_applied_of(x)->waiting;
    dx_tokens *tokens = waiter->tokens;
    dx_auth_applied_of(x)->waiting = NULL;
    pthread_mutex_lock(&tokens->lock);
    bool posted = waiter->gone = waiter->posted;
    if (!posted) unlink_waiter(waiter);
    pthread_mutex_unlock(&tokens->lock);
    if (!posted) dx_memory_free(waiter);
}

static dx_verdict say_why(dx_tokens *tokens, dx_exchange *x, dx_nanos now) {
    pthread_mutex_lock(&tokens->lock);
    dx_nanos left = tokens->cool_until - now;
    dx_slice why = dx_arena_copy(x->arena, dx_slice_str(tokens->why));
    pthread_mutex_unlock(&tokens->lock);
    if (!why.size) why = DX_SLICE("there is no token");
    if (left <= 0) return dx_exchange_fail_out(x, DX_ERROR_AUTH, "%.*s", DX_SLICE_ARG(why));
    return dx_exchange_fail_out(x, DX_ERROR_AUTH, "%.*s (tried again in %lld s)", DX_SLICE_ARG(why),
                                (long long)((left + DX_SECOND - 1) / DX_SECOND));
}

// Copies the token's text for x, if it may be used; under the lock.
static bool take_text(dx_tokens *tokens, dx_exchange *x, dx_slice *text) {
    *text = dx_arena_copy(x->arena, tokens->current->access);
    dx_auth_applied_of(x)->serial = tokens->serial;
    return text->data != NULL;
}

static bool add_waiter(dx_tokens *tokens, const dx_auth_place *place, dx_exchange *x);

// One that has just come counts however short it lasts: there is no better one. But it may have been refused meanwhile, to another call.
static bool is_usable(const dx_tokens *tokens, const token_waiter *waiter) {
    return tokens->current && !tokens->refused && (tokens->serial != waiter->serial || dx_clock_monotonic() < tokens->valid_until);
}

static void on_wake(dx_task *task) {
    token_waiter *waiter = DX_CONTAINER_OF(task, token_waiter, task);
    dx_tokens *tokens = waiter->tokens;
    dx_exchange *x = waiter->x;
    const dx_auth_place *place = waiter->place;
    dx_slice text = {0};
    pthread_mutex_lock(&tokens->lock);
    bool gone = waiter->gone, usable = !gone && is_usable(tokens, waiter), copied = usable && take_text(tokens, x, &text);
    bool waits = !gone && !usable && !waiter->failed && add_waiter(tokens, place, x);
    pthread_mutex_unlock(&tokens->lock);
    dx_memory_free(waiter);
    if (!gone && !waits) {
        dx_auth_applied_of(x)->waiting = NULL;
        x->stop = NULL;
        dx_verdict verdict = copied   ? dx_auth_place_put(place, x, text)
                             : usable ? dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL)
                                      : say_why(tokens, x, dx_clock_monotonic());
        dx_exchange_resume(x, verdict);
    }
    dx_tokens_release(tokens);
}

// Posted under the lock: as long as a call has not left, its loop is there.
void dx_tokens_wake(dx_tokens *tokens, bool failed) {
    while (tokens->waiters) {
        token_waiter *waiter = tokens->waiters;
        unlink_waiter(waiter);
        waiter->posted = true;
        waiter->failed = failed;
        (void)dx_tokens_hold(tokens);
        dx_loop_post(waiter->x->loop, &waiter->task);
    }
}

static void on_kick(dx_task *task) {
    dx_tokens *tokens = DX_CONTAINER_OF(task, dx_tokens, kick);
    pthread_mutex_lock(&tokens->lock);
    tokens->kicked = false;
    pthread_mutex_unlock(&tokens->lock);
    dx_tokens_renew(tokens);
    dx_tokens_release(tokens);
}

bool dx_tokens_kick(dx_tokens *tokens) {
    if (tokens->kicked) return true;
    dx_engine *engine = dx_token_set_engine(tokens->set);
    if (!engine) return false;
    tokens->kicked = true;
    tokens->kick.run = on_kick;
    (void)dx_tokens_hold(tokens);
    dx_loop_post(engine->loop, &tokens->kick);
    return true;
}

// Under the lock.
static bool add_waiter(dx_tokens *tokens, const dx_auth_place *place, dx_exchange *x) {
    token_waiter *waiter = dx_memory_zalloc(1, sizeof *waiter);
    if (!waiter) return false;
    *waiter = (token_waiter){.task = {.run = on_wake}, .tokens = tokens, .place = place, .x = x, .serial = tokens->serial};
    waiter->next = tokens->waiters;
    waiter->link = &tokens->waiters;
    if (waiter->next) waiter->next->link = &waiter->next;
    tokens->waiters = waiter;
    dx_auth_applied_of(x)->waiting = waiter;
    if (dx_tokens_kick(tokens)) return true;
    unlink_waiter(waiter);
    dx_memory_free(waiter);
    return false;
}

// --- applying ------------------------------------------------------------------------------------------------------------------------

dx_verdict dx_tokens_apply(dx_tokens *tokens, const dx_auth_place *place, dx_exchange *x) {
    dx_nanos now = dx_clock_monotonic();
    dx_slice text = {0};
    bool waits = false, copied = false;
    pthread_mutex_lock(&tokens->lock);
    bool usable = tokens->current && !tokens->refused && now < tokens->valid_until, cool = now < tokens->cool_until;
    if (usable) {
        copied = take_text(tokens, x, &text);
        if (now >= tokens->fresh_until && !cool) (void)dx_tokens_kick(tokens); // while it is good, the old one serves
    } else if (!cool) {
        waits = add_waiter(tokens, place, x);
    }
    pthread_mutex_unlock(&tokens->lock);
    if (waits) {
        x->stop = leave;
        return DX_WAIT;
    }
    if (copied) return dx_auth_place_put(place, x, text);
    if (cool && !usable) return say_why(tokens, x, now);
    return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
}

bool dx_tokens_refused(dx_tokens *tokens, dx_exchange *x) {
    uint64_t serial = dx_auth_applied_of(x)->serial;
    dx_nanos now = dx_clock_monotonic();
    pthread_mutex_lock(&tokens->lock);
    bool again = true;
    if (serial == tokens->serial && !tokens->refused) {
        // One that was got because the one before it was refused, and is refused too: another will not do better.
        again = !(atomic_load(&tokens->unproven) && now - tokens->got < tokens->times.cooldown);
        tokens->refused = again;
    }
    if (again && tokens->refused && now < tokens->cool_until) again = false; // the answer says more than our error would
    pthread_mutex_unlock(&tokens->lock);
    return again;
}

void dx_tokens_accepted(dx_tokens *tokens, dx_exchange *x) {
    if (!atomic_load_explicit(&tokens->unproven, memory_order_relaxed)) return;
    pthread_mutex_lock(&tokens->lock);
    if (dx_auth_applied_of(x)->serial == tokens->serial) atomic_store(&tokens->unproven, false);
    pthread_mutex_unlock(&tokens->lock);
}

const void *dx_tokens_source(const dx_tokens *tokens) {
    return tokens->source;
}

// --- holding -------------------------------------------------------------------------------------------------------------------------

dx_tokens *dx_tokens_hold(dx_tokens *tokens) {
    (void)atomic_fetch_add_explicit(&tokens->holders, 1, memory_order_relaxed);
    return tokens;
}

void dx_tokens_release(dx_tokens *tokens) {
    if (tokens && atomic_fetch_sub_explicit(&tokens->holders, 1, memory_order_acq_rel) == 1) dx_tokens_free(tokens);
}
