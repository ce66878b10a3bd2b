/* What a client counts of its calls, by API and by endpoint. It counts from the first call on, for as long as the API is there: a
 * definition that is read again, or an API that is registered anew under its name, goes on counting.
 *
 * What counts as what: a call counts once, when it is over, whatever it was answered from. It is a failure when there was no answer, or one
 * from 400 on (also where raise_on_error is off), or one that does not obey its model. A retry is an attempt beyond a call's first; the
 * client's own health checks are not counted. docs/client/metrics.md names every number.
 *
 * Thread rule: any thread, while calls are under way; what is read then may be some counts apart. */
#ifndef DUPLEX_METRICS_H
#define DUPLEX_METRICS_H

#include "duplex/client.h"

DX_BEGIN_DECLS

typedef enum dx_breaker_is {                         /* the circuit breaker of an API */
                             DX_BREAKER_IS_NONE = 0, /* there is none */
                             DX_BREAKER_IS_CLOSED = 1,
                             DX_BREAKER_IS_OPEN = 2,
                             DX_BREAKER_IS_HALF_OPEN = 3
} dx_breaker_is;

#define DX_METRICS_CATEGORIES 6 /* index: dx_category */
#define DX_METRICS_CLASSES    6 /* index: the first digit of a status; 0: there was no answer */
#define DX_METRICS_CACHED     6 /* index: dx_cache_state */

/* Begin with DX_METRICS_INIT. Times are nanoseconds. */
typedef struct dx_metrics {
    uint32_t size;
    uint64_t calls, failures; /* over; of them failed */
    uint64_t attempts, retries;
    uint64_t in_flight;                     /* now */
    double success_rate;                    /* 0 to 1; 1 when there was no call */
    uint64_t errors[DX_METRICS_CATEGORIES]; /* calls that failed */
    uint64_t classes[DX_METRICS_CLASSES];   /* calls by their last status */
    uint64_t cached[DX_METRICS_CACHED];
    uint64_t bytes_sent, bytes_received; /* of bodies; sent: in every attempt, streams by their length where it is known */
    int64_t mean_ns, min_ns, max_ns;     /* of whole calls; percentiles are off by at most 1/32 */
    int64_t p50_ns, p95_ns, p99_ns;
    int64_t phase_ns[DX_PHASE_COUNT];        /* sums: where the time went */
    uint64_t queue_waits, limit_waits;       /* calls that waited for a connection, for the rate limiter */
    uint64_t unknown_values, unknown_fields; /* of answers, that their models do not have and that were let pass */
    /* Of what the API's calls share; of an endpoint: what its own settings give it. */
    dx_breaker_is breaker;
    uint64_t breaker_opened, breaker_rejected;
    double retry_budget; /* retries that could be sent now; -1: no budget */
    uint64_t limit_granted, limit_denied, limit_waited;
    uint32_t limit_waiting; /* now */
} dx_metrics;
#define DX_METRICS_INIT                                                                                                                    \
    {                                                                                                                                      \
        sizeof(dx_metrics), 0, 0, 0, 0, 0, 1, {0}, {0}, {0}, 0, 0, 0, 0, 0, 0, 0, 0, {0}, 0, 0, 0, 0, DX_BREAKER_IS_NONE, 0, 0, -1, 0, 0,  \
            0, 0                                                                                                                           \
    }

/* Of an API, or (`endpoint` not NULL: "get_user" of the default version, or "v1.get_user") of one of its endpoints; "request" is what
 * plain requests count under. DX_ERROR_UNKNOWN_NAME, DX_ERROR_NO_MEMORY. */
DX_API DX_NODISCARD dx_error_code dx_metrics_get(dx_client *client, const char *api, const char *endpoint, dx_metrics *out,
                                                 dx_error *error);
/* Of one error code. */
DX_API uint64_t dx_metrics_errors(dx_client *client, const char *api, dx_error_code code);
/* Everything to 0, of one API or (NULL) of all; what is under way counts when it is over. DX_ERROR_UNKNOWN_NAME. */
DX_API DX_NODISCARD dx_error_code dx_metrics_reset(dx_client *client, const char *api, dx_error *error);
/* All of it as text, NUL-terminated, to be freed by dx_text_free: one JSON object, or Prometheus's text format (0.0.4). Endpoints that
 * were never called are left out. Labels are names of the definition, never URLs or what callers give. `size` may be NULL.
 * DX_ERROR_NO_MEMORY. */
DX_API DX_NODISCARD dx_error_code dx_metrics_json(dx_client *client, char **text, size_t *size);
DX_API DX_NODISCARD dx_error_code dx_metrics_prometheus(dx_client *client, char **text, size_t *size);

DX_END_DECLS

#endif
