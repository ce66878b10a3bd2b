/* Many calls with bounded concurrency: each has a result of its own, and one that fails is no failure of the batch unless that is asked
 * for.
 *
 *     dx_batch_options options = DX_BATCH_OPTIONS_INIT;
 *     options.concurrency = 20;
 *     if (dx_batch_create(&batch, client, &options, &error)) return fail(&error);
 *     for (int i = 0; i < count; i++)
 *         if (dx_batch_add(batch, "github.get_user", DX_ARGS(DX_STR("username", names[i])), NULL, NULL, &error)) return fail(&error);
 *     if (dx_batch_run(batch, &error)) return fail(&error);
 *     for (uint64_t i = 0; i < dx_batch_count(batch); i++)
 *         if (dx_batch_get(batch, i, &result) && result.response) …
 *     dx_batch_destroy(batch);
 *
 * For more calls than memory holds: `next` makes them one by one, and `result` takes each result, which is then dropped.
 *
 * Thread rules: a batch belongs to one thread at a time until it is started; dx_batch_cancel, dx_batch_tell and dx_batch_wait may be called
 * by any. Its callbacks never run at the same time: with dx_batch_run on the calling thread, with dx_batch_start on the client's threads
 * (or the program's loop), where they must not block. */
#ifndef DUPLEX_BATCH_H
#define DUPLEX_BATCH_H

#include "duplex/client.h"

DX_BEGIN_DECLS

typedef struct dx_batch dx_batch;

#define DX_BATCH_CONCURRENCY_CAP 10000

/* What became of one call. */
typedef struct dx_batch_result {
    uint64_t index;        /* in the order of dx_batch_add or `next`, from 0 */
    void *user;            /* as it was given */
    dx_response *response; /* NULL: there is none. The batch's: dx_response_hold keeps it */
    const dx_error *error; /* never NULL; CANCELLED (or TIMEOUT) for those that were not begun, too */
} dx_batch_result;

typedef struct dx_batch_progress {
    uint64_t done;      /* results that are told, failed ones too */
    uint64_t failed;    /* of these */
    uint64_t total;     /* 0: not known */
    uint64_t in_flight; /* begun, and not told yet */
} dx_batch_progress;

/* One call of `next`: as dx_batch_add takes it. What it points to is read before `next` is called again. */
typedef struct dx_batch_item {
    const char *name;
    const dx_arg *args;
    const dx_call_options *options;
    void *user;
} dx_batch_item;

/* Begin with DX_BATCH_OPTIONS_INIT; 0, NULL and false mean the default. */
typedef struct dx_batch_options {
    uint32_t size;
    unsigned concurrency;  /* calls at the same time; 10, at most DX_BATCH_CONCURRENCY_CAP. The API's pool and limits count beside it */
    bool ordered;          /* results are told in the order of their index; at most twice `concurrency` wait for one before them */
    bool stop_on_error;    /* the first call that fails ends the batch, by its error */
    uint64_t max_failures; /* more failures than that end the batch, by the last one's error; 0: any number may fail */
    int64_t timeout_ms;    /* of all of it: what is under way then is cancelled. 0: none */
    uint64_t total;        /* of what `next` will make, for progress; 0: not known */
    /* Fills `item` (all zero before); false: there are no more. NULL: those that dx_batch_add took. After these, if there are both. */
    bool (*next)(void *context, dx_batch_item *item);
    /* Takes a result, once for each call that was begun. It is dropped afterwards. NULL: results are kept for dx_batch_get. */
    void (*result)(void *context, const dx_batch_result *result);
    void (*progress)(void *context, const dx_batch_progress *progress); /* behind each result; NULL: nobody wants to know */
    void *context;
} dx_batch_options;
#define DX_BATCH_OPTIONS_INIT                                                                                                              \
    { sizeof(dx_batch_options), 0, false, false, 0, 0, 0, NULL, NULL, NULL, NULL }

/* `options` may be NULL. The client must not be closed before the batch is over. On failure *out is NULL. */
DX_API DX_NODISCARD dx_error_code dx_batch_create(dx_batch **out, dx_client *client, const dx_batch_options *options, dx_error *error);
/* One more call, before the batch is run. Name, args and options are copied (but not what `sink`, `source` and `body` of the options point
 * to, which live until its result is told); they are judged when its turn comes, and what is wrong with them is its result.
 * DX_ERROR_NO_MEMORY; DX_ERROR_ARGUMENT when the batch was started. */
DX_API DX_NODISCARD dx_error_code dx_batch_add(dx_batch *batch, const char *name, const dx_arg *args, const dx_call_options *options,
                                               void *user, dx_error *error);

/* Makes the calls and blocks until all results are there. A batch is run or started once. DX_ERROR_NONE though calls failed, but for:
 * the failure that ended it (stop_on_error, max_failures), DX_ERROR_CANCELLED, DX_ERROR_TIMEOUT, DX_ERROR_NO_MEMORY. Not from inside a
 * callback, and not on the program's own loop. */
DX_API DX_NODISCARD dx_error_code dx_batch_run(dx_batch *batch, dx_error *error);
/* Called exactly once for each dx_batch_start that returned DX_ERROR_NONE, behind the last result; `error` as dx_batch_run would say (code
 * NONE: it went through). May destroy the batch. */
typedef void (*dx_batch_done)(void *context, dx_batch *batch, const dx_error *error);
DX_API DX_NODISCARD dx_error_code dx_batch_start(dx_batch *batch, dx_batch_done done, void *context, dx_error *error);
/* Blocks until a batch that was started is over and `done` has returned, or `timeout_ms` (-1: for ever) have passed: DX_ERROR_NONE or
 * DX_ERROR_TIMEOUT. Not from inside a callback, and not on the program's own loop. */
DX_API dx_error_code dx_batch_wait(dx_batch *batch, int64_t timeout_ms);
/* Has it end soon by DX_ERROR_CANCELLED: what is under way is cancelled and told, no more is begun. As often as one likes. */
DX_API void dx_batch_cancel(dx_batch *batch);
DX_API void dx_batch_tell(const dx_batch *batch, dx_batch_progress *progress); /* how far it is */

/* Calls that were added or made so far. */
DX_API uint64_t dx_batch_count(const dx_batch *batch);
/* Once it is over, and without `result`: what became of the index-th. It lives as long as the batch. False: there is none. */
DX_API bool dx_batch_get(const dx_batch *batch, uint64_t index, dx_batch_result *result);
/* Cancels what is under way; then `done` still comes, perhaps later, with NULL for the batch. Takes NULL. */
DX_API void dx_batch_destroy(dx_batch *batch);

DX_END_DECLS

#endif
