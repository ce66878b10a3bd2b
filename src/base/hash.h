// Hashing of bytes for tables and entity tags. SipHash-1-3 (Aumasson and Bernstein, 2012) under a key drawn at process start, so
// that outsiders cannot make collisions; `dx_hash_fixed` has a constant key, for values that must be the same in every process.
// Not for signatures: see crypto/.
#ifndef DX_BASE_HASH_H
#define DX_BASE_HASH_H

#include "base/slice.h"

uint64_t dx_hash(dx_slice bytes);
uint64_t dx_hash_fixed(dx_slice bytes);

#endif
