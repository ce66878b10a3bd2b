// Callers that are known by their TLS client certificate: the verified subject becomes the principal when no token has said who calls.
//
// The subject, not the key, is who somebody is: a renewed certificate is the same caller, with the same rows and the same stored answers.
// Such a caller has no account, so its number, by which rows have owners, is made of the subject: negative, where accounts' are positive.
#include "codec/text.h"
#include "crypto/digest.h"
#include "server/parts.h"

#define NUMBER_BITS 52 // so that every JSON reader knows it exactly (RFC 8259 section 6)

int64_t dx_certificate_number(dx_slice subject) {
    uint8_t digest[DX_SHA256_SIZE];
    uint64_t bits = 0;
    dx_sha256(digest, subject);
    for (size_t i = 0; i < sizeof bits; i++) bits = bits << 8 | digest[i];
    return -1 - (int64_t)(bits >> (64 - NUMBER_BITS));
}

static void take_roles(dx_principal *principal, const dx_settings *settings, dx_slice subject) {
    for (size_t i = 0; i < settings->certificate_role_count; i++) {
        const dx_certificate_roles *row = &settings->certificate_roles[i];
        if (!dx_slice_equal(row->subject, subject)) continue;
        principal->roles = row->roles;
        principal->role_count = row->count;
    }
}

static dx_verdict certificate_in(const void *conf, dx_exchange *x) {
    const dx_settings *settings = conf;
    dx_slice subject = x->request.certificate_subject;
    if (x->principal || subject.size == 0) return DX_NEXT;
    dx_principal *principal = DX_ARENA_NEW(x->arena, dx_principal);
    if (!principal) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    principal->number = dx_certificate_number(subject);
    principal->id = dx_arena_printf(x->arena, "cert:%013llx", (unsigned long long)-(principal->number + 1));
    principal->name = subject;
    if (!principal->id.data) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    take_roles(principal, settings, subject);
    x->principal = principal;
    return DX_NEXT;
}

const dx_filter_ops dx_certificate_filter = {.name = "certificate", .in = certificate_in};
