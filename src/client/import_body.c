// Bodies: what an operation takes and what it answers. The members of a body are parameters, which the model of a JSON body checks
// together; a body that has no members is one parameter, or bytes of its media type. (So no member is `required` or has a default here: a
// caller may give the body whole.)
#include "client/import_parts.h"

static bool ends_with(dx_slice text, const char *end) {
    size_t size = strlen(end);
    return text.size >= size && dx_slice_equal_nocase(dx_slice_from(text, text.size - size), dx_slice_str(end));
}

// Of a media type with its parameters: "application/json; charset=utf-8".
static bool is_json(dx_slice media_type) {
    dx_slice type = dx_slice_trim(dx_slice_cut(&media_type, ';'));
    return dx_slice_equal_nocase(type, DX_SLICE("application/json")) || ends_with(type, "+json");
}

static bool is_plain_json(dx_slice media_type) {
    return dx_slice_equal_nocase(dx_slice_trim(dx_slice_cut(&media_type, ';')), DX_SLICE("application/json"));
}

static bool is_form(dx_slice media_type) {
    dx_slice type = dx_slice_trim(dx_slice_cut(&media_type, ';'));
    return dx_slice_equal_nocase(type, DX_SLICE("application/x-www-form-urlencoded")) ||
           dx_slice_equal_nocase(type, DX_SLICE("multipart/form-data"));
}

typedef struct media {
    dx_slice type;
    yyjson_val *value;
    dx_slice at;
} media;

// The media type to use: JSON before forms before whatever stands first.
static bool choose(dx_importer *im, yyjson_val *content, dx_slice base, media *out) {
    size_t i, count;
    int best = -1;
    yyjson_val *name, *value;
    yyjson_obj_foreach(content, i, count, name, value) {
        dx_slice type = dx_json_slice(name);
        int rank = is_plain_json(type) ? 3 : is_json(type) ? 2 : is_form(type) ? 1 : 0;
        if (rank <= best) continue;
        best = rank;
        *out = (media){.type = type, .value = value};
    }
    if (best >= 0) out->at = dx_json_pointer_join(im->arena, dx_import_pointer(im, base, "content"), out->type);
    return best >= 0;
}

// The model of a schema: the one that it refers to, or one of its own.
static dx_slice model_of(dx_import_operation *op, yyjson_val *schema, dx_slice at, const char *behind) {
    dx_importer *im = op->im;
    dx_slice target;
    yyjson_val *ref = yyjson_obj_size(schema) == 1 ? yyjson_obj_get(schema, "$ref") : NULL;
    if (!yyjson_is_obj(schema) || !yyjson_obj_size(schema)) return (dx_slice){NULL, 0};
    if (!yyjson_is_str(ref)) return dx_import_model(im, schema, at, dx_import_pascal(im, op->name, behind));
    schema = dx_import_target(im, dx_json_slice(ref), at, &target);
    return schema ? dx_import_model(im, schema, target, (dx_slice){NULL, 0}) : (dx_slice){NULL, 0};
}

// --- members --------------------------------------------------------------------------------------------------------------------

#define PARTS_DEPTH 8   // of allOf in allOf
#define PARTS_CAP   500 // schemas that are put together, one that comes again counted again

typedef struct members {
    const media *body;
    dx_map seen; // names
    size_t parts;
} members;

static void add_member(dx_import_operation *op, dx_slice wire, yyjson_val *schema, dx_slice at, const media *body) {
    dx_importer *im = op->im;
    bool form = is_form(body->type), multipart = dx_slice_starts(body->type, DX_SLICE("multipart"));
    if (yyjson_is_true(yyjson_obj_get(schema, "readOnly"))) return; // never sent
    if (yyjson_mut_obj_size(op->params) >= DX_IMPORT_PARAMS_CAP) {
        dx_import_tell(im, at, "is one parameter more than %u; it is left out", DX_IMPORT_PARAMS_CAP);
        return;
    }
    dx_slice key = dx_import_key(op, wire, DX_SLICE("body")), resolved_at = at;
    yyjson_val *resolved = yyjson_is_obj(schema) ? dx_import_resolve(im, schema, &resolved_at) : NULL;
    yyjson_mut_val *param = dx_import_object(im);
    dx_import_put(im, param, DX_SLICE("in"), dx_import_text(im, DX_SLICE("body")));
    if (!dx_slice_equal(key, wire)) dx_import_put(im, param, DX_SLICE("name"), dx_import_text(im, wire));
    bool more = dx_import_put_type(im, param, resolved, resolved_at, multipart);
    if (more && form) dx_import_put_schema(im, param, schema, at); // of a JSON body, the model says it
    dx_import_describe(im, param, schema, resolved);
    dx_import_put(im, op->params, key, param);
}

// The members of an object and of all that `allOf` puts together with it. False when it has none.
static bool add_members(dx_import_operation *op, members *all, yyjson_val *schema, dx_slice at, int depth) {
    static char mark;
    dx_importer *im = op->im;
    size_t i, count;
    bool found = false;
    yyjson_val *name, *value, *part;
    if (depth > PARTS_DEPTH || all->parts++ == PARTS_CAP) {
        dx_import_tell(im, at, "is one part too many of a body; its members are left out");
        return false;
    }
    if (!yyjson_is_obj(schema) || !(schema = dx_import_resolve(im, schema, &at))) return false;
    dx_slice base = dx_import_pointer(im, at, "properties"), parts = dx_import_pointer(im, at, "allOf");
    yyjson_obj_foreach(yyjson_obj_get(schema, "properties"), i, count, name, value) {
        found = true;
        if (!dx_json_slice(name).size || dx_map_get(&all->seen, dx_json_slice(name)) || im->status != DX_OK) continue;
        if (dx_map_put(&all->seen, dx_json_slice(name), &mark) != DX_OK) im->status = DX_NO_MEMORY;
        add_member(op, dx_json_slice(name), value, dx_json_pointer_join(im->arena, base, dx_json_slice(name)), all->body);
    }
    yyjson_arr_foreach(yyjson_obj_get(schema, "allOf"), i, count, part) {
        if (all->parts > PARTS_CAP) break;
        found |= add_members(op, all, part, dx_json_pointer_index(im->arena, parts, i), depth + 1);
    }
    return found;
}

// A body that is no object with members: one parameter is all of it.
static dx_slice add_whole(dx_import_operation *op, yyjson_val *schema, dx_slice at) {
    dx_importer *im = op->im;
    dx_slice key = dx_import_key(op, DX_SLICE("body"), DX_SLICE("whole"));
    yyjson_mut_val *param = dx_import_object(im);
    dx_import_put(im, param, DX_SLICE("in"), dx_import_text(im, DX_SLICE("body")));
    if (yyjson_obj_size(schema)) (void)dx_import_put_type(im, param, schema, at, false);
    dx_import_put(im, op->params, key, param);
    return key;
}

static void put_request(dx_import_operation *op, const media *body) {
    dx_importer *im = op->im;
    yyjson_val *schema = yyjson_obj_get(body->value, "schema");
    dx_slice at = dx_import_pointer(im, body->at, "schema");
    bool json = is_json(body->type), form = is_form(body->type);
    yyjson_mut_val *about = dx_import_object(im);
    members all = {.body = body};
    dx_map_init(&all.seen, im->arena);
    if (!is_plain_json(body->type)) dx_import_put(im, about, DX_SLICE("content_type"), dx_import_text(im, body->type));
    bool found = (json || form) && add_members(op, &all, schema, at, 0);
    if (json && !found) dx_import_put(im, about, DX_SLICE("wrap"), dx_import_text(im, add_whole(op, schema, at)));
    if (form && !found) dx_import_tell(im, body->at, "is a form without fields; give its body as bytes");
    if (yyjson_mut_obj_size(about)) dx_import_put(im, op->endpoint, DX_SLICE("body"), about);
    dx_slice model = json ? model_of(op, schema, at, "Request") : (dx_slice){NULL, 0};
    if (model.size) dx_import_put(im, op->endpoint, DX_SLICE("request_model"), dx_import_text(im, model));
}

void dx_import_request(dx_import_operation *op) {
    dx_importer *im = op->im;
    media body = {.value = NULL};
    dx_slice at = dx_import_pointer(im, op->at, "requestBody");
    yyjson_val *given = yyjson_obj_get(op->value, "requestBody"), *request = given ? dx_import_resolve(im, given, &at) : NULL;
    yyjson_val *content = yyjson_obj_get(request, "content");
    if (!request || !choose(im, content, at, &body)) return;
    if (yyjson_obj_size(content) > 1) dx_import_leave_out(im, DX_LEFT_MEDIA_TYPES, at);
    if (yyjson_obj_get(body.value, "encoding")) dx_import_leave_out(im, DX_LEFT_ENCODINGS, body.at);
    put_request(op, &body);
}

// --- answers --------------------------------------------------------------------------------------------------------------------

// The earlier, the better; 0: no success.
static int rank_of(dx_slice status) {
    static const char *const first[] = {"200", "201", "202", "203", "206"};
    for (size_t i = 0; i < DX_COUNT_OF(first); i++)
        if (dx_slice_equal(status, dx_slice_str(first[i]))) return 10 - (int)i;
    if (status.size == 3 && status.data[0] == '2') return 3; // 2XX and the others
    return dx_slice_equal(status, DX_SLICE("default")) ? 1 : 0;
}

static void look_at_answer(dx_importer *im, yyjson_val *answer, dx_slice at) {
    if (yyjson_obj_size(yyjson_obj_get(answer, "headers"))) dx_import_leave_out(im, DX_LEFT_HEADERS, at);
    if (yyjson_obj_size(yyjson_obj_get(answer, "links"))) dx_import_leave_out(im, DX_LEFT_LINKS, at);
}

// An answer's JSON, if it has any with a schema.
static bool has_model(dx_importer *im, yyjson_val *answer, dx_slice at, media *body) {
    return choose(im, yyjson_obj_get(answer, "content"), at, body) && is_json(body->type) && yyjson_obj_get(body->value, "schema");
}

// The model of an answer; of a list, that of its items, with "[]" behind.
static void put_response(dx_import_operation *op, const media *body) {
    dx_importer *im = op->im;
    yyjson_val *schema = yyjson_obj_get(body->value, "schema"), *items = yyjson_obj_get(schema, "items");
    dx_slice at = dx_import_pointer(im, body->at, "schema");
    bool list = yyjson_equals_str(yyjson_obj_get(schema, "type"), "array") && yyjson_obj_size(items) == 1 && yyjson_obj_get(items, "$ref");
    size_t silent = (yyjson_obj_get(schema, "title") != NULL) + (yyjson_obj_get(schema, "description") != NULL);
    list = list && yyjson_obj_size(schema) == 2 + silent;
    dx_slice model = model_of(op, list ? items : schema, list ? dx_import_pointer(im, at, "items") : at, "Response");
    if (model.size && list) model = dx_arena_printf(im->arena, "%.*s[]", DX_SLICE_ARG(model));
    if (model.size) dx_import_put(im, op->endpoint, DX_SLICE("response_model"), dx_import_text(im, model));
}

void dx_import_response(dx_import_operation *op) {
    dx_importer *im = op->im;
    size_t i, count, with_models = 0;
    int best = 0;
    yyjson_val *status, *item;
    media body = {.value = NULL}, chosen = {.value = NULL};
    dx_slice base = dx_import_pointer(im, op->at, "responses");
    yyjson_obj_foreach(yyjson_obj_get(op->value, "responses"), i, count, status, item) {
        dx_slice at = dx_json_pointer_join(im->arena, base, dx_json_slice(status));
        int rank = rank_of(dx_json_slice(status));
        if (dx_slice_starts(dx_json_slice(status), DX_SLICE("x-"))) continue;
        yyjson_val *answer = yyjson_is_obj(item) ? dx_import_resolve(im, item, &at) : NULL;
        look_at_answer(im, answer, at);
        if (rank <= 1) dx_import_leave_out(im, DX_LEFT_ERRORS, base);
        if (!rank || !answer || !has_model(im, answer, at, &body)) continue;
        with_models += rank > 1;
        if (rank <= best) continue;
        best = rank;
        chosen = body;
    }
    if (with_models > 1) dx_import_leave_out(im, DX_LEFT_ANSWERS, base);
    if (best == 1 && with_models == 0 && count > 1) return; // a default beside others describes the errors
    if (best) put_response(op, &chosen);
}
