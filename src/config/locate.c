// From a place in the definition to a line in a file. Every file reference that was followed left a mount; the nearest one above a pointer
// says which file and where in it. A value that stands in no file (a default, a missing field) is told by what is around it.
#include "config/parts.h"

dx_slice dx_pointer_parent(dx_slice pointer) {
    while (pointer.size && pointer.data[pointer.size - 1] != '/') pointer.size--;
    if (pointer.size) pointer.size--;
    return pointer;
}

size_t dx_path_enter(dx_buffer *path, dx_slice name) {
    size_t before = path->size;
    dx_buffer_byte(path, '/');
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '~')
            DX_BUFFER_LIT(path, "~0");
        else if (name.data[i] == '/')
            DX_BUFFER_LIT(path, "~1");
        else
            dx_buffer_byte(path, name.data[i]);
    }
    return before;
}

size_t dx_path_enter_index(dx_buffer *path, size_t index) {
    size_t before = path->size;
    dx_buffer_byte(path, '/');
    dx_buffer_u64(path, index);
    return before;
}

dx_status dx_mount_add(dx_definition *definition, dx_slice pointer, const dx_source *source, dx_slice source_pointer) {
    dx_mount *mount = DX_ARENA_NEW(definition->arena, dx_mount);
    dx_slice key = dx_arena_copy(definition->arena, pointer), at = dx_arena_copy(definition->arena, source_pointer);
    if (!mount || !key.data || !at.data) return DX_NO_MEMORY;
    *mount = (dx_mount){source, at};
    return dx_map_put(&definition->mounts, key, mount);
}

dx_taint dx_taint_at(const dx_definition *definition, dx_slice pointer) {
    return (dx_taint)(uintptr_t)dx_map_get(&definition->taints, pointer);
}

dx_status dx_taint_add(dx_definition *definition, dx_slice pointer, dx_taint taint) {
    dx_slice at = dx_arena_copy(definition->arena, pointer);
    if (!at.data) return DX_NO_MEMORY;
    dx_status status = dx_map_put(&definition->taints, at, (void *)(uintptr_t)taint);
    while (status == DX_OK && at.size) {
        at = dx_pointer_parent(at);
        if (dx_taint_at(definition, at) != DX_TAINT_NONE) break;
        status = dx_map_put(&definition->taints, at, (void *)(uintptr_t)DX_TAINT_INSIDE);
    }
    return status;
}

bool dx_definition_is_secret(const dx_definition *definition, dx_slice pointer) {
    return dx_taint_at(definition, pointer) != DX_TAINT_NONE;
}

bool dx_definition_is_broken(const dx_definition *definition, dx_slice pointer) {
    for (;; pointer = dx_pointer_parent(pointer)) {
        if (dx_map_get(&definition->broken, pointer)) return true;
        if (!pointer.size) return false;
    }
}

// The nearest mount at or above `*at`; `*at` becomes where it is.
static const dx_mount *mount_above(const dx_definition *definition, dx_slice *at) {
    for (;; *at = dx_pointer_parent(*at)) {
        const dx_mount *mount = dx_map_get(&definition->mounts, *at);
        if (mount || !at->size) return mount;
    }
}

// The value at `pointer` in the mount's file, or with `around` the nearest value above it that is there.
static bool locate_in(const dx_mount *mount, dx_slice below, bool at_name, bool around, dx_arena *arena, dx_diag *diag) {
    dx_slice at = dx_arena_printf(arena, "%.*s%.*s", DX_SLICE_ARG(mount->pointer), DX_SLICE_ARG(below));
    if (!at.data) return false;
    while (!dx_json_locate(mount->source->text, at, at_name, &diag->line, &diag->column)) {
        if (!around || !at.size) return false;
        at = dx_pointer_parent(at);
        at_name = false;
    }
    diag->file = dx_arena_copy(arena, mount->source->name);
    return true;
}

// A member that stands beside a "$ref" is in the file around the mount, so outer mounts are asked too before giving up on the exact place.
static void locate(const dx_definition *definition, dx_slice pointer, bool at_name, dx_arena *arena, dx_diag *diag) {
    dx_slice nearest = pointer;
    const dx_mount *first = mount_above(definition, &nearest), *mount = first;
    dx_slice at = nearest;
    while (mount) {
        if (locate_in(mount, dx_slice_from(pointer, at.size), at_name, false, arena, diag) || !at.size) break;
        at = dx_pointer_parent(at);
        mount = mount_above(definition, &at);
    }
    if (first && !diag->line) (void)locate_in(first, dx_slice_from(pointer, nearest.size), at_name, true, arena, diag);
    if (!diag->file.data) diag->file = dx_arena_copy(arena, dx_slice_str(definition->path));
}

bool dx_definition_find(const dx_definition *definition, dx_slice pointer, dx_arena *arena, dx_found *out) {
    for (dx_slice at = pointer;; at = dx_pointer_parent(at)) {
        const dx_mount *mount = mount_above(definition, &at);
        if (!mount) return false;
        dx_slice below = dx_slice_from(pointer, at.size);
        out->source = mount->source;
        out->pointer = dx_arena_printf(arena, "%.*s%.*s", DX_SLICE_ARG(mount->pointer), DX_SLICE_ARG(below));
        if (out->pointer.data && dx_json_locate(out->source->text, out->pointer, false, &out->line, &out->column)) return true;
        if (!at.size) return false;
    }
}

// What came from a variable may be a secret: where a finding about it quotes it, it is left out. A value so short that it stands in any
// sentence is looked for within quotes alone.
static dx_slice without_value(const dx_definition *definition, dx_slice pointer, dx_slice text, dx_arena *arena) {
    static const size_t SHORT = 4;
    dx_taint taint = definition->document ? dx_taint_at(definition, pointer) : DX_TAINT_NONE;
    if (taint != DX_TAINT_WHOLE && taint != DX_TAINT_PART) return text;
    dx_slice value = dx_json_slice(dx_json_at(dx_definition_root(definition), pointer));
    if (value.size && value.size < SHORT) value = dx_arena_printf(arena, "\"%.*s\"", DX_SLICE_ARG(value));
    if (!value.size) return text;
    dx_buffer kept;
    dx_buffer_init(&kept, arena, text.size * 4 + 16);
    for (dx_slice rest = text; rest.size;) {
        bool hidden = dx_slice_starts(rest, value);
        if (hidden)
            DX_BUFFER_LIT(&kept, "[redacted]");
        else
            dx_buffer_byte(&kept, rest.data[0]);
        rest = dx_slice_from(rest, hidden ? value.size : 1);
    }
    return dx_buffer_status(&kept) == DX_OK ? dx_buffer_slice(&kept) : (dx_slice){"", 0};
}

static dx_diag *complain(const dx_definition *definition, dx_diags *diags, dx_slice pointer, bool at_name, const char *format,
                         va_list args) {
    if (!diags) return NULL;
    dx_slice text = without_value(definition, pointer, dx_arena_vprintf(diags->arena, format, args), diags->arena);
    dx_diag *diag = dx_diags_add(diags, DX_INVALID, pointer, "%.*s", DX_SLICE_ARG(text));
    if (diag) locate(definition, pointer, at_name, diags->arena, diag);
    return diag;
}

dx_diag *dx_definition_complain(const dx_definition *definition, dx_diags *diags, dx_slice pointer, const char *format, ...) {
    va_list args;
    va_start(args, format);
    dx_diag *diag = complain(definition, diags, pointer, false, format, args);
    va_end(args);
    return diag;
}

dx_diag *dx_definition_refuse(dx_definition *definition, dx_slice pointer, bool at_name, const char *format, ...) {
    definition->findings++;
    dx_slice key = dx_arena_copy(definition->arena, pointer);
    if (key.data && dx_map_put(&definition->broken, key, definition) != DX_OK) return NULL; // then it is told twice at worst
    va_list args;
    va_start(args, format);
    dx_diag *diag = complain(definition, definition->diags, pointer, at_name, format, args);
    va_end(args);
    return diag;
}

void dx_definition_refuse_line(dx_definition *definition, dx_slice file, uint32_t line, uint32_t column, const char *format, ...) {
    definition->findings++;
    if (!definition->diags) return;
    va_list args;
    va_start(args, format);
    dx_slice text = dx_arena_vprintf(definition->diags->arena, format, args);
    va_end(args);
    dx_diag *diag = dx_diags_add(definition->diags, DX_MALFORMED, (dx_slice){"", 0}, "%.*s", DX_SLICE_ARG(text));
    if (!diag) return;
    diag->file = dx_arena_copy(definition->diags->arena, file);
    diag->line = line;
    diag->column = column;
}
