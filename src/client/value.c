#include "client/value.h"

#include <math.h>

dx_given dx_given_json(yyjson_val *value) {
    if (yyjson_is_bool(value)) return (dx_given){DX_GIVEN_BOOL, {.boolean = yyjson_get_bool(value)}};
    if (yyjson_is_uint(value)) return (dx_given){DX_GIVEN_UINT, {.u64 = yyjson_get_uint(value)}};
    if (yyjson_is_sint(value)) return (dx_given){DX_GIVEN_INT, {.i64 = yyjson_get_sint(value)}};
    if (yyjson_is_real(value)) return (dx_given){DX_GIVEN_FLOAT, {.f64 = yyjson_get_real(value)}};
    if (yyjson_is_str(value)) return (dx_given){DX_GIVEN_STR, {.text = dx_json_slice(value)}};
    if (yyjson_is_ctn(value)) return (dx_given){DX_GIVEN_TREE, {.tree = value}};
    return (dx_given){DX_GIVEN_NULL, {.boolean = false}};
}

static dx_status parse(dx_given *out, dx_arena *arena, dx_slice text) {
    yyjson_doc *document;
    static const dx_json_options options = {.allow_duplicates = false};
    dx_status status = dx_json_read(&document, arena, text, &options, NULL);
    if (status == DX_OK) *out = dx_given_json(yyjson_doc_get_root(document));
    return status;
}

dx_status dx_given_arg(dx_given *out, dx_arena *arena, const dx_arg *arg) {
    switch (arg->kind) {
    case DX_ARG_STR:
    case DX_ARG_FILE:
        *out = arg->value.text ? (dx_given){DX_GIVEN_STR, {.text = {arg->value.text, arg->size}}} : (dx_given){DX_GIVEN_NULL, {0}};
        return DX_OK;
    case DX_ARG_INT:
        *out = (dx_given){DX_GIVEN_INT, {.i64 = arg->value.i64}};
        return DX_OK;
    case DX_ARG_UINT:
        *out = (dx_given){DX_GIVEN_UINT, {.u64 = arg->value.u64}};
        return DX_OK;
    case DX_ARG_FLOAT:
        *out = (dx_given){DX_GIVEN_FLOAT, {.f64 = arg->value.f64}};
        return DX_OK;
    case DX_ARG_BOOL:
        *out = (dx_given){DX_GIVEN_BOOL, {.boolean = arg->value.boolean}};
        return DX_OK;
    case DX_ARG_JSON:
        return parse(out, arena, dx_slice_of(arg->value.text, arg->size));
    default:
        return DX_MALFORMED;
    }
}

// --- conversion ------------------------------------------------------------------------------------------------------------------

static bool text_to_int(dx_given *value) {
    int64_t i64;
    uint64_t u64;
    if (dx_slice_to_i64(value->as.text, &i64)) {
        *value = (dx_given){DX_GIVEN_INT, {.i64 = i64}};
        return true;
    }
    if (!dx_slice_to_u64(value->as.text, &u64)) return false;
    *value = (dx_given){DX_GIVEN_UINT, {.u64 = u64}};
    return true;
}

static bool to_int(dx_given *value) {
    switch (value->kind) {
    case DX_GIVEN_INT:
    case DX_GIVEN_UINT:
        return true;
    case DX_GIVEN_STR:
        return text_to_int(value);
    case DX_GIVEN_FLOAT: // exact ones only
        if (value->as.f64 != floor(value->as.f64) || fabs(value->as.f64) > 9007199254740992.0) return false;
        *value = (dx_given){DX_GIVEN_INT, {.i64 = (int64_t)value->as.f64}};
        return true;
    default:
        return false;
    }
}

// As JSON writes numbers: what strtod takes depends on the program's locale.
static bool to_float(dx_given *value) {
    if (value->kind == DX_GIVEN_FLOAT) return isfinite(value->as.f64);
    if (value->kind == DX_GIVEN_INT || value->kind == DX_GIVEN_UINT) return true;
    char text[64];
    yyjson_val number;
    if (value->kind != DX_GIVEN_STR || value->as.text.size == 0 || value->as.text.size >= sizeof text) return false;
    memcpy(text, value->as.text.data, value->as.text.size);
    text[value->as.text.size] = '\0';
    const char *end = yyjson_read_number(text, &number, YYJSON_READ_NOFLAG, NULL, NULL);
    if (!end || *end || !isfinite(yyjson_get_num(&number))) return false;
    *value = (dx_given){DX_GIVEN_FLOAT, {.f64 = yyjson_get_num(&number)}};
    return true;
}

static bool to_bool(dx_given *value) {
    static const dx_slice yes[] = {DX_SLICE_INIT("true"), DX_SLICE_INIT("1"), DX_SLICE_INIT("yes"), DX_SLICE_INIT("on")};
    static const dx_slice no[] = {DX_SLICE_INIT("false"), DX_SLICE_INIT("0"), DX_SLICE_INIT("no"), DX_SLICE_INIT("off")};
    if (value->kind == DX_GIVEN_BOOL) return true;
    if (value->kind != DX_GIVEN_STR) return false;
    for (size_t i = 0; i < DX_COUNT_OF(yes); i++) {
        bool is_yes = dx_slice_equal_nocase(value->as.text, yes[i]);
        if (!is_yes && !dx_slice_equal_nocase(value->as.text, no[i])) continue;
        *value = (dx_given){DX_GIVEN_BOOL, {.boolean = is_yes}};
        return true;
    }
    return false;
}

static dx_status to_str(dx_given *value, dx_arena *arena) {
    if (value->kind == DX_GIVEN_STR) return DX_OK;
    if (value->kind == DX_GIVEN_NULL || value->kind == DX_GIVEN_TREE) return DX_INVALID;
    dx_buffer text;
    dx_buffer_init(&text, arena, 64);
    dx_given_write_text(&text, value);
    *value = (dx_given){DX_GIVEN_STR, {.text = dx_buffer_slice(&text)}};
    return dx_buffer_status(&text);
}

// "a,b" as a list of text; "" as an empty one.
static dx_status split(dx_given *value, dx_arena *arena) {
    yyjson_mut_doc *doc = dx_json_mut_doc(arena);
    yyjson_mut_val *list = doc ? yyjson_mut_arr(doc) : NULL;
    dx_slice rest = value->as.text;
    if (!list) return DX_NO_MEMORY;
    while (rest.size) {
        dx_slice item = dx_slice_cut(&rest, ',');
        if (!yyjson_mut_arr_add_strncpy(doc, list, item.data ? item.data : "", item.size)) return DX_NO_MEMORY;
    }
    yyjson_alc alc = dx_json_alc(arena);
    yyjson_doc *fixed = yyjson_mut_val_imut_copy(list, &alc);
    if (!fixed) return DX_NO_MEMORY;
    *value = (dx_given){DX_GIVEN_TREE, {.tree = yyjson_doc_get_root(fixed)}};
    return DX_OK;
}

static dx_status to_tree(dx_given *value, dx_arena *arena, bool list) {
    char opens = list ? '[' : '{';
    if (value->kind == DX_GIVEN_STR) {
        dx_slice text = dx_slice_trim(value->as.text);
        if (text.size && text.data[0] == opens) {
            dx_status status = parse(value, arena, text);
            if (status == DX_NO_MEMORY) return status;
        } else if (list) {
            return split(value, arena);
        }
    }
    if (value->kind != DX_GIVEN_TREE) return DX_INVALID;
    return list == yyjson_is_arr(value->as.tree) ? DX_OK : DX_INVALID;
}

dx_status dx_given_convert(dx_given *value, dx_arena *arena, const dx_param *param, const char **expected) {
    static const char *const words[] = {"a value", "an integer", "a number", "text", "true or false", "a list", "an object", "a file"};
    *expected = words[param->type];
    switch (param->type) {
    case DX_TYPE_INT:
        return to_int(value) ? DX_OK : DX_INVALID;
    case DX_TYPE_FLOAT:
        return to_float(value) ? DX_OK : DX_INVALID;
    case DX_TYPE_BOOL:
        return to_bool(value) ? DX_OK : DX_INVALID;
    case DX_TYPE_STR:
        return to_str(value, arena);
    case DX_TYPE_LIST:
        return to_tree(value, arena, true);
    case DX_TYPE_DICT:
        return to_tree(value, arena, false);
    case DX_TYPE_FILE:
        return value->kind == DX_GIVEN_STR ? DX_OK : DX_INVALID;
    default:
        return DX_OK;
    }
}

// --- writing ---------------------------------------------------------------------------------------------------------------------

void dx_given_write_text(dx_buffer *out, const dx_given *value) {
    if (value->kind == DX_GIVEN_STR)
        dx_buffer_add(out, value->as.text);
    else
        dx_given_write_json(out, value);
}

void dx_given_write_json(dx_buffer *out, const dx_given *value) {
    switch (value->kind) {
    case DX_GIVEN_STR:
        dx_json_write_string(out, value->as.text);
        return;
    case DX_GIVEN_INT:
        dx_buffer_i64(out, value->as.i64);
        return;
    case DX_GIVEN_UINT:
        dx_buffer_u64(out, value->as.u64);
        return;
    case DX_GIVEN_FLOAT:
        dx_json_write_number(out, value->as.f64);
        return;
    case DX_GIVEN_BOOL:
        dx_buffer_add(out, value->as.boolean ? DX_SLICE("true") : DX_SLICE("false"));
        return;
    case DX_GIVEN_TREE:
        dx_json_write_value(out, value->as.tree);
        return;
    default:
        DX_BUFFER_LIT(out, "null");
    }
}

yyjson_mut_val *dx_given_value(yyjson_mut_doc *doc, const dx_given *value) {
    switch (value->kind) {
    case DX_GIVEN_STR:
        return yyjson_mut_strncpy(doc, value->as.text.data ? value->as.text.data : "", value->as.text.size);
    case DX_GIVEN_INT:
        return yyjson_mut_sint(doc, value->as.i64);
    case DX_GIVEN_UINT:
        return yyjson_mut_uint(doc, value->as.u64);
    case DX_GIVEN_FLOAT:
        return yyjson_mut_real(doc, value->as.f64);
    case DX_GIVEN_BOOL:
        return yyjson_mut_bool(doc, value->as.boolean);
    case DX_GIVEN_TREE:
        return yyjson_val_mut_copy(doc, value->as.tree);
    default:
        return yyjson_mut_null(doc);
    }
}
