// The compiled form of a schema: a graph of nodes, one for each schema location that is reachable, with every reference resolved. A node
// groups its keywords by the type of instance they speak of, so running it is one bit test for `type` and one jump to the only group
// that can apply. Built by compile*.c, read by run*.c; immutable once compiled.
#ifndef DX_MODEL_PROGRAM_H
#define DX_MODEL_PROGRAM_H

#include "model/names.h"
#include "model/number.h"
#include "model/pattern.h"
#include "model/schema.h"

typedef struct dx_node dx_node;
typedef struct dx_resource_root dx_resource_root;

// Types of instances as bits. A whole number has DX_TYPE_INTEGER, any other number DX_TYPE_FRACTION; `"number"` is both.
enum {
    DX_TYPE_NULL = 1,
    DX_TYPE_BOOLEAN = 2,
    DX_TYPE_INTEGER = 4,
    DX_TYPE_FRACTION = 8,
    DX_TYPE_STRING = 16,
    DX_TYPE_ARRAY = 32,
    DX_TYPE_OBJECT = 64,
    DX_TYPE_NUMBER = DX_TYPE_INTEGER | DX_TYPE_FRACTION,
    DX_TYPE_ANY = 127
};

// Where a schema stands in its document, as a chain up to the root; written out as a JSON pointer for messages only.
typedef struct dx_place {
    const struct dx_place *parent; // NULL: the document's root
    dx_slice token;                // unescaped
} dx_place;

typedef bool (*dx_format_fn)(dx_slice text);

typedef struct dx_number_rules {
    bool has_low, has_high;             // the tighter of minimum and exclusiveMinimum; likewise above
    bool low_exclusive, high_exclusive; // the limit itself fails
    bool has_multiple;
    dx_number low, high;
    dx_multiple multiple;
    yyjson_val *low_text, *high_text, *multiple_text; // as written, for messages
} dx_number_rules;

typedef struct dx_string_rules {
    uint64_t min_length, max_length; // code points; UINT64_MAX: no limit
    const dx_pattern *pattern;
    const struct dx_format *format; // NULL: not asserted
    dx_format_fn check_format;      // its function
} dx_string_rules;

typedef struct dx_array_rules {
    uint64_t min_items, max_items;
    const dx_node **prefix;
    size_t prefix_count;
    const dx_node *items;    // behind the prefix
    const dx_node *contains; // NULL: not asked
    uint64_t min_contains, max_contains;
    const dx_node *unevaluated;
    bool unique;
} dx_array_rules;

// A name that an object schema speaks of. `schema` NULL: the name is required but has no schema of its own.
typedef struct dx_property {
    const dx_node *schema;
    int32_t required; // its bit among the required names, or -1
} dx_property;

typedef struct dx_pattern_property {
    const dx_pattern *pattern;
    const dx_node *schema;
} dx_pattern_property;

// What the presence of a name asks for: other names, and a schema for the whole object.
typedef struct dx_dependency {
    dx_slice name;
    dx_slice *required;
    size_t required_count;
    const dx_node *schema;
} dx_dependency;

typedef struct dx_object_rules {
    uint64_t min_properties, max_properties;
    dx_names names;          // `properties` and `required` together
    dx_property *properties; // by index in `names`
    size_t required_count;
    uint32_t *required;            // index in `names` of each required bit
    yyjson_val *declared, *needed; // the values of `properties` and `required`, until the node is finished
    dx_pattern_property *patterns;
    size_t pattern_count;
    const dx_node *additional; // NULL: anything
    const dx_node *property_names;
    dx_dependency *dependencies;
    size_t dependency_count;
    const dx_node *unevaluated;
} dx_object_rules;

// `enum` and `const`: strings by table, everything else one by one.
typedef struct dx_choice_rules {
    dx_names strings;
    yyjson_val **others;
    size_t other_count;
    yyjson_val **all; // in the order written, for messages
    size_t all_count;
    bool constant; // there is a `const`
} dx_choice_rules;

// A $dynamicAnchor name and every schema in the set that bears it.
typedef struct dx_dynamic_target {
    const dx_resource_root *root;
    const dx_node *node; // NULL until a $dynamicRef asks for the name
    yyjson_val *value;
    const dx_place *place;
    struct dx_dynamic_target *next;
} dx_dynamic_target;

typedef struct dx_dynamic_name {
    dx_slice name;
    dx_dynamic_target *targets;
    bool used; // by a $dynamicRef
} dx_dynamic_name;

typedef struct dx_node_list {
    const dx_node **items;
    size_t count;
} dx_node_list;

// Keywords that apply schemas to the instance itself.
typedef struct dx_logic_rules {
    const dx_node *ref;
    const dx_node *dynamic_ref;    // where it points before the dynamic scope is asked
    const dx_dynamic_name *scoped; // NULL: `dynamic_ref` is final
    dx_node_list all_of, any_of, one_of;
    const dx_node *negated;
    const dx_node *condition, *then_node, *else_node;
} dx_logic_rules;

struct dx_node {
    uint8_t types; // bits that may pass
    bool never;    // the schema `false`
    bool always;   // nothing to check
    bool nests;    // its check can reach other nodes: it counts towards the depth
    dx_number_rules *number;
    dx_string_rules *string;
    dx_array_rules *array;
    dx_object_rules *object;
    dx_choice_rules *choice;
    dx_logic_rules *logic;
    const dx_node *alias;         // nothing but a $ref within its resource: run this one instead
    const dx_resource_root *root; // the schema resource it belongs to: its part of the dynamic scope
    const dx_place *place;
    yyjson_val *source;
};

struct dx_schema {
    const dx_node *start;
};

// A value's type bit. Whole doubles count as integers.
static inline uint8_t dx_type_bit(yyjson_val *value) {
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL:
        return DX_TYPE_NULL;
    case YYJSON_TYPE_BOOL:
        return DX_TYPE_BOOLEAN;
    case YYJSON_TYPE_STR:
        return DX_TYPE_STRING;
    case YYJSON_TYPE_ARR:
        return DX_TYPE_ARRAY;
    case YYJSON_TYPE_OBJ:
        return DX_TYPE_OBJECT;
    case YYJSON_TYPE_NUM:
        return yyjson_is_real(value) && !dx_number_is_whole(yyjson_get_real(value)) ? DX_TYPE_FRACTION : DX_TYPE_INTEGER;
    default:
        return 0;
    }
}

#endif
