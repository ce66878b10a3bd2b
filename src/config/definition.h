// The definition: one JSON file (and those it refers to) that says what to serve and what to call. Stages, in order: read → substitute
// `${VAR}` and `${VAR:default}` in strings (environment first, then a `.env` file beside the definition; `$${` is a literal `${`) → open
// sealed values, `encrypted:<Fernet token>` (keys from DUPLEX_SEAL_KEYS and DUPLEX_SEAL_KEY_FILE, looked up likewise) → resolve
// `{"$ref": "file.json#/pointer"}` to other files → merge defaults → validate against the sections' schemas → hand to the rooms. It fails
// closed: an unknown key or a missing variable is an error, and every error is located and reported at once.
#ifndef DX_CONFIG_DEFINITION_H
#define DX_CONFIG_DEFINITION_H

#include "codec/json.h"
#include "model/schema.h"

// A section of the definition, owned by the room that ships its schema. The one schema validates, gives the defaults (`default` of each
// property, all levels), and is what `duplex schema` prints: there is no second list of settings.
typedef struct dx_section {
    const char *name;   // "resources"
    const char *schema; // JSON Schema 2020-12 of the section's value, as text; every property has a "description"
    bool required;      // else an absent section reads as its schema's own `default`, completed, or is absent
    // A file may be this section alone, without its name: one none of whose members is a section, and one of whose members has a member of
    // this name. NULL: never.
    const char *alone;
} dx_section;

extern const dx_section dx_models_section; // "models": of both ends

typedef struct dx_definition dx_definition;

typedef struct dx_definition_options {
    // Looks a variable up instead of the process's environment (tests), those with keys for sealed values, too; NULL: the environment. What
    // is not set is looked for in .env.
    const char *(*variable)(void *ctx, const char *name);
    void *ctx;
    // Sections that others own: passed over unread, so that what they need (variables, files) need not be there. NULL-terminated, or NULL.
    const char *const *others;
    // The section that a file may be all by itself: one whose members name no section, whatever they are. NULL: as dx_section.alone says.
    const char *bare;
    // Told of every variable that is not set and has no default (with `ctx`, too); its value is empty, and nothing else is said of it.
    // NULL: that is a finding.
    void (*missing)(void *ctx, dx_slice pointer, dx_slice name);
    // Read instead of the file; `path` is then its name in messages and where relative paths count from.
    dx_slice text;
} dx_definition_options;

#define DX_DEFINITION_BYTES_CAP (64u << 20)
#define DX_DEFINITION_FILES_CAP 256

// Reads, checks and completes `path`. On any finding DX_INVALID (or DX_MALFORMED, DX_NOT_FOUND for the file itself) and all of them are in
// `diags`. The definition owns its memory. `options` may be NULL. Not thread-safe while loading; immutable and shared afterwards.
dx_status dx_definition_load(dx_definition **out, const char *path, const dx_section *const *sections, size_t count,
                             const dx_definition_options *options, dx_diags *diags) DX_MUST_USE;
void dx_definition_destroy(dx_definition *definition); // takes NULL

const char *dx_definition_path(const dx_definition *definition);
yyjson_val *dx_definition_root(const dx_definition *definition);
yyjson_val *dx_definition_section(const dx_definition *definition, const char *name); // NULL when absent without defaults
// Whether the value at `pointer` came (in whole or in part) from a variable or was sealed: such values are never printed.
bool dx_definition_is_secret(const dx_definition *definition, dx_slice pointer);
// Where a value came from. What stands in no file (a default of the schema, a member that is not there) is not found: false.
typedef enum dx_value_source {
    DX_VALUE_WRITTEN,     // as it stands in the file
    DX_VALUE_ENVIRONMENT, // by the variable, from the environment
    DX_VALUE_DOTENV,      // by the variable, from .env
    DX_VALUE_FALLBACK,    // by the default that stands behind the variable's name
    DX_VALUE_SEALED       // opened with a key
} dx_value_source;
typedef struct dx_value_origin {
    dx_slice file;
    uint32_t line, column;
    dx_value_source source;
    dx_slice variable; // the first that is named; empty: none
    bool whole;        // the variable is all of the value
} dx_value_origin;
// In the arena. Reads the file's text again: for telling a person. Variables are looked up now, in the process's environment.
bool dx_definition_origin(dx_value_origin *out, const dx_definition *definition, dx_slice pointer, dx_arena *arena);
// Adds a finding about the value at `pointer` with its file, line and column: what rooms call for what a schema can't say.
dx_diag *dx_definition_complain(const dx_definition *definition, dx_diags *diags, dx_slice pointer, const char *format, ...)
    DX_PRINTF(4, 5);
// The JSON Schema of a definition as a file has it, pretty-printed: the sections' schemas under "properties", where variables may stand for
// texts.
dx_status dx_definition_schema(dx_buffer *out, const dx_section *const *sections, size_t count) DX_MUST_USE;

// "15m" → nanoseconds; units ms s m h d, one number with one unit. Schemas use the pattern DX_DURATION_PATTERN.
#define DX_DURATION_PATTERN "^[0-9]{1,9}(ms|s|m|h|d)$"
bool dx_duration_read(dx_slice text, int64_t *nanos);
// "1MiB" → bytes; units B KiB MiB GiB. Schemas use DX_SIZE_PATTERN.
#define DX_SIZE_PATTERN "^[0-9]{1,9}(B|KiB|MiB|GiB)$"
bool dx_size_read(dx_slice text, uint64_t *bytes);

#endif
