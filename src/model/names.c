// Building the name table: a few multipliers are tried and the one with the fewest collisions kept, so nearly every table is a
// perfect hash and a miss costs one look.
#include "model/names.h"

enum { SEEDS = 32 };

static uint64_t next_seed(uint64_t seed) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

// Fills `slots` and returns how many steps beyond the first slot all names together needed.
static size_t place_all(const dx_names *names, uint32_t *slots) {
    size_t steps = 0;
    memset(slots, 0, ((size_t)names->mask + 1) * sizeof *slots);
    for (size_t i = 0; i < names->count; i++) {
        uint32_t slot = dx_names_slot(names, names->items[i].data, names->items[i].size);
        while (slots[slot & names->mask]) {
            slot++;
            steps++;
        }
        slots[slot & names->mask] = (uint32_t)i + 1;
    }
    return steps;
}

dx_status dx_names_build(dx_names *names, dx_arena *arena, const dx_slice *items, size_t count) {
    *names = (dx_names){.items = items, .count = count};
    if (!count) return DX_OK;
    if (count > UINT32_MAX / 8) return DX_TOO_LARGE;
    uint32_t bits = 2;
    while ((size_t)1 << bits < count * 2) bits++;
    names->mask = ((uint32_t)1 << bits) - 1;
    names->shift = 64 - bits;
    uint32_t *slots = DX_ARENA_ARRAY(arena, uint32_t, (size_t)names->mask + 1);
    if (!slots) return DX_NO_MEMORY;
    uint64_t seed = 0x9e3779b97f4a7c15ull, best = seed;
    size_t fewest = SIZE_MAX;
    for (int i = 0; i < (count > 256 ? 2 : SEEDS) && fewest; i++) {
        names->seed = seed | 1;
        size_t steps = place_all(names, slots);
        if (steps < fewest) fewest = steps, best = names->seed;
        seed = next_seed(seed);
    }
    names->seed = best;
    place_all(names, slots);
    names->slots = slots;
    return DX_OK;
}
