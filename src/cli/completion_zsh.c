// The script for zsh: as a file `_duplex` in $fpath, or sourced.
#include "cli/completion.h"

static const char head[] =
    "#compdef duplex\n"
    "# Completion for zsh, made by `duplex completion zsh`. Put it into a folder of $fpath as _duplex, or source it.\n"
    "_duplex() {\n"
    "    local current=$words[CURRENT] before=$words[CURRENT-1] command=$words[2] names='' i\n"
    "    local -a commands actions options values operands\n"
    "    commands=(\n";
static const char tail[] = "    esac\n"
                           "    for ((i = 3; i < CURRENT; i++)); do\n"
                           "        if [[ $words[i] == -?* ]]; then\n"
                           "            (( ${values[(Ie)$words[i]]} )) && ((i++))\n"
                           "        else\n"
                           "            operands+=(\"$words[i]\")\n"
                           "        fi\n"
                           "    done\n"
                           "    if (( ${values[(Ie)$before]} )); then\n"
                           "        _files\n"
                           "    elif [[ $current == -* ]]; then\n"
                           "        _describe option options\n"
                           "    elif [[ -n $names ]] && (( $#operands > 0 )); then\n"
                           "        compadd -- ${(f)\"$($words[1] completion --names $operands[1] 2>/dev/null)\"}\n"
                           "    elif (( $#actions > 0 && $#operands == 0 )); then\n"
                           "        compadd -- $actions\n"
                           "    else\n"
                           "        _files\n"
                           "    fi\n"
                           "}\n"
                           "if [[ $funcstack[1] == _duplex ]]; then\n"
                           "    _duplex \"$@\"\n"
                           "elif (( $+functions[compdef] )); then\n"
                           "    compdef _duplex duplex\n"
                           "fi\n";

static void add_described(dx_buffer *out, dx_slice word, dx_slice about) {
    DX_BUFFER_LIT(out, "            '");
    dx_completion_quote(out, word, false, true);
    dx_buffer_byte(out, ':');
    dx_completion_quote(out, about, false, true);
    DX_BUFFER_LIT(out, "'\n");
}

static void add_choices(dx_buffer *out, const dx_completion_word *option) {
    dx_buffer_printf(out, "        if [[ $before == %.*s ]]; then\n            compadd --", DX_SLICE_ARG(option->text));
    dx_slice rest = option->takes;
    while (rest.data) {
        dx_slice choice = dx_slice_cut(&rest, '|');
        dx_buffer_printf(out, " %.*s", DX_SLICE_ARG(choice));
    }
    DX_BUFFER_LIT(out, "\n            return\n        fi\n");
}

static void add_command(dx_buffer *out, const dx_command *command) {
    dx_completion_word option;
    dx_buffer_printf(out, "    %s)\n        options=(\n", command->name);
    dx_slice rest = dx_slice_str(command->usage);
    while (dx_completion_option(&rest, &option)) add_described(out, option.text, option.about);
    DX_BUFFER_LIT(out, "            '--help:show the help'\n        )\n        values=(");
    rest = dx_slice_str(command->usage);
    while (dx_completion_option(&rest, &option))
        if (option.takes.size) dx_buffer_printf(out, " %.*s", DX_SLICE_ARG(option.text));
    DX_BUFFER_LIT(out, " )\n        actions=( ");
    dx_completion_actions(out, command);
    dx_buffer_printf(out, " )\n        names=%s\n", dx_completion_takes_names(command) ? "yes" : "");
    rest = dx_slice_str(command->usage);
    while (dx_completion_option(&rest, &option))
        if (dx_completion_is_choice(option.takes)) add_choices(out, &option);
    DX_BUFFER_LIT(out, "        ;;\n");
}

void dx_completion_zsh(dx_buffer *out, const dx_command *const *commands) {
    dx_buffer_add(out, dx_slice_str(head));
    for (const dx_command *const *at = commands; *at; at++) add_described(out, dx_slice_str((*at)->name), dx_slice_str((*at)->summary));
    add_described(out, DX_SLICE("help"), DX_SLICE("show the help of a command"));
    add_described(out, DX_SLICE("version"), DX_SLICE("show the version"));
    DX_BUFFER_LIT(
        out, "    )\n    if ((CURRENT == 2)); then\n        _describe command commands\n        return\n    fi\n    case $command in\n");
    for (const dx_command *const *at = commands; *at; at++) add_command(out, *at);
    DX_BUFFER_LIT(out, "    help)\n        _describe command commands\n        return ;;\n");
    dx_buffer_add(out, dx_slice_str(tail));
}
