// The keywords of draft 2020-12. Annotations (title, default, examples, content…) have no row: nothing is done for them.
#include "model/keyword.h"

#include "model/compile_keywords.h"

#define KEYWORD(text, vocabulary, children, fn)                                                                                            \
    { DX_SLICE_INIT(text), vocabulary, children, fn }

enum { CORE = 0, APPLY = DX_VOCABULARY_APPLICATOR, REST = DX_VOCABULARY_UNEVALUATED, VALIDATE = DX_VOCABULARY_VALIDATION };

const dx_keyword dx_keywords[] = {
    KEYWORD("$ref", CORE, DX_CHILD_NONE, dx_compile_ref),
    KEYWORD("$dynamicRef", CORE, DX_CHILD_NONE, dx_compile_dynamic_ref),
    KEYWORD("$id", CORE, DX_CHILD_NONE, dx_compile_id),
    KEYWORD("$anchor", CORE, DX_CHILD_NONE, dx_compile_anchor),
    KEYWORD("$dynamicAnchor", CORE, DX_CHILD_NONE, dx_compile_anchor),
    KEYWORD("$defs", CORE, DX_CHILD_MAP, dx_compile_defs),
    KEYWORD("definitions", CORE, DX_CHILD_MAP, NULL), // its name before 2019-09; references to it abound
    KEYWORD("type", VALIDATE, DX_CHILD_NONE, dx_compile_type),
    KEYWORD("enum", VALIDATE, DX_CHILD_NONE, dx_compile_enum),
    KEYWORD("const", VALIDATE, DX_CHILD_NONE, dx_compile_const),
    KEYWORD("multipleOf", VALIDATE, DX_CHILD_NONE, dx_compile_multiple_of),
    KEYWORD("minimum", VALIDATE, DX_CHILD_NONE, dx_compile_minimum),
    KEYWORD("maximum", VALIDATE, DX_CHILD_NONE, dx_compile_maximum),
    KEYWORD("exclusiveMinimum", VALIDATE, DX_CHILD_NONE, dx_compile_exclusive_minimum),
    KEYWORD("exclusiveMaximum", VALIDATE, DX_CHILD_NONE, dx_compile_exclusive_maximum),
    KEYWORD("minLength", VALIDATE, DX_CHILD_NONE, dx_compile_min_length),
    KEYWORD("maxLength", VALIDATE, DX_CHILD_NONE, dx_compile_max_length),
    KEYWORD("pattern", VALIDATE, DX_CHILD_NONE, dx_compile_pattern),
    KEYWORD("format", CORE, DX_CHILD_NONE, dx_compile_format),
    KEYWORD("minItems", VALIDATE, DX_CHILD_NONE, dx_compile_min_items),
    KEYWORD("maxItems", VALIDATE, DX_CHILD_NONE, dx_compile_max_items),
    KEYWORD("uniqueItems", VALIDATE, DX_CHILD_NONE, dx_compile_unique_items),
    KEYWORD("minContains", VALIDATE, DX_CHILD_NONE, dx_compile_min_contains),
    KEYWORD("maxContains", VALIDATE, DX_CHILD_NONE, dx_compile_max_contains),
    KEYWORD("prefixItems", APPLY, DX_CHILD_ARRAY, dx_compile_prefix_items),
    KEYWORD("items", APPLY, DX_CHILD_SCHEMA, dx_compile_items),
    KEYWORD("contains", APPLY, DX_CHILD_SCHEMA, dx_compile_contains),
    KEYWORD("unevaluatedItems", REST, DX_CHILD_SCHEMA, dx_compile_unevaluated_items),
    KEYWORD("minProperties", VALIDATE, DX_CHILD_NONE, dx_compile_min_properties),
    KEYWORD("maxProperties", VALIDATE, DX_CHILD_NONE, dx_compile_max_properties),
    KEYWORD("required", VALIDATE, DX_CHILD_NONE, dx_compile_required),
    KEYWORD("dependentRequired", VALIDATE, DX_CHILD_NONE, dx_compile_dependent_required),
    KEYWORD("dependentSchemas", APPLY, DX_CHILD_MAP, dx_compile_dependent_schemas),
    KEYWORD("properties", APPLY, DX_CHILD_MAP, dx_compile_properties),
    KEYWORD("patternProperties", APPLY, DX_CHILD_MAP, dx_compile_pattern_properties),
    KEYWORD("additionalProperties", APPLY, DX_CHILD_SCHEMA, dx_compile_additional_properties),
    KEYWORD("propertyNames", APPLY, DX_CHILD_SCHEMA, dx_compile_property_names),
    KEYWORD("unevaluatedProperties", REST, DX_CHILD_SCHEMA, dx_compile_unevaluated_properties),
    KEYWORD("allOf", APPLY, DX_CHILD_ARRAY, dx_compile_all_of),
    KEYWORD("anyOf", APPLY, DX_CHILD_ARRAY, dx_compile_any_of),
    KEYWORD("oneOf", APPLY, DX_CHILD_ARRAY, dx_compile_one_of),
    KEYWORD("not", APPLY, DX_CHILD_SCHEMA, dx_compile_not),
    KEYWORD("if", APPLY, DX_CHILD_SCHEMA, dx_compile_if),
    KEYWORD("then", APPLY, DX_CHILD_SCHEMA, dx_compile_then),
    KEYWORD("else", APPLY, DX_CHILD_SCHEMA, dx_compile_else),
    KEYWORD("contentSchema", CORE, DX_CHILD_SCHEMA, NULL), // an annotation, but what is in it can be referred to
};
const size_t dx_keyword_count = DX_COUNT_OF(dx_keywords);

dx_status dx_keywords_build(dx_names *names, dx_arena *arena) {
    dx_slice *items = DX_ARENA_ARRAY(arena, dx_slice, dx_keyword_count);
    if (!items) return DX_NO_MEMORY;
    for (size_t i = 0; i < dx_keyword_count; i++) items[i] = dx_keywords[i].name;
    return dx_names_build(names, arena, items, dx_keyword_count);
}

const dx_keyword *dx_keyword_find(const dx_names *names, dx_slice name) {
    uint32_t index = dx_names_find(names, name.data, name.size);
    return index == DX_NAMES_NONE ? NULL : &dx_keywords[index];
}
