// Finding files below a folder: nothing leads out of it, siblings and indexes are chosen right, tags and conditions say what they should.
#include "files/place.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    char folder[64];
    dx_mount mount;
    dx_arena *arena;
} fixture;

static void put(const fixture *f, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void make_folder(const fixture *f, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void lead_to(const fixture *f, const char *name, const char *target) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    assert_int_equal(symlink(target, path), 0);
}

static void age(const fixture *f, const char *name, time_t seconds) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->folder, sizeof f->folder, "/tmp/dx-files-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->arena = dx_arena_create(1u << 20);
    make_folder(f, "public");
    make_folder(f, "public/sub");
    put(f, "secret", "secret");
    put(f, "public/a.txt", "plain");
    put(f, "public/index.html", "front");
    put(f, "public/sub/index.html", "sub");
    put(f, "public/.hidden", "hidden");
    lead_to(f, "public/out", "../secret");
    lead_to(f, "public/far", "/etc/hostname");
    lead_to(f, "public/near", "a.txt");
    char path[128];
    snprintf(path, sizeof path, "%s/public", f->folder);
    f->mount = (dx_mount){.root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), .index = DX_SLICE("index.html"), .precompressed = true};
    dx_map_init(&f->mount.types, f->arena);
    assert_true(f->mount.root >= 0);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    char command[128];
    close(f->mount.root);
    dx_arena_destroy(f->arena);
    snprintf(command, sizeof command, "rm -r '%s'", f->folder);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

// What the path leads to, and its first bytes.
static dx_found find(const fixture *f, const char *path, const char *accept, bool navigation, char out[64], dx_file *file) {
    dx_search search = {&f->mount, dx_slice_str(path), dx_slice_str(accept), navigation};
    assert_true(dx_files_find(&search, false, file));
    out[0] = 0;
    if (file->found != DX_FOUND_FILE) return file->found;
    ssize_t got = read(file->fd, out, 63);
    assert_true(got >= 0);
    out[got] = 0;
    close(file->fd);
    return file->found;
}

static void assert_text(const fixture *f, const char *path, const char *accept, const char *expected) {
    char text[64];
    dx_file file;
    print_message("%s\n", path);
    assert_int_equal(find(f, path, accept, false, text, &file), DX_FOUND_FILE);
    assert_string_equal(text, expected);
}

static void assert_nothing(const fixture *f, const char *path) {
    char text[64];
    dx_file file;
    print_message("%s\n", path);
    assert_int_equal(find(f, path, NULL, false, text, &file), DX_FOUND_NOTHING);
}

static void files_and_indexes_are_found(void **state) {
    const fixture *f = *state;
    char text[64];
    dx_file file;
    assert_text(f, "a.txt", NULL, "plain");
    assert_text(f, "", NULL, "front");
    assert_text(f, "sub/", NULL, "sub");
    assert_int_equal(find(f, "sub", NULL, false, text, &file), DX_FOUND_FOLDER);
    assert_nothing(f, "b.txt");
    assert_nothing(f, "a.txt/");
    assert_nothing(f, "a.txt/b");
}

static void no_path_leads_out_of_the_folder(void **state) {
    fixture *f = *state;
    static const char *const paths[] = {"../secret",       "sub/../../secret", "..",           "./a.txt", "sub/./index.html",
                                        "sub//index.html", "/a.txt",           "out",          "far",     "..%2fsecret",
                                        "sub/..",          "//etc/hostname",   "/etc/hostname"};
    for (size_t i = 0; i < DX_COUNT_OF(paths); i++) assert_nothing(f, paths[i]);
    f->mount.symlinks = true;
    for (size_t i = 0; i < DX_COUNT_OF(paths); i++) assert_nothing(f, paths[i]);
    dx_search search = {&f->mount, DX_SLICE("a.txt\0/b"), {NULL, 0}, false};
    dx_file file;
    assert_true(dx_files_find(&search, false, &file));
    assert_int_equal(file.found, DX_FOUND_NOTHING);
    char longest[DX_FILES_PATH_CAP + 1];
    memset(longest, 'a', DX_FILES_PATH_CAP);
    longest[DX_FILES_PATH_CAP] = 0;
    assert_nothing(f, longest);
    assert_nothing(f, longest + 1);
}

static void links_are_followed_only_when_the_mount_says_so(void **state) {
    fixture *f = *state;
    assert_nothing(f, "near");
    f->mount.symlinks = true;
    assert_text(f, "near", NULL, "plain");
}

static void hidden_names_are_served_only_when_the_mount_says_so(void **state) {
    fixture *f = *state;
    assert_nothing(f, ".hidden");
    make_folder(f, "public/.well-known");
    put(f, "public/.well-known/security.txt", "contact");
    assert_text(f, ".well-known/security.txt", NULL, "contact");
    f->mount.hidden = true;
    assert_text(f, ".hidden", NULL, "hidden");
}

static void the_best_fresh_sibling_is_chosen(void **state) {
    fixture *f = *state;
    put(f, "public/a.txt.gz", "gzip");
    put(f, "public/a.txt.br", "brotli");
    age(f, "public/a.txt", 1000);
    age(f, "public/a.txt.gz", 1000);
    age(f, "public/a.txt.br", 1000);
    assert_text(f, "a.txt", "gzip, br", "brotli");
    assert_text(f, "a.txt", "gzip", "gzip");
    assert_text(f, "a.txt", "br;q=0.5, gzip", "gzip");
    assert_text(f, "a.txt", "zstd", "plain");
    assert_text(f, "a.txt", "br;q=0", "plain");
    assert_text(f, "a.txt", NULL, "plain");
    age(f, "public/a.txt", 2000); // the others are stale now
    assert_text(f, "a.txt", "gzip, br", "plain");
    age(f, "public/a.txt.gz", 3000);
    assert_text(f, "a.txt", "gzip, br", "gzip");
    f->mount.precompressed = false;
    assert_text(f, "a.txt", "gzip, br", "plain");
}

static void the_fallback_answers_navigations_alone(void **state) {
    fixture *f = *state;
    char text[64];
    dx_file file;
    f->mount.fallback = DX_SLICE("index.html");
    assert_int_equal(find(f, "app/route", NULL, true, text, &file), DX_FOUND_FILE);
    assert_string_equal(text, "front");
    assert_true(file.fallback);
    assert_int_equal(find(f, "app/route", NULL, false, text, &file), DX_FOUND_NOTHING);
    assert_int_equal(find(f, "a.txt", NULL, true, text, &file), DX_FOUND_FILE);
    assert_false(file.fallback);
    f->mount.fallback = DX_SLICE("sub");
    assert_int_equal(find(f, "app/route", NULL, true, text, &file), DX_FOUND_NOTHING);
}

static void a_pipe_or_a_folder_is_no_file(void **state) {
    const fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/public/pipe", f->folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_nothing(f, "pipe");
    make_folder(f, "public/empty");
    assert_nothing(f, "empty/");
}

static void media_types_go_by_extension(void **state) {
    fixture *f = *state;
    static const dx_slice own = DX_SLICE_INIT("text/x-own");
    static const struct {
        const char *name, *type;
    } cases[] = {{"a.html", "text/html; charset=utf-8"}, {"A.PNG", "image/png"},
                 {"a.tar.gz", "application/gzip"},       {"7.7z", "application/x-7z-compressed"},
                 {"a.zst", "application/zstd"},          {"noext", "application/octet-stream"},
                 {"a.b/c", "application/octet-stream"},  {"a.unheard", "application/octet-stream"},
                 {"a.wasm", "application/wasm"},         {"a.own", "text/x-own"},
                 {"a.", "application/octet-stream"}};
    assert_int_equal(dx_map_put(&f->mount.types, DX_SLICE("own"), (void *)(uintptr_t)&own), DX_OK);
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_slice type = dx_files_type(&f->mount, dx_slice_str(cases[i].name));
        print_message("%s\n", cases[i].name);
        assert_true(dx_slice_equal(type, dx_slice_str(cases[i].type)));
    }
}

static void a_tag_changes_with_the_file_and_the_coding(void **state) {
    (void)state;
    struct stat stat = {.st_mtim = {.tv_sec = 1000, .tv_nsec = 5}, .st_size = 7, .st_ino = 9};
    char text[DX_FILES_TAG_CAP], other[DX_FILES_TAG_CAP];
    dx_slice tag = dx_files_tag(text, &stat, DX_CODING_IDENTITY);
    assert_true(dx_slice_equal(tag, DX_SLICE("\"e8d4a51005-7-9\"")));
    assert_false(dx_slice_equal(tag, dx_files_tag(other, &stat, DX_CODING_BR)));
    stat.st_mtim.tv_nsec++;
    assert_false(dx_slice_equal(tag, dx_files_tag(other, &stat, DX_CODING_IDENTITY)));
    stat.st_mtim.tv_nsec--;
    stat.st_ino++;
    assert_false(dx_slice_equal(tag, dx_files_tag(other, &stat, DX_CODING_IDENTITY)));
}

typedef struct condition {
    dx_method method;
    const char *name, *value;
    int expected;
} condition;

static void conditions_follow_the_rfc(void **state) {
    const fixture *f = *state;
    static const condition cases[] = {
        {DX_GET, "if-none-match", "\"t\"", 304},
        {DX_GET, "if-none-match", "W/\"t\"", 304},
        {DX_GET, "if-none-match", "\"u\"", 0},
        {DX_PUT, "if-none-match", "*", 412},
        {DX_GET, "if-match", "\"t\"", 0},
        {DX_GET, "if-match", "\"u\"", 412},
        {DX_GET, "if-modified-since", "Thu, 01 Jan 1970 00:16:40 GMT", 304},
        {DX_GET, "if-modified-since", "Thu, 01 Jan 1970 00:16:39 GMT", 0},
        {DX_GET, "if-modified-since", "soon", 0},
        {DX_PUT, "if-modified-since", "Thu, 01 Jan 1970 00:16:40 GMT", 0},
        {DX_GET, "if-unmodified-since", "Thu, 01 Jan 1970 00:16:39 GMT", 412},
        {DX_GET, "if-unmodified-since", "Thu, 01 Jan 1970 00:16:40 GMT", 0},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_field items[4];
        dx_exchange x = {.arena = f->arena, .request = {.method = cases[i].method, .fields = {items, 0, 4}}};
        assert_int_equal(dx_fields_add(&x.request.fields, f->arena, dx_slice_str(cases[i].name), dx_slice_str(cases[i].value)), DX_OK);
        print_message("%s: %s\n", cases[i].name, cases[i].value);
        assert_int_equal(dx_files_precondition(&x, DX_SLICE("\"t\""), 1000 * 1000000LL), cases[i].expected);
    }
}

static void ranges_count_only_when_if_range_holds(void **state) {
    const fixture *f = *state;
    static const condition cases[] = {{DX_GET, "if-range", "\"t\"", 1},
                                      {DX_GET, "if-range", "\"u\"", 0},
                                      {DX_GET, "if-range", "W/\"t\"", 0},
                                      {DX_GET, "if-range", "Thu, 01 Jan 1970 00:16:40 GMT", 1},
                                      {DX_GET, "if-range", "Thu, 01 Jan 1970 00:16:41 GMT", 0},
                                      {DX_GET, "x-other", "", 1}};
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_field items[4];
        dx_exchange x = {.arena = f->arena, .request = {.fields = {items, 0, 4}}};
        assert_int_equal(dx_fields_add(&x.request.fields, f->arena, dx_slice_str(cases[i].name), dx_slice_str(cases[i].value)), DX_OK);
        print_message("%s\n", cases[i].value);
        assert_int_equal(dx_files_range_holds(&x, DX_SLICE("\"t\""), 1000 * 1000000LL), cases[i].expected);
    }
}

// As where the file system has no unnamed files: O_EXCL is what makes this one impossible to name.
static void a_file_that_cannot_be_named_is_copied_to_its_place(void **state) {
    static const char *const texts[] = {"first", "second, and longer"};
    fixture *f = *state;
    dx_exchange x = {.arena = f->arena, .request = {.method = DX_PUT}};
    dx_guard guard = {&x, true};
    char path[] = "sub/new.txt";
    dx_place place;
    assert_int_equal(dx_place_find(&place, &f->mount, path, false), DX_OK);
    for (size_t i = 0; i < DX_COUNT_OF(texts); i++) {
        struct stat stat;
        bool created;
        int file = open(f->folder, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        assert_int_equal(write(file, texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
        assert_int_equal(dx_place_put(&place, &guard, file, &created, &stat), DX_OK);
        assert_int_equal(created, i == 0);
        assert_int_equal(stat.st_mode & 0777, 0644);
        assert_text(f, "sub/new.txt", NULL, texts[i]);
        guard.replace = false;
        assert_int_equal(dx_place_put(&place, &guard, file, &created, &stat), DX_ALREADY_EXISTS);
        guard.replace = true;
        assert_int_equal(close(file), 0);
    }
    dx_place_leave(&place);
    char command[128]; // nothing but the two files
    snprintf(command, sizeof command, "test $(ls -A '%s/public/sub' | wc -l) = 2", f->folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(files_and_indexes_are_found),
        TEST(no_path_leads_out_of_the_folder),
        TEST(links_are_followed_only_when_the_mount_says_so),
        TEST(hidden_names_are_served_only_when_the_mount_says_so),
        TEST(the_best_fresh_sibling_is_chosen),
        TEST(the_fallback_answers_navigations_alone),
        TEST(a_pipe_or_a_folder_is_no_file),
        TEST(media_types_go_by_extension),
        TEST(a_tag_changes_with_the_file_and_the_coding),
        TEST(conditions_follow_the_rfc),
        TEST(ranges_count_only_when_if_range_holds),
        TEST(a_file_that_cannot_be_named_is_copied_to_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
