/* The caches of a client: taking away what is not right any more, numbers, and backends of the program's own.
 *
 * What is cached, for how long and for whom is told in docs/client/cache.md. Thread rules: all of it is for any thread; what blocks says so
 * and is not for callbacks. */
#ifndef DUPLEX_CACHE_H
#define DUPLEX_CACHE_H

#include "duplex/client.h"

DX_BEGIN_DECLS

typedef enum dx_cached_by {
    DX_CACHED_BY_URL = 0,     /* exactly this URL, of everybody: each credential, method and variant */
    DX_CACHED_BY_TAG = 1,     /* what was stored with this tag (cache.tags) */
    DX_CACHED_BY_PATTERN = 2, /* URLs that are wholly as the pattern says: "*" any text, "?" one byte, "\" before either */
    DX_CACHED_BY_KEY = 3      /* this URL of one API with the credential that its calls send, and no other's */
} dx_cached_by;

/* Takes entries away, of one API or (NULL) of all; BY_KEY needs an API. Answers that are under way just now are given to those who wait,
 * and not kept. `*removed` (may be NULL) is how many, as far as is known. Blocks while Redis or a backend is asked.
 * DX_ERROR_UNKNOWN_NAME: no such API; DX_ERROR_ARGUMENT: the text is none; DX_ERROR_CONNECT: a backend did not do it: what was to go may
 * still be there. All caches are asked in any case. An API without a cache has nothing to take away, and that is no error. */
DX_API DX_NODISCARD dx_error_code dx_client_cache_invalidate(dx_client *client, dx_cached_by by, const char *api, const char *text,
                                                             uint64_t *removed, dx_error *error);
/* Everything of one API, or (NULL) of all of this client's. In Redis: of all processes that share it. Likewise. */
DX_API DX_NODISCARD dx_error_code dx_client_cache_clear(dx_client *client, const char *api, uint64_t *removed, dx_error *error);

/* --- numbers ------------------------------------------------------------------------------------------------------------------- */

typedef struct dx_cache_level_report {
    const char *name;        /* "memory", "redis", "custom"; static. NULL: there is no such level */
    uint64_t gets, hits;     /* look-ups that came to this level, and those that found an entry, fresh or not */
    double hit_rate;         /* hits of gets; 0 without any */
    int64_t mean_ns, max_ns; /* of its look-ups, waiting included; of memory, one look-up in 64 is timed, and below a microsecond all are */
    int64_t p50_ns, p95_ns, p99_ns; /* alike */
} dx_cache_level_report;

/* Set `size` before asking. */
typedef struct dx_cache_report {
    uint32_t size;
    /* Of the API's calls, or of all: how each call that might be cached was answered. */
    uint64_t hits;        /* fresh, without a word to the server */
    uint64_t stale;       /* stale, as was allowed: behind a fetch, or for an error */
    uint64_t revalidated; /* the server said that it is right still */
    uint64_t shared;      /* by a fetch that another call had begun */
    uint64_t misses;      /* all the rest: fetched */
    double hit_rate;      /* all but misses */
    dx_cache_level_report levels[2];
    /* Of the caches themselves, which APIs with the same settings share. */
    uint64_t stores, refused; /* refused: not kept (too large, no memory, out of order) */
    uint64_t evictions, expired, invalidated;
    uint64_t errors;                 /* of the way to Redis or a backend: each one is a miss, or a store that was forgotten */
    uint64_t entries, bytes, budget; /* now, in memory */
    uint64_t unregistered;           /* look-ups for a custom cache that nobody has added (yet) */
    /* Of cache.warming. */
    uint64_t warmed, warming_failed;
} dx_cache_report;

/* The numbers of one API, or (NULL) of all. DX_ERROR_UNKNOWN_NAME: no such API. Without a cache all are 0. */
DX_API DX_NODISCARD dx_error_code dx_client_cache_stats(dx_client *client, const char *api, dx_cache_report *out, dx_error *error);

/* --- backends of the program's own --------------------------------------------------------------------------------------------- */

/* What a backend is to keep. Texts are NUL-terminated and live until `put` returns. An item is found again by key and variant. */
typedef struct dx_cache_item {
    const char *key;         /* 32 hex digits: of API, credential, method and URL */
    const char *variant;     /* more hex digits, or "": what the request's Vary makes of it */
    const char *api, *url;   /* for invalidation */
    const char *const *tags; /* ends with NULL */
    const char *bytes;       /* to be given back as they are */
    size_t size;
    int64_t ttl_ms; /* it is of no use afterwards */
} dx_cache_item;

typedef struct dx_cache_question dx_cache_question; /* an operation under way */

/* A cache of the program's own, for `"cache": {"type": "custom", "name": …}`. The functions are called on any of the client's threads (and
 * those that call it), several at once; none may block for long. Each question is answered exactly once by dx_cache_answer, from any
 * thread, now or later: a call waits for it no longer than its deadline. Fails open: whatever goes wrong with a get is a miss. */
typedef struct dx_cache_backend {
    uint32_t size; /* DX_CACHE_BACKEND_INIT sets it */
    void (*get)(void *context, dx_cache_question *question, const char *key, const char *variant);
    void (*put)(void *context, const dx_cache_item *item); /* replaces an item of the same key and variant; copies what it keeps */
    /* All variants of one key. Answer with how many. NULL, as the next two: it can't be done, and whoever asks is told. */
    void (*remove)(void *context, dx_cache_question *question, const char *key);
    /* BY_URL, BY_TAG or BY_PATTERN (dx_cache_pattern says whether a URL matches), of one API or (empty) of all. */
    void (*invalidate)(void *context, dx_cache_question *question, dx_cached_by by, const char *api, const char *text);
    void (*clear)(void *context, dx_cache_question *question, const char *api); /* empty: all of it */
    void (*destroy)(void *context); /* the client is closed, and every question answered or given up; may be NULL */
} dx_cache_backend;
#define DX_CACHE_BACKEND_INIT                                                                                                              \
    { sizeof(dx_cache_backend), NULL, NULL, NULL, NULL, NULL, NULL }

/* Answers: DX_ERROR_NONE with what was found (`bytes`, copied; NULL: nothing is there) or how many were removed; any other code: it went
 * wrong. Also after the one who asked is gone, and after dx_client_close. */
DX_API void dx_cache_answer(dx_cache_question *question, dx_error_code code, const char *bytes, size_t size, uint64_t removed);
/* Whether `text` is wholly as `pattern` says, as BY_PATTERN means it. */
DX_API bool dx_cache_pattern(const char *pattern, const char *text);

/* Gives the client a backend under the name that `cache.name` says. The ops are copied. Until it is added, calls go on without that cache
 * (dx_cache_report.unregistered counts them), and invalidations fail with DX_ERROR_CONNECT. DX_ERROR_ARGUMENT: there is one of that name
 * already, or `get` or `put` is missing: then `destroy` is not called. */
DX_API DX_NODISCARD dx_error_code dx_client_add_cache(dx_client *client, const char *name, const dx_cache_backend *backend, void *context,
                                                      dx_error *error);

DX_END_DECLS

#endif
