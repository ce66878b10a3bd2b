// Reading YAML: libyaml's events become yyjson's flat array of values, in the order of the text, as if yyjson had read it. In that array a
// value's size is relative, so an alias is a copy of the anchor's stretch: no tree is walked, and what it will cost is known before.
#include <yaml.h>

#include "base/map.h"
#include "codec/yaml_internal.h"

typedef struct place {
    uint32_t line, column; // libyaml's: from 0, in characters
} place;

typedef struct anchor {
    size_t at, count; // its stretch of the array; a count of 0: still open
    size_t height;    // levels of containers in it
} anchor;

typedef struct level {
    size_t at;       // the container's place in the array
    size_t children; // names and values so far
    size_t height;   // of the highest child
    anchor *anchor;
    bool mapping;
} level;

typedef struct reader {
    dx_arena *arena;
    dx_slice text;
    dx_diags *diags;
    yyjson_val *values;
    place *places; // of each value
    size_t count, capacity;
    size_t from_aliases;
    dx_map anchors;
    size_t depth, depth_cap;
    bool allow_duplicates;
    dx_status status;
    level levels[DX_JSON_DEPTH_MAX];
} reader;

// --- where ------------------------------------------------------------------------------------------------------------------

// The size of the line break at `at` as libyaml counts them, or 0: CR LF, CR, LF, NEL, LS, PS.
static size_t line_break(dx_slice text, size_t at) {
    dx_slice rest = dx_slice_from(text, at);
    if (dx_slice_starts(rest, DX_SLICE("\r\n")) || dx_slice_starts(rest, DX_SLICE("\xc2\x85"))) return 2;
    if (dx_slice_starts(rest, DX_SLICE("\xe2\x80\xa8")) || dx_slice_starts(rest, DX_SLICE("\xe2\x80\xa9"))) return 3;
    return rest.size && (rest.data[0] == '\r' || rest.data[0] == '\n');
}

// A column in bytes from one in characters.
static uint32_t column_in_bytes(dx_slice text, place where) {
    size_t at = 0, size;
    for (uint32_t line = 0; line < where.line && at < text.size;) {
        size = line_break(text, at);
        line += size > 0;
        at += size ? size : 1;
    }
    size_t start = at;
    for (uint32_t i = 0; i < where.column && at < text.size; i++) {
        at++;
        while (at < text.size && ((unsigned char)text.data[at] & 0xc0) == 0x80) at++;
    }
    return (uint32_t)(at - start) + 1;
}

static place place_of(yaml_mark_t mark) {
    return (place){(uint32_t)mark.line, (uint32_t)mark.column};
}

// What libyaml's reader refuses has an offset in bytes alone.
static place place_at(dx_slice text, size_t offset) {
    place where = {0, 0};
    for (size_t at = 0, size; at < offset && at < text.size; at += size ? size : 1) {
        size = line_break(text, at);
        where.line += size > 0;
        where.column = size ? 0 : where.column + (((unsigned char)text.data[at] & 0xc0) != 0x80);
    }
    return where;
}

static DX_COLD void refuse(reader *r, place where, const char *format, ...) DX_PRINTF(3, 4);
static DX_COLD void refuse(reader *r, place where, const char *format, ...) {
    va_list args;
    if (r->status != DX_OK) return;
    r->status = DX_MALFORMED;
    if (!r->diags) return;
    va_start(args, format);
    dx_slice message = dx_arena_vprintf(r->arena, format, args);
    va_end(args);
    dx_diag *diag = dx_diags_add(r->diags, DX_MALFORMED, DX_SLICE(""), "not valid YAML: %.*s", DX_SLICE_ARG(message));
    if (!diag) return;
    diag->line = where.line + 1;
    diag->column = column_in_bytes(r->text, where);
}

static DX_COLD void refuse_syntax(reader *r, const yaml_parser_t *parser) {
    if (parser->error == YAML_MEMORY_ERROR) {
        r->status = DX_NO_MEMORY;
        return;
    }
    const char *problem = parser->problem ? parser->problem : "it can't be understood", *context = parser->context;
    place where = place_of(parser->problem_mark);
    if (parser->error == YAML_READER_ERROR) where = place_at(r->text, parser->problem_offset);
    refuse(r, where, "%s%s%s", context ? context : "", context ? ", " : "", problem);
}

// --- the array --------------------------------------------------------------------------------------------------------------

static bool reserve(reader *r, size_t more) {
    if (r->capacity - r->count >= more) return true;
    size_t capacity = r->capacity ? r->capacity * 2 : 64;
    while (capacity - r->count < more) capacity *= 2;
    yyjson_val *values = dx_arena_realloc(r->arena, r->values, r->capacity * sizeof *values, capacity * sizeof *values);
    if (values) r->values = values;
    place *places = values ? dx_arena_realloc(r->arena, r->places, r->capacity * sizeof *places, capacity * sizeof *places) : NULL;
    if (!places) {
        r->status = DX_NO_MEMORY;
        return false;
    }
    r->places = places;
    r->capacity = capacity;
    return true;
}

static yyjson_val *add_value(reader *r, place where) {
    if (!reserve(r, 1)) return NULL;
    r->places[r->count] = where;
    return &r->values[r->count++];
}

// True when the next child of the innermost level is the name of a member.
static bool wants_name(const reader *r) {
    return r->depth && r->levels[r->depth - 1].mapping && r->levels[r->depth - 1].children % 2 == 0;
}

// A child of the innermost level is complete.
static void count_child(reader *r, size_t height) {
    if (!r->depth) return;
    level *around = &r->levels[r->depth - 1];
    around->children++;
    if (height > around->height) around->height = height;
}

static bool same(const yyjson_val *a, const yyjson_val *b) {
    return dx_slice_equal(dx_json_slice(a), dx_json_slice(b));
}

static void refuse_twice(reader *r, const yyjson_val *name) {
    dx_slice text = dx_json_slice(name);
    refuse(r, r->places[name - r->values], "the name \"%.*s\" stands twice in one mapping", (int)(text.size < 100 ? text.size : 100),
           text.data);
}

static void check_few_names(reader *r, yyjson_val *name, size_t count) {
    const yyjson_val *names[16];
    for (size_t i = 0; i < count; i++, name = unsafe_yyjson_get_next(name + 1)) {
        for (size_t j = 0; j < i; j++)
            if (same(names[j], name)) {
                refuse_twice(r, name);
                return;
            }
        names[i] = name;
    }
}

static void check_many_names(reader *r, yyjson_val *name, size_t count) {
    dx_map seen;
    dx_map_init(&seen, NULL);
    for (size_t i = 0; i < count && r->status == DX_OK; i++, name = unsafe_yyjson_get_next(name + 1)) {
        if (dx_map_get(&seen, dx_json_slice(name)))
            refuse_twice(r, name);
        else
            r->status = dx_map_put(&seen, dx_json_slice(name), name);
    }
    dx_map_deinit(&seen);
}

// --- anchors and aliases ----------------------------------------------------------------------------------------------------

static anchor *open_anchor(reader *r, const yaml_char_t *name, place where) {
    if (!name || r->status != DX_OK) return NULL;
    if (r->anchors.count >= DX_YAML_ANCHORS_CAP) {
        refuse(r, where, "more than %u anchors", DX_YAML_ANCHORS_CAP);
        return NULL;
    }
    anchor *made = DX_ARENA_NEW(r->arena, anchor);
    dx_slice key = dx_arena_copy(r->arena, dx_slice_str((const char *)name));
    if (!made || !key.data || dx_map_put(&r->anchors, key, made) != DX_OK) {
        r->status = DX_NO_MEMORY;
        return NULL;
    }
    made->at = r->count;
    return made;
}

static void read_alias(reader *r, const yaml_event_t *event) {
    place where = place_of(event->start_mark);
    dx_slice name = dx_slice_str((const char *)event->data.alias.anchor);
    const anchor *from = dx_map_get(&r->anchors, name);
    if (!from) {
        refuse(r, where, "there is no anchor \"%.*s\" before this", DX_SLICE_ARG(name));
    } else if (!from->count) {
        refuse(r, where, "the alias \"%.*s\" stands inside of what it means", DX_SLICE_ARG(name));
    } else if (wants_name(r) && !yyjson_is_str(&r->values[from->at])) {
        refuse(r, where, "expected a string as the name of a member");
    } else if (from->count > DX_YAML_ALIAS_CAP - r->from_aliases) {
        refuse(r, where, "aliases stand for more than %u values", DX_YAML_ALIAS_CAP);
    } else if (r->depth + from->height > r->depth_cap) {
        refuse(r, where, "nested deeper than %zu levels", r->depth_cap);
    } else if (reserve(r, from->count)) {
        memcpy(&r->values[r->count], &r->values[from->at], from->count * sizeof *r->values);
        for (size_t i = 0; i < from->count; i++) r->places[r->count + i] = where;
        r->count += from->count;
        r->from_aliases += from->count;
        count_child(r, from->height);
    }
}

// --- scalars ----------------------------------------------------------------------------------------------------------------

#define CORE "tag:yaml.org,2002:"

static bool tag_is(const yaml_char_t *tag, const char *name) {
    return tag && strcmp((const char *)tag, name) == 0;
}

static void set_string(reader *r, yyjson_val *value, dx_slice text) {
    dx_slice copy = dx_arena_copy(r->arena, text);
    if (copy.data)
        unsafe_yyjson_set_strn(value, copy.data, copy.size);
    else
        r->status = DX_NO_MEMORY;
}

static void set_number(reader *r, yyjson_val *value, dx_yaml_kind kind, dx_slice text, place where) {
    dx_status status = dx_yaml_number(value, r->arena, kind, text);
    if (status == DX_INVALID)
        refuse(r, where, "the number is too large");
    else if (status != DX_OK)
        r->status = status;
}

static void set_by_kind(reader *r, yyjson_val *value, dx_yaml_kind kind, dx_slice text, place where) {
    switch (kind) {
    case DX_YAML_STRING:
        set_string(r, value, text);
        return;
    case DX_YAML_NULL:
        unsafe_yyjson_set_null(value);
        return;
    case DX_YAML_TRUE:
    case DX_YAML_FALSE:
        unsafe_yyjson_set_bool(value, kind == DX_YAML_TRUE);
        return;
    case DX_YAML_NOT_FINITE:
        refuse(r, where, "JSON has no infinities and no NaN");
        return;
    default:
        set_number(r, value, kind, text, where);
    }
}

// A tag of the core schema asks for a kind; another that the text does not have is refused.
static bool tag_takes(const yaml_char_t *tag, dx_yaml_kind kind) {
    bool integer = kind == DX_YAML_INTEGER || kind == DX_YAML_OCTAL || kind == DX_YAML_HEXADECIMAL;
    if (tag_is(tag, CORE "null")) return kind == DX_YAML_NULL;
    if (tag_is(tag, CORE "bool")) return kind == DX_YAML_TRUE || kind == DX_YAML_FALSE;
    if (tag_is(tag, CORE "int")) return integer;
    return tag_is(tag, CORE "float") && (integer || kind == DX_YAML_REAL || kind == DX_YAML_NOT_FINITE);
}

static void set_scalar(reader *r, yyjson_val *value, const yaml_event_t *event, dx_slice text, place where) {
    const yaml_char_t *tag = event->data.scalar.tag;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    dx_yaml_kind kind = dx_yaml_kind_of(text);
    if (!tag)
        set_by_kind(r, value, plain ? kind : DX_YAML_STRING, text, where);
    else if (tag_is(tag, CORE "str") || tag_is(tag, "!"))
        set_string(r, value, text);
    else if (tag_takes(tag, kind))
        set_by_kind(r, value, kind, text, where);
    else
        refuse(r, where, "the tag \"%.100s\" is not of the core schema, or not for this value", (const char *)tag);
}

static void set_name(reader *r, yyjson_val *value, const yaml_event_t *event, dx_slice text, place where) {
    const yaml_char_t *tag = event->data.scalar.tag;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (tag && !tag_is(tag, CORE "str") && !tag_is(tag, "!"))
        refuse(r, where, "a name takes no tag but !!str");
    else if (plain && !tag && text.size == 0)
        refuse(r, where, "the name of a member is missing");
    else if (plain && !tag && dx_slice_equal(text, DX_SLICE("<<")))
        refuse(r, where, "merging by << is not in YAML 1.2; write the members out, or quote the name");
    else
        set_string(r, value, text);
}

static void read_scalar(reader *r, const yaml_event_t *event) {
    place where = place_of(event->start_mark);
    anchor *named = open_anchor(r, event->data.scalar.anchor, where);
    yyjson_val *value = r->status == DX_OK ? add_value(r, where) : NULL;
    if (!value) return;
    dx_slice text = dx_slice_of((const char *)event->data.scalar.value, event->data.scalar.length);
    if (wants_name(r))
        set_name(r, value, event, text, where);
    else
        set_scalar(r, value, event, text, where);
    if (named) named->count = 1;
    count_child(r, 0);
}

// --- containers -------------------------------------------------------------------------------------------------------------

static void open_level(reader *r, const yaml_event_t *event, bool mapping) {
    place where = place_of(event->start_mark);
    const yaml_char_t *tag = mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    const yaml_char_t *name = mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    if (wants_name(r))
        refuse(r, where, "expected a string as the name of a member");
    else if (r->depth == r->depth_cap)
        refuse(r, where, "nested deeper than %zu levels", r->depth_cap);
    else if (tag && !tag_is(tag, mapping ? CORE "map" : CORE "seq") && !tag_is(tag, "!"))
        refuse(r, where, "the tag \"%.100s\" is not of the core schema, or not for this value", (const char *)tag);
    anchor *named = open_anchor(r, name, where);
    if (r->status != DX_OK || !add_value(r, where)) return;
    r->levels[r->depth++] = (level){.at = r->count - 1, .anchor = named, .mapping = mapping};
}

static void close_level(reader *r) {
    level *closed = &r->levels[--r->depth];
    yyjson_val *container = &r->values[closed->at];
    size_t count = closed->mapping ? closed->children / 2 : closed->children;
    if (closed->mapping)
        unsafe_yyjson_set_obj(container, count);
    else
        unsafe_yyjson_set_arr(container, count);
    container->uni.ofs = (r->count - closed->at) * sizeof *container;
    if (closed->mapping && !r->allow_duplicates) {
        if (count <= 16)
            check_few_names(r, container + 1, count);
        else
            check_many_names(r, container + 1, count);
    }
    if (closed->anchor) *closed->anchor = (anchor){closed->at, r->count - closed->at, closed->height + 1};
    count_child(r, closed->height + 1);
}

// --- the document -----------------------------------------------------------------------------------------------------------

static void take(reader *r, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->count) refuse(r, place_of(event->start_mark), "expected one document, found another");
        return;
    case YAML_ALIAS_EVENT:
        read_alias(r, event);
        return;
    case YAML_SCALAR_EVENT:
        read_scalar(r, event);
        return;
    case YAML_SEQUENCE_START_EVENT:
        open_level(r, event, false);
        return;
    case YAML_MAPPING_START_EVENT:
        open_level(r, event, true);
        return;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        close_level(r);
        return;
    default:
        return;
    }
}

static void read_events(reader *r, yaml_parser_t *parser) {
    for (bool end = false; !end && r->status == DX_OK;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            refuse_syntax(r, parser);
            return;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        take(r, &event);
        yaml_event_delete(&event);
    }
    if (r->status == DX_OK && !r->count) refuse(r, (place){0, 0}, "the text is empty");
}

static void finish(reader *r, yyjson_doc **out) {
    yyjson_doc *doc = DX_ARENA_NEW(r->arena, yyjson_doc);
    if (!doc) {
        r->status = DX_NO_MEMORY;
        return;
    }
    *doc = (yyjson_doc){.root = r->values, .alc = dx_json_alc(r->arena), .dat_read = r->text.size, .val_read = r->count};
    *out = doc;
}

// NULL without memory; else `status` says how it went.
static reader *read_text(dx_arena *arena, dx_slice text, const dx_json_options *options, dx_diags *diags) {
    if (dx_slice_starts(text, DX_SLICE("\xef\xbb\xbf"))) text = dx_slice_from(text, 3);
    reader *r = DX_ARENA_NEW(arena, reader);
    yaml_parser_t parser;
    if (!r || !yaml_parser_initialize(&parser)) return NULL;
    r->arena = arena;
    r->text = text;
    r->diags = diags;
    r->allow_duplicates = options && options->allow_duplicates;
    r->depth_cap = options && options->depth_cap ? options->depth_cap : DX_JSON_DEPTH_CAP;
    if (r->depth_cap > DX_JSON_DEPTH_MAX) r->depth_cap = DX_JSON_DEPTH_MAX;
    dx_map_init(&r->anchors, arena);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.size ? text.data : ""), text.size);
    read_events(r, &parser);
    yaml_parser_delete(&parser);
    return r;
}

dx_status dx_yaml_read(yyjson_doc **out, dx_arena *arena, dx_slice text, const dx_json_options *options, dx_diags *diags) {
    *out = NULL;
    if (text.size > DX_YAML_TEXT_CAP) return DX_TOO_LARGE;
    reader *r = read_text(arena, text, options, diags);
    if (!r) return DX_NO_MEMORY;
    if (r->status == DX_OK) finish(r, out);
    return r->status;
}

// --- places of findings ------------------------------------------------------------------------------------------------------

// A member is found where its name stands: just before its value.
static void locate(const reader *r, dx_diag *diag) {
    size_t parent = diag->pointer.size;
    while (parent && diag->pointer.data[parent - 1] != '/') parent--;
    const yyjson_val *value = dx_json_at(r->values, diag->pointer);
    if (!value || !parent) return;
    bool member = yyjson_is_obj(dx_json_at(r->values, dx_slice_of(diag->pointer.data, parent - 1)));
    place where = r->places[value - r->values - member];
    diag->line = where.line + 1;
    diag->column = column_in_bytes(r->text, where);
}

void dx_yaml_locate(dx_arena *arena, dx_slice text, const dx_diags *findings) {
    const dx_json_options deep = {.depth_cap = DX_JSON_DEPTH_MAX, .allow_duplicates = true};
    const reader *r = text.size <= DX_YAML_TEXT_CAP ? read_text(arena, text, &deep, NULL) : NULL;
    if (!r || r->status != DX_OK) return;
    for (dx_diag *diag = findings->first; diag; diag = diag->next) locate(r, diag);
}
