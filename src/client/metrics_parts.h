// What the two texts of metrics and the struct are made of: the counts of endpoints and APIs, read once.
#ifndef DX_CLIENT_METRICS_PARTS_H
#define DX_CLIENT_METRICS_PARTS_H

#include "client/client.h"
#include "client/meter.h"
#include "policy/breaker_filter.h"
#include "policy/limit_filter.h"

// The policies of a chain.
typedef struct dx_metrics_shared {
    dx_breaker *breaker; // NULL: none; likewise the others
    dx_limit *limit;
    dx_retry_budget *budget;
} dx_metrics_shared;
dx_metrics_shared dx_metrics_shared_of(const dx_settings *settings);

// From sums to what is told.
void dx_metrics_fill(dx_metrics *out, const dx_meter_sum *sum, const dx_settings *settings);

// All that has been counted: `visit` for each endpoint that has a meter. Names and meters live as long as `apis`.
void dx_metrics_each(const dx_apis *apis, void (*visit)(void *ctx, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter),
                     void *ctx);
// An endpoint of an API with a meter, the plain one last; NULL: no more. Begin with *at = 0.
const dx_endpoint *dx_metrics_next(const dx_api *api, size_t *at);

// Requests that are being sent, and that wait for a connection, of the whole client.
void dx_metrics_connections(dx_client *client, uint64_t *under_way, uint64_t *waiting);

extern const char *const dx_metrics_cached_words[DX_METRICS_CACHED];
extern const char *const dx_metrics_class_words[DX_METRICS_CLASSES];
extern const char *const dx_metrics_breaker_words[4];

// The buffer's text as the caller gets it, NUL-terminated; the buffer is done with.
dx_error_code dx_metrics_give(dx_buffer *buffer, char **text, size_t *size);

#endif
