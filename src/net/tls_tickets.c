// Session tickets (RFC 5077; RFC 8446 section 4.6.1) that any worker, and any context, can open: AES-256-CBC under HMAC-SHA-256, as RFC
// 5077 section 4 recommends. Keys are random, live in memory alone and are wiped when they are too old to open anything, which bounds what
// a stolen key gives away. The lock is held for a copy of 88 bytes, in a handshake, never in a request.
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#include "base/memory.h"
#include "base/random.h"
#include "net/tls_parts.h"

struct dx_tls_tickets {
    atomic_uint holders;
    pthread_mutex_t lock;
    dx_tls_ticket_key keys[DX_TLS_TICKET_KEYS]; // newest first
    unsigned count;
};

// A key of age a opens tickets while a < rotation + life: the last ticket that it sealed is then as old as its life.
static bool opens(const dx_tls_ticket_key *key, dx_nanos now) {
    return now - key->born < DX_TLS_TICKET_ROTATION + DX_TLS_TICKET_LIFE * DX_SECOND;
}

static void rotate(dx_tls_tickets *tickets, dx_nanos now) {
    while (tickets->count && !opens(&tickets->keys[tickets->count - 1], now))
        OPENSSL_cleanse(&tickets->keys[--tickets->count], sizeof tickets->keys[0]);
    if (tickets->count && now - tickets->keys[0].born < DX_TLS_TICKET_ROTATION) return;
    if (tickets->count == DX_TLS_TICKET_KEYS) tickets->count--;
    memmove(&tickets->keys[1], &tickets->keys[0], tickets->count * sizeof tickets->keys[0]);
    dx_tls_ticket_key *key = &tickets->keys[0];
    dx_random_bytes(key->name, sizeof key->name);
    dx_random_bytes(key->cipher, sizeof key->cipher);
    dx_random_bytes(key->mac, sizeof key->mac);
    key->born = now;
    tickets->count++;
}

void dx_tls_tickets_current(dx_tls_tickets *tickets, dx_nanos now, dx_tls_ticket_key *out) {
    (void)pthread_mutex_lock(&tickets->lock);
    rotate(tickets, now);
    *out = tickets->keys[0];
    (void)pthread_mutex_unlock(&tickets->lock);
}

int dx_tls_tickets_find(dx_tls_tickets *tickets, dx_nanos now, const uint8_t name[16], dx_tls_ticket_key *out) {
    int found = 0;
    (void)pthread_mutex_lock(&tickets->lock);
    rotate(tickets, now);
    for (unsigned i = 0; i < tickets->count && !found; i++) {
        if (memcmp(tickets->keys[i].name, name, sizeof tickets->keys[i].name) != 0) continue;
        *out = tickets->keys[i];
        found = i == 0 ? 1 : 2;
    }
    (void)pthread_mutex_unlock(&tickets->lock);
    return found;
}

dx_status dx_tls_tickets_create(dx_tls_tickets **out) {
    dx_tls_tickets *tickets = dx_memory_zalloc(1, sizeof *tickets);
    if (!tickets) return DX_NO_MEMORY;
    atomic_init(&tickets->holders, 1);
    if (pthread_mutex_init(&tickets->lock, NULL) != 0) {
        dx_memory_free(tickets);
        return DX_NO_MEMORY;
    }
    *out = tickets;
    return DX_OK;
}

dx_tls_tickets *dx_tls_tickets_hold(dx_tls_tickets *tickets) {
    if (tickets) (void)atomic_fetch_add_explicit(&tickets->holders, 1, memory_order_relaxed);
    return tickets;
}

void dx_tls_tickets_release(dx_tls_tickets *tickets) {
    if (!tickets || atomic_fetch_sub_explicit(&tickets->holders, 1, memory_order_acq_rel) != 1) return;
    (void)pthread_mutex_destroy(&tickets->lock);
    OPENSSL_cleanse(tickets, sizeof *tickets);
    dx_memory_free(tickets);
}

// --- OpenSSL's side ---------------------------------------------------------------------------------------------------------

static bool set_mac(EVP_MAC_CTX *mac, dx_tls_ticket_key *key) {
    static char sha256[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, sizeof sha256 - 1),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal(dx_tls_ticket_key *key, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac) {
    memcpy(name, key->name, sizeof key->name);
    dx_random_bytes(iv, 16);
    return EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher, iv, NULL) == 1 && set_mac(mac, key) ? 1 : -1;
}

// Returns what OpenSSL wants: 0 an unknown key, 1 opened, 2 opened, but a new ticket is due; negative: a failure.
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing) {
    dx_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    dx_tls_ticket_key key;
    int result = 1;
    if (sealing) {
        dx_tls_tickets_current(tls->tickets, dx_clock_monotonic(), &key);
        result = seal(&key, name, iv, cipher, mac);
    } else {
        result = dx_tls_tickets_find(tls->tickets, dx_clock_monotonic(), name, &key);
        if (result == 0) return 0;
        if (SSL_version(ssl) == TLS1_3_VERSION) result = 2; // clients use a ticket once (RFC 8446 appendix C.4)
        if (EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher, iv, NULL) != 1 || !set_mac(mac, &key)) result = -1;
    }
    OPENSSL_cleanse(&key, sizeof key);
    return result;
}

void dx_tls_tickets_use(SSL_CTX *ctx, dx_tls_tickets *tickets) {
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (!tickets) {
        (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        (void)SSL_CTX_set_num_tickets(ctx, 0);
        return;
    }
    (void)SSL_CTX_set_timeout(ctx, DX_TLS_TICKET_LIFE);
    (void)SSL_CTX_set_num_tickets(ctx, 2); // a browser opens more than one connection at once, and uses each ticket once
    (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}
