// The script for fish: a line for each thing that can be completed.
#include "cli/completion.h"

static const char head[] = "# Completion for fish, made by `duplex completion fish`. Use it so: duplex completion fish | source\n"
                           "function __duplex_names\n"
                           "    set -l words (commandline -opc)\n"
                           "    set -l operands (string match -v -- '-*' $words[3..-1])\n"
                           "    test (count $operands) -gt 0; and $words[1] completion --names $operands[1] 2>/dev/null\n"
                           "end\n"
                           "function __duplex_first\n"
                           "    test (count (commandline -opc)) -eq 1\n"
                           "end\n"
                           "function __duplex_in\n"
                           "    set -l words (commandline -opc)\n"
                           "    test (count $words) -gt 1; and test $words[2] = $argv[1]\n"
                           "end\n"
                           "function __duplex_acts\n"
                           "    __duplex_in $argv[1]; and test (count (commandline -opc)) -eq 2\n"
                           "end\n"
                           "function __duplex_named\n"
                           "    __duplex_in $argv[1]; and test (count (string match -v -- '-*' (commandline -opc)[3..-1])) -gt 0\n"
                           "end\n";

static void add_word(dx_buffer *out, const char *name, dx_slice about) {
    dx_buffer_printf(out, "complete -c duplex -n __duplex_first -f -a %s -d '", name);
    dx_completion_quote(out, about, true, false);
    DX_BUFFER_LIT(out, "'\n");
}

static void add_option(dx_buffer *out, const dx_command *command, const dx_completion_word *option) {
    bool long_one = dx_slice_starts(option->text, DX_SLICE("--"));
    dx_slice name = dx_slice_from(option->text, long_one ? 2 : 1);
    dx_buffer_printf(out, "complete -c duplex -n '__duplex_in %s' -%c %.*s", command->name,
                     long_one         ? 'l'
                     : name.size == 1 ? 's'
                                      : 'o',
                     DX_SLICE_ARG(name));
    if (option->takes.size) dx_buffer_add(out, dx_completion_is_path(option->takes) ? DX_SLICE(" -r -F") : DX_SLICE(" -x"));
    if (dx_completion_is_choice(option->takes)) {
        DX_BUFFER_LIT(out, " -a '");
        for (size_t i = 0; i < option->takes.size; i++) dx_buffer_byte(out, option->takes.data[i] == '|' ? ' ' : option->takes.data[i]);
        DX_BUFFER_LIT(out, "'");
    }
    DX_BUFFER_LIT(out, " -d '");
    dx_completion_quote(out, option->about, true, false);
    DX_BUFFER_LIT(out, "'\n");
}

static void add_command(dx_buffer *out, const dx_command *command) {
    dx_slice rest = dx_slice_str(command->usage);
    dx_completion_word option;
    while (dx_completion_option(&rest, &option)) add_option(out, command, &option);
    size_t before = out->size;
    dx_buffer_printf(out, "complete -c duplex -n '__duplex_acts %s' -f -a '", command->name);
    size_t start = out->size;
    dx_completion_actions(out, command);
    if (out->size == start)
        out->size = before; // it has none
    else
        DX_BUFFER_LIT(out, "'\n");
    if (dx_completion_takes_names(command))
        dx_buffer_printf(out, "complete -c duplex -n '__duplex_named %s' -f -a '(__duplex_names)'\n", command->name);
}

void dx_completion_fish(dx_buffer *out, const dx_command *const *commands) {
    dx_buffer_add(out, dx_slice_str(head));
    for (const dx_command *const *at = commands; *at; at++) add_word(out, (*at)->name, dx_slice_str((*at)->summary));
    add_word(out, "help", DX_SLICE("show the help of a command"));
    add_word(out, "version", DX_SLICE("show the version"));
    for (const dx_command *const *at = commands; *at; at++) add_command(out, *at);
    DX_BUFFER_LIT(out, "complete -c duplex -l help -f -d 'show the help'\n");
}
