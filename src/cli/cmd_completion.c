// `duplex completion`: scripts that make shells complete commands, options, and the names of APIs and endpoints. The scripts call back
// with `--names FILE`, which the help does not tell of.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/completion.h"
#include "codec/json.h"

#define SCRIPT_CAP ((size_t)4 << 20)
#define FILE_CAP   ((size_t)64 << 20)
#define ARENA_CAP  ((size_t)1 << 30)

typedef struct shell {
    const char *name;
    void (*write)(dx_buffer *out, const dx_command *const *commands);
} shell;

static const shell shells[] = {{"bash", dx_completion_bash}, {"zsh", dx_completion_zsh}, {"fish", dx_completion_fish}};

static bool read_file(dx_buffer *out, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // whatever it is, it does not hold a shell up
    ssize_t got = -1;
    while (fd >= 0) {
        char *room = dx_buffer_reserve(out, 65536);
        got = room ? read(fd, room, 65536) : -1;
        if (got <= 0) break;
        out->size += (size_t)got;
    }
    if (fd >= 0) (void)close(fd);
    return got == 0;
}

// A shell is in the middle of a line: nothing is said, and what can't be read has no names.
static int print_names(const char *path) {
    dx_arena *arena = dx_arena_create(ARENA_CAP);
    dx_buffer text, names;
    int result = DX_EXIT_OK;
    if (!arena) return DX_EXIT_FAILED;
    dx_buffer_init(&text, arena, FILE_CAP);
    dx_buffer_init(&names, arena, FILE_CAP);
    if (read_file(&text, path)) dx_completion_names(&names, arena, dx_buffer_slice(&text));
    if (dx_buffer_status(&names) == DX_OK) result = dx_print_output(dx_buffer_slice(&names));
    dx_arena_destroy(arena);
    return result;
}

static int print_script(const shell *made_for) {
    dx_buffer script;
    dx_buffer_init(&script, NULL, SCRIPT_CAP);
    made_for->write(&script, dx_commands);
    int result = DX_EXIT_FAILED;
    if (dx_buffer_status(&script) == DX_OK)
        result = dx_print_output(dx_buffer_slice(&script));
    else
        fprintf(stderr, "duplex completion: %s\n", dx_status_title(dx_buffer_status(&script)));
    dx_buffer_deinit(&script);
    return result;
}

static int run(int argc, char **argv) {
    const char *names = NULL;
    int operands;
    const dx_option known[] = {{"--names", &names, NULL}};
    if (!dx_options_read(&dx_cmd_completion, argc, argv, known, DX_COUNT_OF(known), &operands)) return DX_EXIT_USAGE;
    if (names) return print_names(names);
    if (operands != 1) return dx_usage_error(&dx_cmd_completion, "expected a shell: bash, zsh or fish");
    for (size_t i = 0; i < DX_COUNT_OF(shells); i++)
        if (strcmp(argv[1], shells[i].name) == 0) return print_script(&shells[i]);
    return dx_usage_error(&dx_cmd_completion, "there is no script for \"%s\"; there is one for bash, zsh and fish", argv[1]);
}

const dx_command dx_cmd_completion = {
    "completion",
    "print a completion script for a shell",
    "Usage: duplex completion bash|zsh|fish\n\n"
    "Prints a script that makes the shell complete commands, options and files, and where a definition is given the names of its\n"
    "APIs and endpoints.\n\n"
    "Examples:\n"
    "  source <(duplex completion bash)                     # in ~/.bashrc\n"
    "  duplex completion zsh > ~/.zfunc/_duplex             # a folder of $fpath\n"
    "  duplex completion fish > ~/.config/fish/completions/duplex.fish\n",
    run,
};
