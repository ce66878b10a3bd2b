// The script for bash (4 or later). Where nothing is known to be wanted, bash completes names of files by itself (`-o default`).
#include "cli/completion.h"

static const char head[] = "# Completion for bash, made by `duplex completion bash`. Use it so: source <(duplex completion bash)\n"
                           "_duplex() {\n"
                           "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
                           "    local actions='' options='' values='' names='' i\n"
                           "    local -a operands=()\n"
                           "    COMPREPLY=()\n"
                           "    if ((COMP_CWORD == 1)); then\n"
                           "        mapfile -t COMPREPLY < <(compgen -W '";
static const char tail[] = "    esac\n"
                           "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
                           "        if [[ ${COMP_WORDS[i]} == -?* ]]; then\n"
                           "            [[ \" $values \" == *\" ${COMP_WORDS[i]} \"* ]] && ((i++))\n"
                           "        else\n"
                           "            operands+=(\"${COMP_WORDS[i]}\")\n"
                           "        fi\n"
                           "    done\n"
                           "    if [[ \" $values \" == *\" $before \"* ]]; then\n"
                           "        return\n"
                           "    elif [[ $current == -* ]]; then\n"
                           "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$current\")\n"
                           "    elif [[ -n $names ]] && ((${#operands[@]} > 0)); then\n"
                           "        mapfile -t COMPREPLY < <(compgen -W \"$(\"${COMP_WORDS[0]}\" completion --names \"${operands[0]}\" "
                           "2>/dev/null)\" -- \"$current\")\n"
                           "    elif [[ -n $actions ]] && ((${#operands[@]} == 0)); then\n"
                           "        mapfile -t COMPREPLY < <(compgen -W \"$actions\" -- \"$current\")\n"
                           "    fi\n"
                           "}\n"
                           "complete -o default -F _duplex duplex\n";

static void add_choices(dx_buffer *out, const dx_command *command) {
    dx_slice rest = dx_slice_str(command->usage);
    dx_completion_word option;
    while (dx_completion_option(&rest, &option)) {
        if (!dx_completion_is_choice(option.takes)) continue;
        dx_buffer_printf(out, "        if [[ $before == %.*s ]]; then\n            mapfile -t COMPREPLY < <(compgen -W '",
                         DX_SLICE_ARG(option.text));
        for (size_t i = 0; i < option.takes.size; i++) dx_buffer_byte(out, option.takes.data[i] == '|' ? ' ' : option.takes.data[i]);
        DX_BUFFER_LIT(out, "' -- \"$current\")\n            return\n        fi\n");
    }
}

static void add_options(dx_buffer *out, const dx_command *command, bool with_values_only) {
    dx_slice rest = dx_slice_str(command->usage);
    dx_completion_word option;
    while (dx_completion_option(&rest, &option)) {
        if (with_values_only && !option.takes.size) continue;
        dx_buffer_add(out, option.text);
        dx_buffer_byte(out, ' ');
    }
}

void dx_completion_bash(dx_buffer *out, const dx_command *const *commands) {
    dx_buffer_add(out, dx_slice_str(head));
    for (const dx_command *const *at = commands; *at; at++) dx_buffer_printf(out, "%s ", (*at)->name);
    DX_BUFFER_LIT(out, "help version --help --version' -- \"$current\")\n        return\n    fi\n    case $command in\n");
    for (const dx_command *const *at = commands; *at; at++) {
        dx_buffer_printf(out, "    %s)\n", (*at)->name);
        add_choices(out, *at);
        DX_BUFFER_LIT(out, "        options='");
        add_options(out, *at, false);
        DX_BUFFER_LIT(out, "--help'\n        values='");
        add_options(out, *at, true);
        DX_BUFFER_LIT(out, "'\n        actions='");
        dx_completion_actions(out, *at);
        dx_buffer_printf(out, "'\n        names=%s ;;\n", dx_completion_takes_names(*at) ? "yes" : "");
    }
    DX_BUFFER_LIT(out, "    help)\n        actions='");
    for (const dx_command *const *at = commands; *at; at++) dx_buffer_printf(out, "%s ", (*at)->name);
    DX_BUFFER_LIT(out, "' ;;\n");
    dx_buffer_add(out, dx_slice_str(tail));
}
