// What commands share: reading options, telling findings, writing output whole.
#include "cli/command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"

int dx_usage_error(const dx_command *command, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "duplex %s: ", command->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nTry `duplex %s --help`.\n", command->name);
    va_end(args);
    return DX_EXIT_USAGE;
}

static const dx_option *find(const dx_option *options, size_t count, const char *word, size_t size) {
    for (size_t i = 0; i < count; i++)
        if (strlen(options[i].name) == size && memcmp(options[i].name, word, size) == 0) return &options[i];
    return NULL;
}

const char *dx_hint_write(dx_hint *out, const char *word, const dx_slice *names, size_t count) {
    dx_slice near = dx_nearest_word(dx_slice_str(word), names, count);
    out->text[0] = '\0';
    if (near.size) snprintf(out->text, sizeof out->text, "; did you mean \"%.*s\"?", DX_SLICE_ARG(near));
    return out->text;
}

#define OPTIONS_CAP 64 // names that a hint is looked for among

static void refuse_option(const dx_command *command, const char *word, const dx_option *options, size_t count) {
    dx_slice names[OPTIONS_CAP];
    dx_hint hint;
    size_t known = count < OPTIONS_CAP ? count : OPTIONS_CAP;
    for (size_t i = 0; i < known; i++) names[i] = dx_slice_str(options[i].name);
    (void)dx_usage_error(command, "there is no option %s%s", word, dx_hint_write(&hint, word, names, known));
}

bool dx_options_read(const dx_command *command, int argc, char **argv, const dx_option *options, size_t count, int *operands) {
    *operands = 0;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (word[0] != '-' || word[1] == '\0') {
            argv[++*operands] = argv[i];
            continue;
        }
        if (strcmp(word, "--") == 0) {
            while (++i < argc) argv[++*operands] = argv[i];
            return true;
        }
        const char *equals = strchr(word, '=');
        const dx_option *option = find(options, count, word, equals ? (size_t)(equals - word) : strlen(word));
        if (!option) {
            refuse_option(command, word, options, count);
            return false;
        }
        if (!option->value) {
            if (equals) {
                (void)dx_usage_error(command, "%s takes no value", option->name);
                return false;
            }
            *option->flag = 1;
        } else if (equals) {
            *option->value = equals + 1;
        } else if (++i < argc) {
            *option->value = argv[i];
        } else {
            (void)dx_usage_error(command, "%s needs a value", word);
            return false;
        }
    }
    return true;
}

bool dx_options_take(const dx_command *command, int *argc, char **argv, const char *name, const char **values, size_t cap, size_t *count) {
    size_t size = strlen(name);
    int kept = 1, at = 1;
    for (; at < *argc && strcmp(argv[at], "--") != 0; at++) {
        const char *word = argv[at], *value = NULL;
        if (strncmp(word, name, size) != 0 || (word[size] != '\0' && word[size] != '=')) {
            argv[kept++] = argv[at];
            continue;
        }
        value = word[size] == '=' ? word + size + 1 : ++at < *argc ? argv[at] : NULL;
        if (!value || *count == cap) {
            (void)(value ? dx_usage_error(command, "%s comes more than %zu times", name, cap)
                         : dx_usage_error(command, "%s needs a value", name));
            return false;
        }
        values[(*count)++] = value;
    }
    while (at < *argc) argv[kept++] = argv[at++];
    *argc = kept;
    return true;
}

void dx_print_findings(const dx_diags *diags) {
    size_t shown = 0;
    for (const dx_diag *diag = diags->first; diag; diag = diag->next, shown++) {
        dx_slice line = dx_diag_text(diag, diags->arena);
        fprintf(stderr, "%.*s\n", DX_SLICE_ARG(line));
    }
    if (diags->count > shown) fprintf(stderr, "… and %zu more\n", diags->count - shown);
}

int dx_print_output(dx_slice text) {
    while (text.size) {
        ssize_t written = write(STDOUT_FILENO, text.data, text.size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            if (errno == EPIPE) { // where the signal is ignored: whoever read has read enough, and the program ends as others do
                (void)signal(SIGPIPE, SIG_DFL);
                (void)raise(SIGPIPE);
            }
            fprintf(stderr, "duplex: can't write the output: %s\n", strerror(errno));
            return DX_EXIT_FAILED;
        }
        text = dx_slice_from(text, (size_t)written);
    }
    return DX_EXIT_OK;
}
