// From files to one tree: variables are put in, sealed values opened and references to files followed, so that nothing later knows of any.
// A reference is replaced by a copy of what it leads to. Inside `models`, which is JSON Schema, a local reference stays as it is, for it
// means a place in this definition; one that came in with another file is copied like a reference to that file, or, where it leads back
// into what is being copied (a tree of nodes), made a local reference to the copy. Whatever a definition does, depth and size of the result
// are capped.
#include "codec/text.h"
#include "config/parts.h"

enum { VALUES_CAP = 8000000, EXPANSIONS_CAP = 100000 };

// How the present value is read.
typedef enum mode {
    PLAIN,  // settings: every "$ref" is followed
    MODELS, // the section `models`: likewise, its members are schemas
    SCHEMA, // a JSON Schema
    NAMES,  // an object of schemas by name inside one: its members' names are no keywords
    DATA    // values that are no schema, or a schema with an "$id", against which its references are resolved: nothing is followed
} mode;

// A reference being followed, the innermost first.
typedef struct expansion {
    const struct expansion *outer;
    const dx_source *source;
    dx_slice pointer; // in the source
    dx_slice placed;  // in the definition
} expansion;

typedef struct assembly {
    dx_definition *definition;
    yyjson_mut_doc *out;
    dx_buffer at; // pointer into the definition
    size_t values, expansions;
    dx_status status;
} assembly;

// Where a value is read from.
typedef struct reading {
    const dx_source *source;
    const expansion *within;
    mode mode;
    unsigned depth;
} reading;

static yyjson_mut_val *walk(assembly *a, const reading *r, yyjson_val *value);

static yyjson_mut_val *stop(assembly *a, dx_status status) {
    if (a->status == DX_OK) a->status = status;
    return NULL;
}

static dx_slice here(const assembly *a) {
    return dx_path_slice(&a->at);
}

// Steps into a member; returns what `leave` needs.
static size_t enter(assembly *a, dx_slice name) {
    size_t before = dx_path_enter(&a->at, name);
    if (dx_buffer_status(&a->at) != DX_OK) stop(a, DX_NO_MEMORY);
    return before;
}

static size_t enter_index(assembly *a, size_t index) {
    size_t before = dx_path_enter_index(&a->at, index);
    if (dx_buffer_status(&a->at) != DX_OK) stop(a, DX_NO_MEMORY);
    return before;
}

static void leave(assembly *a, size_t before) {
    a->at.size = before;
}

static yyjson_mut_val *too_large(assembly *a) {
    if (a->status == DX_OK)
        dx_definition_refuse(a->definition, here(a), false, "the definition is too large once its references are followed");
    return stop(a, DX_TOO_LARGE);
}

static bool is_one_of(dx_slice name, const char *const *list) {
    for (; *list; list++)
        if (dx_slice_equal(name, dx_slice_str(*list))) return true;
    return false;
}

static mode mode_of_member(const assembly *a, const reading *r, dx_slice name) {
    static const char *const data[] = {"const", "enum", "default", "examples", NULL};
    static const char *const names[] = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", NULL};
    switch (r->mode) {
    case PLAIN:
        return a->at.size == 0 && dx_slice_equal(name, DX_SLICE("models")) ? MODELS : PLAIN;
    case MODELS:
    case NAMES:
        return SCHEMA;
    case SCHEMA:
        return is_one_of(name, data) ? DATA : is_one_of(name, names) ? NAMES : SCHEMA;
    default:
        return DATA;
    }
}

// Sealed values are for settings: what stands in a model is shown to everybody.
static yyjson_mut_val *copy_string(assembly *a, const reading *r, yyjson_val *value) {
    dx_slice text;
    dx_taint taint;
    dx_status status = dx_variable_substitute(a->definition, dx_json_slice(value), here(a), &text, &taint);
    if (status == DX_OK && r->mode == PLAIN) status = dx_sealed_open(a->definition, text, here(a), &text, &taint);
    if (status == DX_OK && taint != DX_TAINT_NONE) status = dx_taint_add(a->definition, here(a), taint);
    if (status == DX_NO_MEMORY) return stop(a, status);
    yyjson_mut_val *copy = yyjson_mut_strn(a->out, text.data ? text.data : "", text.size);
    return copy ? copy : stop(a, DX_NO_MEMORY);
}

static yyjson_mut_val *copy_array(assembly *a, const reading *r, yyjson_val *value) {
    yyjson_mut_val *copy = yyjson_mut_arr(a->out);
    reading inner = {r->source, r->within, r->mode, r->depth + 1};
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(value, index, count, item) {
        size_t before = enter_index(a, index);
        yyjson_mut_val *made = walk(a, &inner, item);
        leave(a, before);
        if (!made || !yyjson_mut_arr_append(copy, made)) return stop(a, DX_NO_MEMORY);
    }
    return copy;
}

static bool is_of_others(const dx_definition *definition, dx_slice name) {
    const char *const *others = definition->options ? definition->options->others : NULL;
    return others && is_one_of(name, others);
}

// The members of `value` but "$ref", added to `copy`.
static bool copy_members(assembly *a, const reading *r, yyjson_val *value, yyjson_mut_val *copy, bool without_ref) {
    size_t index, count;
    yyjson_val *key, *member;
    yyjson_obj_foreach(value, index, count, key, member) {
        dx_slice name = dx_json_slice(key);
        if (without_ref && dx_slice_equal(name, DX_SLICE("$ref"))) continue;
        if (r->depth == 0 && is_of_others(a->definition, name)) continue;
        reading inner = {r->source, r->within, mode_of_member(a, r, name), r->depth + 1};
        size_t before = enter(a, name);
        yyjson_mut_val *made = walk(a, &inner, member);
        leave(a, before);
        yyjson_mut_val *made_key = made ? yyjson_mut_strn(a->out, name.data ? name.data : "", name.size) : NULL;
        if (!made_key) return stop(a, DX_NO_MEMORY) != NULL;
        if (without_ref)
            yyjson_mut_obj_put(copy, made_key, made); // beside a reference: it stands for the target's own
        else
            yyjson_mut_obj_add(copy, made_key, made);
    }
    return true;
}

static yyjson_mut_val *copy_object(assembly *a, const reading *r, yyjson_val *value) {
    yyjson_mut_val *copy = yyjson_mut_obj(a->out);
    if (!copy) return stop(a, DX_NO_MEMORY);
    return copy_members(a, r, value, copy, false) ? copy : NULL;
}

// --- references

// A reference taken apart: a file (or none: the present one) and a pointer into it.
typedef struct reference {
    dx_slice text; // as written, variables put in
    dx_slice path;
    dx_slice fragment;
    bool has_scheme;
} reference;

static reference reference_split(dx_slice text) {
    reference ref = {.text = text, .fragment = text};
    ref.path = dx_slice_cut(&ref.fragment, '#');
    size_t colon = dx_slice_find(ref.path, ':'), slash = dx_slice_find(ref.path, '/');
    ref.has_scheme = colon != SIZE_MAX && colon < slash;
    return ref;
}

// What a refused reference leaves behind.
static yyjson_mut_val *refused(assembly *a) {
    yyjson_mut_val *null = yyjson_mut_null(a->out);
    return null ? null : stop(a, DX_NO_MEMORY);
}

static bool follows(const reading *r, const reference *ref) {
    if (r->mode == PLAIN || r->mode == MODELS) return true;
    if (r->mode != SCHEMA || ref->has_scheme) return false;
    static const dx_slice json = DX_SLICE_INIT(".json");
    if (!ref->path.size) // an anchor's name cannot be followed here
        return r->within && (!ref->fragment.size || ref->fragment.data[0] == '/');
    return ref->path.size > json.size && dx_slice_equal(dx_slice_from(ref->path, ref->path.size - json.size), json);
}

static bool pointer_is_below(dx_slice pointer, dx_slice above) {
    return dx_slice_starts(pointer, above) && (pointer.size == above.size || pointer.data[above.size] == '/');
}

// The expansion that `pointer` of `source` leads back into, or NULL. In settings only the very same place makes a circle.
static const expansion *leads_back(const reading *r, const dx_source *source, dx_slice pointer) {
    for (const expansion *e = r->within; e; e = e->outer) {
        if (e->source != source) continue;
        if (r->mode == SCHEMA ? pointer_is_below(pointer, e->pointer) : dx_slice_equal(pointer, e->pointer)) return e;
    }
    return NULL;
}

// {"$ref": "#…"} to a place of the definition, and whatever stood beside the reference.
static yyjson_mut_val *local_reference(assembly *a, const reading *r, yyjson_val *value, dx_slice base, dx_slice rest) {
    static const char plain[] = "/~!$&'()*+,;=:@-._";
    dx_buffer text;
    dx_buffer_init(&text, a->definition->work, DX_DEFINITION_BYTES_CAP);
    dx_buffer_byte(&text, '#');
    for (int half = 0; half < 2; half++) {
        dx_slice part = half ? rest : base;
        for (size_t i = 0; i < part.size; i++) {
            char c = part.data[i], lower = (char)(c | 0x20);
            bool keep = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c && strchr(plain, c));
            if (keep)
                dx_buffer_byte(&text, c);
            else
                dx_buffer_printf(&text, "%%%02X", (unsigned)(uint8_t)c);
        }
    }
    yyjson_mut_val *copy = yyjson_mut_obj(a->out), *key = yyjson_mut_str(a->out, "$ref");
    yyjson_mut_val *target = dx_buffer_status(&text) == DX_OK ? yyjson_mut_strn(a->out, text.data, text.size) : NULL;
    if (!copy || !key || !target || !yyjson_mut_obj_add(copy, key, target)) return stop(a, DX_NO_MEMORY);
    return copy_members(a, r, value, copy, true) ? copy : NULL;
}

// Whether what stands beside a reference can be written into the copy of a schema without changing what either says.
static bool mixes(yyjson_val *value, yyjson_val *target) {
    static const char *const notes[] = {"title",    "description", "default",  "examples", "deprecated",
                                        "readOnly", "writeOnly",   "$comment", NULL};
    static const char *const bound[] = {"properties",
                                        "patternProperties",
                                        "additionalProperties",
                                        "unevaluatedProperties",
                                        "unevaluatedItems",
                                        "items",
                                        "prefixItems",
                                        "contains",
                                        "minContains",
                                        "maxContains",
                                        "if",
                                        "then",
                                        "else",
                                        "allOf",
                                        "$id",
                                        "$schema",
                                        "$anchor",
                                        "$dynamicAnchor",
                                        NULL};
    size_t index, count;
    yyjson_val *key, *member;
    if (!yyjson_is_obj(target) || yyjson_obj_get(target, "$ref")) return false;
    yyjson_obj_foreach(value, index, count, key, member) {
        dx_slice name = dx_json_slice(key);
        if (dx_slice_equal(name, DX_SLICE("$ref")) || is_one_of(name, notes)) continue;
        if (is_one_of(name, bound) || yyjson_obj_getn(target, name.data ? name.data : "", name.size)) return false;
    }
    return true;
}

// A copy of `target`, put where the walk stands.
static yyjson_mut_val *expand(assembly *a, const reading *r, const dx_source *source, dx_slice pointer, yyjson_val *target) {
    if (++a->expansions > EXPANSIONS_CAP) return too_large(a);
    expansion e = {r->within, source, pointer, dx_arena_copy(a->definition->work, here(a))};
    if (!e.placed.data || dx_mount_add(a->definition, here(a), source, pointer) != DX_OK) return stop(a, DX_NO_MEMORY);
    reading inner = {source, &e, r->mode, r->depth + 1};
    return walk(a, &inner, target);
}

// Schemas allow keywords beside "$ref"; both then hold, as under allOf.
static yyjson_mut_val *expand_beside(assembly *a, const reading *r, yyjson_val *value, const dx_source *source, dx_slice pointer,
                                     yyjson_val *target) {
    if (mixes(value, target)) {
        yyjson_mut_val *copy = expand(a, r, source, pointer, target);
        return copy && copy_members(a, r, value, copy, true) ? copy : NULL;
    }
    yyjson_mut_val *copy = yyjson_mut_obj(a->out);
    if (!copy || !copy_members(a, r, value, copy, true)) return stop(a, DX_NO_MEMORY);
    yyjson_mut_val *all = yyjson_mut_obj_get(copy, "allOf");
    if (all && !yyjson_mut_is_arr(all)) return copy; // malformed; the model's check says so
    if (!all) {
        all = yyjson_mut_arr(a->out);
        if (!all || !yyjson_mut_obj_add_val(a->out, copy, "allOf", all)) return stop(a, DX_NO_MEMORY);
    }
    size_t before = enter(a, DX_SLICE("allOf"));
    enter_index(a, yyjson_mut_arr_size(all));
    yyjson_mut_val *made = a->status == DX_OK ? expand(a, r, source, pointer, target) : NULL;
    leave(a, before);
    return made && yyjson_mut_arr_append(all, made) ? copy : stop(a, DX_NO_MEMORY);
}

// The file that a reference names; NULL when that was refused (or memory ran out, which is noted).
static const dx_source *source_of(assembly *a, const reading *r, const reference *ref) {
    const dx_source *source = r->source;
    dx_slice path, problem = {0};
    if (!ref->path.size) return source;
    dx_status status = dx_percent_decode(&path, a->definition->work, ref->path, false);
    if (status == DX_BAD_REQUEST) problem = DX_SLICE("a percent escape is broken");
    if (status == DX_OK && ref->has_scheme) {
        status = DX_INVALID;
        problem = DX_SLICE("only files in the definition's folder can be referred to");
    }
    if (status == DX_OK) status = dx_source_open(a->definition, r->source, path, &source, &problem);
    if (status == DX_OK && source->root) return source;
    if (problem.size)
        dx_definition_refuse(a->definition, here(a), false, "refers to \"%.*s\": %.*s", DX_SLICE_ARG(ref->text), DX_SLICE_ARG(problem));
    else if (status == DX_OK) // the file's own finding says why
        status = dx_map_put(&a->definition->broken, dx_arena_copy(a->definition->arena, here(a)), a->definition);
    if (status == DX_NO_MEMORY) stop(a, status);
    return NULL;
}

static yyjson_mut_val *follow(assembly *a, const reading *r, yyjson_val *value, const reference *ref) {
    dx_slice pointer = {"", 0};
    const dx_source *source = source_of(a, r, ref);
    if (!source) return a->status == DX_OK ? refused(a) : NULL;
    if (ref->fragment.size && dx_percent_decode(&pointer, a->definition->work, ref->fragment, false) == DX_NO_MEMORY)
        return stop(a, DX_NO_MEMORY);
    if (r->mode == SCHEMA && source == a->definition->main) return local_reference(a, r, value, (dx_slice){"", 0}, pointer);
    const expansion *back = leads_back(r, source, pointer);
    if (back && r->mode == SCHEMA) return local_reference(a, r, value, back->placed, dx_slice_from(pointer, back->pointer.size));
    yyjson_val *target = back ? NULL : dx_json_at(source->root, pointer);
    if (back)
        dx_definition_refuse(a->definition, here(a), false, "refers to \"%.*s\", and so to itself", DX_SLICE_ARG(ref->text));
    else if (!target)
        dx_definition_refuse(a->definition, here(a), false, "refers to \"%.*s\": there is nothing at \"%.*s\" in %.*s",
                             DX_SLICE_ARG(ref->text), DX_SLICE_ARG(pointer), DX_SLICE_ARG(source->name));
    else if (yyjson_obj_size(value) > 1 && r->mode != SCHEMA)
        dx_definition_refuse(a->definition, here(a), false, "nothing can stand beside a \"$ref\" here");
    else if (yyjson_obj_size(value) > 1)
        return expand_beside(a, r, value, source, pointer, target);
    else
        return expand(a, r, source, pointer, target);
    return refused(a);
}

// An object with a "$ref" that is to be followed is replaced; any other is copied.
static yyjson_mut_val *walk_object(assembly *a, const reading *r, yyjson_val *value) {
    yyjson_val *text = r->mode == DATA || r->mode == NAMES ? NULL : yyjson_obj_get(value, "$ref");
    if (r->mode == SCHEMA && yyjson_is_str(yyjson_obj_get(value, "$id"))) {
        reading opaque = *r;
        opaque.mode = DATA;
        return copy_object(a, &opaque, value);
    }
    if (!yyjson_is_str(text)) return copy_object(a, r, value);
    dx_slice put_in;
    dx_taint taint;
    dx_status status = dx_variable_substitute(a->definition, dx_json_slice(text), here(a), &put_in, &taint);
    if (status == DX_INVALID) return refused(a);
    if (status != DX_OK) return stop(a, status);
    reference ref = reference_split(put_in);
    return follows(r, &ref) ? follow(a, r, value, &ref) : copy_object(a, r, value);
}

static yyjson_mut_val *walk(assembly *a, const reading *r, yyjson_val *value) {
    if (a->status != DX_OK) return NULL;
    if (++a->values > VALUES_CAP) return too_large(a);
    if (r->depth > DX_JSON_DEPTH_CAP) {
        dx_definition_refuse(a->definition, here(a), false, "nested deeper than %d levels once references are followed", DX_JSON_DEPTH_CAP);
        return stop(a, DX_TOO_LARGE);
    }
    if (yyjson_is_obj(value)) return walk_object(a, r, value);
    if (yyjson_is_arr(value)) return copy_array(a, r, value);
    if (yyjson_is_str(value)) return copy_string(a, r, value);
    yyjson_mut_val *copy = yyjson_val_mut_copy(a->out, value);
    return copy ? copy : stop(a, DX_NO_MEMORY);
}

static bool is_section(const dx_definition *definition, dx_slice name) {
    for (size_t i = 0; i < definition->section_count; i++)
        if (dx_slice_equal(name, dx_slice_str(definition->sections[i]->name))) return true;
    return is_of_others(definition, name);
}

static bool has_member_with(yyjson_val *root, const char *name) {
    size_t index, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(root, index, count, key, value) if (yyjson_obj_get(value, name)) return true;
    return false;
}

// The section that the file is by itself; NULL: it has sections, as usual.
static const char *bare_section(const dx_definition *definition) {
    size_t index, count;
    yyjson_val *root = definition->main->root, *key, *value;
    if (yyjson_obj_size(root) == 0) return NULL;
    yyjson_obj_foreach(root, index, count, key, value) if (is_section(definition, dx_json_slice(key))) return NULL;
    if (definition->options && definition->options->bare) return definition->options->bare;
    for (size_t i = 0; i < definition->section_count; i++) {
        const dx_section *section = definition->sections[i];
        if (section->alone && has_member_with(root, section->alone)) return section->name;
    }
    return NULL;
}

static yyjson_mut_val *assemble_bare(assembly *a, const reading *r, const char *section) {
    yyjson_mut_val *root = yyjson_mut_obj(a->out), *made = NULL;
    reading inner = {r->source, r->within, r->mode, r->depth + 1};
    size_t before = enter(a, dx_slice_str(section));
    if (dx_mount_add(a->definition, here(a), r->source, (dx_slice){"", 0}) == DX_OK) made = walk(a, &inner, r->source->root);
    leave(a, before);
    return made && root && yyjson_mut_obj_add_val(a->out, root, section, made) ? root : stop(a, DX_NO_MEMORY);
}

dx_status dx_definition_assemble(dx_definition *definition) {
    assembly a = {.definition = definition, .out = dx_json_mut_doc(definition->work)};
    if (!a.out) return DX_NO_MEMORY;
    dx_buffer_init(&a.at, definition->work, DX_DEFINITION_BYTES_CAP);
    dx_status status = dx_mount_add(definition, (dx_slice){"", 0}, definition->main, (dx_slice){"", 0});
    if (status != DX_OK) return status;
    reading root = {.source = definition->main, .mode = PLAIN};
    definition->building = a.out;
    const char *bare = bare_section(definition);
    definition->built = bare ? assemble_bare(&a, &root, bare) : walk(&a, &root, definition->main->root);
    yyjson_mut_doc_set_root(a.out, definition->built);
    return a.status;
}
