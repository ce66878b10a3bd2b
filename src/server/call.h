// A call: an exchange and the stream that carries it, in one allocation. What serve.c (the exchange's life), body.c (the request's body),
// park.c and decode.c share, and nobody else sees.
#ifndef DX_SERVER_CALL_H
#define DX_SERVER_CALL_H

#include "codec/compress.h"
#include "exchange/flow.h"
#include "exchange/spool.h"
#include "server/parts.h"

#define DX_CALL_FIELDS_CAP 16 // room for response fields that need no allocation

// The way of a request's body from the stream to whoever takes it: decoding, caps, and the credit that lets more come.
typedef struct dx_intake {
    dx_buffer held; // as it came: before anybody takes it, and while who takes it has enough
    size_t at;      // of `held`: what has gone on
    dx_buffer whole;
    dx_decompressor *decoder; // NULL: identity
    dx_coding coding;
    dx_spool *spool;
    uint64_t cap, size; // bytes, decoded
    uint64_t park;      // of `size`: over it the body is parked; UINT64_MAX: never
    size_t given;       // decoded bytes that the reader has not consumed; only with a decoder
    dx_status status;   // what is wrong with it
    bool flows : 1;     // somebody takes it
    bool running : 1;
    bool arrived : 1; // all of it
    bool over : 1;    // and who takes it was told
    bool wanted : 1;  // the body filter waits
    bool parked : 1;  // it was in the spool, and the handler gets it in memory
    // park.c's:
    bool fetching : 1;            // a pool thread reads it into `whole`
    bool seated : 1;              // it counts among those in memory
    struct dx_call *next, **link; // waits for its turn; NULL link: it does not
} dx_intake;

typedef struct dx_call {
    dx_exchange x;
    dx_stream *stream;
    dx_worker *worker;
    dx_app *app; // whose snapshot the exchange runs on, to its end
    dx_intake intake;
    dx_fields trailers;
    bool answered; // nothing of the body is wanted any more
    dx_nanos duration;
    dx_field fields[DX_CALL_FIELDS_CAP];
} dx_call;

// body.c
void dx_intake_init(dx_intake *intake, dx_arena *arena);
void dx_intake_deinit(dx_intake *intake);
void dx_intake_take(dx_call *call, dx_slice piece); // from the stream
void dx_intake_end(dx_call *call);                  // likewise: it was the last
void dx_intake_abort(dx_call *call, dx_status why);
void dx_intake_read(dx_call *call); // the reader may be given pieces
void dx_intake_consume(dx_call *call, size_t bytes);

void dx_intake_spooled(void *call);   // a spool's `written`
void dx_intake_resume(dx_call *call); // the body is as it will be, or there will be none: the filter that waits goes on

// park.c
// What comes goes to a file from now on, and what is there already. In `whole` nothing is left.
dx_status dx_park_begin(dx_call *call) DX_MUST_USE;
// All of it is there and the filter waits: reads it into `whole` when its turn has come, then resumes, perhaps before this returns.
void dx_park_fetch(dx_call *call);
// Its body is not needed any more; not while it is being fetched. Again, or when there was none: nothing.
void dx_park_leave(dx_call *call);

// decode.c
// The coding of the request's body. DX_UNSUPPORTED_MEDIA_TYPE for several, one on the other, and for one that is not known.
dx_status dx_decode_coding(const dx_exchange *x, dx_coding *out) DX_MUST_USE;
// Refuses the body for what is wrong with it.
dx_verdict dx_decode_refuse(dx_call *call, dx_status why);

#endif
