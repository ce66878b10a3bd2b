// Comparing values as JSON Schema does, and the index of an object's members. Recursion is bounded by DX_JSON_DEPTH_MAX; past it, values
// count as different.
#include <math.h>

#include "codec/json_internal.h"

static const size_t LINEAR = 32; // members up to which a search beats a table

void dx_json_index_init(dx_json_index *index, yyjson_val *object) {
    index->object = object;
    index->mapped = false;
    if (yyjson_obj_size(object) <= LINEAR) return;
    dx_map_init(&index->map, NULL);
    size_t at, count;
    yyjson_val *name, *value;
    yyjson_obj_foreach(object, at, count, name, value) {
        dx_slice key = dx_json_slice(name);
        bool known = dx_map_get(&index->map, key) != NULL; // of a name that stands twice the first counts, as in a search
        if (!known && dx_map_put(&index->map, key, value) != DX_OK) {
            dx_map_deinit(&index->map);
            return;
        }
    }
    index->mapped = true;
}

yyjson_val *dx_json_index_get(const dx_json_index *index, dx_slice name) {
    return index->mapped ? dx_map_get(&index->map, name) : yyjson_obj_getn(index->object, name.data, name.size);
}

void dx_json_index_deinit(dx_json_index *index) {
    if (index->mapped) dx_map_deinit(&index->map);
    index->mapped = false;
}

static const double TWO_TO_63 = 9223372036854775808.0;
static const double TWO_TO_64 = 18446744073709551616.0;

// An integer against a double, exactly: a double is turned into an integer only where that loses nothing.
static bool integer_equals_real(const void *integer, double real) {
    if (real != trunc(real)) return false;
    if (unsafe_yyjson_get_subtype((void *)integer) == YYJSON_SUBTYPE_SINT && unsafe_yyjson_get_sint((void *)integer) < 0) {
        return real >= -TWO_TO_63 && real < 0 && (int64_t)real == unsafe_yyjson_get_sint((void *)integer);
    }
    return real >= 0 && real < TWO_TO_64 && (uint64_t)real == unsafe_yyjson_get_uint((void *)integer);
}

bool dx_json_number_equal(const void *a, const void *b) {
    bool a_real = unsafe_yyjson_get_subtype((void *)a) == YYJSON_SUBTYPE_REAL;
    bool b_real = unsafe_yyjson_get_subtype((void *)b) == YYJSON_SUBTYPE_REAL;
    if (a_real && b_real) return unsafe_yyjson_get_real((void *)a) == unsafe_yyjson_get_real((void *)b);
    if (a_real) return integer_equals_real(b, unsafe_yyjson_get_real((void *)a));
    if (b_real) return integer_equals_real(a, unsafe_yyjson_get_real((void *)b));
    uint64_t x = unsafe_yyjson_get_uint((void *)a), y = unsafe_yyjson_get_uint((void *)b);
    bool x_negative = unsafe_yyjson_get_subtype((void *)a) == YYJSON_SUBTYPE_SINT && (int64_t)x < 0;
    bool y_negative = unsafe_yyjson_get_subtype((void *)b) == YYJSON_SUBTYPE_SINT && (int64_t)y < 0;
    return x == y && x_negative == y_negative;
}

static bool equal(yyjson_val *a, yyjson_val *b, size_t depth);

static bool arrays_equal(yyjson_val *a, yyjson_val *b, size_t depth) {
    size_t count = unsafe_yyjson_get_len(a);
    yyjson_val *x = a + 1, *y = b + 1;
    for (size_t i = 0; i < count; i++, x = unsafe_yyjson_get_next(x), y = unsafe_yyjson_get_next(y)) {
        if (!equal(x, y, depth + 1)) return false;
    }
    return true;
}

// Members in another order: each of `count` members from `name` on is looked up in `b`.
static bool members_found(yyjson_val *name, size_t count, yyjson_val *b, size_t depth) {
    dx_json_index index;
    dx_json_index_init(&index, b);
    bool same = true;
    for (size_t i = 0; i < count && same; i++, name = unsafe_yyjson_get_next(name + 1)) {
        yyjson_val *other = dx_json_index_get(&index, dx_json_slice(name));
        same = other && equal(name + 1, other, depth + 1);
    }
    dx_json_index_deinit(&index);
    return same;
}

static bool objects_equal(yyjson_val *a, yyjson_val *b, size_t depth) {
    size_t count = unsafe_yyjson_get_len(a);
    yyjson_val *x = a + 1, *y = b + 1;
    for (size_t i = 0; i < count; i++) {
        if (!dx_slice_equal(dx_json_slice(x), dx_json_slice(y))) return members_found(x, count - i, b, depth);
        if (!equal(x + 1, y + 1, depth + 1)) return false;
        x = unsafe_yyjson_get_next(x + 1), y = unsafe_yyjson_get_next(y + 1);
    }
    return true;
}

static bool equal(yyjson_val *a, yyjson_val *b, size_t depth) {
    yyjson_type type = unsafe_yyjson_get_type(a);
    if (type != unsafe_yyjson_get_type(b)) return false;
    switch (type) {
    case YYJSON_TYPE_NULL:
        return true;
    case YYJSON_TYPE_BOOL:
        return unsafe_yyjson_get_bool(a) == unsafe_yyjson_get_bool(b);
    case YYJSON_TYPE_NUM:
        return dx_json_number_equal(a, b);
    case YYJSON_TYPE_RAW:
    case YYJSON_TYPE_STR:
        return dx_slice_equal(dx_json_slice(a), dx_json_slice(b));
    }
    if (unsafe_yyjson_get_len(a) != unsafe_yyjson_get_len(b) || depth >= DX_JSON_DEPTH_MAX) return false;
    return type == YYJSON_TYPE_ARR ? arrays_equal(a, b, depth) : objects_equal(a, b, depth);
}

bool dx_json_equal(yyjson_val *a, yyjson_val *b) {
    if (a == NULL || b == NULL) return a == b;
    return equal(a, b, 0);
}

const char *dx_json_type_name(yyjson_val *value) {
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "boolean";
    case YYJSON_TYPE_STR:
        return "string";
    case YYJSON_TYPE_ARR:
        return "array";
    case YYJSON_TYPE_OBJ:
        return "object";
    case YYJSON_TYPE_NUM:
        break;
    default:
        return "nothing";
    }
    if (!yyjson_is_real(value)) return "integer";
    double real = unsafe_yyjson_get_real(value);
    return real == trunc(real) && isfinite(real) ? "integer" : "number";
}
