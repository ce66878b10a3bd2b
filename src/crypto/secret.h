// Whether a secret that signs or derives keys is good enough to start with: a server with a weak or well-known one is open to everybody.
#ifndef DX_CRYPTO_SECRET_H
#define DX_CRYPTO_SECRET_H

#include "base/slice.h"

#define DX_SECRET_SIZE_MIN 32 // bytes, as HS256 wants (RFC 7518 section 3.2)

// NULL when `secret` will do, else what is wrong with it, as the end of a sentence: "it is shorter than 32 bytes". It can't tell a random
// text from one that only looks so; it finds what is short, repeats itself, or stands in examples and tutorials. Thread-safe.
const char *dx_secret_fault(dx_slice secret);

#endif
