// The connection: commands go out together at a turn's end, replies come back in their order. A call that nobody waits for any more (timed
// out, cancelled) keeps its place in that order, as an empty slot. A server that owes an answer and says nothing for twice the
// usual timeout counts as lost: a connection may be dead without a word.
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/memory.h"
#include "crypto/digest.h"
#include "redis/redis_internal.h"

#define READ_SIZE   ((size_t)16 << 10)
#define READ_ROUNDS 16                  // a turn's; others want theirs
#define OUT_KEPT    ((size_t)256 << 10) // of the buffer, between two turns
#define RING_LEAST  64

static void release(dx_redis *redis) {
    dx_memory_free(redis->slots);
    if (redis->texts) dx_secret_wipe(redis->texts, redis->texts_size);
    dx_memory_free(redis->texts);
    dx_memory_free(redis);
}

bool dx_redis_leave(dx_redis *redis) {
    if (--redis->depth > 0 || !redis->destroyed) return false;
    release(redis);
    return true;
}

// --- calls in flight -------------------------------------------------------------------------------------------------------

static dx_redis_call **slot_of(dx_redis *redis, uint64_t number) {
    return &redis->slots[number & (redis->ring_size - 1)];
}

static dx_redis_call *take_first(dx_redis *redis) {
    dx_redis_call *call = *slot_of(redis, redis->first);
    redis->first++;
    redis->in_flight--;
    return call;
}

// The call is the caller's again.
static void part(dx_redis_call *call) {
    dx_timer_stop(call->redis->loop, &call->timer);
    dx_memory_free(call->tail);
    call->tail = NULL;
    call->script = NULL;
    call->redis = NULL;
}

static void finish(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    dx_redis *redis = call->redis;
    part(call);
    if (status == DX_OK) {
        dx_redis_bump(&redis->counters.answered, 1);
        dx_redis_bump(&redis->counters.latency_ns, (uint64_t)(redis->waiting_since - call->sent)); // when it was read
        if (reply->kind == DX_REDIS_ERROR) dx_redis_bump(&redis->counters.errors, 1);
    } else {
        dx_redis_bump(status == DX_REQUEST_TIMEOUT ? &redis->counters.timeouts : &redis->counters.failed, 1);
    }
    call->done(call, status, reply);
}

void dx_redis_fail_all(dx_redis *redis, dx_status oldest, dx_status others) {
    dx_status status = oldest;
    while (redis->in_flight > 0) { // nothing is taken meanwhile
        dx_redis_call *call = take_first(redis);
        if (call) finish(call, status, NULL);
        status = redis->destroyed ? DX_CANCELLED : others;
    }
}

static void on_late(dx_timer *timer) {
    dx_redis_call *call = DX_CONTAINER_OF(timer, dx_redis_call, timer);
    dx_redis *redis = call->redis;
    *slot_of(redis, call->number) = NULL;
    dx_redis_enter(redis);
    finish(call, DX_REQUEST_TIMEOUT, NULL);
    dx_nanos silent = dx_clock_monotonic() - redis->waiting_since;
    if (!redis->destroyed && redis->state == DX_REDIS_UP && redis->in_flight > 0 && silent > 2 * redis->settings.command_timeout)
        dx_redis_lost(redis, DX_UNAVAILABLE, "the server says nothing any more", NULL);
    (void)dx_redis_leave(redis);
}

static dx_status grow_ring(dx_redis *redis) {
    size_t size = redis->ring_size ? redis->ring_size * 2 : RING_LEAST;
    dx_redis_call **slots = dx_memory_zalloc(size, sizeof(dx_redis_call *));
    if (!slots) return DX_NO_MEMORY;
    for (uint64_t n = redis->first; n < redis->first + redis->in_flight; n++) slots[n & (size - 1)] = *slot_of(redis, n);
    dx_memory_free(redis->slots);
    redis->slots = slots;
    redis->ring_size = size;
    return DX_OK;
}

dx_status dx_redis_admit(dx_redis *redis) {
    if (redis->state == DX_REDIS_DOWN) return DX_UNAVAILABLE;
    if (redis->in_flight >= redis->settings.in_flight_cap) return DX_OVERLOADED;
    return redis->in_flight == redis->ring_size ? grow_ring(redis) : DX_OK;
}

void dx_redis_track(dx_redis *redis, dx_redis_call *call, dx_nanos timeout) {
    dx_nanos now = dx_clock_monotonic();
    call->redis = redis;
    call->number = redis->first + redis->in_flight;
    *slot_of(redis, call->number) = call;
    if (redis->in_flight++ == 0) redis->waiting_since = now;
    dx_loop_defer(redis->loop, &redis->flush);
    if (timeout == 0) return;
    call->sent = now;
    call->timer.fire = on_late;
    dx_timer_start(redis->loop, &call->timer, timeout);
    dx_redis_bump(&redis->counters.commands, 1);
}

dx_status dx_redis_send(dx_redis *redis, dx_redis_call *call, const dx_slice *args, size_t count, dx_nanos timeout) {
    call->redis = NULL;
    call->timer = (dx_timer){0};
    call->script = NULL;
    call->tail = NULL;
    dx_status status = count == 0 || count > DX_REDIS_ARGS_CAP ? DX_INVALID : dx_redis_admit(redis);
    if (status == DX_OK) status = dx_redis_put(&redis->out, args, count);
    if (status == DX_OK)
        dx_redis_track(redis, call, timeout > 0 ? timeout : redis->settings.command_timeout);
    else
        dx_redis_bump(&redis->counters.refused, 1);
    return status;
}

void dx_redis_cancel(dx_redis_call *call) {
    dx_redis *redis = call->redis;
    if (!redis) return;
    *slot_of(redis, call->number) = NULL;
    dx_redis_bump(&redis->counters.cancelled, 1);
    part(call);
}

// --- bytes -----------------------------------------------------------------------------------------------------------------

// False: the socket takes no more now, or the connection is lost.
static bool send_from(dx_redis *redis, dx_buffer *buffer, size_t *sent) {
    while (*sent < buffer->size) {
        ssize_t took = send(redis->fd, buffer->data + *sent, buffer->size - *sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (took < 0 && errno == EINTR) continue;
        if (took < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
        if (took < 0) {
            char text[80];
            dx_redis_lost(redis, DX_UNAVAILABLE, "cannot send", strerror_r(errno, text, sizeof text));
            return false;
        }
        *sent += (size_t)took;
    }
    return true;
}

// What is sent makes room.
static void drop_sent(dx_redis *redis) {
    dx_buffer *out = &redis->out;
    if (redis->out_sent == out->size && out->capacity > OUT_KEPT) {
        dx_buffer_deinit(out);
        dx_buffer_init(out, NULL, redis->settings.unsent_cap);
    } else if (redis->out_sent == out->size) {
        dx_buffer_clear(out);
    } else if (redis->out_sent >= out->size / 2) {
        memmove(out->data, out->data + redis->out_sent, out->size - redis->out_sent);
        out->size -= redis->out_sent;
    } else {
        return;
    }
    redis->out_sent = 0;
}

void dx_redis_flush(dx_redis *redis) {
    if (redis->state < DX_REDIS_GREETING) return; // `connected` comes here
    bool greeted = redis->hello_sent == redis->hello.size;
    if (!greeted && send_from(redis, &redis->hello, &redis->hello_sent)) {
        dx_secret_wipe(redis->hello.data, redis->hello.capacity);
        greeted = true;
    }
    bool all = greeted && send_from(redis, &redis->out, &redis->out_sent);
    if (redis->state == DX_REDIS_DOWN) return;
    drop_sent(redis);
    dx_descriptor_want(redis->descriptor, all ? DX_READABLE : DX_READABLE | DX_WRITABLE);
}

static void on_flush(dx_deferred *deferred) {
    dx_redis *redis = DX_CONTAINER_OF(deferred, dx_redis, flush);
    dx_redis_enter(redis);
    dx_redis_flush(redis);
    (void)dx_redis_leave(redis);
}

static void deliver(dx_redis *redis, const dx_redis_reply *reply) {
    if (redis->greetings > 0) {
        if (redis->replies.failed == DX_OK)
            dx_redis_greeted(redis, reply);
        else
            dx_redis_lost(redis, DX_UNAVAILABLE, "no memory for the server's greeting", NULL);
        return;
    }
    if (redis->in_flight == 0) {
        dx_redis_lost(redis, DX_UNAVAILABLE, "the server answers what nobody asked",
                      reply->kind == DX_REDIS_ERROR ? reply->text.data : NULL);
        return;
    }
    dx_redis_call *call = take_first(redis);
    if (!call) return;
    dx_status status = redis->replies.failed;
    if (status == DX_OK && call->script && dx_redis_script_resend(redis, call, reply, &status)) return;
    finish(call, status, status == DX_OK ? reply : NULL);
}

// False: the connection is not there any more.
static bool deliver_all(dx_redis *redis) {
    for (;;) {
        const dx_redis_reply *reply;
        if (dx_redis_replies_next(&redis->replies, &reply) != DX_OK) {
            dx_redis_lost(redis, DX_UNAVAILABLE, "the server does not speak Redis' protocol", NULL);
            return false;
        }
        if (!reply) return true;
        deliver(redis, reply);
        if (redis->destroyed || redis->state == DX_REDIS_DOWN) return false;
        dx_redis_replies_done(&redis->replies);
    }
}

void dx_redis_read(dx_redis *redis) {
    char data[READ_SIZE];
    for (unsigned round = 0; round < READ_ROUNDS; round++) {
        ssize_t got = recv(redis->fd, data, sizeof data, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (got <= 0) {
            char text[80];
            dx_redis_lost(redis, DX_UNAVAILABLE, "the connection is lost",
                          got ? strerror_r(errno, text, sizeof text) : "closed by the server");
            return;
        }
        redis->waiting_since = dx_clock_monotonic();
        dx_status status = dx_redis_replies_feed(&redis->replies, data, (size_t)got);
        if (status != DX_OK) {
            dx_redis_lost(redis, status, status == DX_TOO_LARGE ? "a reply is over the cap" : "no memory for a reply", NULL);
            return;
        }
        if (!deliver_all(redis) || (size_t)got < sizeof data) return;
    }
}

// --- life ------------------------------------------------------------------------------------------------------------------

static void on_pause_over(dx_timer *timer) {
    dx_redis *redis = DX_CONTAINER_OF(timer, dx_redis, pause);
    dx_redis_enter(redis);
    dx_redis_begin(redis);
    (void)dx_redis_leave(redis);
}

static void on_patience_over(dx_timer *timer) {
    dx_redis *redis = DX_CONTAINER_OF(timer, dx_redis, patience);
    dx_redis_enter(redis);
    dx_redis_lost(redis, DX_UNAVAILABLE, "cannot connect", "it took too long");
    (void)dx_redis_leave(redis);
}

static void keep(char **at, dx_slice *text) {
    char *copy = *at;
    if (text->size) memcpy(copy, text->data, text->size);
    *at += text->size + 1; // the NUL is there
    text->data = copy;
}

static dx_status keep_settings(dx_redis *redis, const dx_redis_settings *settings) {
    dx_redis_settings *s = &redis->settings;
    *s = *settings;
    redis->texts_size = s->host.size + s->path.size + s->user.size + s->password.size + 4;
    redis->texts = dx_memory_zalloc(1, redis->texts_size);
    if (!redis->texts) return DX_NO_MEMORY;
    char *at = redis->texts;
    keep(&at, &s->host);
    keep(&at, &s->path);
    keep(&at, &s->user);
    keep(&at, &s->password);
    return DX_OK;
}

dx_status dx_redis_create(dx_redis **out, dx_loop *loop, const dx_redis_settings *settings) {
    if (settings->path.size >= sizeof((struct sockaddr_un *)0)->sun_path || settings->host.size > 255) return DX_INVALID;
    dx_redis *redis = dx_memory_zalloc(1, sizeof *redis);
    if (!redis) return DX_NO_MEMORY;
    if (keep_settings(redis, settings) != DX_OK) {
        release(redis);
        return DX_NO_MEMORY;
    }
    redis->loop = loop;
    redis->fd = -1;
    redis->pause.fire = on_pause_over;
    redis->patience.fire = on_patience_over;
    redis->flush.run = on_flush;
    dx_redis_begin(redis);
    *out = redis;
    return DX_OK;
}

void dx_redis_destroy(dx_redis *redis) {
    if (!redis) return;
    redis->destroyed = true;
    dx_redis_enter(redis);
    dx_redis_close(redis);
    dx_timer_stop(redis->loop, &redis->pause);
    dx_redis_fail_all(redis, DX_CANCELLED, DX_CANCELLED);
    (void)dx_redis_leave(redis);
}

bool dx_redis_up(const dx_redis *redis, dx_slice *why) {
    if (why) *why = dx_slice_str(redis->why);
    return redis->state == DX_REDIS_UP;
}

void dx_redis_count(const dx_redis *redis, dx_redis_counters *out) {
#define LOAD(name) .name = atomic_load_explicit(&redis->counters.name, memory_order_relaxed)
    *out = (dx_redis_counters){LOAD(commands), LOAD(answered), LOAD(timeouts), LOAD(failed), LOAD(cancelled),
                               LOAD(errors),   LOAD(refused),  LOAD(connects), LOAD(losses), LOAD(latency_ns)};
#undef LOAD
}
