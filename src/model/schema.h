// JSON Schema draft 2020-12: a schema is compiled once into a program, and the program is run against instances. Complete for the
// vocabularies core, applicator, unevaluated, validation, format (as assertion on request) and meta-data.
#ifndef DX_MODEL_SCHEMA_H
#define DX_MODEL_SCHEMA_H

#include "base/clock.h"
#include "codec/json.h"

typedef struct dx_schema dx_schema;
typedef struct dx_schema_set dx_schema_set;

// A set of schema documents that may refer to each other by URI ("#/$defs/x", "other.json#anchor", "$id"s, $dynamicRef). All memory is the
// arena's. The documents are kept by pointer and must live as long as the set. The 2020-12 meta-schemas are known without being added.
dx_schema_set *dx_schema_set_create(dx_arena *arena, bool assert_formats);
// `uri` may be empty. The document is read for "$id", "$anchor" and "$dynamicAnchor".
dx_status dx_schema_set_add(dx_schema_set *set, dx_slice uri, yyjson_val *document) DX_MUST_USE;
// What a finding says of a member that its schema does not have; its suggestion is the nearest name that it has.
#define DX_SCHEMA_UNKNOWN_FIELD "is not a known field"

// Compiles the schema at `uri` (with a fragment or not; "" is the document added with an empty uri). Findings carry the JSON pointer in
// the schema: unknown reference, malformed keyword ("minimum" not a number), pattern that PCRE2 refuses. Thread rule: not at once with
// others.
dx_status dx_schema_compile(const dx_schema **out, dx_schema_set *set, dx_slice uri, dx_diags *diags) DX_MUST_USE;

// Findings about what a schema may say but hardly means: a keyword that does not exist (names that start with "x-" are free) or a format
// that is not checked. `pointer` is where `schema` stands; `scratch` gives passing memory. DX_INVALID when there was one, DX_NO_MEMORY.
dx_status dx_schema_lint(dx_schema_set *set, dx_arena *scratch, yyjson_val *schema, dx_slice pointer, dx_diags *diags) DX_MUST_USE;

// Findings of what may just be newer than the schema: those with a kind (base/diag.h).
#define DX_SCHEMA_NEWER_CAP 20 // told where they are counted
typedef struct dx_schema_newer {
    size_t values, fields; // what stands below two schemas may count twice
} dx_schema_newer;

typedef struct dx_schema_options {
    bool first_only;        // stop at the first failure
    dx_schema_newer *newer; // counts them, and tells of the first few only, so that they take no room from others; NULL: they are as others
} dx_schema_options;

// Runs the program. Immutable, so any number of threads may. Findings (one for each wrong field, deepest cause, with the JSON pointer into
// the instance and what was expected) go to `diags`, which may be NULL when only the verdict is wanted. `scratch` gives passing memory.
// DX_OK, DX_INVALID, or DX_NO_MEMORY; recursion over DX_SCHEMA_DEPTH_CAP, patterns over their match limit and patterns
// that take too long together make the instance invalid, wherever they stand in the schema, and are said.
#define DX_SCHEMA_DEPTH_CAP     256
#define DX_SCHEMA_MATCHING_TIME (250 * DX_MILLISECOND) // of the thread, for all patterns of one run
#define DX_SCHEMA_STEPS_CAP     10000000u              // arrays, objects and applicators checked in one run; over it counts as invalid too
dx_status dx_schema_validate(const dx_schema *schema, yyjson_val *instance, dx_arena *scratch, const dx_schema_options *options,
                             dx_diags *diags) DX_MUST_USE;

// Whether `text` has the format; true for a format that is not known. Known: date-time date time duration email uuid uri uri-reference
// ipv4 ipv6 hostname regex json-pointer.
bool dx_format_check(dx_slice format, dx_slice text);
bool dx_format_known(dx_slice format);

#endif
