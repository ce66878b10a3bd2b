// What people ask of a keeper: done on the thread that renews, when nothing else is under way, while the one who asks waits.
#include "base/memory.h"
#include "base/random.h"
#include "client/token_parts.h"

#define LOCK_POLL (20 * DX_MILLISECOND)

static void run_job(dx_tokens *tokens);

static void end_job(dx_tokens *tokens, dx_status status, dx_slice why) {
    token_job *job = tokens->job;
    tokens->job = NULL;
    if (tokens->locked && tokens->store) tokens->store->ops->release(tokens->store);
    tokens->locked = false;
    tokens->state = TOKEN_RESTING;
    pthread_mutex_lock(&tokens->lock);
    job->status = status;
    (void)snprintf(job->why, sizeof job->why, "%.*s", DX_SLICE_ARG(why));
    job->over = true;
    (void)pthread_cond_broadcast(&tokens->told);
    pthread_mutex_unlock(&tokens->lock);
}

static dx_status publish_copy(dx_tokens *tokens, const dx_token *token) {
    dx_token *copy = NULL;
    dx_status status = token ? dx_token_create(&copy, token) : DX_OK;
    if (status == DX_OK) dx_tokens_publish(tokens, copy);
    return status;
}

static void on_committed(void *ctx, dx_status status, dx_slice why) {
    dx_tokens *tokens = ctx;
    if (tokens->text.data) dx_secret_wipe(tokens->text.data, tokens->text.capacity);
    dx_buffer_deinit(&tokens->text);
    tokens->locked = false;
    if (status == DX_OK) status = publish_copy(tokens, tokens->job->kind == JOB_PUT ? tokens->job->token : NULL);
    end_job(tokens, status, why);
    dx_tokens_rest(tokens);
}

static void change_store(dx_tokens *tokens) {
    token_job *job = tokens->job;
    dx_buffer_init(&tokens->text, NULL, DX_TOKEN_RECORD_CAP);
    if (!tokens->store) return on_committed(tokens, DX_OK, (dx_slice){0});
    dx_status status = job->kind == JOB_PUT ? dx_token_write(&tokens->text, job->token, tokens->key, tokens->store->ring) : DX_OK;
    if (status != DX_OK) return on_committed(tokens, status, DX_SLICE("there was no memory to store the token"));
    tokens->store->ops->commit(tokens->store, dx_buffer_slice(&tokens->text), on_committed, tokens);
}

static void on_poll(dx_alarm *alarm) {
    dx_tokens *tokens = DX_CONTAINER_OF(alarm, dx_tokens, alarm);
    dx_alarm_deinit(alarm);
    run_job(tokens);
}

static void show_stored(dx_tokens *tokens, dx_slice text) {
    dx_token *stored = NULL;
    dx_slice why = {"", 0};
    dx_status status = text.size ? dx_token_read(&stored, text, tokens->key, tokens->store->ring) : DX_OK;
    if (status == DX_BAD_TOKEN) why = DX_SLICE("the stored token is sealed, and no key of DUPLEX_SEAL_KEYS opens it");
    if (status == DX_CONFLICT) why = DX_SLICE("the store holds the token of another API or client");
    if (status == DX_MALFORMED) why = DX_SLICE("what is stored is no token");
    if (status == DX_OK && tokens->store) dx_tokens_publish(tokens, stored);
    end_job(tokens, status, why);
    dx_tokens_rest(tokens);
}

static void on_acquired(void *ctx, dx_status status, bool locked, dx_slice text, dx_slice why) {
    dx_tokens *tokens = ctx;
    tokens->locked = locked;
    if (status != DX_OK) {
        end_job(tokens, status, why);
        return dx_tokens_rest(tokens);
    }
    if (tokens->job->kind == JOB_LOOK) return show_stored(tokens, text);
    if (locked) return change_store(tokens);
    bool late = dx_clock_monotonic() > tokens->patience;
    if (late || dx_alarm_init(&tokens->alarm, dx_token_set_engine(tokens->set)->loop, on_poll) != DX_OK) {
        end_job(tokens, DX_CONFLICT, DX_SLICE("another process holds the lock of the store"));
        return dx_tokens_rest(tokens);
    }
    dx_alarm_start(&tokens->alarm, LOCK_POLL);
}

// --- sending -------------------------------------------------------------------------------------------------------------------------
static bool copy_answer(token_job *job, const dx_exchange_response *from) {
    dx_exchange_response *to = &job->answer->response;
    to->status = from->status;
    to->body = dx_arena_copy(job->arena, from->body);
    for (uint32_t i = 0; i < from->fields.count; i++) {
        dx_slice name = dx_arena_copy(job->arena, from->fields.items[i].name),
                 value = dx_arena_copy(job->arena, from->fields.items[i].value);
        if (!name.data || !value.data || dx_fields_add(&to->fields, job->arena, name, value) != DX_OK) return false;
    }
    return to->body.data != NULL;
}

static void on_answer(void *ctx, dx_subcall *subcall) {
    dx_tokens *tokens = ctx;
    token_job *job = tokens->job;
    dx_slice detail;
    tokens->subcall = NULL;
    job->answer->failure = dx_subcall_failure(subcall, &detail);
    job->answer->detail = dx_arena_copy(job->arena, detail);
    bool copied = copy_answer(job, dx_subcall_response(subcall));
    end_job(tokens, copied ? DX_OK : DX_NO_MEMORY, (dx_slice){0});
    dx_tokens_rest(tokens);
}

static void send_job(dx_tokens *tokens) {
    token_job *job = tokens->job;
    dx_subcall_request request = {job->ask->url, job->ask->method, &job->ask->fields, job->ask->body, &tokens->wire, tokens->times.timeout};
    *job->answer = (dx_tokens_answer){0};
    dx_status status = dx_subcall_start(&tokens->subcall, dx_token_set_engine(tokens->set), &request, on_answer, tokens);
    if (status != DX_OK) end_job(tokens, status, DX_SLICE("the URL can't be called, or there was no memory"));
}

// --- one after the other -------------------------------------------------------------------------------------------------------------
static void run_job(dx_tokens *tokens) {
    if (tokens->job->kind == JOB_SEND) return send_job(tokens);
    if (!tokens->store) return on_acquired(tokens, DX_OK, true, (dx_slice){0}, (dx_slice){0});
    if (!tokens->opened) tokens->opened = tokens->store->ops->open(tokens->store, dx_token_set_engine(tokens->set)->loop) == DX_OK;
    if (!tokens->opened) return end_job(tokens, DX_UNAVAILABLE, DX_SLICE("the store of the token could not be opened"));
    tokens->store->ops->acquire(tokens->store, on_acquired, tokens);
}

void dx_tokens_do_jobs(dx_tokens *tokens) {
    while (tokens->state == TOKEN_RESTING && tokens->jobs) {
        token_job *job = tokens->jobs;
        tokens->jobs = job->next;
        if (!tokens->jobs) tokens->jobs_last = &tokens->jobs;
        tokens->state = TOKEN_DOING;
        tokens->job = job;
        tokens->patience = dx_clock_monotonic() + 2 * tokens->times.timeout;
        run_job(tokens);
    }
}

void dx_tokens_fail_jobs(dx_tokens *tokens) {
    while (tokens->jobs) {
        tokens->job = tokens->jobs;
        tokens->jobs = tokens->job->next;
        end_job(tokens, DX_CANCELLED, DX_SLICE("the client is being closed"));
    }
    tokens->jobs_last = &tokens->jobs;
}

static void on_job(dx_task *task) {
    token_job *job = DX_CONTAINER_OF(task, token_job, task);
    dx_tokens *tokens = job->tokens;
    *tokens->jobs_last = job;
    tokens->jobs_last = &job->next;
    dx_tokens_do_jobs(tokens);
}

static dx_status wait_for(dx_tokens *tokens, token_job *job) {
    dx_engine *engine = dx_token_set_engine(tokens->set);
    if (!engine) return DX_NO_MEMORY;
    job->tokens = tokens;
    job->task.run = on_job;
    dx_loop_post(engine->loop, &job->task);
    pthread_mutex_lock(&tokens->lock);
    while (!job->over) (void)pthread_cond_wait(&tokens->told, &tokens->lock);
    pthread_mutex_unlock(&tokens->lock);
    return job->status;
}

// --- for people ----------------------------------------------------------------------------------------------------------------------
static void put_text(char *out, size_t size, dx_slice text) {
    (void)snprintf(out, size, "%.*s", DX_SLICE_ARG(text));
}

static void describe(dx_tokens *tokens, const token_job *job, dx_tokens_status *out) {
    *out = (dx_tokens_status){.sealed = tokens->store && tokens->store->ring};
    put_text(out->place, sizeof out->place, dx_slice_str(tokens->store ? tokens->store->place : "the memory of the process"));
    put_text(out->why, sizeof out->why, dx_slice_str(job->why));
    pthread_mutex_lock(&tokens->lock);
    const dx_token *token = tokens->current;
    if (token) {
        out->there = true;
        out->renewable = token->refresh.size > 0;
        out->obtained = token->obtained;
        out->expires = token->expires;
        put_text(out->scope, sizeof out->scope, token->scope);
    }
    pthread_mutex_unlock(&tokens->lock);
}

static dx_status do_and_describe(dx_tokens *tokens, token_job *job, dx_tokens_status *out) {
    dx_status status = wait_for(tokens, job);
    describe(tokens, job, out);
    if (status != DX_OK && !out->why[0]) put_text(out->why, sizeof out->why, dx_slice_str(dx_status_title(status)));
    return status;
}

dx_status dx_tokens_look(dx_tokens *tokens, dx_tokens_status *out) {
    token_job job = {.kind = JOB_LOOK};
    return do_and_describe(tokens, &job, out);
}

dx_status dx_tokens_put(dx_tokens *tokens, const dx_token *token, dx_tokens_status *out) {
    token_job job = {.kind = JOB_PUT, .token = token};
    return do_and_describe(tokens, &job, out);
}

dx_status dx_tokens_drop(dx_tokens *tokens, dx_tokens_status *out) {
    token_job job = {.kind = JOB_DROP};
    return do_and_describe(tokens, &job, out);
}

dx_status dx_tokens_send(dx_tokens *tokens, const dx_token_ask *ask, dx_arena *arena, dx_tokens_answer *out) {
    token_job job = {.kind = JOB_SEND, .ask = ask, .arena = arena, .answer = out};
    return wait_for(tokens, &job);
}

dx_status dx_tokens_copy(dx_tokens *tokens, dx_arena *arena, dx_token *out) {
    *out = (dx_token){0};
    pthread_mutex_lock(&tokens->lock);
    const dx_token *token = tokens->current;
    bool copied = true;
    if (token) {
        *out = *token;
        out->access = dx_arena_copy(arena, token->access);
        out->refresh = dx_arena_copy(arena, token->refresh);
        out->scope = dx_arena_copy(arena, token->scope);
        copied = out->access.data && out->refresh.data && out->scope.data;
    }
    pthread_mutex_unlock(&tokens->lock);
    return copied ? DX_OK : DX_NO_MEMORY;
}
