// What pages are made of, shared by pages_open.c (getting ready), pages_fetch.c (the calls under way), pages.c (what programs see).
#ifndef DX_CLIENT_PAGES_PARTS_H
#define DX_CLIENT_PAGES_PARTS_H

#include "client/client.h"
#include "client/pages_state.h"

// A page that is called for. It lives until it was taken or dropped, and its call is over.
typedef struct dx_page_slot {
    dx_pages *pages; // held until the call is over
    dx_call *call;
    dx_place place;
    bool done, dropped;
} dx_page_slot;

// What a reader gets.
typedef struct dx_page_outcome {
    dx_response *page; // held for the reader; NULL: the end, or no answer
    dx_error error;
} dx_page_outcome;

struct dx_pages {
    atomic_size_t holders;  // the program, each call that is not over, a task that is posted
    pthread_mutex_t lock;   // of all that follows `digest`
    pthread_cond_t changed; // a call is over
    dx_arena *arena;
    dx_client *client;
    const char *name;
    dx_slice full, origin; // "api.version.endpoint", "https://api.example.com"
    dx_arg *args;          // with room for two more
    size_t arg_count;
    const dx_call_options *call;
    dx_paginate how;
    unsigned ahead;
    uint64_t most;
    bool allow_equal;
    dx_redactor *redactor; // where places are URLs
    char digest[DX_PAGES_DIGEST_SIZE + 1];

    dx_place at;          // of the next page; the last one's when stuck
    uint64_t seen, given; // items and pages that were handed out, also before a resume
    uint64_t fetched;     // pages since this was opened
    int64_t total;
    uint64_t content; // of the last page
    uint64_t *tokens; // hashes of cursors and URLs that were followed: a ring
    size_t token_count, token_room;
    dx_error stuck;       // code not NONE: there is no way on
    uint64_t stuck_count; // items of the last page
    bool cancelled, closed;
    dx_page_slot *slots[DX_PAGES_PREFETCH_CAP + 1]; // in order; the first is at `at`
    unsigned slot_count;
    bool pending; // a dx_pages_fetch
    dx_pages_done done;
    void *done_ctx;
    dx_task task;

    dx_response *page; // that is read by items; NULL: none
    dx_place page_at;
    yyjson_arr_iter items;
    yyjson_val *item; // taken out of `items`, not given yet
    uint64_t index, count;
    uint64_t skip; // of the first page, after a resume
    char *json;
};

// Cursors and URLs that are remembered to notice that one comes again; longer circles end by max_pages.
#define DX_PAGES_TOKENS_CAP ((size_t)1 << 16)

void dx_pages_hold(dx_pages *pages);
void dx_pages_let_go(dx_pages *pages);

// --- pages_fetch.c; under the lock
// What is to be said without a call: true, and it is in `*outcome`.
bool dx_pages_is_settled(dx_pages *pages, dx_page_outcome *outcome);
// Sees to it that the next page is called for.
dx_error_code dx_pages_begin(dx_pages *pages, dx_error *error) DX_MUST_USE;
bool dx_pages_is_here(const dx_pages *pages); // it is, and its call is over
void dx_pages_take(dx_pages *pages, dx_page_outcome *outcome);
// Calls for it on this thread and takes it; lets go of the lock meanwhile.
void dx_pages_take_here(dx_pages *pages, dx_page_outcome *outcome);
void dx_pages_drop(dx_pages *pages);
// --- pages.c: a fetch has come to its end; not under the lock.
void dx_pages_tell(dx_pages *pages, dx_page_outcome *outcome);

#endif
