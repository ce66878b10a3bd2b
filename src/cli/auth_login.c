#include "cli/auth_login.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/random.h"
#include "cli/auth_redirect.h"
#include "codec/text.h"
#include "crypto/digest.h"

enum { SLOWER_S = 5, INTERVAL_S = 5, URL_CAP = 16384 };

DX_PRINTF(2, 3) static bool fail(dx_login *login, const char *format, ...) {
    va_list args;
    va_start(args, format);
    login->why = dx_arena_vprintf(login->arena, format, args);
    va_end(args);
    return false;
}

static dx_token_form *new_form(dx_login *login) {
    dx_token_form *form = DX_ARENA_NEW(login->arena, dx_token_form);
    if (form) form->arena = login->arena;
    return form;
}

// Sends what the form says; false: no answer came.
static bool send(dx_login *login, dx_token_form *form, dx_slice url, dx_tokens_answer *answer) {
    dx_token_ask ask;
    dx_status status = form ? dx_oauth2_ask(login->oauth2, form, url, &ask) : DX_NO_MEMORY;
    if (status == DX_OK) status = dx_tokens_send(login->tokens, &ask, login->arena, answer);
    if (status != DX_OK) return fail(login, "%s", dx_status_title(status));
    if (answer->failure == DX_ERROR_NONE) return true;
    return fail(login, "%.*s: %s%s%.*s", DX_SLICE_ARG(url), dx_error_meaning(answer->failure), answer->detail.size ? ": " : "",
                DX_SLICE_ARG(answer->detail));
}

static bool take(dx_login *login, const dx_tokens_answer *answer, dx_token *out) {
    *out = (dx_token){0};
    if (dx_oauth2_take(login->oauth2, login->arena, &answer->response, NULL, out, &login->why) != DX_TOKEN_GOT) return false;
    out->obtained = dx_clock_utc();
    out->lifetime_s = out->expires ? (out->expires - out->obtained + 999999) / 1000000 : 0;
    return true;
}

// --- authorization code --------------------------------------------------------------------------------------------------------------

#define SECRET_TEXT_SIZE 43 // base64url of 32 bytes

typedef struct code_login {
    dx_redirect_wait wait;
    char state[SECRET_TEXT_SIZE], verifier[SECRET_TEXT_SIZE], challenge[SECRET_TEXT_SIZE];
    dx_slice redirect_uri;
} code_login;

static void draw(code_login *c) {
    uint8_t random[32], digest[DX_SHA256_SIZE];
    dx_random_bytes(random, sizeof random);
    (void)dx_base64_encode(c->state, random, sizeof random, true);
    dx_random_bytes(random, sizeof random);
    (void)dx_base64_encode(c->verifier, random, sizeof random, true);
    dx_sha256(digest, dx_slice_of(c->verifier, SECRET_TEXT_SIZE));
    (void)dx_base64_encode(c->challenge, digest, sizeof digest, true);
}

static bool authorize_url(dx_login *login, const code_login *c, dx_slice *out) {
    const dx_oauth2 *o = login->oauth2;
    dx_token_form *form = new_form(login);
    dx_token_ask ask = {.url = o->authorize_url};
    if (!form) return fail(login, "out of memory");
    dx_token_form_set(form, "response_type", DX_SLICE("code"));
    dx_token_form_set(form, "client_id", o->client_id);
    dx_token_form_set(form, "redirect_uri", c->redirect_uri);
    dx_token_form_set(form, "scope", o->scopes);
    dx_token_form_set(form, "state", dx_slice_of(c->state, SECRET_TEXT_SIZE));
    if (o->pkce) {
        dx_token_form_set(form, "code_challenge", dx_slice_of(c->challenge, SECRET_TEXT_SIZE));
        dx_token_form_set(form, "code_challenge_method", DX_SLICE("S256"));
    }
    dx_token_form_set(form, "audience", o->audience);
    dx_token_form_set(form, "resource", o->resource);
    dx_token_form_set_all(form, o->authorization_params);
    if (dx_token_form_write(form, DX_TOKEN_QUERY, &ask) != DX_OK) return fail(login, "out of memory");
    *out = ask.url;
    return true;
}

static bool exchange_code(dx_login *login, const code_login *c, dx_slice code, dx_token *out) {
    const dx_oauth2 *o = login->oauth2;
    dx_token_form *form = new_form(login);
    dx_tokens_answer answer = {0};
    if (!form) return fail(login, "out of memory");
    dx_token_form_set(form, "grant_type", DX_SLICE("authorization_code"));
    dx_token_form_set(form, "code", code);
    dx_token_form_set(form, "redirect_uri", c->redirect_uri);
    if (o->pkce) dx_token_form_set(form, "code_verifier", dx_slice_of(c->verifier, SECRET_TEXT_SIZE));
    dx_token_form_set_all(form, o->token_params);
    return send(login, form, o->token_url, &answer) && take(login, &answer, out);
}

static bool ask_person(dx_login *login, code_login *c, dx_token *out) {
    dx_slice url = {0}, code, error;
    draw(c);
    c->redirect_uri = dx_arena_printf(login->arena, "http://%.*s:%u%.*s", DX_SLICE_ARG(login->oauth2->redirect_host),
                                      (unsigned)c->wait.port, DX_SLICE_ARG(login->oauth2->redirect_path));
    if (!c->redirect_uri.data || !authorize_url(login, c, &url)) return fail(login, "out of memory");
    printf("Open this address in a browser on this machine:\n\n%.*s\n\n", DX_SLICE_ARG(url));
    fflush(stdout);
    bool came = dx_redirect_take(&c->wait, login->arena, login->oauth2->redirect_path, dx_slice_of(c->state, SECRET_TEXT_SIZE),
                                 login->timeout_ms, &code, &error);
    if (!came) return fail(login, "%.*s", DX_SLICE_ARG(error));
    if (!code.size) return fail(login, "the authorization server refused: %.*s", DX_SLICE_ARG(error));
    return exchange_code(login, c, code, out);
}

bool dx_login_by_code(dx_login *login, dx_token *out) {
    code_login c;
    if (!dx_redirect_listen(&c.wait, login->oauth2->redirect_port))
        return fail(login, "can't listen on 127.0.0.1:%u for the answer: %s", (unsigned)login->oauth2->redirect_port, strerror(errno));
    bool got = ask_person(login, &c, out);
    dx_redirect_close(&c.wait);
    dx_secret_wipe(&c, sizeof c);
    return got;
}

// --- device code ---------------------------------------------------------------------------------------------------------------------

typedef struct device {
    dx_slice code;
    double interval_s;
    dx_nanos end;
} device;

static double number_at(yyjson_val *root, const char *name, double otherwise) {
    yyjson_val *value = yyjson_obj_get(root, name);
    int64_t whole;
    if (yyjson_is_num(value)) return yyjson_get_num(value);
    return dx_slice_to_i64(dx_json_slice(value), &whole) ? (double)whole : otherwise;
}

static void show(yyjson_val *root) {
    dx_slice url = dx_json_member_slice(root, "verification_uri"), whole = dx_json_member_slice(root, "verification_uri_complete"),
             code = dx_json_member_slice(root, "user_code");
    if (!url.size) url = dx_json_member_slice(root, "verification_url"); // of before the RFC
    printf("Open this address in any browser:\n\n%.*s\n\nand type this code: %.*s\n\n", DX_SLICE_ARG(url), DX_SLICE_ARG(code));
    if (whole.size) printf("Or open this, which has the code in it:\n\n%.*s\n\n", DX_SLICE_ARG(whole));
    fflush(stdout);
}

static bool begin_device(dx_login *login, device *d) {
    const dx_oauth2 *o = login->oauth2;
    dx_token_form *form = new_form(login);
    dx_tokens_answer answer = {0};
    if (!form) return fail(login, "out of memory");
    dx_token_form_set(form, "scope", o->scopes);
    dx_token_form_set(form, "audience", o->audience);
    dx_token_form_set(form, "resource", o->resource);
    dx_token_form_set_all(form, o->device_params);
    if (!send(login, form, o->device_url, &answer)) return false;
    yyjson_val *root = dx_token_answer_read(login->arena, &answer.response);
    d->code = dx_json_member_slice(root, "device_code");
    if (answer.response.status >= 300 || !d->code.size) {
        login->why = dx_token_say(login->arena, "the device endpoint", &answer.response, root, &o->client_secret, 1);
        return false;
    }
    double life = number_at(root, "expires_in", 600) * 1000;
    d->interval_s = number_at(root, "interval", INTERVAL_S);
    if (!(d->interval_s > 0 && d->interval_s < 3600)) d->interval_s = INTERVAL_S;
    d->end = dx_clock_monotonic() + (life > 0 && life < (double)login->timeout_ms ? (int64_t)life : login->timeout_ms) * DX_MILLISECOND;
    show(root);
    return true;
}

static void pause_for(double seconds) {
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&time, &time) != 0 && errno == EINTR) continue;
}

// One question. True: it is over, one way or the other (`*got`).
static bool poll_device(dx_login *login, device *d, dx_token *out, bool *got) {
    const dx_oauth2 *o = login->oauth2;
    dx_token_form *form = new_form(login);
    dx_tokens_answer answer = {0};
    *got = false;
    if (!form) return !fail(login, "out of memory");
    dx_token_form_set(form, "grant_type", DX_SLICE("urn:ietf:params:oauth:grant-type:device_code"));
    dx_token_form_set(form, "device_code", d->code);
    dx_token_form_set_all(form, o->token_params);
    if (!send(login, form, o->token_url, &answer)) { // RFC 8628 section 3.5: slower, and again
        d->interval_s *= 2;
        return false;
    }
    dx_slice error = dx_json_member_slice(dx_token_answer_read(login->arena, &answer.response), "error");
    if (dx_slice_equal(error, DX_SLICE("slow_down"))) d->interval_s += SLOWER_S;
    if (dx_slice_equal(error, DX_SLICE("slow_down")) || dx_slice_equal(error, DX_SLICE("authorization_pending"))) return false;
    *got = take(login, &answer, out);
    return true;
}

bool dx_login_by_device(dx_login *login, dx_token *out) {
    device d = {0};
    bool got = false;
    if (!begin_device(login, &d)) return false;
    do {
        pause_for(d.interval_s);
        if (poll_device(login, &d, out, &got)) return got;
    } while (dx_clock_monotonic() < d.end);
    return fail(login, "nobody typed the code in time");
}

// --- revoking ------------------------------------------------------------------------------------------------------------------------
bool dx_login_revoke(dx_login *login, const dx_token *token) {
    dx_token_form *form = new_form(login);
    dx_tokens_answer answer = {0};
    if (!form) return fail(login, "out of memory");
    bool refresh = token->refresh.size > 0; // which takes the access tokens along
    dx_token_form_set(form, "token", refresh ? token->refresh : token->access);
    dx_token_form_set(form, "token_type_hint", refresh ? DX_SLICE("refresh_token") : DX_SLICE("access_token"));
    if (!send(login, form, login->oauth2->revoke_url, &answer)) return false;
    if (answer.response.status >= 200 && answer.response.status < 300) return true;
    const dx_slice secrets[] = {token->refresh, token->access, login->oauth2->client_secret};
    login->why = dx_token_say(login->arena, "the revocation endpoint", &answer.response,
                              dx_token_answer_read(login->arena, &answer.response), secrets, DX_COUNT_OF(secrets));
    return false;
}
