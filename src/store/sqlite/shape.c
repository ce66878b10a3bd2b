// What a table is, as JSON: written when it is made or changed, compared with what is wanted at the next start. Equal texts mean that there
// is nothing to do, so a thousand unchanged tables cost a thousand comparisons and no look at SQLite's own schema.
#include "store/sqlite/migrate.h"

#include "codec/json.h"

static const char *const type_names[] = {
    [DX_COLUMN_BOOLEAN] = "boolean",     [DX_COLUMN_INTEGER] = "integer", [DX_COLUMN_NUMBER] = "number", [DX_COLUMN_TEXT] = "text",
    [DX_COLUMN_TIMESTAMP] = "timestamp", [DX_COLUMN_JSON] = "json",       [DX_COLUMN_BLOB] = "blob",
};

static bool type_of(dx_slice name, dx_column_type *out) {
    for (size_t i = 0; i < DX_COUNT_OF(type_names); i++) {
        if (!dx_slice_equal(name, dx_slice_str(type_names[i]))) continue;
        *out = (dx_column_type)i;
        return true;
    }
    return false;
}

const dx_shape_column *dx_shape_find(const dx_shape *shape, dx_slice name) {
    for (size_t i = 0; i < shape->count; i++) {
        if (dx_slice_equal_nocase(shape->columns[i].name, name)) return &shape->columns[i];
    }
    return NULL;
}

// --- from a table ------------------------------------------------------------------------------------------------------------

dx_status dx_shape_of(dx_shape *out, dx_arena *arena, const dx_table *table) {
    *out = (dx_shape){.count = table->column_count, .index_count = table->index_count};
    out->columns = DX_ARENA_ARRAY(arena, dx_shape_column, out->count);
    out->indexes = DX_ARENA_ARRAY(arena, dx_shape_index, out->index_count);
    if (!out->columns || !out->indexes) return DX_NO_MEMORY;
    bool partly = table->unique_while_null != 0;
    if (partly) out->unique_while_null = table->columns[table->unique_while_null].name;
    for (size_t i = 0; i < out->count; i++) {
        const dx_column *column = &table->columns[i];
        bool key = i == 0;
        out->columns[i] = (dx_shape_column){.name = column->name,
                                            .type = column->type,
                                            .required = column->required || key,
                                            .unique = column->unique && !key,
                                            // Deleting a row looks for those that refer to it: all of them.
                                            .indexed = (column->indexed || column->references) && (!column->unique || partly) && !key,
                                            .references = column->references ? column->references->name : (dx_slice){0},
                                            .fallback = key ? NULL : &column->fallback};
    }
    for (size_t i = 0; i < out->index_count; i++) {
        const dx_table_index *index = &table->indexes[i];
        dx_shape_index *to = &out->indexes[i];
        *to = (dx_shape_index){DX_ARENA_ARRAY(arena, dx_slice, index->column_count), index->column_count, index->unique, {NULL, 0}};
        if (index->unique) to->while_null = out->unique_while_null;
        if (!to->columns) return DX_NO_MEMORY;
        for (size_t j = 0; j < to->count; j++) to->columns[j] = table->columns[index->columns[j]].name;
    }
    return DX_OK;
}

// --- writing -----------------------------------------------------------------------------------------------------------------

static void write_column(dx_buffer *json, const dx_shape_column *column) {
    DX_BUFFER_LIT(json, "{\"name\":");
    dx_json_write_string(json, column->name);
    DX_BUFFER_LIT(json, ",\"type\":\"");
    dx_buffer_add(json, dx_slice_str(type_names[column->type]));
    dx_buffer_byte(json, '"');
    if (column->required) DX_BUFFER_LIT(json, ",\"required\":true");
    if (column->unique) DX_BUFFER_LIT(json, ",\"unique\":true");
    if (column->indexed) DX_BUFFER_LIT(json, ",\"indexed\":true");
    if (column->references.size) {
        DX_BUFFER_LIT(json, ",\"references\":");
        dx_json_write_string(json, column->references);
    }
    dx_buffer_byte(json, '}');
}

static void write_index(dx_buffer *json, const dx_shape_index *index) {
    DX_BUFFER_LIT(json, "{\"columns\":[");
    for (size_t i = 0; i < index->count; i++) {
        if (i) dx_buffer_byte(json, ',');
        dx_json_write_string(json, index->columns[i]);
    }
    dx_buffer_byte(json, ']');
    if (index->unique) DX_BUFFER_LIT(json, ",\"unique\":true");
    dx_buffer_byte(json, '}');
}

void dx_shape_write(dx_buffer *json, const dx_shape *shape) {
    DX_BUFFER_LIT(json, "{\"columns\":[");
    for (size_t i = 0; i < shape->count; i++) {
        if (i) dx_buffer_byte(json, ',');
        write_column(json, &shape->columns[i]);
    }
    DX_BUFFER_LIT(json, "],\"indexes\":[");
    for (size_t i = 0; i < shape->index_count; i++) {
        if (i) dx_buffer_byte(json, ',');
        write_index(json, &shape->indexes[i]);
    }
    dx_buffer_byte(json, ']');
    if (shape->unique_while_null.size) {
        DX_BUFFER_LIT(json, ",\"unique_while_null\":");
        dx_json_write_string(json, shape->unique_while_null);
    }
    dx_buffer_byte(json, '}');
}

// --- reading -----------------------------------------------------------------------------------------------------------------

static dx_status read_index(dx_shape_index *out, dx_arena *arena, yyjson_val *json, dx_slice unique_while_null) {
    yyjson_val *names = yyjson_obj_get(json, "columns"), *name;
    *out = (dx_shape_index){DX_ARENA_ARRAY(arena, dx_slice, yyjson_arr_size(names)),
                            yyjson_arr_size(names),
                            yyjson_is_true(yyjson_obj_get(json, "unique")),
                            {NULL, 0}};
    if (out->unique) out->while_null = unique_while_null;
    if (!out->columns) return DX_NO_MEMORY;
    size_t i, count;
    yyjson_arr_foreach(names, i, count, name) {
        out->columns[i] = dx_json_slice(name);
    }
    return DX_OK;
}

static dx_status read_columns(dx_shape *out, yyjson_val *columns) {
    size_t i, count;
    yyjson_val *json;
    yyjson_arr_foreach(columns, i, count, json) {
        dx_shape_column *column = &out->columns[i];
        column->name = dx_json_member_slice(json, "name");
        if (!type_of(dx_json_member_slice(json, "type"), &column->type)) return DX_INTERNAL;
        column->required = yyjson_is_true(yyjson_obj_get(json, "required"));
        column->unique = yyjson_is_true(yyjson_obj_get(json, "unique"));
        column->indexed = yyjson_is_true(yyjson_obj_get(json, "indexed"));
        column->references = dx_json_member_slice(json, "references");
    }
    return DX_OK;
}

dx_status dx_shape_read(dx_shape *out, dx_arena *arena, dx_slice text) {
    yyjson_doc *doc;
    dx_status status = dx_json_read(&doc, arena, text, NULL, NULL);
    if (status) return status;
    yyjson_val *columns = yyjson_obj_get(yyjson_doc_get_root(doc), "columns");
    yyjson_val *indexes = yyjson_obj_get(yyjson_doc_get_root(doc), "indexes");
    *out = (dx_shape){.count = yyjson_arr_size(columns), .index_count = yyjson_arr_size(indexes)};
    out->columns = DX_ARENA_ARRAY(arena, dx_shape_column, out->count);
    out->indexes = DX_ARENA_ARRAY(arena, dx_shape_index, out->index_count);
    if (!out->columns || !out->indexes) return DX_NO_MEMORY;
    out->unique_while_null = dx_json_member_slice(yyjson_doc_get_root(doc), "unique_while_null");
    status = read_columns(out, columns);
    for (size_t i = 0; i < out->index_count && !status; i++)
        status = read_index(&out->indexes[i], arena, yyjson_arr_get(indexes, i), out->unique_while_null);
    return status;
}
