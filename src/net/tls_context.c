// Contexts: what every connection of an endpoint has in common, built once from files. Certificates of the same names share one SSL_CTX, of
// which OpenSSL picks the key that the client can check; SNI picks the SSL_CTX, by an exact look-up and then one for the wildcard.
#include <openssl/err.h>

#include "base/log.h"
#include "base/memory.h"
#include "net/tls_parts.h"

#define ARENA_CAP ((size_t)16 << 20)
#define GROUPS    "X25519:P-256:P-384"
#define CIPHERS                                                                                                                            \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                 \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

// --- what a handshake asks --------------------------------------------------------------------------------------------------

const dx_tls_host *dx_tls_host_for(const dx_tls *tls, dx_slice name) {
    const dx_tls_host *host = dx_map_get(&tls->exact, name);
    size_t dot = host ? SIZE_MAX : dx_slice_find(name, '.');
    if (dot != SIZE_MAX && dot > 0) host = dx_map_get(&tls->wildcard, dx_slice_from(name, dot + 1));
    return host ? host : &tls->hosts[0];
}

// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL says the type
static int on_name(SSL *ssl, int *alert, void *ctx) {
    const dx_tls *tls = ctx;
    dx_tls_session *session = SSL_get_app_data(ssl);
    const char *sent = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    if (!sent) return SSL_TLSEXT_ERR_NOACK;
    size_t size = strnlen(sent, DX_TLS_NAME_CAP);
    if (size && sent[size - 1] == '.') size--;
    if (size == 0 || size >= DX_TLS_NAME_CAP) return SSL_TLSEXT_ERR_NOACK;
    for (size_t i = 0; i < size; i++) session->name[i] = sent[i] >= 'A' && sent[i] <= 'Z' ? (char)(sent[i] | 0x20) : sent[i];
    session->facts.server_name = dx_slice_of(session->name, size);
    const dx_tls_host *host = dx_tls_host_for(tls, session->facts.server_name);
    if (host->ctx != SSL_get_SSL_CTX(ssl) && !SSL_set_SSL_CTX(ssl, host->ctx)) return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *size, const unsigned char *in, unsigned in_size, void *ctx) {
    static const unsigned char both[] = "\x02h2\x08http/1.1";
    const dx_tls *tls = ctx;
    const unsigned char *own = tls->http2 ? both : both + 3;
    unsigned own_size = (unsigned)(sizeof both - 1) - (tls->http2 ? 0u : 3u);
    unsigned char *picked;
    (void)ssl;
    if (SSL_select_next_proto(&picked, size, own, own_size, in, in_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; // no_application_protocol (RFC 7301 section 3.2)
    *out = picked;
    return SSL_TLSEXT_ERR_OK;
}

static int on_status(SSL *ssl, void *ctx) {
    const dx_tls *tls = ctx;
    const dx_tls_session *session = SSL_get_app_data(ssl);
    const X509 *certificate = SSL_get_certificate(ssl);
    for (size_t i = 0; i < tls->staple_count; i++) {
        if (dx_tls_staple_certificate(tls->staples[i]) != certificate) continue;
        return dx_tls_staple_use(tls->staples[i], ssl, session->loop) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

// --- building ---------------------------------------------------------------------------------------------------------------

// While a context is built.
typedef struct build {
    dx_tls *tls;
    const dx_tls_options *options;
    dx_diags *diags;
    dx_tls_identity *identities;
    dx_tls_authorities authorities;
    unsigned char session_context[32];
} build;

// Tickets are opened by every context of the process, but a session may be resumed only where its client was verified by the same rules:
// OpenSSL compares this.
static dx_status name_sessions(build *b) {
    unsigned size = 0;
    uint8_t rules[2] = {(uint8_t)b->options->client, (uint8_t)b->options->least_version};
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool good = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(digest, rules, sizeof rules) == 1;
    for (int i = 0; good && i < sk_X509_num(b->authorities.certificates); i++) {
        unsigned char one[EVP_MAX_MD_SIZE];
        good = X509_digest(sk_X509_value(b->authorities.certificates, i), EVP_sha256(), one, &size) == 1 &&
               EVP_DigestUpdate(digest, one, size) == 1;
    }
    good = good && EVP_DigestFinal_ex(digest, b->session_context, &size) == 1;
    EVP_MD_CTX_free(digest);
    return good ? DX_OK : DX_NO_MEMORY;
}

static dx_status set_ciphers(const build *b, SSL_CTX *ctx) {
    dx_tls_place place = {b->diags, b->options->pointer};
    const char *ciphers = b->options->ciphers;
    if (SSL_CTX_set_ciphersuites(ctx, SUITES) != 1) return DX_NO_MEMORY;
    if (ciphers && strchr(ciphers, '@'))
        return dx_tls_fault(&place, "ciphers", NULL, "expected names of ciphers; the security level cannot be changed");
    if (SSL_CTX_set_cipher_list(ctx, ciphers ? ciphers : CIPHERS) == 1) return DX_OK;
    if (!ciphers) return DX_NO_MEMORY;
    return dx_tls_fault(&place, "ciphers", "leave it out, or see what it means by: openssl ciphers -s -v 'CIPHERS'",
                        "there is no cipher for TLS 1.2 in \"%s\" that is strong enough", ciphers);
}

static dx_status configure(const build *b, SSL_CTX *ctx) {
    const dx_tls_options *options = b->options;
    SSL_CTX_set_security_level(ctx, 2);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                       SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_alpn_select_cb(ctx, on_protocols, b->tls);
    (void)SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
    (void)SSL_CTX_set_tlsext_servername_arg(ctx, b->tls);
    (void)SSL_CTX_set_tlsext_status_cb(ctx, on_status);
    (void)SSL_CTX_set_tlsext_status_arg(ctx, b->tls);
    dx_tls_tickets_use(ctx, options->tickets);
    if (SSL_CTX_set_min_proto_version(ctx, options->least_version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, 0) != 1 || SSL_CTX_set1_groups_list(ctx, GROUPS) != 1 ||
        SSL_CTX_set_app_data(ctx, b->tls) != 1 || SSL_CTX_set_session_id_context(ctx, b->session_context, sizeof b->session_context) != 1)
        return DX_NO_MEMORY;
    if (options->client == DX_TLS_CLIENT_NONE) return DX_OK;
    return dx_tls_authorities_use(&b->authorities, ctx, options->client == DX_TLS_CLIENT_REQUIRED);
}

static unsigned key_kind(const EVP_PKEY *key) {
    static const char *const kinds[] = {"RSA", "RSA-PSS", "EC", "ED25519", "ED448"};
    for (unsigned i = 0; i < DX_COUNT_OF(kinds); i++)
        if (EVP_PKEY_is_a(key, kinds[i])) return 1u << i;
    return 0;
}

static bool same_names(const dx_tls_identity *a, const dx_tls_identity *b) {
    if (a->name_count == 0 || a->name_count != b->name_count) return false;
    for (size_t i = 0; i < a->name_count; i++)
        if (!dx_slice_equal(a->names[i], b->names[i])) return false;
    return true;
}

static dx_status find_host(dx_tls_host **out, const build *b, const dx_tls_identity *identity) {
    dx_tls *tls = b->tls;
    unsigned kind = key_kind(identity->key);
    for (size_t i = 0; i < tls->host_count; i++) {
        if ((tls->hosts[i].kinds & kind) || !same_names(tls->hosts[i].identity, identity)) continue;
        tls->hosts[i].kinds |= kind;
        *out = &tls->hosts[i];
        return DX_OK;
    }
    dx_tls_host *host = &tls->hosts[tls->host_count];
    host->ctx = SSL_CTX_new(TLS_server_method());
    if (!host->ctx) return DX_NO_MEMORY;
    host->identity = identity;
    host->kinds = kind;
    tls->host_count++;
    *out = host;
    return configure(b, host->ctx);
}

// The first certificate that has a name keeps it.
static dx_status add_names(dx_tls *tls, dx_tls_host *host, const dx_tls_identity *identity) {
    for (size_t i = 0; i < identity->name_count; i++) {
        bool wild = dx_slice_starts(identity->names[i], DX_SLICE("*."));
        dx_map *map = wild ? &tls->wildcard : &tls->exact;
        dx_slice name = wild ? dx_slice_from(identity->names[i], 2) : identity->names[i];
        dx_tls_host *other = dx_map_get(map, name);
        if (other && other != host)
            dx_log(DX_LOG_WARN, "tls", "%.*s is in more than one certificate; the first one is served", DX_SLICE_ARG(identity->names[i]));
        if (!other && dx_map_put(map, name, host) != DX_OK) return DX_NO_MEMORY;
    }
    return DX_OK;
}

static dx_status add_identity(build *b, const dx_tls_certificate *entry, const dx_tls_identity *identity) {
    dx_tls *tls = b->tls;
    dx_tls_place place = {b->diags, entry->pointer};
    dx_tls_host *host = NULL;
    dx_status status = find_host(&host, b, identity);
    if (status != DX_OK) return status;
    ERR_clear_error();
    if (SSL_CTX_use_cert_and_key(host->ctx, identity->certificate, identity->key, identity->chain, 0) != 1) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        status = dx_tls_fault(&place, "certificate", "have it issued anew with today's algorithms", "%s cannot be served: %s",
                              entry->certificate, reason ? reason : "OpenSSL refuses it");
        ERR_clear_error();
        return status;
    }
    if (identity->expires < tls->expires) tls->expires = identity->expires;
    status = add_names(tls, host, identity);
    if (status != DX_OK || !entry->ocsp) return status;
    status = dx_tls_staple_create(&tls->staples[tls->staple_count], tls, entry, identity, b->diags);
    if (status == DX_OK) tls->staple_count++;
    return status;
}

static dx_status load_files(build *b) {
    const dx_tls_options *options = b->options;
    dx_status status = DX_OK;
    for (size_t i = 0; i < options->count; i++) {
        dx_status one = dx_tls_identity_load(&b->identities[i], &options->certificates[i], b->tls->arena, b->diags);
        if (status == DX_OK) status = one;
    }
    if (options->client == DX_TLS_CLIENT_NONE) return status;
    dx_status one = dx_tls_authorities_load(&b->authorities, options->client_ca, options->pointer, b->diags);
    return status == DX_OK ? one : status;
}

static dx_status build_all(build *b) {
    dx_status status = load_files(b);
    if (status == DX_OK) status = name_sessions(b);
    for (size_t i = 0; i < b->options->count && (status == DX_OK || status == DX_INVALID); i++) {
        if (!b->identities[i].certificate) continue;
        dx_status one = status == DX_OK ? add_identity(b, &b->options->certificates[i], &b->identities[i]) : DX_OK;
        if (status == DX_OK) status = one;
    }
    // Ciphers are the same for all; their mistake is told once.
    for (size_t i = 0; i < b->tls->host_count && status == DX_OK; i++) status = set_ciphers(b, b->tls->hosts[i].ctx);
    return status;
}

static dx_status allocate(dx_tls *tls, build *b) {
    size_t count = b->options->count;
    tls->arena = dx_arena_create(ARENA_CAP);
    if (!tls->arena) return DX_NO_MEMORY;
    dx_map_init(&tls->exact, tls->arena);
    dx_map_init(&tls->wildcard, tls->arena);
    tls->hosts = DX_ARENA_ARRAY(tls->arena, dx_tls_host, count);
    tls->staples = DX_ARENA_ARRAY(tls->arena, dx_tls_staple *, count);
    b->identities = DX_ARENA_ARRAY(tls->arena, dx_tls_identity, count);
    return tls->hosts && tls->staples && b->identities ? DX_OK : DX_NO_MEMORY;
}

dx_status dx_tls_create(dx_tls **out, const dx_tls_options *options, dx_diags *diags) {
    dx_tls_place place = {diags, options->pointer};
    if (options->count == 0)
        return dx_tls_fault(&place, "certificates", "for development: duplex cert self-signed", "expected at least one certificate");
    dx_tls *tls = dx_memory_zalloc(1, sizeof *tls);
    if (!tls) return DX_NO_MEMORY;
    build b = {.tls = tls, .options = options, .diags = diags};
    atomic_init(&tls->holders, 1);
    tls->expires = INT64_MAX;
    tls->http2 = options->http2;
    tls->tickets = dx_tls_tickets_hold(options->tickets);
    dx_status status = allocate(tls, &b);
    if (status == DX_OK) status = build_all(&b);
    for (size_t i = 0; b.identities && i < options->count; i++) dx_tls_identity_free(&b.identities[i]);
    dx_tls_authorities_free(&b.authorities);
    for (size_t i = 0; i < tls->host_count; i++) tls->hosts[i].identity = NULL;
    ERR_clear_error();
    if (status == DX_OK)
        *out = tls;
    else
        dx_tls_release(tls);
    return status;
}

dx_tls *dx_tls_hold(dx_tls *tls) {
    (void)atomic_fetch_add_explicit(&tls->holders, 1, memory_order_relaxed);
    return tls;
}

void dx_tls_release(dx_tls *tls) {
    if (!tls || atomic_fetch_sub_explicit(&tls->holders, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < tls->staple_count; i++) dx_tls_staple_destroy(tls->staples[i]);
    for (size_t i = 0; i < tls->host_count; i++) SSL_CTX_free(tls->hosts[i].ctx);
    dx_tls_tickets_release(tls->tickets);
    dx_arena_destroy(tls->arena);
    dx_memory_free(tls);
}

int64_t dx_tls_expires(const dx_tls *tls) {
    return tls->expires;
}
