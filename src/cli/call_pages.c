// `--all-pages`: every item that the pages of an endpoint have, one after the other. NDJSON and raw are printed as they come, in the memory
// of one page; the other forms need all of it.
#include <stdio.h>
#include <unistd.h>

#include "cli/cli_call.h"
#include "cli/progress.h"
#include "duplex/pages.h"

typedef struct paging {
    dx_cli_call *call;
    dx_pages *pages;
    dx_progress progress;
    dx_buffer list; // of all items, where they are not printed as they come
    pthread_t watcher;
} paging;

// Interruptions are waited for beside the pages, which block.
static void *watch(void *ctx) {
    paging *p = ctx;
    if (dx_cli_watch_wait(&p->call->watch)) dx_pages_cancel(p->pages);
    return NULL;
}

static bool streams(const dx_cli_call *call) {
    return call->format_given && (call->out.format == DX_OUTPUT_NDJSON || call->out.format == DX_OUTPUT_RAW);
}

static int print_item(const paging *p, dx_slice item) {
    dx_output_options options = p->call->out;
    dx_buffer text;
    dx_diags found;
    dx_arena *arena = dx_arena_create(DX_CLI_ARENA_CAP);
    int result = DX_EXIT_FAILED;
    if (!arena) return result;
    dx_buffer_init(&text, arena, DX_CLI_TEXT_CAP);
    dx_diags_init(&found, arena);
    dx_status status = dx_output_write(&text, arena, item, &options, &found);
    if (options.format == DX_OUTPUT_RAW && !options.query.data) dx_buffer_byte(&text, '\n');
    if (status == DX_OK && dx_buffer_status(&text) == DX_OK)
        result = dx_print_output(dx_buffer_slice(&text));
    else
        fprintf(stderr, "duplex call: an item can't be printed: %s\n", dx_status_title(status));
    dx_arena_destroy(arena);
    return result;
}

static int take_item(paging *p, dx_slice item) {
    dx_progress_set(&p->progress, dx_pages_item_count(p->pages), 0, dx_clock_monotonic());
    if (streams(p->call)) return print_item(p, item);
    dx_buffer_byte(&p->list, p->list.size ? ',' : '[');
    dx_buffer_add(&p->list, item);
    return dx_buffer_status(&p->list) == DX_OK ? DX_EXIT_OK : DX_EXIT_FAILED;
}

static int print_list(paging *p) {
    dx_buffer text;
    dx_diags found;
    if (streams(p->call)) return DX_EXIT_OK;
    if (!p->list.size) dx_buffer_byte(&p->list, '[');
    dx_buffer_byte(&p->list, ']');
    dx_buffer_init(&text, p->call->arena, DX_CLI_TEXT_CAP);
    dx_diags_init(&found, p->call->arena);
    dx_status status = dx_output_write(&text, p->call->arena, dx_buffer_slice(&p->list), &p->call->out, &found);
    if (status == DX_OK) return dx_print_output(dx_buffer_slice(&text));
    fprintf(stderr, "duplex call: %s\n", status == DX_NOT_FOUND ? "--query selects nothing in the items" : dx_status_title(status));
    return DX_EXIT_FAILED;
}

static int read_items(paging *p) {
    const char *json;
    size_t size;
    dx_error error = DX_ERROR_INIT;
    int result = DX_EXIT_OK;
    while (result == DX_EXIT_OK) {
        if (dx_pages_next_item(p->pages, &json, &size, &error)) return dx_cli_tell_error(p->call, &error);
        if (!json) break;
        result = take_item(p, dx_slice_of(json, size));
    }
    dx_progress_stop(&p->progress, dx_clock_monotonic());
    return result == DX_EXIT_OK ? print_list(p) : result;
}

int dx_cli_pages(dx_cli_call *call) {
    paging p = {.call = call};
    dx_error error = DX_ERROR_INIT;
    dx_pages_options options = DX_PAGES_OPTIONS_INIT;
    call->options.raise_on_error = DX_RAISE_AS_DEFINED;
    options.call = &call->options;
    if (dx_pages_open(&p.pages, call->client, call->endpoint, call->args, &options, &error)) return dx_cli_tell_error(call, &error);
    dx_buffer_init(&p.list, call->arena, DX_CLI_TEXT_CAP);
    dx_progress_start(&p.progress, STDERR_FILENO, "items", 0, dx_clock_monotonic());
    if (pthread_create(&p.watcher, NULL, watch, &p) != 0) {
        dx_pages_close(p.pages);
        fputs("duplex call: there is no thread to be had\n", stderr);
        return DX_EXIT_FAILED;
    }
    int result = read_items(&p);
    dx_cli_watch_wake(&call->watch);
    (void)pthread_join(p.watcher, NULL);
    dx_pages_close(p.pages);
    return result;
}
