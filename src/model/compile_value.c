// Keywords about the value itself: type, enum and const, numbers, strings.
#include "model/compile_keywords.h"
#include "model/format.h"

static uint8_t type_bits(dx_slice name) {
    static const struct {
        dx_slice name;
        uint8_t bits;
    } types[] = {{DX_SLICE_INIT("null"), DX_TYPE_NULL},       {DX_SLICE_INIT("boolean"), DX_TYPE_BOOLEAN},
                 {DX_SLICE_INIT("integer"), DX_TYPE_INTEGER}, {DX_SLICE_INIT("number"), DX_TYPE_NUMBER},
                 {DX_SLICE_INIT("string"), DX_TYPE_STRING},   {DX_SLICE_INIT("array"), DX_TYPE_ARRAY},
                 {DX_SLICE_INIT("object"), DX_TYPE_OBJECT}};
    for (size_t i = 0; i < DX_COUNT_OF(types); i++)
        if (dx_slice_equal(types[i].name, name)) return types[i].bits;
    return 0;
}

void dx_compile_type(dx_build *build, dx_node *node, yyjson_val *value) {
    uint8_t bits = yyjson_is_str(value) ? type_bits(dx_json_slice(value)) : 0;
    bool known = bits != 0;
    size_t index, count;
    yyjson_val *item;
    if (yyjson_is_arr(value)) {
        known = yyjson_arr_size(value) > 0;
        yyjson_arr_foreach(value, index, count, item) {
            uint8_t more = yyjson_is_str(item) ? type_bits(dx_json_slice(item)) : 0;
            known = known && more;
            bits |= more;
        }
    }
    if (!known) dx_build_complain(build, "must be one of null, boolean, integer, number, string, array, object, or an array of these");
    node->types = bits;
}

static bool choice_has(const dx_choice_rules *rules, yyjson_val *value) {
    for (size_t i = 0; i < rules->all_count; i++)
        if (dx_json_equal(rules->all[i], value)) return true;
    return false;
}

static bool string_known(const dx_slice *strings, size_t count, dx_slice text) {
    for (size_t i = 0; i < count; i++)
        if (dx_slice_equal(strings[i], text)) return true;
    return false;
}

// Splits the values into strings, which get a table, and the rest.
static void choice_set(dx_build *build, dx_node *node, yyjson_val **all, size_t count) {
    dx_choice_rules *rules = dx_build_alloc(build, 1, sizeof *rules);
    dx_slice *strings = dx_build_alloc(build, count + 1, sizeof *strings);
    yyjson_val **others = dx_build_alloc(build, count + 1, sizeof *others);
    if (!rules || !strings || !others) return;
    size_t string_count = 0;
    *rules = (dx_choice_rules){.all = all, .all_count = count, .others = others};
    for (size_t i = 0; i < count; i++) {
        dx_slice text = dx_json_slice(all[i]);
        if (!yyjson_is_str(all[i]))
            others[rules->other_count++] = all[i];
        else if (count > 4096 || !string_known(strings, string_count, text)) // a longer list is trusted to have no name twice
            strings[string_count++] = text;
    }
    if (dx_names_build(&rules->strings, build->set->arena, strings, string_count) != DX_OK) dx_build_fail(build, DX_NO_MEMORY);
    node->choice = rules;
}

// `enum` and `const` together allow what both allow.
static void choice_add(dx_build *build, dx_node *node, yyjson_val **values, size_t count) {
    size_t kept = count;
    bool constant = node->choice && node->choice->constant;
    if (node->choice) {
        kept = 0;
        for (size_t i = 0; i < count; i++)
            if (choice_has(node->choice, values[i])) values[kept++] = values[i];
    }
    choice_set(build, node, values, kept);
    if (node->choice) node->choice->constant = constant;
}

void dx_compile_enum(dx_build *build, dx_node *node, yyjson_val *value) {
    if (!yyjson_is_arr(value)) {
        dx_build_complain(build, "must be an array");
        return;
    }
    yyjson_val **values = dx_build_alloc(build, yyjson_arr_size(value) + 1, sizeof *values);
    if (!values) return;
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(value, index, count, item) values[index] = item;
    choice_add(build, node, values, yyjson_arr_size(value));
}

void dx_compile_const(dx_build *build, dx_node *node, yyjson_val *value) {
    yyjson_val **values = dx_build_alloc(build, 1, sizeof *values);
    if (!values) return;
    values[0] = value;
    choice_add(build, node, values, 1);
    if (node->choice) node->choice->constant = true;
}

void dx_compile_multiple_of(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_number_rules *rules = dx_node_number(build, node);
    if (!yyjson_is_num(value) || (rules && !dx_multiple_init(&rules->multiple, value))) {
        dx_build_complain(build, "must be a number greater than 0");
        return;
    }
    if (!rules) return;
    rules->has_multiple = true;
    rules->multiple_text = value;
}

// The tighter limit wins; of two equal ones the exclusive.
static void set_low(dx_build *build, dx_node *node, yyjson_val *value, bool exclusive) {
    dx_number_rules *rules = dx_node_number(build, node);
    if (!yyjson_is_num(value)) dx_build_complain(build, "must be a number");
    if (!rules || !yyjson_is_num(value)) return;
    dx_number limit = dx_number_of(value);
    int order = rules->has_low ? dx_number_compare(limit, rules->low) : 1;
    if (order < 0 || (order == 0 && !exclusive)) return;
    rules->has_low = true;
    rules->low = limit;
    rules->low_exclusive = exclusive;
    rules->low_text = value;
}

static void set_high(dx_build *build, dx_node *node, yyjson_val *value, bool exclusive) {
    dx_number_rules *rules = dx_node_number(build, node);
    if (!yyjson_is_num(value)) dx_build_complain(build, "must be a number");
    if (!rules || !yyjson_is_num(value)) return;
    dx_number limit = dx_number_of(value);
    int order = rules->has_high ? dx_number_compare(limit, rules->high) : -1;
    if (order > 0 || (order == 0 && !exclusive)) return;
    rules->has_high = true;
    rules->high = limit;
    rules->high_exclusive = exclusive;
    rules->high_text = value;
}

void dx_compile_minimum(dx_build *build, dx_node *node, yyjson_val *value) {
    set_low(build, node, value, false);
}

void dx_compile_exclusive_minimum(dx_build *build, dx_node *node, yyjson_val *value) {
    set_low(build, node, value, true);
}

void dx_compile_maximum(dx_build *build, dx_node *node, yyjson_val *value) {
    set_high(build, node, value, false);
}

void dx_compile_exclusive_maximum(dx_build *build, dx_node *node, yyjson_val *value) {
    set_high(build, node, value, true);
}

void dx_compile_min_length(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_string_rules *rules = dx_node_string(build, node);
    if (rules) dx_build_count(build, value, &rules->min_length);
}

void dx_compile_max_length(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_string_rules *rules = dx_node_string(build, node);
    if (rules) dx_build_count(build, value, &rules->max_length);
}

void dx_compile_pattern(dx_build *build, dx_node *node, yyjson_val *value) {
    if (!yyjson_is_str(value)) {
        dx_build_complain(build, "must be a string");
        return;
    }
    dx_string_rules *rules = dx_node_string(build, node);
    if (rules) rules->pattern = dx_build_pattern(build, dx_json_slice(value));
}

void dx_compile_format(dx_build *build, dx_node *node, yyjson_val *value) {
    if (!yyjson_is_str(value)) {
        dx_build_complain(build, "must be a string");
        return;
    }
    const dx_format *format = dx_format_find(dx_json_slice(value));
    bool asserted = build->set->assert_formats || (node->root->vocabularies & DX_VOCABULARY_FORMAT_ASSERTION);
    if (!format || !asserted) return;
    dx_string_rules *rules = dx_node_string(build, node);
    if (dx_format_prepare(format) != DX_OK) dx_build_fail(build, DX_NO_MEMORY);
    if (!rules) return;
    rules->format = format;
    rules->check_format = format->check;
}
