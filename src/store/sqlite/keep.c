// Keeps: the kept statements of one definition, which come and go with it while connections on other threads run.
//
// A statement has a place, the same in every connection, where that connection holds its prepared form. When a keep is destroyed, its
// places are free at once and given to the next one; connections are not asked, they are other threads'. Each gives up what it
// holds for keeps that are gone when it next prepares something (connection.c), and until then a serial number keeps it from taking an old
// form for a new statement. So a place, a serial and a count of what is gone are all that threads share.
#include "store/sqlite/internal.h"

#include "base/memory.h"

#define KEEP_MEMORY_CAP ((size_t)256 << 20)

dx_keep *dx_sqlite_keep_create(dx_store *base) {
    dx_sqlite *store = dx_sqlite_of(base);
    dx_arena *arena = dx_arena_create(KEEP_MEMORY_CAP);
    dx_sqlite_keep *keep = arena ? DX_ARENA_NEW(arena, dx_sqlite_keep) : NULL;
    if (!keep) {
        dx_arena_destroy(arena);
        return NULL;
    }
    keep->base.backend = base->backend;
    keep->store = store;
    keep->arena = arena;
    pthread_mutex_lock(&store->keeps_lock);
    keep->next = store->keeps;
    keep->at = &store->keeps;
    if (keep->next) keep->next->at = &keep->next;
    store->keeps = keep;
    pthread_mutex_unlock(&store->keeps_lock);
    return &keep->base;
}

static void free_places(dx_sqlite *store, const dx_sqlite_keep *keep) {
    for (uint32_t at = keep->places; at;) {
        dx_sqlite_place *place = &store->places[at - 1];
        uint32_t next = place->next;
        *place = (dx_sqlite_place){0, store->free_places};
        store->free_places = at;
        at = next;
    }
}

void dx_sqlite_keep_destroy(dx_keep *base) {
    dx_sqlite_keep *keep = (dx_sqlite_keep *)(void *)base;
    dx_sqlite *store = keep->store;
    pthread_mutex_lock(&store->keeps_lock);
    *keep->at = keep->next;
    if (keep->next) keep->next->at = keep->at;
    free_places(store, keep);
    (void)atomic_fetch_add_explicit(&store->keeps_gone, 1, memory_order_release);
    pthread_mutex_unlock(&store->keeps_lock);
    dx_arena_destroy(keep->arena);
}

void dx_sqlite_keeps_end(dx_sqlite *store) {
    while (store->keeps) dx_sqlite_keep_destroy(&store->keeps->base);
    dx_memory_free(store->places);
}

// --- places ------------------------------------------------------------------------------------------------------------------

static dx_status add_place(dx_sqlite *store) {
    if (store->place_count == store->place_cap) {
        uint32_t cap = store->place_cap ? store->place_cap * 2 : 64;
        dx_sqlite_place *larger = dx_memory_realloc(store->places, cap * sizeof *larger);
        if (!larger) return DX_NO_MEMORY;
        store->places = larger;
        store->place_cap = cap;
    }
    store->places[store->place_count] = (dx_sqlite_place){0, 0};
    store->free_places = ++store->place_count;
    return DX_OK;
}

static dx_status take_place(dx_sqlite_keep *keep, dx_statement *statement) {
    dx_sqlite *store = keep->store;
    pthread_mutex_lock(&store->keeps_lock);
    dx_status status = store->free_places ? DX_OK : add_place(store);
    if (!status) {
        uint32_t at = store->free_places;
        dx_sqlite_place *place = &store->places[at - 1];
        store->free_places = place->next;
        *place = (dx_sqlite_place){++store->serials, keep->places};
        keep->places = at;
        statement->kept = at - 1;
        statement->hash = place->serial;
    }
    pthread_mutex_unlock(&store->keeps_lock);
    return status;
}

dx_status dx_sqlite_keep_statement(const dx_statement **out, dx_keep *base, const dx_query *query, uint16_t param_count) {
    dx_sqlite_keep *keep = (dx_sqlite_keep *)(void *)base;
    dx_statement *statement = NULL;
    dx_status status = dx_sqlite_build(&statement, keep->store, keep->arena, query, param_count);
    if (!status) status = take_place(keep, statement);
    if (!status) *out = statement;
    return status;
}

uint32_t dx_sqlite_place_count(dx_sqlite *store) {
    pthread_mutex_lock(&store->keeps_lock);
    uint32_t count = store->place_count;
    pthread_mutex_unlock(&store->keeps_lock);
    return count;
}

bool dx_sqlite_place_lives(dx_sqlite *store, uint32_t place, uint64_t serial) {
    pthread_mutex_lock(&store->keeps_lock);
    bool lives = place < store->place_count && store->places[place].serial == serial;
    pthread_mutex_unlock(&store->keeps_lock);
    return lives;
}
