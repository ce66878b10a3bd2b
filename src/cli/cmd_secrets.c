// `duplex secrets`: making keys for sealed values, sealing and opening them. A secret comes in by standard input alone: the words of a
// command are seen by every process of the machine and kept in the shell's history.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/password_line.h"
#include "cli/secrets_rotate.h"
#include "config/seal_keys.h"
#include "crypto/digest.h"

#define ARENA_CAP  ((size_t)512 << 20)
#define SECRET_CAP ((size_t)1 << 20) // bytes that are read, a token, too
#define LINE_CAP   1024              // of what is typed

typedef struct secrets {
    const char *out, *key_file;
    char **words;
    size_t count;
    dx_arena *arena;
    dx_fernet_ring ring;
    char *input; // SECRET_CAP bytes, wiped at the end
    dx_slice given;
    dx_buffer result; // heap, wiped at the end
} secrets;

typedef struct secrets_action {
    const char *name;
    int (*run)(secrets *s);
    bool takes_out; // --out, else --key-file
    size_t words_min, words_cap;
    const char *words; // what is wrong with another number of them
} secrets_action;

static int failed(const char *format, ...) DX_PRINTF(1, 2);
static int failed(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("duplex secrets: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return DX_EXIT_FAILED;
}

// --- keys -------------------------------------------------------------------------------------------------------------------

// From --key-file, or else from the environment, as a definition's are.
static int find_keys(secrets *s) {
    dx_seal_fault fault = dx_seal_keys_missing();
    const char *list = s->key_file ? NULL : getenv(DX_SEAL_KEYS_VARIABLE);
    const char *file = s->key_file ? s->key_file : getenv(DX_SEAL_KEY_FILE_VARIABLE);
    dx_status status = DX_OK;
    if (list && *list) status = dx_seal_keys_from_list(&s->ring, dx_slice_str(list), DX_SEAL_KEYS_VARIABLE, s->arena, &fault);
    if (status == DX_OK && file && *file) status = dx_seal_keys_from_file(&s->ring, file, s->arena, &fault);
    if (status == DX_NO_MEMORY) return failed("out of memory");
    if (status == DX_OK && s->ring.count) return DX_EXIT_OK;
    (void)failed("%.*s; %.*s", DX_SLICE_ARG(fault.what), DX_SLICE_ARG(fault.remedy));
    return DX_EXIT_REFUSED;
}

static int refuse_existing(const secrets *s) {
    (void)failed("%s is there already; keys in it may be in use, so it is left alone", s->out);
    return DX_EXIT_REFUSED;
}

static int write_key_file(const secrets *s, const char *line, size_t size) {
    int fd = open(s->out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return errno == EEXIST ? refuse_existing(s) : failed("%s: %s", s->out, strerror(errno));
    bool good = write(fd, line, size) == (ssize_t)size && fsync(fd) == 0;
    int error = errno;
    if (close(fd) == 0 && good) {
        printf("Wrote %s (keep it to yourself, and a copy of it). To use it: " DX_SEAL_KEY_FILE_VARIABLE "=%s\n", s->out, s->out);
        return DX_EXIT_OK;
    }
    (void)unlink(s->out);
    return failed("%s: %s", s->out, strerror(good ? errno : error));
}

static int keygen(secrets *s) {
    char line[DX_FERNET_KEY_TEXT_SIZE + 1];
    dx_fernet_key_make(line);
    line[DX_FERNET_KEY_TEXT_SIZE] = '\n';
    int result = s->out ? write_key_file(s, line, sizeof line) : dx_print_output(dx_slice_of(line, sizeof line));
    dx_secret_wipe(line, sizeof line);
    return result;
}

// --- sealing and opening ----------------------------------------------------------------------------------------------------

static int read_all(secrets *s) {
    size_t size = 0;
    while (size < SECRET_CAP) {
        ssize_t got = read(STDIN_FILENO, s->input + size, SECRET_CAP - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed("standard input: %s", strerror(errno));
        if (got == 0) break;
        size += (size_t)got;
    }
    s->given = dx_slice_of(s->input, size);
    return size < SECRET_CAP ? DX_EXIT_OK : failed("standard input: expected less than 1 MiB");
}

// What is typed is one line; what is piped may be more, such as a key in PEM form.
static int read_secret(secrets *s) {
    if (isatty(STDIN_FILENO)) {
        const char *fault = dx_password_line_read("secret", s->input, LINE_CAP, &s->given.size);
        s->given.data = s->input;
        return fault ? failed("%s", fault) : DX_EXIT_OK;
    }
    int result = read_all(s);
    if (s->given.size && s->given.data[s->given.size - 1] == '\n') s->given.size--;
    if (s->given.size && s->given.data[s->given.size - 1] == '\r') s->given.size--;
    return result;
}

static int seal(secrets *s) {
    int result = find_keys(s);
    if (result == DX_EXIT_OK) result = read_secret(s);
    if (result != DX_EXIT_OK) return result;
    if (!s->given.size) {
        (void)failed("there is nothing to seal: the secret is read from standard input");
        return DX_EXIT_REFUSED;
    }
    DX_BUFFER_LIT(&s->result, DX_SEAL_PREFIX);
    dx_status status = dx_fernet_seal(&s->result, &s->ring, s->given, (uint64_t)(dx_clock_utc() / 1000000), NULL);
    dx_buffer_byte(&s->result, '\n');
    if (status == DX_OK) status = dx_buffer_status(&s->result);
    return status == DX_OK ? dx_print_output(dx_buffer_slice(&s->result)) : failed("%s", dx_status_title(status));
}

static dx_slice without_space(dx_slice text) {
    while (text.size && memchr(" \t\r\n", text.data[text.size - 1], 4)) text.size--;
    while (text.size && memchr(" \t\r\n", text.data[0], 4)) text = dx_slice_from(text, 1);
    return text;
}

static int open_sealed(secrets *s) {
    static const dx_slice prefix = DX_SLICE_INIT(DX_SEAL_PREFIX);
    int result = find_keys(s);
    if (s->count)
        s->given = dx_slice_str(s->words[0]);
    else if (result == DX_EXIT_OK)
        result = read_all(s);
    if (result != DX_EXIT_OK) return result;
    dx_slice token = without_space(s->given);
    if (dx_slice_starts(token, prefix)) token = dx_slice_from(token, prefix.size);
    dx_status status = dx_fernet_open(&s->result, &s->ring, token, NULL, NULL);
    if (status == DX_BAD_TOKEN) return failed("no key that is given opens it: it was sealed with another one, or is damaged");
    if (status == DX_MALFORMED) return failed("this is no Fernet token, with or without \"" DX_SEAL_PREFIX "\" before it");
    if (status != DX_OK) return failed("%s", dx_status_title(status));
    result = dx_print_output(dx_buffer_slice(&s->result));
    return result == DX_EXIT_OK && isatty(STDOUT_FILENO) ? dx_print_output(DX_SLICE("\n")) : result;
}

static int rotate(secrets *s) {
    int result = find_keys(s);
    for (size_t i = 0; i < s->count && result == DX_EXIT_OK; i++) result = dx_secrets_rotate(s->words[i], &s->ring, s->arena);
    return result;
}

// --- the command ------------------------------------------------------------------------------------------------------------

// What stands where no word may is not quoted: it may be the secret.
static const secrets_action actions[] = {
    {"keygen", keygen, true, 0, 0, "keygen takes no words; did you mean --out FILE?"},
    {"seal", seal, false, 0, 0, "seal takes no words: it reads the secret from standard input, where no other process sees it"},
    {"open", open_sealed, false, 0, 1, "open takes one sealed value, or none and reads it from standard input"},
    {"rotate", rotate, false, 1, SIZE_MAX, "expected files of definitions"},
};

static int unknown_action(const char *name) {
    dx_slice names[DX_COUNT_OF(actions)];
    dx_hint hint;
    for (size_t i = 0; i < DX_COUNT_OF(actions); i++) names[i] = dx_slice_str(actions[i].name);
    return dx_usage_error(&dx_cmd_secrets, "there is no action \"%s\"%s", name, dx_hint_write(&hint, name, names, DX_COUNT_OF(names)));
}

static int act(secrets *s, const secrets_action *action) {
    if (action->takes_out ? s->key_file != NULL : s->out != NULL)
        return dx_usage_error(&dx_cmd_secrets, "%s takes no %s", action->name, action->takes_out ? "--key-file" : "--out");
    if (s->count < action->words_min || s->count > action->words_cap) return dx_usage_error(&dx_cmd_secrets, "%s", action->words);
    s->arena = dx_arena_create(ARENA_CAP);
    s->input = dx_memory_alloc(SECRET_CAP);
    dx_buffer_init(&s->result, NULL, 2 * SECRET_CAP);
    dx_fernet_ring_init(&s->ring);
    int result = s->arena && s->input ? action->run(s) : failed("out of memory");
    if (s->input) dx_secret_wipe(s->input, SECRET_CAP);
    if (s->result.data) dx_secret_wipe(s->result.data, s->result.capacity);
    dx_fernet_ring_deinit(&s->ring);
    dx_buffer_deinit(&s->result);
    dx_memory_free(s->input);
    dx_arena_destroy(s->arena);
    return result;
}

static int run(int argc, char **argv) {
    secrets s = {0};
    int operands;
    const dx_option options[] = {{"--out", &s.out, NULL}, {"--key-file", &s.key_file, NULL}};
    if (!dx_options_read(&dx_cmd_secrets, argc, argv, options, DX_COUNT_OF(options), &operands)) return DX_EXIT_USAGE;
    if (operands == 0) return dx_usage_error(&dx_cmd_secrets, "expected an action: keygen, seal, open or rotate");
    s.words = argv + 2;
    s.count = (size_t)operands - 1;
    for (size_t i = 0; i < DX_COUNT_OF(actions); i++)
        if (strcmp(argv[1], actions[i].name) == 0) return act(&s, &actions[i]);
    return unknown_action(argv[1]);
}

const dx_command dx_cmd_secrets = {
    "secrets",
    "seal secrets, so that a definition can hold them",
    "Usage: duplex secrets keygen [--out FILE]\n"
    "       duplex secrets seal [--key-file FILE] < SECRET\n"
    "       duplex secrets open [--key-file FILE] [VALUE]\n"
    "       duplex secrets rotate [--key-file FILE] DEFINITION...\n\n"
    "A setting can be a sealed value, encrypted:TOKEN, which is opened when the definition is loaded. TOKEN is a Fernet token: other\n"
    "implementations of Fernet open it and make it. Keys come from " DX_SEAL_KEYS_VARIABLE
    " (separated by commas) and from the file that\n" DX_SEAL_KEY_FILE_VARIABLE
    " names (one a line, # before comments, open to its owner alone), in the environment or, for a server, in the\n"
    ".env beside the definition. The first key seals; all of them open.\n\n"
    "keygen makes a key and prints it, or writes it to a new file (mode 0600).\n"
    "seal reads a secret from standard input, less one line's end at its end (at a terminal: one line, asked for twice without echo),\n"
    "and prints the sealed value.\n"
    "open prints what a sealed value holds. It is read from standard input when none is given.\n"
    "rotate seals every sealed value in these files anew with the first key, and changes nothing else in them.\n\n"
    "  --out FILE       where the key goes; a file that is there is left alone\n"
    "  --key-file FILE  a file of keys, instead of those in the environment\n\n"
    "Exit status: 0 done, 1 it did not work (no key opens it), 2 wrong usage, 3 no key, a file of keys that is refused, or nothing to "
    "seal.\n\n"
    "Examples:\n"
    "  duplex secrets keygen --out seal.keys\n"
    "  export " DX_SEAL_KEY_FILE_VARIABLE "=$PWD/seal.keys\n"
    "  openssl rand -base64 48 | duplex secrets seal      # a new secret that nobody has seen\n"
    "  duplex secrets seal < tls/client-key.pem\n"
    "  duplex secrets open encrypted:gAAAAA…\n"
    "  (umask 077; duplex secrets keygen | cat - seal.keys > new.keys) && mv new.keys seal.keys\n"
    "  duplex secrets rotate shop.json                    # then take the old key out of seal.keys\n",
    run,
};
