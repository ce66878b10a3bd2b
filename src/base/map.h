// A map from byte strings to pointers: open addressing, insertion order kept for iteration. Keys are not copied; they must live as
// long as the map. Built at load time and then read by any number of threads, or owned by one thread.
#ifndef DX_BASE_MAP_H
#define DX_BASE_MAP_H

#include "base/arena.h"

typedef struct dx_map_entry {
    dx_slice key;
    void *value;
    uint64_t hash;
} dx_map_entry;

typedef struct dx_map {
    dx_map_entry *entries; // in order of insertion; a removed one has a NULL value
    uint32_t *slots;
    size_t count;    // live entries
    size_t used;     // entries, live or removed
    size_t capacity; // slots, a power of two
    dx_arena *arena; // NULL: heap
} dx_map;

void dx_map_init(dx_map *map, dx_arena *arena);
void dx_map_deinit(dx_map *map);
void *dx_map_get(const dx_map *map, dx_slice key); // NULL when absent
// Adds or replaces; `value` is not NULL.
dx_status dx_map_put(dx_map *map, dx_slice key, void *value) DX_MUST_USE;
// The value taken out, or NULL.
void *dx_map_remove(dx_map *map, dx_slice key);
// The known key nearest to `key` by edit distance, for "did you mean"; empty when none is near.
dx_slice dx_map_nearest(const dx_map *map, dx_slice key);

// for (size_t i = 0; (entry = dx_map_next(map, &i));)
dx_map_entry *dx_map_next(const dx_map *map, size_t *at);

// The candidate nearest to `word` within a third of its length in edits, or an empty slice.
dx_slice dx_nearest_word(dx_slice word, const dx_slice *candidates, size_t count);

#endif
