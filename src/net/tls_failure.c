// Why handshakes fail, in the log: often of use, never worth a full disk. Whoever can connect can make them fail.
#include "base/log.h"
#include "net/tls_parts.h"

static _Atomic int64_t window; // the minute that is counted
static atomic_uint logged, left_out;

static bool may_log(unsigned *missed) {
    int64_t minute = dx_clock_monotonic() / (60 * DX_SECOND);
    int64_t counted = atomic_load_explicit(&window, memory_order_relaxed);
    if (counted != minute && atomic_compare_exchange_strong(&window, &counted, minute)) atomic_store(&logged, 0);
    if (atomic_fetch_add(&logged, 1) < DX_TLS_FAILURES_A_MINUTE) {
        *missed = atomic_exchange(&left_out, 0);
        return true;
    }
    (void)atomic_fetch_add(&left_out, 1);
    return false;
}

// A peer that just goes away again is a port scan or a health check.
void dx_tls_failure_log(const char *peer, const char *reason, const char *detail, bool by_peer) {
    dx_log_level level = by_peer ? DX_LOG_DEBUG : DX_LOG_INFO;
    dx_log_record record;
    unsigned missed;
    if (!dx_log_enabled(level) || !may_log(&missed)) return;
    dx_log_begin(&record, level, "tls_handshake_failed");
    dx_log_text(&record, "peer", dx_slice_str(peer));
    dx_log_text(&record, "reason", dx_slice_str(reason));
    if (detail) dx_log_text(&record, "detail", dx_slice_str(detail));
    if (missed) dx_log_int(&record, "left_out", missed);
    dx_log_end(&record);
}
