// Filling a dx_error. Takes a NULL error: then only the code counts.
#ifndef DX_CLIENT_FAIL_H
#define DX_CLIENT_FAIL_H

#include "base/diag.h"
#include "duplex/error.h"

// As DX_ERROR_INIT, but that only the first byte of each text is written: most calls have nothing to say.
void dx_error_begin(dx_error *error);
void dx_error_copy(dx_error *to, const dx_error *from);
// Of a call that there was no memory for; nobody writes to it.
dx_error *dx_error_out_of_memory(void);
// Code and message (printf) anew; all else as DX_ERROR_INIT. Returns `code`.
dx_error_code dx_fail(dx_error *error, dx_error_code code, const char *format, ...) DX_PRINTF(3, 4);
// Likewise from findings: the first is told with its place, the number of the others added.
dx_error_code dx_fail_diags(dx_error *error, dx_error_code code, const dx_diags *diags);
// A status of the rooms below as a code.
dx_error_code dx_code_of(dx_status status);

#endif
