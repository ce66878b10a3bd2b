// `duplex cert`: a certificate for development in one step, and a look at one that is there.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "codec/json.h"
#include "crypto/certificate.h"
#include "crypto/digest.h"

#define ARENA_CAP    ((size_t)8 << 20)
#define PEM_CAP      ((size_t)1 << 20)
#define DAYS_DEFAULT 365
#define DAYS_TEXT    "365"
#define CERTIFICATE  "certificate.pem"
#define KEY          "key.pem"

typedef struct cert {
    const char *out, *days;
    int force;
    char **words;
    size_t count;
    dx_arena *arena;
    dx_slice certificate_path, key_path;
} cert;

typedef struct cert_action {
    const char *name;
    int (*run)(cert *c);
} cert_action;

static int failed(const char *format, ...) DX_PRINTF(1, 2);
static int failed(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("duplex cert: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return DX_EXIT_FAILED;
}

// --- self-signed ------------------------------------------------------------------------------------------------------------

static int read_days(const cert *c, unsigned *days) {
    int64_t value = DAYS_DEFAULT;
    if (c->days && (!dx_slice_to_i64(dx_slice_str(c->days), &value) || value < 1 || value > DX_CERTIFICATE_DAYS_CAP))
        return dx_usage_error(&dx_cmd_cert, "--days: expected a number from 1 to %d, found \"%s\"", DX_CERTIFICATE_DAYS_CAP, c->days);
    *days = (unsigned)value;
    return DX_EXIT_OK;
}

static int read_names(const cert *c, dx_slice names[DX_CERTIFICATE_NAMES_CAP], size_t *count) {
    static const char *const usual[] = {"localhost", "127.0.0.1", "::1"};
    size_t given = c->count;
    if (given > DX_CERTIFICATE_NAMES_CAP) return dx_usage_error(&dx_cmd_cert, "expected at most %d names", DX_CERTIFICATE_NAMES_CAP);
    *count = given ? given : DX_COUNT_OF(usual);
    for (size_t i = 0; i < *count; i++) {
        names[i] = dx_slice_str(given ? c->words[i] : usual[i]);
        if (!dx_certificate_name_valid(names[i]))
            return dx_usage_error(&dx_cmd_cert, "\"%.*s\" is neither a host name nor an IP address", DX_SLICE_ARG(names[i]));
    }
    return DX_EXIT_OK;
}

static bool write_all(int fd, dx_slice text) {
    while (text.size) {
        ssize_t written = write(fd, text.data, text.size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        text = dx_slice_from(text, (size_t)written);
    }
    return fsync(fd) == 0;
}

// A whole file or none: it is written beside its place and then moved there. Without --force, a file that has come meanwhile is left alone.
static int write_file(const cert *c, dx_slice path, dx_slice text, mode_t mode) {
    dx_slice beside = dx_arena_printf(c->arena, "%.*s.%ld.new", DX_SLICE_ARG(path), (long)getpid());
    if (!beside.data) return failed("out of memory");
    int fd = open(beside.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) return failed("%s: %s", path.data, strerror(errno));
    bool good = fchmod(fd, mode) == 0 && write_all(fd, text);
    int error = errno;
    if (close(fd) != 0 && good) {
        good = false;
        error = errno;
    }
    if (good && (c->force ? rename(beside.data, path.data) : link(beside.data, path.data)) != 0) {
        good = false;
        error = errno;
    }
    if (!good || !c->force) (void)unlink(beside.data);
    return good ? DX_EXIT_OK : failed("%s: %s", path.data, strerror(error));
}

static int refuse_existing(const cert *c, dx_slice path) {
    struct stat about;
    if (c->force || lstat(path.data, &about) != 0) return DX_EXIT_OK;
    fprintf(stderr, "duplex cert: %s is there already; --force replaces it\n", path.data);
    return DX_EXIT_REFUSED;
}

static int write_files(const cert *c, dx_slice certificate, dx_slice key) {
    int result = refuse_existing(c, c->key_path);
    if (result == DX_EXIT_OK) result = refuse_existing(c, c->certificate_path);
    if (result == DX_EXIT_OK) result = write_file(c, c->key_path, key, 0600);
    if (result != DX_EXIT_OK) return result;
    result = write_file(c, c->certificate_path, certificate, 0644);
    if (result != DX_EXIT_OK) (void)unlink(c->key_path.data); // of no use without its certificate
    return result;
}

// A host that the certificate is for, as it stands in a URL.
static const char *host_of(const cert *c) {
    for (size_t i = 0; i < c->count; i++) {
        if (strchr(c->words[i], ':')) return dx_arena_printf(c->arena, "[%s]", c->words[i]).data;
        if (c->words[i][0] != '*') return c->words[i];
    }
    return "localhost";
}

static int tell(const cert *c) {
    const char *host = host_of(c);
    dx_buffer text;
    dx_buffer_init(&text, c->arena, PEM_CAP);
    dx_buffer_printf(&text, "Wrote %s and %s (keep the key to yourself).\nThe definition takes them so:\n\n", c->certificate_path.data,
                     c->key_path.data);
    DX_BUFFER_LIT(&text, "  \"server\": {\n    \"listen\": [{\"address\": \"127.0.0.1:8443\", \"tls\": true}],\n"
                         "    \"tls\": {\"certificates\": [{\"certificate\": ");
    dx_json_write_string(&text, c->certificate_path);
    DX_BUFFER_LIT(&text, ", \"key\": ");
    dx_json_write_string(&text, c->key_path);
    dx_buffer_printf(&text, "}]}\n  }\n\nNobody trusts it but who is told to: curl --cacert %s https://%s:8443/\n",
                     c->certificate_path.data, host ? host : "");
    return host && dx_buffer_status(&text) == DX_OK ? dx_print_output(dx_buffer_slice(&text)) : failed("out of memory");
}

static int place_files(cert *c) {
    const char *folder = c->out ? c->out : ".";
    size_t size = strlen(folder);
    const char *slash = size && folder[size - 1] == '/' ? "" : "/";
    if (mkdir(folder, 0755) != 0 && errno != EEXIST)
        return errno == ENOENT ? failed("%s: the folder that it should lie in does not exist; make that first", folder)
                               : failed("%s: %s", folder, strerror(errno));
    bool here = strcmp(folder, ".") == 0;
    c->certificate_path = dx_arena_printf(c->arena, "%s%s" CERTIFICATE, here ? "" : folder, here ? "" : slash);
    c->key_path = dx_arena_printf(c->arena, "%s%s" KEY, here ? "" : folder, here ? "" : slash);
    return c->certificate_path.data && c->key_path.data ? DX_EXIT_OK : failed("out of memory");
}

static int self_signed(cert *c) {
    dx_slice names[DX_CERTIFICATE_NAMES_CAP];
    dx_buffer certificate, key;
    size_t count = 0;
    unsigned days = 0;
    int result = read_days(c, &days);
    if (result == DX_EXIT_OK) result = read_names(c, names, &count);
    if (result == DX_EXIT_OK) result = place_files(c);
    if (result != DX_EXIT_OK) return result;
    dx_buffer_init(&certificate, c->arena, PEM_CAP);
    dx_buffer_init(&key, NULL, PEM_CAP);
    if (dx_certificate_self_signed(names, count, days, &certificate, &key) == DX_OK)
        result = write_files(c, dx_buffer_slice(&certificate), dx_buffer_slice(&key));
    else
        result = failed("the certificate could not be made");
    if (key.data) dx_secret_wipe(key.data, key.size);
    dx_buffer_deinit(&key);
    return result == DX_EXIT_OK ? tell(c) : result;
}

// --- show -------------------------------------------------------------------------------------------------------------------

static int read_file(const cert *c, const char *path, dx_buffer *out) {
    int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
    if (fd < 0) return failed("%s: %s", path, strerror(errno));
    dx_buffer_init(out, c->arena, PEM_CAP);
    for (char *to; (to = dx_buffer_reserve(out, 4096));) {
        ssize_t got = read(fd, to, 4096);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) error = errno;
        if (got <= 0) break;
        out->size += (size_t)got;
    }
    (void)close(fd);
    if (error) return failed("%s: %s", path, strerror(error));
    return dx_buffer_status(out) == DX_OK ? DX_EXIT_OK : failed("%s: more than 1 MiB", path);
}

static int show(cert *c) {
    dx_buffer pem = {0}, text;
    if (c->count != 1) return dx_usage_error(&dx_cmd_cert, "expected one file, found %zu", c->count);
    int result = read_file(c, c->words[0], &pem);
    if (result != DX_EXIT_OK) return result;
    dx_buffer_init(&text, c->arena, 4 * PEM_CAP);
    dx_status status = dx_certificate_describe(dx_buffer_slice(&pem), &text);
    if (status == DX_OK) return dx_print_output(dx_buffer_slice(&text));
    return failed("%s: %s", c->words[0], status == DX_MALFORMED ? "expected certificates in PEM form" : dx_status_title(status));
}

// --- the command ------------------------------------------------------------------------------------------------------------

static const cert_action actions[] = {{"self-signed", self_signed}, {"show", show}};

static int unknown_action(const char *name) {
    dx_slice names[DX_COUNT_OF(actions)];
    dx_hint hint;
    for (size_t i = 0; i < DX_COUNT_OF(actions); i++) names[i] = dx_slice_str(actions[i].name);
    return dx_usage_error(&dx_cmd_cert, "there is no action \"%s\"%s", name, dx_hint_write(&hint, name, names, DX_COUNT_OF(names)));
}

static int run(int argc, char **argv) {
    cert c = {0};
    int operands, result;
    const dx_option options[] = {{"--out", &c.out, NULL}, {"--days", &c.days, NULL}, {"--force", NULL, &c.force}};
    if (!dx_options_read(&dx_cmd_cert, argc, argv, options, DX_COUNT_OF(options), &operands)) return DX_EXIT_USAGE;
    if (operands == 0) return dx_usage_error(&dx_cmd_cert, "expected an action: self-signed or show");
    c.words = argv + 2;
    c.count = (size_t)operands - 1;
    for (size_t i = 0; i < DX_COUNT_OF(actions); i++) {
        if (strcmp(argv[1], actions[i].name) != 0) continue;
        bool takes = actions[i].run == self_signed;
        if (!takes && (c.out || c.days || c.force)) return dx_usage_error(&dx_cmd_cert, "%s takes no options", argv[1]);
        c.arena = dx_arena_create(ARENA_CAP);
        if (!c.arena) return failed("out of memory");
        result = actions[i].run(&c);
        dx_arena_destroy(c.arena);
        return result;
    }
    return unknown_action(argv[1]);
}

const dx_command dx_cmd_cert = {
    "cert",
    "make a certificate for development, or look at one",
    "Usage: duplex cert self-signed [--out DIR] [--days N] [--force] [NAME]...\n"
    "       duplex cert show FILE\n\n"
    "self-signed makes an ECDSA P-256 key and a certificate that signs itself, for these host names and IP addresses (default:\n"
    "localhost, 127.0.0.1 and ::1), writes them to DIR/" CERTIFICATE " and DIR/" KEY " (mode 0600), and prints what to put\n"
    "into the definition. It is for development: the public trusts only certificates of its authorities.\n"
    "show tells of every certificate in a PEM file: its names, how long it is valid, its key and its fingerprint.\n\n"
    "  --out DIR   the folder to write to, made if the one above it is there (default: the present one)\n"
    "  --days N    how long it is valid, 1 to 3650 (default: " DAYS_TEXT ")\n"
    "  --force     replace files that are there; without it they are left alone\n\n"
    "Exit status: 0 done, 1 it did not work, 2 wrong usage, 3 a file is there already.\n\n"
    "Examples:\n"
    "  duplex cert self-signed\n"
    "  duplex cert self-signed --out tls shop.localhost '*.shop.localhost' 192.0.2.7\n"
    "  duplex cert show tls/" CERTIFICATE "\n",
    run,
};
