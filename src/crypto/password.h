// Password hashes: Argon2id (RFC 9106) in the PHC string form; bcrypt hashes made elsewhere are verified and reported for upgrade. Slow by
// design: call it off the loop. Thread-safe.
#ifndef DX_CRYPTO_PASSWORD_H
#define DX_CRYPTO_PASSWORD_H

#include "base/slice.h"
#include "base/status.h"

typedef struct dx_password_cost {
    uint32_t memory_kib, passes, lanes;
} dx_password_cost;
#define DX_PASSWORD_COST_INIT                                                                                                              \
    { 19456, 2, 1 }                // OWASP's first choice
#define DX_PASSWORD_HASH_CAP  160  // bytes with the NUL
#define DX_PASSWORD_BYTES_CAP 1024 // a longer password is refused

dx_status dx_password_hash(char out[DX_PASSWORD_HASH_CAP], dx_slice password, const dx_password_cost *cost) DX_MUST_USE;
// DX_OK, or DX_BAD_CREDENTIALS. `*upgrade` (may be NULL): it matched, but the hash is bcrypt or has another cost: hash it anew. An empty
// `hash` (unknown account) costs the same time as a real one and never matches.
dx_status dx_password_verify(dx_slice hash, dx_slice password, const dx_password_cost *cost, bool *upgrade) DX_MUST_USE;
// Whether the password is on the list of common ones (embedded, compared without case), or its user name or e-mail address.
bool dx_password_is_common(dx_slice password);

#endif
