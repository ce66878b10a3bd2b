/* Lists that an API answers page by page, read as one: by pages, or item by item. How pages follow each other is the endpoint's setting
 * `paginate` (docs: client/pages.md): by page number, offset, cursor, Link header or next URL.
 *
 *     dx_pages *pages;
 *     const char *item;
 *     if (dx_pages_open(&pages, client, "github.list_repos", DX_ARGS(DX_STR("org", "debian")), NULL, &error)) return fail(&error);
 *     while (!(code = dx_pages_next_item(pages, &item, NULL, &error)) && item) puts(item);
 *     dx_pages_close(pages);
 *
 * Each page is a call like any other, with its auth, limits, retries and cache. No server makes it go on for ever: a cursor or URL that
 * comes twice, the same page twice in a row, and more than `paginate.max_pages` pages are errors. Next pages come from the API's own
 * origin only.
 *
 * Thread rules: a dx_pages belongs to one thread at a time, but dx_pages_cancel may be called by any. */
#ifndef DUPLEX_PAGES_H
#define DUPLEX_PAGES_H

#include "duplex/client.h"

DX_BEGIN_DECLS

typedef struct dx_pages dx_pages;

#define DX_PAGES_PREFETCH_CAP 16
#define DX_PAGES_TOKEN_CAP    (64 * 1024) /* bytes of a cursor or URL */

/* Begin with DX_PAGES_OPTIONS_INIT; 0 and NULL mean: as the definition says. All is copied. */
typedef struct dx_pages_options {
    uint32_t size;
    /* Of each page's call (timeout_ms, too, is of each). `sink` and `source` must be NULL; an error status is always an error here. */
    const dx_call_options *call;
    const char *paginate; /* JSON object: members of `paginate` that stand instead of the endpoint's own, one by one */
    uint64_t max_pages;   /* more are DX_ERROR_TOO_LARGE, counted from dx_pages_open or _resume */
    int prefetch;         /* pages fetched ahead, at most DX_PAGES_PREFETCH_CAP; -1: none */
    bool allow_equal;     /* two equal pages in a row (of items that are not told apart) are no error */
} dx_pages_options;
#define DX_PAGES_OPTIONS_INIT                                                                                                              \
    { sizeof(dx_pages_options), NULL, NULL, 0, 0, false }

/* Gets ready to read the pages of an endpoint (named as for dx_client_call). Sends nothing yet. The parameter that pages go by may be among
 * `args`: then it is where they begin. `args` and `options` may be NULL and are copied. On failure *out is NULL. Errors: what
 * dx_client_call says of names and parameters; DX_ERROR_CONFIG, the endpoint has no `paginate` that can be used. */
DX_API DX_NODISCARD dx_error_code dx_pages_open(dx_pages **out, dx_client *client, const char *name, const dx_arg *args,
                                                const dx_pages_options *options, dx_error *error);
/* The same from a place that dx_pages_state told, perhaps of another process. Endpoint and parameters must be the same as then (they are
 * not in the state); those that are secret may have changed. DX_ERROR_ARGUMENT: they are not, or it is no such state. */
DX_API DX_NODISCARD dx_error_code dx_pages_resume(dx_pages **out, dx_client *client, const char *name, const dx_arg *args,
                                                  const dx_pages_options *options, const char *state, dx_error *error);
/* Gives it up; calls under way are cancelled. The callback of a dx_pages_fetch under way still comes, with DX_ERROR_CANCELLED and NULL for
 * the pages, perhaps after this has returned. From callbacks, too; before dx_client_close or after it. Takes NULL. */
DX_API void dx_pages_close(dx_pages *pages);
/* Has the pages end: what waits, and all that is asked from now on, fails by DX_ERROR_CANCELLED; the state stays. Any thread. */
DX_API void dx_pages_cancel(dx_pages *pages);

/* The next page, waited for; NULL and DX_ERROR_NONE behind the last. The caller releases it. An error leaves the place as it is, so the
 * same page may be asked for again; *out is then the answer that was refused, to be released too, or NULL. Not from inside a callback.
 * With a client on a loop of the program's own, nothing is prefetched and dx_pages_cancel counts between pages.
 * Errors beside a call's: DX_ERROR_MALFORMED (the answer has no items where `paginate.items` says, or the server repeats itself: then the
 * same comes again), DX_ERROR_REDIRECT (the next page is of another origin), DX_ERROR_TOO_LARGE (max_pages). */
DX_API DX_NODISCARD dx_error_code dx_pages_next(dx_pages *pages, dx_response **out, dx_error *error);
/* The next item as JSON text, NUL-terminated, with numbers that no 64 bits hold as the server wrote them; NULL and DX_ERROR_NONE behind the
 * last. It lives until the next call for these pages. `size` may be NULL. Needs the memory of one page and those prefetched, however many
 * there are. Errors as for dx_pages_next, which skips what is left of a page that is read by items. */
DX_API DX_NODISCARD dx_error_code dx_pages_next_item(dx_pages *pages, const char **json, size_t *size, dx_error *error);

/* Called exactly once for each dx_pages_fetch that returned DX_ERROR_NONE, on one of the client's threads or the program's loop, with what
 * dx_pages_next would have given: `page` is NULL behind the last page, and is released by the callback. May call anything of these pages
 * but what waits. `error` lives until it returns. Must not block. */
typedef void (*dx_pages_done)(void *context, dx_pages *pages, dx_response *page, const dx_error *error);
/* The next page, not waited for. One at a time: DX_ERROR_ARGUMENT while another fetch is under way. */
DX_API DX_NODISCARD dx_error_code dx_pages_fetch(dx_pages *pages, dx_pages_done done, void *context, dx_error *error);

/* The place behind the page or item that was given last, as text (letters, digits, - _ .) for dx_pages_resume; to be freed by dx_text_free.
 * NULL: no memory. Endpoint, cursor or URL are in it; parameters, credentials and parameters of a URL that look like such are not. A page
 * that was read by items in part is fetched again and its first items are skipped. */
DX_API DX_NODISCARD char *dx_pages_state(const dx_pages *pages);

/* So far, those before dx_pages_resume included: pages and items that were given. */
DX_API uint64_t dx_pages_page_count(const dx_pages *pages);
DX_API uint64_t dx_pages_item_count(const dx_pages *pages);
/* The number of all items that the last page told (`paginate.total`); -1: none. */
DX_API int64_t dx_pages_total(const dx_pages *pages);

DX_END_DECLS

#endif
