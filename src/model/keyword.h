// The table of keywords: for each its vocabulary, where schemas stand below it, and the function that compiles it. The only list of
// keywords; adding one is a row in keyword.c and a function in a compile_*.c.
#ifndef DX_MODEL_KEYWORD_H
#define DX_MODEL_KEYWORD_H

#include "model/compile.h"

typedef enum dx_child { DX_CHILD_NONE, DX_CHILD_SCHEMA, DX_CHILD_ARRAY, DX_CHILD_MAP } dx_child;

typedef struct dx_keyword {
    dx_slice name;
    uint8_t vocabulary; // DX_VOCABULARY_…; 0: core or annotation, always on
    uint8_t children;   // dx_child
    // Reads the keyword's value into the node's rules. Findings go through dx_build_complain; running out of memory through dx_build_fail.
    // NULL: nothing to compile.
    void (*compile)(dx_build *build, dx_node *node, yyjson_val *value);
} dx_keyword;

extern const dx_keyword dx_keywords[];
extern const size_t dx_keyword_count;

dx_status dx_keywords_build(dx_names *names, dx_arena *arena) DX_MUST_USE;
const dx_keyword *dx_keyword_find(const dx_names *names, dx_slice name); // NULL: unknown

#endif
