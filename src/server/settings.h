// How the section `server` is read: what the files that read it share (settings*.c).
#ifndef DX_SERVER_SETTINGS_H
#define DX_SERVER_SETTINGS_H

#include "server/parts.h"

typedef struct dx_settings_reader {
    const dx_definition *definition;
    yyjson_val *section;
    dx_arena *arena;
    dx_diags *diags;
    dx_settings *out;
    const dx_app_options *options;
} dx_settings_reader;

// Complaints are in `diags`; the status is DX_OK or DX_NO_MEMORY.
dx_status dx_settings_read_listens(dx_settings_reader *r) DX_MUST_USE;     // settings_listen.c
dx_status dx_settings_read_tls(dx_settings_reader *r) DX_MUST_USE;         // settings_tls.c; after the listens
dx_status dx_settings_read_access(dx_settings_reader *r) DX_MUST_USE;      // settings_access.c
dx_status dx_settings_read_compression(dx_settings_reader *r) DX_MUST_USE; // settings_compression.c

// A file of the definition: a relative one lies beside it. NULL without memory.
const char *dx_settings_file(const dx_settings_reader *r, dx_slice file);
// The finding at `pointer` (printf) of something that a schema can't say.
dx_diag *dx_settings_complain(const dx_settings_reader *r, const char *advice, dx_slice pointer, const char *format, ...) DX_PRINTF(4, 5);

#endif
