// What the files of response compression share; compress.c says how it is done.
#ifndef DX_SERVER_COMPRESS_H
#define DX_SERVER_COMPRESS_H

#include "codec/compress.h"
#include "server/parts.h"

#define DX_COMPRESS_AT_ONCE (32u << 10) // bytes of a body that are compressed in one turn of the loop

bool dx_compress_gains(dx_slice content_type); // compress_type.c
// compress_file.c: makes a source of the file that is the answer, for an encoder to be set. False without memory: it stands. Without memory
// once the file was given up, the answer is another.
bool dx_compress_file(dx_exchange *x, dx_slice content_type) DX_MUST_USE;

#endif
