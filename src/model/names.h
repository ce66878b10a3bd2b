// A fixed set of names with a number each: how an object's member finds its schema and a string its place in an enum. Built once; a
// look-up hashes the length and the first and last eight bytes, and compares once. Names come from schemas, never from instances,
// so nobody outside can make them collide.
#ifndef DX_MODEL_NAMES_H
#define DX_MODEL_NAMES_H

#include "base/arena.h"

typedef struct dx_names {
    const dx_slice *items;
    const uint32_t *slots; // index + 1; 0: empty
    size_t count;
    uint64_t seed;
    uint32_t shift; // 64 - log2 of the slots
    uint32_t mask;
} dx_names;

#define DX_NAMES_NONE UINT32_MAX

// Keeps `items` by pointer. The names differ from each other.
dx_status dx_names_build(dx_names *names, dx_arena *arena, const dx_slice *items, size_t count) DX_MUST_USE;

static inline uint64_t dx_names_load(const char *data, size_t size) {
    uint64_t word = 0;
    if (size >= 8) {
        memcpy(&word, data, 8);
    } else if (size >= 4) {
        uint32_t low, high;
        memcpy(&low, data, 4);
        memcpy(&high, data + size - 4, 4);
        word = low | (uint64_t)high << 32;
    } else if (size) {
        word = (uint64_t)(uint8_t)data[0] | (uint64_t)(uint8_t)data[size / 2] << 8 | (uint64_t)(uint8_t)data[size - 1] << 16;
    }
    return word;
}

static inline uint32_t dx_names_slot(const dx_names *names, const char *data, size_t size) {
    uint64_t word = dx_names_load(data, size);
    if (size > 8) {
        uint64_t last;
        memcpy(&last, data + size - 8, 8);
        word ^= (last << 29 | last >> 35) * 0x9e3779b97f4a7c15ull;
    }
    word = (word ^ size * 0xff51afd7ed558ccdull) * names->seed;
    word = (word ^ word >> 32) * names->seed;
    return (uint32_t)(word >> names->shift);
}

// The index of `name`, or DX_NAMES_NONE.
static inline uint32_t dx_names_find(const dx_names *names, const char *data, size_t size) {
    if (!names->count) return DX_NAMES_NONE;
    for (uint32_t slot = dx_names_slot(names, data, size);; slot++) {
        uint32_t index = names->slots[slot & names->mask];
        if (!index) return DX_NAMES_NONE;
        const dx_slice *item = &names->items[index - 1];
        if (item->size == size && memcmp(item->data, data, size) == 0) return index - 1;
    }
}

#endif
