// Compiling: schemas wait in a queue, each is read keyword by keyword into its node, and whatever schemas it names are queued in turn. No
// recursion, so neither long chains of references nor cycles matter. Nodes stay known to the set, so schemas compiled later share them;
// after a failure they are forgotten, so that no node with a finding against it is ever run.
#include "model/compile.h"

#include "base/memory.h"
#include "model/format.h"
#include "model/keyword.h"

enum { QUEUE_START = 64 };

void dx_build_fail(dx_build *build, dx_status status) {
    if (build->status == DX_OK || status == DX_NO_MEMORY) build->status = status;
}

static dx_slice complaint_pointer(dx_build *build) {
    dx_slice pointer = build->node ? dx_place_pointer(build->set->arena, build->node->place) : (dx_slice){"", 0};
    if (build->keyword.data) pointer = dx_json_pointer_join(build->set->arena, pointer, build->keyword);
    return pointer.data ? pointer : (dx_slice){"", 0};
}

void dx_build_complain(dx_build *build, const char *format, ...) {
    dx_build_fail(build, DX_INVALID);
    if (!build->diags) return;
    va_list args;
    va_start(args, format);
    dx_slice text = dx_arena_vprintf(build->set->arena, format, args);
    va_end(args);
    dx_diag *diag = dx_diags_add(build->diags, DX_INVALID, complaint_pointer(build), "%.*s", DX_SLICE_ARG(text));
    if (diag && build->node) diag->file = build->node->root->document;
}

void *dx_build_alloc(dx_build *build, size_t count, size_t size) {
    void *memory = dx_arena_zalloc(build->set->arena, count, size);
    if (!memory) dx_build_fail(build, DX_NO_MEMORY);
    return memory;
}

static bool enqueue(dx_build *build, dx_node *node) {
    if (build->made == build->room) {
        size_t room = build->room ? build->room * 2 : QUEUE_START;
        dx_node **queue = dx_memory_realloc(build->queue, room * sizeof *queue);
        if (!queue) {
            dx_build_fail(build, DX_NO_MEMORY);
            return false;
        }
        build->queue = queue;
        build->room = room;
    }
    build->queue[build->made++] = node;
    return true;
}

static dx_node *node_create(dx_build *build, yyjson_val *value, const dx_resource_root *root, const dx_place *place) {
    dx_node *node = place ? dx_build_alloc(build, 1, sizeof *node) : NULL;
    if (!node) {
        dx_build_fail(build, DX_NO_MEMORY);
        return NULL;
    }
    *node = (dx_node){.types = DX_TYPE_ANY, .root = root, .place = place, .source = value};
    if (dx_map_put(&build->set->nodes, dx_address_key(&node->source), node) == DX_OK && enqueue(build, node)) return node;
    dx_build_fail(build, DX_NO_MEMORY);
    return NULL;
}

const dx_node *dx_build_at(dx_build *build, yyjson_val *value, const dx_resource_root *root, const dx_place *place) {
    const dx_node *known = dx_map_get(&build->set->nodes, dx_address_key(&value));
    return known ? known : node_create(build, value, root, place);
}

const dx_node *dx_build_child(dx_build *build, yyjson_val *value, dx_slice token) {
    const dx_node *known = dx_map_get(&build->set->nodes, dx_address_key(&value));
    if (known) return known;
    const dx_resource_root *root = dx_set_root_at(build->set, value);
    const dx_place *place = dx_place_create(build->set->arena, build->node->place, build->keyword);
    if (place && token.data) place = dx_place_create(build->set->arena, place, token);
    return node_create(build, value, root ? root : build->node->root, place);
}

const dx_node *dx_build_item(dx_build *build, yyjson_val *value, size_t index) {
    dx_slice token = dx_arena_printf(build->set->arena, "%zu", index);
    if (token.data) return dx_build_child(build, value, token);
    dx_build_fail(build, DX_NO_MEMORY);
    return NULL;
}

dx_node_list dx_build_list(dx_build *build, yyjson_val *value) {
    dx_node_list list = {0};
    if (!yyjson_is_arr(value) || yyjson_arr_size(value) == 0) {
        dx_build_complain(build, "must be an array of at least one schema");
        return list;
    }
    list.items = dx_build_alloc(build, yyjson_arr_size(value), sizeof *list.items);
    if (!list.items) return list;
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(value, index, count, item) list.items[list.count++] = dx_build_item(build, item, index);
    return list;
}

bool dx_build_count(dx_build *build, yyjson_val *value, uint64_t *out) {
    if (yyjson_is_uint(value)) {
        *out = yyjson_get_uint(value);
        return true;
    }
    double real = yyjson_is_real(value) ? yyjson_get_real(value) : -1;
    if (real >= 0 && dx_number_is_whole(real)) {
        *out = real < 0x1p63 ? (uint64_t)real : UINT64_MAX;
        return true;
    }
    dx_build_complain(build, "must be a whole number, at least 0");
    return false;
}

const dx_pattern *dx_build_pattern(dx_build *build, dx_slice text) {
    const dx_pattern *known = dx_map_get(&build->set->patterns, text);
    if (known) return known;
    const char *problem = "";
    dx_status status = dx_pattern_create(&known, build->set->arena, text, &problem);
    if (status == DX_INVALID) dx_build_complain(build, "the regular expression \"%.*s\" cannot be used: %s", DX_SLICE_ARG(text), problem);
    if (status == DX_OK) status = dx_map_put(&build->set->patterns, dx_pattern_text(known), (void *)known);
    if (status == DX_OK) return known;
    dx_build_fail(build, status);
    return NULL;
}

#define RULES(kind)                                                                                                                        \
    dx_##kind##_rules *dx_node_##kind(dx_build *build, dx_node *node) {                                                                    \
        if (!node->kind) {                                                                                                                 \
            dx_##kind##_rules *rules = dx_build_alloc(build, 1, sizeof *rules);                                                            \
            if (rules) *rules = kind##_start;                                                                                              \
            node->kind = rules;                                                                                                            \
        }                                                                                                                                  \
        return node->kind;                                                                                                                 \
    }

static const dx_number_rules number_start;
static const dx_string_rules string_start = {.max_length = UINT64_MAX};
static const dx_array_rules array_start = {.max_items = UINT64_MAX, .min_contains = 1, .max_contains = UINT64_MAX};
static const dx_object_rules object_start = {.max_properties = UINT64_MAX};
static const dx_logic_rules logic_start;
RULES(number)
RULES(string)
RULES(array)
RULES(object)
RULES(logic)

// A meta-schema's "$vocabulary" as bits. One that must be understood and is not known is a finding.
static uint8_t vocabularies_in(dx_build *build, yyjson_val *list) {
    static const struct {
        const char *uri;
        uint8_t bits;
    } known[] = {
        {"https://json-schema.org/draft/2020-12/vocab/core", 0},
        {"https://json-schema.org/draft/2020-12/vocab/applicator", DX_VOCABULARY_APPLICATOR},
        {"https://json-schema.org/draft/2020-12/vocab/unevaluated", DX_VOCABULARY_UNEVALUATED},
        {"https://json-schema.org/draft/2020-12/vocab/validation", DX_VOCABULARY_VALIDATION},
        {"https://json-schema.org/draft/2020-12/vocab/meta-data", 0},
        {"https://json-schema.org/draft/2020-12/vocab/format-annotation", 0},
        {"https://json-schema.org/draft/2020-12/vocab/format-assertion", DX_VOCABULARY_FORMAT_ASSERTION},
        {"https://json-schema.org/draft/2020-12/vocab/content", 0},
    };
    uint8_t bits = 0;
    size_t index, count;
    yyjson_val *key, *needed;
    yyjson_obj_foreach(list, index, count, key, needed) {
        size_t i = 0;
        while (i < DX_COUNT_OF(known) && !dx_slice_equal(dx_json_slice(key), dx_slice_str(known[i].uri))) i++;
        if (i < DX_COUNT_OF(known))
            bits |= known[i].bits;
        else if (yyjson_is_true(needed))
            dx_build_complain(build, "asks for a vocabulary that is not known: \"%s\"", yyjson_get_str(key));
    }
    return bits;
}

// What "$schema" turns on; a resource without one goes by its document's. An unknown meta-schema is taken as draft 2020-12's.
static uint8_t vocabularies(dx_build *build, dx_resource_root *root) {
    if (root->has_vocabularies) return root->vocabularies;
    root->has_vocabularies = true;
    root->vocabularies = DX_VOCABULARY_DEFAULT;
    dx_slice uri = dx_json_member_slice(root->value, "$schema");
    dx_target target;
    if (!uri.data) {
        dx_resource_root *outer = dx_map_get(&build->set->roots, root->document);
        if (outer && outer != root) root->vocabularies = vocabularies(build, outer);
    } else if (!dx_slice_equal(uri, DX_SLICE("https://json-schema.org/draft/2020-12/schema"))) {
        dx_status status = dx_set_resolve(build->set, NULL, uri, &target);
        if (status == DX_NO_MEMORY) dx_build_fail(build, status);
        yyjson_val *list = status == DX_OK ? yyjson_obj_get(target.value, "$vocabulary") : NULL;
        if (list) root->vocabularies = vocabularies_in(build, list);
    }
    return root->vocabularies;
}

static void read_keywords(dx_build *build, dx_node *node) {
    uint8_t on = vocabularies(build, (dx_resource_root *)node->root);
    size_t index, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(node->source, index, count, key, value) {
        const dx_keyword *keyword = dx_keyword_find(&build->set->keywords, dx_json_slice(key));
        if (!keyword || !keyword->compile || (keyword->vocabulary && !(keyword->vocabulary & on))) continue;
        build->keyword = keyword->name;
        keyword->compile(build, node, value);
    }
}

static void compile_node(dx_build *build, dx_node *node) {
    build->node = node;
    build->keyword = (dx_slice){0};
    if (yyjson_is_bool(node->source)) {
        node->never = yyjson_is_false(node->source);
    } else if (yyjson_is_obj(node->source)) {
        read_keywords(build, node);
        build->keyword = (dx_slice){0};
        if (node->object) dx_object_finish(build, node);
    } else {
        dx_build_complain(build, "expected a schema (an object or a boolean), found %s", dx_json_type_name(node->source));
    }
    node->nests = node->array || node->object || node->logic;
    node->always = !node->never && node->types == DX_TYPE_ANY && !node->number && !node->string && !node->choice && !node->nests;
}

// Schemas that a $dynamicRef may reach by name: every bearer of the name in the set.
static bool queue_dynamic(dx_build *build) {
    size_t before = build->made, at = 0;
    for (dx_map_entry *entry; (entry = dx_map_next(&build->set->dynamics, &at));) {
        dx_dynamic_name *name = entry->value;
        if (!name->used) continue;
        for (dx_dynamic_target *target = name->targets; target; target = target->next)
            if (!target->node) target->node = dx_build_at(build, target->value, target->root, target->place);
    }
    return build->made > before;
}

// The node that a plain $ref within one resource stands for. Crossing into another resource matters to $dynamicRef, so that is kept.
static const dx_node *ref_only(const dx_node *node) {
    const dx_logic_rules *logic = node->logic;
    if (!logic || !logic->ref || node->types != DX_TYPE_ANY || node->number || node->string || node->array || node->object || node->choice)
        return NULL;
    bool other =
        logic->dynamic_ref || logic->all_of.count || logic->any_of.count || logic->one_of.count || logic->negated || logic->condition;
    return other || logic->ref->root != node->root ? NULL : logic->ref;
}

// Chains are followed once here instead of at each run; a circle is left to the depth cap.
static void link_aliases(dx_build *build) {
    for (size_t i = 0; i < build->made; i++) {
        const dx_node *target = ref_only(build->queue[i]), *next = target;
        for (int steps = 0; target && next && steps < DX_SCHEMA_DEPTH_CAP; steps++) {
            target = next;
            next = ref_only(target);
        }
        build->queue[i]->alias = next ? NULL : target;
    }
}

static void forget_nodes(dx_schema_set *set) {
    size_t at = 0;
    dx_map_init(&set->nodes, set->arena);
    for (dx_map_entry *entry; (entry = dx_map_next(&set->dynamics, &at));)
        for (dx_dynamic_target *target = ((dx_dynamic_name *)entry->value)->targets; target; target = target->next) target->node = NULL;
}

static void run_queue(dx_build *build) {
    do {
        while (build->done < build->made && build->status != DX_NO_MEMORY) compile_node(build, build->queue[build->done++]);
    } while (build->status != DX_NO_MEMORY && queue_dynamic(build));
}

dx_status dx_schema_compile(const dx_schema **out, dx_schema_set *set, dx_slice uri, dx_diags *diags) {
    dx_build build = {.set = set, .diags = diags};
    dx_target target;
    *out = NULL;
    dx_status status = dx_set_resolve(set, NULL, uri, &target);
    if (status == DX_NOT_FOUND) dx_diags_add(diags, DX_NOT_FOUND, (dx_slice){"", 0}, "there is no schema \"%.*s\"", DX_SLICE_ARG(uri));
    if (status == DX_OK) status = dx_set_index(set, &target);
    if (status == DX_OK) status = dx_set_resolve(set, NULL, uri, &target); // it may be a resource of its own now
    if (status != DX_OK) return status;
    const dx_node *start = dx_build_at(&build, target.value, target.root, target.place);
    if (start) run_queue(&build);
    dx_schema *schema = build.status == DX_OK ? dx_build_alloc(&build, 1, sizeof *schema) : NULL;
    if (schema) {
        link_aliases(&build);
        schema->start = start;
        *out = schema;
    } else {
        forget_nodes(set);
    }
    dx_memory_free(build.queue);
    return build.status;
}
