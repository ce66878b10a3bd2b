// AWS Signature Version 4 with one credential (AWS4-HMAC-SHA256): as header fields, or as a query that makes a URL good for a while.
// Payloads in signed chunks and the asymmetric form (SigV4A) are not here. Pure functions: what they make lies in the arena. Any thread.
#ifndef DX_POLICY_SIGN_AWS_H
#define DX_POLICY_SIGN_AWS_H

#include "policy/sign.h"

typedef struct dx_sign_aws {
    dx_slice access_key_id, secret_access_key;
    dx_slice session_token;   // of temporary credentials; empty: none
    dx_slice region, service; // "us-east-1", "execute-api"
    // S3's ways: the path is encoded once and not normalised, and the body's digest is sent as x-amz-content-sha256. Else the path's dot
    // segments and empty segments are removed, and it is encoded once more than on the wire.
    bool s3;
    bool unsigned_payload; // the body is not signed ("UNSIGNED-PAYLOAD"), for services that allow it
} dx_sign_aws;

#define DX_SIGN_AWS_EXPIRES_CAP 604800 // seconds, seven days

// Adds to `out` the fields to be sent: x-amz-date, x-amz-security-token, x-amz-content-sha256 (S3, or an unsigned payload) and
// authorization. They replace those of the same names in the request, which are not looked at. Signed are all its fields but those that a
// proxy may change or a client adds last (connection, user-agent, expect, accept-encoding, content-length, …), and Host, which must be
// known. DX_INVALID: credentials, region, service or Host are missing or have characters that don't belong there, or a value can't be
// signed; DX_BAD_REQUEST: a broken escape; DX_TOO_LARGE; DX_NO_MEMORY.
dx_status dx_sign_aws_fields(dx_fields *out, dx_arena *arena, const dx_sign_aws *settings, const dx_sign_request *request,
                             dx_micros_utc now) DX_MUST_USE;

// The whole query of a presigned URL: that of the request, canonical, and the X-Amz- parameters with the signature. Only Host and the
// request's other fields (which must then be sent as they are) are signed; the payload is S3's unsigned one, else that of the request.
// Lifetimes from 1 to DX_SIGN_AWS_EXPIRES_CAP seconds, else DX_INVALID. Errors as above. The result is a credential: treat it as one.
dx_status dx_sign_aws_query(dx_slice *out, dx_arena *arena, const dx_sign_aws *settings, const dx_sign_request *request, dx_micros_utc now,
                            int64_t expires_s) DX_MUST_USE;

// The canonical request without its payload line, for those who look for a difference; `signed_names` gets the names, joined by ";".
dx_status dx_sign_aws_canonical(dx_buffer *out, dx_slice *signed_names, dx_arena *arena, const dx_sign_aws *settings,
                                const dx_sign_request *request, const dx_fields *added, dx_slice canonical_query) DX_MUST_USE;

#endif
