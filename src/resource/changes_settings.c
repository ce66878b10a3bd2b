// The setting `changes` of a resource: its log's bounds and table.
#include "resource/changes.h"
#include "resource/load.h"

static const dx_column log_columns[DX_LOG_COLUMNS] = {
    [DX_LOG_SEQUENCE] = {.name = DX_SLICE_INIT("id"), .type = DX_COLUMN_INTEGER},
    [DX_LOG_ROW] = {.name = DX_SLICE_INIT("row"), .type = DX_COLUMN_INTEGER, .required = true},
    [DX_LOG_KIND] = {.name = DX_SLICE_INIT("kind"), .type = DX_COLUMN_INTEGER, .required = true},
    [DX_LOG_OWNER] = {.name = DX_SLICE_INIT("owner"), .type = DX_COLUMN_INTEGER},
    [DX_LOG_VERSION] = {.name = DX_SLICE_INIT("version"), .type = DX_COLUMN_INTEGER},
    [DX_LOG_AT] = {.name = DX_SLICE_INIT("at"), .type = DX_COLUMN_TIMESTAMP, .required = true},
};

static dx_micros_utc keep_of(dx_loading *loading, dx_draft *draft, yyjson_val *setting) {
    dx_slice text = dx_json_member_slice(setting, "keep");
    int64_t nanos;
    if (!text.data) text = DX_SLICE(DX_CHANGES_KEEP);
    if (!dx_duration_read(text, &nanos) || nanos < 60 * DX_SECOND) {
        dx_slice at = dx_json_pointer_join(loading->arena, draft->resource->pointer, DX_SLICE("changes"));
        dx_loading_complain(loading, at, "keep", "expected at least 1m, for clients that come back; found %.*s", DX_SLICE_ARG(text));
        return 0;
    }
    return nanos / 1000;
}

void dx_draft_changes(dx_loading *loading, dx_draft *draft) {
    dx_resource *resource = draft->resource;
    yyjson_val *setting = yyjson_obj_get(draft->settings, "changes");
    if (!yyjson_is_true(setting) && !yyjson_is_obj(setting)) return;
    if (resource->table.name.size > DX_CHANGES_NAME_CAP) {
        dx_loading_complain(loading, resource->pointer, "changes", "a resource with changes has a name of at most %d characters",
                            (int)DX_CHANGES_NAME_CAP);
        return;
    }
    dx_change_log *log = DX_ARENA_NEW(loading->arena, dx_change_log);
    if (log) log->table.name = dx_arena_printf(loading->arena, DX_CHANGES_TABLE "%.*s", DX_SLICE_ARG(resource->table.name));
    if (!log || !log->table.name.data) {
        loading->status = DX_NO_MEMORY;
        return;
    }
    memcpy(log->columns, log_columns, sizeof log_columns);
    if (resource->text_id) log->columns[DX_LOG_ROW].type = DX_COLUMN_TEXT;
    log->table.columns = log->columns;
    log->table.column_count = DX_LOG_COLUMNS;
    log->keep = keep_of(loading, draft, setting);
    yyjson_val *rows = yyjson_obj_get(setting, "rows");
    log->rows = yyjson_is_uint(rows) ? (uint32_t)yyjson_get_uint(rows) : DX_CHANGES_ROWS;
    resource->changes = log;
}
