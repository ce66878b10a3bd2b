// Reading a password: see password_line.h. Byte by byte, past stdio, whose buffer would keep a copy and take what comes after the line.
// While the terminal shows nothing, a signal that ends the program first gives it its echo back.
#include "cli/password_line.h"

#include <errno.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "base/compiler.h"
#include "crypto/digest.h"

static const char *read_line(char *line, size_t cap, size_t *size) {
    for (*size = 0;;) {
        char byte;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return strerror(errno);
        if (got == 0 || byte == '\n') break;
        if (*size == cap) return "expected a line of at most 1,024 bytes";
        line[(*size)++] = byte;
    }
    if (*size && line[*size - 1] == '\r') --*size;
    return NULL;
}

// --- at a terminal ----------------------------------------------------------------------------------------------------------

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static struct termios shown; // the terminal as it was

static void give_back(int number) {
    int saved = errno;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &shown);
    (void)raise(number); // as if nobody had caught it: SA_RESETHAND
    errno = saved;
}

static void say(const char *text) {
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written; // without a prompt it works as well
}

static const char *ask_twice(const char *what, char *line, size_t cap, size_t *size) {
    char again[2048];
    size_t again_size = 0;
    say(what);
    say(": ");
    const char *fault = read_line(line, cap, size);
    if (fault) return fault;
    say("once more: ");
    fault = read_line(again, cap < sizeof again ? cap : sizeof again, &again_size);
    if (!fault && !dx_secret_equal(dx_slice_of(line, *size), dx_slice_of(again, again_size))) fault = "the two are not the same";
    dx_secret_wipe(again, sizeof again);
    return fault;
}

static const char *ask(const char *what, char *line, size_t cap, size_t *size) {
    struct sigaction before[DX_COUNT_OF(signals)], handler = {.sa_handler = give_back, .sa_flags = SA_RESETHAND};
    struct termios hidden = shown;
    hidden.c_lflag = (hidden.c_lflag & ~(tcflag_t)ECHO) | ECHONL;
    for (size_t i = 0; i < DX_COUNT_OF(signals); i++) {
        (void)sigaction(signals[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) (void)sigaction(signals[i], &handler, NULL);
    }
    const char *fault = tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) != 0 ? strerror(errno) : ask_twice(what, line, cap, size);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &shown);
    for (size_t i = 0; i < DX_COUNT_OF(signals); i++) (void)sigaction(signals[i], &before[i], NULL);
    return fault;
}

const char *dx_password_line_read(const char *what, char *line, size_t cap, size_t *size) {
    *size = 0;
    return tcgetattr(STDIN_FILENO, &shown) == 0 ? ask(what, line, cap, size) : read_line(line, cap, size);
}
