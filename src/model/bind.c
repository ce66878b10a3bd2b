// Bound structs: names, errors, tables that are checked, and freeing. See duplex/model.h for the contract.
#include "model/bind.h"

#include <stdio.h>

#include "base/memory.h"
#include "model/case.h"

enum { CLEAR_DEPTH_CAP = 1024 };

// --- errors ----------------------------------------------------------------------------------------------------------------

void dx_bind_start(dx_bind *bind, unsigned flags, dx_error *error) {
    *bind = (dx_bind){.error = error, .flags = flags};
    dx_buffer_init(&bind->text, NULL, DX_MODEL_TEXT_CAP);
    if (error) *error = (dx_error)DX_ERROR_INIT;
}

static size_t put(char *to, size_t size, size_t cap, char byte) {
    if (size + 1 < cap) to[size++] = byte;
    return size;
}

static void write_pointer(char *to, size_t cap, const dx_bind_step *step) {
    const dx_bind_step *chain[DX_MODEL_DEPTH_CAP + 2];
    size_t depth = 0, size = 0;
    for (; step && depth < DX_COUNT_OF(chain); step = step->parent) chain[depth++] = step;
    while (depth) {
        step = chain[--depth];
        char digits[24];
        int length = step->name ? 0 : snprintf(digits, sizeof digits, "%zu", step->number);
        dx_slice token = step->name ? dx_slice_of(step->name, step->number) : dx_slice_of(digits, (size_t)length);
        size = put(to, size, cap, '/');
        for (size_t i = 0; i < token.size; i++) { // RFC 6901 section 3; a NUL would end it
            char byte = token.data[i];
            if (byte == '~' || byte == '/') size = put(to, size, cap, '~');
            size = put(to, size, cap, (char)(byte == '~' ? '0' : byte == '/' ? '1' : byte == '\0' ? '?' : byte));
        }
    }
    to[size] = '\0';
}

bool dx_bind_fail(dx_bind *bind, const dx_bind_step *step, dx_error_code code, const char *format, ...) {
    if (bind->code != DX_ERROR_NONE) return false;
    bind->code = code;
    if (bind->error == NULL) return false;
    bind->error->code = code;
    bind->error->category = DX_CATEGORY_UNKNOWN;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(bind->error->message, sizeof bind->error->message, format, args);
    va_end(args);
    write_pointer(bind->error->pointer, sizeof bind->error->pointer, step);
    return false;
}

bool dx_bind_no_memory(dx_bind *bind, const dx_bind_step *step) {
    return dx_bind_fail(bind, step, DX_ERROR_NO_MEMORY, "there was no memory for it");
}

// --- tables ----------------------------------------------------------------------------------------------------------------

static bool check_member(dx_bind *bind, const dx_model *model, const dx_member *member, const dx_bind_step *step) {
    const char *json = member->how.json;
    if (strlen(member->name) > DX_MODEL_NAME_CAP || (json && strlen(json) > DX_MODEL_NAME_CAP))
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "%s: the name of %.40s… is longer than %d bytes", model->name, member->name,
                            DX_MODEL_NAME_CAP);
    if (member->model && member->model()->size != member->size)
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "%s: %s has the model of another struct: %s is of %zu bytes, not %zu",
                            model->name, member->name, member->model()->name, member->model()->size, member->size);
    return true;
}

bool dx_bind_check(dx_bind *bind, const dx_model *model, const dx_bind_step *step) {
    for (size_t i = 0; i < DX_BIND_CHECKED; i++)
        if (bind->checked[i] == model) return true;
    if (model->version != DX_MODEL_VERSION)
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the model's table was compiled for another version of the library");
    if (model->count > DX_MODEL_MEMBERS_CAP)
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "%s has more than %d members", model->name, DX_MODEL_MEMBERS_CAP);
    for (size_t i = 0; i < model->count; i++)
        if (!check_member(bind, model, &model->members[i], step)) return false;
    bind->checked[bind->checks++ % DX_BIND_CHECKED] = model;
    return true;
}

dx_slice dx_bind_name(char *space, const dx_model *model, const dx_member *member) {
    if (member->how.json) return dx_slice_str(member->how.json);
    if (model->naming == DX_CASE_AS_IS) return dx_slice_str(member->name);
    return dx_slice_of(space, dx_case_write(space, model->naming, dx_slice_str(member->name)));
}

// Whether two names are one but for capitals and "_", which is all that a case changes: false for most at their first byte.
static bool alike(dx_slice a, dx_slice b) {
    size_t i = 0, j = 0;
    for (;;) {
        while (i < a.size && a.data[i] == '_') i++;
        while (j < b.size && b.data[j] == '_') j++;
        if (i == a.size || j == b.size) return i == a.size && j == b.size;
        if ((a.data[i++] | 0x20) != (b.data[j++] | 0x20)) return false;
    }
}

static bool is_named(const dx_model *model, const dx_member *member, dx_slice name) {
    char space[2 * DX_MODEL_NAME_CAP];
    if (!member->how.json && !alike(dx_slice_str(member->name), name)) return false;
    return dx_slice_equal(dx_bind_name(space, model, member), name);
}

const dx_member *dx_bind_find(const dx_model *model, dx_slice name, size_t *hint) {
    for (size_t i = 0; i < model->count; i++) {
        size_t at = (*hint + i) % model->count;
        const dx_member *member = &model->members[at];
        if (member->kind == DX_KIND_EXTRA || !is_named(model, member, name)) continue;
        *hint = at + 1;
        return member;
    }
    return NULL;
}

dx_model_extra *dx_bind_extra(const dx_model *model, const void *in) {
    for (size_t i = model->count; i-- > 0;) // mostly it stands last
        if (model->members[i].kind == DX_KIND_EXTRA) return dx_bind_at(in, model->members[i].offset);
    return NULL;
}

// --- freeing ---------------------------------------------------------------------------------------------------------------

static void clear_struct(const dx_model *model, void *in, unsigned depth);

static void clear_map(const dx_model_map *map) {
    for (size_t i = 0; map->items && i < map->count; i++) {
        dx_memory_free(map->items[i].name);
        dx_memory_free(map->items[i].value);
    }
    dx_memory_free(map->items);
}

static void clear_extra(const dx_model_extra *extra) {
    for (size_t i = 0; extra->items && i < extra->count; i++) {
        dx_memory_free(extra->items[i].name);
        dx_memory_free(extra->items[i].json);
    }
    dx_memory_free(extra->items);
}

// A member that is no array, or an element of one.
static void clear_value(const dx_member *member, void *at, unsigned depth) {
    switch (dx_bind_kind(member)) {
    case DX_KIND_STRING:
    case DX_KIND_JSON:
    case DX_KIND_SIZED:
    case DX_KIND_BYTES:
        dx_memory_free(*(void **)at);
        break;
    case DX_KIND_MAP:
        clear_map(at);
        break;
    case DX_KIND_EXTRA:
        clear_extra(at);
        break;
    case DX_KIND_STRUCT:
        clear_struct(member->model(), at, depth + 1);
        break;
    case DX_KIND_POINTER:
        if (*(void **)at) clear_struct(member->model(), *(void **)at, depth + 1);
        dx_memory_free(*(void **)at);
        break;
    default:
        break;
    }
}

static void clear_array(const dx_member *member, void *in, unsigned depth) {
    char *items = *(char **)dx_bind_at(in, member->offset);
    if (items == NULL) return;
    size_t count = dx_bind_count(member, in);
    for (size_t i = 0; i < count; i++) clear_value(member, items + i * member->size, depth);
    dx_memory_free(items);
}

static void clear_struct(const dx_model *model, void *in, unsigned depth) {
    if (depth > CLEAR_DEPTH_CAP) return;
    for (size_t i = 0; i < model->count; i++) {
        const dx_member *member = &model->members[i];
        if (member->kind & DX_KIND_ARRAY) {
            clear_array(member, in, depth);
        } else {
            clear_value(member, dx_bind_at(in, member->offset), depth);
        }
    }
    memset(in, 0, model->size);
}

void dx_model_clear(const dx_model *model, void *in) {
    if (in) clear_struct(model, in, 0);
}

void dx_model_clear_array(const dx_model *model, void *items, size_t count) {
    for (size_t i = 0; items && i < count; i++) clear_struct(model, (char *)items + i * model->size, 0);
    dx_memory_free(items);
}

// --- the program's own memory ----------------------------------------------------------------------------------------------

void *dx_model_alloc(size_t count, size_t size) {
    return dx_memory_zalloc(count, size);
}

void dx_model_free(void *memory) {
    dx_memory_free(memory);
}

dx_error_code dx_model_set_string(char **string, const char *text) {
    char *copy = NULL;
    if (text) {
        size_t size = strlen(text) + 1;
        copy = dx_memory_alloc(size);
        if (copy == NULL) return DX_ERROR_NO_MEMORY;
        memcpy(copy, text, size);
    }
    dx_memory_free(*string);
    *string = copy;
    return DX_ERROR_NONE;
}
