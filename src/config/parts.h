// What the files of this room share: a definition while it is read, put together, completed and checked.
#ifndef DX_CONFIG_PARTS_H
#define DX_CONFIG_PARTS_H

#include "base/map.h"
#include "config/definition.h"
#include "crypto/fernet.h"

// A file that has been read.
typedef struct dx_source {
    dx_slice name;   // as messages call it: the definition's own path, others relative to the same folder
    dx_slice folder; // of its name below the definition's folder, with a final slash or empty: what its references are relative to
    dx_slice text;
    yyjson_val *root; // for the load only; NULL: it could not be read, and that has been said
} dx_source;

// Where a part of the definition comes from: the value at the mount's pointer stood at `pointer` in `source`.
typedef struct dx_mount {
    const dx_source *source;
    dx_slice pointer;
} dx_mount;

// What a variable or a seal left of a value.
typedef enum dx_taint {
    DX_TAINT_NONE,
    DX_TAINT_INSIDE, // a value below it came from a variable
    DX_TAINT_PART,   // a string with a variable in it
    DX_TAINT_WHOLE   // a string that is exactly one variable, or was sealed: it may become a number or a boolean
} dx_taint;

struct dx_definition {
    dx_arena *arena;
    dx_arena *work; // for the load only
    const char *path;
    dx_slice folder;      // of the definition, with a final slash, or empty for the working folder
    dx_slice real_folder; // the same without symbolic links, with a final slash
    dx_map sources;       // path below the folder → dx_source
    size_t source_bytes;
    const dx_source *main;
    dx_map mounts; // pointer → dx_mount
    dx_map taints; // pointer → dx_taint, as a pointer
    dx_map broken; // pointer → itself: a finding stands there already, and what follows from it is not worth telling
    dx_map dotenv; // name → value
    dx_slice dotenv_name;
    const dx_definition_options *options;
    const dx_section *const *sections; // likewise, for the load
    size_t section_count;
    dx_diags *diags;
    const dx_fernet_ring *ring; // in `work`; NULL: no sealed value was met yet; empty: there is no key, which has been told
    size_t findings;            // of this load
    yyjson_mut_doc *building;   // these three in `work`
    yyjson_mut_val *built;
    yyjson_val *schema; // the whole definition's
    yyjson_doc *document;
};

// --- source.c
// Reads the definition's own file.
dx_status dx_source_open_main(dx_definition *definition) DX_MUST_USE;
// The file `path` (relative, percent-decoded) refers to from `from`; each is read once. DX_INVALID with `*problem` set (in the arena) when
// it may not be read or is not there; a file that is no JSON gets its own finding and comes back with a NULL root.
dx_status dx_source_open(dx_definition *definition, const dx_source *from, dx_slice path, const dx_source **out,
                         dx_slice *problem) DX_MUST_USE;

// --- variable.c
// Reads `.env` beside the definition, if there is one.
dx_status dx_dotenv_read(dx_definition *definition) DX_MUST_USE;
// Puts variables into `text`; `*out` is `text` itself when there is none. `pointer` says where, for findings. DX_INVALID when one is
// missing (it has been said).
dx_status dx_variable_substitute(dx_definition *definition, dx_slice text, dx_slice pointer, dx_slice *out, dx_taint *taint) DX_MUST_USE;

// The first variable that a text names, and whether it is all of the text; an empty name: none.
dx_slice dx_variable_name(dx_slice text, bool *whole);
// The value of a variable, NULL data when it is not set. `from_dotenv`: that is where it stands.
dx_slice dx_variable_look_up(const dx_definition *definition, dx_slice name, bool *from_dotenv);

// --- sealed.c
// Opens `text` if it is a sealed value; else `*out` is `text` and `*taint` left alone. `pointer` as above. DX_INVALID when it can't be
// opened (it has been said).
dx_status dx_sealed_open(dx_definition *definition, dx_slice text, dx_slice pointer, dx_slice *out, dx_taint *taint) DX_MUST_USE;

// --- assemble.c
// From files to one tree: `definition->built`. Findings do not stop it; DX_NO_MEMORY and DX_TOO_LARGE do.
dx_status dx_definition_assemble(dx_definition *definition) DX_MUST_USE;

// --- complete.c
// Fills in the defaults that the schema gives, and makes numbers and booleans of variables where it wants them.
dx_status dx_definition_complete(dx_definition *definition) DX_MUST_USE;

// --- example.c
// "write …" with the first of the schema's `examples` for the value at `pointer`, or with `of_name` for its name; empty when it gives none.
dx_slice dx_definition_example(const dx_definition *definition, dx_slice pointer, bool of_name, dx_arena *arena);

// --- whole_schema.c
// The schema of the whole definition as a tree in the arena.
dx_status dx_whole_schema(yyjson_val **out, dx_arena *arena, const dx_section *const *sections, size_t count,
                          dx_slice *problem) DX_MUST_USE;

// --- locate.c
dx_status dx_mount_add(dx_definition *definition, dx_slice pointer, const dx_source *source, dx_slice source_pointer) DX_MUST_USE;
dx_status dx_taint_add(dx_definition *definition, dx_slice pointer, dx_taint taint) DX_MUST_USE;
dx_taint dx_taint_at(const dx_definition *definition, dx_slice pointer);
// A finding about the value at `pointer` (about its name with `at_name`); counts it, and notes the place as broken.
dx_diag *dx_definition_refuse(dx_definition *definition, dx_slice pointer, bool at_name, const char *format, ...) DX_PRINTF(4, 5);
// Whether a finding stands at `pointer` or above it already.
bool dx_definition_is_broken(const dx_definition *definition, dx_slice pointer);
// A finding at a line of a file that is no JSON.
void dx_definition_refuse_line(dx_definition *definition, dx_slice file, uint32_t line, uint32_t column, const char *format, ...)
    DX_PRINTF(5, 6);
// A JSON pointer that grows and shrinks with a walk: both return the size to set it back to. The buffer tells of lost memory.
size_t dx_path_enter(dx_buffer *path, dx_slice name);
size_t dx_path_enter_index(dx_buffer *path, size_t index);
static inline dx_slice dx_path_slice(const dx_buffer *path) {
    return path->size ? dx_buffer_slice(path) : (dx_slice){"", 0};
}
// The value at `pointer` in the file that it stands in; false when it stands in none.
typedef struct dx_found {
    const dx_source *source;
    dx_slice pointer; // in the source
    uint32_t line, column;
} dx_found;
bool dx_definition_find(const dx_definition *definition, dx_slice pointer, dx_arena *arena, dx_found *out);
// The pointer without its last token; empty for the root.
dx_slice dx_pointer_parent(dx_slice pointer);

#endif
