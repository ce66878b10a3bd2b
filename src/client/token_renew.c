// Renewing, one step after the other on the thread for it: read the store and take its lock; if somebody else has renewed meanwhile, take
// that; else ask the server, store what comes, and only then let it be used. A refresh token that rotates is spent by being sent: so
// nothing is sent without the lock, and nothing that came is given up because a call does not want it any more.
#include "base/memory.h"
#include "base/random.h"
#include "client/client.h"
#include "client/log.h"
#include "client/token_parts.h"

#define RENEW_ARENA_CAP ((size_t)8 << 20)
#define POLL_LEAST      (20 * DX_MILLISECOND)
#define COOLDOWN_MOST   (600 * DX_SECOND)
#define RETRY_AT_LEAST  (DX_SECOND) // after what may pass
enum { TRIES_CAP = 4 };

static void acquire(dx_tokens *tokens);
static void rest(dx_tokens *tokens);

// --- ending --------------------------------------------------------------------------------------------------------------------------
static void give_up_lock(dx_tokens *tokens) {
    if (tokens->locked && tokens->store) tokens->store->ops->release(tokens->store);
    tokens->locked = false;
}

static dx_nanos cooldown_of(const dx_tokens *tokens, dx_token_outcome outcome) {
    dx_nanos first = tokens->times.cooldown, most = COOLDOWN_MOST > first ? COOLDOWN_MOST : first, wait;
    if (outcome == DX_TOKEN_BUSY && first > RETRY_AT_LEAST) {
        first = RETRY_AT_LEAST;
        most = tokens->times.cooldown;
    }
    wait = first;
    for (unsigned i = 1; i < tokens->failures && wait < most; i++) wait *= 2;
    if (wait > most) wait = most;
    return wait ? wait + (dx_nanos)(dx_random_u64() % (uint64_t)(wait / 4 + 1)) : 0;
}

static void log_refused(const dx_tokens *tokens, dx_slice why) {
    if (!tokens->set->ending) dx_log_auth(tokens->set->client, tokens->upstream, DX_LEVEL_WARN, "token_refused", why);
}

static void fail(dx_tokens *tokens, dx_token_outcome outcome, dx_slice why) {
    log_refused(tokens, why);
    pthread_mutex_lock(&tokens->lock);
    tokens->failures++;
    (void)snprintf(tokens->why, sizeof tokens->why, "%.*s", DX_SLICE_ARG(why));
    dx_nanos pause = cooldown_of(tokens, outcome);
    if (pause < tokens->asked_pause) pause = tokens->asked_pause;
    tokens->asked_pause = 0;
    tokens->cool_until = dx_clock_monotonic() + pause;
    dx_tokens_wake(tokens, true);
    pthread_mutex_unlock(&tokens->lock);
    rest(tokens);
}

// What only a person can mend may be mended at any moment, by `duplex auth login`: it is looked for again soon.
static void fail_person(dx_tokens *tokens, dx_slice why) {
    log_refused(tokens, why);
    pthread_mutex_lock(&tokens->lock);
    (void)snprintf(tokens->why, sizeof tokens->why, "%.*s", DX_SLICE_ARG(why));
    tokens->cool_until = dx_clock_monotonic() + (tokens->times.cooldown < DX_SECOND ? tokens->times.cooldown : DX_SECOND);
    dx_tokens_wake(tokens, true);
    pthread_mutex_unlock(&tokens->lock);
    rest(tokens);
}

static void rest(dx_tokens *tokens) {
    give_up_lock(tokens);
    dx_token_destroy(tokens->basis);
    tokens->basis = NULL;
    tokens->state = TOKEN_RESTING;
    if (tokens->dying) return dx_tokens_bury(tokens);
    dx_tokens_do_jobs(tokens);
    if (tokens->state == TOKEN_RESTING) dx_token_set_rested(tokens->set);
}

void dx_tokens_rest(dx_tokens *tokens) {
    rest(tokens);
    dx_tokens_renew(tokens); // for those who came meanwhile
}

void dx_tokens_tell_secret(const dx_tokens *tokens, const dx_token *token, bool gone) {
    dx_client *client = tokens->set->client;
    if (!token) return;
    if (gone) {
        dx_client_secret_gone(client, token->access);
        dx_client_secret_gone(client, token->refresh);
    } else { // over a cap of the redactor's it is still found by name and by look
        (void)!dx_client_secret(client, token->access);
        (void)!dx_client_secret(client, token->refresh);
    }
}

void dx_tokens_publish(dx_tokens *tokens, dx_token *token) {
    dx_nanos now = dx_clock_monotonic();
    pthread_mutex_lock(&tokens->lock);
    bool other = !token || !tokens->current || !dx_slice_equal(token->access, tokens->current->access);
    dx_tokens_tell_secret(tokens, tokens->before, true);
    dx_token_destroy(tokens->before);
    tokens->before = tokens->current;
    tokens->current = token;
    dx_tokens_tell_secret(tokens, token, false);
    if (other) {
        tokens->serial++;
        atomic_store(&tokens->unproven, tokens->refused);
        tokens->refused = false;
        tokens->got = now;
    }
    tokens->fresh_until = tokens->valid_until = INT64_MAX;
    if (token && token->expires) {
        dx_nanos left = (token->expires - dx_clock_utc()) * DX_MICROSECOND;
        tokens->valid_until = now + left;
        tokens->fresh_until = tokens->valid_until - dx_tokens_leeway(tokens, token->lifetime_s);
    }
    tokens->failures = 0;
    tokens->cool_until = 0;
    tokens->why[0] = '\0';
    dx_tokens_wake(tokens, token == NULL);
    pthread_mutex_unlock(&tokens->lock);
}

// --- storing -------------------------------------------------------------------------------------------------------------------------
static void wipe_text(dx_tokens *tokens) {
    if (tokens->text.data) dx_secret_wipe(tokens->text.data, tokens->text.capacity);
    dx_buffer_deinit(&tokens->text);
}

// The new refresh token is the only one that is good now: without it in the store, others would send the old one.
static bool must_be_stored(const dx_tokens *tokens) {
    const dx_token *coming = tokens->coming;
    return coming->refresh.size && !(tokens->basis && dx_slice_equal(coming->refresh, tokens->basis->refresh));
}

static void on_committed(void *ctx, dx_status status, dx_slice why) {
    dx_tokens *tokens = ctx;
    wipe_text(tokens);
    tokens->locked = false;
    if (status == DX_CONFLICT) { // somebody took the lock from us, who were slow: what they stored counts
        dx_token_destroy(tokens->coming);
        tokens->coming = NULL;
        if (++tokens->tries < TRIES_CAP) return acquire(tokens);
        return fail(tokens, DX_TOKEN_BUSY, DX_SLICE("the lock of the stored token was lost again and again"));
    }
    if (status != DX_OK && must_be_stored(tokens)) return fail(tokens, DX_TOKEN_BUSY, why); // `coming` stays, and is stored next time
    dx_token *token = tokens->coming;
    tokens->coming = NULL;
    dx_tokens_publish(tokens, token);
    const char *event = tokens->basis && tokens->basis->refresh.size && !tokens->anew ? "token_refreshed" : "token_fetched";
    dx_log_auth(tokens->set->client, tokens->upstream, DX_LEVEL_INFO, event, (dx_slice){0});
    rest(tokens);
}

static void commit(dx_tokens *tokens) {
    tokens->state = TOKEN_COMMITTING;
    if (!tokens->store) return on_committed(tokens, DX_OK, (dx_slice){0});
    dx_buffer_init(&tokens->text, NULL, DX_TOKEN_RECORD_CAP);
    (void)dx_buffer_reserve(&tokens->text, 4 * DX_TOKEN_TEXT_CAP); // growing would leave copies behind
    dx_status status = dx_token_write(&tokens->text, tokens->coming, tokens->key, tokens->store->ring);
    if (status != DX_OK) return on_committed(tokens, status, DX_SLICE("there was no memory to store the token"));
    tokens->store->ops->commit(tokens->store, dx_buffer_slice(&tokens->text), on_committed, tokens);
}

// --- asking --------------------------------------------------------------------------------------------------------------------------
static dx_status take_token(dx_tokens *tokens, dx_token *got) {
    const dx_token *basis = tokens->basis;
    int64_t known = basis && basis->lifetime_s ? basis->lifetime_s : tokens->times.default_lifetime_s;
    got->obtained = dx_clock_utc();
    if (!got->refresh.size && basis && !tokens->anew) got->refresh = basis->refresh;
    if (!got->scope.size && basis) got->scope = basis->scope;
    if (!got->expires || got->expires <= got->obtained) got->expires = got->obtained + known * 1000000;
    got->lifetime_s = (got->expires - got->obtained + 999999) / 1000000;
    return dx_token_create(&tokens->coming, got);
}

// Retry-After, in both its forms (RFC 9110 section 10.2.3); 0: there is none.
static dx_nanos pause_asked(const dx_exchange_response *response) {
    dx_slice text = dx_fields_find(&response->fields, DX_SLICE("retry-after"));
    dx_micros_utc date;
    uint64_t seconds;
    dx_nanos pause = 0;
    if (dx_slice_to_u64(text, &seconds))
        pause = seconds < 86400 ? (dx_nanos)seconds * DX_SECOND : COOLDOWN_MOST;
    else if (dx_http_date_read(text, &date))
        pause = (date - dx_clock_utc()) * DX_MICROSECOND;
    return pause < 0 ? 0 : pause > COOLDOWN_MOST ? COOLDOWN_MOST : pause;
}

static void on_refused(dx_tokens *tokens, dx_slice why);

static void on_answer(void *ctx, dx_subcall *subcall) {
    dx_tokens *tokens = ctx;
    dx_arena *arena = dx_subcall_arena(subcall);
    dx_slice detail, why = {"", 0};
    dx_token got = {0};
    tokens->subcall = NULL;
    dx_error_code failure = dx_subcall_failure(subcall, &detail);
    if (failure != DX_ERROR_NONE) {
        why = dx_arena_printf(arena, "no token: %s%s%.*s", dx_error_meaning(failure), detail.size ? ": " : "", DX_SLICE_ARG(detail));
        return fail(tokens, DX_TOKEN_BUSY, why);
    }
    const dx_token *old = tokens->anew ? NULL : tokens->basis;
    dx_token_outcome outcome = tokens->ops->take(tokens->source, arena, dx_subcall_response(subcall), old, &got, &why);
    if (outcome == DX_TOKEN_GOT) {
        dx_status status = take_token(tokens, &got);
        if (status == DX_OK) return commit(tokens);
        return fail(tokens, DX_TOKEN_FAILED,
                    status == DX_TOO_LARGE ? DX_SLICE("the token is too long") : DX_SLICE("there was no memory for the token"));
    }
    if (outcome == DX_TOKEN_REFUSED) return on_refused(tokens, why);
    tokens->asked_pause = pause_asked(dx_subcall_response(subcall));
    fail(tokens, outcome, why);
}

static void ask(dx_tokens *tokens) {
    if (tokens->set->ending) return fail(tokens, DX_TOKEN_BUSY, DX_SLICE("the client is being closed"));
    dx_arena *arena = dx_arena_create(RENEW_ARENA_CAP);
    dx_token_ask asked = {.method = DX_POST};
    dx_slice why = DX_SLICE("there was no memory to ask for a token");
    tokens->state = TOKEN_ASKING;
    dx_status status = arena ? tokens->ops->ask(tokens->source, arena, tokens->anew ? NULL : tokens->basis, &asked, &why) : DX_NO_MEMORY;
    if (status == DX_OK) {
        dx_subcall_request request = {asked.url, asked.method, &asked.fields, asked.body, &tokens->wire, tokens->times.timeout};
        dx_engine *engine = dx_token_set_engine(tokens->set);
        status = engine ? dx_subcall_start(&tokens->subcall, engine, &request, on_answer, tokens) : DX_NO_MEMORY;
        if (status == DX_INVALID) why = DX_SLICE("the URL of the token endpoint can't be called");
    }
    if (status == DX_UNAUTHENTICATED)
        fail_person(tokens, why);
    else if (status != DX_OK)
        fail(tokens, DX_TOKEN_FAILED, why);
    if (asked.body.size) dx_secret_wipe((void *)(uintptr_t)asked.body.data, asked.body.size);
    dx_arena_destroy(arena);
}

// invalid_grant. Somebody may have renewed without our lock: the store is read once more. Then what needs no person is begun anew.
static void on_refused(dx_tokens *tokens, dx_slice why) {
    if (!tokens->reread && tokens->store) {
        pthread_mutex_lock(&tokens->lock);
        (void)snprintf(tokens->why, sizeof tokens->why, "%.*s", DX_SLICE_ARG(why));
        pthread_mutex_unlock(&tokens->lock);
        tokens->reread = true;
        return acquire(tokens);
    }
    if (tokens->basis && tokens->basis->refresh.size && !tokens->anew) {
        dx_arena *arena = dx_arena_create(RENEW_ARENA_CAP);
        dx_token_ask asked;
        dx_slice person = {0};
        tokens->anew = true;
        bool can = arena && tokens->ops->ask(tokens->source, arena, NULL, &asked, &person) == DX_OK;
        dx_arena_destroy(arena);
        if (can) return ask(tokens);
    }
    fail(tokens, DX_TOKEN_REFUSED, why);
}

// --- taking what is stored -----------------------------------------------------------------------------------------------------------
// Whether it can be used as it is, for a while yet, and is not the very one that the server refused.
static bool is_good(dx_tokens *tokens, const dx_token *stored) {
    pthread_mutex_lock(&tokens->lock);
    bool refused = tokens->refused && tokens->current && dx_slice_equal(tokens->current->access, stored->access);
    pthread_mutex_unlock(&tokens->lock);
    if (refused) return false;
    if (!stored->expires) return true;
    return (stored->expires - dx_clock_utc()) * DX_MICROSECOND > dx_tokens_leeway(tokens, stored->lifetime_s);
}

static void on_poll(dx_alarm *alarm) {
    dx_tokens *tokens = DX_CONTAINER_OF(alarm, dx_tokens, alarm);
    dx_alarm_deinit(alarm);
    acquire(tokens);
}

static void wait_for_lock(dx_tokens *tokens) {
    if (dx_clock_monotonic() > tokens->patience)
        return fail(tokens, DX_TOKEN_BUSY,
                    DX_SLICE("another process has been renewing the token for too long (it holds the lock of the store)"));
    if (dx_alarm_init(&tokens->alarm, dx_token_set_engine(tokens->set)->loop, on_poll) != DX_OK)
        return fail(tokens, DX_TOKEN_BUSY, DX_SLICE("there was no memory to wait for the token"));
    tokens->state = TOKEN_POLLING;
    dx_alarm_start(&tokens->alarm, POLL_LEAST + (dx_nanos)(dx_random_u64() % (uint64_t)POLL_LEAST));
}

static bool same_refresh(const dx_token *a, const dx_token *b) {
    return a && b && dx_slice_equal(a->refresh, b->refresh);
}

static void go_on_with(dx_tokens *tokens, dx_token *stored) {
    if (stored && is_good(tokens, stored)) {
        dx_token_destroy(tokens->coming); // older than what is stored
        tokens->coming = NULL;
        dx_tokens_publish(tokens, stored);
        return rest(tokens);
    }
    if (!tokens->locked) {
        dx_token_destroy(stored);
        return wait_for_lock(tokens);
    }
    if (tokens->reread && same_refresh(stored, tokens->basis)) { // nobody else has renewed it: it was refused for good
        dx_token_destroy(stored);
        char why[WHY_SIZE];
        (void)snprintf(why, sizeof why, "%s", tokens->why);
        return on_refused(tokens, dx_slice_str(why));
    }
    dx_token_destroy(tokens->basis);
    tokens->basis = stored;
    if (tokens->coming) return commit(tokens);
    ask(tokens);
}

// Without a store, or with an empty one, what is renewed is what we have.
static dx_status copy_current(dx_tokens *tokens, dx_token **out) {
    *out = NULL;
    return tokens->current ? dx_token_create(out, tokens->current) : DX_OK;
}

static void on_acquired(void *ctx, dx_status status, bool locked, dx_slice text, dx_slice why) {
    dx_tokens *tokens = ctx;
    dx_token *stored = NULL;
    tokens->locked = locked;
    if (status != DX_OK) return fail(tokens, DX_TOKEN_BUSY, why);
    if (text.size) {
        status = dx_token_read(&stored, text, tokens->key, tokens->store->ring);
        if (status == DX_BAD_TOKEN)
            return fail(tokens, DX_TOKEN_FAILED, DX_SLICE("the stored token is sealed, and no key of DUPLEX_SEAL_KEYS opens it"));
        if (status == DX_CONFLICT) return fail(tokens, DX_TOKEN_FAILED, DX_SLICE("the store holds the token of another API or client"));
        if (status == DX_NO_MEMORY) return fail(tokens, DX_TOKEN_BUSY, DX_SLICE("there was no memory for the stored token"));
        // What can't be read is as good as none: it is got anew, or a person is asked.
    } else if (!tokens->store && copy_current(tokens, &stored) != DX_OK) {
        return fail(tokens, DX_TOKEN_BUSY, DX_SLICE("there was no memory for the token"));
    }
    go_on_with(tokens, stored);
}

static void acquire(dx_tokens *tokens) {
    tokens->state = TOKEN_ACQUIRING;
    if (!tokens->store) return on_acquired(tokens, DX_OK, true, (dx_slice){0}, (dx_slice){0});
    dx_status status = DX_OK;
    if (!tokens->opened) status = tokens->store->ops->open(tokens->store, dx_token_set_engine(tokens->set)->loop);
    tokens->opened = status == DX_OK;
    if (status != DX_OK) return fail(tokens, DX_TOKEN_BUSY, DX_SLICE("the store of the token could not be opened"));
    tokens->store->ops->acquire(tokens->store, on_acquired, tokens);
}

// --- beginning -----------------------------------------------------------------------------------------------------------------------
static bool is_needed(dx_tokens *tokens) {
    dx_nanos now = dx_clock_monotonic();
    pthread_mutex_lock(&tokens->lock);
    bool needed = tokens->waiters || !tokens->current || tokens->refused || now >= tokens->fresh_until;
    if (now < tokens->cool_until) needed = false;
    if (tokens->waiters && (!needed || (tokens->current && !tokens->refused && now < tokens->fresh_until))) {
        dx_tokens_wake(tokens, !tokens->current || tokens->refused || now >= tokens->fresh_until); // they came between a look and its kick
        needed = false;
    }
    pthread_mutex_unlock(&tokens->lock);
    return needed;
}

void dx_tokens_renew(dx_tokens *tokens) {
    if (tokens->state != TOKEN_RESTING || tokens->dying || !is_needed(tokens)) return;
    if (!dx_token_set_engine(tokens->set)) return;
    tokens->reread = tokens->anew = false;
    tokens->tries = 0;
    tokens->patience = dx_clock_monotonic() + 2 * tokens->times.timeout;
    acquire(tokens);
}

void dx_tokens_end_renewing(dx_tokens *tokens, bool at_once) {
    if (tokens->state == TOKEN_POLLING) {
        dx_alarm_deinit(&tokens->alarm);
        fail(tokens, DX_TOKEN_BUSY, DX_SLICE("the client is being closed"));
    } else if (at_once && tokens->state == TOKEN_ASKING && tokens->subcall) {
        dx_subcall_cancel(tokens->subcall);
        tokens->subcall = NULL;
        fail(tokens, DX_TOKEN_BUSY, DX_SLICE("the client is being closed"));
    }
}
