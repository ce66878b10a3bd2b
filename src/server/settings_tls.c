// Reading `server.tls` and `server.hsts`. The files themselves are read when the context is made (net/tls.h).
#include <ctype.h>

#include "server/settings.h"

#define A_YEAR (365 * 24 * 3600 * DX_SECOND)

static dx_status read_certificates(dx_settings_reader *r, yyjson_val *list) {
    dx_tls_certificate *items = DX_ARENA_ARRAY(r->arena, dx_tls_certificate, yyjson_arr_size(list) + 1);
    size_t index, count;
    yyjson_val *entry;
    if (!items) return DX_NO_MEMORY;
    yyjson_arr_foreach(list, index, count, entry) {
        dx_tls_certificate *to = &items[index];
        dx_slice ocsp = dx_json_member_slice(entry, "ocsp");
        to->certificate = dx_settings_file(r, dx_json_member_slice(entry, "certificate"));
        to->key = dx_settings_file(r, dx_json_member_slice(entry, "key"));
        if (ocsp.size) to->ocsp = dx_settings_file(r, ocsp);
        to->pointer = dx_arena_printf(r->arena, "/server/tls/certificates/%zu", index);
        if (!to->certificate || !to->key || !to->pointer.data || (ocsp.size && !to->ocsp)) return DX_NO_MEMORY;
    }
    r->out->tls.certificates = items;
    r->out->tls.count = yyjson_arr_size(list);
    return DX_OK;
}

// --- clients' certificates -------------------------------------------------------------------------------------------------

static bool is_in(const char *set, char c) {
    return c && strchr(set, c);
}

// How much of a value is one character as RFC 4514 writes it (section 3), at its beginning or further on; 0: none is.
static size_t character(dx_slice text, bool first) {
    if (text.data[0] != '\\') return !text.data[0] || is_in("\"+,;<>", text.data[0]) || (first && is_in(" #", text.data[0])) ? 0 : 1;
    if (text.size > 1 && is_in("\\\"+,;<> #=", text.data[1])) return 2;
    return text.size > 2 && isxdigit((unsigned char)text.data[1]) && isxdigit((unsigned char)text.data[2]) ? 3 : 0;
}

// Cuts "type=value" off; false: there is none. As a subject is compared as text, what is allowed elsewhere (space around it) is not here.
static bool cut_attribute(dx_slice *rest) {
    size_t at = 0, size;
    bool blank = false;
    if (rest->size == 0 || !isalnum((unsigned char)rest->data[0])) return false;
    bool numeric = isdigit((unsigned char)rest->data[0]);
    while (at < rest->size &&
           (numeric ? is_in("0123456789.", rest->data[at]) : isalnum((unsigned char)rest->data[at]) || rest->data[at] == '-'))
        at++;
    if (at == rest->size || rest->data[at] != '=') return false;
    *rest = dx_slice_from(*rest, at + 1);
    bool hex = rest->size > 2 && rest->data[0] == '#';
    for (at = hex; at < rest->size && !is_in(",+", rest->data[at]); at += size) {
        dx_slice left = dx_slice_of(rest->data + at, rest->size - at);
        size = hex ? isxdigit((unsigned char)left.data[0]) != 0 : character(left, at == 0);
        if (size == 0) return false;
        blank = left.data[0] == ' ';
    }
    *rest = dx_slice_from(*rest, at);
    return !blank && (!hex || at % 2 == 1);
}

static bool is_subject(dx_slice text) {
    dx_slice rest = text;
    while (cut_attribute(&rest)) {
        if (rest.size == 0) return true;
        rest = dx_slice_from(rest, 1); // "," or "+"
    }
    return false;
}

static dx_status check_subject(const dx_settings_reader *r, dx_slice subject) {
    if (is_subject(subject)) return DX_OK;
    dx_slice pointer = dx_json_pointer_join(r->arena, DX_SLICE("/server/tls/client/roles"), subject);
    if (!pointer.data) return DX_NO_MEMORY;
    dx_settings_complain(r, "copy it from the line \"subject\" of `duplex cert show`", pointer,
                         "no certificate has this subject: as RFC 4514 writes it, it is like \"CN=robot,O=Acme\"");
    return DX_OK;
}

static dx_status read_roles(dx_settings_reader *r, yyjson_val *roles) {
    dx_certificate_roles *items = DX_ARENA_ARRAY(r->arena, dx_certificate_roles, yyjson_obj_size(roles) + 1);
    size_t index, count, inner, inner_count;
    yyjson_val *subject, *list, *role;
    if (!items) return DX_NO_MEMORY;
    yyjson_obj_foreach(roles, index, count, subject, list) {
        dx_slice *names = DX_ARENA_ARRAY(r->arena, dx_slice, yyjson_arr_size(list) + 1);
        if (!names || check_subject(r, dx_json_slice(subject)) != DX_OK) return DX_NO_MEMORY;
        yyjson_arr_foreach(list, inner, inner_count, role) names[inner] = dx_json_slice(role); // the definition lives as long
        items[index] = (dx_certificate_roles){dx_json_slice(subject), names, yyjson_arr_size(list)};
    }
    r->out->certificate_roles = items;
    r->out->certificate_role_count = yyjson_obj_size(roles);
    return DX_OK;
}

static dx_status read_client(dx_settings_reader *r, yyjson_val *client) {
    dx_slice ca = dx_json_member_slice(client, "ca");
    bool required = yyjson_get_bool(yyjson_obj_get(client, "required"));
    yyjson_val *roles = yyjson_obj_get(client, "roles");
    if (ca.size == 0) {
        if (required || yyjson_obj_size(roles))
            dx_settings_complain(r, "name the file of authorities that clients' certificates come from", DX_SLICE("/server/tls/client"),
                                 "without \"ca\" no client is asked for a certificate");
        return DX_OK;
    }
    r->out->tls.client = required ? DX_TLS_CLIENT_REQUIRED : DX_TLS_CLIENT_OPTIONAL;
    r->out->tls.client_ca = dx_settings_file(r, ca);
    return r->out->tls.client_ca ? read_roles(r, roles) : DX_NO_MEMORY;
}

// --- with the addresses ----------------------------------------------------------------------------------------------------

static void check_use(const dx_settings_reader *r) {
    const dx_settings *s = r->out;
    bool used = false;
    for (size_t i = 0; i < s->listen_count; i++) {
        if (!s->listens[i].tls) continue;
        used = true;
        if (s->tls.count == 0)
            dx_settings_complain(r, "give tls.certificates; for development, `duplex cert self-signed` makes one", s->listens[i].pointer,
                                 "TLS needs a certificate");
    }
    if (s->tls.count && !used && !r->options->listen)
        dx_settings_complain(r, "write {\"address\": \"…\", \"tls\": true} in server.listen", DX_SLICE("/server/tls/certificates"),
                             "no address speaks TLS, so these would never be used");
}

// --- HSTS ------------------------------------------------------------------------------------------------------------------

static dx_status read_hsts(dx_settings_reader *r) {
    yyjson_val *hsts = yyjson_obj_get(r->section, "hsts");
    bool below = yyjson_get_bool(yyjson_obj_get(hsts, "include_subdomains")), preload = yyjson_get_bool(yyjson_obj_get(hsts, "preload"));
    dx_nanos age = 0;
    if (!dx_duration_read(dx_json_member_slice(hsts, "max_age"), &age) || age > 10 * A_YEAR)
        dx_settings_complain(r, "", DX_SLICE("/server/hsts/max_age"), "expected a duration of up to 3650d");
    if (preload && (!below || age < A_YEAR))
        dx_settings_complain(r, "", DX_SLICE("/server/hsts/preload"),
                             "browsers' makers take hosts that include their subdomains, for a year or more");
    if (!r->out->production) return DX_OK; // a browser that tries "localhost" must not refuse it in the clear from then on
    r->out->hsts = dx_arena_printf(r->arena, "max-age=%lld%s%s", (long long)(age / DX_SECOND), below ? "; includeSubDomains" : "",
                                   preload ? "; preload" : "");
    return r->out->hsts.data ? DX_OK : DX_NO_MEMORY;
}

dx_status dx_settings_read_tls(dx_settings_reader *r) {
    yyjson_val *tls = yyjson_obj_get(r->section, "tls");
    dx_tls_options *out = &r->out->tls;
    *out = (dx_tls_options){.pointer = DX_SLICE("/server/tls")};
    dx_slice ciphers = dx_json_member_slice(tls, "ciphers");
    out->least_version = dx_slice_equal(dx_json_member_slice(tls, "min_version"), DX_SLICE("1.3")) ? 13 : 12;
    out->http2 = yyjson_get_bool(yyjson_obj_get(tls, "http2"));
    if (ciphers.size && !(out->ciphers = dx_arena_copy(r->arena, ciphers).data)) return DX_NO_MEMORY;
    dx_status status = read_certificates(r, yyjson_obj_get(tls, "certificates"));
    if (status == DX_OK) status = read_client(r, yyjson_obj_get(tls, "client"));
    if (status == DX_OK) status = read_hsts(r);
    if (status == DX_OK) check_use(r);
    return status;
}
