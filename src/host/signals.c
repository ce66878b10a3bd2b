// Signals of the process: each sets its flag and wakes the main thread, which looks at the flags. Only a second SIGTERM or SIGINT does its
// work at once, in the handler; what comes together with the first is no second one, for some signal a process and then its whole group.
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "codec/text.h"
#include "host/parts.h"

#define TOGETHER (250 * DX_MILLISECOND)

static _Atomic(dx_nanos) stop_seen; // when the first one came; 0: none has
static atomic_bool reload_asked, upgrade_asked;
static atomic_int signal_wake = -1;

void dx_host_wake(int descriptor) {
    uint64_t one = 1;
    ssize_t written = write(descriptor, &one, sizeof one); // an eventfd: fails only when it is full, and then it is awake
    (void)written;
}

// From the handler, for everything else may be waiting, even for somebody to read the log: only what a handler may do. What is not
// acknowledged was not promised, and the store is whole whenever the process ends.
static void stop_at_once(void) {
    static const char words[] =
        "\",\"level\":\"warn\",\"event\":\"stopped\",\"message\":\"a second signal came before every request was answered\"}\n";
    char line[256] = "{\"time\":\"";
    _Static_assert(sizeof words + DX_TIME_TEXT_CAP + 16 < sizeof line, "the line fits");
    struct pollfd log = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (dx_log_enabled(DX_LOG_WARN) && poll(&log, 1, 0) == 1 && (log.revents & POLLOUT)) {
        size_t size = strlen(line);
        size += dx_time_write(line + size, dx_clock_utc());
        memcpy(line + size, words, sizeof words - 1);
        ssize_t written = write(STDERR_FILENO, line, size + sizeof words - 1);
        (void)written;
    }
    _exit(0);
}

static void stop(void) {
    dx_nanos now = dx_clock_monotonic(), seen = 0;
    if (!atomic_compare_exchange_strong(&stop_seen, &seen, now) && now - seen > TOGETHER) stop_at_once();
}

static void on_signal(int number) {
    int saved = errno;
    if (number == SIGHUP)
        atomic_store(&reload_asked, true);
    else if (number == SIGUSR2)
        atomic_store(&upgrade_asked, true);
    else
        stop();
    int descriptor = atomic_load(&signal_wake);
    if (descriptor >= 0) dx_host_wake(descriptor);
    errno = saved;
}

static const int handled[DX_SIGNALS_HANDLED] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGPIPE};

void dx_signals_take(dx_signals *signals, int descriptor) {
    atomic_store(&stop_seen, 0);
    atomic_store(&reload_asked, false);
    atomic_store(&upgrade_asked, false);
    signals->before = atomic_exchange(&signal_wake, descriptor);
    for (size_t i = 0; i < DX_SIGNALS_HANDLED; i++) {
        struct sigaction action = {.sa_handler = handled[i] == SIGPIPE ? SIG_IGN : on_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        sigaction(handled[i], &action, &signals->old[i]);
    }
}

void dx_signals_give_back(const dx_signals *signals) {
    for (size_t i = 0; i < DX_SIGNALS_HANDLED; i++) sigaction(handled[i], &signals->old[i], NULL);
    atomic_store(&signal_wake, signals->before);
}

bool dx_signals_stop_asked(void) {
    return atomic_load(&stop_seen) != 0;
}

bool dx_signals_take_reload(void) {
    return atomic_exchange(&reload_asked, false);
}

bool dx_signals_take_upgrade(void) {
    return atomic_exchange(&upgrade_asked, false);
}
