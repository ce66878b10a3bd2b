// However a stream of requests is cut into pieces, the HTTP/1.1 parser sees the same requests, bodies and refusals, and every head that it
// passes keeps the promises of net/http_server.h (which the trace checks).
#include <string.h>

#include "fuzz.h"
#include "net/http1_trace.c" // made for tests: no library has it

// The reason of a refusal may depend on which of two caps is looked at first; its status may not, but for trailers that are both too large
// and malformed: llhttp reads ahead of what it tells of.
static void cut_reason(dx_buffer *text) {
    static const char error[] = "\nERROR 400";
    FUZZ_CHECK(dx_buffer_status(text) == DX_OK);
    dx_buffer_byte(text, 0);
    size_t line = text->size < 2 ? 0 : text->size - 2;
    while (line > 0 && text->data[line - 1] != '\n') line--;
    bool trailers = strstr(text->data + line, " trailers") || strstr(text->data + line, " chunked body");
    if (trailers && strncmp(text->data + line, error + 1, 6) == 0) memcpy(text->data + line, error + 1, sizeof error - 2);
    if (strncmp(text->data + line, error + 1, 6) == 0) text->size = line + sizeof error - 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 64 * 1024) return 0;
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.head_bytes = 4096;
    limits.target_bytes = 1000;
    limits.fields = 20;
    const size_t steps[] = {0, 1, 2 + data[0] % 60u};
    dx_buffer traces[3];
    for (size_t i = 0; i < 3; i++) {
        dx_buffer_init(&traces[i], NULL, 1 << 20);
        dx_http1_trace(&traces[i], dx_slice_of((const char *)data, size), steps[i], &limits);
        cut_reason(&traces[i]);
        bool cut_makes_no_difference = dx_slice_equal(dx_buffer_slice(&traces[0]), dx_buffer_slice(&traces[i]));
        if (!cut_makes_no_difference) fprintf(stderr, "whole:\n%s\nin steps of %zu:\n%s\n", traces[0].data, steps[i], traces[i].data);
        FUZZ_CHECK(cut_makes_no_difference);
    }
    for (size_t i = 0; i < 3; i++) dx_buffer_deinit(&traces[i]);
    return 0;
}
