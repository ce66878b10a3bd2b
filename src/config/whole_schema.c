// The one schema of the whole definition: each section's own under "properties". It checks a definition, gives its defaults, and is what
// `duplex schema` prints, so there is no second list of settings. References inside a section's schema, which count from that schema, are
// rewritten to count from the whole.
#include "config/parts.h"

typedef struct rewriting {
    yyjson_mut_doc *out;
    dx_arena *arena;
    const char *section;
    unsigned depth;
    bool failed;
} rewriting;

static bool is_data(dx_slice name) {
    return dx_slice_equal(name, DX_SLICE("default")) || dx_slice_equal(name, DX_SLICE("const")) || dx_slice_equal(name, DX_SLICE("enum")) ||
           dx_slice_equal(name, DX_SLICE("examples"));
}

// In place. The depth is that of a document that was read, so it is bounded.
static void rewrite(rewriting *w, yyjson_mut_val *value) {
    size_t index, count;
    yyjson_mut_val *key, *member;
    if (yyjson_mut_is_arr(value)) yyjson_mut_arr_foreach(value, index, count, member) rewrite(w, member);
    if (!yyjson_mut_is_obj(value)) return;
    yyjson_mut_obj_foreach(value, index, count, key, member) {
        dx_slice name = {yyjson_mut_get_str(key), yyjson_mut_get_len(key)};
        if (is_data(name)) continue;
        const char *text = yyjson_mut_get_str(member);
        if (!text || text[0] != '#' || !dx_slice_equal(name, DX_SLICE("$ref"))) {
            rewrite(w, member);
            continue;
        }
        dx_slice whole = dx_arena_printf(w->arena, "#/properties/%s%s", w->section, text + 1);
        if (!whole.data || !yyjson_mut_set_strn(member, whole.data, whole.size)) w->failed = true;
    }
}

static dx_status add_section(yyjson_mut_doc *out, yyjson_mut_val *properties, dx_arena *arena, const dx_section *section,
                             dx_slice *problem) {
    yyjson_doc *document;
    dx_diags found;
    dx_diags_init(&found, arena);
    dx_status status = dx_json_read(&document, arena, dx_slice_str(section->schema), NULL, &found);
    if (status != DX_OK) {
        *problem = dx_arena_printf(arena, "the schema of section %s: %.*s", section->name,
                                   DX_SLICE_ARG(found.first ? dx_diag_text(found.first, arena) : (dx_slice){0}));
        return status == DX_NO_MEMORY ? status : DX_INTERNAL;
    }
    yyjson_mut_val *copy = yyjson_val_mut_copy(out, yyjson_doc_get_root(document));
    rewriting w = {.out = out, .arena = arena, .section = section->name};
    if (copy) rewrite(&w, copy);
    return copy && !w.failed && yyjson_mut_obj_add_val(out, properties, section->name, copy) ? DX_OK : DX_NO_MEMORY;
}

static yyjson_mut_val *start(yyjson_mut_doc *out, yyjson_mut_val **properties, yyjson_mut_val **required) {
    static const char about[] = "What a server is made from: its data models, the resources that it serves, and its settings.";
    yyjson_mut_val *root = yyjson_mut_obj(out), *own;
    bool made =
        root && yyjson_mut_obj_add_str(out, root, "$schema", "https://json-schema.org/draft/2020-12/schema") &&
        yyjson_mut_obj_add_str(out, root, "title", "duplex definition") && yyjson_mut_obj_add_str(out, root, "description", about) &&
        yyjson_mut_obj_add_str(out, root, "type", "object") && yyjson_mut_obj_add_bool(out, root, "additionalProperties", false) &&
        (*properties = yyjson_mut_obj_add_obj(out, root, "properties")) && (*required = yyjson_mut_obj_add_arr(out, root, "required")) &&
        (own = yyjson_mut_obj_add_obj(out, *properties, "$schema")) && yyjson_mut_obj_add_str(out, own, "type", "string") &&
        yyjson_mut_obj_add_str(out, own, "description", "Where this schema lies, for editors. The server does not read it.");
    return made ? root : NULL;
}

static dx_status build(yyjson_mut_doc *out, dx_arena *arena, const dx_section *const *sections, size_t count, dx_slice *problem) {
    yyjson_mut_val *properties, *required, *root = start(out, &properties, &required);
    if (!root) return DX_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        dx_status status = add_section(out, properties, arena, sections[i], problem);
        if (status == DX_OK && sections[i]->required && !yyjson_mut_arr_add_str(out, required, sections[i]->name)) status = DX_NO_MEMORY;
        if (status != DX_OK) return status;
    }
    yyjson_mut_doc_set_root(out, root);
    return DX_OK;
}

dx_status dx_whole_schema(yyjson_val **out, dx_arena *arena, const dx_section *const *sections, size_t count, dx_slice *problem) {
    yyjson_mut_doc *building = dx_json_mut_doc(arena);
    yyjson_alc alc = dx_json_alc(arena);
    dx_status status = building ? build(building, arena, sections, count, problem) : DX_NO_MEMORY;
    yyjson_doc *document = status == DX_OK ? yyjson_mut_doc_imut_copy(building, &alc) : NULL;
    if (status == DX_OK && !document) status = DX_NO_MEMORY;
    if (document) *out = yyjson_doc_get_root(document);
    return status;
}

// A text of a file may have variables where the definition has their values.
static void allow_variables(dx_arena *arena, yyjson_mut_val *value, bool *failed) {
    size_t index, count;
    yyjson_mut_val *key, *member;
    if (yyjson_mut_is_arr(value)) yyjson_mut_arr_foreach(value, index, count, member) allow_variables(arena, member, failed);
    if (!yyjson_mut_is_obj(value)) return;
    yyjson_mut_obj_foreach(value, index, count, key, member) {
        dx_slice name = {yyjson_mut_get_str(key), yyjson_mut_get_len(key)};
        if (is_data(name) || dx_slice_equal(name, DX_SLICE("propertyNames"))) continue;
        const char *text = yyjson_mut_get_str(member);
        if (!text || !dx_slice_equal(name, DX_SLICE("pattern"))) {
            allow_variables(arena, member, failed);
            continue;
        }
        dx_slice either = dx_arena_printf(arena, "%s|\\$\\{", text);
        if (!either.data || !yyjson_mut_set_strn(member, either.data, either.size)) *failed = true;
    }
}

dx_status dx_definition_schema(dx_buffer *out, const dx_section *const *sections, size_t count) {
    dx_arena *arena = dx_arena_create(DX_DEFINITION_BYTES_CAP);
    yyjson_mut_doc *building = arena ? dx_json_mut_doc(arena) : NULL;
    dx_slice problem = {0};
    dx_status status = building ? build(building, arena, sections, count, &problem) : DX_NO_MEMORY;
    bool failed = false;
    if (status == DX_OK) allow_variables(arena, yyjson_mut_doc_get_root(building), &failed);
    if (failed) status = DX_NO_MEMORY;
    if (status == DX_OK) dx_json_write_mut(out, yyjson_mut_doc_get_root(building), true);
    if (status == DX_OK) status = dx_buffer_status(out);
    dx_arena_destroy(arena);
    return status;
}
