// See case.h. The tree is walked by the flat array that yyjson keeps its values in, with a list of the open containers instead of
// recursion.
#include "model/case.h"

#include "base/map.h"

static bool is_small(char byte) {
    return byte >= 'a' && byte <= 'z';
}

static bool is_capital(char byte) {
    return byte >= 'A' && byte <= 'Z';
}

static size_t write_camel(char *out, dx_slice name) {
    size_t size = 0, at = 0;
    while (at < name.size && name.data[at] == '_') out[size++] = name.data[at++];
    for (; at < name.size; at++) {
        bool joins = name.data[at] == '_' && at + 1 < name.size && is_small(name.data[at + 1]);
        if (joins) at++;
        out[size++] = joins ? (char)(name.data[at] - 'a' + 'A') : name.data[at];
    }
    return size;
}

// Whether the capital at `at` begins a word: behind what is no capital, or as the last of a run before a small letter.
static bool begins_word(dx_slice name, size_t at) {
    if (at == 0) return false;
    if (!is_capital(name.data[at - 1])) return true;
    return at + 1 < name.size && is_small(name.data[at + 1]);
}

static size_t write_snake(char *out, dx_slice name) {
    size_t size = 0;
    for (size_t at = 0; at < name.size; at++) {
        bool capital = is_capital(name.data[at]);
        if (capital && begins_word(name, at)) out[size++] = '_';
        out[size++] = capital ? (char)(name.data[at] - 'A' + 'a') : name.data[at];
    }
    return size;
}

size_t dx_case_write(char *out, dx_case to, dx_slice name) {
    if (to == DX_CASE_CAMEL) return write_camel(out, name);
    if (to == DX_CASE_SNAKE) return write_snake(out, name);
    if (name.size) memcpy(out, name.data, name.size);
    return name.size;
}

// --- trees -----------------------------------------------------------------------------------------------------------------

typedef struct level {
    yyjson_val *from; // the container, and its next member or item
    yyjson_val *at;
    yyjson_mut_val *to;
    size_t left;
    dx_map names; // that the new object has; used for objects only
} level;

typedef struct conversion {
    yyjson_mut_doc *doc;
    dx_case to;
    dx_arena *scratch;
    dx_diags *diags;
    size_t depth;
    level *levels;
} conversion;

// Where the walk stands, in the old names.
static dx_slice present_place(const conversion *c) {
    dx_slice pointer = {"", 0};
    for (size_t i = 0; i < c->depth; i++) {
        const level *l = &c->levels[i];
        bool last = i + 1 == c->depth;
        // A level above the last has stepped over the child that the next one walks.
        if (yyjson_is_obj(l->from)) {
            yyjson_val *name = last ? l->at : c->levels[i + 1].from - 1;
            pointer = dx_json_pointer_join(c->scratch, pointer, dx_json_slice(name));
        } else if (!last) {
            pointer = dx_json_pointer_index(c->scratch, pointer, unsafe_yyjson_get_len(l->from) - l->left - 1);
        }
    }
    return pointer;
}

static dx_status conflict(const conversion *c, dx_slice other) {
    if (c->diags)
        dx_diags_add(c->diags, DX_CONFLICT, present_place(c), "has the name of \"%.*s\" when both are converted",
                     (int)(other.size < 100 ? other.size : 100), other.data);
    return DX_CONFLICT;
}

// The new name as a value, or NULL with the status set.
static yyjson_mut_val *new_name(conversion *c, level *l, dx_slice name, dx_status *status) {
    char *text = dx_arena_bytes(c->scratch, 2 * name.size + 1);
    *status = DX_NO_MEMORY;
    if (!text) return NULL;
    dx_slice wanted = {text, dx_case_write(text, c->to, name)};
    yyjson_val *before = dx_map_get(&l->names, wanted);
    if (before) {
        *status = conflict(c, dx_json_slice(before));
        return NULL;
    }
    if (dx_map_put(&l->names, wanted, l->at) != DX_OK) return NULL;
    return yyjson_mut_strncpy(c->doc, wanted.data, wanted.size);
}

static yyjson_mut_val *shallow_copy(conversion *c, yyjson_val *value) {
    if (yyjson_is_obj(value)) return yyjson_mut_obj(c->doc);
    if (yyjson_is_arr(value)) return yyjson_mut_arr(c->doc);
    return yyjson_val_mut_copy(c->doc, value);
}

static dx_status open_level(conversion *c, yyjson_val *from, yyjson_mut_val *to) {
    if (!yyjson_is_ctn(from)) return DX_OK;
    if (c->depth == DX_JSON_DEPTH_MAX) return DX_INVALID;
    level *l = &c->levels[c->depth++];
    *l = (level){.from = from, .at = unsafe_yyjson_get_first(from), .to = to, .left = unsafe_yyjson_get_len(from)};
    dx_map_init(&l->names, c->scratch);
    return DX_OK;
}

static dx_status convert_next(conversion *c) {
    level *l = &c->levels[c->depth - 1];
    if (l->left == 0) {
        c->depth--;
        return DX_OK;
    }
    l->left--;
    bool object = yyjson_is_obj(l->from);
    yyjson_val *value = object ? l->at + 1 : l->at;
    yyjson_mut_val *copy = shallow_copy(c, value), *name = NULL;
    dx_status status = DX_NO_MEMORY;
    if (copy && object) name = new_name(c, l, dx_json_slice(l->at), &status);
    if (!copy || (object && !name)) return status;
    bool added = object ? yyjson_mut_obj_add(l->to, name, copy) : yyjson_mut_arr_append(l->to, copy);
    l->at = unsafe_yyjson_get_next(value);
    return added ? open_level(c, value, copy) : DX_NO_MEMORY;
}

dx_status dx_case_convert(yyjson_mut_val **out, yyjson_mut_doc *doc, yyjson_val *value, dx_case to, dx_arena *scratch, dx_diags *diags) {
    *out = NULL;
    conversion c = {doc, to, scratch, diags, 0, DX_ARENA_ARRAY(scratch, level, DX_JSON_DEPTH_MAX)};
    yyjson_mut_val *root = c.levels && value ? shallow_copy(&c, value) : NULL;
    if (!root) return DX_NO_MEMORY;
    dx_status status = open_level(&c, value, root);
    while (status == DX_OK && c.depth) status = convert_next(&c);
    if (status == DX_OK) *out = root;
    return status;
}
