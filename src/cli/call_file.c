// An answer that goes to a file: in pieces, beside its place, and moved there when it is whole. The answer of an error does not go there.
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli_call.h"
#include "cli/progress.h"

#define ERROR_BODY_CAP ((size_t)64 << 10)
#define KIB            1024u

struct dx_cli_file {
    const char *path, *beside;
    int fd, error; // errno of the first write that failed
    uint64_t written;
    bool refused; // an error's answer
    dx_buffer text;
    dx_progress progress;
    dx_sink sink;
};

static int failed(const char *path, int error) {
    fprintf(stderr, "duplex call: %s: %s\n", path, strerror(error));
    return DX_EXIT_FAILED;
}

static void on_head(void *context, dx_call *call) {
    dx_cli_file *file = context;
    dx_response *response = dx_call_response(call);
    const char *length = dx_response_header(response, "content-length", 0), *coded = dx_response_header(response, "content-encoding", 0);
    uint64_t total = 0;
    file->refused = dx_response_status(response) >= 400;
    if (coded || !length || !dx_slice_to_u64(dx_slice_str(length), &total)) total = 0;
    dx_progress_start(&file->progress, STDERR_FILENO, "KiB", total / KIB, dx_clock_monotonic());
}

static void write_piece(dx_cli_file *file, const char *data, size_t size) {
    while (size && !file->error) {
        ssize_t written = write(file->fd, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            file->error = errno;
            return;
        }
        data += written;
        size -= (size_t)written;
        file->written += (size_t)written;
    }
}

static bool on_piece(void *context, dx_call *call, const char *data, size_t size) {
    dx_cli_file *file = context;
    if (file->refused) {
        size_t room = ERROR_BODY_CAP - file->text.size;
        dx_buffer_append(&file->text, data, size < room ? size : room);
        return true;
    }
    write_piece(file, data, size);
    if (file->error) dx_call_cancel(call);
    dx_progress_set(&file->progress, file->written / KIB, 0, dx_clock_monotonic());
    return true;
}

int dx_cli_file_open(dx_cli_file **out, const dx_cli_call *call) {
    dx_cli_file *file = DX_ARENA_NEW(call->arena, dx_cli_file);
    dx_slice beside = file ? dx_arena_printf(call->arena, "%s.%ld.part", call->output, (long)getpid()) : (dx_slice){0};
    if (!beside.data) return failed(call->output, ENOMEM);
    file->path = call->output;
    file->beside = beside.data;
    file->sink = (dx_sink){on_head, on_piece, file};
    dx_buffer_init(&file->text, call->arena, ERROR_BODY_CAP);
    file->fd = open(file->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file->fd < 0) return failed(call->output, errno);
    *out = file;
    return DX_EXIT_OK;
}

const dx_sink *dx_cli_file_sink(dx_cli_file *file) {
    return &file->sink;
}

int dx_cli_file_close(dx_cli_file *file, bool keep, dx_slice *text) {
    dx_progress_stop(&file->progress, dx_clock_monotonic());
    *text = dx_buffer_slice(&file->text);
    if (close(file->fd) != 0 && !file->error) file->error = errno;
    if (keep && !file->error && !file->refused) {
        if (rename(file->beside, file->path) == 0) return DX_EXIT_OK;
        file->error = errno;
    }
    (void)unlink(file->beside);
    return file->error ? failed(file->path, file->error) : DX_EXIT_OK;
}
