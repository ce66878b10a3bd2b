// One call, from its start to its answer on standard output.
#include <stdio.h>
#include <unistd.h>

#include "cli/cli_call.h"

// --- telling the answer --------------------------------------------------------------------------------------------------------------

static void print_head(const dx_response *response) {
    const char *name, *value;
    int status = dx_response_status(response);
    fprintf(stderr, "%d %s\n", status, dx_http_phrase(status));
    for (size_t i = 0; dx_response_header_at(response, i, &name, &value); i++) fprintf(stderr, "%s: %s\n", name, value);
    fputc('\n', stderr);
}

static int can_not_write(const dx_cli_call *call, dx_status status, const dx_diags *found) {
    if (status == DX_NOT_FOUND) {
        fprintf(stderr, "duplex call: --query %s selects nothing in the answer\n", call->query ? call->query : "");
    } else if (status == DX_MALFORMED) {
        fputs("duplex call: the answer is no JSON; -o raw prints it as it is\n", stderr);
    } else if (found->first) {
        dx_print_findings(found);
    } else {
        fprintf(stderr, "duplex call: the answer can't be printed: %s\n", dx_status_title(status));
    }
    return DX_EXIT_FAILED;
}

// Without -o what is JSON is shown as such, and all else as it came.
static int print_body(const dx_cli_call *call, dx_slice body, bool json) {
    dx_output_options options = call->out;
    dx_buffer text;
    dx_diags found;
    if (!call->format_given && !json && !options.query.data) options.format = DX_OUTPUT_RAW;
    if (body.size == 0 && !options.query.data) return DX_EXIT_OK;
    if (options.format == DX_OUTPUT_RAW && !options.query.data) return dx_print_output(body);
    dx_buffer_init(&text, call->arena, DX_CLI_TEXT_CAP);
    dx_diags_init(&found, call->arena);
    dx_status status = dx_output_write(&text, call->arena, body, &options, &found);
    return status == DX_OK ? dx_print_output(dx_buffer_slice(&text)) : can_not_write(call, status, &found);
}

// The answer of an error is data, too, but not what a query was made for.
static void print_error_body(const dx_cli_call *call, dx_slice body, bool json) {
    dx_cli_call plain = *call;
    const char *query = call->query;
    if (query) {
        if (body.size) fprintf(stderr, "%.*s\n", DX_SLICE_ARG(body));
        return;
    }
    if (!json) plain.out.format = DX_OUTPUT_RAW;
    (void)print_body(&plain, body, json);
}

static dx_slice body_of(const dx_response *response) {
    size_t size;
    const char *body = dx_response_body(response, &size);
    return dx_slice_of(body, size);
}

static int tell(const dx_cli_call *call, dx_call *made, dx_slice error_text) {
    const dx_error *error = dx_call_error(made);
    const dx_response *response = dx_call_response(made);
    if (response && call->include) print_head(response);
    bool json = response && dx_response_is_json(response);
    dx_slice body = error_text.size ? error_text : response ? body_of(response) : (dx_slice){0};
    if (error->code) {
        if (response) print_error_body(call, body, json);
        return dx_cli_tell_error(call, error);
    }
    return call->output ? DX_EXIT_OK : print_body(call, body, json);
}

// --- running ---------------------------------------------------------------------------------------------------------------------------

static void on_done(void *context, dx_call *call) {
    (void)call;
    dx_cli_watch_wake(context);
}

static dx_error_code start(dx_call **out, dx_cli_call *call, dx_cli_watch *watch, dx_error *error) {
    if (call->endpoint) return dx_call_start(out, call->client, call->endpoint, call->args, &call->options, on_done, watch, error);
    return dx_call_start_request(out, call->client, call->api, call->method, call->path, call->args, &call->options, on_done, watch, error);
}

static int run_watched(dx_cli_call *call, dx_cli_watch *watch, dx_cli_file *file) {
    dx_call *made;
    dx_error error = DX_ERROR_INIT;
    dx_slice text = {0};
    if (start(&made, call, watch, &error)) {
        if (file) (void)dx_cli_file_close(file, false, &text);
        return dx_cli_tell_error(call, &error);
    }
    while (!dx_call_is_over(made))
        if (dx_cli_watch_wait(watch)) dx_call_cancel(made);
    (void)dx_call_wait(made, -1); // `done` has returned, too
    int written = file ? dx_cli_file_close(file, dx_call_error(made)->code == DX_ERROR_NONE, &text) : DX_EXIT_OK;
    int result = written == DX_EXIT_OK ? tell(call, made, text) : written;
    dx_call_release(made);
    return result;
}

int dx_cli_run(dx_cli_call *call) {
    dx_cli_file *file = NULL;
    if (call->output) {
        int result = dx_cli_file_open(&file, call);
        if (result != DX_EXIT_OK) return result;
        call->options.sink = dx_cli_file_sink(file);
    }
    return run_watched(call, &call->watch, file);
}
