// From nothing to a connection that answers, and back. A name is resolved on the pool (getaddrinfo blocks), its addresses are tried in
// turn, and the greeting (AUTH, SELECT, PING) goes out before anything else: only when its last reply is there does the server count as up,
// so that one that accepts and then refuses is not asked more and more often. `patience` bounds all of it.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "crypto/digest.h"
#include "redis/redis_internal.h"

typedef struct dx_redis_resolve {
    dx_work work;
    dx_redis *owner; // NULL: nobody waits any more
    struct addrinfo *found;
    int failed;
    char port[8];
    char host[256];
} dx_redis_resolve;

static const struct addrinfo stream = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};

static void try_next(dx_redis *redis);

void dx_redis_close(dx_redis *redis) {
    dx_timer_stop(redis->loop, &redis->patience);
    dx_loop_undefer(redis->loop, &redis->flush);
    dx_descriptor_destroy(redis->descriptor);
    redis->descriptor = NULL;
    if (redis->fd >= 0) close(redis->fd);
    redis->fd = -1;
    if (redis->resolve) redis->resolve->owner = NULL;
    redis->resolve = NULL;
    if (redis->addresses) freeaddrinfo(redis->addresses);
    redis->addresses = redis->address = NULL;
    if (redis->hello.data) dx_secret_wipe(redis->hello.data, redis->hello.capacity);
    dx_buffer_deinit(&redis->hello);
    dx_buffer_deinit(&redis->out);
    dx_redis_replies_close(&redis->replies);
    redis->greetings = 0;
    redis->state = DX_REDIS_DOWN;
}

// Twice as long each time, and half of it by chance, so that those who lost the same server do not come back together.
static dx_nanos next_pause(dx_redis *redis) {
    dx_nanos pause = redis->settings.backoff_least, most = redis->settings.backoff_most;
    for (unsigned i = 0; i < redis->attempts && pause < most; i++) pause *= 2;
    if (pause > most) pause = most;
    redis->attempts++;
    return pause / 2 + (dx_nanos)(dx_random_u64() % (uint64_t)(pause / 2 + 1));
}

void dx_redis_lost(dx_redis *redis, dx_status oldest, const char *why, const char *more) {
    bool first = redis->attempts == 0; // since it was up, or ever
    (void)snprintf(redis->why, sizeof redis->why, "%s%s%s", why, more ? ": " : "", more ? more : "");
    dx_redis_bump(&redis->counters.losses, 1);
    dx_redis_close(redis);
    dx_timer_start(redis->loop, &redis->pause, next_pause(redis));
    dx_redis_enter(redis);
    if (redis->settings.changed && first) redis->settings.changed(redis->settings.ctx, false, dx_slice_str(redis->why));
    dx_redis_fail_all(redis, oldest, DX_UNAVAILABLE);
    (void)dx_redis_leave(redis);
}

static void failed(dx_redis *redis, const char *why, const char *more) {
    dx_redis_lost(redis, DX_UNAVAILABLE, why, more);
}

// --- the socket ------------------------------------------------------------------------------------------------------------

static void connected(dx_redis *redis) {
    redis->state = DX_REDIS_GREETING;
    redis->waiting_since = dx_clock_monotonic();
    dx_descriptor_want(redis->descriptor, DX_READABLE);
    dx_redis_flush(redis);
}

static void on_ready(void *ctx, int fd, unsigned events) {
    dx_redis *redis = ctx;
    dx_redis_enter(redis);
    if (redis->state == DX_REDIS_CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
        errno = error;
        if (error)
            try_next(redis);
        else
            connected(redis);
    } else {
        if (events & DX_READABLE) dx_redis_read(redis);
        if (!redis->destroyed && redis->state >= DX_REDIS_GREETING && (events & DX_WRITABLE)) dx_redis_flush(redis);
    }
    (void)dx_redis_leave(redis);
}

// False, with errno: nothing is left open.
static bool connect_to(dx_redis *redis, const struct sockaddr *address, socklen_t size) {
    redis->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (redis->fd < 0) return false;
    int on = 1;
    if (address->sa_family != AF_UNIX) { // neither is worth failing for
        (void)setsockopt(redis->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(redis->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    bool there = connect(redis->fd, address, size) == 0;
    if (there || errno == EINPROGRESS) {
        if (dx_descriptor_create(&redis->descriptor, redis->loop, redis->fd, on_ready, redis) == DX_OK) {
            redis->state = DX_REDIS_CONNECTING;
            dx_descriptor_want(redis->descriptor, DX_WRITABLE);
            if (there) connected(redis);
            return true;
        }
        errno = ENOMEM;
    }
    int error = errno;
    close(redis->fd);
    redis->fd = -1;
    errno = error;
    return false;
}

static void try_next(dx_redis *redis) {
    dx_descriptor_destroy(redis->descriptor);
    redis->descriptor = NULL;
    if (redis->fd >= 0) close(redis->fd);
    redis->fd = -1;
    while (redis->address) {
        const struct addrinfo *to = redis->address;
        redis->address = to->ai_next;
        if (connect_to(redis, to->ai_addr, to->ai_addrlen)) return;
    }
    char text[80];
    failed(redis, "cannot connect", strerror_r(errno, text, sizeof text));
}

static void connect_local(dx_redis *redis) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, redis->settings.path.data, redis->settings.path.size); // its size was looked at
    if (connect_to(redis, (const struct sockaddr *)&address, sizeof address)) return;
    char text[80];
    failed(redis, "cannot connect", strerror_r(errno, text, sizeof text));
}

// --- the name --------------------------------------------------------------------------------------------------------------

static void resolve(dx_work *work) {
    dx_redis_resolve *r = DX_CONTAINER_OF(work, dx_redis_resolve, work);
    r->failed = getaddrinfo(r->host, r->port, &stream, &r->found);
}

static void resolved(dx_work *work) {
    dx_redis_resolve *r = DX_CONTAINER_OF(work, dx_redis_resolve, work);
    dx_redis *redis = r->owner;
    if (redis) {
        redis->resolve = NULL;
        redis->addresses = redis->address = r->failed ? NULL : r->found;
        dx_redis_enter(redis);
        if (r->failed)
            failed(redis, "cannot find the host", gai_strerror(r->failed));
        else
            try_next(redis);
        (void)dx_redis_leave(redis);
    } else if (!r->failed) {
        freeaddrinfo(r->found);
    }
    dx_memory_free(r);
}

static void resolve_name(dx_redis *redis, const char *port) {
    dx_redis_resolve *r = dx_memory_zalloc(1, sizeof *r);
    if (r) {
        r->work = (dx_work){.work = resolve, .done = resolved};
        r->owner = redis;
        memcpy(r->port, port, sizeof r->port);
        memcpy(r->host, redis->settings.host.data, redis->settings.host.size);
        if (dx_loop_work(redis->loop, &r->work) == DX_OK) {
            redis->resolve = r;
            return;
        }
        dx_memory_free(r);
    }
    failed(redis, "cannot find the host", "this process has too much to do");
}

static void find_host(dx_redis *redis) {
    char port[8];
    (void)snprintf(port, sizeof port, "%u", redis->settings.port);
    struct addrinfo numeric = stream;
    numeric.ai_flags |= AI_NUMERICHOST; // asks nobody
    if (getaddrinfo(redis->settings.host.data, port, &numeric, &redis->addresses) == 0) {
        redis->address = redis->addresses;
        try_next(redis);
    } else {
        redis->addresses = NULL;
        resolve_name(redis, port);
    }
}

// --- the greeting ----------------------------------------------------------------------------------------------------------

static dx_status put_greeting(dx_redis *redis) {
    const dx_redis_settings *s = &redis->settings;
    dx_status status = DX_OK;
    if (s->password.size) {
        const dx_slice named[] = {DX_SLICE("AUTH"), s->user, s->password}, unnamed[] = {DX_SLICE("AUTH"), s->password};
        status = dx_redis_put(&redis->hello, s->user.size ? named : unnamed, s->user.size ? 3 : 2);
        redis->greetings++;
    }
    if (s->db && status == DX_OK) {
        char number[16];
        int size = snprintf(number, sizeof number, "%u", s->db);
        status = dx_redis_put(&redis->hello, (const dx_slice[]){DX_SLICE("SELECT"), {number, (size_t)size}}, 2);
        redis->greetings++;
    }
    redis->greetings++;
    return status == DX_OK ? dx_redis_put(&redis->hello, (const dx_slice[]){DX_SLICE("PING")}, 1) : status;
}

static dx_status prepare(dx_redis *redis) {
    const dx_redis_settings *s = &redis->settings;
    size_t secrets = s->user.size + s->password.size;
    dx_buffer_init(&redis->hello, NULL, 2 * secrets + 512);
    dx_buffer_init(&redis->out, NULL, s->unsent_cap);
    redis->hello_sent = redis->out_sent = 0;
    redis->greetings = 0;
    if (!dx_buffer_reserve(&redis->hello, secrets + 256)) return DX_NO_MEMORY; // at once: growing would leave the password behind
    dx_status status = dx_redis_replies_open(&redis->replies, s->reply_cap);
    return status == DX_OK ? put_greeting(redis) : status;
}

void dx_redis_begin(dx_redis *redis) {
    redis->state = DX_REDIS_RESOLVING;
    dx_timer_start(redis->loop, &redis->patience, redis->settings.connect_timeout);
    if (prepare(redis) != DX_OK)
        failed(redis, "cannot connect", "no memory");
    else if (redis->settings.path.size)
        connect_local(redis);
    else
        find_host(redis);
}

void dx_redis_greeted(dx_redis *redis, const dx_redis_reply *reply) {
    if (reply->kind == DX_REDIS_ERROR) {
        failed(redis, "the server does not let us in", reply->text.data);
        return;
    }
    if (--redis->greetings > 0) return;
    redis->state = DX_REDIS_UP;
    redis->attempts = 0;
    redis->why[0] = 0;
    dx_timer_stop(redis->loop, &redis->patience);
    dx_redis_bump(&redis->counters.connects, 1);
    if (redis->settings.changed) redis->settings.changed(redis->settings.ctx, true, (dx_slice){NULL, 0});
}
