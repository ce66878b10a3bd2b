// JSON Patch. The target is copied once and the operations change the copy, so a failure leaves nothing half done. A patch is small and may
// ask for much (each `copy` can double the tree, each pointer walks lists), so three things are capped: operations, depth, and work, which
// counts the values and members that were walked over. Memory is capped by the document's arena.
#include "codec/json_patch.h"

#include <stdio.h>

#include "codec/json_internal.h"

static const size_t WORK_CAP = 10 * 1000 * 1000;

struct patch {
    yyjson_mut_doc *doc;
    yyjson_mut_val *root;
    dx_diags *diags;
    size_t number; // of the present operation
    size_t work;
};

// Where a pointer leads: the container, and in it a name or an index. The root has no container.
struct place {
    yyjson_mut_val *container;
    yyjson_mut_val *value; // NULL: nothing there yet
    dx_slice name;
    size_t index;
    size_t depth; // tokens of the pointer
};

DX_PRINTF(4, 5) static DX_COLD dx_status fail(struct patch *patch, dx_status status, const char *member, const char *format, ...) {
    char pointer[64], message[256];
    int pointer_size = snprintf(pointer, sizeof pointer, "/%zu%s%s", patch->number, *member ? "/" : "", member);
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    dx_diags_add(patch->diags, status, dx_slice_of(pointer, (size_t)pointer_size), "%s", message);
    return status;
}

static dx_status spend(struct patch *patch, size_t steps) {
    patch->work += steps + 1;
    if (DX_LIKELY(patch->work <= WORK_CAP)) return DX_OK;
    return fail(patch, DX_INVALID, "", "the patch asks for too much work");
}

static bool well_formed(dx_slice pointer) {
    if (pointer.size && pointer.data[0] != '/') return false;
    for (size_t i = 0; i < pointer.size; i++) {
        if (pointer.data[i] != '~') continue;
        if (i + 1 == pointer.size || (pointer.data[i + 1] != '0' && pointer.data[i + 1] != '1')) return false;
    }
    return true;
}

// The token as the name it stands for; in the document's memory when it had escapes.
static dx_status unescape(struct patch *patch, dx_slice token, dx_slice *out) {
    *out = token;
    if (dx_slice_find(token, '~') == SIZE_MAX) return DX_OK;
    yyjson_mut_val *copy = yyjson_mut_strncpy(patch->doc, token.data, token.size);
    if (copy == NULL) return DX_NO_MEMORY;
    char *to = (char *)copy->uni.str; // ours: just made
    size_t size = 0;
    for (size_t i = 0; i < token.size; i++) {
        bool escape = token.data[i] == '~';
        if (escape) i++;
        to[size++] = escape ? (token.data[i] == '1' ? '/' : '~') : token.data[i];
    }
    *out = dx_slice_of(to, size);
    return DX_OK;
}

static bool read_index(dx_slice token, size_t count, size_t *index) {
    if (dx_slice_equal(token, DX_SLICE("-"))) {
        *index = count;
        return true;
    }
    uint64_t number;
    if (token.size > 1 && token.data[0] == '0') return false; // RFC 6901: no leading zeros
    if (!dx_slice_to_u64(token, &number) || number > count) return false;
    *index = (size_t)number;
    return true;
}

// One token further: `place->value` becomes the container and what lies under the token the value.
static dx_status step(struct patch *patch, struct place *place, dx_slice token, const char *member) {
    yyjson_mut_val *container = place->value;
    place->container = container;
    place->value = NULL;
    place->depth++;
    if (yyjson_mut_is_obj(container)) {
        dx_status status = unescape(patch, token, &place->name);
        if (status == DX_OK) status = spend(patch, yyjson_mut_obj_size(container));
        if (status == DX_OK) place->value = yyjson_mut_obj_getn(container, place->name.data, place->name.size);
        return status;
    }
    if (!yyjson_mut_is_arr(container)) return fail(patch, DX_INVALID, member, "the pointer leads through a value that has no members");
    size_t count = yyjson_mut_arr_size(container);
    if (!read_index(token, count, &place->index)) return fail(patch, DX_INVALID, member, "no such index in an array of %zu", count);
    if (place->index < count) place->value = yyjson_mut_arr_get(container, place->index);
    return spend(patch, place->index);
}

static dx_status resolve(struct patch *patch, dx_slice pointer, const char *member, struct place *place) {
    *place = (struct place){.value = patch->root};
    dx_slice rest = {pointer.size ? pointer.data + 1 : NULL, pointer.size ? pointer.size - 1 : 0};
    while (rest.data) {
        if (place->value == NULL) return fail(patch, DX_INVALID, member, "the pointer leads through a value that does not exist");
        dx_status status = step(patch, place, dx_slice_cut(&rest, '/'), member);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static dx_status resolve_existing(struct patch *patch, dx_slice pointer, const char *member, struct place *place) {
    dx_status status = resolve(patch, pointer, member, place);
    if (status == DX_OK && place->value == NULL) return fail(patch, DX_INVALID, member, "there is no such value");
    return status;
}

// Whether `value` fits in `levels` more levels. Recursion is bounded by `levels`.
static dx_status check_depth(struct patch *patch, yyjson_mut_val *value, size_t levels) {
    dx_status status = spend(patch, 0);
    if (status != DX_OK || !yyjson_mut_is_ctn(value)) return status;
    if (levels == 0) return fail(patch, DX_INVALID, "", "the result would be nested deeper than %d levels", DX_JSON_DEPTH_CAP);
    size_t count = unsafe_yyjson_get_len(value);
    bool object = yyjson_mut_is_obj(value);
    yyjson_mut_val *at = value->uni.ptr; // a ring, entered at its last element or last name
    for (size_t i = 0; i < count && status == DX_OK; i++) {
        if (object) at = at->next;
        status = check_depth(patch, at, levels - 1);
        at = at->next;
    }
    return status;
}

static dx_status put(struct patch *patch, const struct place *place, yyjson_mut_val *value) {
    if (value == NULL) return DX_NO_MEMORY;
    if (place->depth > DX_JSON_DEPTH_CAP) return fail(patch, DX_INVALID, "path", "nested deeper than %d levels", DX_JSON_DEPTH_CAP);
    dx_status status = check_depth(patch, value, DX_JSON_DEPTH_CAP - place->depth);
    if (status != DX_OK) return status;
    if (place->container == NULL) {
        patch->root = value;
        return DX_OK;
    }
    if (yyjson_mut_is_arr(place->container)) {
        return yyjson_mut_arr_insert(place->container, value, place->index) ? DX_OK : DX_NO_MEMORY;
    }
    yyjson_mut_val *name = yyjson_mut_strncpy(patch->doc, place->name.size ? place->name.data : "", place->name.size);
    if (name == NULL) return DX_NO_MEMORY;
    bool done = place->value ? yyjson_mut_obj_replace(place->container, name, value) : yyjson_mut_obj_add(place->container, name, value);
    return done ? DX_OK : DX_INTERNAL;
}

static dx_status take_out(struct patch *patch, const struct place *place, const char *member) {
    if (place->container == NULL) return fail(patch, DX_INVALID, member, "the whole document cannot be taken away");
    if (yyjson_mut_is_arr(place->container)) {
        return yyjson_mut_arr_remove(place->container, place->index) ? DX_OK : DX_INTERNAL;
    }
    return yyjson_mut_obj_remove_keyn(place->container, place->name.data, place->name.size) ? DX_OK : DX_INTERNAL;
}

static bool same(yyjson_mut_val *a, yyjson_val *b, size_t depth);

static bool same_items(yyjson_mut_val *a, yyjson_val *b, size_t depth) {
    yyjson_val *item = b + 1;
    yyjson_mut_val *at = a->uni.ptr;
    for (size_t i = 0, count = unsafe_yyjson_get_len(b); i < count; i++, item = unsafe_yyjson_get_next(item)) {
        at = at->next; // the ring is entered at its last element
        if (!same(at, item, depth + 1)) return false;
    }
    return true;
}

static bool same_members(yyjson_mut_val *a, yyjson_val *b, size_t depth) {
    dx_json_index index;
    dx_json_index_init(&index, b);
    bool equal = true;
    size_t i, count;
    yyjson_mut_val *name, *value;
    yyjson_mut_obj_foreach(a, i, count, name, value) {
        yyjson_val *other = dx_json_index_get(&index, dx_slice_of(unsafe_yyjson_get_str(name), unsafe_yyjson_get_len(name)));
        equal = other && same(value, other, depth + 1);
        if (!equal) break;
    }
    dx_json_index_deinit(&index);
    return equal;
}

// Recursion is bounded by the depth of what has been read.
static bool same(yyjson_mut_val *a, yyjson_val *b, size_t depth) {
    yyjson_type type = unsafe_yyjson_get_type(a);
    if (type != unsafe_yyjson_get_type(b) || depth > DX_JSON_DEPTH_MAX) return false;
    if (type == YYJSON_TYPE_NUM) return dx_json_number_equal(a, b);
    if (type == YYJSON_TYPE_BOOL) return unsafe_yyjson_get_bool(a) == unsafe_yyjson_get_bool(b);
    if (type == YYJSON_TYPE_NULL) return true;
    size_t size = unsafe_yyjson_get_len(a);
    if (size != unsafe_yyjson_get_len(b)) return false;
    if (type == YYJSON_TYPE_ARR) return same_items(a, b, depth);
    if (type == YYJSON_TYPE_OBJ) return same_members(a, b, depth);
    return memcmp(unsafe_yyjson_get_str(a), unsafe_yyjson_get_str(b), size) == 0;
}

// An operation's members, checked for form.
struct operation {
    dx_slice path, from;
    yyjson_val *value;
};

static dx_status add(struct patch *patch, const struct operation *operation) {
    struct place place;
    dx_status status = resolve(patch, operation->path, "path", &place);
    return status == DX_OK ? put(patch, &place, yyjson_val_mut_copy(patch->doc, operation->value)) : status;
}

static dx_status take_away(struct patch *patch, const struct operation *operation) {
    struct place place;
    dx_status status = resolve_existing(patch, operation->path, "path", &place);
    return status == DX_OK ? take_out(patch, &place, "path") : status;
}

static dx_status replace(struct patch *patch, const struct operation *operation) {
    struct place place;
    dx_status status = resolve_existing(patch, operation->path, "path", &place);
    if (status != DX_OK) return status;
    if (yyjson_mut_is_arr(place.container) && (status = take_out(patch, &place, "path")) != DX_OK) return status;
    return put(patch, &place, yyjson_val_mut_copy(patch->doc, operation->value));
}

static dx_status move(struct patch *patch, const struct operation *operation) {
    struct place from, to;
    dx_status status = resolve_existing(patch, operation->from, "from", &from);
    if (status != DX_OK || dx_slice_equal(operation->from, operation->path)) return status;
    bool into_itself = dx_slice_starts(operation->path, operation->from) && operation->path.data[operation->from.size] == '/';
    if (into_itself) return fail(patch, DX_INVALID, "path", "a value cannot be moved into itself");
    if ((status = take_out(patch, &from, "from")) != DX_OK) return status;
    status = resolve(patch, operation->path, "path", &to);
    return status == DX_OK ? put(patch, &to, from.value) : status;
}

static dx_status copy(struct patch *patch, const struct operation *operation) {
    struct place from, to;
    dx_status status = resolve_existing(patch, operation->from, "from", &from);
    if (status == DX_OK) status = resolve(patch, operation->path, "path", &to);
    if (status == DX_OK) status = check_depth(patch, from.value, DX_JSON_DEPTH_CAP); // before the copy: it recurses
    return status == DX_OK ? put(patch, &to, yyjson_mut_val_mut_copy(patch->doc, from.value)) : status;
}

static dx_status test(struct patch *patch, const struct operation *operation) {
    struct place place;
    dx_status status = resolve_existing(patch, operation->path, "path", &place);
    if (status != DX_OK) return status;
    return same(place.value, operation->value, 0) ? DX_OK : fail(patch, DX_CONFLICT, "value", "the value at the path is another one");
}

static const struct kind {
    const char *name;
    dx_status (*run)(struct patch *patch, const struct operation *operation);
    bool has_value, has_from;
} KINDS[] = {
    {"add", add, true, false},   {"remove", take_away, false, false}, {"replace", replace, true, false},
    {"move", move, false, true}, {"copy", copy, false, true},         {"test", test, true, false},
};

static const struct kind *kind_named(dx_slice name) {
    for (size_t i = 0; i < DX_COUNT_OF(KINDS); i++) {
        if (dx_slice_equal(name, dx_slice_str(KINDS[i].name))) return &KINDS[i];
    }
    return NULL;
}

static dx_status read_pointer(struct patch *patch, yyjson_val *item, const char *member, dx_slice *out) {
    yyjson_val *value = yyjson_obj_get(item, member);
    if (!yyjson_is_str(value)) return fail(patch, DX_MALFORMED, member, "expected a JSON pointer, found %s", dx_json_type_name(value));
    *out = dx_json_slice(value);
    return well_formed(*out) ? DX_OK : fail(patch, DX_MALFORMED, member, "not a JSON pointer");
}

static dx_status run(struct patch *patch, yyjson_val *item) {
    if (!yyjson_is_obj(item)) return fail(patch, DX_MALFORMED, "", "expected an operation object, found %s", dx_json_type_name(item));
    const struct kind *kind = kind_named(dx_json_member_slice(item, "op"));
    if (kind == NULL) return fail(patch, DX_MALFORMED, "op", "expected one of add, remove, replace, move, copy, test");
    struct operation operation = {.value = yyjson_obj_get(item, "value")};
    dx_status status = read_pointer(patch, item, "path", &operation.path);
    if (status == DX_OK && kind->has_from) status = read_pointer(patch, item, "from", &operation.from);
    if (status != DX_OK) return status;
    if (kind->has_value && operation.value == NULL) return fail(patch, DX_MALFORMED, "value", "a value is missing");
    return kind->run(patch, &operation);
}

dx_status dx_json_patch_apply(yyjson_mut_val **out, yyjson_mut_doc *doc, yyjson_val *target, yyjson_val *operations, dx_diags *diags) {
    if (!yyjson_is_arr(operations)) {
        dx_diags_add(diags, DX_MALFORMED, DX_SLICE(""), "expected an array of operations, found %s", dx_json_type_name(operations));
        return DX_MALFORMED;
    }
    if (yyjson_arr_size(operations) > DX_JSON_PATCH_OPERATIONS_CAP) {
        dx_diags_add(diags, DX_INVALID, DX_SLICE(""), "more than %d operations", DX_JSON_PATCH_OPERATIONS_CAP);
        return DX_INVALID;
    }
    struct patch patch = {.doc = doc, .root = yyjson_val_mut_copy(doc, target), .diags = diags};
    if (patch.root == NULL) return DX_NO_MEMORY;
    size_t count;
    yyjson_val *item;
    yyjson_arr_foreach(operations, patch.number, count, item) {
        dx_status status = run(&patch, item);
        if (status != DX_OK) return status;
    }
    *out = patch.root;
    return DX_OK;
}
