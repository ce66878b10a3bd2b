// Files of a definition: its own, and those that it refers to. The latter lie in its folder or below, symbolic links resolved, and are
// ordinary files; nothing a definition says makes the server read elsewhere. Bytes and files are capped.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/text.h"
#include "config/parts.h"

static dx_status read_all(dx_definition *definition, int fd, dx_slice *text) {
    dx_buffer buffer;
    size_t cap = DX_DEFINITION_BYTES_CAP - definition->source_bytes;
    dx_buffer_init(&buffer, definition->arena, cap + 1);
    for (;;) {
        char *room = dx_buffer_reserve(&buffer, buffer.size ? buffer.size : 16384);
        if (!room && buffer.status == DX_TOO_LARGE) {
            buffer.status = DX_OK;
            room = dx_buffer_reserve(&buffer, cap + 1 - buffer.size);
        }
        if (!room) return buffer.status;
        size_t space = buffer.capacity - buffer.size;
        ssize_t got = read(fd, room, space < cap + 1 - buffer.size ? space : cap + 1 - buffer.size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return DX_UNAVAILABLE;
        if (got == 0) break;
        buffer.size += (size_t)got;
        if (buffer.size > cap) return DX_TOO_LARGE;
    }
    definition->source_bytes += buffer.size;
    *text = dx_buffer_slice(&buffer);
    return DX_OK;
}

static dx_slice folder_of(dx_slice path) {
    while (path.size && path.data[path.size - 1] != '/') path.size--;
    return path;
}

// Reads the text as JSON; what is wrong with it is said with the file's own name and place.
static dx_status parse(dx_definition *definition, dx_source *source) {
    yyjson_doc *document;
    dx_diags found;
    dx_diags_init(&found, definition->work);
    dx_status status = dx_json_read(&document, definition->work, source->text, NULL, &found);
    if (status == DX_OK) source->root = yyjson_doc_get_root(document);
    if (status == DX_OK || status == DX_NO_MEMORY) return status;
    for (const dx_diag *diag = found.first; diag; diag = diag->next)
        dx_definition_refuse_line(definition, source->name, diag->line, diag->column, "%.*s", DX_SLICE_ARG(diag->message));
    return DX_OK;
}

static dx_source *source_create(dx_definition *definition, dx_slice key, dx_slice name) {
    dx_source *source = DX_ARENA_NEW(definition->arena, dx_source);
    if (!source) return NULL;
    *source = (dx_source){.name = name, .folder = folder_of(key)};
    return dx_map_put(&definition->sources, key, source) == DX_OK ? source : NULL;
}

static dx_status refuse_main(dx_definition *definition, dx_status status, const char *why) {
    if (status != DX_NO_MEMORY) dx_definition_refuse_line(definition, dx_slice_str(definition->path), 0, 0, "%s", why);
    return status;
}

dx_status dx_source_open_main(dx_definition *definition) {
    dx_slice path = dx_slice_str(definition->path), folder = folder_of(path);
    char *real = realpath(folder.size ? dx_arena_printf(definition->arena, "%.*s", DX_SLICE_ARG(folder)).data : ".", NULL);
    if (!real) return refuse_main(definition, DX_NOT_FOUND, strerror(errno));
    size_t size = strlen(real);
    definition->folder = folder;
    definition->real_folder = dx_arena_printf(definition->arena, "%s%s", real, size && real[size - 1] == '/' ? "" : "/");
    free(real);
    dx_source *source = source_create(definition, dx_slice_from(path, folder.size), path);
    if (!definition->real_folder.data || !source) return DX_NO_MEMORY;
    definition->main = source;
    if (definition->options && definition->options->text.data) {
        source->text = dx_arena_copy(definition->arena, definition->options->text);
        if (!source->text.data) return DX_NO_MEMORY;
        dx_status parsed = parse(definition, source);
        return parsed == DX_OK && !source->root ? DX_MALFORMED : parsed;
    }
    int fd = open(definition->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return refuse_main(definition, DX_NOT_FOUND, errno == ENOENT ? "there is no such file" : strerror(errno));
    dx_status status = read_all(definition, fd, &source->text);
    if (status == DX_UNAVAILABLE) refuse_main(definition, status = DX_NOT_FOUND, strerror(errno));
    if (status == DX_TOO_LARGE) refuse_main(definition, status, "the file is too large");
    close(fd);
    if (status != DX_OK) return status;
    status = parse(definition, source);
    return status == DX_OK && !source->root ? DX_MALFORMED : status;
}

// `folder` and `path` joined, "." and ".." resolved; false when it leads out.
static bool normalize(dx_arena *arena, dx_slice folder, dx_slice path, dx_slice *out, dx_status *status) {
    char *data = dx_arena_bytes(arena, folder.size + path.size + 2);
    size_t size = 0;
    if (!data) {
        *status = DX_NO_MEMORY;
        return false;
    }
    for (int half = 0; half < 2; half++) {
        dx_slice rest = half ? path : folder;
        while (rest.data) {
            dx_slice part = dx_slice_cut(&rest, '/');
            if (!part.size || dx_slice_equal(part, DX_SLICE("."))) continue;
            if (dx_slice_equal(part, DX_SLICE(".."))) {
                if (!size) return false;
                while (size && data[--size] != '/') {
                }
                continue;
            }
            if (size) data[size++] = '/';
            memcpy(data + size, part.data, part.size);
            size += part.size;
        }
    }
    data[size] = 0;
    *out = dx_slice_of(data, size);
    return size > 0;
}

// Opens a file below the definition's folder, or says why not.
static int open_below(dx_definition *definition, dx_slice key, const char **why) {
    struct stat info;
    dx_slice path = dx_arena_printf(definition->arena, "%.*s%.*s", DX_SLICE_ARG(definition->folder), DX_SLICE_ARG(key));
    char *real = path.data ? realpath(path.data, NULL) : NULL;
    if (!real) {
        *why = errno == ENOENT ? "there is no such file" : strerror(errno);
        return -1;
    }
    bool inside = dx_slice_starts(dx_slice_str(real), definition->real_folder);
    int fd = inside ? open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) : -1;
    free(real);
    if (!inside) *why = "it lies outside the definition's folder";
    if (inside && fd < 0) *why = strerror(errno);
    if (fd < 0) return -1;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return fd;
    *why = "it is not an ordinary file";
    close(fd);
    return -1;
}

static dx_status tell(dx_definition *definition, dx_slice *problem, const char *why) {
    *problem = dx_arena_copy(definition->arena, dx_slice_str(why));
    return problem->data ? DX_INVALID : DX_NO_MEMORY;
}

static dx_status read_new(dx_definition *definition, dx_slice key, const dx_source **out, dx_slice *problem) {
    const char *why = "";
    if (definition->sources.count >= DX_DEFINITION_FILES_CAP) return tell(definition, problem, "the definition has too many files");
    int fd = open_below(definition, key, &why);
    if (fd < 0) return tell(definition, problem, why);
    dx_slice name = dx_arena_printf(definition->arena, "%.*s%.*s", DX_SLICE_ARG(definition->folder), DX_SLICE_ARG(key));
    dx_source *source = name.data ? source_create(definition, key, name) : NULL;
    dx_status status = source ? read_all(definition, fd, &source->text) : DX_NO_MEMORY;
    int error = errno;
    close(fd);
    *out = source;
    if (status == DX_UNAVAILABLE) return tell(definition, problem, strerror(error));
    if (status == DX_TOO_LARGE) return tell(definition, problem, "the definition's files are too large together");
    return status == DX_OK ? parse(definition, source) : status;
}

dx_status dx_source_open(dx_definition *definition, const dx_source *from, dx_slice path, const dx_source **out, dx_slice *problem) {
    dx_slice key;
    dx_status status = DX_OK;
    if (path.size && (path.data[0] == '/' || memchr(path.data, 0, path.size)))
        return tell(definition, problem, "only files in the definition's folder can be referred to");
    if (!normalize(definition->arena, from->folder, path, &key, &status))
        return status == DX_OK ? tell(definition, problem, "it lies outside the definition's folder") : status;
    *out = dx_map_get(&definition->sources, key);
    return *out ? DX_OK : read_new(definition, key, out, problem);
}
