// Memory for secrets: whole pages, so that locking them and keeping them out of core dumps touches nobody else. A system that lets us do
// neither (a low RLIMIT_MEMLOCK) is no reason to fail: the pages are still wiped.
#include "policy/redact_parts.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "crypto/digest.h"

dx_status dx_secret_memory_take(dx_secret_memory *out, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    *out = (dx_secret_memory){.data = NULL};
    if (size > SIZE_MAX - 2 * page) return DX_NO_MEMORY;
    size = (size + page - 1) / page * page;
    if (size == 0) size = page;
    void *taken = dx_memory_alloc(size + page);
    if (!taken) return DX_NO_MEMORY;
    char *data = (char *)taken + (page - (uintptr_t)taken % page) % page;
    memset(data, 0, size);
    (void)mlock(data, size);
    (void)madvise(data, size, MADV_DONTDUMP);
    *out = (dx_secret_memory){taken, data, size};
    return DX_OK;
}

void dx_secret_memory_free(dx_secret_memory *memory) {
    if (!memory->taken) return;
    dx_secret_wipe(memory->data, memory->size);
    (void)munlock(memory->data, memory->size);
    (void)madvise(memory->data, memory->size, MADV_DODUMP);
    dx_memory_free(memory->taken);
    *memory = (dx_secret_memory){.data = NULL};
}
