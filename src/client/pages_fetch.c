// The calls of pages: the next one, and those that are fetched ahead of the reader. Each has a slot; slots stand in the order of the pages.
// An answer is judged when its turn comes: it says what the next page is, and what was fetched ahead by another guess is dropped. A page
// behind the last one may well fail; nobody hears of it.
#include "base/memory.h"
#include "client/fail.h"
#include "client/pages_parts.h"

// --- beginning ---------------------------------------------------------------------------------------------------------------------------

static void slot_free(dx_page_slot *slot) {
    dx_call_release(slot->call);
    dx_place_clear(&slot->place);
    dx_memory_free(slot);
}

static void on_over(void *ctx, dx_call *call) {
    dx_page_slot *slot = ctx;
    dx_pages *pages = slot->pages;
    dx_page_outcome outcome;
    (void)call;
    pthread_mutex_lock(&pages->lock);
    slot->done = true;
    bool tell = !slot->dropped && pages->pending && pages->slots[0] == slot;
    if (slot->dropped) slot_free(slot);
    if (tell) dx_pages_take(pages, &outcome);
    pthread_cond_broadcast(&pages->changed);
    pthread_mutex_unlock(&pages->lock);
    if (tell) dx_pages_tell(pages, &outcome);
    dx_pages_let_go(pages);
}

static dx_arg place_arg(const dx_pages *pages, const dx_place *place) {
    dx_arg arg = {.name = pages->how.param.data, .kind = DX_ARG_UINT, .value.u64 = place->number};
    if (place->kind == DX_PLACE_NUMBER) return arg;
    arg.kind = place->kind == DX_PLACE_TEXT ? DX_ARG_STR : DX_ARG_JSON;
    arg.size = place->size;
    arg.value.text = place->text;
    return arg;
}

static dx_error_code make_call(dx_call **out, dx_pages *pages, const dx_place *place, dx_error *error) {
    dx_question question = {.name = dx_slice_str(pages->name)};
    size_t count = pages->arg_count;
    if (place->kind == DX_PLACE_TARGET)
        question.target = dx_slice_of(place->text, place->size);
    else if (place->kind != DX_PLACE_FIRST)
        pages->args[count++] = place_arg(pages, place);
    pages->args[count] = DX_END;
    return dx_client_make_call(out, pages->client, &question, pages->args, pages->call, error);
}

static dx_error_code begin(dx_pages *pages, const dx_place *place, dx_error *error) {
    dx_page_slot *slot = dx_memory_zalloc(1, sizeof *slot);
    dx_call *call = NULL;
    if (!slot || dx_place_copy(&slot->place, place) != DX_OK) {
        dx_memory_free(slot);
        return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the page");
    }
    slot->pages = pages;
    dx_error_code code = make_call(&call, pages, place, error);
    if (!code) {
        dx_pages_hold(pages);
        pages->slots[pages->slot_count++] = slot;
        code = dx_client_start_call(&slot->call, pages->client, call, on_over, slot, error);
        if (!code) return code;
        pages->slot_count--;
        dx_pages_let_go(pages); // not the last hold: who asks has one
    }
    slot_free(slot);
    return code;
}

dx_error_code dx_pages_begin(dx_pages *pages, dx_error *error) {
    return pages->slot_count ? DX_ERROR_NONE : begin(pages, &pages->at, error);
}

bool dx_pages_is_here(const dx_pages *pages) {
    return pages->slot_count && pages->slots[0]->done;
}

void dx_pages_drop(dx_pages *pages) {
    while (pages->slot_count) {
        dx_page_slot *slot = pages->slots[--pages->slot_count];
        slot->dropped = true;
        if (slot->done)
            slot_free(slot);
        else
            dx_call_cancel(slot->call);
    }
}

// --- ahead of the reader -----------------------------------------------------------------------------------------------------------------

static bool is_past_total(const dx_pages *pages, uint64_t number) {
    const dx_paginate *how = &pages->how;
    if (pages->total < 0 || number < how->start) return false;
    if (how->type == DX_PAGING_OFFSET) return number - how->start >= (uint64_t)pages->total;
    return how->size && number - how->start > (uint64_t)pages->total / how->size;
}

// Where the page behind the last one that is called for is; false: that is not known, or there is none.
static bool guess(const dx_pages *pages, dx_place *out) {
    const dx_paginate *how = &pages->how;
    if (!pages->slot_count) {
        *out = pages->at;
        return true;
    }
    uint64_t step = how->type == DX_PAGING_PAGE ? 1 : how->type == DX_PAGING_OFFSET ? how->size : 0;
    *out = pages->slots[pages->slot_count - 1]->place;
    if (!step || out->kind != DX_PLACE_NUMBER) return false;
    out->number += step;
    return out->number <= INT64_MAX && !is_past_total(pages, out->number);
}

static void fetch_ahead(dx_pages *pages) {
    dx_place place; // not a copy: it owns nothing
    if (pages->at.kind == DX_PLACE_END || pages->stuck.code || pages->closed || pages->cancelled) return;
    while (pages->slot_count < pages->ahead && pages->fetched + pages->slot_count < pages->most && guess(pages, &place))
        if (begin(pages, &place, NULL)) return; // asked for again when its turn comes
}

// --- taking ------------------------------------------------------------------------------------------------------------------------------

static bool came_before(const dx_pages *pages, uint64_t hash) {
    size_t count = pages->token_count < DX_PAGES_TOKENS_CAP ? pages->token_count : DX_PAGES_TOKENS_CAP;
    for (size_t i = 0; i < count; i++)
        if (pages->tokens[i] == hash) return true;
    return false;
}

static bool make_room(dx_pages *pages) {
    if (pages->token_count < pages->token_room || pages->token_room == DX_PAGES_TOKENS_CAP) return true;
    size_t room = pages->token_room ? 2 * pages->token_room : 64;
    uint64_t *larger = dx_memory_realloc(pages->tokens, room * sizeof *larger);
    if (!larger) return false;
    pages->tokens = larger;
    pages->token_room = room;
    return true;
}

// Numbers grow by themselves; cursors and URLs are the server's.
static void check_repeated(dx_pages *pages, dx_page_facts *facts) {
    bool is_url = facts->next.kind == DX_PLACE_TARGET;
    if (!facts->next.text) return;
    if (pages->at.text) pages->tokens[pages->token_count++ % DX_PAGES_TOKENS_CAP] = dx_place_hash(&pages->at);
    if (!came_before(pages, dx_place_hash(&facts->next))) return;
    (void)dx_fail(&facts->trouble, DX_ERROR_MALFORMED, "%.*s: the server gave the same %s twice: its pages go round in a circle",
                  DX_SLICE_ARG(pages->full), is_url ? "URL of a next page" : "cursor");
}

static void go_on(dx_pages *pages, dx_page_facts *facts) {
    check_repeated(pages, facts);
    pages->seen += facts->count;
    pages->given++;
    pages->fetched++;
    pages->skip = 0;
    pages->total = facts->total;
    pages->content = facts->content;
    if (facts->trouble.code) {
        pages->stuck = facts->trouble;
        pages->stuck_count = facts->count;
        dx_pages_drop(pages);
        return;
    }
    if (facts->next.kind == DX_PLACE_END || (pages->slot_count && !dx_place_equal(&pages->slots[0]->place, &facts->next)))
        dx_pages_drop(pages);
    dx_place_move(&pages->at, &facts->next);
    fetch_ahead(pages);
}

// Scheme and authority of an absolute URL.
static dx_slice origin_in(dx_slice url) {
    size_t slashes = 0, end = 0;
    while (end < url.size && (url.data[end] != '/' || ++slashes < 3)) end++;
    return dx_slice_of(url.data, end);
}

static dx_page_origin origin_of(const dx_pages *pages, const dx_response *page) {
    const dx_call *call = DX_CONTAINER_OF((dx_response *)(uintptr_t)page, dx_call, response);
    dx_page_origin from = {pages->origin, call->transfer.url, call->bound.target};
    if (call->transfer.url.size && !call->redirects)
        from.origin = origin_in(call->transfer.url); // the definition may have been changed since
    return from;
}

static dx_error_code judge(dx_pages *pages, dx_response *page, dx_page_facts *facts, dx_error *error) {
    dx_page_origin from = origin_of(pages, page);
    dx_slice whole = {0};
    if (!from.url.size) { // it was not sent: it comes from a cache
        size_t size = from.origin.size + from.target.size;
        char *text = dx_memory_alloc(size + 1);
        if (!text) {
            (void)dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the page");
            return DX_ERROR_NO_MEMORY;
        }
        memcpy(text, from.origin.data, from.origin.size);
        memcpy(text + from.origin.size, from.target.data, from.target.size);
        from.url = whole = dx_slice_of(text, size);
    }
    dx_error_code code = dx_page_judge(facts, &pages->how, &pages->at, pages->seen, page, &from, error);
    dx_memory_free((char *)(uintptr_t)whole.data);
    return code;
}

static void name_it(const dx_pages *pages, dx_error *error) {
    char message[DX_ERROR_MESSAGE_SIZE];
    memcpy(message, error->message, sizeof message);
    if (error->code) (void)dx_fail(error, error->code, "%.*s: %s", DX_SLICE_ARG(pages->full), message);
}

// An answer to `pages->at`. With an error in `outcome`, or one that is found here, the place stays.
static void receive(dx_pages *pages, dx_page_outcome *outcome) {
    dx_page_facts facts;
    dx_error *error = &outcome->error;
    if (error->code || !outcome->page) return dx_pages_drop(pages);
    bool first = !pages->fetched, room = make_room(pages);
    dx_error_code code = room ? judge(pages, outcome->page, &facts, error) : DX_ERROR_NO_MEMORY;
    if (!room) (void)dx_fail(error, code, "there is no memory for the page");
    if (code) {
        name_it(pages, error);
        return dx_pages_drop(pages);
    }
    name_it(pages, &facts.trouble);
    if (!first && facts.content && facts.content == pages->content && !pages->allow_equal) {
        (void)dx_fail(error, DX_ERROR_MALFORMED,
                      "%.*s: the server gave the same page twice in a row: it goes by another parameter, or by none",
                      DX_SLICE_ARG(pages->full));
        dx_pages_drop(pages);
    } else {
        go_on(pages, &facts);
    }
    dx_place_clear(&facts.next);
}

bool dx_pages_is_settled(dx_pages *pages, dx_page_outcome *outcome) {
    *outcome = (dx_page_outcome){.error = DX_ERROR_INIT};
    if (pages->cancelled)
        (void)dx_fail(&outcome->error, DX_ERROR_CANCELLED, "%.*s: the pages were cancelled", DX_SLICE_ARG(pages->full));
    else if (pages->stuck.code)
        outcome->error = pages->stuck;
    else if (pages->at.kind != DX_PLACE_END && pages->fetched >= pages->most)
        (void)dx_fail(&outcome->error, DX_ERROR_TOO_LARGE, "%.*s: more than %llu pages (paginate.max_pages): raise it if that is right",
                      DX_SLICE_ARG(pages->full), (unsigned long long)pages->most);
    return outcome->error.code || pages->at.kind == DX_PLACE_END;
}

void dx_pages_take(dx_pages *pages, dx_page_outcome *outcome) {
    if (dx_pages_is_settled(pages, outcome)) return dx_pages_drop(pages);
    dx_page_slot *slot = pages->slots[0];
    memmove(pages->slots, pages->slots + 1, --pages->slot_count * sizeof pages->slots[0]);
    outcome->error = *dx_call_error(slot->call);
    outcome->page = dx_call_response(slot->call);
    if (outcome->page) slot->call = NULL; // its hold goes to the reader
    slot_free(slot);
    receive(pages, outcome);
}

void dx_pages_take_here(dx_pages *pages, dx_page_outcome *outcome) {
    dx_call *call;
    if (make_call(&call, pages, &pages->at, &outcome->error)) return;
    pthread_mutex_unlock(&pages->lock);
    (void)!dx_client_run_call(&outcome->page, pages->client, call, &outcome->error);
    pthread_mutex_lock(&pages->lock);
    unsigned ahead = pages->ahead;
    pages->ahead = 0; // what is under way on the program's own loop can't be waited for
    receive(pages, outcome);
    pages->ahead = ahead;
}
