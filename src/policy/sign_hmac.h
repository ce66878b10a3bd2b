// Requests signed with a shared secret (HMAC, RFC 2104), both sides of it: making the header fields, and judging those that came. What is
// signed is a text of parts, by default everything that matters of a request (docs/signing.md has it to the byte); other parts and
// separators make the schemes that many webhooks use. Pure functions over slices: what they make lies in the arena; settings and keys are
// only read, so any thread may use them at once.
#ifndef DX_POLICY_SIGN_HMAC_H
#define DX_POLICY_SIGN_HMAC_H

#include "base/diag.h"
#include "policy/sign.h"

typedef enum dx_sign_digest { DX_SIGN_SHA256, DX_SIGN_SHA512 } dx_sign_digest;
typedef enum dx_sign_encoding { DX_SIGN_HEX, DX_SIGN_BASE64 } dx_sign_encoding;
typedef enum dx_sign_time { DX_SIGN_SECONDS, DX_SIGN_MILLISECONDS, DX_SIGN_RFC3339 } dx_sign_time; // the first two since 1970
// The body as its bytes; where Content-Type says JSON as its canonical form (RFC 8785), else as its bytes; or not at all.
typedef enum dx_sign_body { DX_SIGN_BODY_BYTES, DX_SIGN_BODY_JSON, DX_SIGN_BODY_NONE } dx_sign_body;

typedef enum dx_sign_part {
    DX_SIGN_ALGORITHM,   // "hmac-sha256"
    DX_SIGN_LITERAL,     // `literal`
    DX_SIGN_METHOD,      // in upper case
    DX_SIGN_PATH,        // dx_sign_path
    DX_SIGN_QUERY,       // dx_sign_query
    DX_SIGN_FIELDS,      // a part for each of `fields`: "name:value"; "name" when the request has none
    DX_SIGN_TIMESTAMP,   // as in its header field
    DX_SIGN_NONCE,       // likewise; empty without `nonce_header`
    DX_SIGN_KEY_ID,      // likewise
    DX_SIGN_BODY_DIGEST, // in lower-case hex
    DX_SIGN_BODY,        // itself
    DX_SIGN_PART_COUNT
} dx_sign_part;
bool dx_sign_part_parse(dx_slice name, dx_sign_part *out); // "algorithm" "literal" "method" … "body_digest" "body"

#define DX_SIGN_PARTS_CAP  16
#define DX_SIGN_FIELDS_CAP 32
#define DX_SIGN_NONCE_CAP  128 // bytes
#define DX_SIGN_VALUE_CAP  256 // bytes of any header field read here

typedef struct dx_sign_hmac {
    dx_sign_digest digest;
    dx_sign_encoding encoding; // of the signature
    dx_sign_time time;
    dx_sign_body body;
    const dx_sign_part *parts; // count 0: algorithm, method, path, query, fields, timestamp, nonce, body_digest
    size_t part_count;
    dx_slice separator, literal;
    const dx_slice *fields; // header fields to be signed, in this order; at most DX_SIGN_FIELDS_CAP
    size_t field_count;
    dx_slice signature_header, prefix; // the prefix stands before the signature: "sha256="
    dx_slice timestamp_header;
    dx_slice nonce_header;  // empty: no nonce
    dx_slice key_id_header; // empty: no key id; then every key is tried
    int64_t window_s;       // how far a timestamp may lie from now, either way; 0: it is not looked at
} dx_sign_hmac;
#define DX_SIGN_HMAC_INIT                                                                                                                  \
    {                                                                                                                                      \
        .separator = DX_SLICE_INIT("\n"), .signature_header = DX_SLICE_INIT("x-signature"),                                                \
        .timestamp_header = DX_SLICE_INIT("x-timestamp"), .nonce_header = DX_SLICE_INIT("x-nonce"),                                        \
        .key_id_header = DX_SLICE_INIT("x-key-id"), .window_s = 300                                                                        \
    }

typedef struct dx_sign_key {
    dx_slice id;
    dx_slice secret;
} dx_sign_key;

// Settings that can't work or protect nothing, each with its JSON pointer: a window over a timestamp that isn't signed, parts without a
// separator … DX_INVALID or DX_OK. To be asked once, when settings are read.
dx_status dx_sign_hmac_check(const dx_sign_hmac *settings, dx_diags *diags) DX_MUST_USE;

// The text to be signed, for logs of those who look for a difference. It may hold the body.
dx_status dx_sign_hmac_input(dx_slice *out, dx_arena *arena, const dx_sign_hmac *settings, const dx_sign_request *request,
                             dx_slice timestamp, dx_slice nonce, dx_slice key_id) DX_MUST_USE;

// Adds to `out` the fields to be sent: timestamp, nonce, key id, signature. A `nonce` that is empty is drawn, where settings want one.
// DX_MALFORMED or DX_INVALID: a JSON body that is none, or has no canonical form; DX_BAD_REQUEST: a broken escape in path or query;
// DX_INVALID: a field's value or the nonce can't be signed; DX_TOO_LARGE; DX_NO_MEMORY.
dx_status dx_sign_hmac_make(dx_fields *out, dx_arena *arena, const dx_sign_hmac *settings, const dx_sign_request *request,
                            const dx_sign_key *key, dx_micros_utc now, dx_slice nonce) DX_MUST_USE;

typedef struct dx_sign_verify {
    const dx_sign_key *keys; // those of one id are all tried: so keys are changed without a gap
    size_t key_count;
    dx_micros_utc now;
    // Asked once, of a request whose signature is right: whether this nonce (without nonces: the signature, in lower-case hex) of this key
    // was there before; if not, it is to be remembered until `until` at least (INT64_MAX without a window). May be NULL. Called in the
    // caller's thread; must look and remember in one step.
    bool (*seen)(void *ctx, dx_slice key_id, dx_slice nonce, dx_micros_utc until);
    void *ctx;
} dx_sign_verify;

typedef struct dx_sign_verdict {
    const dx_sign_key *key; // whose signature it is; NULL when refused
    dx_slice field;         // the header field at fault; empty: the request as a whole
    const char *reason;     // static, the end of a sentence, for logs: "it is too old"; NULL when all is well
} dx_sign_verdict;

// DX_OK; DX_UNAUTHENTICATED: no signature; DX_BAD_CREDENTIALS: refused; DX_MALFORMED: the body is not the JSON it must be; DX_TOO_LARGE;
// DX_NO_MEMORY. Signatures are compared in constant time, and an unknown key id costs what a known one does.
dx_status dx_sign_hmac_verify(dx_sign_verdict *out, dx_arena *arena, const dx_sign_hmac *settings, const dx_sign_request *request,
                              const dx_sign_verify *by) DX_MUST_USE;

// For sign_hmac*.c alone: the keyed digest of `input`; its size in bytes.
size_t dx_sign_hmac_digest(uint8_t out[64], const dx_sign_hmac *settings, dx_slice secret, dx_slice input);
bool dx_sign_hmac_has_part(const dx_sign_hmac *settings, dx_sign_part part);

#endif
