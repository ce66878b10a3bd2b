// A set of schema documents while it is being read and compiled: which URI names which schema, which anchors each schema resource has, and
// which nodes exist already.
#ifndef DX_MODEL_SET_H
#define DX_MODEL_SET_H

#include "base/map.h"
#include "model/program.h"

// Vocabularies (as bits) that a resource's meta-schema turns on. Core is always on.
enum { DX_VOCABULARY_APPLICATOR = 1, DX_VOCABULARY_UNEVALUATED = 2, DX_VOCABULARY_VALIDATION = 4, DX_VOCABULARY_FORMAT_ASSERTION = 8 };
#define DX_VOCABULARY_DEFAULT (DX_VOCABULARY_APPLICATOR | DX_VOCABULARY_UNEVALUATED | DX_VOCABULARY_VALIDATION)

typedef struct dx_anchor {
    yyjson_val *value;
    const dx_place *place;
    bool dynamic;
} dx_anchor;

// A schema resource: a document's root, or a subschema with an "$id".
struct dx_resource_root {
    dx_slice uri; // absolute, without a fragment: the base of its references
    yyjson_val *value;
    const dx_place *place; // in its document
    dx_slice document;     // the URI its document was added with
    dx_map anchors;        // name → dx_anchor
    uint8_t vocabularies;  // once `has_vocabularies`
    bool has_vocabularies;
    bool ambiguous; // another resource has the same URI
};

struct dx_schema_set {
    dx_arena *arena;
    bool assert_formats;
    bool has_metaschemas;
    dx_names keywords;     // of dx_keywords
    dx_map roots;          // URI → dx_resource_root
    dx_map roots_by_value; // address of a yyjson_val → dx_resource_root
    dx_map nodes;          // address of a yyjson_val → dx_node
    dx_map dynamics;       // name → dx_dynamic_name
    dx_map patterns;       // text → dx_pattern
    size_t documents;
};

// Where a reference leads.
typedef struct dx_target {
    yyjson_val *value;
    dx_resource_root *root;
    const dx_place *place;
    const dx_anchor *anchor; // when the fragment was an anchor's name
    dx_slice anchor_name;
} dx_target;

// DX_NOT_FOUND when no document has it.
dx_status dx_set_resolve(dx_schema_set *set, dx_resource_root *base, dx_slice reference, dx_target *out) DX_MUST_USE;
// Notes what stands in a schema that the walk over its document did not reach, being below a name that is no keyword. Not twice: what is
// noted already stays.
dx_status dx_set_index(dx_schema_set *set, const dx_target *target) DX_MUST_USE;
// The resource that starts at `value`, or NULL.
dx_resource_root *dx_set_root_at(const dx_schema_set *set, yyjson_val *value);
const dx_place *dx_place_create(dx_arena *arena, const dx_place *parent, dx_slice token);
// As a JSON pointer; empty when out of memory.
dx_slice dx_place_pointer(dx_arena *arena, const dx_place *place);
// A map's key from an address that the caller keeps alive.
static inline dx_slice dx_address_key(yyjson_val *const *address) {
    return dx_slice_of((const char *)address, sizeof *address);
}

// Adds the meta-schemas of draft 2020-12, once.
dx_status dx_set_add_metaschemas(dx_schema_set *set) DX_MUST_USE;
typedef struct dx_metaschema {
    const char *uri, *text;
} dx_metaschema;
extern const dx_metaschema dx_metaschemas[];
extern const size_t dx_metaschema_count;

#endif
