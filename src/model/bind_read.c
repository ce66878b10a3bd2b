// From JSON into a bound struct. The text is read with its numbers as they stand, so that integers are exact and raw values lose nothing;
// what is copied out of it is hung into the struct at once, so that an error anywhere ends in one dx_model_clear.
#include <math.h>

#include "base/memory.h"
#include "codec/text.h"
#include "model/bind.h"

// What the reader takes for its document: yyjson's values (16 bytes each, of at least two bytes of text) and a copy of the text.
#define SCRATCH_CAP(size) ((size_t)(1u << 20) + (size)*24)
#define EXACT             9007199254740992.0 // 2^53: up to here a double that is an integer is one integer only

_Static_assert(DX_MODEL_DEPTH_CAP == DX_JSON_DEPTH_CAP, "what is read nests as deep as what is written");

static bool read_struct(dx_bind *bind, const dx_model *model, void *out, yyjson_val *value, const dx_bind_step *step);

static void *take(dx_bind *bind, size_t count, size_t size, const dx_bind_step *step) {
    size_t bytes;
    bool fits = !__builtin_mul_overflow(count, size, &bytes) && bytes <= DX_MODEL_MEMORY_CAP - bind->taken;
    void *memory = fits ? dx_memory_zalloc(count, size) : NULL;
    if (memory) {
        bind->taken += bytes;
    } else {
        dx_bind_no_memory(bind, step);
    }
    return memory;
}

static char *copy(dx_bind *bind, dx_slice text, const dx_bind_step *step) {
    char *memory = take(bind, text.size + 1, 1, step);
    if (memory && text.size) memcpy(memory, text.data, text.size);
    return memory;
}

static bool wrong_type(dx_bind *bind, const dx_bind_step *step, const char *wanted, yyjson_val *value) {
    const char *found = yyjson_is_raw(value) ? "number" : dx_json_type_name(value);
    bool vowel = *found == 'a' || *found == 'o';
    const char *article = yyjson_is_null(value) ? "" : vowel ? "an " : "a ";
    return dx_bind_fail(bind, step, DX_ERROR_INVALID, "expected %s, found %s%s", wanted, article, found);
}

// --- numbers ---------------------------------------------------------------------------------------------------------------

static dx_slice number_text(yyjson_val *value) {
    return dx_slice_of(yyjson_get_raw(value), yyjson_get_len(value));
}

static bool read_double(dx_bind *bind, double *out, yyjson_val *value, const dx_bind_step *step) {
    if (!yyjson_is_raw(value)) return wrong_type(bind, step, "a number", value);
    yyjson_val number;
    if (!yyjson_read_number(yyjson_get_raw(value), &number, YYJSON_READ_NOFLAG, NULL, NULL))
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the number is too large for a double");
    *out = yyjson_get_num(&number);
    return true;
}

// An integer in another spelling, as 1.0 or 1e3: false (and an error) for what is none, or may not be exactly what was meant.
static bool read_spelled(dx_bind *bind, double *out, yyjson_val *value, const char *range, const dx_bind_step *step) {
    if (!read_double(bind, out, value, step)) return false;
    if (*out != trunc(*out)) return wrong_type(bind, step, "an integer", value);
    if (fabs(*out) < EXACT) return true;
    return dx_bind_fail(bind, step, DX_ERROR_INVALID, "%.60s is out of range: must be %s", yyjson_get_raw(value), range);
}

static bool read_signed(dx_bind *bind, int64_t *out, yyjson_val *value, int64_t least, int64_t most, const dx_bind_step *step) {
    if (!yyjson_is_raw(value)) return wrong_type(bind, step, "an integer", value);
    const char *range = most == INT64_MAX ? "an integer of 64 bits" : "an integer of 32 bits";
    int64_t number = 0;
    if (!dx_slice_to_i64(number_text(value), &number)) {
        double spelled = 0;
        if (!read_spelled(bind, &spelled, value, range, step)) return false;
        number = (int64_t)spelled;
    }
    if (number < least || number > most)
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "%.60s is out of range: must be %s", yyjson_get_raw(value), range);
    *out = number;
    return true;
}

static bool read_unsigned(dx_bind *bind, uint64_t *out, yyjson_val *value, const dx_bind_step *step) {
    static const char range[] = "an integer of 64 bits that is not negative";
    if (!yyjson_is_raw(value)) return wrong_type(bind, step, "an integer", value);
    if (dx_slice_to_u64(number_text(value), out)) return true;
    double spelled = 0;
    if (!read_spelled(bind, &spelled, value, range, step)) return false;
    if (spelled < 0) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "%.60s is out of range: must be %s", yyjson_get_raw(value), range);
    *out = (uint64_t)spelled;
    return true;
}

static bool read_int32(dx_bind *bind, int32_t *out, yyjson_val *value, const dx_bind_step *step) {
    int64_t number = 0;
    if (!read_signed(bind, &number, value, INT32_MIN, INT32_MAX, step)) return false;
    *out = (int32_t)number;
    return true;
}

// --- text ------------------------------------------------------------------------------------------------------------------

static bool read_string(dx_bind *bind, char **out, yyjson_val *value, const dx_bind_step *step) {
    if (!yyjson_is_str(value)) return wrong_type(bind, step, "a string", value);
    dx_slice text = dx_json_slice(value);
    if (text.size && memchr(text.data, '\0', text.size))
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the string has a NUL in it, which a C string cannot hold");
    *out = copy(bind, text, step);
    return *out != NULL;
}

static bool read_text(dx_bind *bind, char *out, size_t room, yyjson_val *value, const dx_bind_step *step) {
    if (!yyjson_is_str(value)) return wrong_type(bind, step, "a string", value);
    dx_slice text = dx_json_slice(value);
    if (text.size && memchr(text.data, '\0', text.size))
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the string has a NUL in it, which a C string cannot hold");
    if (text.size >= room) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the string is longer than %zu bytes", room - 1);
    if (text.size) memcpy(out, text.data, text.size);
    return true;
}

static bool read_sized(dx_bind *bind, char **out, size_t *count, yyjson_val *value, const dx_bind_step *step) {
    if (!yyjson_is_str(value)) return wrong_type(bind, step, "a string", value);
    *out = copy(bind, dx_json_slice(value), step);
    if (*out) *count = yyjson_get_len(value);
    return *out != NULL;
}

static bool read_bytes(dx_bind *bind, uint8_t **out, size_t *count, yyjson_val *value, const dx_bind_step *step) {
    if (!yyjson_is_str(value)) return wrong_type(bind, step, "a string", value);
    dx_slice text = dx_json_slice(value);
    *out = take(bind, text.size * 3 / 4 + 3, 1, step);
    if (*out == NULL) return false;
    if (!dx_base64_decode(*out, count, text, false)) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the string is not base64");
    return true;
}

static bool read_time(dx_bind *bind, int64_t *out, yyjson_val *value, const dx_bind_step *step) {
    if (!yyjson_is_str(value)) return wrong_type(bind, step, "a string", value);
    if (dx_time_read(dx_json_slice(value), out)) return true;
    return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the string is not a time as in 2026-01-31T12:00:00Z");
}

// --- values kept as text ---------------------------------------------------------------------------------------------------

static char *raw_text(dx_bind *bind, size_t *size, yyjson_val *value, const dx_bind_step *step) {
    dx_buffer_clear(&bind->text);
    dx_json_write_value(&bind->text, value);
    if (dx_buffer_status(&bind->text) != DX_OK) {
        dx_bind_no_memory(bind, step);
        return NULL;
    }
    *size = bind->text.size;
    return copy(bind, dx_buffer_slice(&bind->text), step);
}

// Room for one more item behind `count`; doubled where `count` is a power of two.
static bool grow(dx_bind *bind, void **items, size_t count, size_t size, const dx_bind_step *step) {
    if (count & (count - 1)) return true;
    size_t wanted = count ? count * 2 : 1, bytes;
    bool fits = !__builtin_mul_overflow(wanted, size, &bytes) && bytes <= DX_MODEL_MEMORY_CAP - bind->taken;
    void *memory = fits ? dx_memory_realloc(*items, bytes) : NULL;
    if (memory == NULL) return dx_bind_no_memory(bind, step);
    bind->taken += bytes - count * size;
    *items = memory;
    return true;
}

static bool keep(dx_bind *bind, dx_model_extra *extra, dx_slice name, yyjson_val *value, const dx_bind_step *step) {
    if (extra == NULL) return true;
    void *items = extra->items;
    bool grown = grow(bind, &items, extra->count, sizeof *extra->items, step);
    extra->items = items;
    if (!grown) return false;
    dx_model_raw *raw = &extra->items[extra->count++];
    *raw = (dx_model_raw){.name = copy(bind, name, step), .name_size = name.size};
    raw->json = raw->name ? raw_text(bind, &raw->json_size, value, step) : NULL;
    return raw->json != NULL;
}

static bool read_map(dx_bind *bind, dx_model_map *out, yyjson_val *value, const dx_bind_step *step) {
    if (!yyjson_is_obj(value)) return wrong_type(bind, step, "an object", value);
    out->items = take(bind, yyjson_obj_size(value), sizeof *out->items, step);
    if (out->items == NULL) return false;
    size_t i, count;
    yyjson_val *key, *item;
    yyjson_obj_foreach(value, i, count, key, item) {
        dx_slice name = dx_json_slice(key);
        dx_bind_step at = {step, name.data, name.size};
        if (!yyjson_is_str(item)) return wrong_type(bind, &at, "a string", item);
        dx_model_pair *pair = &out->items[out->count++];
        pair->name = copy(bind, name, &at);
        pair->name_size = name.size;
        pair->value = pair->name ? copy(bind, dx_json_slice(item), &at) : NULL;
        pair->value_size = yyjson_get_len(item);
        if (!pair->value) return false;
    }
    return true;
}

// --- members ---------------------------------------------------------------------------------------------------------------

// A place in the struct that is being read, and what stands around it.
typedef struct place {
    const dx_member *member;
    void *out; // the struct
    dx_model_extra *extra;
    dx_slice name;
} place;

static bool read_enum(dx_bind *bind, const place *p, int *out, yyjson_val *value, const dx_bind_step *step) {
    if (!yyjson_is_str(value)) return wrong_type(bind, step, "a string", value);
    dx_slice text = dx_json_slice(value);
    for (size_t i = 0; i < p->member->name_count; i++) {
        if (!dx_slice_equal(dx_slice_str(p->member->names[i].name), text)) continue;
        *out = p->member->names[i].value;
        return true;
    }
    if (bind->flags & DX_MODEL_STRICT)
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "\"%.*s\" is not a known value", (int)(text.size < 60 ? text.size : 60),
                            text.data);
    *out = DX_ENUM_UNKNOWN;
    return keep(bind, p->extra, p->name, value, step);
}

static bool read_pointer(dx_bind *bind, const dx_member *member, void **out, yyjson_val *value, const dx_bind_step *step) {
    *out = take(bind, 1, member->size, step);
    return *out && read_struct(bind, member->model(), *out, value, step);
}

static bool read_json(dx_bind *bind, char **out, yyjson_val *value, const dx_bind_step *step) {
    size_t size;
    *out = raw_text(bind, &size, value, step);
    return *out != NULL;
}

static bool read_bool(dx_bind *bind, bool *out, yyjson_val *value, const dx_bind_step *step) {
    if (!yyjson_is_bool(value)) return wrong_type(bind, step, "true or false", value);
    *out = yyjson_get_bool(value);
    return true;
}

// A member that is no array, or an element of one.
static bool read_value(dx_bind *bind, const place *p, void *at, yyjson_val *value, const dx_bind_step *step) {
    switch (dx_bind_kind(p->member)) {
    case DX_KIND_BOOL:
        return read_bool(bind, at, value, step);
    case DX_KIND_INT32:
        return read_int32(bind, at, value, step);
    case DX_KIND_INT64:
        return read_signed(bind, at, value, INT64_MIN, INT64_MAX, step);
    case DX_KIND_UINT64:
        return read_unsigned(bind, at, value, step);
    case DX_KIND_DOUBLE:
        return read_double(bind, at, value, step);
    case DX_KIND_STRING:
        return read_string(bind, at, value, step);
    case DX_KIND_TIME:
        return read_time(bind, at, value, step);
    case DX_KIND_JSON:
        return read_json(bind, at, value, step);
    case DX_KIND_MAP:
        return read_map(bind, at, value, step);
    case DX_KIND_TEXT:
        return read_text(bind, at, p->member->size, value, step);
    case DX_KIND_SIZED:
        return read_sized(bind, at, dx_bind_at(p->out, p->member->count), value, step);
    case DX_KIND_BYTES:
        return read_bytes(bind, at, dx_bind_at(p->out, p->member->count), value, step);
    case DX_KIND_ENUM:
        return read_enum(bind, p, at, value, step);
    case DX_KIND_STRUCT:
        return read_struct(bind, p->member->model(), at, value, step);
    case DX_KIND_POINTER:
        return read_pointer(bind, p->member, at, value, step);
    default:
        return dx_bind_fail(bind, step, DX_ERROR_INVALID, "the model's table has a member of no known kind");
    }
}

static bool read_array(dx_bind *bind, const place *p, yyjson_val *value, const dx_bind_step *step) {
    if (!yyjson_is_arr(value)) return wrong_type(bind, step, "an array", value);
    char *items = take(bind, yyjson_arr_size(value), p->member->size, step);
    if (items == NULL) return false;
    *(char **)dx_bind_at(p->out, p->member->offset) = items;
    *(size_t *)dx_bind_at(p->out, p->member->count) = yyjson_arr_size(value);
    size_t i, count;
    yyjson_val *item;
    yyjson_arr_foreach(value, i, count, item) {
        dx_bind_step at = {step, NULL, i};
        if (!read_value(bind, p, items + i * p->member->size, item, &at)) return false;
    }
    return true;
}

static bool read_member(dx_bind *bind, const place *p, yyjson_val *value, const dx_bind_step *step) {
    const dx_member *member = p->member;
    if (yyjson_is_null(value) && member->kind != DX_KIND_JSON) {
        if (member->how.flags & DX_MEMBER_IS_REQUIRED) return dx_bind_fail(bind, step, DX_ERROR_INVALID, "must not be null");
        return keep(bind, p->extra, p->name, value, step); // absent, but written back as it came
    }
    if (member->how.flags & DX_MEMBER_HAS_FLAG) *(bool *)dx_bind_at(p->out, member->how.has) = true;
    if (member->kind & DX_KIND_ARRAY) return read_array(bind, p, value, step);
    return read_value(bind, p, dx_bind_at(p->out, member->offset), value, step);
}

typedef struct seen {
    uint64_t bits[DX_MODEL_MEMBERS_CAP / 64];
} seen;

static bool check_required(dx_bind *bind, const dx_model *model, const seen *met, const dx_bind_step *step) {
    for (size_t i = 0; i < model->count; i++) {
        if (!(model->members[i].how.flags & DX_MEMBER_IS_REQUIRED) || (met->bits[i / 64] >> (i % 64) & 1)) continue;
        char space[2 * DX_MODEL_NAME_CAP];
        dx_slice name = dx_bind_name(space, model, &model->members[i]);
        dx_bind_step at = {step, name.data, name.size};
        return dx_bind_fail(bind, &at, DX_ERROR_INVALID, "is required");
    }
    return true;
}

static bool read_struct(dx_bind *bind, const dx_model *model, void *out, yyjson_val *value, const dx_bind_step *step) {
    if (!yyjson_is_obj(value)) return wrong_type(bind, step, "an object", value);
    if (!dx_bind_check(bind, model, step)) return false;
    seen met = {{0}};
    size_t hint = 0, i, count;
    yyjson_val *key, *item;
    place p = {.out = out, .extra = dx_bind_extra(model, out)};
    yyjson_obj_foreach(value, i, count, key, item) {
        p.name = dx_json_slice(key);
        dx_bind_step at = {step, p.name.data, p.name.size};
        p.member = dx_bind_find(model, p.name, &hint);
        if (p.member == NULL) {
            if (bind->flags & DX_MODEL_STRICT) return dx_bind_fail(bind, &at, DX_ERROR_INVALID, "is not a known member");
            if (!keep(bind, p.extra, p.name, item, &at)) return false;
            continue;
        }
        size_t index = (size_t)(p.member - model->members);
        met.bits[index / 64] |= (uint64_t)1 << (index % 64);
        if (!read_member(bind, &p, item, &at)) return false;
    }
    return check_required(bind, model, &met, step);
}

// --- the whole -------------------------------------------------------------------------------------------------------------

static void not_json(dx_bind *bind, const dx_diags *diags) {
    const dx_diag *diag = diags->first;
    if (diag == NULL) {
        dx_bind_fail(bind, NULL, DX_ERROR_MALFORMED, "not valid JSON");
        return;
    }
    dx_bind_fail(bind, NULL, DX_ERROR_MALFORMED, "%.*s", DX_SLICE_ARG(diag->message));
    if (bind->error == NULL) return;
    size_t size = diag->pointer.size < sizeof bind->error->pointer ? diag->pointer.size : sizeof bind->error->pointer - 1;
    if (size) memcpy(bind->error->pointer, diag->pointer.data, size);
    bind->error->pointer[size] = '\0';
    bind->error->line = diag->line;
    bind->error->column = diag->column;
}

static yyjson_val *read_document(dx_bind *bind, const char *text, size_t size) {
    if (size > DX_MODEL_TEXT_CAP) {
        dx_bind_fail(bind, NULL, DX_ERROR_INVALID, "the text is larger than %zu bytes", DX_MODEL_TEXT_CAP);
        return NULL;
    }
    bind->scratch = dx_arena_create(SCRATCH_CAP(size));
    dx_diags diags;
    dx_diags_init(&diags, bind->scratch);
    const dx_json_options options = {.numbers_as_text = true};
    yyjson_doc *doc = NULL;
    dx_status status = bind->scratch ? dx_json_read(&doc, bind->scratch, dx_slice_of(text, size), &options, &diags) : DX_NO_MEMORY;
    if (status == DX_NO_MEMORY) dx_bind_no_memory(bind, NULL);
    if (status != DX_OK && status != DX_NO_MEMORY) not_json(bind, &diags);
    return yyjson_doc_get_root(doc);
}

static dx_error_code finish(dx_bind *bind) {
    dx_buffer_deinit(&bind->text);
    dx_arena_destroy(bind->scratch);
    return bind->code;
}

dx_error_code dx_model_from_json(void *out, const dx_model *model, const char *text, size_t size, unsigned flags, dx_error *error) {
    dx_bind bind;
    dx_bind_start(&bind, flags, error);
    if (!dx_bind_check(&bind, model, NULL)) return bind.code; // its size is not to be trusted either
    memset(out, 0, model->size);
    yyjson_val *root = read_document(&bind, text, size);
    if (root && !read_struct(&bind, model, out, root, NULL)) dx_model_clear(model, out);
    return finish(&bind);
}

static bool read_list(dx_bind *bind, void **items, size_t *count, const dx_model *model, yyjson_val *root) {
    if (!yyjson_is_arr(root)) return wrong_type(bind, NULL, "an array", root);
    *items = take(bind, yyjson_arr_size(root), model->size, NULL);
    if (*items == NULL) return false;
    *count = yyjson_arr_size(root);
    size_t i, max;
    yyjson_val *item;
    yyjson_arr_foreach(root, i, max, item) {
        dx_bind_step at = {NULL, NULL, i};
        if (!read_struct(bind, model, (char *)*items + i * model->size, item, &at)) return false;
    }
    return true;
}

dx_error_code dx_model_array_from_json(void **items, size_t *count, const dx_model *model, const char *text, size_t size, unsigned flags,
                                       dx_error *error) {
    dx_bind bind;
    dx_bind_start(&bind, flags, error);
    *items = NULL;
    *count = 0;
    if (!dx_bind_check(&bind, model, NULL)) return bind.code;
    yyjson_val *root = read_document(&bind, text, size);
    if (root && !read_list(&bind, items, count, model, root)) {
        dx_model_clear_array(model, *items, *count);
        *items = NULL;
        *count = 0;
    }
    return finish(&bind);
}
