// Tables: a list of objects as aligned columns, in the order in which their names are met. On a terminal, columns that are wider than the
// rest are cut until a row fits. Control characters are shown as escapes, so that a value can neither break the table nor steer the
// terminal.
#include "base/map.h"
#include "cli/output_parts.h"
#include "cli/text_width.h"

#define GAP       2 // columns between two
#define NARROWEST 8 // columns that are cut keep so much

typedef struct column {
    dx_slice name;
    size_t width;
    bool numbers; // stand at the right
} column;

typedef struct table {
    dx_buffer *out, cell; // `cell`: the present one's text
    const dx_output_options *options;
    column columns[DX_OUTPUT_COLUMNS_CAP + 1];
    size_t count;
    bool more; // columns than the cap; the last is "…"
} table;

// --- cells ------------------------------------------------------------------------------------------------------------------

static void add_visible(dx_buffer *cell, dx_slice text) {
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i], next = i + 1 < text.size ? (unsigned char)text.data[i + 1] : 0;
        bool beyond = byte == 0xc2 && next >= 0x80 && next < 0xa0; // control characters beyond ASCII
        if (byte == '\n' || byte == '\t' || byte == '\r')
            dx_buffer_add(cell, byte == '\n' ? DX_SLICE("\\n") : byte == '\t' ? DX_SLICE("\\t") : DX_SLICE("\\r"));
        else if (byte < 0x20 || byte == 0x7f || beyond)
            dx_buffer_printf(cell, "\\u%04x", beyond ? next : byte);
        else
            dx_buffer_byte(cell, (char)byte);
        i += beyond;
    }
}

static dx_slice text_of(table *t, yyjson_val *value) {
    dx_buffer_clear(&t->cell);
    if (!value) return (dx_slice){NULL, 0};
    if (yyjson_is_str(value)) {
        add_visible(&t->cell, dx_json_slice(value));
    } else {
        dx_buffer json;
        dx_buffer_init(&json, NULL, DX_OUTPUT_CAP);
        dx_json_write_value(&json, value);
        add_visible(&t->cell, dx_buffer_slice(&json));
        if (json.status != DX_OK) t->out->status = json.status;
        dx_buffer_deinit(&json);
    }
    if (t->cell.status != DX_OK) t->out->status = t->cell.status;
    return dx_buffer_slice(&t->cell);
}

static bool is_number(yyjson_val *value) {
    return yyjson_is_num(value) || yyjson_is_raw(value);
}

static void measure(table *t, column *of, yyjson_val *value) {
    size_t width = dx_text_width(text_of(t, value));
    if (width > of->width) of->width = width;
    if (value && !yyjson_is_null(value) && !is_number(value)) of->numbers = false;
}

// --- columns ----------------------------------------------------------------------------------------------------------------

static void add_column(table *t, dx_slice name) {
    dx_buffer_clear(&t->cell);
    add_visible(&t->cell, name);
    t->columns[t->count++] = (column){name, dx_text_width(dx_buffer_slice(&t->cell)), true};
}

static dx_status find_columns(table *t, dx_arena *arena, yyjson_val *list) {
    size_t i, j, count, members;
    yyjson_val *row, *name, *value;
    dx_map seen;
    dx_map_init(&seen, arena);
    yyjson_arr_foreach(list, i, count, row) {
        yyjson_obj_foreach(row, j, members, name, value) {
            column *known = dx_map_get(&seen, dx_json_slice(name));
            if (!known && t->count == DX_OUTPUT_COLUMNS_CAP) {
                t->more = true;
                continue;
            }
            if (!known) {
                add_column(t, dx_json_slice(name));
                known = &t->columns[t->count - 1];
                if (dx_map_put(&seen, dx_json_slice(name), known) != DX_OK) return DX_NO_MEMORY;
            }
            measure(t, known, value);
        }
    }
    return DX_OK;
}

static size_t width_of(const table *t, size_t most) {
    size_t sum = t->count ? (t->count - 1) * GAP : 0;
    for (size_t i = 0; i < t->count; i++) sum += t->columns[i].width < most ? t->columns[i].width : most;
    return sum;
}

// Lowers the widest columns together until a row fits, or all are at the narrowest.
static void fit(table *t) {
    size_t low = NARROWEST, high = 0;
    if (!t->options->width || width_of(t, SIZE_MAX) <= t->options->width) return;
    for (size_t i = 0; i < t->count; i++) high = t->columns[i].width > high ? t->columns[i].width : high;
    while (low < high) { // the most that fits
        size_t middle = low + (high - low + 1) / 2;
        if (width_of(t, middle) <= t->options->width)
            low = middle;
        else
            high = middle - 1;
    }
    for (size_t i = 0; i < t->count; i++)
        if (t->columns[i].width > low) t->columns[i].width = low;
}

// --- rows -------------------------------------------------------------------------------------------------------------------

static void pad(dx_buffer *out, size_t count) {
    while (count-- && out->status == DX_OK) dx_buffer_byte(out, ' ');
}

// Adds a cell to a row of which `*taken` columns are used; what does not fit on the terminal any more is left out.
static void write_cell(table *t, size_t index, dx_slice text, size_t *taken, const char *color) {
    const column *of = &t->columns[index];
    bool last = index + 1 == t->count, cut = false;
    size_t room = of->width, gap = index ? GAP : 0, width = dx_text_width(text);
    if (t->options->width && *taken + gap + room > t->options->width) {
        if (*taken + gap >= t->options->width) return;
        room = t->options->width - *taken - gap;
    }
    if (width > room) {
        cut = true;
        text.size = dx_text_fit(text, room - 1);
        width = dx_text_width(text) + 1;
    }
    pad(t->out, gap);
    if (of->numbers) pad(t->out, room - width);
    if (color) dx_buffer_add(t->out, dx_slice_str(color));
    dx_buffer_add(t->out, text);
    if (cut) DX_BUFFER_LIT(t->out, "…");
    if (color) DX_BUFFER_LIT(t->out, "\033[0m");
    if (!of->numbers && !last) pad(t->out, room - width);
    *taken += gap + room;
}

static void end_row(table *t) {
    while (t->out->size && t->out->data[t->out->size - 1] == ' ') t->out->size--;
    dx_buffer_byte(t->out, '\n');
}

static void write_head(table *t) {
    size_t taken = 0;
    for (size_t i = 0; i < t->count; i++) {
        dx_buffer_clear(&t->cell);
        add_visible(&t->cell, t->columns[i].name);
        write_cell(t, i, dx_buffer_slice(&t->cell), &taken, t->options->color ? "\033[1m" : NULL);
    }
    end_row(t);
}

static void write_row(table *t, yyjson_val *row) {
    size_t taken = 0, named = t->count - t->more;
    for (size_t i = 0; i < named && t->out->status == DX_OK; i++) {
        yyjson_val *value = yyjson_obj_getn(row, t->columns[i].name.size ? t->columns[i].name.data : "", t->columns[i].name.size);
        write_cell(t, i, text_of(t, value), &taken, NULL);
    }
    end_row(t);
}

static dx_status write_objects(table *t, dx_arena *arena, yyjson_val *list) {
    size_t i, count;
    yyjson_val *row;
    dx_status status = find_columns(t, arena, list);
    if (status != DX_OK) return status;
    if (t->more) add_column(t, DX_SLICE("…"));
    fit(t);
    if (t->count) write_head(t);
    yyjson_arr_foreach(list, i, count, row) write_row(t, row);
    return DX_OK;
}

// One or two columns of cells that are given one by one.
static void write_pair(table *t, yyjson_val *name, yyjson_val *value) {
    size_t taken = 0;
    if (name) write_cell(t, 0, text_of(t, name), &taken, NULL);
    write_cell(t, t->count - 1, text_of(t, value), &taken, NULL);
    end_row(t);
}

static void write_members(table *t, yyjson_val *object) {
    size_t i, count;
    yyjson_val *name, *value;
    add_column(t, DX_SLICE("name"));
    add_column(t, DX_SLICE("value"));
    t->columns[1].numbers = false;
    yyjson_obj_foreach(object, i, count, name, value) {
        measure(t, &t->columns[0], name);
        measure(t, &t->columns[1], value);
    }
    fit(t);
    write_head(t);
    yyjson_obj_foreach(object, i, count, name, value) write_pair(t, name, value);
}

static void write_items(table *t, yyjson_val *list) {
    size_t i, count;
    yyjson_val *item;
    add_column(t, DX_SLICE("value"));
    yyjson_arr_foreach(list, i, count, item) measure(t, &t->columns[0], item);
    fit(t);
    write_head(t);
    yyjson_arr_foreach(list, i, count, item) write_pair(t, NULL, item);
}

static bool all_objects(yyjson_val *list) {
    size_t i, count;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, count, item) {
        if (!yyjson_is_obj(item)) return false;
    }
    return true;
}

dx_status dx_output_table(dx_buffer *out, dx_arena *arena, yyjson_val *value, const dx_output_options *options) {
    dx_status status = DX_OK;
    table *t = DX_ARENA_NEW(arena, table);
    if (!t) return DX_NO_MEMORY;
    t->out = out;
    t->options = options;
    dx_buffer_init(&t->cell, NULL, DX_OUTPUT_CAP);
    if (yyjson_is_arr(value) && all_objects(value)) {
        status = write_objects(t, arena, value);
    } else if (yyjson_is_arr(value)) {
        write_items(t, value);
    } else if (yyjson_is_obj(value)) {
        write_members(t, value);
    } else {
        dx_buffer_add(out, text_of(t, value));
        dx_buffer_byte(out, '\n');
    }
    dx_buffer_deinit(&t->cell);
    return status;
}
