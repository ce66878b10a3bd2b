#include "policy/flight.h"

#include <pthread.h>

#include "base/memory.h"

enum { SHARDS = 16, CHAINS = 64 };
enum { FREE, LEADS, FOLLOWS };

typedef struct shard {
    pthread_mutex_t lock;
    uint64_t leaders, followers;
    dx_flight_waiter *chains[CHAINS];
    dx_flight_waiter *closed; // leaders that nobody joins any more
} shard;

struct dx_flight {
    shard shards[SHARDS];
};

dx_status dx_flight_create(dx_flight **out) {
    dx_flight *flight = *out = dx_memory_zalloc(1, sizeof *flight);
    if (!flight) return DX_NO_MEMORY;
    for (size_t i = 0; i < SHARDS; i++) pthread_mutex_init(&flight->shards[i].lock, NULL);
    return DX_OK;
}

void dx_flight_destroy(dx_flight *flight) {
    if (!flight) return;
    for (size_t i = 0; i < SHARDS; i++) pthread_mutex_destroy(&flight->shards[i].lock);
    dx_memory_free(flight);
}

static shard *shard_of(dx_flight *flight, uint64_t hash) {
    return &flight->shards[hash % SHARDS];
}

static dx_flight_waiter **chain_of(shard *s, uint64_t hash) {
    return &s->chains[(hash / SHARDS) % CHAINS];
}

static void push(dx_flight_waiter **head, dx_flight_waiter *waiter) {
    waiter->next = *head;
    waiter->link = head;
    if (waiter->next) waiter->next->link = &waiter->next;
    *head = waiter;
}

static void unlink_waiter(dx_flight_waiter *waiter) {
    *waiter->link = waiter->next;
    if (waiter->next) waiter->next->link = waiter->link;
    waiter->next = NULL;
    waiter->link = NULL;
}

static void begin(shard *s, dx_flight_waiter *waiter) {
    waiter->state = LEADS;
    waiter->leader = NULL;
    waiter->first = NULL;
    waiter->last = &waiter->first;
    waiter->failed = 0;
    waiter->spoiled = false;
    push(chain_of(s, waiter->hash), waiter);
    s->leaders++;
}

static void follow(shard *s, dx_flight_waiter *leader, dx_flight_waiter *waiter) {
    waiter->state = FOLLOWS;
    waiter->leader = leader;
    waiter->next = NULL;
    waiter->link = leader->last;
    *leader->last = waiter;
    leader->last = &waiter->next;
    s->followers++;
}

static dx_flight_waiter *leader_of(shard *s, dx_slice key, uint64_t hash) {
    dx_flight_waiter *leader = *chain_of(s, hash);
    while (leader && !(leader->hash == hash && dx_slice_equal(leader->key, key))) leader = leader->next;
    return leader;
}

bool dx_flight_busy(dx_flight *flight, dx_slice key, uint64_t hash) {
    shard *s = shard_of(flight, hash);
    pthread_mutex_lock(&s->lock);
    bool busy = leader_of(s, key, hash) != NULL;
    pthread_mutex_unlock(&s->lock);
    return busy;
}

bool dx_flight_join(dx_flight *flight, dx_flight_waiter *waiter) {
    shard *s = shard_of(flight, waiter->hash);
    waiter->news = DX_FLIGHT_NONE;
    waiter->entry = NULL;
    pthread_mutex_lock(&s->lock);
    dx_flight_waiter *leader = leader_of(s, waiter->key, waiter->hash);
    if (leader) {
        follow(s, leader, waiter);
    } else {
        begin(s, waiter);
    }
    pthread_mutex_unlock(&s->lock);
    return !leader;
}

static void tell(dx_flight_waiter *waiter, dx_flight_news news, dx_cache_entry *entry) {
    if (news != DX_FLIGHT_LEAD) waiter->state = FREE;
    waiter->news = news;
    waiter->entry = entry ? dx_cache_entry_hold(entry) : NULL;
    waiter->told(waiter); // it may be another thread's from here on, and gone
}

static void tell_all(shard *s, dx_flight_waiter *first, dx_cache_entry *entry) {
    for (dx_flight_waiter *next; first; first = next) {
        next = first->next;
        s->followers--;
        tell(first, entry ? DX_FLIGHT_ENTRY : DX_FLIGHT_GO, entry);
    }
}

static dx_flight_waiter *end_leader(shard *s, dx_flight_waiter *leader) {
    dx_flight_waiter *followers = leader->first;
    unlink_waiter(leader);
    leader->state = FREE;
    leader->first = NULL;
    s->leaders--;
    return followers;
}

bool dx_flight_land(dx_flight *flight, dx_flight_waiter *waiter, dx_cache_entry *entry) {
    shard *s = shard_of(flight, waiter->hash);
    pthread_mutex_lock(&s->lock);
    bool spoiled = waiter->spoiled;
    tell_all(s, end_leader(s, waiter), entry);
    pthread_mutex_unlock(&s->lock);
    return spoiled;
}

// The first follower takes the leader's place, with the others behind it.
static void promote(shard *s, dx_flight_waiter *old) {
    uint8_t failed = (uint8_t)(old->failed + 1);
    bool spoiled = old->spoiled;
    dx_flight_waiter **last = old->last, *heir = end_leader(s, old);
    if (!heir) return;
    if (failed == DX_FLIGHT_LEADERS) {
        tell_all(s, heir, NULL);
        return;
    }
    dx_flight_waiter *others = heir->next;
    s->followers--;
    begin(s, heir);
    heir->failed = failed;
    heir->first = others;
    heir->last = others ? last : &heir->first;
    if (others) others->link = &heir->first;
    for (dx_flight_waiter *other = others; other; other = other->next) other->leader = heir;
    if (spoiled) { // they came before; who came later has a leader of his own in the chain
        unlink_waiter(heir);
        push(&s->closed, heir);
        // Its own fetch begins after what was invalidated, so what it gets may stay.
    }
    tell(heir, DX_FLIGHT_LEAD, NULL);
}

static void stop_following(shard *s, dx_flight_waiter *waiter) {
    if (!waiter->next) waiter->leader->last = waiter->link;
    unlink_waiter(waiter);
    waiter->state = FREE;
    s->followers--;
}

bool dx_flight_leave(dx_flight *flight, dx_flight_waiter *waiter) {
    shard *s = shard_of(flight, waiter->hash);
    pthread_mutex_lock(&s->lock);
    bool untold = waiter->news == DX_FLIGHT_NONE;
    if (waiter->state == LEADS) {
        promote(s, waiter);
    } else if (waiter->state == FOLLOWS) {
        stop_following(s, waiter);
    }
    pthread_mutex_unlock(&s->lock);
    return untold;
}

static void close_chain(shard *s, dx_flight_waiter *leader, const uint64_t *hash) {
    for (dx_flight_waiter *next; leader; leader = next) {
        next = leader->next;
        if (hash && leader->hash != *hash) continue;
        unlink_waiter(leader);
        push(&s->closed, leader);
    }
}

void dx_flight_spoil(dx_flight *flight, const uint64_t *hash) {
    for (size_t i = 0; i < SHARDS; i++) {
        shard *s = &flight->shards[i];
        if (hash && s != shard_of(flight, *hash)) continue;
        pthread_mutex_lock(&s->lock);
        for (size_t j = 0; j < CHAINS; j++) {
            if (!hash || &s->chains[j] == chain_of(s, *hash)) close_chain(s, s->chains[j], hash);
        }
        // These, and those who lead in place of one that was closed before.
        for (dx_flight_waiter *leader = s->closed; leader; leader = leader->next) leader->spoiled |= !hash || leader->hash == *hash;
        pthread_mutex_unlock(&s->lock);
    }
}

void dx_flight_count(dx_flight *flight, uint64_t *leaders, uint64_t *followers) {
    *leaders = *followers = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        shard *s = &flight->shards[i];
        pthread_mutex_lock(&s->lock);
        *leaders += s->leaders;
        *followers += s->followers;
        pthread_mutex_unlock(&s->lock);
    }
}
