// How changes reach those who follow them. A commit wakes each worker at most once; the worker reads what is new once a resource and sends
// it to all that are up to date with it (*live*). Whoever does not take it, or comes with an older position, is *behind* and reads the log
// by itself, a page in a turn, until nothing is left; then it is live again. See feed.h.
#include "rest/feed.h"

#include "base/memory.h"

#define SCRATCH_CAP ((size_t)64 << 20)
// What of a change goes into an event: SSE has a cap of its own, and adds some text.
#define TEXT_CAP ((size_t)DX_SSE_EVENT_CAP - 1024)

// --- lists -----------------------------------------------------------------------------------------------------------------

static void feed_rest(dx_feed *feed) {
    if (feed->live || !feed->link) return;
    *feed->link = feed->next_live;
    if (feed->next_live) feed->next_live->link = feed->link;
    feed->link = NULL;
}

// Out of the list that its state puts it in.
static void take_out(dx_subscriber *s) {
    dx_feeds *feeds = s->feed->feeds;
    if (s->at) {
        *s->at = s->next;
        if (s->next) s->next->at = s->at;
        if (feeds->behind_end == &s->next) feeds->behind_end = s->at;
    }
    s->at = NULL;
    s->next = NULL;
    if (s->state == DX_SUBSCRIBER_LIVE) feed_rest(s->feed);
}

static void put_live(dx_subscriber *s) {
    dx_feed *feed = s->feed;
    dx_feeds *feeds = feed->feeds;
    take_out(s);
    s->state = DX_SUBSCRIBER_LIVE;
    if (!feed->live) feed->position = s->position; // nobody looked meanwhile
    s->next = feed->live;
    s->at = &feed->live;
    if (s->next) s->next->at = &s->next;
    feed->live = s;
    if (feed->link) return;
    feed->next_live = feeds->live;
    feed->link = &feeds->live;
    if (feed->next_live) feed->next_live->link = &feed->next_live;
    feeds->live = feed;
}

static void plan_turn(dx_feeds *feeds) {
    if (feeds->turning) return;
    feeds->turning = true;
    dx_app_hold(feeds->rest->app, feeds->worker); // the task outlives the last stream, perhaps
    dx_loop_post(feeds->loop, &feeds->turn);
}

static void put_behind(dx_subscriber *s) {
    dx_feeds *feeds = s->feed->feeds;
    take_out(s);
    s->state = DX_SUBSCRIBER_BEHIND;
    s->at = feeds->behind_end;
    *s->at = s;
    feeds->behind_end = &s->next;
    plan_turn(feeds);
}

static void put_stuck(dx_subscriber *s) {
    take_out(s);
    s->state = DX_SUBSCRIBER_STUCK;
}

static void end(dx_subscriber *s, const char *reason) {
    if (s->state == DX_SUBSCRIBER_ENDED) return;
    take_out(s);
    s->state = DX_SUBSCRIBER_ENDED;
    if (s->stream) dx_sse_end(s->stream, reason);
}

// --- sending ---------------------------------------------------------------------------------------------------------------

static bool send(dx_subscriber *s, int64_t sequence, const char *event, dx_slice data) {
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%lld", (long long)sequence);
    dx_sse_event out = {.id = dx_slice_of(digits, (size_t)size), .event = dx_slice_str(event), .data = data};
    if (!dx_sse_send(s->stream, &out)) {
        put_stuck(s);
        return false;
    }
    s->position = s->told = sequence;
    s->told_at = dx_loop_now(s->x->loop);
    return true;
}

// Without data an event only moves the client's Last-Event-ID.
static bool tell_position(dx_subscriber *s) {
    return send(s, s->position, "", (dx_slice){NULL, 0});
}

static bool is_visible(const dx_subscriber *s, const dx_change *change) {
    if (s->scoped && (change->owner.type != DX_VALUE_INTEGER || change->owner.integer != s->account)) return false;
    return !change->values || dx_conditions_hold(s->conditions, s->condition_count, change->values);
}

// The change as JSON, made when the first subscriber wants it.
static dx_status text_of(dx_slice *out, dx_feed *feed, const dx_change *change) {
    dx_buffer *text = &feed->feeds->text;
    if (!text->size) dx_change_write(text, feed->resource, change, TEXT_CAP);
    *out = dx_buffer_slice(text);
    return dx_buffer_status(text);
}

// False: it is not live or behind any more.
static bool deliver(dx_subscriber *s, const dx_change *change) {
    static const char *const names[] = {[DX_CHANGE_CREATE] = "create", [DX_CHANGE_UPDATE] = "update", [DX_CHANGE_DELETE] = "delete"};
    if (change->sequence <= s->position) return true;
    if (!is_visible(s, change)) {
        s->position = change->sequence;
        return true;
    }
    dx_slice text;
    if (text_of(&text, s->feed, change) == DX_OK) return send(s, change->sequence, names[change->kind], text);
    end(s, "unavailable"); // no memory: it comes back for it
    return false;
}

static dx_status read_page(dx_feed *feed, int64_t after, size_t limit, bool ends) {
    dx_feeds *feeds = feed->feeds;
    dx_arena_reset(feeds->scratch);
    return dx_changes_read(&feeds->page, feeds->scratch, feed->resource, feeds->session, after, limit, ends);
}

static void next_change(dx_feeds *feeds) {
    dx_buffer_clear(&feeds->text);
    if (feeds->text.capacity > 65536) dx_buffer_deinit(&feeds->text);
}

// --- those that are up to date ---------------------------------------------------------------------------------------------

static void fan_out(dx_feed *feed) {
    dx_feeds *feeds = feed->feeds;
    for (size_t i = 0; i < feeds->page.count; i++) {
        const dx_change *change = &feeds->page.items[i];
        for (dx_subscriber *s = feed->live, *next; s; s = next) {
            next = s->next;
            (void)deliver(s, change);
        }
        next_change(feeds);
        feed->position = change->sequence;
    }
}

static void all_behind(dx_feed *feed) {
    while (feed->live) put_behind(feed->live);
}

static bool has_gap(const dx_feed *feed) {
    const dx_change_page *page = &feed->feeds->page;
    return page->count && page->items[0].sequence > feed->position + 1;
}

// What lies between may only be numbers that nobody got; or it has been pruned: then each must look for itself.
static bool is_torn(dx_feed *feed) {
    const dx_change_page *page = &feed->feeds->page;
    return read_page(feed, feed->position, DX_CHANGES_PAGE, true) != DX_OK || feed->position < page->oldest - 1;
}

static void pump(dx_feed *feed) {
    dx_feeds *feeds = feed->feeds;
    for (int pages = 0; feed->live; pages++) {
        if (read_page(feed, feed->position, DX_CHANGES_PAGE, false) != DX_OK) return; // the next poll tries again
        if (has_gap(feed) && is_torn(feed)) {
            all_behind(feed);
            return;
        }
        fan_out(feed);
        if (!feeds->page.more) return;
        if (pages < DX_FEED_TURN) continue;
        feeds->again = true;
        plan_turn(feeds);
        return;
    }
}

static void pump_all(dx_feeds *feeds) {
    for (dx_feed *feed = feeds->live, *next; feed; feed = next) {
        next = feed->next_live;
        pump(feed);
    }
}

static void committed(dx_watch *watch) {
    pump_all(DX_CONTAINER_OF(watch, dx_feeds, watch));
}

// --- those that are behind -------------------------------------------------------------------------------------------------

// What the client has seen is not followed by what is kept: it must look anew.
static bool is_lost(const dx_subscriber *s, const dx_change_page *page) {
    return s->position > page->newest || (s->position < page->newest && s->position < page->oldest - 1);
}

static bool reset(dx_subscriber *s, int64_t newest) {
    const char *reason = s->position > newest ? "{\"reason\":\"unknown\"}" : "{\"reason\":\"expired\"}";
    return send(s, newest, "reset", dx_slice_str(reason));
}

static void catch_up(dx_subscriber *s) {
    dx_feed *feed = s->feed;
    dx_feeds *feeds = feed->feeds;
    if (read_page(feed, s->position, DX_CHANGES_PAGE, true) != DX_OK) {
        end(s, "unavailable");
        return;
    }
    if (is_lost(s, &feeds->page)) {
        if (reset(s, feeds->page.newest)) put_live(s);
        return;
    }
    bool goes_on = true;
    for (size_t i = 0; i < feeds->page.count && goes_on; i++) {
        goes_on = deliver(s, &feeds->page.items[i]);
        next_change(feeds);
    }
    if (!goes_on) return;
    if (feeds->page.more) {
        put_behind(s);
    } else {
        put_live(s);
    }
}

static void take_turn(dx_task *task) {
    dx_feeds *feeds = DX_CONTAINER_OF(task, dx_feeds, turn);
    bool again = feeds->again;
    feeds->turning = feeds->again = false;
    if (again) pump_all(feeds);
    if (feeds->behind) catch_up(feeds->behind);
    if (feeds->behind) plan_turn(feeds);
    dx_app_release(feeds->rest->app, feeds->worker); // the last touch
}

// --- time ------------------------------------------------------------------------------------------------------------------

static const char *refusal(dx_subscriber *s) {
    dx_exchange *x = s->x;
    const dx_resource *resource = s->feed->resource;
    dx_status status = x->principal && x->principal->recheck ? x->principal->recheck(x) : DX_OK;
    if (status == DX_EXPIRED_TOKEN) return "token_expired";
    if (status == DX_BAD_TOKEN || status == DX_ACCOUNT_DISABLED) return "token_revoked";
    if (status != DX_OK) return "unavailable";
    if (!dx_resource_allowed(resource, DX_ACTION_LIST, x->principal)) return "forbidden";
    s->scoped = dx_resource_scoped(resource, DX_ACTION_LIST, x->principal);
    return NULL;
}

static void look_after(dx_subscriber *s, dx_nanos now) {
    if (now - s->checked_at >= DX_FEED_RECHECK) {
        const char *why = refusal(s);
        s->checked_at = now;
        if (why) {
            end(s, why);
            return;
        }
    }
    if (s->state == DX_SUBSCRIBER_LIVE && s->position != s->told && now - s->told_at >= DX_FEED_TELL) (void)tell_position(s);
}

static void tick(dx_timer *timer) {
    dx_feeds *feeds = DX_CONTAINER_OF(timer, dx_feeds, tick);
    dx_nanos now = dx_loop_now(feeds->loop);
    for (dx_subscriber *s = feeds->all, *next; s; s = next) {
        next = s->next_all;
        if (s->stream && s->state != DX_SUBSCRIBER_ENDED) look_after(s, now);
    }
    pump_all(feeds);
    if (feeds->subscribers) dx_timer_start(feeds->loop, &feeds->tick, DX_FEED_POLL);
}

// --- streams ---------------------------------------------------------------------------------------------------------------

// A new client is told at once where it stands, so that it can come back to that even if nothing happens.
static void begin_now(dx_subscriber *s) {
    dx_feeds *feeds = s->feed->feeds;
    if (read_page(s->feed, 0, 0, true) != DX_OK) {
        end(s, "unavailable");
        return;
    }
    s->position = feeds->page.newest;
    s->resumes = true;
    if (tell_position(s)) put_live(s);
}

static void opened(void *ctx, dx_sse *stream) {
    dx_subscriber *s = ctx;
    s->stream = stream;
    if (s->feed->feeds->left) {
        end(s, "reloaded");
    } else if (s->resumes) {
        put_behind(s);
    } else {
        begin_now(s);
    }
}

static void writable(void *ctx, dx_sse *stream) {
    dx_subscriber *s = ctx;
    (void)stream;
    if (s->state == DX_SUBSCRIBER_STUCK) put_behind(s);
}

static void closed(void *ctx, dx_sse *stream) {
    dx_subscriber *s = ctx;
    dx_feeds *feeds = s->feed->feeds;
    (void)stream;
    take_out(s);
    s->state = DX_SUBSCRIBER_ENDED;
    *s->at_all = s->next_all;
    if (s->next_all) s->next_all->at_all = s->at_all;
    if (s->seated) dx_seat_leave(&feeds->rest->seats, s->account);
    if (--feeds->subscribers) return;
    dx_watch_stop(&feeds->watch);
    dx_timer_stop(feeds->loop, &feeds->tick);
}

static const dx_sse_ops ops = {opened, writable, closed};

dx_verdict dx_feed_join(dx_feed *feed, dx_subscriber *s, dx_exchange *x) {
    dx_feeds *feeds = feed->feeds;
    dx_sse_options options = DX_SSE_OPTIONS_INIT;
    options.compress = true;
    s->feed = feed;
    s->x = x;
    s->told_at = s->checked_at = dx_loop_now(x->loop);
    s->told = s->position;
    s->scoped = dx_resource_scoped(feed->resource, DX_ACTION_LIST, x->principal);
    dx_verdict verdict = dx_sse_open(x, &options, &ops, s);
    if (!x->response.source) { // no memory
        if (s->seated) dx_seat_leave(&feeds->rest->seats, s->account);
        return verdict;
    }
    s->next_all = feeds->all;
    s->at_all = &feeds->all;
    if (s->next_all) s->next_all->at_all = &s->next_all;
    feeds->all = s;
    if (feeds->subscribers++) return verdict;
    dx_watch_start(&feeds->watch, feeds->session);
    dx_timer_start(feeds->loop, &feeds->tick, DX_FEED_POLL);
    return verdict;
}

// --- life ------------------------------------------------------------------------------------------------------------------

dx_status dx_feeds_create(dx_feeds **out, dx_rest *rest, unsigned worker, dx_loop *loop) {
    dx_feeds *feeds = dx_memory_zalloc(1, sizeof *feeds);
    size_t count = rest->set->count;
    *out = feeds;
    if (!feeds) return DX_NO_MEMORY;
    feeds->rest = rest;
    feeds->worker = worker;
    feeds->loop = loop;
    feeds->session = dx_app_session(rest->app, worker);
    feeds->count = count;
    feeds->behind_end = &feeds->behind;
    feeds->watch.changed = committed;
    feeds->tick.fire = tick;
    feeds->turn.run = take_turn;
    dx_buffer_init(&feeds->text, NULL, SCRATCH_CAP);
    feeds->items = dx_memory_zalloc(count ? count : 1, sizeof *feeds->items);
    feeds->scratch = dx_arena_create(SCRATCH_CAP);
    if (!feeds->items || !feeds->scratch) return DX_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        feeds->items[i].feeds = feeds;
        feeds->items[i].resource = rest->set->items[i];
    }
    return DX_OK;
}

void dx_feeds_leave(dx_feeds *feeds) {
    feeds->left = true;
    dx_feeds_prune_stop(feeds);
    for (dx_subscriber *s = feeds->all, *next; s; s = next) {
        next = s->next_all;
        if (s->stream) end(s, "reloaded");
    }
}

void dx_feeds_destroy(dx_feeds *feeds) {
    if (!feeds) return;
    dx_buffer_deinit(&feeds->text);
    dx_arena_destroy(feeds->scratch);
    dx_memory_free(feeds->items);
    dx_memory_free(feeds);
}
