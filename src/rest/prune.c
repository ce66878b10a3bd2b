// Looks after the bounds of the change logs, one resource after the other, now and then, on one worker.
#include "rest/feed.h"

static void next_log(dx_task *task);

static void pause(dx_feeds *feeds) {
    feeds->pruning = false;
    if (!feeds->left) dx_timer_start(feeds->loop, &feeds->prune, DX_FEED_PRUNE);
    dx_app_release(feeds->rest->app, feeds->worker); // the last touch: the app may go now
}

// In a turn of its own: other work gets its turn between two transactions, and nothing piles up on the stack.
static void one_done(dx_change_pruner *pruner, bool more) {
    dx_feeds *feeds = DX_CONTAINER_OF(pruner, dx_feeds, pruner);
    if (!more) feeds->pruned++;
    dx_loop_post(feeds->loop, &feeds->prune_next);
}

static void next_log(dx_task *task) {
    dx_feeds *feeds = DX_CONTAINER_OF(task, dx_feeds, prune_next);
    while (feeds->pruned < feeds->count && !feeds->items[feeds->pruned].resource->changes) feeds->pruned++;
    if (feeds->pruned == feeds->count || feeds->left) {
        pause(feeds);
        return;
    }
    dx_changes_prune(&feeds->pruner, feeds->items[feeds->pruned].resource, feeds->session, one_done);
}

static void begin(dx_timer *timer) {
    dx_feeds *feeds = DX_CONTAINER_OF(timer, dx_feeds, prune);
    feeds->pruning = true;
    feeds->pruned = 0;
    dx_app_hold(feeds->rest->app, feeds->worker);
    next_log(&feeds->prune_next);
}

void dx_feeds_prune_start(dx_feeds *feeds) {
    feeds->prune.fire = begin;
    feeds->prune_next.run = next_log;
    dx_timer_start(feeds->loop, &feeds->prune, DX_FEED_PRUNE);
}

void dx_feeds_prune_stop(dx_feeds *feeds) {
    dx_timer_stop(feeds->loop, &feeds->prune);
}
