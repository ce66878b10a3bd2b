// Conditions from query parameters: `price=5`, `min_price=5`, `price[lt]=5`, `id[in]=1,2`, `title[like]=lap*`, `note[null]=true`. Values
// are read by the field's type, so that the store compares like with like and a slip is told instead of matching nothing.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "codec/text.h"
#include "resource/list.h"

bool dx_field_is_sortable(const dx_resource_field *field) {
    return !field->write_only && field->type != DX_COLUMN_JSON && field->type != DX_COLUMN_BLOB;
}

// --- values ------------------------------------------------------------------------------------------------------------------

// JSON's grammar of numbers; strtod alone would take "inf", "0x10" and blanks.
static bool number_is_wellformed(dx_slice text) {
    size_t i = 0, digits = 0;
    if (i < text.size && text.data[i] == '-') i++;
    for (; i < text.size && isdigit((unsigned char)text.data[i]); i++) digits++;
    if (i < text.size && text.data[i] == '.')
        for (i++; i < text.size && isdigit((unsigned char)text.data[i]); i++) digits++;
    if (digits && i < text.size && (text.data[i] == 'e' || text.data[i] == 'E')) {
        i++;
        if (i < text.size && (text.data[i] == '+' || text.data[i] == '-')) i++;
        for (digits = 0; i < text.size && isdigit((unsigned char)text.data[i]); i++) digits++;
    }
    return digits && i == text.size;
}

static bool number_read(dx_value *out, dx_slice text) {
    int64_t integer;
    if (dx_slice_to_i64(text, &integer)) {
        *out = DX_INT_VALUE(integer);
        return true;
    }
    char copy[64];
    if (text.size >= sizeof copy || !number_is_wellformed(text)) return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    double real = strtod(copy, NULL);
    if (!isfinite(real)) return false;
    *out = DX_REAL_VALUE(real);
    return true;
}

// A date-time, or a date for its midnight in UTC. The "+" of an offset reads as a blank in a query string; it is taken for what was meant.
static bool time_read(dx_value *out, dx_slice text) {
    char copy[48];
    if (text.size == 0 || text.size + 11 > sizeof copy) return false;
    memcpy(copy, text.data, text.size);
    if (dx_date_valid(text)) {
        memcpy(copy + text.size, "T00:00:00Z", 10);
        text.size += 10;
    } else if (text.size > 6 && copy[text.size - 6] == ' ') {
        copy[text.size - 6] = '+';
    }
    dx_micros_utc time;
    if (!dx_time_read((dx_slice){copy, text.size}, &time)) return false;
    *out = DX_INT_VALUE(time);
    return true;
}

static bool boolean_read(dx_value *out, dx_slice text) {
    bool truth = dx_slice_equal(text, DX_SLICE("true"));
    if (!truth && !dx_slice_equal(text, DX_SLICE("false"))) return false;
    *out = DX_BOOL_VALUE(truth);
    return true;
}

// UUIDs are kept in lower case.
static bool uuid_fold(dx_value *out, dx_arena *arena, dx_slice text) {
    char *lower = dx_arena_bytes(arena, text.size);
    if (!lower) return false;
    for (size_t i = 0; i < text.size; i++) lower[i] = (char)tolower((unsigned char)text.data[i]);
    *out = DX_TEXT_VALUE(((dx_slice){lower, text.size}));
    return true;
}

bool dx_filter_value(dx_value *out, dx_arena *arena, const dx_resource_field *field, dx_slice text, const char **what) {
    int64_t integer;
    switch (field->type) {
    case DX_COLUMN_BOOLEAN:
        *what = "true or false";
        return boolean_read(out, text);
    case DX_COLUMN_INTEGER:
        *what = "an integer";
        if (!dx_slice_to_i64(text, &integer)) return false;
        *out = DX_INT_VALUE(integer);
        return true;
    case DX_COLUMN_NUMBER:
        *what = "a number";
        return number_read(out, text);
    case DX_COLUMN_TIMESTAMP:
        *what = "a date-time (RFC 3339) or a date";
        return time_read(out, text);
    case DX_COLUMN_TEXT:
        *what = "text in UTF-8";
        if (!dx_utf8_valid(text) || dx_slice_find(text, 0) != SIZE_MAX) return false;
        if ((field->column == 0 || field->target) && dx_uuid_valid(text)) return uuid_fold(out, arena, text);
        *out = DX_TEXT_VALUE(text);
        return true;
    default:
        *what = "nothing: the field can only be tested for null";
        return false;
    }
}

// --- messages ------------------------------------------------------------------------------------------------------------------

#define NAMES_CAP 60

dx_slice dx_filter_names(dx_arena *arena, const dx_resource *resource) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 16);
    size_t told = 0, left = 0;
    for (uint16_t i = 0; i < resource->field_count; i++) {
        if (!dx_field_is_sortable(&resource->fields[i])) continue;
        if (told == NAMES_CAP) {
            left++;
            continue;
        }
        if (told++) DX_BUFFER_LIT(&text, ", ");
        dx_buffer_add(&text, resource->fields[i].name);
    }
    if (left) dx_buffer_printf(&text, " and %zu more", left);
    return dx_buffer_slice(&text);
}

dx_slice dx_filter_hint(dx_arena *arena, const dx_map *names, dx_slice name) {
    dx_slice nearest = dx_map_nearest(names, name);
    return nearest.size ? dx_arena_printf(arena, "; did you mean \"%.*s\"?", DX_SLICE_ARG(nearest)) : (dx_slice){0};
}

static void complain_of_name(dx_resource_call *call, dx_slice parameter, dx_slice field) {
    dx_slice hint = dx_filter_hint(call->arena, &call->resource->field_names, field);
    dx_slice names = dx_filter_names(call->arena, call->resource);
    dx_resource_complain(
        call, parameter,
        "there is no such parameter%.*s; a list takes page, page_size, cursor, count, sort, fields and expand, and filters by: "
        "%.*s (each also as min_…, max_…, …[gte] and the like)",
        DX_SLICE_ARG(hint), DX_SLICE_ARG(names));
}

static void complain_of_value(dx_resource_call *call, dx_slice parameter, const char *expected, dx_slice found) {
    if (!dx_utf8_valid(found)) found = DX_SLICE("bytes that are not UTF-8");
    if (found.size > 64) found.size = 0;
    if (found.size)
        dx_resource_complain(call, parameter, "expected %s, found \"%.*s\"", expected, DX_SLICE_ARG(found));
    else
        dx_resource_complain(call, parameter, "expected %s", expected);
}

// --- operators -----------------------------------------------------------------------------------------------------------------

typedef enum operand { ONE_VALUE, SOME_VALUES, A_PATTERN, A_TRUTH } operand;

static const struct operator_row {
    dx_slice name;
    dx_compare compare;
    operand operand;
    bool none_of;
} operators[] = {
    {DX_SLICE_INIT("eq"), DX_EQUAL, ONE_VALUE, false},   {DX_SLICE_INIT("ne"), DX_NOT_EQUAL, ONE_VALUE, false},
    {DX_SLICE_INIT("gt"), DX_GREATER, ONE_VALUE, false}, {DX_SLICE_INIT("gte"), DX_GREATER_EQUAL, ONE_VALUE, false},
    {DX_SLICE_INIT("lt"), DX_LESS, ONE_VALUE, false},    {DX_SLICE_INIT("lte"), DX_LESS_EQUAL, ONE_VALUE, false},
    {DX_SLICE_INIT("in"), DX_IN, SOME_VALUES, false},    {DX_SLICE_INIT("nin"), DX_NOT_EQUAL, SOME_VALUES, true},
    {DX_SLICE_INIT("like"), DX_LIKE, A_PATTERN, false},  {DX_SLICE_INIT("null"), DX_IS_NULL, A_TRUTH, false},
};
typedef struct operator_row operator_row;

static const operator_row *operator_named(dx_slice name) {
    for (size_t i = 0; i < DX_COUNT_OF(operators); i++)
        if (dx_slice_equal(operators[i].name, name)) return &operators[i];
    return NULL;
}

// `field`, `field[op]`, `min_field`, `max_field`. NULL: complained.
static const dx_resource_field *name_read(dx_resource_call *call, dx_slice name, const operator_row **op) {
    const dx_map *names = &call->resource->field_names;
    dx_slice field_name = name, inside = DX_SLICE("eq");
    size_t bracket = dx_slice_find(name, '[');
    if (bracket != SIZE_MAX && name.data[name.size - 1] == ']') {
        field_name.size = bracket;
        inside = dx_slice_of(name.data + bracket + 1, name.size - bracket - 2);
    }
    const dx_resource_field *field = dx_map_get(names, field_name);
    if (!field && bracket == SIZE_MAX && name.size > 4) {
        bool least = dx_slice_starts(name, DX_SLICE("min_")), most = dx_slice_starts(name, DX_SLICE("max_"));
        if (least || most) {
            field_name = dx_slice_from(name, 4);
            field = dx_map_get(names, field_name);
            inside = least ? DX_SLICE("gte") : DX_SLICE("lte");
        }
    }
    *op = operator_named(inside);
    if (!field || field->write_only) {
        complain_of_name(call, name, field_name);
        return NULL;
    }
    if (!*op) dx_resource_complain(call, name, "there is no such operator; expected one of eq ne gt gte lt lte in nin like null");
    return *op ? field : NULL;
}

// --- lists of values -------------------------------------------------------------------------------------------------------------

// The next item of a comma-separated list: `a`, `"a,b"` (with "" for a quote), or with \ before a comma. False without memory or when a
// quote is not closed (`*broken`).
static bool item_next(dx_slice *rest, dx_arena *arena, dx_slice *out, bool *broken) {
    char *to = dx_arena_bytes(arena, rest->size + 1);
    if (!to) return false;
    size_t size = 0, i = 0;
    const char *text = rest->data;
    bool quoted = rest->size && text[0] == '"';
    if (quoted) i++;
    bool closed = !quoted;
    for (; i < rest->size; i++) {
        if (quoted && !closed && text[i] == '"') {
            if (i + 1 < rest->size && text[i + 1] == '"')
                to[size++] = text[i++];
            else
                closed = true;
            continue;
        }
        if (closed && text[i] == ',') break;
        if (quoted && closed) {
            *broken = true;
            return true;
        }
        if (!quoted && text[i] == '\\' && i + 1 < rest->size && (text[i + 1] == ',' || text[i + 1] == '\\')) i++;
        to[size++] = text[i];
    }
    *broken = !closed;
    *out = (dx_slice){to, size};
    *rest = i < rest->size ? (dx_slice){text + i + 1, rest->size - i - 1} : (dx_slice){NULL, 0};
    return true;
}

static bool values_read(dx_condition *condition, dx_resource_call *call, const dx_resource_field *field, dx_slice parameter,
                        dx_slice text) {
    dx_value *values = DX_ARENA_ARRAY(call->arena, dx_value, DX_QUERY_VALUES_CAP);
    if (!values) return false;
    dx_slice rest = text.data ? text : DX_SLICE("");
    while (rest.data) {
        dx_slice item = {0};
        const char *what = "";
        bool broken = false;
        if (!item_next(&rest, call->arena, &item, &broken)) return false;
        if (broken) {
            dx_resource_complain(call, parameter, "expected values separated by commas; a quote is not closed");
            return true;
        }
        if (condition->count == DX_QUERY_VALUES_CAP) {
            dx_resource_complain(call, parameter, "expected at most %d values", DX_QUERY_VALUES_CAP);
            return true;
        }
        if (!dx_filter_value(&values[condition->count++], call->arena, field, item, &what)) complain_of_value(call, parameter, what, item);
    }
    condition->values = values;
    return true;
}

// "*" is what people type for "%"; a backslash makes either plain.
static bool pattern_read(dx_condition *condition, dx_resource_call *call, const dx_resource_field *field, dx_slice parameter,
                         dx_slice text) {
    if (field->type != DX_COLUMN_TEXT) {
        dx_resource_complain(call, parameter, "like works on text, and \"%.*s\" is none", DX_SLICE_ARG(field->name));
        return true;
    }
    char *pattern = dx_arena_bytes(call->arena, 2 * text.size + 1); // a lone backslash becomes two
    dx_value *value = DX_ARENA_NEW(call->arena, dx_value);
    if (!pattern || !value) return false;
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\\') {
            bool escapes = i + 1 < text.size && strchr("*%_\\", text.data[i + 1]);
            char plain = escapes ? text.data[++i] : '\\';
            if (plain != '*') pattern[size++] = '\\';
            pattern[size++] = plain;
        } else {
            pattern[size++] = text.data[i] == '*' ? '%' : text.data[i];
        }
    }
    if (!dx_utf8_valid((dx_slice){pattern, size})) complain_of_value(call, parameter, "text in UTF-8", (dx_slice){0});
    *value = DX_TEXT_VALUE(((dx_slice){pattern, size}));
    condition->values = value;
    condition->count = 1;
    return true;
}

static bool value_read(dx_condition *condition, dx_resource_call *call, const dx_resource_field *field, dx_slice parameter, dx_slice text) {
    dx_value *value = DX_ARENA_NEW(call->arena, dx_value);
    const char *what = "";
    if (!value) return false;
    if (!dx_filter_value(value, call->arena, field, text, &what)) complain_of_value(call, parameter, what, text);
    condition->values = value;
    condition->count = 1;
    return true;
}

static bool operand_read(dx_condition *condition, dx_resource_call *call, const dx_resource_field *field, const operator_row *op,
                         dx_slice parameter, dx_slice text) {
    dx_value truth = DX_NULL_VALUE;
    if (op->operand == A_TRUTH) {
        if (!boolean_read(&truth, text)) complain_of_value(call, parameter, "true or false", text);
        if (truth.type == DX_VALUE_BOOLEAN && !truth.integer) condition->compare = DX_NOT_NULL;
        return true;
    }
    if (field->type == DX_COLUMN_JSON || field->type == DX_COLUMN_BLOB) {
        dx_resource_complain(call, parameter, "\"%.*s\" is kept as JSON and can only be tested for null, as %.*s[null]=true",
                             DX_SLICE_ARG(field->name), DX_SLICE_ARG(field->name));
        return true;
    }
    if (op->operand == SOME_VALUES) return values_read(condition, call, field, parameter, text);
    if (op->operand == A_PATTERN) return pattern_read(condition, call, field, parameter, text);
    return value_read(condition, call, field, parameter, text);
}

static uint64_t hash_add(uint64_t sum, dx_slice name, dx_slice value) {
    return sum + (dx_hash_fixed(name) * 0x9e3779b97f4a7c15u ^ dx_hash_fixed(value));
}

bool dx_filter_read(dx_view *view, dx_resource_call *call, dx_slice name, dx_slice value) {
    const operator_row *op;
    const dx_resource_field *field = name_read(call, name, &op);
    if (!field) return true;
    if (view->condition_count == DX_QUERY_CONDITIONS_CAP) {
        dx_resource_complain(call, name, "expected at most %d conditions", DX_QUERY_CONDITIONS_CAP);
        return true;
    }
    dx_condition *condition = &view->conditions[view->condition_count];
    *condition = (dx_condition){.column = field->column, .compare = op->compare, .none_of = op->none_of};
    if (!operand_read(condition, call, field, op, name, value)) return false;
    for (uint16_t i = 0; i < view->condition_count; i++)
        if (view->conditions[i].column == condition->column && view->conditions[i].compare == condition->compare &&
            condition->compare != DX_NOT_EQUAL && condition->compare != DX_LIKE) {
            dx_resource_complain(call, name, "the same condition stands twice; for any of several values use %.*s[in]=a,b",
                                 DX_SLICE_ARG(field->name));
            return true;
        }
    view->condition_count++;
    view->value_count = (uint16_t)(view->value_count + condition->count);
    view->filter_hash = hash_add(view->filter_hash, name, value);
    return true;
}
