// Loading a definition: the stages in order, and what is handed out afterwards. Everything that can be told is told before it fails; a
// finding from one stage keeps later stages from speaking of the same place again.
#include "config/definition.h"

#include "config/parts.h"
#include "crypto/digest.h"

#define ARENA_CAP ((size_t)1 << 30)

static dx_status compile_schema(dx_definition *definition, const dx_schema **out) {
    dx_diags found;
    dx_diags_init(&found, definition->work);
    dx_schema_set *set = dx_schema_set_create(definition->work, true);
    if (!set) return DX_NO_MEMORY;
    dx_status status = dx_schema_set_add(set, (dx_slice){"", 0}, definition->schema);
    if (status == DX_OK) status = dx_schema_compile(out, set, (dx_slice){"", 0}, &found);
    if (status == DX_OK || status == DX_NO_MEMORY) return status;
    for (const dx_diag *diag = found.first; diag; diag = diag->next)
        dx_definition_refuse_line(definition, DX_SLICE("the sections' schemas"), 0, 0, "%.*s: %.*s", DX_SLICE_ARG(diag->pointer),
                                  DX_SLICE_ARG(diag->message));
    return DX_INTERNAL;
}

// What a schema cannot say better than by its pattern.
static dx_slice in_words(dx_slice message) {
    if (dx_slice_equal(message, DX_SLICE("must match the pattern " DX_DURATION_PATTERN)))
        return DX_SLICE("expected a duration: one number with one unit of ms, s, m, h or d, as in 15m");
    if (dx_slice_equal(message, DX_SLICE("must match the pattern " DX_SIZE_PATTERN)))
        return DX_SLICE("expected a size: one number with one unit of B, KiB, MiB or GiB, as in 1MiB");
    return message;
}

// A finding of the schema's becomes one of the definition's, unless the place is known to be broken.
static void take_over(dx_definition *definition, const dx_diag *diag) {
    if (dx_definition_is_broken(definition, diag->pointer)) return;
    bool unknown = dx_slice_equal(diag->message, dx_slice_str(DX_SCHEMA_UNKNOWN_FIELD));
    dx_slice message = in_words(diag->message);
    bool of_name = dx_slice_starts(message, DX_SLICE("the name itself"));
    dx_diag *told = dx_definition_refuse(definition, diag->pointer, unknown || of_name, "%.*s", DX_SLICE_ARG(message));
    if (!told) return;
    if (diag->suggestion.size)
        told->suggestion = dx_arena_copy(definition->diags->arena, diag->suggestion);
    else if (of_name || (!unknown && message.data == diag->message.data))
        told->suggestion = dx_definition_example(definition, diag->pointer, of_name, definition->diags->arena);
}

static dx_status validate(dx_definition *definition) {
    const dx_schema *schema;
    dx_diags found;
    dx_diags_init(&found, definition->work);
    dx_status status = compile_schema(definition, &schema);
    if (status == DX_OK) status = dx_schema_validate(schema, dx_definition_root(definition), definition->work, NULL, &found);
    if (status != DX_INVALID) return status;
    size_t kept = 0;
    for (const dx_diag *diag = found.first; diag; diag = diag->next, kept++) take_over(definition, diag);
    definition->findings += found.count - kept;
    if (definition->diags) definition->diags->count += found.count - kept;
    return DX_OK; // what counts is whether anything was found
}

static dx_status freeze(dx_definition *definition) {
    yyjson_alc alc = dx_json_alc(definition->arena);
    definition->document = yyjson_mut_doc_imut_copy(definition->building, &alc);
    return definition->document ? DX_OK : DX_NO_MEMORY;
}

static dx_status run_stages(dx_definition *definition, const dx_section *const *sections, size_t count) {
    dx_slice problem = {0};
    definition->sections = sections;
    definition->section_count = count;
    dx_status status = dx_whole_schema(&definition->schema, definition->work, sections, count, &problem);
    if (problem.size) dx_definition_refuse_line(definition, (dx_slice){"", 0}, 0, 0, "%.*s", DX_SLICE_ARG(problem));
    if (status == DX_OK) status = dx_source_open_main(definition);
    if (status == DX_OK) status = dx_dotenv_read(definition);
    if (status == DX_OK) status = dx_definition_assemble(definition);
    if (status == DX_OK) status = dx_definition_complete(definition);
    if (status == DX_OK) status = freeze(definition);
    if (status == DX_OK) status = validate(definition);
    return status == DX_OK && definition->findings ? DX_INVALID : status;
}

static dx_definition *definition_create(const char *path, const dx_definition_options *options, dx_diags *diags) {
    dx_arena *arena = dx_arena_create(ARENA_CAP);
    dx_definition *definition = arena ? DX_ARENA_NEW(arena, dx_definition) : NULL;
    const char *copy = definition ? dx_arena_copy(arena, dx_slice_str(path)).data : NULL;
    if (!copy) {
        dx_arena_destroy(arena);
        return NULL;
    }
    *definition = (dx_definition){.arena = arena, .work = dx_arena_create(ARENA_CAP), .path = copy, .options = options, .diags = diags};
    dx_map_init(&definition->sources, arena);
    dx_map_init(&definition->mounts, arena);
    dx_map_init(&definition->taints, arena);
    dx_map_init(&definition->broken, arena);
    dx_map_init(&definition->dotenv, arena);
    return definition;
}

dx_status dx_definition_load(dx_definition **out, const char *path, const dx_section *const *sections, size_t count,
                             const dx_definition_options *options, dx_diags *diags) {
    *out = NULL;
    dx_definition *definition = definition_create(path, options, diags);
    if (!definition) return DX_NO_MEMORY;
    dx_status status = definition->work ? run_stages(definition, sections, count) : DX_NO_MEMORY;
    dx_arena_destroy(definition->work);
    definition->work = NULL;
    definition->ring = NULL; // it was in there
    if (status == DX_NO_MEMORY) dx_definition_refuse_line(definition, dx_slice_str(path), 0, 0, "there is not enough memory to read it");
    if (status != DX_OK) {
        dx_definition_destroy(definition);
        return status;
    }
    definition->options = NULL; // the caller's, for the load only
    definition->diags = NULL;
    *out = definition;
    return DX_OK;
}

// The values that came from variables and seals.
static void wipe_secrets(dx_definition *definition) {
    const dx_map_entry *entry;
    for (size_t at = 0; (entry = dx_map_next(&definition->taints, &at));) {
        if (dx_taint_at(definition, entry->key) == DX_TAINT_INSIDE) continue;
        dx_slice text = dx_json_slice(dx_json_at(dx_definition_root(definition), entry->key));
        dx_secret_wipe((char *)(uintptr_t)text.data, text.size);
    }
}

void dx_definition_destroy(dx_definition *definition) {
    if (!definition) return;
    if (definition->document) wipe_secrets(definition);
    dx_arena_destroy(definition->arena);
}

const char *dx_definition_path(const dx_definition *definition) {
    return definition->path;
}

yyjson_val *dx_definition_root(const dx_definition *definition) {
    return yyjson_doc_get_root(definition->document);
}

yyjson_val *dx_definition_section(const dx_definition *definition, const char *name) {
    return yyjson_obj_get(dx_definition_root(definition), name);
}
