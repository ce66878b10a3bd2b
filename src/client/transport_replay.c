// Replaying: a custom transport that answers from a folder of recordings, which is read once. Recordings of one request stand in a row;
// each is given once, and the last of them for ever.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/memory.h"
#include "client/fail.h"
#include "client/recording.h"

#define REPLAY_ARENA_CAP ((size_t)2 << 30)

typedef struct row {
    dx_recording *next, *last; // the one that is given next
} row;

typedef struct replay {
    pthread_mutex_t lock; // of the rows
    dx_arena *arena;
    dx_map rows; // key → row
    dx_recording_secrets secrets;
} replay;

// --- reading ---------------------------------------------------------------------------------------------------------------------------

static dx_status read_file(dx_slice *out, dx_arena *arena, int folder, const char *name) {
    struct stat about;
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return DX_NOT_FOUND;
    dx_status status =
        fstat(file, &about) == 0 && S_ISREG(about.st_mode) && about.st_size < (off_t)(4 * DX_RECORDING_BODY_CAP) ? DX_OK : DX_INVALID;
    size_t size = status == DX_OK ? (size_t)about.st_size : 0, got = 0;
    char *text = status == DX_OK ? dx_arena_bytes(arena, size + 1) : NULL;
    if (status == DX_OK && !text) status = DX_NO_MEMORY;
    while (status == DX_OK && got < size) {
        ssize_t more = read(file, text + got, size - got);
        if (more > 0)
            got += (size_t)more;
        else if (more == 0 || errno != EINTR)
            status = DX_INVALID;
    }
    (void)close(file);
    *out = dx_slice_of(text, got);
    return status;
}

static dx_status add(replay *r, const dx_recording *from) {
    dx_recording *recording = DX_ARENA_NEW(r->arena, dx_recording);
    row *in = dx_map_get(&r->rows, from->key);
    if (!recording) return DX_NO_MEMORY;
    *recording = *from;
    if (in) {
        in->last->next = recording;
        in->last = recording;
        return DX_OK;
    }
    in = DX_ARENA_NEW(r->arena, row);
    if (!in) return DX_NO_MEMORY;
    in->next = in->last = recording;
    return dx_map_put(&r->rows, recording->key, in);
}

static int is_json(const struct dirent *entry) {
    size_t size = strlen(entry->d_name);
    return size > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + size - 5, ".json") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name); // not alphasort, which goes by the locale
}

static dx_error_code read_one(replay *r, int folder, const char *name, dx_error *error) {
    dx_slice text;
    dx_recording recording;
    dx_status status = read_file(&text, r->arena, folder, name);
    if (status == DX_OK) status = dx_recording_read(&recording, r->arena, dx_slice_str(name), text);
    if (status == DX_OK) status = add(r, &recording);
    if (status == DX_OK) return DX_ERROR_NONE;
    if (status == DX_NO_MEMORY) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the recordings");
    return dx_fail(error, DX_ERROR_FILE, "%s is no recording", name);
}

static dx_error_code read_folder(replay *r, const char *path, dx_error *error) {
    struct dirent **entries = NULL;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        count = folder < 0 ? -1 : scandirat(folder, ".", &entries, is_json, by_name);
    dx_error_code code = DX_ERROR_NONE;
    if (count < 0) code = dx_fail(error, DX_ERROR_FILE, "%s can't be replayed: %s", path, strerror(errno));
    if (count > DX_RECORDING_FILES_CAP) code = dx_fail(error, DX_ERROR_FILE, "%s holds more than %d files", path, DX_RECORDING_FILES_CAP);
    for (int i = 0; i < count && !code; i++) code = read_one(r, folder, entries[i]->d_name, error);
    for (int i = 0; i < count; i++) free(entries[i]); // NOLINT: scandir's own
    free(entries);
    if (folder >= 0) (void)close(folder);
    return code;
}

// --- answering -------------------------------------------------------------------------------------------------------------------------

static const dx_recording *pick(replay *r, dx_slice key) {
    pthread_mutex_lock(&r->lock);
    row *in = dx_map_get(&r->rows, key);
    const dx_recording *recording = in ? in->next : NULL;
    if (recording && recording->next) in->next = recording->next;
    pthread_mutex_unlock(&r->lock);
    return recording;
}

static size_t common(dx_slice a, dx_slice b) {
    size_t size = 0;
    while (size < a.size && size < b.size && a.data[size] == b.data[size]) size++;
    return size;
}

static void fail_missing(replay *r, const dx_recording_request *request, dx_arena *arena, dx_reply *reply) {
    const dx_recording *near = NULL;
    const dx_map_entry *entry;
    size_t most = 0;
    for (size_t i = 0; (entry = dx_map_next(&r->rows, &i));) {
        const dx_recording *one = ((const row *)entry->value)->last;
        size_t alike = common(one->key, request->key);
        if (near && (alike < most || (alike == most && dx_slice_compare(one->file, near->file) > 0))) continue;
        near = one;
        most = alike;
    }
    dx_slice asked = request->url.size > 150 ? dx_slice_of(request->url.data, 150) : request->url, text;
    if (!near)
        text = dx_arena_printf(arena, "%.*s %.*s; nothing was recorded at all", DX_SLICE_ARG(request->method), DX_SLICE_ARG(asked));
    else if (dx_slice_equal(near->url, request->url) && dx_slice_equal(near->method, request->method))
        text = dx_arena_printf(arena, "%.*s %.*s with this body; with another one there is %.*s", DX_SLICE_ARG(request->method),
                               DX_SLICE_ARG(asked), DX_SLICE_ARG(near->file));
    else
        text = dx_arena_printf(arena, "%.*s %.*s; the nearest is %.*s %.150s in %.*s", DX_SLICE_ARG(request->method), DX_SLICE_ARG(asked),
                               DX_SLICE_ARG(near->method), near->url.data, DX_SLICE_ARG(near->file));
    dx_reply_fail(reply, DX_ERROR_RECORDING, text.data);
}

static void replay_send(void *context, const dx_sent *sent, dx_reply *reply) {
    replay *r = context;
    dx_transfer *transfer = dx_reply_transfer(reply);
    dx_recording_request request;
    dx_slice body = dx_slice_of(sent->body, sent->body_size);
    dx_status status = dx_recording_request_make(&request, transfer->x->arena, &r->secrets, transfer, body);
    if (status == DX_NO_MEMORY) return dx_reply_fail(reply, DX_ERROR_NO_MEMORY, NULL);
    if (status != DX_OK) return dx_reply_fail(reply, DX_ERROR_RECORDING, "the request is too large to have been recorded");
    const dx_recording *recording = pick(r, request.key);
    if (!recording) return fail_missing(r, &request, transfer->x->arena, reply);
    dx_reply_status(reply, recording->status);
    for (uint32_t i = 0; i < recording->fields.count; i++) {
        const dx_field *field = &recording->fields.items[i];
        dx_reply_header(reply, field->name.data, field->value.size ? field->value.data : "");
    }
    dx_reply_body(reply, recording->body.data, recording->body.size);
    dx_reply_finish(reply);
}

// --- setting up --------------------------------------------------------------------------------------------------------------------------

static void replay_destroy(void *context) {
    replay *r = context;
    dx_recording_secrets_deinit(&r->secrets);
    dx_arena_destroy(r->arena);
    (void)pthread_mutex_destroy(&r->lock);
    dx_memory_free(r);
}

dx_recording_secrets *dx_replay_secrets(dx_transport *transport) {
    replay *r = dx_transport_context(transport, replay_send);
    return r ? &r->secrets : NULL;
}

dx_error_code dx_transport_replay_create(dx_transport **out, const char *folder, dx_error *error) {
    replay *r = dx_memory_zalloc(1, sizeof *r);
    dx_transport_custom custom = DX_TRANSPORT_CUSTOM_INIT;
    *out = NULL;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    if (!r) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the recordings");
    (void)pthread_mutex_init(&r->lock, NULL);
    r->arena = dx_arena_create(REPLAY_ARENA_CAP);
    dx_error_code code = DX_ERROR_NONE;
    if (!r->arena || dx_recording_secrets_init(&r->secrets) != DX_OK)
        code = dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the recordings");
    if (!code) dx_map_init(&r->rows, r->arena);
    if (!code) code = read_folder(r, folder, error);
    custom.context = r;
    custom.send = replay_send;
    custom.destroy = replay_destroy;
    if (!code) *out = dx_transport_custom_create(&custom);
    if (*out) return DX_ERROR_NONE;
    if (!code) code = dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the recordings");
    replay_destroy(r);
    return code;
}
