// Certificates for development: one that signs itself, with its key; and what a certificate says, for a person to read.
#ifndef DX_CRYPTO_CERTIFICATE_H
#define DX_CRYPTO_CERTIFICATE_H

#include "base/buffer.h"

#define DX_CERTIFICATE_NAMES_CAP 100
#define DX_CERTIFICATE_DAYS_CAP  3650

// A DNS name ("*." before it allowed), or an IPv4 or IPv6 address. Case does not matter.
bool dx_certificate_name_valid(dx_slice name);
// An ECDSA P-256 key and a certificate for `names` (valid ones, at least one) for so many days from now, both as PEM text appended to
// their buffers; whoever owns `key` wipes it. DX_INVALID: a name or a number that cannot be.
dx_status dx_certificate_self_signed(const dx_slice *names, size_t count, unsigned days, dx_buffer *certificate,
                                     dx_buffer *key) DX_MUST_USE;
// Describes every certificate in PEM text, some lines each. DX_MALFORMED: there is none, or a damaged one.
dx_status dx_certificate_describe(dx_slice pem, dx_buffer *out) DX_MUST_USE;

#endif
