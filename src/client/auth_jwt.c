// JSON Web Tokens that the client signs itself, for each request or kept until shortly before they end.
#include <pthread.h>

#include "client/auth_clock.h"
#include "client/auth_key.h"
#include "crypto/digest.h"
#include "crypto/jwt_make.h"

#define BACKDATE_S 60 // for servers whose clock is behind

typedef struct jwt_auth {
    dx_auth base;
    dx_arena *arena;
    dx_auth_place place;
    dx_key *key;
    dx_jwt_claims claims;
    dx_jwt_header header;
    bool keeps;
    dx_auth_clock clock;
    pthread_mutex_t lock; // of the next
    char *kept;           // DX_JWS_BYTES_CAP bytes
    size_t kept_size;
    dx_micros_utc kept_until, made;
} jwt_auth;

static jwt_auth *of(dx_auth *auth) {
    return DX_CONTAINER_OF(auth, jwt_auth, base);
}

static dx_status make(const jwt_auth *auth, dx_jwt_made *out, dx_arena *arena, dx_micros_utc now) {
    dx_jwt_claims claims = auth->claims;
    claims.now_s = now / 1000000;
    return dx_jwt_make(out, arena, auth->key, &claims, &auth->header);
}

// Kept for nine tenths of what is left of its life when it is made.
static void keep(jwt_auth *auth, const dx_jwt_made *made, dx_micros_utc now) {
    if (made->token.size > DX_JWS_BYTES_CAP) return;
    memcpy(auth->kept, made->token.data, made->token.size);
    auth->kept_size = made->token.size;
    auth->made = now;
    auth->kept_until = now + (made->expires_s * 1000000 - now) / 10 * 9;
}

static dx_status token_of(jwt_auth *auth, dx_slice *out, dx_arena *arena) {
    dx_jwt_made made = {0};
    dx_micros_utc now = dx_auth_clock_now(&auth->clock);
    if (!auth->keeps) {
        dx_status status = make(auth, &made, arena, now);
        *out = made.token;
        return status;
    }
    dx_status status = DX_OK;
    pthread_mutex_lock(&auth->lock);
    if (!auth->kept_size || now >= auth->kept_until || now < auth->made) {
        status = make(auth, &made, arena, now);
        if (status == DX_OK) keep(auth, &made, now);
        *out = made.token;
    } else {
        *out = dx_arena_copy(arena, dx_slice_of(auth->kept, auth->kept_size));
        if (!out->data) status = DX_NO_MEMORY;
    }
    pthread_mutex_unlock(&auth->lock);
    return status;
}

static dx_verdict apply(dx_auth *base, struct dx_engine *engine, dx_exchange *x) {
    jwt_auth *auth = of(base);
    dx_slice token;
    (void)engine;
    dx_status status = token_of(auth, &token, x->arena);
    if (status == DX_OK) return dx_auth_place_put(&auth->place, x, token);
    if (status == DX_NO_MEMORY) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    return dx_exchange_fail_out(x, DX_ERROR_AUTH, "the JWT could not be signed");
}

// With the right time it may be taken; one that was kept may have been revoked.
static bool refused(dx_auth *base, dx_exchange *x) {
    jwt_auth *auth = of(base);
    bool learned = dx_auth_clock_learn(&auth->clock, x);
    pthread_mutex_lock(&auth->lock);
    bool old = auth->kept_size && dx_clock_utc() - auth->made > (dx_micros_utc)BACKDATE_S * 1000000;
    if (learned || old) auth->kept_size = 0;
    pthread_mutex_unlock(&auth->lock);
    return learned || old;
}

static void wipe(void *ctx) {
    jwt_auth *auth = ctx;
    dx_key_destroy(auth->key);
    (void)pthread_mutex_destroy(&auth->lock);
    if (auth->kept) dx_secret_wipe(auth->kept, DX_JWS_BYTES_CAP);
}

static void destroy(dx_auth *auth) {
    dx_arena_destroy(of(auth)->arena);
}

// --- settings ------------------------------------------------------------------------------------------------------------------------
static yyjson_val *copied(dx_auth_reader *reader, yyjson_val *value) {
    yyjson_alc alc = dx_json_alc(reader->arena);
    yyjson_mut_doc *doc = value ? dx_json_mut_doc(reader->arena) : NULL;
    yyjson_mut_val *copy = doc ? yyjson_val_mut_copy(doc, value) : NULL;
    yyjson_val *fixed = copy ? yyjson_doc_get_root(yyjson_mut_val_imut_copy(copy, &alc)) : NULL;
    if (value && !fixed) reader->status = DX_NO_MEMORY;
    return fixed;
}

static void read_audiences(dx_jwt_claims *claims, dx_auth_reader *reader) {
    yyjson_val *aud = yyjson_obj_get(reader->settings, "aud"), *item;
    size_t at, count, size = yyjson_is_arr(aud) ? yyjson_arr_size(aud) : aud ? 1 : 0;
    if (size > DX_JWT_AUDIENCES_CAP) dx_auth_refuse(reader, "aud", "more than %d audiences", DX_JWT_AUDIENCES_CAP);
    dx_slice *list = size && size <= DX_JWT_AUDIENCES_CAP ? DX_ARENA_ARRAY(reader->arena, dx_slice, size) : NULL;
    if (!list) return;
    claims->audiences = list;
    claims->audience_count = size;
    if (!yyjson_is_arr(aud)) {
        list[0] = dx_auth_needed(reader, "aud");
        return;
    }
    yyjson_arr_foreach(aud, at, count, item) {
        list[at] = dx_arena_copy(reader->arena, dx_json_slice(item));
        if (!list[at].size) dx_auth_refuse(reader, "aud", "\"aud\" must be a text or a list of texts");
    }
}

static void read_claims(dx_jwt_claims *claims, dx_auth_reader *reader) {
    static const char *const names[] = {"iss", "sub", "aud", "extra", NULL};
    dx_auth_reader within = dx_auth_reader_within(reader, "claims");
    dx_auth_know(&within, names);
    claims->issuer = dx_auth_text(&within, "iss");
    claims->subject = dx_auth_text(&within, "sub");
    read_audiences(claims, &within);
    claims->extra = copied(&within, dx_auth_object(&within, "extra"));
    dx_auth_reader_join(reader, &within);
}

static void read_settings(jwt_auth *auth, dx_auth_reader *reader) {
    static const char *const names[] = {"key", "claims", "lifetime", "backdate", "not_before", "jti", "cache",
                                        "typ", "header", "in",       "name",     "prefix",     NULL};
    dx_auth_know(reader, names);
    dx_auth_key_read(&auth->key, &auth->header.kid, reader, "key");
    if (!auth->header.kid.size) auth->header.kid = (dx_slice){NULL, 0}; // the key's own
    read_claims(&auth->claims, reader);
    auth->claims.lifetime_s = (int64_t)dx_auth_number(reader, "lifetime", 600, 1, (double)DX_JWT_LIFETIME_S_CAP);
    auth->claims.backdate_s =
        (int64_t)dx_auth_number(reader, "backdate", auth->claims.lifetime_s > 2 * BACKDATE_S ? BACKDATE_S : 0, 0, 86400);
    if (auth->claims.backdate_s >= auth->claims.lifetime_s)
        dx_auth_refuse(reader, "backdate", "\"backdate\" must be less than \"lifetime\"");
    auth->claims.not_before = dx_auth_flag(reader, "not_before", false);
    auth->claims.with_id = dx_auth_flag(reader, "jti", false);
    auth->keeps = dx_auth_flag(reader, "cache", !auth->claims.with_id); // who wants ids wants each of them once
    if (yyjson_obj_get(reader->settings, "typ")) auth->header.type = dx_auth_text(reader, "typ");
    auth->header.extra = copied(reader, dx_auth_object(reader, "header"));
    dx_auth_place_read(&auth->place, reader, "Authorization", "Bearer");
}

// Made once to see that it can be.
static void try_it(jwt_auth *auth, dx_auth_reader *reader) {
    dx_jwt_made made;
    if (reader->status != DX_OK) return;
    dx_status status = make(auth, &made, reader->arena, dx_clock_utc());
    if (status == DX_NO_MEMORY) reader->status = status;
    if (status != DX_OK && status != DX_NO_MEMORY)
        dx_auth_refuse(
            reader, "claims",
            "no JWT can be made of this: a name stands twice, or one that is set by itself (iat, exp, alg, …), or it is too long");
}

static dx_status create(dx_auth **out, const dx_auth_plan *plan) {
    dx_arena *arena = dx_arena_create((size_t)2 << 20);
    jwt_auth *auth = arena ? DX_ARENA_NEW(arena, jwt_auth) : NULL;
    if (!auth) {
        dx_arena_destroy(arena);
        return DX_NO_MEMORY;
    }
    auth->arena = arena;
    (void)pthread_mutex_init(&auth->lock, NULL);
    dx_status status = dx_arena_defer(arena, wipe, auth);
    if (status == DX_OK && !(auth->kept = dx_arena_bytes(arena, DX_JWS_BYTES_CAP))) status = DX_NO_MEMORY;
    dx_auth_reader reader = dx_auth_reader_of(plan, arena);
    if (status == DX_OK) {
        read_settings(auth, &reader);
        try_it(auth, &reader);
        status = reader.status;
    }
    if (status == DX_OK)
        *out = &auth->base;
    else
        dx_arena_destroy(arena);
    return status;
}

const dx_auth_ops dx_auth_jwt = {.type = "jwt", .create = create, .apply = apply, .refused = refused, .destroy = destroy};
