// The gate: judging an address by the lists, and counting connections by address in a table of shards. It is passed once when a connection
// is accepted and once when it has gone, so a lock a shard is cheap enough.
#include "net/gate.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"

#define SHARDS      64u
#define SHARD_FIRST 16u // entries that a shard has room for at first; a power of two

// An address as it is counted: IPv4 whole, IPv6 by its /64, all peers on unix sockets together.
typedef struct key {
    uint8_t bytes[16];
} key;

typedef struct entry {
    key key;
    uint32_t count; // 0: free
} entry;

typedef struct shard {
    pthread_mutex_t lock;
    entry *entries; // open addressing, at most half full
    uint32_t used, capacity;
} shard;

struct dx_gate {
    pthread_mutex_t lock; // of `rules`
    dx_gate_rules rules;
    atomic_uint inside;
    atomic_uint denied, full; // since the log last told of them
    _Atomic dx_nanos told;    // when it did
    shard shards[SHARDS];
};

static key key_of(const dx_address *address) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    key k = {{0}};
    if (dx_address_bytes(address, k.bytes) && memcmp(k.bytes, mapped, sizeof mapped) != 0) memset(k.bytes + 8, 0, 8);
    return k;
}

static uint64_t hash(const key *k) {
    return dx_hash(dx_slice_of((const char *)k->bytes, sizeof k->bytes));
}

// --- a shard ---------------------------------------------------------------------------------------------------------------

// The entry of the key, or the free one where it belongs.
static entry *find(const shard *s, const key *k, uint64_t hashed) {
    uint32_t at = (uint32_t)(hashed / SHARDS) & (s->capacity - 1);
    while (s->entries[at].count && memcmp(&s->entries[at].key, k, sizeof *k) != 0) at = (at + 1) & (s->capacity - 1);
    return &s->entries[at];
}

static bool grow(shard *s) {
    if (s->used * 2 < s->capacity) return true;
    shard larger = {.capacity = s->capacity ? s->capacity * 2 : SHARD_FIRST};
    larger.entries = dx_memory_zalloc(larger.capacity, sizeof *larger.entries);
    if (!larger.entries) return false;
    for (uint32_t i = 0; i < s->capacity; i++) {
        if (s->entries[i].count) *find(&larger, &s->entries[i].key, hash(&s->entries[i].key)) = s->entries[i];
    }
    dx_memory_free(s->entries);
    s->entries = larger.entries;
    s->capacity = larger.capacity;
    return true;
}

// Frees an entry, and moves those behind it up that could no longer be found.
static void free_entry(shard *s, uint32_t at) {
    uint32_t mask = s->capacity - 1;
    for (uint32_t next = (at + 1) & mask; s->entries[next].count; next = (next + 1) & mask) {
        uint32_t home = (uint32_t)(hash(&s->entries[next].key) / SHARDS) & mask;
        if (((next - home) & mask) < ((next - at) & mask)) continue; // it belongs behind the hole
        s->entries[at] = s->entries[next];
        at = next;
    }
    s->entries[at].count = 0;
    s->used--;
}

static bool count_in(dx_gate *gate, const dx_address *address, uint32_t each) {
    key k = key_of(address);
    uint64_t hashed = hash(&k);
    shard *s = &gate->shards[hashed % SHARDS];
    pthread_mutex_lock(&s->lock);
    bool in = grow(s); // without memory nobody comes in: what is not counted is not bounded
    if (in) {
        entry *e = find(s, &k, hashed);
        in = each == 0 || e->count < each;
        if (in && e->count++ == 0) {
            e->key = k;
            s->used++;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return in;
}

// --- the gate --------------------------------------------------------------------------------------------------------------

dx_status dx_gate_create(dx_gate **out, const dx_gate_rules *rules) {
    dx_gate *gate = dx_memory_zalloc(1, sizeof *gate);
    if (!gate) return DX_NO_MEMORY;
    gate->rules = *rules;
    pthread_mutex_init(&gate->lock, NULL);
    for (size_t i = 0; i < SHARDS; i++) pthread_mutex_init(&gate->shards[i].lock, NULL);
    *out = gate;
    return DX_OK;
}

void dx_gate_destroy(dx_gate *gate) {
    if (!gate) return;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&gate->shards[i].lock);
        dx_memory_free(gate->shards[i].entries);
    }
    pthread_mutex_destroy(&gate->lock);
    dx_memory_free(gate);
}

void dx_gate_change(dx_gate *gate, const dx_gate_rules *rules) {
    pthread_mutex_lock(&gate->lock);
    gate->rules = *rules;
    pthread_mutex_unlock(&gate->lock);
}

static dx_gate_rules rules_of(dx_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    dx_gate_rules rules = gate->rules;
    pthread_mutex_unlock(&gate->lock);
    return rules;
}

// A flood of refusals must not become one of log lines.
static void tell(dx_gate *gate) {
    dx_nanos now = dx_clock_monotonic(), told = atomic_load(&gate->told);
    if ((told && now - told < DX_SECOND) || !atomic_compare_exchange_strong(&gate->told, &told, now)) return;
    unsigned denied = atomic_exchange(&gate->denied, 0), full = atomic_exchange(&gate->full, 0);
    dx_log_record record;
    if (!dx_log_enabled(DX_LOG_WARN)) return;
    dx_log_begin(&record, DX_LOG_WARN, "connections_refused");
    dx_log_int(&record, "denied", denied);
    dx_log_int(&record, "over_a_cap", full);
    dx_log_int(&record, "open", atomic_load(&gate->inside));
    dx_log_end(&record);
}

void dx_gate_refused(dx_gate *gate, dx_entry why) {
    atomic_fetch_add(why == DX_ENTRY_DENIED ? &gate->denied : &gate->full, 1);
    tell(gate);
}

bool dx_gate_admits(const dx_gate_rules *rules, const dx_address *address) {
    return !dx_ranges_have(rules->deny, address) && (!rules->allow || dx_ranges_have(rules->allow, address));
}

static dx_entry enter(dx_gate *gate, const dx_address *address, bool speaks_for_others) {
    dx_gate_rules rules = rules_of(gate);
    bool trusted = speaks_for_others || dx_ranges_have(rules.proxies, address);
    if (trusted ? dx_ranges_have(rules.deny, address) : !dx_gate_admits(&rules, address)) return DX_ENTRY_DENIED;
    dx_entry refusal = DX_ENTRY_FULL;
    if (atomic_fetch_add(&gate->inside, 1) < rules.all || rules.all == 0) {
        bool uncounted = trusted || address->any.sa_family == AF_UNIX;
        if (count_in(gate, address, uncounted ? 0 : rules.each)) return DX_ENTRY_OPEN;
        refusal = DX_ENTRY_CROWDED;
    }
    atomic_fetch_sub(&gate->inside, 1);
    return refusal;
}

dx_entry dx_gate_enter(dx_gate *gate, const dx_address *address) {
    return enter(gate, address, false);
}

dx_entry dx_gate_enter_proxy(dx_gate *gate, const dx_address *address) {
    return enter(gate, address, true);
}

void dx_gate_leave(dx_gate *gate, const dx_address *address) {
    key k = key_of(address);
    uint64_t hashed = hash(&k);
    shard *s = &gate->shards[hashed % SHARDS];
    pthread_mutex_lock(&s->lock);
    entry *e = s->capacity ? find(s, &k, hashed) : NULL;
    if (e && e->count && --e->count == 0) free_entry(s, (uint32_t)(e - s->entries));
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_sub(&gate->inside, 1);
}
