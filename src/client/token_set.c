// The keepers of a client, found by what they depend on, and the thread on which all of them renew. It begins with the first token that is
// needed; at its end it lets an exchange that is under way come to its own, for a refresh token that was sent is spent.
#include "base/memory.h"
#include "client/client.h"
#include "client/token_parts.h"

#include <signal.h>

enum { KEEPERS_CAP = 256 }; // of a client; those that nobody uses give way
#define END_PATIENCE (5 * DX_SECOND)

// --- the thread ----------------------------------------------------------------------------------------------------------------------

static void *run_engine(void *ctx) {
    dx_engine *engine = ctx;
    (void)!dx_loop_run(engine->loop);
    return NULL;
}

// Signals are for the program's own threads.
static bool start_thread(dx_token_set *set, dx_engine *engine) {
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
    bool started = pthread_create(&set->thread, NULL, run_engine, engine) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

// Under the lock.
static void begin(dx_token_set *set) {
    dx_engine *engine;
    if (dx_engine_create(&engine, set->client, set->client->use, NULL) != DX_OK) return;
    if (start_thread(set, engine))
        set->engine = engine;
    else
        dx_engine_destroy(engine);
}

dx_engine *dx_token_set_engine(dx_token_set *set) {
    pthread_mutex_lock(&set->lock);
    if (!set->engine && !set->closed) begin(set);
    dx_engine *engine = set->engine;
    pthread_mutex_unlock(&set->lock);
    return engine;
}

// --- ending --------------------------------------------------------------------------------------------------------------------------

static void close_store(dx_tokens *tokens) {
    if (tokens->opened) tokens->store->ops->close(tokens->store);
    tokens->opened = false;
}

static void end_thread(dx_token_set *set) {
    dx_alarm_deinit(&set->patience);
    for (dx_tokens *tokens = set->tokens; tokens; tokens = tokens->next) {
        dx_tokens_fail_jobs(tokens);
        close_store(tokens);
    }
    set->ending = false;
    dx_loop_stop(set->engine->loop);
}

void dx_token_set_rested(dx_token_set *set) {
    if (!set->ending) return;
    for (dx_tokens *tokens = set->tokens; tokens; tokens = tokens->next)
        if (tokens->state != TOKEN_RESTING) return;
    end_thread(set);
}

static void end_all(dx_token_set *set, bool at_once) {
    for (dx_tokens *tokens = set->tokens, *next; tokens && set->ending; tokens = next) {
        next = tokens->next; // it may go
        dx_tokens_end_renewing(tokens, at_once);
    }
    if (set->ending) dx_token_set_rested(set);
}

static void on_patience(dx_alarm *alarm) {
    end_all(DX_CONTAINER_OF(alarm, dx_token_set, patience), true);
}

static void on_end(dx_task *task) {
    dx_token_set *set = DX_CONTAINER_OF(task, dx_token_set, end);
    set->ending = true;
    bool patient = dx_alarm_init(&set->patience, set->engine->loop, on_patience) == DX_OK;
    if (patient) dx_alarm_start(&set->patience, END_PATIENCE);
    end_all(set, !patient);
}

static void stop_thread(dx_token_set *set) {
    dx_engine *engine = set->engine;
    if (!engine) return;
    set->end.run = on_end;
    dx_loop_post(engine->loop, &set->end);
    (void)pthread_join(set->thread, NULL);
    pthread_mutex_lock(&set->lock);
    set->engine = NULL;
    pthread_mutex_unlock(&set->lock);
    dx_engine_destroy(engine);
}

void dx_token_set_close(dx_token_set *set) {
    pthread_mutex_lock(&set->lock);
    set->closed = true;
    pthread_mutex_unlock(&set->lock);
    stop_thread(set);
    while (set->tokens) {
        dx_tokens *tokens = set->tokens;
        set->tokens = tokens->next;
        dx_tokens_release(tokens);
    }
}

// --- keepers -------------------------------------------------------------------------------------------------------------------------
void dx_tokens_free(dx_tokens *tokens) {
    dx_token_set *set = tokens->set;
    dx_token_store_destroy(tokens->store);
    if (tokens->source) tokens->ops->destroy(tokens->source);
    dx_tokens_tell_secret(tokens, tokens->current, true);
    dx_tokens_tell_secret(tokens, tokens->before, true);
    dx_token_destroy(tokens->current);
    dx_token_destroy(tokens->before);
    dx_token_destroy(tokens->basis);
    dx_token_destroy(tokens->coming);
    (void)pthread_mutex_destroy(&tokens->lock);
    (void)pthread_cond_destroy(&tokens->told);
    dx_arena_destroy(tokens->arena);
    dx_token_set_release(set);
}

// On the thread: it is at rest, and leaves the set.
void dx_tokens_bury(dx_tokens *tokens) {
    dx_token_set *set = tokens->set;
    pthread_mutex_lock(&set->lock);
    dx_tokens **at = &set->tokens;
    while (*at != tokens) at = &(*at)->next;
    *at = tokens->next;
    pthread_mutex_unlock(&set->lock);
    close_store(tokens);
    dx_tokens_release(tokens);
}

static void on_bury(dx_task *task) {
    dx_tokens *tokens = DX_CONTAINER_OF(task, dx_tokens, kick);
    tokens->dying = true;
    if (tokens->state == TOKEN_RESTING) dx_tokens_bury(tokens);
}

// The oldest that only the set holds; under the lock. Its thread takes it out when it is at rest.
static void drop_one(dx_token_set *set) {
    dx_tokens **at = &set->tokens, **found = NULL;
    for (; *at; at = &(*at)->next)
        if (!(*at)->leaving && atomic_load(&(*at)->holders) == 1) found = at; // the newest are first
    if (!found) return;
    dx_tokens *tokens = *found;
    tokens->leaving = true;
    set->count--;
    tokens->kick.run = on_bury;
    if (set->engine) return dx_loop_post(set->engine->loop, &tokens->kick);
    *found = tokens->next; // it never began anything
    dx_tokens_release(tokens);
}

static dx_tokens *make(dx_token_set *set, const dx_tokens_plan *plan, const uint8_t *digest) {
    dx_arena *arena = dx_arena_create((size_t)1 << 20);
    dx_tokens *tokens = arena ? DX_ARENA_NEW(arena, dx_tokens) : NULL;
    if (!tokens) {
        dx_arena_destroy(arena);
        return NULL;
    }
    memcpy(tokens->digest, digest, sizeof tokens->digest);
    tokens->arena = arena;
    tokens->times = plan->times;
    tokens->key = dx_arena_copy(arena, plan->key);
    tokens->upstream = dx_arena_copy(arena, plan->upstream);
    if (!tokens->key.data || !tokens->upstream.data || dx_subcall_wire(&tokens->wire, arena, plan->wire) != DX_OK) {
        dx_arena_destroy(arena);
        return NULL;
    }
    tokens->ops = plan->ops;
    tokens->source = plan->source;
    tokens->store = plan->store;
    tokens->set = set;
    tokens->jobs_last = &tokens->jobs;
    (void)atomic_fetch_add(&set->holders, 1);
    (void)pthread_mutex_init(&tokens->lock, NULL);
    (void)pthread_cond_init(&tokens->told, NULL);
    atomic_init(&tokens->holders, 1); // the set
    return tokens;
}

static dx_tokens *find(dx_token_set *set, const uint8_t *digest) {
    for (dx_tokens *tokens = set->tokens; tokens; tokens = tokens->next)
        if (!tokens->leaving && memcmp(tokens->digest, digest, sizeof tokens->digest) == 0) return tokens;
    return NULL;
}

dx_status dx_tokens_get(dx_tokens **out, dx_token_set *set, const dx_tokens_plan *plan) {
    uint8_t digest[DX_SHA256_SIZE];
    dx_sha256(digest, plan->settings);
    pthread_mutex_lock(&set->lock);
    dx_tokens *tokens = find(set, digest), *made = NULL;
    if (!tokens) {
        if (set->count >= KEEPERS_CAP) drop_one(set);
        tokens = made = make(set, plan, digest);
    }
    if (made) {
        made->next = set->tokens;
        set->tokens = made;
        set->count++;
    }
    if (tokens) (void)dx_tokens_hold(tokens);
    pthread_mutex_unlock(&set->lock);
    *out = tokens;
    if (made) return DX_OK;
    plan->ops->destroy(plan->source);
    dx_token_store_destroy(plan->store);
    return tokens ? DX_OK : DX_NO_MEMORY;
}

// --- the set -------------------------------------------------------------------------------------------------------------------------
dx_token_set *dx_token_set_create(dx_client *client) {
    dx_token_set *set = dx_memory_zalloc(1, sizeof *set);
    if (!set) return NULL;
    set->client = client;
    (void)pthread_mutex_init(&set->lock, NULL);
    atomic_init(&set->holders, 1);
    return set;
}

void dx_token_set_release(dx_token_set *set) {
    if (!set || atomic_fetch_sub_explicit(&set->holders, 1, memory_order_acq_rel) != 1) return;
    (void)pthread_mutex_destroy(&set->lock);
    dx_memory_free(set);
}
