// POST of a form (multipart/form-data) to a folder: every file of it is written under its own name. What may not be written is found out
// before anything is; fields that are no files are read over.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "codec/json.h"
#include "exchange/form.h"
#include "files/place.h"

#define FILES_CAP 100
#define NAME_CAP  255

typedef struct received {
    const dx_form_part *part;
    dx_place place;
    bool created;
    struct stat stat;
} received;

typedef struct posting {
    dx_work work;
    dx_exchange *x;
    const dx_mount *mount;
    dx_slice path; // of the folder, with its "/" at the end, or empty
    char *inside;  // any name in it, for the thread to cut: it is the folder that is looked for
    dx_place place;
    dx_guard guard;
    char folder[32];
    received files[FILES_CAP];
    size_t count;
    const char *refused; // the name that could not be written
    dx_status status;
} posting;

static void leave(posting *p) {
    dx_place_leave(&p->place);
}

static dx_verdict refuse(posting *p, dx_status status, const char *reason) {
    leave(p);
    if (p->refused) return dx_exchange_fail(p->x, status, "the file \"%s\" could not be written", p->refused);
    if (reason && *reason) return dx_exchange_fail(p->x, status, "%s", reason);
    return dx_exchange_fail(p->x, status, NULL);
}

static bool submit(posting *p, void (*work)(dx_work *work), void (*done)(dx_work *work)) {
    p->work = (dx_work){.work = work, .done = done, .loop = p->x->loop};
    return dx_loop_work(p->x->loop, &p->work) == DX_OK;
}

// --- writing ---------------------------------------------------------------------------------------------------------------

static dx_status put_one(posting *p, received *file) {
    return dx_place_put(&file->place, &p->guard, dx_spool_file(file->part->file), &file->created, &file->stat);
}

static dx_status check_one(posting *p, received *file) {
    return dx_place_check(&file->place, &p->guard, NULL, NULL);
}

static dx_status each(posting *p, dx_status (*step)(posting *p, received *file)) {
    for (size_t i = 0; i < p->count; i++) {
        dx_status status = step(p, &p->files[i]);
        if (status == DX_OK) continue;
        p->refused = p->files[i].place.name;
        return status;
    }
    return DX_OK;
}

static void put_off_loop(dx_work *work) {
    posting *p = DX_CONTAINER_OF(work, posting, work);
    p->status = each(p, check_one);
    if (p->status == DX_OK) p->status = each(p, put_one);
}

static void write_file(dx_buffer *out, const posting *p, const received *file) {
    char tag[DX_FILES_TAG_CAP];
    dx_slice etag = dx_files_tag(tag, &file->stat, DX_CODING_IDENTITY);
    DX_BUFFER_LIT(out, "{\"path\":");
    dx_buffer path;
    dx_buffer_init(&path, p->x->arena, 4 * DX_FILES_PATH_CAP);
    dx_buffer_add(&path, p->mount->prefix);
    dx_buffer_byte(&path, '/');
    dx_buffer_add(&path, p->path);
    dx_buffer_add(&path, dx_slice_str(file->place.name));
    dx_json_write_string(out, dx_buffer_slice(&path));
    DX_BUFFER_LIT(out, ",\"size\":");
    dx_buffer_i64(out, (int64_t)file->stat.st_size);
    DX_BUFFER_LIT(out, ",\"etag\":");
    dx_json_write_string(out, etag);
    dx_buffer_add(out, file->created ? DX_SLICE(",\"created\":true}") : DX_SLICE(",\"created\":false}"));
}

static void put_done(dx_work *work) {
    posting *p = DX_CONTAINER_OF(work, posting, work);
    dx_buffer out;
    if (p->status != DX_OK) {
        dx_exchange_resume(p->x, refuse(p, p->status, NULL));
        return;
    }
    dx_buffer_init(&out, p->x->arena, 1u << 20);
    DX_BUFFER_LIT(&out, "{\"files\":[");
    for (size_t i = 0; i < p->count; i++) {
        if (i) dx_buffer_byte(&out, ',');
        write_file(&out, p, &p->files[i]);
    }
    DX_BUFFER_LIT(&out, "]}");
    leave(p);
    dx_exchange_resume(p->x, dx_buffer_status(&out) == DX_OK ? dx_exchange_json(p->x, 201, dx_buffer_slice(&out))
                                                             : dx_exchange_fail(p->x, dx_buffer_status(&out), NULL));
}

// --- the form --------------------------------------------------------------------------------------------------------------

// NULL when the part's file may have its name.
static const char *name_trouble(const posting *p, const dx_form_part *part) {
    if (!part->file_name.size || part->file_name.size > NAME_CAP || memchr(part->file_name.data, '/', part->file_name.size) ||
        !dx_files_path_allowed(p->mount, part->file_name))
        return "a file's name can't be had here";
    for (size_t i = 0; i < p->count; i++)
        if (dx_slice_equal(p->files[i].part->file_name, part->file_name)) return "two files have the same name";
    return NULL;
}

static const char *take_file(posting *p, const dx_form_part *part) {
    const char *trouble = name_trouble(p, part);
    if (trouble) return trouble;
    dx_slice name = dx_arena_copy(p->x->arena, part->file_name); // ends in a NUL
    if (!name.data) return "no memory";
    p->files[p->count++] = (received){.part = part, .place = {.folder = p->place.folder, .name = name.data}};
    return NULL;
}

static void form_read(void *ctx, dx_exchange *x, const dx_form *form, dx_status why, const char *reason) {
    posting *p = ctx;
    if (why != DX_OK) {
        dx_exchange_resume(x, refuse(p, why, reason));
        return;
    }
    for (const dx_form_part *part = form->first; part; part = part->next) {
        if (!part->file) continue;
        const char *trouble = p->count < FILES_CAP ? take_file(p, part) : "the form has too many files";
        if (trouble) {
            dx_exchange_resume(x, refuse(p, DX_INVALID, trouble));
            return;
        }
    }
    if (!p->count)
        dx_exchange_resume(x, refuse(p, DX_INVALID, "the form has no file"));
    else if (!submit(p, put_off_loop, put_done))
        dx_exchange_resume(x, refuse(p, DX_OVERLOADED, "no thread is free to write the files"));
}

// --- the folder ------------------------------------------------------------------------------------------------------------

static void find_off_loop(dx_work *work) {
    posting *p = DX_CONTAINER_OF(work, posting, work);
    p->status = dx_place_find(&p->place, p->mount, p->inside, true);
}

static void found(dx_work *work) {
    posting *p = DX_CONTAINER_OF(work, posting, work);
    dx_form_options options = DX_FORM_OPTIONS_INIT;
    dx_status status = p->x->aborted ? DX_CANCELLED : p->status;
    if (status == DX_OK) {
        (void)snprintf(p->folder, sizeof p->folder, "/proc/self/fd/%d", p->place.folder);
        options.parts = FILES_CAP;
        options.file_memory = 0;
        options.file_bytes = p->mount->upload_cap;
        options.folder = p->folder;
        status = dx_form_read(p->x, &options, form_read, p);
    }
    if (status == DX_UNSUPPORTED_MEDIA_TYPE)
        dx_exchange_resume(p->x, refuse(p, status, "files are posted as multipart/form-data; one file is put to its own path"));
    else if (status != DX_OK)
        dx_exchange_resume(p->x, refuse(p, status, NULL));
}

// Any page may have a browser post a form here, without asking first as for other requests (the CORS protocol), and the browser shows its
// certificate or comes from an address that may. A page of another origin can PUT, where `server.cors` lets it.
static bool is_foreign(const dx_exchange *x) {
    dx_slice origin = dx_fields_get(&x->request.fields, DX_FIELD_ORIGIN);
    return origin.data && !dx_exchange_is_own_origin(x, origin);
}

dx_verdict dx_files_form(const void *conf, dx_exchange *x) {
    const dx_mount *mount = conf;
    dx_slice path = x->params[0];
    if (is_foreign(x)) return dx_exchange_fail(x, DX_FORBIDDEN, "a page of another origin may not post forms here; it can PUT each file");
    if (!dx_files_path_allowed(mount, path)) return dx_exchange_fail(x, DX_NOT_FOUND, NULL);
    posting *p = DX_ARENA_NEW(x->arena, posting);
    if (p && path.size && path.data[path.size - 1] != '/') path = dx_arena_printf(x->arena, "%.*s/", DX_SLICE_ARG(path));
    dx_slice inside = dx_arena_printf(x->arena, "%.*sfile", DX_SLICE_ARG(path));
    if (!p || !inside.data || (path.size == 0 && !path.data && x->params[0].size)) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    p->x = x;
    p->mount = mount;
    p->path = path;
    p->inside = (char *)(uintptr_t)inside.data;
    p->place.folder = -1;
    p->guard = (dx_guard){x, mount->replace};
    if (!submit(p, find_off_loop, found)) return dx_exchange_fail(x, DX_OVERLOADED, "no thread is free to look for the folder");
    return DX_WAIT;
}
