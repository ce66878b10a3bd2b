#include "cli/document_fetch.h"

#include <stdio.h>

#include "cli/command.h"
#include "client/client.h"

#define TIMEOUT_S 60

static int failed(const char *url, const char *why) {
    fprintf(stderr, "duplex import: %s: %s\n", url, why);
    return DX_EXIT_FAILED;
}

// The definition of the URL's origin; `*path` is the rest.
static dx_slice definition_of(dx_arena *arena, const char *url, const char **path) {
    dx_buffer text;
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : 7, origin = scheme + strcspn(url + scheme, "/?#");
    dx_slice rest = dx_slice_of(url + origin, strcspn(url + origin, "#"));
    *path = dx_arena_printf(arena, "%s%.*s", rest.size && rest.data[0] == '/' ? "" : "/", DX_SLICE_ARG(rest)).data;
    dx_buffer_init(&text, arena, 65536);
    DX_BUFFER_LIT(&text, "{\"apis\":{\"document\":{\"base_url\":");
    dx_json_write_string(&text, dx_slice_of(url, origin));
    dx_buffer_printf(&text,
                     ",\"timeout\":%d,\"max_body\":\"" DX_FETCH_CAP "\",\"default_headers\":{\"Accept\":\"application/json, "
                     "application/yaml, text/yaml;q=0.9, */*;q=0.5\",\"User-Agent\":\"duplex/" DX_VERSION "\"}}}}",
                     TIMEOUT_S);
    return *path ? dx_buffer_slice(&text) : (dx_slice){0};
}

static int take(dx_buffer *out, dx_slice *final, dx_arena *arena, dx_response *response) {
    const dx_call *call = DX_CONTAINER_OF(response, dx_call, response);
    size_t size;
    const char *body = dx_response_body(response, &size);
    dx_buffer_append(out, body, size);
    *final = dx_arena_copy(arena, call->transfer.url);
    return dx_buffer_status(out) == DX_OK && final->data ? DX_EXIT_OK : DX_EXIT_FAILED;
}

int dx_document_fetch_url(dx_buffer *out, dx_slice *final, dx_arena *arena, const char *url) {
    dx_client *client;
    dx_response *response = NULL;
    dx_error error = DX_ERROR_INIT;
    const char *path;
    dx_slice definition = definition_of(arena, url, &path);
    int result = DX_EXIT_FAILED;
    if (!definition.data) return failed(url, "out of memory");
    if (memchr(definition.data, '$', definition.size)) return failed(url, "a host has no \"$\""); // nor may it name a variable
    if (dx_client_open_text(&client, definition.data, definition.size, NULL, &error))
        return failed(url, "expected a URL as in https://example.com/openapi.json");
    if (dx_client_get(&response, client, "document", path, NULL, NULL, &error))
        (void)failed(url, error.message);
    else
        result = take(out, final, arena, response);
    dx_response_release(response);
    dx_client_close(client);
    return result;
}
