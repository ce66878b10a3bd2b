// Which changes a feed is asked for: the conditions of a list, judged here on a row that is at hand instead of by the store. They must say
// what the store would say: texts compare byte by byte, numbers as numbers, and nothing but "is null" is true of NULL, save that a value
// differs from it.
#include "codec/text.h"
#include "resource/changes.h"

// --- judging ---------------------------------------------------------------------------------------------------------------

static int order_of(double a, double b) {
    return (a > b) - (a < b);
}

// An integer beside a double: compared as integers where the double is one, so that no digit is lost.
static int compare_mixed(int64_t a, double b) {
    if (b >= 9223372036854775808.0) return -1;
    if (b < -9223372036854775808.0) return 1;
    int64_t whole = (int64_t)b;
    if (a != whole) return a < whole ? -1 : 1;
    return order_of((double)whole, b);
}

static int compare_values(const dx_value *a, const dx_value *b) {
    if (a->type == DX_VALUE_TEXT || b->type == DX_VALUE_TEXT) return dx_slice_compare(a->text, b->text);
    if (a->type == DX_VALUE_REAL && b->type == DX_VALUE_REAL) return order_of(a->real, b->real);
    if (a->type == DX_VALUE_REAL) return -compare_mixed(b->integer, a->real);
    if (b->type == DX_VALUE_REAL) return compare_mixed(a->integer, b->real);
    return (a->integer > b->integer) - (a->integer < b->integer);
}

static bool compare_holds(dx_compare compare, int order) {
    switch (compare) {
    case DX_EQUAL:
    case DX_IN:
        return order == 0;
    case DX_NOT_EQUAL:
        return order != 0;
    case DX_LESS:
        return order < 0;
    case DX_LESS_EQUAL:
        return order <= 0;
    case DX_GREATER:
        return order > 0;
    case DX_GREATER_EQUAL:
        return order >= 0;
    default:
        return false;
    }
}

static bool condition_holds(const dx_condition *condition, const dx_value *value) {
    bool is_null = value->type == DX_VALUE_NULL;
    if (condition->compare == DX_IS_NULL) return is_null;
    if (condition->compare == DX_NOT_NULL) return !is_null;
    bool differs = condition->none_of || condition->compare == DX_NOT_EQUAL;
    if (is_null) return differs;
    for (uint16_t i = 0; i < condition->count; i++) {
        bool holds = compare_holds(condition->compare, compare_values(value, &condition->values[i]));
        if (holds != differs) return holds; // any is enough; of those that must differ, one that does not
    }
    return differs;
}

bool dx_conditions_hold(const dx_condition *conditions, size_t count, const dx_value *row) {
    for (size_t i = 0; i < count; i++) {
        if (!condition_holds(&conditions[i], &row[conditions[i].column])) return false;
    }
    return true;
}

bool dx_condition_is_plain(const dx_condition *condition) {
    return condition->compare != DX_LIKE;
}

// --- reading ---------------------------------------------------------------------------------------------------------------

static bool is_of_lists(dx_slice name) {
    static const char *const names[] = {"fields", "expand", "sort", "page", "page_size", "cursor", "count"};
    for (size_t i = 0; i < DX_COUNT_OF(names); i++) {
        if (dx_slice_equal(name, dx_slice_str(names[i]))) return true;
    }
    return false;
}

static bool condition_read(dx_view *view, dx_resource_call *call, dx_slice name, dx_slice value) {
    if (is_of_lists(name)) {
        dx_resource_complain(call, name, "is not for changes, which come one by one, in order and whole");
        return true;
    }
    uint16_t before = view->condition_count;
    if (!dx_filter_read(view, call, name, value.data ? value : DX_SLICE(""))) return false;
    if (view->condition_count > before && !dx_condition_is_plain(&view->conditions[before]))
        dx_resource_complain(call, name, "patterns can't be followed; compare with values");
    return true;
}

bool dx_changes_view_read(dx_view *view, dx_slice *last_event_id, dx_resource_call *call, dx_status *status) {
    dx_slice rest = call->query, name, value;
    *last_event_id = (dx_slice){NULL, 0};
    dx_diags_init(&call->findings, call->arena);
    *status = call->query.size > DX_QUERY_BYTES_CAP ? DX_URI_TOO_LONG : DX_OK;
    for (size_t count = 0; *status == DX_OK && dx_form_next(&rest, call->arena, &name, &value, status); count++) {
        if (count == DX_QUERY_PARAMS_CAP) {
            dx_resource_complain(call, name, "expected at most %d parameters", DX_QUERY_PARAMS_CAP);
            break;
        }
        if (name.size == 0 && value.size == 0) continue;
        if (dx_slice_equal(name, DX_SLICE("last_event_id"))) {
            if (last_event_id->data) dx_resource_complain(call, name, "stands twice");
            *last_event_id = value.data ? value : DX_SLICE("");
        } else if (!condition_read(view, call, name, value)) {
            *status = DX_NO_MEMORY;
        }
    }
    if (*status == DX_OK && call->findings.count) *status = DX_INVALID;
    return *status == DX_OK;
}
