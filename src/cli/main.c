// The program's entry: picks the command from the table and runs it. Whatever a command does is in its own file.
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

#define NAMES_CAP 64 // that a hint is looked for among

static void print_help(FILE *to) {
    fputs("duplex " DX_VERSION ": an API platform: a JSON definition in, a running API server out\n\n"
          "Usage: duplex COMMAND [OPTION]... [ARGUMENT]...\n\nCommands:\n",
          to);
    for (const dx_command *const *at = dx_commands; *at; at++) fprintf(to, "  %-10s %s\n", (*at)->name, (*at)->summary);
    fputs("\n`duplex COMMAND --help` shows a command's options and examples.\n"
          "Start: `duplex check FILE`, `duplex serve FILE`; then open /docs of the address that it prints.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 the definition or a setting was refused.\n",
          to);
}

static const dx_command *find(const char *name) {
    for (const dx_command *const *at = dx_commands; *at; at++)
        if (strcmp((*at)->name, name) == 0) return *at;
    return NULL;
}

static int unknown(const char *name) {
    dx_slice names[NAMES_CAP];
    size_t count = 0;
    for (; dx_commands[count] && count < NAMES_CAP; count++) names[count] = dx_slice_str(dx_commands[count]->name);
    dx_hint hint;
    fprintf(stderr, "duplex: there is no command \"%s\"%s\nTry `duplex --help`.\n", name, dx_hint_write(&hint, name, names, count));
    return DX_EXIT_USAGE;
}

static bool asks_for_help(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return DX_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || (strcmp(argv[1], "version") == 0 && argc == 2)) {
        puts("duplex " DX_VERSION);
        return DX_EXIT_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (strcmp(argv[1], "help") == 0 && argc == 2)) {
        print_help(stdout);
        return DX_EXIT_OK;
    }
    bool help = strcmp(argv[1], "help") == 0;
    const dx_command *command = find(argv[help ? 2 : 1]);
    if (!command) return unknown(argv[help ? 2 : 1]);
    if (help || asks_for_help(argc - 1, argv + 1)) {
        fputs(command->usage, stdout);
        return DX_EXIT_OK;
    }
    return command->run(argc - 1, argv + 1);
}
