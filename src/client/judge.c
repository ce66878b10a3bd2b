// What an answer means: whether it obeys its model, and whether sending the request again may help.
#include "client/client.h"
#include "client/modelling.h"

// What the error says of trying again is what the retry filter goes by.
void dx_client_judge_retry(dx_call *call) {
    dx_error *error = call->error;
    if (error->code == DX_ERROR_NONE) return;
    if (call->x.retry_after == 0) dx_retry_read_wait(&call->x);
    bool waits = error->code == DX_ERROR_QUEUE_FULL || error->code == DX_ERROR_LIMITED || error->code == DX_ERROR_CIRCUIT_OPEN;
    error->retryable = error->code != DX_ERROR_INVALID && error->code != DX_ERROR_MALFORMED &&
                       (waits || dx_retry_may(&call->settings->retry.conf, &call->x));
    if (call->x.retry_after > 0) error->retry_after_ms = (call->x.retry_after + DX_MILLISECOND - 1) / DX_MILLISECOND;
}

void dx_client_judge_answer(dx_call *call) {
    dx_model_answer(call, call->x.failure == DX_ERROR_NONE && call->response.status < 300);
}
