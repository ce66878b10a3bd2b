// GET and HEAD of a file: conditions, ranges, precompressed siblings, the fields that caches live by.
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "codec/range.h"
#include "files/parts.h"

typedef struct reading {
    dx_work work;
    dx_exchange *x;
    dx_search search;
    dx_file file;
} reading;

static dx_verdict redirect_to_folder(dx_exchange *x) {
    dx_slice query = x->request.query;
    dx_slice location = query.data ? dx_arena_printf(x->arena, "%.*s/?%.*s", DX_SLICE_ARG(x->request.path), DX_SLICE_ARG(query))
                                   : dx_arena_printf(x->arena, "%.*s/", DX_SLICE_ARG(x->request.path));
    if (!location.data) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    // "//host/" would lead to another server.
    if (dx_slice_starts(location, DX_SLICE("//"))) return dx_exchange_fail(x, DX_NOT_FOUND, NULL);
    dx_exchange_field(x, DX_SLICE("location"), location);
    dx_exchange_field(x, DX_SLICE("cache-control"), DX_SLICE("no-cache"));
    return dx_exchange_empty(x, 308);
}

static dx_verdict answer_unfound(dx_exchange *x, const dx_file *file) {
    switch (file->found) {
    case DX_FOUND_FOLDER:
        return redirect_to_folder(x);
    case DX_FOUND_FORBIDDEN: // the server may not read it: the client need not know that it is there
    case DX_FOUND_NOTHING:
        return dx_exchange_fail(x, DX_NOT_FOUND, NULL);
    default:
        return dx_exchange_fail(x, file->error == ENOMEM || file->error == EMFILE || file->error == ENFILE ? DX_OVERLOADED : DX_INTERNAL,
                                "the file could not be opened: %s", strerror(file->error));
    }
}

// The fields of the file, whichever part of it is sent.
static bool add_fields(const dx_mount *mount, dx_exchange *x, const dx_file *file, dx_slice tag) {
    dx_slice kept = dx_arena_copy(x->arena, tag);
    char *text = dx_arena_bytes(x->arena, DX_HTTP_DATE_SIZE);
    if (!text || !kept.data) return false;
    dx_http_date_write(text, dx_files_modified(&file->stat));
    dx_exchange_field(x, DX_SLICE("etag"), kept);
    dx_exchange_field(x, DX_SLICE("last-modified"), dx_slice_of(text, DX_HTTP_DATE_SIZE));
    dx_exchange_field(x, DX_SLICE("cache-control"), file->fallback ? DX_SLICE("no-cache") : mount->cache_control);
    dx_exchange_field(x, DX_SLICE("accept-ranges"), DX_SLICE("bytes"));
    if (mount->precompressed) dx_exchange_field(x, DX_SLICE("vary"), DX_SLICE("accept-encoding"));
    if (file->coding != DX_CODING_IDENTITY) dx_exchange_field(x, DX_SLICE("content-encoding"), dx_coding_name(file->coding));
    return true;
}

// A small file that the kernel has in memory goes out with its head; anything else is the connection's to send.
static dx_verdict send_whole(dx_exchange *x, const dx_file *file, dx_slice type) {
    size_t size = (size_t)file->stat.st_size;
    char *text = size <= DX_FILES_SMALL && x->request.method != DX_HEAD ? dx_arena_bytes(x->arena, size + 1) : NULL;
    if (text) {
        struct iovec to = {text, size + 1}; // one more: has it grown?
        ssize_t got = preadv2(file->fd, &to, 1, 0, RWF_NOWAIT);
        if (got >= 0 && (size_t)got == size) {
            (void)close(file->fd);
            return dx_exchange_body(x, 200, type, dx_slice_of(text, size));
        }
    }
    return dx_exchange_file(x, 200, type, file->fd, 0, file->stat.st_size);
}

static dx_verdict send_range(dx_exchange *x, const dx_file *file, dx_slice type, const dx_byte_range *ranges, size_t count) {
    uint64_t total = (uint64_t)file->stat.st_size;
    if (count > 1) return dx_files_send_parts(x, file->fd, ranges, count, type, total);
    dx_slice field = dx_arena_printf(x->arena, "bytes %llu-%llu/%llu", (unsigned long long)ranges[0].from,
                                     (unsigned long long)(ranges[0].from + ranges[0].size - 1), (unsigned long long)total);
    if (!field.data) {
        (void)close(file->fd);
        return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    }
    dx_exchange_field(x, DX_SLICE("content-range"), field);
    return dx_exchange_file(x, 206, type, file->fd, (int64_t)ranges[0].from, (int64_t)ranges[0].size);
}

static dx_verdict refuse_range(dx_exchange *x, const dx_file *file) {
    dx_slice field = dx_arena_printf(x->arena, "bytes */%lld", (long long)file->stat.st_size);
    (void)close(file->fd);
    dx_verdict verdict = dx_exchange_fail(x, DX_RANGE_NOT_SATISFIABLE, "the file has %lld bytes", (long long)file->stat.st_size);
    if (field.data) dx_exchange_field(x, DX_SLICE("content-range"), field);
    return verdict;
}

static dx_verdict answer(const dx_mount *mount, dx_exchange *x, dx_file *file) {
    char text[DX_FILES_TAG_CAP];
    if (file->found != DX_FOUND_FILE) return answer_unfound(x, file);
    dx_slice tag = dx_files_tag(text, &file->stat, file->coding), type = dx_files_type(mount, file->name);
    dx_micros_utc modified = dx_files_modified(&file->stat);
    int condition = dx_files_precondition(x, tag, modified);
    if (condition == 412 || !add_fields(mount, x, file, tag)) {
        (void)close(file->fd);
        return dx_exchange_fail(x, condition == 412 ? DX_PRECONDITION_FAILED : DX_NO_MEMORY, NULL);
    }
    if (condition == 304) {
        (void)close(file->fd);
        return dx_exchange_empty(x, 304);
    }
    dx_slice range = x->request.method == DX_GET ? dx_fields_get(&x->request.fields, DX_FIELD_RANGE) : dx_slice_of(NULL, 0);
    if (range.data && dx_files_range_holds(x, tag, modified)) {
        dx_byte_range ranges[DX_RANGES_CAP];
        size_t count;
        dx_range_verdict verdict = dx_range_read(range, (uint64_t)file->stat.st_size, ranges, &count);
        if (verdict == DX_RANGE_BEYOND) return refuse_range(x, file);
        if (verdict == DX_RANGE_SOME) return send_range(x, file, type, ranges, count);
    }
    return send_whole(x, file, type);
}

static void find_off_loop(dx_work *work) {
    reading *r = DX_CONTAINER_OF(work, reading, work);
    (void)dx_files_find(&r->search, false, &r->file);
}

static void found_off_loop(dx_work *work) {
    reading *r = DX_CONTAINER_OF(work, reading, work);
    dx_exchange *x = r->x;
    if (x->aborted && r->file.fd >= 0) {
        (void)close(r->file.fd);
        dx_exchange_resume(x, DX_NEXT);
        return;
    }
    dx_exchange_resume(x, answer(r->search.mount, x, &r->file));
}

// RFC 9110 section 12.5.1 as browsers use it: who asks for a page says text/html by name.
static bool is_navigation(const dx_exchange *x) {
    dx_slice accept = dx_fields_get(&x->request.fields, DX_FIELD_ACCEPT);
    for (dx_slice rest = accept; rest.data;)
        if (dx_http_media_is(dx_slice_trim(dx_slice_cut(&rest, ',')), "text/html")) return true;
    return false;
}

dx_verdict dx_files_read(const void *conf, dx_exchange *x) {
    const dx_mount *mount = conf;
    dx_slice path = x->param_count ? x->params[0] : DX_SLICE("");
    dx_file file;
    dx_search search = {mount, path, dx_fields_get(&x->request.fields, DX_FIELD_ACCEPT_ENCODING), mount->fallback.size && is_navigation(x)};
    if (!x->param_count && mount->prefix.size) return redirect_to_folder(x); // "/static"
    if (dx_files_find(&search, true, &file)) return answer(mount, x, &file);
    reading *r = DX_ARENA_NEW(x->arena, reading);
    if (!r) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    *r = (reading){.work = {.work = find_off_loop, .done = found_off_loop, .loop = x->loop}, .x = x, .search = search};
    dx_status status = dx_loop_work(x->loop, &r->work);
    return status == DX_OK ? DX_WAIT : dx_exchange_fail(x, status, "no thread is free to look for the file");
}
