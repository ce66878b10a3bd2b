// A password, or another secret, from standard input: one line. At a terminal it is asked for, twice and without echo.
#ifndef DX_CLI_PASSWORD_LINE_H
#define DX_CLI_PASSWORD_LINE_H

#include "base/slice.h"

// `what`: what a person is asked for, "password". Reads into `line` without the line's end (LF or CRLF). NULL, or why there is no password,
// as a phrase. Wiping is the caller's.
const char *dx_password_line_read(const char *what, char *line, size_t cap, size_t *size);

#endif
