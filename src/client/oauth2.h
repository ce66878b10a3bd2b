// OAuth 2 (RFC 6749): what an auth object of the type oauth2 says, and the requests that are made of it. Also for `duplex auth`, which
// talks to the person where a grant needs one.
#ifndef DX_CLIENT_OAUTH2_H
#define DX_CLIENT_OAUTH2_H

#include "client/token_form.h"
#include "crypto/jwt.h"

typedef enum dx_oauth2_grant {
    DX_GRANT_CLIENT_CREDENTIALS,
    DX_GRANT_REFRESH_TOKEN,
    DX_GRANT_PASSWORD,
    DX_GRANT_AUTHORIZATION_CODE,
    DX_GRANT_DEVICE_CODE
} dx_oauth2_grant;
typedef enum dx_client_auth { DX_CLIENT_POST, DX_CLIENT_BASIC, DX_CLIENT_KEY, DX_CLIENT_NONE } dx_client_auth;

typedef struct dx_oauth2 {
    dx_arena *arena; // of all of it, this too; wiped
    dx_oauth2_grant grant;
    dx_slice token_url, refresh_url, authorize_url, device_url, revoke_url;
    dx_slice client_id, client_secret, username, password, refresh_token;
    dx_slice scopes, audience, resource;
    dx_client_auth client_auth;
    dx_key *key; // of private_key_jwt
    dx_slice key_id, assertion_audience;
    dx_token_format format;
    dx_method method;
    yyjson_val *token_params, *authorization_params, *refresh_params, *device_params, *headers; // copies; NULL: none
    dx_slice token_path, refresh_path, expires_path;
    bool pkce;
    uint16_t redirect_port; // 0: one that is free
    dx_slice redirect_path, redirect_host;
    dx_slice upstream;
} dx_oauth2;

// Reads an auth object; what is wrong is in the reader. NULL without memory.
dx_oauth2 *dx_oauth2_read(dx_auth_reader *reader, dx_slice upstream);
void dx_oauth2_destroy(dx_oauth2 *oauth2); // takes NULL
extern const dx_token_source_ops dx_oauth2_source;

// One request to `url` with what the client shows of itself and the form's values; the form is changed. As dx_token_source_ops.ask.
dx_status dx_oauth2_ask(const dx_oauth2 *oauth2, dx_token_form *form, dx_slice url, dx_token_ask *out) DX_MUST_USE;
// As dx_token_source_ops.take.
dx_token_outcome dx_oauth2_take(const dx_oauth2 *oauth2, dx_arena *arena, const dx_exchange_response *response, const dx_token *old,
                                dx_token *out, dx_slice *why);

// --- of dx_auth objects: what `duplex auth` asks them
dx_tokens *dx_auth_tokens(dx_auth *auth);          // NULL: it has none
const dx_oauth2 *dx_auth_oauth2_of(dx_auth *auth); // NULL: it is another type

#endif
