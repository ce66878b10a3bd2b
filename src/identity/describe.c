// What the account operations say of themselves in the OpenAPI document. Most of it never changes, so it stands here as JSON.
#include "identity/parts.h"

#define ARENA_CAP (1u << 20)

#define TAGS            "\"tags\":[\"auth\"],"
#define JSON_OF(schema) "\"content\":{\"application/json\":{\"schema\":" schema "}}"
#define REF(name)       "{\"$ref\":\"#/components/schemas/" name "\"}"
#define PROBLEM(status, about)                                                                                                             \
    "\"" status "\":{\"description\":\"" about "\",\"content\":{\"application/problem+json\":{\"schema\":" REF("Problem") "}}}"
#define TEXT(about)   "{\"type\":\"string\",\"description\":\"" about "\"}"
#define SECRET(about) "{\"type\":\"string\",\"format\":\"password\",\"description\":\"" about "\"}"
#define EITHER(schema)                                                                                                                     \
    "\"requestBody\":{\"required\":true,\"content\":{\"application/x-www-form-urlencoded\":{\"schema\":" schema                            \
    "},\"application/json\":{\"schema\":" schema "}}}"

// clang-format off
static const struct {
    dx_handler handler;
    const char *json;
} operations[] = {
    {dx_register_handle,
     "{" TAGS "\"summary\":\"Make an account\",\"requestBody\":{\"required\":true," JSON_OF(
       "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"username\",\"email\",\"password\"],\"properties\":{"
       "\"username\":{\"type\":\"string\",\"maxLength\":64,\"pattern\":\"^[A-Za-z0-9_][A-Za-z0-9_.-]*$\"},"
       "\"email\":{\"type\":\"string\",\"format\":\"email\",\"maxLength\":254},"
       "\"password\":" SECRET("Long enough, and not among the common ones.") "}}") "},"
     "\"responses\":{\"201\":{\"description\":\"The account.\",\"headers\":{\"Location\":{\"description\":\"Where to read it.\","
       "\"schema\":{\"type\":\"string\"}}}," JSON_OF(REF("Account")) "},"
       PROBLEM("409", "The username or the e-mail address is taken.") "," PROBLEM("422", "The fields are not valid.") "}}"},
    {dx_login_handle,
     "{" TAGS "\"summary\":\"Log in\",\"description\":\"The username or the e-mail address, and the password: as a form (OAuth 2 password "
       "grant) or as JSON. Repeated failures with a name lock it for a while.\","
     EITHER("{\"type\":\"object\",\"required\":[\"username\",\"password\"],\"properties\":{"
       "\"username\":" TEXT("A username or an e-mail address.") ",\"password\":" SECRET("The password.") ","
       "\"grant_type\":{\"const\":\"password\",\"description\":\"As OAuth 2 clients send it.\"}}}") ","
     "\"responses\":{\"200\":{\"description\":\"Tokens.\"," JSON_OF(REF("Token")) "},"
       PROBLEM("401", "The username or the password is wrong.") "," PROBLEM("403", "The account is disabled.") ","
       PROBLEM("422", "The fields are not valid.") "," PROBLEM("429", "Too many failures with this name; Retry-After says how long to wait.")
     "}}"},
    {dx_refresh_handle,
     "{" TAGS "\"summary\":\"Exchange a refresh token\",\"description\":\"Spends the refresh token and gives a new pair. A token that was "
       "spent before ends the whole session.\","
     EITHER("{\"type\":\"object\",\"required\":[\"refresh_token\"],\"properties\":{"
       "\"refresh_token\":" SECRET("The refresh token received last.") ","
       "\"grant_type\":{\"const\":\"refresh_token\",\"description\":\"As OAuth 2 clients send it.\"}}}") ","
     "\"responses\":{\"200\":{\"description\":\"New tokens.\"," JSON_OF(REF("Token")) "},"
       PROBLEM("401", "The refresh token is not good, or no longer.") "," PROBLEM("422", "The fields are not valid.") "}}"},
    {dx_logout_handle,
     "{" TAGS "\"summary\":\"Log out\",\"description\":\"Ends the session: its access and refresh tokens are refused from now on.\","
     "\"security\":[{\"oauth2\":[]},{\"bearer\":[]},{}],"
     "\"requestBody\":{\"required\":false," JSON_OF(
       "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
       "\"all\":{\"type\":\"boolean\",\"default\":false,\"description\":\"End every session of the account.\"},"
       "\"refresh_token\":" SECRET("Says which session, when there is no access token.") "}}") "},"
     "\"responses\":{\"204\":{\"description\":\"The session has ended.\"}," PROBLEM("401", "No token, or none that is good.") ","
       PROBLEM("422", "The fields are not valid.") "}}"},
    {dx_me_handle,
     "{" TAGS "\"summary\":\"Read one's own account\",\"responses\":{\"200\":{\"description\":\"The account.\"," JSON_OF(REF("Account")) "}}}"},
    {dx_me_change_handle,
     "{" TAGS "\"summary\":\"Change one's own account\",\"requestBody\":{\"required\":true," JSON_OF(
       "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"email\"],\"properties\":{"
       "\"email\":{\"type\":\"string\",\"format\":\"email\",\"maxLength\":254}}}") "},"
     "\"responses\":{\"200\":{\"description\":\"The account as it is now.\"," JSON_OF(REF("Account")) "},"
       PROBLEM("409", "The e-mail address is taken.") "," PROBLEM("422", "The fields are not valid.") "}}"},
    {dx_password_handle,
     "{" TAGS "\"summary\":\"Change one's own password\",\"description\":\"Ends every other session of the account.\","
     "\"requestBody\":{\"required\":true," JSON_OF(
       "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"current_password\",\"new_password\"],\"properties\":{"
       "\"current_password\":" SECRET("The password as it is now.") ",\"new_password\":" SECRET("The new one.") "}}") "},"
     "\"responses\":{\"204\":{\"description\":\"The password is changed.\"}," PROBLEM("422", "The present password is wrong, or the new one "
       "is not acceptable.") "," PROBLEM("429", "Too many wrong passwords.") "}}"},
    {dx_jwks_handle,
     "{" TAGS "\"summary\":\"Public keys\",\"description\":\"The keys that access tokens verify with (RFC 7517).\","
     "\"responses\":{\"200\":{\"description\":\"A JWK set.\"," JSON_OF(
       "{\"type\":\"object\",\"required\":[\"keys\"],\"properties\":{\"keys\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}") "}}}"},
};

static const char account_schema[] =
    "{\"type\":\"object\",\"description\":\"An account, as its owner sees it.\","
    "\"required\":[\"id\",\"username\",\"email\",\"roles\",\"created_at\",\"updated_at\",\"last_login_at\"],\"properties\":{"
    "\"id\":{\"type\":\"integer\",\"format\":\"int64\"},\"username\":{\"type\":\"string\"},"
    "\"email\":{\"type\":[\"string\",\"null\"],\"format\":\"email\"},"
    "\"roles\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
    "\"created_at\":{\"type\":\"string\",\"format\":\"date-time\"},\"updated_at\":{\"type\":\"string\",\"format\":\"date-time\"},"
    "\"last_login_at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}}}";

static const char token_schema[] =
    "{\"type\":\"object\",\"description\":\"What a login gives.\","
    "\"required\":[\"access_token\",\"refresh_token\",\"token_type\",\"expires_in\"],\"properties\":{"
    "\"access_token\":{\"type\":\"string\",\"description\":\"A JSON Web Token, to be sent as Authorization: Bearer.\"},"
    "\"refresh_token\":{\"type\":\"string\",\"description\":\"Good for one exchange at /auth/refresh.\"},"
    "\"token_type\":{\"const\":\"bearer\"},"
    "\"expires_in\":{\"type\":\"integer\",\"description\":\"Seconds that the access token is good.\"}}}";

static const char oauth2_scheme[] =
    "{\"type\":\"oauth2\",\"description\":\"Log in with username and password.\",\"flows\":{\"password\":{"
    "\"tokenUrl\":\"/auth/login\",\"refreshUrl\":\"/auth/refresh\",\"scopes\":{}}}}";

static const char bearer_scheme[] =
    "{\"type\":\"http\",\"scheme\":\"bearer\",\"bearerFormat\":\"JWT\",\"description\":\"An access token from /auth/login.\"}";
// clang-format on

static yyjson_mut_val *copy(yyjson_mut_doc *doc, const char *json) {
    yyjson_doc *read;
    yyjson_mut_val *copied = NULL;
    dx_arena *arena = dx_arena_create(ARENA_CAP);
    if (arena && dx_json_read(&read, arena, dx_slice_str(json), NULL, NULL) == DX_OK)
        copied = yyjson_val_mut_copy(doc, yyjson_doc_get_root(read));
    dx_arena_destroy(arena);
    return copied;
}

void dx_identity_describe(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)conf;
    for (size_t i = 0; i < DX_COUNT_OF(operations); i++) {
        if (operations[i].handler != operation->handler) continue;
        yyjson_mut_val *members = copy(doc, operations[i].json), *name;
        yyjson_mut_obj_iter at;
        // Each member is taken out before it is put in: a value of this kind is in one place only.
        while (yyjson_mut_obj_iter_init(members, &at) && (name = yyjson_mut_obj_iter_next(&at))) {
            yyjson_mut_val *value = yyjson_mut_obj_iter_get_val(name);
            yyjson_mut_obj_iter_remove(&at);
            yyjson_mut_obj_add(object, name, value);
        }
        return;
    }
}

static yyjson_mut_val *describe_text(const void *conf, yyjson_mut_doc *doc) {
    return copy(doc, conf);
}

dx_status dx_identity_describe_components(dx_app *app) {
    dx_status status = dx_app_add_schema(app, DX_SLICE("Account"), describe_text, account_schema);
    if (status == DX_OK) status = dx_app_add_schema(app, DX_SLICE("Token"), describe_text, token_schema);
    if (status == DX_OK) status = dx_app_add_security_scheme(app, DX_SLICE("oauth2"), describe_text, oauth2_scheme);
    if (status == DX_OK) status = dx_app_add_security_scheme(app, DX_SLICE("bearer"), describe_text, bearer_scheme);
    return status;
}
