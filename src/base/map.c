// The map: entries in an array in order of insertion, and a table of slots that holds their numbers. The table is at most half full,
// so a look-up touches a slot or two and one entry. A removed entry keeps its slot, its value NULL, until the next rebuild.
#include "base/map.h"

#include "base/hash.h"
#include "base/memory.h"

static const size_t SMALLEST = 16; // slots

void dx_map_init(dx_map *map, dx_arena *arena) {
    *map = (dx_map){.arena = arena};
}

void dx_map_deinit(dx_map *map) {
    if (map->arena == NULL) {
        dx_memory_free(map->entries);
        dx_memory_free(map->slots);
    }
    *map = (dx_map){.arena = map->arena};
}

static dx_map_entry *find(const dx_map *map, dx_slice key, uint64_t hash) {
    if (map->capacity == 0) return NULL;
    for (size_t at = hash & (map->capacity - 1); map->slots[at]; at = (at + 1) & (map->capacity - 1)) {
        dx_map_entry *entry = &map->entries[map->slots[at] - 1];
        if (entry->hash == hash && entry->value && dx_slice_equal(entry->key, key)) return entry;
    }
    return NULL;
}

void *dx_map_get(const dx_map *map, dx_slice key) {
    if (map->count == 0) return NULL;
    dx_map_entry *entry = find(map, key, dx_hash(key));
    return entry ? entry->value : NULL;
}

static void occupy(dx_map *map, size_t number) {
    size_t at = map->entries[number].hash & (map->capacity - 1);
    while (map->slots[at]) at = (at + 1) & (map->capacity - 1);
    map->slots[at] = (uint32_t)number + 1;
}

// Drops the removed entries and numbers the rest anew, in the memory there is.
static void compact(dx_map *map) {
    size_t kept = 0;
    for (size_t i = 0; i < map->used; i++) {
        if (map->entries[i].value) map->entries[kept++] = map->entries[i];
    }
    map->used = kept;
    memset(map->slots, 0, map->capacity * sizeof *map->slots);
    for (size_t i = 0; i < kept; i++) occupy(map, i);
}

static void *take(const dx_map *map, size_t count, size_t size) {
    return map->arena ? dx_arena_zalloc(map->arena, count, size) : dx_memory_zalloc(count, size);
}

static dx_status enlarge(dx_map *map) {
    size_t capacity = map->capacity ? map->capacity * 2 : SMALLEST;
    if (capacity > UINT32_MAX / 2) return DX_NO_MEMORY;
    dx_map_entry *entries = take(map, capacity / 2, sizeof *entries);
    uint32_t *slots = entries ? take(map, capacity, sizeof *slots) : NULL;
    if (slots == NULL) {
        if (map->arena == NULL) dx_memory_free(entries);
        return DX_NO_MEMORY;
    }
    if (map->used) memcpy(entries, map->entries, map->used * sizeof *entries);
    if (map->arena == NULL) {
        dx_memory_free(map->entries);
        dx_memory_free(map->slots);
    }
    map->entries = entries;
    map->slots = slots;
    map->capacity = capacity;
    compact(map);
    return DX_OK;
}

static dx_status make_room(dx_map *map) {
    if (map->used < map->capacity / 2) return DX_OK;
    if (map->count < map->used / 2) {
        compact(map);
        return DX_OK;
    }
    return enlarge(map);
}

dx_status dx_map_put(dx_map *map, dx_slice key, void *value) {
    uint64_t hash = dx_hash(key);
    dx_map_entry *known = find(map, key, hash);
    if (known) {
        known->value = value;
        return DX_OK;
    }
    dx_status status = make_room(map);
    if (status != DX_OK) return status;
    map->entries[map->used] = (dx_map_entry){.key = key, .value = value, .hash = hash};
    occupy(map, map->used++);
    map->count++;
    return DX_OK;
}

void *dx_map_remove(dx_map *map, dx_slice key) {
    dx_map_entry *entry = find(map, key, dx_hash(key));
    if (entry == NULL) return NULL;
    void *value = entry->value;
    entry->value = NULL;
    map->count--;
    return value;
}

dx_map_entry *dx_map_next(const dx_map *map, size_t *at) {
    while (*at < map->used) {
        dx_map_entry *entry = &map->entries[(*at)++];
        if (entry->value) return entry;
    }
    return NULL;
}
