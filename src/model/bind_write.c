// From a bound struct to JSON, straight into a buffer. What a program put into raw JSON and extras is read before it is written, so that
// the text is JSON whatever was there, and at most as deep as one that can be read.
#include <math.h>

#include "base/memory.h"
#include "codec/text.h"
#include "model/bind.h"

static const int64_t YEAR_0 = -62167219200 * (int64_t)1000000; // as dx_time_read takes them
static const int64_t YEAR_10000 = 253402300800 * (int64_t)1000000;

static bool write_struct(dx_bind *bind, const dx_model *model, const void *in, const dx_bind_step *step);

static bool open_container(dx_bind *bind, char bracket, const dx_bind_step *step) {
    if (bind->depth == DX_MODEL_DEPTH_CAP)
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "nested deeper than %d levels", DX_MODEL_DEPTH_CAP);
    bind->depth++;
    dx_buffer_byte(&bind->text, bracket);
    return true;
}

static bool close_container(dx_bind *bind, char bracket) {
    bind->depth--;
    dx_buffer_byte(&bind->text, bracket);
    return true;
}

// --- text ------------------------------------------------------------------------------------------------------------------

static bool write_string(dx_bind *bind, const char *data, size_t size, const dx_bind_step *step) {
    if (data == NULL && size) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "has a size, but is NULL");
    dx_slice text = dx_slice_of(data, size);
    if (!dx_utf8_valid(text)) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the string is not valid UTF-8");
    dx_json_write_string(&bind->text, text);
    return true;
}

static bool write_text(dx_bind *bind, const char *in, size_t room, const dx_bind_step *step) {
    const char *end = memchr(in, '\0', room);
    if (end == NULL) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the string has no NUL within its %zu bytes", room);
    return write_string(bind, in, (size_t)(end - in), step);
}

static bool write_bytes(dx_bind *bind, const uint8_t *data, size_t size, const dx_bind_step *step) {
    if (data == NULL && size) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "has a size, but is NULL");
    if (size > DX_MODEL_TEXT_CAP) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "is larger than a text may be");
    char *to = dx_buffer_reserve(&bind->text, (size + 2) / 3 * 4 + 2);
    if (to == NULL) return true; // the buffer remembers
    *to = '"';
    size_t length = size ? dx_base64_encode(to + 1, data, size, false) : 0;
    to[1 + length] = '"';
    bind->text.size += length + 2;
    return true;
}

static bool write_time(dx_bind *bind, int64_t time, const dx_bind_step *step) {
    if (time < YEAR_0 || time >= YEAR_10000)
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the time lies outside of the years 0 to 9999");
    char text[DX_TIME_TEXT_CAP];
    return write_string(bind, text, dx_time_write(text, time), step);
}

static bool write_double(dx_bind *bind, double value, const dx_bind_step *step) {
    if (!isfinite(value)) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "JSON has no number that is not finite");
    dx_json_write_number(&bind->text, value);
    return true;
}

// --- raw JSON --------------------------------------------------------------------------------------------------------------

#define SCRATCH_CAP (((size_t)1 << 20) + DX_MODEL_TEXT_CAP * 24)

static bool write_raw(dx_bind *bind, const char *json, size_t size, const dx_bind_step *step) {
    if (json == NULL) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the raw JSON is NULL");
    if (size > DX_MODEL_TEXT_CAP) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "is larger than a text may be");
    if (bind->scratch == NULL) bind->scratch = dx_arena_create(SCRATCH_CAP);
    if (bind->scratch == NULL) return dx_bind_no_memory(bind, step);
    size_t left = DX_MODEL_DEPTH_CAP - bind->depth;
    const dx_json_options options = {.numbers_as_text = true, .depth_cap = left ? (uint32_t)left : 1};
    yyjson_doc *doc;
    dx_status status = dx_json_read(&doc, bind->scratch, dx_slice_of(json, size), &options, NULL);
    yyjson_val *root = status == DX_OK ? yyjson_doc_get_root(doc) : NULL;
    if (status == DX_NO_MEMORY) return dx_bind_no_memory(bind, step);
    if (root == NULL) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the raw JSON is not valid, or nested too deep");
    if (left == 0 && yyjson_is_ctn(root))
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "nested deeper than %d levels", DX_MODEL_DEPTH_CAP);
    dx_json_write_value(&bind->text, root);
    dx_arena_reset(bind->scratch);
    return true;
}

static bool write_map(dx_bind *bind, const dx_model_map *map, const dx_bind_step *step) {
    if (map->items == NULL && map->count) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "has a count, but is NULL");
    if (!open_container(bind, '{', step)) return false;
    for (size_t i = 0; i < map->count; i++) {
        const dx_model_pair *pair = &map->items[i];
        if (i) dx_buffer_byte(&bind->text, ',');
        if (!write_string(bind, pair->name, pair->name_size, step)) return false;
        dx_buffer_byte(&bind->text, ':');
        dx_bind_step at = {step, pair->name ? pair->name : "", pair->name_size};
        if (!write_string(bind, pair->value, pair->value_size, &at)) return false;
    }
    return close_container(bind, '}');
}

// --- members ---------------------------------------------------------------------------------------------------------------

static const char *enum_name(const dx_member *member, int value) {
    for (size_t i = 0; i < member->name_count; i++)
        if (member->names[i].value == value) return member->names[i].name;
    return NULL;
}

static bool write_enum(dx_bind *bind, const dx_member *member, int value, const dx_bind_step *step) {
    const char *name = enum_name(member, value);
    if (name == NULL) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the value %d has no name", value);
    return write_string(bind, name, strlen(name), step);
}

// A member that is no array, or an element of one; `count` belongs to strings and bytes that have a size.
static bool write_value(dx_bind *bind, const dx_member *member, const void *at, size_t count, const dx_bind_step *step) {
    const char *text = NULL;
    switch (dx_bind_kind(member)) {
    case DX_KIND_BOOL:
        dx_buffer_add(&bind->text, *(const bool *)at ? DX_SLICE("true") : DX_SLICE("false"));
        return true;
    case DX_KIND_INT32:
        dx_buffer_i64(&bind->text, *(const int32_t *)at);
        return true;
    case DX_KIND_INT64:
        dx_buffer_i64(&bind->text, *(const int64_t *)at);
        return true;
    case DX_KIND_UINT64:
        dx_buffer_u64(&bind->text, *(const uint64_t *)at);
        return true;
    case DX_KIND_DOUBLE:
        return write_double(bind, *(const double *)at, step);
    case DX_KIND_STRING:
        text = *(char *const *)at;
        if (text == NULL) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the string is NULL");
        return write_string(bind, text, strlen(text), step);
    case DX_KIND_JSON:
        text = *(char *const *)at;
        return write_raw(bind, text, text ? strlen(text) : 0, step);
    case DX_KIND_TIME:
        return write_time(bind, *(const int64_t *)at, step);
    case DX_KIND_MAP:
        return write_map(bind, at, step);
    case DX_KIND_TEXT:
        return write_text(bind, at, member->size, step);
    case DX_KIND_SIZED:
        return write_string(bind, *(char *const *)at, count, step);
    case DX_KIND_BYTES:
        return write_bytes(bind, *(uint8_t *const *)at, count, step);
    case DX_KIND_ENUM:
        return write_enum(bind, member, *(const int *)at, step);
    case DX_KIND_STRUCT:
        return write_struct(bind, member->model(), at, step);
    case DX_KIND_POINTER:
        return write_struct(bind, member->model(), *(void *const *)at, step);
    default:
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the model's table has a member of no known kind");
    }
}

static bool write_items(dx_bind *bind, const dx_member *member, const char *items, size_t count, const dx_bind_step *step) {
    if (items == NULL && count) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "has a count, but is NULL");
    if (!open_container(bind, '[', step)) return false;
    for (size_t i = 0; i < count; i++) {
        dx_bind_step at = {step, NULL, i};
        if (i) dx_buffer_byte(&bind->text, ',');
        if (!write_value(bind, member, items + i * member->size, 0, &at)) return false;
        if (dx_buffer_status(&bind->text) != DX_OK) return true; // told at the end
    }
    return close_container(bind, ']');
}

// Whether nothing is there to be written: what `has` denies, and NULL of what may be NULL.
static bool is_absent(const dx_member *member, const void *in) {
    if ((member->how.flags & DX_MEMBER_HAS_FLAG) && !*(const bool *)dx_bind_at(in, member->how.has)) return true;
    const void *at = dx_bind_at(in, member->offset);
    if (member->kind & DX_KIND_ARRAY) return *(void *const *)at == NULL && dx_bind_count(member, in) == 0;
    switch (member->kind) {
    case DX_KIND_STRING:
    case DX_KIND_JSON:
    case DX_KIND_POINTER:
        return *(void *const *)at == NULL;
    case DX_KIND_SIZED:
    case DX_KIND_BYTES:
        return *(void *const *)at == NULL && dx_bind_count(member, in) == 0;
    case DX_KIND_MAP:
        return ((const dx_model_map *)at)->items == NULL && ((const dx_model_map *)at)->count == 0;
    default:
        return false;
    }
}

static const dx_model_raw *find_raw(const dx_model_extra *extra, dx_slice name) {
    for (size_t i = 0; extra && i < extra->count; i++)
        if (dx_slice_equal(dx_slice_of(extra->items[i].name, extra->items[i].name_size), name)) return &extra->items[i];
    return NULL;
}

// What came as null or an unknown enum value, and is still so.
static const dx_model_raw *raw_instead(const dx_member *member, const void *in, const dx_model_extra *extra, dx_slice name, bool absent) {
    if (member->how.flags & DX_MEMBER_IS_REQUIRED && absent) return NULL;
    bool unknown = member->kind == DX_KIND_ENUM && *(const int *)dx_bind_at(in, member->offset) == DX_ENUM_UNKNOWN;
    return absent || unknown ? find_raw(extra, name) : NULL;
}

static void begin_member(dx_bind *bind, dx_slice name, bool *begun) {
    if (*begun) dx_buffer_byte(&bind->text, ',');
    *begun = true;
    dx_json_write_string(&bind->text, name);
    dx_buffer_byte(&bind->text, ':');
}

static bool write_member(dx_bind *bind, const dx_model *model, const dx_member *member, const void *in, const dx_model_extra *extra,
                         bool *begun, const dx_bind_step *step) {
    char space[2 * DX_MODEL_NAME_CAP];
    dx_slice name = dx_bind_name(space, model, member);
    dx_bind_step at = {step, name.data, name.size};
    bool absent = is_absent(member, in);
    const dx_model_raw *raw = raw_instead(member, in, extra, name, absent);
    if (raw && (bind->flags & DX_MODEL_STRICT) && !absent) return dx_bind_fail(bind, &at, DX_ERROR_INVALID, "is not a known value");
    if (absent && !raw) {
        if (member->how.flags & DX_MEMBER_IS_REQUIRED) return dx_bind_fail(bind, &at, DX_ERROR_INVALID, "is required");
        return true;
    }
    begin_member(bind, name, begun);
    if (raw) return write_raw(bind, raw->json, raw->json_size, &at);
    const void *value = dx_bind_at(in, member->offset);
    if (member->kind & DX_KIND_ARRAY) return write_items(bind, member, *(char *const *)value, dx_bind_count(member, in), &at);
    bool sized = member->kind == DX_KIND_SIZED || member->kind == DX_KIND_BYTES;
    return write_value(bind, member, value, sized ? dx_bind_count(member, in) : 0, &at);
}

static bool write_extra(dx_bind *bind, const dx_model *model, const dx_model_extra *extra, bool *begun, const dx_bind_step *step) {
    if (extra->items == NULL && extra->count) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the extra has a count, but is NULL");
    size_t hint = 0;
    for (size_t i = 0; i < extra->count; i++) {
        const dx_model_raw *raw = &extra->items[i];
        dx_slice name = {raw->name, raw->name_size};
        dx_bind_step at = {step, raw->name ? raw->name : "", raw->name_size};
        if (dx_bind_find(model, name, &hint)) continue; // the member had its turn
        if (bind->flags & DX_MODEL_STRICT) return dx_bind_fail(bind, &at, DX_ERROR_INVALID, "is not a known member");
        if (!dx_utf8_valid(name) || (name.data == NULL && name.size))
            return dx_bind_fail(bind, &at, DX_ERROR_INVALID, "the name is not valid UTF-8");
        begin_member(bind, name, begun);
        if (!write_raw(bind, raw->json, raw->json_size, &at)) return false;
    }
    return true;
}

static bool write_struct(dx_bind *bind, const dx_model *model, const void *in, const dx_bind_step *step) {
    if (!dx_bind_check(bind, model, step) || !open_container(bind, '{', step)) return false;
    const dx_model_extra *extra = dx_bind_extra(model, in);
    bool begun = false;
    for (size_t i = 0; i < model->count; i++) {
        const dx_member *member = &model->members[i];
        if (member->kind == DX_KIND_EXTRA) continue;
        if (!write_member(bind, model, member, in, extra, &begun, step)) return false;
    }
    if (extra && !write_extra(bind, model, extra, &begun, step)) return false;
    return close_container(bind, '}');
}

// --- the whole -------------------------------------------------------------------------------------------------------------

static dx_error_code finish(dx_bind *bind, char **text, size_t *size, bool written) {
    if (written) dx_buffer_byte(&bind->text, '\0');
    dx_status status = dx_buffer_status(&bind->text);
    if (written && status == DX_TOO_LARGE)
        dx_bind_fail(bind, NULL, DX_ERROR_INVALID, "the text is larger than %zu bytes", DX_MODEL_TEXT_CAP);
    if (written && status != DX_OK) dx_bind_no_memory(bind, NULL);
    if (bind->code == DX_ERROR_NONE) {
        *text = bind->text.data;
        if (size) *size = bind->text.size - 1;
    } else {
        dx_buffer_deinit(&bind->text);
    }
    dx_arena_destroy(bind->scratch);
    return bind->code;
}

dx_error_code dx_model_to_json(char **text, size_t *size, const dx_model *model, const void *in, unsigned flags, dx_error *error) {
    dx_bind bind;
    dx_bind_start(&bind, flags, error);
    *text = NULL;
    if (size) *size = 0;
    return finish(&bind, text, size, write_struct(&bind, model, in, NULL));
}

dx_error_code dx_model_array_to_json(char **text, size_t *size, const dx_model *model, const void *items, size_t count, unsigned flags,
                                     dx_error *error) {
    dx_bind bind;
    dx_bind_start(&bind, flags, error);
    *text = NULL;
    if (size) *size = 0;
    bool written =
        (items || !count || dx_bind_fail(&bind, NULL, DX_ERROR_INVALID, "has a count, but is NULL")) && open_container(&bind, '[', NULL);
    for (size_t i = 0; written && i < count && dx_buffer_status(&bind.text) == DX_OK; i++) {
        dx_bind_step at = {NULL, NULL, i};
        if (i) dx_buffer_byte(&bind.text, ',');
        written = write_struct(&bind, model, (const char *)items + i * model->size, &at);
    }
    return finish(&bind, text, size, written && close_container(&bind, ']'));
}
