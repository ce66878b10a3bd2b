// What the files of response compression share; compress.c says how it is done.
#ifndef DX_SERVER_COMPRESS_H
#define DX_SERVER_COMPRESS_H

#include "codec/compress.h"
#include "server/parts.h"

bool dx_compress_gains(dx_slice content_type); // compress_type.c

#endif
