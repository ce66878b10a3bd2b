// The table of sockets that listen. Each worker has its own socket at every TCP address (SO_REUSEPORT), so that the system spreads
// connections over them; at a unix socket, and at one that somebody else opened without that option, workers share one. A socket of a TCP
// address is never closed while others of the address go on: the system would lose the connections that wait in it.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/parts.h"
#include "net/address.h"

#define SYSTEMD  "systemd:"
#define ROWS_CAP 16384 // 64 addresses of 256 workers

void dx_sockets_init(dx_sockets *sockets) {
    *sockets = (dx_sockets){0};
    pthread_mutex_init(&sockets->lock, NULL);
}

static void close_row(dx_host_socket *row) {
    if (row->fd >= 0) (void)close(row->fd);
    if (row->spare >= 0) (void)close(row->spare);
    row->fd = row->spare = -1;
}

static void free_row(dx_host_socket *row) {
    close_row(row);
    dx_memory_free(row->address);
}

void dx_sockets_deinit(dx_sockets *sockets) {
    for (size_t i = 0; i < sockets->count; i++) free_row(&sockets->rows[i]);
    dx_memory_free(sockets->rows);
    pthread_mutex_destroy(&sockets->lock);
}

// --- rows ------------------------------------------------------------------------------------------------------------------

static dx_status add_row(dx_sockets *sockets, const dx_host_socket *from, dx_slice address) {
    if (sockets->count == ROWS_CAP) return DX_TOO_LARGE;
    if (sockets->count == sockets->capacity) {
        size_t capacity = sockets->capacity ? sockets->capacity * 2 : 16;
        dx_host_socket *rows = dx_memory_realloc(sockets->rows, capacity * sizeof *rows);
        if (!rows) return DX_NO_MEMORY;
        sockets->rows = rows;
        sockets->capacity = capacity;
    }
    char *copy = dx_memory_alloc(address.size + 1);
    if (!copy) return DX_NO_MEMORY;
    memcpy(copy, address.data, address.size);
    copy[address.size] = '\0';
    dx_host_socket *row = &sockets->rows[sockets->count++];
    *row = *from;
    row->address = copy;
    return DX_OK;
}

bool dx_socket_listens(int fd) {
    int on = 0;
    socklen_t size = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on != 0;
}

dx_status dx_sockets_take(dx_sockets *sockets, int fd, dx_slice address, unsigned nth, bool foreign) {
    unsigned before = 0;
    for (size_t i = 0; i < sockets->count; i++)
        before += sockets->rows[i].nth == nth && dx_slice_equal(dx_slice_str(sockets->rows[i].address), address);
    dx_host_socket row = {.fd = fd, .taken = -1, .spare = -1, .nth = nth, .worker = before, .foreign = foreign};
    dx_status status = add_row(sockets, &row, address);
    if (status != DX_OK) (void)close(fd);
    return status;
}

static const dx_host_socket *find(const dx_sockets *sockets, const char *address, unsigned nth, int64_t worker) {
    for (size_t i = 0; i < sockets->count; i++) {
        const dx_host_socket *row = &sockets->rows[i];
        if (row->fd >= 0 && row->nth == nth && (worker < 0 || row->worker == worker) && strcmp(row->address, address) == 0) return row;
    }
    return NULL;
}

// Which of the app's addresses the socket is at; their number: none.
static size_t listen_of(const dx_app *app, const dx_host_socket *row) {
    size_t i = 0;
    for (unsigned left = row->nth; i < app->settings.listen_count; i++)
        if (strcmp(app->settings.listens[i].address, row->address) == 0 && left-- == 0) break;
    return i;
}

// "127.0.0.1:0" may be there several times, each with a port of its own: how many of the name are before this one.
static unsigned nth_of(const dx_app *app, size_t listen) {
    unsigned nth = 0;
    for (size_t i = 0; i < listen; i++) nth += strcmp(app->settings.listens[i].address, app->settings.listens[listen].address) == 0;
    return nth;
}

static bool is_wanted(const dx_app *app, const dx_host_socket *row) {
    return listen_of(app, row) < app->settings.listen_count;
}

// --- opening ---------------------------------------------------------------------------------------------------------------

static bool can_be_joined(int fd) {
    int on = 0;
    socklen_t size = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &size) == 0 && on != 0;
}

// Beside a socket that is there: another one at the same address, or the same once more.
static int open_beside(const dx_host_socket *first, dx_slice pointer, dx_diags *diags) {
    char bound[DX_SOCKET_TEXT_CAP];
    int fd = -1;
    if (!can_be_joined(first->fd)) return fcntl(first->fd, F_DUPFD_CLOEXEC, 3);
    dx_socket_text(first->fd, bound);
    dx_socket_options options = {.reuse_port = true, .pointer = pointer};
    return dx_socket_listen(&fd, bound, &options, diags) == DX_OK ? fd : -1;
}

// Says what there is instead.
static dx_status complain_missing(const dx_sockets *sockets, const dx_listen_setting *listen, dx_diags *diags) {
    char names[200] = "none";
    size_t size = 0;
    for (size_t i = 0; i < sockets->count && size < sizeof names; i++)
        if (sockets->rows[i].foreign)
            size += (size_t)snprintf(names + size, sizeof names - size, "%s%s", size ? ", " : "", sockets->rows[i].address);
    dx_diag *diag = dx_diags_add(diags, DX_UNAVAILABLE, listen->pointer, "systemd passed no socket of this name (%s); it passed: %s",
                                 listen->address + sizeof SYSTEMD - 1, names);
    if (diag) diag->suggestion = DX_SLICE("start the server by its .socket unit, whose FileDescriptorName= is the name");
    return DX_UNAVAILABLE;
}

static dx_status open_one(dx_sockets *sockets, const dx_listen_setting *listen, unsigned nth, unsigned worker, unsigned workers,
                          dx_diags *diags) {
    const dx_host_socket *first = find(sockets, listen->address, nth, -1);
    dx_socket_options options = {.reuse_port = workers > 1, .probe = true, .mode = listen->mode, .pointer = listen->pointer};
    int fd = -1;
    dx_status status = DX_OK;
    if (!first && strncmp(listen->address, SYSTEMD, sizeof SYSTEMD - 1) == 0)
        status = complain_missing(sockets, listen, diags);
    else if (!first)
        status = dx_socket_listen(&fd, listen->address, &options, diags);
    else if ((fd = open_beside(first, listen->pointer, diags)) < 0)
        status = DX_UNAVAILABLE;
    if (status != DX_OK) return status;
    dx_host_socket row = {.fd = fd, .taken = -1, .nth = nth, .worker = worker, .fresh = true, .foreign = first && first->foreign};
    row.spare = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (row.spare < 0) {
        dx_diags_add(diags, DX_UNAVAILABLE, listen->pointer, "cannot listen on %s: %s", listen->address, strerror(errno));
        status = DX_UNAVAILABLE;
    }
    if (status == DX_OK) status = add_row(sockets, &row, dx_slice_str(listen->address));
    if (status == DX_OK) return DX_OK;
    close_row(&row);
    if (!first) dx_socket_remove(listen->address);
    return status;
}

// "systemd:0" means the first that systemd passed, whatever its name.
static dx_status name_by_place(dx_sockets *sockets, const char *address) {
    uint64_t place;
    if (strncmp(address, SYSTEMD, sizeof SYSTEMD - 1) != 0 || !dx_slice_to_u64(dx_slice_str(address + sizeof SYSTEMD - 1), &place))
        return DX_OK;
    for (size_t i = 0; i < sockets->count; i++) {
        dx_host_socket *row = &sockets->rows[i];
        if (row->place != place + 1 || strcmp(row->address, address) == 0) continue;
        char *name = dx_memory_alloc(strlen(address) + 1);
        if (!name) return DX_NO_MEMORY;
        memcpy(name, address, strlen(address) + 1);
        dx_memory_free(row->address);
        row->address = name;
        row->worker = 0;
    }
    return DX_OK;
}

static dx_status open_all(dx_sockets *sockets, const dx_app *app, unsigned workers, dx_diags *diags) {
    // Of sockets that another process had opened there may be more than workers: then some have several.
    for (size_t i = 0; i < sockets->count; i++) sockets->rows[i].worker %= workers;
    dx_status status = DX_OK;
    for (size_t l = 0; l < app->settings.listen_count; l++) {
        const dx_listen_setting *listen = &app->settings.listens[l];
        unsigned nth = nth_of(app, l);
        if (name_by_place(sockets, listen->address) != DX_OK) return DX_NO_MEMORY;
        for (unsigned w = 0; w < workers; w++) {
            if (find(sockets, listen->address, nth, w)) continue;
            dx_status opened = open_one(sockets, listen, nth, w, workers, diags);
            if (opened == DX_OK) continue;
            status = opened;
            break; // the same would be told of every worker
        }
    }
    return status;
}

dx_status dx_sockets_open(dx_sockets *sockets, const dx_app *app, unsigned workers, dx_diags *diags) {
    pthread_mutex_lock(&sockets->lock);
    dx_status status = open_all(sockets, app, workers, diags);
    pthread_mutex_unlock(&sockets->lock);
    return status;
}

// Keeps the rows that `keep` wants; of the others, the files too where they are ours.
static void forget(dx_sockets *sockets, bool (*keep)(const dx_host_socket *row, const void *ctx), const void *ctx) {
    size_t kept = 0;
    for (size_t i = 0; i < sockets->count; i++) {
        dx_host_socket *row = &sockets->rows[i];
        if (keep(row, ctx)) {
            sockets->rows[kept++] = *row;
            continue;
        }
        if (!row->foreign && row->worker == 0) dx_socket_remove(row->address);
        free_row(row);
    }
    sockets->count = kept;
}

static bool is_settled(const dx_host_socket *row, const void *ctx) {
    (void)ctx;
    return !row->fresh;
}

void dx_sockets_abandon(dx_sockets *sockets) {
    pthread_mutex_lock(&sockets->lock);
    forget(sockets, is_settled, NULL);
    pthread_mutex_unlock(&sockets->lock);
}

// --- going over to an app --------------------------------------------------------------------------------------------------

void dx_app_endpoint(const dx_app *app, size_t listen, dx_endpoint *out) {
    const dx_listen_setting *setting = &app->settings.listens[listen];
    *out = (dx_endpoint){.fd = -1,
                         .tls = setting->tls ? app->tls : NULL,
                         .proxy_protocol = setting->proxy_protocol,
                         .proxies = app->settings.gate.proxies,
                         .tag = setting->tag};
}

static dx_status adopt(dx_host_socket *row, dx_worker *worker, const dx_app *app) {
    size_t listen = listen_of(app, row);
    if (listen == app->settings.listen_count) {
        if (row->taken >= 0) dx_listener_remove(worker->listener, row->taken);
        row->taken = -1;
        return DX_OK;
    }
    dx_endpoint endpoint;
    dx_app_endpoint(app, listen, &endpoint);
    if (row->taken >= 0) return dx_listener_change(worker->listener, row->taken, &endpoint);
    endpoint.fd = row->spare >= 0 ? row->spare : fcntl(row->fd, F_DUPFD_CLOEXEC, 3);
    row->spare = -1;
    if (endpoint.fd < 0) return DX_UNAVAILABLE;
    dx_status status = dx_listener_add(worker->listener, &endpoint);
    if (status == DX_OK)
        row->taken = endpoint.fd;
    else
        (void)close(endpoint.fd);
    return status;
}

dx_status dx_sockets_adopt(dx_sockets *sockets, dx_worker *worker, const dx_app *app) {
    dx_status status = DX_OK;
    pthread_mutex_lock(&sockets->lock);
    for (size_t i = 0; i < sockets->count; i++) {
        dx_host_socket *row = &sockets->rows[i];
        if (row->worker != worker->index) continue;
        dx_status one = adopt(row, worker, app);
        if (one != DX_OK) status = one;
    }
    pthread_mutex_unlock(&sockets->lock);
    return status;
}

void dx_sockets_let_go(dx_sockets *sockets, const dx_app *app) {
    pthread_mutex_lock(&sockets->lock);
    for (size_t i = 0; i < sockets->count; i++) {
        dx_host_socket *row = &sockets->rows[i];
        if (row->fd < 0 || is_wanted(app, row)) continue;
        close_row(row);
    }
    pthread_mutex_unlock(&sockets->lock);
}

static bool stays(const dx_host_socket *row, const void *ctx) {
    return is_wanted(ctx, row);
}

// A unix socket that stays may get other permissions.
static void settle(dx_host_socket *row, const dx_app *app) {
    const dx_listen_setting *listen = &app->settings.listens[listen_of(app, row)];
    if (!row->fresh && !row->foreign && row->worker == 0 && !dx_socket_set_mode(row->address, listen->mode))
        dx_log(DX_LOG_ERROR, "listening", "the mode of %s could not be changed: %s", row->address, strerror(errno));
    row->fresh = false;
}

void dx_sockets_settle(dx_sockets *sockets, const dx_app *app) {
    pthread_mutex_lock(&sockets->lock);
    forget(sockets, stays, app);
    for (size_t i = 0; i < sockets->count; i++) settle(&sockets->rows[i], app);
    pthread_mutex_unlock(&sockets->lock);
}

void dx_sockets_close(dx_sockets *sockets, bool remove) {
    pthread_mutex_lock(&sockets->lock);
    for (size_t i = 0; i < sockets->count; i++) {
        dx_host_socket *row = &sockets->rows[i];
        close_row(row);
        if (remove && !row->foreign) dx_socket_remove(row->address);
    }
    pthread_mutex_unlock(&sockets->lock);
}

void dx_sockets_describe(dx_sockets *sockets, const dx_app *app, size_t listen, char out[DX_SOCKET_TEXT_CAP]) {
    pthread_mutex_lock(&sockets->lock);
    const dx_host_socket *row = find(sockets, app->settings.listens[listen].address, nth_of(app, listen), -1);
    memcpy(out, "?", 2);
    if (row) dx_socket_text(row->fd, out);
    pthread_mutex_unlock(&sockets->lock);
}
