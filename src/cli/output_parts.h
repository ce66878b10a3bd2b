// The forms of output that have a file of their own.
#ifndef DX_CLI_OUTPUT_PARTS_H
#define DX_CLI_OUTPUT_PARTS_H

#include "cli/output.h"

void dx_output_json(dx_buffer *out, yyjson_val *value, bool color); // without a newline at the end
dx_status dx_output_table(dx_buffer *out, dx_arena *arena, yyjson_val *value, const dx_output_options *options) DX_MUST_USE;

#endif
