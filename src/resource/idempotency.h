// Idempotency-Key on POST (draft-ietf-httpapi-idempotency-key-header): the answer to a write is stored in the transaction of the write, so
// that a crash cannot separate the two, and is given again to whoever sends the same request with the same key.
#ifndef DX_RESOURCE_IDEMPOTENCY_H
#define DX_RESOURCE_IDEMPOTENCY_H

#include "resource/write.h"

// Seconds that an answer is kept, bytes that a key may have, and bytes that it must have when nobody is logged in.
#define DX_KEYED_SECONDS       86400
#define DX_KEYED_KEY_CAP       255
#define DX_KEYED_ANONYMOUS_MIN 16

// Reads call->idempotency_key: the value as a structured-field string ("…" with its quotes) or bare. DX_BAD_REQUEST with *reason, or
// DX_NO_MEMORY.
dx_status dx_keyed_read(dx_keyed **out, dx_resource_call *call, const char **reason) DX_MUST_USE;
// From here to dx_keyed_leave, no other call of this process may enter with the same key: DX_IN_FLIGHT.
dx_status dx_keyed_enter(dx_keyed *keyed) DX_MUST_USE;
void dx_keyed_leave(dx_keyed *keyed);

// Both are called from `next` until they say something other than DX_KEYED_RUN; rows in between go to dx_keyed_row.
typedef enum dx_keyed_step {
    DX_KEYED_RUN,    // run the statement that was set
    DX_KEYED_GO,     // nothing stored: do the work; or, afterwards: all is stored
    DX_KEYED_REPLAY, // the call's outcome is the stored answer: commit
    DX_KEYED_REUSED  // the key stands for another request
} dx_keyed_step;
dx_keyed_step dx_keyed_before(dx_keyed *keyed, dx_tx *tx); // before the work
dx_keyed_step dx_keyed_after(dx_keyed *keyed, dx_tx *tx);  // after it: stores the call's outcome, and removes a few expired answers
dx_status dx_keyed_row(dx_keyed *keyed, const dx_row *row) DX_MUST_USE;

#endif
