#include "model/vectors_test.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "model/schema.h"

#define REMOTE_BASE "http://localhost:1234/"

const char *vectors_folder(void) {
    static char path[4096];
    dx_slice rest = dx_slice_str(getenv("DX_VECTORS"));
    struct stat info;
    while (rest.data) {
        dx_slice one = dx_slice_cut(&rest, ':');
        snprintf(path, sizeof path, "%.*s/json-schema", DX_SLICE_ARG(one));
        if (one.size && stat(path, &info) == 0) return path;
    }
    return NULL;
}

static yyjson_val *read_file(dx_arena *arena, const char *path) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    dx_buffer text;
    dx_buffer_init(&text, arena, 16u << 20);
    for (size_t got = 1; got;) {
        char *room = dx_buffer_reserve(&text, 65536);
        assert_non_null(room);
        got = fread(room, 1, 65536, file);
        text.size += got;
    }
    fclose(file);
    yyjson_doc *document;
    dx_json_options options = {.depth_cap = 200};
    assert_int_equal(dx_json_read(&document, arena, dx_buffer_slice(&text), &options, NULL), DX_OK);
    return yyjson_doc_get_root(document);
}

// The documents that stand for http://localhost:1234/, with their URIs.
typedef struct remotes {
    dx_arena *arena;
    struct remote {
        dx_slice uri;
        yyjson_val *document;
    } items[200];
    size_t count;
} remotes;

static void read_remotes(remotes *all, const char *folder, const char *below) {
    char path[4096], name[2048];
    snprintf(path, sizeof path, "%s/remotes/%s", folder, below);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s%s", below, entry->d_name);
        snprintf(path, sizeof path, "%s/remotes/%s", folder, name);
        struct stat info;
        assert_int_equal(stat(path, &info), 0);
        if (S_ISDIR(info.st_mode)) {
            char inner[2050];
            snprintf(inner, sizeof inner, "%s/", name);
            read_remotes(all, folder, inner);
        } else if (all->count < DX_COUNT_OF(all->items)) {
            all->items[all->count++] = (struct remote){dx_arena_printf(all->arena, REMOTE_BASE "%s", name), read_file(all->arena, path)};
        }
    }
    closedir(dir);
}

static remotes *the_remotes(const char *folder) {
    static remotes *all;
    if (!all) {
        static remotes space;
        space.arena = dx_arena_create(64u << 20);
        all = &space;
        char root[4096];
        snprintf(root, sizeof root, "%s", folder);
        char *suite = strstr(root, "/draft2020-12");
        if (suite) *suite = 0;
        read_remotes(all, root, "");
    }
    return all;
}

static void print_diags(const dx_diags *diags, dx_arena *arena) {
    for (const dx_diag *diag = diags->first; diag; diag = diag->next) {
        dx_slice text = dx_diag_text(diag, arena);
        print_message("        %.*s\n", DX_SLICE_ARG(text));
    }
}

static void run_group(const char *folder, const char *file, yyjson_val *group, bool assert_formats, vector_count *count) {
    dx_arena *arena = dx_arena_create(64u << 20), *scratch = dx_arena_create(1u << 20);
    dx_schema_set *set = dx_schema_set_create(arena, assert_formats);
    remotes *known = the_remotes(folder);
    const char *name = yyjson_get_str(yyjson_obj_get(group, "description"));
    dx_diags diags;
    dx_diags_init(&diags, arena);
    for (size_t i = 0; i < known->count; i++)
        assert_int_equal(dx_schema_set_add(set, known->items[i].uri, known->items[i].document), DX_OK);
    assert_int_equal(dx_schema_set_add(set, DX_SLICE(""), yyjson_obj_get(group, "schema")), DX_OK);
    const dx_schema *schema = NULL;
    dx_status compiled = dx_schema_compile(&schema, set, DX_SLICE(""), &diags);
    if (compiled != DX_OK) {
        print_message("%s: %s: does not compile (%s)\n", file, name, dx_status_name(compiled));
        print_diags(&diags, arena);
    }
    count->groups++;
    size_t index, max;
    yyjson_val *test;
    yyjson_arr_foreach(yyjson_obj_get(group, "tests"), index, max, test) {
        bool expected = yyjson_is_true(yyjson_obj_get(test, "valid"));
        dx_diags found;
        dx_diags_init(&found, arena);
        dx_status status = schema ? dx_schema_validate(schema, yyjson_obj_get(test, "data"), scratch, NULL, &found) : DX_INTERNAL;
        dx_arena_reset(scratch);
        bool right = status == (expected ? DX_OK : DX_INVALID) && (found.count > 0) == !expected;
        count->passed += right;
        count->failed += !right;
        if (right) continue;
        print_message("%s: %s: %s: expected %s\n", file, name, yyjson_get_str(yyjson_obj_get(test, "description")),
                      expected ? "valid" : "invalid");
        print_diags(&found, arena);
    }
    dx_arena_destroy(arena);
    dx_arena_destroy(scratch);
}

void vectors_run(const char *folder, const char *file, bool assert_formats, vector_count *count) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    dx_arena *arena = dx_arena_create(64u << 20);
    size_t index, max;
    yyjson_val *group, *groups = read_file(arena, path);
    yyjson_arr_foreach(groups, index, max, group) run_group(folder, file, group, assert_formats, count);
    dx_arena_destroy(arena);
}

void vectors_run_all(const char *folder, bool assert_formats, vector_count *count) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t size = strlen(entry->d_name);
        if (size > 5 && strcmp(entry->d_name + size - 5, ".json") == 0) vectors_run(folder, entry->d_name, assert_formats, count);
    }
    closedir(dir);
}
