// The script's arguments and its reply.
#include "policy/limit_script.h"

#include <inttypes.h>
#include <stdio.h>

enum { PARTS = 10000 }; // of a microsecond: four decimals

static const uint64_t RATE_CAP = 1000000; // in a second

static void write_micros(char out[DX_LIMIT_SCRIPT_ARGUMENT], uint64_t parts) {
    (void)snprintf(out, DX_LIMIT_SCRIPT_ARGUMENT, "%" PRIu64 ".%04" PRIu64, parts / PARTS, parts % PARTS);
}

dx_status dx_limit_script_write(dx_limit_script_arguments *out, uint32_t max_requests, dx_nanos window, uint32_t burst, int32_t n) {
    if (burst == 0) burst = max_requests;
    if (max_requests == 0 || window < 1 || window > DX_LIMIT_SCRIPT_FILL_CAP || (n > 0 && (uint32_t)n > burst)) return DX_INVALID;
    if ((unsigned __int128)max_requests * DX_SECOND > (unsigned __int128)RATE_CAP * (uint64_t)window) return DX_INVALID;
    uint64_t parts_a_nano = PARTS / DX_MICROSECOND, cap = (uint64_t)DX_LIMIT_SCRIPT_FILL_CAP * parts_a_nano, tolerance;
    uint64_t interval = ((uint64_t)window * parts_a_nano + max_requests - 1) / max_requests; // rounded up: never too fast
    if (__builtin_mul_overflow(interval, (uint64_t)burst, &tolerance) || tolerance > cap) return DX_INVALID;
    write_micros(out->interval, interval);
    write_micros(out->tolerance, tolerance);
    (void)snprintf(out->n, sizeof out->n, "%" PRId32, n);
    return DX_OK;
}

bool dx_limit_script_read(dx_limit_script_reply *out, const int64_t *numbers, size_t count) {
    static const int64_t WAIT_CAP = DX_LIMIT_SCRIPT_FILL_CAP / DX_MICROSECOND + 1;
    if (count != 3 || numbers[0] < 0 || numbers[0] > 1 || numbers[1] < 0 || numbers[1] > WAIT_CAP || numbers[2] < 0) return false;
    *out = (dx_limit_script_reply){.granted = numbers[0] == 1, .wait = numbers[1] * DX_MICROSECOND, .remaining = (uint64_t)numbers[2]};
    return true;
}
