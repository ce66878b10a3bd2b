// What the files of the keepers share. token.c: calls and what they wait by; token_renew.c: renewing, on the thread for it; token_set.c:
// the thread and the set; token_ask.c: what people ask.
#ifndef DX_CLIENT_TOKEN_PARTS_H
#define DX_CLIENT_TOKEN_PARTS_H

#include <pthread.h>

#include "client/subcall.h"
#include "client/token.h"
#include "crypto/digest.h"
#include "loop/alarm.h"

// A call that waits. On the heap; the list's until it is posted, its loop's from then on.
typedef struct token_waiter {
    dx_task task;
    dx_tokens *tokens;
    const dx_auth_place *place;
    dx_exchange *x;  // its loop's alone
    uint64_t serial; // of the token that was there when it began to wait
    bool posted, gone, failed;
    struct token_waiter *next, **link;
} token_waiter;

// Something that people ask, done when nothing is under way.
typedef struct token_job {
    dx_task task;
    dx_tokens *tokens;
    enum { JOB_LOOK, JOB_PUT, JOB_DROP, JOB_SEND } kind;
    const dx_token *token;
    const dx_token_ask *ask;
    dx_arena *arena;
    dx_tokens_answer *answer;
    dx_status status;
    char why[512];
    bool over;
    struct token_job *next;
} token_job;

typedef enum token_state { TOKEN_RESTING, TOKEN_ACQUIRING, TOKEN_POLLING, TOKEN_ASKING, TOKEN_COMMITTING, TOKEN_DOING } token_state;

#define WHY_SIZE 400

struct dx_tokens {
    atomic_size_t holders;
    dx_token_set *set; // held
    dx_tokens *next;   // in the set, under its lock, as the next
    bool leaving;      // it is found no more, and goes when it is at rest
    uint8_t digest[DX_SHA256_SIZE];
    dx_arena *arena;
    dx_slice key, upstream;
    dx_token_settings times;
    dx_wire_settings wire;
    const dx_token_source_ops *ops;
    void *source;
    dx_token_store *store; // NULL: memory

    pthread_mutex_t lock;
    pthread_cond_t told; // a job is over
    // --- under the lock
    dx_token *current; // changed by the thread that renews alone
    dx_token *before;  // the one before it, which calls under way may still tell of
    uint64_t serial;
    dx_nanos fresh_until, valid_until; // monotonic
    bool refused;                      // by the server, before its time
    atomic_bool unproven;              // it was got because the one before it was refused, and has not been accepted yet
    dx_nanos got;
    bool kicked; // `kick` is posted
    dx_nanos cool_until;
    unsigned failures;
    char why[WHY_SIZE];
    token_waiter *waiters;
    dx_task kick;
    token_job *jobs, **jobs_last;

    // --- the renewing thread's alone
    token_state state;
    bool opened, locked, reread, anew, dying;
    unsigned tries;
    dx_nanos patience;    // until when the lock is waited for
    dx_nanos asked_pause; // by the server that could not give one
    dx_subcall *subcall;
    dx_alarm alarm;
    dx_token *basis;  // what is renewed
    dx_token *coming; // got, not stored yet
    token_job *job;   // being done
    dx_buffer text;   // the record being stored
};

struct dx_token_set {
    pthread_mutex_t lock;
    atomic_size_t holders;
    struct dx_client *client;
    dx_engine *engine; // NULL: not begun, or closed
    pthread_t thread;
    bool closed;
    dx_tokens *tokens;
    size_t count;
    // the renewing thread's alone
    bool ending;
    dx_task end;
    dx_alarm patience;
};

// --- token.c
// Everybody who waits, under its lock: there is a token, or (`failed`) there is none to be had now.
void dx_tokens_wake(dx_tokens *tokens, bool failed);
bool dx_tokens_kick(dx_tokens *tokens); // under its lock; false: there is no thread
dx_nanos dx_tokens_leeway(const dx_tokens *tokens, int64_t lifetime_s);
// --- token_renew.c
void dx_tokens_renew(dx_tokens *tokens);                                               // where it is needed and nothing is under way
void dx_tokens_tell_secret(const dx_tokens *tokens, const dx_token *token, bool gone); // the client's redactor; takes NULL
void dx_tokens_publish(dx_tokens *tokens, dx_token *token);                            // takes it over; NULL: there is none any more
void dx_tokens_rest(dx_tokens *tokens);                                                // after a job: what is left to do
void dx_tokens_end_renewing(dx_tokens *tokens, bool at_once);                          // at the end of the thread
// --- token_ask.c
void dx_tokens_do_jobs(dx_tokens *tokens);
void dx_tokens_fail_jobs(dx_tokens *tokens);
// --- token_set.c
dx_engine *dx_token_set_engine(dx_token_set *set); // begins the thread; NULL: it can't be, or it has ended. Any thread
void dx_token_set_rested(dx_token_set *set);       // a keeper has nothing under way any more
void dx_tokens_bury(dx_tokens *tokens);            // of one that is dying, at rest: on the thread
void dx_tokens_free(dx_tokens *tokens);

#endif
