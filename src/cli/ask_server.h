// What commands that ask a running server share: which one is meant, the question, and how its findings are told.
#ifndef DX_CLI_ASK_SERVER_H
#define DX_CLI_ASK_SERVER_H

#include "cli/command.h"
#include "codec/json.h"

// The one server of the definition at `path` (NULL: of any), with the process id `pid` (text; NULL: any). Several, or none, are told on
// standard error, and so is everything that goes wrong; then `*answer` is NULL and the command's exit status comes back.
int dx_ask_server(yyjson_val **answer, const dx_command *command, const char *path, const char *pid, const char *request, dx_arena *arena);
// The answer's findings on standard error, as `duplex check` tells them, and what became of it all: an exit status.
int dx_tell_refusal(yyjson_val *answer, const char *what_stands);

#endif
