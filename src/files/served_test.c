// Files behind a whole server, in memory: no descriptor and no file is left behind by a client that goes at any time, or where memory is
// short.
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "files/files.h"
#include "server/loopback_fixture.h"

#define HOST "Host: test\r\n"
#define FORM "Content-Type: multipart/form-data; boundary=b\r\n"
#define PART "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"form.txt\"\r\n\r\n"

const dx_feature *const dx_features[] = {&dx_files_feature, NULL};

static loopback_fixture f;
static char folder[64];
static char large[100000];

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text, size_t size) {
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state) {
    char definition[512];
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dx-served-XXXXXX");
    assert_non_null(mkdtemp(folder));
    memset(large, 'x', sizeof large);
    put("small.txt", "hello", 5);
    put("large.txt", large, sizeof large);
    put("large.bin", large, sizeof large);
    snprintf(definition, sizeof definition,
             "{\"files\":{\"/f\":{\"folder\":\"%s\",\"access\":\"public\",\"upload\":{\"access\":\"public\",\"cap\":\"1MiB\"}}},"
             "\"server\":{\"log\":{\"level\":\"off\"}}}",
             folder);
    loopback_open(&f, definition);
    return 0;
}

static int tear_down(void **state) {
    char command[128];
    (void)state;
    loopback_close(&f);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
    return 0;
}

static int entries(const char *path) {
    int count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static int descriptors(void) {
    return entries("/proc/self/fd");
}

typedef struct request {
    const char *head, *body; // NULL: none
    int status;
} request;

static const request requests[] = {
    {"GET /f/small.txt HTTP/1.1\r\n" HOST "\r\n", NULL, 200},
    {"GET /f/large.bin HTTP/1.1\r\n" HOST "\r\n", NULL, 200},
    {"GET /f/large.txt HTTP/1.1\r\n" HOST "Accept-Encoding: gzip\r\n\r\n", NULL, 200},
    {"GET /f/large.bin HTTP/1.1\r\n" HOST "Range: bytes=5-9\r\n\r\n", NULL, 206},
    {"GET /f/large.bin HTTP/1.1\r\n" HOST "Range: bytes=5-9,50000-99999\r\n\r\n", NULL, 206},
    {"GET /f/large.bin HTTP/1.1\r\n" HOST "Range: bytes=100000-\r\n\r\n", NULL, 416},
    {"GET /f/large.bin HTTP/1.1\r\n" HOST "If-Match: \"x\"\r\n\r\n", NULL, 412},
    {"PUT /f/put.txt HTTP/1.1\r\n" HOST "\r\n", "0123456789", 201},
    {"PUT /f/put.txt HTTP/1.1\r\n" HOST "\r\n", "", 201},
    {"PUT /f/small.txt HTTP/1.1\r\n" HOST "\r\n", "hello", 204},
    {"PUT /f/small.txt HTTP/1.1\r\n" HOST "If-None-Match: *\r\n\r\n", "other", 412},
    {"DELETE /f/small.txt HTTP/1.1\r\n" HOST "If-Match: \"x\"\r\n\r\n", NULL, 412},
    {"POST /f/ HTTP/1.1\r\n" HOST FORM "\r\n", PART "hello\r\n--b--\r\n", 201},
    {"POST /f/ HTTP/1.1\r\n" HOST FORM "\r\n", "--b--\r\n", 422},
};

static size_t size_of_body(const request *r) {
    return r->body ? strlen(r->body) : 0;
}

static void send_head(const request *r) {
    char length[64];
    size_t head = strlen(r->head) - 2;
    loopback_send_bytes(&f, r->head, head);
    snprintf(length, sizeof length, "Content-Length: %zu\r\n\r\n", size_of_body(r));
    loopback_send(&f, r->body ? length : "\r\n");
}

static int ask(const request *r) {
    send_head(r);
    loopback_send_bytes(&f, r->body, size_of_body(r));
    return loopback_read(&f, false)->status;
}

static void clean_up(void) {
    (void)unlink(path_of("put.txt"));
    (void)unlink(path_of("form.txt"));
}

static void every_kind_of_request_is_answered(void **state) {
    (void)state;
    loopback_settle(&f);
    int before = descriptors(), files = entries(folder);
    for (size_t i = 0; i < DX_COUNT_OF(requests); i++) {
        int status = ask(&requests[i]);
        if (status != requests[i].status) fail_msg("%s%d: %s", requests[i].head, status, f.answer.body.data);
        clean_up();
    }
    loopback_settle(&f);
    assert_int_equal(descriptors(), before);
    assert_int_equal(entries(folder), files);
}

static void a_client_that_goes_at_any_time_leaves_nothing_behind(void **state) {
    (void)state;
    loopback_settle(&f);
    int before = descriptors(), files = entries(folder);
    for (size_t i = 0; i < DX_COUNT_OF(requests); i++) {
        size_t whole = size_of_body(&requests[i]);
        for (size_t size = 0; size <= whole; size += size + 3 < whole ? 1 + whole / 3 : 1) {
            for (int settles = 0; settles < 2; settles++) {
                loopback_connect(&f);
                send_head(&requests[i]);
                if (settles) loopback_settle(&f);
                loopback_send_bytes(&f, requests[i].body, size);
                loopback_connect(&f);
                loopback_settle(&f);
                if (size < whole) assert_int_equal(entries(folder), files); // nothing half written is ever seen
                clean_up();
                assert_int_equal(entries(folder), files);
                assert_int_equal(descriptors(), before);
            }
        }
    }
}

static void without_memory_every_answer_is_whole_or_an_error(void **state) {
    (void)state;
    loopback_settle(&f);
    int before = descriptors(), files = entries(folder);
    for (size_t i = 0; i < DX_COUNT_OF(requests); i++) {
        bool failed = true;
        for (uint64_t n = 1; failed; n++) {
            assert_true(n < 500);
            loopback_connect(&f);
            send_head(&requests[i]);
            loopback_send_bytes(&f, requests[i].body, size_of_body(&requests[i]));
            dx_memory_fail_at(n, false);
            loopback_settle(&f);
            failed = dx_memory_fail_stop();
            loopback_read(&f, false);
            int status = f.answer.status;
            if (!f.answer.broken && status != requests[i].status && status < 500) fail_msg("%s%d", requests[i].head, status);
            if (!failed) assert_int_equal(status, requests[i].status);
            clean_up();
            loopback_connect(&f);
            loopback_settle(&f);
            assert_int_equal(entries(folder), files);
            assert_int_equal(descriptors(), before);
        }
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_request_is_answered),
        TEST(a_client_that_goes_at_any_time_leaves_nothing_behind),
        TEST(without_memory_every_answer_is_whole_or_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
