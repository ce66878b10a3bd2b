#include "client/auth_key.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "crypto/digest.h"

#define KEY_FILE_CAP ((size_t)64 << 10)

static bool read_file(dx_auth_reader *key, dx_slice path, char *out, size_t *size) {
    int fd = open(path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error = errno;
    char text[128];
    *size = 0;
    while (fd >= 0 && *size < KEY_FILE_CAP) {
        ssize_t got = read(fd, out + *size, KEY_FILE_CAP - *size);
        error = errno;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) *size = 0;
        if (got <= 0) break;
        *size += (size_t)got;
    }
    if (fd >= 0) (void)close(fd);
    if (*size == 0)
        dx_auth_refuse(key, "file", "%.*s: %s", DX_SLICE_ARG(path), fd < 0 || error ? strerror_r(error, text, sizeof text) : "it is empty");
    return *size > 0;
}

// Findings of a room that knows nothing of where a key came from.
static void tell(dx_auth_reader *key, const char *name, const dx_diags *found, dx_status status) {
    if (status == DX_OK || status == DX_NO_MEMORY) {
        if (status == DX_NO_MEMORY) key->status = status;
        return;
    }
    dx_auth_refuse(key, name, "%.*s", DX_SLICE_ARG(found->first ? found->first->message : DX_SLICE("it is no key for this algorithm")));
}

static void from_pem(dx_key **out, dx_auth_reader *key, dx_jws_algorithm algorithm, const char *name) {
    dx_diags found;
    dx_slice text = dx_auth_text(key, name);
    dx_diags_init(&found, key->arena);
    if (strcmp(name, "file") == 0) {
        char *data = dx_arena_bytes(key->arena, KEY_FILE_CAP);
        size_t size;
        if (!data) key->status = DX_NO_MEMORY;
        if (!data || !read_file(key, text, data, &size)) return;
        tell(key, name, &found, dx_key_from_pem(out, algorithm, dx_slice_of(data, size), &found));
        dx_secret_wipe(data, size);
        return;
    }
    tell(key, name, &found, dx_key_from_pem(out, algorithm, text, &found));
}

static const char *only_one(dx_auth_reader *key) {
    static const char *const kinds[] = {"secret", "pem", "file", "jwk"};
    const char *found = NULL;
    for (size_t i = 0; i < DX_COUNT_OF(kinds); i++) {
        if (!yyjson_obj_get(key->settings, kinds[i])) continue;
        if (found) dx_auth_refuse(key, kinds[i], "a key is one of \"secret\", \"pem\", \"file\" and \"jwk\"");
        found = kinds[i];
    }
    if (!found) dx_auth_refuse(key, NULL, "a key needs one of \"secret\", \"pem\", \"file\" and \"jwk\"");
    return found;
}

static void from_kind(dx_key **out, dx_auth_reader *key, dx_jws_algorithm algorithm, const char *kind) {
    dx_diags found;
    dx_diags_init(&found, key->arena);
    if (strcmp(kind, "jwk") == 0) {
        yyjson_val *jwk = dx_auth_object(key, "jwk");
        if (jwk) tell(key, kind, &found, dx_key_from_jwk(out, algorithm, jwk, &found));
    } else if (algorithm == DX_JWS_ALGORITHM_COUNT) {
        dx_auth_refuse(key, NULL, "a key needs \"algorithm\"");
    } else if (strcmp(kind, "secret") == 0) {
        dx_status status = dx_key_from_secret(out, algorithm, dx_auth_text(key, "secret"));
        if (status == DX_NO_MEMORY) key->status = status;
        if (status == DX_INVALID)
            dx_auth_refuse(key, "secret", "a secret of at least as many bytes as the digest is needed, and an HS algorithm");
    } else {
        from_pem(out, key, algorithm, kind);
    }
}

void dx_auth_key_read(dx_key **out, dx_slice *id, dx_auth_reader *reader, const char *name) {
    static const char *const names[] = {"algorithm", "id", "secret", "pem", "file", "jwk", NULL};
    dx_auth_reader key = dx_auth_reader_within(reader, name);
    dx_jws_algorithm algorithm = DX_JWS_ALGORITHM_COUNT;
    *out = NULL;
    if (!key.settings) {
        dx_auth_refuse(reader, NULL, "auth needs \"%s\", an object", name);
        return;
    }
    dx_auth_know(&key, names);
    dx_slice word = dx_auth_text(&key, "algorithm");
    *id = dx_auth_text(&key, "id");
    if (word.size && !dx_jws_algorithm_parse(word, &algorithm))
        dx_auth_refuse(&key, "algorithm", "there is no algorithm \"%.*s\"; RS256, PS256, ES256, EdDSA, HS256 are some", DX_SLICE_ARG(word));
    const char *kind = only_one(&key);
    if (kind && key.status == DX_OK) from_kind(out, &key, algorithm, kind);
    if (*out && !dx_key_can_sign(*out)) dx_auth_refuse(&key, kind, "this is a public key: it can't sign");
    if (key.status != DX_OK) {
        dx_key_destroy(*out);
        *out = NULL;
    }
    dx_auth_reader_join(reader, &key);
}
