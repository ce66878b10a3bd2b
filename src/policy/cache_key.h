// The primary key of a cached response: space (which API), credential (whose), method and URL, one after the other. Whoever differs in any
// of them shares nothing.
//
// In memory the whole key is compared; its hash under the process's own key only finds the place, so that no outsider can choose URLs that
// meet. Where a key must be short and the same in every process (Redis), it is a SHA-256 cut to 128 bits, and the entry that is found says
// its whole key again.
#ifndef DX_POLICY_CACHE_KEY_H
#define DX_POLICY_CACHE_KEY_H

#include "base/arena.h"
#include "codec/http.h"

#define DX_CACHE_SPACE_CAP       128 // bytes
#define DX_CACHE_CREDENTIAL_SIZE 32  // hex digits
#define DX_CACHE_DIGEST_SIZE     32  // hex digits

typedef struct dx_cache_key {
    dx_slice text;     // space LF credential LF method LF url
    dx_slice space;    // these are parts of it
    dx_slice url;      // normalised
    uint64_t hash;     // of text; of this process alone
    uint64_t url_hash; // of space and url: what every credential's entries of one URL have in common
} dx_cache_key;

typedef struct dx_cache_key_parts {
    dx_slice space;      // the API's name, or "prefix/name"; no control characters
    dx_slice credential; // dx_cache_credential; empty: nobody's, which every caller without credentials shares
    dx_method method;    // HEAD is looked up as GET
    dx_slice url;        // absolute, http or https, with its query; in any spelling
} dx_cache_key_parts;

// Everything lies in the arena. DX_BAD_REQUEST: not a URL to be cached (policy/cache_url.h), or a part that is none; DX_NO_MEMORY. Any
// thread.
dx_status dx_cache_key_make(dx_cache_key *out, dx_arena *arena, const dx_cache_key_parts *parts) DX_MUST_USE;
// The space and the URL of a key's text. False when it is none; the slices point into it.
bool dx_cache_key_split(dx_slice text, dx_slice *space, dx_slice *url);
// The identity of a credential, made once when it is set up: `kind` ("bearer", "basic", an account's name, …) and the secret as it is sent.
// From 128 bits of SHA-256 nobody finds the secret, unless it is so weak that it can be guessed.
void dx_cache_credential(char out[DX_CACHE_CREDENTIAL_SIZE], dx_slice kind, dx_slice secret);
// The same for a call: `identity` (of the credential that an auth handler will send; empty: none) together with what the caller itself
// sends in Authorization, Proxy-Authorization, Cookie and X-Api-Key, and in the fields of `names` (secret parameters). To be asked before
// auth has put its own into `request`: a token that is renewed is still the same credential. `out` is the storage of what is returned;
// empty: nobody's.
dx_slice dx_cache_credential_of_call(char out[DX_CACHE_CREDENTIAL_SIZE], dx_slice identity, const dx_fields *request, const dx_slice *names,
                                     size_t count);
// The key's name in a store outside: 128 bits of SHA-256 of its text, in hex.
void dx_cache_key_digest(char out[DX_CACHE_DIGEST_SIZE], dx_slice text);
uint64_t dx_cache_url_hash(dx_slice space, dx_slice normalised_url);

// Whether all of `text` is as `pattern` says: "*" stands for any bytes, also none and also "/"; "?" for one byte; "\" takes the meaning
// from the next. Costs at most the product of both sizes. DX_CACHE_PATTERN_CAP is the caller's to check.
#define DX_CACHE_PATTERN_CAP 1024
bool dx_cache_pattern_matches(dx_slice pattern, dx_slice text);

#endif
