// The feeds of a worker: who follows the changes of which resource. A subscriber is a stream of events and a sequence number: what it has
// not been sent yet stands in the resource's change log and nowhere else, so one that is slow or comes back after a day costs no more
// memory than one that is up to date. All on the worker's loop, but for seats.
#ifndef DX_REST_FEED_H
#define DX_REST_FEED_H

#include "exchange/sse.h"
#include "resource/changes.h"
#include "rest/parts.h"

typedef struct dx_subscriber dx_subscriber;
typedef struct dx_feed dx_feed;
typedef struct dx_feeds dx_feeds;

// --- subscribers -------------------------------------------------------------------------------------------------------------

typedef enum dx_subscriber_state {
    DX_SUBSCRIBER_NEW,    // its stream has not opened yet
    DX_SUBSCRIBER_LIVE,   // gets what its feed reads
    DX_SUBSCRIBER_BEHIND, // reads the log by itself, a page a turn
    DX_SUBSCRIBER_STUCK,  // its peer takes nothing at present
    DX_SUBSCRIBER_ENDED
} dx_subscriber_state;

struct dx_subscriber {
    dx_subscriber *next, **at;         // live ones of its feed, or those behind of all feeds
    dx_subscriber *next_all, **at_all; // of the worker
    dx_feed *feed;
    dx_exchange *x;
    dx_sse *stream;
    dx_subscriber_state state;
    bool resumes;     // `position` is the client's, not now
    bool scoped;      // its own rows alone
    bool seated;      // `account` has a seat
    int64_t position; // the last change that was sent or passed over
    int64_t told;     // what the client's Last-Event-ID is
    dx_nanos told_at, checked_at;
    int64_t account;
    const dx_condition *conditions;
    size_t condition_count;
};

struct dx_feed {
    dx_feeds *feeds;
    const dx_resource *resource;
    dx_subscriber *live;
    int64_t position;           // up to here live ones have been sent what there is
    dx_feed *next_live, **link; // of feeds that have live ones; NULL link: has none
};

struct dx_feeds {
    dx_rest *rest;
    dx_loop *loop;
    dx_session *session;
    unsigned worker;
    bool left; // by the worker: whoever comes is sent away again
    size_t count, subscribers;
    dx_feed *items; // as the resources in the set
    dx_subscriber *all;
    dx_feed *live;
    dx_subscriber *behind, **behind_end;
    dx_watch watch;
    dx_timer tick;
    dx_task turn;        // one more page for those behind; posted while `turning`
    bool turning, again; // again: live ones have more to read, too
    dx_arena *scratch;
    dx_change_page page;
    dx_buffer text;
    // pruning, on the first worker alone
    dx_timer prune;
    dx_task prune_next;
    dx_change_pruner pruner;
    size_t pruned; // the resource that is being pruned
    bool pruning;
};

#define DX_FEED_POLL    (1 * DX_SECOND)  // what other processes wrote is looked for, when nothing else wakes us
#define DX_FEED_RECHECK (5 * DX_SECOND)  // a token that ended, an account that was disabled: no later than this, and a poll
#define DX_FEED_TELL    (60 * DX_SECOND) // a client that hears nothing is told how far it is
#define DX_FEED_PRUNE   (10 * DX_SECOND)
#define DX_FEED_TURN    4 // pages, before the loop gets on

dx_status dx_feeds_create(dx_feeds **out, dx_rest *rest, unsigned worker, dx_loop *loop) DX_MUST_USE;
void dx_feeds_leave(dx_feeds *feeds);   // on the worker's loop: streams end, timers stop
void dx_feeds_destroy(dx_feeds *feeds); // once no stream is left; takes NULL
// Makes the exchange a stream of the feed's changes. The subscriber is the exchange's, with position, conditions, account and seat set; it
// is the feeds' from here on.
dx_verdict dx_feed_join(dx_feed *feed, dx_subscriber *subscriber, dx_exchange *x);

// prune.c: forgets old changes, a bounded number at a time.
void dx_feeds_prune_start(dx_feeds *feeds);
void dx_feeds_prune_stop(dx_feeds *feeds);

#endif
