// Putting an imported definition together: values whose lack of memory is noted once, and references within the document.
#include "client/import_parts.h"

#include "codec/text.h"

#define HOPS_CAP   32                      // references that lead to references
#define LEVELS_CAP (DX_JSON_DEPTH_CAP - 9) // of a parameter's schema, which lies deepest in a definition

void dx_import_tell(dx_importer *im, dx_slice pointer, const char *format, ...) {
    va_list args;
    va_start(args, format);
    dx_slice message = dx_arena_vprintf(im->arena, format, args);
    va_end(args);
    if (!message.data)
        im->status = DX_NO_MEMORY;
    else
        (void)dx_diags_add(im->findings, DX_INVALID, pointer, "%.*s", DX_SLICE_ARG(message));
}

void dx_import_leave_out(dx_importer *im, dx_import_left_out what, dx_slice pointer) {
    if (!im->left[what]++) im->left_at[what] = pointer;
}

dx_slice dx_import_pointer(dx_importer *im, dx_slice base, const char *token) {
    dx_slice pointer = dx_json_pointer_join(im->arena, base, dx_slice_str(token));
    if (!pointer.data) im->status = DX_NO_MEMORY;
    return pointer;
}

static yyjson_mut_val *made(dx_importer *im, yyjson_mut_val *value) {
    if (!value) im->status = DX_NO_MEMORY;
    return value;
}

static bool names_a_variable(dx_slice text) {
    for (size_t i = 0; i + 1 < text.size; i++)
        if (text.data[i] == '$' && text.data[i + 1] == '{') return true;
    return false;
}

yyjson_mut_val *dx_import_text(dx_importer *im, dx_slice text) {
    if (!text.size) return made(im, yyjson_mut_str(im->doc, ""));
    if (!names_a_variable(text)) return made(im, yyjson_mut_strn(im->doc, text.data, text.size));
    dx_buffer escaped;
    dx_buffer_init(&escaped, im->arena, 2 * text.size + 1);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '$' && i + 1 < text.size && text.data[i + 1] == '{') dx_buffer_byte(&escaped, '$');
        dx_buffer_byte(&escaped, text.data[i]);
    }
    if (dx_buffer_status(&escaped) != DX_OK) return made(im, NULL);
    return made(im, yyjson_mut_strn(im->doc, escaped.data, escaped.size));
}

yyjson_mut_val *dx_import_variable(dx_importer *im, const char *suffix) {
    dx_slice text = dx_arena_printf(im->arena, "${%.*s_%s}", DX_SLICE_ARG(im->variables), suffix);
    return made(im, text.data ? yyjson_mut_strn(im->doc, text.data, text.size) : NULL);
}

yyjson_mut_val *dx_import_object(dx_importer *im) {
    return made(im, yyjson_mut_obj(im->doc));
}

yyjson_mut_val *dx_import_array(dx_importer *im) {
    return made(im, yyjson_mut_arr(im->doc));
}

yyjson_mut_val *dx_import_bool(dx_importer *im, bool value) {
    return made(im, yyjson_mut_bool(im->doc, value));
}

static yyjson_mut_val *name_of(dx_importer *im, dx_slice name) {
    return made(im, yyjson_mut_strncpy(im->doc, name.size ? name.data : "", name.size));
}

void dx_import_add(dx_importer *im, yyjson_mut_val *object, dx_slice name, yyjson_mut_val *value) {
    yyjson_mut_val *key = name_of(im, name);
    if (!object || !value || !key || !yyjson_mut_obj_add(object, key, value)) im->status = DX_NO_MEMORY;
}

void dx_import_put(dx_importer *im, yyjson_mut_val *object, dx_slice name, yyjson_mut_val *value) {
    yyjson_mut_val *key = name_of(im, name);
    if (!object || !value || !key || !yyjson_mut_obj_put(object, key, value)) im->status = DX_NO_MEMORY;
}

void dx_import_append(dx_importer *im, yyjson_mut_val *array, yyjson_mut_val *value) {
    if (!array || !value || !yyjson_mut_arr_append(array, value)) im->status = DX_NO_MEMORY;
}

yyjson_mut_val *dx_import_member(dx_importer *im, yyjson_mut_val *object, dx_slice name) {
    yyjson_mut_val *member = yyjson_mut_obj_getn(object, name.size ? name.data : "", name.size);
    if (member) return member;
    member = dx_import_object(im);
    dx_import_add(im, object, name, member);
    return member;
}

// As deep as the document at most, whose depth its reader has capped.
yyjson_mut_val *dx_import_copy(dx_importer *im, yyjson_val *value) {
    size_t i, count;
    yyjson_val *name, *item;
    if (yyjson_is_str(value)) return dx_import_text(im, dx_json_slice(value));
    if (!yyjson_is_ctn(value)) return made(im, yyjson_val_mut_copy(im->doc, value));
    yyjson_mut_val *copy = yyjson_is_obj(value) ? dx_import_object(im) : dx_import_array(im);
    if (!copy) return NULL;
    yyjson_arr_foreach(value, i, count, item) dx_import_append(im, copy, dx_import_copy(im, item));
    yyjson_obj_foreach(value, i, count, name, item) dx_import_add(im, copy, dx_json_slice(name), dx_import_copy(im, item));
    return copy;
}

bool dx_import_refers(yyjson_val *value) {
    size_t i, count;
    yyjson_val *name, *item;
    yyjson_arr_foreach(value, i, count, item) {
        if (dx_import_refers(item)) return true;
    }
    yyjson_obj_foreach(value, i, count, name, item) {
        if (yyjson_equals_str(name, "$ref") || dx_import_refers(item)) return true;
    }
    return false;
}

bool dx_import_refers_away(const yyjson_mut_val *value) {
    size_t i, count;
    yyjson_mut_val *name, *item, *within = (yyjson_mut_val *)value; // yyjson's functions take no const
    yyjson_mut_arr_foreach(within, i, count, item) {
        if (dx_import_refers_away(item)) return true;
    }
    yyjson_mut_obj_foreach(within, i, count, name, item) {
        const char *text = yyjson_mut_get_str(item);
        if (yyjson_mut_equals_str(name, "$ref") && !(text && strncmp(text, "#/models/", 9) == 0)) return true;
        if (dx_import_refers_away(item)) return true;
    }
    return false;
}

static bool is_deeper(yyjson_mut_val *value, int levels) {
    size_t i, count;
    yyjson_mut_val *name, *item;
    if (!yyjson_mut_is_ctn(value)) return false;
    if (levels == 0) return true;
    yyjson_mut_arr_foreach(value, i, count, item) {
        if (is_deeper(item, levels - 1)) return true;
    }
    yyjson_mut_obj_foreach(value, i, count, name, item) {
        if (is_deeper(item, levels - 1)) return true;
    }
    return false;
}

bool dx_import_is_deep(const yyjson_mut_val *value) {
    return is_deeper((yyjson_mut_val *)value, LEVELS_CAP);
}

yyjson_val *dx_import_target(dx_importer *im, dx_slice ref, dx_slice pointer, dx_slice *target) {
    dx_slice fragment;
    if (!ref.size || ref.data[0] != '#') {
        dx_import_tell(im, pointer, "refers to another document (%.*s), which is not read; put it into this one", DX_SLICE_ARG(ref));
        return NULL;
    }
    dx_status status = dx_percent_decode(&fragment, im->arena, dx_slice_from(ref, 1), false);
    if (status == DX_NO_MEMORY) im->status = status;
    bool is_pointer = status == DX_OK && (!fragment.size || fragment.data[0] == '/');
    yyjson_val *found = is_pointer ? dx_json_at(im->document, fragment) : NULL;
    if (!found) dx_import_tell(im, pointer, "refers to %.*s, and there is no such thing in the document", DX_SLICE_ARG(ref));
    *target = fragment;
    return found;
}

yyjson_val *dx_import_resolve(dx_importer *im, yyjson_val *value, dx_slice *pointer) {
    for (int hops = 0; hops < HOPS_CAP; hops++) {
        yyjson_val *ref = yyjson_is_obj(value) ? yyjson_obj_get(value, "$ref") : NULL;
        if (!yyjson_is_str(ref)) return value;
        value = dx_import_target(im, dx_json_slice(ref), *pointer, pointer);
        if (!value) return NULL;
    }
    dx_import_tell(im, *pointer, "is a reference that leads in a circle");
    return NULL;
}
