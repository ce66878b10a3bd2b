#include "client/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void dx_upload_init(dx_upload *upload, dx_arena *arena) {
    *upload = (dx_upload){.arena = arena, .last = &upload->first};
}

static dx_upload_part *add(dx_upload *upload, dx_upload_kind kind, int64_t size) {
    dx_upload_part *part = DX_ARENA_NEW(upload->arena, dx_upload_part);
    if (!part) return NULL;
    part->kind = kind;
    part->size = size;
    part->file = -1;
    *upload->last = part;
    upload->last = &part->next;
    upload->at = upload->first;
    upload->size = size < 0 || upload->size < 0 ? -1 : upload->size + size;
    return part;
}

dx_status dx_upload_add_text(dx_upload *upload, dx_slice text) {
    dx_upload_part *part = add(upload, DX_UPLOAD_MEMORY, (int64_t)text.size);
    if (part) part->text = text;
    return part ? DX_OK : DX_NO_MEMORY;
}

static void close_file(void *ctx) {
    (void)close(((dx_upload_part *)ctx)->file);
}

dx_status dx_upload_add_file(dx_upload *upload, const char *path) {
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return DX_NOT_FOUND;
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
        (void)close(file);
        errno = S_ISDIR(about.st_mode) ? EISDIR : EINVAL;
        return DX_NOT_FOUND;
    }
    dx_upload_part *part = add(upload, DX_UPLOAD_FILE, about.st_size);
    if (!part) {
        (void)close(file);
        return DX_NO_MEMORY;
    }
    part->file = file;
    return dx_arena_defer(upload->arena, close_file, part);
}

dx_status dx_upload_add_source(dx_upload *upload, const dx_source *source) {
    dx_upload_part *part = add(upload, DX_UPLOAD_SOURCE, source->length);
    if (part) part->source = *source;
    return part ? DX_OK : DX_NO_MEMORY;
}

static int64_t read_part(dx_upload *upload, const dx_upload_part *part, char *data, size_t room) {
    int64_t left = part->size < 0 ? INT64_MAX : part->size - upload->offset;
    if (left <= 0) return 0;
    if ((uint64_t)left < room) room = (size_t)left;
    if (part->kind == DX_UPLOAD_SOURCE) {
        int64_t got = part->source.read(part->source.context, data, room);
        return got > (int64_t)room || (got == 0 && part->size >= 0) ? -1 : got; // less than was said is as bad as more
    }
    if (part->kind == DX_UPLOAD_FILE) {
        ssize_t got = pread(part->file, data, room, upload->offset);
        return got > 0 ? got : -1; // 0: it has become shorter
    }
    memcpy(data, part->text.data + upload->offset, room);
    return (int64_t)room;
}

int64_t dx_upload_read(dx_upload *upload, char *data, size_t room) {
    upload->read_any = true;
    while (upload->at) {
        int64_t got = read_part(upload, upload->at, data, room);
        if (got != 0) {
            if (got > 0) upload->offset += got;
            return got;
        }
        upload->at = upload->at->next;
        upload->offset = 0;
    }
    return 0;
}

bool dx_upload_is_repeatable(const dx_upload *upload) {
    for (const dx_upload_part *part = upload->first; part; part = part->next)
        if (part->kind == DX_UPLOAD_SOURCE && !part->source.rewind) return false;
    return true;
}

bool dx_upload_rewind(dx_upload *upload) {
    if (!upload->read_any) return true;
    for (const dx_upload_part *part = upload->first; part; part = part->next)
        if (part->kind == DX_UPLOAD_SOURCE && (!part->source.rewind || !part->source.rewind(part->source.context))) return false;
    upload->at = upload->first;
    upload->offset = 0;
    upload->read_any = false;
    return true;
}
