// Any query string of a list is either understood, within every cap, or refused with at least one finding that names a parameter. The
// resource is made by hand: a field of each type, a reference, one that is write-only.
#include "fuzz.h"
#include "resource/changes.h"
#include "resource/list.h"

enum { FIELDS = 9 };

static const dx_column columns[FIELDS] = {
    {.name = DX_SLICE_INIT("id"), .type = DX_COLUMN_INTEGER, .required = true},
    {.name = DX_SLICE_INIT("title"), .type = DX_COLUMN_TEXT},
    {.name = DX_SLICE_INIT("price"), .type = DX_COLUMN_NUMBER, .indexed = true},
    {.name = DX_SLICE_INIT("stock"), .type = DX_COLUMN_INTEGER},
    {.name = DX_SLICE_INIT("sold"), .type = DX_COLUMN_BOOLEAN},
    {.name = DX_SLICE_INIT("at"), .type = DX_COLUMN_TIMESTAMP},
    {.name = DX_SLICE_INIT("tags"), .type = DX_COLUMN_JSON},
    {.name = DX_SLICE_INIT("secret"), .type = DX_COLUMN_TEXT},
    {.name = DX_SLICE_INIT("a_id"), .type = DX_COLUMN_INTEGER},
};

static bool resource_init(dx_resource *resource, dx_resource_field *fields, dx_arena *arena) {
    *resource = (dx_resource){.name = DX_SLICE("items"),
                              .base_path = DX_SLICE("/api/v1/items"),
                              .table = {.name = DX_SLICE("items"), .columns = columns, .column_count = FIELDS},
                              .fields = fields,
                              .field_count = FIELDS,
                              .page_size = 20,
                              .page_size_cap = 100,
                              .expand_cap = 8,
                              .deleted_column = -1,
                              .owner_column = -1};
    dx_map_init(&resource->field_names, arena);
    dx_map_init(&resource->expand_names, arena);
    for (uint16_t i = 0; i < FIELDS; i++) {
        fields[i] = (dx_resource_field){.name = columns[i].name, .column = i, .type = columns[i].type, .write_only = i == 7};
        if (dx_map_put(&resource->field_names, fields[i].name, &fields[i])) return false;
    }
    fields[8].target = resource;
    fields[8].expand_name = DX_SLICE("a");
    return dx_map_put(&resource->expand_names, fields[8].expand_name, &fields[8]) == DX_OK;
}

static void check_view(dx_resource_call *call, const dx_view *view) {
    FUZZ_CHECK(view->page_size >= 1 && view->page_size <= call->resource->page_size_cap);
    FUZZ_CHECK(view->page >= 1 && view->page <= DX_QUERY_PAGE_CAP);
    FUZZ_CHECK(view->condition_count <= DX_QUERY_CONDITIONS_CAP);
    FUZZ_CHECK(view->key_count >= 1 && view->key_count <= DX_QUERY_SORT_CAP + 1);
    FUZZ_CHECK(view->keys[view->key_count - 1].column == 0);
    for (uint16_t i = 0; i < view->condition_count; i++) {
        const dx_condition *condition = &view->conditions[i];
        FUZZ_CHECK(condition->count <= DX_QUERY_VALUES_CAP && condition->column < FIELDS && condition->column != 7);
    }
    dx_list_plan plan;
    if (dx_list_plan_init(&plan, call, view, NULL)) (void)dx_list_plan_is_brief(&plan);
    dx_slice link = dx_view_link(call, DX_SLICE("page"), DX_SLICE("2"));
    FUZZ_CHECK(dx_slice_starts(link, DX_SLICE("/api/v1/items?")));
}

// The same text as the query of a feed, and what it asks judged on a row without values and on one with.
static void check_feed(dx_resource_call *call, dx_view *view) {
    dx_slice last;
    dx_status status;
    dx_value row[FIELDS] = {{0}};
    memset(view, 0, sizeof *view);
    if (!dx_changes_view_read(view, &last, call, &status)) {
        FUZZ_CHECK(status != DX_OK);
        return;
    }
    FUZZ_CHECK(status == DX_OK && call->findings.count == 0);
    for (uint16_t i = 0; i < view->condition_count; i++) FUZZ_CHECK(dx_condition_is_plain(&view->conditions[i]));
    (void)dx_conditions_hold(view->conditions, view->condition_count, row);
    for (size_t i = 0; i < FIELDS; i++) {
        const dx_resource_field *field = &call->resource->fields[i];
        row[field->column] = field->type == DX_COLUMN_TEXT ? DX_TEXT_VALUE(DX_SLICE("text")) : DX_INT_VALUE(1);
    }
    (void)dx_conditions_hold(view->conditions, view->condition_count, row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    dx_arena *arena = dx_arena_create(16 << 20);
    dx_resource resource;
    dx_resource_field fields[FIELDS];
    FUZZ_CHECK(resource_init(&resource, fields, arena));
    dx_resource_call call = {.resource = &resource, .arena = arena, .query = dx_slice_of((const char *)data, size)};
    dx_view *view = DX_ARENA_NEW(arena, dx_view);
    dx_status status = DX_OK;
    if (dx_view_read(view, &call, true, &status)) {
        FUZZ_CHECK(status == DX_OK && call.findings.count == 0);
        check_view(&call, view);
    } else {
        FUZZ_CHECK(status == DX_INVALID || status == DX_BAD_REQUEST || status == DX_URI_TOO_LONG || status == DX_NO_MEMORY);
        FUZZ_CHECK(status != DX_INVALID || call.findings.count);
        for (const dx_diag *diag = call.findings.first; diag; diag = diag->next) FUZZ_CHECK(dx_slice_starts(diag->pointer, DX_SLICE("?")));
    }
    check_feed(&call, view);
    dx_arena_destroy(arena);
    return 0;
}
