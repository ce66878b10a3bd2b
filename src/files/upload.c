// PUT and DELETE of a file. A body streams into a file without a name beside its place (exchange/spool.h) and takes the name when it is
// whole and on the disk: nothing half written is ever seen, and nothing is left behind.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "exchange/spool.h"
#include "files/place.h"

typedef struct upload {
    dx_work work;
    dx_exchange *x;
    const dx_mount *mount;
    char *path; // a copy, for the thread to cut
    dx_place place;
    dx_guard guard;
    dx_spool *spool;
    char folder[32]; // the place's, as a path
    size_t owed;     // taken bytes that the peer has not been given room for yet
    bool ended;      // the body is whole
    bool created;
    struct stat stat;
    dx_status status;
} upload;

static dx_verdict refuse(dx_exchange *x, dx_status status) {
    switch (status) {
    case DX_CONFLICT:
        return dx_exchange_fail(x, status, "a folder, or something else that is no file, has this name or stands on the way to it");
    case DX_ALREADY_EXISTS:
        return dx_exchange_fail(x, status, "the file exists, and files may not be replaced here");
    case DX_FORBIDDEN:
        return dx_exchange_fail(x, DX_INTERNAL, "the server may not write to %s", "the folder");
    default:
        return dx_exchange_fail(x, status, NULL);
    }
}

static void end_upload(upload *u, dx_status status) {
    dx_spool_destroy(u->spool);
    u->spool = NULL;
    dx_place_leave(&u->place);
    dx_exchange_resume(u->x, status == DX_OK ? DX_ANSWER : refuse(u->x, status));
}

static bool submit(upload *u, void (*work)(dx_work *work), void (*done)(dx_work *work)) {
    u->work = (dx_work){.work = work, .done = done, .loop = u->x->loop};
    return dx_loop_work(u->x->loop, &u->work) == DX_OK;
}

// --- the file takes its place ----------------------------------------------------------------------------------------------

static void put_off_loop(dx_work *work) {
    upload *u = DX_CONTAINER_OF(work, upload, work);
    u->status = dx_place_put(&u->place, &u->guard, dx_spool_file(u->spool), &u->created, &u->stat);
}

static dx_status answer_put(upload *u) {
    char text[DX_FILES_TAG_CAP];
    dx_exchange *x = u->x;
    dx_slice tag = dx_arena_copy(x->arena, dx_files_tag(text, &u->stat, DX_CODING_IDENTITY));
    if (!tag.data) return DX_NO_MEMORY;
    dx_exchange_field(x, DX_SLICE("etag"), tag);
    if (u->created) dx_exchange_field(x, DX_SLICE("location"), x->request.path);
    (void)dx_exchange_empty(x, u->created ? 201 : 204);
    return DX_OK;
}

static void put_done(dx_work *work) {
    upload *u = DX_CONTAINER_OF(work, upload, work);
    end_upload(u, u->status == DX_OK ? answer_put(u) : u->status);
}

static void put_when_written(upload *u) {
    if (dx_spool_status(u->spool) != DX_OK) {
        end_upload(u, dx_spool_status(u->spool));
    } else if (dx_spool_waiting(u->spool) == 0 && !submit(u, put_off_loop, put_done)) {
        end_upload(u, DX_OVERLOADED);
    }
}

// --- the body --------------------------------------------------------------------------------------------------------------

static void give_room(upload *u) {
    size_t owed = u->owed;
    u->owed = 0;
    if (owed) dx_exchange_consume(u->x, owed);
}

static void on_written(void *ctx) {
    upload *u = ctx;
    if (u->ended) {
        put_when_written(u);
        return;
    }
    if (dx_spool_status(u->spool) != DX_OK)
        end_upload(u, dx_spool_status(u->spool));
    else if (dx_spool_waiting(u->spool) < DX_SPOOL_WINDOW)
        give_room(u);
}

static void on_piece(void *ctx, dx_exchange *x, dx_slice piece) {
    upload *u = ctx;
    (void)x;
    if (!u->spool) return; // refused already
    dx_status status = dx_spool_write(u->spool, piece);
    if (status != DX_OK) {
        end_upload(u, status);
        return;
    }
    u->owed += piece.size;
    if (dx_spool_waiting(u->spool) < DX_SPOOL_WINDOW) give_room(u);
}

static void on_end(void *ctx, dx_exchange *x, dx_status why) {
    upload *u = ctx;
    (void)x;
    if (!u->spool) return;
    if (why != DX_OK) {
        end_upload(u, why);
        return;
    }
    u->ended = true;
    put_when_written(u);
}

static const dx_reader_ops reader = {.piece = on_piece, .end = on_end};

// --- the place -------------------------------------------------------------------------------------------------------------

static void find_off_loop(dx_work *work) {
    upload *u = DX_CONTAINER_OF(work, upload, work);
    u->status = dx_place_find(&u->place, u->mount, u->path, true);
    if (u->status == DX_OK) u->status = dx_place_check(&u->place, &u->guard, NULL, NULL);
}

static void found(dx_work *work) {
    upload *u = DX_CONTAINER_OF(work, upload, work);
    dx_status status = u->x->aborted ? DX_CANCELLED : u->status;
    if (status == DX_OK) {
        (void)snprintf(u->folder, sizeof u->folder, "/proc/self/fd/%d", u->place.folder);
        dx_spool_options options = {.folder = u->folder, .memory = 0, .cap = u->mount->upload_cap, .written = on_written, .ctx = u};
        status = dx_spool_create(&u->spool, u->x->loop, &options);
    }
    if (status == DX_OK)
        dx_exchange_read(u->x, &reader, u);
    else
        end_upload(u, status);
}

static upload *begin(const dx_mount *mount, dx_exchange *x) {
    upload *u = DX_ARENA_NEW(x->arena, upload);
    char *path = (char *)(uintptr_t)dx_arena_copy(x->arena, x->params[0]).data; // ends in a NUL
    if (!u || !path) return NULL;
    *u = (upload){.x = x, .mount = mount, .path = path, .place = {.folder = -1}, .guard = {x, mount->replace}};
    return u;
}

static bool names_a_file(const dx_mount *mount, const dx_exchange *x) {
    dx_slice path = x->params[0];
    return path.size && path.data[path.size - 1] != '/' && dx_files_path_allowed(mount, path);
}

dx_verdict dx_files_write(const void *conf, dx_exchange *x) {
    const dx_mount *mount = conf;
    // RFC 9110 section 14.5: a part of a file can't be put.
    if (dx_fields_find(&x->request.fields, DX_SLICE("content-range")).data)
        return dx_exchange_fail(x, DX_BAD_REQUEST, "a file is written whole: send no Content-Range");
    if (!names_a_file(mount, x)) return dx_exchange_fail(x, DX_NOT_FOUND, NULL);
    upload *u = begin(mount, x);
    if (!u) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    if (!submit(u, find_off_loop, found)) return dx_exchange_fail(x, DX_OVERLOADED, "no thread is free to look for the folder");
    return DX_WAIT;
}

// --- deleting --------------------------------------------------------------------------------------------------------------

static void remove_off_loop(dx_work *work) {
    upload *u = DX_CONTAINER_OF(work, upload, work);
    u->status = dx_place_find(&u->place, u->mount, u->path, false);
    if (u->status == DX_OK) u->status = dx_place_remove(&u->place, &u->guard);
}

static void removed(dx_work *work) {
    upload *u = DX_CONTAINER_OF(work, upload, work);
    if (u->status == DX_OK) (void)dx_exchange_empty(u->x, 204);
    end_upload(u, u->status);
}

dx_verdict dx_files_remove(const void *conf, dx_exchange *x) {
    const dx_mount *mount = conf;
    if (!names_a_file(mount, x)) return dx_exchange_fail(x, DX_NOT_FOUND, NULL);
    upload *u = begin(mount, x);
    if (!u) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    if (!submit(u, remove_off_loop, removed)) return dx_exchange_fail(x, DX_OVERLOADED, "no thread is free to delete the file");
    return DX_WAIT;
}
