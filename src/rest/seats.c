// See seats.h. Taken and left once a stream, so a lock does.
#include "rest/seats.h"

#include "base/memory.h"

void dx_seats_init(dx_seats *seats, uint32_t each) {
    pthread_mutex_init(&seats->lock, NULL);
    seats->each = each;
}

void dx_seats_deinit(dx_seats *seats) {
    for (size_t i = 0; i < DX_SEAT_BUCKETS; i++) {
        while (seats->buckets[i]) {
            dx_seat *seat = seats->buckets[i];
            seats->buckets[i] = seat->next;
            dx_memory_free(seat);
        }
    }
    pthread_mutex_destroy(&seats->lock);
}

static dx_seat **find(dx_seats *seats, int64_t account) {
    dx_seat **at = &seats->buckets[(uint64_t)account % DX_SEAT_BUCKETS];
    while (*at && (*at)->account != account) at = &(*at)->next;
    return at;
}

static dx_status take(dx_seats *seats, int64_t account) {
    dx_seat **at = find(seats, account);
    if (!*at) *at = dx_memory_zalloc(1, sizeof **at);
    if (!*at) return DX_NO_MEMORY;
    (*at)->account = account;
    if ((*at)->taken >= seats->each) return DX_RATE_LIMITED;
    (*at)->taken++;
    return DX_OK;
}

dx_status dx_seat_take(dx_seats *seats, int64_t account) {
    pthread_mutex_lock(&seats->lock);
    dx_status status = take(seats, account);
    pthread_mutex_unlock(&seats->lock);
    return status;
}

void dx_seat_leave(dx_seats *seats, int64_t account) {
    pthread_mutex_lock(&seats->lock);
    dx_seat **at = find(seats, account), *seat = *at;
    if (seat && --seat->taken == 0) {
        *at = seat->next;
        dx_memory_free(seat);
    }
    pthread_mutex_unlock(&seats->lock);
}
