// Binding. The path of a good body is short: one pass over its members finds the fields (usually in the model's order, so a comparison
// with the next name does), the schema runs over the body where it lies, and one pass binds. Only when the instance must differ from the
// body (a default is filled in, a member is left out) is it spliced anew, by copying yyjson's values, which are flat and position-free.
#include "resource/bind.h"

#include "codec/text.h"

#define JSON_COLUMN_CAP (16u << 20)

// --- one value -------------------------------------------------------------------------------------------------------------

static dx_status refuse(const char **reason, const char *why) {
    *reason = why;
    return DX_INVALID;
}

// 1.0 is an integer in JSON Schema. 2^63 is the first double past the range; -2^63 is in it.
static bool integral(double real, int64_t *out) {
    if (!(real >= -0x1p63 && real < 0x1p63)) return false;
    *out = (int64_t)real;
    return (double)*out == real;
}

static dx_status bind_integer(dx_value *out, yyjson_val *value, const char **reason) {
    int64_t number = 0;
    if (yyjson_is_sint(value)) {
        number = yyjson_get_sint(value);
    } else if (yyjson_is_uint(value) && yyjson_get_uint(value) <= INT64_MAX) {
        number = (int64_t)yyjson_get_uint(value);
    } else if (!yyjson_is_num(value)) {
        return refuse(reason, "expected an integer");
    } else if (!yyjson_is_real(value) || !integral(yyjson_get_real(value), &number)) {
        return refuse(reason, "expected an integer of 64 bits (-9223372036854775808 to 9223372036854775807)");
    }
    *out = DX_INT_VALUE(number);
    return DX_OK;
}

static dx_status bind_number(dx_value *out, yyjson_val *value, const char **reason) {
    if (!yyjson_is_real(value)) {
        dx_status status = bind_integer(out, value, reason);
        return status == DX_INVALID && !yyjson_is_num(value) ? refuse(reason, "expected a number") : status;
    }
    *out = DX_REAL_VALUE(yyjson_get_real(value));
    return DX_OK;
}

static dx_status bind_text(dx_value *out, yyjson_val *value, const char **reason) {
    if (!yyjson_is_str(value)) return refuse(reason, "expected a string");
    dx_slice text = dx_json_slice(value);
    if (text.size && memchr(text.data, 0, text.size)) return refuse(reason, "must not contain the character U+0000");
    *out = DX_TEXT_VALUE(text);
    return DX_OK;
}

static dx_status bind_timestamp(dx_value *out, yyjson_val *value, const char **reason) {
    dx_micros_utc time;
    if (!yyjson_is_str(value) || !dx_time_read(dx_json_slice(value), &time)) {
        return refuse(reason, "expected a date-time such as \"2026-01-31T12:00:00Z\"");
    }
    *out = DX_INT_VALUE(time);
    return DX_OK;
}

static dx_status bind_json(dx_value *out, dx_arena *arena, yyjson_val *value, const char **reason) {
    dx_buffer text;
    dx_buffer_init(&text, arena, JSON_COLUMN_CAP);
    dx_json_write_value(&text, value);
    if (dx_buffer_status(&text) == DX_TOO_LARGE) return refuse(reason, "is too large");
    *out = DX_TEXT_VALUE(dx_buffer_slice(&text));
    return dx_buffer_status(&text);
}

dx_status dx_resource_bind(dx_value *out, dx_arena *arena, dx_column_type type, yyjson_val *value, const char **reason) {
    *out = DX_NULL_VALUE;
    if (yyjson_is_null(value)) return DX_OK;
    switch (type) {
    case DX_COLUMN_BOOLEAN:
        if (!yyjson_is_bool(value)) return refuse(reason, "expected true or false");
        *out = DX_BOOL_VALUE(yyjson_get_bool(value));
        return DX_OK;
    case DX_COLUMN_INTEGER:
        return bind_integer(out, value, reason);
    case DX_COLUMN_NUMBER:
        return bind_number(out, value, reason);
    case DX_COLUMN_TIMESTAMP:
        return bind_timestamp(out, value, reason);
    case DX_COLUMN_JSON:
        return bind_json(out, arena, value, reason);
    case DX_COLUMN_TEXT:
    case DX_COLUMN_BLOB:
        break;
    }
    return bind_text(out, value, reason);
}

bool dx_bind_same(dx_value a, dx_value b) {
    if (a.type == DX_VALUE_NULL || b.type == DX_VALUE_NULL) return a.type == b.type;
    bool a_text = a.type == DX_VALUE_TEXT || a.type == DX_VALUE_BLOB, b_text = b.type == DX_VALUE_TEXT || b.type == DX_VALUE_BLOB;
    if (a_text || b_text) return a_text && b_text && dx_slice_equal(a.text, b.text);
    bool a_real = a.type == DX_VALUE_REAL, b_real = b.type == DX_VALUE_REAL;
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): -0.0 and 0.0 are told apart
    if (a_real && b_real) return memcmp(&a.real, &b.real, sizeof a.real) == 0;
    if (!a_real && !b_real) return a.integer == b.integer;
    int64_t number;
    double real = a_real ? a.real : b.real;
    return integral(real, &number) && number == (a_real ? b.integer : a.integer);
}

// --- trees -----------------------------------------------------------------------------------------------------------------

// Bytes that a value takes in yyjson's flat layout, with all that is in it.
static size_t span_of(yyjson_val *value) {
    return (size_t)((char *)unsafe_yyjson_get_next(value) - (char *)value);
}

// An object of the fields that `given` has, in their order.
static yyjson_val *splice(const dx_binder *binder, yyjson_val *const *given, dx_arena *arena) {
    size_t bytes = sizeof(yyjson_val), members = 0;
    for (uint16_t f = 0; f < binder->resource->field_count; f++) {
        if (!given[f]) continue;
        bytes += sizeof(yyjson_val) + span_of(given[f]);
        members++;
    }
    yyjson_val *object = dx_arena_alloc(arena, bytes);
    if (!object) return NULL;
    object->tag = 0;
    unsafe_yyjson_set_type(object, YYJSON_TYPE_OBJ, YYJSON_SUBTYPE_NONE);
    unsafe_yyjson_set_len(object, members);
    object->uni.ofs = bytes;
    char *to = (char *)(object + 1);
    for (uint16_t f = 0; f < binder->resource->field_count; f++) {
        if (!given[f]) continue;
        size_t span = span_of(given[f]);
        memcpy(to, &binder->fields[f].key, sizeof(yyjson_val));
        memcpy(to + sizeof(yyjson_val), given[f], span);
        to += sizeof(yyjson_val) + span;
    }
    return object;
}

static bool set_time(yyjson_val *to, dx_micros_utc time, dx_arena *arena) {
    char *text = dx_arena_bytes(arena, DX_TIME_TEXT_CAP);
    return text && yyjson_set_strn(to, text, dx_time_write(text, time));
}

static bool set_scalar(yyjson_val *to, dx_column_type type, dx_value value, dx_arena *arena) {
    switch (value.type) {
    case DX_VALUE_NULL:
        return yyjson_set_null(to);
    case DX_VALUE_REAL:
        return yyjson_set_real(to, value.real);
    case DX_VALUE_TEXT:
    case DX_VALUE_BLOB:
        return yyjson_set_strn(to, value.text.size ? value.text.data : "", value.text.size);
    case DX_VALUE_BOOLEAN:
    case DX_VALUE_INTEGER:
        break;
    }
    if (type == DX_COLUMN_TIMESTAMP) return set_time(to, value.integer, arena);
    if (type == DX_COLUMN_BOOLEAN) return yyjson_set_bool(to, value.integer != 0);
    return value.integer < 0 ? yyjson_set_sint(to, value.integer) : yyjson_set_uint(to, (uint64_t)value.integer);
}

// A stored value as a tree; NULL without memory.
static yyjson_val *stored(dx_column_type type, dx_value value, dx_arena *arena) {
    if (type == DX_COLUMN_JSON && value.type == DX_VALUE_TEXT) {
        yyjson_doc *doc = NULL;
        static const dx_json_options options = {.depth_cap = 2 * DX_JSON_DEPTH_CAP, .allow_duplicates = true};
        return dx_json_read(&doc, arena, value.text, &options, NULL) == DX_OK ? yyjson_doc_get_root(doc) : NULL;
    }
    yyjson_val *tree = DX_ARENA_NEW(arena, yyjson_val);
    return tree && set_scalar(tree, type, value, arena) ? tree : NULL;
}

yyjson_val *dx_bind_target(const dx_binder *binder, const dx_value *current, bool write_only, dx_arena *arena) {
    const dx_resource *resource = binder->resource;
    yyjson_val **given = DX_ARENA_ARRAY(arena, yyjson_val *, resource->field_count);
    if (!given) return NULL;
    for (uint16_t f = 0; f < resource->field_count; f++) {
        const dx_resource_field *field = &resource->fields[f];
        if (field->write_only && !write_only) continue;
        given[f] = stored(field->type, current[field->column], arena);
        if (!given[f]) return NULL;
    }
    return splice(binder, given, arena);
}

static bool is_own(const dx_resource *resource, const dx_resource_field *field) {
    int column = field->column;
    return column == 0 || column == resource->owner_column || column == resource->created_column || column == resource->updated_column ||
           !field->schema;
}

dx_status dx_binder_init(dx_binder *out, const dx_resource *resource, dx_arena *arena) {
    dx_binder_field *fields = DX_ARENA_ARRAY(arena, dx_binder_field, resource->field_count);
    if (!fields) return DX_NO_MEMORY;
    for (uint16_t f = 0; f < resource->field_count; f++) {
        const dx_resource_field *field = &resource->fields[f];
        yyjson_set_strn(&fields[f].key, field->name.data, field->name.size);
        fields[f].fallback = field->default_value;
        fields[f].own = is_own(resource, field);
    }
    *out = (dx_binder){.resource = resource, .fields = fields};
    return DX_OK;
}

// --- a row -----------------------------------------------------------------------------------------------------------------

typedef struct binding {
    const dx_bind *bind;
    const dx_resource *resource;
    yyjson_val **given; // by field: what the instance has for it
    bool reshaped;      // the instance is not the body
    bool refused;
    bool starved; // no memory
} binding;

// What no finding is kept of costs nothing: a body can have a hundred thousand wrong names.
static bool is_told_enough(const binding *run) {
    return run->bind->findings->count >= run->bind->findings->cap;
}

DX_COLD static dx_diag *complain(binding *run, dx_slice name, const char *message) {
    run->refused = true;
    if (is_told_enough(run)) return dx_diags_add(run->bind->findings, DX_INVALID, name, "%s", message); // counted
    dx_slice pointer = dx_json_pointer_join(run->bind->arena, run->bind->at, name);
    if (!pointer.data) run->starved = true;
    return dx_diags_add(run->bind->findings, DX_INVALID, pointer, "%s", message);
}

DX_COLD static void complain_unknown(binding *run, dx_slice name) {
    dx_slice near = is_told_enough(run) ? (dx_slice){NULL, 0} : dx_map_nearest(&run->resource->field_names, name);
    dx_slice hint = {NULL, 0};
    if (near.size) hint = dx_arena_printf(run->bind->arena, "is not a known field; did you mean \"%.*s\"?", DX_SLICE_ARG(near));
    dx_diag *finding = complain(run, name, hint.data ? hint.data : "is not a known field");
    if (finding) finding->suggestion = near;
}

// The field of a name; `*next` is where it probably stands.
static int field_of(const dx_resource *resource, dx_slice name, uint16_t *next) {
    const dx_resource_field *field = *next < resource->field_count ? &resource->fields[*next] : NULL;
    if (!field || !dx_slice_equal(field->name, name)) {
        field = dx_map_get(&resource->field_names, name);
        if (!field) return -1;
    }
    int at = (int)(field - resource->fields);
    *next = (uint16_t)(at + 1);
    return at;
}

static void scatter(binding *run, yyjson_val *body) {
    uint16_t next = 1; // behind the id, which bodies rarely have
    yyjson_obj_iter members;
    yyjson_obj_iter_init(body, &members);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&members));) {
        dx_slice name = dx_json_slice(key);
        int at = field_of(run->resource, name, &next);
        if (at < 0) {
            complain_unknown(run, name);
            run->reshaped = true;
        } else {
            run->given[at] = yyjson_obj_iter_get_val(key);
        }
    }
}

static void put(binding *run, uint16_t at, yyjson_val *value) {
    if (run->given[at] == value) return;
    run->given[at] = value;
    run->reshaped = true;
}

// The value as it is now; nothing where it is NULL and the schema would not take a null.
static yyjson_val *kept(binding *run, const dx_resource_field *field) {
    dx_value value = run->bind->current[field->column];
    if (value.type == DX_VALUE_NULL && !field->nullable) return NULL;
    yyjson_val *tree = stored(field->type, value, run->bind->arena);
    if (!tree) run->starved = true;
    return tree;
}

static bool says_what_is(binding *run, const dx_resource_field *field, yyjson_val *given) {
    dx_value value;
    const char *reason;
    if (!run->bind->current) return false;
    if (dx_resource_bind(&value, run->bind->arena, field->type, given, &reason) != DX_OK) return false;
    return dx_bind_same(value, run->bind->current[field->column]);
}

static void settle_read_only(binding *run, uint16_t at) {
    const dx_resource_field *field = &run->resource->fields[at];
    yyjson_val *given = run->given[at];
    bool change = run->bind->mode >= DX_BIND_MERGE;
    if (given ? !says_what_is(run, field, given) : change && !field->write_only) complain(run, field->name, "is read-only");
    if (run->bind->binder->fields[at].own) {
        put(run, at, NULL);
    } else {
        put(run, at, run->bind->current ? kept(run, field) : run->bind->binder->fields[at].fallback);
    }
}

static void settle(binding *run, uint16_t at) {
    const dx_resource_field *field = &run->resource->fields[at];
    yyjson_val *given = run->given[at];
    if (field->read_only) {
        settle_read_only(run, at);
    } else if (given) {
        if (yyjson_is_null(given) && !field->nullable && !field->required) put(run, at, NULL);
    } else if (run->bind->mode <= DX_BIND_REPLACE) {
        put(run, at, run->bind->binder->fields[at].fallback);
    } else if (run->bind->mode == DX_BIND_PATCH && field->write_only) {
        put(run, at, kept(run, field));
    }
}

// The schema's findings, told from where the body stands in the request.
static void forward(binding *run, const dx_diags *found) {
    dx_slice at = run->bind->at;
    for (const dx_diag *from = found->first; from; from = from->next) {
        dx_slice pointer = from->pointer;
        if (at.size) pointer = dx_arena_printf(run->bind->arena, "%.*s%.*s", DX_SLICE_ARG(at), DX_SLICE_ARG(from->pointer));
        dx_diag *finding = dx_diags_add(run->bind->findings, from->status, pointer, "%.*s", DX_SLICE_ARG(from->message));
        if (finding) finding->suggestion = from->suggestion;
    }
    run->refused = true;
}

static dx_status validate(binding *run, yyjson_val *body) {
    dx_arena *arena = run->bind->arena;
    yyjson_val *instance = run->reshaped ? splice(run->bind->binder, run->given, arena) : body;
    if (!instance) return DX_NO_MEMORY;
    dx_diags found;
    dx_diags_init(&found, arena);
    dx_status status = dx_schema_validate(run->resource->schema, instance, arena, NULL, &found);
    if (status != DX_INVALID) return status;
    forward(run, &found);
    return DX_OK;
}

// A reference to a UUID is kept as the target keeps its ids: in lower case. What is no UUID at all leads nowhere, which the store says.
static void fold_reference(const binding *run, const dx_resource_field *field, dx_value *value) {
    dx_value folded;
    if (!field->target || value->type != DX_VALUE_TEXT) return;
    if (dx_resource_id_read(field->target, run->bind->arena, value->text, &folded)) *value = folded;
}

static dx_status fill(binding *run, dx_value *values) {
    const dx_bind *bind = run->bind;
    size_t size = run->resource->table.column_count * sizeof *values;
    if (bind->current) {
        memcpy(values, bind->current, size);
    } else {
        memset(values, 0, size); // DX_VALUE_NULL is 0
    }
    for (uint16_t f = 0; f < run->resource->field_count; f++) {
        const dx_resource_field *field = &run->resource->fields[f];
        if (bind->binder->fields[f].own) continue;
        dx_value *value = &values[field->column];
        *value = DX_NULL_VALUE;
        if (!run->given[f]) continue;
        const char *reason = NULL;
        dx_status status = dx_resource_bind(value, bind->arena, field->type, run->given[f], &reason);
        if (status == DX_INVALID) {
            complain(run, field->name, reason);
        } else if (status != DX_OK) {
            return status;
        }
        fold_reference(run, field, value);
    }
    return DX_OK;
}

dx_status dx_bind_row(const dx_bind *bind, yyjson_val *body, dx_value *values) {
    const dx_resource *resource = bind->binder->resource;
    if (!yyjson_is_obj(body)) {
        dx_diags_add(bind->findings, DX_INVALID, bind->at, "expected an object, found %s", dx_json_type_name(body));
        return DX_INVALID;
    }
    binding run = {.bind = bind, .resource = resource};
    run.given = DX_ARENA_ARRAY(bind->arena, yyjson_val *, resource->field_count);
    if (!run.given) return DX_NO_MEMORY;
    scatter(&run, body);
    for (uint16_t f = 0; f < resource->field_count; f++) settle(&run, f);
    dx_status status = run.starved ? DX_NO_MEMORY : validate(&run, body);
    if (status == DX_OK && !run.refused) status = fill(&run, values);
    if (status != DX_OK) return status;
    return run.starved ? DX_NO_MEMORY : run.refused ? DX_INVALID : DX_OK;
}
