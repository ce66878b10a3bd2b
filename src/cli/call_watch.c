// Waiting on the main thread: signals are read from a descriptor, so nothing of the program runs in a handler.
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/cli_call.h"

static sigset_t watched(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    return set;
}

bool dx_cli_watch_start(dx_cli_watch *watch) {
    sigset_t set = watched();
    (void)signal(SIGPIPE, SIG_IGN); // a server that hangs up is an error of the call; a closed output is seen when it is written to
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    watch->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    watch->wakes = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->signals >= 0 && watch->wakes >= 0) return true;
    dx_cli_watch_stop(watch);
    return false;
}

// Signals stay blocked: what is left to do is short, and one that comes is as good as none.
void dx_cli_watch_stop(dx_cli_watch *watch) {
    if (watch->signals >= 0) (void)close(watch->signals);
    if (watch->wakes >= 0) (void)close(watch->wakes);
    watch->signals = watch->wakes = -1;
}

void dx_cli_watch_wake(dx_cli_watch *watch) {
    (void)!eventfd_write(watch->wakes, 1);
}

bool dx_cli_watch_wait(dx_cli_watch *watch) {
    struct pollfd fds[] = {{.fd = watch->signals, .events = POLLIN}, {.fd = watch->wakes, .events = POLLIN}};
    struct signalfd_siginfo info;
    eventfd_t count;
    while (poll(fds, 2, -1) < 0 && errno == EINTR) continue;
    if (read(watch->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        sigset_t set = watched();
        (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL); // who asks again does not want to wait
        return true;
    }
    (void)!eventfd_read(watch->wakes, &count);
    return false;
}
