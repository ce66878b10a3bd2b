// Security schemes: one becomes the API's `auth`, the first that the document asks for. Its secrets are variables of the environment, named
// after the API; no secret is ever in a definition that was imported.
#include "client/import_parts.h"

static yyjson_val *schemes_of(dx_importer *im) {
    return yyjson_obj_get(yyjson_obj_get(im->document, "components"), "securitySchemes");
}

// The name of the first scheme in a list of alternatives, each an object of schemes that hold together.
static dx_slice first_of(yyjson_val *security) {
    size_t i, count;
    yyjson_val *choice;
    yyjson_arr_foreach(security, i, count, choice) {
        yyjson_obj_iter iter = yyjson_obj_iter_with(choice);
        yyjson_val *name = yyjson_obj_iter_next(&iter);
        if (name) return dx_json_slice(name);
    }
    return (dx_slice){NULL, 0};
}

static dx_slice first_of_operations(yyjson_val *paths) {
    size_t i, j, count, methods;
    yyjson_val *path, *item, *method, *operation;
    yyjson_obj_foreach(paths, i, count, path, item) {
        yyjson_obj_foreach(item, j, methods, method, operation) {
            dx_slice found = first_of(yyjson_obj_get(operation, "security"));
            if (found.size) return found;
        }
    }
    return (dx_slice){NULL, 0};
}

void dx_import_choose_auth(dx_importer *im) {
    dx_slice name = first_of(yyjson_obj_get(im->document, "security"));
    if (!name.size) name = first_of_operations(yyjson_obj_get(im->document, "paths"));
    if (!name.size) return;
    dx_slice at = dx_json_pointer_join(im->arena, DX_SLICE("/components/securitySchemes"), name);
    yyjson_val *scheme = yyjson_obj_getn(schemes_of(im), name.data, name.size);
    if (scheme) scheme = dx_import_resolve(im, scheme, &at);
    if (!scheme) dx_import_tell(im, at, "is asked for by `security`, and there is no such scheme");
    im->scheme = scheme;
    im->scheme_name = name;
}

static bool asks_for(yyjson_val *choice, dx_slice name) {
    return name.size && yyjson_obj_getn(choice, name.data, name.size);
}

bool dx_import_auth_required(dx_import_operation *op) {
    dx_importer *im = op->im;
    size_t i, count;
    yyjson_val *choice, *security = yyjson_obj_get(op->value, "security");
    bool ours = false;
    if (!security) security = yyjson_obj_get(im->document, "security");
    yyjson_arr_foreach(security, i, count, choice) {
        if (yyjson_obj_size(choice) == 0) return false; // without any is one of the ways
        ours = ours || (asks_for(choice, im->scheme_name) && yyjson_obj_size(choice) == 1);
    }
    if (yyjson_arr_size(security) == 0) return false;
    if (!ours && !im->other_auth++) im->other_auth_at = op->at;
    return true;
}

// --- kinds ------------------------------------------------------------------------------------------------------------------------

static void put_word(dx_importer *im, yyjson_mut_val *auth, const char *name, const char *word) {
    dx_import_put(im, auth, dx_slice_str(name), dx_import_text(im, dx_slice_str(word)));
}

static void put_secret(dx_importer *im, yyjson_mut_val *auth, const char *name, const char *suffix) {
    dx_import_put(im, auth, dx_slice_str(name), dx_import_variable(im, suffix));
}

static void put_bearer(dx_importer *im, yyjson_mut_val *auth) {
    put_word(im, auth, "type", "bearer");
    put_secret(im, auth, "token", "TOKEN");
}

static void put_http(dx_importer *im, yyjson_mut_val *auth, dx_slice at) {
    dx_slice scheme = dx_json_member_slice(im->scheme, "scheme");
    if (dx_slice_equal_nocase(scheme, DX_SLICE("bearer"))) {
        put_bearer(im, auth);
    } else if (dx_slice_equal_nocase(scheme, DX_SLICE("basic"))) {
        put_word(im, auth, "type", "basic");
        put_secret(im, auth, "username", "USERNAME");
        put_secret(im, auth, "password", "PASSWORD");
    } else {
        dx_import_tell(im, at, "the HTTP scheme \"%.*s\" is not known; write `auth` yourself", DX_SLICE_ARG(scheme));
    }
}

static void put_api_key(dx_importer *im, yyjson_mut_val *auth) {
    put_word(im, auth, "type", "api_key");
    dx_import_put(im, auth, DX_SLICE("in"), dx_import_text(im, dx_json_member_slice(im->scheme, "in")));
    dx_import_put(im, auth, DX_SLICE("name"), dx_import_text(im, dx_json_member_slice(im->scheme, "name")));
    put_secret(im, auth, "value", "API_KEY");
}

// --- OAuth 2 ------------------------------------------------------------------------------------------------------------------------

typedef struct grant {
    const char *flow, *name;
} grant;

static const grant grants[] = {
    {"clientCredentials", "client_credentials"}, {"authorizationCode", "authorization_code"}, {"password", "password"}};

static void put_url(dx_importer *im, yyjson_mut_val *auth, const char *name, yyjson_val *flow, const char *from) {
    dx_slice url = dx_json_member_slice(flow, from);
    if (url.size) dx_import_put(im, auth, dx_slice_str(name), dx_import_url(im, url));
}

static void put_scopes(dx_importer *im, yyjson_mut_val *auth, yyjson_val *flow) {
    size_t i, count;
    yyjson_val *name, *about;
    yyjson_mut_val *scopes = dx_import_array(im);
    yyjson_obj_foreach(yyjson_obj_get(flow, "scopes"), i, count, name, about) {
        dx_import_append(im, scopes, dx_import_text(im, dx_json_slice(name)));
    }
    if (yyjson_mut_arr_size(scopes)) dx_import_put(im, auth, DX_SLICE("scopes"), scopes);
}

static void put_grant(dx_importer *im, yyjson_mut_val *auth, const grant *found, yyjson_val *flow) {
    bool password = strcmp(found->name, "password") == 0;
    put_word(im, auth, "type", "oauth2");
    put_word(im, auth, "grant", found->name);
    put_url(im, auth, "authorization_url", flow, "authorizationUrl");
    put_url(im, auth, "token_url", flow, "tokenUrl");
    put_url(im, auth, "refresh_url", flow, "refreshUrl");
    if (password) {
        put_secret(im, auth, "username", "USERNAME");
        put_secret(im, auth, "password", "PASSWORD");
    } else {
        put_secret(im, auth, "client_id", "CLIENT_ID");
        put_secret(im, auth, "client_secret", "CLIENT_SECRET");
    }
    put_scopes(im, auth, flow);
}

static void put_oauth2(dx_importer *im, yyjson_mut_val *auth, dx_slice at) {
    yyjson_val *flows = yyjson_obj_get(im->scheme, "flows");
    for (size_t i = 0; i < DX_COUNT_OF(grants); i++) {
        yyjson_val *flow = yyjson_obj_get(flows, grants[i].flow);
        if (!yyjson_is_obj(flow)) continue;
        put_grant(im, auth, &grants[i], flow);
        if (yyjson_obj_size(flows) > 1) dx_import_tell(im, at, "has other flows, too; %s is taken", grants[i].name);
        return;
    }
    dx_import_tell(im, at, "has no flow that can be used (the implicit one is no more); a token is taken from the environment");
    put_bearer(im, auth);
}

// --- the chosen one, and the rest ---------------------------------------------------------------------------------------------------

static void tell_others(dx_importer *im) {
    size_t i, count;
    yyjson_val *name, *scheme;
    yyjson_obj_foreach(schemes_of(im), i, count, name, scheme) {
        if (dx_slice_equal(dx_json_slice(name), im->scheme_name)) continue;
        dx_slice at = dx_json_pointer_join(im->arena, DX_SLICE("/components/securitySchemes"), dx_json_slice(name));
        dx_import_tell(im, at, "is another security scheme, which is left out; %.*s is taken",
                       (int)(im->scheme_name.size ? im->scheme_name.size : 4), im->scheme_name.size ? im->scheme_name.data : "none");
    }
    if (im->other_auth)
        dx_import_tell(im, im->other_auth_at, "%zu %s for another security scheme than %.*s, or for several at once", im->other_auth,
                       im->other_auth == 1 ? "operation asks" : "operations ask", DX_SLICE_ARG(im->scheme_name));
}

void dx_import_auth(dx_importer *im) {
    dx_slice at = dx_json_pointer_join(im->arena, DX_SLICE("/components/securitySchemes"), im->scheme_name);
    dx_slice type = dx_json_member_slice(im->scheme, "type");
    yyjson_mut_val *auth = dx_import_object(im);
    if (dx_slice_equal(type, DX_SLICE("http")))
        put_http(im, auth, at);
    else if (dx_slice_equal(type, DX_SLICE("apiKey")))
        put_api_key(im, auth);
    else if (dx_slice_equal(type, DX_SLICE("oauth2")))
        put_oauth2(im, auth, at);
    else if (im->scheme && dx_slice_equal(type, DX_SLICE("openIdConnect"))) {
        dx_import_tell(im, at, "OpenID Connect's discovery is not read; a token is taken from the environment");
        put_bearer(im, auth);
    } else if (im->scheme)
        dx_import_tell(im, at, "the security scheme's type \"%.*s\" can't be taken over; write `auth` yourself", DX_SLICE_ARG(type));
    if (yyjson_mut_obj_size(auth)) dx_import_put(im, im->api, DX_SLICE("auth"), auth);
    tell_others(im);
}
