// What runs: the library's version and those of the libraries it stands on, as they are loaded now.
#include "duplex/version.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>
#include <yyjson.h>

#include "base/compiler.h"

_Static_assert(__builtin_strcmp(DX_VERSION, DX_VERSION_STRING) == 0, "duplex/version.h and meson.build name different versions");

const char *dx_version(void) {
    return DX_VERSION_STRING;
}

unsigned dx_version_number(void) {
    return DX_VERSION_NUMBER;
}

static void write_features(char *to, size_t room, int bits) {
    static const struct {
        int bit;
        const char *name;
    } known[] = {{CURL_VERSION_SSL, "tls"},
                 {CURL_VERSION_HTTP2, "http2"},
                 {CURL_VERSION_HTTP3, "http3"},
                 {CURL_VERSION_LIBZ, "gzip"},
                 {CURL_VERSION_BROTLI, "br"},
                 {CURL_VERSION_ZSTD, "zstd"},
                 {CURL_VERSION_IDN, "idn"},
                 {CURL_VERSION_IPV6, "ipv6"},
                 {CURL_VERSION_UNIX_SOCKETS, "unix-sockets"},
                 {CURL_VERSION_ASYNCHDNS, "async-dns"},
                 {CURL_VERSION_PSL, "psl"},
                 {CURL_VERSION_THREADSAFE, "threadsafe"}};
    size_t size = 0;
    for (size_t i = 0; i < DX_COUNT_OF(known); i++) {
        if (!(bits & known[i].bit)) continue;
        int added = snprintf(to + size, room - size, "%s%s", size ? " " : "", known[i].name);
        if (added < 0 || (size_t)added >= room - size) return;
        size += (size_t)added;
    }
}

static void write_word(char *to, const char *word) {
    (void)snprintf(to, DX_BUILD_WORD_SIZE, "%s", word ? word : "");
}

void dx_build_info(dx_build *out) {
    dx_build build = DX_BUILD_INIT;
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    uint32_t yyjson = yyjson_version();
    write_word(build.version, DX_VERSION_STRING);
    write_word(build.libcurl, curl->version);
    write_word(build.tls, curl->ssl_version);
    write_word(build.openssl, OpenSSL_version(OPENSSL_VERSION_STRING));
    write_word(build.libuv, uv_version_string());
    (void)snprintf(build.yyjson, sizeof build.yyjson, "%u.%u.%u", yyjson >> 16 & 0xff, yyjson >> 8 & 0xff, yyjson & 0xff);
    write_features(build.features, sizeof build.features, curl->features);
    size_t size = out->size < sizeof build ? out->size : sizeof build;
    build.size = out->size;
    memcpy(out, &build, size);
}
