// Spooling: when there is a file, what waits, what a full disk and a cap say, and that a name is given to the whole content or not at all.
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "exchange/spool.h"

typedef struct fixture {
    char folder[64], path[96];
    dx_loop *loop;
    dx_spool *spool;
    int written;
    int linked;
    dx_status link_status;
} fixture;

static void on_written(void *ctx) {
    fixture *f = ctx;
    f->written++;
}

static void on_linked(void *ctx, dx_status status) {
    fixture *f = ctx;
    f->linked++;
    f->link_status = status;
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "spool_test_XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/upload.bin", f->folder);
    assert_int_equal(dx_loop_create(&f->loop), DX_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_spool_destroy(f->spool);
    dx_loop_stop(f->loop);
    assert_int_equal(dx_loop_run(f->loop), DX_OK);
    dx_loop_destroy(f->loop);
    (void)unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0); // nothing else was left
    free(f);
    return 0;
}

static void start(fixture *f, uint64_t memory, uint64_t cap) {
    dx_spool_options options = {f->folder, memory, cap, on_written, f};
    assert_int_equal(dx_spool_create(&f->spool, f->loop, &options), DX_OK);
}

// Until the pool's threads are through with what they have.
static void settle(fixture *f) {
    do {
        dx_loop_stop(f->loop);
        assert_int_equal(dx_loop_run(f->loop), DX_OK);
    } while (f->spool && dx_spool_status(f->spool) == DX_OK && dx_spool_waiting(f->spool) > 0);
}

static void assert_content(int file, size_t size) {
    struct stat facts;
    assert_int_equal(fstat(file, &facts), 0);
    assert_int_equal(facts.st_size, (off_t)size);
    for (size_t at = 0; at < size; at++) {
        char c;
        assert_int_equal(pread(file, &c, 1, (off_t)at), 1);
        assert_int_equal(c, (char)('a' + at % 23));
    }
}

static void fill(fixture *f, size_t size, size_t step) {
    for (size_t at = 0; at < size; at += step) {
        char piece[4096];
        size_t n = size - at < step ? size - at : step;
        for (size_t i = 0; i < n; i++) piece[i] = (char)('a' + (at + i) % 23);
        assert_int_equal(dx_spool_write(f->spool, dx_slice_of(piece, n)), DX_OK);
    }
}

static void a_small_body_stays_in_memory(void **state) {
    fixture *f = *state;
    start(f, 10, 100);
    fill(f, 10, 5);
    assert_int_equal(dx_spool_waiting(f->spool), 0);
    assert_int_equal(dx_spool_file(f->spool), -1);
    assert_int_equal(dx_spool_bytes(f->spool).size, 10);
    assert_memory_equal(dx_spool_bytes(f->spool).data, "abcdefghij", 10);
}

static void a_larger_one_goes_to_a_file_of_its_own(void **state) {
    fixture *f = *state;
    start(f, 1000, 100000);
    fill(f, 1001, 7);
    assert_int_equal(dx_spool_waiting(f->spool), 1001);
    fill(f, 0, 1);
    settle(f);
    assert_true(f->written > 0);
    assert_int_equal(dx_spool_waiting(f->spool), 0);
    assert_int_equal(dx_spool_size(f->spool), 1001);
    assert_int_equal(dx_spool_bytes(f->spool).size, 0);
    assert_content(dx_spool_file(f->spool), 1001);
    struct stat facts;
    assert_int_equal(fstat(dx_spool_file(f->spool), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    assert_int_equal(facts.st_nlink, 0);
}

static void what_comes_during_a_write_is_written_behind_it(void **state) {
    fixture *f = *state;
    start(f, 100, 1u << 20);
    fill(f, 20000, 61);
    settle(f);
    assert_content(dx_spool_file(f->spool), 20000);
    int file = dx_spool_take_file(f->spool);
    assert_int_equal(dx_spool_file(f->spool), -1);
    assert_int_not_equal(dx_spool_write(f->spool, DX_SLICE("x")), DX_OK);
    assert_int_equal(close(file), 0);
}

static void one_byte_over_the_cap_is_too_large(void **state) {
    fixture *f = *state;
    start(f, 10, 20);
    fill(f, 20, 10);
    assert_int_equal(dx_spool_write(f->spool, DX_SLICE("x")), DX_TOO_LARGE);
    assert_int_equal(dx_spool_write(f->spool, DX_SLICE("")), DX_TOO_LARGE);
    settle(f);
}

static void who_hands_in_without_waiting_is_bounded(void **state) {
    fixture *f = *state;
    start(f, 0, UINT64_MAX);
    size_t size = 1u << 20;
    char *much = calloc(1, size);
    dx_status status = DX_OK;
    size_t taken = 0;
    while (status == DX_OK && taken < 3 * (size_t)DX_SPOOL_AHEAD) { // the loop does not run: the first write is never through
        status = dx_spool_write(f->spool, dx_slice_of(much, size));
        taken += size;
    }
    assert_int_equal(status, DX_OVERLOADED);
    free(much);
}

static void a_full_disk_is_told(void **state) {
    fixture *f = *state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    start(f, 100, 1u << 20);
    fill(f, 5000, 500);
    settle(f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(dx_spool_status(f->spool), DX_STORE_FULL);
    assert_true(f->written > 0);
    assert_int_equal(dx_spool_write(f->spool, DX_SLICE("x")), DX_STORE_FULL);
}

static void a_folder_that_is_not_there_is_the_servers_trouble(void **state) {
    fixture *f = *state;
    dx_spool_options options = {"/nonexistent/folder", 1, 100, on_written, f};
    assert_int_equal(dx_spool_create(&f->spool, f->loop, &options), DX_OK);
    assert_int_equal(dx_spool_write(f->spool, DX_SLICE("ab")), DX_OK);
    settle(f);
    assert_int_equal(dx_spool_status(f->spool), DX_STORE_UNAVAILABLE);
}

static void a_spool_may_be_destroyed_during_a_write(void **state) {
    fixture *f = *state;
    start(f, 1, 100000);
    fill(f, 50000, 4096);
    dx_spool_destroy(f->spool);
    f->spool = NULL;
    settle(f);
    assert_int_equal(f->written, 0);
}

// Whose the folder's name was may have gone when a thread comes to make the file.
static void the_folders_name_is_copied(void **state) {
    fixture *f = *state;
    char folder[] = "/tmp";
    dx_spool_options options = {folder, 1, 100, on_written, f};
    assert_int_equal(dx_spool_create(&f->spool, f->loop, &options), DX_OK);
    memset(folder, 'x', strlen(folder));
    assert_int_equal(dx_spool_write(f->spool, DX_SLICE("ab")), DX_OK);
    settle(f);
    assert_int_equal(dx_spool_status(f->spool), DX_OK);
}

static void link_it(fixture *f, const char *path, unsigned mode) {
    f->linked = 0;
    assert_int_equal(dx_spool_link(f->spool, path, mode, on_linked, f), DX_OK);
    assert_int_equal(f->linked, 0);
    settle(f);
    assert_int_equal(f->linked, 1);
}

static void what_was_spooled_can_be_read_back(void **state) {
    static char content[100000], read[sizeof content];
    fixture *f = *state;
    for (size_t i = 0; i < sizeof content; i++) content[i] = (char)('a' + i % 23);
    for (uint64_t memory = 0; memory <= sizeof content; memory += sizeof content) { // in a file; in memory
        start(f, memory, sizeof content);
        assert_int_equal(dx_spool_write(f->spool, dx_slice_of(content, 40000)), DX_OK);
        if (memory == 0) assert_int_equal(dx_spool_read(f->spool, read, on_linked, f), DX_IN_FLIGHT);
        settle(f);
        assert_int_equal(dx_spool_write(f->spool, dx_slice_of(content + 40000, 60000)), DX_OK);
        settle(f);
        f->linked = 0;
        memset(read, 0, sizeof read);
        assert_int_equal(dx_spool_read(f->spool, read, on_linked, f), DX_OK);
        settle(f);
        assert_int_equal(f->linked, 1);
        assert_int_equal(f->link_status, DX_OK);
        assert_memory_equal(read, content, sizeof content);
        dx_spool_destroy(f->spool);
        f->spool = NULL;
    }
}

static void a_file_that_lost_its_end_is_not_read_as_whole(void **state) {
    static char content[1000];
    fixture *f = *state;
    start(f, 0, sizeof content);
    assert_int_equal(dx_spool_write(f->spool, dx_slice_of(content, sizeof content)), DX_OK);
    settle(f);
    assert_int_equal(ftruncate(dx_spool_file(f->spool), 999), 0);
    assert_int_equal(dx_spool_read(f->spool, content, on_linked, f), DX_OK);
    settle(f);
    assert_int_equal(f->link_status, DX_STORE_UNAVAILABLE);
}

static void a_link_gives_the_file_its_name(void **state) {
    fixture *f = *state;
    start(f, 100, 100000);
    fill(f, 3000, 100);
    assert_int_equal(dx_spool_link(f->spool, f->path, 0640, on_linked, f), DX_IN_FLIGHT); // not written yet
    settle(f);
    link_it(f, f->path, 0640);
    assert_int_equal(f->link_status, DX_OK);
    int file = open(f->path, O_RDONLY | O_CLOEXEC);
    assert_content(file, 3000);
    struct stat facts, own;
    assert_int_equal(fstat(file, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0640);
    assert_int_equal(fstat(dx_spool_file(f->spool), &own), 0);
    assert_int_equal(facts.st_ino, own.st_ino); // no copy
    close(file);
}

static void a_link_replaces_what_had_the_name(void **state) {
    fixture *f = *state;
    int old = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(old, "old", 3), 3);
    start(f, 100, 100000);
    fill(f, 50, 50); // in memory
    link_it(f, f->path, 0600);
    assert_int_equal(f->link_status, DX_OK);
    int file = open(f->path, O_RDONLY | O_CLOEXEC);
    assert_content(file, 50);
    close(file);
    close(old);
}

static void a_link_on_another_file_system_copies(void **state) {
    fixture *f = *state;
    dx_spool_options options = {"/dev/shm", 100, 1u << 20, on_written, f};
    if (access("/dev/shm", W_OK) != 0) skip();
    assert_int_equal(dx_spool_create(&f->spool, f->loop, &options), DX_OK);
    fill(f, 300000, 1000);
    settle(f);
    link_it(f, f->path, 0644);
    assert_int_equal(f->link_status, DX_OK);
    struct stat facts;
    assert_int_equal(stat(f->path, &facts), 0);
    assert_int_equal(facts.st_size, 300000);
    assert_int_equal(facts.st_mode & 07777, 0644);
}

static void a_link_that_cannot_be_leaves_nothing(void **state) {
    fixture *f = *state;
    char path[128];
    start(f, 100, 100000);
    fill(f, 3000, 100);
    settle(f);
    snprintf(path, sizeof path, "%s/no/such", f->folder);
    link_it(f, path, 0600);
    assert_int_equal(f->link_status, DX_NOT_FOUND);
    link_it(f, f->folder, 0600); // a folder stands there
    assert_int_not_equal(f->link_status, DX_OK);
    DIR *folder = opendir(f->folder);
    for (struct dirent *entry; (entry = readdir(folder));) assert_true(strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    closedir(folder);
}

static void every_allocation_may_fail(void **state) {
    fixture *f = *state;
    for (uint64_t n = 1;; n++) {
        dx_spool_options options = {f->folder, 10, 1000, on_written, f};
        dx_memory_fail_at(n, false);
        dx_status status = dx_spool_create(&f->spool, f->loop, &options);
        if (status == DX_OK) status = dx_spool_write(f->spool, DX_SLICE("0123456789abc"));
        if (status == DX_OK) settle(f);
        if (status == DX_OK) status = dx_spool_status(f->spool);
        if (status == DX_OK) status = dx_spool_link(f->spool, f->path, 0600, on_linked, f);
        if (status == DX_OK) {
            settle(f);
            status = f->link_status;
        }
        bool failed = dx_memory_fail_stop();
        dx_spool_destroy(f->spool);
        f->spool = NULL;
        settle(f);
        if (!failed) assert_int_equal(status, DX_OK);
        if (!failed) break;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_small_body_stays_in_memory),
        TEST(a_larger_one_goes_to_a_file_of_its_own),
        TEST(what_comes_during_a_write_is_written_behind_it),
        TEST(one_byte_over_the_cap_is_too_large),
        TEST(who_hands_in_without_waiting_is_bounded),
        TEST(a_full_disk_is_told),
        TEST(a_folder_that_is_not_there_is_the_servers_trouble),
        TEST(a_spool_may_be_destroyed_during_a_write),
        TEST(the_folders_name_is_copied),
        TEST(what_was_spooled_can_be_read_back),
        TEST(a_file_that_lost_its_end_is_not_read_as_whole),
        TEST(a_link_gives_the_file_its_name),
        TEST(a_link_replaces_what_had_the_name),
        TEST(a_link_on_another_file_system_copies),
        TEST(a_link_that_cannot_be_leaves_nothing),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
