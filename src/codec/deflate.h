// Messages in bare DEFLATE (RFC 1951), as permessage-deflate has them (RFC 7692 section 7.2): each message for itself, ended by a flush
// whose last four bytes (00 00 ff ff) are not sent. A thread keeps a few used states for its next messages.
#ifndef DX_CODEC_DEFLATE_H
#define DX_CODEC_DEFLATE_H

#include "base/buffer.h"

// Appends `message` compressed. `window_bits`: 9 to 15. DX_NO_MEMORY, or DX_TOO_LARGE by the buffer's cap.
dx_status dx_deflate_message(dx_buffer *out, dx_slice message, int window_bits) DX_MUST_USE;

// A message that comes in pieces; it may have been compressed with any window.
typedef struct dx_inflater dx_inflater;
dx_status dx_inflater_create(dx_inflater **out) DX_MUST_USE;
void dx_inflater_destroy(dx_inflater *inflater); // takes NULL
// Appends what comes of the piece. DX_MALFORMED; DX_TOO_LARGE: over the buffer's cap (a bomb, perhaps); DX_NO_MEMORY.
dx_status dx_inflater_run(dx_inflater *inflater, dx_slice piece, dx_buffer *out) DX_MUST_USE;
dx_status dx_inflater_end(dx_inflater *inflater, dx_buffer *out) DX_MUST_USE; // behind the last piece

#endif
