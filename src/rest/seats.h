// How many streams each account has open, on all workers together.
#ifndef DX_REST_SEATS_H
#define DX_REST_SEATS_H

#include <pthread.h>
#include <stdint.h>

#include "base/status.h"

enum { DX_SEAT_BUCKETS = 256 };
typedef struct dx_seat {
    struct dx_seat *next;
    int64_t account;
    uint32_t taken;
} dx_seat;
typedef struct dx_seats {
    pthread_mutex_t lock;
    dx_seat *buckets[DX_SEAT_BUCKETS];
    uint32_t each;
} dx_seats;
void dx_seats_init(dx_seats *seats, uint32_t each);
void dx_seats_deinit(dx_seats *seats);
// DX_RATE_LIMITED when the account has all its seats.
dx_status dx_seat_take(dx_seats *seats, int64_t account) DX_MUST_USE;
void dx_seat_leave(dx_seats *seats, int64_t account);

#endif
