// The HTTP/1.1 parser from memory: what is taken, what is refused and with which status, at every way of cutting the bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/http1_trace.h"

#define H "Host: a\r\n"

#define CHUNKED      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD "HEAD POST / length=-1 keep Host=a Transfer-Encoding=chunked\n"

typedef struct parse_case {
    const char *bytes;
    const char *trace; // or, when it does not end in a newline, what the last line begins with
    size_t size;       // 0: strlen
} parse_case;

static const parse_case accepted[] = {
    {"GET / HTTP/1.1\r\n" H "\r\n", "HEAD GET / length=0 keep Host=a\nEND\n", 0},
    {"\r\nGET / HTTP/1.1\r\n" H "\r\n", "HEAD GET / length=0 keep Host=a\nEND\n", 0},
    {"GET /a/b?c=d?e HTTP/1.1\r\n" H "\r\n", "HEAD GET /a/b ?c=d?e length=0 keep Host=a\nEND\n", 0},
    {"GET /? HTTP/1.1\r\n" H "\r\n", "HEAD GET / ? length=0 keep Host=a\nEND\n", 0},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "HEAD GET / length=0 keep Host=\nEND\n", 0},
    {"GET / HTTP/1.1\r\nHost: [::1]:80\r\nA: \t b c \t \r\nB:\r\n\r\n", "HEAD GET / length=0 keep Host=[::1]:80 A=b c B=\nEND\n", 0},
    {"GET / HTTP/1.1\r\n" H "A: 1\r\na: 2\r\n\r\n", "HEAD GET / length=0 keep Host=a A=1 a=2\nEND\n", 0},
    {"GET / HTTP/1.1\r\n" H "A: caf\xc3\xa9\r\n\r\n", "HEAD GET / length=0 keep Host=a A=caf\xc3\xa9\nEND\n", 0},
    {"GET / HTTP/1.0\r\n\r\n", "HEAD GET / length=0 close\nEND\n", 0},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HEAD GET / length=0 keep Connection=keep-alive\nEND\n", 0},
    {"GET / HTTP/1.1\r\n" H "Connection: foo, Close\r\n\r\n", "HEAD GET / length=0 close Host=a Connection=foo, Close\nEND\n", 0},
    {"GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\n",
     "HEAD GET / length=0 keep Host=a Connection=upgrade Upgrade=websocket\nEND\nHEAD GET /2 length=0 keep Host=a\nEND\n", 0},
    {"GET http://b:80/x?y HTTP/1.1\r\n" H "\r\n", "HEAD GET /x ?y length=0 keep Host=b:80\nEND\n", 0},
    {"GET HTTP://b HTTP/1.1\r\n" H "\r\n", "HEAD GET / length=0 keep Host=b\nEND\n", 0},
    {"GET https://b?q HTTP/1.1\r\n" H "\r\n", "HEAD GET / ?q length=0 keep Host=b\nEND\n", 0},
    {"OPTIONS http://b HTTP/1.1\r\n" H "\r\n", "HEAD OPTIONS * length=0 keep Host=b\nEND\n", 0},
    {"OPTIONS * HTTP/1.1\r\n" H "\r\n", "HEAD OPTIONS * length=0 keep Host=a\nEND\n", 0},
    {"PATCH /p HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "HEAD PATCH /p length=0 keep Host=a Content-Length=0\nEND\n", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n" H "\r\n",
     "HEAD POST / length=5 keep Host=a Content-Length=5\nBODY hello\nEND\nHEAD GET / length=0 keep Host=a\nEND\n", 0},
    {"POST / HTTP/1.1\r\n" H
     "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b;c=\"d\"\r\n world\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n",
     "HEAD POST / length=-1 keep Host=a Transfer-Encoding=chunked\nBODY hello world\nTRAILER X=y\nEND\nHEAD GET / length=0 keep "
     "Host=a\nEND\n",
     0},
    // trailers: white space around a value goes, and fields that frame, route or authenticate are dropped
    {CHUNKED "1\r\nx\r\n0\r\nA:  b c \t\r\nEmpty:\r\nauthorization: me\r\nHost: b\r\nSet-Cookie: c\r\nTE: x\r\nB: 2\r\n\r\n",
     CHUNKED_HEAD "BODY x\nTRAILER A=b c\nTRAILER Empty=\nTRAILER B=2\nEND\n", 0},
    {CHUNKED "0\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", CHUNKED_HEAD "END\nHEAD GET / length=0 keep Host=a\nEND\n", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
     "HEAD POST / length=-1 keep Host=a Transfer-Encoding=Chunked\nEND\n", 0},
    {"PUT / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
     "HEAD PUT / length=1 keep expects Host=a Expect=100-Continue Content-Length=1\nBODY x\nEND\n", 0},
    {"PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
     "HEAD PUT / length=1 close Expect=100-continue Content-Length=1\nBODY x\nEND\n", 0},
    {"PUT / HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n", "HEAD PUT / length=0 keep Host=a Expect=100-continue\nEND\n", 0},
};

static const parse_case refused[] = {
    // trailers
    {CHUNKED "0\r\nA: b\r\n c\r\n\r\n", "ERROR 400", 0},
    {CHUNKED "0\r\nA : b\r\n\r\n", "ERROR 400", 0},
    {CHUNKED "0\r\n: b\r\n\r\n", "ERROR 400", 0},
    {CHUNKED "0\r\nA: b\n\r\n", "ERROR 400", 0},
    {CHUNKED "0\r\nA: b\rc\r\n\r\n", "ERROR 400", 0},
    {CHUNKED "0\r\nA: b\0c\r\n\r\n", "ERROR 400", sizeof CHUNKED "0\r\nA: b\0c\r\n\r\n" - 1},
    {CHUNKED "0\r\nContent-Length: 5\r\n\r\n", "ERROR 400", 0},
    {CHUNKED "0\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", "ERROR 400", 0},
    {CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n", "ERROR 400", 0},
    // line breaks and blanks
    {"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"\nGET / HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"\rGET / HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {" GET / HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\n" H "\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "\rGET / HTTP/1.1\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n A: b\r\n" H "\r\n", "ERROR 400", 0},
    {"GET  / HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /  HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1 \r\n" H "\r\n", "ERROR 400", 0},
    {"GET\t/ HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /\r\n" H "\r\n", "ERROR 505", 0},
    // names and values
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H ": b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A b: c\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A(b): c\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "\xc3\xa9: c\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n", "ERROR 400", sizeof "GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n" - 1},
    {"GET / HTTP/1.1\r\n" H "A: b\x01"
     "c\r\n\r\n",
     "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H "A: b\x7f\r\n\r\n", "ERROR 400", 0},
    // targets and methods
    {"GET a HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET * HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET a:80 HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET ftp://b/ HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET http:///x HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET http://u@b/ HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /a#b HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /\x01 HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET /\x7f HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"CONNECT a:80 HTTP/1.1\r\n" H "\r\n", "ERROR 501", 0},
    {"BREW /pot HTTP/1.1\r\n" H "\r\n", "ERROR 501", 0},
    {"get / HTTP/1.1\r\n" H "\r\n", "ERROR 501", 0},
    {"PROPFIND / HTTP/1.1\r\n" H "\r\n", "ERROR 501", 0},
    {"G(T / HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"\x16\x03\x01\x02\x00\x01\x00", "ERROR 400", 7},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "ERROR 505", 0},
    // versions
    {"GET / HTTP/2.0\r\n" H "\r\n", "ERROR 505", 0},
    {"GET / HTTP/0.9\r\n" H "\r\n", "ERROR 505", 0},
    {"GET / HTTP/1.2\r\n" H "\r\n", "ERROR 505", 0},
    {"GET / HTTP/11\r\n" H "\r\n", "ERROR", 0},
    {"GET / HTTQ/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET / http/1.1\r\n" H "\r\n", "ERROR 400", 0},
    {"GET / RTSP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    // Host
    {"GET / HTTP/1.1\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\n" H H "\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.0\r\n" H H "\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: []\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: [::1]]:80\r\n\r\n", "ERROR 400", 0},
    {"GET / HTTP/1.1\r\nHost: a[::1]\r\n\r\n", "ERROR 400", 0},
    {"GET http://a:b/ HTTP/1.1\r\n" H "\r\n", "ERROR 400", 0},
    // framing
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551615\r\n\r\n", "ERROR 413", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 1073741825\r\n\r\n", "ERROR 413", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", "ERROR 501", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n", "ERROR 501", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n", "ERROR 501", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "ERROR 501", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", "ERROR 501", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", "ERROR 501", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n\r\n", "ERROR 501", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", "ERROR 501", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", "ERROR 501", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding:\x0b"
     "chunked\r\n\r\n",
     "ERROR", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", "ERROR 417", 0},
    // chunks, behind a good head
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\ng\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n-1\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n 5\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5 ;a\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5;a=b\rc\r\nhello\r\n0\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nA b\r\n\r\n", "ERROR 400", 0},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\n", "ERROR 400", 0},
};

static const dx_http_limits defaults = DX_HTTP_LIMITS_INIT;

static dx_buffer run(const char *bytes, size_t size, size_t step, const dx_http_limits *limits) {
    dx_buffer out;
    dx_buffer_init(&out, NULL, 1 << 20);
    dx_http1_trace(&out, dx_slice_of(bytes, size), step, limits);
    dx_buffer_byte(&out, 0);
    assert_int_equal(dx_buffer_status(&out), DX_OK);
    return out;
}

static const char *last_line(const char *text) {
    size_t size = strlen(text);
    if (size > 0) size--;
    while (size > 0 && text[size - 1] != '\n') size--;
    return text + size;
}

static void check(const parse_case *c, size_t step) {
    size_t size = c->size ? c->size : strlen(c->bytes);
    dx_buffer out = run(c->bytes, size, step, &defaults);
    bool whole = c->trace[strlen(c->trace) - 1] == '\n';
    if (whole ? strcmp(out.data, c->trace) != 0 : strncmp(last_line(out.data), c->trace, strlen(c->trace)) != 0) {
        fail_msg("step %zu of:\n%s\ngives:\n%s\nexpected:\n%s", step, c->bytes, out.data, c->trace);
    }
    dx_buffer_deinit(&out);
}

static void proper_requests_are_read_however_they_are_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(accepted); i++) {
        for (size_t step = 0; step < 20; step++) check(&accepted[i], step);
    }
}

static void improper_requests_are_refused_however_they_are_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(refused); i++) {
        for (size_t step = 0; step < 20; step++) check(&refused[i], step);
    }
}

static void refusals_read_the_same_however_they_are_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(refused); i++) {
        size_t size = refused[i].size ? refused[i].size : strlen(refused[i].bytes);
        dx_buffer whole = run(refused[i].bytes, size, 0, &defaults);
        for (size_t step = 1; step < 20; step++) {
            dx_buffer cut = run(refused[i].bytes, size, step, &defaults);
            assert_string_equal(whole.data, cut.data);
            dx_buffer_deinit(&cut);
        }
        dx_buffer_deinit(&whole);
    }
}

static void expect(const char *bytes, size_t size, const dx_http_limits *limits, const char *last) {
    for (size_t step = 0; step < 3; step++) {
        dx_buffer out = run(bytes, size, step, limits);
        if (strncmp(last_line(out.data), last, strlen(last)) != 0) fail_msg("step %zu gives:\n%s\nexpected %s", step, out.data, last);
        dx_buffer_deinit(&out);
    }
}

static void head_cap_is_exact(void **state) {
    (void)state;
    const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nA: 12345\r\n\r\n";
    dx_http_limits limits = defaults;
    limits.head_bytes = sizeof head - 1 + 1;
    expect(head, sizeof head - 1, &limits, "END");
    limits.head_bytes = sizeof head - 1;
    expect(head, sizeof head - 1, &limits, "END");
    limits.head_bytes = sizeof head - 1 - 1;
    expect(head, sizeof head - 1, &limits, "ERROR 431");
}

static void target_cap_is_exact(void **state) {
    (void)state;
    const char head[] = "GET /12345 HTTP/1.1\r\nHost: a\r\n\r\n";
    dx_http_limits limits = defaults;
    limits.target_bytes = 7;
    expect(head, sizeof head - 1, &limits, "END");
    limits.target_bytes = 6;
    expect(head, sizeof head - 1, &limits, "END");
    limits.target_bytes = 5;
    expect(head, sizeof head - 1, &limits, "ERROR 414");
    limits.head_bytes = 9; // it does not even end
    expect(head, sizeof head - 1, &limits, "ERROR 414");
}

static void field_count_cap_is_exact(void **state) {
    (void)state;
    const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nB: 1\r\nC: 2\r\n\r\n";
    dx_http_limits limits = defaults;
    limits.fields = 4;
    expect(head, sizeof head - 1, &limits, "END");
    limits.fields = 3;
    expect(head, sizeof head - 1, &limits, "END");
    limits.fields = 2;
    expect(head, sizeof head - 1, &limits, "ERROR 431");
}

static void content_length_cap_is_exact(void **state) {
    (void)state;
    const char request[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    dx_http_limits limits = defaults;
    limits.body_bytes = 5;
    expect(request, sizeof request - 1, &limits, "END");
    limits.body_bytes = 4;
    expect(request, sizeof request - 1, &limits, "ERROR 413");
}

static void chunk_extensions_are_capped(void **state) {
    (void)state;
    char request[1024];
    for (int over = 0; over < 2; over++) {
        int size = snprintf(request, sizeof request,
                            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;%0*d\r\nx\r\n1;%0*d\r\nx\r\n0\r\n\r\n",
                            DX_HTTP1_EXTENSION_CAP, 0, DX_HTTP1_EXTENSION_CAP + over, 0);
        expect(request, (size_t)size, &defaults, over ? "ERROR 400" : "END");
    }
}

static void framing_without_content_is_capped(void **state) {
    (void)state;
    static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const struct {
        const char *unit, *end, *last;
        size_t units;
    } cases[] = {
        {"0", "5\r\nhello\r\n0\r\n\r\n", "ERROR 400", DX_HTTP1_FRAMING_CAP + 100}, // leading zeros of a size
        {"1\r\nx\r\n", "0\r\n\r\n", "END", 20000},                                 // one byte a chunk is slow but proper
        {"1;0123456789\r\nx\r\n", "0\r\n\r\n", "ERROR 400", 20000},                // and with extensions, it is an attack
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_buffer request;
        dx_buffer_init(&request, NULL, 1 << 20);
        dx_buffer_append(&request, head, sizeof head - 1);
        for (size_t n = 0; n < cases[i].units; n++) dx_buffer_add(&request, dx_slice_str(cases[i].unit));
        dx_buffer_add(&request, dx_slice_str(cases[i].end));
        dx_buffer out = run(request.data, request.size, 4096, &defaults);
        if (strncmp(last_line(out.data), cases[i].last, strlen(cases[i].last)) != 0) fail_msg("case %zu: %.100s", i, last_line(out.data));
        dx_buffer_deinit(&out);
        dx_buffer_deinit(&request);
    }
}

static void trailers_are_capped_by_number_and_size(void **state) {
    (void)state;
    const struct {
        size_t fields, value;
        const char *last;
    } cases[] = {{100, 1, "END"},           {101, 1, "ERROR 431"}, {1, 500 - 3, "END"},
                 {1, 500 - 2, "ERROR 431"}, {4, 125 - 3, "END"},   {4, 125 - 2, "ERROR 431"}};
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_http_limits limits = defaults;
        if (cases[i].value > 1) limits.head_bytes = 500; // "A:" and the value and one for the line's end
        dx_buffer request;
        dx_buffer_init(&request, NULL, 1 << 20);
        DX_BUFFER_LIT(&request, CHUNKED "0\r\n");
        for (size_t n = 0; n < cases[i].fields; n++) dx_buffer_printf(&request, "A: %0*d\r\n", (int)cases[i].value, 0);
        DX_BUFFER_LIT(&request, "\r\n");
        expect(request.data, request.size, &limits, cases[i].last);
        dx_buffer_deinit(&request);
    }
}

static void trailers_without_memory_are_refused(void **state) {
    (void)state;
    dx_fields fields;
    for (uint64_t n = 1; n < 3; n++) {
        dx_http1_parser parser;
        dx_http1_parser_init(&parser, &defaults);
        dx_slice bytes = DX_SLICE(CHUNKED "0\r\nA: b\r\n\r\n");
        assert_int_equal(dx_http1_next(&parser, &bytes), DX_HTTP1_HEAD);
        if (n == 1) dx_memory_fail_at(1, false);
        dx_http1_event event = dx_http1_next(&parser, &bytes);
        assert_int_equal(event, n == 1 ? DX_HTTP1_ERROR : DX_HTTP1_END);
        if (n == 1) {
            assert_true(dx_memory_fail_stop());
            assert_int_equal(parser.status, DX_NO_MEMORY);
        } else {
            dx_arena *tiny = dx_arena_create(4096); // filled to the last byte
            while (dx_arena_bytes(tiny, 1)) continue;
            assert_int_equal(dx_http1_trailers(&parser, tiny, &fields), DX_NO_MEMORY);
            assert_null(parser.partial);
            dx_arena_destroy(tiny);
        }
        dx_http1_parser_deinit(&parser);
    }
}

static void split_head_without_memory_is_refused(void **state) {
    (void)state;
    dx_http1_parser parser;
    dx_http1_parser_init(&parser, &defaults);
    dx_slice part = DX_SLICE("GET / HT");
    dx_memory_fail_at(1, false);
    assert_int_equal(dx_http1_next(&parser, &part), DX_HTTP1_ERROR);
    assert_true(dx_memory_fail_stop());
    assert_int_equal(parser.status, DX_NO_MEMORY);
    dx_http1_parser_deinit(&parser);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proper_requests_are_read_however_they_are_cut),
        cmocka_unit_test(improper_requests_are_refused_however_they_are_cut),
        cmocka_unit_test(refusals_read_the_same_however_they_are_cut),
        cmocka_unit_test(head_cap_is_exact),
        cmocka_unit_test(target_cap_is_exact),
        cmocka_unit_test(field_count_cap_is_exact),
        cmocka_unit_test(content_length_cap_is_exact),
        cmocka_unit_test(chunk_extensions_are_capped),
        cmocka_unit_test(framing_without_content_is_capped),
        cmocka_unit_test(trailers_are_capped_by_number_and_size),
        cmocka_unit_test(trailers_without_memory_are_refused),
        cmocka_unit_test(split_head_without_memory_is_refused),
    };
    return cmocka_run_group_tests_name("http1_parser", tests, NULL, NULL);
}
