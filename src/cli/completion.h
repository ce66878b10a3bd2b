// Completion scripts for shells, made of the table of commands: what a command's help says of its options and operands is what is
// completed, so there is no second list. `Usage:` lines give the actions (`duplex cert self-signed …`) and tell which commands take names
// of APIs
// (`… FILE NAME …`); lines that start with two spaces and a dash give the options.
#ifndef DX_CLI_COMPLETION_H
#define DX_CLI_COMPLETION_H

#include "base/buffer.h"
#include "cli/command.h"

typedef struct dx_completion_word {
    dx_slice text;  // "--out", "self-signed"
    dx_slice takes; // what follows an option: "FILE", "auto|always|never"; empty: nothing
    dx_slice about; // one line; may be empty
} dx_completion_word;

// The next option of a command's help from `*rest` (start with dx_slice_str(command->usage)); false at the end. An option that has a short
// form comes twice.
bool dx_completion_option(dx_slice *rest, dx_completion_word *out);
// The next action; one that stands in several usage lines comes several times.
bool dx_completion_action(dx_slice *rest, const dx_command *command, dx_slice *out);
// Whether a definition and then names from its `apis` are what the command takes.
bool dx_completion_takes_names(const dx_command *command);
// Choices of an option: "auto|always|never". Paths: FILE, DIR and PATH.
bool dx_completion_is_choice(dx_slice takes);
bool dx_completion_is_path(dx_slice takes);
// `text` for between single quotes of a POSIX shell (or of fish); with `colons`, as zsh wants descriptions.
void dx_completion_quote(dx_buffer *out, dx_slice text, bool fish, bool colons);
// All actions of a command, each once, separated by spaces.
void dx_completion_actions(dx_buffer *out, const dx_command *command);

void dx_completion_bash(dx_buffer *out, const dx_command *const *commands);
void dx_completion_zsh(dx_buffer *out, const dx_command *const *commands);
void dx_completion_fish(dx_buffer *out, const dx_command *const *commands);

// The names of endpoints in a definition, one a line: "api.endpoint", and where an API has several versions "api.version.endpoint" too.
// Whatever is not as it should be is passed over.
void dx_completion_names(dx_buffer *out, dx_arena *arena, dx_slice definition);

#endif
