// What programs see of pages: reading on, by pages or items, waiting or not; the state; the end. Between a fetch and its callback the
// reader is the client's thread, so everything is done under one lock, and callbacks come outside of it.
#include "base/memory.h"
#include "client/fail.h"
#include "client/pages_parts.h"

// --- pages, waited for ---------------------------------------------------------------------------------------------------------------

static void forget_page(dx_pages *pages) {
    dx_response_release(pages->page);
    pages->page = NULL;
    pages->item = NULL;
}

static void wait_for_next(dx_pages *pages, dx_page_outcome *outcome) {
    if (dx_pages_is_settled(pages, outcome)) return;
    if (pages->client->options.loop) {
        dx_pages_drop(pages);
        return dx_pages_take_here(pages, outcome);
    }
    if (dx_pages_begin(pages, &outcome->error)) return;
    while (!dx_pages_is_here(pages) && pages->slot_count) (void)pthread_cond_wait(&pages->changed, &pages->lock);
    dx_pages_take(pages, outcome);
}

static dx_error_code refuse_busy(dx_pages *pages, dx_error *error) {
    return dx_fail(error, DX_ERROR_ARGUMENT, "%.*s: a page is being fetched already", DX_SLICE_ARG(pages->full));
}

dx_error_code dx_pages_next(dx_pages *pages, dx_response **out, dx_error *error) {
    dx_page_outcome outcome = {.error = DX_ERROR_INIT};
    *out = NULL;
    pthread_mutex_lock(&pages->lock);
    if (pages->pending) {
        pthread_mutex_unlock(&pages->lock);
        return refuse_busy(pages, error);
    }
    forget_page(pages);
    wait_for_next(pages, &outcome);
    pthread_mutex_unlock(&pages->lock);
    *out = outcome.page;
    if (error) *error = outcome.error;
    return outcome.error.code;
}

// --- items -------------------------------------------------------------------------------------------------------------------------------

static yyjson_val *items_of(const dx_pages *pages) {
    yyjson_val *root = dx_response_root(pages->page);
    return pages->how.items.size ? dx_json_at(root, pages->how.items) : root;
}

// The next page, to be read by items.
static dx_error_code open_page(dx_pages *pages, dx_error *error) {
    dx_page_outcome outcome = {.error = DX_ERROR_INIT};
    uint64_t skip = pages->skip;
    if (dx_place_copy(&pages->page_at, &pages->at) != DX_OK) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the page");
    wait_for_next(pages, &outcome);
    *error = outcome.error;
    if (outcome.error.code) {
        dx_response_release(outcome.page);
        return outcome.error.code;
    }
    pages->page = outcome.page;
    if (!pages->page) return DX_ERROR_NONE;
    yyjson_val *items = items_of(pages);
    pages->count = yyjson_arr_size(items);
    pages->index = skip < pages->count ? skip : pages->count;
    pages->items = (yyjson_arr_iter){0};
    if (pages->count) (void)yyjson_arr_iter_init(items, &pages->items);
    for (uint64_t i = 0; i < pages->index; i++) (void)yyjson_arr_iter_next(&pages->items);
    return DX_ERROR_NONE;
}

static dx_error_code give_item(dx_pages *pages, const char **json, size_t *size, dx_error *error) {
    size_t written = 0;
    if (!pages->item) pages->item = yyjson_arr_iter_next(&pages->items);
    pages->json = yyjson_val_write_opts(pages->item, YYJSON_WRITE_NOFLAG, &dx_response_heap, &written, NULL);
    if (!pages->json) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the item");
    pages->item = NULL;
    pages->index++;
    *json = pages->json;
    if (size) *size = written;
    return DX_ERROR_NONE;
}

static dx_error_code next_item(dx_pages *pages, const char **json, size_t *size, dx_error *error) {
    for (;;) {
        if (pages->page && pages->index < pages->count) return give_item(pages, json, size, error);
        forget_page(pages);
        dx_error_code code = open_page(pages, error);
        if (code || !pages->page) return code;
    }
}

dx_error_code dx_pages_next_item(dx_pages *pages, const char **json, size_t *size, dx_error *error) {
    dx_error found = DX_ERROR_INIT;
    *json = NULL;
    if (size) *size = 0;
    pthread_mutex_lock(&pages->lock);
    dx_memory_free(pages->json);
    pages->json = NULL;
    if (pages->pending)
        (void)refuse_busy(pages, &found);
    else
        (void)!next_item(pages, json, size, &found);
    pthread_mutex_unlock(&pages->lock);
    if (error) *error = found;
    return found.code;
}

// --- pages, not waited for -----------------------------------------------------------------------------------------------------------

void dx_pages_tell(dx_pages *pages, dx_page_outcome *outcome) {
    pthread_mutex_lock(&pages->lock);
    dx_pages_done done = pages->done;
    void *ctx = pages->done_ctx;
    bool closed = pages->closed;
    pages->pending = false;
    pthread_mutex_unlock(&pages->lock);
    if (closed) { // whatever came meanwhile
        dx_response_release(outcome->page);
        outcome->page = NULL;
        (void)dx_fail(&outcome->error, DX_ERROR_CANCELLED, "%.*s: the pages were closed", DX_SLICE_ARG(pages->full));
    }
    done(ctx, closed ? NULL : pages, outcome->page, &outcome->error);
}

// What needs no waiting is told as everything else: later, on one of the client's threads.
static void tell_task(dx_task *task) {
    dx_pages *pages = DX_CONTAINER_OF(task, dx_pages, task);
    dx_page_outcome outcome;
    pthread_mutex_lock(&pages->lock);
    if (!dx_pages_is_settled(pages, &outcome)) dx_pages_take(pages, &outcome);
    pthread_mutex_unlock(&pages->lock);
    dx_pages_tell(pages, &outcome);
    dx_pages_let_go(pages);
}

static dx_error_code fetch(dx_pages *pages, dx_error *error) {
    dx_page_outcome outcome;
    bool settled = dx_pages_is_settled(pages, &outcome);
    if (!settled && !dx_pages_is_here(pages)) return dx_pages_begin(pages, error);
    dx_engine *engine = dx_client_engine(pages->client);
    if (!engine) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory, no descriptor or no thread for calls");
    pages->task.run = tell_task;
    dx_pages_hold(pages);
    dx_loop_post(engine->loop, &pages->task);
    return DX_ERROR_NONE;
}

dx_error_code dx_pages_fetch(dx_pages *pages, dx_pages_done done, void *context, dx_error *error) {
    if (error) *error = (dx_error)DX_ERROR_INIT;
    pthread_mutex_lock(&pages->lock);
    if (pages->pending) {
        pthread_mutex_unlock(&pages->lock);
        return refuse_busy(pages, error);
    }
    forget_page(pages);
    pages->pending = true;
    pages->done = done;
    pages->done_ctx = context;
    dx_error_code code = fetch(pages, error);
    if (code) pages->pending = false;
    pthread_mutex_unlock(&pages->lock);
    return code;
}

// --- ending ------------------------------------------------------------------------------------------------------------------------------

// The call of a fetch under way stays in its slot: its end tells the program.
static void cancel(dx_pages *pages) {
    pages->cancelled = true;
    if (pages->closed && !pages->pending) return dx_pages_drop(pages);
    for (unsigned i = 0; i < pages->slot_count; i++)
        if (!pages->slots[i]->done) dx_call_cancel(pages->slots[i]->call);
}

void dx_pages_cancel(dx_pages *pages) {
    pthread_mutex_lock(&pages->lock);
    cancel(pages);
    pthread_mutex_unlock(&pages->lock);
}

void dx_pages_close(dx_pages *pages) {
    if (!pages) return;
    pthread_mutex_lock(&pages->lock);
    pages->closed = true;
    cancel(pages);
    pthread_mutex_unlock(&pages->lock);
    dx_pages_let_go(pages);
}

// --- how far ---------------------------------------------------------------------------------------------------------------------------

static uint64_t items_left(const dx_pages *pages) {
    return pages->page ? pages->count - pages->index : 0;
}

char *dx_pages_state(const dx_pages *pages) {
    dx_pages *self = (dx_pages *)(uintptr_t)pages;
    pthread_mutex_lock(&self->lock);
    dx_pages_mark mark = {pages->at, pages->full, pages->how.type, "", pages->skip, pages->seen, pages->given};
    memcpy(mark.digest, pages->digest, sizeof mark.digest);
    if (items_left(pages)) {
        mark.place = pages->page_at;
        mark.skip = pages->index;
    } else if (pages->stuck.code) {
        mark.skip = pages->stuck_count;
    }
    if (items_left(pages) || pages->stuck.code) {
        mark.seen -= items_left(pages) ? pages->count : pages->stuck_count;
        mark.pages--;
    }
    char *text = dx_pages_mark_write(&mark, pages->redactor);
    pthread_mutex_unlock(&self->lock);
    return text;
}

static uint64_t look(const dx_pages *pages, uint64_t (*at)(const dx_pages *pages)) {
    dx_pages *self = (dx_pages *)(uintptr_t)pages;
    pthread_mutex_lock(&self->lock);
    uint64_t found = at(pages);
    pthread_mutex_unlock(&self->lock);
    return found;
}

static uint64_t page_count(const dx_pages *pages) {
    return pages->given;
}

static uint64_t item_count(const dx_pages *pages) {
    return pages->seen + pages->skip - items_left(pages);
}

static uint64_t total(const dx_pages *pages) {
    return (uint64_t)pages->total;
}

uint64_t dx_pages_page_count(const dx_pages *pages) {
    return look(pages, page_count);
}

uint64_t dx_pages_item_count(const dx_pages *pages) {
    return look(pages, item_count);
}

int64_t dx_pages_total(const dx_pages *pages) {
    return (int64_t)look(pages, total);
}
