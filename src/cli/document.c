// Reading a document from wherever it is, and telling JSON from YAML.
#include "cli/document.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "codec/yaml.h"

#define LOCATE_CAP ((size_t)8 << 20) // bytes; the search for a place runs over the text again, for each finding

static int tell(const char *source, const char *why) {
    fprintf(stderr, "duplex: %s: %s\n", source, why);
    return DX_EXIT_FAILED;
}

static int read_all(dx_buffer *out, int fd, const char *source) {
    for (;;) {
        char *room = dx_buffer_reserve(out, out->size + 65536 < out->cap ? 65536 : 1);
        if (!room) return tell(source, out->status == DX_TOO_LARGE ? "it is too large" : "out of memory");
        ssize_t got = read(fd, room, out->capacity - out->size - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tell(source, strerror(errno));
        if (got == 0) return DX_EXIT_OK;
        out->size += (size_t)got;
    }
}

static int read_file(dx_buffer *out, const char *source) {
    bool standard = strcmp(source, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(source, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return tell(source, errno == ENOENT ? "there is no such file" : strerror(errno));
    int result = read_all(out, fd, standard ? "standard input" : source);
    if (!standard) (void)close(fd);
    return result;
}

static bool is_url(const char *source) {
    dx_slice text = dx_slice_str(source);
    return dx_slice_starts(text, DX_SLICE("http://")) || dx_slice_starts(text, DX_SLICE("https://"));
}

static bool looks_like_json(dx_slice text) {
    size_t at = 0;
    while (at < text.size && (text.data[at] == ' ' || text.data[at] == '\t' || text.data[at] == '\n' || text.data[at] == '\r')) at++;
    return at < text.size && (text.data[at] == '{' || text.data[at] == '[');
}

static int parse(dx_document *document, dx_arena *arena, uint32_t depth_cap) {
    dx_diags found;
    yyjson_doc *doc;
    const dx_json_options options = {.depth_cap = depth_cap};
    dx_diags_init(&found, arena);
    document->json = looks_like_json(document->text);
    dx_status status = document->json ? dx_json_read(&doc, arena, document->text, &options, &found)
                                      : dx_yaml_read(&doc, arena, document->text, &options, &found);
    document->root = yyjson_doc_get_root(doc);
    if (status == DX_OK) return DX_EXIT_OK;
    if (!found.first) return tell(document->source, dx_status_title(status));
    for (dx_diag *diag = found.first; diag; diag = diag->next) diag->file = dx_slice_str(document->source);
    dx_print_findings(&found);
    return DX_EXIT_REFUSED;
}

int dx_document_read(dx_document *out, dx_arena *arena, const char *source, uint32_t depth_cap, dx_document_fetch *fetch) {
    dx_buffer text;
    *out = (dx_document){.source = source};
    dx_buffer_init(&text, arena, DX_DOCUMENT_CAP);
    int result;
    if (!is_url(source))
        result = read_file(&text, source);
    else if (fetch)
        result = fetch(&text, &out->url, arena, source);
    else
        result = tell(source, "this build has no client to fetch URLs with");
    if (result != DX_EXIT_OK) return result;
    out->text = dx_buffer_slice(&text);
    return parse(out, arena, depth_cap);
}

void dx_document_locate(const dx_document *document, dx_arena *arena, const dx_diags *findings) {
    for (dx_diag *diag = findings->first; diag; diag = diag->next) {
        diag->file = dx_slice_str(document->source);
        if (document->json && diag->pointer.size && document->text.size <= LOCATE_CAP)
            (void)dx_json_locate(document->text, diag->pointer, true, &diag->line, &diag->column);
    }
    if (!document->json && findings->first) dx_yaml_locate(arena, document->text, findings);
}
