// What every write has in common: its kept statements, its beginning and its end, and how the row that was written becomes an answer. The
// row is never read back: all its values are known but a number that the store gives.
#include "resource/write.h"

#include "base/clock.h"
#include "codec/http.h"

// --- statements ------------------------------------------------------------------------------------------------------------

static dx_status keep_insert(dx_write_plans *plans, const dx_resource *resource, dx_keep *kept) {
    static const uint16_t id[] = {0};
    plans->insert_from = resource->text_id ? 0 : 1;
    dx_query query = DX_QUERY_INIT(DX_QUERY_INSERT, &resource->table);
    query.columns = dx_resource_columns(resource) + plans->insert_from;
    query.column_count = (uint16_t)(resource->table.column_count - plans->insert_from);
    query.returning = id;
    query.returning_count = resource->text_id ? 0 : 1;
    return dx_statement_keep(&plans->insert, kept, &query);
}

static bool is_updated(const dx_resource *resource, uint16_t column) {
    return column != 0 && column != resource->created_column && column != resource->owner_column && column != resource->deleted_column;
}

// UPDATE of the one row with an id and a version; what is in its way is known from reading it.
static dx_status keep_update(dx_write_plans *plans, const dx_resource *resource, dx_arena *arena, dx_keep *kept) {
    uint16_t *columns = DX_ARENA_ARRAY(arena, uint16_t, resource->table.column_count);
    if (!columns) return DX_NO_MEMORY;
    uint16_t count = 0;
    for (uint16_t c = 0; c < resource->table.column_count; c++) {
        if (is_updated(resource, c)) columns[count++] = c;
    }
    plans->update_columns = columns;
    plans->update_count = count;
    const dx_expr id = {.kind = DX_EXPR_COMPARE, .column = 0, .compare = DX_EQUAL, .param = count, .param_count = 1};
    const dx_expr version = {.kind = DX_EXPR_COMPARE,
                             .column = (uint16_t)resource->version_column,
                             .compare = DX_EQUAL,
                             .param = (uint16_t)(count + 1),
                             .param_count = 1};
    const dx_expr *const both[] = {&id, &version};
    const dx_expr where = {.kind = DX_EXPR_AND, .items = both, .item_count = resource->version_column < 0 ? 1 : 2};
    dx_query query = DX_QUERY_INIT(DX_QUERY_UPDATE, &resource->table);
    query.columns = columns;
    query.column_count = count;
    query.where = &where;
    return dx_statement_keep(&plans->update, kept, &query);
}

static dx_status keep_remove(dx_write_plans *plans, const dx_resource *resource, bool scoped, dx_arena *arena, dx_keep *kept) {
    dx_query query = DX_QUERY_INIT(resource->soft_delete ? DX_QUERY_UPDATE : DX_QUERY_DELETE, &resource->table);
    uint16_t columns[2], count = 0;
    uint16_t version = (uint16_t)resource->version_column;
    if (resource->soft_delete) {
        columns[count++] = (uint16_t)resource->deleted_column;
        if (resource->updated_column >= 0) columns[count++] = (uint16_t)resource->updated_column;
        query.columns = columns;
        query.column_count = count;
        query.bumped = &version;
        query.bumped_count = resource->version_column < 0 ? 0 : 1;
    }
    query.where = dx_resource_where_id(arena, resource, scoped, count);
    uint16_t recorded[] = {version, (uint16_t)resource->owner_column};
    query.returning = recorded;
    query.returning_count = resource->changes ? 1 + (resource->owner_column >= 0) : 0;
    return query.where ? dx_statement_keep(&plans->remove[scoped], kept, &query) : DX_NO_MEMORY;
}

static dx_status keep_exists(const dx_statement **out, const dx_resource *target, bool scoped, dx_arena *arena, dx_keep *kept) {
    static const uint16_t id[] = {0};
    dx_query query = DX_QUERY_INIT(DX_QUERY_SELECT, &target->table);
    query.columns = id;
    query.column_count = 1;
    query.where = dx_resource_where_id(arena, target, scoped, 0);
    return query.where ? dx_statement_keep(out, kept, &query) : DX_NO_MEMORY;
}

static dx_status keep_reference(dx_reference *out, const dx_resource_field *field, dx_arena *arena, dx_keep *kept) {
    out->field = field;
    dx_status status = keep_exists(&out->exists[0], field->target, false, arena, kept);
    if (status == DX_OK && field->target->owned) status = keep_exists(&out->exists[1], field->target, true, arena, kept);
    return status;
}

static dx_status keep_references(dx_write_plans *plans, const dx_resource *resource, dx_arena *arena, dx_keep *kept) {
    uint16_t count = 0;
    for (uint16_t f = 0; f < resource->field_count; f++) count = (uint16_t)(count + (resource->fields[f].target != NULL));
    if (!count) return DX_OK;
    dx_reference *references = DX_ARENA_ARRAY(arena, dx_reference, count);
    if (!references) return DX_NO_MEMORY;
    plans->references = references;
    for (uint16_t f = 0; f < resource->field_count; f++) {
        if (!resource->fields[f].target) continue;
        dx_status status = keep_reference(&references[plans->reference_count++], &resource->fields[f], arena, kept);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

dx_status dx_resource_prepare_writes(const dx_resource *resource, dx_arena *arena, dx_keep *kept) {
    dx_write_plans *plans = DX_ARENA_NEW(arena, dx_write_plans);
    if (!plans) return DX_NO_MEMORY;
    dx_resource_plans_of(resource)->writes = plans;
    dx_status status = dx_binder_init(&plans->binder, resource, arena);
    if (status == DX_OK) status = keep_insert(plans, resource, kept);
    if (status == DX_OK) status = keep_update(plans, resource, arena, kept);
    if (status == DX_OK) status = keep_remove(plans, resource, false, arena, kept);
    if (status == DX_OK && resource->owned) status = keep_remove(plans, resource, true, arena, kept);
    if (status == DX_OK) status = keep_references(plans, resource, arena, kept);
    if (resource->changes) plans->record = resource->changes->insert;
    return status;
}

// Told to the target, whose rows may then not be hidden while one of ours shows them.
static dx_status keep_referrer(const dx_resource *resource, const dx_resource_field *field, dx_arena *arena, dx_keep *kept) {
    static const uint16_t id[] = {0};
    dx_write_plans *target = dx_resource_plans_of(field->target)->writes;
    dx_referrer *referrer = DX_ARENA_NEW(arena, dx_referrer);
    if (!referrer) return DX_NO_MEMORY;
    const dx_expr refers = {.kind = DX_EXPR_COMPARE, .column = field->column, .compare = DX_EQUAL, .param = 0, .param_count = 1};
    dx_query query = DX_QUERY_INIT(DX_QUERY_SELECT, &resource->table);
    query.columns = id;
    query.column_count = 1;
    query.where = dx_resource_where(arena, resource, &refers, false, 0);
    query.limit_param = 1;
    if (!query.where) return DX_NO_MEMORY;
    referrer->resource = resource;
    referrer->next = target->referrers;
    target->referrers = referrer;
    return dx_statement_keep(&referrer->any, kept, &query);
}

dx_status dx_resource_prepare_referrers(const dx_resource *resource, dx_arena *arena, dx_keep *kept) {
    const dx_write_plans *plans = dx_write_plans_of(resource);
    dx_status status = DX_OK;
    for (uint16_t r = 0; r < plans->reference_count && status == DX_OK; r++) {
        const dx_resource_field *field = plans->references[r].field;
        if (field->target->soft_delete) status = keep_referrer(resource, field, arena, kept);
    }
    return status;
}

// --- beginning and ending --------------------------------------------------------------------------------------------------

dx_write *dx_write_begin(dx_resource_call *call, dx_tx_step (*next)(dx_tx *), void (*done)(dx_tx *, dx_status)) {
    dx_write *write = DX_ARENA_NEW(call->arena, dx_write);
    if (!write) return NULL;
    dx_diags_init(&call->findings, call->arena);
    write->call = call;
    write->plans = dx_write_plans_of(call->resource);
    write->stride = (uint16_t)(call->resource->table.column_count);
    write->tx.mode = DX_TX_WRITE;
    write->tx.next = next;
    write->tx.done = done;
    return write;
}

dx_status dx_write_body(dx_write *write, yyjson_val **out) {
    dx_resource_call *call = write->call;
    yyjson_doc *doc = NULL;
    dx_diags found;
    dx_diags_init(&found, call->arena);
    dx_status status = dx_json_read(&doc, call->arena, call->body, NULL, &found);
    if (status == DX_OK) {
        *out = yyjson_doc_get_root(doc);
    } else if (found.first) {
        write->detail = dx_arena_printf(call->arena, "the body is not well-formed JSON: line %u, column %u: %.*s", found.first->line,
                                        found.first->column, DX_SLICE_ARG(found.first->message));
    }
    return status;
}

// What is said when nothing more particular was noted.
static dx_slice usual_detail(const dx_write *write, dx_status status) {
    const dx_resource_call *call = write->call;
    size_t count = call->findings.count;
    switch (status) {
    case DX_NOT_FOUND:
        return dx_arena_printf(call->arena, "there is no %.*s with the id \"%.*s\"", DX_SLICE_ARG(call->resource->singular),
                               DX_SLICE_ARG(call->id));
    case DX_INVALID:
        return count == 1 ? DX_SLICE("the request is not valid in one place")
                          : dx_arena_printf(call->arena, "the request is not valid in %zu places", count);
    case DX_PRECONDITION_FAILED:
        return DX_SLICE("the row is not the one that the condition names: read it again");
    case DX_PRECONDITION_REQUIRED:
        return DX_SLICE("send If-Match with the entity tag of the row");
    default:
        return (dx_slice){NULL, 0};
    }
}

void dx_write_fail(dx_write *write, dx_status status) {
    if (status == DX_UNKNOWN_REFERENCE && write->call->findings.count == 0) {
        dx_write_blame(write);
        return;
    }
    dx_slice detail = write->detail.size ? write->detail : usual_detail(write, status);
    if (detail.size) {
        dx_resource_fail(write->call, status, "%.*s", DX_SLICE_ARG(detail));
    } else {
        dx_resource_fail(write->call, status, NULL);
    }
}

dx_tx_step dx_write_refuse(dx_write *write, dx_status status, const char *detail, ...) {
    write->tx.status = status;
    if (detail) {
        va_list args;
        va_start(args, detail);
        write->detail = dx_arena_vprintf(write->call->arena, detail, args);
        va_end(args);
    }
    return DX_TX_ROLLBACK;
}

dx_slice dx_write_pointer(const dx_write *write, dx_slice field) {
    dx_arena *arena = write->call->arena;
    dx_slice at = {NULL, 0};
    if (write->many) at = dx_json_pointer_index(arena, at, write->row);
    return dx_json_pointer_join(arena, at, field);
}

// The store names the columns whose values collide, "sku" or "shop_id,sku".
static dx_tx_step explain_collision(dx_write *write) {
    dx_slice fields = write->tx.conflict;
    if (!fields.size) return dx_write_refuse(write, DX_ALREADY_EXISTS, NULL);
    dx_slice rest = fields;
    while (rest.data) {
        dx_slice field = dx_slice_trim(dx_slice_cut(&rest, ','));
        dx_diags_add(&write->call->findings, DX_ALREADY_EXISTS, dx_write_pointer(write, field), "%s",
                     field.size == fields.size ? "exists already in another row" : "exists already in another row, in this combination");
    }
    return dx_write_refuse(write, DX_ALREADY_EXISTS, "another row has the same %.*s", DX_SLICE_ARG(fields));
}

dx_tx_step dx_write_explain(dx_write *write) {
    if (write->tx.status == DX_ALREADY_EXISTS) return explain_collision(write);
    if (write->tx.status == DX_IN_USE) return dx_write_refuse(write, DX_IN_USE, "rows of other resources refer to this one");
    return DX_TX_ROLLBACK;
}

// --- a row that was written ------------------------------------------------------------------------------------------------

void dx_write_show(dx_buffer *out, const dx_resource *resource, const dx_value *row) {
    const dx_resource_plans *plans = dx_resource_plans_of(resource);
    for (uint16_t i = 0; i < plans->shown_count; i++) {
        const dx_shown_field *field = &plans->shown[i];
        if (i) {
            dx_buffer_add(out, field->key);
        } else {
            dx_buffer_byte(out, '{');
            dx_buffer_add(out, dx_slice_from(field->key, 1));
        }
        dx_resource_write_value(out, field->type, row[field->column]);
    }
    dx_buffer_byte(out, '}');
}

static void write_id(dx_buffer *out, dx_value id) {
    if (id.type == DX_VALUE_TEXT) {
        dx_buffer_add(out, id.text);
    } else {
        dx_buffer_i64(out, id.integer);
    }
}

dx_slice dx_write_etag(dx_arena *arena, const dx_resource *resource, const dx_value *row) {
    int64_t version = resource->version_column < 0 ? 0 : row[resource->version_column].integer;
    return dx_resource_tag(arena, resource, row[0], version, dx_write_modified(resource, row));
}

dx_micros_utc dx_write_modified(const dx_resource *resource, const dx_value *row) {
    return resource->updated_column < 0 ? 0 : row[resource->updated_column].integer;
}

static dx_status locate(dx_resource_call *call, dx_value id) {
    dx_buffer path;
    dx_buffer_init(&path, call->arena, DX_RESOURCE_OUT_CAP);
    dx_buffer_reserve(&path, call->resource->base_path.size + 1 + 36);
    dx_buffer_add(&path, call->resource->base_path);
    dx_buffer_byte(&path, '/');
    write_id(&path, id);
    call->location = dx_buffer_slice(&path);
    return dx_buffer_status(&path);
}

dx_status dx_write_answer(dx_resource_call *call, const dx_value *row, int http) {
    dx_buffer out;
    dx_buffer_init(&out, call->arena, DX_RESOURCE_OUT_CAP);
    dx_buffer_reserve(&out, dx_resource_row_guess(call->resource));
    dx_write_show(&out, call->resource, row);
    dx_status status = dx_buffer_status(&out);
    if (status == DX_OK && http == 201) status = locate(call, row[0]);
    if (status != DX_OK) return status;
    call->etag = dx_write_etag(call->arena, call->resource, row);
    if (!call->etag.data) return DX_NO_MEMORY;
    call->out = dx_buffer_slice(&out);
    call->modified = dx_write_modified(call->resource, row);
    call->http = http;
    return DX_OK;
}

void dx_write_answer_bare(dx_resource_call *call, int http) {
    const dx_slice none = {NULL, 0};
    call->http = http;
    call->out = call->etag = call->location = none;
    call->modified = 0;
}

dx_value *dx_write_keep(dx_arena *arena, const dx_row *row) {
    size_t count = dx_row_columns(row);
    dx_value *values = DX_ARENA_ARRAY(arena, dx_value, count);
    if (!values) return NULL;
    for (size_t c = 0; c < count; c++) {
        values[c] = dx_row_value(row, c);
        if (values[c].type != DX_VALUE_TEXT && values[c].type != DX_VALUE_BLOB) continue;
        values[c].text = dx_arena_copy(arena, values[c].text);
        if (!values[c].text.data) return NULL;
    }
    return values;
}

// --- the change log --------------------------------------------------------------------------------------------------------

dx_tx_step dx_write_record(dx_write *write, dx_change_kind kind, dx_value id, dx_value owner, dx_value version) {
    dx_value *to = write->recorded;
    to[DX_LOG_ROW - 1] = id;
    to[DX_LOG_KIND - 1] = DX_INT_VALUE(kind);
    to[DX_LOG_OWNER - 1] = owner;
    to[DX_LOG_VERSION - 1] = version;
    to[DX_LOG_AT - 1] = DX_INT_VALUE(write->tx.now);
    return dx_write_run(write, write->plans->record, to, DX_LOG_COLUMNS - 1);
}

dx_tx_step dx_write_record_row(dx_write *write, dx_change_kind kind, const dx_value *row) {
    const dx_resource *resource = write->call->resource;
    dx_value owner = resource->owner_column < 0 ? DX_NULL_VALUE : row[resource->owner_column];
    return dx_write_record(write, kind, row[0], owner, row[resource->version_column]);
}

// --- preconditions ---------------------------------------------------------------------------------------------------------

dx_status dx_write_precondition(const dx_resource_call *call) {
    return call->resource->require_if_match && !call->if_match.data ? DX_PRECONDITION_REQUIRED : DX_OK;
}

dx_status dx_write_condition(const dx_resource_call *call, const dx_value *row) {
    if (!dx_write_is_conditional(call)) return DX_OK;
    // A date counts where no tag is given, to the second (RFC 9110 section 13.1.4).
    if (!call->if_match.data && dx_resource_is_newer(dx_write_modified(call->resource, row), call->if_unmodified_since))
        return DX_PRECONDITION_FAILED;
    dx_slice etag = dx_write_etag(call->arena, call->resource, row);
    if (!etag.data) return DX_NO_MEMORY;
    if (call->if_match.data && !dx_http_etag_in(call->if_match, etag, false)) return DX_PRECONDITION_FAILED;
    if (call->if_none_match.data && dx_http_etag_in(call->if_none_match, etag, true)) return DX_PRECONDITION_FAILED;
    return DX_OK;
}
