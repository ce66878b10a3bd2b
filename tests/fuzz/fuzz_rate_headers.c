// Fields about limits: what is read of them is within its bounds, only what is said is told, and another field never makes the wait
// shorter. A line of the input is a field; one in four bytes before it says which name it has.
#include "fuzz.h"
#include "policy/rate_headers.h"

static const char *const NAMES[] = {
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-limit",
    "x-ratelimit-reset",
    "x-ratelimit-remaining",
    "x-rate-limit-reset",
    "retry-after-ms",
    "x-retry-in",
    "x-ratelimit-reset-ms",
    "x-ratelimit-reset-after",
    "x-rate-limit-remaining",
    "own",
};

static const dx_micros_utc NOW = 1767225600 * (int64_t)1000000;

static dx_rate_headers read_fields(dx_field *items, uint32_t count) {
    static const dx_rate_name own = {DX_SLICE_INIT("own"), DX_RATE_RETRY_AFTER, DX_RATE_ANY_UNIT};
    dx_fields fields = {.items = items, .count = count};
    dx_rate_headers out;
    dx_rate_headers_read(&out, &fields, &own, 1, NOW);
    FUZZ_CHECK(out.has_limit || out.limit == 0);
    FUZZ_CHECK(out.has_remaining || out.remaining == 0);
    FUZZ_CHECK(!out.has_reset || out.reset_at - NOW <= DX_RATE_WAIT_CAP);
    FUZZ_CHECK(out.retry_after >= 0 && out.retry_after <= DX_RATE_WAIT_CAP * DX_MICROSECOND);
    FUZZ_CHECK(out.has_retry_after || out.retry_after == 0);
    FUZZ_CHECK(dx_rate_headers_wait(&out, NOW) >= out.retry_after);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dx_field items[32];
    uint32_t count = 0;
    dx_slice rest = dx_slice_of((const char *)data, size);
    while (rest.data && count < 32) {
        dx_slice line = dx_slice_cut(&rest, '\n');
        if (line.size == 0) continue;
        const char *name = NAMES[(unsigned char)line.data[0] % 16];
        items[count++] = (dx_field){.name = dx_slice_str(name), .value = dx_slice_trim(dx_slice_from(line, 1))};
    }
    dx_nanos before = 0;
    for (uint32_t i = 0; i <= count; i++) {
        dx_rate_headers out = read_fields(items, i);
        FUZZ_CHECK(!out.has_retry_after || out.retry_after >= before);
        before = out.retry_after;
    }
    return 0;
}
