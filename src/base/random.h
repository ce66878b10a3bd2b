// Random bytes from the kernel (getrandom(2)), fit for keys and tokens. Does not fail: a kernel without it ends the process at start.
#ifndef DX_BASE_RANDOM_H
#define DX_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void dx_random_bytes(void *out, size_t size);
uint64_t dx_random_u64(void);

#endif
