// Logging in to an API as a person: authorization code with PKCE (RFC 7636, RFC 8252) and device code (RFC 8628).
#ifndef DX_CLI_AUTH_LOGIN_H
#define DX_CLI_AUTH_LOGIN_H

#include "client/oauth2.h"

typedef struct dx_login {
    dx_arena *arena;
    dx_tokens *tokens;
    const dx_oauth2 *oauth2;
    int64_t timeout_ms;
    dx_slice why; // what went wrong, for people
} dx_login;

// Talks to the person on standard output (what to open, what to type) and gets a token, in the arena. False: `why`.
bool dx_login_by_code(dx_login *login, dx_token *out);
bool dx_login_by_device(dx_login *login, dx_token *out);
// Tells the server that tokens are of no use any more (RFC 7009). False: it could not be told, and `why`.
bool dx_login_revoke(dx_login *login, const dx_token *token);

#endif
