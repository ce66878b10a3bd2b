// uniqueItems without comparing every pair: short arrays pair by pair, longer ones through a table of hashes. The hash is keyed, so
// that nobody can send an array whose items all collide.
#include "base/hash.h"
#include "model/run.h"

enum { PAIRWISE = 12 };

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

// Equal values have equal hashes: 1 and 1.0, and members in any order. Depth is bounded by the reader's cap.
static uint64_t hash_of(yyjson_val *value) {
    size_t index, count;
    yyjson_val *key, *item;
    uint64_t hash = (uint64_t)yyjson_get_type(value);
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_STR:
        return mix(hash, dx_hash(dx_json_slice(value)));
    case YYJSON_TYPE_BOOL:
        return mix(hash, yyjson_is_true(value));
    case YYJSON_TYPE_NUM: {
        double number = yyjson_get_num(value) + 0.0; // one zero
        return mix(hash, dx_hash(dx_slice_of((const char *)&number, sizeof number)));
    }
    case YYJSON_TYPE_ARR:
        yyjson_arr_foreach(value, index, count, item) hash = mix(hash, hash_of(item));
        return hash;
    case YYJSON_TYPE_OBJ:
        yyjson_obj_foreach(value, index, count, key, item) hash += mix(dx_hash(dx_json_slice(key)), hash_of(item));
        return mix(hash, count);
    default:
        return hash;
    }
}

static bool twins_pairwise(yyjson_val *array) {
    yyjson_val *items[PAIRWISE], *item;
    size_t index, count;
    yyjson_arr_foreach(array, index, count, item) {
        for (size_t i = 0; i < index; i++)
            if (dx_json_equal(items[i], item)) return true;
        items[index] = item;
    }
    return false;
}

typedef struct entry {
    uint64_t hash;
    yyjson_val *value;
} entry;

bool dx_run_has_twins(dx_run *run, yyjson_val *array) {
    size_t index, count = yyjson_arr_size(array), slots = 32;
    yyjson_val *item;
    if (count <= PAIRWISE) return twins_pairwise(array);
    while (slots < count * 2) slots *= 2;
    entry *table = run->scratch ? DX_ARENA_ARRAY(run->scratch, entry, slots) : NULL;
    if (!table) {
        run->status = DX_NO_MEMORY;
        return true;
    }
    yyjson_arr_foreach(array, index, count, item) {
        uint64_t hash = hash_of(item);
        size_t slot = hash >> 17 & (slots - 1);
        for (; table[slot].value; slot = (slot + 1) & (slots - 1))
            if (table[slot].hash == hash && dx_json_equal(table[slot].value, item)) return true;
        table[slot] = (entry){hash, item};
    }
    return false;
}
