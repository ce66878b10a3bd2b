// A model: an answer read into a C struct and written back, with nothing lost of what the struct does not know.
//     models github.json octocat
#include <duplex/client.h>
#include <duplex/model.h>
#include <stdio.h>

struct user {
    int64_t id;
    char *login;
    char *name; /* NULL: the person gave none */
    bool has_repos;
    int64_t public_repos;
    dx_model_extra extra; /* what a later version of the API adds */
};
DX_MODEL(user_model, struct user, DX_CASE_SNAKE, DX_MEMBER(INT64, id, DX_REQUIRED), DX_MEMBER(STRING, login, DX_REQUIRED),
         DX_MEMBER(STRING, name, DX_PLAIN), DX_MEMBER(INT64, public_repos, DX_OPTIONAL(has_repos)), DX_MEMBER_EXTRA(extra))

static dx_error_code print(const dx_response *response, dx_error *error) {
    struct user user;
    char *text;
    size_t size;
    const char *body = dx_response_body(response, &size);
    dx_error_code code = dx_model_from_json(&user, user_model(), body, size, 0, error);
    if (code) return code;
    printf("%s (%s) has the number %lld\n", user.login, user.name ? user.name : "no name", (long long)user.id);
    code = dx_model_set_string(&user.name, "Somebody Else");
    if (!code) code = dx_model_to_json(&text, NULL, user_model(), &user, 0, error);
    if (!code) printf("%s\n", text), dx_model_free(text);
    dx_model_clear(user_model(), &user);
    return code;
}

int main(int argc, char **argv) {
    dx_client *client;
    dx_response *response;
    dx_error error = DX_ERROR_INIT;
    if (argc != 3) return fprintf(stderr, "usage: models DEFINITION USER\n"), 2;
    if (dx_client_open(&client, argv[1], NULL, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    dx_error_code code = dx_client_call(&response, client, "github.get_user", DX_ARGS(DX_STR("username", argv[2])), NULL, &error);
    if (!code) code = print(response, &error);
    if (code) fprintf(stderr, "%s\n", error.message);
    dx_response_release(response);
    dx_client_close(client);
    return code ? 1 : 0;
}
