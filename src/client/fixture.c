#include "client/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *nothing(void *context, const char *name) {
    (void)context;
    (void)name;
    return NULL;
}

dx_client *open_over(const char *apis, dx_transport *transport) {
    dx_client *client;
    dx_error error;
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    options.transport = transport;
    options.variable = nothing;
    if (dx_client_open_text(&client, apis, strlen(apis), &options, &error)) fail_msg("%s", error.message);
    return client;
}

void mock_rule(dx_transport *mock, const char *pattern, int status, const char *body, unsigned times) {
    dx_mock_rule rule = DX_MOCK_RULE_INIT;
    rule.pattern = pattern;
    rule.status = status;
    rule.body = body;
    rule.times = times;
    assert_int_equal(dx_mock_rule_add(mock, &rule), DX_ERROR_NONE);
}

const char *sent_header(const dx_sent *sent, const char *name) {
    for (const dx_header *header = sent->headers; header->name; header++)
        if (strcasecmp(header->name, name) == 0) return header->value;
    return NULL;
}

dx_error_code get(dx_client *client, const char *path, char *text, size_t room, dx_error *error) {
    dx_response *response;
    size_t size;
    dx_error_code code = dx_client_get(&response, client, "a", path, NULL, NULL, error);
    if (text && room) text[0] = '\0';
    if (response && text) {
        const char *body = dx_response_body(response, &size);
        if (size >= room) size = room - 1;
        memcpy(text, body, size);
        text[size] = '\0';
    }
    dx_response_release(response);
    return code;
}
