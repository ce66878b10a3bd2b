// A command of the program: one file `cmd_<name>.c` that fills one const struct, and one row in the table in commands.c.
#ifndef DX_CLI_COMMAND_H
#define DX_CLI_COMMAND_H

#include "base/diag.h"

typedef enum dx_exit {
    DX_EXIT_OK = 0,
    DX_EXIT_FAILED = 1,  // it was tried and did not work: the reason is on standard error
    DX_EXIT_USAGE = 2,   // the words of the command are wrong
    DX_EXIT_REFUSED = 3, // the definition, a secret or another setting is not acceptable: nothing was done
    // of `call`, which says what became of a request
    DX_EXIT_CLIENT_ERROR = 4, // the server answered 4xx
    DX_EXIT_SERVER_ERROR = 5, // 5xx
    DX_EXIT_AUTH = 6,         // no credential could be had
    DX_EXIT_TIMEOUT = 7,
    DX_EXIT_LIMITED = 8, // by the rate limiter, an open circuit or a full queue
    DX_EXIT_INVALID = 9, // request or answer does not obey its model
    DX_EXIT_INTERRUPTED = 130,
} dx_exit;

typedef struct dx_command {
    const char *name;
    const char *summary;               // one line, for the list of commands
    const char *usage;                 // what --help prints: usage line, options, examples
    int (*run)(int argc, char **argv); // argv[0] is the command's name; returns a dx_exit
} dx_command;

extern const dx_command dx_cmd_serve;
extern const dx_command dx_cmd_check;
extern const dx_command dx_cmd_schema;
extern const dx_command dx_cmd_openapi;
extern const dx_command dx_cmd_users;
extern const dx_command dx_cmd_cert;
extern const dx_command dx_cmd_secrets;
extern const dx_command dx_cmd_auth;
extern const dx_command dx_cmd_plan;
extern const dx_command dx_cmd_reload;
extern const dx_command dx_cmd_upgrade;
extern const dx_command dx_cmd_call;
extern const dx_command dx_cmd_apis;
extern const dx_command dx_cmd_doctor;
extern const dx_command dx_cmd_import;
extern const dx_command dx_cmd_completion;

extern const dx_command *const dx_commands[]; // commands.c: all of them, in the order of the help; ends with NULL

// Options of a command line: `--name VALUE`, `--name=VALUE`, `--flag`, `--` ends them. Whatever is not an option is an operand.
typedef struct dx_option {
    const char *name;   // "--listen"
    const char **value; // where the value goes; NULL: a flag
    int *flag;          // set to 1
} dx_option;

// Reads `argv[1…]`; operands move to the front of argv, from 1 on, and `*operands` says how many. An unknown option or a missing value is
// told on standard error with the way to the help, and false returned.
bool dx_options_read(const dx_command *command, int argc, char **argv, const dx_option *options, size_t count, int *operands);
// Takes an option that may come several times out of `argv`, in order, before dx_options_read reads the rest. False: it lacks a value or
// comes more than `cap` times, which has been told.
bool dx_options_take(const dx_command *command, int *argc, char **argv, const char *name, const char **values, size_t cap, size_t *count);
// `; did you mean "X"?` for the name nearest to `word`, or an empty text; in the caller's `out`.
typedef struct dx_hint {
    char text[96];
} dx_hint;
const char *dx_hint_write(dx_hint *out, const char *word, const dx_slice *names, size_t count);
// "duplex serve: <message>" and how to get help, on standard error; returns DX_EXIT_USAGE.
int dx_usage_error(const dx_command *command, const char *format, ...) DX_PRINTF(2, 3);
// Every finding, one a line, on standard error, and how many there are.
void dx_print_findings(const dx_diags *diags);
// Writes all of it to standard output; DX_EXIT_FAILED (told on standard error) when that does not work.
int dx_print_output(dx_slice text);

#endif
