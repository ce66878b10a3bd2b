// For this room's tests: a definition's resources over a store in memory, rows put in without the write side, and calls run to their end.
#ifndef DX_RESOURCE_FIXTURE_H
#define DX_RESOURCE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "resource/list.h"

typedef struct fixture {
    dx_arena *arena, *calls; // `calls` is emptied with each call
    dx_definition *definition;
    dx_resource_set *set;
    dx_store *store;
    dx_diags diags;
    dx_principal principal; // who calls, unless `anonymous`
    dx_slice role;
    bool anonymous;
    char path[64];
} fixture;

// Loads the definition; DX_OK or the load's status with the findings in f->diags.
dx_status fixture_load(fixture *f, const char *definition);
// The same, and opens, migrates and prepares. Fails the test when anything is not right.
void fixture_open(fixture *f, const char *definition);
void fixture_close(fixture *f);
// Findings as text, one a line.
const char *fixture_findings(fixture *f, const dx_diags *diags);

const dx_resource *fixture_resource(fixture *f, const char *name);
// Puts a row in; absent columns get NULL, or what a row needs. Returns its id (0 for UUIDs).
int64_t fixture_insert(fixture *f, const char *resource, const char *json);
void fixture_remove(fixture *f, const char *resource, int64_t id);

// A call that has ended.
dx_resource_call *fixture_list(fixture *f, const char *resource, const char *query);
dx_resource_call *fixture_read(fixture *f, const char *resource, const char *id, const char *query);
// Its representation as a tree; fails the test when the call did.
yyjson_val *fixture_json(fixture *f, const dx_resource_call *call);
// The value of `field` of each result, as compact JSON joined by spaces: "1 2 null".
const char *fixture_column(fixture *f, const dx_resource_call *call, const char *field);
// The query part of a link of the page; NULL when the link is null.
const char *fixture_link(fixture *f, const dx_resource_call *call, const char *name);

#endif
